//! A made-up host whose devices come, change, go and come back, and what each of its states
//! has to be seen as.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::support::kernel::series;

/// xorshift64*, so that a failure can be repeated.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }
}

/// What gives series, and ends as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    Cpu,
    Memory,
    Disk,
    Network,
    Filesystem,
    /// Always there and never torn: says which state a tick has seen.
    Load,
}

impl Source {
    pub const ALL: [Source; 6] =
        [Source::Cpu, Source::Memory, Source::Disk, Source::Network, Source::Filesystem, Source::Load];

    /// Those whose files may be torn, and that have a number which says of which state they are.
    pub const TORN: [Source; 4] = [Source::Cpu, Source::Memory, Source::Disk, Source::Network];

    /// Whose a series of that name is.
    pub fn of(name: &str) -> Source {
        match name.split('_').nth(1).unwrap() {
            "cpu" | "context" | "intr" | "forks" | "procs" => Source::Cpu,
            "memory" => Source::Memory,
            "disk" => Source::Disk,
            "network" => Source::Network,
            "filesystem" => Source::Filesystem,
            area if area.starts_with("load") => Source::Load,
            _ => panic!("nobody gives {name}"),
        }
    }

    /// The series that holds the number of the state.
    pub fn mark(self) -> Option<String> {
        match self {
            Source::Cpu => Some("node_context_switches_total".to_owned()),
            Source::Memory => Some("node_memory_Dirty_bytes".to_owned()),
            Source::Disk => Some(series("node_disk_reads_completed_total", [("device", "d0")])),
            Source::Network => Some(series("node_network_receive_bytes_total", [("device", "lo")])),
            Source::Load => Some("node_load1".to_owned()),
            Source::Filesystem => None,
        }
    }

    /// What the mark's value is for each state.
    pub fn mark_of(self, state: usize) -> f64 {
        state as f64 * if self == Source::Memory { 1024.0 } else { 1.0 }
    }
}

/// A device, core or mount: its name's number, and the state since which it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Thing {
    name: usize,
    since: usize,
}

/// The host at one moment.
#[derive(Clone, Debug, Default)]
pub struct State {
    number: usize,
    torn: [bool; Source::TORN.len()],
    cores: Vec<Thing>,
    keys: Vec<Thing>,
    disks: Vec<Thing>,
    interfaces: Vec<Thing>,
    mount: Option<Thing>,
}

/// How many names there are: of cores, disks and interfaces. Few, so that they come again.
const CORES: usize = 8;
const DISKS: usize = 12;
const INTERFACES: usize = 30;

/// So many interfaces come at once sometimes: beyond 2,000 numbers requests are made in another way.
const FLOOD: usize = 150;

/// Beside those that must be there, or by whose absence a text is known that was cut.
const KEYS: [&str; 8] = ["Unevictable", "Mlocked", "SwapCached", "Active", "Zswap", "Slab", "PageTables", "Bounce"];

const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];

/// What `/proc/diskstats` and `/proc/net/dev` have in a line, and what it is divided by.
const DISK: [(&str, f64); 17] = [
    ("reads_completed_total", 1.0),
    ("reads_merged_total", 1.0),
    ("read_bytes_total", 1.0 / 512.0),
    ("read_time_seconds_total", 1000.0),
    ("writes_completed_total", 1.0),
    ("writes_merged_total", 1.0),
    ("written_bytes_total", 1.0 / 512.0),
    ("write_time_seconds_total", 1000.0),
    ("io_now", 1.0),
    ("io_time_seconds_total", 1000.0),
    ("io_time_weighted_seconds_total", 1000.0),
    ("discards_completed_total", 1.0),
    ("discards_merged_total", 1.0),
    ("discarded_sectors_total", 1.0),
    ("discard_time_seconds_total", 1000.0),
    ("flush_requests_total", 1.0),
    ("flush_requests_time_seconds_total", 1000.0),
];
const NETWORK: [&str; 16] = [
    "receive_bytes",
    "receive_packets",
    "receive_errs",
    "receive_drop",
    "receive_fifo",
    "receive_frame",
    "receive_compressed",
    "receive_multicast",
    "transmit_bytes",
    "transmit_packets",
    "transmit_errs",
    "transmit_drop",
    "transmit_fifo",
    "transmit_colls",
    "transmit_carrier",
    "transmit_compressed",
];

/// What a mount that can be asked gives; its numbers are this machine's.
const FILESYSTEM: [&str; 7] =
    ["size_bytes", "avail_bytes", "free_bytes", "files", "files_free", "readonly", "device_error"];

impl State {
    /// Only what is always there.
    pub fn first() -> State {
        let first = Thing { name: 0, since: 0 };
        State { cores: vec![first], disks: vec![first], interfaces: vec![first], ..State::default() }
    }

