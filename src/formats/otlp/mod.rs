//! `otlp_http`: OpenTelemetry's protocol over HTTP, metrics and logs, in protobuf or JSON.
//!
//! <https://opentelemetry.io/docs/specs/otlp/>, and for what is said with it
//! <https://opentelemetry.io/docs/specs/otel/metrics/data-model/>.
//!
//! A series is a metric's stream of points, and so are the series of a histogram or a summary together
//! ([`whole`]). What carries `job` and `instance`, as what was on a scraped page does, is of the resource
//! that these two name; all else is the host's.

mod answer;
mod compiled;
mod ended;
mod exemplars;
mod json;
mod logs;
mod point;
mod proto;
mod request;
mod template;
mod whole;
mod words;

use std::sync::Arc;

use self::compiled::{Compiled, Made, Start, Stream};
use self::ended::{Ending, Endings, Targets};
use self::point::{Point, Value, nanos};
use self::request::{Places, Request, Wire};
use self::whole::{Form, count_of};
use super::body::{Content, Piece, content, cuts};
use super::compiled as compiled_chunks;
use super::delta::{Delta, Deltas};
use super::encoder::{Bodies, Encoded, Encoder, RecordEncoder};
use super::format::{Format, Limits, OfRecords, Over, OwnField, Signal, as_given};
use super::gzip::{GZIP, gunzip, gzip, is_gzip};
use super::ledger::Ledger;
use super::options::{Compression, Options};
use super::part::Part;
use super::sent::{Names, Sent};
use crate::fields::{DefaultValue, Field, Takes};
use crate::model::{Batch, Chunk, Labels, Resource, Scheme};
use crate::shaping::{Perspective, View};

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

/// What is known of a chunk.
struct Known<W> {
    view: Arc<View>,
    compiled: Arc<Compiled<W>>,
    /// Of its metrics.
    places: Places,
}

/// The body that is being made.
struct Body<W> {
    request: Request<W>,
    points: u64,
    /// How many points came from templates; none: all are written one by one, for tests.
    templated: Option<u64>,
    /// What could not be written since somebody asked.
    unencodable: u64,
    plain: Vec<u8>,
    room: Vec<f64>,
    counts: Vec<u64>,
    quantiles: Vec<(f64, f64)>,
    exemplars: Vec<u8>,
    increases: Vec<f64>,
}

/// A chunk's numbers of one moment.
struct Numbers<'b> {
    view: &'b View,
    time_ms: i64,
    /// For each series of the view.
    values: &'b [f64],
    /// For each of the chunk, where samples have times of their own.
    times: Option<&'b [i64]>,
    exemplars: exemplars::OfChunk<'b>,
    /// For each series of the view, where what grows is sent as what came since the point before; else empty.
    deltas: &'b [Delta],
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
            body: Body {
                request: Request::default(),
                points: 0,
                templated: Some(0),
                unencodable: 0,
                plain: Vec::new(),
                room: Vec::new(),
                counts: Vec::new(),
                quantiles: Vec::new(),
                exemplars: Vec::new(),
                increases: Vec::new(),
            },
            host,
            from,
        }
    }
}

impl<W: Wire> Known<W> {
    fn new(chunk: &Chunk, from: &Perspective, made: Made, targets: &mut Targets) -> Known<W> {
        let view = from.view(chunk);
        let compiled = view.kept(|| Compiled::new(&view, chunk, &from.labels, made));
        let mut known = Known { view, compiled, places: Places::default() };
        known.fit(chunk, from, made);
        targets.note(&known.compiled);
        known
    }

    /// Makes it anew where it was made for something else.
    fn fit(&mut self, chunk: &Chunk, from: &Perspective, made: Made) {
        if self.compiled.made() != made {
            self.compiled = Arc::new(Compiled::new(&self.view, chunk, &from.labels, made));
            self.places = Places::default();
        }
    }
}

