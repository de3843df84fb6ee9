//! From one scheduler to every lane, through mailboxes that never block the sender.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use crate::model::Batch;
use crate::telemetry::{DestinationStatus, DropReason};

/// Batches that may wait for one lane's worker. It only encodes, so more than one waits
/// only on a machine that is starved of CPU. Lanes share a batch's memory, and the cap of
/// series per collector bounds its size.
const MAILBOX_BATCHES: usize = 16;

/// The scheduler's end of a lane's mailbox.
pub struct Outlet {
    put: Sender<Arc<Batch>>,
    /// For taking the oldest back out when the mailbox is full.
    oldest: Receiver<Arc<Batch>>,
    status: Arc<DestinationStatus>,
}

/// A mailbox: the scheduler's end and the lane's.
pub fn outlet(status: Arc<DestinationStatus>) -> (Outlet, Receiver<Arc<Batch>>) {
    let (put, mailbox) = bounded(MAILBOX_BATCHES);
    (Outlet { put, oldest: mailbox.clone(), status }, mailbox)
}

impl Outlet {
    /// Hands `batch` over. Where the mailbox is full the oldest batch goes, counted.
    pub fn put(&self, batch: &Arc<Batch>) {
        let mut batch = Arc::clone(batch);
        // The lane empties the mailbox at the same time, so each side may win a turn; the
        // scheduler is the only one to fill it, so a second turn suffices.
        while let Err(TrySendError::Full(back)) = self.put.try_send(batch) {
            if let Ok(dropped) = self.oldest.try_recv() {
                self.status.dropped(DropReason::MailboxFull, dropped.samples() as u64);
            }
            batch = back;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Labels, Resource};

    #[test]
    fn a_lane_that_does_not_keep_up_loses_its_oldest_batches_counted() {
        let status = Arc::new(DestinationStatus::new("test", "stdout"));
        let (outlet, mailbox) = outlet(Arc::clone(&status));
        let resource = Arc::new(Resource { host: "h".into(), labels: Labels::EMPTY });
        let mut out = crate::model::Recorder::new("test", 10);
        static VALUE: crate::model::Metric = crate::model::Metric::gauge("test_value", "", "A value.");
        for time_ms in 0..20 {
            out.push(&VALUE, &Labels::EMPTY, 1.0);
            let frames = vec![out.finish(time_ms)];
            outlet.put(&Arc::new(Batch { time_ms, resource: Arc::clone(&resource), frames }));
        }
        assert_eq!(status.samples_dropped(DropReason::MailboxFull), 4);
        drop(outlet);
        let times: Vec<i64> = mailbox.iter().map(|batch| batch.time_ms).collect();
        assert_eq!(times, (4..20).collect::<Vec<i64>>());
    }
}
