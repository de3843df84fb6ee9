//! For minutes devices come, change, go and come back, files are torn and collectors switched:
//! what Prometheus has then is what was there, each series ended where it did.

mod host;
mod truth;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use self::host::{Random, Root, Source, State};
use self::truth::{Off, Stored};
use super::now_ms;
use crate::support::program::{Daemon, TempDir, free_port, metricsd};
use crate::support::prometheus::Prometheus;
use crate::support::{wait_for, wait_long_for};

/// How long, in seconds, and with which random numbers, where somebody wants it otherwise.
const SECONDS: &str = "METRICSD_SOAK_SECONDS";
const SEED: &str = "METRICSD_SOAK_SEED";

/// One collector is switched each so many states on average.
const SWITCHED_EACH: usize = 15;

/// Series are compared one by one at so many ticks, and counted at all.
const COMPARED: usize = 300;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// The program, the files that it reads, and what the test does to both.
struct Soak {
    daemon: Daemon,
    root: Root,
    dir: TempDir,
    server: u16,
    reloads: usize,
    random: Random,
    states: Vec<State>,
    off: Vec<Off>,
    /// Of the ticks.
    times: Vec<i64>,
}

impl Soak {
    fn start(server: &Prometheus, dir: TempDir, seed: u64) -> Soak {
        let root = Root::new(&dir.path().join("root"));
        let (mut random, first) = (Random(seed), State::first());
        root.write(&first, &mut random);
        let (port, path) = (free_port(), dir.path().join("config.json"));
        fs::write(&path, config(port, server.port, dir.path(), &[], 0.25)).unwrap();
        let mut command = metricsd();
        let daemon = Daemon::spawn(command.arg("-root").arg(root.path()).arg("-config").arg(path), port);
        let (states, off, times) = (vec![first], Vec::new(), Vec::new());
        Soak { daemon, root, dir, server: server.port, reloads: 0, random, states, off, times }
    }

