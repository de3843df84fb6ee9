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
use self::sources::Sources;
use self::template::Templates;
use super::plan::Plans;
use super::sent::Sent;
use super::{Bodies, Content, Encoded, Encoder, Piece, content};
use crate::model::{Batch, Frame, Labels};

pub use v2::{downgrade, is_v2};

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
    plans: Plans<v1::Plan>,
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

    /// Whether that is another version than before.
    fn turn_to(&mut self, version: Version) -> bool {
        let other = self.version != version;
        self.version = version;
        self.content = version.content();
        if other && self.templates.is_some() {
            self.templates = Some(Templates::default());
        }
        other
    }

    /// The uncompressed message; the sources know of the batch.
    fn message(&mut self, batch: &Batch) {
        self.message.bytes.clear();
        let ended = self.sources.ended();
        match self.version {
            Version::V1 => v1::write(batch, &self.labels, &mut self.plans, ended, &mut self.message),
            Version::V2 => v2::write(batch, &self.labels, &self.sources, &mut self.message),
        }
    }

    /// Writes the body; false where it cannot be.
    fn write(&mut self, batch: &Batch, out: &mut Vec<u8>) -> bool {
        let sources = &self.sources;
        let epoch = |at: usize, frame: &Frame| sources.epoch(at, frame);
        // A batch in which something ends is one of its kind.
        let mut templates = self.templates.as_mut().filter(|_| sources.ended().is_empty());
        if templates.as_mut().is_some_and(|templates| templates.write(batch, epoch, out)) {
            return true;
        }
        let wanted = templates.is_some_and(|templates| templates.is_wanted(batch, epoch));
        self.message.holes = wanted.then(Holes::default);
        self.message(batch);
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
                true
            }
            Err(error) => {
                log::error!("a tick cannot be compressed ({error}); its {} samples are dropped", batch.samples());
                false
            }
        }
    }
}

impl Encoder for RemoteWrite {
    fn encode(&mut self, batch: &Batch, _most: usize, out: &mut Bodies) -> Encoded {
        self.sources.update(batch);
        let samples = batch.samples() as u64;
        let markers = self.sources.ended().len() as u64;
        let mut body = out.room();
        match self.write(batch, &mut body) {
            true => {
                out.push(body, samples + markers);
                Encoded { samples, markers, unencodable: 0 }
            }
            false => Encoded { samples: 0, markers: 0, unencodable: samples },
        }
    }

    fn content(&self) -> Content {
        Arc::clone(&self.content)
    }

    fn fall_back(&mut self) -> bool {
        self.turn_to(Version::V1)
    }

    fn restore(&mut self) -> bool {
        self.turn_to(self.asked)
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

/// Halves a compressed request by its series.
pub fn split(content: &Content, body: &[u8]) -> Option<[Piece; 2]> {
    if is_v2(content) { v2::split(body) } else { v1::split(body) }
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
        encoder.message(&batch);
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
    fn frames_that_take_turns_keep_their_plans() {
        let mut encoder = RemoteWrite::new(Version::V1, Labels::EMPTY);
        let fast = testing::batch(1000, &[(&USAGE, &Labels::EMPTY, 1.0)]);
        let slow = testing::batch(2000, &[(&COUNT, &Labels::EMPTY, 2.0)]);
        for _ in 0..3 {
            for batch in [&fast, &slow] {
                let (out, _) = testing::encode(&mut encoder, batch);
                assert_eq!(flat(&decode(&out))[0].2, batch.time_ms);
            }
        }
        assert_eq!(encoder.plans.len(), 2);
        drop(slow);
        let third = testing::batch(3000, &[(&COUNT, &Labels::EMPTY, 2.0)]);
        testing::encode(&mut encoder, &third);
        assert_eq!(encoder.plans.len(), 2, "a plan that nobody can ask for again is forgotten");
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
    fn a_body_is_halved_until_one_series_is_left() {
        let core = Labels::of(&[("core", "0")]);
        let samples = [(&USAGE, &core, 1.0), (&COUNT, &Labels::EMPTY, 2.0), (&USAGE, &Labels::EMPTY, 3.0)];
        let batch = testing::batch(1000, &samples);
        let (out, _) = testing::encode(&mut RemoteWrite::new(Version::V1, Labels::EMPTY), &batch);
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
