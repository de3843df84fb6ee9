//! One client's connection: its head is read, its answer written, and no step ever blocks.
//!
//! ```text
//! Reading --head complete--> Waiting --answer--> Writing --sent--> Lingering --> Closed
//!    |\-------- refused: 400, 408, 431, 505 -------^                 ^
//!    \-- TLS failed: its alert is sent ------------------------------/
//! ```
//!
//! The handshake of TLS is a part of Reading: whoever has not finished it has sent no head,
//! and is bound by the same deadline.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::poll::PollFlags;
use rustls::InvalidMessage;

use super::answer;
use super::answer::Response;
use super::head::{self, Head, MAX_HEAD_BYTES, Request};
use super::stream::{Failure, Stage, Stream};

/// From accept to a complete head, a handshake included. A client that is there sends it in
/// one packet, or in three.
const HEAD_TIME: Duration = Duration::from_secs(5);

/// Wait for one of the few heavy answers to be through.
const WAIT_TIME: Duration = Duration::from_secs(5);

/// Writing without any progress: nobody reads.
const STALL_TIME: Duration = Duration::from_secs(10);

/// An answer in all: who reads a byte now and then gets no further.
const WRITE_TIME: Duration = Duration::from_secs(30);

/// After this without progress, an answer gives way to those who wait.
pub(super) const YIELD_TIME: Duration = Duration::from_secs(1);

/// What a client may still send after its answer, in time and bytes, before the
/// connection is cut: closing over unread bytes resets it, and the reset can overtake
/// the answer.
const LINGER_TIME: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 64 << 10;

/// What a fresh connection is left in peace for, however many wait behind it: its request
/// may come a moment later than itself. Short, because nobody else is taken in meanwhile:
/// 64 connections each 15 ms empty the 4,096 that the kernel keeps waiting within a second.
/// With TLS a request comes two messages later than the connection, so each step of a
/// handshake that was taken gives it this time again.
const CHANCE: Duration = Duration::from_millis(15);

/// One client.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    pub(super) peer: IpAddr,
    /// When the present state began.
    since: Duration,
    state: State,
    /// Whether the client may send more than its head.
    more: bool,
    /// Why its TLS failed, until somebody asks.
    failure: Option<rustls::Error>,
}

#[derive(Debug)]
enum State {
    /// `step`: when its handshake last took a step.
    Reading {
        head: Vec<u8>,
        step: Duration,
    },
    Waiting(Request),
    Writing {
        answer: Vec<u8>,
        sent: usize,
        progress: Duration,
        heavy: bool,
    },
    Lingering {
        budget: usize,
    },
    Closed,
}

/// What makes room first: the lowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// Answered already.
    Done,
    /// Has not sent its head.
    Idle,
    /// Does not read its answer.
    Stalled,
}

