//! CPU time by core and mode, and usage between two rounds, from `/proc/stat`.

use super::collector::{CollectError, Collector, Tick};
use super::keyed;
use super::parse::{ParseError, fields, lines, u64};
use super::settings::Settings;
use crate::fields::{DefaultValue, Field, Takes};
use crate::host::{HostPaths, KernelFile, Scratch, user_hz};
use crate::model::{Labels, Metric, Recorder};

static USAGE: Metric = Metric::gauge(
    "system_cpu_usage_percent",
    "percent",
    "Share of a core's time since the last collection that was neither idle nor waiting for I/O.",
);
static USAGE_TOTAL: Metric = Metric::gauge(
    "system_cpu_usage_total_percent",
    "percent",
    "Share of all cores' time since the last collection that was neither idle nor waiting for I/O.",
);
static COUNT: Metric = Metric::gauge("system_cpu_count", "", "Logical CPUs that are online.");
static SECONDS: Metric = Metric::counter(
    "system_cpu_seconds_total",
    "seconds",
    "Time that a core spent in each mode; guest time is not part of user and nice, so the modes add up to all time.",
);

/// Everything this collector may emit.
pub static METRICS: &[&Metric] = &[&USAGE, &USAGE_TOTAL, &COUNT, &SECONDS];

/// Its fields of `collector`.
pub static FIELDS: [Field<Settings>; 1] = [Field::new(
    "enable_cpu",
    Takes::Bool(|s, on| s.enable_cpu = on),
    DefaultValue::Bool(true),
    "CPU usage and seconds by mode.",
)];

/// The modes in the kernel's column order.
const MODES: [&str; COLUMNS] =
    ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice"];

const COLUMNS: usize = 10;
const USER: usize = 0;
const NICE: usize = 1;
const IDLE: usize = 3;
const IOWAIT: usize = 4;
const GUEST: usize = 8;
const GUEST_NICE: usize = 9;

/// The oldest kernels give user, nice, system and idle.
const LEAST_COLUMNS: usize = 4;

/// A counter that steps back by more than this was reset, by less it is the kernel's
/// rounding: idle and iowait are estimates on a tickless core and may shrink a little,
/// while a core that went offline and came back starts them from another base.
const RESET_SECONDS: u64 = 3;

/// The collector.
#[derive(Debug)]
pub struct Cpu {
    file: KernelFile,
    /// Clock ticks a second.
    hz: u64,
    readings: Vec<Reading>,
    cores: Vec<Core>,
}

/// What is remembered of a core.
#[derive(Debug)]
struct Core {
    number: u32,
    labels: Labels,
    mode_labels: [Labels; COLUMNS],
    columns: usize,
    /// The highest reading of each mode since the last reset: what is emitted.
    ticks: [u64; COLUMNS],
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
            cores: Vec::new(),
        }
    }

    fn read(&mut self, scratch: &mut Scratch) -> Result<(), CollectError> {
        let text = self.file.read(scratch).map_err(CollectError::of_required)?;
        parse(text, &mut self.readings).map_err(|error| error.of(self.file.path()))?;
        self.take();
        Ok(())
    }

    /// Brings the cores up to date with the readings.
    fn take(&mut self) {
        for (at, reading) in self.readings.iter().enumerate() {
            let same = |core: &Core| core.number == reading.number;
            keyed::entry(&mut self.cores, at, same, || Core::new(reading.number)).take(reading, self.hz);
        }
        self.cores.truncate(self.readings.len());
    }

    fn emit(&self, out: &mut Recorder) {
        let percent = |busy: u64, all: u64| busy as f64 / all as f64 * 100.0;
        let (mut busy, mut all) = (0, 0);
        for core in &self.cores {
            if let Some((core_busy, core_all)) = core.passed {
                out.push(&USAGE, &core.labels, percent(core_busy, core_all));
                busy += core_busy;
                all += core_all;
            }
        }
        // The sum of the cores, not the file's first line: that one counts offline cores
        // too, and jumps when one of them comes or goes.
        if all > 0 {
            out.push(&USAGE_TOTAL, &Labels::EMPTY, percent(busy, all));
        }
        out.push(&COUNT, &Labels::EMPTY, self.cores.len() as f64);
        for core in &self.cores {
            for mode in 0..core.columns {
                out.push(&SECONDS, &core.mode_labels[mode], core.ticks[mode] as f64 / self.hz as f64);
            }
        }
    }
}

impl Core {
    fn new(number: u32) -> Core {
        let core = number.to_string();
        Core {
            number,
            labels: Labels::of(&[("core", &core)]),
            mode_labels: MODES.map(|mode| Labels::of(&[("core", &core), ("mode", mode)])),
            columns: 0,
            ticks: [0; COLUMNS],
            passed: None,
            fresh: true,
        }
    }

