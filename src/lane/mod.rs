//! One lane per destination: plan, encode, queue, send. No lane knows of another.

pub mod encode;
mod settings;
pub mod spool;

pub use settings::{
    Compression, DEFAULT_QUEUE_MAX_BYTES, DEFAULT_TIMEOUT, HttpSettings, Kind, RetrySettings, Settings,
};
