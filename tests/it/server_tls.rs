//! The HTTP server behind TLS and credentials: who gets in, who does not, and what clients
//! that misbehave cost the others.

use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use metricsd::secret::{Secret, Source};
use metricsd::server::{AuthSettings, Response, Settings};
use metricsd::tls::{ServerSettings, Version};
use nix::sys::signal::Signal;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};

use crate::pushes::{next, post, taking_as};
use crate::server::{Answer, connect, crowd, send, serve_as, server_sockets, until};
use crate::support::pki::{Authority, Issued, fixture, new_key, write_key};
use crate::support::program::{Daemon, TempDir, metricsd, run};
use crate::support::wait_for;

const USER: &str = "scraper";
const PASSWORD: &str = "pässword: with colon";
const TOKEN: &str = "token-5c2e";

/// A server's settings with certificates from `ca`, the files in `dir`.
fn tls(dir: &TempDir, ca: &Authority) -> ServerSettings {
    let (cert_file, key_file) = ca.issue(&["localhost"]).write(dir.path(), "server");
    ServerSettings {
        cert_file,
        key_file,
        client_ca_file: None,
        min_version: Version::Tls12,
        max_version: Version::Tls13,
        cipher_suites: Vec::new(),
        session_tickets: true,
    }
}

fn with(tls: ServerSettings) -> Settings {
    Settings { tls: Some(tls), ..Settings::default() }
}

/// A client that trusts `ca`, and may have a certificate of its own.
fn client(
    ca: &Authority,
    own: Option<&Issued>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(ca.certificate().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    match own {
        None => builder.with_no_client_auth(),
        Some(own) => builder.with_client_auth_cert(own.chain.clone(), own.key()).unwrap(),
    }
}

/// A server over TLS as it is by default, which lives as long as the first of these; its
/// address, and a client that trusts it.
fn served(series: usize) -> (impl Sized, SocketAddr, Arc<ClientConfig>) {
    let (dir, ca) = (TempDir::new(), Authority::new("ca"));
    let (server, telemetry) = serve_as(with(tls(&dir, &ca)), series);
    let at = server.local_addr();
    ((server, telemetry, dir), at, Arc::new(client(&ca, None, rustls::ALL_VERSIONS)))
}

type Over = StreamOwned<ClientConnection, TcpStream>;

fn open(address: SocketAddr, config: &Arc<ClientConfig>) -> Over {
    let name = ServerName::try_from("localhost").unwrap();
    StreamOwned::new(ClientConnection::new(Arc::clone(config), name).unwrap(), connect(address))
}

fn request(method: &str, path: &str, more: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: a\r\n{more}\r\n")
}

/// Asks, and reads up to TLS' own end: an end without that is an error.
fn ask_over(stream: &mut Over, request: &str) -> io::Result<Answer> {
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(Answer::of(&text))
}

fn get(address: SocketAddr, config: &Arc<ClientConfig>, path: &str) -> io::Result<Answer> {
    ask_over(&mut open(address, config), &request("GET", path, ""))
}

/// How long a probe of `/live` takes, handshake included.
fn live_takes(address: SocketAddr, config: &Arc<ClientConfig>) -> Duration {
    let start = Instant::now();
    assert_eq!(get(address, config, "/live").unwrap().status, 200);
    start.elapsed()
}

#[test]
fn https_is_served_by_both_versions_and_every_suite() {
    let (dir, ca) = (TempDir::new(), Authority::new("ca"));
    let (server, _telemetry) = serve_as(with(tls(&dir, &ca)), 3);
    let at = server.local_addr();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = Arc::new(client(&ca, None, &[version]));
        for path in ["/", "/health", "/ready", "/live", "/metrics"] {
            let get = get(at, &config, path).unwrap();
            assert_eq!((get.status, get.field("Connection")), (200, Some("close")), "{path}");
            assert_eq!(get.field("Content-Length"), Some(&*get.body.len().to_string()), "{path}");
            let head = ask_over(&mut open(at, &config), &request("HEAD", path, "")).unwrap();
            assert_eq!((head.status, &*head.body), (200, ""), "{path}");
        }
        assert_eq!(ask_over(&mut open(at, &config), &request("PUT", "/live", "")).unwrap().status, 405);
        let mut stream = open(at, &config);
        ask_over(&mut stream, &request("GET", "/live", "")).unwrap();
        assert_eq!(stream.conn.protocol_version(), Some(version.version));
    }
    until("all connections are gone", || server_sockets(at.port()) == 1);
}

