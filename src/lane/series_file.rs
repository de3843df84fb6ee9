//! The list of series that a destination has been sent, on disk: so that a series that is
//! gone after a restart can be ended there.
//!
//! It is written when the set of series changes, never in a steady tick, and read at the
//! start. Without it, or where it is damaged, the receiver learns of the end by its own
//! staleness rule, minutes later: nothing is lost.

use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::libc;

use super::settings::{SpoolMode, SpoolSettings};
use crate::formats::{Extent, Sent};
use crate::model::Signal;

/// Links are not followed, and opening a pipe does not wait.
const FLAGS: i32 = libc::O_NOFOLLOW | libc::O_NONBLOCK;

/// One destination's list.
#[derive(Debug)]
pub struct SeriesFile {
    path: PathBuf,
    /// The revision that is on disk, and since when.
    saved: Option<(u64, Instant)>,
}

/// How long a list stays as it is, however often the set of series changes: on a host whose
/// devices come and go each second it must not wear out the flash.
const REST: Duration = Duration::from_secs(60);

impl SeriesFile {
    /// Where it is written down which series the destination `name` has; none: nowhere.
    pub fn of(signal: Signal, spool: &SpoolSettings, name: &str) -> Option<SeriesFile> {
        let is_kept = signal == Signal::Metrics && spool.mode != SpoolMode::Memory;
        let dir = spool.dir.as_ref().filter(|_| is_kept)?;
        Some(SeriesFile::new(dir, name))
    }

    /// The list of the destination `name`, beside its spool in `dir`.
    fn new(dir: &Path, name: &str) -> SeriesFile {
        SeriesFile { path: dir.join(format!("{name}.series")), saved: None }
    }

    /// What an earlier life had sent; none where it is not known.
    pub fn load(&self) -> Option<Sent> {
        let mut file = fs::OpenOptions::new().read(true).custom_flags(FLAGS).open(&self.path).ok()?;
        // Whatever else has that name, a pipe for one, may never end.
        let is_file = file.metadata().is_ok_and(|meta| meta.is_file());
        let read = if is_file { Sent::read(&mut file) } else { Err(io::ErrorKind::InvalidData.into()) };
        let path = self.path.display();
        match read {
            Ok((sent, Extent::Whole)) => Some(sent),
            Ok((sent, Extent::Part)) => {
                log::warn!(
                    "{path} is damaged; of some series that ended meanwhile it is not said that they have ended"
                );
                Some(sent)
            }
            Err(_) => {
                log::warn!("{path} is damaged; series that ended meanwhile are not said to have ended");
                None
            }
        }
    }

    /// Whether `revision` is not what is on disk, and is to be written now; `last` is for
    /// the end, when there is no later.
    pub fn is_due(&self, revision: u64, last: bool) -> bool {
        self.saved.is_none_or(|(saved, since)| saved != revision && (last || since.elapsed() >= REST))
    }

    /// Puts `sent` in the place of what is there, one piece after the other. A crash leaves the
    /// one or the other.
    pub fn save(&mut self, revision: u64, sent: &Sent) -> io::Result<()> {
        // Also where it fails: a disk that is full is not asked again each second for this.
        self.saved = Some((revision, Instant::now()));
        let tmp = self.path.with_extension("series.tmp");
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).custom_flags(FLAGS).open(&tmp)?;
        let written = sent.write(&mut file).and_then(|()| fs::rename(&tmp, &self.path));
        // Half of it is of no use, and where the disk is full somebody else has use for the room.
        written.inspect_err(|_| _ = fs::remove_file(&tmp))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_loaded_and_damage_is_nothing() {
        let dir = std::env::temp_dir().join(format!("metricsd-series-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let mut file = SeriesFile::new(&dir, "remote");
        assert!(file.load().is_none());
        assert!(file.is_due(3, false));
        file.save(3, &Sent::default()).unwrap();
        assert!(!file.is_due(3, true) && file.is_due(4, true));
        assert!(!file.is_due(4, false), "not so soon after the last one");
        assert_eq!(file.load().map(|sent| sent.len()), Some(0));
        let path = dir.join("remote.series");
        assert!(!dir.join("remote.series.tmp").exists());
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert_eq!(file.load().map(|sent| sent.len()), Some(0), "what stands in front of the damage");
        fs::write(&path, "not a list").unwrap();
        assert!(file.load().is_none());
        fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(file.load().is_none(), "and nobody waits for somebody to write into a pipe");
        fs::remove_dir_all(&dir).unwrap();
        assert!(file.save(5, &Sent::default()).is_err());
        assert!(!file.is_due(5, true));
    }
}
