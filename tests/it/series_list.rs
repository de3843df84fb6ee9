//! What vanished while metricsd was down ends at its receiver after the start.

use std::collections::BTreeSet;
use std::fs;

use nix::sys::signal::Signal;

use crate::own_metrics::{is_stale, series};
use crate::support::peer::{Peer, Reply};
use crate::support::program::{Daemon, TempDir};
use crate::support::wait_for;

/// A series in the list of one that ran before.
fn listed(name: &str) -> Vec<u8> {
    let mut bytes = b"g\x00\x00\x03".to_vec();
    for text in ["__name__", name, "instance", "host-1", "job", "metricsd"] {
        bytes.push(text.len() as u8);
        bytes.extend(text.bytes());
    }
    bytes
}

/// The series that have ended in the first `count` requests.
fn ended(peer: &Peer, count: usize) -> BTreeSet<String> {
    let requests = wait_for("requests", || Some(peer.received()).filter(|received| received.len() >= count));
    let all = requests[..count].iter().flat_map(series);
    all.filter(|(_, value)| is_stale(value)).map(|(series, _)| series).collect()
}

#[test]
fn what_an_older_version_had_sent_ends_with_the_first_tick_unless_it_comes_again() {
    let dir = TempDir::new();
    fs::create_dir(dir.path().join("spool")).unwrap();
    let peer = Peer::start(|_, _| Reply::status(200));
    let config = |collector: &str, peer: &Peer| {
        format!(
            r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "labels": {{"instance": "host-1"}},
                "collector": {{"interval_seconds": 0.1{collector}}}, "spool": {{"dir": "{}/spool"}},
                "shipper": {{"name": "remote", "type": "prometheus_remote_write", "endpoint": "{}"}}}}"#,
            dir.path().display(),
            peer.url("/")
        )
    };
    // Of a collector that does not give it any more, of one that still does, and of one that is no more.
    let lists = [("load", ["system_load_9m", "system_load_1m"]), ("gone", ["gone_1", "gone_2"])];
    let source = |(name, series): (&str, [&str; 2])| {
        [&[name.len() as u8], name.as_bytes(), &[2], &series.map(listed).concat()].concat()
    };
    let packed = snap::raw::Encoder::new().compress_vec(&lists.map(source).concat()).unwrap();
    let file = [b"MDSERIES\x02", &crc32fast::hash(&packed).to_le_bytes()[..], &packed].concat();
    fs::write(dir.path().join("spool/remote.series"), file).unwrap();

    let mut daemon = Daemon::start(dir.path(), &config("", &peer));
    let first = ended(&peer, 3);
    let names = ["system_load_9m", "gone_1", "gone_2"].map(|name| format!("{name}{{job=metricsd}}"));
    assert_eq!(first, names.into_iter().collect());
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0, "{}", daemon.log());
    assert!(!daemon.log().contains("damaged"), "{}", daemon.log());
    let last = series(peer.received().last().unwrap());

    // What it has written down itself is there at the next start.
    let peer = Peer::start(|_, _| Reply::status(200));
    let daemon = Daemon::start(dir.path(), &config(r#", "enable_load": false"#, &peer));
    let gone = ended(&peer, 3);
    let load: BTreeSet<String> = last.into_keys().filter(|series| series.starts_with("system_load_")).collect();
    assert_eq!(load.len(), 3, "{load:?}");
    assert_eq!(gone, load);
    assert!(!daemon.log().contains("damaged"), "{}", daemon.log());
}
