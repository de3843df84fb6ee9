//! Lines as the specification has them, read back by a strict reader of its grammar.

use std::collections::BTreeMap;

use super::*;
use crate::formats::encoder::Bodies;
use crate::formats::gzip::gunzip;
use crate::formats::testing::{self, COUNT, TOTAL, USAGE};
use crate::model::{Family, Label, Labels, Reading, Recorder, Resource, face};

/// A line, taken apart.
#[derive(Debug, PartialEq)]
struct Line {
    measurement: String,
    tags: BTreeMap<String, String>,
    fields: BTreeMap<String, f64>,
    time_ms: i64,
}

/// The text up to the first of `ends` that no backslash stands before, without its escapes; and what follows. A
/// backslash that escapes nothing that may be escaped there, or is escaped itself, is what readers do not
/// agree about.
fn take<'t>(text: &'t str, ends: &[char], escapable: &str) -> (String, &'t str) {
    let mut taken = String::new();
    let mut all = text.char_indices();
    while let Some((at, c)) = all.next() {
        assert!(!c.is_ascii_control(), "{c:?} in {text:?}");
        if c == '\\' {
            match all.clone().next() {
                Some((_, next)) if escapable.contains(next) => {
                    taken.push(next);
                    all.next();
                }
                Some((_, next)) => {
                    assert!(!", =\\\"".contains(next), "readers do not agree about {text:?}");
                    taken.push(c);
                }
                None => panic!("a backslash ends {text:?}"),
            }
        } else if ends.contains(&c) {
            return (taken, &text[at..]);
        } else {
            assert!(!escapable.contains(c), "{c:?} is not escaped in {text:?}");
            taken.push(c);
        }
    }
    (taken, "")
}

/// Reads one line: <https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/>.
fn read(line: &str) -> Line {
    assert!(!line.starts_with('#'), "a comment");
    let (measurement, mut rest) = take(line, &[',', ' '], ", ");
    assert!(!measurement.is_empty());
    let mut tags = BTreeMap::new();
    while let Some(tag) = rest.strip_prefix(',') {
        let (name, value) = take(tag, &['='], ", =");
        let (value, left) = take(value.strip_prefix('=').unwrap(), &[',', ' '], ", =");
        assert!(!name.is_empty() && !value.is_empty() && !NOT_A_NAME.contains(&name.as_str()), "{line:?}");
        assert_eq!(tags.insert(name, value), None, "twice in {line:?}");
        rest = left;
    }
    let mut rest = rest.strip_prefix(' ').unwrap();
    let mut fields = BTreeMap::new();
    loop {
        let (name, value) = take(rest, &['='], ", =");
        let (value, left) = take(value.strip_prefix('=').unwrap(), &[',', ' '], ", =");
        assert!(!name.is_empty() && !name.contains('"') && !NOT_A_NAME.contains(&name.as_str()), "{line:?}");
        let value: f64 = value.parse().unwrap();
        assert!(value.is_finite());
        assert_eq!(fields.insert(name, value), None, "twice in {line:?}");
        match left.strip_prefix(',') {
            Some(more) => rest = more,
            None => {
                let time_ms = left.strip_prefix(' ').unwrap().parse().unwrap();
                return Line { measurement, tags, fields, time_ms };
            }
        }
    }
}

const NOT_A_NAME: [&str; 3] = ["time", "_field", "_measurement"];

fn read_all(text: &[u8]) -> Vec<Line> {
    let text = std::str::from_utf8(text).unwrap();
    assert!(text.ends_with('\n'));
    text.lines().map(read).collect()
}

fn options(is_by_family: bool) -> Options {
    Options::compressed(Compression::None).with(Settings { is_by_family, ..Settings::default() })
}

fn encode(is_by_family: bool, batch: &crate::model::Batch) -> String {
    let mut encoder = encoder(&options(is_by_family), testing::from(Labels::of(&[("host", "web 1")])));
    String::from_utf8(testing::encode(&mut *encoder, batch).0).unwrap()
}

