//! Connections that are kept, and what became of them meanwhile.

use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use metricsd::http::{Client, HttpSettings, Method, Request, TimeLimits};
use metricsd::tls::ClientSettings;

use super::{ALL, client, get, limited, with};
use crate::support::PATIENCE;
use crate::support::peer::{read_request, reset};
use crate::support::pki::Authority;
use crate::support::program::TempDir;
use crate::support::tls_peer::{Setup, TlsPeer};
use crate::support::wait_for;

/// What a server does with the second request of a connection. The first one is answered.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Second {
    Answer,
    Swallow,
    Close,
    Reset,
    CloseInHead,
}

/// A server whose first connections do this with their second requests, one after the other; later
/// ones answer. How many requests and connections it had.
struct Server {
    url: String,
    requests: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    fn start(seconds: &'static [Second]) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/in", listener.local_addr().unwrap());
        let server = Server { url, requests: Arc::default(), connections: Arc::default() };
        let (requests, connections) = (Arc::clone(&server.requests), Arc::clone(&server.connections));
        std::thread::spawn(move || {
            for stream in listener.incoming().map(Result::unwrap) {
                let number = connections.fetch_add(1, Ordering::SeqCst);
                let second = seconds.get(number).copied().unwrap_or(Second::Answer);
                let requests = Arc::clone(&requests);
                std::thread::spawn(move || serve(stream, second, &requests));
            }
        });
        server
    }

    /// Of requests, and of connections.
    fn counts(&self) -> (usize, usize) {
        (self.requests.load(Ordering::SeqCst), self.connections.load(Ordering::SeqCst))
    }
}

fn serve(mut stream: TcpStream, second: Second, requests: &AtomicUsize) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut is_first = true;
    while read_request(&mut reader).is_some() {
        requests.fetch_add(1, Ordering::SeqCst);
        match second {
            _ if std::mem::take(&mut is_first) => {}
            Second::Answer => {}
            Second::Swallow => continue,
            Second::Close => return,
            Second::CloseInHead => return stream.write_all(b"HTTP/1.1 2").unwrap(),
            Second::Reset => return reset(stream),
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
    }
}

fn post(client: &mut Client) -> u16 {
    let request = Request { method: Method::POST, body: Some(b"{}"), ..Request::get(ALL) };
    client.send(&request, &mut Vec::new()).unwrap().status
}

#[test]
fn a_connection_that_idled_for_long_is_not_trusted_with_a_request() {
    let server = Server::start(&[Second::Swallow]);
    let idle = Duration::from_millis(300);
    let mut client = limited(&*server.url, PATIENCE, &TimeLimits { idle: Some(idle), ..TimeLimits::default() });
    assert_eq!(post(&mut client), 200);
    let since = Instant::now();
    wait_for("the connection to be old", || (since.elapsed() > idle).then_some(()));
    // The old one would swallow it, and cost the whole of its time.
    assert_eq!(post(&mut client), 200);
    assert!(since.elapsed() < PATIENCE / 2, "{:?}", since.elapsed());
    assert_eq!(server.counts(), (2, 2));
    // In quick succession there is one.
    assert_eq!(post(&mut client), 200);
    assert_eq!(server.counts(), (3, 2));
}

#[test]
fn a_request_that_crosses_the_servers_goodbye_goes_once_more_at_once() {
    let server = Server::start(&[Second::Close, Second::Reset]);
    let mut client = client(&*server.url);
    for _ in 0..3 {
        assert_eq!(post(&mut client), 200);
    }
    // The second and the third one came twice, each time on a new connection.
    assert_eq!(server.counts(), (5, 3));
    assert_eq!(post(&mut client), 200);
    assert_eq!(server.counts(), (6, 3));
}

#[test]
fn what_fails_otherwise_is_not_sent_again_by_the_client() {
    // Something of an answer had come.
    let server = Server::start(&[Second::CloseInHead]);
    let mut client = client(&*server.url);
    assert_eq!(post(&mut client), 200);
    let error = get(&mut client, ALL).unwrap_err().to_string();
    assert!(error.contains("closed before an answer came"), "{error}");
    assert_eq!(server.counts(), (2, 1));
    // A new connection that is closed says something of the server.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/in", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    std::thread::spawn(move || {
        for stream in listener.incoming().map(Result::unwrap) {
            // Closed when it has been counted.
            let mut stream = BufReader::new(stream);
            read_request(&mut stream).unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let error = get(&mut super::client(&*url), ALL).unwrap_err().to_string();
    assert!(error.contains("closed before an answer came"), "{error}");
    assert_eq!(requests.load(Ordering::SeqCst), 1);
    // Nor does one that hangs.
    let server = Server::start(&[Second::Swallow]);
    let mut client = limited(&*server.url, Duration::from_millis(300), &TimeLimits::default());
    assert_eq!(post(&mut client), 200);
    get(&mut client, ALL).unwrap_err();
    assert_eq!(server.counts(), (2, 1));
}

#[test]
fn over_tls_too_a_request_goes_once_more() {
    let authority = Authority::new("test root");
    let peer = TlsPeer::start(&Setup { one_answer: true, ..Setup::new(&authority.issue(&["localhost"])) });
    let dir = TempDir::new();
    let ca_file = Some(dir.write("ca.pem", &authority.pem));
    let tls = Some(Box::new(ClientSettings { ca_file, ..ClientSettings::default() }));
    let mut client = with(HttpSettings { tls, ..HttpSettings::new(peer.url().into()) }, &TimeLimits::default());
    for _ in 0..3 {
        assert_eq!(post(&mut client), 200);
    }
    assert_eq!((peer.received().len(), peer.greetings().len()), (5, 3));
}
