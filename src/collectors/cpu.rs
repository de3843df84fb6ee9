//! CPU time by core and mode, and usage between two rounds, from `/proc/stat`.

use super::collector::{CollectError, Collector, Tick};
use super::definition::{Definition, Made};
use super::keyed::{Keyed, Table};
use super::parse::{ParseError, fields, lines, u64, whole};
use super::settings::Preset;
use crate::host::{HostPaths, KernelFile, Scratch, user_hz};
use crate::model::{Family, Item, Kind, Label, Named, Reading, Recorder, face};

static USAGE: Reading = Reading {
    native: face(
        &Family::gauge(
            "system_cpu_usage_percent",
            "percent",
            "Share of a core's time since the last collection that was neither idle nor waiting for I/O.",
        ),
        CORE,
    ),
    node: None,
    otel: None,
};
static USAGE_TOTAL: Reading = Reading {
    native: face(
        &Family::gauge(
            "system_cpu_usage_total_percent",
            "percent",
            "Share of all cores' time since the last collection that was neither idle nor waiting for I/O.",
        ),
        &[],
    ),
    node: None,
    otel: None,
};
static COUNT: Reading = Reading {
    native: face(&Family::gauge("system_cpu_count", "", "Logical CPUs that are online."), &[]),
    node: None,
    otel: None,
};

const CORE: &[Label] = &[Label::key("core", 0)];

/// What is one number in all schemes, in the kernel's column order. What is user and nice here
/// has guest time in it, as the kernel counts it.
static MODES: [Reading; GUEST] = [
    time(None, &mode("user"), &state("user")),
    time(None, &mode("nice"), &state("nice")),
    time(native(&in_mode("system")), &mode("system"), &state("system")),
    time(native(&in_mode("idle")), &mode("idle"), &state("idle")),
    time(native(&in_mode("iowait")), &mode("iowait"), &state("wait")),
    time(native(&in_mode("irq")), &mode("irq"), &state("interrupt")),
    time(native(&in_mode("softirq")), &mode("softirq"), &state("softirq")),
    time(native(&in_mode("steal")), &mode("steal"), &state("steal")),
];

/// User and nice without guest time.
static EXCLUSIVE: [Reading; 2] = [
    Reading { native: native(&in_mode("user")), node: None, otel: None },
    Reading { native: native(&in_mode("nice")), node: None, otel: None },
];

/// Guest and guest_nice.
static GUESTS: [Reading; 2] = [
    Reading { native: native(&in_mode("guest")), node: guest(&mode("user")), otel: None },
    Reading { native: native(&in_mode("guest_nice")), node: guest(&mode("nice")), otel: None },
];

const fn in_mode(mode: &'static str) -> [Label<'static>; 2] {
    [Label::key("core", 0), Label::constant("mode", mode)]
}

const fn mode(mode: &'static str) -> [Label<'static>; 2] {
    [Label::key("cpu", 0), Label::constant("mode", mode)]
}

const fn state(state: &'static str) -> [Label<'static>; 2] {
    [Label::prefixed("cpu", 0, "cpu"), Label::constant("state", state)]
}

const fn native(labels: &'static [Label]) -> Option<Named> {
    const HELP: &str = "Time that a core spent in each mode; guest time is not part of user and nice, so the modes add up to all time.";
    const SECONDS: Family = Family::counter("system_cpu_seconds_total", "seconds", HELP);
    face(&SECONDS, labels)
}

const fn guest(labels: &'static [Label]) -> Option<Named> {
    const HELP: &str = "Time that a core spent for guests; it is part of the time in user and nice.";
    const SECONDS: Family = Family::counter("node_cpu_guest_seconds_total", "", HELP);
    face(&SECONDS, labels)
}

const fn time(native: Option<Named>, node: &'static [Label], otel: &'static [Label]) -> Reading {
    const NODE: Family = Family::counter("node_cpu_seconds_total", "", "Time that a core spent in each mode.");
    const OTEL: Family = Family::counter("system.cpu.time", "s", "Time that a core spent in each state.");
    Reading { native, node: face(&NODE, node), otel: face(&OTEL, otel) }
}

