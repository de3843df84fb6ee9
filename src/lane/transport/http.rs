//! POST of a body, and what its answer says of it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::Transport;
use crate::formats::{Answered, Content, Written};
use crate::http::{
    Access, BodyLimit, Client, HeaderMap, HttpSettings, Method, Request, Response, Said, TimeLimits, redacted_url,
};
use crate::lane::verdict::{Answer, Peer, about_the_connection, retry_after};

/// How much of an answer's body is looked at for what it says: pages begin with a long head, and what one says of each line of a body is counted.
const PAGE: usize = 64 << 10;

/// How much of that is quoted.
const EXCERPT: usize = 512;

/// How much is shown of an address that an answer names.
const LOCATION: usize = 256;

/// What an answer's body may take: its status has said what matters, and one whose end never
/// comes must not cost each request the whole timeout.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// What the senders of the destination `name` share.
pub fn access(name: &str, settings: &HttpSettings) -> Access {
    let body = Some(ANSWER_WITHIN.min(settings.timeout));
    let limits = TimeLimits { body, setting: "shipper.timeout", ..TimeLimits::default() };
    Access::new(&format!("destination {name}"), settings, &limits)
}

/// What an answer to a request with this content says was written.
type ReadAnswer = fn(&Content, &Answered<'_>) -> Written;

/// Posts to one endpoint.
pub struct Http {
    access: Arc<Access>,
    written: ReadAnswer,
    client: Client,
    /// The beginning of the last answer's body.
    page: Vec<u8>,
}

impl Http {
    /// Connects to nothing yet.
    pub fn new(access: Arc<Access>, written: ReadAnswer) -> Http {
        Http { client: Client::new(Arc::clone(&access)), access, written, page: Vec::new() }
    }

    fn answer(&self, content: &Content, sent: &[u8], answer: &Response) -> Answer {
        let (status, headers) = (answer.status, &answer.headers);
        let is_success = (200..=299).contains(&status);
        let header = |name: &str| headers.get(name)?.to_str().ok();
        let written = (self.written)(content, &Answered { status, header: &header, body: &self.page, sent });
        let is_success = is_success || matches!(written, Written::InPart(..));
        let is_hidden = self.access.sends_credentials();
        // Of what is well there is nothing to say.
        let is_well = is_success && !matches!(written, Written::Missing(_));
        let peer = if is_well { Peer::default() } else { self.peer(headers, is_hidden) };
        let (said, remedy) = if is_success {
            let said = match &written {
                Written::AllBut(_, why) | Written::InPart(_, why) => Said::of(why.as_bytes(), is_hidden, EXCERPT),
                // The words are ours.
                _ if is_web_page(&self.page) => Said::of(WEB_PAGE.as_bytes(), false, EXCERPT),
                _ => Said::Nothing,
            };
            (said, None)
        } else {
            let remedy = about_the_connection(status, &String::from_utf8_lossy(&self.page));
            (Said::of(&self.page, is_hidden, EXCERPT), remedy)
        };
        let retry_after = asked_pause(headers);
        Answer::Http { status, retry_after, written, said, remedy, peer: Box::new(peer) }
    }

    /// What an operator has to know of who gave this answer.
    fn peer(&self, answer: &HeaderMap, is_hidden: bool) -> Peer {
        let location = answer.get("Location").and_then(|location| location.to_str().ok());
        Peer {
            url: self.access.name(),
            credentials: self.access.remedy(),
            location: location.and_then(|location| elsewhere(location, self.access.endpoint().as_str(), is_hidden)),
            may_be_proxy: self.access.may_be_of_a_proxy(answer),
        }
    }
}

impl Transport for Http {
    fn send(&mut self, content: &Content, body: &[u8]) -> Answer {
        let limit = BodyLimit::Keep(PAGE);
        let headers: Vec<(&str, &str)> = content.iter().map(|(name, value)| (&**name, &**value)).collect();
        let request =
            Request { method: Method::POST, path: None, headers: &headers, body: Some(body), limit, within: None };
        match self.client.send(&request, &mut self.page) {
            Ok(answer) => self.answer(content, body, &answer),
            Err(error) => Answer::Network(error.to_string()),
        }
    }

    fn agreed(&self) -> Option<String> {
        self.access.agreed()
    }

    fn has_new_credentials(&mut self) -> bool {
        self.client.refresh()
    }
}

/// Whether an answer is what a browser shows: of a login, or of a path that everything is led to.
fn is_web_page(answer: &[u8]) -> bool {
    let begin = answer.trim_ascii_start();
    [&b"<!doctype html"[..], b"<html"]
        .iter()
        .any(|tag| begin.get(..tag.len()).is_some_and(|own| own.eq_ignore_ascii_case(tag)))
}

/// What is said of that, where the status is that of success.
const WEB_PAGE: &str = "the answer is a web page: is the endpoint the right one? What was sent may be lost";

fn asked_pause(headers: &HeaderMap) -> Option<Duration> {
    retry_after(headers.get("Retry-After")?.to_str().ok()?, SystemTime::now())
}

/// Where `Location` leads, as far as it is nobody's secret: scheme, host and path. Where
/// nothing that was answered may be shown, only if it is `endpoint` itself over `https://`.
fn elsewhere(location: &str, endpoint: &str, is_hidden: bool) -> Option<String> {
    if is_hidden && Some(location) != endpoint.strip_prefix("http://").map(|rest| format!("https://{rest}")).as_deref()
    {
        return None;
    }
    let whole = redacted_url(location).replacen("***@", "", 1);
    let place: String = whole.split(['?', '#']).next()?.trim().chars().take(LOCATION).collect();
    (!place.is_empty()).then_some(place)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_web_page_is_known_by_how_it_begins() {
        for (page, is_one) in
            [("\r\n<!DOCTYPE html><html>", true), ("<HTML lang=en>", true), ("<h", false), ("", false), ("{}", false)]
        {
            assert_eq!(is_web_page(page.as_bytes()), is_one, "{page}");
        }
    }

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
        let mut http = Http::new(Arc::new(access("x", &settings)), crate::formats::ALL[0].written);
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

    #[test]
    fn where_a_redirect_leads_is_shown_without_what_may_be_a_secret() {
        for (location, is_hidden, shown) in [
            ("https://u:p@h/in?key=1#x", false, Some("https://h/in")),
            ("/login", false, Some("/login")),
            ("https://h/in", true, Some("https://h/in")),
            ("https://h/in?key=1", true, None),
            ("https://h/in/token", true, None),
            ("https://elsewhere/in", true, None),
        ] {
            assert_eq!(elsewhere(location, "http://h/in", is_hidden).as_deref(), shown, "{location}");
        }
    }
}
