//! Load averages, from `/proc/loadavg`.

use super::collector::{CollectError, Collector, Tick};
use super::definition::{Definition, Made};
use super::parse::{ParseError, f64, fields, whole};
use super::settings::Preset;
use crate::host::{HostPaths, KernelFile, Scratch};
use crate::model::{Family, Item, Reading, Recorder, face};

static LOAD: [Reading; 3] = [
    Reading {
        native: face(
            &Family::gauge(
                "system_load_1m",
                "",
                "Tasks that run, or wait for a CPU or a disk: average over one minute.",
            ),
            &[],
        ),
        node: face(&Family::gauge("node_load1", "", "Tasks that run or wait: average over 1 minute."), &[]),
        otel: face(
            &Family::gauge("system.cpu.load_average.1m", "{thread}", "Tasks that run or wait: average over 1 minute."),
            &[],
        ),
    },
    Reading {
        native: face(
            &Family::gauge(
                "system_load_5m",
                "",
                "Tasks that run, or wait for a CPU or a disk: average over five minutes.",
            ),
            &[],
        ),
        node: face(&Family::gauge("node_load5", "", "Tasks that run or wait: average over 5 minutes."), &[]),
        otel: face(
            &Family::gauge("system.cpu.load_average.5m", "{thread}", "Tasks that run or wait: average over 5 minutes."),
            &[],
        ),
    },
    Reading {
        native: face(
            &Family::gauge(
                "system_load_15m",
                "",
                "Tasks that run, or wait for a CPU or a disk: average over fifteen minutes.",
            ),
            &[],
        ),
        node: face(&Family::gauge("node_load15", "", "Tasks that run or wait: average over 15 minutes."), &[]),
        otel: face(
            &Family::gauge(
                "system.cpu.load_average.15m",
                "{thread}",
                "Tasks that run or wait: average over 15 minutes.",
            ),
            &[],
        ),
    },
];

/// Everything this collector may give.
static READINGS: &[&[Reading]] = &[&LOAD];

/// What it says about itself.
pub static DEFINITION: Definition = Definition {
    name: "load",
    switch: "enable_load",
    about: "Load averages.",
    preset: Some(Preset::Basic),
    reads: &["/proc/loadavg"],
    readings: READINGS,
    build: |parts| Made::Fast(Box::new(Load::new(parts.host))),
    ..Definition::PLAIN
};

/// The collector.
#[derive(Debug)]
pub struct Load {
    file: KernelFile,
    host: Item,
}

impl Load {
    /// Reads `/proc/loadavg` of `host`.
    pub fn new(host: &HostPaths) -> Load {
        Load { file: KernelFile::new(host.proc("loadavg")).in_one_piece(), host: Item::new(&[]) }
    }
}

impl Collector for Load {
    fn collect(&mut self, _tick: &Tick, scratch: &mut Scratch, out: &mut Recorder) -> Result<(), CollectError> {
        let text = self.file.read(scratch).map_err(CollectError::of_required)?;
        let averages = parse(text).map_err(|error| error.of(self.file.path()))?;
        let mut host = out.item(&self.host);
        for (reading, average) in LOAD.iter().zip(averages) {
            host.push(reading, average);
        }
        Ok(())
    }
}

/// The averages over 1, 5 and 15 minutes:
///
/// ```text
/// 0.20 0.18 0.12 1/80 11206
/// ```
///
/// Then follow running and all tasks, and the newest process's number. See
/// <https://www.kernel.org/doc/html/latest/filesystems/proc.html#kernel-data>. A number that
/// is not understood makes the whole text an error.
pub fn parse(text: &[u8]) -> Result<[f64; 3], ParseError> {
    let mut numbers = fields(whole(text)?.trim_ascii_end());
    let mut averages = [0.0; 3];
    for average in &mut averages {
        let field = numbers.next().unwrap_or_default();
        *average = f64(field).ok_or_else(|| ParseError::expected(1, "a load average", field))?;
    }
    Ok(averages)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Folder, collect, collect_as, cut_everywhere, owned};
    use super::*;
    use crate::model::Scheme;

    #[test]
    fn the_three_averages_are_read() {
        let folder = Folder::new("load");
        folder.write("proc/loadavg", "0.20 1.18 12.12 1/80 11206\n");
        let seen = |scheme| collect_as(scheme, &mut Load::new(&folder.host()));
        let expected = [("system_load_1m", 0.2), ("system_load_5m", 1.18), ("system_load_15m", 12.12)];
        assert_eq!(seen(Scheme::Native), owned(&expected));
        let expected = [("node_load1", 0.2), ("node_load5", 1.18), ("node_load15", 12.12)];
        assert_eq!(seen(Scheme::NodeExporter), owned(&expected));
        let average = |minutes| format!("system.cpu.load_average.{minutes}m");
        let expected = [(average(1), 0.2), (average(5), 1.18), (average(15), 12.12)];
        assert_eq!(seen(Scheme::Otel), expected);
    }

    #[test]
    fn what_is_cut_or_garbage_is_refused() {
        let error = |text: &str| parse(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(error(""), "line 1: the file is empty");
        assert_eq!(error("0.20 0.18 0.1"), "line 1: expected a whole line, got \"0.20 0.18 0.1\"");
        assert_eq!(error("0.20 0.18\n"), "line 1: expected a load average, got \"\"");
        assert_eq!(error("0.20 x 0.18\n"), "line 1: expected a load average, got \"x\"");
        assert_eq!(error("0.20 -1.0 0.18\n"), "line 1: expected a load average, got \"-1.0\"");
    }

    #[test]
    fn a_missing_file_is_a_failure() {
        let folder = Folder::new("load-missing");
        assert!(matches!(collect(&mut Load::new(&folder.host())), Err(CollectError::Failed(_))));
    }

    #[test]
    fn no_text_makes_it_panic() {
        cut_everywhere("proc/loadavg", |text| drop(parse(text)));
    }
}
