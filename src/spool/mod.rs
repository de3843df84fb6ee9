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
mod ranges;
mod recovery;
mod scan;
mod segment;
mod survey;
mod take;
mod tally;
#[cfg(test)]
mod tests;
mod upkeep;
mod write;

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::Arc;

pub use api::{
    Count, DEFAULT_MAX_BYTES, DEFAULT_SEGMENT_BYTES, DEFAULT_SYNC_INTERVAL, Entry, OpenError, Options, Pushed, Stats,
    SyncPolicy, WriteError,
};
pub use inspect::{Listing, inspect, inspect_one, spools};
pub use recovery::{Finding, Note, Recovery};
pub use upkeep::{Chore, ChoreDone};

use cursor_file::CursorFile;
use disk::Disk;
use format::{Context, Cursor, context_id};
use home::{CURSOR, CURSOR_TMP, Home, clear, quarantine};
use ranges::Ranges;
use segment::{Place, Segment, index_of};
use survey::{Own, Survey, survey};
use take::{Reader, Trouble};

/// One destination's spool, held by this process.
#[derive(Debug)]
pub struct Spool {
    disk: Disk,
    home: Home,
    options: Options,
    nonce: u64,
    /// What new segments are begun with: the context's bytes and the number of them.
    context: Vec<u8>,
    context_id: u32,
    content: Arc<[(String, String)]>,
    /// In the order of their numbers.
    segments: VecDeque<Segment>,
    /// Size of the files of `segments`.
    disk_bytes: u64,
    /// The last segment's file, while it is written to.
    active: Option<File>,
    /// Written and not yet forced to the device: the active file's data; names in the directory.
    data_dirty: bool,
    dir_dirty: bool,
    /// Full segments' files that are not forced to the device yet.
    retired: Vec<File>,
    next_seq: u64,
    /// Made when something is read, gone when nothing waits.
    reader: Option<Reader>,
    /// In somebody's hands.
    taken: BTreeMap<u64, Place>,
    /// Looked at and not in anybody's hands; they come before what the reader finds.
    returned: BTreeMap<u64, Place>,
    /// The last segment in which reading failed.
    trouble: Option<Trouble>,
    /// What the cursor file says.
    saved_cursor: Option<Cursor>,
    /// The number of its draft.
    saved_number: u64,
    cursor_file: CursorFile,
    /// The cursor is not moved on: there are segments that can't be read now, and once they
    /// can be, a later one would make them look done with.
    hold_cursor: bool,
    /// Numbers that were lost, and are counted in `lost` or were by an earlier life.
    told: Ranges,
    /// Numbers that no frame has, or whose frames went while `hold_cursor`.
    void: Ranges,
    /// Of these there are some that no start would find out by itself: the cursor is to be
    /// saved though it has not moved.
    has_news: bool,
    /// Nothing was pushed since the cursor's end was known to be exact.
    is_exact: bool,
    /// Samples in the last frame pushed, or found.
    last_samples: u32,
    /// It could not be saved when that was last tried, and this was said.
    cursor_failed: bool,
    /// A cursor file is there that must be gone before anything is written.
    bad_cursor: bool,
    last_sync_ms: i64,
    over_cap: Count,
    expired: Count,
    lost: Count,
    disk_errors: u64,
    /// Where a frame is put together.
    scratch: Vec<u8>,
}

impl Spool {
    /// Opens the spool in `options.dir`, made if it is missing, and finds out what is in it.
    ///
    /// No damage to files is a reason to fail: what is intact is kept, the rest is in the
    /// [`Recovery`]. Damage is found again at each start until its segment is done with;
    /// what is lost to it is counted in [`Stats::lost`] by the first of them. On a read-only
    /// file system a spool that exists can be opened, read and acknowledged; pushes fail, and
    /// what was acknowledged is sent again, and what was lost counted again, after a restart.
    ///
    /// # Errors
    /// Another process has the spool, or the directory can't be made, locked or listed, or
    /// none of its segments can be opened (permissions, a dead disk), or `destination` and
    /// `content` are longer than a header may be.
    pub fn open(options: Options, now_ms: i64) -> Result<(Spool, Recovery), OpenError> {
        Spool::open_on(Disk::default(), options, now_ms)
    }

