//! StatsD: datagrams by UDP and Unix sockets, whose metrics are a source of series like any other.
//!
//! One thread reads what the sockets hold, many datagrams at a time, and counts, sets and measures by it;
//! the beat asks for a frame when it is time. They share the store, for which nobody ever waits longer
//! than for a few datagrams to be counted or a frame to be made.

mod parse;
mod settings;
mod sketch;
mod socket;
mod store;
mod uniques;

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::host::{Datagrams, monotonic};
use crate::model::{Frame, ViewSlots};
use crate::telemetry::{StatsdCounts, StatsdDrop, Throttle};

pub use settings::{Settings, StatsdFields, TABLE};
use socket::{Udp, Unix};
pub use store::{SOURCE, Store};

/// The same trouble is said once in this time.
const SAID_EVERY: Duration = Duration::from_secs(3600);

/// How much is quoted of a line that is not taken.
const QUOTE: usize = 80;

/// How often the socket is read before others may have the store: some thousand datagrams.
const TURNS: usize = 32;

/// After a socket failed: trying at once would only burn the CPU.
const PAUSE: Duration = Duration::from_millis(100);

/// Sockets that are open, and what has come by them.
pub struct Statsd {
    udp: Option<Udp>,
    unix: Option<Unix>,
    store: Mutex<Store>,
    counts: Arc<StatsdCounts>,
    /// Its other end, in [`Running`], closes when it is time to stop.
    stop: UnixStream,
}

/// Ends the thread when it is dropped.
#[derive(Debug)]
pub struct Running {
    _stop: UnixStream,
}

/// What was said on the log.
struct Said {
    dropped: [Throttle; StatsdDrop::ALL.len()],
    lost: Throttle,
    failed: Throttle,
}

impl Said {
    fn new() -> Said {
        let throttle = || Throttle::new(SAID_EVERY);
        Said { dropped: StatsdDrop::ALL.map(|_| throttle()), lost: throttle(), failed: throttle() }
    }
}

impl Statsd {
    /// Opens the sockets; a place that `before` has, which is to be stopped, is taken over. What is
    /// counted counts from `now_ms` on, in wall-clock milliseconds.
    ///
    /// # Errors
    /// With the field and the place in words.
    pub fn open(
        settings: &Settings,
        before: Option<&Statsd>,
        counts: &Arc<StatsdCounts>,
        views: &ViewSlots,
        now_ms: i64,
    ) -> io::Result<(Arc<Statsd>, Running)> {
        let udp_before = before.and_then(|before| before.udp.as_ref());
        let unix_before = before.and_then(|before| before.unix.as_ref());
        let udp = settings.udp.as_deref().map(|place| Udp::open(place, udp_before)).transpose()?;
        let unix = settings.unix.as_deref().map(|path| Unix::open(path, unix_before)).transpose()?;
        let (stop, _stop) = UnixStream::pair()?;
        let store = Mutex::new(Store::new(settings.clone(), views, now_ms));
        let statsd = Statsd { udp, unix, store, counts: Arc::clone(counts), stop };
        Ok((Arc::new(statsd), Running { _stop }))
    }

    /// Where it listens by UDP.
    pub fn udp_addr(&self) -> Option<std::net::SocketAddr> {
        self.udp.as_ref().and_then(Udp::local_addr)
    }

    /// Takes what comes, until it is to stop.
    pub fn run(&self) {
        // The count of what was dropped is each socket's own.
        let (mut by_udp, mut by_unix) = (Datagrams::default(), Datagrams::default());
        let mut said = Said::new();
        loop {
            let mut fds = vec![PollFd::new(self.stop.as_fd(), PollFlags::POLLIN)];
            fds.extend(self.udp.iter().map(|udp| PollFd::new(udp.as_fd(), PollFlags::POLLIN)));
            fds.extend(self.unix.iter().map(|unix| PollFd::new(unix.as_fd(), PollFlags::POLLIN)));
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) => {}
                Err(Errno::EINTR) => continue,
                Err(error) => self.complain(&error.into(), &mut said),
            }
            if fds[0].revents().is_some_and(|events| !events.is_empty()) {
                return;
            }
            for _ in 0..TURNS {
                let more_udp = self.udp.as_ref().is_some_and(|udp| self.read(udp, &mut by_udp, &mut said));
                let more_unix = self.unix.as_ref().is_some_and(|unix| self.read(unix, &mut by_unix, &mut said));
                if !more_udp && !more_unix {
                    break;
                }
            }
        }
    }

    /// Reads once; whether there may be more.
    fn read(&self, socket: &impl AsFd, datagrams: &mut Datagrams, said: &mut Said) -> bool {
        let now = monotonic();
        let mut store = self.store();
        let (mut metrics, mut refused) = (0, [0_u64; StatsdDrop::ALL.len()]);
        let mut quotes: [Option<String>; StatsdDrop::ALL.len()] = Default::default();
        let read = datagrams.read(socket, |datagram| {
            metrics += store.take(datagram, now, |why, line| {
                refused[why as usize] += 1;
                let quote = || String::from_utf8_lossy(&line[..line.len().min(QUOTE)]).into_owned();
                quotes[why as usize].get_or_insert_with(quote);
            });
        });
        self.counts.has(store.count());
        drop(store);
        for (why, quote) in StatsdDrop::ALL.into_iter().zip(quotes) {
            let Some(quote) = quote else { continue };
            self.counts.dropped(why, refused[why as usize]);
            self.say(&in_words(why, &quote), &mut said.dropped[why as usize], now);
        }
        match read {
            Ok(Some((count, lost))) => {
                self.counts.took(count as u64, metrics);
                if lost > 0 {
                    self.counts.lost(lost.into());
                    let why = "datagrams come faster than they are read, and the socket was full";
                    self.say(why, &mut said.lost, now);
                }
                true
            }
            Ok(None) => false,
            Err(error) => {
                self.complain(&error, said);
                false
            }
        }
    }

    fn complain(&self, error: &io::Error, said: &mut Said) {
        self.say(&format!("cannot read datagrams: {error}; it is tried again"), &mut said.failed, monotonic());
        std::thread::sleep(PAUSE);
    }

    /// Says `why` on the log, where that has not been said for a while, and in `/health`.
    fn say(&self, why: &str, said: &mut Throttle, now: Duration) {
        if let Some(hidden) = said.pass(now) {
            let more = if hidden > 0 { format!(" ({hidden} more like it since the last line)") } else { String::new() };
            log::warn!("statsd: {why}{more}");
        }
        self.counts.trouble.note(why, now);
    }

    /// What there is at `time_ms` of the wall clock.
    pub fn frame(&self, time_ms: i64) -> Frame {
        let mut store = self.store();
        let frame = store.frame(time_ms, monotonic());
        self.counts.has(store.count());
        frame
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn in_words(why: StatsdDrop, line: &str) -> String {
    match why {
        StatsdDrop::Malformed => format!("{line:?} is no metric; it is left out"),
        StatsdDrop::Unsupported => format!("{line:?} is of a kind that is not taken; it is left out"),
        StatsdDrop::MaxSeries => {
            format!("there are more series than listen.statsd.max_series allows; {line:?} is left out")
        }
        StatsdDrop::Reserved => format!("{line:?} has a name of the host's, or metricsd's own; it is left out"),
        StatsdDrop::Conflict => format!("{line:?} has the name of a metric of another type; it is left out"),
    }
}