/// What [`Counts`] holds, in its order.
static COUNTS: [Reading; 5] = [
    Reading {
        native: face(&Family::counter("system_context_switches_total", "", "Switches from one task to another."), &[]),
        node: face(&Family::counter("node_context_switches_total", "", "Switches from one task to another."), &[]),
        otel: None,
    },
    Reading {
        native: face(&Family::counter("system_interrupts_total", "", "Interrupts that were served."), &[]),
        node: face(&Family::counter("node_intr_total", "", "Interrupts that were served."), &[]),
        otel: None,
    },
    Reading {
        native: face(
            &Family::counter("system_processes_created_total", "", "Processes and threads that were made."),
            &[],
        ),
        node: face(&Family::counter("node_forks_total", "", "Processes and threads that were made."), &[]),
        otel: face(&Family::counter("system.processes.created", "{processes}", "Processes that were made."), &[]),
    },
    Reading {
        native: face(&Family::gauge("system_processes_running", "", "Tasks that run or could."), &[]),
        node: face(&Family::gauge("node_procs_running", "", "Tasks that run or could."), &[]),
        otel: processes(&[Label::constant("status", "running")]),
    },
    Reading {
        native: face(&Family::gauge("system_processes_blocked", "", "Tasks that wait for I/O."), &[]),
        node: face(&Family::gauge("node_procs_blocked", "", "Tasks that wait for I/O."), &[]),
        otel: processes(&[Label::constant("status", "blocked")]),
    },
];

const fn processes(labels: &'static [Label]) -> Option<Named> {
    const COUNT: Family =
        Family::new(Kind::UpDown, "system.processes.count", "{processes}", "Processes by their status.");
    face(&COUNT, labels)
}

/// Everything this collector may give.
static READINGS: &[&[Reading]] = &[
    std::slice::from_ref(&USAGE),
    std::slice::from_ref(&USAGE_TOTAL),
    std::slice::from_ref(&COUNT),
    &EXCLUSIVE,
    &MODES,
    &GUESTS,
    &COUNTS,
];

/// What it says about itself.
pub static DEFINITION: Definition = Definition {
    name: "cpu",
    switch: "enable_cpu",
    about: "CPU usage and seconds by mode; tasks and interrupts.",
    note: "busy is everything but idle and iowait; the total is over the cores that are online",
    preset: Some(Preset::Basic),
    reads: &["/proc/stat"],
    readings: READINGS,
    build: |parts| Made::Fast(Box::new(Cpu::new(parts.host))),
    ..Definition::PLAIN
};

const COLUMNS: usize = 10;
const USER: usize = 0;
const NICE: usize = 1;
const IDLE: usize = 3;
const IOWAIT: usize = 4;
const GUEST: usize = 8;
const GUEST_NICE: usize = 9;

/// The oldest kernels give user, nice, system and idle.
const LEAST_COLUMNS: usize = 4;

/// By how much idle time falls where a core was unplugged and came back, in seconds. By less it
/// is the kernel's rounding: idle and iowait are estimates on a tickless core.
const RESET_SECONDS: u64 = 3;

/// The collector.
#[derive(Debug)]
pub struct Cpu {
    file: KernelFile,
    /// Clock ticks a second.
    hz: u64,
    readings: Vec<Line>,
    cores: Table<Core>,
    counts: Counts,
    host: Item,
}

/// What is remembered of a core.
#[derive(Debug)]
struct Core {
    number: u32,
    item: Item,
    columns: usize,
    /// The highest reading of each column since the last reset: what is emitted.
    ticks: [u64; COLUMNS],
    /// The same for user and nice without guest time.
    exclusive: [u64; 2],
    /// Busy and all ticks since the last round; `None` without a comparable last round.
    passed: Option<(u64, u64)>,
    fresh: bool,
}

impl Cpu {
    /// Reads `/proc/stat` of `host`.
    pub fn new(host: &HostPaths) -> Cpu {
        Cpu {
            file: KernelFile::new(host.proc("stat")).in_one_piece(),
            hz: user_hz(),
            readings: Vec::new(),
            cores: Table::default(),
            counts: Counts::default(),
            host: Item::new(&[]),
        }
    }

    fn read(&mut self, scratch: &mut Scratch) -> Result<(), CollectError> {
        let text = self.file.read(scratch).map_err(CollectError::of_required)?;
        self.counts = parse(text, &mut self.readings).map_err(|error| error.of(self.file.path()))?;
        self.take();
        Ok(())
    }

    /// Brings the cores up to date with the readings.
    fn take(&mut self) {
        self.cores.begin();
        for reading in &self.readings {
            self.cores.entry(reading.number, || Core::new(reading.number)).take(reading, self.hz);
        }
        self.cores.end();
    }

