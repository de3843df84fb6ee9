//! One test for each kind of damage: what is intact comes out, what is not is counted.

use std::io::Write;
use std::os::unix::fs::symlink;

use super::super::format::{Cursor, FRAME_HEAD, Head, encode_header};
use super::super::home::{LOCK, QUARANTINE};
use super::*;

/// The numbers that come out of `dir`, and what was found.
fn recovered(dir: &Path) -> (Vec<u64>, Recovery) {
    let (mut spool, recovery) = open(dir);
    let waiting = spool.stats().waiting.frames;
    let out = drain(&mut spool);
    assert_eq!(out.len() as u64, waiting, "counted and delivered are the same");
    assert_eq!(spool.stats().lost, recovery.fresh);
    push(&mut spool, 1000);
    assert_eq!(drain(&mut spool), [1000], "and it goes on");
    (out, recovery)
}

pub(super) fn header_len(segment: &[u8]) -> usize {
    2 * u32::from_le_bytes(segment[12..16].try_into().unwrap()) as usize
}

/// Where each frame of a segment begins, and the end.
pub(super) fn frame_starts(segment: &[u8]) -> Vec<usize> {
    let mut out = vec![header_len(segment)];
    while let Some(head) = Head::decode(&segment[*out.last().unwrap()..]) {
        out.push(out.last().unwrap() + FRAME_HEAD + head.len as usize);
    }
    out
}

#[test]
fn a_torn_last_frame_costs_that_frame_alone() {
    let dir = TempDir::new();
    fill(dir.path(), 3);
    let path = &segments(dir.path())[0];
    let whole = fs::read(path).unwrap();
    let starts = frame_starts(&whole);
    assert_eq!(starts.len(), 4);
    for cut in 0..=whole.len() {
        let copy = TempDir::new();
        let file = copy.path().join(path.file_name().unwrap());
        fs::write(&file, &whole[..cut]).unwrap();
        let intact = starts[1..].iter().filter(|end| **end <= cut).count() as u64;
        let (out, recovery) = recovered(copy.path());
        assert_eq!(out, (1..=intact).collect::<Vec<_>>(), "cut at {cut}");
        let whole_frames = starts.contains(&cut);
        assert_eq!(recovery.damaged_bytes == 0, whole_frames || cut == 0, "cut at {cut}: {recovery:?}");
        let begun = cut <= starts[0];
        assert_eq!(recovery.lost.frames, u64::from(!whole_frames && !begun), "cut at {cut}: {recovery:?}");
    }
}

#[test]
fn what_is_pushed_after_a_torn_tail_is_not_lost_with_it() {
    let dir = TempDir::new();
    fill(dir.path(), 3);
    let path = segments(dir.path()).remove(0);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 5]).unwrap();
    let (mut spool, _) = open(dir.path());
    push(&mut spool, 4);
    drop(spool);
    assert_eq!(drain(&mut open(dir.path()).0), [1, 2, 4]);
}

#[test]
fn a_flipped_bit_anywhere_costs_at_most_the_frame_it_is_in() {
    let dir = TempDir::new();
    fill(dir.path(), 4);
    let path = &segments(dir.path())[0];
    let whole = fs::read(path).unwrap();
    let starts = frame_starts(&whole);
    for at in 0..whole.len() {
        let copy = TempDir::new();
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(copy.path().join(path.file_name().unwrap()), bytes).unwrap();
        // 0: the header; n: the n-th frame.
        let hit = starts.iter().filter(|start| **start <= at).count() as u64;
        let (mut spool, recovery) = open(copy.path());
        assert!(recovery.damaged_bytes > 0 && !recovery.is_clean(), "byte {at}");
        assert_eq!(recovery.lost.frames, u64::from(hit > 0), "byte {at}");
        let entry = spool.take(0).unwrap().unwrap();
        assert_eq!(entry.content[..], headers("application/x-protobuf")[..], "byte {at}");
        spool.release(entry.id);
        let expected: Vec<u64> = (1..=4).filter(|n| *n != hit).collect();
        assert_eq!(drain(&mut spool), expected, "byte {at}");
    }
}

