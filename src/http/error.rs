//! What goes wrong with a request, in words for people.
//!
//! The words are ours: nothing that a server sent is in them, and URLs are shown without what
//! may be a secret.

use std::error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::time::Duration;

use ureq::Timeout;

use super::limits::TimeLimits;
use crate::tls;

/// Of a library's own words a line shows so much.
const MAX_WORDS: usize = 120;

/// Why there is no answer. Each has a line for people, which names the way that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// A time limit has ended.
    TimedOut(String),
    /// The answer's body is longer than its caller allows.
    TooLong(String),
    /// Anything else, such as a connection that was refused or an answer that is no HTTP.
    Failed(String),
}

impl Error {
    /// The same for the way `name`.
    pub(super) fn on(self, name: &str) -> Error {
        self.map(|why| format!("{name}: {why}"))
    }

    /// The same with a word in front.
    pub(super) fn after(self, word: &str) -> Error {
        self.map(|why| format!("{word} {why}"))
    }

    fn map(self, change: impl FnOnce(String) -> String) -> Error {
        match self {
            Error::TimedOut(why) => Error::TimedOut(change(why)),
            Error::TooLong(why) => Error::TooLong(change(why)),
            Error::Failed(why) => Error::Failed(change(why)),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::TimedOut(why) | Error::TooLong(why) | Error::Failed(why) => f.write_str(why),
        }
    }
}

impl error::Error for Error {}

/// How far a request had come, and how long it may take.
pub(super) struct Progress<'a> {
    pub elapsed: Duration,
    pub has_head: bool,
    pub total: Duration,
    pub limits: &'a TimeLimits,
}

impl Progress<'_> {
    /// What went wrong: how far it had come, and which limit ended the wait.
    pub fn failure(&self, error: &ureq::Error) -> Error {
        match error {
            ureq::Error::Timeout(reason) => Error::TimedOut(self.too_late(*reason)),
            ureq::Error::Io(error) => self.io_failure(error),
            ureq::Error::Protocol(error) => {
                Error::Failed(format!("what came back is no HTTP answer: {}", short(&error.to_string())))
            }
            ureq::Error::LargeResponseHeader(_, most) => {
                Error::Failed(format!("what came back is no HTTP answer: its head has more than {most} bytes"))
            }
            ureq::Error::Other(error) if error.is::<Late>() => Error::TimedOut(error.to_string()),
            ureq::Error::Other(error) => Error::Failed(error.to_string()),
            ureq::Error::HostNotFound => Error::Failed("the name has no address".to_owned()),
            ureq::Error::ConnectionFailed => Error::Failed("no connection came about".to_owned()),
            ureq::Error::TlsRequired => Error::Failed("there is no TLS for an https:// URL".to_owned()),
            ureq::Error::BadUri(_) => Error::Failed("the URL cannot be requested".to_owned()),
            ureq::Error::Http(_) => {
                Error::Failed("the request has a header or a path that HTTP cannot hold".to_owned())
            }
            ureq::Error::BodyExceedsLimit(most) => Error::TooLong(format!("its answer has more than {most} bytes")),
            ureq::Error::BodyStalled => Error::Failed("the answer ended before it was complete".to_owned()),
            // Of what is not asked of it: redirects, its own proxies and TLS, statuses as errors.
            other => Error::Failed(short(&other.to_string())),
        }
    }

    fn io_failure(&self, error: &io::Error) -> Error {
        if let Some(error) = tls_error(error) {
            return Error::Failed(tls::in_words(error, self.limits.has_fields()));
        }
        // What the connection under TLS said, or what ureq did while a body was read.
        if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>()) {
            return self.failure(error);
        }
        // ureq's own end of file, where the kernel's errors have a number.
        if error.kind() == ErrorKind::UnexpectedEof && error.raw_os_error().is_none() {
            let when = if self.has_head { "the answer was complete" } else { "an answer came" };
            return Error::Failed(format!("the connection was closed before {when}"));
        }
        Error::Failed(error.to_string())
    }

    fn too_late(&self, reason: Timeout) -> String {
        let TimeLimits { connect, head, body, setting, .. } = self.limits;
        let (what, limit) = match reason {
            Timeout::Resolve => ("the name server did not answer", connect),
            Timeout::Connect => ("no connection came about", connect),
            Timeout::SendRequest | Timeout::SendBody => ("the request was not taken", &None),
            Timeout::RecvBody => ("no complete answer", body),
            Timeout::RecvResponse => ("no complete answer", head),
            _ => ("no complete answer", &None),
        };
        match limit {
            Some(limit) if self.elapsed < self.total => format!("{what} within {limit:?}"),
            _ if setting.is_empty() => format!("{what} within {:?}", self.total),
            _ => format!("{what} within {:?} ({setting})", self.total),
        }
    }
}

