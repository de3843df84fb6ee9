//! The beat: a grid of evenly spaced moments on the monotonic clock.

use std::time::Duration;

/// Evenly spaced moments, the first at `origin`. Missed ones are skipped, never queued.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    origin: Duration,
    interval: Duration,
    tick: u64,
}

impl Grid {
    /// A grid whose tick 0 is at `origin` (CLOCK_MONOTONIC) and has just been taken.
    pub fn new(origin: Duration, interval: Duration) -> Grid {
        Grid { origin, interval: interval.max(Duration::from_nanos(1)), tick: 0 }
    }

    /// The first moment of the grid after `now`, and how many were missed on the way.
    pub fn next(&mut self, now: Duration) -> (Duration, u64) {
        let passed = now.saturating_sub(self.origin).as_nanos() / self.interval.as_nanos();
        let passed = u64::try_from(passed).unwrap_or(u64::MAX - 1);
        let next = (self.tick + 1).max(passed + 1);
        let missed = next - self.tick - 1;
        self.tick = next;
        (self.at(next), missed)
    }

    fn at(&self, tick: u64) -> Duration {
        let nanos = self.interval.as_nanos().saturating_mul(u128::from(tick));
        let offset = Duration::new((nanos / 1_000_000_000) as u64, (nanos % 1_000_000_000) as u32);
        self.origin.saturating_add(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn ticks_keep_to_the_grid_however_long_a_round_takes() {
        let mut grid = Grid::new(s(100), s(10));
        assert_eq!(grid.next(s(100)), (s(110), 0));
        assert_eq!(grid.next(s(119)), (s(120), 0));
        assert_eq!(grid.next(s(120)), (s(130), 0));
        assert_eq!(grid.next(s(135)), (s(140), 0), "a late tick is not a missed one");
        assert_eq!(grid.next(s(171)), (s(180), 3), "150, 160 and 170 are gone");
        assert_eq!(grid.next(s(180)), (s(190), 0));
    }

    #[test]
    fn a_tick_that_ends_before_its_own_moment_does_not_come_twice() {
        let mut grid = Grid::new(s(100), s(10));
        assert_eq!(grid.next(s(100)), (s(110), 0));
        // A timer may fire a moment early.
        assert_eq!(grid.next(s(110) - Duration::from_nanos(1)), (s(120), 0));
    }

    #[test]
    fn fractions_do_not_drift() {
        let mut grid = Grid::new(Duration::ZERO, Duration::from_nanos(333_333_333));
        let mut at = Duration::ZERO;
        for _ in 0..3_000 {
            at = grid.next(at).0;
        }
        assert_eq!(at, Duration::from_nanos(333_333_333 * 3_000));
    }
}