impl<W: Wire> Body<W> {
    /// Adds the points of a chunk. Gives how many.
    fn add(&mut self, known: &mut Known<W>, host: &Arc<[u8]>, numbers: &Numbers<'_>) -> u64 {
        let Known { compiled, places, .. } = known;
        let metrics = compiled.metrics.iter();
        let of = metrics.map(|one| (one.resource.as_ref().unwrap_or(host), &one.head, one.data));
        self.request.places(of, places);
        if let Some(points) = self.add_template(compiled, places, numbers) {
            self.points += points;
            return points;
        }
        let mut points = 0;
        for stream in &compiled.streams {
            match self.add_stream(compiled, stream, places, numbers) {
                Added::Yes => points += 1,
                Added::Nothing => {}
                Added::Broken => self.unencodable += 1,
            }
        }
        self.points += points;
        points
    }

    /// Adds the points of a chunk from its template, and gives how many; none where it has none, or some
    /// point is another one than there.
    fn add_template(&mut self, of: &Compiled<W>, places: &Places, numbers: &Numbers<'_>) -> Option<u64> {
        let Numbers { time_ms, values, times, exemplars, .. } = numbers;
        let is_plain = times.is_some() || !exemplars.all.is_empty();
        let time_ns = nanos(*time_ms);
        let template =
            of.template.as_ref().filter(|template| !is_plain && template.holds(time_ns) && self.templated.is_some())?;
        let counts = &mut self.counts;
        let is_added = self.request.add_chunk(template, places, time_ns, values, |words| {
            template.order().iter().all(|at| words_of(&of.streams[*at as usize], values, time_ns, counts, words))
        });
        let points = is_added.then(|| template.points())?;
        self.templated = self.templated.map(|before| before + points);
        Some(points)
    }

    /// Adds a stream's point.
    fn add_stream(&mut self, of: &Compiled<W>, stream: &Stream, places: &Places, numbers: &Numbers<'_>) -> Added {
        let Numbers { view, time_ms, values, times, exemplars, deltas } = numbers;
        let time_ms = match times {
            Some(_) => view.get(stream.at as usize).time_ms(*time_ms, *times),
            None => *time_ms,
        };
        let data = of.metrics[stream.metric as usize].data;
        let since = match data.is_delta() {
            true => match increase_of(&stream.form, values, deltas, &mut self.increases) {
                Some(since_ms) => Some(since_ms),
                None => return Added::Nothing,
            },
            false => None,
        };
        let values = if since.is_some() { &self.increases } else { *values };
        let number = |at: u32| values[at as usize];
        let start_ns = match stream.start {
            Start::Unknown => None,
            Start::Ms(since_ms) => Some(nanos(since_ms)),
            Start::Said(at) => nanos_of(number(at)),
            Start::Before => since.map(nanos),
        };
        let value = match &stream.form {
            Form::Number(at) => Value::Number(number(*at)),
            Form::Histogram(one) => {
                self.counts.clear();
                if !one.counts(values, &mut self.counts) {
                    return Added::Broken;
                }
                let count = self.counts.iter().sum();
                Value::Histogram { count, sum: one.sum.map(number), counts: &self.counts, bounds: &one.bounds }
            }
            Form::Summary(one) => {
                let Some(count) = count_of(number(one.count)) else { return Added::Broken };
                self.quantiles.clear();
                self.quantiles.extend(one.quantiles.iter().map(|(quantile, at)| (*quantile, number(*at))));
                Value::Summary { count, sum: one.sum.map_or(0.0, number), quantiles: &self.quantiles }
            }
        };
        let time_ns = nanos(time_ms);
        self.exemplars.clear();
        if !exemplars.all.is_empty() {
            exemplars.write::<W>(view, &stream.form, data, time_ms, &mut self.exemplars);
        }
        let point = Point {
            attributes: of.attributes(&stream.attributes),
            // A clock that went back has everything begin in times to come.
            start_ns: start_ns.filter(|start_ns| *start_ns <= time_ns),
            time_ns,
            value,
            exemplars: &self.exemplars,
        };
        self.request.add(places.get(stream.metric), &point);
        Added::Yes
    }

