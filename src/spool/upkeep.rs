//! What is done now and then: forcing data to the device, saving the cursor, removing what
//! is done with.

use std::io;

use super::api::{Count, DEFAULT_SYNC_INTERVAL, SyncPolicy, WriteError};
use super::cursor_file::{remove_cursor, write_cursor};
use super::format::Cursor;
use super::segment::Gone;
use super::segments::Segments;
use super::state::Spool;

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
        let flushed = self.flush();
        expired.and(flushed)
    }

    /// Whether all that was pushed is on the device, as far as that is asked for: it is not, under
    /// [`SyncPolicy::Never`]. Where forcing it there failed, which [`Stats::disk_errors`](super::Stats) counts, it may
    /// never be.
    pub fn is_synced(&self) -> bool {
        let is_forced = !self.data_dirty && !self.dir_dirty && self.retired.is_empty();
        is_forced || self.options.sync == SyncPolicy::Never
    }

    /// Does everything, due or not.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.segments.is_empty() && (self.saved_cursor.is_none() || self.cursor_stays) {
            return Ok(());
        }
        self.ensure_home().map_err(|error| match error {
            WriteError::Io(_, error) => error,
            other => io::Error::other(other.to_string()),
        })?;
        let forced = self.force();
        // That all before it is done with does not depend on the data; that there is as much
        // as it says, a start sees for itself.
        let saved = match self.cursor_to_save() {
            Some(cursor) => self.write_cursor(cursor),
            None => {
                self.has_news = false;
                Ok(())
            }
        };
        let tidied = self.tidy();
        let result = forced.and(saved).and(tidied);
        if result.is_err() {
            self.disk_errors += 1;
        }
        result
    }

    /// Forces to the device what was written.
    fn force(&mut self) -> io::Result<()> {
        let is_forced = self.options.sync != SyncPolicy::Never;
        let retired = std::mem::take(&mut self.retired);
        let mut data = retired.iter().map(|file| self.disk.sync_data(file)).fold(Ok(()), Result::and);
        if is_forced && std::mem::take(&mut self.data_dirty) {
            if let Some(active) = &self.active {
                data = data.and(self.disk.sync_data(active));
            }
        }
        if data.is_err() {
            // After a failed sync the kernel may think its pages clean, and a second
            // one would succeed without having done anything: go on in another file.
            self.active = None;
            self.segments.end_last();
        }
        if is_forced && self.dir_dirty {
            let dir = self.disk.sync_dir(&self.home.dir);
            self.dir_dirty = dir.is_err();
            return data.and(dir);
        }
        data
    }

    /// The cursor, where what is saved is not it, or says less than there is to say.
    fn cursor_to_save(&mut self) -> Option<Cursor> {
        let first = self.segments.front()?.first;
        if self.segments.waiting().frames > 0 {
            let cursor = self.cursor();
            let saved = self.saved_cursor.as_ref().map_or(first, |saved| saved.seq);
            let moved = saved != cursor && !self.cursor_stays;
            return (moved || self.has_news).then(|| self.cursor_at(cursor)).filter(|c| !self.is_saved(c));
        }
        // Of a single file the removal says it all.
        (self.segments.len() > 1 && !self.cursor_stays).then(|| self.cursor_at(self.next_seq))
    }

    /// What there is to say when all below `seq` is done with.
    fn cursor_at(&mut self, seq: u64) -> Cursor {
        let (seq, end) = match &self.saved_cursor {
            _ if !self.cursor_stays => (seq, self.next_seq),
            saved => (saved.as_ref().map_or(0, |saved| saved.seq), 0),
        };
        self.told.forget_below(seq);
        self.void.forget_below(seq);
        let (told, mut void) = (self.told.clone(), self.void.clone());
        // Acknowledged above it, in any order: where these are damaged, nothing is lost.
        let (mut from, unread) = (seq, self.unread());
        for id in self.unsettled() {
            void.add(from..id.min(unread));
            from = id + 1;
        }
        void.add(from..unread);
        void.remove_all(&told);
        let exact = self.is_exact && end > 0;
        Cursor { nonce: self.nonce, seq, end, exact, samples: self.last_samples, told, void }
    }

    fn is_saved(&self, cursor: &Cursor) -> bool {
        self.saved_cursor.as_ref() == Some(cursor)
    }

    /// Removes segments that are done with: all of them where nothing waits, so that a host
    /// that delivers has nothing on its disk.
    fn tidy(&mut self) -> io::Result<()> {
        if self.segments.is_empty() {
            return self.remove_cursor();
        }
        if self.segments.waiting().frames > 0 {
            // Only what the saved cursor covers: saving another one is for the next time.
            if let Some(saved) = self.saved_cursor.as_ref().map(|saved| saved.seq) {
                self.reclaim_below(saved);
            }
            return Ok(());
        }
        let saved = match self.segments.len() {
            // First the cursor: alone, it would tell of frames that are missing.
            1 => self.remove_cursor(),
            _ => self.save_cursor(self.next_seq),
        };
        if saved.is_err() {
            // An old one would tell of frames that are missing, too.
            let _ = self.forget_cursor();
        }
        while let Some(first) = self.segments.front() {
            self.remove_segment(&first.path(&self.home.dir))?;
            self.let_go_of_first(Gone::Lost);
        }
        self.reader = None;
        self.scratch = Vec::new();
        self.dir_dirty = false;
        if self.cursor_stays {
            return saved.and(self.save_cursor(self.next_seq));
        }
        self.told.clear();
        self.void.clear();
        saved.and(self.remove_cursor())
    }

    /// Removes the segments at the front that are done with, but for the last, which is
    /// written to. Whether there were any.
    pub(super) fn reclaim(&mut self) -> bool {
        self.reclaim_below(self.cursor())
    }

    fn reclaim_below(&mut self, cursor: u64) -> bool {
        let is_done = |segments: &Segments| {
            segments.len() > 1 && segments.front().is_some_and(|s| s.waiting.frames == 0 && s.end <= cursor)
        };
        if !is_done(&self.segments) {
            return false;
        }
        self.cover(cursor);
        let mut removed = false;
        while is_done(&self.segments) {
            let path = self.segments[0].path(&self.home.dir);
            if self.remove_segment(&path).is_err() {
                self.disk_errors += 1;
                break;
            }
            self.let_go_of_first(Gone::Lost);
            removed = true;
        }
        removed
    }

    /// Saves the cursor, so that a start does not miss what is below and about to be
    /// removed. A full disk fails this, and is the very reason to go on: with no cursor at
    /// all a start begins with the first segment there is, and misses nothing before it.
    pub(super) fn cover(&mut self, seq: u64) {
        if self.save_cursor(seq).is_err() {
            self.disk_errors += 1;
            self.has_news = true;
            let _ = self.forget_cursor();
        }
    }

    /// The first segment's file is gone, and nothing of it is missed.
    pub(super) fn let_go_of_first(&mut self, gone: Gone) -> Option<Count> {
        let (first, end) = self.segments.front().map(|s| (s.first, s.end))?;
        if self.cursor_stays {
            // No cursor will say so.
            self.void.add(first..end);
            self.has_news = true;
        }
        self.forget_segment(0, gone)
    }

    pub(super) fn save_cursor(&mut self, seq: u64) -> io::Result<()> {
        if !self.cursor_stays && self.saved_cursor.as_ref().is_some_and(|saved| saved.seq == seq) {
            return Ok(());
        }
        let cursor = self.cursor_at(seq);
        if self.is_saved(&cursor) { Ok(()) } else { self.write_cursor(cursor) }
    }

    fn write_cursor(&mut self, cursor: Cursor) -> io::Result<()> {
        self.has_news = false;
        let sync = self.options.sync != SyncPolicy::Never;
        match write_cursor(&self.disk, &self.home.dir, &cursor, sync) {
            Ok(renamed) => {
                self.saved_cursor = Some(cursor);
                self.bad_cursor = false;
                self.cursor_failed = false;
                renamed
            }
            Err(error) => {
                self.has_news = true;
                self.say_unsaved(&error);
                Err(error)
            }
        }
    }

    /// Once, until it can be saved again.
    fn say_unsaved(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.cursor_failed, true) {
            let name = &self.options.destination;
            log::warn!(
                "destination {name}: {error}; until that works, a restart may send again what was delivered, and \
                 count again what was lost"
            );
        }
    }

    fn remove_cursor(&mut self) -> io::Result<()> {
        if self.saved_cursor.is_none() { Ok(()) } else { self.forget_cursor() }
    }

    fn forget_cursor(&mut self) -> io::Result<()> {
        remove_cursor(&self.disk, &self.home.dir)?;
        self.saved_cursor = None;
        Ok(())
    }
}
