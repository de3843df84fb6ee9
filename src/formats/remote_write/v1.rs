//! Remote write 1.0: a protobuf `prometheus.WriteRequest`.
//!
//! The parts of the message that are used here, from
//! <https://prometheus.io/docs/specs/prw/remote_write_spec/>:
//!
//! ```text
//! WriteRequest { repeated TimeSeries timeseries = 1; }
//! TimeSeries   { repeated Label labels = 1; repeated Sample samples = 2; }
//! Label        { string name = 1; string value = 2; }
//! Sample       { double value = 1; int64 timestamp = 2; }   milliseconds
//! ```
//!
//! A series' message is constant but for eight bytes of value and the time. So a view is
//! compiled once into the constant bytes, and a tick is a copy of them with the numbers
//! put in between (`pieces`). A value of 0 is written out where protobuf would let it be left out:
//! every decoder takes both, and the place of each number stays fixed.

use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint, encoded_len_varint};

use super::message::{Message, STALE, pack, unpack};
use crate::formats::body::{Piece, cuts};
use crate::formats::ledger::Ended;
use crate::formats::part::Part;
use crate::formats::sent::{NAME, named};
use crate::formats::wire::write_text;
use crate::shaping::{FromRecipe, View, ViewLabels, ViewSeries, prometheus_labels, prometheus_name};

/// What goes with every request.
pub const HEADERS: [(&str, &str); 3] = [
    ("Content-Type", "application/x-protobuf"),
    ("Content-Encoding", "snappy"),
    ("X-Prometheus-Remote-Write-Version", "0.1.0"),
];

/// Writes the whole message of these parts.
pub fn write(parts: &[Part<'_>], ended: &[Ended], out: &mut Message) {
    let mut room = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        write_view(&part.view, at, part.time_ms, part.view.values(part.values, &mut room), part.times, out);
    }
    write_ended(ended, &mut out.bytes);
}

/// Writes the last samples of series that have ended.
pub fn write_ended(ended: &[Ended], out: &mut Vec<u8>) {
    for ended in ended {
        write_series(ended.series.record().labels.into_iter(), &[(STALE, ended.time_ms)], out);
    }
}

/// Writes the series of a view with these values, of the frame at the place `frame`. `times` are
/// those of the chunk, where samples have times of their own.
pub fn write_view(view: &View, frame: usize, time_ms: i64, values: &[f64], times: Option<&[i64]>, out: &mut Message) {
    let mut shapes: Vec<Option<Shape>> = Vec::new();
    let mut labels = Vec::new();
    for (series, value) in view.series().zip(values) {
        labels.clear();
        let number = series.reading_number as usize;
        if shapes.len() <= number {
            shapes.resize_with(number + 1, || None);
        }
        match series.labels {
            ViewLabels::Made(of) => {
                shapes[number].get_or_insert_with(|| Shape::new(&series, of)).write(&series, of, &mut labels)
            }
            ViewLabels::Set(_) => write_labels_of(&series, &mut labels),
        }
        let time_ms = series.time_ms(time_ms, times);
        write_head(&labels, encoded_len_varint(time_ms as u64), &mut out.bytes);
        out.value(*value);
        out.bytes.push(SAMPLE_TIME);
        out.time(time_ms, frame);
    }
}

fn write_labels_of(series: &ViewSeries<'_>, out: &mut Vec<u8>) {
    write_labels(named(&prometheus_name(series.family()), &prometheus_labels(series.labels)), out);
}

/// What the labels of all series of one reading have in common, encoded.
#[derive(Default)]
struct Shape {
    bytes: Vec<u8>,
    /// Where the labels that have their values from the item stand: where the bytes in front of each
    /// end, and then those of its name.
    own: Vec<[usize; 2]>,
    /// Names have dots: what becomes of them depends on which labels there are.
    has_dots: bool,
}

impl Shape {
    fn new(series: &ViewSeries<'_>, labels: FromRecipe<'_>) -> Shape {
        let mut shape = Shape::default();
        let name = prometheus_name(series.family());
        shape.has_dots = labels.shape().any(|(name, _)| name.contains('.'));
        let mut has_name = false;
        for (label, value) in labels.shape() {
            if !has_name && label >= NAME {
                write_label(NAME, &name, &mut shape.bytes);
                has_name = true;
            }
            match value {
                Some(value) => write_label(label, value, &mut shape.bytes),
                None => {
                    let begin = shape.bytes.len();
                    write_text(1, label, &mut shape.bytes);
                    shape.own.push([begin, shape.bytes.len()]);
                }
            }
        }
        if !has_name {
            write_label(NAME, &name, &mut shape.bytes);
        }
        shape
    }

