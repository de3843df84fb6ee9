//! Memory and swap, from `/proc/meminfo`.

use super::collector::{CollectError, Collector, Tick};
use super::definition::{Definition, Made};
use super::keys::{self, Keys};
use super::parse::{ParseError, fields, find, lines, whole};
use super::settings::Preset;
use crate::host::{HostPaths, KernelFile, Scratch};
use crate::model::{Family, Item, Kind, Label, Learnt, Reading, Recorder, Scheme, Writer, face};

static TOTAL: Reading = Reading {
    native: face(&Family::gauge("system_memory_total_bytes", "bytes", "Memory that the kernel can use."), &[]),
    node: None,
    otel: None,
};
static USED: Reading = Reading {
    native: face(&Family::gauge("system_memory_used_bytes", "bytes", "Total less available memory."), &[]),
    node: None,
    otel: None,
};
static AVAILABLE: Reading = Reading {
    native: face(
        &Family::gauge(
            "system_memory_available_bytes",
            "bytes",
            "Memory that programs can have without swapping: free, and what caches would give back.",
        ),
        &[],
    ),
    node: None,
    otel: None,
};
static USAGE: Reading = Reading {
    native: face(&Family::gauge("system_memory_usage_percent", "percent", "Share of the memory that is used."), &[]),
    node: None,
    otel: None,
};
static SWAP_TOTAL: Reading = Reading {
    native: face(&Family::gauge("system_swap_total_bytes", "bytes", "Size of all swap areas."), &[]),
    node: None,
    otel: None,
};
static SWAP_USED: Reading = Reading {
    native: face(&Family::gauge("system_swap_used_bytes", "bytes", "Swap that is in use."), &[]),
    node: None,
    otel: None,
};
static SWAP_USAGE: Reading = Reading {
    native: face(
        &Family::gauge(
            "system_swap_usage_percent",
            "percent",
            "Share of the swap that is in use; 0 where there is none.",
        ),
        &[],
    ),
    node: None,
    otel: None,
};

/// OpenTelemetry's states, in the order of [`MemInfo::states`].
static STATES: [Reading; 6] = [
    state(&[Label::constant("state", "used")]),
    state(&[Label::constant("state", "free")]),
    state(&[Label::constant("state", "buffered")]),
    state(&[Label::constant("state", "cached")]),
    state(&[Label::constant("state", "slab_reclaimable")]),
    state(&[Label::constant("state", "slab_unreclaimable")]),
];

const fn state(labels: &'static [Label<'static>]) -> Reading {
    const USAGE: Family = Family::new(Kind::UpDown, "system.memory.usage", "By", "Memory by what it is used for.");
    Reading { native: None, node: None, otel: face(&USAGE, labels) }
}

/// The keys that kernels have, in their order, for the documentation: which ones a host's kernel has is seen there.
/// Those in the second list are numbers of pages, all others sizes.
const KNOWN_KEYS: [&str; 2] = [
    "MemTotal MemFree MemAvailable Buffers Cached SwapCached Active Inactive Active(anon) Inactive(anon) Active(file) \
     Inactive(file) Unevictable Mlocked HighTotal HighFree LowTotal LowFree MmapCopy SwapTotal SwapFree Zswap Zswapped \
     Dirty Writeback AnonPages Mapped Shmem KReclaimable Slab SReclaimable SUnreclaim KernelStack ShadowCallStack \
     PageTables SecPageTables NFS_Unstable Bounce WritebackTmp CommitLimit Committed_AS VmallocTotal VmallocUsed \
     VmallocChunk Percpu EarlyMemtestBad HardwareCorrupted AnonHugePages ShmemHugePages ShmemPmdMapped FileHugePages \
     FilePmdMapped CmaTotal CmaFree Unaccepted Balloon Hugepagesize Hugetlb DirectMap4k DirectMap2M DirectMap4M \
     DirectMap1G",
    "HugePages_Total HugePages_Free HugePages_Rsvd HugePages_Surp",
];

