//! What there is to tell of: collectors, destinations and endpoints, which a reload exchanges.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::{CollectorStatus, DestinationStatus, EndpointStatus};

/// The collectors, destinations and endpoints of the configuration in use.
#[derive(Clone, Debug, Default)]
pub struct Subjects {
    /// Since when it is in use, CLOCK_MONOTONIC.
    pub since: Duration,
    /// Time between two collections.
    pub interval: Duration,
    /// One a collector, in the table's order.
    pub collectors: Vec<Arc<CollectorStatus>>,
    /// One a destination, in the configuration's order.
    pub destinations: Vec<Arc<DestinationStatus>>,
    /// One an endpoint that is scraped, in the configuration's order.
    pub endpoints: Vec<Arc<EndpointStatus>>,
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
