//! What goes into a spool and comes out of it.

use std::fmt;
use std::io;
use std::ops::{AddAssign, SubAssign};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What may wait for one destination: a day and more of a host's metrics, and little even
/// for a device's flash.
pub const DEFAULT_MAX_BYTES: u64 = 64 << 20;

/// The size of a segment: what is dropped at once when the cap is reached.
pub const DEFAULT_SEGMENT_BYTES: u64 = 1 << 20;

/// The longest time for which a power cut may undo what was written.
pub const DEFAULT_SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// How a spool is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// This destination's own directory; made if it is missing.
    pub dir: PathBuf,
    /// The destination's name, for whoever looks at the files. At most a few hundred bytes.
    pub destination: String,
    /// The headers that describe the bodies (`Content-Type`, `Content-Encoding`, ...). They
    /// are stored with them, so that what is on disk can still be sent after the encoding
    /// has changed. Never credentials.
    pub content: Vec<(String, String)>,
    /// Cap of the segment files together, in bytes; over it the oldest segment goes.
    pub max_bytes: u64,
    /// Frames whose time is further back than this are dropped.
    pub max_age: Option<Duration>,
    /// Size of a segment, in bytes; at most an eighth of `max_bytes` is used, so that
    /// reaching the cap never empties a spool, and at least an 16,384th of it, so that there
    /// are never more segments than that.
    pub segment_bytes: u64,
    /// When written data is forced to the device.
    pub sync: SyncPolicy,
    /// What goes wrong with the disk.
    #[cfg(test)]
    pub(crate) faults: super::tests::faults::Faults,
}

impl Options {
    /// The defaults, in `dir`, for `destination`.
    pub fn new(dir: impl Into<PathBuf>, destination: impl Into<String>) -> Options {
        Options {
            dir: dir.into(),
            destination: destination.into(),
            content: Vec::new(),
            max_bytes: DEFAULT_MAX_BYTES,
            max_age: None,
            segment_bytes: DEFAULT_SEGMENT_BYTES,
            sync: SyncPolicy::Interval(DEFAULT_SYNC_INTERVAL),
            #[cfg(test)]
            faults: Default::default(),
        }
    }
}

/// When written data is forced to the device. A killed process loses nothing under any of
/// these; they are about power cuts and kernel crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// By [`Spool::sync`](super::Spool::sync), at most this often.
    Interval(Duration),
    /// Before a push returns.
    Always,
    /// Whenever the kernel sees fit.
    Never,
}

/// One frame, as it was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its sequence number: higher than those of all frames pushed before.
    pub id: u64,
    /// The time it was pushed with, in wall-clock milliseconds.
    pub time_ms: i64,
    /// How many samples its payload holds.
    pub samples: u32,
    /// The headers that its payload was pushed under.
    pub content: Arc<[(String, String)]>,
    /// The payload.
    pub bytes: Vec<u8>,
}

/// An amount of data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Frames.
    pub frames: u64,
    /// Samples in them.
    pub samples: u64,
    /// Payload bytes in them.
    pub bytes: u64,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Count) {
        self.frames += other.frames;
        self.samples += other.samples;
        self.bytes += other.bytes;
    }
}

impl SubAssign for Count {
    /// Not below zero: what is counted may have been damaged since it was counted.
    fn sub_assign(&mut self, other: Count) {
        self.frames = self.frames.saturating_sub(other.frames);
        self.samples = self.samples.saturating_sub(other.samples);
        self.bytes = self.bytes.saturating_sub(other.bytes);
    }
}

/// A frame is in the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Its sequence number, for [`Spool::ack`](super::Spool::ack).
    pub id: u64,
    /// Whether it is in the caller's hands, as after [`Spool::take`](super::Spool::take).
    pub taken: bool,
    /// What the cap cost, also counted in [`Stats::over_cap`].
    pub dropped: Count,
}

/// What a spool holds and has been through since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Waiting, or in somebody's hands and not acknowledged.
    pub waiting: Count,
    /// Those of these that are in somebody's hands.
    pub in_hand: Count,
    /// Size of the segment files, which `max_bytes` caps.
    pub disk_bytes: u64,
    /// How many segment files there are.
    pub segments: u64,
    /// Time of the first frame waiting. May be that of a frame shortly before it, where
    /// that one has been acknowledged and the first was not looked at yet.
    pub oldest_ms: Option<i64>,
    /// Dropped because of `max_bytes`, or by [`Spool::drop_oldest`](super::Spool::drop_oldest).
    pub over_cap: Count,
    /// Dropped because of `max_age`.
    pub expired: Count,
    /// Gone or damaged on disk: found so at the opening and not counted before
    /// ([`Recovery::fresh`](super::Recovery::fresh)), or while the spool was open.
    pub lost: Count,
    /// How often forcing data to the device, saving the cursor or removing a file failed.
    pub disk_errors: u64,
}

/// What else to look at: under our unit most of a writable disk is read-only.
fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => "; under systemd, ReadWritePaths= of the unit has to name it",
        _ => "",
    }
}

/// Why a spool could not be opened.
#[derive(Debug)]
pub enum OpenError {
    /// Another process has it, or another spool of this one: two destinations on one directory.
    Locked(PathBuf),
    /// The directory can't be made, locked or read: the caller keeps its data in memory.
    Io(PathBuf, io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Locked(dir) => write!(f, "spool {} is in use by another process", dir.display()),
            OpenError::Io(path, error) => write!(f, "cannot use spool {}: {error}{}", path.display(), hint(error)),
        }
    }
}

impl std::error::Error for OpenError {}

/// Why a frame is not in the spool. Nothing of it is left behind, and the spool can be used on.
#[derive(Debug)]
pub enum WriteError {
    /// It would not fit under the cap even if it were alone.
    TooLarge {
        /// What it would take on disk.
        bytes: u64,
        /// What there may be.
        max: u64,
    },
    /// The directory was removed, and when it was made again another process had it.
    Locked(PathBuf),
    /// A file operation failed: no space, read-only, a broken device, ...
    Io(PathBuf, io::Error),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteError::TooLarge { bytes, max } => {
                write!(f, "a request of {bytes} bytes is larger than spool.max_bytes ({max}) allows")
            }
            WriteError::Locked(dir) => write!(f, "spool {} is in use by another process", dir.display()),
            WriteError::Io(path, error) => write!(f, "cannot write {}: {error}{}", path.display(), hint(error)),
        }
    }
}

impl std::error::Error for WriteError {}
