//! A mount that is shown: where to ask about it, and under which labels its numbers go.

use std::io;
use std::path::PathBuf;

use super::mountinfo::Mount;
use super::select::has_own_numbers;
use crate::host::{FsUsage, HostPaths, StatFs};
use crate::model::{Family, Item, Kind, Label, Named, Reading, Recorder, face};

const NATIVE: &[Label] = &[Label::key("device", 0), Label::key("fstype", 2), Label::key("mountpoint", 1)];
const OTEL_USED: &[Label] = &otel("used");
const OTEL_FREE: &[Label] = &otel("free");
const OTEL_RESERVED: &[Label] = &otel("reserved");

const fn otel(state: &'static str) -> [Label<'static>; 5] {
    [
        Label::key("device", 0),
        Label::key("mountpoint", 1),
        Label::key("type", 2),
        Label::key("mode", 3),
        Label::constant("state", state),
    ]
}

const fn usage(labels: &'static [Label<'static>]) -> Option<Named> {
    const USAGE: Family =
        Family::new(Kind::UpDown, "system.filesystem.usage", "By", "Space of the file system by its state.");
    face(&USAGE, labels)
}

const fn inodes(labels: &'static [Label<'static>]) -> Option<Named> {
    const USAGE: Family = Family::new(
        Kind::UpDown,
        "system.filesystem.inodes.usage",
        "{inodes}",
        "Inodes of the file system by their state.",
    );
    face(&USAGE, labels)
}

static TOTAL: Reading = Reading {
    native: face(&Family::gauge("system_disk_total_bytes", "bytes", "Size of the file system."), NATIVE),
    node: face(&Family::gauge("node_filesystem_size_bytes", "", "Size of the file system."), NATIVE),
    otel: None,
};
static USED: Reading = Reading {
    native: face(&Family::gauge("system_disk_used_bytes", "bytes", "Space of the file system that is in use."), NATIVE),
    node: None,
    otel: usage(OTEL_USED),
};
static FREE: Reading = Reading {
    native: face(
        &Family::gauge("system_disk_free_bytes", "bytes", "Space that an ordinary user can still write to."),
        NATIVE,
    ),
    node: face(
        &Family::gauge("node_filesystem_avail_bytes", "", "Space that an ordinary user can still write to."),
        NATIVE,
    ),
    otel: usage(OTEL_FREE),
};
static FREE_FOR_ROOT: Reading = Reading {
    native: None,
    node: face(
        &Family::gauge("node_filesystem_free_bytes", "", "Space that is free, what root alone can have included."),
        NATIVE,
    ),
    otel: None,
};
static RESERVED: Reading = Reading { native: None, node: None, otel: usage(OTEL_RESERVED) };
static USAGE: Reading = Reading {
    native: face(
        &Family::gauge(
            "system_disk_usage_percent",
            "percent",
            "Share in use of the space that ordinary users can have, as df shows it.",
        ),
        NATIVE,
    ),
    node: None,
    otel: None,
};
static INODES: Reading = Reading {
    native: face(&Family::gauge("system_disk_inodes", "", "Inodes of the file system."), NATIVE),
    node: face(&Family::gauge("node_filesystem_files", "", "Inodes of the file system."), NATIVE),
    otel: None,
};
static INODES_FREE: Reading = Reading {
    native: face(&Family::gauge("system_disk_inodes_free", "", "Inodes that are not in use."), NATIVE),
    node: face(&Family::gauge("node_filesystem_files_free", "", "Inodes that are not in use."), NATIVE),
    otel: inodes(OTEL_FREE),
};
static INODES_USED: Reading = Reading { native: None, node: None, otel: inodes(OTEL_USED) };
static READ_ONLY: Reading = Reading {
    native: face(&Family::gauge("system_disk_read_only", "", "1 where nothing can be written, else 0."), NATIVE),
    node: face(&Family::gauge("node_filesystem_readonly", "", "1 where nothing can be written, else 0."), NATIVE),
    otel: None,
};
static ERROR: Reading = Reading {
    native: None,
    node: face(
        &Family::gauge("node_filesystem_device_error", "", "1 where the file system could not be asked, else 0."),
        NATIVE,
    ),
    otel: None,
};
static STUCK: Reading = Reading {
    native: face(
        &Family::gauge(
            "system_disk_stuck",
            "",
            "1 while a network or FUSE file system does not answer, 0 while it does.",
        ),
        &[Label::key("device", 0), Label::key("fstype", 2), Label::key("mountpoint", 1)],
    ),
    node: None,
    otel: None,
};

