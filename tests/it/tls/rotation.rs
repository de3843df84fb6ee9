//! Certificates, keys and authorities that change while metricsd runs.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use metricsd::telemetry::Outcome;
use metricsd::tls::ClientSettings;
use rcgen::date_time_ymd;
use rustls::pki_types::CertificateDer;

use super::{World, deliver, showing, trusting};
use crate::support::pki::{Authority, Issued, new_key, write_key};
use crate::support::program::Daemon;
use crate::support::tls_peer::{Setup, TlsPeer};
use crate::support::wait_for;

/// The times of the bodies that arrived, in their order.
fn times(peer: &TlsPeer) -> Vec<i64> {
    let time = |body: &[u8]| serde_json::from_slice::<serde_json::Value>(body).unwrap()["timestamp_ms"].as_i64();
    peer.received().iter().map(|request| time(&request.body).unwrap()).collect()
}

/// Ticks in thousandths of a second.
fn ticks(last: i64) -> Vec<i64> {
    (1..=last).map(|tick| tick * 1000).collect()
}

/// Each connection's client certificate.
fn shown(peer: &TlsPeer) -> Vec<CertificateDer<'static>> {
    peer.greetings().into_iter().map(|greeting| greeting.client.unwrap()).collect()
}

fn leaves(issued: &[&Issued]) -> Vec<CertificateDer<'static>> {
    issued.iter().map(|one| one.chain[0].clone()).collect()
}

fn replace(path: &Path, text: &str) {
    let next = path.with_extension("next");
    write_key(&next, text);
    fs::rename(next, path).unwrap();
}

/// A Kubernetes volume: `tls.crt` and `tls.key` are links through `..data` to a directory
/// that is exchanged as one.
fn publish(volume: &Path, version: &str, identity: &Issued) {
    let dir = volume.join(version);
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("tls.crt"), &identity.pem).unwrap();
    write_key(&dir.join("tls.key"), &identity.key_pem);
    symlink(version, volume.join("..data_tmp")).unwrap();
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
    for name in ["tls.crt", "tls.key"] {
        let _ = symlink(format!("..data/{name}"), volume.join(name));
    }
}

#[test]
fn a_new_certificate_is_shown_by_the_next_request_however_it_came() {
    let world = World::new();
    let dir = world.dir.path();
    let client = |name: &str| world.authority.issue(&[name]);
    let (first, renamed, written, swapped) =
        (client("1.example"), client("2.example"), client("3.example"), client("4"));
    let peer = TlsPeer::start(&Setup::with_clients_of(&world.server, &world.authority));
    let volume = dir.join("volume");
    publish(&volume, "..v1", &first);
    let settings =
        ClientSettings { identity: Some((volume.join("tls.crt"), volume.join("tls.key"))), ..world.client() };
    let mut lane = world.lane(&peer, settings);
    deliver(&mut lane, 1, 3);
    publish(&volume, "..v2", &swapped);
    deliver(&mut lane, 4, 6);
    lane.stop();
    assert_eq!(times(&peer), ticks(6));
    // One connection before it and one after it, though the first one was still good.
    assert_eq!(shown(&peer), leaves(&[&first, &swapped]));

    let peer = TlsPeer::start(&Setup::with_clients_of(&world.server, &world.authority));
    let mut lane = world.lane(&peer, showing(world.client(), dir, "agent", &first));
    deliver(&mut lane, 1, 2);
    replace(&dir.join("agent.crt"), &renamed.pem);
    // Half of it: the old pair goes on, on the connection that there is.
    deliver(&mut lane, 3, 4);
    replace(&dir.join("agent.key"), &renamed.key_pem);
    deliver(&mut lane, 5, 6);
    fs::write(dir.join("agent.crt"), &written.pem).unwrap();
    fs::write(dir.join("agent.key"), &written.key_pem).unwrap();
    deliver(&mut lane, 7, 8);
    // The same bytes again are no news.
    replace(&dir.join("agent.crt"), &written.pem);
    deliver(&mut lane, 9, 10);
    let status = lane.stop();
    assert_eq!(times(&peer), ticks(10));
    assert_eq!(status.requests(Outcome::Retried), 0);
    assert_eq!(shown(&peer), leaves(&[&first, &renamed, &written]));
}

#[test]
fn a_server_that_moves_to_another_authority_is_followed_when_ca_file_is() {
    let world = World::new();
    let next = Authority::new("next root");
    let peer = TlsPeer::start(&Setup { close_each: true, ..world.setup() });
    let mut lane = world.lane(&peer, world.client());
    deliver(&mut lane, 1, 3);
    peer.change_to(&Setup::new(&next.issue(&["localhost"])));
    for tick in 4..=6 {
        lane.tick(tick * 1000);
    }
    wait_for("the refusal", || (lane.status.requests(Outcome::Retried) > 2).then_some(()));
    let error = lane.status.state().1.unwrap();
    assert!(error.contains("unable to get local issuer certificate"), "{error}");
    trusting(&world.dir, &next);
    // It is looked for in the pause between two attempts, once a tick; and before each of them.
    lane.tick(7000);
    lane.wait_sent(14);
    lane.stop();
    assert_eq!(times(&peer), ticks(7));
}

