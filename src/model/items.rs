//! The items of a chunk. There may be a hundred thousand, most of one series each, so what they have in
//! common stands here once.

use std::num::NonZero;
use std::ops::Range;

use super::item::{Item, Key};

/// Since when an item's counters count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// It was there when its source was first read: since the source itself was started.
    Start,
    /// It came later: not before this, in wall-clock milliseconds.
    Ms(NonZero<i64>),
}

/// The first moment that can be told.
const FIRST: NonZero<i64> = NonZero::new(1).unwrap();

impl Since {
    /// Not before `ms`, in wall-clock milliseconds; of the UNIX epoch itself the next one.
    pub fn ms(ms: i64) -> Since {
        Since::Ms(NonZero::new(ms).unwrap_or(FIRST))
    }
}

/// The items of a chunk, in order.
#[derive(Debug)]
pub struct Items {
    keys: Keys,
    /// Since when each counts and whether it is new; one of these where it is the same for all.
    beginnings: Box<[(Since, bool)]>,
    /// Where each one's series end in the chunk; they begin where those of the one before end. None:
    /// each has one series.
    ends: Option<Box<[u32]>>,
}

#[derive(Debug)]
enum Keys {
    /// Their source has the same objects, by which it is compared.
    Held(Box<[Item]>),
    /// One behind the other, and where each ends.
    Packed { text: Box<[u8]>, ends: Box<[u32]> },
}

/// An item with its series' places in the chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkItem<'c> {
    /// Its key.
    pub key: Key<'c>,
    /// Since when it counts.
    pub since: Since,
    /// Whether nothing of it was here before, so that its first value is what has come since then; of those alone that
    /// [count from 0](super::Chunk::counts_from_zero).
    pub is_new: bool,
    /// The places of its series.
    pub places: Range<usize>,
}

impl Items {
    /// How many there are.
    pub fn len(&self) -> usize {
        match &self.keys {
            Keys::Held(items) => items.len(),
            Keys::Packed { ends, .. } => ends.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = ChunkItem<'_>> {
        (0..self.len()).map(|at| self.get(at))
    }

    /// The one at `at`.
    ///
    /// # Panics
    /// If there are fewer, as all of these.
    pub fn get(&self, at: usize) -> ChunkItem<'_> {
        let (since, is_new) = self.beginning(at);
        ChunkItem { key: self.key(at), since, is_new, places: self.places(at) }
    }

    /// The key of that one.
    pub fn key(&self, at: usize) -> Key<'_> {
        match &self.keys {
            Keys::Held(items) => items[at].key(),
            Keys::Packed { text, ends } => {
                let begin = at.checked_sub(1).map_or(0, |before| ends[before] as usize);
                Key::of(&text[begin..ends[at] as usize])
            }
        }
    }

    /// A number that alike keys have in common, of the key of that one.
    pub(super) fn hash(&self, at: usize) -> u64 {
        match &self.keys {
            Keys::Held(items) => items[at].hash(),
            Keys::Packed { .. } => self.key(at).hash(),
        }
    }

    /// Whether that one's key is the very object `item`.
    #[inline]
    pub(super) fn is_object(&self, at: usize, item: &Item) -> bool {
        matches!(&self.keys, Keys::Held(items) if items[at].same(item))
    }

    /// Whether that one has the key of `item`.
    pub(super) fn is(&self, at: usize, item: &Item) -> bool {
        self.is_object(at, item) || self.key(at) == item.key()
    }

    /// The object that is its key, or a new one.
    pub fn item(&self, at: usize) -> Item {
        match &self.keys {
            Keys::Held(items) => items[at].clone(),
            Keys::Packed { .. } => self.key(at).to_item(),
        }
    }

    /// Since when that one counts, and whether it is new.
    pub(super) fn beginning(&self, at: usize) -> (Since, bool) {
        self.beginnings[if self.beginnings.len() == 1 { 0 } else { at }]
    }

    /// The places of that one's series.
    #[inline]
    pub fn places(&self, at: usize) -> Range<usize> {
        match &self.ends {
            None => at..at + 1,
            Some(ends) => at.checked_sub(1).map_or(0, |before| ends[before] as usize)..ends[at] as usize,
        }
    }

    /// Which of them has the series at `place`.
    pub fn of_place(&self, place: usize) -> usize {
        match &self.ends {
            None => place,
            Some(ends) => ends.partition_point(|end| *end as usize <= place),
        }
    }
}

/// Items of chunks that are being made, one after the other. Its room is used again.
#[derive(Debug, Default)]
pub(super) struct ItemsMaker {
    /// Keys are packed.
    packs: bool,
    held: Vec<Item>,
    text: Vec<u8>,
    key_ends: Vec<u32>,
    beginnings: Vec<(Since, bool)>,
    ends: Vec<u32>,
}

impl ItemsMaker {
    /// Whether keys are packed, since nobody compares them with objects.
    pub fn new(packs: bool) -> ItemsMaker {
        ItemsMaker { packs, ..ItemsMaker::default() }
    }

    /// How many there are so far.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// One more, of which `beginning` holds, and whose series end at `end`.
    pub fn add(&mut self, item: &Item, beginning: (Since, bool), end: usize) {
        if self.packs {
            self.pack(item.key());
        } else {
            self.held.push(item.clone());
        }
        self.beginnings.push(beginning);
        self.ends.push(end as u32);
    }

    /// The same, with the key that `items` have at the place `at`.
    pub fn add_of(&mut self, items: &Items, at: usize, beginning: (Since, bool), end: usize) {
        if self.packs {
            self.pack(items.key(at));
        } else {
            self.held.push(items.item(at));
        }
        self.beginnings.push(beginning);
        self.ends.push(end as u32);
    }

    fn pack(&mut self, key: Key<'_>) {
        self.text.extend_from_slice(key.whole());
        self.key_ends.push(self.text.len() as u32);
    }

    /// Those since the last time, each in its exact size.
    pub fn make(&mut self) -> Items {
        let keys = if self.packs {
            Keys::Packed { text: self.text.as_slice().into(), ends: self.key_ends.as_slice().into() }
        } else {
            Keys::Held(self.held.drain(..).collect())
        };
        let is_alike = self.beginnings.windows(2).all(|two| two[0] == two[1]);
        let beginnings =
            &self.beginnings[..if is_alike { self.beginnings.len().min(1) } else { self.beginnings.len() }];
        let is_one_each = (1..).zip(&self.ends).all(|(one, end)| one == *end);
        let items =
            Items { keys, beginnings: beginnings.into(), ends: (!is_one_each).then(|| self.ends.as_slice().into()) };
        self.text.clear();
        self.key_ends.clear();
        self.beginnings.clear();
        self.ends.clear();
        items
    }
}