/// Everything that is given of a mount.
pub static READINGS: &[&[Reading]] = &[
    std::slice::from_ref(&TOTAL),
    std::slice::from_ref(&USED),
    std::slice::from_ref(&FREE),
    std::slice::from_ref(&FREE_FOR_ROOT),
    std::slice::from_ref(&RESERVED),
    std::slice::from_ref(&USAGE),
    std::slice::from_ref(&INODES),
    std::slice::from_ref(&INODES_FREE),
    std::slice::from_ref(&INODES_USED),
    std::slice::from_ref(&READ_ONLY),
    std::slice::from_ref(&ERROR),
];

/// Everything that is given of a mount that may hang besides.
pub static REMOTE_READINGS: &[&[Reading]] = &[std::slice::from_ref(&STUCK)];

/// A mount that is shown.
#[derive(Debug)]
pub struct Place {
    pub device: (u32, u32),
    pub mountpoint: PathBuf,
    item: Item,
    is_read_only: bool,
    source: String,
    fstype: String,
    /// The mount point from here, below `HOST_ROOT`.
    path: PathBuf,
    /// The device number of what it is mounted on, if that is another file system.
    below: Option<(u32, u32)>,
}

impl Place {
    /// `parent` is the mount that `mount` is mounted on, where that is known.
    pub fn new(mount: &Mount, parent: Option<&Mount>, host: &HostPaths) -> Place {
        let mode = if mount.is_read_only { "ro" } else { "rw" };
        let item = Item::new(&[&mount.source, &mount.mountpoint.to_string_lossy(), &mount.fstype, mode]);
        Place {
            device: mount.device,
            mountpoint: mount.mountpoint.clone(),
            item,
            is_read_only: mount.is_read_only,
            source: mount.source.clone(),
            fstype: mount.fstype.clone(),
            path: host.rooted(&mount.mountpoint),
            below: below(mount, parent),
        }
    }

    /// Whether this is what [`Place::new`] would make again.
    pub fn is_of(&self, mount: &Mount, parent: Option<&Mount>) -> bool {
        self.device == mount.device
            && self.mountpoint == mount.mountpoint
            && self.source == mount.source
            && self.fstype == mount.fstype
            && self.is_read_only == mount.is_read_only
            && self.below == below(mount, parent)
    }

    /// Makes sure that the mount is what is visible from here.
    ///
    /// In a container a mount of the host's can be missing below `HOST_ROOT` (no mount
    /// propagation), or be covered; its numbers would then be another file system's. Types
    /// whose files carry numbers of their own only must not show those of the file system
    /// below them. Gives the number that is visible.
    pub fn check(&self, statfs: &dyn StatFs) -> io::Result<(u32, u32)> {
        let visible = statfs.device(&self.path)?;
        let wrong = if has_own_numbers(&self.fstype) { self.below == Some(visible) } else { visible != self.device };
        if wrong {
            return Err(io::Error::other(format!(
                "device {}:{} is visible there, not {}:{}",
                visible.0, visible.1, self.device.0, self.device.1
            )));
        }
        Ok(visible)
    }

    /// Asks for the numbers.
    pub fn usage(&self, statfs: &dyn StatFs) -> io::Result<FsUsage> {
        statfs.usage(&self.path)
    }
}

fn below(mount: &Mount, parent: Option<&Mount>) -> Option<(u32, u32)> {
    parent.map(|parent| parent.device).filter(|device| *device != mount.device)
}

/// What is known of a mount in a round.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// What it said; none where it did not, or could not be asked.
    pub usage: Option<FsUsage>,
    /// Whether it does not answer; none where it is not one of those that may hang, or where
    /// that is not known.
    pub stuck: Option<bool>,
}

impl Place {
    /// Pushes what is known. A file system of size zero is no storage: `df` leaves it out too.
    pub fn push(&self, answer: Answer, out: &mut Recorder) {
        let mut out = out.item(&self.item);
        if let Some(stuck) = answer.stuck {
            out.push(&STUCK, f64::from(u8::from(stuck)));
        }
        let Some(usage) = answer.usage else {
            out.push(&ERROR, 1.0);
            return;
        };
        if usage.total == 0 {
            return;
        }
        let used = usage.total.saturating_sub(usage.free);
        out.push(&TOTAL, usage.total as f64);
        out.push(&USED, used as f64);
        out.push(&FREE, usage.available as f64);
        out.push(&FREE_FOR_ROOT, usage.free as f64);
        out.push(&RESERVED, usage.free.saturating_sub(usage.available) as f64);
        let writable = used as f64 + usage.available as f64;
        if writable > 0.0 {
            out.push(&USAGE, used as f64 / writable * 100.0);
        }
        if usage.inodes > 0 {
            out.push(&INODES, usage.inodes as f64);
            out.push(&INODES_FREE, usage.inodes_free as f64);
            out.push(&INODES_USED, usage.inodes.saturating_sub(usage.inodes_free) as f64);
        }
        out.push(&READ_ONLY, f64::from(u8::from(self.is_read_only)));
        out.push(&ERROR, 0.0);
    }
}
