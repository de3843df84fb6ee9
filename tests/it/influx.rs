//! `influxdb` from the real program to a scripted receiver.

use std::collections::HashMap;
use std::io::Read;

use metricsd::model::Scheme;

use crate::support::peer::{Peer, Received, Reply};
use crate::support::program::{Daemon, TempDir};
use crate::support::wait_for;

const V1: &str = r#""influxdb": {"database": "d"}"#;
const V2: &str = r#""influxdb": {"org": "o", "bucket": "b", "token": "s3cr3t-token"}"#;

fn start(dir: &TempDir, peer: &Peer, more: &str) -> Daemon {
    let config = format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{"interval_seconds": 0.2}},
            "shippers": [{{"name": "influx", "type": "influxdb", "endpoint": "{}", {more},
                           "spool": {{"mode": "memory"}}}}]}}"#,
        peer.url("")
    );
    Daemon::start(dir.path(), &config)
}

fn text(request: &Received) -> String {
    assert_eq!(request.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(request.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(&request.body[..]).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_host_is_written_as_lines_with_its_token_in_the_header_alone() {
    let peer = Peer::start(|_, _| Reply::status(204));
    let dir = TempDir::new();
    let daemon = start(&dir, &peer, V2);
    let request = wait_for("a request", || peer.received().first().cloned());
    assert_eq!(request.line, "POST /api/v2/write?org=o&bucket=b&precision=ms HTTP/1.1");
    assert_eq!(request.header("authorization"), Some("Token s3cr3t-token"));
    let text = text(&request);
    let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
    let total = format!("system_memory_total_bytes,host={host} value=");
    let line = text.lines().find(|line| line.starts_with(&total)).unwrap();
    let (value, time) = line[total.len()..].split_once(' ').unwrap();
    assert!(value.parse::<u64>().is_ok() && time.len() == 13, "{line}");
    let sent = r#"metricsd_destination_samples_sent_total{destination="influx"}"#;
    wait_for("samples", || daemon.metric(sent).filter(|sent| *sent >= text.lines().count() as f64));
}

#[test]
fn a_part_that_was_not_written_is_counted_and_costs_nothing_else() {
    let said = r#"{"error":"partial write: points beyond retention policy dropped=3"}"#;
    let peer = Peer::start(move |n, _| if n == 1 { Reply::Answer(400, vec![], said) } else { Reply::status(204) });
    let dir = TempDir::new();
    let daemon = start(&dir, &peer, V1);
    wait_for("some requests", || (peer.received().len() > 3).then_some(()));
    let refused = r#"metricsd_destination_samples_dropped_total{destination="influx",reason="refused"}"#;
    assert_eq!(wait_for("the loss", || daemon.metric(refused).filter(|lost| *lost > 0.0)), 3.0);
    let outcome = |outcome: &str| {
        daemon.metric(&format!(r#"metricsd_destination_requests_total{{destination="influx",outcome="{outcome}"}}"#))
    };
    assert_eq!((outcome("rejected"), outcome("retried")), (Some(0.0), Some(0.0)));
    let log = daemon.log();
    assert!(log.contains("the others are lost: partial write: points beyond retention policy dropped=3"), "{log}");
}

#[test]
fn answers_of_all_kinds_have_the_verdict_of_their_status() {
    let page: &str = "<html><head><title>400 Bad Request</title></head>partial write</html>";
    for (reply, outcome) in [
        (Reply::Answer(400, vec![], r#"{"error":"unable to parse 'x': missing fields"}"#), "rejected"),
        (Reply::Answer(400, vec![], ""), "rejected"),
        (Reply::Answer(401, vec![], r#"{"code":"unauthorized"}"#), "held"),
        (Reply::Answer(404, vec![], r#"{"error":"database not found: \"d\""}"#), "held"),
        (Reply::Answer(503, vec![], page), "retried"),
        (Reply::ResetInBody, "delivered"),
        (Reply::Endless, "delivered"),
    ] {
        let said = format!("{reply:?}");
        let peer = Peer::start(move |_, _| reply.clone());
        let dir = TempDir::new();
        let daemon = start(&dir, &peer, V1);
        let requests = format!(r#"metricsd_destination_requests_total{{destination="influx",outcome="{outcome}"}}"#);
        wait_for(&said, || daemon.metric(&requests).filter(|count| *count > 0.0));
    }
}

#[test]
fn no_two_of_our_names_are_one_field_by_family() {
    // The rule, as the documentation has it.
    let split = |name: &str, unit: &str| {
        let between = if name.contains('.') { '.' } else { '_' };
        let words: Vec<&str> = name.split(between).collect();
        if words.len() < 3 {
            return (name.to_owned(), "value".to_owned());
        }
        let (first, rest) = words.split_at(2);
        let (first, rest) = (first.join(&between.to_string()), rest.join(&between.to_string()));
        let bare = rest.strip_suffix(&format!("_{unit}")).filter(|_| !unit.is_empty()).map(str::to_owned);
        (first, bare.unwrap_or(rest))
    };
    for scheme in Scheme::ALL {
        let mut seen: HashMap<(String, String), &str> = HashMap::new();
        for (metric, _) in metricsd::collectors::families(scheme) {
            let before = seen.insert(split(metric.name, metric.unit), metric.name);
            assert!(before.is_none_or(|before| before == metric.name), "{} and {before:?}", metric.name);
        }
        assert!(seen.len() > 50, "{}", seen.len());
    }
}
