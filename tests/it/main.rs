//! The one integration test binary.

mod server;
