//! How bodies leave: over HTTP, into a file, to standard output.

mod file;
mod http;
mod resolve;
mod tcp;

use super::encode::Content;
use super::verdict::Answer;

pub use file::File;
pub use file::Stdout;
pub use http::Http;

/// Carries one body at a time.
pub trait Transport: Send {
    /// Sends `body`, described by `content`, and waits for the answer, within the
    /// destination's timeout.
    fn send(&mut self, content: &Content, body: &[u8]) -> Answer;
}
