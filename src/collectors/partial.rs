//! What a collector of many small files says of those that it cannot read: each once, while the others go on.

use std::collections::{HashMap, HashSet};

/// How many files' failures are remembered; what is beyond is not said.
const MAX_REMEMBERED: usize = 256;

/// The failures of one collector's files.
#[derive(Debug, Default)]
pub struct Partial {
    /// What was said of each, by its name.
    said: HashMap<String, String>,
    /// Those that have failed in this round.
    failed: HashSet<String>,
}

impl Partial {
    /// A round begins.
    pub fn begin(&mut self) {
        self.failed.clear();
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
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
