//! Which numbers are missing at a start, and how many samples went with them.

use std::ops::Range;

use super::api::Count;
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
    /// Missing, and not counted yet: perhaps there was no intact frame so far that could say
    /// how many samples they had.
    missing: Missing,
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
            missing: Missing::default(),
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
        // After a close what is behind the end, whatever it looks like, was put there by others.
        let end = if self.cursor.is_exact_for(self.next) { self.cursor.end } else { heads.max(self.cursor.end) };
        self.reach(end);
        // Nothing says more than that there was one.
        self.size(u64::from(self.cursor.samples).max(1));
    }

    fn lose(&mut self, gap: &Range<u64>, lost: u64) {
        let frames = gap.end - gap.start;
        // Some of the heads may be of frames that were done with.
        let headed = self.headed.frames.min(frames);
        self.missing.frames += frames;
        self.missing.headed += headed;
        self.missing.samples += part(self.headed.samples, headed, self.headed.frames);
        self.missing.lost += lost;
        self.missing.fresh += self.known.outside(gap);
        self.gaps.add(gap.clone());
        if let Some(samples) = self.before {
            self.size(samples);
        }
    }

    /// Counts what is missing; where no head says it, a frame had `samples`.
    fn size(&mut self, samples: u64) {
        let Missing { frames, headed, samples: known, lost, fresh } = std::mem::take(&mut self.missing);
        let all = known.saturating_add((frames - headed).saturating_mul(samples));
        self.lost += Count { frames: lost, samples: part(all, lost, frames), bytes: 0 };
        self.fresh += Count { frames: fresh, samples: part(all, fresh, frames), bytes: 0 };
    }
}

/// Frames that are missing.
#[derive(Default)]
struct Missing {
    frames: u64,
    /// Those of which there is a head, and the samples in these.
    headed: u64,
    samples: u64,
    /// Those that are lost, and that were not counted before.
    lost: u64,
    fresh: u64,
}

/// What `some` of `all` have of `amount`; not less.
fn part(amount: u64, some: u64, all: u64) -> u64 {
    (u128::from(amount) * u128::from(some)).div_ceil(u128::from(all.max(1))) as u64
}
