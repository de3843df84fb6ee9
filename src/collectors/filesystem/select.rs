//! Which mounts are shown: one for each file system, by pattern and by rule. Pure.

use std::collections::HashMap;
use std::path::Path;

use super::fields::FilesystemSettings;
use super::mountinfo::Mount;
use crate::order;

/// A parent chain longer than this is a loop, which a torn file may hold.
const MAX_DEPTH: usize = 100;

/// A mount that may stand for its file system.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'m> {
    pub mount: &'m Mount,
    /// Whether asking about it may wait for another machine or process: for its own, or for
    /// that of a mount which the way to it passes.
    pub may_hang: bool,
}

/// The mounts to show: a list for each file system, in the order of `mounts`, that holds the
/// mounts that may stand for it, the best one first.
///
/// Left out are what the patterns exclude, what has no device and is not known to be a real
/// file system, and mounts that are hidden below another one. Mounts of the same device
/// number show the same numbers, so one of them stands for all: rather one of the whole
/// than of a part of it (a bind mount), rather one that answers at once, rather the shorter
/// mount point. Subvolumes are file systems of their own to whoever looks for space, as to
/// `df`, though the table gives them one number; so there each directory that is mounted is a
/// list of its own, that of a subvolume in front of those of what is in it.
pub fn select<'m>(mounts: &'m [Mount], settings: &FilesystemSettings) -> Vec<Vec<Candidate<'m>>> {
    let mut groups: Vec<Vec<Candidate<'_>>> = Vec::new();
    let mut group_of = HashMap::new();
    let tree = Tree::new(mounts);
    for (at, mount) in mounts.iter().enumerate() {
        if !shown(mount, settings) || tree.is_hidden(at) {
            continue;
        }
        let part = has_subvolumes(mount).then_some(&*mount.root);
        let group = *group_of.entry((mount.device, part)).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[group].push(Candidate { mount, may_hang: tree.may_hang(at) });
    }
    for group in &mut groups {
        // Stable: of equals, the earlier stays first.
        order::sort_by_key(group, |Candidate { mount, may_hang }| {
            (mount.root != Path::new("/"), *may_hang, mount.mountpoint.as_os_str().len())
        });
    }
    // Stable, and of no effect but among the parts of one file system.
    let first_of: HashMap<(u32, u32), usize> =
        groups.iter().enumerate().rev().map(|(at, g)| (g[0].mount.device, at)).collect();
    order::sort_by_key(&mut groups, |group| {
        let mount = group[0].mount;
        (first_of[&mount.device], if has_subvolumes(mount) { mount.root.components().count() } else { 0 })
    });
    groups
}

/// Whether directories of it may be file systems to whoever looks for space, each with a number
/// that only a look at it shows.
pub fn has_subvolumes(mount: &Mount) -> bool {
    mount.fstype == "btrfs"
}

fn shown(mount: &Mount, settings: &FilesystemSettings) -> bool {
    settings.fstype.shows(&mount.fstype, is_real(mount))
        && settings.mountpoint.shows(&mount.mountpoint.to_string_lossy(), true)
}

/// Whether a mount holds somebody's data: it has a block device, or is of a type that keeps
/// its data elsewhere or manages its devices itself.
fn is_real(mount: &Mount) -> bool {
    mount.device.0 != 0
        || mount.source.starts_with("/dev/")
        || matches!(&*mount.fstype, "zfs" | "btrfs" | "bcachefs" | "ubifs")
        || waits_for_others(&mount.fstype)
}

/// Whether asking a file system of this type may wait for another machine or process:
/// network, cluster and FUSE file systems, and the shared folders of virtual machines.
fn waits_for_others(fstype: &str) -> bool {
    fstype.starts_with("fuse.")
        || matches!(
            fstype,
            "nfs"
                | "nfs3"
                | "nfs4"
                | "cifs"
                | "smb"
                | "smb2"
                | "smb3"
                | "smbfs"
                | "ncp"
                | "ncpfs"
                | "ceph"
                | "glusterfs"
                | "9p"
                | "afs"
                | "coda"
                | "lustre"
                | "gpfs"
                | "beegfs"
                | "orangefs"
                | "pvfs2"
                | "davfs"
                | "ocfs2"
                | "gfs2"
                | "fuse"
                | "fuseblk"
                | "virtiofs"
                | "vboxsf"
                | "vmhgfs"
                | "prl_fs"
        )
}

