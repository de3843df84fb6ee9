//! What a destination has taught by its answers counts for every body: made or waiting.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use metricsd::formats::{Compression, RemoteWriteVersion, remote_write};
use metricsd::http::HttpSettings;
use metricsd::lane::{Kind, SpoolSettings, To};
use metricsd::telemetry::{DestinationState, DropReason, Outcome};

use crate::lanes::{Running, V2, decode, http, json_to, remote_write_to, wrote};
use crate::support::peer::{Peer, Received, Reply};
use crate::support::program::{Daemon, TempDir};
use crate::support::wait_for;

/// A series and a time.
type Sample = (String, i64);

/// What is in a request, whichever format it is of.
fn samples(request: &Received) -> Vec<Sample> {
    if request.header("content-type") == Some("application/json") {
        let payload: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        let time_ms = payload["timestamp_ms"].as_i64().unwrap();
        let metrics = payload["metrics"].as_array().unwrap();
        return metrics.iter().map(|metric| (metric["labels"]["disk"].to_string(), time_ms)).collect();
    }
    let content = request.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let older = remote_write::downgrade(&content, &request.body).map(|(_, older)| older);
    let request = decode(older.as_deref().unwrap_or(&request.body));
    let of = |series: prometheus_remote_write::TimeSeries| {
        let disk =
            series.labels.iter().find(|label| label.name == "disk").map_or("none", |label| &label.value).to_owned();
        (disk, series.samples[0].timestamp)
    };
    request.timeseries.into_iter().map(of).collect()
}

/// How often each sample was taken.
fn counted(taken: &[Received]) -> BTreeMap<Sample, usize> {
    let mut counts = BTreeMap::new();
    taken.iter().flat_map(samples).for_each(|sample| *counts.entry(sample).or_default() += 1);
    counts
}

/// A peer that is down until it is told otherwise, and then takes requests of `limit` samples at most.
fn limited(limit: usize, is_up: &Arc<AtomicBool>) -> Peer {
    let is_up = Arc::clone(is_up);
    Peer::start(move |_, request| {
        let count = samples(request).len();
        match (is_up.load(Ordering::Relaxed), count > limit) {
            (false, _) => Reply::status(503),
            (true, true) => Reply::status(413),
            (true, false) => wrote(count as u64),
        }
    })
}

/// One tick after the other, each waited for.
fn backlog(lane: &mut Running, ticks: std::ops::RangeInclusive<i64>, each: usize) {
    for tick in ticks {
        lane.tick_of(tick * 1000, each);
        wait_for("the tick to be queued", || (lane.status.queue_frames() == tick as u64).then_some(()));
    }
}

#[test]
fn the_size_that_a_413_taught_counts_for_what_waits_and_for_what_comes() {
    const LIMIT: usize = 100;
    for version in [Some(RemoteWriteVersion::V1), Some(RemoteWriteVersion::V2), None] {
        let is_up = Arc::new(AtomicBool::new(false));
        let peer = limited(LIMIT, &is_up);
        let kind = match version {
            Some(version) => remote_write_to(http(peer.url("/w")), version),
            None => json_to(http(peer.url("/in")), Compression::None),
        };
        let dir = TempDir::new();
        let mut lane = Running::start_with(kind, SpoolSettings::behind(dir.path()));
        backlog(&mut lane, 1..=5, 1000);
        let attempts = peer.received().len();
        is_up.store(true, Ordering::Relaxed);
        lane.wait_sent(5000);
        for tick in 6..=7 {
            lane.tick_of(tick * 1000, 1000);
            lane.wait_sent(tick as u64 * 1000);
        }
        // The endpoint is the same.
        lane.reload(|settings| {
            let To::Http(http) = &mut settings.kind.to else { unreachable!() };
            http.timeout = Duration::from_secs(7);
        });
        lane.tick_of(8000, 1000);
        lane.wait_sent(8000);
        let status = lane.stop();
        let received = peer.received();
        // Whole ticks until the peer came up; then each size is refused once, and never again.
        let large = received.iter().map(|request| samples(request).len()).filter(|size| *size > LIMIT);
        let large: Vec<usize> = large.skip_while(|size| *size == 1000).collect();
        assert_eq!(large, [500, 250, 125], "{version:?}");
        // A whole tick, and these.
        assert_eq!(status.requests(Outcome::Divided), 4, "{version:?}");
        let taken: Vec<Received> = received[attempts..].iter().filter(|r| samples(r).len() <= LIMIT).cloned().collect();
        let counts = counted(&taken);
        assert_eq!(counts.len(), 8000, "{version:?}: nothing is lost");
        assert!(counts.values().all(|count| *count == 1), "{version:?}: nothing is doubled");
        assert!(DropReason::ALL.iter().all(|reason| status.samples_dropped(*reason) == 0), "{version:?}");
        // Times go up, so order was kept.
        let times: Vec<i64> = taken.iter().map(|request| samples(request)[0].1).collect();
        assert!(times.is_sorted(), "{version:?}");
    }
}

