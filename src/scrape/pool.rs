//! When which target is asked, and by which thread.
//!
//! Targets are spread over their interval by a stable hash of their names, on a grid of
//! CLOCK_MONOTONIC. Threads take what is due. A target that has timed out is asked by threads of
//! another kind until it answers, so that those that hang delay nobody that is well.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use log::Level;

use super::said::About;
use super::settings::Settings;
use super::target::{Context, Target};
use crate::host::{monotonic, wall_ms};
use crate::model::Frame;
use crate::telemetry::{EndpointState, EndpointStatus, panic_message};

/// How many threads there are of each kind, at most.
pub const THREADS: usize = 16;

/// A target's first scrape is within this time: nobody waits an hour for the first sample.
const FIRST_WITHIN: Duration = Duration::from_secs(3);

/// How often those whose turn does not come are looked for, at most: all targets are walked.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often it is said that there are some.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// Each thread keeps so much room for the next page, in bytes.
const KEPT_BODY: usize = 64 << 10;

/// And so much is kept once for all of them: a large page takes as long to read as its memory takes to be had from
/// the kernel.
const SPARE_BODY: usize = 16 << 20;

/// Where frames go. Whether anybody is there.
pub type Deliver = Box<dyn Fn(Frame) -> bool + Send + Sync>;

/// The targets that are asked, shared by the threads that do so.
#[derive(Clone)]
pub struct Pool(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    wake: [Condvar; 2],
    /// Room for a large page, while nobody uses it.
    spare: Mutex<Vec<u8>>,
    context: Context,
    deliver: Deliver,
}

/// Which threads ask a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Those for targets that are well.
    Well,
    /// Those for targets that have timed out, and for those that were never asked.
    Slow,
}

#[derive(Default)]
struct State {
    targets: HashMap<Id, Slot>,
    /// Whose forerunners are still being asked: these, by the forerunner's.
    heirs: HashMap<Id, Id>,
    /// What is due, earliest first, by kind. One that is gone may still stand here.
    due: [BinaryHeap<Reverse<(Duration, Id)>>; 2],
    next: Id,
    /// When those that are overdue were last looked for.
    looked: Duration,
    /// When it was last said that some are overdue.
    said: Duration,
    stopped: bool,
}

type Id = u64;

struct Slot {
    settings: Arc<Settings>,
    status: Arc<EndpointStatus>,
    due: Duration,
    kind: Kind,
    /// None while it is being asked, or while its forerunner is.
    target: Option<Box<Target>>,
    /// What is to be asked here once its forerunner is back, since that has what its rules know.
    heir: Option<Box<Target>>,
}

/// A target that was taken to be asked.
struct Turn {
    id: Id,
    target: Box<Target>,
    due: Duration,
}

impl State {
    /// That of a new target, which was `before` until now.
    fn slot(&mut self, id: Id, settings: &Arc<Settings>, before: Option<(Id, Slot)>, context: &Context) -> Slot {
        let settings = Arc::clone(settings);
        let mut target = Box::new(Target::new(Arc::clone(&settings), context));
        let due = monotonic() + offset(&settings.name, FIRST_WITHIN.min(settings.interval));
        // Nobody knows whether it hangs: that must delay nobody who is known to be well.
        let kind = Kind::Slow;
        let mut slot = Slot { settings, status: Arc::clone(target.status()), due, kind, target: None, heir: None };
        // Only rules that know something have something to hand on.
        let before = before.filter(|_| target.is_staged());
        if let Some((before, Slot { target: None, heir, .. })) = before {
            // It takes the place of one that waits, or waits for the one that is being asked.
            let waits = heir.and_then(|_| self.heirs.iter().find(|(_, heir)| **heir == before));
            let forerunner = waits.map_or(before, |(forerunner, _)| *forerunner);
            self.heirs.insert(forerunner, id);
            slot.heir = Some(target);
            return slot;
        }
        if let Some(old) = before.and_then(|(_, slot)| slot.target) {
            target.take_over(*old);
        }
        slot.target = Some(target);
        self.due[kind as usize].push(Reverse((due, id)));
        slot
    }

