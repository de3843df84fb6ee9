//! What a lane sends: one request's body.

use crate::formats::Content;

/// One request's body, ready for the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Encoded and compressed.
    pub bytes: Vec<u8>,
    /// Samples in it.
    pub samples: u64,
    /// When they were read: wall-clock milliseconds.
    pub time_ms: i64,
    /// The headers that describe it.
    pub content: Content,
}
