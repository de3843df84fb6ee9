//! `otlp_http`: OpenTelemetry's protocol over HTTP, metrics and logs, in protobuf or JSON.
//!
//! <https://opentelemetry.io/docs/specs/otlp/>, and for what is said with it
//! <https://opentelemetry.io/docs/specs/otel/metrics/data-model/>.
//!
//! A series is a metric's stream of points, and so are the series of a histogram or a summary together
//! (`whole.rs`). What carries `job` and `instance`, as what was on a scraped page does, is of the resource
//! that these two name; all else is the host's.

mod answer;
mod compiled;
mod divide;
mod ended;
mod exemplars;
mod json;
mod logs;
mod making;
mod point;
mod proto;
mod request;
mod template;
mod whole;
mod words;

use std::sync::Arc;

use self::compiled::Made;
use self::divide::divide;
use self::ended::{Endings, Targets};
use self::making::{Body, Known, Numbers};
use self::request::Wire;
use super::body::{Content, content};
use super::compiled as compiled_chunks;
use super::delta::Deltas;
use super::encoder::{Bodies, Encoded, Encoder, RecordEncoder};
use super::format::{Format, Limits, OfRecords, Over, OwnField, Signal, as_given};
use super::gzip::GZIP;
use super::ledger::Ledger;
use super::options::{Compression, Options};
use super::part::Part;
use super::sent::{Names, Sent};
use crate::fields::{DefaultValue, Field, Takes};
use crate::model::{Batch, Labels, Resource, Scheme};
use crate::shaping::Perspective;

/// `otlp_http`.
pub static FORMAT: Format = Format {
    name: "otlp_http",
    signals: &[Signal::Metrics, Signal::Records],
    over: Over::Http,
    path: Some("/v1/metrics"),
    reach: as_given,
    naming: Scheme::Otel,
    // A megabyte or two before compression; the Collector takes 20 MiB.
    limits: Limits { samples: 10_000, ..Limits::NONE },
    ordered: false,
    has_target_labels: false,
    host_label: None,
    by_tick: false,
    compressions: &[Compression::Gzip, Compression::None],
    headers: &[],
    fields: &FIELDS,
    encoder: Some(encoder),
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
            Takes::Word(&TEMPORALITIES, |options, at| *options.of() = Temporality::ALL[at]),
            DefaultValue::Text(TEMPORALITIES[0]),
            "What a point of a counter or a histogram holds with `otlp_http`: all since its start, or what came since \
             the point before.",
        ),
        is_set: |options| options.get::<Temporality>() != Temporality::default(),
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

const TEMPORALITIES: [&str; 2] = ["cumulative", "delta"];

/// What a point of what grows holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Temporality {
    #[default]
    Cumulative,
    Delta,
}

impl Temporality {
    /// In the order of [`TEMPORALITIES`].
    const ALL: [Temporality; 2] = [Temporality::Cumulative, Temporality::Delta];
}

