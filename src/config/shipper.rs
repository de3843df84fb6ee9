//! The destinations: what `shipper` and `shippers` mean together.

use std::collections::BTreeMap;
use std::time::Duration;

use super::written::Written;
use crate::fields::{Fault, Notes, any_of};
use crate::formats::{self, Compression, Format, Over, Reach, Shown};
use crate::http::{
    Credentials, Env, KeySettings, OwnKey, Purpose, Url, checked_tcp, checked_url, percent_decoded, percent_encoded,
};
use crate::lane::{GivenLabels, Kind, LaneFields, Settings, SpoolMode, SpoolSettings, To, file_path};
use crate::model::{Labels, Scheme, Signal};
use crate::secret::{Form, SecretFields};
use crate::shaping::Rules;

/// Each destination has threads and a queue of its own.
const MAX_SHIPPERS: usize = 64;

/// Where receivers take a type, of which nearly all have one path: an endpoint without any is most likely incomplete.
const USUAL_PATHS: [(&str, &str); 1] = [("prometheus_remote_write", "/api/v1/write")];

/// What all destinations have in common.
pub(super) struct Common<'a> {
    pub(super) interval: Duration,
    pub(super) spool: &'a SpoolSettings,
    pub(super) labels: &'a GivenLabels,
    pub(super) rules: &'a Rules,
    pub(super) host_name: &'a str,
    pub(super) env: Env<'a>,
    /// Whether anything gives records: else no destination has a lane for them.
    pub(super) gives_records: bool,
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
    let (mut lanes, mut written) = (Vec::new(), Written::default());
    let mut destination = |shipper, stands_at: &str, notes: &mut Notes| {
        let of_one = destination(shipper, stands_at, common, notes);
        if let Some(lane) = of_one.first() {
            written.add(lane, stands_at, notes);
        }
        lanes.extend(of_one);
    };
    if let Some(shipper) = short {
        notes.within("shipper", |notes| destination(shipper, "shipper", notes));
    }
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
                destination(shipper, &format!("shippers[{at}]"), notes);
            });
        }
    });
    lanes
}

/// Its name, its type where it has none of its own.
fn name_of(shipper: &LaneFields) -> Option<String> {
    shipper.name.clone().or_else(|| Some(shipper.format?.name.to_owned()))
}

/// The lanes of one: of metrics, and of records where something gives any. None only if a problem was noted, or nothing
/// gives what it takes.
fn destination(shipper: LaneFields, stands_at: &str, common: &Common<'_>, notes: &mut Notes) -> Vec<Settings> {
    let path = shipper.endpoint.as_deref().and_then(|endpoint| checked_url(endpoint).ok());
    let path = path.map_or_else(String::new, |url| url.path().trim_end_matches('/').to_owned());
    let of_metrics = [
        ("naming", shipper.naming.is_some()),
        ("own_metrics", shipper.own_metrics),
        ("transforms", !shipper.transforms.is_empty()),
    ];
    let Some((metrics, apart)) = lane(shipper, stands_at, common, notes) else { return Vec::new() };
    let format = metrics.kind.format;
    let ends_in = |own: Option<&str>| own.is_some_and(|own| path.ends_with(own));
    let of_records = format.records.filter(|_| !ends_in(format.path));
    let takes_metrics = format.signals.contains(&Signal::Metrics);
    let takes_metrics = takes_metrics && !ends_in(format.records.and_then(|records| records.path));
    if !takes_metrics {
        for (field, _) in of_metrics.iter().filter(|(_, is_set)| *is_set) {
            notes.warning(*field, "has no effect: it is about metrics, and this destination takes records alone");
        }
    }
    if !takes_metrics && !common.gives_records {
        let why = "takes records alone, and nothing gives any: it is sent nothing; see listen.push";
        notes.warning("endpoint", why);
    }
    let records = of_records.filter(|_| common.gives_records).map(|records| {
        let mut settings = Settings {
            signal: Signal::Records,
            own_metrics: false,
            rules: Rules::NONE,
            rule_places: Vec::new(),
            ..metrics.clone()
        };
        if let (To::Http(http), Some(own)) = (&mut settings.kind.to, records.path) {
            if let Some((url, proxy)) = apart {
                (http.endpoint, http.proxy) = (url, proxy);
            }
            let before = http.endpoint.path().trim_end_matches('/');
            let before = before.strip_suffix(format.path.unwrap_or_default()).unwrap_or(before);
            if !before.ends_with(own) {
                http.endpoint = http.endpoint.with_path(&format!("{before}{own}"));
            }
        }
        settings
    });
    Some(metrics).filter(|_| takes_metrics).into_iter().chain(records).collect()
}

