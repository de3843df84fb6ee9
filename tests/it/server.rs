//! The HTTP server over real sockets: what it answers, and what it withstands.

use std::collections::HashSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use metricsd::host;
use metricsd::model::{Family, Item, Label, Reading, Recorder, Refused, face};
use metricsd::server::{self, Server, Settings, StartError};
use metricsd::telemetry::{
    CollectorState, CollectorStatus, DestinationState, DestinationStatus, DropReason, Outcome, Round, Subjects,
    Telemetry,
};

use crate::support::program::{Daemon, TempDir, free_port, metricsd};
use crate::support::wait_for;

/// Longer than any deadline of the server's: who waits for this waits for a bug.
const LIMIT: Duration = Duration::from_secs(40);

static VALUE: Reading = Reading {
    native: face(&Family::gauge("test_value", "", "A number."), &[Label::key("series", 0)]),
    node: None,
    otel: None,
};

/// A server on a free port, with a first collection of `series` series behind it.
fn serve(series: usize) -> (Server, Arc<Telemetry>) {
    serve_as(Settings::default(), series)
}

/// The same with these settings, but for the address.
pub fn serve_as(settings: Settings, series: usize) -> (Server, Arc<Telemetry>) {
    let now = host::monotonic();
    let cpu = CollectorStatus::new("cpu");
    let round = Round { state: CollectorState::Ok, at: now, duration: Duration::from_millis(1), series, error: None };
    cpu.ended(round, Refused::default());
    let subjects = Subjects {
        since: now,
        interval: Duration::from_secs(3600),
        collectors: vec![Arc::new(cpu)],
        destinations: vec![Arc::new(DestinationStatus::new("prom", "prometheus_remote_write"))],
        ..Subjects::default()
    };
    let telemetry = Arc::new(Telemetry::new(host::boottime(), host::wall_ms(), subjects));
    let mut out = Recorder::new("cpu", series);
    for i in 0..series {
        out.item(&Item::new(&[&i.to_string()])).push(&VALUE, i as f64);
    }
    telemetry.latest.put(&out.finish(host::wall_ms()), now);
    telemetry.collected(now, 0);
    let settings = Settings { host: "127.0.0.1".to_owned(), port: 0, ..settings };
    (server::start(&settings, Arc::clone(&telemetry), "testhost").unwrap(), telemetry)
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, LIMIT).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
    stream
}

