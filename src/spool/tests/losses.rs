//! What is lost to damage is counted, in frames and in samples, and once.

use super::super::format::{FRAME_HEAD, Head, encode_header};
use super::damage::{first_of, frame_starts, header_len};
use super::*;

/// Frames and samples.
type Lost = (u64, u64);

fn pair(count: Count) -> Lost {
    (count.frames, count.samples)
}

/// What a start finds lost in `dir`, all of it new. Three further starts, after a close, a
/// kill and a close, find the same and count none of it.
fn lost_once(dir: &Path) -> Lost {
    let (mut spool, first) = open(dir);
    assert_eq!(first.fresh, first.lost);
    assert_eq!(spool.stats().lost, first.fresh);
    spool.sync(5000).unwrap();
    spool.close().unwrap();
    for kill in [false, true, false] {
        let (mut spool, recovery) = open(dir);
        assert_eq!((recovery.fresh, spool.stats().lost), (Count::default(), Count::default()), "{recovery:?}");
        assert!(recovery.lost == first.lost || recovery.waiting.frames == 0, "{recovery:?}");
        assert_eq!(recovery.waiting, first.waiting);
        spool.sync(5000).unwrap();
        if !kill {
            spool.close().unwrap();
        }
    }
    pair(first.lost)
}

/// Changes the bytes of the segment `nth`; its frames begin where the numbers say.
fn edit(dir: &Path, nth: usize, change: impl FnOnce(&mut Vec<u8>, &[usize])) {
    let path = &segments(dir)[nth];
    let mut bytes = fs::read(path).unwrap();
    let starts = frame_starts(&bytes);
    change(&mut bytes, &starts);
    fs::write(path, bytes).unwrap();
}

fn flip_payload(dir: &Path, nth: usize, frame: usize) {
    edit(dir, nth, |bytes, starts| bytes[starts[frame] + FRAME_HEAD + 3] ^= 4);
}

fn flip_head(dir: &Path, nth: usize, frame: usize) {
    edit(dir, nth, |bytes, starts| bytes[starts[frame] + 17] ^= 4);
}

/// A directory with the frames 1 to `count` and as many samples in each as its number
/// says, whose owner ended in order, or was killed.
fn filled(count: u64, killed: bool) -> TempDir {
    let dir = TempDir::new();
    fill(dir.path(), count);
    if killed {
        fs::remove_file(dir.path().join("cursor")).unwrap();
    }
    dir
}

#[test]
fn a_payloads_samples_are_in_its_head_and_a_heads_are_those_of_the_frame_before() {
    for killed in [false, true] {
        for (frame, samples) in [(0, 1), (1, 2), (4, 5)] {
            let dir = filled(5, killed);
            flip_payload(dir.path(), 0, frame);
            assert_eq!(lost_once(dir.path()), (1, samples), "payload {frame}");
        }
        // The first one's are those of the one behind it.
        for (frame, samples) in [(0, 2), (1, 1), (4, 4)] {
            let dir = filled(5, killed);
            flip_head(dir.path(), 0, frame);
            assert_eq!(lost_once(dir.path()), (1, samples), "head {frame}");
        }
        let dir = filled(5, killed);
        edit(dir.path(), 0, |bytes, _| {
            let header = header_len(bytes);
            bytes[..header].fill(0xff);
        });
        assert_eq!(lost_once(dir.path()), (0, 0), "both copies of the header");
    }
}

#[test]
fn several_at_the_end_are_counted_by_their_heads() {
    for killed in [false, true] {
        let dir = filled(5, killed);
        flip_payload(dir.path(), 0, 3);
        flip_payload(dir.path(), 0, 4);
        assert_eq!(lost_once(dir.path()), (2, 4 + 5));
        let dir = filled(5, killed);
        flip_payload(dir.path(), 0, 3);
        flip_head(dir.path(), 0, 4);
        assert_eq!(lost_once(dir.path()), (2, 4 + 3));
        let dir = filled(5, killed);
        flip_payload(dir.path(), 0, 4);
        flip_head(dir.path(), 0, 3);
        assert_eq!(lost_once(dir.path()), (2, 3 + 5));
    }
}