/// Where records go, and the proxy on the way, where that is not where metrics go.
type Apart = Option<(Url, Option<Url>)>;

/// What one means. Everything in it is checked, even where its type is not known; none only if
/// a problem was noted. Notes are of the object, which is at `stands_at`.
fn lane(shipper: LaneFields, stands_at: &str, common: &Common<'_>, notes: &mut Notes) -> Option<(Settings, Apart)> {
    let format = shipper.format;
    let networked = format.is_none_or(|format| format.over.is_network());
    if format.is_none() {
        notes.problem("type", format!("required: {}", any_of(&formats::names())));
    }
    let mut reach =
        format.map(|format| (format.reach)(&shipper.options, shipper.endpoint.as_deref(), notes)).unwrap_or_default();
    let place = place(&shipper, format, &reach, notes);
    let compression = compression(&shipper, format, notes);
    if shipper.drain_rate.is_some_and(|rate| rate * common.interval.as_secs_f64() <= 1.0) {
        let message = "no more a second than is collected: what an outage has left would never be drained";
        notes.warning("drain_rate", message);
    }
    warn_of_unused(&shipper, format, notes);
    if let (Some(format), Some(Place::Url(url))) = (format, &place) {
        warn_of_no_path(format, url, notes);
        refuse_twice_asked(&reach, url, notes);
    }

    let name = name_of(&shipper);
    let at_its_own = shipper.endpoint.is_none();
    let LaneFields { mut options, naming, own_metrics, labels, retry, workers, drain_rate, .. } = shipper;
    let own_rules = notes.within("transforms", |notes| shipper.transforms.settle(notes));
    let (own_spool, http, tee_file) = (shipper.spool, shipper.http, shipper.tee_file.settle());
    let url = match &place {
        Some(Place::Url(url) | Place::Tcp(url)) => Some(url.clone()),
        _ => None,
    };
    // Whichever its type: what one format says of its bodies no other one's should say.
    let headers: Vec<&str> = formats::ALL.iter().flat_map(|format| format.headers).copied().collect();
    let apart = reach.records_endpoint.take().filter(|_| at_its_own).and_then(|url| checked_url(&url).ok());
    // What the environment says of proxies is noted with the other URL.
    let apart = apart.map(|url| (url.clone(), http.proxy_for(&url, common.env, &mut Notes::default())));
    let key = reach.key.take().and_then(|shown| own_key(shown, networked, notes));
    let shows = format.is_none_or(|format| format.over == Over::Http);
    let purpose = Purpose { field: "endpoint", url, used: shows, headers: &headers, env: common.env, key };
    let mut http = http.settle(purpose, notes);
    let written = |(name, value): &(&str, String)| format!("{name}={}", percent_encoded(value));
    if let Some(http) = &mut http {
        http.query = reach.query.iter().map(written).collect::<Vec<_>>().join("&");
        if !shows {
            (http.credentials, http.proxy) = (Credentials::default(), None);
        }
    }
    let mut spool = common.spool.clone();
    if !networked {
        // Its files are this host's own, so that a spool would only write everything twice.
        spool.mode = SpoolMode::Memory;
    }
    notes.within("spool", |notes| own_spool.settle(&mut spool, notes));
    let in_memory = usize::try_from(spool.max_bytes).unwrap_or(usize::MAX);
    spool.memory_max_bytes = spool.memory_max_bytes.min(in_memory);

    let format = format?;
    let naming = naming.unwrap_or(format.naming);
    options.compression = compression;
    let to = match place? {
        Place::Url(_) => To::Http(Box::new(http?)),
        Place::Tcp(_) => To::Tcp(Box::new(http?)),
        Place::File(path) => To::File(path),
        Place::Stdout => To::Stdout,
    };
    let kind = Kind { format, options, to };
    let mut all: BTreeMap<&str, &str> = BTreeMap::new();
    all.extend(common.labels.iter().chain(&labels).map(|(name, value)| (name.as_str(), value.as_str())));
    if format.has_target_labels {
        // Prometheus gives these two to all that it scrapes, and dashboards select by them.
        // node_exporter's dashboards look for this one.
        all.entry("job").or_insert(if naming == Scheme::NodeExporter { "node" } else { "metricsd" });
        let instance = *all.entry("instance").or_insert(common.host_name);
        warn_of_nobodys_name("instance", instance, notes);
    }
    if let Some(label) = format.host_label {
        let host = *all.entry(label).or_insert(common.host_name);
        warn_of_nobodys_name(label, host, notes);
    }
    // Each was checked, and a map holds no name twice.
    let labels = Labels::new(all).ok()?;
    let rules = common.rules.then(&own_rules);
    let global = (0..common.rules.len()).map(|at| format!("transforms[{at}]"));
    let own = (0..own_rules.len()).map(|at| format!("{stands_at}.transforms[{at}]"));
    let rule_places = global.chain(own).collect();
    let settings = Settings {
        name: name?,
        signal: Signal::Metrics,
        naming,
        own_metrics,
        labels,
        rules,
        rule_places,
        kind,
        tee_file,
        spool,
        workers,
        drain_rate,
        retry,
    };
    Some((settings, apart))
}

