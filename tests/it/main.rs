//! The one integration test binary: the real program and real sockets.

mod allocations;
mod cli;
mod delivery;
mod docs;
mod e2e;
mod golden;
mod lanes;
mod privileges;
mod reload;
mod rules;
mod server;
mod server_tls;
mod shutdown;
mod support;
mod templates;
mod tls;
