//! What the configuration says about one destination, already checked.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::budget::Budget;
use super::tee::TeeSettings;
use crate::formats::{Format, Options};
use crate::http::HttpSettings;
use crate::model::{Labels, Scheme, Signal};
use crate::shaping::{Perspective, Rules};
use crate::spool::{DEFAULT_MAX_BYTES, DEFAULT_SYNC_INTERVAL, SyncPolicy};

/// One destination (`shipper`, or one of `shippers`).
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Unique among the destinations; its type where nothing else was said.
    pub name: String,
    /// What of its data this is about: each signal has a lane of its own.
    pub signal: Signal,
    /// By which names it is sent.
    pub naming: Scheme,
    /// Whether metricsd's own metrics, and `up`, are sent too.
    pub own_metrics: bool,
    /// Labels for every metric of this destination: the global ones, overridden by the
    /// destination's own. A metric's own label of the same name wins over both.
    pub labels: Labels,
    /// What is done with each series behind these: the rules for all destinations, then its own.
    pub rules: Rules,
    /// Where each of them stands in the configuration.
    pub rule_places: Vec<String>,
    /// Format and transport.
    pub kind: Kind,
    /// Where what is sent is written down, for looking at.
    pub tee_file: Option<TeeSettings>,
    /// How what waits for delivery is kept.
    pub spool: SpoolSettings,
    /// Requests under way at a time. Above 1 the order in which bodies arrive is not kept;
    /// remote write, whose receivers insist on it, always has 1.
    pub workers: usize,
    /// Requests a second with which a backlog is drained; none: as fast as they are taken.
    pub drain_rate: Option<f64>,
    /// Pauses between attempts.
    pub retry: RetrySettings,
}

impl Settings {
    /// From where the destination looks.
    pub fn perspective(&self) -> Perspective {
        let named = Perspective::new(self.naming, self.labels.clone());
        named.with_rules(self.rules.clone(), self.kind.format.has_no_dots())
    }

    /// What its lane is called, in the log and among the spools.
    pub fn lane_name(&self) -> String {
        format!("{}{}", self.name, self.signal.suffix())
    }

    /// The directory with what waits in its lane; none: it has none.
    pub fn home(&self) -> Option<PathBuf> {
        self.spool.home(&self.lane_name())
    }

    /// Whether `other` speaks of the same lane, however it is set.
    pub fn is_same_lane(&self, other: &Settings) -> bool {
        self.name == other.name && self.signal == other.signal
    }

    /// How many senders there are.
    pub fn senders(&self) -> usize {
        if self.kind.format.ordered { 1 } else { self.workers.max(1) }
    }

    /// Whether any server will do, whosever certificate it shows.
    pub fn is_unverified(&self) -> bool {
        let tls = self.kind.network().and_then(|network| network.tls.as_ref());
        tls.is_some_and(|tls| tls.insecure_skip_verify)
    }
}

/// A destination's `type` with what belongs to it alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Kind {
    /// What is sent.
    pub format: &'static Format,
    /// What is set of the format.
    pub options: Options,
    /// Where it goes.
    pub to: To,
}

/// Where bodies go.
#[derive(Clone, Debug, PartialEq)]
pub enum To {
    /// To a URL.
    Http(Box<HttpSettings>),
    /// On a connection without HTTP: what counts of it is the host and the port, TLS and the timeout.
    Tcp(Box<HttpSettings>),
    /// Into this file, a line each.
    File(PathBuf),
    /// To standard output, a line each.
    Stdout,
}

impl Kind {
    /// A format that goes over HTTP.
    pub fn to_url(format: &'static Format, options: Options, http: HttpSettings) -> Kind {
        Kind { format, options, to: To::Http(Box::new(http)) }
    }

    /// The `type` in the configuration.
    pub fn as_str(&self) -> &'static str {
        self.format.name
    }

    /// How it is reached, if over HTTP.
    pub fn http(&self) -> Option<&HttpSettings> {
        match &self.to {
            To::Http(http) => Some(http),
            To::Tcp(_) | To::File(_) | To::Stdout => None,
        }
    }

    /// How it is reached, if over the network.
    pub fn network(&self) -> Option<&HttpSettings> {
        match &self.to {
            To::Http(network) | To::Tcp(network) => Some(network),
            To::File(_) | To::Stdout => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.to {
            To::Http(http) => {
                write!(f, "{} to {}", self.as_str(), http.endpoint)?;
                http.proxy.as_ref().map_or(Ok(()), |proxy| write!(f, " through the proxy {proxy}"))
            }
            To::Tcp(tcp) => {
                let scheme = if tcp.endpoint.is_https() { "tls" } else { "tcp" };
                write!(f, "{} to {scheme}://{}", self.as_str(), tcp.endpoint.authority())
            }
            To::File(path) => write!(f, "{} {}", self.as_str(), path.display()),
            To::Stdout => f.write_str(self.as_str()),
        }
    }
}