/// What node_exporter makes of a key: `Active(anon)` in kB is `node_memory_Active_anon_bytes`; a plain number has no unit.
fn key(name: &[u8], is_size: u8) -> Option<Learnt> {
    let clean = keys::clean(name.strip_suffix(b")").unwrap_or(name));
    let suffix = if is_size == SIZE { "_bytes" } else { "" };
    let family = format!("node_memory_{clean}{suffix}");
    let help = format!("{} of the kernel's meminfo.", name.escape_ascii());
    Some(Learnt::new(Scheme::NodeExporter, Family::gauge(&family, "", &help), &[]))
}

/// How a number is written in the file: with `kB` behind it, which means 1024 bytes, or alone.
const SIZE: u8 = 1;
const PLAIN: u8 = 0;

/// node_exporter's families of the keys that kernels have.
fn known_keys() -> Vec<Learnt> {
    let of =
        |kind, list: &str| list.split_whitespace().filter_map(|name| key(name.as_bytes(), kind)).collect::<Vec<_>>();
    let [sizes, plain] = KNOWN_KEYS;
    [of(SIZE, sizes), of(PLAIN, plain)].concat()
}

/// Everything this collector may give, but for the families of keys.
static READINGS: &[&[Reading]] = &[
    std::slice::from_ref(&TOTAL),
    std::slice::from_ref(&USED),
    std::slice::from_ref(&AVAILABLE),
    std::slice::from_ref(&USAGE),
    std::slice::from_ref(&SWAP_TOTAL),
    std::slice::from_ref(&SWAP_USED),
    std::slice::from_ref(&SWAP_USAGE),
    &STATES,
];

/// What it says about itself.
pub static DEFINITION: Definition = Definition {
    name: "memory",
    switch: "enable_memory",
    about: "Memory and swap.",
    note: "on kernels without `MemAvailable` it is estimated from free, buffers, cached, reclaimable slab and shared memory",
    preset: Some(Preset::Basic),
    reads: &["/proc/meminfo"],
    readings: READINGS,
    keys: known_keys,
    build: |parts| Made::Fast(Box::new(Memory::new(parts.host))),
    ..Definition::PLAIN
};

/// The collector.
#[derive(Debug)]
pub struct Memory {
    file: KernelFile,
    host: Item,
    keys: Keys,
    /// Which fields the file had in the last round.
    had: [bool; FIELDS],
}

impl Memory {
    /// Reads `/proc/meminfo` of `host`.
    pub fn new(host: &HostPaths) -> Memory {
        Memory {
            file: KernelFile::new(host.proc("meminfo")).in_one_piece(),
            host: Item::new(&[]),
            keys: Keys::new("memory", key),
            had: [false; FIELDS],
        }
    }
}

impl Collector for Memory {
    fn collect(&mut self, _tick: &Tick, scratch: &mut Scratch, out: &mut Recorder) -> Result<(), CollectError> {
        let text = self.file.read(scratch).map_err(CollectError::of_required)?;
        let memory = parse(text).map_err(|error| error.of(self.file.path()))?;
        // No kernel forgets a field while it runs. Where the host has become another one, the next
        // round shows it.
        let had = std::mem::replace(&mut self.had, memory.has());
        if had.iter().zip(self.had).any(|(had, has)| *had && !has) {
            let what = "the file ends without fields that it had; it was cut".to_owned();
            return Err(ParseError { line: lines(text).count(), what }.of(self.file.path()));
        }
        let mut host = out.item(&self.host);
        emit(&memory, &mut host);
        emit_keys(&mut self.keys, text, &mut host);
        Ok(())
    }
}

