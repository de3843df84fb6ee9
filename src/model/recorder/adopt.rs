//! How a round that differs from the last one becomes chunks.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use super::super::chunk::{Before, Chunk, Was};
use super::super::hash::AsItIs;
use super::super::items::ItemsMaker;
use super::super::{Attributes, Item, Labels, ReadingRef, Since};
use super::{Group, GroupItem, Piece, Place, Recorder};

impl Recorder {
    /// Makes chunks of the round's pieces. Of items that came twice only the first is kept: a
    /// series that stands twice would make every destination refuse the whole request.
    pub(super) fn adopt(&mut self) {
        let pieces = std::mem::take(&mut self.round.pieces);
        let mut pieces = self.join_small(pieces);
        let mut gone = self.gone(&pieces);
        let mut known = self.known.take().unwrap_or_else(|| self.hashes());
        let mut late = self.late(&mut pieces, &gone, &known);
        gone.keys().for_each(|hash| _ = known.remove(hash));
        let since = self.last_ms.filter(|_| !self.is_of_unknown_start).map_or(Since::Start, Since::ms);
        let mut at_value = 0;
        let mut refused_values: Vec<Range<usize>> = Vec::new();
        let mut chunks: Vec<Arc<Chunk>> = Vec::with_capacity(pieces.len());
        let old_refused = std::mem::take(&mut self.refused_before);
        let mut old_refused = old_refused.into_iter().peekable();
        let mut refused_before = Vec::new();
        for piece in pieces {
            let group = match piece {
                Piece::Kept(at) => {
                    let chunk = &self.chunks[at];
                    at_value += chunk.len();
                    while let Some((place, item)) = old_refused.next_if(|(place, _)| place.chunk <= at) {
                        if place.chunk == at {
                            refused_before.push((Place { chunk: chunks.len(), ..place }, item));
                        }
                    }
                    chunks.push(Arc::clone(chunk));
                    continue;
                }
                Piece::Made(group) => group,
            };
            let mut maker = Maker::new(&self.chunks, &self.labels, self.behind_rules, self.asked.count(), self.packs);
            maker.attributes.clone_from(&self.attributes);
            maker.from_zero = self.from_zero;
            let mut series = group.series.into_iter();
            let mut begin = 0;
            for item in group.items {
                let len = item.end as usize - begin;
                begin = item.end as usize;
                let own = at_value..at_value + len;
                at_value = own.end;
                let mut place = item.before;
                if place.is_none() || !late.is_empty() {
                    let hash = self.hash_of(&item);
                    // One that was there has come again in front of itself: that one takes its place.
                    let late = late.get_mut(&hash);
                    let is_late = late.as_ref().is_some_and(|late| place == Some(late.at));
                    if place.is_none() || is_late {
                        let first =
                            late.and_then(|late| (!std::mem::replace(&mut late.has_come, true)).then_some(late.at));
                        place = first.or_else(|| gone.remove(&hash));
                        if first.is_none() && !known.insert(hash) {
                            self.refused.duplicate += len as u64;
                            refused_values.push(own);
                            series.by_ref().take(len).for_each(drop);
                            let at = Place { chunk: chunks.len(), item: maker.items.len() };
                            refused_before.extend(self.item_of(item).map(|item| (at, item)));
                            continue;
                        }
                    }
                }
                let beginning = match (place, item.beginning) {
                    (Some(place), _) => self.chunks[place.chunk].items().beginning(place.item),
                    (None, (Since::Start, is_new)) => (since, is_new),
                    (None, said) => said,
                };
                maker.add(&item, beginning, series.by_ref().take(len), place);
                if maker.series.len() >= self.unrest.size() {
                    chunks.extend(maker.make());
                }
            }
            chunks.extend(maker.make());
        }
        // One that stands behind the last item of its chunk is met in front of the next chunk's first.
        for (place, _) in &mut refused_before {
            let len = chunks.get(place.chunk).map_or(0, |chunk| chunk.items().len());
            if place.item >= len && place.item > 0 {
                *place = Place { chunk: place.chunk + 1, item: 0 };
            }
        }
        // Where the item that was there has gone, the other one takes its place in the next round.
        refused_before.retain(|(_, item)| known.contains(&item.hash()));
        // Where it goes on changing it would be made again and again.
        self.known = (!self.chunks.is_empty()).then_some(known);
        self.refused_before = refused_before;
        if !refused_values.is_empty() {
            self.round.values = self.round.values.without(&refused_values);
        }
        self.last_round.left_out = refused_values;
        self.chunks = chunks.into();
    }

