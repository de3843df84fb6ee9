//! Where a tick's batch goes: to all lanes, which a reload exchanges and the end takes away.

use std::sync::{Arc, Mutex, PoisonError};

use crate::model::{Batch, Frame, Parcel, Payload, Receipt, Signal};

/// The way into a lane.
pub trait Outlet: Send + Sync {
    /// Hands `parcel` over. Never blocks.
    fn put(&self, parcel: Parcel);

    /// A while has passed since the last batch: what is still under way is to be made safe.
    /// Never blocks.
    fn nudge(&self) {}
}

impl<F: Fn(Parcel) + Send + Sync> Outlet for F {
    fn put(&self, parcel: Parcel) {
        self(parcel);
    }
}

/// A lane, as it is found by what is collected.
#[derive(Clone)]
pub struct Way {
    /// Where it goes in.
    pub outlet: Arc<dyn Outlet>,
    /// What it takes.
    pub signal: Signal,
    /// Whether it takes metricsd's own metrics too.
    pub own_metrics: bool,
    /// Whether it takes nothing between two ticks: what came since the last tick is in the next
    /// one's batch.
    pub by_tick: bool,
}

/// The ways into the lanes. A lane ends when the last holder of its outlet lets go of it.
#[derive(Default)]
pub struct Fanout {
    ways: Mutex<Arc<[Way]>>,
    /// What came since the last tick, for lanes that take nothing before the next one.
    aside: Mutex<Vec<Frame>>,
}

impl Fanout {
    /// Hands `batch` to every lane; to those that want metricsd's own metrics what `with_own`
    /// makes of it, which is asked only where there is such a lane. A batch of no frame goes
    /// nowhere. Whether it went anywhere.
    ///
    /// What comes between two ticks is given to lanes `by_tick` with the next tick: of each source
    /// its newest frame.
    pub fn put(&self, batch: Batch, is_tick: bool, with_own: impl FnOnce(&Batch) -> Batch) -> bool {
        let ways = self.ways();
        let ways: Vec<&Way> = ways.iter().filter(|way| way.signal == Signal::Metrics).collect();
        let own = ways.iter().any(|way| way.own_metrics).then(|| Arc::new(with_own(&batch)));
        let aside = if ways.iter().any(|way| way.by_tick) { self.set_aside(&batch, is_tick) } else { Vec::new() };
        let plain = Arc::new(batch);
        let whole = |batch: &Arc<Batch>| {
            let mut whole = Batch::clone(batch);
            whole.frames.extend(aside.iter().cloned());
            Arc::new(whole)
        };
        // Lanes of one kind share a batch.
        let (mut plain_whole, mut own_whole) = (None, None);
        let mut went = false;
        for Way { outlet, own_metrics, by_tick, .. } in ways {
            if *by_tick && !is_tick {
                continue;
            }
            let own = own.as_ref().filter(|_| *own_metrics);
            let mut batch = own.unwrap_or(&plain);
            if *by_tick && !aside.is_empty() {
                let kept = if own.is_some() { &mut own_whole } else { &mut plain_whole };
                batch = kept.get_or_insert_with(|| whole(batch));
            }
            if !batch.frames.is_empty() {
                outlet.put(Parcel::new(Payload::Metrics(Arc::clone(batch))));
                went = true;
            }
        }
        went
    }

    /// Hands `payload`, of a source that waits to hear of it, to every lane of its signal at once. `receipt` comes when
    /// all of these have taken care of it.
    pub fn hand(&self, payload: &Payload, receipt: Receipt) {
        for way in self.ways().iter().filter(|way| way.signal == payload.signal()) {
            way.outlet.put(Parcel { payload: payload.clone(), receipt: Some(receipt.clone()) });
        }
        receipt.taken();
    }

    /// Whether there is a lane of this signal.
    pub fn takes(&self, signal: Signal) -> bool {
        self.ways().iter().any(|way| way.signal == signal)
    }

    /// Sets aside what came between two ticks; at a tick, gives what there is.
    fn set_aside(&self, batch: &Batch, is_tick: bool) -> Vec<Frame> {
        let mut aside = self.aside.lock().unwrap_or_else(PoisonError::into_inner);
        if is_tick {
            return std::mem::take(&mut aside);
        }
        for frame in &batch.frames {
            match aside.iter_mut().find(|other| other.source == frame.source) {
                Some(older) => *older = frame.clone(),
                None => aside.push(frame.clone()),
            }
        }
        Vec::new()
    }

    /// Tells every lane that a while has passed since the last batch.
    pub fn nudge(&self) {
        self.ways().iter().for_each(|way| way.outlet.nudge());
    }

    /// Whether there is no lane for numbers.
    pub fn is_empty(&self) -> bool {
        !self.takes(Signal::Metrics)
    }

    /// From the next batch on these are the lanes: a batch goes either to all of the old ones
    /// or to all of the new ones.
    pub fn exchange(&self, ways: Vec<Way>) {
        *self.ways.lock().unwrap_or_else(PoisonError::into_inner) = ways.into();
    }

    fn ways(&self) -> Arc<[Way]> {
        Arc::clone(&self.ways.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
