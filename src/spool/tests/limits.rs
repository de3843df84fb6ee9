//! Caps, ages, and large numbers.

use std::time::Duration;

use super::super::scan::CHUNK;
use super::*;

fn capped(dir: &Path, max_bytes: u64) -> Options {
    Options { max_bytes, ..options(dir) }
}

#[test]
fn over_the_cap_the_oldest_segment_goes_and_is_counted() {
    let dir = TempDir::new();
    let (mut spool, _) = Spool::open(capped(dir.path(), 64 << 10), 0).unwrap();
    let mut dropped = Count::default();
    for n in 1..=3000 {
        dropped += push(&mut spool, n).dropped;
        let disk: u64 = segments(dir.path()).iter().map(|p| fs::metadata(p).unwrap().len()).sum();
        assert!(disk <= 64 << 10);
        assert_eq!(disk, spool.stats().disk_bytes);
    }
    assert!(spool.stats().disk_bytes > 56 << 10, "at most an eighth is given up at once");
    assert_eq!(dropped, spool.stats().over_cap);
    let first = dropped.frames + 1;
    assert_eq!(dropped.samples, (1..first).sum::<u64>());
    assert_eq!(dropped.bytes, (1..first).map(|n| payload(n).len() as u64).sum::<u64>());
    drop(spool);
    let mut spool = open_clean(dir.path());
    assert_eq!(drain(&mut spool), (first..=3000).collect::<Vec<_>>());
}

#[test]
fn a_frame_dropped_while_in_hand_is_counted_only_if_it_comes_back() {
    for delivered in [true, false] {
        let dir = TempDir::new();
        let (mut spool, _) = Spool::open(capped(dir.path(), 64 << 10), 0).unwrap();
        push(&mut spool, 1);
        let in_hand = spool.take(0).unwrap().unwrap();
        let mut last = 1;
        while spool.stats().over_cap.frames == 0 {
            last += 1;
            push(&mut spool, last);
        }
        let dropped = spool.stats().over_cap.frames;
        if delivered {
            assert!(spool.ack(in_hand.id));
        } else {
            assert!(!spool.release(in_hand.id));
        }
        assert_eq!(spool.stats().over_cap.frames, dropped + u64::from(!delivered));
        let out = drain(&mut spool);
        assert_eq!(out.len() as u64 + spool.stats().over_cap.frames + u64::from(delivered), last);
    }
}

#[test]
fn a_lower_cap_after_a_restart_is_kept() {
    let dir = TempDir::new();
    fill(dir.path(), 1000);
    let (mut spool, _) = Spool::open(capped(dir.path(), 16 << 10), 0).unwrap();
    let dropped = push(&mut spool, 1001).dropped.frames;
    assert!(spool.stats().disk_bytes <= 16 << 10);
    assert_eq!(drain(&mut spool), (dropped + 1..=1001).collect::<Vec<_>>());
}

#[test]
fn a_frame_larger_than_the_cap_is_refused_and_one_larger_than_a_segment_is_not() {
    let dir = TempDir::new();
    let (mut spool, _) = Spool::open(capped(dir.path(), 64 << 10), 0).unwrap();
    push(&mut spool, 1);
    let error = spool.push(0, 0, &[0; 64 << 10]).unwrap_err();
    assert!(matches!(error, WriteError::TooLarge { max: 65536, .. }));
    let header = 2 * (28 + spool.context.len());
    let said = format!("a request of {} bytes is larger than spool.max_bytes (65536) allows", (64 << 10) + 40 + header);
    assert_eq!(error.to_string(), said);
    let large = vec![7; 60_000];
    assert_eq!(spool.push(0, 9, &large).unwrap().dropped, Count::default());
    push(&mut spool, 3);
    drop(spool);
    let mut spool = open_clean(dir.path());
    assert_eq!(number(&spool.take(0).unwrap().unwrap()), 1);
    assert_eq!(spool.take(0).unwrap().unwrap().bytes, large);
    assert_eq!(number(&spool.take(0).unwrap().unwrap()), 3);
}

