//! Against other people's programs: what the program says of this machine, compared with what
//! the machine says itself, in a real Prometheus; and TLS with OpenSSL and nginx. `make e2e`
//! runs these.

mod agreement;
mod backends;
mod book;
mod clients;
mod first_metricsd;
mod isolation;
mod node_exporter;
mod otlp;
mod outage;
mod receivers;
mod relabel;
mod rules;
mod scrape;
mod secured;
mod soak;
mod tls;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::signal::Signal;

use self::agreement::{NAMES, Rule};
use crate::support::kernel;
use crate::support::peer::{Peer, Reply};
use crate::support::program::{Daemon, TempDir, free_port, metricsd};
use crate::support::prometheus::{Prometheus, Series};
use crate::support::series::native;
use crate::support::wait_for;

/// Labels that every series has, and none of the kernel's figures.
const COMMON: [&str; 4] = ["__name__", "instance", "job", "site"];

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// A metricsd that collects every `interval` seconds.
fn daemon(dir: &TempDir, interval: f64, shippers: &str) -> Daemon {
    Daemon::start(dir.path(), &config(interval, "", shippers))
}

/// Its configuration, with `collector` among the collector's settings.
fn config(interval: f64, collector: &str, shippers: &str) -> String {
    format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT}},
            "collector": {{{collector}"interval_seconds": {interval}}},
            "labels": {{"site": "test \"1\""}}, "shippers": [{shippers}]}}"#
    )
}

