//! The lanes that run: started, changed in place, and let go of.

use std::io;
use std::sync::Arc;

use super::gate::Gate;
use super::threads::{Id, Threads};
use crate::lane::{Control, HOLD, Inlet, Lane, Settings};
use crate::model::Batch;
use crate::pipeline::Outlet;
use crate::telemetry::{DestinationState, DestinationStatus};

/// A lane. It is asked to end by dropping this, and every clone of its outlet.
pub struct Running {
    pub settings: Settings,
    pub status: Arc<DestinationStatus>,
    pub outlet: Arc<dyn Outlet>,
    pub threads: Vec<Id>,
    life: Life,
}

enum Life {
    /// On its threads.
    Started(Control),
    /// Another lane of its name has not ended, and holds what both need: the directory on disk.
    Waiting(Arc<Gate>),
}

impl Outlet for Inlet {
    fn put(&self, batch: &Arc<Batch>) {
        Inlet::put(self, batch);
    }

    fn nudge(&self) {
        Inlet::nudge(self);
    }
}

impl Running {
    /// Starts a lane.
    pub fn start(settings: &Settings, threads: &mut Threads) -> io::Result<Running> {
        let status = status_of(settings);
        let (inlet, control, ids) = run(settings, &status, threads)?;
        let (settings, outlet) = (settings.clone(), Arc::new(inlet));
        Ok(Running { settings, status, outlet, threads: ids, life: Life::Started(control) })
    }

    /// A lane that is to start when others of its name have ended, and keeps what it is given
    /// until then.
    pub fn waiting(settings: &Settings) -> Running {
        let status = status_of(settings);
        let gate = Arc::new(Gate::new(Arc::clone(&status)));
        let outlet: Arc<dyn Outlet> = Arc::clone(&gate) as _;
        Running { settings: settings.clone(), status, outlet, threads: Vec::new(), life: Life::Waiting(gate) }
    }

    /// Asks the lane to end, and keeps what is needed to see to what it left.
    pub fn into_control(self) -> Option<Control> {
        match self.life {
            Life::Started(control) => Some(control),
            Life::Waiting(_) => None,
        }
    }

    /// It is let go of, and no other lane comes after it in its directory.
    pub fn abandon(&self) {
        if let Life::Started(control) = &self.life {
            control.abandon();
        }
    }

    /// Whether it has not started yet.
    pub fn is_waiting(&self) -> bool {
        matches!(self.life, Life::Waiting(_))
    }

    /// Starts one that waits.
    pub fn begin(&mut self, threads: &mut Threads) -> io::Result<()> {
        if let Life::Waiting(gate) = &self.life {
            let (inlet, control, ids) = run(&self.settings, &self.status, threads)?;
            gate.open(inlet);
            self.threads = ids;
            self.life = Life::Started(control);
        }
        Ok(())
    }

    /// Whether this lane can go on under `settings`, be it with changes.
    pub fn can_become(&self, settings: &Settings) -> bool {
        match self.life {
            Life::Started(_) => Control::can_apply(&self.settings, settings),
            Life::Waiting(_) => {
                self.settings.name == settings.name && self.settings.kind.as_str() == settings.kind.as_str()
            }
        }
    }

    /// Goes on under `settings`. Whether anything changed.
    pub fn change_to(&mut self, settings: &Settings) -> bool {
        let changed = self.settings != *settings;
        // Whoever has mended a destination, or what it refuses us for, need not wait for a pause to be over.
        if changed || matches!(self.status.state().0, DestinationState::Held | DestinationState::Retrying) {
            if let Life::Started(control) = &self.life {
                control.apply(settings);
            }
            self.status.unverified(settings.is_unverified());
            self.settings = settings.clone();
        }
        changed
    }
}

fn status_of(settings: &Settings) -> Arc<DestinationStatus> {
    let status = DestinationStatus::new(&*settings.name, settings.kind.as_str());
    status.unverified(settings.is_unverified());
    Arc::new(status)
}

/// Starts the threads of a lane; all or none.
fn run(
    settings: &Settings,
    status: &Arc<DestinationStatus>,
    threads: &mut Threads,
) -> io::Result<(Inlet, Control, Vec<Id>)> {
    let (inlet, control, lane) = Lane::new(settings, Arc::clone(status), HOLD);
    let name = &settings.name;
    // The worker first: should there be no thread for another one, it ends with its mailbox,
    // and closes what the others wait for.
    let mut ids = vec![threads.spawn(format!("lane-{name}"), move || lane.worker.run())?];
    let mut rest = vec![threads.spawn(format!("keep-{name}"), move || lane.keeper.run())];
    rest.extend(lane.senders.into_iter().map(|sender| threads.spawn(format!("send-{name}"), move || sender.run())));
    let mut failed = None;
    for started in rest {
        match started {
            Ok(id) => ids.push(id),
            Err(error) => failed = Some(error),
        }
    }
    if let Some(error) = failed {
        threads.ask(&ids);
        return Err(error);
    }
    log::info!("destination {name}: {}", settings.kind);
    Ok((inlet, control, ids))
}
