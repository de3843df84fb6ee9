//! Real client libraries against what metricsd listens for: StatsD's and Datadog's of Python, OpenTelemetry's SDK,
//! and Prometheus' own writer of text.

use std::net::UdpSocket;

use crate::support::program::{Daemon, TempDir};
use crate::support::receivers::python_with_opentelemetry;
use crate::support::wait_for;

/// By a UDP port and a Unix socket, as the arguments say.
const STATSD: &str = r#"
import sys
import statsd
from datadog.dogstatsd import DogStatsd

port, path = int(sys.argv[1]), sys.argv[2]
client = statsd.StatsClient("127.0.0.1", port, prefix="plain")
client.incr("hits")
client.incr("hits", 4)
client.gauge("depth", 10)
client.gauge("depth", -3, delta=True)
client.set("users", "ann")
client.set("users", "bob")
client.timing("took", 250)
with client.pipeline() as pipe:
    for _ in range(100):
        pipe.incr("piped")

dog = DogStatsd(socket_path=path, constant_tags=["env:prod"], disable_telemetry=True, disable_buffering=False)
for value in (1, 2, 3):
    dog.increment("dog.orders", value, tags=["kind:a", "beta"])
dog.gauge("dog.level", 1.5)
dog.histogram("dog.size", 100)
dog.distribution("dog.spread", 7)
dog.timing("dog.took", 500)
dog.set("dog.people", "ann")
dog.event("title", "text")
dog.flush()
dog.close_socket()
"#;

/// To the server's port.
const PUSHES: &str = r#"
import sys
import urllib.request
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import Counter as OtelCounter, Histogram as OtelHistogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

base = sys.argv[1]
registry = CollectorRegistry()
Counter("batch_rows", "Rows.", ["table"], registry=registry).labels("x").inc(42)
Histogram("batch_took", "Seconds.", registry=registry, buckets=(1, 2)).observe(1.5)
for kind, page in (("text", generate_latest(registry)), ("openmetrics", openmetrics(registry))):
    fields = {"Content-Type": "application/openmetrics-text" if kind == "openmetrics" else "text/plain"}
    request = urllib.request.Request(f"{base}/api/v1/push?job={kind}", data=page, headers=fields)
    assert urllib.request.urlopen(request).status == 204

for name, preferred in (
    ("total", None),
    ("delta", {OtelCounter: AggregationTemporality.DELTA, OtelHistogram: AggregationTemporality.DELTA}),
):
    exporter = OTLPMetricExporter(endpoint=f"{base}/v1/metrics", preferred_temporality=preferred)
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    resource = Resource.create({"service.name": name, "service.instance.id": "i-1"})
    exponential = View(instrument_name="shop.size", aggregation=ExponentialBucketHistogramAggregation())
    provider = MeterProvider([reader], resource=resource, views=[exponential])
    meter = provider.get_meter("test")
    requests, took = meter.create_counter("shop.requests", "1"), meter.create_histogram("shop.took", "s")
    size = meter.create_histogram("shop.size", "By")
    for count in (5, 2):
        # 3 and 5 first, 1000 more in the end: the SDK has to make its buckets wider.
        for value in (3, 5) if count == 5 else [3] * 999 + [2000]:
            size.record(value)
        requests.add(count, {"http.route": "/cart"})
        took.record(0.25)
        assert provider.force_flush()
"#;

