//! The collectors, one file each, and the one ordered table of them all.
//!
//! A new collector is a file here, a row in `TABLE`, a fixture and a row in the README.

pub mod cpu;
pub mod disk;
pub mod filesystem;
mod filter;
mod keyed;
pub mod load;
pub mod memory;
pub mod network;
mod parse;
#[cfg(test)]
mod testing;
pub mod uptime;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use self::filesystem::remote::RemoteMounts;
use crate::host::{HostPaths, ReadError, Scratch, StatFs};
use crate::model::{Metric, Recorder};

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

/// A collector that answers at once, to be called each tick.
pub struct Named {
    /// As `/health` and the logs call it.
    pub name: &'static str,
    /// The collector.
    pub collector: Box<dyn Collector>,
}

/// A collector that may hang, to be called on a thread of its own.
pub struct NamedSlow {
    /// As `/health` and the logs call it.
    pub name: &'static str,
    /// The collector.
    pub collector: Box<dyn Collector>,
    /// Asked each tick, cheap: whether to call it at all. It may depend on what a fast
    /// collector finds, so ask after these have run.
    pub due: Due,
}

/// Says whether a slow collector has anything to do.
pub type Due = Arc<dyn Fn() -> bool + Send + Sync>;

/// The collectors that the settings ask for, in the table's order.
pub struct Built {
    /// To be called one after the other.
    pub fast: Vec<Named>,
    /// Each on its own thread.
    pub slow: Vec<NamedSlow>,
}

impl Built {
    /// The names of all, fast ones first.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.fast.iter().map(|named| named.name).chain(self.slow.iter().map(|named| named.name))
    }

    /// Forgets those that are named.
    pub fn leave_out(&mut self, names: &[&str]) {
        self.fast.retain(|named| !names.contains(&named.name));
        self.slow.retain(|named| !names.contains(&named.name));
    }
}

/// What collectors are built from.
struct Parts<'a> {
    settings: &'a Settings,
    host: &'a HostPaths,
    statfs: Arc<dyn StatFs>,
    /// Found by `filesystem`, asked by `filesystem_remote`.
    remote: Arc<RemoteMounts>,
}

/// A row of the table.
struct Row {
    name: &'static str,
    /// The families that no row before has.
    metrics: &'static [&'static Metric],
    enabled: fn(&Settings) -> bool,
    /// Whether two settings that enable it are the same to it, the cap of series aside.
    same: fn(&Settings, &Settings) -> bool,
    build: fn(&Parts<'_>) -> Made,
}

enum Made {
    Fast(Box<dyn Collector>),
    Slow(Box<dyn Collector>, Due),
}

/// All collectors, in the order in which they run and their metrics are shown.
static TABLE: &[Row] = &[
    Row {
        name: "cpu",
        metrics: cpu::METRICS,
        enabled: |settings| settings.enable_cpu,
        same: |_, _| true,
        build: |parts| Made::Fast(Box::new(cpu::Cpu::new(parts.host))),
    },
    Row {
        name: "memory",
        metrics: memory::METRICS,
        enabled: |settings| settings.enable_memory,
        same: |_, _| true,
        build: |parts| Made::Fast(Box::new(memory::Memory::new(parts.host))),
    },
    Row {
        name: "load",
        metrics: load::METRICS,
        enabled: |settings| settings.enable_load,
        same: |_, _| true,
        build: |parts| Made::Fast(Box::new(load::Load::new(parts.host))),
    },
    Row {
        name: "uptime",
        metrics: uptime::METRICS,
        enabled: |settings| settings.enable_uptime,
        same: |_, _| true,
        build: |parts| Made::Fast(Box::new(uptime::Uptime::new(parts.host))),
    },
    Row {
        name: "disk",
        metrics: disk::METRICS,
        enabled: |settings| settings.enable_disk,
        same: |a, b| a.disk == b.disk,
        build: |parts| Made::Fast(Box::new(disk::Disk::new(&parts.settings.disk, parts.host))),
    },
    Row {
        name: "filesystem",
        metrics: filesystem::METRICS,
        enabled: |settings| settings.enable_disk,
        same: |a, b| a.filesystem == b.filesystem,
        build: |parts| {
            let (statfs, remote) = (Arc::clone(&parts.statfs), Arc::clone(&parts.remote));
            Made::Fast(Box::new(filesystem::Filesystem::new(&parts.settings.filesystem, parts.host, statfs, remote)))
        },
    },
    Row {
        name: "filesystem_remote",
        metrics: filesystem::remote::METRICS,
        enabled: |settings| settings.enable_disk,
        same: |a, b| a.filesystem == b.filesystem,
        build: |parts| {
            let (statfs, remote) = (Arc::clone(&parts.statfs), Arc::clone(&parts.remote));
            let collector = filesystem::remote::Remote::new(&parts.settings.filesystem, statfs, Arc::clone(&remote));
            Made::Slow(Box::new(collector), Arc::new(move || remote.due()))
        },
    },
    Row {
        name: "network",
        metrics: network::METRICS,
        enabled: |settings| settings.enable_network,
        same: |a, b| a.network == b.network,
        build: |parts| Made::Fast(Box::new(network::Network::new(&parts.settings.network, parts.host))),
    },
];

