//! What is lost is counted, said in the log, and a reason in `/health`.

use std::time::Duration;

use metricsd::formats::RemoteWriteVersion;
use metricsd::lane::SpoolSettings;
use metricsd::telemetry::{DropReason, Outcome};

use crate::lanes::{Running, http, remote_write_to};
use crate::support::peer::{Peer, Reply};
use crate::support::program::{Daemon, TempDir};
use crate::support::wait_for;

#[test]
fn a_full_spool_says_what_it_costs() {
    let dir = TempDir::new();
    let config = format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{"interval_seconds": 0.05}},
            "spool": {{"dir": "{}", "max_bytes": 65536}},
            "shipper": {{"name": "nobody", "type": "prometheus_remote_write", "endpoint": "http://127.0.0.1:9/w"}}}}"#,
        dir.path().join("spool").display()
    );
    let daemon = Daemon::start(dir.path(), &config);
    let counter = r#"metricsd_destination_samples_dropped_total{destination="nobody",reason="queue_full"}"#;
    wait_for("the spool to be full", || daemon.metric(counter).filter(|lost| *lost > 0.0));
    let (_, health) = daemon.get("/health").unwrap();
    let health: serde_json::Value = serde_json::from_str(&health).unwrap();
    assert_eq!(health["status"], "degraded");
    let is_reason = |reason: &serde_json::Value| {
        reason.as_str().is_some_and(|reason| reason.starts_with("destination nobody loses samples (queue_full): "))
    };
    assert!(health["reasons"].as_array().unwrap().iter().any(is_reason), "{health}");
    assert!(health["destinations"]["nobody"]["dropped_samples"].as_u64() > Some(0), "{health}");
    wait_for("the line in the log", || {
        let said = |line: &&str| line.contains("destination nobody: lost ") && line.contains("spool.max_bytes");
        // One line a minute, however much is lost.
        daemon.log().lines().find(said).map(str::to_owned)
    });
}

#[test]
fn what_waits_too_long_is_dropped_also_in_a_senders_hands_and_the_pause_goes_on() {
    let peer = Peer::start(|_, _| Reply::Answer(429, vec![("Retry-After", "3600".to_owned())], ""));
    let kind = remote_write_to(http(peer.url("/w")), RemoteWriteVersion::V1);
    let max_age = Some(Duration::from_secs(2));
    let mut lane = Running::start_with(kind, SpoolSettings { max_age, ..SpoolSettings::memory(1 << 20) });
    wait_for("the refusal", || {
        lane.tick(metricsd::host::wall_ms());
        (lane.status.requests(Outcome::Retried) > 0).then_some(())
    });
    // The refused one is in the sender's hands, these wait behind it.
    lane.tick(metricsd::host::wall_ms());
    let ticked = lane.status.queue_frames();
    wait_for("all that waited to expire", || {
        lane.tick(metricsd::host::wall_ms());
        (lane.status.samples_dropped(DropReason::Expired) >= 2 * ticked).then_some(())
    });
    assert_eq!(peer.received().len(), 1, "the peer had asked for an hour");
}
