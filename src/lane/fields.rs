//! The fields of a destination (`shipper`, each of `shippers`), but for those of its HTTP client.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use super::file_path::file_path;
use super::settings::{DEFAULT_MEMORY_MAX_BYTES, RetrySettings, SpoolMode, SpoolSettings};
use super::tee::TeeSettings;
use crate::fields::{AGE, DefaultValue, Done, Fault, Field, Inner, Notes, Table, Takes, WAIT, duration_of};
use crate::formats::{self, Format, Options};
use crate::http::{HttpFields, TABLE as HTTP_TABLE};
use crate::model::Labels;
use crate::model::Scheme;
use crate::shaping::{GivenRules, RULE_TABLE};
use crate::spool::{DEFAULT_MAX_BYTES, SyncPolicy};

/// Names become values of labels, names of threads, and of directories.
const MAX_NAME_BYTES: usize = 64;

/// Below this a spool would hold no tick of a large host; above it is a mistyped number.
const BYTES: std::ops::RangeInclusive<u64> = 64 << 10..=1 << 40;

/// Default of `spool.total_max_bytes`: four destinations' worth.
const TOTAL_MAX_BYTES: u64 = 4 * DEFAULT_MAX_BYTES;

/// The words of `naming`, in the order of [`Scheme::ALL`].
const NAMINGS: [&str; 3] = [Scheme::ALL[0].as_str(), Scheme::ALL[1].as_str(), Scheme::ALL[2].as_str()];

/// Names and values of labels as they were given, the empty ones too: over a label from
/// elsewhere an empty value takes it away.
pub type GivenLabels = Vec<(String, String)>;

/// A destination, as it was written.
pub struct LaneFields {
    /// Its name, where it has one of its own.
    pub name: Option<String>,
    /// Its `type`.
    pub format: Option<&'static Format>,
    /// Where it is; what that means is for its type to say.
    pub endpoint: Option<String>,
    /// What is said of its format.
    pub options: Options,
    /// Labels of its own.
    pub labels: GivenLabels,
    /// Rules of its own.
    pub transforms: GivenRules,
    /// `naming`; none: what its type has.
    pub naming: Option<Scheme>,
    /// `own_metrics`.
    pub own_metrics: bool,
    /// Pauses between attempts.
    pub retry: RetrySettings,
    /// Requests under way at a time, 1 to 16.
    pub workers: usize,
    /// Requests a second with which a backlog is drained.
    pub drain_rate: Option<f64>,
    /// What is different of its spool.
    pub spool: SpoolFields,
    /// `tee_file`.
    pub tee_file: TeeFields,
    /// How it is reached.
    pub http: HttpFields,
}

impl Default for LaneFields {
    fn default() -> LaneFields {
        LaneFields {
            name: None,
            format: None,
            endpoint: None,
            options: Options::default(),
            naming: None,
            own_metrics: false,
            labels: GivenLabels::new(),
            transforms: GivenRules::default(),
            retry: RetrySettings::default(),
            workers: 1,
            drain_rate: None,
            spool: SpoolFields::default(),
            tee_file: TeeFields::default(),
            http: HttpFields::default(),
        }
    }
}

/// `spool`, of all destinations or of one, as it was written.
#[derive(Default)]
pub struct SpoolFields {
    mode: Option<SpoolMode>,
    dir: Option<PathBuf>,
    max_bytes: Option<u64>,
    memory_max_bytes: Option<u64>,
    max_age: Option<Duration>,
    sync: Option<SyncPolicy>,
    total_max_bytes: Option<u64>,
}

/// `tee_file`, as it was written.
#[derive(Default)]
pub struct TeeFields {
    path: Option<PathBuf>,
    max_bytes: Option<u64>,
    keep: Option<u64>,
}

impl TeeFields {
    /// What is meant; none where there is no path.
    pub fn settle(self) -> Option<TeeSettings> {
        let TeeFields { path, max_bytes, keep } = self;
        let (max_bytes, keep) = (max_bytes.unwrap_or(TEE_MAX_BYTES), keep.unwrap_or(TEE_KEEP));
        Some(TeeSettings { path: path?, max_bytes, keep })
    }
}

/// Defaults of `tee_file`: some thousand ticks of a small host, and a disk that is not filled by them.
const TEE_MAX_BYTES: u64 = 16 << 20;
const TEE_KEEP: u64 = 1;

