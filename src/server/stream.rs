//! A client's bytes, plain or by TLS; no call blocks.
//!
//! rustls is driven by hand: what comes from the socket is given to it, what it wants to send
//! is sent when the socket takes it. What it holds for a client is bounded: a message of the
//! handshake (64 KiB), a record of each direction (16 KiB), and our side of the handshake.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use rustls::ServerConnection;

/// What TLS begins with: the type of a record that holds a handshake (RFC 8446, section 5.1).
/// What begins otherwise is no TLS.
const HANDSHAKE: u8 = 22;

/// Of a client's TLS until its head is complete. Heads end at 8 KiB and certificates at 64;
/// the rest is for the overhead of small records. A body behind it has bounds of its own.
const MAX_RECEIVED: usize = 256 << 10;

/// An answer is encrypted in pieces of one record, so that it is never in memory twice.
const PIECE_BYTES: usize = 16 << 10;

/// What is encrypted for one client before others have their turn: a fraction of a millisecond.
const TURN_BYTES: usize = 256 << 10;

/// Why nothing was read.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing is there at the moment.
    NotYet,
    /// The connection is of no more use.
    Gone,
    /// The client does not speak TLS. The stream is plain from now on.
    NotTls,
    /// TLS failed, and the client has been told, as far as it listens.
    Tls(rustls::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Failure::NotYet,
            _ => Failure::Gone,
        }
    }
}

/// How far a connection has come; each step is reached once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Nothing has been said yet.
    New,
    /// A client's TLS hello has been understood and answered.
    Greeted,
    /// Bytes may flow; from the beginning where there is no TLS.
    Open,
}

/// A socket that does not block, and TLS over it.
#[derive(Debug)]
pub(super) struct Stream {
    tcp: TcpStream,
    tls: Option<Tls>,
}

#[derive(Debug)]
struct Tls {
    session: Box<ServerConnection>,
    stage: Stage,
    received: usize,
    /// What `received` may come to.
    most: usize,
    goodbye: bool,
}

/// What came of a write.
#[derive(Debug)]
pub(super) struct Written {
    /// Bytes of the answer that need not be given again.
    pub taken: usize,
    /// Whether the socket took anything.
    pub moved: bool,
    /// Whether all that was given is with the socket.
    pub flushed: bool,
}

impl Stream {
    /// `tcp` does not block.
    pub(super) fn new(tcp: TcpStream, session: Option<ServerConnection>) -> Stream {
        let tls = session.map(|mut session| {
            session.set_buffer_limit(Some(PIECE_BYTES));
            Tls { session: Box::new(session), stage: Stage::New, received: 0, most: MAX_RECEIVED, goodbye: false }
        });
        Stream { tcp, tls }
    }

    pub(super) fn stage(&self) -> Stage {
        self.tls.as_ref().map_or(Stage::Open, |tls| tls.stage)
    }

