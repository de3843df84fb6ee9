//! The one loop that owns the listener and every client: nothing it does blocks, and all it
//! holds has a bound.
//!
//! What a crowd of clients can cost: `MAX_CONNECTIONS` descriptors, a head of 8 KiB for each,
//! with TLS some 128 KiB more while its handshake is under way and 32 later, `MAX_HEAVY` pages
//! of metrics, no thread; where pushes are on, bodies that together have a bound (`body`). The rest waits in the kernel's queue, and who sends nothing, or does
//! not finish its handshake, makes room for who comes. Each client has one step of its
//! handshake a turn, and only who may see metrics takes the place of a page.

use std::cmp::Reverse;
use std::io::{self, Read};
use std::net::{IpAddr, TcpListener};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::host;
use crate::order;

use super::answer::Response;
use super::connection::{Connection, YIELD_TIME};
use super::head::MAX_HEAD_BYTES;
use super::routes;
use super::site::Site;
use super::stream::Stream;

/// Clients at once. A scraper or two, a probe, a few people; below what any limit on open
/// files allows.
pub(super) const MAX_CONNECTIONS: usize = 64;

/// Answers under way whose size grows with the host: with 100,000 series each is some 10 MB.
const MAX_HEAVY: usize = 4;

/// Pushes under way at once: the other half of the places is for those who ask.
const MAX_PUSHES: usize = MAX_CONNECTIONS / 2;

/// After accept failed (no descriptors, no memory): trying at once would only burn the CPU.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Between two log lines about that.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(60);

/// The loop's state.
pub(super) struct Guard {
    listener: TcpListener,
    /// Has something to read when pushes were answered, and closes when the server is to stop.
    wake: UnixStream,
    site: Site,
    connections: Vec<Connection>,
    scratch: Box<[u8; MAX_HEAD_BYTES]>,
    /// The number of the next ticket.
    ticket: u64,
    /// No accept before this.
    accept_from: Duration,
    /// No log line about accept before this.
    complain_from: Duration,
}

/// What poll said.
#[derive(Default)]
struct Events {
    wake: bool,
    accept: bool,
    connections: Vec<PollFlags>,
}

impl Guard {
    /// `listener` and `wake` do not block; `wake` is one end of a pair whose other end is the site's
    /// answers', who close it in order to stop.
    pub(super) fn new(listener: TcpListener, wake: UnixStream, site: Site) -> Guard {
        Guard {
            listener,
            wake,
            site,
            connections: Vec::with_capacity(MAX_CONNECTIONS),
            scratch: Box::new([0; MAX_HEAD_BYTES]),
            ticket: 0,
            accept_from: Duration::ZERO,
            complain_from: Duration::ZERO,
        }
    }

    /// Serves until the other end of `wake` is closed.
    pub(super) fn run(mut self) {
        let mut events = Events::default();
        loop {
            self.poll(host::monotonic(), &mut events);
            if events.wake && self.is_to_stop() {
                return;
            }
            let now = host::monotonic();
            self.site.take_up();
            if events.wake {
                self.deliver(now);
            }
            // Whoever has sent something is served before anyone has to make room.
            for (connection, happened) in self.connections.iter_mut().zip(&events.connections) {
                if !happened.is_empty() && !connection.is_closed() {
                    connection.ready(*happened, &mut self.scratch, now);
                }
                if let Some(error) = connection.take_failure() {
                    self.site.security.handshake_failed(connection.peer, &error, now);
                }
                if connection.deadline() <= now {
                    connection.expire(now);
                }
                if let Some((path, answer)) = connection.take_turned_away() {
                    self.site.turned_away(&path, &answer);
                }
            }
            self.answer(now);
            if events.accept {
                self.accept(now);
                self.answer(now);
            }
        }
    }

