//! What the queue keeps, in which order, and what it drops; with its keeper, which does what
//! is due when the test says so.

mod receipts;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::disk_view::{OPEN_PATIENCE, PATIENCE};
use super::*;
use crate::formats::{Options, content, json};
use crate::lane::body::Body;
use crate::lane::{Budget, Keeper, Kind, Lane, Settings, SpoolMode, To};
use crate::model::{Labels, Signal};
use crate::shaping::Rules;
use crate::spool::{Op, SyncPolicy};

/// A directory that is gone with the value.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Dir {
        let dir = std::env::temp_dir().join(format!("metricsd-queue-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        Dir(dir)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A queue with its keeper, whose spool is open unless a test says otherwise.
struct Kept {
    queue: Arc<Queue>,
    keeper: Keeper,
    status: Arc<DestinationStatus>,
    sender: SenderId,
}

fn settings(name: &str, spool: &SpoolSettings) -> Settings {
    Settings {
        name: name.to_owned(),
        signal: Signal::Metrics,
        naming: crate::model::Scheme::Native,
        rules: Rules::NONE,
        rule_places: Vec::new(),
        tee_file: None,
        own_metrics: false,
        labels: Labels::EMPTY,
        kind: Kind { format: &json::STDOUT, options: Options::default(), to: To::Stdout },
        spool: spool.clone(),
        workers: 1,
        drain_rate: None,
        retry: RetrySettings { min_backoff: Duration::ZERO, max_backoff: Duration::ZERO, ..RetrySettings::default() },
    }
}

fn unopened(name: &str, spool: &SpoolSettings) -> Kept {
    let (_, mut control, mut lane) = Lane::new(&settings(name, spool), Duration::ZERO, None);
    control.begin();
    lane.keeper.begin();
    let queue = Arc::clone(&lane.keeper.queue);
    let sender = SenderId { generation: lane.keeper.generation, is_first: true };
    Kept { queue, keeper: lane.keeper, status: Arc::clone(control.status()), sender }
}

fn kept(spool: &SpoolSettings) -> Kept {
    let mut kept = unopened("test", spool);
    kept.work();
    kept
}

impl Kept {
    /// The keeper does all that is due.
    fn work(&mut self) {
        while let Some((settled, task)) = self.queue.task_due(self.sender.generation) {
            if !self.keeper.carry_out(settled, task) {
                return;
            }
        }
    }

    /// A payload of one body comes through the mailbox; what is due is done.
    fn push(&mut self, body: Body) {
        self.queue.push(vec![body], None);
        self.work();
    }

    /// One comes straight.
    fn straight(&mut self, bodies: Vec<Body>) {
        self.queue.encoding().done(bodies, None);
        self.work();
    }

    /// The next body, if there is one that may go now.
    fn take(&mut self) -> Option<(InHand, Ticket)> {
        self.work();
        self.take_alone()
    }

    /// The same, without the keeper.
    fn take_alone(&self) -> Option<(InHand, Ticket)> {
        let mut state = self.queue.lock();
        match self.queue.choose(&mut state, self.sender, Instant::now()) {
            Ok(Next::Send(in_hand, ticket)) => Some((in_hand, ticket)),
            _ => None,
        }
    }

    fn deliver(&mut self, (in_hand, ticket): (InHand, Ticket)) {
        self.queue.answered(ticket, true);
        self.queue.settled(in_hand.number);
        self.work();
    }

    /// A request fails: all that waits is to be safe.
    fn fail(&mut self, (in_hand, ticket): (InHand, Ticket)) {
        self.queue.failed(ticket, Failure::Retry(None));
        self.queue.give_back(in_hand);
        self.work();
    }

    /// A body comes straight, and its request fails.
    fn fail_first(&mut self, body: Body) {
        self.straight(vec![body]);
        let taken = self.take().unwrap();
        self.fail(taken);
    }

    /// Delivers all that is there; the times of it.
    fn drain(&mut self) -> Vec<i64> {
        let mut times = Vec::new();
        while let Some(taken) = self.take() {
            times.push(time(&taken));
            assert_eq!(taken.0.parts.first().samples, 3);
            assert_eq!(*taken.0.parts.first().content, [("Content-Type".to_owned(), "test".to_owned())]);
            self.deliver(taken);
        }
        times
    }

    /// The sender leaves, and the keeper puts by what is left.
    fn end(mut self) -> Arc<DestinationStatus> {
        self.queue.close(self.sender.generation);
        self.work();
        self.queue.leave(self.sender.generation);
        self.work();
        Arc::clone(&self.status)
    }

    fn waiting(&self) -> (u64, u64) {
        (self.status.queue_frames(), self.status.queue_bytes())
    }

    fn dropped(&self, reason: DropReason) -> u64 {
        self.status.samples_dropped(reason)
    }
}

fn time((in_hand, _): &(InHand, Ticket)) -> i64 {
    in_hand.parts.first().time_ms
}

fn body(time_ms: i64, len: usize) -> Body {
    Body { bytes: vec![7; len], samples: 3, time_ms, content: content(&[("Content-Type", "test")]) }
}

fn segments(dir: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(dir.join("test")) else { return 0 };
    entries.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|e| e == "seg")).count()
}

