//! When a lane may send: its pauses, which count for all of its senders. Pure.

use std::time::{Duration, Instant};

use crate::lane::backoff::Backoff;
use crate::lane::settings::RetrySettings;

/// Whether a request may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It may.
    Open,
    /// Not before this.
    Until(Instant),
    /// Not before another sender's request is answered: after a pause one looks first whether
    /// the destination is back, so that it is not met by all of them at once.
    Answer,
}

/// How a failed request is to be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It is tried again after a back-off, or after what the peer has asked for, if that is longer.
    Retry(Option<Duration>),
    /// A person has to mend something: it is tried again after this.
    Refused(Duration),
}

/// Says after how many pauses a request began: what became of one from before a pause says
/// nothing of the time since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u64);

/// The pauses of one lane.
#[derive(Debug)]
pub struct Pause {
    backoff: Backoff,
    until: Option<Instant>,
    /// How many there were.
    count: u64,
    /// A request failed, and none that began after that was answered well.
    failing: bool,
    /// A request that is to find out whether the destination is back is under way.
    probing: bool,
}

impl Pause {
    /// None yet.
    pub fn new(retry: RetrySettings) -> Pause {
        Pause { backoff: Backoff::new(retry), until: None, count: 0, failing: false, probing: false }
    }

    /// Whether the destination fails, as far as is known.
    pub fn is_failing(&self) -> bool {
        self.failing
    }

    /// Whether there is a pause at `now`.
    pub fn is_on(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Whether a request may begin at `now`.
    pub fn gate(&self, now: Instant) -> Gate {
        match self.until {
            Some(until) if now < until => Gate::Until(until),
            _ if self.failing && self.probing => Gate::Answer,
            _ => Gate::Open,
        }
    }

    /// A request begins, through an open gate.
    pub fn begin(&mut self) -> Ticket {
        self.probing = self.failing;
        Ticket(self.count)
    }

    /// A request was answered by a destination that works, be it with a refusal of that request.
    /// `delivered`: it was not. Whether others may go on that could not until now.
    pub fn answered(&mut self, ticket: Ticket, delivered: bool) -> bool {
        if ticket.0 != self.count {
            return false;
        }
        if delivered {
            self.backoff.reset();
        }
        self.probing = false;
        std::mem::take(&mut self.failing)
    }

    /// A request failed at `now`: how long the pause is. One that began before the present
    /// pause makes it no longer, unless the peer asks for that.
    pub fn failed(&mut self, ticket: Ticket, failure: Failure, now: Instant) -> Duration {
        let is_first = ticket.0 == self.count;
        let pause = match failure {
            Failure::Retry(asked) => {
                let backoff = if is_first { self.backoff.next() } else { Duration::ZERO };
                backoff.max(asked.unwrap_or_default())
            }
            Failure::Refused(pause) => pause,
        };
        let asked_until = now + pause;
        if is_first {
            self.count += 1;
            self.until = Some(asked_until);
            self.failing = true;
            self.probing = false;
        } else {
            self.until = self.until.max(Some(asked_until));
        }
        self.until.map_or(pause, |until| until.saturating_duration_since(now))
    }

    /// It is over, before its time, and nobody's answer is waited for.
    pub fn lift(&mut self) {
        self.until = None;
        self.probing = false;
    }

    /// From now on pauses are as long as `retry` says.
    pub fn set_retry(&mut self, retry: RetrySettings) {
        self.backoff = Backoff::new(retry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pause() -> Pause {
        Pause::new(RetrySettings {
            min_backoff: Duration::ZERO,
            max_backoff: Duration::ZERO,
            ..RetrySettings::default()
        })
    }

    #[test]
    fn what_a_peer_asks_of_one_sender_counts_for_all() {
        let (mut pause, now) = (pause(), Instant::now());
        let [first, second] = [pause.begin(), pause.begin()];
        assert_eq!(pause.failed(first, Failure::Retry(Some(5 * SECOND)), now), 5 * SECOND);
        assert_eq!(pause.gate(now), Gate::Until(now + 5 * SECOND));
        // One that was under way is answered: neither well nor badly does that end the pause,
        assert!(!pause.answered(second, true));
        assert_eq!(pause.failed(second, Failure::Retry(None), now + SECOND), 4 * SECOND);
        // and only what the peer asks for makes it longer.
        assert_eq!(pause.failed(second, Failure::Retry(Some(9 * SECOND)), now + SECOND), 9 * SECOND);
        assert!(pause.is_on(now + 9 * SECOND) && !pause.is_on(now + 10 * SECOND));
    }

    #[test]
    fn after_a_pause_one_looks_first_whether_the_destination_is_back() {
        let (mut pause, now) = (pause(), Instant::now());
        let ticket = pause.begin();
        pause.failed(ticket, Failure::Refused(SECOND), now);
        let later = now + SECOND;
        assert_eq!(pause.gate(later), Gate::Open);
        let probe = pause.begin();
        assert_eq!(pause.gate(later), Gate::Answer);
        pause.failed(probe, Failure::Retry(None), later);
        assert_eq!(pause.gate(later), Gate::Open, "the next one looks");
        let probe = pause.begin();
        assert!(pause.answered(probe, false) && !pause.is_failing());
        let [_one, _another] = [pause.begin(), pause.begin()];
        assert_eq!(pause.gate(later), Gate::Open);
    }

    #[test]
    fn all_that_fail_at_once_fail_once() {
        let retry = RetrySettings { min_backoff: SECOND, max_backoff: 64 * SECOND, ..RetrySettings::default() };
        let (mut pause, now) = (Pause::new(retry), Instant::now());
        let tickets = [(); 16].map(|()| pause.begin());
        for ticket in tickets {
            assert!(pause.failed(ticket, Failure::Retry(None), now) <= SECOND);
        }
        let probe = pause.begin();
        assert!(pause.failed(probe, Failure::Retry(None), now + SECOND) <= 2 * SECOND);
    }
}
