//! From frames to bytes, one file a format. No I/O, no clocks, no threads.

pub mod json;
mod plan;
pub mod remote_write;
#[cfg(test)]
pub(crate) mod testing;

use crate::model::Batch;

/// Turns batches into request bodies. One per lane: it keeps what it has compiled for the
/// schemas that it has seen.
pub trait Encoder: Send {
    /// Encodes `batch` into `out`, which comes in empty.
    fn encode(&mut self, batch: &Batch, out: &mut Vec<u8>) -> Encoded;
}

/// What became of a batch's samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// Samples in the body; where there is none, there is no body to send.
    pub samples: u64,
    /// Samples that the format cannot hold.
    pub unencodable: u64,
}

/// Halves a body that was too large for its receiver; none where it cannot be divided.
/// Works on the bytes alone, so that it also serves bodies from before a restart.
pub type Split = fn(&[u8]) -> Option<[Half; 2]>;

/// One half of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Half {
    /// A complete body.
    pub bytes: Vec<u8>,
    /// Samples in it.
    pub samples: u64,
}
