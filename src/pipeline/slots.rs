//! The collectors there are: each fast one in a slot, out of it while it is called.
//!
//! Whoever calls a collector takes it out first, and holds on to nothing else meanwhile. So
//! when the call never comes back, that one collector is lost and everything else can go on.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;

use super::done::{Done, HandIn};
use super::pace::Pace;
use super::runner::{Collected, Runner};
use super::slow::{self, SlowHandle, SlowWorker};
use crate::collectors::{Built, Named, NamedSlow, Tick};
use crate::host::{Scratch, monotonic};
use crate::model::{Frame, ViewSlots};
use crate::order;
use crate::telemetry::CollectorStatus;

/// How many threads may be lost to collectors of one name. A second one can be where a reload
/// made the collector anew while the old one hung; after that the new one waits for the old ones.
const LOST_PER_NAME: usize = 2;

/// How long a collector that has hung for the second time rests before it is asked again;
/// twice as long after each further time. The beat waits for each hang, so one that hangs time
/// and again must not be asked time and again.
const FIRST_REST: Duration = Duration::from_secs(10);

/// The longest rest. Who has not hung for as long starts anew.
const LONGEST_REST: Duration = Duration::from_secs(1800);

/// The collectors: the fast ones in their slots, and the handles of the slow ones.
pub struct Collectors {
    slots: Vec<Slot>,
    pub(super) slow: Vec<SlowHandle>,
    pub(super) done: Receiver<Done>,
    hand_in: HandIn,
    views: ViewSlots,
    /// The names of those whose call hangs on a thread that was left behind with it, also of
    /// those whose slot is gone.
    lost: Vec<&'static str>,
}

/// A fast collector's place.
struct Slot {
    status: Arc<CollectorStatus>,
    pace: Pace,
    content: Content,
    /// How often it has hung, and when last (CLOCK_MONOTONIC).
    hung: (u32, Duration),
}

enum Content {
    /// To be primed, not before the moment given (CLOCK_MONOTONIC).
    Unprimed(Box<Runner>, Duration),
    /// To be called in each round.
    Primed(Box<Runner>),
    /// Out for a call that began then (CLOCK_MONOTONIC).
    Called(Duration),
    /// Lost in a call that began then.
    Lost(Duration),
}

/// A collector that is out of its slot, to be called.
pub struct Call {
    runner: Box<Runner>,
    tick: Tick,
    kind: CallKind,
    begun: Duration,
}

enum CallKind {
    Prime,
    /// With what it came to.
    Collect(Option<Collected>),
}

impl Call {
    /// When it began, CLOCK_MONOTONIC.
    pub fn begun(&self) -> Duration {
        self.begun
    }

    /// Its collector, where nobody waits for what it gave, which is forgotten.
    pub fn give_up(self) -> Box<Runner> {
        let mut runner = self.runner;
        runner.discard();
        runner
    }

    /// The call itself, which may never come back.
    pub fn run(&mut self, scratch: &mut Scratch) {
        match &mut self.kind {
            CallKind::Prime => self.runner.prime(&self.tick, scratch),
            CallKind::Collect(collected) => *collected = Some(self.runner.collect(&self.tick, scratch)),
        }
    }
}

/// What a call came to.
pub enum Back {
    /// It was primed.
    Primed,
    /// Its frame of the round.
    Gave(Frame),
    /// It has nothing in this round.
    Silent(&'static str),
}

/// Collectors to take the place of others of the same name, or to come anew.
pub struct Fresh {
    fast: Vec<Slot>,
    slow: Vec<SlowHandle>,
    /// One each, fast ones first.
    pub statuses: Vec<Arc<CollectorStatus>>,
    /// Each to be run on a thread of its own.
    pub workers: Vec<SlowWorker>,
}

impl Fresh {
    /// Gives each collector its runner.
    pub fn new(built: Built, max_series: usize, views: &ViewSlots, hand_in: &HandIn) -> Fresh {
        let mut statuses = Vec::new();
        let mut status_of = |name: &'static str| {
            let status = Arc::new(CollectorStatus::new(name));
            statuses.push(Arc::clone(&status));
            status
        };
        let mut slot = |Named { plan, collector }| {
            let status = status_of(plan.name);
            let runner = Box::new(Runner::new(collector, Arc::clone(&status), max_series, plan.labels, views));
            let content = Content::Unprimed(runner, Duration::ZERO);
            Slot { status, pace: Pace::new(plan.interval), content, hung: (0, Duration::ZERO) }
        };
        let fast = built.fast.into_iter().map(&mut slot).collect();
        let (mut slow, mut workers) = (Vec::new(), Vec::new());
        for named in built.slow {
            let NamedSlow { plan, collector, due, deadline } = named;
            let status = status_of(plan.name);
            let runner = Runner::new(collector, Arc::clone(&status), max_series, plan.labels, views);
            let pace = Pace::new(plan.interval);
            let (handle, worker) = slow::slow(runner, status, due, pace, deadline, hand_in.clone());
            slow.push(handle);
            workers.push(worker);
        }
        Fresh { fast, slow, statuses, workers }
    }
}

