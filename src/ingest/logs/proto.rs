//! OTLP's logs in protobuf, read field by field into records: derived messages would be built whole before anybody
//! could count what they take.
//!
//! The messages stand in `formats/otlp/logs/proto.rs`, with what is written. Fields that are not known are skipped, and
//! text that is not UTF-8 is mended rather than refused: an application would send it again and again.

use std::sync::Arc;

use prost::encoding::{WireType, decode_key, decode_varint};

use super::budget::{Budget, MAX_DEPTH, Refused};
use super::part::{Part, id, name_of, severity};
use crate::model::{Application, Attribute, Origin, Record, Value};

/// A field's content.
enum Field<'b> {
    /// An integer.
    Number(u64),
    /// Eight bytes, as a number.
    Fixed64(u64),
    /// Four bytes, as a number.
    Fixed32(u32),
    /// Text, bytes, a message.
    Bytes(&'b [u8]),
}

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

fn attribute(pair: &[u8], depth: usize, budget: &mut Budget) -> Result<Attribute, Refused> {
    budget.take::<Attribute>(0)?;
    let mut attribute = Attribute::default();
    for field in fields(pair) {
        match field? {
            (1, Field::Bytes(key)) => attribute.0 = text(key, budget)?,
            (2, Field::Bytes(of)) => attribute.1 = value(of, depth, budget)?,
            _ => {}
        }
    }
    Ok(attribute)
}

fn value(bytes: &[u8], depth: usize, budget: &mut Budget) -> Result<Value, Refused> {
    if depth >= MAX_DEPTH {
        return Err(Refused::Malformed(format!("values lie more than {MAX_DEPTH} deep in each other")));
    }
    let mut value = Value::Empty;
    // Of several the last one counts.
    for field in fields(bytes) {
        value = match field? {
            (1, Field::Bytes(bytes)) => Value::Text(text(bytes, budget)?),
            (2, Field::Number(number)) => Value::Bool(number != 0),
            (3, Field::Number(number)) => Value::Int(number as i64),
            (4, Field::Fixed64(bits)) => Value::Double(f64::from_bits(bits)),
            (5, Field::Bytes(list)) => {
                let mut all = Vec::new();
                for field in fields(list) {
                    if let (1, Field::Bytes(one)) = field? {
                        budget.take::<Value>(0)?;
                        all.push(self::value(one, depth + 1, budget)?);
                    }
                }
                Value::List(all)
            }
            (6, Field::Bytes(map)) => {
                let mut all = Vec::new();
                for field in fields(map) {
                    if let (1, Field::Bytes(pair)) = field? {
                        all.push(attribute(pair, depth + 1, budget)?);
                    }
                }
                Value::Map(all)
            }
            (7, Field::Bytes(bytes)) => {
                budget.take::<u8>(bytes.len())?;
                Value::Bytes(bytes.into())
            }
            _ => value,
        };
    }
    Ok(value)
}

fn text(bytes: &[u8], budget: &mut Budget) -> Result<Box<str>, Refused> {
    // Each byte that is none of UTF-8 becomes one of three.
    let text = String::from_utf8_lossy(bytes);
    budget.take::<u8>(text.len())?;
    Ok(text.into())
}

/// The fields of a message with their numbers, in order; an error ends them.
fn fields(message: &[u8]) -> impl Iterator<Item = Result<(u32, Field<'_>), Refused>> {
    let mut rest = Some(message);
    std::iter::from_fn(move || {
        let mut left = rest.filter(|left| !left.is_empty())?;
        let at = message.len() - left.len();
        let field = field(&mut left);
        rest = field.is_some().then_some(left);
        Some(field.ok_or_else(|| Refused::Malformed(format!("no field of protobuf at byte {at} of a message"))))
    })
}

fn field<'b>(rest: &mut &'b [u8]) -> Option<(u32, Field<'b>)> {
    let (number, wire) = decode_key(rest).ok()?;
    let content = match wire {
        WireType::Varint => Field::Number(decode_varint(rest).ok()?),
        WireType::SixtyFourBit => Field::Fixed64(u64::from_le_bytes(fixed(rest)?)),
        WireType::ThirtyTwoBit => Field::Fixed32(u32::from_le_bytes(fixed(rest)?)),
        WireType::LengthDelimited => {
            let len = usize::try_from(decode_varint(rest).ok()?).ok()?;
            let (bytes, left) = rest.split_at_checked(len)?;
            *rest = left;
            Field::Bytes(bytes)
        }
        // OTLP has no groups.
        WireType::StartGroup | WireType::EndGroup => return None,
    };
    Some((number, content))
}

fn fixed<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, left) = rest.split_first_chunk::<N>()?;
    *rest = left;
    Some(*bytes)
}
