//! Page faults, paging and swapping, from `/proc/vmstat`.

use super::collector::{CollectError, Collector, Tick};
use super::definition::{Definition, Made};
use super::keys::{self, Keys};
use super::parse::{ParseError, fields, lines, u64, whole};
use super::settings::Preset;
use crate::host::{HostPaths, KernelFile, Scratch};
use crate::model::{Family, Item, Label, Learnt, Reading, Recorder, Scheme, Writer, face, scaled};

/// OpenTelemetry's: swapping is `major`, what else goes to and from disks `minor`. The Collector
/// takes all of the kernel's numbers times 4096; these are the kernel's own.
const OPERATIONS: Family = Family::counter("system.paging.operations", "{operations}", "Paging operations.");
const FAULTS: Family = Family::counter("system.paging.faults", "{faults}", "Page faults.");

/// The kernel counts what goes to and from disks in KiB.
const KIB: f64 = 1024.0;

static PAGED_IN: Reading = Reading {
    native: scaled(
        &Family::counter("system_vmstat_paged_in_bytes_total", "bytes", "Bytes that were read from block devices."),
        &[],
        KIB,
    ),
    node: None,
    otel: face(&OPERATIONS, &[Label::constant("direction", "page_in"), Label::constant("type", "minor")]),
};
static PAGED_OUT: Reading = Reading {
    native: scaled(
        &Family::counter("system_vmstat_paged_out_bytes_total", "bytes", "Bytes that were written to block devices."),
        &[],
        KIB,
    ),
    node: None,
    otel: face(&OPERATIONS, &[Label::constant("direction", "page_out"), Label::constant("type", "minor")]),
};
static SWAPPED_IN: Reading = Reading {
    native: face(
        &Family::counter("system_vmstat_swapped_in_pages_total", "pages", "Pages that came back from swap."),
        &[],
    ),
    node: None,
    otel: face(&OPERATIONS, &[Label::constant("direction", "page_in"), Label::constant("type", "major")]),
};
static SWAPPED_OUT: Reading = Reading {
    native: face(&Family::counter("system_vmstat_swapped_out_pages_total", "pages", "Pages that went to swap."), &[]),
    node: None,
    otel: face(&OPERATIONS, &[Label::constant("direction", "page_out"), Label::constant("type", "major")]),
};
static FAULTED: Reading = Reading {
    native: face(&Family::counter("system_vmstat_page_faults_total", "", "Page faults, major ones included."), &[]),
    node: None,
    otel: None,
};
static MAJOR_FAULTS: Reading = Reading {
    native: face(
        &Family::counter("system_vmstat_major_page_faults_total", "", "Page faults that had to wait for a disk."),
        &[],
    ),
    node: None,
    otel: face(&FAULTS, &[Label::constant("type", "major")]),
};
static MINOR_FAULTS: Reading =
    Reading { native: None, node: None, otel: face(&FAULTS, &[Label::constant("type", "minor")]) };
static OOM_KILLS: Reading = Reading {
    native: face(
        &Family::counter("system_vmstat_oom_kills_total", "", "Processes that were killed for want of memory."),
        &[],
    ),
    node: None,
    otel: face(
        &Family::counter("system.linux.memory.oom_kills", "{kills}", "Processes that were killed for want of memory."),
        &[],
    ),
};

/// Everything this collector may give, but for the families of keys.
static READINGS: &[&[Reading]] = &[
    std::slice::from_ref(&PAGED_IN),
    std::slice::from_ref(&PAGED_OUT),
    std::slice::from_ref(&SWAPPED_IN),
    std::slice::from_ref(&SWAPPED_OUT),
    std::slice::from_ref(&FAULTED),
    std::slice::from_ref(&MAJOR_FAULTS),
    std::slice::from_ref(&MINOR_FAULTS),
    std::slice::from_ref(&OOM_KILLS),
];

/// The keys that kernels have of those that are shown, in their order.
const KNOWN_KEYS: [&str; 7] = ["pgpgin", "pgpgout", "pswpin", "pswpout", "pgfault", "pgmajfault", "oom_kill"];

