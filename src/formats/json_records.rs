//! Records as JSON: the payload of `http_json`, `file` and `stdout`.
//!
//! ```json
//! {"timestamp":1700000000,"timestamp_ms":1700000000123,"resource":{"host.name":"web-1"},
//!  "logs":[{"timestamp":"2023-11-14T22:13:20.123456789Z","observed_timestamp":"2023-11-14T22:13:20.200000000Z",
//!           "severity":"error","severity_number":17,"message":"no space left","source":"shop","attributes":{},
//!           "labels":{}}]}
//! ```
//!
//! What a record lacks is left out; `attributes` and `labels` are always objects.

use std::borrow::Cow;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::body::{Content, Piece, content, cuts};
use super::encoder::{Bodies, RecordEncoder};
use super::format::{Limits, OfRecords, nothing_said};
use super::gzip::{GZIP, gzip, pack, unpack};
use super::options::Compression;
use crate::model::{Attribute, Labels, Record, Records, Resource, Value};

/// A body's text takes at most this, unless a record alone is longer: servers take a megabyte or more by default.
pub const MAX_TEXT: usize = 1 << 20;

/// Records in a body.
pub const MAX_RECORDS: u64 = 1000;

/// How `http_json` carries records.
pub const HTTP: OfRecords = OfRecords {
    path: None,
    limits: Limits { samples: MAX_RECORDS, bytes: usize::MAX },
    encoder: |options, labels| {
        // Its own choice is none.
        Box::new(JsonRecords::new(labels.clone(), options.compression.unwrap_or(Compression::None)))
    },
    divide: Some(divide),
    written: nothing_said,
};

/// The same for lines: nobody finds one too long.
pub const LINE: OfRecords = OfRecords {
    encoder: |_, labels| Box::new(JsonRecords::new(labels.clone(), Compression::None)),
    divide: None,
    ..HTTP
};

struct JsonRecords {
    labels: Labels,
    compression: Compression,
    content: Content,
    text: Vec<u8>,
}

impl JsonRecords {
    fn new(labels: Labels, compression: Compression) -> JsonRecords {
        let mut headers = vec![("Content-Type", "application/json")];
        if compression == Compression::Gzip {
            headers.push(GZIP);
        }
        JsonRecords { labels, compression, content: content(&headers), text: Vec::new() }
    }

    /// Ends the body that holds so many records.
    fn end(&mut self, count: u64, out: &mut Bodies) {
        self.text.extend_from_slice(b"]}");
        let mut body = out.room();
        match self.compression {
            Compression::Gzip => gzip(&self.text, &mut body),
            _ => body.extend_from_slice(&self.text),
        }
        out.push(body, count);
    }
}

impl RecordEncoder for JsonRecords {
    fn encode(&mut self, records: &Records, most: u64, out: &mut Bodies) {
        let mut count = 0;
        for record in &records.records {
            if count == 0 {
                self.text.clear();
                write_head(records, &mut self.text);
            }
            let before = self.text.len();
            if count > 0 {
                self.text.push(b',');
            }
            write_record(record, &self.labels, &mut self.text);
            if count > 0 && self.text.len() > MAX_TEXT {
                // It goes into the next one.
                self.text.truncate(before);
                self.end(count, out);
                self.text.clear();
                write_head(records, &mut self.text);
                write_record(record, &self.labels, &mut self.text);
                count = 0;
            }
            count += 1;
            if count >= most.max(1) {
                self.end(count, out);
                count = 0;
            }
        }
        if count > 0 {
            self.end(count, out);
        }
    }

    fn content(&self) -> Content {
        Arc::clone(&self.content)
    }
}

fn write_head(records: &Records, out: &mut Vec<u8>) {
    let (ms, seconds) = (records.time_ms, records.time_ms.div_euclid(1000));
    // Writing to memory does not fail.
    let _ = write!(out, "{{\"timestamp\":{seconds},\"timestamp_ms\":{ms},\"resource\":");
    write_resource(&records.resource, out);
    out.extend_from_slice(b",\"logs\":[");
}

