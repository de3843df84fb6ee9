//! What waits in memory and what senders have in hand, in the order in which it is to be sent,
//! with its sums. Pure.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::lane::body::Body;
use crate::lane::parts::Parts;
use crate::model::Receipt;

/// Nothing of a payload has been acknowledged for so long: then it goes to the disk.
pub const LATE: Duration = Duration::from_secs(1);

/// A body that somebody waits to hear of is in memory alone for so long at most. Then it goes, counted, and its
/// source hears that: it may send it again.
pub const UNCONFIRMED: Duration = Duration::from_secs(30);

/// Where a body of the list is besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDisk {
    /// Nowhere.
    No,
    /// Nowhere: it is larger than a spool may be.
    TooLarge,
    /// In the spool, under this number, taken out of it for the list.
    Taken(u64),
    /// In the spool, under this number, where it comes again in its turn.
    Untaken(u64),
}

/// Bodies and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    pub frames: u64,
    pub bytes: u64,
}

/// A body in the list.
#[derive(Debug)]
pub struct Listed {
    /// Tells it from all others.
    pub number: u64,
    pub body: Arc<Body>,
    /// What of the body is still to be sent; none: all of it.
    parts: Option<Parts>,
    pub on_disk: OnDisk,
    /// In a sender's hands.
    in_hand: bool,
    /// It was dropped under a sender's hands.
    gone: bool,
    /// It was tried to send it.
    attempted: bool,
    /// It waited its turn; otherwise it came straight to a sender.
    pub backlog: bool,
    /// The payload that it belongs to; none once it is on disk.
    payload: Option<u64>,
    /// Somebody waits to hear of it, since it came; none once it is on disk.
    awaited: Option<(Instant, Receipt)>,
}

impl Listed {
    /// Samples that are still to be sent.
    fn samples(&self) -> u64 {
        self.parts.as_ref().map_or(self.body.samples, Parts::samples)
    }
}

/// What is made of one batch, as far as it is not on disk.
#[derive(Debug)]
struct Payload {
    number: u64,
    /// When it came, or when something of it was last acknowledged.
    progress: Instant,
    acknowledged: bool,
    bodies: usize,
}

/// A body in a sender's hands, to be given back as settled or not.
#[derive(Debug)]
pub struct InHand {
    /// Its place in the list.
    pub number: u64,
    /// What is still to be sent of it.
    pub parts: Parts,
}

/// A body that left the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Samples in it that were not sent.
    pub samples: u64,
    pub on_disk: OnDisk,
}

/// What is in memory alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unsaved {
    /// Bodies, those in senders' hands included.
    pub requests: u64,
    /// Samples in them that were not sent, as far as is known.
    pub samples: u64,
    /// Batches of which there are no bodies yet.
    pub batches: u64,
}

/// The list.
#[derive(Debug, Default)]
pub struct List {
    bodies: VecDeque<Listed>,
    /// In the order of their coming.
    payloads: VecDeque<Payload>,
    next_number: u64,
    sum: Sum,
    /// Of these, what is in the spool as well, and what comes from there once more.
    saved: u64,
    twice: Sum,
    /// On disk, and in nobody's hands: what has been read ahead.
    ready: Sum,
    /// Bodies that somebody waits to hear of, by number: written, and not forced to the device.
    unsynced: Vec<(u64, Receipt)>,
    /// Bodies that somebody waits to hear of, in memory alone.
    awaited: usize,
}

impl List {
    pub fn is_empty(&self) -> bool {
        self.bodies.is_empty()
    }

    /// All bodies of it that are not to come from the disk once more.
    pub fn waiting(&self) -> Sum {
        Sum { frames: self.sum.frames - self.twice.frames, bytes: self.sum.bytes - self.twice.bytes }
    }

    /// What it takes in memory.
    pub fn bytes(&self) -> u64 {
        self.sum.bytes
    }

    /// What was read from the disk and waits for a sender.
    pub fn ready(&self) -> Sum {
        self.ready
    }

    pub fn has_saved(&self) -> bool {
        self.saved > 0
    }

    pub fn has_unsaved(&self) -> bool {
        !self.payloads.is_empty()
    }

    /// What of it is on no disk.
    pub fn unsaved(&self) -> Unsaved {
        let is_unsaved = |listed: &&Listed| matches!(listed.on_disk, OnDisk::No | OnDisk::TooLarge);
        self.bodies.iter().filter(is_unsaved).fold(Unsaved::default(), |sum, listed| Unsaved {
            requests: sum.requests + 1,
            samples: sum.samples + listed.samples(),
            ..sum
        })
    }

