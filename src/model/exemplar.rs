//! What a sample refers to.

use std::sync::Arc;

use super::Attributes;

/// An observation that a sample counts, with what it belongs to: a trace, mostly.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// Its labels, sorted by name. OpenMetrics has at most 128 characters of names and values.
    pub labels: Attributes,
    /// What was observed.
    pub value: f64,
    /// When, in milliseconds since the UNIX epoch; none: with the sample.
    pub time_ms: Option<i64>,
}

/// The exemplars of a frame, each with the place of its value there; ascending.
pub type Exemplars = Arc<[(u32, Arc<Exemplar>)]>;

/// A frame has so many at most, some megabytes: those of the samples behind it are left out.
pub const MAX_EXEMPLARS: usize = 10_000;
