//! Memory and swap, from `/proc/meminfo`.

use super::collector::{CollectError, Collector, Tick};
use super::parse::{ParseError, fields, lines, u64, whole};
use super::settings::Settings;
use crate::fields::{DefaultValue, Field, Takes};
use crate::host::{HostPaths, KernelFile, Scratch};
use crate::model::{Labels, Metric, Recorder};

static TOTAL: Metric = Metric::gauge("system_memory_total_bytes", "bytes", "Memory that the kernel can use.");
static USED: Metric = Metric::gauge("system_memory_used_bytes", "bytes", "Total less available memory.");
static AVAILABLE: Metric = Metric::gauge(
    "system_memory_available_bytes",
    "bytes",
    "Memory that programs can have without swapping: free, and what caches would give back.",
);
static USAGE: Metric = Metric::gauge("system_memory_usage_percent", "percent", "Share of the memory that is used.");
static SWAP_TOTAL: Metric = Metric::gauge("system_swap_total_bytes", "bytes", "Size of all swap areas.");
static SWAP_USED: Metric = Metric::gauge("system_swap_used_bytes", "bytes", "Swap that is in use.");
static SWAP_USAGE: Metric =
    Metric::gauge("system_swap_usage_percent", "percent", "Share of the swap that is in use; 0 where there is none.");

/// Everything this collector may emit.
pub static METRICS: &[&Metric] = &[&TOTAL, &USED, &AVAILABLE, &USAGE, &SWAP_TOTAL, &SWAP_USED, &SWAP_USAGE];

/// Its fields of `collector`.
pub static FIELDS: [Field<Settings>; 1] = [Field::new(
    "enable_memory",
    Takes::Bool(|s, on| s.enable_memory = on),
    DefaultValue::Bool(true),
    "Memory and swap.",
)];

/// The collector.
#[derive(Debug)]
pub struct Memory {
    file: KernelFile,
}

impl Memory {
    /// Reads `/proc/meminfo` of `host`.
    pub fn new(host: &HostPaths) -> Memory {
        Memory { file: KernelFile::new(host.proc("meminfo")).in_one_piece() }
    }
}

impl Collector for Memory {
    fn collect(&mut self, _tick: &Tick, scratch: &mut Scratch, out: &mut Recorder) -> Result<(), CollectError> {
        let text = self.file.read(scratch).map_err(CollectError::of_required)?;
        let memory = parse(text).map_err(|error| error.of(self.file.path()))?;
        emit(&memory, out);
        Ok(())
    }
}

fn emit(memory: &MemInfo, out: &mut Recorder) {
    let none = &Labels::EMPTY;
    out.push(&TOTAL, none, memory.total as f64);
    if let Some(available) = memory.available() {
        // In some containers the two come from different places and available is the larger.
        let used = memory.total.saturating_sub(available);
        out.push(&USED, none, used as f64);
        out.push(&AVAILABLE, none, available as f64);
        if memory.total > 0 {
            out.push(&USAGE, none, used as f64 / memory.total as f64 * 100.0);
        }
    }
    if let Some(total) = memory.swap_total {
        out.push(&SWAP_TOTAL, none, total as f64);
        if let Some(free) = memory.swap_free {
            let used = total.saturating_sub(free);
            out.push(&SWAP_USED, none, used as f64);
            let percent = if total > 0 { used as f64 / total as f64 * 100.0 } else { 0.0 };
            out.push(&SWAP_USAGE, none, percent);
        }
    }
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
    pub shared: Option<u64>,
    pub swap_total: Option<u64>,
    pub swap_free: Option<u64>,
}

