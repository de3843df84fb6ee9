//! Bodies, decoded by OpenTelemetry's own definitions.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, NumberDataPoint, metric};
use prost::Message;

use super::*;
use crate::formats::testing::{self, COUNT, TOTAL, USAGE};
use crate::model::{Family, Frame, Item, Kind, Label, Labels, Reading, Recorder, face};

const TIME_MS: i64 = 1_700_000_000_123;
const TIME_NS: u64 = 1_700_000_000_123_000_000;

fn options(encoding: Encoding, compression: Compression) -> Options {
    Options::compressed(compression).with(encoding)
}

/// Each encoding, plain and compressed.
fn all_options() -> impl Iterator<Item = Options> {
    let each = |encoding| [Compression::None, Compression::Gzip].map(|compression| options(encoding, compression));
    Encoding::ALL.into_iter().flat_map(each)
}

fn decode(content: &Content, body: &[u8]) -> ExportMetricsServiceRequest {
    let plain = if is_gzip(content) { gunzip(body).unwrap() } else { body.to_vec() };
    let kind = &content.iter().find(|(name, _)| name == "Content-Type").unwrap().1;
    match kind.as_str() {
        "application/json" => serde_json::from_slice(&plain).unwrap(),
        "application/x-protobuf" => ExportMetricsServiceRequest::decode(&plain[..]).unwrap(),
        other => panic!("{other}"),
    }
}

fn pairs(attributes: &[KeyValue]) -> String {
    let word = |pair: &KeyValue| match &pair.value.as_ref().unwrap().value {
        Some(any_value::Value::StringValue(text)) => format!("{}={text}", pair.key),
        other => panic!("{other:?}"),
    };
    let words: Vec<String> = attributes.iter().map(word).collect();
    assert!(attributes.is_sorted_by(|a, b| a.key < b.key), "{words:?}");
    words.join(",")
}

/// A series of a request: its resource, its metric with unit and data, its attributes.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Stream(String, String, String);

fn points(request: &ExportMetricsServiceRequest) -> Vec<(Stream, NumberDataPoint)> {
    let mut all = Vec::new();
    for of in &request.resource_metrics {
        let resource = pairs(&of.resource.as_ref().unwrap().attributes);
        let [scope] = &of.scope_metrics[..] else { panic!("{} scopes", of.scope_metrics.len()) };
        let who = scope.scope.as_ref().unwrap();
        assert_eq!((&*who.name, &*who.version), ("metricsd", env!("CARGO_PKG_VERSION")));
        for metric in &scope.metrics {
            let (data, own) = match metric.data.as_ref().unwrap() {
                metric::Data::Gauge(gauge) => ("gauge", &gauge.data_points),
                metric::Data::Sum(sum) => {
                    assert_eq!(sum.aggregation_temporality, AggregationTemporality::Cumulative as i32);
                    (if sum.is_monotonic { "counter" } else { "updown" }, &sum.data_points)
                }
                other => panic!("{other:?}"),
            };
            assert!(!own.is_empty());
            for point in own {
                let metric = format!("{} {} {data}", metric.name, metric.unit);
                all.push((Stream(resource.clone(), metric, pairs(&point.attributes)), point.clone()));
            }
        }
    }
    all
}

fn value(point: &NumberDataPoint) -> Option<f64> {
    point.value.as_ref().map(|value| match value {
        Value::AsDouble(value) => *value,
        Value::AsInt(value) => panic!("{value}"),
    })
}

fn host(batch: Batch) -> Batch {
    let attributes = [("host.name", "web-1"), ("service.instance.id", "an-id"), ("service.name", "metricsd")];
    let attributes = attributes.map(|(name, value)| (name.into(), value.into())).into();
    let resource = Resource { host: "web-1".into(), attributes, boot_ms: Some(1_699_000_000_000) };
    Batch { resource: Arc::new(resource), ..batch }
}

/// What all requests of these tests say of the host.
fn host_text() -> String {
    "host.name=web-1,service.instance.id=an-id,service.name=metricsd".to_owned()
}

fn stream(resource: &str, metric: &str, attributes: &str) -> Stream {
    Stream(resource.to_owned(), metric.to_owned(), attributes.to_owned())
}

#[test]
fn a_batch_reads_back_as_it_was_in_each_encoding() {
    let odd = Labels::of(&[("core", "0"), ("note", "a \"b\"\n\u{1}é")]);
    let samples =
        [(&USAGE, &odd, 12.5), (&COUNT, &Labels::EMPTY, 0.0), (&TOTAL, &odd, 1e21), (&USAGE, &Labels::EMPTY, -3.0)];
    for options in all_options() {
        let mut encoder = encoder(&options, testing::from(Labels::of(&[("dc", "eu"), ("core", "x")])));
        let (body, encoded) = testing::encode(&mut *encoder, &host(testing::batch(TIME_MS, &samples)));
        assert_eq!(encoded, Encoded { samples: 4, markers: 0, unencodable: 0 });
        let request = decode(&encoder.content(), &body);
        let host = host_text();
        let found: Vec<_> = points(&request)
            .into_iter()
            .map(|(stream, point)| {
                assert_eq!((point.time_unix_nano, point.start_time_unix_nano, point.flags), (TIME_NS, 0, 0));
                (stream, value(&point).unwrap())
            })
            .collect();
        let note = "note=a \"b\"\n\u{1}é";
        assert_eq!(
            found,
            [
                (stream(&host, "test_usage_percent % gauge", &format!("core=0,dc=eu,{note}")), 12.5),
                (stream(&host, "test_usage_percent % gauge", "core=x,dc=eu"), -3.0),
                (stream(&host, "test_count  gauge", "core=x,dc=eu"), 0.0),
                (stream(&host, "test_bytes_total By counter", &format!("core=0,dc=eu,{note}")), 1e21),
            ]
        );
        let usage = &request.resource_metrics[0].scope_metrics[0].metrics[0];
        assert_eq!(usage.description, "Usage.");
    }
}

