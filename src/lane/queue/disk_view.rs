//! What the queue knows of its disk, which is the keeper's alone. Pure.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::list::Sum;
use crate::spool::{Count, Stats};

/// How often a disk that failed is tried again.
pub const DISK_RETRY: Duration = Duration::from_secs(1);

/// What takes longer than this hangs: what is in memory is sent without it. A disk that spins
/// up takes some seconds.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A spool may take longer to open, since what is in it goes first: a cold flash reads 64 MiB
/// in less. A destination that is well must not be kept from its data for longer.
pub const OPEN_PATIENCE: Duration = Duration::from_secs(60);

/// After so long it is said that opening takes long.
pub const OPEN_SOON: Duration = Duration::from_secs(10);

/// How far the keeper reads ahead of the senders: enough that they need not wait for it, and
/// little memory.
pub const AHEAD: Sum = Sum { frames: 32, bytes: 256 << 10 };

/// What is wrong with the disk, as far as it has been said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// Nothing.
    Nothing,
    /// Opening it takes long.
    Slow,
    /// It does not answer.
    Hangs,
}

/// The disk, as the queue sees it.
#[derive(Debug)]
pub struct DiskView {
    /// The spool is being opened since then: nothing is handed out, since what is in it goes first.
    pub opening: Option<Instant>,
    /// It is open.
    pub is_open: bool,
    /// It was last tried to open it.
    pub open_tried: Option<Instant>,
    /// What the keeper does there began then.
    pub busy_since: Option<Instant>,
    /// A sender that waits will look whether it hangs.
    pub is_watched: bool,
    /// Writing, or reading, failed then, and has not worked since.
    pub write_failed: Option<Instant>,
    pub read_failed: Option<Instant>,
    /// It is being read ahead: on to the full measure, so that it is not begun for each body.
    pub is_reading: bool,
    /// What is in the spool and not in the list.
    pub unread: Sum,
    pub oldest_ms: Option<i64>,
    pub has_files: bool,
    /// What of its counts has been told to the status.
    pub told: Stats,
    /// Delivered, and about to be read all the same.
    pub delivered: BTreeSet<u64>,
    /// What was settled: delivered or lost for good; and given back.
    pub settled: Vec<u64>,
    pub released: Vec<u64>,
    pub said: Said,
}

impl DiskView {
    /// Closed; `opening`: about to be opened.
    pub fn new(opening: Option<Instant>) -> DiskView {
        DiskView {
            opening,
            is_open: false,
            open_tried: None,
            busy_since: None,
            is_watched: false,
            write_failed: None,
            read_failed: None,
            is_reading: false,
            unread: Sum::default(),
            oldest_ms: None,
            has_files: false,
            told: Stats::default(),
            delivered: BTreeSet::new(),
            settled: Vec::new(),
            released: Vec::new(),
            said: Said::Nothing,
        }
    }

    /// Whether what the keeper does there takes too long.
    pub fn hangs(&self, now: Instant) -> bool {
        self.busy_since.is_some_and(|since| now >= since + PATIENCE)
    }

    /// Whether it takes what it is given, as far as is known.
    pub fn works(&self, now: Instant) -> bool {
        self.is_open && self.write_failed.is_none() && !self.hangs(now)
    }

    /// When it is to be said that it hangs, if what is under way is not over by then.
    pub fn to_be_said_at(&self) -> Option<Instant> {
        let since = self.busy_since.filter(|_| self.is_open && self.said == Said::Nothing)?;
        Some(since + PATIENCE)
    }

    /// When it would have to be said to hang, if nothing changes.
    pub fn hangs_at(&self, now: Instant) -> Instant {
        self.busy_since.unwrap_or(now) + PATIENCE
    }

    /// Whether something that failed at `at` is to be tried again.
    pub fn is_time(at: Option<Instant>, now: Instant) -> bool {
        at.is_none_or(|at| now >= at + DISK_RETRY)
    }

    /// Takes up what the spool says of itself; what it has lost since it was last told.
    pub fn take_up(&mut self, stats: Stats) -> [Count; 3] {
        let told = std::mem::replace(&mut self.told, stats);
        let mut unread = stats.waiting;
        unread -= stats.in_hand;
        self.unread = Sum { frames: unread.frames, bytes: unread.bytes };
        self.oldest_ms = stats.oldest_ms;
        self.has_files = stats.segments > 0;
        [(stats.over_cap, told.over_cap), (stats.expired, told.expired), (stats.lost, told.lost)].map(
            |(mut now, before)| {
                now -= before;
                now
            },
        )
    }
}

impl DiskView {
    /// Whether something is to be said of it at `now` that has not been said. After
    /// [`OPEN_PATIENCE`] opening is not waited for any more.
    pub fn look(&mut self, now: Instant) -> Option<Said> {
        let said = match self.opening {
            Some(since) if now >= since + OPEN_PATIENCE => {
                self.opening = None;
                Said::Hangs
            }
            Some(since) if now >= since + OPEN_SOON => Said::Slow,
            Some(_) => Said::Nothing,
            None if self.is_open && self.hangs(now) => Said::Hangs,
            None => Said::Nothing,
        };
        let is_news = said != Said::Nothing && said != self.said;
        if is_news {
            self.said = said;
        }
        is_news.then_some(said)
    }
}
