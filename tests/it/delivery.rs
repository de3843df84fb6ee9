//! Delivery through outages, restarts and kills: nothing that was collected is missing.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::peer::{Peer, Reply};
use crate::support::program::{Daemon, TempDir, metricsd, run};
use crate::support::spool::{first_frame, has_frame};
use crate::support::wait_for;

/// A peer that is down until it is told otherwise.
struct Switched {
    peer: Peer,
    up: Arc<AtomicBool>,
}

impl Switched {
    fn down() -> Switched {
        let up = Arc::new(AtomicBool::new(false));
        let is_up = Arc::clone(&up);
        let peer = Peer::start(move |_, _| Reply::status(if is_up.load(Ordering::Relaxed) { 200 } else { 503 }));
        Switched { peer, up }
    }

    fn set_up(&self) {
        self.up.store(true, Ordering::Relaxed);
    }

    /// The ticks that it took, by their time in milliseconds, in the order of arrival.
    fn taken(&self, from: usize) -> Vec<i64> {
        self.peer.received()[from..].iter().map(|request| time_of(&request.body)).collect()
    }
}

fn time_of(payload: &[u8]) -> i64 {
    let payload: serde_json::Value = serde_json::from_slice(payload).unwrap();
    payload["timestamp_ms"].as_i64().unwrap()
}

/// A configuration with the destination under test, and a file that is told of each tick as well.
fn config(dir: &Path, url: &str, mode: &str) -> String {
    format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{"interval_seconds": 0.05}},
            "spool": {{"dir": "{dir}/spool", "mode": "{mode}"}},
            "shippers": [{{"name": "remote", "type": "http_json", "endpoint": "{url}",
                           "retry": {{"min_backoff": "10ms", "max_backoff": "100ms"}}}},
                         {{"name": "record", "type": "file", "endpoint": "{dir}/record.jsonl"}}]}}"#,
        dir = dir.display()
    )
}

/// The ticks that were collected, as the file has them. A kill may leave half a line, which
/// stays alone.
fn recorded(dir: &Path) -> Vec<i64> {
    let text = std::fs::read_to_string(dir.join("record.jsonl")).unwrap_or_default();
    text.lines().filter(|line| line.ends_with("]}")).map(|line| time_of(line.as_bytes())).collect()
}

/// Waits until the destination has nothing left to send.
fn wait_drained(daemon: &Daemon) {
    wait_for("the backlog to be drained", || {
        let frames = daemon.metric("metricsd_destination_queue_frames{destination=\"remote\"}")?;
        (frames <= 1.0).then_some(())
    });
}

#[test]
fn the_first_delivery_and_the_first_one_after_a_failure_are_said_and_no_other() {
    let dir = TempDir::new();
    let remote = Switched::down();
    remote.set_up();
    let daemon = Daemon::start(dir.path(), &config(dir.path(), &remote.peer.url("/in"), "behind"));
    let said = |what: &str| daemon.log().lines().filter(|line| line.contains(what)).count();
    wait_for("some deliveries", || (remote.peer.received().len() > 3).then_some(()));
    wait_for("the word of both", || (said(": delivers; the first request had ") == 2).then_some(()));
    remote.up.store(false, Ordering::Relaxed);
    wait_for("a failure", || (said("destination remote: failed: ") > 0).then_some(()));
    let seen = remote.peer.received().len();
    wait_for("some attempts", || (remote.peer.received().len() > seen + 3).then_some(()));
    remote.set_up();
    wait_for("the word", || (said("destination remote: delivers again, after failing for ") == 1).then_some(()));
    let seen = remote.peer.received().len();
    wait_for("more deliveries", || (remote.peer.received().len() > seen + 3).then_some(()));
    assert_eq!((said(": delivers; "), said("delivers again")), (2, 1), "{}", daemon.log());
    let log = daemon.log();
    let line = log.lines().find(|line| line.contains("delivers again")).unwrap();
    assert!(line.starts_with("info ") && line.contains("; behind it: "), "{line}");
}

