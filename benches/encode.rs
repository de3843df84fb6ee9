//! What collecting and encoding cost by themselves, in CPU time of one thread.
//!
//! `cargo bench --bench encode`

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use metricsd::collectors::{self, Tick};
use metricsd::host::{HostPaths, SystemStatFs, monotonic};
use metricsd::lane::Compression;
use metricsd::lane::encode::{
    Encoder,
    json::Json,
    remote_write::{RemoteWrite, Version},
    text,
};
use metricsd::model::{Batch, Labels, Metric, Recorder, Resource};
use metricsd::pipeline::Collectors;
use nix::time::{ClockId, clock_gettime};

static VALUE: Metric = Metric::gauge("bench_value_bytes", "bytes", "A value.");

fn main() {
    for host in ["vm", "numa64"] {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(host);
        let settings = collectors::Settings::default();
        let built = collectors::build(&settings, &HostPaths::below(&dir), Arc::new(SystemStatFs));
        let (mut collectors, _, _workers) = Collectors::new(built, settings.max_series);
        let tick = Tick { wall_ms: 1_700_000_000_000, monotonic: monotonic() };
        let frames = collectors.round(&tick, |_| ());
        let series: usize = frames.iter().map(|frame| frame.values.len()).sum();
        report(&format!("collect, fixture {host}, {series} series"), series, || {
            std::hint::black_box(collectors.round(&tick, |_| ()));
        });
        let resource = Arc::new(Resource { host: "host-1".into(), boot_ms: Some(1_699_000_000_000) });
        let batch = Batch { time_ms: tick.wall_ms, resource, frames };
        remote_write(&batch);
    }
    for series in [100, 10_000] {
        let batch = batch(series);
        remote_write(&batch);
        encode("json", &batch, Box::new(Json::new(Labels::EMPTY, Compression::None)));
        encode("json, gzip", &batch, Box::new(Json::new(Labels::EMPTY, Compression::Gzip)));
        let mut page = String::new();
        report(&format!("text page, {series} series"), series, || {
            page.clear();
            text::render(&batch.frames, &Labels::EMPTY, text::Format::Prometheus, &mut page);
        });
    }
}

/// Both versions, made anew each time and from a template.
fn remote_write(batch: &Batch) {
    let labels = Labels::of(&[("instance", "host-1"), ("job", "metricsd")]);
    for (name, version) in [("remote write 1.0", Version::V1), ("remote write 2.0", Version::V2)] {
        let plain = encode(&format!("{name}, plain"), batch, Box::new(RemoteWrite::plain(version, labels.clone())));
        let template = encode(name, batch, Box::new(RemoteWrite::new(version, labels.clone())));
        println!("{:>52.1} times as fast as plain", plain / template);
    }
}

fn encode(name: &str, batch: &Batch, mut encoder: Box<dyn Encoder>) -> f64 {
    let mut body = Vec::new();
    let series = batch.samples();
    let median = report(&format!("encode {name}, {series} series"), series, || {
        body.clear();
        encoder.encode(batch, &mut body);
    });
    let is_snappy = encoder.content().iter().any(|(_, value)| value == "snappy");
    let plain = snap::raw::decompress_len(&body)
        .ok()
        .filter(|_| is_snappy)
        .map_or(String::new(), |len| format!(", {:.1} unpacked", len as f64 / series as f64));
    println!("{:>52} bytes a body, {:.1} a sample{plain}", body.len(), body.len() as f64 / series as f64);
    median
}

/// A batch of `series` series with labels and values of the usual kind.
fn batch(series: usize) -> Batch {
    let mut out = Recorder::new("bench", series);
    for at in 0..series {
        let labels = Labels::new([("device", format!("sd{at}")), ("mode", "read".to_owned())]).unwrap();
        out.push(&VALUE, &labels, at as f64 * 1234.5);
    }
    let resource = Arc::new(Resource { host: "host-1".into(), boot_ms: None });
    Batch { time_ms: 1_700_000_000_000, resource, frames: vec![out.finish(1_700_000_000_000)] }
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
