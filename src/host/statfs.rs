//! How full a file system is, as `statvfs(3)` says it.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sys::statvfs::statvfs;

/// A file system's space, in bytes, and its inodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FsUsage {
    /// `f_blocks`: all of it.
    pub total: u64,
    /// `f_bfree`: unused, what is reserved for root included.
    pub free: u64,
    /// `f_bavail`: what an ordinary user can still write.
    pub available: u64,
    /// `f_files`: all inodes; 0 where the file system makes them as it needs them.
    pub inodes: u64,
    /// `f_ffree`: unused ones.
    pub inodes_free: u64,
}

/// Asks about mounted file systems. A trait, so that tests can give answers that a real
/// kernel seldom does.
pub trait StatFs: Send + Sync {
    /// Space of the file system that holds `path`. May block for ever where a server is gone.
    fn usage(&self, path: &Path) -> io::Result<FsUsage>;

    /// The device number (`major`, `minor`) of what is visible at `path`.
    fn device(&self, path: &Path) -> io::Result<(u32, u32)>;
}

/// The running kernel.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemStatFs;

impl StatFs for SystemStatFs {
    fn usage(&self, path: &Path) -> io::Result<FsUsage> {
        let stat = statvfs(path)?;
        // Old kernels leave the fragment size 0; then the block size counts.
        let unit = if stat.fragment_size() == 0 { stat.block_size() } else { stat.fragment_size() };
        // The C types' widths differ between targets (32-bit ARM), hence the conversions.
        #[allow(clippy::useless_conversion)]
        let bytes = |blocks| u64::from(blocks).saturating_mul(u64::from(unit));
        #[allow(clippy::useless_conversion)]
        let count = |inodes| u64::from(inodes);
        Ok(FsUsage {
            total: bytes(stat.blocks()),
            free: bytes(stat.blocks_free()),
            available: bytes(stat.blocks_available()),
            inodes: count(stat.files()),
            inodes_free: count(stat.files_free()),
        })
    }

    fn device(&self, path: &Path) -> io::Result<(u32, u32)> {
        let dev = std::fs::symlink_metadata(path)?.dev();
        let (major, minor) = (nix::sys::stat::major(dev), nix::sys::stat::minor(dev));
        Ok((major as u32, minor as u32))
    }
}
