//! Space of file systems that may never answer, network and FUSE ones and what is reached through them: a slow collector.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::collector::{CollectError, Collector, Tick};
use super::super::keyed::{Keyed, Table};
use super::fields::FilesystemSettings;
use super::place::{Answer, Place};
use super::probe::{Outcome, Prober};
use crate::host::{FsUsage, Scratch, StatFs};
use crate::model::Recorder;

/// The mounts that may hang: found by the fast collector, asked by the slow one.
#[derive(Debug, Default)]
pub struct RemoteMounts {
    places: Mutex<Arc<[Arc<Place>]>>,
    due: AtomicBool,
}

impl RemoteMounts {
    /// Whether the slow collector has anything to do: there are mounts, or there were some
    /// in its last round. On a host without any its thread is never woken.
    pub fn due(&self) -> bool {
        self.due.load(Ordering::Acquire)
    }

    pub(super) fn set(&self, places: Vec<Arc<Place>>) {
        let mut current = self.lock();
        if !places.is_empty() {
            self.due.store(true, Ordering::Release);
        }
        *current = places.into();
    }

    pub(super) fn get(&self) -> Arc<[Arc<Place>]> {
        Arc::clone(&self.lock())
    }

    /// The mounts for a round. Where there are none, this round is the last one, in which
    /// their series end.
    fn take_round(&self) -> Arc<[Arc<Place>]> {
        let current = self.lock();
        if current.is_empty() {
            self.due.store(false, Ordering::Release);
        }
        Arc::clone(&current)
    }

    fn lock(&self) -> MutexGuard<'_, Arc<[Arc<Place>]>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The collector.
pub struct Remote {
    mounts: Arc<RemoteMounts>,
    prober: Prober,
    timeout_s: f64,
    known: Table<RemoteMount>,
}

/// What is remembered of a mount.
struct RemoteMount {
    place: Arc<Place>,
    condition: Condition,
    usage: Option<FsUsage>,
}

impl Keyed for RemoteMount {
    type Key<'a> = usize;

    fn key(&self) -> usize {
        address(&self.place)
    }

    fn is(&self, key: usize) -> bool {
        self.key() == key
    }
}

/// Which mount it is: what is remembered of one keeps its place from being another one's.
fn address(place: &Arc<Place>) -> usize {
    Arc::as_ptr(place).addr()
}

/// How a mount is doing; a change is said once.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    /// Nothing is known.
    Unknown,
    /// It gives numbers.
    Sound,
    /// It answers, but with an error.
    Failing(String),
    /// It does not answer.
    Stuck,
}

impl Remote {
    /// Asks about `mounts`, each round for as long as the settings' timeout.
    pub fn new(settings: &FilesystemSettings, statfs: Arc<dyn StatFs>, mounts: Arc<RemoteMounts>) -> Remote {
        Remote {
            mounts,
            prober: Prober::new(statfs, settings.timeout),
            timeout_s: settings.timeout.as_secs_f64(),
            known: Table::default(),
        }
    }

    fn note(&mut self, place: &Arc<Place>, outcome: Outcome) {
        let new = || RemoteMount { place: Arc::clone(place), condition: Condition::Unknown, usage: None };
        let entry = self.known.entry(address(place), new);
        let (condition, usage) = match outcome {
            Outcome::Answered(Ok(usage)) => (Condition::Sound, Some(usage)),
            Outcome::Answered(Err(error)) if says_no_answer(&error) => (Condition::Stuck, None),
            Outcome::Answered(Err(error)) => (Condition::Failing(error.to_string()), None),
            Outcome::Stuck => (Condition::Stuck, None),
            Outcome::NotAsked => (Condition::Unknown, None),
        };
        entry.usage = usage;
        if entry.condition == condition {
            return;
        }
        let mountpoint = entry.place.mountpoint.display();
        match (&condition, &entry.condition) {
            (Condition::Stuck, _) => log::warn!(
                "{mountpoint} has not answered for {} s; system_disk_stuck is 1 until it does",
                self.timeout_s
            ),
            (Condition::Failing(error), _) => log::warn!("cannot ask {mountpoint} for its size: {error}; left out"),
            (Condition::Sound, Condition::Stuck | Condition::Failing(_)) => log::info!("{mountpoint} answers again"),
            (Condition::Sound | Condition::Unknown, _) => {}
        }
        entry.condition = condition;
    }
}

impl Collector for Remote {
    fn collect(&mut self, _tick: &Tick, _scratch: &mut Scratch, out: &mut Recorder) -> Result<(), CollectError> {
        let places = self.mounts.take_round();
        let outcomes = self.prober.round(&places);
        self.known.begin();
        for (place, outcome) in places.iter().zip(outcomes) {
            self.note(place, outcome);
        }
        self.known.end();
        for entry in self.known.iter() {
            let stuck = match entry.condition {
                Condition::Unknown => continue,
                Condition::Stuck => true,
                Condition::Sound | Condition::Failing(_) => false,
            };
            entry.place.push(Answer { usage: entry.usage, stuck: Some(stuck) }, out);
        }
        Ok(())
    }
}