#[test]
fn versions_and_suites_are_those_of_the_configuration() {
    let (dir, ca) = (TempDir::new(), Authority::new("ca"));
    let new = ServerSettings { min_version: Version::Tls13, ..tls(&dir, &ca) };
    let (server, _telemetry) = serve_as(with(new), 1);
    let old_client = Arc::new(client(&ca, None, &[&rustls::version::TLS12]));
    let error = get(server.local_addr(), &old_client, "/live").err().unwrap().to_string();
    assert!(error.contains("ProtocolVersion"), "{error}");

    let suite = "TLS_CHACHA20_POLY1305_SHA256".to_owned();
    let other = "TLS_AES_128_GCM_SHA256".to_owned();
    let picky = ServerSettings { cipher_suites: vec![suite, other], ..tls(&dir, &ca) };
    let (server, _telemetry) = serve_as(with(picky), 1);
    // rustls prefers AES; the server's order counts.
    let mut stream = open(server.local_addr(), &Arc::new(client(&ca, None, rustls::ALL_VERSIONS)));
    ask_over(&mut stream, &request("GET", "/live", "")).unwrap();
    let chosen = stream.conn.negotiated_cipher_suite().unwrap().suite();
    assert_eq!(chosen, rustls::CipherSuite::TLS13_CHACHA20_POLY1305_SHA256);

    // A list without a suite of TLS 1.3 says nothing of that version.
    let suite = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256".to_owned();
    let old = ServerSettings { cipher_suites: vec![suite], ..tls(&dir, &ca) };
    let (server, _telemetry) = serve_as(with(old), 2);
    for version in rustls::ALL_VERSIONS {
        let client = Arc::new(client(&ca, None, &[version]));
        assert_eq!(get(server.local_addr(), &client, "/live").unwrap().status, 200, "{version:?}");
    }
}

#[test]
fn client_certificates_are_required_where_an_authority_is_named() {
    let (dir, ca, others) = (TempDir::new(), Authority::new("ca"), Authority::new("others"));
    let clients = dir.write("clients.pem", &ca.pem);
    let settings = ServerSettings { client_ca_file: Some(clients), ..tls(&dir, &ca) };
    let (server, _telemetry) = serve_as(with(settings), 1);
    let at = server.local_addr();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let good = Arc::new(client(&ca, Some(&ca.issue(&["prometheus"])), &[version]));
        assert_eq!(get(at, &good, "/metrics").unwrap().status, 200);
        for (own, alert) in [(None, "CertificateRequired"), (Some(&others.issue(&["prometheus"])), "UnknownCA")] {
            let error = get(at, &Arc::new(client(&ca, own, &[version])), "/live").err().unwrap().to_string();
            assert!(error.contains("received fatal alert") && error.contains(alert), "{error}");
        }
        assert_eq!(get(at, &good, "/metrics").unwrap().status, 200);
    }
}

#[test]
fn sessions_are_resumed_where_that_is_allowed() {
    let (dir, ca) = (TempDir::new(), Authority::new("ca"));
    let settings = tls(&dir, &ca);
    let without = ServerSettings { session_tickets: false, ..settings.clone() };
    let clients = Some(dir.write("clients.pem", &ca.pem));
    let mutual = ServerSettings { client_ca_file: clients, ..settings.clone() };
    for (settings, resumed) in [(settings, true), (without, false), (mutual, false)] {
        let (server, _telemetry) = serve_as(with(settings), 1);
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let config = Arc::new(client(&ca, Some(&ca.issue(&["prometheus"])), &[version]));
            let mut kinds = (0..3).map(|_| {
                let mut stream = open(server.local_addr(), &config);
                ask_over(&mut stream, &request("GET", "/live", "")).unwrap();
                stream.conn.handshake_kind().unwrap()
            });
            assert_eq!(kinds.next(), Some(HandshakeKind::Full));
            assert!(kinds.all(|kind| (kind == HandshakeKind::Resumed) == resumed), "{version:?} {resumed}");
        }
    }
}

