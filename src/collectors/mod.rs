//! The collectors, one file each, and the one ordered table of them all.
//!
//! A new collector is a file here and its line in `TABLE`.

mod collector;
pub mod cpu;
mod definition;
pub mod disk;
pub mod entropy;
mod fields;
pub mod filesystem;
mod filter;
mod gpu;
pub mod hwmon;
mod keyed;
mod keys;
pub mod load;
pub mod memory;
pub mod netstat;
pub mod network;
mod parse;
mod partial;
pub mod pressure;
mod settings;
#[cfg(test)]
mod testing;
pub mod uptime;
pub mod vmstat;

use std::sync::Arc;
use std::time::Duration;

use self::definition::{Parts, Shared};
use crate::host::{HostPaths, StatFs};
use crate::model::{Face, Family, Labels, Reading, ReadingRef, Scheme};

pub use collector::{CollectError, Collector, Due, Tick};
pub use definition::{Definition, Made};
pub use fields::FIELDS;
pub use filter::{Filter, Pattern};
pub use parse::ParseError;
pub use settings::{Given, Preset, Settings};

/// All collectors, in the order in which they run and their metrics are shown.
static TABLE: &[&Definition] = &[
    &cpu::DEFINITION,
    &memory::DEFINITION,
    &load::DEFINITION,
    &uptime::DEFINITION,
    &disk::DEFINITION,
    &filesystem::DEFINITION,
    &filesystem::REMOTE,
    &network::DEFINITION,
    &entropy::DEFINITION,
    &pressure::DEFINITION,
    &netstat::DEFINITION,
    &vmstat::DEFINITION,
    &hwmon::DEFINITION,
    &gpu::DEFINITION,
];

/// What is to be known of a collector that is on, to run it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// As `/health` and the logs call it.
    pub name: &'static str,
    /// Time between two of its rounds; none: it is called in each.
    pub interval: Option<Duration>,
    /// Labels of all its series.
    pub labels: Labels,
}

/// A collector that answers at once, to be called on the beat.
pub struct Named {
    /// What is to be known of it.
    pub plan: Plan,
    /// The collector.
    pub collector: Box<dyn Collector>,
}

/// A collector that may hang, to be called on a thread of its own.
pub struct NamedSlow {
    /// What is to be known of it.
    pub plan: Plan,
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
        self.fast.iter().map(|named| named.plan.name).chain(self.slow.iter().map(|named| named.plan.name))
    }

    /// Forgets those that are named.
    pub fn leave_out(&mut self, names: &[&str]) {
        self.fast.retain(|named| !names.contains(&named.plan.name));
        self.slow.retain(|named| !names.contains(&named.plan.name));
    }
}

/// Builds the collectors that `settings` ask for. Reads nothing yet.
pub fn build(settings: &Settings, host: &HostPaths, statfs: Arc<dyn StatFs>) -> Built {
    let parts = Parts { settings, host, statfs, shared: Shared::default() };
    let mut built = Built { fast: Vec::new(), slow: Vec::new() };
    for definition in TABLE.iter().filter(|definition| definition.is_on(settings)) {
        let given = settings.given(definition.section_name());
        let plan = Plan {
            name: definition.name,
            interval: given.and_then(|given| given.interval),
            labels: given.map_or(Labels::EMPTY, Given::labels),
        };
        match (definition.build)(&parts) {
            Made::Fast(collector) => built.fast.push(Named { plan, collector }),
            Made::Slow(collector, due, deadline) => built.slow.push(NamedSlow { plan, collector, due, deadline }),
        }
    }
    built
}

/// The names of the collectors that `a` and `b` both ask for, and to which they say the same.
pub fn unchanged<'a>(a: &'a Settings, b: &'a Settings) -> impl Iterator<Item = &'static str> + 'a {
    let all = TABLE.iter().filter(|_| a.max_series == b.max_series);
    all.filter(|one| one.is_on(a) && one.is_on(b) && one.is_same(a, b)).map(|one| one.name)
}

