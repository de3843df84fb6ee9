//! The scheduler with clocks, collectors and lanes that a test holds in its hands.

mod handover;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::*;
use crate::collectors::{Built, CollectError, Collector, Named, NamedSlow, Plan, Tick};
use crate::host::{Scratch, monotonic};
use crate::model::{
    self, Batch, Family, Frame, Item, Labels, Parcel, Payload, Receipt, Recorder, Records, Resource, Signal, ViewSlots,
    everywhere,
};
use crate::telemetry::{CollectorState, CollectorStatus, StepDirection, Subjects, Telemetry};

/// 2025-11-05, and half a year later.
const BUILT: i64 = 1_762_300_000_000;
const NOW: i64 = 1_778_000_000_000;
const HOUR: i64 = 3_600_000;

static VALUE: model::Reading = everywhere!(&Family::gauge("test_value", "", "A value."), &[]);

/// Pushes how often it was asked.
struct Counting(f64);

impl Collector for Counting {
    fn collect(&mut self, _: &Tick, _: &mut Scratch, out: &mut Recorder) -> Result<(), CollectError> {
        self.0 += 1.0;
        out.item(&Item::new(&[])).push(&VALUE, self.0);
        Ok(())
    }
}

/// Says that it was asked, and waits until it may answer.
struct Hanging(Sender<()>, Receiver<()>);

impl Collector for Hanging {
    fn collect(&mut self, _: &Tick, _: &mut Scratch, out: &mut Recorder) -> Result<(), CollectError> {
        let _ = self.0.send(());
        let _ = self.1.recv();
        out.item(&Item::new(&["slow"])).push(&VALUE, 1.0);
        Ok(())
    }
}

fn plan(name: &'static str) -> Plan {
    Plan { name, interval: None, labels: Labels::EMPTY }
}

fn counting(name: &'static str) -> Named {
    Named { plan: plan(name), collector: Box::new(Counting(0.0)) }
}

/// A slow collector, what it says when asked, and what lets it go on.
fn hanging(name: &'static str) -> (NamedSlow, Receiver<()>, Sender<()>) {
    let ((asked, is_asked), (go, gone)) = (unbounded(), bounded(0));
    let collector = Box::new(Hanging(asked, gone));
    (NamedSlow { plan: plan(name), collector, due: Arc::new(|| true), deadline: Duration::MAX }, is_asked, go)
}

/// A way into a lane that does so with what it is given.
fn way(own_metrics: bool, put: impl Fn(&Arc<Batch>) + Send + Sync + 'static) -> Way {
    let outlet = move |parcel: Parcel| match parcel.payload {
        Payload::Metrics(batch) => put(&batch),
        Payload::Records(_) => panic!("records"),
    };
    Way { outlet: Arc::new(outlet), signal: Signal::Metrics, own_metrics, by_tick: false }
}

