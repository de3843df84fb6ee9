//! What is remembered of a kernel file that is a table of keys: a reading for each key, learnt as they come.
//!
//! Kernels add keys, so no table of ours is complete; what a key is called is a rule. A key costs
//! nothing until a host has it.

use std::sync::Arc;

use super::keyed::{Keyed, Table};
use super::partial::Bound;
use crate::model::{Learnt, Scheme, Writer};

/// No kernel's table has as many; what is beyond is passed over, and said.
const MAX_KEYS: usize = 512;

/// What the reading of a key is: of the key's text and what else tells it from others; none: it is
/// not shown.
type Rule = fn(&[u8], u8) -> Option<Learnt>;

/// The keys of one file, in its order.
#[derive(Debug)]
pub struct Keys {
    /// Whose they are.
    collector: &'static str,
    rule: Rule,
    keys: Table<Key>,
    /// The place of the next key.
    at: usize,
    /// Whether this round's keys were so far those of the last round.
    is_in_step: bool,
    /// Whether the last round was gone through to its end.
    has_ended: bool,
    /// There were more than [`MAX_KEYS`].
    is_over: bool,
    bound: Bound,
}

#[derive(Debug)]
struct Key {
    text: Box<[u8]>,
    tag: u8,
    /// Where it stood when it was last held against those before it.
    place: Option<usize>,
    /// None where it is not shown, or one before has the same name.
    reading: Option<Arc<Learnt>>,
}

impl Keys {
    /// Keys of a collector's table, that are named by `rule`.
    pub fn new(collector: &'static str, rule: Rule) -> Keys {
        Keys {
            collector,
            rule,
            keys: Table::default(),
            at: 0,
            is_in_step: true,
            has_ended: true,
            is_over: false,
            bound: Bound::default(),
        }
    }

    /// A round begins.
    pub fn begin(&mut self) {
        self.keys.begin();
        (self.at, self.is_in_step, self.has_ended, self.is_over) = (0, self.has_ended, false, false);
    }

    /// The file's next key, and its number.
    #[inline]
    pub fn push(&mut self, text: &[u8], tag: u8, number: f64, out: &mut Writer<'_>) {
        if self.at == MAX_KEYS {
            self.is_over = true;
            return;
        }
        let rule = self.rule;
        let new = || Key { text: text.into(), tag, place: None, reading: rule(text, tag).map(Arc::new) };
        let key = self.keys.entry((text, tag), new);
        // Behind a key that is new, others may have the name that had one before.
        self.is_in_step = self.is_in_step && key.place == Some(self.at);
        let shown = if self.is_in_step { key.reading.as_ref() } else { self.settle() };
        if let Some(reading) = shown {
            out.push_learnt(reading, number);
        }
        self.at += 1;
    }

    /// The round has ended: what did not come is forgotten.
    pub fn end(&mut self) {
        self.keys.end();
        self.has_ended = true;
        self.bound.tell(self.is_over, self.collector, "keys", MAX_KEYS);
    }

    /// The reading of the key that came last, unless one before has its name: a series that stands
    /// twice would make destinations refuse the whole request.
    #[cold]
    fn settle(&mut self) -> Option<&Arc<Learnt>> {
        let (key, before) = self.keys.come().split_last_mut()?;
        key.place = Some(self.at);
        if key.reading.is_none() {
            key.reading = (self.rule)(&key.text, key.tag).map(Arc::new);
        }
        let names = |key: &Key| {
            let name = |scheme| Some(key.reading.as_ref()?.face(scheme)?.family.name.to_owned());
            Scheme::ALL.map(name)
        };
        let own = names(key);
        let clashes = |other: &Key| names(other).iter().zip(&own).any(|(a, b)| a.is_some() && a == b);
        if before.iter().any(clashes) {
            key.reading = None;
        }
        key.reading.as_ref()
    }
}

impl Keyed for Key {
    type Key<'a> = (&'a [u8], u8);

    fn key(&self) -> (&[u8], u8) {
        (&self.text, self.tag)
    }

    fn is(&self, (text, tag): (&[u8], u8)) -> bool {
        self.tag == tag && *self.text == *text
    }
}

/// `key` as a part of a metric's name: what such a name cannot hold becomes `_`.
pub fn clean(key: &[u8]) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    String::from_utf8_lossy(key).chars().map(|c| if is_plain(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::testing::samples;
    use crate::model::{Family, Item};

    fn rule(key: &[u8], tag: u8) -> Option<Learnt> {
        let name = format!("test_{}{}", clean(key), if tag == 1 { "_bytes" } else { "" });
        (key != b"hidden").then(|| Learnt::new(Scheme::Native, Family::untyped(&name, "", "A key."), &[]))
    }

    #[test]
    fn a_key_has_one_reading_for_as_long_as_it_comes_and_a_name_one_key() {
        let item = Item::new(&[]);
        let mut keys = Keys::new("test", rule);
        let mut round = |given: &[(&str, u8)]| {
            let shown = samples(|out| {
                let mut out = out.item(&item);
                keys.begin();
                for (number, (key, tag)) in given.iter().enumerate() {
                    keys.push(key.as_bytes(), *tag, number as f64, &mut out);
                }
                keys.end();
            });
            shown.into_iter().map(|(name, number)| format!("{name}={number}")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(round(&[("a", 0), ("hidden", 0), ("b(c)", 1)]), "test_a=0 test_b_c__bytes=2");
        assert_eq!(round(&[("x", 0), ("a", 0), ("a", 1)]), "test_x=0 test_a=1 test_a_bytes=2");
        assert_eq!(round(&[("b c", 0), ("b.c", 0), ("b.c", 0)]), "test_b_c=0", "the first of a name counts");
        assert_eq!(round(&[("b.c", 0), ("b c", 0)]), "test_b_c=0", "whichever that is now");
        assert_eq!(round(&[]), "");
    }

    #[test]
    fn a_name_has_one_key_also_behind_a_round_that_broke_off() {
        let item = Item::new(&[]);
        let mut keys = Keys::new("test", rule);
        let mut round = |given: &str, is_whole: bool| {
            let shown = samples(|out| {
                let mut out = out.item(&item);
                keys.begin();
                for key in given.split('|') {
                    keys.push(key.as_bytes(), 0, 1.0, &mut out);
                }
                if is_whole {
                    keys.end();
                }
            });
            shown.into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(round("a|b.c|d", true), "test_a test_b_c test_d");
        assert_eq!(round("b c", false), "test_b_c");
        assert_eq!(round("b c|b.c|d", true), "test_b_c test_d");
        assert_eq!(round("b.c|d", true), "test_b_c test_d", "what took its name has gone");
    }

    #[test]
    fn keys_are_bounded() {
        let item = Item::new(&[]);
        let mut keys = Keys::new("test", rule);
        let shown = samples(|out| {
            let mut out = out.item(&item);
            keys.begin();
            for key in 0..MAX_KEYS + 9 {
                keys.push(key.to_string().as_bytes(), 0, 1.0, &mut out);
            }
            keys.end();
        });
        assert_eq!(shown.len(), MAX_KEYS);
        assert!(keys.is_over);
    }
}