/// More is a mistyped number.
const TEE_KEEP_MOST: u64 = 1000;

/// The types that there are, as the documentation names them.
static TYPES: LazyLock<String> = LazyLock::new(|| {
    let names = formats::names().map(|name| format!("`{name}`"));
    let (last, others) = names.split_last().map_or(("", &[][..]), |(last, others)| (last, others));
    format!("{} or {last}.", others.join(", "))
});

static TYPE: LazyLock<Field<LaneFields>> = LazyLock::new(|| {
    Field::new("type", Takes::Text(set_type), DefaultValue::Required, &TYPES).variable("MC_SHIPPER_TYPE")
});

static FIELDS: [Field<LaneFields>; 13] = [
    Field::new(
        "name",
        Takes::Text(set_name),
        DefaultValue::Null,
        "Name in logs and metrics, unique among the destinations; null: its type.",
    ),
    Field::new(
        "endpoint",
        Takes::Text(|s: &mut LaneFields, endpoint| {
            if endpoint.is_empty() {
                return Err(Fault::expected("a URL or a path"));
            }
            s.endpoint = Some(endpoint);
            Ok(())
        }),
        DefaultValue::Required,
        "`http://` or `https://` URL; for `graphite` `tcp://host:port` or `tls://host:port`; for `file` a path or a `file://` URL. `stdout` needs none.",
    )
    .variable("MC_SHIPPER_ENDPOINT"),
    Field::all_of(&Inner { table: &formats::FIELDS, of: |s: &mut LaneFields| &mut s.options }),
    Field::new(
        "naming",
        Takes::Word(&NAMINGS, |s: &mut LaneFields, at| s.naming = Some(Scheme::ALL[at])),
        DefaultValue::Null,
        "By which names it is sent: metricsd's own, those of Prometheus' node_exporter, or OpenTelemetry's; null: `otel` for `otlp_http`, `native` for the others.",
    ),
    Field::new(
        "own_metrics",
        Takes::Bool(|s: &mut LaneFields, own| s.own_metrics = own),
        DefaultValue::Bool(false),
        "Also send metricsd's own metrics, as `/metrics` has them, and `up`, which is 1.",
    ),
    Field::new(
        "labels",
        Takes::Map(|s, name, value| add_label(&mut s.labels, name, value)),
        DefaultValue::EmptyMap,
        "Labels for this destination, over the global ones; an empty value takes a label away.",
    ),
    Field::new(
        "transforms",
        Takes::Objects(&Inner { table: &RULE_TABLE, of: |s: &mut LaneFields| s.transforms.one_more() }),
        DefaultValue::Texts(&[]),
        "Rules for this destination, behind those of the top `transforms`, with the same fields.",
    ),
    Field::new(
        "retry",
        Takes::Object(&Inner { table: &RETRY_TABLE, of: |s: &mut LaneFields| &mut s.retry }),
        DefaultValue::EmptyMap,
        "",
    ),
    Field::new(
        "workers",
        // Each is a thread and a connection.
        Takes::Whole(1..=16, |s, workers| s.workers = workers as usize),
        DefaultValue::Whole(1),
        "Requests under way at a time; above 1 their order is not kept. Remote write insists on order and has 1.",
    ),
    Field::new(
        "drain_rate",
        Takes::Number(0.001..=1e6, |s, rate| s.drain_rate = Some(rate)),
        DefaultValue::Null,
        "Requests a second with which a backlog is drained, also at the end; null: as fast as they are taken. It has to be more than is collected.",
    ),
    Field::new(
        "spool",
        Takes::Object(&Inner { table: &OWN_SPOOL_TABLE, of: |s: &mut LaneFields| &mut s.spool }),
        DefaultValue::EmptyMap,
        "",
    ),
    Field::new(
        "tee_file",
        Takes::Object(&Inner { table: &TEE_TABLE, of: |s: &mut LaneFields| &mut s.tee_file }),
        DefaultValue::EmptyMap,
        "",
    ),
    Field::all_of(&Inner { table: &HTTP_TABLE, of: |s: &mut LaneFields| &mut s.http }),
];

/// A destination's fields.
pub static LANE_TABLE: Table<LaneFields> = Table::new(|| {
    let (name, others) = FIELDS.split_at(1);
    name.iter().chain(std::iter::once(&*TYPE)).chain(others).collect()
});

