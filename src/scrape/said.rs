//! What the log says of targets, of which there may be thousands: some lines a minute, and then how many more there
//! were, of which `/health` says each.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// In this time there are at most so many lines of each kind: a handful of targets is said one by one.
const PERIOD: Duration = Duration::from_secs(60);
const LINES: usize = 20;

/// The first targets that are not said are counted after this time, which is longer than the first scrapes of all
/// targets are spread over; the others at the end of the period.
const TALLY_AFTER: Duration = Duration::from_secs(5);

/// What a line says of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// It answers, which it did not before.
    Well,
    /// Something is wrong with it, or with its page.
    Trouble,
}

/// Which lines of this kind have been let through.
#[derive(Debug, Default)]
struct Lines {
    /// When the period began, which is with its first line; none: it is over.
    began: Option<Duration>,
    said: usize,
    /// When the first target was hidden that has not been counted.
    hid: Option<Duration>,
    /// These, by hash.
    hidden: HashSet<u64>,
    /// Some were counted in this period.
    is_tallied: bool,
}

impl Lines {
    /// Whether a line about the target of that hash may go out at `now` (CLOCK_MONOTONIC).
    fn pass(&mut self, target: u64, now: Duration) -> bool {
        if self.began.is_none_or(|began| now >= began + PERIOD) {
            // What was hidden in the last one is still to be counted.
            *self =
                Lines { began: Some(now), hid: self.hid, hidden: std::mem::take(&mut self.hidden), ..Lines::default() };
        }
        if self.said < LINES {
            self.said += 1;
            return true;
        }
        self.hid.get_or_insert(now);
        self.hidden.insert(target);
        false
    }

    /// How many targets have been hidden, where it is time to say so.
    fn tally(&mut self, now: Duration) -> Option<usize> {
        let is_over = self.began.is_none_or(|began| now >= began + PERIOD);
        let is_time = !self.is_tallied && now >= self.hid? + TALLY_AFTER;
        if self.hidden.is_empty() || !(is_over || is_time) {
            return None;
        }
        self.is_tallied = true;
        self.hid = None;
        Some(std::mem::take(&mut self.hidden).len())
    }
}

/// The lines about all targets.
#[derive(Debug, Default)]
pub struct Said {
    lines: Mutex<[Lines; 2]>,
    hasher: RandomState,
}

impl Said {
    /// Whether a line about the target called `name` may go out at `now` (CLOCK_MONOTONIC). If not, it is counted.
    pub fn pass(&self, about: About, name: &str, now: Duration) -> bool {
        let target = self.hasher.hash_one(name);
        self.lines()[about as usize].pass(target, now)
    }

    /// Says how many targets have been counted, where it is time for that.
    pub fn tally(&self, now: Duration) {
        let [well, trouble] = &mut *self.lines();
        let [well, trouble] = [well, trouble].map(|lines| lines.tally(now));
        if let Some(more) = trouble {
            log::warn!("endpoints: {more} more have trouble; /health says which and why");
        }
        if let Some(more) = well {
            log::info!("endpoints: {more} more answer; /health has each");
        }
    }

    fn lines(&self) -> MutexGuard<'_, [Lines; 2]> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_thousand_targets_some_are_said_and_the_others_counted_once() {
        let mut lines = Lines::default();
        let at = Duration::from_millis;
        let said = (0..1000).filter(|target| lines.pass(*target, at(100_000 + 3 * target))).count();
        assert_eq!(said, LINES);
        // Each once, however often there was something to say of it.
        assert!(!lines.pass(999, at(103_000)));
        assert_eq!(lines.tally(at(105_000)), None, "some may still come");
        assert_eq!(lines.tally(at(105_100)), Some(1000 - LINES));
        assert_eq!(lines.tally(at(105_100)), None);
        // Later ones are counted at the end of the minute.
        assert!(!lines.pass(5, at(120_000)));
        assert_eq!(lines.tally(at(159_999)), None);
        assert_eq!(lines.tally(at(160_000)), Some(1));
        assert!(lines.pass(5, at(170_000)));
        assert_eq!(lines.tally(at(300_000)), None);
    }

    #[test]
    fn what_a_minute_hid_is_counted_though_the_next_one_has_begun() {
        let mut lines = Lines::default();
        let at = Duration::from_secs;
        (0..30).for_each(|target| _ = lines.pass(target, at(100)));
        assert!(lines.pass(1, at(200)));
        assert_eq!(lines.tally(at(200)), Some(10));
    }

    #[test]
    fn kinds_are_bounded_each_by_itself() {
        let (said, now) = (Said::default(), Duration::from_secs(1));
        let passed = |about| (0..2 * LINES).filter(|at| said.pass(about, &format!("app-{at}"), now)).count();
        assert_eq!([About::Trouble, About::Well].map(passed), [LINES; 2]);
    }
}
