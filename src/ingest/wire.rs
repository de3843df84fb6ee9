//! OTLP in protobuf, read field by field: derived messages would be built whole before anybody could count what
//! they take. Fields that are not known are skipped.

use prost::encoding::{WireType, decode_key, decode_varint};

use super::budget::{Budget, MAX_DEPTH, Refused};
use crate::model::{Attribute, Value};

/// A field's content.
pub enum Field<'b> {
    /// An integer.
    Number(u64),
    /// Eight bytes, as a number.
    Fixed64(u64),
    /// Four bytes, as a number.
    Fixed32(u32),
    /// Text, bytes, a message.
    Bytes(&'b [u8]),
}

/// A `KeyValue`.
pub fn attribute(pair: &[u8], depth: usize, budget: &mut Budget) -> Result<Attribute, Refused> {
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

/// An `AnyValue`, which lies so deep in others.
pub fn value(bytes: &[u8], depth: usize, budget: &mut Budget) -> Result<Value, Refused> {
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

/// Text, mended where it is no UTF-8.
pub fn text(bytes: &[u8], budget: &mut Budget) -> Result<Box<str>, Refused> {
    // Each byte that is none of UTF-8 becomes one of three.
    let text = String::from_utf8_lossy(bytes);
    budget.take::<u8>(text.len())?;
    Ok(text.into())
}

/// The fields of a message with their numbers, in order; an error ends them.
pub fn fields(message: &[u8]) -> impl Iterator<Item = Result<(u32, Field<'_>), Refused>> {
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
