//! What waits for a destination: bodies in memory, oldest first, bounded in bytes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::encode::Content;
use super::mailbox::Backlog;
use crate::telemetry::{DestinationStatus, DropReason};

/// One request's body, ready for the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Encoded and compressed.
    pub bytes: Vec<u8>,
    /// Samples in it.
    pub samples: u64,
    /// When they were read: wall-clock milliseconds.
    pub time_ms: i64,
    /// The headers that describe it.
    pub content: Content,
}

/// A queue between the lane's worker, which pushes, and its sender, which takes.
#[derive(Debug)]
pub struct Queue {
    max_bytes: usize,
    status: Arc<DestinationStatus>,
    backlog: Backlog,
    inner: Mutex<Inner>,
    /// Says that something was pushed, or, when it closes, that nothing more will be.
    ready: Mutex<Option<Sender<()>>>,
    changed: Receiver<()>,
}

#[derive(Debug, Default)]
struct Inner {
    bodies: VecDeque<Body>,
    bytes: usize,
    /// Size and time of the body that the sender holds.
    in_flight: Option<(usize, i64)>,
}

impl Queue {
    /// An empty queue that holds `max_bytes` at most, the body in flight not counted.
    pub fn new(max_bytes: usize, status: Arc<DestinationStatus>, backlog: Backlog) -> Queue {
        let (ready, changed) = bounded(1);
        Queue { max_bytes, status, backlog, inner: Mutex::default(), ready: Mutex::new(Some(ready)), changed }
    }

    /// Becomes ready when something may have been pushed, and closed when the queue is.
    pub fn changed(&self) -> &Receiver<()> {
        &self.changed
    }

    /// Appends `body`. Over the cap the oldest bodies go, counted; should the new one
    /// alone be over it, it goes.
    pub fn push(&self, body: Body) {
        let mut inner = self.lock();
        inner.bytes += body.bytes.len();
        inner.bodies.push_back(body);
        while inner.bytes > self.max_bytes {
            let Some(oldest) = inner.bodies.pop_front() else { break };
            inner.bytes -= oldest.bytes.len();
            self.status.dropped(DropReason::QueueFull, oldest.samples);
            self.backlog.settled();
        }
        self.report(&inner);
        drop(inner);
        if let Some(ready) = &*self.ready.lock().unwrap_or_else(PoisonError::into_inner) {
            // A full channel: the sender has been told already.
            let _ = ready.try_send(());
        }
    }

    /// Takes the oldest body.
    pub fn take(&self) -> Option<Body> {
        let mut inner = self.lock();
        let body = inner.bodies.pop_front()?;
        inner.bytes -= body.bytes.len();
        inner.in_flight = Some((body.bytes.len(), body.time_ms));
        self.report(&inner);
        Some(body)
    }

    /// A body that never was in the queue is in the sender's hands.
    pub fn hold(&self, body: &Body) {
        let mut inner = self.lock();
        inner.in_flight = Some((body.bytes.len(), body.time_ms));
        self.report(&inner);
    }

    /// The body in the sender's hands is settled, one way or the other.
    pub fn settled(&self) {
        let mut inner = self.lock();
        inner.in_flight = None;
        self.report(&inner);
    }

    /// No more will be pushed: what is here is still handed out.
    pub fn close(&self) {
        *self.ready.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Waits for `pause`, or until the queue is closed; says whether it is.
    pub fn closed_within(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        loop {
            match self.changed.recv_deadline(until) {
                // Pushed: what comes out of a pause looks into the queue anyway.
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => return self.is_closed(),
                Err(RecvTimeoutError::Disconnected) => return true,
            }
        }
    }

    /// Whether no more will be pushed.
    pub fn is_closed(&self) -> bool {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Empties the queue for good; the samples that were in it are counted as lost.
    pub fn abandon(&self, reason: DropReason) -> u64 {
        let mut inner = self.lock();
        let samples = inner.bodies.drain(..).map(|body| body.samples).sum();
        // Nothing comes after this, so the backlog does not matter any more.
        inner.bytes = 0;
        self.status.dropped(reason, samples);
        self.report(&inner);
        samples
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while the lock is held leaves the counts as they were between two
        // statements at worst; the bodies themselves are whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, inner: &Inner) {
        let (held, held_since) = inner.in_flight.map_or((0, None), |(bytes, time)| (bytes, Some(time)));
        let frames = inner.bodies.len() + usize::from(inner.in_flight.is_some());
        let oldest = held_since.or_else(|| inner.bodies.front().map(|body| body.time_ms));
        self.status.queue(frames as u64, (inner.bytes + held) as u64, oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(max_bytes: usize) -> (Queue, Arc<DestinationStatus>) {
        let status = Arc::new(DestinationStatus::new("test", "stdout"));
        let (_, outlets) = crate::lane::mailbox::mailbox(Arc::clone(&status));
        // More than any test settles.
        outlets.backlog.expect(100);
        (Queue::new(max_bytes, Arc::clone(&status), outlets.backlog), status)
    }

    fn body(time_ms: i64, len: usize) -> Body {
        Body { bytes: vec![0; len], samples: 3, time_ms, content: crate::lane::encode::content(&[]) }
    }

    #[test]
    fn over_the_cap_the_oldest_goes_and_is_counted() {
        let (queue, status) = queue(100);
        for time_ms in 0..4 {
            queue.push(body(time_ms, 40));
        }
        assert_eq!(status.samples_dropped(DropReason::QueueFull), 6);
        assert_eq!((status.queue_frames(), status.queue_bytes()), (2, 80));
        assert_eq!(queue.take().unwrap().time_ms, 2);
        assert_eq!((status.queue_frames(), status.queue_bytes()), (2, 80), "what is in flight still counts");
        queue.settled();
        assert_eq!((status.queue_frames(), status.queue_bytes()), (1, 40));
        assert_eq!(status.queue_oldest_seconds(1003), 1.0);
        queue.push(body(9, 101));
        assert_eq!(status.queue_frames(), 0, "a body that alone is over the cap does not stay");
    }

    #[test]
    fn a_closed_queue_hands_out_what_it_has() {
        let (queue, status) = queue(100);
        queue.push(body(1, 1));
        queue.push(body(2, 1));
        assert!(!queue.closed_within(Duration::ZERO));
        queue.close();
        assert!(queue.closed_within(Duration::from_secs(3600)));
        assert_eq!(queue.take().unwrap().time_ms, 1);
        assert_eq!(queue.abandon(DropReason::Shutdown), 3);
        assert_eq!(queue.take(), None);
        assert_eq!(status.samples_dropped(DropReason::Shutdown), 3);
    }
}
