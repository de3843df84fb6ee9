//! What a spool does when nothing is wrong.

use super::faults::Faults;
use super::*;

#[test]
fn frames_come_out_as_they_went_in() {
    let dir = TempDir::new();
    let mut spool = open_clean(dir.path());
    assert_eq!(push(&mut spool, 1), Pushed { id: 1, taken: false, dropped: Count::default() });
    assert_eq!(push(&mut spool, 2).id, 2);
    let entry = spool.take(0).unwrap().unwrap();
    assert_eq!(entry.id, 1);
    assert_eq!(entry.bytes, b"payload 1 x");
    assert_eq!((entry.time_ms, entry.samples), (1000, 1));
    assert_eq!(entry.content[..], headers("application/x-protobuf")[..]);
    assert!(spool.ack(1) && !spool.ack(1));
    assert_eq!(drain(&mut spool), [2]);
    assert_eq!(spool.take(0).unwrap(), None);
}

#[test]
fn frames_survive_a_kill_and_a_close() {
    let dir = TempDir::new();
    let mut spool = open_clean(dir.path());
    push(&mut spool, 1);
    push(&mut spool, 2);
    drop(spool);
    let mut spool = open_clean(dir.path());
    push(&mut spool, 3);
    spool.close().unwrap();
    assert_eq!(segments(dir.path()).len(), 1, "a clean segment is gone on with");
    assert_eq!(drain(&mut open_clean(dir.path())), [1, 2, 3]);
}

#[test]
fn what_was_acknowledged_before_a_close_does_not_come_again() {
    let dir = TempDir::new();
    fill(dir.path(), 300);
    let mut spool = open_clean(dir.path());
    let before = segments(dir.path()).len();
    for id in 1..=200 {
        assert_eq!(spool.take(0).unwrap().unwrap().id, id);
        spool.ack(id);
    }
    spool.close().unwrap();
    assert!(segments(dir.path()).len() < before, "acknowledged segments go");
    let mut spool = open_clean(dir.path());
    assert_eq!(spool.stats().waiting.frames, 100);
    assert_eq!(drain(&mut spool), (201..=300).collect::<Vec<_>>());
}

#[test]
fn several_are_taken_at_once_and_acknowledged_in_any_order() {
    let dir = TempDir::new();
    fill(dir.path(), 5);
    let mut spool = open_clean(dir.path());
    for id in 1..=4 {
        assert_eq!(spool.take(0).unwrap().unwrap().id, id);
    }
    spool.ack(2);
    spool.ack(4);
    spool.release(3);
    spool.release(1);
    assert!(!spool.release(1));
    assert_eq!((spool.stats().waiting.frames, spool.stats().in_hand.frames), (3, 0));
    assert_eq!(drain(&mut spool), [1, 3, 5]);
}

#[test]
fn the_cursor_stops_at_the_oldest_frame_in_hand() {
    let dir = TempDir::new();
    fill(dir.path(), 5);
    let mut spool = open_clean(dir.path());
    for _ in 1..=4 {
        spool.take(0).unwrap();
    }
    spool.ack(1);
    spool.ack(3);
    spool.close().unwrap();
    // 2 and 4 were in somebody's hands; 3 lies above the cursor.
    assert_eq!(drain(&mut open_clean(dir.path())), [2, 3, 4, 5]);
}

#[test]
fn a_body_in_flight_can_be_stored_without_being_handed_out_again() {
    let dir = TempDir::new();
    let mut spool = open_clean(dir.path());
    let first = spool.push_taken(1000, 1, &payload(1)).unwrap();
    assert!(first.taken);
    assert_eq!(spool.take(0).unwrap(), None);
    push(&mut spool, 2);
    let third = spool.push_taken(3000, 3, &payload(3)).unwrap();
    assert!(!third.taken, "2 is waiting before it");
    spool.release(first.id);
    assert_eq!(drain(&mut spool), [1, 2, 3]);
    let fourth = spool.push_taken(4000, 4, &payload(4)).unwrap();
    assert!(fourth.taken && spool.ack(fourth.id));
    assert_eq!(spool.stats().waiting, Count::default());
    spool.close().unwrap();
    assert_eq!(names(dir.path()), ["lock"]);
}

#[test]
fn stored_in_flight_and_killed_it_comes_again() {
    let dir = TempDir::new();
    let mut spool = open_clean(dir.path());
    spool.push_taken(1000, 1, &payload(1)).unwrap();
    drop(spool);
    assert_eq!(drain(&mut open_clean(dir.path())), [1]);
}

