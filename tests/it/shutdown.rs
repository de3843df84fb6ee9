//! The end comes within ten seconds, whatever hangs.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::mounts::Namespace;
use crate::support::peer::{Peer, Reply};
use crate::support::program::{Daemon, TempDir, free_port, metricsd};
use crate::support::{PATIENCE, wait_for};

/// What is promised.
const WITHIN: Duration = Duration::from_secs(10);

/// Asks `daemon` to stop, and gives its exit code.
fn stop(daemon: &mut Daemon) -> i32 {
    let begun = Instant::now();
    daemon.signal(Signal::SIGTERM);
    let code = daemon.wait();
    assert!(begun.elapsed() < WITHIN, "it took {:?}", begun.elapsed());
    code
}

fn config(shippers: &str) -> String {
    format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{"interval_seconds": 0.05}},
            "shippers": [{shippers}]}}"#
    )
}

fn json(name: &str, peer: &Peer) -> String {
    format!(r#"{{"name": "{name}", "type": "http_json", "endpoint": "{}", "timeout": "1h"}}"#, peer.url("/in"))
}

#[test]
fn a_destination_that_hangs_keeps_neither_the_end_nor_another_ones_data() {
    let dir = TempDir::new();
    let hung = Peer::start(|_, _| Reply::Hang);
    // Takes its time, so that something waits when the end comes.
    let slow = Peer::start(|n, _| {
        std::thread::sleep(Duration::from_millis(if n < 10 { 120 } else { 1 }));
        Reply::status(200)
    });
    let mut daemon = Daemon::start(dir.path(), &config(&format!("{},{}", json("hung", &hung), json("slow", &slow))));
    wait_for("a request to each", || (!hung.received().is_empty() && slow.received().len() > 4).then_some(()));
    let collections = daemon.metric("metricsd_collections_total").unwrap();
    assert_eq!(stop(&mut daemon), 0);
    assert!(slow.received().len() as f64 >= collections, "what waited was delivered");
}

#[test]
fn a_request_that_hangs_has_its_grace_and_is_named_and_nobody_else_is() {
    let dir = TempDir::new();
    let (hung, well) = (Peer::start(|_, _| Reply::Hang), Peer::start(|_, _| Reply::status(200)));
    let mut daemon = Daemon::start(dir.path(), &config(&format!("{},{}", json("hung", &hung), json("well", &well))));
    wait_for("a request to each", || (!hung.received().is_empty() && !well.received().is_empty()).then_some(()));
    let begun = Instant::now();
    assert_eq!(stop(&mut daemon), 0);
    // Five seconds, a round that is under way, and a machine that is busy.
    assert!((5..8).contains(&begun.elapsed().as_secs()), "it took {:?}", begun.elapsed());
    let log = wait_for("the end of the log", || Some(daemon.log()).filter(|log| log.contains("stopped in")));
    assert!(log.contains("destination hung: what is under way to it did not end within the 5 s"), "{log}");
    assert!(log.contains("destination hung: ") && log.contains("they wait on disk for the next start"), "{log}");
    for other in ["keep-", "left behind", "destination well: what"] {
        assert!(!log.contains(other), "{log}");
    }
}

/// A host in `dir` like the fixture `vm`, without its `loadavg`.
fn host_without_loadavg(dir: &TempDir) {
    let vm = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/vm");
    std::fs::create_dir(dir.path().join("proc")).unwrap();
    for entry in std::fs::read_dir(vm.join("proc")).unwrap().map(Result::unwrap) {
        if entry.file_name() != "loadavg" {
            symlink(entry.path(), dir.path().join("proc").join(entry.file_name())).unwrap();
        }
    }
    symlink(vm.join("sys"), dir.path().join("sys")).unwrap();
}

#[test]
fn a_file_of_the_kernels_that_hangs_keeps_neither_the_end_nor_the_data() {
    let dir = TempDir::new();
    host_without_loadavg(&dir);
    let peer = Peer::start(|_, _| {
        std::thread::sleep(Duration::from_millis(100));
        Reply::status(200)
    });
    let port = free_port();
    let text = config(&json("slow", &peer)).replace("PORT", &port.to_string());
    // Without those that hand in between two ticks, requests are ticks.
    let path = dir.write("config.json", &text.replace("0.05", r#"0.05, "enable_disk": false"#));
    let mount = dir.path().join("mount");
    let mut program = metricsd();
    program.arg("-config").arg(path).arg("-root").arg(dir.path());
    let Some(namespace) = Namespace::new() else { return };
    std::fs::create_dir(&mount).unwrap();
    let _silent = namespace.silent(&mount);
    let mut daemon = Daemon::spawn(&mut namespace.command(&program), port);
    wait_for("some ticks", || (peer.received().len() > 3).then_some(()));
    symlink(mount.join("loadavg"), dir.path().join("proc/loadavg")).unwrap();
    let mut last = -1.0;
    wait_for("the beat to stop", || {
        std::thread::sleep(Duration::from_millis(500));
        let collections = daemon.metric("metricsd_collections_total").unwrap();
        (std::mem::replace(&mut last, collections) == collections).then_some(())
    });
    assert_eq!(stop(&mut daemon), 0);
    assert!(daemon.log().contains("a collector hangs"), "{}", daemon.log());
    assert_eq!(peer.received().len() as f64, last, "every tick from before was delivered");
}

#[test]
fn a_second_signal_ends_it_at_once_whatever_hangs() {
    let dir = TempDir::new();
    host_without_loadavg(&dir);
    let hung = Peer::start(|_, _| Reply::Hang);
    let port = free_port();
    let path = dir.write("config.json", &config(&json("hung", &hung)).replace("PORT", &port.to_string()));
    let mount = dir.path().join("mount");
    let mut program = metricsd();
    program.arg("-config").arg(path).arg("-root").arg(dir.path());
    // Where there can be no such mount, the destination alone hangs.
    let namespace = Namespace::new();
    std::fs::create_dir(&mount).unwrap();
    let _silent = namespace.as_ref().map(|namespace| namespace.silent(&mount));
    let mut command = match &namespace {
        Some(namespace) => namespace.command(&program),
        None => program,
    };
    let mut daemon = Daemon::spawn(&mut command, port);
    wait_for("a request", || (!hung.received().is_empty()).then_some(()));
    symlink(mount.join("loadavg"), dir.path().join("proc/loadavg")).unwrap();
    // Some rounds of the beat, so that one of them hangs.
    std::thread::sleep(Duration::from_millis(500));
    daemon.signal(Signal::SIGTERM);
    wait_for("the first signal to be heard", || daemon.log().contains("a second signal ends").then_some(()));
    // One that comes at once counts as the first.
    std::thread::sleep(Duration::from_millis(600));
    let begun = Instant::now();
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0);
    // One that waited for the round would take two seconds, one that waited for the destination five.
    assert!(begun.elapsed() < Duration::from_millis(1200), "it took {:?}", begun.elapsed());
}

#[test]
fn a_mount_that_never_answers_does_not_keep_the_end() {
    let dir = TempDir::new();
    let place = dir.path().join("mount");
    let port = free_port();
    let text = format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": {port}}},
            "collector": {{"interval_seconds": 0.05, "filesystem": {{"timeout": "500ms"}}}}}}"#
    );
    let path = dir.write("config.json", &text);
    let Some(namespace) = Namespace::new() else { return };
    std::fs::create_dir(&place).unwrap();
    let _silent = namespace.silent(&place);
    let mut daemon = Daemon::spawn(&mut namespace.command(metricsd().arg("-config").arg(path)), port);
    let stuck =
        format!(r#"system_disk_stuck{{device="silent",fstype="fuse.silent",mountpoint="{}"}}"#, place.display());
    wait_for("the mount to be stuck", || daemon.metric(&stuck).filter(|stuck| *stuck == 1.0));
    assert_eq!(stop(&mut daemon), 0);
}

