//! The program's threads: started by name, missed when they end, waited for within a limit.

use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::signals::Signal;
use crate::order;

/// Starts threads and hears of their ends.
pub struct Threads {
    ended: Sender<Ended>,
    ends: Receiver<Ended>,
    running: HashMap<Id, Running>,
    next: Id,
    /// Asked a second time to stop: nothing is waited for any more.
    hurried: bool,
}

/// Tells a thread from all others that were ever started, those of the same name too.
pub type Id = u64;

/// A thread that has not been heard to end.
struct Running {
    name: String,
    /// Whether the end waits for it.
    awaited: bool,
    /// Whether it was asked to end.
    asked: bool,
}

/// A thread has ended.
pub struct Ended {
    /// Its name.
    pub name: String,
    /// Whether it panicked.
    pub panicked: bool,
    /// Which one it was.
    pub id: Id,
}

/// Tells of the end of the thread that it lives in, however that comes.
struct Farewell {
    name: String,
    id: Id,
    ended: Sender<Ended>,
}

impl Drop for Farewell {
    fn drop(&mut self) {
        let panicked = std::thread::panicking();
        let name = std::mem::take(&mut self.name);
        let _ = self.ended.send(Ended { name, panicked, id: self.id });
    }
}

impl Threads {
    /// None yet.
    pub fn new() -> Threads {
        let (ended, ends) = unbounded();
        Threads { ended, ends, running: HashMap::new(), next: 0, hurried: false }
    }

    /// Starts a thread. The kernel shows the first 15 bytes of its name.
    pub fn spawn(&mut self, name: impl Into<String>, run: impl FnOnce() + Send + 'static) -> io::Result<Id> {
        self.start(name.into(), true, run)
    }

    /// Starts a thread that may hang in the kernel, and so is not waited for at the end.
    pub fn spawn_unawaited(&mut self, name: impl Into<String>, run: impl FnOnce() + Send + 'static) -> io::Result<Id> {
        self.start(name.into(), false, run)
    }

    fn start(&mut self, name: String, awaited: bool, run: impl FnOnce() + Send + 'static) -> io::Result<Id> {
        // Also where it can't be started: its farewell is said all the same, and nobody else's.
        let id = self.next;
        self.next += 1;
        let farewell = Farewell { name: name.clone(), id, ended: self.ended.clone() };
        std::thread::Builder::new().name(name.clone()).spawn(move || {
            let _farewell = farewell;
            run();
        })?;
        self.running.insert(id, Running { name, awaited, asked: false });
        Ok(id)
    }

    /// These have been asked to end: nobody is to miss them.
    pub fn ask(&mut self, ids: &[Id]) {
        for id in ids {
            if let Some(running) = self.running.get_mut(id) {
                running.asked = true;
            }
        }
    }

    /// The end does not wait for this one any more.
    pub fn forgo(&mut self, id: Id) {
        if let Some(running) = self.running.get_mut(&id) {
            running.awaited = false;
        }
    }

    /// Where the ends are told.
    pub fn ends(&self) -> &Receiver<Ended> {
        &self.ends
    }

    /// `ended` was taken from [`Threads::ends`]. Whether that thread should not have ended.
    pub fn has_ended(&mut self, ended: &Ended) -> bool {
        self.running.remove(&ended.id).is_some_and(|running| !running.asked || ended.panicked)
    }

    /// Whether one of these has not been heard to end.
    pub fn any_runs(&self, ids: &[Id]) -> bool {
        ids.iter().any(|id| self.running.contains_key(id))
    }

    /// Whether a second signal ended one of the waits below.
    pub fn is_hurried(&self) -> bool {
        self.hurried
    }

    /// Waits for one, until `patience` is over or `signals` asks once more to stop. Whether it
    /// has ended.
    pub fn wait_for(&mut self, id: Id, patience: Duration, signals: &Receiver<Signal>) -> bool {
        self.wait_until(|threads| !threads.running.contains_key(&id), patience, signals)
    }

