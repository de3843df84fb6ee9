//! What the queue keeps, in which order, and what it drops.

use std::path::{Path, PathBuf};

use super::*;
use crate::formats::content;
use crate::lane::Budget;
use crate::spool::SyncPolicy;

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

fn queue(settings: &SpoolSettings) -> (Queue, Arc<DestinationStatus>) {
    let status = Arc::new(DestinationStatus::new("test", "stdout"));
    let queue = Queue::new("test", settings, Arc::clone(&status), 1);
    queue.open();
    (queue, status)
}

fn body(time_ms: i64, len: usize) -> Body {
    Body { bytes: vec![7; len], samples: 3, time_ms, content: content(&[("Content-Type", "test")]) }
}

/// Takes and settles all that is there.
fn drain(queue: &Queue) -> Vec<i64> {
    let mut times = Vec::new();
    while let Some(held) = queue.take(0) {
        assert_eq!(held.body.samples, 3);
        assert_eq!(*held.body.content, [("Content-Type".to_owned(), "test".to_owned())]);
        times.push(held.body.time_ms);
        queue.settled(&held);
    }
    times
}

fn segments(dir: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(dir.join("test")) else { return 0 };
    entries.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|e| e == "seg")).count()
}

#[test]
fn in_memory_over_the_cap_the_oldest_goes_and_is_counted() {
    let (queue, status) = queue(&SpoolSettings::memory(100));
    for time_ms in 0..4 {
        queue.push(body(time_ms, 40));
    }
    assert_eq!(status.samples_dropped(DropReason::QueueFull), 6);
    assert_eq!((status.queue_frames(), status.queue_bytes()), (2, 80));
    let held = queue.take(0).unwrap();
    assert_eq!(held.body.time_ms, 2);
    assert_eq!((status.queue_frames(), status.queue_bytes()), (2, 80), "what is in hand still counts");
    queue.settled(&held);
    assert_eq!((status.queue_frames(), status.queue_bytes()), (1, 40));
    assert_eq!(status.queue_oldest_seconds(1003), 1.0);
    queue.push(body(9, 101));
    assert_eq!(status.queue_frames(), 0, "a body that alone is over the cap does not stay");
}

#[test]
fn in_memory_what_has_waited_too_long_is_dropped_and_counted() {
    let max_age = Some(Duration::from_millis(1000));
    let (queue, status) = queue(&SpoolSettings { max_age, ..SpoolSettings::memory(1000) });
    for time_ms in [5000, 6000, 6500] {
        queue.push(body(time_ms, 1));
    }
    let held = queue.take(6000).unwrap();
    assert_eq!(held.body.time_ms, 5000, "just not too old");
    assert_eq!((queue.fate(&held, 6000), queue.fate(&held, 6001)), (Fate::Wanted, Fate::Expired));
    assert!(queue.tidy(7001));
    assert_eq!(status.samples_dropped(DropReason::Expired), 3);
    assert_eq!(queue.take(7500).map(|held| held.body.time_ms), Some(6500));
    queue.push(body(6500, 1));
    assert!(queue.take(7501).is_none());
    assert_eq!(status.samples_dropped(DropReason::Expired), 6);
}

#[test]
fn in_memory_what_is_undelivered_at_the_end_is_lost_and_counted() {
    let (queue, status) = queue(&SpoolSettings::memory(100));
    queue.push(body(1, 1));
    queue.push(body(2, 1));
    let _held = queue.take(0).unwrap();
    assert!(!queue.bell().closed_within(Duration::ZERO));
    queue.bell().close();
    assert!(queue.bell().closed_within(Duration::from_secs(3600)));
    assert_eq!(queue.end(), (6, 0));
    assert_eq!(status.samples_dropped(DropReason::Shutdown), 6);
}

#[test]
fn a_body_that_is_delivered_at_once_never_touches_the_disk() {
    let dir = Dir::new("healthy");
    let (queue, status) = queue(&SpoolSettings::behind(&dir.0));
    for time_ms in 0..10 {
        let held = queue.hold(body(time_ms, 10));
        assert!(!queue.is_late());
        assert_eq!(status.queue_frames(), 1);
        queue.settled(&held);
    }
    assert!(!queue.tidy(0), "there is nothing to look after");
    assert_eq!((status.queue_frames(), segments(&dir.0)), (0, 0));
    assert_eq!(queue.end(), (0, 0));
}

