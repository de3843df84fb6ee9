//! gzip, for the formats whose bodies may be compressed so.

use std::borrow::Cow;
use std::io::Write;

use flate2::Compression as Level;
use flate2::write::{GzDecoder, GzEncoder};

use super::body::Content;

/// What says that a body is compressed.
pub const GZIP: (&str, &str) = ("Content-Encoding", "gzip");

/// A body that unpacks to more than this is none of ours.
const MAX_UNPACKED: usize = 256 << 20;

/// Whether a body with these headers is compressed.
pub fn is_gzip(content: &Content) -> bool {
    content.iter().any(|(name, value)| (&**name, &**value) == GZIP)
}

/// Appends `text`, compressed.
///
/// Level 6's search costs three times the CPU for a tenth fewer bytes on such bodies.
pub fn gzip(text: &[u8], out: &mut Vec<u8>) {
    let mut encoder = GzEncoder::new(out, Level::fast());
    // Writing to memory does not fail.
    let _ = encoder.write_all(text).and_then(|()| encoder.try_finish());
}

/// Appends `plain` as a body of that content has it.
pub fn pack(content: &Content, plain: &[u8], out: &mut Vec<u8>) {
    match is_gzip(content) {
        true => gzip(plain, out),
        false => out.extend_from_slice(plain),
    }
}

/// What a body of that content holds; none where it is damaged, or more than one of ours can be.
pub fn unpack<'b>(content: &Content, body: &'b [u8]) -> Option<Cow<'b, [u8]>> {
    match is_gzip(content) {
        true => gunzip(body).map(Cow::Owned),
        false => Some(Cow::Borrowed(body)),
    }
}

/// What a compressed body of ours holds; none where it is damaged, or more than one of ours can be.
pub fn gunzip(body: &[u8]) -> Option<Vec<u8>> {
    let mut decoder = GzDecoder::new(Vec::new());
    for part in body.chunks(4096) {
        decoder.write_all(part).ok()?;
        if decoder.get_ref().len() > MAX_UNPACKED {
            return None;
        }
    }
    decoder.finish().ok()
}