impl MemInfo {
    /// What programs can have without swapping. Kernels before 3.14 do not say, and then it
    /// is free memory and caches, without shared memory, which counts as cache but can't be
    /// dropped.
    pub fn available(&self) -> Option<u64> {
        self.available.or_else(|| {
            let caches = self.buffers?.saturating_add(self.cached?).saturating_add(self.reclaimable.unwrap_or(0));
            Some(self.free?.saturating_add(caches).saturating_sub(self.shared.unwrap_or(0)).min(self.total))
        })
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
/// A text that was cut at the end of a line would pass for one of a kernel that knows fewer
/// fields, and what it seems to leave for programs would be wrong. So the text has to reach
/// beyond what is taken of it: to `Dirty`, which every kernel prints behind the swap, and
/// without `MemAvailable` also to `SUnreclaim`, the first one behind the caches.
pub fn parse(text: &[u8]) -> Result<MemInfo, ParseError> {
    let mut info = MemInfo::default();
    let mut total = None;
    let (mut beyond_swap, mut beyond_caches) = (false, false);
    let mut last = 1;
    for (line, content) in lines(whole(text)?) {
        last = line;
        let Some(colon) = content.iter().position(|b| *b == b':') else { continue };
        let (name, rest) = content.split_at(colon);
        beyond_swap |= name == b"Dirty";
        beyond_caches |= name == b"SUnreclaim";
        let field = match name {
            b"MemTotal" => &mut total,
            b"MemAvailable" => &mut info.available,
            b"MemFree" => &mut info.free,
            b"Buffers" => &mut info.buffers,
            b"Cached" => &mut info.cached,
            b"SReclaimable" => &mut info.reclaimable,
            b"Shmem" => &mut info.shared,
            b"SwapTotal" => &mut info.swap_total,
            b"SwapFree" => &mut info.swap_free,
            _ => continue,
        };
        let mut words = fields(&rest[1..]);
        let number = words.next().and_then(u64);
        *field = match (number, words.next()) {
            (Some(kib), Some(b"kB")) => Some(kib.saturating_mul(1024)),
            _ => return Err(ParseError::expected(line, "a size in kB", content)),
        };
    }
    let without = |field| ParseError { line: last, what: format!("the file ends without {field}") };
    info.total = total.ok_or_else(|| without("MemTotal"))?;
    if !beyond_swap {
        return Err(without("Dirty"));
    }
    if info.available.is_none() && !beyond_caches {
        return Err(without("MemAvailable and SUnreclaim"));
    }
    Ok(info)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{collect, cut_everywhere, fixture, have_fixtures, samples, value};
    use super::*;

    /// What is emitted of `text` and of the lines that end every kernel's file.
    fn seen(text: &str) -> Vec<(String, f64)> {
        let info = parse(format!("{text}Dirty: 9 kB\nSUnreclaim: 9 kB\n").as_bytes()).unwrap();
        samples(|out| emit(&info, out))
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
        assert!(matches!(collect(&mut Memory::new(&fixture("torn"))), Err(CollectError::Failed(_))));
    }

    #[test]
    fn bad_numbers_are_quoted() {
        let error = |text: &str| parse(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(error("MemTotal: x kB\n"), "line 1: expected a size in kB, got \"MemTotal: x kB\"");
        assert_eq!(error("MemTotal: 1\n"), "line 1: expected a size in kB, got \"MemTotal: 1\"");
        assert_eq!(error("MemTotal: 1 kB\nMemFr"), "line 2: expected a whole line, got \"MemFr\"");
    }

    #[test]
    fn a_text_that_is_cut_at_the_end_of_a_line_is_not_taken_for_an_old_kernels() {
        let error = |text: &str| parse(text.as_bytes()).unwrap_err().to_string();
        let old = "MemTotal: 9 kB\nMemFree: 1 kB\n";
        assert_eq!(error(old), "line 2: the file ends without Dirty");
        assert_eq!(error(&format!("{old}Dirty: 0 kB\n")), "line 3: the file ends without MemAvailable and SUnreclaim");
    }

    #[test]
    fn every_cut_gives_nothing_or_what_the_whole_gives() {
        for host in ["vm", "numa64", "container-v1", "old-kernel", "arm-board"] {
            let Ok(text) = std::fs::read(fixture(host).proc("meminfo")) else { return };
            let emitted = |info: MemInfo| samples(|out| emit(&info, out));
            let whole = emitted(parse(&text).unwrap());
            for at in 0..text.len() {
                let cut = parse(&text[..at]).map(emitted);
                assert!(cut.clone().is_ok_and(|cut| cut == whole) || cut.is_err(), "{host}: {at} bytes: {cut:?}");
            }
        }
    }

    #[test]
    fn no_text_makes_it_panic() {
        cut_everywhere("proc/meminfo", |text| {
            if let Ok(info) = parse(text) {
                samples(|out| emit(&info, out));
            }
        });
    }
}
