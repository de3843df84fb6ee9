//! The fields of `listen`.

use std::time::Duration;

use super::expiry::{DEFAULT_EXPIRE, EXPIRE};
use super::statsd::{self, Settings as StatsdSettings};
use crate::fields::{DefaultValue, Field, Inner, Notes, Table, Takes};

/// What is listened for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListenSettings {
    /// None: no StatsD.
    pub statsd: Option<StatsdSettings>,
    /// None: no pushes.
    pub push: Option<PushSettings>,
}

/// `listen.push`, where it is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushSettings {
    /// Bytes of a push, as it comes over the wire, and unpacked.
    pub max_bytes: usize,
    /// Series of metrics of all that push together.
    pub max_series: usize,
    /// After so long without a number a series ends.
    pub expire: Duration,
}

/// Default of [`PushSettings::max_bytes`]: four times what OpenTelemetry's exporters send.
const DEFAULT_MAX_BYTES: usize = 16 << 20;

impl Default for PushSettings {
    fn default() -> PushSettings {
        PushSettings { max_bytes: DEFAULT_MAX_BYTES, max_series: 100_000, expire: DEFAULT_EXPIRE }
    }
}

/// `listen`, as it was written.
#[derive(Default)]
pub struct ListenFields {
    statsd: Option<statsd::StatsdFields>,
    push: PushFields,
}

#[derive(Default)]
struct PushFields {
    enabled: bool,
    settings: PushSettings,
}

static FIELDS: [Field<ListenFields>; 2] = [
    Field::new(
        "statsd",
        Takes::Object(&Inner { table: &statsd::TABLE, of: |s: &mut ListenFields| s.statsd.get_or_insert_default() }),
        DefaultValue::Null,
        "",
    ),
    Field::new(
        "push",
        Takes::Object(&Inner { table: &PUSH_TABLE, of: |s: &mut ListenFields| &mut s.push }),
        DefaultValue::EmptyMap,
        "",
    ),
];

/// The fields of `listen`.
pub static TABLE: Table<ListenFields> = Table::new(|| FIELDS.iter().collect());

static PUSH_FIELDS: [Field<PushFields>; 4] = [
    Field::new(
        "enabled",
        Takes::Bool(|s: &mut PushFields, on| s.enabled = on),
        DefaultValue::Bool(false),
        "Whether applications may push to the server's port: Prometheus text to `/api/v1/push`, OTLP metrics to `/v1/metrics` ([`listen.md`](listen.md)), OTLP logs to `/v1/logs` ([`logs.md`](logs.md)).",
    ),
    Field::new(
        "max_bytes",
        Takes::Whole(1024..=1 << 28, |s: &mut PushFields, bytes| s.settings.max_bytes = bytes as usize),
        DefaultValue::Whole(DEFAULT_MAX_BYTES as u64),
        "Bytes of a push, as it comes over the wire, and unpacked.",
    ),
    Field::new(
        "max_series",
        Takes::Whole(1..=10_000_000, |s: &mut PushFields, series| s.settings.max_series = series as usize),
        DefaultValue::Whole(100_000),
        "Series of metrics of all that push together; a push that would bring more is refused as a whole.",
    ),
    Field::new(
        "expire",
        Takes::Duration(EXPIRE, |s: &mut PushFields, expire| s.settings.expire = expire),
        DefaultValue::Text("5m"),
        "After so long without a number a series that is pushed ends.",
    ),
];

static PUSH_TABLE: Table<PushFields> = Table::new(|| PUSH_FIELDS.iter().collect());

impl ListenFields {
    /// What is meant. Notes are of the object `listen`.
    pub fn settle(self, notes: &mut Notes) -> ListenSettings {
        let statsd = self.statsd.map(|statsd| notes.within("statsd", |notes| statsd.settle(notes)));
        ListenSettings { statsd, push: self.push.enabled.then_some(self.push.settings) }
    }
}
