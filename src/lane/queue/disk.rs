//! Moving to the disk what belongs there, and looking after it.

use std::sync::{MutexGuard, TryLockError};
use std::time::{Duration, Instant};

use super::{Body, DISK_RETRY, Inner, Queue};
use crate::host::monotonic;
use crate::lane::losses::{lose, say};
use crate::spool::{Spool, WriteError};
use crate::telemetry::{DestinationStatus, DropReason, Throttle};

/// How long a body may be in a sender's hands before it is put on disk.
pub const IN_HAND: Duration = Duration::from_secs(1);

impl Queue {
    /// Puts on disk what has been in a sender's hands for [`IN_HAND`], and everything else
    /// that should be there; brings the disk up to date. Whether to look again in a while.
    pub fn tidy(&self, now_ms: i64) -> bool {
        let mut inner = self.lock();
        self.expire(&mut inner, now_ms);
        if inner.held.iter().any(|in_hand| in_hand.since.elapsed() >= IN_HAND) {
            self.settle_in(&mut inner);
        }
        if !inner.memory.is_empty() {
            self.settle_in(&mut inner);
        }
        let mut inner = self.sync(inner, now_ms);
        let mut busy = !inner.held.is_empty() || !inner.memory.is_empty();
        busy |= inner.disk.as_ref().is_some_and(|disk| disk.stats().segments > 0);
        self.report(&mut inner);
        say(&self.status);
        let forgotten = busy && inner.held.is_empty();
        drop(inner);
        if forgotten {
            // Where the disk could not be read, nobody else would try again.
            self.bell().ring();
        }
        busy
    }

    /// Whether a body has been in a sender's hands for [`IN_HAND`] without being on disk. Never
    /// waits: where somebody has the queue, perhaps in the middle of a write to a disk that
    /// hangs, it is being looked after.
    pub fn is_late(&self) -> bool {
        let inner = match self.inner.try_lock() {
            Ok(inner) => inner,
            Err(TryLockError::Poisoned(inner)) => inner.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        inner.disk.is_some()
            && inner.held.iter().any(|in_hand| in_hand.on_disk.is_none() && in_hand.since.elapsed() >= IN_HAND)
    }

    /// Stopping: puts on disk what is in hand or in memory, whoever still holds it.
    pub fn park(&self, now_ms: i64) {
        let mut inner = self.lock();
        inner.disk_failed = None;
        self.settle_in(&mut inner);
        drop(self.sync(inner, now_ms));
    }

    /// Brings the disk up to date, without the lock while the device is at work: nobody who
    /// pushes or takes waits for it.
    fn sync<'q>(&'q self, mut inner: MutexGuard<'q, Inner>, now_ms: i64) -> MutexGuard<'q, Inner> {
        let chore = inner.disk.as_mut().and_then(|disk| disk.chore(now_ms).transpose());
        let result = match chore {
            None => return inner,
            Some(Err(error)) => Err(error),
            Some(Ok(chore)) => {
                drop(inner);
                let done = chore.run();
                inner = self.lock();
                // Gone at the very end, which syncs by itself; another one after a move.
                inner.disk.as_mut().map_or(Ok(()), |disk| disk.chore_done(done))
            }
        };
        if let Err(error) = result {
            log::debug!("destination {}: cannot sync its spool: {error}", self.name);
        }
        inner
    }

    /// Moves to the disk what belongs there: first what is in hand, then what is in memory.
    /// Order is kept: each is older than the next.
    pub(super) fn settle_in(&self, inner: &mut Inner) {
        let now = Instant::now();
        let wait = inner.disk_failed.is_some_and(|failed| now < failed + DISK_RETRY);
        if inner.disk.is_some() && !wait {
            match inner.put_on_disk(&self.status) {
                Ok(()) if inner.disk_failed.is_some() => {
                    inner.disk_failed = None;
                    self.status.keeps_badly(None);
                    log::info!("destination {}: its spool works again", self.name);
                }
                Ok(()) => {}
                Err(error) => {
                    if inner.disk_failed.is_none() {
                        let next = match inner.ended {
                            false => "keeping its data in memory until that works again",
                            true => "what is in memory is lost",
                        };
                        log::warn!("destination {}: {error}; {next}", self.name);
                    }
                    self.status
                        .keeps_badly(Some(format!("what waits is in memory until its spool works again: {error}")));
                    inner.disk_failed = Some(now);
                }
            }
        }
        self.report(inner);
        while inner.share.has_to_give() && inner.disk.as_mut().is_some_and(|disk| disk.drop_oldest().frames > 0) {
            self.report(inner);
        }
        while inner.memory_bytes > inner.settings.memory_max_bytes {
            let Some(oldest) = inner.memory.pop_front() else { break };
            inner.memory_bytes -= oldest.bytes.len();
            lose(&self.status, DropReason::QueueFull, oldest.samples);
        }
        self.report(inner);
    }

    /// Drops what has waited in memory for too long. The spool sees to its own, and whoever
    /// has a body in hand to that one.
    pub(super) fn expire(&self, inner: &mut Inner, now_ms: i64) {
        while inner.memory.front().is_some_and(|body| inner.settings.is_expired(body.time_ms, now_ms)) {
            let Some(oldest) = inner.memory.pop_front() else { return };
            inner.memory_bytes -= oldest.bytes.len();
            lose(&self.status, DropReason::Expired, oldest.samples);
        }
    }
}

impl Inner {
    fn put_on_disk(&mut self, status: &DestinationStatus) -> Result<(), String> {
        let Some(disk) = &mut self.disk else { return Ok(()) };
        self.held.sort_by_key(|in_hand| in_hand.token);
        for in_hand in self.held.iter_mut().filter(|in_hand| in_hand.on_disk.is_none()) {
            let body = &in_hand.body;
            // Not "taken" where older ones wait on disk: then it comes again in its turn,
            // which is better than not at all.
            in_hand.on_disk = push(disk, body, true, status, &mut self.too_large)?;
        }
        while let Some(body) = self.memory.front() {
            push(disk, body, false, status, &mut self.too_large)?;
            self.memory_bytes -= body.bytes.len();
            self.memory.pop_front();
        }
        Ok(())
    }
}

/// Puts `body` into the spool; its number there. None: it is larger than a spool may be, and lost, counted.
fn push(
    disk: &mut Spool,
    body: &Body,
    taken: bool,
    status: &DestinationStatus,
    too_large: &mut Throttle,
) -> Result<Option<u64>, String> {
    let samples = u32::try_from(body.samples).unwrap_or(u32::MAX);
    disk.set_content(body.content.to_vec()).map_err(|error| error.to_string())?;
    let pushed = match taken {
        true => disk.push_taken(body.time_ms, samples, &body.bytes),
        false => disk.push(body.time_ms, samples, &body.bytes),
    };
    match pushed {
        Ok(pushed) => Ok(Some(pushed.id)),
        Err(error @ WriteError::TooLarge { .. }) if !taken => {
            if too_large.pass(monotonic()).is_some() {
                log::warn!("destination {}: {error}; it is lost, as each one of that size is", status.name());
            }
            lose(status, DropReason::QueueFull, body.samples);
            Ok(None)
        }
        Err(WriteError::TooLarge { .. }) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}
