//! The bytes on disk: encoding and decoding, without any file.

use std::ops::Range;
use std::sync::Arc;

use super::ranges::{MAX_RANGES, Ranges};

/// How a segment header begins.
pub(super) const MAGIC: [u8; 8] = *b"mdspool\n";

/// The version that is written, and the newest that is read.
pub(super) const VERSION: u16 = 1;

/// How a frame begins. Not a mark of validity (its checksums are), only what a search for
/// the next frame after damage looks for; rare in text and in protobuf alike.
pub(super) const MARKER: [u8; 4] = [0xd5, b'm', b'f', 0x9c];

/// Bytes of a frame before its payload.
pub(super) const FRAME_HEAD: usize = 40;

/// Bytes of a segment header around its context: magic, version, zero, length, first, CRC.
const HEADER_FRAME: usize = 28;

/// What one copy of a segment header may take. Ours are around 200 bytes; a limit keeps a
/// damaged length from sending the reader across the file.
pub(super) const MAX_HEADER: usize = 16 << 10;

/// Bytes of a cursor file without its ranges.
const CURSOR_FRAME: usize = 44;

/// The most that a cursor file has.
pub(super) const MAX_CURSOR_BYTES: usize = CURSOR_FRAME + 2 * MAX_RANGES * 16;

/// How the cursor file begins; its last byte is its version.
const CURSOR_MAGIC: [u8; 8] = *b"mdspcur2";

/// Numbers from here on are nobody's: counting up from one does not get there.
pub(super) const NO_NUMBER: u64 = 1 << 63;

/// What a segment's payloads have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Context {
    /// Drawn once for each life of a spool, so that bytes of another spool or of an
    /// earlier life are never taken for ours, whatever their checksums say.
    pub(super) nonce: u64,
    pub(super) destination: String,
    pub(super) content: Arc<[(String, String)]>,
}

impl Context {
    /// The header's part that is the same in every segment of this context. `None` where
    /// it would not fit into [`MAX_HEADER`].
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(256);
        out.extend(self.nonce.to_le_bytes());
        put_str(&mut out, &self.destination)?;
        out.extend(u16::try_from(self.content.len()).ok()?.to_le_bytes());
        for (name, value) in self.content.iter() {
            put_str(&mut out, name)?;
            put_str(&mut out, value)?;
        }
        (out.len() + HEADER_FRAME <= MAX_HEADER).then_some(out)
    }

    fn decode(mut bytes: &[u8]) -> Option<Context> {
        let nonce = u64::from_le_bytes(*take(&mut bytes)?);
        let destination = take_str(&mut bytes)?;
        let count = u16::from_le_bytes(*take(&mut bytes)?);
        // Each pair takes 4 bytes at least, so `bytes` bounds this and not the count.
        let mut content = Vec::new();
        for _ in 0..count {
            content.push((take_str(&mut bytes)?, take_str(&mut bytes)?));
        }
        bytes.is_empty().then(|| Context { nonce, destination, content: content.into() })
    }
}

/// The number by which frames name the context that they were written under.
pub(super) fn context_id(encoded: &[u8]) -> u32 {
    crc32fast::hash(encoded)
}

/// A whole segment header: the same copy twice, so that one damaged block does not take
/// the meaning of a megabyte of intact frames with it.
pub(super) fn encode_header(first: u64, context: &[u8]) -> Vec<u8> {
    let length = HEADER_FRAME + context.len();
    let mut out = Vec::with_capacity(2 * length);
    out.extend(MAGIC);
    out.extend(VERSION.to_le_bytes());
    out.extend(0u16.to_le_bytes());
    out.extend((length as u32).to_le_bytes());
    out.extend(first.to_le_bytes());
    out.extend(context);
    out.extend(crc32fast::hash(&out).to_le_bytes());
    out.extend_from_within(..);
    out
}

/// What the beginning of a segment file says.
#[derive(Debug, PartialEq)]
pub(super) enum Header {
    /// At least one copy is intact.
    Known {
        first: u64,
        context: Context,
        context_id: u32,
        /// Where the first frame begins.
        frames_at: u64,
        /// Bytes of the copy that is not intact.
        damaged: u64,
    },
    /// Written by a later metricsd, of this format version.
    Later(u16),
    /// Neither copy is intact.
    Lost,
}

