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

/// A collector's name, its last round and its totals.
#[derive(Debug)]
pub struct CollectorStatus {
    name: &'static str,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    last: Option<Round>,
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
        inner.last_refused = refused;
        inner.refused.max_series += refused.max_series;
        inner.refused.duplicate += refused.duplicate;
    }

    /// The round under way is late; the last one's figures stay.
    pub fn stale(&self, why: String) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut inner.last {
            Some(round) => {
                round.state = CollectorState::Stale;
                round.error = Some(why);
            }
            none => {
                *none = Some(Round {
                    state: CollectorState::Stale,
                    at: Duration::ZERO,
                    duration: Duration::ZERO,
                    series: 0,
                    error: Some(why),
                });
            }
        }
    }

    /// The last round, if one has ended.
    pub fn last(&self) -> Option<Round> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).last.clone()
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
