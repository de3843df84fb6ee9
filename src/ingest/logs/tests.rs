//! Requests as an official library writes them, and as nobody should.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use super::*;
use crate::model::{Application, Origin, Value};

const NOW_NS: u64 = 1_700_000_009_000_000_000;
const MAX: usize = 1 << 20;

fn any(value: any_value::Value) -> Option<AnyValue> {
    Some(AnyValue { value: Some(value) })
}

fn text(text: &str) -> Option<AnyValue> {
    any(any_value::Value::StringValue(text.to_owned()))
}

fn pair(key: &str, value: Option<AnyValue>) -> KeyValue {
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn request(resource: Vec<KeyValue>, log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    let scope = InstrumentationScope {
        name: "db".to_owned(),
        version: "1.2".to_owned(),
        attributes: vec![pair("pool", any(any_value::Value::IntValue(3)))],
        dropped_attributes_count: 0,
    };
    let scope_logs = vec![ScopeLogs { scope: Some(scope), log_records, schema_url: "s2".to_owned() }];
    let resource = Some(Resource { attributes: resource, ..Resource::default() });
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { resource, scope_logs, schema_url: "s1".to_owned() }] }
}

/// In both encodings.
fn written(request: &ExportLogsServiceRequest) -> [(Encoding, Vec<u8>); 2] {
    [(Encoding::Protobuf, request.encode_to_vec()), (Encoding::Json, serde_json::to_vec(request).unwrap())]
}

fn full() -> ExportLogsServiceRequest {
    use any_value::Value::{BoolValue, BytesValue, DoubleValue, IntValue, KvlistValue};
    let list = ArrayValue { values: vec![any(IntValue(-1)).unwrap(), AnyValue { value: None }] };
    let map = KeyValueList { values: vec![pair("k", text("v")), pair("none", None)] };
    let record = LogRecord {
        time_unix_nano: 1_700_000_000_123_456_789,
        observed_time_unix_nano: 1_700_000_001_000_000_000,
        severity_number: 17,
        severity_text: "ERROR".to_owned(),
        body: text("no \"space\"\nleft é"),
        attributes: vec![
            pair("yes", any(BoolValue(true))),
            pair("int", any(IntValue(i64::MIN))),
            pair("double", any(DoubleValue(0.5))),
            pair("bytes", any(BytesValue(vec![0, 255]))),
            pair("list", any(any_value::Value::ArrayValue(list))),
            pair("map", any(KvlistValue(map))),
        ],
        dropped_attributes_count: 2,
        flags: 1,
        trace_id: (1..=16).collect(),
        span_id: vec![0, 0, 0, 0, 0, 0, 0, 255],
        event_name: "disk.full".to_owned(),
    };
    request(vec![pair("service.name", text("shop"))], vec![record])
}

#[test]
fn a_record_is_what_its_application_says() {
    let attributes: [(&str, Value); 6] = [
        ("yes", Value::Bool(true)),
        ("int", Value::Int(i64::MIN)),
        ("double", Value::Double(0.5)),
        ("bytes", Value::Bytes([0, 255].into())),
        ("list", Value::List(vec![Value::Int(-1), Value::Empty])),
        ("map", Value::Map(vec![("k".into(), Value::text("v")), ("none".into(), Value::Empty)])),
    ];
    let application =
        Application { attributes: vec![("service.name".into(), Value::text("shop"))], schema: "s1".into() };
    let expected = Record {
        time_ns: Some(1_700_000_000_123_456_789),
        observed_ns: 1_700_000_001_000_000_000,
        severity: "ERROR".into(),
        severity_number: 17,
        message: Value::text("no \"space\"\nleft é"),
        source: "shop".into(),
        attributes: attributes.map(|(key, value)| (key.into(), value)).into(),
        labels: crate::model::Labels::EMPTY,
        truncated: false,
        origin: Some(Arc::new(Origin {
            application: Arc::new(application),
            scope: "db".into(),
            version: "1.2".into(),
            attributes: vec![("pool".into(), Value::Int(3))],
            schema: "s2".into(),
        })),
        trace_id: Some(std::array::from_fn(|at| at as u8 + 1)),
        span_id: Some([0, 0, 0, 0, 0, 0, 0, 255]),
        flags: 1,
        event: "disk.full".into(),
        dropped_attributes: 2,
    };
    for (encoding, body) in written(&full()) {
        assert_eq!(records(encoding, &body, MAX, NOW_NS), Ok(vec![expected.clone()]), "{encoding:?}");
    }
}

