//! What is constant of a view: its metrics, its streams, and their attributes.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use super::point::{Data, Point, Value, nanos};
use super::request::Wire;
use super::template::{Maker as TemplateMaker, Template};
use super::whole::{Form, Part, is_part, wholes};
use super::words::unit_of;
use crate::model::{Chunk, Family, Kind, Labels, Since};
use crate::order;
use crate::shaping::{View, ViewSeries};

/// A view, as it is written.
pub struct Compiled<W> {
    /// Each once.
    pub metrics: Vec<Metric>,
    /// In the order of the view's series.
    pub streams: Vec<Stream>,
    /// Of all streams, each set once.
    attributes: Vec<u8>,
    /// The resources of targets of which there is more to say than their labels do.
    pub targets: Vec<(String, String, Arc<[u8]>)>,
    /// None: the encoding has none.
    pub template: Option<Arc<Template>>,
    made: Made,
    wire: PhantomData<W>,
}

/// What it depends on besides the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// When the host was started.
    pub boot_ms: Option<i64>,
    /// Whether what grows is sent as what came since the point before.
    pub is_delta: bool,
}

/// A metric of a resource.
pub struct Metric {
    /// None: the host, whose attributes are not the view's.
    pub resource: Option<Arc<[u8]>>,
    /// As [`Wire::head`] wrote it.
    pub head: Arc<[u8]>,
    /// What its points are.
    pub data: Data,
}

/// What points are of from tick to tick.
pub struct Stream {
    /// The number of its metric among the view's.
    pub metric: u32,
    /// For [`Compiled::attributes`].
    pub attributes: Range<u32>,
    /// The series whose time is its own, by its number in the view.
    pub at: u32,
    /// Its numbers.
    pub form: Form,
    /// Since when it counts.
    pub start: Start,
}

/// Since when a stream counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Nobody knows, or it does not count.
    Unknown,
    /// Since then, in milliseconds since the UNIX epoch.
    Ms(i64),
    /// What the series of that number in the view says, in seconds.
    Said(u32),
    /// Since the point before.
    Before,
}

impl<W: Wire> Compiled<W> {
    /// Of `view`, for a destination that gives `own` labels to all series.
    pub fn new(view: &View, chunk: &Chunk, own: &Labels, made: Made) -> Compiled<W> {
        let compiled = Compiled {
            metrics: Vec::new(),
            streams: Vec::with_capacity(view.len()),
            attributes: Vec::new(),
            targets: Vec::new(),
            template: None,
            made,
            wire: PhantomData,
        };
        let mut maker = Maker {
            compiled,
            chunk,
            own,
            metrics: HashMap::new(),
            sets: HashMap::new(),
            resources: HashMap::new(),
            set: Vec::new(),
        };
        let mut begin = 0;
        while begin < view.len() {
            let item = view.get(begin).item;
            let end = (begin..view.len()).find(|at| view.get(*at).item != item).unwrap_or(view.len());
            maker.add_item(view, begin..end);
            begin = end;
        }
        let Maker { mut compiled, resources, .. } = maker;
        if !chunk.attributes().is_empty() {
            let all = resources.into_iter();
            compiled.targets =
                all.map(|(of, resource)| (of.job.to_owned(), of.instance.to_owned(), resource)).collect();
        }
        compiled.template = compiled.to_template().map(Arc::new);
        compiled
    }

    fn to_template(&self) -> Option<Template> {
        if self.made.is_delta {
            return None;
        }
        let mut maker = TemplateMaker::new(self.metrics.len());
        let (mut counts, mut quantiles) = (Vec::new(), Vec::new());
        for (stream, at) in self.streams.iter().zip(0..) {
            let value = match &stream.form {
                Form::Number(_) => Value::Number(0.0),
                Form::Histogram(one) => {
                    counts.clear();
                    counts.resize(one.buckets.len() + 1, 0);
                    Value::Histogram { count: 0, sum: one.sum.map(|_| 0.0), counts: &counts, bounds: &one.bounds }
                }
                Form::Summary(one) => {
                    quantiles.clear();
                    quantiles.extend(one.quantiles.iter().map(|(quantile, _)| (*quantile, 0.0)));
                    Value::Summary { count: 0, sum: 0.0, quantiles: &quantiles }
                }
            };
            let (start_ns, is_said) = match stream.start {
                Start::Unknown | Start::Before => (None, false),
                Start::Ms(since_ms) => (Some(nanos(since_ms)), false),
                Start::Said(_) => (Some(0), true),
            };
            let point =
                Point { attributes: self.attributes(&stream.attributes), start_ns, time_ns: 0, value, exemplars: &[] };
            maker.add((stream.metric, at), &stream.form, start_ns, is_said, |out| {
                let begin = out.len();
                W::point(&point, out);
                Some(begin + W::time_in(&out[begin..])?)
            })?;
        }
        maker.finish()
    }

