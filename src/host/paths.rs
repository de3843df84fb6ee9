//! Where the host's `/proc`, `/sys` and `/` are, seen from this process.

use std::path::{Path, PathBuf};

/// The three roots. In a container the host's file systems are mounted elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPaths {
    proc: PathBuf,
    sys: PathBuf,
    root: PathBuf,
}

impl Default for HostPaths {
    fn default() -> HostPaths {
        HostPaths::new("/proc", "/sys", "/")
    }
}

impl HostPaths {
    /// The three roots: `HOST_PROC`, `HOST_SYS`, `HOST_ROOT`.
    pub fn new(proc: impl Into<PathBuf>, sys: impl Into<PathBuf>, root: impl Into<PathBuf>) -> HostPaths {
        HostPaths { proc: proc.into(), sys: sys.into(), root: root.into() }
    }

    /// `DIR/proc`, `DIR/sys`, `DIR`: a host mounted, or a fixture kept, below one directory.
    pub fn below(dir: &Path) -> HostPaths {
        HostPaths::new(dir.join("proc"), dir.join("sys"), dir)
    }

    /// A file of `/proc`.
    pub fn proc(&self, file: &str) -> PathBuf {
        self.proc.join(file)
    }

    /// A file of `/sys`.
    pub fn sys(&self, file: &str) -> PathBuf {
        self.sys.join(file)
    }

    /// Where a path of the host's is found from here: its mount points, for instance.
    pub fn rooted(&self, host_path: &Path) -> PathBuf {
        match host_path.strip_prefix("/") {
            Ok(relative) if relative.as_os_str().is_empty() => self.root.clone(),
            Ok(relative) => self.root.join(relative),
            Err(_) => self.root.join(host_path),
        }
    }

    /// Whether `/proc` is the reader's own, and so `/proc/net` and `/proc/self` are the host's too.
    pub fn is_own_proc(&self) -> bool {
        self.proc == Path::new("/proc")
    }

    /// The candidates for a file that each process has its own of (`net/dev`, `mountinfo`),
    /// best first.
    ///
    /// With the host's `/proc` mounted into a container, `/proc/net` and `/proc/self` still
    /// speak of the reader's own namespaces. Process 1 of that mount is the host's init, so
    /// its files speak of the host; where they can't be read (`hidepid`, no capability),
    /// the reader's own are the second best.
    pub fn of_process(&self, file: &str) -> Vec<PathBuf> {
        if self.is_own_proc() {
            vec![self.proc.join("self").join(file)]
        } else {
            vec![self.proc.join("1").join(file), self.proc.join("self").join(file)]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn per_process_files_come_from_init_only_where_proc_is_foreign() {
        assert_eq!(HostPaths::default().of_process("net/dev"), [Path::new("/proc/self/net/dev")]);
        let paths = HostPaths::new("/host/proc", "/host/sys", "/host");
        assert_eq!(
            paths.of_process("mountinfo"),
            [Path::new("/host/proc/1/mountinfo"), Path::new("/host/proc/self/mountinfo")]
        );
    }

    #[test]
    fn host_paths_are_found_below_the_root() {
        let paths = HostPaths::new("/host/proc", "/host/sys", "/host");
        assert_eq!(paths.rooted(Path::new("/")), Path::new("/host"));
        assert_eq!(paths.rooted(Path::new("/home/a b")), Path::new("/host/home/a b"));
        assert_eq!(HostPaths::default().rooted(Path::new("/home")), Path::new("/home"));
    }
}
