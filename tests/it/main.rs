//! The one integration test binary: the real program and real sockets.

mod allocations;
mod cli;
mod credentials;
mod delivery;
mod docs;
mod e2e;
mod golden;
mod lanes;
mod reload;
mod rules;
mod secrets;
mod server;
mod shutdown;
mod support;
mod templates;
