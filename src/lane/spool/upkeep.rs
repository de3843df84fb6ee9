//! What is done now and then: forcing data to the device, saving the cursor, removing what
//! is done with.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::disk::Disk;
use super::format::Cursor;
use super::home::{CURSOR, CURSOR_TMP};
use super::segment::Gone;
use super::{DEFAULT_SYNC_INTERVAL, Spool, SyncPolicy, WriteError};

impl Spool {
    /// Does what is due: call it about once a second, also while nothing happens. Where
    /// nothing was pushed, taken or acknowledged since, and nothing has become too old, it
    /// touches nothing.
    ///
    /// `now_ms` is wall-clock time; where it has gone back, everything is due.
    ///
    /// # Errors
    /// Something could not be written or forced to the device. The spool can be used on;
    /// what is uncertain is a power cut's doing, and what was acknowledged may come again
    /// after a restart.
    pub fn sync(&mut self, now_ms: i64) -> io::Result<()> {
        match self.chore(now_ms)? {
            Some(chore) => self.chore_done(chore.run()),
            None => Ok(()),
        }
    }

    /// The first half of [`Spool::sync`]: what is due, as something that can be run while
    /// others push and take, since forcing data to a device may take seconds. None where
    /// nothing is due.
    ///
    /// # Errors
    /// As for [`Spool::sync`].
    pub fn chore(&mut self, now_ms: i64) -> io::Result<Option<Chore>> {
        let expired = self.expire(now_ms);
        let interval = match self.options.sync {
            SyncPolicy::Interval(interval) => interval,
            // The cursor's: losing a second of it costs duplicates only.
            SyncPolicy::Always | SyncPolicy::Never => DEFAULT_SYNC_INTERVAL,
        };
        let since = u64::try_from(now_ms.saturating_sub(self.last_sync_ms));
        if since.is_ok_and(|ms| u128::from(ms) < interval.as_millis()) {
            return expired.map(|()| None);
        }
        self.last_sync_ms = now_ms;
        expired.and(self.everything())
    }

    /// Does everything, due or not.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self.everything()? {
            Some(chore) => self.chore_done(chore.run()),
            None => Ok(()),
        }
    }

    /// All there is to do, due or not.
    fn everything(&mut self) -> io::Result<Option<Chore>> {
        if self.segments.is_empty() && (self.saved_cursor.is_none() || self.hold_cursor) {
            return Ok(None);
        }
        self.ensure_home().map_err(|error| match error {
            WriteError::Io(_, error) => error,
            other => io::Error::other(other.to_string()),
        })?;
        let sync = self.options.sync != SyncPolicy::Never;
        let mut files = std::mem::take(&mut self.retired);
        if sync && std::mem::take(&mut self.data_dirty) {
            if let Some(active) = &self.active {
                files.push(active.try_clone()?);
            }
        }
        let dir = sync && std::mem::take(&mut self.dir_dirty);
        let cursor = self.cursor_to_save().filter(|_| !self.hold_cursor);
        Ok(Some(Chore {
            disk: self.disk.clone(),
            home: self.home.dir.clone(),
            nonce: self.nonce,
            sync,
            files,
            dir,
            cursor,
            saved_before: self.saved_cursor,
        }))
    }

    /// The cursor, where what is saved is not it.
    fn cursor_to_save(&self) -> Option<u64> {
        let first = self.segments.front()?;
        if self.segments.iter().any(|s| s.waiting.frames > 0) {
            let cursor = self.cursor();
            return (self.saved_cursor.unwrap_or(first.first) != cursor).then_some(cursor);
        }
        // Of a single file the removal says it all.
        (self.segments.len() > 1).then_some(self.next_seq)
    }

    /// The second half of [`Spool::sync`]: takes up what became of the first, and removes
    /// what is done with.
    ///
    /// # Errors
    /// As for [`Spool::sync`].
    pub fn chore_done(&mut self, done: ChoreDone) -> io::Result<()> {
        if done.data.is_err() {
            // After a failed sync the kernel may think its pages clean, and a second
            // one would succeed without having done anything: go on in another file.
            self.active = None;
            if let Some(last) = self.segments.back_mut() {
                last.appendable = false;
            }
        }
        self.dir_dirty |= done.dir.is_err();
        let cursor = done.cursor.map(|seq| {
            // Somebody else may have saved one meanwhile; then it is not known which is there.
            self.saved_cursor = seq.filter(|_| self.saved_cursor == done.saved_before).or(self.saved_cursor);
            self.bad_cursor &= seq.is_none();
        });
        let tidied = self.tidy();
        let result = done.data.and(done.dir).and(cursor).and(tidied);
        if result.is_err() {
            self.disk_errors += 1;
        }
        result
    }

    /// Removes segments that are done with: all of them where nothing waits, so that a host
    /// that delivers has nothing on its disk.
    fn tidy(&mut self) -> io::Result<()> {
        if self.segments.is_empty() {
            return self.remove_cursor();
        }
        if self.segments.iter().any(|s| s.waiting.frames > 0) {
            // Only what the saved cursor covers: saving another one is for the next time.
            if let Some(saved) = self.saved_cursor {
                self.reclaim_below(saved);
            }
            return Ok(());
        }
        let saved = if self.segments.len() > 1 { self.save_cursor(self.next_seq) } else { Ok(()) };
        while let Some(first) = self.segments.front() {
            match self.disk.remove(&first.path(&self.home.dir)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => self.forget_segment(0, Gone::Lost),
            };
        }
        self.reader = None;
        self.scratch = Vec::new();
        self.dir_dirty = false;
        saved.and(self.remove_cursor())
    }

    /// Removes the segments at the front that are done with, but for the last, which is
    /// written to. Whether there were any.
    pub(super) fn reclaim(&mut self) -> bool {
        self.reclaim_below(self.cursor())
    }

    fn reclaim_below(&mut self, cursor: u64) -> bool {
        let done = self.segments.iter().take_while(|s| s.waiting.frames == 0 && s.end <= cursor).count();
        let done = done.min(self.segments.len().saturating_sub(1));
        if done == 0 {
            return false;
        }
        // A full disk fails this, and is the very reason to go on: without the cursor, the
        // next start only wonders where these went.
        if self.save_cursor(cursor).is_err() {
            self.disk_errors += 1;
        }
        let mut removed = false;
        for _ in 0..done {
            let path = self.segments[0].path(&self.home.dir);
            if self.disk.remove(&path).is_err_and(|e| e.kind() != io::ErrorKind::NotFound) {
                self.disk_errors += 1;
                break;
            }
            self.forget_segment(0, Gone::Lost);
            removed = true;
        }
        removed
    }

    pub(super) fn save_cursor(&mut self, seq: u64) -> io::Result<()> {
        if self.saved_cursor == Some(seq) || self.hold_cursor {
            return Ok(());
        }
        let sync = self.options.sync != SyncPolicy::Never;
        let renamed = write_cursor(&self.disk, &self.home.dir, &Cursor { nonce: self.nonce, seq }, sync)?;
        self.saved_cursor = Some(seq);
        self.bad_cursor = false;
        renamed
    }

    fn remove_cursor(&mut self) -> io::Result<()> {
        if self.saved_cursor.is_none() || self.hold_cursor {
            return Ok(());
        }
        match self.disk.remove(&self.home.dir.join(CURSOR)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => {
                self.saved_cursor = None;
                Ok(())
            }
        }
    }
}

