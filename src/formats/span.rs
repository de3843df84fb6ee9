//! A part of a batch: what goes into one body.

use crate::model::{Batch, Frame, Series};

/// A place between two samples of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    frame: usize,
    /// Samples of that frame in front of it.
    sample: usize,
}

/// All samples of a batch between two places, in order.
#[derive(Clone, Copy)]
pub struct Span<'b> {
    batch: &'b Batch,
    from: Place,
    to: Place,
}

/// The part of a frame that lies in a span.
#[derive(Clone, Copy)]
pub struct Slice<'b> {
    /// The frame's place in its batch.
    pub at: usize,
    /// The whole frame.
    pub frame: &'b Frame,
    /// The first of its samples, and the one behind the last.
    pub from: usize,
    pub to: usize,
}

impl<'b> Slice<'b> {
    /// Its numbers.
    pub fn values(&self) -> &'b [f64] {
        &self.frame.values[self.from..self.to]
    }

    /// Their series.
    pub fn series(&self) -> &'b [Series] {
        &self.frame.schema.series()[self.from..self.to]
    }
}

impl<'b> Span<'b> {
    /// All of it.
    pub fn whole(batch: &'b Batch) -> Span<'b> {
        Span { batch, from: Place { frame: 0, sample: 0 }, to: Place { frame: batch.frames.len(), sample: 0 } }
    }

    /// Nothing, behind all of it.
    pub fn end(batch: &'b Batch) -> Span<'b> {
        let to = Span::whole(batch).to;
        Span { batch, from: to, to }
    }

    /// The parts that `batch` has to be cut into, so that none holds more than `most` samples:
    /// between frames where that can be, a larger frame between its series. One, which may be
    /// empty, where all fits into one.
    pub fn parts(batch: &'b Batch, most: u64) -> impl Iterator<Item = Span<'b>> {
        let most = usize::try_from(most).unwrap_or(usize::MAX).max(1);
        let mut rest = Some(Place { frame: 0, sample: 0 });
        std::iter::from_fn(move || {
            let from = rest?;
            let (to, is_last) = end_of_part(batch, from, most);
            rest = (!is_last).then_some(to);
            Some(Span { batch, from, to })
        })
    }

    /// How many samples there are.
    pub fn samples(&self) -> usize {
        self.slices().map(|slice| slice.to - slice.from).sum()
    }

    /// The frames' parts, in order.
    pub fn slices(&self) -> impl Iterator<Item = Slice<'b>> + use<'b> {
        let span = *self;
        (0..self.len()).map(move |nth| span.slice(nth))
    }

    /// The `nth` of these, of which there has to be one.
    pub fn slice(&self, nth: usize) -> Slice<'b> {
        let Span { batch, from, to } = *self;
        let at = from.frame + nth;
        let frame = &batch.frames[at];
        let first = if at == from.frame { from.sample } else { 0 };
        let last = if at == to.frame { to.sample } else { frame.values.len() };
        Slice { at, frame, from: first, to: last }
    }

    /// How many of them there are.
    pub fn len(&self) -> usize {
        self.to.frame + usize::from(self.to.sample > 0) - self.from.frame
    }
}

/// Where the part that begins at `from` ends, and whether nothing is behind it.
fn end_of_part(batch: &Batch, from: Place, most: usize) -> (Place, bool) {
    let mut left = most;
    let mut at = from;
    while let Some(frame) = batch.frames.get(at.frame) {
        let len = frame.values.len() - at.sample;
        if len > left {
            // One that fits into no part begins one all the same, and is cut there.
            if left == most {
                at.sample += most;
            }
            return (at, false);
        }
        left -= len;
        at = Place { frame: at.frame + 1, sample: 0 };
    }
    (at, true)
}
