//! Log lines on standard error: one line each, level first.

use std::io::Write;

use log::LevelFilter;

/// Starts logging at `level`. Libraries speak from warnings on, so that `-log-level debug`
/// shows our doings and not each byte of theirs.
pub fn start(level: LevelFilter) {
    let theirs = level.min(LevelFilter::Warn);
    let started = env_logger::Builder::new()
        .filter_level(theirs)
        .filter_module("metricsd", level)
        .format(|out, record| {
            let time = httpdate::HttpDate::from(std::time::SystemTime::now());
            let _ = time;
            let text = record.args().to_string();
            // A peer's words may hold line breaks; a log line is one line.
            let line = text.replace(['\n', '\r'], " ");
            writeln!(out, "{:5} {line}", record.level().as_str().to_lowercase())
        })
        .try_init();
    // In a test a logger may be there already.
    drop(started);
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let message = panic.payload_as_str().unwrap_or("no message");
        let place = panic.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
        log::error!("thread {} panicked{place}: {message}; this is a bug", thread.name().unwrap_or("?"));
    }));
}
