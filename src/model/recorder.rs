//! What a collector writes to.

mod adopt;
mod number_wise;
mod values;

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use self::values::{Spare, Values};
use super::hash::AsItIs;
use super::view_slots::{Asked, ViewSlots};
use super::{Attributes, Chunk, Exemplar, Frame, Item, Labels, Learnt, Reading, ReadingRef, Since};

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
    attributes: Option<Attributes>,
    behind_rules: Option<u16>,
    max_series: usize,
    /// Of the last good round.
    chunks: Arc<[Arc<Chunk>]>,
    /// The hashes of all their items; none where nothing has come or gone for some rounds.
    known: Option<HashSet<u64, AsItIs>>,
    /// Rounds since the chunks changed.
    quiet: usize,
    /// Keys are packed in chunks, since who gives numbers knows them by their numbers.
    packs: bool,
    /// What became of the last round.
    last_round: RoundEnd,
    /// Items that were refused, and before which item of `chunks` they stood, in that order: they
    /// come again.
    refused_before: Vec<(Place, Item)>,
    /// When the last good round was; none before the first.
    last_ms: Option<i64>,
    /// Nobody knows since when its counters count.
    is_of_unknown_start: bool,
    /// What counts began at 0 at the time since when its item counts, where that is known.
    from_zero: bool,
    unrest: Unrest,
    spare: Spare,
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
    /// How many series there are in front of the chunk at `at`, where keys are packed.
    begin: usize,
    /// How many series of the item at `at` have come by their numbers, where the round is in step.
    part: usize,
    /// The item that comes number by number, where it is none of those.
    under_way: Option<UnderWay>,
    /// How many series there were in front of each chunk; none as long as nobody has asked.
    begins: Option<Vec<usize>>,
    /// What there is so far, in front of `open` and of the chunk at `at`.
    pieces: Vec<Piece>,
    /// What has come since the round departed from the last one; none while it is in step.
    open: Option<Group>,
    /// An item was over the cap: nothing of this round is taken any more.
    is_full: bool,
    /// It was out of step at some time, so that something may have gone.
    has_departed: bool,
    /// Which of the items that were refused the last time comes next.
    refused: usize,
    /// How many items in a row were found nowhere.
    lost: usize,
    /// Where chunks begin, by the hash of their first item; none as long as nothing is lost.
    firsts: Option<HashMap<u64, usize, AsItIs>>,
}

impl Round {
    /// The chunk, `first` or behind it, that begins with `item`, where the last ones were found nowhere.
    fn find_far(&mut self, chunks: &[Arc<Chunk>], first: usize, item: &Item) -> Option<usize> {
        if self.lost < PATIENCE {
            return None;
        }
        let firsts = self.firsts.get_or_insert_with(|| {
            let ahead = chunks.iter().enumerate().skip(first);
            ahead.map(|(at, chunk)| (chunk.items().hash(0), at)).collect()
        });
        let at = firsts.get(&item.hash()).copied().filter(|at| *at >= first)?;
        chunks[at].items().is(0, item).then_some(at)
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
    items: Vec<GroupItem>,
    series: Vec<ReadingRef>,
}

/// An item of a group.
#[derive(Debug)]
struct GroupItem {
    /// None: it has the key of what was at `before`.
    item: Option<Item>,
    /// Since when it counts, unless that is found when the round ends, and whether it is new.
    beginning: (Since, bool),
    /// Where its series end in the group.
    end: u32,
    /// Where it was in the last round; none: it is not known yet whether it was there.
    before: Option<Place>,
}

/// An item that comes number by number.
#[derive(Debug)]
struct UnderWay {
    /// None: it is the last one of the open group, and was there in the last round.
    item: Option<Item>,
    /// Where it was in the last round, if it comes by its numbers.
    of: Option<Place>,
    to: To,
}

/// What became of a round.
#[derive(Clone, Debug, Default)]
pub struct RoundEnd {
    /// Series have come, gone or moved.
    pub has_changed: bool,
    /// Some did not fit.
    pub was_cut: bool,
    /// Which of the numbers that were [taken](Took::Taken), in their order, were left out in the end: items that
    /// had come before.
    pub left_out: Vec<Range<usize>>,
}

/// What a recorder does with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Took {
    /// It has its place.
    Taken,
    /// It is refused, which is counted.
    Refused,
    /// It is refused, since its item has one of this reading. This is not counted.
    Twice,
}

