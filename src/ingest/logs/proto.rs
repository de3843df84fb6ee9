//! OTLP's logs in protobuf, read field by field into records: derived messages would be built whole before anybody
//! could count what they take.
//!
//! The messages stand in `formats/otlp/logs/proto.rs`, with what is written. Fields that are not known are skipped, and
//! text that is not UTF-8 is mended rather than refused: an application would send it again and again.

use std::sync::Arc;

use super::part::{Part, id, name_of, severity};
use crate::ingest::budget::{Budget, Refused};
use crate::ingest::wire::{Field, attribute, fields, text, value};
use crate::model::{Application, Origin, Record};

pub fn records(body: &[u8], now_ns: u64, budget: &mut Budget) -> Result<Vec<Record>, Refused> {
    let mut records = Vec::new();
    for field in fields(body) {
        if let (1, Field::Bytes(of)) = field? {
            resource_logs(of, now_ns, budget, &mut records)?;
        }
    }
    Ok(records)
}

fn resource_logs(of: &[u8], now_ns: u64, budget: &mut Budget, records: &mut Vec<Record>) -> Result<(), Refused> {
    let mut application = Application::default();
    // The resource may stand behind its records.
    for field in fields(of) {
        match field? {
            (1, Field::Bytes(resource)) => {
                for field in fields(resource) {
                    if let (1, Field::Bytes(pair)) = field? {
                        application.attributes.push(attribute(pair, 0, budget)?);
                    }
                }
            }
            (3, Field::Bytes(url)) => application.schema = text(url, budget)?,
            _ => {}
        }
    }
    budget.take::<Application>(0)?;
    let (source, application) = (name_of(&application.attributes), Arc::new(application));
    for field in fields(of) {
        if let (2, Field::Bytes(scope)) = field? {
            scope_logs(scope, Part::of(&source, &application), now_ns, budget, records)?;
        }
    }
    Ok(())
}

fn scope_logs(
    of: &[u8],
    mut part: Part,
    now_ns: u64,
    budget: &mut Budget,
    records: &mut Vec<Record>,
) -> Result<(), Refused> {
    budget.take::<Origin>(0)?;
    let mut origin = Origin::clone(&part.origin);
    for field in fields(of) {
        match field? {
            (1, Field::Bytes(scope)) => {
                for field in fields(scope) {
                    match field? {
                        (1, Field::Bytes(name)) => origin.scope = text(name, budget)?,
                        (2, Field::Bytes(version)) => origin.version = text(version, budget)?,
                        (3, Field::Bytes(pair)) => origin.attributes.push(attribute(pair, 0, budget)?),
                        _ => {}
                    }
                }
            }
            (3, Field::Bytes(url)) => origin.schema = text(url, budget)?,
            _ => {}
        }
    }
    part.origin = Arc::new(origin);
    for field in fields(of) {
        if let (2, Field::Bytes(bytes)) = field? {
            budget.take::<Record>(0)?;
            records.push(record(bytes, part.record(now_ns), budget)?);
        }
    }
    Ok(())
}

fn record(bytes: &[u8], mut record: Record, budget: &mut Budget) -> Result<Record, Refused> {
    for field in fields(bytes) {
        match field? {
            (1, Field::Fixed64(time)) => record.time_ns = Some(time).filter(|time| *time != 0),
            // An enum is an int32, and a negative one ten bytes of a 64-bit one.
            (2, Field::Number(number)) => record.severity_number = severity(number as i64),
            (3, Field::Bytes(word)) => record.severity = text(word, budget)?,
            (5, Field::Bytes(body)) => record.message = value(body, 0, budget)?,
            (6, Field::Bytes(pair)) => record.attributes.push(attribute(pair, 0, budget)?),
            (7, Field::Number(dropped)) => record.dropped_attributes = u32::try_from(dropped).unwrap_or(u32::MAX),
            (8, Field::Fixed32(flags)) => record.flags = flags,
            (9, Field::Bytes(bytes)) => record.trace_id = id(bytes),
            (10, Field::Bytes(bytes)) => record.span_id = id(bytes),
            (11, Field::Fixed64(time)) if time != 0 => record.observed_ns = time,
            (12, Field::Bytes(name)) => record.event = text(name, budget)?,
            _ => {}
        }
    }
    Ok(record)
}
