//! What waits on disk and nobody sends: spools of destinations that the configuration does
//! not have, or not any more.

use std::collections::BTreeSet;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::Config;
use crate::lane::Settings;
use crate::model::Signal;
use crate::spool::{inspect_one, spools};
use crate::telemetry::counted;

/// Warns of them, once of each.
#[derive(Default)]
pub struct Stranded {
    /// Directories that were warned of, and are still nobody's.
    said: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl Stranded {
    /// Looks for them, on a thread of its own: reading a spool of 64 MiB takes a while, and a
    /// disk may hang.
    pub fn look(&self, config: &Config) {
        let roots: Vec<PathBuf> = config.spool_roots().into_iter().map(Path::to_path_buf).collect();
        let (lanes, said) = (config.lanes.clone(), Arc::clone(&self.said));
        // Not one of the program's threads: should this one panic, nothing is lost but a warning.
        let thread = std::thread::Builder::new().name("stranded".to_owned()).spawn(move || look(&roots, &lanes, &said));
        if let Err(error) = thread {
            log::debug!("cannot start a thread: {error}; spools of destinations that are gone are not looked for");
        }
    }

    /// Somebody else warns of this directory.
    pub fn is_said(&self, dir: PathBuf) {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).insert(dir);
    }
}

fn look(roots: &[PathBuf], lanes: &[Settings], said: &Mutex<BTreeSet<PathBuf>>) {
    let lock = || said.lock().unwrap_or_else(PoisonError::into_inner);
    lock().retain(|dir| why_stranded(dir, lanes).is_some());
    // There may be none yet, and what is wrong with it is said by whoever needs it.
    for dir in roots.iter().flat_map(|root| spools(root).unwrap_or_default()) {
        let Some(why) = why_stranded(&dir, lanes).filter(|_| !lock().contains(&dir)) else { continue };
        let Some(what) = what_waits(&dir) else { continue };
        if lock().insert(dir.clone()) {
            let remedy = why.remedy();
            log::warn!("{}: {what}: {why}; {remedy} to send them, or remove the directory", dir.display());
        }
    }
}

/// What is in the spool `dir`, in words; none where it is nothing.
fn what_waits(dir: &Path) -> Option<String> {
    let listing = match inspect_one(dir, None) {
        Ok(listing) => listing,
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => return Some(format!("requests may wait in it ({error}) and are not sent")),
    };
    let waiting = listing.recovery.waiting;
    match listing.unread {
        _ if waiting.frames > 0 => {
            let is_of_records = dir.to_str().is_some_and(|dir| dir.ends_with(Signal::Records.suffix()));
            let signal = if is_of_records { Signal::Records } else { Signal::Metrics };
            let (requests, things) = (counted(waiting.frames, "request"), counted(waiting.samples, signal.thing()));
            Some(format!("what waits in it, {requests} ({things}), is not sent"))
        }
        Some(error) => Some(format!("requests may wait in it ({error}) and are not sent")),
        None => None,
    }
}

/// Why nobody sends what is in a spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// There is no destination of its name.
    Gone,
    /// There is one, and nothing that gives records.
    NoRecords,
    /// There is one, which keeps nothing on disk.
    Memory,
    /// There is one, whose spool is in another directory.
    Elsewhere,
}

impl Why {
    /// What to do, to have it sent.
    pub fn remedy(self) -> &'static str {
        match self {
            Why::Gone => "bring the destination back",
            Why::NoRecords => "set listen.push.enabled",
            Why::Memory => "set its spool.mode back",
            Why::Elsewhere => "set its spool.dir back",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Why::Gone => "not in the configuration",
            Why::NoRecords => "nothing gives its destination records (listen.push)",
            Why::Memory => "its destination keeps nothing on disk (spool.mode)",
            Why::Elsewhere => "its destination's spool is elsewhere (spool.dir)",
        })
    }
}

/// Why nobody sends what is in the spool `dir`; none where one of `lanes` does.
pub fn why_stranded(dir: &Path, lanes: &[Settings]) -> Option<Why> {
    if lanes.iter().any(|lane| lane.home().is_some_and(|home| home == dir)) {
        return None;
    }
    let name = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let namesake = lanes.iter().find(|lane| lane.lane_name() == name);
    let of_records = name.strip_suffix(Signal::Records.suffix());
    let has_no_records = |lane: &Settings| {
        let mut lane = lane.clone();
        lane.signal = Signal::Records;
        Some(&*lane.name) == of_records && lane.home().is_some_and(|home| home == dir)
    };
    if namesake.is_none() && lanes.iter().any(has_no_records) {
        return Some(Why::NoRecords);
    }
    Some(match namesake.map(Settings::home) {
        None => Why::Gone,
        Some(None) => Why::Memory,
        Some(Some(_)) => Why::Elsewhere,
    })
}

/// Where the lane `gone` leaves what none of `lanes` will send.
pub fn abandoned(gone: &Settings, lanes: &[Settings]) -> Option<PathBuf> {
    gone.home().filter(|home| why_stranded(home, lanes).is_some())
}
