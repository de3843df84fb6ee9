//! `own_metrics`: what a destination that wants them is sent of metricsd itself, and until when.

use std::collections::{BTreeMap, BTreeSet};

use nix::sys::signal::Signal;

use crate::lanes::decode;
use crate::support::peer::{Peer, Received, Reply};
use crate::support::program::{Daemon, TempDir};
use crate::support::wait_for;

/// `StaleNaN` in Prometheus' model/value/value.go.
const STALE: u64 = 0x7ff0_0000_0000_0002;

/// A series as it is written in PromQL, without `instance`, and its value.
pub type Series = BTreeMap<String, f64>;

/// What is in a request of remote write 1.0.
pub fn series(request: &Received) -> Series {
    let of = |series: prometheus_remote_write::TimeSeries| {
        let labels = series.labels.iter().filter(|label| !["__name__", "instance"].contains(&&*label.name));
        let labels: Vec<String> = labels.map(|label| format!("{}={}", label.name, label.value)).collect();
        let name = series.labels.iter().find(|label| label.name == "__name__").map(|label| label.value.clone());
        assert!(series.labels.iter().any(|label| label.name == "instance"));
        (format!("{}{{{}}}", name.unwrap(), labels.join(",")), series.samples[0].value)
    };
    decode(&request.body).timeseries.into_iter().map(of).collect()
}

/// Whether it says that its series has ended.
pub fn is_stale(value: &f64) -> bool {
    value.to_bits() == STALE
}

/// Those of metricsd itself: it has no other names.
fn is_own(series: &str) -> bool {
    series.starts_with("metricsd_") || series.starts_with("process_") || series.starts_with("up{")
}

fn own(all: &Series, stale: bool) -> BTreeSet<String> {
    let which = |(series, value): &(&String, &f64)| is_own(series) && is_stale(value) == stale;
    all.iter().filter(which).map(|(series, _)| series.clone()).collect()
}

fn config(shippers: &str) -> String {
    format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{"interval_seconds": 0.1}}, "shippers": [{shippers}]}}"#
    )
}

fn ok() -> Peer {
    Peer::start(|_, _| Reply::status(200))
}

#[test]
fn remote_write_has_them_with_up_until_a_reload_switches_them_off_and_nobody_else_has() {
    let (asked, other) = (ok(), ok());
    let shippers = |own: bool, naming: &str| {
        config(&format!(
            r#"{{"name": "asked", "type": "prometheus_remote_write", "endpoint": "{}", "own_metrics": {own}, "naming": "{naming}"}},
               {{"name": "other", "type": "prometheus_remote_write", "endpoint": "{}"}}"#,
            asked.url("/"),
            other.url("/")
        ))
    };
    let dir = TempDir::new();
    let daemon = Daemon::start(dir.path(), &shippers(true, "native"));
    let mut reloads = 0;
    let mut reload = |config: &str| {
        std::fs::write(dir.path().join("config.json"), config.replace("PORT", &daemon.port.to_string())).unwrap();
        daemon.signal(Signal::SIGHUP);
        reloads += 1;
        wait_for("the reload", || (daemon.log().matches("reloaded in").count() == reloads).then_some(()));
    };
    // The first request that is as wanted, of those from the number `from` on, and its number.
    let first = |from: usize, wanted: &dyn Fn(&Series) -> bool| {
        wait_for("such a request", || {
            let all = asked.received();
            let mut behind = all[from..].iter().map(series).enumerate();
            behind.find(|(_, request)| wanted(request)).map(|(at, request)| (from + at, request))
        })
    };

    let sent = "metricsd_destination_samples_sent_total{destination=other,job=metricsd}";
    let (at, request) = first(0, &|request| request.get(sent).is_some_and(|sent| *sent > 0.0));
    assert_eq!(request["up{job=metricsd}"], 1.0);
    let build = request.keys().filter(|series| series.starts_with("metricsd_build_info{"));
    assert_eq!(build.count(), 1);
    assert!(request["process_resident_memory_bytes{job=metricsd}"] > 100_000.0);
    assert!(request["metricsd_collections_total{job=metricsd}"] >= 1.0);
    assert!(request.contains_key("system_load_1m{job=metricsd}"), "and what is collected");

    // They are on the page once, where `up` is for whoever asks for it to say.
    let (_, page) = daemon.get("/metrics").unwrap();
    assert_eq!(page.matches("\nmetricsd_build_info{").count(), 1);
    assert!(!page.lines().any(|line| line.starts_with("up ") || line.starts_with("up{")));

    reload(&shippers(false, "native"));
    let (end, request) = first(at, &|request| request.values().any(is_stale));
    let all = asked.received();
    let alive = own(&series(&all[end - 1]), false);
    assert_eq!((own(&request, true), own(&request, false)), (alive, BTreeSet::new()));
    let others = request.iter().filter(|(series, value)| is_stale(value) && !is_own(series));
    assert_eq!(others.count(), 0, "what is collected goes on");

    // Their names are the same whatever the others are called; `job` is the scheme's.
    reload(&shippers(true, "node_exporter"));
    let (on, request) = first(end + 1, &|request| request.contains_key("up{job=node}"));
    assert_eq!(request["up{job=node}"], 1.0);
    assert!(request.contains_key("metricsd_collections_total{job=node}"));
    for between in &all[end + 1..] {
        assert!(!series(between).keys().any(|series| is_own(series)));
    }
    assert!(on > end);
    assert!(other.received().iter().all(|request| !series(request).keys().any(|series| is_own(series))));
}

#[test]
fn http_json_has_them_with_each_tick_also_where_nothing_is_collected() {
    let peer = ok();
    let all = ["cpu", "memory", "load", "uptime", "disk", "network"];
    let off: Vec<String> = all.iter().map(|name| format!(r#""enable_{name}": false"#)).collect();
    let dir = TempDir::new();
    let shippers = format!(r#"{{"type": "http_json", "endpoint": "{}", "own_metrics": true}}"#, peer.url("/"));
    let config =
        config(&shippers).replace(r#""interval_seconds""#, &format!(r#"{}, "interval_seconds""#, off.join(", ")));
    let _daemon = Daemon::start(dir.path(), &config);
    let requests = wait_for("three ticks", || Some(peer.received()).filter(|received| received.len() >= 3));
    let values = |name: &str| -> Vec<f64> {
        let value = |request: &Received| {
            let payload: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
            let metrics = payload["metrics"].as_array().unwrap();
            let mut found = metrics.iter().filter(|metric| metric["name"] == name);
            let metric = found.next().unwrap();
            assert!(found.next().is_none() && metric["labels"].as_object().unwrap().is_empty());
            metric["value"].as_f64().unwrap()
        };
        requests[..3].iter().map(value).collect()
    };
    assert_eq!(values("up"), [1.0, 1.0, 1.0]);
    // Those that ended before the tick.
    assert_eq!(values("metricsd_collections_total"), [0.0, 1.0, 2.0]);
}
