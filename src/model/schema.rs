//! The list of series that a source gives, tick after tick.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Labels, MetricRef};

/// One time series: a metric family and the labels that tell it from its siblings.
#[derive(Clone, Debug)]
pub struct Series {
    /// The family.
    pub metric: MetricRef,
    /// The labels.
    pub labels: Labels,
}

impl Series {
    /// Whether both are the very same family and label objects.
    pub fn same(&self, other: &Series) -> bool {
        self.metric.same(&other.metric) && self.labels.same(&other.labels)
    }
}

/// An immutable list of series. What a destination compiles for a schema it compiles once.
#[derive(Debug)]
pub struct Schema {
    id: u64,
    series: Box<[Series]>,
}

impl Schema {
    /// A schema with an id that no other one of this process has.
    pub fn new(series: impl Into<Box<[Series]>>) -> Schema {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        Schema { id: NEXT_ID.fetch_add(1, Ordering::Relaxed), series: series.into() }
    }

    /// Unique in this process; never used again, also when the schema is gone.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The series, in the order of a frame's values.
    pub fn series(&self) -> &[Series] {
        &self.series
    }
}
