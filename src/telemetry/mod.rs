//! metricsd's own numbers: what each collector and each destination last did.
//!
//! Those who do the work write here, the HTTP server reads. Nothing here blocks for longer
//! than it takes to copy a few words.

mod collectors;
mod destinations;
mod endpoints;
mod exposition;
mod latest;
mod listen;
mod listened;
mod process;
mod subjects;
mod throttle;
mod time_text;

use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use collectors::{CollectorState, CollectorStatus, Round};
pub use destinations::{DestinationState, DestinationStatus, DropReason, Outcome, Trouble};
pub use endpoints::{EndpointState, EndpointStatus, Scrape, ScrapeCounts, ScrapeDrop, ScrapeFailure};
pub use exposition::{Exposition, OWN};
pub use latest::{Latest, Newest};
pub use listen::{LastTrouble, PushCounts, PushKind, PushOutcome, StatsdCounts, StatsdDrop};
pub use subjects::{Destination, Subjects};
pub use throttle::{Causes, Throttle};
pub use time_text::{counted, go_duration, rfc3339, rough_duration};

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

/// The date of what this was built from, milliseconds since the UNIX epoch, where it is known.
pub fn built_ms() -> Option<i64> {
    option_env!("METRICSD_BUILT")?.parse::<i64>().ok()?.checked_mul(1000)
}

/// What a panic said, where it said it in words.
pub fn panic_message(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// Which way a clock was stepped: the `direction` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepDirection {
    /// To a later time.
    Forward,
    /// To an earlier one.
    Backward,
}

impl StepDirection {
    /// Both, in the order of the metrics page.
    pub const ALL: [StepDirection; 2] = [StepDirection::Forward, StepDirection::Backward];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            StepDirection::Forward => "forward",
            StepDirection::Backward => "backward",
        }
    }
}

/// Everything that `/health` and `/metrics` say of metricsd itself.
#[derive(Debug)]
pub struct Telemetry {
    /// When the program started, CLOCK_BOOTTIME.
    pub started: Duration,
    /// When the program started: milliseconds since the UNIX epoch.
    pub started_wall_ms: i64,
    /// Tells this process from all others, for those that may ask themselves.
    pub instance: String,
    /// What scrapes came to.
    pub scrapes: Arc<ScrapeCounts>,
    /// The newest frame of each source.
    pub latest: Latest,
    subjects: subjects::Present,
    collections: AtomicU64,
    skipped: AtomicU64,
    /// Nanoseconds of CLOCK_MONOTONIC at the end of the last collection; 0 before the first.
    last_collection: AtomicU64,
    thread_lost: AtomicBool,
    clock_steps: [AtomicU64; StepDirection::ALL.len()],
    /// Why ticks are held, while they are.
    held: Mutex<Option<String>>,
    /// Why the last reload changed nothing, if it did not.
    reload_refused: Mutex<Option<String>>,
}

impl Telemetry {
    /// Of a program that started at `started` (CLOCK_BOOTTIME), or `started_wall_ms`.
    pub fn new(started: Duration, started_wall_ms: i64, subjects: Subjects) -> Telemetry {
        Telemetry {
            started,
            started_wall_ms,
            scrapes: Arc::default(),
            instance: format!("{:016x}", fastrand::u64(..)),
            latest: Latest::default(),
            subjects: subjects::Present::new(subjects),
            collections: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            last_collection: AtomicU64::new(0),
            thread_lost: AtomicBool::new(false),
            clock_steps: Default::default(),
            held: Mutex::new(None),
            reload_refused: Mutex::new(None),
        }
    }

    /// The collectors and destinations there are now.
    pub fn subjects(&self) -> Arc<Subjects> {
        self.subjects.get()
    }

    /// From now on there are these.
    pub fn exchange(&self, subjects: Subjects) {
        self.subjects.set(subjects);
    }

    /// A collection ended at `now` (CLOCK_MONOTONIC), `skipped` ticks of the grid having been missed before it.
    pub fn collected(&self, now: Duration, skipped: u64) {
        self.skipped.fetch_add(skipped, Ordering::Relaxed);
        self.last_collection.store(now.as_nanos() as u64, Ordering::Relaxed);
        self.collections.fetch_add(1, Ordering::Relaxed);
    }

    /// The same of a tick that was held: what it read is shown here, and goes nowhere else.
    pub fn held(&self, now: Duration, skipped: u64) {
        self.skipped.fetch_add(skipped + 1, Ordering::Relaxed);
        self.last_collection.store(now.as_nanos() as u64, Ordering::Relaxed);
    }

    /// So many collections came to nothing.
    pub fn missed(&self, count: u64) {
        self.skipped.fetch_add(count, Ordering::Relaxed);
    }

    /// Why ticks are held from now on; none: they are not.
    pub fn hold(&self, why: Option<String>) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// Why ticks are held, while they are.
    pub fn why_held(&self) -> Option<String> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How the last reload ended: why it changed nothing, or none.
    pub fn reloaded(&self, refused: Option<String>) {
        *self.reload_refused.lock().unwrap_or_else(PoisonError::into_inner) = refused;
    }

    /// Why the last reload changed nothing, if it did not.
    pub fn reload_refused(&self) -> Option<String> {
        self.reload_refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The wall clock was stepped.
    pub fn clock_stepped(&self, direction: StepDirection) {
        self.clock_steps[direction as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Steps of the wall clock since the start.
    pub fn clock_steps(&self, direction: StepDirection) -> u64 {
        self.clock_steps[direction as usize].load(Ordering::Relaxed)
    }

    /// Collections since the start.
    pub fn collections(&self) -> u64 {
        self.collections.load(Ordering::Relaxed)
    }

    /// Ticks of the grid that were missed or held since the start.
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