#[test]
fn each_request_and_each_round_is_said_at_debug() {
    let dir = TempDir::new();
    let remote = Switched::down();
    remote.set_up();
    let text = config(dir.path(), &remote.peer.url("/in"), "behind").replacen('{', r#"{"log_level": "debug", "#, 1);
    let daemon = Daemon::start(dir.path(), &text);
    let is_said = |line: &str, begin: &str, end: &str| line.starts_with(begin) && line.contains(end);
    wait_for("the lines", || {
        let log = daemon.log();
        let mut lines = log.lines();
        let request = lines.any(|line| is_said(line, "debug destination remote: ", " samples): answered 200 OK, in "));
        (request && log.lines().any(|line| is_said(line, "debug collector load: ok, 3 series in ", "s"))).then_some(())
    });
}

#[test]
fn an_outage_and_a_restart_in_it_leave_no_gap_and_keep_the_order() {
    let dir = TempDir::new();
    let remote = Switched::down();
    let config = config(dir.path(), &remote.peer.url("/in"), "behind");
    for _ in 0..2 {
        let before = recorded(dir.path()).len();
        let mut daemon = Daemon::start(dir.path(), &config);
        wait_for("ten ticks", || (recorded(dir.path()).len() >= before + 10).then_some(()));
        daemon.signal(Signal::SIGTERM);
        assert_eq!(daemon.wait(), 0);
        wait_for("a line on what is left", || daemon.log().contains("wait on disk for the next start").then_some(()));
    }
    let attempts = remote.peer.received().len();
    remote.set_up();
    let mut daemon = Daemon::start(dir.path(), &config);
    wait_drained(&daemon);
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0);
    // Each of them once: nobody was killed, so nothing needed to be sent twice.
    assert_eq!(remote.taken(attempts), recorded(dir.path()));
    let left: Vec<_> =
        std::fs::read_dir(dir.path().join("spool/remote")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["lock"], "what is delivered is gone from the disk");
}

/// Flips a bit in the payload of the first frame of a segment: `docs/spool.md` says where that is.
fn damage_first(segment: &Path) {
    let mut bytes = std::fs::read(segment).unwrap();
    let frame = first_frame(&bytes).unwrap();
    bytes[frame + 40 + 3] ^= 1;
    std::fs::write(segment, bytes).unwrap();
}

#[test]
fn damage_to_a_stopped_daemons_spool_is_counted_once_and_the_rest_is_delivered() {
    let dir = TempDir::new();
    let remote = Switched::down();
    let config = config(dir.path(), &remote.peer.url("/in"), "behind");
    let mut daemon = Daemon::start(dir.path(), &config);
    wait_for("ten ticks", || (recorded(dir.path()).len() >= 10).then_some(()));
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0);
    damage_first(&dir.path().join("spool/remote/00000000000000000001.seg"));

    let series = r#"metricsd_destination_samples_dropped_total{destination="remote",reason="damaged"}"#;
    let mut daemon = Daemon::start(dir.path(), &config);
    let lost = wait_for("the loss to be counted", || daemon.metric(series).filter(|lost| *lost > 0.0));
    let (_, health) = daemon.get("/health").unwrap();
    let health: serde_json::Value = serde_json::from_str(&health).unwrap();
    assert_eq!(health["destinations"]["remote"]["dropped_samples"].as_f64(), Some(lost), "{health}");
    let said = format!(": 1 request ({lost} samples)");
    let is_said = |line: &str| line.contains("destination remote: lost to damage in ") && line.ends_with(&said);
    wait_for("a warning", || daemon.log().lines().any(is_said).then_some(()));
    // Ended in order, so that the next one knows of it.
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0);

    let attempts = remote.peer.received().len();
    remote.set_up();
    let mut daemon = Daemon::start(dir.path(), &config);
    wait_drained(&daemon);
    assert_eq!(daemon.metric(series).unwrap_or_default(), 0.0);
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0);
    assert!(!daemon.log().contains("lost to damage"), "{}", daemon.log());
    assert_eq!(remote.taken(attempts), recorded(dir.path())[1..]);
}

/// What a kill may cost, by the promise: what is younger than this. On a machine with a core
/// to spare that is one tick; on one where a lane waits for its turn, those that wait with it.
const AT_STAKE_MS: i64 = 1000;

