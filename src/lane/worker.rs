//! Encodes for the queue while no sender is idle.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};

use super::body_maker::BodyMaker;
use super::queue::Queue;
use super::start::{Role, Start};
use crate::model::Parcel;

/// Takes batches from the mailbox.
pub struct Worker {
    pub(super) generation: u64,
    pub(super) mailbox: Receiver<Parcel>,
    pub(super) maker: Arc<BodyMaker>,
    pub(super) queue: Arc<Queue>,
    pub(super) start: Start,
    /// Closed when this has ended.
    pub(super) _alive: Sender<()>,
}

impl Worker {
    /// Runs until the mailbox is closed and empty; then nothing more comes into the queue.
    pub fn run(self) {
        if !self.start.wait(Role::Worker) {
            return;
        }
        // Also when this panics: a sender must not wait for ever for what will not come.
        struct Close(Arc<Queue>, u64);
        impl Drop for Close {
            fn drop(&mut self) {
                self.0.close(self.1);
            }
        }
        self.queue.revive();
        let _close = Close(Arc::clone(&self.queue), self.generation);
        if let Some(before) = self.start.maker_before() {
            self.queue.wait_for_straight();
            self.maker.inherit_from(&before);
        }
        while let Ok(Parcel { payload, receipt }) = self.mailbox.recv() {
            self.queue.wait_for_straight();
            let mut bodies = self.maker.make(&payload);
            // An encoder may need more room than its result does, and bodies can wait for long.
            bodies.iter_mut().for_each(|body| body.bytes.shrink_to_fit());
            self.queue.push(bodies, receipt);
        }
    }
}
