//! Memory that a burst of series has left behind, given back to the kernel.

use std::time::Duration;

use crate::host::give_back_free_memory;
use crate::telemetry::Latest;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Fewer series leave less behind than what this program takes anyway: some 3 KiB each with a
/// destination.
const BURST: usize = 5000;

/// Watches how many series there are. Times are of CLOCK_MONOTONIC.
#[derive(Default)]
pub struct AfterBurst {
    next: Duration,
    /// The most since the last time.
    most: usize,
    /// It fell at the last look. By the next one, destinations have let go of it, too.
    has_fallen: bool,
}

impl AfterBurst {
    /// Looks, where it is time to.
    pub fn look(&mut self, latest: &Latest, now: Duration) {
        if now < self.next {
            return;
        }
        self.next = now + LOOK_EVERY;
        if self.is_over(latest.series()) {
            log::debug!("most series are gone; giving their memory back");
            give_back_free_memory();
        }
    }

    /// Whether there were many series, and most of them were gone at the last look already.
    fn is_over(&mut self, series: usize) -> bool {
        self.most = self.most.max(series);
        let is_low = self.most >= BURST && series < self.most / 2;
        let is_over = is_low && self.has_fallen;
        self.has_fallen = is_low && !is_over;
        if is_over {
            self.most = series;
        }
        is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_goes_back_once_after_most_series_have_gone() {
        let mut watch = AfterBurst::default();
        let looks = [
            (80, false),
            (100_000, false),
            // Half of them are still there.
            (50_000, false),
            (100, false),
            (100, true),
            (100, false),
            (100, false),
            // A collector that fails for a round has lost nothing.
            (100_000, false),
            (100, false),
            (100_000, false),
            (40_000, false),
            (40_000, true),
            (100, false),
            (100, true),
            // Nothing that is worth it.
            (4999, false),
            (1, false),
            (1, false),
        ];
        for (at, (series, is_over)) in looks.into_iter().enumerate() {
            assert_eq!(watch.is_over(series), is_over, "look {at}");
        }
    }
}