    /// The hashes of all items of the last round.
    fn hashes(&self) -> HashSet<u64, AsItIs> {
        let items = self.chunks.iter().flat_map(|chunk| (0..chunk.items().len()).map(|at| chunk.items().hash(at)));
        items.collect()
    }

    fn hash_of(&self, item: &GroupItem) -> u64 {
        match (&item.item, item.before) {
            (Some(item), _) => item.hash(),
            (None, Some(before)) => self.chunks[before.chunk].items().hash(before.item),
            // There is no such one.
            (None, None) => 0,
        }
    }

    fn item_of(&self, item: GroupItem) -> Option<Item> {
        let before = item.before;
        item.item.or_else(|| before.map(|before| self.chunks[before.chunk].items().item(before.item)))
    }

    /// The items of the last round that have come again in front of themselves, by their hash. What was kept of
    /// their chunks is made anew.
    fn late(
        &self,
        pieces: &mut [Piece],
        gone: &HashMap<u64, Place, AsItIs>,
        known: &HashSet<u64, AsItIs>,
    ) -> HashMap<u64, Late, AsItIs> {
        let mut late = HashMap::default();
        // Those that have come a second time, or moved where nobody looked; whether they have come where they are new.
        let mut twice: HashMap<u64, bool, AsItIs> = HashMap::default();
        for piece in &*pieces {
            let Piece::Made(group) = piece else { continue };
            let new = group.items.iter().filter(|item| item.before.is_none()).map(|item| self.hash_of(item));
            twice.extend(new.filter(|hash| known.contains(hash) && !gone.contains_key(hash)).map(|hash| (hash, false)));
        }
        if twice.is_empty() {
            return late;
        }
        let mut look = |hash: u64, before: Option<Place>| {
            match (twice.get_mut(&hash), before) {
                (Some(has_come), None) => *has_come = true,
                (Some(true), Some(at)) => _ = late.insert(hash, Late { at, has_come: false }),
                _ => return false,
            }
            before.is_some()
        };
        for piece in pieces {
            match piece {
                Piece::Made(group) => group.items.iter().for_each(|item| _ = look(self.hash_of(item), item.before)),
                Piece::Kept(at) => {
                    let (chunk, mut is_any) = (&self.chunks[*at], false);
                    for item in 0..chunk.items().len() {
                        is_any |= look(chunk.items().hash(item), Some(Place { chunk: *at, item }));
                    }
                    if is_any {
                        *piece = Piece::Made(Group::of(*at, chunk));
                    }
                }
            }
        }
        late
    }

    /// The items of the chunks that are not kept and that no item of the groups is known to be, by
    /// their hash.
    fn gone(&self, pieces: &[Piece]) -> HashMap<u64, Place, AsItIs> {
        // Where the items of each chunk begin among those that may have gone; none: it is kept.
        let mut begins = vec![Some(0); self.chunks.len()];
        for piece in pieces {
            if let Piece::Kept(at) = piece {
                begins[*at] = None;
            }
        }
        let mut count = 0;
        for (begin, chunk) in begins.iter_mut().zip(self.chunks.iter()) {
            if let Some(begin) = begin {
                *begin = count;
                count += chunk.items().len();
            }
        }
        let mut came = vec![false; count];
        for piece in pieces {
            let Piece::Made(group) = piece else { continue };
            for Place { chunk, item } in group.items.iter().filter_map(|item| item.before) {
                if let Some(begin) = begins[chunk] {
                    came[begin + item] = true;
                }
            }
        }
        let mut gone = HashMap::default();
        for (chunk, begin) in begins.iter().enumerate().filter_map(|(at, begin)| Some((at, (*begin)?))) {
            let items = self.chunks[chunk].items();
            for item in (0..items.len()).filter(|item| !came[begin + item]) {
                gone.insert(items.hash(item), Place { chunk, item });
            }
        }
        gone
    }

    /// Joins small chunks beside what is made anew to it, so that they do not become many.
    fn join_small(&self, pieces: Vec<Piece>) -> Vec<Piece> {
        let mut joined: Vec<Piece> = Vec::with_capacity(pieces.len());
        for piece in pieces {
            match (joined.last_mut(), piece) {
                (Some(Piece::Made(group)), Piece::Kept(at)) if self.is_small(group, at) => {
                    group.append(Group::of(at, &self.chunks[at]));
                }
                (Some(Piece::Made(group)), Piece::Made(more)) => group.append(more),
                (Some(Piece::Kept(at)), Piece::Made(more)) if self.is_small(&more, *at) => {
                    let mut group = Group::of(*at, &self.chunks[*at]);
                    group.append(more);
                    joined.pop();
                    joined.push(Piece::Made(group));
                }
                (_, piece) => joined.push(piece),
            }
        }
        joined
    }