#[test]
fn in_memory_over_the_cap_the_oldest_goes_and_is_counted() {
    let mut kept = kept(&SpoolSettings::memory(100));
    (0..4).for_each(|time_ms| kept.push(body(time_ms, 40)));
    assert_eq!((kept.dropped(DropReason::QueueFull), kept.waiting()), (6, (2, 80)));
    let taken = kept.take().unwrap();
    assert_eq!((time(&taken), kept.waiting()), (2, (2, 80)), "what is in hand still counts");
    kept.push(body(4, 40));
    assert_eq!((kept.dropped(DropReason::QueueFull), kept.waiting()), (9, (2, 80)), "for the cap, too");
    kept.deliver(taken);
    assert_eq!(kept.waiting(), (1, 40));
    assert_eq!(kept.status.queue_oldest_seconds(1004), 1.0);
    kept.push(body(9, 101));
    assert_eq!(kept.waiting(), (0, 0), "a body that alone is over the cap does not stay");
}

#[test]
fn in_memory_what_has_waited_too_long_is_dropped_and_counted_and_a_request_under_way_is_not() {
    let max_age = Some(Duration::from_secs(3600));
    let mut kept = kept(&SpoolSettings { max_age, ..SpoolSettings::memory(1000) });
    let now = crate::host::wall_ms();
    for time_ms in [now, now - 3_600_001, now - 7_200_000, now] {
        kept.queue.lock().list.add([body(time_ms, 1)], None, true, Instant::now());
    }
    let taken = kept.take().unwrap();
    kept.deliver(taken);
    let taken = kept.take().unwrap();
    assert_eq!((time(&taken), kept.dropped(DropReason::Expired)), (now, 6));
    kept.deliver(taken);
    assert_eq!(kept.waiting(), (0, 0));
}

#[test]
fn in_memory_what_is_undelivered_at_the_end_is_lost_and_counted() {
    let mut kept = kept(&SpoolSettings::memory(100));
    kept.push(body(1, 1));
    kept.push(body(2, 1));
    let _in_hand = kept.take().unwrap();
    assert_eq!(kept.end().samples_dropped(DropReason::Shutdown), 6);
}

#[test]
fn the_list_of_series_is_written_to_the_disk_that_may_hang_too() {
    let dir = Dir::new("series-hang");
    let mut kept = kept(&SpoolSettings::behind(&dir.0));
    kept.queue.series_changed();
    let (settled, task) = kept.queue.task_due(kept.sender.generation).unwrap();
    assert!(matches!(task, Task::Series), "{task:?}");
    let hangs = |kept: &Kept| kept.queue.lock().disk.hangs(Instant::now() + PATIENCE);
    assert!(hangs(&kept));
    kept.keeper.carry_out(settled, task);
    assert!(!hangs(&kept));
}

