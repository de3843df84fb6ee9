//! One page, asked for: redirects, further attempts, and words for what goes wrong.

use std::sync::Arc;
use std::time::Duration;

use super::settings::{PageFormat, Settings};
use crate::host::monotonic;
use crate::http::{
    Access, BodyLimit, Client, Credentials, Error, HttpSettings, MAX_CONNECTION_AGE, Request, Response, TimeLimits,
    Url, checked_url,
};
use crate::telemetry::ScrapeFailure;

/// Redirects that are followed for one page.
const MAX_REDIRECTS: usize = 10;

/// Between two attempts; twice as long before each further one.
const PAUSE: Duration = Duration::from_millis(100);

/// A connection idles a little longer than until the next scrape.
const SPARE_IDLE: Duration = Duration::from_secs(10);

/// Connections idle so long in any case.
const MIN_IDLE: Duration = Duration::from_secs(30);

/// Who asks for a target's page, over a connection that is kept.
pub struct Fetcher {
    settings: Arc<Settings>,
    client: Client,
    own: Arc<str>,
    /// Where redirects led to the last time, when that was another server.
    elsewhere: Option<Box<(Url, Client)>>,
}

/// Why there is no page.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    /// Of which kind.
    pub kind: ScrapeFailure,
    /// For people.
    pub why: String,
}

impl Failure {
    /// Of this kind, for this reason.
    pub fn new(kind: ScrapeFailure, why: impl Into<String>) -> Failure {
        Failure { kind, why: why.into() }
    }

    /// Of a page that is of no use.
    pub fn page(why: impl Into<String>) -> Failure {
        Failure::new(ScrapeFailure::Page, why)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let kind = match error {
            Error::TimedOut(_) => ScrapeFailure::Timeout,
            Error::TooLong(_) => ScrapeFailure::Page,
            Error::Failed(_) => ScrapeFailure::Connection,
        };
        Failure::new(kind, error.to_string())
    }
}

impl Fetcher {
    /// Connects to nothing yet. `own` says to a metricsd who is asking.
    pub fn new(settings: Arc<Settings>, own: &Arc<str>) -> Fetcher {
        let client = client(&settings, &settings.http);
        Fetcher { settings, client, own: Arc::clone(own), elsewhere: None }
    }

    /// Asks for the page, which replaces what is in `body`; gives its `Content-Type`.
    pub fn fetch(&mut self, body: &mut Vec<u8>) -> Result<String, Failure> {
        let until = monotonic() + self.settings.http.timeout;
        let mut pause = PAUSE;
        for attempt in 0.. {
            let (failure, again) = match self.follow(until, attempt == 0, body) {
                Ok(answer) if (200..=299).contains(&answer.status) => return Ok(content_type(&answer)),
                Ok(answer) => {
                    (Failure::new(ScrapeFailure::Status, format!("answered {}", answer.status)), answer.status >= 500)
                }
                Err(failure) => {
                    let again = failure.kind == ScrapeFailure::Connection;
                    (failure, again)
                }
            };
            let left = until.saturating_sub(monotonic());
            if !again || attempt >= self.settings.retries || left <= pause {
                return Err(failure);
            }
            std::thread::sleep(pause);
            pause *= 2;
        }
        unreachable!("the last attempt returns")
    }

