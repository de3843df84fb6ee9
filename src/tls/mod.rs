//! TLS: what the configuration says of it, as rustls takes it, kept in step with its files.
//!
//! ```text
//! settings (paths) -> files: bytes and their stamps -> pem: certificates, keys -> rustls' configuration
//! ```
//!
//! [`Client`] is for those who connect, [`ServerSettings`] are for who is connected to. Both
//! are kept in step with their files by [`crate::files::Kept`]: where the new ones are of no
//! use, the last good ones stay, for a certificate and its key are never replaced in the same
//! moment. `words` says what went wrong in a handshake, in the terms that people search for.

mod client;
mod fields;
mod flaws;
mod identity;
mod names;
mod pem;
mod roots;
mod server;
mod validity;
mod verify;
mod words;
mod x509;

use std::path::Path;

use crate::files::FileError;

pub use client::{Client, ClientSettings};
pub use fields::{CLIENT_TABLE, ClientFields, SERVER_TABLE, ServerFields};
pub use names::{SUITES_12, SUITES_13, Version};
pub use server::ServerSettings;
pub use words::{in_words, of_client};

/// What the log calls them.
const TLS_FILES: &str = "TLS files";

/// What is named and was not read must not be left out: nobody would be asked for a
/// certificate, or everybody trusted.
fn unread(path: &Path) -> FileError {
    FileError::new(path, "has not been read")
}
