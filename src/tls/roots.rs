//! Whom to trust where nobody says: the system's roots, or Mozilla's where it has none.

use std::sync::Once;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls_native_certs::{CertificateResult, ErrorKind};

use super::pem::refused;

/// The roots that the system has; where it has none, as in an empty container, those of Mozilla
/// that were current when this was built. What cannot be used of them is said once.
pub fn system_roots() -> RootCertStore {
    static SAID: Once = Once::new();
    let CertificateResult { certs, errors, .. } = rustls_native_certs::load_native_certs();
    let total = certs.len() + errors.len();
    let (roots, mut troubles) = roots_of(certs);
    troubles.splice(0..0, errors.iter().map(|error| of_system(&error.kind)));
    if let [first, ..] = &troubles[..] {
        SAID.call_once(|| log::warn!("the system's roots: {} of {total} are skipped; {first}", troubles.len()));
    }
    roots
}

/// Those of `system` that can be used, and what is wrong with each other one.
fn roots_of(system: Vec<CertificateDer<'static>>) -> (RootCertStore, Vec<String>) {
    let mut roots = RootCertStore::empty();
    let mut troubles = Vec::new();
    for certificate in system {
        if let Err(error) = roots.add(certificate) {
            troubles.push(format!("a certificate {}", refused(&error)));
        }
    }
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    (roots, troubles)
}

fn of_system(kind: &ErrorKind) -> String {
    match kind {
        ErrorKind::Io { inner, path } => format!("{}: {inner}", path.display()),
        _ => "a file holds what is no PEM".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_without_roots_has_mozillas() {
        let bundled = webpki_roots::TLS_SERVER_ROOTS;
        assert!(bundled.len() > 50);
        assert_eq!(roots_of(Vec::new()).0.roots, bundled);
        let (roots, troubles) = roots_of(vec![CertificateDer::from(vec![0x30, 0x00])]);
        assert_eq!((&*roots.roots, &*troubles), (bundled, &["a certificate is garbled".to_owned()][..]));
    }

    #[test]
    fn a_root_that_is_odd_costs_no_other() {
        let good = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap().cert.der().clone();
        let (roots, troubles) = roots_of(vec![CertificateDer::from(vec![0x30, 0x00]), good]);
        assert_eq!((roots.len(), troubles.len()), (1, 1));
    }
}
