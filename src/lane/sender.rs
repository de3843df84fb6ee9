//! The loop that talks to a destination: take, send, judge, and carry the verdict out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::Receiver;

use super::body::Body;
use super::body_maker::BodyMaker;
use super::learned::Learned;
use super::losses::{LOG_EVERY, lose};
use super::parts::{Part, Parts};
use super::queue::{Failure, InHand, Next, Queue, SenderId, Ticket};
use super::route::Route;
use super::start::{Role, Start};
use super::verdict::{Answer, Verdict};
use crate::formats::Piece;
use crate::host::{monotonic, wall_ms};
use crate::model::Parcel;
use crate::telemetry::{Causes, DestinationState, DestinationStatus, DropReason, Outcome, counted, rough_duration};

/// How often a destination that refuses us is asked again.
pub const REFUSED_PAUSE: Duration = Duration::from_secs(60);

/// Sends one lane's bodies.
pub struct Sender {
    pub(super) id: SenderId,
    pub(super) name: String,
    pub(super) maker: Arc<BodyMaker>,
    pub(super) queue: Arc<Queue>,
    pub(super) learned: Arc<Learned>,
    pub(super) start: Start,
    /// Closed when the last of a lane's senders has ended.
    pub(super) _alive: crossbeam_channel::Sender<()>,
    pub(super) route: Route,
    pub(super) updated: Receiver<Route>,
    pub(super) status: Arc<DestinationStatus>,
    pub(super) refused_pause: Duration,
    /// Of all senders of the destination: what befalls it befalls each of them.
    pub(super) said: Arc<Mutex<Said>>,
}

/// What the log has been told of a destination.
pub struct Said {
    causes: Causes,
    /// Since when it fails (CLOCK_MONOTONIC).
    failing_since: Option<Duration>,
}

impl Sender {
    /// Nothing was said yet.
    pub(super) fn nothing_said() -> Arc<Mutex<Said>> {
        Arc::new(Mutex::new(Said { causes: Causes::new(LOG_EVERY), failing_since: None }))
    }

    /// What its bodies hold.
    fn things(&self) -> &'static str {
        self.status.signal().things()
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a line about `cause` is due; if so, how many it stands for besides.
    fn pass(&self, cause: &str) -> Option<u64> {
        self.said().causes.pass(cause, monotonic())
    }

    /// Runs until the queue is closed and empty, or until its grace after closing is over.
    pub fn run(mut self) {
        if !self.start.wait(Role::Sender) {
            return;
        }
        // Also when this panics: the last one out has the queue ended.
        struct Leave(Arc<Queue>, u64);
        impl Drop for Leave {
            fn drop(&mut self) {
                self.0.leave(self.1);
            }
        }
        let _leave = Leave(Arc::clone(&self.queue), self.id.generation);
        self.queue.revive();
        loop {
            match self.queue.next(self.id) {
                Next::Encode(Parcel { payload, receipt }) => {
                    // Also when the encoder panics: nobody is to wait for these bodies.
                    let encoding = self.queue.encoding();
                    encoding.done(self.maker.make(&payload), receipt);
                }
                Next::Send(in_hand, ticket) => self.deliver(in_hand, ticket),
                Next::Look => {
                    if self.route.transport.has_new_credentials() {
                        self.queue.end_pause();
                    }
                }
                Next::Leave => return,
            }
        }
    }

    /// Sends a body, in parts if need be, and says what has become of it.
    fn deliver(&mut self, InHand { number, mut parts }: InHand, mut ticket: Ticket) {
        while let Some(mut part) = parts.next() {
            if let Some(route) = self.updated.try_iter().last() {
                self.route = route;
            }
            if self.make_fit(&mut part, &mut parts) {
                continue;
            }
            let mut answer = self.send(&part);
            let stuck = answer.is_server_error().then(|| self.queue.may_be_stuck(&part.body.bytes)).flatten();
            if stuck.is_some_and(|skip| self.takes_another(skip)) {
                // Once more: the destination may have come back between the two.
                answer = self.send(&part);
                if answer.is_server_error() {
                    self.queue.answered(ticket, true);
                    self.put_aside(&part.body, &answer);
                    continue;
                }
            }
            if !self.judge(part, &mut parts, &answer, ticket) {
                return self.queue.give_back(InHand { number, parts });
            }
            if !parts.is_empty() {
                match self.queue.go_on(self.id) {
                    Some(next) => ticket = next,
                    None => return self.queue.give_back(InHand { number, parts }),
                }
            }
        }
        if let Some(most) = parts.most() {
            self.say_learned(most);
        }
        self.queue.settled(number);
    }

    fn send(&mut self, part: &Part) -> Answer {
        let Body { content, bytes, samples, .. } = &*part.body;
        let begun = monotonic();
        let answer = self.route.transport.send(content, bytes);
        log::debug!(
            "destination {}: {} bytes ({samples} {}): {}, in {:?}",
            self.name,
            bytes.len(),
            self.things(),
            answer.describe(),
            monotonic().saturating_sub(begun)
        );
        answer
    }

