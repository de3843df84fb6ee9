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

    /// What was wrong is over: the next message goes out at once. Whether there was anything.
    pub fn reset(&mut self) -> bool {
        self.hidden = 0;
        self.last.take().is_some()
    }
}

/// Causes that are told apart at a time; so many lines a period at most.
const MAX_CAUSES: usize = 4;

/// How much of a cause is looked at.
const MAX_KIND: usize = 256;

/// Throttles messages by their cause: one that was not seen yet goes out at once.
#[derive(Debug)]
pub struct Causes {
    every: Duration,
    seen: Vec<(String, Throttle)>,
    /// Messages of causes that found no place.
    others: u64,
}

impl Causes {
    /// At most one message of a cause in `every`.
    pub fn new(every: Duration) -> Causes {
        Causes { every, seen: Vec::new(), others: 0 }
    }

    /// Whether a message about `cause` may go out at `now`; if so, how many were hidden before it.
    pub fn pass(&mut self, cause: &str, now: Duration) -> Option<u64> {
        let kind = kind(cause);
        if let Some((_, throttle)) = self.seen.iter_mut().find(|(seen, _)| *seen == kind) {
            let hidden = throttle.pass(now)?;
            return Some(hidden + std::mem::take(&mut self.others));
        }
        if self.seen.len() >= MAX_CAUSES {
            let every = self.every;
            let is_over = |throttle: &Throttle| throttle.last.is_none_or(|last| now >= last + every);
            match self.seen.iter().position(|(_, throttle)| is_over(throttle)) {
                Some(at) => self.others += self.seen.swap_remove(at).1.hidden,
                None => {
                    self.others += 1;
                    return None;
                }
            }
        }
        let mut throttle = Throttle::new(self.every);
        let hidden = throttle.pass(now)? + std::mem::take(&mut self.others);
        self.seen.push((kind, throttle));
        Some(hidden)
    }

    /// What was wrong is over: the next message goes out at once.
    pub fn reset(&mut self) {
        *self = Causes::new(self.every);
    }
}

/// A cause without what differs from one time to the next: counts, times, names of requests.
fn kind(cause: &str) -> String {
    let mut kind = String::new();
    for word in cause.split_whitespace().filter(|word| !word.bytes().any(|byte| byte.is_ascii_digit())) {
        if kind.len() + word.len() > MAX_KIND {
            break;
        }
        kind.push_str(word);
        kind.push(' ');
    }
    kind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_throttled_for_itself_and_all_of_them_together() {
        let mut causes = Causes::new(Duration::from_secs(60));
        let at = Duration::from_secs;
        assert_eq!(causes.pass("answered 500 Internal Server Error: request 17", at(100)), Some(0));
        assert_eq!(causes.pass("answered 500 Internal Server Error: request 18", at(101)), None);
        assert_eq!(causes.pass("answered 401 Unauthorized", at(102)), Some(0));
        assert_eq!(causes.pass("reset", at(103)), Some(0));
        assert_eq!(causes.pass("refused", at(104)), Some(0));
        for second in 105..110 {
            assert_eq!(causes.pass(&format!("odd {}", "x".repeat(second as usize)), at(second)), None);
        }
        assert_eq!(causes.pass("answered 500 Internal Server Error: request 19", at(160)), Some(6));
        assert_eq!(causes.pass("another", at(162)), Some(0), "in the place of one that is over");
        assert!(causes.seen.len() <= MAX_CAUSES);
        causes.reset();
        assert_eq!(causes.pass("another", at(163)), Some(0));
        assert!(kind(&"word ".repeat(1000)).len() <= MAX_KIND + 60);
    }

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
