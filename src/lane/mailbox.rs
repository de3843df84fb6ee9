//! How the scheduler's batches get into a lane, without ever waiting for it.
//!
//! A healthy lane's sender is idle when a tick comes. Then the batch is put straight into
//! its hands: one thread wakes up, encodes and sends, and nobody else moves. Only when the
//! sender is busy, or something older waits, does the batch go through the mailbox to the
//! worker, which encodes it for the queue. `backlog` keeps the order: it counts what went
//! that way and is not settled, and while there is any, nothing goes straight.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use crate::model::Batch;
use crate::telemetry::{DestinationStatus, DropReason};

/// Batches that may wait for one lane's worker. It only encodes, so more than one waits
/// only on a machine that is starved of CPU. Lanes share a batch's memory, and the cap of
/// series per collector bounds its size.
const MAILBOX_BATCHES: usize = 16;

/// What went through the mailbox and is not settled: neither delivered nor dropped.
#[derive(Clone, Debug, Default)]
pub struct Backlog(Arc<AtomicUsize>);

impl Backlog {
    /// One was settled.
    pub fn settled(&self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }

    /// `count` batches at once, for tests of what comes behind the mailbox.
    #[cfg(test)]
    pub fn expect(&self, count: usize) {
        self.0.fetch_add(count, Ordering::AcqRel);
    }

    fn add(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    fn is_empty(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }
}

/// The scheduler's end.
pub struct Inlet {
    /// Without capacity: takes a batch only while the sender waits for one.
    straight: Sender<Arc<Batch>>,
    mailbox: Sender<Arc<Batch>>,
    /// For taking the oldest back out when the mailbox is full.
    oldest: Receiver<Arc<Batch>>,
    backlog: Backlog,
    status: Arc<DestinationStatus>,
}

/// The lane's ends: the sender's and the worker's.
pub struct Outlets {
    pub(super) straight: Receiver<Arc<Batch>>,
    pub(super) mailbox: Receiver<Arc<Batch>>,
    pub(super) backlog: Backlog,
}

/// Both sides of a lane's way in.
pub fn mailbox(status: Arc<DestinationStatus>) -> (Inlet, Outlets) {
    let (straight, taken) = bounded(0);
    let (put, mailbox) = bounded(MAILBOX_BATCHES);
    let backlog = Backlog::default();
    let inlet = Inlet { straight, mailbox: put, oldest: mailbox.clone(), backlog: backlog.clone(), status };
    (inlet, Outlets { straight: taken, mailbox, backlog })
}

impl Inlet {
    /// Hands `batch` over. Where the mailbox is full the oldest batch goes, counted.
    pub fn put(&self, batch: &Arc<Batch>) {
        let mut batch = Arc::clone(batch);
        if self.backlog.is_empty() {
            match self.straight.try_send(batch) {
                Ok(()) => return,
                Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) => batch = back,
            }
        }
        self.backlog.add();
        // The worker empties the mailbox at the same time, so each side may win a turn; this
        // is the only one to fill it, so a second turn suffices.
        while let Err(TrySendError::Full(back)) = self.mailbox.try_send(batch) {
            if let Ok(dropped) = self.oldest.try_recv() {
                self.status.dropped(DropReason::MailboxFull, dropped.samples() as u64);
                self.backlog.settled();
            }
            batch = back;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lane::encode::testing::{self, COUNT};
    use crate::model::Labels;

    fn batch(time_ms: i64) -> Arc<Batch> {
        Arc::new(testing::batch(time_ms, &[(&COUNT, &Labels::EMPTY, 1.0)]))
    }

    fn times(mailbox: &Receiver<Arc<Batch>>) -> Vec<i64> {
        mailbox.try_iter().map(|batch| batch.time_ms).collect()
    }

    #[test]
    fn a_lane_that_does_not_keep_up_loses_its_oldest_batches_counted() {
        let status = Arc::new(DestinationStatus::new("test", "stdout"));
        let (inlet, outlets) = mailbox(Arc::clone(&status));
        for time_ms in 0..20 {
            inlet.put(&batch(time_ms));
        }
        assert_eq!(status.samples_dropped(DropReason::MailboxFull), 4);
        assert_eq!(times(&outlets.mailbox), (4..20).collect::<Vec<i64>>());
        (0..16).for_each(|_| outlets.backlog.settled());
        assert!(inlet.backlog.is_empty());
    }

    #[test]
    fn a_batch_goes_straight_only_to_a_waiting_sender_and_past_nothing_older() {
        let status = Arc::new(DestinationStatus::new("test", "stdout"));
        let (inlet, outlets) = mailbox(status);
        inlet.put(&batch(1));
        std::thread::scope(|scope| {
            let sender = scope.spawn(|| outlets.straight.recv().map(|batch| batch.time_ms));
            // Whether or not the sender waits by now, 1 is older and unsettled.
            inlet.put(&batch(2));
            assert_eq!(times(&outlets.mailbox), [1, 2]);
            (0..2).for_each(|_| outlets.backlog.settled());
            for time_ms in 3.. {
                inlet.put(&batch(time_ms));
                if times(&outlets.mailbox).is_empty() {
                    assert_eq!(sender.join().unwrap(), Ok(time_ms));
                    break;
                }
                outlets.backlog.settled();
            }
        });
    }
}
