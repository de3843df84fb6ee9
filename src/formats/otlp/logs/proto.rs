//! OTLP's logs in protobuf.
//!
//! <https://github.com/open-telemetry/opentelemetry-proto/tree/main/opentelemetry/proto>:
//!
//! ```text
//! ExportLogsServiceRequest { repeated ResourceLogs resource_logs = 1; }
//! ResourceLogs { Resource resource = 1; repeated ScopeLogs scope_logs = 2; string schema_url = 3; }
//! Resource     { repeated KeyValue attributes = 1; }
//! ScopeLogs    { InstrumentationScope scope = 1; repeated LogRecord log_records = 2; string schema_url = 3; }
//! InstrumentationScope { string name = 1; string version = 2; repeated KeyValue attributes = 3; }
//! LogRecord    { fixed64 time_unix_nano = 1; SeverityNumber severity_number = 2; string severity_text = 3;
//!                AnyValue body = 5; repeated KeyValue attributes = 6; uint32 dropped_attributes_count = 7;
//!                fixed32 flags = 8; bytes trace_id = 9; bytes span_id = 10; fixed64 observed_time_unix_nano = 11;
//!                string event_name = 12; }
//! KeyValue     { string key = 1; AnyValue value = 2; }
//! AnyValue     { string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4;
//!                ArrayValue array_value = 5; KeyValueList kvlist_value = 6; bytes bytes_value = 7; }
//! ArrayValue   { repeated AnyValue values = 1; }
//! KeyValueList { repeated KeyValue values = 1; }
//! ```

use std::sync::Arc;

use prost::encoding::{WireType, encode_key, encode_varint};

use super::wire::{Head, LogWire, each_other};
use crate::formats::otlp::proto::Protobuf;
use crate::formats::wire::{Field, field_len, fields, write_bytes, write_length, write_text};
use crate::model::{Attribute, Labels, Record, Value};

// Numbers of fields.
const RESOURCE_LOGS: u32 = 1;
const RESOURCE: u32 = 1;
const SCOPE_LOGS: u32 = 2;
const SCOPE: u32 = 1;
const LOG_RECORDS: u32 = 2;
const SCHEMA: u32 = 3;
const TIME: u32 = 1;
const SEVERITY_NUMBER: u32 = 2;
const SEVERITY_TEXT: u32 = 3;
const BODY: u32 = 5;
const ATTRIBUTES: u32 = 6;
const DROPPED: u32 = 7;
const FLAGS: u32 = 8;
const TRACE_ID: u32 = 9;
const SPAN_ID: u32 = 10;
const OBSERVED_TIME: u32 = 11;
const EVENT_NAME: u32 = 12;

impl LogWire for Protobuf {
    fn application(attributes: &[Attribute]) -> Vec<u8> {
        let mut out = Vec::new();
        write_attributes(1, attributes, &mut out);
        out
    }

    fn scope(name: &str, version: &str, attributes: &[Attribute]) -> Vec<u8> {
        let mut out = Vec::new();
        write_unless_empty(1, name, &mut out);
        write_unless_empty(2, version, &mut out);
        write_attributes(3, attributes, &mut out);
        out
    }

    fn schema(url: &str) -> Vec<u8> {
        let mut out = Vec::new();
        write_unless_empty(SCHEMA, url, &mut out);
        out
    }

    fn record(record: &Record, labels: &Labels, out: &mut Vec<u8>) {
        if let Some(time_ns) = record.time_ns {
            write_fixed(TIME, time_ns, out);
        }
        if record.severity_number != 0 {
            write_number(SEVERITY_NUMBER, u64::from(record.severity_number), out);
        }
        write_unless_empty(SEVERITY_TEXT, &record.severity, out);
        if record.message != Value::Empty {
            write_length(BODY, value_len(&record.message), out);
            write_value(&record.message, out);
        }
        write_attributes(ATTRIBUTES, &record.attributes, out);
        each_other(record, labels, |key, value| write_attribute(ATTRIBUTES, key, &value, out));
        if record.dropped_attributes != 0 {
            write_number(DROPPED, u64::from(record.dropped_attributes), out);
        }
        if record.flags != 0 {
            encode_key(FLAGS, WireType::ThirtyTwoBit, out);
            out.extend_from_slice(&record.flags.to_le_bytes());
        }
        if let Some(id) = &record.trace_id {
            write_bytes(TRACE_ID, id, out);
        }
        if let Some(id) = &record.span_id {
            write_bytes(SPAN_ID, id, out);
        }
        write_fixed(OBSERVED_TIME, record.observed_ns, out);
        write_unless_empty(EVENT_NAME, &record.event, out);
    }

    fn add(record: &[u8], out: &mut Vec<u8>) {
        write_bytes(LOG_RECORDS, record, out);
    }

