//! How the scheduler's batches get into a lane, without ever waiting for it.
//!
//! A healthy lane's sender is idle when a tick comes. Then the batch is put straight into
//! its hands: one thread wakes up, encodes and sends, and nobody else moves. Only when the
//! sender is busy, or something older waits, does the batch go through the mailbox to the
//! worker, which encodes it for the queue. So order is kept: while anything is on that way
//! or in the queue, nothing goes straight.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::losses::lose;
use super::queue::Queue;
use crate::model::Parcel;
use crate::telemetry::{DestinationStatus, DropReason};

/// Batches that may wait for one lane's worker. It only encodes, so more than one waits
/// only on a machine that is starved of CPU, or where a disk is slow to take what does not
/// fit into memory. Lanes share a batch's memory, and the cap of series per collector bounds
/// its size.
const MAILBOX_BATCHES: usize = 16;

/// The scheduler's end.
pub struct Inlet {
    generation: u64,
    queue: Arc<Queue>,
    mailbox: Sender<Parcel>,
    /// For taking the oldest back out when the mailbox is full.
    oldest: Receiver<Parcel>,
    status: Arc<DestinationStatus>,
}

/// Both sides of a lane's way in: the scheduler's and the worker's. `queue` is what is behind
/// it, and `generation` says which of its senders are this lane's.
pub fn mailbox(queue: Arc<Queue>, generation: u64, status: Arc<DestinationStatus>) -> (Inlet, Receiver<Parcel>) {
    let (put, taken) = bounded(MAILBOX_BATCHES);
    (Inlet { generation, queue, mailbox: put, oldest: taken.clone(), status }, taken)
}

impl Inlet {
    /// Hands `parcel` over. Where the mailbox is full the oldest one goes, counted; but one whose
    /// source waits to hear of it pushes nothing out: it is what goes, and comes again.
    pub fn put(&self, parcel: Parcel) {
        let Some(mut parcel) = self.queue.offer(parcel, self.generation) else { return };
        // The worker empties the mailbox at the same time, and others may fill it: each turn of
        // the loop takes one out or puts one in.
        while let Err(TrySendError::Full(back)) = self.mailbox.try_send(parcel) {
            if back.receipt.is_some() {
                return self.lose(&back);
            }
            if let Ok(dropped) = self.oldest.try_recv() {
                self.lose(&dropped);
            }
            parcel = back;
        }
    }

    /// What is lost so was on its way to the queue.
    fn lose(&self, parcel: &Parcel) {
        lose(&self.status, DropReason::MailboxFull, parcel.payload.count() as u64);
        self.queue.forgo();
    }

    /// To be called a second after a tick: what is still in a sender's hands then goes to
    /// the disk. In the steady state nothing is, and nobody wakes up.
    pub fn nudge(&self) {
        self.queue.nudge();
    }
}

/// The lane is to end: nobody waits for room any more.
impl Drop for Inlet {
    fn drop(&mut self) {
        self.queue.has_no_way_in(self.generation);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::formats::testing::{self, COUNT};
    use crate::lane::SpoolSettings;
    use crate::lane::queue::{Next, SenderId};
    use crate::model::{Fate, Labels, Payload, Receipt};

    fn parts() -> (Inlet, Receiver<Parcel>, Arc<Queue>, Arc<DestinationStatus>) {
        let status = Arc::new(DestinationStatus::new("test", "stdout"));
        let queue = Arc::new(Queue::new("test", &SpoolSettings::memory(1000), Arc::clone(&status), 1));
        let (inlet, taken) = mailbox(Arc::clone(&queue), 0, Arc::clone(&status));
        (inlet, taken, queue, status)
    }

    fn batch(time_ms: i64) -> Parcel {
        Parcel::new(Payload::Metrics(Arc::new(testing::batch(time_ms, &[(&COUNT, &Labels::EMPTY, 1.0)]))))
    }

    fn times(taken: &Receiver<Parcel>) -> Vec<i64> {
        taken.try_iter().map(time).collect()
    }

    fn time(parcel: Parcel) -> i64 {
        match parcel.payload {
            Payload::Metrics(batch) => batch.time_ms,
            Payload::Records(records) => records.time_ms,
        }
    }

    #[test]
    fn who_can_wait_pushes_nothing_out() {
        let (inlet, taken, queue, status) = parts();
        for time_ms in 0..16 {
            inlet.put(batch(time_ms));
        }
        let (tell, told) = std::sync::mpsc::channel();
        let receipt = Some(Receipt::new(move |fate| tell.send(fate).unwrap()));
        inlet.put(Parcel { receipt, ..batch(16) });
        assert_eq!(told.try_recv(), Ok(Fate::Lost));
        assert_eq!((status.samples_dropped(DropReason::MailboxFull), queue.pending()), (1, 16));
        assert_eq!(times(&taken), (0..16).collect::<Vec<i64>>());
    }

    #[test]
    fn a_lane_that_does_not_keep_up_loses_its_oldest_batches_counted() {
        let (inlet, taken, queue, status) = parts();
        for time_ms in 0..20 {
            inlet.put(batch(time_ms));
        }
        assert_eq!(status.samples_dropped(DropReason::MailboxFull), 4);
        assert_eq!(times(&taken), (4..20).collect::<Vec<i64>>());
        assert_eq!(queue.pending(), 16);
    }

    #[test]
    fn a_batch_goes_straight_only_to_a_waiting_sender_and_past_nothing_older() {
        let (inlet, taken, queue, status) = parts();
        let sender = SenderId { generation: 0, is_first: true };
        let body = |time_ms| crate::lane::body::Body {
            bytes: vec![7],
            samples: 1,
            time_ms,
            content: crate::formats::content(&[]),
        };
        inlet.put(batch(1));
        std::thread::scope(|scope| {
            let first = scope.spawn(|| queue.next(sender));
            // Whether or not the sender waits by now, 1 is older and on its way,
            inlet.put(batch(2));
            assert_eq!(times(&taken), [1, 2]);
            // now in the queue,
            queue.push(vec![body(1)], None);
            let Next::Send(in_hand, ticket) = first.join().unwrap() else { panic!("not sent") };
            // and now sent, while another one is on its way. What the page says of it is
            // nothing that this goes by.
            status.queue(0, 0, None);
            queue.answered(ticket, true);
            queue.settled(in_hand.number);
            inlet.put(batch(3));
            assert_eq!(times(&taken), [3]);
            queue.forgo();
            queue.forgo();
            let second = scope.spawn(|| queue.next(sender));
            let until = Instant::now() + Duration::from_secs(60);
            for time_ms in 4.. {
                assert!(Instant::now() < until, "the sender does not wait");
                inlet.put(batch(time_ms));
                if times(&taken).is_empty() {
                    let Next::Encode(parcel) = second.join().unwrap() else { panic!("not encoded") };
                    assert_eq!(time(parcel), time_ms);
                    break;
                }
                queue.forgo();
            }
            // While that is encoded, another one does not go straight either.
            inlet.put(batch(0));
            assert_eq!(times(&taken), [0]);
        });
    }
}