fn emit(memory: &MemInfo, out: &mut Writer<'_>) {
    out.push(&TOTAL, memory.total as f64);
    if let (Some(used), Some(available)) = (memory.used(), memory.available()) {
        out.push(&USED, used as f64);
        out.push(&AVAILABLE, available as f64);
        if memory.total > 0 {
            out.push(&USAGE, used as f64 / memory.total as f64 * 100.0);
        }
    }
    if let Some(total) = memory.swap_total {
        out.push(&SWAP_TOTAL, total as f64);
        if let Some(free) = memory.swap_free {
            let used = total.saturating_sub(free);
            out.push(&SWAP_USED, used as f64);
            let percent = if total > 0 { used as f64 / total as f64 * 100.0 } else { 0.0 };
            out.push(&SWAP_USAGE, percent);
        }
    }
    for (reading, bytes) in STATES.iter().zip(memory.states()) {
        if let Some(bytes) = bytes {
            out.push(reading, bytes as f64);
        }
    }
}

/// Pushes each line's number in node_exporter's names. A line that is not `key: number [kB]` is passed over.
fn emit_keys(keys: &mut Keys, text: &[u8], out: &mut Writer<'_>) {
    keys.begin();
    for (_, line) in lines(text) {
        let Some(colon) = find(line, b':') else { continue };
        let mut behind = fields(&line[colon + 1..]);
        let Some(Ok(number)) = behind.number() else { continue };
        let is_size = behind.next() == Some(b"kB");
        let (kind, number) = if is_size { (SIZE, number.saturating_mul(1024)) } else { (PLAIN, number) };
        keys.push(&line[..colon], kind, number as f64, out);
    }
    keys.end();
}

/// What is needed of `/proc/meminfo`, in bytes. A field that the kernel does not give is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct MemInfo {
    pub total: u64,
    pub available: Option<u64>,
    pub free: Option<u64>,
    pub buffers: Option<u64>,
    pub cached: Option<u64>,
    pub reclaimable: Option<u64>,
    pub unreclaimable: Option<u64>,
    pub shared: Option<u64>,
    pub swap_total: Option<u64>,
    pub swap_free: Option<u64>,
}

/// How many of [`MemInfo`]'s fields a kernel may lack.
const FIELDS: usize = 9;

impl MemInfo {
    /// Which of them are there.
    fn has(&self) -> [bool; FIELDS] {
        [
            self.available,
            self.free,
            self.buffers,
            self.cached,
            self.reclaimable,
            self.unreclaimable,
            self.shared,
            self.swap_total,
            self.swap_free,
        ]
        .map(|field| field.is_some())
    }

    /// What programs can have without swapping. Kernels before 3.14 do not say, and then it
    /// is free memory and caches, without shared memory, which counts as cache but can't be
    /// dropped. Without any line of
    /// the slab's parts, the first ones behind the caches, nothing is known: the file may have been cut.
    pub fn available(&self) -> Option<u64> {
        self.available.or_else(|| {
            if self.reclaimable.is_none() && self.unreclaimable.is_none() {
                return None;
            }
            let caches = self.cached?.saturating_add(self.reclaimable.unwrap_or(0));
            // OpenVZ shows no buffers.
            let caches = caches.saturating_add(self.buffers.unwrap_or(0));
            Some(self.free?.saturating_add(caches).saturating_sub(self.shared.unwrap_or(0)).min(self.total))
        })
    }

    /// What is not available. In some containers the total comes from another place, and
    /// available is the larger.
    pub fn used(&self) -> Option<u64> {
        Some(self.total.saturating_sub(self.available()?))
    }

    /// As the OpenTelemetry Collector divides it: used, free, buffered, cached, and the slab's
    /// two parts. What of the slab can be reclaimed is in cached as well, and used is what is
    /// not available, so these do not add up to the total.
    pub fn states(&self) -> [Option<u64>; 6] {
        let cached = self.cached.map(|cached| cached.saturating_add(self.reclaimable.unwrap_or(0)));
        [self.used(), self.free, self.buffers, cached, self.reclaimable, self.unreclaimable]
    }
}

