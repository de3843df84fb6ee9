//! A collector that hangs, and the beat that goes on without it.

use super::*;
use crate::pipeline::handover::Hang;

/// What a collector was called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Prime,
    Collect,
}

use Asked::{Collect, Prime};

/// Hangs in some of its calls, which are counted from 0 and begin with a priming, until it
/// may go on.
struct Fragile {
    name: &'static str,
    calls: usize,
    hangs_in: Vec<usize>,
    asked: Sender<Asked>,
    go: Receiver<()>,
}

impl Fragile {
    fn call(&mut self, asked: Asked) {
        let hangs = self.hangs_in.contains(&self.calls);
        self.calls += 1;
        let _ = self.asked.send(asked);
        if hangs {
            let _ = self.go.recv();
        }
    }
}

impl Collector for Fragile {
    fn prime(&mut self, _: &Tick, _: &mut Scratch) {
        self.call(Prime);
    }

    fn collect(&mut self, _: &Tick, _: &mut Scratch, out: &mut Recorder) -> Result<(), CollectError> {
        out.item(&Item::new(&["before", self.name])).push(&VALUE, 1.0);
        self.call(Collect);
        out.item(&Item::new(&["after", self.name])).push(&VALUE, self.calls as f64);
        Ok(())
    }
}

/// What a test holds of a fragile collector: what it is asked for, and what lets it go on.
struct Held {
    asked: Receiver<Asked>,
    go: Sender<()>,
}

fn fragile(name: &'static str, hangs_in: &[usize]) -> (Named, Held) {
    let ((asked, is_asked), (go, gone)) = (unbounded(), bounded(0));
    let collector = Box::new(Fragile { name, calls: 0, hangs_in: hangs_in.to_vec(), asked, go: gone });
    (Named { plan: plan(name), collector }, Held { asked: is_asked, go })
}

impl Held {
    #[track_caller]
    fn is_asked(&self, expected: &[Asked]) {
        for asked in expected {
            assert_eq!(self.asked.recv_timeout(PATIENCE), Ok(*asked));
        }
    }
}

fn built(fast: Vec<Named>) -> Built {
    Built { fast, slow: Vec::new() }
}

fn sources(batch: &Batch) -> Vec<&str> {
    batch.frames.iter().map(|frame| &*frame.source).collect()
}

impl Running {
    /// As the watch sees it after a long time: a call that hangs. The test knows that there is one.
    fn hang(&self, watch: &mut Watch) -> Hang {
        let mut now = monotonic() + Duration::from_secs(3600);
        loop {
            match watch.look(now) {
                Look::Hangs(hang) => return hang,
                Look::Well(again) => now = again,
            }
        }
    }

    /// The watch finds that a collector hangs, and another thread goes on.
    fn take_over(&mut self) {
        let mut watch = Watch::new(self.beat.clone(), HANGS_AFTER);
        let hang = self.hang(&mut watch);
        let scheduler = watch.take_over(hang).expect("the call hangs");
        self.keep(scheduler);
    }

    /// The next batch with frames of just these.
    #[track_caller]
    fn until(&self, expected: &[&str]) -> Arc<Batch> {
        for _ in 0..1000 {
            let batch = self.batch();
            if sources(&batch) == expected {
                return batch;
            }
        }
        panic!("no batch of {expected:?}");
    }

    fn state(&self, name: &str) -> (CollectorState, String) {
        self.state_at(name, monotonic())
    }

    fn state_at(&self, name: &str, now: Duration) -> (CollectorState, String) {
        let status = self.statuses.iter().find(|status| status.name() == name).unwrap();
        let round = status.last(now).unwrap();
        (round.state, round.error.unwrap_or_default())
    }

    fn latest(&self) -> Vec<String> {
        self.telemetry.latest.frames().iter().map(|frame| frame.source.to_string()).collect()
    }

    /// The thread that was the first, the second and so on has ended.
    fn ends(&mut self, thread: usize) {
        self.threads.remove(thread).join().unwrap();
    }
}

