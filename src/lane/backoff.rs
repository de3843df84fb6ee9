//! How long to wait between attempts: exponential, with full jitter.
//!
//! Full jitter (anything from nothing to the ceiling) spreads a fleet that lost the same
//! backend at the same moment best: see
//! <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>.

use std::time::Duration;

use super::settings::RetrySettings;

/// The pauses of one sender.
#[derive(Clone, Debug)]
pub struct Backoff {
    settings: RetrySettings,
    failures: u32,
}

impl Backoff {
    /// No failure yet.
    pub fn new(settings: RetrySettings) -> Backoff {
        Backoff { settings, failures: 0 }
    }

    /// An attempt was delivered.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// An attempt failed: the pause before the next one.
    pub fn next(&mut self) -> Duration {
        let ceiling = self.ceiling();
        self.failures = self.failures.saturating_add(1);
        ceiling.mul_f64(fastrand::f64())
    }

    /// The longest that the next pause can be.
    fn ceiling(&self) -> Duration {
        let doubled = self.settings.min_backoff.saturating_mul(1 << self.failures.min(20));
        doubled.min(self.settings.max_backoff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_doubles_up_to_the_maximum_and_falls_back() {
        let mut backoff = Backoff::new(RetrySettings::default());
        let mut ceilings = Vec::new();
        for _ in 0..6 {
            ceilings.push(backoff.ceiling().as_millis());
            let ceiling = backoff.ceiling();
            assert!(backoff.next() <= ceiling);
        }
        assert_eq!(ceilings, [500, 1000, 2000, 4000, 5000, 5000]);
        backoff.reset();
        assert_eq!(backoff.ceiling().as_millis(), 500);
        backoff.failures = u32::MAX;
        assert_eq!(backoff.ceiling().as_millis(), 5000);
    }

    #[test]
    fn the_jitter_is_full() {
        let one = Duration::from_secs(1);
        let mut backoff =
            Backoff::new(RetrySettings { min_backoff: one, max_backoff: one, ..RetrySettings::default() });
        let fractions: Vec<f64> = (0..1000).map(|_| backoff.next().as_secs_f64()).collect();
        assert!(fractions.iter().all(|f| (0.0..1.0).contains(f)));
        for tenth in 0..10 {
            let range = f64::from(tenth) / 10.0..f64::from(tenth + 1) / 10.0;
            let count = fractions.iter().filter(|f| range.contains(*f)).count();
            assert!((50..=150).contains(&count), "{count} of 1000 in {range:?}");
        }
    }
}
