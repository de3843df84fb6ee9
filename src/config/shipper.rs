//! The destinations: `shipper` and `shippers`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::credentials;
use super::endpoint;
use super::fields::{RETRY, SHIPPER};
use super::proxy::Proxies;
use super::section::{Item, Section, any_of};
use super::spool;
use super::tls::{self, Tls};
use crate::formats::Compression;
use crate::formats::RemoteWriteVersion;
use crate::http::{Authorization, Credentials, DEFAULT_TIMEOUT, HttpSettings, Url};
use crate::lane::{Kind, RetrySettings, Settings, SpoolSettings};
use crate::model::Labels;
use crate::nearest::did_you_mean;
use crate::secret::Secret;
use crate::tls::ClientSettings;

/// Each destination has threads and a queue of its own.
const MAX_SHIPPERS: usize = 64;

/// Names become values of labels, names of threads, and later of directories.
const MAX_NAME_BYTES: usize = 64;

/// Each is a thread and a connection.
const MAX_WORKERS: u64 = 16;

/// The types of this version, in the order of [`TYPE_NAMES`].
#[derive(Clone, Copy, PartialEq)]
enum Type {
    RemoteWrite,
    HttpJson,
    File,
    Stdout,
}

const TYPES: [Type; 4] = [Type::RemoteWrite, Type::HttpJson, Type::File, Type::Stdout];
const TYPE_NAMES: [&str; 4] = ["prometheus_remote_write", "http_json", "file", "stdout"];
const LATER_TYPES: [&str; 4] = ["otlp_http", "influxdb", "datadog", "loki"];

/// What remote write sends where nothing is said.
const DEFAULT_MESSAGE: &str = "prometheus.WriteRequest";

/// Names and values of labels as they were given, the empty ones too: over a label from
/// elsewhere an empty value takes it away.
pub(super) type GivenLabels = Vec<(String, String)>;

/// What all destinations have in common.
pub(super) struct Common<'a> {
    pub(super) interval: Duration,
    pub(super) spool: &'a SpoolSettings,
    pub(super) labels: &'a GivenLabels,
    pub(super) host_name: &'a str,
}

/// All destinations, in the order of the file.
pub(super) fn lanes(root: &Section<'_>, common: &Common<'_>) -> Vec<Settings> {
    let mut shippers = Vec::new();
    let short = root.get("shipper");
    if let Some(list) = root.get("shippers") {
        let items = list.list().unwrap_or_default();
        if short.is_some() && !items.is_empty() {
            // Whatever else is wrong with them (two of one name, most likely) may be gone with this.
            list.problem("shippers and shipper are given together; move shipper into the list");
            return Vec::new();
        }
        if items.len() > MAX_SHIPPERS {
            list.problem(format!("{} destinations, at most {MAX_SHIPPERS} are possible", items.len()));
        }
        shippers.extend(items.into_iter().take(MAX_SHIPPERS));
    }
    shippers.splice(0..0, short);

    let mut names: Vec<(String, String)> = Vec::new();
    let mut lanes = Vec::new();
    for item in shippers {
        let shipper = Section::open(item.cx, item.value, item.path.clone(), &SHIPPER);
        let kind = shipper_type(&shipper);
        let name = name(&shipper, kind);
        if let Some(name) = &name {
            let path = item.path.to_string();
            match names.iter().find(|(taken, _)| taken == name) {
                Some((_, first)) => {
                    let at = shipper.get("name").unwrap_or(item);
                    at.problem(format!("the name {name:?} is {first}'s already; give each its own name"));
                }
                None => names.push((name.clone(), path)),
            }
        }
        if let Some(lane) = lane(&shipper, kind, name.unwrap_or_default(), common) {
            lanes.push(lane);
        }
    }
    lanes
}

