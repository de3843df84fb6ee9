//! One client's connection: its head is read, its answer written, and no step ever blocks.
//!
//! ```text
//! Reading --head complete--> Waiting --answer--> Writing --sent--> Lingering --> Closed
//!    |                          \                   ^                ^
//!    |                           \-a push-> Receiving --whole--> HandedOver (its answer comes later)
//!    |\-------- refused: 400, 408, 413, 431, 505 ---^                |
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
use super::body::{Body, Encoding};
use super::head::{self, Head, MAX_HEAD_BYTES, Request};
use super::stream::{Failure, Stage, Stream};

/// From accept to a complete head, a handshake included. A client that is there sends it in
/// one packet, or in three.
const HEAD_TIME: Duration = Duration::from_secs(5);

/// Wait for one of the few heavy answers to be through.
const WAIT_TIME: Duration = Duration::from_secs(5);

/// For a body, from its head on; and one second more for each so many bytes that have come, up to a
/// limit. A byte now and then gets no further than the first, a slow line has its 64 KiB a second.
const BODY_TIME: Duration = Duration::from_secs(10);
const BODY_BYTES_A_SECOND: usize = 64 << 10;
const MAX_BODY_TIME: Duration = Duration::from_secs(60);

/// What is taken of a body before others have their turn: a fraction of a millisecond.
const TURN_BYTES: usize = 256 << 10;

/// Wait for the answer of who has taken a push over. What waits for destinations in memory alone is
/// lost after 30 s, and said so; this is for what says nothing.
const ANSWER_TIME: Duration = Duration::from_secs(45);

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
    /// To where it pushed and what it was told, where its body was refused, until somebody asks.
    turned_away: Option<(String, Response)>,
}

#[derive(Debug)]
enum State {
    /// `step`: when its handshake last took a step.
    Reading {
        head: Vec<u8>,
        step: Duration,
    },
    /// `rest`: what came behind the head.
    Waiting {
        request: Request,
        rest: Vec<u8>,
    },
    Receiving {
        request: Request,
        encoding: Encoding,
        body: Body,
        progress: Duration,
    },
    /// By the number of its ticket.
    HandedOver(u64),
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
        Connection { stream, peer, since: now, state, more: false, failure: None, turned_away: None }
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// The request that waits for its answer.
    pub(super) fn waiting(&self) -> Option<&Request> {
        match &self.state {
            State::Waiting { request, .. } => Some(request),
            _ => None,
        }
    }

    /// A push is under way: its body comes, or its answer is waited for.
    pub(super) fn is_push(&self) -> bool {
        matches!(self.state, State::Receiving { .. } | State::HandedOver(_))
    }

