//! The loop that talks to a destination: take, send, judge, and carry the verdict out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, never, select};

use super::backoff::Backoff;
use super::encode::Split;
use super::mailbox::Backlog;
use super::queue::{Body, Queue};
use super::transport::Transport;
use super::verdict::Verdict;
use super::worker::BodyMaker;
use crate::host::{monotonic, wall_ms};
use crate::model::Batch;
use crate::telemetry::{DestinationState, DestinationStatus, DropReason, Outcome, Throttle};

/// After stopping began, deliveries that work may go on for so long.
pub const GRACE: Duration = Duration::from_secs(5);

/// How often a destination that refuses us is asked again.
pub const HOLD: Duration = Duration::from_secs(60);

/// Which way a body came into the sender's hands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Came {
    Straight,
    ByQueue,
}

/// Sends one lane's bodies.
pub struct Sender {
    pub(super) name: String,
    pub(super) straight: Receiver<Arc<Batch>>,
    pub(super) backlog: Backlog,
    pub(super) maker: Arc<BodyMaker>,
    pub(super) queue: Arc<Queue>,
    pub(super) transport: Box<dyn Transport>,
    pub(super) split: Option<Split>,
    pub(super) status: Arc<DestinationStatus>,
    pub(super) backoff: Backoff,
    pub(super) hold: Duration,
    pub(super) throttle: Throttle,
}

impl Sender {
    pub(super) fn log_throttle() -> Throttle {
        Throttle::new(super::LOG_EVERY)
    }

    /// Runs until the queue is closed and empty, or until its grace after closing is over.
    pub fn run(mut self) {
        let mut stop_at: Option<Instant> = None;
        while let Some((body, came)) = self.next() {
            if self.queue.is_closed() {
                let stop_at = *stop_at.get_or_insert_with(|| Instant::now() + GRACE);
                if Instant::now() >= stop_at {
                    self.give_up(body.samples);
                    return;
                }
            }
            if let Err(lost) = self.deliver(body) {
                self.give_up(lost);
                return;
            }
            self.queue.settled();
            if came == Came::ByQueue {
                self.backlog.settled();
            }
        }
    }

    /// The next body, waiting for one: what is queued is older than what comes straight.
    /// None: nothing will come any more.
    fn next(&mut self) -> Option<(Body, Came)> {
        loop {
            if let Some(body) = self.queue.take() {
                return Some((body, Came::ByQueue));
            }
            select! {
                recv(self.straight) -> batch => match batch {
                    Ok(batch) => {
                        if let Some(body) = self.maker.make(&batch) {
                            self.queue.hold(&body);
                            return Some((body, Came::Straight));
                        }
                    }
                    // A closed channel is always ready: from here on the queue's end counts.
                    Err(_) => self.straight = never(),
                },
                recv(self.queue.changed()) -> changed => if changed.is_err() {
                    // Closed. What was pushed before that is seen by now.
                    return self.queue.take().map(|body| (body, Came::ByQueue));
                },
            }
        }
    }

    /// Sends `body`, in halves if need be, until it is settled. The error is the number of
    /// samples that were still unsettled when stopping cut it short.
    fn deliver(&mut self, body: Body) -> Result<(), u64> {
        // The parts still to be sent, the next one last.
        let mut parts = vec![body];
        while let Some(part) = parts.pop() {
            let answer = self.transport.send(&part.bytes);
            let pause = match answer.verdict() {
                Verdict::Delivered => {
                    self.delivered(&part);
                    continue;
                }
                Verdict::Halve => match self.split.and_then(|split| split(&part.bytes)) {
                    Some([left, right]) => {
                        log::info!(
                            "destination {}: {} bytes are too many for it; sending them in halves",
                            self.name,
                            part.bytes.len()
                        );
                        for half in [right, left] {
                            parts.push(Body { bytes: half.bytes, samples: half.samples, time_ms: part.time_ms });
                        }
                        continue;
                    }
                    None => {
                        self.reject(&part, answer.describe());
                        continue;
                    }
                },
                Verdict::Reject => {
                    self.reject(&part, answer.describe());
                    continue;
                }
                Verdict::Retry(asked) => {
                    let pause = self.backoff.next().max(asked.unwrap_or_default());
                    self.failed(Outcome::Retried, DestinationState::Retrying, answer.describe(), pause);
                    pause
                }
                Verdict::Hold => {
                    let pause = self.hold;
                    self.failed(Outcome::Held, DestinationState::Held, answer.describe(), pause);
                    pause
                }
            };
            parts.push(part);
            if self.queue.closed_within(pause) {
                return Err(parts.iter().map(|part| part.samples).sum());
            }
        }
        Ok(())
    }

    fn delivered(&mut self, part: &Body) {
        self.backoff.reset();
        let (state, _) = self.status.state();
        if matches!(state, DestinationState::Retrying | DestinationState::Held) {
            log::info!(
                "destination {}: delivers again; {} requests wait",
                self.name,
                self.status.queue_frames().saturating_sub(1)
            );
            self.throttle.reset();
        }
        self.status.delivered(part.samples, part.bytes.len() as u64, wall_ms());
    }

    fn failed(&mut self, outcome: Outcome, state: DestinationState, why: String, pause: Duration) {
        if let Some(hidden) = self.throttle.pass(monotonic()) {
            let word = if state == DestinationState::Held { "refuses" } else { "failed" };
            log::warn!(
                "destination {}: {word}: {why}; everything is kept ({} bytes wait), trying again in {pause:.1?}{}",
                self.name,
                self.status.queue_bytes(),
                hidden_note(hidden),
            );
        }
        self.status.failed(outcome, state, why);
    }

    fn reject(&mut self, part: &Body, why: String) {
        if let Some(hidden) = self.throttle.pass(monotonic()) {
            log::error!(
                "destination {}: will never take this request: {why}; its {} samples are dropped{}",
                self.name,
                part.samples,
                hidden_note(hidden),
            );
        }
        self.status.dropped(DropReason::Rejected, part.samples);
        self.status.failed(Outcome::Rejected, DestinationState::Retrying, why);
    }

    /// Stopping: what is not delivered by now is lost, and said to be.
    fn give_up(&self, in_hand: u64) {
        self.status.dropped(DropReason::Shutdown, in_hand);
        let lost = in_hand + self.queue.abandon(DropReason::Shutdown);
        log::warn!("destination {}: stopping with {lost} samples undelivered; they are lost", self.name);
    }
}

fn hidden_note(hidden: u64) -> String {
    if hidden == 0 { String::new() } else { format!(" ({hidden} more like this since the last such line)") }
}