/// Reads one. Everything in it is checked, even where its type is not known; none only if
/// a problem was noted.
fn lane(shipper: &Section<'_>, kind: Option<Type>, name: String, common: &Common<'_>) -> Option<Settings> {
    let mut timeout = DEFAULT_TIMEOUT;
    shipper.read("timeout", &mut timeout, Item::duration);
    let compression = compression(shipper, kind);
    let version = remote_write_version(shipper);
    let (endpoint, user_info) = match endpoint(shipper, kind) {
        // What is in the URL for the server's eyes goes into a header, and nowhere else.
        Endpoint::Url(url) => {
            let (url, user_info) = url.into_parts();
            (Endpoint::Url(url), user_info)
        }
        other => (other, None),
    };
    let own = shipper.get("labels").map(|item| labels(&item)).unwrap_or_default();
    let tls = tls_of(shipper, &endpoint);
    let proxies = Proxies::read(shipper);
    let networked = !matches!(kind, Some(Type::File | Type::Stdout));
    let credentials = credentials::read(shipper, user_info.as_ref().map(Secret::expose), &proxies, networked);
    warn_of_clear_text(shipper, &endpoint, &credentials);
    if let Some(item) = shipper.get("naming") {
        naming(&item);
    }
    let retry = retry(shipper);
    let spool = spool::of_shipper(shipper, common.spool, matches!(kind, Some(Type::File | Type::Stdout)));
    let mut workers = 1;
    shipper.read("workers", &mut workers, |item| Some(item.whole(1..=MAX_WORKERS)? as usize));
    let mut drain_rate = None;
    shipper.read("drain_rate", &mut drain_rate, |item| {
        let rate = item.number(0.001..=1e6)?;
        if rate * common.interval.as_secs_f64() <= 1.0 {
            item.warning("no more a second than is collected: what an outage has left would never be drained");
        }
        Some(Some(rate))
    });

    let kind = kind?;
    warn_of_unused(shipper, kind);
    if !networked && (credentials != Credentials::default() || proxies.is_given()) {
        let path = shipper.path.key("type");
        shipper.cx.warning(shipper.origin, &path, "credentials and proxy_url have no effect with this type");
    }
    let name_of_type = TYPE_NAMES[kind as usize];
    let http = |endpoint: Url| {
        let proxy = proxies.for_url(&endpoint);
        HttpSettings { endpoint, tls, timeout, credentials, proxy }
    };
    let kind = match (kind, endpoint) {
        (Type::RemoteWrite, Endpoint::Url(url)) => Kind::RemoteWrite(http(url), version),
        (Type::HttpJson, Endpoint::Url(url)) => Kind::HttpJson(http(url), compression),
        (Type::File, Endpoint::File(path)) => Kind::File(path),
        (Type::Stdout, _) => Kind::Stdout,
        _ => return None,
    };
    debug_assert_eq!(kind.as_str(), name_of_type);

    let mut all: BTreeMap<&str, &str> = BTreeMap::new();
    all.extend(common.labels.iter().chain(&own).map(|(name, value)| (name.as_str(), value.as_str())));
    if matches!(kind, Kind::RemoteWrite(..)) {
        // Prometheus gives these two to all that it scrapes, and dashboards select by them.
        all.entry("job").or_insert("metricsd");
        all.entry("instance").or_insert(common.host_name);
    }
    let labels = Labels::new(all).expect("each was checked, and a map holds no name twice");
    Some(Settings { name, labels, kind, spool, workers, drain_rate, retry })
}

/// Credentials that anybody on the way can read. A signature tells nothing.
fn warn_of_clear_text(shipper: &Section<'_>, endpoint: &Endpoint, credentials: &Credentials) {
    let shows = match &credentials.authorization {
        Authorization::None => credentials.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization")),
        Authorization::SigV4(_) => false,
        Authorization::Basic(..) | Authorization::Bearer(_) | Authorization::OAuth2(_) => true,
    };
    if let (true, Endpoint::Url(url), Some(item)) = (shows, endpoint, shipper.get("endpoint")) {
        endpoint::warn_of_clear_text(&item, url);
    }
}

fn shipper_type(shipper: &Section<'_>) -> Option<Type> {
    let Some(item) = shipper.get("type") else {
        let path = shipper.path.key("type");
        shipper.cx.problem(shipper.origin, &path, format!("required: {}", any_of(&TYPE_NAMES)));
        return None;
    };
    let text = item.text()?;
    if let Some(at) = TYPE_NAMES.iter().position(|name| *name == text) {
        return Some(TYPES[at]);
    }
    if LATER_TYPES.contains(&text.as_str()) {
        item.problem(format!("{} is not available in this version; use {}", item.described(), any_of(&TYPE_NAMES)));
        return None;
    }
    let nearest = did_you_mean(&text, TYPE_NAMES);
    let known = any_of(&TYPE_NAMES);
    item.problem(format!("unknown type {}; expected {known}{nearest}", item.described()));
    None
}

fn name(shipper: &Section<'_>, kind: Option<Type>) -> Option<String> {
    let Some(item) = shipper.get("name") else { return kind.map(|kind| TYPE_NAMES[kind as usize].to_owned()) };
    let name = item.text()?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.starts_with('.') || !name.bytes().all(allowed) {
        return item.expected(&format!("1 to {MAX_NAME_BYTES} letters, digits, _, - or ., no . first"));
    }
    Some(name)
}

/// What the type makes of `endpoint`.
enum Endpoint {
    Url(Url),
    File(PathBuf),
    /// Not needed, or refused.
    None,
}

