//! A file that somebody is about to map: read first, by whoever may wait for it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::kernel_file::open;

/// No library is as large.
const MAX_BYTES: u64 = 256 << 20;

/// Reads the file at `path` once, so that it is in the kernel's memory, and forgets what it holds.
///
/// The system's loader holds a lock while it opens and maps a library, and whoever starts a
/// thread or unwinds waits for that lock: a path that hangs, on a dead file server for one, would
/// stop the program. Here it stops the thread that calls, and no other one. What is no regular
/// file, or too large, is an error.
pub fn fetch(path: &Path) -> io::Result<()> {
    let mut file: File = open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut left = MAX_BYTES;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(len) => left = left.checked_sub(len as u64).ok_or_else(|| io::Error::other("it is too large"))?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_regular_file_is_fetched() {
        assert!(fetch(&std::env::current_exe().unwrap()).is_ok());
        assert_eq!(fetch(Path::new("/dev/zero")).unwrap_err().to_string(), "it is no regular file");
        assert_eq!(fetch(Path::new("/nonexistent")).unwrap_err().kind(), io::ErrorKind::NotFound);
        let pipe = std::env::temp_dir().join(format!("metricsd-fetch-{}", std::process::id()));
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(fetch(&pipe).unwrap_err().to_string(), "it is no regular file");
        std::fs::remove_file(&pipe).unwrap();
    }
}