/// Whether a key is shown: node_exporter's default choice of some two hundred.
fn is_shown(key: &[u8]) -> bool {
    let starts = |with: &str| key.starts_with(with.as_bytes());
    let faults = || key.windows(5).skip(2).any(|part| part == b"fault");
    starts("oom_kill") || starts("pgpg") || starts("pswp") || (starts("pg") && faults())
}

/// What node_exporter makes of a key: `pgfault` is `node_vmstat_pgfault`, whatever it counts.
fn key(name: &[u8], _: u8) -> Option<Learnt> {
    let family = format!("node_vmstat_{}", keys::clean(name));
    let help = format!("{} of the kernel's vmstat.", name.escape_ascii());
    Some(Learnt::new(Scheme::NodeExporter, Family::untyped(&family, "", &help), &[]))
}

/// What it says about itself.
pub static DEFINITION: Definition = Definition {
    name: "vmstat",
    switch: "enable_vmstat",
    about: "Page faults, paging, swapping, and processes killed for want of memory.",
    note: "the numbers that node_exporter shows by default; kills from kernel 4.13 on",
    preset: Some(Preset::Full),
    reads: &["/proc/vmstat"],
    readings: READINGS,
    keys: || KNOWN_KEYS.iter().filter_map(|name| key(name.as_bytes(), 0)).collect(),
    build: |parts| Made::Fast(Box::new(VmStat::new(parts.host))),
    ..Definition::PLAIN
};

/// The collector.
#[derive(Debug)]
pub struct VmStat {
    file: KernelFile,
    host: Item,
    keys: Keys,
}

impl VmStat {
    /// Reads `/proc/vmstat` of `host`.
    pub fn new(host: &HostPaths) -> VmStat {
        VmStat { file: KernelFile::new(host.proc("vmstat")), host: Item::new(&[]), keys: Keys::new("vmstat", key) }
    }
}

impl Collector for VmStat {
    fn collect(&mut self, _tick: &Tick, scratch: &mut Scratch, out: &mut Recorder) -> Result<(), CollectError> {
        let text = self.file.read(scratch)?;
        let mut host = out.item(&self.host);
        let keys = &mut self.keys;
        keys.begin();
        let events = parse(text, |key, count| keys.push(key, 0, count as f64, &mut host))
            .map_err(|error| error.of(self.file.path()))?;
        keys.end();
        let Some(events) = events else {
            return Err(CollectError::Absent(format!("{} counts no events", self.file.path().display())));
        };
        emit(&events, &mut host);
        Ok(())
    }
}

fn emit(events: &Events, out: &mut Writer<'_>) {
    let minor = events.faults.zip(events.major_faults).map(|(all, major)| all.saturating_sub(major));
    for (reading, count) in [
        (&PAGED_IN, events.paged_in_kib),
        (&PAGED_OUT, events.paged_out_kib),
        (&SWAPPED_IN, events.swapped_in),
        (&SWAPPED_OUT, events.swapped_out),
        (&FAULTED, events.faults),
        (&MAJOR_FAULTS, events.major_faults),
        (&MINOR_FAULTS, minor),
        (&OOM_KILLS, events.oom_kills),
    ] {
        if let Some(count) = count {
            out.push(reading, count as f64);
        }
    }
}

/// What is needed of `/proc/vmstat`, since the host was started. What the kernel does not count is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// KiB that were read from block devices.
    pub paged_in_kib: Option<u64>,
    /// KiB that were written to block devices.
    pub paged_out_kib: Option<u64>,
    /// Pages that came back from swap.
    pub swapped_in: Option<u64>,
    /// Pages that went to swap.
    pub swapped_out: Option<u64>,
    /// Page faults, major ones included.
    pub faults: Option<u64>,
    /// Page faults that had to wait for a disk.
    pub major_faults: Option<u64>,
    /// Processes that were killed for want of memory.
    pub oom_kills: Option<u64>,
}

