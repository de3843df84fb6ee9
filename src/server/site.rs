//! What there is to see, who may see it, and how a request for it is answered.

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::answer::{self, Response};
use super::body::{Body, Budget, Encoding};
use super::head::Request;
use super::health::Now;
use super::push::{Answers, Push, Pushes, Ticket, path_of};
use super::routes::{self, View};
use super::security::Security;
use crate::host;
use crate::telemetry::{Exposition, PushKind, Telemetry};

/// What a reload leaves for the guard.
pub(super) type Handover = Arc<Mutex<HandedOver>>;

/// What is new.
#[derive(Debug, Default)]
pub(super) struct HandedOver {
    pub(super) security: Option<Security>,
    /// The host's name.
    pub(super) host: Option<Box<str>>,
    /// Who takes pushes; inside, none: nobody does.
    pub(super) pushes: Option<Option<Pushes>>,
}

/// What there is to see, and how a request for it is answered.
pub(super) struct Site {
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) host: Box<str>,
    pub(super) exposition: Exposition,
    pub(super) security: Security,
    pub(super) handed_over: Handover,
    /// None: nobody takes pushes.
    pub(super) desk: Option<Desk>,
    /// On their way to those who wait for them.
    pub(super) answers: Arc<Answers>,
}

/// Where pushes are handed in.
pub(super) struct Desk {
    pushes: Pushes,
    budget: Arc<Budget>,
}

impl Desk {
    /// What is pushed to `path`; none: nothing is.
    fn kind(&self, path: &str) -> Option<PushKind> {
        PushKind::ALL.into_iter().find(|kind| path_of(*kind) == path && self.pushes.intake.takes(*kind))
    }
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
        if let Some(pushes) = handed_over.pushes.take() {
            self.desk = pushes.map(|pushes| Desk { budget: Budget::new(pushes.max_bytes), pushes });
        }
    }

    /// Whether the request is a push that is to be taken, and what its body may be; why not, where it is
    /// one that is not. None: it is no such thing, or who sends it may not see more.
    pub(super) fn opens(&self, request: &Request) -> Option<Result<(Body, Encoding), Response>> {
        let desk = self.desk.as_ref()?;
        let is_push = request.method == "POST" && desk.kind(&request.path).is_some();
        let is_one = is_push && self.security.admits(request.authorization.as_ref());
        is_one.then(|| request.body.open(desk.pushes.max_bytes, &desk.budget))
    }

    /// Hands a push over, to be answered by the ticket of that number.
    pub(super) fn take(&self, request: Request, encoding: Encoding, body: Body, ticket: u64) {
        let ticket = Ticket::new(ticket, &self.answers);
        // Since its body began pushes may have been switched off: the ticket says so.
        let Some(desk) = &self.desk else { return };
        let Some(kind) = desk.kind(&request.path) else { return };
        let Request { query, body: announced, .. } = request;
        let push = Push { kind, query, content_type: announced.content_type, encoding, body: body.into_bytes() };
        if catch_unwind(AssertUnwindSafe(|| desk.pushes.intake.take(push, ticket))).is_err() {
            log::error!("taking a push panicked; its client gets status 503");
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

    /// A push's answer as bytes.
    pub(super) fn pushed(answer: &Response) -> Vec<u8> {
        log::debug!("a push -> {}", answer.status);
        answer::bytes(answer, false)
    }

    /// A push to `path` was turned away with this answer, of its own.
    pub(super) fn turned_away(&self, path: &str, answer: &Response) {
        let Some(desk) = &self.desk else { return };
        let why = String::from_utf8_lossy(&answer.body);
        if let Some(kind) = desk.kind(path) {
            desk.pushes.intake.turned_away(kind, answer.status, why.trim_end());
        }
    }

    /// What the request is for. A bug in a page is that request's failure only.
    fn page(&mut self, request: &Request) -> Response {
        let now = Now { monotonic: host::monotonic(), boottime: host::boottime(), wall_ms: host::wall_ms() };
        if self.desk.as_ref().is_some_and(|desk| desk.kind(&request.path).is_some()) {
            let allow = Some("POST");
            return Response { allow, ..Response::text(405, "this takes pushes: POST") };
        }
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
