//! What a collector remembers of each cpu, disk or interface, in its file's order.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// A thing that is known again by a key.
pub trait Keyed {
    /// What tells it from the others.
    type Key<'a>: Hash + Copy
    where
        Self: 'a;
    /// Its own.
    fn key(&self) -> Self::Key<'_>;
    /// Whether `key` is its own.
    fn is(&self, key: Self::Key<'_>) -> bool;
}

/// What is remembered of the things of a table that may be long, in its order.
///
/// While a round finds the things of the last one in their order, it compares keys and nothing
/// else. One that is new takes the place of the one that was there, so that one that was renamed
/// costs itself; where things came, went or moved, each behind them is moved once. A table of
/// which all is new, or in another order, costs what its lines cost, not their square.
#[derive(Debug)]
pub struct Table<T> {
    /// Those of this round up to `at`, behind them others of the last one.
    entries: Vec<T>,
    /// How many have come in this round.
    at: usize,
    /// Those whose place another one has taken, and that have not come so far.
    lost: Vec<T>,
    /// The hashes of all keys of the last round, kept from the first one on that departs from the
    /// one before: what is not among them is new, and needs not be looked for.
    known: Option<HashSet<u64>>,
    /// Those that were new in this round, by their keys' hashes.
    new: Vec<u64>,
    /// Where the rest of the last round is, by their keys' hashes: once one was looked for that
    /// is not near.
    index: Option<HashMap<u64, Place>>,
}

/// Where a thing of the last round is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Entry(usize),
    Lost(usize),
}

/// How far ahead a thing is looked for, where those in front of it may have gone.
const LOOK_AHEAD: usize = 8;

impl<T> Default for Table<T> {
    fn default() -> Table<T> {
        Table { entries: Vec::new(), at: 0, lost: Vec::new(), known: None, new: Vec::new(), index: None }
    }
}

impl<T: Keyed> Table<T> {
    /// A round begins. Where the last one was not ended, what it had not come to is still there.
    pub fn begin(&mut self) {
        if let Some(known) = &mut self.known {
            known.extend(&self.new);
        }
        self.entries.append(&mut self.lost);
        self.new.clear();
        (self.at, self.index) = (0, None);
    }

    /// The round's next thing, made by `new` where it was not there before.
    pub fn entry(&mut self, key: T::Key<'_>, new: impl FnOnce() -> T) -> &mut T {
        let at = self.at;
        self.at += 1;
        if !self.entries.get(at).is_some_and(|entry| entry.is(key)) {
            self.other(at, key, new);
        }
        &mut self.entries[at]
    }

    /// Puts the thing of that key, which is another one than what is there, in the place `at`.
    #[cold]
    fn other(&mut self, at: usize, key: T::Key<'_>, new: impl FnOnce() -> T) {
        let hash = hash(key);
        let known =
            self.known.get_or_insert_with(|| self.entries.iter().map(|entry| self::hash(entry.key())).collect());
        if !known.contains(&hash) {
            self.new.push(hash);
            return self.put(at, new());
        }
        match self.find(at, key, hash) {
            Some(Place::Entry(found)) => {
                self.entries.swap(at, found);
                if let Some(index) = &mut self.index {
                    index.insert(self::hash(self.entries[found].key()), Place::Entry(found));
                }
            }
            Some(Place::Lost(found)) => {
                let entry = self.lost.swap_remove(found);
                if let (Some(index), Some(moved)) = (&mut self.index, self.lost.get(found)) {
                    index.insert(self::hash(moved.key()), Place::Lost(found));
                }
                self.put(at, entry);
            }
            // It stands twice in this round, or has another one's hash.
            None => self.put(at, new()),
        }
    }

    /// Puts `entry` in the place `at`; what was there is lost for now.
    fn put(&mut self, at: usize, entry: T) {
        if at == self.entries.len() {
            return self.entries.push(entry);
        }
        let before = std::mem::replace(&mut self.entries[at], entry);
        if let Some(index) = &mut self.index {
            index.insert(hash(before.key()), Place::Lost(self.lost.len()));
        }
        self.lost.push(before);
    }

    /// Where the thing of that key is, among those that have not come.
    fn find(&mut self, at: usize, key: T::Key<'_>, hash: u64) -> Option<Place> {
        let is_it = |entry: &T| entry.is(key);
        let last = self.lost.len().saturating_sub(LOOK_AHEAD);
        if let Some(found) = self.lost[last..].iter().rposition(is_it) {
            return Some(Place::Lost(last + found));
        }
        if let Some(found) = self.entries[at.min(self.entries.len())..].iter().take(LOOK_AHEAD).position(is_it) {
            return Some(Place::Entry(at + found));
        }
        let (entries, lost) = (&self.entries, &self.lost);
        let index = self.index.get_or_insert_with(|| {
            let ahead = entries.iter().enumerate().skip(at).map(|(at, one)| (self::hash(one.key()), Place::Entry(at)));
            ahead.chain(lost.iter().enumerate().map(|(at, one)| (self::hash(one.key()), Place::Lost(at)))).collect()
        });
        let place = *index.get(&hash)?;
        let is_there = match place {
            Place::Entry(found) => found >= at && entries.get(found).is_some_and(is_it),
            Place::Lost(found) => lost.get(found).is_some_and(is_it),
        };
        is_there.then_some(place)
    }

    /// The round has ended: what did not come has gone.
    pub fn end(&mut self) {
        let gone = self.entries.drain(self.at.min(self.entries.len())..).chain(self.lost.drain(..));
        match &mut self.known {
            Some(known) => {
                gone.for_each(|gone| _ = known.remove(&hash(gone.key())));
                known.extend(&self.new);
            }
            None => drop(gone),
        }
        self.new.clear();
        self.index = None;
    }

