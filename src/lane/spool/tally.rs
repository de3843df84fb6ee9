//! Which numbers are missing at a start, and how many samples went with them.

use std::ops::Range;

use super::Count;
use super::format::{Cursor, Head};
use super::ranges::Ranges;
use super::scan::Headed;

/// Counts what is lost, while frames are found in the order of their numbers.
pub(super) struct Tally<'a> {
    cursor: &'a Cursor,
    /// Not to be counted again: `cursor.told` and `cursor.void` together.
    known: Ranges,
    /// The number that comes next, if nothing is missing.
    pub(super) next: u64,
    /// Whether anything has said where numbers begin.
    begun: bool,
    /// Samples in the last intact frame.
    before: Option<u64>,
    /// Since that one: frames whose heads are intact, and whether there are bytes behind
    /// them that are nothing at all.
    headed: Headed,
    trailing: bool,
    /// Lost before there was an intact frame that could say how many samples they had.
    unsized_lost: u64,
    unsized_fresh: u64,
    pub(super) lost: Count,
    pub(super) fresh: Count,
    /// The numbers of these.
    pub(super) gaps: Ranges,
}

impl Tally<'_> {
    /// `cursor` is all 0 where there is none.
    pub(super) fn new(cursor: &Cursor) -> Tally<'_> {
        let mut known = cursor.told.clone();
        known.add_all(&cursor.void);
        Tally {
            cursor,
            known,
            next: cursor.seq,
            begun: cursor.seq > 0,
            before: None,
            headed: Headed::default(),
            trailing: false,
            unsized_lost: 0,
            unsized_fresh: 0,
            lost: Count::default(),
            fresh: Count::default(),
            gaps: Ranges::default(),
        }
    }

    /// Before the first segment, only a cursor says that there was anything.
    pub(super) fn begin(&mut self, first: u64) {
        if !std::mem::replace(&mut self.begun, true) {
            self.next = first;
        }
    }

    /// An intact frame.
    pub(super) fn found(&mut self, head: &Head) {
        let samples = u64::from(head.samples);
        self.reach(head.seq);
        self.next = self.next.max(head.seq + 1);
        self.before = Some(samples);
        self.size(samples);
    }

    /// Frames whose heads alone are intact.
    pub(super) fn headed(&mut self, more: Headed) {
        if more.end > self.next && more.frames > 0 {
            self.headed.frames += more.frames;
            self.headed.samples += more.samples;
            self.headed.end = self.headed.end.max(more.end);
            self.trailing = false;
        }
    }

    /// Bytes behind all frames so far that are none.
    pub(super) fn trailing(&mut self) {
        self.trailing = true;
    }

    /// `number` is in use: what is below it and was not found is lost. Whether anything is.
    pub(super) fn reach(&mut self, number: u64) -> bool {
        let gap = self.next..number;
        let lost = self.cursor.void.outside(&gap);
        if lost > 0 {
            self.lose(&gap, lost);
        }
        self.next = self.next.max(number);
        (self.headed, self.trailing) = (Headed::default(), false);
        lost > 0
    }

    /// What is missing below `number` is nobody's loss.
    pub(super) fn excuse(&mut self, number: u64) {
        self.next = self.next.max(number);
        (self.headed, self.trailing) = (Headed::default(), false);
    }

    /// There are no more frames; there may be none at all, from `first` on.
    pub(super) fn finish(&mut self, first: u64) {
        self.begin(first);
        let heads = self.headed.end.max(self.next) + u64::from(self.trailing);
        self.reach(heads.max(self.cursor.end));
        // Nothing says more than that there was one.
        self.size(u64::from(self.cursor.samples).max(1));
    }

    fn lose(&mut self, gap: &Range<u64>, lost: u64) {
        let frames = gap.end - gap.start;
        let fresh = self.known.outside(gap);
        let part = |amount: u64, of: u64, all: u64| (u128::from(amount) * u128::from(of) / u128::from(all)) as u64;
        // Some may have been done with.
        let headed = self.headed.frames.min(frames);
        let samples = part(self.headed.samples, headed, self.headed.frames.max(1));
        self.lost.frames += lost;
        self.fresh.frames += fresh;
        self.lost.samples += part(samples, lost, frames);
        self.fresh.samples += part(samples, fresh, frames);
        self.unsized_lost += part(frames - headed, lost, frames);
        self.unsized_fresh += part(frames - headed, fresh, frames);
        self.gaps.add(gap.clone());
        if let Some(samples) = self.before {
            self.size(samples);
        }
    }

    /// Those whose samples are not known had `samples` each.
    fn size(&mut self, samples: u64) {
        self.lost.samples += std::mem::take(&mut self.unsized_lost).saturating_mul(samples);
        self.fresh.samples += std::mem::take(&mut self.unsized_fresh).saturating_mul(samples);
    }
}
