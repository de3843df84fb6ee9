//! Disks that fail, directories that go away, other processes, kills.

use std::collections::BTreeSet;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

use nix::libc::{EIO, EMFILE, ENOSPC, EROFS};

use super::faults::{Faults, Op};
use super::*;

fn open_faulty(dir: &Path) -> (Spool, Faults) {
    open_faulty_with(options(dir))
}

fn open_faulty_with(options: Options) -> (Spool, Faults) {
    let disk = Disk::default();
    let faults = disk.faults.clone();
    (Spool::open_on(disk, options, 0).unwrap().0, faults)
}

fn errno(error: WriteError) -> i32 {
    match error {
        WriteError::Io(_, error) => error.raw_os_error().unwrap(),
        other => panic!("{other}"),
    }
}

fn try_push(spool: &mut Spool, n: u64) -> Result<Pushed, WriteError> {
    spool.push(1000 * n as i64, n as u32, &payload(n))
}

#[test]
fn two_daemons_cannot_share_a_directory() {
    let dir = TempDir::new();
    let first = open_clean(dir.path());
    assert!(matches!(Spool::open(options(dir.path()), 0), Err(OpenError::Locked(d)) if d == dir.path()));
    assert!(inspect_one(dir.path(), None).is_ok(), "looking is free");
    drop(first);
    assert!(dir.path().join("lock").exists());
    open_clean(dir.path());
}

#[test]
fn what_cannot_be_a_directory_is_said_at_once() {
    let dir = TempDir::new();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(Spool::open(options(&file.join("spool")), 0), Err(OpenError::Io(..))));
    let home = dir.path().join("home");
    fs::create_dir_all(home.join("lock")).unwrap();
    let disk = Disk::default();
    disk.faults.fail(Op::Rename, EROFS);
    let error = Spool::open_on(disk, options(&home), 0).unwrap_err();
    assert!(matches!(&error, OpenError::Io(path, _) if *path == home.join("lock")), "what can't be moved away");
    let disk = Disk::default();
    disk.faults.fail(Op::MakeDir, EROFS);
    let error = Spool::open_on(disk, options(&dir.path().join("new")), 0).unwrap_err();
    assert!(matches!(&error, OpenError::Io(_, e) if e.raw_os_error() == Some(EROFS)), "{error}");
    assert!(error.to_string().ends_with("ReadWritePaths= of the unit has to name it"), "{error}");
}

/// Puts something that is no regular file at `path`: the `nth` of several sorts.
fn put_no_file(path: &Path, nth: usize) {
    match nth {
        0 => fs::create_dir(path).unwrap(),
        1 => fs::create_dir_all(path.join("with something in it")).unwrap(),
        2 => symlink("/nowhere", path).unwrap(),
        _ => nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap(),
    }
}

#[test]
fn what_is_no_file_where_the_lock_should_be_strands_no_backlog() {
    for sort in 0..4 {
        let dir = TempDir::new();
        fill(dir.path(), 300);
        let lock = dir.path().join("lock");
        fs::remove_file(&lock).unwrap();
        put_no_file(&lock, sort);
        let (mut spool, recovery) = open(dir.path());
        assert_eq!(recovery.notes, [Note { path: lock.clone(), finding: Finding::InTheWay }]);
        assert_eq!(names(&dir.path().join("quarantine")), ["lock.0"]);
        assert!(matches!(Spool::open(options(dir.path()), 0), Err(OpenError::Locked(_))), "and it is held");
        assert_eq!(drain(&mut spool), (1..=300).collect::<Vec<_>>());
    }
}

#[test]
fn a_quarantine_that_is_no_directory_is_not_followed() {
    let (dir, outside) = (TempDir::new(), TempDir::new());
    fill(dir.path(), 3);
    fs::write(dir.path().join("00000000000000000009.seg"), [7; 500]).unwrap();
    symlink(outside.path(), dir.path().join("quarantine")).unwrap();
    assert_eq!(drain(&mut open(dir.path()).0), [1, 2, 3]);
    assert!(names(outside.path()).is_empty(), "{:?}", names(outside.path()));
    assert_eq!(names(&dir.path().join("quarantine")), ["00000000000000000009.seg.0"]);
    assert!(fs::symlink_metadata(dir.path().join("quarantine.0")).unwrap().is_symlink());
}

