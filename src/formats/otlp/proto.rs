//! OTLP's protobuf.
//!
//! The parts of the messages that are used here, from
//! <https://github.com/open-telemetry/opentelemetry-proto/tree/main/opentelemetry/proto>:
//!
//! ```text
//! ExportMetricsServiceRequest { repeated ResourceMetrics resource_metrics = 1; }
//! ResourceMetrics      { Resource resource = 1; repeated ScopeMetrics scope_metrics = 2; }
//! Resource             { repeated KeyValue attributes = 1; }
//! ScopeMetrics         { InstrumentationScope scope = 1; repeated Metric metrics = 2; }
//! InstrumentationScope { string name = 1; string version = 2; }
//! Metric               { string name = 1; string description = 2; string unit = 3; Gauge gauge = 5; Sum sum = 7; }
//! Gauge                { repeated NumberDataPoint data_points = 1; }
//! Sum                  { repeated NumberDataPoint data_points = 1; AggregationTemporality aggregation_temporality = 2;
//!                        bool is_monotonic = 3; }
//! NumberDataPoint      { fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3; double as_double = 4;
//!                        repeated KeyValue attributes = 7; uint32 flags = 8; }
//! KeyValue             { string key = 1; AnyValue value = 2; }
//! AnyValue             { string string_value = 1; }
//! ```

use std::sync::Arc;

use prost::encoding::{WireType, encode_key, encode_varint};

use super::request::{CUMULATIVE, Data, Metric, NO_RECORDED_VALUE, Point, Request, SCOPE, Wire, Written, nanos};
use crate::formats::wire::{Field, field_len, fields, write_bytes, write_length, write_text};
use crate::model::Family;

// Numbers of fields.
const RESOURCE_METRICS: u32 = 1;
const RESOURCE: u32 = 1;
const SCOPE_METRICS: u32 = 2;
const SCOPE_OF_METRICS: u32 = 1;
const METRICS: u32 = 2;
const NAME: u32 = 1;
const DESCRIPTION: u32 = 2;
const UNIT: u32 = 3;
const GAUGE: u32 = 5;
const SUM: u32 = 7;
const DATA_POINTS: u32 = 1;
const TEMPORALITY: u32 = 2;
const IS_MONOTONIC: u32 = 3;
const START_TIME: u32 = 2;
const TIME: u32 = 3;
const AS_DOUBLE: u32 = 4;
const ATTRIBUTES: u32 = 7;
const FLAGS: u32 = 8;
const ATTRIBUTES_OF_RESOURCE: u32 = 1;

/// The encoding `protobuf`.
pub struct Protobuf;

impl Wire for Protobuf {
    const CONTENT_TYPE: &'static str = "application/x-protobuf";

