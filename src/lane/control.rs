//! The handle on a lane that runs: what a reload and the end have to say to it.

use std::sync::Arc;
use std::time::Instant;

use crate::telemetry::DestinationStatus;

use super::learned::Learned;
use super::queue::{Queue, Unsaved};
use super::route::{Route, access, making, route, tee};
use super::settings::{Settings, SpoolSettings};
use super::start::{Predecessor, Starter};

/// Changes a lane while it runs.
pub struct Control {
    pub(super) settings: Settings,
    pub(super) status: Arc<DestinationStatus>,
    pub(super) queue: Arc<Queue>,
    pub(super) learned: Arc<Learned>,
    pub(super) generation: u64,
    pub(super) updates: Vec<crossbeam_channel::Sender<Route>>,
    /// Its own, for the lane that comes after it. Nothing in it keeps a thread alive: a lane
    /// ends when its threads do, whoever could still change it.
    pub(super) threads: Predecessor,
    /// What the threads wait for; none once they have begun.
    pub(super) starter: Option<Starter>,
}

impl Control {
    /// Whether a lane with the settings `old` can take up `new` while it runs; if not, another
    /// lane has to come after it.
    pub fn can_apply(old: &Settings, new: &Settings) -> bool {
        old.is_same_lane(new) && old.senders() == new.senders()
    }

    /// The threads begin; where the lane comes after another one, behind that one's, and that
    /// one leaves the queue to them. Without this they end, having done nothing.
    pub fn begin(&mut self) {
        let Some(starter) = self.starter.take() else { return };
        let queue_ends = self.queue.hand_over(self.generation, self.updates.len());
        self.queue.set_pace(&self.settings.retry, self.settings.drain_rate);
        self.queue.abandon(false);
        starter.go(queue_ends);
    }

    /// How the destination is doing.
    pub fn status(&self) -> &Arc<DestinationStatus> {
        &self.status
    }

    /// The lane ends, and none comes after it that could send what it leaves on disk.
    pub fn abandon(&self) {
        self.queue.abandon(true);
    }

    /// The program ends, and the grace is over: what the lane has not delivered by now is put by,
    /// or lost and said to be, also where a sender hangs, as soon as the worker has ended. Does
    /// not wait for that.
    pub fn finish(&self) {
        self.queue.finish();
    }

    /// The same, whatever the worker has under way.
    pub fn cut_off(&self) {
        self.queue.cut_off();
    }

    /// Waits, until `until` at most, for what [`Control::finish`] and [`Control::cut_off`] begin.
    /// Else what is in memory alone by then.
    pub fn wait_for_end(&self, until: Instant) -> Result<(), Unsaved> {
        self.queue.wait_for_end(until)
    }

    /// What is kept of a lane is kept so from now on.
    pub fn move_spool(&self, settings: &SpoolSettings) {
        self.queue.move_to(settings.clone());
    }

    /// Takes up new settings: what waits stays, what is sent or encoded from now on follows
    /// them. A pause before the next attempt ends.
    pub fn apply(&self, settings: &Settings) {
        self.learned.is_about(&settings.kind);
        if let Some(maker) = self.threads.maker.upgrade() {
            maker.replace(making(settings), &settings.rule_places);
            maker.set_tee(tee(settings));
        }
        let access = access(settings);
        for update in &self.updates {
            // A sender is gone only when the lane is being stopped.
            let _ = update.send(route(settings, access.as_ref()));
        }
        self.queue.set_pace(&settings.retry, settings.drain_rate);
    }
}
