//! The body that is being made: chunk after chunk, from templates where these hold, and else point by point.

use std::sync::Arc;

use super::compiled::{Compiled, Made, Start, Stream};
use super::divide::divide;
use super::ended::{Ending, Targets};
use super::exemplars;
use super::point::{Point, Value, nanos};
use super::request::{Places, Request, Wire};
use super::whole::{Form, count_of};
use crate::formats::body::Content;
use crate::formats::delta::Delta;
use crate::formats::encoder::Bodies;
use crate::formats::gzip::{gzip, is_gzip};
use crate::model::Chunk;
use crate::shaping::{Perspective, View};

/// What is known of a chunk.
pub struct Known<W> {
    /// What is seen of it.
    pub view: Arc<View>,
    /// How that is written.
    pub compiled: Arc<Compiled<W>>,
    /// Of its metrics.
    places: Places,
}

/// The body that is being made.
pub struct Body<W> {
    /// Its points.
    pub request: Request<W>,
    /// How many.
    pub points: u64,
    /// How many points came from templates; none: all are written one by one, for tests.
    pub templated: Option<u64>,
    /// What could not be written since somebody asked.
    pub unencodable: u64,
    plain: Vec<u8>,
    /// For the values of a view that are not all of its chunk's.
    pub room: Vec<f64>,
    counts: Vec<u64>,
    quantiles: Vec<(f64, f64)>,
    exemplars: Vec<u8>,
    increases: Vec<f64>,
}

/// A chunk's numbers of one moment.
pub struct Numbers<'b> {
    /// What is seen of it.
    pub view: &'b View,
    /// The frame's time, in milliseconds since the UNIX epoch.
    pub time_ms: i64,
    /// For each series of the view.
    pub values: &'b [f64],
    /// For each of the chunk, where samples have times of their own.
    pub times: Option<&'b [i64]>,
    /// What samples refer to.
    pub exemplars: exemplars::OfChunk<'b>,
    /// For each series of the view, where what grows is sent as what came since the point before; else empty.
    pub deltas: &'b [Delta],
}

impl<W: Wire> Known<W> {
    /// Of `chunk` as it is seen `from` there. What it says of targets is noted.
    pub fn new(chunk: &Chunk, from: &Perspective, made: Made, targets: &mut Targets) -> Known<W> {
        let view = from.view(chunk);
        let compiled = view.kept(|| Compiled::new(&view, chunk, &from.labels, made));
        let mut known = Known { view, compiled, places: Places::default() };
        known.fit(chunk, from, made);
        targets.note(&known.compiled);
        known
    }

    /// Makes it anew where it was made for something else.
    pub fn fit(&mut self, chunk: &Chunk, from: &Perspective, made: Made) {
        if self.compiled.made() != made {
            self.compiled = Arc::new(Compiled::new(&self.view, chunk, &from.labels, made));
            self.places = Places::default();
        }
    }
}

impl<W> Default for Body<W> {
    fn default() -> Body<W> {
        Body {
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
        }
    }
}

impl<W: Wire> Body<W> {
    /// Adds the points of a chunk. Gives how many.
    pub fn add(&mut self, known: &mut Known<W>, host: &Arc<[u8]>, numbers: &Numbers<'_>) -> u64 {
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
        let is_added = self.request.add_chunk(template, places, time_ns, values, |words| {
            template.order().iter().all(|at| words_of(&of.streams[*at as usize], values, time_ns, words))
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
                let Some(count) = one.counts(values, &mut self.counts) else { return Added::Broken };
                // What came of the sum may not be known where the rest is.
                let sum = one.sum.map(number).filter(|sum| since.is_none() || !sum.is_nan());
                Value::Histogram { count, sum, counts: &self.counts, bounds: &one.bounds }
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
    pub fn end(&mut self, ending: &Ending) {
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
    pub fn close(&mut self, content: &Content, most: u64, out: &mut Bodies) {
        if !self.request.is_empty() {
            let mut body = out.room();
            if is_gzip(content) {
                self.plain.clear();
                W::write(&self.request, &mut self.plain);
                gzip(&self.plain, &mut body);
            } else {
                W::write(&self.request, &mut body);
            }
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
/// that is not known of it.
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
            // A bucket whose bound is new, of which nothing is known of the same time, is sent as if nothing had come
            // of its own: that is in the next one above.
            let mut below = 0.0;
            for at in &one.buckets {
                let of_bucket = of(*at).filter(|(since_ms, _)| *since_ms == start_ms);
                below = of_bucket.map_or(below, |(_, increase)| increase);
                put(*at, if is_new { values[*at as usize] } else { below });
            }
            put(one.count, increase);
            if let Some(at) = &one.sum {
                // One that was no number at either end is not known, and costs no observation.
                let of_sum = of(*at).filter(|(since_ms, _)| *since_ms == start_ms).map(|(_, increase)| increase);
                put(*at, if is_new { values[*at as usize] } else { of_sum.unwrap_or(f64::NAN) });
            }
            Some(start_ms)
        }
        Form::Summary(_) => None,
    }
}

/// Appends what changes of a stream's point besides its time and a number that it is itself; false where
/// that makes another point of it.
fn words_of(stream: &Stream, values: &[f64], time_ns: u64, words: &mut Vec<u64>) -> bool {
    let number = |at: u32| values[at as usize];
    if let Start::Said(at) = stream.start {
        let Some(start_ns) = nanos_of(number(at)).filter(|start_ns| *start_ns <= time_ns) else { return false };
        words.push(start_ns);
    }
    match &stream.form {
        Form::Number(_) => {}
        Form::Histogram(one) => {
            // How many in all is known behind the buckets.
            let in_all = words.len();
            words.push(0);
            words.extend(one.sum.map(|at| number(at).to_bits()));
            let Some(count) = one.counts(values, words) else { return false };
            words[in_all] = count;
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
