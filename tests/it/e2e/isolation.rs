//! No destination is another one's trouble.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::daemon;
use crate::support::peer::{Peer, Received, Reply};
use crate::support::program::{Daemon, TempDir, free_port};
use crate::support::prometheus::Prometheus;
use crate::support::wait_long_for;

/// How long one destination hangs, in ticks of a second: several timeouts of 30 s.
const TICKS: f64 = 150.0;

/// What metricsd may have allocated, in bytes. Of the 10 MB that an outage may cost, the pages of the
/// optimised program take 5; those of an unoptimised one, 13 MB, say nothing of the outage.
const MAX_ALLOCATED: u64 = 5_000_000;

/// `RssAnon` of `/proc/<pid>/status`, in bytes: what is resident and not a page of a file.
fn allocated(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(daemon.proc("status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

/// The times of the ticks in the order of arrival.
fn times(received: &[Received]) -> Vec<i64> {
    let time = |request: &Received| {
        let message = snap::raw::Decoder::new().decompress_vec(&request.body).unwrap();
        let request: prometheus_remote_write::WriteRequest = prost_0_12::Message::decode(&message[..]).unwrap();
        request.timeseries[0].samples[0].timestamp
    };
    received.iter().map(time).collect()
}

#[test]
#[ignore = "needs prometheus and takes three minutes: make e2e"]
fn a_destination_that_hangs_and_one_that_is_slow_cost_a_third_one_nothing() {
    let dir = TempDir::new();
    let healthy = Prometheus::start(dir.path(), free_port(), "[]");
    let slow = Peer::start(|_, _| {
        std::thread::sleep(Duration::from_secs(2));
        Reply::status(204)
    });
    let hangs = Arc::new((AtomicBool::new(true), AtomicUsize::new(0)));
    let still = Arc::clone(&hangs);
    let hung = Peer::start(move |_, _| {
        if still.0.load(Ordering::SeqCst) {
            still.1.fetch_add(1, Ordering::SeqCst);
            Reply::Hang
        } else {
            Reply::status(204)
        }
    });

    let shipper = |name: &str, port: u16| {
        format!(
            r#"{{"name": "{name}", "type": "prometheus_remote_write", "endpoint": "http://127.0.0.1:{port}/api/v1/write"}}"#
        )
    };
    let shippers =
        [shipper("hung", hung.address.port()), shipper("slow", slow.address.port()), shipper("healthy", healthy.port)];
    let mut daemon = daemon(&dir, 1.0, &shippers.join(", "));
    let mut most = 0;
    while daemon.metric("metricsd_collections_total").unwrap() < TICKS {
        std::thread::sleep(Duration::from_secs(1));
        most = most.max(allocated(&daemon));
    }

    let health: serde_json::Value = serde_json::from_str(&daemon.get("/health").unwrap().1).unwrap();
    let state = |name: &str| &health["destinations"][name];
    assert_eq!(health["status"], "degraded", "{health}");
    assert_eq!(state("hung")["state"], "retrying", "{health}");
    assert!(state("hung")["last_error"].as_str().unwrap().contains("timeout"), "{health}");
    // A tick less where the latest one is not handed on yet.
    assert!(state("hung")["backlog_frames"].as_f64() >= Some(TICKS - 1.0), "{health}");
    assert!(state("hung")["backlog_seconds"].as_f64() >= Some(TICKS - 2.0), "{health}");
    assert!(state("hung")["backlog_bytes"].as_f64() > Some(100.0 * TICKS), "{health}");
    assert_eq!(state("healthy")["state"], "ok", "{health}");
    assert!(state("healthy")["backlog_seconds"].as_f64() < Some(2.0), "{health}");
    assert_eq!(state("slow")["last_error"], serde_json::Value::Null, "{health}");
    let behind = state("slow")["backlog_seconds"].as_f64().unwrap();
    assert!((TICKS / 4.0..TICKS).contains(&behind), "half of the ticks are too many for it: {health}");

    hangs.0.store(false, Ordering::SeqCst);
    wait_long_for("the backlog to be delivered", || {
        std::thread::sleep(Duration::from_secs(1));
        (daemon.metric(r#"metricsd_destination_queue_frames{destination="hung"}"#)? == 0.0).then_some(())
    });
    most = most.max(allocated(&daemon));
    assert!(most < MAX_ALLOCATED, "{most} bytes are allocated");
    assert_eq!(daemon.metric("metricsd_collections_skipped_total"), Some(0.0));
    for name in ["hung", "slow", "healthy"] {
        let dropped =
            format!(r#"metricsd_destination_samples_dropped_total{{destination="{name}",reason="queue_full"}}"#);
        assert_eq!(daemon.metric(&dropped), Some(0.0), "{name}");
    }
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0);

    // The healthy one has each second.
    let ticks: Vec<i64> =
        healthy.samples("system_uptime_seconds[1h]").remove(0).samples.iter().map(|(time_ms, _)| *time_ms).collect();
    assert!(ticks.len() as f64 >= TICKS);
    let gap = ticks.windows(2).find(|pair| !(500..1500).contains(&(pair[1] - pair[0])));
    assert_eq!(gap, None, "of {} ticks", ticks.len());
    // The requests that were never answered were the first tick's; then comes all of it.
    let arrived = times(&hung.received());
    let (unanswered, arrived) = arrived.split_at(hangs.1.load(Ordering::SeqCst));
    assert!(unanswered.len() > 2 && unanswered.iter().all(|time_ms| *time_ms == ticks[0]), "{unanswered:?}");
    assert_eq!(arrived, ticks, "each tick, oldest first");
    let late = times(&slow.received());
    assert_eq!(late, ticks[..late.len()], "as far as it came, each tick, oldest first");
}
