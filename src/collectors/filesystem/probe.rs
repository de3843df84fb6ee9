//! Asks about mounts that may never answer, on threads that may be lost to them.
//!
//! One thread asks about the mounts in turn. While it hangs in a call, another one takes
//! over the rest; the mount is stuck until the call returns, and is not asked again before.
//! A thread that comes back finds that another one waits for work, and ends. So on a healthy
//! host there is one thread, and each stuck mount holds one more, up to [`MAX_THREADS`].

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::place::Place;
use crate::host::{FsUsage, StatFs};

/// How many threads there are at most. A hung call can't be ended from outside, so each
/// costs a thread until its server is back; hosts with more dead servers than this have
/// other worries, and their remaining mounts wait.
pub const MAX_THREADS: usize = 16;

/// The calls need a few hundred bytes.
const STACK_BYTES: usize = 64 << 10;

/// How a mount took the round.
#[derive(Debug)]
pub enum Outcome {
    /// It answered, if only with an error.
    Answered(io::Result<FsUsage>),
    /// It has not answered.
    Stuck,
    /// All threads are lost to other mounts.
    NotAsked,
}

/// The threads, and what they are to do.
pub struct Prober {
    shared: Arc<Shared>,
    wait: Box<dyn Wait>,
    said_full: bool,
}

struct Shared {
    statfs: Arc<dyn StatFs>,
    state: Mutex<Probes>,
    /// Something is queued, or all is over: threads wait for it.
    work: Condvar,
    /// A mount was taken up or has answered: the collector waits for it.
    news: Condvar,
}

#[derive(Default)]
pub struct Probes {
    /// Counts the rounds.
    round: u64,
    slots: Vec<Slot>,
    threads: usize,
    /// Threads that wait for work.
    idle: usize,
    closed: bool,
}

struct Slot {
    place: Arc<Place>,
    phase: Phase,
    /// Is still mounted. One that is not stays here while its call lasts: should the same
    /// mount come back, no second call is made.
    mounted: bool,
    /// Has shown once that it is what is visible there.
    checked: bool,
}

enum Phase {
    Idle,
    Queued,
    /// Since which round.
    Asking(u64),
    Answered(io::Result<FsUsage>),
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Something may have changed.
    News,
    /// Nothing changed for a while, so a thread seems to be lost.
    Quiet,
    /// The round's time is up.
    Over,
}

/// How the collector's thread waits; a trait, so that tests need no clock.
pub trait Wait: Send {
    /// A round begins.
    fn begin(&mut self);

    /// Waits for `news`, for a while.
    fn wait<'s>(&mut self, news: &Condvar, state: MutexGuard<'s, Probes>) -> (MutexGuard<'s, Probes>, Woken);
}

/// Waits up to a deadline that all mounts of a round share.
struct Deadline {
    timeout: Duration,
    until: Instant,
}

impl Wait for Deadline {
    fn begin(&mut self) {
        self.until = Instant::now() + self.timeout;
    }

    fn wait<'s>(&mut self, news: &Condvar, state: MutexGuard<'s, Probes>) -> (MutexGuard<'s, Probes>, Woken) {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return (state, Woken::Over);
        }
        // As many hung mounts as there can be threads are got over within one round.
        let patience = (self.timeout / MAX_THREADS as u32).min(left);
        let (state, end) = news.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner);
        (state, if end.timed_out() { Woken::Quiet } else { Woken::News })
    }
}

impl Prober {
    /// Mounts that take longer than `timeout`, counted from the start of a round, are stuck.
    pub fn new(statfs: Arc<dyn StatFs>, timeout: Duration) -> Prober {
        Prober::waiting(statfs, Box::new(Deadline { timeout, until: Instant::now() }))
    }

    fn waiting(statfs: Arc<dyn StatFs>, wait: Box<dyn Wait>) -> Prober {
        let shared = Shared { statfs, state: Mutex::default(), work: Condvar::new(), news: Condvar::new() };
        Prober { shared: Arc::new(shared), wait, said_full: false }
    }

    /// Asks about all of `places` and says how each took it, in their order.
    pub fn round(&mut self, places: &[Arc<Place>]) -> Vec<Outcome> {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        state.begin(places);
        self.wait.begin();
        let mut woken = Woken::Quiet;
        shared.work.notify_one();
        while state.outstanding() && woken != Woken::Over {
            if woken == Woken::Quiet && state.lacks_thread() && !self.add_thread(&mut state) && !state.asking_now() {
                break;
            }
            (state, woken) = self.wait.wait(&shared.news, state);
        }
        state.end(places)
    }

    fn add_thread(&mut self, state: &mut Probes) -> bool {
        if state.threads >= MAX_THREADS {
            if !self.said_full {
                self.said_full = true;
                log::warn!("{MAX_THREADS} mounts hang; further ones are not asked until one answers");
            }
            return false;
        }
        let shared = Arc::clone(&self.shared);
        let thread =
            thread::Builder::new().name("fs-probe".to_owned()).stack_size(STACK_BYTES).spawn(move || shared.work());
        match thread {
            Ok(_) => {
                state.threads += 1;
                self.said_full = false;
                true
            }
            Err(error) => {
                if !self.said_full {
                    self.said_full = true;
                    log::warn!("cannot start a thread for mounts that may hang: {error}; trying again each round");
                }
                false
            }
        }
    }
}