    pub fn front(&self) -> Option<&Listed> {
        self.bodies.front()
    }

    /// The first one that nobody has in hand.
    pub fn first_free(&self) -> Option<&Listed> {
        self.bodies.iter().find(|listed| !listed.in_hand)
    }

    /// The number of the free one behind the first `skip`, or of the last there is, of those that are kept so.
    pub fn free_behind(&self, skip: usize, is_kept_so: impl Fn(OnDisk) -> bool) -> Option<u64> {
        let free = self.bodies.iter().filter(|listed| !listed.in_hand && is_kept_so(listed.on_disk));
        free.take(skip.saturating_add(1)).last().map(|listed| listed.number)
    }

    /// Puts a payload's bodies behind all others. `receipt`: somebody waits to hear of each.
    pub fn add(
        &mut self,
        bodies: impl IntoIterator<Item = Body>,
        receipt: Option<Receipt>,
        backlog: bool,
        now: Instant,
    ) {
        let payload = self.next_number;
        let before = self.bodies.len();
        for body in bodies {
            let mut listed = self.listed(body, OnDisk::No, backlog, Some(payload));
            listed.awaited = receipt.clone().map(|receipt| (now, receipt));
            self.awaited += usize::from(listed.awaited.is_some());
            self.bodies.push_back(listed);
        }
        // The bodies have their own; where there are none, nothing was in it for this destination.
        if let Some(receipt) = receipt {
            receipt.taken();
        }
        let bodies = self.bodies.len() - before;
        if bodies > 0 {
            self.payloads.push_back(Payload { number: payload, progress: now, acknowledged: false, bodies });
        }
    }

    /// Puts a body that the spool has handed out as `id` behind all that it gave before.
    pub fn add_read(&mut self, id: u64, body: Body) {
        let is_younger = |listed: &Listed| listed.on_disk == OnDisk::No && !listed.in_hand;
        let at = self.bodies.iter().position(is_younger).unwrap_or(self.bodies.len());
        let listed = self.listed(body, OnDisk::Taken(id), true, None);
        self.bodies.insert(at, listed);
    }

    fn listed(&mut self, body: Body, on_disk: OnDisk, backlog: bool, payload: Option<u64>) -> Listed {
        let number = self.next_number;
        self.next_number += 1;
        let listed = Listed {
            number,
            body: Arc::new(body),
            parts: None,
            on_disk,
            in_hand: false,
            gone: false,
            attempted: false,
            backlog,
            payload,
            awaited: None,
        };
        self.count(&listed, true);
        listed
    }

    /// Puts one into a sender's hands.
    pub fn take(&mut self, number: u64) -> Option<InHand> {
        let at = self.at(number)?;
        let parts = self.change(at, |listed| {
            listed.in_hand = true;
            listed.attempted = true;
            listed.parts.take()
        });
        let parts = parts.unwrap_or_else(|| Parts::new(&self.bodies[at].body));
        Some(InHand { number, parts })
    }

    /// One is delivered, or refused for good: nobody has to send it again.
    pub fn settle(&mut self, number: u64, now: Instant) -> Option<Left> {
        if let Some(at) = self.unsynced.iter().position(|(unsynced, _)| *unsynced == number) {
            self.unsynced.swap_remove(at).1.taken();
        }
        let at = self.at(number)?;
        if let Some(receipt) = self.take_receipt(at) {
            receipt.taken();
        }
        if let Some(payload) = self.payload(at) {
            payload.progress = now;
            payload.acknowledged = true;
        }
        Some(self.remove(at))
    }

    /// A sender gives one back: it is in its place again. None, or that it left, where the
    /// spool has dropped it meanwhile.
    pub fn give_back(&mut self, InHand { number, parts }: InHand) -> Option<Left> {
        let at = self.at(number)?;
        if self.bodies[at].gone || matches!(self.bodies[at].on_disk, OnDisk::Untaken(_)) {
            // Dropped; or it comes from the spool, in its turn.
            return Some(self.remove(at));
        }
        self.change(at, |listed| {
            listed.in_hand = false;
            listed.parts = Some(parts).filter(|parts| !parts.is_whole(&listed.body));
        });
        None
    }

