//! TLS to others than the destination itself, and to it by way of others.

use metricsd::formats::Compression;
use metricsd::http::{Authorization, Credentials, HttpSettings, OAuth2Settings};
use metricsd::secret::{Secret, Source};

use super::World;
use crate::lanes::{Running, json_to};
use crate::support::peer::{Peer, Reply};
use crate::support::program::{metricsd, run};
use crate::support::proxy::{Conduct, Proxy};
use crate::support::tls_peer::{Setup, TlsPeer};
use crate::support::wait_for;

#[test]
fn tls_goes_through_a_proxy_to_a_name_that_it_alone_knows() {
    let world = World::new();
    let peer = TlsPeer::start(&Setup::new(&world.authority.issue(&["inside.invalid"])));
    let proxy = Proxy::start(Conduct::Through(peer.address));
    let settings = HttpSettings {
        tls: Some(Box::new(world.client())),
        proxy: Some(format!("http://{}", proxy.address).into()),
        ..HttpSettings::new("https://inside.invalid/in".into())
    };
    let mut lane = Running::start(json_to(settings, Compression::None));
    lane.tick(1000);
    lane.wait_sent(2);
    let greetings = wait_for("the handshake", || Some(peer.greetings()).filter(|greetings| !greetings.is_empty()));
    assert_eq!(greetings[0].server_name.as_deref(), Some("inside.invalid"));
    assert!(proxy.heads()[0].starts_with("CONNECT inside.invalid:443 "), "{:?}", proxy.heads());
}

#[test]
fn a_token_comes_over_tls_by_the_same_trust_and_with_the_same_certificate() {
    let world = World::new();
    let setup = Setup::with_clients_of(&world.server, &world.authority);
    let tokens = TlsPeer::start(&Setup {
        body: r#"{"access_token": "t0ken-s3cr3t", "token_type": "Bearer", "expires_in": 3600}"#,
        ..Setup::with_clients_of(&world.server, &world.authority)
    });
    let peer = TlsPeer::start(&setup);
    let agent = world.authority.issue(&["agent.example"]);
    let oauth = OAuth2Settings {
        token_url: tokens.url().into(),
        client_id: "agent".to_owned(),
        client_secret: Source::Given(Secret::new("cl1ent-s3cr3t")),
        scopes: Vec::new(),
        endpoint_params: Vec::new(),
        proxy: None,
    };
    let settings = HttpSettings {
        tls: Some(Box::new(super::showing(world.client(), world.dir.path(), "agent", &agent))),
        credentials: Credentials { authorization: Authorization::OAuth2(Box::new(oauth)), ..Credentials::default() },
        ..HttpSettings::new(peer.url().into())
    };
    let mut lane = Running::start(json_to(settings, Compression::None));
    for tick in 1..=3 {
        lane.tick(1000 * tick);
        lane.wait_sent(2 * tick as u64);
    }
    let certificate = Some(agent.chain[0].clone());
    assert_eq!((tokens.greetings()[0].client.clone(), tokens.received().len()), (certificate.clone(), 1));
    assert_eq!(peer.greetings()[0].client, certificate);
    assert!(peer.received().iter().all(|request| request.header("authorization") == Some("Bearer t0ken-s3cr3t")));
}

#[test]
fn health_asks_this_machine_without_verifying_its_certificate() {
    let world = World::new();
    let peer = TlsPeer::start(&Setup::new(&world.server));
    let ran = run(metricsd().args(["-health", &peer.url()]));
    assert_eq!((ran.code, &*ran.stderr), (0, ""));
}

#[test]
fn health_speaks_of_no_field_that_it_does_not_have() {
    let world = World::new();
    let asking = TlsPeer::start(&Setup::with_clients_of(&world.server, &world.authority));
    let hanging = Peer::start(|_, _| Reply::Hang);
    for (url, said) in [
        (asking.url(), "tlsv13 alert certificate required: the server wants a client certificate"),
        (hanging.url("/health"), "no complete answer within "),
    ] {
        let ran = run(metricsd().args(["-health", &url]));
        assert_eq!(ran.code, 69, "{}", ran.stderr);
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
        for field in ["shipper", "timeout", "tls.", "cert_file", "ca_file"] {
            assert!(!ran.stderr.contains(field), "{}", ran.stderr);
        }
    }
}

#[test]
fn health_adds_the_scheme() {
    let peer = Peer::start(|_, _| Reply::status(200));
    for (asked, line) in [("/ready", "GET /ready HTTP/1.1"), ("", "GET /health HTTP/1.1")] {
        let ran = run(metricsd().args(["-health", &format!("{}{asked}", peer.address)]));
        assert_eq!((ran.code, &*ran.stderr), (0, ""));
        assert_eq!(peer.received().last().unwrap().line, line);
    }
}