/// After so many rounds without a change it is looked at anew which items there are.
const QUIET: usize = 8;

/// What a [`Recorder`] did not take, in series, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// Over the cap of series.
    pub max_series: u64,
    /// Of an item that came a second time in one round.
    pub duplicate: u64,
}

/// How much of a source is made anew in a round, of late.
#[derive(Clone, Copy, Debug, Default)]
struct Unrest {
    /// The share of its series, in thousandths.
    share: usize,
    is_much: bool,
}

impl Unrest {
    /// Of so many rounds, about. All that is new at once, as with an application that was started
    /// again, is not much yet.
    const ROUNDS: usize = 8;

    /// From this share on it is much, and until it is less than the other one: small chunks alone
    /// make it a quarter.
    const MUCH: usize = 200;
    const LITTLE: usize = 50;

    /// A round made `anew` of `all` series anew.
    fn add(&mut self, anew: usize, all: usize) {
        let share = 1000 * anew / all.max(1);
        self.share = (self.share * (Unrest::ROUNDS - 1) + share) / Unrest::ROUNDS;
        self.is_much = self.share > if self.is_much { Unrest::LITTLE } else { Unrest::MUCH };
    }

    /// How many series a chunk that is made is to hold.
    fn size(self) -> usize {
        if self.is_much { Chunk::SMALL } else { Chunk::SIZE }
    }
}

/// How far ahead the beginning of a later chunk is looked for when items have gone.
const LOOK_AHEAD: usize = 8;

/// After so many items in a row that were found nowhere it is looked for however far ahead.
const PATIENCE: usize = 32;

/// An item that was refused the last time is looked for among so many that stood at its place.
const MOST_REFUSED: usize = 64;

/// Where an item was in the last round.
enum Found {
    /// At the beginning of a chunk: the round is in step again.
    InStep,
    /// In the chunk that the open group takes the place of.
    At(Place),
    /// Not near.
    Nowhere,
}

