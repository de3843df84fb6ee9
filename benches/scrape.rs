//! What scraping costs: 100,000 series of one target whose values change, into remote write, and
//! what Prometheus' agent mode and vmagent take for the same, in the same run.
//!
//! Targets and sink are this process, so that neither counts; the CPU time of the programs is read
//! with `clock_getcpuclockid`, to the nanosecond, over a number of scrapes that the target has
//! counted. The others' packages in Debian are `prometheus` and `victoria-metrics`; one that is not
//! there is left out, and said.
//!
//! `cargo bench --bench scrape -- [--scrapes N] [--interval SECONDS] [--binary FILE] [--only WORD]`

mod support;

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;

use support::budget::{end, measured, measured_at_least, told};
use support::{Process, Sink, us};

/// Of the one large target.
const SERIES: usize = 100_000;

/// A hundredth of them is replaced where some are.
const REPLACED: usize = SERIES / 100;

/// Small targets, and the series of each.
const TARGETS: usize = 1000;
const SERIES_OF_ONE: usize = 100;

/// Scrapes until all that is kept has been made.
const WARM_UP: usize = 5;

/// Ten rules, of which the last keeps each tenth series.
const RULES: &str = r#"
    {"drop": {"name": "go_.*|process_.*"}},
    {"relabel": {"source_labels": ["method", "code"], "regex": "GET;200", "target_label": "kind", "replacement": "ok"}},
    {"relabel": {"action": "labeldrop", "regex": "pod_.*"}},
    {"relabel": {"action": "labelmap", "regex": "container_(.+)"}},
    {"rename": {"name": "cache_(.*)", "to": "store_$1"}},
    {"add_labels": {"site": "north"}},
    {"drop": {"labels": {"path": ".*/private/.*"}}},
    {"relabel": {"action": "lowercase", "source_labels": ["method"], "target_label": "method"}},
    {"relabel": {"action": "hashmod", "source_labels": ["path"], "target_label": "shard", "modulus": 8}},
    {"keep": {"labels": {"path": ".*7"}}}"#;

/// Which series are replaced at each scrape.
#[derive(Clone, Copy, PartialEq)]
enum Churn {
    None,
    /// Here and there.
    Scattered,
    /// One behind the other.
    Neighbours,
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let value = |flag: &str| args.iter().position(|arg| arg == flag).map(|at| args[at + 1].clone());
    let scrapes: usize = value("--scrapes").map_or(15, |text| text.parse().unwrap());
    let interval: f64 = value("--interval").map_or(2.0, |text| text.parse().unwrap());
    let binary = value("--binary").unwrap_or_else(|| env!("CARGO_BIN_EXE_metricsd").to_owned());
    let only = value("--only").unwrap_or_default();
    let is_wanted = |what: &str| only.is_empty() || what.contains(&only) || what == "steady";
    let bench = Bench { binary: fs::canonicalize(binary).unwrap(), scrapes, interval };
    println!("{}", bench.binary.display());
    println!("{SERIES} series of one target, {scrapes} scrapes each {interval} s, remote write 1.0");

    let large = |churn, gzip| App::start(1, move |_| Box::new(Large::new(churn)), gzip);
    let steady = bench.ours(&large(Churn::None, false), "", interval, 1);
    let per_1000 = |cost: &Cost| cost.scrape / 1e3 / (SERIES as f64 / 1e3);
    measured("steady: CPU of 1,000 samples", per_1000(&steady), "ms", 0.25);
    measured("steady: resident", steady.resident_mb, "MB", 60.0);
    told("steady: resident at most", steady.peak_mb, "MB");
    told("steady: page", steady.page_mb, "MB");
    told("steady: sent a scrape", steady.sent_mb, "MB");
    let against = |what: &str, churn, gzip, rules: &str, budget: Option<f64>| {
        if !is_wanted(what) {
            return;
        }
        let cost = bench.ours(&large(churn, gzip), rules, interval, 1);
        told(&format!("{what}: CPU of 1,000 samples"), per_1000(&cost), "ms");
        let ratio = cost.scrape / steady.scrape;
        match budget {
            Some(budget) => measured(&format!("{what}: against steady"), ratio, "", budget),
            None => told(&format!("{what}: against steady"), ratio, ""),
        }
        told(&format!("{what}: resident"), cost.resident_mb, "MB");
        assert!(!gzip || cost.page_mb < steady.page_mb / 2.0, "the page came unpacked");
    };
    against("gzipped", Churn::None, true, "", None);
    against("1 % replaced, scattered", Churn::Scattered, false, "", Some(4.0));
    against("1 % replaced, neighbours", Churn::Neighbours, false, "", Some(2.0));
    against("ten rules that keep a tenth", Churn::None, false, RULES, Some(1.0));

