//! Protobuf's wire format, written and read field by field, without a schema.

use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint, encoded_len_varint};

/// Adds a field of text.
pub fn write_text(tag: u32, text: &str, out: &mut Vec<u8>) {
    write_bytes(tag, text.as_bytes(), out);
}

/// Adds a field of text, or a message that stands as it is.
pub fn write_bytes(tag: u32, bytes: &[u8], out: &mut Vec<u8>) {
    write_length(tag, bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// Adds the head of a field of `len` bytes, which come behind it.
pub fn write_length(tag: u32, len: usize, out: &mut Vec<u8>) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(len as u64, out);
}

/// What a field of `len` bytes takes, its head included; its number is below 16.
pub fn field_len(len: usize) -> usize {
    1 + encoded_len_varint(len as u64) + len
}

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
