//! Requests, decoded by messages derived from Loki's published schema.

use prost::Message;

use super::*;
use crate::formats::Options;
use crate::formats::testing::{record, records, speaking};
use crate::model::{Application, Origin, Record, Value};

#[derive(Clone, PartialEq, Message)]
struct PushRequest {
    #[prost(message, repeated, tag = "1")]
    streams: Vec<StreamAdapter>,
}

#[derive(Clone, PartialEq, Message)]
struct StreamAdapter {
    #[prost(string, tag = "1")]
    labels: String,
    #[prost(message, repeated, tag = "2")]
    entries: Vec<EntryAdapter>,
    #[prost(uint64, tag = "3")]
    hash: u64,
}

#[derive(Clone, PartialEq, Message)]
struct EntryAdapter {
    #[prost(message, optional, tag = "1")]
    timestamp: Option<Timestamp>,
    #[prost(string, tag = "2")]
    line: String,
    #[prost(message, repeated, tag = "3")]
    structured_metadata: Vec<LabelPairAdapter>,
}

#[derive(Clone, PartialEq, Message)]
struct Timestamp {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
struct LabelPairAdapter {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

fn encode(labels: &Labels, all: Vec<Record>, most: u64) -> Vec<Piece> {
    let mut encoder = (FORMAT.records.unwrap().encoder)(&Options::default(), labels);
    assert_eq!(encoder.content()[..], content(&[("Content-Type", "application/x-protobuf")])[..]);
    let mut out = Bodies::default();
    encoder.encode(&records(all), most, &mut out);
    out.drain().collect()
}

fn decode(body: &Piece) -> PushRequest {
    let message = snap::raw::Decoder::new().decompress_vec(&body.bytes).unwrap();
    let request = PushRequest::decode(&message[..]).unwrap();
    assert_eq!(request.streams.iter().map(|stream| stream.entries.len() as u64).sum::<u64>(), body.samples);
    request
}

/// The stream of a record that comes alone.
fn alone(labels: &Labels, record: Record) -> StreamAdapter {
    let bodies = encode(labels, vec![record], 1000);
    let [body] = &bodies[..] else { panic!("{} bodies", bodies.len()) };
    let mut streams = decode(body).streams;
    assert_eq!(streams.len(), 1);
    streams.remove(0)
}

fn pairs(entry: &EntryAdapter) -> Vec<(&str, &str)> {
    entry.structured_metadata.iter().map(|pair| (&*pair.name, &*pair.value)).collect()
}

fn value<'e>(entry: &'e EntryAdapter, name: &str) -> Option<&'e str> {
    pairs(entry).into_iter().find(|(own, _)| *own == name).map(|(_, value)| value)
}

fn lines(body: &Piece) -> Vec<String> {
    decode(body).streams.into_iter().flat_map(|stream| stream.entries).map(|entry| entry.line).collect()
}

