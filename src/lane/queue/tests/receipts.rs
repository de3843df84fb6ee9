//! When a source that waits for its payload's receipt hears of it, and what.

use std::sync::mpsc::{Receiver, channel};

use super::*;
use crate::model::{Fate, Receipt};

/// A receipt, and what is heard of it.
fn receipt() -> (Option<Receipt>, Receiver<Fate>) {
    let (tell, told) = channel();
    (Some(Receipt::new(move |fate| tell.send(fate).unwrap())), told)
}

fn heard(told: &Receiver<Fate>) -> Option<Fate> {
    told.try_recv().ok()
}

/// Writes reach the device when the keeper looks after the disk.
fn behind(dir: &Dir) -> SpoolSettings {
    SpoolSettings { sync: SyncPolicy::Interval(Duration::ZERO), ..SpoolSettings::behind(&dir.0) }
}

impl Kept {
    /// The keeper looks after the disk, whenever it last did.
    fn keep(&mut self) {
        self.queue.lock().upkept = None;
        self.work();
    }

    /// A payload is failing, so that what comes goes to the disk at once.
    fn failing(settings: &SpoolSettings) -> Kept {
        let mut kept = kept(settings);
        kept.fail_first(body(0, 10));
        kept
    }
}

#[test]
fn it_comes_with_the_last_body_that_is_delivered() {
    let (receipt, told) = receipt();
    let mut kept = kept(&SpoolSettings::memory(1000));
    kept.queue.encoding().done(vec![body(1, 10), body(2, 10)], receipt);
    let first = kept.take().unwrap();
    kept.deliver(first);
    assert_eq!(heard(&told), None);
    let second = kept.take().unwrap();
    assert_eq!(heard(&told), None);
    kept.deliver(second);
    assert_eq!(heard(&told), Some(Fate::Taken));
}

#[test]
fn of_a_payload_that_holds_nothing_for_a_destination_it_comes_at_once() {
    let (receipt, told) = receipt();
    let kept = kept(&SpoolSettings::memory(1000));
    kept.queue.push(Vec::new(), receipt);
    assert_eq!(heard(&told), Some(Fate::Taken));
}

#[test]
fn it_comes_when_the_body_is_on_the_device_and_not_before() {
    let dir = Dir::new("receipt-synced");
    let mut kept = Kept::failing(&behind(&dir));
    let (receipt, told) = receipt();
    kept.queue.lock().upkept = Some(Instant::now());
    kept.queue.push(vec![body(1, 10)], receipt);
    kept.work();
    assert_eq!(kept.queue.lock().list.unsaved().requests, 0, "it is written");
    assert_eq!(heard(&told), None, "and a power cut could undo that");
    kept.keep();
    assert_eq!(heard(&told), Some(Fate::Taken));
}

#[test]
fn it_comes_with_the_write_where_that_is_all_there_is() {
    for (name, sync) in [("receipt-never", SyncPolicy::Never), ("receipt-always", SyncPolicy::Always)] {
        let dir = Dir::new(name);
        let mut kept = Kept::failing(&SpoolSettings { sync, ..behind(&dir) });
        let (receipt, told) = receipt();
        kept.queue.push(vec![body(1, 10)], receipt);
        kept.work();
        assert_eq!(heard(&told), Some(Fate::Taken), "{name}");
    }
}

#[test]
fn a_sync_that_fails_is_none() {
    let dir = Dir::new("receipt-unsynced");
    let mut kept = Kept::failing(&behind(&dir));
    let (receipt, told) = receipt();
    kept.queue.lock().upkept = Some(Instant::now());
    kept.queue.push(vec![body(1, 10)], receipt);
    kept.work();
    kept.keeper.faults.fail(Op::Sync, nix::libc::EIO);
    kept.keep();
    assert_eq!(heard(&told), Some(Fate::Lost), "its source may send it again");
}

#[test]
fn what_no_disk_takes_is_waited_for_for_thirty_seconds_and_then_lost() {
    let mut kept = kept(&SpoolSettings::memory(10_000));
    let (receipt, told) = receipt();
    let now = Instant::now();
    kept.queue.lock().list.add([body(1, 10), body(2, 10)], receipt, true, now);
    let in_hand = kept.take().unwrap();
    let mut state = kept.queue.lock();
    assert_eq!(state.list.drop_unconfirmed(now + Duration::from_millis(29_999)), None);
    assert_eq!(heard(&told), None);
    let left = state.list.drop_unconfirmed(now + Duration::from_secs(30));
    assert_eq!(left, Some(Left { samples: 3, on_disk: OnDisk::No }), "the one that nobody has in hand");
    assert_eq!(state.list.drop_unconfirmed(now + Duration::from_secs(30)), None);
    drop(state);
    assert_eq!(heard(&told), Some(Fate::Lost), "also of the one that a request may still deliver");
    kept.fail(in_hand);
    assert_eq!((kept.waiting(), kept.dropped(DropReason::Unconfirmed)), ((0, 0), 3));
}