impl Drop for Prober {
    /// Idle threads end; one that hangs in a call ends when that returns.
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Probes> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread's life.
    fn work(&self) {
        let mut state = self.lock();
        while !state.closed {
            let round = state.round;
            if let Some(slot) = state.slots.iter_mut().find(|slot| matches!(slot.phase, Phase::Queued)) {
                slot.phase = Phase::Asking(round);
                let (place, checked) = (Arc::clone(&slot.place), slot.checked);
                drop(state);
                self.news.notify_all();
                let asked = catch_unwind(AssertUnwindSafe(|| {
                    if !checked {
                        place.check(&*self.statfs)?;
                    }
                    place.usage(&*self.statfs)
                }));
                let answer = asked.unwrap_or_else(|_| Err(io::Error::other("asking panicked")));
                state = self.lock();
                state.answered(&place, answer);
                self.news.notify_all();
            } else if state.idle > 0 {
                break;
            } else {
                state.idle += 1;
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            }
        }
        state.threads -= 1;
        self.news.notify_all();
    }
}

impl Probes {
    /// Takes over the mounts of now and queues all but the stuck ones.
    fn begin(&mut self, places: &[Arc<Place>]) {
        self.round += 1;
        for slot in &mut self.slots {
            slot.mounted = false;
        }
        for place in places {
            match self.slots.iter_mut().find(|slot| slot.is_of(place)) {
                Some(slot) => {
                    slot.mounted = true;
                    slot.place = Arc::clone(place);
                }
                None => self.slots.push(Slot {
                    place: Arc::clone(place),
                    phase: Phase::Idle,
                    mounted: true,
                    checked: false,
                }),
            }
        }
        self.slots.retain(|slot| slot.mounted || matches!(slot.phase, Phase::Asking(_)));
        for slot in self.slots.iter_mut().filter(|slot| slot.mounted) {
            if !matches!(slot.phase, Phase::Asking(_)) {
                slot.phase = Phase::Queued;
            }
        }
    }

    /// Whether there is still something to wait for in this round.
    fn outstanding(&self) -> bool {
        self.queued() || self.asking_now()
    }

    fn queued(&self) -> bool {
        self.slots.iter().any(|slot| matches!(slot.phase, Phase::Queued))
    }

    fn asking_now(&self) -> bool {
        self.slots.iter().any(|slot| matches!(slot.phase, Phase::Asking(round) if round == self.round))
    }

    /// Whether every thread is in a call and something is still queued.
    fn lacks_thread(&self) -> bool {
        let asking = self.slots.iter().filter(|slot| matches!(slot.phase, Phase::Asking(_))).count();
        self.queued() && asking >= self.threads
    }

    fn answered(&mut self, place: &Place, answer: io::Result<FsUsage>) {
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.is_of(place)) {
            slot.checked |= answer.is_ok();
            slot.phase = Phase::Answered(answer);
        }
    }

    fn end(&mut self, places: &[Arc<Place>]) -> Vec<Outcome> {
        let outcome = |place: &Arc<Place>| {
            let Some(slot) = self.slots.iter_mut().find(|slot| slot.is_of(place)) else {
                return Outcome::NotAsked;
            };
            match std::mem::replace(&mut slot.phase, Phase::Idle) {
                Phase::Answered(answer) => Outcome::Answered(answer),
                Phase::Asking(round) => {
                    slot.phase = Phase::Asking(round);
                    Outcome::Stuck
                }
                Phase::Queued | Phase::Idle => Outcome::NotAsked,
            }
        };
        places.iter().map(outcome).collect()
    }
}

impl Slot {
    fn is_of(&self, place: &Place) -> bool {
        self.place.device == place.device && self.place.mountpoint == place.mountpoint
    }
}

#[cfg(test)]
pub mod testing {
    use super::super::testing::FakeStatFs;
    use super::*;

    /// Ends a round when only those mounts are left that the test made hang.
    struct UntilOnlyHung {
        statfs: Arc<FakeStatFs>,
        /// Threads and queued mounts when it last said that all is quiet.
        quiet_at: Option<(usize, usize)>,
    }

    impl Wait for UntilOnlyHung {
        fn begin(&mut self) {
            self.quiet_at = None;
        }

        fn wait<'s>(&mut self, news: &Condvar, mut state: MutexGuard<'s, Probes>) -> (MutexGuard<'s, Probes>, Woken) {
            loop {
                let all_hang = state
                    .slots
                    .iter()
                    .filter(|slot| matches!(slot.phase, Phase::Asking(_)))
                    .all(|slot| self.statfs.hangs(&slot.place.mountpoint));
                let queued = state.slots.iter().filter(|slot| matches!(slot.phase, Phase::Queued)).count();
                if !state.outstanding() {
                    return (state, Woken::News);
                }
                if all_hang && queued == 0 {
                    return (state, Woken::Over);
                }
                if all_hang && state.lacks_thread() {
                    let now = Some((state.threads, queued));
                    let woken = if self.quiet_at == now { Woken::Over } else { Woken::Quiet };
                    self.quiet_at = now;
                    return (state, woken);
                }
                state = news.wait(state).unwrap();
            }
        }
    }

    impl Prober {
        /// A prober whose rounds end when only mounts that hang by the test's will are left.
        pub fn without_clock(statfs: &Arc<FakeStatFs>) -> Prober {
            let wait = UntilOnlyHung { statfs: Arc::clone(statfs), quiet_at: None };
            Prober::waiting(Arc::clone(statfs) as Arc<dyn StatFs>, Box::new(wait))
        }

        /// Waits until no call is under way any more, and `threads` threads are left.
        pub fn settle(&self, threads: usize) {
            let mut state = self.shared.lock();
            while state.threads != threads || state.slots.iter().any(|slot| matches!(slot.phase, Phase::Asking(_))) {
                state = self.shared.news.wait(state).unwrap();
            }
        }

        /// How many threads there are.
        pub fn threads(&self) -> usize {
            self.shared.lock().threads
        }
    }
}
