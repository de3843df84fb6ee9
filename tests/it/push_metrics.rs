//! Pushes of metrics: what an application sends to the program, what becomes of it, and what it is told.

use std::io::{Read, Write};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use nix::sys::signal::Signal;

use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, exemplar, exponential_histogram_data_point::Buckets, metric,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

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
    let reserved = "system_load_1m is a name of the host's, or of metricsd's own; nothing of the push is taken\n";
    assert_eq!(refused("job=a", "a 1\nsystem_load_1m 2\n"), (400, reserved.to_owned()));
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
    assert_eq!(daemon.metric(r#"metricsd_pushes_total{kind="text",outcome="refused"}"#), Some(10.0));
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
fn a_name_that_two_applications_give_as_two_types_is_both_for_destinations_and_has_one_head_on_a_page() {
    let (dir, peer) = (TempDir::new(), Peer::start(|_, _| Reply::status(200)));
    let shipper = format!(r#"{{"type": "http_json", "endpoint": "{}"}}"#, peer.url("/j"));
    let daemon = taking(&dir, r#""max_series": 10"#, r#"{"mode": "memory"}"#, &shipper);
    assert_eq!(text(&daemon, "job=one", "# TYPE x counter\nx 5\n").status, 204);
    assert_eq!(text(&daemon, "job=other", "# TYPE x gauge\nx 7\n").status, 204);
    let types: Vec<String> = peer
        .received()
        .iter()
        .map(|request| {
            let payload: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
            format!("{} {}", payload["metrics"][0]["type"].as_str().unwrap(), payload["metrics"][0]["labels"]["job"])
        })
        .collect();
    assert_eq!(types, [r#"counter "one""#, r#"gauge "other""#]);
    let page = daemon.get("/metrics").unwrap().1;
    assert!(page.contains("# TYPE x counter\nx{job=\"one\"} 5\nx{job=\"other\"} 7\n"), "{page}");
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

/// What a service says by OTLP: so many requests, since the last time or since ever, and how long they took.
fn otlp(temporality: i32, requests: i64) -> ExportMetricsServiceRequest {
    let text = |text: &str| Some(AnyValue { value: Some(any_value::Value::StringValue(text.to_owned())) });
    let pair = |key: &str, value: &str| KeyValue { key: key.to_owned(), value: text(value), ..KeyValue::default() };
    let point = NumberDataPoint {
        attributes: vec![pair("http.route", "/cart")],
        value: Some(number_data_point::Value::AsInt(requests)),
        ..NumberDataPoint::default()
    };
    let took = HistogramDataPoint {
        count: 3,
        sum: Some(0.5),
        bucket_counts: vec![2, 1],
        explicit_bounds: vec![0.1],
        ..HistogramDataPoint::default()
    };
    // Of scale 0: (2, 4] twice, (4, 8] once.
    let sized = ExponentialHistogramDataPoint {
        count: 3,
        sum: Some(12.5),
        positive: Some(Buckets { offset: 1, bucket_counts: vec![2, 1] }),
        ..ExponentialHistogramDataPoint::default()
    };
    // Two of a scale that there is not.
    let unread = ExponentialHistogramDataPoint { scale: -12, ..ExponentialHistogramDataPoint::default() };
    let exponential =
        ExponentialHistogram { data_points: vec![sized, unread.clone(), unread], aggregation_temporality: temporality };
    let of = |name: &str, unit: &str, data| Metric {
        name: name.to_owned(),
        unit: unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    };
    let histogram = Histogram { data_points: vec![took], aggregation_temporality: temporality };
    let metrics = vec![
        of(
            "shop.requests",
            "",
            metric::Data::Sum(Sum {
                data_points: vec![point],
                aggregation_temporality: temporality,
                is_monotonic: true,
            }),
        ),
        of("shop.took", "s", metric::Data::Histogram(histogram)),
        of("shop.size", "By", metric::Data::ExponentialHistogram(exponential)),
    ];
    let attributes = vec![pair("service.name", "cart"), pair("service.instance.id", "i-1")];
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_metrics: vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }],
            ..ResourceMetrics::default()
        }],
    }
}

#[test]
fn otlp_is_taken_in_both_encodings_and_what_is_not_is_said() {
    const PROTOBUF: &str = "Content-Type: application/x-protobuf\r\n";
    const JSON: &str = "Content-Type: application/json\r\n";
    let (dir, peer) = (TempDir::new(), Peer::start(|_, _| Reply::status(200)));
    let daemon = taking(&dir, r#""max_bytes": 100000"#, r#"{"mode": "memory"}"#, &remote_write(&peer));
    let push = |fields: &str, body: &[u8]| post(&daemon, "/v1/metrics", fields, body);
    let packed = format!("{PROTOBUF}Content-Encoding: gzip\r\n");
    // What came since the last push, twice.
    let answer = push(&packed, &gzip(&otlp(1, 5).encode_to_vec()));
    assert_eq!((answer.status, answer.field("Content-Type")), (200, Some("application/x-protobuf")));
    let partial = ExportMetricsServiceResponse::decode(answer.body.as_bytes()).unwrap().partial_success.unwrap();
    assert_eq!(partial.rejected_data_points, 2);
    assert!(partial.error_message.contains("the scale of an exponential histogram"), "{}", partial.error_message);
    let answer = push(JSON, &serde_json::to_vec(&otlp(1, 2)).unwrap());
    assert_eq!((answer.status, answer.field("Content-Type")), (200, Some("application/json")));
    let partial: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(partial["partialSuccess"]["rejectedDataPoints"], "2");
    // In the names of Prometheus, with the unit in front of what tells a histogram's parts apart.
    let last = sent(&peer).pop().unwrap();
    for (series, value) in [
        ("shop_requests_total{http_route=/cart,job=cart}", 7.0),
        ("shop_took_seconds_bucket{job=cart,le=0.1}", 4.0),
        ("shop_took_seconds_bucket{job=cart,le=+Inf}", 6.0),
        ("shop_took_seconds_sum{job=cart}", 1.0),
        ("shop_took_seconds_count{job=cart}", 6.0),
        ("shop_size_bytes_bucket{job=cart,le=2}", 0.0),
        ("shop_size_bytes_bucket{job=cart,le=4}", 4.0),
        ("shop_size_bytes_bucket{job=cart,le=8}", 6.0),
        ("shop_size_bytes_bucket{job=cart,le=+Inf}", 6.0),
        ("shop_size_bytes_sum{job=cart}", 25.0),
        ("shop_size_bytes_count{job=cart}", 6.0),
    ] {
        assert_eq!(last.get(series), Some(&value), "{series}: {last:?}");
    }
    let page = daemon.get("/metrics").unwrap().1;
    assert!(page.contains("# TYPE shop_took_seconds histogram\n"), "{page}");
    assert_eq!(daemon.metric("metricsd_push_samples_refused_total"), Some(4.0));
    // What is no OTLP.
    assert_eq!(push("Content-Type: text/plain\r\n", b"a 1").status, 415);
    assert_eq!(push(JSON, b"<html>").status, 400);
    assert_eq!(push(PROTOBUF, b"<html>").status, 400);
    assert_eq!(push(&packed, &gzip(&vec![0; 10 << 20])).status, 413);
    assert_eq!(push(JSON, b"{}").status, 200);
}

/// A request with a sum of so many since `start_ns`.
fn sum(temporality: i32, value: i64, start_ns: u64, time_ns: u64) -> Vec<u8> {
    let mut request = otlp(temporality, value);
    let metrics = &mut request.resource_metrics[0].scope_metrics[0].metrics;
    metrics.truncate(1);
    let Some(metric::Data::Sum(sum)) = &mut metrics[0].data else { panic!("{metrics:?}") };
    (sum.data_points[0].start_time_unix_nano, sum.data_points[0].time_unix_nano) = (start_ns, time_ns);
    request.encode_to_vec()
}

#[test]
fn the_first_value_of_a_pushed_sum_is_an_increase_where_it_is_known_to_be_one() {
    let now_ns = || {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        u64::try_from(since.as_nanos()).unwrap()
    };
    for temporality in [1, 2] {
        let (dir, peer) = (TempDir::new(), Peer::start(|_, _| Reply::status(200)));
        // Its first collection has something for the destination, so that this one has begun.
        let shipper = format!(
            r#"{{"type": "otlp_http", "endpoint": "{}", "temporality": "delta", "compression": "none", "own_metrics": true}}"#,
            peer.url("")
        );
        let daemon = taking(&dir, r#""max_bytes": 100000"#, r#"{"mode": "memory"}"#, &shipper);
        wait_for("the first collection", || (!peer.received().is_empty()).then_some(()));
        let start_ns = now_ns();
        // A millisecond has to pass between when it began and what it has counted.
        while now_ns() / 1_000_000 <= start_ns / 1_000_000 + 1 {}
        let push = |value, start_ns| {
            let fields = "Content-Type: application/x-protobuf\r\n";
            let answer = post(&daemon, "/v1/metrics", fields, &sum(temporality, value, start_ns, now_ns()));
            assert_eq!(answer.status, 200, "{}", answer.body);
        };
        // Increases, or what has been counted so far.
        let (first, second) = if temporality == 1 { (5, 2) } else { (5, 7) };
        push(first, start_ns);
        push(second, start_ns);
        let increases: Vec<(u64, number_data_point::Value)> = peer
            .received()
            .iter()
            .map(|request| ExportMetricsServiceRequest::decode(&request.body[..]).unwrap())
            .flat_map(|request| request.resource_metrics)
            .flat_map(|of| of.scope_metrics)
            .flat_map(|scope| scope.metrics)
            .filter(|metric| metric.name == "shop.requests")
            .flat_map(|metric| match metric.data {
                Some(metric::Data::Sum(sum)) if sum.aggregation_temporality == 1 => sum.data_points,
                other => panic!("{other:?}"),
            })
            .map(|point| (point.start_time_unix_nano, point.value.unwrap()))
            .collect();
        let [(first_ns, five), (_, two)] = &increases[..] else { panic!("{temporality}: {increases:?}") };
        assert_eq!(*first_ns, start_ns / 1_000_000 * 1_000_000, "{temporality}");
        assert_eq!((five, two), (&number_data_point::Value::AsDouble(5.0), &number_data_point::Value::AsDouble(2.0)));
    }
}

/// A request, in JSON, with a sum, an explicit and an exponential histogram that have counted so much since
/// `start_ms`: `sum` in `count` observations, of which the first lie below zero.
fn counted(temporality: i32, [start_ms, time_ms]: [u64; 2], total: u64, count: u64, sum: f64) -> String {
    let point = |own: serde_json::Value| {
        let mut point = serde_json::json!({
            "startTimeUnixNano": (start_ms * 1_000_000).to_string(), "timeUnixNano": (time_ms * 1_000_000).to_string()});
        point.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        [point]
    };
    let (low, high) = (count / 3, count - count / 3);
    serde_json::json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [
        {"name": "s", "sum": {"aggregationTemporality": temporality, "isMonotonic": true,
            "dataPoints": point(serde_json::json!({"asInt": total.to_string()}))}},
        {"name": "h", "histogram": {"aggregationTemporality": temporality, "dataPoints": point(serde_json::json!({
            "count": count.to_string(), "sum": sum, "explicitBounds": [0],
            "bucketCounts": [low.to_string(), high.to_string()]}))}},
        {"name": "e", "exponentialHistogram": {"aggregationTemporality": temporality,
            "dataPoints": point(serde_json::json!({"count": count.to_string(), "sum": sum, "scale": 0,
                "negative": {"offset": 1, "bucketCounts": [low.to_string()]},
                "positive": {"offset": 1, "bucketCounts": [high.to_string()]}}))}}
    ]}]}]})
    .to_string()
}

