//! Thousands of segments cost no more than a few: what is counted are steps, not time.

use super::super::census::Candidate;
use super::faults::Faults;
use super::*;

/// Small ones, so that thousands are soon made.
const SEGMENT: u64 = 4096;

/// A spool of `count` segments, opened anew, with what it asks the disk to do.
fn opened(dir: &Path, count: u64) -> (Spool, Faults) {
    let options = Options { segment_bytes: SEGMENT, sync: SyncPolicy::Never, max_bytes: 40 << 20, ..options(dir) };
    let (mut spool, _) = Spool::open(options.clone(), 0).unwrap();
    let payload = vec![7; 1800];
    let mut n = 0;
    while spool.stats().segments < count {
        n += 1;
        spool.push(n, 1, &payload).unwrap();
    }
    // The last one has a frame, as all others have two: what is pushed next goes there.
    spool.close().unwrap();
    let disk = Disk::default();
    let faults = disk.faults.clone();
    let (spool, recovery) = Spool::open_on(disk, options, 0).unwrap();
    assert!(recovery.is_clean(), "{recovery:?}");
    assert_eq!(spool.stats().segments, count);
    (spool, faults)
}

/// What each thing that is done with a spool of `count` segments costs: segments looked at,
/// and operations of the disk.
fn costs(count: u64) -> Vec<(&'static str, u64, u64)> {
    let dir = TempDir::new();
    let (mut spool, faults) = opened(dir.path(), count);
    let mut costs = Vec::new();
    let mut now = 0;
    let mut step = |name, spool: &mut Spool, run: &mut dyn FnMut(&mut Spool)| {
        let before = (spool.segments.looks.get(), faults.operations());
        run(spool);
        costs.push((name, spool.segments.looks.get() - before.0, faults.operations() - before.1));
    };
    step("stats", &mut spool, &mut |spool| _ = spool.stats());
    step("push", &mut spool, &mut |spool| _ = spool.push(1, 1, &[7; 1000]).unwrap());
    step("push into a new segment", &mut spool, &mut |spool| _ = spool.push(1, 1, &[7; 2000]).unwrap());
    step("take", &mut spool, &mut |spool| assert_eq!(spool.take(0).unwrap().unwrap().id, 1));
    step("stats of one in hand", &mut spool, &mut |spool| assert_eq!(spool.stats().in_hand.frames, 1));
    step("release", &mut spool, &mut |spool| assert!(spool.release(1)));
    step("take again", &mut spool, &mut |spool| assert_eq!(spool.take(0).unwrap().unwrap().id, 1));
    step("acknowledge", &mut spool, &mut |spool| assert!(spool.ack(1)));
    step("sync", &mut spool, &mut |spool| {
        now += 2000;
        spool.sync(now).unwrap();
    });
    step("drop the oldest", &mut spool, &mut |spool| assert_eq!(spool.drop_oldest().frames, 1));
    step("stats after it", &mut spool, &mut |spool| assert_eq!(spool.stats().oldest_ms, Some(3)));
    costs
}

#[test]
fn five_thousand_segments_cost_what_five_do() {
    assert_eq!(costs(5000), costs(5));
}

/// One sender sits on the oldest frame while another one delivers all that is behind it.
#[test]
fn segments_that_are_done_with_and_cannot_go_yet_cost_nothing() {
    let cost = |count: u64| {
        let dir = TempDir::new();
        let (mut spool, faults) = opened(dir.path(), count);
        let stuck = spool.take(0).unwrap().unwrap();
        while let Some(frame) = spool.take(0).unwrap() {
            spool.ack(frame.id);
        }
        assert_eq!(spool.stats().segments, count);
        let before = (spool.segments.looks.get(), faults.operations());
        spool.push(1, 1, &[7; 100]).unwrap();
        let _ = spool.stats();
        let last = spool.take(0).unwrap().unwrap();
        spool.sync(2000).unwrap();
        spool.ack(last.id);
        let _ = spool.stats();
        let cost = (spool.segments.looks.get() - before.0, faults.operations() - before.1);
        spool.ack(stuck.id);
        spool.sync(4000).unwrap();
        spool.sync(6000).unwrap();
        assert_eq!(names(dir.path()), ["lock"]);
        cost
    };
    assert_eq!(cost(500), cost(5));
}

#[test]
fn a_start_keeps_little_of_each_segment_and_the_headers_once() {
    let dir = TempDir::new();
    let (spool, _) = opened(dir.path(), 500);
    // With the list of what was found, which goes when the spool is open.
    assert!(size_of::<Segment>() + size_of::<Candidate>() <= 256);
    let first = &spool.segments[0].content;
    assert!((1..500).all(|index| Arc::ptr_eq(&spool.segments[index].content, first)));
}

#[test]
fn under_a_large_cap_segments_are_larger_and_not_more() {
    let dir = TempDir::new();
    let options = Options { segment_bytes: SEGMENT, max_bytes: 16_384 * 20_000, ..options(dir.path()) };
    let (mut spool, _) = Spool::open(options, 0).unwrap();
    for n in 1..=100 {
        spool.push(n, 1, &[7; 960]).unwrap();
    }
    // 1000 bytes each, and at most 20,000 in a segment instead of 4,096.
    assert_eq!(spool.stats().segments, 6);
}
