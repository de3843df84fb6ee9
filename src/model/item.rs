//! What a collector tells of one after the other: a device, a core, a mount, a sensor.

use std::hash::Hasher;
use std::sync::Arc;

use super::hash::keyed;

/// The key of an item: what tells it from the others of its source. Cheap to clone; a
/// collector keeps it from round to round, since it is compared by address first.
#[derive(Clone, Debug)]
pub struct Item(Arc<Packed>);

/// There may be a hundred thousand items, so a key is one piece of memory beside its head.
#[derive(Debug)]
struct Packed {
    hash: u64,
    bytes: Box<[u8]>,
}

/// A key as a chunk has it.
///
/// Its bytes are: how long its kind is, in a byte with `WIDE`; the kind; how many values there are,
/// where each ends in the text behind these numbers; and that text. Numbers have one byte, or four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key<'k>(&'k [u8]);

/// A flag: the text, or the number of values, needs numbers of four bytes.
const WIDE: u8 = 1 << 7;

impl Item {
    /// The kind of items of which several may be parts of one thing, such as a histogram whose series do not all stand
    /// together: what tells these apart is the last value alone. Those that do stand together are one item, in a
    /// recorder [by number](super::Recorder::know_by_number).
    pub const PART: &'static str = "part";

    /// An item whose readings' labels have these values, in the order in which they count
    /// them. An item without any is the source itself.
    pub fn new(values: &[&str]) -> Item {
        Item::of_kind("", values)
    }

    /// The same for a source that has items of several kinds, whose keys may be alike.
    pub fn of_kind(kind: &'static str, values: &[&str]) -> Item {
        let text: usize = values.iter().map(|value| value.len()).sum();
        let is_wide = text.max(values.len()) > usize::from(u8::MAX);
        let number = if is_wide { size_of::<u32>() } else { size_of::<u8>() };
        let mut packed = Vec::with_capacity(1 + kind.len() + (1 + values.len()) * number + text);
        // Kinds are words of ours.
        debug_assert!(kind.len() < usize::from(WIDE));
        packed.push(kind.len() as u8 | if is_wide { WIDE } else { 0 });
        packed.extend_from_slice(kind.as_bytes());
        let mut add = |value: usize| packed.extend_from_slice(&(value as u32).to_le_bytes()[..number]);
        add(values.len());
        let mut end = 0;
        for value in values {
            end += value.len();
            add(end);
        }
        values.iter().for_each(|value| packed.extend_from_slice(value.as_bytes()));
        Item(Arc::new(Packed { hash: Key(&packed).hash(), bytes: packed.into() }))
    }

    /// The key, as a chunk has it.
    pub fn key(&self) -> Key<'_> {
        Key(&self.0.bytes)
    }

    /// A number that items of the same key have in common: [`Key::hash`].
    pub(super) fn hash(&self) -> u64 {
        self.0.hash
    }

    /// Whether both are one object.
    #[inline]
    pub fn same(&self, other: &Item) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<'k> Key<'k> {
    /// The key that has these bytes, which are one's [`Key::bytes`].
    pub(super) fn of(bytes: &'k [u8]) -> Key<'k> {
        Key(bytes)
    }

    /// All of it.
    pub(super) fn whole(self) -> &'k [u8] {
        self.0
    }

    /// The value at the place `at`; empty where there is none.
    pub fn value(self, at: usize) -> &'k str {
        std::str::from_utf8(self.bytes(at)).unwrap_or_default()
    }

    /// Its bytes.
    pub fn bytes(self, at: usize) -> &'k [u8] {
        self.find(at).unwrap_or_default()
    }

    fn find(self, at: usize) -> Option<&'k [u8]> {
        let (head, rest) = self.0.split_first()?;
        let rest = rest.get(usize::from(head & !WIDE)..)?;
        if head & WIDE == 0 { packed_value::<1>(rest, at) } else { packed_value::<4>(rest, at) }
    }

    /// A number that alike keys have in common.
    pub(super) fn hash(self) -> u64 {
        let mut hasher = keyed();
        hasher.write(self.0);
        hasher.finish()
    }

    /// The kind that it was made with.
    fn kind(self) -> &'k [u8] {
        let Some((head, rest)) = self.0.split_first() else { return &[] };
        rest.get(..usize::from(head & !WIDE)).unwrap_or_default()
    }

    /// Whether both are of [`Item::PART`], and of one thing.
    pub(super) fn is_part_with(self, other: Key<'_>) -> bool {
        if self.kind() != Item::PART.as_bytes() || other.kind() != Item::PART.as_bytes() {
            return false;
        }
        // All values but the last.
        let ends = |at: usize| (self.find(at + 1).is_none(), other.find(at + 1).is_none());
        for at in 0.. {
            match ends(at) {
                (false, false) if self.bytes(at) == other.bytes(at) => {}
                (is_end, other_is_end) => return is_end && other_is_end,
            }
        }
        false
    }

    /// An item that is a part of the same thing, which begins with the series `own` of the item of this key.
    pub(super) fn part_from(self, own: usize) -> Item {
        let mut values: Vec<&str> =
            (0..).map_while(|at| self.find(at)).map(|value| std::str::from_utf8(value).unwrap_or_default()).collect();
        let last = format!("{}/{own}", values.pop().unwrap_or_default());
        values.push(&last);
        Item::of_kind(Item::PART, &values)
    }

    /// An item of this key.
    pub fn to_item(self) -> Item {
        Item(Arc::new(Packed { hash: self.hash(), bytes: self.0.into() }))
    }
}

/// The value at `at` among those in `packed`, whose numbers are so long.
fn packed_value<const LEN: usize>(packed: &[u8], at: usize) -> Option<&[u8]> {
    let number = |at: usize| {
        let mut number = [0; size_of::<u32>()];
        number[..LEN].copy_from_slice(packed.get(at * LEN..)?.first_chunk::<LEN>()?);
        Some(u32::from_le_bytes(number) as usize)
    };
    let count = number(0).filter(|count| at < *count)?;
    let text = packed.get((1 + count) * LEN..)?;
    let begin = if at == 0 { 0 } else { number(at)? };
    text.get(begin..number(at + 1)?)
}

impl PartialEq for Item {
    fn eq(&self, other: &Item) -> bool {
        self.same(other) || self.key() == other.key()
    }
}

impl Eq for Item {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_they_were_given() {
        let item = Item::new(&["sda", "", "größer\u{0}", "x"]);
        let values: Vec<&str> = (0..5).map(|at| item.key().value(at)).collect();
        assert_eq!(values, ["sda", "", "größer\u{0}", "x", ""]);
        assert_eq!(Item::new(&[]).key().value(0), "");
        // Beyond what two bytes can say.
        let long = "x".repeat(70_000);
        let item = Item::of_kind("disk", &["sda", &long, "y"]);
        assert!(["sda", &long, "y"].iter().enumerate().all(|(at, value)| item.key().value(at) == *value));
        let many = vec!["z"; 70_000];
        assert_eq!((Item::new(&many).key().value(69_999), Item::new(&many).key().value(70_000)), ("z", ""));
    }

    #[test]
    fn keys_are_equal_where_each_value_is() {
        assert_eq!(Item::new(&["ab", "c"]), Item::new(&["ab", "c"]));
        assert_ne!(Item::new(&["ab", "c"]), Item::new(&["a", "bc"]));
        assert_ne!(Item::of_kind("disk", &["a"]), Item::new(&["a"]));
    }
}