fn encoder(options: &Options, from: Perspective) -> Box<dyn Encoder> {
    let compression = FORMAT.compression(options);
    match options.get() {
        Encoding::Protobuf => Box::new(Otlp::<proto::Protobuf>::new(from, compression, options.get())),
        Encoding::Json => Box::new(Otlp::<json::Json>::new(from, compression, options.get())),
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
    known: compiled_chunks::Compiled<Known<W>>,
    targets: Targets,
    /// None: all is sent since its start.
    deltas: Option<Deltas>,
    body: Body<W>,
    /// The host, and how it is written.
    host: (Arc<Resource>, Arc<[u8]>),
}

impl<W: Wire> Otlp<W> {
    /// What is seen `from` there.
    fn new(from: Perspective, compression: Compression, temporality: Temporality) -> Otlp<W> {
        let mut headers = vec![("Content-Type", W::CONTENT_TYPE)];
        if compression == Compression::Gzip {
            headers.push(GZIP);
        }
        let resource = Arc::new(Resource::default());
        let host = (Arc::clone(&resource), host_of::<W>(&resource));
        Otlp {
            ledger: Ledger::new(from.clone(), Names::Own),
            content: content(&headers),
            known: compiled_chunks::Compiled::default(),
            targets: Targets::default(),
            deltas: (temporality == Temporality::Delta).then(|| Deltas::new(from.clone())),
            body: Body::default(),
            host,
            from,
        }
    }
}

impl<W: Wire> Encoder for Otlp<W> {
    fn encode(&mut self, batch: &Batch, most: u64, out: &mut Bodies) -> Encoded {
        let most = most.max(1);
        let made = Made { boot_ms: batch.resource.boot_ms, is_delta: self.deltas.is_some() };
        self.deltas.iter_mut().for_each(|deltas| deltas.begin(batch));
        if *self.host.0 != *batch.resource {
            self.host = (Arc::clone(&batch.resource), host_of::<W>(&batch.resource));
            self.body.request.forget_places();
        }
        self.ledger.update(batch);
        let ended = self.ledger.take_ended();
        if !ended.is_empty() {
            // What ends may be of a target that is new to us.
            for frame in &batch.frames {
                let mut chunks = self.known.of(&frame.source);
                for (chunk, _) in frame.parts() {
                    chunks.next(chunk, || Known::new(chunk, &self.from, made, &mut self.targets));
                }
            }
        }
        let mut endings = Endings::new::<W>(&ended, &self.from.labels, &self.host.1, &self.targets, made.is_delta);
        let mut encoded = Encoded::default();
        self.body.request.tidy();
        for frame in &batch.frames {
            let mut chunks = self.known.of(&frame.source);
            let mut end = 0;
            for (chunk, values, times) in frame.timed_parts() {
                let begin = end;
                end += chunk.len();
                let known = chunks.next(chunk, || Known::new(chunk, &self.from, made, &mut self.targets));
                known.fit(chunk, &self.from, made);
                let deltas = match &mut self.deltas {
                    Some(deltas) => {
                        let view = Arc::clone(&known.view);
                        deltas.next(&Part { time_ms: frame.time_ms, chunk, view, values, times })
                    }
                    None => &[],
                };
                let len = known.compiled.streams.len() as u64;
                if len == 0 {
                    continue;
                }
                endings.go_on(&known.compiled);
                if self.body.points > 0 && self.body.points + len > most {
                    self.body.close(&self.content, most, out);
                }
                let mut room = std::mem::take(&mut self.body.room);
                let view = Arc::clone(&known.view);
                let values = view.values(values, &mut room);
                let exemplars = exemplars::OfChunk { all: frame.exemplars(begin..end), begin };
                let numbers = Numbers { view: &view, time_ms: frame.time_ms, values, times, exemplars, deltas };
                encoded.samples += self.body.add(known, &self.host.1, &numbers);
                self.body.room = room;
            }
        }
        for ending in endings.finish() {
            if self.body.points >= most {
                self.body.close(&self.content, most, out);
            }
            self.body.end(&ending);
            encoded.markers += 1;
        }
        self.body.close(&self.content, most, out);
        encoded.unencodable = std::mem::take(&mut self.body.unencodable);
        encoded
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

    fn take_counts(&mut self) -> Option<Deltas> {
        let fresh = Deltas::new(self.from.clone());
        self.deltas.as_mut().map(|deltas| std::mem::replace(deltas, fresh))
    }

    fn inherit_counts(&mut self, counts: Deltas) {
        if let Some(deltas) = &mut self.deltas {
            deltas.take_over(counts);
        }
    }

    fn revision(&self) -> u64 {
        self.ledger.revision()
    }
}

/// The host as a resource.
fn host_of<W: Wire>(host: &Resource) -> Arc<[u8]> {
    W::resource(host.attributes()).into()
}

#[cfg(test)]
mod tests;
