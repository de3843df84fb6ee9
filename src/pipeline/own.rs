//! metricsd's own metrics as a source of batches, for the lanes that want them.

use std::sync::Arc;
use std::time::Duration;

use crate::model::{Batch, Roster};
use crate::telemetry::{Exposition, OWN, Telemetry};

/// Makes their batches. Costs nothing while no lane wants any.
#[derive(Default)]
pub(super) struct Own {
    exposition: Option<Exposition>,
    /// The roster of the others that was last seen, and that with metricsd in it.
    roster: Option<(Arc<Roster>, Arc<Roster>)>,
}

impl Own {
    /// What `batch` is for a lane that wants metricsd's own metrics, which come with each tick,
    /// with the numbers of now, each `interval`.
    pub(super) fn with(&mut self, batch: &Batch, telemetry: &Telemetry, interval: Duration, is_tick: bool) -> Batch {
        let mut batch = batch.clone();
        if let Some(others) = batch.roster.take() {
            let is_known = self.roster.as_ref().is_some_and(|(known, _)| Arc::ptr_eq(known, &others));
            if !is_known {
                let all = Arc::new(others.with(OWN, interval));
                self.roster = Some((others, all));
            }
            batch.roster = self.roster.as_ref().map(|(_, all)| Arc::clone(all));
        }
        if is_tick {
            let exposition = self.exposition.get_or_insert_with(|| Exposition::sent(telemetry));
            batch.frames.push(exposition.frame(telemetry, batch.time_ms));
        }
        batch
    }
}
