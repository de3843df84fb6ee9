//! Each field of `tls` does what its row says.

use std::time::{Duration, Instant};

use metricsd::http::HttpSettings;
use metricsd::telemetry::Outcome;
use metricsd::tls::{ClientSettings, SUITES_12, SUITES_13, Version};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};

use super::{World, deliver, destination, showing};
use crate::lanes::{Running, http};
use crate::support::pki::{self, Authority, fixture, fixture_key, write_key};
use crate::support::program::{Daemon, TempDir, free_port, metricsd};
use crate::support::tls_peer::{Setup, TlsPeer, Wrong, wrong_port};
use crate::support::wait_for;

/// The last error of a lane whose first tick fails.
fn error_of(mut lane: Running) -> String {
    lane.tick(1000);
    let error =
        wait_for("a failure", || (lane.status.requests(Outcome::Retried) > 0).then(|| lane.status.state().1).flatten());
    lane.stop();
    error
}

fn name(text: &str) -> Option<ServerName<'static>> {
    Some(ServerName::try_from(text.to_owned()).unwrap())
}

#[test]
fn a_chain_is_verified_by_any_of_the_certificates_in_ca_file() {
    let world = World::new();
    let (other, root) = (Authority::new("other root"), Authority::new("right root"));
    let server = root.intermediate("between").issue(&["localhost"]);
    assert_eq!(server.chain.len(), 2);
    let peer = TlsPeer::start(&Setup::new(&server));
    let bundle = format!("# Two of them.\n{}\nand the right one:\n{}", other.pem, root.pem.replace('\n', "\r\n"));
    let settings =
        ClientSettings { ca_file: Some(world.dir.write("bundle.pem", &bundle)), ..ClientSettings::default() };
    let mut lane = world.lane(&peer, settings);
    deliver(&mut lane, 1, 3);
    lane.stop();
    let greetings = peer.greetings();
    assert_eq!(greetings.len(), 1, "one connection for all");
    assert_eq!((greetings[0].version.as_str(), greetings[0].resumed), ("TLSv1_3", false));
    assert_eq!(greetings[0].server_name.as_deref(), Some("localhost"));
}

#[test]
fn a_self_signed_certificate_is_trusted_when_it_is_named_itself() {
    for is_ca in [false, true] {
        let world = World::new();
        let made = |names: &[&str], until: i32| {
            pki::Issued::self_signed(names, |params| {
                params.not_after = rcgen::date_time_ymd(until, 1, 1);
                if is_ca {
                    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
                }
            })
        };
        let outcome = |server: &pki::Issued| {
            let peer = TlsPeer::start(&Setup::new(server));
            let ca_file = Some(world.dir.write("self.pem", &server.pem));
            let mut lane = world.lane(&peer, ClientSettings { ca_file, ..ClientSettings::default() });
            lane.tick(1000);
            wait_for("an outcome", || {
                let failed = lane.status.requests(Outcome::Retried) > 0;
                if failed { lane.status.state().1 } else { (lane.status.samples_sent() > 0).then(String::new) }
            })
        };
        assert_eq!(outcome(&made(&["localhost"], 2100)), "", "{is_ca}");
        // Its name and its dates are checked all the same.
        assert!(outcome(&made(&["other.example"], 2100)).contains("hostname mismatch"), "{is_ca}");
        assert!(outcome(&made(&["localhost"], 2020)).contains("certificate has expired"), "{is_ca}");
    }
}

/// A daemon whose only destination is `peer`, by the system's roots in `roots`.
fn with_system_roots(dir: &TempDir, peer: &TlsPeer, roots: &str) -> Daemon {
    let port = free_port();
    let config = dir.write(
        "config.json",
        &format!(
            r#"{{"server": {{"host": "127.0.0.1", "port": {port}}}, "collector": {{"interval_seconds": 0.1}},
                "shipper": {{"name": "main", "type": "http_json", "endpoint": "{}"}}}}"#,
            peer.url()
        ),
    );
    let roots = dir.write("roots.pem", roots);
    Daemon::spawn(metricsd().env("SSL_CERT_FILE", roots).arg("-config").arg(config), port)
}

#[test]
fn without_ca_file_the_systems_roots_count_and_mozillas_where_it_has_none() {
    let world = World::new();
    let peer = TlsPeer::start(&world.setup());
    let daemon = with_system_roots(&world.dir, &peer, &world.authority.pem);
    wait_for("a delivery", || (!peer.received().is_empty()).then_some(()));
    // With what was agreed on, in the words of the configuration.
    let line = wait_for("the word", || {
        daemon.log().lines().find(|line| line.contains("destination main: delivers; ")).map(str::to_owned)
    });
    let agreed = SUITES_13.map(|suite| format!(" bytes; TLS1.3 {suite}"));
    assert!(agreed.iter().any(|agreed| line.ends_with(agreed)), "{line}");

    let dir = TempDir::new();
    let peer = TlsPeer::start(&world.setup());
    let daemon = with_system_roots(&dir, &peer, "");
    wait_for("the refusal", || daemon.log().contains("unable to get local issuer certificate").then_some(()));
    assert!(peer.received().is_empty());
}

