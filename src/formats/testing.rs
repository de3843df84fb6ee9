//! Small batches for the encoders' tests.

use std::sync::Arc;

use super::encoder::{Bodies, Encoded, Encoder};
use crate::model::{Batch, Family, Frame, Item, Label, Labels, Learnt, Recorder, Resource, Scheme};
use crate::shaping::Perspective;

pub static USAGE: Family = Family::gauge("test_usage_percent", "percent", "Usage.");
pub static COUNT: Family = Family::gauge("test_count", "", "A count.");
pub static TOTAL: Family = Family::counter("test_bytes_total", "bytes", "Bytes.");

/// What is seen by native names, with `labels` added.
pub fn from(labels: Labels) -> Perspective {
    Perspective::new(Scheme::Native, labels)
}

/// A frame of `source` with these samples, each of an item of its own.
pub fn frame(source: &str, time_ms: i64, samples: &[(&Family, &Labels, f64)]) -> Frame {
    let mut out = Recorder::new(source, 1_000_000);
    for (family, labels, value) in samples {
        let (item, reading) = series(family, labels);
        out.item(&item).push_learnt(&reading, *value);
    }
    out.finish(time_ms)
}

/// A series of that family with those labels: an item, and its reading.
pub fn series(family: &Family, labels: &Labels) -> (Item, Arc<Learnt>) {
    let mut key = vec![family.name];
    key.extend(labels.iter().flat_map(|(name, value)| [name, value]));
    let labels: Vec<Label<'_>> = labels.iter().map(|(name, value)| Label::Constant { name, value }).collect();
    (Item::new(&key), Arc::new(Learnt::new(Scheme::Native, *family, &labels)))
}

/// A batch of one frame.
pub fn batch(time_ms: i64, samples: &[(&Family, &Labels, f64)]) -> Batch {
    let resource = Arc::new(Resource { host: "host-1".into(), boot_ms: None, ..Resource::default() });
    Batch::new(time_ms, resource, vec![frame("test", time_ms, samples)])
}

/// The one body that `batch` is, and what became of its samples; an empty one where there is none.
pub fn encode(encoder: &mut dyn Encoder, batch: &Batch) -> (Vec<u8>, Encoded) {
    let mut bodies = Bodies::default();
    let encoded = encoder.encode(batch, u64::MAX, &mut bodies);
    let mut all = bodies.drain();
    assert!(all.len() < 2, "{} bodies", all.len());
    (all.next().map(|body| body.bytes).unwrap_or_default(), encoded)
}
