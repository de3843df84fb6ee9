//! What a connection takes while nothing is asked of it.

use std::io::{BufReader, Write};
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use metricsd::http::{Access, Client, HttpSettings, Method, Request, TimeLimits};
use metricsd::tls::ClientSettings;

use super::{ALL, client, with};
use crate::allocations::bytes_in_use;
use crate::support::peer::{Peer, Reply, read_request};
use crate::support::pki::Authority;
use crate::support::program::TempDir;
use crate::support::tls_peer::{Setup, TlsPeer};

/// For the connection, and all that is known of its server: a thousand targets are a megabyte.
const IDLE_OF_MANY: isize = 1 << 10;

/// The same where there are few, which keep what makes the next request cheap.
const IDLE: isize = 4 << 10;

/// The same over TLS, where rustls keeps more: keys, what is verified with, sessions for the
/// next time, and 4 KiB to read into.
const IDLE_TLS: isize = 20 << 10;

/// Longer than what any buffer begins with.
const LARGE: usize = 200 << 10;

/// The bytes that a client holds once it has sent a large body and got a large answer, and
/// that it holds after more of them.
fn held_by(make: impl FnOnce() -> Client) -> (isize, isize) {
    let before = bytes_in_use();
    let mut client = make();
    let mut ask = || {
        let sent = vec![b'x'; LARGE];
        let request = Request { method: Method::POST, body: Some(&sent), ..Request::get(ALL) };
        let mut body = Vec::new();
        assert_eq!(client.send(&request, &mut body).unwrap().status, 200);
        assert_eq!(body.len(), LARGE);
    };
    ask();
    let first = bytes_in_use() - before;
    (0..20).for_each(|_| ask());
    (first, bytes_in_use() - before)
}

#[test]
fn an_idle_connection_takes_4_kib_at_most_and_one_of_many_1_kib() {
    let page: &str = "x".repeat(LARGE).leak();
    let peer = Peer::start(move |_, _| Reply::Answer(200, vec![], page));
    let (first, later) = held_by(|| client(peer.url("/api/v1/write")));
    assert_eq!(peer.connections(), 1);
    assert!(first <= IDLE && later <= IDLE, "{first} and {later} bytes over TCP");
    let one_of_many = |url: String| {
        let access = Access::new("server", &HttpSettings::new(url.as_str().into()), &TimeLimits::default());
        Client::one_of_many(Arc::new(access))
    };
    let (first, later) = held_by(|| one_of_many(peer.url("/metrics")));
    assert_eq!(peer.connections(), 2);
    assert!(first <= IDLE_OF_MANY && later <= IDLE_OF_MANY, "{first} and {later} bytes over TCP, one of many");

    let dir = TempDir::new();
    let path = dir.path().join("api.sock");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while read_request(&mut reader).is_some() {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n{page}").unwrap();
        }
    });
    let (first, later) = held_by(|| one_of_many(format!("unix://{}:/metrics", path.display())));
    assert!(first <= IDLE_OF_MANY && later <= IDLE_OF_MANY, "{first} and {later} bytes over a Unix socket");
}

#[test]
fn an_idle_connection_over_tls_holds_what_rustls_needs() {
    let authority = Authority::new("test root");
    let setup = Setup { body: "x".repeat(LARGE).leak(), ..Setup::new(&authority.issue(&["localhost"])) };
    let peer = TlsPeer::start(&setup);
    let dir = TempDir::new();
    let ca_file = Some(dir.write("ca.pem", &authority.pem));
    let (first, later) = held_by(|| {
        let server_name = Some("localhost".try_into().unwrap());
        let tls = Some(Box::new(ClientSettings { ca_file, server_name, ..ClientSettings::default() }));
        let url = format!("https://{}/in", peer.address);
        with(HttpSettings { tls, ..HttpSettings::new(url.into()) }, &TimeLimits::default())
    });
    assert_eq!(peer.greetings().len(), 1);
    assert!(first <= IDLE_TLS && later <= IDLE_TLS, "{first} and {later} bytes");
}
