//! What a collector writes to.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use super::chunk::{Before, ChunkItem, Since};
use super::view_slots::{Asked, ViewSlots};
use super::{Chunk, Frame, Item, Labels, Learnt, Reading, ReadingRef};

/// Takes a collector's numbers of one round, item by item, and makes a [`Frame`] of them.
///
/// It expects the items and readings of the last round in the same order, and compares by
/// address: while that holds, a push stores a number and nothing else. Where the sequence
/// breaks, the chunk in which it does is made anew, and the recorder looks for its place
/// again: an item that came or went costs its chunk, not the others.
#[derive(Debug)]
pub struct Recorder {
    source: Arc<str>,
    labels: Labels,
    max_series: usize,
    /// Of the last good round.
    chunks: Arc<[Arc<Chunk>]>,
    /// The hashes of all their items.
    known: HashSet<u64>,
    /// Items that were refused, and before which item of `chunks` they stood: they come again.
    refused_before: Vec<(Place, Item)>,
    /// When the last good round was; none before the first.
    last_ms: Option<i64>,
    /// Nobody knows since when its counters count.
    is_of_unknown_start: bool,
    round: Round,
    refused: Refused,
    slots: ViewSlots,
    /// For which views there is room in `chunks`.
    asked: Asked,
}

/// What has come in this round.
#[derive(Debug, Default)]
struct Round {
    values: Values,
    /// What was expected next, where the round is in step.
    at: Place,
    /// What there is so far, in front of `open` and of the chunk at `at`.
    pieces: Vec<Piece>,
    /// What has come since the round departed from the last one; none while it is in step.
    open: Option<Group>,
    /// An item was over the cap: nothing of this round is taken any more.
    is_full: bool,
}

/// Numbers, and times of their own where any has one: then there are as many.
#[derive(Debug, Default)]
struct Values {
    numbers: Vec<f64>,
    times: Vec<i64>,
}

impl Values {
    fn len(&self) -> usize {
        self.numbers.len()
    }

    #[inline]
    fn push(&mut self, number: f64, time_ms: i64) {
        if time_ms != Frame::NO_TIME || !self.times.is_empty() {
            self.times.resize(self.numbers.len(), Frame::NO_TIME);
            self.times.push(time_ms);
        }
        self.numbers.push(number);
    }

    fn truncate(&mut self, len: usize) {
        self.numbers.truncate(len);
        self.times.truncate(len);
    }

    fn clear(&mut self) {
        self.truncate(0);
    }

    fn extend(&mut self, from: &Values, range: Range<usize>) {
        if !from.times.is_empty() {
            self.times.extend_from_slice(&from.times[range.clone()]);
        }
        self.numbers.extend_from_slice(&from.numbers[range]);
    }
}

/// An item of the last round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    chunk: usize,
    item: usize,
}

/// A stretch of a round.
#[derive(Debug)]
enum Piece {
    /// The chunk of the last round at this place.
    Kept(usize),
    /// Other items.
    Made(Group),
}

/// Items with their series, before these are chunks.
#[derive(Debug, Default)]
struct Group {
    items: Vec<ChunkItem>,
    series: Vec<ReadingRef>,
}

/// What a [`Recorder`] did not take, in series, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// Over the cap of series.
    pub max_series: u64,
    /// Of an item that came a second time in one round.
    pub duplicate: u64,
}

/// How far ahead the beginning of a later chunk is looked for when items have gone.
const LOOK_AHEAD: usize = 8;

/// Where the numbers of an item go.
#[derive(Debug)]
pub struct Writer<'r> {
    recorder: &'r mut Recorder,
    item: &'r Item,
    to: To,
}

/// What becomes of an item's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum To {
    /// It is not the object that was expected; where they go is seen when the first one comes.
    Unknown,
    /// They are those of the last round; the place of the next one in its chunk, and their end.
    Step { next: usize, end: usize },
    /// They go into the open group; how many values there were before.
    Open { before: usize },
    /// Nowhere: the item was refused, for being over the cap or else for having come before.
    Nowhere { is_full: bool },
}

