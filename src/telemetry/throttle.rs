//! Keeps a message that could come each second from filling the log.

use std::time::Duration;

/// Lets one message through each period and counts those that it holds back.
#[derive(Debug)]
pub struct Throttle {
    every: Duration,
    last: Option<Duration>,
    hidden: u64,
}

impl Throttle {
    /// At most one message in `every`.
    pub fn new(every: Duration) -> Throttle {
        Throttle { every, last: None, hidden: 0 }
    }

    /// Whether a message may go out at `now` (CLOCK_MONOTONIC); if so, how many were hidden before it.
    pub fn pass(&mut self, now: Duration) -> Option<u64> {
        if self.last.is_some_and(|last| now < last + self.every) {
            self.hidden += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.hidden))
    }

    /// What was wrong is over: the next message goes out at once.
    pub fn reset(&mut self) {
        self.last = None;
        self.hidden = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_a_period_that_says_how_many_it_hides() {
        let mut throttle = Throttle::new(Duration::from_secs(60));
        let at = Duration::from_secs;
        assert_eq!(throttle.pass(at(100)), Some(0));
        assert_eq!(throttle.pass(at(101)), None);
        assert_eq!(throttle.pass(at(159)), None);
        assert_eq!(throttle.pass(at(160)), Some(2));
        assert_eq!(throttle.pass(at(161)), None);
        throttle.reset();
        assert_eq!(throttle.pass(at(162)), Some(0));
    }
}
