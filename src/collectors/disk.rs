//! I/O of block devices, from `/proc/diskstats`.

use std::path::{Path, PathBuf};

use super::collector::{CollectError, Collector, Tick};
use super::definition::{Definition, Made};
use super::filter::{EXCLUDE, Filter, INCLUDE};
use super::keyed::{Keyed, Table};
use super::parse::{ParseError, fields, lines, whole};
use super::settings::{COMMON, Given, Preset};
use crate::fields::{self, DefaultValue, Field, Inner};
use crate::host::{HostPaths, KernelFile, Scratch};
use crate::model::{Family, Item, Kind, Label, Reading, Recorder, face, scaled};

const DEVICE: &[Label] = &[Label::key("device", 0)];
const READ: &[Label] = &[Label::key("device", 0), Label::constant("direction", "read")];
const WRITE: &[Label] = &[Label::key("device", 0), Label::constant("direction", "write")];

/// The kernel's columns of times are in milliseconds.
const MS: f64 = 0.001;

/// One for each of the kernel's columns, in their order.
static COLUMNS: [Reading; 17] = [
    Reading {
        native: face(&Family::counter("system_disk_read_count_total", "", "Reads that the device completed."), DEVICE),
        node: face(&Family::counter("node_disk_reads_completed_total", "", "Reads that the device completed."), DEVICE),
        otel: face(
            &Family::counter("system.disk.operations", "{operations}", "Operations that the device completed."),
            READ,
        ),
    },
    Reading {
        native: None,
        node: face(
            &Family::counter("node_disk_reads_merged_total", "", "Reads that were merged with another one."),
            DEVICE,
        ),
        otel: face(
            &Family::counter("system.disk.merged", "{operations}", "Operations that were merged with another one."),
            READ,
        ),
    },
    Reading {
        native: scaled(
            &Family::counter("system_disk_read_bytes_total", "bytes", "Bytes that were read from the device."),
            DEVICE,
            SECTOR_BYTES,
        ),
        node: scaled(
            &Family::counter("node_disk_read_bytes_total", "", "Bytes that were read from the device."),
            DEVICE,
            SECTOR_BYTES,
        ),
        otel: scaled(
            &Family::counter("system.disk.io", "By", "Bytes that went to and from the device."),
            READ,
            SECTOR_BYTES,
        ),
    },
    Reading {
        native: None,
        node: scaled(
            &Family::counter("node_disk_read_time_seconds_total", "", "Time that all reads took together."),
            DEVICE,
            MS,
        ),
        otel: scaled(
            &Family::counter("system.disk.operation_time", "s", "Time that all operations took together."),
            READ,
            MS,
        ),
    },
    Reading {
        native: face(
            &Family::counter("system_disk_write_count_total", "", "Writes that the device completed."),
            DEVICE,
        ),
        node: face(
            &Family::counter("node_disk_writes_completed_total", "", "Writes that the device completed."),
            DEVICE,
        ),
        otel: face(
            &Family::counter("system.disk.operations", "{operations}", "Operations that the device completed."),
            WRITE,
        ),
    },
    Reading {
        native: None,
        node: face(
            &Family::counter("node_disk_writes_merged_total", "", "Writes that were merged with another one."),
            DEVICE,
        ),
        otel: face(
            &Family::counter("system.disk.merged", "{operations}", "Operations that were merged with another one."),
            WRITE,
        ),
    },
    Reading {
        native: scaled(
            &Family::counter("system_disk_write_bytes_total", "bytes", "Bytes that were written to the device."),
            DEVICE,
            SECTOR_BYTES,
        ),
        node: scaled(
            &Family::counter("node_disk_written_bytes_total", "", "Bytes that were written to the device."),
            DEVICE,
            SECTOR_BYTES,
        ),
        otel: scaled(
            &Family::counter("system.disk.io", "By", "Bytes that went to and from the device."),
            WRITE,
            SECTOR_BYTES,
        ),
    },
    Reading {
        native: None,
        node: scaled(
            &Family::counter("node_disk_write_time_seconds_total", "", "Time that all writes took together."),
            DEVICE,
            MS,
        ),
        otel: scaled(
            &Family::counter("system.disk.operation_time", "s", "Time that all operations took together."),
            WRITE,
            MS,
        ),
    },
    Reading {
        native: None,
        node: face(&Family::gauge("node_disk_io_now", "", "Operations under way."), DEVICE),
        otel: face(
            &Family::new(Kind::UpDown, "system.disk.pending_operations", "{operations}", "Operations under way."),
            DEVICE,
        ),
    },
    Reading {
        native: None,
        node: scaled(
            &Family::counter("node_disk_io_time_seconds_total", "", "Time with at least one operation under way."),
            DEVICE,
            MS,
        ),
        otel: scaled(
            &Family::counter("system.disk.io_time", "s", "Time with at least one operation under way."),
            DEVICE,
            MS,
        ),
    },
    Reading {
        native: None,
        node: scaled(
            &Family::counter(
                "node_disk_io_time_weighted_seconds_total",
                "",
                "Time with operations under way, each counted.",
            ),
            DEVICE,
            MS,
        ),
        otel: scaled(
            &Family::counter("system.disk.weighted_io_time", "s", "Time with operations under way, each counted."),
            DEVICE,
            MS,
        ),
    },
    Reading {
        native: None,
        node: face(
            &Family::counter("node_disk_discards_completed_total", "", "Discards that the device completed."),
            DEVICE,
        ),
        otel: None,
    },
    Reading {
        native: None,
        node: face(
            &Family::counter("node_disk_discards_merged_total", "", "Discards that were merged with another one."),
            DEVICE,
        ),
        otel: None,
    },
    Reading {
        native: None,
        node: face(
            &Family::counter("node_disk_discarded_sectors_total", "", "Sectors of 512 bytes that were discarded."),
            DEVICE,
        ),
        otel: None,
    },
    Reading {
        native: None,
        node: scaled(
            &Family::counter("node_disk_discard_time_seconds_total", "", "Time that all discards took together."),
            DEVICE,
            MS,
        ),
        otel: None,
    },
    Reading {
        native: None,
        node: face(
            &Family::counter("node_disk_flush_requests_total", "", "Flushes that the device completed."),
            DEVICE,
        ),
        otel: None,
    },
    Reading {
        native: None,
        node: scaled(
            &Family::counter("node_disk_flush_requests_time_seconds_total", "", "Time that all flushes took together."),
            DEVICE,
            MS,
        ),
        otel: None,
    },
];

