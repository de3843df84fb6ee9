//! Reads a request's head, up to the empty line that ends it.
//!
//! Strict where HTTP asks for it (RFC 9112): what is not well-formed is refused, never guessed at.

use crate::secret::Secret;

use super::answer::Response;
use super::body::{Announced, Framing};

/// What a head may hold, the request line included. Browsers with a purse of cookies stay
/// below half of it.
pub(super) const MAX_HEAD_BYTES: usize = 8 << 10;

/// Header lines in a head. Browsers send about 20.
const MAX_HEADERS: usize = 100;

/// What of a request an answer depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method as it was sent; methods are case-sensitive.
    pub method: String,
    /// The path without query and fragment, not decoded: no path of ours needs decoding.
    pub path: String,
    /// What stands behind the path's `?`; empty where there is none.
    pub query: String,
    /// All `Accept` fields, joined with commas; empty where there is none.
    pub accept: String,
    /// The `X-Metricsd-Instance` field: which metricsd scrapes us; empty where none does.
    pub scraped_by: String,
    /// The `Authorization` field.
    pub authorization: Option<Secret>,
    /// What is said of a body.
    pub(super) body: Announced,
}

/// What stands in the bytes so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// Not all of it yet.
    Partial,
    /// A request, where its head ends, and whether bytes may follow that (a body, another request).
    Complete(Request, usize, bool),
    /// Not a request that can be answered with more than this.
    Refused(Response),
}

/// Parses what has been received so far. `bytes` never holds more than [`MAX_HEAD_BYTES`].
pub(super) fn parse(bytes: &[u8]) -> Head {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => complete(&head, length, length < bytes.len()),
        Ok(httparse::Status::Partial) if bytes.len() >= MAX_HEAD_BYTES => too_large(),
        Ok(httparse::Status::Partial) => Head::Partial,
        Err(httparse::Error::TooManyHeaders) => too_large(),
        Err(httparse::Error::Version) => refused(505, "this server speaks HTTP/1.1 and HTTP/1.0"),
        Err(error) => refused(400, &format!("not an HTTP request: {error}")),
    }
}

fn complete(head: &httparse::Request<'_, '_>, length: usize, trailing: bool) -> Head {
    let mut accept = String::new();
    let (mut scraped_by, mut authorization) = (String::new(), None);
    let mut hosts = 0;
    let mut body = Announced::default();
    for header in head.headers.iter() {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("accept") {
            join(&mut accept, header.value);
        } else if is("x-metricsd-instance") {
            scraped_by = String::from_utf8_lossy(header.value).into_owned();
        } else if is("authorization") {
            let field = Secret::new(String::from_utf8_lossy(header.value));
            if authorization.replace(field).is_some() {
                return refused(400, "a request has at most one Authorization header");
            }
        } else if is("host") {
            hosts += 1;
        } else if is("content-length") {
            body.framing = body.framing.length(header.value);
        } else if is("transfer-encoding") {
            body.framing = body.framing.transfer_encoding(header.value);
        } else if is("content-type") {
            body.content_type = String::from_utf8_lossy(header.value).into_owned();
        } else if is("content-encoding") {
            join(&mut body.encoding, header.value);
        } else if is("expect") {
            body.expects_continue = header.value.eq_ignore_ascii_case(b"100-continue");
        } else if is("origin") {
            body.is_of_a_page = true;
        }
    }
    // RFC 9112, section 3.2. The name itself does not matter: there is one site here.
    if hosts > 1 || (hosts == 0 && head.version == Some(1)) {
        return refused(400, "an HTTP/1.1 request has exactly one Host header");
    }
    let request = Request {
        method: head.method.unwrap_or_default().to_owned(),
        path: path_of(head.path.unwrap_or_default()).to_owned(),
        query: query_of(head.path.unwrap_or_default()).to_owned(),
        accept,
        scraped_by,
        authorization,
        body,
    };
    let more = trailing || request.body.framing != Framing::None;
    Head::Complete(request, length, more)
}