    /// Adds the last point of a stream, which says that there will be none.
    fn end(&mut self, ending: &Ending) {
        let place = self.request.place(&ending.resource, &ending.head, ending.data);
        let value = Value::Ended(ending.data);
        let point = Point {
            attributes: &ending.attributes,
            start_ns: None,
            time_ns: nanos(ending.time_ms),
            value,
            exemplars: &[],
        };
        self.request.add(place, &point);
        self.points += 1;
    }

    /// The body is done.
    fn close(&mut self, content: &Content, most: u64, out: &mut Bodies) {
        if !self.request.is_empty() {
            self.plain.clear();
            W::write(&self.request, &mut self.plain);
            let mut body = out.room();
            pack(content, &self.plain, &mut body);
            // A chunk alone was too large.
            let pieces = if self.points > most { divide(content, &body, most) } else { None };
            match pieces {
                Some(pieces) => pieces.into_iter().for_each(|piece| out.push(piece.bytes, piece.samples)),
                None => out.push(body, self.points),
            }
        }
        self.request.clear();
        self.points = 0;
    }
}

/// What became of a stream's numbers.
enum Added {
    /// They are a point.
    Yes,
    /// They give none: they are the first ones of what is sent as what came since the point before.
    Nothing,
    /// They cannot be one.
    Broken,
}

/// What came of a stream since the point before, in the places of its `values`, and since when that is; none:
/// that is not known of all its parts.
fn increase_of(form: &Form, values: &[f64], deltas: &[Delta], increases: &mut Vec<f64>) -> Option<i64> {
    increases.resize(values.len(), f64::NAN);
    let of = |at: u32| match deltas.get(at as usize)? {
        Delta::Since { start_ms, increase } => Some((*start_ms, *increase)),
        Delta::AsItIs | Delta::Unknown => None,
    };
    let mut put = |at: u32, value: f64| increases[at as usize] = value;
    match form {
        Form::Number(at) => {
            let (start_ms, increase) = of(*at)?;
            put(*at, increase);
            Some(start_ms)
        }
        Form::Histogram(one) => {
            let (start_ms, increase) = of(one.count)?;
            // All observations came since then: it was set back, its buckets with it, whatever they hold now.
            let is_new = increase == values[one.count as usize];
            for at in one.buckets.iter().chain([&one.count]).chain(&one.sum) {
                let (_, increase) = of(*at)?;
                put(*at, if is_new { values[*at as usize] } else { increase });
            }
            Some(start_ms)
        }
        Form::Summary(_) => None,
    }
}

/// Appends what changes of a stream's point besides its time and a number that it is itself; false where
/// that makes another point of it.
fn words_of(stream: &Stream, values: &[f64], time_ns: u64, counts: &mut Vec<u64>, words: &mut Vec<u64>) -> bool {
    let number = |at: u32| values[at as usize];
    if let Start::Said(at) = stream.start {
        let Some(start_ns) = nanos_of(number(at)).filter(|start_ns| *start_ns <= time_ns) else { return false };
        words.push(start_ns);
    }
    match &stream.form {
        Form::Number(_) => {}
        Form::Histogram(one) => {
            counts.clear();
            if !one.counts(values, counts) {
                return false;
            }
            words.push(counts.iter().sum());
            words.extend(one.sum.map(|at| number(at).to_bits()));
            words.extend_from_slice(counts);
        }
        Form::Summary(one) => {
            let Some(count) = count_of(number(one.count)) else { return false };
            words.extend([count, one.sum.map_or(0.0, number).to_bits()]);
            words.extend(one.quantiles.iter().map(|(_, at)| number(*at).to_bits()));
        }
    }
    true
}

/// Seconds as nanoseconds, to the microsecond, as precise as they are; none where they are before 1970, or
/// nothing.
fn nanos_of(seconds: f64) -> Option<u64> {
    // 2^53: beyond, and that is the year 2255, a double has no microseconds.
    const LAST: f64 = 9_007_199_254_740_992.0;
    let micros = (seconds * 1e6).round();
    (1.0..LAST).contains(&micros).then(|| micros as u64 * 1000)
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
