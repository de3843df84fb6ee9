//! The state of a queue, under its one lock, and what is to be done next: for a sender, for
//! the keeper. Pure: whoever asks brings the time.

use std::time::{Duration, Instant};

use super::disk_view::{AHEAD, DISK_RETRY, DiskView, OPEN_PATIENCE, OPEN_SOON};
use super::list::{List, OnDisk};
use super::pause::Pause;
use super::stuck::Stuck;
use crate::lane::settings::{RetrySettings, SpoolMode, SpoolSettings};
use crate::model::Parcel;

/// How often the disk is looked after while something is on it.
pub const UPKEEP: Duration = Duration::from_secs(1);

/// How far a queue is with its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It goes on.
    No,
    /// The keeper is to end it.
    Asked,
    /// The keeper is at it.
    Begun,
    /// What was there is on disk, or lost and counted.
    Done,
}

/// What the keeper is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chore {
    /// Leave: another keeper comes after it, or the queue has ended.
    Leave,
    /// End the queue.
    End,
    /// Take up other settings.
    Move,
    /// Open the spool.
    Open,
    /// Put the next body on disk.
    Write,
    /// Read ahead.
    Read,
    /// Write down which series the destination has.
    Series,
    /// Sync, expire, tidy up.
    Upkeep,
}

/// The senders that there are now. Others may come after them, with the same queue.
#[derive(Debug)]
pub struct Crew {
    /// Tells them from those before and after.
    pub generation: u64,
    /// Those that wait for something to do.
    pub idle: usize,
    /// Those that have not left.
    pub present: usize,
    /// Nobody hands anything over any more.
    pub has_no_way_in: bool,
    /// Nothing more comes, since then.
    pub closed_at: Option<Instant>,
    /// A pause was cut short for the end's sake already.
    pub last_chance_taken: bool,
    /// What is left is not sent any more.
    pub is_over: bool,
    /// Nobody waits for what they have under way: once nothing more comes, the queue ends.
    pub unawaited: bool,
}

impl Crew {
    pub fn new(generation: u64, present: usize) -> Crew {
        Crew {
            generation,
            idle: 0,
            present,
            has_no_way_in: false,
            closed_at: None,
            last_chance_taken: false,
            is_over: false,
            unawaited: false,
        }
    }
}

/// The state of a queue.
#[derive(Debug)]
pub struct QueueState {
    pub settings: SpoolSettings,
    /// For whichever sender is idle, which encodes it itself.
    pub straight: Option<Parcel>,
    /// It is doing so.
    pub encoding: bool,
    /// Batches in the mailbox, or in the worker's hands.
    pub pending: usize,
    pub list: List,
    pub disk: DiskView,
    pub crew: Crew,
    pub generations: u64,
    pub pause: Pause,
    pub stuck: Stuck,
    /// How long one body may be answered 5xx before it is looked whether others are taken.
    pub aside_after: Duration,
    /// Requests a second with which a backlog is drained, and when the next one may begin.
    pub drain_rate: Option<f64>,
    pub paced_until: Option<Instant>,
    /// All that is in memory is to be on disk at once.
    pub parking: bool,
    pub end: End,
    pub moved: Option<SpoolSettings>,
    pub series_changed: bool,
    /// The disk was last looked after.
    pub upkept: Option<Instant>,
    /// The worker waits: for the sender that encodes, or for room.
    pub worker_waits: bool,
    /// The keeper sleeps; until when, if it wakes up by itself.
    pub keeper_sleeps: Option<Option<Instant>>,
    /// How often it woke up.
    #[cfg(test)]
    pub keeper_woken: u64,
}

impl QueueState {
    pub fn new(settings: SpoolSettings, senders: usize, now: Instant) -> QueueState {
        QueueState {
            disk: DiskView::new(settings.has_home().then_some(now)),
            settings,
            straight: None,
            encoding: false,
            pending: 0,
            list: List::default(),
            crew: Crew::new(0, senders),
            generations: 0,
            pause: Pause::new(RetrySettings::default()),
            stuck: Stuck::default(),
            aside_after: RetrySettings::default().aside_after,
            drain_rate: None,
            paced_until: None,
            parking: false,
            end: End::No,
            moved: None,
            series_changed: false,
            upkept: None,
            worker_waits: false,
            keeper_sleeps: None,
            #[cfg(test)]
            keeper_woken: 0,
        }
    }

    /// Whether a batch may go straight to a sender: one is idle, and nothing is older.
    pub fn may_go_straight(&self, now: Instant) -> bool {
        let is_quiet = self.straight.is_none() && !self.encoding && self.pending == 0 && self.list.is_empty();
        let disk_is_quiet = self.disk.unread.frames == 0 && self.disk.opening.is_none();
        let sends = self.crew.idle > 0 && !self.pause.is_failing() && !self.pause.is_on(now);
        is_quiet && disk_is_quiet && sends
    }