#[test]
fn server_name_is_asked_for_and_is_what_the_certificate_must_hold() {
    let world = World::new();
    for (names, host, server_name, asked) in [
        (&["localhost"][..], "localhost", None, Some("localhost")),
        (&["metrics.example"], "localhost", name("metrics.example"), Some("metrics.example")),
        (&["*.test.example"], "127.0.0.1", name("a.test.example"), Some("a.test.example")),
        // Addresses are no names that could be asked for.
        (&["127.0.0.1"], "127.0.0.1", None, None),
        (&["192.0.2.7"], "localhost", name("192.0.2.7"), None),
    ] {
        let peer = TlsPeer::start(&Setup::new(&world.authority.issue(names)));
        let url = format!("https://{host}:{}/in", peer.address.port());
        let mut lane = Running::start(destination(url, ClientSettings { server_name, ..world.client() }));
        deliver(&mut lane, 1, 1);
        lane.stop();
        assert_eq!(peer.greetings()[0].server_name.as_deref(), asked, "{names:?}");
        assert!(peer.received()[0].header("host").unwrap().starts_with(host), "HTTP speaks of the URL's host");
    }
    let peer = TlsPeer::start(&world.setup());
    let error = error_of(world.lane(&peer, ClientSettings { server_name: name("x.example"), ..world.client() }));
    let expected = "hostname mismatch: the certificate is for localhost, not for x.example; set tls.server_name to a \
                    name of the certificate";
    assert!(error.ends_with(expected), "{error}");
}

#[test]
fn versions_are_pinned_from_both_sides() {
    let world = World::new();
    let both = vec![&TLS13, &TLS12];
    for (min, max, server, spoken) in [
        (Version::Tls12, Version::Tls13, both.clone(), "TLSv1_3"),
        (Version::Tls12, Version::Tls12, both.clone(), "TLSv1_2"),
        (Version::Tls13, Version::Tls13, both, "TLSv1_3"),
        (Version::Tls12, Version::Tls13, vec![&TLS12], "TLSv1_2"),
        (Version::Tls13, Version::Tls13, vec![&TLS12], ""),
        (Version::Tls12, Version::Tls12, vec![&TLS13], ""),
    ] {
        let peer = TlsPeer::start(&Setup { versions: server, ..world.setup() });
        let settings = ClientSettings { min_version: min, max_version: max, ..world.client() };
        if spoken.is_empty() {
            let error = error_of(world.lane(&peer, settings));
            assert!(error.contains("tlsv1 alert protocol version"), "{error}");
            assert!(peer.greetings().is_empty());
            continue;
        }
        let mut lane = world.lane(&peer, settings);
        deliver(&mut lane, 1, 1);
        lane.stop();
        assert_eq!(peer.greetings()[0].version, spoken);
    }
}

#[test]
fn each_cipher_suite_can_be_chosen() {
    let world = World::new();
    let rsa = world.authority.issue_as(&["localhost"], fixture_key("rsa.pkcs8.pem"), |_| {});
    for suite in SUITES_13.iter().chain(&SUITES_12).copied() {
        let server = if suite.contains("_RSA_") { &rsa } else { &world.server };
        let peer = TlsPeer::start(&Setup::new(server));
        // A list without a suite of TLS 1.3 says nothing of that version, which stays then.
        let (version, max_version) =
            if SUITES_13.contains(&suite) { ("TLSv1_3", Version::Tls13) } else { ("TLSv1_2", Version::Tls12) };
        let settings = ClientSettings { cipher_suites: vec![suite.to_owned()], max_version, ..world.client() };
        let mut lane = world.lane(&peer, settings);
        deliver(&mut lane, 1, 1);
        lane.stop();
        let greeting = &peer.greetings()[0];
        assert_eq!((greeting.offered.as_slice(), greeting.suite.as_str()), (&[suite.to_owned()][..], suite));
        assert_eq!(greeting.version, version, "{suite}");
    }
}

