//! A request before it is written: points by resource and metric, whatever the encoding.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::point::{Data, Exemplar, Point};
use super::template::Template;
use crate::model::Family;

/// Who writes: the scope of all metrics.
pub const SCOPE: (&str, &str) = ("metricsd", env!("CARGO_PKG_VERSION"));

/// A point of a body, with what it is a point of.
pub struct Written<'b> {
    /// Its resource, as [`Wire::resource`] wrote it.
    pub resource: Arc<[u8]>,
    /// Its metric, as [`Wire::head`] wrote it.
    pub head: Arc<[u8]>,
    /// What the metric's points are.
    pub data: Data,
    /// The point, without what stands between points.
    pub written: &'b [u8],
}

/// An encoding.
pub trait Wire: Send + Sync + Sized + 'static {
    /// How a receiver is told of it.
    const CONTENT_TYPE: &'static str;

    /// A resource with these attributes, which are sorted.
    fn resource<'l>(attributes: impl Iterator<Item = (&'l str, &'l str)>) -> Vec<u8>;

    /// What a metric is called: name, description, unit, and what it was where OTLP has no such thing.
    fn head(family: &Family<'_>) -> Vec<u8>;

    /// Writes the attributes of a point of `data`.
    fn attributes<'l>(data: Data, labels: impl Iterator<Item = (&'l str, &'l str)>, out: &mut Vec<u8>);

    /// Writes an exemplar of a point of `data` behind others.
    fn exemplar(data: Data, exemplar: &Exemplar<'_>, out: &mut Vec<u8>);

    /// Writes a point behind others.
    fn point(point: &Point<'_>, out: &mut Vec<u8>);

    /// Where in `point`, as it was written, its time is, of eight bytes and so all that changes from tick
    /// to tick; none where an encoding has no fixed widths.
    fn time_in(point: &[u8]) -> Option<usize>;

    /// Writes a point that was written before behind others.
    fn written(point: &[u8], out: &mut Vec<u8>);

    /// Writes the whole request.
    fn write(request: &Request<Self>, out: &mut Vec<u8>);

    /// The points of a request of ours; none where it is damaged, or another's.
    fn points(plain: &[u8]) -> Option<Vec<Written<'_>>>;
}

/// A metric of a resource.
pub struct Metric {
    /// As [`Wire::head`] wrote it.
    pub head: Arc<[u8]>,
    /// What its points are.
    pub data: Data,
    /// Its points, in their order.
    segments: Vec<Segment>,
    /// Their bytes.
    pub len: usize,
}

/// Points of a metric, one behind the other.
enum Segment {
    /// In this range of those that were written one by one.
    Loose(Range<usize>),
    /// Those of a chunk, by the numbers of the chunk and of the metric there.
    Chunk(u32, u32),
}

/// The points of a chunk from its template.
struct OfChunk {
    template: Arc<Template>,
    time_ns: u64,
    /// Where its values and words are among all.
    values: Range<usize>,
    words: Range<usize>,
}

/// A resource with its metrics.
pub struct OfResource {
    /// As [`Wire::resource`] wrote it.
    pub resource: Arc<[u8]>,
    metrics: Vec<Metric>,
    /// Those that have points, in the order in which these came.
    used: Vec<usize>,
}

impl OfResource {
    /// Those of its metrics that have points.
    pub fn metrics(&self) -> impl Iterator<Item = &Metric> {
        self.used.iter().map(|at| &self.metrics[*at])
    }
}

/// Points by resource and metric. Metrics without points are not written: they are there from bodies
/// before, since the next one has mostly the same.
pub struct Request<W> {
    resources: Vec<OfResource>,
    by_resource: HashMap<Arc<[u8]>, usize>,
    by_metric: HashMap<(usize, Data, Arc<[u8]>), Place>,
    /// Those that have points, in the order in which these came.
    used: Vec<usize>,
    /// Metrics that have had points since somebody asked.
    ever_used: usize,
    /// Points that were written one by one.
    loose: Vec<u8>,
    chunks: Vec<OfChunk>,
    values: Vec<f64>,
    words: Vec<u64>,
    /// Another one: places of before are not those of now.
    generation: u64,
    wire: std::marker::PhantomData<W>,
}

/// The place of a metric in a request.
#[derive(Clone, Copy)]
pub struct Place {
    resource: usize,
    metric: usize,
}

/// Places of metrics, as long as they hold.
#[derive(Default)]
pub struct Places {
    generation: u64,
    all: Vec<Place>,
}

impl<W> Default for Request<W> {
    fn default() -> Request<W> {
        Request {
            resources: Vec::new(),
            by_resource: HashMap::new(),
            by_metric: HashMap::new(),
            used: Vec::new(),
            ever_used: 0,
            loose: Vec::new(),
            chunks: Vec::new(),
            values: Vec::new(),
            words: Vec::new(),
            generation: 1,
            wire: std::marker::PhantomData,
        }
    }
}

impl<W: Wire> Request<W> {
    /// Takes all points out.
    pub fn clear(&mut self) {
        for at in self.used.drain(..) {
            let of = &mut self.resources[at];
            for at in of.used.drain(..) {
                of.metrics[at].segments.clear();
                of.metrics[at].len = 0;
            }
        }
        self.loose.clear();
        self.chunks.clear();
        self.values.clear();
        self.words.clear();
    }

    /// Forgets all metrics, where most of them have had no points since the last time.
    pub fn tidy(&mut self) {
        let used = std::mem::take(&mut self.ever_used);
        if self.by_metric.len() > 2 * used {
            *self = Request { generation: self.generation + 1, ..Request::default() };
        }
    }

    /// Resources that have points.
    pub fn resources(&self) -> impl Iterator<Item = &OfResource> {
        self.used.iter().map(|at| &self.resources[*at])
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.used.is_empty()
    }

    /// The place of a metric.
    pub fn place(&mut self, resource: &Arc<[u8]>, head: &Arc<[u8]>, data: Data) -> Place {
        let at = self.by_resource.get(resource).copied().unwrap_or_else(|| {
            self.resources.push(OfResource { resource: Arc::clone(resource), metrics: Vec::new(), used: Vec::new() });
            self.by_resource.insert(Arc::clone(resource), self.resources.len() - 1);
            self.resources.len() - 1
        });
        *self.by_metric.entry((at, data, Arc::clone(head))).or_insert_with(|| {
            let metrics = &mut self.resources[at].metrics;
            metrics.push(Metric { head: Arc::clone(head), data, segments: Vec::new(), len: 0 });
            Place { resource: at, metric: metrics.len() - 1 }
        })
    }

    /// The places of metrics, in `places` as long as they hold: each by its resource, its head and its data.
    pub fn places<'m>(
        &mut self,
        metrics: impl Iterator<Item = (&'m Arc<[u8]>, &'m Arc<[u8]>, Data)>,
        places: &mut Places,
    ) {
        if places.generation != self.generation {
            places.all = metrics.map(|(resource, head, data)| self.place(resource, head, data)).collect();
            places.generation = self.generation;
        }
    }

    /// The host is another one.
    pub fn forget_places(&mut self) {
        self.generation += 1;
    }

    /// Adds a point to the metric at `place`.
    pub fn add(&mut self, place: Place, point: &Point<'_>) {
        self.add_loose(place, |out| W::point(point, out));
    }

    /// The same for one that was written before.
    pub fn add_written(&mut self, place: Place, point: &[u8]) {
        self.add_loose(place, |out| W::written(point, out));
    }

    /// Adds the points of `template`, whose metrics have these `places`: of that time, with these values.
    /// `words` appends the template's words, and says whether there are any; false where not, and nothing is added.
    pub fn add_chunk(
        &mut self,
        template: &Arc<Template>,
        places: &Places,
        time_ns: u64,
        values: &[f64],
        words: impl FnOnce(&mut Vec<u64>) -> bool,
    ) -> bool {
        let (begin, first) = (self.values.len(), self.words.len());
        if !words(&mut self.words) {
            self.words.truncate(first);
            return false;
        }
        self.values.extend_from_slice(values);
        let chunk = self.chunks.len() as u32;
        for (place, at) in places.all.iter().zip(0..) {
            let metric = self.touch(*place);
            metric.len += template.len(at as usize);
            metric.segments.push(Segment::Chunk(chunk, at));
        }
        let (values, words) = (begin..self.values.len(), first..self.words.len());
        self.chunks.push(OfChunk { template: Arc::clone(template), time_ns, values, words });
        true
    }

    fn add_loose(&mut self, place: Place, write: impl FnOnce(&mut Vec<u8>)) {
        let begin = self.loose.len();
        write(&mut self.loose);
        let end = self.loose.len();
        let metric = self.touch(place);
        metric.len += end - begin;
        match metric.segments.last_mut() {
            Some(Segment::Loose(last)) if last.end == begin => last.end = end,
            _ => metric.segments.push(Segment::Loose(begin..end)),
        }
    }

    /// The metric at `place`, which is given points.
    fn touch(&mut self, place: Place) -> &mut Metric {
        let of = &mut self.resources[place.resource];
        if of.metrics[place.metric].len == 0 {
            if of.used.is_empty() {
                self.used.push(place.resource);
            }
            of.used.push(place.metric);
            self.ever_used += 1;
        }
        &mut of.metrics[place.metric]
    }

    /// Writes the points of `metric`.
    pub fn write_points(&self, metric: &Metric, out: &mut Vec<u8>) {
        for segment in &metric.segments {
            match segment {
                Segment::Loose(range) => out.extend_from_slice(&self.loose[range.clone()]),
                Segment::Chunk(chunk, at) => {
                    let OfChunk { template, time_ns, values, words } = &self.chunks[*chunk as usize];
                    let (values, words) = (&self.values[values.clone()], &self.words[words.clone()]);
                    template.fill(*at as usize, *time_ns, values, words, out);
                }
            }
        }
    }
}

impl Places {
    /// That of the metric of that number.
    pub fn get(&self, at: u32) -> Place {
        self.all[at as usize]
    }
}
