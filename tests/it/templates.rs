//! Bodies from a template are those of the plain encoder: the same message, packed by ourselves.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use metricsd::collectors::{self, Tick};
use metricsd::formats::json::Json;
use metricsd::formats::remote_write::{self, RemoteWrite, Version};
use metricsd::formats::{Bodies, Compression, Encoded, Encoder, Piece};
use metricsd::host::{FsUsage, HostPaths, Scratch, StatFs, SystemStatFs, monotonic};
use metricsd::model::{Batch, Family, Frame, Item, Label, Labels, Reading, Recorder, Resource, Scheme, face};
use metricsd::pipeline::Collectors;
use metricsd::shaping::Perspective;
use prometheus_remote_write::{TimeSeries, WriteRequest};
use prost_0_12::Message;

use crate::support::program::TempDir;

const LABELS: &[Label] = &[Label::key("at", 0), Label::key("long", 1)];
static GAUGE: Reading =
    Reading { native: face(&Family::gauge("test_value_bytes", "bytes", "A value."), LABELS), node: None, otel: None };
static COUNTER: Reading = Reading {
    native: face(&Family::counter("test_things_total", "", "Things, of which there are many."), LABELS),
    node: None,
    otel: None,
};
/// Not seen by the names that are asked for.
static HIDDEN: Reading = Reading { native: None, node: face(&Family::gauge("node_x", "", "X."), LABELS), otel: None };

const VERSIONS: [Version; 2] = [Version::V1, Version::V2];

/// An encoder with templates beside one without, and one whose bodies have no limit.
struct Encoders {
    ours: RemoteWrite,
    plain: RemoteWrite,
    whole: RemoteWrite,
    version: Version,
    /// The most samples of a body.
    most: u64,
    /// Packed bytes of the first two.
    sizes: (usize, usize),
    /// Bodies that were not packed by snap.
    packed_by_us: usize,
    /// Batches of several bodies, and those with markers among them.
    divided: (usize, usize),
}

impl Encoders {
    fn new(version: Version, most: u64) -> Encoders {
        let from = from(Labels::of(&[("instance", "host-1"), ("job", "metricsd")]));
        Encoders {
            ours: RemoteWrite::new(version, from.clone()),
            plain: RemoteWrite::plain(version, from.clone()),
            whole: RemoteWrite::plain(version, from),
            version,
            most,
            sizes: (0, 0),
            packed_by_us: 0,
            divided: (0, 0),
        }
    }

    /// Encodes with all and compares.
    fn encode(&mut self, batch: &Batch) -> (Encoded, Vec<Piece>) {
        let (encoded, ours) = bodies(&mut self.ours, batch, self.most);
        let (plainly, plain) = bodies(&mut self.plain, batch, self.most);
        assert_eq!(encoded, plainly);
        let seen: usize = batch.frames.iter().flat_map(Frame::parts).map(|(chunk, _)| native().view(chunk).len()).sum();
        assert_eq!((encoded.samples, encoded.unencodable), (seen as u64, 0));
        assert_eq!(ours.iter().map(|body| body.samples).sum::<u64>(), encoded.samples + encoded.markers);
        assert_eq!(ours.len(), plain.len());
        for (ours, plain) in ours.iter().zip(&plain) {
            assert_eq!(ours.samples, plain.samples);
            assert!(ours.samples <= self.most, "{} samples, {} at most", ours.samples, self.most);
            let (a, b) = (unpack(&ours.bytes), unpack(&plain.bytes));
            if let Some(at) = a.iter().zip(&b).position(|(a, b)| a != b) {
                panic!("byte {at} of {} differs: {:?} and {:?}", b.len(), &a[at..], &b[at..]);
            }
            assert_eq!(a.len(), b.len());
            self.packed_by_us += usize::from(ours.bytes != plain.bytes);
        }
        let sizes = |all: &[Piece]| all.iter().map(|body| body.bytes.len()).sum();
        self.sizes = (sizes(&ours), sizes(&plain));
        // Each sample once, whatever the limit.
        let (_, whole) = bodies(&mut self.whole, batch, u64::MAX);
        assert!(whole.len() <= 1);
        if ours.len() > 1 {
            let read: Vec<Vec<Read>> = ours.iter().map(|body| self.read(body)).collect();
            assert!(read.iter().zip(&ours).all(|(read, body)| read.len() as u64 == body.samples));
            assert_eq!(read.concat(), self.read_all(&whole));
        }
        let least = (encoded.samples + encoded.markers).div_ceil(self.most);
        assert!(ours.len() as u64 >= least);
        if ours.len() > 1 {
            self.divided.0 += 1;
            self.divided.1 += usize::from(encoded.markers > 0);
        }
        (encoded, ours)
    }

