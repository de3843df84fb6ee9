//! What points refer to.

use std::sync::Arc;

use super::point::{Data, Exemplar, nanos};
use super::request::Wire;
use super::whole::Form;
use crate::model;
use crate::shaping::View;

/// The exemplars of a chunk, each with the place of its series there.
pub struct OfChunk<'f> {
    /// With the places of their values in the frame.
    pub all: &'f [(u32, Arc<model::Exemplar>)],
    /// Where the chunk's values begin in the frame.
    pub begin: usize,
}

impl OfChunk<'_> {
    /// Writes those of a stream of `view`: of its number, or of a histogram's buckets. A time that none has is
    /// the sample's.
    pub fn write<W: Wire>(&self, view: &View, form: &Form, data: Data, time_ms: i64, out: &mut Vec<u8>) {
        match form {
            Form::Number(at) => self.write_one::<W>(view, *at, data, time_ms, out),
            Form::Histogram(one) => {
                one.buckets
                    .iter()
                    .chain([&one.count])
                    .for_each(|at| self.write_one::<W>(view, *at, data, time_ms, out));
            }
            Form::Summary(_) => {}
        }
    }

    fn write_one<W: Wire>(&self, view: &View, at: u32, data: Data, time_ms: i64, out: &mut Vec<u8>) {
        let place = view.get(at as usize).place as usize + self.begin;
        let Ok(found) = self.all.binary_search_by_key(&place, |(place, _)| *place as usize) else { return };
        let one = &self.all[found].1;
        let label = |wanted: &str| one.labels.iter().find(|(name, _)| &**name == wanted).map(|(_, value)| &**value);
        let trace_id = label("trace_id").and_then(id_of::<16>);
        let span_id = label("span_id").and_then(id_of::<8>);
        let is_left =
            |name: &str| !(name == "trace_id" && trace_id.is_some() || name == "span_id" && span_id.is_some());
        let labels: Vec<_> =
            one.labels.iter().map(|(name, value)| (&**name, &**value)).filter(|(name, _)| is_left(name)).collect();
        let time_ns = nanos(one.time_ms.unwrap_or(time_ms));
        W::exemplar(data, &Exemplar { labels: &labels, trace_id, span_id, value: one.value, time_ns }, out);
    }
}

/// Bytes that are written as hexadecimal digits; none where they are others, or all zero, which is no id.
fn id_of<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut id = [0; N];
    for (byte, pair) in id.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    (id != [0; N]).then_some(id)
}
