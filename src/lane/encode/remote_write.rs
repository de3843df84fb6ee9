//! Prometheus remote write, in snappy's block format: 1.0, a protobuf
//! `prometheus.WriteRequest`, here; 2.0 in [`super::remote_write_v2`].
//!
//! The parts of the message of 1.0 that are used here, from
//! <https://prometheus.io/docs/specs/prw/remote_write_spec/>:
//!
//! ```text
//! WriteRequest { repeated TimeSeries timeseries = 1; }
//! TimeSeries   { repeated Label labels = 1; repeated Sample samples = 2; }
//! Label        { string name = 1; string value = 2; }
//! Sample       { double value = 1; int64 timestamp = 2; }   milliseconds
//! ```
//!
//! A series' message is constant but for eight bytes of value and the time. So a schema is
//! compiled once into the constant bytes, and a tick is a copy of them with the numbers
//! put in between. A value of 0 is written out where protobuf would let it be left out:
//! every decoder takes both, and the place of each number stays fixed.
//!
//! A series that has ended gets a last sample, a NaN of bits that mean just that.

use std::sync::Arc;

use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint, encoded_len_varint};

use super::plan::Plans;
use super::sent::{Sent, named};
use super::sources::{Ended, Sources};
use super::template::Templates;
use super::{Content, Encoded, Encoder, Half, content, remote_write_v2};
use crate::model::{Batch, Frame, Labels, Schema};

/// What goes with every request of 1.0.
const HEADERS: [(&str, &str); 3] = [
    ("Content-Type", "application/x-protobuf"),
    ("Content-Encoding", "snappy"),
    ("X-Prometheus-Remote-Write-Version", "0.1.0"),
];

/// A body that unpacks to more than this is none of ours, so halving refuses it.
pub const MAX_UNPACKED: usize = 256 << 20;

/// The value that says that a series has ended, and that nothing else may have: a NaN of
/// these bits (`StaleNaN` in Prometheus' `model/value`).
pub const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// The version of the protocol, and with it the message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// `prometheus.WriteRequest`.
    #[default]
    V1,
    /// `io.prometheus.write.v2.Request`.
    V2,
}

impl Version {
    /// The full name of its message.
    pub fn message(self) -> &'static str {
        match self {
            Version::V1 => "prometheus.WriteRequest",
            Version::V2 => "io.prometheus.write.v2.Request",
        }
    }

    /// What goes with a request.
    pub fn content(self) -> Content {
        match self {
            Version::V1 => content(&HEADERS),
            Version::V2 => content(&remote_write_v2::HEADERS),
        }
    }
}

/// Encodes for one destination.
pub struct RemoteWrite {
    version: Version,
    labels: Labels,
    content: Content,
    sources: Sources,
    plans: Plans<Plan>,
    message: Message,
    snappy: snap::raw::Encoder,
    /// None: each body is made anew.
    templates: Option<Templates>,
}

/// A request before compression, and where in it the numbers are.
#[derive(Default)]
pub struct Message {
    /// The message.
    pub bytes: Vec<u8>,
    /// Where its numbers are, if somebody wants to know.
    pub holes: Option<Holes>,
}

/// Where a message's numbers are.
#[derive(Default)]
pub struct Holes {
    /// Where each value begins, in order.
    pub values: Vec<usize>,
    /// Where each time begins, and which frame's it is.
    pub times: Vec<(usize, usize)>,
}

impl Message {
    /// Adds a sample's value.
    pub fn value(&mut self, value: f64) {
        if let Some(holes) = &mut self.holes {
            holes.values.push(self.bytes.len());
        }
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Adds the time of the frame at the place `frame`.
    pub fn time(&mut self, time_ms: i64, frame: usize) {
        if let Some(holes) = &mut self.holes {
            holes.times.push((self.bytes.len(), frame));
        }
        encode_varint(time_ms as u64, &mut self.bytes);
    }
}

impl RemoteWrite {
    /// `labels` are added to every series that has none of that name.
    pub fn new(version: Version, labels: Labels) -> RemoteWrite {
        RemoteWrite {
            version,
            sources: Sources::new(labels.clone()),
            labels,
            content: version.content(),
            plans: Plans::new(),
            message: Message::default(),
            snappy: snap::raw::Encoder::new(),
            templates: Some(Templates::default()),
        }
    }

    /// One that makes every body anew: what the templates are measured by.
    pub fn plain(version: Version, labels: Labels) -> RemoteWrite {
        RemoteWrite { templates: None, ..RemoteWrite::new(version, labels) }
    }

