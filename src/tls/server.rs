//! What one who is connected to needs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::Ticketer;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ServerConfig, SignatureAlgorithm, SupportedCipherSuite};

use super::identity::identity;
use super::names::{self, Version};
use super::pem::{authorities, private_key, skipped};
use super::validity::{Purpose, notes};
use super::words::in_words;
use super::{TLS_FILES, unread};
use crate::files::{FileError, Recipe};

/// What the configuration says (`server.tls`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// Our certificate, with its chain (PEM).
    pub cert_file: PathBuf,
    /// Its key (PEM).
    pub key_file: PathBuf,
    /// Whose certificates clients have to show; none: they need not have one.
    pub client_ca_file: Option<PathBuf>,
    /// Lowest version.
    pub min_version: Version,
    /// Highest version.
    pub max_version: Version,
    /// IANA names, all of them known, the preferred one first; none: all, as the client prefers.
    /// Those of TLS 1.3 stay where none of them is named.
    pub cipher_suites: Vec<String>,
    /// Whether sessions are resumed. With `client_ca_file` they never are.
    pub session_tickets: bool,
}

impl ServerSettings {
    /// Suites of TLS 1.2 are each for one kind of key; where `provider` has no others, one of
    /// them has to be for ours.
    fn fits(&self, provider: &CryptoProvider, key: &PrivateKeyDer<'static>) -> Result<(), FileError> {
        // A key that cannot be read is told of by who uses it.
        let Ok(key) = provider.key_provider.load_private_key(key.clone_key()) else { return Ok(()) };
        let algorithm = key.algorithm();
        let is_good =
            |suite: &SupportedCipherSuite| suite.tls13().is_some() || suite.usable_for_signature_algorithm(algorithm);
        if provider.cipher_suites.iter().any(is_good) {
            return Ok(());
        }
        let (kind, wanted) = match algorithm {
            SignatureAlgorithm::RSA => ("an RSA key", "TLS_ECDHE_RSA"),
            _ => ("an ECDSA or Ed25519 key", "TLS_ECDHE_ECDSA"),
        };
        Err(FileError::new(
            &self.key_file,
            format!("{kind}, which none of cipher_suites is for; name one that begins with {wanted}, or allow TLS1.3"),
        ))
    }
}

impl Recipe for ServerSettings {
    type Made = Arc<ServerConfig>;

    const FILES: &'static str = TLS_FILES;

    fn paths(&self) -> Vec<&Path> {
        [&self.cert_file, &self.key_file].into_iter().chain(&self.client_ca_file).map(PathBuf::as_path).collect()
    }

    fn secret_paths(&self) -> Vec<&Path> {
        vec![&self.key_file]
    }

    fn notes(&self, contents: &[Vec<u8>]) -> Vec<FileError> {
        let mut said = contents.first().map(|pem| notes(&self.cert_file, pem, Purpose::Server)).unwrap_or_default();
        if let (Some(path), [_, _, pem]) = (&self.client_ca_file, contents) {
            said.extend(skipped(path, pem));
        }
        said
    }

    fn make(&self, contents: &[Vec<u8>]) -> Result<Arc<ServerConfig>, FileError> {
        let [cert, key, ca @ ..] = contents else { return Err(unread(&self.cert_file)) };
        let whole = |why: &str| FileError::new(&self.cert_file, format!("cannot be used: {why}"));
        let provider = names::provider(&self.cipher_suites, self.min_version, self.max_version);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&names::versions(self.min_version, self.max_version))
            .map_err(|error| whole(&in_words(&error, true)))?;
        let builder = match (&self.client_ca_file, ca) {
            (Some(path), [pem]) => {
                let roots = Arc::new(authorities(path, pem)?.roots);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
                builder.with_client_cert_verifier(verifier.map_err(|_| FileError::new(path, "holds no authority"))?)
            }
            (Some(path), _) => return Err(unread(path)),
            (None, _) => builder.with_no_client_auth(),
        };
        let key = private_key(&self.key_file, key)?;
        self.fits(&provider, &key)?;
        let shown = identity(&self.cert_file, cert, &self.key_file, key, &provider)?;
        let mut config = builder.with_cert_resolver(shown);
        config.alpn_protocols = vec![b"http/1.1".to_vec(), b"http/1.0".to_vec()];
        config.ignore_client_order = !self.cipher_suites.is_empty();
        // A session that is resumed shows no certificate again, so one that has expired since
        // would still be good.
        if self.session_tickets && self.client_ca_file.is_none() {
            config.ticketer = Ticketer::new().map_err(|error| whole(&in_words(&error, true)))?;
        } else {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Arc::new(config))
    }
}