    /// What a reader that is not ours finds in a body: labels, value's bits and time of each sample.
    fn read(&self, body: &Piece) -> Vec<Read> {
        let content = self.version.content();
        let older = remote_write::downgrade(&content, &body.bytes).map(|(_, older)| older);
        let request = WriteRequest::decode(&unpack(older.as_deref().unwrap_or(&body.bytes))[..]).unwrap();
        let read = |series: TimeSeries| {
            let [sample] = &series.samples[..] else { panic!("{} samples", series.samples.len()) };
            let labels = series.labels.into_iter().map(|label| (label.name, label.value)).collect();
            (labels, sample.value.to_bits(), sample.timestamp)
        };
        request.timeseries.into_iter().map(read).collect()
    }

    fn read_all(&self, bodies: &[Piece]) -> Vec<Read> {
        bodies.iter().flat_map(|body| self.read(body)).collect()
    }

    /// Divides a body, and its pieces again, until nothing can be divided.
    fn divide(&self, body: &Piece, random: &mut Random) {
        let most = 1 + random.below(body.samples);
        let Some(pieces) = remote_write::divide(&self.version.content(), &body.bytes, most) else {
            assert_eq!(body.samples, 1);
            return;
        };
        assert!(pieces.len() > 1 && pieces.iter().all(|piece| (1..=most).contains(&piece.samples)));
        assert_eq!(self.read_all(&pieces), self.read(body));
        let some = random.below(pieces.len() as u64) as usize;
        self.divide(&pieces[some], random);
    }
}

fn from(labels: Labels) -> Perspective {
    Perspective::new(Scheme::Native, labels)
}

fn native() -> Perspective {
    from(Labels::EMPTY)
}

type Read = (Vec<(String, String)>, u64, i64);

fn bodies(encoder: &mut RemoteWrite, batch: &Batch, most: u64) -> (Encoded, Vec<Piece>) {
    let mut bodies = Bodies::default();
    let encoded = encoder.encode(batch, most, &mut bodies);
    (encoded, bodies.drain().collect())
}

fn unpack(body: &[u8]) -> Vec<u8> {
    snap::raw::Decoder::new().decompress_vec(body).unwrap()
}

#[test]
fn every_fixture_host_s_bodies_are_the_plain_encoder_s() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let hosts = fs::read_dir(fixtures).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    for dir in hosts {
        let settings = collectors::Settings::default();
        let built = collectors::build(&settings, &HostPaths::below(&dir), Arc::new(SystemStatFs));
        let (mut collectors, _, _workers) = Collectors::new(built, settings.max_series);
        let mut scratch = Scratch::new();
        let resource =
            Arc::new(Resource { host: "host-1".into(), boot_ms: Some(1_699_000_000_000), ..Resource::default() });
        for version in VERSIONS {
            let mut pair = Encoders::new(version, 10_000);
            for round in 0..5 {
                let tick = Tick { wall_ms: 1_700_000_000_000 + round * 1000, monotonic: monotonic() };
                let frames = collectors.round(&tick, &mut scratch, |_| ());
                pair.encode(&Batch::new(tick.wall_ms, Arc::clone(&resource), frames));
            }
            let (ours, plain) = pair.sizes;
            assert!(ours * 100 <= plain * 115, "{}: {ours} bytes, packed by snap {plain}", dir.display());
        }
    }
}