    fn open_on(disk: Disk, options: Options, now_ms: i64) -> Result<(Spool, Recovery), OpenError> {
        let (home, moved) = Home::take(&disk, &options.dir)?;
        let io_error = |error| OpenError::Io(options.dir.clone(), error);
        let own = Own { destination: &options.destination, content: &options.content };
        let mut survey = survey(&disk, &options.dir, own, i64::MIN).map_err(io_error)?;
        if let Some((path, error)) = survey.unreachable.take_if(|_| survey.nonce.is_none()) {
            // Not one of its segments can be read. A new life among them would get in
            // the way of the old one when the disk, or the permissions, are mended.
            return Err(OpenError::Io(path, error));
        }
        let nonce = survey.nonce.unwrap_or_else(|| RandomState::new().hash_one(now_ms));
        let content: Arc<[(String, String)]> = options.content.clone().into();
        let context = encode_context(nonce, &options.destination, &content).map_err(io_error)?;
        mend(&disk, &home, &mut survey);
        let mut report = survey.report;
        if let Some(Note { path, finding }) = moved {
            report.note(path, finding);
        }
        let spool = Spool {
            disk,
            home,
            nonce,
            context_id: context_id(&context),
            context,
            content,
            disk_bytes: survey.segments.iter().map(|s| s.len).sum(),
            segments: survey.segments,
            active: None,
            data_dirty: false,
            dir_dirty: false,
            retired: Vec::new(),
            next_seq: survey.free,
            reader: None,
            taken: BTreeMap::new(),
            returned: BTreeMap::new(),
            trouble: None,
            is_exact: survey.is_exact,
            saved_cursor: survey.cursor,
            saved_number: 0,
            cursor_file: CursorFile::default(),
            hold_cursor: survey.unreachable.is_some(),
            bad_cursor: survey.bad_cursor,
            cursor_failed: false,
            told: survey.told,
            void: survey.void,
            has_news: survey.has_news,
            last_samples: survey.samples,
            last_sync_ms: now_ms,
            over_cap: Count::default(),
            expired: Count::default(),
            lost: report.fresh,
            disk_errors: 0,
            scratch: Vec::new(),
            options,
        };
        Ok((spool, report))
    }

    /// Payloads pushed from now on are described by `content`; those already there keep theirs.
    ///
    /// # Errors
    /// The headers are longer than a segment's header may be (16 KiB); nothing has changed.
    pub fn set_content(&mut self, content: Vec<(String, String)>) -> io::Result<()> {
        if content[..] == self.content[..] {
            return Ok(());
        }
        let content: Arc<[(String, String)]> = content.into();
        self.context = encode_context(self.nonce, &self.options.destination, &content)?;
        self.context_id = context_id(&self.context);
        self.content = content;
        Ok(())
    }

    /// What it is to hold from now on, and for how long; where it is, and what for, stays.
    pub fn set_limits(&mut self, options: &Options) {
        self.options.max_bytes = options.max_bytes;
        self.options.max_age = options.max_age;
        self.options.sync = options.sync;
    }

    /// What it holds and has been through. Asks the disk nothing.
    pub fn stats(&self) -> Stats {
        let mut waiting = Count::default();
        for segment in &self.segments {
            waiting += segment.waiting;
        }
        let some = waiting.frames > 0;
        Stats {
            waiting,
            in_hand: self.taken.values().filter(|p| p.gone.is_none()).count() as u64,
            disk_bytes: self.disk_bytes,
            segments: self.segments.len() as u64,
            oldest_ms: self.oldest_ms().filter(|_| some),
            newest_ms: self.segments.iter().rev().find(|s| s.waiting.frames > 0).map(|s| s.last_ms),
            over_cap: self.over_cap,
            expired: self.expired,
            lost: self.lost,
            disk_errors: self.disk_errors,
        }
    }

    /// Brings everything to the device and lets the directory go. Where frames wait, it says
    /// how many, so that a start knows when some are missing. Frames in somebody's hands
    /// count as not delivered: they come again. Dropping a spool instead is what a crash is:
    /// nothing is lost, the last second's acknowledgements may be forgotten.
    ///
    /// # Errors
    /// The last words did not reach the device: some frames may be sent twice.
    pub fn close(mut self) -> io::Result<()> {
        self.has_news = true;
        self.is_exact = true;
        self.flush()
    }

