//! `graphite` from the real program to a scripted peer.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::support::pki::Authority;
use crate::support::program::{Daemon, TempDir};
use crate::support::tls_peer::Setup;
use crate::support::wait_for;

/// For what comes by itself.
const SOON: Duration = Duration::from_secs(20);

fn start(dir: &TempDir, endpoint: &str, more: &str) -> Daemon {
    let config = format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{"interval_seconds": 0.2}},
            "shippers": [{{"name": "carbon", "type": "graphite", "endpoint": "{endpoint}", "timeout": "1s"{more},
                           "spool": {{"mode": "memory"}}}}]}}"#
    );
    Daemon::start(dir.path(), &config)
}

fn endpoint(listener: &TcpListener) -> String {
    format!("tcp://{}", listener.local_addr().unwrap())
}

/// The lines that come in on `stream`, until it ends.
fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if tell.send(line).is_err() {
                return;
            }
        }
    });
    told
}

fn accept(listener: &TcpListener) -> TcpStream {
    listener.accept().unwrap().0
}

#[test]
fn a_host_is_written_on_one_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = TempDir::new();
    let daemon = start(&dir, &endpoint(&listener), "");
    let lines = lines(accept(&listener));
    let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
    let uptime = format!("system_uptime_seconds;host={host} ");
    for _ in 0..3 {
        let line = std::iter::from_fn(|| lines.recv_timeout(SOON).ok()).find(|line| line.starts_with(&uptime)).unwrap();
        let (value, seconds) = line[uptime.len()..].split_once(' ').unwrap();
        assert!(value.parse::<f64>().unwrap() > 0.0 && seconds.len() == 10, "{line}");
    }
    let sent = r#"metricsd_destination_samples_sent_total{destination="carbon"}"#;
    wait_for("samples", || daemon.metric(sent).filter(|sent| *sent > 100.0));
    assert!(daemon.log().contains("graphite to tcp://127.0.0.1:"), "{}", daemon.log());
}

#[test]
fn over_tls_a_path_comes_to_who_can_show_a_certificate() {
    let dir = TempDir::new();
    let authority = Authority::new("test root");
    let setup = Setup::new(&authority.issue(&["localhost"]));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let ca = dir.write("ca.pem", &authority.pem);
    let more = format!(
        r#", "graphite": {{"tags": false}}, "labels": {{"host": "h"}}, "tls": {{"enabled": true, "ca_file": {ca:?}}}"#
    );
    let daemon = start(&dir, &format!("tls://localhost:{port}"), &more);
    let stream = accept(&listener);
    let connection = rustls::ServerConnection::new(setup.config()).unwrap();
    let lines = lines(rustls::StreamOwned::new(connection, stream));
    let line =
        std::iter::from_fn(|| lines.recv_timeout(SOON).ok()).find(|line| line.starts_with("system_uptime")).unwrap();
    assert!(line.starts_with("system_uptime_seconds.host.h "), "{line}");
    wait_for("the log", || daemon.log().contains("; TLS1.3 TLS_").then_some(()));
}

#[test]
fn a_peer_that_never_reads_holds_up_nobody_and_what_it_had_not_read_comes_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = TempDir::new();
    // Some ten kilobytes a tick, so that the kernels' buffers are soon full.
    let text = "x".repeat(400);
    let first_second = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let daemon = start(&dir, &endpoint(&listener), &format!(r#", "labels": {{"long": "{text}"}}"#));
    let silent = accept(&listener);
    let retried = r#"metricsd_destination_requests_total{destination="carbon",outcome="retried"}"#;
    wait_for("a write that is given up", || daemon.metric(retried).filter(|count| *count > 0.0));
    let rounds = daemon.metric("metricsd_collections_total").unwrap();
    wait_for("collection to go on", || daemon.metric("metricsd_collections_total").filter(|n| *n > rounds + 3.0));
    assert!(daemon.log().contains("the request was not taken within 1s (shipper.timeout)"), "{}", daemon.log());
    drop(silent);
    // Connections that were reset while they waited here end at once; the last one stays.
    let mut seen: BTreeSet<i64> = BTreeSet::new();
    let begun = Instant::now();
    let is_complete =
        |seen: &BTreeSet<i64>| seen.len() > 3 && seen.iter().zip(seen.iter().skip(1)).all(|(a, b)| b - a == 1);
    let (tell, told) = channel();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let _ = tell.send(lines(stream));
        }
    });
    let mut connections: Vec<Receiver<String>> = Vec::new();
    loop {
        connections.extend(told.try_iter());
        for line in connections.iter().flat_map(|lines| lines.try_iter()) {
            if line.starts_with("system_uptime_seconds;") {
                seen.insert(line.rsplit(' ').next().unwrap().parse().unwrap());
            }
        }
        // The first ticks are there as well, though they were counted as sent when nobody had read them.
        if is_complete(&seen) && seen.first().is_some_and(|first| *first <= first_second + 3) {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{first_second}: {seen:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
