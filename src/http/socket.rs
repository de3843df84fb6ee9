//! The socket under ureq, TCP or Unix, made for one small request a tick.
//!
//! ureq's own transport sends head and body as two packets, sets the socket's timeouts
//! before each call, and looks three system calls long whether a pooled connection is
//! still open. This one sends them together, sets a timeout when it differs by much, and
//! looks with one call. A request is then send, receive and one look: what a bare loop does.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::sockopt::{KeepAlive, SendTimeout, TcpKeepCount, TcpKeepIdle, TcpKeepInterval};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, send, setsockopt, socket,
};
use nix::sys::time::TimeVal;
use ureq::Timeout;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

use super::buffers::ConnectionBuffers;
use super::deadline::{Deadline, coarse};
use super::error::other;

/// What head and body of most requests fit into; a larger body leaves as it comes.
const GATHER: usize = 64 << 10;

/// A name with several addresses shares the time for connecting among them.
const MIN_CONNECT: Duration = Duration::from_millis(100);

/// Seconds without a word from the other side before it is asked whether it is there: what stands
/// in between remembers a connection for a minute at least.
const KEEP_ALIVE_AFTER: u32 = 15;

/// Seconds between the questions.
const KEEP_ALIVE_EVERY: u32 = 5;

/// Questions without an answer that end the connection.
const KEEP_ALIVE_PROBES: u32 = 3;

/// What TLS answers to those who do not speak it: an alert, of any version.
const TLS_ALERT: [u8; 2] = [21, 3];

/// Where sockets are connected to.
#[derive(Debug)]
pub enum SocketConnector {
    /// To the addresses of the host.
    Tcp {
        /// Whether HTTP is spoken on them as they are, to a server that may well expect TLS.
        is_plain: bool,
    },
    /// To this socket of this machine.
    Unix(PathBuf),
}

impl Connector for SocketConnector {
    type Out = Socket;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Socket>, ureq::Error> {
        let deadline = Deadline::of(details.timeout, Timeout::Connect);
        match self {
            SocketConnector::Tcp { is_plain } => tcp(details, &deadline, *is_plain).map(Some),
            SocketConnector::Unix(path) => Ok(Some(Socket::new(Stream::Unix(unix(path, &deadline)?), None))),
        }
    }
}

fn tcp(details: &ConnectionDetails<'_>, deadline: &Deadline, is_plain: bool) -> Result<Socket, ureq::Error> {
    let stream = connect_to(&details.addrs, || deadline.remaining())?;
    let port = stream.peer_addr()?.port();
    Ok(Socket::new(Stream::Tcp(stream), is_plain.then_some(port)))
}

/// A connection to the first of `addresses` that takes one, each within its share of what `remaining` gives.
pub(super) fn connect_to(
    addresses: &[SocketAddr],
    remaining: impl Fn() -> Result<Duration, ureq::Error>,
) -> Result<TcpStream, ureq::Error> {
    let mut last = None;
    let mut left = addresses.len() as u32;
    for address in addresses {
        let share = (remaining()? / left).max(MIN_CONNECT);
        left -= 1;
        match TcpStream::connect_timeout(address, share) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                keep_alive(&stream)?;
                return Ok(stream);
            }
            Err(error) => last = Some(error),
        }
    }
    match last {
        // Ours; the kernel's own limit has a number.
        Some(error) if error.kind() == ErrorKind::TimedOut && error.raw_os_error().is_none() => {
            Err(ureq::Error::Timeout(Timeout::Connect))
        }
        Some(error) => Err(error.into()),
        None => Err(ureq::Error::HostNotFound),
    }
}

/// Has the kernel ask from time to time whether the other side is there. So whatever stands in
/// between remembers a connection that idles or on which an answer is waited for, and one whose
/// other side is gone has ended when the next request comes, or before a long `timeout` does. TCP_USER_TIMEOUT would also end those to a server that
/// is there and takes its time to read.
fn keep_alive(stream: &TcpStream) -> Result<(), ureq::Error> {
    setsockopt(stream, KeepAlive, &true)
        .and_then(|()| setsockopt(stream, TcpKeepIdle, &KEEP_ALIVE_AFTER))
        .and_then(|()| setsockopt(stream, TcpKeepInterval, &KEEP_ALIVE_EVERY))
        .and_then(|()| setsockopt(stream, TcpKeepCount, &KEEP_ALIVE_PROBES))
        .map_err(|error| io::Error::from(error).into())
}

/// A server that accepts nobody lets others wait; the time for sending counts for that, too.
fn unix(path: &Path, deadline: &Deadline) -> Result<UnixStream, ureq::Error> {
    let address = UnixAddr::new(path).map_err(unix_failure)?;
    loop {
        let limit = deadline.remaining()?.max(Duration::from_millis(1));
        let limit = TimeVal::new(limit.as_secs() as _, limit.subsec_micros() as _);
        let socket =
            socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).map_err(unix_failure)?;
        setsockopt(&socket, SendTimeout, &limit).map_err(unix_failure)?;
        match connect(socket.as_raw_fd(), &address) {
            Ok(()) => return Ok(UnixStream::from(socket)),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(error) => return Err(unix_failure(error)),
        }
    }
}