#[test]
fn what_is_no_file_where_the_cursor_should_be_has_no_damage_counted_twice() {
    for (sort, name) in (0..4).flat_map(|sort| ["cursor", "cursor.tmp"].map(|name| (sort, name))) {
        let dir = TempDir::new();
        fill(dir.path(), 300);
        fs::remove_file(&segments(dir.path())[1]).unwrap();
        let path = dir.path().join(name);
        let _ = fs::remove_file(&path);
        put_no_file(&path, sort);
        let (mut spool, recovery) = open(dir.path());
        assert!(recovery.fresh.frames > 0);
        assert!(recovery.notes.contains(&Note { path: path.clone(), finding: Finding::InTheWay }), "{recovery:?}");
        spool.sync(5000).unwrap();
        drop(spool);
        assert_eq!(open(dir.path()).1.fresh, Count::default(), "{name}");
        // And while it runs.
        let (mut spool, _) = open(dir.path());
        let _ = fs::remove_file(&path);
        put_no_file(&path, sort);
        let entry = spool.take(0).unwrap().unwrap();
        spool.ack(entry.id);
        spool.sync(9000).unwrap();
        assert_eq!(spool.stats().disk_errors, 0);
        drop(spool);
        assert_eq!(open(dir.path()).0.take(0).unwrap().unwrap().id, 2);
        assert_eq!(names(&dir.path().join("quarantine")).len(), 2);
    }
}

#[test]
fn a_cursor_that_cannot_be_written_is_named() {
    let dir = TempDir::new();
    fill(dir.path(), 3);
    let (mut spool, faults) = open_faulty(dir.path());
    let entry = spool.take(0).unwrap().unwrap();
    spool.ack(entry.id);
    for (op, name) in [(Op::Create, "cursor.tmp"), (Op::Rename, "cursor")] {
        faults.fail(op, ENOSPC);
        let error = spool.flush().unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot write {}: No space", dir.path().join(name).display())), "{error}");
        assert!(spool.cursor_failed, "and said");
        faults.heal();
    }
    spool.flush().unwrap();
    assert!(!spool.cursor_failed);
}

#[test]
fn files_are_for_the_agent_alone() {
    let dir = TempDir::new();
    let home = dir.path().join("home");
    let mut spool = open_clean(&home);
    push(&mut spool, 1);
    assert_eq!(fs::metadata(&home).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(&segments(&home)[0]).unwrap().permissions().mode() & 0o077, 0);
}

#[test]
fn a_disk_that_fills_up_mid_write_leaves_nothing_half_written() {
    let frame = 40 + payload(4).len();
    for room in 0..frame {
        let dir = TempDir::new();
        let (mut spool, faults) = open_faulty(dir.path());
        for n in 1..=3 {
            push(&mut spool, n);
        }
        let before = fs::read(&segments(dir.path())[0]).unwrap();
        let stats = spool.stats();
        faults.room(room);
        assert_eq!(errno(try_push(&mut spool, 4).unwrap_err()), ENOSPC);
        assert_eq!(fs::read(&segments(dir.path())[0]).unwrap(), before);
        assert_eq!(spool.stats(), stats);
        faults.heal();
        push(&mut spool, 5);
        drop(spool);
        assert_eq!(drain(&mut open_clean(dir.path())), [1, 2, 3, 5]);
    }
}

#[test]
fn where_the_torn_write_cannot_be_cut_off_another_segment_is_begun() {
    let dir = TempDir::new();
    let (mut spool, faults) = open_faulty(dir.path());
    push(&mut spool, 1);
    faults.fail(Op::Write, EIO);
    faults.fail(Op::Truncate, EIO);
    faults.leave(30);
    assert_eq!(errno(try_push(&mut spool, 2).unwrap_err()), EIO);
    faults.heal();
    push(&mut spool, 3);
    assert_eq!(segments(dir.path()).len(), 2);
    assert_eq!(drain(&mut spool), [1, 3]);
    drop(spool);
    let (mut spool, recovery) = open(dir.path());
    assert_eq!((recovery.damaged_bytes, recovery.lost.frames), (30, 0));
    assert_eq!(drain(&mut spool), [1, 3]);
}

