//! The collectors over rounds of one kernel file, and what becomes of their samples: request
//! bodies and pages. The input's first byte says which file; a zero byte begins the next round.

#![no_main]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use metricsd::collectors::{self, Collector, Preset, Settings, Tick};
use metricsd::formats::Compression;
use metricsd::formats::RemoteWriteVersion;
use metricsd::formats::text::{self, Format};
use metricsd::formats::{Bodies, Encoder, json::Json, remote_write::RemoteWrite};
use metricsd::host::{FsUsage, HostPaths, Scratch, StatFs};
use metricsd::model::{Batch, Frame, Labels, Recorder, Resource, Scheme};
use metricsd::shaping::Perspective;

/// More rounds find nothing that these don't.
const MAX_ROUNDS: usize = 4;

/// Each path has its own device, so that every mount is visible, and sizes from its length.
struct Answers;

impl StatFs for Answers {
    fn usage(&self, path: &Path) -> io::Result<FsUsage> {
        let total = path.as_os_str().len() as u64;
        Ok(FsUsage { total, free: total / 2, available: total / 3, ..FsUsage::default() })
    }

    fn device(&self, path: &Path) -> io::Result<(u32, u32)> {
        Ok((1, path.as_os_str().len() as u32))
    }
}

/// What is seen by native names, with `labels` added.
fn from(labels: Labels) -> Perspective {
    Perspective::new(Scheme::Native, labels)
}

/// A host below the fastest folder there is; this process's own.
fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let root = base.join(format!("metricsd-fuzz-{}", std::process::id()));
        for dir in ["proc/1/net", "proc/pressure", "proc/sys/kernel/random"] {
            fs::create_dir_all(root.join(dir)).unwrap();
        }
        root
    })
}

fuzz_target!(|input: &[u8]| {
    let Some((which, text)) = input.split_first() else { return };
    let (file, names): (&str, &[&str]) = match which {
        b's' | b'b' => ("proc/stat", &["cpu"]),
        b'm' => ("proc/meminfo", &["memory"]),
        b'l' => ("proc/loadavg", &["load"]),
        b'u' => ("proc/uptime", &["uptime"]),
        b'd' => ("proc/diskstats", &["disk"]),
        b'n' => ("proc/1/net/dev", &["network"]),
        b'i' => ("proc/1/mountinfo", &["filesystem"]),
        b'p' => ("proc/pressure/memory", &["pressure"]),
        b'v' => ("proc/vmstat", &["vmstat"]),
        b't' => ("proc/1/net/snmp", &["netstat"]),
        b'6' => ("proc/1/net/snmp6", &["netstat"]),
        b'e' => ("proc/1/net/netstat", &["netstat"]),
        b'r' => ("proc/sys/kernel/random/entropy_avail", &["entropy"]),
        _ => return,
    };
    let settings = Settings { preset: Preset::Full, max_series: 1000, ..Settings::default() };
    let host = HostPaths::below(root());
    let built = collectors::build(&settings, &host, Arc::new(Answers));
    let mut chosen: Vec<(Box<dyn Collector>, Recorder)> = built
        .fast
        .into_iter()
        .filter(|fast| names.contains(&fast.plan.name))
        .map(|fast| (fast.collector, Recorder::new(fast.plan.name, settings.max_series)))
        .collect();
    let mut scratch = Scratch::new();
    let mut bodies: [Box<dyn Encoder>; 3] = [
        Box::new(RemoteWrite::new(RemoteWriteVersion::V2, from(Labels::EMPTY))),
        Box::new(RemoteWrite::new(RemoteWriteVersion::V1, from(Labels::of(&[("job", "fuzz")])))),
        Box::new(Json::new(from(Labels::EMPTY), Compression::None)),
    ];
    let mut made = Bodies::default();
    let resource = Arc::new(Resource { host: "fuzz".into(), boot_ms: None, ..Resource::default() });
    for (round, text) in text.split(|byte| *byte == 0).take(MAX_ROUNDS).enumerate() {
        let path = root().join(file);
        fs::write(&path, text).unwrap();
        let time_ms = 1_700_000_000_000 + round as i64 * 1000;
        let tick = Tick { wall_ms: time_ms, monotonic: Duration::from_secs(round as u64) };
        let mut frames = Vec::new();
        for (collector, recorder) in &mut chosen {
            match collector.collect(&tick, &mut scratch, recorder) {
                Ok(()) => frames.push(recorder.finish(time_ms)),
                Err(_) => recorder.discard(),
            }
        }
        let mut samples = 0;
        for (chunk, values) in frames.iter().flat_map(Frame::parts) {
            for series in from(Labels::EMPTY).view(chunk).series() {
                samples += 1;
                let value = series.value(values);
                assert!(value.is_finite() && value >= 0.0, "{series:?} {value}");
                let percent = series.family().name.contains("percent");
                assert!(!percent || value <= 100.0 + 1e-9, "{series:?} {value}");
            }
        }
        for (format, marks) in [(Format::Prometheus, 0), (Format::OpenMetrics, 1)] {
            let mut page = String::new();
            text::render(&frames, &from(Labels::EMPTY), format, &mut page);
            // Whatever a name holds, a sample is a line.
            assert_eq!(page.lines().filter(|line| line.starts_with("system_")).count(), samples);
            assert!(page.lines().all(|line| line.starts_with("system_") || line.starts_with("# ")));
            assert_eq!(page.lines().filter(|line| *line == "# EOF").count(), marks);
        }
        let batch = Batch::new(time_ms, Arc::clone(&resource), frames);
        for body in &mut bodies {
            let encoded = body.encode(&batch, 10_000, &mut made);
            assert_eq!((encoded.samples, encoded.unencodable), (samples as u64, 0));
            // What has ended since is said besides.
            assert_eq!(made.drain().map(|body| body.samples).sum::<u64>(), encoded.samples + encoded.markers);
        }
    }
    // The next input's collector may read more files than its own.
    let _ = fs::remove_file(root().join(file));
});