    fn emit(&self, out: &mut Recorder) {
        let percent = |busy: u64, all: u64| busy as f64 / all as f64 * 100.0;
        let seconds = |ticks: u64| ticks as f64 / self.hz as f64;
        let (mut busy, mut all) = (0, 0);
        for core in self.cores.iter() {
            let mut out = out.item(&core.item);
            if let Some((core_busy, core_all)) = core.passed {
                out.push(&USAGE, percent(core_busy, core_all));
                busy += core_busy;
                all += core_all;
            }
            for (reading, ticks) in EXCLUSIVE.iter().zip(core.exclusive) {
                out.push(reading, seconds(ticks));
            }
            for (reading, ticks) in MODES.iter().chain(&GUESTS).zip(core.ticks).take(core.columns) {
                out.push(reading, seconds(ticks));
            }
        }
        let mut out = out.item(&self.host);
        // The sum of the cores, not the file's first line: that one counts offline cores
        // too, and jumps when one of them comes or goes.
        if all > 0 {
            out.push(&USAGE_TOTAL, percent(busy, all));
        }
        out.push(&COUNT, self.cores.len() as f64);
        for (reading, count) in COUNTS.iter().zip(self.counts) {
            if let Some(count) = count {
                out.push(reading, count as f64);
            }
        }
    }
}

impl Keyed for Core {
    type Key<'a> = u32;

    fn key(&self) -> u32 {
        self.number
    }

    fn is(&self, key: u32) -> bool {
        self.number == key
    }
}

impl Core {
    fn new(number: u32) -> Core {
        Core {
            number,
            item: Item::of_kind("core", &[&number.to_string()]),
            columns: 0,
            ticks: [0; COLUMNS],
            exclusive: [0; 2],
            passed: None,
            fresh: true,
        }
    }

    /// Takes the next reading. A mode that falls back is held where it was until it has caught
    /// up, whatever the reason: a live migration may take steal back bit by bit. Only idle time
    /// that falls by much says that the core counts anew.
    fn take(&mut self, reading: &Line, hz: u64) {
        let now = reading.bounded();
        let reset = self.fresh || now[IDLE] + RESET_SECONDS * hz < self.ticks[IDLE];
        self.columns = reading.columns;
        let exclusive = [now[USER].saturating_sub(now[GUEST]), now[NICE].saturating_sub(now[GUEST_NICE])];
        if reset {
            self.fresh = false;
            (self.ticks, self.exclusive) = (now, exclusive);
            self.passed = None;
            return;
        }
        let (mut busy, mut all) = (0, 0);
        // Guest time is in user and nice, and counts once.
        for (mode, (last, now)) in self.ticks.iter_mut().zip(now).enumerate() {
            let passed = now.saturating_sub(*last);
            *last += passed;
            if mode < GUEST {
                all += passed;
            }
            if mode < GUEST && mode != IDLE && mode != IOWAIT {
                busy += passed;
            }
        }
        for (last, now) in self.exclusive.iter_mut().zip(exclusive) {
            *last = now.max(*last);
        }
        // No time between two readings (a fixture, a very short interval): a share of
        // nothing is not zero, it is unknown.
        self.passed = (all > 0).then_some((busy, all));
    }
}

impl Collector for Cpu {
    fn prime(&mut self, _tick: &Tick, scratch: &mut Scratch) {
        // What is wrong here is wrong in the first round as well, and said there.
        let _ = self.read(scratch);
    }

    fn collect(&mut self, _tick: &Tick, scratch: &mut Scratch, out: &mut Recorder) -> Result<(), CollectError> {
        self.read(scratch)?;
        self.emit(out);
        Ok(())
    }
}

/// One core's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// As the kernel numbers it; numbers may have gaps.
    pub number: u32,
    /// How many columns this kernel gives, of [`Line::ticks`].
    pub columns: usize,
    /// As read, in `USER_HZ`: user and nice still contain guest and guest_nice.
    pub ticks: [u64; COLUMNS],
}

impl Line {
    /// The ticks; garbage may hold numbers near the type's end, and sums over cores and modes
    /// must not overflow.
    fn bounded(&self) -> [u64; COLUMNS] {
        self.ticks.map(|ticks| ticks.min(u64::MAX >> 24))
    }
}

/// Context switches, interrupts, processes made, tasks that run, tasks that are blocked; none
/// where the kernel does not say.
pub type Counts = [Option<u64>; 5];

/// The lines that begin with these hold [`Counts`].
const COUNT_LINES: [&[u8]; 5] = [b"ctxt ", b"intr ", b"processes ", b"procs_running ", b"procs_blocked "];

