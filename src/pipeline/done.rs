//! What other threads have for the one that keeps the beat.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::runner::Runner;
use crate::model::Frame;
use crate::telemetry::CollectorStatus;

/// Sources that are no collectors, each with the time between two of its frames.
pub type Others = Vec<(Arc<str>, Duration)>;

/// What comes back from other threads.
pub enum Done {
    /// A slow collector's round has ended.
    Slow(SlowRound),
    /// A fast collector's call that nobody waited for any more has ended.
    Returned(Box<Runner>),
    /// A source that is no collector has given a frame.
    Gave(Frame),
    /// These are the sources that are no collectors, from now on.
    Sources(Others),
}

/// A round that has ended: whose, and what it gave.
pub struct SlowRound {
    /// The collector's, which no other one has, not even one of the same name that a reload brought.
    pub status: Arc<CollectorStatus>,
    pub frame: Option<Frame>,
    /// How long it took.
    pub took: Duration,
}

/// Where other threads hand in what they have, those of collectors that a reload brings too.
///
/// Each collector hands in once a call at most, and each target once a scrape, which bounds what is
/// in it.
#[derive(Clone)]
pub struct HandIn(Sender<Done>);

impl HandIn {
    pub(super) fn new() -> (HandIn, Receiver<Done>) {
        let (put, got) = unbounded();
        (HandIn(put), got)
    }

    /// Hands in what a source gives that is no collector: a target that was scraped. It goes out
    /// with what others give within the next second. Whether anybody is there.
    pub fn frame(&self, frame: Frame) -> bool {
        self.put(Done::Gave(frame))
    }

    /// From now on these are the sources that are no collectors.
    pub fn sources(&self, others: Others) -> bool {
        self.put(Done::Sources(others))
    }

    /// Hands in. Whether anybody is there: nobody is where the program stops.
    pub(super) fn put(&self, done: Done) -> bool {
        self.0.send(done).is_ok()
    }
}
