//! The HTTP server: /health, /ready, /live, /metrics and a page that links them.

/// What the configuration says about it (`server.*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Address to bind: an IP address or a host name.
    pub host: String,
    /// TCP port, never 0.
    pub port: u16,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { host: "0.0.0.0".to_owned(), port: 8080 }
    }
}