    fn take(&mut self, reading: &Reading, hz: u64) {
        let now = reading.exclusive();
        let reset = self.fresh || now.iter().zip(&self.ticks).any(|(now, last)| now + RESET_SECONDS * hz < *last);
        self.columns = reading.columns;
        if reset {
            self.fresh = false;
            self.ticks = now;
            self.passed = None;
            return;
        }
        let (mut busy, mut all) = (0, 0);
        for (mode, (last, now)) in self.ticks.iter_mut().zip(now).enumerate() {
            let passed = now.saturating_sub(*last);
            *last += passed;
            all += passed;
            if mode != IDLE && mode != IOWAIT {
                busy += passed;
            }
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
pub struct Reading {
    /// As the kernel numbers it; numbers may have gaps.
    pub number: u32,
    /// How many columns this kernel gives, of [`Reading::ticks`].
    pub columns: usize,
    /// As read, in `USER_HZ`: user and nice still contain guest and guest_nice.
    pub ticks: [u64; COLUMNS],
}

impl Reading {
    /// The ticks with guest time taken out of user, and guest_nice out of nice: the kernel
    /// counts it in both, and a sum over the modes must count it once.
    fn exclusive(&self) -> [u64; COLUMNS] {
        let mut ticks = self.ticks;
        ticks[USER] = ticks[USER].saturating_sub(ticks[GUEST]);
        ticks[NICE] = ticks[NICE].saturating_sub(ticks[GUEST_NICE]);
        // Garbage may hold numbers near the type's end; sums over cores and modes must not overflow.
        ticks.map(|t| t.min(u64::MAX >> 24))
    }
}

/// The lines of the cores that are online, from the start of `/proc/stat`:
///
/// ```text
/// cpu  17939 0 3449 219407 409 0 37 10 0 0
/// cpu0 5937 0 1421 113143 60 0 9 4 0 0
/// cpu1 12001 0 2027 106263 349 0 27 6 0 0
/// intr 215853 0 0 ...
/// ```
///
/// Columns: user, nice, system, idle, and since 2.6 iowait, irq, softirq, steal, guest,
/// guest_nice, in units of `USER_HZ`; more than ten are ignored. See
/// <https://www.kernel.org/doc/html/latest/filesystems/proc.html#miscellaneous-kernel-statistics-in-proc-stat>.
///
/// Reading stops at the first other line: the `intr` line alone holds thousands of numbers
/// on a large machine. That line has to be there, though: a file that ends with a core was
/// cut, and who knows how many cores are missing. A line of a core that is not understood
/// makes the whole text an error, since a core that is left out would look unplugged.
pub fn parse(text: &[u8], readings: &mut Vec<Reading>) -> Result<(), ParseError> {
    readings.clear();
    if text.is_empty() {
        return Err(ParseError { line: 1, what: "the file is empty".to_owned() });
    }
    for (line, content) in lines(text) {
        let Some(rest) = content.strip_prefix(b"cpu") else {
            return match readings.is_empty() {
                true => Err(ParseError::expected(line, "a line of a cpu", content)),
                false => Ok(()),
            };
        };
        if rest.first() == Some(&b' ') && line == 1 {
            continue;
        }
        let mut columns = fields(rest);
        let number = columns
            .next()
            .and_then(u64)
            .and_then(|number| u32::try_from(number).ok())
            .ok_or_else(|| ParseError::expected(line, "cpu and its number", content))?;
        let mut reading = Reading { number, columns: 0, ticks: [0; COLUMNS] };
        for (at, field) in columns.take(COLUMNS).enumerate() {
            reading.ticks[at] = u64(field).ok_or_else(|| ParseError::expected(line, "clock ticks", field))?;
            reading.columns = at + 1;
        }
        if reading.columns < LEAST_COLUMNS {
            return Err(ParseError::expected(line, "at least 4 numbers", content));
        }
        readings.push(reading);
    }
    Err(ParseError { line: lines(text).count(), what: "the file ends among the cpus; it was cut".to_owned() })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{collect, cut_everywhere, fixture, have_fixtures, samples, value};
    use super::*;

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
        assert_eq!(MODES.iter().filter_map(|mode| seconds(mode)).sum::<f64>(), 3.0);
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
        let reset = round(&mut cpu, "cpu0 5 0 0 20 0 0 0 0 0 0\nintr 1\n");
        assert_eq!(value(&reset, "system_cpu_seconds_total{core=0,mode=user}"), Some(0.05));
        assert_eq!(value(&reset, "system_cpu_usage_percent{core=0}"), None);
        assert_eq!(value(&reset, "system_cpu_usage_total_percent"), None);
        let next = round(&mut cpu, "cpu0 55 0 0 70 0 0 0 0 0 0\nintr 1\n");
        assert_eq!(value(&next, "system_cpu_usage_percent{core=0}"), Some(50.0));
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
