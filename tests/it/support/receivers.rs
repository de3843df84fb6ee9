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
    at(cache().join("forky/run").join(program), "METRICSD_E2E_EXCUSE")
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
    let mut program = program("victoria-metrics")?;
    program
        .arg(format!("-storageDataPath={}", dir.join("data").display()))
        .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
        // It keeps the latest half minute from queries, to which others may still add.
        .arg("-search.latencyOffset=0s")
        .arg("-search.disableCache");
    Some(Prometheus::serve(program, dir, port, "/health"))
}

/// A Python that has OpenTelemetry's own definitions (`opentelemetry-proto`, from its registry).
pub fn python_with_opentelemetry() -> Option<Command> {
    at(cache().join("python-otel/bin/python"), "METRICSD_E2E_NO_PYTHON")
}
