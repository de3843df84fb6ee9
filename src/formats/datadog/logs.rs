//! Records for Datadog's intake of logs, version 2, in JSON.
//!
//! <https://docs.datadoghq.com/api/latest/logs/#send-logs>
//!
//! ```json
//! [{"timestamp":1700000000123,"hostname":"web-1","service":"shop","ddsource":"shop","status":"error",
//!   "ddtags":"dc:eu","message":"no space left","disk.free":0,"service.name":"shop"}]
//! ```
//!
//! Attributes stand beside what the API names, by their own names, dots and all.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::Write;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::{content, cuts};
use crate::formats::body::{Content, Piece};
use crate::formats::encoder::{Bodies, RecordEncoder};
use crate::formats::format::{Limits, OfRecords, nothing_said};
use crate::formats::gzip::{GZIP, pack, unpack};
use crate::formats::json_records::{MAX_TEXT, hex, text_of, word_of, write_text, write_value};
use crate::formats::options::Compression;
use crate::model::{Attribute, Labels, Record, Records, Value};

/// How `datadog` carries records. The intake takes 1000 entries and 5 MB unpacked; [`MAX_TEXT`] is far below that.
pub(super) const RECORDS: OfRecords = OfRecords {
    path: Some("/api/v2/logs"),
    limits: Limits { samples: 1000, bytes: usize::MAX },
    encoder: |options, labels| Box::new(Logs::new(labels.clone(), super::FORMAT.compression(options))),
    divide: Some(divide),
    written: nothing_said,
};

/// What an entry may take: 1 MB, by the API's documentation. What is longer Datadog would cut anywhere.
const MAX_ENTRY: usize = 1_000_000;

/// What the attributes of an entry that is cut take at most; the message has the rest.
const MAX_ATTRIBUTES: usize = MAX_ENTRY / 2;

/// What the end of an entry takes: `truncated`, a number of attributes, and what closes it.
const TAIL: usize = 100;

/// Characters of a tag, of which a service and a source are two: Datadog cuts what is longer.
const MAX_TAG: usize = 200;

/// Bytes of all tags in an entry that is cut.
const MAX_TAGS: usize = 100_000;

/// Names that an attribute does not have here: the API's, those that Datadog takes for them, and our own.
const TAKEN: [&str; 12] = [
    "timestamp",
    "hostname",
    "host",
    "service",
    "ddsource",
    "status",
    "ddtags",
    "message",
    "trace_id",
    "span_id",
    "truncated",
    "dropped_attributes",
];

struct Logs {
    labels: Labels,
    content: Content,
    text: Vec<u8>,
}

impl Logs {
    fn new(labels: Labels, compression: Compression) -> Logs {
        let mut headers = vec![("Content-Type", "application/json")];
        if compression == Compression::Gzip {
            headers.push(GZIP);
        }
        Logs { labels, content: content(&headers), text: Vec::new() }
    }

    /// Ends the body that holds so many entries.
    fn end(&mut self, count: u64, out: &mut Bodies) {
        self.text.push(b']');
        let mut body = out.room();
        pack(&self.content, &self.text, &mut body);
        out.push(body, count);
        self.text.clear();
    }
}

impl RecordEncoder for Logs {
    fn encode(&mut self, records: &Records, most: u64, out: &mut Bodies) {
        let (mut count, mut entry) = (0, Vec::new());
        self.text.clear();
        for record in &records.records {
            entry.clear();
            write_entry(record, records, &self.labels, &mut entry);
            if count > 0 && (count >= most.max(1) || self.text.len() + entry.len() + 2 > MAX_TEXT) {
                self.end(count, out);
                count = 0;
            }
            self.text.push(if count == 0 { b'[' } else { b',' });
            self.text.extend_from_slice(&entry);
            count += 1;
        }
        if count > 0 {
            self.end(count, out);
        }
    }

    fn content(&self) -> Content {
        Arc::clone(&self.content)
    }
}

/// A record as an entry, cut where it would be longer than one may be. `labels`: those that it has besides its
/// own, which win.
fn write_entry(record: &Record, records: &Records, labels: &Labels, out: &mut Vec<u8>) {
    write(record, records, labels, false, out);
    if out.len() > MAX_ENTRY {
        out.clear();
        write(record, records, labels, true, out);
    }
}

