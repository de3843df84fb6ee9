//! From a request to its response. Pure: what it says depends on its arguments alone.

use crate::formats::text;
use crate::model::{Frame, Labels, Scheme};
use crate::shaping::Perspective;
use crate::telemetry::Telemetry;

use super::answer::Response;
use super::head::Request;
use super::health::{self, Now, Status};
use super::{negotiate, page};

const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";

/// What may be done to every page there is.
const ALLOWED: &str = "GET, HEAD";

/// What the pages are about.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// metricsd's own numbers, and the latest frames.
    pub telemetry: &'a Telemetry,
    /// The host's name.
    pub host: &'a str,
}

/// The pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    Index,
    Health,
    Ready,
    Live,
    Metrics,
    Node,
}

impl Page {
    fn at(path: &str) -> Option<Page> {
        Some(match path {
            "/" => Page::Index,
            "/health" => Page::Health,
            "/ready" => Page::Ready,
            "/live" => Page::Live,
            "/metrics" => Page::Metrics,
            "/metrics/node" => Page::Node,
            _ => return None,
        })
    }
}

/// Whether the answer's size grows with the host, so that only a few may be under way at once.
pub(super) fn is_heavy(request: &Request) -> bool {
    matches!(Page::at(&request.path), Some(Page::Metrics | Page::Node))
}

/// Whether anybody gets this answered: who watches over a process need not hold its secrets.
/// Of what else is there, and what is not, nothing shows without credentials.
pub(super) fn is_open(request: &Request) -> bool {
    Page::at(&request.path) == Some(Page::Live) && is_read(request)
}

fn is_read(request: &Request) -> bool {
    request.method == "GET" || request.method == "HEAD"
}

/// The answer to who may not see more; the same whatever was missing or wrong.
pub(super) fn unauthorized(challenges: Vec<&'static str>) -> Response {
    Response { challenges, ..Response::text(401, "this takes credentials; /live does not") }
}

/// Answers `request`. `own` gives metricsd's own metrics, and is asked for `/metrics` only.
pub fn route(request: &Request, view: View<'_>, now: Now, own: impl FnOnce() -> Frame) -> Response {
    let Some(page) = Page::at(&request.path) else {
        return Response::text(404, "no such page; / links those that exist");
    };
    if !is_read(request) {
        let allow = Some(ALLOWED);
        return Response { allow, ..Response::text(405, "this page can only be read: GET or HEAD") };
    }
    match page {
        Page::Index => {
            let body = page::render(view.host, &health::examine(view.telemetry, now), view.telemetry, now);
            Response::page(200, HTML, body)
        }
        Page::Health => health(view, now),
        Page::Ready if view.telemetry.last_collection().is_some() => Response::text(200, "ready"),
        Page::Ready => Response::text(503, "not ready: no collection yet"),
        Page::Live => Response::text(200, "alive"),
        Page::Metrics => match naming(&request.query) {
            Ok(scheme) => metrics(request, view, scheme, &own()),
            Err(why) => Response::text(400, &why),
        },
        Page::Node => metrics(request, view, Scheme::NodeExporter, &own()),
    }
}

fn health(view: View<'_>, now: Now) -> Response {
    let health = health::examine(view.telemetry, now);
    match serde_json::to_string(&health) {
        Ok(mut body) => {
            body.push('\n');
            let status = if health.status == Status::Unhealthy { 503 } else { 200 };
            Response::page(status, JSON, body)
        }
        Err(error) => Response::text(500, &format!("cannot write /health: {error}")),
    }
}

/// The scheme that a query asks for (`naming=node_exporter`); the native one where it asks for none.
fn naming(query: &str) -> Result<Scheme, String> {
    let asked = query.split('&').find_map(|part| part.strip_prefix("naming="));
    let Some(name) = asked else { return Ok(Scheme::Native) };
    Scheme::parse(name).ok_or_else(|| {
        let known = Scheme::ALL.map(Scheme::as_str).join(", ");
        format!("no such naming: {name:?}; there are {known}")
    })
}

fn metrics(request: &Request, view: View<'_>, scheme: Scheme, own: &Frame) -> Response {
    let format = negotiate::format(&request.accept);
    let mut frames = view.telemetry.latest.frames();
    // What it has scraped it would scrape again, and again.
    if request.scraped_by == view.telemetry.instance {
        frames.retain(|frame| !is_scraped(&frame.source));
    }
    let mut body = String::new();
    text::render(frames.iter().chain([own]), &Perspective::new(scheme, Labels::EMPTY), format, &mut body);
    Response::page(200, format.content_type(), body)
}

