//! What a start with a full spool and its drain cost: the whole agent against a loop that
//! posts as many bodies of the same size to the same peer, over a kept-alive connection.
//!
//! `cargo bench --bench drain -- [--binary FILE]`. Numbers are of one run on one machine: the
//! ratio is what counts.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use metricsd::host::wall_ms;
use metricsd::spool::{Options, Spool, SyncPolicy};
use support::{Process, Sink, ready};

/// What waits: 10,000 requests, as many bytes as a spool holds by default.
const REQUESTS: usize = 10_000;
const BODY: usize = 6_500;

/// Resident, in KiB, at any time of it.
const BUDGET_KIB: usize = 10_000;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let binary = args.iter().position(|arg| arg == "--binary").map(|at| args[at + 1].as_str());
    let binary = fs::canonicalize(binary.unwrap_or(env!("CARGO_BIN_EXE_metricsd"))).unwrap();
    let dir = std::env::temp_dir().join(format!("metricsd-drain-{}", std::process::id()));
    fill(&dir.join("spool/there"));
    let peer = Sink::start();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": {port}}}, "spool": {{"dir": "{}/spool"}},
            "shipper": {{"name": "there", "type": "prometheus_remote_write", "endpoint": "{}"}}}}"#,
        dir.display(),
        peer.url
    );
    fs::write(dir.join("config.json"), config).unwrap();
    let begun = Instant::now();
    let mut command = Command::new(&binary);
    command.current_dir(&dir).args(["-log-level", "error"]);
    let agent = Process(command.spawn().unwrap());
    ready(port);
    let started = begun.elapsed();
    peer.wait_for(1);
    let first = (Instant::now(), peer.requests());
    peer.wait_for(REQUESTS);
    let took = first.0.elapsed() / (REQUESTS - first.1).max(1) as u32;
    let bare = bare(&Sink::start());
    let rate = |one: Duration| 1.0 / one.as_secs_f64();
    let peak = agent.status("VmHWM");
    println!(
        "a full spool of {REQUESTS} requests, {} MB: ready after {started:.0?}   (budget 1 s)",
        REQUESTS * BODY / 1_000_000
    );
    println!(
        "  metricsd   {:>8.0} requests a second, {:>6.1} us CPU each, at most {peak} KiB resident   (budget {BUDGET_KIB})",
        rate(took),
        agent.cpu().as_secs_f64() * 1e6 / REQUESTS as f64
    );
    println!("  bare loop  {:>8.0} requests a second", rate(bare));
    println!("  ratio      {:>8.2}", bare.as_secs_f64() / took.as_secs_f64());
    drop(agent);
    fs::remove_dir_all(&dir).unwrap();
    assert!(peak < BUDGET_KIB, "{peak} KiB resident");
}

/// A spool as an outage leaves it.
fn fill(dir: &Path) {
    fs::create_dir_all(dir).unwrap();
    let mut options = Options::new(dir, "there");
    options.sync = SyncPolicy::Never;
    // No longer than the bodies: the cap is not what is measured.
    options.max_bytes = 2 * (REQUESTS * BODY) as u64;
    let (mut spool, _) = Spool::open(options, wall_ms()).unwrap();
    let headers = [
        ("Content-Type", "application/x-protobuf"),
        ("Content-Encoding", "snappy"),
        ("X-Prometheus-Remote-Write-Version", "0.1.0"),
    ];
    spool.set_content(headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()).unwrap();
    let body = vec![b'x'; BODY];
    for _ in 0..REQUESTS {
        spool.push(wall_ms(), 300, &body).unwrap();
    }
    spool.close().unwrap();
}

/// The time for one request of a loop without an agent around it.
fn bare(peer: &Sink) -> Duration {
    let head = format!("POST / HTTP/1.1\r\nHost: {}\r\nContent-Length: {BODY}\r\n\r\n", peer.address);
    let mut request = head.into_bytes();
    request.resize(request.len() + BODY, b'x');
    let mut stream = TcpStream::connect(&*peer.address).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut answer = [0; 1024];
    let begun = Instant::now();
    for _ in 0..REQUESTS {
        stream.write_all(&request).unwrap();
        assert!(stream.read(&mut answer).unwrap() > 0);
    }
    begun.elapsed() / REQUESTS as u32
}