#[test]
fn a_collector_that_hangs_is_left_behind_and_comes_back_primed_anew() {
    let (hangs, held) = fragile("hangs", &[2]);
    let mut running = Running::start(built(vec![counting("a"), hangs, counting("b")]), QUICK, &[NOW]);
    held.is_asked(&[Prime, Collect, Collect]);
    let first = running.batch();
    assert_eq!((first.time_ms, sources(&first)), (NOW, vec!["a", "hangs", "b"]));
    running.take_over();
    // What the second round had given has its time; who came after the collector has a later one.
    let part = running.batch();
    assert_eq!((part.time_ms, sources(&part)), (NOW + 1000, vec!["a"]));
    let rest = running.batch();
    assert_eq!((rest.time_ms, sources(&rest)), (NOW + 2000, vec!["b"]));
    for tick in 3..20 {
        let batch = running.batch();
        assert_eq!((batch.time_ms, sources(&batch)), (NOW + tick * 1000, vec!["a", "b"]));
    }
    let (state, why) = running.state("hangs");
    assert_eq!(state, CollectorState::Stale);
    assert!(why.starts_with("it hangs: its call has not come back for "), "{why}");
    assert_eq!(running.latest(), ["a", "b"]);
    // It is not asked while it hangs.
    assert!(held.asked.is_empty());
    held.go.send(()).unwrap();
    held.is_asked(&[Prime, Collect]);
    let back = running.until(&["a", "hangs", "b"]);
    // Of the round that hung there is nothing: this is its fifth call.
    assert_eq!(*back.frames[1].values, [1.0, 5.0]);
    assert_eq!(running.state("hangs"), (CollectorState::Ok, String::new()));
    running.ends(0);
    running.stop();
}

#[test]
fn how_long_one_hangs_is_known_without_another_round_and_that_it_came_back_before_its_next() {
    let (hangs, held) = fragile("hangs", &[1]);
    let mut running = Running::start(built(vec![hangs, counting("a")]), Duration::from_secs(3600), &[NOW]);
    let begun = monotonic();
    held.is_asked(&[Prime, Collect]);
    let called = monotonic();
    running.take_over();
    running.until(&["a"]);
    let is_said =
        |seconds: u64| format!("it hangs: its call has not come back for {seconds} s; the others go on without it");
    // The call began between these two.
    let (_, why) = running.state_at("hangs", called + Duration::from_secs(71));
    assert!([71, 72].map(is_said).contains(&why) || called - begun > Duration::from_secs(1), "{why}");
    assert_eq!(running.state_at("hangs", Duration::ZERO), (CollectorState::Stale, is_said(0)));
    held.go.send(()).unwrap();
    held.is_asked(&[Prime]);
    wait(|| running.state("hangs").1.starts_with("it hung: its call came back after "));
    let (state, why) = running.state("hangs");
    assert_eq!(state, CollectorState::Stale);
    assert!(why.ends_with(" s; it is asked again in the next round"), "{why}");
    running.stop();
}

#[test]
fn several_hang_one_after_the_other_and_each_costs_a_thread() {
    let ((one, first), (two, second)) = (fragile("one", &[1]), fragile("two", &[1]));
    let mut running = Running::start(built(vec![one, counting("a"), two, counting("b")]), QUICK, &[NOW]);
    first.is_asked(&[Prime, Collect]);
    running.take_over();
    second.is_asked(&[Prime, Collect]);
    running.take_over();
    assert_eq!(sources(&running.batch()), ["a"]);
    assert_eq!(sources(&running.batch()), ["b"]);
    assert_eq!(sources(&running.until(&["a", "b"])), ["a", "b"]);
    assert_eq!(running.threads.len(), 3);
    second.go.send(()).unwrap();
    running.until(&["a", "two", "b"]);
    first.go.send(()).unwrap();
    running.until(&["one", "a", "two", "b"]);
    running.ends(0);
    running.ends(0);
    running.stop();
}

