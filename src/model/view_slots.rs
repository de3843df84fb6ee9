//! For how many views there is room in a chunk, which a reload changes for all sources at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// For how many views the chunks of its recorders have room, besides those of the pages: one for
/// each combination of a scheme, labels and rules that destinations ask for. Shared by all recorders,
/// wherever they are; each looks when its round ends.
#[derive(Clone, Debug, Default)]
pub struct ViewSlots(Arc<AtomicU64>);

/// What was asked for at one time: the number in the lower half, how often it changed in the upper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked(u64);

impl ViewSlots {
    /// Destinations ask for other views than before, for `count` in all. The room that there is
    /// in chunks is taken by the old ones, so each recorder makes all of its chunks anew.
    pub fn change(&self, count: u32) {
        // Only one thread changes it.
        let changes = (self.now().0 >> 32) + 1;
        self.0.store(changes << 32 | u64::from(count), Ordering::Relaxed);
    }

    pub(super) fn now(&self) -> Asked {
        Asked(self.0.load(Ordering::Relaxed))
    }
}

impl Asked {
    pub(super) fn count(self) -> usize {
        self.0 as u32 as usize
    }
}
