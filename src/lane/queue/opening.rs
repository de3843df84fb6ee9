//! Taking up what an earlier life left on disk, which takes as long as the disk likes.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::{DISK_RETRY, Queue};
use crate::host::wall_ms;
use crate::lane::{SpoolMode, SpoolSettings};
use crate::spool::{Finding, Options, Spool, Stats, SyncPolicy};
use crate::telemetry::DestinationStatus;

/// How long a spool may take to open. A cold flash reads 64 MiB in less; a disk that hangs
/// must not keep a destination that is well from its data for longer.
const OPEN_PATIENCE: Duration = Duration::from_secs(60);

/// After so long it is said that it does.
const OPEN_SOON: Duration = Duration::from_secs(10);

impl Queue {
    /// Opens the spool where that is not done, a second after the last attempt or later:
    /// another metricsd that is being replaced by this one holds its lock for seconds. Takes
    /// as long as reading all that is in it, or for ever on a disk that hangs; what is pushed
    /// meanwhile stays in memory. What is in the spool is older than that, and so goes first.
    /// To be called by one thread only.
    pub fn open(&self) {
        let inner = self.lock();
        let Some(options) = inner.settings.options(&self.name) else { return };
        let first = inner.open_tried.is_none();
        let early = inner.open_tried.is_some_and(|tried| tried.elapsed() < DISK_RETRY);
        if inner.disk.is_some() || inner.ended || early {
            return;
        }
        drop(inner);
        let disk = open(&self.name, options, &self.status, first);
        let mut inner = self.lock();
        inner.opening = false;
        if disk.is_some() && self.status.trouble().is_some() {
            self.status.keeps_badly(None);
            log::info!("destination {}: its spool can be used now", self.name);
        }
        inner.open_tried = Some(Instant::now());
        // At the very end it comes too late.
        inner.disk = disk.filter(|_| !inner.ended);
        self.report(&mut inner);
        drop(inner);
        self.opened.notify_all();
        self.bell().ring();
    }

    /// A lane that was to end with the queue is followed by another one all the same: the spool
    /// is to be opened again.
    pub fn revive(&self) {
        let mut inner = self.lock();
        if std::mem::replace(&mut inner.ended, false) {
            inner.open_tried = None;
            inner.opening = inner.settings.home(&self.name).is_some();
        }
    }

    /// What waits is kept otherwise from now on. Where it is to be elsewhere, what is on disk
    /// stays there; what is in memory or in somebody's hands comes along.
    pub fn move_to(&self, settings: &SpoolSettings) {
        let mut inner = self.lock();
        let (old, new) = (inner.settings.home(&self.name), settings.home(&self.name));
        if inner.settings.budget.max_bytes() != settings.budget.max_bytes() {
            inner.share = settings.budget.share();
        }
        inner.settings = settings.clone();
        if old == new {
            if let (Some(options), Some(disk)) = (settings.options(&self.name), &mut inner.disk) {
                disk.set_limits(&options);
            }
            return self.report(&mut inner);
        }
        let disk = inner.disk.take();
        let on_disk = inner.held.iter_mut().filter_map(|in_hand| in_hand.on_disk.take());
        let on_disk: Vec<u64> = on_disk.collect();
        if let Some(mut disk) = disk {
            on_disk.iter().for_each(|id| _ = disk.ack(*id));
            let left = disk.stats().waiting;
            if left.frames > 0 {
                log::warn!(
                    "destination {}: {} requests ({} samples) stay in {}, from where nobody sends them; set spool.dir \
                     and spool.mode back to send them, or remove the directory",
                    self.name,
                    left.frames,
                    left.samples,
                    old.unwrap_or_default().display()
                );
            }
            if let Err(error) = disk.close() {
                log::warn!("destination {}: the spool it leaves did not close cleanly: {error}", self.name);
            }
        }
        inner.told = Stats::default();
        inner.disk_failed = None;
        inner.open_tried = None;
        inner.opening = new.is_some();
        self.status.keeps_badly(None);
        self.report(&mut inner);
    }

    /// Waits for [`Queue::open`], but not for ever.
    pub fn wait_open(&self) {
        let mut inner = self.lock();
        let slow = "its spool's disk is slow; what is in the spool goes first, and what is collected waits in memory";
        let hangs = "its spool's disk hangs; what is in the spool goes when the disk answers, the rest without it";
        for (patience, why) in [(OPEN_SOON, slow), (OPEN_PATIENCE - OPEN_SOON, hangs)] {
            let wait = self.opened.wait_timeout_while(inner, patience, |inner| inner.opening);
            let (again, waited) = wait.unwrap_or_else(PoisonError::into_inner);
            inner = again;
            if !waited.timed_out() {
                return;
            }
            // One sender says it for all.
            if self.status.trouble().is_none_or(|said| said != why) {
                log::warn!("destination {}: {why}", self.name);
                self.status.keeps_badly(Some(why.to_owned()));
            }
        }
        inner.opening = false;
    }
}

impl SpoolSettings {
    /// How the spool of the destination `name` is kept; none: in memory only.
    pub(super) fn options(&self, name: &str) -> Option<Options> {
        let mut options = Options::new(self.home(name)?, name);
        options.max_bytes = self.max_bytes;
        options.max_age = self.max_age;
        options.sync = match self.mode {
            SpoolMode::Always => SyncPolicy::Always,
            _ => self.sync,
        };
        Some(options)
    }
}

/// Opens a spool and says what was found in it; why it cannot be opened is said the `first` time.
fn open(name: &str, options: Options, status: &DestinationStatus, first: bool) -> Option<Spool> {
    let dir = options.dir.clone();
    match Spool::open(options, wall_ms()) {
        Ok((spool, recovery)) => {
            let (waiting, fresh) = (recovery.waiting, recovery.fresh);
            for note in &recovery.notes {
                // What is missing is found again until all around it is done with.
                let is_old = fresh.frames == 0 && matches!(note.finding, Finding::Missing { .. });
                let level = if is_old { log::Level::Info } else { log::Level::Warn };
                log::log!(level, "destination {name}: spool: {note}");
            }
            if fresh.frames > 0 {
                let (requests, samples) = (fresh.frames, fresh.samples);
                log::warn!(
                    "destination {name}: {requests} requests ({samples} samples) were lost to damage in {}",
                    dir.display()
                );
            }
            if waiting.frames > 0 {
                log::info!("destination {name}: {} requests wait in {} from before", waiting.frames, dir.display());
            }
            Some(spool)
        }
        Err(error) => {
            if first {
                log::warn!("destination {name}: {error}; what waits for it is kept in memory until that works");
            }
            status.keeps_badly(Some(format!("what waits is in memory until its spool works: {error}")));
            None
        }
    }
}