#[test]
fn a_frame_that_was_refused_does_not_come_back_after_a_restart() {
    // Written whole, then its sync fails, and it can't be cut off either.
    let dir = TempDir::new();
    let (mut spool, faults) = open_faulty_with(Options { sync: SyncPolicy::Always, ..options(dir.path()) });
    push(&mut spool, 1);
    faults.fail(Op::Sync, EIO);
    faults.fail(Op::Truncate, EIO);
    assert_eq!(errno(try_push(&mut spool, 2).unwrap_err()), EIO);
    faults.heal();
    push(&mut spool, 3);
    drop(spool);
    assert_eq!(drain(&mut open(dir.path()).0), [1, 3]);
}

#[test]
fn a_disk_full_from_the_start_is_an_error_until_it_is_not() {
    let dir = TempDir::new();
    let (mut spool, faults) = open_faulty(dir.path());
    for room in [0, 100] {
        faults.room(room);
        assert_eq!(errno(try_push(&mut spool, 1).unwrap_err()), ENOSPC);
        assert_eq!(names(dir.path()), ["lock"], "the begun segment is gone again");
    }
    faults.heal();
    faults.fail(Op::Create, ENOSPC);
    assert_eq!(errno(try_push(&mut spool, 1).unwrap_err()), ENOSPC);
    faults.heal();
    assert_eq!(push(&mut spool, 2).id, 1);
    assert_eq!(drain(&mut spool), [2]);
}

#[test]
fn a_full_disk_is_relieved_of_what_is_done_with() {
    let dir = TempDir::new();
    fill(dir.path(), 300);
    let (mut spool, faults) = open_faulty(dir.path());
    let mut last = 0;
    while spool.segments.len() > 1 && spool.cursor() < spool.segments[2].first {
        let entry = spool.take(0).unwrap().unwrap();
        last = entry.id;
        spool.ack(entry.id);
    }
    let before = segments(dir.path()).len();
    faults.room(0);
    assert_eq!(errno(try_push(&mut spool, 301).unwrap_err()), ENOSPC);
    assert_eq!(segments(dir.path()).len(), before - 2, "the cursor could not be written, and they go all the same");
    faults.heal();
    push(&mut spool, 301);
    drop(spool);
    let (mut spool, _) = open(dir.path());
    assert_eq!(drain(&mut spool), (last + 1..=301).collect::<Vec<_>>());
}

#[test]
fn a_read_only_remount_stops_writing_and_not_delivering() {
    let dir = TempDir::new();
    fill(dir.path(), 300);
    let (mut spool, faults) = open_faulty(dir.path());
    push(&mut spool, 301);
    faults.fail_writes(EROFS);
    assert_eq!(errno(try_push(&mut spool, 302).unwrap_err()), EROFS);
    assert_eq!(drain(&mut spool), (1..=301).collect::<Vec<_>>());
    assert!(spool.sync(10_000).unwrap_err().to_string().contains("Read-only file system"));
    assert!(spool.stats().disk_errors > 0);
    assert_eq!(spool.take(0).unwrap(), None, "not again while it runs");
    faults.heal();
    push(&mut spool, 303);
    assert_eq!(drain(&mut spool), [303]);
    spool.sync(20_000).unwrap();
    assert_eq!(names(dir.path()), ["lock"]);
}

#[test]
fn a_spool_on_a_read_only_disk_is_delivered() {
    let dir = TempDir::new();
    fill(dir.path(), 300);
    let garbage = dir.path().join("00000000000000000500.seg");
    fs::write(&garbage, [1; 100]).unwrap();
    let disk = Disk::default();
    disk.faults.fail_writes(EROFS);
    let (mut spool, recovery) = Spool::open_on(disk, options(dir.path()), 0).unwrap();
    assert!(matches!(recovery.notes.last().unwrap().finding, Finding::LeftInPlace(_)));
    assert_eq!(drain(&mut spool), (1..=300).collect::<Vec<_>>());
    spool.disk.faults.heal();
    assert!(push(&mut spool, 301).id > 500, "no number that the file in place may claim");
    assert!(garbage.exists());
    drop(spool);
    assert_eq!(open(dir.path()).0.stats().waiting.frames, 301);
}