    fn resource<'l>(attributes: impl Iterator<Item = (&'l str, &'l str)>) -> Vec<u8> {
        let mut out = Vec::new();
        attributes.for_each(|(name, value)| write_attribute(ATTRIBUTES_OF_RESOURCE, name, value, &mut out));
        out
    }

    fn head(family: &Family<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        for (tag, text) in [(NAME, family.name), (DESCRIPTION, family.help), (UNIT, family.unit)] {
            if !text.is_empty() {
                write_text(tag, text, &mut out);
            }
        }
        out
    }

    fn attributes<'l>(labels: impl Iterator<Item = (&'l str, &'l str)>, out: &mut Vec<u8>) {
        labels.for_each(|(name, value)| write_attribute(ATTRIBUTES, name, value, out));
    }

    fn point(point: &Point<'_>, out: &mut Vec<u8>) {
        // A key and eight bytes each; the flags are a key and a byte.
        let start = if point.start_ms > 0 { 9 } else { 0 };
        let value = if point.value.is_some() { 9 } else { 2 };
        write_length(DATA_POINTS, start + 9 + value + point.attributes.len(), out);
        if point.start_ms > 0 {
            write_fixed(START_TIME, nanos(point.start_ms).to_le_bytes(), out);
        }
        write_fixed(TIME, nanos(point.time_ms).to_le_bytes(), out);
        if let Some(value) = point.value {
            write_fixed(AS_DOUBLE, value.to_le_bytes(), out);
        }
        out.extend_from_slice(point.attributes);
        if point.value.is_none() {
            write_number(FLAGS, NO_RECORDED_VALUE, out);
        }
    }

    fn written(point: &[u8], out: &mut Vec<u8>) {
        write_bytes(DATA_POINTS, point, out);
    }

    fn write(request: &Request<Protobuf>, out: &mut Vec<u8>) {
        let mut scope = Vec::new();
        write_text(1, SCOPE.0, &mut scope);
        write_text(2, SCOPE.1, &mut scope);
        for of in request.resources() {
            let metrics: usize = of.metrics().map(|metric| field_len(metric_len(metric))).sum();
            let scope_metrics = field_len(scope.len()) + metrics;
            write_length(RESOURCE_METRICS, field_len(of.resource.len()) + field_len(scope_metrics), out);
            write_bytes(RESOURCE, &of.resource, out);
            write_length(SCOPE_METRICS, scope_metrics, out);
            write_bytes(SCOPE_OF_METRICS, &scope, out);
            for metric in of.metrics() {
                write_length(METRICS, metric_len(metric), out);
                out.extend_from_slice(&metric.head);
                write_length(if metric.data.is_sum() { SUM } else { GAUGE }, data_len(metric), out);
                out.extend_from_slice(&metric.points);
                if let Data::Sum { is_monotonic } = metric.data {
                    write_number(TEMPORALITY, CUMULATIVE, out);
                    if is_monotonic {
                        write_number(IS_MONOTONIC, 1, out);
                    }
                }
            }
        }
    }

    fn points(plain: &[u8]) -> Option<Vec<Written<'_>>> {
        let mut points = Vec::new();
        for field in fields(plain) {
            let (RESOURCE_METRICS, Field::Bytes(of)) = field? else { return None };
            let mut resource = Arc::from([]);
            for field in fields(of) {
                match field? {
                    (RESOURCE, Field::Bytes(bytes)) => resource = Arc::from(bytes),
                    (SCOPE_METRICS, Field::Bytes(scope)) => {
                        for field in fields(scope) {
                            match field? {
                                (SCOPE_OF_METRICS, _) => {}
                                (METRICS, Field::Bytes(metric)) => points_of(metric, &resource, &mut points)?,
                                _ => return None,
                            }
                        }
                    }
                    _ => return None,
                }
            }
        }
        Some(points)
    }
}

fn points_of<'b>(metric: &'b [u8], resource: &Arc<[u8]>, points: &mut Vec<Written<'b>>) -> Option<()> {
    let mut head = Vec::new();
    let mut data = None;
    for field in fields(metric) {
        match field? {
            (tag @ (NAME | DESCRIPTION | UNIT), Field::Bytes(text)) => write_bytes(tag, text, &mut head),
            (tag @ (GAUGE | SUM), Field::Bytes(bytes)) => data = Some((tag, bytes)),
            _ => return None,
        }
    }
    let (tag, bytes) = data?;
    let head: Arc<[u8]> = head.into();
    let mut is_monotonic = false;
    let mut own = Vec::new();
    for field in fields(bytes) {
        match field? {
            (DATA_POINTS, Field::Bytes(point)) => own.push(point),
            (TEMPORALITY, Field::Varint(CUMULATIVE)) => {}
            (IS_MONOTONIC, Field::Varint(number)) => is_monotonic = number != 0,
            _ => return None,
        }
    }
    let data = if tag == SUM { Data::Sum { is_monotonic } } else { Data::Gauge };
    let of = |written| Written { resource: Arc::clone(resource), head: Arc::clone(&head), data, written };
    points.extend(own.into_iter().map(of));
    Some(())
}

fn data_len(metric: &Metric) -> usize {
    // A key and a byte each.
    let more = match metric.data {
        Data::Gauge => 0,
        Data::Sum { is_monotonic: false } => 2,
        Data::Sum { is_monotonic: true } => 4,
    };
    metric.points.len() + more
}

fn metric_len(metric: &Metric) -> usize {
    metric.head.len() + field_len(data_len(metric))
}

fn write_attribute(tag: u32, name: &str, value: &str, out: &mut Vec<u8>) {
    let any_value = field_len(value.len());
    write_length(tag, field_len(name.len()) + field_len(any_value), out);
    write_text(1, name, out);
    write_length(2, any_value, out);
    write_text(1, value, out);
}

fn write_fixed(tag: u32, bytes: [u8; 8], out: &mut Vec<u8>) {
    encode_key(tag, WireType::SixtyFourBit, out);
    out.extend_from_slice(&bytes);
}

fn write_number(tag: u32, number: u64, out: &mut Vec<u8>) {
    encode_key(tag, WireType::Varint, out);
    encode_varint(number, out);
}
