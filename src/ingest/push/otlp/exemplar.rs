//! What a point of OTLP refers to: observations, with the traces that they belong to.

use std::sync::Arc;

use super::attribute::{fits, text_of};
use crate::model::{Attribute, Exemplar};
use crate::order;

/// Of a point so many are read: one counts for each of its series, the newest.
pub const MAX_EXEMPLARS: usize = 256;

/// Bytes of ids.
pub const TRACE_ID: usize = 16;
pub const SPAN_ID: usize = 8;

/// An exemplar, as it comes.
#[derive(Default)]
pub struct Seen {
    pub attributes: Vec<Attribute>,
    pub time_ns: u64,
    /// None: it has none.
    pub value: Option<f64>,
    /// In hexadecimal digits.
    pub trace_id: String,
    /// In hexadecimal digits.
    pub span_id: String,
}

impl Seen {
    /// By itself; none where it has no number, or too much besides.
    pub fn exemplar(&self) -> Option<Arc<Exemplar>> {
        let value = self.value.filter(|value| value.is_finite())?;
        let id = |name: &str, text: &str, bytes: usize| {
            let is_id = text.len() == 2 * bytes && text.bytes().all(|digit| digit.is_ascii_hexdigit());
            is_id.then(|| (Box::from(name), Box::from(text)))
        };
        let ids = [id("trace_id", &self.trace_id, TRACE_ID), id("span_id", &self.span_id, SPAN_ID)];
        let mut labels: Vec<(Box<str>, Box<str>)> = ids.into_iter().flatten().collect();
        for (key, value) in &self.attributes {
            let value = text_of(value);
            if !fits(key, &value, labels.len()) {
                return None;
            }
            // Of two of one name the first counts.
            if !key.is_empty() && labels.iter().all(|(name, _)| name != key) {
                labels.push((key.clone(), value.into()));
            }
        }
        order::sort(&mut labels);
        let time_ms = i64::try_from(self.time_ns / 1_000_000).ok().filter(|time_ms| *time_ms != 0);
        Some(Arc::new(Exemplar { labels: labels.into(), value, time_ms }))
    }
}

/// Bytes in hexadecimal digits, of an id of so many; of others none.
pub fn hex(bytes: &[u8], wanted: usize) -> String {
    if bytes.len() != wanted {
        return String::new();
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
