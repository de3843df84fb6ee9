//! How a round that differs from the last one becomes chunks.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::chunk::{Before, Chunk, ChunkItem, Since};
use super::super::{Labels, ReadingRef};
use super::{Group, Piece, Place, Recorder, Values};

impl Recorder {
    /// Makes chunks of the round's pieces. Of items that came twice only the first is kept: a
    /// series that stands twice would make every destination refuse the whole request.
    pub(super) fn adopt(&mut self) {
        let pieces = std::mem::take(&mut self.round.pieces);
        let pieces = self.join_small(pieces);
        let mut gone = self.gone(&pieces);
        let mut known = std::mem::take(&mut self.known);
        gone.keys().for_each(|hash| _ = known.remove(hash));
        let since = self.last_ms.filter(|_| !self.is_of_unknown_start).map_or(Since::Start, Since::Ms);
        let given = std::mem::take(&mut self.round.values);
        let mut values = Values::default();
        values.numbers.reserve(given.len());
        let mut at_value = 0;
        let mut chunks: Vec<Arc<Chunk>> = Vec::with_capacity(pieces.len());
        let mut refused_before = Vec::new();
        for piece in pieces {
            let group = match piece {
                Piece::Kept(at) => {
                    let chunk = &self.chunks[at];
                    values.extend(&given, at_value..at_value + chunk.len());
                    at_value += chunk.len();
                    for (place, item) in &self.refused_before {
                        if place.chunk == at {
                            refused_before.push((Place { chunk: chunks.len(), ..*place }, item.clone()));
                        }
                    }
                    chunks.push(Arc::clone(chunk));
                    continue;
                }
                Piece::Made(group) => group,
            };
            let mut maker = Maker::new(&self.chunks, &self.labels, self.asked.count());
            let mut begin = 0;
            for mut item in group.items {
                let end = item.end as usize;
                let series = &group.series[begin..end];
                begin = end;
                let own = at_value..at_value + series.len();
                at_value = own.end;
                let before = gone.remove(&item.item.hash());
                if !known.insert(item.item.hash()) {
                    self.refused.duplicate += series.len() as u64;
                    let item_at = maker.items.len();
                    refused_before.push((Place { chunk: chunks.len(), item: item_at }, item.item));
                    continue;
                }
                values.extend(&given, own);
                item.since = before.map_or(since, |place| self.chunks[place.chunk].items()[place.item].since);
                maker.add(item, series, before);
                if maker.series.len() >= Chunk::SIZE {
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
        self.known = known;
        self.refused_before = refused_before;
        self.round.values = values;
        self.chunks = chunks.into();
    }

    /// The items of the chunks that are not kept, by their hash.
    fn gone(&self, pieces: &[Piece]) -> HashMap<u64, Place> {
        let mut kept = pieces.iter().filter_map(|piece| match piece {
            Piece::Kept(at) => Some(*at),
            Piece::Made(_) => None,
        });
        let mut next_kept = kept.next();
        let mut gone = HashMap::new();
        for (at, chunk) in self.chunks.iter().enumerate() {
            if next_kept == Some(at) {
                next_kept = kept.next();
                continue;
            }
            for (item, of) in chunk.items().iter().enumerate() {
                gone.insert(of.item.hash(), Place { chunk: at, item });
            }
        }
        gone
    }

    /// Joins small chunks beside what is made anew to it, so that they do not become many.
    fn join_small(&self, pieces: Vec<Piece>) -> Vec<Piece> {
        let mut joined: Vec<Piece> = Vec::with_capacity(pieces.len());
        for piece in pieces {
            match (joined.last_mut(), piece) {
                (Some(Piece::Made(group)), Piece::Kept(at)) if self.is_small(group, at) => group.add(&self.chunks[at]),
                (Some(Piece::Made(group)), Piece::Made(more)) => group.append(more),
                (Some(Piece::Kept(at)), Piece::Made(more)) if self.is_small(&more, *at) => {
                    let mut group = Group::default();
                    group.add(&self.chunks[*at]);
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
        group.series.len() + self.chunks[at].len() <= Chunk::SIZE
    }
}

impl Group {
    pub(super) fn add(&mut self, chunk: &Chunk) {
        self.append(Group { items: chunk.items().to_vec(), series: chunk.series().to_vec() });
    }

    fn append(&mut self, more: Group) {
        let begin = self.series.len() as u32;
        self.items.extend(more.items.into_iter().map(|item| ChunkItem { end: begin + item.end, ..item }));
        self.series.extend(more.series);
    }
}

/// A chunk that is being made.
struct Maker<'c> {
    old: &'c [Arc<Chunk>],
    labels: &'c Labels,
    items: Vec<ChunkItem>,
    series: Vec<ReadingRef>,
    chunks: Vec<u64>,
    places: Vec<Option<(u32, u32)>>,
    slots: usize,
}

impl<'c> Maker<'c> {
    fn new(old: &'c [Arc<Chunk>], labels: &'c Labels, slots: usize) -> Maker<'c> {
        Maker { old, labels, items: Vec::new(), series: Vec::new(), chunks: Vec::new(), places: Vec::new(), slots }
    }

    /// Adds an item, which the last round had at `before`.
    fn add(&mut self, item: ChunkItem, series: &[ReadingRef], before: Option<Place>) {
        let old = before.map(|place| {
            let chunk = &self.old[place.chunk];
            let at = self.chunks.iter().position(|id| *id == chunk.id()).unwrap_or_else(|| {
                self.chunks.push(chunk.id());
                self.chunks.len() - 1
            });
            (at as u32, chunk, chunk.places(place.item))
        });
        for (at, reading) in series.iter().enumerate() {
            let place = old.as_ref().and_then(|(chunk_at, chunk, places)| {
                // Mostly the same readings in the same order.
                let is_it = |place: &usize| chunk.series()[*place].same(reading);
                let same = Some(places.start + at).filter(|place| places.contains(place) && is_it(place));
                let place = same.or_else(|| places.clone().find(is_it))?;
                Some((*chunk_at, place as u32))
            });
            self.places.push(place);
        }
        self.series.extend_from_slice(series);
        self.items.push(ChunkItem { end: self.series.len() as u32, ..item });
    }

    /// The chunk, if anything is in it.
    fn make(&mut self) -> Option<Arc<Chunk>> {
        let items = std::mem::take(&mut self.items);
        let before =
            Before { chunks: std::mem::take(&mut self.chunks).into(), places: std::mem::take(&mut self.places).into() };
        let series = std::mem::take(&mut self.series);
        (!items.is_empty()).then(|| Arc::new(Chunk::new(items, series, self.labels.clone(), before, self.slots)))
    }
}
