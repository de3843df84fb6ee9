//! A record as an entry of a stream: which labels it is found by, and what goes beside its line.

use std::borrow::Cow;
use std::fmt::Write;

use prost::encoding::{WireType, encode_key, encode_varint};

use crate::formats::json_records::{hex, word_of, write_value};
use crate::formats::wire::{field_len, write_bytes, write_length, write_text};
use crate::model::{Attribute, Labels, Record, Resource, Value};
use crate::order;

// What Loki takes where nobody has said otherwise; what is over it would cost the entry.

/// Labels of a stream; what comes behind them is structured metadata.
const MAX_LABELS: usize = 15;
/// Bytes of a name.
const MAX_NAME: usize = 1024;
/// Bytes of a label's value.
const MAX_VALUE: usize = 2048;
/// Bytes of a line.
pub const MAX_LINE: usize = 256 << 10;
/// Pairs of structured metadata. What says that some are missing is one of them.
const MAX_PAIRS: usize = 128 - 1;
/// Bytes of their names and values together, with room for what makes names differ and says that some are missing.
const MAX_METADATA: usize = (64 << 10) - 2048;

/// What says how many attributes are missing.
const DROPPED: &str = "dropped_attributes";

const TIMESTAMP: u32 = 1;
const LINE: u32 = 2;
const METADATA: u32 = 3;
const NAME: u32 = 1;
const VALUE: u32 = 2;

/// What a stream is found by beside its host and its source, and which attributes tell it, the first one first.
const KNOWN: [(&str, &[&str]); 3] = [
    ("namespace", &["k8s.namespace.name"]),
    ("pod", &["k8s.pod.name"]),
    ("container", &["k8s.container.name", "container.name"]),
];

/// An entry that is written already.
pub struct Entry {
    /// The labels of its stream, as Loki reads them.
    pub labels: String,
    /// When it happened: nanoseconds since the UNIX epoch.
    pub time_ns: u64,
    /// The message.
    pub message: Vec<u8>,
}

impl Entry {
    /// That of a record of `resource`, with `labels` besides its own, which win.
    pub fn of(record: &Record, resource: &Resource, labels: &Labels) -> Entry {
        let (stream, rest) = stream(record, resource, labels);
        let time_ns = record.time_ns.unwrap_or(record.observed_ns);
        let whole = text_of(&record.message);
        let line = cut(&whole, MAX_LINE);
        let metadata = metadata(record, rest, line.len() < whole.len());

        let mut message = Vec::new();
        let mut time = Vec::new();
        write_number(1, time_ns / 1_000_000_000, &mut time);
        write_number(2, time_ns % 1_000_000_000, &mut time);
        write_bytes(TIMESTAMP, &time, &mut message);
        write_text(LINE, line, &mut message);
        for (name, value) in &metadata {
            write_length(METADATA, field_len(name.len()) + field_len(value.len()), &mut message);
            write_text(NAME, name, &mut message);
            write_text(VALUE, value, &mut message);
        }
        Entry { labels: quoted(stream), time_ns, message }
    }

    /// What it takes in a body at most, its labels included.
    pub fn len(&self) -> usize {
        self.labels.len() + self.message.len() + 32
    }
}

type Pair<'r> = (Cow<'r, str>, Cow<'r, str>);

/// A stream's labels, and those that it has no room for.
fn stream<'r>(record: &'r Record, resource: &'r Resource, labels: &'r Labels) -> (Vec<Pair<'r>>, Vec<Pair<'r>>) {
    let given = record.labels.iter().chain(labels.iter().filter(|(name, _)| record.labels.get(name).is_none()));
    let is_given = |name: &str| given.clone().any(|(given, _)| given == name);
    let application = record.origin.iter().flat_map(|origin| &origin.application.attributes);
    let attributes = application.chain(&record.attributes);
    let known = KNOWN.iter().filter_map(|(label, names)| {
        let find = |name: &&str| attributes.clone().find(|(key, _)| **key == **name)?.1.as_text();
        Some((*label, names.iter().find_map(find)?))
    });
    let own = [("host", &*resource.host), ("source", &*record.source)].into_iter().chain(known);
    // What somebody has said stands for what is known. Names of labels are such as Loki takes.
    let own = own.filter(|(name, _)| !is_given(name));
    let (mut stream, mut rest): (Vec<Pair<'_>>, Vec<Pair<'_>>) = (Vec::new(), Vec::new());
    for (name, value) in own.chain(given.clone()).filter(|(_, value)| !value.is_empty()) {
        if stream.len() < MAX_LABELS && name.len() <= MAX_NAME {
            stream.push((name.into(), cut(value, MAX_VALUE).into()));
        } else {
            rest.push((name.into(), value.into()));
        }
    }
    if stream.is_empty() {
        // It takes no stream without any.
        stream.push(("source".into(), "unknown".into()));
    }
    order::sort(&mut stream);
    (stream, rest)
}