#[test]
fn log_lines_that_nobody_reads_do_not_keep_the_end() {
    let dir = TempDir::new();
    let port = free_port();
    let text = config("").replace("PORT", &port.to_string());
    let mut child = metricsd()
        .arg("-config")
        .arg(dir.write("config.json", &text))
        .args(["-log-level", "debug"])
        .stderr(Stdio::piped())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    // Each page leaves a line of 2 kB, more than a pipe holds of them; pages go on all the same.
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).build().into();
    let page = format!("http://127.0.0.1:{port}/{}", "x".repeat(2000));
    wait_for("the first answer", || agent.get(format!("http://127.0.0.1:{port}/live")).call().ok());
    for _ in 0..100 {
        assert!(matches!(agent.get(&page).call(), Err(ureq::Error::StatusCode(404))));
    }
    let begun = Instant::now();
    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
    wait_for("the end", || child.try_wait().unwrap());
    assert!(begun.elapsed() < WITHIN, "it took {:?}", begun.elapsed());
}

/// Takes its time for the first requests.
fn slow_at_first() -> Peer {
    Peer::start(|n, _| {
        std::thread::sleep(Duration::from_millis(if n < 10 { 200 } else { 1 }));
        Reply::status(200)
    })
}

/// A metricsd that has more for `peer` than that has taken, and how much it has collected.
fn some_way_behind(dir: &TempDir, peer: &Peer) -> (Daemon, f64) {
    let daemon = Daemon::start(dir.path(), &config(&json("slow", peer)));
    wait_for("some requests", || (peer.received().len() > 3).then_some(()));
    let collections = daemon.metric("metricsd_collections_total").unwrap();
    (daemon, collections)
}

#[test]
fn two_signals_that_come_together_are_one() {
    let (dir, peer) = (TempDir::new(), slow_at_first());
    let (mut daemon, collections) = some_way_behind(&dir, &peer);
    // As GNU timeout sends them: to the child, and to the group that it is in.
    daemon.signal(Signal::SIGTERM);
    wait_for("the first signal to be heard", || daemon.log().contains("a second signal ends").then_some(()));
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0);
    assert!(!daemon.log().contains("a second signal: what is under way"), "{}", daemon.log());
    assert!(peer.received().len() as f64 >= collections, "what waited was delivered");
}

#[test]
fn a_hangup_behind_the_signal_to_stop_is_no_hurry() {
    let (dir, peer) = (TempDir::new(), slow_at_first());
    let (mut daemon, collections) = some_way_behind(&dir, &peer);
    daemon.signal(Signal::SIGTERM);
    daemon.signal(Signal::SIGHUP);
    assert_eq!(daemon.wait(), 0);
    assert!(peer.received().len() as f64 >= collections, "what waited was delivered");
}