/// Collectors have no slash in their names, targets do ([`crate::scrape::Settings::source`]).
fn is_scraped(source: &str) -> bool {
    source.contains('/')
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::model::{Family, Item, Label, Reading, Recorder, everywhere, face};
    use crate::server::answer::TEXT;
    use crate::server::body::Announced;
    use crate::telemetry::{CollectorStatus, Subjects};

    static PLAIN: Reading = Reading {
        native: face(&Family::counter("test_bytes_total", "bytes", "A test."), &[]),
        node: face(&Family::counter("node_test_bytes_total", "bytes", "A test."), &[]),
        otel: None,
    };
    static OWN: Reading =
        everywhere!(&Family::counter("test_bytes_total", "bytes", "A test."), &[Label::constant("own", "yes")]);

    fn frame(source: &str, reading: &'static Reading) -> Frame {
        let mut out = Recorder::new(source, 10);
        out.item(&Item::new(&[])).push(reading, 1.0);
        out.finish(1)
    }

    fn telemetry() -> Telemetry {
        let since = Duration::from_secs(100);
        let collectors = vec![Arc::new(CollectorStatus::new("cpu"))];
        let subjects = Subjects { since, interval: Duration::from_secs(1), collectors, ..Subjects::default() };
        Telemetry::new(since, 0, subjects)
    }

    fn page_of(telemetry: &Telemetry, path: &str, accept: &str) -> String {
        String::from_utf8(ask(telemetry, "GET", path, accept).body).unwrap()
    }

    fn ask(telemetry: &Telemetry, method: &str, path: &str, accept: &str) -> Response {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let request = Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            accept: accept.to_owned(),
            scraped_by: String::new(),
            authorization: None,
            body: Announced::default(),
        };
        let monotonic = Duration::from_secs(101);
        let now = Now { monotonic, boottime: monotonic, wall_ms: 1_762_346_096_000 };
        let own = || frame("metricsd", &OWN);
        route(&request, View { telemetry, host: "a<b" }, now, own)
    }

    #[test]
    fn every_page_answers_get_and_head_alike() {
        let telemetry = telemetry();
        telemetry.collected(Duration::from_secs(101), 0);
        for (path, content_type) in
            [("/", HTML), ("/health", JSON), ("/ready", TEXT), ("/live", TEXT), ("/metrics", TEXT_0_0_4)]
        {
            let get = ask(&telemetry, "GET", path, "");
            assert_eq!((get.status, get.content_type), (200, content_type), "{path}");
            assert_eq!(ask(&telemetry, "HEAD", path, ""), get, "{path}");
            let page = page_of(&telemetry, "/", "");
            assert!(path == "/" || page.contains(&format!("href=\"{path}\"")), "/ links {path}");
        }
    }

    const TEXT_0_0_4: &str = "text/plain; version=0.0.4; charset=utf-8";

    #[test]
    fn other_methods_and_paths_are_refused() {
        let telemetry = telemetry();
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "get", "BREW"] {
            let response = ask(&telemetry, method, "/health", "");
            assert_eq!((response.status, response.allow), (405, Some("GET, HEAD")), "{method}");
        }
        for path in ["/nothing", "/health/", "/metrics/", "*", "", "//health"] {
            assert_eq!(ask(&telemetry, "GET", path, "").status, 404, "{path}");
            assert_eq!(ask(&telemetry, "POST", path, "").status, 404, "{path}");
        }
    }

    #[test]
    fn ready_comes_with_the_first_collection() {
        let telemetry = telemetry();
        assert_eq!(ask(&telemetry, "GET", "/ready", "").status, 503);
        assert_eq!(ask(&telemetry, "GET", "/live", "").status, 200);
        telemetry.collected(Duration::from_secs(101), 0);
        assert_eq!(ask(&telemetry, "GET", "/ready", "").status, 200);
    }

    #[test]
    fn health_begins_as_it_always_has() {
        let telemetry = telemetry();
        telemetry.collected(Duration::from_secs(101), 0);
        let body = page_of(&telemetry, "/health", "");
        let first = r#"{"status":"healthy","timestamp":"2025-11-05T12:34:56Z","uptime":"1s","#;
        assert!(body.starts_with(first), "{body}");
        telemetry.thread_lost();
        assert_eq!(ask(&telemetry, "GET", "/health", "").status, 503);
        assert_eq!(ask(&telemetry, "GET", "/", "").status, 200);
    }

    #[test]
    fn metrics_holds_the_latest_frames_and_our_own_in_one_family() {
        let telemetry = telemetry();
        telemetry.latest.put(&frame("cpu", &PLAIN), Duration::ZERO);
        assert_eq!(
            page_of(&telemetry, "/metrics", "text/plain"),
            "# HELP test_bytes_total A test.\n# TYPE test_bytes_total counter\n\
             test_bytes_total 1\ntest_bytes_total{own=\"yes\"} 1\n"
        );
        let response = ask(&telemetry, "GET", "/metrics", "application/openmetrics-text;version=1.0.0");
        assert_eq!(response.content_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
        assert_eq!(
            String::from_utf8(response.body).unwrap(),
            "# HELP test_bytes A test.\n# TYPE test_bytes counter\n# UNIT test_bytes bytes\n\
             test_bytes_total 1\ntest_bytes_total{own=\"yes\"} 1\n# EOF\n"
        );
    }

    #[test]
    fn the_names_of_a_scheme_are_asked_for_by_page_or_query() {
        let telemetry = telemetry();
        telemetry.latest.put(&frame("cpu", &PLAIN), Duration::ZERO);
        let node = page_of(&telemetry, "/metrics/node", "");
        assert!(node.contains("node_test_bytes_total 1\n"), "{node}");
        assert_eq!(page_of(&telemetry, "/metrics?naming=node_exporter", ""), node);
        assert_eq!(ask(&telemetry, "GET", "/metrics?naming=native", ""), ask(&telemetry, "GET", "/metrics", ""));
        let otel = ask(&telemetry, "GET", "/metrics?a=b&naming=otel", "");
        assert_eq!((otel.status, otel.body.windows(5).any(|part| part == b"node_")), (200, false));
        let unknown = ask(&telemetry, "GET", "/metrics?naming=dcgm", "");
        assert_eq!(unknown.status, 400);
        let unknown = String::from_utf8(unknown.body).unwrap();
        assert!(unknown.contains("native, node_exporter, otel"), "{unknown}");
    }

    #[test]
    fn the_page_shows_host_version_and_status() {
        let telemetry = telemetry();
        telemetry.thread_lost();
        let body = page_of(&telemetry, "/", "");
        assert!(body.contains("<h1>a&lt;b</h1>"), "{body}");
        assert!(body.contains(&format!("metricsd {}", env!("CARGO_PKG_VERSION"))), "{body}");
        assert!(body.contains("unhealthy") && body.contains("<li>a worker thread is gone"), "{body}");
    }
}
