//! What a tick costs: the whole agent against a bare loop, paced alike, in the same run.
//!
//! The bare loop is what no agent can do without: it keeps the same kernel files open,
//! reads them, and posts a body of the same size over a kept-alive connection. Both are
//! processes of their own; their CPU time is read with `clock_getcpuclockid`, to the
//! nanosecond. Numbers are of one run on one machine: the ratio is what counts.
//!
//! Before that, how large the program is and how soon it is ready.
//!
//! `cargo bench --bench tick -- [--ticks N] [--interval SECONDS] [--binary FILE]`; the binary
//! is the one just built, or another one, such as the static one.

mod support;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::{Process, Sink, ready};

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
    println!("{binary}: {:.2} MB   (budget 4, static)", size as f64 / 1e6);
    let mut starts: Vec<Duration> = (0..STARTS).map(|_| ready_after(&binary)).collect();
    starts.sort();
    println!(
        "ready after {:.0?} (median of {STARTS}; slowest {:.0?})   (budget 200 ms)",
        starts[STARTS / 2],
        starts[STARTS - 1]
    );
    for kind in ["prometheus_remote_write", "http_json"] {
        compare(&binary, kind, ticks, interval);
    }
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

fn compare(binary: &str, kind: &str, ticks: u32, interval: f64) {
    let ours = Sink::start();
    let dir = std::env::temp_dir().join(format!("metricsd-bench-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = format!(
        r#"{{"server":{{"host":"127.0.0.1","port":{port}}},"collector":{{"interval_seconds":{interval}}},
            "spool":{{"dir":"{}/spool"}},"shipper":{{"type":"{kind}","endpoint":"{}"}}}}"#,
        dir.display(),
        ours.url
    );
    let config_path = dir.join("config.json");
    fs::write(&config_path, config).unwrap();
    let agent =
        Process(Command::new(binary).arg("-config").arg(&config_path).args(["-log-level", "warn"]).spawn().unwrap());
    let body = ours.wait_for(3);

    let theirs = Sink::start();
    let bare = Process(
        Command::new(std::env::current_exe().unwrap())
            .args(["--bare", &theirs.address, &body.to_string(), &interval.to_string()])
            .stdin(Stdio::null())
            .spawn()
            .unwrap(),
    );
    theirs.wait_for(WARM_UP as usize);
    let pace = Duration::from_secs_f64(interval);
    let (start, begun) = ((agent.cpu(), bare.cpu(), ours.requests(), theirs.requests()), Instant::now());
    let (fds, threads) = (agent.open_files(), agent.threads());
    std::thread::sleep(pace * ticks);
    let ours_per_tick = (agent.cpu() - start.0) / (ours.requests() - start.2) as u32;
    let bare_per_tick = (bare.cpu() - start.1) / (theirs.requests() - start.3) as u32;
    println!(
        "{kind}: {} ticks of {interval} s ({:.0?}), body {body} bytes",
        ours.requests() - start.2,
        begun.elapsed()
    );
    println!("  metricsd   {:>8.1} us CPU a tick, {:>6} KiB resident", us(ours_per_tick), agent.resident_kib());
    println!("  bare loop  {:>8.1} us CPU a tick, {:>6} KiB resident", us(bare_per_tick), bare.resident_kib());
    println!("  ratio      {:>8.2}   (budget 1.5)", us(ours_per_tick) / us(bare_per_tick));
    println!(
        "  metricsd gained {} file descriptors and {} threads",
        agent.open_files() as i64 - fds as i64,
        agent.threads() as i64 - threads as i64
    );
    fs::remove_dir_all(&dir).unwrap();
}

fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
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