/// The fields named here, of many:
///
/// ```text
/// MemTotal:       32858820 kB
/// MemFree:        21001236 kB
/// MemAvailable:   27214312 kB
/// HugePages_Total:       0
/// ```
///
/// See <https://www.kernel.org/doc/html/latest/filesystems/proc.html#meminfo>. "kB" means
/// 1024 bytes. Lines that are not needed are not looked at; a needed one that is not
/// understood makes the whole text an error, one that is missing only what depends on it,
/// unless it is MemTotal.
///
/// A text that was cut at the end of a line passes for one of a kernel that knows fewer fields;
/// [`Memory`] notices that by what the file had before.
pub fn parse(text: &[u8]) -> Result<MemInfo, ParseError> {
    let mut info = MemInfo::default();
    let mut total = None;
    let mut last = 1;
    for (line, content) in lines(whole(text)?) {
        last = line;
        let Some(colon) = find(content, b':') else { continue };
        let (name, rest) = content.split_at(colon);
        let field = match name {
            b"MemTotal" => &mut total,
            b"MemAvailable" => &mut info.available,
            b"MemFree" => &mut info.free,
            b"Buffers" => &mut info.buffers,
            b"Cached" => &mut info.cached,
            b"SReclaimable" => &mut info.reclaimable,
            b"SUnreclaim" => &mut info.unreclaimable,
            b"Shmem" => &mut info.shared,
            b"SwapTotal" => &mut info.swap_total,
            b"SwapFree" => &mut info.swap_free,
            _ => continue,
        };
        let mut words = fields(&rest[1..]);
        *field = match (words.number(), words.next()) {
            (Some(Ok(kib)), Some(b"kB")) => Some(kib.saturating_mul(1024)),
            _ => return Err(ParseError::expected(line, "a size in kB", content)),
        };
    }
    info.total = total.ok_or_else(|| ParseError { line: last, what: "the file ends without MemTotal".to_owned() })?;
    Ok(info)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        Folder, collect, collect_as, cut_everywhere, fixture, have_fixtures, owned, samples, value,
    };
    use super::*;
    use crate::model::Scheme;

    /// What is emitted of `text` and of the lines that end every kernel's file.
    fn seen(text: &str) -> Vec<(String, f64)> {
        let info = parse(format!("{text}Dirty: 9 kB\nSUnreclaim: 9 kB\n").as_bytes()).unwrap();
        samples(|out| emit(&info, &mut out.item(&Item::new(&[]))))
    }

    #[test]
    fn used_is_total_less_available() {
        let seen = seen(
            "MemTotal:  1000 kB\nMemFree:  100 kB\nMemAvailable:  250 kB\nBuffers: 1 kB\nCached: 2 kB\n\
             HugePages_Total:       0\nSwapTotal:  400 kB\nSwapFree:  300 kB\nNewField: x\n",
        );
        let expected = [
            ("system_memory_total_bytes", 1_024_000.0),
            ("system_memory_used_bytes", 768_000.0),
            ("system_memory_available_bytes", 256_000.0),
            ("system_memory_usage_percent", 75.0),
            ("system_swap_total_bytes", 409_600.0),
            ("system_swap_used_bytes", 102_400.0),
            ("system_swap_usage_percent", 25.0),
        ];
        assert_eq!(seen, expected.map(|(name, value)| (name.to_owned(), value)));
    }

    #[test]
    fn an_old_kernel_does_not_say_what_is_available() {
        // 100 + 20 + 300 + 50 - 70 = 400 kB.
        let new =
            "MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 20 kB\nCached: 300 kB\nShmem: 70 kB\nSReclaimable: 50 kB\n";
        assert_eq!(value(&seen(new), "system_memory_available_bytes"), Some(409_600.0));
        assert_eq!(value(&seen(new), "system_memory_used_bytes"), Some(614_400.0));
        // A container's runtime may leave out shared memory and the slab's parts: 420 kB.
        let old = "MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 20 kB\nCached: 300 kB\n";
        assert_eq!(value(&seen(old), "system_memory_available_bytes"), Some(430_080.0));
    }

    /// The file of an OpenVZ container.
    #[test]
    fn a_container_without_buffers_has_what_is_available() {
        let text = "MemTotal:        6291456 kB\nMemFree:         1840024 kB\nCached:          3320736 kB\n\
                    SwapTotal:       6291456 kB\nSwapFree:        6291368 kB\nDirty:              2900 kB\n\
                    Shmem:              2624 kB\nSlab:              57912 kB\nSReclaimable:      41924 kB\n\
                    SUnreclaim:        15988 kB\n";
        let info = parse(text.as_bytes()).unwrap();
        // 1840024 + 3320736 + 41924 - 2624 = 5200060 kB.
        assert_eq!(info.available(), Some(5_324_861_440));
        let seen = samples(|out| emit(&info, &mut out.item(&Item::new(&[]))));
        assert_eq!(value(&seen, "system_memory_used_bytes"), Some(1_117_589_504.0));
    }

    /// What each of `texts` gives in node_exporter's names, without what ends every file.
    fn of_keys(texts: &[&str]) -> Vec<Vec<(String, f64)>> {
        let folder = Folder::new("memory-keys");
        let mut memory = Memory::new(&folder.host());
        let read = |text: &&str| {
            folder.write("proc/meminfo", format!("{text}MemTotal: 9 kB\nDirty: 9 kB\nSUnreclaim: 9 kB\n"));
            let mut seen = collect_as(Scheme::NodeExporter, &mut memory);
            seen.truncate(seen.len() - 3);
            seen
        };
        texts.iter().map(read).collect()
    }

    #[test]
    fn keys_that_are_new_to_us_are_named_like_the_others() {
        let text = "Brand(new): 2 kB\nBrand_New: 3\nHugePages_Total: 4 kB\nOdd-Key%: 5 kB\nNone: x\nActive(anon): 6\n";
        let expected = [
            ("node_memory_Brand_new_bytes", 2048.0),
            ("node_memory_Brand_New", 3.0),
            ("node_memory_HugePages_Total_bytes", 4096.0),
            ("node_memory_Odd_Key__bytes", 5120.0),
            ("node_memory_Active_anon", 6.0),
        ];
        assert_eq!(of_keys(&[text, text]), [owned(&expected), owned(&expected)]);
    }

    #[test]
    fn lines_that_hold_no_key_or_no_number_are_passed_over_and_the_next_ones_are_not() {
        let text = "no colon 7 kB\n\nEmpty:\nBlank:  \nWord: x 7\nCut: 7kB\nMinus: -7\nHuge: 99999999999999999999 kB\n\
                    Tab:\t7\tkB\nTwo: 7 8 kB\nTight:7\n";
        let expected = [("node_memory_Tab_bytes", 7168.0), ("node_memory_Two", 7.0), ("node_memory_Tight", 7.0)];
        assert_eq!(of_keys(&[text, text]), [owned(&expected), owned(&expected)]);
    }

    #[test]
    fn of_keys_with_one_name_the_first_is_given() {
        let twice = "New(a): 1 kB\nActive: 2 kB\nNew_a: 3 kB\nActive: 4 kB\n";
        let first = owned(&[("node_memory_New_a_bytes", 1024.0), ("node_memory_Active_bytes", 2048.0)]);
        let later = owned(&[("node_memory_New_a_bytes", 3072.0)]);
        assert_eq!(of_keys(&[twice, twice, "New_a: 3 kB\n", twice]), [first.clone(), first.clone(), later, first]);
    }

    #[test]
    fn every_key_of_the_fixture_hosts_is_known() {
        if !have_fixtures() {
            return;
        }
        for host in ["vm", "numa64", "container-v1", "old-kernel", "arm-board"] {
            for line in std::fs::read_to_string(fixture(host).proc("meminfo")).unwrap().lines() {
                let (key, rest) = line.split_once(':').unwrap();
                let [sizes, plain] = KNOWN_KEYS;
                let known = if rest.ends_with("kB") { sizes } else { plain };
                assert!(known.split_whitespace().any(|known| known == key), "{host}: {line}");
            }
        }
    }

    #[test]
    fn each_scheme_has_its_names() {
        if !have_fixtures() {
            return;
        }
        let node = collect_as(Scheme::NodeExporter, &mut Memory::new(&fixture("vm")));
        let expected = [
            ("node_memory_MemTotal_bytes", 4_121_952_256.0),
            ("node_memory_MemFree_bytes", 629_145_600.0),
            ("node_memory_MemAvailable_bytes", 2_473_590_784.0),
            ("node_memory_Buffers_bytes", 167_772_160.0),
            ("node_memory_Active_anon_bytes", 209_715_200.0),
            ("node_memory_Committed_AS_bytes", 3_355_443_200.0),
            ("node_memory_NFS_Unstable_bytes", 0.0),
            ("node_memory_VmallocTotal_bytes", 35_184_372_087_808.0),
            ("node_memory_HugePages_Total", 0.0),
            ("node_memory_Hugepagesize_bytes", 2_097_152.0),
            ("node_memory_DirectMap4k_bytes", 241_172_480.0),
        ];
        for (name, bytes) in expected {
            assert_eq!(value(&node, name), Some(bytes), "{name}");
        }
        assert_eq!(node.len(), 54);
        let numa = collect_as(Scheme::NodeExporter, &mut Memory::new(&fixture("numa64")));
        assert_eq!(value(&numa, "node_memory_HugePages_Total"), Some(102_400.0));
        let otel = [
            ("system.memory.usage{state=used}", 1_648_361_472.0),
            ("system.memory.usage{state=free}", 629_145_600.0),
            ("system.memory.usage{state=buffered}", 167_772_160.0),
            // 1843200 + 122880 kB.
            ("system.memory.usage{state=cached}", 2_013_265_920.0),
            ("system.memory.usage{state=slab_reclaimable}", 125_829_120.0),
            ("system.memory.usage{state=slab_unreclaimable}", 83_886_080.0),
        ];
        assert_eq!(collect_as(Scheme::Otel, &mut Memory::new(&fixture("vm"))), owned(&otel));
    }

    #[test]
    fn what_depends_on_a_missing_field_is_left_out() {
        let names = |text| seen(text).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names("MemTotal: 1000 kB\nMemFree: 1 kB\n"), ["system_memory_total_bytes"]);
        assert_eq!(
            names("MemTotal: 1000 kB\nSwapTotal: 5 kB\n"),
            ["system_memory_total_bytes", "system_swap_total_bytes"]
        );
        let error = parse(b"MemFree: 1 kB\nMemAvailable: 1 kB\n").unwrap_err();
        assert_eq!(error.to_string(), "line 2: the file ends without MemTotal");
    }

    #[test]
    fn without_swap_its_usage_is_zero() {
        let seen = seen("MemTotal: 1 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n");
        assert_eq!(value(&seen, "system_swap_usage_percent"), Some(0.0));
        assert_eq!(value(&seen, "system_swap_used_bytes"), Some(0.0));
    }

    #[test]
    fn used_never_goes_below_zero() {
        let seen = seen("MemTotal: 10 kB\nMemAvailable: 20 kB\nSwapTotal: 10 kB\nSwapFree: 20 kB\n");
        assert_eq!(value(&seen, "system_memory_used_bytes"), Some(0.0));
        assert_eq!(value(&seen, "system_swap_used_bytes"), Some(0.0));
    }

    #[test]
    fn fixture_hosts_give_their_worked_values() {
        if !have_fixtures() {
            return;
        }
        let used = |host| {
            let seen = collect(&mut Memory::new(&fixture(host))).unwrap();
            ["system_memory_used_bytes", "system_swap_used_bytes"].map(|name| value(&seen, name).unwrap())
        };
        assert_eq!(used("vm"), [1648361472.0, 536870912.0]);
        assert_eq!(used("numa64"), [403726925824.0, 268435456.0]);
        assert_eq!(used("container-v1"), [2994733056.0, 0.0]);
        assert_eq!(used("old-kernel"), [1744830464.0, 0.0]);
        assert_eq!(used("arm-board"), [39845888.0, 8388608.0]);
    }

    #[test]
    fn bad_numbers_are_quoted() {
        let error = |text: &str| parse(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(error("MemTotal: x kB\n"), "line 1: expected a size in kB, got \"MemTotal: x kB\"");
        assert_eq!(error("MemTotal: 1\n"), "line 1: expected a size in kB, got \"MemTotal: 1\"");
        assert_eq!(error("MemTotal: 1 kB\nMemFr"), "line 2: expected a whole line, got \"MemFr\"");
    }

    #[test]
    fn a_text_that_is_cut_at_the_end_of_a_line_is_seen_by_what_it_had() {
        let folder = Folder::new("memory-cut");
        let whole = "MemTotal: 9 kB\nMemFree: 1 kB\nMemAvailable: 4 kB\nSwapTotal: 2 kB\nSwapFree: 1 kB\n";
        let mut memory = Memory::new(&folder.host());
        let mut round = |text: &str| {
            folder.write("proc/meminfo", text);
            collect(&mut memory).map(|seen| seen.len()).map_err(|error| error.to_string())
        };
        assert_eq!(round(whole), Ok(7));
        let cut = "MemTotal: 9 kB\nMemFree: 1 kB\nMemAvailable: 4 kB\nSwapTotal: 2 kB\n";
        let error = round(cut).unwrap_err();
        assert!(error.ends_with("line 4: the file ends without fields that it had; it was cut"), "{error}");
        assert_eq!(round(cut), Ok(5), "a host that has become another one is shown from the second round on");
        assert_eq!(round(whole), Ok(7));
    }

    #[test]
    fn what_is_missing_costs_what_depends_on_it() {
        let seen = |text: &str| {
            let info = parse(text.as_bytes()).unwrap();
            let seen = samples(|out| emit(&info, &mut out.item(&Item::new(&[]))));
            seen.into_iter().map(|(name, _)| name.replace("system_", "")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(seen("MemTotal: 9 kB\n"), "memory_total_bytes");
        assert_eq!(
            seen("MemTotal: 9 kB\nMemAvailable: 3 kB\n"),
            "memory_total_bytes memory_used_bytes memory_available_bytes memory_usage_percent"
        );
        // Without MemAvailable the caches have to be known.
        assert_eq!(seen("MemTotal: 9 kB\nMemFree: 3 kB\nCached: 2 kB\n"), "memory_total_bytes");
    }

    #[test]
    fn every_cut_gives_nothing_or_some_of_what_the_whole_gives() {
        if !have_fixtures() {
            return;
        }
        for host in ["vm", "numa64", "container-v1", "old-kernel", "arm-board"] {
            let text = std::fs::read(fixture(host).proc("meminfo")).unwrap();
            let emitted = |info: MemInfo| samples(|out| emit(&info, &mut out.item(&Item::new(&[]))));
            let whole = emitted(parse(&text).unwrap());
            for at in 0..text.len() {
                let Ok(cut) = parse(&text[..at]).map(emitted) else { continue };
                // Of a size that is cut the rest of its line is missing, so none is half a number.
                assert!(cut.iter().all(|one| whole.contains(one)), "{host}: {at} bytes: {cut:?}");
            }
        }
    }

    #[test]
    fn no_text_makes_it_panic() {
        cut_everywhere("proc/meminfo", |text| {
            if let Ok(info) = parse(text) {
                samples(|out| emit(&info, &mut out.item(&Item::new(&[]))));
            }
        });
    }
}
