//! What waits for a destination, on disk: opaque payloads, oldest first, delivered at least
//! once, whatever happens to the process, the machine or the files.
//!
//! A spool knows nothing of what it holds and has no thread and no clock: the lane calls
//! it, with the time, and [`Spool::sync`] about once a second. It never waits for anything
//! but the disk.
//!
//! # Files
//!
//! One directory per destination. All numbers are little-endian; CRC is CRC-32 (ISO-HDLC,
//! as in zip and Ethernet).
//!
//! - `lock`: empty; locked (`flock`) by the process that has the spool. It and the
//!   directory are all that opening a spool makes; nothing else is written until a frame is.
//! - `NNNNNNNNNNNNNNNNNNNN.seg`: a segment, named by its first sequence number. Numbers
//!   count frames, from 1, over all segments; a gap in them is the number of frames missing.
//! - `cursor`: how far the frames are done with, how far they go, and what is known to be
//!   missing. Written to `cursor.tmp`, forced to the
//!   device and renamed, before any segment is removed. Gone when nothing waits.
//! - `quarantine/`: files in which nothing can be read, at most 8 and 4 MiB of them, and
//!   what stood in the place of `lock` or `cursor` and was no file.
//!
//! A segment is a header and frames without a gap:
//!
//! | header, at | bytes | |
//! |---|---|---|
//! | 0 | 8 | `mdspool\n` |
//! | 8 | 2 | format version, 1 |
//! | 10 | 2 | 0 |
//! | 12 | 4 | n, the length of the header from the magic to its CRC |
//! | 16 | 8 | first sequence number |
//! | 24 | n - 28 | context |
//! | n - 4 | 4 | CRC of all before |
//! | n | n | the same once more: damage to one copy costs nothing |
//!
//! The context is: nonce (8 bytes, drawn when a spool's first segment is begun, so that
//! bytes of another spool or another life are never taken for this one's), destination
//! (string), number of content headers (2 bytes), and for each its name and value (strings).
//! A string is its length (2 bytes) and UTF-8.
//!
//! | frame, at | bytes | |
//! |---|---|---|
//! | 0 | 4 | marker `d5 6d 66 9c` |
//! | 4 | 4 | CRC of bytes 8 to 39 |
//! | 8 | 4 | CRC of the segment's context |
//! | 12 | 4 | payload length |
//! | 16 | 8 | sequence number |
//! | 24 | 8 | time, wall-clock milliseconds; carried, never interpreted but for `max_age` |
//! | 32 | 4 | samples in the payload |
//! | 36 | 4 | CRC of the payload |
//! | 40 | | payload |
//!
//! | cursor, at | bytes | |
//! |---|---|---|
//! | 0 | 8 | `mdspcur2` |
//! | 8 | 8 | nonce |
//! | 16 | 8 | sequence number: everything below it is done with |
//! | 24 | 8 | end: the number behind the last frame stored when this was written; 0: not said |
//! | 32 | 4 | samples in that frame |
//! | 36 | 1 | t, how many ranges of numbers were lost and have been counted, 64 at most |
//! | 37 | 1 | v, how many ranges are of no frame, or of frames done with, 64 at most |
//! | 38 | 2 | 1: the end is exact, as after a close; 0: there may have been more since |
//! | 40 | 16 t | these ranges: first number, and number behind the last (8 bytes each) |
//! | 40 + 16 t | 16 v | and these |
//! | 40 + 16 (t + v) | 4 | CRC of all before |
//!
//! In every version to come, magic, version, length and the CRC at the end of the length
//! stay what they are, so that a segment of a later version is known as one, and left alone.
//!
//! # What is taken for a frame
//!
//! One whose two checksums hold, whose context is its segment's, and whose number fits: not
//! below the next, not of a later segment, and not higher than frames can have fitted in
//! before it. Where a frame does not hold, the search goes on at the next marker.
//!
//! # What is taken for lost
//!
//! A number from the cursor on that no intact frame has, though one behind it has a higher
//! number, or a segment's header, or an intact head at the end, or the cursor's end. Bytes
//! behind all these that are nothing are one frame. Where the cursor's end is exact, and no
//! intact frame is behind it, there was none, and bytes there are damage and no loss. The numbers of frames lost at the end are
//! not used again, so they stay missing; what was counted is in the cursor's ranges, and not
//! counted again. A lost frame's samples are what its head says; where that is gone too, as
//! many as in the intact frame before it, or else behind it, or else in the last one of all,
//! or else 1.

mod api;
mod census;
mod cursor_file;
mod disk;
mod format;
mod home;
mod inspect;
mod open;
mod ranges;
mod reader;
mod recovery;
mod scan;
mod segment;
mod segments;
mod state;
mod survey;
mod take;
mod tally;
#[cfg(test)]
mod tests;
mod upkeep;
mod write;

pub use api::{
    Count, DEFAULT_MAX_BYTES, DEFAULT_SEGMENT_BYTES, DEFAULT_SYNC_INTERVAL, Frame, OpenError, Options, Pushed, Stats,
    SyncPolicy, WriteError,
};
pub use inspect::{Listing, inspect, inspect_one, spools};
pub use recovery::{Finding, Note, Recovery};
pub use state::Spool;

#[cfg(test)]
pub(crate) use tests::faults::{Faults, Op};
