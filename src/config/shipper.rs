//! The destinations: what `shipper` and `shippers` mean together.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::fields::{Fault, Notes, any_of};
use crate::formats::{Compression, RemoteWriteVersion};
use crate::http::{Env, HttpSettings, Purpose, Url, checked_url};
use crate::lane::{COMPRESSIONS, GivenLabels, Kind, LaneFields, Settings, SpoolMode, SpoolSettings, TYPES, file_path};
use crate::model::Labels;

/// Each destination has threads and a queue of its own.
const MAX_SHIPPERS: usize = 64;

/// Headers that say how remote write's body is to be read.
const HEADERS_OF_FORMATS: [&str; 1] = ["x-prometheus-remote-write-version"];

/// What all destinations have in common.
pub(super) struct Common<'a> {
    pub(super) interval: Duration,
    pub(super) spool: &'a SpoolSettings,
    pub(super) labels: &'a GivenLabels,
    pub(super) host_name: &'a str,
    pub(super) env: Env<'a>,
}

/// All destinations, in the order of the file. Notes are of the whole configuration.
pub(super) fn lanes(
    short: Option<LaneFields>,
    mut list: Vec<LaneFields>,
    common: &Common<'_>,
    notes: &mut Notes,
) -> Vec<Settings> {
    if list.len() > MAX_SHIPPERS {
        notes.problem("shippers", format!("{} destinations, at most {MAX_SHIPPERS} are possible", list.len()));
        list.truncate(MAX_SHIPPERS);
    }
    let mut lanes = Vec::new();
    lanes.extend(short.and_then(|shipper| notes.within("shipper", |notes| lane(shipper, common, notes))));
    let mut names: Vec<(String, usize)> = Vec::new();
    notes.within("shippers", |notes| {
        for (at, shipper) in list.into_iter().enumerate() {
            notes.within(at, |notes| {
                if let Some(name) = name_of(&shipper) {
                    match names.iter().find(|(taken, _)| *taken == name) {
                        Some((_, first)) => {
                            let message =
                                format!("the name {name:?} is shippers[{first}]'s already; give each its own name");
                            match &shipper.name {
                                Some(_) => notes.problem("name", message),
                                None => notes.refuse(message),
                            }
                        }
                        None => names.push((name, at)),
                    }
                }
                lanes.extend(lane(shipper, common, notes));
            });
        }
    });
    lanes
}

/// Its name, its type where it has none of its own.
fn name_of(shipper: &LaneFields) -> Option<String> {
    shipper.name.clone().or_else(|| Some(TYPES[shipper.kind?].to_owned()))
}

/// What one means. Everything in it is checked, even where its type is not known; none only if
/// a problem was noted. Notes are of the object.
fn lane(shipper: LaneFields, common: &Common<'_>, notes: &mut Notes) -> Option<Settings> {
    let kind = shipper.kind.map(|at| TYPES[at]);
    let networked = !matches!(kind, Some("file" | "stdout"));
    if kind.is_none() {
        notes.problem("type", format!("required: {}", any_of(&TYPES)));
    }
    let place = place(&shipper, kind, notes);
    let compression = compression(&shipper, kind, notes);
    if shipper.drain_rate.is_some_and(|rate| rate * common.interval.as_secs_f64() <= 1.0) {
        let message = "no more a second than is collected: what an outage has left would never be drained";
        notes.warning("drain_rate", message);
    }
    warn_of_unused(&shipper, kind, notes);

    let name = name_of(&shipper);
    let LaneFields { message, labels, retry, workers, drain_rate, spool: own_spool, http, .. } = shipper;
    let url = match &place {
        Some(Place::Url(url)) => Some(url.clone()),
        _ => None,
    };
    let purpose = Purpose { field: "endpoint", url, used: networked, headers: &HEADERS_OF_FORMATS, env: common.env };
    let http = http.settle(purpose, notes);
    let mut spool = common.spool.clone();
    if !networked {
        // Its files are this host's own, so that a spool would only write everything twice.
        spool.mode = SpoolMode::Memory;
    }
    notes.within("spool", |notes| own_spool.settle(&mut spool, notes));
    let in_memory = usize::try_from(spool.max_bytes).unwrap_or(usize::MAX);
    spool.memory_max_bytes = spool.memory_max_bytes.min(in_memory);

    let kind = kind_of(kind?, place?, http, message, compression)?;
    let mut all: BTreeMap<&str, &str> = BTreeMap::new();
    all.extend(common.labels.iter().chain(&labels).map(|(name, value)| (name.as_str(), value.as_str())));
    if matches!(kind, Kind::RemoteWrite(..)) {
        // Prometheus gives these two to all that it scrapes, and dashboards select by them.
        all.entry("job").or_insert("metricsd");
        all.entry("instance").or_insert(common.host_name);
    }
    // Each was checked, and a map holds no name twice.
    let labels = Labels::new(all).ok()?;
    Some(Settings { name: name?, labels, kind, spool, workers, drain_rate, retry })
}

