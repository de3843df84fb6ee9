//! The spool's directory: making it, holding it, and where unreadable files go.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::OpenError;
use super::disk::Disk;

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
    /// opening a spool ever writes), and takes the lock. A lock file without a holder is nothing.
    pub(super) fn take(disk: &Disk, dir: &Path) -> Result<Home, OpenError> {
        let io_error = |path: &Path| {
            let path = path.to_path_buf();
            move |error| OpenError::Io(path, error)
        };
        disk.make_dir(dir).map_err(io_error(dir))?;
        let path = dir.join(LOCK);
        let file = disk.open_or_create(&path).map_err(io_error(&path))?;
        if !file.metadata().map_err(io_error(&path))?.is_file() {
            return Err(OpenError::Io(path, io::Error::other("not a regular file")));
        }
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Home { dir: dir.to_path_buf(), lock }),
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

    /// Moves a file out of the way. Where that fails it stays, and the next start tries again.
    pub(super) fn quarantine(&self, disk: &Disk, path: &Path) -> io::Result<PathBuf> {
        let dir = self.dir.join(QUARANTINE);
        disk.make_dir(&dir)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let free = (0..).map(|n| dir.join(format!("{name}.{n}"))).find(|p| fs::symlink_metadata(p).is_err());
        let to = free.unwrap_or_else(|| dir.join(&*name));
        disk.rename(path, &to)?;
        self.bound_quarantine(disk, &dir, &to);
        Ok(to)
    }

    fn bound_quarantine(&self, disk: &Disk, dir: &Path, newest: &Path) {
        let Ok(entries) = fs::read_dir(dir) else { return };
        let mut files: Vec<_> = entries
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let meta = entry.metadata().ok().filter(|m| m.is_file())?;
                // By change time, which a rename sets: the order of coming in.
                Some(((meta.ctime(), meta.ctime_nsec()), entry.path(), meta.len()))
            })
            .collect();
        files.sort();
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
}
