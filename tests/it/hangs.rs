//! What hangs, a file of the kernel's or a mount, stops nothing but what comes from it.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::mounts::Namespace;
use crate::support::peer::{Peer, Reply};
use crate::support::program::{Daemon, TempDir, free_port, metricsd, run};
use crate::support::{wait_for, wait_long_for};

/// A host like the fixture `vm`, some of whose files a test makes hang.
struct Host {
    dir: TempDir,
    namespace: Namespace,
}

impl Host {
    /// None where this machine allows no mounts that hang.
    fn new() -> Option<Host> {
        let namespace = Namespace::new()?;
        let dir = TempDir::new();
        fs::create_dir(dir.path().join("proc")).unwrap();
        fs::create_dir(dir.path().join("mount")).unwrap();
        for entry in fs::read_dir(Host::original("")).unwrap().map(Result::unwrap) {
            symlink(entry.path(), dir.path().join("proc").join(entry.file_name())).unwrap();
        }
        symlink(Host::original("../sys"), dir.path().join("sys")).unwrap();
        Some(Host { dir, namespace })
    }

    fn original(file: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/vm/proc").join(file)
    }

    /// A folder in which everything hangs until its mount is dropped.
    fn place(&self) -> PathBuf {
        self.dir.path().join("mount")
    }

    /// Whoever opens `file` from now on hangs; who has it open goes on reading it.
    fn hang(&self, file: &str) {
        self.link(file, &self.place().join("file"));
    }

    /// `file` is well again.
    fn mend(&self, file: &str) {
        self.link(file, &Host::original(file));
    }

    fn link(&self, file: &str, to: &Path) {
        let link = self.dir.path().join("proc").join(file);
        let new = link.with_extension("new");
        symlink(to, &new).unwrap();
        fs::rename(new, link).unwrap();
    }

    fn program(&self, arguments: &[&str]) -> Command {
        let mut program = metricsd();
        program.arg("-root").arg(self.dir.path()).args(arguments);
        program
    }

    /// metricsd with `config`, in which PORT stands for its port, and with what `more` adds.
    fn start(&self, config: &str, more: impl FnOnce(&mut Command)) -> Daemon {
        let port = free_port();
        let path = self.configure(&config.replace("PORT", &port.to_string()));
        let mut program = self.program(&["-config", path.to_str().unwrap()]);
        more(&mut program);
        Daemon::spawn(&mut self.namespace.command(&program), port)
    }

    fn configure(&self, config: &str) -> PathBuf {
        self.dir.write("config.json", config)
    }
}

fn health(daemon: &Daemon) -> serde_json::Value {
    serde_json::from_str(&daemon.get("/health").unwrap().1).unwrap()
}

/// Waits until `/health` says that the collector hangs, and that this is all that is wrong.
fn hangs(daemon: &Daemon, collector: &str) {
    let named = format!("collector {collector} is stale: it hangs: its call has not come back for ");
    wait_for("a collector to hang", || {
        let health = health(daemon);
        let named =
            health["reasons"].as_array()?.iter().any(|why| why.as_str().is_some_and(|why| why.starts_with(&named)));
        // For a moment, at a short interval, there is no collection for as long as it takes to find out.
        (named && health["collectors"][collector]["state"] == "stale" && health["status"] == "degraded").then_some(())
    });
}

/// Waits until the collector gives numbers.
fn is_well(daemon: &Daemon, collector: &str) {
    wait_long_for("a collector to come back", || {
        (health(daemon)["collectors"][collector]["state"] == "ok").then_some(())
    });
}

fn collections(daemon: &Daemon) -> f64 {
    daemon.metric("metricsd_collections_total").unwrap()
}

/// Waits for `count` collections more.
fn goes_on(daemon: &Daemon, count: f64) {
    let from = collections(daemon);
    wait_for("more collections", || (collections(daemon) >= from + count).then_some(()));
}

/// How many threads of that name the program has.
fn threads(daemon: &Daemon, name: &str) -> usize {
    let tasks = fs::read_dir(daemon.proc("task")).unwrap();
    let names = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("comm")).unwrap_or_default());
    names.filter(|of| of.trim() == name).count()
}

