//! Bodies as the API's schema has them, and nothing else in them.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;
use crate::formats::gzip::gunzip;
use crate::formats::testing::{self, COUNT as A_COUNT, TOTAL, USAGE};
use crate::model::{Family, Item, Label, Labels, Learnt, Recorder, Resource};

/// `MetricPayload` of the API's schema, as far as anything of it is sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    series: Vec<Series>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Series {
    metric: String,
    #[serde(rename = "type")]
    kind: u8,
    points: Vec<Point>,
    interval: Option<i64>,
    tags: Vec<String>,
    resources: Vec<Named>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Point {
    timestamp: i64,
    value: f64,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
    #[serde(rename = "type")]
    kind: String,
}

fn read(body: &[u8]) -> Vec<Series> {
    let plain = gunzip(body).unwrap();
    assert!(body.len() <= 512_000 && plain.len() < 5_242_880, "{} of {}", body.len(), plain.len());
    serde_json::from_slice::<Payload>(&plain).unwrap().series
}

fn encoder(labels: Labels) -> Datadog {
    Datadog::new(testing::from(labels), Compression::Gzip)
}

/// Name, type, time, value and interval of each series.
fn told(body: &[u8]) -> Vec<(String, u8, i64, f64, Option<i64>)> {
    let of = |one: Series| {
        let [point] = &one.points[..] else { panic!("{one:?}") };
        (one.metric, one.kind, point.timestamp, point.value, one.interval)
    };
    read(body).into_iter().map(of).collect()
}

#[test]
fn gauges_are_sent_as_they_are_and_counters_as_what_came_since_the_last_body() {
    let mut encoder = encoder(Labels::of(&[("dc", "eu")]));
    let core = Labels::of(&[("core", "0"), ("odd", "a:b \"c\"\n,é")]);
    let mut source = Recorder::new("x", 100);
    let mut tick = |time_ms: i64, usage: f64, total: f64| {
        for (family, labels, value) in [(&USAGE, &core, usage), (&TOTAL, &Labels::EMPTY, total)] {
            let (item, reading) = testing::series(family, labels);
            source.item(&item).push_learnt(&reading, value);
        }
        let resource = Arc::new(Resource { host: "host-1".into(), ..Resource::default() });
        testing::encode(&mut encoder, &Batch::new(time_ms, resource, vec![source.finish(time_ms)]))
    };
    let usage = "test_usage_percent".to_owned();
    let total = "test_bytes_total".to_owned();
    let (first, encoded) = tick(1_700_000_000_900, 45.25, 1000.0);
    assert_eq!(encoded, Encoded { samples: 1, ..Encoded::default() }, "a first value is no increase");
    let [series] = &read(&first)[..] else { panic!() };
    assert_eq!(series.tags, ["core:0", "dc:eu", "odd:a:b \"c\"\n,é"]);
    assert_eq!(series.resources, [Named { name: "host-1".into(), kind: "host".into() }]);
    assert_eq!(told(&first), [(usage.clone(), 3, 1_700_000_000, 45.25, None)]);
    let (second, _) = tick(1_700_000_010_300, f64::NAN, 1500.0);
    assert_eq!(told(&second), [(total.clone(), 1, 1_700_000_010, 500.0, Some(9))]);
    let (third, encoded) = tick(1_700_000_010_500, 1.0, 1500.0);
    assert_eq!(told(&third)[1], (total.clone(), 1, 1_700_000_010, 0.0, Some(1)));
    assert_eq!((encoded.samples, encoded.unencodable), (2, 0));
    // It was set back.
    let (fourth, _) = tick(1_700_000_070_500, 1.0, 20.0);
    assert_eq!(told(&fourth)[1], (total, 1, 1_700_000_070, 20.0, Some(60)));
    let (_, encoded) = tick(1_700_000_130_500, f64::INFINITY, f64::NAN);
    assert_eq!(encoded, Encoded { unencodable: 2, ..Encoded::default() });
}

