//! What is done now and then: forcing data to the device, saving the cursor, removing what
//! is done with.

use std::io;

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
        let expired = self.expire(now_ms);
        let interval = match self.options.sync {
            SyncPolicy::Interval(interval) => interval,
            // The cursor's: losing a second of it costs duplicates only.
            SyncPolicy::Always | SyncPolicy::Never => DEFAULT_SYNC_INTERVAL,
        };
        let since = u64::try_from(now_ms.saturating_sub(self.last_sync_ms));
        if since.is_ok_and(|ms| u128::from(ms) < interval.as_millis()) {
            return expired;
        }
        self.last_sync_ms = now_ms;
        expired.and(self.flush())
    }

    /// Does everything, due or not.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.segments.is_empty() && (self.saved_cursor.is_none() || self.hold_cursor) {
            return Ok(());
        }
        self.ensure_home().map_err(|error| match error {
            WriteError::Io(_, error) => error,
            other => io::Error::other(other.to_string()),
        })?;
        let synced = self.sync_files();
        let tidied = self.tidy();
        if synced.is_err() || tidied.is_err() {
            self.disk_errors += 1;
        }
        synced.and(tidied)
    }

    fn sync_files(&mut self) -> io::Result<()> {
        if self.options.sync == SyncPolicy::Never {
            return Ok(());
        }
        if self.data_dirty {
            self.data_dirty = false;
            let synced = self.active.as_ref().map_or(Ok(()), |file| self.disk.sync_data(file));
            if synced.is_err() {
                // After a failed sync the kernel may think its pages clean, and a second
                // one would succeed without having done anything: go on in another file.
                self.active = None;
                if let Some(last) = self.segments.back_mut() {
                    last.appendable = false;
                }
                return synced;
            }
        }
        if self.dir_dirty {
            self.disk.sync_dir(&self.home.dir)?;
            self.dir_dirty = false;
        }
        Ok(())
    }

    /// Saves the cursor, and removes segments that are done with: all of them where
    /// nothing waits, so that a host that delivers has nothing on its disk.
    fn tidy(&mut self) -> io::Result<()> {
        let Some(first) = self.segments.front() else { return self.remove_cursor() };
        if self.segments.iter().any(|s| s.waiting.frames > 0) {
            let cursor = self.cursor();
            if self.saved_cursor.unwrap_or(first.first) != cursor {
                self.save_cursor(cursor)?;
            }
            self.reclaim();
            return Ok(());
        }
        // Of a single file the removal says it all.
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
        let cursor = self.cursor();
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
        let tmp = self.home.dir.join(CURSOR_TMP);
        let file = match self.disk.create(&tmp) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                self.disk.remove(&tmp)?;
                self.disk.create(&tmp)?
            }
            result => result?,
        };
        let sync = self.options.sync != SyncPolicy::Never;
        self.disk.write_all_at(&file, &Cursor { nonce: self.nonce, seq }.encode(), 0)?;
        if sync {
            self.disk.sync_data(&file)?;
        }
        self.disk.rename(&tmp, &self.home.dir.join(CURSOR))?;
        self.saved_cursor = Some(seq);
        self.bad_cursor = false;
        if sync { self.disk.sync_dir(&self.home.dir) } else { Ok(()) }
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