    for (what, agent) in [("Prometheus' agent mode", Other::PrometheusAgent), ("vmagent", Other::VmAgent)] {
        if !is_wanted(what) {
            continue;
        }
        match bench.theirs(&large(Churn::None, false), agent) {
            Some(cost) => {
                told(&format!("{what}: CPU of 1,000 samples"), per_1000(&cost), "ms");
                told(&format!("{what}: resident"), cost.resident_mb, "MB");
                told(&format!("{what}: sent a scrape"), cost.sent_mb, "MB");
                measured_at_least(&format!("{what}: against ours"), cost.scrape / steady.scrape, "", 10.0);
            }
            None => println!("  {what}: is not installed, so it was not measured"),
        }
    }

    if is_wanted("targets") {
        println!("{TARGETS} targets of {SERIES_OF_ONE} series, each 10 s");
        let app = App::start(TARGETS, |at| Box::new(Small(at)), false);
        let cost = bench.ours(&app, "", 10.0, TARGETS);
        let samples = TARGETS * SERIES_OF_ONE;
        told("CPU of 1,000 samples", cost.scrape * TARGETS as f64 / 1e3 / (samples as f64 / 1e3), "ms");
        measured("resident", cost.resident_mb, "MB", 30.0);
        told("resident at most", cost.peak_mb, "MB");
        measured("threads that scrape", cost.scrapers as f64, "", 32.0);
        measured("scrapes that did not take place", cost.missing, "", 0.0);
    }
    end();
}

/// What a program cost. Times in microseconds.
struct Cost {
    scrape: f64,
    resident_mb: f64,
    peak_mb: f64,
    page_mb: f64,
    sent_mb: f64,
    scrapers: usize,
    missing: f64,
}

#[derive(Clone, Copy)]
enum Other {
    PrometheusAgent,
    VmAgent,
}

struct Bench {
    binary: PathBuf,
    scrapes: usize,
    interval: f64,
}

