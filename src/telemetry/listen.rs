//! What came of what applications send by themselves.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Trouble is of interest for so long.
const RECENT: Duration = Duration::from_secs(300);

/// The last thing that went wrong.
#[derive(Debug, Default)]
pub struct LastTrouble(Mutex<Option<(String, Duration)>>);

impl LastTrouble {
    /// Something has gone wrong at `now` (CLOCK_MONOTONIC).
    pub fn note(&self, why: impl Into<String>, now: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((why.into(), now));
    }

    /// What went wrong last, whenever that was.
    pub fn last(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(why, _)| why.clone())
    }

    /// The same, if it was a short while ago.
    pub fn recent(&self, now: Duration) -> Option<String> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(_, at)| now.saturating_sub(*at) < RECENT).map(|(why, _)| why.clone())
    }
}

/// Why a metric of StatsD is not taken: the `reason` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatsdDrop {
    /// It is not one.
    Malformed,
    /// An event, a service check, an unknown type.
    Unsupported,
    /// It would be one series too many.
    MaxSeries,
    /// Its name is the host's, or metricsd's own.
    Reserved,
    /// Its name is that of a metric of another type.
    Conflict,
}

impl StatsdDrop {
    /// All of them, in the order of the metrics page.
    pub const ALL: [StatsdDrop; 5] = [
        StatsdDrop::Malformed,
        StatsdDrop::Unsupported,
        StatsdDrop::MaxSeries,
        StatsdDrop::Reserved,
        StatsdDrop::Conflict,
    ];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            StatsdDrop::Malformed => "malformed",
            StatsdDrop::Unsupported => "unsupported",
            StatsdDrop::MaxSeries => "max_series",
            StatsdDrop::Reserved => "reserved",
            StatsdDrop::Conflict => "conflict",
        }
    }
}

/// What came by StatsD since the start.
#[derive(Debug, Default)]
pub struct StatsdCounts {
    datagrams: AtomicU64,
    lost: AtomicU64,
    metrics: AtomicU64,
    dropped: [AtomicU64; StatsdDrop::ALL.len()],
    series: AtomicU64,
    /// What went wrong last.
    pub trouble: LastTrouble,
}

impl StatsdCounts {
    /// So many datagrams with so many metrics that were taken.
    pub fn took(&self, datagrams: u64, metrics: u64) {
        self.datagrams.fetch_add(datagrams, Ordering::Relaxed);
        self.metrics.fetch_add(metrics, Ordering::Relaxed);
    }

    /// So many datagrams came when the socket was full.
    pub fn lost(&self, datagrams: u64) {
        self.lost.fetch_add(datagrams, Ordering::Relaxed);
    }

    /// So many metrics were not taken.
    pub fn dropped(&self, why: StatsdDrop, metrics: u64) {
        self.dropped[why as usize].fetch_add(metrics, Ordering::Relaxed);
    }

    /// So many series there are now.
    pub fn has(&self, series: usize) {
        self.series.store(series as u64, Ordering::Relaxed);
    }

    /// Datagrams that were read.
    pub fn datagrams(&self) -> u64 {
        self.datagrams.load(Ordering::Relaxed)
    }

    /// Datagrams that the kernel dropped since its socket was full.
    pub fn datagrams_lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Metrics that were taken.
    pub fn metrics(&self) -> u64 {
        self.metrics.load(Ordering::Relaxed)
    }

    /// Metrics that were not taken.
    pub fn metrics_dropped(&self, why: StatsdDrop) -> u64 {
        self.dropped[why as usize].load(Ordering::Relaxed)
    }

    /// Series there are.
    pub fn series(&self) -> u64 {
        self.series.load(Ordering::Relaxed)
    }
}

/// What a push is, by where it is sent to: the `kind` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushKind {
    /// A page of Prometheus text.
    Text,
    /// OTLP metrics.
    OtlpMetrics,
    /// OTLP logs.
    OtlpLogs,
}

impl PushKind {
    /// All of them, in the order of the metrics page.
    pub const ALL: [PushKind; 3] = [PushKind::Text, PushKind::OtlpMetrics, PushKind::OtlpLogs];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            PushKind::Text => "text",
            PushKind::OtlpMetrics => "otlp_metrics",
            PushKind::OtlpLogs => "otlp_logs",
        }
    }
}

/// What became of a push: the `outcome` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushOutcome {
    /// It was taken, all of it or, of OTLP, a part.
    Taken,
    /// It was not, and is not to be sent again as it is.
    Refused,
    /// It was not for now.
    Unavailable,
}

impl PushOutcome {
    /// All of them, in the order of the metrics page.
    pub const ALL: [PushOutcome; 3] = [PushOutcome::Taken, PushOutcome::Refused, PushOutcome::Unavailable];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            PushOutcome::Taken => "taken",
            PushOutcome::Refused => "refused",
            PushOutcome::Unavailable => "unavailable",
        }
    }

    /// By the status of the answer.
    pub fn of_status(status: u16) -> PushOutcome {
        match status {
            200..=299 => PushOutcome::Taken,
            // Too many for now, and whatever is our own trouble.
            429 | 500.. => PushOutcome::Unavailable,
            _ => PushOutcome::Refused,
        }
    }
}

/// What pushes came to since the start.
#[derive(Debug, Default)]
pub struct PushCounts {
    pushes: [[AtomicU64; PushOutcome::ALL.len()]; PushKind::ALL.len()],
    samples: AtomicU64,
    samples_refused: AtomicU64,
    series: AtomicU64,
    sources: AtomicU64,
    /// What went wrong last.
    pub trouble: LastTrouble,
}

impl PushCounts {
    /// A push was answered.
    pub fn answered(&self, kind: PushKind, outcome: PushOutcome) {
        self.pushes[kind as usize][outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Of a push so many samples were taken, and so many not, though the rest was.
    pub fn took(&self, samples: u64, refused: u64) {
        self.samples.fetch_add(samples, Ordering::Relaxed);
        self.samples_refused.fetch_add(refused, Ordering::Relaxed);
    }

    /// So many series of so many sources there are now.
    pub fn has(&self, series: usize, sources: usize) {
        self.series.store(series as u64, Ordering::Relaxed);
        self.sources.store(sources as u64, Ordering::Relaxed);
    }

    /// Pushes that ended so.
    pub fn pushes(&self, kind: PushKind, outcome: PushOutcome) -> u64 {
        self.pushes[kind as usize][outcome as usize].load(Ordering::Relaxed)
    }

    /// Samples that were taken.
    pub fn samples(&self) -> u64 {
        self.samples.load(Ordering::Relaxed)
    }

    /// Samples that were not taken, of pushes that were.
    pub fn samples_refused(&self) -> u64 {
        self.samples_refused.load(Ordering::Relaxed)
    }

    /// Series there are, of all sources.
    pub fn series(&self) -> u64 {
        self.series.load(Ordering::Relaxed)
    }

    /// Applications that have pushed lately.
    pub fn sources(&self) -> u64 {
        self.sources.load(Ordering::Relaxed)
    }
}
