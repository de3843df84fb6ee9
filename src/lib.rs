//! metricsd: reads a Linux host's own files and ships what they say.
//!
//! The map, in the order in which data passes:
//!
//! | module | what it is | may use, of ours |
//! |---|---|---|
//! | [`model`] | metrics, labels, schema, frame, batch. Pure | nothing |
//! | [`host`] | the kernel's files and calls | nothing |
//! | [`collectors`] | one file a collector, one table of them all | model, host |
//! | [`pipeline`] | the beat, the rounds, slow collectors, fan-out | model, host, collectors, telemetry |
//! | [`lane`] | one per destination: plan, encode, queue, send | model, host (clocks), telemetry |
//! | [`server`] | /health, /metrics, behind a connection guard | model, telemetry, lane::encode |
//! | [`telemetry`] | metricsd's own numbers | model, host |
//! | [`config`] | what was written, and what it means | every settings type, model, host (paths), nearest |
//! | [`cli`] | flags | nearest |
//! | [`nearest`] | spelling help for the two above | nothing |
//! | [`app`] | wiring only: build, start, wait, stop | everything |
//!
//! `tests/it/rules.rs` reads every `use crate::` line against this table.

pub mod app;
pub mod cli;
pub mod collectors;
pub mod config;
pub mod host;
pub mod lane;
pub mod model;
pub mod nearest;
pub mod pipeline;
pub mod server;
pub mod telemetry;
