//! What a service manager is told: `sd_notify(3)`, by hand, for it is one datagram.
//!
//! systemd names a socket in `NOTIFY_SOCKET` and takes lines of `KEY=VALUE` there. Without
//! that variable nothing is told and nothing costs anything.

use std::fmt::Write;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use crate::host::monotonic;
use crate::pipeline::{Pulse, Sign};
use crate::telemetry::{DestinationState, Telemetry};

/// The way to the service manager. Clones lead to the same one.
#[derive(Clone, Debug, Default)]
pub struct Notify(Option<Arc<Socket>>);

#[derive(Debug)]
struct Socket {
    socket: UnixDatagram,
    /// The time after which silence counts as a hang.
    watchdog: Option<Duration>,
}

impl Notify {
    /// As the environment says. A socket that does not answer is said, and then forgotten:
    /// the work matters more than its supervisor.
    pub fn from_env() -> Notify {
        let Some(path) = std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty()) else {
            return Notify::default();
        };
        match connect(path.as_bytes()) {
            Ok(socket) => {
                Notify(Some(Arc::new(Socket { socket, watchdog: watchdog(&|name| std::env::var(name).ok()) })))
            }
            Err(error) => {
                log::warn!("cannot reach NOTIFY_SOCKET: {error}; the service manager is told nothing");
                Notify::default()
            }
        }
    }

    /// The configuration is being read again.
    pub fn reloading(&self) {
        // systemd takes the time for the moment from which on `READY=1` is about this reload.
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={}", monotonic().as_micros()));
    }

    /// A reload has ended.
    pub fn reloaded(&self, outcome: &str) {
        self.tell(&format!("READY=1\nSTATUS={}", outcome.replace('\n', " ")));
    }

    /// The end has begun.
    pub fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=Delivering what is left");
    }

    /// For the scheduler: it says when it has collected, and that it is alive while it sleeps.
    pub fn pulse(&self, telemetry: Arc<Telemetry>) -> Pulse {
        let Some(socket) = &self.0 else { return Pulse::default() };
        let (notify, watched) = (self.clone(), socket.watchdog.is_some());
        let mut ready = false;
        let mut last = String::new();
        let beat = move |sign: Sign| {
            let mut lines = String::new();
            if sign == Sign::Complete {
                return;
            }
            if sign == Sign::Round {
                if !std::mem::replace(&mut ready, true) {
                    lines.push_str("READY=1\n");
                }
                let status = status(&telemetry);
                if status != last {
                    let _ = writeln!(lines, "STATUS={status}");
                    last = status;
                }
            }
            if watched {
                lines.push_str("WATCHDOG=1\n");
            }
            if !lines.is_empty() {
                notify.tell(&lines);
            }
        };
        // Twice within its patience, as `sd_watchdog_enabled(3)` recommends.
        Pulse { every: socket.watchdog.map(|patience| patience / 2), beat: Box::new(beat) }
    }

    /// How long the loop may be silent before the service manager ends the program.
    pub fn watchdog(&self) -> Option<Duration> {
        self.0.as_ref()?.watchdog
    }

    fn tell(&self, lines: &str) {
        // A manager that is not listening, or whose queue is full, must not hold us up.
        if let Some(Err(error)) = self.0.as_ref().map(|at| at.socket.send(lines.as_bytes())) {
            log::debug!("the service manager was not told: {error}");
        }
    }
}

fn connect(path: &[u8]) -> io::Result<UnixDatagram> {
    let address = match path {
        // Of the abstract kind.
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        path => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path))?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// How long the watchdog's patience is. None where it is off, or another process's.
fn watchdog(env: &dyn Fn(&str) -> Option<String>) -> Option<Duration> {
    let number = |name: &str| env(name)?.parse::<u64>().ok();
    if number("WATCHDOG_PID").is_some_and(|pid| pid != u64::from(std::process::id())) {
        return None;
    }
    number("WATCHDOG_USEC").filter(|usec| *usec > 0).map(Duration::from_micros)
}

/// One line for `systemctl status`.
fn status(telemetry: &Telemetry) -> String {
    let subjects = telemetry.subjects();
    let mut line = format!("Collecting every {:?}", subjects.interval);
    if let Some(why) = telemetry.why_held() {
        return format!("Holding: {why}");
    }
    let failing: Vec<String> = subjects
        .by_destination()
        .filter_map(|destination| match destination.state().0 {
            DestinationState::Ok | DestinationState::Waiting => None,
            state => Some(format!("{} is {}", destination.name(), state.as_str())),
        })
        .collect();
    match (subjects.by_destination().count(), failing.is_empty()) {
        (0, _) => line.push_str("; serving locally"),
        (count, true) => _ = write!(line, "; destinations: {count}, all well"),
        (count, false) => _ = write!(line, "; destinations: {count}, of which {}", failing.join(", ")),
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdogs_patience_is_read_where_it_is_ours() {
        let with = |pid: Option<String>, usec: &'static str| {
            watchdog(&|name| match name {
                "WATCHDOG_PID" => pid.clone(),
                "WATCHDOG_USEC" => Some(usec.to_owned()),
                _ => None,
            })
        };
        assert_eq!(with(None, "30000000"), Some(Duration::from_secs(30)));
        assert_eq!(with(Some(std::process::id().to_string()), "1000"), Some(Duration::from_micros(1000)));
        assert_eq!(with(Some("1".to_owned()), "30000000"), None);
        assert_eq!(with(None, "0"), None);
        assert_eq!(with(None, "soon"), None);
    }

    #[test]
    fn both_kinds_of_address_are_reached() {
        let path = std::env::temp_dir().join(format!("metricsd-notify-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let by_path = UnixDatagram::bind(&path).unwrap();
        let name = format!("metricsd-notify-{}", std::process::id());
        let by_name = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        for (address, manager) in [(path.as_os_str().as_bytes(), by_path), (format!("@{name}").as_bytes(), by_name)] {
            let socket = connect(address).unwrap();
            let notify = Notify(Some(Arc::new(Socket { socket, watchdog: None })));
            notify.stopping();
            let mut got = [0; 100];
            let length = manager.recv(&mut got).unwrap();
            assert!(got[..length].starts_with(b"STOPPING=1\n"));
        }
        std::fs::remove_file(&path).unwrap();
        assert!(connect(b"/nowhere").is_err());
    }
}