/// Work on the device that needs nothing of the spool but what is in here.
#[derive(Debug)]
pub struct Chore {
    disk: Disk,
    home: PathBuf,
    nonce: u64,
    sync: bool,
    files: Vec<File>,
    dir: bool,
    cursor: Option<u64>,
    saved_before: Option<u64>,
}

/// What became of a [`Chore`].
#[derive(Debug)]
pub struct ChoreDone {
    data: io::Result<()>,
    dir: io::Result<()>,
    /// The cursor that is saved now, if one was to be.
    cursor: io::Result<Option<u64>>,
    saved_before: Option<u64>,
}

impl Chore {
    /// Does it. May take as long as the device likes.
    pub fn run(self) -> ChoreDone {
        let data = self.files.iter().map(|file| self.disk.sync_data(file)).fold(Ok(()), Result::and);
        let dir = if self.dir { self.disk.sync_dir(&self.home) } else { Ok(()) };
        // A cursor says that all before it is done with, so it does not depend on the data.
        let cursor = self.cursor.map_or(Ok(None), |seq| {
            let cursor = Cursor { nonce: self.nonce, seq };
            write_cursor(&self.disk, &self.home, &cursor, self.sync).map(|_renamed| Some(seq))
        });
        ChoreDone { data, dir, cursor, saved_before: self.saved_before }
    }
}

/// Writes the cursor beside the old one and puts it in its place. The error: the old one is
/// still there. Else whether the name has reached the device.
fn write_cursor(disk: &Disk, home: &Path, cursor: &Cursor, sync: bool) -> io::Result<io::Result<()>> {
    let tmp = home.join(CURSOR_TMP);
    let file = match disk.create(&tmp) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            disk.remove(&tmp)?;
            disk.create(&tmp)?
        }
        result => result?,
    };
    disk.write_all_at(&file, &cursor.encode(), 0)?;
    if sync {
        disk.sync_data(&file)?;
    }
    disk.rename(&tmp, &home.join(CURSOR))?;
    Ok(if sync { disk.sync_dir(home) } else { Ok(()) })
}