    /// What it depends on besides the view.
    pub fn made(&self) -> Made {
        self.made
    }

    /// The attributes in that range.
    pub fn attributes(&self, range: &Range<u32>) -> &[u8] {
        &self.attributes[range.start as usize..range.end as usize]
    }
}

/// What is known while a view is compiled.
struct Maker<'v, W> {
    compiled: Compiled<W>,
    chunk: &'v Chunk,
    own: &'v Labels,
    metrics: HashMap<MetricKey<'v>, u32>,
    sets: HashMap<Vec<u8>, Range<u32>>,
    resources: HashMap<Target<'v>, Arc<[u8]>>,
    set: Vec<u8>,
}

/// Name, unit, kind and data of a metric, and what it is of.
type MetricKey<'v> = (&'v str, &'v str, Kind, Data, Option<Target<'v>>);

impl<'v, W: Wire> Maker<'v, W> {
    /// The series of an item.
    fn add_item(&mut self, view: &'v View, range: Range<usize>) {
        let mut all = range.clone().map(|at| view.get(at));
        if !all.any(|one| !one.is_built_in() && is_part(one.family().kind, one.family().name)) {
            for at in range {
                let one = view.get(at);
                self.add(&one, one.family().name, one.labels.iter(), at as u32, Form::Number(at as u32), None);
            }
            return;
        }
        let part = |at: usize| {
            let one = view.get(at);
            let Family { kind, name, .. } = one.family();
            Part { at: at as u32, kind, name, labels: one.labels.iter().collect(), is_scaled: one.factor() != 1.0 }
        };
        for whole in wholes(range.map(part).collect()) {
            let one = view.get(whole.at as usize);
            self.add(&one, whole.name, whole.labels.iter().copied(), whole.at, whole.form, whole.created);
        }
    }

    /// A stream of that name with these labels, which is known by the series `one`.
    fn add(
        &mut self,
        one: &ViewSeries<'v>,
        name: &'v str,
        labels: impl Iterator<Item = (&'v str, &'v str)> + Clone,
        at: u32,
        form: Form,
        created: Option<u32>,
    ) {
        let family = Family { name, ..one.family() };
        let data = data_of(&family, &form, self.compiled.made.is_delta);
        let (target, labels) = resource_of(labels, self.own);
        let Maker { compiled, chunk, metrics, resources, sets, set, .. } = self;
        let metric = *metrics.entry((name, family.unit, family.kind, data, target)).or_insert_with(|| {
            let resource = target.map(|target| {
                let written = || target.written::<W>(chunk.attributes());
                Arc::clone(resources.entry(target).or_insert_with(written))
            });
            compiled.metrics.push(Metric { resource, head: head_of::<W>(&family), data });
            compiled.metrics.len() as u32 - 1
        });
        set.clear();
        W::attributes(data, labels, set);
        let attributes = sets.get(&*set).cloned().unwrap_or_else(|| {
            let begin = compiled.attributes.len() as u32;
            compiled.attributes.extend_from_slice(set);
            let range = begin..compiled.attributes.len() as u32;
            sets.insert(set.clone(), range.clone());
            range
        });
        let start = match created {
            _ if data.is_delta() => Start::Before,
            Some(created) => Start::Said(created),
            None if data.has_start() => start_of(one, self.chunk, compiled.made.boot_ms),
            None => Start::Unknown,
        };
        compiled.streams.push(Stream { metric, attributes, at, form, start });
    }
}