/// Reads to the end; a reset fails the test, since it can cost the client its answer.
fn read_all(mut stream: &TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    fn read(stream: &TcpStream) -> Answer {
        Answer::of(&read_all(stream))
    }

    pub fn of(text: &str) -> Answer {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in {text:?}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// Sends `bytes` as they are and takes the answer.
pub fn send(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Answer {
    let mut stream = connect(address);
    stream.write_all(bytes.as_ref()).unwrap();
    Answer::read(&stream)
}

fn ask(address: SocketAddr, method: &str, path: &str, accept: &str) -> Answer {
    send(address, format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nAccept: {accept}\r\n\r\n"))
}

/// Waits for `what` to become true.
pub fn until(what: &str, mut is: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < LIMIT, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sockets of this process whose own end is `port`: the listener, and connections that the
/// server holds. Other tests of this process have other ports.
pub fn server_sockets(port: u16) -> usize {
    let mine: HashSet<String> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.trim_end_matches(']').to_owned()))
        .collect();
    let suffix = format!(":{port:04X}");
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let rows = table.lines().skip(1).map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[1].ends_with(&suffix) && mine.contains(row[9])).count()
}

fn threads() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().find_map(|line| line.strip_prefix("Threads:")).unwrap().trim().parse().unwrap()
}

/// A probe's view: connect, ask, read it all.
fn health_takes(address: SocketAddr) -> Duration {
    let start = Instant::now();
    assert_eq!(ask(address, "GET", "/health", "*/*").status, 200);
    start.elapsed()
}

#[test]
fn every_page_is_there_for_get_and_head() {
    let (server, _telemetry) = serve(3);
    let at = server.local_addr();
    for (path, content_type, beginning) in [
        ("/", "text/html; charset=utf-8", "<!doctype html>"),
        ("/health", "application/json", "{\"status\":\"healthy\",\"timestamp\":\""),
        ("/ready", "text/plain; charset=utf-8", "ready\n"),
        ("/live", "text/plain; charset=utf-8", "alive\n"),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8", "# HELP test_value A number.\n"),
    ] {
        let get = ask(at, "GET", path, "*/*");
        assert_eq!((get.status, get.field("Content-Type")), (200, Some(content_type)), "{path}");
        assert!(get.body.starts_with(beginning), "{path}: {}", get.body);
        assert_eq!(get.field("Content-Length"), Some(&*get.body.len().to_string()), "{path}");
        assert_eq!(get.field("Connection"), Some("close"), "{path}");
        let head = ask(at, "HEAD", path, "*/*");
        assert_eq!((head.status, head.field("Content-Type")), (200, Some(content_type)), "HEAD {path}");
        assert_eq!(head.body, "", "HEAD {path}");
        assert!(head.field("Content-Length").is_some_and(|length| length != "0"), "HEAD {path}");
        assert_eq!(ask(at, "PUT", path, "*/*").status, 405, "{path}");
    }
    let post = ask(at, "POST", "/health", "*/*");
    assert_eq!((post.status, post.field("Allow")), (405, Some("GET, HEAD")));
    assert_eq!(ask(at, "GET", "/nothing", "*/*").status, 404);
}

#[test]
fn openmetrics_comes_to_those_who_ask() {
    let (server, _telemetry) = serve(3);
    let answer = ask(
        server.local_addr(),
        "GET",
        "/metrics",
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
    );
    assert_eq!(answer.field("Content-Type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(answer.body.contains("\ntest_value{series=\"2\"} 2\n"), "{}", answer.body);
    assert!(answer.body.contains("\n# TYPE metricsd_collections counter\nmetricsd_collections_total 1\n"));
    assert!(answer.body.contains("\nprocess_resident_memory_bytes "));
    assert!(answer.body.ends_with("\n# EOF\n"), "{}", answer.body);
}

#[test]
fn what_is_no_request_is_refused_and_the_next_one_served() {
    let (server, _telemetry) = serve(1);
    let at = server.local_addr();
    let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(20_000));
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "a: b\r\n".repeat(500));
    for (bytes, status) in [
        (&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 TLS"[..], 400),
        (b"SSH-2.0-OpenSSH_9.9\r\n", 400),
        (b"GET /health HTTP/1.1\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (long.as_bytes(), 431),
        (many.as_bytes(), 431),
    ] {
        assert_eq!(send(at, bytes).status, status, "{:?}", String::from_utf8_lossy(&bytes[..20]));
        assert_eq!(ask(at, "GET", "/health", "*/*").status, 200);
    }
}

#[test]
fn a_request_may_come_in_pieces() {
    let (server, _telemetry) = serve(1);
    let mut stream = connect(server.local_addr());
    stream.set_nodelay(true).unwrap();
    for byte in b"GET /live HTTP/1.1\r\nHost: a\r\n\r\n" {
        stream.write_all(&[*byte]).unwrap();
    }
    assert_eq!(Answer::read(&stream).body, "alive\n");
}

#[test]
fn what_follows_a_request_does_not_cost_its_answer() {
    let (server, _telemetry) = serve(2000);
    let at = server.local_addr();
    let twice = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100);
    let answer = send(at, twice);
    assert_eq!((answer.status, answer.body.matches("HTTP/1.1").count()), (200, 0));
    assert!(answer.body.contains("process_open_fds"), "the page is whole");
    let junk = [&b"GET /live HTTP/1.1\r\nHost: a\r\n\r\n"[..], &[b'x'; 30_000][..]].concat();
    assert_eq!(send(at, junk).body, "alive\n");
    let body = format!("POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 30000\r\n\r\n{}", "x".repeat(30_000));
    assert_eq!(send(at, body).status, 405);
}

#[test]
fn a_half_closed_client_gets_its_answer() {
    let (server, _telemetry) = serve(1);
    for (bytes, status) in [("GET /live HTTP/1.1\r\nHost: a\r\n\r\n", 200), ("GET /live HTTP/1.1\r\nHost", 400)] {
        let mut stream = connect(server.local_addr());
        stream.write_all(bytes.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(Answer::read(&stream).status, status);
    }
    let silent = connect(server.local_addr());
    silent.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&silent), "");
}

#[test]
fn a_head_that_trickles_in_has_five_seconds() {
    let (server, _telemetry) = serve(1);
    let start = Instant::now();
    let mut stream = connect(server.local_addr());
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\nX: ").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    // Until something comes back; to wait for that is to trickle on.
    while stream.peek(&mut [0]).is_err() {
        assert!(start.elapsed() < LIMIT);
        // It may be refused: the server has stopped to listen, the answer is on its way.
        let _ = stream.write_all(b"x");
    }
    assert!(start.elapsed() > Duration::from_secs(4), "{:?}", start.elapsed());
    assert_eq!(Answer::read(&stream).status, 408);
    until("the connection is gone", || server_sockets(server.local_addr().port()) == 1);
}