    /// The first one that is to be put on disk, and whether a sender has it in hand.
    pub fn first_unsaved(&self) -> Option<(&Listed, bool)> {
        let listed = self.bodies.iter().find(|listed| listed.on_disk == OnDisk::No)?;
        Some((listed, listed.in_hand))
    }

    /// One was put on disk as `id`; `taken`: as if taken out of the spool. What is to be done
    /// about that where a sender has settled it meanwhile, or it need not stay here, is the
    /// caller's: it has left then.
    pub fn saved(&mut self, number: u64, id: u64, taken: bool) -> Saved {
        let Some(at) = self.at(number) else { return Saved::Settled };
        if let Some(receipt) = self.take_receipt(at) {
            self.unsynced.push((number, receipt));
        }
        if !taken && !self.bodies[at].in_hand {
            self.remove(at);
            return Saved::Left;
        }
        self.leave_payload(at);
        self.change(at, |listed| listed.on_disk = if taken { OnDisk::Taken(id) } else { OnDisk::Untaken(id) });
        Saved::Listed
    }

    /// One is too large for the disk: it stays where it was sent already, or is lost.
    pub fn refused(&mut self, number: u64) -> Option<Left> {
        let at = self.at(number)?;
        if !self.bodies[at].attempted {
            return Some(self.remove(at));
        }
        self.leave_payload(at);
        self.change(at, |listed| listed.on_disk = OnDisk::TooLarge);
        None
    }

    /// The spool hands out what a sender has in hand already. Whether that is so.
    pub fn came_again(&mut self, id: u64) -> bool {
        let Some(at) = self.bodies.iter().position(|listed| listed.on_disk == OnDisk::Untaken(id)) else {
            return false;
        };
        self.change(at, |listed| listed.on_disk = OnDisk::Taken(id));
        true
    }

    /// The spool has dropped one. Whether it has left; if not, a sender has it in hand.
    pub fn drop_gone(&mut self, id: u64) -> bool {
        let Some(at) = self.bodies.iter().position(|listed| listed.on_disk == OnDisk::Taken(id)) else { return true };
        if self.bodies[at].in_hand {
            self.bodies[at].gone = true;
            return false;
        }
        self.remove(at);
        true
    }

    /// What was written is safe on the device by now, or it is not known to be and never will: then whoever waits to
    /// hear of it may send it again.
    pub fn synced(&mut self, is_safe: bool) {
        for (_, receipt) in self.unsynced.drain(..) {
            if is_safe {
                receipt.taken();
            }
        }
    }

    /// Whether somebody waits to hear of anything that is in memory alone.
    pub fn is_awaited(&self) -> bool {
        self.awaited > 0
    }

    /// Takes out the first that is in memory alone for [`UNCONFIRMED`] while somebody waits to hear of it, who is told.
    /// Where a sender has it in hand, it leaves when that one gives it back.
    pub fn drop_unconfirmed(&mut self, now: Instant) -> Option<Left> {
        if self.awaited == 0 {
            return None;
        }
        let is_late = |listed: &Listed| listed.awaited.as_ref().is_some_and(|(came, _)| now >= *came + UNCONFIRMED);
        while let Some(at) = self.bodies.iter().position(is_late) {
            drop(self.take_receipt(at));
            if !self.bodies[at].in_hand {
                return Some(self.remove(at));
            }
            self.bodies[at].gone = true;
        }
        None
    }

    /// Takes out the first free one, where it is from before `limit_ms`.
    pub fn expire(&mut self, limit_ms: i64) -> Option<Left> {
        let at = self.bodies.iter().position(|listed| !listed.in_hand)?;
        (self.bodies[at].body.time_ms < limit_ms).then(|| self.remove(at))
    }

    /// Takes out the oldest that is in memory alone and in nobody's hands.
    pub fn drop_oldest(&mut self) -> Option<Left> {
        let is_droppable = |listed: &Listed| !listed.in_hand && matches!(listed.on_disk, OnDisk::No | OnDisk::TooLarge);
        let at = self.bodies.iter().position(is_droppable)?;
        Some(self.remove(at))
    }

    /// Takes out all.
    pub fn drain(&mut self) -> Vec<Left> {
        std::iter::from_fn(|| (!self.bodies.is_empty()).then(|| self.remove(0))).collect()
    }

