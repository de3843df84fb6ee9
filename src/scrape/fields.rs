//! The fields of an endpoint (each of `endpoints`).

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::labels;
use super::settings::{Limits, PageFormat, Settings};
use crate::fields::{DefaultValue, Done, Fault, Field, Inner, Notes, Table, Takes, WAIT};
use crate::http::{Env, HttpFields, Purpose, UNTIMED_TABLE, Url, checked_place, is_local};
use crate::model::Labels;
use crate::shaping::{GivenRules, RULE_TABLE, Rules};

/// Names become values of labels and keys of `/health`.
const MAX_NAME_BYTES: usize = 256;

/// Each has a page and a connection.
const MAX_ENDPOINTS: usize = 10_000;

/// Shorter ones would be a load test, longer ones no monitoring.
const INTERVAL: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(86_400);

/// Of a scrape, unless it is told otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Headers that a scrape sets.
const HEADERS: [&str; 4] = ["accept", "accept-encoding", "x-prometheus-scrape-timeout-seconds", "x-metricsd-instance"];

/// An endpoint, as it was written.
pub struct EndpointFields {
    name: Option<String>,
    job: Option<String>,
    url: Option<Url>,
    format: PageFormat,
    interval: Option<Duration>,
    timeout: Option<Duration>,
    labels: Vec<(String, String)>,
    honor_labels: bool,
    honor_timestamps: bool,
    metric_prefix: String,
    follow_redirects: bool,
    retries: u64,
    gzip: Option<bool>,
    limits: Limits,
    transforms: GivenRules,
    http: HttpFields,
}

impl Default for EndpointFields {
    fn default() -> EndpointFields {
        EndpointFields {
            name: None,
            job: None,
            url: None,
            format: PageFormat::Auto,
            interval: None,
            timeout: None,
            labels: Vec::new(),
            honor_labels: false,
            honor_timestamps: true,
            metric_prefix: String::new(),
            follow_redirects: true,
            retries: 0,
            gzip: None,
            limits: Limits::default(),
            transforms: GivenRules::default(),
            http: HttpFields::default(),
        }
    }
}

static FIELDS: [Field<EndpointFields>; 16] = [
    Field::new(
        "name",
        Takes::Text(set_name),
        DefaultValue::Required,
        "Unique; the label `endpoint` of what a JSON object gives, and its key in `/health`.",
    ),
    Field::new(
        "job",
        Takes::Text(|s, job| {
            s.job = Some(job).filter(|job| !job.is_empty());
            Ok(())
        }),
        DefaultValue::Null,
        "The label `job`; null: the name.",
    ),
    Field::new(
        "url",
        Takes::Text(|s, url| {
            s.url = Some(checked_place(&url)?);
            Ok(())
        }),
        DefaultValue::Required,
        "`http://host:port/metrics`, `https://`, or `unix:///path/of.sock:/metrics`.",
    ),
    Field::new(
        "format",
        Takes::Word(&PageFormat::WORDS, |s, at| s.format = PageFormat::ALL[at]),
        DefaultValue::Text("auto"),
        "`auto`: OpenMetrics or text 0.0.4 where the answer's `Content-Type` says so, else JSON where the page is a JSON object, else text.",
    ),
    Field::new(
        "interval",
        Takes::Duration(INTERVAL, |s, interval| s.interval = Some(interval)),
        DefaultValue::Null,
        "Time between two scrapes; null: the collection's.",
    ),
    Field::new(
        "timeout",
        Takes::Duration(WAIT, |s, timeout| s.timeout = Some(timeout)),
        DefaultValue::Text("10s"),
        "Of a whole scrape; one above the interval is shortened to it.",
    ),
    Field::new(
        "labels",
        Takes::Map(|s: &mut EndpointFields, name, value| add_label(s, name, value)),
        DefaultValue::EmptyMap,
        "Labels of all that it gives.",
    ),
    Field::new(
        "honor_labels",
        Takes::Bool(|s, on| s.honor_labels = on),
        DefaultValue::Bool(false),
        "Where a sample has a label that the endpoint has too: `true` keeps the sample's, `false` calls it `exported_*`.",
    ),
    Field::new(
        "honor_timestamps",
        Takes::Bool(|s, on| s.honor_timestamps = on),
        DefaultValue::Bool(true),
        "Whether a sample's own time is taken where it has one.",
    ),
    Field::new(
        "metric_prefix",
        Takes::Text(set_prefix),
        DefaultValue::Text(""),
        "Stands in front of every name on the page.",
    ),
    Field::new(
        "follow_redirects",
        Takes::Bool(|s, on| s.follow_redirects = on),
        DefaultValue::Bool(true),
        "Credentials never follow to another host.",
    ),
    Field::new(
        "retries",
        Takes::Whole(0..=10, |s, retries| s.retries = retries),
        DefaultValue::Whole(0),
        "How often a scrape is tried again after a connection error or a 5xx, within its timeout.",
    ),
    Field::new(
        "compression",
        Takes::Word(&["gzip", "none"], |s, at| s.gzip = Some(at == 0)),
        DefaultValue::Null,
        "`gzip`: the page may come packed. Null: `gzip`, but `none` for loopback addresses and Unix sockets.",
    ),
    Field::new(
        "limits",
        Takes::Object(&Inner { table: &LIMITS_TABLE, of: |s: &mut EndpointFields| &mut s.limits }),
        DefaultValue::EmptyMap,
        "",
    ),
    Field::new(
        "transforms",
        Takes::Objects(&Inner { table: &RULE_TABLE, of: |s: &mut EndpointFields| s.transforms.one_more() }),
        DefaultValue::Texts(&[]),
        "Rules for its series, in order, before those for all destinations; not for its `up` and `scrape_*`.",
    ),
    Field::all_of(&Inner { table: &UNTIMED_TABLE, of: |s: &mut EndpointFields| &mut s.http }),
];

