//! How often a collector is asked that is asked less often than the beat.

use std::time::Duration;

/// Says in which rounds a collector has its turn.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Time between two turns; none: each round is one.
    interval: Option<Duration>,
    /// When the last turn was, CLOCK_MONOTONIC; none before the first.
    last: Option<Duration>,
}

impl Pace {
    /// A turn each `interval`, a multiple of the beat's; none: in each round.
    pub fn new(interval: Option<Duration>) -> Pace {
        Pace { interval, last: None }
    }

    /// Time between two turns, where rounds are `beat` apart.
    pub fn interval(&self, beat: Duration) -> Duration {
        self.interval.map_or(beat, |interval| interval.max(beat))
    }

    /// Whether the round at `now` (CLOCK_MONOTONIC) is a turn, where rounds are `beat` apart. The
    /// first one is. A round may come a little early or late, so the nearest one counts.
    pub fn is_turn(&mut self, now: Duration, beat: Duration) -> bool {
        let Some(interval) = self.interval else { return true };
        let is_turn = self.last.is_none_or(|last| now.saturating_add(beat / 2) >= last.saturating_add(interval));
        if is_turn {
            self.last = Some(now);
        }
        is_turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_the_round_nearest_to_the_interval() {
        let ms = Duration::from_millis;
        let turns = |interval: Option<u64>, rounds: &[u64]| {
            let mut pace = Pace::new(interval.map(ms));
            rounds.iter().map(|at| if pace.is_turn(ms(*at), ms(1000)) { 'x' } else { '.' }).collect::<String>()
        };
        assert_eq!(turns(None, &[0, 1000, 2000]), "xxx");
        assert_eq!(turns(Some(3000), &[0, 1000, 2000, 3000, 4000, 5000, 6000]), "x..x..x");
        // A little early, a little late.
        assert_eq!(turns(Some(2000), &[5, 998, 2001, 3000, 3999, 5002, 6000]), "x.x.x.x");
        // After ticks that were missed it has its turn at once.
        assert_eq!(turns(Some(3000), &[0, 9000, 10_000, 11_000, 12_000]), "xx..x");
        // The beat has become slower than the interval.
        assert_eq!(turns(Some(500), &[0, 1000, 2000]), "xxx");
        let between = |interval: Option<u64>| Pace::new(interval.map(ms)).interval(ms(1000));
        assert_eq!([None, Some(3000), Some(500)].map(between), [1000, 3000, 1000].map(ms));
    }
}
