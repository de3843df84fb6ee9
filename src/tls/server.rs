//! What one who is connected to needs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::Ticketer;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig, SignatureAlgorithm, SupportedCipherSuite};

use super::files::{FileError, others_may_read, read_file};
use super::kept::Recipe;
use super::names::{self, Version};
use super::pem::{certificates, private_key};
use super::validity::{Purpose, notes};

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
    pub cipher_suites: Vec<String>,
    /// Whether sessions are resumed. With `client_ca_file` they never are.
    pub session_tickets: bool,
}

impl ServerSettings {
    /// Reads the files and sees whether all of it goes together. What an operator should know
    /// of them, a line each.
    pub fn check(&self) -> Result<Vec<String>, FileError> {
        let contents: Result<Vec<_>, _> = self.paths().into_iter().map(read_file).collect();
        let contents = contents?;
        self.make(&contents)?;
        Ok(self.warnings(&contents))
    }

    /// Suites of TLS 1.2 are each for one kind of key; where no other version is offered, one
    /// of them has to be for ours.
    fn fits(&self, provider: &CryptoProvider, key: &PrivateKeyDer<'static>) -> Result<(), FileError> {
        // A key that cannot be read is told of by who uses it.
        let Ok(key) = provider.key_provider.load_private_key(key.clone_key()) else { return Ok(()) };
        let algorithm = key.algorithm();
        let is_good = |suite: &SupportedCipherSuite| match suite.tls13() {
            Some(_) => self.max_version >= Version::Tls13,
            None => self.min_version <= Version::Tls12 && suite.usable_for_signature_algorithm(algorithm),
        };
        if provider.cipher_suites.iter().any(is_good) {
            return Ok(());
        }
        let (kind, wanted) = match algorithm {
            SignatureAlgorithm::RSA => ("an RSA key", "TLS_ECDHE_RSA"),
            _ => ("an ECDSA or Ed25519 key", "TLS_ECDHE_ECDSA"),
        };
        Err(FileError::new(
            &self.key_file,
            format!(
                "{kind}, which none of cipher_suites is for; name one that begins with {wanted}, or one of TLS 1.3"
            ),
        ))
    }

    fn roots(path: &Path, pem: &[u8]) -> Result<RootCertStore, FileError> {
        let mut roots = RootCertStore::empty();
        for (at, certificate) in certificates(path, pem)?.into_iter().enumerate() {
            roots
                .add(certificate)
                .map_err(|error| FileError::new(path, format!("certificate {} in it: {error}", at + 1)))?;
        }
        Ok(roots)
    }
}

/// What is said of a key or secret file that anybody may read; none where that is not so.
pub fn key_is_open(path: &Path) -> Option<String> {
    others_may_read(path)
        .then(|| format!("{}: every user of this machine may read this file; chmod o-r it", path.display()))
}

impl Recipe for ServerSettings {
    type Made = Arc<ServerConfig>;

    fn paths(&self) -> Vec<&Path> {
        [&self.cert_file, &self.key_file].into_iter().chain(&self.client_ca_file).map(PathBuf::as_path).collect()
    }

    fn warnings(&self, contents: &[Vec<u8>]) -> Vec<String> {
        let of_ours = contents.first().map(|pem| notes(&self.cert_file, pem, Purpose::Server));
        key_is_open(&self.key_file).into_iter().chain(of_ours.into_iter().flatten()).collect()
    }

    fn make(&self, contents: &[Vec<u8>]) -> Result<Arc<ServerConfig>, FileError> {
        let [cert, key, ca @ ..] = contents else { return Err(FileError::new(&self.cert_file, "has not been read")) };
        let whole = |error: &dyn std::fmt::Display| FileError::new(&self.cert_file, format!("cannot be used: {error}"));
        let provider = names::provider(&self.cipher_suites);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&names::versions(self.min_version, self.max_version))
            .map_err(|error| whole(&error))?;
        let builder = match (&self.client_ca_file, ca) {
            (Some(path), [pem]) => {
                let roots = Arc::new(ServerSettings::roots(path, pem)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
                builder.with_client_cert_verifier(verifier.map_err(|error| whole(&error))?)
            }
            _ => builder.with_no_client_auth(),
        };
        let chain = certificates(&self.cert_file, cert)?;
        let key = private_key(&self.key_file, key)?;
        self.fits(&provider, &key)?;
        let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                FileError::new(&self.key_file, "the private key is not this certificate's (key values mismatch)")
            }
            error => whole(&error),
        })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec(), b"http/1.0".to_vec()];
        config.ignore_client_order = !self.cipher_suites.is_empty();
        // A session that is resumed shows no certificate again, so one that has expired since
        // would still be good.
        if self.session_tickets && self.client_ca_file.is_none() {
            config.ticketer = Ticketer::new().map_err(|error| whole(&error))?;
        } else {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Arc::new(config))
    }
}
