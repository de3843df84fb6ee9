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

/// So many bodies in a row may be refused so; the one behind them is not tried. Whatever is tried and taken overtakes
/// those in front of it.
const IN_A_ROW: usize = 16;

/// What is known of the body that is refused.
#[derive(Debug, Default)]
pub struct Stuck {
    head: Option<Head>,
    /// How many of those behind it are refused as well, as far as was tried: the one behind these is the next to try.
    skip: usize,
    /// The one that was tried last.
    tried: usize,
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
    /// `body` was answered 5xx at `now`. Where that is so for `patience` by now, another body is to be tried: so many
    /// behind it are to be passed over.
    pub fn refused(&mut self, body: &[u8], patience: Duration, now: Instant) -> Option<usize> {
        let print = print(body);
        let is_known = self.aside.is_some_and(|aside| now < aside + IS_KNOWN);
        let patience = if is_known { patience.min(SOON) } else { patience };
        if self.head.as_ref().is_some_and(|head| head.print != print) {
            // That one is gone, and not because it was put aside.
            (self.head, self.skip) = (None, 0);
        }
        let head = self.head.get_or_insert(Head { print, since: now, answers: 0, tried: None });
        head.answers = head.answers.saturating_add(1);
        let is_due = now >= head.since + patience && head.answers >= ANSWERS;
        let may_try = head.tried.is_none_or(|tried| now >= tried + TRY_EVERY.min(patience));
        if !is_due || !may_try {
            return None;
        }
        head.tried = Some(now);
        self.tried = self.skip;
        // If it is taken, this is set right below.
        self.skip = (self.skip + 1) % IN_A_ROW;
        Some(self.tried)
    }

    /// It was dropped: the one that was tried was taken. Those in between were not, and are next.
    pub fn was_put_aside(&mut self, now: Instant) {
        self.head = None;
        self.skip = self.tried.saturating_sub(1);
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

    /// At which seconds another body is tried, where `body` is refused each of `every` seconds until `end`, and how many
    /// are passed over.
    fn tries(stuck: &mut Stuck, body: &[u8], begun: Instant, every: usize, end: u64) -> Vec<(u64, usize)> {
        let tried = |at: u64| Some((at, stuck.refused(body, PATIENCE, begun + Duration::from_secs(at))?));
        (0..=end).step_by(every).filter_map(tried).collect()
    }

    #[test]
    fn another_one_is_tried_after_ten_minutes_and_then_the_next_each_minute() {
        let (mut stuck, now) = (Stuck::default(), Instant::now());
        assert_eq!(tries(&mut stuck, b"a", now, 5, 750), [(600, 0), (660, 1), (720, 2)]);
        // Where the destination asks for long pauses, not before the tenth answer.
        assert_eq!(tries(&mut Stuck::default(), b"a", now, 300, 3300), [(2700, 0), (3000, 1), (3300, 2)]);
        // Another body is another matter, also for those behind it.
        assert_eq!(tries(&mut stuck, b"b", now, 5, 600), [(600, 0)]);
        // No further than this.
        let all = tries(&mut Stuck::default(), b"c", now, 60, 600 + 60 * 17);
        assert_eq!(all.iter().map(|(_, skip)| *skip).collect::<Vec<_>>(), (0..16).chain([0, 1]).collect::<Vec<_>>());
    }

    #[test]
    fn once_one_was_in_the_way_the_next_ones_are_found_out_sooner_for_an_hour() {
        let (mut stuck, now) = (Stuck::default(), Instant::now());
        // Three in a row: `a`, and two behind it that are refused as well.
        assert_eq!(tries(&mut stuck, b"a", now, 5, 720), [(600, 0), (660, 1), (720, 2)]);
        let at = |seconds| now + Duration::from_secs(seconds);
        stuck.was_put_aside(at(720));
        // The one that was taken is gone; behind `b` there is one that was tried.
        assert_eq!(tries(&mut stuck, b"b", at(720), 1, 31), [(30, 1)]);
        stuck.was_put_aside(at(750));
        assert_eq!(tries(&mut stuck, b"c", at(750), 1, 31), [(30, 0)]);
        stuck.was_put_aside(at(780));
        let later = at(780) + IS_KNOWN;
        assert_eq!(tries(&mut stuck, b"d", later, 5, 600), [(600, 0)]);
    }
}