    fn write(&self, series: &ViewSeries<'_>, labels: FromRecipe<'_>, out: &mut Vec<u8>) {
        if self.has_dots {
            return write_labels_of(series, out);
        }
        let mut at = 0;
        for ([begin, end], value) in self.own.iter().zip(labels.own()) {
            out.extend_from_slice(&self.bytes[at..*begin]);
            at = *end;
            if value.is_empty() {
                continue;
            }
            let len = end - begin + 1 + encoded_len_varint(value.len() as u64) + value.len();
            write_len(LABEL, len, out);
            out.extend_from_slice(&self.bytes[*begin..*end]);
            write_len(VALUE, value.len(), out);
            out.extend_from_slice(value);
        }
        out.extend_from_slice(&self.bytes[at..]);
    }
}

/// A series' whole message; `labels` are sorted by name.
pub fn write_series<'l>(labels: impl Iterator<Item = (&'l str, &'l str)>, samples: &[(f64, i64)], out: &mut Vec<u8>) {
    let mut series = Vec::new();
    write_labels(labels, &mut series);
    for (value, time_ms) in samples {
        encode_key(2, WireType::LengthDelimited, &mut series);
        encode_varint((1 + 8 + 1 + encoded_len_varint(*time_ms as u64)) as u64, &mut series);
        encode_key(1, WireType::SixtyFourBit, &mut series);
        series.extend_from_slice(&value.to_le_bytes());
        encode_key(2, WireType::Varint, &mut series);
        encode_varint(*time_ms as u64, &mut series);
    }
    encode_key(1, WireType::LengthDelimited, out);
    encode_varint(series.len() as u64, out);
    out.extend_from_slice(&series);
}

/// Divides a request by its series.
pub fn divide(body: &[u8], most: u64) -> Option<Vec<Piece>> {
    let message = unpack(body)?;
    let ends = field_ends(&message)?;
    let mut from = 0;
    let piece = |to: usize| {
        let start = |at: usize| at.checked_sub(1).map_or(0, |before| ends[before]);
        let part = &message[start(from)..start(to)];
        let samples = (to - std::mem::replace(&mut from, to)) as u64;
        Some(Piece { bytes: pack(part)?, samples })
    };
    cuts(ends.len(), most)?.map(piece).collect()
}

/// A series' message up to the value of its sample; `labels` are its encoded labels.
fn write_head(labels: &[u8], time_len: usize, out: &mut Vec<u8>) {
    // Sample: key and value, key and time.
    let sample_len = 1 + 8 + 1 + time_len;
    let series_len = labels.len() + 1 + encoded_len_varint(sample_len as u64) + sample_len;
    write_len(SERIES, series_len, out);
    out.extend_from_slice(labels);
    write_len(SAMPLE, sample_len, out);
    out.push(SAMPLE_VALUE);
}

/// Keys of the message's fields, a byte each.
const SERIES: u8 = 1 << 3 | WireType::LengthDelimited as u8;
const LABEL: u8 = 1 << 3 | WireType::LengthDelimited as u8;
const VALUE: u8 = 2 << 3 | WireType::LengthDelimited as u8;
const SAMPLE: u8 = 2 << 3 | WireType::LengthDelimited as u8;
const SAMPLE_VALUE: u8 = 1 << 3 | WireType::SixtyFourBit as u8;
const SAMPLE_TIME: u8 = 2 << 3 | WireType::Varint as u8;

/// A field's key, and how long it is.
fn write_len(key: u8, len: usize, out: &mut Vec<u8>) {
    if len < 0x80 {
        out.extend_from_slice(&[key, len as u8]);
    } else {
        out.push(key);
        encode_varint(len as u64, out);
    }
}

/// A series' labels, `__name__` among them, sorted by name.
fn write_labels<'l>(labels: impl Iterator<Item = (&'l str, &'l str)>, out: &mut Vec<u8>) {
    labels.for_each(|(name, value)| write_label(name, value, out));
}

fn write_label(name: &str, value: &str, out: &mut Vec<u8>) {
    let field = |text: &str| 1 + encoded_len_varint(text.len() as u64) + text.len();
    encode_key(1, WireType::LengthDelimited, out);
    encode_varint((field(name) + field(value)) as u64, out);
    write_text(1, name, out);
    write_text(2, value, out);
}

/// Where each top-level field of `message` ends; none if it is not made of length-delimited ones.
fn field_ends(message: &[u8]) -> Option<Vec<usize>> {
    let mut ends = Vec::new();
    let mut rest = message;
    while !rest.is_empty() {
        let (_, wire) = decode_key(&mut rest).ok()?;
        if wire != WireType::LengthDelimited {
            return None;
        }
        let len = usize::try_from(decode_varint(&mut rest).ok()?).ok()?;
        rest = rest.get(len..)?;
        ends.push(message.len() - rest.len());
    }
    Some(ends)
}
