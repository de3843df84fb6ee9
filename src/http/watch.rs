//! Whether a connection that was kept was still one when the next request came.
//!
//! A server closes what idles when it likes, and its goodbye may cross our request on the way.
//! That is no failure of the server's: the request goes once more, on a new connection.

use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

/// What was seen of the connection in one request.
#[derive(Clone, Default)]
pub struct Signs(Arc<Seen>);

#[derive(Default)]
struct Seen {
    /// It was made for this request.
    is_new: AtomicBool,
    /// Something came back.
    is_heard: AtomicBool,
    /// It ended.
    has_ended: AtomicBool,
}

impl Signs {
    /// Another request begins.
    pub fn forget(&self) {
        for sign in [&self.0.is_new, &self.0.is_heard, &self.0.has_ended] {
            sign.store(false, Ordering::Relaxed);
        }
    }

    /// Whether the request went out on a connection that had been kept, and that ended before
    /// anything of an answer came.
    pub fn was_stale(&self) -> bool {
        let Seen { is_new, is_heard, has_ended } = &*self.0;
        let is = |sign: &AtomicBool| sign.load(Ordering::Relaxed);
        is(has_ended) && !is(is_new) && !is(is_heard)
    }
}

/// The end of the chain of connectors: notes what becomes of connections.
pub struct WatchConnector(pub Signs);

impl<In: Transport> Connector<In> for WatchConnector {
    type Out = Watched<In>;

    fn connect(&self, _: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<Self::Out>, ureq::Error> {
        self.0.0.is_new.store(true, Ordering::Relaxed);
        Ok(chained.map(|connection| Watched { connection, signs: self.0.clone() }))
    }
}

impl fmt::Debug for WatchConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WatchConnector")
    }
}

/// A connection whose signs are noted.
pub struct Watched<In> {
    connection: In,
    signs: Signs,
}

impl<In> Watched<In> {
    fn note<T>(&self, done: Result<T, ureq::Error>) -> Result<T, ureq::Error> {
        if matches!(&done, Err(ureq::Error::Io(error)) if is_end(error)) {
            self.signs.0.has_ended.store(true, Ordering::Relaxed);
        }
        done
    }
}

/// The peer, or something in its name, ended the connection; or nobody is there any more, which
/// the kernel found out.
fn is_end(error: &io::Error) -> bool {
    let is_of_the_kernel = error.raw_os_error().is_some();
    match error.kind() {
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::NotConnected
        | ErrorKind::UnexpectedEof => true,
        ErrorKind::TimedOut => is_of_the_kernel,
        _ => false,
    }
}

impl<In: Transport> Transport for Watched<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.connection.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let sent = self.connection.transmit_output(amount, timeout);
        self.note(sent)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let read = self.connection.await_input(timeout);
        let read = self.note(read)?;
        let sign = if read { &self.signs.0.is_heard } else { &self.signs.0.has_ended };
        sign.store(true, Ordering::Relaxed);
        Ok(read)
    }

    fn is_open(&mut self) -> bool {
        self.connection.is_open()
    }

    fn is_tls(&self) -> bool {
        self.connection.is_tls()
    }
}

impl<In: fmt::Debug> fmt::Debug for Watched<In> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.connection.fmt(f)
    }
}
