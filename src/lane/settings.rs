//! What the configuration says about one destination, already checked.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::Url;
use crate::model::Labels;

/// One destination (`shipper`, or one of `shippers`).
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Unique among the destinations; its type where nothing else was said.
    pub name: String,
    /// Labels for every metric of this destination: the global ones, overridden by the
    /// destination's own. A metric's own label of the same name wins over both.
    pub labels: Labels,
    /// Format and transport.
    pub kind: Kind,
    /// What may wait for delivery, in bytes as sent; over it the oldest goes, counted.
    pub queue_max_bytes: usize,
    /// Pauses between attempts.
    pub retry: RetrySettings,
}

/// A destination's `type` with what belongs to it alone.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// `prometheus_remote_write`, version 1.0. Also gets `job` and `instance` labels where not set.
    RemoteWrite(HttpSettings),
    /// `http_json`.
    HttpJson(HttpSettings, Compression),
    /// `file`: one JSON payload a line, appended.
    File(PathBuf),
    /// `stdout`: the same on standard output.
    Stdout,
}

impl Kind {
    /// The `type` in the configuration.
    pub fn as_str(&self) -> &'static str {
        match self {
            Kind::RemoteWrite(_) => "prometheus_remote_write",
            Kind::HttpJson(..) => "http_json",
            Kind::File(_) => "file",
            Kind::Stdout => "stdout",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::RemoteWrite(http) | Kind::HttpJson(http, _) => write!(f, "{} to {}", self.as_str(), http.endpoint),
            Kind::File(path) => write!(f, "{} {}", self.as_str(), path.display()),
            Kind::Stdout => f.write_str(self.as_str()),
        }
    }
}

/// How a network destination is reached.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpSettings {
    /// `http://host[:port]/path`, checked to be a URL.
    pub endpoint: Url,
    /// From connecting to the last byte of the answer.
    pub timeout: Duration,
}

/// How a JSON body travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// As it is.
    #[default]
    None,
    /// `Content-Encoding: gzip`.
    Gzip,
}

/// Pauses between attempts: exponential with full jitter between the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetrySettings {
    /// After the first failure, at most this.
    pub min_backoff: Duration,
    /// After many, at most this: a destination that is back sees its backlog within seconds.
    pub max_backoff: Duration,
}

impl Default for RetrySettings {
    fn default() -> RetrySettings {
        RetrySettings { min_backoff: Duration::from_millis(500), max_backoff: Duration::from_secs(5) }
    }
}

/// Default of [`Settings::queue_max_bytes`]: days of a small host's ticks, and small
/// enough for a machine with 64 MB of memory.
pub const DEFAULT_QUEUE_MAX_BYTES: usize = 4 << 20;

/// Default of [`HttpSettings::timeout`].
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