#[test]
fn what_a_413_taught_is_said_once_and_its_requests_are_counted() {
    let dir = TempDir::new();
    let peer = limited(20, &Arc::new(AtomicBool::new(true)));
    let config = format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{"interval_seconds": 0.05}},
            "spool": {{"dir": "{}/spool"}},
            "shipper": {{"name": "remote", "type": "prometheus_remote_write", "endpoint": "{}"}}}}"#,
        dir.path().display(),
        peer.url("/w")
    );
    let daemon = Daemon::start(dir.path(), &config);
    let is_said = || daemon.log().matches("warn  destination remote: answers 413 to larger requests: ").count();
    wait_for("the word", || (is_said() > 0).then_some(()));
    let divided = || daemon.metric(r#"metricsd_destination_requests_total{destination="remote",outcome="divided"}"#);
    let before = divided();
    assert!(before > Some(0.0), "{before:?}");
    let seen = peer.received().len();
    wait_for("more requests", || (peer.received().len() > seen + 50).then_some(()));
    assert_eq!((divided(), is_said()), (before, 1), "{}", daemon.log());
}

#[test]
fn another_endpoint_is_asked_anew() {
    let is_up = Arc::new(AtomicBool::new(true));
    let (small, large) = (limited(10, &is_up), limited(1000, &is_up));
    let mut lane = Running::start(remote_write_to(http(small.url("/w")), RemoteWriteVersion::V1));
    lane.tick_of(1000, 100);
    lane.wait_sent(100);
    lane.reload(|settings| settings.kind = remote_write_to(http(large.url("/w")), RemoteWriteVersion::V1));
    lane.tick_of(2000, 100);
    lane.wait_sent(200);
    lane.stop();
    assert_eq!(large.received().iter().map(|request| samples(request).len()).collect::<Vec<_>>(), [100]);
}

#[test]
fn a_destination_for_which_a_single_sample_is_too_large_is_not_well() {
    // Until somebody mends it.
    let is_mended = Arc::new(AtomicBool::new(false));
    let mended = Arc::clone(&is_mended);
    let peer = Peer::start(move |_, _| Reply::status(if mended.load(Ordering::Relaxed) { 200 } else { 413 }));
    let mut lane = Running::start(remote_write_to(http(peer.url("/w")), RemoteWriteVersion::V1));
    lane.tick_of(1000, 2);
    wait_for("the loss", || (lane.status.requests(Outcome::Rejected) == 2).then_some(()));
    let retrying = || Some(lane.status.state()).filter(|(state, _)| *state == DestinationState::Retrying);
    let (_, error) = wait_for("the state", retrying);
    assert!(error.as_deref().is_some_and(|why| why.contains("answered 413")), "{error:?}");
    is_mended.store(true, Ordering::Relaxed);
    lane.tick_of(2000, 2);
    lane.wait_sent(2);
    wait_for("the delivery", || (lane.status.state() == (DestinationState::Ok, None)).then_some(()));
    assert_eq!(lane.stop().samples_dropped(DropReason::Rejected), 2);
}

#[test]
fn one_series_that_is_too_large_makes_no_other_request_smaller() {
    // Takes everything but the series of one disk.
    let peer = Peer::start(|_, request| {
        let has_it = samples(request).iter().any(|(disk, _)| disk == "7");
        Reply::status(if has_it { 413 } else { 200 })
    });
    let mut lane = Running::start(remote_write_to(http(peer.url("/w")), RemoteWriteVersion::V1));
    lane.tick_of(1000, 64);
    lane.wait_sent(63);
    wait_for("the loss", || (lane.status.requests(Outcome::Rejected) == 1).then_some(()));
    let first = peer.received().len();
    lane.tick_of(2000, 64);
    lane.wait_sent(126);
    wait_for("the loss", || (lane.status.requests(Outcome::Rejected) == 2).then_some(()));
    assert_eq!(lane.stop().samples_dropped(DropReason::Rejected), 2);
    let sizes: Vec<usize> = peer.received().iter().map(|request| samples(request).len()).collect();
    assert_eq!(sizes[..first], sizes[first..]);
    assert_eq!(sizes[..first].iter().filter(|size| **size == 64).count(), 1);
}