/// Where the numbers of an item go.
#[derive(Debug)]
pub struct Writer<'r> {
    recorder: &'r mut Recorder,
    item: &'r Item,
    /// Since when it counts, where that is said; see [`Writer::since`].
    since: Since,
    /// Likewise, whether nothing of it was here before.
    is_new: bool,
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
            attributes: None,
            behind_rules: None,
            max_series,
            chunks: Arc::from([]),
            known: None,
            quiet: 0,
            packs: false,
            last_round: RoundEnd::default(),
            refused_before: Vec::new(),
            last_ms: None,
            is_of_unknown_start: false,
            from_zero: false,
            unrest: Unrest::default(),
            spare: Spare::default(),
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

    /// The same for a source of whose resource there is that to say besides its labels.
    pub fn with_attributes(self, attributes: Attributes) -> Recorder {
        Recorder { attributes: Some(attributes).filter(|all| !all.is_empty()), ..self }
    }

    /// The same for what a destination's rule makes, `rules` being those up to it; see
    /// [`Chunk::behind_rules`].
    pub fn behind_rules(self, rules: u16) -> Recorder {
        Recorder { behind_rules: Some(rules), ..self }
    }

    /// The same where what counts in the first round did not begin with the host, but at
    /// `since_ms`, in wall-clock milliseconds: it is counted here, from 0.
    pub fn since(self, since_ms: i64) -> Recorder {
        Recorder { last_ms: Some(since_ms), from_zero: true, ..self }
    }

    /// The same where an item that comes later may have counted for as long as any other: those of an
    /// application, whose numbers do not begin when they are first seen.
    pub fn of_unknown_start(self) -> Recorder {
        Recorder { is_of_unknown_start: true, ..self }
    }

    /// The same where items say since when they count, from 0 ([`Writer::since`]). Of those that do not nobody knows.
    pub fn of_said_starts(self) -> Recorder {
        Recorder { is_of_unknown_start: true, from_zero: true, ..self }
    }

    /// The same, whose chunks have room for as many views as `slots` says.
    pub fn with_slots(self, slots: &ViewSlots) -> Recorder {
        Recorder { slots: slots.clone(), ..self }
    }

    /// Whether from now on its source says which of the last round's series a number is of ([`Recorder::again`]), or
    /// gives a new object with its key ([`Recorder::add`]): then objects are not compared, and chunks do not hold them.
    pub fn know_by_number(&mut self, is_so: bool) {
        self.packs = is_so;
    }

    /// Makes room for as many numbers as the last round had.
    pub fn make_room_for_round(&mut self) {
        let len = self.chunks.iter().map(|chunk| chunk.len()).sum();
        self.round.values.numbers.reserve_exact(len);
    }

    /// Begins an item. `item` should be the object of the last round. Each item comes once a
    /// round, with all its numbers; over the cap of series the last items are refused and
    /// counted, each as a whole.
    #[inline]
    pub fn item<'r>(&'r mut self, item: &'r Item) -> Writer<'r> {
        self.settle();
        let at = self.round.at;
        let mut to = To::Unknown;
        if self.round.open.is_none() {
            if let Some(chunk) = self.chunks.get(at.chunk) {
                if chunk.items().is_object(at.item, item) {
                    let places = chunk.items().places(at.item);
                    to = To::Step { next: places.start, end: places.end };
                }
            }
        }
        Writer { recorder: self, item, since: Since::Start, is_new: true, to }
    }

    /// Begins an item that is not the one that was expected, or not its object.
    #[cold]
    fn other_item(&mut self, item: &Item, since: Since, is_new: bool) -> To {
        if self.round.is_full {
            return To::Nowhere { is_full: true };
        }
        let at = self.round.at;
        if self.round.open.is_none() {
            // What it came behind may have gone, where anything has.
            if !self.round.has_departed && self.was_refused(at, item) {
                return To::Nowhere { is_full: false };
            }
            // The same in another object.
            if self.chunks.get(at.chunk).is_some_and(|chunk| chunk.items().is(at.item, item)) {
                let places = self.chunks[at.chunk].items().places(at.item);
                return To::Step { next: places.start, end: places.end };
            }
            self.depart(at.item, None);
        }
        let before = match self.find_place(item) {
            Found::InStep => {
                let places = self.chunks[self.round.at.chunk].items().places(self.round.at.item);
                return To::Step { next: places.start, end: places.end };
            }
            Found::At(place) => Some(place),
            Found::Nowhere => None,
        };
        let values = self.round.values.len();
        let group = self.round.open.get_or_insert_default();
        // When it began is found when the round ends, unless it was said.
        let (beginning, end) = ((since, is_new), group.series.len() as u32);
        group.items.push(GroupItem { item: Some(item.clone()), beginning, end, before });
        To::Open { before: values }
    }

    /// Whether `item` was refused in the last round, in front of what stands at `at`.
    fn was_refused(&mut self, at: Place, item: &Item) -> bool {
        let is_it = |(place, refused): &(Place, Item)| *place == at && refused == item;
        let mut found = Some(self.round.refused).filter(|next| self.refused_before.get(*next).is_some_and(is_it));
        if found.is_none() && !self.refused_before.is_empty() {
            let first = self.refused_before.partition_point(|(place, _)| *place < at);
            let near = &self.refused_before[first..];
            found = near.iter().take(MOST_REFUSED).position(is_it).map(|nth| first + nth);
        }
        self.round.refused = found.map_or(self.round.refused, |at| at + 1);
        found.is_some()
    }

    /// The round is not in step any more: the first `items` of the chunk at its place have
    /// come, and of the one behind them its series up to the place `part`, if it was begun.
    fn depart(&mut self, items: usize, part: Option<usize>) {
        let at = self.round.at.chunk;
        self.round.has_departed = true;
        let mut group = Group::default();
        if let Some(chunk) = self.chunks.get(at) {
            let whole = items.checked_sub(1).map_or(0, |last| chunk.items().places(last).end);
            // Most of it is about to come.
            group.items.reserve(chunk.items().len());
            group.series.reserve(chunk.len());
            let end = part.unwrap_or(whole);
            group.add(at, chunk, items + usize::from(part.is_some()), end);
            if let Some(last) = group.items.last_mut().filter(|_| part.is_some()) {
                last.end = end as u32;
            }
        }
        self.round.open = Some(group);
    }

    /// Looks for `item` where the round could be in step again: at the beginning of one of the
    /// next chunks. What lies between has gone, or comes later.
    fn find_place(&mut self, item: &Item) -> Found {
        let at = self.round.at;
        let items = self.chunks.get(at.chunk).map(|chunk| Arc::clone(chunk.items()));
        let left = items.iter().flat_map(|items| (at.item..items.len()).map(move |own| (items, own)));
        let mut left = left.map(|(items, own)| items.is(own, item));
        // Mostly what comes behind an item that is new is what stood behind the one in its place.
        let mut place = (at.item > 0 && left.clone().next() == Some(true)).then_some(0);
        if place.is_none() {
            // The chunk at its place is what the open group stands for, unless nothing of it has come.
            let first = at.chunk + usize::from(at.item > 0);
            let ahead = self.chunks.iter().enumerate().skip(first).take(LOOK_AHEAD);
            let found = ahead.into_iter().find(|(_, chunk)| chunk.items().is(0, item)).map(|(at, _)| at);
            let found = found.or_else(|| self.round.find_far(&self.chunks, first, item));
            if let Some(chunk) = found {
                self.close();
                self.round.lost = 0;
                self.go_to(Place { chunk, item: 0 });
                return Found::InStep;
            }
            // Within the chunk: what has gone from it is passed over.
            place = left.position(|is_it| is_it);
        }
        let Some(passed) = place else {
            self.round.lost += 1;
            return Found::Nowhere;
        };
        self.round.lost = 0;
        let found = Place { item: at.item + passed, ..at };
        self.round.at.item = found.item + 1;
        self.leave_ended_chunk();
        Found::At(found)
    }

    /// Goes on to the next chunk where all of this one has come or gone.
    fn leave_ended_chunk(&mut self) {
        let at = self.round.at;
        if let Some(chunk) = self.chunks.get(at.chunk).filter(|chunk| at.item >= chunk.items().len()) {
            self.round.begin += chunk.len();
            self.round.at = Place { chunk: at.chunk + 1, item: 0 };
        }
    }

    /// What stands there is expected next.
    fn go_to(&mut self, place: Place) {
        if self.packs && place.chunk != self.round.at.chunk {
            self.round.begin = self.begins()[place.chunk];
        }
        self.round.at = place;
    }

    /// How many series there were in front of each chunk.
    fn begins(&mut self) -> &[usize] {
        let chunks = &self.chunks;
        self.round.begins.get_or_insert_with(|| {
            let mut end = 0;
            let begins = chunks.iter().map(|chunk| {
                end += chunk.len();
                end - chunk.len()
            });
            begins.collect()
        })
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
            To::Step { next, end } if next == end => self.step(),
            To::Step { next, .. } => self.end_short(next),
            To::Open { before } => self.end_open(before),
            To::Unknown | To::Nowhere { .. } => {}
        }
    }

    /// All of an item of the last round has come.
    #[inline]
    fn step(&mut self) {
        let at = &mut self.round.at;
        at.item += 1;
        let chunk = &self.chunks[at.chunk];
        if at.item == chunk.items().len() {
            self.round.pieces.push(Piece::Kept(at.chunk));
            self.round.begin += chunk.len();
            *at = Place { chunk: at.chunk + 1, item: 0 };
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

    #[inline]
    fn push_expected(
        &mut self,
        to: &mut To,
        is_it: impl FnOnce(&ReadingRef) -> bool,
        value: f64,
        time_ms: i64,
    ) -> bool {
        let To::Step { next, end } = to else { return false };
        let is_it = *next < *end && is_it(self.chunks[self.round.at.chunk].readings().get(*next));
        if is_it {
            *next += 1;
            self.round.values.push(value, time_ms);
        }
        is_it
    }

    #[cold]
    fn push_other(
        &mut self,
        to: &mut To,
        item: &Item,
        (since, is_new): (Since, bool),
        reading: ReadingRef,
        value: f64,
        time_ms: i64,
    ) -> Took {
        if *to == To::Unknown {
            *to = self.other_item(item, since, is_new);
            if self.push_expected(to, |own| own.same(&reading), value, time_ms) {
                return Took::Taken;
            }
        }
        match *to {
            To::Nowhere { is_full } => return self.refuse(is_full),
            To::Step { next, .. } => {
                let begin = self.chunks[self.round.at.chunk].items().places(self.round.at.item).start;
                self.depart(self.round.at.item, Some(next));
                self.round.at.item += 1;
                self.leave_ended_chunk();
                *to = To::Open { before: self.round.values.len() - (next - begin) };
            }
            To::Open { .. } | To::Unknown => {}
        }
        if let Some(group) = &mut self.round.open {
            group.series.push(reading);
            self.round.values.push(value, time_ms);
        }
        Took::Taken
    }

    /// Ends the round with the time at which it was read, in wall-clock milliseconds.
    pub fn finish(&mut self, time_ms: i64) -> Frame {
        self.settle();
        self.last_round = RoundEnd { was_cut: self.round.is_full, ..RoundEnd::default() };
        if self.round.open.is_none() && self.round.at.item > 0 {
            self.depart(self.round.at.item, None);
        }
        self.close();
        self.cut();
        let is_asked = self.make_room();
        let is_same = self.round.pieces.len() == self.chunks.len()
            && self.round.pieces.iter().all(|piece| matches!(piece, Piece::Kept(_)));
        if !self.chunks.is_empty() && !is_asked {
            self.unrest.add(self.round.pieces.iter().map(Piece::made).sum(), self.round.values.len());
        }
        self.last_round.has_changed = !is_same;
        if is_same {
            self.quiet += 1;
            if self.quiet == QUIET {
                self.known = None;
            }
        } else {
            self.quiet = 0;
            self.adopt();
        }
        let values = self.spare.shared(&self.round.values.numbers);
        let times = &self.round.values.times;
        let times = (!times.is_empty()).then(|| Arc::from(&times[..]));
        let exemplars = std::mem::take(&mut self.round.values.exemplars);
        let exemplars = (!exemplars.is_empty()).then(|| Arc::from(exemplars));
        self.clear();
        self.last_ms = Some(time_ms);
        let (source, chunks) = (Arc::clone(&self.source), Arc::clone(&self.chunks));
        Frame { source, chunks, time_ms, values, times, exemplars, fresh: None, all: None }
    }

    /// Where other views are asked for than the chunks have room for, none of them is kept. Whether that
    /// is so.
    fn make_room(&mut self) -> bool {
        let asked = self.slots.now();
        if asked == std::mem::replace(&mut self.asked, asked) {
            return false;
        }
        for piece in &mut self.round.pieces {
            if let Piece::Kept(at) = piece {
                *piece = Piece::Made(Group::of(*at, &self.chunks[*at]));
            }
        }
        true
    }

    /// Takes the last items away that are over the cap, where others have come in front of them.
    fn cut(&mut self) {
        while self.round.values.len() > self.max_series {
            let mut group = match self.round.pieces.pop() {
                Some(Piece::Made(group)) => group,
                Some(Piece::Kept(at)) => Group::of(at, &self.chunks[at]),
                None => return,
            };
            group.items.pop();
            self.last_round.was_cut = true;
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
        if self.packs && self.round.values.len() < Spare::MANY {
            // There may be thousands of such sources, which give something every now and then.
            self.round = Round::default();
            return;
        }
        let Round { mut values, mut pieces, .. } = std::mem::take(&mut self.round);
        values.clear();
        pieces.clear();
        self.round = Round { values, pieces, ..Round::default() };
    }

    /// What became of the last round.
    pub fn last_round(&self) -> &RoundEnd {
        &self.last_round
    }

    /// How many series were refused since this was last asked.
    pub fn take_refused(&mut self) -> Refused {
        std::mem::take(&mut self.refused)
    }
}

impl Writer<'_> {
    /// Its numbers count since `ms`, in wall-clock milliseconds, and from 0: for a recorder of
    /// [`Recorder::of_said_starts`]. Unless it `is_new`, a part of them may have been here before ([`super::ChunkItem::is_new`]).
    /// It holds for as long as the item is there, and is said before its first number.
    pub fn since(&mut self, ms: i64, is_new: bool) {
        (self.since, self.is_new) = (Since::ms(ms), is_new);
    }

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

    /// What the number refers to that was pushed last.
    pub fn exemplar(&mut self, exemplar: &Arc<Exemplar>) {
        if matches!(self.to, To::Step { .. } | To::Open { .. }) {
            self.recorder.exemplar(exemplar);
        }
    }

    #[inline]
    fn push_expected(&mut self, is_it: impl FnOnce(&ReadingRef) -> bool, value: f64, time_ms: i64) -> bool {
        self.recorder.push_expected(&mut self.to, is_it, value, time_ms)
    }

    #[cold]
    fn push_other(&mut self, reading: ReadingRef, value: f64, time_ms: i64) {
        let beginning = (self.since, self.is_new);
        self.recorder.push_other(&mut self.to, self.item, beginning, reading, value, time_ms);
    }
}

impl Drop for Writer<'_> {
    #[inline]
    fn drop(&mut self) {
        self.recorder.end_item(self.to);
    }
}

#[cfg(test)]
mod tests;