#[test]
fn files_that_hang_cost_what_comes_from_them_and_nothing_else() {
    let Some(host) = Host::new() else { return };
    let silent = host.namespace.silent(&host.place());
    host.hang("loadavg");
    let peer = Peer::start(|_, _| Reply::status(200));
    let config = format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{"interval_seconds": 0.2}},
            "shipper": {{"type": "http_json", "endpoint": "{}"}}}}"#,
        peer.url("/in")
    );
    let begun = Instant::now();
    let mut daemon = host.start(&config, |_| {});
    hangs(&daemon, "load");
    assert!(begun.elapsed() >= Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(daemon.log().contains("collector load hangs: its call has not come back for 5."), "{}", daemon.log());
    goes_on(&daemon, 10.0);
    let sent = peer.received().len();
    wait_for("requests", || (peer.received().len() > sent + 5).then_some(()));
    assert!(daemon.metric("metricsd_collections_skipped_total") >= Some(20.0), "ticks of 5 s");
    assert_eq!(daemon.metric(r#"metricsd_collector_success{collector="load"}"#), Some(0.0));
    assert_eq!(daemon.metric("system_load_1m"), None);
    assert!(daemon.metric("system_memory_total_bytes").is_some());
    // Of the first round everybody else had a turn, those behind it in the table too.
    assert!(daemon.metric("system_uptime_seconds").is_some());
    assert_eq!(threads(&daemon, "sched"), 2);

    // A reload is taken up meanwhile, and brings another one that hangs.
    host.hang("uptime");
    let port = daemon.port.to_string();
    // Another cap makes all collectors anew.
    let other = config.replace("PORT", &port).replace("0.2", r#"0.1, "max_series": 9000"#);
    host.configure(&other);
    daemon.signal(Signal::SIGHUP);
    wait_for("the reload", || daemon.log().contains("reloaded in").then_some(()));
    hangs(&daemon, "load");
    hangs(&daemon, "uptime");
    goes_on(&daemon, 10.0);
    // The old load, the new one, and uptime.
    assert_eq!(threads(&daemon, "sched"), 4);

    // Everybody comes back when the files do.
    host.mend("loadavg");
    host.mend("uptime");
    drop(silent);
    is_well(&daemon, "load");
    is_well(&daemon, "uptime");
    assert!(daemon.metric("system_load_1m").is_some());
    wait_for("one thread to be left", || (threads(&daemon, "sched") == 1).then_some(()));
    assert!(!daemon.log().contains("uninvited"), "{}", daemon.log());
    assert_eq!(health(&daemon)["status"], "healthy");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0);
}

#[test]
fn a_sensor_that_hangs_makes_its_collector_stale_and_disturbs_nobody() {
    let Some(host) = Host::new() else { return };
    let silent = host.namespace.silent(&host.place());
    let sys = host.dir.path().join("sys");
    fs::remove_file(&sys).unwrap();
    let class = sys.join("class/hwmon");
    let [sound, bad] = ["hwmon0", "hwmon1"].map(|chip| class.join(chip));
    for chip in [&sound, &bad] {
        fs::create_dir_all(chip).unwrap();
        fs::write(chip.join("name"), "chip\n").unwrap();
        fs::write(chip.join("temp1_input"), "45000\n").unwrap();
    }
    let temperature = |daemon: &Daemon| {
        daemon.metric(
            r#"system_hwmon_temperature_celsius{chip="chip_hwmon0",chip_name="chip",label="temp1",sensor="temp1"}"#,
        )
    };
    let config = r#"{"server": {"host": "127.0.0.1", "port": PORT}, "collector": {"interval_seconds": 0.2,
        "enable_hwmon": true, "hwmon": {"timeout": "1s"}}}"#;
    let mut daemon = host.start(config, |_| {});
    wait_for("a temperature", || (temperature(&daemon) == Some(45.0)).then_some(()));

    let link = bad.join("temp1_input");
    fs::remove_file(&link).unwrap();
    symlink(host.place().join("file"), &link).unwrap();
    hangs(&daemon, "hwmon");
    // Its last numbers are not those of now.
    wait_for("the temperature to go", || temperature(&daemon).is_none().then_some(()));
    goes_on(&daemon, 10.0);
    assert_eq!(daemon.metric("metricsd_collections_skipped_total"), Some(0.0));
    assert_eq!(threads(&daemon, "sched"), 1);

    fs::remove_file(&link).unwrap();
    fs::write(&link, "46000\n").unwrap();
    drop(silent);
    is_well(&daemon, "hwmon");
    wait_for("the temperature to come back", || (temperature(&daemon) == Some(45.0)).then_some(()));
    assert!(!daemon.log().contains("uninvited"), "{}", daemon.log());
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0);
}

