//! metricsd: reads a Linux host's own files and ships what they say.
//!
//! The map, in the order in which data passes:
//!
//! | module | what it is | may use, of ours |
//! |---|---|---|
//! | [`model`] | families, readings, items, chunks, frames, batches; records; receipts. Pure | order |
//! | [`fields`] | what a field of the configuration is: name, type, range, default, sentence, setter | nothing |
//! | [`host`] | the kernel's files and calls, the clocks | nothing |
//! | [`collectors`] | one file a collector, one table of them all | model, host, fields, order |
//! | [`exposition`] | the readers of what applications expose: Prometheus text, OpenMetrics, JSON. Pure | model, order |
//! | [`scrape`] | applications that are asked for their numbers: targets, and the threads that ask | model, host, http, exposition, shaping, telemetry, fields, order |
//! | [`ingest`] | what applications send by themselves: StatsD, pushes | model, host, exposition, telemetry, fields, order |
//! | [`pipeline`] | the beat, stamps, rounds, slow collectors, fan-out | model, host, collectors, telemetry, order |
//! | [`files`] | small files that the configuration names, whether they have changed, what is made of them | nothing |
//! | [`tls`] | certificates, keys, roots: what handshakes need, kept in step with its files | files, fields |
//! | [`secret`] | passwords and tokens that nothing prints, kept in step with their files | files, fields |
//! | [`shaping`] | what a destination or a page sees: names, labels, rules, views. Pure | model, fields, order |
//! | [`formats`] | frames to bytes, one file a format. No I/O, no clocks | model, shaping, fields, order |
//! | [`spool`] | what waits, on disk. Blind to its payload | order |
//! | [`http`] | the client: URLs, connections, TLS, proxies, credentials, limits. Knows no destination | host, files, tls, secret, fields, order |
//! | [`lane`] | one per destination: mailbox, queue, worker, sender, verdict, back-off | model, host, telemetry, shaping, formats, spool, http, fields |
//! | [`server`] | /health, /metrics, behind a connection guard | model, host, telemetry, shaping, formats, files, tls, secret, fields, order |
//! | [`telemetry`] | metricsd's own numbers | model, host |
//! | [`config`] | what was written, and what it means | fields, model, host, collectors, scrape, ingest, shaping, formats, spool, http, lane, server, files, tls, secret, nearest, order |
//! | [`cli`] | flags | model, shaping, telemetry, nearest |
//! | [`nearest`] | spelling help for the two above | nothing |
//! | [`order`] | sorting, by one routine for all types | nothing |
//! | [`app`] | wiring only: build, start, wait, reload, stop | everything |
//!
//! Who uses whom is as important as who does not: a collector knows no destination, a
//! destination no collector, and nothing but [`app`] knows the configuration.
//!
//! `tests/it/rules.rs` holds every path (`crate::`, `super::`, `self::`) against this table.

pub mod app;
pub mod cli;
pub mod collectors;
pub mod config;
pub mod exposition;
pub mod fields;
pub mod files;
pub mod formats;
pub mod host;
pub mod http;
pub mod ingest;
pub mod lane;
pub mod model;
pub mod nearest;
pub mod order;
pub mod pipeline;
pub mod scrape;
pub mod secret;
pub mod server;
pub mod shaping;
pub mod spool;
pub mod telemetry;
pub mod tls;
