//! Reading protobuf's wire format, field by field, without a schema.

use prost::encoding::{WireType, decode_key, decode_varint};

/// A field's content.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Field<'b> {
    /// An integer, or what is stored as one.
    Varint(u64),
    /// Eight bytes.
    Fixed64([u8; 8]),
    /// A message, text, or packed numbers.
    Bytes(&'b [u8]),
}

/// The fields of `message` with their numbers, in order; a none ends it where it is damaged.
pub fn fields(message: &[u8]) -> impl Iterator<Item = Option<(u32, Field<'_>)>> {
    let mut rest = Some(message);
    std::iter::from_fn(move || {
        let mut left = rest.filter(|left| !left.is_empty())?;
        let field = field(&mut left);
        rest = field.is_some().then_some(left);
        Some(field)
    })
}

fn field<'b>(rest: &mut &'b [u8]) -> Option<(u32, Field<'b>)> {
    let (number, wire) = decode_key(rest).ok()?;
    let content = match wire {
        WireType::Varint => Field::Varint(decode_varint(rest).ok()?),
        WireType::SixtyFourBit => {
            let (bytes, left) = rest.split_first_chunk::<8>()?;
            *rest = left;
            Field::Fixed64(*bytes)
        }
        WireType::LengthDelimited => {
            let len = usize::try_from(decode_varint(rest).ok()?).ok()?;
            let (bytes, left) = rest.split_at_checked(len)?;
            *rest = left;
            Field::Bytes(bytes)
        }
        // Groups and 32 bits: no message of remote write has any.
        _ => return None,
    };
    Some((number, content))
}

/// The numbers of a packed field.
pub fn packed(mut bytes: &[u8]) -> Option<Vec<u64>> {
    let mut numbers = Vec::new();
    while !bytes.is_empty() {
        numbers.push(decode_varint(&mut bytes).ok()?);
    }
    Some(numbers)
}