fn remote_write(port: u16) -> String {
    format!(r#"{{"type": "prometheus_remote_write", "endpoint": "http://127.0.0.1:{port}/api/v1/write"}}"#)
}

fn host_name() -> String {
    nix::unistd::gethostname().unwrap().into_string().unwrap()
}

/// A series' own labels as [`kernel::series`] writes them.
fn own_name(series: &Series) -> String {
    let labels = series.labels.iter().filter(|(name, _)| !COMMON.contains(&name.as_str()));
    kernel::series(series.name(), labels.map(|(name, value)| (name.as_str(), value.as_str())))
}

#[test]
#[ignore = "needs prometheus: make e2e"]
fn prometheus_scrapes_the_page_and_knows_each_metric_and_its_type() {
    let dir = TempDir::new();
    let daemon = daemon(&dir, 0.25, "");
    let target = format!("127.0.0.1:{}", daemon.port);
    let scrape = format!(
        r#"[{{"job_name": "page", "scrape_interval": "1s", "static_configs": [{{"targets": ["{target}"]}}]}}]"#
    );
    let prometheus = Prometheus::start(dir.path(), free_port(), &scrape);
    wait_for("a scrape", || prometheus.value(r#"up{job="page"}"#).filter(|up| *up == 1.0));
    // It asked for OpenMetrics, which this version prefers.
    let mut page = ureq::get(format!("http://{target}/metrics"))
        .header("Accept", "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
        .call()
        .unwrap();
    let kind = page.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{kind}");
    assert!(page.body_mut().read_to_string().unwrap().ends_with("\n# EOF\n"));

    for (name, rule) in &NAMES {
        let found = prometheus.samples(&format!(r#"{name}{{job="page",instance="{target}"}}[5m]"#));
        assert!(matches!(rule, Rule::RemoteMounts) || !found.is_empty(), "{name} was not scraped");
    }
    let total = kernel::figures(&[])["system_memory_total_bytes"];
    assert_eq!(prometheus.value(r#"system_memory_total_bytes{job="page"}"#), Some(total));

    let metadata = prometheus.api("targets/metadata", &[("match_target", r#"{job="page"}"#)]);
    let metadata = metadata.as_array().unwrap();
    for metric in native() {
        // OpenMetrics names a counter's family without its suffix.
        let family = metric.name.strip_suffix("_total").unwrap_or(metric.name);
        let Some(known) = metadata.iter().find(|known| known["metric"] == family) else {
            assert_eq!(metric.name, "system_disk_stuck", "Prometheus knows nothing of it");
            continue;
        };
        assert_eq!(known["type"], metric.kind.as_str(), "{}", metric.name);
        assert_eq!(known["help"], *metric.help, "{}", metric.name);
        // OpenMetrics has a word for the unit where the name ends with it.
        let unit = if family.ends_with(&format!("_{}", metric.unit)) { metric.unit } else { "" };
        assert_eq!(known["unit"], unit, "{}", metric.name);
    }
}

#[test]
#[ignore = "needs prometheus: make e2e"]
fn promtool_finds_no_fault_with_the_page() {
    let dir = TempDir::new();
    let peer = free_port();
    // Destinations that fail have metrics of their own.
    let daemon = daemon(&dir, 0.25, &remote_write(peer));
    let failed = r#"metricsd_destination_requests_total{destination="prometheus_remote_write",outcome="retried"}"#;
    wait_for("a failed delivery", || (daemon.metric(failed)? > 0.0).then_some(()));
    let (status, page) = daemon.get("/metrics").unwrap();
    assert_eq!(status, 200);
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("cannot start promtool (Debian package: prometheus)");
    promtool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    // A name that was given, and the one thing to forgive. That it is said also shows that
    // the page was looked at.
    let forgiven = "system_cpu_count non-histogram and non-summary metrics should not have \"_count\" suffix";
    assert_eq!(said.lines().collect::<Vec<_>>(), [forgiven]);
}

/// A mount whose server never says a word, in a mount namespace that ends with the program:
/// nobody else's `df` hangs. The file that `exec` keeps open is the server's side.
const HUNG: &str = r#"
    exec 3<>/dev/fuse
    mount -i -t fuse.hung -o fd=3,rootmode=40000,user_id=0,group_id=0 silent "$1" || exit 99
    shift
    exec "$@"
"#;

/// `program` where a mount at `place` never answers.
fn hung(place: &Path, program: &mut Command) -> Command {
    let mut command = Command::new("unshare");
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.args(["--mount", "sh", "-c", HUNG, "sh"]).arg(place).arg(program.get_program());
    command.args(program.get_args()).envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

/// A directory in `dir` for such a mount; none where it can't be made here.
fn hung_place(dir: &TempDir) -> Option<PathBuf> {
    let place = dir.path().join("hung here");
    std::fs::create_dir(&place).unwrap();
    let tried = hung(&place, &mut Command::new("true")).output().unwrap();
    if !tried.status.success() {
        println!("skipped, no FUSE mount can be made here: {}", String::from_utf8_lossy(&tried.stderr));
    }
    tried.status.success().then_some(place)
}

#[test]
#[ignore = "needs the right to mount: make e2e"]
fn a_spool_on_a_disk_that_never_answers_delays_neither_the_start_nor_collection_nor_the_end() {
    let dir = TempDir::new();
    let Some(place) = hung_place(&dir) else { return };
    let peer = Peer::start(|_, _| Reply::status(200));
    let port = free_port();
    let config = format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": {port}}},
            "collector": {{"interval_seconds": 0.25, "filesystem": {{"timeout": "1s"}}}},
            "spool": {{"dir": "{}"}},
            "shippers": [
                {{"name": "spooled", "type": "http_json", "endpoint": "{endpoint}"}},
                {{"name": "other", "type": "http_json", "endpoint": "{endpoint}", "spool": {{"mode": "memory"}}}}
            ]}}"#,
        place.display(),
        endpoint = peer.url("/in")
    );
    let config = dir.write("config.json", &config);
    let mut daemon = Daemon::spawn(&mut hung(&place, metricsd().arg("-config").arg(config)), port);
    wait_for("the other one's ticks", || (peer.received().len() >= 12).then_some(()));
    let rounds = daemon.metric("metricsd_collections_total").unwrap();
    let skipped = daemon.metric("metricsd_collections_skipped_total").unwrap();
    assert!(skipped < rounds / 2.0, "{skipped} rounds were skipped, {rounds} took place");
    let waiting = r#"metricsd_destination_queue_frames{destination="spooled"}"#;
    assert!(daemon.metric(waiting) > Some(0.0), "kept until the disk has shown what goes first");
    let stopped = Instant::now();
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0);
    assert!(stopped.elapsed() < Duration::from_secs(12), "{:?}", stopped.elapsed());
}

#[test]
#[ignore = "needs the right to mount: make e2e"]
fn a_file_system_that_never_answers_shows_as_stuck_and_delays_nothing() {
    let dir = TempDir::new();
    let Some(place) = hung_place(&dir) else { return };
    let port = free_port();
    let config = format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": {port}}},
            "collector": {{"interval_seconds": 0.25, "filesystem": {{"timeout": "1s"}}}}}}"#
    );
    let config = dir.write("config.json", &config);
    let mut daemon = Daemon::spawn(&mut hung(&place, metricsd().arg("-config").arg(config)), port);
    let stuck = format!(r#"system_disk_stuck{{device="silent",fstype="fuse.hung",mountpoint="{}"}}"#, place.display());
    wait_for("the mount to be stuck", || daemon.metric(&stuck).filter(|stuck| *stuck == 1.0));
    // Of the rounds since the start, at four a second, the mount's deadline took none.
    let rounds = wait_for("more rounds", || daemon.metric("metricsd_collections_total").filter(|n| *n >= 12.0));
    let skipped = daemon.metric("metricsd_collections_skipped_total").unwrap();
    assert!(skipped < rounds / 2.0, "{skipped} rounds were skipped, {rounds} took place");
    assert_eq!(daemon.metric(&stuck), Some(1.0));
    assert!(daemon.metric("system_memory_total_bytes").is_some());
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0, "a call that hangs must not keep the program from ending");
}
