//! The newest frame of each source, for those who pull.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::model::Frame;

/// A clock that was set between two rounds shows as this much less or more time than passed.
const CLOCK_WAS_SET: f64 = 2.0;

/// The newest frame of each source, in the order in which the sources first appeared.
#[derive(Debug, Default)]
pub struct Latest(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    sources: Vec<Source>,
    followed: &'static [&'static str],
}

#[derive(Debug)]
struct Source {
    frame: Frame,
    /// When it came, CLOCK_MONOTONIC.
    at: Duration,
    /// The frame before it, and how long before. Few of a thousand sources have one.
    before: Option<Box<(Frame, Duration)>>,
}

/// A source's newest frame.
#[derive(Clone, Debug)]
pub struct Newest {
    /// The frame.
    pub frame: Frame,
    /// The one before it, and how long before; none where there was none, where the source is
    /// not followed, and where the clock was set between the two.
    pub before: Option<(Frame, Duration)>,
}

impl Latest {
    /// Takes `frame` in place of its source's last one. `now` is CLOCK_MONOTONIC.
    pub fn put(&self, frame: &Frame, now: Duration) {
        let mut inner = self.lock();
        let is_followed = inner.followed.contains(&&*frame.source);
        match inner.sources.iter_mut().find(|have| have.frame.source == frame.source) {
            Some(have) => {
                let last = std::mem::replace(&mut have.frame, frame.clone());
                let passed = now.saturating_sub(std::mem::replace(&mut have.at, now));
                let between = if is_followed { between(&last, frame, passed) } else { None };
                have.before = between.map(|between| Box::new((last, between)));
            }
            None => inner.sources.push(Source { frame: frame.clone(), at: now, before: None }),
        }
    }

    /// Keeps of these sources the frame before the newest one too, from now on: what counts in
    /// them has a rate.
    pub fn follow(&self, sources: &'static [&'static str]) {
        self.lock().followed = sources;
    }

    /// Forgets a source: its last numbers are no longer true.
    pub fn remove(&self, source: &str) {
        self.lock().sources.retain(|have| &*have.frame.source != source);
    }

    /// The same of all sources that are such ones.
    pub fn remove_all(&self, is_one: impl Fn(&str) -> bool) {
        self.lock().sources.retain(|have| !is_one(&have.frame.source));
    }

    /// All of them.
    pub fn frames(&self) -> Vec<Frame> {
        self.lock().sources.iter().map(|have| have.frame.clone()).collect()
    }

    /// How many series are in them.
    pub fn series(&self) -> usize {
        self.lock().sources.iter().map(|have| have.frame.values.len()).sum()
    }

    /// All of them, with those before them.
    pub fn rounds(&self) -> Vec<Newest> {
        let round = |have: &Source| Newest { frame: have.frame.clone(), before: have.before.as_deref().cloned() };
        self.lock().sources.iter().map(round).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time between two rounds by their stamps, of which `passed` passed until they came here.
fn between(last: &Frame, frame: &Frame, passed: Duration) -> Option<Duration> {
    let by_stamps = Duration::from_millis(u64::try_from(frame.time_ms.checked_sub(last.time_ms)?).ok()?);
    let share = by_stamps.as_secs_f64() / passed.as_secs_f64();
    // Not so where nothing passed.
    (share > 1.0 / CLOCK_WAS_SET && share < CLOCK_WAS_SET).then_some(by_stamps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(source: &str, time_ms: i64) -> Frame {
        Frame::ended(source, time_ms)
    }

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// The time of the newest round of `disk`, and how long the one before it was before it.
    fn disk(latest: &Latest) -> (i64, Option<Duration>) {
        let rounds = latest.rounds();
        let round = rounds.iter().find(|round| &*round.frame.source == "disk").unwrap();
        (round.frame.time_ms, round.before.as_ref().map(|(_, between)| *between))
    }

    #[test]
    fn the_frame_before_is_kept_of_those_that_are_followed() {
        let latest = Latest::default();
        latest.follow(&["disk"]);
        for at in [10, 70] {
            latest.put(&frame("disk", at as i64 * 1000), seconds(at));
            latest.put(&frame("cpu", at as i64 * 1000), seconds(at));
        }
        assert_eq!(disk(&latest), (70_000, Some(seconds(60))));
        let before = |round: &Newest| round.before.as_ref().map(|(frame, _)| frame.time_ms);
        assert_eq!(latest.rounds().iter().map(before).collect::<Vec<_>>(), [Some(10_000), None]);
        latest.remove("disk");
        latest.put(&frame("disk", 130_000), seconds(130));
        assert_eq!(disk(&latest), (130_000, None));
    }

    #[test]
    fn a_clock_that_was_set_makes_no_rate() {
        let latest = Latest::default();
        latest.follow(&["disk"]);
        for (stamp_ms, at, between) in [
            (1_000_000, seconds(60), None),
            // What is late here by a hang of another collector was read on time all the same.
            (1_060_000, seconds(125), Some(seconds(60))),
            (1_120_000, seconds(180), Some(seconds(60))),
            // A step forward by five minutes, and one back.
            (1_480_000, seconds(240), None),
            (1_540_000, seconds(300), Some(seconds(60))),
            (1_400_000, seconds(360), None),
            // The same moment twice.
            (1_400_000, seconds(360), None),
        ] {
            latest.put(&frame("disk", stamp_ms), at);
            assert_eq!(disk(&latest), (stamp_ms, between));
        }
    }
}
