//! Who keeps the beat: one thread at a time, and another one when a collector hangs.
//!
//! The thread that keeps the beat owns the [`Scheduler`], and with it the grid, the clock, the
//! watchdog's pulse, the channels and all collectors. For the time of a collector's call it
//! lays the scheduler down in a place that everybody can reach, and takes it up again
//! afterwards. Whoever watches over it can take it from there when the call does not come
//! back, and give it to another thread. The thread that comes back too late finds the place
//! empty, or laid down by another one; it hands in its collector and ends. No lock is held
//! over a call: what the two threads share is that one place.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::done::{Done, HandIn};
use super::scheduler::Scheduler;
use crate::host::Scratch;

/// How long a collector's call may take. They read the kernel's own files, which takes
/// milliseconds; a machine that swaps or is stopped for a while may take a second. Service
/// managers give a program that is silent ten times as long.
pub const HANGS_AFTER: Duration = Duration::from_secs(5);

/// The same behind one that hangs, until the round is over: what makes one file hang mostly makes
/// several hang, and the beat stands still for each in its turn.
const HANGS_AFTER_ANOTHER: Duration = Duration::from_secs(1);

/// A call that seems to hang is looked at a second time after this: where the whole program
/// stood still, a suspended machine say, its thread has had a turn by then.
const SECOND_LOOK: Duration = Duration::from_millis(100);

/// The beat. Clones are of the same one.
#[derive(Clone)]
pub struct Beat(Arc<Shared>);

struct Shared {
    place: Mutex<Place>,
    /// Until when the scheduler sleeps, in nanoseconds of CLOCK_MONOTONIC.
    sleeps_until: AtomicU64,
    hand_in: HandIn,
}

/// Where the scheduler lies while a collector is called.
#[derive(Default)]
struct Place {
    scheduler: Option<Box<Scheduler>>,
    /// Counts the calls, and so tells this one from all others.
    call: u64,
    /// When the call began, CLOCK_MONOTONIC.
    since: Duration,
}

/// A call that hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub struct Hang(u64);

/// What a look at the beat shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub enum Look {
    /// All is well; the next look is worth it then (CLOCK_MONOTONIC).
    Well(Duration),
    /// A collector hangs: another thread is to go on.
    Hangs(Hang),
}

impl Beat {
    /// Of a scheduler whose collectors hand in at `hand_in`.
    pub fn new(hand_in: HandIn) -> Beat {
        let place = Mutex::default();
        Beat(Arc::new(Shared { place, sleeps_until: AtomicU64::new(0), hand_in }))
    }

    /// Keeps the beat until it is time to stop, or until another thread has taken over.
    pub fn keep(&self, mut scheduler: Box<Scheduler>) {
        let mut scratch = Scratch::new();
        scheduler.go_on();
        while let Some(mut call) = scheduler.next_call(|until| self.sleeps(until)) {
            let number = self.lay_down(scheduler, call.begun());
            call.run(&mut scratch);
            match self.take_up(number) {
                Some(mine) => scheduler = mine,
                None => {
                    self.0.hand_in.put(Done::Returned(call.give_up()));
                    return self.wakes();
                }
            }
            scheduler.back(call);
        }
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.0.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sleeps(&self, until: Duration) {
        self.0.sleeps_until.store(until.as_nanos() as u64, Ordering::Relaxed);
    }

    /// It does not sleep for as long as it said: something was sent to it.
    pub fn wakes(&self) {
        self.sleeps(Duration::ZERO);
    }

    fn lay_down(&self, scheduler: Box<Scheduler>, since: Duration) -> u64 {
        let mut place = self.place();
        place.scheduler = Some(scheduler);
        place.call += 1;
        place.since = since;
        place.call
    }

    /// The scheduler, if it was laid down for the call of that number and still lies there.
    fn take_up(&self, call: u64) -> Option<Box<Scheduler>> {
        let mut place = self.place();
        if place.call == call { place.scheduler.take() } else { None }
    }
}

/// Looks after a beat from another thread.
pub struct Watch {
    beat: Beat,
    limit: Duration,
    /// A call that seemed to hang, and when to look at it again.
    suspect: Option<(Hang, Duration)>,
    /// A collector has hung in the round that is under way.
    has_hung: bool,
}

impl Watch {
    /// A collector hangs when its call takes longer than `limit`.
    pub fn new(beat: Beat, limit: Duration) -> Watch {
        Watch { beat, limit, suspect: None, has_hung: false }
    }

    /// Looks at `now` (CLOCK_MONOTONIC) whether a collector hangs.
    ///
    /// Between two calls nothing can hang, so the next look is due when the next call would
    /// have taken too long: about once a round, or each `limit` where rounds are closer.
    pub fn look(&mut self, now: Duration) -> Look {
        let place = self.beat.place();
        if place.scheduler.is_none() {
            self.suspect = None;
            let until = Duration::from_nanos(self.beat.0.sleeps_until.load(Ordering::Relaxed));
            self.has_hung &= until <= now;
            return Look::Well(until.max(now) + self.limit());
        }
        let (hang, at) = (Hang(place.call), place.since + self.limit());
        if now < at {
            self.suspect = None;
            return Look::Well(at);
        }
        match self.suspect {
            Some((suspect, from)) if suspect == hang && now >= from => Look::Hangs(hang),
            Some((suspect, from)) if suspect == hang => Look::Well(from),
            _ => {
                let from = now + SECOND_LOOK;
                self.suspect = Some((hang, from));
                Look::Well(from)
            }
        }
    }

    /// Takes the scheduler from the thread that hangs, for another one to go on with. None
    /// where the call has come back in the meantime.
    pub fn take_over(&mut self, hang: Hang) -> Option<Box<Scheduler>> {
        self.suspect = None;
        let taken = self.beat.take_up(hang.0);
        self.has_hung |= taken.is_some();
        taken
    }

    fn limit(&self) -> Duration {
        if self.has_hung { self.limit.min(HANGS_AFTER_ANOTHER) } else { self.limit }
    }

    /// What it looks after.
    pub fn beat(&self) -> &Beat {
        &self.beat
    }
}
