//! Bodies from a template are those of the plain encoder: the same message, packed by ourselves.

use std::path::Path;
use std::sync::Arc;

use metricsd::collectors::{self, Tick};
use metricsd::formats::remote_write::{RemoteWrite, Version};
use metricsd::formats::{Bodies, Encoded, Encoder};
use metricsd::host::{HostPaths, Scratch, SystemStatFs, monotonic};
use metricsd::model::{Batch, Frame, Labels, Metric, MetricRef, Resource, Schema, Series};
use metricsd::pipeline::Collectors;

static GAUGE: Metric = Metric::gauge("test_value_bytes", "bytes", "A value.");
static COUNTER: Metric = Metric::counter("test_things_total", "", "Things, of which there are many.");

const VERSIONS: [Version; 2] = [Version::V1, Version::V2];

/// An encoder with templates beside one without.
struct Pair {
    ours: RemoteWrite,
    plain: RemoteWrite,
    /// Packed bytes of both.
    sizes: (usize, usize),
    /// Bodies that were not packed by snap.
    packed_by_us: usize,
}

impl Pair {
    fn new(version: Version) -> Pair {
        let labels = Labels::of(&[("instance", "host-1"), ("job", "metricsd")]);
        Pair {
            ours: RemoteWrite::new(version, labels.clone()),
            plain: RemoteWrite::plain(version, labels),
            sizes: (0, 0),
            packed_by_us: 0,
        }
    }

    /// Encodes with both and compares.
    fn encode(&mut self, batch: &Batch) -> Encoded {
        let (mut ours, mut plain) = (Bodies::default(), Bodies::default());
        let encoded = self.ours.encode(batch, u64::MAX, &mut ours);
        assert_eq!(encoded, self.plain.encode(batch, u64::MAX, &mut plain));
        let [ours, plain] = [ours, plain].map(|mut bodies| bodies.drain().next().map(|body| body.bytes));
        let (Some(ours), Some(plain)) = (ours, plain) else { return encoded };
        let unpack = |body: &[u8]| snap::raw::Decoder::new().decompress_vec(body).unwrap();
        let (a, b) = (unpack(&ours), unpack(&plain));
        if let Some(at) = a.iter().zip(&b).position(|(a, b)| a != b) {
            panic!("byte {at} of {} differs: {:?} and {:?}", b.len(), &a[at..], &b[at..]);
        }
        assert_eq!(a.len(), b.len());
        self.sizes = (ours.len(), plain.len());
        self.packed_by_us += usize::from(ours != plain);
        encoded
    }
}

#[test]
fn every_fixture_host_s_bodies_are_the_plain_encoder_s() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let hosts = std::fs::read_dir(fixtures).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    for dir in hosts {
        let settings = collectors::Settings::default();
        let built = collectors::build(&settings, &HostPaths::below(&dir), Arc::new(SystemStatFs));
        let (mut collectors, _, _workers) = Collectors::new(built, settings.max_series);
        let mut scratch = Scratch::new();
        let resource = Arc::new(Resource { host: "host-1".into(), boot_ms: Some(1_699_000_000_000) });
        for version in VERSIONS {
            let mut pair = Pair::new(version);
            for round in 0..5 {
                let tick = Tick { wall_ms: 1_700_000_000_000 + round * 1000, monotonic: monotonic() };
                let frames = collectors.round(&tick, &mut scratch, |_| ());
                pair.encode(&Batch { time_ms: tick.wall_ms, resource: Arc::clone(&resource), frames });
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

    fn schema(&mut self) -> Arc<Schema> {
        let count = if self.below(8) == 0 { self.below(1500) } else { self.below(12) };
        let owned: MetricRef = (&Arc::new(COUNTER.clone())).into();
        let skip = self.below(3);
        let one = |at: u64| {
            let metric =
                [MetricRef::from(&GAUGE), MetricRef::from(&COUNTER), owned.clone()][((at + skip) % 3) as usize].clone();
            let long = "x".repeat(if at % 17 == 3 { 700 } else { (at % 5) as usize });
            Series { metric, labels: Labels::new([("at", at.to_string()), ("long", long)]).unwrap() }
        };
        Arc::new(Schema::new((0..count).map(one).collect::<Vec<_>>()))
    }
}

#[test]
fn bodies_are_the_plain_encoder_s_whatever_comes_and_goes() {
    let mut random = Random(0x853c_49e6_748f_ea9b);
    let sources: Vec<Arc<str>> = ["a", "b", "c", "d"].map(Arc::from).to_vec();
    for version in VERSIONS {
        let mut pair = Pair::new(version);
        let mut schemas: Vec<Arc<Schema>> = sources.iter().map(|_| random.schema()).collect();
        let mut time_ms = 0;
        for _ in 0..300 {
            time_ms += [1, 127, 1000, 1 << 33][random.below(4) as usize];
            if random.below(12) == 0 {
                let at = random.below(4) as usize;
                schemas[at] = random.schema();
            }
            let mut frames = Vec::new();
            let alone = random.below(10) == 0;
            for (at, (source, schema)) in sources.iter().zip(&schemas).enumerate() {
                if (alone && at != 2) || random.below(15) == 0 {
                    continue;
                }
                let values: Vec<f64> = schema.series().iter().map(|_| random.value()).collect();
                let late = if random.below(20) == 0 { random.below(300) as i64 } else { 0 };
                frames.push(Frame {
                    source: Arc::clone(source),
                    schema: Arc::clone(schema),
                    time_ms: time_ms - late,
                    values: values.into(),
                });
            }
            let resource = Arc::new(Resource { host: "h".into(), boot_ms: Some(1) });
            pair.encode(&Batch { time_ms, resource, frames });
        }
        assert!(pair.packed_by_us > 50, "{}", pair.packed_by_us);
    }
}

#[test]
fn bodies_beyond_the_reach_of_a_copy_are_the_plain_encoder_s() {
    let mut random = Random(7);
    let series = (0..4000).map(|at| Series {
        metric: (&COUNTER).into(),
        labels: Labels::new([("disk", format!("sd{at}")), ("name", format!("{:x}", random.next()))]).unwrap(),
    });
    let schema = Arc::new(Schema::new(series.collect::<Vec<_>>()));
    for version in VERSIONS {
        let mut pair = Pair::new(version);
        for time_ms in [1_700_000_000_000, 1_700_000_001_000, 1_700_000_002_000, 1] {
            let values: Vec<f64> = (0..4000).map(|_| random.value()).collect();
            let frame = Frame { source: "s".into(), schema: Arc::clone(&schema), time_ms, values: values.into() };
            let resource = Arc::new(Resource { host: "h".into(), boot_ms: None });
            pair.encode(&Batch { time_ms, resource, frames: vec![frame] });
        }
    }
}