#[test]
fn with_both_copies_of_the_header_gone_the_others_say_what_the_frames_are() {
    let dir = TempDir::new();
    fill(dir.path(), 300);
    let paths = segments(dir.path());
    let mut bytes = fs::read(&paths[1]).unwrap();
    let header = header_len(&bytes);
    bytes[..header].fill(0xff);
    fs::write(&paths[1], bytes).unwrap();
    let (mut spool, recovery) =
        Spool::open(Options { content: headers("something else by now"), ..options(dir.path()) }, 0).unwrap();
    assert_eq!(findings(&recovery), []);
    assert_eq!((recovery.damaged_ranges, recovery.damaged_bytes), (1, header as u64));
    let mut count = 0;
    while let Some(entry) = spool.take(0).unwrap() {
        assert_eq!(entry.content[0].1, "application/x-protobuf");
        count += 1;
        spool.ack(entry.id);
    }
    assert_eq!(count, 300);
}

#[test]
fn with_no_header_left_at_all_the_frames_still_come() {
    let dir = TempDir::new();
    fill(dir.path(), 5);
    // Nor a cursor, which knows the spool's number.
    fs::remove_file(dir.path().join("cursor")).unwrap();
    let path = &segments(dir.path())[0];
    let mut bytes = fs::read(path).unwrap();
    let header = header_len(&bytes);
    bytes[..header].fill(0);
    fs::write(path, bytes).unwrap();
    let (out, recovery) = recovered(dir.path());
    assert_eq!(out, [1, 2, 3, 4, 5]);
    assert_eq!(findings(&recovery), [Finding::ContentUnknown]);
}

#[test]
fn a_length_of_four_gigabytes_is_not_believed() {
    for checksum_holds in [false, true] {
        let dir = TempDir::new();
        fill(dir.path(), 3);
        let path = &segments(dir.path())[0];
        let mut bytes = fs::read(path).unwrap();
        let second = frame_starts(&bytes)[1];
        bytes[second + 12..second + 16].fill(0xff);
        if checksum_holds {
            let crc = crc32fast::hash(&bytes[second + 8..second + FRAME_HEAD]);
            bytes[second + 4..second + 8].copy_from_slice(&crc.to_le_bytes());
        }
        fs::write(path, &bytes).unwrap();
        assert_eq!(recovered(dir.path()).0, [1, 3]);
    }
}

#[test]
fn an_empty_segment_is_removed() {
    let dir = TempDir::new();
    fill(dir.path(), 3);
    let empty = dir.path().join("00000000000000000004.seg");
    fs::write(&empty, "").unwrap();
    let (out, recovery) = recovered(dir.path());
    assert_eq!(out, [1, 2, 3]);
    assert_eq!(recovery.notes, [Note { path: empty, finding: Finding::Empty }]);
    assert_eq!(recovery.lost.frames, 0);
}

#[test]
fn a_segment_of_zeroes_is_what_a_power_cut_leaves_and_is_removed() {
    let dir = TempDir::new();
    fill(dir.path(), 3);
    fs::write(dir.path().join("00000000000000000004.seg"), [0; 100_000]).unwrap();
    let (out, recovery) = recovered(dir.path());
    assert_eq!(out, [1, 2, 3]);
    assert_eq!(findings(&recovery), [Finding::Empty]);
}

#[test]
fn a_segment_missing_in_the_middle_is_counted_and_the_rest_comes() {
    let dir = TempDir::new();
    fill(dir.path(), 300);
    let paths = segments(dir.path());
    let from = first_of(&paths[1]);
    let to = first_of(&paths[2]);
    fs::remove_file(&paths[1]).unwrap();
    let (out, recovery) = recovered(dir.path());
    assert_eq!(out, (1..from).chain(to..=300).collect::<Vec<_>>());
    assert_eq!(recovery.lost.frames, to - from);
    assert_eq!(findings(&recovery), [Finding::Missing { from, to }]);
}

