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
//! Metric               { string name = 1; string description = 2; string unit = 3; Gauge gauge = 5; Sum sum = 7;
//!                        Histogram histogram = 9; Summary summary = 11; repeated KeyValue metadata = 12; }
//! Gauge                { repeated NumberDataPoint data_points = 1; }
//! Sum                  { repeated NumberDataPoint data_points = 1; AggregationTemporality aggregation_temporality = 2;
//!                        bool is_monotonic = 3; }
//! Histogram            { repeated HistogramDataPoint data_points = 1;
//!                        AggregationTemporality aggregation_temporality = 2; }
//! Summary              { repeated SummaryDataPoint data_points = 1; }
//! NumberDataPoint      { fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3; double as_double = 4;
//!                        repeated Exemplar exemplars = 5; repeated KeyValue attributes = 7; uint32 flags = 8; }
//! HistogramDataPoint   { fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3; fixed64 count = 4;
//!                        optional double sum = 5; repeated fixed64 bucket_counts = 6;
//!                        repeated double explicit_bounds = 7; repeated Exemplar exemplars = 8;
//!                        repeated KeyValue attributes = 9; uint32 flags = 10; }
//! SummaryDataPoint     { fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3; fixed64 count = 4; double sum = 5;
//!                        repeated ValueAtQuantile quantile_values = 6; repeated KeyValue attributes = 7;
//!                        uint32 flags = 8; }
//! Exemplar             { fixed64 time_unix_nano = 2; double as_double = 3; bytes span_id = 4; bytes trace_id = 5;
//!                        repeated KeyValue filtered_attributes = 7; }
//! ValueAtQuantile      { double quantile = 1; double value = 2; }
//! KeyValue             { string key = 1; AnyValue value = 2; }
//! AnyValue             { string string_value = 1; }
//! ```

use std::sync::Arc;

use prost::encoding::{WireType, decode_varint, encode_key, encode_varint};

use super::point::{CUMULATIVE, DELTA, Data, Exemplar, NO_RECORDED_VALUE, Point, Value};
use super::request::{Metric, Request, SCOPE, Wire, Written};
use super::words::metadata_of;
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
const HISTOGRAM: u32 = 9;
const SUMMARY: u32 = 11;
const METADATA: u32 = 12;
const DATA_POINTS: u32 = 1;
const TEMPORALITY: u32 = 2;
const IS_MONOTONIC: u32 = 3;
const ATTRIBUTES_OF_RESOURCE: u32 = 1;
// Of every point.
const START_TIME: u32 = 2;
const TIME: u32 = 3;
// Of a number.
const AS_DOUBLE: u32 = 4;
// Of a histogram's and a summary's point.
const COUNT: u32 = 4;
const SUM_OF: u32 = 5;
const BUCKET_COUNTS: u32 = 6;
const EXPLICIT_BOUNDS: u32 = 7;
const QUANTILE_VALUES: u32 = 6;

// Of an exemplar.
const TIME_OF_EXEMPLAR: u32 = 2;
const VALUE_OF_EXEMPLAR: u32 = 3;
const SPAN_ID: u32 = 4;
const TRACE_ID: u32 = 5;
const FILTERED_ATTRIBUTES: u32 = 7;

/// What a field of eight bytes takes, with its key.
const FIXED: usize = 9;

/// The number of the attributes' field in points of `data`.
fn attributes_field(data: Data) -> u32 {
    if matches!(data, Data::Histogram { .. }) { 9 } else { 7 }
}

/// The same for exemplars.
fn exemplars_field(data: Data) -> u32 {
    if matches!(data, Data::Histogram { .. }) { 8 } else { 5 }
}

/// The same for flags.
fn flags_field(data: Data) -> u32 {
    if matches!(data, Data::Histogram { .. }) { 10 } else { 8 }
}

