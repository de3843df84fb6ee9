//! OTLP's logs in JSON: protobuf's mapping, with ids in hexadecimal.
//!
//! <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>

use std::io::Write;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::wire::{Head, LogWire, each_other};
use crate::formats::json_records::{hex, write_double, write_text};
use crate::formats::otlp::json::Json;
use crate::model::{Attribute, Labels, Record, Value};

impl LogWire for Json {
    fn application(attributes: &[Attribute]) -> Vec<u8> {
        let mut out = b"{\"attributes\":".to_vec();
        write_attributes(attributes, &mut out);
        out.push(b'}');
        out
    }

    fn scope(name: &str, version: &str, attributes: &[Attribute]) -> Vec<u8> {
        let mut out = b"{\"name\":".to_vec();
        write_text(name, &mut out);
        out.extend_from_slice(b",\"version\":");
        write_text(version, &mut out);
        out.extend_from_slice(b",\"attributes\":");
        write_attributes(attributes, &mut out);
        out.push(b'}');
        out
    }

    fn schema(url: &str) -> Vec<u8> {
        let mut out = Vec::new();
        write_unless_empty("schemaUrl", url, &mut out);
        out
    }

    fn record(record: &Record, labels: &Labels, out: &mut Vec<u8>) {
        // Writing to memory does not fail.
        let _ = write!(out, "{{\"observedTimeUnixNano\":\"{}\"", record.observed_ns);
        if let Some(time_ns) = record.time_ns {
            let _ = write!(out, ",\"timeUnixNano\":\"{time_ns}\"");
        }
        if record.severity_number != 0 {
            let _ = write!(out, ",\"severityNumber\":{}", record.severity_number);
        }
        write_unless_empty("severityText", &record.severity, out);
        if record.message != Value::Empty {
            out.extend_from_slice(b",\"body\":");
            write_value(&record.message, out);
        }
        out.extend_from_slice(b",\"attributes\":[");
        let mut is_first = true;
        let mut add = |key: &str, value: &Value| {
            if !std::mem::take(&mut is_first) {
                out.push(b',');
            }
            write_attribute(key, value, out);
        };
        record.attributes.iter().for_each(|(key, value)| add(key, value));
        each_other(record, labels, |key, value| add(key, &value));
        out.push(b']');
        if record.dropped_attributes != 0 {
            let _ = write!(out, ",\"droppedAttributesCount\":{}", record.dropped_attributes);
        }
        if record.flags != 0 {
            let _ = write!(out, ",\"flags\":{}", record.flags);
        }
        if let Some(id) = &record.trace_id {
            write_unless_empty("traceId", &hex(id), out);
        }
        if let Some(id) = &record.span_id {
            write_unless_empty("spanId", &hex(id), out);
        }
        write_unless_empty("eventName", &record.event, out);
        out.push(b'}');
    }

    fn add(record: &[u8], out: &mut Vec<u8>) {
        separate(out);
        out.extend_from_slice(record);
    }

    fn add_scope(head: &Head, records: &[u8], out: &mut Vec<u8>) {
        separate(out);
        out.extend_from_slice(b"{\"scope\":");
        out.extend_from_slice(&head.scope);
        out.extend_from_slice(b",\"logRecords\":[");
        out.extend_from_slice(records);
        out.push(b']');
        out.extend_from_slice(&head.scope_schema);
        out.push(b'}');
    }

    fn add_resource(head: &Head, scopes: &[u8], out: &mut Vec<u8>) {
        separate(out);
        out.extend_from_slice(b"{\"resource\":");
        out.extend_from_slice(&head.resource);
        out.extend_from_slice(b",\"scopeLogs\":[");
        out.extend_from_slice(scopes);
        out.push(b']');
        out.extend_from_slice(&head.resource_schema);
        out.push(b'}');
    }

    fn request(resources: Vec<u8>) -> Vec<u8> {
        [b"{\"resourceLogs\":[", &resources[..], b"]}"].concat()
    }

    fn records(plain: &[u8]) -> Option<Vec<(Arc<Head>, &[u8])>> {
        let whole: Whole<'_> = serde_json::from_slice(plain).ok()?;
        let mut records = Vec::new();
        for of in whole.resource_logs {
            let resource: Arc<[u8]> = of.resource.get().as_bytes().into();
            let resource_schema: Arc<[u8]> = schema_again(of.schema_url).into();
            for scope in of.scope_logs {
                let head = Arc::new(Head {
                    resource: Arc::clone(&resource),
                    resource_schema: Arc::clone(&resource_schema),
                    scope: scope.scope.get().as_bytes().into(),
                    scope_schema: schema_again(scope.schema_url).into(),
                });
                let own = scope.log_records.into_iter().map(|record| record.get().as_bytes());
                records.extend(own.map(|record| (Arc::clone(&head), record)));
            }
        }
        Some(records)
    }
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Whole<'b> {
    #[serde(borrow)]
    resource_logs: Vec<OfResource<'b>>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfResource<'b> {
    #[serde(borrow)]
    resource: &'b RawValue,
    #[serde(borrow)]
    scope_logs: Vec<OfScope<'b>>,
    #[serde(borrow)]
    schema_url: Option<&'b RawValue>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfScope<'b> {
    #[serde(borrow)]
    scope: &'b RawValue,
    #[serde(borrow)]
    log_records: Vec<&'b RawValue>,
    #[serde(borrow)]
    schema_url: Option<&'b RawValue>,
}

fn schema_again(url: Option<&RawValue>) -> Vec<u8> {
    url.map_or_else(Vec::new, |url| format!(",\"schemaUrl\":{}", url.get()).into_bytes())
}

fn separate(out: &mut Vec<u8>) {
    if !out.is_empty() {
        out.push(b',');
    }
}

fn write_unless_empty(key: &str, text: &str, out: &mut Vec<u8>) {
    if !text.is_empty() {
        let _ = write!(out, ",\"{key}\":");
        write_text(text, out);
    }
}

fn write_attributes(attributes: &[Attribute], out: &mut Vec<u8>) {
    out.push(b'[');
    for (at, (key, value)) in attributes.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_attribute(key, value, out);
    }
    out.push(b']');
}

fn write_attribute(key: &str, value: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"key\":");
    write_text(key, out);
    out.extend_from_slice(b",\"value\":");
    write_value(value, out);
    out.push(b'}');
}

fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Empty => out.push(b'{'),
        Value::Text(text) => {
            out.extend_from_slice(b"{\"stringValue\":");
            write_text(text, out);
        }
        Value::Bool(is) => _ = write!(out, "{{\"boolValue\":{is}"),
        Value::Int(number) => _ = write!(out, "{{\"intValue\":\"{number}\""),
        Value::Double(number) => {
            out.extend_from_slice(b"{\"doubleValue\":");
            write_double(*number, out);
        }
        Value::Bytes(bytes) => {
            out.extend_from_slice(b"{\"bytesValue\":");
            write_text(&STANDARD.encode(bytes), out);
        }
        Value::List(all) => {
            out.extend_from_slice(b"{\"arrayValue\":{\"values\":[");
            for (at, one) in all.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_value(one, out);
            }
            out.extend_from_slice(b"]}");
        }
        Value::Map(all) => {
            out.extend_from_slice(b"{\"kvlistValue\":{\"values\":");
            write_attributes(all, out);
            out.push(b'}');
        }
    }
    out.push(b'}');
}