    /// One attempt, with the redirects on the way.
    fn follow(&mut self, until: Duration, is_first: bool, body: &mut Vec<u8>) -> Result<Response, Failure> {
        let home = self.client.access().endpoint().clone();
        let (mut url, mut path): (Url, Option<String>) = (home.clone(), None);
        // Made for each page: a target keeps as little as it can between two of them.
        let timeout = self.settings.http.timeout.as_secs_f64().to_string();
        let headers = [
            ("Accept", accept(self.settings.format)),
            ("X-Prometheus-Scrape-Timeout-Seconds", &*timeout),
            (OWN_HEADER, &*self.own),
            ("Accept-Encoding", "gzip"),
        ];
        let headers = if self.settings.gzip { &headers[..] } else { &headers[..3] };
        for hop in 0..=MAX_REDIRECTS {
            let left = until.saturating_sub(monotonic());
            if left.is_zero() {
                let why = format!("{url}: no page within {:?} (endpoints.timeout)", self.settings.http.timeout);
                return Err(Failure::new(ScrapeFailure::Timeout, why));
            }
            let limit = BodyLimit::Refuse(self.settings.limits.body_bytes);
            let request = Request {
                path: path.as_deref(),
                headers,
                within: (hop > 0 || !is_first).then_some(left),
                ..Request::get(limit)
            };
            let answer = match self.elsewhere.as_deref_mut() {
                Some((to, client)) if is_same_server(to, &url) => client.send(&request, body)?,
                _ => self.client.send(&request, body)?,
            };
            let is_redirect = matches!(answer.status, 301 | 302 | 303 | 307 | 308);
            let location = answer.headers.get("Location").and_then(|location| location.to_str().ok());
            let Some(location) = location.filter(|_| is_redirect && self.settings.follow_redirects) else {
                return Ok(answer);
            };
            match resolve(&url, path.as_deref(), location) {
                Some(Way::Path(other)) => path = Some(other),
                Some(Way::Url(other)) if is_same_server(&other, &home) => {
                    (path, url) = (Some(path_of(&other).to_owned()), home.clone());
                }
                Some(Way::Url(other)) => {
                    if !self.elsewhere.as_ref().is_some_and(|known| is_same_server(&known.0, &other)) {
                        let settings = self.away(&home, &other);
                        self.elsewhere = Some(Box::new((other.clone(), client(&self.settings, &settings))));
                    }
                    (path, url) = (Some(path_of(&other).to_owned()), other);
                }
                None => {
                    return Err(Failure::new(
                        ScrapeFailure::Status,
                        format!("{url}: is redirected to what is no URL of HTTP"),
                    ));
                }
            }
        }
        Err(Failure::new(ScrapeFailure::Status, format!("{home}: is redirected more than {MAX_REDIRECTS} times")))
    }

    /// How another server is asked. Credentials go with the request only to the same host, and not
    /// from TLS into the clear.
    fn away(&self, home: &Url, url: &Url) -> HttpSettings {
        let own = &self.settings.http;
        let keeps = url.host().eq_ignore_ascii_case(home.host()) && (url.is_https() || !home.is_https());
        let credentials = if keeps { own.credentials.clone() } else { Credentials::default() };
        let tls = url.is_https().then(|| own.tls.clone().unwrap_or_default());
        let tls = tls.map(|tls| if keeps { tls } else { Box::new(tls.without_identity()) });
        HttpSettings { endpoint: url.clone(), tls, credentials, ..own.clone() }
    }
}

/// Tells a metricsd that it is asked by itself.
pub const OWN_HEADER: &str = "X-Metricsd-Instance";

/// What `Accept` says where a page is to be of this format.
fn accept(format: PageFormat) -> &'static str {
    match format {
        PageFormat::Auto => {
            "application/openmetrics-text;version=1.0.0;q=0.9,text/plain;version=0.0.4;q=0.8,application/json;q=0.7,*/*;q=0.1"
        }
        PageFormat::Json => "application/json,*/*;q=0.1",
        PageFormat::Prometheus => "text/plain;version=0.0.4,*/*;q=0.1",
        PageFormat::OpenMetrics => "application/openmetrics-text;version=1.0.0,*/*;q=0.1",
    }
}

fn client(settings: &Settings, http: &HttpSettings) -> Client {
    let idle = (settings.interval + SPARE_IDLE).clamp(MIN_IDLE, MAX_CONNECTION_AGE);
    let limits = TimeLimits { idle: Some(idle), setting: "endpoints.timeout", ..TimeLimits::default() };
    Client::one_of_many(Arc::new(Access::new(&format!("endpoint {}", settings.name), http, &limits)))
}

fn content_type(answer: &Response) -> String {
    let value = answer.headers.get("Content-Type").and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_ascii_lowercase()
}

/// Where a redirect leads.
#[derive(Debug, PartialEq)]
enum Way {
    /// To another path of the same server, with its query.
    Path(String),
    /// To another server.
    Url(Url),
}

