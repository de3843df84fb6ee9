//! Space of file systems: finds the mounts in `mountinfo` and asks about the local ones.
//!
//! Network and FUSE mounts, and whatever is reached through one, are only found here, and
//! handed to the slow collector in [`remote`](super::remote), since asking about them may take
//! for ever. The others stay on the beat: their numbers are in the kernel's memory, and a
//! thread that has to be woken each tick would cost more than asking does.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::super::collector::{CollectError, Collector, Tick};
use super::fields::FilesystemSettings;
use super::mountinfo::{self, Mount};
use super::place::{Answer, Place};
use super::remote::RemoteMounts;
use super::select;
use crate::host::{FsUsage, HostPaths, KernelFile, Scratch, StatFs, is_cut};
use crate::model::Recorder;

/// The collector of local file systems.
pub struct Filesystem {
    file: KernelFile,
    host: HostPaths,
    settings: FilesystemSettings,
    statfs: Arc<dyn StatFs>,
    remote: Arc<RemoteMounts>,
    /// The text that the selection was made from: while it is the same, so is the selection.
    text: Vec<u8>,
    local: Vec<LocalMount>,
    /// Mount points that were said to be left out.
    said: HashSet<PathBuf>,
    /// When to choose anew although the text is the same: while something is left out.
    look_again_at: Option<Duration>,
    /// It was said that the table is too large.
    said_cut: bool,
}

/// A mount of the host's reaches a container's namespace a moment after the host's table
/// shows it, and what blocks a look may be mended: what was left out gets another chance.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// What is remembered of a local mount.
struct LocalMount {
    place: Arc<Place>,
    usage: Option<FsUsage>,
    /// Its failure was said.
    failing: bool,
}

impl Filesystem {
    /// Reads the `mountinfo` of `host`'s own mount namespace, asks `statfs` about local
    /// mounts, and puts the others into `remote`.
    pub fn new(
        settings: &FilesystemSettings,
        host: &HostPaths,
        statfs: Arc<dyn StatFs>,
        remote: Arc<RemoteMounts>,
    ) -> Filesystem {
        Filesystem {
            file: KernelFile::first_of(host.of_process("mountinfo")).of_lines(),
            host: host.clone(),
            settings: settings.clone(),
            statfs,
            remote,
            text: Vec::new(),
            local: Vec::new(),
            said: HashSet::new(),
            look_again_at: None,
            said_cut: false,
        }
    }

    /// Reads the mount table where it may have changed, and chooses anew where it has.
    fn refresh(&mut self, tick: &Tick, scratch: &mut Scratch) -> Result<(), CollectError> {
        let look_again = self.look_again_at.is_some_and(|at| tick.monotonic >= at);
        if self.text.is_empty() || look_again || self.file.may_have_changed() {
            let text = self.file.read(scratch).map_err(CollectError::of_required)?;
            if text.is_empty() || look_again || text != self.text {
                let (mounts, bad) = mountinfo::parse(text).map_err(|error| error.of(self.file.path()))?;
                if let Some(bad) = bad {
                    log::warn!("{}; this mount is left out", bad.of(self.file.path()));
                }
                if is_cut(text) && !std::mem::replace(&mut self.said_cut, true) {
                    log::warn!(
                        "{} holds more than {} mounts, which are more bytes than are read of it; those behind are \
                         left out",
                        self.file.path().display(),
                        mounts.len()
                    );
                }
                self.text.clear();
                self.text.extend_from_slice(text);
                self.select(&mounts);
                self.look_again_at = (!self.said.is_empty()).then_some(tick.monotonic + LOOK_AGAIN);
            }
        }
        Ok(())
    }

