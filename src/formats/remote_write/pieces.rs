//! Bodies of 1.0, put together from compressed pieces: one for each chunk.
//!
//! Snappy's elements refer backwards only. So pieces that refer only into themselves can be set
//! one behind the other, and a body is the sum of their unpacked lengths and then they. A chunk
//! has a template ([`Template`]) into which only its numbers are put, made quickly ([`Quick`]), since
//! it may not come again. The template stays with the view, for all destinations that are sent the
//! same. Samples with times of their own are compressed as they are.

use std::sync::Arc;

use prost::encoding::{encode_varint, encoded_len_varint};

use super::message::{Holes, Message};
use super::template::{MARGIN, Quick, Template};
use super::v1;
use crate::formats::Bodies;
use crate::formats::compiled::Compiled;
use crate::formats::ledger::Ended;
use crate::model::Batch;
use crate::shaping::{Perspective, View};

/// Makes bodies of pieces.
pub struct Pieces {
    known: Compiled<Piece>,
    body: Open,
    message: Message,
    values: Vec<f64>,
    quick: Quick,
    packed: Vec<u8>,
    snappy: snap::raw::Encoder,
}

/// What is known of a chunk.
struct Piece {
    view: Arc<View>,
    /// None: it was not needed yet.
    made: Option<Arc<Made>>,
}

/// What is made of a view, for times of that encoded length.
struct Made {
    time_len: usize,
    /// None where there can be none.
    template: Option<Template>,
}

/// The body that is being made: elements from [`MARGIN`] on, up to `end`.
#[derive(Default)]
struct Open {
    bytes: Vec<u8>,
    end: usize,
    unpacked: usize,
    samples: u64,
}

impl Default for Pieces {
    fn default() -> Pieces {
        Pieces {
            known: Compiled::default(),
            body: Open::default(),
            message: Message::default(),
            values: Vec::new(),
            quick: Quick::default(),
            packed: Vec::new(),
            snappy: snap::raw::Encoder::new(),
        }
    }
}

impl Pieces {
    /// Writes what is seen `from` there as bodies of at most `most` samples each, cut between
    /// chunks, and the last samples of what has `ended`. Gives how many samples there are
    /// besides these. A chunk of more than `most` makes a body of more.
    pub fn write(&mut self, batch: &Batch, from: &Perspective, ended: &[Ended], most: usize, out: &mut Bodies) -> u64 {
        let mut samples = 0;
        for frame in &batch.frames {
            let mut known = self.known.of(&frame.source);
            for (chunk, values, times) in frame.timed_parts() {
                let time_len = encoded_len_varint(frame.time_ms as u64);
                let piece = known.next(chunk, || Piece { view: from.view(chunk), made: None });
                let len = piece.view.len();
                if len == 0 {
                    continue;
                }
                if self.body.samples as usize + len > most {
                    self.body.close(out);
                }
                self.body.samples += len as u64;
                samples += len as u64;
                let values = piece.view.values(values, &mut self.values);
                let write = |holes, message: &mut Message| {
                    message.bytes.clear();
                    message.holes = holes;
                    v1::write_view(&piece.view, 0, frame.time_ms, values, times, message);
                };
                let fits = |made: &Arc<Made>| made.time_len == time_len;
                if times.is_none() && !piece.made.as_ref().is_some_and(fits) {
                    let mut make = || {
                        write(Some(Holes::default()), &mut self.message);
                        Made { time_len, template: self.quick.template(&self.message) }
                    };
                    let made = piece.view.kept(&mut make);
                    piece.made = Some(if fits(&made) { made } else { Arc::new(make()) });
                }
                let made = piece.made.as_ref().filter(|_| times.is_none());
                match made.and_then(|made| made.template.as_ref()) {
                    Some(template) => self.body.add(template, frame.time_ms, values),
                    None => {
                        write(None, &mut self.message);
                        self.body.pack(&self.message.bytes, &mut self.snappy, &mut self.packed);
                    }
                }
            }
        }
        let mut left = ended;
        while !left.is_empty() {
            if self.body.samples as usize >= most {
                self.body.close(out);
            }
            let (ended, later) = left.split_at(left.len().min(most - self.body.samples as usize));
            left = later;
            self.message.bytes.clear();
            v1::write_ended(ended, &mut self.message.bytes);
            self.body.samples += ended.len() as u64;
            self.body.pack(&self.message.bytes, &mut self.snappy, &mut self.packed);
        }
        self.body.close(out);
        samples
    }
}

impl Open {
    /// Adds a piece from its template.
    fn add(&mut self, template: &Template, time_ms: i64, values: &[f64]) {
        let begin = self.begin(template.longest());
        self.end = template.fill(values, |_| time_ms, &mut self.bytes, begin);
        self.unpacked += template.unpacked();
    }

    /// Adds a piece of a message as it is.
    fn pack(&mut self, message: &[u8], snappy: &mut snap::raw::Encoder, packed: &mut Vec<u8>) {
        packed.resize(snap::raw::max_compress_len(message.len()), 0);
        // Fails only for a message over 4 GiB, which a chunk's is not.
        let Ok(len) = snappy.compress(message, packed) else { return };
        let elements = &packed[encoded_len_varint(message.len() as u64)..len];
        let begin = self.begin(elements.len());
        self.end = begin + elements.len();
        self.bytes[begin..self.end].copy_from_slice(elements);
        self.unpacked += message.len();
    }

    /// Where the next piece begins, of which there is room for `longest` bytes.
    fn begin(&mut self, longest: usize) -> usize {
        let begin = self.end.max(MARGIN);
        let needed = begin + longest + MARGIN;
        if self.bytes.len() < needed {
            self.bytes.resize(needed.next_power_of_two(), 0);
        }
        begin
    }

    /// The body is done.
    fn close(&mut self, out: &mut Bodies) {
        if self.samples > 0 {
            let mut body = out.room();
            encode_varint(self.unpacked as u64, &mut body);
            body.extend_from_slice(&self.bytes[MARGIN..self.end]);
            out.push(body, self.samples);
        }
        (self.end, self.unpacked, self.samples) = (0, 0, 0);
    }
}