impl Recorder {
    /// A recorder for the source `source` that takes at most `max_series` series a round.
    pub fn new(source: impl Into<Arc<str>>, max_series: usize) -> Recorder {
        Recorder {
            source: source.into(),
            labels: Labels::EMPTY,
            max_series,
            chunks: Arc::from([]),
            known: HashSet::new(),
            refused_before: Vec::new(),
            last_ms: None,
            is_of_unknown_start: false,
            round: Round::default(),
            refused: Refused::default(),
            slots: ViewSlots::default(),
            asked: Asked::default(),
        }
    }

    /// The same for a source whose series all get `labels`, unless they have one of that name.
    pub fn with_labels(self, labels: Labels) -> Recorder {
        Recorder { labels, ..self }
    }

    /// The same where what counts in the first round did not begin with the host, but at
    /// `since_ms`, in wall-clock milliseconds.
    pub fn since(self, since_ms: i64) -> Recorder {
        Recorder { last_ms: Some(since_ms), ..self }
    }

    /// The same where an item that comes later may have counted for as long as any other: those of an
    /// application, whose numbers do not begin when they are first seen.
    pub fn of_unknown_start(self) -> Recorder {
        Recorder { is_of_unknown_start: true, ..self }
    }

    /// The same, whose chunks have room for as many views as `slots` says.
    pub fn with_slots(self, slots: &ViewSlots) -> Recorder {
        Recorder { slots: slots.clone(), ..self }
    }

    /// Begins an item. `item` should be the object of the last round. Each item comes once a
    /// round, with all its numbers; over the cap of series the last items are refused and
    /// counted, each as a whole.
    #[inline]
    pub fn item<'r>(&'r mut self, item: &'r Item) -> Writer<'r> {
        let at = self.round.at;
        let mut to = To::Unknown;
        if self.round.open.is_none() {
            if let Some(chunk) = self.chunks.get(at.chunk) {
                if chunk.items()[at.item].item.same(item) {
                    let places = chunk.places(at.item);
                    to = To::Step { next: places.start, end: places.end };
                }
            }
        }
        Writer { recorder: self, item, to }
    }

    /// Begins an item that is not the one that was expected, or not its object.
    #[cold]
    fn other_item(&mut self, item: &Item) -> To {
        if self.round.is_full {
            return To::Nowhere { is_full: true };
        }
        let at = self.round.at;
        if self.round.open.is_none() {
            if self.refused_before.iter().any(|(place, refused)| *place == at && refused == item) {
                return To::Nowhere { is_full: false };
            }
            // The same in another object.
            if self.chunks.get(at.chunk).is_some_and(|chunk| chunk.items()[at.item].item == *item) {
                let places = self.chunks[at.chunk].places(at.item);
                return To::Step { next: places.start, end: places.end };
            }
            self.depart(at.item, None);
        }
        if self.find_place(item) {
            let places = self.chunks[self.round.at.chunk].places(self.round.at.item);
            return To::Step { next: places.start, end: places.end };
        }
        let before = self.round.values.len();
        let group = self.round.open.get_or_insert_default();
        // When it began is found when the round ends.
        group.items.push(ChunkItem { item: item.clone(), since: Since::Start, end: group.series.len() as u32 });
        To::Open { before }
    }

    /// The round is not in step any more: the first `items` of the chunk at its place have
    /// come, and of the one behind them its series up to the place `part`, if it was begun.
    fn depart(&mut self, items: usize, part: Option<usize>) {
        let mut group = Group::default();
        if let Some(chunk) = self.chunks.get(self.round.at.chunk) {
            let whole = items.checked_sub(1).map_or(0, |last| chunk.items()[last].end as usize);
            group.items.extend_from_slice(&chunk.items()[..items]);
            let end = part.unwrap_or(whole);
            if part.is_some() {
                group.items.push(ChunkItem { end: end as u32, ..chunk.items()[items].clone() });
            }
            group.series.extend_from_slice(&chunk.series()[..end]);
        }
        self.round.open = Some(group);
    }

