//! POST over a kept-alive connection, with a deadline on everything.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use ureq::http::{HeaderMap, HeaderValue, Response};
use ureq::{Agent, Body};

use super::Transport;
use crate::formats::{Answered, Content, Format, Written};
use crate::http::{Access, MAX_CONNECTION_AGE, OnceResolver, Pass, printable, readable, redacted_url};
use crate::lane::verdict::{Answer, Peer, retry_after};

/// An answer's body is read so far, so that its connection can be used again; a longer one
/// costs the connection. Receivers answer with nothing or with a sentence.
const MAX_ANSWER: u64 = 64 << 10;

/// How much of an answer's body is looked at for what it says: pages begin with a long head.
const PAGE: usize = 4 << 10;

/// How much of that is quoted.
const EXCERPT: usize = 512;

/// How much is shown of an address that an answer names.
const LOCATION: usize = 256;

/// Posts to one endpoint.
pub struct Http {
    access: Arc<Access>,
    format: &'static Format,
    /// Of what the connection was made with.
    generation: u64,
    resolver: OnceResolver,
    agent: Option<(Agent, Instant)>,
}

impl Http {
    /// Connects to nothing yet.
    pub fn new(access: Arc<Access>, format: &'static Format) -> Http {
        Http { resolver: access.wire().resolver(), access, format, generation: 0, agent: None }
    }

    fn agent(&mut self) -> Agent {
        self.refresh();
        if self.agent.as_ref().is_some_and(|(_, made)| made.elapsed() > MAX_CONNECTION_AGE) {
            self.disconnect();
        }
        let make = || (self.access.wire().agent(&self.resolver), Instant::now());
        let (agent, _) = self.agent.get_or_insert_with(make);
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

impl Http {
    /// One attempt, and what it has shown to be let in.
    fn post(&mut self, content: &Content, body: &[u8]) -> (Answer, Option<Pass>) {
        let agent = self.agent();
        let pass = match self.access.pass(body) {
            Ok(pass) => pass,
            Err(why) => return (Answer::Network(why), None),
        };
        let mut request = agent.post(self.access.settings().endpoint.as_str());
        for (name, value) in content.iter() {
            request = request.header(name, value);
        }
        for (name, value) in &pass.headers {
            request = request.header(name, value);
        }
        let answer = match request.send(body) {
            Ok(mut response) => {
                let excerpt = read_answer(&mut response, &pass);
                let header = |name: &str| response.headers().get(name)?.to_str().ok();
                let written = (self.format.written)(content, &Answered { header: &header, body: &[] });
                // Of what is well there is nothing to say.
                let is_told = !response.status().is_success() || matches!(written, Written::Missing(_));
                Answer::Http {
                    status: response.status().as_u16(),
                    retry_after: asked_pause(response.headers()),
                    written,
                    peer: if is_told { Box::new(self.peer(response.headers(), &pass)) } else { Box::default() },
                    excerpt,
                }
            }
            Err(error) => {
                self.disconnect();
                let why = self.access.wire().failure(&error);
                Answer::Network(pass.redact(&why, why.len()))
            }
        };
        (answer, Some(pass))
    }

    /// What an operator has to know of who gave this answer.
    fn peer(&self, answer: &HeaderMap, pass: &Pass) -> Peer {
        Peer {
            url: self.access.wire().name(),
            credentials: self.access.remedy(),
            location: answer.get("Location").and_then(|location| elsewhere(location, pass)),
        }
    }
}

impl Transport for Http {
    fn send(&mut self, content: &Content, body: &[u8]) -> Answer {
        let (answer, pass) = self.post(content, body);
        let refused = matches!(answer, Answer::Http { status: 401, .. });
        match pass {
            // A token may end, or be revoked, before its time.
            Some(pass) if refused && self.access.was_refused(&pass) => self.post(content, body).0,
            _ => answer,
        }
    }

    fn has_new_credentials(&mut self) -> bool {
        self.refresh()
    }
}

fn asked_pause(headers: &HeaderMap) -> Option<Duration> {
    retry_after(headers.get("Retry-After")?.to_str().ok()?, SystemTime::now())
}

/// Reads the answer's body as far as it is allowed to go; gives its beginning, printable and
/// without what the request has shown. What goes wrong here does not matter any more: the
/// status has been read.
fn read_answer(response: &mut Response<Body>, pass: &Pass) -> String {
    let mut start = Vec::new();
    let shows = !response.status().is_success();
    let mut reader = response.body_mut().as_reader();
    if shows {
        let length = PAGE + pass.longest();
        let _ = reader.by_ref().take(length as u64).read_to_end(&mut start);
    }
    let _ = std::io::copy(&mut reader.take(MAX_ANSWER), &mut std::io::sink());
    let said = readable(&pass.redact(&String::from_utf8_lossy(&start), PAGE));
    // What a tag stood in the middle of has come together.
    pass.redact(&said, EXCERPT)
}

/// Where `Location` leads, as far as it is nobody's secret: scheme, host and path.
fn elsewhere(location: &HeaderValue, pass: &Pass) -> Option<String> {
    let text = String::from_utf8_lossy(location.as_bytes());
    let whole = redacted_url(&pass.redact(&text, text.len())).replacen("***@", "", 1);
    let place = printable(whole.split(['?', '#']).next()?.as_bytes());
    let place: String = place.chars().take(LOCATION).collect();
    (!place.is_empty()).then_some(place)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::formats;
    use crate::http::HttpSettings;

    /// What is said of a request to a peer that reads it and then does `with` the connection.
    fn failure(with: fn(TcpStream)) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}/in", listener.local_addr().unwrap());
        let peer = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            with(stream);
        });
        let timeout = Duration::from_millis(200);
        let settings = HttpSettings { timeout, ..HttpSettings::new(endpoint.as_str().into()) };
        let mut http = Http::new(Arc::new(Access::new("x", settings)), formats::ALL[0]);
        let answer = http.send(&Content::default(), b"body");
        peer.join().unwrap();
        let Answer::Network(said) = answer else { panic!("{answer:?}") };
        let port = endpoint.rsplit_once(':').unwrap().1.trim_end_matches("/in");
        said.strip_prefix(&format!("{endpoint}: ")).unwrap().replace(port, "PORT")
    }

    #[test]
    fn failures_say_how_far_the_request_came() {
        let hang = |stream: TcpStream| {
            // Until the other side gives up.
            let _ = (&stream).read(&mut [0]);
        };
        assert_eq!(failure(hang), "no complete answer within 200ms (shipper.timeout)");
        let closed = "the connection was closed before an answer came; does port PORT speak TLS? then write https://";
        assert_eq!(failure(drop), closed);
        let torn = |mut stream: TcpStream| stream.write_all(b"HTTP/1.1 200").unwrap();
        assert_eq!(failure(torn), "the connection was closed before an answer came");
        // What servers of TLS say to a request in the clear.
        let alert = |mut stream: TcpStream| stream.write_all(&[21, 3, 1, 0, 2, 2, 70]).unwrap();
        assert_eq!(failure(alert), "port PORT speaks TLS; write https://");
        let lie = |mut stream: TcpStream| stream.write_all(b"220 smtp.example ESMTP\r\n\r\n").unwrap();
        let said = failure(lie);
        assert!(said.starts_with("what came back is no HTTP answer: "), "{said}");
    }
}