    /// The disk is given up: what is in hand is in memory alone now. What of the rest the spool
    /// had handed out has left.
    pub fn leave_disk(&mut self, now: Instant) -> (Vec<u64>, Vec<u64>) {
        let (mut in_hand, mut back) = (Vec::new(), Vec::new());
        let mut at = 0;
        while at < self.bodies.len() {
            match (self.bodies[at].on_disk, self.bodies[at].in_hand) {
                (OnDisk::Taken(id), false) => {
                    back.push(id);
                    self.remove(at);
                    continue;
                }
                (OnDisk::Taken(id) | OnDisk::Untaken(id), true) => {
                    in_hand.push(id);
                    let number = self.bodies[at].number;
                    self.change(at, |listed| {
                        listed.on_disk = OnDisk::No;
                        listed.gone = false;
                        listed.payload = Some(number);
                    });
                    let payload = Payload { number, progress: now, acknowledged: false, bodies: 1 };
                    let place = self.payloads.partition_point(|payload| payload.number < number);
                    self.payloads.insert(place, payload);
                }
                _ => {}
            }
            at += 1;
        }
        (in_hand, back)
    }

    /// From when on there is a payload of which nothing has been acknowledged for [`LATE`].
    pub fn late_at(&self) -> Option<Instant> {
        // Behind the first of which nothing was acknowledged they are all younger.
        let untouched = self.payloads.iter().position(|payload| !payload.acknowledged);
        let count = untouched.map_or(self.payloads.len(), |at| at + 1);
        let oldest = self.payloads.iter().take(count).map(|payload| payload.progress).min()?;
        Some(oldest + LATE)
    }

    fn at(&self, number: u64) -> Option<usize> {
        self.bodies.iter().position(|listed| listed.number == number)
    }

    fn take_receipt(&mut self, at: usize) -> Option<Receipt> {
        let (_, receipt) = self.bodies[at].awaited.take()?;
        self.awaited -= 1;
        Some(receipt)
    }

    /// Takes one out. Whoever waits to hear of it, and was not told yet, hears that it is lost.
    fn remove(&mut self, at: usize) -> Left {
        drop(self.take_receipt(at));
        self.leave_payload(at);
        let Some(listed) = self.bodies.remove(at) else { return Left { samples: 0, on_disk: OnDisk::No } };
        self.count(&listed, false);
        Left { samples: listed.samples(), on_disk: listed.on_disk }
    }

    fn change<T>(&mut self, at: usize, change: impl FnOnce(&mut Listed) -> T) -> T {
        let before = std::mem::take(&mut self.bodies);
        let mut bodies = before;
        self.count(&bodies[at], false);
        let result = change(&mut bodies[at]);
        self.count(&bodies[at], true);
        self.bodies = bodies;
        result
    }

    fn payload(&mut self, at: usize) -> Option<&mut Payload> {
        let number = self.bodies[at].payload?;
        let at = self.payloads.binary_search_by_key(&number, |payload| payload.number).ok()?;
        self.payloads.get_mut(at)
    }

    /// The body is on disk, or goes.
    fn leave_payload(&mut self, at: usize) {
        let Some(payload) = self.payload(at) else { return };
        payload.bodies -= 1;
        let (number, is_over) = (payload.number, payload.bodies == 0);
        self.bodies[at].payload = None;
        if is_over {
            if let Ok(at) = self.payloads.binary_search_by_key(&number, |payload| payload.number) {
                self.payloads.remove(at);
            }
        }
    }

    fn count(&mut self, listed: &Listed, more: bool) {
        let bytes = listed.body.bytes.len() as u64;
        let step = |sum: &mut u64, by: u64| if more { *sum += by } else { *sum -= by };
        let both = |sum: &mut Sum| {
            step(&mut sum.frames, 1);
            step(&mut sum.bytes, bytes);
        };
        both(&mut self.sum);
        match listed.on_disk {
            OnDisk::Taken(_) => {
                step(&mut self.saved, 1);
                if !listed.in_hand {
                    both(&mut self.ready);
                }
            }
            OnDisk::Untaken(_) => {
                step(&mut self.saved, 1);
                both(&mut self.twice);
            }
            OnDisk::No | OnDisk::TooLarge => {}
        }
    }
}

/// What has become of a body while it was put on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// It is in the list, and on disk.
    Listed,
    /// It is on disk alone.
    Left,
    /// A sender has settled it meanwhile: it is to be gone from the disk as well.
    Settled,
}