    /// Somebody has woken it; whether it is to stop.
    fn is_to_stop(&mut self) -> bool {
        loop {
            match self.wake.read(&mut self.scratch[..]) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
            }
        }
    }

    /// Gives pushers the answers that there are.
    fn deliver(&mut self, now: Duration) {
        for (ticket, answer) in self.site.answers.take() {
            let waits = self.connections.iter_mut().find(|connection| connection.is_handed_over(ticket));
            if let Some(connection) = waits {
                connection.answer(Site::pushed(&answer), false, now);
            }
        }
    }

    /// Takes the body of the connection at `at`, where what it asks for is a push, and hands it over
    /// where it has come in whole.
    fn take_push(&mut self, at: usize, now: Duration) {
        let opened = self.connections[at].waiting().and_then(|request| self.site.opens(request));
        let is_full = || self.connections.iter().filter(|connection| connection.is_push()).count() >= MAX_PUSHES;
        let opened = match opened {
            Some(Ok(_)) if is_full() => Some(Err(Response::unavailable("too many pushes are under way; try again"))),
            opened => opened,
        };
        let connection = &mut self.connections[at];
        match opened {
            Some(Ok((body, encoding))) => connection.receive(body, encoding, now),
            Some(Err(answer)) => {
                if let Some(request) = connection.waiting() {
                    self.site.turned_away(&request.path, &answer);
                }
                connection.answer(Site::pushed(&answer), false, now);
            }
            None => {}
        }
        if let Some((path, answer)) = connection.take_turned_away() {
            self.site.turned_away(&path, &answer);
        }
        if let Some((request, encoding, body)) = self.connections[at].hand_over(self.ticket, now) {
            self.site.take(request, encoding, body, self.ticket);
            self.ticket += 1;
        }
    }

    /// Waits for the next thing to do.
    fn poll(&self, now: Duration, events: &mut Events) {
        let accept_at = self.accept_at();
        let accepting = accept_at.is_some_and(|at| at <= now);
        let next = self
            .connections
            .iter()
            .map(Connection::deadline)
            .chain(accept_at.filter(|_| !accepting))
            .chain(self.heavy_at())
            .min();
        let timeout = next.map_or(PollTimeout::NONE, |at| timeout(at.saturating_sub(now)));

        let mut fds = Vec::with_capacity(2 + MAX_CONNECTIONS);
        fds.push(PollFd::new(self.wake.as_fd(), PollFlags::POLLIN));
        let listen = if accepting { PollFlags::POLLIN } else { PollFlags::empty() };
        fds.push(PollFd::new(self.listener.as_fd(), listen));
        fds.extend(self.connections.iter().map(|c| PollFd::new(c.as_fd(), c.interest())));

        events.connections.clear();
        match poll(&mut fds, timeout) {
            Ok(_) => {
                let mut happened = fds.iter().map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
                events.wake = happened.next().is_some_and(|flags| !flags.is_empty());
                events.accept = happened.next().is_some_and(|flags| !flags.is_empty());
                events.connections.extend(happened);
            }
            Err(error) => {
                *events = Events::default();
                if error != Errno::EINTR {
                    // Out of memory in the kernel, for all we know: it passes or it does not,
                    // and a loop without a pause helps neither.
                    log::error!("cannot wait for HTTP clients: {error}; trying again");
                    std::thread::sleep(ACCEPT_PAUSE);
                }
            }
        }
    }

    /// From when on a new client can be taken: now where there is room, else when the first
    /// of the others may be asked to make room. None where all of them are about to be answered.
    fn accept_at(&self) -> Option<Duration> {
        let room = if self.connections.len() < MAX_CONNECTIONS {
            Some(Duration::ZERO)
        } else {
            self.connections.iter().filter_map(Connection::evictable).map(|(_, from)| from).min()
        };
        room.map(|at| at.max(self.accept_from))
    }

    /// When the first heavy answer has to give way to those who wait for one.
    fn heavy_at(&self) -> Option<Duration> {
        self.connections.iter().find(|c| c.waiting().is_some())?;
        self.connections.iter().filter_map(Connection::heavy_progress).min().map(|progress| progress + YIELD_TIME)
    }

    /// Answers what can be answered, first come, first served, and forgets who is done.
    fn answer(&mut self, now: Duration) {
        // Removal by swap leaves them in any order.
        self.connections.retain(|connection| !connection.is_closed());
        order::sort_by_key(&mut self.connections, Connection::since);
        for at in 0..self.connections.len() {
            self.take_push(at, now);
            let Some(request) = self.connections[at].waiting() else { continue };
            let heavy = routes::is_heavy(request) && self.site.security.admits(request.authorization.as_ref());
            if heavy && !heavy_slot(&mut self.connections, now) {
                continue;
            }
            let connection = &mut self.connections[at];
            let Some(request) = connection.waiting() else { continue };
            let answer = self.site.answer(request, connection.peer, now);
            connection.answer(answer, heavy, now);
        }
        self.connections.retain(|connection| !connection.is_closed());
    }

    /// Takes new clients until there are none, or no room.
    fn accept(&mut self, now: Duration) {
        self.site.security.refresh(now);
        for _ in 0..MAX_CONNECTIONS {
            if self.connections.len() >= MAX_CONNECTIONS {
                match victim(&self.connections, now) {
                    Some(at) => drop(self.connections.swap_remove(at)),
                    None => return,
                }
            }
            match self.listener.accept() {
                Ok((stream, peer)) if stream.set_nonblocking(true).is_ok() => {
                    let peer = peer.ip();
                    let session = match self.site.security.session() {
                        Ok(session) => session,
                        Err(error) => {
                            self.site.security.handshake_failed(peer, &error, now);
                            continue;
                        }
                    };
                    let mut connection = Connection::new(Stream::new(stream, session), peer, now);
                    // Its request, or its TLS hello, is often here already.
                    connection.ready(PollFlags::POLLIN, &mut self.scratch, now);
                    if let Some(error) = connection.take_failure() {
                        self.site.security.handshake_failed(peer, &error, now);
                    }
                    if !connection.is_closed() {
                        self.connections.push(connection);
                    }
                }
                // The client's own end, or that of the stream just dropped.
                Ok(_) => {}
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return,
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                    _ => {
                        self.accept_from = now + ACCEPT_PAUSE;
                        if self.complain_from <= now {
                            self.complain_from = now + COMPLAINT_PAUSE;
                            log::warn!("cannot accept HTTP clients: {error}; trying again every 100 ms");
                        }
                        return;
                    }
                },
            }
        }
    }
}

