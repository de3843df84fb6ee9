//! OTLP metrics in JSON.

use super::exemplar::{MAX_EXEMPLARS, Seen};
use super::{Budget, Data, Metric, Point, Sent, SentBuckets, Taker, Temporality};
use crate::ingest::budget::Refused;
use crate::ingest::json::{self, Double, Few, Number, Pair, Unsigned};
use crate::model::{Attribute, Kind};

pub fn read(body: &[u8], budget: &mut Budget, taker: &mut Taker) -> Result<(), Refused> {
    let request: Request = json::read(body, budget)?;
    for of in request.resource_metrics.0 {
        let attributes: Vec<Attribute> =
            of.resource.unwrap_or_default().attributes.0.into_iter().map(Pair::into).collect();
        taker.resource(&attributes);
        for metric in of.scope_metrics.0.into_iter().flat_map(|scope| scope.metrics.0) {
            metric.read(taker);
        }
    }
    Ok(())
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    #[serde(default)]
    resource_metrics: Few<OfResource>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfResource {
    resource: Option<Resource>,
    #[serde(default)]
    scope_metrics: Few<OfScope>,
}

#[derive(Default, serde::Deserialize)]
struct Resource {
    #[serde(default)]
    attributes: Few<Pair>,
}

#[derive(serde::Deserialize)]
struct OfScope {
    #[serde(default)]
    metrics: Few<OneMetric>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct OneMetric {
    name: Option<Box<str>>,
    description: Option<Box<str>>,
    unit: Option<Box<str>>,
    gauge: Option<Points>,
    sum: Option<Points>,
    histogram: Option<Points>,
    exponential_histogram: Option<Points>,
    summary: Option<Points>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Points {
    #[serde(default)]
    data_points: Few<OnePoint>,
    aggregation_temporality: Option<Number>,
    is_monotonic: Option<bool>,
}

/// A point of any kind.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct OnePoint {
    #[serde(default)]
    attributes: Few<Pair>,
    start_time_unix_nano: Option<Unsigned>,
    time_unix_nano: Option<Unsigned>,
    flags: Option<Unsigned>,
    as_double: Option<Double>,
    as_int: Option<Number>,
    count: Option<Unsigned>,
    sum: Option<Double>,
    #[serde(default)]
    bucket_counts: Few<Unsigned>,
    #[serde(default)]
    explicit_bounds: Few<Double>,
    #[serde(default)]
    quantile_values: Few<Quantile>,
    scale: Option<Number>,
    zero_count: Option<Unsigned>,
    zero_threshold: Option<Double>,
    positive: Option<Buckets>,
    negative: Option<Buckets>,
    #[serde(default)]
    exemplars: Few<OneExemplar>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct OneExemplar {
    #[serde(default)]
    filtered_attributes: Few<Pair>,
    time_unix_nano: Option<Unsigned>,
    as_double: Option<Double>,
    as_int: Option<Number>,
    span_id: Option<Box<str>>,
    trace_id: Option<Box<str>>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Buckets {
    offset: Option<Number>,
    #[serde(default)]
    bucket_counts: Few<Unsigned>,
}

#[derive(serde::Deserialize)]
struct Quantile {
    quantile: Option<Double>,
    value: Option<Double>,
}

impl OneMetric {
    fn read(self, taker: &mut Taker) {
        let OneMetric { name, description, unit, gauge, sum, histogram, exponential_histogram, summary } = self;
        let (name, help, unit) = (name.unwrap_or_default(), description.unwrap_or_default(), unit.unwrap_or_default());
        let all = [
            (Kind::Gauge, false, gauge),
            (Kind::UpDown, false, sum),
            (Kind::Histogram, false, histogram),
            (Kind::Histogram, true, exponential_histogram),
            (Kind::Summary, false, summary),
        ];
        for (kind, is_exponential, points) in all {
            let Some(Points { data_points, aggregation_temporality, is_monotonic }) = points else { continue };
            let said = aggregation_temporality.map_or(0, |Number(number)| i64::try_from(number).unwrap_or(0));
            let temporality = match kind {
                Kind::Gauge | Kind::Summary => Temporality::Cumulative,
                _ => Temporality::of(said),
            };
            let is_counter = kind == Kind::UpDown && is_monotonic == Some(true);
            let kind = if is_counter { Kind::Counter } else { kind };
            let metric = Metric { name: &name, help: &help, unit: &unit, kind, temporality };
            data_points.0.into_iter().for_each(|point| taker.point(&metric, point.read(kind, is_exponential)));
        }
    }
}

impl OnePoint {
    fn read(self, kind: Kind, is_exponential: bool) -> Point {
        let whole = |number: Option<Unsigned>| number.map_or(0, |Unsigned(number)| number);
        let all = |numbers: Few<Unsigned>| numbers.0.into_iter().map(|Unsigned(number)| number).collect();
        let double = |number: Option<Double>| number.map(|Double(number)| number);
        let small = |number: Option<Number>| {
            number.map_or(0, |Number(number)| number.clamp(i32::MIN.into(), i32::MAX.into()) as i32)
        };
        let buckets = |buckets: Option<Buckets>| {
            let Some(Buckets { offset, bucket_counts }) = buckets else { return SentBuckets::default() };
            SentBuckets { offset: small(offset), counts: all(bucket_counts) }
        };
        let count = whole(self.count);
        let data = match kind {
            Kind::Histogram if is_exponential => Data::Exponential(Sent {
                count,
                sum: double(self.sum),
                scale: small(self.scale),
                zero: whole(self.zero_count),
                zero_threshold: double(self.zero_threshold).unwrap_or(0.0),
                positive: buckets(self.positive),
                negative: buckets(self.negative),
            }),
            Kind::Histogram => Data::Histogram {
                count,
                sum: double(self.sum),
                counts: all(self.bucket_counts),
                bounds: self.explicit_bounds.0.into_iter().map(|Double(bound)| bound).collect(),
            },
            Kind::Summary => {
                let number = |number| double(number).unwrap_or(0.0);
                let quantiles = self.quantile_values.0.into_iter().map(|one| (number(one.quantile), number(one.value)));
                Data::Summary { count, sum: number(self.sum), quantiles: quantiles.collect() }
            }
            _ => match (self.as_double, self.as_int) {
                (Some(Double(number)), _) => Data::Number(number),
                (None, Some(Number(number))) => Data::Number(number as f64),
                (None, None) => Data::None,
            },
        };
        Point {
            attributes: self.attributes.0.into_iter().map(Pair::into).collect(),
            start_ns: whole(self.start_time_unix_nano),
            time_ns: whole(self.time_unix_nano),
            is_none: whole(self.flags) & 1 != 0,
            data,
            exemplars: self.exemplars.0.into_iter().take(MAX_EXEMPLARS).map(OneExemplar::into).collect(),
        }
    }
}

impl From<OneExemplar> for Seen {
    fn from(one: OneExemplar) -> Seen {
        let OneExemplar { filtered_attributes, time_unix_nano, as_double, as_int, span_id, trace_id } = one;
        let whole = as_int.map(|Number(number)| number as f64);
        Seen {
            attributes: filtered_attributes.0.into_iter().map(Pair::into).collect(),
            time_ns: time_unix_nano.map_or(0, |Unsigned(number)| number),
            value: as_double.map(|Double(number)| number).or(whole),
            trace_id: trace_id.unwrap_or_default().to_ascii_lowercase(),
            span_id: span_id.unwrap_or_default().to_ascii_lowercase(),
        }
    }
}
