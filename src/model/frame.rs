//! The numbers of one tick.

use std::sync::Arc;

use super::{Schema, Series};

/// One source's numbers of one tick: as many values as its schema has series.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Collector, target or container that the numbers come from.
    pub source: Arc<str>,
    /// Which series the values belong to.
    pub schema: Arc<Schema>,
    /// When it was read: milliseconds since the UNIX epoch, wall clock.
    pub time_ms: i64,
    /// One value a series, in the schema's order.
    pub values: Arc<[f64]>,
}

impl Frame {
    /// The last frame of a source that gives nothing any more: all its series have ended.
    pub fn ended(source: &str, time_ms: i64) -> Frame {
        Frame { source: source.into(), schema: Arc::new(Schema::new([])), time_ms, values: Arc::from([]) }
    }

    /// Each series with its value.
    pub fn samples(&self) -> impl ExactSizeIterator<Item = (&Series, f64)> {
        self.schema.series().iter().zip(self.values.iter().copied())
    }
}

/// What the series of a batch belong to: the host, later also a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// The host's name.
    pub host: Arc<str>,
    /// When the host was started, in milliseconds since the UNIX epoch: since then the
    /// kernel's counters count. None where that is not known.
    pub boot_ms: Option<i64>,
}

/// One tick: every frame that it gave. Shared by all destinations, changed by none.
#[derive(Clone, Debug)]
pub struct Batch {
    /// When the tick began: milliseconds since the UNIX epoch, wall clock.
    pub time_ms: i64,
    /// What the frames belong to.
    pub resource: Arc<Resource>,
    /// The frames, in the collectors' order.
    pub frames: Vec<Frame>,
}

impl Batch {
    /// How many samples it holds.
    pub fn samples(&self) -> usize {
        self.frames.iter().map(|frame| frame.values.len()).sum()
    }
}
