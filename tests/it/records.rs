//! Records that are pushed to the real program: where they arrive, and what their sender is answered.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use nix::sys::signal::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use crate::support::peer::{Peer, Received, Reply};
use crate::support::program::{Daemon, TempDir, metricsd};
use crate::support::spool::has_frame;
use crate::support::wait_for;

/// The longest that a push is waited for, in real time.
const LIMIT: Duration = Duration::from_secs(90);

fn text(text: &str) -> Option<AnyValue> {
    Some(AnyValue { value: Some(any_value::Value::StringValue(text.to_owned())) })
}

/// An application's request with these messages.
fn request(messages: &[&str]) -> ExportLogsServiceRequest {
    let attributes = vec![KeyValue { key: "service.name".to_owned(), value: text("shop"), ..KeyValue::default() }];
    let record = |message: &&str| LogRecord { body: text(message), severity_number: 9, ..LogRecord::default() };
    let log_records = messages.iter().map(record).collect();
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_logs: vec![ScopeLogs { log_records, ..ScopeLogs::default() }],
            schema_url: String::new(),
        }],
    }
}

const PROTOBUF: &str = "Content-Type: application/x-protobuf\r\n";

/// Pushes a body; status, head and body of the answer. None: the connection broke.
fn try_push(port: u16, fields: &str, body: &[u8]) -> Option<(u16, String, Vec<u8>)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let length = body.len();
    let head = format!("POST /v1/logs HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{fields}\r\n");
    stream.write_all(&[head.as_bytes(), body].concat()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1)?.parse().unwrap();
    Some((status, head, answer[end + 4..].to_vec()))
}

/// The status that these messages, pushed, are answered with.
pub fn push(daemon: &Daemon, messages: &[&str]) -> u16 {
    try_push(daemon.port, PROTOBUF, &request(messages).encode_to_vec()).expect("an answer").0
}

pub fn config(dir: &Path, shippers: &str) -> String {
    format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{"interval_seconds": 0.2}},
            "spool": {{"dir": "{}/spool"}}, "listen": {{"push": {{"enabled": true, "max_bytes": 1048576}}}},
            "shippers": [{shippers}]}}"#,
        dir.display()
    )
}

/// The messages in what came to `/v1/logs` of an `otlp_http` destination, or to one of `http_json`.
fn messages(request: &Received) -> Vec<String> {
    if request.line.contains("/v1/logs") {
        let plain = match request.header("content-encoding") {
            Some("gzip") => {
                let mut plain = Vec::new();
                flate2::read::GzDecoder::new(&request.body[..]).read_to_end(&mut plain).unwrap();
                plain
            }
            _ => request.body.clone(),
        };
        let decoded = match request.header("content-type") {
            Some("application/json") => serde_json::from_slice(&plain).unwrap(),
            _ => ExportLogsServiceRequest::decode(&plain[..]).unwrap(),
        };
        let records = decoded.resource_logs.into_iter().flat_map(|of| of.scope_logs).flat_map(|of| of.log_records);
        return records
            .map(|record| match record.body.unwrap().value.unwrap() {
                any_value::Value::StringValue(text) => text,
                other => panic!("{other:?}"),
            })
            .collect();
    }
    messages_of_json(&request.body)
}

/// Those of a JSON payload; none where it is one of metrics.
fn messages_of_json(body: &[u8]) -> Vec<String> {
    let payload: serde_json::Value = serde_json::from_slice(body).unwrap();
    let logs = payload["logs"].as_array().cloned().unwrap_or_default();
    logs.iter().map(|record| record["message"].as_str().unwrap().to_owned()).collect()
}

fn all_messages(peer: &Peer) -> Vec<String> {
    peer.received().iter().flat_map(messages).collect()
}

/// As [`all_messages`], of those that are about logs at all.
fn logs_of(peer: &Peer) -> Vec<String> {
    let of_logs = |request: &&Received| !request.line.contains("/v1/metrics");
    peer.received().iter().filter(of_logs).flat_map(messages).collect()
}

