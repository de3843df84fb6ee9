//! Items that come number by number: the next number says where its item ends.

use std::sync::Arc;

use super::super::{Exemplar, Item, Learnt, MAX_EXEMPLARS, ReadingRef, Since};
use super::{Group, GroupItem, Piece, Place, Recorder, To, Took, UnderWay};

impl Recorder {
    /// The number of a series that the last round had as its series `number`, in a recorder
    /// [by number](Recorder::know_by_number). Others may come [in between](Recorder::add).
    #[inline]
    pub fn again(&mut self, number: u32, value: f64, time_ms: i64) -> Took {
        let round = &mut self.round;
        if round.open.is_none() && round.under_way.is_none() {
            if let Some(chunk) = self.chunks.get(round.at.chunk) {
                let places = chunk.items().places(round.at.item);
                let next = places.start + round.part;
                if number as usize == round.begin + next {
                    round.values.push(value, time_ms);
                    if next + 1 == places.end {
                        round.part = 0;
                        self.step();
                    } else {
                        round.part += 1;
                    }
                    return Took::Taken;
                }
            }
        }
        self.again_elsewhere(number as usize, value, time_ms)
    }

    /// The same where something has come, gone or moved.
    #[cold]
    fn again_elsewhere(&mut self, number: usize, value: f64, time_ms: i64) -> Took {
        let Some((place, own)) = self.find_number(number) else { return self.refuse(false) };
        if self.round.is_full {
            return self.refuse(true);
        }
        self.round.lost = 0;
        self.go_on_by_number(place, own);
        if self.round.open.is_none() && self.round.part > 0 && self.round.at == place {
            // Some of its series have gone.
            let part = self.round.part;
            let begin = self.chunks[place.chunk].items().places(place.item).start;
            self.depart(place.item, Some(begin + part));
            self.go_to(Place { item: place.item + 1, ..place });
            self.leave_ended_chunk();
            self.round.part = 0;
            let to = To::Open { before: self.round.values.len() - part };
            self.round.under_way = Some(UnderWay { item: None, of: Some(place), to });
        }
        let is_last = |group: &Group| group.items.last().is_some_and(|last| last.before == Some(place));
        let is_under_way = self.round.open.as_ref().is_some_and(is_last) || self.is_under_way(place);
        if !is_under_way {
            self.settle();
            if self.round.open.is_none() {
                if self.round.at == place && own == 0 {
                    return self.again(number as u32, value, time_ms);
                }
                self.depart(self.round.at.item, None);
            }
            // Another one that came in front of it was the one behind it.
            let is_behind = place < self.round.at;
            if place.item == 0 && own == 0 && !is_behind {
                self.close();
                self.go_to(place);
                return self.again(number as u32, value, time_ms);
            }
            let item = is_behind.then(|| self.out_of_order(place, own));
            let before = (!is_behind).then_some(place);
            let to = To::Open { before: self.round.values.len() };
            self.round.under_way = Some(UnderWay { item: item.clone(), of: Some(place), to });
            let group = self.round.open.get_or_insert_default();
            let (beginning, end) = ((Since::Start, true), group.series.len() as u32);
            group.items.push(GroupItem { item, beginning, end, before });
            if !is_behind {
                self.go_to(Place { item: place.item + 1, ..place });
                self.leave_ended_chunk();
            }
        }
        self.keep_open();
        let at = number - self.begins()[place.chunk];
        let reading = self.chunks[place.chunk].readings().get(at).clone();
        if let Some(group) = &mut self.round.open {
            group.series.push(reading);
            self.round.values.push(value, time_ms);
        }
        Took::Taken
    }

    /// The item at `place`, which comes out of its order, from its series `own` on.
    fn out_of_order(&self, place: Place, own: usize) -> Item {
        let items = self.chunks[place.chunk].items();
        // Something stands between its series now: what is behind that is an item of its own, as what is in front has
        // its key.
        if own > 0 { items.key(place.item).part_from(own) } else { items.item(place.item) }
    }

    /// Whether the item at `place` is under way, or one that it is a part with.
    fn is_under_way(&self, place: Place) -> bool {
        let Some(UnderWay { item, of, to: To::Open { .. } }) = &self.round.under_way else { return false };
        let items = self.chunks[place.chunk].items();
        let is_it = |item: &Item| items.is(place.item, item) || item.key().is_part_with(items.key(place.item));
        *of == Some(place) || item.as_ref().is_some_and(is_it)
    }

    /// Takes up the item that came last again, where `item` is a part with it.
    fn take_up(&mut self, item: &Item) {
        if self.round.open.is_some() {
            return;
        }
        let Place { chunk, item: next } = self.round.at;
        let last = match self.round.pieces.last() {
            _ if self.round.part > 0 => Some(self.round.at),
            _ if next > 0 => Some(Place { chunk, item: next - 1 }),
            Some(Piece::Kept(at)) => Some(Place { chunk: *at, item: self.chunks[*at].items().len() - 1 }),
            _ => None,
        };
        let is_it = |last: &Place| self.chunks[last.chunk].items().key(last.item).is_part_with(item.key());
        let Some(last) = last.filter(is_it) else { return };
        let places = self.chunks[last.chunk].items().places(last.item);
        let mut come = places.len();
        if self.round.part > 0 {
            come = std::mem::take(&mut self.round.part);
            self.depart(next, Some(places.start + come));
            self.go_to(Place { item: next + 1, ..last });
            self.leave_ended_chunk();
        } else if next > 0 {
            self.depart(next, None);
        } else {
            self.round.pieces.pop();
            self.round.has_departed = true;
            self.round.open = Some(Group::of(last.chunk, &self.chunks[last.chunk]));
        }
        let to = To::Open { before: self.round.values.len() - come };
        self.round.under_way = Some(UnderWay { item: None, of: Some(last), to });
    }

