//! OTLP's logs in JSON: protobuf's mapping, with ids in hexadecimal, enums as numbers, 64-bit numbers as texts or
//! numbers. Keys that are not known are passed over.
//!
//! <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>

use std::sync::Arc;

use super::part::{Part, id, name_of, severity};
use crate::ingest::budget::{Budget, Refused};
use crate::ingest::json::{Any, Few, Number, Pair, read};
use crate::model::{Application, Origin, Record, Value};

pub fn records(body: &[u8], now_ns: u64, budget: &mut Budget) -> Result<Vec<Record>, Refused> {
    let request: Request = read(body, budget)?;
    let mut records = Vec::new();
    for of in request.resource_logs.0 {
        let attributes = of.resource.unwrap_or_default().attributes.0.into_iter().map(Pair::into).collect();
        let application = Application { attributes, schema: of.schema_url.unwrap_or_default() };
        let (source, application) = (name_of(&application.attributes), Arc::new(application));
        for scope in of.scope_logs.0 {
            let mut part = Part::of(&source, &application);
            let who = scope.scope.unwrap_or_default();
            part.origin = Arc::new(Origin {
                application: Arc::clone(&application),
                scope: who.name.unwrap_or_default(),
                version: who.version.unwrap_or_default(),
                attributes: who.attributes.0.into_iter().map(Pair::into).collect(),
                schema: scope.schema_url.unwrap_or_default(),
            });
            records.extend(scope.log_records.0.into_iter().map(|record| record.read(part.record(now_ns))));
        }
    }
    Ok(records)
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    #[serde(default)]
    resource_logs: Few<OfResource>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfResource {
    resource: Option<Resource>,
    #[serde(default)]
    scope_logs: Few<OfScope>,
    schema_url: Option<Box<str>>,
}

#[derive(Default, serde::Deserialize)]
struct Resource {
    #[serde(default)]
    attributes: Few<Pair>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfScope {
    scope: Option<Scope>,
    #[serde(default)]
    log_records: Few<LogRecord>,
    schema_url: Option<Box<str>>,
}

#[derive(Default, serde::Deserialize)]
struct Scope {
    name: Option<Box<str>>,
    version: Option<Box<str>>,
    #[serde(default)]
    attributes: Few<Pair>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogRecord {
    time_unix_nano: Option<Number>,
    observed_time_unix_nano: Option<Number>,
    severity_number: Option<Number>,
    severity_text: Option<Box<str>>,
    body: Option<Any>,
    #[serde(default)]
    attributes: Few<Pair>,
    dropped_attributes_count: Option<Number>,
    flags: Option<Number>,
    trace_id: Option<Box<str>>,
    span_id: Option<Box<str>>,
    event_name: Option<Box<str>>,
}

impl LogRecord {
    fn read(self, record: Record) -> Record {
        let unsigned = |number: Option<Number>| number.and_then(|Number(number)| u64::try_from(number).ok());
        let small = |number| unsigned(number).map_or(0, |number| u32::try_from(number).unwrap_or(u32::MAX));
        let time = |number| unsigned(number).filter(|time| *time != 0);
        let number = self.severity_number.map_or(0, |Number(number)| i64::try_from(number).unwrap_or(0));
        Record {
            time_ns: time(self.time_unix_nano),
            observed_ns: time(self.observed_time_unix_nano).unwrap_or(record.observed_ns),
            severity_number: severity(number),
            severity: self.severity_text.unwrap_or_default(),
            message: self.body.map_or(Value::Empty, |Any(value)| value),
            attributes: self.attributes.0.into_iter().map(Pair::into).collect(),
            dropped_attributes: small(self.dropped_attributes_count),
            flags: small(self.flags),
            trace_id: self.trace_id.and_then(|text| id(&bytes_of_hex(&text)?)),
            span_id: self.span_id.and_then(|text| id(&bytes_of_hex(&text)?)),
            event: self.event_name.unwrap_or_default(),
            ..record
        }
    }
}

fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.as_bytes().chunks(2).take(32);
    pairs.map(|pair| Some((digit(pair[0])? << 4 | digit(*pair.get(1)?)?) as u8)).collect()
}
