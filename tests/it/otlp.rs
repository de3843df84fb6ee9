//! `otlp_http` from the real program to a scripted receiver.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;

use crate::support::peer::{Peer, Received, Reply};
use crate::support::program::{Daemon, TempDir};
use crate::support::wait_for;

fn config(peer: &Peer, more: &str) -> String {
    format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{"interval_seconds": 0.2}},
            "shippers": [{{"name": "otlp", "type": "otlp_http", "endpoint": "{}", "encoding": "json",
                           "compression": "none", "spool": {{"mode": "memory"}}{more}}}]}}"#,
        peer.url("/base")
    )
}

fn decode(request: &Received) -> ExportMetricsServiceRequest {
    assert_eq!(request.header("content-type"), Some("application/json"));
    serde_json::from_slice(&request.body).unwrap()
}

/// How many points there are.
fn points(request: &ExportMetricsServiceRequest) -> usize {
    let metrics = request.resource_metrics.iter().flat_map(|of| &of.scope_metrics).flat_map(|of| &of.metrics);
    let count = |data: &Data| match data {
        Data::Gauge(gauge) => gauge.data_points.len(),
        Data::Sum(sum) => sum.data_points.len(),
        Data::Histogram(histogram) => histogram.data_points.len(),
        Data::Summary(summary) => summary.data_points.len(),
        other => panic!("{other:?}"),
    };
    metrics.map(|metric| count(metric.data.as_ref().unwrap())).sum()
}

#[test]
fn a_host_is_sent_by_the_names_of_the_documentation() {
    let peer = Peer::start(|_, _| Reply::status(200));
    let dir = TempDir::new();
    let _daemon = Daemon::start(dir.path(), &config(&peer, ""));
    let request = wait_for("a request", || peer.received().first().cloned());
    assert_eq!(request.line, "POST /base/v1/metrics HTTP/1.1");
    let request = decode(&request);
    let [host] = &request.resource_metrics[..] else { panic!("{} resources", request.resource_metrics.len()) };
    let of = |wanted: &str| {
        let found = host.resource.as_ref().unwrap().attributes.iter().find(|pair| pair.key == wanted);
        match found?.value.as_ref()?.value.as_ref()? {
            Value::StringValue(text) => Some(text.clone()),
            other => panic!("{other:?}"),
        }
    };
    let name = nix::unistd::gethostname().unwrap().into_string().unwrap();
    assert_eq!(
        [of("host.name"), of("os.type"), of("service.name")],
        [Some(name), Some("linux".into()), Some("metricsd".into())]
    );
    assert_eq!(of("service.instance.id").map(|id| id.len()), Some(36));

    let documented = include_str!("../../docs/metrics.md");
    let names: BTreeSet<&str> = host.scope_metrics[0].metrics.iter().map(|metric| metric.name.as_str()).collect();
    for name in &names {
        let is_there = [format!("`{name}`"), format!("`{name}{{")].iter().any(|text| documented.contains(text));
        assert!(is_there, "{name}");
    }
    assert!(names.contains("system.cpu.time") && names.contains("system.memory.usage"), "{names:?}");
    for metric in &host.scope_metrics[0].metrics {
        let is_counter = matches!(&metric.data, Some(Data::Sum(sum)) if sum.is_monotonic);
        match metric.name.as_str() {
            "system.cpu.time" => assert_eq!((metric.unit.as_str(), is_counter), ("s", true)),
            "system.memory.usage" => {
                assert!(matches!(&metric.data, Some(Data::Sum(sum)) if !sum.is_monotonic));
                assert_eq!(metric.unit, "By");
            }
            _ => {}
        }
    }
}

