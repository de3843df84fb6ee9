//! The file operations that the spool is made of, in one place: tests inject failures here.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

use nix::libc;

#[cfg(test)]
use super::tests::faults::{Faults, Op};

/// What is spooled is nobody's but the agent's: payloads may name what a site runs.
const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// A link in place of a file is not followed, and a FIFO does not hang the opener.
const FLAGS: i32 = libc::O_NOFOLLOW | libc::O_NONBLOCK;

/// The host's file system, or in tests one that fails on request.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    #[cfg(test)]
    pub(super) faults: Faults,
}

/// Asks the test's plan whether this operation is to fail.
macro_rules! gate {
    ($self:ident, $op:ident) => {
        #[cfg(test)]
        $self.faults.gate(Op::$op)?;
        #[cfg(not(test))]
        let _ = $self;
    };
}

impl Disk {
    pub(super) fn open(&self, path: &Path) -> io::Result<File> {
        gate!(self, Open);
        #[cfg(test)]
        self.faults.open(path)?;
        OpenOptions::new().read(true).custom_flags(FLAGS).open(path)
    }

    pub(super) fn open_for_append(&self, path: &Path) -> io::Result<File> {
        gate!(self, Open);
        OpenOptions::new().read(true).write(true).custom_flags(FLAGS).open(path)
    }

    /// Makes a file that must not exist yet.
    pub(super) fn create(&self, path: &Path) -> io::Result<File> {
        gate!(self, Create);
        OpenOptions::new().read(true).write(true).create_new(true).mode(FILE_MODE).custom_flags(FLAGS).open(path)
    }

    /// Opens a file, or makes it; for reading only, so that it works on a read-only mount.
    pub(super) fn open_or_create(&self, path: &Path) -> io::Result<File> {
        gate!(self, Open);
        match OpenOptions::new().read(true).custom_flags(FLAGS).open(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                // std wants write access where a file may be made.
                let mut make = OpenOptions::new();
                make.write(true).create(true).truncate(false).mode(FILE_MODE).custom_flags(FLAGS).open(path)
            }
            result => result,
        }
    }

    pub(super) fn read_at(&self, file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        gate!(self, Read);
        loop {
            match file.read_at(buf, offset) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// Writes all of `bytes`, or fails with some of them written.
    pub(super) fn write_all_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        #[cfg(test)]
        self.faults.write(file, bytes, offset)?;
        file.write_all_at(bytes, offset)
    }

    pub(super) fn truncate(&self, file: &File, len: u64) -> io::Result<()> {
        gate!(self, Truncate);
        file.set_len(len)
    }

    pub(super) fn sync_data(&self, file: &File) -> io::Result<()> {
        gate!(self, Sync);
        file.sync_data()
    }

    pub(super) fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        gate!(self, Sync);
        File::open(dir)?.sync_all()
    }

    pub(super) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        gate!(self, Rename);
        fs::rename(from, to)
    }

    pub(super) fn remove(&self, path: &Path) -> io::Result<()> {
        gate!(self, Remove);
        fs::remove_file(path)
    }

    pub(super) fn make_dir(&self, dir: &Path) -> io::Result<()> {
        if dir.is_dir() {
            return Ok(());
        }
        gate!(self, MakeDir);
        DirBuilder::new().recursive(true).mode(DIR_MODE).create(dir)
    }
}
