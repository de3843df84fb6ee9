//! Prometheus remote write, in snappy's block format: 1.0 in `v1`, 2.0 in `v2`.
//!
//! A series that has ended gets a last sample, a NaN of bits that mean just that.

mod message;
mod sources;
mod template;
mod v1;
mod v2;
mod wire;

use std::sync::Arc;

use self::message::{Holes, Message};
use self::sources::{Ended, Sources};
use self::template::Templates;
use super::body::{Content, Piece, content};
use super::compiled::Compiled;
use super::encoder::{Bodies, Encoded, Encoder};
use super::format::{Answered, Format, Limits, Over, OwnField, Signal, Written};
use super::options::Compression;
use super::sent::Sent;
use super::span::{Slice, Span};
use crate::fields::{DefaultValue, Field, Takes};
use crate::model::{Batch, Labels};

pub use v2::{downgrade, is_v2};

/// `prometheus_remote_write`.
pub static FORMAT: Format = Format {
    name: "prometheus_remote_write",
    signals: &[Signal::Metrics],
    over: Over::Http,
    // Receivers limit the bytes of a request, if anything: this many samples are well below a megabyte.
    limits: Limits { samples: 10_000, ..Limits::NONE },
    ordered: true,
    has_target_labels: true,
    compressions: &[Compression::Snappy],
    headers: &["x-prometheus-remote-write-version"],
    fields: &FIELDS,
    encoder: |options, labels| Box::new(RemoteWrite::new(options.get(), labels)),
    divide: Some(divide),
    // Also where a lane is of 1.0: what waits may be from before it became one.
    downgrade: Some(downgrade),
    written,
};

static FIELDS: [OwnField; 1] = [OwnField {
    field: Field::new(
        "protobuf_message",
        Takes::Word(&MESSAGES, |options, at| *options.of() = VERSIONS[at]),
        DefaultValue::Text(MESSAGES[0]),
        "Message of remote write: that of 1.0, or that of 2.0, which falls back to 1.0 where the receiver answers 415.",
    ),
    is_set: |options| options.get::<Version>() != Version::default(),
}];

const VERSIONS: [Version; 2] = [Version::V1, Version::V2];
const MESSAGES: [&str; 2] = [VERSIONS[0].message(), VERSIONS[1].message()];

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
    pub const fn message(self) -> &'static str {
        match self {
            Version::V1 => "prometheus.WriteRequest",
            Version::V2 => "io.prometheus.write.v2.Request",
        }
    }

    /// What goes with a request.
    pub fn content(self) -> Content {
        match self {
            Version::V1 => content(&v1::HEADERS),
            Version::V2 => content(&v2::HEADERS),
        }
    }
}

/// Encodes for one destination.
pub struct RemoteWrite {
    /// The one that was asked for, and the one that is made.
    asked: Version,
    version: Version,
    labels: Labels,
    content: Content,
    sources: Sources,
    compiled: Compiled<v1::Heads>,
    message: Message,
    snappy: snap::raw::Encoder,
    /// None: each body is made anew.
    templates: Option<Templates>,
}

impl RemoteWrite {
    /// `labels` are added to every series that has none of that name.
    pub fn new(version: Version, labels: Labels) -> RemoteWrite {
        RemoteWrite {
            asked: version,
            version,
            sources: Sources::new(labels.clone()),
            labels,
            content: version.content(),
            compiled: Compiled::new(),
            message: Message::default(),
            snappy: snap::raw::Encoder::new(),
            templates: Some(Templates::default()),
        }
    }

    /// One that makes every body anew: what the templates are measured by.
    pub fn plain(version: Version, labels: Labels) -> RemoteWrite {
        RemoteWrite { templates: None, ..RemoteWrite::new(version, labels) }
    }

    /// The uncompressed message of `span`, with the markers of what has `ended`.
    fn message(&mut self, span: Span<'_>, ended: &[Ended]) {
        self.message.bytes.clear();
        match self.version {
            Version::V1 => v1::write(span, &self.labels, &mut self.compiled, ended, &mut self.message),
            Version::V2 => v2::write(span, &self.labels, &self.sources, ended, &mut self.message),
        }
    }

