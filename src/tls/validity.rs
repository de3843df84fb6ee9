//! What a certificate of our own says of itself, as far as its owner has to know of it before
//! the other side does: when it is valid, and what for.
//!
//! rustls verifies the other side's certificates, and takes ours as they are. So this walks
//! through the DER (RFC 5280, section 4.1) as far as it has to. What it does not understand
//! it says nothing of: those who are shown the certificate will.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::pem::certificates;
use crate::files::FileError;

/// What a certificate is to be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be shown by one who connects.
    Client,
    /// To be shown by one who is connected to.
    Server,
}

const SEQUENCE: u8 = 0x30;
const BOOLEAN: u8 = 0x01;
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

/// What an operator should know of the first certificate in `pem`, the content of `path`: a
/// line each.
pub fn notes(path: &Path, pem: &[u8], purpose: Purpose) -> Vec<FileError> {
    let Ok(chain) = certificates(path, pem) else { return Vec::new() };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
    let said = chain.first().map(|certificate| of_der(certificate, purpose, now)).unwrap_or_default();
    said.into_iter().map(|said| FileError::new(path, said)).collect()
}

/// The same of one certificate, at `now` in seconds since 1970.
fn of_der(der: &[u8], purpose: Purpose, now: i64) -> Vec<String> {
    let mut said = Vec::new();
    let Some(Certificate { from, to, extensions }) = Certificate::read(der) else { return said };
    if now > to.seconds() {
        said.push(format!("certificate has expired on {to}: renew it, or set this machine's clock"));
    } else if now < from.seconds() {
        said.push(format!("certificate is not yet valid before {from}: look at this machine's clock"));
    }
    let (number, name, who) = match purpose {
        Purpose::Server => (1, "serverAuth", "servers"),
        Purpose::Client => (2, "clientAuth", "clients"),
    };
    if extensions.and_then(|extensions| is_for(extensions, number)) == Some(false) {
        said.push(format!(
            "unsuitable certificate purpose: it is not one for {who}; have it issued with {name} in its extendedKeyUsage"
        ));
    }
    said
}

struct Certificate<'a> {
    from: Time,
    to: Time,
    extensions: Option<&'a [u8]>,
}

impl Certificate<'_> {
    fn read(der: &[u8]) -> Option<Certificate<'_>> {
        let (whole, _) = expect(der, SEQUENCE)?;
        let (mut rest, _) = expect(whole, SEQUENCE)?;
        if let Some((_, after)) = expect(rest, VERSION) {
            rest = after;
        }
        // Serial number, signature's algorithm, issuer.
        for _ in 0..3 {
            (_, _, rest) = element(rest)?;
        }
        let (validity, mut rest) = expect(rest, SEQUENCE)?;
        let (from, validity) = Time::read(validity)?;
        let (to, _) = Time::read(validity)?;
        // Subject, key, identifiers of old.
        let mut extensions = None;
        while let Some((tag, content, after)) = element(rest) {
            if tag == EXTENSIONS {
                extensions = expect(content, SEQUENCE).map(|(list, _)| list);
            }
            rest = after;
        }
        Some(Certificate { from, to, extensions })
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
struct Time {
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
    fn seconds(&self) -> i64 {
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
    use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 2, 29);
        params.not_after = date_time_ymd(2060, 1, 1);
        change(&mut params);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    fn at(year: i64, month: i64, day: i64) -> i64 {
        Time { date: [year, month, day], second: 0 }.seconds()
    }

    #[test]
    fn a_certificate_is_valid_from_its_first_second_to_its_last() {
        let der = certificate(|_| {});
        let said = |now| of_der(&der, Purpose::Server, now).join("\n");
        let (first, last) = (at(2020, 2, 29), at(2060, 1, 1));
        assert!(said(first - 1).starts_with("certificate is not yet valid before 2020-02-29: "), "{}", said(first - 1));
        assert_eq!(said(first), "");
        assert_eq!(said(last), "");
        assert!(said(last + 1).starts_with("certificate has expired on 2060-01-01: "), "{}", said(last + 1));
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
    fn a_purpose_that_is_named_has_to_be_ours() {
        let now = at(2026, 1, 1);
        for (purposes, server, client) in [
            (vec![], true, true),
            (vec![ExtendedKeyUsagePurpose::ServerAuth], true, false),
            (vec![ExtendedKeyUsagePurpose::CodeSigning, ExtendedKeyUsagePurpose::ClientAuth], false, true),
            (vec![ExtendedKeyUsagePurpose::Any], true, true),
        ] {
            let der = certificate(|params| params.extended_key_usages = purposes.clone());
            for (purpose, is_good) in [(Purpose::Server, server), (Purpose::Client, client)] {
                let said = of_der(&der, purpose, now);
                assert_eq!(said.is_empty(), is_good, "{purposes:?} {purpose:?} {said:?}");
            }
        }
    }

    #[test]
    fn nothing_that_is_no_certificate_makes_it_panic() {
        let der = certificate(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
        for length in 0..der.len() {
            of_der(&der[..length], Purpose::Server, 0);
        }
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize
        };
        for _ in 0..20_000 {
            let mut damaged = der.clone();
            for _ in 0..1 + random() % 8 {
                let place = random() % damaged.len();
                damaged[place] = random() as u8;
            }
            of_der(&damaged, Purpose::Client, 0);
            let noise: Vec<u8> = (0..random() % 100).map(|_| random() as u8).collect();
            of_der(&noise, Purpose::Server, 0);
        }
    }
}
