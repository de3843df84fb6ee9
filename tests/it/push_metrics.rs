//! Pushes of metrics: what an application sends to the program, what becomes of it, and what it is told.

use std::io::{Read, Write};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use nix::sys::signal::Signal;

use crate::own_metrics::{Series, is_stale, series};
use crate::server::{Answer, connect};
use crate::support::peer::{Peer, Reply};
use crate::support::program::{Daemon, TempDir};
use crate::support::wait_for;

fn taking(dir: &TempDir, push: &str, spool: &str, shippers: &str) -> Daemon {
    Daemon::start(
        dir.path(),
        &format!(
            r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{"interval_seconds": 60, "preset": "none"}},
                "spool": {spool}, "listen": {{"push": {{"enabled": true, {push}}}}}, "shippers": [{shippers}]}}"#
        ),
    )
}

pub fn post(daemon: &Daemon, path: &str, fields: &str, body: &[u8]) -> Answer {
    let mut stream = connect(([127, 0, 0, 1], daemon.port).into());
    let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n{fields}\r\n", body.len());
    stream.write_all(head.as_bytes()).unwrap();
    // What is too large may be cut off.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    Answer::of(&String::from_utf8_lossy(&answer))
}

fn text(daemon: &Daemon, query: &str, page: &str) -> Answer {
    post(daemon, &format!("/api/v1/push?{query}"), "Content-Type: text/plain\r\n", page.as_bytes())
}

