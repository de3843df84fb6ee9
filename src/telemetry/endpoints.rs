//! What the last scrape of each endpoint was like.

use std::sync::{Mutex, PoisonError};
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
    name: String,
    last: Mutex<Scrape>,
}

impl EndpointStatus {
    /// Of an endpoint that nobody has asked yet.
    pub fn new(name: impl Into<String>) -> EndpointStatus {
        let last =
            Scrape { state: EndpointState::Pending, time_ms: 0, duration: Duration::ZERO, samples: 0, error: None };
        EndpointStatus { name: name.into(), last: Mutex::new(last) }
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
