//! What one who connects needs, kept in step with its files.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

use super::files::{FileError, Files, others_may_read, read_file};
use super::names::{self, Version};
use super::pem::{Identity, certificates, private_key};
use super::validity::{Purpose, notes};
use super::verify::{AcceptAny, Verifier};

/// Sessions that are kept for resumption: a destination has one address or a few.
const SESSIONS: usize = 8;

/// The keys that the cryptography takes.
const KEYS: &str = "use RSA (2048 bits or more), ECDSA (P-256, P-384) or Ed25519";

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
    /// IANA names, all of them known, in the order in which they are offered; none: all.
    pub cipher_suites: Vec<String>,
    /// Whether sessions are resumed.
    pub session_tickets: bool,
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

impl ClientSettings {
    /// The files that are named.
    fn files(&self) -> impl Iterator<Item = &Path> {
        let identity = self.identity.iter().flat_map(|(certificate, key)| [certificate, key]);
        identity.chain(&self.ca_file).map(PathBuf::as_path)
    }

    /// Reads the files and sees whether all of it goes together. What an operator should know
    /// of them, a line each.
    pub fn check(&self) -> Result<Vec<String>, FileError> {
        let material = Material::read(self)?;
        material.config(self)?;
        Ok(self.warnings(&material))
    }

    /// What is to be said of files that are good.
    fn warnings(&self, material: &Material) -> Vec<String> {
        let ours = self.identity.as_ref().zip(material.identity.as_ref());
        let of_ours = ours.map(|((path, _), (pem, _))| notes(path, pem, Purpose::Client));
        self.key_is_open().into_iter().chain(of_ours.into_iter().flatten()).collect()
    }

    /// What is to be said of a key file that anybody may read.
    fn key_is_open(&self) -> Option<String> {
        let (_, key) = self.identity.as_ref().filter(|(_, key)| others_may_read(key))?;
        Some(format!("{}: every user of this machine may read this key; chmod o-r it", key.display()))
    }
}

/// The content of the files.
#[derive(PartialEq, Eq)]
struct Material {
    identity: Option<(Vec<u8>, Vec<u8>)>,
    ca: Option<Vec<u8>>,
}

impl Material {
    fn read(settings: &ClientSettings) -> Result<Material, FileError> {
        let pair = |(certificate, key): &(PathBuf, PathBuf)| Ok((read_file(certificate)?, read_file(key)?));
        Ok(Material {
            identity: settings.identity.as_ref().map(pair).transpose()?,
            ca: settings.ca_file.as_deref().map(read_file).transpose()?,
        })
    }

    /// As rustls takes it. That a key is its certificate's is checked on the way.
    fn config(&self, settings: &ClientSettings) -> Result<Arc<ClientConfig>, FileError> {
        // Where there is no file to blame, the configuration is: its reader has checked that.
        let blamed = settings.files().next().unwrap_or(Path::new("tls"));
        let whole = |error: &dyn std::fmt::Display| FileError::new(blamed, error.to_string());
        let provider = names::provider(&settings.cipher_suites);
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&names::versions(settings.min_version, settings.max_version))
            .map_err(|error| whole(&error))?
            .dangerous();
        let builder = if settings.insecure_skip_verify {
            builder.with_custom_certificate_verifier(Arc::new(AcceptAny(provider)))
        } else {
            let (roots, pinned) = self.roots(settings)?;
            let verifier = Verifier::new(roots, pinned, provider).map_err(|why| whole(&why))?;
            builder.with_custom_certificate_verifier(Arc::new(verifier))
        };
        let mut config = match self.identity(settings)? {
            None => builder.with_no_client_auth(),
            Some(([certificate_path, key_path], Identity { chain, key })) => {
                builder.with_client_auth_cert(chain, key).map_err(|error| match error {
                    rustls::Error::InconsistentKeys(_) => {
                        FileError::new(key_path, "the private key is not this certificate's (key values mismatch)")
                    }
                    rustls::Error::InvalidCertificate(why) => {
                        FileError::new(certificate_path, format!("cannot be used: its first certificate: {why}"))
                    }
                    rustls::Error::General(why) => FileError::new(key_path, format!("cannot be used: {why}; {KEYS}")),
                    error => FileError::new(key_path, format!("cannot be used: {error}")),
                })?
            }
        };
        config.resumption =
            if settings.session_tickets { Resumption::in_memory_sessions(SESSIONS) } else { Resumption::disabled() };
        Ok(Arc::new(config))
    }

    /// With the paths of certificate and key.
    fn identity<'s>(&self, settings: &'s ClientSettings) -> Result<Option<([&'s Path; 2], Identity)>, FileError> {
        let (Some((certificate, key)), Some((certificate_path, key_path))) = (&self.identity, &settings.identity)
        else {
            return Ok(None);
        };
        let chain = certificates(certificate_path, certificate)?;
        let key = private_key(key_path, key)?;
        Ok(Some(([certificate_path, key_path], Identity { chain, key })))
    }

    /// Whom to trust, and which certificates were named for it one by one.
    fn roots(&self, settings: &ClientSettings) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), FileError> {
        let (Some(path), Some(pem)) = (&settings.ca_file, &self.ca) else {
            return Ok((roots_of(rustls_native_certs::load_native_certs().certs), Vec::new()));
        };
        let named = certificates(path, pem)?;
        let mut roots = RootCertStore::empty();
        for (at, certificate) in named.iter().enumerate() {
            roots
                .add(certificate.clone())
                .map_err(|error| FileError::new(path, format!("certificate {} in it: {error}", at + 1)))?;
        }
        Ok((roots, named))
    }
}