/// Where a destination is.
enum Place {
    Url(Url),
    File(std::path::PathBuf),
    Stdout,
}

/// What the type makes of `endpoint`.
fn place(shipper: &LaneFields, kind: Option<&str>, notes: &mut Notes) -> Option<Place> {
    let needed = match kind? {
        "stdout" => return Some(Place::Stdout),
        "file" => "a path or a file:// URL",
        _ => "a URL such as \"http://host:9090/path\"",
    };
    let Some(endpoint) = &shipper.endpoint else {
        notes.problem("endpoint", format!("required: {needed}"));
        return None;
    };
    let place = match kind? {
        "file" => file_path(endpoint).map(Place::File).map_err(|why| Fault::quoting("").after(format!(" {why}"))),
        _ => checked_url(endpoint).map(Place::Url),
    };
    place.map_err(|fault| notes.problem("endpoint", fault)).ok()
}

/// What the body is compressed with, as far as there is a choice.
fn compression(shipper: &LaneFields, kind: Option<&str>, notes: &mut Notes) -> Compression {
    let choices: &[&str] = match kind {
        Some("prometheus_remote_write") => &["snappy"],
        Some("http_json") => &["none", "gzip"],
        Some(_) => &["none"],
        None => &COMPRESSIONS,
    };
    let given = shipper.compression.map(|at| COMPRESSIONS[at]);
    if given.is_some_and(|given| !choices.contains(&given)) {
        notes.problem("compression", Fault::expected(any_of(choices)));
    }
    if given == Some("gzip") { Compression::Gzip } else { Compression::None }
}

/// Says what has no effect with this type, so that nobody waits for one.
fn warn_of_unused(shipper: &LaneFields, kind: Option<&str>, notes: &mut Notes) {
    let Some(kind) = kind else { return };
    let no_effect = || format!("has no effect with the type {kind:?}");
    if kind == "prometheus_remote_write" && shipper.workers != 1 {
        notes.warning("workers", "has no effect: remote write keeps its order by sending one request at a time");
    }
    // Who writes the default out, as the example does, expects nothing of it.
    if kind != "prometheus_remote_write" && shipper.message != RemoteWriteVersion::default() {
        notes.warning("protobuf_message", no_effect());
    }
    if !matches!(kind, "file" | "stdout") {
        return;
    }
    if shipper.http.has_timeout() {
        notes.warning("timeout", no_effect());
    }
    if kind == "stdout" && shipper.endpoint.is_some() {
        notes.warning("endpoint", no_effect());
    }
    if shipper.http.has_credentials() {
        notes.warning("type", "credentials and proxy_url have no effect with this type");
    }
}

fn kind_of(
    kind: &str,
    place: Place,
    http: Option<HttpSettings>,
    message: RemoteWriteVersion,
    compression: Compression,
) -> Option<Kind> {
    Some(match (kind, place) {
        ("prometheus_remote_write", Place::Url(_)) => Kind::RemoteWrite(http?, message),
        ("http_json", Place::Url(_)) => Kind::HttpJson(http?, compression),
        ("file", Place::File(path)) => Kind::File(path),
        ("stdout", _) => Kind::Stdout,
        _ => return None,
    })
}