    /// Those that have come in this round so far, in order.
    pub fn come(&mut self) -> &mut [T] {
        &mut self.entries[..self.at]
    }

    /// All of the last round that was ended, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.entries.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }
}

fn hash(key: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is remembered of a letter: the round in which it came.
    impl Keyed for (char, u32) {
        type Key<'a> = char;

        fn key(&self) -> char {
            self.0
        }

        fn is(&self, key: char) -> bool {
            self.0 == key
        }
    }

    #[test]
    fn a_table_keeps_what_comes_goes_and_moves() {
        let mut table: Table<(char, u32)> = Table::default();
        let mut round = |names: &str, number: u32| {
            let mut made = String::new();
            table.begin();
            for name in names.chars() {
                table.entry(name, || {
                    made.push(name);
                    (name, number)
                });
            }
            table.end();
            assert_eq!(table.iter().map(|entry| entry.0).collect::<String>(), names);
            made
        };
        assert_eq!(round("abcd", 1), "abcd");
        assert_eq!(round("abcd", 2), "");
        assert_eq!(round("acd", 3), "");
        assert_eq!(round("xacd", 4), "x");
        assert_eq!(round("dxab", 5), "b");
        assert_eq!(round("", 6), "");
        assert_eq!(round("abcdefghijklmnopqrstuvwxyz", 7).len(), 26);
        assert_eq!(round("zyxwvutsrqponmlkjihgfedcba", 8), "", "in another order");
        assert_eq!(round("aXYZbcdefghijklmnopqrstuvw", 9), "XYZ");
        assert_eq!(round("0123456789", 10), "0123456789", "all of them new");
        assert_eq!(round("a0", 11), "a", "what has gone is not remembered");
        assert_eq!(round("0a0", 12), "0", "one that stands twice is made anew");
    }

    #[test]
    fn a_table_is_that_of_a_model_whatever_comes() {
        let mut seed = 7_u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        let mut table: Table<(char, u32)> = Table::default();
        let (mut names, mut since): (Vec<char>, HashMap<char, u32>) = (Vec::new(), HashMap::new());
        for round in 0..2000 {
            for _ in 0..random(4) {
                let name = char::from_u32(0x4e00 + random(60) as u32).unwrap();
                let at = random(names.len() as u64 + 1) as usize;
                match names.iter().position(|one| *one == name) {
                    Some(at) if random(2) == 0 => _ = names.remove(at),
                    Some(from) => {
                        let to = random(names.len() as u64) as usize;
                        names.swap(from, to);
                    }
                    None => names.insert(at, name),
                }
            }
            // Now and then a round breaks off: what had come for the first time is known from then on.
            let come = if random(10) == 0 { random(names.len() as u64 + 1) as usize } else { names.len() };
            table.begin();
            for name in &names[..come] {
                let born = table.entry(*name, || (*name, round)).1;
                assert_eq!(born, *since.entry(*name).or_insert(round), "{name} in round {round}");
            }
            if come == names.len() {
                table.end();
                since.retain(|name, _| names.contains(name));
                assert!(table.iter().map(|entry| entry.0).eq(names.iter().copied()));
            }
        }
    }

    #[test]
    fn a_round_that_was_broken_off_is_no_round() {
        let mut table: Table<(char, u32)> = Table::default();
        table.begin();
        for name in "abc".chars() {
            table.entry(name, || (name, 1));
        }
        table.end();
        table.begin();
        table.entry('b', || unreachable!("it was there"));
        table.begin();
        assert_eq!(*table.entry('b', || unreachable!("it was there")), ('b', 1));
        table.end();
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn a_table_of_which_all_changes_each_round_costs_its_lines_and_not_their_square() {
        use std::cell::Cell;
        thread_local!(static COMPARED: Cell<usize> = const { Cell::new(0) });
        struct Counted(usize);
        impl Hash for Counted {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.0.hash(state);
            }
        }
        impl PartialEq for Counted {
            fn eq(&self, other: &Counted) -> bool {
                COMPARED.with(|compared| compared.set(compared.get() + 1));
                self.0 == other.0
            }
        }
        impl Eq for Counted {}
        struct Thing(Counted);
        impl Keyed for Thing {
            type Key<'a> = &'a Counted;
            fn key(&self) -> &Counted {
                &self.0
            }
            fn is(&self, key: &Counted) -> bool {
                self.0 == *key
            }
        }
        const MANY: usize = 12_500;
        let mut table = Table::default();
        for round in 0..4 {
            table.begin();
            // First all new, then all in the opposite order.
            let names = (0..MANY).map(|at| if round % 2 == 0 { round * MANY + at } else { round * MANY - 1 - at });
            for name in names {
                table.entry(&Counted(name), || Thing(Counted(name)));
            }
            table.end();
            assert_eq!(table.len(), MANY);
        }
        assert!(COMPARED.get() < 4 * MANY * (2 * LOOK_AHEAD + 3), "{}", COMPARED.get());

        // Of a table in which a few have other names now, those behind them are at their places.
        let mut names: Vec<usize> = (0..MANY).collect();
        for _ in 0..2 {
            COMPARED.set(0);
            table.begin();
            for name in &names {
                table.entry(&Counted(*name), || Thing(Counted(*name)));
            }
            table.end();
            names.iter_mut().step_by(1000).for_each(|name| *name += MANY);
        }
        assert!(COMPARED.get() < MANY + 13 * 2 * LOOK_AHEAD, "{}", COMPARED.get());
    }
}
