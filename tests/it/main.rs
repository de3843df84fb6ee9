//! The one integration test binary: the real program and real sockets.

mod lanes;
mod support;