/// A soft-mounted file system gives up by itself: the kernel answers that the server did not.
fn says_no_answer(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::{Duration, Instant};

    use super::super::super::testing::{collect, value};
    use super::super::probe::MAX_THREADS;
    use super::super::testing::{FakeStatFs, nfs};
    use super::*;

    fn remote(statfs: &Arc<FakeStatFs>, names: &[&str]) -> Remote {
        let mounts = Arc::new(RemoteMounts::default());
        mounts.set(names.iter().enumerate().map(|(at, name)| Arc::new(nfs(at as u32 + 1, name))).collect());
        Remote { mounts, prober: Prober::without_clock(statfs), timeout_s: 5.0, known: Table::default() }
    }

    fn stuck(seen: &[(String, f64)], name: &str) -> Option<f64> {
        value(seen, &format!("system_disk_stuck{{device=host:{name},fstype=nfs4,mountpoint={name}}}"))
    }

    fn total(seen: &[(String, f64)], name: &str) -> Option<f64> {
        value(seen, &format!("system_disk_total_bytes{{device=host:{name},fstype=nfs4,mountpoint={name}}}"))
    }

    #[test]
    fn a_stuck_mount_shows_while_the_others_go_on() {
        let statfs = FakeStatFs::new();
        statfs.hang("/b");
        let mut remote = remote(&statfs, &["/a", "/b", "/c"]);
        let seen = collect(&mut remote).unwrap();
        assert_eq!(["/a", "/b", "/c"].map(|name| stuck(&seen, name)), [Some(0.0), Some(1.0), Some(0.0)]);
        assert_eq!(["/a", "/b", "/c"].map(|name| total(&seen, name)), [Some(1000.0), None, Some(1000.0)]);
    }

    #[test]
    fn a_stuck_mount_is_not_asked_again_until_its_call_returns() {
        let statfs = FakeStatFs::new();
        statfs.hang("/a");
        let mut remote = remote(&statfs, &["/a", "/b"]);
        for _ in 0..20 {
            assert_eq!(stuck(&collect(&mut remote).unwrap(), "/a"), Some(1.0));
        }
        assert_eq!(statfs.asked_at_last("/a"), 1);
        assert_eq!(statfs.asked("/b"), 20);
        assert_eq!(remote.prober.threads(), 2);
        statfs.release("/a");
        remote.prober.settle(1);
        let seen = collect(&mut remote).unwrap();
        assert_eq!((stuck(&seen, "/a"), total(&seen, "/a")), (Some(0.0), Some(1000.0)));
        assert_eq!(statfs.asked("/a"), 2);
        assert_eq!(remote.prober.threads(), 1);
    }

    #[test]
    fn threads_have_a_bound_and_come_back() {
        let statfs = FakeStatFs::new();
        let names: Vec<String> = (0..MAX_THREADS + 4).map(|n| format!("/{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        for name in &names {
            statfs.hang(name);
        }
        let mut remote = remote(&statfs, &names);
        for _ in 0..3 {
            let seen = collect(&mut remote).unwrap();
            assert_eq!(names.iter().filter(|name| stuck(&seen, name) == Some(1.0)).count(), MAX_THREADS);
            assert_eq!(names.iter().filter(|name| stuck(&seen, name).is_none()).count(), 4);
            assert_eq!(remote.prober.threads(), MAX_THREADS);
        }
        for name in &names {
            statfs.release(name);
        }
        remote.prober.settle(1);
        let seen = collect(&mut remote).unwrap();
        assert!(names.iter().all(|name| stuck(&seen, name) == Some(0.0)));
        assert_eq!(remote.prober.threads(), 1);
    }

    #[test]
    fn a_mount_that_comes_back_while_its_call_hangs_is_still_stuck() {
        let statfs = FakeStatFs::new();
        statfs.hang("/a");
        let mut remote = remote(&statfs, &["/a"]);
        collect(&mut remote).unwrap();
        let mounted = remote.mounts.get();
        remote.mounts.set(Vec::new());
        assert!(remote.mounts.due(), "one more round, in which the series end");
        assert!(collect(&mut remote).unwrap().is_empty());
        assert!(!remote.mounts.due());
        remote.mounts.set(mounted.to_vec());
        assert!(remote.mounts.due());
        assert_eq!(stuck(&collect(&mut remote).unwrap(), "/a"), Some(1.0));
        assert_eq!(statfs.asked_at_last("/a"), 1);
    }

    #[test]
    fn an_error_is_an_answer_unless_it_says_that_there_is_none() {
        let statfs = FakeStatFs::new();
        statfs.fail("/denied", io::ErrorKind::PermissionDenied);
        statfs.fail("/soft", io::ErrorKind::TimedOut);
        let mut remote = remote(&statfs, &["/denied", "/soft"]);
        let seen = collect(&mut remote).unwrap();
        assert_eq!((stuck(&seen, "/denied"), total(&seen, "/denied")), (Some(0.0), None));
        assert_eq!((stuck(&seen, "/soft"), total(&seen, "/soft")), (Some(1.0), None));
    }

    #[test]
    fn a_round_ends_at_its_deadline() {
        let statfs = FakeStatFs::new();
        statfs.hang("/a");
        let mounts = Arc::new(RemoteMounts::default());
        mounts.set(vec![Arc::new(nfs(1, "/a"))]);
        let settings = FilesystemSettings { timeout: Duration::from_millis(20), ..FilesystemSettings::default() };
        let mut remote = Remote::new(&settings, Arc::clone(&statfs) as Arc<dyn StatFs>, mounts);
        let began = Instant::now();
        // The first round may find that the thread has not even begun; the second can't.
        collect(&mut remote).unwrap();
        statfs.asked_at_last("/a");
        assert_eq!(stuck(&collect(&mut remote).unwrap(), "/a"), Some(1.0));
        assert!(began.elapsed() >= Duration::from_millis(20));
    }

    #[test]
    fn what_is_not_mounted_here_is_left_out() {
        let statfs = FakeStatFs::new();
        // The number of the file system below, as `nfs` has it.
        statfs.show_device(Path::new("/a"), (8, 1));
        let seen = collect(&mut remote(&statfs, &["/a"])).unwrap();
        assert_eq!(total(&seen, "/a"), None);
    }
}