#[test]
fn what_nobody_waits_to_hear_of_stays() {
    let mut kept = kept(&SpoolSettings::memory(10_000));
    let (receipt, told) = receipt();
    let long_ago = Instant::now().checked_sub(Duration::from_secs(31)).unwrap();
    kept.queue.lock().list.add([body(1, 10)], None, true, long_ago);
    kept.queue.lock().list.add([body(2, 10)], receipt, true, long_ago);
    kept.queue.nudge();
    assert_eq!(heard(&told), Some(Fate::Lost));
    assert_eq!(kept.dropped(DropReason::Unconfirmed), 3);
    assert_eq!(kept.drain(), [1]);
}

#[test]
fn what_memory_has_no_room_for_is_lost() {
    let mut kept = kept(&SpoolSettings::memory(100));
    let (receipt, told) = receipt();
    kept.queue.push(vec![body(1, 80)], receipt);
    assert_eq!(heard(&told), None);
    kept.push(body(2, 80));
    assert_eq!(heard(&told), Some(Fate::Lost));
    assert_eq!(kept.drain(), [2]);
}

#[test]
fn the_end_writes_it_down_or_loses_it() {
    let dir = Dir::new("receipt-end");
    for (settings, fate) in [(behind(&dir), Fate::Taken), (SpoolSettings::memory(1000), Fate::Lost)] {
        let kept = kept(&settings);
        let (receipt, told) = receipt();
        kept.queue.push(vec![body(1, 10)], receipt);
        kept.end();
        assert_eq!(heard(&told), Some(fate), "{:?}", settings.mode);
    }
}

#[test]
fn a_spool_that_is_left_behind_keeps_no_promise() {
    let (dir, other) = (Dir::new("receipt-moved"), Dir::new("receipt-moved-to"));
    let mut kept = Kept::failing(&behind(&dir));
    let (receipt, told) = receipt();
    kept.queue.lock().upkept = Some(Instant::now());
    kept.queue.push(vec![body(1, 10)], receipt);
    kept.work();
    kept.queue.move_to(behind(&other));
    kept.work();
    assert_eq!(heard(&told), Some(Fate::Lost));
}

#[test]
fn the_keeper_looks_even_where_it_has_no_disk() {
    let kept = kept(&SpoolSettings::memory(1000));
    let woken = kept.queue.keeper_woken();
    let (receipt, _told) = receipt();
    std::thread::scope(|scope| {
        let (queue, generation) = (Arc::clone(&kept.queue), kept.sender.generation);
        let keeper = scope.spawn(move || queue.next_task(generation));
        let until = Instant::now() + Duration::from_secs(60);
        while !kept.queue.keeper_sleeps() {
            assert!(Instant::now() < until, "it does not sleep");
            std::thread::yield_now();
        }
        kept.queue.encoding().done(vec![body(1, 10)], receipt);
        let (_, task) = keeper.join().unwrap();
        assert!(matches!(task, Task::Upkeep), "{task:?}");
    });
    assert!(kept.queue.keeper_woken() > woken);
    drop(kept);
}

/// A queue of records in memory, in which there is room for one body.
fn of_records() -> Arc<Queue> {
    let status = Arc::new(DestinationStatus::of(Signal::Records, "test", "otlp_http"));
    Arc::new(Queue::new("test", &SpoolSettings::memory(100), status, 1))
}

/// Two bodies, of which the second finds no room.
fn fill(queue: &Arc<Queue>) -> (Receiver<Fate>, Receiver<Fate>, std::thread::JoinHandle<()>) {
    let ((first, told_first), (second, told_second)) = (receipt(), receipt());
    queue.push(vec![body(1, 80)], first);
    let pushing = Arc::clone(queue);
    let worker = std::thread::spawn(move || pushing.push(vec![body(2, 80)], second));
    let until = Instant::now() + Duration::from_secs(60);
    while !queue.lock().worker_waits {
        assert!(Instant::now() < until, "it does not wait");
        std::thread::yield_now();
    }
    (told_first, told_second, worker)
}

#[test]
fn records_without_a_disk_wait_for_room_until_the_lane_ends() {
    // What makes room is delivered.
    let queue = of_records();
    let (told_first, told_second, worker) = fill(&queue);
    assert_eq!((heard(&told_first), heard(&told_second)), (None, None));
    let number = queue.lock().list.front().unwrap().number;
    queue.settled(number);
    worker.join().unwrap();
    assert_eq!((heard(&told_first), heard(&told_second)), (Some(Fate::Taken), None));
    drop(queue);
    // Or nobody waits any more, and the oldest goes.
    let queue = of_records();
    let (told_first, told_second, worker) = fill(&queue);
    queue.has_no_way_in(0);
    worker.join().unwrap();
    assert_eq!((heard(&told_first), heard(&told_second)), (Some(Fate::Lost), None));
    assert_eq!(queue.status.samples_dropped(DropReason::QueueFull), 3);
    drop(queue);
}