#[test]
fn what_is_no_tls_is_told_or_dropped_and_the_next_one_served() {
    let (_server, at, config) = served(1);
    for bytes in ["GET /live HTTP/1.1\r\nHost: a\r\n\r\n", "G", "SSH-2.0-OpenSSH_9.9\r\n", "\0\0\0\0"] {
        let answer = send(at, bytes);
        assert_eq!((answer.status, &*answer.body), (400, "this port speaks TLS; write https://\n"), "{bytes:?}");
    }
    for bytes in [
        &b"\x16\x03\x01\x00\x05hello"[..],
        // A record larger than any may be.
        b"\x16\x03\x03\xff\xff",
        // A handshake message of 16 MB.
        b"\x16\x03\x01\x00\x04\x01\xff\xff\xff",
        // TLS 1.1, from a client that has nothing else.
        b"\x16\x03\x02\x00\x2f\x01\x00\x00\x2b\x03\x02\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\
          \x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x00\x00\x02\x00\x2f\x01\x00\x00\x00",
    ] {
        let mut stream = connect(at);
        stream.write_all(bytes).unwrap();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).unwrap();
        // A fatal alert (RFC 8446, section 6), or nothing where it was not even a message.
        assert!(said.is_empty() || said.starts_with(&[21, 3]) && said[5] == 2, "{bytes:?}: {said:?}");
        assert!(
            !bytes.starts_with(b"\x16\x03\x02") || [40, 70].contains(&said[6]),
            "no version, or nothing else in common: {said:?}"
        );
    }
    // Gone in the middle of a handshake, by an end and by a reset.
    for linger in [None, Some(Duration::ZERO)] {
        let mut stream = open(at, &config);
        stream.conn.write_tls(&mut stream.sock).unwrap();
        match linger {
            None => stream.sock.shutdown(Shutdown::Both).unwrap(),
            Some(_) => {
                let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
                nix::sys::socket::setsockopt(&stream.sock, nix::sys::socket::sockopt::Linger, &linger).unwrap();
            }
        }
        drop(stream);
    }
    assert_eq!(get(at, &config, "/live").unwrap().status, 200);
    until("all connections are gone", || server_sockets(at.port()) == 1);
}

#[test]
fn a_handshake_and_a_head_have_five_seconds_together() {
    let (_server, at, config) = served(1);
    let start = Instant::now();
    // One says nothing at all, one never finishes its handshake, one its head.
    let mut silent = connect(at);
    let mut half = open(at, &config);
    half.conn.write_tls(&mut half.sock).unwrap();
    let mut slow = open(at, &config);
    slow.write_all(b"GET /live HTTP/1.1\r\nHo").unwrap();
    assert_eq!(silent.read(&mut [0; 100]).unwrap(), 0, "it was told nothing: it has said nothing");
    assert!((4..9).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    let mut text = String::new();
    slow.read_to_string(&mut text).unwrap();
    assert_eq!(Answer::of(&text).status, 408);
    let mut rest = Vec::new();
    half.sock.read_to_end(&mut rest).unwrap();
    assert!(rest.len() > 100, "the server's part of the handshake");
    until("all connections are gone", || server_sockets(at.port()) == 1);
}

#[test]
fn a_request_in_many_small_records_is_read() {
    let (_server, at, config) = served(1);
    let mut stream = open(at, &config);
    for byte in request("GET", "/live", "").bytes() {
        stream.write_all(&[byte]).unwrap();
        stream.flush().unwrap();
    }
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert_eq!(Answer::of(&text).body, "alive\n");
    let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(60_000));
    assert_eq!(ask_over(&mut open(at, &config), &long).unwrap().status, 431);
}

#[test]
fn a_large_body_comes_whole_through_tls() {
    let (dir, ca) = (TempDir::new(), Authority::new("ca"));
    let (server, got) = taking_as(with(tls(&dir, &ca)));
    let config = Arc::new(client(&ca, None, rustls::ALL_VERSIONS));
    // More than is taken in a turn, and than TLS may have sent before a head is complete.
    let body: Vec<u8> = (0..1_000_000_u32).map(|at| (at % 251) as u8).collect();
    let mut stream = open(server.local_addr(), &config);
    stream.write_all(&post("/api/v1/push", "", &body)).unwrap();
    let (push, ticket) = next(&got);
    assert!(*push.body == *body);
    ticket.answer(Response::text(400, "no"));
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(Answer::of(&answer).status, 400);
}

