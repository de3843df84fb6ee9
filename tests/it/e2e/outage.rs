//! What was collected while Prometheus was away arrives when it is back.

use std::collections::{BTreeMap, BTreeSet};

use nix::sys::signal::Signal;

use super::{COMMON, daemon, own_name, remote_write};
use crate::support::kernel;
use crate::support::program::TempDir;
use crate::support::prometheus::{Prometheus, reserved_port};
use crate::support::{wait_for, wait_long_for};

#[derive(serde::Deserialize)]
struct Payload {
    timestamp_ms: i64,
    metrics: Vec<Sample>,
}

#[derive(serde::Deserialize)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    /// As text: serde_json's own reading of a number may be off in the last bit.
    value: Box<serde_json::value::RawValue>,
}

#[test]
#[ignore = "needs prometheus: make e2e"]
fn no_sample_of_an_outage_is_missing() {
    let dir = TempDir::new();
    let port = reserved_port();
    // The second destination writes down what there was to deliver.
    let book = dir.path().join("book.jsonl");
    let file = format!(r#"{{"type": "file", "endpoint": "{}"}}"#, book.display());
    // Nobody listens on that port yet.
    let mut daemon = daemon(&dir, 0.25, &format!("{}, {file}", remote_write(port)));
    let ticks = || std::fs::read_to_string(&book).unwrap_or_default().lines().count();
    wait_for("ticks of the outage at the start", || (ticks() >= 10).then_some(()));
    let failed = r#"metricsd_destination_requests_total{destination="prometheus_remote_write",outcome="retried"}"#;
    wait_for("a failed delivery", || (daemon.metric(failed)? > 0.0).then_some(()));

    let prometheus = Prometheus::start(dir.path(), port, "[]");
    let delivered = |prometheus: &Prometheus| {
        let before = ticks();
        wait_long_for("the backlog to be delivered", || {
            let have = prometheus.value("count_over_time(system_uptime_seconds[1h])").unwrap_or_default();
            (have >= before as f64).then_some(())
        });
    };
    delivered(&prometheus);
    prometheus.stop();
    let before = ticks();
    wait_for("ticks of the outage in between", || (ticks() >= before + 10).then_some(()));
    let prometheus = Prometheus::start(dir.path(), port, "[]");
    delivered(&prometheus);
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0);

    // Each value of each tick is where it belongs, and nothing else is.
    let mut expected: BTreeMap<(i64, String), f64> = BTreeMap::new();
    for line in std::fs::read_to_string(&book).unwrap().lines() {
        let payload: Payload = serde_json::from_str(line).unwrap();
        for metric in payload.metrics {
            let labels = metric.labels.iter().filter(|(name, _)| !COMMON.contains(&name.as_str()));
            let key = kernel::series(&metric.name, labels.map(|(name, value)| (name.as_str(), value.as_str())));
            expected.insert((payload.timestamp_ms, key), metric.value.get().parse().unwrap());
        }
    }
    let mut stored = BTreeMap::new();
    for series in prometheus.samples(r#"{job="metricsd"}[1h]"#) {
        let name = own_name(&series);
        stored.extend(series.samples.iter().map(|(time_ms, value)| ((*time_ms, name.clone()), *value)));
    }
    let times = |of: &BTreeMap<(i64, String), f64>| of.keys().map(|(time, _)| *time).collect::<BTreeSet<_>>();
    assert!(times(&expected).len() >= 20);
    assert_eq!(times(&stored), times(&expected), "ticks are missing or too many");
    let differ = expected.iter().find(|(key, value)| stored.get(*key) != Some(*value));
    assert_eq!(differ, None, "of {} values", expected.len());
    assert_eq!(stored.len(), expected.len());
}
