//! How bodies leave: over HTTP, on a connection by themselves, into a file, to standard output.

mod file;
mod http;
mod tcp;

use super::verdict::Answer;
use crate::formats::Content;

pub use file::File;
pub use file::Stdout;
pub use http::{Http, access};
pub use tcp::Tcp;

/// Carries one body at a time.
pub trait Transport: Send {
    /// Sends `body`, described by `content`, and waits for the answer, within the
    /// destination's timeout.
    fn send(&mut self, content: &Content, body: &[u8]) -> Answer;

    /// Version and suite where it is spoken to over TLS.
    fn agreed(&self) -> Option<String> {
        None
    }

    /// Whether what a destination may have refused us for is different by now: a file with
    /// a certificate or a secret has changed. Asked once a tick while it holds us off.
    fn has_new_credentials(&mut self) -> bool {
        false
    }
}
