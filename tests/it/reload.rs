//! SIGHUP under load, with good configurations and bad ones.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::Signal;
use prometheus_remote_write::WriteRequest;

use crate::lanes::decode;
use crate::support::peer::{Peer, Received, Reply};
use crate::support::program::{Daemon, TempDir, free_port, metricsd};
use crate::support::{cannot_look, wait_for};

/// A daemon, and the file that it reads again.
struct Reloaded {
    daemon: Daemon,
    path: PathBuf,
    dir: TempDir,
    count: usize,
}

impl Reloaded {
    fn start(config: &str) -> Reloaded {
        let dir = TempDir::new();
        let daemon = Daemon::start(dir.path(), config);
        Reloaded { daemon, path: dir.path().join("config.json"), dir, count: 0 }
    }

    fn write(&self, config: &str) {
        std::fs::write(&self.path, config.replace("PORT", &self.daemon.port.to_string())).unwrap();
    }

    /// Takes up `config`, and waits until it has.
    fn reload(&mut self, config: &str) {
        self.write(config);
        self.daemon.signal(Signal::SIGHUP);
        self.count += 1;
        wait_for("the reload", || (self.said("reloaded in") >= self.count).then_some(()));
    }

    /// Is asked to take up `config`, and refuses.
    fn refuse(&mut self, config: &str) -> String {
        self.write(config);
        let before = self.said("nothing was changed");
        self.daemon.signal(Signal::SIGHUP);
        wait_for("the refusal", || (self.said("nothing was changed") > before).then_some(()));
        self.daemon.log()
    }

    fn said(&self, what: &str) -> usize {
        self.daemon.log().matches(what).count()
    }
}

/// A configuration that serves on `PORT`, with these members of `collector`, and shippers.
fn config(collector: &str, shippers: &str) -> String {
    format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{{collector}}}, "shippers": [{shippers}]}}"#
    )
}

