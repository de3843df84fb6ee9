//! From the collectors to the lanes: the beat, the rounds, slow collectors, fan-out.

mod runner;
mod schedule;
mod slow;

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded, never, select};

use crate::collectors::{Built, Tick};
use crate::host::{Scratch, monotonic, wall_ms};
use crate::model::{Batch, Frame, Resource};
use crate::telemetry::{CollectorStatus, Telemetry};

use self::runner::Runner;
use self::schedule::Grid;
use self::slow::{Finished, SlowHandle};

pub use slow::SlowWorker;

/// How long before the first round the first reading is taken, for values that are
/// differences of two: twenty of the kernel's clock ticks.
pub const PRIME: Duration = Duration::from_millis(200);

/// The collectors, ready to run: the fast ones, and both ends of the slow ones.
pub struct Collectors {
    fast: Vec<Runner>,
    slow: Vec<SlowHandle>,
    finished: Receiver<Finished>,
    scratch: Scratch,
}

impl Collectors {
    /// Gives each collector its runner. The statuses are in the same order, fast ones first;
    /// each of the workers is to be run on a thread of its own.
    pub fn new(built: Built, max_series: usize) -> (Collectors, Vec<Arc<CollectorStatus>>, Vec<SlowWorker>) {
        // Each slow collector has one round under way at most, so none ever waits to hand one in.
        let (done, finished) = bounded(built.slow.len().max(1));
        // With nobody to send, a channel counts as closed and would wake the scheduler for ever.
        let finished = if built.slow.is_empty() { never() } else { finished };
        let mut statuses = Vec::new();
        let mut status_of = |name| {
            let status = Arc::new(CollectorStatus::new(name));
            statuses.push(Arc::clone(&status));
            status
        };
        let fast = built
            .fast
            .into_iter()
            .map(|named| Runner::new(named.collector, status_of(named.name), max_series))
            .collect();
        let (mut slow, mut workers) = (Vec::new(), Vec::new());
        for (at, named) in built.slow.into_iter().enumerate() {
            let status = status_of(named.name);
            let runner = Runner::new(named.collector, Arc::clone(&status), max_series);
            let (handle, worker) = slow::slow(at, runner, status, named.due, done.clone());
            slow.push(handle);
            workers.push(worker);
        }
        (Collectors { fast, slow, finished, scratch: Scratch::new() }, statuses, workers)
    }

    /// Takes the first reading, for values that are differences of two.
    pub fn prime(&mut self, tick: &Tick) {
        for runner in &mut self.fast {
            runner.prime(tick, &mut self.scratch);
        }
    }

    /// One round of the fast collectors: a frame of each that gave one. `silent` is told of the others.
    pub fn round(&mut self, tick: &Tick, mut silent: impl FnMut(&'static str)) -> Vec<Frame> {
        let mut frames = Vec::with_capacity(self.fast.len());
        for runner in &mut self.fast {
            match runner.round(tick, &mut self.scratch) {
                Some(frame) => frames.push(frame),
                None => silent(runner.name()),
            }
        }
        frames
    }

    /// One round of everything, for `-once`: primes, waits a moment, collects, and gives
    /// slow collectors up to `patience`. The workers must be running.
    pub fn once(mut self, patience: Duration) -> Vec<Frame> {
        self.prime(&now());
        std::thread::sleep(PRIME);
        let tick = now();
        let mut frames = self.round(&tick, |_| ());
        for slow in &mut self.slow {
            slow.tick(&tick, Duration::ZERO);
        }
        let until = std::time::Instant::now() + patience;
        while self.slow.iter().any(SlowHandle::is_running) {
            let Ok(done) = self.finished.recv_deadline(until) else { break };
            self.slow[done.at].ended();
            frames.extend(done.frame);
        }
        for late in self.slow.iter().filter(|slow| slow.is_running()) {
            log::warn!("collector {}: gave nothing within {patience:?}", late.name());
        }
        frames
    }
}

/// Where a tick's batch goes: the way into a lane. Never blocks.
pub type Outlet = Box<dyn Fn(&Arc<Batch>) + Send>;

/// The loop that keeps the beat.
pub struct Scheduler {
    /// What is collected.
    pub collectors: Collectors,
    /// Where it goes.
    pub outlets: Vec<Outlet>,
    /// What is known of it.
    pub telemetry: Arc<Telemetry>,
    /// What it belongs to.
    pub resource: Arc<Resource>,
    /// Time between two rounds.
    pub interval: Duration,
    /// Closes when it is time to stop.
    pub stop: Receiver<()>,
}

impl Scheduler {
    /// Runs until `stop` closes. The mailboxes close with it.
    pub fn run(mut self) {
        self.collectors.prime(&now());
        if self.sleep_until(monotonic() + PRIME) {
            return;
        }
        let mut grid = Grid::new(monotonic(), self.interval);
        let mut missed = 0;
        loop {
            self.round(missed);
            let (next, skipped) = grid.next(monotonic());
            if skipped > 0 {
                log::warn!("a round took too long: {skipped} of the grid's ticks are skipped");
            }
            missed = skipped;
            if self.sleep_until(next) {
                return;
            }
        }
    }

    fn round(&mut self, missed: u64) {
        let tick = now();
        let latest = &self.telemetry.latest;
        let frames = self.collectors.round(&tick, |silent| latest.remove(silent));
        self.publish(tick.wall_ms, frames);
        for slow in &mut self.collectors.slow {
            slow.tick(&tick, self.interval);
        }
        self.telemetry.collected(monotonic(), missed);
    }

    fn publish(&self, time_ms: i64, frames: Vec<Frame>) {
        for frame in &frames {
            self.telemetry.latest.put(frame);
        }
        if self.outlets.is_empty() || frames.iter().all(|frame| frame.values.is_empty()) {
            return;
        }
        let batch = Arc::new(Batch { time_ms, resource: Arc::clone(&self.resource), frames });
        for outlet in &self.outlets {
            outlet(&batch);
        }
    }

    /// Sleeps, publishing what slow collectors finish meanwhile. True: time to stop.
    fn sleep_until(&mut self, deadline: Duration) -> bool {
        loop {
            let left = deadline.saturating_sub(monotonic());
            if left.is_zero() {
                // Under load this loop may never sleep; it must still hear the end.
                return matches!(self.stop.try_recv(), Err(crossbeam_channel::TryRecvError::Disconnected));
            }
            select! {
                recv(self.stop) -> _ => return true,
                recv(self.collectors.finished) -> done => {
                    if let Ok(done) = done {
                        self.finished(done);
                    }
                }
                default(left) => {}
            }
        }
    }

    fn finished(&mut self, done: Finished) {
        let slow = &mut self.collectors.slow[done.at];
        slow.ended();
        match done.frame {
            Some(frame) => self.publish(frame.time_ms, vec![frame]),
            None => self.telemetry.latest.remove(slow.name()),
        }
    }
}

fn now() -> Tick {
    Tick { wall_ms: wall_ms(), monotonic: monotonic() }
}
