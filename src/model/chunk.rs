//! A stretch of the series that a source gives, tick after tick.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::items::{Items, ItemsMaker};
use super::{Attributes, ChunkItem, Labels, ReadingRef, Readings, Scheme};

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
    /// How many series it has: who goes through all chunks asks for no more.
    len: usize,
    items: Arc<Items>,
    readings: Arc<Readings>,
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
    pub(super) fn new(items: Items, readings: Readings, labels: Labels, before: Before, slots: usize) -> Chunk {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let views = (0..Scheme::ALL.len() + slots).map(|_| OnceLock::new()).collect();
        let (len, items, readings) = (readings.len(), Arc::new(items), Arc::new(readings));
        Chunk {
            id,
            len,
            items,
            readings,
            labels,
            attributes: None,
            from_zero: false,
            behind_rules: None,
            before,
            views,
        }
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
        // What a source compares with objects is no part.
        let mut items = ItemsMaker::new(true);
        let mut left = places.iter().map(|place| *place as usize).peekable();
        let mut len = 0;
        for (at, item) in self.items.iter().enumerate() {
            let before = len;
            while left.next_if(|place| *place < item.places.end).is_some() {
                len += 1;
            }
            if len > before {
                items.add_of(&self.items, at, (item.since, item.is_new), len);
            }
        }
        let readings = places.iter().map(|place| self.readings.get(*place as usize).clone()).collect();
        let part = Chunk::new(items.make(), readings, self.labels.clone(), Before::default(), self.slots().len());
        part.behind(self.behind_rules).of(self.attributes.clone()).counting_from_zero(self.from_zero)
    }

    /// Unique in this process; never used again, also when the chunk is gone.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// How many series it has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Its items, in order.
    pub fn items(&self) -> &Arc<Items> {
        &self.items
    }

    /// What its series are readings of, in the order of a frame's values.
    pub fn readings(&self) -> &Arc<Readings> {
        &self.readings
    }

    /// Each series with its item.
    pub fn each(&self) -> impl Iterator<Item = (ChunkItem<'_>, &ReadingRef)> {
        let of = |item: ChunkItem<'_>| item.places.clone();
        self.items
            .iter()
            .flat_map(move |item| of(item.clone()).map(move |place| (item.clone(), self.readings.get(place))))
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