fn write(record: &Record, records: &Records, labels: &Labels, is_cut: bool, out: &mut Vec<u8>) {
    // Whoever does not say when it happened saw it happen. Writing to memory does not fail.
    let _ = write!(out, "{{\"timestamp\":{}", record.time_ns.unwrap_or(record.observed_ns) / 1_000_000);
    let said = |key: &str| {
        let origin = record.origin.as_ref()?;
        let all = &origin.application.attributes;
        all.iter().find(|(name, _)| **name == *key)?.1.as_text().filter(|text| !text.is_empty())
    };
    write_member("hostname", tag(said("host.name").unwrap_or(&records.resource.host)), out);
    write_member("service", tag(said("service.name").unwrap_or_default()), out);
    write_member("ddsource", tag(&record.source), out);
    // Datadog knows syslog's words, and guesses by the first letters of others.
    let word = word_of(record.severity_number);
    let status = if word.is_empty() { tag(&record.severity) } else { word };
    write_member("status", status, out);
    write_member("ddtags", &tags(record, labels, if is_cut { MAX_TAGS } else { usize::MAX }), out);
    for (key, id) in [
        ("trace_id", record.trace_id.as_ref().map(|id| &id[..])),
        ("span_id", record.span_id.as_ref().map(|id| &id[..])),
    ] {
        write_member(key, &id.map(hex).unwrap_or_default(), out);
    }
    let most = if is_cut { out.len() + MAX_ATTRIBUTES } else { usize::MAX };
    let dropped = write_attributes(record, status, most, out);
    out.extend_from_slice(b",\"message\":");
    let message = text_of(&record.message);
    let room = if is_cut { MAX_ENTRY.saturating_sub(out.len() + TAIL) } else { usize::MAX };
    write_text(fitting(&message, room), out);
    if record.truncated || is_cut {
        out.extend_from_slice(b",\"truncated\":true");
    }
    let dropped = record.dropped_attributes.saturating_add(dropped);
    if dropped > 0 {
        let _ = write!(out, ",\"dropped_attributes\":{dropped}");
    }
    out.push(b'}');
}

/// Writes what is known of it besides, of one name what is nearest to the record, as long as no more than `most`
/// bytes are there then. How many were left out for that.
fn write_attributes(record: &Record, status: &str, most: usize, out: &mut Vec<u8>) -> u32 {
    let own = |key: &str, text: &str| -> Attribute { (key.into(), Value::text(text)) };
    let mut ours = Vec::new();
    if !record.severity.eq_ignore_ascii_case(status) {
        ours.push(own("otel.severity_text", &record.severity));
    }
    ours.push(own("event.name", &record.event));
    if let Some(origin) = &record.origin {
        ours.push(own("otel.scope.name", &origin.scope));
        ours.push(own("otel.scope.version", &origin.version));
    }
    ours.retain(|(_, text)| text.as_text().is_some_and(|text| !text.is_empty()));
    let origin = record.origin.iter().flat_map(|origin| origin.attributes.iter().chain(&origin.application.attributes));
    let (mut seen, mut dropped) = (HashSet::new(), 0);
    for (key, value) in record.attributes.iter().chain(&ours).chain(origin) {
        let key = match TAKEN.contains(&&**key) {
            true => Cow::Owned(format!("{key}_")),
            false => Cow::Borrowed(&**key),
        };
        if seen.contains(&key) {
            continue;
        }
        let before = out.len();
        out.push(b',');
        write_text(&key, out);
        out.push(b':');
        write_value(value, out);
        if out.len() > most {
            out.truncate(before);
            dropped += 1;
        }
        seen.insert(key);
    }
    dropped
}

/// The labels as `name:value`, between commas, in so many bytes at most.
fn tags(record: &Record, labels: &Labels, most: usize) -> String {
    let others = labels.iter().filter(|(name, _)| record.labels.get(name).is_none());
    let mut all = String::new();
    for (name, value) in record.labels.iter().chain(others) {
        // There is no escape: a comma would begin another tag.
        let one = format!("{name}:{value}").replace(',', "_");
        let one = tag(&one);
        // An escape in JSON takes six bytes at most.
        if (all.len() + one.len()).saturating_mul(6) > most {
            break;
        }
        if !all.is_empty() {
            all.push(',');
        }
        all.push_str(one);
    }
    all
}

/// As much of it as a tag holds.
fn tag(text: &str) -> &str {
    text.char_indices().nth(MAX_TAG).map_or(text, |(at, _)| &text[..at])
}

