//! How long the host has been up, and since when, from `/proc/uptime` and `/proc/stat`.

use super::collector::{CollectError, Collector, Tick};
use super::definition::{Definition, Made};
use super::parse::{ParseError, f64, fields, lines, u64, whole};
use super::settings::Preset;
use crate::host::{HostPaths, KernelFile, ReadError, Scratch};
use crate::model::{Family, Item, Reading, Recorder, face};

static UPTIME: Reading = Reading {
    native: face(
        &Family::gauge("system_uptime_seconds", "seconds", "Time since the host was started, time asleep included."),
        &[],
    ),
    node: None,
    otel: face(&Family::gauge("system.uptime", "s", "Time since the host was started."), &[]),
};
static BOOT_TIME: Reading = Reading {
    native: face(
        &Family::gauge(
            "system_boot_time_seconds",
            "seconds",
            "When the host was started, in seconds since the UNIX epoch, by its own clock.",
        ),
        &[],
    ),
    node: face(
        &Family::gauge("node_boot_time_seconds", "", "When the host was started, in seconds since the UNIX epoch."),
        &[],
    ),
    otel: None,
};
static TIME: Reading = Reading {
    native: None,
    node: face(
        &Family::gauge("node_time_seconds", "", "What the host's clock says, in seconds since the UNIX epoch."),
        &[],
    ),
    otel: None,
};

/// Everything this collector may give.
static READINGS: &[&[Reading]] =
    &[std::slice::from_ref(&UPTIME), std::slice::from_ref(&BOOT_TIME), std::slice::from_ref(&TIME)];

/// What it says about itself.
pub static DEFINITION: Definition = Definition {
    name: "uptime",
    switch: "enable_uptime",
    about: "Uptime and boot time.",
    preset: Some(Preset::Basic),
    reads: &["/proc/uptime", "/proc/stat"],
    readings: READINGS,
    build: |parts| Made::Fast(Box::new(Uptime::new(parts.host))),
    ..Definition::PLAIN
};

/// How far the wall clock may move against the uptime before the boot time is read again.
const CLOCK_MOVED_SECONDS: f64 = 2.0;

/// The collector.
#[derive(Debug)]
pub struct Uptime {
    uptime: KernelFile,
    stat: KernelFile,
    boot: Option<Boot>,
    host: Item,
}

/// The kernel's boot time, and what told us that it is still the same.
#[derive(Clone, Copy, Debug)]
struct Boot {
    /// `None` where `/proc/stat` is not there, or does not say.
    time: Option<u64>,
    /// Wall clock minus uptime when it was read.
    clock: f64,
}

impl Uptime {
    /// Reads `/proc/uptime` and `/proc/stat` of `host`.
    pub fn new(host: &HostPaths) -> Uptime {
        Uptime {
            uptime: KernelFile::new(host.proc("uptime")).in_one_piece(),
            stat: KernelFile::new(host.proc("stat")),
            boot: None,
            host: Item::new(&[]),
        }
    }

    /// The boot time. It changes only when somebody sets the clock, and `/proc/stat` is the
    /// dearest file there is (it sums up every interrupt of every core), so it is read once,
    /// and again when the wall clock has moved.
    fn boot_time(&mut self, clock: f64, scratch: &mut Scratch) -> Result<Option<u64>, CollectError> {
        if let Some(boot) = self.boot {
            if (clock - boot.clock).abs() <= CLOCK_MOVED_SECONDS {
                return Ok(boot.time);
            }
        }
        let time = match self.stat.read(scratch) {
            Ok(text) => parse_boot_time(text).map_err(|error| error.of(self.stat.path()))?,
            Err(ReadError::Missing(_)) => None,
            Err(error) => return Err(error.into()),
        };
        self.boot = Some(Boot { time, clock });
        Ok(time)
    }
}

impl Collector for Uptime {
    fn collect(&mut self, tick: &Tick, scratch: &mut Scratch, out: &mut Recorder) -> Result<(), CollectError> {
        let text = self.uptime.read(scratch).map_err(CollectError::of_required)?;
        let uptime = parse(text).map_err(|error| error.of(self.uptime.path()))?;
        let wall = tick.wall_ms as f64 / 1000.0;
        let boot = self.boot_time(wall - uptime, scratch)?;
        let mut host = out.item(&self.host);
        host.push(&UPTIME, uptime);
        if let Some(boot) = boot {
            host.push(&BOOT_TIME, boot as f64);
        }
        host.push(&TIME, wall);
        Ok(())
    }
}

/// Seconds since the start, before the idle time of all cores:
///
/// ```text
/// 350735.47 234388.90
/// ```
///
/// See <https://www.kernel.org/doc/html/latest/filesystems/proc.html#kernel-data>.
pub fn parse(text: &[u8]) -> Result<f64, ParseError> {
    let field = fields(whole(text)?.trim_ascii_end()).next().unwrap_or_default();
    f64(field).ok_or_else(|| ParseError::expected(1, "seconds", field))
}

