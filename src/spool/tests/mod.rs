//! The spool's tests: one file for each sort of trouble, and a model.

mod basics;
mod damage;
pub(super) mod faults;
mod limits;
mod losses;
mod many;
mod model;
mod trouble;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::disk::Disk;
use super::segment::Segment;
use super::*;

/// A directory for one test, gone afterwards.
#[derive(Debug)]
pub(super) struct TempDir(PathBuf);

impl TempDir {
    pub(super) fn new() -> TempDir {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("metricsd-spool-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        TempDir(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn headers(kind: &str) -> Vec<(String, String)> {
    vec![("Content-Type".into(), kind.into()), ("Content-Encoding".into(), "snappy".into())]
}

fn options(dir: &Path) -> Options {
    Options { content: headers("application/x-protobuf"), ..Options::new(dir, "remote") }
}

fn open(dir: &Path) -> (Spool, Recovery) {
    Spool::open(options(dir), 0).unwrap()
}

/// Opens, and expects nothing to be wrong.
fn open_clean(dir: &Path) -> Spool {
    let (spool, recovery) = open(dir);
    assert!(recovery.is_clean(), "{recovery:?}");
    spool
}

/// The payload of frame `n`: different for each, and not of the same length.
fn payload(n: u64) -> Vec<u8> {
    format!("payload {n} {}", "x".repeat(n as usize % 13)).into_bytes()
}

/// Pushes `payload(n)` at time `1000 * n` with `n` samples.
fn push(spool: &mut Spool, n: u64) -> Pushed {
    spool.push(1000 * n as i64, n as u32, &payload(n)).unwrap()
}

/// A spool in `dir` with the frames 1 to `count`, in segments of about 4 KiB.
fn fill(dir: &Path, count: u64) {
    let (mut spool, _) = Spool::open(Options { segment_bytes: 4096, ..options(dir) }, 0).unwrap();
    for n in 1..=count {
        push(&mut spool, n);
    }
    spool.close().unwrap();
}

/// Takes and acknowledges everything, and says the numbers in the payloads, each of which
/// is checked against what was pushed.
fn drain(spool: &mut Spool) -> Vec<u64> {
    let mut out = Vec::new();
    while let Some(entry) = spool.take(0).unwrap() {
        let n = number(&entry);
        assert_eq!(entry.bytes, payload(n));
        assert_eq!((entry.time_ms, u64::from(entry.samples)), (1000 * n as i64, n));
        out.push(n);
        assert!(spool.ack(entry.id));
    }
    out
}

/// The number in a payload.
fn number(entry: &Frame) -> u64 {
    let text = std::str::from_utf8(&entry.bytes).unwrap();
    text.split(' ').nth(1).unwrap().parse().unwrap()
}

/// The segment files in `dir`, by name.
fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut out: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    out.retain(|p| p.extension().is_some_and(|e| e == "seg"));
    out.sort();
    out
}

/// The names in `dir`.
fn names(dir: &Path) -> Vec<String> {
    let mut out: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    out.sort();
    out
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn findings(recovery: &Recovery) -> Vec<Finding> {
    recovery.notes.iter().map(|n| n.finding.clone()).collect()
}
