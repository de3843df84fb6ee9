//! What `collector.filesystem` may say.

use std::time::Duration;

use super::super::filter::{EXCLUDE, Filter, INCLUDE};
use super::super::settings::{COMMON, Given};
use crate::fields::{DefaultValue, Field, Inner, Table, Takes, WAIT};

/// Default of `collector.filesystem.exclude_mountpoints`.
const MOUNT_POINTS_LEFT_OUT: [&str; 2] = [
    "/(var/lib/docker|var/lib/containers|var/lib/kubelet/pods|run/containerd|run/docker|run/credentials|run/user)/.+",
    "/(proc|sys|dev)(/.*)?",
];

/// Default of `collector.filesystem.exclude_types`: memory, read-only images, and what the kernel only shows as a
/// file system.
const TYPES_LEFT_OUT: [&str; 2] = [
    "tmpfs|devtmpfs|ramfs|rootfs|squashfs|erofs|overlay|aufs|iso9660",
    "autofs|binfmt_misc|bpf|cgroup2?|configfs|cpuset|debugfs|devpts|efivarfs|fuse\\.(lxcfs|portal|gvfsd-fuse|snapfuse)|fusectl|hugetlbfs|mqueue|nsfs|proc|pstore|resctrl|rpc_pipefs|securityfs|selinuxfs|sysfs|tracefs",
];

/// Which file systems show their space (`collector.filesystem.*`).
#[derive(Clone, Debug, PartialEq)]
pub struct FilesystemSettings {
    /// By mount point, as the host sees it.
    pub mountpoint: Filter,
    /// By type, as mountinfo has it (`ext4`, `nfs4`, `fuse.sshfs`).
    pub fstype: Filter,
    /// How long a network or FUSE mount may take before it counts as stuck.
    pub timeout: Duration,
}

impl Default for FilesystemSettings {
    fn default() -> FilesystemSettings {
        FilesystemSettings {
            mountpoint: Filter::excluding(&MOUNT_POINTS_LEFT_OUT),
            fstype: Filter::excluding(&TYPES_LEFT_OUT),
            timeout: Duration::from_secs(5),
        }
    }
}

/// The fields of its object in `collector`.
pub static SECTION: Table<Given> = Table::new(|| COMMON.iter().chain([&ALL]).collect());

static ALL: Field<Given> = Field::all_of(&Inner { table: &TABLE, of: |s: &mut Given| s.own::<FilesystemSettings>() });

static TABLE: Table<FilesystemSettings> = Table::new(|| OWN.iter().collect());

static OWN: [Field<FilesystemSettings>; 3] = [
    Field::all_of(&Inner { table: &MOUNT_POINTS, of: |s: &mut FilesystemSettings| &mut s.mountpoint }),
    Field::all_of(&Inner { table: &TYPES, of: |s: &mut FilesystemSettings| &mut s.fstype }),
    Field::new(
        "timeout",
        Takes::Duration(WAIT, |s, timeout| s.timeout = timeout),
        DefaultValue::Text("5s"),
        "How long a network or FUSE mount may take before it counts as stuck.",
    ),
];

static MOUNT_POINTS: Table<Filter> = Table::new(|| MOUNT_POINT_FIELDS.iter().collect());

static MOUNT_POINT_FIELDS: [Field<Filter>; 2] = [
    Field::new(
        "include_mountpoints",
        INCLUDE,
        DefaultValue::Texts(&[]),
        "Mount points whose space is shown, as regular expressions for the whole path; empty: all.",
    ),
    Field::new(
        "exclude_mountpoints",
        EXCLUDE,
        DefaultValue::Texts(&MOUNT_POINTS_LEFT_OUT),
        "Mount points left out in any case.",
    ),
];

static TYPES: Table<Filter> = Table::new(|| TYPE_FIELDS.iter().collect());

static TYPE_FIELDS: [Field<Filter>; 2] = [
    Field::new(
        "include_types",
        INCLUDE,
        DefaultValue::Texts(&[]),
        "File system types that are shown, as regular expressions; empty: all on block devices, network and FUSE.",
    ),
    Field::new(
        "exclude_types",
        EXCLUDE,
        DefaultValue::Texts(&TYPES_LEFT_OUT),
        "File system types left out in any case.",
    ),
];
