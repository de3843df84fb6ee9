//! A lane on its threads, with a disk that hangs and a destination that does what a test says.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::route::Making;
use super::transport::Transport;
use super::verdict::Answer;
use super::*;
use crate::formats::testing::{self, COUNT};
use crate::formats::{Bodies, Content, Encoded, Encoder, Options, content, json};
use crate::model::{Batch, Labels, Parcel, Payload, Signal};
use crate::shaping::Rules;
use crate::spool::{Faults, Op};
use crate::telemetry::{DropReason, Outcome};

/// How long something may take that is to happen.
const LIMIT: Duration = Duration::from_secs(60);

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < until, "timed out waiting for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Makes so many bodies of each batch, each of which says its time and its number.
struct Several(usize);

impl Encoder for Several {
    fn encode(&mut self, batch: &Batch, _most: u64, out: &mut Bodies) -> Encoded {
        for number in 0..self.0 {
            let mut bytes = out.room();
            bytes.extend_from_slice(format!("{} {number:>100}", batch.time_ms).as_bytes());
            out.push(bytes, 1);
        }
        Encoded { samples: self.0 as u64, ..Encoded::default() }
    }

    fn content(&self) -> Content {
        content(&[])
    }
}

/// Where bodies arrive, unless it is down.
#[derive(Clone, Default)]
struct Destination(Arc<(Mutex<Arrived>, Condvar)>);

#[derive(Default)]
struct Arrived {
    is_down: bool,
    taken: Vec<(i64, usize)>,
    attempts: usize,
}

impl Destination {
    fn set_down(&self, is_down: bool) {
        self.0.0.lock().unwrap().is_down = is_down;
    }

    fn attempts(&self) -> usize {
        self.0.0.lock().unwrap().attempts
    }

    fn taken(&self) -> Vec<(i64, usize)> {
        self.0.0.lock().unwrap().taken.clone()
    }

    fn wait_taken(&self, count: usize) {
        let arrived = self.0.0.lock().unwrap();
        let waited = self.0.1.wait_timeout_while(arrived, LIMIT, |arrived| arrived.taken.len() < count);
        let (arrived, waited) = waited.unwrap();
        assert!(!waited.timed_out(), "{} of {count} arrived", arrived.taken.len());
    }
}

impl Transport for Destination {
    fn send(&mut self, _content: &Content, body: &[u8]) -> Answer {
        let mut arrived = self.0.0.lock().unwrap();
        arrived.attempts += 1;
        if arrived.is_down {
            return Answer::Network("down".to_owned());
        }
        let text = std::str::from_utf8(body).unwrap();
        let (time, number) = text.split_once(' ').unwrap();
        arrived.taken.push((time.parse().unwrap(), number.trim().parse().unwrap()));
        self.0.1.notify_all();
        Answer::Local(Ok(()))
    }
}

struct Running {
    inlet: Option<Inlet>,
    status: Arc<DestinationStatus>,
    destination: Destination,
    faults: Faults,
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
    dir: PathBuf,
}

impl Running {
    /// `bodies` are made of each batch.
    fn start(name: &str, bodies: usize, workers: usize, change: impl FnOnce(&mut SpoolSettings)) -> Running {
        let dir = std::env::temp_dir().join(format!("metricsd-lane-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        let mut spool = SpoolSettings::behind(&dir);
        change(&mut spool);
        let settings = Settings {
            name: "test".to_owned(),
            signal: Signal::Metrics,
            naming: crate::model::Scheme::Native,
            rules: Rules::NONE,
            rule_places: Vec::new(),
            tee_file: None,
            own_metrics: false,
            labels: Labels::EMPTY,
            kind: Kind { format: &json::STDOUT, options: Options::default(), to: To::Stdout },
            spool,
            workers,
            drain_rate: None,
            retry: RetrySettings {
                min_backoff: Duration::from_millis(1),
                max_backoff: Duration::from_millis(20),
                ..RetrySettings::default()
            },
        };
        let (inlet, mut control, mut lane) = Lane::new(&settings, Duration::from_millis(50), None);
        let destination = Destination::default();
        for sender in &mut lane.senders {
            sender.route.transport = Box::new(destination.clone());
        }
        lane.worker.maker.replace(Making::Metrics(Box::new(Several(bodies)), None), &[]);
        let (faults, queue) = (lane.keeper.faults.clone(), Arc::clone(&lane.worker.queue));
        control.begin();
        let (worker, keeper) = (lane.worker, lane.keeper);
        let mut threads = vec![std::thread::spawn(move || worker.run()), std::thread::spawn(move || keeper.run())];
        threads.extend(lane.senders.into_iter().map(|sender| std::thread::spawn(move || sender.run())));
        let status = Arc::clone(control.status());
        let running = Running { inlet: Some(inlet), status, destination, faults, queue, threads, dir };
        wait_for("the spool to be open", || running.queue.disk_works());
        running
    }

    fn tick(&self, time_ms: i64) {
        let batch = testing::batch(time_ms, &[(&COUNT, &Labels::EMPTY, 1.0)]);
        self.inlet.as_ref().unwrap().put(Parcel::new(Payload::Metrics(Arc::new(batch))));
    }

    fn segments(&self) -> usize {
        let Ok(entries) = std::fs::read_dir(self.dir.join("test")) else { return 0 };
        entries.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|e| e == "seg")).count()
    }

    /// One request fails, so that there is something for the disk.
    fn fail_once(&self, time_ms: i64) {
        let attempts = self.destination.attempts();
        self.destination.set_down(true);
        self.tick(time_ms);
        wait_for("a failure", || self.destination.attempts() > attempts);
    }