#[test]
fn a_list_of_old_suites_alone_still_reaches_a_server_of_tls_1_3() {
    let world = World::new();
    let old = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
    for (version, spoken) in [(&TLS13, "TLSv1_3"), (&TLS12, "TLSv1_2")] {
        let peer = TlsPeer::start(&Setup { versions: vec![version], ..world.setup() });
        let settings = ClientSettings { cipher_suites: vec![old.to_owned()], ..world.client() };
        let mut lane = world.lane(&peer, settings);
        deliver(&mut lane, 1, 1);
        lane.stop();
        let greeting = &peer.greetings()[0];
        assert_eq!((greeting.version.as_str(), greeting.offered.len()), (spoken, 4), "{:?}", greeting.offered);
        assert!(spoken == "TLSv1_3" || greeting.suite == old, "{}", greeting.suite);
    }
}

#[test]
fn cipher_suites_are_offered_in_their_order() {
    let world = World::new();
    let order = [
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    ];
    let peer = TlsPeer::start(&world.setup());
    let settings =
        ClientSettings { cipher_suites: order.iter().map(|name| (*name).to_owned()).collect(), ..world.client() };
    let mut lane = world.lane(&peer, settings);
    deliver(&mut lane, 1, 1);
    lane.stop();
    let greeting = &peer.greetings()[0];
    assert_eq!(greeting.offered, order);
    assert_eq!(greeting.suite, "TLS_CHACHA20_POLY1305_SHA256");

    // None in common.
    let only = vec!["TLS_AES_256_GCM_SHA384"];
    let peer = TlsPeer::start(&Setup { suites: only, versions: vec![&TLS13], ..world.setup() });
    let settings = ClientSettings { cipher_suites: vec![SUITES_13[0].to_owned()], ..world.client() };
    let error = error_of(world.lane(&peer, settings));
    assert!(error.contains("sslv3 alert handshake failure: no cipher suite or key in common"), "{error}");
}

#[test]
fn of_a_hundred_connections_one_is_a_full_handshake_where_sessions_are_resumed() {
    let world = World::new();
    for (version, session_tickets, full) in
        [(&TLS13, true, 1), (&TLS12, true, 1), (&TLS13, false, 100), (&TLS12, false, 100)]
    {
        let peer = TlsPeer::start(&Setup { versions: vec![version], close_each: true, ..world.setup() });
        let mut lane = world.lane(&peer, ClientSettings { session_tickets, ..world.client() });
        deliver(&mut lane, 1, 100);
        let status = lane.stop();
        let greetings = peer.greetings();
        let count = |resumed: bool| greetings.iter().filter(|greeting| greeting.resumed == resumed).count();
        assert_eq!((count(false), count(true)), (full, 100 - full), "{version:?} {session_tickets}");
        // A connection that the peer has closed is noticed before it is used.
        assert_eq!(status.requests(Outcome::Retried), 0, "{version:?} {session_tickets}");
        assert_eq!(peer.failures(), [""; 0], "each connection was said goodbye to");
    }
}

#[test]
fn a_client_certificate_is_shown_to_whoever_asks() {
    let world = World::new();
    let client = world.authority.issue(&["agent.example"]);
    for version in [&TLS13, &TLS12] {
        for clients_optional in [false, true] {
            let setup = Setup {
                clients_optional,
                versions: vec![version],
                ..Setup::with_clients_of(&world.server, &world.authority)
            };
            let peer = TlsPeer::start(&setup);
            let mut lane = world.lane(&peer, showing(world.client(), world.dir.path(), "agent", &client));
            deliver(&mut lane, 1, 2);
            lane.stop();
            assert_eq!(peer.greetings()[0].client.as_ref(), client.chain.first());
        }
    }
    let setup = Setup { clients_optional: true, ..Setup::with_clients_of(&world.server, &world.authority) };
    let peer = TlsPeer::start(&setup);
    let mut lane = world.lane(&peer, world.client());
    deliver(&mut lane, 1, 1);
    lane.stop();
    assert_eq!(peer.greetings()[0].client, None);
}

#[test]
fn keys_of_every_kind_and_form_serve_both_sides() {
    let world = World::new();
    for (form, pkcs8) in [
        ("rsa.pkcs1.pem", "rsa.pkcs8.pem"),
        ("rsa.pkcs8.pem", "rsa.pkcs8.pem"),
        ("p256.sec1.pem", "p256.pkcs8.pem"),
        ("p256.pkcs8.pem", "p256.pkcs8.pem"),
        ("p384.sec1.pem", "p384.pkcs8.pem"),
        ("p384.pkcs8.pem", "p384.pkcs8.pem"),
        ("ed25519.pkcs8.pem", "ed25519.pkcs8.pem"),
    ] {
        let issued = world.authority.issue_as(&["localhost"], fixture_key(pkcs8), |_| {});
        for version in [&TLS13, &TLS12] {
            let setup = Setup { versions: vec![version], ..Setup::with_clients_of(&issued, &world.authority) };
            let peer = TlsPeer::start(&setup);
            let settings = showing(world.client(), world.dir.path(), "agent", &issued);
            write_key(&world.dir.path().join("agent.key"), &fixture(form));
            let mut lane = world.lane(&peer, settings);
            deliver(&mut lane, 1, 1);
            lane.stop();
            assert_eq!(peer.greetings()[0].client.as_ref(), issued.chain.first(), "{form}");
        }
    }
}

