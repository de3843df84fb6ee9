//! Prometheus remote write 2.0: a protobuf `io.prometheus.write.v2.Request`.
//!
//! The parts of the message that are used here, as of 2.0-rc.4, from
//! <https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/>:
//!
//! ```text
//! Request    { repeated string symbols = 4; repeated TimeSeries timeseries = 5; }
//! TimeSeries { repeated uint32 labels_refs = 1; repeated Sample samples = 2; Metadata metadata = 5; }
//! Sample     { double value = 1; int64 timestamp = 2; int64 start_timestamp = 3; }   milliseconds
//! Metadata   { MetricType type = 1; uint32 help_ref = 3; uint32 unit_ref = 4; }
//! ```
//!
//! Every text of a request stands once among its symbols, the empty one first, the most
//! used ones next, so that most references take a byte. The start stood in TimeSeries, as
//! field 6, before rc.4 (Prometheus before 3.8); receivers of that time skip ours.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

use super::message::{Message, STALE, pack, unpack};
use super::v1;
use crate::formats::body::{Content, Piece, content, cuts};
use crate::formats::ledger::Ended;
use crate::formats::part::Part;
use crate::formats::sent::named;
use crate::formats::wire::write_text;
use crate::formats::wire::{Field, fields, packed};
use crate::model::{Kind, Since};
use crate::order;
use crate::shaping::{ViewSeries, prometheus_labels, prometheus_name};

/// What goes with every request.
pub const HEADERS: [(&str, &str); 3] = [
    ("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request"),
    ("Content-Encoding", "snappy"),
    ("X-Prometheus-Remote-Write-Version", "2.0.0"),
];

// Numbers of fields.
const SYMBOLS: u32 = 4;
const TIMESERIES: u32 = 5;
const LABELS_REFS: u32 = 1;
const SAMPLES: u32 = 2;
const METADATA: u32 = 5;
const VALUE: u32 = 1;
const TIMESTAMP: u32 = 2;
const START_TIMESTAMP: u32 = 3;
const TYPE: u32 = 1;
const HELP_REF: u32 = 3;
const UNIT_REF: u32 = 4;

/// A request's texts, each once, and how often each is referred to.
#[derive(Default)]
struct Symbols<'t> {
    places: HashMap<&'t str, u32>,
    texts: Vec<(&'t str, u32)>,
}

impl<'t> Symbols<'t> {
    /// The text's provisional reference.
    fn add(&mut self, text: &'t str) -> u32 {
        match self.places.entry(text) {
            Entry::Occupied(place) => {
                let at = *place.get();
                self.texts[at as usize].1 += 1;
                at
            }
            Entry::Vacant(place) => {
                let at = self.texts.len() as u32;
                place.insert(at);
                self.texts.push((text, 1));
                at
            }
        }
    }

    /// Writes the table; gives for each provisional reference the one in the message.
    fn write(&self, out: &mut Vec<u8>) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.texts.len() as u32).collect();
        let (uses, is_empty) = (|at: u32| self.texts[at as usize].1, |at: u32| self.texts[at as usize].0.is_empty());
        order::sort_by_key(&mut order, |at| (!is_empty(*at), std::cmp::Reverse(uses(*at))));
        let mut places = vec![0; order.len()];
        for (place, at) in order.into_iter().enumerate() {
            places[at as usize] = place as u32;
            write_text(SYMBOLS, self.texts[at as usize].0, out);
        }
        places
    }
}

/// A series before the symbols have their places.
struct Draft {
    /// Where its references end in the list of all.
    refs_end: usize,
    kind: Kind,
    help: u32,
    unit: u32,
    start_ms: i64,
}

