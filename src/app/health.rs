//! One GET of a page, for `-health`: a container without a shell has nobody else to ask it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::http::{Access, BodyLimit, Client, HttpSettings, Request, Said, TimeLimits, Url};
use crate::tls::ClientSettings;

/// What is quoted of a page: the reasons stand at the front of `/health`.
const EXCERPT: usize = 512;

/// Whether the page at `url` is there with a good status; if not, why, in one line. The URL's
/// user info is shown to the server (basic authentication).
///
/// This machine's own certificate is not verified: whoever asks itself knows whom it asks,
/// and a certificate seldom holds the name `localhost`.
pub fn ask(url: &Url, timeout: Duration) -> Result<(), String> {
    let tls = ClientSettings { insecure_skip_verify: is_loopback(url), ..ClientSettings::default() };
    let settings =
        HttpSettings { tls: url.is_https().then(|| Box::new(tls)), timeout, ..HttpSettings::new(url.clone()) };
    let access = Arc::new(Access::new("health", &settings, &TimeLimits::default()));
    let mut body = Vec::new();
    let answer = Client::new(Arc::clone(&access)).send(&Request::get(BodyLimit::Keep(EXCERPT)), &mut body);
    match answer.map_err(|error| error.to_string())?.status {
        200..=299 => Ok(()),
        status => {
            let said = Said::of(&body, access.sends_credentials(), EXCERPT);
            Err(format!("{url} answers {status}{}", said.suffix()))
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host();
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
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