#[test]
fn a_client_certificate_without_extensions_is_shown_all_the_same() {
    let world = World::new();
    let certificate = world.dir.write("old.crt", &fixture("p256.v1.crt"));
    let key = world.dir.path().join("old.key");
    write_key(&key, &fixture("p256.pkcs8.pem"));
    let shown = CertificateDer::from_pem_slice(fixture("p256.v1.crt").as_bytes()).unwrap();
    for version in [&TLS13, &TLS12] {
        let settings = ClientSettings { identity: Some((certificate.clone(), key.clone())), ..world.client() };
        let taking = Setup { any_client: true, versions: vec![version], ..world.setup() };
        let peer = TlsPeer::start(&taking);
        let mut lane = world.lane(&peer, settings.clone());
        deliver(&mut lane, 1, 1);
        lane.stop();
        assert_eq!(peer.greetings()[0].client.as_ref(), Some(&shown));

        // Who does not take it says so, and we say what may be the matter.
        let asking = Setup { versions: vec![version], ..Setup::with_clients_of(&world.server, &world.authority) };
        let error = error_of(world.lane(&TlsPeer::start(&asking), settings));
        assert!(error.contains("the server refuses tls.cert_file: its purpose, or its X.509 version"), "{error}");
    }
}

#[test]
fn insecure_skip_verify_takes_any_certificate_warns_and_shows() {
    let world = World::new();
    let anybody = pki::Issued::self_signed(&["other.example"], |params| {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    let (careless, careful) = (TlsPeer::start(&Setup::new(&anybody)), TlsPeer::start(&world.setup()));
    let config = format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{"interval_seconds": 0.1}}, "shippers": [
            {{"name": "careless", "type": "http_json", "endpoint": "{}",
              "tls": {{"enabled": true, "insecure_skip_verify": true}}}},
            {{"name": "careful", "type": "http_json", "endpoint": "{}", "tls": {{"enabled": true, "ca_file": "{}"}}}}]}}"#,
        careless.url(),
        careful.url(),
        world.client().ca_file.unwrap().display(),
    );
    let daemon = Daemon::start(world.dir.path(), &config);
    for peer in [&careless, &careful] {
        wait_for("a delivery", || (!peer.received().is_empty()).then_some(()));
    }
    let warning = "shippers[0].tls.insecure_skip_verify: any certificate of the server is accepted";
    assert_eq!(daemon.log().matches(warning).count(), 1, "{}", daemon.log());
    let health: serde_json::Value = serde_json::from_str(&daemon.get("/health").unwrap().1).unwrap();
    assert_eq!(health["destinations"]["careless"]["insecure_skip_verify"], true);
    assert_eq!(health["destinations"]["careful"].get("insecure_skip_verify"), None);
}

#[test]
fn a_handshake_that_trickles_in_ends_with_the_requests_time() {
    let world = World::new();
    for wrong in [Wrong::Trickle(Duration::from_millis(50)), Wrong::Silent] {
        let url = format!("https://{}/in", wrong_port(wrong));
        let timeout = Duration::from_millis(700);
        let settings = HttpSettings { tls: Some(Box::new(world.client())), timeout, ..http(url) };
        let kind = crate::lanes::json_to(settings, metricsd::formats::Compression::None);
        let begun = Instant::now();
        let error = error_of(Running::start(kind));
        assert!(begun.elapsed() >= timeout, "{:?}", begun.elapsed());
        assert!(begun.elapsed() < timeout * 5, "{:?}", begun.elapsed());
        assert!(error.contains("no answer in the TLS handshake in time"), "{error}");
    }
}

#[test]
fn a_server_that_hangs_up_on_a_large_body_is_heard_all_the_same() {
    // In TLS 1.3 it refuses our certificate when we are sending already.
    let world = World::new();
    let setup = Setup { versions: vec![&TLS13], ..Setup::with_clients_of(&world.server, &world.authority) };
    let peer = TlsPeer::start(&setup);
    let mut lane = world.lane(&peer, world.client());
    lane.tick_of(1000, 5000);
    let errors: Vec<String> = (1..=5)
        .map(|attempt| {
            wait_for("a failure", || (lane.status.requests(Outcome::Retried) >= attempt).then(|| lane.status.state().1))
                .unwrap_or_default()
        })
        .collect();
    lane.stop();
    for error in errors {
        assert!(error.contains("tlsv13 alert certificate required: set tls.cert_file and tls.key_file"), "{error}");
    }
}
