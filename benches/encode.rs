//! What collecting and encoding cost by themselves, in CPU time of one thread.
//!
//! `cargo bench --bench encode`; with `-- --rounds remote_write|otlp devices|histograms COUNT` so many rounds
//! of one encoder and nothing else, whose instructions callgrind can count.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flate2::read::GzDecoder;
use metricsd::collectors::{self, Tick};
use metricsd::formats::{
    self, Bodies, Compression, Encoder, Format, Options, Piece, datadog, graphite, influx,
    json::Json,
    remote_write::{RemoteWrite, Version},
    text,
};
use metricsd::host::{HostPaths, Scratch, SystemStatFs, monotonic};
use metricsd::model::{
    Batch, Family, Frame, Item, Kind, Label, Labels, Learnt, Reading, Record, Recorder, Records, Resource, Scheme,
    Value, face,
};
use metricsd::pipeline::Collectors;
use metricsd::shaping::Perspective;
use nix::time::{ClockId, clock_gettime};

static VALUE: Reading = Reading {
    native: face(
        &Family::gauge("bench_value_bytes", "bytes", "A value."),
        &[Label::key("device", 0), Label::constant("mode", "read")],
    ),
    node: None,
    otel: None,
};

/// What a device of [`churn`] has.
static OF_A_DEVICE: [Reading; 8] = [
    of(&Family::counter("bench_read_bytes_total", "bytes", "Bytes read.")),
    of(&Family::counter("bench_read_count_total", "", "Reads.")),
    of(&Family::counter("bench_write_bytes_total", "bytes", "Bytes written.")),
    of(&Family::counter("bench_write_count_total", "", "Writes.")),
    of(&Family::gauge("bench_total_bytes", "bytes", "Size.")),
    of(&Family::gauge("bench_used_bytes", "bytes", "Used.")),
    of(&Family::gauge("bench_free_bytes", "bytes", "Free.")),
    of(&Family::gauge("bench_usage_percent", "percent", "Usage.")),
];

const DEVICE: &[Label] = &[Label::key("device", 0)];

const fn of(family: &'static Family<'static>) -> Reading {
    Reading { native: face(family, DEVICE), node: None, otel: None }
}

/// What is seen by native names, with `labels` added.
fn from(labels: Labels) -> Perspective {
    Perspective::new(Scheme::Native, labels)
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--rounds") {
        let [encoder, batch, count] = &arguments[at + 1..at + 4] else { panic!("--rounds ENCODER BATCH COUNT") };
        return rounds(encoder, batch, count.parse().unwrap());
    }
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let hosts = ["vm", "numa64"].map(|name| (format!("fixture {name}"), fixtures.join(name)));
    for (host, dir) in hosts.into_iter().chain([("this host".to_owned(), "/".into())]) {
        let settings = collectors::Settings::default();
        let built = collectors::build(&settings, &HostPaths::below(&dir), Arc::new(SystemStatFs));
        let (mut collectors, _, _workers) = Collectors::new(built, settings.max_series);
        let mut scratch = Scratch::new();
        let tick = Tick { wall_ms: 1_700_000_000_000, monotonic: monotonic() };
        let frames = collectors.round(&tick, &mut scratch, |_| ());
        let series: usize = frames.iter().map(|frame| frame.values.len()).sum();
        report(&format!("collect, {host}, {series} series"), series, || {
            std::hint::black_box(collectors.round(&tick, &mut scratch, |_| ()));
        });
        let resource =
            Arc::new(Resource { host: "host-1".into(), boot_ms: Some(1_699_000_000_000), ..Resource::default() });
        let batch = Batch::new(tick.wall_ms, resource, frames);
        remote_write(&batch);
    }
    churns();
    records();
    otlp_beside_remote_write();
    for series in [100, 10_000] {
        let batch = batch(series);
        remote_write(&batch);
        otlp(&batch);
        encode("json", &batch, Box::new(Json::new(from(Labels::EMPTY), Compression::None)));
        encode("json, gzip", &batch, Box::new(Json::new(from(Labels::EMPTY), Compression::Gzip)));
        for (name, compression) in [("", Compression::None), (", gzip", Compression::Gzip)] {
            let options = Options::compressed(compression);
            let of = |format: &Format| format.encoder.unwrap()(&options, from(Labels::of(&[("host", "host-1")])));
            encode(&format!("influxdb{name}"), &batch, of(&influx::FORMAT));
            encode(&format!("datadog{name}"), &batch, of(&datadog::FORMAT));
            if compression == Compression::None {
                encode("graphite", &batch, of(&graphite::FORMAT));
            }
        }
        let mut page = String::new();
        report(&format!("text page, {series} series"), series, || {
            page.clear();
            text::render(&batch.frames, &from(Labels::EMPTY), text::Format::Prometheus, &mut page);
        });
    }
}