    /// Waits for the answer to the ticket of this number.
    pub(super) fn is_handed_over(&self, ticket: u64) -> bool {
        matches!(self.state, State::HandedOver(own) if own == ticket)
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

    /// Where its body was refused on its way: to where it pushed, and what it was told. Once.
    pub(super) fn take_turned_away(&mut self) -> Option<(String, Response)> {
        self.turned_away.take()
    }

    /// What to poll for. A connection that waits is still told of its client's end.
    pub(super) fn interest(&self) -> PollFlags {
        match self.state {
            State::Reading { .. } | State::Receiving { .. } if self.stream.wants_write() => {
                PollFlags::POLLIN | PollFlags::POLLOUT
            }
            State::Reading { .. } | State::Receiving { .. } | State::Lingering { .. } => PollFlags::POLLIN,
            State::Writing { .. } => PollFlags::POLLOUT,
            State::Waiting { .. } | State::HandedOver(_) | State::Closed => PollFlags::empty(),
        }
    }

    /// When something has to happen without the client's doing.
    pub(super) fn deadline(&self) -> Duration {
        match &self.state {
            State::Reading { .. } => self.since + HEAD_TIME,
            State::Waiting { .. } => self.since + WAIT_TIME,
            State::Receiving { body, .. } => {
                let for_bytes = Duration::from_secs((body.len() / BODY_BYTES_A_SECOND) as u64);
                self.since + (BODY_TIME + for_bytes).min(MAX_BODY_TIME)
            }
            State::HandedOver(_) => self.since + ANSWER_TIME,
            State::Writing { progress, .. } => (*progress + STALL_TIME).min(self.since + WRITE_TIME),
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
            // Others have their places all the same: of pushes there are few.
            State::Receiving { progress, .. } => Some((Rank::Stalled, progress + YIELD_TIME)),
            State::Waiting { .. } | State::HandedOver(_) | State::Closed => None,
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
            State::Receiving { .. } => {
                if events.contains(PollFlags::POLLOUT) && self.stream.flush().is_err() {
                    return self.close();
                }
                if events != PollFlags::POLLOUT {
                    self.read_body(scratch, now);
                }
            }
            State::Waiting { .. } | State::HandedOver(_) if !events.is_empty() => self.close(),
            State::Waiting { .. } | State::HandedOver(_) | State::Closed => {}
        }
    }

    /// The deadline has passed.
    pub(super) fn expire(&mut self, now: Duration) {
        match self.state {
            // Nothing can be said to it.
            State::Reading { .. } if self.stream.stage() < Stage::Open => self.close(),
            State::Reading { .. } => self.refuse(&Response::text(408, "no complete request within 5 seconds"), now),
            State::Receiving { .. } => {
                self.turn_away(Response::text(408, "the body does not come, or too slowly"), now)
            }
            State::HandedOver(_) => {
                self.refuse(&Response::unavailable("no destination has said in time that it has it"), now)
            }
            State::Waiting { .. } => {
                self.refuse(&Response::text(503, "too many requests are under way; try again"), now)
            }
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

    /// The same of a push, whose body is on its way.
    fn turn_away(&mut self, response: Response, now: Duration) {
        if let State::Receiving { request, .. } = &mut self.state {
            let path = std::mem::take(&mut request.path);
            self.refuse(&response, now);
            self.turned_away = Some((path, response));
        }
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
            Head::Complete(request, length, more) => {
                let rest = head.split_off(length);
                self.more = more;
                self.since = now;
                self.state = State::Waiting { request, rest };
            }
            Head::Refused(response) => self.refuse(&response, now),
        }
    }

    /// Takes the body of the request that waits, which is to be such a one.
    pub(super) fn receive(&mut self, mut body: Body, encoding: Encoding, now: Duration) {
        let State::Waiting { request, rest } = std::mem::replace(&mut self.state, State::Closed) else { return };
        let mut rest = &rest[..];
        let taken = body.take(&mut rest);
        // What was sent already needs no word (RFC 9110, section 10.1.1).
        let asks = taken.is_ok() && request.body.expects_continue && body.len() == 0 && !body.is_whole();
        if asks && self.stream.say(b"HTTP/1.1 100 Continue\r\n\r\n").is_err() {
            return;
        }
        self.more = !rest.is_empty();
        self.stream.expect_body();
        self.since = now;
        self.state = State::Receiving { request, encoding, body, progress: now };
        if let Err(response) = taken {
            self.turn_away(response, now);
        }
    }

    /// A body that has come in whole, with its request; from here on its answer is waited for, by the
    /// number of its ticket.
    pub(super) fn hand_over(&mut self, ticket: u64, now: Duration) -> Option<(Request, Encoding, Body)> {
        match std::mem::replace(&mut self.state, State::HandedOver(ticket)) {
            State::Receiving { request, encoding, body, .. } if body.is_whole() => {
                self.since = now;
                Some((request, encoding, body))
            }
            other => {
                self.state = other;
                None
            }
        }
    }

    fn read_body(&mut self, scratch: &mut [u8; MAX_HEAD_BYTES], now: Duration) {
        let State::Receiving { body, progress, .. } = &mut self.state else { return };
        let mut taken = 0;
        while !body.is_whole() {
            let mut new = match self.stream.read_on(scratch) {
                Ok(0) => return self.turn_away(Response::text(400, "the request ended before its body did"), now),
                Ok(length) => &scratch[..length],
                Err(Failure::NotYet) => return,
                Err(Failure::Gone | Failure::NotTls) => return self.close(),
                Err(Failure::Tls(error)) => {
                    self.failure = Some(error);
                    self.more = true;
                    return self.finish(now);
                }
            };
            taken += new.len();
            *progress = now;
            if let Err(response) = body.take(&mut new) {
                return self.turn_away(response, now);
            }
            self.more |= !new.is_empty();
            // What TLS has decrypted has to be taken, since no poll tells of it.
            if taken >= TURN_BYTES && !self.stream.has_decrypted() {
                return;
            }
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
