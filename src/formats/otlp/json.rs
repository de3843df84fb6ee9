//! OTLP's JSON: protobuf's mapping, with enums as numbers.
//!
//! <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>. 64-bit integers are strings, and so are
//! the three values that JSON has no numbers for.

use std::io::Write;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::point::{DELTA, Data, Exemplar, NO_RECORDED_VALUE, Point, Value};
use super::request::{Request, SCOPE, Wire, Written};
use super::words::metadata_of;
use crate::model::Family;

/// The encoding `json`.
pub struct Json;

impl Wire for Json {
    const CONTENT_TYPE: &'static str = "application/json";

    fn resource<'l>(attributes: impl Iterator<Item = (&'l str, &'l str)>) -> Vec<u8> {
        let mut out = b"{\"attributes\":[".to_vec();
        write_attributes(attributes, &mut out);
        out.extend_from_slice(b"]}");
        out
    }

    fn head(family: &Family<'_>) -> Vec<u8> {
        let mut out = b"\"name\":".to_vec();
        write_text(family.name, &mut out);
        for (key, text) in [("description", family.help), ("unit", family.unit)] {
            if !text.is_empty() {
                // Writing to memory does not fail.
                let _ = write!(out, ",\"{key}\":");
                write_text(text, &mut out);
            }
        }
        if let Some(pair) = metadata_of(family.kind) {
            out.extend_from_slice(b",\"metadata\":[");
            write_attributes([pair].into_iter(), &mut out);
            out.push(b']');
        }
        out
    }

    fn attributes<'l>(_: Data, labels: impl Iterator<Item = (&'l str, &'l str)>, out: &mut Vec<u8>) {
        write_attributes(labels, out);
    }

    fn exemplar(_: Data, exemplar: &Exemplar<'_>, out: &mut Vec<u8>) {
        if !out.is_empty() {
            out.push(b',');
        }
        // Writing to memory does not fail. Of all bytes these two alone are hexadecimal digits.
        let _ = write!(out, "{{\"timeUnixNano\":\"{}\"", exemplar.time_ns);
        let ids = [
            ("traceId", exemplar.trace_id.as_ref().map(|id| &id[..])),
            ("spanId", exemplar.span_id.as_ref().map(|id| &id[..])),
        ];
        for (key, id) in ids {
            if let Some(id) = id {
                let _ = write!(out, ",\"{key}\":\"");
                id.iter().for_each(|byte| _ = write!(out, "{byte:02x}"));
                out.push(b'"');
            }
        }
        if !exemplar.labels.is_empty() {
            out.extend_from_slice(b",\"filteredAttributes\":[");
            write_attributes(exemplar.labels.iter().copied(), out);
            out.push(b']');
        }
        out.extend_from_slice(b",\"asDouble\":");
        write_number(exemplar.value, out);
        out.push(b'}');
    }

    /// With a comma behind it; that of the last one is taken away where a metric's points end.
    fn point(point: &Point<'_>, out: &mut Vec<u8>) {
        // Writing to memory does not fail.
        let _ = write!(out, "{{\"timeUnixNano\":\"{}\"", point.time_ns);
        if let Some(start_ns) = point.start_ns {
            let _ = write!(out, ",\"startTimeUnixNano\":\"{start_ns}\"");
        }
        if !point.attributes.is_empty() {
            out.extend_from_slice(b",\"attributes\":[");
            out.extend_from_slice(point.attributes);
            out.push(b']');
        }
        if !point.exemplars.is_empty() {
            out.extend_from_slice(b",\"exemplars\":[");
            out.extend_from_slice(point.exemplars);
            out.push(b']');
        }
        match point.value {
            Value::Number(value) => {
                out.extend_from_slice(b",\"asDouble\":");
                write_number(value, out);
            }
            Value::Histogram { count, sum, counts, bounds } => {
                let _ = write!(out, ",\"count\":\"{count}\"");
                if let Some(sum) = sum {
                    out.extend_from_slice(b",\"sum\":");
                    write_number(sum, out);
                }
                out.extend_from_slice(b",\"bucketCounts\":");
                write_list(counts, out, |count, out| _ = write!(out, "\"{count}\""));
                if !bounds.is_empty() {
                    out.extend_from_slice(b",\"explicitBounds\":");
                    write_list(bounds, out, |bound, out| write_number(*bound, out));
                }
            }
            Value::Summary { count, sum, quantiles } => {
                let _ = write!(out, ",\"count\":\"{count}\",\"sum\":");
                write_number(sum, out);
                out.extend_from_slice(b",\"quantileValues\":");
                write_list(quantiles, out, |(quantile, value), out| {
                    out.extend_from_slice(b"{\"quantile\":");
                    write_number(*quantile, out);
                    out.extend_from_slice(b",\"value\":");
                    write_number(*value, out);
                    out.push(b'}');
                });
            }
            Value::Ended(_) => _ = write!(out, ",\"flags\":{NO_RECORDED_VALUE}"),
        }
        out.extend_from_slice(b"},");
    }

    fn time_in(_: &[u8]) -> Option<usize> {
        None
    }

    fn written(point: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(point);
        out.push(b',');
    }

    fn write(request: &Request<Json>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"resourceMetrics\":[");
        for (at, of) in request.resources().enumerate() {
            out.extend_from_slice(if at > 0 { b",{\"resource\":" } else { b"{\"resource\":" });
            out.extend_from_slice(&of.resource);
            // Writing to memory does not fail.
            let _ = write!(
                out,
                ",\"scopeMetrics\":[{{\"scope\":{{\"name\":\"{}\",\"version\":\"{}\"}},\"metrics\":[",
                SCOPE.0, SCOPE.1
            );
            for (at, metric) in of.metrics().enumerate() {
                out.extend_from_slice(if at > 0 { b",{" } else { b"{" });
                out.extend_from_slice(&metric.head);
                let word = match metric.data {
                    Data::Gauge => "gauge",
                    Data::Sum { .. } => "sum",
                    Data::Histogram { .. } => "histogram",
                    Data::Summary => "summary",
                };
                let _ = write!(out, ",\"{word}\":{{\"dataPoints\":[");
                request.write_points(metric, out);
                // The comma behind the last point.
                out.pop();
                out.push(b']');
                if let Some(temporality) = metric.data.temporality() {
                    let _ = write!(out, ",\"aggregationTemporality\":{temporality}");
                }
                if let Data::Sum { is_monotonic, .. } = metric.data {
                    let _ = write!(out, ",\"isMonotonic\":{is_monotonic}");
                }
                out.extend_from_slice(b"}}");
            }
            out.extend_from_slice(b"]}]}");
        }
        out.extend_from_slice(b"]}");
    }

    fn points(plain: &[u8]) -> Option<Vec<Written<'_>>> {
        let whole: Whole<'_> = serde_json::from_slice(plain).ok()?;
        let mut points = Vec::new();
        for of in &whole.resource_metrics {
            let resource: Arc<[u8]> = of.resource.get().as_bytes().into();
            for metric in of.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
                let text = |raw: Option<&RawValue>| raw.map(|raw| serde_json::from_str::<String>(raw.get()).ok());
                let text = |raw| text(raw).unwrap_or_else(|| Some(String::new()));
                let (name, unit, help) = (text(Some(metric.name))?, text(metric.unit)?, text(metric.description)?);
                let mut head = Json::head(&Family::gauge(&name, &unit, &help));
                if let Some(metadata) = metric.metadata {
                    head.extend_from_slice(b",\"metadata\":");
                    head.extend_from_slice(metadata.get().as_bytes());
                }
                let head: Arc<[u8]> = head.into();
                let is_delta = |own: &OfData<'_>| own.aggregation_temporality == DELTA;
                let (data, own) = match (&metric.gauge, &metric.sum, &metric.histogram, &metric.summary) {
                    (Some(own), None, None, None) => (Data::Gauge, own),
                    (None, Some(own), None, None) => {
                        (Data::Sum { is_monotonic: own.is_monotonic, is_delta: is_delta(own) }, own)
                    }
                    (None, None, Some(own), None) => (Data::Histogram { is_delta: is_delta(own) }, own),
                    (None, None, None, Some(own)) => (Data::Summary, own),
                    _ => return None,
                };
                for point in &own.data_points {
                    let written = point.get().as_bytes();
                    points.push(Written { resource: Arc::clone(&resource), head: Arc::clone(&head), data, written });
                }
            }
        }
        Some(points)
    }
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Whole<'b> {
    #[serde(borrow)]
    resource_metrics: Vec<OfResource<'b>>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfResource<'b> {
    #[serde(borrow)]
    resource: &'b RawValue,
    #[serde(borrow)]
    scope_metrics: Vec<OfScope<'b>>,
}

