//! Requests as an official library writes them, and as nobody should.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar,
    exponential_histogram_data_point::Buckets, metric, number_data_point, summary_data_point::ValueAtQuantile,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use std::sync::Arc;

use super::*;
use crate::model;

const NOW_MS: i64 = 1_700_000_000_000;
const NOW_NS: u64 = 1_700_000_000_000_000_000;
const MAX: usize = 1 << 20;

fn pair(key: &str, text: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(any_value::Value::StringValue(text.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn number(value: f64, attributes: Vec<KeyValue>) -> NumberDataPoint {
    let value = Some(number_data_point::Value::AsDouble(value));
    NumberDataPoint { attributes, time_unix_nano: NOW_NS, value, ..NumberDataPoint::default() }
}

fn sum(temporality: i32, is_monotonic: bool, points: Vec<NumberDataPoint>) -> metric::Data {
    metric::Data::Sum(Sum { data_points: points, aggregation_temporality: temporality, is_monotonic })
}

fn named(name: &str, unit: &str, data: metric::Data) -> Metric {
    Metric { name: name.to_owned(), unit: unit.to_owned(), data: Some(data), ..Metric::default() }
}

fn request(attributes: Vec<KeyValue>, metrics: Vec<Metric>) -> ExportMetricsServiceRequest {
    let resource = Some(Resource { attributes, ..Resource::default() });
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }],
    }
}

fn service() -> Vec<KeyValue> {
    vec![pair("service.namespace", "shop"), pair("service.name", "cart"), pair("service.instance.id", "i-1")]
}

/// What is read, which is the same from both encodings.
fn read_both(request: &ExportMetricsServiceRequest) -> (Vec<Given>, Rejected) {
    let protobuf = read(Encoding::Protobuf, &request.encode_to_vec(), MAX, NOW_MS).unwrap();
    let json = serde_json::to_vec(request).unwrap();
    assert_eq!(read(Encoding::Json, &json, MAX, NOW_MS).unwrap(), protobuf);
    protobuf
}

fn series(item: &GivenItem) -> Vec<String> {
    let labels: Vec<String> = item.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let own = |part: &GivenPart| part.own.as_ref().map_or(String::new(), |(name, value)| format!("{name}={value},"));
    let of = |part: &GivenPart| format!("{}{{{}{}}} {}", part.name, own(part), labels.join(","), part.value);
    item.parts.iter().map(of).collect()
}

#[test]
fn every_kind_becomes_its_series_in_both_encodings() {
    let histogram = HistogramDataPoint {
        attributes: vec![pair("route", "/a"), pair("le", "x")],
        time_unix_nano: NOW_NS,
        count: 9,
        sum: Some(4.5),
        bucket_counts: vec![2, 3, 4],
        explicit_bounds: vec![0.5, 1.0],
        ..HistogramDataPoint::default()
    };
    let summary = SummaryDataPoint {
        time_unix_nano: NOW_NS,
        count: 2,
        sum: 7.0,
        quantile_values: vec![
            ValueAtQuantile { quantile: 0.5, value: 3.0 },
            ValueAtQuantile { quantile: 0.99, value: 4.0 },
        ],
        ..SummaryDataPoint::default()
    };
    let metrics = vec![
        named("queue.depth", "1", metric::Data::Gauge(Gauge { data_points: vec![number(3.0, vec![pair("q", "a")])] })),
        named("requests", "", sum(2, true, vec![number(17.0, Vec::new())])),
        named("in.flight", "", sum(2, false, vec![number(-2.0, Vec::new())])),
        named(
            "http.duration",
            "s",
            metric::Data::Histogram(Histogram { data_points: vec![histogram], aggregation_temporality: 2 }),
        ),
        named("rpc.duration", "s", metric::Data::Summary(Summary { data_points: vec![summary] })),
    ];
    let (given, rejected) = read_both(&request(service(), metrics));
    assert_eq!(rejected, Rejected::default());
    let [given] = &given[..] else { panic!("{given:?}") };
    assert_eq!((&*given.job, &*given.instance), ("shop/cart", "i-1"));
    let kinds: Vec<Kind> = given.items.iter().map(|item| item.kind).collect();
    assert_eq!(kinds, [Kind::Gauge, Kind::Counter, Kind::UpDown, Kind::Histogram, Kind::Summary]);
    let all: Vec<String> = given.items.iter().flat_map(series).collect();
    assert_eq!(
        all,
        [
            "queue.depth{q=a} 3",
            "requests{} 17",
            "in.flight{} -2",
            "http.duration_bucket{le=0.5,exported_le=x,route=/a} 2",
            "http.duration_bucket{le=1,exported_le=x,route=/a} 5",
            "http.duration_bucket{le=+Inf,exported_le=x,route=/a} 9",
            "http.duration_sum{exported_le=x,route=/a} 4.5",
            "http.duration_count{exported_le=x,route=/a} 9",
            "rpc.duration{quantile=0.5,} 3",
            "rpc.duration{quantile=0.99,} 4",
            "rpc.duration_sum{} 7",
            "rpc.duration_count{} 2",
        ]
    );
    assert!(given.items.iter().all(|item| item.time_ms == Some(NOW_MS) && !item.is_delta));
    assert_eq!(given.items[3].unit, "s");
}

