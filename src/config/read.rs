//! From the tree to settings: the whole, and the collectors.

use std::time::Duration;

use log::LevelFilter;

use super::fields::{COLLECTOR, DISK, FILESYSTEM, NETWORK, ROOT};
use super::json::Value;
use super::problem::Path;
use super::section::{Context, Item, Section};
use super::server;
use super::shipper::{self, GivenLabels};
use super::spool;

use crate::collectors::{self, Filter, Pattern};
use crate::lane;
use crate::model::Labels;

/// Shortest and longest time between collections, in seconds: the kernel's own figures are
/// not much finer than the one, and with more than a day it is no monitoring.
const INTERVAL_SECONDS: std::ops::RangeInclusive<f64> = 0.05..=86_400.0;

/// Default time between collections.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);

const LOG_LEVELS: [(&str, LevelFilter); 4] = [
    ("debug", LevelFilter::Debug),
    ("info", LevelFilter::Info),
    ("warn", LevelFilter::Warn),
    ("error", LevelFilter::Error),
];

/// What the configuration says, if no problem was noted on the way.
pub(super) struct Meaning {
    pub log_level: Option<LevelFilter>,
    pub server: crate::server::Settings,
    pub interval: Duration,
    pub collectors: collectors::Settings,
    pub lanes: Vec<lane::Settings>,
    pub spool: lane::SpoolSettings,
    pub labels: Labels,
}

/// Reads all of it.
pub(super) fn read(cx: &Context<'_>, root: &Value<'_>, host_name: &str) -> Meaning {
    let root = Section::open(cx, root, Path::default(), &ROOT);
    if let Some(item) = root.get("endpoints").filter(|item| item.list().is_some_and(|list| !list.is_empty())) {
        item.problem("scraping application endpoints is not available in this version; leave the list empty");
    }
    let mut log_level = None;
    root.read("log_level", &mut log_level, |item| {
        Some(Some(LOG_LEVELS[item.word(&LOG_LEVELS.map(|(word, _)| word))?].1))
    });
    let global: GivenLabels = root.get("labels").map(|item| shipper::labels(&item)).unwrap_or_default();
    let spool = spool::common(&root);
    let (interval, collectors) = collectors(&root.section("collector", &COLLECTOR));
    let common = shipper::Common { interval, spool: &spool, labels: &global, host_name };
    let lanes = shipper::lanes(&root, &common);
    Meaning {
        log_level,
        server: server::read(&root),
        interval,
        collectors,
        lanes,
        spool,
        // A name that was given twice has been noted already.
        labels: Labels::new(global).unwrap_or(Labels::EMPTY),
    }
}

fn collectors(section: &Section<'_>) -> (Duration, collectors::Settings) {
    let mut interval = DEFAULT_INTERVAL;
    section
        .read("interval_seconds", &mut interval, |item| Some(Duration::from_secs_f64(item.number(INTERVAL_SECONDS)?)));
    let mut settings = collectors::Settings::default();
    for (name, enabled) in [
        ("enable_cpu", &mut settings.enable_cpu),
        ("enable_memory", &mut settings.enable_memory),
        ("enable_load", &mut settings.enable_load),
        ("enable_uptime", &mut settings.enable_uptime),
        ("enable_disk", &mut settings.enable_disk),
        ("enable_network", &mut settings.enable_network),
    ] {
        section.read(name, enabled, Item::bool);
    }
    if let Some(item) = section.get("enable_gpu").filter(|item| item.bool() == Some(true)) {
        item.problem("GPU metrics are not built into this version; set it to false");
    }
    filter(&section.section("disk", &DISK), ["include", "exclude"], &mut settings.disk);
    let filesystem = section.section("filesystem", &FILESYSTEM);
    filter(&filesystem, ["include_mountpoints", "exclude_mountpoints"], &mut settings.filesystem.mountpoint);
    filter(&filesystem, ["include_types", "exclude_types"], &mut settings.filesystem.fstype);
    filesystem.read("timeout", &mut settings.filesystem.timeout, Item::duration);
    filter(&section.section("network", &NETWORK), ["include", "exclude"], &mut settings.network);
    section.read("max_series", &mut settings.max_series, |item| Some(item.whole(1..=1_000_000)? as usize));
    (interval, settings)
}

/// Patterns that are given take the place of the default ones.
fn filter(section: &Section<'_>, [include, exclude]: [&'static str; 2], filter: &mut Filter) {
    section.read(include, &mut filter.include, patterns);
    section.read(exclude, &mut filter.exclude, patterns);
}

fn patterns(item: &Item<'_>) -> Option<Vec<Pattern>> {
    let pattern = |item: &Item<'_>| {
        let text = item.text()?;
        if text.is_empty() {
            return item.expected("a regular expression; an empty one matches nothing that has a name");
        }
        Pattern::new(&text)
            .map_err(|error| item.problem(format!("{} is no regular expression: {error}", item.described())))
            .ok()
    };
    Some(item.list()?.iter().filter_map(pattern).collect())
}