#[test]
fn a_torn_end_is_one_request_and_after_a_close_as_many_as_there_were() {
    for (cut, frame, samples) in [(FRAME_HEAD + 3, 4, 5), (FRAME_HEAD - 3, 4, 4), (1, 4, 4)] {
        for killed in [false, true] {
            let dir = filled(5, killed);
            edit(dir.path(), 0, |bytes, starts| bytes.truncate(starts[frame] + cut));
            assert_eq!(lost_once(dir.path()), (1, samples), "cut at {cut}");
        }
    }
    for (at_frame_end, killed, lost) in [(false, true, (1, 2)), (false, false, (3, 6)), (true, false, (3, 6))] {
        let dir = filled(5, killed);
        edit(dir.path(), 0, |bytes, starts| bytes.truncate(starts[2] + if at_frame_end { 0 } else { 9 }));
        assert_eq!(lost_once(dir.path()), lost);
    }
    // Of what is cut off without a trace, a kill leaves nobody who knows.
    let dir = filled(5, true);
    edit(dir.path(), 0, |bytes, starts| bytes.truncate(starts[2]));
    assert_eq!(lost_once(dir.path()), (0, 0));
}

#[test]
fn zeroes_behind_the_last_frame_are_one_request() {
    let dir = filled(5, true);
    edit(dir.path(), 0, |bytes, _| bytes.resize(bytes.len() + 3000, 0));
    assert_eq!(lost_once(dir.path()), (1, 5));
    let dir = filled(5, true);
    fs::write(dir.path().join("00000000000000000006.seg"), [0; 3000]).unwrap();
    assert_eq!(lost_once(dir.path()), (1, 5));
}

#[test]
fn bytes_behind_the_last_frame_are_no_loss_after_a_close() {
    let garbage = vec![7; 500];
    let mut torn = Vec::new();
    Head { context: 1, len: 0, seq: 6, time_ms: 0, samples: 6, crc: 0 }.encode(b"payload", &mut torn);
    for bytes in [vec![0; 3000], garbage.clone(), torn[..FRAME_HEAD + 2].to_vec()] {
        let dir = filled(5, false);
        let path = segments(dir.path()).remove(0);
        let mut whole = fs::read(&path).unwrap();
        // Of the segment's own context, and so as much a torn write as can be.
        let mut bytes = bytes;
        if bytes.starts_with(&torn[..4]) {
            bytes[8..12].copy_from_slice(&whole[header_len(&whole) + 8..][..4]);
            let crc = crc32fast::hash(&bytes[8..FRAME_HEAD]);
            bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        }
        whole.extend(&bytes);
        fs::write(&path, whole).unwrap();
        let damaged = open(dir.path()).1;
        assert_eq!((damaged.damaged_bytes, damaged.waiting.frames), (bytes.len() as u64, 5));
        assert_eq!(lost_once(dir.path()), (0, 0));
        assert_eq!(push(&mut open(dir.path()).0, 6).id, 6);
        let mut spool = open_clean(dir.path());
        assert_eq!(drain(&mut spool), [1, 2, 3, 4, 5, 6]);
    }
    let dir = filled(5, false);
    fs::write(dir.path().join("00000000000000000006.seg"), garbage).unwrap();
    assert_eq!(lost_once(dir.path()), (0, 0), "a file that was put there");
}

#[test]
fn bytes_behind_the_last_frame_are_one_request_where_a_life_went_on_after_a_close() {
    // In the time between, or as the first one of a later life.
    for pushed in [0, 3] {
        let dir = filled(5, false);
        let mut spool = open_clean(dir.path());
        for n in 6..=6 + pushed {
            push(&mut spool, n);
        }
        spool.sync(5000).unwrap();
        drop(spool);
        edit(dir.path(), 0, |bytes, _| bytes.truncate(bytes.len() - 1));
        assert_eq!(lost_once(dir.path()), (1, 6 + pushed));
    }
}