/// Pauses between attempts: exponential with full jitter between the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetrySettings {
    /// After the first failure, at most this.
    pub min_backoff: Duration,
    /// After many, at most this: a destination that is back sees its backlog within seconds.
    pub max_backoff: Duration,
    /// One body is answered 5xx for so long, while another one is taken: then it is dropped.
    pub aside_after: Duration,
}

impl Default for RetrySettings {
    fn default() -> RetrySettings {
        RetrySettings {
            min_backoff: Duration::from_millis(500),
            max_backoff: Duration::from_secs(5),
            aside_after: Duration::from_secs(600),
        }
    }
}

/// How what waits for a destination is kept (`spool`).
#[derive(Clone, Debug, PartialEq)]
pub struct SpoolSettings {
    /// Where and when it goes to disk.
    pub mode: SpoolMode,
    /// The directory of all spools; a destination's own is the one of its name in it.
    pub dir: Option<PathBuf>,
    /// What may wait on disk, in bytes; over it the oldest goes, counted.
    pub max_bytes: u64,
    /// What may wait in memory, in bytes as sent: in [`SpoolMode::Memory`], and where the
    /// disk does not take it.
    pub memory_max_bytes: usize,
    /// What is older than this is dropped, counted.
    pub max_age: Option<Duration>,
    /// When what was written is forced to the device.
    pub sync: SyncPolicy,
    /// What all spools together may take.
    pub budget: Arc<Budget>,
}

/// Where a body is while it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpoolMode {
    /// On disk when it is not delivered within a second, or finds another waiting.
    Behind,
    /// On disk, and forced to the device, before it is sent.
    Always,
    /// In memory.
    Memory,
}

impl SpoolSettings {
    /// The directory with what waits in the lane `name`; none: it has none.
    pub fn home(&self, name: &str) -> Option<PathBuf> {
        self.dir.as_ref().filter(|_| self.has_home()).map(|dir| dir.join(name))
    }

    /// Whether anything that waits has a place on disk.
    pub fn has_home(&self) -> bool {
        self.dir.is_some() && self.mode != SpoolMode::Memory
    }

    /// When what is written is forced to the device.
    pub fn sync_policy(&self) -> SyncPolicy {
        match self.mode {
            SpoolMode::Always => SyncPolicy::Always,
            _ => self.sync,
        }
    }

    /// Whether what was read at `time_ms` is older than `max_age`; both in wall-clock milliseconds.
    pub fn is_expired(&self, time_ms: i64, now_ms: i64) -> bool {
        self.old_before_ms(now_ms).is_some_and(|limit_ms| time_ms < limit_ms)
    }

    /// What is from before this time is older than `max_age`; both in wall-clock
    /// milliseconds. None where there is no such limit.
    pub fn old_before_ms(&self, now_ms: i64) -> Option<i64> {
        let max_age_ms = i64::try_from(self.max_age?.as_millis()).unwrap_or(i64::MAX);
        Some(now_ms.saturating_sub(max_age_ms))
    }

    /// In memory, at most `max_bytes`.
    pub fn memory(max_bytes: usize) -> SpoolSettings {
        SpoolSettings {
            mode: SpoolMode::Memory,
            dir: None,
            max_bytes: max_bytes as u64,
            memory_max_bytes: max_bytes,
            max_age: None,
            sync: SyncPolicy::Interval(DEFAULT_SYNC_INTERVAL),
            budget: Arc::new(Budget::new(u64::MAX)),
        }
    }

    /// Behind the sender, below `dir`, with the defaults for the rest.
    pub fn behind(dir: impl Into<PathBuf>) -> SpoolSettings {
        SpoolSettings {
            mode: SpoolMode::Behind,
            dir: Some(dir.into()),
            max_bytes: DEFAULT_MAX_BYTES,
            ..SpoolSettings::memory(DEFAULT_MEMORY_MAX_BYTES)
        }
    }
}

/// Default of [`SpoolSettings::memory_max_bytes`]: hours of a small host's ticks, and small
/// enough for a machine with 64 MB of memory.
pub const DEFAULT_MEMORY_MAX_BYTES: usize = 4 << 20;