impl Slot {
    fn name(&self) -> &'static str {
        self.status.name()
    }

    /// Takes the collector out for a call.
    fn call(&mut self, tick: &Tick, kind: CallKind) -> Option<Call> {
        let begun = monotonic();
        match std::mem::replace(&mut self.content, Content::Called(begun)) {
            Content::Unprimed(runner, _) | Content::Primed(runner) => Some(Call { runner, tick: *tick, kind, begun }),
            other => {
                self.content = other;
                None
            }
        }
    }
}

impl Collectors {
    /// Gives each collector its runner. The statuses are in the same order, fast ones first;
    /// each of the workers is to be run on a thread of its own.
    pub fn new(built: Built, max_series: usize) -> (Collectors, Vec<Arc<CollectorStatus>>, Vec<SlowWorker>) {
        let (hand_in, done) = HandIn::new();
        let views = ViewSlots::default();
        let Fresh { fast, slow, statuses, workers } = Fresh::new(built, max_series, &views, &hand_in);
        (Collectors { slots: fast, slow, done, hand_in, views, lost: Vec::new() }, statuses, workers)
    }

    /// Where other threads hand in.
    pub fn hand_in(&self) -> HandIn {
        self.hand_in.clone()
    }

    /// Their names, those of the slow ones too, each with the time between two of its rounds
    /// where the `beat` is that long.
    pub(super) fn sources(&self, beat: Duration) -> impl Iterator<Item = (&'static str, Duration)> {
        let fast = self.slots.iter().map(move |slot| (slot.name(), slot.pace.interval(beat)));
        fast.chain(self.slow.iter().map(move |slow| (slow.name(), slow.interval(beat))))
    }

    /// For how many views their chunks have room.
    pub fn views(&self) -> ViewSlots {
        self.views.clone()
    }