/// As much of it as takes no more than `room` bytes as a JSON string, but for the quotes.
fn fitting(text: &str, room: usize) -> &str {
    // What is escaped at all takes two bytes or six.
    let takes = |of: char| match of {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        other => other.len_utf8(),
    };
    let mut taken = 0;
    let end = text.char_indices().find(|(_, of)| {
        taken += takes(*of);
        taken > room
    });
    end.map_or(text, |(at, _)| &text[..at])
}

fn write_member(key: &str, text: &str, out: &mut Vec<u8>) {
    if !text.is_empty() {
        // Writing to memory does not fail.
        let _ = write!(out, ",\"{key}\":");
        write_text(text, out);
    }
}

/// Divides a body between its entries.
fn divide(content: &Content, body: &[u8], most: u64) -> Option<Vec<Piece>> {
    let text = unpack(content, body)?;
    let entries: Vec<&RawValue> = serde_json::from_slice(&text).ok()?;
    let mut from = 0;
    let piece = |to: usize| {
        let part = &entries[std::mem::replace(&mut from, to)..to];
        let mut bytes = Vec::new();
        pack(content, &serde_json::to_vec(part).ok()?, &mut bytes);
        Some(Piece { bytes, samples: part.len() as u64 })
    };
    cuts(entries.len(), most)?.map(piece).collect()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::formats::Options;
    use crate::formats::gzip::{gunzip, is_gzip};
    use crate::formats::testing::{record, records, speaking};

    /// `HTTPLogItem` of the API's schema with `status` and `timestamp`, and no attributes beside them.
    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Item {
        message: String,
        ddsource: String,
        ddtags: Option<String>,
        hostname: String,
        service: Option<String>,
        status: Option<String>,
        timestamp: i64,
    }

    fn bodies(labels: &Labels, all: Vec<Record>, most: u64) -> Vec<Piece> {
        let mut out = Bodies::default();
        let mut encoder = (RECORDS.encoder)(&Options::default(), labels);
        assert!(is_gzip(&encoder.content()), "its own choice");
        encoder.encode(&records(all), most, &mut out);
        out.drain().collect()
    }

    fn read(body: &Piece) -> Vec<Json> {
        let plain = gunzip(&body.bytes).unwrap();
        assert!(plain.len() <= 5_000_000);
        let entries: Vec<&RawValue> = serde_json::from_slice(&plain).unwrap();
        assert!(entries.iter().all(|entry| entry.get().len() <= 1_000_000));
        assert_eq!(entries.len() as u64, body.samples);
        serde_json::from_slice(&plain).unwrap()
    }

    fn one(record: Record) -> Json {
        let [body] = &bodies(&Labels::EMPTY, vec![record], 1000)[..] else { panic!() };
        read(body).remove(0)
    }

    #[test]
    fn an_entry_is_what_the_schema_has_and_its_attributes() {
        let [body] = &bodies(&Labels::of(&[("dc", "eu,x"), ("app", "x")]), vec![speaking()], 1000)[..] else {
            panic!()
        };
        let expected = json!([{
            "timestamp": 1_700_000_000_123_i64, "hostname": "host-1", "service": "shop", "ddsource": "shop",
            "status": "error", "ddtags": "app:shop,dc:eu_x", "message": "no \"space\"\nleft",
            "trace_id": "0102030405060708090a0b0c0d0e0f10", "span_id": "00000000000000ff",
            "text": "é\u{1}", "yes": true, "int": -9_007_199_254_740_993_i64, "double": 0.5, "nan": "NaN",
            "bytes": "AP8=", "list": [1, null], "map": {"k": "v"},
            "event.name": "disk.full", "otel.scope.name": "db", "otel.scope.version": "1.2", "pool": 3,
            "service.name": "shop", "truncated": true, "dropped_attributes": 2
        }]);
        assert_eq!(Json::from(read(body)), expected);
        // A record of the host that says no more has nothing but what the schema names.
        let bare: Item = serde_json::from_value(one(record("hello"))).unwrap();
        let expected = Item {
            message: "hello".into(),
            ddsource: "shop".into(),
            ddtags: None,
            hostname: "host-1".into(),
            service: None,
            status: None,
            timestamp: 1_700_000_000_123,
        };
        assert_eq!(bare, expected);
    }

    #[test]
    fn a_status_is_a_word_that_datadog_knows() {
        for (number, text, status, kept) in [
            (17, "ERROR", json!("error"), Json::Null),
            (21, "SEVERE", json!("emergency"), json!("SEVERE")),
            (13, "", json!("warning"), Json::Null),
            (0, "Fatal", json!("Fatal"), Json::Null),
            (0, "", Json::Null, Json::Null),
        ] {
            let mut said = record("x");
            (said.severity_number, said.severity) = (number, text.into());
            let entry = one(said);
            assert_eq!((&entry["status"], &entry["otel.severity_text"]), (&status, &kept), "{number} {text}");
        }
    }

    #[test]
    fn no_name_comes_twice_and_an_applications_own_host_is_its_host() {
        let mut said = speaking();
        let text = |key: &str, text: &str| (Box::from(key), Value::text(text));
        said.attributes = vec![
            text("status", "404"),
            text("host", "example.com"),
            text("message", "m"),
            text("pool", "nearest"),
            text("pool", "again"),
        ];
        let mut origin = (*said.origin.unwrap()).clone();
        Arc::make_mut(&mut origin.application).attributes.push(text("host.name", "far"));
        said.origin = Some(Arc::new(origin));
        let [body] = &bodies(&Labels::EMPTY, vec![said], 1000)[..] else { panic!() };
        let entry = read(body).remove(0);
        for (key, value) in [
            ("status", "error"),
            ("status_", "404"),
            ("host_", "example.com"),
            ("message", "no \"space\"\nleft"),
            ("message_", "m"),
            ("pool", "nearest"),
            ("hostname", "far"),
            ("host.name", "far"),
        ] {
            assert_eq!(entry[key], value, "{key}");
        }
        let plain = String::from_utf8(gunzip(&body.bytes).unwrap()).unwrap();
        assert_eq!((plain.matches("\"pool\":").count(), plain.matches("\"status\":").count()), (1, 1));
    }

    #[test]
    fn an_entry_that_is_too_long_is_cut_by_what_it_takes_as_json() {
        for part in ["x", "\"", "\u{1}", "é", "\n世"] {
            let whole = part.repeat(1_100_000);
            let mut long = record(&whole);
            long.attributes = vec![("small".into(), Value::Int(1)), ("large".into(), Value::text("y".repeat(600_000)))];
            let entry = one(long);
            let message = entry["message"].as_str().unwrap();
            assert!(whole.starts_with(message) && message.len() > 150_000, "{} of {part:?}", message.len());
            assert_eq!((&entry["truncated"], &entry["small"]), (&json!(true), &json!(1)));
            assert_eq!((&entry["large"], &entry["dropped_attributes"]), (&Json::Null, &json!(1)));
            // It is as long as may be.
            assert!(serde_json::to_vec(&entry).unwrap().len() > 999_800);
        }
        let entry = one(record(&"x".repeat(900_000)));
        assert_eq!((entry["message"].as_str().unwrap().len(), &entry["truncated"]), (900_000, &Json::Null));
    }

    #[test]
    fn bodies_end_before_they_are_too_large() {
        let counts = |all: Vec<Record>, most| -> Vec<usize> {
            bodies(&Labels::EMPTY, all, most).iter().map(|body| read(body).len()).collect()
        };
        let long = |n: usize| record(&"x".repeat(n));
        assert_eq!(counts((0..5).map(|_| long(1)).collect(), 2), [2, 2, 1]);
        assert_eq!(counts(vec![long(600_000), long(600_000), long(10), long(2_000_000)], 1000), [1, 2, 1]);
        assert_eq!(counts((0..2500).map(|_| long(1)).collect(), RECORDS.limits.samples), [1000, 1000, 500]);
        assert_eq!(counts(Vec::new(), 10), [0; 0]);
    }

    #[test]
    fn a_body_is_divided_until_one_entry_is_left() {
        let all = (0..3).map(|n| record(&format!("{n} \"\u{1}"))).collect();
        let [whole] = &bodies(&Labels::EMPTY, all, 1000)[..] else { panic!() };
        let headers = (RECORDS.encoder)(&Options::default(), &Labels::EMPTY).content();
        let pieces = divide(&headers, &whole.bytes, 1).unwrap();
        assert_eq!(pieces.iter().flat_map(read).collect::<Vec<_>>(), read(whole));
        assert_eq!(pieces.len(), 3);
        assert!(divide(&headers, &pieces[0].bytes, 1).is_none() && divide(&headers, b"[", 1).is_none());
        assert!(divide(&content(&[]), b"{}", 1).is_none());
    }
}
