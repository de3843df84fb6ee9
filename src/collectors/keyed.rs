//! What a collector remembers of each cpu, disk or interface, in its file's order.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The entry for the `at`-th thing of a file, made by `new` where it was not there before.
///
/// The kernel lists the same things in the same order round after round, so the entry is
/// nearly always at its place already; only where it is not, the rest of the list is
/// searched. A caller goes through its file with `at` counting from 0, and afterwards
/// truncates the list to the number of things seen: what has vanished has moved behind.
pub fn entry<T>(list: &mut Vec<T>, at: usize, is: impl Fn(&T) -> bool, new: impl FnOnce() -> T) -> &mut T {
    if !list.get(at).is_some_and(&is) {
        match list.iter().skip(at).position(is) {
            Some(offset) => list[at..=at + offset].rotate_right(1),
            None => list.insert(at.min(list.len()), new()),
        }
    }
    &mut list[at]
}

/// A thing that is known again by a key.
pub trait Keyed {
    /// What tells it from the others.
    type Key: Hash + Eq + ?Sized;
    /// Its own.
    fn key(&self) -> &Self::Key;
}

/// What is remembered of the things of a table that may be long, in its order.
///
/// While a round finds the things of the last one in their order, it compares keys and nothing
/// else. Where one came, went or moved, the rest of the list is gone through once more: a table
/// of which all is new costs what its lines cost, not their square.
#[derive(Debug)]
pub struct Table<T> {
    entries: Vec<T>,
    /// How many have come in this round.
    at: usize,
    /// Since the round departed from the last one: what was behind there.
    rest: Vec<Option<T>>,
    /// The first of `rest` that may still be there.
    cursor: usize,
    /// Places in `rest` by their keys' hashes, once one was looked for that is not near.
    index: Option<HashMap<u64, usize>>,
}

/// How far ahead a thing is looked for, where those in front of it may have gone.
const LOOK_AHEAD: usize = 8;

impl<T> Default for Table<T> {
    fn default() -> Table<T> {
        Table { entries: Vec::new(), at: 0, rest: Vec::new(), cursor: 0, index: None }
    }
}

impl<T: Keyed> Table<T> {
    /// A round begins. Where the last one was not ended, what it had not come to is still there.
    pub fn begin(&mut self) {
        self.entries.extend(self.rest.drain(..).flatten());
        (self.at, self.cursor, self.index) = (0, 0, None);
    }

    /// The round's next thing, made by `new` where it was not there before.
    pub fn entry(&mut self, key: &T::Key, new: impl FnOnce() -> T) -> &mut T {
        let at = self.at;
        self.at += 1;
        if self.rest.is_empty() {
            if self.entries.get(at).is_some_and(|entry| entry.key() == key) {
                return &mut self.entries[at];
            }
            self.rest.extend(self.entries.drain(at..).map(Some));
        }
        let entry = self.take(key).unwrap_or_else(new);
        self.entries.push(entry);
        &mut self.entries[at]
    }

    /// The round has ended: what did not come has gone.
    pub fn end(&mut self) {
        self.entries.truncate(self.at);
        self.rest.clear();
        (self.cursor, self.index) = (0, None);
    }

    /// Takes the thing of that key out of the rest.
    #[cold]
    fn take(&mut self, key: &T::Key) -> Option<T> {
        while self.rest.get(self.cursor).is_some_and(Option::is_none) {
            self.cursor += 1;
        }
        let is_it = |entry: &Option<T>| entry.as_ref().is_some_and(|entry| entry.key() == key);
        let near = self.rest[self.cursor..].iter().take(LOOK_AHEAD).position(is_it);
        if let Some(near) = near {
            return self.rest[self.cursor + near].take();
        }
        let index = self.index.get_or_insert_with(|| {
            let all = self.rest.iter().enumerate();
            all.filter_map(|(at, entry)| Some((hash(entry.as_ref()?.key()), at))).collect()
        });
        let at = *index.get(&hash(key))?;
        if is_it(&self.rest[at]) { self.rest[at].take() } else { None }
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

fn hash(key: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is remembered of a letter: the round in which it came.
    impl Keyed for (char, u32) {
        type Key = char;

        fn key(&self) -> &char {
            &self.0
        }
    }

    #[test]
    fn a_table_keeps_what_comes_goes_and_moves() {
        let mut table: Table<(char, u32)> = Table::default();
        let mut round = |names: &str, number: u32| {
            let mut made = String::new();
            table.begin();
            for name in names.chars() {
                table.entry(&name, || {
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
    }

    #[test]
    fn a_round_that_was_broken_off_is_no_round() {
        let mut table: Table<(char, u32)> = Table::default();
        table.begin();
        for name in "abc".chars() {
            table.entry(&name, || (name, 1));
        }
        table.end();
        table.begin();
        table.entry(&'b', || unreachable!("it was there"));
        table.begin();
        assert_eq!(*table.entry(&'b', || unreachable!("it was there")), ('b', 1));
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
            type Key = Counted;
            fn key(&self) -> &Counted {
                &self.0
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
        assert!(COMPARED.get() < 4 * MANY * (LOOK_AHEAD + 3), "{}", COMPARED.get());
    }

    /// Goes through `names` and says which entries had to be made.
    fn round(list: &mut Vec<(char, u32)>, names: &str, number: u32) -> String {
        let mut made = String::new();
        for (at, name) in names.chars().enumerate() {
            entry(
                list,
                at,
                |e| e.0 == name,
                || {
                    made.push(name);
                    (name, number)
                },
            );
        }
        list.truncate(names.chars().count());
        made
    }

    #[test]
    fn entries_survive_what_comes_goes_and_moves() {
        let mut list = Vec::new();
        assert_eq!(round(&mut list, "abcd", 1), "abcd");
        assert_eq!(round(&mut list, "abcd", 2), "");
        assert_eq!(round(&mut list, "acd", 3), "");
        assert_eq!(round(&mut list, "xacd", 4), "x");
        assert_eq!(round(&mut list, "dxab", 5), "b");
        assert_eq!(list, [('d', 1), ('x', 4), ('a', 1), ('b', 5)]);
        assert_eq!(round(&mut list, "", 6), "");
        assert!(list.is_empty());
    }
}
