//! `-spool`: what waits on disk, as a table for people.

use std::fmt::Write;
use std::io::ErrorKind;
use std::path::Path;

use super::stranded::why_stranded;
use super::{complain, print};
use crate::cli::Exit;
use crate::config::Config;
use crate::host::wall_ms;
use crate::lane::Settings;
use crate::spool::{Listing, inspect};
use crate::telemetry::{go_duration, rfc3339};

/// Lists the spools below each configured directory. Reads only, also while a daemon runs.
/// [`Exit::Permission`] where it may not look into one, after all others.
pub fn list(config: &Config) -> Exit {
    let exits = config.spool_roots().into_iter().map(|dir| list_in(dir, &config.lanes));
    exits.fold(Exit::Ok, |first, exit| if first == Exit::Ok { exit } else { first })
}

fn list_in(dir: &Path, lanes: &[Settings]) -> Exit {
    let now_ms = wall_ms();
    let old_before = |name: &str| lane_of(name, lanes)?.spool.old_before_ms(now_ms);
    match inspect(dir, old_before) {
        Ok(spools) => {
            let denied = spools.iter().any(|spool| spool.unread == Some(ErrorKind::PermissionDenied));
            match print(&table(dir, &spools, lanes)) {
                Exit::Ok if denied => Exit::Permission,
                exit => exit,
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            print(&format!("{}: nothing waits; there is no such directory\n", dir.display()))
        }
        Err(error) => {
            complain(&format!("cannot list {}: {error}", dir.display()));
            if error.kind() == ErrorKind::PermissionDenied { Exit::Permission } else { Exit::Internal }
        }
    }
}

fn lane_of<'a>(name: &str, lanes: &'a [Settings]) -> Option<&'a Settings> {
    lanes.iter().find(|lane| *lane.lane_name() == *name)
}

fn table(dir: &Path, spools: &[Listing], lanes: &[Settings]) -> String {
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
        fate(&mut out, spool, lanes, &name);
        damage(&mut out, spool);
    }
    out
}

/// What becomes of what waits, where it is not sent.
fn fate(out: &mut String, spool: &Listing, lanes: &[Settings], name: &str) {
    let why = why_stranded(&spool.dir, lanes).filter(|_| spool.recovery.waiting.frames > 0 || spool.unread.is_some());
    if let Some(why) = why {
        let _ = writeln!(out, "  {why}: nobody sends them; {}, or remove the directory", why.remedy());
    } else if let Some(max_age) = lane_of(name, lanes).and_then(|lane| lane.spool.max_age) {
        let old = spool.old;
        if old.frames > 0 {
            let age = if max_age.as_secs() > 0 { go_duration(max_age) } else { format!("{max_age:?}") };
            let (requests, samples) = (old.frames, old.samples);
            let _ = writeln!(
                out,
                "  older than max_age ({age}): {requests} requests, {samples} samples; they will be dropped"
            );
        }
    }
}

fn damage(out: &mut String, spool: &Listing) {
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
