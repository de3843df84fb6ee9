//! The spool's directory: making it, holding it, and where unreadable files go.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::api::OpenError;
use super::disk::Disk;
use super::recovery::{Finding, Note};
use crate::order;

pub(super) const LOCK: &str = "lock";
pub(super) const CURSOR: &str = "cursor";
pub(super) const CURSOR_TMP: &str = "cursor.tmp";
pub(super) const QUARANTINE: &str = "quarantine";

/// Files kept in quarantine, for somebody to look at; beyond these the oldest goes. A
/// device must not fill up with what nobody can read.
const QUARANTINE_MAX_FILES: usize = 8;
/// And what they may take together.
const QUARANTINE_MAX_BYTES: u64 = 4 << 20;

/// A directory that is held by this process.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) dir: PathBuf,
    lock: Flock<File>,
}

impl Home {
    /// Makes the directory and the lock file where they are missing (the only thing that
    /// opening a spool ever writes), and takes the lock. A lock file without a holder is
    /// nothing. What stands in its place and is no file goes to the quarantine, which is noted.
    pub(super) fn take(disk: &Disk, dir: &Path) -> Result<(Home, Option<Note>), OpenError> {
        let io_error = |path: &Path| {
            let path = path.to_path_buf();
            move |error| OpenError::Io(path, error)
        };
        disk.make_dir(dir).map_err(io_error(dir))?;
        let path = dir.join(LOCK);
        let moved = clear(disk, dir, LOCK).map_err(io_error(&path))?;
        let file = disk.open_or_create(&path).map_err(io_error(&path))?;
        if !file.metadata().map_err(io_error(&path))?.is_file() {
            return Err(OpenError::Io(path, io::Error::other("not a regular file")));
        }
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok((Home { dir: dir.to_path_buf(), lock }, moved)),
            Err((_, Errno::EWOULDBLOCK)) => Err(OpenError::Locked(dir.to_path_buf())),
            Err((_, errno)) => Err(OpenError::Io(path, errno.into())),
        }
    }

    /// Whether the directory is still there with our lock in it. Somebody may have removed
    /// or replaced it, and writing on into unlinked files would be losing data in silence.
    pub(super) fn is_ours(&self) -> bool {
        let identity = |m: fs::Metadata| (m.dev(), m.ino());
        match (fs::symlink_metadata(self.dir.join(LOCK)), self.lock.metadata()) {
            (Ok(there), Ok(held)) => identity(there) == identity(held),
            _ => false,
        }
    }
}

/// Moves what is `name` in the spool `dir` and is no regular file out of the way; what is to
/// be said of that.
///
/// # Errors
/// It is still there.
pub(super) fn clear(disk: &Disk, dir: &Path, name: &str) -> io::Result<Option<Note>> {
    let path = dir.join(name);
    if !is_no_file(&path) {
        return Ok(None);
    }
    quarantine(disk, dir, &path)?;
    Ok(Some(Note { path, finding: Finding::InTheWay }))
}

/// Whether something else than a regular file is there; a link is one whatever it leads to.
pub(super) fn is_no_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| !meta.is_file())
}

/// Moves a file of the spool `home` out of the way. Where that fails it stays, and the next
/// start tries again.
pub(super) fn quarantine(disk: &Disk, home: &Path, path: &Path) -> io::Result<()> {
    let dir = home.join(QUARANTINE);
    // A link is not followed: it may lead to where others write, or read.
    if fs::symlink_metadata(&dir).is_ok_and(|meta| !meta.is_dir()) {
        disk.rename(&dir, &free_name(home, QUARANTINE))?;
    }
    disk.make_dir(&dir)?;
    let to = free_name(&dir, &path.file_name().unwrap_or_default().to_string_lossy());
    disk.rename(path, &to)?;
    bound_quarantine(disk, &dir, &to);
    Ok(())
}

/// `name.0` in `dir`, or the next that is nothing's.
fn free_name(dir: &Path, name: &str) -> PathBuf {
    let free = (0..u64::MAX).map(|n| dir.join(format!("{name}.{n}"))).find(|p| fs::symlink_metadata(p).is_err());
    free.unwrap_or_else(|| dir.join(name))
}

/// Directories, which only a person can have made, count for nothing and stay.
fn bound_quarantine(disk: &Disk, dir: &Path, newest: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    let mut files: Vec<_> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let meta = entry.metadata().ok().filter(|m| !m.is_dir())?;
            // By change time, which a rename sets: the order of coming in.
            Some(((meta.ctime(), meta.ctime_nsec()), entry.path(), meta.len()))
        })
        .collect();
    order::sort(&mut files);
    let mut count = files.len();
    let mut bytes: u64 = files.iter().map(|f| f.2).sum();
    for (_, path, len) in files {
        if count <= QUARANTINE_MAX_FILES && bytes <= QUARANTINE_MAX_BYTES {
            break;
        }
        // One file alone may be over the limit in bytes and is kept all the same.
        if path != newest && disk.remove(&path).is_ok() {
            count -= 1;
            bytes -= len;
        }
    }
}
