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

/// A lane, as it is found by what is collected.
#[derive(Clone)]
pub struct Way {
    /// Where it goes in.
    pub outlet: Arc<dyn Outlet>,
    /// Whether it takes metricsd's own metrics too.
    pub own_metrics: bool,
}

/// The ways into the lanes. A lane ends when the last holder of its outlet lets go of it.
#[derive(Default)]
pub struct Fanout(Mutex<Arc<[Way]>>);

impl Fanout {
    /// Hands `batch` to every lane; to those that want metricsd's own metrics what `with_own`
    /// makes of it, which is asked only where there is such a lane. A batch of no frame goes
    /// nowhere. Whether it went anywhere.
    pub fn put(&self, batch: Batch, with_own: impl FnOnce(&Batch) -> Batch) -> bool {
        let ways = self.ways();
        let own = ways.iter().any(|way| way.own_metrics).then(|| Arc::new(with_own(&batch)));
        let plain = Arc::new(batch);
        let mut went = false;
        for Way { outlet, own_metrics } in &*ways {
            let batch = own.as_ref().filter(|_| *own_metrics).unwrap_or(&plain);
            if !batch.frames.is_empty() {
                outlet.put(batch);
                went = true;
            }
        }
        went
    }

    /// Tells every lane that a while has passed since the last batch.
    pub fn nudge(&self) {
        self.ways().iter().for_each(|way| way.outlet.nudge());
    }

    /// Whether there is no lane.
    pub fn is_empty(&self) -> bool {
        self.ways().is_empty()
    }

    /// From the next batch on these are the lanes: a batch goes either to all of the old ones
    /// or to all of the new ones.
    pub fn exchange(&self, ways: Vec<Way>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = ways.into();
    }

    fn ways(&self) -> Arc<[Way]> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
