//! The whole configuration: its fields, gathered from where they are declared, and what they mean.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use log::LevelFilter;

use super::context::{Context, Item};
use super::fill;
use super::json::{Data, Value};
use super::loaded::{Config, LogFormat};
use super::problem::Path;
use super::shipper;
use crate::collectors;
use crate::fields::{self, DefaultValue, Done, Fault, Field, Fields, Inner, Notes, Row, Table, Takes};
use crate::http::Env;
use crate::ingest::{ListenFields, TABLE as LISTEN_TABLE};
use crate::lane::{
    Budget, DEFAULT_MEMORY_MAX_BYTES, GivenLabels, LANE_TABLE, LaneFields, SPOOL_TABLE, SpoolFields, SpoolMode,
    SpoolSettings, add_label,
};
use crate::model::Labels;
use crate::scrape::{self, EndpointFields, TABLE as ENDPOINT_TABLE};
use crate::server::{ServerFields, TABLE as SERVER_TABLE};
use crate::shaping::{GivenRules, RULE_TABLE};
use crate::spool::{DEFAULT_MAX_BYTES, DEFAULT_SYNC_INTERVAL, SyncPolicy};

/// Default time between collections.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);

/// Where what waits is kept if nobody says: what systemd's `StateDirectory=metricsd` would be.
const STATE_DIRECTORY: &str = "/var/lib/metricsd";

/// The whole file, as it was written.
#[derive(Default)]
pub(super) struct Root {
    log_level: Option<LevelFilter>,
    log_format: LogFormat,
    server: ServerFields,
    collector: Collector,
    labels: GivenLabels,
    transforms: GivenRules,
    pub(super) shipper: Option<LaneFields>,
    pub(super) shippers: Vec<LaneFields>,
    spool: SpoolFields,
    endpoints: Vec<EndpointFields>,
    endpoints_files: Vec<String>,
    listen: ListenFields,
}

struct Collector {
    interval: Duration,
    settings: collectors::Settings,
}

impl Default for Collector {
    fn default() -> Collector {
        Collector { interval: DEFAULT_INTERVAL, settings: collectors::Settings::default() }
    }
}

static FIELDS: [Field<Root>; 12] = [
    Field::new(
        "log_level",
        Takes::Word(&["debug", "info", "warn", "error"], |s, at| s.log_level = Some(LEVELS[at])),
        DefaultValue::Null,
        "Null: `info`. `-log-level` and `MC_LOG_LEVEL` go over it. A reload takes it up.",
    ),
    Field::new(
        "log_format",
        Takes::Word(&["text", "json"], |s, at| s.log_format = [LogFormat::Text, LogFormat::Json][at]),
        DefaultValue::Text("text"),
        "`json`: each log line is an object with `time`, `level`, `target` and `message`. A reload takes it up.",
    ),
    Field::new(
        "server",
        Takes::Object(&Inner { table: &SERVER_TABLE, of: |s: &mut Root| &mut s.server }),
        DefaultValue::EmptyMap,
        "",
    ),
    Field::new(
        "collector",
        Takes::Object(&Inner { table: &COLLECTOR, of: |s: &mut Root| &mut s.collector }),
        DefaultValue::EmptyMap,
        "",
    ),
    Field::new(
        "labels",
        Takes::Map(|s: &mut Root, name, value| add_label(&mut s.labels, name, value)),
        DefaultValue::EmptyMap,
        "Labels added to every metric of every destination. `MC_LABELS` is `name=value,name=value`, over those of the file.",
    )
    .variable("MC_LABELS"),
    Field::new(
        "transforms",
        Takes::Objects(&Inner { table: &RULE_TABLE, of: |s: &mut Root| s.transforms.one_more() }),
        DefaultValue::Texts(&[]),
        "Rules for every series of every destination, in order, each an object with one field; [`shaping.md`](shaping.md) has them.",
    ),
    Field::new(
        "shipper",
        Takes::Object(&Inner { table: &LANE_TABLE, of: |s: &mut Root| s.shipper.get_or_insert_default() }),
        DefaultValue::Null,
        "",
    ),
    Field::new(
        "shippers",
        Takes::Objects(&Inner { table: &LANE_TABLE, of: |s: &mut Root| one_more(&mut s.shippers) }),
        DefaultValue::Texts(&[]),
        "Any number of destinations, each with the fields of `shipper`; `shipper` is the short form of one.",
    ),
    Field::new(
        "endpoints",
        Takes::Objects(&Inner { table: &ENDPOINT_TABLE, of: |s: &mut Root| one_more(&mut s.endpoints) }),
        DefaultValue::Texts(&[]),
        "Applications that are asked for their numbers, each by its `name` and `url`.",
    ),
    Field::new(
        "endpoints_files",
        Takes::Texts(|s: &mut Root| s.endpoints_files.clear(), |s, pattern| add_pattern(&mut s.endpoints_files, pattern)),
        DefaultValue::Texts(&[]),
        "Patterns (`/etc/metricsd/endpoints/*.json`) of files of such lists, or of Prometheus' `file_sd`, which are followed as they change.",
    ),
    Field::new(
        "listen",
        Takes::Object(&Inner { table: &LISTEN_TABLE, of: |s: &mut Root| &mut s.listen }),
        DefaultValue::EmptyMap,
        "",
    ),
    Field::new(
        "spool",
        Takes::Object(&Inner { table: &SPOOL_TABLE, of: |s: &mut Root| &mut s.spool }),
        DefaultValue::EmptyMap,
        "",
    ),
];

/// Every field that there is.
pub(super) static ROOT: Table<Root> = Table::new(|| FIELDS.iter().collect());

