//! Plain HTTP by way of a proxy: a request names its server in its first line (RFC 9112, section
//! 3.2.2), and the proxy's own answers stand where the server's would.
//!
//! A CONNECT to any port but 443 is what nearly every proxy refuses.

use ureq::http::{HeaderMap, StatusCode};
use ureq::unversioned::transport::{NextTimeout, Transport};

/// How requests on one connection are addressed.
pub struct Forward {
    /// `http://host:port` of the server.
    server: String,
    /// What the proxy wants to see with each request.
    authorization: Option<String>,
    /// Whether what is sent next begins a request.
    is_start: bool,
}

impl Forward {
    /// To the server `authority`.
    pub fn new(authority: &str, authorization: Option<String>) -> Forward {
        Forward { server: format!("http://{authority}"), authorization, is_start: true }
    }

    /// An answer is waited for: what is sent after it is another request.
    pub fn awaits(&mut self) {
        self.is_start = true;
    }

    /// Sends what ureq has written; of a request's head, which comes in one piece as far as the
    /// first line goes, in its new form.
    pub fn transmit(
        &mut self,
        way: &mut dyn Transport,
        amount: usize,
        timeout: NextTimeout,
    ) -> Result<(), ureq::Error> {
        if !std::mem::take(&mut self.is_start) {
            return way.transmit_output(amount, timeout);
        }
        let head = self.addressed(&way.buffers().output()[..amount]);
        let mut rest = &head[..];
        while !rest.is_empty() {
            let output = way.buffers().output();
            let (piece, after) = rest.split_at(rest.len().min(output.len()));
            output[..piece.len()].copy_from_slice(piece);
            way.transmit_output(piece.len(), timeout)?;
            rest = after;
        }
        Ok(())
    }

    /// `POST /in HTTP/1.1` as `POST http://host/in HTTP/1.1`, and what the proxy wants to see.
    fn addressed(&self, head: &[u8]) -> Vec<u8> {
        let Some(target) = head.iter().position(|byte| *byte == b' ').map(|at| at + 1) else { return head.to_vec() };
        let headers = head.windows(2).position(|end| end == b"\r\n").map_or(head.len(), |at| at + 2);
        let mut new = Vec::with_capacity(head.len() + 256);
        new.extend_from_slice(&head[..target]);
        new.extend_from_slice(self.server.as_bytes());
        new.extend_from_slice(&head[target..headers]);
        if let Some(authorization) = &self.authorization {
            new.extend_from_slice(format!("Proxy-Authorization: {authorization}\r\n").as_bytes());
        }
        new.extend_from_slice(&head[headers..]);
        new
    }
}

/// Whether a proxy answered in the server's stead. Its refusal is not of the data, which a
/// server's might be.
pub fn is_of_the_proxy(status: StatusCode, headers: &HeaderMap) -> bool {
    let says_so = |name: &str, mark: &str| {
        headers.get_all(name).iter().any(|value| String::from_utf8_lossy(value.as_bytes()).contains(mark))
    };
    let is_refusal = status.is_client_error() || status.is_server_error();
    // Squid's own header, and that of RFC 9209.
    status == StatusCode::PROXY_AUTHENTICATION_REQUIRED
        || is_refusal && (says_so("x-squid-error", "") || says_so("proxy-status", "error="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_names_the_server_and_nothing_else_changes() {
        let head = b"POST /in?x=a%20b HTTP/1.1\r\nhost: h:9090\r\n\r\n{\"a b\": 1}";
        for (authorization, more) in
            [(None, ""), (Some("Basic eA==".to_owned()), "Proxy-Authorization: Basic eA==\r\n")]
        {
            let expected =
                format!("POST http://h:9090/in?x=a%20b HTTP/1.1\r\n{more}host: h:9090\r\n\r\n{{\"a b\": 1}}");
            let forward = Forward::new("h:9090", authorization);
            assert_eq!(String::from_utf8(forward.addressed(head)).unwrap(), expected);
        }
    }

    #[test]
    fn a_proxys_own_answers_are_told_from_the_servers() {
        for (status, headers, is_own) in [
            (407, &[][..], true),
            (400, &[("x-squid-error", "ERR_INVALID_REQ 0")], true),
            (503, &[("x-squid-error", "ERR_CONNECT_FAIL 111")], true),
            (403, &[("proxy-status", "p.example; error=http_request_denied")], true),
            (400, &[("proxy-status", "p.example; received-status=400")], false),
            (400, &[("via", "1.1 p.example (squid)")], false),
            (200, &[("x-squid-error", "x")], false),
        ] {
            let headers: HeaderMap =
                headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(is_of_the_proxy(status, &headers), is_own, "{status} {headers:?}");
        }
    }
}