/// xorshift64*, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn value(&mut self) -> f64 {
        match self.below(6) {
            0 => 0.0,
            1 => self.below(100) as f64,
            2 => self.below(1 << 40) as f64 / 8.0,
            3 => f64::from_bits(self.next()),
            4 => [f64::NAN, f64::INFINITY, -0.0, 1.0, f64::MIN_POSITIVE][self.below(5) as usize],
            _ => 1.5,
        }
    }

    fn item(&mut self) -> Gives {
        let number = self.below(1 << 40);
        let long = "x".repeat(if number % 17 == 3 { 700 } else { (number % 5) as usize });
        let item = Item::new(&[&number.to_string(), &long]);
        let all = [&GAUGE, &COUNTER, &HIDDEN];
        let readings = (0..3).filter(|_| self.below(4) > 0).map(|at| all[at]).collect();
        Gives { item, readings }
    }

    /// Lets items of a source come, go, change and change places.
    fn churn(&mut self, items: &mut Vec<Gives>, largest: u64) {
        for _ in 0..self.below(4) {
            let at = self.below(items.len() as u64 + 1) as usize;
            match self.below(12) {
                0 | 1 | 11 => items.insert(at, self.item()),
                2 if at < items.len() => drop(items.remove(at)),
                3 if at < items.len() => items[at] = self.item(),
                4 if at < items.len() => items.swap(0, at),
                5 if at < items.len() => items[at].readings = self.item().readings,
                6 if self.below(10) == 0 => drop(items.drain(at..)),
                7 if self.below(10) == 0 => (0..self.below(largest)).for_each(|_| items.push(self.item())),
                8 if at < items.len() => items[at].item = self.item().item,
                9 if at < items.len() => items[at..].rotate_left(1),
                10 => items[..at].reverse(),
                _ => {}
            }
        }
    }
}

/// An item of a source and what it gives.
struct Gives {
    item: Item,
    readings: Vec<&'static Reading>,
}

/// What became of chunks.
#[derive(Debug, Default)]
struct Chunks {
    known: BTreeSet<u64>,
    /// Chunks that were made of several, and those of which several were made.
    merged: usize,
    split: usize,
    /// Frames of enough numbers for pieces, and others.
    large: usize,
    small: usize,
}

impl Chunks {
    fn count(&mut self, frame: &Frame) {
        let new: Vec<_> = frame.chunks.iter().filter(|chunk| self.known.insert(chunk.id())).collect();
        let before: Vec<u64> = new.iter().flat_map(|chunk| chunk.before().chunks.iter().copied()).collect();
        self.merged += new.iter().filter(|chunk| chunk.before().chunks.len() > 1).count();
        self.split += before.len() - before.iter().collect::<BTreeSet<_>>().len();
        let count = if frame.values.len() > 500 { &mut self.large } else { &mut self.small };
        *count += 1;
    }
}

/// A round of a source's items.
fn round(recorder: &mut Recorder, items: &[Gives], time_ms: i64, random: &mut Random) -> Frame {
    for gives in items {
        let mut out = recorder.item(&gives.item);
        gives.readings.iter().for_each(|reading| out.push(reading, random.value()));
    }
    recorder.finish(time_ms)
}

#[test]
fn bodies_are_the_plain_encoder_s_and_hold_each_sample_once_whatever_comes_and_goes() {
    let mut random = Random(0x853c_49e6_748f_ea9b);
    let mut chunks = Chunks::default();
    let limits = [u64::MAX, 1000, 100, 20, 9, 1];
    for (version, most) in VERSIONS.into_iter().flat_map(|version| limits.map(|most| (version, most))) {
        let (largest, rounds) = match most {
            u64::MAX => (600, 140),
            21.. => (600, 40),
            _ => (25, 80),
        };
        let mut all = Encoders::new(version, most);
        let mut sources: Vec<(Recorder, Vec<Gives>)> = ["a", "b", "c", "d"]
            .map(|name| (Recorder::new(name, 100_000), (0..random.below(largest)).map(|_| random.item()).collect()))
            .into();
        let mut time_ms = 0;
        for _ in 0..rounds {
            time_ms += [1, 127, 1000, 1 << 33][random.below(4) as usize];
            let mut frames = Vec::new();
            let alone = random.below(10) == 0;
            for (at, (recorder, items)) in sources.iter_mut().enumerate() {
                if (alone && at != 2) || random.below(15) == 0 {
                    continue;
                }
                if random.below(24) == 0 {
                    random.churn(items, largest);
                }
                let late = if random.below(20) == 0 { random.below(300) as i64 } else { 0 };
                frames.push(round(recorder, items, time_ms - late, &mut random));
            }
            frames.iter().for_each(|frame| chunks.count(frame));
            let resource = Arc::new(Resource { host: "h".into(), boot_ms: Some(1), ..Resource::default() });
            let (_, bodies) = all.encode(&Batch::new(time_ms, resource, frames));
            if let Some(body) = bodies.first().filter(|_| random.below(8) == 0) {
                all.divide(body, &mut random);
            }
        }
        assert!(most <= 20 || all.packed_by_us > 10, "{version:?} {most}: {}", all.packed_by_us);
        let (divided, with_markers) = all.divided;
        assert_eq!(divided > 0, most < u64::MAX, "{most}");
        assert!(most > 20 || with_markers > 0, "{most}");
    }
    let Chunks { merged, split, large, small, .. } = chunks;
    assert!([merged, split, large, small].iter().all(|count| *count > 50), "{merged} {split} {large} {small}");
}

