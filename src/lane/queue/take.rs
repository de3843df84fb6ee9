//! The way out: what the senders ask of the queue.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::list::OnDisk;
use super::pause::{Failure, Gate, Ticket};
use super::state::{End, QueueState};
use super::{InHand, Queue};
use crate::host::wall_ms;
use crate::lane::losses::lose;
use crate::model::Parcel;
use crate::telemetry::DropReason;

/// After stopping began, deliveries that work may go on for so long.
pub const GRACE: Duration = Duration::from_secs(5);

/// While a pause is on, files with credentials are looked at this often.
const LOOK: Duration = Duration::from_secs(1);

/// Which sender asks.
#[derive(Clone, Copy, Debug)]
pub struct SenderId {
    /// That of its lane.
    pub generation: u64,
    /// One of a lane's senders looks after what is the same for all.
    pub is_first: bool,
}

/// What a sender is to do.
#[derive(Debug)]
pub enum Next {
    /// Encode this, within a [`Queue::encoding`].
    Encode(Parcel),
    /// Send this.
    Send(InHand, Ticket),
    /// Look whether what the destination may have refused us for is different by now.
    Look,
    /// Leave: nothing comes any more, time is up, or others go on.
    Leave,
}

/// What a sender waits for.
#[derive(Debug)]
pub(super) enum Wait {
    /// Something to send; until then at most.
    Idle(Option<Instant>),
    /// The end of a pause; until then at most.
    Paused(Option<Instant>),
}