    /// Whether the group and the chunk at `at` together are no more than one chunk should be.
    fn is_small(&self, group: &Group, at: usize) -> bool {
        group.series.len() + self.chunks[at].len() <= self.unrest.size()
    }
}

impl Piece {
    /// How many series of it are made anew.
    pub(super) fn made(&self) -> usize {
        match self {
            Piece::Kept(_) => 0,
            Piece::Made(group) => group.series.len(),
        }
    }
}

impl Group {
    /// The chunk at `at` of the last round.
    pub(super) fn of(at: usize, chunk: &Chunk) -> Group {
        let mut group = Group::default();
        group.add(at, chunk, chunk.items().len(), chunk.len());
        group
    }

    /// Adds the first items of the chunk at `at`, and the first series.
    pub(super) fn add(&mut self, at: usize, chunk: &Chunk, items: usize, series: usize) {
        let of = chunk.items();
        self.items.extend((0..items).map(|item| {
            let (beginning, end) = (of.beginning(item), of.places(item).end as u32);
            GroupItem { item: None, beginning, end, before: Some(Place { chunk: at, item }) }
        }));
        self.series.extend((0..series).map(|place| chunk.readings().get(place).clone()));
    }

    fn append(&mut self, more: Group) {
        let begin = self.series.len() as u32;
        self.items.extend(more.items.into_iter().map(|item| GroupItem { end: begin + item.end, ..item }));
        self.series.extend(more.series);
    }
}

/// An item of the last round in front of which another one has come that is the same.
struct Late {
    /// Where it was.
    at: Place,
    /// The other one has taken its place.
    has_come: bool,
}

/// A chunk that is being made.
struct Maker<'c> {
    old: &'c [Arc<Chunk>],
    labels: &'c Labels,
    attributes: Option<Attributes>,
    from_zero: bool,
    items: ItemsMaker,
    series: Vec<ReadingRef>,
    chunks: Vec<u64>,
    places: Vec<Was>,
    behind_rules: Option<u16>,
    slots: usize,
}

impl<'c> Maker<'c> {
    fn new(
        old: &'c [Arc<Chunk>],
        labels: &'c Labels,
        behind_rules: Option<u16>,
        slots: usize,
        packs: bool,
    ) -> Maker<'c> {
        Maker {
            old,
            labels,
            attributes: None,
            from_zero: false,
            items: ItemsMaker::new(packs),
            series: Vec::with_capacity(Chunk::SIZE),
            chunks: Vec::new(),
            places: Vec::with_capacity(Chunk::SIZE),
            behind_rules,
            slots,
        }
    }

    /// Adds an item, of which `beginning` holds, and which the last round had at `before`.
    fn add(
        &mut self,
        item: &GroupItem,
        beginning: (Since, bool),
        series: impl Iterator<Item = ReadingRef>,
        before: Option<Place>,
    ) {
        let old = before.map(|place| {
            let chunk = &self.old[place.chunk];
            let at = self.chunks.iter().rposition(|id| *id == chunk.id()).unwrap_or_else(|| {
                self.chunks.push(chunk.id());
                self.chunks.len() - 1
            });
            (at, chunk, chunk.items().places(place.item))
        });
        for (at, reading) in series.enumerate() {
            let place = old.as_ref().and_then(|(chunk_at, chunk, places)| {
                // Mostly the same readings in the same order.
                let is_it = |place: &usize| chunk.readings().get(*place).same(&reading);
                let same = Some(places.start + at).filter(|place| places.contains(place) && is_it(place));
                let place = same.or_else(|| places.clone().find(is_it))?;
                Some(Was::at(*chunk_at, place))
            });
            self.places.push(place.unwrap_or(Was::NEW));
            self.series.push(reading);
        }
        let end = self.series.len();
        match (&item.item, item.before) {
            (Some(item), _) => self.items.add(item, beginning, end),
            (None, Some(Place { chunk, item })) => self.items.add_of(self.old[chunk].items(), item, beginning, end),
            // There is no such one.
            (None, None) => {}
        }
    }

    /// The chunk, if anything is in it.
    fn make(&mut self) -> Option<Arc<Chunk>> {
        if self.items.len() == 0 {
            return None;
        }
        // What is kept has its exact size, and the room here is used again.
        let before = Before::new(&self.chunks, &self.places);
        let (items, readings) = (self.items.make(), self.series.drain(..).collect());
        self.chunks.clear();
        self.places.clear();
        let chunk = Chunk::new(items, readings, self.labels.clone(), before, self.slots);
        Some(Arc::new(chunk.behind(self.behind_rules).of(self.attributes.clone()).counting_from_zero(self.from_zero)))
    }
}
