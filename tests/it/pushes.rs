//! Bodies that the server takes: framed, bounded, handed over, and answered when there is an answer.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use metricsd::secret::{Secret, Source};
use metricsd::server::{AuthSettings, Encoding, Intake, Push, PushKind, Pushes, Response, Server, Settings, Ticket};

use crate::server::{Answer, connect, send, serve_as, until};

/// Hands what it takes to the test, and the status of what the server turned away.
struct Desk(Sender<(Push, Ticket)>, Sender<u16>);

impl Intake for Desk {
    fn takes(&self, kind: PushKind) -> bool {
        kind != PushKind::OtlpLogs
    }

    fn take(&self, push: Push, ticket: Ticket) {
        // A test that does not look has let go of its end; then the ticket answers.
        let _ = self.0.send((push, ticket));
    }

    fn turned_away(&self, kind: PushKind, status: u16, why: &str) {
        assert!(kind == PushKind::Text && !why.is_empty());
        let _ = self.1.send(status);
    }
}

const MAX: usize = 1 << 20;

pub fn taking_as(settings: Settings) -> (Server, Receiver<(Push, Ticket)>) {
    let (server, got, _) = turning_away(settings);
    (server, got)
}

fn turning_away(settings: Settings) -> (Server, Receiver<(Push, Ticket)>, Receiver<u16>) {
    let (server, _) = serve_as(settings, 1);
    let ((put, got), (tell, told)) = (channel(), channel());
    server.take_pushes(Some(Pushes { intake: Arc::new(Desk(put, tell)), max_bytes: MAX }));
    (server, got, told)
}

fn taking() -> (Server, Receiver<(Push, Ticket)>) {
    taking_as(Settings::default())
}

pub fn post(path: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n{fields}\r\n", body.len()).into_bytes();
    [&head, body].concat()
}

pub fn next(got: &Receiver<(Push, Ticket)>) -> (Push, Ticket) {
    got.recv_timeout(Duration::from_secs(40)).unwrap()
}

fn health(address: SocketAddr) -> u16 {
    send(address, "GET /health HTTP/1.1\r\nHost: a\r\n\r\n").status
}

#[test]
fn a_body_is_handed_over_and_answered_later_while_others_are_served() {
    let (server, got) = taking();
    let address = server.local_addr();
    let mut pusher = connect(address);
    let fields = "Content-Type: text/plain\r\nContent-Encoding: gzip\r\n";
    pusher.write_all(&post("/api/v1/push?job=a&instance=b", fields, b"not looked at")).unwrap();
    let (push, ticket) = next(&got);
    assert_eq!((push.kind, push.query.as_str()), (PushKind::Text, "job=a&instance=b"));
    assert_eq!((push.content_type.as_str(), push.encoding), ("text/plain", Encoding::Gzip));
    assert_eq!(&*push.body, b"not looked at");
    drop(push);
    assert_eq!(health(address), 200);
    ticket.answer(Response::page(200, "application/x-protobuf", vec![0, 255]));
    let mut answer = Vec::new();
    pusher.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n") && answer.ends_with(b"\r\n\r\n\x00\xff"), "{answer:?}");
}

#[test]
fn chunks_and_slow_pieces_make_one_body() {
    let (server, got) = taking();
    let mut pusher = connect(server.local_addr());
    let request = b"POST /v1/metrics HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
        5\r\nhello\r\n8;x\r\n, world!\r\n0\r\n\r\n";
    for piece in request.chunks(7) {
        pusher.write_all(piece).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    let (push, ticket) = next(&got);
    assert_eq!((push.kind, &*push.body), (PushKind::OtlpMetrics, &b"hello, world!"[..]));
    ticket.answer(Response::text(400, "line 1: no"));
    let mut answer = String::new();
    pusher.read_to_string(&mut answer).unwrap();
    let answer = Answer::of(&answer);
    assert_eq!((answer.status, answer.body.as_str()), (400, "line 1: no\n"));
}

#[test]
fn who_waits_for_a_word_before_its_body_gets_one() {
    let (server, got) = taking();
    let mut pusher = connect(server.local_addr());
    pusher.write_all(&post("/api/v1/push", "Expect: 100-continue\r\n", b"12345")[..]).unwrap();
    // Its body has come with its head: no word.
    next(&got).1.answer(Response::text(400, "no"));
    let mut answer = String::new();
    pusher.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");

    let mut pusher = connect(server.local_addr());
    let request = post("/api/v1/push", "Expect: 100-continue\r\n", b"12345");
    let (head, body) = request.split_at(request.len() - 5);
    pusher.write_all(head).unwrap();
    let mut word = [0; 25];
    pusher.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"HTTP/1.1 100 Continue\r\n\r\n");
    pusher.write_all(body).unwrap();
    let (push, ticket) = next(&got);
    assert_eq!(&*push.body, b"12345");
    ticket.answer(Response::page(204, "text/plain", ""));
    let mut answer = String::new();
    pusher.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
}

