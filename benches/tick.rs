//! What a tick costs: the whole agent against a bare loop, paced alike, in the same run.
//!
//! The bare loop is what no agent can do without: it keeps the same kernel files open,
//! reads them, and posts a body of the same size over a kept-alive connection. Both are
//! processes of their own; their CPU time is read with `clock_getcpuclockid`, to the
//! nanosecond. Numbers are of one run on one machine: the ratio is what counts. Beside them,
//! in the same run, an agent with a second destination that has other names.
//!
//! Before that, how large the program is and how soon it is ready. Each number has its budget
//! beside it, and a mark where it is over; only the size, which is the same on every machine,
//! makes the bench fail.
//!
//! `cargo bench --bench tick -- [--ticks N] [--interval SECONDS] [--binary FILE]`; the binary
//! is the one just built, or another one, such as the static one.

mod support;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::budget::{counted, end, measured, told};
use support::{Process, Sink, ready, us};

/// Ticks before the measurement: connections, caches and buffers settle.
const WARM_UP: u32 = 10;

/// Starts whose median is told.
const STARTS: usize = 9;

/// What the default collectors read each tick.
const FILES: [&str; 7] = [
    "/proc/stat",
    "/proc/meminfo",
    "/proc/loadavg",
    "/proc/uptime",
    "/proc/diskstats",
    "/proc/self/mountinfo",
    "/proc/self/net/dev",
];

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let Some(at) = args.iter().position(|arg| arg == "--bare") {
        bare(&args[at + 1], args[at + 2].parse().unwrap(), args[at + 3].parse().unwrap());
        return;
    }
    let value = |flag: &str| args.iter().position(|arg| arg == flag).map(|at| args[at + 1].clone());
    let ticks: u32 = value("--ticks").map_or(60, |text| text.parse().unwrap());
    let interval: f64 = value("--interval").map_or(1.0, |text| text.parse().unwrap());
    let binary = value("--binary").unwrap_or_else(|| env!("CARGO_BIN_EXE_metricsd").to_owned());
    // It is started elsewhere.
    let binary = fs::canonicalize(binary).unwrap().display().to_string();
    let size = fs::metadata(&binary).unwrap().len();
    println!("{binary}");
    // The budget is the static one's, which is larger than the one that is linked to glibc.
    counted("size", size as f64 / 1e6, "MB", 6.0);
    let mut starts: Vec<Duration> = (0..STARTS).map(|_| ready_after(&binary)).collect();
    starts.sort();
    measured(&format!("ready after (median of {STARTS})"), us(starts[STARTS / 2]) / 1e3, "ms", 200.0);
    told("ready after, the slowest", us(starts[STARTS - 1]) / 1e3, "ms");
    compare(&binary, "prometheus_remote_write", true, ticks, interval);
    compare(&binary, "http_json", false, ticks, interval);
    end();
}

/// The time from exec until it is ready, with the default configuration.
fn ready_after(binary: &str) -> Duration {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let begun = Instant::now();
    let mut command = Command::new(binary);
    command.current_dir(std::env::temp_dir()).args(["-log-level", "error"]);
    command.env("MC_SERVER_HOST", "127.0.0.1").env("MC_SERVER_PORT", port.to_string());
    let _agent = Process(command.spawn().unwrap());
    ready(port);
    begun.elapsed()
}

/// An agent that is measured, and its destinations.
struct Agent {
    process: Process,
    sinks: Vec<Sink>,
    dir: PathBuf,
}