/// What the host is, as an object.
pub fn write_resource(resource: &Resource, out: &mut Vec<u8>) {
    write_members(resource.attributes(), write_text, out);
}

/// A record as an object. `labels`: those that it has besides its own, which win.
pub fn write_record(record: &Record, labels: &Labels, out: &mut Vec<u8>) {
    // Whoever does not say when it happened saw it happen.
    let _ = write!(out, "{{\"timestamp\":\"{}\"", rfc3339(record.time_ns.unwrap_or(record.observed_ns)));
    let _ = write!(out, ",\"observed_timestamp\":\"{}\"", rfc3339(record.observed_ns));
    let severity = if record.severity.is_empty() { word_of(record.severity_number) } else { &record.severity };
    write_unless_empty("severity", severity, out);
    if record.severity_number != 0 {
        let _ = write!(out, ",\"severity_number\":{}", record.severity_number);
    }
    out.extend_from_slice(b",\"message\":");
    write_text(&text_of(&record.message), out);
    write_unless_empty("source", &record.source, out);
    write_unless_empty("event", &record.event, out);
    out.extend_from_slice(b",\"attributes\":");
    write_object(&record.attributes, out);
    out.extend_from_slice(b",\"labels\":{");
    let others = labels.iter().filter(|(name, _)| record.labels.get(name).is_none());
    for (at, (name, value)) in record.labels.iter().chain(others).enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_text(name, out);
        out.push(b':');
        write_text(value, out);
    }
    out.push(b'}');
    if record.truncated {
        out.extend_from_slice(b",\"truncated\":true");
    }
    if record.dropped_attributes > 0 {
        let _ = write!(out, ",\"dropped_attributes\":{}", record.dropped_attributes);
    }
    for (key, id) in [
        ("trace_id", record.trace_id.as_ref().map(|id| &id[..])),
        ("span_id", record.span_id.as_ref().map(|id| &id[..])),
    ] {
        if let Some(id) = id {
            write_unless_empty(key, &hex(id), out);
        }
    }
    if record.flags != 0 {
        let _ = write!(out, ",\"flags\":{}", record.flags);
    }
    if let Some(origin) = &record.origin {
        if !(origin.scope.is_empty() && origin.attributes.is_empty()) {
            out.extend_from_slice(b",\"scope\":{\"name\":");
            write_text(&origin.scope, out);
            write_unless_empty("version", &origin.version, out);
            out.extend_from_slice(b",\"attributes\":");
            write_object(&origin.attributes, out);
            out.push(b'}');
        }
        out.extend_from_slice(b",\"resource\":");
        write_object(&origin.application.attributes, out);
    }
    out.push(b'}');
}

/// A message as a text, whatever it is, so that nobody's index sees two types.
pub fn text_of(message: &Value) -> Cow<'_, str> {
    match message {
        Value::Text(text) => Cow::Borrowed(text),
        Value::Empty => Cow::Borrowed(""),
        other => {
            let mut text = Vec::new();
            write_value(other, &mut text);
            Cow::Owned(String::from_utf8_lossy(&text).into_owned())
        }
    }
}

/// Syslog's word for one of OTLP's numbers.
pub fn word_of(severity_number: u8) -> &'static str {
    match severity_number {
        1..=4 => "trace",
        5..=8 => "debug",
        9 => "info",
        10..=12 => "notice",
        13..=16 => "warning",
        17 => "error",
        18 => "critical",
        19..=20 => "alert",
        21..=24 => "emergency",
        _ => "",
    }
}

fn rfc3339(nanos: u64) -> humantime::Rfc3339Timestamp {
    // 64 bits of nanoseconds end in the year 2554.
    humantime::format_rfc3339_nanos(UNIX_EPOCH + Duration::from_nanos(nanos))
}

