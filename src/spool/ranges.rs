//! Sets of sequence numbers: which of those that are missing need not be counted any more.

use std::ops::Range;

/// Ranges kept in one set. Beyond these the two that are nearest become one, and what lies
/// between them is taken to be in the set: no accident makes so many.
pub(super) const MAX_RANGES: usize = 64;

/// A set of numbers, as ranges in order that do not touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranges(Vec<Range<u64>>);

impl Ranges {
    pub(super) fn add(&mut self, new: Range<u64>) {
        if new.is_empty() {
            return;
        }
        let from = self.0.partition_point(|r| r.end < new.start);
        let to = self.0.partition_point(|r| r.start <= new.end);
        let touched = &self.0[from..to];
        let start = touched.first().map_or(new.start, |r| r.start.min(new.start));
        let end = touched.last().map_or(new.end, |r| r.end.max(new.end));
        self.0.splice(from..to, std::iter::once(start..end));
        self.bound();
    }

    fn bound(&mut self) {
        while self.0.len() > MAX_RANGES {
            let nearest = (1..self.0.len()).min_by_key(|i| self.0[*i].start - self.0[*i - 1].end).unwrap_or(1);
            let second = self.0.remove(nearest);
            self.0[nearest - 1].end = second.end;
        }
    }

    /// Takes `gone` out.
    fn remove(&mut self, gone: &Range<u64>) {
        let cut = |r: &Range<u64>| [r.start..r.end.min(gone.start), r.start.max(gone.end)..r.end];
        let apart: Vec<_> = self.0.iter().flat_map(cut).filter(|r| !r.is_empty()).collect();
        self.0 = apart;
    }

    pub(super) fn remove_all(&mut self, other: &Ranges) {
        other.0.iter().for_each(|range| self.remove(range));
        self.bound();
    }

    pub(super) fn add_all(&mut self, other: &Ranges) {
        other.0.iter().for_each(|range| self.add(range.clone()));
    }

    /// Takes out what is below `number`, but for a range that reaches above it.
    pub(super) fn forget_below(&mut self, number: u64) {
        self.0.retain(|r| r.end > number);
    }

    /// Takes out what is not below `number`.
    pub(super) fn forget_from(&mut self, number: u64) {
        self.0.retain(|r| r.start < number);
        if let Some(last) = self.0.last_mut() {
            last.end = last.end.min(number);
        }
    }

    /// How many of `range` are not in the set.
    pub(super) fn outside(&self, range: &Range<u64>) -> u64 {
        let within = |r: &Range<u64>| r.end.min(range.end).saturating_sub(r.start.max(range.start));
        range.end.saturating_sub(range.start) - self.0.iter().map(within).sum::<u64>()
    }

    pub(super) fn as_slice(&self) -> &[Range<u64>] {
        &self.0
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(range: Range<u64>) -> Ranges {
        let mut set = Ranges::default();
        set.add(range);
        set
    }

    #[test]
    fn what_touches_becomes_one() {
        let mut set = Ranges::default();
        for range in [10..12, 1..3, 20..21, 5..5, 3..4, 11..15, 30..40, 19..31] {
            set.add(range);
        }
        assert_eq!(set.as_slice(), [1..4, 10..15, 19..40]);
        assert_eq!((set.outside(&(0..50)), set.outside(&(12..20)), set.outside(&(4..10))), (50 - 29, 4, 6));
        let mut apart = set.clone();
        let mut gone = Ranges::default();
        gone.add(2..3);
        gone.add(14..25);
        apart.remove_all(&gone);
        assert_eq!(apart.as_slice(), [1..2, 3..4, 10..14, 25..40]);
        set.forget_below(15);
        assert_eq!(set, one(19..40));
        set.forget_below(39);
        assert_eq!(set.outside(&(19..40)), 0);
        set.add(50..60);
        set.forget_from(30);
        assert_eq!(set, one(19..30));
    }

    #[test]
    fn a_set_of_many_ranges_grows_wider_and_not_longer() {
        let mut set = Ranges::default();
        for n in 0..1000 {
            set.add(10 * n..10 * n + 1);
        }
        assert_eq!(set.as_slice().len(), MAX_RANGES);
        assert_eq!((set.as_slice()[0].start, set.as_slice()[MAX_RANGES - 1].end), (0, 9991));
        let mut wide = one(0..10_000);
        wide.remove_all(&set);
        assert!(wide.as_slice().len() <= MAX_RANGES, "holes count too");
    }
}
