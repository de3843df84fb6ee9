//! What a collector of many small files says of those that it cannot read: each once, while the others go on.

use std::collections::{HashMap, HashSet};

use super::collector::CollectError;

/// How many files' failures are remembered; what is beyond is not said.
const MAX_REMEMBERED: usize = 256;

/// The failures of one collector's files.
#[derive(Debug, Default)]
pub struct Partial {
    /// What was said of each, by its name.
    said: HashMap<String, String>,
    /// Those that have failed in this round.
    failed: HashSet<String>,
    /// Why the first of them has.
    first: Option<String>,
}

impl Partial {
    /// A round begins.
    pub fn begin(&mut self) {
        self.failed.clear();
        self.first = None;
    }

    /// `what` cannot be read, and is missing from this round. Said, unless that was said before.
    pub fn failed(&mut self, collector: &str, what: &str, why: &str) {
        if self.is_news(what, why) {
            log::warn!("collector {collector}: {why}; {what} is missing until it can be read");
        }
    }

    /// Notes that `what` has failed in this round. Whether that is to be said.
    fn is_news(&mut self, what: &str, why: &str) -> bool {
        self.failed.insert(what.to_owned());
        self.first.get_or_insert_with(|| why.to_owned());
        if self.said.get(what).is_some_and(|said| said == why) {
            return false;
        }
        let is_remembered = self.said.len() < MAX_REMEMBERED || self.said.contains_key(what);
        if is_remembered {
            self.said.insert(what.to_owned(), why.to_owned());
        }
        is_remembered
    }

    /// The round has ended. What failed before and did not now works again, or has gone.
    pub fn end(&mut self) {
        let failed = &self.failed;
        self.said.retain(|what, _| failed.contains(what));
    }

    /// How the round went. One in which something was read is a good one; one that has only
    /// failures has failed; where there is neither, this host has no such thing, as `absent` says.
    pub fn outcome(&self, has_read: bool, absent: &str) -> Result<(), CollectError> {
        match &self.first {
            _ if has_read => Ok(()),
            Some(why) => Err(CollectError::Failed(why.clone())),
            None => Err(CollectError::Absent(absent.to_owned())),
        }
    }
}

/// A bound that no host should meet. That one does is said once, and anew when it was not met in between.
#[derive(Debug, Default)]
pub struct Bound {
    is_met: bool,
}

impl Bound {
    /// Takes note of whether the round has met it; `what` there is more of than `most`.
    pub fn tell(&mut self, is_met: bool, collector: &str, what: &str, most: usize) {
        if self.is_news(is_met) {
            log::warn!("collector {collector}: there are more than {most} {what}; those beyond are not shown");
        }
    }

    fn is_news(&mut self, is_met: bool) -> bool {
        let was_met = std::mem::replace(&mut self.is_met, is_met);
        is_met && !was_met
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_that_is_met_is_news_once_until_it_was_not() {
        let mut bound = Bound::default();
        let news = [false, true, true, false, true].map(|is_met| bound.is_news(is_met));
        assert_eq!(news, [false, true, false, false, true]);
    }

    /// Which of `failures` of a round are said.
    fn round<'f>(partial: &mut Partial, failures: &[(&'f str, &str)]) -> Vec<&'f str> {
        partial.begin();
        let said = failures.iter().filter(|(what, why)| partial.is_news(what, why)).map(|(what, _)| *what).collect();
        partial.end();
        said
    }

    #[test]
    fn a_failure_is_said_once_until_it_is_another_one_or_was_mended() {
        let mut partial = Partial::default();
        assert_eq!(round(&mut partial, &[("fan1", "EIO"), ("temp1", "EIO")]), ["fan1", "temp1"]);
        assert_eq!(round(&mut partial, &[("fan1", "EIO"), ("temp1", "EIO")]), [""; 0]);
        assert_eq!(round(&mut partial, &[("fan1", "EAGAIN"), ("temp1", "EIO")]), ["fan1"]);
        assert_eq!(round(&mut partial, &[("temp1", "EIO")]), [""; 0]);
        assert_eq!(round(&mut partial, &[("fan1", "EAGAIN"), ("temp1", "EIO")]), ["fan1"]);
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let mut partial = Partial::default();
        let names: Vec<String> = (0..MAX_REMEMBERED + 10).map(|at| format!("temp{at}")).collect();
        let failures: Vec<_> = names.iter().map(|name| (&**name, "EIO")).collect();
        assert_eq!(round(&mut partial, &failures).len(), MAX_REMEMBERED);
        assert_eq!(round(&mut partial, &failures), [""; 0]);
        assert_eq!(partial.said.len(), MAX_REMEMBERED);
    }

    /// One round in which these failed.
    fn fate(partial: &mut Partial, failed: &[(&str, &str)], has_read: bool) -> Result<(), String> {
        partial.begin();
        failed.iter().for_each(|(what, why)| partial.failed("test", what, why));
        partial.end();
        partial.outcome(has_read, "nothing there").map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn a_round_is_good_where_something_was_read_and_tells_a_failure_from_an_absence() {
        let mut partial = Partial::default();
        assert_eq!(fate(&mut partial, &[("a", "broken"), ("b", "gone")], true), Ok(()));
        let failed = Err("Failed(\"broken\")".to_owned());
        assert_eq!(fate(&mut partial, &[("a", "broken"), ("b", "gone")], false), failed);
        assert_eq!(fate(&mut partial, &[], false), Err("Absent(\"nothing there\")".to_owned()));
    }

    #[test]
    fn what_was_said_is_forgotten_once_it_works_again_and_has_a_bound() {
        let mut partial = Partial::default();
        let _ = fate(&mut partial, &[("a", "broken"), ("b", "broken")], true);
        let _ = fate(&mut partial, &[("b", "gone")], true);
        assert_eq!(partial.said, HashMap::from([("b".to_owned(), "gone".to_owned())]));
        let mut partial = Partial::default();
        let many: Vec<String> = (0..MAX_REMEMBERED + 9).map(|n| n.to_string()).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|what| (&**what, "broken")).collect();
        let _ = fate(&mut partial, &many, true);
        assert_eq!(partial.said.len(), MAX_REMEMBERED);
    }
}