#[test]
fn a_failed_sync_is_said_and_not_trusted_again() {
    let dir = TempDir::new();
    let (mut spool, faults) = open_faulty(dir.path());
    push(&mut spool, 1);
    faults.fail(Op::Sync, EIO);
    assert_eq!(spool.sync(5_000).unwrap_err().raw_os_error(), Some(EIO));
    faults.heal();
    push(&mut spool, 2);
    assert_eq!(segments(dir.path()).len(), 2, "another file");
    spool.sync(10_000).unwrap();
    drop(spool);
    assert_eq!(drain(&mut open_clean(dir.path())), [1, 2]);
}

#[test]
fn a_disk_that_does_not_answer_is_waited_for_and_then_gone_past() {
    let dir = TempDir::new();
    fill(dir.path(), 300);
    let (mut spool, faults) = open_faulty(dir.path());
    faults.fail(Op::Read, EIO);
    for second in 0..59 {
        let error = spool.take(second * 1000).unwrap_err().to_string();
        let named = format!("cannot read {}: Input/output error", segments(dir.path())[0].display());
        assert!(error.starts_with(&named), "{error}");
    }
    faults.heal();
    let first = spool.take(59_000).unwrap().unwrap();
    assert_eq!(first.id, 1, "nothing was lost meanwhile");
    spool.release(1);

    // The first segment is in memory by now; of the others nothing can be read.
    let (segments, in_first) = (spool.stats().segments, spool.segments[0].end - 1);
    faults.fail(Op::Read, EIO);
    let (mut failed, mut delivered) = (0, 0);
    for second in 100..2000 {
        match spool.take(second * 1000) {
            Ok(None) => break,
            Ok(Some(entry)) => delivered += u64::from(spool.ack(entry.id)),
            Err(_) => failed += 1,
        }
    }
    assert_eq!(delivered, in_first - 1);
    assert_eq!(failed, 60 * segments, "a minute for the frame given back, and for each other segment");
    assert_eq!((spool.stats().lost.frames, spool.stats().waiting.frames), (300 - delivered, 0));
    faults.heal();
    push(&mut spool, 301);
    assert_eq!(drain(&mut spool), [301]);
}

#[test]
fn where_no_segment_can_be_read_the_spool_is_not_used() {
    let dir = TempDir::new();
    fill(dir.path(), 300);
    let disk = Disk::default();
    disk.faults.fail(Op::Read, EIO);
    assert!(matches!(Spool::open_on(disk, options(dir.path()), 0), Err(OpenError::Io(..))));
    assert_eq!(drain(&mut open_clean(dir.path())), (1..=300).collect::<Vec<_>>());
}

#[test]
fn a_segment_that_cannot_be_opened_is_left_for_a_later_start() {
    let dir = TempDir::new();
    fill(dir.path(), 300);
    let paths = segments(dir.path());
    let disk = Disk::default();
    disk.faults.forbid(&paths[1]);
    let (mut spool, recovery) = Spool::open_on(disk, options(dir.path()), 0).unwrap();
    assert!(matches!(&recovery.notes[..], [Note { path, finding: Finding::Unreachable(_) }] if *path == paths[1]));
    assert_eq!(recovery.lost.frames, 0);
    let out = drain(&mut spool);
    let left: Vec<u64> = (1..=300).filter(|n| !out.contains(n)).collect();
    assert!(left.len() > 10);
    push(&mut spool, 301);
    spool.sync(2000).unwrap();
    drain(&mut spool);
    spool.close().unwrap();
    assert_eq!(segments(dir.path()), [paths[1].clone()]);
    assert_eq!(drain(&mut open_clean(dir.path())), left);
}

#[test]
fn a_lack_of_file_descriptors_loses_nothing() {
    let dir = TempDir::new();
    fill(dir.path(), 300);
    let (mut spool, faults) = open_faulty(dir.path());
    faults.fail(Op::Open, EMFILE);
    let error = spool.take(0).unwrap_err().to_string();
    assert!(error.starts_with("cannot read ") && error.contains("0001.seg: Too many open files"), "{error}");
    faults.heal();
    assert_eq!(drain(&mut spool), (1..=300).collect::<Vec<_>>());
    drop(spool);
    let disk = Disk::default();
    disk.faults.fail(Op::Open, EMFILE);
    assert!(Spool::open_on(disk, options(dir.path()), 0).is_err());
    assert_eq!(open_clean(dir.path()).stats().waiting.frames, 300);
}

