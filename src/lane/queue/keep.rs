//! The disk's side: what the keeper is given to do, and what it says has become of it.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use super::Queue;
use super::disk_view::{AHEAD, DiskView, Said};
use super::list::{OnDisk, Saved, Sum};
use super::state::{Chore, End, QueueState};
use crate::host::wall_ms;
use crate::lane::body::Body;
use crate::lane::losses::{lose, say_all};
use crate::lane::settings::{SpoolMode, SpoolSettings};
use crate::spool::{Frame, Spool, Stats, SyncPolicy};
use crate::telemetry::DropReason;

/// A body that is to be put on disk.
#[derive(Debug)]
pub struct Write {
    /// For [`Queue::written`].
    pub number: u64,
    pub body: Arc<Body>,
    /// It stays in memory, too: for the spool it is taken.
    pub stays: bool,
}

/// What became of a [`Write`].
#[derive(Debug)]
pub enum Written {
    /// It is on disk under this number; whether for the spool it is taken.
    Stored { id: u64, taken: bool },
    /// It is larger than a spool may be. Whoever is told true is to say so: it is lost.
    TooLarge,
    /// That failed.
    Failed(String),
}

/// What the keeper is to do.
#[derive(Debug)]
pub enum Task {
    /// Leave.
    Leave,
    /// End the queue.
    End,
    /// The spool is kept so from now on, where it is.
    Limits(SpoolSettings),
    /// The spool is left: it is elsewhere from now on, or nowhere. With the place that it was in.
    Elsewhere(SpoolSettings, Option<PathBuf>),
    /// Open the spool.
    Open(SpoolSettings),
    /// Put this on disk.
    Write(Write),
    /// Take a frame out.
    Read,
    /// Write down which series the destination has.
    Series,
    /// Sync, expire, tidy up.
    Upkeep,
}

/// What of the spool's frames has been settled since the keeper was last told.
#[derive(Debug, Default)]
pub struct Settled {
    /// Delivered, or lost for good: they are to be acknowledged.
    pub done: Vec<u64>,
    /// Given back: they come again.
    pub released: Vec<u64>,
}

