//! The kernel's side of the fence: where its files are, how they are read, what it is asked.
//!
//! Everything that touches the operating system for a reading goes through here, and
//! `unsafe` code stands here and nowhere else.

mod attribute;
mod clock;
mod datagrams;
mod fetch;
mod kernel_file;
mod memory;
mod paths;
mod statfs;

pub use attribute::read_attribute;
pub use clock::{boottime, monotonic, wall_ms};
pub use datagrams::Datagrams;
pub use fetch::fetch;
pub use kernel_file::{KernelFile, ReadError, Scratch, is_cut};
pub use memory::give_back_free_memory;
pub use paths::HostPaths;
pub use statfs::{FsUsage, StatFs, SystemStatFs};

/// How many clock ticks `/proc/stat` counts a second (`USER_HZ`): 100 on nearly every machine.
pub fn user_hz() -> u64 {
    nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)
        .ok()
        .flatten()
        .and_then(|hz| u64::try_from(hz).ok())
        .filter(|hz| *hz > 0)
        .unwrap_or(100)
}

/// The host's name as the kernel has it, or `localhost` where it has none.
pub fn host_name() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}
