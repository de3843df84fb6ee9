//! Backends with protocols of their own, fed over an outage and a restart, and asked for what they have.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::book::Book;
use super::{config, now_ms};
use crate::support::kernel;
use crate::support::program::{Daemon, TempDir, free_port};
use crate::support::receivers::{InfluxDb, victoria_metrics_with};
use crate::support::wait_for;

/// VictoriaMetrics keeps twelve digits of a fraction.
const DECIMALS: f64 = 1e-11;

fn ticks(book: &Path) -> usize {
    std::fs::read_to_string(book).unwrap_or_default().lines().count()
}

/// Runs a metricsd of `shipper`, and of a book in `dir`, through all that may happen: `start` starts the
/// receiver, twice; before the first start and in between there is none, and metricsd itself is started anew.
/// Gives the receiver as it is at the end, when all of the book was sent.
fn through_outages<R>(
    dir: &TempDir,
    interval: f64,
    shipper: &str,
    start: impl Fn() -> Option<R>,
    stop: impl Fn(R),
) -> Option<R> {
    let book = dir.path().join("book.jsonl");
    let shippers = format!(
        r#"{{"name": "remote", "retry": {{"max_backoff": "500ms"}}, {shipper}}}, {{"type": "file", "endpoint": {book:?}}}"#
    );
    let text = config(interval, "", &shippers).replace(r#""server""#, r#""spool": {"dir": SPOOL}, "server""#);
    let text = text.replace("SPOOL", &format!("{:?}", dir.path().join("spool")));
    let more_ticks = |count: usize| {
        let before = ticks(&book);
        wait_for("ticks", || (ticks(&book) >= before + count).then_some(()));
    };
    let queue_is_empty = |daemon: &Daemon| {
        let waiting = r#"metricsd_destination_queue_frames{destination="remote"}"#;
        wait_for("the backlog to be delivered", || daemon.metric(waiting).filter(|frames| *frames == 0.0));
    };
    let mut daemon = Daemon::start(dir.path(), &text);
    more_ticks(4);
    let receiver = start()?;
    queue_is_empty(&daemon);
    more_ticks(4);
    queue_is_empty(&daemon);
    stop(receiver);
    more_ticks(4);
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0);
    // For receivers whose times are whole seconds.
    let ended = now_ms() / 1000;
    wait_for("the next second", || (now_ms() / 1000 > ended).then_some(()));
    dir.write("restarted", &now_ms().to_string());
    let mut daemon = Daemon::start(dir.path(), &text);
    more_ticks(2);
    let receiver = start()?;
    queue_is_empty(&daemon);
    more_ticks(2);
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0);
    Some(receiver)
}

#[test]
#[ignore = "needs victoria-metrics: make e2e"]
fn victoria_metrics_has_all_that_it_was_sent_as_influx_lines() {
    for own in [r#""database": "d""#, r#""org": "o", "bucket": "b""#] {
        let dir = TempDir::new();
        let port = free_port();
        let shipper = format!(
            r#""type": "influxdb", "endpoint": "http://127.0.0.1:{port}", "influxdb": {{{own}}},
               "labels": {{"host": "", "job": "metricsd"}}"#
        );
        let start = || victoria_metrics_with(dir.path(), port, &["-influxSkipSingleField", "-influxDBLabel=site"]);
        let Some(server) = through_outages(&dir, 0.25, &shipper, start, |server| server.stop()) else { return };
        let book = Book::read(&dir.path().join("book.jsonl"));
        let times = book.times();
        wait_for("the last tick to be seen", || {
            let seen = server.samples("system_uptime_seconds[1h]").first()?.samples.last()?.0;
            (Some(&seen) >= times.last()).then_some(())
        });
        book.compare(&server, DECIMALS);
    }
}

#[test]
#[ignore = "needs influxdb: make e2e"]
fn influxdb_has_all_that_it_was_sent_in_both_layouts() {
    for layout in ["metric", "family"] {
        let dir = TempDir::new();
        let port = free_port();
        let shipper = format!(
            r#""type": "influxdb", "endpoint": "http://127.0.0.1:{port}",
               "influxdb": {{"database": "d", "layout": "{layout}"}}, "labels": {{"odd": "a,b =\\ \"é\" \\x C:\\"}}"#
        );
        let start = || {
            let server = InfluxDb::start(dir.path(), port)?;
            server.query("", "CREATE DATABASE d");
            Some(server)
        };
        let Some(server) = through_outages(&dir, 0.25, &shipper, start, InfluxDb::stop) else { return };
        // By time, field and labels.
        let mut stored: BTreeMap<(i64, String, BTreeMap<String, String>), f64> = BTreeMap::new();
        for series in server.query("d", "SELECT * FROM /.*/ GROUP BY *") {
            let tags = series["tags"].as_object().unwrap();
            let mut tags: BTreeMap<String, String> =
                tags.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
            // Tags of other series of the measurement are empty here.
            tags.retain(|_, value| !value.is_empty());
            assert_eq!(tags.remove("odd").as_deref(), Some(r#"a,b =_ "é" \x C:_"#));
            assert_eq!(tags.remove("host"), Some(super::host_name()));
            assert_eq!(tags.remove("site").as_deref(), Some("test \"1\""));
            let columns: Vec<&str> =
                series["columns"].as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
            let measurement = series["name"].as_str().unwrap();
            for row in series["values"].as_array().unwrap() {
                for (column, value) in columns.iter().zip(row.as_array().unwrap()).skip(1) {
                    if let Some(value) = value.as_f64() {
                        let name =
                            if *column == "value" { measurement.to_owned() } else { format!("{measurement}_{column}") };
                        let key = (row[0].as_i64().unwrap(), name, tags.clone());
                        assert!(stored.insert(key, value).is_none());
                    }
                }
            }
        }
        let text = std::fs::read_to_string(dir.path().join("book.jsonl")).unwrap();
        let (mut written, mut times) = (0, BTreeSet::new());
        for line in text.lines() {
            let payload: Value = serde_json::from_str(line).unwrap();
            let time_ms = payload["timestamp_ms"].as_i64().unwrap();
            times.insert(time_ms);
            for metric in payload["metrics"].as_array().unwrap() {
                let labels = metric["labels"].as_object().unwrap();
                let labels = labels.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()));
                let labels: BTreeMap<String, String> = labels.filter(|(name, _)| name != "site").collect();
                let name = metric["name"].as_str().unwrap();
                // By family the unit is left out.
                let names = [
                    name.to_owned(),
                    name.replace("_bytes", ""),
                    name.replace("_percent", ""),
                    name.replace("_seconds", ""),
                ];
                let names = &names[..if layout == "family" { 4 } else { 1 }];
                let mut found = names.iter().filter_map(|name| stored.get(&(time_ms, name.clone(), labels.clone())));
                let near: Vec<_> = stored.keys().filter(|(time, ..)| *time == time_ms).take(3).collect();
                assert_eq!(found.next().copied(), metric["value"].as_f64(), "{metric} at {time_ms}: {near:?}");
                written += 1;
            }
        }
        assert!(times.len() >= 12 && written == stored.len(), "{} ticks, {written}, {}", times.len(), stored.len());
    }
}

