//! The program's threads: started by name, missed when they end, waited for within a limit.

use std::io;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};

/// Starts threads and hears of their ends.
pub struct Threads {
    ended: Sender<Ended>,
    ends: Receiver<Ended>,
    running: usize,
}

/// A thread has ended.
pub struct Ended {
    /// Its name.
    pub name: String,
    /// Whether it panicked.
    pub panicked: bool,
    awaited: bool,
}

/// Tells of the end of the thread that it lives in, however that comes.
struct Farewell {
    name: String,
    awaited: bool,
    ended: Sender<Ended>,
}

impl Drop for Farewell {
    fn drop(&mut self) {
        let panicked = std::thread::panicking();
        let name = std::mem::take(&mut self.name);
        let _ = self.ended.send(Ended { name, panicked, awaited: self.awaited });
    }
}

impl Threads {
    /// None yet.
    pub fn new() -> Threads {
        let (ended, ends) = unbounded();
        Threads { ended, ends, running: 0 }
    }

    /// Starts a thread. The kernel shows the first 15 bytes of its name.
    pub fn spawn(&mut self, name: impl Into<String>, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        self.start(name.into(), true, run)?;
        self.running += 1;
        Ok(())
    }

    /// Starts a thread that may hang in the kernel, and so is not waited for at the end.
    pub fn spawn_unawaited(&mut self, name: impl Into<String>, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        self.start(name.into(), false, run)
    }

    fn start(&mut self, name: String, awaited: bool, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let farewell = Farewell { name: name.clone(), awaited, ended: self.ended.clone() };
        std::thread::Builder::new().name(name).spawn(move || {
            let _farewell = farewell;
            run();
        })?;
        Ok(())
    }

    /// Where the ends are told.
    pub fn ends(&self) -> &Receiver<Ended> {
        &self.ends
    }

    /// `ended` was taken from [`Threads::ends`].
    pub fn has_ended(&mut self, ended: &Ended) {
        self.running -= usize::from(ended.awaited);
    }

    /// Waits for those that are awaited, until `patience` is over or `hurry` says something. How many are left.
    pub fn wait(&mut self, patience: Duration, hurry: &Receiver<super::signals::Signal>) -> usize {
        let deadline = Instant::now() + patience;
        while self.running > 0 {
            crossbeam_channel::select! {
                recv(self.ends) -> ended => {
                    // We hold a sender ourselves, so there is always an end in it.
                    let Ok(ended) = ended else { break };
                    self.has_ended(&ended);
                }
                recv(hurry) -> _ => break,
                default(deadline.saturating_duration_since(Instant::now())) => break,
            }
        }
        self.running
    }
}