#[test]
fn what_a_receiver_refuses_of_a_request_is_counted_and_said() {
    let peer = Peer::start(|_, _| {
        let kind = ("Content-Type", "application/json".to_owned());
        Reply::Answer(
            200,
            vec![kind],
            r#"{"partialSuccess": {"rejectedDataPoints": "2", "errorMessage": "too old for us"}}"#,
        )
    });
    let dir = TempDir::new();
    let daemon = Daemon::start(dir.path(), &config(&peer, ""));
    let series = r#"metricsd_destination_samples_dropped_total{destination="otlp",reason="refused"}"#;
    wait_for("two requests to be counted", || (daemon.metric(series)? >= 4.0).then_some(()));
    wait_for("the log line", || daemon.log().contains("the others are lost: too old for us").then_some(()));
    assert_eq!(daemon.metric(series).unwrap() % 2.0, 0.0);
    let sent = daemon.metric(r#"metricsd_destination_samples_sent_total{destination="otlp"}"#);
    assert!(sent > Some(2.0), "{sent:?}");
}

#[test]
fn a_request_that_is_too_large_is_divided() {
    let is_small = Arc::new(AtomicBool::new(false));
    let has_come = Arc::clone(&is_small);
    let peer = Peer::start(move |_, request| {
        if request.body.len() > 4000 {
            return Reply::status(413);
        }
        has_come.store(true, Ordering::SeqCst);
        Reply::status(200)
    });
    let dir = TempDir::new();
    let daemon = Daemon::start(dir.path(), &config(&peer, ""));
    wait_for("a part", || is_small.load(Ordering::SeqCst).then_some(()));
    let divided = r#"metricsd_destination_requests_total{destination="otlp",outcome="divided"}"#;
    wait_for("it to be counted", || (daemon.metric(divided)? >= 1.0).then_some(()));
    let all = peer.received();
    assert!(all[0].body.len() > 4000, "{}", all[0].body.len());
    let whole = points(&decode(&all[0]));
    let small = wait_for("all parts of the first request", || {
        let small: Vec<usize> =
            peer.received().iter().filter(|one| one.body.len() <= 4000).map(|one| points(&decode(one))).collect();
        (small.iter().sum::<usize>() >= whole).then_some(small)
    });
    assert!(small.iter().all(|points| *points > 0));
}

/// As the specification of OpenMetrics writes one, with a beginning.
const PAGE: &str = r#"# TYPE hist histogram
hist_bucket{le="0.1"} 8 # {} 0.054
hist_bucket{le="1"} 11 # {trace_id="4bf92f3577b34da6a3ce929d0e0e4736",span_id="00f067aa0ba902b7"} 0.67 1520879607.789
hist_bucket{le="+Inf"} 17
hist_count 17
hist_sum 324789.3
hist_created 1520430000.123
# TYPE foo counter
foo_total 17.0
foo_created 1520430000.123
# TYPE build info
build_info{version="8.2.7"} 1
# EOF
"#;

#[test]
fn a_scraped_page_arrives_as_what_it_was() {
    let target = Peer::start(|_, _| {
        let kind = ("Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8".to_owned());
        Reply::Answer(200, vec![kind], PAGE)
    });
    let peer = Peer::start(|_, _| Reply::status(200));
    let dir = TempDir::new();
    let endpoints = format!(r#", "endpoints": [{{"name": "app", "url": "{}"}}]}}"#, target.url("/metrics"));
    let config = config(&peer, "");
    let config = format!("{}{endpoints}", config.trim_end().strip_suffix('}').unwrap());
    let _daemon = Daemon::start(dir.path(), &config);
    let of_app = |request: &Received| {
        let all = decode(request).resource_metrics.into_iter();
        let is_it = |of: &opentelemetry_proto::tonic::metrics::v1::ResourceMetrics| {
            format!("{:?}", of.resource).contains("url.scheme")
        };
        all.filter(is_it).find(|of| of.scope_metrics[0].metrics.iter().any(|metric| metric.name == "hist"))
    };
    let of = wait_for("the page", || peer.received().iter().find_map(of_app));
    let resource = format!("{:?}", of.resource);
    for word in ["service.name", "\"app\"", "server.address", "127.0.0.1", "\"http\""] {
        assert!(resource.contains(word), "{resource}");
    }
    let metrics = &of.scope_metrics[0].metrics;
    let data = |name: &str| metrics.iter().find(|metric| metric.name == name).and_then(|metric| metric.data.as_ref());
    let Some(Data::Histogram(hist)) = data("hist") else { panic!("{metrics:?}") };
    let point = &hist.data_points[0];
    let start = 1_520_430_000_123_000_000;
    assert_eq!((point.count, point.sum, point.start_time_unix_nano), (17, Some(324789.3), start));
    assert_eq!((&point.explicit_bounds[..], &point.bucket_counts[..]), (&[0.1, 1.0][..], &[8, 3, 6][..]));
    let [first, second] = &point.exemplars[..] else { panic!("{point:?}") };
    assert_eq!((first.time_unix_nano, first.trace_id.len()), (point.time_unix_nano, 0));
    assert_eq!((second.time_unix_nano, second.trace_id[0], second.span_id[7]), (1_520_879_607_789_000_000, 0x4b, 0xb7));
    let Some(Data::Sum(foo)) = data("foo_total") else { panic!("{metrics:?}") };
    assert_eq!((foo.is_monotonic, foo.data_points[0].start_time_unix_nano), (true, start));
    assert!(matches!(data("build_info"), Some(Data::Sum(sum)) if !sum.is_monotonic));
    for gone in ["hist_created", "foo_created", "hist_count", "hist_bucket"] {
        assert_eq!(data(gone), None, "{gone}");
    }
}

/// Start and time of the points of a counter, by their attributes.
fn spans(request: &Received, name: &str) -> Vec<(String, u64, u64)> {
    let all = decode(request).resource_metrics.into_iter().flat_map(|of| of.scope_metrics).flat_map(|of| of.metrics);
    let sums = all.filter(|metric| metric.name == name).filter_map(|metric| match metric.data {
        Some(Data::Sum(sum)) => Some(sum),
        _ => None,
    });
    let points = sums.flat_map(|sum| {
        assert_eq!(sum.aggregation_temporality, 1, "delta");
        sum.data_points
    });
    points.map(|one| (format!("{:?}", one.attributes), one.start_time_unix_nano, one.time_unix_nano)).collect()
}

#[test]
fn what_a_refused_body_of_deltas_held_is_lost_and_counted_and_never_sent_again() {
    // The fourth is refused for good, the sixth is not answered well at first and comes again.
    let peer = Peer::start(|nth, _| {
        Reply::status(if nth == 3 {
            400
        } else if nth == 5 {
            503
        } else {
            200
        })
    });
    let dir = TempDir::new();
    let daemon =
        Daemon::start(dir.path(), &config(&peer, r#", "temporality": "delta", "retry": {"min_backoff": "50ms"}"#));
    let all = wait_for("some requests", || (peer.received().len() > 10).then(|| peer.received()));
    assert_eq!(spans(&all[0], "system.cpu.time"), [], "a first value gives no increase");
    assert_eq!(all[5].body, all[6].body, "the same body, byte for byte");
    let rejected = r#"metricsd_destination_samples_dropped_total{destination="otlp",reason="rejected"}"#;
    assert_eq!(daemon.metric(rejected), Some(points(&decode(&all[3])) as f64));
    let lost = spans(&all[3], "system.cpu.time");
    assert!(!lost.is_empty());
    for (series, start, end) in &lost {
        let own: Vec<(u64, u64)> = all
            .iter()
            .enumerate()
            .filter(|(nth, _)| ![3, 5].contains(nth))
            .flat_map(|(_, request)| spans(request, "system.cpu.time"))
            .filter(|(other, ..)| other == series)
            .map(|(_, start, end)| (start, end))
            .collect();
        assert!(own.iter().all(|(from, to)| from < to && (to <= start || from >= end)), "{own:?} {start} {end}");
        // Without a gap but that one.
        let gaps = own.windows(2).filter(|pair| pair[0].1 != pair[1].0).collect::<Vec<_>>();
        assert_eq!(gaps.len(), 1, "{own:?}");
        assert_eq!((gaps[0][0].1, gaps[0][1].0), (*start, *end));
    }
}