/// That the bodies of so many rounds hold these items' labels as they are, and are the plain encoder's.
fn hold_every_label(items: &[Gives], versions: &[Version]) {
    let mut random = Random(11);
    for version in versions.iter().copied() {
        let mut all = Encoders::new(version, u64::MAX);
        let mut recorder = Recorder::new("s", 100_000);
        // New, made a template of, and from that.
        for at in 0..3 {
            let time_ms = 1_700_000_000_000 + at;
            let frame = round(&mut recorder, items, time_ms, &mut random);
            let resource = Arc::new(Resource { host: "h".into(), boot_ms: None, ..Resource::default() });
            let (_, bodies) = all.encode(&Batch::new(time_ms, resource, vec![frame]));
            let read = all.read_all(&bodies);
            let label = |name: &'static str| {
                let is_it = move |label: &&(String, String)| label.0 == name;
                read.iter().map(move |(labels, _, _)| labels.iter().find(is_it).map_or("", |label| &*label.1))
            };
            let expected = |at: usize| {
                items.iter().flat_map(move |gives| gives.readings.iter().map(move |_| gives.item.key().value(at)))
            };
            assert!(label("at").eq(expected(0)) && label("long").eq(expected(1)), "{version:?}, round {at}");
        }
    }
}

#[test]
fn every_character_may_stand_in_a_label() {
    let all: Vec<char> = ('\0'..=char::MAX).collect();
    let texts: Vec<String> = all.chunks(1000).map(|some| some.iter().collect()).collect();
    let gives = |text: &String| Gives { item: Item::new(&[text, ""]), readings: vec![&GAUGE, &COUNTER] };
    let mut items: Vec<Gives> = texts.iter().map(gives).collect();
    // Beyond 2,000 numbers a body of 1.0 is made of pieces, below it is made whole, as one of 2.0 is.
    assert!(items.len() * 2 > 2000);
    hold_every_label(&items, &[Version::V1]);
    items.iter_mut().for_each(|gives| gives.readings = vec![&GAUGE]);
    for some in items.chunks(90).step_by(4) {
        hold_every_label(some, &VERSIONS);
    }
}

#[test]
fn a_label_may_be_a_megabyte_long() {
    let mut random = Random(3);
    let long = 1 << 20;
    let same = "x".repeat(long);
    let words = "metricsd ".repeat(long / 9);
    let noise: String = (0..long).map(|_| char::from(b' ' + random.below(95) as u8)).collect();
    let small = |at: usize| Gives { item: Item::new(&[&at.to_string(), ""]), readings: vec![&GAUGE, &COUNTER] };
    for (count, versions) in [(3, &VERSIONS[..]), (1200, &[Version::V1])] {
        let mut items: Vec<Gives> = (0..count).map(small).collect();
        for (at, text) in [&same, &words, &noise].into_iter().enumerate() {
            let item = Item::new(&[text, &at.to_string()]);
            items.insert(at, Gives { item, readings: vec![&GAUGE] });
        }
        hold_every_label(&items, versions);
    }
}

