//! Small batches for the encoders' tests.

use std::sync::Arc;

use super::encoder::{Bodies, Encoded, Encoder};
use crate::model::{
    Application, Batch, Family, Frame, Item, Label, Labels, Learnt, Origin, Record, Recorder, Records, Resource,
    Scheme, Value,
};
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

/// A record of an application that says `message` and no more.
pub fn record(message: &str) -> Record {
    Record {
        time_ns: Some(1_700_000_000_123_456_789),
        observed_ns: 1_700_000_001_000_000_000,
        severity: "".into(),
        severity_number: 0,
        message: Value::text(message),
        source: "shop".into(),
        attributes: Vec::new(),
        labels: Labels::EMPTY,
        truncated: false,
        origin: None,
        trace_id: None,
        span_id: None,
        flags: 0,
        event: "".into(),
        dropped_attributes: 0,
    }
}

/// One that says all that one can say.
pub fn speaking() -> Record {
    let list = Value::List(vec![Value::Int(1), Value::Empty]);
    let attributes = [
        ("text", Value::text("é\u{1}")),
        ("yes", Value::Bool(true)),
        ("int", Value::Int(-9_007_199_254_740_993)),
        ("double", Value::Double(0.5)),
        ("nan", Value::Double(f64::NAN)),
        ("bytes", Value::Bytes([0, 255].into())),
        ("list", list),
        ("map", Value::Map(vec![("k".into(), Value::text("v"))])),
    ];
    let application = Arc::new(Application {
        attributes: vec![("service.name".into(), Value::text("shop"))],
        schema: "https://opentelemetry.io/schemas/1.30.0".into(),
    });
    Record {
        severity: "ERROR".into(),
        severity_number: 17,
        attributes: attributes.map(|(key, value)| (key.into(), value)).into(),
        labels: Labels::of(&[("app", "shop")]),
        truncated: true,
        origin: Some(Arc::new(Origin {
            application,
            scope: "db".into(),
            version: "1.2".into(),
            attributes: vec![("pool".into(), Value::Int(3))],
            schema: "scope-schema".into(),
        })),
        trace_id: Some(std::array::from_fn(|at| at as u8 + 1)),
        span_id: Some([0, 0, 0, 0, 0, 0, 0, 255]),
        flags: 1,
        event: "disk.full".into(),
        dropped_attributes: 2,
        ..record("no \"space\"\nleft")
    }
}

/// Records that came together.
pub fn records(records: Vec<Record>) -> Records {
    let resource = Arc::new(Resource { host: "host-1".into(), boot_ms: None, ..Resource::default() });
    Records { time_ms: 1_700_000_000_123, resource, records }
}

/// The one body that `batch` is, and what became of its samples; an empty one where there is none.
pub fn encode(encoder: &mut dyn Encoder, batch: &Batch) -> (Vec<u8>, Encoded) {
    let mut bodies = Bodies::default();
    let encoded = encoder.encode(batch, u64::MAX, &mut bodies);
    let mut all = bodies.drain();
    assert!(all.len() < 2, "{} bodies", all.len());
    (all.next().map(|body| body.bytes).unwrap_or_default(), encoded)
}