#[test]
fn json_is_the_official_mapping() {
    let mut encoder = encoder(&options(Encoding::Json, Compression::None), testing::from(Labels::EMPTY));
    let disk = Labels::of(&[("device", "sda")]);
    let samples = [(&TOTAL, &disk, 2.5), (&COUNT, &Labels::EMPTY, f64::NAN), (&COUNT, &disk, f64::NEG_INFINITY)];
    let (body, _) = testing::encode(&mut *encoder, &host(testing::batch(TIME_MS, &samples)));
    let found: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let metrics = &found["resourceMetrics"][0]["scopeMetrics"][0]["metrics"];
    // 64-bit integers as strings, enums as numbers, what is no number in words.
    let expected = serde_json::json!([
        {"name": "test_bytes_total", "description": "Bytes.", "unit": "By", "sum": {
            "aggregationTemporality": 2, "isMonotonic": true, "dataPoints": [{
                "timeUnixNano": "1700000000123000000", "asDouble": 2.5,
                "attributes": [{"key": "device", "value": {"stringValue": "sda"}}]}]}},
        {"name": "test_count", "description": "A count.", "gauge": {"dataPoints": [
            {"timeUnixNano": "1700000000123000000", "asDouble": "NaN"},
            {"timeUnixNano": "1700000000123000000", "asDouble": "-Infinity",
             "attributes": [{"key": "device", "value": {"stringValue": "sda"}}]}]}},
    ]);
    assert_eq!(*metrics, expected);
}

/// A frame of a disk's counter and of the memory's parts, by the names of OpenTelemetry.
fn built_in(out: &mut Recorder, disks: &[Item], time_ms: i64) -> Frame {
    static DEVICE: &[Label] = &[Label::key("device", 0)];
    static READ: Reading =
        Reading { native: None, node: None, otel: face(&Family::counter("system.disk.io", "By", "Bytes."), DEVICE) };
    static USED: Reading = Reading {
        native: None,
        node: None,
        otel: face(&Family::new(Kind::UpDown, "system.memory.usage", "By", "Memory."), &[]),
    };
    disks.iter().for_each(|disk| out.item(disk).push(&READ, 7.0));
    out.item(&Item::new(&[])).push(&USED, 5.0);
    out.finish(time_ms)
}

#[test]
fn sums_say_since_when_they_count_and_ended_series_end_by_their_names() {
    let [sda, sdb] = ["sda", "sdb"].map(|name| Item::new(&[name]));
    for options in all_options() {
        let mut recorder = Recorder::new("disk", 100);
        let mut encoder = encoder(&options, Perspective::new(Scheme::Otel, Labels::EMPTY));
        let mut of = |frame: Frame| {
            let time_ms = frame.time_ms;
            let batch = host(Batch::new(time_ms, Arc::default(), vec![frame]));
            let (body, encoded) = testing::encode(&mut *encoder, &batch);
            let points = points(&decode(&encoder.content(), &body)).into_iter();
            let point = |(Stream(resource, metric, attributes), point): (Stream, NumberDataPoint)| {
                assert_eq!(resource, host_text());
                let starts = point.start_time_unix_nano / 1_000_000;
                (
                    format!("{metric} {attributes}"),
                    (value(&point), starts, point.time_unix_nano / 1_000_000, point.flags),
                )
            };
            (points.map(point).collect::<BTreeMap<_, _>>(), encoded.markers)
        };
        let (boot, [first, second, third]) = (1_699_000_000_000, [1, 2, 3].map(|at| TIME_MS as u64 + at));
        let key = |disk: &str| format!("system.disk.io By counter device={disk}");
        let used = "system.memory.usage By updown ".to_owned();

        let (points, markers) = of(built_in(&mut recorder, std::slice::from_ref(&sda), first as i64));
        let expected = [(key("sda"), (Some(7.0), boot, first, 0)), (used.clone(), (Some(5.0), boot, first, 0))];
        assert_eq!((points, markers), (BTreeMap::from(expected), 0));

        // It came later, so that it counts since the round before.
        let (points, _) = of(built_in(&mut recorder, &[sda.clone(), sdb.clone()], second as i64));
        assert_eq!(points[&key("sda")], (Some(7.0), boot, second, 0));
        let (_, since, ..) = points[&key("sdb")];
        assert!((first..=second).contains(&since), "{since}");

        let (points, markers) = of(built_in(&mut recorder, std::slice::from_ref(&sdb), third as i64));
        assert_eq!((points[&key("sda")], markers), ((None, 0, third, 1), 1));
        assert_eq!(points.len(), 3);
    }
}

