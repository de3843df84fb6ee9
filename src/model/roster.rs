//! Which sources there are, and how often each of them gives a frame.

use crate::order;
use std::sync::Arc;
use std::time::Duration;

/// The sources that are configured. One called `push/*` stands for all whose names begin with `push/`:
/// who these are nobody can say beforehand. What a source has given that is not among them has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    /// By name.
    sources: Box<[(Arc<str>, Duration)]>,
}

impl Roster {
    /// These sources, each with the time between two of its frames.
    pub fn new(sources: impl IntoIterator<Item = (Arc<str>, Duration)>) -> Roster {
        let mut sources: Vec<_> = sources.into_iter().collect();
        order::sort(&mut sources);
        Roster { sources: sources.into() }
    }

    /// These, and `source` among them.
    pub fn with(&self, source: impl Into<Arc<str>>, interval: Duration) -> Roster {
        Roster::new(self.sources.iter().cloned().chain([(source.into(), interval)]))
    }

    /// The time between two frames of `source`; none: it is not configured.
    pub fn interval_of(&self, source: &str) -> Option<Duration> {
        let find = |source: &str| self.sources.binary_search_by(|(name, _)| (**name).cmp(source)).ok();
        let found = find(source).or_else(|| find(&format!("{}/*", source.split_once('/')?.0)));
        found.map(|at| self.sources[at].1)
    }
}

/// Whether the source `source` is meant by the `name` of a roster.
pub fn stands_for(name: &str, source: &str) -> bool {
    let begins = |kind: &str| source.strip_prefix(kind).is_some_and(|rest| rest.starts_with('/'));
    name == source || name.strip_suffix("/*").is_some_and(begins)
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
        let pushes = roster.with("push/*", Duration::from_secs(150));
        assert_eq!(pushes.interval_of("push/shop/host1"), Some(Duration::from_secs(150)));
        assert_eq!((pushes.interval_of("push"), pushes.interval_of("pushed/x")), (None, None));
        assert!(stands_for("push/*", "push/shop/host1") && stands_for("cpu", "cpu"));
        assert!(!stands_for("push/*", "push") && !stands_for("push/*", "pushed/x") && !stands_for("cpu", "cpu/x"));
    }
}
