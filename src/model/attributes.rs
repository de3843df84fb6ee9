//! What a resource is, in pairs.

use std::sync::Arc;

/// Names and values by OpenTelemetry's semantic conventions, sorted by name, none twice.
pub type Attributes = Arc<[(Box<str>, Box<str>)]>;
