//! The loop that talks to a destination: take, send, judge, and carry the verdict out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, never, select};

use super::Rest;
use super::learned::Learned;
use super::losses::lose;
use super::parts::{Part as BodyPart, Parts};
use super::queue::{Bell, Body, Fate, Held, Queue};
use super::route::Route;
use super::start::{Part, Start};
use super::verdict::{Answer, Verdict};
use super::worker::BodyMaker;
use crate::formats::Piece;
use crate::host::{monotonic, wall_ms};
use crate::model::Batch;
use crate::telemetry::{Causes, DestinationState, DestinationStatus, DropReason, Outcome};

/// After stopping began, deliveries that work may go on for so long.
pub const GRACE: Duration = Duration::from_secs(5);

/// How often a destination that refuses us is asked again.
pub const HOLD: Duration = Duration::from_secs(60);

/// Sends one lane's bodies.
pub struct Sender {
    pub(super) name: String,
    pub(super) straight: Receiver<Arc<Batch>>,
    pub(super) maker: Arc<BodyMaker>,
    pub(super) queue: Arc<Queue>,
    pub(super) learned: Arc<Learned>,
    pub(super) bell: Arc<Bell>,
    pub(super) start: Start,
    /// Closed when the last of a lane's senders has ended.
    pub(super) _alive: crossbeam_channel::Sender<()>,
    pub(super) route: Route,
    pub(super) updated: Receiver<Route>,
    pub(super) status: Arc<DestinationStatus>,
    pub(super) hold: Duration,
    /// Of all senders of the destination: what befalls it befalls each of them.
    pub(super) throttle: Arc<Mutex<Causes>>,
    /// The next request is not before this: the last one failed.
    pub(super) resumes: Option<Instant>,
    /// Stopping has cut a pause short already.
    pub(super) last_chance_taken: bool,
}

/// How the wait for a request's turn ended.
enum Turn {
    /// It can be sent.
    Send,
    /// It has waited for longer than it may.
    Expired,
    /// The spool has dropped it.
    Dropped,
    /// Stopping, and it has had its last chance; or others send it.
    Over,
}

impl Sender {
    pub(super) fn log_throttle() -> Arc<Mutex<Causes>> {
        Arc::new(Mutex::new(Causes::new(super::LOG_EVERY)))
    }

    fn throttle(&self) -> MutexGuard<'_, Causes> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a line about `cause` is due; if so, how many it stands for besides.
    fn pass(&self, cause: &str) -> Option<u64> {
        self.throttle().pass(cause, monotonic())
    }

    /// Runs until the queue is closed and empty, or until its grace after closing is over.
    pub fn run(mut self) {
        if !self.start.wait(Part::Sender) {
            return;
        }
        // Also when this panics: the last one out sees to what is left.
        struct Leave(Arc<Queue>, Arc<Bell>, String);
        impl Drop for Leave {
            fn drop(&mut self) {
                if self.1.leave() {
                    end(&self.0, &self.2);
                }
            }
        }
        let _leave = Leave(Arc::clone(&self.queue), Arc::clone(&self.bell), self.name.clone());
        self.queue.revive();
        self.queue.wait_open();
        while let Some(held) = self.next() {
            // From the word to stop on, however long a request takes that is under way by then.
            let stop_at = self.bell.closed_at().map(|closed| closed + GRACE);
            if stop_at.is_some_and(|stop_at| Instant::now() >= stop_at) {
                self.queue.give_back(&held);
                return;
            }
            let begun = Instant::now();
            if !self.deliver(&held) {
                self.queue.give_back(&held);
                return;
            }
            if self.queue.settled(&held) {
                self.maker.wake_keeper();
            }
            if let (true, Some(rate)) = (held.queued, self.route.drain_rate) {
                self.pace(Duration::from_secs_f64(1.0 / rate).saturating_sub(begun.elapsed()), stop_at);
            }
        }
    }

    /// Rests between two bodies that waited, also while stopping, within the grace.
    fn pace(&self, rest: Duration, stop_at: Option<Instant>) {
        if self.bell.closed_within(rest) && !self.bell.is_handed_over() {
            let left = stop_at.map_or(GRACE, |stop_at| stop_at.saturating_duration_since(Instant::now()));
            std::thread::sleep(rest.min(left));
        }
    }

    /// The next body, waiting for one: what is queued is older than what comes straight.
    /// None: nothing will come any more.
    fn next(&mut self) -> Option<Held> {
        loop {
            if self.bell.is_handed_over() {
                return None;
            }
            if let Some(held) = self.queue.take(wall_ms()) {
                return Some(held);
            }
            select! {
                recv(self.straight) -> batch => match batch {
                    Ok(batch) => {
                        let mut bodies = self.maker.make(&batch).into_iter();
                        if let Some(first) = bodies.next() {
                            let held = self.queue.hold(first);
                            bodies.for_each(|body| self.queue.push(body));
                            return Some(held);
                        }
                    }
                    // A closed channel is always ready: from here on the queue's end counts.
                    Err(_) => self.straight = never(),
                },
                recv(self.bell.heard()) -> heard => if heard.is_err() && !self.bell.is_handed_over() {
                    // Closed. What was pushed before that is seen by now.
                    return self.queue.take(wall_ms());
                },
            }
        }
    }