#[test]
fn a_series_is_a_line_with_its_labels_as_tags() {
    let core = Labels::of(&[("core", "0"), ("note", "a,b=c d")]);
    let batch = testing::batch(
        1_700_000_000_123,
        &[(&USAGE, &core, 45.25), (&COUNT, &Labels::EMPTY, f64::NAN), (&TOTAL, &Labels::EMPTY, 3.0)],
    );
    let expected = "test_usage_percent,core=0,host=web\\ 1,note=a\\,b\\=c\\ d value=45.25 1700000000123\n\
                    test_bytes_total,host=web\\ 1 value=3 1700000000123\n";
    assert_eq!(encode(false, &batch), expected);
    let mut gzipped = encoder(&Options::default(), testing::from(Labels::of(&[("host", "web 1")])));
    let (body, encoded) = testing::encode(&mut *gzipped, &batch);
    assert_eq!(gunzip(&body).unwrap(), expected.as_bytes());
    assert_eq!((encoded.samples, encoded.unencodable), (2, 1));
    assert!(gzipped.content().iter().any(|(name, value)| (&**name, &**value) == GZIP));
}

static MEMORY: [Reading; 4] = [
    memory(&Family::gauge("system_memory_total_bytes", "bytes", "Memory.")),
    memory(&Family::gauge("system_memory_usage_percent", "percent", "Memory.")),
    memory(&Family::gauge("system_uptime", "seconds", "Two words.")),
    memory(&Family::gauge("system_boot_time_seconds", "seconds", "No field is called time.")),
];