#[test]
fn the_oldest_segments_gone_after_a_kill_in_a_first_outage_are_missed() {
    for gone in 1..=2 {
        let dir = TempDir::new();
        let (mut spool, _) = Spool::open(Options { segment_bytes: 4096, ..options(dir.path()) }, 0).unwrap();
        for n in 1..=300 {
            push(&mut spool, n);
        }
        spool.sync(5000).unwrap();
        drop(spool);
        let paths = segments(dir.path());
        for path in &paths[..gone] {
            fs::remove_file(path).unwrap();
        }
        let first = first_of(&paths[gone]);
        let (mut spool, recovery) = open(dir.path());
        assert_eq!(pair(recovery.fresh), (first - 1, (first - 1) * first), "as many as in the frame behind");
        spool.sync(9000).unwrap();
        drop(spool);
        // The cursor is past them.
        assert_eq!(pair(open(dir.path()).1.lost), (0, 0));
    }
}

#[test]
fn what_was_delivered_is_not_missed_where_the_cursor_is_gone() {
    let dir = filled(300, true);
    let mut spool = open_clean(dir.path());
    while segments(dir.path()).len() > 3 {
        let entry = spool.take(0).unwrap().unwrap();
        spool.ack(entry.id);
        spool.flush().unwrap();
    }
    drop(spool);
    fs::remove_file(dir.path().join("cursor")).unwrap();
    assert_eq!(lost_once(dir.path()), (0, 0));
}

#[test]
fn a_segment_that_was_merely_begun_is_none() {
    let donor = filled(5, true);
    let first = fs::read(&segments(donor.path())[0]).unwrap();
    let context = &first[24..header_len(&first) / 2 - 4];
    let header = encode_header(6, context);
    for cut in 0..=header.len() {
        let dir = TempDir::new();
        copy_dir(donor.path(), dir.path());
        fs::write(dir.path().join("00000000000000000006.seg"), &header[..cut]).unwrap();
        assert_eq!(lost_once(dir.path()), (0, 0), "cut at {cut}");
    }
}

#[test]
fn after_a_close_a_last_segment_that_is_emptied_or_removed_is_missed() {
    let last = |dir: &TempDir| segments(dir.path()).pop().unwrap();
    for damage in ["emptied", "removed", "of garbage"] {
        for count in [5, 300] {
            let dir = filled(count, false);
            let path = last(&dir);
            let first = first_of(&path);
            match damage {
                "emptied" => fs::write(&path, "").unwrap(),
                "removed" => fs::remove_file(&path).unwrap(),
                _ => fs::write(&path, [7; 500]).unwrap(),
            }
            let frames = count + 1 - first;
            // As many as in the last one that is left, or in the last one that there was.
            let each = if first == 1 { count } else { first - 1 };
            assert_eq!(lost_once(dir.path()), (frames, frames * each), "{damage}, {count}");
        }
    }
}

#[test]
fn a_segment_missing_in_the_middle_is_as_many_as_the_numbers_say() {
    for killed in [false, true] {
        let dir = filled(300, killed);
        let paths = segments(dir.path());
        let (from, to) = (first_of(&paths[1]), first_of(&paths[2]));
        fs::remove_file(&paths[1]).unwrap();
        assert_eq!(lost_once(dir.path()), (to - from, (to - from) * (from - 1)));
    }
}