/// Kills metricsd in an outage `kills` times, each time at another moment, and then lets it
/// deliver. Only the newest before each kill may be missing, with none behind it that is not.
fn kill_again_and_again(mode: &str, kills: u32, seed: u64) {
    let dir = TempDir::new();
    let remote = Switched::down();
    let config = config(dir.path(), &remote.peer.url("/in"), mode);
    let mut random = seed;
    let mut lives = Vec::new();
    for _ in 0..kills {
        let before = recorded(dir.path()).len();
        let mut daemon = Daemon::start(dir.path(), &config);
        wait_for("a tick", || (recorded(dir.path()).len() > before).then_some(()));
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // Not a wait for something: the moment itself is what is being drawn.
        std::thread::sleep(Duration::from_micros(random % 150_000));
        daemon.signal(Signal::SIGKILL);
        daemon.wait();
        lives.push(recorded(dir.path()).split_off(before));
    }
    let attempts = remote.peer.received().len();
    remote.set_up();
    let mut daemon = Daemon::start(dir.path(), &config);
    wait_drained(&daemon);
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0, "{}", daemon.log());
    let delivered: BTreeSet<i64> = remote.taken(attempts).into_iter().collect();
    let mut cost_more_than_one = 0;
    for life in &lives {
        let kept = life.iter().rposition(|time| delivered.contains(time)).map_or(0, |last| last + 1);
        let (safe, lost) = life.split_at(kept);
        let gaps: Vec<&i64> = safe.iter().filter(|time| !delivered.contains(time)).collect();
        assert!(gaps.is_empty(), "{mode}: older ticks are missing: {gaps:?}; log:\n{}", daemon.log());
        let age = life.last().zip(lost.first()).map_or(0, |(newest, oldest)| newest - oldest);
        assert!(age < AT_STAKE_MS, "{mode}: {lost:?} are missing at the end of a life; log:\n{}", daemon.log());
        cost_more_than_one += usize::from(lost.len() > 1);
    }
    assert!(cost_more_than_one * 2 <= lives.len(), "{mode}: {cost_more_than_one} of {} kills", lives.len());
}

#[test]
fn kills_at_random_moments_of_an_outage_cost_at_most_the_tick_in_hand() {
    // 200 kills, some at the same time as others.
    std::thread::scope(|scope| {
        for run in 0..8 {
            scope.spawn(move || kill_again_and_again("behind", 25, 0x9e37_79b9_7f4a_7c15 ^ (run + 1)));
        }
    });
}

#[test]
fn kills_in_the_mode_always_cost_at_most_the_tick_that_was_not_encoded_yet() {
    kill_again_and_again("always", 5, 77);
}

#[test]
fn a_destination_that_is_well_costs_no_write_to_the_disk() {
    let dir = TempDir::new();
    let peer = Peer::start(|_, _| Reply::status(200));
    let config = format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{"interval_seconds": 0.05}},
            "spool": {{"dir": "{}/spool"}},
            "shipper": {{"name": "remote", "type": "prometheus_remote_write", "endpoint": "{}"}}}}"#,
        dir.path().display(),
        peer.url("/in")
    );
    let daemon = Daemon::start(dir.path(), &config);
    // What the kernel has been given to write to a device, proc_pid_io(5).
    let written = || {
        let io = std::fs::read_to_string(daemon.proc("io")).unwrap();
        io.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse::<u64>().ok()).unwrap()
    };
    wait_for("ten ticks", || (peer.received().len() >= 10).then_some(()));
    // On a machine that is busy for a second a tick may take as long, and then it is written.
    let mut quiet = false;
    for _ in 0..5 {
        let (before, seen) = (written(), peer.received().len());
        wait_for("sixty more", || (peer.received().len() >= seen + 60).then_some(()));
        quiet |= written() == before;
        if quiet {
            break;
        }
    }
    assert!(quiet, "each of five stretches of sixty ticks wrote something: {}", daemon.log());
    let files: Vec<_> =
        std::fs::read_dir(dir.path().join("spool/remote")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files, ["lock"], "{}", daemon.log());
}

#[test]
fn in_the_mode_always_what_is_delivered_is_off_the_disk_soon() {
    let dir = TempDir::new();
    let peer = Peer::start(|_, _| Reply::status(200));
    let daemon = Daemon::start(dir.path(), &config(dir.path(), &peer.url("/in"), "always"));
    wait_for("some ticks", || (peer.received().len() > 100).then_some(()));
    let path = dir.path().join("config.json");
    // At most those of the second since it was last tidied.
    wait_for("few to be left", || {
        let listed = run(metricsd().arg("-config").arg(&path).arg("-spool")).stdout;
        let row = listed.lines().find(|line| line.starts_with("remote"))?;
        let waiting: u64 = row.split_whitespace().nth(1)?.parse().ok()?;
        (waiting < 60).then_some(())
    });
    drop(daemon);
}

