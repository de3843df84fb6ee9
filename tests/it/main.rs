//! The one integration test binary: the real program and real sockets.

mod allocations;
mod cli;
mod delivery;
mod docs;
mod e2e;
mod examples;
mod golden;
mod lanes;
mod notify;
mod reload;
mod rules;
mod server;
mod shutdown;
mod support;
mod templates;
