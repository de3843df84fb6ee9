//! What pushes that are not done with take in memory, together. Pure.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A bound for all of them.
#[derive(Clone, Debug)]
pub struct Room {
    max_bytes: usize,
    taken: Arc<AtomicUsize>,
}

/// A part of a [`Room`], given back when dropped.
#[derive(Debug)]
pub struct Taken {
    taken: Arc<AtomicUsize>,
    bytes: usize,
}

impl Room {
    /// For so many bytes.
    pub fn new(max_bytes: usize) -> Room {
        Room { max_bytes, taken: Arc::default() }
    }

    /// Takes so many; none where they do not fit beside the others. By itself anything fits: what one may be is
    /// bounded elsewhere.
    pub fn take(&self, bytes: usize) -> Option<Taken> {
        let fits = |taken: usize| {
            let sum = taken.saturating_add(bytes);
            (taken == 0 || sum <= self.max_bytes).then_some(sum)
        };
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).ok()?;
        Some(Taken { taken: Arc::clone(&self.taken), bytes })
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let room = Room::new(100);
        let (first, second) = (room.take(60).unwrap(), room.take(40).unwrap());
        assert!(room.take(1).is_none());
        drop(first);
        assert!(room.take(61).is_none());
        let third = room.take(60).unwrap();
        drop((second, third));
        let alone = room.take(1000).unwrap();
        assert!(room.take(1).is_none());
        drop(alone);
        assert!(room.take(1).is_some());
    }
}