/// Reads the header from a file's first `2 * MAX_HEADER` bytes (fewer where it is shorter).
pub(super) fn decode_header(bytes: &[u8]) -> Header {
    let first_copy = decode_copy(bytes);
    let (at, copy) = match first_copy {
        Some(copy) => (0, copy),
        None => match second_copy(bytes) {
            Some(found) => found,
            None => return Header::Lost,
        },
    };
    let (version, length, first, context) = match copy {
        Copy { version, .. } if version != VERSION => return Header::Later(version),
        Copy { version, length, first, context } => (version, length, first, context),
    };
    debug_assert_eq!(version, VERSION);
    let Some(decoded) = Context::decode(context) else { return Header::Lost };
    let twice = bytes.get(..2 * length).is_some_and(|b| b[..length] == b[length..]);
    Header::Known {
        first,
        context: decoded,
        context_id: context_id(context),
        frames_at: if at == 0 && bytes.len() < 2 * length { length } else { 2 * length } as u64,
        damaged: if twice { 0 } else { length as u64 },
    }
}

/// How long the header is whose first 16 bytes, or fewer in a shorter file, are `bytes`:
/// both copies. 0 where this is none.
pub(super) fn header_bytes(bytes: &[u8]) -> u64 {
    let begun = bytes.len().min(MAGIC.len());
    if bytes[..begun] != MAGIC[..begun] {
        return 0;
    }
    let length = bytes.get(12..16).and_then(|length| length.try_into().ok()).map(u32::from_le_bytes);
    match length {
        Some(length) if (HEADER_FRAME..=MAX_HEADER).contains(&(length as usize)) => 2 * u64::from(length),
        Some(_) => 0,
        None => bytes.len() as u64,
    }
}

struct Copy<'a> {
    version: u16,
    length: usize,
    first: u64,
    context: &'a [u8],
}

/// The second copy stands exactly where its own length puts it; anything else that looks
/// like a header is somebody's payload.
fn second_copy(bytes: &[u8]) -> Option<(usize, Copy<'_>)> {
    let mut from = 1;
    while let Some(found) = bytes.get(from..)?.windows(MAGIC.len()).position(|w| w == MAGIC) {
        let at = from + found;
        match decode_copy(&bytes[at..]) {
            Some(copy) if copy.length == at => return Some((at, copy)),
            _ => from = at + 1,
        }
    }
    None
}

/// One copy. Magic, version, length and the CRC at the end of the length stay what they
/// are in every version to come: only a checksum makes a foreign version credible.
fn decode_copy(bytes: &[u8]) -> Option<Copy<'_>> {
    let mut rest = bytes.strip_prefix(&MAGIC)?;
    let version = u16::from_le_bytes(*take(&mut rest)?);
    let _zero: &[u8; 2] = take(&mut rest)?;
    let length = u32::from_le_bytes(*take(&mut rest)?) as usize;
    if !(HEADER_FRAME..=MAX_HEADER).contains(&length) {
        return None;
    }
    let (body, crc) = bytes.get(..length)?.split_last_chunk::<4>()?;
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return None;
    }
    let first = u64::from_le_bytes(*take(&mut rest)?);
    Some(Copy { version, length, first, context: &body[HEADER_FRAME - 4..] })
}

/// A frame's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) context: u32,
    pub(super) len: u32,
    pub(super) seq: u64,
    pub(super) time_ms: i64,
    pub(super) samples: u32,
    pub(super) crc: u32,
}

impl Head {
    /// Appends head and payload to `out`; `len` and `crc` are taken from the payload.
    pub(super) fn encode(mut self, payload: &[u8], out: &mut Vec<u8>) {
        self.len = payload.len() as u32;
        self.crc = crc32fast::hash(payload);
        let mut head = [0; FRAME_HEAD];
        head[..4].copy_from_slice(&MARKER);
        head[8..12].copy_from_slice(&self.context.to_le_bytes());
        head[12..16].copy_from_slice(&self.len.to_le_bytes());
        head[16..24].copy_from_slice(&self.seq.to_le_bytes());
        head[24..32].copy_from_slice(&self.time_ms.to_le_bytes());
        head[32..36].copy_from_slice(&self.samples.to_le_bytes());
        head[36..].copy_from_slice(&self.crc.to_le_bytes());
        let crc = crc32fast::hash(&head[8..]);
        head[4..8].copy_from_slice(&crc.to_le_bytes());
        out.extend(head);
        out.extend(payload);
    }

    /// The head at the start of `bytes`, where its own checksum holds.
    pub(super) fn decode(bytes: &[u8]) -> Option<Head> {
        let bytes = bytes.first_chunk::<FRAME_HEAD>()?;
        let mut rest = bytes.strip_prefix(&MARKER)?;
        let crc = u32::from_le_bytes(*take(&mut rest)?);
        if crc != crc32fast::hash(rest) {
            return None;
        }
        Some(Head {
            context: u32::from_le_bytes(*take(&mut rest)?),
            len: u32::from_le_bytes(*take(&mut rest)?),
            seq: u64::from_le_bytes(*take(&mut rest)?),
            time_ms: i64::from_le_bytes(*take(&mut rest)?),
            samples: u32::from_le_bytes(*take(&mut rest)?),
            crc: u32::from_le_bytes(*take(&mut rest)?),
        })
    }
}