    /// Looks for `item` where the round could be in step again: at the beginning of one of the
    /// next chunks. What lies between has gone, or comes later.
    fn find_place(&mut self, item: &Item) -> bool {
        let at = self.round.at;
        // The chunk at its place is what the open group stands for, unless nothing of it has come.
        let first = at.chunk + usize::from(at.item > 0);
        let ahead = self.chunks.iter().enumerate().skip(first).take(LOOK_AHEAD);
        let found = ahead.map(|(at, chunk)| (at, &chunk.items()[0].item)).find(|(_, first)| *first == item);
        let Some((chunk, _)) = found else {
            // Within the chunk: what has gone from it is passed over.
            let rest = self.chunks.get(at.chunk).map(|chunk| &chunk.items()[at.item..]);
            let place = rest.and_then(|rest| rest.iter().position(|expected| expected.item == *item));
            self.round.at.item += place.map_or(0, |place| place + 1);
            self.leave_ended_chunk();
            return false;
        };
        self.close();
        self.round.at = Place { chunk, item: 0 };
        true
    }

    /// Goes on to the next chunk where all of this one has come or gone.
    fn leave_ended_chunk(&mut self) {
        let at = &mut self.round.at;
        if self.chunks.get(at.chunk).is_some_and(|chunk| at.item >= chunk.items().len()) {
            *at = Place { chunk: at.chunk + 1, item: 0 };
        }
    }

    /// Puts the open group by.
    fn close(&mut self) {
        if let Some(group) = self.round.open.take().filter(|group| !group.items.is_empty()) {
            self.round.pieces.push(Piece::Made(group));
        }
    }

    /// Ends the item of `to`.
    #[inline]
    fn end_item(&mut self, to: To) {
        match to {
            To::Step { next, end } if next == end => {
                let at = &mut self.round.at;
                at.item += 1;
                if at.item == self.chunks[at.chunk].items().len() {
                    self.round.pieces.push(Piece::Kept(at.chunk));
                    *at = Place { chunk: at.chunk + 1, item: 0 };
                }
            }
            To::Step { next, .. } => self.end_short(next),
            To::Open { before } => self.end_open(before),
            To::Unknown | To::Nowhere { .. } => {}
        }
    }

    /// An item of the last round has ended with fewer series: up to the place `next`.
    #[cold]
    fn end_short(&mut self, next: usize) {
        self.depart(self.round.at.item, Some(next));
        self.round.at.item += 1;
        self.leave_ended_chunk();
        self.drop_empty_item();
    }

    #[cold]
    fn end_open(&mut self, before: usize) {
        let Some(group) = &mut self.round.open else { return };
        let given = self.round.values.len() - before;
        if self.round.values.len() > self.max_series {
            self.refused.max_series += given as u64;
            self.round.is_full = true;
            self.round.values.truncate(before);
            group.series.truncate(group.series.len() - given);
            group.items.pop();
            return;
        }
        if let Some(item) = group.items.last_mut() {
            item.end = group.series.len() as u32;
        }
        self.drop_empty_item();
    }

    /// An item without a number is none.
    fn drop_empty_item(&mut self) {
        let Some(group) = &mut self.round.open else { return };
        let begin = group.items.len().checked_sub(2).map_or(0, |before| group.items[before].end);
        if group.items.last().is_some_and(|item| item.end == begin) {
            group.items.pop();
        }
    }

