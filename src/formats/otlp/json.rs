//! OTLP's JSON: protobuf's mapping, with enums as numbers.
//!
//! <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>. 64-bit integers are strings, and so are
//! the three values that JSON has no numbers for.

use std::io::Write;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::request::{CUMULATIVE, Data, NO_RECORDED_VALUE, Point, Request, SCOPE, Wire, Written, nanos};
use crate::model::Family;

/// The encoding `json`.
pub struct Json;

impl Wire for Json {
    const CONTENT_TYPE: &'static str = "application/json";

    fn resource<'l>(attributes: impl Iterator<Item = (&'l str, &'l str)>) -> Vec<u8> {
        let mut out = b"{\"attributes\":[".to_vec();
        Json::attributes(attributes, &mut out);
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
        out
    }

    fn attributes<'l>(labels: impl Iterator<Item = (&'l str, &'l str)>, out: &mut Vec<u8>) {
        for (at, (name, value)) in labels.enumerate() {
            out.extend_from_slice(if at > 0 { b",{\"key\":" } else { b"{\"key\":" });
            write_text(name, out);
            out.extend_from_slice(b",\"value\":{\"stringValue\":");
            write_text(value, out);
            out.extend_from_slice(b"}}");
        }
    }

    fn point(point: &Point<'_>, out: &mut Vec<u8>) {
        if !out.is_empty() {
            out.push(b',');
        }
        // Writing to memory does not fail.
        let _ = write!(out, "{{\"timeUnixNano\":\"{}\"", nanos(point.time_ms));
        if point.start_ms > 0 {
            let _ = write!(out, ",\"startTimeUnixNano\":\"{}\"", nanos(point.start_ms));
        }
        if !point.attributes.is_empty() {
            out.extend_from_slice(b",\"attributes\":[");
            out.extend_from_slice(point.attributes);
            out.push(b']');
        }
        match point.value {
            Some(value) => {
                out.extend_from_slice(b",\"asDouble\":");
                write_number(value, out);
                out.push(b'}');
            }
            None => _ = write!(out, ",\"flags\":{NO_RECORDED_VALUE}}}"),
        }
    }

    fn written(point: &[u8], out: &mut Vec<u8>) {
        if !out.is_empty() {
            out.push(b',');
        }
        out.extend_from_slice(point);
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
                let word = if metric.data.is_sum() { "sum" } else { "gauge" };
                let _ = write!(out, ",\"{word}\":{{\"dataPoints\":[");
                out.extend_from_slice(&metric.points);
                out.push(b']');
                if let Data::Sum { is_monotonic } = metric.data {
                    let _ = write!(out, ",\"aggregationTemporality\":{CUMULATIVE},\"isMonotonic\":{is_monotonic}");
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
                let head: Arc<[u8]> = Json::head(&Family::gauge(&name, &unit, &help)).into();
                let (data, own) = match (&metric.gauge, &metric.sum) {
                    (Some(gauge), None) => (Data::Gauge, gauge),
                    (None, Some(sum)) => (Data::Sum { is_monotonic: sum.is_monotonic }, sum),
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
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfData<'b> {
    #[serde(borrow)]
    data_points: Vec<&'b RawValue>,
    #[serde(default)]
    is_monotonic: bool,
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