#[test]
fn a_directory_removed_while_running_is_made_again() {
    let dir = TempDir::new();
    let home = dir.path().join("home");
    let mut spool = open_clean(&home);
    for n in 1..=3 {
        push(&mut spool, n);
    }
    let in_hand = spool.take(0).unwrap().unwrap();
    fs::remove_dir_all(&home).unwrap();
    push(&mut spool, 4);
    assert_eq!(spool.stats().lost, Count { frames: 2, samples: 5, bytes: 25 });
    assert_eq!(spool.stats().waiting.frames, 1);
    assert!(spool.ack(in_hand.id), "what was in hand is not lost");
    assert_eq!(drain(&mut spool), [4]);
    assert!(matches!(Spool::open(options(&home), 0), Err(OpenError::Locked(_))), "and it is ours");

    push(&mut spool, 5);
    let in_hand = spool.take(0).unwrap().unwrap();
    fs::remove_dir_all(&home).unwrap();
    spool.sync(9_000).unwrap();
    assert!(!spool.release(in_hand.id), "there is nothing to give it back to");
    assert_eq!(spool.stats().lost.frames, 3);
    push(&mut spool, 6);
    spool.close().unwrap();
    assert_eq!(drain(&mut open(&home).0), [6]);
}

#[test]
fn files_removed_while_running_are_counted() {
    let dir = TempDir::new();
    fill(dir.path(), 300);
    let mut spool = open_clean(dir.path());
    let paths = segments(dir.path());
    fs::remove_file(&paths[1]).unwrap();
    let out = drain(&mut spool);
    assert_eq!(out.len() as u64 + spool.stats().lost.frames, 300);
    assert!(spool.stats().lost.frames > 0);
    // The one that is written to.
    push(&mut spool, 301);
    fs::remove_file(segments(dir.path()).last().unwrap()).unwrap();
    push(&mut spool, 302);
    drop(spool);
    assert_eq!(drain(&mut open(dir.path()).0).last(), Some(&302));
}

#[test]
fn a_segment_in_whose_place_something_else_has_come_is_lost_at_once() {
    for sort in 0..4 {
        let dir = TempDir::new();
        fill(dir.path(), 300);
        let mut spool = open_clean(dir.path());
        let count = segments(dir.path()).len();
        // The one that is read next to last, the one that is read first and given back, and
        // the last one while it is written to.
        let given_back = spool.take(0).unwrap().unwrap();
        push(&mut spool, 301);
        for nth in [count - 2, 0, count - 1] {
            let path = segments(dir.path())[nth].clone();
            fs::remove_file(&path).unwrap();
            put_no_file(&path, sort);
        }
        spool.release(given_back.id);
        push(&mut spool, 302);
        let out = drain(&mut spool);
        assert_eq!(spool.stats().lost.frames + out.len() as u64, 302);
        assert!(out.contains(&302) && spool.stats().lost.frames > 20, "{out:?}");
        spool.sync(9000).unwrap();
        let left: Vec<_> = segments(dir.path()).into_iter().filter(|path| path.is_file()).collect();
        assert_eq!((left, spool.stats().segments), (vec![], 0));
    }
}

#[test]
fn another_process_may_get_a_removed_directory_first() {
    let dir = TempDir::new();
    let home = dir.path().join("home");
    let mut spool = open_clean(&home);
    fs::remove_dir_all(&home).unwrap();
    let other = open_clean(&home);
    assert!(matches!(try_push(&mut spool, 1), Err(WriteError::Locked(_))));
    drop(other);
    push(&mut spool, 2);
    assert_eq!(drain(&mut spool), [2]);
}

#[test]
fn a_clock_that_goes_back_changes_no_order_and_loses_nothing() {
    let dir = TempDir::new();
    let options = Options { max_age: Some(Duration::from_secs(3600)), ..options(dir.path()) };
    let (mut spool, _) = Spool::open(options.clone(), 10_000_000_000).unwrap();
    for time_ms in [10_000_000_000, 5_000, -1, i64::MIN, i64::MAX] {
        spool.push(time_ms, 1, b"x").unwrap();
    }
    spool.sync(5_000).unwrap();
    drop(spool);
    let (mut spool, _) = Spool::open(Options { max_age: None, ..options }, 5_000).unwrap();
    let times: Vec<_> = std::iter::from_fn(|| spool.take(5_000).unwrap()).map(|e| e.time_ms).collect();
    assert_eq!(times, [10_000_000_000, 5_000, -1, i64::MIN, i64::MAX]);
}

