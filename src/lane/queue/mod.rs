//! What waits for a destination, and what its senders hold: in memory while all is well, on
//! disk as soon as it is not.
//!
//! A body that a sender can take at once never touches the disk. When a second one comes
//! while the first is unsettled, or the first is unsettled for a second, both go into the
//! [`Spool`], oldest first, and so does all that follows until nothing waits. Where the disk
//! does not take them (full, read-only, gone), they stay in memory, within a cap, and move
//! to the disk when it works again.

mod bell;
mod opening;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

pub use self::bell::Bell;
use super::budget::Share;
use super::encode::Content;
use super::losses::{lose, say, say_all};
use super::settings::{SpoolMode, SpoolSettings};
use super::spool::{Count, Spool, Stats};
use crate::host::monotonic;
use crate::telemetry::{DestinationStatus, DropReason, Throttle};

/// How long a body may be in a sender's hands before it is put on disk.
pub const IN_HAND: Duration = Duration::from_secs(1);

/// How often a disk that failed is tried again.
const DISK_RETRY: Duration = Duration::from_secs(1);

/// Of bodies that are larger than a spool may be, one is said so often.
const TOO_LARGE_PAUSE: Duration = Duration::from_secs(60);

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

/// A body in a sender's hands, to be given back as settled or not.
#[derive(Debug)]
pub struct Held {
    /// The body.
    pub body: Arc<Body>,
    /// Whether it waited in the queue; if not, it came straight.
    pub queued: bool,
    token: u64,
}

/// A queue between the lane's worker, which pushes, and its senders, which take.
#[derive(Debug)]
pub struct Queue {
    name: String,
    status: Arc<DestinationStatus>,
    /// Its destination is not in the configuration any more: nobody comes after it.
    abandoned: AtomicBool,
    inner: Mutex<Inner>,
    /// Its spool is open, or is known not to open.
    opened: Condvar,
    /// Of the senders that there are now.
    bell: Mutex<Arc<Bell>>,
}

#[derive(Debug)]
struct Inner {
    settings: SpoolSettings,
    share: Share,
    /// The spool is still being looked at. Until that is over nothing is handed out, since
    /// what is in it goes first.
    opening: bool,
    disk: Option<Spool>,
    /// When it was last tried to open the spool, if it was.
    open_tried: Option<Instant>,
    /// When the disk is to be tried again; none while it works.
    disk_failed: Option<Instant>,
    /// What of the spool's counts has been told to the status.
    told: Stats,
    /// Lines about reading that fails.
    unreadable: Throttle,
    /// Younger than everything on disk.
    memory: VecDeque<Body>,
    memory_bytes: usize,
    held: Vec<InHand>,
    ended: bool,
    next_token: u64,
    too_large: Throttle,
}

#[derive(Debug)]
struct InHand {
    token: u64,
    body: Arc<Body>,
    since: Instant,
    /// Its number in the spool, if it is there.
    on_disk: Option<u64>,
}

impl Queue {
    /// The queue of the destination `name`. What it kept from an earlier life comes with [`Queue::open`].
    pub fn new(name: &str, settings: &SpoolSettings, status: Arc<DestinationStatus>, senders: usize) -> Queue {
        let inner = Inner {
            settings: settings.clone(),
            share: settings.budget.share(),
            opening: settings.options(name).is_some(),
            disk: None,
            disk_failed: None,
            open_tried: None,
            told: Stats::default(),
            unreadable: Throttle::new(crate::lane::LOG_EVERY),
            memory: VecDeque::new(),
            memory_bytes: 0,
            held: Vec::new(),
            ended: false,
            next_token: 0,
            too_large: Throttle::new(TOO_LARGE_PAUSE),
        };
        Queue {
            name: name.to_owned(),
            status,
            abandoned: AtomicBool::new(false),
            inner: Mutex::new(inner),
            opened: Condvar::new(),
            bell: Mutex::new(Arc::new(Bell::new(senders))),
        }
    }

    /// Appends `body`. Over the cap the oldest go, counted.
    pub fn push(&self, body: Body) {
        let mut inner = self.lock();
        inner.memory_bytes += body.bytes.len();
        inner.memory.push_back(body);
        self.settle_in(&mut inner);
        drop(inner);
        self.bell().ring();
    }

