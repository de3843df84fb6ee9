//! Space of file systems: the local ones on the beat, those that may hang on threads of their own.

mod definition;
mod fields;
mod local;
pub mod mountinfo;
mod place;
mod probe;
mod remote;
mod select;
#[cfg(test)]
mod testing;

pub use definition::{DEFINITION, REMOTE};
pub use fields::FilesystemSettings;