#[test]
fn a_resource_is_an_application_and_says_what_it_is() {
    let mut attributes = service();
    attributes.push(pair("host.name", "db1"));
    let gauge = |value| metric::Data::Gauge(Gauge { data_points: vec![number(value, vec![pair("job", "own")])] });
    let mut both = request(attributes, vec![named("a", "", gauge(1.0))]);
    both.resource_metrics.extend(request(Vec::new(), vec![named("a", "", gauge(2.0))]).resource_metrics);
    let (given, _) = read_both(&both);
    assert_eq!(
        given.iter().map(|given| (&*given.job, &*given.instance)).collect::<Vec<_>>(),
        [("shop/cart", "i-1"), ("otlp", "")]
    );
    let all: Vec<String> = given.iter().flat_map(|given| &given.items).flat_map(series).collect();
    assert_eq!(all, ["target_info{host.name=db1} 1", "a{exported_job=own} 1", "a{exported_job=own} 2"]);
}

#[test]
fn increases_of_a_series_add_up_and_of_others_the_newest_counts() {
    let at = |value, time_unix_nano| NumberDataPoint { time_unix_nano, ..number(value, Vec::new()) };
    let (given, rejected) = read_both(&request(
        service(),
        vec![
            named("d", "", sum(1, true, vec![at(3.0, NOW_NS - 1_000_000_000), at(4.0, NOW_NS)])),
            named("c", "", sum(2, true, vec![at(9.0, NOW_NS), at(8.0, NOW_NS - 1_000_000_000)])),
        ],
    ));
    let all: Vec<String> = given[0].items.iter().flat_map(series).collect();
    assert_eq!(all, ["d{} 7", "c{} 9"]);
    assert!(given[0].items[0].is_delta && !given[0].items[1].is_delta);
    assert_eq!(rejected.points, 1);
}

#[test]
fn names_of_the_host_are_rejected_in_both_encodings_and_the_rest_is_taken() {
    let one = |name| named(name, "", sum(2, true, vec![number(1.0, Vec::new()), number(2.0, vec![pair("a", "b")])]));
    let names = ["orders", "system.cpu.time", "node_load1", "metricsd.up", "up", "scrape_x", "process.cpu.time"];
    let (given, rejected) = read_both(&request(service(), names.map(one).into()));
    let taken: Vec<&str> = given[0].items.iter().map(|item| &*item.parts[0].name).collect();
    assert_eq!(taken, ["orders", "orders", "process.cpu.time", "process.cpu.time"]);
    let why = "system.cpu.time is a name of the host's, or of metricsd's own";
    assert_eq!(rejected, Rejected { points: 10, why: Some(why.to_owned()) });
}

#[test]
fn an_increase_that_is_none_does_not_spoil_its_sum() {
    let points = |values: &[f64]| values.iter().map(|value| number(*value, Vec::new())).collect::<Vec<_>>();
    let (given, rejected) = read_both(&request(
        service(),
        vec![
            named("d", "", sum(1, true, points(&[3.0, -3.0, f64::INFINITY, f64::NAN, 4.0]))),
            named("u", "", sum(1, false, points(&[5.0, -2.0]))),
        ],
    ));
    let all: Vec<String> = given[0].items.iter().flat_map(series).collect();
    assert_eq!((all, rejected.points), (vec!["d{} 7".to_owned(), "u{} 3".to_owned()], 3));
}

