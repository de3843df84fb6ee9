//! A chunk of a batch as a destination sees it.

use std::sync::Arc;

use super::compiled::Compiled;
use crate::model::{Batch, Chunk};
use crate::shaping::{Perspective, View};

/// A chunk's numbers of one moment, and what is seen of them.
pub struct Part<'b> {
    /// When they were read.
    pub time_ms: i64,
    /// The chunk.
    pub chunk: &'b Chunk,
    /// What is seen of it.
    pub view: Arc<View>,
    /// A number for each of the chunk's series.
    pub values: &'b [f64],
    /// A time for each of them, where samples have times of their own.
    pub times: Option<&'b [i64]>,
}

/// The parts of `batch` as they are seen `from` there; without those of which nothing is.
pub fn parts<'b>(batch: &'b Batch, from: &Perspective, known: &mut Compiled<Arc<View>>) -> Vec<Part<'b>> {
    let count = batch.frames.iter().map(|frame| frame.chunks.len()).sum();
    let mut parts = Vec::with_capacity(count);
    for frame in &batch.frames {
        let mut known = known.of(&frame.source);
        for (chunk, values, times) in frame.timed_parts() {
            let view = Arc::clone(known.next(chunk, || from.view(chunk)));
            if !view.is_empty() {
                parts.push(Part { time_ms: frame.time_ms, chunk, view, values, times });
            }
        }
    }
    parts
}

/// The runs of `parts` of at most `most` samples each, cut between chunks; a part with more is
/// a run by itself.
pub fn runs<'p, 'b>(mut parts: &'p [Part<'b>], most: usize) -> impl Iterator<Item = &'p [Part<'b>]> {
    std::iter::from_fn(move || {
        let first = parts.first()?;
        let mut samples = first.view.len();
        let more = parts[1..].iter().take_while(|part| {
            samples += part.view.len();
            samples <= most
        });
        let (run, rest) = parts.split_at(1 + more.count());
        parts = rest;
        Some(run)
    })
}

/// How many samples are seen of `parts`.
pub fn samples(parts: &[Part<'_>]) -> u64 {
    parts.iter().map(|part| part.view.len() as u64).sum()
}
