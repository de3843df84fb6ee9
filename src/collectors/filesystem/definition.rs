//! What the two parts of the collector say about themselves.

use std::sync::Arc;
use std::time::Duration;

use super::super::definition::{Definition, Made};
use super::super::settings::Preset;
use super::fields::{FilesystemSettings, SECTION};
use super::local::Filesystem;
use super::place::{READINGS, REMOTE_READINGS};
use super::remote::{Remote, RemoteMounts};

/// What a round may take beyond its own limit: for a machine that is busy, not for the mounts.
const SPARE: Duration = Duration::from_secs(5);

/// What it says about itself.
pub static DEFINITION: Definition = Definition {
    name: "filesystem",
    switch: "enable_filesystem",
    about: "Space of file systems.",
    note: "block devices; one mount of each file system, as `df` counts it; not tmpfs, overlay, squashfs, nor the \
           kernel's pseudo file systems",
    preset: Some(Preset::Basic),
    reads: &["/proc/self/mountinfo", "statvfs"],
    follows: Some("disk"),
    readings: READINGS,
    section: &SECTION,
    build: |parts| {
        let (statfs, remote) = (Arc::clone(&parts.statfs), parts.shared.the::<RemoteMounts>());
        Made::Fast(Box::new(Filesystem::new(&parts.settings.own(DEFINITION.name), parts.host, statfs, remote)))
    },
    ..Definition::PLAIN
};

/// What the part of it says about itself that asks mounts that may hang.
pub static REMOTE: Definition = Definition {
    name: "filesystem_remote",
    about: "Space of network and FUSE mounts, and of what is mounted below one or below an automounter.",
    note: "on threads of its own; a mount that hangs shows as `system_disk_stuck` 1 and delays nothing",
    part_of: Some("filesystem"),
    follows: Some("disk"),
    readings: REMOTE_READINGS,
    build: |parts| {
        let (statfs, remote) = (Arc::clone(&parts.statfs), parts.shared.the::<RemoteMounts>());
        let settings: FilesystemSettings = parts.settings.own(DEFINITION.name);
        let collector = Remote::new(&settings, statfs, Arc::clone(&remote));
        Made::Slow(Box::new(collector), Arc::new(move || remote.due()), settings.timeout + SPARE)
    },
    ..DEFINITION
};
