//! `otlp_http`: OpenTelemetry's protocol over HTTP, metrics and logs, in protobuf or JSON.
//!
//! <https://opentelemetry.io/docs/specs/otlp/>, and for what is said with it
//! <https://opentelemetry.io/docs/specs/otel/metrics/data-model/>.
//!
//! A series is a metric's stream of points. Series that carry `job` and `instance`, as those of scraped
//! pages do, are of the resource that these two name; all others are the host's. The series of scraped
//! histograms and summaries stay what they were on their page: sums and gauges.

mod answer;
mod compiled;
mod json;
mod logs;
mod proto;
mod request;

use std::sync::Arc;

use self::compiled::{Series, data_of, resource_of, start_ms};
use self::request::{Point, Request, Wire};
use super::body::{Content, Piece, content, cuts};
use super::compiled::Compiled;
use super::encoder::{Bodies, Encoded, Encoder, RecordEncoder};
use super::format::{Format, Limits, OfRecords, Over, OwnField, Signal};
use super::gzip::{GZIP, gunzip, gzip, is_gzip};
use super::ledger::{Ended, Ledger};
use super::options::{Compression, Options};
use super::part::{Part, parts, runs, samples};
use super::sent::{Names, Sent};
use crate::fields::{DefaultValue, Field, Takes};
use crate::model::{Batch, Family, Labels, Resource, Scheme};
use crate::shaping::{Perspective, View};

/// `otlp_http`.
pub static FORMAT: Format = Format {
    name: "otlp_http",
    signals: &[Signal::Metrics, Signal::Records],
    over: Over::Http,
    path: Some("/v1/metrics"),
    naming: Scheme::Otel,
    // A megabyte or two before compression; the Collector takes 20 MiB.
    limits: Limits { samples: 10_000, ..Limits::NONE },
    ordered: false,
    has_target_labels: false,
    by_tick: false,
    compressions: &[Compression::Gzip, Compression::None],
    headers: &[],
    fields: &FIELDS,
    encoder,
    divide: Some(divide),
    downgrade: None,
    written: answer::written,
    records: Some(OfRecords {
        path: Some("/v1/logs"),
        limits: logs::LIMITS,
        encoder: record_encoder,
        divide: Some(logs::divide),
        written: answer::written,
    }),
};

static FIELDS: [OwnField; 2] = [
    OwnField {
        field: Field::new(
            "encoding",
            Takes::Word(&ENCODINGS, |options, at| *options.of() = Encoding::ALL[at]),
            DefaultValue::Text(ENCODINGS[0]),
            "Encoding of `otlp_http`.",
        ),
        is_set: |options| options.get::<Encoding>() != Encoding::default(),
    },
    OwnField {
        field: Field::new(
            "temporality",
            Takes::Word(&["cumulative"], |_, _| ()),
            DefaultValue::Text("cumulative"),
            "What a counter's points of `otlp_http` hold: all since its start. `delta` is not there yet.",
        ),
        is_set: |_| false,
    },
];

const ENCODINGS: [&str; 2] = ["protobuf", "json"];

/// How a message is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Encoding {
    #[default]
    Protobuf,
    Json,
}

impl Encoding {
    /// In the order of [`ENCODINGS`].
    const ALL: [Encoding; 2] = [Encoding::Protobuf, Encoding::Json];
}

fn encoder(options: &Options, from: Perspective) -> Box<dyn Encoder> {
    let compression = FORMAT.compression(options);
    match options.get() {
        Encoding::Protobuf => Box::new(Otlp::<proto::Protobuf>::new(from, compression)),
        Encoding::Json => Box::new(Otlp::<json::Json>::new(from, compression)),
    }
}

fn record_encoder(options: &Options, labels: &Labels) -> Box<dyn RecordEncoder> {
    let compression = FORMAT.compression(options);
    match options.get() {
        Encoding::Protobuf => logs::encoder::<proto::Protobuf>(labels, compression, host_of::<proto::Protobuf>),
        Encoding::Json => logs::encoder::<json::Json>(labels, compression, host_of::<json::Json>),
    }
}

/// Encodes for one destination.
struct Otlp<W: Wire> {
    from: Perspective,
    content: Content,
    ledger: Ledger,
    views: Compiled<Arc<View>>,
    /// The last body's metrics: those of the next one are mostly the same.
    request: Request<W>,
    plain: Vec<u8>,
    /// The host, and how it is written.
    host: (Arc<Resource>, Arc<[u8]>),
}

impl<W: Wire> Otlp<W> {
    /// What is seen `from` there.
    fn new(from: Perspective, compression: Compression) -> Otlp<W> {
        let mut headers = vec![("Content-Type", W::CONTENT_TYPE)];
        if compression == Compression::Gzip {
            headers.push(GZIP);
        }
        let resource = Arc::new(Resource::default());
        let host = (Arc::clone(&resource), host_of::<W>(&resource));
        Otlp {
            ledger: Ledger::new(from.clone(), Names::Own),
            from,
            content: content(&headers),
            views: Compiled::default(),
            request: Request::default(),
            plain: Vec::new(),
            host,
        }
    }

