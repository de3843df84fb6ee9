//! A spool's disk that hangs, beside a destination that is well.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::Signal;

use crate::support::mounts::{Namespace, Silent};
use crate::support::peer::{Peer, Reply};
use crate::support::program::{Daemon, TempDir, free_port, metricsd};
use crate::support::{wait_for, wait_long_for};

fn time_of(payload: &[u8]) -> i64 {
    let payload: serde_json::Value = serde_json::from_slice(payload).unwrap();
    payload["timestamp_ms"].as_i64().unwrap()
}

/// `link` leads to `to` from now on.
fn lead(link: &Path, to: &Path) {
    let new = link.with_extension("new");
    symlink(to, &new).unwrap();
    fs::rename(new, link).unwrap();
}

/// metricsd beside a spool whose disk hangs when the test says so, and a file that is told of each tick.
struct Set {
    daemon: Daemon,
    peer: Peer,
    /// The peer answers 503.
    fails: Arc<AtomicBool>,
    silent: Silent,
    dir: TempDir,
    _namespace: Namespace,
}

impl Set {
    /// None where this machine allows no mounts that hang.
    fn start() -> Option<Set> {
        let namespace = Namespace::new()?;
        let dir = TempDir::new();
        let [link, real, place] = ["spool", "real", "mount"].map(|name| dir.path().join(name));
        fs::create_dir(&real).unwrap();
        fs::create_dir(&place).unwrap();
        lead(&link, &real);
        let silent = namespace.silent(&place);
        let fails = Arc::new(AtomicBool::new(false));
        let is_failing = Arc::clone(&fails);
        let peer = Peer::start(move |_, _| Reply::status(if is_failing.load(Ordering::SeqCst) { 503 } else { 200 }));
        let port = free_port();
        // Without those that hand in between two ticks, requests are ticks.
        let config = dir.write(
            "config.json",
            &format!(
                r#"{{"server": {{"host": "127.0.0.1", "port": {port}}}, "collector": {{"interval_seconds": 0.1, "enable_disk": false}},
                    "spool": {{"dir": "{dir}/spool"}},
                    "shippers": [{{"name": "remote", "type": "http_json", "endpoint": "{}"}},
                                 {{"name": "record", "type": "file", "endpoint": "{dir}/record.jsonl"}}]}}"#,
                peer.url("/in"),
                dir = dir.path().display()
            ),
        );
        let mut program = metricsd();
        program.args(["-config", config.to_str().unwrap()]);
        let daemon = Daemon::spawn(&mut namespace.command(&program), port);
        wait_for("some ticks", || (peer.received().len() > 3).then_some(()));
        Some(Set { daemon, peer, fails, silent, dir, _namespace: namespace })
    }

    /// From here on whoever looks into the spool's directory does not come back; and a request
    /// that fails makes somebody do so.
    fn hang(&self) {
        lead(&self.dir.path().join("spool"), &self.dir.path().join("mount"));
        self.fails.store(true, Ordering::SeqCst);
        let failed = r#"metricsd_destination_requests_total{destination="remote",outcome="retried"}"#;
        wait_for("a failure", || self.daemon.metric(failed).filter(|failed| *failed > 0.0));
    }

    /// The ticks that were collected.
    fn record(&self) -> BTreeSet<i64> {
        let record = fs::read_to_string(self.dir.path().join("record.jsonl")).unwrap();
        record.lines().map(|line| time_of(line.as_bytes())).collect()
    }
}

#[test]
fn a_disk_that_hangs_keeps_nothing_from_a_destination_that_is_well_nor_the_program_from_ending() {
    let Some(mut set) = Set::start() else { return };
    set.hang();
    set.fails.store(false, Ordering::SeqCst);
    let from = set.peer.received().len();
    let log = |set: &Set| set.daemon.log();
    wait_long_for("the disk to be said to hang", || {
        log(&set).contains("destination remote: its spool's disk hangs; what is in memory is sent").then_some(())
    });
    // Not only once that was found out: ten seconds of ticks have come since.
    assert!(set.peer.received().len() > from + 50, "{} came", set.peer.received().len() - from);
    let health: serde_json::Value = serde_json::from_str(&set.daemon.get("/health").unwrap().1).unwrap();
    assert_eq!(health["destinations"]["remote"]["state"], "ok", "{health}");

    set.daemon.signal(Signal::SIGTERM);
    assert_eq!(set.daemon.wait(), 0, "{}", log(&set));
    wait_for("what that costs", || {
        log(&set).contains("destination remote: its spool's disk hangs; nothing waits in memory for it").then_some(())
    });
    let sent: BTreeSet<i64> = set.peer.received().iter().map(|request| time_of(&request.body)).collect();
    assert_eq!(sent, set.record(), "each tick: {}", log(&set));
    drop(set.silent);
}

#[test]
fn what_a_disk_that_hangs_costs_at_the_end_is_said_with_its_destination_and_how_many() {
    let Some(mut set) = Set::start() else { return };
    set.hang();
    let waiting = r#"metricsd_destination_queue_frames{destination="remote"}"#;
    wait_for("some to wait", || set.daemon.metric(waiting).filter(|waiting| *waiting > 5.0));
    set.daemon.signal(Signal::SIGTERM);
    assert_eq!(set.daemon.wait(), 0, "{}", set.daemon.log());
    let log = wait_for("the end of the log", || Some(set.daemon.log()).filter(|log| log.contains("stopped in")));
    // What has failed is tried again and again, with all that follows behind it.
    let tried: Vec<i64> = set.peer.received().iter().map(|request| time_of(&request.body)).collect();
    let failed = *tried.last().unwrap();
    let taken: BTreeSet<i64> = tried.into_iter().filter(|time| *time != failed).collect();
    let lost = set.record().difference(&taken).count();
    let said = format!("destination remote: its spool's disk hangs; lost: {lost} request");
    let line = log.lines().find(|line| line.contains(&said)).unwrap_or_else(|| panic!("no {said}: {log}"));
    assert!(line.ends_with(" samples) that it has not taken"), "{line}");
    assert!(!line.contains("(0 samples)"), "{line}");
    drop(set.silent);
}
