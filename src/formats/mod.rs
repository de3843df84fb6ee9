//! From frames to bytes, one file a format. No I/O, no clocks, no threads.

pub mod json;
mod plan;
pub mod remote_write;
mod sent;
#[cfg(test)]
pub(crate) mod testing;
pub mod text;

use std::sync::Arc;

use crate::model::Batch;

pub use remote_write::Version as RemoteWriteVersion;
pub use sent::{Sent, SentSeries};

/// How a JSON body travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// As it is.
    #[default]
    None,
    /// `Content-Encoding: gzip`.
    Gzip,
}

/// Turns batches into request bodies. One per lane: it keeps what it has compiled for the
/// schemas that it has seen.
pub trait Encoder: Send {
    /// Encodes `batch` into `out`, which comes in empty.
    fn encode(&mut self, batch: &Batch, out: &mut Vec<u8>) -> Encoded;

    /// What a receiver is told of the bodies: sent as headers, and kept with each body for
    /// as long as it waits, so that one from before an upgrade is still described rightly.
    fn content(&self) -> Content;

    /// Turns to an older format, which the receiver understands; false where there is none.
    fn fall_back(&mut self) -> bool {
        false
    }

    /// Turns back from there to the format that was asked for: the receiver does not take the
    /// older one either. False where it is that already.
    fn restore(&mut self) -> bool {
        false
    }

    /// The series that bodies were made for and that have not ended, where the format can
    /// end a series: for the encoder that comes after this one, or for the next start.
    fn sent(&self) -> Sent {
        Sent::default()
    }

    /// Takes note of what another encoder, or one before a restart, has sent to the same
    /// receiver. What does not come any more is ended.
    fn inherit(&mut self, sent: Sent) {
        drop(sent);
    }

    /// Changes when what [`Encoder::sent`] gives changes, so that it need not be asked each tick.
    fn revision(&self) -> u64 {
        0
    }
}

/// The headers that describe a body: type, encoding, version.
pub type Content = Arc<[(String, String)]>;

/// [`Content`] from literals.
pub fn content(headers: &[(&str, &str)]) -> Content {
    headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The same body in the older format; none where there is none, or the body is damaged.
pub type Downgrade = fn(&Content, &[u8]) -> Option<(Content, Vec<u8>)>;

/// What became of a batch's samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// Samples in the body; where there is none, there is no body to send.
    pub samples: u64,
    /// Samples that the format cannot hold.
    pub unencodable: u64,
}

/// Halves a body, described by its content headers, that was too large for its receiver; none where it cannot be divided.
/// Works on the bytes alone, so that it also serves bodies from before a restart.
pub type Split = fn(&Content, &[u8]) -> Option<[Half; 2]>;

/// One half of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Half {
    /// A complete body.
    pub bytes: Vec<u8>,
    /// Samples in it.
    pub samples: u64,
}
