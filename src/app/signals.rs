//! Signals, as values on a channel.

use std::io;

use crossbeam_channel::{Receiver, unbounded};
use nix::sys::signal::{SigSet, Signal as Number};

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
        while let Ok(number) = set.wait() {
            let signal = if number == Number::SIGHUP { Signal::Reload } else { Signal::Stop };
            if told.send(signal).is_err() {
                return;
            }
        }
    })?;
    Ok(signals)
}
