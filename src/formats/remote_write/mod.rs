//! Prometheus remote write, in snappy's block format: 1.0 in `v1`, 2.0 in `v2`.
//!
//! A series that has ended gets a last sample, a NaN of bits that mean just that.

mod message;
mod pieces;
mod template;
mod v1;
mod v2;

use std::sync::Arc;

use self::message::{Holes, Message};
use self::pieces::Pieces;
use self::template::Templates;
use super::body::{Content, Piece, content};
use super::compiled::Compiled;
use super::encoder::{Bodies, Encoded, Encoder};
use super::format::{Answered, Format, Limits, Over, OwnField, Signal, Written, as_given};
use super::ledger::{Ended, Ledger};
use super::options::Compression;
use super::part::{Part, parts, runs, samples};
use super::sent::{Names, Sent};
use crate::fields::{DefaultValue, Field, Takes};
use crate::model::{Batch, Scheme};
use crate::shaping::{Perspective, View};

pub use v2::{downgrade, is_v2};

/// `prometheus_remote_write`.
pub static FORMAT: Format = Format {
    name: "prometheus_remote_write",
    signals: &[Signal::Metrics],
    over: Over::Http,
    path: None,
    reach: as_given,
    naming: Scheme::Native,
    // Receivers limit the bytes of a request, if anything: this many samples are well below a megabyte.
    limits: Limits { samples: 10_000, ..Limits::NONE },
    ordered: true,
    has_target_labels: true,
    host_label: None,
    by_tick: false,
    compressions: &[Compression::Snappy],
    headers: &["x-prometheus-remote-write-version"],
    fields: &FIELDS,
    encoder: Some(|options, from| Box::new(RemoteWrite::new(options.get(), from))),
    divide: Some(divide),
    // Also where a lane is of 1.0: what waits may be from before it became one.
    downgrade: Some(downgrade),
    written,
    records: None,
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
    from: Perspective,
    content: Content,
    ledger: Ledger,
    /// What is seen of the chunks, where bodies are made as a whole.
    views: Compiled<Arc<View>>,
    message: Message,
    snappy: snap::raw::Encoder,
    /// None: each body is made anew.
    kept: Option<Kept>,
}

/// A batch of no more numbers than this is compressed as a whole, which takes a quarter fewer
/// bytes than pieces do that must not refer to each other; a change then costs all of it.
const SMALL: usize = 2000;

/// So many batches after one that was larger the small ones are made of pieces too: what comes between the large ones is
/// what targets have said meanwhile, other ones each time, and the pieces of these are there already.
const AFTER_LARGE: u32 = 64;

/// What is kept from body to body.
struct Kept {
    pieces: Pieces,
    templates: Templates,
    /// How many batches there were since the last large one.
    since_large: u32,
}

impl Default for Kept {
    /// There was none yet.
    fn default() -> Kept {
        Kept { pieces: Pieces::default(), templates: Templates::default(), since_large: AFTER_LARGE }
    }
}

impl Kept {
    /// A batch of so many numbers comes. Whether its bodies are made of pieces.
    fn in_pieces(&mut self, readings: usize) -> bool {
        self.since_large = if readings > SMALL { 0 } else { AFTER_LARGE.min(self.since_large + 1) };
        self.since_large < AFTER_LARGE
    }
}

impl RemoteWrite {
    /// What is seen `from` there.
    pub fn new(version: Version, from: Perspective) -> RemoteWrite {
        RemoteWrite {
            asked: version,
            version,
            ledger: Ledger::new(from.clone(), Names::Prometheus),
            from,
            content: version.content(),
            views: Compiled::default(),
            message: Message::default(),
            snappy: snap::raw::Encoder::new(),
            kept: Some(Kept::default()),
        }
    }

    /// One that makes every body anew: what the others are measured by.
    pub fn plain(version: Version, from: Perspective) -> RemoteWrite {
        RemoteWrite { kept: None, ..RemoteWrite::new(version, from) }
    }