    /// A target that is not wanted any more is back: it hands on what it knows to the one that waits for that. Which
    /// threads that one is for.
    fn hand_on(&mut self, id: Id, target: Target) -> Option<Kind> {
        let heir = self.heirs.remove(&id)?;
        let slot = self.targets.get_mut(&heir)?;
        let mut next = slot.heir.take()?;
        next.take_over(target);
        slot.target = Some(next);
        self.due[slot.kind as usize].push(Reverse((slot.due, heir)));
        Some(slot.kind)
    }
}

impl Pool {
    /// A pool of nothing yet, whose frames are delivered so.
    pub fn new(context: Context, deliver: Deliver) -> Pool {
        let (state, wake, spare) = (Mutex::default(), [Condvar::new(), Condvar::new()], Mutex::default());
        let shared = Shared { state, wake, spare, context, deliver };
        Pool(Arc::new(shared))
    }

    /// From now on these are the targets. Those that were there with the same settings go on as
    /// they are. Their states, in the order of `all`.
    pub fn exchange(&self, all: &[Arc<Settings>]) -> Vec<Arc<EndpointStatus>> {
        // Nobody may need so much any more.
        *self.spare() = Vec::new();
        let mut state = self.state();
        let mut old = std::mem::take(&mut state.targets);
        let known = old.iter().map(|(id, slot)| (Arc::clone(&slot.settings.name), *id));
        let mut known: HashMap<Arc<str>, Id> = known.collect();
        let mut statuses = Vec::with_capacity(all.len());
        for settings in all {
            let kept = known.remove(&settings.name).and_then(|id| Some((id, old.remove(&id)?)));
            let (id, slot) = match kept {
                Some((id, slot)) if Arc::ptr_eq(&slot.settings, settings) || *slot.settings == **settings => (id, slot),
                before => {
                    let id = state.next;
                    state.next += 1;
                    (id, state.slot(id, settings, before, &self.0.context))
                }
            };
            statuses.push(Arc::clone(&slot.status));
            state.targets.insert(id, slot);
        }
        drop((state, old));
        self.0.context.readings.tidy();
        self.0.wake.iter().for_each(Condvar::notify_all);
        statuses
    }

    /// Asks what is due for targets of this kind, until the pool is stopped.
    pub fn run(&self, kind: Kind) {
        let mut body = Vec::new();
        while let Some(Turn { id, mut target, due }) = self.take(kind) {
            let began = monotonic();
            if target.page_bytes() > KEPT_BODY {
                std::mem::swap(&mut body, &mut self.spare());
            }
            let scraped = catch_unwind(AssertUnwindSafe(|| target.scrape(wall_ms(), &mut body)));
            let scraped = match scraped {
                Ok(scraped) => scraped,
                Err(panic) => {
                    let line = format!("endpoint {}: a bug: {}", target.name(), panic_message(&*panic));
                    target.say(About::Trouble, Level::Error, &line);
                    target = Box::new(target.anew());
                    target.met_a_bug(wall_ms())
                }
            };
            self.put_by(&mut body);
            if !self.give_back(id, target, due, began, scraped.timed_out) {
                continue;
            }
            if !scraped.frames().all(&self.0.deliver) {
                return;
            }
            self.tell_overdue();
        }
    }

    /// Puts a large body by for the next large page, unless there is a larger one.
    fn put_by(&self, body: &mut Vec<u8>) {
        if body.capacity() > KEPT_BODY {
            let mut spare = self.spare();
            if (spare.capacity() + 1..=SPARE_BODY).contains(&body.capacity()) {
                std::mem::swap(body, &mut spare);
            }
            drop(spare);
            *body = Vec::new();
        }
    }