#[test]
fn a_large_page_comes_whole_to_slow_readers_and_deaf_ones_hold_up_nobody() {
    let (_server, at, config) = served(150_000);
    let deaf: Vec<Over> = (0..12)
        .map(|_| {
            let mut stream = open(at, &config);
            stream.write_all(request("GET", "/metrics", "").as_bytes()).unwrap();
            stream
        })
        .collect();
    for _ in 0..2 {
        assert!(live_takes(at, &config) < Duration::from_secs(10));
        // Four pages are under way at most, and those of the deaf are for as long as they are not seen to be that.
        let begun = Instant::now();
        let page = loop {
            let page = get(at, &config, "/metrics").unwrap();
            if page.status != 503 || begun.elapsed() > Duration::from_secs(20) {
                break page;
            }
        };
        assert_eq!(page.field("Content-Length"), Some(&*page.body.len().to_string()));
        assert!(
            page.body.contains("\ntest_value{series=\"149999\"} 149999\n"),
            "{} {}",
            page.body.lines().count(),
            &page.body[..300]
        );
    }
    let mut slow = open(at, &config);
    slow.write_all(request("GET", "/metrics", "").as_bytes()).unwrap();
    let mut read = 0;
    let mut buffer = vec![0; 300_000];
    loop {
        match slow.read(&mut buffer).unwrap() {
            0 => break,
            length => read += length,
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(read > 3_000_000, "{read} bytes");
    until("the deaf are cut off", || server_sockets(at.port()) == 1);
    drop(deaf);
}

#[test]
fn two_thousand_unfinished_handshakes_starve_nobody() {
    let (_server, at, config) = served(1);
    let crowd = crowd();
    // A third says nothing, one sends the half of its hello, one all of it and no more.
    let hello = {
        let mut bytes = Vec::new();
        let name = ServerName::try_from("localhost").unwrap();
        ClientConnection::new(Arc::clone(&config), name).unwrap().write_tls(&mut bytes).unwrap();
        bytes
    };
    let come = |number: usize| {
        let mut stream = connect(at);
        let _ = stream.write_all(&hello[..hello.len() * (number % 3) / 2]);
        stream
    };
    let mut slowest = Duration::ZERO;
    let mut idle: Vec<TcpStream> = std::thread::scope(|scope| {
        let come = &come;
        let openers: Vec<_> =
            (0..8).map(|_| scope.spawn(move || (0..crowd / 8).map(come).collect::<Vec<_>>())).collect();
        while openers.iter().any(|opener| !opener.is_finished()) {
            slowest = slowest.max(live_takes(at, &config));
        }
        openers.into_iter().flat_map(|opener| opener.join().unwrap()).collect()
    });
    until("64 connections and the listener are left", || server_sockets(at.port()) <= 1 + 64);
    for _ in 0..5 {
        for stream in &mut idle {
            // Most of them have been pushed out by now.
            let _ = stream.write(b"\x16");
        }
        slowest = slowest.max(live_takes(at, &config));
    }
    // All of them ahead of a probe, 64 at a time for 30 ms: a second, and the handshakes. The
    // rest is for a machine that is busy with other tests; were it deadlines that made room,
    // it would take minutes.
    assert!(slowest < Duration::from_secs(5), "/live took {slowest:?}");
    drop(idle);
    until("all of them are gone", || server_sockets(at.port()) == 1);
    assert_eq!(get(at, &config, "/live").unwrap().status, 200);
}

#[test]
fn a_new_certificate_is_used_and_half_of_one_is_not() {
    let (dir, ca) = (TempDir::new(), Authority::new("ca"));
    let settings = tls(&dir, &ca);
    let (server, _telemetry) = serve_as(with(settings.clone()), 1);
    let config = Arc::new(client(&ca, None, &[&rustls::version::TLS13]));
    let shown = || {
        // Not resumed: a session that is shows no certificate.
        let mut fresh = (*config).clone();
        fresh.resumption = rustls::client::Resumption::disabled();
        let mut stream = open(server.local_addr(), &Arc::new(fresh));
        ask_over(&mut stream, &request("GET", "/live", "")).unwrap();
        stream.conn.peer_certificates().unwrap()[0].clone()
    };
    let first = shown();
    let second = ca.issue(&["localhost"]);
    // Its certificate first, and its key much later: meanwhile the pair does not match.
    dir.write("server.crt", &second.pem);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(2500) {
        assert_eq!(shown(), first);
        std::thread::sleep(Duration::from_millis(100));
    }
    dir.write("server.key", &second.key_pem);
    until("the second certificate is shown", || shown() == second.chain[0]);
    // By rename, as certificate managers do it.
    let third = ca.issue(&["localhost"]);
    let (certificate, key) = third.write(dir.path(), "next");
    fs::rename(key, &settings.key_file).unwrap();
    fs::rename(certificate, &settings.cert_file).unwrap();
    until("the third certificate is shown", || shown() == third.chain[0]);
    fs::remove_file(&settings.key_file).unwrap();
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(shown(), third.chain[0]);
}

fn basic(user: &str, password: &str) -> String {
    format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("{user}:{password}")))
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

fn given(text: &str) -> Source {
    Source::Given(Secret::new(text))
}

#[test]
fn nothing_but_live_is_answered_without_credentials() {
    let auth = AuthSettings { basic: Some((USER.to_owned(), given(PASSWORD))), bearer: Some(given(TOKEN)) };
    let (server, _telemetry) = serve_as(Settings { auth, ..Settings::default() }, 1);
    let ask = |method: &str, path: &str, more: &str| send(server.local_addr(), request(method, path, more));
    let good = [basic(USER, PASSWORD), bearer(TOKEN)];
    let wrong = [
        String::new(),
        basic(USER, "wrong"),
        basic("wrong", PASSWORD),
        basic("", ""),
        bearer("wrong"),
        bearer(""),
        bearer(PASSWORD),
        format!("Authorization: {TOKEN}\r\n"),
        "Authorization:\r\n".to_owned(),
        "Authorization: Digest username=\"scraper\"\r\n".to_owned(),
        "Authorization: Basic !!!!\r\n".to_owned(),
    ];
    let refusal = ask("GET", "/metrics", "");
    for (method, path, status) in [
        ("GET", "/", 200),
        ("GET", "/health", 200),
        ("HEAD", "/health", 200),
        ("GET", "/ready", 200),
        ("GET", "/metrics", 200),
        ("GET", "/nothing", 404),
        ("POST", "/metrics", 405),
        ("DELETE", "/live", 405),
        ("BREW", "*", 404),
    ] {
        for more in &good {
            assert_eq!(ask(method, path, more).status, status, "{method} {path}");
        }
        for more in &wrong {
            let answer = ask(method, path, more);
            assert_eq!(answer.status, 401, "{method} {path} {more}");
            assert_eq!(answer.body, if method == "HEAD" { "" } else { &refusal.body }, "{method} {path} {more}");
            // Nothing differs that could tell which part was wrong, or what is there.
            let fields = |head: &str| -> Vec<String> {
                head.lines().filter(|line| !line.starts_with("Date")).map(str::to_owned).collect()
            };
            assert_eq!(fields(&answer.head), fields(&refusal.head), "{method} {path} {more}");
        }
    }
    let challenges: Vec<&str> = refusal.head.lines().filter(|line| line.starts_with("WWW-Authenticate: ")).collect();
    let expected = [
        "WWW-Authenticate: Basic realm=\"metricsd\", charset=\"UTF-8\"",
        "WWW-Authenticate: Bearer realm=\"metricsd\"",
    ];
    assert_eq!(challenges, expected);
    for more in good.iter().chain(&wrong) {
        assert_eq!((ask("GET", "/live", more).status, ask("HEAD", "/live", more).status), (200, 200), "{more}");
    }
    let twice = bearer(TOKEN).repeat(2);
    assert_eq!(ask("GET", "/metrics", &twice).status, 400);
}

#[test]
fn who_may_not_see_metrics_takes_no_page_from_who_may() {
    let auth = AuthSettings { basic: None, bearer: Some(given(TOKEN)) };
    let (server, _telemetry) = serve_as(Settings { auth, ..Settings::default() }, 150_000);
    let at = server.local_addr();
    // Slow, but reading: it would have to make room for a page of somebody else's.
    let mut slow: Vec<TcpStream> = (0..4)
        .map(|_| {
            let mut stream = connect(at);
            stream.write_all(request("GET", "/metrics", &bearer(TOKEN)).as_bytes()).unwrap();
            stream
        })
        .collect();
    std::thread::sleep(Duration::from_millis(1200));
    for _ in 0..20 {
        assert_eq!(send(at, request("GET", "/metrics", "")).status, 401);
    }
    // All at once, since who reads nothing for ten seconds is given up.
    let read = |mut stream: TcpStream| {
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    };
    let readers: Vec<_> = slow.drain(..).map(|stream| std::thread::spawn(move || read(stream))).collect();
    for reader in readers {
        let text = reader.join().unwrap();
        let page = Answer::of(&text);
        assert_eq!(page.field("Content-Length"), Some(&*page.body.len().to_string()));
    }
}

#[test]
fn a_new_secret_in_its_file_is_the_one_that_counts() {
    let dir = TempDir::new();
    let file = dir.write("token", "first\n");
    let auth = AuthSettings { basic: None, bearer: Some(Source::File(file)) };
    let (server, _telemetry) = serve_as(Settings { auth, ..Settings::default() }, 1);
    let status = |token: &str| send(server.local_addr(), request("GET", "/ready", &bearer(token))).status;
    assert_eq!((status("first"), status("second")), (200, 401));
    dir.write("token", "second\n");
    until("the second token counts", || status("second") == 200);
    assert_eq!(status("first"), 401);
    dir.write("token", "");
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!((status("second"), status("")), (200, 401));
}

/// `server` with TLS, as JSON.
fn server_json(dir: &Path, more: &str) -> String {
    let dir = dir.display();
    format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT,
            "tls": {{"enabled": true, "cert_file": "{dir}/server.crt", "key_file": "{dir}/server.key"}}{more}}}}}"#
    )
}