/// Of how many series [`churn`] is.
const CHURN: usize = 100_000;

/// How many devices are renamed in each of its ticks: a thousandth of them, and a hundredth.
const FEW: usize = 13;
const MANY: usize = 125;

/// What it costs when of a hundred thousand series a hundred, or a thousand, are others in each tick, scattered
/// over all: in one source, and in ten; in remote write 1.0, and in OTLP before compression.
fn churns() {
    for (sources, renamed) in [(1, FEW), (10, FEW), (1, MANY)] {
        let labels = Labels::of(&[("instance", "host-1"), ("job", "metricsd")]);
        churn("remote write 1.0", Box::new(RemoteWrite::new(Version::V1, from(labels))), sources, renamed);
        churn("otlp", of_name("otlp_http", Compression::None), sources, renamed);
    }
}

/// The encoder of metrics of that name.
fn of_name(name: &str, compression: Compression) -> Box<dyn Encoder> {
    formats::of_name(name).unwrap().encoder.unwrap()(&Options::compressed(compression), from(Labels::EMPTY))
}

fn churn(name: &str, mut encoder: Box<dyn Encoder>, sources: usize, renamed: usize) {
    let series = CHURN;
    let devices = series / OF_A_DEVICE.len();
    let mut names: Vec<Item> = (0..devices).map(|at| Item::new(&[&format!("device-{at}")])).collect();
    let mut recorders: Vec<Recorder> =
        (0..sources).map(|source| Recorder::new(format!("source-{source}"), series)).collect();
    let resource = Arc::new(Resource { host: "host-1".into(), boot_ms: None, ..Resource::default() });
    let mut bodies = Bodies::default();
    let mut encode = |tick: usize, renamed: usize| {
        for at in 0..renamed {
            names[at * devices / renamed + tick % 7] = Item::new(&[&format!("device-{at}-{tick}")]);
        }
        let time_ms = 1_700_000_000_000 + tick as i64;
        let frames = recorders.iter_mut().zip(names.chunks(devices.div_ceil(sources))).map(|(out, names)| {
            for name in names {
                let mut out = out.item(name);
                OF_A_DEVICE.iter().for_each(|reading| out.push(reading, tick as f64 * 1234.5));
            }
            out.finish(time_ms)
        });
        let batch = Batch::new(time_ms, Arc::clone(&resource), frames.collect());
        let before = cpu();
        encoder.encode(&batch, 10_000, &mut bodies);
        let took = cpu() - before;
        bodies.drain().for_each(drop);
        took
    };
    let mut median = |first: usize, renamed: usize| {
        let mut all: Vec<Duration> = (first..first + 15).map(|tick| encode(tick, renamed)).collect();
        all.sort();
        us(all[7])
    };
    median(0, renamed);
    let (churning, steady) = (median(15, renamed), median(30, 0));
    println!(
        "{:<48} {churning:>10.2} us {:>9.2} times a steady tick ({steady:.2} us)",
        format!("churn {name}, {} of {series}, sources: {sources}", renamed * OF_A_DEVICE.len()),
        churning / steady
    );
}

/// Both versions, made anew each time and from a template, and the one's bytes against the
/// other's.
fn remote_write(batch: &Batch) {
    let labels = Labels::of(&[("instance", "host-1"), ("job", "metricsd")]);
    let sizes = [("remote write 1.0", Version::V1), ("remote write 2.0", Version::V2)].map(|(name, version)| {
        let (plain, _) =
            encode(&format!("{name}, plain"), batch, Box::new(RemoteWrite::plain(version, from(labels.clone()))));
        let (template, sizes) = encode(name, batch, Box::new(RemoteWrite::new(version, from(labels.clone()))));
        println!("{:>52.1} times as fast as plain", plain / template);
        sizes
    });
    let ratio = |at: usize| sizes[1][at] as f64 / sizes[0][at] as f64;
    println!("{:>52.2} times the bytes of 1.0; {:.2} times before compression", ratio(0), ratio(1));
}

/// OTLP beside remote write 1.0, of devices and of what is scraped: what is encoded, and what compression costs.
fn otlp_beside_remote_write() {
    for (name, batch) in [("devices", devices(100_000)), ("histograms", histograms(8_000))] {
        println!("{name}:");
        otlp(&batch);
    }
}