#[test]
fn what_is_too_large_or_not_understood_is_refused_before_its_body_comes() {
    let (server, got, told) = turning_away(Settings::default());
    let address = server.local_addr();
    let ask = |head: &str| send(address, format!("POST /api/v1/push HTTP/1.1\r\nHost: a\r\n{head}\r\n")).status;
    assert_eq!(ask("Content-Length: 1073741824\r\nExpect: 100-continue\r\n"), 413);
    assert_eq!(ask("Transfer-Encoding: chunked\r\n\r\n40000000\r\n"), 413);
    assert_eq!(ask("Content-Length: 5\r\nContent-Encoding: zstd\r\n"), 415);
    assert_eq!(ask("Content-Length: 5\r\nContent-Length: 6\r\n"), 400);
    assert_eq!(ask("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400);
    assert_eq!(ask("Content-Length: 5\r\nOrigin: http://evil.example\r\n"), 403);
    assert_eq!(ask("Transfer-Encoding: chunked\r\n\r\nzz\r\n"), 400);
    // Who sends all the same still hears why.
    let mut pusher = connect(address);
    pusher.write_all(b"POST /api/v1/push HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n").unwrap();
    // It may be cut off meanwhile.
    let _ = pusher.write_all(&vec![b'x'; 32 << 10]);
    let mut answer = String::new();
    pusher.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(got.try_recv().is_err());
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [413, 413, 415, 400, 400, 403, 400, 413]);
}

#[test]
fn other_methods_and_kinds_and_strangers_are_turned_away() {
    let bearer = Some(Source::Given(Secret::new("s3cr3t")));
    let (server, got) = taking_as(Settings { auth: AuthSettings { basic: None, bearer }, ..Settings::default() });
    let address = server.local_addr();
    let ask = |method: &str, path: &str, fields: &str| {
        send(address, format!("{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1073741824\r\n{fields}\r\n"))
    };
    let admitted = "Authorization: Bearer s3cr3t\r\n";
    // Nothing shows without credentials, not even that the body is too large.
    assert_eq!(ask("POST", "/api/v1/push", "").status, 401);
    assert_eq!(ask("POST", "/api/v1/push", "Authorization: Bearer wrong\r\n").status, 401);
    assert_eq!(ask("POST", "/api/v1/push", admitted).status, 413);
    let get = ask("GET", "/v1/metrics", admitted);
    assert_eq!((get.status, get.field("Allow")), (405, Some("POST")));
    // What nobody takes is not there.
    assert_eq!(ask("POST", "/v1/logs", admitted).status, 404);
    assert_eq!(ask("POST", "/metrics", admitted).status, 405);
    server.take_pushes(None);
    assert_eq!(ask("POST", "/api/v1/push", admitted).status, 404);
    assert!(got.try_recv().is_err());
}

#[test]
fn those_who_wait_for_their_answer_take_half_of_the_places() {
    let (server, got) = taking();
    let address = server.local_addr();
    let waiting: Vec<_> = (0..32)
        .map(|_| {
            let mut pusher = connect(address);
            pusher.write_all(&post("/api/v1/push", "", b"x")).unwrap();
            pusher
        })
        .collect();
    let tickets: Vec<Ticket> = waiting.iter().map(|_| next(&got).1).collect();
    let refused = send(address, post("/api/v1/push", "", b"x"));
    assert_eq!((refused.status, refused.field("Retry-After")), (503, Some("1")));
    assert_eq!(health(address), 200);
    // A ticket that is lost is an answer, too, and makes room.
    drop(tickets);
    let mut lost = 0;
    for mut pusher in waiting {
        let mut answer = String::new();
        pusher.read_to_string(&mut answer).unwrap();
        lost += usize::from(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\r\nRetry-After: 1\r\n"));
    }
    assert_eq!(lost, 32);
    let mut pusher = connect(address);
    pusher.write_all(&post("/api/v1/push", "", b"x")).unwrap();
    next(&got).1.answer(Response::page(204, "text/plain", ""));
}

#[test]
fn a_body_that_stops_half_way_or_comes_at_a_byte_a_time_has_an_end() {
    let (server, got, told) = turning_away(Settings::default());
    let address = server.local_addr();
    // Its end is no body's end.
    let mut cut = connect(address);
    cut.write_all(b"POST /api/v1/push HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf").unwrap();
    cut.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    cut.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");

    let begun = Instant::now();
    let mut slow = connect(address);
    slow.write_all(b"POST /api/v1/push HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n").unwrap();
    slow.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut answer = Vec::new();
    until("the slow body to be given up", || {
        // Over its answer the connection may be cut.
        let _ = slow.write_all(b"x");
        let mut part = [0; 1000];
        match slow.read(&mut part) {
            Ok(0) => true,
            Ok(length) => {
                answer.extend_from_slice(&part[..length]);
                false
            }
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    });
    assert!(answer.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&answer));
    assert!(begun.elapsed() >= Duration::from_secs(10));
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [400, 408]);
    assert!(got.try_recv().is_err());
}
