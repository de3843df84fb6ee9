//! Space of file systems: the local ones on the beat, those that may hang on threads of their own.

mod fields;
mod local;
pub mod mountinfo;
mod place;
mod probe;
mod remote;
mod select;
#[cfg(test)]
mod testing;

pub use fields::FIELDS;
pub use local::Filesystem;
pub use place::{READINGS, REMOTE_READINGS};
pub use remote::{Remote, RemoteMounts};
