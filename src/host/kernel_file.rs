//! A kernel file that is opened once and read again each tick.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};

/// What one kernel file may hold at most. The largest real ones (`/proc/stat` of a
/// machine with thousands of CPUs and interrupts, `mountinfo` of a container host) stay
/// below 1 MiB; anything larger is not what we think it is.
pub const MAX_BYTES: usize = 4 << 20;

/// A page more than most files need, so that the common case is two reads: all, then end.
const FIRST_BYTES: usize = 16 << 10;

/// The buffer that readings go through: one for all the files of a thread, so that it
/// stays in the cache.
#[derive(Debug, Default)]
pub struct Scratch {
    bytes: Vec<u8>,
}

impl Scratch {
    /// An empty buffer; it grows with the largest file read.
    pub fn new() -> Scratch {
        Scratch::default()
    }

    /// The buffer, with room for `len` bytes.
    pub(super) fn of_at_least(&mut self, len: usize) -> &mut [u8] {
        if self.bytes.len() < len {
            self.bytes.resize(len, 0);
        }
        &mut self.bytes
    }
}

/// Why a kernel file could not be read.
#[derive(Debug)]
pub enum ReadError {
    /// The host has no such file: not a failure, this host has no such thing.
    Missing(PathBuf),
    /// Opening or reading failed.
    Io(PathBuf, io::Error),
    /// It holds more than 4 MiB.
    TooLarge(PathBuf),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Missing(path) => write!(f, "{} does not exist", path.display()),
            ReadError::Io(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            ReadError::TooLarge(path) => {
                write!(f, "{} holds more than {} MiB, which no kernel file does", path.display(), MAX_BYTES >> 20)
            }
        }
    }
}

impl std::error::Error for ReadError {}

/// A file of `/proc` or `/sys`, kept open and re-read from its start with `pread`.
#[derive(Debug)]
pub struct KernelFile {
    candidates: Vec<PathBuf>,
    /// The file in use, and which of the candidates it is.
    open: Option<(usize, File)>,
    in_one_piece: bool,
    has_lines_of_their_own: bool,
}

impl KernelFile {
    /// Opens nothing yet: a file that is missing now may come later.
    pub fn new(path: impl Into<PathBuf>) -> KernelFile {
        KernelFile::first_of(vec![path.into()])
    }

    /// The first of `candidates` that can be opened and read.
    ///
    /// # Panics
    /// Without a candidate.
    pub fn first_of(candidates: Vec<PathBuf>) -> KernelFile {
        assert!(!candidates.is_empty(), "a kernel file has a path");
        KernelFile { candidates, open: None, in_one_piece: false, has_lines_of_their_own: false }
    }

    /// A file that the kernel prints as one record (`single_open` in its source): a read
    /// that does not fill the buffer has given all of it, and needs no second one to say so.
    pub fn in_one_piece(mut self) -> KernelFile {
        self.in_one_piece = true;
        self
    }

    /// A file whose lines stand each for itself: of one that is too large, the lines up to the
    /// bound are read. [`is_cut`] tells.
    pub fn of_lines(mut self) -> KernelFile {
        self.has_lines_of_their_own = true;
        self
    }

    fn read_open(&self, file: &File, path: &Path, buffer: &mut Vec<u8>) -> Result<usize, ReadError> {
        match read_whole(file, path, self.in_one_piece, buffer) {
            Err(ReadError::TooLarge(_)) if self.has_lines_of_their_own => {
                Ok(buffer.iter().rposition(|b| *b == b'\n').map_or(0, |last| last + 1))
            }
            read => read,
        }
    }

    /// Whether the text may differ from what was read last: false only where the kernel
    /// promises that it does not. For `mountinfo` it does: a change of the mount table makes
    /// the open file ready for `POLLPRI` (proc_pid_mountinfo(5)), and asking costs a
    /// hundredth of printing the table again.
    pub fn may_have_changed(&self) -> bool {
        let Some((_, file)) = &self.open else { return true };
        // A copy on a disk, such as a fixture, is never "ready" however often it changes.
        if !fstatfs(file).is_ok_and(|fs| fs.filesystem_type() == PROC_SUPER_MAGIC) {
            return true;
        }
        let mut asked = [PollFd::new(file.as_fd(), PollFlags::POLLPRI)];
        !matches!(poll(&mut asked, PollTimeout::ZERO), Ok(0))
    }

    /// The path in use, or the one that would be tried first.
    pub fn path(&self) -> &Path {
        &self.candidates[self.open.as_ref().map_or(0, |(at, _)| *at)]
    }

    /// Reads the whole file into `scratch` and lends it.
    ///
    /// A read that fails closes the file; the next round opens it anew, since a device or
    /// a module that went away and came back has another inode.
    pub fn read<'s>(&mut self, scratch: &'s mut Scratch) -> Result<&'s [u8], ReadError> {
        if let Some((at, file)) = &self.open {
            match self.read_open(file, &self.candidates[*at], &mut scratch.bytes) {
                Ok(len) => return Ok(&scratch.bytes[..len]),
                Err(_) => self.open = None,
            }
        }
        let mut first_error = None;
        for (at, path) in self.candidates.iter().enumerate() {
            let read = open(path)
                .map_err(|error| match error.kind() {
                    io::ErrorKind::NotFound => ReadError::Missing(path.clone()),
                    _ => ReadError::Io(path.clone(), error),
                })
                .and_then(|file| self.read_open(&file, path, &mut scratch.bytes).map(|len| (file, len)));
            match read {
                Ok((file, len)) => {
                    self.open = Some((at, file));
                    if at > 0 {
                        // Said once: the file stays open from here on.
                        log::warn!(
                            "cannot read {}; using {}, which shows this process's own namespaces",
                            self.candidates[0].display(),
                            path.display()
                        );
                    }
                    return Ok(&scratch.bytes[..len]);
                }
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        Err(first_error.unwrap_or_else(|| ReadError::Missing(self.candidates[0].clone())))
    }
}

