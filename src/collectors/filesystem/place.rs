//! A mount that is shown: where to ask about it, and under which labels its numbers go.

use std::io;
use std::path::PathBuf;

use super::mountinfo::Mount;
use super::select::has_own_numbers;
use crate::host::{FsUsage, HostPaths, StatFs};
use crate::model::{Labels, Metric, Recorder};

pub static TOTAL: Metric = Metric::gauge("system_disk_total_bytes", "bytes", "Size of the file system.");
pub static USED: Metric = Metric::gauge("system_disk_used_bytes", "bytes", "Space of the file system that is in use.");
pub static FREE: Metric =
    Metric::gauge("system_disk_free_bytes", "bytes", "Space that an ordinary user can still write to.");
pub static USAGE: Metric = Metric::gauge(
    "system_disk_usage_percent",
    "percent",
    "Share in use of the space that ordinary users can have, as df shows it.",
);

/// A mount that is shown.
#[derive(Debug)]
pub struct Place {
    pub device: (u32, u32),
    pub mountpoint: PathBuf,
    pub labels: Labels,
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
        let labels = Labels::of(&[
            ("device", &mount.source),
            ("mountpoint", &mount.mountpoint.to_string_lossy()),
            ("fstype", &mount.fstype),
        ]);
        Place {
            device: mount.device,
            mountpoint: mount.mountpoint.clone(),
            labels,
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
            && self.below == below(mount, parent)
    }

    /// Makes sure that the mount is what is visible from here.
    ///
    /// In a container a mount of the host's can be missing below `HOST_ROOT` (no mount
    /// propagation), or be covered; its numbers would then be another file system's. Types
    /// whose files carry numbers of their own only must not show those of the file system
    /// below them.
    pub fn check(&self, statfs: &dyn StatFs) -> io::Result<()> {
        let visible = statfs.device(&self.path)?;
        let wrong = if has_own_numbers(&self.fstype) { self.below == Some(visible) } else { visible != self.device };
        if wrong {
            return Err(io::Error::other(format!(
                "device {}:{} is visible there, not {}:{}",
                visible.0, visible.1, self.device.0, self.device.1
            )));
        }
        Ok(())
    }

    /// Asks for the numbers.
    pub fn usage(&self, statfs: &dyn StatFs) -> io::Result<FsUsage> {
        statfs.usage(&self.path)
    }
}

fn below(mount: &Mount, parent: Option<&Mount>) -> Option<(u32, u32)> {
    parent.map(|parent| parent.device).filter(|device| *device != mount.device)
}

/// Pushes the sizes of the file systems that have one. Those of size zero are no storage:
/// `df` leaves them out too.
pub fn push_sizes<'a>(out: &mut Recorder, sizes: impl Iterator<Item = (&'a Labels, Option<FsUsage>)> + Clone) {
    let sizes = sizes.filter_map(|(labels, usage)| Some((labels, usage.filter(|usage| usage.total > 0)?)));
    let used = |usage: &FsUsage| usage.total.saturating_sub(usage.free) as f64;
    for (labels, usage) in sizes.clone() {
        out.push(&TOTAL, labels, usage.total as f64);
    }
    for (labels, usage) in sizes.clone() {
        out.push(&USED, labels, used(&usage));
    }
    for (labels, usage) in sizes.clone() {
        out.push(&FREE, labels, usage.available as f64);
    }
    for (labels, usage) in sizes {
        let writable = used(&usage) + usage.available as f64;
        if writable > 0.0 {
            out.push(&USAGE, labels, used(&usage) / writable * 100.0);
        }
    }
}
