//! Requests of logs, decoded by OpenTelemetry's own definitions.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource as ProtoResource;
use prost::Message;

use super::*;
use crate::formats::Options;
use crate::formats::otlp::Encoding;
use crate::formats::otlp::FORMAT;
use crate::formats::testing::{record, records, speaking};
use crate::model::{Application, Record};

/// Each encoding, plain and compressed.
fn all_options() -> impl Iterator<Item = Options> {
    let each = |encoding: Encoding| {
        [Compression::None, Compression::Gzip].map(|compression| Options::compressed(compression).with(encoding))
    };
    Encoding::ALL.into_iter().flat_map(each)
}

fn decode(content: &Content, body: &[u8]) -> ExportLogsServiceRequest {
    let plain = unpack(content, body).unwrap();
    let kind = &content.iter().find(|(name, _)| name == "Content-Type").unwrap().1;
    match kind.as_str() {
        "application/json" => serde_json::from_slice(&plain).unwrap(),
        "application/x-protobuf" => ExportLogsServiceRequest::decode(&plain[..]).unwrap(),
        other => panic!("{other}"),
    }
}

fn encode(options: &Options, all: Vec<Record>, most: u64) -> (Content, Vec<Piece>) {
    let labels = Labels::of(&[("dc", "eu"), ("app", "x")]);
    let mut encoder = (FORMAT.records.unwrap().encoder)(options, &labels);
    let mut out = Bodies::default();
    encoder.encode(&records(all), most, &mut out);
    (encoder.content(), out.drain().collect())
}

fn any(value: any_value::Value) -> Option<AnyValue> {
    Some(AnyValue { value: Some(value) })
}

fn text(text: &str) -> Option<AnyValue> {
    any(any_value::Value::StringValue(text.to_owned()))
}

fn pair(key: &str, value: Option<AnyValue>) -> KeyValue {
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

#[test]
fn a_record_is_sent_on_as_its_application_said_it() {
    use any_value::Value::{BoolValue, BytesValue, DoubleValue, IntValue, KvlistValue};
    let list = ArrayValue { values: vec![any(IntValue(1)).unwrap(), AnyValue { value: None }] };
    let mut attributes = vec![
        pair("text", text("é\u{1}")),
        pair("yes", any(BoolValue(true))),
        pair("int", any(IntValue(-9_007_199_254_740_993))),
        pair("double", any(DoubleValue(0.5))),
        pair("bytes", any(BytesValue(vec![0, 255]))),
        pair("list", any(any_value::Value::ArrayValue(list))),
        pair("map", any(KvlistValue(KeyValueList { values: vec![pair("k", text("v"))] }))),
    ];
    // What our own record says besides: its labels, then the destination's, then that it is cut.
    attributes.extend([pair("app", text("shop")), pair("dc", text("eu")), pair("truncated", any(BoolValue(true)))]);
    let log_record = LogRecord {
        time_unix_nano: 1_700_000_000_123_456_789,
        observed_time_unix_nano: 1_700_000_001_000_000_000,
        severity_number: 17,
        severity_text: "ERROR".to_owned(),
        body: text("no \"space\"\nleft"),
        attributes,
        dropped_attributes_count: 2,
        flags: 1,
        trace_id: (1..=16).collect(),
        span_id: vec![0, 0, 0, 0, 0, 0, 0, 255],
        event_name: "disk.full".to_owned(),
    };
    let scope = InstrumentationScope {
        name: "db".to_owned(),
        version: "1.2".to_owned(),
        attributes: vec![pair("pool", any(IntValue(3)))],
        dropped_attributes_count: 0,
    };
    let resource = ProtoResource { attributes: vec![pair("service.name", text("shop"))], ..ProtoResource::default() };
    let expected = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(resource),
            scope_logs: vec![ScopeLogs {
                scope: Some(scope),
                log_records: vec![log_record],
                schema_url: "scope-schema".to_owned(),
            }],
            schema_url: "https://opentelemetry.io/schemas/1.30.0".to_owned(),
        }],
    };
    for options in all_options() {
        // NaN is equal to nothing; it has a test of its own.
        let mut speaking = speaking();
        speaking.attributes.retain(|(key, _)| **key != *"nan");
        let (content, bodies) = encode(&options, vec![speaking], 1000);
        assert_eq!(decode(&content, &bodies[0].bytes), expected, "{options:?}");
        assert_eq!((bodies.len(), bodies[0].samples), (1, 1));
    }
}

