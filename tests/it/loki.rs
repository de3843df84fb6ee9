//! `loki` from the real program to a scripted peer: pushed logs arrive, and what it refuses of them is counted.

use prost::Message;

use crate::records::{config, push};
use crate::support::peer::{Peer, Received, Reply};
use crate::support::program::{Daemon, TempDir};

/// Messages as Loki's schema has them.
#[derive(Clone, PartialEq, Message)]
struct PushRequest {
    #[prost(message, repeated, tag = "1")]
    streams: Vec<StreamAdapter>,
}

#[derive(Clone, PartialEq, Message)]
struct StreamAdapter {
    #[prost(string, tag = "1")]
    labels: String,
    #[prost(message, repeated, tag = "2")]
    entries: Vec<EntryAdapter>,
}

#[derive(Clone, PartialEq, Message)]
struct EntryAdapter {
    #[prost(string, tag = "2")]
    line: String,
    #[prost(message, repeated, tag = "3")]
    structured_metadata: Vec<LabelPairAdapter>,
}

#[derive(Clone, PartialEq, Message)]
struct LabelPairAdapter {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

fn streams(request: &Received) -> Vec<StreamAdapter> {
    let message = snap::raw::Decoder::new().decompress_vec(&request.body).unwrap();
    PushRequest::decode(&message[..]).unwrap().streams
}

fn lines(request: &Received) -> Vec<String> {
    streams(request).into_iter().flat_map(|stream| stream.entries).map(|entry| entry.line).collect()
}

/// The program with one destination at each of these addresses, by its name.
fn daemon(dir: &TempDir, destinations: &[(&str, String)]) -> Daemon {
    let one = |(name, url): &(&str, String)| {
        format!(r#"{{"name": "{name}", "type": "loki", "endpoint": "{url}", "labels": {{"dc": "a\"b\\c"}}}}"#)
    };
    let shippers: Vec<String> = destinations.iter().map(one).collect();
    Daemon::start(dir.path(), &config(dir.path(), &shippers.join(",")))
}

#[test]
fn what_is_pushed_arrives_as_streams() {
    let peer = Peer::start(|_, _| Reply::status(204));
    let dir = TempDir::new();
    let destinations = [("base", peer.url("/base/")), ("whole", peer.url("/whole/loki/api/v1/push"))];
    let daemon = daemon(&dir, &destinations);
    assert_eq!(push(&daemon, &["a \"quoted\"\n", "b"]), 200);
    let mut requests = peer.received();
    requests.sort_by(|one, other| one.line.cmp(&other.line));
    let paths: Vec<&str> = requests.iter().map(|request| request.line.split(' ').nth(1).unwrap()).collect();
    assert_eq!(paths, ["/base/loki/api/v1/push", "/whole/loki/api/v1/push"], "and none of metrics");
    for request in &requests {
        assert_eq!(request.header("content-type"), Some("application/x-protobuf"));
        assert_eq!(request.header("content-encoding"), None);
        let streams = streams(request);
        let [stream] = &streams[..] else { panic!("{streams:?}") };
        assert!(stream.labels.starts_with(r#"{dc="a\"b\\c", host=""#), "{}", stream.labels);
        assert!(stream.labels.ends_with(r#"", source="shop"}"#), "{}", stream.labels);
        assert_eq!(lines(request), ["a \"quoted\"\n", "b"]);
        let level = LabelPairAdapter { name: "level".to_owned(), value: "info".to_owned() };
        assert!(stream.entries[0].structured_metadata.contains(&level), "{stream:?}");
    }
    assert_eq!(daemon.metric(r#"metricsd_destination_items_sent_total{destination="base"}"#), Some(2.0));
}

#[test]
fn entries_that_are_too_old_are_lost_and_the_next_body_goes_on() {
    const OLD: &str = "entry with timestamp 2023-11-14 22:13:20 +0000 UTC ignored, reason: 'entry too far behind, \
        entry timestamp is: 2023-11-14T22:13:20Z, oldest acceptable timestamp is: 2023-11-15T00:00:00Z',\nuser 'fake', \
        total ignored: 1 out of 3 for stream: {host=\"h\"}";
    let peer = Peer::start(|_, request| match lines(request).first().map(String::as_str) {
        Some("old") => Reply::Answer(400, vec![("Content-Type", "text/plain".into())], OLD),
        Some("bad") => Reply::Answer(400, Vec::new(), "error at least one label pair is required per stream"),
        _ => Reply::status(204),
    });
    let dir = TempDir::new();
    let daemon = daemon(&dir, &[("loki", peer.url(""))]);
    let of = |series: &str| daemon.metric(&format!("metricsd_destination_items_{series}"));
    assert_eq!(push(&daemon, &["old", "b", "c"]), 200);
    assert_eq!(push(&daemon, &["d"]), 200);
    assert_eq!(of(r#"sent_total{destination="loki"}"#), Some(3.0));
    assert_eq!(of(r#"dropped_total{destination="loki",reason="refused"}"#), Some(1.0));
    let said = "wrote 2 of its 3 records; the others are lost: entry with timestamp";
    assert!(daemon.log().contains(said), "{}", daemon.log());
    // What it says of no entry is about all.
    assert_eq!(push(&daemon, &["bad", "e"]), 200);
    assert_eq!(of(r#"dropped_total{destination="loki",reason="rejected"}"#), Some(2.0));
    assert_eq!(push(&daemon, &["f"]), 200);
    assert_eq!(of(r#"sent_total{destination="loki"}"#), Some(4.0));
    assert_eq!(peer.received().len(), 4, "nothing is sent again");
}

#[test]
fn a_body_that_is_too_large_is_divided() {
    let peer = Peer::start(|_, request| Reply::status(if lines(request).len() > 3 { 413 } else { 204 }));
    let dir = TempDir::new();
    let daemon = daemon(&dir, &[("loki", peer.url(""))]);
    let all: Vec<String> = (0..10).map(|n| n.to_string()).collect();
    assert_eq!(push(&daemon, &all.iter().map(String::as_str).collect::<Vec<_>>()), 200);
    let received = peer.received();
    let taken: Vec<String> = received.iter().map(lines).filter(|lines| lines.len() <= 3).flatten().collect();
    assert_eq!(taken, all);
    assert_eq!(daemon.metric(r#"metricsd_destination_items_sent_total{destination="loki"}"#), Some(10.0));
}