/// Where `location` leads from `path` of `from`; none where that is no URL of HTTP.
fn resolve(from: &Url, path: Option<&str>, location: &str) -> Option<Way> {
    let location = location.split('#').next().unwrap_or_default().trim();
    let lower = location.to_ascii_lowercase();
    let scheme = if from.is_https() { "https:" } else { "http:" };
    let whole = match location {
        _ if lower.starts_with("http://") || lower.starts_with("https://") => Some(location.to_owned()),
        _ if location.starts_with("//") => Some(format!("{scheme}{location}")),
        _ => None,
    };
    if let Some(whole) = whole {
        // A socket's server knows no name of its own. User info would be credentials of somebody
        // else's choice.
        let url = checked_url(&whole).ok().filter(|_| from.split_socket().is_none())?.into_parts().0;
        return Some(if is_same_server(&url, from) { Way::Path(path_of(&url).to_owned()) } else { Way::Url(url) });
    }
    if location.starts_with('/') {
        return Some(Way::Path(location.to_owned()));
    }
    if location.is_empty() || location.contains("://") {
        return None;
    }
    let here = path.unwrap_or(path_of(from)).split('?').next().unwrap_or_default();
    let folder = here.rsplit_once('/').map_or("", |(folder, _)| folder);
    Some(Way::Path(format!("{folder}/{location}")))
}

fn is_same_server(a: &Url, b: &Url) -> bool {
    match (a.split_socket(), b.split_socket()) {
        (Some((a, _)), Some((b, _))) => a == b,
        (None, None) => a.is_https() == b.is_https() && a.host().eq_ignore_ascii_case(b.host()) && a.port() == b.port(),
        _ => false,
    }
}

/// Path and query.
fn path_of(url: &Url) -> &str {
    if let Some((_, path)) = url.split_socket() {
        return path;
    }
    let rest = url.as_str().split_once("://").map_or("", |(_, rest)| rest);
    rest.find(['/', '?']).map_or("/", |at| &rest[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_leads_where_a_browser_would_go() {
        let path = |path: &str| Some(Way::Path(path.to_owned()));
        let url = |url: &str| Some(Way::Url(url.into()));
        for (from, location, to) in [
            ("http://h:1/a/b?x=1", "/m", path("/m")),
            ("http://h:1/a/b?x=1", "m?y=2", path("/a/m?y=2")),
            ("http://h:1/a/b", "http://H:1/c#top", path("/c")),
            ("http://h/a", "http://h:80", path("/")),
            ("http://h:1/a", "https://h:1/a", url("https://h:1/a")),
            ("http://h:1/a", "//other/x", url("http://other/x")),
            ("https://h/a", "//other/x", url("https://other/x")),
            ("http://h/a", "http://u:p@other/x", url("http://other/x")),
            ("http://h/a", "ftp://other/x", None),
            ("http://h/a", "", None),
            ("unix:///run/a.sock:/m", "/n", path("/n")),
            ("unix:///run/a.sock:/m", "http://h/n", None),
        ] {
            assert_eq!(resolve(&from.into(), None, location), to, "{from} {location}");
        }
        assert_eq!(resolve(&"http://h/a".into(), Some("/b/c"), "d"), path("/b/d"));
    }

    #[test]
    fn credentials_stay_with_their_host_and_with_tls() {
        let settings = |url: &str| {
            let mut http = HttpSettings::new(url.into());
            let secret = crate::secret::Source::Given(crate::secret::Secret::new("s3cr3t"));
            http.credentials.headers = vec![("X-Key".to_owned(), secret)];
            Arc::new(Settings { http, ..super::super::tests::settings("a", url) })
        };
        for (home, url, keeps) in [
            ("http://h:1/", "http://h:2/", true),
            ("http://h:1/", "https://h/", true),
            ("https://h/", "http://h/", false),
            ("http://h/", "http://other/", false),
        ] {
            let fetcher = Fetcher::new(settings(home), &"x".into());
            let away = fetcher.away(&home.into(), &url.into());
            assert_eq!(!away.credentials.headers.is_empty(), keeps, "{home} {url}");
        }
    }
}
