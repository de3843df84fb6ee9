//! Pushes of OTLP logs: a request's records, or why it is not taken.
//!
//! A request is taken as a whole or not at all. Nothing in it is trusted: what its parts take in memory, which may be
//! a hundred times what they take in the request, comes out of a budget, and how deep values may lie in each other is
//! bounded. What is understood and makes no sense (an id of the wrong length, a severity that there is not) is left out.

mod budget;
mod json;
mod proto;

use std::sync::Arc;

use self::budget::Budget;
use super::otlp::Encoding;
use crate::model::{Application, Attribute, Origin, Record, Value};

/// Why a request is not taken, and never will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is not understood.
    Malformed(String),
    /// It holds too much for one request.
    TooMuch,
}

/// Values lie in each other at most so deep: few are three deep, and each level is one of the stack.
const MAX_DEPTH: usize = 16;

/// What the records of a request of `max_bytes` may take in memory is at most so many times that: those that
/// applications send take about three times as much.
pub const MEMORY_FACTOR: usize = 6;

/// Who gave a record whose application does not say its name.
const NAMELESS: &str = "otlp";

/// The records of a request, in its order; `body` is not packed any more, and was at most `max_bytes` long. They came
/// at `now_ns`, nanoseconds since the UNIX epoch.
pub fn records(encoding: Encoding, body: &[u8], max_bytes: usize, now_ns: u64) -> Result<Vec<Record>, Refused> {
    let mut budget = Budget::new(max_bytes.saturating_mul(MEMORY_FACTOR));
    match encoding {
        Encoding::Protobuf => proto::records(body, now_ns, &mut budget),
        Encoding::Json => json::records(body, now_ns, &mut budget),
    }
}

/// What an application is called: its `service.name`.
fn name_of(attributes: &[Attribute]) -> Arc<str> {
    let name = attributes.iter().find(|(key, _)| **key == *"service.name").and_then(|(_, value)| value.as_text());
    name.filter(|name| !name.is_empty()).unwrap_or(NAMELESS).into()
}

/// A part of an application, and what that is called.
struct Part {
    source: Arc<str>,
    origin: Arc<Origin>,
}

impl Part {
    fn of(source: &Arc<str>, application: &Arc<Application>) -> Part {
        let origin = Origin { application: Arc::clone(application), ..Origin::default() };
        Part { source: Arc::clone(source), origin: Arc::new(origin) }
    }

    /// A record of it that says nothing yet.
    fn record(&self, now_ns: u64) -> Record {
        Record {
            time_ns: None,
            observed_ns: now_ns,
            severity: Box::default(),
            severity_number: 0,
            message: Value::Empty,
            source: Arc::clone(&self.source),
            attributes: Vec::new(),
            labels: crate::model::Labels::EMPTY,
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
fn id<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    <[u8; N]>::try_from(bytes).ok().filter(|id| *id != [0; N])
}

/// A severity's number, where there is such a one.
fn severity(number: i64) -> u8 {
    u8::try_from(number).ok().filter(|number| *number <= 24).unwrap_or(0)
}

#[cfg(test)]
mod tests;