    /// Writes one body; false where it cannot be.
    fn write(&mut self, span: Span<'_>, ended: &[Ended], out: &mut Vec<u8>) -> bool {
        let sources = &self.sources;
        let epoch = |slice: &Slice<'_>| sources.epoch(slice.at, slice.frame);
        // A body in which something ends is one of its kind.
        let mut templates = self.templates.as_mut().filter(|_| ended.is_empty());
        if templates.as_mut().is_some_and(|templates| templates.write(span, epoch, out)) {
            return true;
        }
        let wanted = templates.is_some_and(|templates| templates.is_wanted(span, epoch));
        self.message.holes = wanted.then(Holes::default);
        self.message(span, ended);
        if let Some(templates) = self.templates.as_mut().filter(|_| wanted) {
            let sources = &self.sources;
            let epoch = |slice: &Slice<'_>| sources.epoch(slice.at, slice.frame);
            templates.keep(span, epoch, |epoch| sources.is_current(epoch), &self.message);
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
                true
            }
            Err(error) => {
                log::error!("a request cannot be compressed ({error}); its {} samples are dropped", span.samples());
                false
            }
        }
    }
}

impl Encoder for RemoteWrite {
    fn encode(&mut self, batch: &Batch, most: u64, out: &mut Bodies) -> Encoded {
        self.sources.update(batch);
        // Taken out for the time being, since all of the encoder is at work; it has no room of its own then.
        let ended = self.sources.take_ended();
        let mut encoded = Encoded::default();
        let mut body = |span: Span<'_>, ended: &[Ended]| {
            let samples = span.samples() as u64;
            if samples == 0 && ended.is_empty() {
                return;
            }
            let mut bytes = out.room();
            match self.write(span, ended, &mut bytes) {
                true => {
                    encoded.samples += samples;
                    encoded.markers += ended.len() as u64;
                    out.push(bytes, samples + ended.len() as u64);
                }
                false => encoded.unencodable += samples,
            }
        };
        let mut left = &ended[..];
        let mut spans = Span::parts(batch, most).peekable();
        while let Some(span) = spans.next() {
            // The markers go behind all that lives, as far as there is room for them.
            let room = most.saturating_sub(span.samples() as u64);
            let fit =
                if spans.peek().is_some() { 0 } else { usize::try_from(room).unwrap_or(usize::MAX).min(left.len()) };
            let (now, later) = left.split_at(fit);
            left = later;
            body(span, now);
        }
        let most = usize::try_from(most).unwrap_or(usize::MAX).max(1);
        left.chunks(most).for_each(|ended| body(Span::end(batch), ended));
        self.sources.put_back(ended);
        encoded
    }

    fn content(&self) -> Content {
        Arc::clone(&self.content)
    }

    fn set_older(&mut self, older: bool) {
        let version = if older { Version::V1 } else { self.asked };
        if version == self.version {
            return;
        }
        self.version = version;
        self.content = version.content();
        if self.templates.is_some() {
            self.templates = Some(Templates::default());
        }
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

/// Divides a compressed request by its series.
pub fn divide(content: &Content, body: &[u8], most: u64) -> Option<Vec<Piece>> {
    if is_v2(content) { v2::divide(body, most) } else { v1::divide(body, most) }
}

/// What the answer says of samples (`X-Prometheus-Remote-Write-Samples-Written`). Where it speaks
/// of anything that was written, what it does not speak of was not.
fn written(content: &Content, answer: &Answered<'_>) -> Written {
    let [samples, others @ ..] = [
        "X-Prometheus-Remote-Write-Samples-Written",
        "X-Prometheus-Remote-Write-Histograms-Written",
        "X-Prometheus-Remote-Write-Exemplars-Written",
    ]
    .map(answer.header);
    let samples = samples.and_then(|count| count.trim().parse().ok());
    match samples {
        Some(samples) => Written::Samples(samples),
        None if !is_v2(content) => Written::Unsaid,
        None if others.iter().any(Option::is_some) => Written::Samples(0),
        None => Written::Missing("it does not know remote write 2.0"),
    }
}

#[cfg(test)]
mod tests {
    use prometheus_remote_write::{TimeSeries, WriteRequest};
    use prost_0_12::Message;

    use super::*;
    use crate::formats::testing::{self, COUNT, USAGE};

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
        let (out, encoded) = testing::encode(&mut encoder, &batch);
        assert_eq!(encoded, Encoded { samples: 2, markers: 0, unencodable: 0 });
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
        encoder.message(Span::whole(&batch), &[]);
        let reference = WriteRequest::decode(&encoder.message.bytes[..]).unwrap();
        assert_eq!(reference.encode_proto3(), encoder.message.bytes);
    }

    #[test]
    fn times_of_any_length_fit() {
        let mut encoder = RemoteWrite::new(Version::V1, Labels::EMPTY);
        let batch = testing::batch(0, &[(&USAGE, &Labels::EMPTY, f64::NAN)]);
        for time_ms in [0, 1, 127, 128, 1_700_000_000_000, -1, i64::MIN, i64::MAX] {
            let mut batch = batch.clone();
            batch.frames[0].time_ms = time_ms;
            let (out, _) = testing::encode(&mut encoder, &batch);
            let read = flat(&decode(&out));
            assert_eq!(read[0].2, time_ms);
            assert!(read[0].1.is_nan());
        }
    }

    #[test]
    fn frames_that_take_turns_keep_what_they_were_compiled_to() {
        let mut encoder = RemoteWrite::new(Version::V1, Labels::EMPTY);
        let fast = testing::batch(1000, &[(&USAGE, &Labels::EMPTY, 1.0)]);
        let slow = testing::batch(2000, &[(&COUNT, &Labels::EMPTY, 2.0)]);
        for _ in 0..3 {
            for batch in [&fast, &slow] {
                let (out, _) = testing::encode(&mut encoder, batch);
                assert_eq!(flat(&decode(&out))[0].2, batch.time_ms);
            }
        }
        assert_eq!(encoder.compiled.len(), 2);
        drop(slow);
        let third = testing::batch(3000, &[(&COUNT, &Labels::EMPTY, 2.0)]);
        testing::encode(&mut encoder, &third);
        assert_eq!(encoder.compiled.len(), 2, "what nobody can ask for again is forgotten");
    }

    #[test]
    fn a_series_that_ended_gets_a_marker_of_the_frame_s_time() {
        let mut encoder = RemoteWrite::new(Version::V1, Labels::of(&[("job", "metricsd")]));
        let core = Labels::of(&[("core", "0")]);
        let mut encode = |time_ms: i64, samples: &[(&'static crate::model::Metric, &Labels, f64)]| {
            let (out, encoded) = testing::encode(&mut encoder, &testing::batch(time_ms, samples));
            let read = decode(&out);
            assert_eq!(encoded.samples, samples.len() as u64);
            assert_eq!(encoded.samples + encoded.markers, read.timeseries.len() as u64);
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
    fn a_body_is_divided_until_one_series_is_left() {
        let core = Labels::of(&[("core", "0")]);
        let samples = [(&USAGE, &core, 1.0), (&COUNT, &Labels::EMPTY, 2.0), (&USAGE, &Labels::EMPTY, 3.0)];
        let batch = testing::batch(1000, &samples);
        let (out, _) = testing::encode(&mut RemoteWrite::new(Version::V1, Labels::EMPTY), &batch);
        let whole = flat(&decode(&out));
        let pieces = divide(&none(), &out, 2).unwrap();
        assert_eq!(pieces.iter().map(|piece| piece.samples).collect::<Vec<_>>(), [1, 2]);
        assert!(divide(&none(), &pieces[0].bytes, 1).is_none());
        let mut parts = flat(&decode(&pieces[0].bytes));
        for piece in divide(&none(), &pieces[1].bytes, 1).unwrap() {
            assert_eq!(piece.samples, 1);
            parts.extend(flat(&decode(&piece.bytes)));
        }
        assert_eq!(parts, whole);
    }

    #[test]
    fn damaged_bodies_are_not_divided() {
        assert!(divide(&none(), b"", 1).is_none());
        assert!(divide(&none(), b"not snappy at all", 1).is_none());
        // Snappy that claims 4 GiB.
        assert!(divide(&none(), &[0xff, 0xff, 0xff, 0xff, 0x0f, 0], 1).is_none());
        let garbage = snap::raw::Encoder::new().compress_vec(b"\x0a\xff\xff\xff\xff\x0f").unwrap();
        assert!(divide(&none(), &garbage, 1).is_none());
    }
}