#[test]
fn nothing_is_written_before_the_first_push_and_after_the_last_ack() {
    let dir = TempDir::new();
    let home = dir.path().join("a/b");
    let disk = Disk::default();
    let faults: Faults = disk.faults.clone();
    let (mut spool, _) = Spool::open_on(disk, options(&home), 0).unwrap();
    assert_eq!(names(&home), ["lock"]);
    let opened = faults.changes();
    for second in 1..100 {
        assert_eq!(spool.take(second * 1000).unwrap(), None);
        spool.sync(second * 1000).unwrap();
    }
    assert_eq!(faults.changes(), opened);

    push(&mut spool, 1);
    spool.sync(101_000).unwrap();
    drain(&mut spool);
    spool.sync(102_000).unwrap();
    assert_eq!(names(&home), ["lock"]);
    let drained = faults.changes();
    for second in 103..200 {
        spool.sync(second * 1000).unwrap();
    }
    spool.close().unwrap();
    assert_eq!(faults.changes(), drained);

    let disk = Disk::default();
    let faults = disk.faults.clone();
    let (spool, recovery) = Spool::open_on(disk, options(&home), 0).unwrap();
    spool.close().unwrap();
    assert!(recovery.is_clean());
    assert_eq!(faults.changes(), 0, "a second start makes nothing");
}

#[test]
fn sync_is_as_often_as_it_is_said_and_clock_steps_do_not_stop_it() {
    let dir = TempDir::new();
    let disk = Disk::default();
    let faults = disk.faults.clone();
    let (mut spool, _) = Spool::open_on(disk, options(dir.path()), 1_000_000).unwrap();
    push(&mut spool, 1);
    let pushed = faults.changes();
    spool.sync(1_000_999).unwrap();
    assert_eq!(faults.changes(), pushed);
    spool.sync(1_001_000).unwrap();
    assert_eq!(faults.changes(), pushed + 2, "the file, the directory");
    push(&mut spool, 2);
    spool.sync(500).unwrap();
    assert_eq!(faults.changes(), pushed + 4, "a write, and the file: the clock has gone back");
}

#[test]
fn always_means_on_the_device_before_the_push_returns() {
    let dir = TempDir::new();
    let disk = Disk::default();
    let faults = disk.faults.clone();
    let (mut spool, _) = Spool::open_on(disk, Options { sync: SyncPolicy::Always, ..options(dir.path()) }, 0).unwrap();
    push(&mut spool, 1);
    assert_eq!(faults.changes(), 5, "file, header, frame, its sync, the directory's");
    push(&mut spool, 2);
    assert_eq!(faults.changes(), 7, "frame, sync");
}

#[test]
fn a_change_of_content_begins_a_segment_and_each_frame_keeps_its_own() {
    let dir = TempDir::new();
    let mut spool = open_clean(dir.path());
    push(&mut spool, 1);
    spool.set_content(headers("v2")).unwrap();
    push(&mut spool, 2);
    spool.set_content(headers("v2")).unwrap();
    push(&mut spool, 3);
    assert_eq!(segments(dir.path()).len(), 2);
    assert!(spool.set_content(headers(&"x".repeat(20_000))).is_err());
    drop(spool);
    let mut spool = open_clean(dir.path());
    let kinds: Vec<_> = std::iter::from_fn(|| spool.take(0).unwrap()).map(|e| e.content[0].1.clone()).collect();
    assert_eq!(kinds, ["application/x-protobuf", "v2", "v2"]);
}

#[test]
fn stats_count_what_waits() {
    let dir = TempDir::new();
    let mut spool = open_clean(dir.path());
    assert_eq!(spool.stats(), Stats::default());
    for n in 1..=3 {
        push(&mut spool, n);
    }
    let stats = spool.stats();
    // "payload N " is 10 bytes, and N times x.
    assert_eq!(stats.waiting, Count { frames: 3, samples: 6, bytes: 36 });
    assert_eq!(stats.oldest_ms, Some(1000));
    assert_eq!(stats.disk_bytes, fs::metadata(&segments(dir.path())[0]).unwrap().len());
    let first = spool.take(0).unwrap().unwrap();
    assert_eq!((spool.stats().waiting.frames, spool.stats().in_hand.frames), (3, 1));
    spool.ack(first.id);
    assert_eq!(spool.stats().waiting, Count { frames: 2, samples: 5, bytes: 25 });
    drop(spool);
    assert_eq!(open_clean(dir.path()).stats().waiting.frames, 3, "the cursor was not saved");
}

#[test]
fn a_listing_says_what_waits_while_a_daemon_runs() {
    let dir = TempDir::new();
    let home = dir.path().join("remote");
    fill(&home, 300);
    fs::create_dir(dir.path().join("nothing")).unwrap();
    let mut spool = open_clean(&home);
    for id in 1..=100 {
        spool.take(0).unwrap();
        spool.ack(id);
    }
    spool.flush().unwrap();
    let before = names(&home);
    let listings = inspect(dir.path(), |_| None).unwrap();
    let [listing] = &listings[..] else { panic!("{listings:?}") };
    assert_eq!(listing.dir, home);
    assert_eq!(listing.destination.as_deref(), Some("remote"));
    assert_eq!(listing.recovery.waiting, spool.stats().waiting);
    assert_eq!((listing.oldest_ms, listing.newest_ms), (Some(101_000), Some(300_000)));
    assert_eq!((listing.segments, listing.disk_bytes), (spool.stats().segments, spool.stats().disk_bytes));
    assert!(listing.recovery.is_clean(), "{listing:?}");
    assert_eq!(names(&home), before);
}