fn endpoint(shipper: &Section<'_>, kind: Option<Type>) -> Endpoint {
    let needed = match kind {
        Some(Type::RemoteWrite | Type::HttpJson) => "a URL such as \"http://host:9090/path\"",
        Some(Type::File) => "a path or a file:// URL",
        Some(Type::Stdout) | None => {
            // Still a string, whatever it is for.
            let _ = shipper.get("endpoint").map(|item| item.text());
            return Endpoint::None;
        }
    };
    let Some(item) = shipper.get("endpoint") else {
        let path = shipper.path.key("endpoint");
        shipper.cx.problem(shipper.origin, &path, format!("required: {needed}"));
        return Endpoint::None;
    };
    if kind == Some(Type::File) {
        endpoint::file_path(&item).map_or(Endpoint::None, Endpoint::File)
    } else {
        endpoint::http_url(&item).map_or(Endpoint::None, Endpoint::Url)
    }
}

/// What the body is compressed with, as far as there is a choice.
fn compression(shipper: &Section<'_>, kind: Option<Type>) -> Compression {
    let Some(item) = shipper.get("compression") else { return Compression::default() };
    let known: &[&str] = match kind {
        Some(Type::RemoteWrite) => &["snappy"],
        Some(Type::HttpJson) => &["none", "gzip"],
        Some(Type::File | Type::Stdout) => &["none"],
        None => &["none", "gzip", "snappy"],
    };
    match item.word(known).map(|at| known[at]) {
        Some("gzip") => Compression::Gzip,
        _ => Compression::None,
    }
}

/// Which of remote write's messages.
fn remote_write_version(shipper: &Section<'_>) -> RemoteWriteVersion {
    let versions = [RemoteWriteVersion::V1, RemoteWriteVersion::V2];
    let mut version = RemoteWriteVersion::default();
    shipper.read("protobuf_message", &mut version, |item| {
        Some(versions[item.word(&versions.map(RemoteWriteVersion::message))?])
    });
    version
}

fn naming(item: &Item<'_>) {
    let Some(naming) = item.text() else { return };
    match naming.as_str() {
        "native" => {}
        "node_exporter" | "otel" => {
            item.problem(format!("{} is not available in this version; use \"native\"", item.described()));
        }
        _ => item.problem(format!("expected \"native\", got {}", item.described())),
    }
}

fn retry(shipper: &Section<'_>) -> RetrySettings {
    let section = shipper.section("retry", &RETRY);
    let mut retry = RetrySettings::default();
    section.read("min_backoff", &mut retry.min_backoff, Item::duration);
    section.read("max_backoff", &mut retry.max_backoff, Item::duration);
    if retry.min_backoff > retry.max_backoff {
        let RetrySettings { min_backoff, max_backoff } = &retry;
        section.problem(format!("min_backoff ({min_backoff:?}) is longer than max_backoff ({max_backoff:?})"));
    }
    retry
}

/// Says what has no effect with this type, so that nobody waits for one.
fn warn_of_unused(shipper: &Section<'_>, kind: Type) {
    let name = TYPE_NAMES[kind as usize];
    let unused: &[&str] = match kind {
        Type::RemoteWrite | Type::HttpJson => &[],
        Type::File => &["timeout"],
        Type::Stdout => &["timeout", "endpoint"],
    };
    if kind == Type::RemoteWrite {
        if let Some(item) = shipper.get("workers").filter(|item| item.whole(1..=MAX_WORKERS) != Some(1)) {
            item.warning("has no effect: remote write keeps its order by sending one request at a time");
        }
    }
    // Who writes the default out, as the example does, expects nothing of it.
    if kind != Type::RemoteWrite {
        if let Some(item) =
            shipper.get("protobuf_message").filter(|item| item.text().as_deref() != Some(DEFAULT_MESSAGE))
        {
            item.warning(format!("has no effect with the type {name:?}"));
        }
    }
    for field in unused {
        if let Some(item) = shipper.get(field) {
            item.warning(format!("has no effect with the type {name:?}"));
        }
    }
}

/// How an `https://` endpoint is spoken to.
fn tls_of(shipper: &Section<'_>, endpoint: &Endpoint) -> Option<ClientSettings> {
    let https = matches!(endpoint, Endpoint::Url(url) if url.is_https());
    let Tls { enabled, is_set, settings } = tls::read(shipper, https);
    let item = shipper.get("tls");
    if enabled && matches!(endpoint, Endpoint::Url(_)) && !https {
        item.inspect(|item| item.problem("enabled, but the endpoint is http://; write https://, or set it to false"));
        return None;
    }
    if is_set && !enabled {
        item.inspect(|item| item.warning("has no effect while its enabled is false"));
    }
    https.then(|| if enabled { settings } else { ClientSettings::default() })
}

/// The members of a map of labels whose names can be used.
pub(super) fn labels(item: &Item<'_>) -> GivenLabels {
    let mut given = GivenLabels::new();
    for (member, name, value) in item.map() {
        if name.starts_with("__") {
            member.problem("names that begin with __ are Prometheus' own; choose another one");
            continue;
        }
        match Labels::new([(name.as_str(), "")]) {
            Ok(_) => given.push((name, value)),
            Err(error) => member.problem(error.to_string()),
        }
    }
    given
}