/// The roots that a `system` has; where it has none, as in an empty container, those of
/// Mozilla that were current when this was built.
fn roots_of(system: Vec<CertificateDer<'static>>) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    // Some of a system's roots are odd; those that can be used count.
    roots.add_parsable_certificates(system);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

/// TLS towards one destination, shared by all its connections.
pub struct Client {
    /// Whose it is, for the log: `destination NAME`.
    subject: String,
    settings: ClientSettings,
    state: Mutex<State>,
}

struct State {
    files: Files,
    /// The last good one.
    good: Option<(Material, Arc<ClientConfig>)>,
    /// Why what the files hold now is not used.
    trouble: Option<FileError>,
}

impl Client {
    /// Reads the files. What is wrong with them is what [`Client::config`] says then.
    pub fn new(subject: impl Into<String>, settings: ClientSettings) -> Client {
        let files = Files::new(settings.files());
        let state = State { files, good: None, trouble: None };
        let client = Client { subject: subject.into(), settings, state: Mutex::new(state) };
        client.take_up(&mut client.lock());
        client
    }

    /// Looks whether the files have changed, and takes up what they hold if it is of use.
    /// Whether anything is different since: connections are to be made anew then.
    pub fn refresh(&self) -> bool {
        let mut state = self.lock();
        state.files.have_changed() && self.take_up(&mut state)
    }

    /// The configuration for the next connection: what the files hold, or held when they
    /// were last of use.
    pub fn config(&self) -> Result<Arc<ClientConfig>, FileError> {
        let state = self.lock();
        match (&state.good, &state.trouble) {
            (Some((_, config)), _) => Ok(Arc::clone(config)),
            (None, Some(trouble)) => Err(trouble.clone()),
            (None, None) => Err(FileError::new(Path::new("tls"), "has not been read")),
        }
    }

    /// The name that `host`'s certificate has to hold, which is also that of SNI.
    pub fn server_name(&self, host: &str) -> Result<ServerName<'static>, String> {
        if let Some(name) = &self.settings.server_name {
            return Ok(name.clone());
        }
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        ServerName::try_from(bare.to_owned())
            .map_err(|_| format!("{host} is no name that a certificate can hold; set tls.server_name"))
    }

    /// Says once what is wrong, and once that it is over.
    fn take_up(&self, state: &mut State) -> bool {
        let outcome = Material::read(&self.settings).and_then(|material| {
            if state.good.as_ref().is_some_and(|(good, _)| *good == material) {
                return Ok(None);
            }
            let config = material.config(&self.settings)?;
            Ok(Some((material, config)))
        });
        match outcome {
            Ok(new) => {
                let renewed = new.is_some();
                let first = state.good.is_none() && state.trouble.is_none();
                if (renewed && !first) || state.trouble.is_some() {
                    log::info!("{}: its TLS files are good; they are used from the next connection on", self.subject);
                }
                if let Some((material, _)) = new.as_ref().filter(|_| !first) {
                    // Of the first ones the configuration's reader says this.
                    for warning in self.settings.warnings(material) {
                        log::warn!("{}: {warning}", self.subject);
                    }
                }
                state.good = new.or(state.good.take());
                state.trouble = None;
                renewed && !first
            }
            Err(error) => {
                if state.good.is_some() && state.trouble.as_ref() != Some(&error) {
                    log::warn!("{}: {error}; the last good TLS files stay in use", self.subject);
                }
                state.trouble = Some(error);
                false
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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

    #[test]
    fn a_host_without_roots_has_mozillas() {
        let bundled = webpki_roots::TLS_SERVER_ROOTS;
        assert!(bundled.len() > 50);
        assert_eq!(roots_of(Vec::new()).roots, bundled);
        assert_eq!(roots_of(vec![CertificateDer::from(vec![0x30, 0x00])]).roots, bundled);
    }
}
