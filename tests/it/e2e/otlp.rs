//! A receiver of OTLP that is not ours: VictoriaMetrics, asked for what it was sent.

use std::collections::BTreeMap;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::config;
use crate::support::program::{Daemon, TempDir};
use crate::support::receivers::victoria_metrics;
use crate::support::wait_for;

/// VictoriaMetrics keeps twelve digits of a fraction.
const DECIMALS: f64 = 1e-11;

#[test]
#[ignore = "needs victoria-metrics: make e2e"]
fn victoria_metrics_shows_what_it_was_sent_over_otlp() {
    let dir = TempDir::new();
    let Some(server) = victoria_metrics(dir.path()) else { return };
    let book = dir.path().join("book.jsonl");
    let shippers = format!(
        r#"{{"type": "otlp_http", "endpoint": "http://127.0.0.1:{}/opentelemetry"}},
           {{"type": "file", "naming": "otel", "endpoint": "{}"}}"#,
        server.port,
        book.display()
    );
    let mut daemon = Daemon::start(dir.path(), &config(0.5, "", &shippers));
    let uptime = r#"{__name__="system.uptime"}"#;
    let last = || server.samples(&format!("{uptime}[1h]")).first().and_then(|one| one.samples.last().copied());
    wait_for("some ticks", || (server.samples(&format!("{uptime}[1h]")).first()?.samples.len() > 3).then_some(()));

    // A series that ends is gone at once.
    let load = r#"{__name__="system.cpu.load_average.1m"}"#;
    assert!(server.value(load).is_some());
    let without = config(0.5, r#""enable_load": false, "#, &shippers).replace("PORT", &daemon.port.to_string());
    std::fs::write(dir.path().join("config.json"), without).unwrap();
    daemon.signal(Signal::SIGHUP);
    wait_for("the series to end", || server.value(load).is_none().then_some(()));
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0);

    let text = std::fs::read_to_string(&book).unwrap();
    let payloads: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let time_ms = payloads.last().unwrap()["timestamp_ms"].as_i64().unwrap();
    wait_for("the last tick to be seen", || (last()?.0 >= time_ms).then_some(()));
    let mut compared = 0;
    let mut found: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for payload in &payloads {
        let time_ms = payload["timestamp_ms"].as_i64().unwrap();
        for metric in payload["metrics"].as_array().unwrap() {
            let name = metric["name"].as_str().unwrap();
            let all = found
                .entry(name.to_owned())
                .or_insert_with(|| server.samples(&format!(r#"{{__name__="{name}"}}[1h]"#)));
            let labels = metric["labels"].as_object().unwrap();
            let is_it = |one: &&crate::support::prometheus::Series| {
                labels.iter().all(|(name, value)| one.labels.get(name).map(String::as_str) == value.as_str())
            };
            let mut matching = all.iter().filter(is_it);
            let series = matching.next().unwrap_or_else(|| panic!("{metric} is not there"));
            assert!(matching.next().is_none(), "{metric} is there more than once");
            assert_eq!(series.labels["service.name"], "metricsd");
            let (sent, kept) = (metric["value"].as_f64().unwrap(), series.at(time_ms));
            let kept = kept.unwrap_or_else(|| panic!("{metric} of {time_ms} is not there"));
            assert!((sent - kept).abs() <= sent.abs() * DECIMALS, "{metric}: {kept}");
            compared += 1;
        }
    }
    assert!(compared > 100, "{compared}");
}
