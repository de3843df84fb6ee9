//! `datadog`: Datadog's API for metrics, version 2, in JSON.
//!
//! <https://docs.datadoghq.com/api/latest/metrics/#submit-metrics>
//!
//! ```json
//! {"series":[{"metric":"system_load_1m","type":3,"points":[{"timestamp":1700000000,"value":0.25}],
//!             "tags":["dc:eu"],"resources":[{"name":"web-1","type":"host"}]},
//!            {"metric":"system_network_bytes_recv_total","type":1,"interval":60,
//!             "points":[{"timestamp":1700000000,"value":1234}],"tags":["interface:eth0"],
//!             "resources":[{"name":"web-1","type":"host"}]}]}
//! ```
//!
//! What counts is sent as what came since the last body, with the seconds of that as its interval. Records are
//! in `logs`.

mod logs;

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::body::{Content, Piece, content, cuts};
use super::compiled::Compiled;
use super::delta::{Delta, Deltas};
use super::encoder::{Bodies, Encoded, Encoder};
use super::format::{Answered, Format, Limits, Over, OwnField, Reach, Shown, Signal, Written};
use super::gzip::{GZIP, pack, unpack};
use super::key::Key;
use super::lines::write_whole;
use super::number::write_number;
use super::options::{Compression, Options};
use super::part::{Part, parts};
use crate::fields::{DefaultValue, Done, Fault, Field, Inner, Notes, Table, Takes};
use crate::model::{Batch, Scheme};
use crate::shaping::{Perspective, View, ViewSeries};

/// `datadog`.
pub static FORMAT: Format = Format {
    name: "datadog",
    signals: &[Signal::Metrics, Signal::Records],
    over: Over::Http,
    path: Some("/api/v2/series"),
    reach,
    naming: Scheme::Native,
    limits: Limits { samples: 10_000, bytes: MAX_BYTES },
    ordered: false,
    has_target_labels: false,
    // Each series names its host.
    host_label: None,
    by_tick: false,
    compressions: &[Compression::Gzip, Compression::None],
    headers: &[],
    fields: &FIELDS,
    encoder: Some(|options, from| Box::new(Datadog::new(from, FORMAT.compression(options)))),
    divide: Some(divide),
    downgrade: None,
    written,
    records: Some(logs::RECORDS),
};

/// What a request may have, as sent: 500 KB of 1024 bytes, by the API's documentation.
const MAX_BYTES: usize = 512_000;

/// What it may have unpacked: less than 5 MB of 1024 KB.
const MAX_UNPACKED: usize = 5_242_879;

/// A body is ended when it has so much, unpacked: such text packs to a tenth, so that few have to be made
/// anew in halves.
const ENOUGH: usize = 3 << 20;

static FIELDS: [OwnField; 1] = [OwnField {
    field: Field::new(
        OBJECT,
        Takes::Object(&Inner { table: &TABLE, of: |options: &mut Options| options.of::<Settings>() }),
        DefaultValue::EmptyMap,
        "",
    ),
    is_set: |options| options.get::<Settings>() != Settings::default(),
}];

const OBJECT: &str = "datadog";
const API_KEY: [&str; 2] = ["api_key", "api_key_file"];
const SITE: &str = "datadoghq.com";

/// `datadog`, as it was written.
#[derive(Clone, Debug, Default, PartialEq)]
struct Settings {
    site: Option<String>,
    api_key: Key,
}

static SETTINGS: [Field<Settings>; 3] = [
    Field::new(
        "site",
        Takes::Text(set_site),
        DefaultValue::Text(SITE),
        "Datadog's site (`datadoghq.eu`, `us5.datadoghq.com`): without an `endpoint` it is `https://api.SITE`, and `https://http-intake.logs.SITE` for logs.",
    ),
    Field::new(
        API_KEY[0],
        Takes::Text(|s: &mut Settings, key| {
            s.api_key.value = Some(key);
            Ok(())
        }),
        DefaultValue::Null,
        "The API key, sent as `DD-API-KEY`; required without an `endpoint`.",
    )
    .secret(),
    Field::new(
        API_KEY[1],
        Takes::Text(|s: &mut Settings, path| {
            s.api_key.file = Some(path);
            Ok(())
        }),
        DefaultValue::Null,
        "A file that holds it, taken up when it changes.",
    )
    .credential(),
];

static TABLE: Table<Settings> = Table::new(|| SETTINGS.iter().collect());