    /// The uncompressed message; the sources know of the batch.
    fn message(&mut self, batch: &Batch) -> u64 {
        self.message.bytes.clear();
        let ended = self.sources.ended();
        match self.version {
            Version::V1 => write(batch, &self.labels, &mut self.plans, ended, &mut self.message),
            Version::V2 => remote_write_v2::write(batch, &self.labels, &self.sources, &mut self.message),
        }
        (batch.samples() + ended.len()) as u64
    }
}

/// Writes the whole message of 1.0.
fn write(batch: &Batch, labels: &Labels, plans: &mut Plans<Plan>, ended: &[Ended], out: &mut Message) {
    for (at, frame) in batch.frames.iter().enumerate() {
        let time_len = encoded_len_varint(frame.time_ms as u64);
        let fits = |plan: &Plan| plan.time_len == time_len;
        let plan = plans.get(at, &frame.schema, fits, || Plan::new(&frame.schema, time_len, labels));
        plan.write(at, frame, out);
    }
    for ended in ended {
        write_series(ended.series.identity().into_iter(), &[(STALE, ended.time_ms)], &mut out.bytes);
    }
}

impl Encoder for RemoteWrite {
    fn encode(&mut self, batch: &Batch, out: &mut Vec<u8>) -> Encoded {
        self.sources.update(batch);
        let sources = &self.sources;
        let epoch = |at: usize, frame: &Frame| sources.epoch(at, frame);
        // A batch in which something ends is one of its kind.
        let mut templates = self.templates.as_mut().filter(|_| sources.ended().is_empty());
        if templates.as_mut().is_some_and(|templates| templates.write(batch, epoch, out)) {
            return Encoded { samples: batch.samples() as u64, unencodable: 0 };
        }
        let wanted = templates.is_some_and(|templates| templates.is_wanted(batch, epoch));
        self.message.holes = wanted.then(Holes::default);
        let samples = self.message(batch);
        if let Some(templates) = self.templates.as_mut().filter(|_| wanted) {
            let sources = &self.sources;
            let epoch = |at: usize, frame: &Frame| sources.epoch(at, frame);
            templates.keep(batch, epoch, |epoch| sources.is_current(epoch), &self.message);
        }
        let message = &self.message.bytes;
        out.resize(snap::raw::max_compress_len(message.len()), 0);
        // Fails only for a message over 4 GiB or an output shorter than what was just made.
        match self.snappy.compress(message, out) {
            Ok(len) => {
                out.truncate(len);
                if wanted {
                    // The next ones come from the template: this room is not needed for long.
                    self.message = Message::default();
                }
                Encoded { samples, unencodable: 0 }
            }
            Err(error) => {
                log::error!("a tick cannot be compressed ({error}); its {samples} samples are dropped");
                out.clear();
                Encoded { samples: 0, unencodable: samples }
            }
        }
    }

    fn content(&self) -> Content {
        Arc::clone(&self.content)
    }

    fn fall_back(&mut self) -> bool {
        let newer = self.version == Version::V2;
        self.version = Version::V1;
        self.content = self.version.content();
        if newer && self.templates.is_some() {
            self.templates = Some(Templates::default());
        }
        newer
    }

    fn sent(&self) -> Sent {
        self.sources.sent()
    }

    fn inherit(&mut self, sent: Sent) {
        self.sources.inherit(sent);
    }

    fn revision(&self) -> u64 {
        self.sources.revision()
    }
}

/// The constant bytes of a schema's series.
struct Plan {
    time_len: usize,
    /// Everything up to the value, of all series one after the other.
    bytes: Vec<u8>,
    /// Where each series' part of `bytes` ends.
    ends: Vec<usize>,
}

impl Plan {
    fn new(schema: &Schema, time_len: usize, labels: &Labels) -> Plan {
        let mut bytes = Vec::new();
        let mut ends = Vec::with_capacity(schema.series().len());
        let mut head = Vec::new();
        for series in schema.series() {
            head.clear();
            write_labels(named(series, labels).into_iter(), &mut head);
            write_head(&head, time_len, &mut bytes);
            ends.push(bytes.len());
        }
        Plan { time_len, bytes, ends }
    }