/// Whether a text of [`KernelFile::of_lines`] is not all of its file. A line is never as long.
pub fn is_cut(text: &[u8]) -> bool {
    text.len() > MAX_BYTES - LONGEST_LINE
}

/// A line of a kernel file that is longer is none of what we read.
const LONGEST_LINE: usize = 64 << 10;

/// Opens a file and never waits for it: below a root that is no host's, a name may be a FIFO,
/// and whoever opens one otherwise waits for a writer. The kernel's own files know no difference.
pub(super) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)
}

/// Reads to the end. One `pread` is not always enough: seq_file hands out files of many
/// records a page at a time, so there only a read of nothing says that the end is there.
fn read_whole(file: &File, path: &Path, in_one_piece: bool, buffer: &mut Vec<u8>) -> Result<usize, ReadError> {
    if buffer.len() < FIRST_BYTES {
        buffer.resize(FIRST_BYTES, 0);
    }
    let mut len = 0;
    loop {
        if len == buffer.len() {
            if len >= MAX_BYTES {
                return Err(ReadError::TooLarge(path.to_owned()));
            }
            buffer.resize(len * 2, 0);
        }
        match file.read_at(&mut buffer[len..], len as u64) {
            Ok(0) => return Ok(len),
            Ok(n) => {
                len += n;
                if in_one_piece && len < buffer.len() {
                    return Ok(len);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.raw_os_error() == Some(Errno::ESPIPE as i32) => {
                let what = "it is a pipe or a terminal, which no kernel file is";
                return Err(ReadError::Io(path.to_owned(), io::Error::other(what)));
            }
            Err(error) => return Err(ReadError::Io(path.to_owned(), error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_whole_and_again() {
        let dir = std::env::temp_dir().join(format!("metricsd-kernel-file-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("stat");
        let long = "x".repeat(FIRST_BYTES * 3 + 5);
        std::fs::write(&path, &long).unwrap();
        let mut file = KernelFile::first_of(vec![dir.join("missing"), path.clone()]);
        let mut scratch = Scratch::new();
        assert_eq!(file.read(&mut scratch).unwrap(), long.as_bytes());
        std::fs::write(&path, "short").unwrap();
        assert_eq!(file.read(&mut scratch).unwrap(), b"short");
        assert_eq!(file.path(), path);
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_file_in_one_piece_is_read_whole_however_long() {
        let mut scratch = Scratch::new();
        let mut file = KernelFile::new("/proc/self/status").in_one_piece();
        assert!(file.read(&mut scratch).unwrap().ends_with(b"\n"));
        let path = std::env::temp_dir().join(format!("metricsd-one-piece-{}", std::process::id()));
        for len in [FIRST_BYTES - 1, FIRST_BYTES, FIRST_BYTES + 1, FIRST_BYTES * 2] {
            std::fs::write(&path, vec![b'x'; len]).unwrap();
            let mut file = KernelFile::new(&path).in_one_piece();
            assert_eq!(file.read(&mut Scratch::new()).unwrap().len(), len);
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn only_the_kernels_own_mount_table_is_known_not_to_change() {
        let mut scratch = Scratch::new();
        let mut mounts = KernelFile::new("/proc/self/mountinfo");
        assert!(mounts.may_have_changed(), "not read yet");
        mounts.read(&mut scratch).unwrap();
        // Others may mount at this very moment, but not ten times in a row.
        assert!((0..10).any(|_| !mounts.may_have_changed()));
        let path = std::env::temp_dir().join(format!("metricsd-mounts-{}", std::process::id()));
        std::fs::write(&path, "copy").unwrap();
        let mut copy = KernelFile::new(&path);
        copy.read(&mut scratch).unwrap();
        assert!(copy.may_have_changed());
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_is_missing_is_told_from_what_fails() {
        let mut scratch = Scratch::new();
        let missing = KernelFile::new("/nonexistent/stat").read(&mut scratch).map(drop);
        assert!(matches!(missing, Err(ReadError::Missing(_))));
        let directory = KernelFile::new("/").read(&mut scratch).map(drop);
        assert!(matches!(directory, Err(ReadError::Io(..))));
        let path = std::env::temp_dir().join(format!("metricsd-too-large-{}", std::process::id()));
        let line = "0123456789\n";
        std::fs::write(&path, line.repeat(MAX_BYTES / line.len() + 1)).unwrap();
        let whole = KernelFile::new(&path).read(&mut scratch).map(drop);
        assert!(matches!(whole, Err(ReadError::TooLarge(_))));
        let lines = KernelFile::new(&path).of_lines().read(&mut scratch).unwrap().to_vec();
        assert_eq!(lines.len(), MAX_BYTES / line.len() * line.len());
        assert!(is_cut(&lines) && lines.ends_with(b"\n") && !is_cut(b"a\n"));
        std::fs::remove_file(&path).unwrap();
        let endless = KernelFile::new("/dev/zero").read(&mut scratch).map(drop);
        assert!(matches!(endless, Err(ReadError::TooLarge(_))));
    }

    #[test]
    fn a_pipe_is_refused_and_not_waited_for() {
        let path = std::env::temp_dir().join(format!("metricsd-pipe-{}", std::process::id()));
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let error = KernelFile::new(&path).read(&mut Scratch::new()).map(drop).unwrap_err();
        let said = format!("cannot read {}: it is a pipe or a terminal, which no kernel file is", path.display());
        assert_eq!(error.to_string(), said);
        std::fs::remove_file(&path).unwrap();
    }
}
