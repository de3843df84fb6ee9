//! A connection on which bytes go one way, without HTTP: over TCP, or TLS.
//!
//! Nobody answers there. What was written counts as delivered: the kernel has it, and the connection was
//! whole. What the other side had not read when it went away is known by the reset that its kernel sends
//! then, or by that nothing is taken any more; so the last bodies are kept, and go once more on the next
//! connection. A side that closes in order has read all that it was sent.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use nix::libc::linger;
use nix::sys::socket::{setsockopt, sockopt};
use rustls::{ClientConnection, StreamOwned};
use ureq::Timeout;

use super::deadline::coarse;
use super::error::{Error, Progress, other, tls_error};
use super::limits::{MAX_CONNECTION_AGE, TimeLimits};
use super::resolve::{Lookups, scope_of, set_scope};
use super::session::Session;
use super::settings::HttpSettings;
use super::socket::{connect_to, is_pause};
use crate::tls::{self, Client};

/// What our own kernel takes in before the other side does: more would hide for long that it reads nothing.
const SEND_BUFFER: usize = 64 << 10;

/// How many bytes of the last bodies are kept for the next connection: what the two kernels hold of a peer that
/// never reads, whose buffer does not grow then.
const KEPT: usize = 512 << 10;

/// Of what the other side says, which means nothing here, so much is read at a look.
const SAID: usize = 64 << 10;

/// One peer, and the connection to it.
pub struct TcpClient {
    name: String,
    settings: HttpSettings,
    tls: Option<Client>,
    session: Session,
    limits: TimeLimits,
    lookups: Lookups,
    connection: Option<Connection>,
    /// The last bodies that were written, oldest first, and how many bytes they have.
    last: VecDeque<Box<[u8]>>,
    last_bytes: usize,
}

struct Connection {
    stream: Stream,
    made: Instant,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// What a look at a connection shows.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    Open,
    /// The other side has read all, and closed it.
    Closed,
    /// It was reset.
    Broken,
}

impl TcpClient {
    /// Connects to nothing yet. Log lines call the peer `label`. `settings.endpoint` is `http://host:port`, or
    /// `https://` for TLS; of the rest its TLS and its timeout count, the latter for each body.
    pub fn new(label: &str, settings: HttpSettings) -> TcpClient {
        let endpoint = &settings.endpoint;
        let scheme = if endpoint.is_https() { "tls" } else { "tcp" };
        TcpClient {
            name: format!("{scheme}://{}", endpoint.authority()),
            tls: settings.tls.as_ref().map(|tls| Client::new(label.to_owned(), (**tls).clone())),
            session: Session::new(label),
            limits: TimeLimits { setting: "shipper.timeout", ..TimeLimits::default() },
            lookups: Lookups::default(),
            connection: None,
            last: VecDeque::new(),
            last_bytes: 0,
            settings,
        }
    }

    /// Writes `body`, on the connection that there is or on a new one.
    pub fn send(&mut self, body: &[u8]) -> Result<(), Error> {
        let begun = Instant::now();
        self.write(body, begun).map_err(|error| {
            let progress = Progress {
                elapsed: begun.elapsed(),
                has_head: false,
                total: self.settings.timeout,
                limits: &self.limits,
            };
            progress.failure(&error).on(&self.name)
        })
    }

    /// Version and suite, as those of HTTP.
    pub fn agreed(&self) -> Option<String> {
        self.session.agreed()
    }

    /// Looks at the files. Whether they have changed.
    pub fn refresh(&self) -> bool {
        self.tls.as_ref().is_some_and(Client::refresh)
    }

    fn write(&mut self, body: &[u8], begun: Instant) -> Result<(), ureq::Error> {
        let renewed = self.refresh();
        if let Some(connection) = &mut self.connection {
            let is_old = renewed || connection.made.elapsed() >= MAX_CONNECTION_AGE;
            match connection.stream.look() {
                Look::Open if !is_old => {}
                Look::Open | Look::Closed => {
                    self.connection = None;
                    self.forget();
                }
                Look::Broken => self.give_up(),
            }
        }
        let deadline = begun + self.settings.timeout;
        if self.connection.is_none() {
            let stream = self.connect(deadline)?;
            let mut connection = Connection { stream, made: Instant::now() };
            for body in &self.last {
                if let Err(error) = connection.stream.write(body, deadline) {
                    connection.stream.abort();
                    return Err(error);
                }
            }
            self.connection = Some(connection);
        }
        let Some(connection) = &mut self.connection else { return Err(other("no connection came about")) };
        if let Err(error) = connection.stream.write(body, deadline) {
            self.give_up();
            return Err(error);
        }
        self.last_bytes += body.len();
        self.last.push_back(body.into());
        while self.last_bytes > KEPT {
            self.last_bytes -= self.last.pop_front().map_or(self.last_bytes, |body| body.len());
        }
        Ok(())
    }

