//! How long a request may take in each of its parts, and how much of an answer is taken.

use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use metricsd::http::{BodyLimit, Error, HttpSettings, TimeLimits};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, getsockname, listen, socket};

use super::{ALL, client, get, limited, with};
use crate::support::PATIENCE;
use crate::support::peer::{Peer, Reply};
use crate::support::proxy::{Conduct, Proxy};
use crate::support::tls_peer::{Wrong, wrong_port};

const LIMIT: Duration = Duration::from_millis(300);

/// A head that goes on for longer than the limit, and is good so far.
const TRICKLE: &[u8] = b"HTTP/1.1 200 OK\r\nX-Long: 0123456789012345678901234567890123456789";

/// That `request` ends with its time, and what is said of it.
fn too_late(request: impl FnOnce() -> Result<(), Error>) -> String {
    let begun = Instant::now();
    let result = request();
    assert!(begun.elapsed() >= LIMIT, "{:?}", begun.elapsed());
    assert!(begun.elapsed() < PATIENCE, "it waited for something else");
    match result {
        Err(Error::TimedOut(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// A request to `url` that has all the time it needs but for what `limits` say.
fn limited_part(url: &str, limits: TimeLimits) -> String {
    too_late(|| get(&mut limited(url, PATIENCE, &limits), ALL).map(drop))
}

fn head() -> TimeLimits {
    TimeLimits { head: Some(LIMIT), ..TimeLimits::default() }
}

fn body() -> TimeLimits {
    TimeLimits { body: Some(LIMIT), ..TimeLimits::default() }
}

fn connect() -> TimeLimits {
    TimeLimits { connect: Some(LIMIT), ..TimeLimits::default() }
}

#[test]
fn a_head_that_does_not_come_ends_with_its_limit() {
    for reply in [
        Reply::Hang,
        Reply::Slowly(TRICKLE, Duration::from_millis(20)),
        Reply::Slowly(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", Duration::from_millis(1)),
    ] {
        let peer = Peer::start(move |_, _| reply.clone());
        let why = limited_part(&peer.url("/in"), head());
        assert_eq!(why, format!("{}: no complete answer within 300ms", peer.url("/in")));
    }
}

#[test]
fn a_body_that_does_not_come_ends_with_its_limit() {
    for reply in [
        Reply::StallInBody,
        Reply::Slowly(
            b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\nxxxxxxxxxxxxxxxxxxxxx",
            Duration::from_millis(20),
        ),
        Reply::Slowly(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", Duration::from_millis(1)),
    ] {
        let peer = Peer::start(move |_, _| reply.clone());
        let why = limited_part(&peer.url("/in"), body());
        assert_eq!(why, format!("{}: no complete answer within 300ms", peer.url("/in")));
        // To whom the status says enough, that is enough.
        let (answer, _) = get(&mut limited(peer.url("/in"), PATIENCE, &body()), BodyLimit::Keep(10)).unwrap();
        assert_eq!((answer.status, answer.is_whole), (200, false));
    }
}

#[test]
fn no_part_of_a_request_counts_for_the_limit_of_another() {
    let (part, total) = (Some(Duration::from_millis(1500)), Duration::from_secs(2));
    let none = TimeLimits { setting: "a.timeout", ..TimeLimits::default() };
    for (reply, limits) in [
        (Reply::Hang, TimeLimits { connect: part, body: part, ..none.clone() }),
        (Reply::StallInBody, TimeLimits { connect: part, head: part, ..none }),
    ] {
        let peer = Peer::start(move |_, _| reply.clone());
        let why = too_late(|| get(&mut limited(peer.url("/in"), total, &limits), ALL).map(drop));
        assert!(why.ends_with("no complete answer within 2s (a.timeout)"), "{why}");
    }
}

#[test]
fn the_whole_of_a_request_ends_with_its_limit_and_names_its_setting() {
    let named = TimeLimits { setting: "a.timeout", ..TimeLimits::default() };
    for reply in [
        Reply::Hang,
        Reply::StallInBody,
        Reply::Slowly(TRICKLE, Duration::from_millis(20)),
        Reply::Slowly(
            b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\nxxxxxxxxxxxxxxxxxxxxx",
            Duration::from_millis(20),
        ),
    ] {
        let peer = Peer::start(move |_, _| reply.clone());
        let why = too_late(|| get(&mut limited(peer.url("/in"), LIMIT, &named), ALL).map(drop));
        assert_eq!(why, format!("{}: no complete answer within 300ms (a.timeout)", peer.url("/in")));
    }
    // Where a part has a longer limit than the whole, that of the whole counts.
    let peer = Peer::start(|_, _| Reply::Hang);
    let limits = TimeLimits { head: Some(PATIENCE), connect: Some(PATIENCE), ..named };
    let why = too_late(|| get(&mut limited(peer.url("/in"), LIMIT, &limits), ALL).map(drop));
    assert!(why.ends_with("no complete answer within 300ms (a.timeout)"), "{why}");
}

#[test]
fn a_request_that_is_not_taken_ends_with_its_limit() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let large = vec![b'x'; 64 << 20];
    let request = metricsd::http::Request {
        method: metricsd::http::Method::POST,
        body: Some(&large),
        ..metricsd::http::Request::get(ALL)
    };
    let mut client = limited(url.as_str(), LIMIT, &TimeLimits::default());
    let why = too_late(|| client.send(&request, &mut Vec::new()).map(drop));
    assert_eq!(why, format!("{url}: the request was not taken within 300ms"));
}

#[test]
fn a_connection_that_does_not_come_about_ends_with_its_limit() {
    // A server that takes nobody: its queue is full.
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(socket.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))).unwrap();
    listen(&socket, Backlog::new(0).unwrap()).unwrap();
    let address: SockaddrIn = getsockname(socket.as_raw_fd()).unwrap();
    let address = SocketAddrV4::from(address);
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address.into(), Duration::from_millis(200)) {
        waiting.push(stream);
    }
    let url = format!("http://{address}/");
    assert_eq!(limited_part(&url, connect()), format!("{url}: no connection came about within 300ms"));

    // The handshake of TLS and the answer of a proxy belong to it.
    for wrong in [Wrong::Silent, Wrong::Trickle(Duration::from_millis(20))] {
        let why = limited_part(&format!("https://{}/", wrong_port(wrong)), connect());
        assert!(why.contains("no answer in the TLS handshake in time"), "{why}");
    }
    let proxy = Proxy::start(Conduct::Hang);
    let settings = HttpSettings {
        proxy: Some(format!("http://{}", proxy.address).into()),
        timeout: PATIENCE,
        ..HttpSettings::new("https://nobody.invalid/".into())
    };
    let why = too_late(|| get(&mut with(settings, &connect()), ALL).map(drop));
    assert!(why.ends_with("no connection came about within 300ms"), "{why}");
}

#[test]
fn a_body_within_its_limit_is_taken_as_a_whole_and_a_longer_one_is_told() {
    let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n012\r\n3\r\n345\r\n0\r\n\r\n";
    let to_the_end = b"HTTP/1.0 200 OK\r\n\r\n012345";
    for reply in [Reply::Answer(200, vec![], "012345"), Reply::Raw(chunks), Reply::Raw(to_the_end)] {
        let peer = Peer::start(move |_, _| reply.clone());
        // Some of them are closed, sooner or later.
        let get = |limit| get(&mut client(peer.url("/in")), limit);
        for limit in [6, 7, usize::MAX] {
            let (answer, body) = get(BodyLimit::Refuse(limit)).unwrap();
            assert_eq!((answer.is_whole, &*body), (true, &b"012345"[..]));
        }
        for limit in [0, 5] {
            let error = get(BodyLimit::Refuse(limit)).unwrap_err();
            let why = format!("{}: its answer has more than {limit} bytes", peer.url("/in"));
            assert_eq!(error, Error::TooLong(why));
        }
        for (limit, kept, is_whole) in [(0, "", false), (5, "01234", false), (6, "012345", true), (100, "012345", true)]
        {
            let (answer, body) = get(BodyLimit::Keep(limit)).unwrap();
            assert_eq!((answer.status, answer.is_whole, &*body), (200, is_whole, kept.as_bytes()), "{limit}");
        }
    }
}

#[test]
fn what_is_not_kept_of_a_short_answer_does_not_cost_the_connection() {
    let peer = Peer::start(|_, _| Reply::Answer(200, vec![], "0123456789".repeat(1000).leak()));
    let mut client = client(peer.url("/in"));
    for _ in 0..3 {
        assert_eq!(get(&mut client, BodyLimit::Keep(10)).unwrap().1, b"0123456789");
    }
    assert_eq!(peer.connections(), 1);
}

#[test]
fn a_large_body_comes_as_it_is() {
    let page: &str = (0..6_000_000).map(|number| format!("{number:09}\n")).collect::<String>().leak();
    let peer = Peer::start(move |_, _| Reply::Answer(200, vec![], page));
    let mut client = client(peer.url("/in"));
    for _ in 0..2 {
        let (answer, body) = get(&mut client, ALL).unwrap();
        assert!(answer.is_whole && body == page.as_bytes());
        assert_eq!(body.capacity(), page.len(), "no more room than is announced");
    }
    assert_eq!(peer.connections(), 1);
}

#[test]
fn an_answer_without_an_end_costs_no_more_than_its_limit() {
    // What the kernel buffers on both sides goes out unread.
    let most = 16 << 20;
    for reply in [Reply::Endless, Reply::EndlessChunks] {
        let peer = Peer::start(move |_, _| reply.clone());
        let error = get(&mut client(peer.url("/")), BodyLimit::Refuse(1 << 20)).unwrap_err();
        assert!(matches!(error, Error::TooLong(_)), "{error:?}");
        let (answer, body) = get(&mut client(peer.url("/")), BodyLimit::Keep(4096)).unwrap();
        assert_eq!((answer.is_whole, body.len()), (false, 4096));
        assert!(peer.poured() < 2 * most, "{}", peer.poured());
    }
}

#[test]
fn what_is_no_answer_is_told_for_what_it_is() {
    let long: &[u8] = format!("HTTP/1.1 200 OK\r\n{}", "X-Y: z\r\n".repeat(100_000)).leak().as_bytes();
    let no_lines: &[u8] = "x".repeat(1 << 20).leak().as_bytes();
    for (reply, limit, why) in [
        (Reply::Raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), ALL, "what came back is no HTTP answer: "),
        (Reply::Raw(long), ALL, "what came back is no HTTP answer: "),
        (Reply::Raw(no_lines), ALL, "what came back is no HTTP answer: "),
        (Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), ALL, "what came back is no HTTP answer: "),
        (
            Reply::Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
            ALL,
            "what came back is no HTTP answer: ",
        ),
        (Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1234"), ALL, "closed before the answer was complete"),
        (Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Le"), ALL, "the connection was closed before an answer came"),
        (Reply::ResetInBody, ALL, "closed before the answer was complete"),
        (Reply::Reset, ALL, "reset by the peer"),
    ] {
        let peer = Peer::start(move |_, _| reply.clone());
        let error = get(&mut client(peer.url("/")), limit).unwrap_err();
        assert!(matches!(&error, Error::Failed(said) if said.contains(why)), "{why}: {error:?}");
    }
}