#[test]
fn one_that_hangs_in_the_first_priming_keeps_nobody_from_beginning() {
    let ((hangs, held), (after, later)) = (fragile("hangs", &[0]), fragile("after", &[]));
    let mut running = Running::start(built(vec![counting("a"), hangs, after]), QUICK, &[NOW]);
    held.is_asked(&[Prime]);
    running.take_over();
    later.is_asked(&[Prime, Collect]);
    assert_eq!(sources(&running.batch()), ["a", "after"]);
    assert_eq!(running.state("hangs").0, CollectorState::Stale);
    held.go.send(()).unwrap();
    held.is_asked(&[Prime, Collect]);
    running.until(&["a", "hangs", "after"]);
    running.stop();
}

#[test]
fn a_call_that_comes_back_at_the_last_moment_has_not_hung() {
    let (slow, held) = fragile("slow", &[1]);
    let running = Running::start(built(vec![slow]), QUICK, &[NOW]);
    held.is_asked(&[Prime, Collect]);
    let mut watch = Watch::new(running.beat.clone(), HANGS_AFTER);
    let hang = running.hang(&mut watch);
    held.go.send(()).unwrap();
    running.times(3);
    assert!(watch.take_over(hang).is_none());
    assert_eq!(running.state("slow").0, CollectorState::Ok);
    running.stop();
}

#[test]
fn a_call_hangs_when_it_was_seen_twice_after_its_time() {
    let (hangs, held) = fragile("hangs", &[1]);
    let running = Running::start(built(vec![hangs]), Duration::from_secs(3600), &[NOW]);
    held.is_asked(&[Prime, Collect]);
    let mut watch = Watch::new(running.beat.clone(), HANGS_AFTER);
    let now = monotonic();
    let Look::Well(at) = watch.look(now) else { panic!("it has just begun") };
    assert!(at <= now + HANGS_AFTER && at > now, "when its time is over");
    let Look::Well(again) = watch.look(at) else { panic!("the whole machine may have stood still") };
    assert_eq!(again, at + Duration::from_millis(100));
    assert_eq!(watch.look(again - Duration::from_millis(1)), Look::Well(again));
    assert!(matches!(watch.look(again), Look::Hangs(_)));
    held.go.send(()).unwrap();
    running.batch();
    // While it sleeps, the next look is worth it when the call after that may hang.
    wait(|| watch.look(now) > Look::Well(now + Duration::from_secs(3500)));
    running.beat.wakes();
    assert_eq!(watch.look(now), Look::Well(now + HANGS_AFTER));
    running.stop();
}

#[test]
fn behind_one_that_hangs_the_others_have_less_time_until_the_round_is_over() {
    let ((one, first), (two, second)) = (fragile("one", &[1]), fragile("two", &[1]));
    let mut running = Running::start(built(vec![one, two]), Duration::from_secs(3600), &[NOW]);
    first.is_asked(&[Prime, Collect]);
    let mut watch = Watch::new(running.beat.clone(), HANGS_AFTER);
    let hang = running.hang(&mut watch);
    let scheduler = watch.take_over(hang).expect("the call hangs");
    running.keep(scheduler);
    second.is_asked(&[Prime, Collect]);
    let now = monotonic();
    let Look::Well(at) = watch.look(now) else { panic!("it has just begun") };
    assert!(at <= now + Duration::from_secs(1), "{:?}", at - now);
    second.go.send(()).unwrap();
    running.batch();
    // The round is over: what comes next has all the time that there is.
    wait(|| watch.look(now) > Look::Well(now + Duration::from_secs(3500)));
    running.beat.wakes();
    assert_eq!(watch.look(now), Look::Well(now + HANGS_AFTER));
    first.go.send(()).unwrap();
    running.stop();
}