fn set_site(s: &mut Settings, site: String) -> Done {
    let is_name = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let is_page = site.starts_with("app.") || site.starts_with("api.");
    if !site.is_empty() && (is_page || !site.contains('.') || !site.split('.').all(is_name)) {
        return Err(Fault::expected("a site such as \"datadoghq.com\", \"datadoghq.eu\" or \"us5.datadoghq.com\""));
    }
    s.site = Some(site).filter(|site| !site.is_empty() && site != SITE);
    Ok(())
}

fn reach(options: &Options, _: Option<&str>, _: &mut Notes) -> Reach {
    let Settings { site, api_key } = options.get();
    let key = api_key.is_given().then_some(Shown {
        key: api_key,
        object: OBJECT,
        fields: API_KEY,
        header: "dd-api-key",
        before: "",
        remedy: "check datadog.api_key or api_key_file (a changed file is used with the next request), and datadog.site",
    });
    // Nobody is let in there without a key.
    let at = |host: &str| key.is_some().then(|| format!("https://{host}.{}", site.as_deref().unwrap_or(SITE)));
    let (endpoint, records_endpoint) = (at("api"), at("http-intake.logs"));
    Reach { endpoint, records_endpoint, or_else: "datadog.api_key", key, ..Reach::default() }
}

/// Encodes for one destination.
struct Datadog {
    from: Perspective,
    content: Content,
    views: Compiled<Arc<View>>,
    deltas: Deltas,
    text: Vec<u8>,
    /// Where each series ends in it.
    ends: Vec<usize>,
    values: Vec<f64>,
    resources: Vec<u8>,
}

/// What is constant of a view: the text of each series in front of its first number, and behind its points.
struct Texts(Vec<(Box<str>, Box<str>)>);

/// The types of the API.
const COUNT: &str = "1";
const GAUGE: &str = "3";

impl Datadog {
    fn new(from: Perspective, compression: Compression) -> Datadog {
        let mut headers = vec![("Content-Type", "application/json")];
        if compression == Compression::Gzip {
            headers.push(GZIP);
        }
        Datadog {
            deltas: Deltas::new(from.clone()),
            from,
            content: content(&headers),
            views: Compiled::default(),
            text: Vec::new(),
            ends: Vec::new(),
            values: Vec::new(),
            resources: Vec::new(),
        }
    }

    /// Writes the series of a part behind the others.
    fn write(&mut self, part: &Part<'_>, encoded: &mut Encoded) {
        let Datadog { deltas, text, ends, values, resources, .. } = self;
        let texts = part.view.kept(|| Texts(part.view.series().map(|one| texts_of(&one)).collect()));
        let (deltas, values) = (deltas.next(part), part.view.values(part.values, values));
        for (at, (before, after)) in texts.0.iter().enumerate() {
            let (mut value, time_ms) = (values[at], part.view.get(at).time_ms(part.time_ms, part.times));
            if !value.is_finite() {
                encoded.unencodable += 1;
                continue;
            }
            let mut seconds = None;
            match deltas[at] {
                Delta::AsItIs => {}
                Delta::Unknown => continue,
                Delta::Since { start_ms, increase } => {
                    value = increase;
                    // Whole ones, and never none.
                    seconds = Some((time_ms.saturating_sub(start_ms).saturating_add(500) / 1000).max(1));
                }
            }
            text.extend_from_slice(before.as_bytes());
            write_whole(time_ms.div_euclid(1000), text);
            text.extend_from_slice(b",\"value\":");
            write_number(value, text);
            text.extend_from_slice(b"}]");
            if let Some(seconds) = seconds {
                text.extend_from_slice(b",\"interval\":");
                write_whole(seconds, text);
            }
            text.extend_from_slice(after.as_bytes());
            text.extend_from_slice(resources);
            ends.push(text.len());
            encoded.samples += 1;
        }
    }

    /// Makes bodies of what was written.
    fn finish(&mut self, most: usize, out: &mut Bodies) {
        self.body(0..self.ends.len(), most, out);
        self.text.clear();
        self.ends.clear();
    }

