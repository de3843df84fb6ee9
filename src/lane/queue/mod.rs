//! What waits for a destination, and what its senders have in hand: in memory while all is
//! well, on disk as soon as it is not.
//!
//! What is delivered within a second never touches the disk, however many bodies it is. It
//! goes there, oldest first, once nothing of a payload has been acknowledged for a second,
//! once a request has failed, or once more is in memory than may be; and so does all that
//! follows until nothing waits. Where the disk does not take it (full, read-only, gone, or
//! without an answer), it stays in memory, within a cap, and moves there when it works again.
//!
//! The disk is the keeper's. What is here is one state under one lock, which nobody holds
//! while anything is encoded, sent, written or read: whoever pushes or takes waits for no
//! disk, and a disk that hangs keeps nobody from what is in memory.

mod disk_view;
mod keep;
mod list;
mod pause;
mod put;
mod state;
mod stuck;
mod take;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::losses::lose;
use super::settings::{RetrySettings, SpoolSettings};
use crate::spool::Spool;
use crate::telemetry::{DestinationStatus, DropReason};

use self::disk_view::{DiskView, Said};
use self::list::{Left, OnDisk};
use self::state::{Chore, Crew, End, QueueState};

pub use self::keep::{Settled, Task, Write, Written};
pub use self::list::{InHand, Unsaved};
pub use self::pause::{Failure, Ticket};
pub use self::take::{GRACE, Next, SenderId};

/// The queue of one destination.
#[derive(Debug)]
pub struct Queue {
    name: String,
    status: Arc<DestinationStatus>,
    /// Its destination is not in the configuration any more: nobody comes after it.
    abandoned: AtomicBool,
    state: Mutex<QueueState>,
    /// Wakes a sender that has nothing to do.
    idle: Condvar,
    /// Wakes the senders that wait for a pause's end.
    paused: Condvar,
    /// Wakes the worker.
    worker: Condvar,
    /// Wakes the keeper.
    keeper: Condvar,
    /// The queue has ended.
    ended: Condvar,
    /// Its spool, while one keeper has left and the next one has not come. Each has it for itself.
    between: Mutex<Option<Spool>>,
}

impl Queue {
    /// The queue of the destination `name`, for so many senders. What it kept from an earlier
    /// life comes when its keeper has opened the spool.
    pub fn new(name: &str, settings: &SpoolSettings, status: Arc<DestinationStatus>, senders: usize) -> Queue {
        Queue {
            name: name.to_owned(),
            status,
            abandoned: AtomicBool::new(false),
            state: Mutex::new(QueueState::new(settings.clone(), senders, Instant::now())),
            idle: Condvar::new(),
            paused: Condvar::new(),
            worker: Condvar::new(),
            keeper: Condvar::new(),
            ended: Condvar::new(),
            between: Mutex::new(None),
        }
    }

    /// A number for the senders of another lane with this queue.
    pub fn new_generation(&self) -> u64 {
        let mut state = self.lock();
        state.generations += 1;
        state.generations
    }

    /// From now on the queue is that of so many senders of this generation: those before them
    /// finish what they have under way, and leave. True where these have ended the queue, or
    /// are about to.
    pub fn hand_over(&self, generation: u64, senders: usize) -> bool {
        let mut state = self.lock();
        if state.end == End::Asked {
            state.end = End::No;
        }
        state.crew = Crew::new(generation, senders);
        state.parking = false;
        state.pause.lift();
        let queue_ends = state.end != End::No;
        drop(state);
        self.wake_all();
        queue_ends
    }

    /// A queue that was ended is gone on with all the same: its spool is to be opened again.
    pub fn revive(&self) {
        let mut state = self.lock();
        if state.end == End::Done {
            state.end = End::No;
            state.disk = DiskView::new(state.settings.has_home().then(Instant::now));
        }
    }

    /// How pauses and a backlog's drain go from now on. A pause ends.
    pub fn set_pace(&self, retry: &RetrySettings, drain_rate: Option<f64>) {
        let mut state = self.lock();
        state.pause.set_retry(retry.clone());
        state.aside_after = retry.aside_after;
        state.drain_rate = drain_rate;
        state.paced_until = None;
        drop(state);
        self.end_pause();
    }

    /// A pause ends, if there is one: what was wrong may be mended.
    pub fn end_pause(&self) {
        self.lock().pause.lift();
        self.paused.notify_all();
        self.idle.notify_all();
    }

    /// What waits is to be kept otherwise from now on.
    pub fn move_to(&self, settings: SpoolSettings) {
        self.lock().moved = Some(settings);
        self.keeper.notify_one();
    }

    /// The series that the destination has are others by now.
    pub fn series_changed(&self) {
        self.lock().series_changed = true;
        self.keeper.notify_one();
    }

    /// Whether nobody will come after it who sends what it leaves on disk.
    pub fn abandon(&self, so: bool) {
        self.abandoned.store(so, Ordering::Relaxed);
    }

    /// Where it leaves what nobody sends; none where somebody will.
    pub fn abandoned(&self) -> Option<PathBuf> {
        let is_abandoned = self.abandoned.load(Ordering::Relaxed);
        is_abandoned.then(|| self.lock().settings.home(&self.name)).flatten()
    }

