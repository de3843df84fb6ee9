//! A kernel whose file systems answer as a test decides.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};

use super::mountinfo;
use super::place::Place;
use crate::host::{FsUsage, HostPaths, StatFs};

/// A kernel whose answers a test decides. What nobody decided on is 1000 bytes large,
/// 400 of them free and 300 available.
#[derive(Default)]
pub struct FakeStatFs {
    mounts: Mutex<HashMap<PathBuf, Fake>>,
    changed: Condvar,
}

#[derive(Clone, Default)]
struct Fake {
    usage: Option<FsUsage>,
    error: Option<io::ErrorKind>,
    device: Option<(u32, u32)>,
    hangs: bool,
    asked: u32,
    looked: u32,
}

impl FakeStatFs {
    pub fn new() -> Arc<FakeStatFs> {
        Arc::default()
    }

    fn change(&self, path: impl AsRef<Path>, change: impl FnOnce(&mut Fake)) {
        change(self.mounts.lock().unwrap().entry(path.as_ref().to_owned()).or_default());
        self.changed.notify_all();
    }

    pub fn give(&self, path: &str, total: u64, free: u64, available: u64) {
        self.change(path, |fake| fake.usage = Some(FsUsage { total, free, available, ..FsUsage::default() }));
    }

    pub fn fail(&self, path: &str, error: io::ErrorKind) {
        self.change(path, |fake| fake.error = Some(error));
    }

    pub fn show_device(&self, path: &Path, device: (u32, u32)) {
        self.change(path, |fake| fake.device = Some(device));
    }

    pub fn hang(&self, path: &str) {
        self.change(path, |fake| fake.hangs = true);
    }

    pub fn release(&self, path: &str) {
        self.change(path, |fake| fake.hangs = false);
    }

    pub fn hangs(&self, path: &Path) -> bool {
        self.mounts.lock().unwrap().get(path).is_some_and(|fake| fake.hangs)
    }

    /// How often sizes were asked for.
    pub fn asked(&self, path: &str) -> u32 {
        self.mounts.lock().unwrap().get(Path::new(path)).map_or(0, |fake| fake.asked)
    }

    /// How often it was looked which device is there.
    pub fn looked(&self, path: &str) -> u32 {
        self.mounts.lock().unwrap().get(Path::new(path)).map_or(0, |fake| fake.looked)
    }

    /// [`FakeStatFs::asked`], once it was asked at all: a thread that was told to may still be on its way.
    pub fn asked_at_last(&self, path: &str) -> u32 {
        let asked = |mounts: &HashMap<PathBuf, Fake>| mounts.get(Path::new(path)).map_or(0, |fake| fake.asked);
        let mut mounts = self.mounts.lock().unwrap();
        while asked(&mounts) == 0 {
            mounts = self.changed.wait(mounts).unwrap();
        }
        asked(&mounts)
    }
}

impl StatFs for FakeStatFs {
    fn usage(&self, path: &Path) -> io::Result<FsUsage> {
        let mut mounts = self.mounts.lock().unwrap();
        mounts.entry(path.to_owned()).or_default().asked += 1;
        self.changed.notify_all();
        while mounts[path].hangs {
            mounts = self.changed.wait(mounts).unwrap();
        }
        let fake = &mounts[path];
        match fake.error {
            Some(error) => Err(error.into()),
            None => Ok(fake.usage.unwrap_or(FsUsage { total: 1000, free: 400, available: 300, ..FsUsage::default() })),
        }
    }

    fn device(&self, path: &Path) -> io::Result<(u32, u32)> {
        let mut mounts = self.mounts.lock().unwrap();
        mounts.entry(path.to_owned()).or_default().looked += 1;
        let device = mounts.get(path).and_then(|fake| fake.device);
        // Never the number of what is below: as on network file systems.
        Ok(device.unwrap_or((0, 999)))
    }
}

/// An NFS mount on a root file system of device 8:1.
pub fn nfs(minor: u32, mountpoint: &str) -> Place {
    let text =
        format!("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:{minor} / {mountpoint} rw - nfs4 host:{mountpoint} rw\n");
    let (mounts, _) = mountinfo::parse(text.as_bytes()).unwrap();
    Place::new(&mounts[1], Some(&mounts[0]), &HostPaths::default())
}
