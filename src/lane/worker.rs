//! The encoding half of a lane: batches in, bodies out; and who looks after its disk.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::encode::Encoder;
use super::mailbox::Pending;
use super::queue::{Body, Queue};
use crate::host::{monotonic, wall_ms};
use crate::model::Batch;
use crate::telemetry::{DestinationStatus, DropReason, Throttle};

/// Encodes a lane's batches, on whichever of its threads has one.
pub struct BodyMaker {
    name: String,
    status: Arc<DestinationStatus>,
    inner: Mutex<Inner>,
}

struct Inner {
    encoder: Box<dyn Encoder>,
    throttle: Throttle,
    /// What the last body needed, so that the next one is allocated once.
    capacity: usize,
}

impl BodyMaker {
    /// A maker with an encoder of its own.
    pub fn new(name: String, encoder: Box<dyn Encoder>, status: Arc<DestinationStatus>) -> BodyMaker {
        let inner = Inner { encoder, throttle: Throttle::new(super::LOG_EVERY), capacity: 0 };
        BodyMaker { name, status, inner: Mutex::new(inner) }
    }

    /// The batch as a body; none where no sample of it can be sent.
    pub fn make(&self, batch: &Batch) -> Option<Body> {
        // An encoder that panicked starts each body anew, so what it left does not matter.
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = Vec::with_capacity(inner.capacity);
        let encoded = inner.encoder.encode(batch, &mut bytes);
        inner.capacity = bytes.capacity();
        if encoded.unencodable > 0 {
            self.status.dropped(DropReason::Unencodable, encoded.unencodable);
            if inner.throttle.pass(monotonic()).is_some() {
                log::warn!(
                    "destination {}: its format cannot hold {} samples of this tick (NaN or infinite); they are left out",
                    self.name,
                    encoded.unencodable
                );
            }
        }
        let content = inner.encoder.content();
        (encoded.samples > 0).then_some(Body { bytes, samples: encoded.samples, time_ms: batch.time_ms, content })
    }

    /// Makes bodies with `encoder` from now on. It ends what the one before it has sent and
    /// it does not send any more, such as series under labels that have changed.
    pub fn replace(&self, mut encoder: Box<dyn Encoder>) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        encoder.inherit(inner.encoder.sent());
        inner.encoder = encoder;
    }

    /// Makes bodies of an older format from now on; false where there is none.
    pub fn fall_back(&self) -> bool {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).encoder.fall_back()
    }
}

/// Encodes for the queue while the sender is busy.
pub struct Worker {
    pub(super) mailbox: Receiver<Arc<Batch>>,
    pub(super) pending: Pending,
    pub(super) maker: Arc<BodyMaker>,
    pub(super) queue: Arc<Queue>,
    pub(super) keeper: Sender<()>,
}

impl Worker {
    /// Runs until the mailbox is closed and empty; then closes the queue.
    pub fn run(self) {
        // Also when this panics: a sender must not wait for ever for what will not come.
        struct Close(Arc<Queue>);
        impl Drop for Close {
            fn drop(&mut self) {
                self.0.close();
            }
        }
        let _close = Close(Arc::clone(&self.queue));
        while let Ok(batch) = self.mailbox.recv() {
            if let Some(mut body) = self.maker.make(&batch) {
                // An encoder may need more room than its result does, and bodies can wait for long.
                body.bytes.shrink_to_fit();
                self.queue.push(body);
            }
            self.pending.arrived();
            // A full channel: it has been told already.
            let _ = self.keeper.try_send(());
        }
        self.queue.park(wall_ms());
    }
}

/// Looks after a lane's disk, which may take its time, while something is on it.
pub struct Keeper {
    pub(super) poked: Receiver<()>,
    pub(super) queue: Arc<Queue>,
}

/// How often the disk is looked after while something is on it.
const TIDY: Duration = Duration::from_secs(1);

impl Keeper {
    /// Runs until nobody is left to wake it. In the steady state nobody does.
    pub fn run(self) {
        loop {
            // At first for what an earlier life left on disk.
            while self.queue.tidy(wall_ms()) {
                match self.poked.recv_timeout(TIDY) {
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => {}
                    // Pushed; the disk is not touched more often for it.
                    Ok(()) => std::thread::sleep(TIDY / 10),
                }
            }
            if self.poked.recv().is_err() {
                return;
            }
        }
    }
}
