//! Whether one body stands in the way of all others: it is answered 5xx, and answered so again. Pure.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

/// As many answers at least: a destination that restarts gives a few in a row.
const ANSWERS: u32 = 10;

/// Another body is tried no more often than this: in an outage of all, that is a request more for nothing.
const TRY_EVERY: Duration = Duration::from_secs(60);

/// Where one body was in the way, more of its kind may come: those that do within [`IS_KNOWN`] are found out this soon.
const SOON: Duration = Duration::from_secs(30);

/// For so long a destination counts as one that refuses single bodies.
const IS_KNOWN: Duration = Duration::from_secs(3600);

/// What is known of the body that is refused.
#[derive(Debug, Default)]
pub struct Stuck {
    head: Option<Head>,
    /// When one was last put aside.
    aside: Option<Instant>,
}

#[derive(Debug)]
struct Head {
    /// Tells its bytes from others: on its way to the disk and back a body has several numbers.
    print: u64,
    since: Instant,
    answers: u32,
    /// When another one was last tried.
    tried: Option<Instant>,
}

impl Stuck {
    /// `body` was answered 5xx at `now`. Whether that is so for `patience` by now, and another body is to be tried.
    pub fn refused(&mut self, body: &[u8], patience: Duration, now: Instant) -> bool {
        let print = print(body);
        let is_known = self.aside.is_some_and(|aside| now < aside + IS_KNOWN);
        let patience = if is_known { patience.min(SOON) } else { patience };
        let head = match &mut self.head {
            Some(head) if head.print == print => head,
            other => other.insert(Head { print, since: now, answers: 0, tried: None }),
        };
        head.answers = head.answers.saturating_add(1);
        let is_due = now >= head.since + patience && head.answers >= ANSWERS;
        let may_try = head.tried.is_none_or(|tried| now >= tried + TRY_EVERY.min(patience));
        if is_due && may_try {
            head.tried = Some(now);
        }
        is_due && may_try
    }

    /// It was dropped: others are taken.
    pub fn was_put_aside(&mut self, now: Instant) {
        self.head = None;
        self.aside = Some(now);
    }
}

fn print(body: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(600);

    /// At which seconds another body is tried, where `body` is refused each of `every` seconds until `end`.
    fn tries(stuck: &mut Stuck, body: &[u8], begun: Instant, every: usize, end: u64) -> Vec<u64> {
        let is_tried = |at: &u64| stuck.refused(body, PATIENCE, begun + Duration::from_secs(*at));
        (0..=end).step_by(every).filter(is_tried).collect()
    }

    #[test]
    fn another_one_is_tried_after_ten_minutes_and_then_each_minute() {
        let (mut stuck, now) = (Stuck::default(), Instant::now());
        assert_eq!(tries(&mut stuck, b"a", now, 5, 750), [600, 660, 720]);
        // Where the destination asks for long pauses, not before the tenth answer.
        assert_eq!(tries(&mut Stuck::default(), b"a", now, 300, 3600), [2700, 3000, 3300, 3600]);
        // Another body is another matter, and one that comes back from the disk is the same.
        assert_eq!(tries(&mut stuck, b"b", now, 5, 595), [0; 0]);
    }

    #[test]
    fn once_one_was_in_the_way_the_next_ones_are_found_out_sooner_for_an_hour() {
        let (mut stuck, now) = (Stuck::default(), Instant::now());
        stuck.was_put_aside(now);
        assert_eq!(tries(&mut stuck, b"a", now, 1, 65), [30, 60]);
        let later = now + IS_KNOWN;
        assert_eq!(tries(&mut stuck, b"b", later, 5, 600), [600]);
    }
}
