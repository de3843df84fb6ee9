//! TLS: what the configuration says of it, as rustls takes it, kept in step with its files.
//!
//! ```text
//! settings (paths) -> files: bytes and their stamps -> pem: certificates, keys -> rustls' configuration
//! ```
//!
//! [`Client`] is for those who connect. It looks at its files when it is asked to, takes up
//! what has changed, and keeps the last good state where the new one is of no use: a
//! certificate and its key are never replaced in the same moment. [`ServerSettings`] are for
//! who is connected to, and [`Kept`] does the same for them. `words` says what went
//! wrong in a handshake, in the terms that people search for.

mod client;
mod kept;
mod names;
mod pem;
mod server;
mod validity;
mod verify;
mod words;

use crate::files;

pub use client::{Client, ClientSettings};
pub use kept::{Kept, Recipe};
pub use names::{OLD_SUITES, SUITES_12, SUITES_13, VERSIONS, Version};
pub use pem::{Identity, certificates, private_key};
pub use server::{ServerSettings, key_is_open};
pub use words::{in_words, of_client};
