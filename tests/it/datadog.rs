//! `datadog` from the real program to a scripted receiver.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::peer::{Peer, Received, Reply};
use crate::support::program::{Daemon, TempDir};
use crate::support::wait_for;

fn config(peer: &Peer, more: &str) -> String {
    format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{"interval_seconds": 0.2}},
            "shippers": [{{"name": "dd", "type": "datadog", "endpoint": "{}", "datadog": {{"api_key": "s3cr3t-key"}},
                           "retry": {{"max_backoff": "500ms"}}, "spool": {{"mode": "memory"}}{more}}}]}}"#,
        peer.url("/intake")
    )
}

fn unpacked(request: &Received) -> Value {
    assert_eq!(request.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(&request.body[..]).read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn read(request: &Received) -> Vec<Value> {
    unpacked(request)["series"].as_array().unwrap().clone()
}

fn counted(daemon: &Daemon, outcome: &str) -> f64 {
    let requests = format!(r#"metricsd_destination_requests_total{{destination="dd",outcome="{outcome}"}}"#);
    daemon.metric(&requests).unwrap_or_default()
}

/// Whether a request has counts: of the network or the disks, which each host has.
fn has_counts(request: &Received) -> bool {
    read(request).iter().any(|one| one["type"] == 1)
}

#[test]
fn a_host_is_sent_with_its_key_in_the_header_alone_and_counts_from_the_second_body_on() {
    let peer = Peer::start(|_, _| Reply::Answer(202, vec![], r#"{"errors":[]}"#));
    let dir = TempDir::new();
    let _daemon = Daemon::start(dir.path(), &config(&peer, ""));
    let requests = wait_for("two requests", || Some(peer.received()).filter(|all| all.len() > 1));
    assert_eq!(requests[0].line, "POST /intake/api/v2/series HTTP/1.1");
    assert_eq!(requests[0].header("dd-api-key"), Some("s3cr3t-key"));
    assert!(!has_counts(&requests[0]) && has_counts(&requests[1]));
    let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
    for one in read(&requests[1]) {
        assert_eq!(one["resources"], serde_json::json!([{"name": host, "type": "host"}]));
        let is_count = one["metric"].as_str().unwrap().ends_with("_total");
        assert_eq!((&one["type"], one["interval"].is_i64()), (&Value::from(if is_count { 1 } else { 3 }), is_count));
    }
}

#[test]
fn a_reload_that_changes_the_destination_loses_no_increase() {
    let peer = Peer::start(|_, _| Reply::status(202));
    let dir = TempDir::new();
    let daemon = Daemon::start(dir.path(), &config(&peer, ""));
    wait_for("counts", || peer.received().last().filter(|last| has_counts(last)).map(|_| ()));
    let changed = config(&peer, r#", "labels": {"dc": "eu"}"#).replace("PORT", &daemon.port.to_string());
    std::fs::write(dir.path().join("config.json"), changed).unwrap();
    daemon.signal(Signal::SIGHUP);
    let has_label = |one: &Value| one["tags"].as_array().unwrap().iter().any(|tag| tag == "dc:eu");
    let first = wait_for("the label", || peer.received().into_iter().find(|one| read(one).iter().any(has_label)));
    assert!(has_counts(&first), "what came since the body before the reload");
}

#[test]
fn what_was_refused_is_lost_and_counted_and_in_no_later_body() {
    // It has been asked so often.
    static ASKED: AtomicU64 = AtomicU64::new(0);
    let target = Peer::start(|_, _| {
        let asked = ASKED.fetch_add(1, Ordering::SeqCst) + 1;
        let page = format!("# TYPE asked_total counter\nasked_total {asked}\n");
        Reply::Answer(200, vec![("Content-Type", "text/plain; version=0.0.4".to_owned())], page.leak())
    });
    let asked = |request: &Received| {
        let series = read(request);
        let of = |one: &Value| (one["metric"] == "asked_total").then(|| one["points"][0]["value"].as_f64().unwrap());
        series.iter().filter_map(of).sum::<f64>()
    };
    // The first body that has an increase of it is refused for good.
    let is_refused = AtomicBool::new(false);
    let peer = Peer::start(move |_, request| match asked(request) > 0.0 && !is_refused.swap(true, Ordering::SeqCst) {
        true => Reply::Answer(400, vec![], r#"{"errors":["Payload is not in the expected format"]}"#),
        false => Reply::status(202),
    });
    let dir = TempDir::new();
    let text = config(&peer, "");
    let endpoints =
        format!(r#"{{"endpoints": [{{"name": "app", "url": "{}", "format": "prometheus"}}], "#, target.url("/metrics"));
    let mut daemon = Daemon::start(dir.path(), &text.replacen('{', &endpoints, 1));
    let received = || peer.received().into_iter().filter(|request| asked(request) > 0.0).collect::<Vec<_>>();
    let requests = wait_for("requests with increases", || Some(received()).filter(|all| all.len() > 4));
    let lost = read(&requests[0]).len() as f64;
    let dropped = r#"metricsd_destination_samples_dropped_total{destination="dd",reason="rejected"}"#;
    assert_eq!(wait_for("the loss", || daemon.metric(dropped).filter(|lost| *lost > 0.0)), lost);
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0);
    // All that came, but for the first value, which is 1, is in one body each, the refused one included.
    let all: f64 = received().iter().map(asked).sum();
    let total = ASKED.load(Ordering::SeqCst) as f64;
    assert!(all <= total - 1.0 && all >= total - 3.0, "{all} of {total}");
}

#[test]
fn a_413_divides_and_a_403_is_held() {
    let peer = Peer::start(|n, request| match (n, read(request).len()) {
        (_, 31..) => Reply::Answer(413, vec![], r#"{"errors":["Payload too large"]}"#),
        _ => Reply::status(202),
    });
    let dir = TempDir::new();
    let daemon = Daemon::start(dir.path(), &config(&peer, ""));
    wait_for("bodies that fit", || {
        (counted(&daemon, "divided") > 0.0 && counted(&daemon, "delivered") > 4.0).then_some(())
    });
    assert_eq!(counted(&daemon, "rejected"), 0.0);
    drop(daemon);

    let peer = Peer::start(|_, _| Reply::Answer(403, vec![], r#"{"errors":["Forbidden"]}"#));
    let dir = TempDir::new();
    let daemon = Daemon::start(dir.path(), &config(&peer, ""));
    wait_for("a body that is held", || (counted(&daemon, "held") > 0.0).then_some(()));
    let log = wait_for("the log", || Some(daemon.log()).filter(|log| log.contains("check datadog.api_key")));
    assert!(log.contains("answered 403 Forbidden"), "{log}");
}

/// As [`config`], with applications that push.
fn config_of_logs(peer: &Peer) -> String {
    let push = r#"{"listen": {"push": {"enabled": true}}, "#;
    config(peer, r#", "labels": {"dc": "eu"}"#).replacen('{', push, 1)
}

/// The status that a push of an application's log records with these messages is answered with.
fn push(daemon: &Daemon, messages: &[&str]) -> u16 {
    let record = |message: &&str| {
        serde_json::json!({
            "timeUnixNano": "1700000000123456789", "severityNumber": 17, "severityText": "ERROR",
            "body": {"stringValue": message}, "traceId": "0102030405060708090a0b0c0d0e0f10",
            "spanId": "0102030405060708", "attributes": [{"key": "disk.free", "value": {"intValue": "7"}}]
        })
    };
    let records: Vec<Value> = messages.iter().map(record).collect();
    let body = serde_json::json!({"resourceLogs": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
        "scopeLogs": [{"logRecords": records}]
    }]});
    let body = body.to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", daemon.port)).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(90))).unwrap();
    let length = body.len();
    let head = "POST /v1/logs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    write!(stream, "{head}Content-Length: {length}\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

fn is_of_logs(request: &Received) -> bool {
    request.line.contains("/api/v2/logs")
}

#[test]
fn a_pushed_log_arrives_beside_the_metrics_at_a_path_of_its_own() {
    let peer = Peer::start(|_, request| Reply::Answer(202, vec![], if is_of_logs(request) { "{}" } else { "" }));
    let dir = TempDir::new();
    let daemon = Daemon::start(dir.path(), &config_of_logs(&peer));
    assert_eq!(push(&daemon, &["no space left"]), 200);
    let all = wait_for("metrics", || Some(peer.received()).filter(|all| !all.iter().all(is_of_logs)));
    let logs: Vec<&Received> = all.iter().filter(|request| is_of_logs(request)).collect();
    let [request] = &logs[..] else { panic!("{} requests", logs.len()) };
    assert_eq!(request.line, "POST /intake/api/v2/logs HTTP/1.1");
    assert_eq!(request.header("dd-api-key"), Some("s3cr3t-key"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
    let expected = serde_json::json!([{
        "timestamp": 1_700_000_000_123_i64, "hostname": host, "service": "shop", "ddsource": "shop",
        "status": "error", "ddtags": "dc:eu", "message": "no space left", "disk.free": 7, "service.name": "shop",
        "trace_id": "0102030405060708090a0b0c0d0e0f10", "span_id": "0102030405060708"
    }]);
    assert_eq!(unpacked(request), expected);
    for request in all.iter().filter(|request| !is_of_logs(request)) {
        assert_eq!(request.line, "POST /intake/api/v2/series HTTP/1.1");
        assert!(!read(request).is_empty());
    }
    let sent = r#"metricsd_destination_items_sent_total{destination="dd"}"#;
    assert_eq!(daemon.metric(sent), Some(1.0));
}

#[test]
fn a_413_divides_logs_and_a_400_is_their_end() {
    let peer = Peer::start(|_, request| match is_of_logs(request).then(|| unpacked(request)) {
        Some(all) if all.as_array().unwrap().len() > 1 => Reply::status(413),
        Some(all) if all[0]["message"] == "bad" => {
            Reply::Answer(400, vec![], r#"{"errors":[{"detail":"Malformed payload","status":"400"}]}"#)
        }
        _ => Reply::status(202),
    });
    let dir = TempDir::new();
    let daemon = Daemon::start(dir.path(), &config_of_logs(&peer));
    assert_eq!(push(&daemon, &["a", "bad", "b"]), 200);
    let single = |request: &Received| {
        let all = is_of_logs(request).then(|| unpacked(request))?;
        let [entry] = &all.as_array()?[..] else { return None };
        Some(entry["message"].as_str()?.to_owned())
    };
    let mut messages: Vec<String> = peer.received().iter().filter_map(single).collect();
    messages.sort();
    assert_eq!(messages, ["a", "b", "bad"]);
    let of = |series: &str| daemon.metric(&format!("metricsd_destination_items_{series}"));
    assert_eq!(of(r#"sent_total{destination="dd"}"#), Some(2.0));
    assert_eq!(of(r#"dropped_total{destination="dd",reason="rejected"}"#), Some(1.0));
}
