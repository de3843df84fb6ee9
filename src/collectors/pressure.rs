//! Time that tasks lose to a lack of CPU, memory and I/O, from `/proc/pressure`.

use nix::errno::Errno;

use super::collector::{CollectError, Collector, Tick};
use super::definition::{Definition, Made};
use super::parse::{ParseError, fields, lines, u64, whole};
use super::partial::Partial;
use super::settings::Preset;
use crate::host::{HostPaths, KernelFile, ReadError, Scratch};
use crate::model::{Family, Item, Label, Reading, Recorder, Writer, face};

const fn lost(native: &'static Family<'static>, node: &'static Family<'static>, otel: &'static [Label]) -> Reading {
    const TIME: Family =
        Family::counter("system.linux.pressure.time", "s", "Time in which some tasks waited, or all stalled.");
    Reading { native: face(native, &[]), node: face(node, &[]), otel: face(&TIME, otel) }
}

static CPU_WAITING: Reading = lost(
    &Family::counter("system_pressure_cpu_waiting_seconds_total", "seconds", "Time in which tasks waited for a CPU."),
    &Family::counter("node_pressure_cpu_waiting_seconds_total", "", "Time in which tasks waited for a CPU."),
    &[Label::constant("resource", "cpu"), Label::constant("state", "waiting")],
);
static MEMORY_WAITING: Reading = lost(
    &Family::counter(
        "system_pressure_memory_waiting_seconds_total",
        "seconds",
        "Time in which tasks waited for memory.",
    ),
    &Family::counter("node_pressure_memory_waiting_seconds_total", "", "Time in which tasks waited for memory."),
    &[Label::constant("resource", "memory"), Label::constant("state", "waiting")],
);
static MEMORY_STALLED: Reading = lost(
    &Family::counter(
        "system_pressure_memory_stalled_seconds_total",
        "seconds",
        "Time in which no task could go on for want of memory.",
    ),
    &Family::counter(
        "node_pressure_memory_stalled_seconds_total",
        "",
        "Time in which no task could go on for want of memory.",
    ),
    &[Label::constant("resource", "memory"), Label::constant("state", "stalled")],
);
static IO_WAITING: Reading = lost(
    &Family::counter("system_pressure_io_waiting_seconds_total", "seconds", "Time in which tasks waited for I/O."),
    &Family::counter("node_pressure_io_waiting_seconds_total", "", "Time in which tasks waited for I/O."),
    &[Label::constant("resource", "io"), Label::constant("state", "waiting")],
);
static IO_STALLED: Reading = lost(
    &Family::counter(
        "system_pressure_io_stalled_seconds_total",
        "seconds",
        "Time in which no task could go on because of I/O.",
    ),
    &Family::counter("node_pressure_io_stalled_seconds_total", "", "Time in which no task could go on because of I/O."),
    &[Label::constant("resource", "io"), Label::constant("state", "stalled")],
);
static IRQ_STALLED: Reading = lost(
    &Family::counter(
        "system_pressure_irq_stalled_seconds_total",
        "seconds",
        "Time in which no task could go on because of interrupts.",
    ),
    &Family::counter(
        "node_pressure_irq_stalled_seconds_total",
        "",
        "Time in which no task could go on because of interrupts.",
    ),
    &[Label::constant("resource", "irq"), Label::constant("state", "stalled")],
);

/// Everything this collector may give.
static READINGS: &[&[Reading]] = &[
    std::slice::from_ref(&CPU_WAITING),
    std::slice::from_ref(&MEMORY_WAITING),
    std::slice::from_ref(&MEMORY_STALLED),
    std::slice::from_ref(&IO_WAITING),
    std::slice::from_ref(&IO_STALLED),
    std::slice::from_ref(&IRQ_STALLED),
];

/// What it says about itself.
pub static DEFINITION: Definition = Definition {
    name: "pressure",
    switch: "enable_pressure",
    about: "Pressure: time that tasks lose to a lack of CPU, memory and I/O.",
    note: "the totals alone, of which the kernel's averages are made; kernels from 4.20 on that have it switched on, \
           interrupts from 6.1 on",
    preset: Some(Preset::Full),
    reads: &["/proc/pressure"],
    readings: READINGS,
    build: |parts| Made::Fast(Box::new(Pressure::new(parts.host))),
    ..Definition::PLAIN
};

/// The collector.
#[derive(Debug)]
pub struct Pressure {
    resources: [Resource; 4],
    partial: Partial,
    host: Item,
}

/// What is known of a resource. What a file gives beyond its readings is passed over: that all
/// tasks wait for a CPU is not a thing of a whole host, though kernels from 5.13 on have a line
/// for it, which is zero.
#[derive(Debug)]
struct Resource {
    name: &'static str,
    file: KernelFile,
    waiting: Option<&'static Reading>,
    stalled: Option<&'static Reading>,
}