fn unix_failure(error: Errno) -> ureq::Error {
    match error {
        Errno::ENOENT => other("there is no such socket"),
        Errno::EACCES | Errno::EPERM => other("this user may not connect to the socket (permission denied)"),
        Errno::ECONNREFUSED => other("nobody listens on the socket (connection refused)"),
        Errno::ENAMETOOLONG => other("the path is longer than one of a socket can be"),
        error => io::Error::from(error).into(),
    }
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => (&*stream).read(into),
            Stream::Unix(stream) => (&*stream).read(into),
        }
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => (&*stream).write(bytes),
            Stream::Unix(stream) => (&*stream).write(bytes),
        }
    }

    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.set_read_timeout(Some(timeout)),
            Stream::Unix(stream) => stream.set_read_timeout(Some(timeout)),
        }
    }

    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.set_write_timeout(Some(timeout)),
            Stream::Unix(stream) => stream.set_write_timeout(Some(timeout)),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Tcp(stream) => stream.as_fd(),
            Stream::Unix(stream) => stream.as_fd(),
        }
    }
}

/// One connection.
pub struct Socket {
    stream: Stream,
    buffers: ConnectionBuffers,
    read_timeout: Duration,
    write_timeout: Duration,
    /// An answer has just come in, so the connection was open a moment ago.
    just_heard: bool,
    /// The port, where HTTP is spoken to it in the clear and nothing has come from it yet.
    unheard: Option<u16>,
}

impl Socket {
    fn new(stream: Stream, unheard: Option<u16>) -> Socket {
        Socket {
            stream,
            buffers: ConnectionBuffers::default(),
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
        let sent = self.send(deadline);
        self.buffers.sent();
        sent
    }

    fn send(&mut self, deadline: &Deadline) -> Result<(), ureq::Error> {
        let mut sent = 0;
        while sent < self.buffers.gathered().len() {
            let timeout = coarse(deadline.remaining()?);
            if timeout != self.write_timeout {
                self.stream.set_write_timeout(timeout)?;
                self.write_timeout = timeout;
            }
            match self.stream.write(&self.buffers.gathered()[sent..]) {
                Ok(0) => return Err(io::Error::from(ErrorKind::WriteZero).into()),
                Ok(n) => sent += n,
                Err(error) if is_pause(&error) => {}
                Err(error) => return Err(self.explained(error)),
            }
        }
        Ok(())
    }
}

/// Longer than an alert of TLS, shorter than any request.
const ALERT: usize = 64;

impl Drop for Socket {
    /// An alert that says why we leave helps whoever reads the server's log; it must not
    /// cost us a wait.
    fn drop(&mut self) {
        let gathered = self.buffers.gathered();
        if (1..=ALERT).contains(&gathered.len()) {
            let _ = send(self.stream.as_fd().as_raw_fd(), gathered, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL);
        }
    }
}

impl Transport for Socket {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.buffers.gather(amount);
        if self.buffers.gathered().len() < GATHER {
            return Ok(());
        }
        self.flush(&Deadline::of(timeout.for_write(), Timeout::SendBody))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.flush(&Deadline::of(timeout.for_write(), Timeout::SendBody))?;
        let deadline = Deadline::of(timeout.for_read(), Timeout::RecvResponse);
        loop {
            let timeout = coarse(deadline.remaining()?);
            if timeout != self.read_timeout {
                self.stream.set_read_timeout(timeout)?;
                self.read_timeout = timeout;
            }
            match self.stream.read(self.buffers.input_append_buf()) {
                Ok(n) => {
                    self.buffers.input_appended(n);
                    return self.heard(n);
                }
                Err(error) if is_pause(&error) => {}
                Err(error) => return Err(self.explained(error)),
            }
        }
    }

    fn is_open(&mut self) -> bool {
        // Asked twice for each request: when the connection is put by after an answer, and
        // when it is taken up again. The first time there is nothing new to see.
        self.buffers.release();
        if std::mem::take(&mut self.just_heard) {
            return true;
        }
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        // Bytes that nobody asked for, or the end: in both cases this connection is over.
        recv(self.stream.as_fd().as_raw_fd(), &mut [0], flags) == Err(Errno::EAGAIN)
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.stream {
            Stream::Tcp(stream) => write!(f, "Tcp({:?})", stream.peer_addr().ok()),
            Stream::Unix(stream) => write!(f, "Unix({:?})", stream.peer_addr().ok()),
        }
    }
}

/// An interruption, or a socket's timeout, which may come before the deadline.
pub(super) fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_looks_after_a_connection() {
        use nix::sys::socket::getsockopt;

        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        keep_alive(&stream).unwrap();
        assert!(getsockopt(&stream, KeepAlive).unwrap());
        let (after, every) = (getsockopt(&stream, TcpKeepIdle).unwrap(), getsockopt(&stream, TcpKeepInterval).unwrap());
        assert_eq!((after, every, getsockopt(&stream, TcpKeepCount).unwrap()), (15, 5, 3));
    }

    #[test]
    fn what_is_wrong_with_a_socket_is_said_for_people() {
        for (error, why) in [
            (Errno::ENOENT, "there is no such socket"),
            (Errno::EACCES, "this user may not connect to the socket (permission denied)"),
            (Errno::ECONNREFUSED, "nobody listens on the socket (connection refused)"),
            (Errno::ENAMETOOLONG, "the path is longer than one of a socket can be"),
        ] {
            assert_eq!(unix_failure(error).to_string(), format!("other: {why}"));
        }
    }
}