const fn memory(family: &'static Family<'static>) -> Reading {
    static NONE: &[Label<'static>] = &[];
    Reading { native: face(family, NONE), node: None, otel: None }
}

#[test]
fn by_family_what_shares_the_beginning_of_its_name_and_its_labels_is_one_line() {
    let mut out = Recorder::new("memory", 100);
    let item = crate::model::Item::new(&["x"]);
    {
        let mut item = out.item(&item);
        MEMORY.iter().zip([8.0, 12.5, 3.0, 9.0]).for_each(|(reading, value)| item.push(reading, value));
    }
    for (name, labels, value) in [
        ("app_req_used_bytes", Labels::EMPTY, 1.0),
        ("app_req_used", Labels::EMPTY, 2.0),
        ("app_req_used", Labels::of(&[("a", "b")]), 3.0),
        ("jvm.pool.used.bytes", Labels::EMPTY, 4.0),
        ("app_req_", Labels::EMPTY, 5.0),
        ("app_req_time", Labels::EMPTY, 6.0),
    ] {
        let family = Family::gauge(name, "bytes", "");
        let (item, reading) = testing::series(&family, &labels);
        out.item(&item).push_learnt(&reading, value);
    }
    let batch = crate::model::Batch::new(7, std::sync::Arc::new(Resource::default()), vec![out.finish(7)]);
    assert_eq!(
        encode(true, &batch),
        "system_memory,host=web\\ 1 total=8,usage=12.5 7\n\
         system_uptime,host=web\\ 1 value=3 7\n\
         system_boot,host=web\\ 1 time_seconds=9 7\n\
         app_req,host=web\\ 1 used_bytes=1,used=2,time_=6 7\n\
         app_req,a=b,host=web\\ 1 used=3 7\n\
         jvm.pool,host=web\\ 1 used.bytes=4 7\n\
         app_req_,host=web\\ 1 value=5 7\n"
    );
}

#[test]
fn a_sample_of_a_time_of_its_own_is_a_line_of_its_own() {
    let mut out = Recorder::new("x", 100);
    for (name, time) in [("app_req_a", Some(5)), ("app_req_b", None)] {
        let (item, reading) = testing::series(&Family::gauge(name, "", ""), &Labels::EMPTY);
        match time {
            Some(time) => out.item(&item).push_learnt_at(&reading, 1.0, time),
            None => out.item(&item).push_learnt(&reading, 2.0),
        }
    }
    let batch = crate::model::Batch::new(7, std::sync::Arc::new(Resource::default()), vec![out.finish(7)]);
    assert_eq!(encode(true, &batch), "app_req,host=web\\ 1 a=1 5\napp_req,host=web\\ 1 b=2 7\n");
    assert_eq!(encode(false, &batch), "app_req_a,host=web\\ 1 value=1 5\napp_req_b,host=web\\ 1 value=2 7\n");
}

/// Text of characters of which most mean something somewhere.
fn odd_text(random: &mut fastrand::Rng) -> String {
    const ODD: &[char] = &[
        'a', 'b', '_', '.', ',', ' ', '=', '\\', '"', '\'', '\n', '\r', '\t', '\0', '#', ';', ':', '/', 'é', '世',
        '\u{7f}',
    ];
    (0..random.usize(1..8)).map(|_| ODD[random.usize(..ODD.len())]).collect()
}

#[test]
fn whatever_names_and_labels_hold_a_strict_reader_reads_the_lines() {
    let mut random = fastrand::Rng::with_seed(14);
    for round in 0..300 {
        let mut out = Recorder::new("x", 1000);
        let mut expected = 0;
        for place in 0..random.usize(1..20) {
            let labels: BTreeMap<String, String> =
                (0..random.usize(0..5)).map(|_| (odd_text(&mut random), odd_text(&mut random))).collect();
            // Each another one, so that none is refused as given twice.
            let name = format!("{}{place}_{}", odd_text(&mut random), odd_text(&mut random));
            let family = Family::gauge(&name, "", "");
            let labels: Vec<Label<'_>> = labels.iter().map(|(name, value)| Label::Constant { name, value }).collect();
            let reading = crate::model::Learnt::new(Scheme::Native, family, &labels);
            let value = *random.choice(&[0.0, -1.5, 1e300, 5e-324, f64::NAN, f64::INFINITY]).unwrap();
            expected += u64::from(value.is_finite());
            let item = crate::model::Item::new(&[&format!("{place}")]);
            out.item(&item).push_learnt(&std::sync::Arc::new(reading), value);
        }
        let batch = crate::model::Batch::new(7, std::sync::Arc::new(Resource::default()), vec![out.finish(7)]);
        for is_by_family in [false, true] {
            let mut encoder = encoder(&options(is_by_family), testing::from(Labels::EMPTY));
            let (body, encoded) = testing::encode(&mut *encoder, &batch);
            assert_eq!(encoded.samples, expected);
            let lines = if body.is_empty() { vec![] } else { read_all(&body) };
            let fields: usize = lines.iter().map(|line| line.fields.len()).sum();
            assert_eq!(fields as u64, expected, "round {round}");
            assert!(lines.iter().all(|line| line.time_ms == 7));
            let counted: u64 = body.split(|byte| *byte == b'\n').map(numbers).sum();
            assert_eq!(counted, expected, "round {round}");
        }
    }
}

#[test]
fn a_batch_is_cut_and_a_body_that_is_too_large_is_divided_between_lines() {
    let names: Vec<String> = (0..500).map(|at| format!("n{at}")).collect();
    let labels: Vec<Labels> = names.iter().map(|name| Labels::new([("n", name.as_str())]).unwrap()).collect();
    let samples: Vec<_> = labels.iter().map(|labels| (&COUNT, labels, 1.0)).collect();
    let batch = testing::batch(7, &samples);
    let mut encoder = encoder(&Options::default(), testing::from(Labels::EMPTY));
    for most in [1, 10, 64, 200, 10_000] {
        let mut bodies = Bodies::default();
        assert_eq!(encoder.encode(&batch, most, &mut bodies).samples, 500);
        let mut seen = Vec::new();
        for body in bodies.drain() {
            let lines = read_all(&gunzip(&body.bytes).unwrap());
            assert!(lines.len() as u64 <= most && lines.len() as u64 == body.samples, "{most}");
            seen.extend(lines.into_iter().map(|line| line.tags["n"].clone()));
        }
        assert_eq!(seen, names, "{most}");
    }
    let (whole, _) = testing::encode(&mut *encoder, &batch);
    let pieces = (FORMAT.divide.unwrap())(&encoder.content(), &whole, 250).unwrap();
    assert_eq!(pieces.iter().map(|piece| piece.samples).collect::<Vec<_>>(), [250, 250]);
    assert_eq!(read_all(&gunzip(&pieces[1].bytes).unwrap())[0].tags["n"], "n250");
}
