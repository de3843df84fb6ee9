//! How senders hear that there may be something to take, or that nothing more will come.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

/// Rings for one sender at a time; closed, it is heard by all of them, for ever.
#[derive(Debug)]
pub struct Bell {
    rope: Mutex<Option<Sender<()>>>,
    heard: Receiver<()>,
}

impl Bell {
    pub(super) fn new() -> Bell {
        let (rope, heard) = bounded(1);
        Bell { rope: Mutex::new(Some(rope)), heard }
    }

    /// Becomes ready when something may have been pushed, and closed when nothing more will be.
    pub fn heard(&self) -> &Receiver<()> {
        &self.heard
    }

    /// Something may have been pushed.
    pub(super) fn ring(&self) {
        if let Some(rope) = &*self.rope.lock().unwrap_or_else(PoisonError::into_inner) {
            // A full channel: the senders have been told already.
            let _ = rope.try_send(());
        }
    }

    /// No more will be pushed: what is there is still handed out.
    pub fn close(&self) {
        *self.rope.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether no more will be pushed.
    pub fn is_closed(&self) -> bool {
        self.rope.lock().unwrap_or_else(PoisonError::into_inner).is_none()
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
}
