//! A response, and tiny_http's part: it writes it as HTTP/1.1.

use std::io::{self, Write};
use std::time::Duration;

use tiny_http::{HTTPVersion, Header, StatusCode};

use super::page;

/// Lines of text.
pub(super) const TEXT: &str = "text/plain; charset=utf-8";

/// When a client that could not be served is to try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What is sent back; for `HEAD` without its body.
#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The `Content-Type` field.
    pub content_type: &'static str,
    /// The `Allow` field, where the method was the wrong one.
    pub allow: Option<&'static str>,
    /// The `WWW-Authenticate` fields, where credentials are missing.
    pub challenges: Vec<&'static str>,
    /// The `Retry-After` field: when it is worth to try again.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// A page of this kind.
    pub fn page(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Response {
        Response { status, content_type, allow: None, challenges: Vec::new(), retry_after: None, body: body.into() }
    }

    /// What was asked for cannot be done for now; the client may try again.
    pub fn unavailable(why: &str) -> Response {
        Response { retry_after: Some(RETRY_AFTER), ..Response::text(503, why) }
    }

    /// One line of text.
    pub fn text(status: u16, line: &str) -> Response {
        Response::page(status, TEXT, format!("{line}\n"))
    }
}

/// The response as it goes over the wire; `HEAD` gets the same one without its body.
pub(super) fn bytes(response: &Response, head_only: bool) -> Vec<u8> {
    let body = &*response.body;
    let retry_after = response.retry_after.map(|after| after.as_secs().to_string());
    let mut fields = vec![
        ("Server", "metricsd"),
        ("Content-Type", response.content_type),
        // Every page is about this very moment.
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Security-Policy", page::POLICY),
    ];
    fields.extend(response.allow.map(|allow| ("Allow", allow)));
    fields.extend(retry_after.as_deref().map(|after| ("Retry-After", after)));
    fields.extend(response.challenges.iter().map(|challenge| ("WWW-Authenticate", *challenge)));
    let headers = fields.into_iter().filter_map(|(name, value)| Header::from_bytes(name, value).ok()).collect();
    let mut out = Closing { bytes: Vec::with_capacity(512 + body.len()), said: false };
    let printed = tiny_http::Response::new(StatusCode(response.status), headers, body, Some(body.len()), None)
        // A length rather than chunks: simpler for every client, and the body is all here.
        .with_chunked_threshold(usize::MAX)
        .raw_print(&mut out, HTTPVersion(1, 1), &[], head_only, None);
    // Writing to memory does not fail; should tiny_http find another reason, the client
    // sees a connection that closes without an answer.
    if let Err(error) = printed {
        log::error!("cannot write an HTTP response: {error}; the client gets none");
        return Vec::new();
    }
    out.bytes
}

/// Adds `Connection: close` after the status line: tiny_http takes no such field from its
/// users, and a client that is not told would try the connection again.
struct Closing {
    bytes: Vec<u8>,
    said: bool,
}

impl Write for Closing {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        match part.iter().position(|b| *b == b'\n') {
            Some(at) if !self.said => {
                self.bytes.extend_from_slice(&part[..=at]);
                self.bytes.extend_from_slice(b"Connection: close\r\n");
                self.bytes.extend_from_slice(&part[at + 1..]);
                self.said = true;
            }
            _ => self.bytes.extend_from_slice(part),
        }
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head_and_body(bytes: Vec<u8>) -> (Vec<String>, String) {
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split("\r\n").map(str::to_owned).collect(), body.to_owned())
    }

    #[test]
    fn head_and_get_differ_in_the_body_alone() {
        let response = Response::text(405, "no");
        let response = Response { allow: Some("GET, HEAD"), ..response };
        let (head, body) = head_and_body(bytes(&response, false));
        assert_eq!(head[0], "HTTP/1.1 405 Method Not Allowed");
        for field in [
            "Connection: close",
            "Server: metricsd",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Length: 3",
            "Allow: GET, HEAD",
        ] {
            assert_eq!(head.iter().filter(|line| *line == field).count(), 1, "{field}: {head:?}");
        }
        assert!(head.iter().any(|line| line.starts_with("Date: ")), "{head:?}");
        assert_eq!(body, "no\n");
        let (head_only, none) = head_and_body(bytes(&response, true));
        let undated = |head: Vec<String>| head.into_iter().filter(|line| !line.starts_with("Date")).collect::<Vec<_>>();
        assert_eq!(undated(head_only), undated(head));
        assert_eq!(none, "");
    }

    #[test]
    fn a_large_body_has_a_length_and_is_whole() {
        let response = Response { body: "x\n".repeat(100_000).into(), ..Response::text(200, "") };
        let (head, body) = head_and_body(bytes(&response, false));
        assert!(head.contains(&"Content-Length: 200000".to_owned()), "{head:?}");
        assert!(!head.iter().any(|line| line.starts_with("Transfer-Encoding")), "{head:?}");
        assert_eq!(body.as_bytes(), response.body);
    }
}