/// The secret of a format's own settings; none where it is of no use, which is noted.
fn own_key(shown: Shown, used: bool, notes: &mut Notes) -> Option<OwnKey> {
    let Shown { key, object, fields, header, before, remedy } = shown;
    notes.within(object, |notes| {
        let mut secret = SecretFields::default();
        let [value, file] = fields;
        if let Some(text) = key.value {
            secret.set_value(text, Form::Token).map_err(|fault| notes.problem(value, fault)).ok()?;
        }
        if let Some(path) = key.file {
            secret.set_file(path).map_err(|fault| notes.problem(file, fault)).ok()?;
        }
        let (field, key) = secret.settle(fields, Form::Token, used, notes)?;
        Some(OwnKey { object, field, says: KeySettings { header, before, key, remedy } })
    })
}

fn warn_of_nobodys_name(label: &'static str, host: &str, notes: &mut Notes) {
    if is_nobodys_name(host) {
        let why = "every host that has not been given a name is called that, and their series would be one; name the \
                   host, or set this label";
        notes.within("labels", |notes| notes.warning(label, format!("is {host:?}: {why}")));
    }
}

/// Whether a host of that name was given none.
fn is_nobodys_name(name: &str) -> bool {
    ["localhost", "localhost.localdomain", "(none)"].contains(&name)
}

/// Where a destination is.
enum Place {
    Url(Url),
    Tcp(Url),
    File(std::path::PathBuf),
    Stdout,
}

/// What the type makes of `endpoint`.
fn place(shipper: &LaneFields, format: Option<&Format>, reach: &Reach, notes: &mut Notes) -> Option<Place> {
    let over = format?.over;
    let needed = match over {
        Over::Stdout => return Some(Place::Stdout),
        Over::File => "a path or a file:// URL",
        Over::Http => "a URL such as \"http://host:9090/path\"",
        Over::Tcp { .. } => "tcp://host:port or tls://host:port",
    };
    let Some(endpoint) = shipper.endpoint.as_ref().or(reach.endpoint.as_ref()) else {
        let or_else = if reach.or_else.is_empty() { String::new() } else { format!("; or set {}", reach.or_else) };
        notes.problem("endpoint", format!("required: {needed}{or_else}"));
        return None;
    };
    let place = match over {
        Over::File => file_path(endpoint).map(Place::File).map_err(|why| Fault::quoting("").after(format!(" {why}"))),
        Over::Tcp { port } => checked_tcp(endpoint, port).map(Place::Tcp),
        _ => url(endpoint, format?, reach).map(Place::Url),
    };
    place.map_err(|fault| notes.problem("endpoint", fault)).ok()
}

