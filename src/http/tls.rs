//! TLS over a connection, with a rustls configuration of our own: ureq's has no knob for
//! the name, for resumption or for versions.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, NextTimeout, Transport, TransportAdapter,
};

use super::buffers::ConnectionBuffers;
use super::deadline::left_for_connecting;
use super::error::{late, other, tls_error};
use super::session::Session;
use crate::tls::{self, Client};

/// How one server is spoken to over TLS, and what its last handshake has agreed on.
pub struct Secure {
    pub client: Client,
    pub session: Session,
}

/// Shakes hands on connections to `https://`, and leaves others as they are.
#[derive(Clone)]
pub struct TlsConnector {
    /// None where all is `http://`.
    pub secure: Option<Arc<Secure>>,
    /// Whether errors may name the fields of `tls`.
    pub has_fields: bool,
}

impl<In: Transport> Connector<In> for TlsConnector {
    // Most connections are plain, and what TLS keeps of one takes a kilobyte.
    type Out = Either<In, Box<Tls>>;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(connection) = chained else { return Ok(None) };
        if !details.needs_tls() || connection.is_tls() {
            return Ok(Some(Either::A(connection)));
        }
        let Secure { client, session } = self.secure.as_deref().ok_or(ureq::Error::TlsRequired)?;
        let name = client.server_name(details.uri.host().unwrap_or_default()).map_err(other)?;
        let port = details.uri.port_u16().unwrap_or(443);
        let tls = shake_hands(client, name, port, connection.boxed(), details, self.has_fields)?;
        session.is_of(&tls.stream.conn);
        Ok(Some(Either::B(Box::new(tls))))
    }
}

/// Makes `connection` one of TLS to the server `name`, which listens on `port`. Errors name the
/// fields of `tls` where there are any.
pub(super) fn shake_hands(
    client: &Client,
    name: ServerName<'static>,
    port: u16,
    connection: Box<dyn Transport>,
    details: &ConnectionDetails<'_>,
    has_fields: bool,
) -> Result<Tls, ureq::Error> {
    let config = client.config().map_err(other)?;
    let mut conn = ClientConnection::new(config, name).map_err(|error| other(tls::in_words(&error, has_fields)))?;
    let mut sock = TransportAdapter::new(connection, Arc::clone(&details.current_time));
    sock.set_timeout(left_for_connecting(details));
    while conn.is_handshaking() {
        conn.complete_io(&mut sock).map_err(|error| in_handshake(port, error, has_fields))?;
    }
    Ok(Tls { buffers: ConnectionBuffers::default(), stream: StreamOwned { conn, sock } })
}

impl fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsConnector")
    }
}

/// What went wrong, with the word that it was in the handshake where nothing else says so.
fn in_handshake(port: u16, error: io::Error, has_fields: bool) -> ureq::Error {
    if let Some(error) = tls_error(&error) {
        return other(tls::in_words(error, has_fields));
    }
    let is_late = matches!(error.get_ref().and_then(|inner| inner.downcast_ref()), Some(ureq::Error::Timeout(_)));
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            other(format!("unexpected eof while reading: port {port} closed the connection in the TLS handshake"))
        }
        _ if is_hung_up(&error) => {
            other(format!("connection reset by peer in the TLS handshake; does port {port} speak TLS?"))
        }
        _ if is_late => late(format!("no answer in the TLS handshake in time; does port {port} speak TLS?")),
        _ => error.into(),
    }
}

/// One connection, after its handshake.
pub struct Tls {
    buffers: ConnectionBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl Tls {
    /// What `error` was about: a peer that has hung up on us while we were sending has often
    /// said why before.
    fn with_its_reason(&mut self, error: io::Error) -> ureq::Error {
        let StreamOwned { conn, sock } = &mut self.stream;
        if is_hung_up(&error) {
            while let Ok(1..) = conn.read_tls(sock) {
                if let Err(reason) = conn.process_new_packets() {
                    return io::Error::new(io::ErrorKind::InvalidData, reason).into();
                }
            }
        }
        error.into()
    }

    /// Whether all that has come in is done with, and none of it was a goodbye or data that
    /// nobody asked for. Tickets come behind the answer.
    fn is_at_rest(&mut self) -> bool {
        let StreamOwned { conn, sock } = &mut self.stream;
        let buffers = sock.get_mut().buffers();
        loop {
            match conn.process_new_packets() {
                Ok(state) if !state.peer_has_closed() && state.plaintext_bytes_to_read() == 0 => {}
                _ => return false,
            }
            if buffers.input().is_empty() {
                // rustls lets go of what a large answer took when it is about to read.
                let _ = conn.read_tls(&mut Nothing);
                return true;
            }
            let Ok(read) = conn.read_tls(&mut buffers.input()) else { return false };
            buffers.input_consume(read);
        }
    }
}

/// Nothing has come in.
struct Nothing;

impl Read for Nothing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

fn is_hung_up(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}

impl Drop for Tls {
    /// Servers may forget a session that ended without this. Where TCP can't take it at
    /// once, it is left out.
    fn drop(&mut self) {
        self.stream.conn.send_close_notify();
        let _ = self.stream.conn.write_tls(&mut self.stream.sock);
    }
}

impl Transport for Tls {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let sent = self.stream.write_all(&self.buffers.output()[..amount]);
        sent.map_err(|error| self.with_its_reason(error))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let read = match self.stream.read(self.buffers.input_append_buf()) {
            Ok(read) => read,
            // An end without TLS' own goodbye. Whether the answer is whole, HTTP knows.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
            Err(error) => return Err(self.with_its_reason(error)),
        };
        self.buffers.input_appended(read);
        Ok(read > 0)
    }

    fn is_open(&mut self) -> bool {
        self.buffers.release();
        self.is_at_rest() && self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tls({:?})", self.stream.sock.inner())
    }
}
