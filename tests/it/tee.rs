//! `tee_file`: what a destination is sent, written down beside it.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::peer::{Peer, Reply};
use crate::support::program::{Daemon, TempDir};
use crate::support::wait_for;

fn start(dir: &TempDir, peer: &Peer, more: &str) -> Daemon {
    let config = format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{"interval_seconds": 0.1}},
            "shippers": [{{"name": "remote", "type": "prometheus_remote_write", "endpoint": "{}",
                           "labels": {{"long": "{}"}}, "transforms": [{{"keep": {{"name": "system_(load_1m|uptime_seconds)"}}}}],
                           "spool": {{"mode": "memory"}}, "tee_file": {{{more}}}}}]}}"#,
        peer.url("/w"),
        // Some ticks fill the smallest file that may be.
        "x".repeat(2000)
    );
    Daemon::start(dir.path(), &config)
}

fn payloads(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_is_sent_is_a_line_of_json_each_whatever_the_format_and_files_are_put_by() {
    let peer = Peer::start(|_, _| Reply::status(204));
    let dir = TempDir::new();
    let path = dir.path().join("deeper/out.jsonl");
    let mut daemon = start(&dir, &peer, &format!(r#""path": {path:?}, "max_bytes": 65536, "keep": 2"#));
    let numbered = |number: u32| dir.path().join(format!("deeper/out.jsonl.{number}"));
    wait_for("a file that is put by", || numbered(1).exists().then_some(()));
    let sent = r#"metricsd_destination_samples_sent_total{destination="remote"}"#;
    assert!(daemon.metric(sent).is_some_and(|sent| sent > 0.0));
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0);
    let old = fs::read_to_string(numbered(1)).unwrap();
    assert!(old.len() <= 65536 && !numbered(2).exists());
    let all = payloads(&(old + &fs::read_to_string(&path).unwrap()));
    for payload in &all {
        let metrics = payload["metrics"].as_array().unwrap();
        let names: Vec<&str> = metrics.iter().map(|metric| metric["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["system_load_1m", "system_uptime_seconds"], "what its rules leave");
        assert_eq!(metrics[0]["labels"]["job"], "metricsd");
    }
    // Each request is there, and nothing else.
    let times: Vec<i64> = all.iter().map(|payload| payload["timestamp_ms"].as_i64().unwrap()).collect();
    assert!(times.is_sorted());
    assert_eq!(times.len(), peer.received().len());
}

#[test]
fn a_file_that_cannot_be_written_is_said_once_and_stops_nothing() {
    let peer = Peer::start(|_, _| Reply::status(204));
    let dir = TempDir::new();
    let path = dir.write("no directory", "").join("out.jsonl");
    let daemon = start(&dir, &peer, &format!(r#""path": {path:?}"#));
    wait_for("requests", || (peer.received().len() > 5).then_some(()));
    let log = wait_for("the log", || Some(daemon.log()).filter(|log| log.contains("tee_file: cannot write")));
    assert_eq!(log.matches("tee_file").count(), 1, "{log}");
    let (_, health) = daemon.get("/health").unwrap();
    assert!(health.contains(r#""status":"healthy""#), "{health}");
}

#[test]
fn one_that_is_never_read_holds_nothing_up() {
    let peer = Peer::start(|_, _| Reply::status(204));
    let dir = TempDir::new();
    // Opening a pipe waits for who reads it.
    let path = dir.path().join("pipe");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut daemon = start(&dir, &peer, &format!(r#""path": {path:?}"#));
    wait_for("requests", || (peer.received().len() > 30).then_some(()));
    wait_for("the log", || daemon.log().contains("does not keep up").then_some(()));
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0);
}

#[test]
fn records_are_written_there_as_well_by_the_one_who_writes_the_metrics() {
    let peer = Peer::start(|_, _| Reply::status(200));
    let dir = TempDir::new();
    let path = dir.path().join("out.jsonl");
    let config = format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{"interval_seconds": 0.2}},
            "listen": {{"push": {{"enabled": true}}}},
            "shippers": [{{"name": "otlp", "type": "otlp_http", "endpoint": "{}", "spool": {{"mode": "memory"}},
                           "tee_file": {{"path": {path:?}}}}}]}}"#,
        peer.url("")
    );
    let mut daemon = Daemon::start(dir.path(), &config);
    let logs = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"no space left"}}]}]}]}"#;
    let url = format!("http://127.0.0.1:{}/v1/logs", daemon.port);
    wait_for("the push", || ureq::post(&url).header("Content-Type", "application/json").send(logs).ok());
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0);
    let all = payloads(&fs::read_to_string(&path).unwrap());
    let of = |name: &str| all.iter().filter(|payload| payload[name].is_array()).count();
    assert!(of("metrics") > 0 && of("logs") == 1, "{all:?}");
    let records = all.iter().find(|payload| payload["logs"].is_array()).unwrap();
    assert_eq!(records["logs"][0]["message"], "no space left");
}