#[test]
fn bodies_beyond_the_reach_of_a_copy_are_the_plain_encoder_s() {
    let mut random = Random(7);
    let name = |at: usize, random: &mut Random| Item::new(&[&format!("sd{at}"), &format!("{:x}", random.next())]);
    let items: Vec<Gives> =
        (0..4000).map(|at| Gives { item: name(at, &mut random), readings: vec![&COUNTER] }).collect();
    for version in VERSIONS {
        let mut all = Encoders::new(version, 1000);
        let mut recorder = Recorder::new("s", 10_000);
        for time_ms in [1_700_000_000_000, 1_700_000_001_000, 1_700_000_002_000, 1] {
            let frame = round(&mut recorder, &items, time_ms, &mut random);
            let resource = Arc::new(Resource { host: "h".into(), boot_ms: None, ..Resource::default() });
            all.encode(&Batch::new(time_ms, resource, vec![frame]));
        }
    }
}

/// A batch of frames of so many samples each.
fn batch_of(sizes: &[usize]) -> Batch {
    let frame = |(at, count): (usize, &usize)| {
        let mut out = Recorder::new(format!("source-{at}"), 100_000);
        for series in 0..*count {
            out.item(&Item::new(&[&at.to_string(), &series.to_string()])).push(&GAUGE, series as f64);
        }
        out.finish(1000)
    };
    let resource = Arc::new(Resource { host: "h".into(), boot_ms: None, ..Resource::default() });
    Batch::new(1000, resource, sizes.iter().enumerate().map(frame).collect())
}

#[test]
fn a_batch_is_cut_between_frames_where_it_can_be() {
    for (frames, most, expected) in [
        (&[4, 3, 2][..], 9, &[9][..]),
        (&[4, 3, 2], 8, &[7, 2]),
        (&[4, 3, 2], 4, &[4, 3, 2]),
        (&[1, 9, 1], 4, &[1, 3, 3, 3, 1]),
        (&[8, 8], 4, &[4, 4, 4, 4]),
        (&[0, 5, 0, 0, 5, 0], 5, &[5, 5]),
        (&[10_000, 1], 10_000, &[10_000, 1]),
        (&[], 5, &[]),
        (&[0], 5, &[]),
    ] {
        let batch = batch_of(frames);
        let encoders: [Box<dyn Encoder>; 2] =
            [Box::new(RemoteWrite::new(Version::V1, native())), Box::new(RemoteWrite::new(Version::V2, native()))];
        for mut encoder in encoders {
            let mut bodies = Bodies::default();
            encoder.encode(&batch, most, &mut bodies);
            assert_eq!(bodies.drain().map(|body| body.samples).collect::<Vec<_>>(), expected, "{frames:?} {most}");
        }
    }
}

/// A receiver's 413 may teach a limit below what a chunk holds, also for a host that is large
/// enough for pieces, and behind chunks that fit.
#[test]
fn a_large_batch_under_a_small_limit_holds_each_sample_once() {
    for version in VERSIONS {
        for most in [7, 64] {
            let mut all = Encoders::new(version, most);
            for _ in 0..2 {
                all.encode(&batch_of(&[5, 6, 3000, 9, 70]));
            }
            all.encode(&batch_of(&[5, 6, 0, 9, 70]));
        }
    }
}

#[test]
fn json_bodies_hold_each_metric_once() {
    let mut batch = batch_of(&[5, 11, 3]);
    // The first body has nothing that JSON can hold.
    batch.frames[0].values = vec![f64::NAN; 5].into();
    let metrics = |most: u64| {
        let mut bodies = Bodies::default();
        let encoded = Json::new(native(), Compression::None).encode(&batch, most, &mut bodies);
        assert_eq!((encoded.samples, encoded.markers, encoded.unencodable), (14, 0, 5));
        let read = |body: Piece| {
            let payload: serde_json::Value = serde_json::from_slice(&body.bytes).unwrap();
            assert_eq!((&payload["timestamp_ms"], &payload["resource"]["host.name"]), (&1000.into(), &"h".into()));
            let metrics = payload["metrics"].as_array().unwrap().clone();
            assert_eq!(metrics.len() as u64, body.samples);
            metrics
        };
        let all: Vec<Vec<serde_json::Value>> = bodies.drain().map(read).collect();
        assert!(all.iter().all(|metrics| metrics.len() as u64 <= most && !metrics.is_empty()));
        (all.len(), all.concat())
    };
    let (one, whole) = metrics(u64::MAX);
    assert_eq!((one, whole.len()), (1, 14));
    for (most, count) in [(100, 1), (5, 3), (1, 14)] {
        assert_eq!(metrics(most), (count, whole.clone()), "{most}");
    }
}

