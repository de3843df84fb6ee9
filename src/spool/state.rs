//! An open spool: what is known of it, and what can be said of it without asking the disk.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::Arc;

use super::api::{Count, Options, Stats};
use super::disk::Disk;
use super::format::{Context, Cursor, context_id};
use super::home::Home;
use super::ranges::Ranges;
use super::reader::{Reader, Trouble};
use super::segment::{Gone, Place};
use super::segments::Segments;

/// One destination's spool, held by this process.
#[derive(Debug)]
pub struct Spool {
    pub(super) disk: Disk,
    pub(super) home: Home,
    pub(super) options: Options,
    pub(super) nonce: u64,
    /// What new segments are begun with: the context's bytes and the number of them.
    pub(super) context: Vec<u8>,
    pub(super) context_id: u32,
    pub(super) content: Arc<[(String, String)]>,
    /// In the order of their numbers.
    pub(super) segments: Segments,
    /// The last segment's file, while it is written to.
    pub(super) active: Option<File>,
    /// Written and not yet forced to the device: the active file's data; names in the directory.
    pub(super) data_dirty: bool,
    pub(super) dir_dirty: bool,
    /// Full segments' files that are not forced to the device yet.
    pub(super) retired: Vec<File>,
    pub(super) next_seq: u64,
    /// Made when something is read, gone when nothing waits.
    pub(super) reader: Option<Reader>,
    /// In somebody's hands.
    pub(super) taken: BTreeMap<u64, Place>,
    /// Those of `taken` whose files are there.
    pub(super) in_hand: Count,
    /// Those of `taken` that lost their files since [`Spool::newly_gone`] was asked.
    pub(super) newly_gone: Vec<u64>,
    /// Looked at and not in anybody's hands; they come before what the reader finds.
    pub(super) returned: BTreeMap<u64, Place>,
    /// The last segment in which reading failed.
    pub(super) trouble: Option<Trouble>,
    /// What the cursor file says.
    pub(super) saved_cursor: Option<Cursor>,
    /// The cursor is not moved on: there are segments that can't be read now, and once they
    /// can be, a later one would make them look done with.
    pub(super) cursor_stays: bool,
    /// Numbers that were lost, and are counted in `lost` or were by an earlier life.
    pub(super) told: Ranges,
    /// Numbers that no frame has, or whose frames went while `cursor_stays`.
    pub(super) void: Ranges,
    /// Of these there are some that no start would find out by itself: the cursor is to be
    /// saved though it has not moved.
    pub(super) has_news: bool,
    /// Nothing was pushed since the cursor's end was known to be exact.
    pub(super) is_exact: bool,
    /// Samples in the last frame pushed, or found.
    pub(super) last_samples: u32,
    /// It could not be saved when that was last tried, and this was said.
    pub(super) cursor_failed: bool,
    /// A cursor file is there that must be gone before anything is written.
    pub(super) bad_cursor: bool,
    pub(super) last_sync_ms: i64,
    pub(super) over_cap: Count,
    pub(super) expired: Count,
    pub(super) lost: Count,
    pub(super) disk_errors: u64,
    /// Where a frame is put together.
    pub(super) scratch: Vec<u8>,
}

impl Spool {
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
        let waiting = self.segments.waiting();
        Stats {
            waiting,
            in_hand: self.in_hand,
            disk_bytes: self.segments.disk_bytes(),
            segments: self.segments.len() as u64,
            oldest_ms: self.oldest_ms().filter(|_| waiting.frames > 0),
            over_cap: self.over_cap,
            expired: self.expired,
            lost: self.lost,
            disk_errors: self.disk_errors,
        }
    }

    /// Frames in somebody's hands that are nowhere else since this was last asked: the cap, or
    /// whoever removed their file, has taken them. [`Spool::release`] then counts them.
    pub fn newly_gone(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.newly_gone)
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

    pub(super) fn oldest_ms(&self) -> Option<i64> {
        if let Some(id) = self.unsettled().next() {
            return self.taken.get(&id).or_else(|| self.returned.get(&id)).map(|place| place.time_ms);
        }
        // What waits has not been read: it is where reading goes on, or behind it.
        let mut index = self.reader.as_ref().map_or(0, |reader| self.segments.at_or_behind(reader.segment));
        while self.segments.get(index)?.waiting.frames == 0 {
            index += 1;
        }
        let first = &self.segments[index];
        let reader = self.reader.as_ref().filter(|r| r.segment == first.first);
        reader.and_then(|r| r.last_ms).or(Some(first.first_ms))
    }

    /// Takes a segment off the list, with what was known of its frames.
    pub(super) fn forget_segment(&mut self, index: usize, gone: Gone) -> Option<Count> {
        let segment = self.segments.remove(index)?;
        if index == self.segments.len() {
            self.active = None;
            self.data_dirty = false;
        }
        let mut unseen = segment.waiting;
        for (id, place) in self.taken.iter_mut().filter(|(_, p)| p.segment == segment.first) {
            place.gone = Some(gone);
            self.newly_gone.push(*id);
            unseen -= place.count();
            self.in_hand -= place.count();
        }
        self.returned.retain(|_, p| p.segment != segment.first);
        Some(unseen)
    }

    /// Everything below is done with.
    pub(super) fn cursor(&self) -> u64 {
        self.unsettled().next().map_or(self.unread(), |id| id.min(self.unread()))
    }

    /// Frames that are in somebody's hands, or were given back, in order.
    pub(super) fn unsettled(&self) -> impl Iterator<Item = u64> {
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
    pub(super) fn unread(&self) -> u64 {
        match &self.reader {
            _ if self.segments.is_empty() => self.next_seq,
            Some(reader) => match self.segments.index_of(reader.segment) {
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

pub(super) fn encode_context(nonce: u64, destination: &str, content: &Arc<[(String, String)]>) -> io::Result<Vec<u8>> {
    let context = Context { nonce, destination: destination.to_owned(), content: Arc::clone(content) };
    let too_long = || io::Error::new(io::ErrorKind::InvalidInput, "destination and content headers are too long");
    context.encode().ok_or_else(too_long)
}