impl Queue {
    /// What `sender` is to do next. Waits until there is something.
    pub fn next(&self, sender: SenderId) -> Next {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            if let Some(parcel) = state.straight.take() {
                state.encoding = true;
                return Next::Encode(parcel);
            }
            self.look_at_disk(&mut state, now);
            let wait = match self.choose(&mut state, sender, now) {
                Ok(next) => return next,
                Err(wait) => wait,
            };
            let (bell, until) = match wait {
                Wait::Idle(until) => (&self.idle, until),
                Wait::Paused(until) => (&self.paused, until),
            };
            // The end of the grace ends every wait.
            let over = state.crew.closed_at.map(|closed| closed + GRACE);
            let looks_at = match wait {
                Wait::Paused(_) if sender.is_first && state.pause.is_on(now) => Some(now + LOOK),
                _ => None,
            };
            let is_idle = matches!(wait, Wait::Idle(_));
            // No tick may come for long: whoever waits here says that a disk hangs.
            let hangs_at = if is_idle { state.disk.to_be_said_at() } else { None };
            state.disk.is_watched |= hangs_at.is_some();
            let until = [until, over, looks_at, hangs_at].into_iter().flatten().min();
            state.crew.idle += usize::from(is_idle);
            let generation = state.crew.generation;
            state = match until {
                None => bell.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let patience = until.saturating_duration_since(now);
                    bell.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner).0
                }
            };
            if hangs_at.is_some() {
                state.disk.is_watched = false;
            }
            if is_idle && state.crew.generation == generation {
                state.crew.idle -= 1;
            }
            if looks_at.is_some_and(|at| Instant::now() >= at) && state.pause.is_on(Instant::now()) {
                return Next::Look;
            }
        }
    }

    pub(super) fn choose(&self, state: &mut QueueState, sender: SenderId, now: Instant) -> Result<Next, Wait> {
        if state.crew.generation != sender.generation || state.crew.is_over {
            return Ok(Next::Leave);
        }
        if let Some(closed_at) = state.crew.closed_at {
            if now >= closed_at + GRACE || state.is_drained(now) {
                return Ok(Next::Leave);
            }
            if state.pause.is_on(now) {
                if std::mem::replace(&mut state.crew.last_chance_taken, true) {
                    state.crew.is_over = true;
                    self.wake_all();
                    return Ok(Next::Leave);
                }
                // One more attempt, for a destination that has just come back.
                state.pause.lift();
            }
        }
        match state.pause.gate(now) {
            Gate::Until(until) => return Err(Wait::Paused(Some(until))),
            Gate::Answer => return Err(Wait::Paused(None)),
            Gate::Open => {}
        }
        self.expire(state, wall_ms());
        let number = match state.next_body(now) {
            Ok(number) => number,
            Err(until) => {
                self.wake_keeper(state, false, now);
                self.tell(state);
                return Err(Wait::Idle(until));
            }
        };
        let is_backlog = state.list.first_free().is_some_and(|first| first.backlog);
        let Some(in_hand) = state.list.take(number) else { return Err(Wait::Idle(None)) };
        if let (true, Some(rate)) = (is_backlog, state.drain_rate) {
            state.paced_until = Some(now + Duration::from_secs_f64(1.0 / rate));
        }
        let ticket = state.pause.begin();
        // Where there is more, another one is woken, and so on: no word is lost on one that
        // had no use for it.
        self.wake_sender(state, now);
        self.wake_keeper(state, false, now);
        self.tell(state);
        Ok(Next::Send(in_hand, ticket))
    }

    /// Whether `sender`, which has sent a part of a body, may go on with the rest of it at once.
    pub fn go_on(&self, sender: SenderId) -> Option<Ticket> {
        let (mut state, now) = (self.lock(), Instant::now());
        let in_time = state.crew.closed_at.is_none_or(|closed_at| now < closed_at + GRACE);
        let may = state.crew.generation == sender.generation && in_time && state.pause.gate(now) == Gate::Open;
        may.then(|| state.pause.begin())
    }

    /// A request was answered by a destination that works; `delivered`: it is there.
    pub fn answered(&self, ticket: Ticket, delivered: bool) {
        let mut state = self.lock();
        if state.pause.answered(ticket, delivered) {
            drop(state);
            self.paused.notify_all();
            self.idle.notify_one();
        }
    }

    /// A request failed: no sender begins another one for so long.
    pub fn failed(&self, ticket: Ticket, failure: Failure) -> Duration {
        let (mut state, now) = (self.lock(), Instant::now());
        let pause = state.pause.failed(ticket, failure, now);
        self.wake_keeper(&state, false, now);
        drop(state);
        // Those that wait for this answer wait for the pause's end now.
        self.paused.notify_all();
        pause
    }

    /// `body` was answered 5xx. Where it is to be looked, with [`Queue::another`], if it alone is: how many to pass over.
    pub fn may_be_stuck(&self, body: &[u8]) -> Option<usize> {
        let mut state = self.lock();
        let patience = state.aside_after;
        state.stuck.refused(body, patience, Instant::now())
    }

    /// A body behind the one that `sender` has in hand, to see whether it is taken: the one behind the next `skip`, or
    /// the last one that there is. None at the end, where time is short, and where there is none.
    pub fn another(&self, sender: SenderId, skip: usize) -> Option<InHand> {
        let (mut state, now) = (self.lock(), Instant::now());
        if state.crew.generation != sender.generation || state.crew.closed_at.is_some() {
            return None;
        }
        // The rate of a drain is no matter for one look.
        let paced = state.paced_until.take();
        let next = state.next_body(now);
        state.paced_until = paced;
        next.ok()?;
        // What is in memory alone is younger than what is on disk.
        let has_unread = state.disk.unread.frames > 0;
        let number = state.list.free_behind(skip, |on_disk| !(has_unread && on_disk == OnDisk::No))?;
        let in_hand = state.list.take(number);
        self.wake_keeper(&state, false, now);
        in_hand
    }

    /// A body that was answered 5xx while another one was taken is dropped.
    pub fn was_put_aside(&self) {
        self.lock().stuck.was_put_aside(Instant::now());
    }

    /// What `number` names is delivered, or lost for good.
    pub fn settled(&self, number: u64) {
        let (mut state, now) = (self.lock(), Instant::now());
        if let Some(left) = state.list.settle(number, now) {
            state.disk.done(left);
        }
        if state.list.is_empty() && state.disk.write_failed.take().is_some() {
            // What was in memory for it is delivered: from here on the disk has nothing to answer for.
            self.status.keeps_badly(None);
        }
        self.wake_sender(&state, now);
        self.wake_keeper(&state, state.disk.has_files, now);
        self.tell(&state);
    }

    /// A body was not sent, or not all of it: it is the next to be taken.
    pub fn give_back(&self, in_hand: InHand) {
        let (mut state, now) = (self.lock(), Instant::now());
        if let Some(left) = state.list.give_back(in_hand) {
            match left.on_disk {
                OnDisk::Taken(id) => state.disk.released.push(id),
                OnDisk::Untaken(_) => {}
                OnDisk::No | OnDisk::TooLarge => lose(&self.status, DropReason::Unconfirmed, left.samples),
            }
        }
        self.shed(&mut state);
        self.wake(&state, now);
        self.tell(&state);
    }

    /// A sender of `generation` leaves: the last one has the queue ended, unless others go on.
    pub fn leave(&self, generation: u64) {
        let mut state = self.lock();
        if state.crew.generation != generation {
            return;
        }
        state.crew.present = state.crew.present.saturating_sub(1);
        if state.crew.present == 0 && state.end == End::No {
            state.end = End::Asked;
            self.keeper.notify_one();
        }
    }
}
