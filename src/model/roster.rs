//! Which sources there are, and how often each of them gives a frame.

use std::sync::Arc;
use std::time::Duration;

/// The sources that are configured. What a source has given that is not among them has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    /// By name.
    sources: Box<[(Arc<str>, Duration)]>,
}

impl Roster {
    /// These sources, each with the time between two of its frames.
    pub fn new(sources: impl IntoIterator<Item = (Arc<str>, Duration)>) -> Roster {
        let mut sources: Vec<_> = sources.into_iter().collect();
        sources.sort();
        Roster { sources: sources.into() }
    }

    /// These, and `source` among them.
    pub fn with(&self, source: impl Into<Arc<str>>, interval: Duration) -> Roster {
        Roster::new(self.sources.iter().cloned().chain([(source.into(), interval)]))
    }

    /// The time between two frames of `source`; none: it is not configured.
    pub fn interval_of(&self, source: &str) -> Option<Duration> {
        let found = self.sources.binary_search_by(|(name, _)| (**name).cmp(source));
        found.ok().map(|at| self.sources[at].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_found_by_its_name_or_is_not_configured() {
        let of = |name: &str, seconds| (name.into(), Duration::from_secs(seconds));
        let roster = Roster::new([of("disk", 10), of("cpu", 60), of("network", 10)]);
        assert_eq!(roster.interval_of("cpu"), Some(Duration::from_secs(60)));
        assert_eq!(roster.interval_of("metricsd"), None);
        let more = roster.with("metricsd", Duration::from_secs(5));
        assert_eq!(more.interval_of("metricsd"), Some(Duration::from_secs(5)));
        assert_eq!(more.interval_of("disk"), Some(Duration::from_secs(10)));
    }
}
