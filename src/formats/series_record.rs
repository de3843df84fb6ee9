//! A series as bytes, in the list of those that a destination was sent.
//!
//! ```text
//! series  kind:u8(c|g|d|u|h|s|i|t) help:text unit:text count:varint { name:text value:text }     labels, __name__ among them
//! text    length:varint utf-8
//! ```

use prost::encoding::{decode_varint, encode_varint};

use crate::model::Kind;

/// A series.
#[derive(Debug)]
pub struct Record<'b> {
    /// What its values were.
    pub kind: Kind,
    /// Its metric's help.
    pub help: &'b str,
    /// Its metric's unit.
    pub unit: &'b str,
    /// As they were sent, sorted by name.
    pub labels: Vec<(&'b str, &'b str)>,
}

/// Calls `with` for each series of a block: in snappy, its source's name and then its series.
pub fn each(packed: &[u8], mut with: impl FnMut(Record<'_>)) {
    // It was checked when it was read.
    let Ok(plain) = snap::raw::Decoder::new().decompress_vec(packed) else { return };
    let mut rest = &plain[..];
    if read_text(&mut rest).is_some() {
        while let Some(record) = read_series(&mut rest) {
            with(record);
        }
    }
}

/// Every kind that a receiver is told of.
const KINDS: [Kind; 8] = [
    Kind::Counter,
    Kind::Gauge,
    Kind::UpDown,
    Kind::Untyped,
    Kind::Histogram,
    Kind::Summary,
    Kind::Info,
    Kind::StateSet,
];

fn letter(kind: Kind) -> u8 {
    match kind {
        Kind::Counter => b'c',
        Kind::Gauge => b'g',
        Kind::UpDown => b'd',
        Kind::Untyped => b'u',
        Kind::Histogram => b'h',
        Kind::Summary => b's',
        Kind::Info => b'i',
        Kind::StateSet => b't',
    }
}

/// Writes a series with `count` labels. `texts` are its help and its unit.
pub fn write_series<'l>(
    kind: Kind,
    texts: [&str; 2],
    count: usize,
    labels: impl Iterator<Item = (&'l str, &'l str)>,
    out: &mut Vec<u8>,
) {
    out.push(letter(kind));
    texts.iter().for_each(|text| write_text(text, out));
    encode_varint(count as u64, out);
    for (name, value) in labels {
        write_text(name, out);
        write_text(value, out);
    }
}

/// Writes a text.
pub fn write_text(text: &str, out: &mut Vec<u8>) {
    encode_varint(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

/// Reads a series; none where there is none.
pub fn read_series<'b>(rest: &mut &'b [u8]) -> Option<Record<'b>> {
    let (kind, left) = rest.split_first()?;
    *rest = left;
    let kind = *KINDS.iter().find(|known| letter(**known) == *kind)?;
    let (help, unit) = (read_text(rest)?, read_text(rest)?);
    let pairs = read_count(rest)?;
    let labels = (0..pairs).map(|_| Some((read_text(rest)?, read_text(rest)?))).collect::<Option<Vec<_>>>()?;
    Some(Record { kind, help, unit, labels })
}

/// Reads a text.
pub fn read_text<'b>(rest: &mut &'b [u8]) -> Option<&'b str> {
    let len = usize::try_from(decode_varint(rest).ok()?).ok()?;
    let (text, left) = rest.split_at_checked(len)?;
    *rest = left;
    std::str::from_utf8(text).ok()
}

/// A count of things of which each takes a byte at least, so that no count promises more
/// than there is.
pub fn read_count(rest: &mut &[u8]) -> Option<usize> {
    let count = usize::try_from(decode_varint(rest).ok()?).ok()?;
    (count <= rest.len()).then_some(count)
}