#[test]
fn empty_payloads_are_frames() {
    let dir = TempDir::new();
    let mut spool = open_clean(dir.path());
    spool.push(1, 2, b"").unwrap();
    drop(spool);
    let entry = open_clean(dir.path()).take(0).unwrap().unwrap();
    assert_eq!((entry.bytes.len(), entry.time_ms, entry.samples), (0, 1, 2));
}

#[test]
fn the_oldest_can_be_dropped_for_the_sake_of_others() {
    let dir = TempDir::new();
    fill(dir.path(), 300);
    let mut spool = open_clean(dir.path());
    let dropped = spool.drop_oldest();
    assert!(dropped.frames > 10);
    assert_eq!(dropped, spool.stats().over_cap);
    drop(spool);
    let mut spool = open_clean(dir.path());
    assert_eq!(drain(&mut spool), (dropped.frames + 1..=300).collect::<Vec<_>>());
    spool.sync(5000).unwrap();
    assert_eq!(spool.drop_oldest(), Count::default());
}

#[test]
fn what_is_too_old_goes_whether_or_not_anybody_takes() {
    let dir = TempDir::new();
    let options = Options { max_age: Some(Duration::from_secs(100)), ..options(dir.path()) };
    let (mut spool, _) = Spool::open(options, 0).unwrap();
    for n in 1..=300 {
        push(&mut spool, n);
    }
    // At 151 s, times before 51 s are too old.
    spool.sync(151_000).unwrap();
    assert_eq!(
        spool.stats().expired,
        Count { frames: 50, samples: 1275, bytes: (1..=50).map(|n| payload(n).len() as u64).sum() }
    );
    assert_eq!(spool.stats().oldest_ms, Some(51_000));
    let in_hand = spool.take(151_000).unwrap().unwrap();
    assert_eq!(in_hand.id, 51);
    assert_eq!(spool.take(200_000).unwrap().unwrap().id, 100);
    assert_eq!(spool.stats().expired.frames, 50 + 48);
    assert!(spool.ack(51), "what is in hand is not taken away");
    spool.sync(1_000_000).unwrap();
    assert_eq!(spool.stats().expired.frames, 50 + 48 + 200);
    assert_eq!(spool.stats().waiting.frames, 1);
    spool.ack(100);
    spool.sync(2_000_000).unwrap();
    assert_eq!(names(dir.path()), ["lock"]);
}

#[test]
fn a_million_frames_take_no_more_memory_than_a_few() {
    const FRAMES: u64 = 1_000_000;
    let dir = TempDir::new();
    let unsynced = Options { sync: SyncPolicy::Never, max_bytes: 1 << 30, ..options(dir.path()) };
    let (mut spool, _) = Spool::open(unsynced.clone(), 0).unwrap();
    for n in 1..=FRAMES {
        spool.push(n as i64, 1, &n.to_le_bytes()).unwrap();
    }
    // 48 bytes each: 46 segments of 1 MiB, and in memory one struct for each.
    assert_eq!(spool.stats().segments, 46);
    assert_eq!(segments(dir.path()).len(), 46);
    assert!(spool.segments.len() * size_of::<Segment>() < CHUNK);
    drop(spool);

    let (mut spool, recovery) = Spool::open(unsynced, 0).unwrap();
    assert!(recovery.is_clean());
    assert_eq!(recovery.waiting, Count { frames: FRAMES, samples: FRAMES, bytes: 8 * FRAMES });
    for n in 1..=FRAMES {
        let entry = spool.take(0).unwrap().unwrap();
        assert_eq!((entry.id, entry.bytes), (n, n.to_le_bytes().to_vec()));
        spool.ack(n);
        assert!(spool.taken.is_empty() && spool.returned.is_empty());
    }
    spool.close().unwrap();
    assert_eq!(names(dir.path()), ["lock"]);
}

#[test]
fn one_frame_stuck_while_all_others_pass_takes_no_memory_either() {
    let dir = TempDir::new();
    fill(dir.path(), 2000);
    let mut spool = open_clean(dir.path());
    let stuck = spool.take(0).unwrap().unwrap();
    assert_eq!(drain(&mut spool), (2..=2000).collect::<Vec<_>>());
    assert_eq!(spool.taken.len() + spool.returned.len(), 1);
    spool.release(stuck.id);
    assert_eq!(drain(&mut spool), [1]);
}
