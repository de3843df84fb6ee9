//! Putting frames in, and what a full disk or a reached cap makes of it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::api::{Count, OpenError, Pushed, SyncPolicy, WriteError};
use super::format::{FRAME_HEAD, Head, encode_header, segment_name};
use super::home::{CURSOR, Home, clear, is_no_file};
use super::segment::{Gone, Place, Segment};
use super::state::Spool;

/// A cap reached drops one segment; eight of them at least, and it drops an eighth.
const MIN_SEGMENTS: u64 = 8;

/// And under a cap of many gigabytes segments are larger, so that no cap makes more of them
/// than this: what is kept in memory of each is some hundred bytes.
const MAX_SEGMENTS: u64 = 16_384;

/// Smaller segments would be more file handling than data.
const MIN_SEGMENT_BYTES: u64 = 4096;

/// Names that something else may occupy (directories, links, a later version's segments)
/// before a new segment is given up on.
const MAX_NAMES_TRIED: u64 = 16;

/// A larger buffer is not kept between pushes.
const MAX_SCRATCH: usize = 256 << 10;

/// A segment as a write would leave it.
enum Target {
    /// The last one has room.
    Last,
    /// A new one is begun.
    New,
}

/// Full segments that may wait for the next sync; beyond that a push has to.
const MAX_RETIRED: usize = 8;

impl Spool {
    /// Puts a frame in, behind all others. Once this returns, it survives the process;
    /// when it survives a power cut, [`SyncPolicy`] says.
    ///
    /// # Errors
    /// The frame is not in the spool and nothing of it is left; what was there still is.
    /// What the cap dropped before a write failed is in [`Stats::over_cap`](super::Stats::over_cap).
    pub fn push(&mut self, time_ms: i64, samples: u32, bytes: &[u8]) -> Result<Pushed, WriteError> {
        self.put(time_ms, samples, bytes, false)
    }

    /// Puts a frame in that the caller is already sending: it is as if taken, and wants
    /// [`ack`](Spool::ack) or [`release`](Spool::release). Where older frames wait for
    /// somebody to take them this is a plain push, and [`Pushed::taken`] is false: the
    /// frame comes when it is its turn.
    ///
    /// # Errors
    /// As for [`push`](Spool::push).
    pub fn push_taken(&mut self, time_ms: i64, samples: u32, bytes: &[u8]) -> Result<Pushed, WriteError> {
        self.put(time_ms, samples, bytes, true)
    }

    /// Drops the oldest segment, for a cap over several spools. Nothing where nothing waits.
    pub fn drop_oldest(&mut self) -> Count {
        let before = self.over_cap;
        if self.drop_first_segment().is_err() {
            self.disk_errors += 1;
        }
        let mut dropped = self.over_cap;
        dropped -= before;
        dropped
    }

    fn put(&mut self, time_ms: i64, samples: u32, bytes: &[u8], taken: bool) -> Result<Pushed, WriteError> {
        let header = 2 * (28 + self.context.len() as u64);
        let size = (FRAME_HEAD + bytes.len()) as u64;
        if header + size > self.options.max_bytes || u32::try_from(bytes.len()).is_err() {
            return Err(WriteError::TooLarge { bytes: header + size, max: self.options.max_bytes });
        }
        self.ensure_home()?;
        if self.bad_cursor {
            let path = self.home.dir.join(CURSOR);
            let cleared = clear(&self.disk, &self.home.dir, CURSOR);
            match cleared.and_then(|_| self.disk.remove(&path)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(WriteError::Io(path, e)),
                _ => self.bad_cursor = false,
            }
        }
        let before = self.over_cap;
        let nothing_unread = self.nothing_unread();
        let result = match self.store(time_ms, samples, bytes, header) {
            // Segments that are done with may stand in the way of this one.
            Err(e) if is_no_space(&e) && self.reclaim() => self.store(time_ms, samples, bytes, header),
            result => result,
        };
        if self.scratch.capacity() > MAX_SCRATCH {
            self.scratch = Vec::new();
        }
        let place = result.map_err(|(path, error)| WriteError::Io(path, error))?;
        let id = self.next_seq - 1;
        // The cursor is to say so, lest a loss from here on be taken for none.
        self.has_news |= std::mem::take(&mut self.is_exact);
        let taken = taken && nothing_unread;
        if taken {
            self.put_in_hand(id, place);
            self.read_past_last();
        }
        let mut dropped = self.over_cap;
        dropped -= before;
        Ok(Pushed { id, taken, dropped })
    }