#[test]
fn the_end_that_waits_for_no_sender_waits_for_what_still_comes_in() {
    let dir = Dir::new("unawaited");
    let mut kept = kept(&SpoolSettings::behind(&dir.0));
    kept.push(body(1, 10));
    let _in_hand = kept.take().unwrap();
    kept.queue.finish();
    kept.push(body(2, 10));
    let unsaved = Unsaved { requests: 2, samples: 6, batches: 0 };
    assert_eq!(kept.queue.wait_for_end(Instant::now()), Err(unsaved));
    kept.queue.close(kept.sender.generation);
    kept.work();
    assert_eq!(kept.queue.wait_for_end(Instant::now()), Ok(()));
    assert_eq!((kept.dropped(DropReason::Shutdown), segments(&dir.0)), (0, 1));
}

#[test]
fn what_is_delivered_at_once_never_touches_the_disk_however_many_bodies_it_is() {
    let dir = Dir::new("healthy");
    let mut kept = kept(&SpoolSettings::behind(&dir.0));
    for tick in 0..10 {
        let bodies = |from| (from..from + 10).map(|time_ms| body(time_ms, 1000)).collect::<Vec<Body>>();
        kept.straight(bodies(100 * tick));
        // What was gathered beside the beat comes right behind it.
        kept.queue.push(bodies(100 * tick + 50), None);
        kept.work();
        assert_eq!(kept.waiting(), (20, 20_000));
        assert_eq!(kept.drain().len(), 20);
    }
    assert_eq!((kept.waiting(), segments(&dir.0)), ((0, 0), 0));
    let status = kept.end();
    assert_eq!((status.queue_frames(), segments(&dir.0)), (0, 0));
}

#[test]
fn a_payload_of_which_nothing_is_acknowledged_for_a_second_goes_to_the_disk_with_all_before_it() {
    let now = Instant::now();
    let mut state = QueueState::new(SpoolSettings::behind("/nowhere"), 1, now);
    (state.disk.opening, state.disk.is_open, state.upkept) = (None, true, Some(now + Duration::from_secs(3600)));
    let at = |ms: u64| now + Duration::from_millis(ms);
    let chore = |state: &QueueState, ms: u64| state.next_chore(0, at(ms)).ok();
    // Ten bodies, one of which is delivered each 0.9 s: it makes progress.
    state.list.add((0..10).map(|time_ms| body(time_ms, 10)), None, false, now);
    assert_eq!((chore(&state, 999), chore(&state, 1000)), (None, Some(Chore::Write)));
    for step in 1..5 {
        let number = state.list.first_free().unwrap().number;
        state.list.take(number);
        state.list.settle(number, at(900 * step));
        assert_eq!(chore(&state, 900 * step + 999), None);
    }
    // One that comes behind it makes none, and the first goes before it.
    state.list.add([body(100, 10)], None, true, at(3600));
    assert_eq!((chore(&state, 4599), chore(&state, 4600)), (None, Some(Chore::Write)));
    assert_eq!(state.list.first_unsaved().unwrap().0.body.time_ms, 4);
}

#[test]
fn more_than_may_be_in_memory_goes_to_the_disk_and_nothing_is_lost() {
    let dir = Dir::new("over");
    let mut kept = kept(&SpoolSettings { memory_max_bytes: 10_000, ..SpoolSettings::behind(&dir.0) });
    kept.straight((0..10).map(|time_ms| body(time_ms, 1000)).collect());
    assert_eq!(segments(&dir.0), 0, "as much as may be");
    kept.queue.encoding().done((10..40).map(|time_ms| body(time_ms, 1000)).collect(), None);
    kept.work();
    assert_eq!(segments(&dir.0), 1);
    assert!(kept.queue.lock().list.bytes() <= 11_000, "{}", kept.queue.lock().list.bytes());
    assert_eq!(kept.drain(), (0..40).collect::<Vec<i64>>());
}

