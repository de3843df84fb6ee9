//! What is waiting in spools, for somebody who asks: reads only, holds no lock, and works
//! while a daemon runs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::api::Count;
use super::disk::Disk;
use super::home::{CURSOR, CURSOR_TMP, LOCK, QUARANTINE};
use super::recovery::{Finding, Recovery};
use super::survey::{Own, survey};
use crate::order;

/// One spool, as it is on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Its directory.
    pub dir: PathBuf,
    /// The destination that its files name; `None` where nothing waits.
    pub destination: Option<String>,
    /// Segment files with something in them.
    pub segments: u64,
    /// Their size.
    pub disk_bytes: u64,
    /// Time of the first frame waiting, in wall-clock milliseconds.
    pub oldest_ms: Option<i64>,
    /// Time of the last one.
    pub newest_ms: Option<i64>,
    /// What waits, and what damage there is; what a daemon would do about it, it has not done.
    pub recovery: Recovery,
    /// Of what waits, what is from before the time that was asked for.
    pub old: Count,
    /// Files in its quarantine.
    pub quarantined: u64,
    /// It, or a segment in it, can't be read, for want of permission or otherwise: more may wait.
    pub unread: Option<io::ErrorKind>,
}

/// The spools below `root`: one for each destination, in the order of their names.
/// `old_before` says by a directory's name from when on a frame in it is not old, in
/// wall-clock milliseconds.
///
/// # Errors
/// `root` can't be listed.
pub fn inspect(root: &Path, old_before: impl Fn(&str) -> Option<i64>) -> io::Result<Vec<Listing>> {
    let listing = |dir: PathBuf| {
        let name = dir.file_name().unwrap_or_default().to_string_lossy();
        inspect_one(&dir, old_before(&name)).unwrap_or_else(|error| unlisted(dir.clone(), &error))
    };
    Ok(spools(root)?.into_iter().map(listing).collect())
}

/// The directories below `root` that are spools, in the order of their names; also those
/// that can't be looked into and have a name that a destination can have.
///
/// # Errors
/// `root` can't be listed.
pub fn spools(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut dirs = Vec::new();
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        if may_be_spool(&path) {
            dirs.push(path);
        }
    }
    order::sort(&mut dirs);
    Ok(dirs)
}

/// Whether anything in `dir` is a spool's, whatever has become of the rest.
fn may_be_spool(dir: &Path) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound};
    let is_ours = |name: &str| [LOCK, CURSOR, CURSOR_TMP, QUARANTINE].contains(&name) || name.ends_with(".seg");
    match fs::read_dir(dir) {
        Ok(entries) => entries.flatten().any(|entry| entry.file_name().to_str().is_some_and(is_ours)),
        Err(error) if matches!(error.kind(), NotADirectory | NotFound) => false,
        // Not `lost+found`, which each disk has.
        Err(_) => {
            let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
            dir.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.bytes().all(allowed))
        }
    }
}

/// The spool in `dir`; frames from before `old_before_ms` are old.
///
/// # Errors
/// `dir` can't be listed.
pub fn inspect_one(dir: &Path, old_before_ms: Option<i64>) -> io::Result<Listing> {
    let disk = Disk::default();
    let own = Own { destination: "", content: &[] };
    let look = || survey(&disk, dir, own, old_before_ms.unwrap_or(i64::MIN));
    let mut found = look()?;
    if found.report.lost.frames > 0 {
        // A daemon may have removed delivered segments under our eyes; real gaps stay.
        found = look()?;
    }
    let mut recovery = found.report;
    for (path, why) in found.unreadable {
        recovery.note(path, Finding::Unreadable(why));
    }
    for path in found.empty {
        recovery.note(path, Finding::Empty);
    }
    let waiting = || found.segments.iter().filter(|s| s.waiting.frames > 0);
    Ok(Listing {
        dir: dir.to_path_buf(),
        destination: found.destination.clone(),
        segments: found.segments.len() as u64,
        disk_bytes: found.segments.iter().map(|s| s.len).sum(),
        oldest_ms: waiting().next().map(|s| s.first_ms),
        newest_ms: waiting().next_back().map(|s| s.last_ms),
        recovery,
        old: found.old,
        quarantined: fs::read_dir(dir.join(QUARANTINE)).map_or(0, |entries| entries.count() as u64),
        unread: found.unreachable.map(|(_, error)| error.kind()),
    })
}

fn unlisted(dir: PathBuf, error: &io::Error) -> Listing {
    let mut listing = Listing { dir: dir.clone(), unread: Some(error.kind()), ..Listing::default() };
    listing.recovery.note(dir, Finding::Unlisted(error.to_string()));
    listing
}