#[test]
fn a_reload_fills_or_removes_the_slot_of_one_that_hangs() {
    let ((old, held), (gone, removed)) = (fragile("x", &[1]), fragile("gone", &[1]));
    let mut running = Running::start(built(vec![counting("a"), old, gone]), QUICK, &[NOW]);
    held.is_asked(&[Prime, Collect]);
    running.take_over();
    removed.is_asked(&[Prime, Collect]);
    running.take_over();
    running.until(&["a"]);
    let (new, renewed) = fragile("x", &[]);
    running.update(vec!["a", "x"], Fresh::new(built(vec![new]), 100, &ViewSlots::default(), &running.hand_in));
    renewed.is_asked(&[Prime, Collect]);
    // The series of the one that is gone end, once.
    let batch = running.until(&["a", "x", "gone"]);
    assert!(batch.frames[2].values.is_empty());
    running.until(&["a", "x"]);
    held.go.send(()).unwrap();
    removed.go.send(()).unwrap();
    // Neither is asked again: with the collector its end of the channel is gone.
    running.ends(0);
    running.ends(0);
    wait(|| [&held, &removed].iter().all(|held| held.go.send_timeout((), TOUCH).is_err_and(|e| e.is_disconnected())));
    assert!(held.asked.is_empty() && removed.asked.is_empty());
    running.until(&["a", "x"]);
    running.stop();
}

#[test]
fn one_that_a_reload_brings_may_hang_in_its_priming() {
    let mut running = Running::start(built(vec![counting("a")]), Duration::from_secs(3600), &[NOW]);
    running.batch();
    let (new, held) = fragile("new", &[0]);
    running.update(
        vec!["a", "new", "b"],
        Fresh::new(built(vec![new, counting("b")]), 100, &ViewSlots::default(), &running.hand_in),
    );
    held.is_asked(&[Prime]);
    running.take_over();
    running.until(&["a", "b"]);
    held.go.send(()).unwrap();
    running.until(&["a", "new", "b"]);
    running.stop();
}

#[test]
fn a_name_costs_two_threads_at_most_however_often_it_is_made_anew() {
    let (first, one) = fragile("x", &[1]);
    let mut running = Running::start(built(vec![counting("a"), first]), QUICK, &[NOW]);
    one.is_asked(&[Prime, Collect]);
    running.take_over();
    let (second, two) = fragile("x", &[0]);
    running.update(vec!["a", "x"], Fresh::new(built(vec![second]), 100, &ViewSlots::default(), &running.hand_in));
    two.is_asked(&[Prime]);
    running.take_over();
    let (third, three) = fragile("x", &[]);
    running.update(vec!["a", "x"], Fresh::new(built(vec![third]), 100, &ViewSlots::default(), &running.hand_in));
    running.times(20);
    assert!(three.asked.is_empty());
    one.go.send(()).unwrap();
    three.is_asked(&[Prime, Collect]);
    drop(two);
    running.stop();
}

#[test]
fn the_end_waits_for_none_that_was_left_behind() {
    let (hangs, held) = fragile("hangs", &[1]);
    let mut running = Running::start(built(vec![hangs, counting("a")]), QUICK, &[NOW]);
    held.is_asked(&[Prime, Collect]);
    running.take_over();
    running.until(&["a"]);
    running.stop();
    drop(held);
}

#[test]
fn ticks_that_were_missed_before_another_thread_took_over_are_counted() {
    let (hangs, held) = fragile("hangs", &[1]);
    let mut running = Running::start(built(vec![hangs, counting("a")]), QUICK, &[NOW]);
    held.is_asked(&[Prime, Collect]);
    let began = monotonic();
    wait(|| monotonic() - began > QUICK * 10);
    running.take_over();
    running.times(2);
    let telemetry = running.stop();
    assert!(telemetry.skipped() >= 9, "{}", telemetry.skipped());
    drop(held);
}

#[test]
fn the_supervisor_hears_of_the_beat_as_soon_as_another_thread_goes_on() {
    let (hangs, held) = fragile("hangs", &[0]);
    let (tell, told) = unbounded();
    let beat = Box::new(move |sign| _ = tell.send(sign));
    let pulse = Pulse { every: Some(Duration::from_secs(3600)), beat };
    let mut running = Running::start_with(built(vec![hangs]), Duration::from_secs(3600), &[NOW], pulse);
    held.is_asked(&[Prime]);
    running.take_over();
    assert_eq!(told.recv_timeout(PATIENCE), Ok(Sign::Alive));
    running.stop();
    drop(held);
}
