//! What applications send by themselves.
//!
//! Nothing here knows the server, the pipeline or a destination: whoever wires it gives pushes and
//! the way for their answers, and takes what was in them.

mod budget;
mod expiry;
mod fields;
mod json;
pub mod logs;
mod names;
pub mod otlp;
pub mod push;
mod room;
pub mod statsd;
mod unpack;
mod wire;

pub use fields::{ListenFields, ListenSettings, PushSettings, TABLE};
pub use room::{Room, Taken};
pub use unpack::{Unpack, gunzip};