/// Points of one metric that a receiver of OTLP was sent: since when, in milliseconds, how many observations, of a sum
/// none, and their sum.
fn points_of(peer: &Peer, name: &str) -> Vec<(u64, u64, f64)> {
    let requests = peer.received();
    let requests = requests.iter().map(|request| ExportMetricsServiceRequest::decode(&request.body[..]).unwrap());
    let scopes = requests.flat_map(|request| request.resource_metrics).flat_map(|of| of.scope_metrics);
    let metrics = scopes.flat_map(|scope| scope.metrics).filter(|metric| metric.name == name);
    metrics
        .flat_map(|metric| match metric.data.unwrap() {
            metric::Data::Sum(sum) => {
                let number = |value| match value {
                    Some(number_data_point::Value::AsDouble(number)) => number,
                    other => panic!("{other:?}"),
                };
                let points = sum.data_points.into_iter();
                points.map(|point| (point.start_time_unix_nano / 1_000_000, 0, number(point.value))).collect::<Vec<_>>()
            }
            metric::Data::Histogram(one) => {
                let points = one.data_points.into_iter();
                points.map(|point| (point.start_time_unix_nano / 1_000_000, point.count, point.sum.unwrap())).collect()
            }
            other => panic!("{other:?}"),
        })
        .collect()
}

