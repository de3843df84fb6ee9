//! What there is to tell of: collectors, destinations and endpoints, which a reload exchanges.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::{CollectorStatus, DestinationState, DestinationStatus, EndpointStatus, PushCounts, StatsdCounts, Trouble};
use crate::model::Signal;

/// The collectors, destinations and endpoints of the configuration in use.
#[derive(Clone, Debug, Default)]
pub struct Subjects {
    /// Since when it is in use, CLOCK_MONOTONIC.
    pub since: Duration,
    /// Time between two collections.
    pub interval: Duration,
    /// One a collector, in the table's order.
    pub collectors: Vec<Arc<CollectorStatus>>,
    /// One a lane, in the configuration's order; the lanes of a destination follow each other.
    pub destinations: Vec<Arc<DestinationStatus>>,
    /// One an endpoint that is scraped, in the configuration's order.
    pub endpoints: Vec<Arc<EndpointStatus>>,
    /// What is wrong with files of endpoints.
    pub endpoints_files: Vec<String>,
    /// Where StatsD is on.
    pub statsd: Option<Arc<StatsdCounts>>,
    /// Where pushes are taken.
    pub pushes: Option<Arc<PushCounts>>,
}

impl Subjects {
    /// The destinations, in the configuration's order.
    pub fn by_destination(&self) -> impl Iterator<Item = Destination<'_>> {
        self.destinations.chunk_by(|one, next| one.name() == next.name()).map(Destination)
    }
}

/// A destination: its lanes, of which there is one at least.
#[derive(Clone, Copy, Debug)]
pub struct Destination<'s>(&'s [Arc<DestinationStatus>]);

impl<'s> Destination<'s> {
    /// Each of its lanes.
    pub fn lanes(self) -> impl Iterator<Item = &'s DestinationStatus> {
        self.0.iter().map(|lane| &**lane)
    }

    /// Its lane of this signal, if there is one.
    pub fn lane(self, signal: Signal) -> Option<&'s DestinationStatus> {
        self.lanes().find(|lane| lane.signal() == signal)
    }

    /// As in the configuration.
    pub fn name(self) -> &'s str {
        self.0[0].name()
    }

    /// Its `type` in the configuration.
    pub fn kind(self) -> &'static str {
        self.0[0].kind()
    }

    /// The worse state of its lanes, and the last error there: one that holds is worse than one that tries again, and
    /// one that was sent nothing says nothing.
    pub fn state(self) -> (DestinationState, Option<String>) {
        let rank = |state| match state {
            DestinationState::Waiting => 0,
            DestinationState::Ok => 1,
            DestinationState::Retrying => 2,
            DestinationState::Held => 3,
        };
        let worse = |(state, error): &(DestinationState, Option<String>)| (rank(*state), error.is_some());
        // Of two that are alike the first.
        let all: Vec<_> = self.lanes().map(DestinationStatus::state).collect();
        all.into_iter().rev().max_by_key(worse).unwrap_or((DestinationState::Waiting, None))
    }

    /// What is wrong with how its data is kept, the first there is.
    pub fn trouble(self) -> Option<Trouble> {
        self.lanes().find_map(DestinationStatus::trouble)
    }

    /// Whether it is sent to without knowing who it is.
    pub fn is_unverified(self) -> bool {
        self.lanes().any(DestinationStatus::is_unverified)
    }

    /// What all its lanes have of something.
    pub fn sum(self, of: impl Fn(&DestinationStatus) -> u64) -> u64 {
        self.lanes().map(of).sum()
    }

    /// Age of the oldest body that waits, in seconds at `wall_ms`; 0 where none does.
    pub fn queue_oldest_seconds(self, wall_ms: i64) -> f64 {
        self.lanes().map(|lane| lane.queue_oldest_seconds(wall_ms)).fold(0.0, f64::max)
    }

    /// Wall-clock milliseconds of the last delivery.
    pub fn last_success_ms(self) -> Option<i64> {
        self.lanes().filter_map(DestinationStatus::last_success_ms).max()
    }
}

/// The present [`Subjects`]. Who reads keeps what it got, whole, for as long as it needs it.
#[derive(Debug)]
pub(super) struct Present(RwLock<Arc<Subjects>>);

impl Present {
    pub(super) fn new(subjects: Subjects) -> Present {
        Present(RwLock::new(Arc::new(subjects)))
    }

    pub(super) fn get(&self) -> Arc<Subjects> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set(&self, subjects: Subjects) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(subjects);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Outcome;

    #[test]
    fn a_destination_is_the_sum_of_its_lanes_and_in_the_worse_of_their_states() {
        let lane = |signal, name| Arc::new(DestinationStatus::of(signal, name, "otlp_http"));
        let (metrics, records) = (lane(Signal::Metrics, "a"), lane(Signal::Records, "a"));
        let destinations = vec![Arc::clone(&metrics), Arc::clone(&records), lane(Signal::Metrics, "b")];
        let subjects = Subjects { destinations, ..Subjects::default() };
        let names: Vec<&str> = subjects.by_destination().map(Destination::name).collect();
        assert_eq!(names, ["a", "b"]);
        let state = || subjects.by_destination().next().unwrap().state();
        assert_eq!(state(), (DestinationState::Waiting, None));
        metrics.delivered(10, 100, 5_000);
        assert_eq!(state(), (DestinationState::Ok, None));
        records.failed(Outcome::Held, DestinationState::Held, "404".to_owned());
        assert_eq!(state(), (DestinationState::Held, Some("404".to_owned())));
        metrics.failed(Outcome::Retried, DestinationState::Retrying, "timeout".to_owned());
        assert_eq!(state(), (DestinationState::Held, Some("404".to_owned())));
        records.delivered(3, 50, 7_000);
        assert_eq!(state(), (DestinationState::Retrying, Some("timeout".to_owned())));
        metrics.queue(1, 20, Some(60_000));
        records.queue(2, 30, Some(40_000));
        let a = subjects.by_destination().next().unwrap();
        assert_eq!((a.sum(DestinationStatus::queue_frames), a.sum(DestinationStatus::queue_bytes)), (3, 50));
        assert_eq!((a.queue_oldest_seconds(100_000), a.last_success_ms()), (60.0, Some(7_000)));
        assert_eq!(a.lane(Signal::Records).map(DestinationStatus::samples_sent), Some(3));
        assert_eq!((records.name(), records.lane(), metrics.lane()), ("a", "a@records", "a"));
    }
}