#[test]
fn a_segment_of_garbage_goes_to_the_quarantine() {
    let dir = TempDir::new();
    fill(dir.path(), 300);
    let paths = segments(dir.path());
    let garbage: Vec<u8> = (0..10_000u32).map(|i| (i * 7 + i / 256) as u8).collect();
    fs::write(&paths[1], &garbage).unwrap();
    let (from, to) = (first_of(&paths[1]), first_of(&paths[2]));
    let (out, recovery) = recovered(dir.path());
    assert_eq!(out, (1..from).chain(to..=300).collect::<Vec<_>>());
    assert_eq!((recovery.lost.frames, recovery.damaged_bytes), (to - from, 10_000));
    let unreadable = Finding::Unreadable("nothing in it is intact");
    assert_eq!(findings(&recovery), [Finding::Missing { from, to }, unreadable]);
    let name = paths[1].file_name().unwrap().to_str().unwrap();
    assert_eq!(fs::read(dir.path().join(QUARANTINE).join(format!("{name}.0"))).unwrap(), garbage);
    assert!(!paths[1].exists());
}

#[test]
fn the_quarantine_does_not_grow_without_bound() {
    let dir = TempDir::new();
    for n in 0..20u64 {
        let path = dir.path().join(format!("{n:020}.seg"));
        fs::write(path, vec![n as u8 + 1; 1 << 20]).unwrap();
    }
    drop(open(dir.path()));
    let kept = names(&dir.path().join(QUARANTINE));
    assert_eq!(kept.len(), 4, "{kept:?}");
    assert_eq!(names(dir.path()), [LOCK, QUARANTINE]);
    for n in 0..20u64 {
        fs::write(dir.path().join(format!("{n:020}.seg")), [n as u8 + 1; 100]).unwrap();
    }
    drop(open(dir.path()));
    assert_eq!(names(&dir.path().join(QUARANTINE)).len(), 8);
}

#[test]
fn a_cursor_from_the_future_is_not_believed_now_or_later() {
    let dir = TempDir::new();
    fill(dir.path(), 3);
    let nonce = nonce_of(&segments(dir.path())[0]);
    fs::write(dir.path().join("cursor"), cursor(nonce, 1000).encode()).unwrap();
    let (mut spool, recovery) = open(dir.path());
    assert_eq!(findings(&recovery), [Finding::CursorIgnored("it lies beyond the data")]);
    // Numbers that the cursor covers must not be lost to it after a kill.
    for n in 4..=1200 {
        push(&mut spool, n);
    }
    drop(spool);
    assert_eq!(drain(&mut open_clean(dir.path())), (1..=1200).collect::<Vec<_>>());

    let dir = TempDir::new();
    fill(dir.path(), 3);
    let nonce = nonce_of(&segments(dir.path())[0]);
    fs::write(dir.path().join("cursor"), cursor(nonce, u64::MAX).encode()).unwrap();
    assert_eq!(recovered(dir.path()).0, [1, 2, 3]);
}

#[test]
fn a_cursor_at_the_end_says_that_all_is_done() {
    let dir = TempDir::new();
    fill(dir.path(), 3);
    let nonce = nonce_of(&segments(dir.path())[0]);
    fs::write(dir.path().join("cursor"), cursor(nonce, 4).encode()).unwrap();
    let (out, recovery) = recovered(dir.path());
    assert!(out.is_empty(), "{out:?}");
    assert!(recovery.is_clean());
}

#[test]
fn a_torn_cursor_or_another_spools_is_not_believed() {
    let dir = TempDir::new();
    fill(dir.path(), 3);
    let nonce = nonce_of(&segments(dir.path())[0]);
    let good = cursor(nonce, 3).encode();
    for cut in 0..good.len() {
        let copy = TempDir::new();
        copy_dir(dir.path(), copy.path());
        fs::write(copy.path().join("cursor"), &good[..cut]).unwrap();
        let (out, recovery) = recovered(copy.path());
        assert_eq!(out, [1, 2, 3]);
        assert_eq!(findings(&recovery), [Finding::CursorIgnored("it cannot be read")]);
    }
    fs::write(dir.path().join("cursor"), cursor(nonce ^ 1, 3).encode()).unwrap();
    let (out, recovery) = recovered(dir.path());
    assert_eq!(out, [1, 2, 3]);
    assert_eq!(findings(&recovery), [Finding::CursorIgnored("it belongs to an earlier spool")]);
}