    /// How many fast ones there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Takes up `fresh`, and keeps, of those that are there, only what `order` names and
    /// `fresh` does not bring. From now on they run in that order. The names of those whose
    /// last numbers are no longer true.
    pub(super) fn change(&mut self, order: &[&'static str], fresh: Fresh) -> Vec<&'static str> {
        let (mut fast, mut slow) = (fresh.fast, fresh.slow);
        let mut stale = Vec::new();
        for slot in self.slots.drain(..) {
            let name = slot.name();
            if !order.contains(&name) {
                stale.push(name);
            } else if !fast.iter().any(|new| new.name() == name) {
                fast.push(slot);
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
        order::sort_by_key(&mut fast, |slot| place(slot.name()));
        order::sort_by_key(&mut slow, |handle| place(handle.name()));
        (self.slots, self.slow) = (fast, slow);
        stale
    }

    /// Whether one waits to be primed. Cheap where none does.
    pub(super) fn any_unprimed(&self) -> bool {
        self.slots.iter().any(|slot| matches!(slot.content, Content::Unprimed(..)))
    }

    /// Takes out the first that is to be primed at `now` (CLOCK_MONOTONIC).
    pub(super) fn call_to_prime(&mut self, now: Duration, tick: impl FnOnce() -> Tick) -> Option<Call> {
        let lost = &self.lost;
        let may_be_called = |slot: &Slot| lost.iter().filter(|name| **name == slot.name()).count() < LOST_PER_NAME;
        let due = |slot: &&mut Slot| match slot.content {
            Content::Unprimed(_, from) => from <= now && may_be_called(slot),
            _ => false,
        };
        let slot = self.slots.iter_mut().find(due)?;
        slot.call(&tick(), CallKind::Prime)
    }

    /// Takes out the first that is to be called in a round, from the slot `at` on, which is
    /// set behind it. Rounds are `beat` apart.
    pub(super) fn call_to_collect(&mut self, at: &mut usize, tick: &Tick, beat: Duration) -> Option<Call> {
        while let Some(slot) = self.slots.get_mut(*at) {
            *at += 1;
            if matches!(slot.content, Content::Primed(_)) && slot.pace.is_turn(tick.monotonic, beat) {
                return slot.call(tick, CallKind::Collect(None));
            }
        }
        None
    }

    /// A call has come back in time: the collector goes into its slot again.
    pub(super) fn back(&mut self, call: Call) -> Back {
        let Call { mut runner, tick, kind, .. } = call;
        let name = runner.name();
        let frame = match kind {
            CallKind::Prime => None,
            CallKind::Collect(collected) => Some(collected.and_then(|it| runner.conclude(&tick, it))),
        };
        // Nothing changes the slots while a call is under way.
        if let Some(slot) = self.slots.iter_mut().find(|slot| Arc::ptr_eq(&slot.status, runner.status())) {
            slot.content = Content::Primed(runner);
        }
        match frame {
            None => Back::Primed,
            Some(None) => Back::Silent(name),
            Some(Some(frame)) => Back::Gave(frame),
        }
    }

    /// The thread that called a collector is left behind with it, if there is such a call:
    /// the collector's name, and since when it has been called (CLOCK_MONOTONIC).
    pub(super) fn leave_behind(&mut self, now: Duration) -> Option<(&'static str, Duration)> {
        for slot in &mut self.slots {
            if let Content::Called(since) = slot.content {
                slot.content = Content::Lost(since);
                let times = if now.saturating_sub(slot.hung.1) > LONGEST_REST { 0 } else { slot.hung.0 };
                slot.hung = (times + 1, now);
                self.lost.push(slot.name());
                slot.status.hangs(since, "the others go on without it");
                return Some((slot.name(), since));
            }
        }
        None
    }

    /// A collector that was left behind has come back. It goes into its slot, to be primed
    /// anew, unless a reload has filled or removed that. Whether it does.
    pub(super) fn returned(&mut self, runner: Box<Runner>, now: Duration) -> bool {
        if let Some(at) = self.lost.iter().position(|name| *name == runner.name()) {
            self.lost.swap_remove(at);
        }
        let Some(slot) = self.slots.iter_mut().find(|slot| Arc::ptr_eq(&slot.status, runner.status())) else {
            return false;
        };
        let rest = rest(slot.hung.0);
        if let Content::Lost(since) = slot.content {
            let next = match rest.as_secs() {
                0 => "in the next round".to_owned(),
                seconds => format!("after {seconds} s, as it has hung {} times", slot.hung.0),
            };
            let took = now.saturating_sub(since).as_secs();
            slot.status.stale(format!("it hung: its call came back after {took} s; it is asked again {next}"));
        }
        slot.content = Content::Unprimed(runner, now + rest);
        true
    }

    /// Whether no slow collector has a round under way.
    pub(super) fn is_complete(&self) -> bool {
        !self.slow.iter().any(SlowHandle::is_running)
    }

    /// One round of the fast collectors on the thread that asks, which hangs with them: for
    /// measurements. A frame of each that gave one; `silent` is told of the others.
    pub fn round(&mut self, tick: &Tick, scratch: &mut Scratch, mut silent: impl FnMut(&'static str)) -> Vec<Frame> {
        while let Some(mut call) = self.call_to_prime(Duration::MAX, || *tick) {
            call.run(scratch);
            self.back(call);
        }
        let mut frames = Vec::with_capacity(self.slots.len());
        let mut at = 0;
        while let Some(mut call) = self.call_to_collect(&mut at, tick, Duration::ZERO) {
            call.run(scratch);
            match self.back(call) {
                Back::Gave(frame) => frames.push(frame),
                Back::Silent(name) => silent(name),
                Back::Primed => {}
            }
        }
        frames
    }
}

/// How long a collector rests that has hung `times` times.
fn rest(times: u32) -> Duration {
    match times {
        0 | 1 => Duration::ZERO,
        more => FIRST_REST.saturating_mul(1 << (more - 2).min(16)).min(LONGEST_REST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_hangs_time_and_again_rests_ever_longer() {
        let seconds: Vec<u64> = [1, 2, 3, 4, 9, 10, 1000].map(|times| rest(times).as_secs()).to_vec();
        assert_eq!(seconds, [0, 10, 20, 40, 1280, 1800, 1800]);
    }
}