    fn spare(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No target is asked any more; the threads end.
    pub fn stop(&self) {
        self.state().stopped = true;
        self.0.wake.iter().for_each(Condvar::notify_all);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next target of this kind, when it is due; none: it is time to end.
    fn take(&self, kind: Kind) -> Option<Turn> {
        let mut state = self.state();
        loop {
            if state.stopped {
                return None;
            }
            let now = monotonic();
            let wake = &self.0.wake[kind as usize];
            match state.due[kind as usize].peek().copied() {
                Some(Reverse((due, id))) if due <= now => {
                    state.due[kind as usize].pop();
                    let Some(slot) = state.targets.get_mut(&id) else { continue };
                    if let Some(target) = slot.target.take() {
                        // Others may be due as well.
                        wake.notify_one();
                        return Some(Turn { id, target, due });
                    }
                }
                Some(Reverse((due, _))) => {
                    state = wake.wait_timeout(state, due - now).unwrap_or_else(PoisonError::into_inner).0;
                }
                None => state = wake.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// A target has been asked. Whether it is still wanted.
    fn give_back(&self, id: Id, target: Box<Target>, due: Duration, began: Duration, timed_out: bool) -> bool {
        let now = monotonic();
        let mut state = self.state();
        let Some(slot) = state.targets.get_mut(&id) else {
            if let Some(kind) = state.hand_on(id, *target) {
                self.0.wake[kind as usize].notify_one();
            }
            return false;
        };
        let (next, missed) = next_due(due, now, &slot.settings.name, slot.settings.interval);
        if missed > 0 && began.saturating_sub(due) > slot.settings.interval {
            log::debug!("endpoint {}: {missed} scrapes were skipped", slot.settings.name);
        }
        slot.kind = if timed_out { Kind::Slow } else { Kind::Well };
        slot.due = next;
        slot.target = Some(target);
        let kind = slot.kind as usize;
        state.due[kind].push(Reverse((next, id)));
        drop(state);
        self.0.wake[kind].notify_one();
        true
    }

    /// Those whose turn has not come for a whole interval, all threads having waited for others, say
    /// that they are waiting.
    fn tell_overdue(&self) {
        let now = monotonic();
        let (mut frames, mut count) = (Vec::new(), 0);
        let mut state = self.state();
        let State { targets, due, looked, .. } = &mut *state;
        if now.saturating_sub(*looked) < LOOK_EVERY {
            return;
        }
        *looked = now;
        self.0.context.said.tally(now);
        for (id, slot) in targets.iter_mut() {
            let interval = slot.settings.interval;
            // What was never asked is not down.
            if slot.status.last().state == EndpointState::Pending {
                continue;
            }
            if let Some(target) = slot.target.as_mut().filter(|_| now.saturating_sub(slot.due) > interval) {
                frames.extend(target.waits(wall_ms()).frames());
                count += 1;
                slot.due = next_due(slot.due, now, &slot.settings.name, interval).0;
                due[slot.kind as usize].retain(|Reverse((_, other))| other != id);
                // It keeps its place in front of those that have waited for less time.
                due[slot.kind as usize].push(Reverse((now, *id)));
            }
        }
        if count > 0 && now.saturating_sub(state.said) > SAY_EVERY {
            state.said = now;
            log::warn!(
                "endpoints: {count} are waiting for their turn, since all threads ask endpoints that do not answer"
            );
        }
        drop(state);
        frames.into_iter().for_each(|frame| _ = (self.0.deliver)(frame));
    }
}

/// Asks each of these once, many at a time; their frames, in their order.
pub fn scrape_once(endpoints: &[Arc<Settings>], context: &Context) -> Vec<Frame> {
    let next = AtomicUsize::new(0);
    let frames: Vec<Mutex<Option<Frame>>> = endpoints.iter().map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for _ in 0..endpoints.len().min(THREADS) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let (Some(settings), Some(place)) = (endpoints.get(at), frames.get(at)) else { return };
                    let mut target = Target::new(Arc::clone(settings), context);
                    let frame = target.scrape(wall_ms(), &mut Vec::new()).frame;
                    *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(frame);
                }
            });
        }
    });
    // Nobody waits for more.
    context.said.tally(Duration::MAX);
    frames.into_iter().filter_map(|frame| frame.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
}

