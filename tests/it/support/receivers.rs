//! Receivers newer than the system's packages, which `make e2e` fetches into a cache.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::program::free_port;
use super::prometheus::Prometheus;

/// Where scripts in `tests/it/e2e` put what they fetch.
fn cache() -> PathBuf {
    let home = std::env::var("HOME").expect("HOME is not set");
    Path::new(&home).join(".cache/metricsd-e2e")
}

/// What starts `program`, which `fetch-receivers` puts there.
fn program(program: &str) -> Option<Command> {
    let place = if program == "influxd" { "bookworm-influxdb" } else { "forky" };
    at(cache().join(place).join("run").join(program), "METRICSD_E2E_EXCUSE")
}

/// None where what would have it could not be reached, as the variable `excuse` says. That is
/// said on the real standard error: it must not pass for a test that ran.
fn at(path: PathBuf, excuse: &str) -> Option<Command> {
    if !path.exists() {
        let excuse = std::env::var(excuse).unwrap_or_default();
        assert!(!excuse.is_empty(), "{} is missing; make e2e fetches it", path.display());
        let _ = writeln!(std::io::stderr(), "SKIPPED, no {} to test against: {excuse}", path.display());
        return None;
    }
    Some(Command::new(path))
}

/// A Prometheus that takes remote write 2.0, keeps the metadata and, with `config`, passes
/// both on.
pub fn prometheus_3(dir: &Path, config: &str) -> Option<Prometheus> {
    let mut program = program("prometheus")?;
    program.arg("--enable-feature=metadata-wal-records");
    Some(Prometheus::start_as(program, dir, free_port(), config))
}

/// A VictoriaMetrics, which takes remote write 1.0 alone.
pub fn victoria_metrics(dir: &Path) -> Option<Prometheus> {
    victoria_metrics_on(dir, free_port())
}

/// The same on that port, with the data of one before it.
pub fn victoria_metrics_on(dir: &Path, port: u16) -> Option<Prometheus> {
    victoria_metrics_with(dir, port, &[])
}

/// The same with more arguments.
pub fn victoria_metrics_with(dir: &Path, port: u16, arguments: &[&str]) -> Option<Prometheus> {
    let mut program = program("victoria-metrics")?;
    program.args(arguments);
    program
        .arg(format!("-storageDataPath={}", dir.join("data").display()))
        .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
        // It keeps the latest half minute from queries, to which others may still add.
        .arg("-search.latencyOffset=0s")
        .arg("-search.disableCache");
    Some(Prometheus::serve(program, dir, port, "/health"))
}

/// A Python that has OpenTelemetry's own definitions and SDK, and clients of StatsD, Datadog and Prometheus, from
/// its registry.
pub fn python_with_opentelemetry() -> Option<Command> {
    at(cache().join("python-clients/bin/python"), "METRICSD_E2E_NO_PYTHON")
}

/// An InfluxDB 1, which keeps its data in `dir`; killed when dropped.
pub struct InfluxDb {
    server: Prometheus,
}

impl InfluxDb {
    /// Starts it on `port`, and waits until it serves. None as with the others.
    pub fn start(dir: &Path, port: u16) -> Option<InfluxDb> {
        let mut program = program("influxd")?;
        let place = |name: &str| dir.join("influxdb").join(name).display().to_string();
        let config = format!(
            "reporting-disabled = true\nbind-address = \"127.0.0.1:{}\"\n[meta]\ndir = {:?}\n\
             [data]\ndir = {:?}\nwal-dir = {:?}\n[http]\nbind-address = \"127.0.0.1:{port}\"\n\
             [monitor]\nstore-enabled = false\n",
            free_port(),
            place("meta"),
            place("data"),
            place("wal")
        );
        let path = dir.join("influxdb.conf");
        std::fs::write(&path, config).unwrap();
        program.arg("-config").arg(path);
        Some(InfluxDb { server: Prometheus::serve(program, dir, port, "/query?q=SHOW+DATABASES") })
    }

    /// Asks it to stop, and waits until it is gone.
    pub fn stop(self) {
        self.server.stop();
    }

    /// The series of the answer to a statement, with times in milliseconds.
    pub fn query(&self, database: &str, statement: &str) -> Vec<serde_json::Value> {
        let url = format!("http://127.0.0.1:{}/query", self.server.port);
        let pairs = [("db", database), ("epoch", "ms"), ("q", statement)];
        let mut response = ureq::post(url).query_pairs(pairs).send_empty().unwrap();
        let text = response.body_mut().with_config().limit(1 << 30).read_to_string().unwrap();
        let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(answer["results"][0]["error"].is_null(), "{statement}: {answer}");
        answer["results"][0]["series"].as_array().cloned().unwrap_or_default()
    }
}
