//! The collectors, one file each, and the one ordered table of them all.
//!
//! A new collector is a file here, a row in `TABLE`, a fixture and a row in the README.

mod collector;
pub mod cpu;
pub mod disk;
pub mod filesystem;
mod filter;
mod keyed;
mod keys;
pub mod load;
pub mod memory;
pub mod network;
mod parse;
mod settings;
#[cfg(test)]
mod testing;
pub mod uptime;

use std::sync::Arc;
use std::time::Duration;

use self::filesystem::RemoteMounts;
use crate::fields::{DefaultValue, Field, Table, Takes};
use crate::host::{HostPaths, StatFs};
use crate::model::{Family, Label, Reading, Scheme};

pub use collector::{CollectError, Collector, Due, Tick};
pub use filter::{Filter, Pattern};
pub use parse::ParseError;
pub use settings::{FilesystemSettings, Settings};

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
    /// A round that takes longer is given up: said, and not waited for.
    pub deadline: Duration,
}

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

/// What a slow collector that keeps a limit of its own may take beyond it: for a machine that
/// is busy, not for the collector.
const SPARE: Duration = Duration::from_secs(5);

/// A row of the table.
struct Row {
    name: &'static str,
    /// What it may give that no row before does.
    readings: &'static [&'static [Reading]],
    /// Its fields of the object `collector` in the configuration.
    fields: &'static [Field<Settings>],
    enabled: fn(&Settings) -> bool,
    /// Whether two settings that enable it are the same to it, the cap of series aside.
    same: fn(&Settings, &Settings) -> bool,
    build: fn(&Parts<'_>) -> Made,
}

enum Made {
    Fast(Box<dyn Collector>),
    /// With its deadline.
    Slow(Box<dyn Collector>, Due, Duration),
}

/// What each collector may be told, and what all are (`collector`).
pub static FIELDS: Table<Settings> = Table::new(|| TABLE.iter().flat_map(|row| row.fields).chain(&OF_ALL).collect());

static OF_ALL: [Field<Settings>; 1] = [Field::new(
    "max_series",
    Takes::Whole(1..=1_000_000, |s, series| s.max_series = series as usize),
    DefaultValue::Whole(settings::MAX_SERIES as u64),
    "Series that one collector may give a round; more are refused and counted.",
)];