    /// Takes the oldest body.
    pub fn take(&self, now_ms: i64) -> Option<Held> {
        let mut inner = self.lock();
        if inner.opening {
            return None;
        }
        self.expire(&mut inner, now_ms);
        if let Some(disk) = &mut inner.disk {
            match disk.take(now_ms) {
                Ok(Some(entry)) => {
                    if inner.unreadable.reset() && inner.disk_failed.is_none() {
                        self.status.keeps_badly(None);
                    }
                    let body = Body {
                        bytes: entry.bytes,
                        samples: u64::from(entry.samples),
                        time_ms: entry.time_ms,
                        content: entry.content,
                    };
                    let held = inner.hold(Arc::new(body), Some(entry.id), true);
                    self.report(&mut inner);
                    return Some(held);
                }
                Ok(None) => {}
                Err(error) => {
                    let why = format!("cannot read its spool: {error}; nothing is sent before that works");
                    if inner.unreadable.pass(monotonic()).is_some() {
                        log::warn!("destination {}: {why}, or a minute is over", self.name);
                    }
                    self.status.keeps_badly(Some(why));
                    return None;
                }
            }
        }
        let body = inner.memory.pop_front()?;
        inner.memory_bytes -= body.bytes.len();
        let held = inner.hold(Arc::new(body), None, true);
        self.report(&mut inner);
        Some(held)
    }

    /// A body that never was in the queue is in a sender's hands.
    pub fn hold(&self, body: Body) -> Held {
        let mut inner = self.lock();
        let held = inner.hold(Arc::new(body), None, false);
        if inner.settings.mode == SpoolMode::Always {
            self.settle_in(&mut inner);
        } else {
            self.report(&mut inner);
        }
        held
    }

    /// The body is delivered, or lost for good. Whether something is on disk, and the keeper is needed.
    pub fn settled(&self, held: &Held) -> bool {
        let mut inner = self.lock();
        if let Some(in_hand) = inner.let_go(held) {
            if let (Some(id), Some(disk)) = (in_hand.on_disk, &mut inner.disk) {
                disk.ack(id);
            }
        }
        if inner.disk_failed.is_some() && inner.held.is_empty() && inner.memory.is_empty() {
            // What was in memory for it is delivered: from here on the disk has nothing to answer for.
            inner.disk_failed = None;
            self.status.keeps_badly(None);
        }
        self.report(&mut inner);
        inner.disk.as_ref().is_some_and(|disk| disk.stats().segments > 0)
    }

    /// The body is neither: it is the next to be taken.
    pub fn give_back(&self, held: &Held) {
        let mut inner = self.lock();
        if inner.held.iter().any(|in_hand| in_hand.token == held.token && in_hand.on_disk.is_none()) {
            self.settle_in(&mut inner);
        }
        if let Some(in_hand) = inner.let_go(held) {
            match (in_hand.on_disk, &mut inner.disk) {
                (Some(id), Some(disk)) => _ = disk.release(id),
                _ => {
                    inner.memory_bytes += in_hand.body.bytes.len();
                    inner.memory.push_front(Body::clone(&in_hand.body));
                }
            }
        }
        self.report(&mut inner);
        drop(inner);
        self.bell().ring();
    }

    /// Whether the spool has dropped the body while it was in a sender's hands, for the cap's
    /// sake or because its file is gone. Then it is counted, and nobody has it any more.
    pub fn has_dropped(&self, held: &Held) -> bool {
        let mut inner = self.lock();
        let on_disk = inner.held.iter().find(|in_hand| in_hand.token == held.token).and_then(|in_hand| in_hand.on_disk);
        let (Some(id), Some(disk)) = (on_disk, &mut inner.disk) else { return false };
        if !disk.is_gone(id) {
            return false;
        }
        disk.release(id);
        inner.let_go(held);
        self.report(&mut inner);
        true
    }

