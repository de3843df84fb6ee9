//! The cursor's file. The spool and a chore of it may have something to write at the same
//! time: one waits for the other, and the older never replaces the newer.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::disk::Disk;
use super::format::Cursor;
use super::home::{CURSOR, CURSOR_TMP, clear};

/// Who may write, and what was written last. Clones are of the same file.
#[derive(Clone, Debug, Default)]
pub(super) struct CursorFile {
    /// Of the newest draft that was written.
    written: Arc<Mutex<u64>>,
    drafted: Arc<AtomicU64>,
}

/// A cursor to be written.
#[derive(Debug)]
pub(super) struct Draft {
    /// Later ones have higher numbers.
    pub(super) number: u64,
    pub(super) cursor: Cursor,
}

/// What became of a draft.
#[derive(Debug)]
pub(super) enum Written {
    /// It is the cursor now; and whether its name has reached the device.
    Yes(io::Result<()>),
    /// Somebody has written or removed a newer one.
    Outdated,
}

impl CursorFile {
    /// Whether `other` is of the same spool, in the same life of this process.
    pub(super) fn is(&self, other: &CursorFile) -> bool {
        Arc::ptr_eq(&self.written, &other.written)
    }

    /// What is there to say now.
    pub(super) fn draft(&self, cursor: Cursor) -> Draft {
        Draft { number: self.drafted.fetch_add(1, Ordering::Relaxed) + 1, cursor }
    }

    /// Writes it beside the old one and puts it in its place. What is no file there goes to
    /// the quarantine.
    ///
    /// # Errors
    /// The old one is still there; the error names the path.
    pub(super) fn write(&self, disk: &Disk, home: &Path, draft: &Draft, sync: bool) -> io::Result<Written> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if *written >= draft.number {
            return Ok(Written::Outdated);
        }
        let (tmp, path) = (home.join(CURSOR_TMP), home.join(CURSOR));
        write_file(disk, home, &tmp, &draft.cursor.encode(), sync).map_err(|error| unwritten(&tmp, error))?;
        let clear = clear(disk, home, CURSOR);
        clear.and_then(|_| disk.rename(&tmp, &path)).map_err(|error| unwritten(&path, error))?;
        *written = draft.number;
        Ok(Written::Yes(if sync { disk.sync_dir(home) } else { Ok(()) }))
    }

    /// There is to be none. The number below which no draft is written any more.
    ///
    /// # Errors
    /// It is still there.
    pub(super) fn remove(&self, disk: &Disk, home: &Path) -> io::Result<u64> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let clear = clear(disk, home, CURSOR);
        match clear.and_then(|_| disk.remove(&home.join(CURSOR))) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => {
                *written = self.drafted.load(Ordering::Relaxed);
                Ok(*written)
            }
        }
    }
}

fn write_file(disk: &Disk, home: &Path, path: &Path, bytes: &[u8], sync: bool) -> io::Result<()> {
    let file = match disk.create(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            if clear(disk, home, CURSOR_TMP)?.is_none() {
                disk.remove(path)?;
            }
            disk.create(path)?
        }
        result => result?,
    };
    disk.write_all_at(&file, bytes, 0)?;
    if sync { disk.sync_data(&file) } else { Ok(()) }
}

fn unwritten(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::tests::TempDir;

    fn cursor(seq: u64) -> Cursor {
        Cursor { seq, ..Cursor::default() }
    }

    #[test]
    fn an_older_draft_replaces_no_newer_one_and_brings_no_removed_one_back() {
        let (dir, disk, file) = (TempDir::new(), Disk::default(), CursorFile::default());
        let saved = || Cursor::decode(&std::fs::read(dir.path().join(CURSOR)).unwrap()).unwrap().seq;
        let (older, newer) = (file.draft(cursor(1)), file.draft(cursor(2)));
        assert!(matches!(file.write(&disk, dir.path(), &newer, true), Ok(Written::Yes(Ok(())))));
        assert!(matches!(file.clone().write(&disk, dir.path(), &older, true), Ok(Written::Outdated)));
        assert_eq!(saved(), 2);
        let late = file.draft(cursor(3));
        assert_eq!(file.remove(&disk, dir.path()).unwrap(), late.number);
        assert!(matches!(file.write(&disk, dir.path(), &late, true), Ok(Written::Outdated)));
        assert!(!dir.path().join(CURSOR).exists());
        assert!(matches!(file.write(&disk, dir.path(), &file.draft(cursor(4)), false), Ok(Written::Yes(Ok(())))));
        assert_eq!(saved(), 4);
    }
}
