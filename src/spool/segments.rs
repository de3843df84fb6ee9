//! The segments of a spool, in order, with the sums over them: what is asked at each push,
//! take or acknowledgement is found without walking them, however many there are.

use std::collections::VecDeque;
use std::ops::Index;

use super::api::Count;
use super::segment::{Place, Segment};

/// Segments in the order of their numbers.
#[derive(Debug, Default)]
pub(super) struct Segments {
    list: VecDeque<Segment>,
    waiting: Count,
    disk_bytes: u64,
    /// How many segments were looked at so far: what must not grow with how many there are.
    #[cfg(test)]
    pub(super) looks: std::cell::Cell<u64>,
}

impl Segments {
    /// These, as they were found.
    pub(super) fn new(list: VecDeque<Segment>) -> Segments {
        let mut waiting = Count::default();
        list.iter().for_each(|segment| waiting += segment.waiting);
        let disk_bytes = list.iter().map(|segment| segment.len).sum();
        Segments {
            list,
            waiting,
            disk_bytes,
            #[cfg(test)]
            looks: std::cell::Cell::default(),
        }
    }

    /// Frames in them that are waiting or in somebody's hands.
    pub(super) fn waiting(&self) -> Count {
        self.waiting
    }

    /// The size of their files.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.disk_bytes
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn front(&self) -> Option<&Segment> {
        self.look(1);
        self.list.front()
    }

    pub(super) fn back(&self) -> Option<&Segment> {
        self.look(1);
        self.list.back()
    }

    pub(super) fn get(&self, index: usize) -> Option<&Segment> {
        self.look(1);
        self.list.get(index)
    }

    /// The index of the segment that begins with `first`.
    pub(super) fn index_of(&self, first: u64) -> Option<usize> {
        self.look(1);
        self.list.binary_search_by_key(&first, |segment| segment.first).ok()
    }

    /// The index of the first segment that does not begin below `first`.
    pub(super) fn at_or_behind(&self, first: u64) -> usize {
        self.look(1);
        self.list.partition_point(|segment| segment.first < first)
    }

    /// Begins another one, behind all others.
    pub(super) fn push(&mut self, segment: Segment) {
        self.look(1);
        self.waiting += segment.waiting;
        self.disk_bytes += segment.len;
        self.list.push_back(segment);
    }

    /// Another frame is in the last one.
    pub(super) fn add(&mut self, place: &Place, seq: u64) {
        self.look(1);
        let Some(last) = self.list.back_mut() else { return };
        if last.waiting.frames == 0 {
            last.first_ms = place.time_ms;
        }
        last.last_ms = place.time_ms;
        last.waiting += place.count();
        self.waiting += place.count();
        self.disk_bytes += place.end() - last.len;
        last.len = place.end();
        last.end = seq + 1;
    }

    /// So much of what waits in one does not any more. Not below zero: what is counted may
    /// have been damaged since it was counted.
    pub(super) fn settle(&mut self, index: usize, count: Count) {
        self.look(1);
        let Some(segment) = self.list.get_mut(index) else { return };
        let mut settled = segment.waiting;
        segment.waiting -= count;
        settled -= segment.waiting;
        self.waiting -= settled;
    }

    /// Nothing more is written into the last one.
    pub(super) fn end_last(&mut self) {
        self.look(1);
        if let Some(last) = self.list.back_mut() {
            last.appendable = false;
        }
    }

    /// Takes one off the list.
    pub(super) fn remove(&mut self, index: usize) -> Option<Segment> {
        self.look(1);
        let segment = self.list.remove(index)?;
        self.waiting -= segment.waiting;
        self.disk_bytes -= segment.len;
        Some(segment)
    }

    fn look(&self, segments: u64) {
        #[cfg(test)]
        self.looks.set(self.looks.get() + segments);
        #[cfg(not(test))]
        let _ = segments;
    }
}

impl Index<usize> for Segments {
    type Output = Segment;

    fn index(&self, index: usize) -> &Segment {
        self.look(1);
        &self.list[index]
    }
}