#[test]
fn what_is_pushed_arrives_in_every_format_that_carries_records() {
    let (otlp, json, metrics_alone) = (
        Peer::start(|_, _| Reply::status(200)),
        Peer::start(|_, _| Reply::status(200)),
        Peer::start(|_, _| Reply::status(200)),
    );
    let dir = TempDir::new();
    let lines = dir.path().join("out.jsonl");
    let shippers = format!(
        r#"{{"name": "otlp", "type": "otlp_http", "endpoint": "{}"}},
           {{"name": "alone", "type": "otlp_http", "endpoint": "{}", "encoding": "json", "compression": "none"}},
           {{"name": "metrics", "type": "otlp_http", "endpoint": "{}"}},
           {{"name": "json", "type": "http_json", "endpoint": "{}", "labels": {{"dc": "eu"}}}},
           {{"name": "prom", "type": "prometheus_remote_write", "endpoint": "{}"}},
           {{"name": "lines", "type": "file", "endpoint": "{}"}}"#,
        otlp.url("/base"),
        otlp.url("/other/v1/logs"),
        metrics_alone.url("/v1/metrics"),
        json.url("/in"),
        metrics_alone.url("/api/v1/write"),
        lines.display()
    );
    let daemon = Daemon::start(dir.path(), &config(dir.path(), &shippers));
    // In protobuf, plain and packed, and in JSON.
    assert_eq!(push(&daemon, &["a", "b"]), 200);
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&request(&["c"]).encode_to_vec()).unwrap();
    let fields = format!("{PROTOBUF}Content-Encoding: gzip\r\n");
    let (status, head, body) = try_push(daemon.port, &fields, &packed.finish().unwrap()).unwrap();
    assert_eq!((status, body.len()), (200, 0), "an empty message says that all of it was taken");
    assert!(head.contains("Content-Type: application/x-protobuf"), "{head}");
    let as_json = serde_json::to_vec(&request(&["d \"quoted\"\n"])).unwrap();
    let (status, _, body) = try_push(daemon.port, "Content-Type: application/json\r\n", &as_json).unwrap();
    assert_eq!((status, &*body), (200, &b"{}"[..]));

    // Who was answered 200 knows that it has arrived.
    let expected = ["a", "b", "c", "d \"quoted\"\n"];
    let of = |path: &str| -> Vec<String> {
        otlp.received()
            .iter()
            .filter(|request| request.line.starts_with(&format!("POST {path} ")))
            .flat_map(messages)
            .collect()
    };
    assert_eq!(of("/base/v1/logs"), expected);
    assert_eq!(of("/other/v1/logs"), expected);
    assert_eq!(all_messages(&json), expected);
    let written = std::fs::read_to_string(&lines).unwrap();
    assert_eq!(written.lines().flat_map(|line| messages_of_json(line.as_bytes())).collect::<Vec<_>>(), expected);
    let is_for_metrics = |request: &Received| !request.line.contains("logs");
    assert!(metrics_alone.received().iter().all(is_for_metrics));
    let payload = json.received().into_iter().find(|request| !messages(request).is_empty()).unwrap();
    let payload: serde_json::Value = serde_json::from_slice(&payload.body).unwrap();
    let record = &payload["logs"][0];
    assert_eq!(
        (&record["source"], &record["labels"]["dc"], &record["severity"]),
        (&"shop".into(), &"eu".into(), &"info".into())
    );
    assert!(payload["resource"]["host.name"].is_string());

    // Metrics go their own way, beside them, and the page tells of both.
    wait_for("metrics", || {
        otlp.received().iter().any(|request| request.line.contains("/base/v1/metrics")).then_some(())
    });
    let of_records = |series: &str| daemon.metric(&format!("metricsd_destination_{series}"));
    assert_eq!(of_records(r#"items_sent_total{destination="otlp"}"#), Some(4.0));
    assert_eq!(of_records(r#"items_sent_total{destination="prom"}"#), None, "there is no lane for them");
    assert!(!otlp.received().iter().any(|request| request.line.contains("/other/v1/metrics")));
    assert!(!has_frame(&dir.path().join("spool/otlp@records")), "what is delivered at once touches no disk");
}

#[test]
fn without_pushes_there_are_no_more_threads_than_ever() {
    let peer = Peer::start(|_, _| Reply::status(200));
    let dir = TempDir::new();
    let shippers = format!(r#"{{"name": "otlp", "type": "otlp_http", "endpoint": "{}"}}"#, peer.url(""));
    let on = config(dir.path(), &shippers);
    let off = on.replace(r#""enabled": true"#, r#""enabled": false"#);
    let daemon = Daemon::start(dir.path(), &off);
    let threads = || -> BTreeSet<String> {
        let all = std::fs::read_dir(daemon.proc("task")).unwrap().map(|task| task.unwrap().path().join("comm"));
        all.filter_map(|comm| Some(std::fs::read_to_string(comm).ok()?.trim().to_owned())).collect()
    };
    let of_records = || threads().into_iter().filter(|name| name.contains('@') || name == "push").count();
    assert_eq!(of_records(), 0);
    let (status, ..) = try_push(daemon.port, PROTOBUF, &request(&["a"]).encode_to_vec()).unwrap();
    assert!(matches!(status, 404 | 405), "{status}");
    // A reload brings them, and takes them away.
    std::fs::write(dir.path().join("config.json"), on.replace("PORT", &daemon.port.to_string())).unwrap();
    daemon.signal(Signal::SIGHUP);
    wait_for("the push thread and a lane", || (of_records() == 4).then_some(()));
    wait_for("a push to be taken", || (push(&daemon, &["b"]) == 200).then_some(()));
    assert!(logs_of(&peer).contains(&"b".to_owned()));
    std::fs::write(dir.path().join("config.json"), off.replace("PORT", &daemon.port.to_string())).unwrap();
    daemon.signal(Signal::SIGHUP);
    wait_for("them to be gone", || (of_records() == 0).then_some(()));
}

#[test]
fn a_404_for_logs_holds_no_metric() {
    let peer = Peer::start(|_, request| Reply::status(if request.line.contains("/v1/logs") { 404 } else { 200 }));
    let dir = TempDir::new();
    let shippers = format!(r#"{{"name": "otlp", "type": "otlp_http", "endpoint": "{}"}}"#, peer.url(""));
    let daemon = Daemon::start(dir.path(), &config(dir.path(), &shippers));
    let begun = Instant::now();
    assert_eq!(push(&daemon, &["a"]), 200, "it is on disk");
    assert!(begun.elapsed() < Duration::from_secs(20), "and that took no longer than a sync: {:?}", begun.elapsed());
    let (_, health) = daemon.get("/health").unwrap();
    let health: serde_json::Value = serde_json::from_str(&health).unwrap();
    assert_eq!(health["destinations"]["otlp"]["state"], "held", "the worse of both");
    let reasons = health["reasons"].to_string();
    assert!(reasons.contains("destination otlp@records is held: ") && reasons.contains("404"), "{reasons}");
    assert!(dir.path().join("spool/otlp@records").is_dir());
    // Metrics go on, with none waiting: only the record does.
    let metrics = || peer.received().iter().filter(|request| request.line.contains("/v1/metrics")).count();
    let before = metrics();
    wait_for("more metrics", || (metrics() > before + 3).then_some(()));
    let frames = || daemon.metric(r#"metricsd_destination_queue_frames{destination="otlp"}"#);
    wait_for("the record to be all that waits", || frames().filter(|frames| *frames == 1.0));
}

#[test]
fn who_is_refused_for_good_need_not_send_again() {
    let peer = Peer::start(|_, request| Reply::status(if request.line.contains("/v1/logs") { 400 } else { 200 }));
    let dir = TempDir::new();
    let shippers = format!(
        r#"{{"name": "otlp", "type": "otlp_http", "endpoint": "{}", "spool": {{"mode": "memory"}}}}"#,
        peer.url("")
    );
    let daemon = Daemon::start(dir.path(), &config(dir.path(), &shippers));
    assert_eq!(push(&daemon, &["a", "b"]), 200);
    let dropped = daemon.metric(r#"metricsd_destination_items_dropped_total{destination="otlp",reason="rejected"}"#);
    assert_eq!(dropped, Some(2.0));
    assert!(daemon.log().contains("destination otlp@records: will never take this request"), "{}", daemon.log());
    assert!(daemon.log().contains("2 of its 2 records are dropped"), "{}", daemon.log());
}

#[test]
fn a_part_that_a_receiver_refuses_is_counted_as_records() {
    let body = r#"{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"too old"}}"#;
    let peer = Peer::start(move |_, _| Reply::Answer(200, vec![("Content-Type", "application/json".into())], body));
    let dir = TempDir::new();
    let shippers = format!(
        r#"{{"name": "otlp", "type": "otlp_http", "endpoint": "{}", "encoding": "json"}}"#,
        peer.url("/v1/logs")
    );
    let daemon = Daemon::start(dir.path(), &config(dir.path(), &shippers));
    assert_eq!(push(&daemon, &["a", "b", "c"]), 200);
    let of = |series: &str| daemon.metric(&format!("metricsd_destination_items_{series}"));
    assert_eq!(of(r#"sent_total{destination="otlp"}"#), Some(1.0));
    assert_eq!(of(r#"dropped_total{destination="otlp",reason="refused"}"#), Some(2.0));
    assert!(daemon.log().contains("wrote 1 of its 3 records; the others are lost: too old"), "{}", daemon.log());
}

#[test]
fn a_body_that_is_too_large_is_divided() {
    let peer = Peer::start(|_, request| Reply::status(if messages(request).len() > 3 { 413 } else { 200 }));
    let dir = TempDir::new();
    let shippers = format!(r#"{{"name": "otlp", "type": "otlp_http", "endpoint": "{}"}}"#, peer.url("/v1/logs"));
    let daemon = Daemon::start(dir.path(), &config(dir.path(), &shippers));
    let all: Vec<String> = (0..10).map(|n| n.to_string()).collect();
    assert_eq!(push(&daemon, &all.iter().map(String::as_str).collect::<Vec<_>>()), 200);
    let taken: Vec<String> =
        peer.received().iter().map(messages).filter(|messages| messages.len() <= 3).flatten().collect();
    assert_eq!(taken, all);
    assert_eq!(daemon.metric(r#"metricsd_destination_items_sent_total{destination="otlp"}"#), Some(10.0));
}

#[test]
fn with_no_disk_a_sender_waits_for_half_a_minute_and_is_to_send_again() {
    // One hangs, one fails, and neither has a disk.
    let hangs = Peer::start(|_, _| Reply::Hang);
    let fails = Peer::start(|_, _| Reply::status(503));
    let dir = TempDir::new();
    let shippers = format!(
        r#"{{"name": "hangs", "type": "otlp_http", "endpoint": "{}", "timeout": "2m", "spool": {{"mode": "memory"}}}},
           {{"name": "fails", "type": "otlp_http", "endpoint": "{}", "spool": {{"mode": "memory"}}}}"#,
        hangs.url("/v1/logs"),
        fails.url("/v1/logs"),
    );
    let daemon = Daemon::start(dir.path(), &config(dir.path(), &shippers));
    let begun = Instant::now();
    let body = request(&["a"]).encode_to_vec();
    let (status, head, body) = try_push(daemon.port, PROTOBUF, &body).unwrap();
    let took = begun.elapsed();
    assert_eq!(status, 503);
    assert!(head.contains("Retry-After: "), "{head}");
    assert!(String::from_utf8_lossy(&body).contains("try again"), "{body:?}");
    // Before the server's own patience is over, which is a longer one.
    assert!(took >= Duration::from_secs(29) && took < Duration::from_secs(44), "{took:?}");
    let lost = |name: &str| {
        let reason = format!(r#"items_dropped_total{{destination="{name}",reason="unconfirmed"}}"#);
        daemon.metric(&format!("metricsd_destination_{reason}"))
    };
    wait_for("the loss", || lost("fails").filter(|lost| *lost == 1.0));
    assert_eq!(lost("hangs"), Some(0.0), "its request may still be answered");
    assert!(daemon.log().contains("lost 1 record: it was in memory for 30 s"), "{}", daemon.log());
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let is_up = Arc::new(AtomicBool::new(true));
    let up = Arc::clone(&is_up);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = Peer::start_on(listener, move |_, _| Reply::status(if up.load(Ordering::Relaxed) { 200 } else { 503 }));
    let dir = TempDir::new();
    let shippers = format!(
        r#"{{"name": "otlp", "type": "otlp_http", "endpoint": "{}"}},
           {{"name": "json", "type": "http_json", "endpoint": "{}"}}"#,
        peer.url("/otlp/v1/logs"),
        peer.url("/json")
    );
    let config = config(dir.path(), &shippers);
    let mut acknowledged: Vec<String> = Vec::new();
    for (round, up) in [true, false, false].into_iter().enumerate() {
        is_up.store(up, Ordering::Relaxed);
        let mut daemon = Daemon::start(dir.path(), &config);
        let port = Arc::new(AtomicU16::new(daemon.port));
        let over = Arc::new(AtomicBool::new(false));
        let pushers: Vec<_> = (0..4)
            .map(|pusher| {
                let (port, over) = (Arc::clone(&port), Arc::clone(&over));
                std::thread::spawn(move || {
                    let mut taken = Vec::new();
                    for number in 0.. {
                        if over.load(Ordering::Relaxed) {
                            break;
                        }
                        let message = format!("{round}-{pusher}-{number}");
                        let body = request(&[&message]).encode_to_vec();
                        if let Some((200, ..)) = try_push(port.load(Ordering::Relaxed), PROTOBUF, &body) {
                            taken.push(message);
                        }
                    }
                    taken
                })
            })
            .collect();
        // At some point in the middle of it, when some were taken.
        let sent_or_kept = || {
            let count = |series: &str| daemon.metric(&format!("metricsd_destination_{series}"));
            Some(count(r#"items_sent_total{destination="json"}"#)? + count(r#"queue_frames{destination="json"}"#)?)
        };
        wait_for("some pushes", || sent_or_kept().filter(|count| *count > 12.0));
        std::thread::sleep(Duration::from_millis(1500 + 137 * round as u64));
        daemon.signal(Signal::SIGKILL);
        over.store(true, Ordering::Relaxed);
        assert_eq!(daemon.wait(), -1);
        let taken: Vec<String> = pushers.into_iter().flat_map(|pusher| pusher.join().unwrap()).collect();
        assert!(!taken.is_empty(), "round {round}");
        acknowledged.extend(taken);
    }
    is_up.store(true, Ordering::Relaxed);
    let daemon = Daemon::start(dir.path(), &config);
    let arrived = |path: &str| -> BTreeSet<String> {
        let all = peer.received();
        all.iter().filter(|request| request.line.starts_with(&format!("POST {path}"))).flat_map(messages).collect()
    };
    for path in ["/otlp", "/json"] {
        let missing = || -> Vec<String> {
            let arrived = arrived(path);
            acknowledged.iter().filter(|message| !arrived.contains(*message)).cloned().collect()
        };
        wait_for("all that was acknowledged", || missing().is_empty().then_some(()));
    }
    drop(daemon);
}

#[test]
fn bad_pushes_are_answered_in_words_and_harm_nobody() {
    let peer = Peer::start(|_, _| Reply::status(200));
    let dir = TempDir::new();
    let shippers = format!(r#"{{"name": "json", "type": "http_json", "endpoint": "{}"}}"#, peer.url("/in"));
    let daemon = Daemon::start(dir.path(), &config(dir.path(), &shippers));
    let json = "Content-Type: application/json\r\n";
    let gzip = "Content-Type: application/json\r\nContent-Encoding: gzip\r\n";
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&vec![b' '; 64 << 20]).unwrap();
    let bomb = bomb.finish().unwrap();
    let many = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{}{{}}]}}]}}]}}"#, "{},".repeat(300_000));
    for (fields, body, status, said) in [
        ("", &b"x"[..], 415, "OTLP is application/x-protobuf or application/json"),
        (json, b"", 400, "it is not understood: expected a JSON object"),
        (json, b"<html>", 400, "it is not understood: expected a JSON object"),
        (json, b"{\"resourceLogs\":[{\"scopeLogs\":", 400, "EOF while parsing"),
        (gzip, b"no gzip", 400, "its gzip is damaged"),
        (gzip, &bomb, 413, "a push may be 1048576 bytes, unpacked too (listen.push.max_bytes)"),
        (json, many.as_bytes(), 413, "it holds too many parts"),
        (PROTOBUF, b"<html>", 400, "no field of protobuf"),
    ] {
        let (got, _, answer) = try_push(daemon.port, fields, body).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(got == status && answer.contains(said), "{got} {answer}");
    }
    assert_eq!(push(&daemon, &["after all that"]), 200);
    assert_eq!(all_messages(&peer), ["after all that"]);
    // Nothing of what was refused has gone anywhere, or grown the program for good.
    let status = std::fs::read_to_string(daemon.proc("status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim().trim_end_matches(" kB");
    assert!(peak.parse::<u64>().unwrap() < 120_000, "{peak} KiB");
}

#[test]
fn a_spool_of_records_that_nobody_sends_is_said() {
    let peer = Peer::start(|_, _| Reply::status(503));
    let dir = TempDir::new();
    let shippers = format!(r#"{{"name": "json", "type": "http_json", "endpoint": "{}"}}"#, peer.url("/in"));
    let on = config(dir.path(), &shippers);
    let mut daemon = Daemon::start(dir.path(), &on);
    assert_eq!(push(&daemon, &["a"]), 200);
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0);
    let off = on.replace(r#""enabled": true"#, r#""enabled": false"#);
    let daemon = Daemon::start(dir.path(), &off);
    let said = "what waits in it, 1 request (1 record), is not sent: nothing gives its destination records (listen.push); \
                set listen.push.enabled";
    wait_for("the warning", || daemon.log().contains(said).then_some(()));
    drop(daemon);
    let path = dir.write("listed.json", &off.replace("PORT", "1"));
    let listed = crate::support::program::run(metricsd().arg("-config").arg(path).arg("-spool"));
    assert!(listed.stdout.contains("json@records") && listed.stdout.contains("nobody sends them"), "{}", listed.stdout);
}

/// The spools of versions that had no records are those of metrics now.
#[test]
fn what_waited_before_there_were_records_is_sent_by_the_lane_of_metrics() {
    let is_up = Arc::new(AtomicBool::new(false));
    let up = Arc::clone(&is_up);
    let peer = Peer::start(move |_, _| Reply::status(if up.load(Ordering::Relaxed) { 200 } else { 503 }));
    let dir = TempDir::new();
    let shippers = format!(
        r#"{{"name": "prom", "type": "prometheus_remote_write", "endpoint": "{0}"}}, {{"name": "json", "type": "http_json", "endpoint": "{0}"}}"#,
        peer.url("/in")
    );
    let on = config(dir.path(), &shippers);
    let off = on.replace(r#""enabled": true"#, r#""enabled": false"#);
    let mut daemon = Daemon::start(dir.path(), &off);
    let spool = |name: &str| dir.path().join("spool").join(name);
    for name in ["prom", "json"] {
        wait_for("some to wait", || has_frame(&spool(name)).then_some(()));
    }
    daemon.signal(Signal::SIGKILL);
    daemon.wait();
    let waiting = peer.received().len();
    let daemon = Daemon::start(dir.path(), &on);
    wait_for("what is from before to be found", || daemon.log().contains("from before in").then_some(()));
    is_up.store(true, Ordering::Relaxed);
    let frames = |name: &str| daemon.metric(&format!("metricsd_destination_queue_frames{{destination=\"{name}\"}}"));
    for name in ["prom", "json"] {
        wait_for("what waited to be sent", || frames(name).filter(|frames| *frames < 2.0));
        assert!(!has_frame(&spool(&format!("{name}@records"))));
    }
    assert!(peer.received().len() > waiting);
    let samples = daemon.metric(r#"metricsd_destination_samples_sent_total{destination="json"}"#);
    assert!(samples.is_some_and(|samples| samples > 0.0), "{samples:?}");
    // The list of series stays beside the spool of metrics, and there is none of records.
    wait_for("the list of series", || spool("prom.series").exists().then_some(()));
    assert!(!spool("json@records.series").exists() && !spool("prom@records").exists());
}
