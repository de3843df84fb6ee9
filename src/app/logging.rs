//! Log lines on standard error: one line each, level first.

use std::io::Write;

use log::LevelFilter;

use crate::host::wall_ms;
use crate::telemetry::{panic_message, rfc3339};

/// Starts logging at `level`. Libraries speak from warnings on, so that `-log-level debug`
/// shows our doings and not each byte of theirs. The journal stamps lines itself, so
/// there they come without a time.
pub fn start(level: LevelFilter) {
    let theirs = level.min(LevelFilter::Warn);
    let timed = std::env::var_os("JOURNAL_STREAM").is_none();
    let started = env_logger::Builder::new()
        .filter_level(theirs)
        .filter_module("metricsd", level)
        .format(move |out, record| {
            let text = record.args().to_string();
            // A peer's words may hold line breaks; a log line is one line.
            let line = text.replace(['\n', '\r'], " ");
            let level = record.level().as_str().to_lowercase();
            if timed {
                writeln!(out, "{} {level:5} {line}", rfc3339(wall_ms()))
            } else {
                writeln!(out, "{level:5} {line}")
            }
        })
        .try_init();
    // In a test a logger may be there already.
    drop(started);
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let message = panic_message(panic.payload());
        let place = panic.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
        log::error!("thread {} panicked{place}: {message}; this is a bug", thread.name().unwrap_or("?"));
    }));
}