/// The boot time in seconds since the UNIX epoch, from its line of `/proc/stat`; none where the
/// kernel, or what shows its files to a container, does not say:
///
/// ```text
/// btime 1699181696
/// ```
pub fn parse_boot_time(text: &[u8]) -> Result<Option<u64>, ParseError> {
    for (line, content) in lines(whole(text)?) {
        if let Some(time) = content.strip_prefix(b"btime") {
            let time = fields(time).next().unwrap_or_default();
            return u64(time).map(Some).ok_or_else(|| ParseError::expected(line, "a boot time", content));
        }
    }
    Ok(None)
}

/// When the host was started, in milliseconds since the UNIX epoch; none where `/proc/stat`
/// does not say. For what begins with the host; the collector notices when the clock is set.
pub fn boot_ms(host: &HostPaths) -> Option<i64> {
    let mut scratch = Scratch::new();
    let mut stat = KernelFile::new(host.proc("stat"));
    let seconds = parse_boot_time(stat.read(&mut scratch).ok()?).ok()??;
    i64::try_from(seconds).ok()?.checked_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Folder, collect, collect_at, collect_at_as, cut_everywhere, owned, value};
    use super::*;
    use crate::model::Scheme;

    #[test]
    fn both_are_read() {
        let folder = Folder::new("uptime");
        folder.write("proc/uptime", "350735.47 234388.90\n");
        folder.write("proc/stat", "cpu  1 2 3 4\nintr 5\nctxt 1990473\nbtime 1699181696\nprocesses 3\n");
        let seen = collect(&mut Uptime::new(&folder.host())).unwrap();
        assert_eq!(value(&seen, "system_uptime_seconds"), Some(350735.47));
        assert_eq!(value(&seen, "system_boot_time_seconds"), Some(1699181696.0));
    }

    #[test]
    fn the_boot_time_is_read_again_when_the_clock_has_moved() {
        let folder = Folder::new("uptime-moved");
        folder.write("proc/uptime", "100.00 1.00\n");
        folder.write("proc/stat", "btime 1000\n");
        let mut uptime = Uptime::new(&folder.host());
        let boot = |uptime: &mut Uptime, ms| value(&collect_at(uptime, ms).unwrap(), "system_boot_time_seconds");
        assert_eq!(boot(&mut uptime, 1_100_000), Some(1000.0));
        folder.write("proc/stat", "btime 5000\n");
        folder.write("proc/uptime", "160.00 1.00\n");
        assert_eq!(boot(&mut uptime, 1_161_900), Some(1000.0), "60 s later, 1.9 s of it slewed");
        assert_eq!(boot(&mut uptime, 1_162_100), Some(5000.0), "2.1 s against the uptime");
    }

    #[test]
    fn the_boot_time_by_itself_is_known_where_the_kernel_gives_it() {
        let folder = Folder::new("uptime-boot");
        assert_eq!(boot_ms(&folder.host()), None);
        folder.write("proc/stat", "cpu  1 2 3 4\nbtime 1699181696\nprocesses 3\n");
        assert_eq!(boot_ms(&folder.host()), Some(1_699_181_696_000));
        folder.write("proc/stat", "btime x\n");
        assert_eq!(boot_ms(&folder.host()), None);
    }

    #[test]
    fn without_a_boot_time_there_is_still_an_uptime() {
        let folder = Folder::new("uptime-alone");
        folder.write("proc/uptime", "100.00 1.00\n");
        let alone = [("system_uptime_seconds".to_owned(), 100.0)];
        assert_eq!(collect(&mut Uptime::new(&folder.host())).unwrap(), alone);
        folder.write("proc/stat", "cpu  1 2 3 4\ncpu0 1 2 3 4\nintr 5\nctxt 6\nprocesses 3\n");
        assert_eq!(collect(&mut Uptime::new(&folder.host())).unwrap(), alone);
        folder.write("proc/stat", "cpu  1 2 3 4\nbtime x\n");
        let error = collect(&mut Uptime::new(&folder.host())).unwrap_err().to_string();
        assert!(error.ends_with("stat line 2: expected a boot time, got \"btime x\""), "{error}");
    }

    #[test]
    fn each_scheme_has_its_times() {
        let folder = Folder::new("uptime-schemes");
        folder.write("proc/uptime", "350735.47 234388.90\n");
        folder.write("proc/stat", "cpu  1 2 3 4\nbtime 1699181696\n");
        let seen = |scheme| collect_at_as(scheme, &mut Uptime::new(&folder.host()), 1_699_532_431_250).unwrap();
        let node = [("node_boot_time_seconds", 1_699_181_696.0), ("node_time_seconds", 1_699_532_431.25)];
        assert_eq!(seen(Scheme::NodeExporter), owned(&node));
        assert_eq!(seen(Scheme::Otel), owned(&[("system.uptime", 350_735.47)]));
    }

    #[test]
    fn what_is_cut_or_garbage_is_refused() {
        for bad in ["", "\n", "12.5", "x 1\n", "-3.0 1\n"] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
        for bad in ["", "btime 16991", "btime x\n", "btime\n", "cpu 1\nbtime 1699"] {
            assert!(parse_boot_time(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert_eq!(parse_boot_time(b"cpu 1\n"), Ok(None));
    }

    #[test]
    fn no_text_makes_it_panic() {
        cut_everywhere("proc/uptime", |text| drop(parse(text)));
        cut_everywhere("proc/stat", |text| drop(parse_boot_time(text)));
    }
}