/// A scheduler on its thread.
struct Running {
    telemetry: Arc<Telemetry>,
    batches: Receiver<Arc<Batch>>,
    updates: Option<Sender<Update>>,
    hand_in: HandIn,
    statuses: Vec<Arc<CollectorStatus>>,
    beat: Beat,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Running {
    /// `walls` are what the wall clock shows at the ticks; after the last one it goes on by
    /// seconds. CLOCK_MONOTONIC and CLOCK_BOOTTIME go by seconds all along.
    fn start(built: Built, interval: Duration, walls: &[i64]) -> Running {
        Running::start_with(built, interval, walls, Pulse::default())
    }

    fn start_with(built: Built, interval: Duration, walls: &[i64], pulse: Pulse) -> Running {
        let (collectors, statuses, workers) = Collectors::new(built, 100);
        workers.into_iter().for_each(|worker| drop(std::thread::spawn(move || worker.run())));
        let hand_in = collectors.hand_in();
        let (put, batches) = unbounded();
        let fanout = Fanout::default();
        fanout.exchange(vec![way(false, move |batch: &Arc<Batch>| drop(put.send(Arc::clone(batch))))]);
        let telemetry = Arc::new(Telemetry::new(Duration::ZERO, 0, Subjects::default()));
        let (updates, updated) = unbounded();
        let scheduler = Scheduler {
            collectors,
            others: vec![("app".into(), QUICK)],
            asked: Vec::new(),
            fanout: Arc::new(fanout),
            telemetry: Arc::clone(&telemetry),
            resource: Arc::new(Resource { host: "host-1".into(), boot_ms: None, ..Resource::default() }),
            interval,
            updates: updated,
            clock: Clock::new(BUILT),
            read: Box::new(clocks(walls.to_vec())),
            pulse,
            progress: Progress::default(),
        };
        let beat = Beat::new(hand_in.clone());
        let mut running =
            Running { telemetry, batches, updates: Some(updates), hand_in, statuses, beat, threads: Vec::new() };
        running.keep(Box::new(scheduler));
        running
    }

    fn keep(&mut self, scheduler: Box<Scheduler>) {
        let beat = self.beat.clone();
        self.threads.push(std::thread::spawn(move || beat.keep(scheduler)));
    }

    fn update(&self, order: Vec<&'static str>, fresh: Fresh) {
        let resource = Arc::new(Resource { host: "host-2".into(), boot_ms: None, ..Resource::default() });
        self.updates
            .as_ref()
            .unwrap()
            .send(Update { interval: QUICK, resource, order, fresh, others: Others::new(), asked: Vec::new() })
            .unwrap();
    }

    fn times(&self, count: usize) -> Vec<i64> {
        (0..count).map(|_| self.batch().time_ms).collect()
    }

    fn batch(&self) -> Arc<Batch> {
        self.batches.recv_timeout(PATIENCE).expect("a batch")
    }

    fn stop(mut self) -> Arc<Telemetry> {
        self.updates = None;
        // Those before it may hang.
        self.threads.pop().unwrap().join().unwrap();
        Arc::clone(&self.telemetry)
    }
}

fn clocks(walls: Vec<i64>) -> impl FnMut() -> Reading + Send {
    let mut read = 0;
    move || {
        let passed = Duration::from_secs(1000 + read as u64);
        // The first reading is for priming.
        let at = usize::saturating_sub(read, 1);
        read += 1;
        let wall_ms = match walls.get(at) {
            Some(wall) => *wall,
            None => walls[walls.len() - 1] + 1000 * (at + 1 - walls.len()) as i64,
        };
        Reading { monotonic: passed, boottime: passed, wall_ms }
    }
}

/// Nothing that a test waits for takes so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Long enough to find that nobody is at the other end.
const TOUCH: Duration = Duration::from_millis(1);

const QUICK: Duration = Duration::from_millis(5);

fn fast(names: &[&'static str]) -> Built {
    Built { fast: names.iter().map(|name| counting(name)).collect(), slow: Vec::new() }
}

fn wait(mut is: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < until, "gave up");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_tick_before_the_clock_is_set_shows_on_pages_and_goes_nowhere_else() {
    let running = Running::start(fast(&["a"]), Duration::from_secs(3600), &[12_000]);
    wait(|| running.telemetry.last_collection().is_some());
    assert_eq!((running.telemetry.collections(), running.telemetry.skipped()), (0, 1));
    assert_eq!(running.telemetry.latest.frames().len(), 1);
    let why = running.telemetry.why_held().unwrap();
    assert!(why.contains("1970-01-01T00:00:12Z"), "{why}");
    assert!(running.batches.is_empty());
    running.stop();
}

#[test]
fn what_is_sent_goes_on_when_the_clock_is_set_and_never_goes_back_but_once() {
    let walls = [
        // Not set, then set.
        12_000,
        13_000,
        NOW,
        NOW + 1000,
        // Back by three seconds, and caught up.
        NOW - 1000,
        NOW,
        NOW + 1000,
        NOW + 2000,
        // Forward by an hour, and back by two.
        NOW + HOUR,
        NOW - HOUR,
    ];
    let running = Running::start(fast(&["a"]), QUICK, &walls);
    let expected = [NOW, NOW + 1000, NOW + 2000, NOW + HOUR, NOW - HOUR, NOW - HOUR + 1000];
    assert_eq!(running.times(6), expected);
    let telemetry = running.stop();
    assert_eq!(telemetry.why_held(), None);
    // Two before it was set, three while it caught up; a busy machine may have missed some more.
    assert!(telemetry.skipped() >= 5);
    assert_eq!(telemetry.clock_steps(StepDirection::Forward), 2);
    assert_eq!(telemetry.clock_steps(StepDirection::Backward), 2);
}

#[test]
fn a_slow_frame_from_before_the_clock_went_back_is_not_sent() {
    let (slow, asked, go) = hanging("slow");
    let built = Built { fast: vec![counting("a")], slow: vec![slow] };
    let running = Running::start(built, QUICK, &[NOW, NOW + 1000, NOW - HOUR]);
    asked.recv().unwrap();
    // The clock has gone back; then the round of before comes in, and another one after it.
    while running.batch().time_ms >= NOW {}
    go.send(()).unwrap();
    asked.recv().unwrap();
    go.send(()).unwrap();
    let is_slow = |batch: &Batch| batch.frames.iter().any(|frame| &*frame.source == "slow");
    let mut batch = running.batch();
    while !is_slow(&batch) {
        batch = running.batch();
    }
    assert!(batch.time_ms < NOW, "{}", batch.time_ms);
    drop(go);
    let telemetry = running.stop();
    assert!(telemetry.skipped() >= 1);
}

#[test]
fn a_slow_collector_that_hangs_delays_neither_the_beat_nor_the_end() {
    let (slow, asked, _go) = hanging("slow");
    let running = Running::start(Built { fast: vec![counting("a")], slow: vec![slow] }, QUICK, &[NOW]);
    asked.recv().unwrap();
    running.times(20);
    running.stop();
}

#[test]
fn a_reload_changes_the_interval_and_keeps_collectors_whose_settings_stay() {
    let running = Running::start(fast(&["a", "b", "c"]), Duration::from_secs(3600), &[NOW]);
    let values = |batch: &Batch| -> Vec<(String, f64)> {
        batch
            .frames
            .iter()
            .map(|frame| (frame.source.to_string(), frame.values.first().map_or(-1.0, |value| *value)))
            .collect()
    };
    let of = |pairs: &[(&str, f64)]| pairs.iter().map(|(name, value)| (name.to_string(), *value)).collect::<Vec<_>>();
    assert_eq!(values(&running.batch()), of(&[("a", 1.0), ("b", 1.0), ("c", 1.0)]));
    // b is made anew, c goes, and d comes before a.
    let fresh = Fresh::new(fast(&["d", "b"]), 100, &ViewSlots::default(), &running.hand_in);
    running.update(vec!["d", "a", "b"], fresh);
    let batch = running.batch();
    assert_eq!(values(&batch), of(&[("d", 1.0), ("a", 2.0), ("b", 1.0), ("c", -1.0)]), "c ends");
    assert_eq!(&*batch.resource.host, "host-2");
    assert_eq!(values(&running.batch()), of(&[("d", 2.0), ("a", 3.0), ("b", 2.0)]));
    let names: Vec<_> = running.telemetry.latest.frames().iter().map(|frame| frame.source.to_string()).collect();
    assert_eq!(names, ["a", "b", "d"]);
    assert!(running.stop().skipped() < 10_000, "an hour at the new interval was not missed");
}

#[test]
fn a_slow_collector_that_a_reload_took_away_gives_nothing_any_more() {
    let (old, old_asked, old_go) = hanging("slow");
    let (new, new_asked, new_go) = hanging("slow");
    let running = Running::start(Built { fast: vec![counting("a")], slow: vec![old] }, QUICK, &[NOW]);
    old_asked.recv().unwrap();
    let built = Built { fast: Vec::new(), slow: vec![new] };
    let mut fresh = Fresh::new(built, 100, &ViewSlots::default(), &running.hand_in);
    for worker in std::mem::take(&mut fresh.workers) {
        std::thread::spawn(move || worker.run());
    }
    running.update(vec!["a", "slow"], fresh);
    new_asked.recv().unwrap();
    old_go.send(()).unwrap();
    // Its thread has ended when what it waits on has nobody left.
    wait(|| old_go.send_timeout((), Duration::from_millis(1)).is_err_and(|error| error.is_disconnected()));
    running.times(5);
    let sources = |telemetry: &Telemetry| telemetry.latest.frames().iter().any(|frame| &*frame.source == "slow");
    assert!(!sources(&running.telemetry));
    new_go.send(()).unwrap();
    wait(|| sources(&running.telemetry));
    drop(new_go);
    running.stop();
}

/// Says which of the two it was called for, and waits in its collecting for a word.
struct Primed(Sender<&'static str>, Receiver<()>);

impl Collector for Primed {
    fn prime(&mut self, _: &Tick, _: &mut Scratch) {
        let _ = self.0.send("prime");
    }

    fn collect(&mut self, _: &Tick, _: &mut Scratch, out: &mut Recorder) -> Result<(), CollectError> {
        let _ = self.0.send("collect");
        let _ = self.1.recv();
        out.item(&Item::new(&[])).push(&VALUE, 1.0);
        Ok(())
    }
}

#[test]
fn a_slow_collector_is_primed_and_given_up_when_its_deadline_is_over() {
    let ((asked, is_asked), (go, gone)) = (unbounded(), bounded(0));
    let slow = NamedSlow {
        plan: plan("slow"),
        collector: Box::new(Primed(asked, gone)),
        due: Arc::new(|| true),
        // The test's clock goes on by a second each tick.
        deadline: Duration::from_secs(10),
    };
    let running = Running::start(Built { fast: vec![counting("a")], slow: vec![slow] }, QUICK, &[NOW]);
    let asked = || is_asked.recv_timeout(PATIENCE).unwrap();
    let has_numbers = || running.telemetry.latest.frames().iter().any(|frame| &*frame.source == "slow");
    let state = || running.statuses.iter().find(|status| status.name() == "slow").unwrap().last(monotonic());
    assert_eq!([asked(), asked()], ["prime", "collect"]);
    go.send(()).unwrap();
    // It may be late already on a machine that is busy; then it is asked once more.
    assert_eq!(asked(), "collect");
    wait(|| state().is_some_and(|round| round.state == CollectorState::Stale));
    let why = state().unwrap().error.unwrap();
    assert!(why.starts_with("it hangs: its call has not come back for "), "{why}");
    wait(|| !has_numbers());
    // Not asked again before it has come back, and what it brings then is not taken.
    running.times(20);
    assert!(is_asked.is_empty());
    while !running.batches.is_empty() {
        running.batch();
    }
    go.send(()).unwrap();
    assert_eq!(asked(), "collect");
    let since = running.times(3);
    assert!(!has_numbers(), "{since:?}");
    drop(go);
    running.stop();
}

#[test]
fn a_lane_ends_with_the_last_holder_of_its_outlet() {
    let (put, got) = unbounded::<i64>();
    let fanout = Fanout::default();
    fanout.exchange(vec![way(false, move |batch: &Arc<Batch>| _ = put.send(batch.time_ms))]);
    let resource = Arc::new(Resource { host: "h".into(), boot_ms: None, ..Resource::default() });
    let batch = Batch::new(7, resource, vec![Frame::ended("gone", 7)]);
    assert!(fanout.put(batch.clone(), true, Batch::clone));
    fanout.exchange(Vec::new());
    assert!(!fanout.put(batch, true, Batch::clone));
    assert_eq!(got.iter().collect::<Vec<_>>(), [7]);
    assert!(fanout.is_empty());
}

#[test]
fn only_a_lane_that_wants_them_has_the_own_metrics_and_it_has_them_where_nothing_else_is_collected() {
    let ((put, plain), (put_own, own)) = (unbounded::<Arc<Batch>>(), unbounded::<Arc<Batch>>());
    let fanout = Fanout::default();
    let resource = Arc::new(Resource { host: "h".into(), boot_ms: None, ..Resource::default() });
    let telemetry = Telemetry::new(Duration::ZERO, 1000, Subjects::default());
    let mut owner = own::Own::default();
    let roster = Some(Arc::new(model::Roster::new([("cpu".into(), QUICK)])));
    let mut tick = |frames: Vec<Frame>, is_tick: bool| {
        let batch = Batch { roster: roster.clone(), ..Batch::new(2000, Arc::clone(&resource), frames) };
        fanout.put(batch, is_tick, |batch| owner.with(batch, &telemetry, QUICK, is_tick))
    };
    let sources = |got: &Receiver<Arc<Batch>>| -> Vec<Vec<String>> {
        let of = |batch: Arc<Batch>| batch.frames.iter().map(|frame| frame.source.to_string()).collect();
        got.try_iter().map(of).collect()
    };
    let lane = |put: Sender<Arc<Batch>>| move |batch: &Arc<Batch>| drop(put.send(Arc::clone(batch)));
    fanout.exchange(vec![way(false, lane(put)), way(true, lane(put_own))]);
    assert!(tick(vec![Frame::ended("cpu", 2000)], true));
    assert!(tick(Vec::new(), true));
    assert!(tick(vec![Frame::ended("cpu", 2000)], false), "between two ticks");
    assert_eq!(sources(&plain), [["cpu"], ["cpu"]]);
    let own: Vec<Arc<Batch>> = own.try_iter().collect();
    let seen: Vec<Vec<&str>> = own.iter().map(|b| b.frames.iter().map(|frame| &*frame.source).collect()).collect();
    assert_eq!(seen, [&["cpu", "metricsd"][..], &["metricsd"], &["cpu"]]);
    let rosters: Vec<_> = own.iter().map(|batch| batch.roster.clone().unwrap()).collect();
    assert!(rosters.iter().all(|roster| Arc::ptr_eq(roster, &rosters[0])), "it is the same as long as nothing changes");
    assert_eq!(rosters[0].interval_of("metricsd"), Some(QUICK));
    assert_eq!(rosters[0].interval_of("cpu"), Some(QUICK));
}

#[test]
fn what_somebody_waits_to_hear_of_goes_to_all_lanes_of_its_signal() {
    let fanout = Fanout::default();
    let (put, got) = unbounded::<(u8, Parcel)>();
    let lane = |number: u8, signal| {
        let put = put.clone();
        let outlet = Arc::new(move |parcel: Parcel| drop(put.send((number, parcel))));
        Way { outlet, signal, own_metrics: false, by_tick: true }
    };
    let (tell, told) = unbounded();
    let hand = || {
        let tell = tell.clone();
        let records = Records { time_ms: 0, resource: Arc::default(), records: Vec::new() };
        fanout.hand(&Payload::Records(Arc::new(records)), Receipt::new(move |fate| _ = tell.send(fate)));
    };
    hand();
    assert_eq!(told.try_recv(), Ok(model::Fate::Taken), "there is nobody to wait for");
    fanout.exchange(vec![lane(1, Signal::Records), lane(2, Signal::Metrics), lane(3, Signal::Records)]);
    assert!(fanout.takes(Signal::Records) && !fanout.is_empty());
    hand();
    let parcels: Vec<(u8, Parcel)> = got.try_iter().collect();
    assert_eq!(parcels.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 3]);
    for (number, parcel) in parcels {
        assert!(told.try_recv().is_err(), "not before lane {number} has it");
        parcel.receipt.unwrap().taken();
    }
    assert_eq!(told.try_recv(), Ok(model::Fate::Taken));
}
