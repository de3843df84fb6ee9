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
        self.failed.insert(what.to_owned());
        if self.said.get(what).is_some_and(|said| said == why) {
            return;
        }
        if self.said.len() < MAX_REMEMBERED || self.said.contains_key(what) {
            log::warn!("collector {collector}: {why}; {what} is missing until it can be read");
            self.said.insert(what.to_owned(), why.to_owned());
        }
    }

    /// The round has ended. What failed before and did not now works again, or has gone.
    pub fn end(&mut self) {
        let failed = &self.failed;
        self.said.retain(|what, _| failed.contains(what));
    }

    /// How many have failed in this round.
    pub fn len(&self) -> usize {
        self.failed.len()
    }

    /// Whether none has failed in this round.
    pub fn is_empty(&self) -> bool {
        self.failed.is_empty()
    }
}
