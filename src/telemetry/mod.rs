//! metricsd's own numbers: what each collector and each destination last did.
//!
//! Those who do the work write here, the HTTP server reads. Nothing here blocks for longer
//! than it takes to copy a few words.

mod collectors;
mod destinations;
mod exposition;
mod latest;
mod process;
mod throttle;
mod time_text;

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

pub use collectors::{CollectorState, CollectorStatus, Round};
pub use destinations::{DestinationState, DestinationStatus, DropReason, Outcome};
pub use exposition::Exposition;
pub use latest::Latest;
pub use throttle::Throttle;
pub use time_text::{go_duration, rfc3339};

/// metricsd's version, as in `Cargo.toml`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that this was built from, or `unknown`.
pub const COMMIT: &str = match option_env!("METRICSD_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// The target that this was built for (`x86_64-unknown-linux-musl`), or `unknown`.
pub const TARGET: &str = match option_env!("METRICSD_TARGET") {
    Some(target) => target,
    None => "unknown",
};

/// What a panic said, where it said it in words.
pub fn panic_message(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// Everything that `/health` and `/metrics` say of metricsd itself.
#[derive(Debug)]
pub struct Telemetry {
    /// When the program started, CLOCK_MONOTONIC.
    pub started: Duration,
    /// When the program started: milliseconds since the UNIX epoch.
    pub started_wall_ms: i64,
    /// Time between two collections.
    pub interval: Duration,
    /// One a collector, in the table's order.
    pub collectors: Vec<Arc<CollectorStatus>>,
    /// One a destination, in the configuration's order.
    pub destinations: Vec<Arc<DestinationStatus>>,
    /// The newest frame of each source.
    pub latest: Latest,
    collections: AtomicU64,
    skipped: AtomicU64,
    /// Nanoseconds of CLOCK_MONOTONIC at the end of the last collection; 0 before the first.
    last_collection: AtomicU64,
    thread_lost: AtomicBool,
}

impl Telemetry {
    /// Of a program that has just started.
    pub fn new(
        started: Duration,
        started_wall_ms: i64,
        interval: Duration,
        collectors: Vec<Arc<CollectorStatus>>,
        destinations: Vec<Arc<DestinationStatus>>,
    ) -> Telemetry {
        Telemetry {
            started,
            started_wall_ms,
            interval,
            collectors,
            destinations,
            latest: Latest::default(),
            collections: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            last_collection: AtomicU64::new(0),
            thread_lost: AtomicBool::new(false),
        }
    }

    /// A collection ended at `now` (CLOCK_MONOTONIC), `skipped` ticks of the grid having been missed before it.
    pub fn collected(&self, now: Duration, skipped: u64) {
        self.skipped.fetch_add(skipped, Ordering::Relaxed);
        self.last_collection.store(now.as_nanos() as u64, Ordering::Relaxed);
        self.collections.fetch_add(1, Ordering::Relaxed);
    }

    /// Collections since the start.
    pub fn collections(&self) -> u64 {
        self.collections.load(Ordering::Relaxed)
    }

    /// Ticks of the grid that were missed since the start.
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    /// When the last collection ended, CLOCK_MONOTONIC; none before the first.
    pub fn last_collection(&self) -> Option<Duration> {
        match self.last_collection.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }

    /// A thread ended that should not have.
    pub fn thread_lost(&self) {
        self.thread_lost.store(true, Ordering::Relaxed);
    }

    /// Whether a thread ended that should not have.
    pub fn is_thread_lost(&self) -> bool {
        self.thread_lost.load(Ordering::Relaxed)
    }
}