/// Writes the whole message of these parts.
pub fn write(parts: &[Part<'_>], boot_ms: Option<i64>, ended: &[Ended], out: &mut Message) {
    let series = parts.iter().flat_map(|part| part.view.series().map(move |one| (part, one)));
    let written = series.clone().map(|(_, one)| (prometheus_name(one.family()), prometheus_labels(one.labels)));
    let written: Vec<_> = written.collect();
    let mut symbols = Symbols::default();
    symbols.add("");
    let mut refs = Vec::new();
    let mut drafts = Vec::new();
    for ((part, one), (name, labels)) in series.zip(&written) {
        for (name, value) in named(name, labels) {
            refs.extend([symbols.add(name), symbols.add(value)]);
        }
        let family = one.family();
        drafts.push(Draft {
            refs_end: refs.len(),
            kind: family.kind,
            help: symbols.add(family.help),
            unit: symbols.add(family.unit),
            start_ms: start_ms(&one, part, boot_ms),
        });
    }
    for ended in ended {
        let series = ended.series.record();
        for (name, value) in series.labels {
            refs.extend([symbols.add(name), symbols.add(value)]);
        }
        // With its metadata: a receiver takes none for a change of it.
        drafts.push(Draft {
            refs_end: refs.len(),
            kind: series.kind,
            help: symbols.add(series.help),
            unit: symbols.add(series.unit),
            start_ms: 0,
        });
    }
    let places = symbols.write(&mut out.bytes);
    refs.iter_mut().for_each(|at| *at = places[*at as usize]);
    for draft in &mut drafts {
        draft.help = places[draft.help as usize];
        draft.unit = places[draft.unit as usize];
    }
    let live = parts.iter().enumerate().flat_map(|(at, part)| {
        part.view.series().map(move |one| (at, one.time_ms(part.time_ms, part.times), one.value(part.values)))
    });
    let ended = ended.iter().map(|ended| (usize::MAX, ended.time_ms, STALE));
    let mut start = 0;
    for (draft, (frame, time_ms, value)) in drafts.iter().zip(live.chain(ended)) {
        write_series(draft, &refs[start..draft.refs_end], frame, time_ms, value, out);
        start = draft.refs_end;
    }
}

fn write_series(draft: &Draft, refs: &[u32], frame: usize, time_ms: i64, value: f64, out: &mut Message) {
    let varint_len = |number: i64| if number == 0 { 0 } else { 1 + encoded_len_varint(number as u64) };
    let field_len = |len: usize| 1 + encoded_len_varint(len as u64) + len;
    let refs_len = refs.iter().map(|at| encoded_len_varint(u64::from(*at))).sum::<usize>();
    // The time is written also where it is 0, so that every message has a place for it.
    let sample_len = 1 + 8 + 1 + encoded_len_varint(time_ms as u64) + varint_len(draft.start_ms);
    let metadata_len = 2 + varint_len(draft.help.into()) + varint_len(draft.unit.into());
    let number = |tag: u32, number: u64, out: &mut Vec<u8>| {
        if number != 0 {
            encode_key(tag, WireType::Varint, out);
            encode_varint(number, out);
        }
    };
    let length = |tag: u32, len: usize, out: &mut Vec<u8>| {
        encode_key(tag, WireType::LengthDelimited, out);
        encode_varint(len as u64, out);
    };

    let bytes = &mut out.bytes;
    length(TIMESERIES, field_len(refs_len) + field_len(sample_len) + field_len(metadata_len), bytes);
    length(LABELS_REFS, refs_len, bytes);
    refs.iter().for_each(|at| encode_varint(u64::from(*at), bytes));
    length(SAMPLES, sample_len, bytes);
    encode_key(VALUE, WireType::SixtyFourBit, bytes);
    out.value(value);
    encode_key(TIMESTAMP, WireType::Varint, &mut out.bytes);
    out.time(time_ms, frame);
    let bytes = &mut out.bytes;
    number(START_TIMESTAMP, draft.start_ms as u64, bytes);
    length(METADATA, metadata_len, bytes);
    let kind = match draft.kind {
        Kind::Untyped => 0,
        Kind::Counter => 1,
        Kind::Gauge | Kind::UpDown => 2,
        Kind::Histogram => 3,
        Kind::Summary => 5,
        Kind::Info => 6,
        Kind::StateSet => 7,
    };
    number(TYPE, kind, bytes);
    number(HELP_REF, draft.help.into(), bytes);
    number(UNIT_REF, draft.unit.into(), bytes);
}

/// When a counter began to count, in milliseconds; 0 for everything else, and where that is
/// not known.
fn start_ms(series: &ViewSeries<'_>, part: &Part<'_>, boot_ms: Option<i64>) -> i64 {
    if series.family().kind != Kind::Counter {
        return 0;
    }
    match part.chunk.items().get(series.item as usize).since {
        Since::Ms(since_ms) => since_ms.get(),
        // The kernel counts from its own start on; whoever else counts, we don't know.
        Since::Start if series.is_built_in() => boot_ms.filter(|boot| (1..=part.time_ms).contains(boot)).unwrap_or(0),
        Since::Start => 0,
    }
}

/// A request taken apart: its symbols, and its series as they came.
struct Request<'b> {
    symbols: Vec<&'b str>,
    series: Vec<&'b [u8]>,
}