    /// Waits for those that are awaited, until `patience` is over or `signals` asks once more
    /// to stop. The names of those that are left, sorted, each once.
    pub fn wait(&mut self, patience: Duration, signals: &Receiver<Signal>) -> Vec<String> {
        self.wait_until(|threads| threads.running.values().all(|running| !running.awaited), patience, signals);
        let left = self.running.values().filter(|running| running.awaited);
        let mut left: Vec<String> = left.map(|running| running.name.clone()).collect();
        order::sort(&mut left);
        // Of some there are several.
        left.dedup();
        left
    }

    fn wait_until(
        &mut self,
        is_over: impl Fn(&Threads) -> bool,
        patience: Duration,
        signals: &Receiver<Signal>,
    ) -> bool {
        let deadline = Instant::now() + patience;
        while !is_over(self) {
            if self.hurried {
                return false;
            }
            crossbeam_channel::select! {
                recv(self.ends) -> ended => {
                    // We hold a sender ourselves, so there is always an end in it.
                    let Ok(ended) = ended else { return false };
                    self.has_ended(&ended);
                }
                // systemd may send a SIGHUP right behind its SIGTERM; that is no hurry.
                recv(signals) -> signal => self.hurried |= signal != Ok(Signal::Reload),
                default(deadline.saturating_duration_since(Instant::now())) => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::bounded;

    use super::*;

    #[test]
    fn an_end_is_missed_unless_it_was_asked_for() {
        let mut threads = Threads::new();
        let (go, gone) = bounded::<()>(0);
        let wait = gone.clone();
        let first = threads.spawn("twin", move || _ = wait.recv()).unwrap();
        threads.spawn("twin", move || _ = gone.recv()).unwrap();
        threads.ask(&[first, 99]);
        drop(go);
        let missed: Vec<bool> = (0..2)
            .map(|_| {
                let ended = threads.ends().recv().unwrap();
                assert_eq!(ended.name, "twin");
                threads.has_ended(&ended)
            })
            .collect();
        assert_eq!(missed.iter().filter(|missed| **missed).count(), 1);
        assert!(threads.wait_for(first, Duration::ZERO, &crossbeam_channel::never()));
        assert_eq!(threads.running.len(), 0);
    }

    #[test]
    fn the_wait_is_over_with_the_last_awaited_or_a_second_signal_but_not_for_a_reload() {
        let mut threads = Threads::new();
        let (told, signals) = bounded(2);
        let (_go, gone) = bounded::<()>(0);
        let (stay, stays) = (gone.clone(), gone);
        threads.spawn_unawaited("hangs", move || _ = stay.recv()).unwrap();
        let (end, ends) = bounded::<()>(0);
        threads.spawn("ends", move || _ = ends.recv()).unwrap();
        told.send(Signal::Reload).unwrap();
        assert_eq!(threads.wait(Duration::from_millis(50), &signals), ["ends"]);
        drop(end);
        assert!(threads.wait(Duration::from_secs(60), &signals).is_empty());
        threads.spawn("stays", move || _ = stays.recv()).unwrap();
        told.send(Signal::Stop).unwrap();
        assert_eq!(threads.wait(Duration::from_secs(3600), &signals), ["stays"]);
    }

    #[test]
    fn a_second_signal_ends_the_wait_for_one_and_all_that_follow() {
        let mut threads = Threads::new();
        let (told, signals) = bounded(1);
        let (_go, gone) = bounded::<()>(0);
        let id = threads.spawn("stays", move || _ = gone.recv()).unwrap();
        assert!(!threads.wait_for(id, Duration::from_millis(1), &signals) && !threads.is_hurried());
        told.send(Signal::Stop).unwrap();
        assert!(!threads.wait_for(id, Duration::from_secs(3600), &signals));
        assert_eq!(threads.wait(Duration::from_secs(3600), &signals), ["stays"]);
        assert!(threads.is_hurried());
    }
}
