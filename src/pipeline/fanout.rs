//! Where a tick's batch goes: to all lanes, which a reload exchanges and the end takes away.

use std::sync::{Arc, Mutex, PoisonError};

use crate::model::Batch;

/// The way into a lane.
pub trait Outlet: Send + Sync {
    /// Hands `batch` over. Never blocks.
    fn put(&self, batch: &Arc<Batch>);

    /// A while has passed since the last batch: what is still under way is to be made safe.
    /// Never blocks.
    fn nudge(&self) {}
}

impl<F: Fn(&Arc<Batch>) + Send + Sync> Outlet for F {
    fn put(&self, batch: &Arc<Batch>) {
        self(batch);
    }
}

/// The ways into the lanes. A lane ends when the last holder of its outlet lets go of it.
#[derive(Default)]
pub struct Fanout(Mutex<Arc<[Arc<dyn Outlet>]>>);

impl Fanout {
    /// Hands `batch` to every lane.
    pub fn put(&self, batch: &Arc<Batch>) {
        self.outlets().iter().for_each(|outlet| outlet.put(batch));
    }

    /// Tells every lane that a while has passed since the last batch.
    pub fn nudge(&self) {
        self.outlets().iter().for_each(|outlet| outlet.nudge());
    }

    /// Whether there is no lane.
    pub fn is_empty(&self) -> bool {
        self.outlets().is_empty()
    }

    /// From the next batch on these are the lanes: a batch goes either to all of the old ones
    /// or to all of the new ones.
    pub fn exchange(&self, outlets: Vec<Arc<dyn Outlet>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = outlets.into();
    }

    fn outlets(&self) -> Arc<[Arc<dyn Outlet>]> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