#[test]
fn a_second_body_puts_both_on_disk_and_a_crash_loses_neither() {
    let dir = Dir::new("crash");
    let (crashed, status) = queue(&SpoolSettings::behind(&dir.0));
    let _in_hand = crashed.hold(body(1, 10));
    assert_eq!(segments(&dir.0), 0);
    crashed.push(body(2, 10));
    crashed.push(body(3, 10));
    assert_eq!((segments(&dir.0), status.queue_frames(), status.queue_bytes()), (1, 3, 30));
    // What a crash is: nothing is said to anybody.
    drop(crashed);
    let (queue, status) = queue(&SpoolSettings::behind(&dir.0));
    assert_eq!(status.queue_frames(), 3);
    assert_eq!(drain(&queue), [1, 2, 3]);
    assert_eq!(status.queue_frames(), 0);
}

#[test]
fn what_was_settled_does_not_come_again_after_a_clean_end() {
    let dir = Dir::new("settled");
    let (first, _) = queue(&SpoolSettings::behind(&dir.0));
    let straight = first.hold(body(1, 10));
    first.push(body(2, 10));
    first.push(body(3, 10));
    first.settled(&straight);
    let second = first.take(0).unwrap();
    assert_eq!(second.body.time_ms, 2);
    first.settled(&second);
    let _third = first.take(0).unwrap();
    first.bell().close();
    assert_eq!(first.end(), (0, 3), "the one in hand waits for the next start");
    let (queue, _) = queue(&SpoolSettings::behind(&dir.0));
    assert_eq!(drain(&queue), [3]);
    queue.tidy(0);
    assert_eq!(segments(&dir.0), 0, "an empty spool leaves no segment behind");
}

#[test]
fn stopping_puts_the_body_in_hand_on_disk_at_once() {
    let dir = Dir::new("park");
    let (hung, _) = queue(&SpoolSettings::behind(&dir.0));
    let _in_hand = hung.hold(body(1, 10));
    hung.park(0);
    // The sender hangs: the process ends without the queue's end.
    drop(hung);
    assert_eq!(drain(&queue(&SpoolSettings::behind(&dir.0)).0), [1]);
}

#[test]
fn in_the_mode_always_a_body_is_on_disk_before_it_is_sent() {
    let dir = Dir::new("always");
    let settings = SpoolSettings { mode: SpoolMode::Always, ..SpoolSettings::behind(&dir.0) };
    let (first, _) = queue(&settings);
    let _in_hand = first.hold(body(1, 10));
    assert_eq!(segments(&dir.0), 1);
    drop(first);
    assert_eq!(drain(&queue(&settings).0), [1]);
}

#[test]
fn a_disk_that_does_not_take_it_leaves_it_in_memory_in_order() {
    let dir = Dir::new("nodir");
    // A file where the directory should be.
    std::fs::write(&dir.0, "").unwrap();
    let (queue, status) = queue(&SpoolSettings::behind(&dir.0));
    let held = queue.hold(body(1, 10));
    queue.push(body(2, 10));
    queue.push(body(3, 10));
    assert_eq!(status.queue_frames(), 3);
    queue.settled(&held);
    assert_eq!(drain(&queue), [2, 3]);
    std::fs::remove_file(&dir.0).unwrap();
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
    let queue = |name: &str| {
        let status = Arc::new(DestinationStatus::new(name, "file"));
        let queue = Queue::new(name, &settings, Arc::clone(&status), 1);
        queue.open();
        (queue, status)
    };
    let (old, old_status) = queue("old");
    let _in_hand = old.hold(body(0, 10));
    (1..190).for_each(|time_ms| old.push(body(time_ms, 10_000)));
    assert_eq!(old_status.samples_dropped(DropReason::QueueFull), 0);
    // A destination that goes away later, while the old one goes on failing.
    let (new, new_status) = queue("new");
    let _in_hand = new.hold(body(1000, 10));
    for time_ms in 1001..1080 {
        new.push(body(time_ms, 10_000));
        old.push(body(time_ms, 10_000));
    }
    assert_eq!(new_status.samples_dropped(DropReason::QueueFull), 0);
    assert!(old_status.samples_dropped(DropReason::QueueFull) > 0);
    assert!(budget.excess() <= 20_000, "{}", budget.excess());
}

#[test]
fn nothing_is_handed_out_before_the_spool_is_open_and_what_is_in_it_goes_first() {
    let dir = Dir::new("open");
    let settings = SpoolSettings::behind(&dir.0);
    let (earlier, _) = queue(&settings);
    let _in_hand = earlier.hold(body(1, 10));
    earlier.push(body(2, 10));
    earlier.end();
    let queue = Queue::new("test", &settings, Arc::new(DestinationStatus::new("test", "stdout")), 1);
    queue.push(body(3, 10));
    assert!(queue.tidy(0) && queue.take(0).is_none());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| queue.wait_open());
        queue.open();
        waiting.join().unwrap();
    });
    assert_eq!(drain(&queue), [1, 2, 3]);
}

