//! What metricsd knows about the world: metrics, labels, and the numbers of one tick.
//!
//! A host's set of series hardly ever changes; its numbers always do. So a [`Schema`] (the
//! series, immutable, shared) and a [`Frame`] (a schema and one number for each of its
//! series) are two things. A collector writes through a [`Recorder`], which notices by
//! address that the sequence of series is the same as last time and then only stores numbers.
//!
//! Pure: no I/O, no clocks, nothing else of this crate.

mod frame;
mod labels;
mod metric;
mod recorder;
mod schema;

pub use frame::{Batch, Frame, Resource};
pub use labels::{Labels, LabelsError};
pub use metric::{Kind, Metric, MetricRef};
pub use recorder::{Recorder, Refused};
pub use schema::{Schema, Series};
