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

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

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

/// The time from exec until /ready says 200, with the default configuration.
fn ready_after(binary: &str) -> Duration {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let begun = Instant::now();
    let mut command = Command::new(binary);
    command.current_dir(std::env::temp_dir()).args(["-log-level", "error"]);
    command.env("MC_SERVER_HOST", "127.0.0.1").env("MC_SERVER_PORT", port.to_string());
    let _agent = Process(command.spawn().unwrap());
    loop {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
            let mut answer = String::new();
            let asked = stream.write_all(b"GET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            if asked.is_ok() && stream.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200") {
                return begun.elapsed();
            }
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{binary} is not ready after 10 s");
        std::thread::sleep(Duration::from_millis(1));
    }
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

/// Takes what is posted and answers 204.
struct Sink {
    address: String,
    url: String,
    requests: Arc<AtomicUsize>,
    body: Arc<AtomicUsize>,
}

impl Sink {
    fn start() -> Sink {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (requests, body) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let sink = Sink {
            url: format!("http://{address}/"),
            address,
            requests: Arc::clone(&requests),
            body: Arc::clone(&body),
        };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), &requests, &body);
            }
        });
        sink
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Waits for `count` requests; the size of the last one's body.
    fn wait_for(&self, count: usize) -> usize {
        while self.requests() < count {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.body.load(Ordering::Relaxed)
    }
}

fn serve(mut stream: TcpStream, requests: &AtomicUsize, size: &AtomicUsize) {
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::with_capacity(1 << 20, stream.try_clone().unwrap());
    let mut line = String::new();
    loop {
        let mut length = 0;
        loop {
            line.clear();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        size.store(length, Ordering::Relaxed);
        requests.fetch_add(1, Ordering::Relaxed);
        if stream.write_all(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n").is_err() {
            return;
        }
    }
}

/// A child that is measured, and ended with the bench.
struct Process(Child);

impl Process {
    fn cpu(&self) -> Duration {
        let clock = clock_getcpuclockid(Pid::from_raw(self.0.id() as i32)).unwrap();
        clock_gettime(clock).unwrap().into()
    }

    fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.0.id())
    }

    fn status(&self, field: &str) -> usize {
        let status = fs::read_to_string(self.proc("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim_start_matches(':').split_whitespace().next().unwrap().parse().unwrap()
    }

    fn resident_kib(&self) -> usize {
        self.status("VmRSS")
    }

    fn threads(&self) -> usize {
        self.status("Threads")
    }

    fn open_files(&self) -> usize {
        fs::read_dir(self.proc("fd")).unwrap().count()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