/// Everything this collector may give.
static READINGS: &[&[Reading]] = &[&COLUMNS];

/// What it says about itself.
pub static DEFINITION: Definition = Definition {
    name: "disk",
    switch: "enable_disk",
    about: "I/O of disks; the switch of `filesystem` follows this one where it says nothing itself.",
    note: "whole disks, device-mapper and md; not partitions, loop, RAM and zram devices, CD and floppy drives",
    preset: Some(Preset::Basic),
    reads: &["/proc/diskstats", "/sys/block"],
    readings: READINGS,
    section: &SECTION,
    build: |parts| Made::Fast(Box::new(Disk::new(&parts.settings.own::<Disks>("disk").0, parts.host))),
    ..Definition::PLAIN
};

static SECTION: fields::Table<Given> = fields::Table::new(|| COMMON.iter().chain([&OWN]).collect());
static OWN: Field<Given> = Field::all_of(&Inner { table: &FILTER, of: |s: &mut Given| &mut s.own::<Disks>().0 });

/// Default of `collector.disk.exclude`.
const DISKS_LEFT_OUT: [&str; 1] = ["(loop|ram|zram|sr|fd)[0-9]+"];

/// Which block devices show their I/O; by rule whole disks, dm and md.
#[derive(Clone, Debug, PartialEq)]
pub struct Disks(pub Filter);

