//! What is kept in memory of one segment: no more than this, however many frames it holds.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::api::Count;
use super::format::{FRAME_HEAD, segment_name};
use super::scan::Rule;

/// One segment file.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// The number in its name; the same as `first`, unless somebody renamed the file.
    pub(super) name: u64,
    /// Its first sequence number.
    pub(super) first: u64,
    /// The number after its last intact frame; also the lowest that a later segment begins with.
    pub(super) end: u64,
    /// Where the first frame begins that is not done with.
    pub(super) start: u64,
    /// The lowest sequence number that is not done with.
    pub(super) next: u64,
    /// To where it is read; behind it there is at most a torn tail.
    pub(super) len: u64,
    /// Names the context in each frame's head; `None` where no header and no frame says it.
    pub(super) context: Option<u32>,
    pub(super) content: Arc<[(String, String)]>,
    /// Frames that are waiting or in somebody's hands.
    pub(super) waiting: Count,
    /// Times of the first and the last of these, as of the last look.
    pub(super) first_ms: i64,
    pub(super) last_ms: i64,
    /// Whether more can be written behind `len`.
    pub(super) appendable: bool,
}

impl Segment {
    pub(super) fn path(&self, dir: &Path) -> PathBuf {
        dir.join(segment_name(self.name))
    }

    pub(super) fn rule(&self) -> Rule {
        Rule { context: self.context, first: self.first, next: self.next, upper: self.end }
    }
}

/// Where a frame is that has been looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The `first` of its segment.
    pub(super) segment: u64,
    pub(super) offset: u64,
    pub(super) len: u32,
    pub(super) samples: u32,
    pub(super) time_ms: i64,
    /// Its segment is gone; the bytes live on in the hands of whoever took it.
    pub(super) gone: Option<Gone>,
}

/// Why a segment went away under a frame that was in somebody's hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gone {
    OverCap,
    Lost,
}

impl Place {
    pub(super) fn count(&self) -> Count {
        Count { frames: 1, samples: self.samples.into(), bytes: self.len.into() }
    }

    pub(super) fn end(&self) -> u64 {
        self.offset + FRAME_HEAD as u64 + u64::from(self.len)
    }
}