impl Agent {
    /// The default configuration with a destination of type `kind` for each of `namings`.
    fn start(binary: &str, kind: &str, namings: &[&str], interval: f64) -> Agent {
        let sinks: Vec<Sink> = namings.iter().map(|_| Sink::start()).collect();
        let dir = std::env::temp_dir().join(format!("metricsd-bench-{}-{}", std::process::id(), namings.len()));
        fs::create_dir_all(&dir).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let shipper = |(naming, sink): (&&str, &Sink)| {
            format!(r#"{{"name":"{naming}","type":"{kind}","naming":"{naming}","endpoint":"{}"}}"#, sink.url)
        };
        let shippers: Vec<String> = namings.iter().zip(&sinks).map(shipper).collect();
        let config = format!(
            r#"{{"server":{{"host":"127.0.0.1","port":{port}}},"collector":{{"interval_seconds":{interval}}},
                "spool":{{"dir":"{}/spool"}},"shippers":[{}]}}"#,
            dir.display(),
            shippers.join(",")
        );
        let path = dir.join("config.json");
        fs::write(&path, config).unwrap();
        let child = Command::new(binary).arg("-config").arg(&path).args(["-log-level", "warn"]).spawn().unwrap();
        Agent { process: Process(child), sinks, dir }
    }

    fn now(&self) -> (Duration, usize) {
        (self.process.cpu(), self.sinks[0].requests())
    }

    /// Ticks since `start`, and the CPU time of one in microseconds.
    fn since(&self, start: (Duration, usize)) -> (usize, f64) {
        let (cpu, requests) = self.now();
        (requests - start.1, us(cpu - start.0) / (requests - start.1) as f64)
    }

    fn resident_mb(&self) -> f64 {
        self.process.resident_kib() as f64 * 1024.0 / 1e6
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn compare(binary: &str, kind: &str, with_two: bool, ticks: u32, interval: f64) {
    let one = Agent::start(binary, kind, &["native"], interval);
    let body = one.sinks[0].wait_for(3);
    // Each ticks while the others sleep: what ticks beside another one pays for its caches.
    let third = Duration::from_secs_f64(interval) / 3;
    one.sinks[0].wait_for(one.sinks[0].requests() + 1);
    std::thread::sleep(third);
    let theirs = Sink::start();
    let bare = Process(
        Command::new(std::env::current_exe().unwrap())
            .args(["--bare", &theirs.address, &body.to_string(), &interval.to_string()])
            .stdin(Stdio::null())
            .spawn()
            .unwrap(),
    );
    std::thread::sleep(third);
    let two = with_two.then(|| Agent::start(binary, kind, &["native", "node_exporter"], interval));
    theirs.wait_for(WARM_UP as usize);
    let (start, begun) = ((one.now(), bare.cpu(), theirs.requests(), two.as_ref().map(Agent::now)), Instant::now());
    let (fds, threads) = (one.process.open_files(), one.process.threads());
    std::thread::sleep(Duration::from_secs_f64(interval) * ticks);
    let (made, of_one) = one.since(start.0);
    let of_bare = us(bare.cpu() - start.1) / (theirs.requests() - start.2) as f64;
    println!("{kind}: {made} ticks of {interval} s ({:.0?}), body {body} bytes", begun.elapsed());
    told("bare loop: CPU of a tick", of_bare / 1e3, "ms");
    told("bare loop: resident", bare.resident_kib() as f64 * 1024.0 / 1e6, "MB");
    told("one destination: CPU of a tick", of_one / 1e3, "ms");
    measured("one destination: against the bare loop", of_one / of_bare, "", 1.4);
    measured("one destination: resident, default configuration", one.resident_mb(), "MB", 5.0);
    told("one destination: descriptors gained", one.process.open_files() as f64 - fds as f64, "");
    told("one destination: threads gained", one.process.threads() as f64 - threads as f64, "");
    if let (Some(two), Some(start)) = (&two, start.3) {
        let (_, of_two) = two.since(start);
        told("two, native and node_exporter: CPU of a tick", of_two / 1e3, "ms");
        measured("two, native and node_exporter: against one", of_two / of_one, "", 1.4);
        told("two, native and node_exporter: resident", two.resident_mb(), "MB");
    }
}

/// The loop without an agent around it.
fn bare(address: &str, body: usize, interval: f64) {
    let files: Vec<File> = FILES.iter().map(|path| File::open(path).unwrap()).collect();
    let mut buffer = vec![0; 1 << 20];
    let mut request = format!("POST / HTTP/1.1\r\nHost: {address}\r\nContent-Length: {body}\r\n\r\n").into_bytes();
    request.resize(request.len() + body, b'x');
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let pace = Duration::from_secs_f64(interval);
    let begun = Instant::now();
    for tick in 1.. {
        for file in &files {
            let mut len = 0;
            loop {
                match file.read_at(&mut buffer[len..], len as u64).unwrap() {
                    0 => break,
                    n => len += n,
                }
            }
        }
        if stream.write_all(&request).is_err() || !matches!(stream.read(&mut buffer), Ok(1..)) {
            return;
        }
        std::thread::sleep((begun + pace * tick).saturating_duration_since(Instant::now()));
    }
}
