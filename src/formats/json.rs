//! Metrics as JSON: the payload of `http_json`, `file` and `stdout`.
//!
//! ```json
//! {"timestamp":1700000000,"timestamp_ms":1700000000123,"resource":{"host.name":"web-1"},
//!  "metrics":[{"name":"system_load_1m","value":0.25,"type":"gauge","labels":{}}]}
//! ```
//!
//! JSON has no word for NaN and infinities, so such a sample is left out and counted.
//! Everything but the numbers is constant from tick to tick and compiled once a view.

use std::io::Write;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::body::{Content, Piece, content, cuts};
use super::compiled::Compiled;
use super::encoder::{Bodies, Encoded, Encoder};
use super::format::{Format, Limits, Over, Signal, as_given, nothing_said};
use super::gzip::{GZIP, gunzip, gzip, is_gzip};
use super::json_records;
use super::number::write_number;
use super::options::Compression;
use crate::model::{Batch, Scheme};
use crate::shaping::{Perspective, View, ViewSeries};

/// `http_json`. A host's payload is one body, which only a receiver divides that finds it too large.
pub static HTTP: Format = Format {
    name: "http_json",
    signals: &[Signal::Metrics, Signal::Records],
    over: Over::Http,
    path: None,
    reach: as_given,
    naming: Scheme::Native,
    limits: Limits::NONE,
    ordered: false,
    has_target_labels: false,
    host_label: None,
    by_tick: true,
    compressions: &[Compression::None, Compression::Gzip],
    headers: &[],
    fields: &[],
    encoder: Some(|options, from| Box::new(Json::new(from, HTTP.compression(options)))),
    divide: Some(divide),
    downgrade: None,
    written: nothing_said,
    records: Some(json_records::HTTP),
};

/// `file`: the same payload, a line each.
pub static FILE: Format = line("file", Over::File);

/// `stdout`: the same on standard output.
pub static STDOUT: Format = line("stdout", Over::Stdout);

const fn line(name: &'static str, over: Over) -> Format {
    Format {
        name,
        signals: &[Signal::Metrics, Signal::Records],
        over,
        path: None,
        reach: as_given,
        naming: Scheme::Native,
        limits: Limits::NONE,
        ordered: false,
        has_target_labels: false,
        host_label: None,
        by_tick: true,
        compressions: &[Compression::None],
        headers: &[],
        fields: &[],
        encoder: Some(|_, from| Box::new(Json::new(from, Compression::None))),
        divide: None,
        downgrade: None,
        written: nothing_said,
        records: Some(json_records::LINE),
    }
}

/// Encodes for one destination.
pub struct Json {
    from: Perspective,
    compression: Compression,
    content: Content,
    texts: Compiled<(Arc<View>, Arc<Texts>)>,
    text: Vec<u8>,
    numbers: Vec<f64>,
}

/// What is constant of a view: the text in front of each value and behind it.
struct Texts(Vec<(Box<str>, Box<str>)>);

impl Json {
    /// What is seen `from` there.
    pub fn new(from: Perspective, compression: Compression) -> Json {
        let mut headers = vec![("Content-Type", "application/json")];
        if compression == Compression::Gzip {
            headers.push(GZIP);
        }
        Json {
            from,
            compression,
            content: content(&headers),
            texts: Compiled::default(),
            text: Vec::new(),
            numbers: Vec::new(),
        }
    }
}

impl Encoder for Json {
    fn encode(&mut self, batch: &Batch, most: u64, out: &mut Bodies) -> Encoded {
        self.text.clear();
        let encoded = write_payload(&mut self.texts, &self.from, batch, &mut self.numbers, &mut self.text);
        // A host's payload is one, until its receiver has found it too large.
        let pieces = if encoded.samples > most { divide_plain(&self.text, most) } else { None };
        match pieces {
            Some(pieces) => pieces.iter().for_each(|piece| self.push(&piece.bytes, piece.samples, out)),
            None => self.push(&self.text, encoded.samples, out),
        }
        encoded
    }