#[test]
fn a_request_that_fails_puts_all_on_disk_and_a_crash_loses_nothing() {
    let dir = Dir::new("crash");
    let mut crashed = kept(&SpoolSettings::behind(&dir.0));
    crashed.fail_first(body(1, 10));
    crashed.push(body(2, 10));
    crashed.push(body(3, 10));
    assert_eq!((segments(&dir.0), crashed.waiting()), (1, (3, 30)));
    // What a crash is: nothing is said to anybody.
    drop(crashed);
    let mut kept = kept(&SpoolSettings::behind(&dir.0));
    assert_eq!(kept.waiting().0, 3);
    assert_eq!(kept.drain(), [1, 2, 3]);
    assert_eq!(kept.waiting(), (0, 0));
}

#[test]
fn what_was_settled_does_not_come_again_after_a_clean_end() {
    let dir = Dir::new("settled");
    let mut first = kept(&SpoolSettings::behind(&dir.0));
    first.fail_first(body(1, 10));
    first.push(body(2, 10));
    first.push(body(3, 10));
    for time_ms in [1, 2] {
        let taken = first.take().unwrap();
        assert_eq!(time(&taken), time_ms);
        first.deliver(taken);
    }
    let _third = first.take().unwrap();
    let status = first.end();
    assert_eq!(status.queue_frames(), 1, "the one in hand waits for the next start");
    let mut kept = kept(&SpoolSettings::behind(&dir.0));
    assert_eq!(kept.drain(), [3]);
    kept.end();
    assert_eq!(segments(&dir.0), 0, "an empty spool leaves no segment behind");
}

#[test]
fn stopping_puts_the_body_in_hand_on_disk_at_once() {
    let dir = Dir::new("park");
    let mut hung = kept(&SpoolSettings::behind(&dir.0));
    hung.straight(vec![body(1, 10)]);
    let _in_hand = hung.take().unwrap();
    assert_eq!(segments(&dir.0), 0);
    hung.queue.close(hung.sender.generation);
    hung.work();
    // The sender hangs: the process ends without the queue's end.
    drop(hung);
    assert_eq!(kept(&SpoolSettings::behind(&dir.0)).drain(), [1]);
}

#[test]
fn in_the_mode_always_a_body_is_on_disk_before_it_is_sent() {
    let dir = Dir::new("always");
    let settings = SpoolSettings { mode: SpoolMode::Always, ..SpoolSettings::behind(&dir.0) };
    let mut first = kept(&settings);
    first.queue.encoding().done(vec![body(1, 10)], None);
    assert!(first.take_alone().is_none(), "not before it is written");
    let _in_hand = first.take().unwrap();
    assert_eq!(segments(&dir.0), 1);
    drop(first);
    assert_eq!(kept(&settings).drain(), [1]);
}

#[test]
fn a_disk_that_does_not_take_it_leaves_it_in_memory_in_order() {
    for mode in [SpoolMode::Behind, SpoolMode::Always] {
        let dir = Dir::new("nodir");
        // A file where the directory should be.
        std::fs::write(&dir.0, "").unwrap();
        let mut kept = kept(&SpoolSettings { mode, ..SpoolSettings::behind(&dir.0) });
        kept.fail_first(body(1, 10));
        kept.push(body(2, 10));
        kept.push(body(3, 10));
        assert_eq!(kept.waiting().0, 3);
        assert!(kept.status.trouble().is_some());
        assert_eq!(kept.drain(), [1, 2, 3]);
        std::fs::remove_file(&dir.0).unwrap();
    }
}

#[test]
fn a_disk_that_fails_and_works_again_gets_what_waited_in_memory() {
    let dir = Dir::new("erofs");
    let settings = SpoolSettings { memory_max_bytes: 100, ..SpoolSettings::behind(&dir.0) };
    let mut kept = kept(&settings);
    let faults = kept.keeper.faults.clone();
    faults.fail(Op::Create, nix::libc::EROFS);
    kept.fail_first(body(0, 30));
    (1..5).for_each(|time_ms| kept.push(body(time_ms, 30)));
    assert_eq!((kept.waiting(), kept.dropped(DropReason::QueueFull)), ((3, 90), 6), "as much as may be in memory");
    let trouble = kept.status.trouble().unwrap();
    assert!(trouble.why.contains("Read-only") && !trouble.is_lack, "{trouble:?}");
    faults.heal();
    kept.queue.lock().disk.write_failed = Some(Instant::now() - disk_view::DISK_RETRY);
    kept.work();
    assert_eq!((segments(&dir.0), kept.status.trouble()), (1, None));
    assert_eq!(kept.drain(), [2, 3, 4]);
}

