//! What a service manager is told, by the real program over a real socket.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::program::{Daemon, TempDir, free_port, metricsd};

/// The manager's end of `NOTIFY_SOCKET`.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    fn new(dir: &TempDir) -> Manager {
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Manager { socket, path }
    }

    fn next(&self) -> String {
        let mut message = [0; 4096];
        let length = self.socket.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    }

    /// The next message with a line that begins with `start`.
    fn until(&self, start: &str) -> String {
        let limit = Instant::now() + Duration::from_secs(30);
        loop {
            let message = self.next();
            if message.lines().any(|line| line.starts_with(start)) {
                return message;
            }
            assert!(Instant::now() < limit, "nobody said {start}");
        }
    }
}

#[test]
fn the_manager_hears_of_the_start_a_reload_and_the_end() {
    let dir = TempDir::new();
    let manager = Manager::new(&dir);
    let port = free_port();
    let config = |interval: f64| {
        let text = format!(
            r#"{{"server": {{"host": "127.0.0.1", "port": {port}}}, "collector": {{"interval_seconds": {interval}}}}}"#
        );
        dir.write("config.json", &text)
    };
    let path = config(60.0);
    let mut daemon = Daemon::spawn(metricsd().arg("-config").arg(&path).env("NOTIFY_SOCKET", &manager.path), port);
    assert_eq!(manager.next(), "READY=1\nSTATUS=Collecting every 60s; serving locally\n");

    config(30.0);
    daemon.signal(Signal::SIGHUP);
    let told = manager.next();
    let usec = told.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap_or_else(|| panic!("{told}"));
    assert!(usec.parse::<u64>().unwrap() > 0);
    assert_eq!(manager.next(), "READY=1\nSTATUS=Reloaded");

    dir.write("config.json", "{");
    daemon.signal(Signal::SIGHUP);
    assert!(manager.next().starts_with("RELOADING=1\n"));
    assert!(manager.next().starts_with("READY=1\nSTATUS=The reload changed nothing: "));

    daemon.signal(Signal::SIGTERM);
    assert!(manager.next().starts_with("STOPPING=1\n"));
    assert_eq!(daemon.wait(), 0);
}

#[test]
fn the_watchdog_is_fed_between_rounds_and_by_nobody_while_one_hangs() {
    let dir = TempDir::new();
    let manager = Manager::new(&dir);
    let port = free_port();
    // A round a minute, so all but the first feeding is between two rounds.
    let text = format!(r#"{{"server": {{"host": "127.0.0.1", "port": {port}}}}}"#);
    let path = dir.write("config.json", &text);
    let mut command = metricsd();
    command.arg("-config").arg(path).env("NOTIFY_SOCKET", &manager.path).env("WATCHDOG_USEC", "400000");
    let daemon = Daemon::spawn(&mut command, port);
    manager.until("READY=1");
    for _ in 0..3 {
        assert_eq!(manager.next(), "WATCHDOG=1\n");
    }
    // As good as a collector that hangs: the thread that feeds does not run.
    daemon.signal(Signal::SIGSTOP);
    manager.socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    // What was under way when it stopped.
    while manager.socket.recv(&mut [0; 100]).is_ok() {}
    daemon.signal(Signal::SIGCONT);
    manager.until("WATCHDOG=1");
}