    /// Sends `body`, in parts if need be, until it is settled; false where stopping cut that short.
    fn deliver(&mut self, held: &Held) -> bool {
        let mut parts = Parts::new(&held.body);
        while let Some(mut part) = parts.next() {
            match self.turn(held) {
                Turn::Send => {}
                Turn::Expired => {
                    lose(&self.status, DropReason::Expired, part.body.samples);
                    continue;
                }
                // The queue counts it.
                Turn::Dropped => return true,
                Turn::Over => return false,
            }
            if let Some(route) = self.updated.try_iter().last() {
                self.route = route;
            }
            if self.make_fit(&mut part, &mut parts) {
                continue;
            }
            let body = &part.body;
            let answer = self.route.transport.send(&body.content, &body.bytes);
            match answer.verdict() {
                Verdict::Delivered => {
                    self.delivered(body, &answer);
                    continue;
                }
                Verdict::Divide => {
                    match self.divided(&part, body.samples.div_ceil(2)) {
                        Some(bodies) => {
                            log::debug!(
                                "destination {}: {} bytes are too many for it; sending them in parts",
                                self.name,
                                body.bytes.len()
                            );
                            parts.was_too_large(&mut part);
                            parts.put_divided(&part, bodies);
                        }
                        None => {
                            parts.was_too_large_alone(&part);
                            self.reject(body, &answer);
                            // It may be one huge label, or a limit that nothing passes: then all
                            // that waits would go to and fro in single samples.
                            self.pause(None);
                        }
                    }
                    continue;
                }
                Verdict::FallBack => {
                    match self.older(body, &answer) {
                        Some(older) => {
                            part.body = Arc::new(older);
                            parts.put_back(part);
                        }
                        None => self.reject(body, &answer),
                    }
                    continue;
                }
                Verdict::Reject => {
                    self.reject(body, &answer);
                    continue;
                }
                Verdict::Retry(asked) => {
                    let pause = self.pause(asked);
                    self.failed(Outcome::Retried, DestinationState::Retrying, answer.describe(), pause);
                }
                Verdict::Hold => {
                    self.resumes = Some(Instant::now() + self.hold);
                    self.failed(Outcome::Held, DestinationState::Held, answer.describe(), self.hold);
                }
            }
            parts.put_back(part);
        }
        if let Some(most) = parts.most() {
            self.learned.at_most(most, monotonic());
            log::debug!("destination {}: takes {most} samples in a request; sending no more from now on", self.name);
        }
        true
    }

    /// Makes of `part` what its receiver takes, by what is known of it, before a request is spent
    /// on it: one of the older format, or smaller ones. True where it was divided into these.
    fn make_fit(&self, part: &mut BodyPart, parts: &mut Parts) -> bool {
        if self.learned.takes_older() {
            if let Some(older) = self.downgraded(&part.body) {
                part.body = Arc::new(older);
            }
        }
        let (samples, bytes) = (part.body.samples, part.body.bytes.len());
        let most = self.learned.most(monotonic()).min(parts.most().unwrap_or(u64::MAX));
        let most = match bytes > self.route.format.limits.bytes {
            true => most.min(samples.div_ceil(2)),
            false => most,
        };
        // One that cannot be divided is sent as it is: its receiver decides.
        let bodies = if samples > most { self.divided(part, most) } else { None };
        bodies.map(|bodies| parts.put_divided(part, bodies)).is_some()
    }

    /// The bodies, of `most` samples at most, that `part` is divided into.
    fn divided(&self, part: &BodyPart, most: u64) -> Option<impl DoubleEndedIterator<Item = Body> + use<>> {
        let divide = self.route.format.divide?;
        let Body { content, time_ms, bytes, .. } = &*part.body;
        let pieces = divide(content, bytes, most)?;
        let (content, time_ms) = (Arc::clone(content), *time_ms);
        let body = move |Piece { bytes, samples }| Body { bytes, samples, time_ms, content: Arc::clone(&content) };
        Some(pieces.into_iter().map(body))
    }

    /// The same body in the older format, if it is not of that already.
    fn downgraded(&self, body: &Body) -> Option<Body> {
        let downgrade = self.route.format.downgrade?;
        let (content, bytes) = downgrade(&body.content, &body.bytes)?;
        Some(Body { bytes, content, ..*body })
    }