fn json(name: &str, peer: &Peer, rest: &str) -> String {
    format!(r#"{{"name": "{name}", "type": "http_json", "endpoint": "{}"{rest}}}"#, peer.url("/in"))
}

fn payload(request: &Received) -> serde_json::Value {
    serde_json::from_slice(&request.body).unwrap()
}

/// The ticks that a peer was sent, in the order of arrival.
fn ticks(peer: &Peer) -> Vec<i64> {
    peer.received().iter().map(|request| payload(request)["timestamp_ms"].as_i64().unwrap()).collect()
}

fn ok() -> Peer {
    Peer::start(|_, _| Reply::status(200))
}

const QUICK: &str = r#""interval_seconds": 0.05"#;

#[test]
fn a_hundred_reloads_under_load_lose_nothing_send_nothing_twice_and_leave_nothing_behind() {
    let (same, changed, comes_and_goes) = (ok(), ok(), ok());
    let same_one = json("same", &same, "");
    let first = config(
        QUICK,
        &[&same_one, &json("changed", &changed, r#", "labels": {"turn": "even"}, "timeout": "20s""#)]
            .map(|s| &**s)
            .join(","),
    );
    let second = config(
        r#""interval_seconds": 0.06, "network": {"exclude": ["lo"]}"#,
        &[
            &json("guest", &comes_and_goes, ""),
            &json("changed", &changed, r#", "labels": {"turn": "odd"}, "timeout": "10s""#),
            &same_one,
        ]
        .map(|s| &**s)
        .join(","),
    );
    let mut program = Reloaded::start(&first);
    wait_for("ten ticks", || (same.received().len() >= 10).then_some(()));
    let resident = |program: &Reloaded| program.daemon.metric("process_resident_memory_bytes").unwrap();
    let mut before = None;
    for turn in 0..100 {
        // Some while ticks are under way, some after a few more, some right behind each other.
        let seen = same.received().len();
        program.reload(if turn % 2 == 0 { &second } else { &first });
        if turn % 3 == 0 {
            wait_for("two more ticks", || (same.received().len() >= seen + 2).then_some(()));
        }
        if turn == 9 {
            // The page first: it keeps a descriptor.
            let memory = resident(&program);
            before = Some((settled(&program.daemon), memory));
        }
    }
    let (counted, memory) = before.unwrap();
    let resident_now = resident(&program);
    // A tick that waits holds a file for as long; what leaks is held for ever.
    wait_for("the threads, and no more descriptors than before", || {
        let (threads, descriptors) = settled(&program.daemon);
        (threads == counted.0 && descriptors <= counted.1).then_some(())
    });
    println!("resident: {memory}, then {resident_now}");
    assert!(resident_now < memory + 3e6, "{memory} bytes grew to {resident_now}");
    let seen = same.received().len();
    wait_for("ten more ticks", || (same.received().len() >= seen + 10).then_some(()));
    let lost = "metricsd_destination_samples_dropped_total";
    for name in ["same", "changed"] {
        for reason in ["mailbox_full", "queue_full", "rejected", "shutdown"] {
            let series = format!("{lost}{{destination=\"{name}\",reason=\"{reason}\"}}");
            assert_eq!(program.daemon.metric(&series), Some(0.0), "{series}");
        }
    }
    program.daemon.signal(Signal::SIGTERM);
    assert_eq!(program.daemon.wait(), 0, "{}", program.daemon.log());

    // Each tick once, in order, over one connection.
    let all = ticks(&same);
    assert!(all.windows(2).all(|two| two[0] < two[1]));
    assert_eq!(same.connections(), 1);
    // The one whose settings change has the same ticks.
    assert_eq!(ticks(&changed), all);
    let turns: BTreeSet<_> = changed
        .received()
        .iter()
        .map(|request| payload(request)["metrics"][0]["labels"]["turn"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(turns.len(), 2);
    // The one that comes and goes has none twice, and none that was not.
    let mut some = ticks(&comes_and_goes);
    let count = some.len();
    some.sort_unstable();
    some.dedup();
    assert_eq!(some.len(), count);
    assert!(some.iter().all(|tick| all.binary_search(tick).is_ok()));
}

/// The names of the threads, and how many descriptors there are, once nothing is on its way:
/// neither a page, nor a reload, nor a lane that drains.
fn settled(daemon: &Daemon) -> (Vec<String>, usize) {
    let entries = |dir: &str| std::fs::read_dir(daemon.proc(dir)).unwrap().map(|entry| entry.unwrap().path());
    let counts = || {
        let names = entries("task").map(|task| std::fs::read_to_string(task.join("comm")).unwrap_or_default());
        let mut names: Vec<String> = names.map(|name| name.trim().to_owned()).collect();
        names.sort();
        (names, entries("fd").count())
    };
    wait_for("the same for a quarter of a second", || {
        let first = counts();
        let same = (0..25).all(|_| {
            std::thread::sleep(Duration::from_millis(10));
            counts() == first
        });
        (same && !first.0.iter().any(|name| name.ends_with("guest") || name == "reload")).then_some(first)
    })
}

#[test]
fn a_bad_configuration_changes_nothing_and_says_why() {
    let peer = ok();
    let good = config(QUICK, &json("same", &peer, ""));
    let mut program = Reloaded::start(&good);
    let log = program.refuse("{\n  \"server\": {\"port\": 70000},\n  \"colector\": {}\n}\n");
    for expected in ["config.json:2:", "server.port", "config.json:3:", "colector"] {
        assert!(log.contains(expected), "{expected:?} is not in:\n{log}");
    }
    let (status, health) = program.daemon.get("/health").unwrap();
    let health: serde_json::Value = serde_json::from_str(&health).unwrap();
    assert_eq!((status, health["status"].as_str()), (200, Some("degraded")));
    assert!(health["reasons"][0].as_str().unwrap().contains("server.port"), "{health}");
    std::fs::remove_file(&program.path).unwrap();
    program.daemon.signal(Signal::SIGHUP);
    wait_for("the second refusal", || (program.said("nothing was changed") == 2).then_some(()));
    let seen = peer.received().len();
    wait_for("more ticks", || (peer.received().len() > seen + 3).then_some(()));
    program.reload(&good);
    let (_, health) = program.daemon.get("/health").unwrap();
    assert!(health.starts_with(r#"{"status":"healthy""#), "{health}");
    assert_eq!(peer.connections(), 1);
}

#[test]
fn collectors_and_interval_change_and_what_is_off_is_gone() {
    let mut program = Reloaded::start(&config(r#""interval_seconds": 3600"#, ""));
    wait_for("the first tick", || program.daemon.metric("system_load_1m"));
    let collections = program.daemon.metric("metricsd_collections_total").unwrap();
    program.reload(&config(r#""interval_seconds": 0.05, "enable_load": false"#, ""));
    wait_for("more ticks", || {
        (program.daemon.metric("metricsd_collections_total").unwrap() > collections + 3.0).then_some(())
    });
    assert_eq!(program.daemon.metric("system_load_1m"), None);
    assert_eq!(program.daemon.metric("metricsd_collector_success{collector=\"load\"}"), None);
    program.reload(&config(QUICK, ""));
    wait_for("the load again", || program.daemon.metric("system_load_1m"));
    wait_for("its row", || program.daemon.metric("metricsd_collector_success{collector=\"load\"}"));
}

/// All chunks are made anew for other views; the series are those of before.
#[test]
fn a_destination_that_comes_with_other_labels_ends_no_series_of_another_one() {
    let (same, other) = (ok(), ok());
    let to = |name: &str, peer: &Peer| {
        let endpoint = peer.url("/write");
        format!(
            r#"{{"name": "{name}", "type": "prometheus_remote_write", "endpoint": "{endpoint}", "labels": {{"for": "{name}"}}}}"#
        )
    };
    let collector = r#""interval_seconds": 0.05, "enable_disk": false, "enable_network": false"#;
    let mut program = Reloaded::start(&config(collector, &to("same", &same)));
    wait_for("ticks", || (same.received().len() > 2).then_some(()));
    program.reload(&config(collector, &[to("other", &other), to("same", &same)].join(",")));
    wait_for("ticks of both", || (other.received().len() > 5).then_some(()));
    let requests: Vec<_> = same.received().iter().map(|request| decode(&request.body)).collect();
    let series = |request: &WriteRequest| request.timeseries.iter().map(|one| one.labels.clone()).collect::<Vec<_>>();
    assert!(requests.iter().all(|request| series(request) == series(&requests[0])));
    let samples = requests.iter().flat_map(|request| &request.timeseries).flat_map(|one| &one.samples);
    assert!(samples.clone().all(|sample| !sample.value.is_nan()), "{samples:?}");
}

#[test]
fn patterns_that_leave_nothing_of_a_collector_are_warned_of_once() {
    let network = |patterns: &str| {
        config(&format!(r#""interval_seconds": 0.05, "network": {{"include": [{patterns}], "exclude": []}}"#), "")
    };
    let said = "collector network: there is nothing here that collector.network leaves over";
    let mut program = Reloaded::start(&network(r#""nosuch.*""#));
    wait_for("the warning", || (program.said(said) == 1).then_some(()));
    // What has not changed is not said again, and what matches is no matter.
    program.reload(&network(r#""nosuch.*""#));
    program.reload(&network(r#""lo""#));
    wait_for("lo", || program.daemon.metric(r#"system_network_bytes_recv_total{interface="lo"}"#));
    program.reload(&network(r#""neither""#));
    wait_for("the warning", || (program.said(said) == 2).then_some(()));
}

#[test]
fn the_log_level_comes_and_goes_with_a_reload_and_the_command_line_wins() {
    let quiet = config(QUICK, "");
    let loud = quiet.replacen('{', r#"{"log_level": "debug", "#, 1);
    let mut program = Reloaded::start(&quiet);
    // A page leaves a line at debug. Lines keep their order, so behind a reload's it would be there.
    program.daemon.get("/first").unwrap();
    program.reload(&loud);
    program.daemon.get("/second").unwrap();
    wait_for("a line of debug", || (program.said("GET /second -> 404") == 1).then_some(()));
    program.reload(&quiet);
    program.daemon.get("/third").unwrap();
    program.reload(&quiet);
    assert_eq!((program.said("/first"), program.said("/third")), (0, 0), "{}", program.daemon.log());

    let dir = TempDir::new();
    let port = free_port();
    let path = dir.write("config.json", &loud.replace("PORT", &port.to_string()));
    let mut command = metricsd();
    command.arg("-config").arg(path).env("MC_LOG_LEVEL", "info");
    let daemon = Daemon::spawn(&mut command, port);
    daemon.get("/fourth").unwrap();
    daemon.signal(Signal::SIGHUP);
    wait_for("the reload", || daemon.log().contains("reloaded in").then_some(()));
    assert!(!daemon.log().contains("GET /"), "{}", daemon.log());
}

#[test]
fn log_lines_become_objects_and_words_again_with_a_reload() {
    let words = config(QUICK, "");
    let objects = words.replacen('{', r#"{"log_format": "json", "#, 1);
    let mut program = Reloaded::start(&words);
    program.reload(&objects);
    program.reload(&words);
    let log = program.daemon.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.starts_with('{')).collect();
    assert!(!lines.is_empty() && !log.lines().last().unwrap().starts_with('{'), "{log}");
    // In this order, and no line of another kind between the two reloads.
    for line in &lines {
        let object: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let member = |name: &str| object[name].as_str().unwrap_or_else(|| panic!("{name} of {line}")).to_owned();
        assert_eq!(object.as_object().unwrap().len(), 4, "{line}");
        assert!(
            line.starts_with(&format!("{{\"time\":\"{}\",\"level\":\"info\",\"target\":\"metricsd::", member("time")))
        );
        assert!(member("time").ends_with('Z') && !member("message").is_empty(), "{line}");
    }
    let all: Vec<&str> = log.lines().collect();
    let at = all.iter().position(|line| line.starts_with('{')).unwrap();
    assert!(all[at..at + lines.len()].iter().all(|line| line.starts_with('{')), "{log}");
    assert!(lines.iter().any(|line| line.contains("\"message\":\"reloaded in ")), "{log}");
}

#[test]
fn a_destination_that_goes_drains_while_the_others_go_on_and_what_it_keeps_is_said() {
    let (stays, goes) = (ok(), Peer::start(|_, _| Reply::status(503)));
    let stay = json("stays", &stays, "");
    let both = config(QUICK, &format!("{stay},{}", json("goes", &goes, "")));
    let mut program = Reloaded::start(&both);
    wait_for("a failure", || (goes.received().len() >= 2).then_some(()));
    program.reload(&config(QUICK, &stay));
    assert!(program.daemon.log().contains("destination goes: let go of"), "{}", program.daemon.log());
    let seen = stays.received().len();
    wait_for("more ticks", || (stays.received().len() > seen + 5).then_some(()));
    let ends = |log: &str| log.lines().any(|line| line.contains("destination goes: ") && line.contains("undelivered"));
    wait_for("the end of its lane", || ends(&program.daemon.log()).then_some(()));
    assert_eq!(program.daemon.metric("metricsd_destination_queue_frames{destination=\"goes\"}"), None);
    // It comes back as a new one.
    program.reload(&both);
    let seen = goes.received().len();
    wait_for("requests again", || (goes.received().len() > seen).then_some(()));
    assert_eq!(program.daemon.get("/health").unwrap().0, 200);
    assert_eq!(stays.connections(), 1);
}

#[test]
fn what_waits_for_a_destination_goes_to_its_new_address() {
    let (old, new) = (Peer::start(|_, _| Reply::status(503)), ok());
    let retry = r#", "retry": {"min_backoff": "50ms", "max_backoff": "100ms"}"#;
    let mut program = Reloaded::start(&config(QUICK, &json("moves", &old, retry)));
    wait_for("some ticks to wait", || {
        program.daemon.metric("metricsd_destination_queue_frames{destination=\"moves\"}").filter(|frames| *frames > 5.0)
    });
    program.reload(&config(QUICK, &json("moves", &new, retry)));
    wait_for("ticks at the new address", || (new.received().len() > 10).then_some(()));
    let (tried, got) = (ticks(&old), ticks(&new));
    assert_eq!(got[0], tried[0], "the first tick was tried at the old address and delivered at the new one");
    assert!(got.windows(2).all(|two| two[0] < two[1]));
}

#[test]
fn a_destination_that_refuses_us_is_asked_again_at_a_reload_changed_or_not() {
    let mended = Arc::new(AtomicBool::new(false));
    let is_mended = Arc::clone(&mended);
    let peer = Peer::start(move |_, _| Reply::status(if is_mended.load(Ordering::Relaxed) { 200 } else { 401 }));
    let first = config(QUICK, &json("closed", &peer, ""));
    let mut program = Reloaded::start(&first);
    wait_for("the refusal", || program.daemon.get("/health").filter(|(_, health)| health.contains("is held")));
    // Each reload asks once, and then waits for a minute, as before.
    for (count, rest) in [(2, ""), (3, r#", "timeout": "3s""#)] {
        program.reload(&config(QUICK, &json("closed", &peer, rest)));
        wait_for("another request", || (peer.received().len() == count).then_some(()));
        wait_for("another refusal", || {
            let held = r#"metricsd_destination_requests_total{destination="closed",outcome="held"}"#;
            (program.daemon.metric(held) == Some(count as f64)).then_some(())
        });
    }
    mended.store(true, Ordering::Relaxed);
    program.reload(&first);
    wait_for("what waited", || (peer.received().len() > 10).then_some(()));
    let ticks = ticks(&peer);
    assert_eq!(ticks[..3], [ticks[3]; 3]);
    assert!(ticks[3..].windows(2).all(|two| two[0] < two[1]));
}

#[test]
fn a_destination_whose_spool_changes_is_started_anew_and_loses_nothing() {
    let up = Arc::new(AtomicBool::new(false));
    let delivered: Arc<Mutex<Vec<i64>>> = Arc::default();
    let (is_up, took) = (Arc::clone(&up), Arc::clone(&delivered));
    let peer = Peer::start(move |_, request| {
        if !is_up.load(Ordering::Relaxed) {
            return Reply::status(503);
        }
        took.lock().unwrap().push(payload(request)["timestamp_ms"].as_i64().unwrap());
        Reply::status(200)
    });
    let all = ok();
    let with = |rest: &str| {
        let spooled = format!(r#", "spool": {{"mode": "behind"{rest}}}"#);
        config(QUICK, &format!("{},{}", json("all", &all, ""), json("kept", &peer, &spooled)))
    };
    let mut program = Reloaded::start(&with(""));
    let waiting = |program: &Reloaded| {
        program.daemon.metric("metricsd_destination_queue_frames{destination=\"kept\"}").unwrap_or_default()
    };
    wait_for("some to wait", || (waiting(&program) > 5.0).then_some(()));
    program.reload(&with(r#", "max_bytes": 1000000"#));
    // And once more, while the one that came with the first one may not have started yet.
    program.reload(&with(r#", "max_bytes": 2000000"#));
    let seen = all.received().len();
    wait_for("more ticks", || (all.received().len() > seen + 20).then_some(()));
    up.store(true, Ordering::Relaxed);
    wait_for("what waited", || {
        let (all, got) = (all.received().len(), delivered.lock().unwrap().len());
        (got >= all && got > 30).then_some(())
    });
    program.daemon.signal(Signal::SIGTERM);
    assert_eq!(program.daemon.wait(), 0, "{}", program.daemon.log());
    let got = delivered.lock().unwrap().clone();
    assert_eq!(got, ticks(&all), "each tick once and in order");
    assert!(!program.daemon.log().contains("kept in memory until"), "{}", program.daemon.log());
}

#[test]
fn the_server_moves_if_it_can_and_stays_where_it_is_if_not() {
    let mut program = Reloaded::start(&config(QUICK, ""));
    let at = |host: &str, port: u16| {
        format!(r#"{{"server": {{"host": "{host}", "port": {port}}}, "collector": {{{QUICK}}}}}"#)
    };
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let log = program.refuse(&at("127.0.0.1", taken.local_addr().unwrap().port()));
    assert!(log.contains("cannot listen on 127.0.0.1"), "{log}");
    assert_eq!(program.daemon.get("/ready").unwrap().0, 200);

    let old = program.daemon.port;
    let new = free_port();
    program.reload(&at("127.0.0.1", new));
    assert!(program.daemon.get("/ready").is_none(), "nobody listens at the old port {old}");
    program.daemon.port = new;
    assert_eq!(program.daemon.get("/ready").unwrap().0, 200);

    // The port stays and the address does not: the old one has to go first.
    program.reload(&at("0.0.0.0", new));
    assert_eq!(program.daemon.get("/ready").unwrap().0, 200);
    program.reload(&at("127.0.0.1", new));
    assert_eq!(program.daemon.get("/ready").unwrap().0, 200);
}

#[test]
fn a_reload_asked_for_during_a_reload_is_not_lost_and_one_that_hangs_keeps_nobody_from_stopping() {
    let peer = ok();
    let mut program = Reloaded::start(&config(QUICK, &json("same", &peer, "")));
    // Whoever opens a FIFO waits until somebody writes.
    let fifo = program.dir.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::fs::rename(&fifo, &program.path).unwrap();
    program.daemon.signal(Signal::SIGHUP);
    wait_for("the reload to begin", || (program.said("SIGHUP: reading") == 1).then_some(()));
    for _ in 0..5 {
        program.daemon.signal(Signal::SIGHUP);
    }
    let seen = peer.received().len();
    wait_for("more ticks", || (peer.received().len() > seen + 3).then_some(()));
    // Whoever reads it now gets this, and who comes then the file.
    std::fs::write(&program.path, "{").unwrap();
    wait_for("the first one to end", || (program.said("nothing was changed") == 1).then_some(()));
    wait_for("the second one to begin", || (program.said("SIGHUP: reading") == 2).then_some(()));
    assert_eq!(program.said("reloaded in"), 0);
    let begun = std::time::Instant::now();
    program.daemon.signal(Signal::SIGTERM);
    assert_eq!(program.daemon.wait(), 0);
    assert!(begun.elapsed() < Duration::from_secs(10), "it took {:?}", begun.elapsed());
}

#[test]
fn a_reload_ends_a_pause_that_the_peer_has_asked_for() {
    let peer = Peer::start(|n, _| match n {
        0 => Reply::Answer(503, vec![("Retry-After", "3600".to_owned())], ""),
        _ => Reply::status(200),
    });
    let config = config(r#""interval_seconds": 0.1"#, &json("busy", &peer, ""));
    let mut lane = Reloaded::start(&config);
    wait_for("the refusal", || (lane.said("trying again in 1h0m0s") > 0).then_some(()));
    assert_eq!(peer.received().len(), 1);
    lane.reload(&config);
    wait_for("the backlog", || (peer.received().len() > 2).then_some(()));
    let sent = ticks(&peer);
    assert_eq!(sent[0], sent[1], "what was refused goes first");
}

#[test]
fn a_host_that_is_renamed_shows_its_new_name_after_a_reload() {
    let dir = TempDir::new();
    let peer = Peer::start(|_, _| Reply::status(204));
    let port = free_port();
    let config = format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": {port}}}, "collector": {{"interval_seconds": 0.1}}, "shippers": [
            {{"type": "http_json", "endpoint": "{}"}}, {{"type": "prometheus_remote_write", "endpoint": "{}"}}]}}"#,
        peer.url("/json"),
        peer.url("/write")
    );
    let path = dir.write("config.json", &config);
    // A name of its own, which is nobody else's to lose.
    let mut named = Command::new("unshare");
    named.args(["--uts", "sh", "-c", r#"hostname host-before && exec "$@""#, "sh"]);
    let tried = Command::new("unshare").args(["--uts", "sh", "-c", "hostname x"]).output();
    if !tried.is_ok_and(|tried| tried.status.success()) {
        return cannot_look("no host can be renamed here");
    }
    let program = metricsd();
    let env = program.get_envs().filter_map(|(name, value)| Some((name, value?)));
    named.envs(env).arg(program.get_program()).arg("-config").arg(path);
    let daemon = Daemon::spawn(&mut named, port);
    let says = |path: &str, name: &str| {
        let of = |request: &Received| {
            let plain = || snap::raw::Decoder::new().decompress_vec(&request.body).unwrap();
            request.line.contains(path)
                && String::from_utf8_lossy(&if path == "/json" { request.body.clone() } else { plain() }).contains(name)
        };
        peer.received().iter().any(of)
    };
    wait_for("the name of the start", || (says("/json", "host-before") && says("/write", "host-before")).then_some(()));
    let renamed = Command::new("nsenter")
        .args([&format!("--uts=/proc/{}/ns/uts", daemon.pid()), "hostname", "host-after"])
        .status()
        .unwrap();
    assert!(renamed.success());
    daemon.signal(Signal::SIGHUP);
    wait_for("the new name", || (says("/json", "host-after") && says("/write", "host-after")).then_some(()));
    assert!(daemon.get("/").unwrap().1.contains("host-after"));
}