    /// Writes bodies of whole messages. What has ended goes behind all that lives, as far as
    /// there is room for it, and then into bodies of its own. Gives how many samples were
    /// written besides these, and how many could not be.
    fn write(&mut self, batch: &Batch, ended: &[Ended], most: usize, out: &mut Bodies) -> (u64, u64) {
        let parts = parts(batch, &self.from, &mut self.views);
        let mut left = ended;
        let mut unencodable = 0;
        let mut runs = runs(&parts, most).peekable();
        while let Some(run) = runs.next() {
            let room = if runs.peek().is_some() { 0 } else { most.saturating_sub(samples(run) as usize) };
            let (now, later) = left.split_at(room.min(left.len()));
            left = later;
            if !self.write_run(run, now, batch, most, out) {
                unencodable += samples(run);
            }
        }
        for ended in left.chunks(most) {
            self.write_run(&[], ended, batch, most, out);
        }
        (samples(&parts) - unencodable, unencodable)
    }

    /// Writes a body. False: it cannot be compressed, and is dropped.
    fn write_run(&mut self, run: &[Part<'_>], ended: &[Ended], batch: &Batch, most: usize, out: &mut Bodies) -> bool {
        let mut body = out.room();
        let count = samples(run) + ended.len() as u64;
        // A body in which something ends is one of its kind, and so is one of samples with times of
        // their own.
        let is_plain = ended.is_empty() && run.iter().all(|part| part.times.is_none());
        let mut templates = self.kept.as_mut().filter(|_| is_plain).map(|kept| &mut kept.templates);
        if templates.as_mut().is_some_and(|templates| templates.write(run, &mut body)) {
            self.push(body, count, most, out);
            return true;
        }
        let wanted = templates.is_some_and(|templates| templates.is_wanted(run));
        self.message.bytes.clear();
        self.message.holes = wanted.then(Holes::default);
        match self.version {
            Version::V1 => v1::write(run, ended, &mut self.message),
            Version::V2 => v2::write(run, batch.resource.boot_ms, ended, &mut self.message),
        }
        if let Some(kept) = self.kept.as_mut().filter(|_| wanted) {
            kept.templates.keep(run, &self.message);
        }
        let message = &self.message.bytes;
        body.resize(snap::raw::max_compress_len(message.len()), 0);
        // Fails only for a message over 4 GiB or an output shorter than what was just made.
        match self.snappy.compress(message, &mut body) {
            Ok(len) => body.truncate(len),
            Err(error) => {
                log::error!("a body of {count} samples cannot be compressed: {error}");
                return false;
            }
        }
        if wanted {
            // The next ones come from the template: this room is not needed for long.
            self.message = Message::default();
        }
        self.push(body, count, most, out);
        true
    }

    /// A body with more samples than it may have is divided: a chunk alone was too large.
    fn push(&self, body: Vec<u8>, count: u64, most: usize, out: &mut Bodies) {
        let pieces = if count as usize > most { divide(&self.content, &body, most as u64) } else { None };
        match pieces {
            Some(pieces) => pieces.into_iter().for_each(|piece| out.push(piece.bytes, piece.samples)),
            None => out.push(body, count),
        }
    }
}

impl Encoder for RemoteWrite {
    fn encode(&mut self, batch: &Batch, most: u64, out: &mut Bodies) -> Encoded {
        let most = usize::try_from(most).unwrap_or(usize::MAX).max(1);
        self.ledger.update(batch);
        let ended = self.ledger.take_ended();
        // Pieces are not cut inside a chunk, which a limit learnt from a receiver may ask for.
        let fits = batch.frames.iter().all(|frame| frame.chunks.iter().all(|chunk| chunk.len() <= most));
        let mut kept = self.kept.as_mut().filter(|_| self.version == Version::V1 && fits);
        let in_pieces = kept.as_mut().is_some_and(|kept| kept.in_pieces(batch.readings()));
        let (samples, unencodable) = match kept.filter(|_| in_pieces) {
            Some(kept) => {
                // Nothing is made as a whole any more.
                (kept.templates, self.views) = (Templates::default(), Compiled::default());
                (kept.pieces.write(batch, &self.from, &ended, most, out), 0)
            }
            None => self.write(batch, &ended, most, out),
        };
        Encoded { samples, markers: ended.len() as u64, unencodable }
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
        if self.kept.is_some() {
            self.kept = Some(Kept::default());
        }
    }

    fn sent(&self) -> Sent {
        self.ledger.sent()
    }

