//! Reloads that replace a destination's threads: what was collected meanwhile is neither lost
//! nor sent twice, whatever the old ones still wait for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use prometheus_remote_write::WriteRequest;
use prost_0_12::Message;

use crate::support::peer::{Peer, Received, Reply};
use crate::support::program::{Daemon, TempDir};
use crate::support::wait_for;

/// A peer that takes its time, and answers nothing at all while `hangs`.
fn slow(hangs: &Arc<AtomicBool>) -> Peer {
    let hangs = Arc::clone(hangs);
    Peer::start(move |_, _| {
        std::thread::sleep(Duration::from_millis(20));
        while hangs.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(10));
        }
        Reply::status(200)
    })
}

/// The tick that a request holds, of whichever type it is.
fn tick(request: &Received) -> i64 {
    if request.header("content-type") == Some("application/json") {
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        return body["timestamp_ms"].as_i64().unwrap();
    }
    let message = snap::raw::Decoder::new().decompress_vec(&request.body).unwrap();
    WriteRequest::decode(&message[..]).unwrap().timeseries[0].samples[0].timestamp
}

fn ticks(peer: &Peer) -> Vec<i64> {
    peer.received().iter().map(tick).collect()
}

struct Program {
    dir: TempDir,
    /// Has every tick.
    all: Peer,
    config: Box<dyn Fn(&str) -> String>,
}

impl Program {
    fn new() -> Program {
        let (dir, all) = (TempDir::new(), Peer::start(|_, _| Reply::status(200)));
        let (spool, every) = (dir.path().join("spool"), all.url("/all"));
        let config = move |lane: &str| {
            format!(
                r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{"interval_seconds": 0.05}},
                    "spool": {{"dir": "{}"}},
                    "shippers": [{{"name": "all", "type": "http_json", "endpoint": "{every}"}}{lane}]}}"#,
                spool.display()
            )
        };
        Program { dir, all, config: Box::new(config) }
    }

    fn start(&self, lane: &str) -> Daemon {
        Daemon::start(self.dir.path(), &(self.config)(lane))
    }

    /// Asks for a reload, and does not wait for it.
    fn reload(&self, daemon: &Daemon, lane: &str) {
        let config = (self.config)(lane).replace("PORT", &daemon.port.to_string());
        // In one step: a reload that is under way must not read half of it.
        std::fs::write(self.dir.path().join("next.json"), config).unwrap();
        std::fs::rename(self.dir.path().join("next.json"), self.dir.path().join("config.json")).unwrap();
        daemon.signal(Signal::SIGHUP);
    }

    fn wait_ticks(&self, more: usize) {
        let wanted = self.all.received().len() + more;
        wait_for("more ticks", || (self.all.received().len() >= wanted).then_some(()));
    }
}

fn wait_drained(daemon: &Daemon) {
    let frames = r#"metricsd_destination_queue_frames{destination="lane"}"#;
    wait_for("the backlog to be drained", || daemon.metric(frames).filter(|frames| *frames == 0.0));
}

fn stop(mut daemon: Daemon) -> String {
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0, "{}", daemon.log());
    daemon.log()
}

#[test]
fn type_workers_and_spool_change_under_load_and_no_tick_is_lost_or_comes_twice() {
    let program = Program::new();
    let peer = slow(&Arc::default());
    let lane = |kind: &str, rest: &str| {
        format!(r#", {{"name": "lane", "type": "{kind}", "endpoint": "{}"{rest}}}"#, peer.url("/in"))
    };
    let lanes = [
        lane("http_json", ""),
        lane("http_json", r#", "workers": 2"#),
        lane("prometheus_remote_write", ""),
        lane("http_json", r#", "spool": {"max_bytes": 1000000, "sync": "never"}"#),
        lane("http_json", r#", "workers": 3, "spool": {"mode": "always"}"#),
    ];
    let daemon = program.start(&lanes[0]);
    program.wait_ticks(5);
    for turn in 1..=40 {
        program.reload(&daemon, &lanes[turn % lanes.len()]);
        if turn % 4 == 0 {
            program.wait_ticks(1);
        }
    }
    program.wait_ticks(20);
    wait_drained(&daemon);
    let log = stop(daemon);
    let (mut here, all) = (ticks(&peer), ticks(&program.all));
    here.sort_unstable();
    assert_eq!(here, all, "{log}");
}

#[test]
fn a_destination_that_hangs_is_replaced_taken_away_and_brought_back_and_loses_nothing() {
    let program = Program::new();
    let hangs = Arc::new(AtomicBool::new(true));
    let peer = slow(&hangs);
    let lane = |rest: &str| {
        format!(
            r#", {{"name": "lane", "type": "http_json", "endpoint": "{}", "timeout": "60s"{rest}}}"#,
            peer.url("/in")
        )
    };
    let daemon = program.start(&lane(""));
    let first = wait_for("a request that hangs", || peer.received().first().map(tick));
    // The ticks in front of its going, and those up to its coming back.
    let (mut until, mut from) = (Vec::new(), Vec::new());
    for lane in [lane(r#", "workers": 2"#), lane(""), String::new(), lane(r#", "labels": {"back": "yes"}"#)] {
        if lane.is_empty() {
            until = ticks(&program.all);
        }
        let before = daemon.log().matches("reloaded in").count();
        program.reload(&daemon, &lane);
        wait_for("the reload", || (daemon.log().matches("reloaded in").count() > before).then_some(()));
        if !until.is_empty() {
            from = ticks(&program.all);
        }
        program.wait_ticks(6);
    }
    // What was collected is not only in memory, though the first request still hangs.
    let waiting = r#"metricsd_destination_queue_frames{destination="lane"}"#;
    assert!(daemon.metric(waiting) >= Some(15.0), "{:?}\n{}", daemon.metric(waiting), daemon.log());
    let log = stop(daemon);
    assert!(!log.contains("and lost") && !log.contains(": lost "), "{log}");
    let attempts = peer.received().len();
    hangs.store(false, Ordering::Relaxed);
    let daemon = program.start(&lane(""));
    wait_drained(&daemon);
    program.wait_ticks(3);
    wait_drained(&daemon);
    let log = stop(daemon);
    let here: Vec<i64> = peer.received()[attempts..].iter().map(tick).collect();
    assert!(here.windows(2).all(|two| two[0] < two[1]), "in order, and none twice: {here:?}");
    assert_eq!(here[0], first);
    // Between its going and its coming back it was not asked for.
    let missing: Vec<i64> = ticks(&program.all).into_iter().filter(|tick| !here.contains(tick)).collect();
    let is_away = |tick: &i64| from.contains(tick) && !until.contains(tick);
    // A tick may be on its way to `all` when it is looked at.
    let between = missing.iter().filter(|tick| !is_away(tick)).count();
    assert!(between <= 1, "{missing:?} {until:?} {from:?} {log}");
    assert!(!missing.is_empty(), "it was there all the time");
}