#[test]
fn clients_that_never_read_hold_up_nobody() {
    // A page of some 4 MB: more than the kernel's buffers take off our hands.
    let (server, _telemetry) = serve(150_000);
    let at = server.local_addr();
    let deaf: Vec<TcpStream> = (0..12)
        .map(|_| {
            let mut stream = connect(at);
            stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            stream
        })
        .collect();
    for _ in 0..3 {
        assert!(health_takes(at) < Duration::from_secs(10));
        let answer = ask(at, "GET", "/metrics", "*/*");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.field("Content-Length"), Some(&*answer.body.len().to_string()));
    }
    until("the deaf are cut off", || server_sockets(at.port()) == 1);
    drop(deaf);
}

/// How many clients a crowd has: 2,000 where this process may open as many files, and as
/// many again for a test beside it.
pub fn crowd() -> usize {
    let (soft, hard) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap();
    let wanted = 8192.min(hard);
    if soft < wanted {
        nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, wanted, hard).unwrap();
    }
    2000.min((wanted.max(soft) as usize - 400) / 2)
}

#[test]
fn two_thousand_idle_and_trickling_clients_starve_nobody() {
    let (server, _telemetry) = serve(1);
    let at = server.local_addr();
    let crowd = crowd();
    let threads_before = threads();

    let mut slowest = Duration::ZERO;
    // Eight at a time, so that they come faster than they are made to go.
    let mut idle: Vec<TcpStream> = std::thread::scope(|scope| {
        let openers: Vec<_> =
            (0..8).map(|_| scope.spawn(|| (0..crowd / 8).map(|_| connect(at)).collect::<Vec<_>>())).collect();
        while openers.iter().any(|opener| !opener.is_finished()) {
            slowest = slowest.max(health_takes(at));
        }
        openers.into_iter().flat_map(|opener| opener.join().unwrap()).collect()
    });
    until("64 connections and the listener are left", || server_sockets(at.port()) <= 1 + 64);
    for round in 0..5 {
        for stream in &mut idle {
            // Most of them have been pushed out by now.
            let _ = stream.write(if round == 0 { b"GET / HTTP/1.1\r\n" } else { b"x" });
        }
        slowest = slowest.max(health_takes(at));
    }
    // The promise is a second; the rest is for a machine that is busy with other tests.
    assert!(slowest < Duration::from_secs(2), "/health took {slowest:?}");
    // Other tests start threads as well, but not hundreds.
    assert!(threads() < threads_before + 100, "{} threads after {threads_before}", threads());

    let pushed_out = idle.iter().filter(|stream| is_closed(stream)).count();
    assert!(pushed_out + 64 >= idle.len(), "{pushed_out} of {} made room", idle.len());
    drop(idle);
    until("all of them are gone", || server_sockets(at.port()) == 1);
    assert_eq!(ask(at, "GET", "/live", "*/*").status, 200);
}