impl Default for Disks {
    fn default() -> Disks {
        Disks(Filter::excluding(&DISKS_LEFT_OUT))
    }
}

static FILTER_FIELDS: [Field<Filter>; 2] = [
    Field::new(
        "include",
        INCLUDE,
        DefaultValue::Texts(&[]),
        "Devices whose I/O is shown, as regular expressions for the whole name; empty: whole disks, dm and md.",
    ),
    Field::new("exclude", EXCLUDE, DefaultValue::Texts(&DISKS_LEFT_OUT), "Devices left out in any case."),
];

static FILTER: fields::Table<Filter> = fields::Table::new(|| FILTER_FIELDS.iter().collect());

/// The kernel counts in sectors of this size, whatever the device's own are.
const SECTOR_BYTES: f64 = 512.0;

/// The collector.
#[derive(Debug)]
pub struct Disk {
    file: KernelFile,
    /// A folder for each whole disk.
    block: PathBuf,
    filter: Filter,
    devices: Table<Device>,
}

/// What is remembered of a device. Devices that are not shown are remembered too, so that
/// patterns and `/sys` are asked once for each.
#[derive(Debug)]
struct Device {
    name: Box<[u8]>,
    /// `None` where it is not shown.
    item: Option<Item>,
    io: Io,
}

impl Disk {
    /// Reads `/proc/diskstats` of `host` and shows the devices that `filter` and the rule
    /// for whole disks agree on.
    pub fn new(filter: &Filter, host: &HostPaths) -> Disk {
        Disk {
            file: KernelFile::new(host.proc("diskstats")),
            block: host.sys("block"),
            filter: filter.clone(),
            devices: Table::default(),
        }
    }

    fn take(&mut self, text: &[u8]) -> Result<(), ParseError> {
        self.devices.begin();
        for line in parse(whole(text)?) {
            let line = line?;
            let (filter, block) = (&self.filter, &self.block);
            self.devices.entry(line.name, || Device::new(&line, filter, block)).io = line.io;
        }
        self.devices.end();
        if self.devices.len() == 0 {
            return Err(ParseError { line: 1, what: "the file ends without a device".to_owned() });
        }
        Ok(())
    }

    fn emit(&self, out: &mut Recorder) {
        for device in self.devices.iter() {
            let Some(item) = &device.item else { continue };
            let mut out = out.item(item);
            for (reading, number) in COLUMNS.iter().zip(device.io.columns()) {
                if let Some(number) = number {
                    out.push(reading, number as f64);
                }
            }
        }
    }
}

impl Keyed for Device {
    type Key<'a> = &'a [u8];

    fn key(&self) -> &[u8] {
        &self.name
    }

    fn is(&self, key: &[u8]) -> bool {
        *self.name == *key
    }
}

impl Device {
    fn new(line: &Line<'_>, filter: &Filter, block: &Path) -> Device {
        let name = String::from_utf8_lossy(line.name);
        let shown = filter.shows(&name, is_whole(line, &name, block));
        Device { name: line.name.into(), item: shown.then(|| Item::new(&[&name])), io: Io::default() }
    }
}

impl Collector for Disk {
    fn collect(&mut self, _tick: &Tick, scratch: &mut Scratch, out: &mut Recorder) -> Result<(), CollectError> {
        let text = self.file.read(scratch)?;
        // A host without block devices, or a container that is not shown what they do, whatever
        // its `/sys/block` lists.
        if text.is_empty() {
            return Err(CollectError::Absent(format!("{} has no devices", self.file.path().display())));
        }
        self.take(text).map_err(|error| error.of(self.file.path()))?;
        self.emit(out);
        Ok(())
    }
}

/// Whether a device is a whole disk (dm and md included) and not a partition of one.
///
/// Whole ones have a folder in `/sys/block`, where a `/` of their name is written `!`.
/// Where there is no `/sys/block` (a container without `/sys`), the name has to do.
fn is_whole(line: &Line<'_>, name: &str, block: &Path) -> bool {
    if line.short {
        return false;
    }
    // A name is a single path component, whatever a torn file says.
    if name.is_empty() || name.starts_with('.') || name.contains('\0') {
        return false;
    }
    if block.is_dir() { block.join(name.replace('/', "!")).is_dir() } else { !looks_like_partition(name) }
}