    /// Whether `body` has waited for longer than it may: who has it in hand is to let it go.
    pub fn is_expired(&self, body: &Body, now_ms: i64) -> bool {
        self.lock().settings.is_expired(body.time_ms, now_ms)
    }

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
                // Gone meanwhile only at the very end, which syncs by itself.
                inner.disk.as_mut().map_or(Ok(()), |disk| disk.chore_done(done))
            }
        };
        if let Err(error) = result {
            log::debug!("destination {}: cannot sync its spool: {error}", self.name);
        }
        inner
    }

    /// Tells the senders that there are now of what happens here.
    pub fn bell(&self) -> Arc<Bell> {
        Arc::clone(&self.bell.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on the senders of `bell` are told.
    pub fn tell(&self, bell: Arc<Bell>) {
        *self.bell.lock().unwrap_or_else(PoisonError::into_inner) = bell;
    }

    /// Whether nobody will come after it who sends what it leaves on disk.
    pub fn abandon(&self, so: bool) {
        self.abandoned.store(so, Ordering::Relaxed);
    }

    /// Where it leaves what nobody sends; none where somebody will.
    pub fn abandoned(&self) -> Option<PathBuf> {
        if !self.abandoned.load(Ordering::Relaxed) {
            return None;
        }
        self.lock().settings.home(&self.name)
    }

    /// The end: what is undelivered goes to the disk, and what the disk does not take is
    /// lost, counted. How many samples were lost, and how many are kept.
    pub fn end(&self) -> (u64, u64) {
        let mut inner = self.lock();
        if std::mem::replace(&mut inner.ended, true) {
            return (0, 0);
        }
        inner.disk_failed = None;
        self.settle_in(&mut inner);
        let mut lost: u64 = inner.memory.drain(..).map(|body| body.samples).sum();
        inner.memory_bytes = 0;
        for in_hand in std::mem::take(&mut inner.held) {
            match (in_hand.on_disk, &mut inner.disk) {
                // Where it is not there any more, this counts it.
                (Some(id), Some(disk)) => _ = disk.release(id),
                _ => lost += in_hand.body.samples,
            }
        }
        lose(&self.status, DropReason::Shutdown, lost);
        self.report(&mut inner);
        say_all(&self.status);
        let mut kept = 0;
        inner.share.set(0, None);
        if let Some(disk) = inner.disk.take() {
            kept = disk.stats().waiting.samples;
            if let Err(error) = disk.close() {
                log::warn!(
                    "destination {}: its spool did not close cleanly: {error}; some of it may be sent twice",
                    self.name
                );
            }
        }
        (lost, kept)
    }

    /// Moves to the disk what belongs there: first what is in hand, then what is in memory.
    /// Order is kept: each is older than the next.
    fn settle_in(&self, inner: &mut Inner) {
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
    fn expire(&self, inner: &mut Inner, now_ms: i64) {
        while inner.memory.front().is_some_and(|body| inner.settings.is_expired(body.time_ms, now_ms)) {
            let Some(oldest) = inner.memory.pop_front() else { return };
            inner.memory_bytes -= oldest.bytes.len();
            lose(&self.status, DropReason::Expired, oldest.samples);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while the lock is held leaves the counts as they were between two
        // statements at worst; the bodies themselves are whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the status what waits, and what the spool has lost since it was last told.
    fn report(&self, inner: &mut Inner) {
        let stats = inner.disk.as_ref().map(Spool::stats).unwrap_or_default();
        let told = std::mem::replace(&mut inner.told, stats);
        for (reason, now, before) in [
            (DropReason::QueueFull, stats.over_cap, told.over_cap),
            (DropReason::Expired, stats.expired, told.expired),
            (DropReason::Damaged, stats.lost, told.lost),
        ] {
            lose(&self.status, reason, less(now, before).samples);
        }
        inner.share.set(stats.disk_bytes, stats.oldest_ms);
        let unsaved = inner.held.iter().filter(|in_hand| in_hand.on_disk.is_none());
        let (mut frames, mut bytes) = (stats.waiting.frames, stats.waiting.bytes);
        for body in unsaved.map(|in_hand| &*in_hand.body).chain(&inner.memory) {
            frames += 1;
            bytes += body.bytes.len() as u64;
        }
        let in_hand = inner.held.iter().map(|in_hand| in_hand.body.time_ms).min();
        let oldest = in_hand.or(stats.oldest_ms).or_else(|| inner.memory.front().map(|body| body.time_ms));
        self.status.queue(frames, bytes, oldest);
    }
}

impl Inner {
    fn let_go(&mut self, held: &Held) -> Option<InHand> {
        let at = self.held.iter().position(|in_hand| in_hand.token == held.token)?;
        Some(self.held.swap_remove(at))
    }

    fn hold(&mut self, body: Arc<Body>, on_disk: Option<u64>, queued: bool) -> Held {
        let token = self.next_token;
        self.next_token += 1;
        self.held.push(InHand { token, body: Arc::clone(&body), since: Instant::now(), on_disk });
        Held { body, queued, token }
    }

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
        Err(error @ super::spool::WriteError::TooLarge { .. }) if !taken => {
            if too_large.pass(monotonic()).is_some() {
                log::warn!("destination {}: {error}; it is lost, as each one of that size is", status.name());
            }
            lose(status, DropReason::QueueFull, body.samples);
            Ok(None)
        }
        Err(super::spool::WriteError::TooLarge { .. }) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

fn less(now: Count, before: Count) -> Count {
    let mut count = now;
    count -= before;
    count
}
