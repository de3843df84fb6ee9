//! `spool`: how what waits for delivery is kept, for all destinations and for one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::fields::{SHIPPER_SPOOL, SPOOL};
use super::section::{Item, Section};
use crate::lane::{Budget, DEFAULT_MEMORY_MAX_BYTES, SpoolMode, SpoolSettings};
use crate::spool::{DEFAULT_MAX_BYTES, DEFAULT_SYNC_INTERVAL, SyncPolicy};

/// Below this a spool would hold no tick of a large host; above it is a mistyped number.
const BYTES: std::ops::RangeInclusive<u64> = 64 << 10..=1 << 40;

/// Default of `spool.total_max_bytes`: four destinations' worth.
const TOTAL_MAX_BYTES: u64 = 4 * DEFAULT_MAX_BYTES;

/// Where it is kept if nobody says: what systemd's `StateDirectory=metricsd` would be.
const STATE_DIRECTORY: &str = "/var/lib/metricsd";

const MODES: [(&str, SpoolMode); 3] =
    [("behind", SpoolMode::Behind), ("always", SpoolMode::Always), ("memory", SpoolMode::Memory)];

/// The top `spool`.
pub(super) fn common(root: &Section<'_>) -> SpoolSettings {
    let section = root.section("spool", &SPOOL);
    let mut total = TOTAL_MAX_BYTES;
    section.read("total_max_bytes", &mut total, |item| item.whole(BYTES));
    let mut spool = SpoolSettings {
        mode: SpoolMode::Behind,
        dir: Some(default_dir(section.cx.env)),
        max_bytes: DEFAULT_MAX_BYTES,
        memory_max_bytes: DEFAULT_MEMORY_MAX_BYTES,
        max_age: None,
        sync: SyncPolicy::Interval(DEFAULT_SYNC_INTERVAL),
        budget: Arc::new(Budget::new(total)),
    };
    read(&section, &mut spool);
    spool
}

/// A destination's `spool`, over the common one. `local`: its type sends to this host's own
/// files, so that a spool would only write everything twice.
pub(super) fn of_shipper(shipper: &Section<'_>, common: &SpoolSettings, local: bool) -> SpoolSettings {
    let section = shipper.section("spool", &SHIPPER_SPOOL);
    let mut spool = common.clone();
    if local {
        spool.mode = SpoolMode::Memory;
    }
    read(&section, &mut spool);
    spool
}

fn read(section: &Section<'_>, spool: &mut SpoolSettings) {
    section.read("mode", &mut spool.mode, |item| {
        let at = item.word(&MODES.map(|(word, _)| word))?;
        Some(MODES[at].1)
    });
    section.read("dir", &mut spool.dir, |item| Some(Some(dir_of(item)?)));
    section.read("max_bytes", &mut spool.max_bytes, |item| item.whole(BYTES));
    section.read("max_age", &mut spool.max_age, |item| Some(Some(item.age()?)));
    section.read("sync", &mut spool.sync, sync);
    spool.memory_max_bytes = usize::try_from(spool.max_bytes).unwrap_or(usize::MAX).min(DEFAULT_MEMORY_MAX_BYTES);
}

fn sync(item: &Item<'_>) -> Option<SyncPolicy> {
    match item.text()?.as_str() {
        "always" => Some(SyncPolicy::Always),
        "never" => Some(SyncPolicy::Never),
        _ => item.duration().map(|wait: Duration| SyncPolicy::Interval(wait)),
    }
}

fn dir_of(item: &Item<'_>) -> Option<PathBuf> {
    let text = item.text()?;
    if !text.starts_with('/') {
        return item.expected("an absolute path");
    }
    Some(text.into())
}

/// systemd names the state directories of a unit in `STATE_DIRECTORY`, with `:` between them.
fn default_dir(env: super::Env<'_>) -> PathBuf {
    let given = env("STATE_DIRECTORY").unwrap_or_default();
    let first = given.split(':').next().unwrap_or_default();
    if first.starts_with('/') { first.into() } else { STATE_DIRECTORY.into() }
}