#[test]
fn what_is_not_taken_is_said_and_the_rest_is_taken() {
    let wide = ExponentialHistogramDataPoint { scale: -12, ..ExponentialHistogramDataPoint::default() };
    let old = NumberDataPoint { time_unix_nano: NOW_NS - 7_200_000_000_000, ..number(1.0, Vec::new()) };
    let gone = NumberDataPoint { flags: 1, ..number(0.0, vec![pair("gone", "1")]) };
    let empty = NumberDataPoint { value: None, ..number(0.0, vec![pair("empty", "1")]) };
    let odd = HistogramDataPoint {
        bucket_counts: vec![1, 2, 3],
        explicit_bounds: vec![1.0],
        ..HistogramDataPoint::default()
    };
    let many = number(1.0, (0..65).map(|at| pair(&format!("k{at}"), "v")).collect());
    let (given, rejected) = read_both(&request(
        service(),
        vec![
            named("exp", "", exponential(2, vec![wide.clone(), wide])),
            named("old", "", metric::Data::Gauge(Gauge { data_points: vec![old, gone, empty, many] })),
            named("unsaid", "", sum(0, true, vec![number(1.0, Vec::new())])),
            named("odd", "", metric::Data::Histogram(Histogram { data_points: vec![odd], aggregation_temporality: 2 })),
            named("", "", metric::Data::Gauge(Gauge { data_points: vec![number(1.0, Vec::new())] })),
            named("good", "", metric::Data::Gauge(Gauge { data_points: vec![number(1.0, Vec::new())] })),
        ],
    ));
    let all: Vec<String> = given[0].items.iter().flat_map(series).collect();
    assert_eq!(all, ["good{} 1"]);
    assert_eq!(rejected.points, 2 + 3 + 1 + 1 + 1);
    assert_eq!(rejected.why.as_deref(), Some("exp: the scale of an exponential histogram is -11 at least"));
    let json: serde_json::Value = serde_json::from_slice(&partial(Encoding::Json, &rejected)).unwrap();
    assert_eq!(json["partialSuccess"]["rejectedDataPoints"], "8");
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
    let answer = ExportMetricsServiceResponse::decode(&*partial(Encoding::Protobuf, &rejected)).unwrap();
    assert_eq!(answer.partial_success.unwrap().rejected_data_points, 8);
}

fn exponential(temporality: i32, data_points: Vec<ExponentialHistogramDataPoint>) -> metric::Data {
    metric::Data::ExponentialHistogram(ExponentialHistogram { data_points, aggregation_temporality: temporality })
}

fn buckets(offset: i32, bucket_counts: &[u64]) -> Option<Buckets> {
    Some(Buckets { offset, bucket_counts: bucket_counts.to_vec() })
}

#[test]
fn an_exponential_histogram_is_one_of_bounds() {
    // Scale 1, whose base is the root of 2: (0.5, 0.71] once, (0.71, 1] 300 times; and [-2, -1.41) twice.
    let point = ExponentialHistogramDataPoint {
        attributes: vec![pair("route", "/a"), pair("le", "x")],
        time_unix_nano: NOW_NS,
        count: 308,
        sum: Some(200.5),
        scale: 1,
        zero_count: 5,
        zero_threshold: 1e-6,
        positive: buckets(-2, &[1, 300]),
        negative: buckets(1, &[2]),
        ..ExponentialHistogramDataPoint::default()
    };
    let gone = ExponentialHistogramDataPoint { flags: 1, ..ExponentialHistogramDataPoint::default() };
    let unsaid = named("u", "", exponential(0, vec![point.clone()]));
    let (given, rejected) =
        read_both(&request(service(), vec![named("x", "s", exponential(2, vec![point, gone])), unsaid]));
    let [item] = &given[0].items[..] else { panic!("{given:?}") };
    assert_eq!((item.kind, &*item.unit, item.time_ms, item.is_delta), (Kind::Histogram, "s", Some(NOW_MS), false));
    let at = |le: &str, count: u64| format!("x_bucket{{le={le},exported_le=x,route=/a}} {count}");
    assert_eq!(
        series(item),
        [
            at("-2", 0),
            at("-1.4142135623730951", 2),
            at("0.000001", 7),
            at("0.5", 7),
            at("0.7071067811865476", 8),
            at("1", 308),
            at("+Inf", 308),
            "x_sum{exported_le=x,route=/a} 200.5".to_owned(),
            "x_count{exported_le=x,route=/a} 308".to_owned(),
        ]
    );
    assert_eq!((rejected.points, rejected.why.unwrap().contains("cumulative or delta")), (1, true));
}

#[test]
fn increases_of_an_exponential_histogram_add_up_by_bucket() {
    let point = |offset, counts: &[u64], sum| ExponentialHistogramDataPoint {
        count: counts.iter().sum(),
        sum: Some(sum),
        positive: buckets(offset, counts),
        ..ExponentialHistogramDataPoint::default()
    };
    // (1, 2] and (4, 8], then (2, 4].
    let points = vec![point(0, &[1, 0, 2], 12.0), point(1, &[5], 15.0)];
    let (given, rejected) = read_both(&request(service(), vec![named("x", "", exponential(1, points))]));
    let expected = ["le=0,} 0", "le=1,} 0", "le=2,} 1", "le=4,} 6", "le=8,} 8", "le=+Inf,} 8"]
        .map(|text| format!("x_bucket{{{text}"));
    let all = series(&given[0].items[0]);
    assert_eq!(all[..6], expected);
    assert_eq!(all[6..], ["x_sum{} 27", "x_count{} 8"]);
    assert_eq!(rejected, Rejected::default());
}