    /// Whether a body behind the one in hand and the next `skip` is taken, which is delivered then. Else nothing changes
    /// for it: what it is answered says nothing here.
    fn takes_another(&mut self, skip: usize) -> bool {
        let Some(InHand { number, mut parts }) = self.queue.another(self.id, skip) else { return false };
        let mut is_taken = false;
        while let Some(mut part) = parts.next() {
            if self.make_fit(&mut part, &mut parts) {
                continue;
            }
            let answer = self.send(&part);
            is_taken = answer.verdict() == Verdict::Delivered;
            if is_taken {
                self.delivered(&part.body, &answer);
            } else {
                self.status.sent_otherwise(Outcome::Retried);
                parts.put_back(part);
            }
            break;
        }
        match parts.is_empty() {
            true => self.queue.settled(number),
            false => self.queue.give_back(InHand { number, parts }),
        }
        is_taken
    }

    /// Drops what is answered 5xx for ever while others are taken: it would hold up all that comes behind it.
    fn put_aside(&mut self, part: &Body, answer: &Answer) {
        let (why, lost) = (answer.describe(), part.samples);
        log::error!(
            "destination {}: takes other requests, and answers this one so again and again: {why}; its {lost} {} are \
             dropped, so that the others go on",
            self.name,
            self.things()
        );
        lose(&self.status, DropReason::Stuck, lost);
        self.status.failed(Outcome::Rejected, DestinationState::Ok, format!("dropped what it was sent: {why}"));
        self.queue.was_put_aside();
    }

    /// Takes up that a request may have `most` samples, and says so where that is news.
    fn say_learned(&self, most: u64) {
        if !self.learned.at_most(most, monotonic()) {
            return;
        }
        if let Some(hidden) = self.pass("takes less in a request") {
            log::warn!(
                "destination {}: answers 413 to larger requests: from now on none has more than {most} {}, whatever \
                 waits included; raise its limit for fewer requests, more is tried once an hour{}",
                self.name,
                self.things(),
                hidden_note(hidden),
            );
        }
    }

    /// Carries out what `answer` means for `part`: what is to be sent of it is in `parts` again.
    /// False where nothing is to be sent for a while.
    fn judge(&mut self, mut part: Part, parts: &mut Parts, answer: &Answer, ticket: Ticket) -> bool {
        let body = &part.body;
        match answer.verdict() {
            Verdict::Delivered => {
                self.queue.answered(ticket, true);
                self.delivered(body, answer);
            }
            Verdict::Divide => match self.divided(&part, body.samples.div_ceil(2)) {
                Some(bodies) => {
                    log::debug!(
                        "destination {}: {} bytes are too many for it; sending them in parts",
                        self.name,
                        body.bytes.len()
                    );
                    self.status.sent_otherwise(Outcome::Divided);
                    self.queue.answered(ticket, false);
                    parts.was_too_large(&mut part);
                    parts.put_divided(&part, bodies);
                }
                None => {
                    parts.was_too_large_alone(&part);
                    self.reject(body, answer);
                    // It may be one huge label, or a limit that nothing passes: then all
                    // that waits would go to and fro in single samples.
                    self.queue.failed(ticket, Failure::Retry(None));
                }
            },
            Verdict::FallBack => {
                self.queue.answered(ticket, false);
                match self.older(body, answer) {
                    Some(older) => {
                        self.status.sent_otherwise(Outcome::Downgraded);
                        part.body = Arc::new(older);
                        parts.put_back(part);
                    }
                    None => self.reject(body, answer),
                }
            }
            Verdict::Reject => {
                self.queue.answered(ticket, false);
                self.reject(body, answer);
            }
            Verdict::Retry(asked) => {
                let pause = self.queue.failed(ticket, Failure::Retry(asked));
                self.failed(Outcome::Retried, DestinationState::Retrying, answer.describe(), pause);
                parts.put_back(part);
                return false;
            }
            Verdict::Hold => {
                let pause = self.queue.failed(ticket, Failure::Refused(self.refused_pause));
                self.failed(Outcome::Held, DestinationState::Held, answer.describe(), pause);
                parts.put_back(part);
                return false;
            }
        }
        true
    }

    /// Makes of `part` what its receiver takes, by what is known of it, before a request is spent
    /// on it: one of the older format, or smaller ones. True where it was divided into these.
    fn make_fit(&self, part: &mut Part, parts: &mut Parts) -> bool {
        if self.learned.takes_older() {
            if let Some(older) = self.downgraded(&part.body) {
                part.body = Arc::new(older);
            }
        }
        let (samples, bytes) = (part.body.samples, part.body.bytes.len());
        let most = self.learned.most(monotonic()).min(parts.most().unwrap_or(u64::MAX));
        let most = match bytes > self.route.carriage.limits.bytes {
            true => most.min(samples.div_ceil(2)),
            false => most,
        };
        // One that cannot be divided is sent as it is: its receiver decides.
        let bodies = if samples > most { self.divided(part, most) } else { None };
        bodies.map(|bodies| parts.put_divided(part, bodies)).is_some()
    }