/// Of the keys here, of many; `each` is told of each that is shown, with its number:
///
/// ```text
/// nr_free_pages 153600
/// pgpgin 3436032
/// pswpin 24576
/// pgfault 612345678
/// pgmajfault 81234
/// oom_kill 0
/// unevictable_pgs_culled 0
/// ```
///
/// See <https://www.kernel.org/doc/html/latest/filesystems/proc.html> and
/// `include/linux/vm_event_item.h`. Lines that are not shown are not looked at. Nothing, where the
/// kernel was built to count no events (`CONFIG_VM_EVENT_COUNTERS`).
///
/// A text that was cut at the end of a line would pass for an older kernel's. So it has to reach
/// beyond what is taken of it: to `unevictable_pgs_culled`, which every kernel prints behind these.
pub fn parse(text: &[u8], mut each: impl FnMut(&[u8], u64)) -> Result<Option<Events>, ParseError> {
    const BEHIND: &[u8] = b"unevictable_pgs_culled";
    let mut events = Events::default();
    let (mut is_counted, mut is_whole) = (false, false);
    let mut last = 1;
    for (line, content) in lines(whole(text)?) {
        last = line;
        let mut words = fields(content);
        let Some(key) = words.next() else { continue };
        if !is_shown(key) {
            is_whole |= key == BEHIND;
            continue;
        }
        let count = words.next().and_then(u64).ok_or_else(|| ParseError::expected(line, "a count", content))?;
        is_counted = true;
        each(key, count);
        let event = match key {
            b"pgpgin" => &mut events.paged_in_kib,
            b"pgpgout" => &mut events.paged_out_kib,
            b"pswpin" => &mut events.swapped_in,
            b"pswpout" => &mut events.swapped_out,
            b"pgfault" => &mut events.faults,
            b"pgmajfault" => &mut events.major_faults,
            b"oom_kill" => &mut events.oom_kills,
            _ => continue,
        };
        *event = Some(count);
    }
    if is_counted && !is_whole {
        let what = format!("the file ends without {}", String::from_utf8_lossy(BEHIND));
        return Err(ParseError { line: last, what });
    }
    Ok(is_counted.then_some(events))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Folder, collect, collect_as, cut_everywhere, fixture, have_fixtures, owned, value};
    use super::*;

    fn seen(host: &str, scheme: Scheme) -> Vec<(String, f64)> {
        collect_as(scheme, &mut VmStat::new(&fixture(host)))
    }

    #[test]
    fn each_scheme_has_its_names() {
        if !have_fixtures() {
            return;
        }
        let node = [
            ("node_vmstat_pgpgin", 3_436_032.0),
            ("node_vmstat_pgpgout", 10_700_801.0),
            ("node_vmstat_pswpin", 24576.0),
            ("node_vmstat_pswpout", 163_840.0),
            ("node_vmstat_pgfault", 612_345_678.0),
            ("node_vmstat_pgmajfault", 81234.0),
            ("node_vmstat_oom_kill", 0.0),
        ];
        assert_eq!(seen("vm", Scheme::NodeExporter), owned(&node));
        let native = [
            // 3436032 KiB, 10700801 KiB.
            ("system_vmstat_paged_in_bytes_total", 3_518_496_768.0),
            ("system_vmstat_paged_out_bytes_total", 10_957_620_224.0),
            ("system_vmstat_swapped_in_pages_total", 24576.0),
            ("system_vmstat_swapped_out_pages_total", 163_840.0),
            ("system_vmstat_page_faults_total", 612_345_678.0),
            ("system_vmstat_major_page_faults_total", 81234.0),
            ("system_vmstat_oom_kills_total", 0.0),
        ];
        assert_eq!(seen("vm", Scheme::Native), owned(&native));
        let otel = [
            ("system.paging.operations{direction=page_in,type=minor}", 3_436_032.0),
            ("system.paging.operations{direction=page_out,type=minor}", 10_700_801.0),
            ("system.paging.operations{direction=page_in,type=major}", 24576.0),
            ("system.paging.operations{direction=page_out,type=major}", 163_840.0),
            ("system.paging.faults{type=major}", 81234.0),
            // 612345678 - 81234.
            ("system.paging.faults{type=minor}", 612_264_444.0),
            ("system.linux.memory.oom_kills", 0.0),
        ];
        assert_eq!(seen("vm", Scheme::Otel), owned(&otel));
    }

    #[test]
    fn an_old_kernel_does_not_count_kills() {
        if !have_fixtures() {
            return;
        }
        assert_eq!(value(&seen("numa64", Scheme::Native), "system_vmstat_oom_kills_total"), Some(2.0));
        let old = seen("old-kernel", Scheme::Native);
        assert_eq!(value(&old, "system_vmstat_page_faults_total"), Some(4_123_456_789.0));
        assert_eq!(value(&old, "system_vmstat_oom_kills_total"), None);
    }

    #[test]
    fn the_choice_is_node_exporters() {
        for shown in ["oom_kill", "oom_kill_new", "pgpgin", "pgpg", "pswpout", "pgfault", "pgmajfault", "pg_fault_x"] {
            assert!(is_shown(shown.as_bytes()), "{shown}");
        }
        for not in ["", "pg", "pgfree", "pgfaul", "nr_pgfault", "thp_fault_alloc", "numa_hint_faults", "xoom_kill"] {
            assert!(!is_shown(not.as_bytes()), "{not}");
        }
    }

    const END: &str = "unevictable_pgs_culled 0\n";

    #[test]
    fn keys_that_are_new_are_shown_where_the_choice_names_them() {
        let folder = Folder::new("vmstat-new");
        folder.write("proc/vmstat", format!("pgpgzip 3\nnr_new x\npg-new-fault 4\npgpgin 5\n\npgpgin 6\n{END}"));
        let mut vmstat = VmStat::new(&folder.host());
        let node = [("node_vmstat_pgpgzip", 3.0), ("node_vmstat_pg_new_fault", 4.0), ("node_vmstat_pgpgin", 5.0)];
        for _ in 0..2 {
            assert_eq!(collect_as(Scheme::NodeExporter, &mut vmstat), owned(&node));
        }
        assert_eq!(collect(&mut vmstat).unwrap(), owned(&[("system_vmstat_paged_in_bytes_total", 6144.0)]));
    }

    #[test]
    fn a_kernel_that_counts_nothing_is_no_failure() {
        let folder = Folder::new("vmstat-missing");
        assert!(matches!(collect(&mut VmStat::new(&folder.host())), Err(CollectError::Absent(_))));
        folder.write("proc/vmstat", "nr_free_pages 153600\nnr_unstable 0\n");
        let absent = collect(&mut VmStat::new(&folder.host())).unwrap_err();
        assert!(matches!(absent, CollectError::Absent(_)));
        assert!(absent.to_string().ends_with("proc/vmstat counts no events"), "{absent}");
    }

    #[test]
    fn bad_numbers_are_quoted() {
        let error = |text: &str| parse(text.as_bytes(), |_, _| {}).unwrap_err().to_string();
        assert_eq!(error("pgpgin x\n"), "line 1: expected a count, got \"pgpgin x\"");
        assert_eq!(error("nr_x y\npgpgin\n"), "line 2: expected a count, got \"pgpgin\"");
        assert_eq!(error("pgpgin -1\n"), "line 1: expected a count, got \"pgpgin -1\"");
        assert_eq!(error("pgpgin 1"), "line 1: expected a whole line, got \"pgpgin 1\"");
        assert_eq!(error(""), "line 1: the file is empty");
        assert_eq!(error("pgpgin 1\npgfault 2\n"), "line 2: the file ends without unevictable_pgs_culled");
    }

    #[test]
    fn every_cut_gives_nothing_or_what_the_whole_gives() {
        for host in ["vm", "numa64", "container-v1", "old-kernel", "arm-board"] {
            let Ok(text) = std::fs::read(fixture(host).proc("vmstat")) else { return };
            let whole = parse(&text, |_, _| {}).unwrap().unwrap();
            for at in 0..text.len() {
                match parse(&text[..at], |_, _| {}) {
                    Err(_) | Ok(None) => {}
                    Ok(Some(events)) => assert_eq!(events, whole, "{host}: {at} bytes"),
                }
            }
        }
    }

    #[test]
    fn no_text_makes_it_panic() {
        cut_everywhere("proc/vmstat", |text| drop(parse(text, |_, _| {})));
    }
}
