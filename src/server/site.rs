//! What there is to see, who may see it, and how a request for it is answered.

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::answer::{self, Response};
use super::head::Request;
use super::health::Now;
use super::routes::{self, View};
use super::security::Security;
use crate::host;
use crate::telemetry::{Exposition, Telemetry};

/// What a reload leaves for the guard.
pub(super) type Handover = Arc<Mutex<HandedOver>>;

/// What is new.
#[derive(Debug, Default)]
pub(super) struct HandedOver {
    pub(super) security: Option<Security>,
    /// The host's name.
    pub(super) host: Option<Box<str>>,
}

/// What there is to see, and how a request for it is answered.
pub(super) struct Site {
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) host: Box<str>,
    pub(super) exposition: Exposition,
    pub(super) security: Security,
    pub(super) handed_over: Handover,
}

impl Site {
    /// Goes on under the rules and the name that a reload has brought, if it has.
    pub(super) fn take_up(&mut self) {
        let mut handed_over = self.handed_over.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(security) = handed_over.security.take() {
            self.security = security;
        }
        if let Some(host) = handed_over.host.take() {
            self.host = host;
        }
    }

    /// The whole answer for the client at `peer` as bytes. `now` is CLOCK_MONOTONIC.
    pub(super) fn answer(&mut self, request: &Request, peer: IpAddr, now: Duration) -> Vec<u8> {
        let response = if routes::is_open(request) || self.security.admits(request.authorization.as_ref()) {
            self.page(request)
        } else {
            self.security.refused(peer, now);
            routes::unauthorized(self.security.challenges())
        };
        log::debug!("{} {} -> {}", request.method, request.path, response.status);
        answer::bytes(&response, request.method == "HEAD")
    }

    /// What the request is for. A bug in a page is that request's failure only.
    fn page(&mut self, request: &Request) -> Response {
        let now = Now { monotonic: host::monotonic(), boottime: host::boottime(), wall_ms: host::wall_ms() };
        let routed = catch_unwind(AssertUnwindSafe(|| {
            let view = View { telemetry: &self.telemetry, host: &self.host };
            routes::route(request, view, now, || self.exposition.frame(&self.telemetry, now.wall_ms))
        }));
        routed.unwrap_or_else(|_| {
            log::error!("the page {:?} panicked; its client gets status 500", request.path);
            // It may be half-way through a round.
            self.exposition = Exposition::new(&self.telemetry);
            Response::text(500, "a bug in metricsd; its log says more")
        })
    }
}
