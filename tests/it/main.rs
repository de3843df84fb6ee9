//! The one integration test binary: the real program and real sockets.

mod allocations;
mod build;
mod cli;
mod client;
mod credentials;
mod delivery;
mod docs;
mod e2e;
mod examples;
mod golden;
mod handover;
mod hangs;
mod lanes;
mod losses;
mod notify;
mod privileges;
mod reload;
mod rules;
mod secrets;
mod server;
mod server_tls;
mod shutdown;
mod spools;
mod support;
mod templates;
mod tls;
