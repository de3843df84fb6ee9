//! Collectors that may hang by nature, each on a thread of its own.
//!
//! The scheduler wakes such a thread only when it is idle and has something to do, and is
//! handed the frame when it is there. Whatever hangs over there, the beat goes on here. A
//! collector that hangs costs its own thread, and is not asked again until it has come back.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::clock::{Stamp, read_clocks};
use super::done::{Done, HandIn, SlowRound};
use super::pace::Pace;
use super::runner::Runner;
use crate::collectors::{Due, Tick};
use crate::host::Scratch;
use crate::telemetry::CollectorStatus;

/// The scheduler's end.
pub struct SlowHandle {
    due: Due,
    pace: Pace,
    pokes: Sender<Tick>,
    running: Option<Running>,
    deadline: Duration,
    status: Arc<CollectorStatus>,
}

/// The round under way.
#[derive(Clone, Copy, Debug)]
struct Running {
    /// When it began, CLOCK_MONOTONIC.
    since: Duration,
    /// Its tick's stamp; none where that was held.
    stamp: Option<Stamp>,
    /// It was seen to be over its deadline.
    late: bool,
}

/// The thread's end.
pub struct SlowWorker {
    status: Arc<CollectorStatus>,
    runner: Runner,
    pokes: Receiver<Tick>,
    hand_in: HandIn,
}

/// Both ends of a slow collector, a round of which may take `deadline`.
pub fn slow(
    runner: Runner,
    status: Arc<CollectorStatus>,
    due: Due,
    pace: Pace,
    deadline: Duration,
    hand_in: HandIn,
) -> (SlowHandle, SlowWorker) {
    let (poke, pokes) = bounded(1);
    let handle = SlowHandle { due, pace, pokes: poke, running: None, deadline, status: Arc::clone(&status) };
    (handle, SlowWorker { status, runner, pokes, hand_in })
}

impl SlowHandle {
    /// The collector's name.
    pub fn name(&self) -> &'static str {
        self.status.name()
    }

    /// The time between two of its rounds, where the beat is that long.
    pub fn interval(&self, beat: Duration) -> Duration {
        self.pace.interval(beat)
    }

    /// Whether `round` is of this one.
    pub fn gave(&self, round: &SlowRound) -> bool {
        Arc::ptr_eq(&self.status, &round.status)
    }

    /// Starts a round if none is under way and there is something to collect. Whether one is
    /// over its deadline: then its last numbers are not those of now. Ticks are `beat` apart.
    pub fn tick(&mut self, tick: &Tick, stamp: Option<Stamp>, beat: Duration) -> bool {
        let Some(running) = &mut self.running else {
            if (self.due)() && self.pace.is_turn(tick.monotonic, beat) && self.pokes.try_send(*tick).is_ok() {
                self.running = Some(Running { since: tick.monotonic, stamp, late: false });
            }
            return false;
        };
        let took = tick.monotonic.saturating_sub(running.since);
        if took <= self.deadline {
            return false;
        }
        if !std::mem::replace(&mut running.late, true) {
            log::warn!(
                "collector {}: has not come back for {} s; it is not asked again until it has, and is missing meanwhile",
                self.status.name(),
                took.as_secs()
            );
            self.status.hangs(running.since, "it is not asked again until then");
        }
        true
    }

    /// Its round has ended. The stamp to publish it with, none where its tick was held; an
    /// error where it took longer than it may, so that nobody waits for it any more.
    pub fn ended(&mut self, round: &SlowRound) -> Result<Option<Stamp>, ()> {
        let running = self.running.take();
        if running.is_some_and(|running| running.late) || round.took > self.deadline {
            let (name, took) = (self.name(), round.took.as_secs_f64());
            log::info!("collector {name}: came back after {took:.1} s; that round is dropped");
            return Err(());
        }
        Ok(running.and_then(|running| running.stamp))
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

    /// Primes the collector, then runs until its handle is gone.
    pub fn run(mut self) {
        let mut scratch = Scratch::new();
        self.runner.prime(&read_clocks().tick(), &mut scratch);
        while let Ok(tick) = self.pokes.recv() {
            let collected = self.runner.collect(&tick, &mut scratch);
            let took = collected.took();
            let frame = self.runner.conclude(&tick, collected);
            let round = SlowRound { status: Arc::clone(&self.status), frame, took };
            if !self.hand_in.put(Done::Slow(round)) {
                return;
            }
        }
    }
}