/// The fields of an endpoint.
pub static TABLE: Table<EndpointFields> = Table::new(|| FIELDS.iter().collect());

static LIMITS_FIELDS: [Field<Limits>; 5] = [
    Field::new(
        "body_bytes",
        Takes::Whole(1024..=1 << 30, |s: &mut Limits, bytes| s.body_bytes = bytes as usize),
        DefaultValue::Whole(64 << 20),
        "Bytes of the page, unpacked.",
    ),
    Field::new(
        "samples",
        Takes::Whole(1..=10_000_000, |s: &mut Limits, samples| s.page.samples = samples as usize),
        DefaultValue::Whole(500_000),
        "Samples on the page.",
    ),
    Field::new(
        "labels",
        Takes::Whole(1..=1000, |s: &mut Limits, labels| s.page.labels = labels as usize),
        DefaultValue::Whole(64),
        "Labels of a sample.",
    ),
    Field::new(
        "label_name_bytes",
        Takes::Whole(1..=65_536, |s: &mut Limits, bytes| s.page.label_name_bytes = bytes as usize),
        DefaultValue::Whole(1024),
        "Bytes of a label's name.",
    ),
    Field::new(
        "label_value_bytes",
        Takes::Whole(1..=1 << 20, |s: &mut Limits, bytes| s.page.label_value_bytes = bytes as usize),
        DefaultValue::Whole(4096),
        "Bytes of a label's value.",
    ),
];

static LIMITS_TABLE: Table<Limits> = Table::new(|| LIMITS_FIELDS.iter().collect());

fn set_name(s: &mut EndpointFields, name: String) -> Done {
    if name.is_empty() {
        return Err(Fault::expected("a name"));
    }
    if name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
        return Err(Fault::expected(format!("at most {MAX_NAME_BYTES} bytes without control characters")));
    }
    s.name = Some(name);
    Ok(())
}

fn set_prefix(s: &mut EndpointFields, prefix: String) -> Done {
    let mut bytes = prefix.bytes();
    let is_first = |b: u8| b.is_ascii_alphabetic() || b == b'_' || b == b':';
    if bytes.next().is_some_and(|b| !is_first(b)) || bytes.any(|b| !is_first(b) && !b.is_ascii_digit()) {
        return Err(Fault::expected("letters, digits, _ and :, no digit first"));
    }
    s.metric_prefix = prefix;
    Ok(())
}

fn add_label(s: &mut EndpointFields, name: &str, value: String) -> Done {
    if name.starts_with("__") {
        return Err("names that begin with __ are Prometheus' own; choose another one".into());
    }
    Labels::new([(name, "")]).map_err(|error| error.to_string())?;
    s.labels.push((name.to_owned(), value));
    Ok(())
}

