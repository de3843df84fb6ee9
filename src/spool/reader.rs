//! Where reading a spool has got to.

use std::fs::File;

use super::ranges::Ranges;
use super::scan::Scan;
use super::segment::Segment;

/// A segment in which reading failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trouble {
    pub(super) segment: u64,
    pub(super) since_ms: i64,
    pub(super) tries: u32,
    /// What can't be read in it is passed over from now on.
    pub(super) given_up: bool,
}

/// Where reading has got to.
#[derive(Debug)]
pub(super) struct Reader {
    /// The `first` of the segment it is in.
    pub(super) segment: u64,
    pub(super) scan: Scan,
    pub(super) file: Option<File>,
    /// Time of the last frame read in this segment.
    pub(super) last_ms: Option<i64>,
    /// Numbers in this segment that did not turn up.
    pub(super) passed: Ranges,
}

impl Reader {
    pub(super) fn at_start_of(segment: &Segment) -> Reader {
        let scan = Scan::new(segment.rule(), segment.start);
        Reader { segment: segment.first, scan, file: None, last_ms: None, passed: Ranges::default() }
    }

    pub(super) fn move_to(&mut self, segment: &Segment) {
        self.segment = segment.first;
        self.scan.restart(segment.rule(), segment.start);
        self.file = None;
        self.last_ms = None;
        self.passed.clear();
    }

    pub(super) fn at(&self) -> u64 {
        self.scan.offset
    }

    pub(super) fn next_seq(&self) -> u64 {
        self.scan.rule.next
    }
}
