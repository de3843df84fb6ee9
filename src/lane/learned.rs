//! What a destination has taught a lane by its answers, kept for as long as the lane lives.
//!
//! It counts for every body: for those that are made from then on, and for those that wait, on
//! disk or in memory, before they are sent. A reload that leaves the endpoint as it is leaves it too.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::settings::{Kind, To};
use crate::model::Signal;

/// A receiver may have been given a higher limit, or be another one by now: so often bodies of
/// twice the size are tried, at the cost of one request that is refused.
const TRY_LARGER_EVERY: Duration = Duration::from_secs(3600);

/// A receiver that takes neither format is asked so often whether it takes the older one by now;
/// between two formats it would cost a request more for each body.
const TRY_OLDER_EVERY: Duration = Duration::from_secs(3600);

/// What is known of one destination; its senders and whoever makes bodies share it. Times are
/// those of the monotonic clock.
#[derive(Debug)]
pub struct Learned {
    signal: Signal,
    lessons: Mutex<Lessons>,
}

#[derive(Debug)]
struct Lessons {
    /// Whom they are about.
    about: Kind,
    /// How many samples a body may have, and since when that is believed.
    most: Option<(u64, Duration)>,
    /// What was said of that last.
    said: Option<u64>,
    version: Version,
}

/// Which format it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// The one that was asked for, as far as is known.
    Asked,
    /// Not that one: the older one.
    Older,
    /// Not the older one either, as was found out then; so the one that was asked for is sent.
    Neither(Duration),
}

impl Learned {
    /// Nothing is known of the destination yet.
    pub fn new(about: &Kind, signal: Signal) -> Learned {
        Learned { signal, lessons: Mutex::new(Lessons::none(about)) }
    }

    /// The destination is this one from now on. What is known stays as far as it is the same.
    pub fn is_about(&self, kind: &Kind) {
        let mut lessons = self.lock();
        let place = |kind: &Kind| match &kind.to {
            To::Http(network) | To::Tcp(network) => Some(network.endpoint.clone()),
            To::File(_) | To::Stdout => None,
        };
        if lessons.about.format != kind.format || place(&lessons.about) != place(kind) {
            *lessons = Lessons::none(kind);
        } else if lessons.about.options != kind.options {
            lessons.version = Version::Asked;
        }
        lessons.about = kind.clone();
    }

    /// How many samples a body may have, of what its format allows.
    pub fn most(&self, now: Duration) -> u64 {
        let mut lessons = self.lock();
        let limit = lessons.about.format.carries(self.signal).limits.samples;
        let Some((most, since)) = &mut lessons.most else { return limit };
        if now.saturating_sub(*since) >= TRY_LARGER_EVERY {
            (*most, *since) = (most.saturating_mul(2), now);
        }
        let most = *most;
        if most >= limit {
            lessons.most = None;
        }
        most.min(limit)
    }

    /// A body of more than `most` samples was too large. Whether that is to be said: it is not
    /// what was said last, and found out again.
    pub fn at_most(&self, most: u64, now: Duration) -> bool {
        let mut lessons = self.lock();
        // Of two that were learned side by side the smaller one holds for both.
        let known = lessons.most.map_or(u64::MAX, |(known, _)| known);
        let most = most.clamp(1, known);
        lessons.most = Some((most, now));
        lessons.said.replace(most) != Some(most)
    }

    /// Whether it takes the older format alone.
    pub fn takes_older(&self) -> bool {
        self.lock().version == Version::Older
    }

    /// It has refused the newer format. Whether the older one is to be sent instead, and whether
    /// that is news.
    pub fn refused_newer(&self, now: Duration) -> (bool, bool) {
        let mut lessons = self.lock();
        match lessons.version {
            Version::Neither(since) if now.saturating_sub(since) < TRY_OLDER_EVERY => (false, false),
            before => {
                lessons.version = Version::Older;
                (true, before != Version::Older)
            }
        }
    }

    /// It has refused the older format. Whether that is news, so that the newer one is sent again.
    pub fn refused_older(&self, now: Duration) -> bool {
        let mut lessons = self.lock();
        let is_news = lessons.version == Version::Older;
        if is_news {
            lessons.version = Version::Neither(now);
        }
        is_news
    }

    fn lock(&self) -> MutexGuard<'_, Lessons> {
        // Each lesson is one assignment.
        self.lessons.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lessons {
    fn none(about: &Kind) -> Lessons {
        Lessons { about: about.clone(), most: None, said: None, version: Version::Asked }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::{self, Compression, Options};
    use crate::http::HttpSettings;

    fn kind(url: &str, options: Options) -> Kind {
        Kind::to_url(&formats::remote_write::FORMAT, options, HttpSettings::new(url.into()))
    }

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_smallest_size_counts_and_twice_as_much_is_tried_each_hour() {
        let learned = Learned::new(&kind("http://h/x", Options::default()), Signal::Metrics);
        assert_eq!(learned.most(at(0)), 10_000);
        assert!(learned.at_most(600, at(10)));
        assert!(!learned.at_most(700, at(20)), "the smaller one holds, and was said");
        assert_eq!(learned.most(at(20)), 600);
        assert_eq!(learned.most(at(20 + 3599)), 600);
        assert_eq!(learned.most(at(20 + 3600)), 1200);
        assert_eq!(learned.most(at(20 + 3601)), 1200);
        assert!(!learned.at_most(600, at(4000)), "found out again");
        assert_eq!(learned.most(at(4001)), 600);
        for hour in 2..=5 {
            learned.most(at(hour * 3600 + 400));
        }
        assert_eq!(learned.most(at(6 * 3600)), 9600);
        assert_eq!(learned.most(at(7 * 3600)), 10_000, "never more than the format allows");
        assert!(learned.at_most(0, at(8 * 3600)));
        assert_eq!(learned.most(at(8 * 3600)), 1);
    }

    #[test]
    fn the_older_format_is_sent_until_it_is_refused_and_then_not_tried_for_an_hour() {
        let learned = Learned::new(&kind("http://h/x", Options::default()), Signal::Metrics);
        assert!(!learned.takes_older());
        assert!(!learned.refused_older(at(0)), "one that waited from before: nothing to go back from");
        assert_eq!(learned.refused_newer(at(1)), (true, true));
        assert!(learned.takes_older());
        assert_eq!(learned.refused_newer(at(2)), (true, false));
        assert!(learned.refused_older(at(3)));
        assert!(!learned.takes_older());
        assert_eq!(learned.refused_newer(at(4)), (false, false));
        assert!(!learned.refused_older(at(5)));
        assert_eq!(learned.refused_newer(at(3 + 3600)), (true, true));
    }

    #[test]
    fn what_is_known_goes_with_the_endpoint() {
        let gzip = Options::compressed(Compression::Gzip);
        let learned = Learned::new(&kind("http://h/x", Options::default()), Signal::Metrics);
        let teach = || {
            learned.at_most(50, at(1));
            learned.refused_newer(at(1));
        };
        teach();
        let mut same = kind("http://h/x", Options::default());
        let To::Http(http) = &mut same.to else { unreachable!() };
        http.timeout = at(3);
        learned.is_about(&same);
        assert_eq!((learned.most(at(2)), learned.takes_older()), (50, true));
        learned.is_about(&kind("http://h/x", gzip.clone()));
        assert_eq!((learned.most(at(2)), learned.takes_older()), (50, false));
        teach();
        learned.is_about(&kind("http://h/y", gzip));
        assert_eq!((learned.most(at(2)), learned.takes_older()), (10_000, false));
    }
}