    /// Ends the round with the time at which it was read, in wall-clock milliseconds.
    pub fn finish(&mut self, time_ms: i64) -> Frame {
        if self.round.open.is_none() && self.round.at.item > 0 {
            self.depart(self.round.at.item, None);
        }
        self.close();
        self.cut();
        self.make_room();
        let is_same = self.round.pieces.len() == self.chunks.len()
            && self.round.pieces.iter().all(|piece| matches!(piece, Piece::Kept(_)));
        if !is_same {
            self.adopt();
        }
        let values = Arc::from(&self.round.values.numbers[..]);
        let times = &self.round.values.times;
        let times = (!times.is_empty()).then(|| Arc::from(&times[..]));
        self.clear();
        self.last_ms = Some(time_ms);
        Frame { source: Arc::clone(&self.source), chunks: Arc::clone(&self.chunks), time_ms, values, times }
    }

    /// Where other views are asked for than the chunks have room for, none of them is kept.
    fn make_room(&mut self) {
        let asked = self.slots.now();
        if asked == std::mem::replace(&mut self.asked, asked) {
            return;
        }
        for piece in &mut self.round.pieces {
            if let Piece::Kept(at) = piece {
                let mut group = Group::default();
                group.add(&self.chunks[*at]);
                *piece = Piece::Made(group);
            }
        }
    }

    /// Takes the last items away that are over the cap, where others have come in front of them.
    fn cut(&mut self) {
        while self.round.values.len() > self.max_series {
            let mut group = match self.round.pieces.pop() {
                Some(Piece::Made(group)) => group,
                Some(Piece::Kept(at)) => {
                    let mut group = Group::default();
                    group.add(&self.chunks[at]);
                    group
                }
                None => return,
            };
            group.items.pop();
            let left = group.items.last().map_or(0, |item| item.end as usize);
            let cut = group.series.len() - left;
            group.series.truncate(left);
            self.round.values.truncate(self.round.values.len() - cut);
            self.refused.max_series += cut as u64;
            if !group.items.is_empty() {
                self.round.pieces.push(Piece::Made(group));
            }
        }
    }

    /// Forgets the round: its collector failed half-way, and half a truth is not sent.
    pub fn discard(&mut self) {
        self.clear();
    }

    fn clear(&mut self) {
        let Round { mut values, mut pieces, .. } = std::mem::take(&mut self.round);
        values.clear();
        pieces.clear();
        self.round = Round { values, pieces, ..Round::default() };
    }

    /// How many series were refused since this was last asked.
    pub fn take_refused(&mut self) -> Refused {
        std::mem::take(&mut self.refused)
    }