#[test]
fn what_is_not_said_or_makes_no_sense_is_left_out() {
    let bare = LogRecord {
        severity_number: 25,
        trace_id: vec![1; 15],
        span_id: vec![0; 8],
        body: text("hello"),
        ..LogRecord::default()
    };
    for (encoding, body) in written(&request(Vec::new(), vec![bare])) {
        let all = records(encoding, &body, MAX, NOW_NS).unwrap();
        let [one] = &all[..] else { panic!("{}", all.len()) };
        assert_eq!((one.time_ns, one.observed_ns), (None, NOW_NS));
        assert_eq!((&*one.source, one.severity_number, one.trace_id, one.span_id), ("otlp", 0, None, None));
        assert_eq!((&one.message, one.attributes.len()), (&Value::text("hello"), 0));
    }
    for (encoding, body) in written(&ExportLogsServiceRequest::default()) {
        assert_eq!(records(encoding, &body, MAX, NOW_NS), Ok(Vec::new()), "a request of nothing is one");
    }
}

#[test]
fn json_is_read_as_the_mapping_has_it() {
    let body = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[
        {"timeUnixNano":1700000000123456789,"severityNumber":"9","flags":null,"unknown":{"a":[1]},
         "traceId":"0AF7651916CD43DD8448EB211C80319C","body":{"intValue":7},
         "attributes":[{"key":"nan","value":{"doubleValue":"NaN"}},{"key":"inf","value":{"doubleValue":"-Infinity"}},
                       {"key":"none"},{"value":{"stringValue":"\u00e9"}}]},
        {"attributes":null}]}]},{"resource":null,"scopeLogs":null}]}"#;
    let all = records(Encoding::Json, body, MAX, NOW_NS).unwrap();
    let [first, second] = &all[..] else { panic!("{}", all.len()) };
    assert_eq!(
        (first.time_ns, first.severity_number, &first.message),
        (Some(1_700_000_000_123_456_789), 9, &Value::Int(7))
    );
    assert_eq!(first.trace_id.unwrap()[..3], [0x0a, 0xf7, 0x65]);
    let [nan, inf, none, nameless] = &first.attributes[..] else { panic!("{:?}", first.attributes) };
    assert!(matches!(nan.1, Value::Double(number) if number.is_nan()));
    assert_eq!((&inf.1, &none.1), (&Value::Double(f64::NEG_INFINITY), &Value::Empty));
    assert_eq!((&*nameless.0, &nameless.1), ("", &Value::text("é")));
    assert_eq!(second.message, Value::Empty);
}

fn malformed(encoding: Encoding, body: &[u8]) -> String {
    match records(encoding, body, MAX, NOW_NS) {
        Err(Refused::Malformed(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_no_request_is_refused_in_words() {
    assert_eq!(malformed(Encoding::Protobuf, b"<html>"), "no field of protobuf at byte 0 of a message");
    assert_eq!(malformed(Encoding::Json, b"<html>"), "expected a JSON object");
    assert_eq!(malformed(Encoding::Json, b" [[]]"), "expected a JSON object");
    assert!(
        malformed(Encoding::Json, br#"{"resourceLogs":1}"#).starts_with("invalid type: integer `1`, expected a list")
    );
    let wrong = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"intValue":"x"}}]}]}]}"#;
    assert!(malformed(Encoding::Json, wrong).starts_with("no whole number"));
}

#[test]
fn text_that_is_not_utf_8_is_mended() {
    let body = request(Vec::new(), vec![LogRecord { body: text("a?b"), ..LogRecord::default() }]).encode_to_vec();
    let at = body.windows(3).position(|three| three == b"a?b").unwrap();
    let mut body = body;
    body[at + 1] = 0xff;
    let all = records(Encoding::Protobuf, &body, MAX, NOW_NS).unwrap();
    assert_eq!(all[0].message, Value::text("a\u{fffd}b"));
}

