//! What an answer means for the data that was sent. A pure table; the sender carries it out.

use std::time::{Duration, SystemTime};

use crate::formats::Written;
use crate::http::{Said, answered};

/// A peer may ask for a longer pause than ours, but not for one that outlives our memory of
/// the data: beyond an hour we look again ourselves.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// How one attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The peer answered with a status line.
    Http {
        /// As it came.
        status: u16,
        /// `Retry-After`, from now.
        retry_after: Option<Duration>,
        /// How much of the request was written.
        written: Written,
        /// What the answer's body says, as far as it may be shown.
        said: Said,
        /// What to do, where the body says that it is about the connection and not the data.
        remedy: Option<&'static str>,
        /// Who has answered; nothing of it where all is well.
        peer: Box<Peer>,
    },
    /// No answer: connect, send, receive or understand failed, or time ran out.
    Network(String),
    /// Written to where it goes, or not.
    Local(Result<(), String>),
    /// Not sent: what takes it could make nothing of it, for this reason.
    Unfit(&'static str),
}

/// What an operator has to know of who has answered, without a secret in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// The endpoint, and the proxy on the way to it.
    pub url: String,
    /// What to look at where it does not let us in.
    pub credentials: &'static str,
    /// Where it would have us go.
    pub location: Option<String>,
    /// A proxy may have answered in its stead.
    pub may_be_proxy: bool,
}

/// What is to be done with the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is there.
    Delivered,
    /// Try again, not before this has passed if the peer said so.
    Retry(Option<Duration>),
    /// The operator has to mend something; keep everything and look again now and then.
    Hold,
    /// Too large: send it in pieces.
    Divide,
    /// Not in this format: send an older one, or reject.
    FallBack,
    /// It will never be taken: drop it, counted.
    Reject,
}

impl Answer {
    /// The verdict on the body.
    ///
    /// Remote write's specification would drop on 401, 403, 404, 405 and on redirects. Those
    /// say that address or credentials are wrong, not the data, and an expired token must
    /// not cost a weekend: the data is kept. A receiver of 1.0 that does not look at the
    /// content type finds nothing in a request of 2.0 and calls that a success; it gives
    /// itself away by not saying what it has written. Redirects are not followed, since data and
    /// credentials do not move to an address that nobody configured.
    pub fn verdict(&self) -> Verdict {
        match self {
            Answer::Local(Ok(())) => Verdict::Delivered,
            Answer::Local(Err(_)) | Answer::Network(_) => Verdict::Retry(None),
            Answer::Unfit(_) => Verdict::Reject,
            Answer::Http { status, retry_after, written, remedy, .. } => match status {
                200..=299 if matches!(written, Written::Missing(_)) => Verdict::FallBack,
                200..=299 => Verdict::Delivered,
                _ if matches!(written, Written::InPart(..)) => Verdict::Delivered,
                300..=399 | 401 | 403 | 404 | 405 => Verdict::Hold,
                400 if remedy.is_some() => Verdict::Hold,
                413 => Verdict::Divide,
                415 => Verdict::FallBack,
                408 | 429 => Verdict::Retry(*retry_after),
                400..=499 => Verdict::Reject,
                _ => Verdict::Retry(*retry_after),
            },
        }
    }

    /// Whether the peer has answered that it cannot take this now, which for one body may mean never.
    pub fn is_server_error(&self) -> bool {
        matches!(self, Answer::Http { status: 500..=599, .. })
    }

    /// How many of the `sent` samples have arrived with a request that was delivered or
    /// refused for good.
    pub fn written(&self, sent: u64) -> u64 {
        match self {
            Answer::Http { written: Written::Samples(written), .. } => sent.min(*written),
            Answer::Http { written: Written::AllBut(rejected, _), .. } if self.verdict() == Verdict::Delivered => {
                sent.saturating_sub(*rejected)
            }
            Answer::Http { written: Written::InPart(rejected, _), .. } => sent.saturating_sub(*rejected),
            _ if self.verdict() == Verdict::Delivered => sent,
            _ => 0,
        }
    }

    /// What a peer that has taken a request says all the same: why not all of it, or a warning. Empty
    /// where it says nothing.
    pub fn remark(&self) -> String {
        match self {
            Answer::Http { said, .. } if self.verdict() == Verdict::Delivered => said.suffix(),
            _ => String::new(),
        }
    }