    /// The bodies, of `most` samples at most, that `part` is divided into.
    fn divided(&self, part: &Part, most: u64) -> Option<impl DoubleEndedIterator<Item = Body> + use<>> {
        let divide = self.route.carriage.divide?;
        let Body { content, time_ms, bytes, .. } = &*part.body;
        let pieces = divide(content, bytes, most)?;
        let (content, time_ms) = (Arc::clone(content), *time_ms);
        let body = move |Piece { bytes, samples }| Body { bytes, samples, time_ms, content: Arc::clone(&content) };
        Some(pieces.into_iter().map(body))
    }

    /// The same body in the older format, if it is not of that already.
    fn downgraded(&self, body: &Body) -> Option<Body> {
        let downgrade = self.route.carriage.downgrade?;
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

    fn delivered(&mut self, part: &Body, answer: &Answer) {
        self.say_delivered(part);
        let written = answer.written(part.samples);
        self.status.delivered(written, part.bytes.len() as u64, wall_ms());
        let (refused, remark) = (part.samples - written, answer.remark());
        if refused > 0 {
            lose(&self.status, DropReason::Refused, refused);
            if let Some(hidden) = self.pass("took a part") {
                log::warn!(
                    "destination {}: took a request but wrote {written} of its {} {}; the others are lost{remark}{}",
                    self.name,
                    part.samples,
                    self.things(),
                    hidden_note(hidden),
                );
            }
        } else if !remark.is_empty() {
            if let Some(hidden) = self.pass("took all with a remark") {
                log::warn!("destination {}: took a request, and remarks{remark}{}", self.name, hidden_note(hidden));
            }
        }
    }

    /// Says that the first request was delivered, or the first one after a failure.
    fn say_delivered(&self, part: &Body) {
        let failing_since = self.said().failing_since.take();
        let is_first = self.status.last_success_ms().is_none();
        // What was refused for good between others is no failure of the destination.
        let has_failed = failing_since.is_some();
        if !is_first && !has_failed {
            return;
        }
        let what = match is_first {
            true => {
                format!(
                    "delivers; the first request had {} {} in {} bytes",
                    part.samples,
                    self.things(),
                    part.bytes.len()
                )
            }
            false => "delivers again".to_owned(),
        };
        let failed = failing_since.map(|since| {
            let waiting = self.status.queue_frames().saturating_sub(1);
            format!(
                ", after failing for {}; behind it: {}",
                rough_duration(monotonic().saturating_sub(since)),
                counted(waiting, "request")
            )
        });
        let agreed = self.route.transport.agreed().map(|agreed| format!("; {agreed}"));
        log::info!("destination {}: {what}{}{}", self.name, failed.unwrap_or_default(), agreed.unwrap_or_default());
        self.said().causes.reset();
    }

    fn failed(&mut self, outcome: Outcome, state: DestinationState, why: String, pause: Duration) {
        if let Some(hidden) = self.pass(&why) {
            let word = if state == DestinationState::Held { "refuses" } else { "failed" };
            log::warn!(
                "destination {}: {word}: {why}; what waits is kept ({} bytes), trying again {}{}",
                self.name,
                self.status.queue_bytes(),
                after(pause),
                hidden_note(hidden),
            );
        }
        self.said().failing_since.get_or_insert_with(monotonic);
        self.status.failed(outcome, state, why);
    }

    fn reject(&mut self, part: &Body, answer: &Answer) {
        let (why, written) = (answer.describe(), answer.written(part.samples));
        let lost = part.samples - written;
        if let Some(hidden) = self.pass(&why) {
            log::error!(
                "destination {}: will never take this request: {why}; {lost} of its {} {} are dropped{}",
                self.name,
                part.samples,
                self.things(),
                hidden_note(hidden),
            );
        }
        lose(&self.status, DropReason::Rejected, lost);
        // It answers, and this is not tried again; the error stays until something is delivered.
        self.status.rejected(written, format!("dropped what it was sent: {why}"));
    }
}

/// When it is tried again. Jitter draws pauses of next to nothing, too.
fn after(pause: Duration) -> String {
    if pause.as_millis() == 0 { "at once".to_owned() } else { format!("in {}", rough_duration(pause)) }
}

fn hidden_note(hidden: u64) -> String {
    if hidden == 0 { String::new() } else { format!(" ({hidden} more since the last such line)") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_of_nothing_is_none() {
        for (micros, text) in [(0, "at once"), (40, "at once"), (2500, "in 2ms"), (3_600_000_000, "in 1h0m0s")] {
            assert_eq!(after(Duration::from_micros(micros)), text);
        }
    }
}