    /// Chooses the mounts anew. Places that stay keep their labels, so that their series do.
    fn select(&mut self, mounts: &[Mount]) {
        let by_id: HashMap<u64, &Mount> = mounts.iter().map(|mount| (mount.id, mount)).collect();
        let remote_before = self.remote.get();
        let known = self.local.iter().map(|entry| &entry.place).chain(remote_before.iter());
        // There may be thousands, and each change of the table asks for all of them.
        let known: HashMap<&Path, &Arc<Place>> = known.map(|place| (&*place.mountpoint, place)).collect();
        let failing: HashSet<*const Place> =
            self.local.iter().filter(|entry| entry.failing).map(|entry| Arc::as_ptr(&entry.place)).collect();
        let place = |mount: &Mount| {
            let parent = by_id.get(&mount.parent).copied();
            let same = known.get(&*mount.mountpoint).filter(|place| place.is_of(mount, parent));
            same.map_or_else(|| Arc::new(Place::new(mount, parent, &self.host)), |place| Arc::clone(place))
        };
        let (mut local, mut remote, mut left_out) = (Vec::new(), Vec::new(), HashSet::new());
        let mut shown = HashSet::new();
        for group in select::select(mounts, &self.settings) {
            // Even a look at it may hang. Rather one that is looked at elsewhere than a worse one.
            let first = group[0];
            if first.may_hang {
                remote.push(place(first.mount));
                continue;
            }
            let mut why = None;
            let at_once = group.iter().filter(|candidate| !candidate.may_hang);
            let visible =
                at_once.map(|candidate| place(candidate.mount)).find_map(|place| match place.check(&*self.statfs) {
                    Ok(device) => Some((place, device)),
                    Err(error) => {
                        why.get_or_insert(error);
                        None
                    }
                });
            match (visible, why) {
                // A directory of a subvolume that is shown has its numbers.
                (Some((_, device)), _) if !shown.insert(device) && select::has_subvolumes(first.mount) => {}
                (Some((place, _)), _) => {
                    let failing = failing.contains(&Arc::as_ptr(&place));
                    local.push(LocalMount { place, usage: None, failing });
                }
                (None, why) => {
                    // Another one of them may be visible, where only a thread of its own may look.
                    if let Some(candidate) = group.iter().find(|candidate| candidate.may_hang) {
                        remote.push(place(candidate.mount));
                        continue;
                    }
                    let mountpoint = &first.mount.mountpoint;
                    if !self.said.contains(mountpoint) {
                        say_left_out(mountpoint, why.as_ref());
                    }
                    left_out.insert(mountpoint.clone());
                }
            }
        }
        self.local = local;
        self.said = left_out;
        self.remote.set(remote);
    }
}

fn say_left_out(mountpoint: &Path, why: Option<&std::io::Error>) {
    match why {
        Some(why) => log::warn!("cannot look at {}: {why}; this file system is left out", mountpoint.display()),
        None => log::warn!("{} is not visible from here; this file system is left out", mountpoint.display()),
    }
}

