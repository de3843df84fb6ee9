//! One GET of a page, for `-health`: a container without a shell has nobody else to ask it.

use std::io::Read;
use std::net::IpAddr;
use std::time::Duration;

use ureq::http::Uri;

use super::page::printable;
use super::wire::Wire;
use crate::lane::Url;
use crate::tls::ClientSettings;

/// What is read of a page at most, and quoted of it: the reasons stand at the front of `/health`.
const EXCERPT: u64 = 512;

/// The status of the page at `url`, and its beginning as one line.
///
/// This machine's own certificate is not verified: whoever asks itself knows whom it asks,
/// and a certificate seldom holds the name `localhost`.
pub fn get(url: &Url, timeout: Duration) -> Result<(u16, String), String> {
    let settings = ClientSettings { insecure_skip_verify: is_loopback(url), ..ClientSettings::default() };
    let wire = Wire::new("health", "", url, url.is_https().then_some(&settings), None, timeout);
    let answer = wire.agent(&wire.resolver()).get(url.as_str()).call();
    let mut response = answer.map_err(|error| wire.failure(&error))?;
    let mut start = Vec::new();
    // What goes wrong here does not matter any more: the status has been read.
    let _ = response.body_mut().as_reader().take(EXCERPT).read_to_end(&mut start);
    Ok((response.status().as_u16(), printable(&start)))
}

fn is_loopback(url: &Url) -> bool {
    let uri = Uri::try_from(url.as_str()).ok();
    let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_goes_unverified() {
        for own in ["https://localhost/", "https://u:p@LOCALHOST:8080/x", "https://127.1.2.3:80/", "https://[::1]:80/"]
        {
            assert!(is_loopback(&own.into()), "{own}");
        }
        for other in ["https://host/", "https://localhost.example/", "https://10.0.0.1/", "https://[::2]/", "bad url"] {
            assert!(!is_loopback(&other.into()), "{other}");
        }
    }
}