/// All collectors, in the table's order.
pub fn definitions() -> impl Iterator<Item = &'static Definition> {
    TABLE.iter().copied()
}

/// The names of all collectors, in the table's order.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|definition| definition.name)
}

/// What built-in readings a collector has.
fn built_in(definition: &Definition) -> impl Iterator<Item = &'static Reading> + use<> {
    definition.readings.iter().flat_map(|some| some.iter())
}

/// Everything that a collector can give, of keys those that kernels are known to have.
pub fn readings_of(definition: &Definition) -> Vec<ReadingRef> {
    built_in(definition)
        .map(ReadingRef::Static)
        .chain((definition.keys)().into_iter().map(|key| ReadingRef::Shared(Arc::new(key))))
        .collect()
}

/// The families of built-in names that collectors can give in `scheme`, each once, in the table's
/// order, with the names of its labels in order.
pub fn families(scheme: Scheme) -> Vec<(Family<'static>, Vec<&'static str>)> {
    families_where(scheme, &|_| true)
}

/// The same of the collectors of `preset` that no smaller one has.
pub fn families_of(scheme: Scheme, preset: Preset) -> Vec<(Family<'static>, Vec<&'static str>)> {
    families_where(scheme, &|definition| definition.preset == Some(preset))
}

fn families_where(scheme: Scheme, is_one: &dyn Fn(&Definition) -> bool) -> Vec<(Family<'static>, Vec<&'static str>)> {
    let mut families: Vec<(Family<'_>, Vec<&str>)> = Vec::new();
    let readings = definitions().filter(|definition| is_one(definition)).flat_map(built_in);
    for Face { family, labels, .. } in readings.filter_map(|reading| reading.face(scheme)) {
        if families.iter().all(|(known, _)| known.name != family.name) {
            let mut labels: Vec<&str> = labels.iter().map(|label| label.name()).collect();
            labels.sort_unstable();
            families.push((family, labels));
        }
    }
    families
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::filesystem::FilesystemSettings;
    use super::testing::{fixture, have_fixtures};
    use super::*;
    use crate::host::{Scratch, SystemStatFs};
    use crate::model::{Kind, ReadingRef, Recorder};

    #[test]
    fn the_table_builds_what_the_settings_ask_for() {
        let names = |settings: &Settings| {
            let built = build(settings, &HostPaths::default(), Arc::new(SystemStatFs));
            let fast: Vec<_> = built.fast.iter().map(|fast| fast.plan.name).collect();
            let slow: Vec<_> = built.slow.iter().map(|slow| slow.plan.name).collect();
            (fast, slow)
        };
        let (fast, slow) = names(&Settings::default());
        assert_eq!(fast, ["cpu", "memory", "load", "uptime", "disk", "filesystem", "network"]);
        assert_eq!(slow, ["filesystem_remote"]);
        let switched = |preset, switches: &[(&'static str, bool)]| {
            let mut settings = Settings { preset, ..Settings::default() };
            switches.iter().for_each(|(name, on)| settings.switch(name, *on));
            names(&settings)
        };
        let (fast, slow) = switched(Preset::Basic, &[("disk", false), ("load", false)]);
        assert_eq!(fast, ["cpu", "memory", "uptime", "network"], "the space of file systems goes with the disks");
        assert!(slow.is_empty());
        let (fast, slow) = switched(Preset::Basic, &[("disk", false), ("filesystem", true), ("cpu", false)]);
        assert_eq!(fast, ["memory", "load", "uptime", "filesystem", "network"]);
        assert_eq!(slow, ["filesystem_remote"]);
        assert_eq!(switched(Preset::None, &[("load", true)]).0, ["load"]);
        assert!(switched(Preset::None, &[]).0.is_empty());
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
        let given = |name, change: fn(&mut Given)| {
            let mut settings = default();
            change(settings.give(name));
            unchanged(settings)
        };
        assert_eq!(given("cpu", |cpu| cpu.on = Some(false)), without(&["cpu"]));
        assert_eq!(given("cpu", |cpu| cpu.on = Some(true)), all, "it was on before");
        assert_eq!(given("cpu", |cpu| cpu.interval = Some(Duration::from_secs(60))), without(&["cpu"]));
        let disk = |disk: &mut Given| disk.own::<disk::Disks>().0 = Filter::excluding(&["x"]);
        assert_eq!(given("disk", disk), without(&["disk"]));
        let network = |network: &mut Given| network.own::<network::Interfaces>().0 = Filter::excluding(&["x"]);
        assert_eq!(given("network", network), without(&["network"]));
        let timeout = |given: &mut Given| given.own::<FilesystemSettings>().timeout = Duration::from_secs(1);
        // The two share what one of them finds, so they stay or go together.
        assert_eq!(given("filesystem", timeout), without(&["filesystem", "filesystem_remote"]));
    }

    #[test]
    fn each_scheme_says_of_a_family_one_thing_and_each_series_has_one_reading() {
        for scheme in Scheme::ALL {
            let mut families: HashMap<&str, Family<'_>> = HashMap::new();
            let mut series = HashSet::new();
            for face in definitions().flat_map(built_in).filter_map(|reading| reading.face(scheme)) {
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
                    // GPUs have the names of NVIDIA's exporter.
                    Scheme::NodeExporter => {
                        assert!(["node_", "DCGM_FI_"].iter().any(|begins| name.starts_with(begins)), "{name}");
                    }
                    Scheme::Otel => {
                        assert!(["system.", "hw."].iter().any(|begins| name.starts_with(begins)), "{name}");
                    }
                }
            }
        }
    }

    /// The readings that the fast collectors of `host` gave, by collector. One may lack its file there.
    fn given(host: &HostPaths) -> Vec<(&'static str, Vec<(ReadingRef, f64)>)> {
        let mut built = build(&Settings::default(), host, Arc::new(SystemStatFs));
        let tick = Tick { wall_ms: 0, monotonic: Duration::ZERO };
        let mut scratch = Scratch::new();
        let mut all = Vec::new();
        for fast in &mut built.fast {
            let mut out = Recorder::new(fast.plan.name, 10_000);
            fast.collector.prime(&tick, &mut scratch);
            if let Err(error) = fast.collector.collect(&tick, &mut scratch, &mut out) {
                println!("{}: {error}", fast.plan.name);
                continue;
            }
            let frame = out.finish(0);
            let each = frame.parts().flat_map(|(chunk, values)| {
                chunk.each().zip(values).map(|((_, reading), value)| (reading.clone(), *value)).collect::<Vec<_>>()
            });
            all.push((fast.plan.name, each.collect()));
        }
        all
    }

    #[test]
    fn what_is_given_stands_in_the_table() {
        let named: HashSet<_> = definitions().flat_map(built_in).map(std::ptr::from_ref).collect();
        let mut hosts = vec![HostPaths::default()];
        if have_fixtures() {
            hosts.push(fixture("vm"));
        }
        let mut seen = HashSet::new();
        for (collector, readings) in hosts.iter().flat_map(given) {
            for (reading, value) in &readings {
                let stands = match reading {
                    ReadingRef::Static(reading) => named.contains(&std::ptr::from_ref::<Reading>(reading)),
                    ReadingRef::Shared(_) => true,
                };
                assert!(stands, "{reading:?}");
                assert!(value.is_finite(), "{reading:?}");
                seen.insert(collector);
            }
        }
        // A sandbox may lack a file, or have none of a thing; the fixture has them.
        let mut all = ["cpu", "memory", "load", "uptime", "disk", "network"].iter();
        assert!(all.all(|collector| seen.contains(collector)), "{seen:?}");
    }
}
