//! What 100,000 series cost: the same ones tick after tick, and with 104 of them renamed each
//! tick (13 interfaces of 8 series), against the budgets.
//!
//! First recording and encoding by themselves, in CPU time of their thread, each case in a
//! process of its own because of its memory. Then the whole program below a root whose
//! `/proc/net/dev` has 12,500 interfaces, paced; which of its threads the time goes to is told.
//!
//! `cargo bench --bench scale -- [--ticks N] [--interval SECONDS] [--binary FILE]`

mod support;

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use metricsd::collectors::network;
use metricsd::formats::remote_write::{RemoteWrite, Version};
use metricsd::formats::{Bodies, Encoder};
use metricsd::model::{Batch, Frame, Item, Labels, Reading, Recorder, Resource, Scheme};
use metricsd::shaping::Perspective;

use support::budget::{end, measured, told};
use support::{Process, Sink, own_status, thread_cpu, us};

const INTERFACES: usize = 12_500;

/// Of each interface, by native names.
const SERIES_OF_ONE: usize = 8;

const SERIES: usize = INTERFACES * SERIES_OF_ONE;

/// How many are renamed each tick.
const RENAMED: usize = 13;

/// The samples of a request, as `prometheus_remote_write` has them.
const MOST: u64 = 10_000;

/// Ticks until everything that is kept has been made.
const WARM_UP: usize = 20;

/// Ticks by which memory is compared with memory.
const ROUNDS: usize = 400;

/// Those of the network collector that have a native name.
fn traffic() -> Vec<&'static Reading> {
    let all = network::DEFINITION.readings.iter().flat_map(|some| some.iter());
    let traffic: Vec<&Reading> = all.filter(|reading| reading.native.is_some()).collect();
    assert_eq!(traffic.len(), SERIES_OF_ONE);
    traffic
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let value = |flag: &str| args.iter().position(|arg| arg == flag).map(|at| args[at + 1].clone());
    if let Some(churn) = value("--part") {
        return part(Churn::ALL[churn.parse::<usize>().unwrap()]);
    }
    println!("{SERIES} series, remote write 1.0, recorded and encoded, in CPU time of the thread");
    let steady = in_process(Churn::None);
    measured("steady: encode, per 1,000 samples", steady.encode / 1e3 / SERIES as f64 * 1e3, "ms", 0.05);
    told("steady: record and encode", steady.tick / 1e3, "ms");
    told("steady: resident", steady.resident_mb, "MB");
    for churn in [Churn::Scattered, Churn::Neighbours] {
        let churning = in_process(churn);
        let what = churn.as_str();
        told(&format!("{what}: record and encode"), churning.tick / 1e3, "ms");
        measured(&format!("{what}: against steady"), churning.tick / steady.tick, "", 1.5);
        told(&format!("{what}: resident"), churning.resident_mb, "MB");
        // An allocator keeps some of what it had; a leak of a chunk a tick would be 10 MB.
        measured(&format!("{what}: more after {ROUNDS} ticks"), churning.gained_mb, "MB", 1.0);
    }

    let ticks: u32 = value("--ticks").map_or(30, |text| text.parse().unwrap());
    let interval: f64 = value("--interval").map_or(1.0, |text| text.parse().unwrap());
    let binary = value("--binary").unwrap_or_else(|| env!("CARGO_BIN_EXE_metricsd").to_owned());
    println!("the whole program, {INTERFACES} interfaces, {ticks} ticks of {interval} s");
    let steady = whole(&binary, Churn::None, ticks, interval);
    measured("steady: resident", steady.resident_mb, "MB", 60.0);
    measured("steady: resident at most", steady.peak_mb, "MB", 60.0);
    told("steady: CPU of a tick", steady.tick / 1e3, "ms");
    steady.tell_threads();
    let churning = whole(&binary, Churn::Scattered, ticks, interval);
    told("renamed: CPU of a tick", churning.tick / 1e3, "ms");
    churning.tell_threads();
    measured("renamed: against steady", churning.tick / steady.tick, "", 1.5);
    measured("renamed: resident at most", churning.peak_mb, "MB", 60.0);
    end();
}

/// Which interfaces are renamed.
#[derive(Clone, Copy, PartialEq)]
enum Churn {
    None,
    /// All over the table.
    Scattered,
    /// One behind the other.
    Neighbours,
}

