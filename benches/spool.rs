//! What the spool costs: CPU time of an append, a take and an acknowledgement of a 4 KB
//! frame without fsync, and how long a full spool of 64 MiB takes to open.
//!
//! Prints one line a number, with its budget, and fails where one is over it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use metricsd::spool::{Options, Spool, SyncPolicy};
use nix::time::{ClockId, clock_gettime};

/// A compressed request body of a host with some dozen filesystems and interfaces.
const FRAME: usize = 4096;

/// Per append, take and acknowledgement together.
const APPEND_TAKE_BUDGET: Duration = Duration::from_micros(20);

/// For opening 64 MiB.
const OPEN_BUDGET: Duration = Duration::from_secs(1);

const ROUNDS: u32 = 5;

fn main() -> ExitCode {
    let dir = Dir::new();
    let body: Vec<u8> = (0..FRAME as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut ok = true;
    ok &= append_and_take(&dir.0.join("through"), &body);
    ok &= behind(&dir.0.join("behind"), &body);
    ok &= open(&dir.0.join("full"), &body);
    ok &= open(&dir.0.join("small frames"), &body[..100]);
    if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Each frame is taken and acknowledged as soon as it was appended.
fn append_and_take(dir: &Path, body: &[u8]) -> bool {
    const FRAMES: u32 = 10_000;
    let cost = best(|| {
        let mut spool = spool(dir);
        let start = cpu();
        for n in 0..FRAMES {
            spool.push(n.into(), 100, body).expect("push");
            let entry = spool.take(n.into()).expect("take").expect("a frame");
            spool.ack(entry.id);
        }
        let cost = cpu() - start;
        spool.close().expect("close");
        cost / FRAMES
    });
    say("append, take and ack of a 4 KB frame, CPU", cost, APPEND_TAKE_BUDGET)
}

/// A backlog is built up, then drained, with the upkeep in between.
fn behind(dir: &Path, body: &[u8]) -> bool {
    const FRAMES: u32 = 10_000;
    let (mut append, mut take) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        let mut spool = spool(dir);
        let start = cpu();
        for n in 0..FRAMES {
            spool.push(n.into(), 100, body).expect("push");
        }
        append = append.min((cpu() - start) / FRAMES);
        let start = cpu();
        let mut seconds = 0;
        while let Some(entry) = spool.take(0).expect("take") {
            spool.ack(entry.id);
            if entry.id % 1000 == 0 {
                seconds += 1;
                spool.sync(seconds * 1000).expect("sync");
            }
        }
        take = take.min((cpu() - start) / FRAMES);
        spool.close().expect("close");
    }
    say("append, backlog of 10,000, CPU", append, APPEND_TAKE_BUDGET / 2)
        & say("take and ack, backlog of 10,000, CPU", take, APPEND_TAKE_BUDGET / 2)
}

fn open(dir: &Path, body: &[u8]) -> bool {
    let mut filling = spool(dir);
    let mut frames = 0u64;
    while filling.push(0, 100, body).expect("push").dropped.frames == 0 {
        frames += 1;
    }
    let full = filling.stats();
    filling.close().expect("close");
    let cost = best(|| {
        let start = Instant::now();
        let (spool, recovery) = Spool::open(options(dir), 0).expect("open");
        let cost = start.elapsed();
        assert_eq!(recovery.waiting, full.waiting);
        drop(spool);
        cost
    });
    let what = format!("open {} MiB, {frames} frames of {} bytes", full.disk_bytes >> 20, body.len());
    say(&what, cost, OPEN_BUDGET)
}

fn options(dir: &Path) -> Options {
    Options {
        content: vec![("Content-Type".into(), "application/x-protobuf".into())],
        sync: SyncPolicy::Never,
        ..Options::new(dir, "bench")
    }
}

fn spool(dir: &Path) -> Spool {
    Spool::open(options(dir), 0).expect("open").0
}

/// The least of some rounds: what the work costs where nothing disturbs it.
fn best(round: impl FnMut() -> Duration) -> Duration {
    std::iter::repeat_with(round).take(ROUNDS as usize).min().expect("a round")
}

fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).expect("a CPU clock").into()
}

fn say(what: &str, cost: Duration, budget: Duration) -> bool {
    let verdict = if cost <= budget { "ok" } else { "OVER" };
    println!("spool: {what}: {cost:.2?} (budget {budget:.0?}) {verdict}");
    cost <= budget
}

/// A directory on the disk that the build is on, gone afterwards.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Dir {
        let path = std::env::temp_dir().join(format!("metricsd-bench-spool-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary directory");
        Dir(path)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
