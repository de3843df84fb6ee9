//! Log lines on standard error: one line each, level first. Where standard error is the journal
//! of systemd, the priority stands before that, as sd-daemon(3) has it, and is taken off there.
//! With `log_format` `json` a line is an object instead.
//!
//! Whoever reads standard error may stop reading (a paused shipper, a full disk behind
//! `tee`), and then a write blocks. So lines go through a bounded channel to a thread that
//! does nothing else; collection and delivery never wait for a reader. Lines that find the
//! channel full are dropped, and their number is said when there is room again.

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{LazyLock, OnceLock};
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use env_logger::Target;
use log::{Level, LevelFilter};
use nix::sys::signal::SigSet;
use nix::sys::stat::fstat;
use serde::Serialize;

use crate::config::LogFormat;
use crate::host::wall_ms;
use crate::telemetry::{panic_message, rfc3339};

/// Lines that may wait for the reader: a burst of a start with 64 destinations fits.
const LINES: usize = 512;

/// How long the end waits for lines to be read.
const LAST_WORDS: Duration = Duration::from_millis(500);

static WRITER: OnceLock<Sender<Message>> = OnceLock::new();

/// Lines that found the channel full.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Whether lines are objects of JSON.
static AS_JSON: AtomicBool = AtomicBool::new(false);

/// Whether standard error is the journal.
static TO_JOURNAL: LazyLock<bool> = LazyLock::new(|| {
    let stream = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    fstat(io::stderr()).is_ok_and(|stderr| is_stream(&stream, stderr.st_dev, stderr.st_ino))
});

enum Message {
    Line(Vec<u8>),
    /// All lines before this are to be out; say so by dropping it.
    Flush(#[allow(dead_code)] Sender<()>),
}

/// The logger's end: takes a line and never blocks.
struct Lines(Sender<Message>);

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.0.try_send(Message::Line(line.to_vec())).is_err() {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Starts the thread that writes; none where there is no thread to be had.
fn start_writer() -> Option<Lines> {
    let (lines, messages) = bounded(LINES);
    let write = move || {
        // Signals are for the thread that waits for them.
        let _ = SigSet::all().thread_block();
        for message in messages {
            let Message::Line(text) = message else { continue };
            let mut out = io::stderr();
            // A reader that is gone is no reason to stop.
            let _ = out.write_all(&text);
            let dropped = DROPPED.swap(0, Ordering::Relaxed);
            if dropped > 0 {
                let priority = priority(Level::Warn);
                let what = format!("{dropped} log lines were dropped: nobody read standard error");
                let line = line(Level::Warn, module_path!(), &what, false);
                let _ = writeln!(out, "{priority}{line}");
            }
        }
    };
    std::thread::Builder::new().name("log".to_owned()).stack_size(64 << 10).spawn(write).ok()?;
    let _ = WRITER.set(lines.clone());
    Some(Lines(lines))
}

/// Waits until the lines so far are written, but not for a reader that does not read.
pub fn finish() {
    let Some(writer) = WRITER.get() else { return };
    let (flushed, done) = bounded(0);
    if writer.send_timeout(Message::Flush(flushed), LAST_WORDS).is_ok() {
        let _ = done.recv_timeout(LAST_WORDS);
    }
}

/// Whether `JOURNAL_STREAM` names this file: its device and inode. A variable that was inherited
/// names another one.
fn is_stream(variable: &str, device: impl Display, inode: impl Display) -> bool {
    variable == format!("{device}:{inode}")
}

/// What a line of `level` begins with: where the journal reads it, its priority.
pub fn priority(level: Level) -> &'static str {
    if *TO_JOURNAL { syslog_priority(level) } else { "" }
}

fn syslog_priority(level: Level) -> &'static str {
    match level {
        Level::Error => "<3>",
        Level::Warn => "<4>",
        Level::Info => "<6>",
        Level::Debug | Level::Trace => "<7>",
    }
}

/// Starts logging, at warnings; [`set_level`] says at what then. Libraries speak from warnings
/// on, so that the level `debug` shows our doings and not each byte of theirs. The journal
/// stamps lines itself, so there they come without a time.
pub fn start() {
    let timed = std::env::var_os("JOURNAL_STREAM").is_none();
    let target = start_writer().map_or(Target::Stderr, |lines| Target::Pipe(Box::new(lines)));
    let started = env_logger::Builder::new()
        .target(target)
        .filter_level(LevelFilter::Warn)
        .filter_module("metricsd", LevelFilter::Debug)
        .format(move |out, record| {
            let priority = priority(record.level());
            let line = line(record.level(), record.target(), &record.args().to_string(), timed);
            writeln!(out, "{priority}{line}")
        })
        .try_init();
    // In a test a logger may be there already.
    drop(started);
    log::set_max_level(LevelFilter::Warn);
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let message = panic_message(panic.payload());
        let place = panic.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
        log::error!("thread {} panicked{place}: {message}; this is a bug", thread.name().unwrap_or("?"));
    }));
}

/// A line without its end. In words it has a time where it is `timed`.
pub fn line(level: Level, target: &str, message: &str, timed: bool) -> String {
    let (time, level) = (rfc3339(wall_ms()), level.as_str().to_lowercase());
    if is_json() {
        // Strings alone always become JSON.
        return serde_json::to_string(&Line { time: &time, level: &level, target, message }).unwrap_or_default();
    }
    // A peer's words may hold line breaks; a log line is one line.
    let message = message.replace(['\n', '\r'], " ");
    if timed { format!("{time} {level:5} {message}") } else { format!("{level:5} {message}") }
}

/// A line as JSON, its members in this order.
#[derive(Serialize)]
struct Line<'a> {
    time: &'a str,
    level: &'a str,
    target: &'a str,
    message: &'a str,
}

/// What lines look like from now on.
pub fn set_format(format: LogFormat) {
    AS_JSON.store(format == LogFormat::Json, Ordering::Relaxed);
}

/// Whether lines are objects of JSON.
pub fn is_json() -> bool {
    AS_JSON.load(Ordering::Relaxed)
}

/// Logs from `level` on, from now on. What is below it costs a look at an atomic, since the
/// macros of `log` ask before they format anything.
pub fn set_level(level: LevelFilter) {
    log::set_max_level(level);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_is_told_from_an_inherited_variable() {
        assert!(is_stream("9:1234", 9, 1234));
        for other in ["", "9", "9:123", "9:12345", "1234:9", "9:1234 "] {
            assert!(!is_stream(other, 9, 1234), "{other}");
        }
    }

    #[test]
    fn priorities_are_those_of_syslog() {
        let levels = [Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace];
        assert_eq!(levels.map(syslog_priority), ["<3>", "<4>", "<6>", "<7>", "<7>"]);
    }
}
