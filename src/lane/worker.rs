//! The loop that turns a lane's batches into bodies.

use std::sync::Arc;

use crossbeam_channel::Receiver;

use super::encode::Encoder;
use super::queue::{Body, Queue};
use crate::host::monotonic;
use crate::model::Batch;
use crate::telemetry::{DestinationStatus, DropReason, Throttle};

/// Encodes one lane's batches.
pub struct Worker {
    pub(super) name: String,
    pub(super) mailbox: Receiver<Arc<Batch>>,
    pub(super) encoder: Box<dyn Encoder>,
    pub(super) queue: Arc<Queue>,
    pub(super) status: Arc<DestinationStatus>,
}

impl Worker {
    /// Runs until the mailbox is closed and empty; then closes the queue.
    pub fn run(mut self) {
        let mut throttle = Throttle::new(super::sender::LOG_EVERY);
        // What the last body needed, so that the next one is allocated once.
        let mut size_hint = 0;
        while let Ok(batch) = self.mailbox.recv() {
            let mut bytes = Vec::with_capacity(size_hint);
            let encoded = self.encoder.encode(&batch, &mut bytes);
            size_hint = bytes.capacity();
            // An encoder may need more room than its result does, and bodies can wait for long.
            bytes.shrink_to_fit();
            if encoded.unencodable > 0 {
                self.status.dropped(DropReason::Unencodable, encoded.unencodable);
                if throttle.pass(monotonic()).is_some() {
                    log::warn!(
                        "destination {}: its format cannot hold {} samples of this tick (NaN or infinite); they are left out",
                        self.name,
                        encoded.unencodable
                    );
                }
            }
            if encoded.samples > 0 {
                self.queue.push(Body { bytes, samples: encoded.samples, time_ms: batch.time_ms });
            }
        }
        self.queue.close();
    }
}