#[test]
fn a_lone_segment_that_goes_to_the_quarantine_is_one_request_or_as_many_as_it_shows() {
    let dir = filled(5, true);
    fs::write(&segments(dir.path())[0], [7; 500]).unwrap();
    assert_eq!(lost_once(dir.path()), (1, 1), "nothing says more");
    let dir = filled(5, true);
    for frame in 0..5 {
        flip_payload(dir.path(), 0, frame);
    }
    assert_eq!(lost_once(dir.path()), (5, 1 + 2 + 3 + 4 + 5));
    assert_eq!(names(&dir.path().join("quarantine")).len(), 1);
}

#[test]
fn damage_behind_what_was_counted_is_counted_for_itself() {
    let dir = filled(300, false);
    flip_payload(dir.path(), 0, 1);
    flip_payload(dir.path(), 0, 2);
    assert_eq!(lost_once(dir.path()), (2, 2 + 3));
    // Right beside it, and the damage from before is still there.
    flip_payload(dir.path(), 0, 3);
    let (mut spool, recovery) = open(dir.path());
    assert_eq!((pair(recovery.lost), pair(recovery.fresh)), ((3, 2 + 3 + 4), (1, 3)));
    // Delivered past it, into the middle of its segment.
    for id in [1, 5, 6, 7] {
        assert_eq!(spool.take(0).unwrap().unwrap().id, id);
        spool.ack(id);
    }
    spool.close().unwrap();
    flip_payload(dir.path(), 0, 8);
    let (mut spool, recovery) = open(dir.path());
    assert_eq!((pair(recovery.lost), pair(recovery.fresh)), ((1, 9), (1, 9)));
    assert_eq!(drain(&mut spool), [8].into_iter().chain(10..=300).collect::<Vec<_>>());
    assert_eq!(pair(spool.stats().lost), (1, 9));
}

#[test]
fn numbers_of_what_was_lost_at_the_end_are_not_used_again() {
    for killed in [false, true] {
        let dir = filled(5, killed);
        flip_payload(dir.path(), 0, 4);
        let (mut spool, _) = open(dir.path());
        spool.sync(5000).unwrap();
        assert_eq!(push(&mut spool, 6).id, 6);
        assert_eq!(segments(dir.path()).len(), 2, "in another file");
        drop(spool);
        let (mut spool, recovery) = open(dir.path());
        assert_eq!((pair(recovery.lost), pair(recovery.fresh)), ((1, 5), (0, 0)));
        assert_eq!(drain(&mut spool), [1, 2, 3, 4, 6]);
        spool.close().unwrap();
        assert_eq!(names(dir.path()), ["lock"]);
    }
}

#[test]
fn what_was_counted_while_running_is_not_found_again() {
    let dir = filled(300, false);
    let mut spool = open_clean(dir.path());
    flip_payload(dir.path(), 0, 4);
    let gone = segments(dir.path())[2].clone();
    fs::remove_file(&gone).unwrap();
    let last = segments(dir.path()).len() - 1;
    flip_head(dir.path(), last, 0);
    let mut held = None;
    while let Some(entry) = spool.take(0).unwrap() {
        // One that stays in hand keeps the cursor, and with it the damage behind it.
        if held.is_some() {
            spool.ack(entry.id);
        } else {
            held = Some(entry.id);
        }
    }
    let lost = spool.stats().lost.frames;
    assert!(lost > 10);
    spool.close().unwrap();
    let (spool, recovery) = open(dir.path());
    assert_eq!(recovery.lost.frames, lost);
    assert_eq!(recovery.fresh, Count::default());
    assert_eq!(spool.stats().lost, Count::default());
}

#[test]
fn a_frame_given_back_and_found_damaged_is_counted_once() {
    let dir = filled(5, false);
    let mut spool = open_clean(dir.path());
    let entries: Vec<_> = std::iter::from_fn(|| spool.take(0).unwrap()).map(|entry| entry.id).collect();
    flip_payload(dir.path(), 0, 1);
    entries.into_iter().for_each(|id| assert!(spool.release(id)));
    let first = spool.take(0).unwrap().unwrap();
    assert_eq!((first.id, spool.take(0).unwrap().unwrap().id), (1, 3));
    assert_eq!(pair(spool.stats().lost), (1, 2));
    spool.close().unwrap();
    assert_eq!(pair(open(dir.path()).1.fresh), (0, 0));
}

