//! What is asked of an endpoint, checked.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::exposition;
use crate::http::HttpSettings;
use crate::model::Labels;
use crate::shaping;

/// An application that is asked for its numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Unique among the endpoints.
    pub name: Arc<str>,
    /// That of [`Settings::source`].
    pub(super) source: Arc<str>,
    /// The label `job` of what it gives; mostly its name.
    pub job: Arc<str>,
    /// The label `instance`: host and port of its URL.
    pub instance: Box<str>,
    /// Where and how it is asked; `timeout` is that of a whole scrape.
    pub http: HttpSettings,
    /// What its page is taken for.
    pub format: PageFormat,
    /// Between two scrapes.
    pub interval: Duration,
    /// Labels of all that it gives.
    pub labels: Labels,
    /// Whose label stays where both have one of that name: the page's (true), or ours, and the page's
    /// is called `exported_*` (false).
    pub honor_labels: bool,
    /// Whether a sample's own time is taken.
    pub honor_timestamps: bool,
    /// Stands in front of all names on the page.
    pub metric_prefix: Box<str>,
    /// Whether a redirect is followed.
    pub follow_redirects: bool,
    /// How often a scrape is tried again after a connection error or a 5xx, within its timeout.
    pub retries: u64,
    /// Whether the page may come packed.
    pub gzip: bool,
    /// What a page may hold.
    pub limits: Limits,
    /// What becomes of its series.
    pub transforms: shaping::Rules,
}

impl Settings {
    /// The name of the source that it is: no collector's name has a slash.
    pub fn source(&self) -> Arc<str> {
        Arc::clone(&self.source)
    }

    /// The source that the endpoint of that name is.
    pub(super) fn source_of(name: &str) -> Arc<str> {
        format!("endpoints/{name}").into()
    }

    /// Takes those of `before` in place of those of `all` that say the same: of a thousand endpoints of which one has
    /// changed no other one is kept twice.
    pub fn share(all: &mut [Arc<Settings>], before: &[Arc<Settings>]) {
        let known: HashMap<&str, &Arc<Settings>> = before.iter().map(|one| (&*one.name, one)).collect();
        for one in all {
            if let Some(same) = known.get(&*one.name).filter(|before| **before == one) {
                *one = Arc::clone(same);
            }
        }
    }
}

/// What a page is taken for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PageFormat {
    /// What it says it is, and what it looks like.
    #[default]
    Auto,
    /// A JSON object of numbers.
    Json,
    /// Prometheus text.
    Prometheus,
    /// OpenMetrics text.
    OpenMetrics,
}

impl PageFormat {
    /// In the order of [`PageFormat::WORDS`].
    pub const ALL: [PageFormat; 4] =
        [PageFormat::Auto, PageFormat::Json, PageFormat::Prometheus, PageFormat::OpenMetrics];

    /// As they are written.
    pub const WORDS: [&str; 4] = ["auto", "json", "prometheus", "openmetrics"];
}

/// What a page may hold; one that holds more spoils its scrape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the page, unpacked.
    pub body_bytes: usize,
    /// What may stand on it.
    pub page: exposition::Limits,
}

impl Default for Limits {
    /// Far above what applications expose, far below what a host has.
    fn default() -> Limits {
        Limits { body_bytes: 64 << 20, page: exposition::Limits::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::settings;
    use super::*;

    #[test]
    fn what_says_the_same_is_kept_once() {
        let of = |names: &[&str]| names.iter().map(|name| Arc::new(settings(name, "http://h/"))).collect::<Vec<_>>();
        let before = of(&["a", "b", "gone"]);
        let mut all = of(&["new", "b", "a"]);
        Arc::make_mut(&mut all[1]).retries = 1;
        Settings::share(&mut all, &before);
        assert_eq!(all[1].retries, 1);
        let shared = |one: &Arc<Settings>| before.iter().any(|before| Arc::ptr_eq(before, one));
        assert_eq!(all.iter().map(shared).collect::<Vec<_>>(), [false, false, true]);
    }
}