    /// The last item of the open group is under way.
    fn keep_open(&mut self) {
        let Some(group) = &self.round.open else { return };
        if !matches!(self.round.under_way, Some(UnderWay { to: To::Open { .. }, .. })) {
            let begin = group.items.len().checked_sub(2).map_or(0, |before| group.items[before].end as usize);
            let before = self.round.values.len() - (group.series.len() - begin);
            let of = group.items.last().and_then(|last| last.before);
            self.round.under_way = Some(UnderWay { item: None, of, to: To::Open { before } });
        }
    }

    /// Where an item that has come by its key is in step, the rest of it may come by number.
    fn go_on_by_number(&mut self, place: Place, own: usize) {
        if self.round.open.is_some() || self.round.at != place {
            return;
        }
        if let Some(UnderWay { to: To::Step { next, .. }, .. }) = self.round.under_way {
            let begin = self.chunks[place.chunk].items().places(place.item).start;
            if next - begin <= own && next > begin {
                self.round.part = next - begin;
                self.round.under_way = None;
            }
        }
    }

    /// The item that has the series `number` of the last round, and which of its series that is.
    fn find_number(&mut self, number: usize) -> Option<(Place, usize)> {
        let chunk = self.begins().partition_point(|begin| *begin <= number).checked_sub(1)?;
        let at = number - self.begins()[chunk];
        let items = self.chunks[chunk].items();
        let item = (at < self.chunks[chunk].len()).then(|| items.of_place(at))?;
        Some((Place { chunk, item }, at - items.places(item).start))
    }

    /// A number of `item`, which goes on where the last one was of it as well, or of one that it is a
    /// [part](Item::PART) with. Otherwise items come as with [`Recorder::item`].
    pub fn add(&mut self, item: &Item, reading: &Arc<Learnt>, value: f64, time_ms: i64) -> Took {
        if self.round.under_way.is_none() {
            self.take_up(item);
        }
        let is_it = |UnderWay { item: own, of, .. }: &UnderWay| {
            let key = |place: &Place| self.chunks[place.chunk].items().key(place.item);
            let own = own.as_ref().map(Item::key).or_else(|| of.as_ref().map(key));
            own.is_some_and(|own| own == item.key() || own.is_part_with(item.key()))
        };
        if !self.round.under_way.as_ref().is_some_and(is_it) {
            self.settle();
            self.round.under_way = Some(UnderWay { item: Some(item.clone()), of: None, to: To::Unknown });
        }
        let Some(UnderWay { to, .. }) = self.round.under_way else { return Took::Twice };
        let mut to = to;
        let taken = if self.push_expected(&mut to, |own| own.is_learnt(reading), value, time_ms) {
            Took::Taken
        } else if self.has_come(to, reading) {
            Took::Twice
        } else {
            let reading = ReadingRef::Shared(Arc::clone(reading));
            self.push_other(&mut to, item, (Since::Start, true), reading, value, time_ms)
        };
        if let Some(under_way) = &mut self.round.under_way {
            under_way.to = to;
        }
        taken
    }

    /// What the number refers to that was taken last.
    pub fn exemplar(&mut self, exemplar: &Arc<Exemplar>) {
        let values = &mut self.round.values;
        if let Some(place) = values.len().checked_sub(1).filter(|_| values.exemplars.len() < MAX_EXEMPLARS) {
            values.exemplars.push((place as u32, Arc::clone(exemplar)));
        }
    }

    /// Whether the item of `to` has one of this reading already.
    fn has_come(&self, to: To, reading: &Arc<Learnt>) -> bool {
        match (to, &self.round.open) {
            (To::Step { next, .. }, _) => {
                let chunk = &self.chunks[self.round.at.chunk];
                let begin = chunk.items().places(self.round.at.item).start;
                (begin..next).any(|place| chunk.readings().get(place).is_learnt(reading))
            }
            (To::Open { before }, Some(group)) => {
                let begin = group.series.len() - (self.round.values.len() - before);
                group.series[begin..].iter().any(|own| own.is_learnt(reading))
            }
            _ => false,
        }
    }

    /// Ends the item that is under way.
    #[inline]
    pub(super) fn settle(&mut self) {
        if self.round.part > 0 || self.round.under_way.is_some() {
            self.end_under_way();
        }
    }

    #[cold]
    fn end_under_way(&mut self) {
        if let Some(UnderWay { to, .. }) = self.round.under_way.take() {
            self.end_item(to);
        }
        if self.round.part > 0 {
            let part = std::mem::take(&mut self.round.part);
            let Place { chunk, item } = self.round.at;
            let next = self.chunks[chunk].items().places(item).start + part;
            self.end_short(next);
        }
    }

    pub(super) fn refuse(&mut self, is_full: bool) -> Took {
        *(if is_full { &mut self.refused.max_series } else { &mut self.refused.duplicate }) += 1;
        Took::Refused
    }
}
