//! A spool's disk that hangs, beside a destination that is well.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::Signal;

use crate::support::mounts::Namespace;
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

#[test]
fn a_disk_that_hangs_keeps_nothing_from_a_destination_that_is_well_nor_the_program_from_ending() {
    let Some(namespace) = Namespace::new() else { return };
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
    let config = dir.write(
        "config.json",
        &format!(
            r#"{{"server": {{"host": "127.0.0.1", "port": {port}}}, "collector": {{"interval_seconds": 0.1}},
                "spool": {{"dir": "{dir}/spool"}},
                "shippers": [{{"name": "remote", "type": "http_json", "endpoint": "{}"}},
                             {{"name": "record", "type": "file", "endpoint": "{dir}/record.jsonl"}}]}}"#,
            peer.url("/in"),
            dir = dir.path().display()
        ),
    );
    let mut program = metricsd();
    program.args(["-config", config.to_str().unwrap()]);
    let mut daemon = Daemon::spawn(&mut namespace.command(&program), port);
    wait_for("some ticks", || (peer.received().len() > 3).then_some(()));

    // From here on whoever looks into the spool's directory does not come back; and a request
    // that fails makes somebody do so.
    lead(&link, &place);
    fails.store(true, Ordering::SeqCst);
    let failed = r#"metricsd_destination_requests_total{destination="remote",outcome="retried"}"#;
    wait_for("a failure", || daemon.metric(failed).filter(|failed| *failed > 0.0));
    fails.store(false, Ordering::SeqCst);
    let from = peer.received().len();
    wait_long_for("the disk to be said to hang", || {
        daemon.log().contains("destination remote: its spool's disk hangs; what is in memory is sent").then_some(())
    });
    // Not only once that was found out: ten seconds of ticks have come since.
    assert!(peer.received().len() > from + 50, "{} came", peer.received().len() - from);
    let health: serde_json::Value = serde_json::from_str(&daemon.get("/health").unwrap().1).unwrap();
    assert_eq!(health["destinations"]["remote"]["state"], "ok", "{health}");

    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0, "{}", daemon.log());
    drop(silent);
    let record = fs::read_to_string(dir.path().join("record.jsonl")).unwrap();
    // Of the mount that hangs there is a batch of its own, of a time of its own.
    let record: BTreeSet<i64> = record.lines().map(|line| time_of(line.as_bytes())).collect();
    let sent: BTreeSet<i64> = peer.received().iter().map(|request| time_of(&request.body)).collect();
    assert_eq!(sent, record, "each tick: {}", daemon.log());
}