impl Pressure {
    /// Reads `/proc/pressure` of `host`.
    pub fn new(host: &HostPaths) -> Pressure {
        let resource = |name, waiting, stalled| Resource {
            name,
            file: KernelFile::new(host.proc("pressure").join(name)).in_one_piece(),
            waiting,
            stalled,
        };
        Pressure {
            resources: [
                resource("cpu", Some(&CPU_WAITING), None),
                resource("memory", Some(&MEMORY_WAITING), Some(&MEMORY_STALLED)),
                resource("io", Some(&IO_WAITING), Some(&IO_STALLED)),
                resource("irq", None, Some(&IRQ_STALLED)),
            ],
            partial: Partial::default(),
            host: Item::new(&[]),
        }
    }
}

impl Collector for Pressure {
    fn collect(&mut self, _tick: &Tick, scratch: &mut Scratch, out: &mut Recorder) -> Result<(), CollectError> {
        let Pressure { resources, partial, host } = self;
        let mut host = out.item(host);
        let mut is_there = false;
        partial.begin();
        for resource in resources {
            match resource.collect(scratch, &mut host) {
                Ok(()) => is_there = true,
                Err(CollectError::Absent(_)) => {}
                Err(error) => partial.failed(DEFINITION.name, resource.name, &error.to_string()),
            }
        }
        partial.end();
        partial.outcome(is_there, "the kernel does not measure pressure")
    }
}

impl Resource {
    fn collect(&mut self, scratch: &mut Scratch, out: &mut Writer<'_>) -> Result<(), CollectError> {
        let text = match self.file.read(scratch) {
            Ok(text) => text,
            Err(error) if is_switched_off(&error) => return Err(CollectError::Absent(error.to_string())),
            Err(error) => return Err(error.into()),
        };
        let lost = parse(text).and_then(|lost| self.check(lost)).map_err(|error| error.of(self.file.path()))?;
        for (reading, micros) in [(self.waiting, lost.some), (self.stalled, lost.full)] {
            if let (Some(reading), Some(micros)) = (reading, micros) {
                out.push(reading, micros as f64 / 1e6);
            }
        }
        Ok(())
    }

    /// A file without one of the lines that it has to have was cut.
    fn check(&self, lost: Lost) -> Result<Lost, ParseError> {
        let without = |line| Err(ParseError { line: 1, what: format!("the file has no line \"{line}\"") });
        match (self.waiting, lost.some, self.stalled, lost.full) {
            (Some(_), None, ..) => without("some"),
            (_, _, Some(_), None) => without("full"),
            _ => Ok(lost),
        }
    }
}

/// A kernel that was started with `psi=0` has the files and refuses to give them.
fn is_switched_off(error: &ReadError) -> bool {
    let ReadError::Io(_, error) = error else { return false };
    error.raw_os_error() == Some(Errno::EOPNOTSUPP as i32)
}

/// Time that was lost since the host was started, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// At least one task waited.
    pub some: Option<u64>,
    /// All tasks that were not idle waited.
    pub full: Option<u64>,
}