    fn stop(mut self) {
        self.inlet = None;
        self.threads.drain(..).for_each(|thread| thread.join().unwrap());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

#[test]
fn a_disk_that_hangs_keeps_nothing_from_a_destination_that_is_well() {
    for op in [Op::Create, Op::Write, Op::Sync, Op::Remove] {
        for workers in [1, 3] {
            let lane = Running::start(&format!("hang-{op:?}-{workers}"), 2, workers, |_| ());
            if op == Op::Create || op == Op::Write {
                lane.faults.hang(op);
                lane.fail_once(0);
                wait_for("the disk to hang", || lane.faults.hung() > 0);
                lane.destination.set_down(false);
            } else {
                // What was written is forced to the device, or removed, within a second.
                lane.fail_once(0);
                wait_for("something on disk", || lane.segments() > 0);
                lane.faults.hang(op);
                if op == Op::Remove {
                    lane.destination.set_down(false);
                }
                wait_for("the disk to hang", || lane.faults.hung() > 0);
                lane.destination.set_down(false);
            }
            lane.destination.wait_taken(2);
            for tick in 1..=20 {
                // Each by itself: no later one is there to wake anybody up for it.
                lane.tick(tick);
                lane.destination.wait_taken(2 * tick as usize + 2);
            }
            assert!(lane.faults.hung() == 1, "{op:?}: the disk has not answered so far");
            lane.faults.go_on();
            wait_for("the disk to be tidied up", || lane.segments() == 0 && lane.status.queue_frames() == 0);
            let mut taken = lane.destination.taken();
            taken.sort_unstable();
            let all: Vec<(i64, usize)> = (0..=20).flat_map(|tick| [(tick, 0), (tick, 1)]).collect();
            assert_eq!(taken, all, "{op:?}: each once");
            assert_eq!(lane.status.samples_dropped_total(), 0);
            lane.stop();
        }
    }
}

#[test]
fn a_disk_that_hangs_is_named_whatever_it_hangs_in_though_no_tick_comes() {
    let hang = |op: Op| {
        let lane = Running::start(&format!("named-{op:?}"), 1, 1, |_| ());
        if op == Op::Write {
            lane.faults.hang(op);
        }
        lane.fail_once(0);
        if op == Op::Remove {
            wait_for("something on disk", || lane.segments() > 0);
            lane.faults.hang(op);
            lane.destination.set_down(false);
        }
        // What is delivered before it is written is never written.
        wait_for("the disk to hang", || lane.faults.hung() > 0);
        lane.destination.set_down(false);
        let begun = Instant::now();
        wait_for("the disk to be said to hang", || lane.status.trouble().is_some());
        assert!(begun.elapsed() > Duration::from_secs(9), "{op:?}: after {:?}", begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(20), "{op:?}: after {:?}", begun.elapsed());
        lane.faults.go_on();
        wait_for("the disk to answer", || lane.status.trouble().is_none());
        lane.stop();
    };
    std::thread::scope(|scope| [Op::Write, Op::Remove].map(|op| scope.spawn(move || hang(op))).map(drop));
}

#[test]
fn while_the_disk_hangs_and_the_destination_is_down_what_is_in_memory_is_bounded_and_the_rest_counted() {
    const MAX: usize = 5_000;
    let lane = Running::start("bound", 1, 1, |spool| spool.memory_max_bytes = MAX);
    lane.faults.hang(Op::Write);
    lane.fail_once(0);
    wait_for("the disk to hang", || lane.faults.hung() > 0);
    let mut ticks = 1;
    wait_for("a loss", || {
        lane.tick(ticks);
        ticks += 1;
        lane.status.samples_dropped_total() > 0
    });
    for _ in 0..100 {
        lane.tick(ticks);
        ticks += 1;
    }
    assert!(lane.status.queue_bytes() <= MAX as u64 + 200, "{} bytes", lane.status.queue_bytes());
    lane.destination.set_down(false);
    lane.faults.go_on();
    wait_for("all to be accounted for", || {
        lane.destination.taken().len() as u64 + lane.status.samples_dropped_total() == ticks as u64
    });
    assert_eq!(lane.status.samples_dropped(DropReason::Rejected), 0);
    assert!(lane.status.requests(Outcome::Retried) > 0);
    lane.stop();
}

#[test]
fn ten_bodies_a_tick_to_a_destination_that_is_well_write_nothing() {
    for workers in [1, 3] {
        let lane = Running::start(&format!("ten-{workers}"), 10, workers, |_| ());
        // The first tick, too, is to find a sender that has begun to wait.
        wait_for("an idle sender, and the keeper to sleep", || lane.queue.is_quiet() && lane.queue.keeper_sleeps());
        let before = (lane.faults.changes(), lane.queue.keeper_woken());
        for tick in 0..50 {
            lane.tick(tick);
            lane.destination.wait_taken(10 * (tick as usize + 1));
            // A sender is idle again a moment after the last body arrived; then the next one goes straight.
            wait_for("an idle sender", || lane.queue.is_quiet());
        }
        assert_eq!((lane.faults.changes(), lane.queue.keeper_woken(), lane.segments()), (before.0, before.1, 0));
        if workers == 1 {
            let taken = lane.destination.taken();
            assert!(taken.windows(2).all(|two| two[0] < two[1]), "in order: {taken:?}");
        }
        lane.stop();
    }
}

#[test]
fn in_the_mode_always_each_body_is_on_disk_before_it_is_sent_by_whomever() {
    let lane = Running::start("always", 3, 2, |spool| spool.mode = SpoolMode::Always);
    for tick in 0..20 {
        let changes = lane.faults.changes();
        lane.tick(tick);
        lane.destination.wait_taken(3 * (tick as usize + 1));
        // A write and a sync for each.
        assert!(lane.faults.changes() >= changes + 6);
    }
    assert_eq!(lane.status.samples_dropped_total(), 0);
    lane.stop();
}