#[test]
fn what_the_cap_takes_from_a_senders_hands_is_counted_and_given_up() {
    let dir = Dir::new("held");
    let settings = SpoolSettings { max_bytes: 100_000, ..SpoolSettings::behind(&dir.0) };
    for told in [true, false] {
        let (queue, status) = queue(&settings);
        let held = queue.hold(body(0, 10_000));
        (1..40).for_each(|time_ms| queue.push(body(time_ms, 10_000)));
        let waiting = || status.queue_frames() * 3;
        if told {
            assert_eq!((queue.fate(&held, 0), queue.fate(&held, 0)), (Fate::Dropped, Fate::Wanted));
        } else {
            assert_eq!(queue.end().1, waiting());
        }
        assert_eq!(status.samples_dropped(DropReason::QueueFull) + waiting(), 120);
        queue.end();
        std::fs::remove_dir_all(&dir.0).unwrap();
    }
}

#[test]
fn a_queue_that_was_ended_and_goes_on_counts_on() {
    let dir = Dir::new("revived");
    let settings = SpoolSettings { max_bytes: 100_000, ..SpoolSettings::behind(&dir.0) };
    let (queue, status) = queue(&settings);
    let accounted = || status.samples_dropped(DropReason::QueueFull) + status.queue_frames() * 3;
    let _held = queue.hold(body(0, 10));
    (1..40).for_each(|time_ms| queue.push(body(time_ms, 10_000)));
    queue.end();
    let lost = status.samples_dropped(DropReason::QueueFull);
    assert!(lost > 0);
    queue.revive();
    assert!(queue.take(0).is_none(), "not before its spool is open again");
    queue.open();
    assert_eq!((status.samples_dropped(DropReason::QueueFull), accounted()), (lost, 120));
    (40..80).for_each(|time_ms| queue.push(body(time_ms, 10_000)));
    assert_eq!(accounted(), 240);
}

#[test]
fn what_is_given_back_comes_first_again_on_disk_or_not() {
    let dir = Dir::new("back");
    for settings in [SpoolSettings::memory(1000), SpoolSettings::behind(&dir.0)] {
        let (queue, _) = queue(&settings);
        let held = queue.hold(body(1, 10));
        queue.push(body(2, 10));
        queue.give_back(&held);
        let first = queue.take(0).unwrap();
        queue.give_back(&first);
        assert_eq!(drain(&queue), [1, 2]);
    }
}

#[test]
fn what_waits_in_memory_moves_to_a_disk_and_what_waits_on_a_disk_stays_there() {
    let dir = Dir::new("move");
    let (queue, status) = queue(&SpoolSettings::memory(1000));
    let held = queue.hold(body(1, 10));
    queue.push(body(2, 10));
    queue.move_to(&SpoolSettings::behind(&dir.0));
    assert!(queue.take(0).is_none(), "not before the spool is open");
    queue.open();
    queue.tidy(0);
    queue.push(body(3, 10));
    assert_eq!((segments(&dir.0), status.queue_frames()), (1, 3));
    queue.settled(&held);
    queue.move_to(&SpoolSettings::memory(1000));
    assert_eq!((segments(&dir.0), status.queue_frames()), (1, 0));
    queue.move_to(&SpoolSettings::behind(&dir.0));
    queue.open();
    assert_eq!(drain(&queue), [2, 3]);
    assert!(DropReason::ALL.iter().all(|reason| status.samples_dropped(*reason) == 0));
}

#[test]
fn whoever_ticks_does_not_wait_for_whoever_has_the_disk() {
    let (queue, _) = queue(&SpoolSettings::memory(1000));
    let _writing = queue.lock();
    assert!(!queue.is_late());
    assert!(!queue.bell().is_closed());
}

#[test]
fn a_spool_that_another_one_held_is_taken_up_when_it_is_free() {
    let dir = Dir::new("late");
    let settings = SpoolSettings::behind(&dir.0);
    let (first, _) = queue(&settings);
    let _in_hand = first.hold(body(1, 10));
    first.push(body(2, 10));
    let (second, status) = queue(&settings);
    let in_hand = second.hold(body(3, 10));
    second.push(body(4, 10));
    assert!(status.trouble().is_some());
    first.end();
    // Ticks go on, and the spool is tried again.
    let mut newest = 4;
    let until = Instant::now() + Duration::from_secs(20);
    while status.trouble().is_some() {
        assert!(Instant::now() < until, "{:?}", status.trouble());
        std::thread::sleep(Duration::from_millis(100));
        newest += 1;
        second.open();
        second.push(body(newest, 10));
    }
    second.settled(&in_hand);
    // What was in hand meanwhile comes a second time: at least once is the promise.
    assert_eq!(drain(&second), (1..=newest).collect::<Vec<i64>>());
}