/// The cursor: how far the life `nonce` is done with, and what is known of its numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) nonce: u64,
    /// Everything below is done with.
    pub(super) seq: u64,
    /// Frames below had been stored when this was written; 0 where that is not said.
    pub(super) end: u64,
    /// There were none from there on, nor was anything being written.
    pub(super) exact: bool,
    /// Samples in the last one of them, by which others are judged; 0 where there was none.
    pub(super) samples: u32,
    /// Numbers that were lost, and have been counted.
    pub(super) told: Ranges,
    /// Numbers that no frame has, or that are done with: missing, they are not lost.
    pub(super) void: Ranges,
}

impl Cursor {
    /// Whether there were frames up to its end and no further, where those that were found
    /// go up to `next`. A number behind it is of a life that went on.
    pub(super) fn is_exact_for(&self, next: u64) -> bool {
        self.exact && next <= self.end
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let ranges = [&self.told, &self.void].map(Ranges::as_slice);
        let mut out = Vec::with_capacity(CURSOR_FRAME);
        out.extend(CURSOR_MAGIC);
        for number in [self.nonce, self.seq, self.end] {
            out.extend(number.to_le_bytes());
        }
        out.extend(self.samples.to_le_bytes());
        // No set has more than MAX_RANGES.
        out.extend(ranges.map(|set| set.len() as u8));
        out.extend(u16::from(self.exact).to_le_bytes());
        for range in ranges.concat() {
            out.extend(range.start.to_le_bytes());
            out.extend(range.end.to_le_bytes());
        }
        out.extend(crc32fast::hash(&out).to_le_bytes());
        out
    }

    /// `None` where it is torn, damaged or of another version.
    pub(super) fn decode(bytes: &[u8]) -> Option<Cursor> {
        let (body, crc) = bytes.split_last_chunk::<4>()?;
        let mut rest = body.strip_prefix(&CURSOR_MAGIC)?;
        if u32::from_le_bytes(*crc) != crc32fast::hash(body) {
            return None;
        }
        let mut number = || take(&mut rest).map(|bytes| u64::from_le_bytes(*bytes));
        let (nonce, seq, end) = (number()?, number()?, number()?);
        let samples = u32::from_le_bytes(*take(&mut rest)?);
        let [told, void] = *take(&mut rest)?;
        let exact = u16::from_le_bytes(*take(&mut rest)?) & 1 == 1;
        let (told, void) = (take_ranges(&mut rest, told)?, take_ranges(&mut rest, void)?);
        let is_good = rest.is_empty() && seq < NO_NUMBER && end < NO_NUMBER;
        is_good.then_some(Cursor { nonce, seq, end, exact, samples, told, void })
    }
}

fn take_ranges(bytes: &mut &[u8], count: u8) -> Option<Ranges> {
    let mut ranges = Ranges::default();
    for _ in 0..count {
        let start = u64::from_le_bytes(*take(bytes)?);
        let end = u64::from_le_bytes(*take(bytes)?);
        ranges.add(Range { start, end });
    }
    Some(ranges)
}

/// `00000000000000000042.seg`: the first sequence number in twenty digits, so that names
/// sort as numbers do.
pub(super) fn segment_name(first: u64) -> String {
    format!("{first:020}.seg")
}

/// The number in a segment's name; from [`NO_NUMBER`] on, somebody else gave it the name.
pub(super) fn parse_segment_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg")?;
    if digits.len() != 20 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

fn put_str(out: &mut Vec<u8>, s: &str) -> Option<()> {
    out.extend(u16::try_from(s.len()).ok()?.to_le_bytes());
    out.extend(s.as_bytes());
    Some(())
}

fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(head)
}