fn run(script: &str, arguments: &[&str]) {
    let mut python = python_with_opentelemetry().unwrap();
    let ran = python.arg("-c").arg(script).args(arguments).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

fn until(daemon: &Daemon, series: &str, value: f64) {
    wait_for(&format!("{series} to be {value}"), || daemon.metric(series).filter(|now| *now == value));
}

#[test]
#[ignore = "needs Python's client libraries: make e2e"]
fn the_clients_of_statsd_and_datadog_are_understood() {
    if python_with_opentelemetry().is_none() {
        return;
    }
    let dir = TempDir::new();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let unix = dir.path().join("dog.sock");
    let config = format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{"interval_seconds": 0.2, "preset": "none"}},
            "listen": {{"statsd": {{"udp": "{udp}", "unix": "{}"}}}}}}"#,
        unix.display()
    );
    let daemon = Daemon::start(dir.path(), &config);
    run(STATSD, &[&udp.port().to_string(), unix.to_str().unwrap()]);
    for (series, value) in [
        ("plain_hits_total", 5.0),
        ("plain_depth", 7.0),
        ("plain_took_count", 1.0),
        ("plain_took_sum", 0.25),
        ("plain_piped_total", 100.0),
        (r#"dog_orders_total{beta="true",env="prod",kind="a"}"#, 6.0),
        (r#"dog_level{env="prod"}"#, 1.5),
        (r#"dog_size_count{env="prod"}"#, 1.0),
        (r#"dog_spread_sum{env="prod"}"#, 7.0),
        (r#"dog_took_sum{env="prod"}"#, 0.5),
        (r#"metricsd_statsd_metrics_dropped_total{reason="unsupported"}"#, 1.0),
        (r#"metricsd_statsd_metrics_dropped_total{reason="malformed"}"#, 0.0),
    ] {
        until(&daemon, series, value);
    }
    assert_eq!(daemon.metric("plain_users").map(|count| count <= 2.0), Some(true));
}

#[test]
#[ignore = "needs Python's client libraries: make e2e"]
fn prometheus_writer_and_opentelemetrys_sdk_are_understood() {
    if python_with_opentelemetry().is_none() {
        return;
    }
    let dir = TempDir::new();
    let config = r#"{"server": {"host": "127.0.0.1", "port": PORT}, "collector": {"interval_seconds": 60, "preset": "none"},
        "listen": {"push": {"enabled": true}}}"#;
    let daemon = Daemon::start(dir.path(), config);
    run(PUSHES, &[&format!("http://127.0.0.1:{}", daemon.port)]);
    for (series, value) in [
        (r#"batch_rows_total{job="text",table="x"}"#, 42.0),
        (r#"batch_took_bucket{job="text",le="2.0"}"#, 1.0),
        (r#"batch_rows_total{job="openmetrics",table="x"}"#, 42.0),
        (r#"batch_took_sum{job="openmetrics"}"#, 1.5),
        (r#"shop_requests_total{http_route="/cart",instance="i-1",job="total"}"#, 7.0),
        (r#"shop_requests_total{http_route="/cart",instance="i-1",job="delta"}"#, 7.0),
        (r#"shop_took_seconds_count{instance="i-1",job="total"}"#, 2.0),
        (r#"shop_took_seconds_sum{instance="i-1",job="delta"}"#, 0.5),
        (r#"shop_took_seconds_bucket{instance="i-1",job="delta",le="5"}"#, 2.0),
        // Four buckets to a doubling: 3 is up to 2^1.75, 5 up to 2^2.5, 2000 up to 2^11.
        (r#"shop_size_bytes_bucket{instance="i-1",job="total",le="2.8284271247461903"}"#, 0.0),
        (r#"shop_size_bytes_bucket{instance="i-1",job="total",le="3.363585661014858"}"#, 1000.0),
        (r#"shop_size_bytes_bucket{instance="i-1",job="total",le="5.656854249492381"}"#, 1001.0),
        (r#"shop_size_bytes_bucket{instance="i-1",job="total",le="2048"}"#, 1002.0),
        (r#"shop_size_bytes_count{instance="i-1",job="total"}"#, 1002.0),
        (r#"shop_size_bytes_sum{instance="i-1",job="total"}"#, 5005.0),
        (r#"shop_size_bytes_bucket{instance="i-1",job="delta",le="3.363585661014858"}"#, 1000.0),
        (r#"shop_size_bytes_bucket{instance="i-1",job="delta",le="2048"}"#, 1002.0),
        (r#"shop_size_bytes_count{instance="i-1",job="delta"}"#, 1002.0),
        (r#"metricsd_pushes_total{kind="otlp_metrics",outcome="refused"}"#, 0.0),
        ("metricsd_push_samples_refused_total", 0.0),
    ] {
        assert_eq!(daemon.metric(series), Some(value), "{series}: {}", daemon.get("/metrics").unwrap().1);
    }
}
