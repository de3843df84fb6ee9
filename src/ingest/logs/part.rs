//! The part of an application that records are of, and what is made of what they say.

use std::sync::Arc;

use crate::model::{Application, Attribute, Labels, Origin, Record, Value};

/// Who gave a record whose application does not say its name.
const NAMELESS: &str = "otlp";

/// What an application is called: its `service.name`.
pub fn name_of(attributes: &[Attribute]) -> Arc<str> {
    let name = attributes.iter().find(|(key, _)| **key == *"service.name").and_then(|(_, value)| value.as_text());
    name.filter(|name| !name.is_empty()).unwrap_or(NAMELESS).into()
}

/// A part of an application, and what that is called.
pub struct Part {
    source: Arc<str>,
    pub origin: Arc<Origin>,
}

impl Part {
    /// The part that says nothing of itself.
    pub fn of(source: &Arc<str>, application: &Arc<Application>) -> Part {
        let origin = Origin { application: Arc::clone(application), ..Origin::default() };
        Part { source: Arc::clone(source), origin: Arc::new(origin) }
    }

    /// A record of it that says nothing yet.
    pub fn record(&self, now_ns: u64) -> Record {
        Record {
            time_ns: None,
            observed_ns: now_ns,
            severity: Box::default(),
            severity_number: 0,
            message: Value::Empty,
            source: Arc::clone(&self.source),
            attributes: Vec::new(),
            labels: Labels::EMPTY,
            truncated: false,
            origin: Some(Arc::clone(&self.origin)),
            trace_id: None,
            span_id: None,
            flags: 0,
            event: Box::default(),
            dropped_attributes: 0,
        }
    }
}

/// An id as it is meant: one of zeros, or of another length, is none.
pub fn id<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    <[u8; N]>::try_from(bytes).ok().filter(|id| *id != [0; N])
}

/// A severity's number, where there is such a one.
pub fn severity(number: i64) -> u8 {
    u8::try_from(number).ok().filter(|number| *number <= 24).unwrap_or(0)
}
