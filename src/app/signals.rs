//! Signals, as values on a channel.

use std::io;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use nix::sys::signal::{SigSet, Signal as Number};

use crate::cli::Exit;

/// From the first signal to the end, should an orderly one not have come before. An orderly
/// one has its limits; this is for what hangs where nothing ever should, such as a log line
/// that nobody reads.
const DEADLINE: Duration = Duration::from_millis(9700);

/// What comes this soon behind the first signal to stop was sent with it: GNU `timeout`, for one, asks the program and
/// then its whole group.
const ONE_SIGNAL: Duration = Duration::from_millis(500);

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP.
    Reload,
}

fn set() -> SigSet {
    [Number::SIGTERM, Number::SIGINT, Number::SIGHUP].into_iter().collect()
}

/// Blocks the signals in this thread and in all that it starts. To be called before any
/// thread is started: a signal that found one without the block would end the program.
pub fn block() -> io::Result<()> {
    Ok(set().thread_block()?)
}

/// Starts the thread that waits for signals. It lives as long as the program.
pub fn listen() -> io::Result<Receiver<Signal>> {
    let (told, signals) = unbounded();
    std::thread::Builder::new().name("signals".to_owned()).stack_size(64 << 10).spawn(move || {
        let set = set();
        let mut stopping: Option<Instant> = None;
        while let Ok(number) = set.wait() {
            let signal = if number == Number::SIGHUP { Signal::Reload } else { Signal::Stop };
            if signal == Signal::Stop && stopping.is_some_and(|since| since.elapsed() < ONE_SIGNAL) {
                continue;
            }
            if signal == Signal::Stop && stopping.is_none() {
                stopping = Some(Instant::now());
                // Without a thread for it, the orderly end is all there is.
                let _ = std::thread::Builder::new().name("deadline".to_owned()).stack_size(64 << 10).spawn(|| {
                    std::thread::sleep(DEADLINE);
                    std::process::exit(Exit::Internal as i32);
                });
            }
            if told.send(signal).is_err() {
                return;
            }
        }
    })?;
    Ok(signals)
}