fn write_unless_empty(key: &str, text: &str, out: &mut Vec<u8>) {
    if !text.is_empty() {
        let _ = write!(out, ",\"{key}\":");
        write_text(text, out);
    }
}

fn write_object(attributes: &[Attribute], out: &mut Vec<u8>) {
    write_members(attributes.iter().map(|(key, value)| (&**key, value)), write_value, out);
}

/// An object of these members, whose values are written by `write`.
fn write_members<'m, V>(
    members: impl Iterator<Item = (&'m str, V)>,
    write: impl Fn(V, &mut Vec<u8>),
    out: &mut Vec<u8>,
) {
    out.push(b'{');
    for (at, (name, value)) in members.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_text(name, out);
        out.push(b':');
        write(value, out);
    }
    out.push(b'}');
}

/// As JSON has it; a number that JSON does not have as its word, bytes in base64.
pub fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Empty => out.extend_from_slice(b"null"),
        Value::Text(text) => write_text(text, out),
        Value::Bool(is) => out.extend_from_slice(if *is { b"true" } else { b"false" }),
        Value::Int(number) => _ = write!(out, "{number}"),
        Value::Double(number) => write_double(*number, out),
        Value::Bytes(bytes) => write_text(&STANDARD.encode(bytes), out),
        Value::List(all) => {
            out.push(b'[');
            for (at, one) in all.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_value(one, out);
            }
            out.push(b']');
        }
        Value::Map(all) => write_object(all, out),
    }
}

/// A number; the three that JSON has none for as the words of protobuf's mapping.
pub fn write_double(number: f64, out: &mut Vec<u8>) {
    if number.is_finite() {
        // Writing to memory does not fail.
        let _ = serde_json::to_writer(out, &number);
    } else if number.is_nan() {
        write_text("NaN", out);
    } else {
        write_text(if number > 0.0 { "Infinity" } else { "-Infinity" }, out);
    }
}