    /// The number of the body that may be sent now; none: when to look again at the latest,
    /// where nobody says that anything has changed.
    pub fn next_body(&self, now: Instant) -> Result<u64, Option<Instant>> {
        if let Some(since) = self.disk.opening {
            let soon = since + OPEN_SOON;
            return Err(Some(if now < soon { soon } else { since + OPEN_PATIENCE }));
        }
        let Some(first) = self.list.first_free() else { return Err(None) };
        let is_unsaved = first.on_disk == OnDisk::No;
        if is_unsaved && self.disk.is_open && !self.disk.hangs(now) {
            // What is on disk is older.
            let waits_for_older = self.disk.unread.frames > 0;
            let waits_for_disk = self.settings.mode == SpoolMode::Always && self.disk.write_failed.is_none();
            if waits_for_older || waits_for_disk {
                return Err(Some(self.disk.hangs_at(now)));
            }
        }
        match self.paced_until {
            Some(until) if first.backlog && now < until => Err(Some(until)),
            _ => Ok(first.number),
        }
    }

    /// Whether nothing is left that a sender could wait for.
    pub fn is_drained(&self, now: Instant) -> bool {
        let disk_is_done = !self.disk.is_open || self.disk.unread.frames == 0 || self.disk.read_failed.is_some();
        let is_quiet = self.straight.is_none() && !self.encoding && self.pending == 0;
        is_quiet && (disk_is_done || self.disk.hangs(now)) && self.list.first_free().is_none()
    }

    /// Whether what is in memory is to go to the disk.
    fn is_for_disk(&self, now: Instant) -> bool {
        self.disk.is_open
            && self.list.has_unsaved()
            && (self.settings.mode == SpoolMode::Always
                || self.parking
                || self.pause.is_failing()
                // What comes behind something that is there goes there, too.
                || self.disk.unread.frames > 0
                || self.list.has_saved()
                || self.is_over_full()
                || self.list.late_at().is_some_and(|at| now >= at))
    }

    /// Whether more is in memory than may be.
    pub fn is_over_full(&self) -> bool {
        self.list.bytes() > self.settings.memory_max_bytes as u64
    }

    /// Whether the keeper is to read on.
    fn is_for_reading(&self, now: Instant) -> bool {
        let (ready, part) = (self.list.ready(), if self.disk.is_reading { 1 } else { 2 });
        let has_room = self.list.bytes() < self.settings.memory_max_bytes as u64;
        let is_low = ready.frames < AHEAD.frames / part && ready.bytes < AHEAD.bytes / part && has_room;
        let is_low = is_low || ready.frames == 0;
        self.disk.is_open && self.disk.unread.frames > 0 && is_low && DiskView::is_time(self.disk.read_failed, now)
    }

    /// Whether there is anything to look after, now and then.
    fn is_busy(&self) -> bool {
        self.disk.has_files || !self.list.is_empty() || !self.disk.settled.is_empty() || !self.disk.released.is_empty()
    }

    /// What the keeper of `generation` is to do; nothing yet: when to look again.
    pub fn next_chore(&self, generation: u64, now: Instant) -> Result<Chore, Option<Instant>> {
        if self.crew.generation != generation || matches!(self.end, End::Begun | End::Done) {
            return Ok(Chore::Leave);
        }
        let is_cut_short = self.crew.unawaited && self.crew.closed_at.is_some();
        if self.end == End::Asked || is_cut_short {
            return Ok(Chore::End);
        }
        if self.moved.is_some() {
            return Ok(Chore::Move);
        }
        let is_to_open = self.settings.has_home() && !self.disk.is_open;
        if is_to_open && DiskView::is_time(self.disk.open_tried, now) {
            return Ok(Chore::Open);
        }
        if self.is_for_disk(now) && DiskView::is_time(self.disk.write_failed, now) {
            return Ok(Chore::Write);
        }
        if self.is_for_reading(now) {
            return Ok(Chore::Read);
        }
        if self.series_changed {
            return Ok(Chore::Series);
        }
        let upkeep_at = self.is_busy().then(|| self.upkept.map_or(now, |upkept| upkept + UPKEEP));
        if upkeep_at.is_some_and(|at| now >= at) {
            return Ok(Chore::Upkeep);
        }
        let late_at = self.list.late_at().filter(|_| self.disk.is_open && self.disk.write_failed.is_none());
        let retry = |at: Option<Instant>, wanted: bool| at.filter(|_| wanted).map(|at| at + DISK_RETRY);
        let next = [
            upkeep_at,
            late_at,
            retry(self.disk.open_tried, is_to_open),
            retry(self.disk.write_failed, self.disk.is_open && self.list.has_unsaved()),
            retry(self.disk.read_failed, self.disk.is_open && self.disk.unread.frames > 0),
        ];
        Err(next.into_iter().flatten().min())
    }
}
