//! How bodies leave: over HTTP, into a file, to standard output.

mod access;
mod file;
mod get;
mod http;
mod oauth;
mod page;
mod proxy;
mod redact;
mod resolve;
mod sigv4;
mod tcp;
mod tls;
mod unescape;
mod wire;

use super::encode::Content;
use super::verdict::Answer;

pub use access::Access;
pub use file::File;
pub use file::Stdout;
pub use get::get;
pub use http::Http;

/// Carries one body at a time.
pub trait Transport: Send {
    /// Sends `body`, described by `content`, and waits for the answer, within the
    /// destination's timeout.
    fn send(&mut self, content: &Content, body: &[u8]) -> Answer;

    /// Whether what a destination may have refused us for is different by now: a file with
    /// a certificate or a secret has changed. Asked once a tick while it holds us off.
    fn has_new_credentials(&mut self) -> bool {
        false
    }
}