#[test]
fn numbers_that_json_has_none_for_are_words_there() {
    for (number, word) in [(f64::NAN, "NaN"), (f64::INFINITY, "Infinity"), (f64::NEG_INFINITY, "-Infinity")] {
        let mut record = record("x");
        record.attributes = vec![("n".into(), crate::model::Value::Double(number))];
        let of = |encoding: Encoding| Options::compressed(Compression::None).with(encoding);
        let (content, bodies) = encode(&of(Encoding::Protobuf), vec![record.clone()], 1000);
        let got = decode(&content, &bodies[0].bytes);
        let got = &got.resource_logs[0].scope_logs[0].log_records[0].attributes[0];
        let Some(any_value::Value::DoubleValue(got)) = got.value.as_ref().unwrap().value else { panic!("{got:?}") };
        assert_eq!(got.to_bits(), number.to_bits());
        // Protobuf's own mapping; the reader that decodes the others takes numbers alone here.
        let (_, bodies) = encode(&of(Encoding::Json), vec![record], 1000);
        let whole: serde_json::Value = serde_json::from_slice(&bodies[0].bytes).unwrap();
        let record = &whole["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
        assert_eq!(record["attributes"][0]["value"]["doubleValue"], word);
    }
}

/// `service.name` or the host's name, scope, messages.
type Group = (String, String, Vec<String>);

fn groups(request: &ExportLogsServiceRequest) -> Vec<Group> {
    let word = |value: &Option<AnyValue>| match value.as_ref().and_then(|any| any.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        other => panic!("{other:?}"),
    };
    let mut all = Vec::new();
    for of in &request.resource_logs {
        let attributes = &of.resource.as_ref().unwrap().attributes;
        // The host of these tests has its name alone.
        let is_it = |pair: &&KeyValue| ["service.name", "host.name"].contains(&&*pair.key);
        let name = word(&attributes.iter().find(is_it).unwrap().value);
        for scope in &of.scope_logs {
            let messages = scope.log_records.iter().map(|record| word(&record.body)).collect();
            all.push((name.clone(), scope.scope.as_ref().unwrap().name.clone(), messages));
        }
    }
    all
}

/// The host's, two parts' of one application, and another application's.
fn mixed() -> Vec<Record> {
    let application = |name: &str| {
        let attributes = vec![("service.name".into(), crate::model::Value::text(name))];
        Arc::new(Application { attributes, schema: "".into() })
    };
    let part = |application: &Arc<Application>, scope: &str| {
        Some(Arc::new(Origin { application: Arc::clone(application), scope: scope.into(), ..Origin::default() }))
    };
    let (shop, mail) = (application("shop"), application("mail"));
    let (db, web, smtp) = (part(&shop, "db"), part(&shop, "web"), part(&mail, "smtp"));
    let of = |message: &str, origin: &Option<Arc<Origin>>| Record { origin: origin.clone(), ..record(message) };
    vec![of("a", &None), of("b", &db), of("c", &db), of("d", &web), of("e", &smtp)]
}

fn group(name: &str, scope: &str, messages: &[&str]) -> Group {
    (name.to_owned(), scope.to_owned(), messages.iter().map(|message| (*message).to_owned()).collect())
}

#[test]
fn records_stand_by_resource_and_scope_and_are_divided_so() {
    for options in all_options() {
        let (content, bodies) = encode(&options, mixed(), 1000);
        let whole = decode(&content, &bodies[0].bytes);
        let expected = [
            group("host-1", "metricsd", &["a"]),
            group("shop", "db", &["b", "c"]),
            group("shop", "web", &["d"]),
            group("mail", "smtp", &["e"]),
        ];
        assert_eq!(groups(&whole), expected, "{options:?}");
        assert_eq!((bodies.len(), whole.resource_logs.len()), (1, 3), "one for each resource");
        let pieces = divide(&content, &bodies[0].bytes, 2).unwrap();
        let pieces: Vec<_> =
            pieces.iter().map(|piece| (piece.samples, groups(&decode(&content, &piece.bytes)))).collect();
        let expected = [
            (1, vec![group("host-1", "metricsd", &["a"])]),
            (2, vec![group("shop", "db", &["b", "c"])]),
            (2, vec![group("shop", "web", &["d"]), group("mail", "smtp", &["e"])]),
        ];
        assert_eq!(pieces, expected, "{options:?}");
        let (_, small) = encode(&options, mixed(), 2);
        let sizes: Vec<u64> = small.iter().map(|body| body.samples).collect();
        assert_eq!(sizes, [2, 2, 1], "{options:?}");
    }
}

#[test]
fn a_body_takes_a_megabyte_or_one_record() {
    let long = |len| record(&"x".repeat(len));
    for options in all_options() {
        let (_, bodies) = encode(&options, vec![long(600_000), long(600_000), long(2 << 20), long(10), long(10)], 1000);
        let sizes: Vec<u64> = bodies.iter().map(|body| body.samples).collect();
        assert_eq!(sizes, [1, 1, 1, 2], "{options:?}");
    }
}

#[test]
fn what_is_damaged_is_not_divided() {
    for options in all_options() {
        let (content, bodies) = encode(&options, mixed(), 1000);
        let whole = &bodies[0].bytes;
        assert!(divide(&content, &[], 1).is_none());
        for end in 0..whole.len() {
            // Half of protobuf may be a whole by itself; nothing panics, and none has more than there was.
            let pieces = divide(&content, &whole[..end], 1).unwrap_or_default();
            assert!(pieces.len() < 5);
        }
    }
}