impl<'b> Request<'b> {
    fn parse(message: &'b [u8]) -> Option<Request<'b>> {
        let mut request = Request { symbols: Vec::new(), series: Vec::new() };
        for field in fields(message) {
            match field? {
                (SYMBOLS, Field::Bytes(text)) => request.symbols.push(std::str::from_utf8(text).ok()?),
                (TIMESERIES, Field::Bytes(series)) => request.series.push(series),
                _ => return None,
            }
        }
        Some(request)
    }

    /// A request of some of the series, with the symbols that they need.
    fn part(&self, series: &[&'b [u8]]) -> Option<Piece> {
        let mut symbols = Symbols::default();
        symbols.add("");
        // The references depend on the table, and the table on all references: two passes.
        series.iter().try_for_each(|one| self.renumbered(one, |text| symbols.add(text)).map(drop))?;
        let mut message = Vec::new();
        let places = symbols.write(&mut message);
        for one in series {
            let one = self.renumbered(one, |text| symbols.places.get(text).map_or(0, |at| places[*at as usize]))?;
            encode_key(TIMESERIES, WireType::LengthDelimited, &mut message);
            encode_varint(one.len() as u64, &mut message);
            message.extend_from_slice(&one);
        }
        Some(Piece { bytes: pack(&message)?, samples: series.len() as u64 })
    }

    /// A series with other references.
    fn renumbered(&self, series: &[u8], mut place: impl FnMut(&'b str) -> u32) -> Option<Vec<u8>> {
        let mut refer = |at: u64| Some(u64::from(place(self.symbol(at)?)));
        let mut out = Vec::with_capacity(series.len());
        let mut bytes = |tag: u32, bytes: &[u8]| {
            encode_key(tag, WireType::LengthDelimited, &mut out);
            encode_varint(bytes.len() as u64, &mut out);
            out.extend_from_slice(bytes);
        };
        for field in fields(series) {
            match field? {
                (LABELS_REFS, Field::Bytes(refs)) => {
                    let mut renumbered = Vec::new();
                    for at in packed(refs)? {
                        encode_varint(refer(at)?, &mut renumbered);
                    }
                    bytes(LABELS_REFS, &renumbered);
                }
                (METADATA, Field::Bytes(metadata)) => {
                    let mut renumbered = Vec::new();
                    for field in fields(metadata) {
                        let (tag, number) = match field? {
                            (tag @ (HELP_REF | UNIT_REF), Field::Varint(at)) => (tag, refer(at)?),
                            (tag, Field::Varint(number)) => (tag, number),
                            _ => return None,
                        };
                        encode_key(tag, WireType::Varint, &mut renumbered);
                        encode_varint(number, &mut renumbered);
                    }
                    bytes(METADATA, &renumbered);
                }
                (tag, Field::Bytes(other)) => bytes(tag, other),
                _ => return None,
            }
        }
        Some(out)
    }

    fn symbol(&self, at: u64) -> Option<&'b str> {
        self.symbols.get(usize::try_from(at).ok()?).copied()
    }
}

/// Whether the content headers are those of a 2.0 request.
pub fn is_v2(content: &Content) -> bool {
    content.iter().any(|(name, value)| name.eq_ignore_ascii_case("Content-Type") && value.as_str() == HEADERS[0].1)
}

/// Divides a 2.0 request by its series, each piece with the symbols that it needs.
pub fn divide(body: &[u8], most: u64) -> Option<Vec<Piece>> {
    let message = unpack(body)?;
    let request = Request::parse(&message)?;
    let mut from = 0;
    let piece = |to: usize| request.part(&request.series[std::mem::replace(&mut from, to)..to]);
    cuts(request.series.len(), most)?.map(piece).collect()
}

/// A 2.0 request as one of 1.0, without metadata and starts, which that has no place for.
pub fn downgrade(described: &Content, body: &[u8]) -> Option<(Content, Vec<u8>)> {
    if !is_v2(described) {
        return None;
    }
    let message = unpack(body)?;
    let request = Request::parse(&message)?;
    let mut old = Vec::new();
    for series in &request.series {
        let mut labels = Vec::new();
        let mut samples = Vec::new();
        for field in fields(series) {
            match field? {
                (LABELS_REFS, Field::Bytes(refs)) => {
                    for pair in packed(refs)?.chunks(2) {
                        let [name, value] = pair else { return None };
                        labels.push((request.symbol(*name)?, request.symbol(*value)?));
                    }
                }
                (SAMPLES, Field::Bytes(sample)) => samples.push(sample_of(sample)?),
                (METADATA, _) => {}
                _ => return None,
            }
        }
        v1::write_series(labels.into_iter(), &samples, &mut old);
    }
    Some((content(&v1::HEADERS), pack(&old)?))
}

/// A sample's value and time.
fn sample_of(sample: &[u8]) -> Option<(f64, i64)> {
    let (mut value, mut time_ms) = (0.0, 0);
    for field in fields(sample) {
        match field? {
            (VALUE, Field::Fixed64(bits)) => value = f64::from_le_bytes(bits),
            (TIMESTAMP, Field::Varint(time)) => time_ms = time as i64,
            (START_TIMESTAMP, Field::Varint(_)) => {}
            _ => return None,
        }
    }
    Some((value, time_ms))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use prometheus_remote_write::WriteRequest;
    use prost_0_12::Message as _;

    use super::*;
    use crate::formats::remote_write::{RemoteWrite, Version};
    use crate::formats::testing::{self, COUNT, TOTAL, USAGE};
    use crate::model::{Batch, Family, Item, Label, Labels, Reading, Recorder, Resource, face};

    fn batch() -> Batch {
        let core = Labels::of(&[("core", "0")]);
        let samples = [(&TOTAL, &core, 1.5), (&COUNT, &Labels::EMPTY, 0.0), (&USAGE, &core, f64::INFINITY)];
        let mut batch = testing::batch(300, &samples);
        batch.resource = Arc::new(Resource { host: "h".into(), boot_ms: Some(7), ..Resource::default() });
        batch
    }

    fn encoded(batch: &Batch, version: Version) -> Vec<u8> {
        testing::encode(&mut RemoteWrite::new(version, testing::from(Labels::of(&[("job", "metricsd")]))), batch).0
    }

    fn v2() -> Content {
        Version::V2.content()
    }

    fn decode(body: &[u8]) -> Vec<(Vec<String>, u64, i64)> {
        let request = WriteRequest::decode(&unpack(body).unwrap()[..]).unwrap();
        let series = request.timeseries.into_iter().map(|series| {
            let labels = series.labels.iter().map(|label| format!("{}={}", label.name, label.value)).collect();
            (labels, series.samples[0].value.to_bits(), series.samples[0].timestamp)
        });
        series.collect()
    }

    /// Worked out by hand from the definition of the message.
    #[test]
    fn a_small_message_is_as_specified() {
        static CORE: &[Label] = &[Label::key("core", 0)];
        static READING: Reading = Reading {
            native: face(&Family::counter("test_bytes_total", "bytes", "Bytes."), CORE),
            node: None,
            otel: None,
        };
        let mut out = Recorder::new("test", 10);
        out.item(&Item::new(&["0"])).push(&READING, 1.5);
        let mut batch = testing::batch(300, &[]);
        batch.frames = vec![out.finish(300)];
        batch.resource = Arc::new(Resource { host: "h".into(), boot_ms: Some(7), ..Resource::default() });
        let message =
            unpack(&testing::encode(&mut RemoteWrite::new(Version::V2, testing::from(Labels::EMPTY)), &batch).0);
        let mut expected = Vec::new();
        // Each is used once, so they come in the order of first use.
        for symbol in ["", "__name__", "test_bytes_total", "core", "0", "Bytes.", "bytes"] {
            expected.extend([0x22, symbol.len() as u8]);
            expected.extend(symbol.as_bytes());
        }
        expected.extend([
            0x2a, 30, // timeseries
            0x0a, 4, 1, 2, 3, 4, // labels_refs
            0x12, 14, 0x09, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f, // samples, value 1.5
            0x10, 0xac, 0x02, // timestamp 300
            0x18, 7, // start_timestamp
            0x2a, 6, 0x08, 1, 0x18, 5, 0x20, 6, // metadata: counter, help, unit
        ]);
        assert_eq!(message, Some(expected));
    }

    #[test]
    fn a_request_as_one_of_1_0_is_what_1_0_would_have_been() {
        let (content, body) = downgrade(&v2(), &encoded(&batch(), Version::V2)).unwrap();
        assert_eq!(content, Version::V1.content());
        assert_eq!(unpack(&body), unpack(&encoded(&batch(), Version::V1)));
        assert_eq!(decode(&body)[0].0, ["__name__=test_bytes_total", "core=0", "job=metricsd"]);
        assert_eq!(downgrade(&content, &body), None, "there is nothing older");
    }

    #[test]
    fn a_request_is_divided_with_the_symbols_that_each_piece_needs() {
        let body = encoded(&batch(), Version::V2);
        let whole = decode(&downgrade(&v2(), &body).unwrap().1);
        let [left, right] = <[Piece; 2]>::try_from(divide(&body, 2).unwrap()).unwrap();
        assert_eq!((left.samples, right.samples), (1, 2));
        assert!(divide(&left.bytes, 1).is_none());
        let halves = [&left, &right].map(|half| decode(&downgrade(&v2(), &half.bytes).unwrap().1));
        assert_eq!(halves.concat(), whole);
        let message = unpack(&left.bytes).unwrap();
        let symbols = Request::parse(&message).unwrap().symbols;
        assert_eq!(symbols, ["", "__name__", "test_bytes_total", "core", "0", "job", "metricsd", "Bytes.", "bytes"]);
        // One series alone, made anew, is the same message: nothing but the references has changed.
        let alone = Batch {
            frames: vec![{
                let mut frame = testing::batch(300, &[(&TOTAL, &Labels::of(&[("core", "0")]), 1.5)]).frames.remove(0);
                frame.source = "test".into();
                frame
            }],
            ..batch()
        };
        assert_eq!(unpack(&encoded(&alone, Version::V2)).unwrap(), message);
    }

    #[test]
    fn an_ended_series_has_a_marker_and_its_metadata() {
        let mut encoder = RemoteWrite::new(Version::V2, testing::from(Labels::EMPTY));
        testing::encode(&mut encoder, &batch());
        let (body, encoded) = testing::encode(&mut encoder, &testing::batch(400, &[]));
        assert_eq!((encoded.samples, encoded.markers), (0, 3));
        let message = unpack(&body).unwrap();
        let request = Request::parse(&message).unwrap();
        // The first one is a counter of bytes.
        let place = |text: &str| request.symbols.iter().position(|symbol| *symbol == text).unwrap() as u8;
        let metadata = [TYPE as u8 * 8, 1, HELP_REF as u8 * 8, place("Bytes."), UNIT_REF as u8 * 8, place("bytes")];
        let found = fields(request.series[0]).flatten().find(|(tag, _)| *tag == METADATA);
        assert_eq!(found, Some((METADATA, Field::Bytes(&metadata))));
        let read = decode(&downgrade(&v2(), &body).unwrap().1);
        assert!(read.iter().all(|(_, bits, time)| (*bits, *time) == (0x7ff0000000000002, 400)), "{read:?}");
    }

    #[test]
    fn damaged_bodies_are_neither_divided_nor_turned() {
        let message = unpack(&encoded(&batch(), Version::V2)).unwrap();
        let mut seen = 0;
        for at in 0..message.len() {
            for changed in [message[..at].to_vec(), {
                let mut flipped = message.clone();
                flipped[at] ^= 0x55;
                flipped
            }] {
                let body = snap::raw::Encoder::new().compress_vec(&changed).unwrap();
                // Whatever they say, they say it without a panic.
                seen += usize::from(divide(&body, 1).is_some()) + usize::from(downgrade(&v2(), &body).is_some());
            }
        }
        assert!(seen > 0);
        for body in [&b""[..], b"not snappy at all", &[0xff, 0xff, 0xff, 0xff, 0x0f, 0]] {
            assert!(divide(body, 1).is_none() && downgrade(&v2(), body).is_none());
        }
    }
}
