//! What the last scrape of each endpoint was like.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How an endpoint is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointState {
    /// Nobody has asked it yet.
    Pending,
    /// Its last scrape gave its page.
    Ok,
    /// Its last scrape gave nothing.
    Failed,
    /// Its turn did not come: all threads waited for others that do not answer.
    Waiting,
}

impl EndpointState {
    /// The word in `/health`.
    pub fn as_str(self) -> &'static str {
        match self {
            EndpointState::Pending => "pending",
            EndpointState::Ok => "ok",
            EndpointState::Failed => "failed",
            EndpointState::Waiting => "waiting",
        }
    }
}

/// One scrape.
#[derive(Clone, Debug, PartialEq)]
pub struct Scrape {
    /// How it ended.
    pub state: EndpointState,
    /// When it began: milliseconds since the UNIX epoch.
    pub time_ms: i64,
    /// How long it took.
    pub duration: Duration,
    /// Samples on the page.
    pub samples: usize,
    /// Why it gave nothing, or what of it was not taken.
    pub error: Option<String>,
}

/// An endpoint's name and its last scrape.
#[derive(Debug)]
pub struct EndpointStatus {
    name: Arc<str>,
    last: Mutex<Scrape>,
    /// Of its rules those that are counted one by one: where each stands among them, and how many samples it dropped.
    rules: Box<[(String, AtomicU64)]>,
}

impl EndpointStatus {
    /// Of an endpoint that nobody has asked yet.
    pub fn new(name: impl Into<Arc<str>>) -> EndpointStatus {
        let last =
            Scrape { state: EndpointState::Pending, time_ms: 0, duration: Duration::ZERO, samples: 0, error: None };
        EndpointStatus { name: name.into(), last: Mutex::new(last), rules: Box::default() }
    }

    /// The same, of whose rules these are counted one by one.
    pub fn with_rules(self, places: impl IntoIterator<Item = String>) -> EndpointStatus {
        EndpointStatus { rules: places.into_iter().map(|place| (place, AtomicU64::new(0))).collect(), ..self }
    }

    /// Each of its rules that are counted has dropped so many samples more.
    pub fn rules_dropped(&self, samples: &[u64]) {
        for ((_, count), more) in self.rules.iter().zip(samples) {
            count.fetch_add(*more, Ordering::Relaxed);
        }
    }

    /// Each of its rules that are counted: where it stands among them, and how many samples it dropped.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = (&str, u64)> {
        self.rules.iter().map(|(place, count)| (&**place, count.load(Ordering::Relaxed)))
    }

    /// As in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A scrape has ended; gives the one before it.
    pub fn ended(&self, scrape: Scrape) -> Scrape {
        std::mem::replace(&mut *self.last.lock().unwrap_or_else(PoisonError::into_inner), scrape)
    }

    /// The last scrape.
    pub fn last(&self) -> Scrape {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Why a scrape came to nothing: the `reason` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScrapeFailure {
    /// No answer in time.
    Timeout,
    /// No connection, or one that broke.
    Connection,
    /// An answer without a page: its status, or where it leads.
    Status,
    /// A page that cannot be read, or is over a limit.
    Page,
    /// Its turn did not come.
    Waiting,
    /// A bug of metricsd.
    Bug,
}

impl ScrapeFailure {
    /// All of them, in the order of the metrics page.
    pub const ALL: [ScrapeFailure; 6] = [
        ScrapeFailure::Timeout,
        ScrapeFailure::Connection,
        ScrapeFailure::Status,
        ScrapeFailure::Page,
        ScrapeFailure::Waiting,
        ScrapeFailure::Bug,
    ];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            ScrapeFailure::Timeout => "timeout",
            ScrapeFailure::Connection => "connection",
            ScrapeFailure::Status => "status",
            ScrapeFailure::Page => "page",
            ScrapeFailure::Waiting => "waiting",
            ScrapeFailure::Bug => "bug",
        }
    }
}

/// Why a sample of a page that was read is not taken: the `reason` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScrapeDrop {
    /// The same series came before.
    Duplicate,
    /// Its own time is too far from the scrape's.
    Untimely,
    /// A rule of its endpoint.
    Transforms,
}

impl ScrapeDrop {
    /// All of them, in the order of the metrics page.
    pub const ALL: [ScrapeDrop; 3] = [ScrapeDrop::Duplicate, ScrapeDrop::Untimely, ScrapeDrop::Transforms];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            ScrapeDrop::Duplicate => "duplicate",
            ScrapeDrop::Untimely => "untimely",
            ScrapeDrop::Transforms => "transforms",
        }
    }
}

/// What scrapes came to since the start, of all endpoints together: which one it was is for its `up`
/// and for `/health` to say, and a thousand endpoints are not ten thousand series.
#[derive(Debug, Default)]
pub struct ScrapeCounts {
    failed: [AtomicU64; ScrapeFailure::ALL.len()],
    dropped: [AtomicU64; ScrapeDrop::ALL.len()],
}

impl ScrapeCounts {
    /// A scrape came to nothing.
    pub fn fail(&self, why: ScrapeFailure) {
        self.failed[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// So many samples were not taken.
    pub fn drop_samples(&self, why: ScrapeDrop, count: u64) {
        self.dropped[why as usize].fetch_add(count, Ordering::Relaxed);
    }

    /// Scrapes that came to nothing.
    pub fn failed(&self, why: ScrapeFailure) -> u64 {
        self.failed[why as usize].load(Ordering::Relaxed)
    }

    /// Samples that were not taken.
    pub fn dropped(&self, why: ScrapeDrop) -> u64 {
        self.dropped[why as usize].load(Ordering::Relaxed)
    }
}