#[derive(serde::Deserialize)]
struct OfScope<'b> {
    #[serde(borrow)]
    metrics: Vec<OfMetric<'b>>,
}

#[derive(serde::Deserialize)]
struct OfMetric<'b> {
    #[serde(borrow)]
    name: &'b RawValue,
    #[serde(borrow)]
    description: Option<&'b RawValue>,
    #[serde(borrow)]
    unit: Option<&'b RawValue>,
    #[serde(borrow)]
    gauge: Option<OfData<'b>>,
    #[serde(borrow)]
    sum: Option<OfData<'b>>,
    #[serde(borrow)]
    histogram: Option<OfData<'b>>,
    #[serde(borrow)]
    summary: Option<OfData<'b>>,
    #[serde(borrow)]
    metadata: Option<&'b RawValue>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfData<'b> {
    #[serde(borrow)]
    data_points: Vec<&'b RawValue>,
    #[serde(default)]
    is_monotonic: bool,
    #[serde(default)]
    aggregation_temporality: u64,
}

fn write_attributes<'l>(pairs: impl Iterator<Item = (&'l str, &'l str)>, out: &mut Vec<u8>) {
    for (at, (name, value)) in pairs.enumerate() {
        out.extend_from_slice(if at > 0 { b",{\"key\":" } else { b"{\"key\":" });
        write_text(name, out);
        out.extend_from_slice(b",\"value\":{\"stringValue\":");
        write_text(value, out);
        out.extend_from_slice(b"}}");
    }
}

fn write_list<T>(all: &[T], out: &mut Vec<u8>, write: impl Fn(&T, &mut Vec<u8>)) {
    out.push(b'[');
    for (at, one) in all.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(one, out);
    }
    out.push(b']');
}

/// A JSON string, quotes and all.
fn write_text(text: &str, out: &mut Vec<u8>) {
    // Writing text to memory does not fail.
    let _ = serde_json::to_writer(out, text);
}

fn write_number(value: f64, out: &mut Vec<u8>) {
    if value.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"\"Infinity\"" } else { b"\"-Infinity\"" });
    } else {
        // Writing a number to memory does not fail.
        let _ = serde_json::to_writer(out, &value);
    }
}