/// Whether one more heavy answer may begin. Where all places are taken, the one that has
/// been read least lately makes room, if that is long enough ago.
fn heavy_slot(connections: &mut [Connection], now: Duration) -> bool {
    let taken = connections.iter().filter(|c| c.heavy_progress().is_some()).count();
    if taken < MAX_HEAVY {
        return true;
    }
    let stalled = connections
        .iter_mut()
        .filter_map(|connection| Some((connection.heavy_progress()?, connection)))
        .filter(|(progress, _)| *progress + YIELD_TIME <= now)
        .min_by_key(|(progress, _)| *progress);
    match stalled {
        Some((_, connection)) => {
            connection.close();
            true
        }
        None => false,
    }
}

/// Who makes room: the answered ones that linger, then the oldest that has not sent its
/// head, then the longest stalled. Of the idle ones, those go first whose address holds the
/// most connections: one client that opens thousands should push out itself, not others.
fn victim(connections: &[Connection], now: Duration) -> Option<usize> {
    let crowd = |peer: IpAddr| connections.iter().filter(|connection| connection.peer == peer).count();
    connections
        .iter()
        .enumerate()
        .filter_map(|(at, connection)| Some((at, connection.peer, connection.evictable()?)))
        .filter(|(_, _, (_, from))| *from <= now)
        .min_by_key(|(_, peer, (rank, from))| (*rank, Reverse(crowd(*peer)), *from))
        .map(|(at, ..)| at)
}

/// Rounded up, or the loop would spin through the last part of a millisecond.
fn timeout(wait: Duration) -> PollTimeout {
    PollTimeout::from(u16::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(u16::MAX))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpStream};

    use super::*;

    const A: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const B: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

    /// Idle connections, each of a peer and of an age.
    fn idle(listener: &TcpListener, now: Duration, of: &[(IpAddr, u64)]) -> Vec<Connection> {
        of.iter()
            .map(|(peer, age_ms)| {
                let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                stream.set_nonblocking(true).unwrap();
                Connection::new(Stream::new(stream, None), *peer, now - Duration::from_millis(*age_ms))
            })
            .collect()
    }

    #[test]
    fn a_crowd_pushes_out_itself_oldest_first() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let now = Duration::from_secs(100);
        let connections = idle(&listener, now, &[(B, 900), (A, 50), (A, 300), (A, 1)]);
        assert_eq!(victim(&connections, now), Some(2));
        let one_each = idle(&listener, now, &[(A, 50), (B, 900)]);
        assert_eq!(victim(&one_each, now), Some(1));
    }

    #[test]
    fn a_fresh_connection_is_left_in_peace() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let now = Duration::from_secs(100);
        let connections = idle(&listener, now, &[(A, 1), (A, 2), (A, 0)]);
        assert_eq!(victim(&connections, now), None);
    }

    #[test]
    fn who_is_answered_goes_before_who_has_not_asked() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let now = Duration::from_secs(100);
        let mut connections = idle(&listener, now, &[(A, 900), (B, 6000)]);
        // Late with its head: refused with 408, and listened to for a moment.
        connections[1].expire(now);
        assert_eq!(victim(&connections, now), Some(1));
    }

    #[test]
    fn waits_are_rounded_up_and_end() {
        assert_eq!(timeout(Duration::ZERO), PollTimeout::ZERO);
        assert_eq!(timeout(Duration::from_micros(1)), PollTimeout::from(1u8));
        assert_eq!(timeout(Duration::from_millis(5)), PollTimeout::from(5u8));
        assert_eq!(timeout(Duration::MAX), PollTimeout::from(u16::MAX));
    }
}
