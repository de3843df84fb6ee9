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
    /// Encodes `batch` into any number of bodies, in order, each of at most `most` samples.
    fn encode(&mut self, batch: &Batch, most: usize, out: &mut Bodies) -> Encoded;

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

/// What became of a batch's samples. `samples` and `unencodable` are together what the batch
/// holds; `samples` and `markers` what its bodies hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// Samples of the batch that are in its bodies.
    pub samples: u64,
    /// Samples in the bodies that no frame gave: each says that a series has ended.
    pub markers: u64,
    /// Samples that the format cannot hold.
    pub unencodable: u64,
}

/// The bodies that are made of a batch, in order. Kept from batch to batch, so that each body
/// is allocated once, in the size that the one in its place had the last time.
#[derive(Debug, Default)]
pub struct Bodies {
    made: Vec<Piece>,
    capacities: Vec<usize>,
}

impl Bodies {
    /// An empty buffer for the next body.
    pub fn room(&self) -> Vec<u8> {
        Vec::with_capacity(self.capacities.get(self.made.len()).copied().unwrap_or_default())
    }

    /// The next body: made in what [`Bodies::room`] gave, with `samples` in it. One without
    /// samples is none.
    pub fn push(&mut self, bytes: Vec<u8>, samples: u64) {
        if samples == 0 {
            return;
        }
        let at = self.made.len();
        if self.capacities.len() <= at {
            self.capacities.resize(at + 1, 0);
        }
        self.capacities[at] = bytes.capacity();
        self.made.push(Piece { bytes, samples });
    }

    /// Takes them out.
    pub fn drain(&mut self) -> impl ExactSizeIterator<Item = Piece> {
        self.made.drain(..)
    }
}

/// Halves a body, described by its content headers, that was too large for its receiver; none where it cannot be divided.
/// Works on the bytes alone, so that it also serves bodies from before a restart.
pub type Split = fn(&Content, &[u8]) -> Option<[Piece; 2]>;

/// A body by itself: one of those of a batch, or a part of one that was divided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// A complete body.
    pub bytes: Vec<u8>,
    /// Samples in it.
    pub samples: u64,
}