/// A JSON string, quotes and all.
pub fn write_text(text: &str, out: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(out, text);
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Divides a payload by its records.
fn divide(content: &Content, body: &[u8], most: u64) -> Option<Vec<Piece>> {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Payload<'a> {
        timestamp: i64,
        timestamp_ms: i64,
        #[serde(borrow)]
        resource: &'a RawValue,
        #[serde(borrow)]
        logs: Vec<&'a RawValue>,
    }
    let plain = unpack(content, body)?;
    let whole: Payload<'_> = serde_json::from_slice(&plain).ok()?;
    let mut from = 0;
    let piece = |to: usize| {
        let logs = whole.logs[std::mem::replace(&mut from, to)..to].to_vec();
        let samples = logs.len() as u64;
        let text = serde_json::to_vec(&Payload { logs, ..whole }).ok()?;
        let mut bytes = Vec::new();
        pack(content, &text, &mut bytes);
        Some(Piece { bytes, samples })
    };
    cuts(whole.logs.len(), most)?.map(piece).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::Options;
    use crate::formats::testing::{record, records, speaking};

    fn bodies(of: &OfRecords, options: &Options, all: Vec<Record>, most: u64) -> Vec<Piece> {
        let mut encoder = (of.encoder)(options, &Labels::of(&[("dc", "eu"), ("app", "x")]));
        let mut out = Bodies::default();
        encoder.encode(&records(all), most, &mut out);
        out.drain().collect()
    }

    fn json(bytes: &[u8]) -> serde_json::Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn a_record_has_all_that_its_application_said() {
        let [body] = &bodies(&HTTP, &Options::default(), vec![speaking()], 1000)[..] else { panic!() };
        let expected = serde_json::json!({
            "timestamp": 1_700_000_000, "timestamp_ms": 1_700_000_000_123_i64,
            "resource": {"host.name": "host-1"},
            "logs": [{
                "timestamp": "2023-11-14T22:13:20.123456789Z",
                "observed_timestamp": "2023-11-14T22:13:21.000000000Z",
                "severity": "ERROR", "severity_number": 17,
                "message": "no \"space\"\nleft", "source": "shop", "event": "disk.full",
                "attributes": {
                    "text": "é\u{1}", "yes": true, "int": -9_007_199_254_740_993_i64, "double": 0.5, "nan": "NaN",
                    "bytes": "AP8=", "list": [1, null], "map": {"k": "v"}
                },
                "labels": {"app": "shop", "dc": "eu"},
                "truncated": true, "dropped_attributes": 2,
                "trace_id": "0102030405060708090a0b0c0d0e0f10", "span_id": "00000000000000ff", "flags": 1,
                "scope": {"name": "db", "version": "1.2", "attributes": {"pool": 3}},
                "resource": {"service.name": "shop"}
            }]
        });
        assert_eq!((json(&body.bytes), body.samples), (expected, 1));
    }

    #[test]
    fn what_a_record_lacks_is_left_out() {
        let mut bare = record("hello");
        (bare.time_ns, bare.severity_number) = (None, 10);
        let [body] = &bodies(&LINE, &Options::default(), vec![bare], 1000)[..] else { panic!() };
        let expected = serde_json::json!([{
            "timestamp": "2023-11-14T22:13:21.000000000Z", "observed_timestamp": "2023-11-14T22:13:21.000000000Z",
            "severity": "notice", "severity_number": 10, "message": "hello", "source": "shop",
            "attributes": {}, "labels": {"app": "x", "dc": "eu"}
        }]);
        assert_eq!(json(&body.bytes)["logs"], expected);
    }

    #[test]
    fn a_message_that_is_no_text_becomes_one() {
        let mut structured = record("");
        structured.message = Value::Map(vec![("a".into(), Value::Int(1)), ("b".into(), Value::List(vec![]))]);
        let [body] = &bodies(&HTTP, &Options::default(), vec![structured], 1000)[..] else { panic!() };
        assert_eq!(json(&body.bytes)["logs"][0]["message"], r#"{"a":1,"b":[]}"#);
    }

    #[test]
    fn bodies_are_cut_by_records_and_by_bytes() {
        let messages = |bodies: &[Piece]| -> Vec<usize> {
            bodies.iter().map(|body| json(&body.bytes)["logs"].as_array().unwrap().len()).collect()
        };
        let all = bodies(&HTTP, &Options::default(), (0..5).map(|n| record(&n.to_string())).collect(), 2);
        assert_eq!(messages(&all), [2, 2, 1]);
        let long = |n| record(&"x".repeat(n));
        let all = bodies(&HTTP, &Options::default(), vec![long(10), long(MAX_TEXT), long(10), long(10)], 1000);
        assert_eq!(messages(&all), [1, 1, 2], "one that is too long goes by itself");
        assert!(bodies(&HTTP, &Options::default(), Vec::new(), 10).is_empty());
    }

    #[test]
    fn a_payload_is_divided_until_one_record_is_left() {
        for compression in [Compression::None, Compression::Gzip] {
            let options = Options::compressed(compression);
            let headers = (HTTP.encoder)(&options, &Labels::EMPTY).content();
            let [whole] = &bodies(&HTTP, &options, (0..3).map(|n| record(&n.to_string())).collect(), 1000)[..] else {
                panic!()
            };
            let pieces = divide(&headers, &whole.bytes, 1).unwrap();
            let plain = |bytes: &[u8]| unpack(&headers, bytes).unwrap().into_owned();
            let message = |piece: &Piece| json(&plain(&piece.bytes))["logs"][0]["message"].clone();
            assert_eq!(pieces.iter().map(message).collect::<Vec<_>>(), ["0", "1", "2"]);
            assert_eq!(json(&plain(&pieces[0].bytes))["timestamp_ms"], 1_700_000_000_123_i64);
            assert!(pieces.iter().all(|piece| piece.samples == 1));
            assert!(divide(&headers, &pieces[0].bytes, 1).is_none() && divide(&headers, b"{", 1).is_none());
        }
    }
}
