//! What a certificate says of itself (RFC 5280, section 4.1), as far as its owner has to know.
//!
//! rustls takes apart the other side's certificates, and of ours those of X.509 version 3. This
//! walks through the DER of any version as far as it has to, and judges nothing.

const SEQUENCE: u8 = 0x30;
const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The version, `[0]`.
const VERSION: u8 = 0xa0;
/// The extensions, `[3]`.
const EXTENSIONS: u8 = 0xa3;

/// 2.5.29.37: extendedKeyUsage; with a further 0 it is anyExtendedKeyUsage.
const KEY_USAGE: [u8; 3] = [0x55, 0x1d, 0x25];
/// 1.3.6.1.5.5.7.3, of which 1 is for servers and 2 for clients.
const PURPOSES: [u8; 7] = [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03];

/// One certificate.
pub struct Certificate<'a> {
    /// Version 3 has extensions; those before it say nothing of names or purposes.
    pub is_v3: bool,
    /// The first moment of its validity.
    pub from: Time,
    /// The last one.
    pub to: Time,
    /// Its public key, a SubjectPublicKeyInfo in DER.
    pub key: &'a [u8],
    extensions: Option<&'a [u8]>,
}

impl Certificate<'_> {
    /// What stands in `der`; none where that is no certificate.
    pub fn read(der: &[u8]) -> Option<Certificate<'_>> {
        let (whole, _) = expect(der, SEQUENCE)?;
        let (mut rest, _) = expect(whole, SEQUENCE)?;
        // Counted from 0, which is left out.
        let mut is_v3 = false;
        if let Some((version, after)) = expect(rest, VERSION) {
            is_v3 = expect(version, INTEGER)?.0 == [2];
            rest = after;
        }
        // Serial number, signature's algorithm, issuer.
        for _ in 0..3 {
            (_, _, rest) = element(rest)?;
        }
        let (validity, rest) = expect(rest, SEQUENCE)?;
        let (from, validity) = Time::read(validity)?;
        let (to, _) = Time::read(validity)?;
        let (_subject, rest) = expect(rest, SEQUENCE)?;
        let (_, mut after_key) = expect(rest, SEQUENCE)?;
        let key = &rest[..rest.len() - after_key.len()];
        // Identifiers of old, which nobody uses, may stand in front of the extensions.
        let mut extensions = None;
        while let Some((tag, content, after)) = element(after_key) {
            if tag == EXTENSIONS {
                extensions = expect(content, SEQUENCE).map(|(list, _)| list);
            }
            after_key = after;
        }
        Some(Certificate { is_v3, from, to, key, extensions })
    }

    /// Whether its extendedKeyUsage has the purpose of this `number`: 1 for servers, 2 for
    /// clients. None where it may be used for anything.
    pub fn is_for(&self, number: u8) -> Option<bool> {
        is_for(self.extensions?, number)
    }
}

/// Whether the purposes among `extensions` hold `number`; none where any will do.
fn is_for(mut extensions: &[u8], number: u8) -> Option<bool> {
    while let Some((extension, after)) = expect(extensions, SEQUENCE) {
        extensions = after;
        let Some((KEY_USAGE, rest)) = expect(extension, OID).and_then(|(oid, rest)| Some((oid.try_into().ok()?, rest)))
        else {
            continue;
        };
        // Whether it is critical.
        let rest = expect(rest, BOOLEAN).map_or(rest, |(_, rest)| rest);
        let (mut purposes, _) = expect(expect(rest, OCTETS)?.0, SEQUENCE)?;
        while let Some((oid, after)) = expect(purposes, OID) {
            if oid.strip_prefix(&PURPOSES) == Some(&[number]) || oid.strip_prefix(&KEY_USAGE) == Some(&[0]) {
                return Some(true);
            }
            purposes = after;
        }
        return Some(false);
    }
    None
}

/// The first element: its tag, its content, and what follows. Tags beyond one byte, and
/// lengths beyond four, are in no certificate.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = der.split_first_chunk()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    (tag & 0x1f != 0x1f).then_some((tag, content, rest))
}

fn expect(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    element(der).filter(|(found, ..)| *found == tag).map(|(_, content, rest)| (content, rest))
}

/// A moment in UTC.
pub struct Time {
    /// Year, month and day.
    date: [i64; 3],
    /// Of the day.
    second: i64,
}

impl Time {
    /// `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ` (RFC 5280, section 4.1.2.5).
    fn read(der: &[u8]) -> Option<(Time, &[u8])> {
        let (tag, content, rest) = element(der)?;
        let digits = content.strip_suffix(b"Z")?;
        let all: Vec<i64> =
            digits.iter().map(|byte| byte.is_ascii_digit().then(|| i64::from(byte - b'0'))).collect::<Option<_>>()?;
        let pairs: Vec<i64> =
            all.chunks(2).map(|pair| pair.iter().fold(0, |number, digit| number * 10 + digit)).collect();
        let (year, rest_of_it) = match (tag, all.len(), &*pairs) {
            (UTC_TIME, 12, [year, rest @ ..]) => (if *year < 50 { 2000 + year } else { 1900 + year }, rest),
            (GENERALIZED_TIME, 14, [century, year, rest @ ..]) => (century * 100 + year, rest),
            _ => return None,
        };
        let &[month @ 1..=12, day @ 1..=31, hour @ 0..=23, minute @ 0..=59, second @ 0..=60] = rest_of_it else {
            return None;
        };
        Some((Time { date: [year, month, day], second: (hour * 60 + minute) * 60 + second }, rest))
    }

    /// Since 1970.
    pub fn seconds(&self) -> i64 {
        let [year, month, day] = self.date;
        // Years that begin with March have their odd day at the end.
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
        let days = year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1;
        // From 0000-03-01 to 1970-01-01.
        (days - 719_468) * 86_400 + self.second
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [year, month, day] = self.date;
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(year: i64, month: i64, day: i64) -> i64 {
        Time { date: [year, month, day], second: 0 }.seconds()
    }

    #[test]
    fn days_are_counted_as_the_calendar_has_them() {
        // By date(1).
        for (date, seconds) in [
            ((1970, 1, 1), 0),
            ((1999, 12, 31), 946_598_400),
            ((2000, 2, 29), 951_782_400),
            ((2000, 3, 1), 951_868_800),
            ((2100, 3, 1), 4_107_542_400),
            ((1950, 1, 1), -631_152_000),
            ((9999, 12, 31), 253_402_214_400),
        ] {
            assert_eq!(at(date.0, date.1, date.2), seconds, "{date:?}");
        }
    }

    #[test]
    fn version_and_key_are_read_of_every_version() {
        use rcgen::{CertificateParams, KeyPair, PublicKeyData};
        use rustls::pki_types::CertificateDer;
        use rustls::pki_types::pem::PemObject;

        let key = KeyPair::from_pem(include_str!("../../tests/pki/p256.pkcs8.pem")).unwrap();
        let new = CertificateParams::new(vec!["a.example".to_owned()]).unwrap().self_signed(&key).unwrap();
        let new = Certificate::read(new.der()).unwrap();
        let old = CertificateDer::from_pem_slice(include_bytes!("../../tests/pki/p256.v1.crt")).unwrap();
        let old = Certificate::read(&old).unwrap();
        assert_eq!((new.is_v3, old.is_v3), (true, false));
        assert_eq!((new.key, old.key), (&*key.subject_public_key_info(), &*key.subject_public_key_info()));
        assert_eq!((old.is_for(1), old.is_for(2)), (None, None));
    }
}
