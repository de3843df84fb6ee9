//! What this process itself costs: the `process_*` metrics, under the names that every
//! Prometheus client library gives them.
//!
//! Always from the process's own `/proc`, never from the host's that the collectors read.

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::TimeValLike;
use nix::unistd::{SysconfVar, sysconf};

use crate::host::{KernelFile, Scratch};
use crate::model::{Family, Item, Reading, Recorder, everywhere};

static CPU: Reading = everywhere!(
    &Family::counter("process_cpu_seconds_total", "seconds", "Total user and system CPU time spent in seconds."),
    &[]
);
static RESIDENT: Reading =
    everywhere!(&Family::gauge("process_resident_memory_bytes", "bytes", "Resident memory size in bytes."), &[]);
static VIRTUAL: Reading =
    everywhere!(&Family::gauge("process_virtual_memory_bytes", "bytes", "Virtual memory size in bytes."), &[]);
static VIRTUAL_MAX: Reading = everywhere!(
    &Family::gauge("process_virtual_memory_max_bytes", "bytes", "Maximum amount of virtual memory available in bytes."),
    &[]
);
static OPEN_FDS: Reading = everywhere!(&Family::gauge("process_open_fds", "", "Number of open file descriptors."), &[]);
static MAX_FDS: Reading =
    everywhere!(&Family::gauge("process_max_fds", "", "Maximum number of open file descriptors."), &[]);
static THREADS: Reading =
    everywhere!(&Family::gauge("process_threads", "", "Number of OS threads in the process."), &[]);
static START_TIME: Reading = everywhere!(
    &Family::gauge(
        "process_start_time_seconds",
        "seconds",
        "Start time of the process since the UNIX epoch in seconds."
    ),
    &[]
);

/// How many metrics [`Process::record`] gives at most.
pub(super) const SERIES: usize = 8;

/// Reads this process's own figures.
#[derive(Debug)]
pub(super) struct Process {
    stat: KernelFile,
    scratch: Scratch,
    item: Item,
}

impl Process {
    pub(super) fn new() -> Process {
        Process {
            stat: KernelFile::new("/proc/self/stat"),
            scratch: Scratch::new(),
            item: Item::of_kind("process", &[]),
        }
    }

    /// Pushes what can be read; what cannot is left out.
    pub(super) fn record(&mut self, started_wall_ms: i64, out: &mut Recorder) {
        let mut out = out.item(&self.item);
        let mut push = |reading: &'static Reading, value: f64| out.push(reading, value);
        // The same clock as utime and stime in stat, in microseconds rather than in ticks of 10 ms.
        if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
            let used = usage.user_time() + usage.system_time();
            push(&CPU, used.num_microseconds() as f64 / 1e6);
        }
        if let Some(stat) = self.stat.read(&mut self.scratch).ok().and_then(parse_stat) {
            if let Ok(Some(page)) = sysconf(SysconfVar::PAGE_SIZE) {
                push(&RESIDENT, stat.resident_pages as f64 * page as f64);
            }
            push(&VIRTUAL, stat.virtual_bytes as f64);
            push(&THREADS, stat.threads as f64);
        }
        // "Unlimited" is the largest number there is, as the Go client has it as well.
        if let Ok((soft, _)) = getrlimit(Resource::RLIMIT_AS) {
            push(&VIRTUAL_MAX, soft as f64);
        }
        if let Ok(entries) = std::fs::read_dir("/proc/self/fd") {
            // One of them is the directory that is being read.
            push(&OPEN_FDS, entries.count().saturating_sub(1) as f64);
        }
        if let Ok((soft, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
            push(&MAX_FDS, soft as f64);
        }
        push(&START_TIME, started_wall_ms as f64 / 1000.0);
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    threads: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

/// `/proc/<pid>/stat`, <https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>:
///
/// ```text
/// 1164 (metricsd) S 1 1164 1164 0 -1 4194304 ... 20 0 5 0 8411 7405568 512 ...
///                                                     |          |     resident pages (24)
///                                                     threads (20)  virtual bytes (23)
/// ```
///
/// The second field may itself hold blanks and parentheses; the last `)` of the line ends it.
fn parse_stat(bytes: &[u8]) -> Option<Stat> {
    let text = std::str::from_utf8(&bytes[bytes.iter().rposition(|b| *b == b')')? + 1..]).ok()?;
    let mut fields = text.split_ascii_whitespace();
    // The first one here is the third of the line.
    let threads = fields.nth(20 - 3)?.parse().ok()?;
    let virtual_bytes = fields.nth(23 - 20 - 1)?.parse().ok()?;
    let resident_pages = fields.next()?.parse().ok()?;
    // A number at the very end may have been cut short.
    fields.next()?;
    Some(Stat { threads, virtual_bytes, resident_pages })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Scheme;

    const LINE: &[u8] = b"1164 (a) b) (c) S 1 1164 1164 0 -1 4194304 220 0 0 0 17 4 0 0 20 0 5 0 8411 7405568 512 \
        18446744073709551615 1 1 0 0 0 0 0 4096 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n";

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        assert_eq!(parse_stat(LINE), Some(Stat { threads: 5, virtual_bytes: 7405568, resident_pages: 512 }));
    }

    #[test]
    fn a_torn_line_gives_the_whole_truth_or_nothing() {
        let whole = parse_stat(LINE);
        for end in 0..LINE.len() {
            let torn = parse_stat(&LINE[..end]);
            assert!(torn.is_none() || torn == whole, "cut at {end}: {torn:?}");
        }
    }

    #[test]
    fn this_process_has_all_of_its_figures() {
        let mut out = Recorder::new("process", SERIES);
        Process::new().record(1_700_000_000_500, &mut out);
        let frame = out.finish(0);
        assert_eq!(out.take_refused().max_series, 0);
        let all = frame.parts().flat_map(|(chunk, values)| chunk.readings().iter().zip(values));
        let all: Vec<(&str, f64)> = all.map(|(r, v)| (r.face(Scheme::Native).unwrap().family.name, *v)).collect();
        let value = |name: &str| all.iter().find(|(of, _)| *of == name).map(|(_, value)| *value);
        assert_eq!(value("process_start_time_seconds"), Some(1_700_000_000.5));
        assert!(value("process_resident_memory_bytes").unwrap() > 100_000.0);
        assert!(value("process_virtual_memory_bytes") > value("process_resident_memory_bytes"));
        assert!(value("process_threads").unwrap() >= 1.0);
        assert!(value("process_open_fds").unwrap() >= 3.0);
        assert!(value("process_max_fds") > value("process_open_fds"));
        assert_eq!(all.len(), SERIES);
    }
}
