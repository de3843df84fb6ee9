//! From the collectors to the lanes: the beat, the rounds, slow collectors, fan-out.

mod clock;
mod fanout;
mod runner;
mod schedule;
mod scheduler;
mod slow;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::collectors::{Built, Tick};
use crate::host::{Scratch, boottime, monotonic, wall_ms};
use crate::model::Frame;
use crate::telemetry::CollectorStatus;

use self::runner::Runner;
use self::slow::{Finished, SlowHandle};

pub use clock::{Clock, Reading};
pub use fanout::{Fanout, Outlet};
pub use scheduler::{Plan, Pulse, Scheduler, Sign};
pub use slow::SlowWorker;

/// How long before the first round the first reading is taken, for values that are
/// differences of two: fifteen of the kernel's clock ticks, and ready 0.2 s after the start.
pub const PRIME: Duration = Duration::from_millis(150);

/// The collectors, ready to run: the fast ones, and both ends of the slow ones.
pub struct Collectors {
    fast: Vec<Runner>,
    slow: Vec<SlowHandle>,
    finished: Receiver<Finished>,
    done: Done,
    scratch: Scratch,
}

/// Where slow collectors hand in what they have: theirs who are there from the start, and
/// theirs who come with a reload.
///
/// Each of them has one round under way at most, which bounds what is in it.
#[derive(Clone)]
pub struct Done(Sender<Finished>);

/// Collectors to take the place of others of the same name, or to come anew.
pub struct Fresh {
    fast: Vec<Runner>,
    slow: Vec<SlowHandle>,
    /// One each, fast ones first.
    pub statuses: Vec<Arc<CollectorStatus>>,
    /// Each to be run on a thread of its own.
    pub workers: Vec<SlowWorker>,
}

impl Fresh {
    /// Gives each collector its runner.
    pub fn new(built: Built, max_series: usize, done: &Done) -> Fresh {
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
        for named in built.slow {
            let status = status_of(named.name);
            let runner = Runner::new(named.collector, Arc::clone(&status), max_series);
            let (handle, worker) = slow::slow(runner, status, named.due, done.0.clone());
            slow.push(handle);
            workers.push(worker);
        }
        Fresh { fast, slow, statuses, workers }
    }
}

impl Collectors {
    /// Gives each collector its runner. The statuses are in the same order, fast ones first;
    /// each of the workers is to be run on a thread of its own.
    pub fn new(built: Built, max_series: usize) -> (Collectors, Vec<Arc<CollectorStatus>>, Vec<SlowWorker>) {
        let (done, finished) = unbounded();
        let done = Done(done);
        let Fresh { fast, slow, statuses, workers } = Fresh::new(built, max_series, &done);
        (Collectors { fast, slow, finished, done, scratch: Scratch::new() }, statuses, workers)
    }

    /// Where slow collectors that come later hand in.
    pub fn done(&self) -> Done {
        self.done.clone()
    }

    /// Takes up `fresh`, and keeps, of those that are there, only what `order` names and
    /// `fresh` does not bring. From now on they run in that order. The names of those whose
    /// last numbers are no longer true.
    fn change(&mut self, order: &[&'static str], fresh: Fresh, tick: &Tick) -> Vec<&'static str> {
        let (mut fast, mut slow) = (fresh.fast, fresh.slow);
        for runner in &mut fast {
            runner.prime(tick, &mut self.scratch);
        }
        let mut stale = Vec::new();
        for runner in self.fast.drain(..) {
            let name = runner.name();
            if !order.contains(&name) {
                stale.push(name);
            } else if !fast.iter().any(|new| new.name() == name) {
                fast.push(runner);
            }
        }
        for handle in self.slow.drain(..) {
            let name = handle.name();
            if order.contains(&name) && !slow.iter().any(|new| new.name() == name) {
                slow.push(handle);
            } else {
                // The one in its place may never be due, and so never give other ones.
                stale.push(name);
            }
        }
        let place = |name| order.iter().position(|other| *other == name);
        fast.sort_by_key(|runner| place(runner.name()));
        slow.sort_by_key(|handle| place(handle.name()));
        (self.fast, self.slow) = (fast, slow);
        stale
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
    ///
    /// A clock that is wrong is no reason to print nothing: no tick is held here.
    pub fn once(mut self, patience: Duration) -> Vec<Frame> {
        self.prime(&read_clocks().tick());
        std::thread::sleep(PRIME);
        let tick = read_clocks().tick();
        let mut frames = self.round(&tick, |_| ());
        for slow in &mut self.slow {
            slow.tick(&tick, None, Duration::ZERO);
        }
        let until = std::time::Instant::now() + patience;
        while self.slow.iter().any(SlowHandle::is_running) {
            let Ok(done) = self.finished.recv_deadline(until) else { break };
            self.slow.iter_mut().filter(|slow| slow.gave(&done)).for_each(|slow| _ = slow.ended());
            frames.extend(done.frame);
        }
        for late in self.slow.iter().filter(|slow| slow.is_running()) {
            log::warn!("collector {}: gave nothing within {patience:?}", late.name());
        }
        frames
    }
}

/// The clocks as they are.
pub fn read_clocks() -> Reading {
    Reading { monotonic: monotonic(), boottime: boottime(), wall_ms: wall_ms() }
}

impl Reading {
    fn tick(&self) -> Tick {
        Tick { wall_ms: self.wall_ms, monotonic: self.monotonic }
    }
}