#[test]
fn a_record_says_all_that_it_said() {
    let stream = alone(&Labels::of(&[("dc", "eu"), ("app", "x")]), speaking());
    assert_eq!(stream.labels, r#"{app="shop", dc="eu", host="host-1", source="shop"}"#);
    assert_eq!(stream.hash, 0);
    let [entry] = &stream.entries[..] else { panic!() };
    assert_eq!(entry.timestamp, Some(Timestamp { seconds: 1_700_000_000, nanos: 123_456_789 }));
    assert_eq!(entry.line, "no \"space\"\nleft");
    let expected = [
        ("severity", "ERROR"),
        ("level", "error"),
        ("severity_number", "17"),
        ("truncated", "true"),
        ("event", "disk.full"),
        ("trace_id", "0102030405060708090a0b0c0d0e0f10"),
        ("span_id", "00000000000000ff"),
        ("flags", "1"),
        ("text", "é\u{1}"),
        ("yes", "true"),
        ("int", "-9007199254740993"),
        ("double", "0.5"),
        ("nan", "NaN"),
        ("bytes", "AP8="),
        ("list", "[1,null]"),
        ("map", r#"{"k":"v"}"#),
        ("service_name", "shop"),
        ("pool", "3"),
        ("scope_name", "db"),
        ("scope_version", "1.2"),
        ("observed_timestamp", "1700000001000000000"),
        ("dropped_attributes", "2"),
    ];
    assert_eq!(pairs(entry), expected);
}

#[test]
fn what_a_record_lacks_is_left_out() {
    let bare = Record { time_ns: None, ..record("") };
    let stream = alone(&Labels::EMPTY, bare);
    assert_eq!(stream.labels, r#"{host="host-1", source="shop"}"#);
    let [entry] = &stream.entries[..] else { panic!() };
    assert_eq!(entry.timestamp, Some(Timestamp { seconds: 1_700_000_001, nanos: 0 }));
    assert_eq!((&*entry.line, pairs(entry)), ("", vec![]));
    let structured = Record { message: Value::Map(vec![("a".into(), Value::Int(1))]), ..record("") };
    assert_eq!(alone(&Labels::EMPTY, structured).entries[0].line, r#"{"a":1}"#);
}

#[test]
fn a_pod_is_a_label_and_what_somebody_says_stands_for_what_is_known() {
    let attributes = [
        ("k8s.namespace.name", "shop"),
        ("k8s.pod.name", "web-0"),
        ("k8s.container.name", "nginx"),
        ("container.name", "k8s_nginx_web-0"),
    ];
    let application = Application {
        attributes: attributes.iter().map(|(name, value)| ((*name).into(), Value::text(*value))).collect(),
        ..Application::default()
    };
    let origin = Origin { application: Arc::new(application), ..Origin::default() };
    let mut of_a_pod = record("x");
    of_a_pod.origin = Some(Arc::new(origin));
    let stream = alone(&Labels::EMPTY, of_a_pod.clone());
    let expected = r#"{container="nginx", host="host-1", namespace="shop", pod="web-0", source="shop"}"#;
    assert_eq!(stream.labels, expected);
    of_a_pod.labels = Labels::of(&[("pod", "mine")]);
    let stream = alone(&Labels::of(&[("host", "other"), ("pod", "theirs")]), of_a_pod);
    let expected = r#"{container="nginx", host="other", namespace="shop", pod="mine", source="shop"}"#;
    assert_eq!(stream.labels, expected);
    assert_eq!(value(&stream.entries[0], "k8s_namespace_name"), Some("shop"), "as its application said it");
}

/// What Go's `strconv.Unquote` makes of a text in quotes, as far as we write such.
fn unquoted(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.strip_prefix('"').unwrap().strip_suffix('"').unwrap().chars();
    while let Some(c) = rest.next() {
        assert!(c != '"' && !c.is_control(), "{c:?} ends it, or is refused");
        out.push(match c {
            '\\' => match rest.next().unwrap() {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => {
                    let digits: String = rest.by_ref().take(4).collect();
                    char::from_u32(u32::from_str_radix(&digits, 16).unwrap()).unwrap()
                }
                c @ ('"' | '\\') => c,
                other => panic!("{other:?}"),
            },
            c => c,
        });
    }
    out
}

#[test]
fn every_character_of_a_label_comes_through() {
    let others = ['\u{2028}', '\u{feff}', '\u{fffd}', '\u{ffff}', '\u{1f600}', '\u{10ffff}'];
    for c in (0..0x250).filter_map(char::from_u32).chain(others) {
        let name = format!("a{c}b");
        let record = Record { source: format!("x{c}y").into(), ..record("m") };
        let record = Record { attributes: vec![(name.into(), Value::text("v"))], ..record };
        let stream = alone(&Labels::EMPTY, record);
        let source = stream.labels.strip_prefix(r#"{host="host-1", source="#).unwrap().strip_suffix('}').unwrap();
        assert_eq!(unquoted(source), format!("x{c}y"));
        let expected = if c.is_ascii_alphanumeric() || c == '_' { format!("a{c}b") } else { "a_b".to_owned() };
        assert_eq!(value(&stream.entries[0], &expected), Some("v"));
    }
    let named = |name: &str| {
        let attributes = vec![(name.into(), Value::text("v"))];
        pairs(&alone(&Labels::EMPTY, Record { attributes, ..record("m") }).entries[0])[0].0.to_owned()
    };
    assert_eq!((named("9lives"), named(""), named("日本")), ("_9lives".into(), "_".into(), "__".into()));
}

#[test]
fn nothing_is_over_loki_s_limits() {
    let names: Vec<String> = (10..30).map(|n| format!("label{n}")).collect();
    let long = "é".repeat(3000);
    let labels = Labels::new(names.iter().map(|name| (name.as_str(), long.as_str()))).unwrap();
    let mut large = record(&"é".repeat(entry::MAX_LINE));
    large.attributes = (0..500).map(|n| (format!("k{n}").into(), Value::text("x".repeat(300)))).collect();
    let stream = alone(&labels, large.clone());
    assert_eq!(stream.labels.matches('=').count(), 15, "{}", stream.labels);
    assert!(stream.labels.contains(&format!("label10=\"{}\"", "é".repeat(1024))));
    let [entry] = &stream.entries[..] else { panic!() };
    assert_eq!(entry.line.len(), 256 << 10);
    assert_eq!(value(entry, "truncated"), Some("true"));
    // Thirteen labels beside host and source had room: the others keep their names and values here.
    assert!(value(entry, "label22").is_none() && value(entry, "label23") == Some(&*long));
    let size = |entry: &EntryAdapter| pairs(entry).iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    let (count, bytes) = (pairs(entry).len(), size(entry));
    assert!(count <= 128 && bytes <= 64 << 10 && bytes > 60_000, "{count} of {bytes} bytes");
    let kept = pairs(entry).iter().filter(|(name, _)| name.starts_with('k')).count();
    assert_eq!(value(entry, "dropped_attributes"), Some(&*(500 - kept).to_string()));

    // Many of one name, and names without end.
    large.attributes = (0..500).map(|_| ("k".repeat(5000).into(), Value::text("x"))).collect();
    let stream = alone(&Labels::EMPTY, large.clone());
    let mut names: Vec<&str> = pairs(&stream.entries[0]).iter().map(|(name, _)| *name).collect();
    assert!(names.iter().all(|name| name.len() <= 1024) && size(&stream.entries[0]) <= 64 << 10);
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    large.attributes = (0..500).map(|_| ("dropped_attributes".into(), Value::text("x"))).collect();
    let entry = &alone(&Labels::EMPTY, large).entries[0];
    assert_eq!(pairs(entry).len(), 128);
    assert_eq!(value(entry, "dropped_attributes"), Some("375"), "126 beside `truncated`, and no time");
}

#[test]
fn a_stream_s_entries_are_in_order_of_time() {
    let at = |time_ns, source: &str, message: &str| Record {
        time_ns: Some(time_ns),
        source: source.into(),
        ..record(message)
    };
    let all = vec![at(3, "a", "a3"), at(2, "b", "b2"), at(1, "a", "a1"), at(3, "a", "a3 again"), at(1, "b", "b1")];
    let [body] = &encode(&Labels::EMPTY, all, 1000)[..] else { panic!() };
    assert_eq!(lines(body), ["a1", "a3", "a3 again", "b1", "b2"]);
    assert_eq!(decode(body).streams.len(), 2);
}

#[test]
fn bodies_are_cut_by_records_and_by_bytes() {
    let all: Vec<Record> = (0..5).map(|n| record(&n.to_string())).collect();
    let cut: Vec<_> = encode(&Labels::EMPTY, all, 2).iter().map(lines).collect();
    assert_eq!(cut, [vec!["0", "1"], vec!["2", "3"], vec!["4"]]);
    let long: Vec<Record> = (0..10).map(|_| record(&"x".repeat(200 << 10))).collect();
    let counts: Vec<u64> = encode(&Labels::EMPTY, long, 1000).iter().map(|body| body.samples).collect();
    assert_eq!(counts, [5, 5]);
    assert!(encode(&Labels::EMPTY, Vec::new(), 10).is_empty());
}

#[test]
fn a_request_is_divided_until_one_entry_is_left() {
    let all = ["a", "b", "a"].map(|source| Record { source: source.into(), ..record(source) });
    let [whole] = &encode(&Labels::EMPTY, all.into(), 1000)[..] else { panic!() };
    let pieces = divide(&content(&[]), &whole.bytes, 2).unwrap();
    assert_eq!(pieces.iter().map(lines).collect::<Vec<_>>(), [vec!["a"], vec!["a", "b"]]);
    assert_eq!(decode(&pieces[1]).streams[1].labels, r#"{host="host-1", source="b"}"#);
    assert!(divide(&content(&[]), &pieces[0].bytes, 1).is_none());
    assert!(divide(&content(&[]), b"\xff\xff\xff\xff\x0fx", 1).is_none() && divide(&content(&[]), b"", 1).is_none());
}