/// Builds the collectors that `settings` ask for. Reads nothing yet.
pub fn build(settings: &Settings, host: &HostPaths, statfs: Arc<dyn StatFs>) -> Built {
    let parts = Parts { settings, host, statfs, remote: Arc::default() };
    let mut built = Built { fast: Vec::new(), slow: Vec::new() };
    for row in TABLE.iter().filter(|row| (row.enabled)(settings)) {
        let name = row.name;
        match (row.build)(&parts) {
            Made::Fast(collector) => built.fast.push(Named { name, collector }),
            Made::Slow(collector, due) => built.slow.push(NamedSlow { name, collector, due }),
        }
    }
    built
}

/// The names of the collectors that `a` and `b` both ask for, and to which they say the same.
pub fn unchanged<'a>(a: &'a Settings, b: &'a Settings) -> impl Iterator<Item = &'static str> + 'a {
    let rows = TABLE.iter().filter(|_| a.max_series == b.max_series);
    rows.filter(|row| (row.enabled)(a) && (row.enabled)(b) && (row.same)(a, b)).map(|row| row.name)
}

/// The names of all collectors, in the table's order.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|row| row.name)
}

/// Every family that a collector can emit, each once, in the table's order.
pub fn metrics() -> impl Iterator<Item = &'static Metric> {
    TABLE.iter().flat_map(|row| row.metrics.iter().copied())
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

impl CollectError {
    /// For a file that every Linux has: where it is missing, the root is the wrong one, or
    /// something is broken, and that is a failure.
    pub fn of_required(error: ReadError) -> CollectError {
        CollectError::Failed(error.to_string())
    }
}

impl From<ReadError> for CollectError {
    fn from(error: ReadError) -> CollectError {
        match error {
            ReadError::Missing(_) => CollectError::Absent(error.to_string()),
            ReadError::Io(..) | ReadError::TooLarge(_) => CollectError::Failed(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::host::SystemStatFs;
    use crate::model::Kind;

    #[test]
    fn the_table_builds_what_the_settings_ask_for() {
        let names = |settings: &Settings| {
            let built = build(settings, &HostPaths::default(), Arc::new(SystemStatFs));
            let fast: Vec<_> = built.fast.iter().map(|fast| fast.name).collect();
            let slow: Vec<_> = built.slow.iter().map(|slow| slow.name).collect();
            (fast, slow)
        };
        let (fast, slow) = names(&Settings::default());
        assert_eq!(fast, ["cpu", "memory", "load", "uptime", "disk", "filesystem", "network"]);
        assert_eq!(slow, ["filesystem_remote"]);
        let (fast, slow) = names(&Settings { enable_disk: false, enable_load: false, ..Settings::default() });
        assert_eq!(fast, ["cpu", "memory", "uptime", "network"]);
        assert!(slow.is_empty());
    }

    #[test]
    fn a_collector_is_unchanged_unless_its_own_settings_differ() {
        let all = ["cpu", "memory", "load", "uptime", "disk", "filesystem", "filesystem_remote", "network"];
        let without = |gone: &[&str]| all.into_iter().filter(|name| !gone.contains(name)).collect::<Vec<_>>();
        let default = Settings::default;
        let unchanged = |b: Settings| {
            let forth: Vec<_> = unchanged(&default(), &b).collect();
            assert_eq!(forth, unchanged(&b, &default()).collect::<Vec<_>>());
            forth
        };
        assert_eq!(unchanged(default()), all);
        assert_eq!(unchanged(Settings { max_series: 7, ..default() }), without(&all));
        assert_eq!(unchanged(Settings { enable_cpu: false, ..default() }), without(&["cpu"]));
        assert_eq!(unchanged(Settings { disk: Filter::excluding(&["x"]), ..default() }), without(&["disk"]));
        assert_eq!(unchanged(Settings { network: Filter::excluding(&["x"]), ..default() }), without(&["network"]));
        let filesystem = FilesystemSettings { timeout: Duration::from_secs(1), ..Default::default() };
        // The two share what one of them finds, so they stay or go together.
        let both = ["filesystem", "filesystem_remote"];
        assert_eq!(unchanged(Settings { filesystem, ..default() }), without(&both));
    }

    #[test]
    fn families_are_named_once_and_counters_end_in_total() {
        let mut seen = HashSet::new();
        for metric in metrics() {
            assert!(seen.insert(&metric.name), "{} stands twice", metric.name);
            assert!(metric.name.starts_with("system_"), "{}", metric.name);
            assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
            assert!(metric.help.ends_with('.') && !metric.help.contains('\n'), "{}", metric.name);
        }
        assert_eq!(seen.len(), 33);
    }

    #[test]
    fn what_is_emitted_stands_in_the_table() {
        let named: HashSet<_> = metrics().map(|metric| &*metric.name).collect();
        let mut built = build(&Settings::default(), &HostPaths::default(), Arc::new(SystemStatFs));
        let tick = Tick { wall_ms: 0, monotonic: Duration::ZERO };
        let mut scratch = Scratch::new();
        for fast in &mut built.fast {
            let mut out = Recorder::new(fast.name, 10_000);
            fast.collector.prime(&tick, &mut scratch);
            match fast.collector.collect(&tick, &mut scratch, &mut out) {
                // A sandbox may lack a file, or have none of a thing.
                Err(error) => println!("{}: {error}", fast.name),
                Ok(()) => {
                    for (series, value) in out.finish(0).samples() {
                        assert!(named.contains(&*series.metric.name), "{}", series.metric.name);
                        assert!(value.is_finite(), "{}", series.metric.name);
                    }
                }
            }
        }
    }
}
