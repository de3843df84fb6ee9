//! The lanes that run: started, changed in place, followed by others, and let go of.

use std::io;
use std::sync::Arc;

use super::threads::{Id, Threads};
use crate::lane::{Control, Inlet, Lane, REFUSED_PAUSE, Settings};
use crate::model::{Parcel, Signal};
use crate::pipeline::{Outlet, Way};
use crate::shaping::Combinations;
use crate::telemetry::{DestinationState, DestinationStatus};

/// A lane. It is asked to end by dropping its outlet, and every clone of it.
pub struct Running {
    pub settings: Settings,
    outlet: Arc<dyn Outlet>,
    pub threads: Vec<Id>,
    /// Those of them that send.
    senders: Vec<Id>,
    control: Control,
}

/// A lane that has been asked to end.
pub struct Ending {
    pub name: String,
    /// Its threads that have not ended.
    pub threads: Vec<Id>,
    /// Those that send, ended or not.
    pub senders: Vec<Id>,
    pub control: Control,
}

/// From where `lanes` look.
pub fn combinations(lanes: &[Settings]) -> Combinations {
    let of_metrics = lanes.iter().filter(|lane| lane.signal == Signal::Metrics);
    Combinations::of(of_metrics.map(Settings::perspective))
}

impl Outlet for Inlet {
    fn put(&self, parcel: Parcel) {
        Inlet::put(self, parcel);
    }

    fn nudge(&self) {
        Inlet::nudge(self);
    }
}

impl Running {
    /// Makes a lane, whose threads wait for [`Running::begin`]; all of them or none. `before`
    /// is the lane that it comes after: it goes on with what that one leaves, and counts on.
    pub fn new(settings: &Settings, before: Option<&Control>, threads: &mut Threads) -> io::Result<Running> {
        let (inlet, control, lane) = Lane::new(settings, REFUSED_PAUSE, before);
        let name = settings.lane_name();
        let mut ids = Vec::new();
        let mut senders = Vec::new();
        let mut start = |kind: &str, run: Box<dyn FnOnce() + Send>| -> io::Result<Id> {
            let id = threads.spawn(format!("{kind}-{name}"), run)?;
            ids.push(id);
            Ok(id)
        };
        let mut started = start("lane", Box::new(move || lane.worker.run()));
        started = started.and_then(|_| start("keep", Box::new(move || lane.keeper.run())));
        for sender in lane.senders {
            started = started.and_then(|_| start("send", Box::new(move || sender.run())));
            senders.extend(started.as_ref().ok());
        }
        if let Err(error) = started {
            // Without the word to begin, which goes with `control`, they end at once.
            threads.ask(&ids);
            return Err(error);
        }
        Ok(Running { settings: settings.clone(), outlet: Arc::new(inlet), threads: ids, senders, control })
    }

    /// The threads begin; those of the lane before, if there is one, leave what they have to them.
    pub fn begin(&mut self) {
        self.control.begin();
        self.status().is_of(self.settings.kind.as_str(), self.settings.is_unverified());
        // The queue may have been kept otherwise before.
        self.control.move_spool(&self.settings.spool);
        log::info!("destination {}: {}", self.settings.lane_name(), self.settings.kind);
    }

    /// Where what is collected goes in.
    pub fn way(&self) -> Way {
        Way {
            outlet: Arc::clone(&self.outlet),
            signal: self.settings.signal,
            own_metrics: self.settings.own_metrics,
            by_tick: self.settings.kind.format.by_tick,
        }
    }

    /// How the destination is doing.
    pub fn status(&self) -> &Arc<DestinationStatus> {
        self.control.status()
    }

    /// For one that comes after it.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Asks the lane to end, and keeps what is needed to see to what it leaves.
    pub fn end(self) -> Ending {
        let Running { settings, threads, senders, control, .. } = self;
        Ending { name: settings.lane_name(), threads, senders, control }
    }

    /// The lane ends, and none comes after it that could send what it leaves on disk.
    pub fn abandon(&self) {
        self.control.abandon();
    }

    /// Whether this lane can go on under `settings`, be it with changes.
    pub fn can_become(&self, settings: &Settings) -> bool {
        Control::can_apply(&self.settings, settings)
    }

    /// Goes on under `settings`. Whether anything changed.
    pub fn change_to(&mut self, settings: &Settings) -> bool {
        let changed = self.settings != *settings;
        // Whoever has mended a destination, or what it refuses us for, need not wait for a pause to be over.
        if changed || matches!(self.status().state().0, DestinationState::Held | DestinationState::Retrying) {
            self.control.apply(settings);
        }
        if self.settings.spool != settings.spool {
            self.control.move_spool(&settings.spool);
        }
        self.status().is_of(settings.kind.as_str(), settings.is_unverified());
        self.settings = settings.clone();
        changed
    }
}
