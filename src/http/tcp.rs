//! The TCP connection under ureq, made for one small request a tick.
//!
//! ureq's own transport sends head and body as two packets, sets the socket's timeouts
//! before each call, and looks three system calls long whether a pooled connection is
//! still open. This one sends them together, sets a timeout when it differs by much, and
//! looks with one call. A request is then send, receive and one look: what a bare loop does.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, send};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport, time};

use super::tls::other;

/// What head and body of most requests fit into; a larger body leaves as it comes.
const GATHER: usize = 64 << 10;

/// ureq's defaults are 128 KiB each way. Answers are short, and bodies are copied through
/// in steps of this.
pub(super) const BUFFER: usize = 16 << 10;

/// A name with several addresses shares the time for connecting among them.
const MIN_CONNECT: Duration = Duration::from_millis(100);

/// What TLS answers to those who do not speak it: an alert, of any version.
const TLS_ALERT: [u8; 2] = [21, 3];

/// Opens TCP connections.
#[derive(Debug, Default)]
pub struct TcpConnector {
    /// Whether HTTP is spoken on them as they are, to a server that may well expect TLS.
    pub is_plain: bool,
}

impl Connector for TcpConnector {
    type Out = Tcp;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Tcp>, ureq::Error> {
        let deadline = Deadline::of(details.timeout, ureq::Timeout::Connect);
        let mut last = None;
        let mut left = details.addrs.len() as u32;
        for address in &details.addrs {
            let share = (deadline.remaining()? / left).max(MIN_CONNECT);
            left -= 1;
            match TcpStream::connect_timeout(address, share) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(Some(Tcp::new(stream, self.is_plain.then_some(address.port()))));
                }
                Err(error) => last = Some(error),
            }
        }
        match last {
            // Ours; the kernel's own limit has a number.
            Some(error) if error.kind() == ErrorKind::TimedOut && error.raw_os_error().is_none() => {
                Err(ureq::Error::Timeout(ureq::Timeout::Connect))
            }
            Some(error) => Err(error.into()),
            None => Err(ureq::Error::HostNotFound),
        }
    }
}

/// One connection.
pub struct Tcp {
    stream: TcpStream,
    buffers: LazyBuffers,
    /// What is to be sent with the next flush.
    gathered: Vec<u8>,
    read_timeout: Duration,
    write_timeout: Duration,
    /// An answer has just come in, so the connection was open a moment ago.
    just_heard: bool,
    /// The port, where HTTP is spoken to it in the clear and nothing has come from it yet.
    unheard: Option<u16>,
}

impl Tcp {
    fn new(stream: TcpStream, unheard: Option<u16>) -> Tcp {
        Tcp {
            stream,
            buffers: LazyBuffers::new(BUFFER, BUFFER),
            gathered: Vec::new(),
            read_timeout: Duration::ZERO,
            write_timeout: Duration::ZERO,
            just_heard: false,
            unheard,
        }
    }

    /// What `error` is of: who expects TLS and gets HTTP hangs up without a word, or says so
    /// in TLS. Only on a new connection: an old one is closed for many reasons.
    fn explained(&self, error: io::Error) -> ureq::Error {
        let hung_up = matches!(
            error.kind(),
            ErrorKind::UnexpectedEof
                | ErrorKind::ConnectionReset
                | ErrorKind::BrokenPipe
                | ErrorKind::ConnectionAborted
        );
        match self.unheard {
            Some(port) if hung_up => {
                let how = if error.kind() == ErrorKind::UnexpectedEof { "closed" } else { "reset by the peer" };
                other(format!(
                    "the connection was {how} before an answer came; does port {port} speak TLS? then write https://"
                ))
            }
            _ => error.into(),
        }
    }

    /// Whether an answer goes on: there were `read` bytes of it, none at its end.
    fn heard(&mut self, read: usize) -> Result<bool, ureq::Error> {
        if let Some(port) = self.unheard {
            if read == 0 {
                return Err(self.explained(ErrorKind::UnexpectedEof.into()));
            }
            self.unheard = None;
            if self.buffers.input().starts_with(&TLS_ALERT) {
                return Err(other(format!("port {port} speaks TLS; write https://")));
            }
        }
        self.just_heard = read > 0;
        Ok(read > 0)
    }

