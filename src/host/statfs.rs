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

/// What is left of `whole`, by an answer. A server that is over its quota answers a number below
/// zero, which is a large one here; none is larger than the whole.
fn part_of(part: u64, whole: u64) -> u64 {
    let is_below_zero =
        part > u64::MAX / 2 || (part > whole && part > u64::from(u32::MAX / 2) && part <= u64::from(u32::MAX));
    if is_below_zero { 0 } else { part.min(whole) }
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
        let (unit, blocks, inodes) = (u64::from(unit), u64::from(stat.blocks()), u64::from(stat.files()));
        #[allow(clippy::useless_conversion)]
        let blocks_of = |part| part_of(u64::from(part), blocks).saturating_mul(unit);
        #[allow(clippy::useless_conversion)]
        let inodes_free = part_of(u64::from(stat.files_free()), inodes);
        Ok(FsUsage {
            total: blocks.saturating_mul(unit),
            free: blocks_of(stat.blocks_free()),
            available: blocks_of(stat.blocks_available()),
            inodes,
            inodes_free,
        })
    }

    fn device(&self, path: &Path) -> io::Result<(u32, u32)> {
        let dev = std::fs::symlink_metadata(path)?.dev();
        let (major, minor) = (nix::sys::stat::major(dev), nix::sys::stat::minor(dev));
        Ok((major as u32, minor as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_below_zero_is_nothing_and_none_is_above_the_whole() {
        assert_eq!(part_of(7, 10), 7);
        assert_eq!(part_of(0, 10), 0);
        assert_eq!(part_of(12, 10), 10);
        assert_eq!(part_of((-1000_i64) as u64, 10), 0);
        assert_eq!(part_of(u64::from((-1000_i32) as u32), 10), 0, "where the C type has 32 bits");
        assert_eq!(part_of(3_000_000_000, 4_000_000_000), 3_000_000_000);
    }
}