/// All collectors, in the order in which they run and their metrics are shown.
static TABLE: &[Row] = &[
    Row {
        name: "cpu",
        readings: cpu::READINGS,
        fields: &cpu::FIELDS,
        enabled: |settings| settings.enable_cpu,
        same: |_, _| true,
        build: |parts| Made::Fast(Box::new(cpu::Cpu::new(parts.host))),
    },
    Row {
        name: "memory",
        readings: memory::READINGS,
        fields: &memory::FIELDS,
        enabled: |settings| settings.enable_memory,
        same: |_, _| true,
        build: |parts| Made::Fast(Box::new(memory::Memory::new(parts.host))),
    },
    Row {
        name: "load",
        readings: load::READINGS,
        fields: &load::FIELDS,
        enabled: |settings| settings.enable_load,
        same: |_, _| true,
        build: |parts| Made::Fast(Box::new(load::Load::new(parts.host))),
    },
    Row {
        name: "uptime",
        readings: uptime::READINGS,
        fields: &uptime::FIELDS,
        enabled: |settings| settings.enable_uptime,
        same: |_, _| true,
        build: |parts| Made::Fast(Box::new(uptime::Uptime::new(parts.host))),
    },
    Row {
        name: "disk",
        readings: disk::READINGS,
        fields: &disk::FIELDS,
        enabled: |settings| settings.enable_disk,
        same: |a, b| a.disk == b.disk,
        build: |parts| Made::Fast(Box::new(disk::Disk::new(&parts.settings.disk, parts.host))),
    },
    Row {
        name: "filesystem",
        readings: filesystem::READINGS,
        fields: &filesystem::FIELDS,
        enabled: |settings| settings.enable_disk,
        same: |a, b| a.filesystem == b.filesystem,
        build: |parts| {
            let (statfs, remote) = (Arc::clone(&parts.statfs), Arc::clone(&parts.remote));
            Made::Fast(Box::new(filesystem::Filesystem::new(&parts.settings.filesystem, parts.host, statfs, remote)))
        },
    },
    Row {
        name: "filesystem_remote",
        readings: filesystem::REMOTE_READINGS,
        fields: &[],
        enabled: |settings| settings.enable_disk,
        same: |a, b| a.filesystem == b.filesystem,
        build: |parts| {
            let (statfs, remote) = (Arc::clone(&parts.statfs), Arc::clone(&parts.remote));
            let collector = filesystem::Remote::new(&parts.settings.filesystem, statfs, Arc::clone(&remote));
            let deadline = parts.settings.filesystem.timeout + SPARE;
            Made::Slow(Box::new(collector), Arc::new(move || remote.due()), deadline)
        },
    },
    Row {
        name: "network",
        readings: network::READINGS,
        fields: &network::FIELDS,
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
            Made::Slow(collector, due, deadline) => built.slow.push(NamedSlow { name, collector, due, deadline }),
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

/// What collectors can give, in the table's order, each with the name of its collector.
pub fn readings() -> impl Iterator<Item = (&'static str, &'static Reading)> {
    TABLE.iter().flat_map(|row| row.readings.iter().flat_map(|some| some.iter()).map(|reading| (row.name, reading)))
}

/// The families that collectors can give in `scheme`, each once, in the table's order, with the
/// names of its labels in order.
pub fn families(scheme: Scheme) -> Vec<(Family<'static>, Vec<&'static str>)> {
    let mut families: Vec<(Family<'_>, Vec<&str>)> = Vec::new();
    for face in readings().filter_map(|(_, reading)| reading.face(scheme)) {
        if families.iter().all(|(known, _)| known.name != face.family.name) {
            let mut labels: Vec<&str> = face.labels.iter().map(Label::name).collect();
            labels.sort_unstable();
            families.push((face.family, labels));
        }
    }
    families
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;
    use crate::host::{Scratch, SystemStatFs};
    use crate::model::{Kind, ReadingRef, Recorder};

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
    fn each_scheme_says_of_a_family_one_thing_and_each_series_has_one_reading() {
        for scheme in Scheme::ALL {
            let mut families: HashMap<&str, Family<'_>> = HashMap::new();
            let mut series = HashSet::new();
            for face in readings().filter_map(|(_, reading)| reading.face(scheme)) {
                let Family { name, help, unit, kind } = face.family;
                let first = families.entry(name).or_insert(face.family);
                assert_eq!((first.help, first.unit, first.kind), (help, unit, kind), "{name}");
                let labels: Vec<String> = face.labels.iter().map(|label| format!("{label:?}")).collect();
                assert!(series.insert((name, labels)), "{name} has two readings of the same labels");
                assert!(help.ends_with('.') && !help.contains('\n'), "{name}");
                match scheme {
                    Scheme::Native => {
                        assert!(name.starts_with("system_"), "{name}");
                        assert!(kind != Kind::Counter || name.ends_with("_total"), "{name}");
                    }
                    Scheme::NodeExporter => assert!(name.starts_with("node_"), "{name}"),
                    Scheme::Otel => assert!(name.starts_with("system."), "{name}"),
                }
            }
        }
    }

    #[test]
    fn what_is_given_stands_in_the_table() {
        let named: HashSet<_> = readings().map(|(_, reading)| std::ptr::from_ref(reading)).collect();
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
                    let frame = out.finish(0);
                    for (chunk, values) in frame.parts() {
                        for ((_, reading), value) in chunk.each().zip(values) {
                            let stands = match reading {
                                ReadingRef::Static(reading) => named.contains(&std::ptr::from_ref::<Reading>(reading)),
                                ReadingRef::Shared(_) => true,
                            };
                            assert!(stands, "{reading:?}");
                            assert!(value.is_finite(), "{reading:?}");
                        }
                    }
                }
            }
        }
    }
}
