//! What a certificate of our own says of itself, as far as its owner has to know of it before
//! the other side does: when it is valid, and what for.
//!
//! rustls verifies the other side's certificates, and takes ours as they are. Of what is not
//! understood of them nothing is said: those who are shown the certificate will.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::flaws::MAKE_V3;
use super::pem::certificates;
use super::x509::Certificate;
use crate::files::FileError;

/// What a certificate is to be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be shown by one who connects.
    Client,
    /// To be shown by one who is connected to.
    Server,
}

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
    let Some(certificate) = Certificate::read(der) else { return said };
    let Certificate { is_v3, from, to, .. } = &certificate;
    if now > to.seconds() {
        said.push(format!("certificate has expired on {to}: renew it, or set this machine's clock"));
    } else if now < from.seconds() {
        said.push(format!("certificate is not yet valid before {from}: look at this machine's clock"));
    }
    let (number, name, who) = match purpose {
        Purpose::Server => (1, "serverAuth", "servers"),
        Purpose::Client => (2, "clientAuth", "clients"),
    };
    if certificate.is_for(number) == Some(false) {
        said.push(format!(
            "unsuitable certificate purpose: it is not one for {who}; have it issued with {name} in its extendedKeyUsage"
        ));
    }
    // A client's is mostly looked at for its authority alone.
    if !is_v3 && purpose == Purpose::Server {
        said.push(format!("is of X.509 version 1, so it is for no host name, and many clients refuse it; {MAKE_V3}"));
    }
    said
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

    /// By date(1).
    const NEW_YEAR_2026: i64 = 1_767_225_600;

    #[test]
    fn a_certificate_is_valid_from_its_first_second_to_its_last() {
        let der = certificate(|_| {});
        let said = |now| of_der(&der, Purpose::Server, now).join("\n");
        // By date(1).
        let (first, last) = (1_582_934_400, 2_840_140_800);
        assert!(said(first - 1).starts_with("certificate is not yet valid before 2020-02-29: "), "{}", said(first - 1));
        assert_eq!(said(first), "");
        assert_eq!(said(last), "");
        assert!(said(last + 1).starts_with("certificate has expired on 2060-01-01: "), "{}", said(last + 1));
    }

    #[test]
    fn a_purpose_that_is_named_has_to_be_ours() {
        let now = NEW_YEAR_2026;
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
    fn a_certificate_without_extensions_is_warned_of_where_names_count() {
        use rustls::pki_types::CertificateDer;
        use rustls::pki_types::pem::PemObject;

        let old = CertificateDer::from_pem_slice(include_bytes!("../../tests/pki/p256.v1.crt")).unwrap();
        let said = of_der(&old, Purpose::Server, NEW_YEAR_2026);
        assert!(said.len() == 1 && said[0].contains("version 1") && said[0].contains("-extfile"), "{said:?}");
        assert_eq!(of_der(&old, Purpose::Client, NEW_YEAR_2026), [""; 0]);
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
