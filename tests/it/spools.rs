//! What waits on disk, and whether anybody will send it: `-spool`, a start, a reload.

use std::path::Path;

use nix::sys::signal::Signal;

use crate::support::peer::{Peer, Reply};
use crate::support::program::{Daemon, TempDir, metricsd, run};
use crate::support::spool::has_frame;
use crate::support::wait_for;

/// A configuration with these destinations, each with more members, that all go to `peer`.
fn config(dir: &Path, peer: &Peer, shippers: &[(&str, &str)]) -> String {
    let shippers: Vec<String> = shippers
        .iter()
        .map(|(name, rest)| {
            format!(r#"{{"name": "{name}", "type": "http_json", "endpoint": "{}"{rest}}}"#, peer.url("/in"))
        })
        .collect();
    format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{"interval_seconds": 0.05}},
            "spool": {{"dir": "{}/spool"}}, "shippers": [{}]}}"#,
        dir.display(),
        shippers.join(",")
    )
}

/// What `-spool` prints under `config`.
fn listing(dir: &TempDir, config: &str) -> String {
    let path = dir.write("listed.json", &config.replace("PORT", "1"));
    let ran = run(metricsd().arg("-config").arg(path).arg("-spool"));
    assert_eq!((ran.code, &*ran.stderr), (0, ""));
    ran.stdout
}

/// Runs metricsd in an outage of `left` and `stays`, until some wait for each.
fn leave_some_behind(dir: &TempDir, peer: &Peer) {
    let mut daemon = Daemon::start(dir.path(), &config(dir.path(), peer, &[("left", ""), ("stays", "")]));
    for name in ["left", "stays"] {
        let series = format!("metricsd_destination_queue_frames{{destination=\"{name}\"}}");
        wait_for("some to wait", || daemon.metric(&series).filter(|frames| *frames > 3.0));
    }
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0);
    // The program ends, and the destination does not.
    let line =
        daemon.log().lines().find(|line| line.contains("left: ") && line.contains("undelivered")).map(String::from);
    assert!(line.is_some_and(|line| line.contains("wait on disk for the next start")), "{}", daemon.log());
}

