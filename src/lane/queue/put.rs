//! The way in: for the scheduler, and for the worker.

use std::sync::{MutexGuard, PoisonError};
use std::time::Instant;

use super::Queue;
use super::disk_view::PATIENCE;
use super::list::UNCONFIRMED;
use super::state::{End, QueueState, UPKEEP};
use crate::host::wall_ms;
use crate::lane::body::Body;
use crate::lane::losses::lose;
use crate::model::{Parcel, Receipt, Signal};
use crate::telemetry::DropReason;

impl Queue {
    /// Puts `parcel` straight into the hands of a sender of `generation`, if one is idle and
    /// nothing is older. If not it comes back, and counts as on its way to [`Queue::push`].
    pub fn offer(&self, parcel: Parcel, generation: u64) -> Option<Parcel> {
        let mut state = self.lock();
        if state.crew.generation != generation || !state.may_go_straight(Instant::now()) {
            state.pending += 1;
            return Some(parcel);
        }
        state.straight = Some(parcel);
        drop(state);
        self.idle.notify_one();
        None
    }

    /// Nothing more is handed over to the lane of `generation`; what is on its way still comes.
    pub fn has_no_way_in(&self, generation: u64) {
        let mut state = self.lock();
        if state.crew.generation == generation {
            state.crew.has_no_way_in = true;
        }
        drop(state);
        self.worker.notify_all();
    }

    /// A batch that was on its way does not come.
    pub fn forgo(&self) {
        let mut state = self.lock();
        state.pending = state.pending.saturating_sub(1);
    }

    /// A second has passed since a tick: what is still with the senders goes to the disk. In
    /// the steady state nothing is, and nobody wakes up.
    pub fn nudge(&self) {
        let (mut state, now) = (self.lock(), Instant::now());
        self.look_at_disk(&mut state, now);
        // The keeper may hang in its disk, and the senders in their requests.
        self.expire(&mut state, wall_ms());
        self.wake_keeper(&state, false, now);
    }

    /// A batch that went straight is being encoded, until what this gives is dropped.
    pub fn encoding(&self) -> Encoding<'_> {
        Encoding { queue: self, bodies: Vec::new(), receipt: None }
    }

    /// Waits until no batch is under way straight: what comes after it is younger.
    pub fn wait_for_straight(&self) {
        let mut state = self.lock();
        while state.straight.is_some() || state.encoding {
            state.worker_waits = true;
            state = self.worker.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.worker_waits = false;
        }
    }

    /// Batches on their way to [`Queue::push`].
    #[cfg(test)]
    pub fn pending(&self) -> usize {
        self.lock().pending
    }

    /// Appends the bodies of a batch that came through the mailbox, one payload. Waits for the
    /// disk where more is in memory than may be, as long as the disk answers; where it does
    /// not, the oldest go, counted. `receipt`: somebody waits to hear of them.
    pub fn push(&self, bodies: Vec<Body>, receipt: Option<Receipt>) {
        let (mut state, now) = (self.lock(), Instant::now());
        state.pending = state.pending.saturating_sub(1);
        if matches!(state.end, End::Begun | End::Done) {
            let lost = bodies.iter().map(|body| body.samples).sum();
            return lose(&self.status, DropReason::Shutdown, lost);
        }
        state.list.add(bodies, receipt, true, now);
        self.expire(&mut state, wall_ms());
        self.wake_sender(&state, now);
        self.wake_keeper(&state, true, now);
        self.look_at_disk(&mut state, now);
        state = self.wait_for_room(state);
        self.shed(&mut state);
        self.tell(&state);
    }

    /// Where all who give this signal can wait, as those of records do, they do so without a disk, too:
    /// until what waits in memory is delivered, or has waited for [`UNCONFIRMED`].
    fn wait_for_room<'q>(&'q self, mut state: MutexGuard<'q, QueueState>) -> MutexGuard<'q, QueueState> {
        let can_wait = self.status.signal() == Signal::Records;
        let until = Instant::now() + if can_wait { UNCONFIRMED } else { PATIENCE };
        loop {
            let now = Instant::now();
            self.look_at_disk(&mut state, now);
            self.expire(&mut state, wall_ms());
            let waits = state.is_over_full() && state.list.has_unsaved() && state.end == End::No;
            // At the end there is no time for that.
            let goes_on = can_wait && !state.crew.has_no_way_in;
            let has_reason = state.disk.works(now) || (goes_on && state.list.is_awaited());
            if !waits || !has_reason || now >= until {
                return state;
            }
            state.worker_waits = true;
            let patience = if can_wait { UPKEEP } else { until.saturating_duration_since(now) };
            let waited = self.worker.wait_timeout(state, patience);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            state.worker_waits = false;
        }
    }

    /// Nothing more comes from the worker of `generation`. What waits, or is in somebody's
    /// hands, is to be on disk at once: its senders have little time left.
    pub fn close(&self, generation: u64) {
        let mut state = self.lock();
        if state.crew.generation == generation {
            state.crew.closed_at.get_or_insert_with(Instant::now);
            state.parking = true;
        }
        drop(state);
        self.wake_all();
    }
}

/// A batch that went straight to a sender, which encodes it.
#[derive(Debug)]
pub struct Encoding<'q> {
    queue: &'q Queue,
    bodies: Vec<Body>,
    receipt: Option<Receipt>,
}

impl Encoding<'_> {
    /// These are its bodies, one payload. `receipt`: somebody waits to hear of them.
    pub fn done(mut self, bodies: Vec<Body>, receipt: Option<Receipt>) {
        (self.bodies, self.receipt) = (bodies, receipt);
    }
}

impl Drop for Encoding<'_> {
    fn drop(&mut self) {
        let (mut state, now) = (self.queue.lock(), Instant::now());
        state.encoding = false;
        state.list.add(std::mem::take(&mut self.bodies), self.receipt.take(), false, now);
        self.queue.wake(&state, now);
        if state.list.is_awaited() {
            // Where the request hangs, nobody else tells who waits that it does.
            self.queue.wake_keeper(&state, true, now);
        }
        self.queue.tell(&state);
    }
}