    /// Sends what was gathered.
    fn flush(&mut self, deadline: &Deadline) -> Result<(), ureq::Error> {
        let mut sent = 0;
        while sent < self.gathered.len() {
            let timeout = coarse(deadline.remaining()?);
            if timeout != self.write_timeout {
                self.stream.set_write_timeout(Some(timeout))?;
                self.write_timeout = timeout;
            }
            match self.stream.write(&self.gathered[sent..]) {
                Ok(0) => return Err(io::Error::from(ErrorKind::WriteZero).into()),
                Ok(n) => sent += n,
                Err(error) if is_pause(&error) => {
                    deadline.remaining().map(drop).inspect_err(|_| self.gathered.clear())?
                }
                Err(error) => {
                    self.gathered.clear();
                    return Err(self.explained(error));
                }
            }
        }
        self.gathered.clear();
        // A large body is rare; its buffer is not kept for it.
        self.gathered.shrink_to(GATHER);
        Ok(())
    }
}

/// Longer than an alert of TLS, shorter than any request.
const ALERT: usize = 64;

impl Drop for Tcp {
    /// An alert that says why we leave helps whoever reads the server's log; it must not
    /// cost us a wait.
    fn drop(&mut self) {
        if (1..=ALERT).contains(&self.gathered.len()) {
            let _ = send(self.stream.as_raw_fd(), &self.gathered, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL);
        }
    }
}

impl Transport for Tcp {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.gathered.extend_from_slice(&self.buffers.output()[..amount]);
        if self.gathered.len() < GATHER {
            return Ok(());
        }
        self.flush(&Deadline::of(timeout.for_write(), ureq::Timeout::SendBody))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.flush(&Deadline::of(timeout.for_write(), ureq::Timeout::SendBody))?;
        let deadline = Deadline::of(timeout.for_read(), ureq::Timeout::RecvResponse);
        loop {
            let timeout = coarse(deadline.remaining()?);
            if timeout != self.read_timeout {
                self.stream.set_read_timeout(Some(timeout))?;
                self.read_timeout = timeout;
            }
            match self.stream.read(self.buffers.input_append_buf()) {
                Ok(n) => {
                    self.buffers.input_appended(n);
                    return self.heard(n);
                }
                Err(error) if is_pause(&error) => deadline.remaining().map(drop)?,
                Err(error) => return Err(self.explained(error)),
            }
        }
    }

    fn is_open(&mut self) -> bool {
        // Asked twice for each request: when the connection is put by after an answer, and
        // when it is taken up again. The first time there is nothing new to see.
        if std::mem::take(&mut self.just_heard) {
            return true;
        }
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        // Bytes that nobody asked for, or the end: in both cases this connection is over.
        recv(self.stream.as_raw_fd(), &mut [0], flags) == Err(Errno::EAGAIN)
    }
}

impl fmt::Debug for Tcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tcp({:?})", self.stream.peer_addr().ok())
    }
}

/// The socket's timeout for a wait of `remaining`: rounded up to whole seconds where it is
/// long, so that it seldom has to be set anew. The deadline itself stays exact to that second.
fn coarse(remaining: Duration) -> Duration {
    if remaining > Duration::from_secs(5) {
        Duration::from_secs(remaining.as_secs() + 1)
    } else {
        remaining.max(Duration::from_millis(1))
    }
}

/// A moment by which something has to be done, and ureq's word for missing it: which part of
/// the request it was, since the one timeout that is set is for all of them together.
struct Deadline {
    at: Option<Instant>,
    reason: ureq::Timeout,
}

/// Where no timeout is set at all (which the configuration does not allow), a day.
const NEVER: Duration = Duration::from_secs(86_400);

impl Deadline {
    fn of(timeout: NextTimeout, reason: ureq::Timeout) -> Deadline {
        let at = match timeout.after {
            time::Duration::Exact(after) => Instant::now().checked_add(after),
            time::Duration::NotHappening => None,
        };
        Deadline { at, reason }
    }

    /// What is left, never nothing.
    fn remaining(&self) -> Result<Duration, ureq::Error> {
        let left = self.at.map_or(NEVER, |at| at.saturating_duration_since(Instant::now()));
        if left.is_zero() { Err(ureq::Error::Timeout(self.reason)) } else { Ok(left) }
    }
}

/// An interruption, or a socket's timeout, which may come before the deadline.
fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_timeouts_are_whole_seconds_and_never_too_short() {
        assert_eq!(coarse(Duration::from_millis(29_998)), Duration::from_secs(30));
        assert_eq!(coarse(Duration::from_millis(29_001)), Duration::from_secs(30));
        assert_eq!(coarse(Duration::from_millis(200)), Duration::from_millis(200));
        assert_eq!(coarse(Duration::from_nanos(1)), Duration::from_millis(1));
    }
}