#[test]
fn a_histogram_whose_buckets_are_not_its_count_is_rejected() {
    let explicit = |count, bucket_counts: &[u64]| HistogramDataPoint {
        count,
        bucket_counts: bucket_counts.to_vec(),
        explicit_bounds: if bucket_counts.is_empty() { vec![] } else { vec![1.0] },
        ..HistogramDataPoint::default()
    };
    let own = |count, zero_count, above: &[u64], below: &[u64]| ExponentialHistogramDataPoint {
        count,
        zero_count,
        positive: buckets(0, above),
        negative: buckets(0, below),
        ..ExponentialHistogramDataPoint::default()
    };
    let histogram = |points| metric::Data::Histogram(Histogram { data_points: points, aggregation_temporality: 2 });
    let taken = |data| {
        let (given, rejected) = read_both(&request(service(), vec![named("h", "", data)]));
        assert_eq!(given[0].items.is_empty(), rejected.points == 1);
        rejected.why.unwrap_or_default()
    };
    for (count, counts) in [(0, &[0, 0][..]), (5, &[2, 3]), (7, &[])] {
        assert_eq!(taken(histogram(vec![explicit(count, counts)])), "", "{count} {counts:?}");
    }
    for (count, counts) in [(1, [2, 3]), (9, [2, 3]), (0, [u64::MAX, 1])] {
        let why = taken(histogram(vec![explicit(count, &counts)]));
        assert_eq!(why, "h: the buckets of a histogram add up to its count", "{count} {counts:?}");
    }
    assert_eq!(taken(exponential(2, vec![own(6, 1, &[2], &[3])])), "");
    for (count, zero, above, below) in [(5, 1, 2, 3), (7, 1, 2, 3), (5, 0, u64::MAX, 6), (4, 0, 0, 0)] {
        let why = taken(exponential(2, vec![own(count, zero, &[above], &[below])]));
        assert_eq!(why, "h: the buckets of an exponential histogram add up to its count", "{count}");
    }
}