impl Connection {
    /// A client at `peer` has come.
    pub(super) fn new(stream: Stream, peer: IpAddr, now: Duration) -> Connection {
        let state = State::Reading { head: Vec::new(), step: now };
        Connection { stream, peer, since: now, state, more: false, failure: None }
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// The request that waits for its answer.
    pub(super) fn waiting(&self) -> Option<&Request> {
        match &self.state {
            State::Waiting(request) => Some(request),
            _ => None,
        }
    }

    /// A heavy answer is under way: the time of its last progress.
    pub(super) fn heavy_progress(&self) -> Option<Duration> {
        match self.state {
            State::Writing { heavy: true, progress, .. } => Some(progress),
            _ => None,
        }
    }

    pub(super) fn since(&self) -> Duration {
        self.since
    }

    pub(super) fn close(&mut self) {
        self.state = State::Closed;
    }

    /// Why its TLS failed, once.
    pub(super) fn take_failure(&mut self) -> Option<rustls::Error> {
        self.failure.take()
    }

    /// What to poll for. A connection that waits is still told of its client's end.
    pub(super) fn interest(&self) -> PollFlags {
        match self.state {
            State::Reading { .. } if self.stream.wants_write() => PollFlags::POLLIN | PollFlags::POLLOUT,
            State::Reading { .. } | State::Lingering { .. } => PollFlags::POLLIN,
            State::Writing { .. } => PollFlags::POLLOUT,
            State::Waiting(_) | State::Closed => PollFlags::empty(),
        }
    }

    /// When something has to happen without the client's doing.
    pub(super) fn deadline(&self) -> Duration {
        match self.state {
            State::Reading { .. } => self.since + HEAD_TIME,
            State::Waiting(_) => self.since + WAIT_TIME,
            State::Writing { progress, .. } => (progress + STALL_TIME).min(self.since + WRITE_TIME),
            State::Lingering { .. } => self.since + LINGER_TIME,
            State::Closed => Duration::ZERO,
        }
    }

    /// From when on it may be closed to make room, and how readily.
    pub(super) fn evictable(&self) -> Option<(Rank, Duration)> {
        match self.state {
            State::Lingering { .. } => Some((Rank::Done, self.since)),
            State::Reading { step, .. } => Some((Rank::Idle, step + CHANCE)),
            State::Writing { progress, .. } => Some((Rank::Stalled, progress + YIELD_TIME)),
            State::Waiting(_) | State::Closed => None,
        }
    }

    /// Takes the next step that `events` allow. `scratch` holds a whole head.
    pub(super) fn ready(&mut self, events: PollFlags, scratch: &mut [u8; MAX_HEAD_BYTES], now: Duration) {
        match self.state {
            State::Reading { .. } => {
                if events.contains(PollFlags::POLLOUT) && self.stream.flush().is_err() {
                    return self.close();
                }
                if events != PollFlags::POLLOUT {
                    self.read_head(scratch, now);
                }
            }
            State::Writing { .. } => self.write(now),
            State::Lingering { .. } => self.drain(scratch),
            State::Waiting(_) if !events.is_empty() => self.close(),
            State::Waiting(_) | State::Closed => {}
        }
    }

    /// The deadline has passed.
    pub(super) fn expire(&mut self, now: Duration) {
        match self.state {
            // Nothing can be said to it.
            State::Reading { .. } if self.stream.stage() < Stage::Open => self.close(),
            State::Reading { .. } => self.refuse(&Response::text(408, "no complete request within 5 seconds"), now),
            State::Waiting(_) => self.refuse(&Response::text(503, "too many requests are under way; try again"), now),
            State::Writing { .. } | State::Lingering { .. } | State::Closed => self.close(),
        }
    }

    /// Begins to write the answer of the request that waits; `heavy` if it is one of the few.
    pub(super) fn answer(&mut self, answer: Vec<u8>, heavy: bool, now: Duration) {
        self.state = State::Writing { answer, sent: 0, progress: now, heavy };
        self.since = now;
        self.write(now);
    }

    /// Answers what is no request; what else the client sends is not looked at.
    fn refuse(&mut self, response: &Response, now: Duration) {
        self.more = true;
        self.answer(answer::bytes(response, false), false, now);
    }

    fn read_head(&mut self, scratch: &mut [u8; MAX_HEAD_BYTES], now: Duration) {
        let State::Reading { head, step } = &mut self.state else { return };
        let room = MAX_HEAD_BYTES - head.len();
        let stage = self.stream.stage();
        let read = self.stream.read(&mut scratch[..room]);
        if self.stream.stage() > stage {
            *step = now;
        }
        let new = match read {
            Ok(0) if head.is_empty() => return self.close(),
            Ok(0) => return self.refuse(&Response::text(400, "the request ended before its head did"), now),
            Ok(length) => &scratch[..length],
            Err(Failure::NotYet) => return,
            Err(Failure::Gone) => return self.close(),
            Err(Failure::NotTls) => {
                // As TLS itself would call it.
                self.failure = Some(InvalidMessage::InvalidContentType.into());
                return self.refuse(&Response::text(400, "this port speaks TLS; write https://"), now);
            }
            Err(Failure::Tls(error)) => {
                self.failure = Some(error);
                // Closing at once could cost the client the alert that tells it why.
                self.more = true;
                return self.finish(now);
            }
        };
        // A head ends with a line's end, so only such bytes are worth a look at the whole,
        // or a client could have us parse 8 KiB for each byte it sends. The first ones are
        // looked at in any case, so that what is no HTTP is told so at once.
        let look = head.is_empty() || new.len() == room || new.contains(&b'\n');
        head.extend_from_slice(new);
        if !look {
            return;
        }
        match head::parse(head) {
            Head::Partial => {}
            Head::Complete(request, more) => {
                self.more = more;
                self.since = now;
                self.state = State::Waiting(request);
            }
            Head::Refused(response) => self.refuse(&response, now),
        }
    }

    /// One write a turn: others want theirs, too.
    fn write(&mut self, now: Duration) {
        let State::Writing { answer, sent, progress, .. } = &mut self.state else { return };
        match self.stream.write(&answer[*sent..]) {
            Ok(written) => {
                *sent += written.taken;
                if written.moved {
                    *progress = now;
                }
                if *sent == answer.len() && written.flushed {
                    self.finish(now);
                }
            }
            Err(error) => self.failed(&error),
        }
    }

    /// All is sent. Who may be sending still is listened to for a moment.
    fn finish(&mut self, now: Duration) {
        if self.stream.shutdown().is_err() {
            return self.close();
        }
        self.since = now;
        self.state = State::Lingering { budget: LINGER_BYTES };
        self.drain(&mut [0; 1024]);
        if !self.more {
            self.close();
        }
    }

    /// Reads and forgets.
    fn drain(&mut self, scratch: &mut [u8]) {
        let State::Lingering { budget } = &mut self.state else { return };
        match self.stream.discard(scratch) {
            Ok(0) => self.close(),
            Ok(length) => {
                // It does send more than a request.
                self.more = true;
                *budget = budget.saturating_sub(length);
                if *budget == 0 {
                    self.close();
                }
            }
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&mut self, error: &io::Error) {
        if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) {
            self.close();
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
