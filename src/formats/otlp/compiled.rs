//! What is constant of a view: its metrics, and the attributes of its series.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use super::request::{Data, Wire};
use crate::model::{Chunk, Family, Kind, Labels, Since};
use crate::shaping::{View, ViewSeries};

/// A view, as it is written.
pub struct Compiled<W> {
    /// Each once.
    pub metrics: Vec<Metric>,
    /// In the view's order.
    pub series: Vec<Series>,
    /// Of all series, each set once.
    attributes: Vec<u8>,
    wire: PhantomData<W>,
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

/// A series: the number of its metric, and where its attributes are.
pub struct Series {
    /// Among the view's.
    pub metric: u32,
    /// For [`Compiled::attributes`].
    pub attributes: Range<u32>,
}

impl<W: Wire> Compiled<W> {
    /// Of `view`, for a destination that gives `own` labels to all series.
    pub fn new(view: &View, own: &Labels) -> Compiled<W> {
        let mut made = Compiled {
            metrics: Vec::new(),
            series: Vec::with_capacity(view.len()),
            attributes: Vec::new(),
            wire: PhantomData,
        };
        let mut metrics = HashMap::new();
        let mut sets: HashMap<Vec<u8>, Range<u32>> = HashMap::new();
        let mut resources: HashMap<Target<'_>, Arc<[u8]>> = HashMap::new();
        for one in view.series() {
            let family = one.family();
            let (target, labels) = resource_of(one.labels.iter(), own);
            let metric = *metrics.entry((family.name, family.unit, data_of(&family), target)).or_insert_with(|| {
                let resource =
                    target.map(|target| Arc::clone(resources.entry(target).or_insert_with(|| target.written::<W>())));
                made.metrics.push(Metric { resource, head: W::head(&family).into(), data: data_of(&family) });
                made.metrics.len() as u32 - 1
            });
            let mut set = Vec::new();
            W::attributes(labels, &mut set);
            let attributes = sets.get(&set).cloned().unwrap_or_else(|| {
                let begin = made.attributes.len() as u32;
                made.attributes.extend_from_slice(&set);
                let range = begin..made.attributes.len() as u32;
                sets.insert(set, range.clone());
                range
            });
            made.series.push(Series { metric, attributes });
        }
        made
    }

    /// The attributes in that range.
    pub fn attributes(&self, range: &Range<u32>) -> &[u8] {
        &self.attributes[range.start as usize..range.end as usize]
    }
}

/// What a series is of, where it is not the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target<'l> {
    job: &'l str,
    instance: &'l str,
}

impl Target<'_> {
    /// As a resource, by the names that OpenTelemetry gives to what Prometheus scrapes
    /// (<https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/#resource-attributes-1>).
    pub fn written<W: Wire>(&self) -> Arc<[u8]> {
        let place = self.instance.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
        let place = place.map(|(host, port)| [("server.address", host), ("server.port", port)]);
        let service = [("service.instance.id", self.instance), ("service.name", self.job)];
        W::resource(place.into_iter().flatten().chain(service)).into()
    }
}

/// What a series with these labels is of, none for the host, and the labels that are its attributes.
/// Where `job` and `instance` are what the destination gives to all that has none, they name nothing.
pub fn resource_of<'l>(
    labels: impl Iterator<Item = (&'l str, &'l str)> + Clone,
    own: &Labels,
) -> (Option<Target<'l>>, impl Iterator<Item = (&'l str, &'l str)>) {
    let of = |wanted: &str| labels.clone().find(|(name, _)| *name == wanted).map(|(_, value)| value);
    let target = of("job").zip(of("instance")).map(|(job, instance)| Target { job, instance });
    let is_own =
        |target: &Target<'_>| own.get("job") == Some(target.job) && own.get("instance") == Some(target.instance);
    let target = target.filter(|target| !is_own(target));
    (target, labels.filter(move |(name, _)| target.is_none() || !["job", "instance"].contains(name)))
}

/// What the points of a family are. The parts of a histogram and a summary are what they are on a page:
/// counts that grow, and quantiles that do not.
pub fn data_of(family: &Family<'_>) -> Data {
    let is_part = || ["_bucket", "_sum", "_count"].iter().any(|suffix| family.name.ends_with(suffix));
    match family.kind {
        Kind::Counter => Data::Sum { is_monotonic: true },
        Kind::Histogram | Kind::Summary if is_part() => Data::Sum { is_monotonic: true },
        Kind::UpDown => Data::Sum { is_monotonic: false },
        Kind::Gauge | Kind::Untyped | Kind::Histogram | Kind::Summary | Kind::Info | Kind::StateSet => Data::Gauge,
    }
}

/// Since when a sum counts, in milliseconds, where that was not after `time_ms`; 0 where it is not known.
pub fn start_ms(series: &ViewSeries<'_>, chunk: &Chunk, time_ms: i64, boot_ms: Option<i64>) -> i64 {
    let since = match chunk.items()[series.item as usize].since {
        Since::Ms(since_ms) => Some(since_ms.get()),
        // The kernel counts from its own start on; whoever else counts, we don't know.
        Since::Start => boot_ms.filter(|_| series.is_built_in()),
    };
    since.filter(|since| (1..=time_ms).contains(since)).unwrap_or(0)
}