    /// Makes chunks of the round's pieces. Of items that came twice only the first is kept: a
    /// series that stands twice would make every destination refuse the whole request.
    fn adopt(&mut self) {
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
    fn add(&mut self, chunk: &Chunk) {
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

impl Writer<'_> {
    /// Adds the number of a built-in reading.
    #[inline]
    pub fn push(&mut self, reading: &'static Reading, value: f64) {
        if !self.push_expected(|own| own.is(reading), value, Frame::NO_TIME) {
            self.push_other(ReadingRef::Static(reading), value, Frame::NO_TIME);
        }
    }

    /// [`Writer::push`] for a reading that was learnt at run time.
    #[inline]
    pub fn push_learnt(&mut self, reading: &Arc<Learnt>, value: f64) {
        self.push_learnt_at(reading, value, Frame::NO_TIME);
    }

    /// The same for a sample that has a time of its own, in milliseconds since the UNIX epoch;
    /// [`Frame::NO_TIME`]: it has none.
    #[inline]
    pub fn push_learnt_at(&mut self, reading: &Arc<Learnt>, value: f64, time_ms: i64) {
        if !self.push_expected(|own| own.is_learnt(reading), value, time_ms) {
            self.push_other(ReadingRef::Shared(Arc::clone(reading)), value, time_ms);
        }
    }

    #[inline]
    fn push_expected(&mut self, is_it: impl FnOnce(&ReadingRef) -> bool, value: f64, time_ms: i64) -> bool {
        let To::Step { next, end } = &mut self.to else { return false };
        let recorder = &mut *self.recorder;
        let is_it = *next < *end && is_it(&recorder.chunks[recorder.round.at.chunk].series()[*next]);
        if is_it {
            *next += 1;
            recorder.round.values.push(value, time_ms);
        }
        is_it
    }

    #[cold]
    fn push_other(&mut self, reading: ReadingRef, value: f64, time_ms: i64) {
        if self.to == To::Unknown {
            self.to = self.recorder.other_item(self.item);
            if self.push_expected(|own| own.same(&reading), value, time_ms) {
                return;
            }
        }
        let recorder = &mut *self.recorder;
        match self.to {
            To::Nowhere { is_full: true } => return recorder.refused.max_series += 1,
            To::Nowhere { is_full: false } => return recorder.refused.duplicate += 1,
            To::Step { next, .. } => {
                let begin = recorder.chunks[recorder.round.at.chunk].places(recorder.round.at.item).start;
                recorder.depart(recorder.round.at.item, Some(next));
                recorder.round.at.item += 1;
                recorder.leave_ended_chunk();
                self.to = To::Open { before: recorder.round.values.len() - (next - begin) };
            }
            To::Open { .. } | To::Unknown => {}
        }
        if let Some(group) = &mut recorder.round.open {
            group.series.push(reading);
            recorder.round.values.push(value, time_ms);
        }
    }
}

impl Drop for Writer<'_> {
    #[inline]
    fn drop(&mut self) {
        self.recorder.end_item(self.to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Family, Label, Scheme, face};

    static BYTES: Reading = reading(&Family::counter("bytes", "", ""));
    static DROPS: Reading = reading(&Family::counter("drops", "", ""));
    static ERRORS: Reading = reading(&Family::counter("errors", "", ""));

    const fn reading(family: &'static Family<'static>) -> Reading {
        const LABELS: &[Label] = &[Label::key("device", 0)];
        Reading { native: face(family, LABELS), node: None, otel: None }
    }

    #[test]
    fn times_of_their_own_stay_with_their_numbers() {
        let reading = Arc::new(Learnt::everywhere(Family::gauge("a", "", ""), &[]));
        let items: Vec<Item> = ["a", "b", "c", "d"].iter().map(|key| Item::new(&[key])).collect();
        let mut out = Recorder::new("app", 100);
        let mut round = |samples: &[(usize, f64, i64)]| {
            for (item, value, time) in samples {
                out.item(&items[*item]).push_learnt_at(&reading, *value, *time);
            }
            let frame = out.finish(9);
            (frame.values.to_vec(), frame.times.map(|times| times.to_vec()))
        };
        const NONE: i64 = Frame::NO_TIME;
        assert_eq!(round(&[(0, 1.0, NONE), (1, 2.0, NONE)]), (vec![1.0, 2.0], None));
        // The second `a` is refused, with its time.
        let samples = [(0, 1.0, NONE), (0, 9.0, 99), (1, 2.0, 7), (2, 3.0, NONE), (3, 4.0, 8)];
        assert_eq!(round(&samples), (vec![1.0, 2.0, 3.0, 4.0], Some(vec![NONE, 7, NONE, 8])));
        assert_eq!(round(&samples), (vec![1.0, 2.0, 3.0, 4.0], Some(vec![NONE, 7, NONE, 8])));
        assert_eq!(round(&[(2, 3.0, 5), (1, 2.0, NONE)]), (vec![3.0, 2.0], Some(vec![5, NONE])));
        assert_eq!(round(&[(1, 2.0, NONE)]), (vec![2.0], None));
    }

    /// What a frame says: each item with its readings' names and numbers.
    fn said(frame: &Frame) -> Vec<(String, String, f64)> {
        let mut said = Vec::new();
        for (chunk, values) in frame.parts() {
            for ((item, reading), value) in chunk.each().zip(values) {
                let name = reading.face(Scheme::Native).unwrap().family.name.to_owned();
                said.push((item.item.value(0).to_owned(), name, *value));
            }
        }
        assert_eq!(said.len(), frame.values.len());
        said
    }

    fn items(names: &[&str]) -> Vec<Item> {
        names.iter().map(|name| Item::new(&[name])).collect()
    }

    fn round(recorder: &mut Recorder, items: &[Item], time_ms: i64) -> Frame {
        for (at, item) in items.iter().enumerate() {
            let mut out = recorder.item(item);
            out.push(&BYTES, at as f64);
            out.push(&DROPS, 0.5);
        }
        recorder.finish(time_ms)
    }

    fn ids(frame: &Frame) -> Vec<u64> {
        frame.chunks.iter().map(|chunk| chunk.id()).collect()
    }

    fn names(count: usize) -> Vec<Item> {
        (0..count).map(|at| Item::new(&[&format!("eth{at}")])).collect()
    }

    #[test]
    fn the_same_round_again_has_the_same_chunks_and_other_numbers() {
        let mut recorder = Recorder::new("network", 1000);
        let items = names(100);
        let first = round(&mut recorder, &items, 1);
        let second = round(&mut recorder, &items, 2);
        assert!(Arc::ptr_eq(&first.chunks, &second.chunks));
        assert_eq!(first.chunks.len(), 4, "200 series in chunks of 64");
        // Also where the collector has made its keys anew.
        let third = round(&mut recorder, &names(100), 3);
        assert!(Arc::ptr_eq(&first.chunks, &third.chunks));
        assert_eq!(said(&third)[3], ("eth1".to_owned(), "drops".to_owned(), 0.5));
    }

    #[test]
    fn where_other_views_are_asked_for_all_chunks_are_made_anew_once() {
        let slots = ViewSlots::default();
        slots.change(1);
        let mut recorder = Recorder::new("network", 1000).with_slots(&slots);
        let mut all = names(100);
        let room = |frame: &Frame| frame.chunks.iter().map(|chunk| chunk.slots().len()).collect::<Vec<_>>();
        let first = round(&mut recorder, &all, 1000);
        assert_eq!(room(&first), [1; 4]);
        // Also where as many are asked for as before, since their room is taken.
        slots.change(1);
        all.push(Item::new(&["new"]));
        let second = round(&mut recorder, &all, 2000);
        assert_eq!(room(&second), [1; 4]);
        assert!(ids(&second).iter().all(|id| !ids(&first).contains(id)));
        assert_eq!(second.chunks[3].items()[3].since, Since::Start);
        assert_eq!(second.chunks[3].items()[4].since, Since::Ms(1000));
        assert_eq!(said(&second)[..200], said(&round(&mut recorder, &all, 3000))[..200]);
        slots.change(2);
        let third = round(&mut recorder, &all, 4000);
        assert_eq!(room(&third), [2; 4]);
        assert!(Arc::ptr_eq(&third.chunks, &round(&mut recorder, &all, 5000).chunks));
    }

    #[test]
    fn an_item_that_came_or_went_costs_its_chunk_alone() {
        let mut recorder = Recorder::new("network", 10_000);
        let mut items = names(320);
        let first = ids(&round(&mut recorder, &items, 1));
        assert_eq!(first.len(), 10);
        items[100] = Item::new(&["new"]);
        let renamed = ids(&round(&mut recorder, &items, 2));
        let changed: Vec<usize> = (0..10).filter(|at| first[*at] != renamed[*at]).collect();
        assert_eq!((renamed.len(), changed), (10, vec![3]));
        items.remove(64);
        let removed = ids(&round(&mut recorder, &items, 3));
        let changed: Vec<usize> = (0..10).filter(|at| renamed[*at] != removed[*at]).collect();
        assert_eq!((removed.len(), changed), (10, vec![2]));
        items.insert(32, Item::new(&["between"]));
        let inserted = round(&mut recorder, &items, 4);
        let kept = ids(&inserted).iter().filter(|id| removed.contains(id)).count();
        assert!(kept >= 9, "{kept}");
        assert_eq!(said(&inserted)[64].0, "between");
    }

    #[test]
    fn items_count_since_they_came() {
        let mut recorder = Recorder::new("disk", 100);
        let since = |frame: &Frame| -> Vec<Since> {
            frame.chunks.iter().flat_map(|chunk| chunk.items().iter().map(|item| item.since)).collect()
        };
        let mut items = items(&["sda", "sdb"]);
        assert_eq!(since(&round(&mut recorder, &items, 1000)), [Since::Start, Since::Start]);
        items.insert(0, Item::new(&["sdc"]));
        assert_eq!(since(&round(&mut recorder, &items, 2000)), [Since::Ms(1000), Since::Start, Since::Start]);
        items.swap(0, 2);
        assert_eq!(since(&round(&mut recorder, &items, 3000)), [Since::Start, Since::Start, Since::Ms(1000)]);
        // Gone for a round: it counts anew.
        let sda = items.remove(1);
        round(&mut recorder, &items, 4000);
        items.push(sda);
        assert_eq!(since(&round(&mut recorder, &items, 5000)), [Since::Start, Since::Ms(1000), Since::Ms(4000)]);
    }

    #[test]
    fn a_chunk_names_the_ones_before_it_and_each_series_place_there() {
        let mut recorder = Recorder::new("network", 1000);
        let mut all = items(&["a", "b"]);
        let first = ids(&round(&mut recorder, &all, 1));
        all.insert(1, Item::new(&["x"]));
        let frame = round(&mut recorder, &all, 2);
        let before = frame.chunks[0].before();
        assert_eq!(*before.chunks, [first[0]]);
        assert_eq!(*before.places, [Some((0, 0)), Some((0, 1)), None, None, Some((0, 2)), Some((0, 3))]);
    }

    #[test]
    fn an_item_that_comes_twice_is_refused_and_then_costs_nothing() {
        let mut recorder = Recorder::new("network", 1000);
        for twice in [["a", "b", "a", "c"], ["a", "a", "b", "c"], ["a", "b", "c", "c"]] {
            let all = items(&twice);
            let first = round(&mut recorder, &all, 1);
            let given: Vec<String> = said(&first).into_iter().step_by(2).map(|(item, ..)| item).collect();
            assert_eq!(given, ["a", "b", "c"]);
            assert_eq!(recorder.take_refused(), Refused { max_series: 0, duplicate: 2 });
            for time_ms in 2..4 {
                let next = round(&mut recorder, &all, time_ms);
                assert!(Arc::ptr_eq(&first.chunks, &next.chunks));
                assert_eq!(recorder.take_refused(), Refused { max_series: 0, duplicate: 2 });
            }
        }
    }

    #[test]
    fn the_cap_cuts_the_last_items_and_none_of_them_in_two() {
        let mut recorder = Recorder::new("network", 7);
        let first = round(&mut recorder, &names(10), 1);
        assert_eq!(said(&first).len(), 6);
        assert_eq!(recorder.take_refused(), Refused { max_series: 14, duplicate: 0 });
        let second = round(&mut recorder, &names(10), 2);
        assert!(Arc::ptr_eq(&first.chunks, &second.chunks));
        assert_eq!(recorder.take_refused(), Refused { max_series: 14, duplicate: 0 });
        // One more in front: the last one makes room for it.
        let mut all = names(3);
        all.insert(0, Item::new(&["new"]));
        let third = said(&round(&mut recorder, &all, 3));
        assert_eq!((third.len(), &*third[0].0, &*third[4].0), (6, "new", "eth1"));
        assert_eq!(recorder.take_refused(), Refused { max_series: 2, duplicate: 0 });
    }

    #[test]
    fn an_item_without_a_number_is_none_and_costs_nothing() {
        let mut recorder = Recorder::new("network", 100);
        let [a, b, c] = ["a", "b", "c"].map(|name| Item::new(&[name]));
        let mut give = |time_ms| {
            recorder.item(&a).push(&BYTES, 1.0);
            drop(recorder.item(&b));
            recorder.item(&c).push(&BYTES, 3.0);
            recorder.finish(time_ms)
        };
        let first = give(1);
        assert_eq!(said(&first).len(), 2);
        assert!(Arc::ptr_eq(&first.chunks, &give(2).chunks));
    }

    #[test]
    fn a_failed_round_changes_nothing() {
        let mut recorder = Recorder::new("network", 100);
        let all = names(3);
        let first = round(&mut recorder, &all, 1);
        recorder.item(&all[0]).push(&ERRORS, 1.0);
        recorder.item(&all[2]).push(&BYTES, 1.0);
        recorder.discard();
        assert!(Arc::ptr_eq(&first.chunks, &round(&mut recorder, &all, 2).chunks));
    }

    #[test]
    fn whatever_comes_in_whatever_order_is_what_the_frame_says() {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below as u64) as usize
        };
        for life in 0..60 {
            let max = if life % 3 == 0 { 150 } else { 10_000 };
            let mut recorder = Recorder::new("x", max);
            let mut items = names(random(120));
            let (mut named, mut twice_before) = (0, HashSet::new());
            for time_ms in 1..60 {
                for _ in 0..random(4) {
                    let at = random(items.len() + 1);
                    match random(6) {
                        0 => items.insert(at, {
                            named += 1;
                            Item::new(&[&format!("n{named}")])
                        }),
                        1 if at < items.len() => drop(items.remove(at)),
                        2 if at < items.len() => items.swap(at, 0),
                        3 if at < items.len() => items.insert(0, items[at].clone()),
                        4 if random(4) == 0 => drop(items.drain(at..)),
                        5 if random(8) == 0 => items.reverse(),
                        _ => {}
                    }
                }
                // Each item with what it gave, as often as it came.
                let mut given: Vec<Vec<(String, String, f64)>> = Vec::new();
                for item in &items {
                    let mut numbers = Vec::new();
                    let mut out = recorder.item(item);
                    for (which, reading) in [&BYTES, &DROPS, &ERRORS].into_iter().enumerate() {
                        if random(12) > 0 {
                            let value = (time_ms * 10 + which as i64) as f64;
                            out.push(reading, value);
                            let name = reading.face(Scheme::Native).unwrap().family.name.to_owned();
                            numbers.push((item.value(0).to_owned(), name, value));
                        }
                    }
                    if !numbers.is_empty() {
                        given.push(numbers);
                    }
                }
                if random(10) == 0 {
                    recorder.discard();
                    recorder.take_refused();
                    continue;
                }
                let frame = recorder.finish(time_ms);
                let mut rest = &said(&frame)[..];
                let (mut taken, mut count) = (HashSet::new(), 0);
                for numbers in &given {
                    if rest.starts_with(numbers) && taken.insert(&numbers[0].0) {
                        count += numbers.len();
                        rest = &rest[numbers.len()..];
                    }
                }
                assert_eq!(rest, []);
                assert!(count <= max);
                let refused = recorder.take_refused();
                let offered: usize = given.iter().map(Vec::len).sum();
                assert_eq!(offered, count + (refused.duplicate + refused.max_series) as usize);
                let (mut all, mut twice) = (HashSet::new(), HashSet::new());
                for numbers in &given {
                    if !all.insert(&numbers[0].0) {
                        twice.insert(numbers[0].0.clone());
                    }
                }
                // One that was there twice may be missed for a round when the first one goes.
                assert!(refused.max_series > 0 || all.difference(&taken).all(|item| twice_before.contains(*item)));
                twice_before = twice;
                let small =
                    frame.chunks.windows(2).filter(|two| two[0].len() + two[1].len() <= Chunk::SIZE / 2).count();
                assert!(small <= 1 + frame.chunks.len() / 2, "{small} small chunks of {}", frame.chunks.len());
            }
        }
    }
}