#[test]
fn a_request_that_is_cut_anywhere_does_not_panic_and_is_no_more_than_it_was() {
    for (encoding, body) in written(&full()) {
        for end in 0..body.len() {
            let read = records(encoding, &body[..end], MAX, NOW_NS);
            assert!(read.is_err() || read.unwrap().len() <= 1);
        }
        // And with each byte another one.
        for at in 0..body.len() {
            let mut body = body.clone();
            body[at] ^= 0x55;
            let _ = records(encoding, &body, MAX, NOW_NS);
        }
    }
}

/// A request whose record has this as its body.
fn with_body(body: Option<AnyValue>) -> ExportLogsServiceRequest {
    request(Vec::new(), vec![LogRecord { body, ..LogRecord::default() }])
}

#[test]
fn values_lie_sixteen_deep_and_no_deeper() {
    let nested = |depth: usize| {
        let wrap = |value: AnyValue, at: usize| match at % 2 {
            0 => any(any_value::Value::ArrayValue(ArrayValue { values: vec![value] })).unwrap(),
            _ => any(any_value::Value::KvlistValue(KeyValueList { values: vec![pair("k", Some(value))] })).unwrap(),
        };
        with_body(Some((1..depth).fold(text("x").unwrap(), wrap)))
    };
    for (encoding, body) in written(&nested(16)) {
        assert_eq!(records(encoding, &body, MAX, NOW_NS).map(|all| all.len()), Ok(1), "{encoding:?}");
    }
    for (encoding, body) in written(&nested(17)) {
        assert!(malformed(encoding, &body).contains("more than 16 deep"), "{encoding:?}");
    }
    // Deeper than any stack.
    let deep = "{\"arrayValue\":{\"values\":[".repeat(100_000);
    let body = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{deep}"#);
    assert!(malformed(Encoding::Json, body.as_bytes()).contains("deep"), "and not for its end");
}

#[test]
fn what_is_little_as_bytes_and_much_in_memory_is_too_much() {
    // A record in two bytes, of which a quarter of a million fit; each takes hundreds in memory.
    let records_of_nothing = [0x12, 0x00].repeat(MAX / 8);
    let mut scope = vec![0x12];
    prost::encoding::encode_varint(records_of_nothing.len() as u64, &mut scope);
    scope.extend(&records_of_nothing);
    let mut body = vec![0x0a];
    prost::encoding::encode_varint(scope.len() as u64, &mut body);
    body.extend(&scope);
    assert!(body.len() < MAX);
    assert_eq!(records(Encoding::Protobuf, &body, MAX, NOW_NS).err(), Some(Refused::TooMuch));
    let of_nothing = "{},".repeat(MAX / 8);
    let body = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{of_nothing}{{}}]}}]}}]}}"#);
    assert_eq!(records(Encoding::Json, body.as_bytes(), MAX, NOW_NS).err(), Some(Refused::TooMuch));
    // Attributes are no other way in, nor lists.
    let pairs = KeyValueList { values: vec![KeyValue::default(); MAX / 4] };
    let list = ArrayValue { values: vec![AnyValue { value: None }; MAX / 4] };
    for value in [any_value::Value::KvlistValue(pairs), any_value::Value::ArrayValue(list)] {
        for (encoding, body) in written(&with_body(any(value))) {
            assert_eq!(records(encoding, &body, MAX, NOW_NS).err(), Some(Refused::TooMuch), "{encoding:?}");
        }
    }
}

#[test]
fn what_applications_send_fits() {
    // As much as may come, of records of about the usual size.
    let record = || LogRecord {
        time_unix_nano: 1,
        severity_text: "INFO".to_owned(),
        body: text("GET /api/v1/items/4711 200 in 12.5 ms"),
        attributes: (0..6).map(|n| pair(&format!("http.attribute.{n}"), text("some value of it"))).collect(),
        ..LogRecord::default()
    };
    let one = request(Vec::new(), vec![record()]).encode_to_vec().len();
    let many = request(Vec::new(), (0..MAX / one).map(|_| record()).collect());
    for (encoding, body) in written(&many) {
        let max = body.len().max(MAX);
        assert_eq!(records(encoding, &body, max, NOW_NS).map(|all| all.len()), Ok(MAX / one), "{encoding:?}");
    }
}