#[test]
fn over_the_budget_of_all_spools_the_oldest_gives_way() {
    let dir = Dir::new("budget");
    let budget = Arc::new(Budget::new(2_000_000));
    let settings = SpoolSettings {
        budget: Arc::clone(&budget),
        max_bytes: 4 << 20,
        sync: SyncPolicy::Never,
        ..SpoolSettings::behind(&dir.0)
    };
    let lane = |name: &str, time_ms: i64| {
        let mut kept = unopened(name, &settings);
        kept.work();
        kept.fail_first(body(time_ms, 10));
        kept
    };
    let mut old = lane("old", 0);
    (1..190).for_each(|time_ms| old.push(body(time_ms, 10_000)));
    assert_eq!(old.dropped(DropReason::QueueFull), 0);
    // A destination that goes away later, while the old one goes on failing.
    let mut new = lane("new", 1000);
    for time_ms in 1001..1080 {
        new.push(body(time_ms, 10_000));
        old.push(body(time_ms, 10_000));
    }
    assert_eq!(new.dropped(DropReason::QueueFull), 0);
    assert!(old.dropped(DropReason::QueueFull) > 0);
    assert!(budget.excess() <= 20_000, "{}", budget.excess());
}

#[test]
fn nothing_is_handed_out_before_the_spool_is_open_and_what_is_in_it_goes_first() {
    let dir = Dir::new("open");
    let settings = SpoolSettings::behind(&dir.0);
    let mut earlier = kept(&settings);
    earlier.fail_first(body(1, 10));
    earlier.push(body(2, 10));
    earlier.end();
    let mut kept = unopened("test", &settings);
    kept.queue.push(vec![body(3, 10)], None);
    assert!(kept.take_alone().is_none());
    assert_eq!(kept.drain(), [1, 2, 3]);
}

#[test]
fn what_the_cap_takes_from_a_senders_hands_is_counted_where_it_is_not_delivered() {
    let dir = Dir::new("held");
    let settings = SpoolSettings { max_bytes: 100_000, ..SpoolSettings::behind(&dir.0) };
    for is_delivered in [true, false] {
        let mut kept = kept(&settings);
        kept.fail_first(body(0, 10_000));
        let taken = kept.take().unwrap();
        (1..40).for_each(|time_ms| kept.push(body(time_ms, 10_000)));
        let dropped = kept.dropped(DropReason::QueueFull);
        assert!(dropped > 0);
        if is_delivered {
            kept.deliver(taken);
        } else {
            kept.fail(taken);
        }
        kept.work();
        kept.queue.lock().upkept = None;
        kept.work();
        let lost = kept.dropped(DropReason::QueueFull) - dropped;
        assert_eq!(lost, if is_delivered { 0 } else { 3 });
        let sent = kept.drain().len() as u64 + u64::from(is_delivered);
        assert_eq!(kept.dropped(DropReason::QueueFull) + sent * 3, 120);
        kept.end();
    }
}

#[test]
fn a_queue_that_was_ended_and_goes_on_counts_on() {
    let dir = Dir::new("revived");
    let settings = SpoolSettings { max_bytes: 100_000, ..SpoolSettings::behind(&dir.0) };
    let mut first = kept(&settings);
    first.fail_first(body(0, 10));
    (1..40).for_each(|time_ms| first.push(body(time_ms, 10_000)));
    let queue = Arc::clone(&first.queue);
    let status = first.end();
    let accounted = || status.samples_dropped(DropReason::QueueFull) + status.queue_frames() * 3;
    let lost = status.samples_dropped(DropReason::QueueFull);
    assert!(lost > 0);
    assert_eq!(accounted(), 120);
    // Another lane comes after it.
    let (_, _, mut lane) = Lane::new(&self::settings("test", &settings), Duration::ZERO, None);
    let generation = queue.new_generation();
    assert!(queue.hand_over(generation, 1), "too late for the one before");
    (lane.keeper.queue, lane.keeper.status) = (Arc::clone(&queue), Arc::clone(&status));
    lane.keeper.generation = generation;
    lane.keeper.begin();
    let sender = SenderId { generation, is_first: true };
    let mut second = Kept { queue, keeper: lane.keeper, status: Arc::clone(&status), sender };
    assert!(second.take_alone().is_none(), "not before its spool is open again");
    second.work();
    assert_eq!((second.dropped(DropReason::QueueFull), accounted()), (lost, 120));
    (40..80).for_each(|time_ms| second.push(body(time_ms, 10_000)));
    assert_eq!(accounted(), 240);
}