#[test]
fn a_body_holds_no_more_than_the_api_takes() {
    // What does not pack: 64 KB a series, of which half stay when it is packed.
    let mut random = fastrand::Rng::with_seed(5);
    let mut text = || (0..65_000).map(|_| random.alphanumeric()).collect::<String>();
    let labels: Vec<Labels> = (0..130).map(|_| Labels::new([("n", text())]).unwrap()).collect();
    let samples: Vec<_> = labels.iter().map(|labels| (&A_COUNT, labels, 1.0)).collect();
    let batch = testing::batch(7, &samples);
    for compression in [Compression::Gzip, Compression::None] {
        let mut encoder = Datadog::new(testing::from(Labels::EMPTY), compression);
        let mut bodies = Bodies::default();
        assert_eq!(encoder.encode(&batch, u64::MAX, &mut bodies).samples, 130);
        let mut seen = Vec::new();
        for body in bodies.drain() {
            let series = match compression {
                Compression::Gzip => read(&body.bytes),
                _ => {
                    assert!(body.bytes.len() <= 512_000);
                    serde_json::from_slice::<Payload>(&body.bytes).unwrap().series
                }
            };
            assert_eq!(series.len() as u64, body.samples);
            seen.extend(series.into_iter().map(|one| one.tags[0]["n:".len()..].to_owned()));
        }
        assert_eq!(seen, labels.iter().map(|labels| labels.get("n").unwrap()).collect::<Vec<_>>());
    }
    // What packs well is bounded by what it unpacks to, and by the number of samples.
    let labels: Vec<Labels> =
        (0..2000).map(|at| Labels::new([("n", format!("{at}{}", "x".repeat(4000)))]).unwrap()).collect();
    let samples: Vec<_> = labels.iter().map(|labels| (&A_COUNT, labels, 1.0)).collect();
    let batch = testing::batch(7, &samples);
    for most in [u64::MAX, 100, 1] {
        let mut bodies = Bodies::default();
        encoder(Labels::EMPTY).encode(&batch, most, &mut bodies);
        let counts: Vec<u64> = bodies
            .drain()
            .map(|body| (read(&body.bytes).len() as u64, body.samples))
            .map(|(a, b)| {
                assert_eq!(a, b);
                a
            })
            .collect();
        assert!(
            counts.iter().all(|count| *count <= most) && counts.iter().sum::<u64>() == 2000 && counts.len() > 1,
            "{counts:?}"
        );
    }
}

#[test]
fn a_body_that_is_too_large_for_its_receiver_is_divided_between_series() {
    let labels: Vec<Labels> = (0..5).map(|at| Labels::new([("n", format!("{at}"))]).unwrap()).collect();
    let samples: Vec<_> = labels.iter().map(|labels| (&A_COUNT, labels, 1.0)).collect();
    let mut encoder = encoder(Labels::EMPTY);
    let (whole, _) = testing::encode(&mut encoder, &testing::batch(7, &samples));
    let pieces = divide(&encoder.content(), &whole, 2).unwrap();
    assert_eq!(pieces.iter().map(|piece| piece.samples).collect::<Vec<_>>(), [1, 2, 2]);
    let all: Vec<Series> = pieces.iter().flat_map(|piece| read(&piece.bytes)).collect();
    assert_eq!(all, read(&whole));
    assert!(divide(&encoder.content(), &pieces[0].bytes, 1).is_none());
    assert!(divide(&encoder.content(), b"x", 1).is_none() && divide(&content(&[]), b"{}", 1).is_none());
}

#[test]
fn whatever_names_and_labels_hold_is_read_back_as_it_was() {
    let mut random = fastrand::Rng::with_seed(9);
    let mut odd = || -> String {
        const ODD: &[char] = &[
            'a',
            ':',
            ',',
            '"',
            '\\',
            '/',
            '\n',
            '\r',
            '\t',
            '\0',
            '\u{1f}',
            '\u{7f}',
            '\u{2028}',
            'é',
            '世',
            '\u{1f600}',
        ];
        (0..random.usize(1..8)).map(|_| ODD[random.usize(..ODD.len())]).collect()
    };
    for _ in 0..100 {
        let all: Vec<(String, BTreeMap<String, String>)> =
            (0..5).map(|_| (odd(), (0..3).map(|_| (odd(), odd())).collect())).collect();
        let mut out = Recorder::new("x", 100);
        for (at, (name, labels)) in all.iter().enumerate() {
            let labels: Vec<Label<'_>> = labels.iter().map(|(name, value)| Label::Constant { name, value }).collect();
            let reading = Learnt::new(Scheme::Native, Family::gauge(name, "", ""), &labels);
            out.item(&Item::new(&[&at.to_string()])).push_learnt(&Arc::new(reading), 1.0);
        }
        let batch =
            Batch::new(7, Arc::new(Resource { host: odd().into(), ..Resource::default() }), vec![out.finish(7)]);
        let (body, _) = testing::encode(&mut encoder(Labels::EMPTY), &batch);
        let read: Vec<(String, Vec<String>)> = read(&body).into_iter().map(|one| (one.metric, one.tags)).collect();
        let tags = |labels: BTreeMap<String, String>| labels.into_iter().map(|(n, v)| format!("{n}:{v}")).collect();
        assert_eq!(read, all.into_iter().map(|(name, labels)| (name, tags(labels))).collect::<Vec<_>>());
    }
}

#[test]
fn an_answers_errors_are_a_remark_on_what_was_taken() {
    let of = |status: u16, body: &[u8]| {
        let header = |_: &str| None;
        written(&content(&[]), &Answered { status, header: &header, body, sent: b"" })
    };
    assert_eq!(of(202, br#"{"errors":["a","b"]}"#), Written::AllBut(0, "a; b".to_owned()));
    for (status, body) in [
        (202, &br#"{"errors":[]}"#[..]),
        (202, b""),
        (202, b"{"),
        (202, b"<html>"),
        (202, br#"{"errors":"a"}"#),
        (202, b"\x0a\x02hi"),
        (403, br#"{"errors":["Forbidden"]}"#),
    ] {
        assert_eq!(of(status, body), Written::Unsaid, "{status}");
    }
}