/// A metric's head, with OpenTelemetry's word for its unit.
pub fn head_of<W: Wire>(family: &Family<'_>) -> Arc<[u8]> {
    W::head(&Family { unit: &unit_of(family.unit), ..*family }).into()
}

/// What a series is of, where it is not the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target<'l> {
    /// Its label `job`.
    pub job: &'l str,
    /// Its label `instance`; empty: it has none, as of an application that pushes and is alone of its name.
    pub instance: &'l str,
}

impl Target<'_> {
    /// As a resource, by the names that OpenTelemetry gives to what Prometheus scrapes
    /// (<https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/#resource-attributes-1>),
    /// and with what else there is to say of it.
    pub fn written<W: Wire>(&self, more: &[(Box<str>, Box<str>)]) -> Arc<[u8]> {
        let place = self.instance.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
        let place = place.map(|(host, port)| [("server.address", host), ("server.port", port)]);
        let instance = Some(("service.instance.id", self.instance)).filter(|(_, instance)| !instance.is_empty());
        let service = instance.into_iter().chain([("service.name", self.job)]);
        let more = more.iter().map(|(name, value)| (&**name, &**value));
        let mut all: Vec<_> = place.into_iter().flatten().chain(service).chain(more).collect();
        // What its labels say goes first.
        order::sort_by_key(&mut all, |(name, _)| *name);
        all.dedup_by_key(|(name, _)| *name);
        W::resource(all.into_iter()).into()
    }
}

/// What a series with these labels is of, none for the host, and the labels that are its attributes.
/// Where `job` and `instance` are what the destination gives to all that has none, they name nothing, and neither does
/// an `instance` alone.
pub fn resource_of<'l>(
    labels: impl Iterator<Item = (&'l str, &'l str)> + Clone,
    own: &Labels,
) -> (Option<Target<'l>>, impl Iterator<Item = (&'l str, &'l str)>) {
    let of = |wanted: &str| labels.clone().find(|(name, _)| *name == wanted).map(|(_, value)| value);
    let target = of("job").map(|job| Target { job, instance: of("instance").unwrap_or_default() });
    let is_own = |target: &Target<'_>| {
        own.get("job") == Some(target.job) && own.get("instance").unwrap_or_default() == target.instance
    };
    let target = target.filter(|target| !is_own(target));
    (target, labels.filter(move |(name, _)| target.is_none() || !["job", "instance"].contains(name)))
}

/// What the points of a stream of such numbers are. A series of a histogram or a summary by itself is what it
/// is on a page: a count that grows, or a quantile, which does not. What grows is sent as what came since the
/// point before where it `is_delta`.
pub fn data_of(family: &Family<'_>, form: &Form, is_delta: bool) -> Data {
    match form {
        Form::Histogram(_) => return Data::Histogram { is_delta },
        Form::Summary(_) => return Data::Summary,
        Form::Number(_) => {}
    }
    let is_part = || ["_bucket", "_sum", "_count"].iter().any(|suffix| family.name.ends_with(suffix));
    let sum = |is_monotonic| Data::Sum { is_monotonic, is_delta: is_delta && is_monotonic };
    match family.kind {
        Kind::Counter => sum(true),
        Kind::Histogram | Kind::Summary if is_part() => sum(true),
        // An info's 1 and a state's are counts, to be added up over labels.
        Kind::UpDown | Kind::Info | Kind::StateSet => sum(false),
        Kind::Gauge | Kind::Untyped | Kind::Histogram | Kind::Summary => Data::Gauge,
    }
}

/// Since when a series counts.
fn start_of(series: &ViewSeries<'_>, chunk: &Chunk, boot_ms: Option<i64>) -> Start {
    let since = match chunk.items().get(series.item as usize).since {
        Since::Ms(since_ms) => Some(since_ms.get()),
        // The kernel counts from its own start on; whoever else counts, we don't know.
        Since::Start => boot_ms.filter(|_| series.is_built_in()),
    };
    since.filter(|since| *since > 0).map_or(Start::Unknown, Start::Ms)
}