#[test]
fn senders_of_before_leave_and_their_queue_goes_on_with_its_spool() {
    let dir = Dir::new("handed");
    let settings = SpoolSettings::behind(&dir.0);
    let mut first = kept(&settings);
    first.fail_first(body(1, 10));
    first.push(body(2, 10));
    let taken = first.take().unwrap();
    let generation = first.queue.new_generation();
    assert!(!first.queue.hand_over(generation, 1));
    assert!(matches!(first.queue.next(first.sender), Next::Leave));
    assert!(first.queue.go_on(first.sender).is_none());
    first.queue.give_back(taken.0);
    first.queue.leave(first.sender.generation);
    // Its keeper leaves the spool to the next one.
    first.work();
    first.sender.generation = generation;
    first.keeper.generation = generation;
    first.keeper.begin();
    first.push(body(3, 10));
    assert_eq!(first.drain(), [1, 2, 3]);
}

#[test]
fn what_is_given_back_comes_first_again_on_disk_or_not_and_only_what_is_left_of_it() {
    let dir = Dir::new("back");
    for settings in [SpoolSettings::memory(1000), SpoolSettings::behind(&dir.0)] {
        let mut kept = kept(&settings);
        kept.straight(vec![body(1, 10)]);
        let (mut in_hand, ticket) = kept.take().unwrap();
        kept.push(body(2, 10));
        let part = in_hand.parts.next().unwrap();
        in_hand.parts.put_divided(&part, [body(11, 5), body(12, 5)].into_iter());
        kept.fail((in_hand, ticket));
        let (mut in_hand, ticket) = kept.take().unwrap();
        assert_eq!(in_hand.parts.next().unwrap().body.time_ms, 11);
        kept.fail((in_hand, ticket));
        assert_eq!(kept.drain(), [12, 2]);
    }
}

#[test]
fn what_waits_in_memory_moves_to_a_disk_and_what_waits_on_a_disk_stays_there() {
    let dir = Dir::new("move");
    let mut kept = kept(&SpoolSettings::memory(1000));
    kept.straight(vec![body(1, 10)]);
    let first = kept.take().unwrap();
    kept.push(body(2, 10));
    kept.queue.move_to(SpoolSettings::behind(&dir.0));
    assert!(kept.take_alone().is_some(), "until the keeper hears of it, nothing has changed");
    let (in_hand, ticket) = first;
    kept.queue.failed(ticket, Failure::Retry(None));
    kept.work();
    kept.push(body(3, 10));
    assert_eq!((segments(&dir.0), kept.waiting().0), (1, 3));
    kept.queue.settled(in_hand.number);
    kept.queue.move_to(SpoolSettings::memory(1000));
    kept.work();
    // The second is in somebody's hands, and comes along.
    assert_eq!((segments(&dir.0), kept.waiting().0), (1, 1));
    kept.queue.move_to(SpoolSettings::behind(&dir.0));
    kept.work();
    assert_eq!(kept.drain(), [3]);
    assert!(DropReason::ALL.iter().all(|reason| kept.dropped(*reason) == 0));
}