/// So many rounds of an encoder, before compression.
fn rounds(encoder: &str, batch: &str, count: usize) {
    let batch = if batch == "devices" { devices(100_000) } else { histograms(8_000) };
    let labels = Labels::of(&[("instance", "host-1"), ("job", "metricsd")]);
    let mut encoder: Box<dyn Encoder> = match encoder {
        "remote_write" => Box::new(RemoteWrite::new(Version::V1, from(labels))),
        _ => of_name("otlp_http", Compression::None),
    };
    let mut bodies = Bodies::default();
    for _ in 0..count {
        encoder.encode(&batch, MOST, &mut bodies);
        bodies.drain().for_each(drop);
    }
}

fn otlp(batch: &Batch) {
    let labels = Labels::of(&[("instance", "host-1"), ("job", "metricsd")]);
    let (remote_write, _) = bodies("remote write 1.0", batch, Box::new(RemoteWrite::new(Version::V1, from(labels))));
    let (plain, unpacked) = bodies("otlp", batch, of_name("otlp_http", Compression::None));
    println!("{:>52.2} times remote write 1.0", plain / remote_write);
    let (packed, len) = bodies("otlp, gzip", batch, of_name("otlp_http", Compression::Gzip));
    println!("{:>52.0} MB/s of gzip alone, to {:.3} of the bytes", unpacked / (packed - plain), len / unpacked);
}

/// The median time of `batch` in bodies as a destination has them, and the bytes of all.
fn bodies(name: &str, batch: &Batch, mut encoder: Box<dyn Encoder>) -> (f64, f64) {
    let (mut bodies, mut len, series) = (Bodies::default(), 0, batch.readings());
    let median = report(&format!("bodies {name}, {series} series"), series, || {
        encoder.encode(batch, MOST, &mut bodies);
        len = bodies.drain().map(|body| body.bytes.len()).sum();
    });
    println!("{:>52} bytes, {:.1} a series", len, len as f64 / series as f64);
    (median, len as f64)
}

/// So many series of devices, eight each.
fn devices(series: usize) -> Batch {
    let mut out = Recorder::new("devices", series);
    for at in 0..series / OF_A_DEVICE.len() {
        let item = Item::new(&[&format!("device-{at}")]);
        let mut out = out.item(&item);
        OF_A_DEVICE.iter().zip(1..).for_each(|(reading, nth)| out.push(reading, at as f64 * 1234.5 * f64::from(nth)));
    }
    batch_of(out.finish(1_700_000_000_000))
}

/// So many histograms of ten buckets, as they are scraped.
fn histograms(count: usize) -> Batch {
    let mut readings = Vec::new();
    let labels = [Label::key("path", 0), Label::constant("job", "app"), Label::constant("instance", "h:1")];
    for le in ["0.005", "0.01", "0.05", "0.1", "0.5", "1", "5", "10", "60", "+Inf"] {
        let family = Family::new(Kind::Histogram, "bench_seconds_bucket", "", "Durations.");
        let all: Vec<Label> = labels.into_iter().chain([Label::constant("le", le)]).collect();
        readings.push(Arc::new(Learnt::everywhere(family, &all)));
    }
    for name in ["bench_seconds_sum", "bench_seconds_count"] {
        readings.push(Arc::new(Learnt::everywhere(Family::new(Kind::Histogram, name, "", "Durations."), &labels)));
    }
    let mut out = Recorder::new("app", count * readings.len());
    for at in 0..count {
        let item = Item::new(&[&format!("/path/{at}")]);
        let mut out = out.item(&item);
        let step = (at * 7919 % 1000) as f64;
        readings.iter().zip(1..).for_each(|(reading, nth)| out.push_learnt(reading, f64::from(nth.min(10)) * step));
    }
    batch_of(out.finish(1_700_000_000_000))
}

fn batch_of(frame: Frame) -> Batch {
    let resource = Arc::new(Resource { host: "host-1".into(), boot_ms: None, ..Resource::default() });
    Batch::new(frame.time_ms, resource, vec![frame])
}

/// The most samples of a body, as a destination has it.
const MOST: u64 = 10_000;

/// The median time, and the bytes of all bodies: as they are, and unpacked.
fn encode(name: &str, batch: &Batch, mut encoder: Box<dyn Encoder>) -> (f64, [usize; 2]) {
    let mut bodies = Bodies::default();
    let mut made = Vec::new();
    let series = batch.readings();
    let median = report(&format!("encode {name}, {series} series"), series, || {
        encoder.encode(batch, u64::MAX, &mut bodies);
        made = bodies.drain().collect();
    });
    let content = encoder.content();
    let packed = content.iter().find(|(name, _)| *name == "Content-Encoding").map_or("", |(_, value)| value);
    (median, sizes(median, series, packed, &made))
}

