//! One request and its answer, over a connection that there is or that is made for it.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use flate2::read::MultiGzDecoder;
use ureq::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use ureq::http::{HeaderMap, HeaderName, HeaderValue, Method, request, response};
use ureq::{Agent, AsSendBody, Body, BodyReader};

use super::error::{Error, Progress};
use super::limits::BodyLimit;
use super::wire::Wire;

/// The rest of a body that nobody wants is read so far, so that its connection can be used
/// again; a longer one costs the connection.
const MAX_REST: u64 = 64 << 10;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request<'r> {
    /// Any.
    pub method: Method,
    /// Another path, with its query, than that of the client's URL; it begins with `/`.
    pub path: Option<&'r str>,
    /// Names and values, besides the operator's own and those that HTTP needs. An answer that
    /// comes packed (`Accept-Encoding: gzip`) is unpacked.
    pub headers: &'r [(&'r str, &'r str)],
    /// None: the request has no body, or an empty one where its method always has one.
    pub body: Option<&'r [u8]>,
    /// How much is taken of the answer's body.
    pub limit: BodyLimit,
    /// How long it may take in all, where that is less than the client's own limit.
    pub within: Option<Duration>,
}

impl Request<'_> {
    /// GET of what the client's URL names.
    pub fn get(limit: BodyLimit) -> Request<'static> {
        Request { method: Method::GET, path: None, headers: &[], body: None, limit, within: None }
    }
}

/// The head of an answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// As it came.
    pub status: u16,
    /// As they came; without those about the packing of a body that was unpacked.
    pub headers: HeaderMap,
    /// The body has come as a whole, and is kept as a whole.
    pub is_whole: bool,
}

/// Sends `request` with the headers `shown`; the answer's body replaces what is in `body`.
pub fn exchange(
    agent: &Agent,
    wire: &Wire,
    request: &Request<'_>,
    shown: &[(HeaderName, HeaderValue)],
    body: &mut Vec<u8>,
) -> Result<Response, Error> {
    body.clear();
    let mut sent = request::Request::builder().method(&request.method).uri(wire.uri(request.path)?);
    for (name, value) in request.headers {
        sent = sent.header(*name, *value);
    }
    for (name, value) in shown {
        sent = sent.header(name, value);
    }
    let begun = Instant::now();
    let progress = |has_head: bool| {
        let (total, limits) = wire.limits();
        Progress {
            elapsed: begun.elapsed(),
            has_head,
            total: request.within.map_or(total, |own| own.min(total)),
            limits,
        }
    };
    let needs_body = [Method::POST, Method::PUT, Method::PATCH].contains(&request.method);
    let answer = match request.body {
        Some(body) => run(agent, wire, sent.body(body), request.within),
        None if needs_body => run(agent, wire, sent.body(&[][..]), request.within),
        None => run(agent, wire, sent.body(()), request.within),
    };
    let answer = answer.map_err(|error| progress(false).failure(&error).on(&wire.name()))?;
    let (head, mut packed) = answer.into_parts();
    if let Some(why) = wire.refusal(head.status, &head.headers) {
        return Err(Error::Failed(why).on(&wire.name()));
    }
    let mut headers = head.headers;
    let has_body = request.method != Method::HEAD && ![204, 304].contains(&head.status.as_u16());
    let is_packed = has_body
        && packed.content_length() != Some(0)
        && headers.get(CONTENT_ENCODING).is_some_and(|coding| coding.as_bytes().eq_ignore_ascii_case(b"gzip"));
    if is_packed {
        headers.remove(CONTENT_ENCODING);
        headers.remove(CONTENT_LENGTH);
    }
    let is_whole = match request.limit {
        BodyLimit::Keep(limit) => read_beginning(reader(&mut packed, is_packed), limit, body).unwrap_or(false),
        BodyLimit::Refuse(limit) => {
            let length = if is_packed { None } else { packed.content_length() };
            let failure = match read_all(reader(&mut packed, is_packed), limit, length, body) {
                Ok(true) => None,
                Ok(false) => Some(Error::TooLong(format!("its answer has more than {limit} bytes"))),
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    Some(Error::Failed("what came back is no valid gzip".to_owned()))
                }
                Err(error) => Some(progress(true).failure(&error.into())),
            };
            if let Some(failure) = failure {
                body.clear();
                return Err(failure.on(&wire.name()));
            }
            true
        }
    };
    Ok(Response { status: head.status.as_u16(), headers, is_whole })
}

fn run<S: AsSendBody>(
    agent: &Agent,
    wire: &Wire,
    sent: Result<request::Request<S>, ureq::http::Error>,
    within: Option<Duration>,
) -> Result<response::Response<Body>, ureq::Error> {
    agent.run(wire.bounded(agent, sent?, within))
}

/// The bytes of a body, unpacked.
enum Unpacked<'b> {
    Plain(BodyReader<'b>),
    Gzip(MultiGzDecoder<BodyReader<'b>>),
}

fn reader(body: &mut Body, is_packed: bool) -> Unpacked<'_> {
    let plain = body.as_reader();
    if is_packed { Unpacked::Gzip(MultiGzDecoder::new(plain)) } else { Unpacked::Plain(plain) }
}

impl Read for Unpacked<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Unpacked::Plain(body) => body.read(into),
            Unpacked::Gzip(body) => body.read(into),
        }
    }
}

/// Whether the body, of `length` bytes where that is known, is within `limit`; if not, it is
/// not read to its end.
fn read_all(body: Unpacked<'_>, limit: usize, length: Option<u64>, into: &mut Vec<u8>) -> io::Result<bool> {
    if let Some(length) = length {
        match usize::try_from(length) {
            Ok(length) if length <= limit => into.reserve_exact(length),
            _ => return Ok(false),
        }
    }
    body.take((limit as u64).saturating_add(1)).read_to_end(into)?;
    Ok(into.len() <= limit)
}

/// Reads `limit` bytes, and a little more; whether that was all.
fn read_beginning(mut body: Unpacked<'_>, limit: usize, into: &mut Vec<u8>) -> io::Result<bool> {
    body.by_ref().take(limit as u64).read_to_end(into)?;
    Ok(io::copy(&mut body.take(MAX_REST), &mut io::sink())? == 0)
}