#[test]
fn markers_fill_what_is_left_of_the_last_body_and_then_bodies_of_their_own() {
    for version in VERSIONS {
        let mut all = Encoders::new(version, 4);
        all.encode(&batch_of(&[3, 9]));
        // An empty frame ends all of its source.
        let (encoded, bodies) = all.encode(&batch_of(&[3, 0]));
        assert_eq!((encoded.samples, encoded.markers), (3, 9));
        assert_eq!(bodies.iter().map(|body| body.samples).collect::<Vec<_>>(), [4, 4, 4]);
        let (encoded, bodies) = all.encode(&batch_of(&[0, 0]));
        assert_eq!((encoded.samples, encoded.markers, bodies.len()), (0, 3, 1));
    }
}

/// Both mounts are visible, and alike.
struct Sizes;

impl StatFs for Sizes {
    fn usage(&self, _: &Path) -> io::Result<FsUsage> {
        Ok(FsUsage { total: 30, free: 15, available: 10, ..FsUsage::default() })
    }

    fn device(&self, path: &Path) -> io::Result<(u32, u32)> {
        Ok((8, if path.ends_with("var") { 2 } else { 1 }))
    }
}

/// Found by fuzz/fuzz_targets/collectors.rs: of a table of mounts all went that are asked at
/// once. What ends then is told in bodies, and is no sample of the batch.
#[test]
fn samples_mean_the_same_to_every_encoder_also_when_series_end() {
    let dir = TempDir::new();
    let table = "25 1 8:1 / / rw - ext4 /dev/sda1 rw\n54 25 8:2 / /var rw - xfs /dev/sda2 rw\n";
    let remote = "60 1 0:50 / /mnt rw - nfs4 host:/x rw\n";
    fs::create_dir_all(dir.path().join("proc/1")).unwrap();
    let settings = collectors::Settings::default();
    fs::write(dir.path().join("proc/1/mountinfo"), table).unwrap();
    let built = collectors::build(&settings, &HostPaths::below(dir.path()), Arc::new(Sizes));
    let fast = built.fast.into_iter().find(|fast| fast.plan.name == "filesystem").unwrap();
    let (mut collector, mut recorder) = (fast.collector, Recorder::new(fast.plan.name, 1000));
    let mut scratch = Scratch::new();
    let mut encoders: [(Box<dyn Encoder>, bool); 3] = [
        (Box::new(RemoteWrite::new(Version::V1, native())), true),
        (Box::new(RemoteWrite::new(Version::V2, native())), true),
        (Box::new(Json::new(native(), Compression::None)), false),
    ];
    // Two mounts, five numbers each.
    for (round, (text, samples, ended)) in
        [(table, 10, 0), (remote, 0, 10), (remote, 0, 0), (table, 10, 0)].into_iter().enumerate()
    {
        fs::write(dir.path().join("proc/1/mountinfo"), text).unwrap();
        let time_ms = 1_700_000_000_000 + round as i64 * 1000;
        let tick = Tick { wall_ms: time_ms, monotonic: Duration::from_secs(round as u64) };
        collector.collect(&tick, &mut scratch, &mut recorder).unwrap();
        let resource = Arc::new(Resource { host: "h".into(), boot_ms: None, ..Resource::default() });
        let batch = Batch::new(time_ms, resource, vec![recorder.finish(time_ms)]);
        for (encoder, ends) in &mut encoders {
            let mut bodies = Bodies::default();
            let encoded = encoder.encode(&batch, 10_000, &mut bodies);
            let markers = if *ends { ended } else { 0 };
            assert_eq!(encoded, Encoded { samples: samples as u64, markers, unencodable: 0 }, "round {round}");
            assert_eq!(bodies.drain().map(|body| body.samples).sum::<u64>(), samples as u64 + markers);
        }
    }
}