    /// What was written there was read.
    fn forget(&mut self) {
        self.last.clear();
        self.last_bytes = 0;
    }

    /// Resets it: who reads a torn line is not to take it for a whole one.
    fn give_up(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.stream.abort();
        }
    }

    fn connect(&mut self, deadline: Instant) -> Result<Stream, ureq::Error> {
        let endpoint = &self.settings.endpoint;
        let (host, port) = (endpoint.host(), endpoint.port());
        let place = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let left = || left(deadline, Timeout::Connect);
        let mut addresses = self.lookups.look_up(place, left()?)?;
        if let Some(zone) = endpoint.zone() {
            let scope = scope_of(zone)?;
            addresses.iter_mut().for_each(|address: &mut SocketAddr| set_scope(address, scope));
        }
        let stream = connect_to(&addresses, left)?;
        setsockopt(&stream, sockopt::SndBuf, &SEND_BUFFER).map_err(io::Error::from)?;
        let Some(client) = &self.tls else { return Ok(Stream::Plain(stream)) };
        let has_fields = self.limits.has_fields();
        let name = client.server_name(host).map_err(other)?;
        let config = client.config().map_err(other)?;
        let mut conn = ClientConnection::new(config, name).map_err(|error| other(tls::in_words(&error, has_fields)))?;
        let mut sock = stream;
        while conn.is_handshaking() {
            let within = coarse(left()?);
            sock.set_read_timeout(Some(within))?;
            sock.set_write_timeout(Some(within))?;
            match conn.complete_io(&mut sock) {
                Ok(_) => {}
                Err(error) if is_pause(&error) => {}
                Err(error) => {
                    return Err(match tls_error(&error) {
                        Some(error) => other(tls::in_words(error, has_fields)),
                        None => other(format!("{error} in the TLS handshake; does port {port} speak TLS?")),
                    });
                }
            }
        }
        self.session.is_of(&conn);
        Ok(Stream::Tls(Box::new(StreamOwned { conn, sock })))
    }
}

/// What is left until then, never nothing; `part` is what there is no more time for.
fn left(deadline: Instant, part: Timeout) -> Result<Duration, ureq::Error> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ureq::Error::Timeout(part)) } else { Ok(left) }
}

impl Stream {
    fn socket(&self) -> &TcpStream {
        match self {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => &stream.sock,
        }
    }

    /// Whether anything has been heard since the last time, without waiting.
    fn look(&mut self) -> Look {
        if self.socket().set_nonblocking(true).is_err() {
            return Look::Broken;
        }
        let (mut said, mut buffer) = (0, [0; 4096]);
        let look = loop {
            let read = match self {
                Stream::Plain(stream) => stream.read(&mut buffer),
                Stream::Tls(stream) => stream.read(&mut buffer),
            };
            match read {
                // Who was written to after it had closed says so behind that.
                Ok(0) => match self.socket().take_error() {
                    Ok(None) => break Look::Closed,
                    _ => break Look::Broken,
                },
                Ok(read) if said < SAID => said += read,
                Ok(_) => break Look::Open,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break Look::Open,
                // TLS that ends without a goodbye ends all the same.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => break Look::Closed,
                Err(_) => break Look::Broken,
            }
        };
        if self.socket().set_nonblocking(false).is_err() { Look::Broken } else { look }
    }

