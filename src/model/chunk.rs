//! A stretch of the series that a source gives, tick after tick.

use std::any::Any;
use std::num::NonZero;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::{Attributes, Item, Labels, ReadingRef, Scheme};

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

/// An item with its series' place in the chunk.
#[derive(Clone, Debug)]
pub struct ChunkItem {
    /// Its key.
    pub item: Item,
    /// Since when it counts.
    pub since: Since,
    /// Whether nothing of it was here before, so that its first value is what has come since then; of those alone that
    /// [count from 0](Chunk::counts_from_zero).
    pub is_new: bool,
    /// Where its series end in the chunk; they begin where those of the item before end.
    pub end: u32,
}

/// Where a chunk's series come from: the chunks before it, by id, and each series' place there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// The chunks, by id.
    pub chunks: Box<[u64]>,
    /// For each series where it was; empty: all are new.
    places: Box<[Was]>,
}

/// Which chunk of [`Before::chunks`] had a series, in the upper byte, and at which place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Was(u32);

impl Was {
    /// It is new.
    pub(super) const NEW: Was = Was(u32::MAX);

    const PLACE: u32 = (1 << 24) - 1;

    /// At `place` of the chunk at `chunk`. It counts as new where so much cannot be said, which
    /// costs whoever asks a look at its labels.
    pub(super) fn at(chunk: usize, place: usize) -> Was {
        let fits = chunk < 255 && place <= Was::PLACE as usize;
        if fits { Was((chunk as u32) << 24 | place as u32) } else { Was::NEW }
    }

    fn get(self) -> Option<(usize, usize)> {
        (self != Was::NEW).then_some(((self.0 >> 24) as usize, (self.0 & Was::PLACE) as usize))
    }
}

impl Before {
    pub(super) fn new(chunks: &[u64], places: &[Was]) -> Before {
        if chunks.is_empty() {
            return Before::default();
        }
        Before { chunks: chunks.into(), places: places.into() }
    }

    /// Where the series at `at` was: which of the chunks had it, and at which place; none: it is new.
    pub fn of(&self, at: usize) -> Option<(usize, usize)> {
        self.places.get(at)?.get()
    }
}

/// About [`Chunk::SIZE`] series of whole items, immutable and shared. What a destination
/// makes of a chunk it makes once.
#[derive(Debug)]
pub struct Chunk {
    id: u64,
    items: Arc<[ChunkItem]>,
    series: Box<[ReadingRef]>,
    labels: Labels,
    attributes: Option<Attributes>,
    from_zero: bool,
    behind_rules: Option<u16>,
    before: Before,
    views: Box<[Slot]>,
}

/// Room for what somebody makes of a chunk, filled once.
pub type Slot = OnceLock<Arc<dyn Any + Send + Sync>>;

impl Chunk {
    /// How many series a chunk is made to hold. An item is never divided, so there may be more.
    pub const SIZE: usize = 64;

    /// The same of a source of which something comes and goes all the time, here and there: a series
    /// that does costs that its chunk is made anew. All the time smaller ones cost bytes on the wire,
    /// since nothing in a chunk's bytes refers to another one's, and memory.
    pub(super) const SMALL: usize = 16;

    /// A chunk of a source with these labels, with an id that no other one of this process has,
    /// and room for a view by each scheme alone and `slots` more. It is of what a source gives.
    pub(super) fn new(
        items: Arc<[ChunkItem]>,
        series: Box<[ReadingRef]>,
        labels: Labels,
        before: Before,
        slots: usize,
    ) -> Chunk {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let views = (0..Scheme::ALL.len() + slots).map(|_| OnceLock::new()).collect();
        Chunk { id, items, series, labels, attributes: None, from_zero: false, behind_rules: None, before, views }
    }

    /// The same of what so many rules of a destination have made; see [`Chunk::behind_rules`].
    pub(super) fn behind(self, rules: Option<u16>) -> Chunk {
        Chunk { behind_rules: rules, ..self }
    }

    /// The same, whose counters began at 0, or not; see [`Chunk::counts_from_zero`].
    pub(super) fn counting_from_zero(self, from_zero: bool) -> Chunk {
        Chunk { from_zero, ..self }
    }

    /// The same of a source with these attributes; see [`Chunk::attributes`].
    pub(super) fn of(self, attributes: Option<Attributes>) -> Chunk {
        Chunk { attributes, ..self }
    }

    /// Those of its series alone that stand at `places`, which ascend, as a chunk of its own.
    pub fn part(&self, places: &[u32]) -> Chunk {
        let mut items = Vec::new();
        let mut series = Vec::with_capacity(places.len());
        let mut left = places;
        for (at, item) in self.items.iter().enumerate() {
            let own = left.iter().take_while(|place| (**place as usize) < self.places(at).end).count();
            let (places, behind) = left.split_at(own);
            left = behind;
            series.extend(places.iter().filter_map(|place| self.series.get(*place as usize)).cloned());
            if own > 0 {
                items.push(ChunkItem { end: series.len() as u32, ..item.clone() });
            }
        }
        let part = Chunk::new(items.into(), series.into(), self.labels.clone(), Before::default(), self.slots().len());
        part.behind(self.behind_rules).of(self.attributes.clone()).counting_from_zero(self.from_zero)
    }

    /// Unique in this process; never used again, also when the chunk is gone.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// How many series it has.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// Its items, in order.
    pub fn items(&self) -> &Arc<[ChunkItem]> {
        &self.items
    }

    /// What its series are readings of, in the order of a frame's values.
    pub fn series(&self) -> &[ReadingRef] {
        &self.series
    }

    /// The places of the series of the item at `at`.
    pub fn places(&self, at: usize) -> Range<usize> {
        let begin = at.checked_sub(1).map_or(0, |before| self.items[before].end as usize);
        begin..self.items[at].end as usize
    }

    /// Each series with its item.
    pub fn each(&self) -> impl Iterator<Item = (&ChunkItem, &ReadingRef)> {
        self.items.iter().enumerate().flat_map(|(at, item)| self.series[self.places(at)].iter().map(move |r| (item, r)))
    }

    /// Labels that its source has, for all of its series that have none of that name themselves.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// What there is to say of its source's resource besides its labels.
    pub fn attributes(&self) -> &[(Box<str>, Box<str>)] {
        self.attributes.as_deref().unwrap_or_default()
    }

    /// How many of a destination's rules are behind its series already, where one of these has made
    /// them: they have their names and labels as that destination sees them. None: they are as a
    /// source gives them.
    pub fn behind_rules(&self) -> Option<usize> {
        self.behind_rules.map(usize::from)
    }

    /// Whether what counts in its items was 0 at the time since when it counts, where that is known: where it is
    /// metricsd's own count, or its source says so, and no other's that was only found.
    pub fn counts_from_zero(&self) -> bool {
        self.from_zero
    }

    /// Where its series come from.
    pub fn before(&self) -> &Before {
        &self.before
    }

    /// The room for the view by the names of `scheme` and without labels and rules.
    pub fn slot(&self, scheme: Scheme) -> &Slot {
        &self.views[scheme.index()]
    }

    /// The room for other views: whichever is asked for first takes the first that is free.
    pub fn slots(&self) -> &[Slot] {
        &self.views[Scheme::ALL.len()..]
    }
}
