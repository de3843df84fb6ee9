//! Bodies, decoded by OpenTelemetry's own definitions.

mod deltas;
mod scraped;
mod templates;

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, NumberDataPoint, metric};
use prost::Message;

use super::*;
use crate::formats::body::Piece;
use crate::formats::gzip::unpack;
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
    let plain = unpack(content, body).unwrap();
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
    // As an application that pushes and is alone of its name, or only says who it is.
    let alone = Labels::of(&[("job", "alone"), ("path", "/")]);
    let nameless = Labels::of(&[("instance", "x")]);
    let samples = [
        (&BUCKET, &target, 1.0),
        (&SUM, &target, 2.0),
        (&QUANTILE, &target, 3.0),
        (&UP, &target, 4.0),
        (&UP, &socket, 5.0),
        (&UP, &endpoint, 6.0),
        (&USAGE, &Labels::EMPTY, 7.0),
        (&UP, &alone, 8.0),
        (&UP, &nameless, 9.0),
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
        expected.extend(match own {
            "" => [
                (stream("service.name=alone", "app_up  gauge", "path=/"), 8.0),
                (stream(&host, "app_up  gauge", "instance=x"), 9.0),
            ],
            _ => [
                (stream("service.instance.id=i,service.name=alone", "app_up  gauge", "path=/"), 8.0),
                (stream("service.instance.id=x,service.name=j", "app_up  gauge", ""), 9.0),
            ],
        });
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
            assert_eq!(encoded, Encoded { samples: 0, markers: 9, unencodable: 0 });
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
            let plain = unpack(&content, body).unwrap();
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