/// Prints and gives the bytes of bodies, `packed` so, that took so many microseconds: as they are, and unpacked.
fn sizes(took_us: f64, samples: usize, packed: &str, bodies: &[Piece]) -> [usize; 2] {
    let plain = |bytes: &[u8]| match packed {
        "gzip" => std::io::copy(&mut GzDecoder::new(bytes), &mut std::io::sink()).unwrap() as usize,
        "snappy" => snap::raw::decompress_len(bytes).unwrap(),
        _ => bytes.len(),
    };
    let len: usize = bodies.iter().map(|body| body.bytes.len()).sum();
    let unpacked: usize = bodies.iter().map(|body| plain(&body.bytes)).sum();
    let a_sample = |len: usize| len as f64 / samples as f64;
    let more = if unpacked == len { String::new() } else { format!(", {:.1} unpacked", a_sample(unpacked)) };
    println!("{len:>52} bytes in {} bodies, {:.1} a sample{more}", bodies.len(), a_sample(len));
    println!("{:>52.0} MB/s before compression", unpacked as f64 / took_us);
    [len, unpacked]
}

/// What it costs to write records of applications in each format that has them.
fn records() {
    const COUNT: usize = 1000;
    let record = |at: usize| {
        let text = |text: String| Value::Text(text.into());
        let attributes = [
            ("http.request.method", text("GET".to_owned())),
            ("url.path", text(format!("/api/v1/orders/{at}"))),
            ("http.response.status_code", Value::Int(200 + (at % 5) as i64)),
            ("client.address", text(format!("10.0.{}.{}", at % 7, at % 251))),
        ];
        Record {
            time_ns: Some(1_700_000_000_000_000_000 + at as u64 * 1_000_000),
            observed_ns: 1_700_000_001_000_000_000,
            severity: "INFO".into(),
            severity_number: 9,
            message: text(format!("GET /api/v1/orders/{at} took {} ms and gave {} bytes", at % 97, at * 37 % 9973)),
            source: format!("shop-{}", at % 10).into(),
            attributes: attributes.map(|(name, value)| (name.into(), value)).into(),
            labels: Labels::EMPTY,
            truncated: false,
            origin: None,
            trace_id: Some([at as u8; 16]),
            span_id: Some([at as u8; 8]),
            flags: 1,
            event: "".into(),
            dropped_attributes: 0,
        }
    };
    let resource = Arc::new(Resource { host: "host-1".into(), ..Resource::default() });
    let records = Records { time_ms: 1_700_000_001_000, resource, records: (0..COUNT).map(record).collect() };
    for format in formats::ALL {
        let Some(of) = format.records else { continue };
        for compression in format.compressions {
            let mut encoder = (of.encoder)(&Options::compressed(*compression), &Labels::of(&[("dc", "eu")]));
            let (mut bodies, mut made) = (Bodies::default(), Vec::new());
            let name = format!("records {}, {}, {COUNT}", format.name, compression.word());
            let median = report(&name, COUNT, || {
                encoder.encode(&records, of.limits.samples, &mut bodies);
                made = bodies.drain().collect();
            });
            sizes(median, COUNT, compression.word(), &made);
        }
    }
}

/// A batch of `series` series with labels and values of the usual kind.
fn batch(series: usize) -> Batch {
    let mut out = Recorder::new("bench", series);
    for at in 0..series {
        out.item(&Item::new(&[&format!("sd{at}")])).push(&VALUE, at as f64 * 1234.5);
    }
    batch_of(out.finish(1_700_000_000_000))
}

/// Runs `work` for about half a second after a warm-up; prints the median of batches.
fn report(name: &str, series: usize, mut work: impl FnMut()) -> f64 {
    (0..3).for_each(|_| work());
    let once = time(1, &mut work).max(Duration::from_nanos(100));
    let runs = (Duration::from_millis(50).as_nanos() / once.as_nanos()).clamp(1, 100_000) as u32;
    let mut batches: Vec<Duration> = (0..9).map(|_| time(runs, &mut work) / runs).collect();
    batches.sort();
    let median = batches[4];
    println!("{name:<48} {:>10.2} us {:>9.1} ns/series", us(median), us(median) * 1e3 / series as f64);
    us(median)
}

fn time(runs: u32, work: &mut impl FnMut()) -> Duration {
    let before = cpu();
    (0..runs).for_each(|_| work());
    cpu() - before
}

fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}

fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