    fn oldest_ms(&self) -> Option<i64> {
        let held = self.taken.iter().chain(&self.returned).filter(|(_, p)| p.gone.is_none());
        if let Some((_, place)) = held.min_by_key(|(id, _)| **id) {
            return Some(place.time_ms);
        }
        let first = self.segments.iter().find(|s| s.waiting.frames > 0)?;
        let reader = self.reader.as_ref().filter(|r| r.segment == first.first);
        reader.and_then(|r| r.last_ms).or(Some(first.first_ms))
    }

    /// Takes a segment off the list, with what was known of its frames.
    fn forget_segment(&mut self, index: usize, gone: segment::Gone) -> Option<Count> {
        let segment = self.segments.remove(index)?;
        self.disk_bytes -= segment.len;
        if index == self.segments.len() {
            self.active = None;
            self.data_dirty = false;
        }
        let mut unseen = segment.waiting;
        for place in self.taken.values_mut().filter(|p| p.segment == segment.first) {
            place.gone = Some(gone);
            unseen -= place.count();
        }
        self.returned.retain(|_, p| p.segment != segment.first);
        Some(unseen)
    }

    /// Everything below is done with.
    fn cursor(&self) -> u64 {
        self.held().next().map_or(self.unread(), |id| id.min(self.unread()))
    }

    /// Frames that are in somebody's hands, or were given back, in order.
    fn held(&self) -> impl Iterator<Item = u64> {
        let there = |(id, place): (&u64, &Place)| place.gone.is_none().then_some(*id);
        let mut taken = self.taken.iter().filter_map(there).peekable();
        let mut returned = self.returned.iter().filter_map(there).peekable();
        std::iter::from_fn(move || match (taken.peek(), returned.peek()) {
            (Some(a), Some(b)) if b < a => returned.next(),
            (Some(_), _) => taken.next(),
            (None, _) => returned.next(),
        })
    }

    /// No frame from here on has been looked at, and all before were.
    fn unread(&self) -> u64 {
        match &self.reader {
            _ if self.segments.is_empty() => self.next_seq,
            Some(reader) => match index_of(&self.segments, reader.segment) {
                Some(i) if reader.at() >= self.segments[i].len => {
                    self.segments.get(i + 1).map_or(self.next_seq, |next| next.next)
                }
                Some(_) => reader.next_seq(),
                // Its segment is gone, and all before it.
                None => self.segments[0].next,
            },
            None => self.segments[0].next,
        }
    }
}

/// Moves away what can't be read or is in the way, and removes what holds nothing.
fn mend(disk: &Disk, home: &Home, survey: &mut Survey) {
    let unreadable = std::mem::take(&mut survey.unreadable);
    for (path, why) in unreadable {
        survey.report.note(path.clone(), Finding::Unreadable(why));
        if let Err(error) = quarantine(disk, &home.dir, &path) {
            survey.leave_in_place(path, &error);
        }
    }
    for path in std::mem::take(&mut survey.empty) {
        survey.report.note(path.clone(), Finding::Empty);
        if let Err(error) = disk.remove(&path) {
            survey.leave_in_place(path, &error);
        }
    }
    for name in [CURSOR, CURSOR_TMP] {
        match clear(disk, &home.dir, name) {
            Ok(moved) => moved.into_iter().for_each(|note| survey.report.note(note.path, note.finding)),
            Err(error) => survey.leave_in_place(home.dir.join(name), &error),
        }
    }
    if survey.bad_cursor && disk.remove(&home.dir.join(CURSOR)).is_ok() {
        survey.bad_cursor = false;
    }
}

fn encode_context(nonce: u64, destination: &str, content: &Arc<[(String, String)]>) -> io::Result<Vec<u8>> {
    let context = Context { nonce, destination: destination.to_owned(), content: Arc::clone(content) };
    let too_long = || io::Error::new(io::ErrorKind::InvalidInput, "destination and content headers are too long");
    context.encode().ok_or_else(too_long)
}
