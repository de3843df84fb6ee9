//! What the configuration says about the collectors (`collector.*`), and what holds where it says nothing.

use std::time::Duration;

use super::filter::Filter;

/// Default of `collector.max_series`: a host with 1,000 disks or 1,024 CPUs, of up to 17 numbers
/// each in all schemes, fits; a runaway does not.
pub const MAX_SERIES: usize = 20_000;

/// Default of `collector.disk.exclude`.
pub const DISKS_LEFT_OUT: [&str; 1] = ["(loop|ram|zram|sr|fd)[0-9]+"];

/// Default of `collector.network.exclude`.
pub const INTERFACES_LEFT_OUT: [&str; 3] = ["veth.*", "cali.*", "br-[0-9a-f]{12}"];

/// Default of `collector.filesystem.exclude_mountpoints`.
pub const MOUNT_POINTS_LEFT_OUT: [&str; 2] = [
    "/(var/lib/docker|var/lib/containers|var/lib/kubelet/pods|run/containerd|run/docker|run/credentials|run/user)/.+",
    "/(proc|sys|dev)(/.*)?",
];

/// Default of `collector.filesystem.exclude_types`: memory, read-only images, and what the kernel only shows as a
/// file system.
pub const TYPES_LEFT_OUT: [&str; 2] = [
    "tmpfs|devtmpfs|ramfs|rootfs|squashfs|erofs|overlay|aufs|iso9660",
    "autofs|binfmt_misc|bpf|cgroup2?|configfs|cpuset|debugfs|devpts|efivarfs|fuse\\.(lxcfs|portal|gvfsd-fuse|snapfuse)|fusectl|hugetlbfs|mqueue|nsfs|proc|pstore|resctrl|rpc_pipefs|securityfs|selinuxfs|sysfs|tracefs",
];

/// What the configuration says about the collectors (`collector.*`).
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `system_cpu_*`, raw seconds by mode and percentages.
    pub enable_cpu: bool,
    /// `system_memory_*` and `system_swap_*`.
    pub enable_memory: bool,
    /// `system_load_*`.
    pub enable_load: bool,
    /// `system_uptime_seconds` and `system_boot_time_seconds`.
    pub enable_uptime: bool,
    /// `system_disk_*`: both the I/O of devices and the space of file systems.
    pub enable_disk: bool,
    /// `system_network_*`.
    pub enable_network: bool,
    /// Which block devices show their I/O; by rule whole disks, dm and md.
    pub disk: Filter,
    /// Which file systems show their space.
    pub filesystem: FilesystemSettings,
    /// Which interfaces are shown; by rule all.
    pub network: Filter,
    /// Series that one collector may give a round; the rest is refused and counted.
    pub max_series: usize,
}

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

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            enable_cpu: true,
            enable_memory: true,
            enable_load: true,
            enable_uptime: true,
            enable_disk: true,
            enable_network: true,
            disk: Filter::excluding(&DISKS_LEFT_OUT),
            filesystem: FilesystemSettings::default(),
            network: Filter::excluding(&INTERFACES_LEFT_OUT),
            max_series: MAX_SERIES,
        }
    }
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