    fn add_scope(head: &Head, records: &[u8], out: &mut Vec<u8>) {
        write_length(SCOPE_LOGS, field_len(head.scope.len()) + records.len() + head.scope_schema.len(), out);
        write_bytes(SCOPE, &head.scope, out);
        out.extend_from_slice(records);
        out.extend_from_slice(&head.scope_schema);
    }

    fn add_resource(head: &Head, scopes: &[u8], out: &mut Vec<u8>) {
        write_length(RESOURCE_LOGS, field_len(head.resource.len()) + scopes.len() + head.resource_schema.len(), out);
        write_bytes(RESOURCE, &head.resource, out);
        out.extend_from_slice(scopes);
        out.extend_from_slice(&head.resource_schema);
    }

    fn request(resources: Vec<u8>) -> Vec<u8> {
        resources
    }

    fn records(plain: &[u8]) -> Option<Vec<(Arc<Head>, &[u8])>> {
        let mut records = Vec::new();
        for field in fields(plain) {
            let (RESOURCE_LOGS, Field::Bytes(of)) = field? else { return None };
            let mut whole = Head::default();
            let mut scopes = Vec::new();
            for field in fields(of) {
                match field? {
                    (RESOURCE, Field::Bytes(bytes)) => whole.resource = bytes.into(),
                    (SCOPE_LOGS, Field::Bytes(bytes)) => scopes.push(bytes),
                    (SCHEMA, Field::Bytes(bytes)) => whole.resource_schema = schema_again(bytes),
                    _ => return None,
                }
            }
            for scope in scopes {
                let (mut head, mut own) = (whole.clone(), Vec::new());
                for field in fields(scope) {
                    match field? {
                        (SCOPE, Field::Bytes(bytes)) => head.scope = bytes.into(),
                        (LOG_RECORDS, Field::Bytes(bytes)) => own.push(bytes),
                        (SCHEMA, Field::Bytes(bytes)) => head.scope_schema = schema_again(bytes),
                        _ => return None,
                    }
                }
                let head = Arc::new(head);
                records.extend(own.into_iter().map(|record| (Arc::clone(&head), record)));
            }
        }
        Some(records)
    }
}

fn schema_again(url: &[u8]) -> Arc<[u8]> {
    let mut out = Vec::new();
    write_bytes(SCHEMA, url, &mut out);
    out.into()
}

fn write_unless_empty(tag: u32, text: &str, out: &mut Vec<u8>) {
    if !text.is_empty() {
        write_text(tag, text, out);
    }
}

fn write_attributes(tag: u32, attributes: &[Attribute], out: &mut Vec<u8>) {
    attributes.iter().for_each(|(key, value)| write_attribute(tag, key, value, out));
}

fn write_attribute(tag: u32, key: &str, value: &Value, out: &mut Vec<u8>) {
    write_length(tag, attribute_len(key, value), out);
    write_text(1, key, out);
    write_length(2, value_len(value), out);
    write_value(value, out);
}

fn attribute_len(key: &str, value: &Value) -> usize {
    field_len(key.len()) + field_len(value_len(value))
}

/// What a value's message takes.
fn value_len(value: &Value) -> usize {
    match value {
        Value::Empty => 0,
        Value::Text(text) => field_len(text.len()),
        Value::Bool(_) => 2,
        Value::Int(number) => 1 + prost::encoding::encoded_len_varint(*number as u64),
        Value::Double(_) => 9,
        Value::Bytes(bytes) => field_len(bytes.len()),
        Value::List(_) | Value::Map(_) => field_len(inner_len(value)),
    }
}

/// What the message of a list or a map takes.
fn inner_len(value: &Value) -> usize {
    match value {
        Value::List(all) => all.iter().map(|one| field_len(value_len(one))).sum(),
        Value::Map(all) => all.iter().map(|(key, value)| field_len(attribute_len(key, value))).sum(),
        _ => 0,
    }
}

fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Empty => {}
        Value::Text(text) => write_text(1, text, out),
        Value::Bool(is) => write_number(2, u64::from(*is), out),
        // As a 64-bit pattern, so that -1 takes ten bytes.
        Value::Int(number) => write_number(3, *number as u64, out),
        Value::Double(number) => write_fixed(4, number.to_bits(), out),
        Value::List(all) => {
            write_length(5, inner_len(value), out);
            for one in all {
                write_length(1, value_len(one), out);
                write_value(one, out);
            }
        }
        Value::Map(all) => {
            write_length(6, inner_len(value), out);
            write_attributes(1, all, out);
        }
        Value::Bytes(bytes) => write_bytes(7, bytes, out),
    }
}

fn write_fixed(tag: u32, number: u64, out: &mut Vec<u8>) {
    encode_key(tag, WireType::SixtyFourBit, out);
    out.extend_from_slice(&number.to_le_bytes());
}

fn write_number(tag: u32, number: u64, out: &mut Vec<u8>) {
    encode_key(tag, WireType::Varint, out);
    encode_varint(number, out);
}