#[test]
fn a_field_without_a_sign_takes_no_number_below_0() {
    let read = |point: &str| {
        let body = format!(
            r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"h","histogram":{{
                "aggregationTemporality":2,"dataPoints":[{point}]}}}},{{"name":"x","exponentialHistogram":{{
                "aggregationTemporality":2,"dataPoints":[{point}]}}}}]}}]}}]}}"#
        );
        read(Encoding::Json, body.as_bytes(), MAX, NOW_MS).map(|(_, rejected)| rejected)
    };
    assert_eq!(read(r#"{"count":"0","scale":-1}"#), Ok(Rejected::default()));
    for bad in ["\"-1\"", "-1", "\"x\"", "1e30", "\"18446744073709551616\""] {
        for point in [
            format!(r#"{{"count":{bad}}}"#),
            format!(r#"{{"count":0,"bucketCounts":[{bad}]}}"#),
            format!(r#"{{"zeroCount":{bad}}}"#),
            format!(r#"{{"positive":{{"bucketCounts":[{bad}]}}}}"#),
            format!(r#"{{"timeUnixNano":{bad}}}"#),
        ] {
            assert!(matches!(read(&point), Err(Refused::Malformed(_))), "{point}");
        }
    }
}

fn seen(value: f64, second: u64, trace: u8) -> Exemplar {
    let ids = (vec![trace; 16], vec![trace; 8]);
    Exemplar {
        filtered_attributes: vec![pair("user", "ann"), pair("job", "own")],
        time_unix_nano: NOW_NS + second * 1_000_000_000,
        span_id: if trace == 0 { Vec::new() } else { ids.1 },
        trace_id: if trace == 0 { Vec::new() } else { ids.0 },
        value: Some(exemplar::Value::AsDouble(value)),
    }
}

/// Which part refers to what.
fn referring(item: &GivenItem) -> Vec<String> {
    let own = |part: &GivenPart| part.own.as_ref().map_or(String::new(), |(_, value)| format!(" {value}"));
    let of = |(at, one): (usize, Arc<model::Exemplar>)| {
        let labels: Vec<String> = one.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let time = one.time_ms.map_or(0, |time_ms| time_ms - NOW_MS);
        format!("{}{}: {} {time} {}", item.parts[at].name, own(&item.parts[at]), one.value, labels.join(","))
    };
    item.referring().into_iter().map(of).collect()
}

#[test]
fn exemplars_are_those_of_the_bucket_that_counted_them() {
    let histogram = HistogramDataPoint {
        count: 4,
        bucket_counts: vec![1, 2, 1],
        explicit_bounds: vec![0.5, 1.0],
        // A bound is of the bucket below it; of two the newer one counts.
        exemplars: vec![seen(1.0, 3, 0xab), seen(0.75, 2, 1), seen(9.0, 1, 0)],
        ..HistogramDataPoint::default()
    };
    let exponential_point = ExponentialHistogramDataPoint {
        count: 2,
        positive: buckets(0, &[1, 1]),
        exemplars: vec![seen(3.0, 1, 0)],
        ..ExponentialHistogramDataPoint::default()
    };
    let mut requests = number(5.0, Vec::new());
    let whole = Some(exemplar::Value::AsInt(2));
    requests.exemplars =
        vec![Exemplar { value: whole, ..seen(0.0, 0, 0) }, Exemplar { value: None, ..seen(0.0, 1, 0) }];
    let data = metric::Data::Histogram(Histogram { data_points: vec![histogram], aggregation_temporality: 2 });
    let metrics = vec![
        named("h", "", data),
        named("e", "", exponential(2, vec![exponential_point])),
        named("c", "", sum(2, true, vec![requests])),
    ];
    let (given, _) = read_both(&request(service(), metrics));
    let own = "job=own";
    let ids = format!("span_id={},trace_id={}", "ab".repeat(8), "ab".repeat(16));
    let all: Vec<String> = given[0].items.iter().flat_map(referring).collect();
    assert_eq!(
        all,
        [
            format!("h_bucket 1: 1 3000 {own},{ids},user=ann"),
            format!("h_bucket +Inf: 9 1000 {own},user=ann"),
            format!("e_bucket 4: 3 1000 {own},user=ann"),
            format!("c: 2 0 {own},user=ann"),
        ]
    );
}

#[test]
fn bombs_and_what_is_cut_end_in_words() {
    let request = request(service(), vec![named("a", "", sum(2, true, vec![number(1.0, vec![pair("x", "y")])]))]);
    let bytes = request.encode_to_vec();
    for end in 0..bytes.len() {
        let _ = read(Encoding::Protobuf, &bytes[..end], MAX, NOW_MS);
    }
    let json = serde_json::to_vec(&request).unwrap();
    for end in 0..json.len() {
        assert!(read(Encoding::Json, &json[..end], MAX, NOW_MS).is_err(), "{end}");
    }
    // Points of three bytes each.
    let points = vec!["{}"; 100_000].join(",");
    let bomb = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"gauge":{{"dataPoints":[{points}]}}}}]}}]}}]}}"#
    );
    let small = read(Encoding::Json, bomb.as_bytes(), bomb.len(), NOW_MS);
    assert!(matches!(small, Err(Refused::TooMuch(_))), "{small:?}");
    // A gauge of many points of two bytes.
    let points: Vec<u8> = std::iter::repeat_n([0x0a, 0], 100_000).flatten().collect();
    let mut body = points;
    for tag in [0x2a, 0x12, 0x12, 0x0a] {
        let mut whole = vec![tag];
        prost::encoding::encode_varint(body.len() as u64, &mut whole);
        whole.extend(body);
        body = whole;
    }
    let small = read(Encoding::Protobuf, &body, body.len(), NOW_MS);
    assert!(matches!(small, Err(Refused::TooMuch(_))), "{small:?}");
    // Buckets of a byte each; and those that are cut off.
    let point = ExponentialHistogramDataPoint { positive: buckets(0, &[1; 100_000]), ..Default::default() };
    let bytes = request_of(point).encode_to_vec();
    let small = read(Encoding::Protobuf, &bytes, bytes.len(), NOW_MS);
    assert!(matches!(small, Err(Refused::TooMuch(_))), "{small:?}");
    let point = ExponentialHistogramDataPoint { scale: -3, positive: buckets(-9, &[1, 200, 3]), ..Default::default() };
    let bytes = request_of(point).encode_to_vec();
    for end in 0..bytes.len() {
        let _ = read(Encoding::Protobuf, &bytes[..end], MAX, NOW_MS);
    }
}

fn request_of(point: ExponentialHistogramDataPoint) -> ExportMetricsServiceRequest {
    request(service(), vec![named("x", "", exponential(2, vec![point]))])
}