/// The beginning of a library's words, of which none are of a server's.
fn short(words: &str) -> String {
    let words = words.strip_prefix("http parse fail: ").unwrap_or(words);
    words.lines().next().unwrap_or_default().chars().take(MAX_WORDS).collect()
}

/// A wait that ended without what was waited for, in words of its own.
#[derive(Debug)]
struct Late(String);

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl error::Error for Late {}

/// An error of ours, on its way through ureq.
pub(super) fn other(why: impl Into<Box<dyn error::Error + Send + Sync>>) -> ureq::Error {
    ureq::Error::Other(why.into())
}

/// The same, where a time limit has ended.
pub(super) fn late(why: String) -> ureq::Error {
    other(Late(why))
}

/// The cause where it is one of TLS.
pub(super) fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_said_for_people() {
        let limits = TimeLimits {
            connect: Some(Duration::from_secs(2)),
            head: Some(Duration::from_secs(5)),
            setting: "a.timeout",
            ..TimeLimits::default()
        };
        let total = Duration::from_secs(30);
        let after =
            |seconds| Progress { elapsed: Duration::from_secs(seconds), has_head: false, total, limits: &limits };
        for (reason, seconds, why) in [
            (Timeout::Resolve, 2, "the name server did not answer within 2s"),
            (Timeout::Resolve, 30, "the name server did not answer within 30s (a.timeout)"),
            (Timeout::Connect, 4, "no connection came about within 2s"),
            (Timeout::SendBody, 30, "the request was not taken within 30s (a.timeout)"),
            (Timeout::RecvResponse, 9, "no complete answer within 5s"),
            (Timeout::RecvBody, 30, "no complete answer within 30s (a.timeout)"),
            (Timeout::Global, 30, "no complete answer within 30s (a.timeout)"),
        ] {
            assert_eq!(after(seconds).failure(&ureq::Error::Timeout(reason)), Error::TimedOut(why.to_owned()));
        }
        let refused = ureq::Error::Io(io::Error::from_raw_os_error(nix::errno::Errno::ECONNREFUSED as i32));
        assert_eq!(after(1).failure(&refused), Error::Failed("Connection refused (os error 111)".to_owned()));
        let within = ureq::Error::Io(io::Error::other(late("no answer in time".to_owned())));
        assert_eq!(after(1).failure(&within), Error::TimedOut("no answer in time".to_owned()));
    }

    #[test]
    fn whatever_ureq_says_is_a_short_line_in_words() {
        let http = ureq::http::Request::builder().header("bad name", "x").body(()).unwrap_err();
        let errors = [
            ureq::Error::StatusCode(500),
            ureq::Error::Http(http),
            ureq::Error::BadUri("Uri { odd }".repeat(100)),
            ureq::Error::HostNotFound,
            ureq::Error::RedirectFailed,
            ureq::Error::InvalidProxyUrl,
            ureq::Error::ConnectionFailed,
            ureq::Error::BodyExceedsLimit(10),
            ureq::Error::TooManyRedirects,
            ureq::Error::Tls("no certificate"),
            ureq::Error::RequireHttpsOnly("http://h/".to_owned()),
            ureq::Error::LargeResponseHeader(70_000, 32_768),
            ureq::Error::ConnectProxyFailed("x\ny".repeat(1000)),
            ureq::Error::TlsRequired,
            ureq::Error::BodyStalled,
            ureq::Error::Io(io::Error::from(ErrorKind::UnexpectedEof)),
            ureq::Error::Io(rustls_failure()),
        ];
        let limits = TimeLimits::default();
        let progress = Progress { elapsed: Duration::ZERO, has_head: false, total: Duration::ZERO, limits: &limits };
        for error in errors {
            let said = progress.failure(&error).to_string();
            assert!(said.len() < 200 && !said.contains(['{', '}', '\n', '_']), "{error:?}: {said}");
            let has_camel = |pair: &[u8]| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase();
            assert!(!said.as_bytes().windows(2).any(has_camel), "{error:?}: {said}");
        }
    }

    fn rustls_failure() -> io::Error {
        let why = rustls::Error::PeerMisbehaved(rustls::PeerMisbehaved::SelectedUnofferedCipherSuite);
        io::Error::new(ErrorKind::InvalidData, why)
    }
}
