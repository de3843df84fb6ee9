//! `-spool`: what waits on disk, as a table for people.

use std::fmt::Write;
use std::path::Path;

use super::{complain, print};
use crate::cli::Exit;
use crate::lane::SpoolSettings;
use crate::lane::spool::{Listing, inspect};
use crate::telemetry::rfc3339;

/// Lists the spools below the configured directory. Reads only, also while a daemon runs.
pub fn list(settings: &SpoolSettings) -> Exit {
    let Some(dir) = &settings.dir else { return Exit::Ok };
    match inspect(dir, |_| None) {
        Ok(spools) => print(&table(dir, &spools)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            print(&format!("{}: nothing waits; there is no such directory\n", dir.display()))
        }
        Err(error) => {
            complain(&format!("cannot list {}: {error}", dir.display()));
            if error.kind() == std::io::ErrorKind::PermissionDenied { Exit::Permission } else { Exit::Internal }
        }
    }
}

fn table(dir: &Path, spools: &[Listing]) -> String {
    let mut out = format!("{}\n", dir.display());
    let row = |out: &mut String, cells: [&str; 6]| {
        let [name, requests, samples, bytes, oldest, newest] = cells;
        // Writing to memory does not fail.
        let _ = writeln!(out, "{name:<28} {requests:>9} {samples:>11} {bytes:>12}  {oldest:<20}  {newest}");
    };
    row(&mut out, ["DESTINATION", "REQUESTS", "SAMPLES", "BYTES", "OLDEST", "NEWEST"]);
    for spool in spools {
        let time = |ms: Option<i64>| ms.map_or_else(|| "-".to_owned(), rfc3339);
        let name = spool.dir.file_name().unwrap_or_default().to_string_lossy();
        let waiting = spool.recovery.waiting;
        row(
            &mut out,
            [
                &name,
                &waiting.frames.to_string(),
                &waiting.samples.to_string(),
                &waiting.bytes.to_string(),
                &time(spool.oldest_ms),
                &time(spool.newest_ms),
            ],
        );
        for note in &spool.recovery.notes {
            let _ = writeln!(out, "  {note}");
        }
        if spool.recovery.notes_hidden > 0 {
            let _ = writeln!(out, "  and {} more like these", spool.recovery.notes_hidden);
        }
        if spool.recovery.damaged_ranges > 0 || spool.recovery.lost.frames > 0 {
            let recovery = &spool.recovery;
            let _ = writeln!(
                out,
                "  damage: {} places, {} bytes; lost to it: {} requests, {} samples",
                recovery.damaged_ranges, recovery.damaged_bytes, recovery.lost.frames, recovery.lost.samples
            );
        }
        if spool.quarantined > 0 {
            let _ = writeln!(out, "  files in quarantine: {}", spool.quarantined);
        }
    }
    out
}
