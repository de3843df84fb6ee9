//! What `-check` says beyond the configuration: whether this host and this user fit it.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;

use nix::sys::statfs::{DEBUGFS_MAGIC, FsType, PROC_SUPER_MAGIC, SYSFS_MAGIC, TRACEFS_MAGIC, statfs};
use nix::unistd::{AccessFlags, eaccess};

use super::scrapes::endpoints_now;
use crate::config::Config;
use crate::host::HostPaths;
use crate::lane::{SpoolMode, To};

/// A line for each thing that would not work if metricsd were started now, by this user. They
/// are no problems of the configuration: it may be checked on another host, or by another user.
pub fn warnings(config: &Config, paths: &HostPaths) -> Vec<String> {
    let mut warnings: Vec<String> = no_proc(paths).into_iter().collect();
    let to_disk = config.lanes.iter().map(|lane| &lane.spool).filter(|spool| spool.mode != SpoolMode::Memory);
    for dir in to_disk.filter_map(|spool| spool.dir.as_deref()).collect::<BTreeSet<_>>() {
        warnings.extend(not_writable(dir).map(|why| {
            format!("spool.dir: {} cannot be written to: {why}; what waits would be in memory only; set spool.dir, or spool.mode to \"memory\"", dir.display())
        }));
    }
    let destinations = config.lanes.chunk_by(|one, next| one.name == next.name).map(|lanes| &lanes[0]);
    let files = destinations.flat_map(|lane| {
        let own = match &lane.kind.to {
            To::File(path) => Some(path),
            _ => None,
        };
        own.into_iter().chain(lane.tee_file.as_ref().map(|tee| &tee.path)).map(move |path| (lane, path))
    });
    for (lane, path) in files {
        warnings.extend(
            no_file(path)
                .map(|why| format!("destination {}: {} cannot be written to: {why}", lane.name, path.display())),
        );
    }
    endpoints_now(config, |path, why| warnings.push(format!("{}: {why}", path.display())));
    warnings
}

/// Why this user can't append to the file `path`, or make it.
fn no_file(path: &Path) -> Option<String> {
    match path.metadata() {
        Ok(_) => eaccess(path, AccessFlags::W_OK).err().map(|refused| refused.desc().to_owned()),
        // A link to nowhere is made, too.
        Err(error) if error.kind() == ErrorKind::NotFound => not_writable(path.parent()?),
        Err(error) => Some(error.to_string()),
    }
}

/// Whether `/proc` lacks what every kernel shows in it.
fn no_proc(paths: &HostPaths) -> Option<String> {
    let missing: Vec<&str> = ["stat", "meminfo"].into_iter().filter(|file| !paths.proc(file).exists()).collect();
    let proc = paths.proc("");
    let proc = proc.display().to_string();
    (!missing.is_empty()).then(|| {
        format!(
            "{}: has no {}, so it is no host's /proc; see -root and HOST_PROC",
            proc.trim_end_matches('/'),
            missing.join(" and no ")
        )
    })
}

/// Whether `dir` is of a file system that is the kernel's to make files in: root is let through there, too,
/// before it is refused.
fn the_kernels_own(dir: &Path) -> Option<&'static str> {
    const KERNELS: [FsType; 4] = [PROC_SUPER_MAGIC, SYSFS_MAGIC, DEBUGFS_MAGIC, TRACEFS_MAGIC];
    let kind = statfs(dir).ok()?.filesystem_type();
    KERNELS.contains(&kind).then_some("only the kernel makes files there")
}

/// Why this user can't make files in `dir`, or, where it is not there yet, make it.
fn not_writable(dir: &Path) -> Option<String> {
    for at in dir.ancestors() {
        match at.metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Some(format!("{}: {error}", at.display())),
            Ok(found) if !found.is_dir() => return Some(format!("{} is no directory", at.display())),
            Ok(_) => {
                let refused = eaccess(at, AccessFlags::W_OK | AccessFlags::X_OK).err();
                let why = refused.map(|refused| refused.desc()).or_else(|| the_kernels_own(at))?;
                return Some(format!("{}: {why}", at.display()));
            }
        }
    }
    None
}