/// What else a record says, as far as there is room for it; what matters most is in front.
fn metadata<'r>(record: &'r Record, labels: Vec<Pair<'r>>, is_cut: bool) -> Vec<Pair<'r>> {
    let mut out = Metadata { dropped: u64::from(record.dropped_attributes), ..Metadata::default() };
    let word = word_of(record.severity_number);
    out.add("severity", if record.severity.is_empty() { word } else { &record.severity });
    out.add("level", level_of(record.severity_number));
    if record.severity_number != 0 {
        out.add("severity_number", record.severity_number.to_string());
    }
    if record.truncated || is_cut {
        out.add("truncated", "true");
    }
    out.add("event", &*record.event);
    out.add("trace_id", record.trace_id.map(|id| hex(&id)).unwrap_or_default());
    out.add("span_id", record.span_id.map(|id| hex(&id)).unwrap_or_default());
    if record.flags != 0 {
        out.add("flags", record.flags.to_string());
    }
    labels.into_iter().for_each(|(name, value)| out.add(name, value));
    let mut all = |attributes: &'r [Attribute]| {
        attributes.iter().for_each(|(name, value)| out.add(&**name, text_of(value)));
    };
    all(&record.attributes);
    if let Some(origin) = &record.origin {
        all(&origin.application.attributes);
        all(&origin.attributes);
        out.add("scope_name", &*origin.scope);
        out.add("scope_version", &*origin.version);
    }
    if record.time_ns.is_some() {
        out.add("observed_timestamp", record.observed_ns.to_string());
    }
    if out.dropped > 0 {
        out.pairs.push((DROPPED.into(), out.dropped.to_string().into()));
    }
    out.pairs
}

#[derive(Default)]
struct Metadata<'r> {
    pairs: Vec<Pair<'r>>,
    bytes: usize,
    dropped: u64,
}

impl<'r> Metadata<'r> {
    /// Adds a pair, by a name that no other one has. One without a value is none.
    fn add(&mut self, name: impl Into<Cow<'r, str>>, value: impl Into<Cow<'r, str>>) {
        let value = value.into();
        if value.is_empty() {
            return;
        }
        let mut name = sanitized(name.into());
        let bytes = self.bytes + name.len() + value.len();
        if self.pairs.len() >= MAX_PAIRS || bytes > MAX_METADATA {
            self.dropped += 1;
            return;
        }
        let is_taken = |name: &str| name == DROPPED || self.pairs.iter().any(|(taken, _)| taken == name);
        if is_taken(&name) {
            // From there on, so that many of one name cost no more than others.
            let mut numbered = (self.pairs.len() + 1..).map(|nth| format!("{}_{nth}", cut(&name, MAX_NAME - 8)));
            name = numbered.find(|name| !is_taken(name)).map_or(name, Cow::Owned);
        }
        self.bytes = bytes;
        self.pairs.push((name, value));
    }
}

/// Loki's word for one of OTLP's numbers.
fn level_of(severity_number: u8) -> &'static str {
    match severity_number {
        1..=4 => "trace",
        5..=8 => "debug",
        9..=12 => "info",
        13..=16 => "warn",
        17 => "error",
        18..=20 => "critical",
        21..=24 => "fatal",
        _ => "",
    }
}

/// A value as text: a list or a map in JSON, bytes in base64.
fn text_of(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Empty => "".into(),
        Value::Text(text) => Cow::Borrowed(text),
        other => {
            let mut text = Vec::new();
            write_value(other, &mut text);
            let text = String::from_utf8_lossy(&text);
            match other {
                // Bytes, and numbers that JSON does not have, are texts there.
                Value::Bytes(_) | Value::Double(_) => text.trim_matches('"').to_owned().into(),
                _ => text.into_owned().into(),
            }
        }
    }
}

/// A name of letters, digits and `_` that does not begin with a digit.
fn sanitized(name: Cow<'_, str>) -> Cow<'_, str> {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let begins_well = name.chars().next().is_some_and(|first| !first.is_ascii_digit());
    if begins_well && name.len() <= MAX_NAME && name.chars().all(is_fit) {
        return name;
    }
    let first = if begins_well { "" } else { "_" };
    let rest = name.chars().map(|c| if is_fit(c) { c } else { '_' });
    Cow::Owned(first.chars().chain(rest).take(MAX_NAME).collect())
}

/// The beginning of `text`, of at most `most` bytes.
fn cut(text: &str, most: usize) -> &str {
    match text.len() <= most {
        true => text,
        false => &text[..(0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)],
    }
}

/// `{a="b", c="d"}`: values as Go quotes them. A control character would end the text, or its reader.
fn quoted(labels: Vec<Pair<'_>>) -> String {
    let mut out = String::from("{");
    for (at, (name, value)) in labels.iter().enumerate() {
        // Writing to memory does not fail.
        let _ = write!(out, "{}{name}=\"", if at > 0 { ", " } else { "" });
        for c in value.chars() {
            let _ = match c {
                '"' | '\\' => write!(out, "\\{c}"),
                '\n' => write!(out, "\\n"),
                '\r' => write!(out, "\\r"),
                '\t' => write!(out, "\\t"),
                // U+FEFF is a mark of order to Go's readers.
                '\u{feff}' => write!(out, "\\ufeff"),
                c if c.is_control() => write!(out, "\\u{:04x}", u32::from(c)),
                c => write!(out, "{c}"),
            };
        }
        out.push('"');
    }
    out.push('}');
    out
}

fn write_number(tag: u32, number: u64, out: &mut Vec<u8>) {
    if number != 0 {
        encode_key(tag, WireType::Varint, out);
        encode_varint(number, out);
    }
}