    fn inherit(&mut self, sent: Sent) {
        self.ledger.inherit(sent);
    }

    fn revision(&self) -> u64 {
        self.ledger.revision()
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
    use crate::model::{Family, Item, Label, Labels, Reading, Recorder, ViewSlots, face};

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
        let mut encoder = RemoteWrite::new(Version::V1, testing::from(extra));
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
    fn chunks_that_are_made_anew_for_other_views_end_nothing() {
        let slots = ViewSlots::default();
        let mut recorder = Recorder::new("test", 10_000).with_slots(&slots);
        // More than a small batch has, so that it is made of pieces.
        let all: Vec<_> =
            (0..SMALL + 1).map(|at| testing::series(&USAGE, &Labels::of(&[("core", &at.to_string())]))).collect();
        let mut encoder = RemoteWrite::new(Version::V1, testing::from(Labels::of(&[("job", "metricsd")])));
        let mut last = Vec::new();
        for time_ms in 1..9 {
            if time_ms % 3 == 0 {
                slots.change(1);
            }
            all.iter().for_each(|(item, reading)| recorder.item(item).push_learnt(reading, 1.5));
            let frames = vec![recorder.finish(time_ms)];
            let ids: Vec<u64> = frames[0].chunks.iter().map(|chunk| chunk.id()).collect();
            assert_eq!(ids != std::mem::replace(&mut last, ids.clone()), time_ms == 1 || time_ms % 3 == 0);
            let (body, encoded) = testing::encode(&mut encoder, &Batch { frames, ..testing::batch(time_ms, &[]) });
            assert_eq!(encoded, Encoded { samples: SMALL as u64 + 1, markers: 0, unencodable: 0 });
            assert_eq!(decode(&body).timeseries.len(), SMALL + 1);
        }
    }

    #[test]
    fn small_batches_between_large_ones_are_made_of_pieces_and_read_the_same() {
        let mut host = Recorder::new("host", 10_000);
        let mut target = Recorder::new("endpoints/a", 10_000);
        let series = |count: usize| -> Vec<_> {
            (0..count).map(|at| testing::series(&USAGE, &Labels::of(&[("core", &at.to_string())]))).collect()
        };
        let (all, few) = (series(SMALL + 1), series(100));
        let [mut encoder, mut plain] =
            [RemoteWrite::new, RemoteWrite::plain].map(|make| make(Version::V1, testing::from(Labels::EMPTY)));
        let mut in_pieces = 0;
        for time_ms in 1..200 {
            let is_large = [1, 2, 10].contains(&time_ms);
            let (out, series) = if is_large { (&mut host, &all) } else { (&mut target, &few) };
            series.iter().for_each(|(item, reading)| out.item(item).push_learnt(reading, time_ms as f64));
            let batch = Batch { frames: vec![out.finish(time_ms)], ..testing::batch(time_ms, &[]) };
            let (one, encoded) = testing::encode(&mut encoder, &batch);
            let (other, expected) = testing::encode(&mut plain, &batch);
            assert_eq!((encoded, flat(&decode(&one))), (expected, flat(&decode(&other))), "{time_ms}");
            // Compressed as a whole it takes fewer bytes, which is what it comes to in the end.
            match time_ms - 10 {
                0 => {}
                before if before < i64::from(AFTER_LARGE) => in_pieces = one.len(),
                _ => assert!(one.len() < in_pieces, "{time_ms}: {} of {in_pieces}", one.len()),
            }
        }
    }

    #[test]
    fn labels_have_no_dots_neither_while_a_series_lives_nor_when_it_ends() {
        static GPU: &[Label] = &[Label::key("hw.id", 0), Label::key("hw.name", 1)];
        static USED: Reading = Reading { native: face(&USAGE, GPU), node: None, otel: None };
        static HOST: Reading = Reading { native: face(&COUNT, &[]), node: None, otel: None };
        let (host, gpu) = (Item::new(&[]), Item::new(&["ours", "b"]));
        // A dot comes before a digit, `_` behind it.
        let extra = Labels::of(&[("hw0", "z"), ("hw_id", "theirs")]);
        for version in [Version::V1, Version::V2] {
            let mut encoder = RemoteWrite::new(version, testing::from(extra.clone()));
            let mut out = Recorder::new("test", 10);
            let mut labels = |time_ms, has_gpu| {
                out.item(&host).push(&HOST, 1.0);
                if has_gpu {
                    out.item(&gpu).push(&USED, 12.5);
                }
                let batch = Batch { frames: vec![out.finish(time_ms)], ..testing::batch(time_ms, &[]) };
                let (body, _) = testing::encode(&mut encoder, &batch);
                let body = downgrade(&version.content(), &body).map_or(body, |(_, older)| older);
                flat(&decode(&body)).into_iter().map(|(labels, ..)| labels).collect::<Vec<_>>()
            };
            let count = "__name__=test_count,hw0=z,hw_id=theirs";
            let usage = "__name__=test_usage_percent,hw0=z,hw_id=ours,hw_name=b";
            assert_eq!(labels(1, true), [count, usage]);
            assert_eq!(labels(2, false), [count, usage], "and the marker of its end");
        }
    }

    #[test]
    fn the_bytes_are_those_of_a_plain_encoder() {
        let core = Labels::of(&[("core", "0")]);
        let batch = testing::batch(1_700_000_000_123, &[(&USAGE, &core, 12.5), (&USAGE, &Labels::EMPTY, -1.0)]);
        let mut encoder = RemoteWrite::new(Version::V1, testing::from(Labels::EMPTY));
        for _ in 0..3 {
            let (body, _) = testing::encode(&mut encoder, &batch);
            let message = message::unpack(&body).unwrap();
            assert_eq!(WriteRequest::decode(&message[..]).unwrap().encode_proto3(), message);
        }
    }

    #[test]
    fn times_of_any_length_fit() {
        let mut encoder = RemoteWrite::new(Version::V1, testing::from(Labels::EMPTY));
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
    fn frames_that_take_turns_are_told_apart() {
        let mut encoder = RemoteWrite::new(Version::V1, testing::from(Labels::EMPTY));
        let fast = testing::batch(1000, &[(&USAGE, &Labels::EMPTY, 1.0)]);
        let slow = testing::batch(2000, &[(&COUNT, &Labels::EMPTY, 2.0)]);
        for _ in 0..3 {
            for batch in [&fast, &slow] {
                let (out, _) = testing::encode(&mut encoder, batch);
                assert_eq!(flat(&decode(&out))[0].2, batch.time_ms);
            }
        }
    }

    #[test]
    fn a_series_that_ended_gets_a_marker_of_the_frame_s_time() {
        let mut encoder = RemoteWrite::new(Version::V1, testing::from(Labels::of(&[("job", "metricsd")])));
        let core = Labels::of(&[("core", "0")]);
        let mut encode = |time_ms: i64, samples: &[(&Family, &Labels, f64)]| {
            let (out, encoded) = testing::encode(&mut encoder, &testing::batch(time_ms, samples));
            let read = decode(&out);
            assert_eq!(encoded.samples, samples.len() as u64);
            assert_eq!(encoded.samples + encoded.markers, read.timeseries.len() as u64);
            read
        };
        encode(1000, &[(&USAGE, &core, 1.0), (&COUNT, &Labels::EMPTY, 2.0)]);
        let read = encode(2000, &[(&COUNT, &Labels::EMPTY, 2.0)]);
        let flat = flat(&read);
        assert_eq!((flat[1].0.as_str(), flat[1].2), ("__name__=test_usage_percent,core=0,job=metricsd", 2000));
        // `StaleNaN` in Prometheus' model/value/value.go.
        assert_eq!(read.timeseries[1].samples[0].value.to_bits(), 0x7ff0000000000002);
        assert_eq!(encode(4000, &[(&COUNT, &Labels::EMPTY, 2.0)]).timeseries.len(), 1);
    }

    #[test]
    fn a_body_is_divided_until_one_series_is_left() {
        let core = Labels::of(&[("core", "0")]);
        let samples = [(&USAGE, &core, 1.0), (&COUNT, &Labels::EMPTY, 2.0), (&USAGE, &Labels::EMPTY, 3.0)];
        let batch = testing::batch(1000, &samples);
        let (out, _) = testing::encode(&mut RemoteWrite::new(Version::V1, testing::from(Labels::EMPTY)), &batch);
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