    /// The receiver does not take the format of `body`: what to send instead, if anything.
    fn older(&self, body: &Body, answer: &Answer) -> Option<Body> {
        let now = monotonic();
        let Some(older) = self.downgraded(body) else {
            // One answer without a word about what was written, from a proxy perhaps, may have been
            // all that spoke against the newer format.
            if self.learned.refused_older(now) {
                log::warn!(
                    "destination {}: {}; it does not take the older format either, so the newer one is sent again",
                    self.name,
                    answer.describe()
                );
            }
            return None;
        };
        let (is_sent, is_news) = self.learned.refused_newer(now);
        if is_news {
            log::warn!("destination {}: {}; sending the older format from now on", self.name, answer.describe());
        }
        is_sent.then_some(older)
    }

    /// No request for a while, or for as long as the peer has `asked` for, if that is longer.
    fn pause(&mut self, asked: Option<Duration>) -> Duration {
        let pause = self.route.backoff.next().max(asked.unwrap_or_default());
        self.resumes = Some(Instant::now() + pause);
        pause
    }

    /// Waits until `held` can be sent. A pause goes on behind a body that is lost in it.
    fn turn(&mut self, held: &Held) -> Turn {
        loop {
            if self.bell.is_handed_over() {
                return Turn::Over;
            }
            match self.queue.fate(held, wall_ms()) {
                Fate::Wanted => {}
                Fate::Expired => return Turn::Expired,
                Fate::Dropped => return Turn::Dropped,
            }
            let Some(resumes) = self.resumes else { return Turn::Send };
            match super::rest(&self.bell, &self.updated, &mut *self.route.transport, resumes) {
                Rest::Pushed => continue,
                Rest::Over => {}
                Rest::Stopping if self.bell.is_handed_over() => continue,
                // One more attempt, for a destination that has just come back.
                Rest::Stopping if std::mem::replace(&mut self.last_chance_taken, true) => return Turn::Over,
                Rest::Stopping => {}
            }
            self.resumes = None;
        }
    }

    fn delivered(&mut self, part: &Body, answer: &Answer) {
        self.route.backoff.reset();
        let (state, _) = self.status.state();
        if matches!(state, DestinationState::Retrying | DestinationState::Held) {
            log::info!(
                "destination {}: delivers again; {} requests wait",
                self.name,
                self.status.queue_frames().saturating_sub(1)
            );
            self.throttle().reset();
        }
        let written = answer.written(part.samples);
        self.status.delivered(written, part.bytes.len() as u64, wall_ms());
        let refused = part.samples - written;
        if refused > 0 {
            lose(&self.status, DropReason::Refused, refused);
            if let Some(hidden) = self.pass("took a part") {
                log::warn!(
                    "destination {}: took a request but wrote {written} of its {} samples; the others are lost{}",
                    self.name,
                    part.samples,
                    hidden_note(hidden),
                );
            }
        }
    }

    fn failed(&mut self, outcome: Outcome, state: DestinationState, why: String, pause: Duration) {
        if let Some(hidden) = self.pass(&why) {
            let word = if state == DestinationState::Held { "refuses" } else { "failed" };
            log::warn!(
                "destination {}: {word}: {why}; what waits is kept ({} bytes), trying again in {pause:.1?}{}",
                self.name,
                self.status.queue_bytes(),
                hidden_note(hidden),
            );
        }
        self.status.failed(outcome, state, why);
    }

    fn reject(&mut self, part: &Body, answer: &Answer) {
        let (why, written) = (answer.describe(), answer.written(part.samples));
        let lost = part.samples - written;
        if let Some(hidden) = self.pass(&why) {
            log::error!(
                "destination {}: will never take this request: {why}; {lost} of its {} samples are dropped{}",
                self.name,
                part.samples,
                hidden_note(hidden),
            );
        }
        lose(&self.status, DropReason::Rejected, lost);
        self.status.delivered_in_part(written);
        // It answers, and nothing is tried again; the error stays until something is delivered.
        self.status.failed(Outcome::Rejected, DestinationState::Ok, format!("dropped what it was sent: {why}"));
    }
}

/// Stopping: what is undelivered is put by, or lost and said to be.
pub(super) fn end(queue: &Queue, name: &str) {
    let abandoned = queue.abandoned();
    match (queue.end(), abandoned) {
        ((0, 0), _) => {}
        ((lost, kept @ 1..), Some(dir)) => {
            if lost > 0 {
                log::warn!("destination {name}: {lost} samples are undelivered and lost");
            }
            log::warn!(
                "destination {name}: {kept} samples are undelivered and stay in {}, from where nobody sends them; \
                 bring the destination back to send them, or remove the directory",
                dir.display()
            );
        }
        ((0, kept), _) => {
            log::info!("destination {name}: {kept} samples are undelivered; they wait on disk for the next start")
        }
        ((lost, 0), _) => log::warn!("destination {name}: {lost} samples are undelivered and lost"),
        ((lost, kept), None) => {
            log::warn!(
                "destination {name}: {lost} samples are undelivered and lost; {kept} more wait on disk for the next start"
            );
        }
    }
}

fn hidden_note(hidden: u64) -> String {
    if hidden == 0 { String::new() } else { format!(" ({hidden} more since the last such line)") }
}