impl Bench {
    /// metricsd, which scrapes `targets` of `app`.
    fn ours(&self, app: &App, rules: &str, interval: f64, targets: usize) -> Cost {
        let sink = Sink::start();
        let dir = Dir::new();
        let port = free_port();
        // By default none is asked for on loopback.
        let compression = if app.gzip { "gzip" } else { "none" };
        let endpoints: Vec<String> = (0..targets)
            .map(|at| {
                format!(r#"{{"name": "t{at}", "url": "http://{}/{at}", "compression": "{compression}"}}"#, app.address)
            })
            .collect();
        let config = format!(
            r#"{{"server": {{"host": "127.0.0.1", "port": {port}}}, "spool": {{"mode": "memory"}},
                "collector": {{"interval_seconds": {interval}, "preset": "none"}}, "transforms": [{rules}],
                "shippers": [{{"type": "prometheus_remote_write", "endpoint": "{}api/v1/write"}}], "endpoints": [{}]}}"#,
            sink.url,
            endpoints.join(",")
        );
        let config = dir.write("config.json", &config);
        let mut command = Command::new(&self.binary);
        command.arg("-config").arg(config).args(["-log-level", "warn"]);
        // What others have left where a service keeps its own is none of this.
        command.env("STATE_DIRECTORY", &dir.0);
        let process = Process(command.spawn().unwrap());
        self.measure(&process, app, &sink, interval, targets)
    }

    /// Another program that does the same; none where it is not there.
    fn theirs(&self, app: &App, which: Other) -> Option<Cost> {
        let sink = Sink::start();
        let dir = Dir::new();
        let (interval, listen) = (self.interval, format!("127.0.0.1:{}", free_port()));
        let scrape = format!(
            "global: {{scrape_interval: {interval}s, scrape_timeout: {interval}s}}\nscrape_configs:\n\
             - {{job_name: t0, metrics_path: /0, static_configs: [{{targets: ['{}']}}]}}\n",
            app.address
        );
        let mut command = match which {
            Other::PrometheusAgent => {
                let config = dir.write("agent.yml", &format!("{scrape}remote_write: [{{url: '{}'}}]\n", sink.url));
                let mut command = Command::new("prometheus");
                command.args(["--enable-feature=agent", &format!("--web.listen-address={listen}")]);
                command.arg(format!("--storage.agent.path={}", dir.0.join("data").display()));
                command.arg(format!("--config.file={}", config.display()));
                command
            }
            Other::VmAgent => {
                let config = dir.write("scrape.yml", &scrape);
                let mut command = Command::new("vmagent");
                command.args([format!("-httpListenAddr={listen}"), format!("-remoteWrite.url={}", sink.url)]);
                command.arg(format!("-remoteWrite.tmpDataPath={}", dir.0.join("data").display()));
                command.arg(format!("-promscrape.config={}", config.display()));
                command
            }
        };
        command.current_dir(&dir.0).stdout(Stdio::null()).stderr(Stdio::null());
        let process = Process(command.spawn().ok()?);
        Some(self.measure(&process, app, &sink, interval, 1))
    }

    /// The cost of one scrape once it is steady.
    fn measure(&self, process: &Process, app: &App, sink: &Sink, interval: f64, targets: usize) -> Cost {
        // Many targets are measured over as many rounds as take as long.
        let rounds = if targets > 1 { (self.scrapes / 3).max(2) } else { self.scrapes };
        let warm = if targets > 1 { 2 } else { WARM_UP };
        app.wait_for(warm * targets, interval);
        // The round that is under way has been sent by then.
        std::thread::sleep(Duration::from_secs_f64(interval / 2.0));
        let (cpu, served, sent) = (process.cpu(), app.served(), sink.bytes());
        let begun = Instant::now();
        std::thread::sleep(Duration::from_secs_f64(interval * rounds as f64));
        let (cpu, served, sent) = (process.cpu() - cpu, app.served() - served, sink.bytes() - sent);
        let took = begun.elapsed();
        assert!(served > 0 && sent > 0, "nothing was scraped, or nothing sent, in {took:?}");
        let mb = |kib: usize| kib as f64 * 1024.0 / 1e6;
        Cost {
            scrape: us(cpu) / served as f64,
            resident_mb: mb(process.resident_kib()),
            peak_mb: mb(process.status("VmHWM")),
            page_mb: app.page.load(Ordering::Relaxed) as f64 / 1e6,
            sent_mb: sent as f64 / served as f64 / 1e6,
            scrapers: process.threads_named("scrape-"),
            // One a target may fall to either side of the end.
            missing: ((rounds - 1) * targets).saturating_sub(served) as f64,
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A directory that is gone with this.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Dir {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("metricsd-scrape-{}-{count}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Dir(dir)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path: PathBuf = Path::new(&self.0).join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a target says, other numbers each time.
trait Target: Send {
    fn page(&mut self, page: &mut String);
}

/// The large one.
struct Large {
    churn: Churn,
    round: usize,
    /// How often each series was replaced.
    generations: Vec<u32>,
}

impl Large {
    fn new(churn: Churn) -> Large {
        Large { churn, round: 0, generations: vec![0; SERIES] }
    }
}

impl Target for Large {
    fn page(&mut self, page: &mut String) {
        let round = self.round;
        self.round += 1;
        let (from, step) = match self.churn {
            Churn::None => (0, 0),
            Churn::Scattered => (37 * round % 100, SERIES / REPLACED),
            Churn::Neighbours => (17 * REPLACED * round % SERIES, 1),
        };
        let count = if self.churn == Churn::None { 0 } else { REPLACED };
        (0..count).for_each(|at| self.generations[(from + at * step) % SERIES] += 1);
        let families = [
            ("http_requests_total", "counter"),
            ("cache_hits_total", "counter"),
            ("queue_depth", "gauge"),
            ("latency_seconds", "gauge"),
        ];
        let each = SERIES / families.len();
        for (at, (name, kind)) in families.into_iter().enumerate() {
            let _ = writeln!(page, "# HELP {name} Something that is counted.\n# TYPE {name} {kind}");
            for item in 0..each {
                let number = at * each + item;
                let generation = match self.generations[number] {
                    0 => String::new(),
                    generation => format!("-{generation}"),
                };
                let _ = write!(page, "{name}{{method=\"GET\",path=\"/api/v1/item/{generation}{item}\",code=\"200\"}} ");
                let _ = match kind {
                    "counter" => writeln!(page, "{}", item * 7 + round * 13),
                    _ => writeln!(page, "{}", fraction(number + round * SERIES)),
                };
            }
        }
    }
}

/// A small one.
struct Small(usize);

impl Target for Small {
    fn page(&mut self, page: &mut String) {
        self.0 += TARGETS;
        page.push_str("# HELP jobs_total Jobs that were done.\n# TYPE jobs_total counter\n");
        for at in 0..SERIES_OF_ONE / 2 {
            let _ = writeln!(page, "jobs_total{{queue=\"q{at}\",host=\"h{}\"}} {}", self.0 % TARGETS, self.0 + at);
        }
        page.push_str("# HELP took_seconds How long the last one took.\n# TYPE took_seconds gauge\n");
        for at in 0..SERIES_OF_ONE / 2 {
            let _ = writeln!(page, "took_seconds{{queue=\"q{at}\"}} {}", fraction(self.0 + at));
        }
    }
}

/// A number with as many digits as gauges have that were divided.
fn fraction(seed: usize) -> f64 {
    let mixed = (seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 11) as f64 / (1_u64 << 53) as f64 * 1000.0
}

/// Targets below one address, by number: their path.
struct App {
    address: String,
    gzip: bool,
    served: Arc<AtomicUsize>,
    /// How large the last page was, as it was sent.
    page: Arc<AtomicUsize>,
}

impl App {
    fn start(count: usize, target: impl Fn(usize) -> Box<dyn Target>, gzip: bool) -> App {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (served, page) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let targets: Arc<Vec<_>> = Arc::new((0..count).map(|at| Mutex::new(target(at))).collect());
        let app = App { address, gzip, served: Arc::clone(&served), page: Arc::clone(&page) };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (targets, served, page) = (Arc::clone(&targets), Arc::clone(&served), Arc::clone(&page));
                std::thread::spawn(move || serve(stream.unwrap(), &targets, gzip, &served, &page));
            }
        });
        app
    }

    fn served(&self) -> usize {
        self.served.load(Ordering::Relaxed)
    }

    fn wait_for(&self, count: usize, interval: f64) {
        let patience = Duration::from_secs_f64(60.0 + 4.0 * interval * count as f64);
        let begun = Instant::now();
        while self.served() < count {
            assert!(begun.elapsed() < patience, "{} scrapes after {patience:?}", self.served());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn serve(stream: TcpStream, targets: &[Mutex<Box<dyn Target>>], gzip: bool, served: &AtomicUsize, size: &AtomicUsize) {
    let _ = stream.set_nodelay(true);
    let Ok(mut out) = stream.try_clone() else { return };
    let mut lines = BufReader::new(stream).lines();
    let mut page = String::new();
    while let Some(Ok(first)) = lines.next() {
        let mut takes_gzip = false;
        for line in lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()) {
            let line = line.to_ascii_lowercase();
            takes_gzip |= line.starts_with("accept-encoding:") && line.contains("gzip");
        }
        let number = first.split(['/', ' ']).find_map(|word| word.parse::<usize>().ok());
        let Some(target) = number.and_then(|at| targets.get(at)) else { return };
        page.clear();
        target.lock().unwrap().page(&mut page);
        let mut body = page.as_bytes();
        let (mut packed, mut encoding) = (Vec::new(), "");
        if gzip && takes_gzip {
            let mut encoder = GzEncoder::new(&mut packed, Compression::fast());
            encoder.write_all(body).unwrap();
            encoder.finish().unwrap();
            (body, encoding) = (&packed, "Content-Encoding: gzip\r\n");
        }
        size.store(body.len(), Ordering::Relaxed);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n{encoding}Content-Length: {}\r\n\r\n",
            body.len()
        );
        if out.write_all(head.as_bytes()).is_err() || out.write_all(body).is_err() {
            return;
        }
        served.fetch_add(1, Ordering::Relaxed);
    }
}