/// Guesses from the name: `p` and digits after a digit (`nvme0n1p2`, `mmcblk0p1`,
/// `cciss/c0d0p1`, `md0p1`), or digits after the letters of a SCSI, IDE or virtual disk
/// (`sda1`, `hdb2`, `vda1`, `xvda1`). A disk that Xen calls `xvda1` is taken for a partition.
fn looks_like_partition(name: &str) -> bool {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    if stem.len() == name.len() {
        return false;
    }
    if let Some(disk) = stem.strip_suffix('p') {
        if disk.ends_with(|c: char| c.is_ascii_digit()) {
            return true;
        }
    }
    ["sd", "hd", "vd", "xvd", "ubd"].iter().any(|prefix| {
        stem.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_lowercase()))
    })
}

/// A device's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The kernel's name for it.
    pub name: &'a [u8],
    /// Whether this is the short form, which only partitions of kernels before 2.6.25 have.
    pub short: bool,
    /// What it did.
    pub io: Io,
}

/// What a device did since it appeared, in the kernel's columns. On 32-bit kernels these wrap
/// at 2^32, and are sent as they are: to a backend, that is a counter that restarted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Io {
    numbers: [u64; 17],
    /// How many of them this kernel gives; 4 are those of the short form.
    count: usize,
}

impl Io {
    /// The numbers in the order of the long form; none where the kernel does not give one.
    pub fn columns(&self) -> impl Iterator<Item = Option<u64>> {
        let Io { numbers, count } = *self;
        (0..numbers.len()).map(move |at| match (count, at) {
            // Reads, sectors read, writes, sectors written.
            (4, 0 | 2 | 4 | 6) => Some(numbers[at / 2]),
            (4, _) => None,
            _ => (at < count).then(|| numbers[at]),
        })
    }
}

