//! The client: requests to one server, one at a time, over a connection that is kept.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::Agent;

use super::access::{Access, Pass};
use super::error::Error;
use super::exchange::{Request, Response, exchange};
use super::limits::MAX_CONNECTION_AGE;
use super::resolve::OnceResolver;
use super::watch::Slot;

/// What ends as a request comes to it ends within a round trip or so. One that ends later was
/// waited on by a server that had the request, and there is less of its time left.
const STALE_WITHIN: Duration = Duration::from_secs(5);

/// Sends requests to one server. The connection stays open for the next one, for 5 minutes
/// at most (30 idle seconds through a proxy), until something fails, or until a file changes that it
/// was made with.
///
/// While it idles, the connection holds no buffers; what TLS itself keeps comes on top of that.
pub struct Client {
    access: Arc<Access>,
    /// Of what the connection was made with.
    generation: u64,
    resolver: OnceResolver,
    slot: Slot,
    /// When the first request was sent of those that may have gone on the connection.
    since: Option<Instant>,
    /// What sends requests, where that is kept.
    agent: Option<Agent>,
    is_one_of_many: bool,
}

impl Client {
    /// Connects to nothing yet.
    pub fn new(access: Arc<Access>) -> Client {
        Client {
            resolver: access.wire().resolver(),
            access,
            generation: 0,
            slot: Slot::default(),
            since: None,
            agent: None,
            is_one_of_many: false,
        }
    }

    /// The same where there may be thousands, each of which sends something every now and then: keeps nothing between
    /// two requests but the connection, and makes the rest anew, which takes some 20 microseconds.
    pub fn one_of_many(access: Arc<Access>) -> Client {
        Client { is_one_of_many: true, ..Client::new(access) }
    }

    /// How the server is reached.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// Sends `request` and waits for the answer, whose body replaces what is in `body`.
    /// Whatever its status is, an answer is none of the errors; redirects are not followed. A
    /// token that is refused (401) is exchanged once, and the request sent once more. So it is
    /// where the connection that was kept ends under it, before anything of an answer came: the
    /// server may see it twice then, as after any failure that is tried again.
    pub fn send(&mut self, request: &Request<'_>, body: &mut Vec<u8>) -> Result<Response, Error> {
        let begun = Instant::now();
        let first = match self.attempt(request, body) {
            Err(why) if self.slot.was_stale() && begun.elapsed() < STALE_WITHIN => {
                log::debug!("{why}; the connection had been kept, so the request goes once more on a new one");
                self.attempt(request, body)
            }
            first => first,
        };
        let (answer, pass) = first?;
        // A token may end, or be revoked, before its time.
        if answer.status == 401 && self.access.was_refused(&pass) {
            return self.attempt(request, body).map(|(answer, _)| answer);
        }
        Ok(answer)
    }

    /// Looks at the files that a connection is made with, and gives up one that was made with
    /// others. Whether they have changed.
    pub fn refresh(&mut self) -> bool {
        let generation = self.access.refresh();
        let renewed = generation != self.generation;
        if renewed {
            self.disconnect();
            self.generation = generation;
        }
        renewed
    }

    /// One attempt, and what it has shown to be let in.
    fn attempt(&mut self, request: &Request<'_>, body: &mut Vec<u8>) -> Result<(Response, Pass), Error> {
        let agent = self.agent();
        self.slot.forget();
        let pass = self.access.pass(request)?;
        let answer = exchange(&agent, self.access.wire(), request, &pass.headers, body);
        if answer.is_err() {
            self.disconnect();
        }
        Ok((answer?, pass))
    }

    fn agent(&mut self) -> Agent {
        self.refresh();
        if self.since.is_some_and(|since| since.elapsed() > MAX_CONNECTION_AGE) {
            self.disconnect();
        }
        self.since.get_or_insert_with(Instant::now);
        let agent = self.agent.clone().unwrap_or_else(|| self.access.wire().agent(&self.resolver, &self.slot));
        if !self.is_one_of_many && self.agent.is_none() {
            self.agent = Some(agent.clone());
        }
        agent
    }

    /// Closes the connection and forgets the address.
    fn disconnect(&mut self) {
        (self.since, self.agent) = (None, None);
        self.slot.clear();
        self.resolver.forget();
    }
}
