//! What a lane is handed: one collection's numbers, or records that came together.

use std::sync::Arc;

use super::{Batch, Receipt, Records, Signal};

/// Data of one signal, immutable, shared by all lanes of that signal.
#[derive(Clone, Debug)]
pub enum Payload {
    /// Series' numbers.
    Metrics(Arc<Batch>),
    /// Log lines and events.
    Records(Arc<Records>),
}

impl Payload {
    /// Whose lanes it goes to.
    pub fn signal(&self) -> Signal {
        match self {
            Payload::Metrics(_) => Signal::Metrics,
            Payload::Records(_) => Signal::Records,
        }
    }

    /// How many samples or records it holds.
    pub fn count(&self) -> usize {
        match self {
            Payload::Metrics(batch) => batch.readings(),
            Payload::Records(records) => records.records.len(),
        }
    }
}

/// A payload on its way to one lane.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// What is handed over.
    pub payload: Payload,
    /// Where its source waits to hear of it; none: nobody does.
    pub receipt: Option<Receipt>,
}

impl Parcel {
    /// One that nobody waits to hear of.
    pub fn new(payload: Payload) -> Parcel {
        Parcel { payload, receipt: None }
    }
}