#[test]
fn one_that_hangs_from_the_start_delays_it_and_is_named_and_the_end_does_not_wait() {
    let Some(host) = Host::new() else { return };
    let _silent = host.namespace.silent(&host.place());
    // It is read by the priming.
    host.hang("stat");
    let manager = UnixDatagram::bind(host.dir.path().join("notify")).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let config = r#"{"server": {"host": "127.0.0.1", "port": PORT}}"#;
    // A quarter of this is what a collector may take.
    let mut daemon = host.start(config, |program| {
        program.env("NOTIFY_SOCKET", host.dir.path().join("notify")).env("WATCHDOG_USEC", "8000000");
    });
    hangs(&daemon, "cpu");
    // It reads the boot time there.
    hangs(&daemon, "uptime");
    assert!(daemon.metric("system_load_1m").is_some());
    // The whole first round is there, though the next one comes in a minute only.
    assert!(daemon.get("/metrics").unwrap().1.contains("system_network_"), "those behind them in the table");
    let mut message = [0; 4096];
    let mut last = Instant::now();
    let mut ready = false;
    for _ in 0..5 {
        let length = manager.recv(&mut message).unwrap();
        let said = String::from_utf8_lossy(&message[..length]).into_owned();
        assert!(said.contains("WATCHDOG=1"), "{said}");
        assert!(last.elapsed() < Duration::from_secs(8), "the watchdog would have ended it");
        last = Instant::now();
        ready |= said.contains("READY=1");
    }
    assert!(ready);
    let begun = Instant::now();
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn one_round_is_printed_without_what_hangs() {
    let Some(host) = Host::new() else { return };
    let _silent = host.namespace.silent(&host.place());
    host.hang("meminfo");
    let ran = run(&mut host.namespace.command(&host.program(&["-once"])));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("collector memory hangs"), "{}", ran.stderr);
    assert!(!ran.stdout.contains("system_memory_"));
    for family in ["system_cpu_", "system_load_1m", "system_network_"] {
        assert!(ran.stdout.contains(family), "{family}");
    }
}

#[test]
fn a_mount_that_hangs_is_stuck_and_so_is_what_is_reached_through_it_alone() {
    let Some(namespace) = Namespace::new() else { return };
    let dir = TempDir::new();
    let [remote, beside] = ["remote", "beside"].map(|name| dir.path().join(name));
    fs::create_dir(&remote).unwrap();
    fs::create_dir(&beside).unwrap();
    let server = namespace.served(&remote);
    let below = remote.join("sub");
    namespace.memory(&below);
    namespace.memory(&beside);
    let config = r#"{"server": {"host": "127.0.0.1", "port": PORT}, "collector": {"interval_seconds": 0.2, "filesystem": {
        "timeout": "1s", "include_types": ["tmpfs", "fuse\\.server"], "exclude_types": []}}}"#;
    let start = || {
        let port = free_port();
        let path = dir.write(&format!("{port}.json"), &config.replace("PORT", &port.to_string()));
        Daemon::spawn(&mut namespace.command(metricsd().arg("-config").arg(path)), port)
    };
    let series = |name: &str, place: &Path| {
        let (device, fstype) = if place == remote { ("server", "fuse.server") } else { ("memory", "tmpfs") };
        format!(r#"{name}{{device="{device}",fstype="{fstype}",mountpoint="{}"}}"#, place.display())
    };
    let size = |daemon: &Daemon, place: &Path| daemon.metric(&series("system_disk_total_bytes", place));
    let stuck = |daemon: &Daemon, place: &Path| daemon.metric(&series("system_disk_stuck", place));
    let are_stuck = |daemon: &Daemon, is: f64| {
        wait_for("both to be stuck, or neither", || {
            (stuck(daemon, &remote) == Some(is) && stuck(daemon, &below) == Some(is)).then_some(())
        });
    };
    let mut daemon = start();
    are_stuck(&daemon, 0.0);
    assert_eq!(size(&daemon, &remote), Some(4_096_000.0));
    assert_eq!([&below, &beside].map(|place| size(&daemon, place)), [Some(8_388_608.0); 2]);
    assert_eq!(stuck(&daemon, &beside), None, "it asks nobody else");

    server.hang(true);
    are_stuck(&daemon, 1.0);
    goes_on(&daemon, 10.0);
    assert_eq!([&remote, &below, &beside].map(|place| size(&daemon, place)), [None, None, Some(8_388_608.0)]);
    // One that is started meanwhile is no worse off.
    let late = start();
    are_stuck(&late, 1.0);
    assert_eq!(size(&late, &beside), Some(8_388_608.0));
    for daemon in [&daemon, &late] {
        assert!(!daemon.log().contains("collector filesystem hangs"), "the beat asked: {}", daemon.log());
    }

    server.hang(false);
    are_stuck(&daemon, 0.0);
    assert_eq!(size(&daemon, &below), Some(8_388_608.0));
    server.hang(true);
    are_stuck(&daemon, 1.0);
    daemon.signal(Signal::SIGTERM);
    let begun = Instant::now();
    assert_eq!(daemon.wait(), 0);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}