    /// What went wrong, for logs and `/health`.
    pub fn describe(&self) -> String {
        match self {
            Answer::Local(Ok(())) => "written".to_owned(),
            Answer::Local(Err(error)) | Answer::Network(error) => error.clone(),
            Answer::Unfit(why) => (*why).to_owned(),
            Answer::Http { status, written, said, remedy, peer, .. } => {
                let place = if peer.url.is_empty() { String::new() } else { format!("{}: ", peer.url) };
                let what = match (status, written) {
                    (200..=299, Written::Missing(why)) => {
                        format!("answered {status} without saying what was written: {why}")
                    }
                    _ => answered(*status, said),
                };
                let remedy = remedy.map(str::to_owned).or_else(|| what_to_do(*status, peer));
                let remedy = match (status, remedy) {
                    (403..=405, remedy) if peer.may_be_proxy => {
                        let or_else = remedy.map(|remedy| format!("; else {remedy}")).unwrap_or_default();
                        Some(format!("{FROM_THE_PROXY}{or_else}"))
                    }
                    (_, remedy) => remedy,
                };
                let remedy = remedy.map(|remedy| format!("; {remedy}")).unwrap_or_default();
                format!("{place}{what}{remedy}")
            }
        }
    }
}

/// Proxies name themselves in what they pass on (`Via`, RFC 9110, section 7.6.3), not in their own refusals.
const FROM_THE_PROXY: &str = "this may be the proxy's own answer: it has to allow requests to this server";

/// What to do where somebody has to do something.
fn what_to_do(status: u16, peer: &Peer) -> Option<String> {
    match status {
        300..=399 => Some(match &peer.location {
            Some(location) => format!("redirects are not followed; set endpoint, if {location} is the right place"),
            None => "redirects are not followed; set endpoint to where it leads".to_owned(),
        }),
        401 | 403 => Some(peer.credentials.to_owned()).filter(|remedy| !remedy.is_empty()),
        // What Prometheus says to a POST where it has a page.
        404 | 405 => Some("check the path of endpoint".to_owned()),
        _ => None,
    }
}

/// What web servers say, in HTTP and with 400, of a client certificate that they miss or
/// refuse (nginx), and of plain HTTP on a port for TLS (nginx, Go, Apache).
const ABOUT_THE_CONNECTION: [(&str, &str); 5] = [
    ("No required SSL certificate was sent", "set tls.cert_file and tls.key_file"),
    ("The SSL certificate error", "it refuses tls.cert_file: set one of an authority that it trusts"),
    ("plain HTTP request was sent to HTTPS port", WRITE_HTTPS),
    ("HTTP request to an HTTPS server", WRITE_HTTPS),
    ("speaking plain HTTP to an SSL-enabled server port", WRITE_HTTPS),
];

const WRITE_HTTPS: &str = "its port speaks TLS; write https:// in endpoint";

/// What to do about a 400 that was not for the data that it answers, but about the connection;
/// none where it was, and for any other status.
pub fn about_the_connection(status: u16, page: &str) -> Option<&'static str> {
    let found = ABOUT_THE_CONNECTION.iter().find(|(words, _)| status == 400 && page.contains(words));
    found.map(|(_, remedy)| *remedy)
}