    fn write(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), ureq::Error> {
        let mut written = 0;
        loop {
            self.socket().set_write_timeout(Some(coarse(left(deadline, Timeout::SendBody)?)))?;
            let rest = &bytes[written..];
            let done = match self {
                Stream::Plain(_) if rest.is_empty() => return Ok(()),
                Stream::Plain(stream) => stream.write(rest),
                Stream::Tls(stream) if rest.is_empty() => match stream.flush() {
                    Ok(()) => return Ok(()),
                    Err(error) => Err(error),
                },
                Stream::Tls(stream) => stream.write(rest),
            };
            match done {
                Ok(0) => return Err(io::Error::from(ErrorKind::WriteZero).into()),
                Ok(n) => written += n,
                Err(error) if is_pause(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn abort(&self) {
        // Where the kernel does not want to, it closes in order.
        let _ = setsockopt(self.socket(), sockopt::Linger, &linger { l_onoff: 1, l_linger: 0 });
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::http::Url;

    fn client(listener: &TcpListener, timeout: Duration) -> TcpClient {
        let url = Url::new(format!("http://{}", listener.local_addr().unwrap()));
        TcpClient::new("destination x", HttpSettings { timeout, ..HttpSettings::new(url) })
    }

    fn read(stream: &mut TcpStream, count: usize) -> String {
        let mut bytes = vec![0; count];
        stream.read_exact(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// Until the client sees what the peer has done, since the loopback takes a moment.
    fn wait_for_a_look(client: &mut TcpClient, expected: Look) {
        let begun = Instant::now();
        loop {
            let stream = &mut client.connection.as_mut().unwrap().stream;
            let socket = stream.socket().try_clone().unwrap();
            let mut byte = [0];
            socket.set_nonblocking(true).unwrap();
            let peeked = socket.peek(&mut byte);
            socket.set_nonblocking(false).unwrap();
            let seen = match peeked {
                Ok(0) => Look::Closed,
                Err(error) if error.kind() != ErrorKind::WouldBlock => Look::Broken,
                _ => Look::Open,
            };
            if seen == expected {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "{seen:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn bodies_go_on_one_connection_and_what_the_peer_says_is_read_and_forgotten() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = client(&listener, Duration::from_secs(10));
        client.send(b"a 1 2\n").unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        peer.write_all(b"hello?").unwrap();
        client.send(b"b 1 2\n").unwrap();
        assert_eq!(read(&mut peer, 12), "a 1 2\nb 1 2\n");
        drop(peer);
    }

    #[test]
    fn after_an_orderly_end_a_new_connection_begins_with_the_next_body() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = client(&listener, Duration::from_secs(10));
        client.send(b"a\n").unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        assert_eq!(read(&mut peer, 2), "a\n");
        drop(peer);
        wait_for_a_look(&mut client, Look::Closed);
        client.send(b"b\n").unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        assert_eq!(read(&mut peer, 2), "b\n");
    }

    #[test]
    fn what_a_peer_had_not_read_when_it_went_away_is_sent_once_more() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = client(&listener, Duration::from_secs(10));
        client.send(b"a\n").unwrap();
        client.send(b"b\n").unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        assert_eq!(read(&mut peer, 1), "a");
        // The rest is unread: the kernel resets.
        drop(peer);
        client.connection.as_ref().unwrap().stream.socket().set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        wait_until_reset(&client);
        client.send(b"c\n").unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        assert_eq!(read(&mut peer, 6), "a\nb\nc\n");
    }

    /// Without taking the error away.
    fn wait_until_reset(client: &TcpClient) {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        use std::os::fd::AsFd;
        let socket = client.connection.as_ref().unwrap().stream.socket();
        let mut polled = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        poll(&mut polled, PollTimeout::from(10_000_u16)).unwrap();
        assert!(polled[0].revents().unwrap().contains(PollFlags::POLLERR | PollFlags::POLLHUP));
    }

    #[test]
    fn a_peer_that_never_reads_holds_nobody_up_for_longer_than_the_timeout_and_loses_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        setsockopt(&listener, sockopt::RcvBuf, &(64 << 10)).unwrap();
        let mut client = client(&listener, Duration::from_millis(300));
        let line = |at: usize| format!("{at:010} {}\n", "x".repeat(1 << 14));
        let (mut written, mut failure) = (0, None);
        let mut peer = None;
        for at in 0..1000 {
            let begun = Instant::now();
            let sent = client.send(line(at).as_bytes());
            assert!(begun.elapsed() < Duration::from_secs(5));
            peer = peer.or_else(|| listener.accept().ok());
            match sent {
                Ok(()) => written += 1,
                Err(error) => {
                    failure = Some(error.to_string());
                    break;
                }
            }
        }
        let failure = failure.expect("a peer that never reads has no room for all of this");
        assert!(failure.contains("the request was not taken within 300ms (shipper.timeout)"), "{failure}");
        assert!(written * line(0).len() < KEPT, "more is on its way than is kept: {written}");
        // It is started anew, and reads: all is there, in order, and then what failed.
        drop(peer);
        let expected: String = (0..=written).map(line).collect();
        let reader = std::thread::spawn(move || read(&mut listener.accept().unwrap().0, expected.len()) == expected);
        client.settings.timeout = Duration::from_secs(10);
        client.send(line(written).as_bytes()).unwrap();
        assert!(reader.join().unwrap());
    }

    #[test]
    fn a_peer_that_is_not_there_is_said_in_words() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = client(&listener, Duration::from_secs(10));
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let said = client.send(b"a\n").unwrap_err().to_string();
        assert_eq!(said, format!("tcp://127.0.0.1:{port}: Connection refused (os error 111)"));
    }
}
