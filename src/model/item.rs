//! What a collector tells of one after the other: a device, a core, a mount, a sensor.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// The key of an item: what tells it from the others of its source. Cheap to clone; a
/// collector keeps it from round to round, since it is compared by address first.
#[derive(Clone, Debug)]
pub struct Item(Arc<Key>);

#[derive(Debug)]
struct Key {
    hash: u64,
    kind: &'static str,
    values: Box<[Box<str>]>,
}

impl Item {
    /// An item whose readings' labels have these values, in the order in which they count
    /// them. An item without any is the source itself.
    pub fn new(values: &[&str]) -> Item {
        Item::of_kind("", values)
    }

    /// The same for a source that has items of several kinds, whose keys may be alike.
    pub fn of_kind(kind: &'static str, values: &[&str]) -> Item {
        let mut hasher = DefaultHasher::new();
        (kind, values).hash(&mut hasher);
        let values = values.iter().map(|value| Box::from(*value)).collect();
        Item(Arc::new(Key { hash: hasher.finish(), kind, values }))
    }

    /// The value at the place `at`; empty where there is none.
    pub fn value(&self, at: usize) -> &str {
        self.0.values.get(at).map_or("", |value| value)
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

impl PartialEq for Item {
    fn eq(&self, other: &Item) -> bool {
        let (a, b) = (&self.0, &other.0);
        self.same(other) || (a.hash == b.hash && a.kind == b.kind && a.values == b.values)
    }
}

impl Eq for Item {}
