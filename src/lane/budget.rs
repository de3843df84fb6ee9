//! What all spools together may take on disk.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What all spools together may take on disk, and who has how much of it.
#[derive(Debug)]
pub struct Budget {
    max_bytes: u64,
    shares: Mutex<Shares>,
}

#[derive(Debug, Default)]
struct Shares {
    next: u64,
    taken: BTreeMap<u64, Taken>,
}

#[derive(Clone, Copy, Debug)]
struct Taken {
    bytes: u64,
    /// Stamp of the oldest that waits; the end of time where nothing does.
    oldest_ms: i64,
}

/// One spool's part of a [`Budget`]; given back when dropped.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    id: u64,
}

impl Budget {
    /// Nothing used of `max_bytes`.
    pub fn new(max_bytes: u64) -> Budget {
        Budget { max_bytes, shares: Mutex::default() }
    }

    /// A part of it, of nothing yet.
    pub fn share(self: &Arc<Budget>) -> Share {
        let mut shares = self.lock();
        let id = shares.next;
        shares.next += 1;
        Share { budget: Arc::clone(self), id }
    }

    /// What it is.
    pub fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// By how many bytes it is exceeded.
    pub fn excess(&self) -> u64 {
        self.lock().taken.values().map(|taken| taken.bytes).sum::<u64>().saturating_sub(self.max_bytes)
    }

    fn lock(&self) -> MutexGuard<'_, Shares> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Whether it is a part of `budget`, or of one as large.
    pub fn is_of(&self, budget: &Budget) -> bool {
        *self.budget == *budget
    }

    /// This spool takes `bytes` now, the oldest of which is of `oldest_ms`.
    pub fn set(&self, bytes: u64, oldest_ms: Option<i64>) {
        let taken = Taken { bytes, oldest_ms: oldest_ms.unwrap_or(i64::MAX) };
        self.budget.lock().taken.insert(self.id, taken);
    }

    /// Whether all together take too much and this spool has the oldest of it; where several
    /// have, as when all fail at one tick, the one that was there first. So a destination
    /// that has just gone away is not starved by one that has been gone for weeks. Each looks
    /// when it is written to, once a tick, so the cap may be passed by a little for as long;
    /// where it is by much, the one that holds the oldest can't give, and whoever writes does.
    pub fn has_to_give(&self) -> bool {
        let excess = self.budget.excess();
        let shares = self.budget.lock();
        let Some(own) = shares.taken.get(&self.id) else { return false };
        let age = |id: u64, taken: &Taken| (taken.oldest_ms, id);
        let is_oldest = shares.taken.iter().all(|(id, other)| age(self.id, own) <= age(*id, other));
        excess > 0 && (is_oldest || excess > self.budget.max_bytes / 16)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.lock().taken.remove(&self.id);
    }
}

impl PartialEq for Budget {
    fn eq(&self, other: &Budget) -> bool {
        self.max_bytes == other.max_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_that_are_as_old_one_gives() {
        let budget = Arc::new(Budget::new(1600));
        let [first, second, third] = [budget.share(), budget.share(), budget.share()];
        for share in [&third, &second, &first] {
            share.set(550, Some(1));
        }
        assert_eq!([&first, &second, &third].map(Share::has_to_give), [true, false, false]);
        first.set(550, Some(2));
        assert_eq!([&first, &second, &third].map(Share::has_to_give), [false, true, false]);
    }

    #[test]
    fn one_that_cannot_give_does_not_have_all_others_pass_the_cap() {
        let budget = Arc::new(Budget::new(1600));
        let [stuck, other] = [budget.share(), budget.share()];
        stuck.set(1500, Some(1));
        other.set(200, Some(2));
        assert!(stuck.has_to_give() && !other.has_to_give());
        other.set(201, Some(2));
        assert!(other.has_to_give());
        drop(stuck);
        assert!(!other.has_to_give());
    }
}