/// Whether files of this type may show another device number than mountinfo gives, since
/// each subvolume or layer has its own.
pub fn has_own_numbers(fstype: &str) -> bool {
    matches!(fstype, "btrfs" | "bcachefs" | "zfs" | "overlay" | "aufs") || waits_for_others(fstype)
}

/// The mounts by what hides them. A host may have thousands (home directories of an
/// automounter), so nothing here compares each with each.
struct Tree<'m> {
    mounts: &'m [Mount],
    by_id: HashMap<u64, usize>,
    /// The last mount on a parent at a place.
    last_on: HashMap<(u64, &'m Path), usize>,
}

impl<'m> Tree<'m> {
    fn new(mounts: &'m [Mount]) -> Tree<'m> {
        let numbered = || mounts.iter().enumerate();
        // The initial root file system is its own parent on old kernels, and covers nothing.
        let on_others = numbered().filter(|(_, mount)| mount.id != mount.parent);
        Tree {
            mounts,
            by_id: numbered().map(|(at, mount)| (mount.id, at)).collect(),
            last_on: on_others.map(|(at, mount)| ((mount.parent, &*mount.mountpoint), at)).collect(),
        }
    }

    /// Whether asking about `mounts[at]` may wait for another machine or process. To ask is to
    /// walk there first, and each mount on the way may stop who walks: its own server has to
    /// answer for the directories that are passed, or an automounter for letting anybody pass.
    fn may_hang(&self, at: usize) -> bool {
        if waits_for_others(&self.mounts[at].fstype) {
            return true;
        }
        let mut mount = &self.mounts[at];
        for _ in 0..MAX_DEPTH {
            match self.by_id.get(&mount.parent).map(|parent| &self.mounts[*parent]) {
                Some(parent) if waits_for_others(&parent.fstype) || parent.fstype == "autofs" => return true,
                Some(parent) if parent.id != mount.id => mount = parent,
                // The root of all, or of what is visible here.
                _ => return false,
            }
        }
        // Whatever this is, nothing that has to come back in time walks there.
        true
    }

    /// Whether walking to the mount point of `mounts[at]` ends in another mount.
    ///
    /// That is so where something was mounted over it at the same place, or on the same
    /// parent at a directory above it, and where its parent is hidden in this way.
    fn is_hidden(&self, at: usize) -> bool {
        let mut at = at;
        for depth in 0..MAX_DEPTH {
            let mount = &self.mounts[at];
            // What covers a parent at its own place is a sibling of the child: seen already.
            if depth == 0 && self.last_on.contains_key(&(mount.id, &*mount.mountpoint)) {
                return true;
            }
            let mut places = mount.mountpoint.ancestors();
            let beside = places.next().and_then(|place| self.last_on.get(&(mount.parent, place)));
            if beside.is_some_and(|last| *last > at) {
                return true;
            }
            if places.any(|place| self.last_on.contains_key(&(mount.parent, place))) {
                return true;
            }
            match self.by_id.get(&mount.parent) {
                // A mount that is its own parent is the start of everything, and hidden by
                // nothing that matters to what is mounted on it.
                Some(parent) if self.mounts[*parent].parent != self.mounts[*parent].id => at = *parent,
                _ => return false,
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{fixture, have_fixtures};
    use super::super::super::{Filter, Pattern};
    use super::super::mountinfo::parse;
    use super::*;

    fn chosen(text: &str, settings: &FilesystemSettings) -> Vec<String> {
        let (mounts, _) = parse(text.as_bytes()).unwrap();
        select(&mounts, settings).iter().map(|group| group[0].mount.mountpoint.to_string_lossy().into_owned()).collect()
    }

    fn usual(text: &str) -> Vec<String> {
        chosen(text, &FilesystemSettings::default())
    }

    #[test]
    fn one_mount_stands_for_a_file_system() {
        let text = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
                    2 1 8:1 /srv/www /w rw - ext4 /dev/sda1 rw\n\
                    3 1 8:1 / /copy rw - ext4 /dev/sda1 rw\n\
                    4 1 8:2 /sub /b rw - ext4 /dev/sda2 rw\n\
                    5 1 8:2 / /longer rw - ext4 /dev/sda2 rw\n\
                    6 1 8:3 /x /only/part rw - ext4 /dev/sda3 rw\n";
        assert_eq!(usual(text), ["/", "/longer", "/only/part"]);
        // The part is shown where the whole is excluded.
        let mut settings = FilesystemSettings::default();
        settings.mountpoint.exclude.push(Pattern::new("/|/copy").unwrap());
        assert_eq!(chosen(text, &settings), ["/w", "/longer", "/only/part"]);
    }

    #[test]
    fn of_mounts_over_one_another_the_visible_one_counts() {
        let over = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
                    2 1 8:2 / /mnt rw - ext4 /dev/sda2 rw\n\
                    3 2 8:3 / /mnt rw - ext4 /dev/sda3 rw\n";
        assert_eq!(usual(over), ["/", "/mnt"]);
        let (mounts, _) = parse(over.as_bytes()).unwrap();
        assert_eq!(select(&mounts, &FilesystemSettings::default())[1][0].mount.source, "/dev/sda3");
        // Something mounted above, in the same parent, hides what was there before, and what
        // is mounted in that.
        let above = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
                     2 1 8:2 / /a/b rw - ext4 /dev/sda2 rw\n\
                     3 2 8:3 / /a/b/c rw - ext4 /dev/sda3 rw\n\
                     4 1 8:4 / /a rw - ext4 /dev/sda4 rw\n\
                     5 4 8:5 / /a/d rw - ext4 /dev/sda5 rw\n\
                     6 1 8:6 / /ab rw - ext4 /dev/sda6 rw\n";
        assert_eq!(usual(above), ["/", "/a", "/a/d", "/ab"]);
    }

    #[test]
    fn the_initial_root_below_the_real_one_is_hidden() {
        let text = "1 1 0:1 / / rw - rootfs rootfs rw\n2 1 8:1 / / rw - ext4 /dev/sda1 rw\n";
        assert_eq!(usual(text), ["/"]);
    }

    #[test]
    fn a_loop_of_parents_ends() {
        let text = "1 2 8:1 / /a rw - ext4 x rw\n2 1 8:2 / /b rw - ext4 y rw\n3 3 8:3 / /c rw - ext4 z rw\n";
        assert_eq!(usual(text), ["/a", "/b", "/c"]);
    }

    #[test]
    fn a_mount_may_hang_where_any_on_the_way_to_it_may() {
        let text = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
                    2 1 0:50 / /remote rw - fuse.sshfs a@b:/ rw\n\
                    3 2 8:2 / /remote/local rw - ext4 /dev/sda2 rw\n\
                    4 3 8:3 / /remote/local/deep rw - xfs /dev/sda3 rw\n\
                    5 1 8:4 / /data rw - ext4 /dev/sda4 rw\n\
                    6 1 0:51 / /auto rw - autofs systemd-1 rw\n\
                    7 6 8:5 / /auto rw - ext4 /dev/sda5 rw\n\
                    8 1 0:52 / /nfs rw - nfs4 host:/x rw\n\
                    9 8 8:6 / /nfs rw - ext4 /dev/sda6 rw\n\
                    10 2 8:4 / /remote/a rw - ext4 /dev/sda4 rw\n\
                    11 1 8:3 /part /part rw - xfs /dev/sda3 rw\n";
        let (mounts, _) = parse(text.as_bytes()).unwrap();
        let groups = select(&mounts, &FilesystemSettings::default());
        let first =
            |group: &Vec<Candidate<'_>>| (group[0].mount.mountpoint.to_string_lossy().into_owned(), group[0].may_hang);
        let shown: Vec<(String, bool)> = groups.iter().map(first).collect();
        let expected = [
            ("/", false),
            ("/remote", true),
            ("/remote/local", true),
            // Rather the whole, if off the beat, than a part.
            ("/remote/local/deep", true),
            // It is below the remote one, too, with a shorter name.
            ("/data", false),
            ("/auto", true),
            // What is below it at the same place is passed.
            ("/nfs", true),
        ];
        assert_eq!(shown, expected.map(|(place, may_hang)| (place.to_owned(), may_hang)));
        // Parents that go round in a circle lead nowhere.
        let text = "1 2 8:1 / /a rw - ext4 x rw\n2 1 8:2 / /b rw - ext4 y rw\n";
        let (mounts, _) = parse(text.as_bytes()).unwrap();
        assert!(Tree::new(&mounts).may_hang(0));
    }

    /// The rule in plain words: each mount compared with each.
    fn is_hidden_by_the_book(at: usize, mounts: &[Mount], depth: usize) -> bool {
        let mount = &mounts[at];
        let covered = mounts.iter().enumerate().any(|(other_at, other)| {
            let same_place = other.mountpoint == mount.mountpoint;
            let on_it = depth == 0 && same_place && other.parent == mount.id && other.id != mount.id;
            let is_sibling = other_at != at && other.parent == mount.parent && other.id != other.parent;
            let over_it = if same_place { other_at > at } else { mount.mountpoint.starts_with(&other.mountpoint) };
            on_it || is_sibling && over_it
        });
        let parent = mounts.iter().position(|other| other.id == mount.parent);
        let above = parent.filter(|parent| mounts[*parent].parent != mount.parent && depth < MAX_DEPTH);
        covered || above.is_some_and(|parent| is_hidden_by_the_book(parent, mounts, depth + 1))
    }

    #[test]
    fn what_is_hidden_is_found_as_by_comparing_each_with_each() {
        let places = ["/", "/a", "/a/b", "/a/b/c", "/ab", "/d"];
        let mut seed = 1u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) % below
        };
        let mut hidden = 0;
        for _ in 0..2000 {
            // A parent is an earlier mount, or for the first one itself or none.
            let mut text = format!("1 {} 8:1 / / rw - ext4 x rw\n", random(2));
            for id in 2..=2 + random(7) {
                let (parent, place) = (1 + random(id - 1), places[random(6) as usize]);
                text.push_str(&format!("{id} {parent} 8:{id} / {place} rw - ext4 x rw\n"));
            }
            let (mounts, _) = parse(text.as_bytes()).unwrap();
            let tree = Tree::new(&mounts);
            for at in 0..mounts.len() {
                let expected = is_hidden_by_the_book(at, &mounts, 0);
                assert_eq!(tree.is_hidden(at), expected, "line {} of\n{text}", at + 1);
                hidden += usize::from(expected);
            }
        }
        assert!(hidden > 1000);
    }

    #[test]
    fn real_file_systems_without_a_device_are_shown() {
        let text = "1 0 0:40 /@ / rw - btrfs /dev/md0 rw\n\
                    2 1 0:41 / /tank rw - zfs tank rw\n\
                    3 1 0:42 / /overlay rw - ubifs ubi0:rootfs_data rw\n\
                    4 1 0:43 / /nfs rw - nfs4 host:/x rw\n\
                    5 1 0:44 / /odd rw - newpseudofs none rw\n\
                    6 1 0:45 / /tmp rw - tmpfs tmpfs rw\n\
                    7 1 0:46 / /nfsd rw - nfsd nfsd rw\n\
                    8 1 7:0 / /snap/x/1 ro - squashfs /dev/loop0 ro\n";
        assert_eq!(usual(text), ["/", "/tank", "/overlay", "/nfs"]);
        let settings = FilesystemSettings {
            fstype: Filter { include: vec![Pattern::new("tmpfs").unwrap()], exclude: Vec::new() },
            ..FilesystemSettings::default()
        };
        assert_eq!(chosen(text, &settings), ["/tmp"]);
    }

    #[test]
    fn fixture_hosts_show_what_df_would() {
        if !have_fixtures() {
            return;
        }
        let of = |host| usual(&String::from_utf8_lossy(&std::fs::read(fixture(host).proc("1/mountinfo")).unwrap()));
        assert_eq!(of("vm"), ["/", "/boot/efi", "/mnt/my data", "/mnt/tab\tand\\slash", "/mnt/home", "/mnt/media"]);
        assert_eq!(
            of("numa64"),
            [
                "/",
                "/boot",
                "/boot/efi",
                "/var/lib",
                "/srv/images",
                "/srv/backup",
                "/srv/tenants",
                "/srv/tenants/home",
                "/tank/vms"
            ]
        );
        assert_eq!(of("container-v1"), ["/"]);
        assert_eq!(of("old-kernel"), ["/", "/boot", "/data", "/home"]);
        assert_eq!(of("arm-board"), ["/overlay", "/mnt/data"]);
    }
}