#[test]
fn what_was_scraped_is_of_its_target_and_what_a_destination_is_labelled_is_not() {
    static BUCKET: Family = Family::new(Kind::Histogram, "app_seconds_bucket", "", "Durations.");
    static SUM: Family = Family::new(Kind::Summary, "app_size_sum", "", "Sizes.");
    static QUANTILE: Family = Family::new(Kind::Summary, "app_size", "", "Sizes.");
    static UP: Family = Family::untyped("app_up", "", "");
    let target = Labels::of(&[("instance", "h:9100"), ("job", "app"), ("le", "0.5")]);
    let socket = Labels::of(&[("instance", "localhost"), ("job", "app")]);
    let endpoint = Labels::of(&[("endpoint", "app")]);
    let samples = [
        (&BUCKET, &target, 1.0),
        (&SUM, &target, 2.0),
        (&QUANTILE, &target, 3.0),
        (&UP, &target, 4.0),
        (&UP, &socket, 5.0),
        (&UP, &endpoint, 6.0),
        (&USAGE, &Labels::EMPTY, 7.0),
    ];
    let expected = |own: &str| {
        let (host, at) = (host_text(), "server.address=h,server.port=9100,service.instance.id=h:9100,service.name=app");
        let own_and =
            |label: &str| [label, own].into_iter().filter(|one| !one.is_empty()).collect::<Vec<_>>().join(",");
        let mut expected = vec![
            (stream(at, "app_seconds_bucket  counter", "le=0.5"), 1.0),
            (stream(at, "app_size_sum  counter", "le=0.5"), 2.0),
            (stream(at, "app_size  gauge", "le=0.5"), 3.0),
            (stream(at, "app_up  gauge", "le=0.5"), 4.0),
            (stream("service.instance.id=localhost,service.name=app", "app_up  gauge", ""), 5.0),
            (stream(&host, "app_up  gauge", &own_and("endpoint=app")), 6.0),
            (stream(&host, "test_usage_percent % gauge", own), 7.0),
        ];
        expected.sort_by(|(a, _), (b, _)| a.cmp(b));
        expected
    };
    for (own, text) in [(Labels::EMPTY, ""), (Labels::of(&[("instance", "i"), ("job", "j")]), "instance=i,job=j")] {
        for options in all_options() {
            let mut encoder = encoder(&options, testing::from(own.clone()));
            let batch = host(testing::batch(TIME_MS, &samples));
            let (body, _) = testing::encode(&mut *encoder, &batch);
            let content = encoder.content();
            let points = |body: &[u8]| {
                let mut points: Vec<_> = points(&decode(&content, body));
                points.sort_by(|(a, _), (b, _)| a.cmp(b));
                points
            };
            let found: Vec<_> =
                points(&body).into_iter().map(|(stream, point)| (stream, value(&point).unwrap())).collect();
            assert_eq!(found, expected(text));
            // It ends as what it was.
            let gone = host(Batch::new(TIME_MS + 1, Arc::default(), vec![Frame::ended("test", TIME_MS + 1)]));
            let (body, encoded) = testing::encode(&mut *encoder_after(&mut *encoder, &options, &own), &gone);
            let found = points(&body);
            assert!(found.iter().all(|(_, point)| (value(point), point.flags) == (None, 1)), "{found:?}");
            assert_eq!(encoded, Encoded { samples: 0, markers: 7, unencodable: 0 });
            assert_eq!(
                found.into_iter().map(|(stream, _)| stream).collect::<Vec<_>>(),
                expected(text).into_iter().map(|(stream, _)| stream).collect::<Vec<_>>()
            );
        }
    }
}

/// The encoder of the next start, which has read from disk what was sent.
fn encoder_after(before: &mut dyn Encoder, options: &Options, own: &Labels) -> Box<dyn Encoder> {
    let mut list = Vec::new();
    before.sent().write(&mut list).unwrap();
    let mut after = encoder(options, testing::from(own.clone()));
    after.inherit(Sent::read(&mut &list[..]).unwrap().0);
    after
}

#[test]
fn a_request_is_divided_by_its_points_until_one_is_left() {
    let labels: Vec<Labels> = (0..7).map(|at| Labels::of(&[("core", &at.to_string())])).collect();
    let target = Labels::of(&[("instance", "h:1"), ("job", "\"app\"")]);
    let mut samples: Vec<(&Family, &Labels, f64)> = labels.iter().map(|labels| (&TOTAL, labels, 1.5)).collect();
    samples.extend([(&USAGE, &target, 1.0), (&TOTAL, &target, 2.0), (&COUNT, &Labels::EMPTY, f64::NAN)]);
    for options in all_options() {
        let mut encoder = encoder(&options, testing::from(Labels::EMPTY));
        let (body, _) = testing::encode(&mut *encoder, &host(testing::batch(TIME_MS, &samples)));
        let content = encoder.content();
        let text = |body: &[u8]| -> Vec<String> {
            let plain = if is_gzip(&content) { gunzip(body).unwrap() } else { body.to_vec() };
            // NaN is not equal to itself, and the crate's JSON reads none: the points as they were written.
            let of = |points: Vec<request::Written<'_>>| {
                points.iter().map(|p| format!("{:?} {:?} {:?} {:?}", p.resource, p.head, p.data, p.written)).collect()
            };
            of(json::Json::points(&plain).or_else(|| proto::Protobuf::points(&plain)).unwrap())
        };
        for most in 1..=10 {
            let pieces = divide(&content, &body, most).unwrap();
            assert!(pieces.len() >= 2 && pieces.iter().all(|piece| (1..=most).contains(&piece.samples)), "{most}");
            let all: Vec<String> = pieces.iter().flat_map(|piece| text(&piece.bytes)).collect();
            assert_eq!(all, text(&body));
        }
        let one = &divide(&content, &body, 1).unwrap()[0].bytes;
        assert_eq!(points(&decode(&content, one)).len(), 1);
        assert!(divide(&content, one, 1).is_none());
        for end in 0..body.len() {
            // Damaged ones are left alone; none makes it panic.
            let _ = divide(&content, &body[..end], 2);
        }
        let mut bodies = |most| {
            let mut bodies = Bodies::default();
            encoder.encode(&host(testing::batch(TIME_MS, &samples)), most, &mut bodies);
            bodies.drain().map(|piece| piece.samples).collect::<Vec<_>>()
        };
        assert_eq!(bodies(4), [3, 3, 4], "a chunk that is larger than a body may be is divided");
    }
}

#[test]
fn metrics_that_are_not_there_any_more_leave_nothing_behind() {
    let mut encoder =
        Otlp::<proto::Protobuf>::new(testing::from(Labels::EMPTY), Compression::None, Temporality::Cumulative);
    for round in 0..100 {
        let target = Labels::of(&[("instance", "h"), ("job", &round.to_string())]);
        let (body, _) =
            testing::encode(&mut encoder, &host(testing::batch(TIME_MS + round, &[(&USAGE, &target, 1.0)])));
        let streams: Vec<_> = points(&decode(&encoder.content(), &body));
        assert_eq!(streams.len(), if round == 0 { 1 } else { 2 }, "one that is, and the end of the one before");
    }
    assert!(encoder.body.request.resources().count() <= 2);
}