#[test]
fn a_large_tick_goes_in_bodies_of_ten_thousand_and_a_payload_of_json_in_one() {
    let (v1, v2) = (Some(RemoteWriteVersion::V1), Some(RemoteWriteVersion::V2));
    // Cut between chunks, of which 156 whole ones of 64 samples fit: 9,984.
    let hundred = [vec![9984; 10], vec![160]].concat();
    for (version, series, sizes) in
        [(v1, 100_000, hundred), (v2, 15_000, vec![9984, 5016]), (None, 15_000, vec![15_000])]
    {
        let peer = Peer::start(move |_, request| match version == v2 {
            true => wrote(samples(request).len() as u64),
            false => Reply::status(204),
        });
        let kind: Kind = match version {
            Some(version) => remote_write_to(http(peer.url("/w")), version),
            None => json_to(http(peer.url("/in")), Compression::None),
        };
        let mut lane = Running::start_with(kind, SpoolSettings::memory(64 << 20));
        lane.tick_of(1000, series);
        lane.wait_sent(series as u64);
        let status = lane.stop();
        let bodies: Vec<Vec<Sample>> = peer.received().iter().map(samples).collect();
        assert_eq!(bodies.iter().map(Vec::len).collect::<Vec<_>>(), sizes, "{version:?}");
        let each: BTreeSet<&Sample> = bodies.iter().flatten().collect();
        assert_eq!(each.len(), series, "each once: {version:?}");
        assert!(DropReason::ALL.iter().all(|reason| status.samples_dropped(*reason) == 0), "{version:?}");
    }
}

#[test]
fn one_415_counts_for_all_that_waits_on_disk_and_over_a_reload() {
    let is_v2 = |request: &Received| request.header("content-type") == Some(V2);
    let is_up = Arc::new(AtomicBool::new(false));
    let up = Arc::clone(&is_up);
    let peer = Peer::start(move |_, request| match up.load(Ordering::Relaxed) {
        false => Reply::status(503),
        true => Reply::status(if is_v2(request) { 415 } else { 204 }),
    });
    let dir = TempDir::new();
    let kind = remote_write_to(http(peer.url("/w")), RemoteWriteVersion::V2);
    let mut lane = Running::start_with(kind, SpoolSettings::behind(dir.path()));
    backlog(&mut lane, 1..=4, 3);
    is_up.store(true, Ordering::Relaxed);
    lane.wait_sent(12);
    lane.reload(|settings| {
        let To::Http(http) = &mut settings.kind.to else { unreachable!() };
        **http = HttpSettings { timeout: Duration::from_secs(7), ..(**http).clone() };
    });
    lane.tick_of(5000, 3);
    lane.wait_sent(15);
    let status = lane.stop();
    let received = peer.received();
    let first_old = received.iter().position(|request| !is_v2(request)).unwrap();
    assert!(received[first_old..].iter().all(|request| !is_v2(request)), "no 2.0 again after the one that was refused");
    assert_eq!(counted(&received[first_old..]).len(), 15);
    assert_eq!(received.len() - first_old, 5);
    assert_eq!(status.requests(Outcome::Downgraded), 1);
    assert!(DropReason::ALL.iter().all(|reason| status.samples_dropped(*reason) == 0));
}

#[test]
fn a_receiver_of_neither_format_is_not_asked_twice_for_each_body() {
    let peer = Peer::start(|_, _| Reply::status(415));
    let mut lane = Running::start(remote_write_to(http(peer.url("/w")), RemoteWriteVersion::V2));
    for tick in 1..=3 {
        lane.tick_of(tick * 1000, 1);
        wait_for("the loss", || (lane.status.requests(Outcome::Rejected) == tick as u64).then_some(()));
    }
    assert_eq!(lane.stop().samples_dropped(DropReason::Rejected), 3);
    let is_v2: Vec<bool> = peer.received().iter().map(|request| request.header("content-type") == Some(V2)).collect();
    assert_eq!(is_v2, [true, false, true, true]);
}
