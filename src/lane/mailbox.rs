//! How the scheduler's batches get into a lane, without ever waiting for it.
//!
//! A healthy lane's sender is idle when a tick comes. Then the batch is put straight into
//! its hands: one thread wakes up, encodes and sends, and nobody else moves. Only when the
//! sender is busy, or something older waits, does the batch go through the mailbox to the
//! worker, which encodes it for the queue. So order is kept: while anything is on that way
//! or in the queue, nothing goes straight.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::losses::lose;
use super::queue::Queue;
use crate::model::Batch;
use crate::telemetry::{DestinationStatus, DropReason};

/// Batches that may wait for one lane's worker. It only encodes, so more than one waits
/// only on a machine that is starved of CPU. Lanes share a batch's memory, and the cap of
/// series per collector bounds its size.
const MAILBOX_BATCHES: usize = 16;

/// Batches on their way through the mailbox: put in, and not yet in the queue.
#[derive(Clone, Debug, Default)]
pub struct Pending(Arc<AtomicUsize>);

impl Pending {
    /// One has arrived in the queue, or was dropped.
    pub fn arrived(&self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

/// The scheduler's end.
pub struct Inlet {
    /// Without capacity: takes a batch only while the sender waits for one.
    straight: Sender<Arc<Batch>>,
    mailbox: Sender<Arc<Batch>>,
    /// For taking the oldest back out when the mailbox is full.
    oldest: Receiver<Arc<Batch>>,
    pending: Pending,
    queue: Arc<Queue>,
    keeper: Sender<()>,
    status: Arc<DestinationStatus>,
}

/// The lane's ends: the sender's and the worker's.
pub struct Outlets {
    pub(super) straight: Receiver<Arc<Batch>>,
    pub(super) mailbox: Receiver<Arc<Batch>>,
    pub(super) pending: Pending,
    /// Wakes the keeper.
    pub(super) poke: Sender<()>,
    pub(super) poked: Receiver<()>,
}

/// Both sides of a lane's way in. `queue` is what is behind it.
pub fn mailbox(queue: Arc<Queue>, status: Arc<DestinationStatus>) -> (Inlet, Outlets) {
    let (straight, taken) = bounded(0);
    let (put, mailbox) = bounded(MAILBOX_BATCHES);
    let (poke, poked) = bounded(1);
    let pending = Pending::default();
    let inlet = Inlet {
        straight,
        mailbox: put,
        oldest: mailbox.clone(),
        pending: pending.clone(),
        queue,
        keeper: poke.clone(),
        status,
    };
    (inlet, Outlets { straight: taken, mailbox, pending, poke, poked })
}

impl Inlet {
    /// Whether a batch can be put in without another one's being dropped for it.
    pub fn has_room(&self) -> bool {
        !self.mailbox.is_full()
    }

    /// Hands `batch` over. Where the mailbox is full the oldest batch goes, counted.
    pub fn put(&self, batch: &Arc<Batch>) {
        let mut batch = Arc::clone(batch);
        if self.pending.0.load(Ordering::Acquire) == 0 && self.status.queue_frames() == 0 {
            match self.straight.try_send(batch) {
                Ok(()) => return,
                Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) => batch = back,
            }
        }
        self.pending.0.fetch_add(1, Ordering::Relaxed);
        // The worker empties the mailbox at the same time, so each side may win a turn; this
        // is the only one to fill it, so a second turn suffices.
        while let Err(TrySendError::Full(back)) = self.mailbox.try_send(batch) {
            if let Ok(dropped) = self.oldest.try_recv() {
                lose(&self.status, DropReason::MailboxFull, dropped.samples() as u64);
                self.pending.arrived();
            }
            batch = back;
        }
    }

    /// To be called a second after a tick: what is still in a sender's hands then goes to
    /// the disk. In the steady state nothing is, and nobody wakes up.
    pub fn nudge(&self) {
        if self.queue.is_late() {
            // A full channel: the keeper has been told already.
            let _ = self.keeper.try_send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::testing::{self, COUNT};
    use crate::lane::SpoolSettings;
    use crate::model::Labels;

    fn parts() -> (Inlet, Outlets, Arc<DestinationStatus>) {
        let status = Arc::new(DestinationStatus::new("test", "stdout"));
        let queue = Arc::new(Queue::new("test", &SpoolSettings::memory(1000), Arc::clone(&status), 1));
        let (inlet, outlets) = mailbox(queue, Arc::clone(&status));
        (inlet, outlets, status)
    }

    fn batch(time_ms: i64) -> Arc<Batch> {
        Arc::new(testing::batch(time_ms, &[(&COUNT, &Labels::EMPTY, 1.0)]))
    }

    fn times(outlets: &Outlets) -> Vec<i64> {
        outlets.mailbox.try_iter().map(|batch| batch.time_ms).collect()
    }

    #[test]
    fn a_lane_that_does_not_keep_up_loses_its_oldest_batches_counted() {
        let (inlet, outlets, status) = parts();
        for time_ms in 0..20 {
            inlet.put(&batch(time_ms));
        }
        assert_eq!(status.samples_dropped(DropReason::MailboxFull), 4);
        assert_eq!(times(&outlets), (4..20).collect::<Vec<i64>>());
        (0..16).for_each(|_| outlets.pending.arrived());
        assert_eq!(inlet.pending.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_batch_goes_straight_only_to_a_waiting_sender_and_past_nothing_older() {
        let (inlet, outlets, status) = parts();
        inlet.put(&batch(1));
        std::thread::scope(|scope| {
            let sender = scope.spawn(|| outlets.straight.recv().map(|batch| batch.time_ms));
            // Whether or not the sender waits by now, 1 is older and on its way,
            inlet.put(&batch(2));
            assert_eq!(times(&outlets), [1, 2]);
            (0..2).for_each(|_| outlets.pending.arrived());
            // and now in the queue.
            status.queue(2, 100, None);
            inlet.put(&batch(3));
            assert_eq!(times(&outlets), [3]);
            outlets.pending.arrived();
            status.queue(0, 0, None);
            for time_ms in 4.. {
                inlet.put(&batch(time_ms));
                if times(&outlets).is_empty() {
                    assert_eq!(sender.join().unwrap(), Ok(time_ms));
                    break;
                }
                outlets.pending.arrived();
            }
        });
    }
}
