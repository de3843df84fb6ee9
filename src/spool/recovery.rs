//! What opening a spool found.

use std::fmt;
use std::path::PathBuf;

use super::api::Count;

/// Notes kept; further ones are only counted. A directory full of foreign files must not
/// fill the memory or the log.
const MAX_NOTES: usize = 32;

/// What opening a spool found: what waits, and what is damaged or missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Intact and not acknowledged.
    pub waiting: Count,
    /// Frames that were not acknowledged and are gone, and the samples in them. Frames are
    /// known by the gaps in the numbering, and behind the last intact one by their heads and
    /// by what the cursor says of the end; bytes there that hold for nothing are one at least.
    /// Where a frame's head is gone too, its samples are taken to be as many as in the frame
    /// before it. Their bytes are not known, and 0.
    pub lost: Count,
    /// Those among them that no earlier start, and no earlier run, has counted.
    pub fresh: Count,
    /// Stretches of bytes that hold for nothing, torn ends included.
    pub damaged_ranges: u64,
    /// Bytes in them.
    pub damaged_bytes: u64,
    /// What was found, in the order of finding, at most 32.
    pub notes: Vec<Note>,
    /// How many more there were.
    pub notes_hidden: u64,
}

impl Recovery {
    /// Whether everything was as it should be.
    pub fn is_clean(&self) -> bool {
        self.lost.frames == 0 && self.damaged_ranges == 0 && self.notes.is_empty()
    }

    pub(super) fn merge(&mut self, other: Recovery) {
        self.waiting += other.waiting;
        self.lost += other.lost;
        self.fresh += other.fresh;
        self.damaged_ranges += other.damaged_ranges;
        self.damaged_bytes += other.damaged_bytes;
        self.notes_hidden += other.notes_hidden;
        for note in other.notes {
            self.note(note.path, note.finding);
        }
    }

    pub(super) fn note(&mut self, path: PathBuf, finding: Finding) {
        if self.notes.len() < MAX_NOTES {
            self.notes.push(Note { path, finding });
        } else {
            self.notes_hidden += 1;
        }
    }
}

/// Something worth a line in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The file, or the spool's directory.
    pub path: PathBuf,
    /// What is the matter with it.
    pub finding: Finding,
}

/// What is the matter with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It is not the spool's; it is left alone.
    Foreign,
    /// It has a segment's name and is a directory, a link or a device; it is left alone.
    NotAFile,
    /// A segment of this later format version; it is left alone, and waits for the
    /// metricsd that wrote it.
    LaterVersion(u16),
    /// A segment of another spool, copied here; it is left alone.
    OtherSpool,
    /// It can't be opened or read, for this reason. It is left alone: permissions can be
    /// mended and disks come back.
    Unreachable(String),
    /// The directory can't be looked into, for this reason.
    Unlisted(String),
    /// Nothing in it is what it should be, for this reason; it goes to the quarantine.
    Unreadable(&'static str),
    /// It has the name of the lock or the cursor and is a directory, a link or a device; it
    /// goes to the quarantine.
    InTheWay,
    /// A segment that holds nothing; it is removed.
    Empty,
    /// The numbers from `from` to before `to` are in no file.
    Missing {
        /// First number missing.
        from: u64,
        /// First number that is there again.
        to: u64,
    },
    /// The cursor is not used, for this reason: frames may be sent twice.
    CursorIgnored(&'static str),
    /// A segment's header is lost and no other has one like it: its frames are sent with
    /// the content headers in use now.
    ContentUnknown,
    /// It should have been moved or removed, and that failed.
    LeftInPlace(String),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        match &self.finding {
            Finding::Foreign => write!(f, "not a file of the spool; left alone"),
            Finding::NotAFile => write!(f, "has a segment's name and is not a regular file; left alone"),
            Finding::LaterVersion(v) => write!(f, "written by a later metricsd (format {v}); left for it"),
            Finding::OtherSpool => write!(f, "a segment of another spool; left alone"),
            Finding::Unreachable(why) => write!(f, "cannot be read: {why}; left alone, tried again at the next start"),
            Finding::Unlisted(why) => write!(f, "cannot be looked into: {why}; what waits in it is not known"),
            Finding::Unreadable(why) => write!(f, "{why}; goes to the quarantine"),
            Finding::InTheWay => write!(f, "not a regular file, where there has to be one; goes to the quarantine"),
            Finding::Empty => write!(f, "an empty segment; removed"),
            Finding::Missing { from, to } => write!(f, "frames {from} to {} are missing; going on behind them", to - 1),
            Finding::CursorIgnored(why) => write!(f, "cursor not used, {why}; what is there is sent, perhaps again"),
            Finding::ContentUnknown => write!(f, "header lost; its frames are sent with the present content headers"),
            Finding::LeftInPlace(why) => write!(f, "cannot be moved away: {why}; tried again at the next start"),
        }
    }
}