    /// Writes the frame `next_seq`.
    fn store(&mut self, time_ms: i64, samples: u32, bytes: &[u8], header: u64) -> Result<Place, (PathBuf, io::Error)> {
        let size = (FRAME_HEAD + bytes.len()) as u64;
        loop {
            let needed = match self.target(size) {
                Target::Last => size,
                Target::New => header + size,
            };
            if self.segments.disk_bytes() + needed <= self.options.max_bytes {
                break;
            }
            if !self.reclaim() {
                self.drop_first_segment()?;
            }
        }
        match self.target(size) {
            Target::Last => self.reopen_last()?,
            Target::New => self.begin_segment()?,
        }
        let last = self.segments.len() - 1;
        let path = self.segments[last].path(&self.home.dir);
        let Some(file) = &self.active else { return Err((path, io::Error::other("no segment to write to"))) };

        self.scratch.clear();
        let head = Head { context: self.context_id, len: 0, seq: self.next_seq, time_ms, samples, crc: 0 };
        head.encode(bytes, &mut self.scratch);
        let len = self.segments[last].len;
        let mut written = self.disk.write_all_at(file, &self.scratch, len);
        if written.is_ok() && self.options.sync == SyncPolicy::Always {
            written = self.disk.sync_data(file);
            if written.is_ok() && self.dir_dirty {
                written = self.disk.sync_dir(&self.home.dir);
                self.dir_dirty = written.is_err();
            }
            if written.is_err() {
                // After a failed sync the kernel may think its pages clean: what is
                // written next goes to another file.
                self.segments.end_last();
            }
        }
        if let Err(error) = written {
            // The frame is the caller's again. Where even this fails, what is behind
            // `len` is never read, and the next start takes it for the torn tail it is.
            if self.disk.truncate(file, len).is_err() {
                self.segments.end_last();
            }
            if !self.segments[last].appendable {
                self.active = None;
                // Empty, it would be in the way of the next one, of the same name.
                if self.segments[last].end == self.segments[last].first && self.disk.remove(&path).is_ok() {
                    self.forget_segment(last, Gone::Lost);
                }
            }
            return Err((path, error));
        }
        self.data_dirty = self.options.sync != SyncPolicy::Always;

        let segment = self.segments[last].first;
        let place = Place { segment, offset: len, len: bytes.len() as u32, samples, time_ms, gone: None };
        self.segments.add(&place, self.next_seq);
        self.next_seq += 1;
        self.last_samples = samples;
        Ok(place)
    }

    fn target(&self, size: u64) -> Target {
        let (least, most) = (self.options.max_bytes / MAX_SEGMENTS, self.options.max_bytes / MIN_SEGMENTS);
        let limit = self.options.segment_bytes.max(least).min(most).max(MIN_SEGMENT_BYTES);
        match self.segments.back() {
            Some(last)
                if last.appendable
                    && last.end == self.next_seq
                    && last.context == Some(self.context_id)
                    && (last.len + size <= limit || last.end == last.first) =>
            {
                Target::Last
            }
            _ => Target::New,
        }
    }

    /// The last segment was written by an earlier process: cuts off what may be behind its
    /// last intact frame, and goes on with it.
    fn reopen_last(&mut self) -> Result<(), (PathBuf, io::Error)> {
        if self.active.is_some() {
            return Ok(());
        }
        let Some(last) = self.segments.back() else { return Ok(()) };
        let path = last.path(&self.home.dir);
        let opened = self.disk.open_for_append(&path).and_then(|file| {
            self.disk.truncate(&file, last.len)?;
            Ok(file)
        });
        match opened {
            Ok(file) => {
                self.active = Some(file);
                Ok(())
            }
            Err(error) => {
                // Next time, another file.
                self.segments.end_last();
                Err((path, error))
            }
        }
    }