/// Whether the server has answered or closed its end.
fn is_closed(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    !matches!(stream.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn a_port_that_is_taken_is_told_apart() {
    let (server, telemetry) = serve(1);
    let start = |host: &str, port| {
        server::start(&Settings { host: host.to_owned(), port, ..Settings::default() }, telemetry.clone(), "h")
    };
    let port = server.local_addr().port();
    let taken = start("127.0.0.1", port).unwrap_err();
    assert!(matches!(taken, StartError::Taken(..)), "{taken:?}");
    assert!(taken.to_string().starts_with(&format!("cannot listen on 127.0.0.1:{port}: ")), "{taken}");
    // 192.0.2.0/24 is nobody's (RFC 5737), .invalid never resolves (RFC 6761).
    assert!(matches!(start("192.0.2.1", 0), Err(StartError::NotLocal(..))));
    assert!(matches!(start("host.invalid", 0), Err(StartError::Resolve(..))));
}

#[test]
fn stopping_frees_the_port_at_once() {
    let (server, telemetry) = serve(1);
    let at = server.local_addr();
    let mut idle = connect(at);
    assert_eq!(ask(at, "GET", "/live", "*/*").status, 200);
    let start = Instant::now();
    server.stop();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert!(!matches!(idle.read(&mut [0]), Ok(1..)), "closed or reset");
    assert_eq!(server_sockets(at.port()), 0);
    let again = server::start(
        &Settings { host: "127.0.0.1".to_owned(), port: at.port(), ..Settings::default() },
        telemetry,
        "h",
    )
    .unwrap();
    assert_eq!(ask(again.local_addr(), "GET", "/live", "*/*").status, 200);
}

/// A gauge or counter of that name, with these labels in order.
macro_rules! reading {
    ($kind:ident, $name:literal, $($label:literal),*) => {{
        const LABELS: &[Label] = &labels(&[$($label),*]);
        static READING: Reading =
            Reading { native: face(&Family::$kind($name, "", ""), LABELS), node: None, otel: None };
        &READING
    }};
}

const fn labels<const N: usize>(names: &[&'static str; N]) -> [Label<'static>; N] {
    let mut labels = [const { Label::constant("", "") }; N];
    let mut at = 0;
    while at < N {
        labels[at] = Label::key(names[at], at);
        at += 1;
    }
    labels
}

/// What stands in the row or card that begins with `title`, without markup.
fn words_of(page: &str, title: &str) -> String {
    let from = page.find(title).unwrap_or_else(|| panic!("no {title} in {page}")) + title.len();
    let rest = &page[from..];
    let to = ["</tr>", "</section>"].iter().filter_map(|end| rest.find(end)).min().unwrap();
    let mut words = String::new();
    for part in rest[..to].split('<') {
        words.push_str(part.split_once('>').map_or(part, |(_, text)| text));
        words.push(' ');
    }
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Sixty seconds apart, with counters of the disk `sda` and of an interface with a bad name.
fn put_round(telemetry: &Telemetry, at: u64, counted: f64) {
    let put = |out: &mut Recorder| telemetry.latest.put(&out.finish(at as i64 * 1000), Duration::from_secs(at));
    let mut disks = Recorder::new("disk", 100);
    let sda = Item::new(&["sda"]);
    let mut disk = disks.item(&sda);
    disk.push(reading!(counter, "system_disk_read_count_total", "device"), counted);
    disk.push(reading!(counter, "system_disk_read_bytes_total", "device"), counted * 1024.0);
    disk.push(reading!(counter, "system_disk_write_bytes_total", "device"), -counted);
    drop(disk);
    put(&mut disks);
    let mut network = Recorder::new("network", 100);
    let named = Item::new(&["<script>&\"'"]);
    let mut interface = network.item(&named);
    interface.push(reading!(counter, "system_network_bytes_recv_total", "interface"), counted * 1024.0 * 1024.0);
    interface.push(reading!(counter, "system_network_errors_in_total", "interface"), 3.0);
    interface.push(reading!(counter, "system_network_errors_out_total", "interface"), 4.0);
    drop(interface);
    put(&mut network);
}

#[test]
fn the_page_shows_what_people_look_at_first() {
    let (server, telemetry) = serve(1);
    let page = || ask(server.local_addr(), "GET", "/", "*/*").body;
    let mut mounts = Recorder::new("filesystem", 100);
    for (mount, total, percent) in [("/", 2048.0, 40.0), ("/srv/<b>full</b>", 1024.0, 96.5)] {
        let item = Item::new(&["/dev/sda1", mount, "ext4"]);
        let mut row = mounts.item(&item);
        row.push(reading!(gauge, "system_disk_total_bytes", "device", "mountpoint", "fstype"), total);
        row.push(reading!(gauge, "system_disk_usage_percent", "device", "mountpoint", "fstype"), percent);
    }
    let nas = Item::new(&["nas:/x", "/mnt/nas", "nfs4"]);
    mounts.item(&nas).push(reading!(gauge, "system_disk_stuck", "device", "mountpoint", "fstype"), 1.0);
    telemetry.latest.put(&mounts.finish(0), Duration::ZERO);
    put_round(&telemetry, 60, 100.0);
    let first = page();
    assert_eq!(words_of(&first, ">/<p"), "/dev/sda1, ext4 40.0 % – 2.0 KiB");
    assert_eq!(words_of(&first, "/srv/&lt;b&gt;full&lt;/b&gt;"), "/dev/sda1, ext4 96.5 % – 1.0 KiB");
    assert!(
        first.contains("<svg class=\"bar bad\" aria-hidden=\"true\"><rect width=\"96.5%\" height=\"100%\"/></svg>")
    );
    assert_eq!(words_of(&first, "/mnt/nas"), "nas:/x, nfs4 does not answer –");
    // A rate takes two rounds; what steps back has none.
    assert_eq!(words_of(&first, "sda</th>"), "– – – –");
    put_round(&telemetry, 120, 220.0);
    let second = page();
    assert_eq!(words_of(&second, "sda</th>"), "2.0 KiB/s – 2.0/s –");
    assert_eq!(words_of(&second, "&lt;script&gt;&amp;&quot;&#39;"), "2.0 MiB/s – 7 0");
    assert!(!second.contains("<script") && !second.contains("<b>"), "{second}");
    // Collected each hour here; the rest changes in between.
    assert!(second.contains("<meta http-equiv=\"refresh\" content=\"60\">"));
    let asks_elsewhere = ["src=", "@import", "url(", "<link", "http://", "https://"];
    assert!(!asks_elsewhere.iter().any(|what| second.contains(what)), "{second}");
    let policy = ask(server.local_addr(), "GET", "/", "*/*");
    let policy = policy.field("Content-Security-Policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
}

#[test]
fn the_page_shows_how_each_destination_is() {
    let (server, telemetry) = serve(1);
    let words = || words_of(&ask(server.local_addr(), "GET", "/", "*/*").body, ">prom");
    let status = Arc::clone(&telemetry.subjects().destinations[0]);
    assert_eq!(words(), "prometheus_remote_write waiting nothing delivered yet");
    status.delivered(10, 100, host::wall_ms());
    assert!(words().starts_with("prometheus_remote_write ok last delivery "), "{}", words());
    status.failed(Outcome::Retried, DestinationState::Retrying, "timed <out>".to_owned());
    status.queue(2, 2048, Some(host::wall_ms() - 3_600_000));
    status.dropped(DropReason::Rejected, 12, host::monotonic());
    let said = words();
    assert!(said.starts_with("prometheus_remote_write retrying timed &lt;out&gt; last delivery "), "{said}");
    assert!(said.contains("; 2.0 KiB wait, for 1h0m") && said.ends_with("; 12 samples lost"), "{said}");
}

#[test]
fn a_page_of_ten_thousand_interfaces_shows_the_busiest() {
    let (server, telemetry) = serve(1);
    for round in 1..=2 {
        let mut out = Recorder::new("network", 20_000);
        for i in 0..10_000_u64 {
            let bytes = if i % 1000 == 999 { round * i } else { 0 };
            out.item(&Item::new(&[&format!("eth{i}.")]))
                .push(reading!(counter, "system_network_bytes_recv_total", "interface"), bytes as f64);
        }
        telemetry.latest.put(&out.finish(round as i64 * 1000), Duration::from_secs(round));
    }
    let page = ask(server.local_addr(), "GET", "/", "*/*").body;
    assert_eq!(page.matches("<tr><th scope=\"row\">eth").count(), 50);
    for busy in (999..10_000).step_by(1000) {
        assert!(page.contains(&format!("eth{busy}.")), "{busy}");
    }
    assert!(page.contains("and 9950 more"), "{page}");
}

#[test]
fn the_page_of_a_host_says_what_its_files_say() {
    let dir = TempDir::new();
    let port = free_port();
    let config =
        format!(r#"{{"server": {{"host": "127.0.0.1", "port": {port}}}, "collector": {{"interval_seconds": 0.2}}}}"#);
    let config = dir.write("config.json", &config);
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/vm");
    let daemon = Daemon::spawn(metricsd().arg("-config").arg(&config).args(["-root", root]), port);
    // Of a file that stays as it is nothing is transferred.
    let page = wait_for("two rounds", || daemon.get("/").map(|(_, page)| page).filter(|page| page.contains("0 B/s")));
    assert_eq!(words_of(&page, "<h2>CPU</h2>"), "– 2 cores, load 0.42 0.37 0.31");
    // 1648361472 of 4121952256 bytes, 536870912 of 2147479552.
    assert_eq!(words_of(&page, "<h2>Memory</h2>"), "40.0 % 1.5 GiB of 3.8 GiB in use, 2.3 GiB available");
    assert_eq!(words_of(&page, "<h2>Swap</h2>"), "25.0 % 512 MiB of 2.0 GiB in use");
    assert_eq!(words_of(&page, ">vda</th>"), "0 B/s 0 B/s 0/s 0/s");
    assert_eq!(words_of(&page, ">eth0</th>"), "0 B/s 0 B/s 0 12");
    assert!(page.contains("none is configured"), "{page}");
}