    /// A body of these series, or, where that is larger than may be, bodies of halves of them.
    fn body(&self, range: Range<usize>, most: usize, out: &mut Bodies) {
        if range.is_empty() {
            return;
        }
        let begin = |at: usize| at.checked_sub(1).map_or(0, |before| self.ends[before]);
        let bytes = begin(range.end) - begin(range.start) + range.len() + FRAME.len();
        let is_alone = range.len() == 1;
        if is_alone || (range.len() <= most && bytes <= MAX_UNPACKED) {
            let plain = plain(range.clone().map(|at| &self.text[begin(at)..self.ends[at]]), bytes);
            let mut body = out.room();
            pack(&self.content, &plain, &mut body);
            if is_alone || body.len() <= MAX_BYTES {
                return out.push(body, range.len() as u64);
            }
        }
        let middle = range.start + range.len() / 2;
        self.body(range.start..middle, most, out);
        self.body(middle..range.end, most, out);
    }
}

impl Encoder for Datadog {
    fn encode(&mut self, batch: &Batch, most: u64, out: &mut Bodies) -> Encoded {
        let most = usize::try_from(most).unwrap_or(usize::MAX).max(1);
        self.resources.clear();
        // Writing to memory does not fail.
        let _ = write!(
            self.resources,
            ",\"resources\":[{{\"name\":{},\"type\":\"host\"}}]}}",
            quoted(&batch.resource.host)
        );
        self.deltas.begin(batch);
        let mut encoded = Encoded::default();
        let parts = parts(batch, &self.from, &mut self.views);
        for part in &parts {
            if self.text.len() >= ENOUGH || self.ends.len() + part.view.len() > most {
                self.finish(most, out);
            }
            self.write(part, &mut encoded);
        }
        self.finish(most, out);
        encoded
    }

    fn content(&self) -> Content {
        Arc::clone(&self.content)
    }

    fn take_counts(&mut self) -> Option<Deltas> {
        Some(std::mem::replace(&mut self.deltas, Deltas::new(self.from.clone())))
    }

    fn inherit_counts(&mut self, counts: Deltas) {
        self.deltas.take_over(counts);
    }
}

/// A series' text in front of its time, and behind its point.
fn texts_of(series: &ViewSeries<'_>) -> (Box<str>, Box<str>) {
    let family = series.family();
    let kind = if super::delta::counts(&family) { COUNT } else { GAUGE };
    let before = format!("{{\"metric\":{},\"type\":{kind},\"points\":[{{\"timestamp\":", quoted(family.name));
    let tags: Vec<String> = series.labels.iter().map(|(name, value)| quoted(&format!("{name}:{value}"))).collect();
    (before.into(), format!(",\"tags\":[{}]", tags.join(",")).into())
}

/// A JSON string, quotes and all.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// What stands around the series of a body.
const FRAME: &str = "{\"series\":[]}";

/// A whole body of these series, of about so many bytes.
fn plain<'s>(series: impl Iterator<Item = &'s [u8]>, bytes: usize) -> Vec<u8> {
    let (before, behind) = FRAME.split_at(FRAME.len() - 2);
    let mut plain = Vec::with_capacity(bytes);
    plain.extend_from_slice(before.as_bytes());
    for (at, one) in series.enumerate() {
        if at > 0 {
            plain.push(b',');
        }
        plain.extend_from_slice(one);
    }
    plain.extend_from_slice(behind.as_bytes());
    plain
}

/// Divides a body between series.
fn divide(content: &Content, body: &[u8], most: u64) -> Option<Vec<Piece>> {
    #[derive(serde::Deserialize)]
    struct Whole<'a> {
        #[serde(borrow)]
        series: Vec<&'a RawValue>,
    }
    let text = unpack(content, body)?;
    let Whole { series } = serde_json::from_slice(&text).ok()?;
    let mut from = 0;
    let piece = |to: usize| {
        let part = &series[std::mem::replace(&mut from, to)..to];
        let mut bytes = Vec::new();
        pack(content, &plain(part.iter().map(|one| one.get().as_bytes()), text.len()), &mut bytes);
        Piece { bytes, samples: part.len() as u64 }
    };
    Some(cuts(series.len(), most)?.map(piece).collect())
}

/// What it says besides its status: `{"errors": ["..."]}`, also with 202. How many points it means it does
/// not say.
fn written(_: &Content, answer: &Answered<'_>) -> Written {
    #[derive(serde::Deserialize)]
    struct Said {
        errors: Vec<String>,
    }
    match serde_json::from_slice::<Said>(answer.body) {
        Ok(Said { errors }) if !errors.is_empty() && (200..=299).contains(&answer.status) => {
            Written::AllBut(0, errors.join("; "))
        }
        _ => Written::Unsaid,
    }
}

#[cfg(test)]
mod tests;
