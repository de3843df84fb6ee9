//! A certificate of our own with its key, as it is shown to the other side.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::pem::certificates;
use super::x509::Certificate;
use crate::files::FileError;

/// The keys that the cryptography takes.
const KEYS: &str = "use RSA (2048 bits or more), ECDSA (P-256, P-384) or Ed25519";

/// The certificates in `pem`, the content of `path`, with `key`, which is from `key_path`; an
/// error where they are of two pairs.
///
/// rustls would refuse all but X.509 version 3 to look for that. What a certificate holds is for
/// the other side to judge, and many take a client's of version 1, which OpenSSL makes where it
/// is given no extensions.
pub fn identity(
    path: &Path,
    pem: &[u8],
    key_path: &Path,
    key: PrivateKeyDer<'static>,
    provider: &CryptoProvider,
) -> Result<Arc<SingleCertAndKey>, FileError> {
    let chain = certificates(path, pem)?;
    let key = provider.key_provider.load_private_key(key).map_err(|error| {
        let why = match error {
            rustls::Error::General(why) => why,
            _ => "the private key is of no known kind".to_owned(),
        };
        FileError::new(key_path, format!("cannot be used: {why}; {KEYS}"))
    })?;
    let Some(certificate) = chain.first().and_then(|first| Certificate::read(first)) else {
        return Err(FileError::new(path, "cannot be used: its first certificate is garbled"));
    };
    if key.public_key().is_some_and(|public| *public != *certificate.key) {
        return Err(FileError::new(key_path, "the private key is not this certificate's (key values mismatch)"));
    }
    Ok(Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key))))
}
