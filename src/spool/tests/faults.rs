//! A disk that fails on request.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};

/// A file operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Open,
    Create,
    Read,
    Write,
    Truncate,
    Sync,
    Rename,
    Remove,
    MakeDir,
}

impl Op {
    /// Whether it changes anything on disk.
    fn writes(self) -> bool {
        !matches!(self, Op::Open | Op::Read)
    }
}

/// What goes wrong, and what was done so far. Clones share one script.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults(Arc<(Mutex<Script>, Condvar)>);

#[derive(Debug, Default)]
struct Script {
    failing: Vec<(Op, i32)>,
    /// An operation that does not come back, and how many wait for it.
    hanging: Option<Op>,
    hung: u64,
    /// A file that only root may read.
    forbidden: Option<PathBuf>,
    /// Bytes that a failing write leaves behind.
    partial: usize,
    /// Bytes that can still be written before the disk is full.
    room: Option<usize>,
    /// Changing operations after which none happens any more: the process was killed.
    lives: Option<u64>,
    writes: u64,
    operations: u64,
}

impl Faults {
    fn with<T>(&self, f: impl FnOnce(&mut Script) -> T) -> T {
        f(&mut self.0.0.lock().unwrap())
    }

    /// `op` fails with `errno` from now on.
    pub(crate) fn fail(&self, op: Op, errno: i32) {
        self.with(|p| p.failing.push((op, errno)));
    }

    /// This file can't be opened.
    pub(super) fn forbid(&self, path: &Path) {
        self.with(|p| p.forbidden = Some(path.into()));
    }

    /// Everything that changes the disk fails.
    pub(super) fn fail_writes(&self, errno: i32) {
        for op in [Op::Create, Op::Write, Op::Truncate, Op::Sync, Op::Rename, Op::Remove, Op::MakeDir] {
            self.fail(op, errno);
        }
    }

    /// Failing writes leave this many bytes behind.
    pub(super) fn leave(&self, bytes: usize) {
        self.with(|p| p.partial = bytes);
    }

    /// The disk is full after this many more bytes.
    pub(super) fn room(&self, bytes: usize) {
        self.with(|p| p.room = Some(bytes));
    }

    /// The process is killed after this many more changes; a write then gets half-way.
    pub(super) fn die_after(&self, changes: u64) {
        self.with(|p| p.lives = Some(changes));
    }

    pub(crate) fn heal(&self) {
        self.with(|p| *p = Script { writes: p.writes, operations: p.operations, ..Script::default() });
    }

    /// `op` does not come back from now on, until [`Faults::go_on`].
    pub(crate) fn hang(&self, op: Op) {
        self.with(|p| p.hanging = Some(op));
    }

    /// How many operations hang, or did.
    pub(crate) fn hung(&self) -> u64 {
        self.with(|p| p.hung)
    }

    /// The disk answers again.
    pub(crate) fn go_on(&self) {
        self.with(|p| p.hanging = None);
        self.0.1.notify_all();
    }

    /// How often the disk was changed, or tried to.
    pub(crate) fn changes(&self) -> u64 {
        self.with(|p| p.writes)
    }

    /// How many operations there were, reads too.
    pub(super) fn operations(&self) -> u64 {
        self.with(|p| p.operations)
    }

    /// Before each operation.
    pub(in crate::spool) fn gate(&self, op: Op) -> io::Result<()> {
        self.wait_where_it_hangs(op);
        self.with(|p| {
            p.operations += 1;
            if op.writes() {
                p.writes += 1;
                match &mut p.lives {
                    Some(0) => return Err(io::Error::other("killed")),
                    Some(left) => *left -= 1,
                    None => {}
                }
            }
            match p.failing.iter().find(|(failing, _)| *failing == op) {
                Some((_, errno)) => Err(io::Error::from_raw_os_error(*errno)),
                None => Ok(()),
            }
        })
    }

    fn wait_where_it_hangs(&self, op: Op) {
        let mut script = self.0.0.lock().unwrap();
        script.hung += u64::from(script.hanging == Some(op));
        while script.hanging == Some(op) {
            script = self.0.1.wait(script).unwrap();
        }
    }

    /// Before a file is opened for reading.
    pub(in crate::spool) fn open(&self, path: &Path) -> io::Result<()> {
        self.with(|p| match &p.forbidden {
            Some(forbidden) if forbidden == path => Err(io::Error::from_raw_os_error(nix::libc::EACCES)),
            _ => Ok(()),
        })
    }

    /// Before each write: fails with a part of it written, where it is to fail.
    pub(in crate::spool) fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        let dying = self.with(|p| p.lives == Some(0));
        let gate = self.gate(Op::Write);
        let (left, error) = self.with(|p| match (gate, &mut p.room) {
            (Err(_), _) if dying => (0, Some(io::Error::other("killed"))),
            (Err(error), _) => (p.partial.min(bytes.len()), Some(error)),
            (Ok(()), Some(room)) if *room < bytes.len() => {
                let left = std::mem::take(room);
                (left, Some(io::Error::from_raw_os_error(nix::libc::ENOSPC)))
            }
            (Ok(()), Some(room)) => {
                *room -= bytes.len();
                (0, None)
            }
            // The last thing before the kill.
            (Ok(()), None) if p.lives == Some(0) => (bytes.len() / 2, Some(io::Error::other("killed"))),
            (Ok(()), None) => (0, None),
        });
        file.write_all_at(&bytes[..left], offset).unwrap();
        error.map_or(Ok(()), Err)
    }
}
