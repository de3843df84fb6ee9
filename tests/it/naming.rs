//! The names of other programs, by destination and by page.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::support::program::{Daemon, TempDir};
use crate::support::wait_for;

/// The names of a payload's metrics with the names of their labels.
fn names(line: &str) -> BTreeMap<String, BTreeSet<String>> {
    let payload: serde_json::Value = serde_json::from_str(line).unwrap();
    let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for metric in payload["metrics"].as_array().unwrap() {
        let labels = metric["labels"].as_object().unwrap().keys().cloned();
        names.entry(metric["name"].as_str().unwrap().to_owned()).or_default().extend(labels);
    }
    names
}

#[test]
fn two_destinations_have_one_collection_by_two_sets_of_names() {
    let dir = TempDir::new();
    let file = |name: &str| dir.path().join(name);
    let config = format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{"interval_seconds": 0.1}},
            "shippers": [
                {{"name": "native", "type": "file", "endpoint": {:?}}},
                {{"name": "node", "type": "file", "endpoint": {:?}, "naming": "node_exporter"}},
                {{"name": "otel", "type": "file", "endpoint": {:?}, "naming": "otel"}}
            ]}}"#,
        file("native"),
        file("node"),
        file("otel")
    );
    let daemon = Daemon::start(dir.path(), &config);
    let lines = |name: &str| -> Vec<String> {
        fs::read_to_string(file(name)).unwrap_or_default().lines().map(str::to_owned).collect()
    };
    let [native, node, otel] = wait_for("a tick in each", || {
        let all = ["native", "node", "otel"].map(lines);
        all.iter().all(|lines| lines.len() > 1).then(|| all.map(|mut lines| lines.remove(0)))
    });
    let time = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["timestamp_ms"].clone();
    assert_eq!((time(&native), time(&native)), (time(&node), time(&otel)), "one collection");
    let [native, node, otel] = [native, node, otel].map(|line| names(&line));
    let labels = |labels: &[&str]| labels.iter().map(|label| (*label).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(native["system_cpu_seconds_total"], labels(&["core", "mode"]));
    assert_eq!(node["node_cpu_seconds_total"], labels(&["cpu", "mode"]));
    assert_eq!(otel["system.cpu.time"], labels(&["cpu", "state"]));
    assert!(native.keys().all(|name| name.starts_with("system_")), "{native:?}");
    assert!(node.keys().all(|name| name.starts_with("node_")), "{node:?}");
    assert!(otel.keys().all(|name| name.starts_with("system.")), "{otel:?}");
    let (_, page) = daemon.get("/metrics/node").unwrap();
    for name in node.keys() {
        assert!(page.contains(&format!("# TYPE {name} ")), "{name}");
    }
}
