//! How often each series is given, by its identity: a ledger asks it whether anybody gives one.

use std::collections::HashMap;

use crate::model::AsItIs;

/// The identities of the series that a destination is given, and how many of each there are.
#[derive(Debug, Default)]
pub struct Identities(HashMap<u64, u32, AsItIs>);

impl Identities {
    /// One more gives it.
    pub fn add(&mut self, identity: u64) {
        *self.0.entry(identity).or_default() += 1;
    }

    /// One less gives it.
    pub fn remove(&mut self, identity: u64) {
        if let Some(count) = self.0.get_mut(&identity) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&identity);
            }
        }
    }

    /// Whether anybody gives it.
    pub fn has(&self, identity: u64) -> bool {
        self.0.contains_key(&identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_given_as_long_as_one_gives_it() {
        let mut all = Identities::default();
        [7, 7, 8].into_iter().for_each(|identity| all.add(identity));
        all.remove(7);
        all.remove(8);
        all.remove(9);
        assert_eq!([7, 8, 9].map(|identity| all.has(identity)), [true, false, false]);
        all.remove(7);
        assert!(!all.has(7));
    }
}