static TEE_FIELDS: [Field<TeeFields>; 3] = [
    Field::new(
        "path",
        Takes::Text(|s: &mut TeeFields, text| {
            if text.is_empty() {
                s.path = None;
                return Ok(());
            }
            s.path = Some(file_path(&text).map_err(|why| Fault::quoting("").after(format!(" {why}")))?);
            Ok(())
        }),
        DefaultValue::Null,
        "A file into which what is sent is also written, as `http_json`'s payload, a line each; null: none.",
    ),
    Field::new(
        "max_bytes",
        Takes::Whole(BYTES, |s: &mut TeeFields, bytes| s.max_bytes = Some(bytes)),
        DefaultValue::Whole(TEE_MAX_BYTES),
        "A line that would make it larger begins a new file.",
    ),
    Field::new(
        "keep",
        Takes::Whole(0..=TEE_KEEP_MOST, |s, keep| s.keep = Some(keep)),
        DefaultValue::Whole(TEE_KEEP),
        "How many of the files before it are kept, as `path.1` (the latest) to `path.<keep>`.",
    ),
];

static TEE_TABLE: Table<TeeFields> = Table::checked(
    || TEE_FIELDS.iter().collect(),
    |TeeFields { path, max_bytes, keep }, notes| {
        // Who writes all defaults out, as the example does, expects nothing of it.
        let is_written_out = (*max_bytes, *keep) == (Some(TEE_MAX_BYTES), Some(TEE_KEEP));
        if path.is_none() && !is_written_out {
            notes.warn("has no path, so nothing is written; give it one");
        }
    },
);

static RETRY_FIELDS: [Field<RetrySettings>; 3] = [
    Field::new(
        "min_backoff",
        Takes::Duration(WAIT, |s, wait| s.min_backoff = wait),
        DefaultValue::Text("500ms"),
        "Longest pause after the first failure.",
    ),
    Field::new(
        "max_backoff",
        Takes::Duration(WAIT, |s, wait| s.max_backoff = wait),
        DefaultValue::Text("5s"),
        "Longest pause after many failures.",
    ),
    Field::new(
        "aside_after",
        Takes::Duration(AGE, |s, wait| s.aside_after = wait),
        DefaultValue::Text("10m"),
        "A request that is answered 5xx for so long is dropped, counted as `stuck`, if the one behind it is taken.",
    ),
];

static RETRY_TABLE: Table<RetrySettings> = Table::checked(
    || RETRY_FIELDS.iter().collect(),
    |RetrySettings { min_backoff, max_backoff, .. }, notes| {
        if min_backoff > max_backoff {
            notes.lack(format!("min_backoff ({min_backoff:?}) is longer than max_backoff ({max_backoff:?})"));
        }
    },
);

static SPOOL_FIELDS: [Field<SpoolFields>; 7] = [
    Field::new(
        "dir",
        DIR,
        DefaultValue::Null,
        "Directory for what waits, one in it for each destination; null: `$STATE_DIRECTORY`, or `/var/lib/metricsd`.",
    ),
    Field::new(
        "mode",
        MODE,
        DefaultValue::Text(MODES[0].0),
        "`behind`: on disk when not delivered within a second; `always`: before it is sent; `memory`: never.",
    ),
    Field::new(
        "max_bytes",
        MAX_BYTES,
        DefaultValue::Whole(DEFAULT_MAX_BYTES),
        "What may wait for a destination; over it the oldest goes, counted.",
    ),
    Field::new(
        "memory_max_bytes",
        MEMORY_MAX_BYTES,
        DefaultValue::Whole(DEFAULT_MEMORY_MAX_BYTES as u64),
        "What of that may wait in memory: with the mode `memory`, and where the disk does not take it.",
    ),
    Field::new(
        "max_age",
        MAX_AGE,
        DefaultValue::Null,
        "What has waited for longer is dropped, counted; null: nothing is.",
    ),
    Field::new(
        "sync",
        SYNC,
        DefaultValue::Text("1s"),
        "How long a power cut may undo what was written: a duration, `always` (nothing) or `never` (as the kernel likes).",
    ),
    Field::new(
        "total_max_bytes",
        Takes::Whole(BYTES, |s, bytes| s.total_max_bytes = Some(bytes)),
        DefaultValue::Whole(TOTAL_MAX_BYTES),
        "What may wait for all destinations together, on disk.",
    ),
];

/// The top `spool`: for all destinations.
pub static SPOOL_TABLE: Table<SpoolFields> = Table::new(|| SPOOL_FIELDS.iter().collect());