#[test]
fn a_new_certificate_that_has_expired_is_taken_up_and_warned_of() {
    let world = World::new();
    let dir = world.dir.path();
    let (certificate, key) = world.authority.issue(&["1.example"]).write(dir, "agent");
    let ca = world.client().ca_file.unwrap();
    let peer = TlsPeer::start(&world.setup());
    let config = format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{"interval_seconds": 0.1}},
            "shipper": {{"name": "main", "type": "http_json", "endpoint": "{}", "tls": {{"enabled": true,
              "cert_file": "{}", "key_file": "{}", "ca_file": "{}"}}}}}}"#,
        peer.url(),
        certificate.display(),
        key.display(),
        ca.display()
    );
    let daemon = Daemon::start(dir, &config);
    let old =
        world.authority.issue_as(&["1.example"], new_key(), |params| params.not_after = date_time_ymd(2020, 1, 2));
    replace(&key, &old.key_pem);
    replace(&certificate, &old.pem);
    let said = format!("destination main: {}: certificate has expired on 2020-01-02", certificate.display());
    wait_for("the warning", || daemon.log().contains(&said).then_some(()));
    assert_eq!(daemon.log().matches("certificate has expired").count(), 1, "{}", daemon.log());
}

#[test]
fn what_is_wrong_in_new_files_is_said_once_and_the_last_good_ones_stay() {
    let world = World::new();
    let dir = world.dir.path();
    let (first, second) = (world.authority.issue(&["1.example"]), world.authority.issue(&["2.example"]));
    let (certificate, key) = first.write(dir, "agent");
    let ca = world.client().ca_file.unwrap();
    // Each request has a connection of its own, so it is the files that are good, not the connection.
    let setup = Setup { close_each: true, ..Setup::with_clients_of(&world.server, &world.authority) };
    let peer = TlsPeer::start(&setup);
    let config = format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{"interval_seconds": 0.1}},
            "shipper": {{"name": "main", "type": "http_json", "endpoint": "{}", "tls": {{"enabled": true,
              "cert_file": "{}", "key_file": "{}", "ca_file": "{}"}}}}}}"#,
        peer.url(),
        certificate.display(),
        key.display(),
        ca.display()
    );
    let daemon = Daemon::start(dir, &config);
    // More than what a file must be old to be settled, so that it is looked into many times.
    let settle = || {
        let until = std::time::Instant::now() + std::time::Duration::from_millis(2500);
        wait_for("deliveries to go on", || {
            (std::time::Instant::now() > until).then(|| peer.received().len()).filter(|n| *n > 10)
        })
    };
    let stays = "; the last good TLS files stay in use";
    let good = "destination main: its TLS files are good; they are used from the next connection on";
    let mut said = 0;
    let mut is_said_once = |line: &str| {
        let before = peer.received().len();
        wait_for(line, || daemon.log().contains(line).then_some(()));
        assert!(settle() > before, "nothing came any more");
        assert_eq!(daemon.log().matches(line).count(), 1, "{}", daemon.log());
        said += 1;
        assert_eq!(daemon.log().matches(stays).count(), said, "{}", daemon.log());
    };

    replace(&certificate, &second.pem);
    let words = format!(
        "destination main: {}: the private key is not this certificate's (key values mismatch){stays}",
        key.display()
    );
    is_said_once(&words);
    fs::remove_file(&ca).unwrap();
    is_said_once(&format!("destination main: {}: no such file{stays}", ca.display()));
    fs::write(&ca, "-----BEGIN CERTIFICATE-----\nMII").unwrap();
    let words =
        format!("destination main: {}: a PEM section has no END line; the file may be cut off{stays}", ca.display());
    is_said_once(&words);
    assert!(peer.greetings().iter().all(|greeting| greeting.client.as_ref() == first.chain.first()));
    assert!(!daemon.log().contains(good), "{}", daemon.log());

    fs::write(&ca, &world.authority.pem).unwrap();
    // With a key that is everybody's.
    let next = dir.join("next.key");
    fs::write(&next, &second.key_pem).unwrap();
    fs::set_permissions(&next, fs::Permissions::from_mode(0o644)).unwrap();
    fs::rename(next, &key).unwrap();
    wait_for("the new certificate", || {
        peer.greetings().iter().any(|greeting| greeting.client.as_ref() == second.chain.first()).then_some(())
    });
    assert_eq!(daemon.log().matches(good).count(), 1, "{}", daemon.log());
    let open =
        format!("destination main: {}: every user of this machine may read this file; chmod o-r it", key.display());
    assert_eq!(daemon.log().matches(&open).count(), 1, "{}", daemon.log());
    assert!(!daemon.log().contains("failed"), "{}", daemon.log());
}