    /// Writes a body of these parts, and of what has ended.
    fn write_run(&mut self, run: &[Part<'_>], ended: &[Ended], batch: &Batch, most: usize, out: &mut Bodies) {
        self.request.begin();
        for part in run {
            self.add(part, batch.resource.boot_ms);
        }
        for ended in ended {
            self.add_ended(ended);
        }
        self.plain.clear();
        W::write(&self.request, &mut self.plain);
        let mut body = out.room();
        pack(&self.content, &self.plain, &mut body);
        let count = samples(run) + ended.len() as u64;
        // A chunk alone was too large.
        let pieces = if count as usize > most { divide(&self.content, &body, most as u64) } else { None };
        match pieces {
            Some(pieces) => pieces.into_iter().for_each(|piece| out.push(piece.bytes, piece.samples)),
            None => out.push(body, count),
        }
    }

    fn add(&mut self, part: &Part<'_>, boot_ms: Option<i64>) {
        let compiled = part.view.kept(|| compiled::Compiled::<W>::new(&part.view, &self.from.labels));
        let mut places = Vec::with_capacity(compiled.metrics.len());
        for metric in &compiled.metrics {
            let resource = metric.resource.as_ref().unwrap_or(&self.host.1);
            places.push(self.request.place(resource, &metric.head, metric.data));
        }
        for (one, Series { metric, attributes }) in part.view.series().zip(&compiled.series) {
            let time_ms = one.time_ms(part.time_ms, part.times);
            let begins = compiled.metrics[*metric as usize].data.is_sum();
            let point = Point {
                attributes: compiled.attributes(attributes),
                start_ms: if begins { start_ms(&one, part.chunk, time_ms, boot_ms) } else { 0 },
                time_ms,
                value: Some(one.value(part.values)),
            };
            self.request.add(places[*metric as usize], &point);
        }
    }

    /// The last point of a series, which says that there will be none.
    fn add_ended(&mut self, ended: &Ended) {
        let record = ended.series.record();
        let name = record.labels.iter().find(|(name, _)| *name == "__name__").map_or("", |(_, value)| value);
        let labels = record.labels.iter().copied().filter(|(name, _)| *name != "__name__");
        let family = Family::new(record.kind, name, record.unit, record.help);
        let (resource, labels) = resource_of(labels, &self.from.labels);
        let resource = resource.map_or_else(|| Arc::clone(&self.host.1), |target| target.written::<W>());
        let place = self.request.place(&resource, &W::head(&family).into(), data_of(&family));
        let mut attributes = Vec::new();
        W::attributes(labels, &mut attributes);
        let point = Point { attributes: &attributes, start_ms: 0, time_ms: ended.time_ms, value: None };
        self.request.add(place, &point);
    }
}

impl<W: Wire> Encoder for Otlp<W> {
    fn encode(&mut self, batch: &Batch, most: u64, out: &mut Bodies) -> Encoded {
        let most = usize::try_from(most).unwrap_or(usize::MAX).max(1);
        if *self.host.0 != *batch.resource {
            self.host = (Arc::clone(&batch.resource), host_of::<W>(&batch.resource));
        }
        self.ledger.update(batch);
        let ended = self.ledger.take_ended();
        let parts = parts(batch, &self.from, &mut self.views);
        let mut left = &ended[..];
        let mut runs = runs(&parts, most).peekable();
        while let Some(run) = runs.next() {
            let room = if runs.peek().is_some() { 0 } else { most.saturating_sub(samples(run) as usize) };
            let (now, later) = left.split_at(room.min(left.len()));
            left = later;
            self.write_run(run, now, batch, most, out);
        }
        for ended in left.chunks(most) {
            self.write_run(&[], ended, batch, most, out);
        }
        Encoded { samples: samples(&parts), markers: ended.len() as u64, unencodable: 0 }
    }

    fn content(&self) -> Content {
        Arc::clone(&self.content)
    }

    fn sent(&self) -> Sent {
        self.ledger.sent()
    }

    fn inherit(&mut self, sent: Sent) {
        self.ledger.inherit(sent);
    }

    fn revision(&self) -> u64 {
        self.ledger.revision()
    }
}

/// The host as a resource, by the names of the semantic conventions.
fn host_of<W: Wire>(host: &Resource) -> Arc<[u8]> {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "arm32",
        "powerpc" => "ppc32",
        "powerpc64" => "ppc64",
        other => other,
    };
    let all = [
        ("host.arch", arch),
        ("host.name", &*host.host),
        ("os.type", "linux"),
        ("service.instance.id", &*host.instance),
        ("service.name", "metricsd"),
    ];
    W::resource(all.into_iter().filter(|(_, value)| !value.is_empty())).into()
}

fn pack(content: &Content, plain: &[u8], out: &mut Vec<u8>) {
    match is_gzip(content) {
        true => gzip(plain, out),
        false => out.extend_from_slice(plain),
    }
}

/// Divides a request by its points.
fn divide(content: &Content, body: &[u8], most: u64) -> Option<Vec<Piece>> {
    let unpacked;
    let plain = match is_gzip(content) {
        true => {
            unpacked = gunzip(body)?;
            &unpacked[..]
        }
        false => body,
    };
    let is_json = content.iter().any(|(_, value)| value == json::Json::CONTENT_TYPE);
    if is_json { divided::<json::Json>(content, plain, most) } else { divided::<proto::Protobuf>(content, plain, most) }
}

fn divided<W: Wire>(content: &Content, plain: &[u8], most: u64) -> Option<Vec<Piece>> {
    let points = W::points(plain)?;
    let mut from = 0;
    let piece = |to: usize| {
        let mut request = Request::<W>::default();
        let part = &points[std::mem::replace(&mut from, to)..to];
        for point in part {
            let place = request.place(&point.resource, &point.head, point.data);
            request.add_written(place, point.written);
        }
        let (mut plain, mut bytes) = (Vec::new(), Vec::new());
        W::write(&request, &mut plain);
        pack(content, &plain, &mut bytes);
        Piece { bytes, samples: part.len() as u64 }
    };
    Some(cuts(points.len(), most)?.map(piece).collect())
}

#[cfg(test)]
mod tests;