#[test]
fn a_cursor_left_alone_by_a_kill_does_not_hide_what_comes_next() {
    let dir = TempDir::new();
    fs::write(dir.path().join("cursor"), cursor(5, 100).encode()).unwrap();
    let mut spool = open_clean(dir.path());
    assert!(!dir.path().join("cursor").exists());
    push(&mut spool, 1);
    drop(spool);
    assert_eq!(drain(&mut open_clean(dir.path())), [1]);
}

#[test]
fn a_later_versions_segment_is_left_for_it() {
    let dir = TempDir::new();
    fill(dir.path(), 300);
    let paths = segments(dir.path());
    let mut later = encode_header(first_of(&paths[1]), &[9; 40]);
    let length = later.len() / 2;
    for copy in later.chunks_mut(length) {
        copy[8] = 2;
        let crc = crc32fast::hash(&copy[..length - 4]);
        copy[length - 4..].copy_from_slice(&crc.to_le_bytes());
    }
    later.extend(b"nobody knows what");
    fs::write(&paths[1], &later).unwrap();
    let (out, recovery) = recovered(dir.path());
    let (from, to) = (first_of(&paths[1]), first_of(&paths[2]));
    assert_eq!(out, (1..from).chain(to..=300).collect::<Vec<_>>());
    assert_eq!(recovery.notes, [Note { path: paths[1].clone(), finding: Finding::LaterVersion(2) }]);
    assert_eq!(recovery.lost.frames, 0, "they are not lost");
    assert_eq!(fs::read(&paths[1]).unwrap(), later);
}

#[test]
fn numbers_after_a_later_versions_segment_do_not_collide_with_its_own() {
    let dir = TempDir::new();
    let mut later = encode_header(1, &[9; 40]);
    later[8] = 2;
    let length = later.len() / 2;
    let crc = crc32fast::hash(&later[..length - 4]);
    later[length - 4..length].copy_from_slice(&crc.to_le_bytes());
    later.resize(4000, 1);
    fs::write(dir.path().join("00000000000000000001.seg"), &later).unwrap();
    let (mut spool, _) = open(dir.path());
    assert_eq!(push(&mut spool, 7).id, 1 + 4000 / 40 + 1);
    drop(spool);
    let (mut spool, recovery) = open(dir.path());
    assert_eq!(recovery.lost.frames, 0);
    assert_eq!(drain(&mut spool), [7]);
}

#[test]
fn directories_links_and_devices_in_place_of_files_are_left_alone() {
    let dir = TempDir::new();
    fill(dir.path(), 300);
    let paths = segments(dir.path());
    let outside = TempDir::new();
    let target = outside.path().join("target");
    fs::rename(&paths[1], &target).unwrap();
    symlink(&target, &paths[1]).unwrap();
    fs::remove_file(&paths[2]).unwrap();
    fs::create_dir(&paths[2]).unwrap();
    let fifo = dir.path().join("00000000000000000000.seg");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let in_the_way = dir.path().join("00000000000000000301.seg");
    fs::create_dir(&in_the_way).unwrap();
    let (mut spool, recovery) = open(dir.path());
    let noted = [&fifo, &paths[1], &paths[2], &in_the_way];
    let mut found: Vec<_> = recovery.notes.iter().filter(|n| n.finding == Finding::NotAFile).map(|n| &n.path).collect();
    found.sort();
    assert_eq!(found, noted);
    let (from, to) = (first_of(&paths[1]), first_of(&paths[3]));
    assert_eq!(recovery.lost.frames, to - from);
    // A new segment steps over a name that is taken.
    spool.set_content(headers("new")).unwrap();
    push(&mut spool, 400);
    assert_eq!(drain(&mut spool), (1..from).chain(to..=300).chain([400]).collect::<Vec<_>>());
    spool.close().unwrap();
    assert!(noted.iter().all(|p| fs::symlink_metadata(p).is_ok()) && target.exists());
}

