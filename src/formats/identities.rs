//! How often each series is given, by its identity: a ledger asks it whether anybody gives one.

use std::collections::HashMap;

use crate::model::AsItIs;

/// The identities of the series that a destination is given, and how many of each there are.
#[derive(Debug, Default)]
pub struct Identities(HashMap<u64, u32, AsItIs>);

impl Identities {
    /// One more gives it.
    pub fn add(&mut self, identity: u64) {
        if self.0.len() == self.0.capacity() {
            self.make_room();
        }
        *self.0.entry(identity).or_default() += 1;
    }

    /// Makes the table anew. What has gone leaves marks in it, and where it is more than half full they make it twice as
    /// large as what is there needs.
    #[cold]
    fn make_room(&mut self) {
        let room = self.0.len() + self.0.len() / 16 + 1;
        let mut table = HashMap::with_capacity_and_hasher(room, AsItIs);
        table.extend(self.0.drain());
        self.0 = table;
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

    #[test]
    fn identities_that_come_and_go_take_no_more_room_than_those_that_are_there() {
        let mut all = Identities::default();
        // As full as a table may be, but for a few.
        (0..100_000).for_each(|identity: u64| all.add(identity.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let room = all.0.capacity();
        for identity in 0..500_000_u64 {
            all.remove(identity.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            all.add((identity + 100_000).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        }
        assert_eq!(all.0.len(), 100_000);
        assert!(all.0.capacity() <= room, "{} instead of {room}", all.0.capacity());
    }
}