/// The totals of a resource:
///
/// ```text
/// some avg10=0.15 avg60=0.20 avg300=0.18 total=912345678
/// full avg10=0.10 avg60=0.14 avg300=0.12 total=712345678
/// ```
///
/// `cpu` has `some` alone up to Linux 5.12, `irq` has `full` alone. See
/// <https://www.kernel.org/doc/html/latest/accounting/psi.html>. Lines and fields of other
/// names are passed over.
pub fn parse(text: &[u8]) -> Result<Lost, ParseError> {
    let mut lost = Lost::default();
    for (line, content) in lines(whole(text)?) {
        let mut words = fields(content);
        let total = match words.next() {
            Some(b"some") => &mut lost.some,
            Some(b"full") => &mut lost.full,
            _ => continue,
        };
        let written = words.find_map(|word| word.strip_prefix(b"total="));
        *total = written.and_then(u64);
        if total.is_none() {
            return Err(ParseError::expected(line, "a total in microseconds", written.unwrap_or(content)));
        }
    }
    Ok(lost)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Folder, collect, collect_as, cut_everywhere, fixture, have_fixtures, owned, samples};
    use super::*;
    use crate::model::Scheme;

    const SOME: &str = "some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\n";
    const FULL: &str = "full avg10=0.00 avg60=0.00 avg300=0.00 total=250000\n";

    #[test]
    fn each_scheme_has_its_names() {
        if !have_fixtures() {
            return;
        }
        let seen = |host, scheme| collect_as(scheme, &mut Pressure::new(&fixture(host)));
        // The fixture's microseconds; that all wait for a CPU is not shown.
        let expected = [
            ("system_pressure_cpu_waiting_seconds_total", 1843.200123),
            ("system_pressure_memory_waiting_seconds_total", 51.234567),
            ("system_pressure_memory_stalled_seconds_total", 40.123456),
            ("system_pressure_io_waiting_seconds_total", 912.345678),
            ("system_pressure_io_stalled_seconds_total", 712.345678),
            ("system_pressure_irq_stalled_seconds_total", 3600.0),
        ];
        assert_eq!(seen("vm", Scheme::Native), owned(&expected));
        let expected = [
            ("node_pressure_cpu_waiting_seconds_total", 1843.200123),
            ("node_pressure_memory_waiting_seconds_total", 51.234567),
            ("node_pressure_memory_stalled_seconds_total", 40.123456),
            ("node_pressure_io_waiting_seconds_total", 912.345678),
            ("node_pressure_io_stalled_seconds_total", 712.345678),
            ("node_pressure_irq_stalled_seconds_total", 3600.0),
        ];
        assert_eq!(seen("vm", Scheme::NodeExporter), owned(&expected));
        let expected = [
            ("system.linux.pressure.time{resource=cpu,state=waiting}", 1843.200123),
            ("system.linux.pressure.time{resource=memory,state=waiting}", 51.234567),
            ("system.linux.pressure.time{resource=memory,state=stalled}", 40.123456),
            ("system.linux.pressure.time{resource=io,state=waiting}", 912.345678),
            ("system.linux.pressure.time{resource=io,state=stalled}", 712.345678),
            ("system.linux.pressure.time{resource=irq,state=stalled}", 3600.0),
        ];
        assert_eq!(seen("vm", Scheme::Otel), owned(&expected));
    }

    #[test]
    fn interrupts_have_stalled_tasks_alone_and_an_old_kernels_cpus_waiting_ones() {
        let folder = Folder::new("pressure-irq");
        folder.write("proc/pressure/cpu", SOME);
        folder.write("proc/pressure/irq", FULL);
        let expected =
            [("node_pressure_cpu_waiting_seconds_total", 1.5), ("node_pressure_irq_stalled_seconds_total", 0.25)];
        assert_eq!(collect_as(Scheme::NodeExporter, &mut Pressure::new(&folder.host())), owned(&expected));
    }

    #[test]
    fn a_kernel_without_it_is_no_failure() {
        let folder = Folder::new("pressure-missing");
        let absent = |folder: &Folder| match collect(&mut Pressure::new(&folder.host())) {
            Err(CollectError::Absent(why)) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(absent(&folder), "the kernel does not measure pressure");
        folder.folder("proc/pressure");
        assert_eq!(absent(&folder), "the kernel does not measure pressure");
        // What reading gives where the kernel was started with psi=0.
        let refused = |errno: Errno| ReadError::Io("cpu".into(), std::io::Error::from_raw_os_error(errno as i32));
        assert!(is_switched_off(&refused(Errno::EOPNOTSUPP)));
        assert!(!is_switched_off(&refused(Errno::EACCES)));
    }

    #[test]
    fn a_file_that_is_cut_spoils_itself_alone() {
        let folder = Folder::new("pressure-torn");
        let mut pressure = Pressure::new(&folder.host());
        folder.write("proc/pressure/cpu", SOME);
        let expected = [("system_pressure_cpu_waiting_seconds_total", 1.5)];
        let cuts: [(&str, &str); 4] = [
            ("some avg10=0.00 avg60=0.00 avg300=0.00 total=15", "line 1: expected a whole line"),
            (SOME, "line 1: the file has no line \"full\""),
            (FULL, "line 1: the file has no line \"some\""),
            ("", "line 1: the file is empty"),
        ];
        for (cut, why) in cuts {
            folder.write("proc/pressure/io", cut);
            assert_eq!(collect(&mut pressure).unwrap(), owned(&expected), "{why}");
            let mut io = Pressure::new(&folder.host()).resources.into_iter().nth(2).unwrap();
            let mut error = None;
            samples(|out| {
                error = io.collect(&mut Scratch::new(), &mut out.item(&Item::new(&[]))).err();
            });
            let error = error.unwrap().to_string();
            assert!(error.contains(why) && error.contains("proc/pressure/io"), "{error}");
        }
        folder.write("proc/pressure/io", format!("{SOME}{FULL}"));
        assert_eq!(collect(&mut pressure).unwrap().len(), 3);
    }

    #[test]
    fn where_no_file_can_be_read_the_round_has_failed() {
        let folder = Folder::new("pressure-failed");
        folder.write("proc/pressure/memory", "some total=x\n");
        let error = collect(&mut Pressure::new(&folder.host())).unwrap_err();
        assert!(matches!(error, CollectError::Failed(_)));
        assert!(error.to_string().ends_with("memory line 1: expected a total in microseconds, got \"x\""), "{error}");
    }

    #[test]
    fn what_a_newer_kernel_adds_is_passed_over() {
        let lost = |text: &str| parse(text.as_bytes()).unwrap();
        let both = Lost { some: Some(1_500_000), full: Some(250_000) };
        assert_eq!(lost(&format!("most avg10=1.00 total=x\n{SOME}{FULL}\n")), both);
        assert_eq!(lost("some avg900=0.00 total=1500000 peak=7\nfull total=250000\n"), both);
    }

    #[test]
    fn no_text_makes_it_panic() {
        for file in ["cpu", "memory", "io", "irq"] {
            cut_everywhere(&format!("proc/pressure/{file}"), |text| drop(parse(text)));
        }
    }
}