fn remote_write(peer: &Peer) -> String {
    format!(r#"{{"name": "prom", "type": "prometheus_remote_write", "endpoint": "{}"}}"#, peer.url("/w"))
}

/// All that a peer was sent, request by request.
fn sent(peer: &Peer) -> Vec<Series> {
    peer.received().iter().map(series).collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_page_goes_to_destinations_and_pages_and_ends_when_it_does_not_come() {
    let dir = TempDir::new();
    let (prom, json) = (Peer::start(|_, _| Reply::status(200)), Peer::start(|_, _| Reply::status(200)));
    let shippers = format!(r#"{}, {{"type": "http_json", "endpoint": "{}"}}"#, remote_write(&prom), json.url("/j"));
    let daemon = taking(&dir, r#""expire": "3s""#, r#"{"mode": "memory"}"#, &shippers);
    let page = "# TYPE jobs_total counter\njobs_total{kind=\"a\"} 3\nage 7\n";
    let answer = text(&daemon, "job=backup&instance=db1", page);
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    // It was answered when both had it.
    let first = &sent(&prom)[0];
    assert_eq!(first.get("jobs_total{job=backup,kind=a}"), Some(&3.0), "{first:?}");
    assert_eq!(first.get("age{job=backup}"), Some(&7.0), "{first:?}");
    let payload: serde_json::Value = serde_json::from_slice(&json.received()[0].body).unwrap();
    let named = |name: &str| payload["metrics"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap();
    assert_eq!(named("jobs_total")["labels"]["instance"], "db1");
    assert_eq!(named("jobs_total")["value"].as_f64(), Some(3.0));
    assert_eq!(named("jobs_total")["type"], "counter");
    let shown = |series: &str| daemon.metric(series);
    assert_eq!(shown(r#"jobs_total{instance="db1",job="backup",kind="a"}"#), Some(3.0));
    // A push ends nothing by what it lacks.
    let answer = text(&daemon, "job=backup&instance=db1", "age 8\n");
    assert_eq!(answer.status, 204);
    let second = &sent(&prom)[1];
    assert_eq!(second.iter().collect::<Vec<_>>(), [(&"age{job=backup}".to_owned(), &8.0)]);
    assert_eq!(shown(r#"jobs_total{instance="db1",job="backup",kind="a"}"#), Some(3.0));
    // What does not come ends, each in its time.
    let ended = |name: &str| sent(&prom).iter().any(|request| request.get(name).is_some_and(is_stale));
    wait_for("the counter to end", || ended("jobs_total{job=backup,kind=a}").then_some(()));
    wait_for("all to end", || ended("age{job=backup}").then_some(()));
    wait_for("pages to forget it", || shown(r#"age{instance="db1",job="backup"}"#).is_none().then_some(()));
    assert_eq!(shown("metricsd_push_series"), Some(0.0));
    assert_eq!(shown(r#"metricsd_pushes_total{kind="text",outcome="taken"}"#), Some(2.0));
    // What ended has no place in a payload that cannot say so.
    assert!(json.received().iter().all(|request| String::from_utf8_lossy(&request.body).contains("age")));
}

#[test]
fn what_is_wrong_is_said_and_nothing_of_it_taken() {
    let dir = TempDir::new();
    let daemon = taking(&dir, r#""max_bytes": 100000, "max_series": 50"#, r#"{"mode": "memory"}"#, "");
    let refused = |query: &str, page: &str| {
        let answer = text(&daemon, query, page);
        (answer.status, answer.body)
    };
    assert_eq!(refused("job=a", "a 1\na 2\n"), (400, "a series of a stands twice\n".to_owned()));
    assert!(refused("job=a", "a 1\nb{ 2\n").1.starts_with("line 2: "));
    assert_eq!(refused("", "a 1\n").0, 400);
    assert_eq!(refused("job=a&jbo=b", "a 1\n").0, 400);
    let many: String = (0..51).map(|at| format!("a{at} 1\n")).collect();
    assert_eq!(refused("job=a", &many).0, 413);
    assert_eq!(text(&daemon, "job=a", &many.replace("a50 1\n", "")).status, 204);
    assert_eq!(refused("job=b", "b 1\n").0, 429);
    // A bomb, what is no gzip, half of one, and what is declared to be a gigabyte.
    let packed = |body: &[u8]| post(&daemon, "/api/v1/push?job=a", "Content-Encoding: gzip\r\n", body).status;
    let bomb = gzip(&vec![b'#'; 50 << 20]);
    assert!(bomb.len() < 100_000);
    assert_eq!(packed(&bomb), 413);
    assert_eq!(packed(b"a0 1\n"), 400);
    let whole = gzip(b"a0 17\n");
    assert_eq!(packed(&whole[..whole.len() - 4]), 400);
    assert_eq!(packed(&whole), 204);
    assert_eq!(post(&daemon, "/api/v1/push?job=a", "X: y\r\n", &vec![b'#'; 200_000]).status, 413);
    assert_eq!(daemon.metric(r#"a0{job="a"}"#), Some(17.0));
    assert_eq!(daemon.metric(r#"a1{job="a"}"#), Some(1.0));
    assert_eq!(daemon.metric(r#"metricsd_pushes_total{kind="text",outcome="unavailable"}"#), Some(1.0));
    assert_eq!(daemon.metric(r#"metricsd_pushes_total{kind="text",outcome="refused"}"#), Some(9.0));
    let health: serde_json::Value = serde_json::from_str(&daemon.get("/health").unwrap().1).unwrap();
    assert_eq!((&health["listen"]["push"]["series"], &health["listen"]["push"]["sources"]), (&50.into(), &1.into()));
    assert!(health["listen"]["push"]["last_error"].as_str().unwrap().contains("413"), "{health}");
    let rss: u64 = {
        let status = std::fs::read_to_string(daemon.proc("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    // Of the bomb's 50 MB.
    assert!(rss < 40_000, "{rss} KiB");
}

#[test]
fn it_is_answered_when_it_is_safe_and_not_before() {
    let dir = TempDir::new();
    let down = Peer::start(|_, _| Reply::status(500));
    let spool = format!(r#"{{"dir": "{}"}}"#, dir.path().join("spool").display());
    let mut daemon = taking(&dir, r#""expire": "60s""#, &spool, &remote_write(&down));
    // The destination does not take it, but it is on disk.
    assert_eq!(text(&daemon, "job=a", "a 42\n").status, 204);
    daemon.signal(Signal::SIGKILL);
    daemon.wait();
    let config = std::fs::read_to_string(dir.path().join("config.json")).unwrap();
    let up = Peer::start(|_, _| Reply::status(200));
    let port = crate::support::program::free_port();
    let config = config.replace(&down.url("/w"), &up.url("/w")).replace(&daemon.port.to_string(), &port.to_string());
    let path = dir.write("again.json", &config);
    let _daemon = Daemon::spawn(crate::support::program::metricsd().arg("-config").arg(path), port);
    wait_for("what was on disk", || {
        sent(&up).iter().any(|request| request.get("a{job=a}") == Some(&42.0)).then_some(())
    });
    // It does not end at once, though nothing comes any more.
    std::thread::sleep(Duration::from_millis(1500));
    assert!(!sent(&up).iter().any(|request| request.get("a{job=a}").is_some_and(is_stale)));
}

#[test]
fn a_reload_changes_its_bounds_and_switches_it_off() {
    let (dir, peer) = (TempDir::new(), Peer::start(|_, _| Reply::status(200)));
    let daemon = taking(&dir, r#""max_series": 1"#, r#"{"mode": "memory"}"#, &remote_write(&peer));
    assert_eq!(text(&daemon, "job=a", "a 1\n").status, 204);
    assert_eq!(text(&daemon, "job=a", "b 1\n").status, 429);
    let reload = |from: &str, to: &str| {
        let path = dir.path().join("config.json");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        std::fs::write(&path, text.replace(from, to)).unwrap();
        let before = daemon.log().matches("eloaded in").count();
        daemon.signal(Signal::SIGHUP);
        wait_for("the reload", || (daemon.log().matches("eloaded in").count() > before).then_some(()));
    };
    reload("\"max_series\": 1", "\"max_series\": 2");
    assert_eq!(text(&daemon, "job=a", "b 1\n").status, 204);
    assert_eq!(daemon.metric(r#"a{job="a"}"#), Some(1.0));
    reload("\"enabled\": true", "\"enabled\": false");
    assert_eq!(text(&daemon, "job=a", "b 1\n").status, 404);
    wait_for("its series to be gone", || daemon.metric(r#"a{job="a"}"#).is_none().then_some(()));
}
