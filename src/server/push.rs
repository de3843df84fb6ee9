//! Pushes: what applications send us, and whom it goes to.
//!
//! The server takes a body and hands it over; what it means, and whether it is taken, is
//! another's to say, who need not know before data has come to rest:
//!
//! ```text
//! guard: head, body -> Intake::take(push, ticket) -> ... -> ticket.answer(response) -> guard: write
//! ```
//!
//! The guard goes on with its other clients meanwhile. A connection that waits for its answer
//! takes one of few places and nothing else.

use std::fmt;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};

use super::answer::Response;
use super::body::{Bytes, Encoding};
use crate::telemetry::PushKind;

/// Where a push of that kind is sent to.
pub(super) fn path_of(kind: PushKind) -> &'static str {
    match kind {
        PushKind::Text => "/api/v1/push",
        PushKind::OtlpMetrics => "/v1/metrics",
        PushKind::OtlpLogs => "/v1/logs",
    }
}

/// A push whose body has come in whole. It counts against what all bodies together may take
/// for as long as it is there.
#[derive(Debug)]
pub struct Push {
    /// Where it was sent to.
    pub kind: PushKind,
    /// What stands behind the path's `?`, not decoded; empty where there is none.
    pub query: String,
    /// The `Content-Type` field; empty where there is none.
    pub content_type: String,
    /// How the body is packed. Whoever unpacks it has to bound what comes out.
    pub encoding: Encoding,
    /// The body as it came over the wire, at most [`Pushes::max_bytes`] long.
    pub body: Bytes,
}

/// Who takes pushes.
///
/// An answer may be given at once or much later, from any thread: data rests where a lane has
/// it, and whoever waits for the lanes' receipts keeps the ticket until they have come.
///
/// ```ignore
/// // Taken: every lane has it acknowledged or on disk.
/// ticket.answer(Response::page(200, "application/json", "{}"));
/// // It never will be: the pusher must not send it again as it is.
/// ticket.answer(Response::text(400, "line 3: expected a number"));
/// // Not now: a lane lost it for want of room or time, and the pusher may try again.
/// ticket.answer(Response::unavailable("destination x has no room"));
/// ```
pub trait Intake: Send + Sync {
    /// Whether it takes this kind. What it does not take is not there: 404.
    fn takes(&self, kind: PushKind) -> bool;

    /// Takes a push over, with the ticket for its answer. Called by the thread that serves
    /// all clients, so it must not wait for anything: it hands both on, or answers at once.
    fn take(&self, push: Push, ticket: Ticket);

    /// The server has turned one away by itself, with this status and these words: it was too large,
    /// or came when there was no room. To be counted; must not wait either.
    fn turned_away(&self, kind: PushKind, status: u16, why: &str);
}

/// Who takes pushes, and how large one may be.
#[derive(Clone)]
pub struct Pushes {
    /// Who takes them.
    pub intake: Arc<dyn Intake>,
    /// Bytes of a body as it comes over the wire; 413 above. All bodies together take at
    /// most twice as much.
    pub max_bytes: usize,
}

impl fmt::Debug for Pushes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pushes").field("max_bytes", &self.max_bytes).finish_non_exhaustive()
    }
}

/// The right, and the duty, to answer one push. One that is dropped without an answer answers
/// 503: its pusher tries again, and nobody waits for ever.
#[derive(Debug)]
pub struct Ticket {
    id: u64,
    answers: Arc<Answers>,
    is_answered: bool,
}

impl Ticket {
    pub(super) fn new(id: u64, answers: &Arc<Answers>) -> Ticket {
        Ticket { id, answers: Arc::clone(answers), is_answered: false }
    }

    /// Answers. Never blocks. Where the pusher has gone, or has waited for too long, nobody
    /// hears it.
    pub fn answer(mut self, answer: Response) {
        self.is_answered = true;
        self.answers.put(self.id, answer);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.is_answered {
            self.answers.put(self.id, Response::unavailable("the push was lost before it was taken; try again"));
        }
    }
}

/// Answers on their way to the guard's thread.
#[derive(Debug)]
pub(super) struct Answers {
    given: Mutex<Vec<(u64, Response)>>,
    /// The guard's thread wakes when there is something to read at its other end.
    wake: UnixStream,
}

impl Answers {
    /// `wake` does not block.
    pub(super) fn new(wake: UnixStream) -> Answers {
        Answers { given: Mutex::default(), wake }
    }

    fn put(&self, id: u64, answer: Response) {
        self.given.lock().unwrap_or_else(PoisonError::into_inner).push((id, answer));
        // Where it is full the guard has enough to wake for, and where it is closed it is gone.
        let _ = (&self.wake).write(&[0]);
    }

    /// What was answered since the last time, by ticket.
    pub(super) fn take(&self) -> Vec<(u64, Response)> {
        std::mem::take(&mut *self.given.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The guard is to stop: its end says so.
    pub(super) fn close(&self) {
        let _ = self.wake.shutdown(std::net::Shutdown::Both);
    }
}
