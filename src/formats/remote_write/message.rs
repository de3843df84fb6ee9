//! What both versions' messages are made of.

use prost::encoding::encode_varint;

/// A body that unpacks to more than this is none of ours.
const MAX_UNPACKED: usize = 256 << 20;

/// The value that says that a series has ended, and that nothing else may have: a NaN of
/// these bits (`StaleNaN` in Prometheus' `model/value`).
pub const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// A request before compression, and where in it the numbers are.
#[derive(Default)]
pub struct Message {
    /// The message.
    pub bytes: Vec<u8>,
    /// Where its numbers are, if somebody wants to know.
    pub holes: Option<Holes>,
}

/// Where a message's numbers are.
#[derive(Default)]
pub struct Holes {
    /// Where each value begins, in order.
    pub values: Vec<usize>,
    /// Where each time begins, and which of the span's slices it belongs to.
    pub times: Vec<(usize, usize)>,
}

impl Message {
    /// Adds a sample's value.
    pub fn value(&mut self, value: f64) {
        if let Some(holes) = &mut self.holes {
            holes.values.push(self.bytes.len());
        }
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Adds the time of the span's `nth` slice.
    pub fn time(&mut self, time_ms: i64, nth: usize) {
        if let Some(holes) = &mut self.holes {
            holes.times.push((self.bytes.len(), nth));
        }
        encode_varint(time_ms as u64, &mut self.bytes);
    }
}

/// The message of a body of ours; none where it is damaged.
pub fn unpack(body: &[u8]) -> Option<Vec<u8>> {
    if snap::raw::decompress_len(body).ok()? > MAX_UNPACKED {
        return None;
    }
    snap::raw::Decoder::new().decompress_vec(body).ok()
}

/// A message as a body; none where it is over 4 GiB.
pub fn pack(message: &[u8]) -> Option<Vec<u8>> {
    snap::raw::Encoder::new().compress_vec(message).ok()
}