/// Another field of that name.
fn join(all: &mut String, value: &[u8]) {
    if !all.is_empty() {
        all.push(',');
    }
    all.push_str(&String::from_utf8_lossy(value));
}

/// The path of a request target, which may also be a whole URL (RFC 9112, section 3.2.2).
fn path_of(target: &str) -> &str {
    let path = match target.split_once("://") {
        Some((scheme, rest)) if ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) => {
            rest.find(['/', '?']).map_or("/", |at| &rest[at..])
        }
        _ => target,
    };
    match path.find(['?', '#']) {
        Some(0) => "/",
        Some(at) => &path[..at],
        None => path,
    }
}

/// The query of a request target.
fn query_of(target: &str) -> &str {
    let before_fragment = target.split('#').next().unwrap_or_default();
    before_fragment.split_once('?').map_or("", |(_, query)| query)
}

fn too_large() -> Head {
    refused(431, "the request's head holds more than 8 KiB or 100 header lines")
}

fn refused(status: u16, why: &str) -> Head {
    Head::Refused(Response::text(status, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(bytes: &[u8]) -> (String, String, String, bool) {
        match parse(bytes) {
            Head::Complete(request, _, more) => (request.method, request.path, request.accept, more),
            other => panic!("{other:?}"),
        }
    }

    fn status(bytes: &[u8]) -> u16 {
        match parse(bytes) {
            Head::Refused(response) => response.status,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn method_path_and_accept_are_taken() {
        assert_eq!(
            request(b"GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\nAccept: text/plain\r\naccept: */*;q=0.1\r\n\r\n"),
            ("GET".into(), "/metrics".into(), "text/plain,*/*;q=0.1".into(), false)
        );
        assert_eq!(request(b"HEAD / HTTP/1.0\r\n\r\n"), ("HEAD".into(), "/".into(), "".into(), false));
        assert_eq!(request(b"GET /live HTTP/1.0\n\n").1, "/live");
        assert_eq!(request(b"\r\n\r\nGET /live HTTP/1.0\r\n\r\n").1, "/live");
    }

    #[test]
    fn a_body_or_a_second_request_is_noticed() {
        assert!(request(b"POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n").3);
        assert!(request(b"POST /health HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").3);
        assert!(request(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\nGET").3);
    }

    #[test]
    fn a_target_may_be_a_whole_url() {
        for (target, path) in [
            ("http://host:8080/health", "/health"),
            ("HTTP://host/health?x", "/health"),
            ("https://host:8443/live", "/live"),
            ("http://host", "/"),
            ("http://host?x=/y", "/"),
            ("/a#b", "/a"),
            ("*", "*"),
            ("/x?u=http://y/z", "/x"),
            ("//health", "//health"),
        ] {
            assert_eq!(path_of(target), path, "{target}");
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        assert_eq!(status(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), 400);
        assert_eq!(status(b"GET /health HTTP/1.1\r\n\r\n"), 400);
        assert_eq!(status(b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400);
        assert_eq!(status(b"GET /health HTTP/1.1\r\nHost : a\r\n\r\n"), 400);
        assert_eq!(status(b"GET / HTTP/1.0\r\nAuthorization: a\r\nAuthorization: a\r\n\r\n"), 400);
        assert_eq!(status(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505);
    }

    #[test]
    fn a_head_has_a_cap_of_bytes_and_of_lines() {
        let mut long = b"GET /".to_vec();
        long.resize(MAX_HEAD_BYTES - 1, b'a');
        assert_eq!(parse(&long), Head::Partial);
        long.push(b'a');
        assert_eq!(status(&long), 431);
        let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(MAX_HEADERS));
        assert_eq!(status(many.as_bytes()), 431);
    }

    #[test]
    fn every_cut_of_a_head_is_partial() {
        let head = b"GET /metrics HTTP/1.1\r\nHost: a\r\nAccept: text/plain\r\n\r\n";
        for end in 0..head.len() {
            assert_eq!(parse(&head[..end]), Head::Partial, "cut at {end}");
        }
    }
}