    /// What comes next.
    pub fn next(&self, random: &mut Random) -> State {
        let mut next = State { number: self.number + 1, torn: Default::default(), ..self.clone() };
        for torn in &mut next.torn {
            *torn = random.one_in(12);
        }
        let now = next.number;
        for (things, names) in [
            (&mut next.cores, CORES),
            (&mut next.disks, DISKS),
            (&mut next.interfaces, INTERFACES),
            (&mut next.keys, KEYS.len()),
        ] {
            churn(things, names, now, random);
        }
        match random.below(25) {
            0 => {
                let flood = (INTERFACES..INTERFACES + FLOOD).map(|name| Thing { name, since: now });
                next.interfaces.retain(|thing| thing.name < INTERFACES);
                next.interfaces.extend(flood);
            }
            1 | 2 => next.interfaces.retain(|thing| thing.name < INTERFACES),
            _ => {}
        }
        if random.one_in(4) {
            next.mount = (!random.one_in(3)).then(|| Thing { name: random.below(4), since: now });
        }
        next
    }

    /// Counts the states.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Whether nothing can be read of `source`.
    pub fn is_torn(&self, source: Source) -> bool {
        Source::TORN.iter().position(|torn| *torn == source).is_some_and(|at| self.torn[at])
    }

    /// What `source` gives, by series; no number where it is this machine's own.
    pub fn gives(&self, source: Source) -> BTreeMap<String, Option<f64>> {
        let mut all = BTreeMap::new();
        if self.is_torn(source) {
            return all;
        }
        let mut put = |name: &str, labels: &[(&str, &str)], value: f64| {
            all.insert(series(name, labels.iter().copied()), Some(value));
        };
        match source {
            Source::Load => {
                for (name, value) in ["node_load1", "node_load5", "node_load15"].iter().zip(self.loads()) {
                    put(name, &[], value as f64);
                }
            }
            Source::Cpu => {
                for core in &self.cores {
                    let cpu = core.name.to_string();
                    for (column, mode) in MODES.iter().enumerate() {
                        let labels = [("cpu", &*cpu), ("mode", mode)];
                        put("node_cpu_seconds_total", &labels, self.ticks_of(core, column) as f64 / 100.0);
                    }
                    for mode in ["nice", "user"] {
                        put("node_cpu_guest_seconds_total", &[("cpu", &*cpu), ("mode", mode)], 0.0);
                    }
                }
                for (name, value) in ["context_switches_total", "forks_total", "intr_total"].iter().zip(self.counts()) {
                    put(&format!("node_{name}"), &[], value as f64);
                }
                put("node_procs_running", &[], 3.0);
                put("node_procs_blocked", &[], 1.0);
            }
            Source::Memory => {
                for (key, kib) in self.sizes() {
                    put(&format!("node_memory_{key}_bytes"), &[], kib as f64 * 1024.0);
                }
            }
            Source::Disk => {
                for disk in &self.disks {
                    for (column, (name, divisor)) in DISK.iter().enumerate() {
                        let labels = [("device", &*format!("d{}", disk.name))];
                        put(&format!("node_disk_{name}"), &labels, self.number_of(disk, column) as f64 / divisor);
                    }
                }
            }
            Source::Network => {
                for interface in &self.interfaces {
                    for (column, name) in NETWORK.iter().enumerate() {
                        let labels = [("device", &*name_of(interface))];
                        let value = self.number_of(interface, column) as f64;
                        put(&format!("node_network_{name}_total"), &labels, value);
                    }
                }
            }
            Source::Filesystem => {
                if let Some(mount) = &self.mount {
                    let mountpoint = mountpoint(mount);
                    let labels = [("device", "/dev/d0"), ("fstype", "ext4"), ("mountpoint", &*mountpoint)];
                    let names = FILESYSTEM.map(|name| series(&format!("node_filesystem_{name}"), labels));
                    all.extend(names.map(|name| (name, None)));
                }
            }
        }
        all
    }

    /// A number of a thing: that of the state itself in the first column of the first thing,
    /// and of what came back less than it had when it went.
    fn number_of(&self, thing: &Thing, column: usize) -> usize {
        match (thing.name, column) {
            (0, 0) => self.number,
            _ => (self.number - thing.since) * (column + 1) + thing.name * 1000 + column,
        }
    }

    /// The same of a core, which never counts anew: a mode's counter that falls may be held.
    fn ticks_of(&self, core: &Thing, column: usize) -> usize {
        self.number_of(&Thing { since: 0, ..*core }, column)
    }

    fn loads(&self) -> [usize; 3] {
        [self.number, self.number % 7, 5]
    }

    /// Context switches, forks, interrupts.
    fn counts(&self) -> [usize; 3] {
        [self.number, self.number * 3, self.number * 11]
    }