    fn content(&self) -> Content {
        Arc::clone(&self.content)
    }
}

impl Json {
    fn push(&self, text: &[u8], samples: u64, out: &mut Bodies) {
        if samples == 0 {
            return;
        }
        let mut body = out.room();
        match self.compression {
            Compression::Gzip => gzip(text, &mut body),
            _ => body.extend_from_slice(text),
        }
        out.push(body, samples);
    }
}

/// The payload of `batch` by itself, plain.
pub fn payload(batch: &Batch, from: &Perspective) -> Vec<u8> {
    let mut out = Vec::new();
    write_payload(&mut Compiled::default(), from, batch, &mut Vec::new(), &mut out);
    out
}

fn write_payload(
    texts: &mut Compiled<(Arc<View>, Arc<Texts>)>,
    from: &Perspective,
    batch: &Batch,
    numbers: &mut Vec<f64>,
    out: &mut Vec<u8>,
) -> Encoded {
    let mut encoded = Encoded::default();
    // Writing text and numbers to memory does not fail.
    let seconds = batch.time_ms.div_euclid(1000);
    let _ = write!(out, "{{\"timestamp\":{seconds},\"timestamp_ms\":{},\"resource\":", batch.time_ms);
    json_records::write_resource(&batch.resource, out);
    out.extend_from_slice(b",\"metrics\":[");
    for frame in &batch.frames {
        let mut compiled = texts.of(&frame.source);
        for (chunk, values) in frame.parts() {
            let (view, texts) = compiled.next(chunk, || {
                let view = from.view(chunk);
                let texts = view.kept(|| Texts(view.series().map(|one| texts_of(&one)).collect()));
                (view, texts)
            });
            for ((before, after), value) in texts.0.iter().zip(view.values(values, numbers)) {
                if !value.is_finite() {
                    encoded.unencodable += 1;
                    continue;
                }
                if encoded.samples > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(before.as_bytes());
                write_number(*value, out);
                out.extend_from_slice(after.as_bytes());
                encoded.samples += 1;
            }
        }
    }
    out.extend_from_slice(b"]}");
    encoded
}

/// A series' text in front of its value and behind it.
fn texts_of(series: &ViewSeries<'_>) -> (Box<str>, Box<str>) {
    let before = format!("{{\"name\":{},\"value\":", quoted(series.family().name));
    let labels: Vec<String> = series.labels.iter().map(|(n, v)| format!("{}:{}", quoted(n), quoted(v))).collect();
    let after = format!(",\"type\":\"{}\",\"labels\":{{{}}}}}", series.family().kind.as_str(), labels.join(","));
    (before.into(), after.into())
}

/// A JSON string, quotes and all.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Divides a payload by its metrics.
pub fn divide(content: &Content, body: &[u8], most: u64) -> Option<Vec<Piece>> {
    if !is_gzip(content) {
        return divide_plain(body, most);
    }
    let mut pieces = divide_plain(&gunzip(body)?, most)?;
    for piece in &mut pieces {
        let text = std::mem::take(&mut piece.bytes);
        gzip(&text, &mut piece.bytes);
    }
    Some(pieces)
}