impl Queue {
    /// What the keeper of `generation` is to do next; waits for it. With what is settled by then.
    pub fn next_task(&self, generation: u64) -> (Settled, Task) {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            match state.next_chore(generation, now) {
                Ok(chore) => {
                    let task = self.task(&mut state, chore, now);
                    return (state.disk.take_settled(), task);
                }
                Err(until) => {
                    state.disk.is_reading = false;
                    state.keeper_sleeps = Some(until);
                    state = match until {
                        None => self.keeper.wait(state).unwrap_or_else(PoisonError::into_inner),
                        Some(until) => {
                            let patience = until.saturating_duration_since(now);
                            self.keeper.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner).0
                        }
                    };
                    state.keeper_sleeps = None;
                    #[cfg(test)]
                    {
                        state.keeper_woken += 1;
                    }
                }
            }
        }
    }

    /// How often the keeper woke up.
    #[cfg(test)]
    pub fn keeper_woken(&self) -> u64 {
        self.lock().keeper_woken
    }

    /// Whether it sleeps until somebody wakes it.
    #[cfg(test)]
    pub fn keeper_sleeps(&self) -> bool {
        self.lock().keeper_sleeps == Some(None)
    }

    /// Whether a batch that comes now goes straight.
    #[cfg(test)]
    pub fn is_quiet(&self) -> bool {
        self.lock().may_go_straight(Instant::now())
    }

    /// What is due at once; none: nothing is.
    #[cfg(test)]
    pub fn task_due(&self, generation: u64) -> Option<(Settled, Task)> {
        let (mut state, now) = (self.lock(), Instant::now());
        let chore = state.next_chore(generation, now).ok()?;
        let task = self.task(&mut state, chore, now);
        Some((state.disk.take_settled(), task))
    }

    fn task(&self, state: &mut QueueState, chore: Chore, now: Instant) -> Task {
        state.disk.is_reading = chore == Chore::Read;
        if matches!(chore, Chore::Open | Chore::Write | Chore::Read | Chore::Series | Chore::Upkeep) {
            state.disk.busy_since = Some(now);
            // Once each ten seconds at most, and never where the disk is not touched.
            if state.crew.idle > 0 && state.disk.to_be_said_at().is_some() && !state.disk.is_watched {
                self.idle.notify_one();
            }
        }
        match chore {
            Chore::Leave => Task::Leave,
            Chore::End => {
                state.end = End::Begun;
                Task::End
            }
            Chore::Move => self.begin_move(state, now),
            Chore::Open => Task::Open(state.settings.clone()),
            Chore::Write => match to_write(state) {
                Some(write) => Task::Write(write),
                None => Task::Upkeep,
            },
            Chore::Read => Task::Read,
            Chore::Series => {
                state.series_changed = false;
                Task::Series
            }
            Chore::Upkeep => {
                state.upkept = Some(now);
                self.expire(state, wall_ms());
                Task::Upkeep
            }
        }
    }

    fn begin_move(&self, state: &mut QueueState, now: Instant) -> Task {
        let settings = state.moved.take().unwrap_or_else(|| state.settings.clone());
        let (old, new) = (state.settings.home(&self.name), settings.home(&self.name));
        state.settings = settings.clone();
        if old == new {
            return Task::Limits(settings);
        }
        // What stays there is nobody's to send: whoever waits to hear of it may send it again.
        state.list.synced(false);
        let (in_hand, back) = state.list.leave_disk(now);
        state.disk.settled.extend(in_hand);
        state.disk.released.extend(back);
        let settled = state.disk.take_settled();
        state.disk = DiskView::new(new.is_some().then_some(now));
        (state.disk.settled, state.disk.released) = (settled.done, settled.released);
        self.status.keeps_badly(None);
        self.tell(state);
        Task::Elsewhere(settings, old)
    }

    /// The spool is open, with what is in it; or why it cannot be opened.
    pub fn opened(&self, opened: Result<Stats, String>) {
        let (mut state, now) = (self.lock(), Instant::now());
        state.disk.open_tried = Some(now);
        state.disk.opening = None;
        match opened {
            Ok(stats) => {
                state.disk.is_open = true;
                if self.status.trouble().is_some() {
                    self.status.keeps_badly(None);
                    log::info!("destination {}: its spool can be used now", self.name);
                }
                self.take_up(&mut state, stats, now);
            }
            Err(error) => {
                let why = format!("what waits is in memory until its spool works: {error}");
                match state.settings.mode {
                    // It was to be on disk before it is sent.
                    SpoolMode::Always => self.status.keeps_badly(Some(why)),
                    _ => self.status.lacks_disk(why),
                }
                state.disk.busy_since = None;
                self.shed(&mut state);
                self.wake(&state, now);
            }
        }
        self.tell(&state);
    }

    /// What became of a [`Write`], and of the spool.
    pub fn written(&self, number: u64, written: Written, stats: Stats) {
        let (mut state, now) = (self.lock(), Instant::now());
        match written {
            Written::Stored { id, taken } => {
                match state.list.saved(number, id, taken) {
                    Saved::Listed | Saved::Left => {}
                    Saved::Settled if taken => state.disk.settled.push(id),
                    Saved::Settled => _ = state.disk.delivered.insert(id),
                }
                if !matches!(state.settings.sync_policy(), SyncPolicy::Interval(_)) {
                    // It was forced to the device, or the kernel does that whenever it sees fit.
                    state.list.synced(true);
                }
                if state.disk.write_failed.take().is_some() {
                    self.status.keeps_badly(None);
                    log::info!("destination {}: its spool works again", self.name);
                }
            }
            Written::TooLarge => {
                if let Some(left) = state.list.refused(number) {
                    lose(&self.status, DropReason::QueueFull, left.samples);
                }
            }
            Written::Failed(error) => {
                if state.disk.write_failed.is_none() {
                    let next = match state.end {
                        End::No | End::Asked => "keeping its data in memory until that works again",
                        End::Begun | End::Done => "what is in memory is lost",
                    };
                    log::warn!("destination {}: {error}; {next}", self.name);
                }
                self.status.keeps_badly(Some(format!("what waits is in memory until its spool works again: {error}")));
                state.disk.write_failed = Some(now);
                self.shed(&mut state);
            }
        }
        self.take_up(&mut state, stats, now);
    }

    /// A frame was read, or there was none; or why reading failed, and whether that is to be said.
    pub fn read(&self, read: Result<Option<Frame>, String>, stats: Stats) {
        let (mut state, now) = (self.lock(), Instant::now());
        match read {
            Ok(frame) => {
                if state.disk.read_failed.take().is_some() && state.disk.write_failed.is_none() {
                    self.status.keeps_badly(None);
                }
                if let Some(Frame { id, time_ms, samples, content, bytes }) = frame {
                    if state.disk.delivered.remove(&id) {
                        state.disk.settled.push(id);
                    } else if !state.list.came_again(id) {
                        state.list.add_read(id, Body { bytes, samples: u64::from(samples), time_ms, content });
                    }
                    // Of these the cap has taken the rest.
                    state.disk.delivered = state.disk.delivered.split_off(&id);
                }
            }
            Err(why) => {
                state.disk.read_failed = Some(now);
                self.status.keeps_badly(Some(why));
            }
        }
        self.take_up(&mut state, stats, now);
    }

    /// Something else is about to be done with the disk.
    pub fn at_work(&self) {
        self.lock().disk.busy_since = Some(Instant::now());
    }

    /// That was done.
    pub fn kept(&self, stats: Stats) {
        let (mut state, now) = (self.lock(), Instant::now());
        self.take_up(&mut state, stats, now);
    }

    /// All that was written was forced to the device; or that failed, so that it never may be.
    pub fn synced(&self, is_safe: bool) {
        self.lock().list.synced(is_safe);
    }

    /// The spool has dropped these, which were taken out of it. Those that it is to have back,
    /// to count them; a sender has the others in hand, and may deliver them.
    pub fn dropped(&self, mut gone: Vec<u64>) -> Vec<u64> {
        if !gone.is_empty() {
            let mut state = self.lock();
            // What was delivered a moment ago is about to be acknowledged.
            gone.retain(|id| !state.disk.settled.contains(id) && state.list.drop_gone(*id));
        }
        gone
    }

    /// There is no disk to do anything with.
    pub fn kept_nothing(&self) {
        let (mut state, now) = (self.lock(), Instant::now());
        state.disk.busy_since = None;
        self.wake(&state, now);
        self.tell(&state);
    }

    /// The end: what is to be put on disk still, whoever has it in hand.
    pub fn next_to_park(&self) -> Option<Write> {
        let mut state = self.lock();
        state.disk.busy_since = Some(Instant::now());
        to_write(&mut state)
    }

    /// The end: what is in memory alone is lost. How many samples that were; and what the spool
    /// is to be told.
    pub fn park_rest(&self) -> (u64, Settled) {
        let mut state = self.lock();
        let mut lost = 0;
        for left in state.list.drain() {
            match left.on_disk {
                OnDisk::Taken(id) => state.disk.released.push(id),
                OnDisk::Untaken(_) => {}
                OnDisk::No | OnDisk::TooLarge => lost += left.samples,
            }
        }
        lose(&self.status, DropReason::Shutdown, lost);
        (lost, state.disk.take_settled())
    }

    /// The end: this is how the spool was left.
    pub fn parked(&self, stats: Stats) {
        let (mut state, now) = (self.lock(), Instant::now());
        self.take_up(&mut state, stats, now);
        say_all(&self.status);
    }

    /// The queue has ended.
    pub fn has_ended(&self) {
        self.lock().end = End::Done;
        self.ended.notify_all();
        self.wake_all();
    }

    /// The spool of the keeper before.
    pub fn take_over(&self) -> Option<Spool> {
        self.between.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The spool, for the keeper that comes after this one.
    pub fn leave_spool(&self, spool: Option<Spool>) {
        *self.between.lock().unwrap_or_else(PoisonError::into_inner) = spool;
    }

    /// After anything that was done with the disk: it has answered.
    fn take_up(&self, state: &mut QueueState, stats: Stats, now: Instant) {
        state.disk.busy_since = None;
        if std::mem::replace(&mut state.disk.said, Said::Nothing) == Said::Hangs && state.disk.write_failed.is_none() {
            self.status.keeps_badly(None);
            log::info!("destination {}: its spool's disk answers again", self.name);
        }
        let [over_cap, expired, lost] = state.disk.take_up(stats);
        for (reason, count) in
            [(DropReason::QueueFull, over_cap), (DropReason::Expired, expired), (DropReason::Damaged, lost)]
        {
            lose(&self.status, reason, count.samples);
        }
        self.wake(state, now);
        self.tell(state);
    }
}

/// The next body for the disk.
fn to_write(state: &mut QueueState) -> Option<Write> {
    let Sum { frames, bytes } = state.list.ready();
    // What is in memory anyway need not be read again, as long as that is little.
    let has_room = frames < AHEAD.frames && bytes < AHEAD.bytes && !state.is_over_full();
    let is_next = state.disk.unread.frames == 0;
    let (first, in_hand) = state.list.first_unsaved()?;
    Some(Write { number: first.number, body: Arc::clone(&first.body), stays: in_hand || (has_room && is_next) })
}

impl DiskView {
    fn take_settled(&mut self) -> Settled {
        Settled { done: std::mem::take(&mut self.settled), released: std::mem::take(&mut self.released) }
    }
}
