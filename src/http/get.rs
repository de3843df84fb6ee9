//! One GET of a page, for `-health`: a container without a shell has nobody else to ask it.

use std::io::Read;
use std::net::IpAddr;
use std::time::Duration;

use ureq::http::Uri;

use super::page::printable;
use super::redact::{Redactor, basic, user_and_password};
use super::wire::Wire;
use crate::http::Url;
use crate::tls::ClientSettings;

/// What is read of a page at most, and quoted of it: the reasons stand at the front of `/health`.
const EXCERPT: usize = 512;

/// The status of the page at `url`, and its beginning as one line. The URL's user info is shown to
/// the server (basic authentication).
///
/// This machine's own certificate is not verified: whoever asks itself knows whom it asks,
/// and a certificate seldom holds the name `localhost`.
pub fn get(url: &Url, timeout: Duration) -> Result<(u16, String), String> {
    let settings = ClientSettings { insecure_skip_verify: is_loopback(url), ..ClientSettings::default() };
    let wire = Wire::new("health", "", url, url.is_https().then_some(&settings), None, timeout);
    let (bare, user_info) = url.split_user_info();
    let mut request = wire.agent(&wire.resolver()).get(bare.as_str());
    let mut redactor = Redactor::default();
    // ureq passes user info over.
    if let Some(info) = user_info {
        let (user, password) = user_and_password(info);
        let authorization = basic(&user, &password);
        redactor.hide(if password.is_empty() { &user } else { &password });
        authorization.split_whitespace().last().inspect(|word| redactor.hide(word));
        request = request.header("Authorization", authorization);
    }
    let mut response = request.call().map_err(|error| wire.failure(&error))?;
    let mut start = Vec::new();
    let length = (EXCERPT + redactor.longest()) as u64;
    // What goes wrong here does not matter any more: the status has been read.
    let _ = response.body_mut().as_reader().take(length).read_to_end(&mut start);
    let said = redactor.redact(&String::from_utf8_lossy(&start), EXCERPT);
    Ok((response.status().as_u16(), printable(said.as_bytes())))
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