fn divide_plain(body: &[u8], most: u64) -> Option<Vec<Piece>> {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Payload<'a> {
        timestamp: i64,
        timestamp_ms: i64,
        #[serde(borrow)]
        resource: &'a RawValue,
        #[serde(borrow)]
        metrics: Vec<&'a RawValue>,
    }
    let whole: Payload<'_> = serde_json::from_slice(body).ok()?;
    let mut from = 0;
    let piece = |to: usize| {
        let metrics = whole.metrics[std::mem::replace(&mut from, to)..to].to_vec();
        let samples = metrics.len() as u64;
        let part = Payload { metrics, ..whole };
        Some(Piece { bytes: serde_json::to_vec(&part).ok()?, samples })
    };
    cuts(whole.metrics.len(), most)?.map(piece).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::testing::{self, COUNT, TOTAL, USAGE};
    use crate::model::Labels;

    fn encode(compression: Compression) -> (Vec<u8>, Encoded) {
        let core = Labels::of(&[("core", "0"), ("note", "a \"b\"\n\u{1}é")]);
        let samples = [
            (&USAGE, &core, 45.2),
            (&USAGE, &Labels::EMPTY, f64::NAN),
            (&COUNT, &Labels::EMPTY, 3.0),
            (&TOTAL, &Labels::EMPTY, 1e21),
            (&COUNT, &core, f64::NEG_INFINITY),
        ];
        let batch = testing::batch(1_700_000_000_123, &samples);
        let mut encoder = Json::new(testing::from(Labels::of(&[("dc", "eu"), ("core", "x")])), compression);
        testing::encode(&mut encoder, &batch)
    }

    const EXPECTED: &str = concat!(
        r#"{"timestamp":1700000000,"timestamp_ms":1700000000123,"resource":{"host.name":"host-1"},"metrics":["#,
        r#"{"name":"test_usage_percent","value":45.2,"type":"gauge","#,
        r#""labels":{"core":"0","dc":"eu","note":"a \"b\"\n\u0001é"}},"#,
        r#"{"name":"test_count","value":3,"type":"gauge","labels":{"core":"x","dc":"eu"}},"#,
        r#"{"name":"test_bytes_total","value":1e+21,"type":"counter","labels":{"core":"x","dc":"eu"}}]}"#
    );

    #[test]
    fn the_payload_is_the_specified_one() {
        let (out, encoded) = encode(Compression::None);
        let parsed: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(parsed, serde_json::from_str::<serde_json::Value>(EXPECTED).unwrap());
        assert_eq!(encoded, Encoded { samples: 3, markers: 0, unencodable: 2 });
    }

    #[test]
    fn gzip_holds_the_same() {
        let (plain, _) = encode(Compression::None);
        let (packed, encoded) = encode(Compression::Gzip);
        assert_eq!(gunzip(&packed).unwrap(), plain);
        assert_eq!(encoded.samples, 3);
    }

    #[test]
    fn seconds_before_1970_round_down() {
        let batch = testing::batch(-1, &[(&COUNT, &Labels::EMPTY, -0.5)]);
        let (out, _) = testing::encode(&mut Json::new(testing::from(Labels::EMPTY), Compression::None), &batch);
        let parsed: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(parsed["timestamp"], -1);
        assert_eq!(parsed["metrics"][0]["value"], -0.5);
    }

    #[test]
    fn a_payload_is_divided_until_one_metric_is_left() {
        let (plain, gzipped) = (content(&[]), content(&[GZIP]));
        let (whole, _) = encode(Compression::None);
        let pieces = divide(&plain, &whole, 2).unwrap();
        let [left, right] = &pieces[..] else { panic!("{} pieces", pieces.len()) };
        assert_eq!((left.samples, right.samples), (1, 2));
        assert!(divide(&plain, &left.bytes, 1).is_none());
        let names = |bytes: &[u8]| {
            let value: serde_json::Value = serde_json::from_slice(bytes).unwrap();
            assert_eq!(value["timestamp_ms"], 1_700_000_000_123_i64);
            value["metrics"].as_array().unwrap().iter().map(|m| m["name"].clone()).collect::<Vec<_>>()
        };
        assert_eq!([names(&left.bytes), names(&right.bytes)].concat(), names(&whole));
        let (packed, _) = encode(Compression::Gzip);
        assert_eq!(gunzip(&divide(&gzipped, &packed, 2).unwrap()[0].bytes).unwrap(), left.bytes);
        assert!(divide(&plain, b"{", 1).is_none() && divide(&gzipped, b"x", 1).is_none());
    }
}