#[test]
#[ignore = "needs victoria-metrics: make e2e"]
fn victoria_metrics_has_all_that_it_was_sent_by_graphites_protocol() {
    let dir = TempDir::new();
    let (port, graphite) = (free_port(), free_port());
    let shipper = format!(
        r#""type": "graphite", "endpoint": "tcp://127.0.0.1:{graphite}", "labels": {{"host": "", "job": "metricsd"}}"#
    );
    let listen = format!("-graphiteListenAddr=127.0.0.1:{graphite}");
    let start = || victoria_metrics_with(dir.path(), port, &[&listen]);
    // Times are whole seconds there: more than one between two ticks.
    let Some(server) = through_outages(&dir, 1.25, &shipper, start, |server| server.stop()) else { return };
    let book = Book::read(&dir.path().join("book.jsonl")).in_seconds();
    wait_for("the last tick to be seen", || {
        let seen = server.samples("system_uptime_seconds[1h]").first()?.samples.last()?.0;
        (Some(&seen) >= book.times().last()).then_some(())
    });
    book.compare(&server, DECIMALS);
}

#[test]
#[ignore = "needs victoria-metrics: make e2e"]
fn victoria_metrics_has_all_gauges_and_all_increases_that_it_was_sent_as_datadog() {
    let dir = TempDir::new();
    let port = free_port();
    let shipper = format!(
        r#""type": "datadog", "endpoint": "http://127.0.0.1:{port}/datadog", "datadog": {{"api_key": "s3cr3t"}}"#
    );
    let start = || victoria_metrics_with(dir.path(), port, &[]);
    let Some(server) = through_outages(&dir, 1.25, &shipper, start, |server| server.stop()) else { return };
    let restarted: i64 = std::fs::read_to_string(dir.path().join("restarted")).unwrap().parse().unwrap();
    let text = std::fs::read_to_string(dir.path().join("book.jsonl")).unwrap();
    // What there has to be, by second and series.
    let mut expected: BTreeMap<(i64, String), f64> = BTreeMap::new();
    let mut last: BTreeMap<String, (i64, f64)> = BTreeMap::new();
    for line in text.lines() {
        let payload: Value = serde_json::from_str(line).unwrap();
        let time_ms = payload["timestamp_ms"].as_i64().unwrap();
        for metric in payload["metrics"].as_array().unwrap() {
            let labels = metric["labels"].as_object().unwrap().iter();
            let labels =
                labels.filter(|(name, _)| *name != "site").map(|(name, value)| (&**name, value.as_str().unwrap()));
            let series = kernel::series(metric["name"].as_str().unwrap(), labels);
            let value = metric["value"].as_f64().unwrap();
            let second = time_ms.div_euclid(1000) * 1000;
            if metric["type"] == "gauge" {
                expected.insert((second, series), value);
            } else if let Some((before_ms, before)) = last.insert(series.clone(), (time_ms, value)) {
                // A first value after a start is no increase.
                if (before_ms < restarted) == (time_ms < restarted) {
                    expected.insert((second, series), value - before);
                }
            }
        }
    }
    let end = expected.keys().map(|(time_ms, _)| *time_ms).max();
    wait_for("the last tick to be seen", || {
        let seen = server.samples("system_uptime_seconds[1h]").first()?.samples.last()?.0;
        (Some(seen) >= end).then_some(())
    });
    let mut stored: BTreeMap<(i64, String), f64> = BTreeMap::new();
    for series in server.samples(r#"{__name__=~"system_.*"}[1h]"#) {
        assert_eq!(series.labels["host"], super::host_name());
        let labels = series.labels.iter().filter(|(name, _)| !["__name__", "host", "site"].contains(&name.as_str()));
        let name = kernel::series(series.name(), labels.map(|(name, value)| (name.as_str(), value.as_str())));
        stored.extend(series.samples.iter().map(|(time_ms, value)| ((*time_ms, name.clone()), *value)));
    }
    assert_eq!(stored.len(), expected.len());
    for (key, value) in &expected {
        let found = stored.get(key).unwrap_or_else(|| panic!("{key:?} is not there"));
        assert!((found - value).abs() <= value.abs().max(1.0) * DECIMALS, "{key:?}: {found} for {value}");
    }
    assert!(expected.keys().any(|(_, name)| name.contains("_total")));
}
