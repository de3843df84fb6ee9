//! Receivers of remote write 2.0, and of 1.0 alone, which must not need to be told apart.

use std::collections::BTreeMap;
use std::path::Path;

use metricsd::model::Kind;
use nix::sys::signal::Signal;
use prost_0_12::encoding::{WireType, decode_key, decode_varint};

use super::agreement::agree;
use super::book::Book;
use super::config;
use crate::support::peer::{Peer, Reply};
use crate::support::program::{Daemon, TempDir};
use crate::support::prometheus::Prometheus;
use crate::support::receivers::{prometheus_3, victoria_metrics};
use crate::support::series::native;
use crate::support::wait_for;

const V1: &str = "prometheus.WriteRequest";
const V2: &str = "io.prometheus.write.v2.Request";

/// VictoriaMetrics keeps twelve digits of a fraction.
const DECIMALS: f64 = 1e-11;

/// What a receiver has to show for a metricsd that writes `message` to it: each native metric
/// with the kernel's figure, the end of a series within seconds, and at last each value of
/// each tick, off by the share `error` at most; and what metricsd counts meanwhile. Gives
/// what it logged.
fn takes_everything(server: &Prometheus, dir: &Path, message: &str, error: f64) -> String {
    let book = dir.join("book.jsonl");
    let shippers = format!(
        r#"{{"name": "remote", "type": "prometheus_remote_write", "protobuf_message": "{message}",
            "endpoint": "http://127.0.0.1:{}/api/v1/write"}},
           {{"type": "file", "endpoint": "{}"}}"#,
        server.port,
        book.display()
    );
    let mut daemon = Daemon::start(dir, &config(0.5, "", &shippers));
    agree(server);

    let counted = |what: &str| {
        let (_, page) = daemon.get("/metrics").unwrap();
        let lines = page.lines().filter(|line| line.starts_with(what) && line.contains(r#"destination="remote""#));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).collect::<Vec<_>>()
    };
    let sent = counted("metricsd_destination_samples_sent_total{")[0];
    assert!(sent > 0.0);
    wait_for("more samples", || (counted("metricsd_destination_samples_sent_total{")[0] > sent).then_some(()));

    // A series that ends is gone at once, and not only when queries look back no further.
    assert!(server.value("system_load_1m").is_some());
    let without = config(0.5, r#""enable_load": false, "#, &shippers).replace("PORT", &daemon.port.to_string());
    std::fs::write(dir.join("config.json"), without).unwrap();
    daemon.signal(Signal::SIGHUP);
    wait_for("the series to end", || server.value("system_load_1m").is_none().then_some(()));
    assert!(server.value("system_uptime_seconds").is_some());
    assert!(server.samples("system_load_1m[1m]")[0].samples.len() > 1, "what was before the end is kept");

    let dropped = counted("metricsd_destination_samples_dropped_total{");
    assert!(dropped.len() > 5 && dropped.iter().all(|dropped| *dropped == 0.0), "{dropped:?}");
    for outcome in ["retried", "held", "rejected"] {
        let requests = format!(r#"metricsd_destination_requests_total{{destination="remote",outcome="{outcome}"}}"#);
        assert_eq!(daemon.metric(&requests), Some(0.0), "{outcome}");
    }
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0);
    let book = Book::read(&book);
    // VictoriaMetrics shows what it has taken after a second or so.
    wait_for("the last tick to be seen", || {
        let seen = server.samples("system_uptime_seconds[1h]").remove(0).samples;
        (seen.last().map(|(time_ms, _)| *time_ms) >= book.times().last().copied()).then_some(())
    });
    book.compare(server, error);
    daemon.log()
}

/// The words by which metricsd says that a receiver does not know 2.0.
const FELL_BACK: &str = "sending the older format";

#[test]
#[ignore = "needs prometheus 3: make e2e"]
fn prometheus_3_takes_remote_write_2_and_its_metadata() {
    let dir = TempDir::new();
    // Prometheus' pages show the metadata of scrapes alone. But what came by remote write it
    // keeps, and passes on.
    let next = Peer::start(|_, _| Reply::status(204));
    let forward = format!(
        "remote_write: [{{url: '{}', protobuf_message: {V2}, queue_config: {{batch_send_deadline: 1s}}}}]\n",
        next.url("/in")
    );
    let Some(server) = prometheus_3(dir.path(), &forward) else { return };
    let log = takes_everything(&server, dir.path(), V2, 0.0);
    assert!(!log.contains(FELL_BACK), "{log}");

    let mut found: BTreeMap<String, Metadata> = BTreeMap::new();
    let seen = server.api("label/__name__/values", &[("match[]", r#"{job="metricsd"}"#)]);
    let seen: Vec<&str> = seen.as_array().unwrap().iter().filter_map(|name| name.as_str()).collect();
    wait_for("all metrics and the end of one to be passed on", || {
        let passed: Vec<_> = next.received().iter().flat_map(|request| series(&request.body)).collect();
        let is_end = |(name, _, value): &(String, _, f64)| name == "system_load_1m" && value.to_bits() == STALE;
        let is_complete = passed.iter().any(is_end);
        // The latest counts: the end of a series takes nothing from what is known of it.
        found = passed.into_iter().map(|(name, metadata, _)| (name, metadata)).collect();
        (is_complete && seen.iter().all(|name| found.contains_key(*name))).then_some(())
    });
    for metric in native().filter(|metric| seen.contains(&metric.name)) {
        let kind = match metric.kind {
            Kind::Counter => 1,
            _ => 2,
        };
        let expected = (kind, metric.help.to_string(), metric.unit.to_string());
        assert_eq!(found[metric.name], expected, "{}", metric.name);
    }
}

#[test]
#[ignore = "needs victoria-metrics: make e2e"]
fn victoria_metrics_takes_remote_write_1() {
    let dir = TempDir::new();
    let Some(server) = victoria_metrics(dir.path()) else { return };
    takes_everything(&server, dir.path(), V1, DECIMALS);
}

/// It answers 204 to 2.0 and stores nothing: only what it does not say gives it away.
#[test]
#[ignore = "needs victoria-metrics: make e2e"]
fn victoria_metrics_gets_remote_write_1_where_2_was_asked_for() {
    let dir = TempDir::new();
    let Some(server) = victoria_metrics(dir.path()) else { return };
    let log = takes_everything(&server, dir.path(), V2, DECIMALS);
    assert!(log.contains(FELL_BACK), "{log}");
}

/// Type, help and unit.
type Metadata = (u64, String, String);

/// Prometheus' staleness marker.
const STALE: u64 = 0x7ff0_0000_0000_0002;

/// Name, metadata and value of each series in a request of remote write 2.0.
fn series(body: &[u8]) -> Vec<(String, Metadata, f64)> {
    let message = snap::raw::Decoder::new().decompress_vec(body).unwrap();
    let request = fields(&message);
    let of = |tag: u32| request.iter().filter(move |(field, ..)| *field == tag).map(|(_, _, bytes)| *bytes);
    let symbols: Vec<String> = of(4).map(|text| String::from_utf8(text.to_vec()).unwrap()).collect();
    let series = of(5).map(|series| {
        let series = fields(series);
        let mut refs = bytes(&series, 1);
        let refs: Vec<usize> = std::iter::from_fn(|| decode_varint(&mut refs).ok().map(|at| at as usize)).collect();
        let name = refs.chunks(2).find(|pair| symbols[pair[0]] == "__name__").unwrap()[1];
        let value = bytes(&fields(bytes(&series, 2)), 1).try_into().map_or(0.0, f64::from_le_bytes);
        let metadata = fields(bytes(&series, 5));
        let number = |tag: u32| metadata.iter().find(|(field, ..)| *field == tag).map_or(0, |(_, number, _)| *number);
        let text = |tag: u32| symbols[number(tag) as usize].clone();
        (symbols[name].clone(), (number(1), text(3), text(4)), value)
    });
    series.collect()
}

/// The bytes of a message's field; none where it is left out.
fn bytes<'b>(fields: &[(u32, u64, &'b [u8])], tag: u32) -> &'b [u8] {
    fields.iter().find(|(field, ..)| *field == tag).map_or(&[], |(_, _, bytes)| bytes)
}

/// A message's fields: number, and what it is as a number or as bytes.
fn fields(mut message: &[u8]) -> Vec<(u32, u64, &[u8])> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let (tag, wire) = decode_key(&mut message).unwrap();
        let number = match wire {
            WireType::Varint | WireType::LengthDelimited => decode_varint(&mut message).unwrap(),
            _ => 0,
        };
        let len = match wire {
            WireType::LengthDelimited => number as usize,
            WireType::SixtyFourBit => 8,
            _ => 0,
        };
        let (bytes, rest) = message.split_at(len);
        fields.push((tag, number, bytes));
        message = rest;
    }
    fields
}