    fn write(&self, at: usize, frame: &Frame, out: &mut Message) {
        // A key and a varint of at most ten bytes.
        let mut time = [0; 11];
        let mut unused = &mut time[..];
        encode_key(2, WireType::Varint, &mut unused);
        encode_varint(frame.time_ms as u64, &mut unused);
        let unused = unused.len();
        let time = &time[..11 - unused];
        out.bytes.reserve(self.bytes.len() + frame.values.len() * (8 + time.len()));
        let mut start = 0;
        for (end, value) in self.ends.iter().zip(frame.values.iter()) {
            out.bytes.extend_from_slice(&self.bytes[start..*end]);
            if let Some(holes) = &mut out.holes {
                holes.values.push(out.bytes.len());
                holes.times.push((out.bytes.len() + 8 + 1, at));
            }
            out.bytes.extend_from_slice(&value.to_le_bytes());
            out.bytes.extend_from_slice(time);
            start = *end;
        }
    }
}

/// A series' message up to the value of its sample; `labels` are its encoded labels.
fn write_head(labels: &[u8], time_len: usize, out: &mut Vec<u8>) {
    // Sample: key and value, key and time.
    let sample_len = 1 + 8 + 1 + time_len;
    let series_len = labels.len() + 1 + encoded_len_varint(sample_len as u64) + sample_len;
    encode_key(1, WireType::LengthDelimited, out);
    encode_varint(series_len as u64, out);
    out.extend_from_slice(labels);
    encode_key(2, WireType::LengthDelimited, out);
    encode_varint(sample_len as u64, out);
    encode_key(1, WireType::SixtyFourBit, out);
}

/// A series' labels, `__name__` among them, sorted by name.
fn write_labels<'l>(labels: impl Iterator<Item = (&'l str, &'l str)>, out: &mut Vec<u8>) {
    for (name, value) in labels {
        let field = |text: &str| 1 + encoded_len_varint(text.len() as u64) + text.len();
        encode_key(1, WireType::LengthDelimited, out);
        encode_varint((field(name) + field(value)) as u64, out);
        write_text(1, name, out);
        write_text(2, value, out);
    }
}

/// A field of text.
pub fn write_text(tag: u32, text: &str, out: &mut Vec<u8>) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
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