#[test]
fn a_reload_changes_tls_and_credentials_without_dropping_the_port() {
    let (dir, ca) = (TempDir::new(), Authority::new("ca"));
    ca.issue(&["localhost"]).write(dir.path(), "server");
    let config = Arc::new(client(&ca, None, rustls::ALL_VERSIONS));
    let open_to_all = r#"{"server": {"host": "127.0.0.1", "port": PORT}}"#;
    let daemon = Daemon::start(dir.path(), open_to_all);
    let at: SocketAddr = ([127, 0, 0, 1], daemon.port).into();
    let sockets = || {
        let links = fs::read_dir(daemon.proc("fd")).unwrap().filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
        let table = fs::read_to_string("/proc/self/net/tcp").unwrap();
        let listener = format!(":{:04X} 00000000:0000 0A", daemon.port);
        let row = table.lines().find(|line| line.contains(&listener)).unwrap().to_owned();
        let inode = row.split_ascii_whitespace().nth(9).unwrap().to_owned();
        assert!(links.into_iter().any(|link| link.to_string_lossy() == format!("socket:[{inode}]")));
        inode
    };
    let listener = sockets();
    let reload = |text: &str, what: &str| {
        let before = daemon.log().matches(what).count();
        fs::write(dir.path().join("config.json"), text.replace("PORT", &daemon.port.to_string())).unwrap();
        daemon.signal(Signal::SIGHUP);
        wait_for(what, || (daemon.log().matches(what).count() > before).then_some(()));
    };
    reload(&server_json(dir.path(), r#", "bearer_token": "token-5c2e""#), "reloaded in");
    assert_eq!(send(at, request("GET", "/ready", "")).body, "this port speaks TLS; write https://\n");
    assert_eq!(get(at, &config, "/ready").unwrap().status, 401);
    assert_eq!(ask_over(&mut open(at, &config), &request("GET", "/ready", &bearer(TOKEN))).unwrap().status, 200);
    // What is wrong changes nothing.
    reload(&server_json(dir.path(), r#", "bearer_token_file": "/nowhere""#), "nothing was changed");
    assert_eq!(ask_over(&mut open(at, &config), &request("GET", "/ready", &bearer(TOKEN))).unwrap().status, 200);
    reload(&server_json(dir.path(), ""), "reloaded in");
    assert_eq!(get(at, &config, "/ready").unwrap().status, 200);
    reload(open_to_all, "reloaded in");
    assert_eq!(daemon.get("/ready").unwrap().0, 200);
    assert_eq!(sockets(), listener, "the same socket listens all the time");
    let log = daemon.log();
    assert!(log.contains(&format!("listening on https://{at}")), "{log}");
    assert!(!log.contains(TOKEN), "{log}");
    assert_eq!(log.matches("no credentials, or wrong ones").count(), 1, "{log}");
    let said =
        "HTTP client 127.0.0.1: TLS failed: http request: the client does not speak TLS; it has to write https://";
    assert_eq!(log.matches(said).count(), 1, "{log}");
}

#[test]
fn a_certificate_that_no_client_will_take_is_warned_of() {
    let (dir, ca) = (TempDir::new(), Authority::new("ca"));
    ca.issue(&["localhost"]).write(dir.path(), "server");
    let old = ca.issue_as(&["localhost"], new_key(), |params| {
        params.not_after = rcgen::date_time_ymd(2020, 1, 2);
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    });
    old.write(dir.path(), "old");
    let check = |name: &str, more: &str| {
        let at = |end: &str| dir.path().join(format!("{name}.{end}")).display().to_string();
        let (certificate, key) = (at("crt"), at("key"));
        let path = dir.write(
            "config.json",
            &format!(
                r#"{{"server": {{"tls": {{"enabled": true, "cert_file": "{certificate}", "key_file": "{key}"{more}}}}}}}"#
            ),
        );
        run(metricsd().arg("-check").arg("-config").arg(path))
    };
    let ran = check("old", "");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for said in [
        "old.crt: certificate has expired on 2020-01-02",
        "old.crt: unsuitable certificate purpose: it is not one for servers",
    ] {
        assert!(ran.stderr.contains("server.tls.cert_file: ") && ran.stderr.contains(said), "{}", ran.stderr);
    }
    dir.write("v1.crt", &fixture("p256.v1.crt"));
    write_key(&dir.path().join("v1.key"), &fixture("p256.pkcs8.pem"));
    let ran = check("v1", "");
    let said = "v1.crt: is of X.509 version 1, so it is for no host name, and many clients refuse it; have it issued with \
                extensions (openssl x509 -req -extfile FILE)";
    assert!(ran.code == 0 && ran.stderr.contains(said), "{}", ran.stderr);
    // Suites of both kinds, or of a version that any key will do for.
    for suites in [
        r#"["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]"#,
        r#"["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"]"#,
    ] {
        let ran = check("server", &format!(r#", "cipher_suites": {suites}"#));
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    }
}

#[test]
fn what_is_wrong_with_the_files_and_fields_is_said_by_check() {
    let (dir, ca) = (TempDir::new(), Authority::new("ca"));
    ca.issue(&["localhost"]).write(dir.path(), "server");
    ca.issue(&["localhost"]).write(dir.path(), "other");
    dir.write("ca.pem", &ca.pem);
    dir.write("windows.crt", &format!("found in a mail:\r\n{}\r\n", ca.issue(&["a"]).pem.replace('\n', "\r\n")));
    for (name, text) in [("empty", ""), ("blank", " \n"), ("lines", "a\nb"), ("word", "a b")] {
        dir.write(name, text);
    }
    let at = |name: &str| dir.path().join(name).display().to_string();
    let check = |server: &str| {
        let path = dir.write("config.json", &format!("{{\"server\": {{\"host\": \"127.0.0.1\", {server}}}}}"));
        run(metricsd().env("EMPTY", "").arg("-check").arg("-config").arg(path))
    };
    let tls = |cert: &str, key: &str, more: &str| {
        format!(r#""tls": {{"enabled": true, "cert_file": "{}", "key_file": "{}"{more}}}"#, at(cert), at(key))
    };
    let client_ca = |name: &str| tls("server.crt", "server.key", &format!(r#", "client_ca_file": "{}""#, at(name)));
    let secret = "hunter2-hunter2";
    for (server, path, why) in [
        (r#""tls": {"enabled": true}"#.to_owned(), "server.tls", "takes both cert_file and key_file"),
        (tls("none", "server.key", ""), "server.tls.cert_file", "no such file"),
        (tls("server.crt", "none", ""), "server.tls.key_file", "no such file"),
        (tls("server.crt", "other.key", ""), "server.tls.key_file", "key values mismatch"),
        (tls("other.key", "server.key", ""), "server.tls.cert_file", "it holds a private key"),
        (tls("empty", "server.key", ""), "server.tls.cert_file", "is empty"),
        (tls(".", "server.key", ""), "server.tls.cert_file", "is a directory"),
        (client_ca("server.key"), "server.tls.client_ca_file", "holds no certificate"),
        (client_ca("none"), "server.tls.client_ca_file", "no such file"),
        (tls("server.crt", "server.key", r#", "max_version": "TLS1.1""#), "server.tls.max_version", "not offered"),
        (
            tls(
                "server.crt",
                "server.key",
                r#", "max_version": "TLS1.2", "cipher_suites": ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]"#,
            ),
            "server.tls.key_file",
            "an ECDSA or Ed25519 key, which none of cipher_suites is for; name one that begins with TLS_ECDHE_ECDSA",
        ),
        (tls("server.crt", "server.key", r#", "ca_file": "/x""#), "server.tls.ca_file", "unknown field"),
        (r#""basic_auth": {"username": "u"}"#.to_owned(), "server.basic_auth.username", "password_file"),
        (format!(r#""basic_auth": {{"password": "{secret}"}}"#), "server.basic_auth", "takes a username"),
        (
            format!(r#""basic_auth": {{"username": "a:b", "password": "{secret}"}}"#),
            "server.basic_auth.username",
            "no colon",
        ),
        (
            format!(r#""basic_auth": {{"username": "u", "password": "{secret}\n"}}"#),
            "server.basic_auth.password",
            "holds a line break",
        ),
        (
            format!(r#""basic_auth": {{"username": "u", "password": "{secret}", "password_file": "{}"}}"#, at("word")),
            "server.basic_auth.password_file",
            "given together; keep one",
        ),
        (
            format!(r#""basic_auth": {{"username": "u", "password_file": "{}"}}"#, at("lines")),
            "server.basic_auth.password_file",
            "holds a line break",
        ),
        (r#""bearer_token": 7355608"#.to_owned(), "server.bearer_token", "expected a string"),
        // Whoever writes the field means to close the port.
        (r#""bearer_token": "${EMPTY}""#.to_owned(), "server.bearer_token", "is empty"),
        (
            r#""basic_auth": {"username": "u", "password": "${EMPTY}"}"#.to_owned(),
            "server.basic_auth.password",
            "is empty",
        ),
        (format!(r#""bearer_token": "{secret} x""#), "server.bearer_token", "a token with a space"),
        (format!(r#""bearer_token_file": "{}""#, at("word")), "server.bearer_token_file", "a token with a space"),
        (format!(r#""bearer_token_file": "{}""#, at("blank")), "server.bearer_token_file", "is empty"),
    ] {
        let ran = check(&server);
        assert_eq!(ran.code, 78, "{server}: {}", ran.stderr);
        assert!(ran.stderr.contains(&format!(": {path}: ")), "{server}: {}", ran.stderr);
        assert!(ran.stderr.contains(why), "{server}: {}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{server}: {}", ran.stderr);
        assert!(!ran.stderr.contains("hunter2") && !ran.stderr.contains("7355608"), "{}", ran.stderr);
    }
    // A certificate from a mail, which is another's: it was read, then.
    assert!(check(&tls("windows.crt", "server.key", "")).stderr.contains("key values mismatch"));

    for (server, warnings) in [
        (tls("server.crt", "server.key", ""), vec![]),
        (client_ca("ca.pem"), vec![]),
        (
            r#""tls": {"enabled": false, "cert_file": "/x"}"#.to_owned(),
            vec!["has no effect while its enabled is false"],
        ),
        (r#""basic_auth": {"username": "u", "password": "p"}"#.to_owned(), vec![]),
        (
            r#""basic_auth": {"username": null, "password": null, "password_file": null}, "bearer_token": null,
               "bearer_token_file": null"#
                .to_owned(),
            vec![],
        ),
        (r#""basic_auth": {"username": "u", "password": "p"}, "host": "localhost""#.to_owned(), vec!["given twice"]),
    ] {
        let ran = check(&server);
        assert_eq!(ran.code, if warnings == ["given twice"] { 78 } else { 0 }, "{server}: {}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), warnings.len(), "{server}: {}", ran.stderr);
        assert!(warnings.iter().all(|warning| ran.stderr.contains(warning)), "{server}: {}", ran.stderr);
    }
    fs::set_permissions(at("server.key"), Permissions::from_mode(0o644)).unwrap();
    let ran = check(&tls("server.crt", "server.key", ""));
    assert!(ran.code == 0 && ran.stderr.contains("every user of this machine may read this file"), "{}", ran.stderr);
    for (host, warned) in [("0.0.0.0", true), ("::", true), ("example.com", true), ("localhost", false), ("::1", false)]
    {
        let path = dir.write("config.json", &format!(r#"{{"server": {{"host": "{host}", "bearer_token": "t"}}}}"#));
        let ran = run(metricsd().arg("-check").arg("-config").arg(path));
        let said = ran.stderr.contains("server.bearer_token: credentials pass over the network in the clear");
        assert_eq!((ran.code, said), (0, warned), "{host}: {}", ran.stderr);
    }
}