/// The URL of an endpoint, with the path that its type has.
fn url(endpoint: &str, format: &Format, reach: &Reach) -> Result<Url, Fault> {
    const NO_GRPC: &str = "speaks gRPC, which is not spoken here; use OTLP over HTTP, on port 4318 by default";
    let is_grpc = |text: &str| ["grpc", "grpcs"].iter().any(|scheme| text.eq_ignore_ascii_case(scheme));
    if endpoint.split_once("://").is_some_and(|(scheme, _)| is_grpc(scheme)) {
        return Err(Fault::quoting("").after(format!(" {NO_GRPC}")));
    }
    let url = checked_url(endpoint)?;
    if let Some(path) = reach.path {
        return Ok(with_path(url, path));
    }
    let Some(path) = format.path else { return Ok(url) };
    // Its neighbours are OTLP's alone.
    let is_otlp = path == "/v1/metrics";
    if is_otlp && url.port() == GRPC_PORT {
        return Err(Fault::quoting("").after(format!(" {NO_GRPC}")));
    }
    let own = url.path().trim_end_matches('/').to_owned();
    if format.records.and_then(|records| records.path).is_some_and(|path| own.ends_with(path)) {
        return Ok(url);
    }
    if is_otlp && own.ends_with(TRACES) {
        let why = format!(" takes traces, and there are none here; end it in {path}, or before that");
        return Err(Fault::quoting("").after(why));
    }
    Ok(with_path(url, path))
}

/// With `path` behind its own, unless that ends so.
fn with_path(url: Url, path: &str) -> Url {
    let own = url.path().trim_end_matches('/').to_owned();
    if own.ends_with(path) { url } else { url.with_path(&format!("{own}{path}")) }
}

/// OTLP's port where it is spoken over gRPC.
const GRPC_PORT: u16 = 4317;

/// OTLP's path of what is not sent.
const TRACES: &str = "/v1/traces";

/// Says which path is missing, where one usually is not.
fn warn_of_no_path(format: &Format, url: &Url, notes: &mut Notes) {
    let usual = USUAL_PATHS.iter().find(|(name, _)| *name == format.name);
    let has_none = || *url == url.at("") || *url == url.at("/");
    if let Some((_, path)) = usual.filter(|_| has_none()) {
        notes.warning("endpoint", format!("has no path; most receivers of this type take it at {path}"));
    }
}

/// Refuses an endpoint whose query says already what its type's own fields are sent as: of two of one name each
/// server takes another one.
fn refuse_twice_asked(reach: &Reach, url: &Url, notes: &mut Notes) {
    let name_of = |pair: &str| {
        let name = pair.split('=').next().unwrap_or_default();
        percent_decoded(name).unwrap_or_else(|| name.to_owned())
    };
    let asked: Vec<String> = url.query().split('&').map(name_of).collect();
    let names = reach.query.iter().filter(|(name, _)| asked.iter().any(|own| own == name));
    let names: Vec<String> = names.map(|(name, _)| format!("{name}=")).collect();
    if !names.is_empty() {
        let (is, it) = if names.len() == 1 { ("is", "it") } else { ("are", "them") };
        let names = names.join(" and ");
        notes.problem("endpoint", format!("has {names} in its query, which {is} set in any case; remove {it} there"));
    }
}

/// What the body is compressed with, where that is not the format's own choice anyway.
fn compression(shipper: &LaneFields, format: Option<&Format>, notes: &mut Notes) -> Option<Compression> {
    let choices = format.map_or(&Compression::ALL[..], |format| format.compressions);
    let given = shipper.options.compression?;
    if !choices.contains(&given) {
        let words: Vec<&str> = choices.iter().map(|choice| choice.word()).collect();
        notes.problem("compression", Fault::expected(any_of(&words)));
    }
    Some(given).filter(|given| *given != choices[0])
}

/// Says what has no effect with this type, so that nobody waits for one.
fn warn_of_unused(shipper: &LaneFields, format: Option<&Format>, notes: &mut Notes) {
    let Some(format) = format else { return };
    let no_effect = || format!("has no effect with the type {:?}", format.name);
    if format.ordered && shipper.workers != 1 {
        let why = "receivers of this type insist on order, which one request at a time keeps";
        notes.warning("workers", format!("has no effect: {why}"));
    }
    // Who writes the default out, as the example does, expects nothing of it.
    for other in formats::ALL.iter().filter(|other| **other != format).flat_map(|other| other.fields) {
        if (other.is_set)(&shipper.options) {
            notes.warning(other.field.name(), no_effect());
        }
    }
    if format.over == Over::Http {
        return;
    }
    if !format.over.is_network() && shipper.http.has_timeout() {
        notes.warning("timeout", no_effect());
    }
    if !format.over.is_network() && shipper.http.has_tls() {
        notes.warning("tls", no_effect());
    }
    if format.over == Over::Stdout && shipper.endpoint.is_some() {
        notes.warning("endpoint", no_effect());
    }
    for field in shipper.http.of_requests() {
        notes.warning(field, no_effect());
    }
}
