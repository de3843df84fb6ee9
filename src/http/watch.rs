//! The connection of a client between two requests, and whether it was still one when the next came.
//!
//! ureq's own place for it, an agent with its pool and its configuration, takes a kilobyte, which a
//! thousand targets that are asked once in ten seconds would have for nothing: so an agent can be made for
//! each request, and the connection outlives it here.
//!
//! A server closes what idles when it likes, and its goodbye may cross our request on the way.
//! That is no failure of the server's: the request goes once more, on a new connection.

use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

/// Where a connection is while nobody uses it, and what was seen of it in one request.
#[derive(Clone, Default)]
pub struct Slot(Arc<Seen>);

#[derive(Default)]
struct Seen {
    /// It was made for this request.
    is_new: AtomicBool,
    /// Something came back.
    is_heard: AtomicBool,
    /// It ended.
    has_ended: AtomicBool,
    idle: Mutex<Option<Idle>>,
}

struct Idle {
    connection: Box<dyn Transport>,
    since: Instant,
}

impl Slot {
    /// Another request begins.
    pub fn forget(&self) {
        for sign in [&self.0.is_new, &self.0.is_heard, &self.0.has_ended] {
            sign.store(false, Ordering::Relaxed);
        }
    }

    /// Whether the request went out on a connection that had been kept, and that ended before
    /// anything of an answer came.
    pub fn was_stale(&self) -> bool {
        let Seen { is_new, is_heard, has_ended, .. } = &*self.0;
        let is = |sign: &AtomicBool| sign.load(Ordering::Relaxed);
        is(has_ended) && !is(is_new) && !is(is_heard)
    }

    /// Closes the connection, if one is kept.
    pub fn clear(&self) {
        let kept = self.idle().take();
        drop(kept);
    }

    /// The connection, if one is kept that has idled for less than `max_idle` and is still one.
    fn take(&self, max_idle: Duration) -> Option<Box<dyn Transport>> {
        let Idle { mut connection, since } = self.idle().take()?;
        (since.elapsed() < max_idle && connection.is_open()).then_some(connection)
    }

    fn keep(&self, connection: Box<dyn Transport>) {
        *self.idle() = Some(Idle { connection, since: Instant::now() });
    }

    fn idle(&self) -> MutexGuard<'_, Option<Idle>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The whole of the way: gives the connection that was kept, or one that `make` makes, and notes what
/// becomes of it.
pub struct WatchConnector<C> {
    pub make: C,
    pub slot: Slot,
    pub max_idle: Duration,
}

impl<C: Connector> Connector for WatchConnector<C> {
    type Out = Watched;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<()>) -> Result<Option<Watched>, ureq::Error> {
        let connection = match self.slot.take(self.max_idle) {
            Some(kept) => kept,
            None => {
                self.slot.0.is_new.store(true, Ordering::Relaxed);
                let Some(made) = self.make.connect(details, chained)? else { return Ok(None) };
                made.boxed()
            }
        };
        Ok(Some(Watched { connection, slot: self.slot.clone(), is_at_rest: false }))
    }
}

impl<C> fmt::Debug for WatchConnector<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WatchConnector")
    }
}

/// A connection in use, whose signs are noted.
pub struct Watched {
    connection: Box<dyn Transport>,
    slot: Slot,
    /// ureq has looked whether it is open behind an answer, which it does where another request may
    /// follow, and it was.
    is_at_rest: bool,
}

impl Watched {
    fn note<T>(&self, done: Result<T, ureq::Error>) -> Result<T, ureq::Error> {
        if matches!(&done, Err(ureq::Error::Io(error)) if is_end(error)) {
            self.slot.0.has_ended.store(true, Ordering::Relaxed);
        }
        done
    }
}

impl Drop for Watched {
    /// ureq lets go of it: it is kept for the next request, or closed.
    fn drop(&mut self) {
        if self.is_at_rest {
            self.slot.keep(std::mem::replace(&mut self.connection, ().boxed()));
        }
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

impl Transport for Watched {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.connection.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.is_at_rest = false;
        let sent = self.connection.transmit_output(amount, timeout);
        self.note(sent)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.is_at_rest = false;
        let read = self.connection.await_input(timeout);
        let read = self.note(read)?;
        let sign = if read { &self.slot.0.is_heard } else { &self.slot.0.has_ended };
        sign.store(true, Ordering::Relaxed);
        Ok(read)
    }

    fn is_open(&mut self) -> bool {
        self.is_at_rest = self.connection.is_open();
        self.is_at_rest
    }

    fn is_tls(&self) -> bool {
        self.connection.is_tls()
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.connection.fmt(f)
    }
}