#[test]
fn numbers_that_were_stepped_over_are_no_loss() {
    let dir = filled(5, false);
    fs::create_dir(dir.path().join("00000000000000000006.seg")).unwrap();
    let mut spool = open(dir.path()).0;
    spool.set_content(headers("new")).unwrap();
    assert_eq!(push(&mut spool, 6).id, 7);
    spool.sync(5000).unwrap();
    drop(spool);
    let (mut spool, recovery) = open(dir.path());
    assert_eq!(pair(recovery.lost), (0, 0));
    assert_eq!(drain(&mut spool), [1, 2, 3, 4, 5, 6]);

    // A file that could be neither read nor moved away may claim any number.
    let dir = filled(5, true);
    fs::write(dir.path().join("00000000000000000500.seg"), [1; 100]).unwrap();
    let disk = Disk::default();
    disk.faults.fail_writes(nix::libc::EROFS);
    let (mut spool, recovery) = Spool::open_on(disk, options(dir.path()), 0).unwrap();
    assert_eq!(pair(recovery.lost), (1, 5), "and it may have held one");
    spool.disk.faults.heal();
    assert!(push(&mut spool, 6).id > 500);
    spool.sync(5000).unwrap();
    drop(spool);
    let (spool, recovery) = open(dir.path());
    assert_eq!((pair(recovery.lost), pair(recovery.fresh)), ((1, 5), (0, 0)));
    assert_eq!(spool.stats().waiting.frames, 6);
}

#[test]
fn what_went_by_while_a_segment_could_not_be_read_is_no_loss() {
    let dir = filled(300, false);
    let paths = segments(dir.path());
    let disk = Disk::default();
    disk.faults.forbid(&paths[1]);
    let (mut spool, recovery) = Spool::open_on(disk, options(dir.path()), 0).unwrap();
    assert_eq!(pair(recovery.lost), (0, 0));
    let out = drain(&mut spool);
    spool.sync(5000).unwrap();
    push(&mut spool, 301);
    spool.close().unwrap();
    let (mut spool, recovery) = open(dir.path());
    assert!(recovery.is_clean(), "{recovery:?}");
    assert_eq!(drain(&mut spool), (1..=301).filter(|n| !out.contains(n)).collect::<Vec<_>>());
}

#[test]
fn a_cursor_beyond_the_data_says_what_is_lost_behind_it() {
    let dir = filled(300, false);
    let mut spool = open_clean(dir.path());
    for id in 1..=290 {
        assert_eq!(spool.take(0).unwrap().unwrap().id, id);
        spool.ack(id);
    }
    spool.close().unwrap();
    edit(dir.path(), 0, |bytes, starts| bytes.truncate(starts[2]));
    let first = first_of(&segments(dir.path())[0]);
    assert!(first + 2 < 290);
    assert_eq!(lost_once(dir.path()), (10, 10 * (first + 1)));
    assert_eq!(open(dir.path()).0.stats().waiting.frames, 2, "what is there is sent again");
}

#[test]
fn a_loss_is_written_down_once_and_nothing_else_is() {
    let dir = filled(300, false);
    flip_payload(dir.path(), 0, 2);
    for writes in [5, 0] {
        let disk = Disk::default();
        let faults = disk.faults.clone();
        let (mut spool, _) = Spool::open_on(disk, options(dir.path()), 0).unwrap();
        for second in 1..10 {
            spool.sync(1000 * second).unwrap();
        }
        assert_eq!(faults.changes(), writes, "the cursor made, written, forced, renamed, the directory forced");
        spool.close().unwrap();
        assert_eq!(faults.changes(), writes, "there is nothing new to say");
    }
}