fn take_str(bytes: &mut &[u8]) -> Option<String> {
    let len = usize::from(u16::from_le_bytes(*take(bytes)?));
    let (s, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    String::from_utf8(s.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        Context { nonce: 7, destination: "d".into(), content: Arc::from([("A".into(), "bc".into())]) }
    }

    #[test]
    fn a_frame_is_laid_out_as_documented() {
        let mut out = Vec::new();
        let head = Head { context: 0x0403_0201, len: 0, seq: 5, time_ms: -1, samples: 3, crc: 0 };
        head.encode(b"123456789", &mut out);
        assert_eq!(out[..4], [0xd5, b'm', b'f', 0x9c]);
        assert_eq!(out[8..12], [1, 2, 3, 4]);
        assert_eq!(out[12..16], [9, 0, 0, 0]);
        assert_eq!(out[16..24], [5, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(out[24..32], [0xff; 8]);
        assert_eq!(out[32..36], [3, 0, 0, 0]);
        // The check value of CRC-32/ISO-HDLC over "123456789" is 0xcbf43926.
        assert_eq!(out[36..40], [0x26, 0x39, 0xf4, 0xcb]);
        assert_eq!(&out[40..], b"123456789");
        assert_eq!(Head::decode(&out), Some(Head { len: 9, crc: 0xcbf4_3926, ..head }));
    }

    #[test]
    fn a_header_is_laid_out_as_documented_and_stands_twice() {
        let encoded = context().encode().unwrap();
        assert_eq!(encoded, [&[7, 0, 0, 0, 0, 0, 0, 0][..], b"\x01\0d", b"\x01\0", b"\x01\0A", b"\x02\0bc"].concat());
        let out = encode_header(9, &encoded);
        let length = 28 + 20;
        assert_eq!(out.len(), 2 * length);
        assert_eq!(&out[..16], b"mdspool\n\x01\0\0\0\x30\0\0\0");
        assert_eq!(out[16..24], [9, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(out[24..44], encoded);
        assert_eq!(out[..length], out[length..]);
    }

    #[test]
    fn either_copy_of_a_header_is_enough() {
        let encoded = context().encode().unwrap();
        let good = encode_header(9, &encoded);
        let length = good.len() as u64 / 2;
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 0x10;
            let expected = Header::Known {
                first: 9,
                context: context(),
                context_id: context_id(&encoded),
                frames_at: 2 * length,
                damaged: length,
            };
            assert_eq!(decode_header(&bytes), expected, "byte {at}");
        }
        let mut both = good.clone();
        both[3] ^= 1;
        both[good.len() / 2 + 3] ^= 1;
        assert_eq!(decode_header(&both), Header::Lost);
    }

    #[test]
    fn a_later_version_is_believed_only_with_its_checksum() {
        let mut bytes = encode_header(9, &context().encode().unwrap());
        let length = bytes.len() / 2;
        for copy in bytes.chunks_mut(length) {
            copy[8] = 2;
            let crc = crc32fast::hash(&copy[..length - 4]);
            copy[length - 4..].copy_from_slice(&crc.to_le_bytes());
        }
        assert_eq!(decode_header(&bytes), Header::Later(2));
    }

    #[test]
    fn headers_heads_and_cursors_cut_anywhere_are_refused_or_known() {
        let header = encode_header(9, &context().encode().unwrap());
        for cut in 0..header.len() {
            let known = matches!(decode_header(&header[..cut]), Header::Known { first: 9, .. });
            assert_eq!(known, cut >= header.len() / 2, "cut at {cut}");
        }
        let encoded = cursor().encode();
        for cut in 0..encoded.len() {
            assert_eq!(Cursor::decode(&encoded[..cut]), None);
            let mut flipped = encoded.clone();
            flipped[cut] ^= 0x80;
            assert_eq!(Cursor::decode(&flipped), None);
        }
    }

    fn cursor() -> Cursor {
        let mut cursor = Cursor { nonce: 3, seq: 4, end: 9, exact: true, samples: 70, ..Cursor::default() };
        cursor.told.add(5..6);
        cursor.told.add(7..8);
        cursor.void.add(1..2);
        cursor
    }

    #[test]
    fn a_cursor_is_laid_out_as_documented() {
        let bytes = cursor().encode();
        assert_eq!(Cursor::decode(&bytes), Some(cursor()));
        assert_eq!(bytes.len(), 44 + 3 * 16);
        assert_eq!(&bytes[..8], b"mdspcur2");
        assert_eq!((bytes[8], bytes[16], bytes[24], bytes[32]), (3, 4, 9, 70));
        assert_eq!(bytes[36..40], [2, 1, 1, 0]);
        assert_eq!([40, 48, 56, 64, 72, 80].map(|at| bytes[at]), [5, 6, 7, 8, 1, 2]);
        let far = Cursor { seq: 1 << 63, ..cursor() };
        assert_eq!(Cursor::decode(&far.encode()), None);
    }

    #[test]
    fn only_twenty_digits_name_a_segment() {
        assert_eq!(segment_name(42), "00000000000000000042.seg");
        assert_eq!(parse_segment_name("00000000000000000042.seg"), Some(42));
        assert_eq!(parse_segment_name("18446744073709551615.seg"), Some(u64::MAX));
        for foreign in ["42.seg", "00000000000000000042.seg~", "0000000000000000004x.seg", "99999999999999999999.seg"] {
            assert_eq!(parse_segment_name(foreign), None, "{foreign}");
        }
    }
}
