//! What waits for a destination, and what its senders hold: in memory while all is well, on
//! disk as soon as it is not.
//!
//! A body that a sender can take at once never touches the disk. When a second one comes
//! while the first is unsettled, or the first is unsettled for a second, both go into the
//! [`Spool`], oldest first, and so does all that follows until nothing waits. Where the disk
//! does not take them (full, read-only, gone), they stay in memory, within a cap, and move
//! to the disk when it works again.

mod bell;
mod disk;
mod opening;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use self::bell::Bell;
use super::LOG_EVERY;
use super::budget::Share;
use super::losses::{lose, say_all};
use super::settings::{SpoolMode, SpoolSettings};
use crate::formats::Content;
use crate::host::monotonic;
use crate::spool::{Count, Spool, Stats};
use crate::telemetry::{DestinationStatus, DropReason, Throttle};

/// How often a disk that failed is tried again.
const DISK_RETRY: Duration = Duration::from_secs(1);

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

/// What has become of a body that a sender has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing: it is to be sent.
    Wanted,
    /// It has waited for longer than it may: the sender lets it go, and counts it.
    Expired,
    /// The spool has dropped it, for the cap's sake or because its file is gone: it is counted,
    /// and nobody has it any more.
    Dropped,
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
            unreadable: Throttle::new(LOG_EVERY),
            memory: VecDeque::new(),
            memory_bytes: 0,
            held: Vec::new(),
            ended: false,
            next_token: 0,
            too_large: Throttle::new(LOG_EVERY),
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

    /// What has become of a body in a sender's hands, while that one waited.
    pub fn fate(&self, held: &Held, now_ms: i64) -> Fate {
        let mut inner = self.lock();
        if inner.settings.is_expired(held.body.time_ms, now_ms) {
            return Fate::Expired;
        }
        let on_disk = inner.held.iter().find(|in_hand| in_hand.token == held.token).and_then(|in_hand| in_hand.on_disk);
        let (Some(id), Some(disk)) = (on_disk, &mut inner.disk) else { return Fate::Wanted };
        if !disk.is_gone(id) {
            return Fate::Wanted;
        }
        disk.release(id);
        inner.let_go(held);
        self.report(&mut inner);
        Fate::Dropped
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
            inner.told = Stats::default();
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
}

fn less(now: Count, before: Count) -> Count {
    let mut count = now;
    count -= before;
    count
}
