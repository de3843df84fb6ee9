//! Small batches for the encoders' tests.

use std::sync::Arc;

use super::encoder::{Bodies, Encoded, Encoder};
use crate::model::{Batch, Labels, Metric, Recorder, Resource};

pub static USAGE: Metric = Metric::gauge("test_usage_percent", "percent", "Usage.");
pub static COUNT: Metric = Metric::gauge("test_count", "", "A count.");
pub static TOTAL: Metric = Metric::counter("test_bytes_total", "bytes", "Bytes.");

/// A batch of one frame.
pub fn batch(time_ms: i64, samples: &[(&'static Metric, &Labels, f64)]) -> Batch {
    let mut out = Recorder::new("test", 1_000_000);
    for (metric, labels, value) in samples {
        out.push(metric, labels, *value);
    }
    let resource = Arc::new(Resource { host: "host-1".into(), boot_ms: None });
    Batch { time_ms, resource, frames: vec![out.finish(time_ms)] }
}

/// The one body that `batch` is, and what became of its samples; an empty one where there is none.
pub fn encode(encoder: &mut dyn Encoder, batch: &Batch) -> (Vec<u8>, Encoded) {
    let mut bodies = Bodies::default();
    let encoded = encoder.encode(batch, u64::MAX, &mut bodies);
    let mut all = bodies.drain();
    assert!(all.len() < 2, "{} bodies", all.len());
    (all.next().map(|body| body.bytes).unwrap_or_default(), encoded)
}
