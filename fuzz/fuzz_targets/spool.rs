//! A spool whose files somebody has been at: it opens, gives nothing that it was not given, gives
//! it once and in order, and can be used on. The input is a list of changes, 6 bytes each, to the
//! files of a spool of our own: with sums over all that is in them, other files are no spool.

#![no_main]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use metricsd::spool::{Options, Spool, SyncPolicy};

/// What was pushed: enough for three segments.
const FRAMES: u64 = 110;

/// What is pushed afterwards.
const AFTER: &[u8] = b"after";

/// Files by name, in the order of the names.
type Files = Vec<(String, Vec<u8>)>;

/// A folder of this process's own, on the fastest disk there is.
fn dir() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        base.join(format!("metricsd-fuzz-spool-{}", std::process::id()))
    })
}

fn open() -> Spool {
    let content = vec![("Content-Type".to_owned(), "application/x-protobuf".to_owned())];
    let options = Options {
        segment_bytes: 4096,
        max_bytes: 64 << 10,
        sync: SyncPolicy::Never,
        content,
        ..Options::new(dir(), "fuzz")
    };
    Spool::open(options, 0).unwrap().0
}

fn payload(id: u64) -> Vec<u8> {
    format!("payload {id} {}", "x".repeat(id as usize % 7 * 11)).into_bytes()
}

/// The files of a spool in which the first three frames are done with.
fn whole() -> &'static Files {
    static WHOLE: OnceLock<Files> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let _ = fs::remove_dir_all(dir());
        let mut spool = open();
        for id in 1..=FRAMES {
            assert_eq!(spool.push(id as i64, id as u32, &payload(id)).unwrap().id, id);
        }
        for _ in 0..3 {
            let frame = spool.take(0).unwrap().unwrap();
            assert!(spool.ack(frame.id));
        }
        spool.close().unwrap();
        let mut files: Files = fs::read_dir(dir())
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
            .collect();
        files.sort();
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert!(names.len() == 5, "three segments, cursor and lock: {names:?}");
        files
    })
}

fn change(files: &mut Files, change: &[u8]) {
    let &[which, op, high, low, byte, count] = change else { return };
    let which = which as usize % files.len();
    let bytes = &mut files[which].1;
    let at = (usize::from(high) << 8 | usize::from(low)) % (bytes.len() + 1);
    let end = (at + usize::from(count)).min(bytes.len());
    match op % 8 {
        0 if at < bytes.len() => bytes[at] ^= byte,
        1 => bytes[at..end].fill(byte),
        2 => drop(bytes.drain(at..end)),
        3 => drop(bytes.splice(at..at, std::iter::repeat_n(byte, count.into()))),
        4 => bytes.truncate(at),
        5 => bytes.extend_from_within(at..end),
        6 if files.len() > 1 => drop(files.remove(which)),
        7 => {
            let other = byte as usize % files.len();
            let (one, two) = (files[which].1.clone(), files[other].1.clone());
            (files[which].1, files[other].1) = (two, one);
        }
        _ => {}
    }
}

/// Takes all there is, and says it is done with.
fn drain(spool: &mut Spool) -> Vec<(u64, Vec<u8>)> {
    let mut taken = Vec::new();
    while let Some(frame) = spool.take(0).unwrap() {
        assert!(spool.ack(frame.id));
        taken.push((frame.id, frame.bytes));
        assert!(taken.len() <= FRAMES as usize, "more than was pushed");
    }
    taken
}

fuzz_target!(|input: &[u8]| {
    let mut files = whole().clone();
    input.chunks(6).take(16).for_each(|one| change(&mut files, one));
    let _ = fs::remove_dir_all(dir());
    fs::create_dir_all(dir()).unwrap();
    for (name, bytes) in &files {
        fs::write(dir().join(name), bytes).unwrap();
    }
    let mut spool = open();
    let taken = drain(&mut spool);
    assert!(taken.is_sorted_by(|one, next| one.0 < next.0), "{taken:?}");
    for (id, bytes) in &taken {
        assert_eq!(*bytes, payload(*id));
    }
    let id = spool.push(1, 1, AFTER).unwrap().id;
    spool.close().unwrap();
    let mut spool = open();
    assert_eq!(drain(&mut spool), [(id, AFTER.to_vec())]);
    assert_eq!(spool.stats().waiting.frames, 0);
});