/// What all endpoints mean, where nothing else is said of the interval. Notes are of the list's object.
pub fn settle(
    list: Vec<EndpointFields>,
    field: &'static str,
    interval: Duration,
    env: Env<'_>,
    notes: &mut Notes,
) -> Vec<Arc<Settings>> {
    if list.len() > MAX_ENDPOINTS {
        notes.problem(field, format!("{} endpoints, at most {MAX_ENDPOINTS} are possible", list.len()));
        return Vec::new();
    }
    let mut all: Vec<Arc<Settings>> = Vec::with_capacity(list.len());
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    notes.within(field, |notes| {
        for (at, endpoint) in list.into_iter().enumerate() {
            notes.within(at, |notes| {
                if let Some(name) = &endpoint.name {
                    if let Some(first) = names.get(name) {
                        let message =
                            format!("the name {name:?} is {field}[{first}]'s already; give each its own name");
                        notes.problem("name", message);
                    } else {
                        names.insert(name.clone(), at);
                    }
                }
                all.extend(endpoint.settle(interval, env, notes).map(Arc::new));
            });
        }
    });
    all
}

impl EndpointFields {
    fn settle(self, interval: Duration, env: Env<'_>, notes: &mut Notes) -> Option<Settings> {
        if self.name.is_none() {
            notes.problem("name", "required: what it is called");
        }
        if self.url.is_none() {
            notes.problem("url", "required: a URL such as \"http://localhost:9100/metrics\"");
        }
        let interval = self.interval.unwrap_or(interval);
        if let Some(timeout) = self.timeout.filter(|timeout| *timeout > interval) {
            notes.warning("timeout", format!("{timeout:?} is more than the interval: it is shortened to {interval:?}"));
        }
        let purpose = Purpose { field: "url", url: self.url, used: true, headers: &HEADERS, env, key: None };
        let http = self.http.settle(purpose, notes);
        let transforms = notes.within("transforms", |notes| self.transforms.settle(notes));
        for (at, rule) in transforms.iter().enumerate() {
            let name = rule.fold().and_then(|fold| fold.grouping.name());
            if let Some(name) = name.filter(|name| labels::is_of_scrape(name)) {
                let message = format!("{name:?} is what is said of the scrape itself; give it another name");
                let name = |notes: &mut Notes| notes.within("aggregate", |notes| notes.problem("name", message));
                notes.within("transforms", |notes| notes.within(at, name));
            }
        }
        warn_of_short_windows(&transforms, interval, notes);
        let (name, mut http): (Arc<str>, _) = (self.name?.into(), http?);
        http.timeout = self.timeout.unwrap_or(DEFAULT_TIMEOUT).min(interval);
        // Nothing is won where no network lies between.
        let is_local = is_local(&http.endpoint);
        let instance = match http.endpoint.split_socket() {
            Some((path, _)) => path.to_owned(),
            None => instance(&http.endpoint),
        };
        Some(Settings {
            job: self.job.map_or_else(|| Arc::clone(&name), Arc::from),
            instance: instance.into(),
            source: Settings::source_of(&name),
            name,
            http,
            format: self.format,
            interval,
            // Each was checked, and a map holds no name twice.
            labels: Labels::new(self.labels).ok()?,
            honor_labels: self.honor_labels,
            honor_timestamps: self.honor_timestamps,
            metric_prefix: self.metric_prefix.into(),
            follow_redirects: self.follow_redirects,
            retries: self.retries,
            gzip: self.gzip.unwrap_or(!is_local),
            limits: self.limits,
            transforms,
        })
    }
}

/// Says which rules gather over less than the time between two scrapes.
fn warn_of_short_windows(rules: &Rules, interval: Duration, notes: &mut Notes) {
    let folds = rules.iter().enumerate().filter_map(|(at, rule)| Some((at, rule.fold()?)));
    for (at, fold) in folds.filter(|(_, fold)| fold.window < interval) {
        let why = format!(
            "{:?} is less than the endpoint's interval, {interval:?}: each window has one scrape, or none",
            fold.window
        );
        let steps = |notes: &mut Notes| {
            notes.within(at, |notes| notes.within(fold.word(), |notes| notes.warning(fold.window_field(), why)));
        };
        notes.within("transforms", steps);
    }
}

/// Host and port, as Prometheus has it.
fn instance(url: &Url) -> String {
    let (host, port) = (url.host(), url.port());
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
