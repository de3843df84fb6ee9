//! POST over a kept-alive connection, with a deadline on everything.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use ureq::http::{HeaderMap, Response};
use ureq::unversioned::transport::Connector;
use ureq::{Agent, Body};

use super::resolve::OnceResolver;
use super::tcp::TcpConnector;
use super::tls::{TlsConnector, tls_error};
use super::{Access, Transport};
use crate::lane::encode::{Content, remote_write_v2};
use crate::lane::verdict::{Answer, Written, retry_after};
use crate::tls;

/// Connections live no longer than this: names move to other addresses, and a balancer's
/// new backends get their share.
const MAX_CONNECTION_AGE: Duration = Duration::from_secs(300);

/// An answer's body is read so far, so that its connection can be used again; a longer one
/// costs the connection. Receivers answer with nothing or with a sentence.
const MAX_ANSWER: u64 = 64 << 10;

/// How much of an answer's body is quoted.
const EXCERPT: usize = 512;

/// Posts to one endpoint.
pub struct Http {
    access: Arc<Access>,
    /// Of what the connection was made with.
    generation: u64,
    resolver: OnceResolver,
    agent: Option<(Agent, Instant)>,
}

impl Http {
    /// Connects to nothing yet.
    pub fn new(access: Arc<Access>) -> Http {
        Http { access, generation: 0, resolver: OnceResolver::default(), agent: None }
    }

    fn agent(&mut self) -> Agent {
        self.refresh();
        if self.agent.as_ref().is_some_and(|(_, made)| made.elapsed() > MAX_CONNECTION_AGE) {
            self.disconnect();
        }
        let (agent, _) = self.agent.get_or_insert_with(|| {
            let config = Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .timeout_global(Some(self.access.settings().timeout))
                .max_idle_connections(1)
                .max_idle_connections_per_host(1)
                .max_idle_age(MAX_CONNECTION_AGE)
                // The environment's proxies are not asked.
                .proxy(None)
                .user_agent(concat!("metricsd/", env!("CARGO_PKG_VERSION")))
                .build();
            let connector = ().chain(TcpConnector).chain(TlsConnector(self.access.tls()));
            (Agent::with_parts(config, connector, self.resolver.clone()), Instant::now())
        });
        agent.clone()
    }

    /// Looks at the files that a connection is made with, and gives up one that was made with
    /// others. Whether they have changed.
    fn refresh(&mut self) -> bool {
        let generation = self.access.refresh();
        let renewed = generation != self.generation;
        if renewed {
            self.disconnect();
            self.generation = generation;
        }
        renewed
    }

    /// Closes the connection and forgets the address.
    fn disconnect(&mut self) {
        self.agent = None;
        self.resolver.forget();
    }
}

impl Transport for Http {
    fn send(&mut self, content: &Content, body: &[u8]) -> Answer {
        let mut request = self.agent().post(self.access.settings().endpoint.as_str());
        for (name, value) in content.iter() {
            request = request.header(name, value);
        }
        match request.send(body) {
            Ok(mut response) => {
                let excerpt = read_answer(&mut response);
                Answer::Http {
                    status: response.status().as_u16(),
                    retry_after: asked_pause(response.headers()),
                    written: written(content, response.headers()),
                    excerpt,
                }
            }
            Err(error) => {
                self.disconnect();
                Answer::Network(format!("{}: {}", self.access.settings().endpoint, in_words(&error)))
            }
        }
    }

    fn has_new_credentials(&mut self) -> bool {
        self.refresh()
    }
}

fn asked_pause(headers: &HeaderMap) -> Option<Duration> {
    retry_after(headers.get("Retry-After")?.to_str().ok()?, SystemTime::now())
}

/// What went wrong, without ureq's own prefix for the kernel's words.
pub(super) fn in_words(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => match tls_error(error) {
            Some(error) => tls::in_words(error),
            None => error.to_string(),
        },
        ureq::Error::Other(error) => error.to_string(),
        other => other.to_string(),
    }
}

/// What the answer says of samples. Where it speaks of anything that was written, what it
/// does not speak of was not.
fn written(content: &Content, answer: &HeaderMap) -> Written {
    let [samples, others @ ..] = ["Samples", "Histograms", "Exemplars"]
        .map(|what| answer.get(format!("X-Prometheus-Remote-Write-{what}-Written")));
    let samples = samples.and_then(|count| count.to_str().ok()?.trim().parse().ok());
    match samples {
        Some(samples) => Written::Samples(samples),
        None if !remote_write_v2::is_v2(content) => Written::Unsaid,
        None if others.iter().any(Option::is_some) => Written::Samples(0),
        None => Written::Missing,
    }
}

/// Reads the answer's body as far as it is allowed to go; gives its beginning, printable.
/// What goes wrong here does not matter any more: the status has been read.
fn read_answer(response: &mut Response<Body>) -> String {
    let mut start = Vec::new();
    let mut reader = response.body_mut().as_reader();
    let _ = reader.by_ref().take(EXCERPT as u64).read_to_end(&mut start);
    let _ = std::io::copy(&mut reader.take(MAX_ANSWER), &mut std::io::sink());
    printable(&start)
}

/// One line of text that a log can hold, whatever a peer sent.
pub(super) fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    spaced.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_says_becomes_one_printable_line() {
        assert_eq!(printable(b" out of\r\norder\x1b[31m \xff\n"), "out of  order [31m \u{fffd}");
    }
}