impl Collector for Filesystem {
    fn collect(&mut self, tick: &Tick, scratch: &mut Scratch, out: &mut Recorder) -> Result<(), CollectError> {
        if let Err(error) = self.refresh(tick, scratch) {
            // The kernel tells of each change once; what was not understood is read again.
            self.text.clear();
            return Err(error);
        }
        for entry in &mut self.local {
            match entry.place.usage(&*self.statfs) {
                Ok(usage) => (entry.usage, entry.failing) = (Some(usage), false),
                Err(error) => {
                    if !entry.failing {
                        say_left_out(&entry.place.mountpoint, Some(&error));
                    }
                    (entry.usage, entry.failing) = (None, true);
                }
            }
        }
        for entry in &self.local {
            entry.place.push(Answer { usage: entry.usage, stuck: None }, out);
        }
        if self.local.is_empty() && !self.remote.due() {
            return Err(CollectError::Absent("no mount is visible from here that the settings show".to_owned()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::super::super::testing::{Folder, collect, samples, value};
    use super::super::testing::FakeStatFs;
    use super::*;

    /// A host whose mounts and answers a test decides; its root is this folder.
    struct Host {
        folder: Folder,
        statfs: Arc<FakeStatFs>,
        remote: Arc<RemoteMounts>,
        collector: Filesystem,
    }

    impl Host {
        fn new(name: &str, mountinfo: &str) -> Host {
            let folder = Folder::new(name);
            folder.write("proc/1/mountinfo", mountinfo);
            let statfs = FakeStatFs::new();
            let remote = Arc::new(RemoteMounts::default());
            // The fake answers for mount points as the host sees them: its root is `/`.
            let paths = HostPaths::new(folder.host().proc(""), folder.host().sys(""), "/");
            let settings = FilesystemSettings::default();
            let collector =
                Filesystem::new(&settings, &paths, Arc::clone(&statfs) as Arc<dyn StatFs>, Arc::clone(&remote));
            for line in mountinfo.lines() {
                let mut fields = line.split(' ').skip(2);
                let Some((major, minor)) = fields.next().and_then(|device| device.split_once(':')) else { continue };
                let device = (major.parse().unwrap(), minor.parse().unwrap());
                statfs.show_device(Path::new(fields.nth(1).unwrap()), device);
            }
            Host { folder, statfs, remote, collector }
        }

        fn totals(&mut self) -> Vec<String> {
            let seen = collect(&mut self.collector).unwrap();
            seen.into_iter()
                .filter_map(|(name, _)| name.strip_prefix("system_disk_total_bytes").map(str::to_owned))
                .collect()
        }
    }

    const ROOT: &str = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n";

    #[test]
    fn sizes_are_those_of_df() {
        let mut host = Host::new("fs-sizes", ROOT);
        // 1000 in all, 400 free of which root keeps 100 back: df says 600 used, 300 free,
        // 600 / 900 = 66.7 %.
        host.statfs.give("/", 1000, 400, 300);
        let seen = collect(&mut host.collector).unwrap();
        let labels = "{device=/dev/sda1,fstype=ext4,mountpoint=/}";
        assert_eq!(value(&seen, &format!("system_disk_total_bytes{labels}")), Some(1000.0));
        assert_eq!(value(&seen, &format!("system_disk_used_bytes{labels}")), Some(600.0));
        assert_eq!(value(&seen, &format!("system_disk_free_bytes{labels}")), Some(300.0));
        assert_eq!(value(&seen, &format!("system_disk_usage_percent{labels}")), Some(600.0 / 900.0 * 100.0));
        assert_eq!(value(&seen, &format!("system_disk_read_only{labels}")), Some(0.0));
        assert_eq!(seen.len(), 5);
    }

    #[test]
    fn a_file_system_of_size_zero_is_no_storage() {
        let mut host = Host::new("fs-zero", &format!("{ROOT}2 1 8:2 / /z rw - ext4 /dev/sda2 rw\n"));
        host.statfs.give("/z", 0, 0, 0);
        assert_eq!(host.totals(), ["{device=/dev/sda1,fstype=ext4,mountpoint=/}"]);
    }

    #[test]
    fn what_is_not_visible_here_is_left_out() {
        let mut host = Host::new("fs-hidden", &format!("{ROOT}2 1 8:2 / /data rw - ext4 /dev/sda2 rw\n"));
        // Not propagated into this container: the root's own device is visible there.
        host.statfs.show_device(Path::new("/data"), (8, 1));
        assert_eq!(host.totals(), ["{device=/dev/sda1,fstype=ext4,mountpoint=/}"]);
        // But another mount of the same device may be.
        let mut host = Host::new(
            "fs-second",
            &format!("{ROOT}2 1 8:2 / /data rw - ext4 /dev/sda2 rw\n3 1 8:2 /x /longer rw - ext4 /dev/sda2 rw\n"),
        );
        host.statfs.show_device(Path::new("/data"), (8, 1));
        assert_eq!(
            host.totals(),
            ["{device=/dev/sda1,fstype=ext4,mountpoint=/}", "{device=/dev/sda2,fstype=ext4,mountpoint=/longer}"]
        );
    }

    #[test]
    fn subvolumes_may_show_a_number_of_their_own() {
        let mut host = Host::new("fs-btrfs", &format!("{ROOT}2 1 0:40 /@ /b rw - btrfs /dev/md0 rw\n"));
        host.statfs.show_device(Path::new("/b"), (0, 41));
        assert_eq!(host.totals().len(), 2);
        let mut host = Host::new("fs-btrfs-hidden", &format!("{ROOT}2 1 0:40 /@ /b rw - btrfs /dev/md0 rw\n"));
        host.statfs.show_device(Path::new("/b"), (8, 1));
        assert_eq!(host.totals().len(), 1);
    }

    #[test]
    fn each_subvolume_is_shown_and_a_directory_in_one_is_not() {
        let mounts = "1 0 0:40 /@ / rw - btrfs /dev/sda2 rw\n\
                      2 1 0:40 /@home/ann /srv/ann rw - btrfs /dev/sda2 rw\n\
                      3 1 0:40 /@home /home rw - btrfs /dev/sda2 rw\n\
                      4 1 8:1 / /boot rw - ext4 /dev/sda1 rw\n\
                      5 1 0:40 /@home /mnt/again rw - btrfs /dev/sda2 rw\n";
        let mut host = Host::new("fs-subvolumes", mounts);
        for (path, number) in [("/", 41), ("/home", 42), ("/srv/ann", 42), ("/mnt/again", 42)] {
            host.statfs.show_device(Path::new(path), (0, number));
        }
        let labels = |source: &str, kind: &str, at: &str| format!("{{device={source},fstype={kind},mountpoint={at}}}");
        let expected = [
            labels("/dev/sda2", "btrfs", "/"),
            labels("/dev/sda2", "btrfs", "/home"),
            labels("/dev/sda1", "ext4", "/boot"),
        ];
        assert_eq!(host.totals(), expected);
    }

    #[test]
    fn of_a_table_that_is_too_large_the_mounts_up_to_the_bound_are_shown() {
        let overlay =
            |at: usize| format!("{at} 1 0:{at} / /o/{at} rw - overlay overlay {}\n", "lowerdir=/l".repeat(1000));
        let mounts: String = (100..600).map(overlay).collect();
        assert!(mounts.len() > 5 << 20);
        let mut host = Host::new("fs-large", &format!("{ROOT}{mounts}{}", ROOT.replace("1 0 8:1 / /", "9 1 8:2 / /z")));
        assert_eq!(host.totals(), ["{device=/dev/sda1,fstype=ext4,mountpoint=/}"]);
        assert!(host.collector.said_cut);
    }

    #[test]
    fn one_that_fails_costs_only_itself_and_may_recover() {
        let mut host = Host::new("fs-fails", &format!("{ROOT}2 1 8:2 / /data rw - ext4 /dev/sda2 rw\n"));
        host.statfs.fail("/data", io::ErrorKind::PermissionDenied);
        assert_eq!(host.totals().len(), 1);
        assert!(host.collector.local[1].failing);
        host.statfs.fail("/data", io::ErrorKind::StorageFull);
        assert_eq!(host.totals().len(), 1);
    }

    #[test]
    fn network_and_fuse_mounts_are_handed_over_and_never_asked() {
        let mut host = Host::new(
            "fs-remote",
            &format!("{ROOT}2 1 0:50 / /nfs rw - nfs4 host:/x rw\n3 1 0:51 / /ssh rw - fuse.sshfs a@b:/ rw\n"),
        );
        host.statfs.hang("/nfs");
        assert!(!host.remote.due());
        assert_eq!(host.totals(), ["{device=/dev/sda1,fstype=ext4,mountpoint=/}"]);
        assert!(host.remote.due());
        let places = host.remote.get();
        assert_eq!(
            places.iter().map(|place| &*place.mountpoint).collect::<Vec<_>>(),
            [Path::new("/nfs"), Path::new("/ssh")]
        );
        assert_eq!(host.statfs.asked("/nfs") + host.statfs.asked("/ssh"), 0);
    }

    #[test]
    fn what_is_reached_through_one_that_may_hang_is_handed_over_and_never_looked_at() {
        let mut host = Host::new(
            "fs-below-remote",
            &format!("{ROOT}2 1 0:51 / /ssh rw - fuse.sshfs a@b:/ rw\n3 2 8:2 / /ssh/local rw - ext4 /dev/sda2 rw\n"),
        );
        assert_eq!(host.totals(), ["{device=/dev/sda1,fstype=ext4,mountpoint=/}"]);
        let places = host.remote.get();
        assert_eq!(
            places.iter().map(|place| &*place.mountpoint).collect::<Vec<_>>(),
            [Path::new("/ssh"), Path::new("/ssh/local")]
        );
        assert_eq!((host.statfs.asked("/ssh/local"), host.statfs.looked("/ssh/local")), (0, 0));
    }

    #[test]
    fn where_no_mount_that_answers_at_once_is_visible_another_one_may_be() {
        let mut host = Host::new(
            "fs-other-visible",
            &format!(
                "{ROOT}2 1 0:51 / /ssh rw - fuse.sshfs a@b:/ rw\n3 2 8:2 / /ssh/x rw - ext4 /dev/sda2 rw\n\
                 4 1 8:2 / /hidden rw - ext4 /dev/sda2 rw\n"
            ),
        );
        // The root's own device is visible there.
        host.statfs.show_device(Path::new("/hidden"), (8, 1));
        host.totals();
        let places = host.remote.get();
        assert_eq!(places.last().map(|place| &*place.mountpoint), Some(Path::new("/ssh/x")));
    }

    #[test]
    fn series_survive_a_change_elsewhere() {
        let mut host = Host::new("fs-change", &format!("{ROOT}2 1 0:50 / /nfs rw - nfs4 host:/x rw\n"));
        host.totals();
        let (local, remote) = (Arc::clone(&host.collector.local[0].place), Arc::clone(&host.remote.get()[0]));
        let text = format!("{ROOT}2 1 0:50 / /nfs rw - nfs4 host:/x rw\n3 1 8:2 / /data rw - ext4 /dev/sda2 rw\n");
        host.statfs.show_device(Path::new("/data"), (8, 2));
        host.folder.write("proc/1/mountinfo", text);
        assert_eq!(host.totals().len(), 2);
        assert!(Arc::ptr_eq(&local, &host.collector.local[0].place));
        assert!(Arc::ptr_eq(&remote, &host.remote.get()[0]));
    }

    #[test]
    fn a_bad_line_costs_one_mount_and_garbage_the_round() {
        let mut host = Host::new("fs-torn", ROOT);
        host.folder.write("proc/1/mountinfo", format!("{ROOT}x y z\n"));
        assert_eq!(host.totals().len(), 1);
        for bad in ["", "garbage\n"] {
            host.folder.write("proc/1/mountinfo", bad);
            assert!(matches!(collect(&mut host.collector), Err(CollectError::Failed(_))), "{bad:?}");
        }
        host.folder.write("proc/1/mountinfo", ROOT);
        assert_eq!(host.totals().len(), 1);
    }

    #[test]
    fn percentages_are_left_out_where_nothing_can_be_written() {
        let (mounts, _) = mountinfo::parse(b"1 0 8:1 / / rw - ext4 x rw\n").unwrap();
        let place = Place::new(&mounts[0], None, &HostPaths::default());
        let usage = FsUsage { total: 10, free: 10, ..FsUsage::default() };
        let seen = samples(|out| place.push(Answer { usage: Some(usage), stuck: None }, out));
        assert_eq!(value(&seen, "system_disk_usage_percent{device=x,fstype=ext4,mountpoint=/}"), None);
        assert_eq!(value(&seen, "system_disk_used_bytes{device=x,fstype=ext4,mountpoint=/}"), Some(0.0));
    }
}
