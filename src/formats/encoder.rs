//! What every format's encoder does: batches in, bodies out.

use super::body::{Content, Piece};
use super::delta::Deltas;
use super::sent::Sent;
use crate::model::{Batch, Records};

/// Turns batches into request bodies. One per lane: it keeps what it has compiled for the
/// chunks that it has seen.
pub trait Encoder: Send {
    /// Encodes `batch` into any number of bodies, in order, each of at most `most` samples.
    fn encode(&mut self, batch: &Batch, most: u64, out: &mut Bodies) -> Encoded;

    /// What a receiver is told of the bodies: sent as headers, and kept with each body for
    /// as long as it waits, so that one from before an upgrade is still described rightly.
    fn content(&self) -> Content;

    /// From now on makes bodies of the older format, if there is one, or of the one that was
    /// asked for.
    fn set_older(&mut self, older: bool) {
        let _ = older;
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

    /// Gives away what it knows of counters, where it sends what came of each since the last body: for the encoder
    /// that takes its place.
    fn take_counts(&mut self) -> Option<Deltas> {
        None
    }

    /// Goes on where another encoder was, so that no increase is lost between the two.
    fn inherit_counts(&mut self, counts: Deltas) {
        drop(counts);
    }

    /// Changes when what [`Encoder::sent`] gives changes, so that it need not be asked each tick.
    fn revision(&self) -> u64 {
        0
    }
}

/// Turns records into request bodies. One per lane.
pub trait RecordEncoder: Send {
    /// Encodes `records` into any number of bodies, in order, each of at most `most` records.
    fn encode(&mut self, records: &Records, most: u64, out: &mut Bodies);

    /// As [`Encoder::content`].
    fn content(&self) -> Content;
}

/// What became of a batch's samples. `samples` and `unencodable` are together what the batch
/// holds, but for first values where increases are sent (`delta`), and where a format does not make one point
/// of several series; `samples` and `markers` are what its
/// bodies hold.
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
