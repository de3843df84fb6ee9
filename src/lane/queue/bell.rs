//! How the senders of a lane hear that there may be something to take, or that nothing more
//! will come; and who of them is the last.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

/// Rings for one sender at a time; closed, it is heard by all of them, for ever.
#[derive(Debug)]
pub struct Bell {
    state: Mutex<State>,
    heard: Receiver<()>,
}

#[derive(Debug)]
struct State {
    /// None once it is closed.
    wake: Option<Sender<()>>,
    closed_at: Option<Instant>,
    /// Senders that have not left.
    listeners: usize,
    /// Other senders go on with the queue.
    handed_over: bool,
    /// The last sender has left, and nobody goes on.
    over: bool,
}

impl Bell {
    /// For so many senders.
    pub fn new(listeners: usize) -> Bell {
        let (wake, heard) = bounded(1);
        Bell {
            state: Mutex::new(State { wake: Some(wake), closed_at: None, listeners, handed_over: false, over: false }),
            heard,
        }
    }

    /// Becomes ready when something may have been pushed, and closed when nothing more will be.
    pub fn heard(&self) -> &Receiver<()> {
        &self.heard
    }

    /// Something may have been pushed.
    pub(super) fn ring(&self) {
        if let Some(wake) = &self.lock().wake {
            // A full channel: the senders have been told already.
            let _ = wake.try_send(());
        }
    }

    /// No more will be pushed: what is there is still handed out.
    pub fn close(&self) {
        self.lock().close();
    }

    /// When it was closed, if it was.
    pub fn closed_at(&self) -> Option<Instant> {
        self.lock().closed_at
    }

    /// Whether no more will be pushed.
    pub fn is_closed(&self) -> bool {
        self.lock().wake.is_none()
    }

    /// Other senders go on with the queue: those of this bell finish what they have under way,
    /// and leave. False where they have left already, and have ended the queue.
    pub fn hand_over(&self) -> bool {
        let mut state = self.lock();
        state.close();
        state.handed_over = true;
        !state.over
    }

    /// Whether other senders go on with the queue.
    pub fn is_handed_over(&self) -> bool {
        self.lock().handed_over
    }

    /// A sender leaves. True for the last one, where it has to end the queue.
    pub fn leave(&self) -> bool {
        let mut state = self.lock();
        state.listeners = state.listeners.saturating_sub(1);
        state.over = state.listeners == 0 && !state.handed_over;
        state.over
    }

    /// Waits for `pause`, or until it is closed; says whether it is.
    pub fn closed_within(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        loop {
            match self.heard.recv_deadline(until) {
                // Pushed: what comes out of a pause looks into the queue anyway.
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => return self.is_closed(),
                Err(RecvTimeoutError::Disconnected) => return true,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn close(&mut self) {
        self.wake = None;
        self.closed_at.get_or_insert_with(Instant::now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_to_leave_ends_the_queue_unless_others_go_on() {
        let bell = Bell::new(2);
        assert!(!bell.leave() && bell.leave());
        assert!(!bell.hand_over(), "too late: it is over");
        let bell = Bell::new(2);
        assert!(!bell.leave() && bell.hand_over() && bell.is_closed() && bell.is_handed_over());
        assert!(!bell.leave());
    }
}
