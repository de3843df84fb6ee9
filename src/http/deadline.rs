//! Moments by which something has to be done.

use std::time::{Duration, Instant};

use ureq::Timeout;
use ureq::unversioned::transport::{ConnectionDetails, NextTimeout, time};

/// Where no timeout is set at all (which nobody does), a day.
const NEVER: Duration = Duration::from_secs(86_400);

/// A moment by which something has to be done, and ureq's word for missing it.
pub struct Deadline {
    at: Option<Instant>,
    reason: Timeout,
}

impl Deadline {
    /// In the part `part` of a request. Where the limit of the whole is the next one to end,
    /// the error says in which part that was.
    pub fn of(timeout: NextTimeout, part: Timeout) -> Deadline {
        let at = match timeout.after {
            time::Duration::Exact(after) => Instant::now().checked_add(after),
            time::Duration::NotHappening => None,
        };
        let reason = if timeout.reason == Timeout::Global { part } else { timeout.reason };
        Deadline { at, reason }
    }

    /// What is left, never nothing.
    pub fn remaining(&self) -> Result<Duration, ureq::Error> {
        let left = self.at.map_or(NEVER, |at| at.saturating_duration_since(Instant::now()));
        if left.is_zero() { Err(ureq::Error::Timeout(self.reason)) } else { Ok(left) }
    }
}

/// The socket's timeout for a wait of `remaining`: rounded up to whole seconds where it is
/// long, so that it seldom has to be set anew. The deadline itself stays exact to that second.
pub fn coarse(remaining: Duration) -> Duration {
    if remaining > Duration::from_secs(5) {
        Duration::from_secs(remaining.as_secs() + 1)
    } else {
        remaining.max(Duration::from_millis(1))
    }
}

/// Of the time for making the connection, after what was needed of it so far.
pub fn left_for_connecting(details: &ConnectionDetails<'_>) -> NextTimeout {
    let mut timeout = details.timeout;
    if let (time::Duration::Exact(all), time::Instant::Exact(begun)) = (timeout.after, details.now) {
        timeout.after = time::Duration::Exact(all.saturating_sub(begun.elapsed()));
    }
    timeout
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_timeouts_are_whole_seconds_and_never_too_short() {
        assert_eq!(coarse(Duration::from_millis(29_998)), Duration::from_secs(30));
        assert_eq!(coarse(Duration::from_millis(29_001)), Duration::from_secs(30));
        assert_eq!(coarse(Duration::from_millis(200)), Duration::from_millis(200));
        assert_eq!(coarse(Duration::from_nanos(1)), Duration::from_millis(1));
    }
}