    /// What senders have in hand is not waited for: the keeper is to end the queue as soon as
    /// nothing more comes in.
    pub fn finish(&self) {
        self.lock().crew.unawaited = true;
        self.keeper.notify_all();
    }

    /// The keeper is to end it now, whatever is still to come in.
    pub fn cut_off(&self) {
        let mut state = self.lock();
        if state.end == End::No {
            state.end = End::Asked;
        }
        self.keeper.notify_all();
    }

    /// Waits for its end, until `until` at most. Else what has not come to an end.
    pub fn wait_for_end(&self, until: Instant) -> Result<(), Unsaved> {
        let mut state = self.lock();
        while state.end != End::Done {
            let patience = until.saturating_duration_since(Instant::now());
            if patience.is_zero() {
                let mut unsaved = state.list.unsaved();
                unsaved.batches = state.pending as u64 + u64::from(state.straight.is_some());
                return Err(unsaved);
            }
            state = self.ended.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    /// Whether the disk takes what it is given, as far as is known.
    pub fn disk_works(&self) -> bool {
        self.lock().disk.works(Instant::now())
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        // A panic while the lock is held leaves the counts as they were between two
        // statements at worst; the bodies themselves are whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_all(&self) {
        for everybody in [&self.idle, &self.paused, &self.worker, &self.keeper] {
            everybody.notify_all();
        }
    }

    /// Wakes the keeper where there is something for it to do by now. With `early`, also where
    /// there will be before it wakes up by itself.
    fn wake_keeper(&self, state: &QueueState, early: bool, now: Instant) {
        let Some(sleeps_until) = state.keeper_sleeps else { return };
        let is_due = match state.next_chore(state.crew.generation, now) {
            // In the steady state, too, something is in hand most of the time: no reason to wake up.
            Ok(Chore::Upkeep) => early,
            Ok(_) => true,
            Err(next) => early && next.is_some_and(|next| sleeps_until.is_none_or(|until| next < until)),
        };
        if is_due {
            self.keeper.notify_one();
        }
    }

    /// Wakes a sender where there is something to send.
    fn wake_sender(&self, state: &QueueState, now: Instant) {
        if state.crew.closed_at.is_some() {
            // It may be that there is nothing any more to stay for.
            self.idle.notify_all();
        } else if state.crew.idle > 0 && (state.straight.is_some() || state.next_body(now).is_ok()) {
            self.idle.notify_one();
        }
    }

    /// Wakes all that may wait for what has changed.
    fn wake(&self, state: &QueueState, now: Instant) {
        self.wake_sender(state, now);
        self.wake_keeper(state, false, now);
        if state.worker_waits {
            self.worker.notify_all();
        }
    }

    /// Drops from memory what has waited for too long. The spool sees to its own.
    fn expire(&self, state: &mut QueueState, now_ms: i64) {
        while let Some(left) = state.list.drop_unconfirmed(Instant::now()) {
            lose(&self.status, DropReason::Unconfirmed, left.samples);
            state.disk.done(left);
        }
        let Some(limit_ms) = state.settings.old_before_ms(now_ms) else { return };
        while let Some(left) = state.list.expire(limit_ms) {
            lose(&self.status, DropReason::Expired, left.samples);
            state.disk.done(left);
        }
    }

    /// Drops from memory what is more than may be there.
    fn shed(&self, state: &mut QueueState) {
        while state.is_over_full() {
            let Some(left) = state.list.drop_oldest() else { return };
            lose(&self.status, DropReason::QueueFull, left.samples);
        }
    }

    /// Tells the status what waits.
    fn tell(&self, state: &QueueState) {
        let (memory, unread) = (state.list.waiting(), state.disk.unread);
        let first = state.list.front().map(|first| (first.on_disk, first.body.time_ms));
        let oldest = match first {
            Some((on_disk, _)) if on_disk == OnDisk::No && unread.frames > 0 => state.disk.oldest_ms,
            Some((_, time_ms)) => Some(time_ms),
            None => state.disk.oldest_ms.filter(|_| unread.frames > 0),
        };
        self.status.queue(memory.frames + unread.frames, memory.bytes + unread.bytes, oldest);
    }

    /// Looks whether the disk answers, and says it, once, where it does not.
    fn look_at_disk(&self, state: &mut QueueState, now: Instant) {
        let Some(said) = state.disk.look(now) else { return };
        let why = match (said, state.disk.is_open) {
            (Said::Slow, _) => {
                "its spool's disk is slow; what is in the spool goes first, and what is collected waits in memory"
            }
            (_, false) => {
                "its spool's disk hangs; what is in the spool goes when the disk answers, the rest without it"
            }
            (_, true) => "its spool's disk hangs; what is in memory is sent without it, as much as may be there",
        };
        log::warn!("destination {}: {why}", self.name);
        self.status.keeps_badly(Some(why.to_owned()));
        self.wake(state, now);
    }
}

impl DiskView {
    /// A body has left the list for good: the spool is to let go of it, too.
    fn done(&mut self, left: Left) {
        match left.on_disk {
            OnDisk::Taken(id) => self.settled.push(id),
            OnDisk::Untaken(id) => _ = self.delivered.insert(id),
            OnDisk::No | OnDisk::TooLarge => {}
        }
    }
}