    fn begin_segment(&mut self) -> Result<(), (PathBuf, io::Error)> {
        self.retire_active();
        let mut tried = 0;
        let (path, file) = loop {
            let path = self.home.dir.join(segment_name(self.next_seq));
            match self.disk.create(&path) {
                Ok(file) => break (path, file),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists && tried < MAX_NAMES_TRIED => {
                    tried += 1;
                    self.void.add(self.next_seq..self.next_seq + 1);
                    self.has_news = true;
                    self.next_seq += 1;
                }
                Err(error) => return Err((path, error)),
            }
        };
        self.dir_dirty = true;
        // From the second segment on, a start has to know of the first.
        self.has_news |= self.saved_cursor.is_none() && !self.segments.is_empty();
        let header = encode_header(self.next_seq, &self.context);
        if let Err(error) = self.disk.write_all_at(&file, &header, 0) {
            if self.disk.remove(&path).is_err() {
                self.disk_errors += 1;
            }
            return Err((path, error));
        }
        let len = header.len() as u64;
        self.segments.push(Segment {
            name: self.next_seq,
            first: self.next_seq,
            end: self.next_seq,
            start: len,
            next: self.next_seq,
            len,
            context: Some(self.context_id),
            content: Arc::clone(&self.content),
            waiting: Count::default(),
            first_ms: 0,
            last_ms: 0,
            appendable: true,
        });
        self.active = Some(file);
        Ok(())
    }

    /// Lets go of the file that was written to so far.
    fn retire_active(&mut self) {
        let Some(file) = self.active.take() else { return };
        if std::mem::take(&mut self.data_dirty) && self.options.sync != SyncPolicy::Never {
            if self.retired.len() < MAX_RETIRED {
                // A push does not wait for the device; the next sync does.
                self.retired.push(file);
            } else if self.disk.sync_data(&file).is_err() {
                self.disk_errors += 1;
            }
        }
        self.segments.end_last();
    }

    /// The cap's work: the cursor first, so that a start in between does not miss the frames.
    fn drop_first_segment(&mut self) -> Result<(), (PathBuf, io::Error)> {
        let Some(first) = self.segments.front() else { return Ok(()) };
        let path = first.path(&self.home.dir);
        let cursor = self.segments.get(1).map_or(self.next_seq, |s| s.next).max(self.cursor());
        self.cover(cursor);
        self.remove_segment(&path).map_err(|error| (path, error))?;
        if let Some(dropped) = self.let_go_of_first(Gone::OverCap) {
            self.over_cap += dropped;
        }
        Ok(())
    }

    /// Somebody may have removed the directory, or emptied it. What was in it is counted
    /// as lost, and a new one begun.
    pub(super) fn ensure_home(&mut self) -> Result<(), WriteError> {
        if self.home.is_ours() {
            // The file alone may be gone; `fstat` tells by its number of links.
            let unlinked = self.active.as_ref().is_some_and(is_unlinked);
            if unlinked {
                self.lose_missing();
            }
            return Ok(());
        }
        let dir = self.options.dir.clone();
        self.home = match Home::take(&self.disk, &dir) {
            Ok((home, _)) => home,
            Err(OpenError::Locked(dir)) => return Err(WriteError::Locked(dir)),
            Err(OpenError::Io(path, error)) => return Err(WriteError::Io(path, error)),
        };
        self.lose_missing();
        self.saved_cursor = None;
        Ok(())
    }

    /// There is nothing to remove where something else than a regular file has come into its
    /// place.
    pub(super) fn remove_segment(&self, path: &Path) -> io::Result<()> {
        match self.disk.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound && !is_no_file(path) => Err(error),
            _ => Ok(()),
        }
    }

    fn lose_missing(&mut self) {
        for index in (0..self.segments.len()).rev() {
            if is_missing(&self.segments[index].path(&self.home.dir)) {
                self.lose_segment(index);
            }
        }
    }

    pub(super) fn lose_segment(&mut self, index: usize) {
        let numbers = self.segments[index].first..self.segments[index].end;
        if let Some(lost) = self.forget_segment(index, Gone::Lost) {
            self.lost += lost;
            self.told.add(numbers);
        }
    }
}

/// Also where something else than a regular file has come into its place.
fn is_missing(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_err_and(|e| e.kind() == io::ErrorKind::NotFound) || is_no_file(path)
}

fn is_unlinked(file: &std::fs::File) -> bool {
    use std::os::unix::fs::MetadataExt;
    file.metadata().is_ok_and(|m| m.nlink() == 0)
}

fn is_no_space((_, error): &(PathBuf, io::Error)) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
