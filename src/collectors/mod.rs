//! The collectors, one file each, and the one ordered table of them all.
//!
//! A new collector is a file here, a row in [`TABLE`], a fixture and a row in the README.

mod filter;
mod parse;

use std::fmt;
use std::time::Duration;

use crate::host::{ReadError, Scratch};
use crate::model::Recorder;

pub use filter::{Filter, Pattern};
pub use parse::ParseError;

/// When a round takes place. Collectors do not look at clocks themselves.
#[derive(Clone, Copy, Debug)]
pub struct Tick {
    /// Wall clock, milliseconds since the UNIX epoch.
    pub wall_ms: i64,
    /// CLOCK_MONOTONIC.
    pub monotonic: Duration,
}

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
            disk: Filter::excluding(&["(loop|ram|zram|sr|fd)[0-9]+"]),
            filesystem: FilesystemSettings::default(),
            network: Filter::excluding(&["veth.*", "cali.*", "br-[0-9a-f]{12}"]),
            // A host with 1,000 disks and 8 series each fits; a runaway does not.
            max_series: 10_000,
        }
    }
}

impl Default for FilesystemSettings {
    fn default() -> FilesystemSettings {
        FilesystemSettings {
            mountpoint: Filter::excluding(&[
                "/(var/lib/docker|var/lib/containers|var/lib/kubelet/pods|run/containerd|run/docker|run/credentials|run/user)/.+",
                "/(proc|sys|dev)(/.*)?",
            ]),
            // Memory, read-only images, and what the kernel only shows as a file system.
            fstype: Filter::excluding(&[
                "tmpfs|devtmpfs|ramfs|rootfs|squashfs|erofs|overlay|aufs|iso9660",
                "autofs|binfmt_misc|bpf|cgroup2?|configfs|cpuset|debugfs|devpts|efivarfs|fuse\\.(lxcfs|portal|gvfsd-fuse|snapfuse)|fusectl|hugetlbfs|mqueue|nsfs|proc|pstore|resctrl|rpc_pipefs|securityfs|selinuxfs|sysfs|tracefs",
            ]),
            timeout: Duration::from_secs(5),
        }
    }
}

/// Reads one part of the host.
pub trait Collector: Send {
    /// Takes a first reading, for values that are differences of two. Emits nothing.
    fn prime(&mut self, _tick: &Tick, _scratch: &mut Scratch) {}

    /// Reads and pushes one round. After an error nothing of the round is sent.
    fn collect(&mut self, tick: &Tick, scratch: &mut Scratch, out: &mut Recorder) -> Result<(), CollectError>;
}

/// Why a round gave nothing.
#[derive(Debug)]
pub enum CollectError {
    /// This host has no such thing: quiet, and not a failure.
    Absent(String),
    /// It should be there, but could not be read or understood.
    Failed(String),
}

impl fmt::Display for CollectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CollectError::Absent(what) | CollectError::Failed(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for CollectError {}

impl From<ReadError> for CollectError {
    fn from(error: ReadError) -> CollectError {
        match error {
            ReadError::Missing(_) => CollectError::Absent(error.to_string()),
            ReadError::Io(..) | ReadError::TooLarge(_) => CollectError::Failed(error.to_string()),
        }
    }
}

/// PLACEHOLDER
pub struct Named {
    pub name: &'static str,
    pub collector: Box<dyn Collector>,
}
/// PLACEHOLDER
pub struct NamedSlow {
    pub name: &'static str,
    pub collector: Box<dyn Collector>,
    pub due: std::sync::Arc<dyn Fn() -> bool + Send + Sync>,
}
/// PLACEHOLDER
pub struct Built {
    pub fast: Vec<Named>,
    pub slow: Vec<NamedSlow>,
}
