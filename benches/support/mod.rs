//! What benches of the whole program share: a peer that takes everything, and a process that
//! is measured.

#![allow(dead_code, reason = "each bench has its own copy, and its own needs")]

pub mod budget;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// Waits until /ready on `port` says 200.
pub fn ready(port: u16) {
    let begun = Instant::now();
    loop {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
            let mut answer = String::new();
            let asked = stream.write_all(b"GET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            if asked.is_ok() && stream.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200") {
                return;
            }
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "not ready after 10 s");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Takes what is posted and answers 204.
pub struct Sink {
    pub address: String,
    pub url: String,
    requests: Arc<AtomicUsize>,
    body: Arc<AtomicUsize>,
    bytes: Arc<AtomicUsize>,
}

impl Sink {
    pub fn start() -> Sink {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let [requests, body, bytes] = [0; 3].map(|zero| Arc::new(AtomicUsize::new(zero)));
        let sink = Sink {
            url: format!("http://{address}/"),
            address,
            requests: Arc::clone(&requests),
            body: Arc::clone(&body),
            bytes: Arc::clone(&bytes),
        };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let [requests, body, bytes] = [&requests, &body, &bytes].map(Arc::clone);
                std::thread::spawn(move || serve(stream.unwrap(), &requests, &body, &bytes));
            }
        });
        sink
    }

    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Of all bodies.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Waits for `count` requests; the size of the last one's body.
    pub fn wait_for(&self, count: usize) -> usize {
        while self.requests() < count {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.body.load(Ordering::Relaxed)
    }
}

fn serve(mut stream: TcpStream, requests: &AtomicUsize, size: &AtomicUsize, bytes: &AtomicUsize) {
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
        bytes.fetch_add(length, Ordering::Relaxed);
        requests.fetch_add(1, Ordering::Relaxed);
        if stream.write_all(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n").is_err() {
            return;
        }
    }
}

/// A child that is measured, and ended with the bench.
pub struct Process(pub Child);

impl Process {
    pub fn cpu(&self) -> Duration {
        let clock = clock_getcpuclockid(Pid::from_raw(self.0.id() as i32)).unwrap();
        clock_gettime(clock).unwrap().into()
    }

    /// CPU time of its threads, by their names; those of one name together.
    pub fn cpu_of_threads(&self) -> BTreeMap<String, Duration> {
        let mut all = BTreeMap::new();
        for task in fs::read_dir(self.proc("task")).unwrap() {
            let read = |file: &str| fs::read_to_string(task.as_ref().unwrap().path().join(file));
            // One that ends meanwhile has little of it.
            let (Ok(name), Ok(times)) = (read("comm"), read("schedstat")) else { continue };
            let on_cpu = times.split_whitespace().next().and_then(|ns| ns.parse().ok()).unwrap_or_default();
            *all.entry(name.trim().to_owned()).or_default() += Duration::from_nanos(on_cpu);
        }
        all
    }

    /// How many of its threads have a name that begins so.
    pub fn threads_named(&self, prefix: &str) -> usize {
        let tasks = fs::read_dir(self.proc("task")).unwrap();
        let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.filter(|name| name.starts_with(prefix)).count()
    }

    fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.0.id())
    }

    pub fn status(&self, field: &str) -> usize {
        status(&self.proc("status"), field)
    }

    pub fn resident_kib(&self) -> usize {
        self.status("VmRSS")
    }

    pub fn threads(&self) -> usize {
        self.status("Threads")
    }

    pub fn open_files(&self) -> usize {
        fs::read_dir(self.proc("fd")).unwrap().count()
    }
}

/// A field of this process's own `status`.
pub fn own_status(field: &str) -> usize {
    status("/proc/self/status", field)
}

fn status(path: &str, field: &str) -> usize {
    let status = fs::read_to_string(path).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim_start_matches(':').split_whitespace().next().unwrap().parse().unwrap()
}

/// What this thread has used of a CPU.
pub fn thread_cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}

pub fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
