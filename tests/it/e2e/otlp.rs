//! A receiver of OTLP that is not ours: VictoriaMetrics, asked for what it was sent.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::config;
use crate::support::peer::{Peer, Reply};
use crate::support::program::{Daemon, TempDir, free_port};
use crate::support::receivers::{python_with_opentelemetry, victoria_metrics, victoria_metrics_on};
use crate::support::{wait_for, wait_long_for};

/// VictoriaMetrics keeps twelve digits of a fraction.
const DECIMALS: f64 = 1e-11;

#[test]
#[ignore = "needs victoria-metrics: make e2e"]
fn victoria_metrics_shows_what_it_was_sent_over_otlp() {
    let dir = TempDir::new();
    let Some(server) = victoria_metrics(dir.path()) else { return };
    let book = dir.path().join("book.jsonl");
    let shippers = format!(
        r#"{{"type": "otlp_http", "endpoint": "http://127.0.0.1:{}/opentelemetry"}},
           {{"type": "file", "naming": "otel", "endpoint": "{}"}}"#,
        server.port,
        book.display()
    );
    let mut daemon = Daemon::start(dir.path(), &config(0.5, "", &shippers));
    let uptime = r#"{__name__="system.uptime"}"#;
    let last = || server.samples(&format!("{uptime}[1h]")).first().and_then(|one| one.samples.last().copied());
    wait_for("some ticks", || (server.samples(&format!("{uptime}[1h]")).first()?.samples.len() > 3).then_some(()));

    // A series that ends is gone at once.
    let load = r#"{__name__="system.cpu.load_average.1m"}"#;
    assert!(server.value(load).is_some());
    let without = config(0.5, r#""enable_load": false, "#, &shippers).replace("PORT", &daemon.port.to_string());
    std::fs::write(dir.path().join("config.json"), without).unwrap();
    daemon.signal(Signal::SIGHUP);
    wait_for("the series to end", || server.value(load).is_none().then_some(()));
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0);

    let text = std::fs::read_to_string(&book).unwrap();
    let payloads: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let time_ms = payloads.last().unwrap()["timestamp_ms"].as_i64().unwrap();
    wait_for("the last tick to be seen", || (last()?.0 >= time_ms).then_some(()));
    let mut compared = 0;
    let mut found: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for payload in &payloads {
        let time_ms = payload["timestamp_ms"].as_i64().unwrap();
        for metric in payload["metrics"].as_array().unwrap() {
            let name = metric["name"].as_str().unwrap();
            let all = found
                .entry(name.to_owned())
                .or_insert_with(|| server.samples(&format!(r#"{{__name__="{name}"}}[1h]"#)));
            let labels = metric["labels"].as_object().unwrap();
            let is_it = |one: &&crate::support::prometheus::Series| {
                labels.iter().all(|(name, value)| one.labels.get(name).map(String::as_str) == value.as_str())
            };
            let mut matching = all.iter().filter(is_it);
            let series = matching.next().unwrap_or_else(|| panic!("{metric} is not there"));
            assert!(matching.next().is_none(), "{metric} is there more than once");
            assert_eq!(series.labels["service.name"], "metricsd");
            let (sent, kept) = (metric["value"].as_f64().unwrap(), series.at(time_ms));
            let kept = kept.unwrap_or_else(|| panic!("{metric} of {time_ms} is not there"));
            assert!((sent - kept).abs() <= sent.abs() * DECIMALS, "{metric}: {kept}");
            compared += 1;
        }
    }
    assert!(compared > 100, "{compared}");
}

/// An application whose histogram is another one each time it is asked, and how often it was.
fn application() -> (Peer, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let peer = Peer::start(move |_, _| {
        let nth = count.fetch_add(1, Ordering::SeqCst) + 1;
        let page = format!(
            "# TYPE app_seconds histogram\napp_seconds_bucket{{path=\"/\",le=\"0.1\"}} {}\n\
             app_seconds_bucket{{path=\"/\",le=\"1\"}} {}\napp_seconds_bucket{{path=\"/\",le=\"+Inf\"}} {}\n\
             app_seconds_sum{{path=\"/\"}} {}\napp_seconds_count{{path=\"/\"}} {}\n\
             # TYPE app_asked counter\napp_asked_total {nth} # {{trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\"}} 1\n# EOF\n",
            2 * nth,
            5 * nth,
            6 * nth,
            40.5 * nth as f64,
            6 * nth,
        );
        let kind = ("Content-Type", "application/openmetrics-text; version=1.0.0".to_owned());
        Reply::Answer(200, vec![kind], Box::leak(page.into_boxed_str()))
    });
    (peer, asked)
}

fn with_endpoint(config: &str, application: &Peer) -> String {
    let config = config.trim_end().strip_suffix('}').unwrap();
    format!(r#"{config}, "endpoints": [{{"name": "app", "url": "{}"}}]}}"#, application.url("/metrics"))
}

#[test]
#[ignore = "needs victoria-metrics: make e2e"]
fn a_scraped_histogram_arrives_whole_over_an_outage_and_a_restart() {
    let dir = TempDir::new();
    let port = free_port();
    let (application, asked) = application();
    let count = || asked.load(Ordering::SeqCst);
    let shipper = format!(
        r#"{{"type": "otlp_http", "endpoint": "http://127.0.0.1:{port}/opentelemetry",
            "spool": {{"dir": "{}"}}, "retry": {{"max_backoff": "500ms"}}}}"#,
        dir.path().join("spool").display()
    );
    let config = with_endpoint(&config(0.25, "", &shipper), &application);
    // Nobody listens there yet.
    let mut daemon = Daemon::start(dir.path(), &config);
    wait_for("scrapes of the outage at the start", || (count() >= 8).then_some(()));
    let Some(server) = victoria_metrics_on(dir.path(), port) else { return };
    let seen = |server: &crate::support::prometheus::Prometheus| {
        server.value(r#"max_over_time(app_seconds_count[1h])"#).unwrap_or_default() / 6.0
    };
    let delivered = |server: &_| {
        let before = count() as f64;
        wait_long_for("the backlog to be delivered", || (seen(server) >= before).then_some(()));
    };
    delivered(&server);
    server.stop();
    let before = count();
    wait_for("scrapes of the outage in between", || (count() >= before + 8).then_some(()));
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0);
    let restarted = count();
    let mut daemon = Daemon::start(dir.path(), &config);
    wait_for("scrapes after the restart", || (count() >= restarted + 4).then_some(()));
    let Some(server) = victoria_metrics_on(dir.path(), port) else { return };
    delivered(&server);
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0);

    let samples = |query: &str| {
        let all = server.samples(&format!("{query}[1h]"));
        let [one] = &all[..] else { panic!("{query}: {all:?}") };
        assert_eq!(
            (&*one.labels["path"], &*one.labels["service.name"], &*one.labels["url.scheme"]),
            ("/", "app", "http")
        );
        one.samples.clone()
    };
    let counts = samples("app_seconds_count");
    let found: BTreeSet<usize> = counts.iter().map(|(_, count)| (count / 6.0) as usize).collect();
    // Those that were asked for while the program ended may be in nobody's hands.
    let missing: Vec<usize> = (1..restarted).filter(|nth| !found.contains(nth)).collect();
    assert!(missing.len() <= 1 && missing.iter().all(|nth| *nth + 1 >= restarted), "{missing:?} of {restarted}");
    for (le, factor) in [("0.1", 2.0), ("1", 5.0), ("+Inf", 6.0)] {
        let buckets = samples(&format!(r#"app_seconds_bucket{{le="{le}"}}"#));
        assert_eq!(buckets.len(), counts.len());
        assert!(buckets.iter().zip(&counts).all(|(a, b)| a.0 == b.0 && a.1 * 6.0 == b.1 * factor), "{le}: {buckets:?}");
    }
    assert!(samples("app_seconds_sum").iter().zip(&counts).all(|(a, b)| a.0 == b.0 && a.1 * 6.0 == b.1 * 40.5));
}

/// Reads a request from standard input and prints what it makes of it, a word a line.
const READER: &str = r#"
import sys
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
request = ExportMetricsServiceRequest()
body = sys.stdin.buffer.read()
if sys.argv[1] == "json":
    json_format.Parse(body, request)
else:
    request.ParseFromString(body)
    # What it does not know it keeps, and would write again: without that it is as long as it was.
    request.DiscardUnknownFields()
    assert len(body) == request.ByteSize(), "unknown fields"
for of in request.resource_metrics:
    names = {pair.key: pair.value.string_value for pair in of.resource.attributes}
    for metric in of.scope_metrics[0].metrics:
        kind = metric.WhichOneof("data")
        points = getattr(metric, kind).data_points
        if metric.name == "app_seconds":
            point = points[0]
            print("app_seconds", names["service.name"], list(point.bucket_counts), list(point.explicit_bounds), point.count, point.sum)
        elif metric.name == "app_asked_total":
            print("app_asked_total", points[0].as_double, len(points[0].exemplars))
        elif metric.name == "system.cpu.time":
            print("system.cpu.time", kind, getattr(metric, kind).is_monotonic, all(p.start_time_unix_nano > 0 for p in points))
"#;

fn read_by(mut python: std::process::Command, encoding: &str, body: &[u8]) -> String {
    let python = python.args(["-c", READER, encoding]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut reader = python.spawn().unwrap();
    reader.stdin.take().unwrap().write_all(body).unwrap();
    let said = reader.wait_with_output().unwrap();
    assert!(said.status.success(), "{encoding}");
    String::from_utf8(said.stdout).unwrap()
}

#[test]
#[ignore = "needs Python's opentelemetry-proto: make e2e"]
fn python_s_definitions_of_opentelemetry_read_what_is_sent() {
    for encoding in ["protobuf", "json"] {
        let dir = TempDir::new();
        if python_with_opentelemetry().is_none() {
            return;
        }
        let (application, _asked) = application();
        let peer = Peer::start(|_, _| Reply::status(200));
        let shipper = format!(
            r#"{{"type": "otlp_http", "endpoint": "{}", "encoding": "{encoding}", "compression": "none"}}"#,
            peer.url("")
        );
        let _daemon = Daemon::start(dir.path(), &with_endpoint(&config(0.25, "", &shipper), &application));
        // The application's page is not waited for by what the host says of itself.
        let mut said = String::new();
        for word in ["app_seconds", "system.cpu.time"] {
            let has = |body: &Vec<u8>| body.windows(word.len()).any(|window| window == word.as_bytes());
            let body = wait_for(word, || peer.received().into_iter().map(|one| one.body).find(has));
            let python = python_with_opentelemetry().unwrap();
            said.push_str(&read_by(python, encoding, &body));
        }
        let mut lines = said.lines().map(str::to_owned).collect::<BTreeSet<String>>().into_iter();
        let asked = lines.next().unwrap();
        let nth: usize =
            asked.strip_prefix("app_asked_total ").and_then(|rest| rest.strip_suffix(".0 1")).unwrap().parse().unwrap();
        let counts = format!("[{}, {}, {nth}] [0.1, 1.0] {} {:?}", 2 * nth, 3 * nth, 6 * nth, 40.5 * nth as f64);
        let expected = [format!("app_seconds app {counts}"), "system.cpu.time sum True True".to_owned()];
        assert_eq!(lines.collect::<Vec<_>>(), expected, "{encoding}");
    }
}
