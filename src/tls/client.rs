//! What one who connects needs, kept in step with its files.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;

use super::identity::identity;
use super::names::{self, Version};
use super::pem::{Authorities, authorities, private_key, skipped};
use super::roots::system_roots;
use super::validity::{Purpose, notes};
use super::verify::{AcceptAny, Verifier};
use super::words::in_words;
use super::{TLS_FILES, unread};
use crate::files::{FileError, Kept, Recipe};

/// Sessions that are kept for resumption: a destination has one address or a few.
const SESSIONS: usize = 8;

/// What the configuration says (`tls`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSettings {
    /// Our certificate, with its chain, and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Whom to trust; none: the system's roots, or Mozilla's where it has none.
    pub ca_file: Option<PathBuf>,
    /// The name for SNI and verification; none: the URL's host.
    pub server_name: Option<ServerName<'static>>,
    /// Whether any certificate of the server will do.
    pub insecure_skip_verify: bool,
    /// Lowest version.
    pub min_version: Version,
    /// Highest version.
    pub max_version: Version,
    /// IANA names, all of them known, in the order in which they are offered; none: all. Those of
    /// TLS 1.3 stay where none of them is named.
    pub cipher_suites: Vec<String>,
    /// Whether sessions are resumed.
    pub session_tickets: bool,
}

impl ClientSettings {
    /// The same for a server that is not to learn who we are.
    pub fn without_identity(self) -> ClientSettings {
        ClientSettings { identity: None, server_name: None, ..self }
    }
}

impl Default for ClientSettings {
    fn default() -> ClientSettings {
        ClientSettings {
            identity: None,
            ca_file: None,
            server_name: None,
            insecure_skip_verify: false,
            min_version: Version::Tls12,
            max_version: Version::Tls13,
            cipher_suites: Vec::new(),
            session_tickets: true,
        }
    }
}

impl Recipe for ClientSettings {
    type Made = Arc<ClientConfig>;

    const FILES: &'static str = TLS_FILES;

    fn paths(&self) -> Vec<&Path> {
        let identity = self.identity.iter().flat_map(|(certificate, key)| [certificate, key]);
        identity.chain(&self.ca_file).map(PathBuf::as_path).collect()
    }

    fn secret_paths(&self) -> Vec<&Path> {
        self.identity.iter().map(|(_, key)| key.as_path()).collect()
    }

    fn notes(&self, contents: &[Vec<u8>]) -> Vec<FileError> {
        let ours = self.identity.as_ref().zip(contents.first());
        let mut said = ours.map(|((path, _), pem)| notes(path, pem, Purpose::Client)).unwrap_or_default();
        if let (Some(path), Some(pem), false) = (&self.ca_file, contents.last(), self.insecure_skip_verify) {
            said.extend(skipped(path, pem));
        }
        said
    }

    fn make(&self, contents: &[Vec<u8>]) -> Result<Arc<ClientConfig>, FileError> {
        // Where there is no file to blame, the configuration is: its reader has checked that.
        let blamed = self.paths().first().copied().unwrap_or(Path::new("tls"));
        let whole = |why: String| FileError::new(blamed, why);
        let (own, ca) = contents.split_at(contents.len().min(if self.identity.is_some() { 2 } else { 0 }));
        let provider = names::provider(&self.cipher_suites, self.min_version, self.max_version);
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&names::versions(self.min_version, self.max_version))
            .map_err(|error| whole(in_words(&error, true)))?
            .dangerous();
        let builder = if self.insecure_skip_verify {
            builder.with_custom_certificate_verifier(Arc::new(AcceptAny(Arc::clone(&provider))))
        } else {
            let (pinned, roots) = match (&self.ca_file, ca) {
                (Some(path), [pem]) => {
                    let Authorities { named, roots, .. } = authorities(path, pem)?;
                    (named, roots)
                }
                (Some(path), _) => return Err(unread(path)),
                (None, _) => (Vec::new(), system_roots()),
            };
            let verifier = Verifier::new(roots, pinned, Arc::clone(&provider)).map_err(whole)?;
            builder.with_custom_certificate_verifier(Arc::new(verifier))
        };
        let mut config = match (&self.identity, own) {
            (Some((path, key_path)), [certificates, key]) => {
                let key = private_key(key_path, key)?;
                builder.with_client_cert_resolver(identity(path, certificates, key_path, key, &provider)?)
            }
            (Some((path, _)), _) => return Err(unread(path)),
            (None, _) => builder.with_no_client_auth(),
        };
        config.resumption =
            if self.session_tickets { Resumption::in_memory_sessions(SESSIONS) } else { Resumption::disabled() };
        Ok(Arc::new(config))
    }
}

/// TLS towards one destination, shared by all its connections.
pub struct Client {
    server_name: Option<ServerName<'static>>,
    kept: Mutex<Kept<ClientSettings>>,
}

impl Client {
    /// Reads the files. What is wrong with them is what [`Client::config`] says then. `subject`
    /// is whose it is, for the log: `destination NAME`.
    pub fn new(subject: impl Into<String>, settings: ClientSettings) -> Client {
        Client { server_name: settings.server_name.clone(), kept: Mutex::new(Kept::new(subject, settings)) }
    }

    /// Looks whether the files have changed, and takes up what they hold if it is of use.
    /// Whether anything is different since: connections are to be made anew then.
    pub fn refresh(&self) -> bool {
        self.kept().refresh()
    }

    /// The configuration for the next connection: what the files hold, or held when they
    /// were last of use.
    pub fn config(&self) -> Result<Arc<ClientConfig>, FileError> {
        self.kept().get().cloned().map_err(FileError::clone)
    }

    /// The name that `host`'s certificate has to hold, which is also that of SNI.
    pub fn server_name(&self, host: &str) -> Result<ServerName<'static>, String> {
        if let Some(name) = &self.server_name {
            return Ok(name.clone());
        }
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        ServerName::try_from(bare.to_owned())
            .map_err(|_| format!("{host} is no name that a certificate can hold; set tls.server_name"))
    }

    fn kept(&self) -> MutexGuard<'_, Kept<ClientSettings>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_hosts_also_where_it_is_an_address() {
        let client = Client::new("destination x", ClientSettings::default());
        for (host, name) in [("h.example", "h.example"), ("192.0.2.1", "192.0.2.1"), ("[2001:db8::1]", "2001:db8::1")] {
            assert_eq!(client.server_name(host).unwrap().to_str(), name);
        }
        let error = client.server_name("a b").unwrap_err();
        assert_eq!(error, "a b is no name that a certificate can hold; set tls.server_name");
    }
}