const LEVELS: [LevelFilter; 4] = [LevelFilter::Debug, LevelFilter::Info, LevelFilter::Warn, LevelFilter::Error];

static COLLECTOR_FIELDS: [Field<Collector>; 2] = [
    Field::new(
        "interval_seconds",
        // The kernel's own figures are not much finer than the one, and with more than a day it is no monitoring.
        Takes::Number(0.05..=86_400.0, |s: &mut Collector, seconds| s.interval = Duration::from_secs_f64(seconds)),
        DefaultValue::Whole(DEFAULT_INTERVAL.as_secs()),
        "Seconds between collections; fractions are fine.",
    )
    .variable("MC_COLLECTOR_INTERVAL"),
    Field::all_of(&Inner { table: &collectors::FIELDS, of: |s: &mut Collector| &mut s.settings }),
];

static COLLECTOR: Table<Collector> = Table::new(|| COLLECTOR_FIELDS.iter().collect());

fn add_pattern(patterns: &mut Vec<String>, pattern: String) -> Done {
    if !pattern.starts_with('/') {
        return Err(Fault::expected("an absolute path, with * for any name"));
    }
    glob::Pattern::new(&pattern).map_err(|error| Fault::new(format!("bad pattern: {error}")))?;
    patterns.push(pattern);
    Ok(())
}

fn one_more<T: Default>(list: &mut Vec<T>) -> &mut T {
    list.push(T::default());
    let last = list.len() - 1;
    &mut list[last]
}

/// The fields of the whole configuration.
pub fn fields() -> &'static dyn Fields {
    &ROOT
}

/// All fields, in the order of the documentation.
pub fn rows() -> Vec<Row> {
    fields::rows(&ROOT)
}

/// Reads all of it; what comes out is of use if no problem was noted.
pub(super) fn read(cx: &Context<'_>, tree: &Value<'_>, host_name: &str) -> Config {
    let mut root = Root::default();
    let whole = Item::new(tree, Path::default(), false);
    fill::object(cx, tree, Path::default(), &ROOT, &mut ROOT.fill(&mut root));
    let mut notes = Notes::default();
    notes.within("collector", |notes| root.collector.settings.check(root.collector.interval, notes));
    let Root {
        log_level,
        log_format,
        server,
        collector,
        labels,
        transforms,
        shipper,
        shippers,
        spool,
        endpoints,
        endpoints_files,
        listen,
    } = root;
    let mut settings = common_spool(cx.env, spool.total_max_bytes());
    notes.within("spool", |notes| spool.settle(&mut settings, notes));
    let rules = notes.within("transforms", |notes| transforms.settle(notes));
    let listen = notes.within("listen", |notes| listen.settle(notes));
    let common = shipper::Common {
        interval: collector.interval,
        spool: &settings,
        labels: &labels,
        rules: &rules,
        host_name,
        env: cx.env,
        gives_records: listen.push.is_some(),
    };
    let destinations = usize::from(shipper.is_some()) + shippers.len();
    let lanes = shipper::lanes(shipper, shippers, &common, &mut notes);
    let endpoints = scrape::settle(endpoints, "endpoints", collector.interval, cx.env, &mut notes);
    let server = notes.within("server", |notes| server.settle(notes));
    cx.take(notes, &whole, &ROOT);
    Config {
        source: String::new(),
        log_level,
        log_format,
        server,
        interval: collector.interval,
        collectors: collector.settings,
        lanes,
        destinations,
        endpoints,
        endpoints_files,
        listen,
        spool: settings,
        // A name that was given twice has been noted already.
        labels: Labels::new(labels).unwrap_or(Labels::EMPTY),
        warnings: Vec::new(),
    }
}

/// Takes `shippers` away where `shipper` is given as well, and says so: whatever else is wrong with
/// them (two of one name, most likely) may be gone with this.
pub(super) fn refuse_both(cx: &Context<'_>, tree: &mut Value<'_>) {
    let Data::Object(entries) = &mut tree.data else { return };
    let is_given = |key: &str, value: &Value<'_>| match &value.data {
        // The example's empty list may stay where someone fills in `shipper`.
        Data::List(items) if key == "shippers" => !items.is_empty(),
        data => *data != Data::Null,
    };
    let both = ["shipper", "shippers"]
        .map(|key| entries.iter().position(|entry| entry.key == key && is_given(key, &entry.value)));
    if let [Some(_), Some(at)] = both {
        let path = Path::default().key("shippers");
        let message = "shippers and shipper are given together; move shipper into the list";
        cx.problem(entries[at].value.origin, &path, message);
        entries.retain(|entry| entry.key != "shipper" && entry.key != "shippers");
    }
}

/// How what waits is kept where nothing is said.
fn common_spool(env: Env<'_>, total_max_bytes: u64) -> SpoolSettings {
    SpoolSettings {
        mode: SpoolMode::Behind,
        dir: Some(default_dir(env)),
        max_bytes: DEFAULT_MAX_BYTES,
        memory_max_bytes: DEFAULT_MEMORY_MAX_BYTES,
        max_age: None,
        sync: SyncPolicy::Interval(DEFAULT_SYNC_INTERVAL),
        budget: Arc::new(Budget::new(total_max_bytes)),
    }
}

/// systemd names the state directories of a unit in `STATE_DIRECTORY`, with `:` between them.
fn default_dir(env: Env<'_>) -> PathBuf {
    let given = env("STATE_DIRECTORY").unwrap_or_default();
    let first = given.split(':').next().unwrap_or_default();
    if first.starts_with('/') { first.into() } else { STATE_DIRECTORY.into() }
}
