//! A request before it is written: points by resource and metric, whatever the encoding.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::model::Family;

/// What a metric's points are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Data {
    /// Values by themselves.
    Gauge,
    /// Totals since a start.
    Sum {
        /// Whether they only grow.
        is_monotonic: bool,
    },
}

impl Data {
    /// Whether they count since a start.
    pub fn is_sum(self) -> bool {
        self != Data::Gauge
    }
}

/// OTLP's `AGGREGATION_TEMPORALITY_CUMULATIVE`.
pub const CUMULATIVE: u64 = 2;

/// OTLP's `DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK`.
pub const NO_RECORDED_VALUE: u64 = 1;

/// Who writes: the scope of all metrics.
pub const SCOPE: (&str, &str) = ("metricsd", env!("CARGO_PKG_VERSION"));

/// A series' number of one moment.
pub struct Point<'p> {
    /// As [`Wire::attributes`] wrote them.
    pub attributes: &'p [u8],
    /// Since when it counts, in milliseconds since the UNIX epoch; 0: not known.
    pub start_ms: i64,
    /// Milliseconds since the UNIX epoch.
    pub time_ms: i64,
    /// None: the series has ended.
    pub value: Option<f64>,
}

/// Milliseconds as the nanoseconds that OTLP has; what it cannot hold becomes what is next to it.
pub fn nanos(ms: i64) -> u64 {
    u64::try_from(ms).unwrap_or(0).saturating_mul(1_000_000)
}

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

    /// What a metric is called: name, description and unit.
    fn head(family: &Family<'_>) -> Vec<u8>;

    /// Writes a point's attributes.
    fn attributes<'l>(labels: impl Iterator<Item = (&'l str, &'l str)>, out: &mut Vec<u8>);

    /// Writes a point behind others.
    fn point(point: &Point<'_>, out: &mut Vec<u8>);

    /// The same for one that was written before.
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
    /// The points, one behind the other.
    pub points: Vec<u8>,
}

/// A resource with its metrics.
pub struct OfResource {
    /// As [`Wire::resource`] wrote it.
    pub resource: Arc<[u8]>,
    /// Those that have points.
    metrics: Vec<Metric>,
}

impl OfResource {
    /// Those of its metrics that have points.
    pub fn metrics(&self) -> impl Iterator<Item = &Metric> {
        self.metrics.iter().filter(|metric| !metric.points.is_empty())
    }
}

/// Points by resource and metric. Metrics without points are not written: they are there from the
/// body before, since the next one has mostly the same.
pub struct Request<W> {
    resources: Vec<OfResource>,
    by_resource: HashMap<Arc<[u8]>, usize>,
    by_metric: HashMap<(usize, Data, Arc<[u8]>), Place>,
    wire: PhantomData<W>,
}

/// The place of a metric in a request.
#[derive(Clone, Copy)]
pub struct Place {
    resource: usize,
    metric: usize,
}

impl<W> Default for Request<W> {
    fn default() -> Request<W> {
        Request { resources: Vec::new(), by_resource: HashMap::new(), by_metric: HashMap::new(), wire: PhantomData }
    }
}

impl<W: Wire> Request<W> {
    /// Takes all points out. Where most metrics had none, the metrics too.
    pub fn begin(&mut self) {
        let used: usize = self.resources().map(|of| of.metrics().count()).sum();
        if self.by_metric.len() > 2 * used {
            *self = Request::default();
        }
        self.resources.iter_mut().flat_map(|of| &mut of.metrics).for_each(|metric| metric.points.clear());
    }

    /// Resources that have points.
    pub fn resources(&self) -> impl Iterator<Item = &OfResource> {
        self.resources.iter().filter(|of| of.metrics().next().is_some())
    }

    /// The place of a metric.
    pub fn place(&mut self, resource: &Arc<[u8]>, head: &Arc<[u8]>, data: Data) -> Place {
        let at = self.by_resource.get(resource).copied().unwrap_or_else(|| {
            self.resources.push(OfResource { resource: Arc::clone(resource), metrics: Vec::new() });
            self.by_resource.insert(Arc::clone(resource), self.resources.len() - 1);
            self.resources.len() - 1
        });
        *self.by_metric.entry((at, data, Arc::clone(head))).or_insert_with(|| {
            let metrics = &mut self.resources[at].metrics;
            metrics.push(Metric { head: Arc::clone(head), data, points: Vec::new() });
            Place { resource: at, metric: metrics.len() - 1 }
        })
    }

    /// Adds a point to the metric at `place`.
    pub fn add(&mut self, place: Place, point: &Point<'_>) {
        W::point(point, self.points(place));
    }

    /// The same for one that was written before.
    pub fn add_written(&mut self, place: Place, point: &[u8]) {
        W::written(point, self.points(place));
    }

    fn points(&mut self, place: Place) -> &mut Vec<u8> {
        &mut self.resources[place.resource].metrics[place.metric].points
    }
}