/// `spool` of one destination: what it does differently.
static OWN_SPOOL_FIELDS: [Field<SpoolFields>; 6] = [
    Field::new(
        "mode",
        MODE,
        DefaultValue::Null,
        "Here and below: null takes the top `spool`'s; `memory` for `file` and `stdout`.",
    ),
    Field::new("dir", DIR, DefaultValue::Null, "As in `spool`: another disk, for one destination."),
    Field::new("max_bytes", MAX_BYTES, DefaultValue::Null, "As in `spool`."),
    Field::new("memory_max_bytes", MEMORY_MAX_BYTES, DefaultValue::Null, "As in `spool`."),
    Field::new("max_age", MAX_AGE, DefaultValue::Null, "As in `spool`."),
    Field::new("sync", SYNC, DefaultValue::Null, "As in `spool`."),
];

static OWN_SPOOL_TABLE: Table<SpoolFields> = Table::new(|| OWN_SPOOL_FIELDS.iter().collect());

const MODES: [(&str, SpoolMode); 3] =
    [("behind", SpoolMode::Behind), ("always", SpoolMode::Always), ("memory", SpoolMode::Memory)];

const MODE: Takes<SpoolFields> = Takes::Word(&[MODES[0].0, MODES[1].0, MODES[2].0], |s, at| s.mode = Some(MODES[at].1));

const DIR: Takes<SpoolFields> = Takes::Text(|s, dir| {
    if !dir.starts_with('/') {
        return Err(Fault::expected("an absolute path"));
    }
    s.dir = Some(dir.into());
    Ok(())
});

const MAX_BYTES: Takes<SpoolFields> = Takes::Whole(BYTES, |s, bytes| s.max_bytes = Some(bytes));

const MEMORY_MAX_BYTES: Takes<SpoolFields> = Takes::Whole(BYTES, |s, bytes| s.memory_max_bytes = Some(bytes));

const MAX_AGE: Takes<SpoolFields> = Takes::Duration(AGE, |s, age| s.max_age = Some(age));

const SYNC: Takes<SpoolFields> = Takes::Text(|s, text| {
    s.sync = Some(match text.as_str() {
        "always" => SyncPolicy::Always,
        "never" => SyncPolicy::Never,
        _ => SyncPolicy::Interval(duration_of(&WAIT, text)?),
    });
    Ok(())
});

fn set_name(s: &mut LaneFields, name: String) -> Done {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.starts_with('.') || !name.bytes().all(allowed) {
        return Err(Fault::expected(format!("1 to {MAX_NAME_BYTES} letters, digits, _, - or ., no . first")));
    }
    s.name = Some(name);
    Ok(())
}

fn set_type(s: &mut LaneFields, name: String) -> Done {
    s.format = formats::of_name(&name);
    if s.format.is_none() {
        let names = formats::names();
        let known = crate::fields::any_of(&names);
        return Err(Fault::quoting("unknown type ").after(format!("; expected {known}")).near(name, names));
    }
    Ok(())
}

/// Takes the label, if its name can be used.
pub fn add_label(labels: &mut GivenLabels, name: &str, value: String) -> Done {
    if name.starts_with("__") {
        return Err("names that begin with __ are Prometheus' own; choose another one".into());
    }
    Labels::new([(name, "")]).map_err(|error| error.to_string())?;
    labels.push((name.to_owned(), value));
    Ok(())
}

impl SpoolFields {
    /// What all spools together may take on disk.
    pub fn total_max_bytes(&self) -> u64 {
        self.total_max_bytes.unwrap_or(TOTAL_MAX_BYTES)
    }

    /// Lays what is given over `spool`. Notes are of the object `spool`.
    pub fn settle(self, spool: &mut SpoolSettings, notes: &mut Notes) {
        spool.mode = self.mode.unwrap_or(spool.mode);
        spool.dir = self.dir.or(spool.dir.take());
        spool.max_bytes = self.max_bytes.unwrap_or(spool.max_bytes);
        spool.max_age = self.max_age.or(spool.max_age);
        spool.sync = self.sync.unwrap_or(spool.sync);
        if let Some(bytes) = self.memory_max_bytes {
            if bytes > spool.max_bytes {
                notes.warning("memory_max_bytes", "more than max_bytes, which holds for what waits in memory too");
            }
            spool.memory_max_bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        }
    }
}