/// The number of the field of a metric that has such points.
fn data_field(data: Data) -> u32 {
    match data {
        Data::Gauge => GAUGE,
        Data::Sum { .. } => SUM,
        Data::Histogram { .. } => HISTOGRAM,
        Data::Summary => SUMMARY,
    }
}

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
        if let Some((key, value)) = metadata_of(family.kind) {
            write_attribute(METADATA, key, value, &mut out);
        }
        out
    }

    fn attributes<'l>(data: Data, labels: impl Iterator<Item = (&'l str, &'l str)>, out: &mut Vec<u8>) {
        labels.for_each(|(name, value)| write_attribute(attributes_field(data), name, value, out));
    }

    fn exemplar(data: Data, exemplar: &Exemplar<'_>, out: &mut Vec<u8>) {
        let mut message = Vec::new();
        write_fixed(TIME_OF_EXEMPLAR, exemplar.time_ns.to_le_bytes(), &mut message);
        write_fixed(VALUE_OF_EXEMPLAR, exemplar.value.to_le_bytes(), &mut message);
        if let Some(id) = exemplar.span_id {
            write_bytes(SPAN_ID, &id, &mut message);
        }
        if let Some(id) = exemplar.trace_id {
            write_bytes(TRACE_ID, &id, &mut message);
        }
        exemplar
            .labels
            .iter()
            .for_each(|(name, value)| write_attribute(FILTERED_ATTRIBUTES, name, value, &mut message));
        write_bytes(exemplars_field(data), &message, out);
    }

    fn point(point: &Point<'_>, out: &mut Vec<u8>) {
        let start = if point.start_ns.is_some() { FIXED } else { 0 };
        let value = match point.value {
            Value::Number(_) => FIXED,
            Value::Histogram { sum, counts, bounds, .. } => {
                let bounds = if bounds.is_empty() { 0 } else { field_len(8 * bounds.len()) };
                FIXED + sum.map_or(0, |_| FIXED) + field_len(8 * counts.len()) + bounds
            }
            Value::Summary { quantiles, .. } => 2 * FIXED + quantiles.len() * field_len(2 * FIXED),
            // A key and a byte.
            Value::Ended(_) => 2,
        };
        write_length(DATA_POINTS, start + FIXED + value + point.exemplars.len() + point.attributes.len(), out);
        if let Some(start_ns) = point.start_ns {
            write_fixed(START_TIME, start_ns.to_le_bytes(), out);
        }
        write_fixed(TIME, point.time_ns.to_le_bytes(), out);
        match point.value {
            Value::Number(value) => write_fixed(AS_DOUBLE, value.to_le_bytes(), out),
            Value::Histogram { count, sum, counts, bounds } => {
                write_fixed(COUNT, count.to_le_bytes(), out);
                if let Some(sum) = sum {
                    write_fixed(SUM_OF, sum.to_le_bytes(), out);
                }
                write_length(BUCKET_COUNTS, 8 * counts.len(), out);
                counts.iter().for_each(|count| out.extend_from_slice(&count.to_le_bytes()));
                if !bounds.is_empty() {
                    write_length(EXPLICIT_BOUNDS, 8 * bounds.len(), out);
                    bounds.iter().for_each(|bound| out.extend_from_slice(&bound.to_le_bytes()));
                }
            }
            Value::Summary { count, sum, quantiles } => {
                write_fixed(COUNT, count.to_le_bytes(), out);
                write_fixed(SUM_OF, sum.to_le_bytes(), out);
                for (quantile, value) in quantiles {
                    write_length(QUANTILE_VALUES, 2 * FIXED, out);
                    write_fixed(1, quantile.to_le_bytes(), out);
                    write_fixed(2, value.to_le_bytes(), out);
                }
            }
            Value::Ended(_) => {}
        }
        out.extend_from_slice(point.exemplars);
        out.extend_from_slice(point.attributes);
        if let Value::Ended(data) = point.value {
            write_number(flags_field(data), NO_RECORDED_VALUE, out);
        }
    }

    fn time_in(point: &[u8]) -> Option<usize> {
        // Keys of one byte each: the point's own and its length, then a start, if there is one.
        let mut rest = point.get(1..)?;
        decode_varint(&mut rest).ok()?;
        let key = |number: u32| (number << 3 | WireType::SixtyFourBit as u32) as u8;
        if rest.first() == Some(&key(START_TIME)) {
            rest = rest.get(FIXED..)?;
        }
        (rest.first() == Some(&key(TIME))).then(|| point.len() - rest.len() + 1)
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
                write_length(data_field(metric.data), data_len(metric), out);
                request.write_points(metric, out);
                if let Some(temporality) = metric.data.temporality() {
                    write_number(TEMPORALITY, temporality, out);
                }
                if is_monotonic(metric.data) {
                    write_number(IS_MONOTONIC, 1, out);
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
            (tag @ (NAME | DESCRIPTION | UNIT | METADATA), Field::Bytes(text)) => write_bytes(tag, text, &mut head),
            (tag @ (GAUGE | SUM | HISTOGRAM | SUMMARY), Field::Bytes(bytes)) => data = Some((tag, bytes)),
            _ => return None,
        }
    }
    let (tag, bytes) = data?;
    let head: Arc<[u8]> = head.into();
    let (mut is_monotonic, mut is_delta) = (false, false);
    let mut own = Vec::new();
    for field in fields(bytes) {
        match field? {
            (DATA_POINTS, Field::Bytes(point)) => own.push(point),
            (TEMPORALITY, Field::Varint(temporality @ (DELTA | CUMULATIVE))) => is_delta = temporality == DELTA,
            (IS_MONOTONIC, Field::Varint(number)) => is_monotonic = number != 0,
            _ => return None,
        }
    }
    let data = match tag {
        GAUGE => Data::Gauge,
        SUM => Data::Sum { is_monotonic, is_delta },
        HISTOGRAM => Data::Histogram { is_delta },
        _ => Data::Summary,
    };
    let of = |written| Written { resource: Arc::clone(resource), head: Arc::clone(&head), data, written };
    points.extend(own.into_iter().map(of));
    Some(())
}

fn is_monotonic(data: Data) -> bool {
    matches!(data, Data::Sum { is_monotonic: true, .. })
}

fn data_len(metric: &Metric) -> usize {
    // A key and a byte each.
    let temporality = metric.data.temporality().map_or(0, |_| 2);
    metric.len + temporality + if is_monotonic(metric.data) { 2 } else { 0 }
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
