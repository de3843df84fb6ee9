//! Small files that the configuration names, whether they have changed, and what is made of
//! them ([`Kept`]).
//!
//! A file is looked at with one `stat` that follows links, so a rename over it and a
//! Kubernetes volume's exchange of links both show. Nothing is read while nothing changed.

mod kept;

use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

pub use kept::{Kept, Recipe};

/// Larger than any bundle of certificates in the field; the system's own has 250 KB.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// A file that was written this short a time before it was read may be written again
/// without a stamp that differs: file systems' clocks tick, and not all of them finely.
const UNSETTLED: Duration = Duration::from_secs(2);

/// A file that cannot be used, or not without a word, and why. The words begin with the file's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it, and what to do.
    pub why: String,
}

impl FileError {
    /// `path` cannot be used because it `why`.
    pub fn new(path: &Path, why: impl Into<String>) -> FileError {
        FileError { path: path.to_owned(), why: why.into() }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.why)
    }
}

impl std::error::Error for FileError {}

/// Whether the file `path` can be read and holds anything.
pub fn readable(path: &Path) -> Result<(), FileError> {
    read_file(path).map(drop)
}

/// The whole of a regular file, at most 4 MiB.
fn read_file(path: &Path) -> Result<Vec<u8>, FileError> {
    let refused = |error: io::Error| FileError::new(path, explained(&error));
    // A FIFO would hang in `open`, and a device might never end.
    let kind = fs::metadata(path).map_err(refused)?.file_type();
    if kind.is_dir() {
        return Err(FileError::new(path, "is a directory; name the file in it"));
    }
    if !kind.is_file() {
        return Err(FileError::new(path, "is no regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)).map_err(refused)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(FileError::new(path, format!("larger than {MAX_FILE_BYTES} bytes; is this the right file?")));
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(FileError::new(path, "is empty"));
    }
    Ok(bytes)
}

fn explained(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "may not be read by this user; change its owner or mode".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}

/// Whether others than its owner and group may read the file `path`: nothing for a key.
fn others_may_read(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.mode() & 0o004 != 0)
}

/// What tells one state of a file from another.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(meta: &Metadata) -> Stamp {
        Stamp {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

/// Files that are looked at from time to time.
#[derive(Debug)]
struct Files {
    watched: Vec<(PathBuf, Option<Stamp>)>,
    /// A file was so new that its stamp says little: look into it again.
    unsettled: bool,
}

impl Files {
    /// The files `paths` as they are now. To be made before they are read: what is written
    /// in between shows as a change.
    fn new<'p>(paths: impl IntoIterator<Item = &'p Path>) -> Files {
        let mut files =
            Files { watched: paths.into_iter().map(|path| (path.to_owned(), None)).collect(), unsettled: false };
        files.look();
        files
    }

    /// Whether any file may be another one than when this was last asked. Costs one system
    /// call a file.
    fn have_changed(&mut self) -> bool {
        let unsettled = self.unsettled;
        self.look() || unsettled
    }

    fn look(&mut self) -> bool {
        let now = SystemTime::now();
        let mut changed = false;
        self.unsettled = false;
        for (path, known) in &mut self.watched {
            let meta = fs::metadata(path).ok();
            let stamp = meta.as_ref().map(Stamp::of);
            changed |= *known != stamp;
            *known = stamp;
            self.unsettled |= meta.and_then(|meta| meta.modified().ok()).is_some_and(|modified| {
                // A stamp from the future settles nothing either, but would have us read for ever.
                now.duration_since(modified).is_ok_and(|age| age < UNSETTLED)
            });
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::FileTimes;

    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Dir {
            let dir = std::env::temp_dir().join(format!("metricsd-files-{}-{name}", std::process::id()));
            let _ = fs::remove_dir_all(&dir);
            fs::create_dir_all(&dir).unwrap();
            Dir(dir)
        }

        /// A file that has been there for long.
        fn old(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.join(name);
            fs::write(&path, text).unwrap();
            let times = FileTimes::new().set_modified(SystemTime::now() - Duration::from_secs(100));
            File::options().append(true).open(&path).unwrap().set_times(times).unwrap();
            path
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_change_a_rename_and_an_exchange_of_links_show() {
        let dir = Dir::new("changes");
        let plain = dir.old("plain", "a");
        let mut files = Files::new([plain.as_path()]);
        assert!(!files.have_changed());
        dir.old("plain", "b");
        assert!(files.have_changed());
        assert!(!files.have_changed());
        fs::rename(dir.old("next", "b"), &plain).unwrap();
        assert!(files.have_changed());
        fs::remove_file(&plain).unwrap();
        assert!(files.have_changed());
        assert!(!files.have_changed());

        for version in ["v1", "v2"] {
            fs::create_dir(dir.0.join(version)).unwrap();
            dir.old(&format!("{version}/tls.crt"), "same");
        }
        let link = |target: &str| {
            std::os::unix::fs::symlink(target, dir.0.join("tmp")).unwrap();
            fs::rename(dir.0.join("tmp"), dir.0.join("..data")).unwrap();
        };
        link("v1");
        let path = dir.0.join("..data/tls.crt");
        let mut files = Files::new([path.as_path()]);
        assert!(!files.have_changed());
        link("v2");
        assert!(files.have_changed());
    }

    #[test]
    fn a_file_just_written_is_looked_into_again() {
        let dir = Dir::new("new");
        let path = dir.0.join("new");
        fs::write(&path, "a").unwrap();
        let mut files = Files::new([path.as_path()]);
        assert!(files.have_changed());
        dir.old("new", "a");
        files.have_changed();
        assert!(!files.have_changed());
    }

    #[test]
    fn what_is_no_file_of_ours_is_refused() {
        let dir = Dir::new("refused");
        let why = |path: &Path| read_file(path).unwrap_err().to_string();
        assert!(why(&dir.0).ends_with("is a directory; name the file in it"));
        assert!(why(&dir.0.join("none")).ends_with("no such file"));
        assert!(why(&dir.old("empty", " \n")).ends_with("is empty"));
        assert!(why(Path::new("/dev/zero")).ends_with("is no regular file"));
        assert!(why(&dir.old("huge", &"x".repeat(5 << 20))).contains("larger than"));
        assert_eq!(read_file(&dir.old("good", "x")).unwrap(), b"x");
    }
}
