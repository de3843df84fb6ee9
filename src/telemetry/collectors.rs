//! What each collector's last round was like.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::model::Refused;

/// How a collector is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CollectorState {
    /// Its last round gave numbers.
    Ok,
    /// This host has no such thing.
    Absent,
    /// Its last round failed.
    Failed,
    /// Its round has been running for longer than an interval and a bit.
    Stale,
}

impl CollectorState {
    /// The word in `/health`.
    pub fn as_str(self) -> &'static str {
        match self {
            CollectorState::Ok => "ok",
            CollectorState::Absent => "absent",
            CollectorState::Failed => "failed",
            CollectorState::Stale => "stale",
        }
    }
}

/// One round of a collector.
#[derive(Clone, Debug)]
pub struct Round {
    /// How it ended.
    pub state: CollectorState,
    /// When it ended, CLOCK_MONOTONIC.
    pub at: Duration,
    /// How long it took.
    pub duration: Duration,
    /// Series that it gave.
    pub series: usize,
    /// Why it gave none.
    pub error: Option<String>,
}

/// A call that does not come back.
#[derive(Clone, Copy, Debug)]
struct Hang {
    /// CLOCK_MONOTONIC.
    since: Duration,
    means: &'static str,
}

/// A collector's name, its last round and its totals.
#[derive(Debug)]
pub struct CollectorStatus {
    name: &'static str,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    last: Option<Round>,
    hang: Option<Hang>,
    /// Of the last round.
    last_refused: Refused,
    /// Since the start.
    refused: Refused,
}

impl CollectorStatus {
    /// Of a collector that has not run.
    pub fn new(name: &'static str) -> CollectorStatus {
        CollectorStatus { name, inner: Mutex::default() }
    }

    /// As in the table of collectors.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// A round ended; `refused` counts what it pushed in vain.
    pub fn ended(&self, round: Round, refused: Refused) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.last = Some(round);
        inner.hang = None;
        inner.last_refused = refused;
        inner.refused.max_series += refused.max_series;
        inner.refused.duplicate += refused.duplicate;
    }

    /// The call under way, which began at `since` (CLOCK_MONOTONIC), does not come back, and what
    /// that means for the others. The last round's figures stay.
    pub fn hangs(&self, since: Duration, means: &'static str) {
        self.set_stale(None, Some(Hang { since, means }));
    }

    /// There is no round to tell of for this reason; the last one's figures stay.
    pub fn stale(&self, why: String) {
        self.set_stale(Some(why), None);
    }

    fn set_stale(&self, error: Option<String>, hang: Option<Hang>) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.hang = hang;
        match &mut inner.last {
            Some(round) => {
                round.state = CollectorState::Stale;
                round.error = error;
            }
            none => {
                *none = Some(Round {
                    state: CollectorState::Stale,
                    at: Duration::ZERO,
                    duration: Duration::ZERO,
                    series: 0,
                    error,
                });
            }
        }
    }

    /// The last round, if one has ended. Where a call hangs, its error says so, and for how long at
    /// `now` (CLOCK_MONOTONIC).
    pub fn last(&self, now: Duration) -> Option<Round> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut last = inner.last.clone()?;
        if let Some(Hang { since, means }) = inner.hang {
            let seconds = now.saturating_sub(since).as_secs();
            last.error = Some(format!("it hangs: its call has not come back for {seconds} s; {means}"));
        }
        Some(last)
    }

    /// Samples refused since the start.
    pub fn refused(&self) -> Refused {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).refused
    }

    /// Samples refused in the last round.
    pub fn last_refused(&self) -> Refused {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).last_refused
    }
}