impl Churn {
    const ALL: [Churn; 3] = [Churn::None, Churn::Scattered, Churn::Neighbours];

    fn as_str(self) -> &'static str {
        match self {
            Churn::None => "steady",
            Churn::Scattered => "renamed, scattered",
            Churn::Neighbours => "renamed, neighbours",
        }
    }

    /// The places of those that are renamed at `tick`, other ones each time.
    fn places(self, tick: usize) -> impl Iterator<Item = usize> {
        let (count, step) = match self {
            Churn::None => (0, 0),
            Churn::Scattered => (RENAMED, INTERFACES / RENAMED),
            Churn::Neighbours => (RENAMED, 1),
        };
        (0..count).map(move |at| (tick * 37 + at * step) % INTERFACES)
    }
}

/// Names as container hosts have them: of the same length, and each its own.
fn name(number: usize) -> String {
    format!("if{:08x}", (number as u32).wrapping_mul(0x9e37_79b1))
}

/// What a case cost. Times in microseconds.
struct Cost {
    tick: f64,
    encode: f64,
    resident_mb: f64,
    gained_mb: f64,
}

/// A case in a process of its own.
fn in_process(churn: Churn) -> Cost {
    let at = Churn::ALL.iter().position(|one| *one == churn).unwrap();
    let output = Command::new(std::env::current_exe().unwrap()).args(["--part", &at.to_string()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let numbers: Vec<f64> = text.split_whitespace().map(|number| number.parse().unwrap()).collect();
    Cost { tick: numbers[0], encode: numbers[1], resident_mb: numbers[2], gained_mb: numbers[3] }
}

fn part(churn: Churn) {
    let labels = Labels::of(&[("instance", "host-1"), ("job", "metricsd")]);
    let mut encoder = RemoteWrite::new(Version::V1, Perspective::new(Scheme::Native, labels));
    let traffic = traffic();
    let mut items: Vec<Item> = (0..INTERFACES).map(|at| Item::new(&[&name(at)])).collect();
    let mut recorder = Recorder::new("network", SERIES);
    let resource =
        Arc::new(Resource { host: "host-1".into(), boot_ms: Some(1_699_000_000_000), ..Resource::default() });
    let mut bodies = Bodies::default();
    let (mut ticks, mut encodes) = (Vec::new(), Vec::new());
    let mut before = 0;
    for tick in 0..WARM_UP + ROUNDS {
        let renamed: Vec<usize> = churn.places(tick).collect();
        for (at, place) in renamed.iter().enumerate() {
            // What a collector does where it meets another name.
            items[*place] = Item::new(&[&name(INTERFACES + tick * RENAMED + at)]);
        }
        let begun = thread_cpu();
        let frame = record(&mut recorder, &traffic, &items, tick);
        let recorded = thread_cpu();
        let batch = Batch::new(frame.time_ms, Arc::clone(&resource), vec![frame]);
        let encoded = encoder.encode(&batch, MOST, &mut bodies);
        bodies.drain().for_each(drop);
        let done = thread_cpu();
        assert_eq!(encoded.samples, SERIES as u64);
        let ended = if tick == 0 { 0 } else { renamed.len() * SERIES_OF_ONE };
        assert_eq!(encoded.markers, ended as u64, "a series that is renamed has ended");
        if tick >= WARM_UP {
            ticks.push(done - begun);
            encodes.push(done - recorded);
        }
        // By then every table of hashes, which grows once when as many were taken out as it has room
        // for, has its size.
        if tick == WARM_UP + ROUNDS / 2 {
            before = own_status("VmRSS");
        }
    }
    let resident = own_status("VmRSS");
    let median = |times: &mut Vec<Duration>| {
        times.sort();
        us(times[times.len() / 2])
    };
    let gained = resident as f64 - before as f64;
    let mb = |kib: f64| kib * 1024.0 / 1e6;
    let numbers = [median(&mut ticks), median(&mut encodes), mb(resident as f64), mb(gained)];
    println!("{}", numbers.map(|number| number.to_string()).join(" "));
}

fn record(recorder: &mut Recorder, traffic: &[&'static Reading], items: &[Item], tick: usize) -> Frame {
    for (at, item) in items.iter().enumerate() {
        let mut out = recorder.item(item);
        for (column, reading) in traffic.iter().copied().enumerate() {
            out.push(reading, number(at, column, tick) as f64);
        }
    }
    recorder.finish(1_700_000_000_000 + tick as i64 * 1000)
}

/// Errors and drops stand still, as they do; the others grow.
fn number(interface: usize, column: usize, tick: usize) -> usize {
    if column % 4 < 2 { interface * 1_000_003 + tick * 1517 * (column + 1) } else { interface % 7 }
}

/// What the whole program cost.
struct Whole {
    tick: f64,
    threads: Vec<(String, f64)>,
    resident_mb: f64,
    peak_mb: f64,
}

impl Whole {
    fn tell_threads(&self) {
        for (name, time) in self.threads.iter().filter(|(_, time)| *time > 50.0) {
            told(&format!("    of this {name}"), time / 1e3, "ms");
        }
    }
}

fn whole(binary: &str, churn: Churn, ticks: u32, interval: f64) -> Whole {
    let sink = Sink::start();
    let dir = std::env::temp_dir().join(format!("metricsd-scale-{}", std::process::id()));
    let table = root(&dir);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": {port}}},
            "collector": {{"interval_seconds": {interval}, "max_series": 200000, "network": {{"exclude": []}},
                "enable_cpu": false, "enable_memory": false, "enable_disk": false, "enable_load": false,
                "enable_uptime": false}},
            "spool": {{"dir": "{}"}},
            "shipper": {{"type": "prometheus_remote_write", "endpoint": "{}"}}}}"#,
        dir.join("spool").display(),
        sink.url
    );
    let config_path = dir.join("config.json");
    fs::write(&config_path, config).unwrap();
    let mut names: Vec<usize> = (0..INTERFACES).collect();
    write_table(&table, &names, 0);
    let mut command = Command::new(binary);
    command.arg("-root").arg(&dir).arg("-config").arg(&config_path).args(["-log-level", "warn"]);
    let agent = Process(command.spawn().unwrap());
    // A tick is ten requests, and one more where the markers do not fit.
    let a_tick = SERIES.div_ceil(MOST as usize) + usize::from(churn != Churn::None);
    let mut begun = None;
    let total = WARM_UP + ticks as usize;
    for tick in 1..=total {
        let seen = sink.requests();
        // What is sent has been read: the table is ours until the next tick.
        sink.wait_for(seen + 1);
        std::thread::sleep(Duration::from_secs_f64(interval / 2.0));
        if tick == WARM_UP {
            begun = Some((agent.cpu(), agent.cpu_of_threads(), sink.requests()));
        }
        for (at, place) in churn.places(tick).enumerate() {
            names[place] = INTERFACES + tick * RENAMED + at;
        }
        write_table(&table, &names, tick);
    }
    let (cpu, threads, requests) = begun.unwrap();
    let made = (sink.requests() - requests) as f64 / a_tick as f64;
    let tick = us(agent.cpu() - cpu) / made;
    let spent = |(name, now): (&String, &Duration)| {
        let before = threads.get(name).copied().unwrap_or_default();
        (name.clone(), us(now.saturating_sub(before)) / made)
    };
    let threads = agent.cpu_of_threads().iter().map(spent).collect();
    let resident_mb = agent.resident_kib() as f64 * 1024.0 / 1e6;
    let peak_mb = agent.status("VmHWM") as f64 * 1024.0 / 1e6;
    drop(agent);
    fs::remove_dir_all(&dir).unwrap();
    Whole { tick, threads, resident_mb, peak_mb }
}

/// A root with nothing in it but a table of interfaces, whose path is given.
fn root(dir: &Path) -> PathBuf {
    let net = dir.join("proc/1/net");
    fs::create_dir_all(&net).unwrap();
    fs::create_dir_all(dir.join("sys")).unwrap();
    net.join("dev")
}

/// Writes the table in place: the program keeps the file open. It is asleep meanwhile.
fn write_table(path: &Path, names: &[usize], tick: usize) {
    let mut text = String::with_capacity(names.len() * 128);
    text.push_str("Inter-|   Receive                  |  Transmit\n face |bytes packets errs drop |bytes packets\n");
    for (at, name_of) in names.iter().enumerate() {
        let four = |from: usize| [0, 1, 2, 3].map(|column| number(at, from + column, tick).to_string()).join(" ");
        text.push_str(&format!("{}: {} 0 0 0 0 {} 0 0 0 0\n", name(*name_of), four(0), four(4)));
    }
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(false).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.set_len(text.len() as u64).unwrap();
}