/// Halves a compressed request by its series.
pub fn split(content: &Content, body: &[u8]) -> Option<[Half; 2]> {
    if remote_write_v2::is_v2(content) {
        return remote_write_v2::split(body);
    }
    if snap::raw::decompress_len(body).ok()? > MAX_UNPACKED {
        return None;
    }
    let message = snap::raw::Decoder::new().decompress_vec(body).ok()?;
    let ends = field_ends(&message)?;
    if ends.len() < 2 {
        return None;
    }
    let middle = ends.len() / 2;
    let (left, right) = message.split_at(ends[middle - 1]);
    let pack = |part: &[u8], samples: usize| {
        let bytes = snap::raw::Encoder::new().compress_vec(part).ok()?;
        Some(Half { bytes, samples: samples as u64 })
    };
    Some([pack(left, middle)?, pack(right, ends.len() - middle)?])
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

#[cfg(test)]
mod tests {
    use prometheus_remote_write::{TimeSeries, WriteRequest};
    use prost_0_12::Message;

    use super::*;
    use crate::lane::encode::testing::{self, COUNT, USAGE};

    fn none() -> Content {
        content(&[])
    }

    fn decode(body: &[u8]) -> WriteRequest {
        let message = snap::raw::Decoder::new().decompress_vec(body).unwrap();
        WriteRequest::decode(&message[..]).unwrap()
    }

    fn flat(request: &WriteRequest) -> Vec<(String, f64, i64)> {
        let series = |s: &TimeSeries| {
            let labels: Vec<String> = s.labels.iter().map(|l| format!("{}={}", l.name, l.value)).collect();
            assert_eq!(s.samples.len(), 1);
            (labels.join(","), s.samples[0].value, s.samples[0].timestamp)
        };
        request.timeseries.iter().map(series).collect()
    }

    #[test]
    fn a_batch_reads_back_as_it_was() {
        let extra = Labels::of(&[("job", "metricsd"), ("core", "not this one"), ("A", "first")]);
        let mut encoder = RemoteWrite::new(Version::V1, extra);
        let core = Labels::of(&[("core", "0")]);
        let batch = testing::batch(1_700_000_000_123, &[(&USAGE, &core, 12.5), (&COUNT, &Labels::EMPTY, 0.0)]);
        let mut out = Vec::new();
        assert_eq!(encoder.encode(&batch, &mut out), Encoded { samples: 2, unencodable: 0 });
        assert_eq!(
            flat(&decode(&out)),
            [
                ("A=first,__name__=test_usage_percent,core=0,job=metricsd".to_owned(), 12.5, 1_700_000_000_123),
                ("A=first,__name__=test_count,core=not this one,job=metricsd".to_owned(), 0.0, 1_700_000_000_123),
            ]
        );
    }

    #[test]
    fn the_bytes_are_those_of_a_plain_encoder() {
        let core = Labels::of(&[("core", "0")]);
        let batch = testing::batch(1_700_000_000_123, &[(&USAGE, &core, 12.5), (&USAGE, &Labels::EMPTY, -1.0)]);
        let mut encoder = RemoteWrite::new(Version::V1, Labels::EMPTY);
        encoder.sources.update(&batch);
        encoder.message(&batch);
        let reference = WriteRequest::decode(&encoder.message.bytes[..]).unwrap();
        assert_eq!(reference.encode_proto3(), encoder.message.bytes);
    }

    #[test]
    fn times_of_any_length_fit() {
        let mut encoder = RemoteWrite::new(Version::V1, Labels::EMPTY);
        let mut out = Vec::new();
        let batch = testing::batch(0, &[(&USAGE, &Labels::EMPTY, f64::NAN)]);
        for time_ms in [0, 1, 127, 128, 1_700_000_000_000, -1, i64::MIN, i64::MAX] {
            let mut batch = batch.clone();
            batch.frames[0].time_ms = time_ms;
            out.clear();
            encoder.encode(&batch, &mut out);
            let read = flat(&decode(&out));
            assert_eq!(read[0].2, time_ms);
            assert!(read[0].1.is_nan());
        }
    }

    #[test]
    fn frames_that_take_turns_keep_their_plans() {
        let mut encoder = RemoteWrite::new(Version::V1, Labels::EMPTY);
        let fast = testing::batch(1000, &[(&USAGE, &Labels::EMPTY, 1.0)]);
        let slow = testing::batch(2000, &[(&COUNT, &Labels::EMPTY, 2.0)]);
        for _ in 0..3 {
            for batch in [&fast, &slow] {
                let mut out = Vec::new();
                encoder.encode(batch, &mut out);
                assert_eq!(flat(&decode(&out))[0].2, batch.time_ms);
            }
        }
        assert_eq!(encoder.plans.len(), 2);
        drop(slow);
        let third = testing::batch(3000, &[(&COUNT, &Labels::EMPTY, 2.0)]);
        encoder.encode(&third, &mut Vec::new());
        assert_eq!(encoder.plans.len(), 2, "a plan that nobody can ask for again is forgotten");
    }

    #[test]
    fn a_series_that_ended_gets_a_marker_of_the_frame_s_time() {
        let mut encoder = RemoteWrite::new(Version::V1, Labels::of(&[("job", "metricsd")]));
        let core = Labels::of(&[("core", "0")]);
        let mut encode = |time_ms: i64, samples: &[(&'static crate::model::Metric, &Labels, f64)]| {
            let mut out = Vec::new();
            let encoded = encoder.encode(&testing::batch(time_ms, samples), &mut out);
            let read = decode(&out);
            assert_eq!(encoded.samples, read.timeseries.len() as u64);
            read
        };
        encode(1000, &[(&USAGE, &core, 1.0), (&COUNT, &Labels::EMPTY, 2.0)]);
        assert_eq!(encode(2000, &[(&COUNT, &Labels::EMPTY, 2.0)]).timeseries.len(), 1);
        let read = encode(3000, &[(&COUNT, &Labels::EMPTY, 2.0)]);
        let flat = flat(&read);
        assert_eq!((flat[1].0.as_str(), flat[1].2), ("__name__=test_usage_percent,core=0,job=metricsd", 3000));
        // `StaleNaN` in Prometheus' model/value/value.go.
        assert_eq!(read.timeseries[1].samples[0].value.to_bits(), 0x7ff0000000000002);
        assert_eq!(encode(4000, &[(&COUNT, &Labels::EMPTY, 2.0)]).timeseries.len(), 1);
    }

    #[test]
    fn a_body_is_halved_until_one_series_is_left() {
        let core = Labels::of(&[("core", "0")]);
        let samples = [(&USAGE, &core, 1.0), (&COUNT, &Labels::EMPTY, 2.0), (&USAGE, &Labels::EMPTY, 3.0)];
        let mut out = Vec::new();
        RemoteWrite::new(Version::V1, Labels::EMPTY).encode(&testing::batch(1000, &samples), &mut out);
        let whole = flat(&decode(&out));
        let [left, right] = split(&none(), &out).unwrap();
        assert_eq!((left.samples, right.samples), (1, 2));
        let mut parts = flat(&decode(&left.bytes));
        assert!(split(&none(), &left.bytes).is_none());
        let [second, third] = split(&none(), &right.bytes).unwrap();
        parts.extend(flat(&decode(&second.bytes)));
        parts.extend(flat(&decode(&third.bytes)));
        assert_eq!(parts, whole);
    }

    #[test]
    fn damaged_bodies_are_not_halved() {
        assert!(split(&none(), b"").is_none());
        assert!(split(&none(), b"not snappy at all").is_none());
        // Snappy that claims 4 GiB.
        assert!(split(&none(), &[0xff, 0xff, 0xff, 0xff, 0x0f, 0]).is_none());
        let garbage = snap::raw::Encoder::new().compress_vec(b"\x0a\xff\xff\xff\xff\x0f").unwrap();
        assert!(split(&none(), &garbage).is_none());
    }
}
