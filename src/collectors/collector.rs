//! What every collector is: called at a tick, it pushes what it has read, or says why it has nothing.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::host::{ReadError, Scratch};
use crate::model::Recorder;

/// When a round takes place. Collectors do not look at clocks themselves.
#[derive(Clone, Copy, Debug)]
pub struct Tick {
    /// Wall clock, milliseconds since the UNIX epoch.
    pub wall_ms: i64,
    /// CLOCK_MONOTONIC.
    pub monotonic: Duration,
}

/// Reads one part of the host.
pub trait Collector: Send {
    /// Takes a first reading, for values that are differences of two. Emits nothing.
    fn prime(&mut self, _tick: &Tick, _scratch: &mut Scratch) {}

    /// Reads and pushes one round. After an error nothing of the round is sent, but for [`CollectError::NoneHere`].
    fn collect(&mut self, tick: &Tick, scratch: &mut Scratch, out: &mut Recorder) -> Result<(), CollectError>;
}

/// Says whether a slow collector has anything to do.
pub type Due = Arc<dyn Fn() -> bool + Send + Sync>;

/// Why a round gave nothing.
#[derive(Debug)]
pub enum CollectError {
    /// This host has no such thing: quiet, and not a failure.
    Absent(String),
    /// The same, and there is a number that says so: what was pushed is sent.
    NoneHere(String),
    /// It should be there, but could not be read or understood.
    Failed(String),
}

impl fmt::Display for CollectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CollectError::Absent(what) | CollectError::NoneHere(what) | CollectError::Failed(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for CollectError {}

impl CollectError {
    /// For a file that every Linux has: where it is missing, the root is the wrong one, or
    /// something is broken, and that is a failure.
    pub fn of_required(error: ReadError) -> CollectError {
        CollectError::Failed(error.to_string())
    }
}

impl From<ReadError> for CollectError {
    fn from(error: ReadError) -> CollectError {
        match error {
            ReadError::Missing(_) => CollectError::Absent(error.to_string()),
            ReadError::Io(..) | ReadError::TooLarge(_) => CollectError::Failed(error.to_string()),
        }
    }
}
