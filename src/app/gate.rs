//! The way into a lane that has not started yet: keeps what is put in until it has.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::lane::{Inlet, lose};
use crate::model::Batch;
use crate::pipeline::Outlet;
use crate::telemetry::{DestinationStatus, DropReason};

/// What may wait, in samples of eight bytes each; over it the oldest batch goes, counted. A
/// lane waits for the one before it for seconds, or for as long as a request may take.
const MAX_SAMPLES: usize = 1_000_000;

/// How long the end of a gate waits for the lane's worker, which only encodes.
const LAST: Duration = Duration::from_secs(1);

/// The way in.
pub struct Gate {
    status: Arc<DestinationStatus>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// None before the lane has started.
    inlet: Option<Inlet>,
    /// Oldest first.
    batches: VecDeque<Arc<Batch>>,
    samples: usize,
}

impl Gate {
    /// A closed one.
    pub fn new(status: Arc<DestinationStatus>) -> Gate {
        Gate { status, state: Mutex::default() }
    }

    /// From now on what is put in goes to `inlet`; what waits goes first.
    pub fn open(&self, inlet: Inlet) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.inlet = Some(inlet);
        state.pass();
    }
}

impl Outlet for Gate {
    fn put(&self, batch: &Arc<Batch>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.samples += batch.samples();
        state.batches.push_back(Arc::clone(batch));
        state.pass();
        while state.samples > MAX_SAMPLES {
            let Some(oldest) = state.take() else { break };
            lose(&self.status, DropReason::MailboxFull, oldest.samples() as u64);
        }
    }
}

impl State {
    fn take(&mut self) -> Option<Arc<Batch>> {
        let batch = self.batches.pop_front()?;
        self.samples -= batch.samples();
        Some(batch)
    }

    /// Hands over what the lane has room for.
    fn pass(&mut self) {
        while self.inlet.as_ref().is_some_and(Inlet::has_room) {
            let Some(batch) = self.take() else { return };
            if let Some(inlet) = &self.inlet {
                inlet.put(&batch);
            }
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let until = Instant::now() + LAST;
        state.pass();
        while state.inlet.is_some() && !state.batches.is_empty() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
            state.pass();
        }
        if state.samples > 0 {
            log::warn!("destination {}: {} samples are lost, for it did not start", self.status.name(), state.samples);
            lose(&self.status, DropReason::Shutdown, state.samples as u64);
        }
    }
}