#[test]
fn a_tick_that_a_destination_sits_on_is_on_disk_long_before_the_next_one() {
    let dir = TempDir::new();
    let hung = Arc::new(AtomicBool::new(true));
    let hangs = Arc::clone(&hung);
    let peer = Peer::start(move |_, _| if hangs.load(Ordering::Relaxed) { Reply::Hang } else { Reply::status(200) });
    let config = format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{"interval_seconds": 3600}},
            "spool": {{"dir": "{}/spool"}},
            "shipper": {{"name": "remote", "type": "http_json", "endpoint": "{}", "timeout": "1h"}}}}"#,
        dir.path().display(),
        peer.url("/in")
    );
    let mut daemon = Daemon::start(dir.path(), &config);
    let first = wait_for("the request", || peer.received().first().map(|request| time_of(&request.body)));
    wait_for("the tick to be on disk", || has_frame(&dir.path().join("spool/remote")).then_some(()));
    daemon.signal(Signal::SIGKILL);
    daemon.wait();
    hung.store(false, Ordering::Relaxed);
    let _daemon = Daemon::start(dir.path(), &config);
    let second = wait_for("the tick from before", || peer.received().get(1).cloned());
    assert_eq!(time_of(&second.body), first);
}

#[test]
fn what_a_hanging_destination_holds_at_the_end_is_counted_or_kept() {
    for (mode, word) in [("behind", "wait on disk for the next start"), ("memory", "undelivered and lost")] {
        let dir = TempDir::new();
        let peer = Peer::start(|_, _| Reply::Hang);
        let mut daemon = Daemon::start(dir.path(), &config(dir.path(), &peer.url("/in"), mode));
        wait_for("a request", || (!peer.received().is_empty()).then_some(()));
        daemon.signal(Signal::SIGTERM);
        assert_eq!(daemon.wait(), 0);
        wait_for("a line on what is left", || daemon.log().contains(word).then_some(()));
    }
}

/// A configuration with and without the collector `load`.
fn with_load(dir: &Path, peer: &Peer, load: bool) -> String {
    format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT}},
            "collector": {{"interval_seconds": 0.5, "enable_load": {load}}},
            "spool": {{"dir": "{}/spool"}},
            "shipper": {{"name": "remote", "type": "prometheus_remote_write", "endpoint": "{}"}}}}"#,
        dir.display(),
        peer.url("/in")
    )
}

/// The values that a request has of `system_load_1m`, as bits.
fn load(body: &[u8]) -> Vec<u64> {
    let message = snap::raw::Decoder::new().decompress_vec(body).unwrap();
    let request: prometheus_remote_write::WriteRequest = prost_0_12::Message::decode(&message[..]).unwrap();
    let series = request.timeseries.into_iter();
    let load = series.filter(|series| series.labels.iter().any(|label| label.value == "system_load_1m"));
    load.flat_map(|series| series.samples).map(|sample| sample.value.to_bits()).collect()
}

/// Waits for Prometheus' staleness marker for `system_load_1m` among the requests from `from`
/// on, and finds nothing of it after that.
fn wait_ended(peer: &Peer, from: usize) {
    let marked = |body: &[u8]| load(body) == [0x7ff0_0000_0000_0002];
    let at = crate::support::wait_long_for("the end of the series", || {
        peer.received()[from..].iter().position(|request| marked(&request.body))
    });
    wait_for("two more ticks", || (peer.received().len() >= from + at + 3).then_some(()));
    assert!(peer.received()[from + at + 1..].iter().all(|request| load(&request.body).is_empty()));
}

#[test]
fn a_series_that_is_gone_after_a_restart_is_ended() {
    let dir = TempDir::new();
    let peer = Peer::start(|_, _| Reply::status(200));
    let mut daemon = Daemon::start(dir.path(), &with_load(dir.path(), &peer, true));
    wait_for("two ticks", || (peer.received().len() >= 2).then_some(()));
    daemon.signal(Signal::SIGTERM);
    daemon.wait();
    let before = peer.received().len();
    assert_eq!(load(&peer.received()[0].body).len(), 1);
    let _daemon = Daemon::start(dir.path(), &with_load(dir.path(), &peer, false));
    wait_ended(&peer, before);
}

#[test]
fn the_series_of_a_collector_that_a_reload_switches_off_are_ended() {
    let dir = TempDir::new();
    let peer = Peer::start(|_, _| Reply::status(200));
    let daemon = Daemon::start(dir.path(), &with_load(dir.path(), &peer, true));
    wait_for("two ticks", || (peer.received().len() >= 2).then_some(()));
    let config = with_load(dir.path(), &peer, false).replace("PORT", &daemon.port.to_string());
    std::fs::write(dir.path().join("config.json"), config).unwrap();
    daemon.signal(Signal::SIGHUP);
    wait_ended(&peer, 0);
}