#[test]
fn what_waits_for_a_destination_that_is_gone_is_said_once_and_listed() {
    let dir = TempDir::new();
    let down = Peer::start(|_, _| Reply::status(503));
    leave_some_behind(&dir, &down);
    let without = config(dir.path(), &down, &[("stays", "")]);
    let with = config(dir.path(), &down, &[("left", ""), ("stays", "")]);
    let mark = "  not in the configuration: nobody sends them";
    assert_eq!(listing(&dir, &without).matches(mark).count(), 1, "{}", listing(&dir, &without));
    assert_eq!(listing(&dir, &with).matches(mark).count(), 0);
    let memory = config(dir.path(), &down, &[("left", r#", "spool": {"mode": "memory"}"#), ("stays", "")]);
    let said = "  its destination keeps nothing on disk (spool.mode): nobody sends them; set its spool.mode back, or";
    assert_eq!(listing(&dir, &memory).matches(said).count(), 1);
    // Left behind where all spools are; only its new directory is another.
    let away = format!(r#", "spool": {{"dir": "{}/other"}}"#, dir.path().display());
    let moved = config(dir.path(), &down, &[("left", &away), ("stays", "")]);
    let said = "  its destination's spool is elsewhere (spool.dir): nobody sends them; set its spool.dir back, or";
    assert_eq!(listing(&dir, &moved).matches(said).count(), 1, "{}", listing(&dir, &moved));

    let mut daemon = Daemon::start(dir.path(), &without);
    let home = format!("{}/spool/left", dir.path().display());
    let says = |daemon: &Daemon, what: &str| daemon.log().lines().filter(|line| line.contains(what)).count();
    let warning = format!("{home}: ");
    wait_for("the warning", || (says(&daemon, &warning) == 1).then_some(()));
    assert!(daemon.log().contains("), is not sent: not in the configuration; bring"), "{}", daemon.log());
    let reload = |config: &str, count: usize| {
        std::fs::write(dir.path().join("config.json"), config.replace("PORT", &daemon.port.to_string())).unwrap();
        daemon.signal(Signal::SIGHUP);
        wait_for("the reload", || (says(&daemon, "reloaded in") == count).then_some(()));
    };
    // Not again while nothing changes.
    reload(&without, 1);
    reload(&with, 2);
    wait_for("its backlog", || (says(&daemon, " from before in ") >= 2).then_some(()));
    assert_eq!(says(&daemon, &warning), 1, "{}", daemon.log());
    // Taken away while the program runs: its lane says where what it leaves is.
    reload(&without, 3);
    let left = format!("undelivered and stay in {home}, from where nobody sends them");
    wait_for("the end of its lane", || (says(&daemon, &left) == 1).then_some(()));
    reload(&without, 4);
    assert_eq!(says(&daemon, &warning), 1, "{}", daemon.log());
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0);
}

#[test]
fn a_destination_may_have_its_spool_on_another_disk() {
    let dir = TempDir::new();
    let down = Peer::start(|_, _| Reply::status(503));
    let elsewhere = dir.path().join("other disk");
    let away = format!(r#", "spool": {{"dir": "{}"}}"#, elsewhere.display());
    let shippers = [("away", &*away), ("stays", "")];
    let config = config(dir.path(), &down, &shippers);
    let mut daemon = Daemon::start(dir.path(), &config);
    wait_for("some to wait on both disks", || {
        (has_frame(&elsewhere.join("away")) && has_frame(&dir.path().join("spool/stays"))).then_some(())
    });
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0);
    let page = listing(&dir, &config);
    let rows: Vec<&str> =
        page.lines().filter(|line| line.contains("other disk") || !line.contains("DESTINATION")).collect();
    let starts = ["away", "stays"].map(|name| rows.iter().position(|row| row.starts_with(name)));
    assert!(rows[0].ends_with("/other disk") && starts == [Some(1), Some(3)], "{page}");
    assert!(!page.contains("nobody sends"), "{page}");
    // Back on the common disk, what is on the other one is nobody's, and no destination knows of it.
    let moved = listing(&dir, &config.replace(&away, ""));
    assert!(!moved.contains("other disk") && !moved.contains("away"), "{moved}");
}

/// That what `daemon` sends arrives without a disk, that it is well, and says what to do.
#[track_caller]
fn is_well_without_a_disk(daemon: &Daemon, peer: &Peer, remedy: &str) {
    let seen = peer.received().len();
    wait_for("deliveries", || (peer.received().len() > seen + 3).then_some(()));
    let (status, page) = daemon.get("/health").unwrap();
    let health: serde_json::Value = serde_json::from_str(&page).unwrap();
    assert_eq!((status, health["status"].as_str()), (200, Some("healthy")), "{page}");
    let why = health["destinations"]["one"]["spool"].as_str().unwrap_or_default();
    assert!(why.starts_with("what waits is in memory until its spool works: "), "{page}");
    let log = daemon.log();
    assert_eq!(log.matches("is kept in memory until that works").count(), 1, "{log}");
    assert!(log.contains(remedy), "{log}");
}

#[test]
fn a_destination_that_delivers_is_well_without_a_disk_and_the_remedy_is_said_once() {
    let dir = TempDir::new();
    let up = Peer::start(|_, _| Reply::status(204));
    // Not even root makes a directory below a file.
    let file = dir.write("file", "");
    let own = format!(r#", "spool": {{"dir": "{}/spool"}}"#, file.display());
    let daemon = Daemon::start(dir.path(), &config(dir.path(), &up, &[("one", &own)]));
    is_well_without_a_disk(&daemon, &up, "set spool.dir to a directory that this user may write to");
}

#[test]
fn a_second_metricsd_is_told_to_take_a_spool_of_its_own() {
    let dir = TempDir::new();
    let up = Peer::start(|_, _| Reply::status(204));
    let config = config(dir.path(), &up, &[("one", "")]);
    let _first = Daemon::start(dir.path(), &config);
    wait_for("the first one's spool", || dir.path().join("spool/one/lock").exists().then_some(()));
    let second = Daemon::start(dir.path(), &config);
    is_well_without_a_disk(&second, &up, "give each metricsd, and each destination, a spool.dir of its own");
}

#[test]
fn a_spool_that_has_lost_its_lock_is_still_one() {
    let dir = TempDir::new();
    let down = Peer::start(|_, _| Reply::status(503));
    leave_some_behind(&dir, &down);
    let config = config(dir.path(), &down, &[("stays", "")]);
    let home = dir.path().join("spool/left");
    let is_listed = || {
        let page = listing(&dir, &config);
        let row = page.lines().find(|line| line.starts_with("left ")).map(|row| row.split_whitespace().nth(1).unwrap());
        assert!(row.is_some_and(|requests| requests.parse::<u64>().unwrap() > 3), "{page}");
        assert!(page.contains("  not in the configuration: nobody sends them"), "{page}");
    };
    for file in ["lock", "cursor"] {
        std::fs::remove_file(home.join(file)).unwrap();
        is_listed();
        std::fs::create_dir(home.join(file)).unwrap();
        is_listed();
        std::fs::remove_dir(home.join(file)).unwrap();
    }
    is_listed();
    let daemon = Daemon::start(dir.path(), &config);
    wait_for("the warning", || daemon.log().contains("spool/left: ").then_some(()));
    assert!(daemon.log().contains("), is not sent: not in the configuration; bring"), "{}", daemon.log());
}

#[test]
fn a_destination_for_which_nothing_waits_is_let_go_of_without_a_word_about_that() {
    let dir = TempDir::new();
    let up = Peer::start(|_, _| Reply::status(200));
    let daemon = Daemon::start(dir.path(), &config(dir.path(), &up, &[("left", ""), ("stays", "")]));
    wait_for("a tick", || (!up.received().is_empty()).then_some(()));
    // Not collected any more, so that nothing is in hand when it goes.
    let still = |config: String| config.replace("0.05", "3600").replace("PORT", &daemon.port.to_string());
    for (count, shippers) in [&[("left", ""), ("stays", "")][..], &[("stays", "")]].iter().enumerate() {
        std::fs::write(dir.path().join("config.json"), still(config(dir.path(), &up, shippers))).unwrap();
        wait_for("nothing to wait", || {
            let frames = daemon.metric("metricsd_destination_queue_frames{destination=\"left\"}")?;
            (frames == 0.0).then_some(())
        });
        daemon.signal(Signal::SIGHUP);
        wait_for("the reload", || (daemon.log().matches("reloaded in").count() > count).then_some(()));
    }
    assert!(daemon.log().contains("destination left: let go of; nothing waits for it"), "{}", daemon.log());
}

#[test]
fn what_is_older_than_max_age_is_listed_as_such() {
    let dir = TempDir::new();
    let down = Peer::start(|_, _| Reply::status(503));
    leave_some_behind(&dir, &down);
    let aged = |age: &str| {
        let spool = format!(r#", "spool": {{"max_age": "{age}"}}"#);
        listing(&dir, &config(dir.path(), &down, &[("left", ""), ("stays", &spool)]))
    };
    let page = aged("1ms");
    let row: Vec<&str> = page.lines().find(|line| line.starts_with("stays")).unwrap().split_whitespace().collect();
    let said = format!("  older than max_age (1ms): {} requests, {} samples; they will be dropped", row[1], row[2]);
    assert!(page.lines().any(|line| line == said), "{page}");
    assert_eq!(page.matches("older than").count(), 1, "{page}");
    assert!(!aged("1h").contains("older than"));
}
