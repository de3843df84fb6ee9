//! Certificates and keys out of PEM files.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::flaws::flaw;
use crate::files::FileError;

/// A line for each of so many certificates that are skipped.
const MAX_SKIPPED: usize = 4;

/// Every certificate in `pem`, the content of `path`; at least one. Other sections, text
/// between them and Windows line ends are passed over.
pub fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(unmarked(pem)).collect();
    let certificates = certificates.map_err(|error| FileError::new(path, torn(&error)))?;
    if certificates.is_empty() {
        let why = format!("holds no certificate in PEM form{}", instead(pem, "CERTIFICATE"));
        return Err(FileError::new(path, why));
    }
    Ok(certificates)
}

/// The first private key in `pem`, the content of `path`: PKCS#1, PKCS#8 or SEC1.
pub fn private_key(path: &Path, pem: &[u8]) -> Result<PrivateKeyDer<'static>, FileError> {
    let encrypted = [b"ENCRYPTED PRIVATE KEY".as_slice(), b"Proc-Type: 4,ENCRYPTED"];
    if encrypted.iter().any(|mark| contains(pem, mark)) {
        let why = "the key is encrypted; decrypt it (openssl pkey -in FILE -out FILE.plain) and protect it by its mode";
        return Err(FileError::new(path, why));
    }
    PrivateKeyDer::from_pem_slice(unmarked(pem)).map_err(|error| match error {
        PemError::NoItemsFound => {
            let instead = instead(pem, "PRIVATE KEY");
            FileError::new(path, format!("holds no private key in PEM form (PKCS#1, PKCS#8 or SEC1){instead}"))
        }
        error => FileError::new(path, torn(&error)),
    })
}

/// Of a file of authorities those that can be used, and what is wrong with the others.
pub struct Authorities {
    /// As they stand there.
    pub named: Vec<CertificateDer<'static>>,
    /// The same as roots.
    pub roots: RootCertStore,
    /// The place of each that is skipped, from 1, and what is wrong with it: the end of a sentence.
    pub skipped: Vec<(usize, String)>,
}

/// The authorities in `pem`, the content of `path`; at least one that can be used. Bundles in the
/// field hold odd ones, which are not to cost the others. One that is cut off is refused: it is
/// still being written.
pub fn authorities(path: &Path, pem: &[u8]) -> Result<Authorities, FileError> {
    let mut found = Authorities { named: Vec::new(), roots: RootCertStore::empty(), skipped: Vec::new() };
    for (at, section) in CertificateDer::pem_slice_iter(unmarked(pem)).enumerate() {
        let certificate = match section {
            Ok(certificate) => certificate,
            Err(PemError::Base64Decode(_)) => {
                found.skipped.push((at + 1, "holds what is no base64".to_owned()));
                continue;
            }
            Err(error) => return Err(FileError::new(path, torn(&error))),
        };
        match found.roots.add(certificate.clone()) {
            Ok(()) => found.named.push(certificate),
            Err(error) => found.skipped.push((at + 1, refused(&error))),
        }
    }
    match (found.named.is_empty(), found.skipped.first()) {
        (false, _) => Ok(found),
        (true, Some((at, why))) => {
            Err(FileError::new(path, format!("none of its certificates can be used: certificate {at} in it {why}")))
        }
        (true, None) => {
            let why = format!("holds no certificate in PEM form{}", instead(pem, "CERTIFICATE"));
            Err(FileError::new(path, why))
        }
    }
}

/// What an operator should know of the authorities in `pem`, the content of `path`, that are skipped.
pub fn skipped(path: &Path, pem: &[u8]) -> Vec<FileError> {
    let skipped = authorities(path, pem).map(|found| found.skipped).unwrap_or_default();
    let shown = skipped.iter().take(MAX_SKIPPED);
    let mut notes: Vec<FileError> =
        shown.map(|(at, why)| FileError::new(path, format!("certificate {at} in it is skipped: it {why}"))).collect();
    if skipped.len() > MAX_SKIPPED {
        notes
            .push(FileError::new(path, format!("{} more certificates in it are skipped", skipped.len() - MAX_SKIPPED)));
    }
    notes
}

/// What is wrong with a certificate that could not be made a root.
pub(super) fn refused(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(why) => flaw(why),
        _ => "cannot be used".to_owned(),
    }
}

/// Editors of Windows put a mark of three bytes before the first line.
fn unmarked(pem: &[u8]) -> &[u8] {
    pem.strip_prefix(b"\xef\xbb\xbf").unwrap_or(pem)
}

fn torn(error: &PemError) -> &'static str {
    match error {
        PemError::MissingSectionEnd { .. } => "a PEM section has no END line; the file may be cut off",
        PemError::IllegalSectionStart { .. } => "a PEM section begins with a bad line",
        PemError::Base64Decode(_) => "a PEM section holds what is no base64",
        PemError::SectionTooLarge => "a PEM section is larger than any certificate or key",
        _ => "is not PEM",
    }
}

/// A hint at what the file seems to be, where a section of `wanted` was looked for.
fn instead(pem: &[u8], wanted: &str) -> &'static str {
    let has = |what: &str| contains(pem, format!("{what}-----").as_bytes());
    if pem.starts_with(&[0x30, 0x82]) || pem.starts_with(&[0x30, 0x81]) {
        "; it looks like DER (openssl x509 -inform der, or openssl pkey -inform der, makes PEM of it)"
    } else if has(wanted) {
        "; something stands before its -----BEGIN, which has to begin a line"
    } else if has("PRIVATE KEY") {
        "; it holds a private key"
    } else if has("CERTIFICATE") {
        "; it holds a certificate"
    } else {
        ""
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
