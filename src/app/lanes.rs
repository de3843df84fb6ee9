//! The lanes that run: started, changed in place, and let go of.

use std::io;
use std::sync::Arc;

use super::threads::{Id, Threads};
use crate::lane::{Control, HOLD, Inlet, Lane, Settings};
use crate::model::Batch;
use crate::pipeline::Outlet;
use crate::telemetry::{DestinationState, DestinationStatus};

/// A lane on its threads. It is asked to end by dropping this, and every clone of its outlet.
pub struct Running {
    pub settings: Settings,
    pub status: Arc<DestinationStatus>,
    pub outlet: Arc<dyn Outlet>,
    pub threads: Vec<Id>,
    control: Control,
}

impl Outlet for Inlet {
    fn put(&self, batch: &Arc<Batch>) {
        Inlet::put(self, batch);
    }
}

impl Running {
    /// Starts a lane.
    pub fn start(settings: &Settings, threads: &mut Threads) -> io::Result<Running> {
        let status = Arc::new(DestinationStatus::new(&*settings.name, settings.kind.as_str()));
        let (inlet, control, lane) = Lane::new(settings, Arc::clone(&status), HOLD);
        // The worker first: should there be no thread for the sender, it ends with its mailbox.
        let worker = threads.spawn(format!("lane-{}", settings.name), move || lane.worker.run())?;
        let sender = threads.spawn(format!("send-{}", settings.name), move || lane.sender.run());
        let sender = sender.inspect_err(|_| threads.ask(&[worker]))?;
        log::info!("destination {}: {}", settings.name, settings.kind);
        Ok(Running {
            settings: settings.clone(),
            status,
            outlet: Arc::new(inlet),
            threads: vec![worker, sender],
            control,
        })
    }

    /// Starts one lane for each; all or none.
    pub fn start_all<'a>(
        all: impl IntoIterator<Item = &'a Settings>,
        threads: &mut Threads,
    ) -> io::Result<Vec<Running>> {
        let mut started = Vec::new();
        for settings in all {
            match Running::start(settings, threads) {
                Ok(running) => started.push(running),
                Err(error) => {
                    started.iter().for_each(|running: &Running| threads.ask(&running.threads));
                    return Err(error);
                }
            }
        }
        Ok(started)
    }

    /// Whether this lane can go on under `settings`, be it with changes.
    pub fn can_become(&self, settings: &Settings) -> bool {
        Control::can_apply(&self.settings, settings)
    }

    /// Goes on under `settings`. Whether anything changed.
    pub fn change_to(&mut self, settings: &Settings) -> bool {
        let changed = self.settings != *settings;
        // Whoever has mended what a destination refuses us for need not wait for the minute to be over.
        if changed || self.status.state().0 == DestinationState::Held {
            self.control.apply(settings);
            self.settings = settings.clone();
        }
        changed
    }
}