/// A stretch of life with everything in it: pushes over several segments, takes, acks,
/// syncs, drops by the cap. Says which frames were stored and which were acknowledged.
fn live(spool: &mut Spool) -> (BTreeSet<u64>, BTreeSet<u64>) {
    let (mut stored, mut acked) = (BTreeSet::new(), BTreeSet::new());
    for n in 1..=150 {
        if try_push(spool, n).is_ok() {
            stored.insert(n);
        }
        if n % 3 == 0 {
            if let Ok(Some(entry)) = spool.take(0) {
                acked.insert(number(&entry));
                spool.ack(entry.id);
            }
        }
        if n % 20 == 0 {
            let _ = spool.sync(1000 * n as i64);
        }
    }
    while let Ok(Some(entry)) = spool.take(0) {
        acked.insert(number(&entry));
        spool.ack(entry.id);
        if acked.len() % 20 == 0 {
            let _ = spool.sync(1_000_000 * acked.len() as i64);
        }
    }
    let _ = spool.flush();
    (stored, acked)
}

#[test]
fn killed_after_any_change_to_the_disk_it_loses_nothing_that_was_stored() {
    let settings = |dir: &Path| Options { segment_bytes: 4096, ..options(dir) };
    let dir = TempDir::new();
    let (mut spool, faults) = open_faulty_with(settings(dir.path()));
    live(&mut spool);
    let changes = faults.changes();
    assert!(changes > 200);
    drop(spool);
    assert_eq!(names(dir.path()), ["lock"]);
    for kill in 0..changes - 1 {
        let dir = TempDir::new();
        let (mut spool, faults) = open_faulty_with(settings(dir.path()));
        faults.die_after(kill);
        let (stored, acked) = live(&mut spool);
        drop(spool);
        let (mut spool, recovery) = Spool::open(settings(dir.path()), 0).unwrap();
        // The one that was being written, if any.
        assert!(recovery.lost.frames <= recovery.damaged_ranges.min(1), "killed after {kill}: {recovery:?}");
        let out = drain(&mut spool);
        assert!(out.is_sorted(), "killed after {kill}");
        let out: BTreeSet<u64> = out.into_iter().collect();
        let missing: Vec<_> = stored.difference(&out).filter(|n| !acked.contains(n)).collect();
        assert!(missing.is_empty(), "killed after {kill}: {missing:?}");
        let invented: Vec<_> = out.difference(&stored).collect();
        assert!(invented.is_empty(), "killed after {kill}: {invented:?}");
    }
}

#[test]
fn killed_while_a_full_disk_is_tidied_it_invents_no_loss() {
    for kill in 0..12 {
        let dir = TempDir::new();
        fill(dir.path(), 300);
        let (mut spool, faults) = open_faulty(dir.path());
        drain(&mut spool);
        // A cursor of last time, which tells of them all.
        assert!(dir.path().join("cursor").exists() && segments(dir.path()).len() > 3);
        faults.fail(Op::Create, ENOSPC);
        faults.die_after(kill);
        let _ = spool.flush();
        drop(spool);
        let lost = open(dir.path()).1.lost;
        assert_eq!(lost, Count::default(), "killed after {kill}");
    }
}

#[test]
fn a_copy_taken_at_any_moment_is_a_spool() {
    let dir = TempDir::new();
    let mut spool = Spool::open(Options { segment_bytes: 4096, ..options(dir.path()) }, 0).unwrap().0;
    for n in 1..=200u64 {
        push(&mut spool, n);
        if n % 2 == 0 {
            let entry = spool.take(0).unwrap().unwrap();
            spool.ack(entry.id);
        }
        spool.sync(1000 * n as i64).unwrap();
        let copy = TempDir::new();
        copy_dir(dir.path(), copy.path());
        let out = drain(&mut open_clean(copy.path()));
        assert_eq!(out, (n / 2 + 1..=n).collect::<Vec<_>>());
    }
}