#[test]
fn a_spool_that_another_one_held_is_taken_up_when_it_is_free_and_what_waited_comes_behind_it() {
    let dir = Dir::new("late");
    let settings = SpoolSettings::behind(&dir.0);
    let mut first = kept(&settings);
    first.fail_first(body(1, 10));
    first.push(body(2, 10));
    let mut second = kept(&settings);
    assert!(second.status.trouble().unwrap().is_lack);
    let always = kept(&SpoolSettings { mode: SpoolMode::Always, ..settings.clone() });
    assert!(!always.status.trouble().unwrap().is_lack, "it was to be on disk in any case");
    always.end();
    second.push(body(3, 10));
    second.push(body(4, 10));
    first.end();
    second.queue.lock().disk.open_tried = Some(Instant::now() - disk_view::DISK_RETRY);
    second.work();
    assert_eq!(second.status.trouble(), None);
    assert_eq!(second.drain(), [1, 2, 3, 4]);
}

/// What a sender gets while the keeper's call does not come back.
#[test]
fn a_disk_that_hangs_is_waited_for_where_it_has_what_is_older_and_no_longer_than_that() {
    let now = Instant::now();
    let at = |wait: Duration| now + wait;
    let mut state = QueueState::new(SpoolSettings::behind("/nowhere"), 1, now);
    state.list.add([body(2, 10)], None, true, now);
    // While it is opened,
    assert_eq!(state.next_body(now), Err(Some(at(disk_view::OPEN_SOON))));
    assert_eq!(state.disk.look(at(disk_view::OPEN_SOON)), Some(Said::Slow));
    assert_eq!(state.next_body(at(disk_view::OPEN_SOON)), Err(Some(at(OPEN_PATIENCE))));
    assert_eq!(state.disk.look(at(OPEN_PATIENCE)), Some(Said::Hangs));
    assert!(state.next_body(at(OPEN_PATIENCE)).is_ok());
    // while there is something in it,
    state.disk.is_open = true;
    state.disk.unread.frames = 1;
    state.disk.busy_since = Some(now);
    assert_eq!(state.next_body(now), Err(Some(at(PATIENCE))));
    assert!(state.next_body(at(PATIENCE)).is_ok());
    // and in the mode always. Otherwise it is not waited for at all.
    state.disk.unread.frames = 0;
    assert!(state.next_body(now).is_ok());
    state.settings.mode = SpoolMode::Always;
    assert_eq!(state.next_body(now), Err(Some(at(PATIENCE))));
    assert!(state.next_body(at(PATIENCE)).is_ok());
}

#[test]
fn what_is_delivered_while_it_is_written_does_not_come_again() {
    let dir = Dir::new("while");
    let mut kept = kept(&SpoolSettings::behind(&dir.0));
    kept.fail_first(body(0, 10));
    for (time_ms, stays) in [(1, true), (2, false)] {
        kept.queue.push(vec![body(time_ms, 10)], None);
        let Some((settled, Task::Write(write))) = kept.queue.task_due(kept.sender.generation) else {
            panic!("not to be written")
        };
        // The disk takes its time, and a sender is quicker.
        while let Some((in_hand, ticket)) = kept.take_alone() {
            kept.queue.answered(ticket, true);
            kept.queue.settled(in_hand.number);
        }
        kept.keeper.carry_out(settled, Task::Write(Write { stays, ..write }));
        assert_eq!(kept.drain(), [0i64; 0], "{stays}");
        kept.fail_first(body(0, 10));
    }
    assert_eq!(kept.drain(), [0]);
}

/// What happens to a queue at random, and what must hold whatever does: each body is delivered,
/// once and in order, unless the process was killed or the body is counted as lost.
#[test]
fn whatever_happens_each_body_is_delivered_in_order_or_counted() {
    for seed in 0..60 {
        live(seed);
    }
}

