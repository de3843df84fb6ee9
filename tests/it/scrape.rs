//! Endpoints: what is asked of an application, what becomes of its page, and what goes wrong.

use std::collections::BTreeMap;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::own_metrics::{Series, is_stale, series};
use crate::support::peer::{Peer, Received, Reply, read_request};
use crate::support::program::{Daemon, TempDir, metricsd, run};
use crate::support::wait_for;

const TEXT: &str = "text/plain; version=0.0.4";

fn page(content_type: &str, body: impl Into<String>) -> Reply {
    // Of a test's program there are few.
    let body: &'static str = Box::leak(body.into().into_boxed_str());
    Reply::Answer(200, vec![("Content-Type", content_type.to_owned())], body)
}

fn text(body: impl Into<String>) -> Reply {
    page(TEXT, body)
}

/// A metricsd that collects nothing but these endpoints, ten times a second.
fn scraping(dir: &TempDir, endpoints: &str, shippers: &str) -> Daemon {
    let config = format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{"interval_seconds": 0.1, "preset": "none"}},
            "spool": {{"mode": "memory"}}, "endpoints": [{endpoints}], "shippers": [{shippers}]}}"#
    );
    Daemon::start(dir.path(), &config)
}

fn endpoint(name: &str, peer: &Peer, more: &str) -> String {
    format!(r#"{{"name": "{name}", "url": "{}" {more}}}"#, peer.url("/metrics"))
}

fn remote_write(peer: &Peer) -> String {
    format!(r#"{{"type": "prometheus_remote_write", "endpoint": "{}"}}"#, peer.url("/w"))
}

/// The samples on `/metrics` whose names begin so, without the label `instance`.
fn samples(daemon: &Daemon, prefix: &str) -> BTreeMap<String, f64> {
    let (_, page) = daemon.get("/metrics").unwrap();
    let lines = page.lines().filter(|line| line.starts_with(prefix));
    let of = |line: &str| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.trim_end_matches('}').split(',').filter(|label| !label.starts_with("instance="));
        (format!("{name}{{{}}}", labels.collect::<Vec<_>>().join(",")), value.parse().unwrap())
    };
    lines.map(of).collect()
}

fn health(daemon: &Daemon, endpoint: &str) -> serde_json::Value {
    let health: serde_json::Value = serde_json::from_str(&daemon.get("/health").unwrap().1).unwrap();
    health["endpoints"][endpoint].clone()
}

fn wait_for_state(daemon: &Daemon, endpoint: &str, state: &str) -> serde_json::Value {
    wait_for(&format!("{endpoint} to be {state}"), || {
        Some(health(daemon, endpoint)).filter(|health| health["state"] == state)
    })
}

#[test]
fn a_page_arrives_with_the_targets_labels_and_a_count_of_itself() {
    let (dir, ok) = (TempDir::new(), Peer::start(|_, _| Reply::status(200)));
    let app = Peer::start(|at, _| {
        let at = at + 1;
        text(format!(
            "# HELP hits_total Hits.\n# TYPE hits_total counter\nhits_total{{path=\"/a\"}} {at}\nhits_total{{path=\"/b\",job=\"own\"}} 7\n\
             # TYPE took histogram\ntook_bucket{{le=\"1\"}} 3\ntook_bucket{{le=\"+Inf\"}} 4\ntook_sum 5.5\ntook_count 4\n"
        ))
    });
    let daemon = scraping(&dir, &endpoint("app", &app, r#", "labels": {"team": "x"}"#), &remote_write(&ok));
    wait_for_state(&daemon, "app", "ok");
    let hits = samples(&daemon, "hits_total");
    assert_eq!(hits.len(), 2, "{hits:?}");
    assert!(hits[r#"hits_total{job="app",path="/a",team="x"}"#] >= 1.0);
    assert_eq!(hits[r#"hits_total{exported_job="own",job="app",path="/b",team="x"}"#], 7.0);
    let (_, whole) = daemon.get("/metrics").unwrap();
    assert!(whole.contains("# HELP hits_total Hits.\n# TYPE hits_total counter\n"), "{whole}");
    assert_eq!(whole.matches("# TYPE took histogram\n").count(), 1, "{whole}");
    let own = wait_for("a second scrape", || {
        let own = samples(&daemon, "scrape_");
        (own.get(r#"scrape_series_added{job="app",team="x"}"#) == Some(&0.0)).then_some(own)
    });
    assert_eq!(own[r#"scrape_samples_scraped{job="app",team="x"}"#], 6.0);
    assert_eq!(own[r#"scrape_samples_post_metric_relabeling{job="app",team="x"}"#], 6.0);
    assert!(own[r#"scrape_response_bytes{job="app",team="x"}"#] > 200.0);
    let sent: Series = wait_for("a request with the page", || {
        let all = ok.received();
        all.iter().map(series).find(|all| all.contains_key("took_sum{job=app,team=x}"))
    });
    assert_eq!(sent["up{job=app,team=x}"], 1.0);
    assert_eq!(sent["took_bucket{job=app,le=+Inf,team=x}"], 4.0);
    assert_eq!(sent["took_sum{job=app,team=x}"], 5.5);
    // One connection is enough for all of it, and the application is told how long it has.
    wait_for("five scrapes", || (app.received().len() > 5).then_some(()));
    assert_eq!(app.connections(), 1);
    let asked = &app.received()[0];
    assert_eq!(asked.header("x-prometheus-scrape-timeout-seconds"), Some("0.1"));
    assert!(asked.header("accept").unwrap().starts_with("application/openmetrics-text"));
}

#[test]
fn a_json_object_of_the_first_metricsd_is_gauges_of_its_endpoint() {
    let (dir, ok) = (TempDir::new(), Peer::start(|_, _| Reply::status(200)));
    let app = Peer::start(|_, _| page("text/html", r#" {"requests": 12, "db": {"open": 3.5, "up": true}, "x": "y"}"#));
    let shippers = format!(r#"{{"type": "http_json", "endpoint": "{}"}}"#, ok.url("/j"));
    let daemon = scraping(&dir, &endpoint("my app", &app, r#", "labels": {"zone": "z"}"#), &shippers);
    wait_for_state(&daemon, "my app", "ok");
    let expected = [
        (r#"app_db_open{endpoint="my app",zone="z"}"#.to_owned(), 3.5),
        (r#"app_db_up{endpoint="my app",zone="z"}"#.to_owned(), 1.0),
        (r#"app_requests{endpoint="my app",zone="z"}"#.to_owned(), 12.0),
    ];
    assert_eq!(samples(&daemon, "app_"), BTreeMap::from(expected));
    assert_eq!(samples(&daemon, "up{")[r#"up{endpoint="my app",job="my app",zone="z"}"#], 1.0);
    // The host's payload is one: what was scraped since the last tick rides in it.
    let payload = wait_for("a payload with the application", || {
        let all = ok.received();
        let parse = |request: &Received| serde_json::from_slice::<serde_json::Value>(&request.body).unwrap();
        all.iter().map(parse).find(|payload| payload["metrics"].to_string().contains("app_requests"))
    });
    let metrics = payload["metrics"].as_array().unwrap();
    let found = metrics.iter().find(|metric| metric["name"] == "app_requests").unwrap();
    let expected = serde_json::json!({"name": "app_requests", "value": 12, "type": "gauge", "labels": {"endpoint": "my app", "zone": "z"}});
    assert_eq!(*found, expected);
}

#[test]
fn what_a_page_ends_and_what_a_failure_ends() {
    let (dir, ok) = (TempDir::new(), Peer::start(|_, _| Reply::status(200)));
    let state = Arc::new(AtomicUsize::new(0));
    let now = Arc::clone(&state);
    let app = Peer::start(move |_, _| match now.load(Ordering::SeqCst) {
        0 => text("a 1\nb 2\n"),
        1 => text("a 1\n"),
        2 => Reply::status(500),
        _ => text("a 3\n"),
    });
    let daemon = scraping(&dir, &endpoint("app", &app, ""), &remote_write(&ok));
    let sent = |series_name: &str, wanted: fn(&f64) -> bool| {
        wait_for(series_name, || {
            let all = ok.received();
            all.iter().map(series).find(|all| all.get(series_name).is_some_and(wanted)).map(drop)
        });
    };
    sent("b{job=app}", |value| *value == 2.0);
    state.store(1, Ordering::SeqCst);
    sent("b{job=app}", is_stale);
    state.store(2, Ordering::SeqCst);
    sent("a{job=app}", is_stale);
    sent("up{job=app}", |value| *value == 0.0);
    let failed = wait_for_state(&daemon, "app", "failed");
    assert_eq!(failed["last_error"], "answered 500");
    assert_eq!(samples(&daemon, "a{"), BTreeMap::new());
    state.store(3, Ordering::SeqCst);
    sent("a{job=app}", |value| *value == 3.0);
    // It was said once.
    assert_eq!(daemon.log().matches("endpoint app: answered 500").count(), 1, "{}", daemon.log());
}

#[test]
fn a_page_that_is_none_spoils_its_own_scrape_alone_and_is_said_once() {
    let dir = TempDir::new();
    let good = Peer::start(|_, _| text("good 1\n"));
    let reply = |reply: Reply| Peer::start(move |_, _| reply.clone());
    let bomb = gzip_bomb();
    let many: String = (0..70).map(|at| format!("l{at}=\"x\",")).collect();
    let bad = [
        ("html", reply(page("text/html", "<html><body>hello</body></html>")), "HTML"),
        ("endless", reply(Reply::Endless), "more than 1048576 bytes"),
        ("chunks", reply(Reply::EndlessChunks), "more than 1048576 bytes"),
        ("bomb", Peer::start(move |_, _| Reply::Raw(bomb)), "more than 1048576 bytes"),
        ("slow", reply(Reply::Slowly(b"HTTP/1.1 200 OK\r\n\r\na 1\n", Duration::from_millis(50))), "100ms"),
        ("hang", reply(Reply::Hang), "100ms"),
        ("reset", reply(Reply::ResetInBody), ""),
        ("labels", reply(text(format!("a{{{many}}} 1\n"))), "labels (64)"),
        ("long", reply(text(format!("a{{b=\"{}\"}} 1\n", "x".repeat(5000)))), "label_value_bytes (4096)"),
        ("twice", reply(text("a{b=\"1\",b=\"2\"} 1\n")), ""),
        ("noeof", reply(page("application/openmetrics-text; version=1.0.0", "a 1\n")), "EOF"),
        ("cut", reply(text("good 1\nbad{x=\"")), "line 2"),
        ("teapot", reply(Reply::status(418)), "answered 418"),
    ];
    let more = r#", "limits": {"body_bytes": 1048576}, "compression": "gzip""#;
    let all = bad.iter().map(|(name, peer, _)| endpoint(name, peer, more));
    let all: Vec<String> = all.chain([endpoint("good", &good, "")]).collect();
    let daemon = scraping(&dir, &all.join(","), "");
    wait_for_state(&daemon, "good", "ok");
    for (name, _, word) in &bad {
        let health = wait_for_state(&daemon, name, "failed");
        let said = health["last_error"].as_str().unwrap();
        assert!(said.contains(word), "{name}: {said}");
        assert_eq!(samples(&daemon, "up{")[&format!(r#"up{{job="{name}"}}"#)], 0.0, "{name}");
    }
    for reason in ["timeout", "connection", "status", "page"] {
        let failed = daemon.metric(&format!("metricsd_scrapes_failed_total{{reason=\"{reason}\"}}"));
        assert!(failed >= Some(1.0), "{reason}: {failed:?}");
    }
    let asked = good.received().len();
    wait_for("the good one to be asked on", || (good.received().len() > asked + 10).then_some(()));
    assert_eq!(samples(&daemon, "good")[r#"good{job="good"}"#], 1.0);
    assert_eq!(samples(&daemon, "bad"), BTreeMap::new());
    for (name, ..) in &bad {
        let lines = daemon.log().matches(&format!("endpoint {name}: ")).count();
        assert!((1..=2).contains(&lines), "{name}: {lines} lines in\n{}", daemon.log());
    }
}

/// An answer whose 20 KB are 16 MB.
fn gzip_bomb() -> &'static [u8] {
    use std::io::Write;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![b'\n'; 1 << 20];
    (0..16).for_each(|_| packed.write_all(&zeros).unwrap());
    let packed = packed.finish().unwrap();
    let mut answer =
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", packed.len()).into_bytes();
    answer.extend(packed);
    Box::leak(answer.into_boxed_slice())
}

#[test]
fn series_that_come_twice_and_times_that_cannot_be_are_left_out_and_said() {
    let dir = TempDir::new();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    let (recent, old, ahead) = (now - 5_000, now - 7_200_000, now + 31_536_000_000);
    let body = format!("a{{x=\"1\"}} 1\na{{x=\"1\"}} 2\nb 3 {recent}\nc 4 {old}\nd 5 {ahead}\n");
    let app = Peer::start(move |_, _| text(body.clone()));
    let ok = Peer::start(|_, _| Reply::status(200));
    let daemon = scraping(&dir, &endpoint("app", &app, ""), &remote_write(&ok));
    let health = wait_for_state(&daemon, "app", "ok");
    let said = health["last_error"].as_str().unwrap();
    assert!(said.contains("come twice"), "{said}");
    assert!(said.contains("2 samples say to be of more than an hour ago"), "{said}");
    assert_eq!(samples(&daemon, "a{")[r#"a{job="app",x="1"}"#], 1.0);
    assert!(samples(&daemon, "c{").is_empty() && samples(&daemon, "d{").is_empty());
    let dropped = |reason: &str| {
        daemon.metric(&format!("metricsd_scraped_samples_dropped_total{{reason=\"{reason}\"}}")).unwrap()
    };
    // Once, though each scrape finds it.
    wait_for("more scrapes", || (dropped("duplicate") >= 5.0).then_some(()));
    let lines = daemon.log().matches("come twice").count();
    assert_eq!(lines, 1, "{}", daemon.log());
    let [twice, untimely] = ["duplicate", "untimely"].map(dropped);
    assert!(twice >= 1.0 && untimely >= 2.0, "{twice} {untimely}");
    assert_eq!(dropped("transforms"), 0.0);
    let time = wait_for("b", || {
        let all = ok.received();
        let all = all.iter().flat_map(|request| crate::lanes::decode(&request.body).timeseries);
        let is_b = |label: &prometheus_remote_write::Label| label.name == "__name__" && label.value == "b";
        all.into_iter().find(|series| series.labels.iter().any(is_b)).map(|series| series.samples[0].timestamp)
    });
    assert_eq!(time, recent, "the sample's own time");
}

#[test]
fn an_endpoints_rules_shape_its_series_and_not_what_is_said_of_the_scrape() {
    let dir = TempDir::new();
    let app = Peer::start(|_, _| {
        text(
            "# TYPE a_ms gauge\na_ms{pod=\"x\",id=\"1\"} 1500\na_ms{pod=\"y\",id=\"2\"} 2500\ngo_x 1\ngo_y{a=\"b\"} 2\nb 7\n",
        )
    });
    let json = Peer::start(|_, _| page("application/json", r#"{"go_threads": 1, "hits": 2000}"#));
    let rules = r#", "transforms": [
        {"drop": {"name": "(app_)?go_.*"}},
        {"drop_labels": ["pod|instance"]},
        {"relabel": {"source_labels": ["__name__"], "regex": "(.*)_ms", "target_label": "__name__", "replacement": "${1}_seconds"}},
        {"scale": {"match": {"name": ".*_seconds|app_hits"}, "factor": 0.001}}]"#;
    let daemon = scraping(&dir, &[endpoint("app", &app, rules), endpoint("json", &json, rules)].join(","), "");
    wait_for_state(&daemon, "app", "ok");
    wait_for_state(&daemon, "json", "ok");
    let (_, whole) = daemon.get("/metrics").unwrap();
    let lines: Vec<&str> = whole.lines().filter(|line| line.starts_with("a_") || line.starts_with("b")).collect();
    assert_eq!(
        lines,
        [r#"a_seconds{id="1",job="app"} 1.5"#, r#"a_seconds{id="2",job="app"} 2.5"#, r#"b{job="app"} 7"#]
    );
    assert!(whole.contains("# TYPE a_seconds gauge\n") && !whole.contains("go_"), "{whole}");
    assert_eq!(samples(&daemon, "app_"), BTreeMap::from([(r#"app_hits{endpoint="json"}"#.to_owned(), 2.0)]));
    let own = samples(&daemon, "scrape_samples");
    assert_eq!(own[r#"scrape_samples_scraped{job="app"}"#], 5.0);
    assert_eq!(own[r#"scrape_samples_post_metric_relabeling{job="app"}"#], 3.0);
    assert_eq!(own[r#"scrape_samples_post_metric_relabeling{endpoint="json",job="json"}"#], 1.0);
    assert!(whole.contains("up{instance="), "{whole}");
}

#[test]
fn redirects_are_followed_within_bounds_and_credentials_do_not_follow_to_another_host() {
    let dir = TempDir::new();
    let there = Peer::start(|_, _| text("there 1\n"));
    let to = |url: String| Reply::Answer(302, vec![("Location", url)], "");
    let other = there.url("/metrics").replace("127.0.0.1", "localhost");
    let away = Peer::start(move |_, _| to(other.clone()));
    let same = Peer::start(
        move |_, request| if request.line.contains(" /metrics ") { to("/real".to_owned()) } else { text("here 1\n") },
    );
    let round = Peer::start(move |_, _| to("/metrics".to_owned()));
    let token = r#", "bearer_token": "s3cr3t-token""#;
    let all = [
        endpoint("away", &away, token),
        endpoint("same", &same, token),
        endpoint("loop", &round, token),
        endpoint("not", &away, r#", "follow_redirects": false"#),
    ];
    let daemon = scraping(&dir, &all.join(","), "");
    wait_for_state(&daemon, "away", "ok");
    wait_for_state(&daemon, "same", "ok");
    let health = wait_for_state(&daemon, "loop", "failed");
    assert!(health["last_error"].as_str().unwrap().contains("redirected more than 10 times"), "{health}");
    assert_eq!(wait_for_state(&daemon, "not", "failed")["last_error"], "answered 302");
    assert!(there.received().iter().all(|request| request.header("authorization").is_none()));
    let is_shown = |request: &Received| request.header("authorization") == Some("Bearer s3cr3t-token");
    assert!(away.received().iter().any(is_shown));
    assert!(same.received().iter().filter(|request| request.line.contains(" /real ")).all(is_shown));
}

#[test]
fn targets_that_hang_delay_nobody_that_is_well() {
    let dir = TempDir::new();
    let good = Peer::start(|_, _| text("good 1\n"));
    let hang = Peer::start(|_, _| Reply::Hang);
    let hanging = (0..60).map(|at| endpoint(&format!("hang-{at}"), &hang, r#", "interval": "3s", "timeout": "3s""#));
    let all: Vec<String> = hanging.chain([endpoint("good", &good, "")]).collect();
    let daemon = scraping(&dir, &all.join(","), "");
    // Each has had its turn by those threads that are for all.
    wait_for_state(&daemon, "hang-0", "failed");
    wait_for("a target whose turn does not come", || {
        let health: serde_json::Value = serde_json::from_str(&daemon.get("/health").unwrap().1).unwrap();
        let all = health["endpoints"].as_object().unwrap();
        all.values().any(|endpoint| endpoint["state"] == "waiting").then_some(())
    });
    let before = good.received().len();
    let begun = std::time::Instant::now();
    wait_for("the good one", || (good.received().len() >= before + 20).then_some(()));
    // 20 turns of a tenth of a second; a third of the hanging ones' timeout would be seen.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn of_many_targets_the_log_says_some_and_health_each() {
    let dir = TempDir::new();
    let app = Peer::start(|_, _| text("a 1\n"));
    // Nobody listens there.
    let down = |at: usize| format!(r#"{{"name": "down-{at}", "url": "http://127.0.0.1:1/"}}"#);
    let up = |at: usize| endpoint(&format!("up-{at}"), &app, "");
    let endpoints: Vec<String> = (0..60).map(down).chain((0..40).map(up)).collect();
    let daemon = scraping(&dir, &endpoints.join(","), "");
    let counted = |line: &str| wait_for(line, || daemon.log().contains(line).then_some(()));
    counted("endpoints: 40 more have trouble; /health says which and why");
    counted("endpoints: 20 more answer; /health has each");
    let log = daemon.log();
    let lines = |of: &str| log.lines().filter(|line| line.contains(&format!("endpoint {of}-"))).count();
    assert_eq!((lines("down"), lines("up")), (20, 20), "{log}");
    let health: serde_json::Value = serde_json::from_str(&daemon.get("/health").unwrap().1).unwrap();
    let all = health["endpoints"].as_object().unwrap();
    assert!((0..60).all(|at| all[&format!("down-{at}")]["last_error"].is_string()), "{health}");
}

#[test]
fn a_socket_is_asked_and_metricsd_does_not_scrape_what_it_has_scraped() {
    let dir = TempDir::new();
    let path = dir.path().join("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                use std::io::Write;
                let mut reader = std::io::BufReader::new(stream.try_clone().unwrap());
                while let Some(request) = read_request(&mut reader) {
                    assert!(request.line.contains(" /m "), "{}", request.line);
                    let body = "sock 1\n";
                    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                    if stream.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    let all = format!(
        r#"{{"name": "sock", "url": "unix://{}:/m"}}, {{"name": "self", "url": "http://127.0.0.1:PORT/metrics"}}"#,
        path.display()
    );
    let daemon = scraping(&dir, &all, "");
    wait_for_state(&daemon, "sock", "ok");
    wait_for_state(&daemon, "self", "ok");
    assert_eq!(samples(&daemon, "sock")[r#"sock{job="sock"}"#], 1.0);
    let first = health(&daemon, "self")["samples"].as_u64().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(health(&daemon, "self")["samples"].as_u64().unwrap(), first, "it does not grow");
    assert!(!samples(&daemon, "sock").keys().any(|series| series.contains("self")));
}

#[test]
fn a_reload_ends_what_is_gone_and_leaves_the_others_alone() {
    let (dir, ok) = (TempDir::new(), Peer::start(|_, _| Reply::status(200)));
    let (a, b) = (Peer::start(|_, _| text("a 1\n")), Peer::start(|_, _| text("b 1\n")));
    let both = [endpoint("a", &a, ""), endpoint("b", &b, "")].join(",");
    let daemon = scraping(&dir, &both, &remote_write(&ok));
    wait_for_state(&daemon, "a", "ok");
    wait_for_state(&daemon, "b", "ok");
    let path = dir.path().join("config.json");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, config.replace(&both, &endpoint("a", &a, ""))).unwrap();
    daemon.signal(nix::sys::signal::Signal::SIGHUP);
    wait_for("the end of b", || {
        let all = ok.received();
        all.iter().map(series).find(|all| all.get("b{job=b}").is_some_and(is_stale)).map(drop)
    });
    let asked = b.received().len();
    let on = a.received().len();
    wait_for("a to be asked on", || (a.received().len() > on + 5).then_some(()));
    assert!(b.received().len() <= asked + 1);
    assert_eq!(a.connections(), 1, "its connection has outlived the reload");
    let stale = ok.received().iter().map(series).any(|all| all.get("a{job=a}").is_some_and(is_stale));
    assert!(!stale, "a has not ended");
    assert!(daemon.get("/health").unwrap().1.contains("\"endpoints\":{\"a\""));
}

#[test]
fn files_of_endpoints_are_followed_as_they_change() {
    let dir = TempDir::new();
    let ok = Peer::start(|_, _| Reply::status(200));
    let (a, b) = (Peer::start(|_, _| text("a 1\n")), Peer::start(|_, _| text("b 1\n")));
    let write = |name: &str, body: String| {
        // As tools do it that are followed: never half of it.
        let path = dir.write(&format!("{name}.new"), &body);
        std::fs::rename(path, dir.path().join(name)).unwrap();
    };
    write("own.eps", format!(r#"[{{"name": "a", "url": "{}"}}]"#, a.url("/metrics")));
    write("shop.eps", format!(r#"[{{"targets": ["{}"], "labels": {{"zone": "z", "__meta": "x"}}}}]"#, b.address));
    let config = format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{"interval_seconds": 0.1, "preset": "none"}},
            "spool": {{"mode": "memory"}}, "endpoints_files": ["{}/*.eps"], "shippers": [{}]}}"#,
        dir.path().display(),
        remote_write(&ok)
    );
    let daemon = Daemon::start(dir.path(), &config);
    let of_b = format!("shop/{}", b.address);
    wait_for_state(&daemon, "a", "ok");
    wait_for_state(&daemon, &of_b, "ok");
    assert_eq!(samples(&daemon, "b{"), BTreeMap::from([(r#"b{job="shop",zone="z"}"#.to_owned(), 1.0)]));
    // Half of a file says nothing; what was there counts on.
    std::fs::write(dir.path().join("own.eps"), r#"[{"name": "#).unwrap();
    wait_for("the complaint", || daemon.log().contains("own.eps: ").then_some(()));
    wait_for("/health to say so", || {
        let health = daemon.get("/health").unwrap().1;
        (health.contains("\"degraded\"") && health.contains("endpoints_files: ") && health.contains("own.eps"))
            .then_some(())
    });
    let asked = a.received().len();
    wait_for("a to be asked on", || (a.received().len() > asked + 5).then_some(()));
    // What is gone ends.
    std::fs::remove_file(dir.path().join("shop.eps")).unwrap();
    wait_for("the end of b", || {
        let all = ok.received();
        all.iter().map(series).find(|all| all.get("b{job=shop,zone=z}").is_some_and(is_stale)).map(drop)
    });
    assert!(health(&daemon, &of_b).is_null());
    assert_eq!(daemon.log().matches("own.eps: ").count(), 1, "{}", daemon.log());
}

#[test]
fn once_asks_each_endpoint_and_check_reads_their_files() {
    let dir = TempDir::new();
    let app = Peer::start(|_, _| text("# TYPE a counter\na{x=\"1\"} 7\n"));
    dir.write("good.eps", &format!(r#"[{{"targets": ["{}"]}}]"#, app.address));
    dir.write("bad.eps", r#"[{"name": "x"}]"#);
    let config = format!(
        r#"{{"collector": {{"preset": "none"}}, "endpoints": [{}], "endpoints_files": ["{}/*.eps"]}}"#,
        endpoint("app", &app, ""),
        dir.path().display()
    );
    let config = dir.write("config.json", &config);
    let once = run(metricsd().arg("-config").arg(&config).arg("-once"));
    assert_eq!(once.code, 0, "{}", once.stderr);
    let instance = app.address;
    assert!(once.stdout.contains(&format!("a{{instance=\"{instance}\",job=\"app\",x=\"1\"}} 7\n")), "{}", once.stdout);
    assert!(once.stdout.contains(&format!("a{{instance=\"{instance}\",job=\"good\",x=\"1\"}} 7\n")), "{}", once.stdout);
    assert!(once.stderr.contains("bad.eps"), "{}", once.stderr);
    let check = run(metricsd().arg("-config").arg(&config).arg("-check"));
    assert_eq!(check.code, 0, "{}", check.stderr);
    assert!(check.stderr.contains("endpoints[0].url: required"), "{}", check.stderr);
}