/// A frame of what an OpenMetrics page may hold, by native names, in one item each.
fn scraped(items: &[&[(Family<'static>, &[(&str, &str)], f64)]]) -> Frame {
    let scheme = [("url.scheme".into(), "http".into())].into();
    let mut out = Recorder::new("endpoints/app", 1000).with_attributes(scheme).of_unknown_start();
    for (at, item) in items.iter().enumerate() {
        let key = Item::new(&[&at.to_string()]);
        let mut out = out.item(&key);
        for (family, labels, value) in *item {
            let target = [("instance", "h:1"), ("job", "app")].into_iter();
            let labels: Vec<Label<'_>> =
                labels.iter().copied().chain(target).map(|(name, value)| Label::Constant { name, value }).collect();
            out.push_learnt(&Arc::new(crate::model::Learnt::everywhere(*family, &labels)), *value);
        }
    }
    out.finish(TIME_MS)
}

const HISTOGRAM: fn(&'static str) -> Family<'static> =
    |name| Family::new(Kind::Histogram, name, "seconds", "Durations.");
const SUMMARY: fn(&'static str) -> Family<'static> = |name| Family::new(Kind::Summary, name, "bytes", "Sizes.");
/// 2023-11-14T22:00:00Z.
const CREATED_S: f64 = 1_699_999_200.25;

/// What [`scraped`] says of its target's resource.
const SCHEME: &str = ",url.scheme=http";

/// All metrics of a request by name, whose resource is the target's.
fn by_name(request: &ExportMetricsServiceRequest, more: &str) -> BTreeMap<String, metric::Data> {
    let [of] = &request.resource_metrics[..] else { panic!("{request:?}") };
    let resource = pairs(&of.resource.as_ref().unwrap().attributes);
    assert_eq!(resource, format!("server.address=h,server.port=1,service.instance.id=h:1,service.name=app{more}"));
    let all = of.scope_metrics[0].metrics.iter();
    all.map(|metric| (format!("{} {}", metric.name, metric.unit), metric.data.clone().unwrap())).collect()
}

#[test]
fn a_scraped_histogram_a_summary_and_a_counter_are_what_they_were() {
    let created = |name| Family::gauge(name, "seconds", "Durations.");
    let histogram: &[(Family<'static>, &[(&str, &str)], f64)] = &[
        (HISTOGRAM("x_bucket"), &[("le", "0.5"), ("path", "/")], 2.0),
        (HISTOGRAM("x_bucket"), &[("le", "10"), ("path", "/")], 5.0),
        (HISTOGRAM("x_bucket"), &[("le", "+Inf"), ("path", "/")], 6.0),
        (HISTOGRAM("x_count"), &[("path", "/")], 6.0),
        (HISTOGRAM("x_sum"), &[("path", "/")], 40.5),
        (created("x_created"), &[("path", "/")], CREATED_S),
    ];
    let summary: &[(Family<'static>, &[(&str, &str)], f64)] = &[
        (SUMMARY("s"), &[("quantile", "0.5")], 1.5),
        (SUMMARY("s"), &[("quantile", "0.99")], 9.5),
        (SUMMARY("s_sum"), &[], 100.0),
        (SUMMARY("s_count"), &[], 20.0),
    ];
    let counter: &[(Family<'static>, &[(&str, &str)], f64)] =
        &[(Family::counter("c_total", "", ""), &[], 3.0), (created("c_created"), &[], CREATED_S)];
    // Of times to come, which is nonsense.
    let later: &[(Family<'static>, &[(&str, &str)], f64)] =
        &[(Family::counter("d_total", "", ""), &[], 3.0), (created("d_created"), &[], 2e9)];
    for options in all_options() {
        let mut encoder = encoder(&options, testing::from(Labels::EMPTY));
        let batch = |frame| host(Batch::new(TIME_MS, Arc::default(), vec![frame]));
        let (body, encoded) = testing::encode(&mut *encoder, &batch(scraped(&[histogram, summary, counter, later])));
        assert_eq!(encoded, Encoded { samples: 4, markers: 0, unencodable: 0 });
        let found = by_name(&decode(&encoder.content(), &body), SCHEME);
        assert_eq!(found.keys().collect::<Vec<_>>(), ["c_total ", "d_total ", "s By", "x s"]);
        let start = 1_699_999_200_250_000_000;

        let metric::Data::Histogram(x) = &found["x s"] else { panic!("{found:?}") };
        assert_eq!(x.aggregation_temporality, AggregationTemporality::Cumulative as i32);
        let [x] = &x.data_points[..] else { panic!("{x:?}") };
        assert_eq!((x.start_time_unix_nano, x.time_unix_nano, x.flags), (start, TIME_NS, 0));
        assert_eq!((&x.explicit_bounds[..], &x.bucket_counts[..]), (&[0.5, 10.0][..], &[2, 3, 1][..]));
        assert_eq!((x.count, x.sum, pairs(&x.attributes)), (6, Some(40.5), "path=/".into()));

        let metric::Data::Summary(s) = &found["s By"] else { panic!("{found:?}") };
        let [s] = &s.data_points[..] else { panic!("{s:?}") };
        let quantiles: Vec<_> = s.quantile_values.iter().map(|one| (one.quantile, one.value)).collect();
        assert_eq!((s.count, s.sum, &quantiles[..]), (20, 100.0, &[(0.5, 1.5), (0.99, 9.5)][..]));
        assert_eq!((s.start_time_unix_nano, s.time_unix_nano), (0, TIME_NS));

        for (name, expected) in [("c_total ", start), ("d_total ", 0)] {
            let metric::Data::Sum(sum) = &found[name] else { panic!("{found:?}") };
            let [point] = &sum.data_points[..] else { panic!("{sum:?}") };
            assert_eq!((value(point), point.start_time_unix_nano, sum.is_monotonic), (Some(3.0), expected, true));
        }

        // They end as one stream each, and the times at which they began are none.
        let list = &mut Vec::new();
        encoder.sent().write(list).unwrap();
        let gone = host(Batch::new(TIME_MS + 1, Arc::default(), vec![Frame::ended("endpoints/app", TIME_MS + 1)]));
        let (body, encoded) = testing::encode(&mut *encoder_after(&mut *encoder, &options, &Labels::EMPTY), &gone);
        assert_eq!(encoded, Encoded { samples: 0, markers: 4, unencodable: 0 });
        let ended = by_name(&decode(&encoder.content(), &body), "");
        let metric::Data::Histogram(x) = &ended["x s"] else { panic!("{ended:?}") };
        assert_eq!((x.data_points[0].flags, x.data_points[0].bucket_counts.len()), (1, 0));
        assert_eq!(pairs(&x.data_points[0].attributes), "path=/");
        let metric::Data::Summary(s) = &ended["s By"] else { panic!("{ended:?}") };
        assert_eq!((s.data_points[0].flags, s.data_points[0].time_unix_nano), (1, TIME_NS + 1_000_000));
        // Who has seen the target knows more of it.
        let (body, _) = testing::encode(&mut *encoder, &gone);
        assert_eq!(by_name(&decode(&encoder.content(), &body), SCHEME).len(), 4);
    }
}

#[test]
fn broken_histograms_are_left_out_and_counted_or_stay_series() {
    let bucket = |le, value| (HISTOGRAM("x_bucket"), [("le", le)], value);
    for options in all_options() {
        let encode = |buckets: &[(Family<'static>, [(&'static str, &'static str); 1], f64)]| {
            let mut encoder = encoder(&options, testing::from(Labels::EMPTY));
            let item: Vec<_> = buckets.iter().map(|(family, labels, value)| (*family, &labels[..], *value)).collect();
            let frame = scraped(&[&item]);
            let (body, encoded) =
                testing::encode(&mut *encoder, &host(Batch::new(TIME_MS, Arc::default(), vec![frame])));
            let names = if body.is_empty() {
                Vec::new()
            } else {
                by_name(&decode(&encoder.content(), &body), SCHEME).into_keys().collect()
            };
            (names, encoded.samples, encoded.unencodable)
        };
        // Its numbers are no counts in this round.
        let none = (Vec::<String>::new(), 0, 1);
        assert_eq!(encode(&[bucket("1", 5.0), bucket("+Inf", 4.0)]), none, "not monotone");
        assert_eq!(encode(&[bucket("1", f64::NAN), bucket("+Inf", 4.0)]), none);
        assert_eq!(encode(&[bucket("1", -1.0), bucket("+Inf", 4.0)]), none);
        // It has no count: what there is goes as it is.
        assert_eq!(encode(&[bucket("1", 5.0), bucket("2", 6.0)]), (vec!["x_bucket s".to_owned()], 2, 0));
        assert_eq!(encode(&[bucket("+Inf", 4.0)]), (vec!["x s".to_owned()], 1, 0));
    }
}

#[test]
fn a_bucket_that_ends_leaves_its_histogram_alive() {
    let bucket = |le: &'static str| (HISTOGRAM("x_bucket"), le, 4.0);
    let frame = |out: &mut Recorder, readings: &[Arc<crate::model::Learnt>], time_ms| {
        let key = Item::new(&["x"]);
        let mut item = out.item(&key);
        readings.iter().for_each(|reading| item.push_learnt(reading, 4.0));
        drop(item);
        host(Batch::new(time_ms, Arc::default(), vec![out.finish(time_ms)]))
    };
    let readings: Vec<_> = ["1", "2", "+Inf"]
        .map(|le| {
            let (family, le, _) = bucket(le);
            let labels =
                [("instance", "h:1"), ("job", "app"), ("le", le)].map(|(name, value)| Label::Constant { name, value });
            Arc::new(crate::model::Learnt::everywhere(family, &labels))
        })
        .into();
    let mut encoder = encoder(&options(Encoding::Protobuf, Compression::None), testing::from(Labels::EMPTY));
    let mut out = Recorder::new("endpoints/app", 1000);
    let (_, encoded) = testing::encode(&mut *encoder, &frame(&mut out, &readings, TIME_MS));
    assert_eq!(encoded, Encoded { samples: 1, markers: 0, unencodable: 0 });
    let (body, encoded) = testing::encode(&mut *encoder, &frame(&mut out, &readings[1..], TIME_MS + 1));
    assert_eq!(encoded, Encoded { samples: 1, markers: 0, unencodable: 0 });
    let found = by_name(&decode(&encoder.content(), &body), "");
    let metric::Data::Histogram(x) = &found["x s"] else { panic!("{found:?}") };
    assert_eq!(x.data_points[0].explicit_bounds, [2.0]);
    // Without its last buckets it is none, and what is left are series.
    let (_, encoded) = testing::encode(&mut *encoder, &frame(&mut out, &readings[1..2], TIME_MS + 2));
    assert_eq!(encoded, Encoded { samples: 1, markers: 1, unencodable: 0 });
}

#[test]
fn info_and_states_are_sums_that_say_what_they_were() {
    let kinds = [(Kind::Info, "info"), (Kind::StateSet, "stateset"), (Kind::Untyped, "unknown")];
    for (kind, word) in kinds {
        let family = Family::new(kind, "x", "", "");
        for options in all_options() {
            let mut encoder = encoder(&options, testing::from(Labels::EMPTY));
            let frame = scraped(&[&[(family, &[("x", "a")], 1.0)]]);
            let (body, _) = testing::encode(&mut *encoder, &host(Batch::new(TIME_MS, Arc::default(), vec![frame])));
            let request = decode(&encoder.content(), &body);
            let metric = &request.resource_metrics[0].scope_metrics[0].metrics[0];
            assert_eq!(pairs(&metric.metadata), format!("prometheus.type={word}"));
            match metric.data.as_ref().unwrap() {
                metric::Data::Sum(sum) => assert!(!sum.is_monotonic && kind != Kind::Untyped),
                metric::Data::Gauge(_) => assert_eq!(kind, Kind::Untyped),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Something that a source has: an item with its readings, and what their numbers may be.
struct Thing {
    item: Item,
    readings: Vec<Arc<crate::model::Learnt>>,
}

impl Thing {
    fn new(random: &mut Random) -> Thing {
        let name = format!("{:x}", random.below(1 << 40));
        let families: Vec<(Family<'static>, Vec<(&str, String)>)> = match random.below(6) {
            0 => {
                let bounds = (0..random.below(20)).map(|at| at.to_string()).chain(["+Inf".to_owned()]);
                let mut all: Vec<_> = bounds.map(|le| (HISTOGRAM("x_bucket"), vec![("le", le)])).collect();
                all.push((HISTOGRAM("x_count"), vec![]));
                for more in [HISTOGRAM("x_sum"), Family::gauge("x_created", "seconds", "")] {
                    if random.below(2) == 0 {
                        all.push((more, vec![]));
                    }
                }
                all
            }
            1 => {
                let quantiles = (0..random.below(4)).map(|at| format!("0.{at}"));
                let mut all: Vec<_> = quantiles.map(|at| (SUMMARY("s"), vec![("quantile", at)])).collect();
                all.extend([(SUMMARY("s_count"), vec![]), (SUMMARY("s_sum"), vec![])]);
                all
            }
            2 => vec![(TOTAL, vec![]), (Family::gauge("test_bytes_created", "seconds", ""), vec![])],
            _ => vec![(USAGE, vec![]), (COUNT, vec![]), (Family::counter("c", "", "C."), vec![])],
        };
        let job = format!("job-{}", random.below(3));
        let target = [("instance", "h:1".to_owned()), ("job", job), ("name", name.clone())];
        let is_scraped = random.below(3) == 0;
        let reading = |(family, own): (Family<'static>, Vec<(&'static str, String)>)| {
            let target = target.iter().filter(|(name, _)| is_scraped || *name == "name").cloned();
            let mut all: Vec<_> = own.into_iter().chain(target).collect();
            all.sort();
            let labels: Vec<_> = all.iter().map(|(name, value)| Label::Constant { name, value }).collect();
            Arc::new(crate::model::Learnt::everywhere(family, &labels))
        };
        Thing { item: Item::new(&[&name]), readings: families.into_iter().map(reading).collect() }
    }
}

#[test]
fn bodies_from_templates_are_those_that_are_written_point_by_point() {
    for seed in 1..6 {
        let mut random = Random(seed);
        let from = testing::from(Labels::of(&[("dc", "eu")]));
        let mut ours = Otlp::<proto::Protobuf>::new(from.clone(), Compression::None, Temporality::Cumulative);
        let mut plain = Otlp::<proto::Protobuf>::new(from.clone(), Compression::None, Temporality::Cumulative);
        plain.body.templated = None;
        let most = 20 + random.below(400);
        let mut recorders: Vec<Recorder> = (0..3).map(|at| Recorder::new(format!("source-{at}"), 100_000)).collect();
        let mut things: Vec<Vec<Thing>> = (0..3).map(|_| (0..60).map(|_| Thing::new(&mut random)).collect()).collect();
        let (mut time_ms, mut in_all) = (TIME_MS, Encoded::default());
        for round in 0..60 {
            time_ms += if random.below(15) == 0 { -3000 } else { 1000 };
            for all in &mut things {
                if random.below(3) == 0 {
                    let at = random.below(all.len() as u64) as usize;
                    match random.below(3) {
                        0 => all.insert(at, Thing::new(&mut random)),
                        1 if all.len() > 1 => drop(all.remove(at)),
                        _ => all[at] = Thing::new(&mut random),
                    }
                }
            }
            let frame = |(out, all): (&mut Recorder, &Vec<Thing>)| {
                for Thing { item, readings } in all {
                    let mut out = out.item(item);
                    let mut count = 1.0;
                    for reading in readings {
                        count += random.below(5) as f64;
                        let value = match random.below(1500) {
                            0 => f64::NAN,
                            1 => -1.0,
                            2 => time_ms as f64 / 1000.0 + 1000.0,
                            _ => count,
                        };
                        let own = if random.below(2000) == 0 { time_ms - 5 } else { Frame::NO_TIME };
                        out.push_learnt_at(reading, value, own);
                    }
                }
                out.finish(time_ms)
            };
            let frames: Vec<Frame> = recorders.iter_mut().zip(&things).map(frame).collect();
            let boot_ms = if round < 30 { Some(1_699_000_000_000) } else { None };
            let resource = Resource { host: "h".into(), boot_ms, ..Resource::default() };
            let batch = Batch::new(time_ms, Arc::new(resource), frames);
            let (mut a, mut b) = (Bodies::default(), Bodies::default());
            let encoded = ours.encode(&batch, most, &mut a);
            assert_eq!(encoded, plain.encode(&batch, most, &mut b));
            let (a, b): (Vec<_>, Vec<_>) = (a.drain().collect(), b.drain().collect());
            assert_eq!(a, b, "seed {seed}, round {round}");
            let count = |body: &Piece| {
                assert!(body.samples <= most);
                let request = ExportMetricsServiceRequest::decode(&body.bytes[..]).unwrap();
                proto::Protobuf::points(&body.bytes).unwrap().len() as u64
                    + u64::from(request.resource_metrics.is_empty())
            };
            assert_eq!(a.iter().map(count).sum::<u64>(), encoded.samples + encoded.markers);
            in_all.unencodable += encoded.unencodable;
            in_all.markers += encoded.markers;
            in_all.samples += encoded.samples;
        }
        let templated = ours.body.templated.unwrap();
        assert!((in_all.samples / 2..in_all.samples).contains(&templated), "{templated} of {in_all:?}");
        assert!(in_all.unencodable > 0 && in_all.markers > 0);
    }
}

#[test]
fn exemplars_of_counters_and_buckets_are_sent_with_trace_and_span() {
    let exemplar = |labels: &[(&str, &str)], value, time_ms| {
        let labels = labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Arc::new(crate::model::Exemplar { labels, value, time_ms })
    };
    let traced = exemplar(
        &[("a", "1"), ("span_id", "00f067aa0ba902b7"), ("trace_id", "4BF92f3577b34da6a3ce929d0e0e4736")],
        0.25,
        Some(TIME_MS - 7),
    );
    // No ids of OpenTelemetry's, and no time of its own.
    let other = exemplar(&[("span_id", "0000000000000000"), ("trace_id", "KOO5S4vxi0o")], 7.5, None);
    let reading = |family: Family<'static>, labels: &[(&str, &str)]| {
        let labels: Vec<_> = labels.iter().map(|(name, value)| Label::Constant { name, value }).collect();
        Arc::new(crate::model::Learnt::everywhere(family, &labels))
    };
    let [half, most, plain, total] = [
        reading(HISTOGRAM("x_bucket"), &[("le", "0.5")]),
        reading(HISTOGRAM("x_bucket"), &[("le", "+Inf")]),
        reading(USAGE, &[]),
        reading(TOTAL, &[]),
    ];
    let [first, second] = ["a", "b"].map(|key| Item::new(&[key]));
    for options in all_options() {
        let mut encoder = encoder(&options, testing::from(Labels::EMPTY));
        let mut out = Recorder::new("endpoints/app", 1000);
        for round in 0..2 {
            let mut item = out.item(&first);
            item.push_learnt(&plain, 1.0);
            drop(item);
            let mut item = out.item(&second);
            item.push_learnt(&half, 2.0);
            item.exemplar(&traced);
            item.push_learnt(&most, 3.0);
            item.exemplar(&other);
            item.push_learnt(&total, 9.0);
            item.exemplar(&other);
            drop(item);
            let batch = host(Batch::new(TIME_MS, Arc::default(), vec![out.finish(TIME_MS)]));
            let (body, encoded) = testing::encode(&mut *encoder, &batch);
            assert_eq!(encoded, Encoded { samples: 3, markers: 0, unencodable: 0 });
            let request = decode(&encoder.content(), &body);
            let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
            let [usage, x, total] = &metrics[..] else { panic!("{metrics:?}, round {round}") };
            let exemplars = |data: &metric::Data| match data {
                metric::Data::Gauge(one) => one.data_points[0].exemplars.clone(),
                metric::Data::Sum(one) => one.data_points[0].exemplars.clone(),
                metric::Data::Histogram(one) => one.data_points[0].exemplars.clone(),
                other => panic!("{other:?}"),
            };
            let words = |metric: &opentelemetry_proto::tonic::metrics::v1::Metric| {
                let hex = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
                let word = |one: &opentelemetry_proto::tonic::metrics::v1::Exemplar| {
                    let (trace, span) = (hex(&one.trace_id), hex(&one.span_id));
                    format!("{} {:?} {trace} {span} {}", one.time_unix_nano, one.value, pairs(&one.filtered_attributes))
                };
                exemplars(metric.data.as_ref().unwrap()).iter().map(word).collect::<Vec<_>>()
            };
            let traced =
                "1700000000116000000 Some(AsDouble(0.25)) 4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7 a=1";
            let other = "1700000000123000000 Some(AsDouble(7.5))   span_id=0000000000000000,trace_id=KOO5S4vxi0o";
            assert_eq!(
                (words(usage), words(x), words(total)),
                (vec![], vec![traced.into(), other.into()], vec![other.into()])
            );
            // They go with their points where a request is divided.
            let pieces = divide(&encoder.content(), &body, 1).unwrap();
            let x = pieces.iter().find_map(|piece| {
                let request = decode(&encoder.content(), &piece.bytes);
                request.resource_metrics[0].scope_metrics[0].metrics.iter().find(|metric| metric.name == "x").map(words)
            });
            assert_eq!(x.unwrap().len(), 2);
        }
    }
}

/// A source of a counter, a histogram of two buckets, a gauge, a summary and a part of a whole.
struct Growing {
    out: Recorder,
    time_ms: i64,
}

impl Growing {
    fn new() -> Growing {
        Growing { out: Recorder::new("s", 100), time_ms: TIME_MS }
    }

    /// The next batch, a second later: of a counter of that value, and of a histogram with these counts and sum.
    fn batch(&mut self, total: f64, [low, all, sum]: [f64; 3]) -> Batch {
        static READINGS: std::sync::LazyLock<[Arc<crate::model::Learnt>; 7]> = std::sync::LazyLock::new(|| {
            let of = |family, labels: &[Label<'_>]| Arc::new(crate::model::Learnt::everywhere(family, labels));
            let le = |value| [Label::Constant { name: "le", value }];
            [
                of(TOTAL, &[]),
                of(HISTOGRAM("x_bucket"), &le("1")),
                of(HISTOGRAM("x_bucket"), &le("+Inf")),
                of(HISTOGRAM("x_sum"), &[]),
                of(USAGE, &[]),
                of(SUMMARY("s_count"), &[]),
                of(Family::new(Kind::UpDown, "part", "", ""), &[]),
            ]
        });
        let values = [total, low, all, sum, 12.5, 20.0, 3.0];
        // The histogram's series are an item, all others each its own.
        for (item, range) in [("t", 0..1), ("x", 1..4), ("g", 4..5), ("s", 5..6), ("p", 6..7)] {
            let item = Item::new(&[item]);
            let mut out = self.out.item(&item);
            range.for_each(|at| out.push_learnt(&READINGS[at], values[at]));
        }
        self.time_ms += 1000;
        host(Batch::new(self.time_ms, Arc::default(), vec![self.out.finish(self.time_ms)]))
    }
}

#[test]
fn deltas_cover_time_without_gap_or_overlap_and_never_a_first_value() {
    for encoding in Encoding::ALL {
        let options = options(encoding, Compression::None).with(Temporality::Delta);
        let mut encoder = encoder(&options, testing::from(Labels::EMPTY));
        let mut source = Growing::new();
        let second = |nth: u64| TIME_NS + nth * 1_000_000_000;
        let mut round = |total, histogram| {
            let batch = source.batch(total, histogram);
            let (body, encoded) = testing::encode(&mut *encoder, &batch);
            let request = decode(&encoder.content(), &body);
            let mut words = Vec::new();
            for metric in &request.resource_metrics[0].scope_metrics[0].metrics {
                words.push(match metric.data.as_ref().unwrap() {
                    metric::Data::Sum(sum) => {
                        let point = &sum.data_points[0];
                        assert_eq!(
                            sum.is_monotonic,
                            sum.aggregation_temporality == AggregationTemporality::Delta as i32
                        );
                        (value(point).unwrap(), vec![], point.start_time_unix_nano, point.time_unix_nano)
                    }
                    metric::Data::Histogram(one) => {
                        assert_eq!(one.aggregation_temporality, AggregationTemporality::Delta as i32);
                        let point = &one.data_points[0];
                        let counts = point.bucket_counts.clone();
                        (point.sum.unwrap(), counts, point.start_time_unix_nano, point.time_unix_nano)
                    }
                    metric::Data::Gauge(one) => {
                        (value(&one.data_points[0]).unwrap(), vec![], 0, one.data_points[0].time_unix_nano)
                    }
                    metric::Data::Summary(one) => {
                        (one.data_points[0].count as f64, vec![], 0, one.data_points[0].time_unix_nano)
                    }
                    other => panic!("{other:?}"),
                });
            }
            assert_eq!(encoded.samples, words.len() as u64);
            assert_eq!(encoded.unencodable, 0);
            words.sort_by(|a, b| (a.3, a.0).partial_cmp(&(b.3, b.0)).unwrap());
            words
        };
        // A gauge, a summary and a part that goes up and down are what they were, without a start.
        let others =
            |nth| [(3.0, vec![], 0, second(nth)), (12.5, vec![], 0, second(nth)), (20.0, vec![], 0, second(nth))];
        assert_eq!(round(100.0, [5.0, 9.0, 50.0]), others(1));
        let with = |nth, total: f64, (sum, counts): (f64, [u64; 2])| {
            let mut all = others(nth).to_vec();
            all.push((total, vec![], second(nth - 1), second(nth)));
            all.push((sum, counts.to_vec(), second(nth - 1), second(nth)));
            all.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap());
            all
        };
        assert_eq!(round(107.0, [6.0, 12.0, 75.0]), with(2, 7.0, (25.0, [1, 2])));
        // Both were set back. What has come since is what they hold, though one bucket holds more than before.
        assert_eq!(round(4.0, [8.0, 10.0, 66.0]), with(3, 4.0, (66.0, [8, 2])));
        assert_eq!(round(4.0, [8.0, 10.0, 66.0]), with(4, 0.0, (0.0, [0, 0])));
    }
}

#[test]
fn what_a_body_of_deltas_held_is_in_no_other_one() {
    let options = options(Encoding::Protobuf, Compression::None).with(Temporality::Delta);
    let mut encoder = encoder(&options, testing::from(Labels::EMPTY));
    let mut source = Growing::new();
    let mut total = 0.0;
    let mut sum = 0.0;
    let mut last_end = None;
    for nth in 1..50 {
        let more = f64::from(nth % 7);
        total += more;
        let batch = source.batch(total, [0.0, 0.0, 0.0]);
        // What becomes of the body is not the encoder's to know.
        let (body, _) = testing::encode(&mut *encoder, &batch);
        let of = points_of_sum(&decode(&encoder.content(), &body), "test_bytes_total");
        if let Some((increase, start, end)) = of {
            assert_eq!((increase, last_end.unwrap_or(start)), (more, start));
            sum += increase;
            last_end = Some(end);
        }
    }
    assert_eq!(sum, total - 1.0, "all but the first");
    // It ends as what it was.
    let gone = host(Batch::new(source.time_ms + 1, Arc::default(), vec![Frame::ended("s", source.time_ms + 1)]));
    let (body, encoded) = testing::encode(&mut *encoder, &gone);
    assert_eq!(encoded.markers, 5);
    let request = decode(&encoder.content(), &body);
    let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
    let is_delta = |metric: &opentelemetry_proto::tonic::metrics::v1::Metric| match metric.data.as_ref().unwrap() {
        metric::Data::Sum(one) => one.aggregation_temporality == AggregationTemporality::Delta as i32,
        metric::Data::Histogram(one) => one.aggregation_temporality == AggregationTemporality::Delta as i32,
        _ => false,
    };
    assert_eq!(metrics.iter().filter(|metric| is_delta(metric)).count(), 2);
}

/// Value, start and time of the only point of a sum of that name.
fn points_of_sum(request: &ExportMetricsServiceRequest, name: &str) -> Option<(f64, u64, u64)> {
    let mut metrics = request.resource_metrics[0].scope_metrics[0].metrics.iter();
    let metric::Data::Sum(sum) = metrics.find(|metric| metric.name == name)?.data.as_ref()? else { return None };
    let [point] = &sum.data_points[..] else { panic!("{sum:?}") };
    Some((value(point)?, point.start_time_unix_nano, point.time_unix_nano))
}