/// The same of a receiver of Datadog's, where each point is a series: its values.
fn datadog_values(peer: &Peer, name: &str) -> Vec<f64> {
    let bodies = peer.received();
    let bodies = bodies.iter().map(|request| serde_json::from_slice::<serde_json::Value>(&request.body).unwrap());
    let series = bodies.flat_map(|body| body["series"].as_array().cloned().unwrap_or_default());
    series.filter(|one| one["metric"] == name).map(|one| one["points"][0]["value"].as_f64().unwrap()).collect()
}

#[test]
fn a_newer_start_is_a_reset_and_a_sum_that_falls_is_none() {
    for temporality in [1, 2] {
        let (dir, delta, cumulative) =
            (TempDir::new(), Peer::start(|_, _| Reply::status(200)), Peer::start(|_, _| Reply::status(200)));
        let datadog = Peer::start(|_, _| Reply::Answer(202, vec![], r#"{"errors":[]}"#));
        let shippers = format!(
            r#"{{"name": "d", "type": "otlp_http", "endpoint": "{}", "temporality": "delta", "compression": "none"}},
               {{"name": "c", "type": "otlp_http", "endpoint": "{}", "compression": "none"}},
               {{"name": "dd", "type": "datadog", "endpoint": "{}", "datadog": {{"api_key": "k"}}, "compression": "none"}}"#,
            delta.url(""),
            cumulative.url(""),
            datadog.url("")
        );
        let daemon = taking(&dir, r#""max_bytes": 100000"#, r#"{"mode": "memory"}"#, &shippers);
        let now_ms =
            u64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis())
                .unwrap();
        // It began 250 s ago, before the daemon did, and again 35 s later.
        let (first, second) = (now_ms - 250_000, now_ms - 215_000);
        let pushes = match temporality {
            1 => [(100, 30, 1.5), (10, 30, 48.5), (1, 30, -545.5), (150, 120, 7.0), (1, 1, 1.0)],
            _ => [(100, 30, 1.5), (110, 60, 50.0), (111, 90, -495.5), (150, 120, 7.0), (151, 121, 8.0)],
        };
        for ((total, count, sum), nth) in pushes.into_iter().zip(0..) {
            let start = if nth < 3 { first } else { second };
            let body = counted(temporality, [start, now_ms - 240_000 + nth * 10_000], total, count, sum);
            let answer = post(&daemon, "/v1/metrics", "Content-Type: application/json\r\n", body.as_bytes());
            assert_eq!((answer.status, &*answer.body), (200, "{}"), "{temporality}");
        }
        let sums: Vec<f64> = points_of(&delta, "s").into_iter().map(|(_, _, sum)| sum).collect();
        assert_eq!(sums, [10.0, 1.0, 150.0, 1.0], "{temporality}");
        for name in ["h", "e"] {
            let points: Vec<(u64, f64)> =
                points_of(&delta, name).into_iter().map(|(_, count, sum)| (count, sum)).collect();
            assert_eq!(points, [(30, 48.5), (30, -545.5), (120, 7.0), (1, 1.0)], "{temporality} {name}");
            assert_eq!(
                datadog_values(&datadog, &format!("{name}_sum")),
                [48.5, -545.5, 7.0, 1.0],
                "{temporality} {name}"
            );
        }
        if temporality == 2 {
            for name in ["s", "h", "e"] {
                let starts: Vec<u64> = points_of(&cumulative, name).into_iter().map(|(start, ..)| start).collect();
                assert_eq!(starts, [first, first, first, second, second], "{name}");
            }
        }
    }
}

#[test]
fn exemplars_of_applications_come_out_at_otlp() {
    let (dir, peer) = (TempDir::new(), Peer::start(|_, _| Reply::status(200)));
    let shipper = format!(
        r#"{{"type": "otlp_http", "endpoint": "{}", "encoding": "json", "compression": "none"}}"#,
        peer.url("/o")
    );
    let daemon = taking(&dir, r#""max_bytes": 100000"#, r#"{"mode": "memory"}"#, &shipper);
    let mut request = otlp(2, 5);
    let now_ns = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64 / 1_000_000 * 1_000_000;
    let seen = |value: f64, id: u8| Exemplar {
        time_unix_nano: now_ns - 5_000_000_000,
        trace_id: vec![id; 16],
        span_id: vec![id; 8],
        value: Some(exemplar::Value::AsDouble(value)),
        ..Exemplar::default()
    };
    for metric in &mut request.resource_metrics[0].scope_metrics[0].metrics {
        match metric.data.as_mut().unwrap() {
            metric::Data::Sum(one) => one.data_points[0].exemplars = vec![seen(1.0, 1)],
            // Its bound is 0.1.
            metric::Data::Histogram(one) => one.data_points[0].exemplars = vec![seen(0.3, 3), seen(0.05, 2)],
            // Both in (2, 4]: the newest, which of two of one time is the last.
            metric::Data::ExponentialHistogram(one) => {
                one.data_points.truncate(1);
                one.data_points[0].exemplars = vec![seen(2.5, 4), seen(4.0, 5)];
            }
            other => panic!("{other:?}"),
        }
    }
    let answer = post(&daemon, "/v1/metrics", "Content-Type: application/x-protobuf\r\n", &request.encode_to_vec());
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    let sent: ExportMetricsServiceRequest = serde_json::from_slice(&peer.received()[0].body).unwrap();
    let metrics: Vec<&Metric> =
        sent.resource_metrics.iter().flat_map(|of| &of.scope_metrics).flat_map(|of| &of.metrics).collect();
    let of = |name: &str| {
        let metric = metrics.iter().find(|metric| metric.name == name).unwrap();
        match metric.data.as_ref().unwrap() {
            metric::Data::Sum(one) => one.data_points[0].exemplars.clone(),
            metric::Data::Histogram(one) => one.data_points[0].exemplars.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(of("shop.requests"), [seen(1.0, 1)]);
    assert_eq!(of("shop.took"), [seen(0.05, 2), seen(0.3, 3)]);
    assert_eq!(of("shop.size"), [seen(4.0, 5)]);
}