#[test]
fn foreign_files_are_left_alone_and_mentioned() {
    let dir = TempDir::new();
    fill(dir.path(), 3);
    fs::write(dir.path().join("README"), "hello").unwrap();
    fs::write(dir.path().join("1.seg"), "hello").unwrap();
    fs::create_dir(dir.path().join("sub")).unwrap();
    let (out, recovery) = recovered(dir.path());
    assert_eq!(out, [1, 2, 3]);
    assert_eq!(findings(&recovery), [Finding::Foreign, Finding::Foreign, Finding::Foreign]);
    assert_eq!(fs::read(dir.path().join("1.seg")).unwrap(), b"hello");
}

#[test]
fn thousands_of_foreign_files_are_counted_and_not_kept_in_memory() {
    let dir = TempDir::new();
    for n in 0..100 {
        fs::write(dir.path().join(format!("junk{n}")), "").unwrap();
    }
    let (_, recovery) = open(dir.path());
    assert_eq!((recovery.notes.len(), recovery.notes_hidden), (32, 68));
}

#[test]
fn frames_of_another_spool_or_an_earlier_life_are_not_taken_for_ours() {
    let (dir, other) = (TempDir::new(), TempDir::new());
    fill(dir.path(), 3);
    fill(other.path(), 8);
    let path = &segments(dir.path())[0];
    let stale = fs::read(&segments(other.path())[0]).unwrap();
    let starts = frame_starts(&stale);
    // What a file system may show behind the end after a power cut: a block of another file.
    let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(&stale[starts[3]..]).unwrap();
    let (out, recovery) = recovered(dir.path());
    assert_eq!(out, [1, 2, 3]);
    assert_eq!(recovery.damaged_bytes, (stale.len() - starts[3]) as u64);
}

#[test]
fn a_payload_that_looks_like_frames_is_not_taken_for_any() {
    let (dir, other) = (TempDir::new(), TempDir::new());
    fill(other.path(), 8);
    let nested = fs::read(&segments(other.path())[0]).unwrap();
    let mut spool = open_clean(dir.path());
    push(&mut spool, 1);
    spool.push(0, 0, &nested).unwrap();
    push(&mut spool, 3);
    drop(spool);
    // Its head damaged, the search goes through its payload.
    let path = &segments(dir.path())[0];
    let mut bytes = fs::read(path).unwrap();
    let second = frame_starts(&bytes)[1];
    bytes[second + 5] ^= 1;
    fs::write(path, bytes).unwrap();
    assert_eq!(recovered(dir.path()).0, [1, 3]);
}

#[test]
fn a_segment_under_a_name_that_is_no_number_of_ours_is_known_by_its_header() {
    for name in ["18446744073709551615.seg", "09223372036854775808.seg"] {
        for nth in [0, 1, 2] {
            let dir = TempDir::new();
            fill(dir.path(), 300);
            let renamed = dir.path().join(name);
            fs::rename(&segments(dir.path())[nth], &renamed).unwrap();
            let (out, recovery) = recovered(dir.path());
            assert_eq!(out, (1..=300).collect::<Vec<_>>());
            assert!(recovery.is_clean(), "{recovery:?}");
        }
        // Nothing of ours, it is left alone, and no number is taken from it.
        let dir = TempDir::new();
        fill(dir.path(), 3);
        fs::write(dir.path().join(name), "hello").unwrap();
        let (mut spool, recovery) = open(dir.path());
        assert_eq!(findings(&recovery), [Finding::Foreign]);
        assert_eq!(push(&mut spool, 4).id, 4);
        assert!(dir.path().join(name).exists());
    }
}

