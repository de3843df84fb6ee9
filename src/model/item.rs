//! What a collector tells of one after the other: a device, a core, a mount, a sensor.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::hash::keyed;

/// The key of an item: what tells it from the others of its source. Cheap to clone; a
/// collector keeps it from round to round, since it is compared by address first.
#[derive(Clone, Debug)]
pub struct Item(Arc<Key>);

/// There may be a hundred thousand items, so a key is one piece of memory beside its head.
#[derive(Debug)]
struct Key {
    hash: u64,
    kind: &'static str,
    /// How many values there are, where each ends in the text behind these numbers, and that text.
    /// Numbers are little-endian, of four bytes.
    packed: Box<[u8]>,
}

/// Of a number in a packed key.
const NUMBER: usize = size_of::<u32>();

impl Item {
    /// An item whose readings' labels have these values, in the order in which they count
    /// them. An item without any is the source itself.
    pub fn new(values: &[&str]) -> Item {
        Item::of_kind("", values)
    }

    /// The same for a source that has items of several kinds, whose keys may be alike.
    pub fn of_kind(kind: &'static str, values: &[&str]) -> Item {
        let mut hasher = keyed();
        (kind, values).hash(&mut hasher);
        let text: usize = values.iter().map(|value| value.len()).sum();
        let mut packed = Vec::with_capacity((1 + values.len()) * NUMBER + text);
        packed.extend_from_slice(&(values.len() as u32).to_le_bytes());
        let mut end = 0;
        for value in values {
            end += value.len() as u32;
            packed.extend_from_slice(&end.to_le_bytes());
        }
        values.iter().for_each(|value| packed.extend_from_slice(value.as_bytes()));
        Item(Arc::new(Key { hash: hasher.finish(), kind, packed: packed.into() }))
    }

    /// The value at the place `at`; empty where there is none.
    pub fn value(&self, at: usize) -> &str {
        self.0.value(at).unwrap_or_default()
    }

    /// Its bytes.
    pub fn bytes(&self, at: usize) -> &[u8] {
        self.0.bytes(at).unwrap_or_default()
    }

    /// A number that items of the same key have in common.
    pub(super) fn hash(&self) -> u64 {
        self.0.hash
    }

    /// Whether both are one object.
    #[inline]
    pub fn same(&self, other: &Item) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Key {
    fn number(&self, at: usize) -> Option<usize> {
        let bytes = self.packed.get(at * NUMBER..)?.first_chunk::<NUMBER>()?;
        Some(u32::from_le_bytes(*bytes) as usize)
    }

    fn value(&self, at: usize) -> Option<&str> {
        std::str::from_utf8(self.bytes(at)?).ok()
    }

    fn bytes(&self, at: usize) -> Option<&[u8]> {
        let count = self.number(0).filter(|count| at < *count)?;
        let text = self.packed.get((1 + count) * NUMBER..)?;
        let begin = if at == 0 { 0 } else { self.number(at)? };
        text.get(begin..self.number(at + 1)?)
    }
}

impl PartialEq for Item {
    fn eq(&self, other: &Item) -> bool {
        let (a, b) = (&self.0, &other.0);
        self.same(other) || (a.hash == b.hash && a.kind == b.kind && a.packed == b.packed)
    }
}

impl Eq for Item {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_they_were_given() {
        let item = Item::new(&["sda", "", "größer\u{0}", "x"]);
        let values: Vec<&str> = (0..5).map(|at| item.value(at)).collect();
        assert_eq!(values, ["sda", "", "größer\u{0}", "x", ""]);
        assert_eq!(Item::new(&[]).value(0), "");
    }

    #[test]
    fn keys_are_equal_where_each_value_is() {
        assert_eq!(Item::new(&["ab", "c"]), Item::new(&["ab", "c"]));
        assert_ne!(Item::new(&["ab", "c"]), Item::new(&["a", "bc"]));
        assert_ne!(Item::of_kind("disk", &["a"]), Item::new(&["a"]));
    }
}
