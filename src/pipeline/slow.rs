//! Collectors that may hang, each on a thread of its own.
//!
//! The scheduler wakes such a thread only when it is idle and has something to do, and is
//! handed the frame when it is there. Whatever hangs over there, the beat goes on here.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::clock::Stamp;
use super::runner::Runner;
use crate::collectors::{Due, Tick};
use crate::host::Scratch;
use crate::model::Frame;
use crate::telemetry::CollectorStatus;

/// A round that takes longer than this, and than two intervals, is said to be stale. A
/// slow collector's own deadlines are shorter; this is for those that broke their word.
const LATE: Duration = Duration::from_secs(30);

/// A round that has ended: whose, and what it gave.
pub struct Finished {
    /// The collector's, which no other one has, not even one of the same name that a reload brought.
    pub(super) status: Arc<CollectorStatus>,
    pub(super) frame: Option<Frame>,
}

/// The scheduler's end.
pub struct SlowHandle {
    due: Due,
    pokes: Sender<Tick>,
    running: Option<Running>,
    status: Arc<CollectorStatus>,
}

/// The round under way.
#[derive(Clone, Copy, Debug)]
pub struct Running {
    /// When it began, CLOCK_MONOTONIC.
    since: Duration,
    /// Its tick's stamp; none where that was held.
    pub stamp: Option<Stamp>,
}

/// The thread's end.
pub struct SlowWorker {
    status: Arc<CollectorStatus>,
    runner: Runner,
    pokes: Receiver<Tick>,
    finished: Sender<Finished>,
}

/// Both ends of a slow collector.
pub fn slow(
    runner: Runner,
    status: Arc<CollectorStatus>,
    due: Due,
    finished: Sender<Finished>,
) -> (SlowHandle, SlowWorker) {
    let (poke, pokes) = bounded(1);
    let handle = SlowHandle { due, pokes: poke, running: None, status: Arc::clone(&status) };
    (handle, SlowWorker { status, runner, pokes, finished })
}

impl SlowHandle {
    /// The collector's name.
    pub fn name(&self) -> &'static str {
        self.status.name()
    }

    /// Whether `finished` is of this one.
    pub fn gave(&self, finished: &Finished) -> bool {
        Arc::ptr_eq(&self.status, &finished.status)
    }

    /// Starts a round if none is under way and there is something to collect.
    pub fn tick(&mut self, tick: &Tick, stamp: Option<Stamp>, interval: Duration) {
        match self.running {
            Some(running) => {
                let running = tick.monotonic.saturating_sub(running.since);
                if running > LATE.max(interval * 2) {
                    self.status.stale(format!("its round has been running for {} s", running.as_secs()));
                }
            }
            None if (self.due)() && self.pokes.try_send(*tick).is_ok() => {
                self.running = Some(Running { since: tick.monotonic, stamp });
            }
            None => {}
        }
    }

    /// Its round has ended: which one that was.
    pub fn ended(&mut self) -> Option<Running> {
        self.running.take()
    }

    /// Whether a round is under way.
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }
}

impl SlowWorker {
    /// The collector's name.
    pub fn name(&self) -> &'static str {
        self.status.name()
    }

    /// Runs until its handle is gone.
    pub fn run(mut self) {
        let mut scratch = Scratch::new();
        while let Ok(tick) = self.pokes.recv() {
            let frame = self.runner.round(&tick, &mut scratch);
            let finished = Finished { status: Arc::clone(&self.status), frame };
            if self.finished.send(finished).is_err() {
                return;
            }
        }
    }
}