    /// What has to be there, and what may.
    fn sizes(&self) -> Vec<(&'static str, usize)> {
        let mut all = vec![("MemTotal", 16_000_000), ("MemFree", 1000), ("MemAvailable", 9_000_000 - self.number)];
        all.extend(self.keys.iter().map(|key| (KEYS[key.name], 100 + self.number_of(key, 1))));
        all.push(("Dirty", self.number));
        all
    }
}

/// The first thing stays, wherever; of the others some come, go, count anew or change places.
fn churn(things: &mut Vec<Thing>, names: usize, now: usize, random: &mut Random) {
    for _ in 0..random.below(3) {
        let free = (1..names).filter(|name| things.iter().all(|thing| thing.name != *name));
        let new = free.clone().nth(random.below(free.count().max(1))).map(|name| Thing { name, since: now });
        let at = random.below(things.len() + 1);
        let is_first = things.get(at).is_some_and(|thing| thing.name == 0);
        match random.below(9) {
            0..3 => new.into_iter().for_each(|new| things.insert(at, new)),
            3 | 4 if at < things.len() && !is_first => drop(things.remove(at)),
            // Renamed: what comes stands where the other one stood.
            5 if at < things.len() && !is_first => new.into_iter().for_each(|new| things[at] = new),
            // Back at once under its old name.
            6 if at < things.len() && !is_first => things[at].since = now,
            7 if at < things.len() => things.swap(0, at),
            8 => things.reverse(),
            _ => {}
        }
    }
}

fn name_of(interface: &Thing) -> String {
    if interface.name == 0 { "lo".to_owned() } else { format!("if{}", interface.name) }
}

fn mountpoint(mount: &Thing) -> String {
    format!("/mnt/{}", mount.name)
}

/// The root below which the files of a state lie.
pub struct Root {
    path: PathBuf,
    device: u64,
}

impl Root {
    pub fn new(path: &Path) -> Root {
        fs::create_dir_all(path.join("proc/1/net")).unwrap();
        (0..4).for_each(|at| fs::create_dir_all(path.join(format!("mnt/{at}"))).unwrap());
        fs::create_dir_all(path.join("sys")).unwrap();
        Root { path: path.to_owned(), device: fs::metadata(path).unwrap().dev() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes all files in place, since whoever reads them keeps them open. Nobody may read meanwhile.
    pub fn write(&self, state: &State, random: &mut Random) {
        let join = |numbers: Vec<usize>| numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(" ");
        let numbers = |thing: &Thing, count| join((0..count).map(|column| state.number_of(thing, column)).collect());
        let [ctxt, forks, intr] = state.counts();
        let mut stat = "cpu 1 1 1 1 1 1 1 1 0 0\n".to_owned();
        for core in &state.cores {
            let ticks = join((0..MODES.len()).map(|column| state.ticks_of(core, column)).collect());
            stat += &format!("cpu{} {ticks} 0 0\n", core.name);
        }
        stat += &format!("intr {intr} 0 0\nctxt {ctxt}\nbtime 1700000000\nprocesses {forks}\n");
        stat += "procs_running 3\nprocs_blocked 1\nsoftirq 0 0\n";
        let memory: String = state.sizes().iter().map(|(key, kib)| format!("{key}: {kib} kB\n")).collect();
        let disks = state.disks.iter().map(|disk| format!("8 {0} d{0} {1}\n", disk.name, numbers(disk, DISK.len())));
        let mut net = "Inter-| Receive | Transmit\n face |bytes packets|bytes\n".to_owned();
        for interface in &state.interfaces {
            net += &format!("{}: {}\n", name_of(interface), numbers(interface, NETWORK.len()));
        }
        for (source, file, text) in [
            (Source::Cpu, "stat", stat),
            (Source::Memory, "meminfo", memory),
            (Source::Disk, "diskstats", disks.collect()),
            (Source::Network, "1/net/dev", net),
        ] {
            let text = if state.is_torn(source) { torn(&text, random) } else { &text };
            self.put(file, text);
        }
        let [one, five, fifteen] = state.loads();
        self.put("loadavg", &format!("{one}.00 {five}.00 {fifteen}.00 1/100 4242\n"));
        let (major, minor) = (nix::sys::stat::major(self.device), nix::sys::stat::minor(self.device));
        let mount = state
            .mount
            .iter()
            .map(|mount| format!("30 22 {major}:{minor} / {} rw - ext4 /dev/d0 rw\n", mountpoint(mount)));
        self.put("1/mountinfo", &format!("22 1 0:20 / /sys rw - sysfs sysfs rw\n{}", mount.collect::<String>()));
    }

    fn put(&self, file: &str, text: &str) {
        let path = self.path.join("proc").join(file);
        let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.set_len(text.len() as u64).unwrap();
    }
}

/// A beginning of `text` that does not end with a line.
fn torn<'t>(text: &'t str, random: &mut Random) -> &'t str {
    let cut = 1 + random.below(text.len() - 1);
    text[..cut].trim_end_matches('\n')
}
