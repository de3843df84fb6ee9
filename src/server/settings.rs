//! What the configuration says about the server (`server.*`).

use super::auth::AuthSettings;
use crate::tls::ServerSettings;

/// What the configuration says about it (`server.*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Address to bind: an IP address or a host name.
    pub host: String,
    /// TCP port, never 0 in a configuration. Tests use 0 for any port that is free.
    pub port: u16,
    /// TLS; none: plain HTTP.
    pub tls: Option<ServerSettings>,
    /// Who is let in to more than `/live`; by default everybody.
    pub auth: AuthSettings,
}

impl Settings {
    /// Whether a server under these settings may keep the port of one under `others`.
    pub fn is_same_address(&self, others: &Settings) -> bool {
        (&self.host, self.port) == (&others.host, others.port)
    }
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { host: "0.0.0.0".to_owned(), port: 8080, tls: None, auth: AuthSettings::default() }
    }
}