/// Reads `Retry-After` in both its forms, seconds and an HTTP date, relative to `now`.
/// What cannot be read counts as not said.
pub fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let wait = match value.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        // More than a number holds is more than we wait for.
        Err(_) if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => MAX_RETRY_AFTER,
        Err(_) => httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(status: u16) -> Verdict {
        answer(status, Written::Unsaid).verdict()
    }

    fn answer(status: u16, written: Written) -> Answer {
        Answer::Http {
            status,
            retry_after: Some(Duration::from_secs(7)),
            written,
            said: Said::Nothing,
            remedy: None,
            peer: Box::default(),
        }
    }

    #[test]
    fn what_was_written_is_what_the_answer_says() {
        assert_eq!(answer(200, Written::Missing("it is old")).verdict(), Verdict::FallBack);
        assert_eq!(answer(500, Written::Missing("it is old")).verdict(), Verdict::Retry(Some(Duration::from_secs(7))));
        for (status, written, of_ten) in [
            (200, Written::Unsaid, 10),
            (204, Written::Samples(4), 4),
            (204, Written::Samples(11), 10),
            (200, Written::AllBut(3, String::new()), 7),
            (200, Written::AllBut(11, String::new()), 0),
            (400, Written::AllBut(3, String::new()), 0),
            (400, Written::InPart(3, String::new()), 7),
            (400, Written::InPart(11, String::new()), 0),
            (400, Written::Samples(4), 4),
            (400, Written::Missing("it is old"), 0),
            (400, Written::Unsaid, 0),
        ] {
            assert_eq!(answer(status, written.clone()).written(10), of_ten, "{status} {written:?}");
        }
        assert_eq!(Answer::Local(Ok(())).written(10), 10);
    }

    #[test]
    fn each_status_has_its_verdict() {
        let after = Verdict::Retry(Some(Duration::from_secs(7)));
        for (statuses, expected) in [
            (&[200, 202, 204, 299][..], Verdict::Delivered),
            (&[301, 302, 307, 308, 401, 403, 404, 405], Verdict::Hold),
            (&[413], Verdict::Divide),
            (&[415], Verdict::FallBack),
            (&[408, 429, 500, 501, 502, 503, 504, 599, 999], after),
            (&[400, 402, 406, 409, 410, 422, 431, 499], Verdict::Reject),
        ] {
            for status in statuses {
                assert_eq!(verdict(*status), expected, "{status}");
            }
        }
        assert_eq!(Answer::Network("reset".into()).verdict(), Verdict::Retry(None));
        assert_eq!(Answer::Local(Err("disk full".into())).verdict(), Verdict::Retry(None));
    }

    #[test]
    fn a_refusal_of_a_part_has_delivered_the_rest() {
        assert_eq!(answer(400, Written::InPart(1, "too old".to_owned())).verdict(), Verdict::Delivered);
        assert_eq!(answer(422, Written::InPart(1, String::new())).verdict(), Verdict::Delivered);
        assert_eq!(answer(400, Written::AllBut(1, String::new())).verdict(), Verdict::Reject);
    }

    #[test]
    fn answers_of_5xx_alone_may_be_about_one_body() {
        for (status, is_one) in [(500, true), (503, true), (599, true), (600, false), (429, false), (408, false)] {
            assert_eq!(answer(status, Written::Unsaid).is_server_error(), is_one, "{status}");
        }
        assert!(!Answer::Network("reset".into()).is_server_error());
    }

    #[test]
    fn a_connection_that_is_refused_with_400_costs_no_data() {
        let verdict = |page: &str, is_hidden: bool| {
            let (said, remedy) = (Said::of(page.as_bytes(), is_hidden, 100), about_the_connection(400, page));
            let (written, peer) = (Written::Unsaid, Box::default());
            Answer::Http { status: 400, retry_after: None, written, said, remedy, peer }.verdict()
        };
        for excerpt in [
            "<html>  <head><title>400 No required SSL certificate was sent</title></head>",
            "<html>  <head><title>400 The SSL certificate error</title></head>",
            "<html>  <head><title>400 The plain HTTP request was sent to HTTPS port</title></head>",
            "Client sent an HTTP request to an HTTPS server.",
            "Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />",
        ] {
            assert_eq!([true, false].map(|is_hidden| verdict(excerpt, is_hidden)), [Verdict::Hold, Verdict::Hold]);
            assert_eq!(about_the_connection(403, excerpt), None);
        }
        assert_eq!(verdict("out of order sample", false), Verdict::Reject);
    }

    #[test]
    fn what_somebody_has_to_mend_is_told_with_place_cause_and_remedy() {
        let said = |status, excerpt: &str, location: Option<&str>| {
            let peer = Peer {
                url: "http://h/x".to_owned(),
                credentials: "check bearer_token",
                location: location.map(str::to_owned),
                may_be_proxy: false,
            };
            let (said, remedy) = (Said::of(excerpt.as_bytes(), false, 100), about_the_connection(status, excerpt));
            let (written, peer) = (Written::Unsaid, Box::new(peer));
            Answer::Http { status, retry_after: None, written, said, remedy, peer }.describe()
        };
        for (status, excerpt, location, line) in [
            (401, "", None, "answered 401 Unauthorized; check bearer_token"),
            (403, "403 Forbidden nginx", None, "answered 403 Forbidden: nginx; check bearer_token"),
            (404, "404 page not found", None, "answered 404 Not Found: 404 page not found; check the path of endpoint"),
            (405, "", None, "answered 405 Method Not Allowed; check the path of endpoint"),
            (
                301,
                "",
                Some("https://h/x"),
                "answered 301 Moved Permanently; redirects are not followed; set endpoint, if https://h/x is the right \
                 place",
            ),
            (302, "Found", None, "answered 302 Found; redirects are not followed; set endpoint to where it leads"),
            (
                400,
                "400 Bad Request No required SSL certificate was sent",
                None,
                "answered 400 Bad Request: No required SSL certificate was sent; set tls.cert_file and tls.key_file",
            ),
            (
                400,
                "Client sent an HTTP request to an HTTPS server.",
                None,
                "answered 400 Bad Request: Client sent an HTTP request to an HTTPS server; its port speaks TLS; write \
                 https:// in endpoint",
            ),
            (400, "out of order", None, "answered 400 Bad Request: out of order"),
            (500, "", None, "answered 500 Internal Server Error"),
            (999, "odd", None, "answered 999: odd"),
        ] {
            assert_eq!(said(status, excerpt, location), format!("http://h/x: {line}"));
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_bounded() {
        // RFC 9110, section 10.2.3.
        let now = httpdate::parse_http_date("Fri, 31 Dec 1999 23:59:00 GMT").unwrap();
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after(" 0 ", now), Some(Duration::ZERO));
        assert_eq!(retry_after("Fri, 31 Dec 1999 23:59:59 GMT", now), Some(Duration::from_secs(59)));
        assert_eq!(retry_after("Fri, 31 Dec 1999 23:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("99999999999", now), Some(MAX_RETRY_AFTER));
        assert_eq!(retry_after("99999999999999999999999", now), Some(MAX_RETRY_AFTER));
        for unreadable in ["", "-1", "soon", "1.5"] {
            assert_eq!(retry_after(unreadable, now), None, "{unreadable:?}");
        }
    }
}