    /// Whether TLS itself has something to send.
    pub(super) fn wants_write(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.session.wants_write())
    }

    /// What the client sent, 0 at its end. Takes one step of a handshake at most.
    pub(super) fn read(&mut self, into: &mut [u8]) -> Result<usize, Failure> {
        let Stream { tcp, tls } = self;
        let Some(tls) = tls else { return Ok(tcp.read(into)?) };
        if tls.received == 0 {
            let mut first = [0];
            if tcp.peek(&mut first)? > 0 && first[0] != HANDSHAKE {
                self.tls = None;
                return Err(Failure::NotTls);
            }
        }
        let received = tls.session.read_tls(tcp)?;
        tls.received = tls.received.saturating_add(received);
        if tls.received > tls.most {
            return Err(Failure::Gone);
        }
        if let Err(error) = tls.session.process_new_packets() {
            // The alert; a socket that does not take it has a client that does not listen.
            let _ = tls.session.write_tls(tcp);
            return Err(Failure::Tls(error));
        }
        if !tls.session.is_handshaking() {
            tls.stage = Stage::Open;
        } else if tls.session.wants_write() {
            tls.stage = tls.stage.max(Stage::Greeted);
        }
        tls.flush(tcp)?;
        match tls.session.reader().read(into) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && received == 0 => Ok(0),
            // Closed without TLS' goodbye.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            read => Ok(read?),
        }
    }

    /// A body comes, whose reader bounds it.
    pub(super) fn expect_body(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.most = usize::MAX;
        }
    }

    /// The same as [`Stream::read`], where there may be more than one can take at a time: what TLS has
    /// decrypted already comes first, since the socket does not tell of it.
    pub(super) fn read_on(&mut self, into: &mut [u8]) -> Result<usize, Failure> {
        if let Some(tls) = &mut self.tls {
            match tls.session.reader().read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                read => return Ok(read?),
            }
        }
        self.read(into)
    }

    /// Whether there is something to read that the socket does not tell of.
    pub(super) fn has_decrypted(&mut self) -> bool {
        // What is to be read of the last records is known when they are processed again.
        let state = self.tls.as_mut().and_then(|tls| tls.session.process_new_packets().ok());
        state.is_some_and(|state| state.plaintext_bytes_to_read() > 0)
    }

    /// Says `words`, a few, in front of the answer.
    pub(super) fn say(&mut self, words: &[u8]) -> Result<(), Failure> {
        let Stream { tcp, tls } = self;
        let Some(tls) = tls else {
            // A socket on which nothing was sent yet has room for them.
            return if tcp.write(words)? == words.len() { Ok(()) } else { Err(Failure::Gone) };
        };
        tls.session.writer().write_all(words)?;
        tls.flush(tcp)
    }

    /// Sends what TLS itself wants to.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        self.tls.as_mut().map_or(Ok(()), |tls| tls.flush(&mut self.tcp))
    }

    /// Writes of `rest`, all that there is left to say, as much as goes without waiting, up
    /// to what is one turn's. Where it has been said, TLS is closed as well.
    pub(super) fn write(&mut self, rest: &[u8]) -> io::Result<Written> {
        let Some(tls) = &mut self.tls else {
            let taken = self.tcp.write(rest)?;
            if taken == 0 && !rest.is_empty() {
                return Err(io::ErrorKind::WriteZero.into());
            }
            return Ok(Written { taken, moved: taken > 0, flushed: true });
        };
        let (mut taken, mut moved) = (0, false);
        loop {
            if tls.session.wants_write() {
                match tls.session.write_tls(&mut self.tcp) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(_) => moved = true,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            } else if taken == rest.len() {
                if std::mem::replace(&mut tls.goodbye, true) {
                    break;
                }
                tls.session.send_close_notify();
            } else if taken >= TURN_BYTES {
                break;
            } else {
                let piece = &rest[taken..rest.len().min(taken + PIECE_BYTES)];
                match tls.session.writer().write(piece)? {
                    0 => return Err(io::ErrorKind::WriteZero.into()),
                    length => taken += length,
                }
            }
        }
        Ok(Written { taken, moved, flushed: tls.goodbye && !tls.session.wants_write() })
    }

    /// Nothing will be written any more.
    pub(super) fn shutdown(&mut self) -> io::Result<()> {
        self.tcp.shutdown(Shutdown::Write)
    }

    /// Reads what nobody will look at, as it comes over the wire.
    pub(super) fn discard(&mut self, scratch: &mut [u8]) -> io::Result<usize> {
        self.tcp.read(scratch)
    }
}

impl Tls {
    fn flush(&mut self, tcp: &mut TcpStream) -> Result<(), Failure> {
        while self.session.wants_write() {
            match self.session.write_tls(tcp) {
                Ok(0) => return Err(Failure::Gone),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(Failure::Gone),
            }
        }
        Ok(())
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tcp.as_fd()
    }
}