/// A stable place in an interval, by the name.
fn offset(name: &str, interval: Duration) -> Duration {
    // FNV-1a, the same in each version and on each host, and then the end of MurmurHash3, since names
    // that differ in their last letter differ in few of its bits.
    let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let mut hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, fnv);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^= hash >> 33;
    interval.mul_f64((hash >> 11) as f64 / (1_u64 << 53) as f64)
}

/// When a target of that name is due next behind `now`, and how many of its turns are over that
/// were behind `due`.
fn next_due(due: Duration, now: Duration, name: &str, interval: Duration) -> (Duration, u64) {
    let offset = offset(name, interval);
    let nanos = interval.as_nanos().max(1);
    let turns = |at: Duration| at.saturating_sub(offset).as_nanos() / nanos;
    let next = Duration::from_nanos(((turns(now) + 1) * nanos + offset.as_nanos()) as u64);
    (next, (turns(now).saturating_sub(turns(due))) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_spread_over_their_interval_and_keep_their_place() {
        let interval = Duration::from_secs(10);
        let mut tenths = [0; 10];
        for at in 0..1000 {
            let offset = offset(&format!("app-{at}"), interval);
            assert!(offset < interval);
            tenths[offset.as_secs() as usize] += 1;
        }
        assert!(tenths.iter().all(|count| (60..140).contains(count)), "{tenths:?}");
        assert_eq!(offset("app-1", interval), offset("app-1", interval));
    }

    #[test]
    fn a_target_that_a_reload_changes_waits_for_what_the_one_that_is_being_asked_knows() {
        let context = Context {
            views: Default::default(),
            own: "".into(),
            counts: Arc::default(),
            said: Arc::default(),
            readings: Arc::default(),
        };
        let pool = Pool::new(context, Box::new(|_| true));
        let of = |millis: u64, rules: &str| {
            Arc::new(Settings {
                interval: Duration::from_millis(millis),
                transforms: crate::shaping::testing::rules(rules),
                ..crate::scrape::tests::settings("app", "http://h:1/")
            })
        };
        let limit = r#"[{"limit": {"series": 1}}]"#;
        pool.exchange(&[of(100, limit)]);
        let Turn { id, target, due } = pool.take(Kind::Slow).unwrap();
        // Two reloads while it is being asked.
        pool.exchange(&[of(101, limit)]);
        pool.exchange(&[of(102, limit)]);
        let targets = |pool: &Pool| {
            let state = pool.state();
            let there = |slot: &Slot| (slot.settings.interval.as_millis(), slot.target.is_some(), slot.heir.is_some());
            (state.targets.values().map(there).collect::<Vec<_>>(), state.heirs.len())
        };
        assert_eq!(targets(&pool), (vec![(102, false, true)], 1));
        assert!(!pool.give_back(id, target, due, due, false), "it is not wanted any more");
        assert_eq!(targets(&pool), (vec![(102, true, false)], 0));
        let Turn { id, target, due } = pool.take(Kind::Slow).unwrap();
        // Where there is nothing to wait for nobody waits, and what comes back to nobody is gone.
        pool.exchange(&[of(103, "[]")]);
        assert_eq!(targets(&pool), (vec![(103, true, false)], 0));
        assert!(!pool.give_back(id, target, due, due, false));
        pool.exchange(&[of(104, limit)]);
        let Turn { id, target, due } = pool.take(Kind::Slow).unwrap();
        pool.exchange(&[of(105, limit)]);
        pool.exchange(&[]);
        assert!(!pool.give_back(id, target, due, due, false));
        assert_eq!(targets(&pool), (vec![], 0));
    }

    #[test]
    fn a_target_is_due_once_an_interval_at_its_place() {
        let interval = Duration::from_secs(10);
        let at = offset("a", interval);
        let seconds = Duration::from_secs;
        let (next, missed) = next_due(seconds(100) + at, seconds(101) + at, "a", interval);
        assert_eq!((next, missed), (seconds(110) + at, 0));
        let (next, missed) = next_due(seconds(100) + at, seconds(135) + at, "a", interval);
        assert_eq!((next, missed), (seconds(140) + at, 3));
    }
}