/// The lines of the cores that are online, from the start of `/proc/stat`, and its counts:
///
/// ```text
/// cpu  17939 0 3449 219407 409 0 37 10 0 0
/// cpu0 5937 0 1421 113143 60 0 9 4 0 0
/// cpu1 12001 0 2027 106263 349 0 27 6 0 0
/// intr 215853 0 0 ...
/// ctxt 418305
/// btime 1699181696
/// processes 11206
/// procs_running 1
/// procs_blocked 0
/// ```
///
/// Columns: user, nice, system, idle, and since 2.6 iowait, irq, softirq, steal, guest,
/// guest_nice, in units of `USER_HZ`; more than ten are ignored. See
/// <https://www.kernel.org/doc/html/latest/filesystems/proc.html#miscellaneous-kernel-statistics-in-proc-stat>.
///
/// Lines are known by their names, not by their place: lxcfs has been seen to show two totals.
/// A line of another kind has to come behind the cores: a file that ends with a core was cut,
/// and who knows how many cores are missing. A line of a core or a count that is not understood
/// makes the whole text an error, since what is left out would look as if it was gone; a count
/// that has no line is left out.
pub fn parse(text: &[u8], readings: &mut Vec<Line>) -> Result<Counts, ParseError> {
    readings.clear();
    let mut counts = Counts::default();
    let (mut is_past, mut last) = (false, 1);
    for (line, content) in lines(whole(text)?) {
        last = line;
        let Some(rest) = content.strip_prefix(b"cpu") else {
            if readings.is_empty() {
                return Err(ParseError::expected(line, "a line of a cpu", content));
            }
            is_past = true;
            if let Some(at) = COUNT_LINES.iter().position(|name| content.starts_with(name)) {
                let field = fields(&content[COUNT_LINES[at].len()..]).next().unwrap_or_default();
                counts[at] = Some(u64(field).ok_or_else(|| ParseError::expected(line, "a count", field))?);
            }
            continue;
        };
        if rest.first() == Some(&b' ') {
            continue;
        }
        let mut columns = fields(rest);
        let number = columns
            .number()
            .and_then(Result::ok)
            .and_then(|number| u32::try_from(number).ok())
            .ok_or_else(|| ParseError::expected(line, "cpu and its number", content))?;
        let mut reading = Line { number, columns: 0, ticks: [0; COLUMNS] };
        while let Some(ticks) = reading.ticks.get_mut(reading.columns) {
            let Some(number) = columns.number() else { break };
            *ticks = number.map_err(|field| ParseError::expected(line, "clock ticks", field))?;
            reading.columns += 1;
        }
        if reading.columns < LEAST_COLUMNS {
            return Err(ParseError::expected(line, "at least 4 numbers", content));
        }
        readings.push(reading);
    }
    if !is_past {
        return Err(ParseError { line: last, what: "the file ends among the cpus; it was cut".to_owned() });
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::super::settings::MAX_SERIES;
    use super::super::testing::{collect, collect_as, cut_everywhere, fixture, have_fixtures, owned, samples, value};
    use super::*;
    use crate::model::Scheme;

    fn cpu() -> Cpu {
        Cpu { hz: 100, ..Cpu::new(&HostPaths::default()) }
    }

    /// One round over `text`.
    fn round(cpu: &mut Cpu, text: &str) -> Vec<(String, f64)> {
        parse(text.as_bytes(), &mut cpu.readings).unwrap();
        cpu.take();
        samples(|out| cpu.emit(out))
    }

    #[test]
    fn usage_is_what_was_neither_idle_nor_waiting() {
        let mut cpu = cpu();
        let first =
            round(&mut cpu, "cpu  0 0 0 0\ncpu0 100 0 50 800 50 0 0 0 0 0\ncpu1 0 0 0 1000 0 0 0 0 0 0\nintr 1\n");
        assert_eq!(value(&first, "system_cpu_usage_percent{core=0}"), None);
        assert_eq!(value(&first, "system_cpu_count"), Some(2.0));
        assert_eq!(value(&first, "system_cpu_seconds_total{core=0,mode=idle}"), Some(8.0));
        // Core 0: 30 user + 10 system + 5 irq + 5 steal busy, 40 idle, 10 iowait: 50 of 100.
        // Core 1: all idle. Together 50 of 200.
        let next =
            round(&mut cpu, "cpu  0 0 0 0\ncpu0 130 0 60 840 60 5 0 5 0 0\ncpu1 0 0 0 1100 0 0 0 0 0 0\nintr 1\n");
        assert_eq!(value(&next, "system_cpu_usage_percent{core=0}"), Some(50.0));
        assert_eq!(value(&next, "system_cpu_usage_percent{core=1}"), Some(0.0));
        assert_eq!(value(&next, "system_cpu_usage_total_percent"), Some(25.0));
    }

    #[test]
    fn guest_time_counts_once() {
        let mut cpu = cpu();
        round(&mut cpu, "cpu0 100 100 0 0 0 0 0 0 40 30\nintr 1\n");
        // 50 user of which 50 guest, 20 nice of which 10 guest_nice, 30 idle: 70 of 100.
        let next = round(&mut cpu, "cpu0 150 120 0 30 0 0 0 0 90 40\nintr 1\n");
        assert_eq!(value(&next, "system_cpu_usage_percent{core=0}"), Some(70.0));
        let seconds = |mode| value(&next, &format!("system_cpu_seconds_total{{core=0,mode={mode}}}"));
        assert_eq!(seconds("user"), Some(0.6));
        assert_eq!(seconds("nice"), Some(0.8));
        assert_eq!(seconds("guest"), Some(0.9));
        assert_eq!(seconds("guest_nice"), Some(0.4));
        let modes = ["user", "nice", "system", "idle", "guest", "guest_nice"];
        assert_eq!(modes.iter().filter_map(|mode| seconds(mode)).sum::<f64>(), 3.0);
    }

    #[test]
    fn a_small_step_back_is_held_and_a_large_one_is_a_reset() {
        let mut cpu = cpu();
        round(&mut cpu, "cpu0 1000 0 0 5000 700 0 0 0 0 0\nintr 1\n");
        // iowait shrinks by 20 ticks; 10 busy, 40 idle.
        let next = round(&mut cpu, "cpu0 1010 0 0 5040 680 0 0 0 0 0\nintr 1\n");
        assert_eq!(value(&next, "system_cpu_seconds_total{core=0,mode=iowait}"), Some(7.0));
        assert_eq!(value(&next, "system_cpu_usage_percent{core=0}"), Some(20.0));
        // It has caught up: only what is over 700 counts.
        let next = round(&mut cpu, "cpu0 1020 0 0 5080 750 0 0 0 0 0\nintr 1\n");
        assert_eq!(value(&next, "system_cpu_seconds_total{core=0,mode=iowait}"), Some(7.5));
        assert_eq!(value(&next, "system_cpu_usage_percent{core=0}"), Some(10.0));
        // Once idle time falls, all count anew.
        let reset = round(&mut cpu, "cpu0 5 0 0 20 0 0 0 0 0 0\nintr 1\n");
        assert_eq!(value(&reset, "system_cpu_seconds_total{core=0,mode=user}"), Some(0.05));
        assert_eq!(value(&reset, "system_cpu_usage_percent{core=0}"), None);
        assert_eq!(value(&reset, "system_cpu_usage_total_percent"), None);
        let next = round(&mut cpu, "cpu0 55 0 0 70 0 0 0 0 0 0\nintr 1\n");
        assert_eq!(value(&next, "system_cpu_usage_percent{core=0}"), Some(50.0));
    }

    /// As a live migration was seen to leave it: at each reading 25 ticks of user and of idle
    /// time more, and 416 million of steal less.
    #[test]
    fn steal_that_falls_at_each_reading_hides_no_usage() {
        let mut cpu = cpu();
        let steals = [35312117399_u64, 34895888683, 34479659967, 34063431251, 33647202535];
        for (n, steal) in steals.into_iter().enumerate() {
            let (user, idle) = (5653582 + 25 * n, 1281540974 + 25 * n);
            let columns = format!("{user} 827 3220601 {idle} 85144 0 90281 {steal} 0 0");
            let seen = round(&mut cpu, &format!("cpu {columns}\ncpu0 {columns}\nintr 1\n"));
            let usage = (n > 0).then_some(50.0);
            assert_eq!(value(&seen, "system_cpu_usage_percent{core=0}"), usage, "{n}");
            assert_eq!(value(&seen, "system_cpu_usage_total_percent"), usage, "{n}");
            assert_eq!(value(&seen, "system_cpu_seconds_total{core=0,mode=steal}"), Some(353_121_173.99));
            assert_eq!(value(&seen, "system_cpu_seconds_total{core=0,mode=user}"), Some(user as f64 / 100.0));
        }
    }

    #[test]
    fn a_counter_that_fell_is_held_until_it_has_caught_up() {
        let mut cpu = cpu();
        let mut iowait = |idle: u64, iowait: u64| {
            let seen = round(&mut cpu, &format!("cpu0 1000 0 0 {idle} {iowait} 0 0 0 0 0\nintr 1\n"));
            value(&seen, "system_cpu_seconds_total{core=0,mode=iowait}").unwrap()
        };
        assert_eq!(iowait(5000, 310_000), 3100.0);
        assert_eq!(iowait(5040, 308_000), 3100.0, "20 seconds less, while idle time goes on");
        assert_eq!(iowait(5080, 309_999), 3100.0);
        assert_eq!(iowait(5120, 310_050), 3100.5);
    }

    /// What lxcfs 4.0.3 shows, 180 ticks apart: two lines of a total, of which the second one
    /// would be a core that is named after its user ticks.
    #[test]
    fn lines_are_known_by_their_names() {
        let mut cpu = cpu();
        let rest = "intr 0\nctxt 0\nbtime 1589400000\nprocesses 5\nprocs_running 1\nprocs_blocked 0\n";
        let first = format!(
            "cpu  0 0 0 0 0 0 0 0 0 0\ncpu  57589 20 24452 2480547 5183 0 636 0 0 0\n\
             cpu0 28354 9 12394 1240426 2522 0 326 0 0 0\ncpu1 29235 10 12058 1240121 2661 0 309 0 0 0\n{rest}"
        );
        let next = format!(
            "cpu  0 0 0 0 0 0 0 0 0 0\ncpu  57609 20 24452 2480727 5183 0 636 0 0 0\n\
             cpu0 28364 9 12394 1240516 2522 0 326 0 0 0\ncpu1 29245 10 12058 1240211 2661 0 309 0 0 0\n{rest}"
        );
        round(&mut cpu, &first);
        let seen = round(&mut cpu, &next);
        assert_eq!(value(&seen, "system_cpu_count"), Some(2.0));
        // 10 of 100 ticks in each.
        let usage: Vec<_> = seen.iter().filter(|(name, _)| name.starts_with("system_cpu_usage")).cloned().collect();
        let expected = [
            ("system_cpu_usage_percent{core=0}", 10.0),
            ("system_cpu_usage_percent{core=1}", 10.0),
            ("system_cpu_usage_total_percent", 10.0),
        ];
        assert_eq!(usage, owned(&expected));
    }

    #[test]
    fn counts_are_known_by_their_names_and_a_cut_one_fails_the_round() {
        let counts = |text: &str| parse(text.as_bytes(), &mut Vec::new()).map_err(|error| error.to_string());
        let cores = "cpu0 1 0 0 2\n";
        assert_eq!(
            counts(&format!("{cores}procs_blocked 3\nintr 7 1 2\nnew 1\nctxt 8\n")),
            Ok([Some(8), Some(7), None, None, Some(3)])
        );
        assert_eq!(
            counts(&format!("{cores}ctxt 8\nprocesses 90")),
            Err("line 3: expected a whole line, got \"processes 90\"".to_owned())
        );
        assert_eq!(counts(&format!("{cores}ctxt x\n")), Err("line 2: expected a count, got \"x\"".to_owned()));
    }

    /// `cpu0 800000000 2000000 150000000 2497000000 4000000 500000 2500000 0 600000000 1000000`
    /// is the first of 64 cores.
    #[test]
    fn guest_time_is_part_of_user_or_beside_it_as_each_scheme_has_it() {
        if !have_fixtures() {
            return;
        }
        let of_core = |scheme, core: &str| {
            let seen = collect_as(scheme, &mut Cpu { hz: 100, ..Cpu::new(&fixture("numa64")) });
            seen.into_iter().filter(|(name, _)| name.contains(core)).collect::<Vec<_>>()
        };
        let native = [
            ("system_cpu_seconds_total{core=0,mode=user}", 2_000_000.0),
            ("system_cpu_seconds_total{core=0,mode=nice}", 10_000.0),
            ("system_cpu_seconds_total{core=0,mode=system}", 1_500_000.0),
            ("system_cpu_seconds_total{core=0,mode=idle}", 24_970_000.0),
            ("system_cpu_seconds_total{core=0,mode=iowait}", 40_000.0),
            ("system_cpu_seconds_total{core=0,mode=irq}", 5_000.0),
            ("system_cpu_seconds_total{core=0,mode=softirq}", 25_000.0),
            ("system_cpu_seconds_total{core=0,mode=steal}", 0.0),
            ("system_cpu_seconds_total{core=0,mode=guest}", 6_000_000.0),
            ("system_cpu_seconds_total{core=0,mode=guest_nice}", 10_000.0),
        ];
        assert_eq!(of_core(Scheme::Native, "{core=0,"), owned(&native));
        let node = [
            ("node_cpu_seconds_total{cpu=0,mode=user}", 8_000_000.0),
            ("node_cpu_seconds_total{cpu=0,mode=nice}", 20_000.0),
            ("node_cpu_seconds_total{cpu=0,mode=system}", 1_500_000.0),
            ("node_cpu_seconds_total{cpu=0,mode=idle}", 24_970_000.0),
            ("node_cpu_seconds_total{cpu=0,mode=iowait}", 40_000.0),
            ("node_cpu_seconds_total{cpu=0,mode=irq}", 5_000.0),
            ("node_cpu_seconds_total{cpu=0,mode=softirq}", 25_000.0),
            ("node_cpu_seconds_total{cpu=0,mode=steal}", 0.0),
            ("node_cpu_guest_seconds_total{cpu=0,mode=user}", 6_000_000.0),
            ("node_cpu_guest_seconds_total{cpu=0,mode=nice}", 10_000.0),
        ];
        assert_eq!(of_core(Scheme::NodeExporter, "{cpu=0,"), owned(&node));
        let otel = [
            ("system.cpu.time{cpu=cpu0,state=user}", 8_000_000.0),
            ("system.cpu.time{cpu=cpu0,state=nice}", 20_000.0),
            ("system.cpu.time{cpu=cpu0,state=system}", 1_500_000.0),
            ("system.cpu.time{cpu=cpu0,state=idle}", 24_970_000.0),
            ("system.cpu.time{cpu=cpu0,state=wait}", 40_000.0),
            ("system.cpu.time{cpu=cpu0,state=interrupt}", 5_000.0),
            ("system.cpu.time{cpu=cpu0,state=softirq}", 25_000.0),
            ("system.cpu.time{cpu=cpu0,state=steal}", 0.0),
        ];
        assert_eq!(of_core(Scheme::Otel, "{cpu=cpu0,"), owned(&otel));
    }

    #[test]
    fn each_scheme_has_its_counts_of_the_host() {
        if !have_fixtures() {
            return;
        }
        let of_host = |scheme| {
            let seen = collect_as(scheme, &mut Cpu { hz: 100, ..Cpu::new(&fixture("numa64")) });
            let of_core = |name: &str| name.contains("{core=") || name.contains("{cpu=");
            seen.into_iter().filter(|(name, _)| !of_core(name)).collect::<Vec<_>>()
        };
        let native = [
            ("system_cpu_count", 64.0),
            ("system_context_switches_total", 61_234_567_890_123.0),
            ("system_interrupts_total", 14_189_649_392_508.0),
            ("system_processes_created_total", 412_345_678.0),
            ("system_processes_running", 37.0),
            ("system_processes_blocked", 2.0),
        ];
        assert_eq!(of_host(Scheme::Native), owned(&native));
        let node = [
            ("node_context_switches_total", 61_234_567_890_123.0),
            ("node_intr_total", 14_189_649_392_508.0),
            ("node_forks_total", 412_345_678.0),
            ("node_procs_running", 37.0),
            ("node_procs_blocked", 2.0),
        ];
        assert_eq!(of_host(Scheme::NodeExporter), owned(&node));
        let otel = [
            ("system.processes.created", 412_345_678.0),
            ("system.processes.count{status=running}", 37.0),
            ("system.processes.count{status=blocked}", 2.0),
        ];
        assert_eq!(of_host(Scheme::Otel), owned(&otel));
    }

    #[test]
    fn cores_come_and_go_and_their_numbers_have_gaps() {
        let mut cpu = cpu();
        round(&mut cpu, "cpu0 0 0 0 0\ncpu5 0 0 0 0\nintr 1\n");
        let next = round(&mut cpu, "cpu0 10 0 0 10\ncpu2 900 0 0 0\ncpu5 0 0 0 20\nintr 1\n");
        assert_eq!(value(&next, "system_cpu_count"), Some(3.0));
        assert_eq!(value(&next, "system_cpu_usage_percent{core=0}"), Some(50.0));
        assert_eq!(value(&next, "system_cpu_usage_percent{core=2}"), None);
        assert_eq!(value(&next, "system_cpu_usage_percent{core=5}"), Some(0.0));
        assert_eq!(value(&next, "system_cpu_usage_total_percent"), Some(25.0));
        // Core 5 is unplugged, and comes back with counters from zero.
        let next = round(&mut cpu, "cpu0 20 0 0 20\ncpu2 910 0 0 0\nintr 1\n");
        assert_eq!(value(&next, "system_cpu_usage_percent{core=5}"), None);
        assert_eq!(value(&next, "system_cpu_usage_percent{core=2}"), Some(100.0));
        let next = round(&mut cpu, "cpu0 20 0 0 20\ncpu2 910 0 0 0\ncpu5 1 0 0 0\nintr 1\n");
        assert_eq!(value(&next, "system_cpu_seconds_total{core=5,mode=user}"), Some(0.01));
        assert_eq!(value(&next, "system_cpu_usage_percent{core=5}"), None);
    }

    #[test]
    fn where_no_time_passed_there_is_no_percentage() {
        let mut cpu = cpu();
        let text = "cpu  1 1 1 1\ncpu0 10 0 0 10\nintr 1\n";
        round(&mut cpu, text);
        let again = round(&mut cpu, text);
        assert!(!again.iter().any(|(name, _)| name.contains("percent")), "{again:?}");
        assert_eq!(value(&again, "system_cpu_count"), Some(1.0));
    }

    #[test]
    fn a_thousand_cores_fit_the_usual_cap() {
        let mut cpu = cpu();
        let text: String = (0..1024).map(|core| format!("cpu{core} 1 2 3 4 5 6 7 8 9 10\n")).collect();
        let mut out = Recorder::new("cpu", MAX_SERIES);
        for line in ["intr 1\n", "intr 2\n"] {
            parse(format!("{text}{line}").as_bytes(), &mut cpu.readings).unwrap();
            cpu.take();
            cpu.emit(&mut out);
            out.finish(0);
            assert_eq!(out.take_refused().max_series, 0);
        }
    }

    #[test]
    fn modes_that_the_kernel_does_not_know_are_left_out() {
        let seen = round(&mut cpu(), "cpu  1 2 3 4 5 6 7\ncpu0 1 2 3 4 5 6 7\nintr 1\n");
        assert_eq!(value(&seen, "system_cpu_seconds_total{core=0,mode=softirq}"), Some(0.07));
        assert_eq!(value(&seen, "system_cpu_seconds_total{core=0,mode=steal}"), None);
    }

    #[test]
    fn fixture_hosts_give_their_worked_values() {
        if !have_fixtures() {
            return;
        }
        let sum = |host: &str, mode: &str| {
            let seen = collect(&mut Cpu { hz: 100, ..Cpu::new(&fixture(host)) }).unwrap();
            let mode = format!(",mode={mode}}}");
            seen.iter().filter(|(name, _)| name.ends_with(&mode)).map(|(_, value)| value).sum::<f64>()
        };
        assert_eq!(sum("vm", "user"), 55000.0);
        assert_eq!(sum("vm", "steal"), 4000.0);
        assert_eq!(sum("numa64", "user"), 145760000.0);
        assert_eq!(sum("numa64", "nice"), 675520.0);
        assert_eq!(sum("numa64", "guest"), 401760000.0);
        assert_eq!(sum("arm-board", "idle"), 1104444.44);
        let old = collect(&mut Cpu { hz: 100, ..Cpu::new(&fixture("old-kernel")) }).unwrap();
        assert_eq!(value(&old, "system_cpu_seconds_total{core=1,mode=guest_nice}"), None);
        let numa = collect(&mut Cpu::new(&fixture("numa64"))).unwrap();
        assert_eq!(value(&numa, "system_cpu_count"), Some(64.0));
        let torn = collect(&mut Cpu::new(&fixture("torn"))).unwrap_err().to_string();
        assert!(torn.contains("cannot parse") && torn.contains("proc/stat line 3"), "{torn}");
    }

    #[test]
    fn bad_lines_are_quoted() {
        let error = |text: &str| parse(text.as_bytes(), &mut Vec::new()).unwrap_err().to_string();
        assert_eq!(error(""), "line 1: the file is empty");
        assert_eq!(error("cpu  1 2 3 4\ncpu0 1 2 x 4\nintr 1\n"), "line 2: expected clock ticks, got \"x\"");
        assert_eq!(
            error("cpu  1 2 3 4\ncpu0 1 2 3\nintr 1\n"),
            "line 2: expected at least 4 numbers, got \"cpu0 1 2 3\""
        );
        assert_eq!(error("cpu  1 2 3 4\ncpuX 1 2 3 4\n"), "line 2: expected cpu and its number, got \"cpuX 1 2 3 4\"");
        assert_eq!(error("cpu  1 2 3 4\ncpu0 1 2 3 4\n"), "line 2: the file ends among the cpus; it was cut");
        assert_eq!(error("garbage\n"), "line 1: expected a line of a cpu, got \"garbage\"");
        assert_eq!(error("cpu  1 2 3 4\nintr 1\n"), "line 2: expected a line of a cpu, got \"intr 1\"");
    }

    #[test]
    fn no_text_makes_it_panic() {
        let mut cpu = cpu();
        let mut out = Recorder::new("test", 100_000);
        cut_everywhere("proc/stat", |text| {
            if parse(text, &mut cpu.readings).is_ok() {
                cpu.take();
                cpu.emit(&mut out);
                out.discard();
            }
        });
    }
}