    /// Takes the times of ticks from the file that a destination writes them into, and empties
    /// it. Not while a line is written: then later.
    fn take_times(&mut self) {
        let book = self.dir.path().join("book.jsonl");
        let text = fs::read_to_string(&book).unwrap_or_default();
        if !text.ends_with('\n') {
            return;
        }
        let time = |line: &str| line.split_once(r#""timestamp_ms":"#)?.1.split_once(',')?.0.parse::<i64>().ok();
        self.times.extend(text.lines().map(|line| time(line).unwrap()));
        fs::OpenOptions::new().write(true).open(&book).unwrap().set_len(0).unwrap();
    }

    fn wait_for_ticks(&self, more: usize) {
        let path = self.dir.path().join("book.jsonl");
        let len = || fs::metadata(&path).map_or(0, |file| file.len());
        for _ in 0..more {
            let before = len();
            wait_for("a tick", || (len() > before).then_some(()));
        }
    }

    /// The host's next state; the program stands still while its files change.
    fn change(&mut self) {
        let next = self.states.last().unwrap().next(&mut self.random);
        self.daemon.signal(Signal::SIGSTOP);
        wait_for("the program to stand still", || self.stands_still().then_some(()));
        self.root.write(&next, &mut self.random);
        self.states.push(next);
        self.take_times();
        self.daemon.signal(Signal::SIGCONT);
    }

    fn stands_still(&self) -> bool {
        fs::read_dir(self.daemon.proc("task")).unwrap().all(|task| {
            let stat = fs::read_to_string(task.unwrap().path().join("stat")).unwrap_or_default();
            stat.rsplit(") ").next().is_none_or(|rest| rest.starts_with('T'))
        })
    }

    fn reload(&mut self, interval: f64) {
        let now_off: Vec<Source> = self.off.iter().filter(|off| off.back.is_none()).map(|off| off.source).collect();
        let config = config(self.daemon.port, self.server, self.dir.path(), &now_off, interval);
        fs::write(self.dir.path().join("config.json"), config).unwrap();
        self.daemon.signal(Signal::SIGHUP);
        self.reloads += 1;
        let said = |what: &str| self.daemon.log().matches(what).count();
        wait_for("the reload", || (said("reloaded in") >= self.reloads).then_some(()));
    }

    /// Switches one collector off, or on where it is off.
    fn switch(&mut self, what: &[Source]) {
        let asked_ms = now_ms();
        let back: Vec<usize> = (0..self.off.len())
            .filter(|at| self.off[*at].back.is_none() && what.contains(&self.off[*at].source))
            .collect();
        if back.is_empty() {
            let off = |source: &Source| Off { source: *source, asked_ms, gone_ms: i64::MAX, back: None };
            self.off.extend(what.iter().map(off));
        } else {
            back.iter().for_each(|at| self.off[*at].back = Some((asked_ms, i64::MAX)));
        }
        self.reload(0.25);
        // What was under way has ended.
        self.wait_for_ticks(2);
        let done_ms = now_ms();
        for off in self.off.iter_mut().filter(|off| what.contains(&off.source)) {
            match &mut off.back {
                None if off.gone_ms == i64::MAX => off.gone_ms = done_ms,
                Some((_, there_ms)) if *there_ms == i64::MAX => *there_ms = done_ms,
                _ => {}
            }
        }
    }

    fn counted(&self, what: &str) -> f64 {
        let (_, page) = self.daemon.get("/metrics").unwrap();
        let lines = page.lines().filter(|line| line.starts_with(what) && line.contains(r#"destination="remote""#));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }
}

/// What one switch of the configuration turns off.
const SWITCHES: [(&str, &[Source]); 4] = [
    ("enable_cpu", &[Source::Cpu]),
    ("enable_memory", &[Source::Memory]),
    ("enable_disk", &[Source::Disk, Source::Filesystem]),
    ("enable_network", &[Source::Network]),
];

fn config(port: u16, server: u16, dir: &Path, off: &[Source], interval: f64) -> String {
    let switches = SWITCHES.map(|(field, sources)| format!(r#""{field}": {}, "#, !off.contains(&sources[0])));
    format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": {port}}},
            "collector": {{{}"enable_uptime": false, "interval_seconds": {interval},
                "disk": {{"include": ["d[0-9]+"]}}}},
            "shippers": [
                {{"name": "remote", "type": "prometheus_remote_write", "naming": "node_exporter",
                    "endpoint": "http://127.0.0.1:{server}/api/v1/write"}},
                {{"name": "book", "type": "file", "endpoint": {:?}}}
            ]}}"#,
        switches.concat(),
        dir.join("book.jsonl")
    )
}

#[test]
#[ignore = "needs prometheus and takes two minutes: make e2e"]
fn after_a_soak_no_series_is_missing_or_doubled_and_each_that_ended_is_ended() {
    let (seconds, seed) = (number(SECONDS).unwrap_or(75), number(SEED).unwrap_or(0x853c_49e6_748f_ea9b));
    println!("{SECONDS}={seconds} {SEED}={seed}");
    let (dir, data) = (TempDir::new(), TempDir::new());
    let server = Prometheus::start(data.path(), free_port(), "[]");
    let from_ms = now_ms();
    let mut soak = Soak::start(&server, dir, seed);
    soak.wait_for_ticks(2);
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut turn = 0;
    while Instant::now() < until {
        soak.change();
        let ticks = 1 + soak.random.below(3);
        soak.wait_for_ticks(ticks);
        if soak.random.one_in(SWITCHED_EACH) {
            // Each of them, whatever the random numbers are.
            soak.switch(SWITCHES[turn / 2 % SWITCHES.len()].1);
            turn += 1 + usize::from(soak.random.one_in(3)) * 2;
        }
    }
    // Nothing more for a minute, and all of it delivered.
    soak.reload(60.0);
    let sent = wait_long_for("all to be delivered", || {
        soak.take_times();
        let ticks = soak.times.len() as f64;
        let done = soak.daemon.metric("metricsd_collections_total") == Some(ticks);
        let delivered = r#"metricsd_destination_requests_total{destination="remote",outcome="delivered"}"#;
        let is_there = done && soak.daemon.metric(delivered) == Some(ticks);
        is_there.then(|| soak.counted("metricsd_destination_samples_sent_total{"))
    });
    let ticks = &soak.times;
    let stored = Stored::read(&server, from_ms, now_ms());
    assert_eq!(stored.times(), *ticks, "ticks are missing or too many");
    let seen = stored.compare(&soak.states, &soak.off);
    let ended = stored.compare_live(&server, &soak.off, ticks.len().div_ceil(COMPARED));
    println!(
        "{} ticks of {} states, {} samples, {ended} series ended, {} rounds torn, {} switches",
        ticks.len(),
        soak.states.len(),
        stored.count(),
        seen.torn,
        soak.off.len()
    );
    assert!(ended > 100 && seen.torn > 5 && !soak.off.is_empty(), "this was no soak");
    // A marker is a sample: each once, and nothing beside them.
    assert_eq!(sent, (stored.count() + ended) as f64, "{} samples are stored and {ended} have ended", stored.count());
    assert_eq!(soak.counted("metricsd_destination_samples_dropped_total{"), 0.0);
}
