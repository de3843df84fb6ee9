//! Receivers newer than the system's packages, which `make e2e` fetches into a cache.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::program::free_port;
use super::prometheus::Prometheus;

/// Where `tests/it/e2e/fetch-receivers` puts what starts `program`.
fn path(program: &str) -> PathBuf {
    let home = std::env::var("HOME").expect("HOME is not set");
    Path::new(&home).join(".cache/metricsd-e2e/forky/run").join(program)
}

/// What starts `program`. None where the archive that has it could not be reached, which is
/// said on the real standard error: it must not pass for a test that ran.
fn program(program: &str) -> Option<Command> {
    let path = path(program);
    if !path.exists() {
        let excuse = std::env::var("METRICSD_E2E_EXCUSE").unwrap_or_default();
        assert!(!excuse.is_empty(), "{} is missing; make e2e fetches it", path.display());
        let _ = writeln!(std::io::stderr(), "SKIPPED, no {program} to test against: {excuse}");
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
    let mut program = program("victoria-metrics")?;
    let port = free_port();
    program
        .arg(format!("-storageDataPath={}", dir.join("data").display()))
        .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
        // It keeps the latest half minute from queries, to which others may still add.
        .arg("-search.latencyOffset=0s")
        .arg("-search.disableCache");
    Some(Prometheus::serve(program, dir, port, "/health"))
}
