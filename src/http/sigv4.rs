//! Amazon's signature of a request, version 4, in a header.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

use ring::digest::{SHA256, digest};
use ring::hmac;

use super::url::{Url, percent_encoded};
use crate::order;

/// What requests are signed with.
pub struct Signer<'a> {
    /// `eu-central-1`.
    pub region: &'a str,
    /// `aps` for managed Prometheus.
    pub service: &'a str,
    /// The key's name.
    pub access_key_id: &'a str,
    /// The key.
    pub secret_access_key: &'a str,
    /// Of temporary keys.
    pub session_token: Option<&'a str>,
}

impl Signer<'_> {
    /// The headers that make `method` to `url` with `body` a signed request at `wall_ms`.
    pub fn sign(&self, method: &str, url: &Url, body: &[u8], wall_ms: i64) -> Vec<(&'static str, String)> {
        let now = UNIX_EPOCH + Duration::from_millis(wall_ms.max(0) as u64);
        let time = humantime::format_rfc3339_seconds(now).to_string().replace(['-', ':'], "");
        let mut headers = vec![("host", host(url)), ("x-amz-date", time.clone())];
        headers.extend(self.session_token.map(|token| ("x-amz-security-token", token.to_owned())));
        let authorization = self.authorization(method, url, &headers, body, &time);
        headers.remove(0);
        headers.push(("authorization", authorization));
        headers
    }

    /// `headers` in the order of their names; `time` as in `x-amz-date`.
    fn authorization(&self, method: &str, url: &Url, headers: &[(&str, String)], body: &[u8], time: &str) -> String {
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let mut canonical = format!("{method}\n{}\n{}\n", canonical_path(url), canonical_query(url));
        for (name, value) in headers {
            // Writing to a String does not fail.
            let _ = writeln!(canonical, "{name}:{}", value.trim());
        }
        let _ = write!(canonical, "\n{names}\n{}", hex(digest(&SHA256, body).as_ref()));

        let date = &time[..8];
        let scope = format!("{date}/{}/{}/aws4_request", self.region, self.service);
        let hashed = hex(digest(&SHA256, canonical.as_bytes()).as_ref());
        let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashed}");
        let mut key = format!("AWS4{}", self.secret_access_key).into_bytes();
        for part in [date, self.region, self.service, "aws4_request", &to_sign] {
            key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), part.as_bytes()).as_ref().to_vec();
        }
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={}",
            self.access_key_id,
            hex(&key)
        )
    }
}

/// `Host` as it is sent: without the scheme's own port.
fn host(url: &Url) -> String {
    let default = if url.is_https() { ":443" } else { ":80" };
    url.authority().strip_suffix(default).unwrap_or(url.authority()).to_owned()
}

/// Each segment escaped once more than it is in the URL: so all services but S3 want it.
fn canonical_path(url: &Url) -> String {
    let (_, rest) = url.as_str().split_once("://").unwrap_or_default();
    let path = rest.split('?').next().unwrap_or_default().find('/').map_or("", |at| &rest[at..]);
    let path = path.split('?').next().unwrap_or_default();
    let segments: Vec<String> = path.split('/').map(percent_encoded).collect();
    if path.is_empty() { "/".to_owned() } else { segments.join("/") }
}

/// The parameters by name and value, each as escaped as it is in the URL.
fn canonical_query(url: &Url) -> String {
    let parameters = url.query().split('&').filter(|parameter| !parameter.is_empty());
    let mut parameters: Vec<(&str, &str)> = parameters.map(|p| p.split_once('=').unwrap_or((p, ""))).collect();
    order::sort(&mut parameters);
    let parameters: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
    parameters.join("&")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNER: Signer<'static> = Signer {
        region: "us-east-1",
        service: "service",
        access_key_id: "AKIDEXAMPLE",
        secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        session_token: None,
    };

    /// 2015-08-30T12:36:00Z, the time of all of Amazon's examples.
    const TIME: i64 = 1_440_938_160_000;

    fn signature(authorization: &str) -> &str {
        authorization.rsplit_once("Signature=").unwrap().1
    }

    #[test]
    fn signatures_are_those_of_amazons_test_suite() {
        // aws-sig-v4-test-suite: get-vanilla, post-vanilla, get-vanilla-query-order-key-case.
        for (method, url, expected) in [
            ("GET", "/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            ("POST", "/", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
            (
                "GET",
                "/?Param2=value2&Param1=value1",
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
        ] {
            let url = Url::new(format!("https://example.amazonaws.com{url}"));
            let headers = SIGNER.sign(method, &url, b"", TIME);
            assert_eq!(headers[0], ("x-amz-date", "20150830T123600Z".to_owned()));
            let (name, authorization) = &headers[1];
            assert_eq!(*name, "authorization");
            assert_eq!(signature(authorization), expected, "{method} {url}");
            assert!(authorization.starts_with(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders=host;x-amz-date, Signature="
            ));
        }
    }

    #[test]
    fn a_body_and_more_headers_are_signed_as_amazon_does_it() {
        let headers = |content_type: &str, host: &str| {
            let content_type = ("content-type", content_type.to_owned());
            [content_type, ("host", host.to_owned()), ("x-amz-date", "20150830T123600Z".to_owned())]
        };
        // aws-sig-v4-test-suite: post-x-www-form-urlencoded.
        let form = headers("application/x-www-form-urlencoded", "example.amazonaws.com");
        let url = Url::new("https://example.amazonaws.com/");
        let signed = SIGNER.authorization("POST", &url, &form, b"Param1=value1", "20150830T123600Z");
        assert_eq!(signature(&signed), "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a");
        // The example of Amazon's documentation.
        let iam = Signer { service: "iam", ..SIGNER };
        let headers = headers("application/x-www-form-urlencoded; charset=utf-8", "iam.amazonaws.com");
        let url = Url::new("https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08");
        let signed = iam.authorization("GET", &url, &headers, b"", "20150830T123600Z");
        assert_eq!(signature(&signed), "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
    }

    #[test]
    fn paths_are_escaped_twice_and_hosts_are_as_sent() {
        let url = Url::new("https://h:443/workspaces/a%20b/x?q=/#");
        assert_eq!((canonical_path(&url), host(&url)), ("/workspaces/a%2520b/x".to_owned(), "h".to_owned()));
        let url = Url::new("http://h:443");
        assert_eq!((canonical_path(&url), host(&url)), ("/".to_owned(), "h:443".to_owned()));
        let token = Signer { session_token: Some("tok"), ..SIGNER };
        let headers = token.sign("POST", &url, b"", TIME);
        assert_eq!(headers[1], ("x-amz-security-token", "tok".to_owned()));
        assert!(headers[2].1.contains("SignedHeaders=host;x-amz-date;x-amz-security-token,"));
    }
}