fn live(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let dir = Dir::new(&format!("model-{seed}"));
    let mode = [SpoolMode::Behind, SpoolMode::Behind, SpoolMode::Always][random.usize(..3)];
    let settings = SpoolSettings {
        mode,
        sync: SyncPolicy::Never,
        memory_max_bytes: random.usize(500..20_000),
        max_bytes: if random.bool() { 8 << 20 } else { 100_000 },
        ..SpoolSettings::behind(&dir.0)
    };
    let mut kept = kept(&settings);
    let (mut pushed, mut lost) = (0i64, 0);
    let mut arrived: Vec<i64> = Vec::new();
    let (mut killed, mut again) = (false, false);
    let mut in_hand: Vec<(InHand, Ticket)> = Vec::new();
    for _ in 0..random.usize(50..400) {
        match random.u32(..20) {
            0..6 => {
                let count = random.i64(1..4);
                let bodies = (0..count).map(|at| body(pushed + at, random.usize(1..1500))).collect();
                pushed += count;
                if kept.queue.lock().list.is_empty() && random.bool() {
                    kept.queue.encoding().done(bodies, None);
                } else {
                    // Where the keeper has to make room first, that is waited for.
                    let queue = Arc::clone(&kept.queue);
                    let worker = std::thread::spawn(move || queue.push(bodies, None));
                    while !worker.is_finished() {
                        if kept.queue.lock().is_over_full() {
                            kept.work();
                        }
                        std::thread::yield_now();
                    }
                    worker.join().unwrap();
                }
            }
            6..11 => in_hand.extend(kept.take_alone()),
            11..14 => {
                if let Some((in_hand, ticket)) = (!in_hand.is_empty()).then(|| in_hand.remove(0)) {
                    arrived.push(in_hand.parts.first().time_ms);
                    kept.queue.answered(ticket, true);
                    kept.queue.settled(in_hand.number);
                }
            }
            14 => in_hand.drain(..).rev().for_each(|(in_hand, ticket)| {
                kept.queue.failed(ticket, Failure::Retry(None));
                kept.queue.give_back(in_hand);
            }),
            15 => {
                let op = [Op::Write, Op::Create, Op::Sync, Op::Remove, Op::Rename][random.usize(..5)];
                kept.keeper.faults.fail(op, nix::libc::EIO);
            }
            16 => {
                kept.keeper.faults.heal();
                kept.queue.lock().disk.write_failed = None;
            }
            // One thing at a time of what is due.
            17 => {
                if let Some((settled, task)) = kept.queue.task_due(kept.sender.generation) {
                    kept.keeper.carry_out(settled, task);
                }
            }
            18 if random.u32(..8) == 0 => {
                // A kill, or an end in order: what is in memory alone is gone, or counted.
                in_hand.clear();
                lost += DropReason::ALL.iter().map(|reason| kept.dropped(*reason)).sum::<u64>();
                if random.bool() {
                    kept.keeper.faults.heal();
                } else {
                    // Its last words may not reach the disk: some of it comes again.
                    again = true;
                }
                if random.bool() {
                    killed = true;
                    drop(kept);
                } else {
                    let before: u64 = kept.status.samples_dropped_total();
                    lost += kept.end().samples_dropped_total() - before;
                }
                kept = self::kept(&settings);
            }
            _ => kept.work(),
        }
        let bytes = kept.queue.lock().list.bytes();
        // And one payload: it is encoded before it is known how much it is.
        assert!(bytes <= settings.memory_max_bytes as u64 + 4 * 4500, "{seed}: {bytes} bytes in memory");
    }
    kept.keeper.faults.heal();
    kept.queue.lock().disk.write_failed = None;
    in_hand.drain(..).rev().for_each(|(in_hand, ticket)| {
        kept.queue.failed(ticket, Failure::Retry(None));
        kept.queue.give_back(in_hand);
    });
    kept.work();
    arrived.extend(kept.drain());
    lost += kept.status.samples_dropped_total();
    assert_eq!(kept.waiting(), (0, 0), "{seed}");
    if killed {
        return;
    }
    let distinct: std::collections::BTreeSet<i64> = arrived.iter().copied().collect();
    let accounted = distinct.len() as u64 + lost / 3;
    if again {
        assert!(accounted >= pushed as u64, "{seed}: {accounted} of {pushed} delivered, or counted as lost");
        return;
    }
    assert!(arrived.windows(2).all(|two| two[0] < two[1]), "{seed}: each once, in order: {arrived:?}");
    assert_eq!(accounted, pushed as u64, "{seed}: delivered, or counted as lost");
}