#[test]
fn a_segment_twice_under_two_names_is_delivered_once() {
    let dir = TempDir::new();
    fill(dir.path(), 300);
    let paths = segments(dir.path());
    fs::copy(&paths[1], dir.path().join("00000000000000000900.seg")).unwrap();
    let (out, _) = recovered(dir.path());
    assert_eq!(out, (1..=300).collect::<Vec<_>>());
}

#[test]
fn another_spools_segments_copied_in_are_left_alone() {
    let (dir, other) = (TempDir::new(), TempDir::new());
    fill(dir.path(), 300);
    fill(other.path(), 20);
    let copied = dir.path().join("00000000000000000007.seg");
    fs::copy(&segments(other.path())[0], &copied).unwrap();
    let (out, recovery) = recovered(dir.path());
    assert_eq!(out, (1..=300).collect::<Vec<_>>());
    assert_eq!(recovery.notes, [Note { path: copied.clone(), finding: Finding::OtherSpool }]);
    assert!(copied.exists());
}

#[test]
fn garbage_with_a_segments_name_takes_no_frame_from_its_neighbours() {
    let dir = TempDir::new();
    fill(dir.path(), 300);
    fs::write(dir.path().join("00000000000000000007.seg"), [0xd5; 5000]).unwrap();
    let (out, recovery) = recovered(dir.path());
    assert_eq!(out, (1..=300).collect::<Vec<_>>());
    assert_eq!((recovery.lost.frames, recovery.damaged_bytes), (0, 5000));
}

#[test]
fn a_segment_without_a_header_under_the_name_of_another_is_read_behind_that_one() {
    let dir = TempDir::new();
    fill(dir.path(), 300);
    let files = segments(dir.path());
    let (first, mut second) = (fs::read(&files[0]).unwrap(), fs::read(&files[1]).unwrap());
    let header = frame_starts(&second)[0];
    second[..header].fill(4);
    fs::write(&files[0], second).unwrap();
    fs::write(&files[1], first).unwrap();
    let (out, recovery) = recovered(dir.path());
    assert_eq!(out, (1..=300).collect::<Vec<_>>());
    assert_eq!((recovery.lost.frames, recovery.damaged_ranges), (0, 1));
}

#[test]
fn damage_that_comes_after_opening_is_counted_and_passed_over() {
    let dir = TempDir::new();
    fill(dir.path(), 300);
    let mut spool = open_clean(dir.path());
    let path = &segments(dir.path())[1];
    let mut bytes = fs::read(path).unwrap();
    let starts = frame_starts(&bytes);
    bytes[starts[2] + 1] ^= 1;
    bytes[starts[4] + FRAME_HEAD] ^= 1;
    fs::write(path, &bytes).unwrap();
    let first = first_of(path);
    let out = drain(&mut spool);
    assert_eq!(out, (1..=300).filter(|n| *n != first + 2 && *n != first + 4).collect::<Vec<_>>());
    assert_eq!((spool.stats().lost.frames, spool.stats().lost.samples), (2, first + 2 + first + 4));
    assert_eq!(spool.stats().waiting, Count::default());

    // And in a frame that was taken and given back.
    push(&mut spool, 5);
    push(&mut spool, 6);
    let taken = spool.take(0).unwrap().unwrap();
    let path = segments(dir.path()).pop().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 1 - payload(6).len() - FRAME_HEAD;
    bytes[last] ^= 1;
    fs::write(&path, &bytes).unwrap();
    spool.release(taken.id);
    assert_eq!(drain(&mut spool), [6]);
    assert_eq!(spool.stats().lost.frames, 3);
}

/// A cursor behind which nothing is said to have been.
fn cursor(nonce: u64, seq: u64) -> Cursor {
    Cursor { nonce, seq, end: seq, ..Cursor::default() }
}

pub(super) fn first_of(segment: &Path) -> u64 {
    segment.file_stem().unwrap().to_str().unwrap().parse().unwrap()
}

fn nonce_of(segment: &Path) -> u64 {
    u64::from_le_bytes(fs::read(segment).unwrap()[24..32].try_into().unwrap())
}