/// The devices of a whole text:
///
/// ```text
///  254       0 vda 32087 7585 5571954 18071 7487 21656 2569720 6726 0 7020 25341 7426 60 1019688 521 571 21
///    8       1 sda1 5120 1048576 2048 262144
/// ```
///
/// Major, minor, name; then reads, reads merged, sectors read, ms reading, the same four of
/// writing, and three more; since 4.18 four of discards and since 5.5 two of flushes, which
/// make 14, 18 or 20 columns. Partitions of kernels before 2.6.25 have 7: reads, sectors
/// read, writes, sectors written. See
/// <https://www.kernel.org/doc/html/latest/admin-guide/iostats.html>.
///
/// Further columns are ignored. A line that is not understood is an error, and its collector
/// then sends nothing of the round: a device that is skipped would look as if it was gone.
///
/// A text that was cut at the end of a line is not recognised: the file has no last line of
/// its own, and `/sys/block` is no list to hold it against, since it also has devices that the
/// kernel hides here (the paths of NVMe multipath), and others by the time it is read. The
/// devices behind the cut are then missing for a round; no number is wrong.
pub fn parse(text: &[u8]) -> impl Iterator<Item = Result<Line<'_>, ParseError>> {
    lines(text).map(|(line, content)| {
        let mut columns = fields(content);
        let (major, minor, name) = (columns.number(), columns.number(), columns.next());
        let (Some(Ok(_)), Some(Ok(_)), Some(name)) = (major, minor, name) else {
            return Err(ParseError::expected(line, "major, minor and name of a device", content));
        };
        let mut io = Io::default();
        for number in &mut io.numbers {
            let Some(given) = columns.number() else { break };
            *number = given.map_err(|field| ParseError::expected(line, "a count", field))?;
            io.count += 1;
        }
        match io.count {
            4 | 11.. => Ok(Line { name, short: io.count == 4, io }),
            _ => Err(ParseError::expected(line, "7, or 14 and more columns", content)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::Pattern;
    use super::super::testing::{Folder, collect, collect_as, cut_everywhere, fixture, have_fixtures, owned, value};
    use super::*;
    use crate::model::Scheme;

    fn all() -> Filter {
        Filter::default()
    }

    /// The devices shown on a fixture host, with their bytes read and written.
    fn seen(host: &str, filter: &Filter) -> Vec<(String, f64, f64)> {
        let samples = collect(&mut Disk::new(filter, &fixture(host))).unwrap();
        samples
            .iter()
            .filter_map(|(name, read)| {
                let device = name.strip_prefix("system_disk_read_bytes_total{device=")?.strip_suffix('}')?;
                let written = value(&samples, &format!("system_disk_write_bytes_total{{device={device}}}"));
                Some((device.to_owned(), *read, written.unwrap()))
            })
            .collect()
    }

    #[test]
    fn whole_disks_are_shown_and_partitions_are_not() {
        if !have_fixtures() {
            return;
        }
        let usual = Disks::default().0;
        let vm = [("vda", 3360686080.0, 10737419264.0), ("vdb", 157810688.0, 220200960.0)];
        assert_eq!(seen("vm", &usual), vm.map(|(name, read, written)| (name.to_owned(), read, written)));
        let old = seen("old-kernel", &usual);
        let expected = [("sda", 537001984.0, 134217728.0), ("cciss/c0d0", 549766299648.0, 2199022206976.0)];
        assert_eq!(old, expected.map(|(name, read, written)| (name.to_owned(), read, written)));
        let names = |host, filter| seen(host, filter).into_iter().map(|(name, ..)| name).collect::<Vec<_>>();
        let mut numa = names("numa64", &usual);
        numa.sort();
        assert_eq!(numa, ["dm-0", "dm-1", "dm-2", "md0", "md127", "nvme0n1", "nvme1n1", "sda"]);
        let mut arm = names("arm-board", &all());
        arm.sort();
        assert_eq!(
            arm,
            [
                "mmcblk0",
                "mmcblk0boot0",
                "mtdblock0",
                "mtdblock1",
                "mtdblock2",
                "mtdblock3",
                "mtdblock4",
                "mtdblock5",
                "zram0"
            ]
        );
    }

    /// Of the device `device`, with times to the nanosecond.
    fn of_device(scheme: Scheme, host: &HostPaths, filter: &Filter, device: &str) -> Vec<(String, f64)> {
        let seen = collect_as(scheme, &mut Disk::new(filter, host)).into_iter();
        let device = format!("{{device={device}");
        seen.filter(|(name, _)| name.contains(&device))
            .map(|(name, value)| (name, (value * 1e9).round() / 1e9))
            .collect()
    }

    #[test]
    fn each_scheme_has_its_columns() {
        if !have_fixtures() {
            return;
        }
        let seen = |scheme| of_device(scheme, &fixture("vm"), &Disks::default().0, "vda");
        let native = [
            ("system_disk_read_count_total{device=vda}", 84734.0),
            ("system_disk_read_bytes_total{device=vda}", 3_360_686_080.0),
            ("system_disk_write_count_total{device=vda}", 412_302.0),
            ("system_disk_write_bytes_total{device=vda}", 10_737_419_264.0),
        ];
        assert_eq!(seen(Scheme::Native), owned(&native));
        let node = [
            ("node_disk_reads_completed_total{device=vda}", 84734.0),
            ("node_disk_reads_merged_total{device=vda}", 12090.0),
            ("node_disk_read_bytes_total{device=vda}", 3_360_686_080.0),
            ("node_disk_read_time_seconds_total{device=vda}", 52.51),
            ("node_disk_writes_completed_total{device=vda}", 412_302.0),
            ("node_disk_writes_merged_total{device=vda}", 298_700.0),
            ("node_disk_written_bytes_total{device=vda}", 10_737_419_264.0),
            ("node_disk_write_time_seconds_total{device=vda}", 934.124),
            ("node_disk_io_now{device=vda}", 0.0),
            ("node_disk_io_time_seconds_total{device=vda}", 610.544),
            ("node_disk_io_time_weighted_seconds_total{device=vda}", 1029.966),
            ("node_disk_discards_completed_total{device=vda}", 5120.0),
            ("node_disk_discards_merged_total{device=vda}", 0.0),
            ("node_disk_discarded_sectors_total{device=vda}", 4_194_304.0),
            ("node_disk_discard_time_seconds_total{device=vda}", 2.31),
            ("node_disk_flush_requests_total{device=vda}", 60210.0),
            ("node_disk_flush_requests_time_seconds_total{device=vda}", 41.022),
        ];
        assert_eq!(seen(Scheme::NodeExporter), owned(&node));
        let otel = [
            ("system.disk.operations{device=vda,direction=read}", 84734.0),
            ("system.disk.merged{device=vda,direction=read}", 12090.0),
            ("system.disk.io{device=vda,direction=read}", 3_360_686_080.0),
            ("system.disk.operation_time{device=vda,direction=read}", 52.51),
            ("system.disk.operations{device=vda,direction=write}", 412_302.0),
            ("system.disk.merged{device=vda,direction=write}", 298_700.0),
            ("system.disk.io{device=vda,direction=write}", 10_737_419_264.0),
            ("system.disk.operation_time{device=vda,direction=write}", 934.124),
            ("system.disk.pending_operations{device=vda}", 0.0),
            ("system.disk.io_time{device=vda}", 610.544),
            ("system.disk.weighted_io_time{device=vda}", 1029.966),
        ];
        assert_eq!(seen(Scheme::Otel), owned(&otel));
    }

    #[test]
    fn columns_that_the_kernel_does_not_know_are_left_out() {
        let folder = Folder::new("disk-columns");
        folder.write(
            "proc/diskstats",
            "8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n8 1 sda1 5120 1048576 2048 262144\n\
             8 16 sdb 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15\n8 32 sdc 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19\n",
        );
        let filter = Filter { include: vec![Pattern::new("sd.*").unwrap()], ..Filter::default() };
        let count = |scheme| {
            ["sda}", "sda1}", "sdb}", "sdc}"].map(|device| of_device(scheme, &folder.host(), &filter, device).len())
        };
        assert_eq!(count(Scheme::NodeExporter), [11, 4, 15, 17]);
        let short = [
            ("node_disk_reads_completed_total{device=sda1}", 5120.0),
            ("node_disk_read_bytes_total{device=sda1}", 536_870_912.0),
            ("node_disk_writes_completed_total{device=sda1}", 2048.0),
            ("node_disk_written_bytes_total{device=sda1}", 134_217_728.0),
        ];
        assert_eq!(of_device(Scheme::NodeExporter, &folder.host(), &filter, "sda1"), owned(&short));
    }

    #[test]
    fn partitions_are_shown_by_pattern() {
        let folder = Folder::new("disk-partition");
        folder.write("proc/diskstats", "8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n8 1 sda1 5120 1048576 2048 262144\n");
        folder.folder("sys/block/sda");
        let filter = Filter { include: vec![Pattern::new("sda1").unwrap()], ..Filter::default() };
        let seen = collect(&mut Disk::new(&filter, &folder.host())).unwrap();
        let expected = [
            ("system_disk_read_count_total{device=sda1}", 5120.0),
            ("system_disk_read_bytes_total{device=sda1}", 536870912.0),
            ("system_disk_write_count_total{device=sda1}", 2048.0),
            ("system_disk_write_bytes_total{device=sda1}", 134217728.0),
        ];
        assert_eq!(seen, expected.map(|(name, value)| (name.to_owned(), value)));
    }

    #[test]
    fn without_sys_the_name_tells_partitions() {
        for partition in ["sda1", "hdb12", "vda15", "xvda1", "nvme0n1p3", "mmcblk0p1", "cciss/c0d0p1", "md0p1", "sdaa9"]
        {
            assert!(looks_like_partition(partition), "{partition}");
        }
        for disk in
            ["sda", "sdaa", "vda", "nvme0n1", "mmcblk0", "mmcblk0boot0", "cciss/c0d0", "md127", "dm-0", "zram0", "sr0"]
        {
            assert!(!looks_like_partition(disk), "{disk}");
        }
        let folder = Folder::new("disk-no-sys");
        folder.write("proc/diskstats", "8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n8 1 sda1 1 2 3 4 5 6 7 8 9 10 11\n");
        let seen = collect(&mut Disk::new(&all(), &folder.host())).unwrap();
        assert_eq!(value(&seen, "system_disk_read_bytes_total{device=sda}"), Some(1536.0));
        assert_eq!(value(&seen, "system_disk_read_bytes_total{device=sda1}"), None);
    }

    #[test]
    fn devices_come_and_go() {
        let folder = Folder::new("disk-hotplug");
        folder.folder("sys/block/sda");
        folder.folder("sys/block/sdb");
        let mut disk = Disk::new(&all(), &folder.host());
        let mut reads = |text: &str| {
            folder.write("proc/diskstats", text);
            let seen = collect(&mut disk).unwrap();
            ["sda", "sdb"].map(|d| value(&seen, &format!("system_disk_read_count_total{{device={d}}}")))
        };
        assert_eq!(reads("8 0 sda 1 0 0 0 0 0 0 0 0 0 0\n8 16 sdb 2 0 0 0 0 0 0 0 0 0 0\n"), [Some(1.0), Some(2.0)]);
        assert_eq!(reads("8 16 sdb 3 0 0 0 0 0 0 0 0 0 0\n"), [None, Some(3.0)]);
        assert_eq!(reads("8 0 sda 0 0 0 0 0 0 0 0 0 0 0\n8 16 sdb 3 0 0 0 0 0 0 0 0 0 0\n"), [Some(0.0), Some(3.0)]);
    }

    #[test]
    fn a_bad_line_fails_the_round_and_is_quoted() {
        let error = |text: &str| parse(text.as_bytes()).find_map(Result::err).unwrap().to_string();
        assert_eq!(error("8 0 sda 1 2 x 4 5 6 7 8 9 10 11\n"), "line 1: expected a count, got \"x\"");
        assert_eq!(
            error("8 0 sda 1 2 3 4 5\n"),
            "line 1: expected 7, or 14 and more columns, got \"8 0 sda 1 2 3 4 5\""
        );
        assert_eq!(error("8 sda\n"), "line 1: expected major, minor and name of a device, got \"8 sda\"");
        assert_eq!(error("\nx\n"), "line 1: expected major, minor and name of a device, got \"\"");
        let mut disk = Disk::new(&all(), &HostPaths::default());
        assert_eq!(disk.take(b"\n").unwrap_err().to_string(), error("\n"));
    }

    #[test]
    fn an_empty_file_is_an_absence_whatever_sys_lists() {
        let folder = Folder::new("disk-empty");
        folder.write("proc/diskstats", "");
        for folders in ["sys", "sys/block", "sys/block/sda"] {
            folder.folder(folders);
            assert!(
                matches!(collect(&mut Disk::new(&all(), &folder.host())), Err(CollectError::Absent(_))),
                "{folders}"
            );
        }
        folder.write("proc/diskstats", "\n");
        assert!(matches!(collect(&mut Disk::new(&all(), &folder.host())), Err(CollectError::Failed(_))));
    }

    #[test]
    fn no_text_makes_it_panic() {
        let folder = Folder::new("disk-cut");
        folder.folder("sys/block/sda");
        let mut disk = Disk::new(&all(), &folder.host());
        cut_everywhere("proc/diskstats", |text| {
            parse(text).for_each(drop);
            drop(disk.take(text));
        });
    }
}
