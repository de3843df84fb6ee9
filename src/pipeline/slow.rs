//! Collectors that may hang, each on a thread of its own.
//!
//! The scheduler wakes such a thread only when it is idle and has something to do, and is
//! handed the frame when it is there. Whatever hangs over there, the beat goes on here.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::runner::Runner;
use crate::collectors::{Due, Tick};
use crate::host::Scratch;
use crate::model::Frame;
use crate::telemetry::CollectorStatus;

/// A round that takes longer than this, and than two intervals, is said to be stale. A
/// slow collector's own deadlines are shorter; this is for those that broke their word.
const LATE: Duration = Duration::from_secs(30);

/// A round that has ended: which collector's, and what it gave.
pub struct Finished {
    pub(super) at: usize,
    pub(super) frame: Option<Frame>,
}

/// The scheduler's end.
pub struct SlowHandle {
    due: Due,
    pokes: Sender<Tick>,
    /// When the round under way began.
    running: Option<Duration>,
    status: Arc<CollectorStatus>,
}

/// The thread's end.
pub struct SlowWorker {
    at: usize,
    runner: Runner,
    pokes: Receiver<Tick>,
    finished: Sender<Finished>,
}

/// Both ends of the slow collector at place `at`.
pub fn slow(
    at: usize,
    runner: Runner,
    status: Arc<CollectorStatus>,
    due: Due,
    finished: Sender<Finished>,
) -> (SlowHandle, SlowWorker) {
    let (poke, pokes) = bounded(1);
    (SlowHandle { due, pokes: poke, running: None, status }, SlowWorker { at, runner, pokes, finished })
}

impl SlowHandle {
    /// The collector's name.
    pub fn name(&self) -> &'static str {
        self.status.name()
    }

    /// Starts a round if none is under way and there is something to collect.
    pub fn tick(&mut self, tick: &Tick, interval: Duration) {
        match self.running {
            Some(since) => {
                let running = tick.monotonic.saturating_sub(since);
                if running > LATE.max(interval * 2) {
                    self.status.stale(format!("its round has been running for {} s", running.as_secs()));
                }
            }
            None if (self.due)() && self.pokes.try_send(*tick).is_ok() => self.running = Some(tick.monotonic),
            None => {}
        }
    }

    /// Its round has ended.
    pub fn ended(&mut self) {
        self.running = None;
    }

    /// Whether a round is under way.
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }
}

impl SlowWorker {
    /// The name for its thread.
    pub fn thread_name(&self) -> String {
        format!("slow-{}", self.runner.name())
    }

    /// Runs until the scheduler is gone.
    pub fn run(mut self) {
        let mut scratch = Scratch::new();
        while let Ok(tick) = self.pokes.recv() {
            let frame = self.runner.round(&tick, &mut scratch);
            if self.finished.send(Finished { at: self.at, frame }).is_err() {
                return;
            }
        }
    }
}
