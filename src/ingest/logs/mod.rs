//! Pushes of OTLP logs: a request's records, or why it is not taken.
//!
//! A request is taken as a whole or not at all. Nothing in it is trusted: what its parts take in memory, which may be
//! a hundred times what they take in the request, comes out of a budget, and how deep values may lie in each other is
//! bounded. What is understood and makes no sense (an id of the wrong length, a severity that there is not) is left out.

mod json;
mod part;
mod proto;

use super::budget::Budget;
use super::otlp::Encoding;
use crate::model::Record;

pub use super::budget::Refused;

/// What the records of a request of `max_bytes` may take in memory is at most so many times that: those that
/// applications send take about three times as much.
pub const MEMORY_FACTOR: usize = 6;

/// The records of a request, in its order; `body` is not packed any more, and was at most `max_bytes` long. They came
/// at `now_ns`, nanoseconds since the UNIX epoch.
pub fn records(encoding: Encoding, body: &[u8], max_bytes: usize, now_ns: u64) -> Result<Vec<Record>, Refused> {
    let mut budget = Budget::new(max_bytes.saturating_mul(MEMORY_FACTOR));
    match encoding {
        Encoding::Protobuf => proto::records(body, now_ns, &mut budget),
        Encoding::Json => json::records(body, now_ns, &mut budget),
    }
}

#[cfg(test)]
mod tests;
