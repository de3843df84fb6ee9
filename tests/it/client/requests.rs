//! What goes out, and what comes back.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;

use flate2::write::GzEncoder;
use metricsd::http::{
    Authorization, BodyLimit, Credentials, Error, HttpSettings, Method, Request, SigV4Settings, TimeLimits,
};
use metricsd::secret::{Secret, Source};

use super::{ALL, client, get, with};
use crate::support::peer::{Peer, Reply};
use crate::support::program::TempDir;

#[test]
fn any_method_goes_out_with_a_body_and_without() {
    let peer = Peer::start(|_, _| Reply::Answer(200, vec![], "fine"));
    let mut client = client(peer.url("/in?x=1"));
    let headers = [("X-Mine", "yes")];
    for (method, body, length) in [
        ("GET", None, None),
        ("GET", Some("query"), Some("5")),
        ("OPTIONS", None, None),
        ("DELETE", None, None),
        ("DELETE", Some("these"), Some("5")),
        ("POST", Some("data"), Some("4")),
        // They always have a body, an empty one here.
        ("POST", None, Some("0")),
        ("PUT", None, Some("0")),
        ("PATCH", Some("x"), Some("1")),
        ("PROPFIND", None, None),
    ] {
        let body = body.map(str::as_bytes);
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = Request { method: method.clone(), path: None, headers: &headers, body, limit: ALL, within: None };
        let mut said = Vec::new();
        let answer = client.send(&request, &mut said).unwrap_or_else(|error| panic!("{method}: {error}"));
        assert_eq!((answer.status, answer.is_whole, &*said), (200, true, &b"fine"[..]), "{method}");
        let received = peer.received().pop().unwrap();
        assert_eq!(received.line, format!("{method} /in?x=1 HTTP/1.1"));
        assert_eq!((received.header("content-length"), received.header("x-mine")), (length, Some("yes")), "{method}");
        assert_eq!(received.header("transfer-encoding"), None);
        assert_eq!(received.body, body.unwrap_or_default());
        assert_eq!(received.header("accept-encoding"), None);
    }
    assert_eq!(peer.connections(), 1, "one connection for all of them");
}

#[test]
fn head_and_body_leave_in_one_piece() {
    let dir = TempDir::new();
    let path = dir.path().join("api.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut first_read = vec![0; 64 << 10];
        let mut sizes = Vec::new();
        // Of a Unix socket a read gives all of what was sent at once.
        while let Ok(size @ 1..) = stream.read(&mut first_read) {
            assert!(first_read[..size].starts_with(b"POST /"), "{:?}", String::from_utf8_lossy(&first_read[..size]));
            sizes.push(size);
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        }
        sizes
    });
    let mut client = client(format!("unix://{}", path.display()));
    for length in [100, 14_000, 20_000] {
        let body = vec![b'x'; length];
        let request = Request { method: Method::POST, body: Some(&body), ..Request::get(ALL) };
        assert_eq!(client.send(&request, &mut Vec::new()).unwrap().status, 204);
    }
    drop(client);
    let sizes = server.join().unwrap();
    assert!(sizes.len() == 3 && sizes[2] > 20_000, "{sizes:?}");
}

#[test]
fn an_answer_to_head_has_no_body_whatever_it_announces() {
    let peer = Peer::start(|_, _| {
        Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\nContent-Encoding: gzip\r\n\r\n")
    });
    let request = Request { method: Method::HEAD, ..Request::get(BodyLimit::Refuse(10)) };
    let answer = client(peer.url("/")).send(&request, &mut Vec::new()).unwrap();
    assert_eq!((answer.status, answer.is_whole), (200, true));
    assert_eq!(answer.headers.get("content-length").unwrap(), "99999999999");
}

#[test]
fn another_path_of_the_same_server_is_asked_over_the_same_connection() {
    let peer = Peer::start(|_, _| Reply::status(204));
    let mut client = client(peer.url("/base?x=1"));
    for path in ["/containers/json?all=1", "/v1.41/info"] {
        client.send(&Request { path: Some(path), ..Request::get(ALL) }, &mut Vec::new()).unwrap();
        assert_eq!(peer.received().pop().unwrap().line, format!("GET {path} HTTP/1.1"));
    }
    assert_eq!(peer.connections(), 1);
    let bad = client.send(&Request { path: Some("/a b"), ..Request::get(ALL) }, &mut Vec::new());
    assert!(matches!(&bad, Err(Error::Failed(why)) if why.contains("is no valid URL")), "{bad:?}");
    assert_eq!(peer.received().len(), 2);
}

#[test]
fn redirects_are_told_and_not_followed() {
    let elsewhere = Peer::start(|_, _| Reply::status(200));
    let there = elsewhere.url("/there");
    let peer = Peer::start(move |_, _| Reply::Answer(302, vec![("Location", there.clone())], ""));
    let (answer, _) = get(&mut client(peer.url("/")), ALL).unwrap();
    assert_eq!(
        (answer.status, answer.headers.get("location").unwrap().to_str().unwrap()),
        (302, &*elsewhere.url("/there"))
    );
    assert_eq!((peer.received().len(), elsewhere.received().len()), (1, 0));
}

#[test]
fn user_info_of_the_url_is_shown_to_the_server_and_to_nobody_else() {
    let peer = Peer::start(|_, _| Reply::status(200));
    let mut client = client(peer.url("/in").replace("http://", "http://Aladdin:open%20sesame@"));
    get(&mut client, ALL).unwrap();
    let received = peer.received().pop().unwrap();
    assert_eq!(received.header("authorization"), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
    assert_eq!(received.header("host"), Some(&*peer.address.to_string()));
    assert_eq!(client.access().name(), peer.url("/in"));
}

#[test]
fn whatever_may_be_a_secret_makes_an_answer_one_that_is_not_shown() {
    let secret = |text: &str| Source::Given(Secret::new(text));
    let sends = |url: &str, change: fn(&mut HttpSettings)| {
        let mut settings = HttpSettings::new(url.into());
        change(&mut settings);
        with(settings, &TimeLimits::default()).access().sends_credentials()
    };
    assert!(!sends("http://h/path", |_| {}));
    assert!(!sends("unix:///run/a.sock:/path", |_| {}));
    assert!(!sends("http://h/", |settings| settings.proxy = Some("http://p:1".into())));
    assert!(sends("http://u:p@h/", |_| {}));
    assert!(sends("http://token@h/", |_| {}));
    assert!(sends("http://h/?key=x", |_| {}));
    assert!(sends("unix:///run/a.sock:/path?key=x", |_| {}));
    assert!(sends("http://h/", |settings| settings.proxy = Some("http://u:p@p:1".into())));
    for authorization in [
        Authorization::Basic(Secret::new("u"), secret("p")),
        Authorization::Bearer(secret("t")),
        Authorization::SigV4(Box::new(SigV4Settings {
            region: "r".to_owned(),
            service: "s".to_owned(),
            access_key_id: "id".to_owned(),
            secret_access_key: secret("k"),
            session_token: None,
        })),
    ] {
        let credentials = Credentials { authorization, ..Credentials::default() };
        let settings = HttpSettings { credentials, ..HttpSettings::new("http://h/".into()) };
        assert!(with(settings, &TimeLimits::default()).access().sends_credentials());
    }
    let headers = vec![("X-Key".to_owned(), secret("k"))];
    let settings = HttpSettings {
        credentials: Credentials { headers, ..Credentials::default() },
        ..HttpSettings::new("http://h/".into())
    };
    assert!(with(settings, &TimeLimits::default()).access().sends_credentials());
}

/// `body` packed, its last `cut` bytes left out, as an answer in chunks of a few bytes. It says
/// that the peer hangs up behind it, as it does: who sends on that connection all the same may
/// meet a reset.
fn packed(body: &[u8], cut: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(body).unwrap();
    let mut packed = encoder.finish().unwrap();
    packed.truncate(packed.len() - cut);
    let mut answer =
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
            .to_vec();
    for chunk in packed.chunks(1000) {
        answer.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        answer.extend(chunk);
        answer.extend(b"\r\n");
    }
    answer.extend(b"0\r\n\r\n");
    answer
}

#[test]
fn a_packed_answer_is_unpacked_within_its_limit() {
    let page = "metric{label=\"value\"} 12345\n".repeat(10_000);
    let bodies: [Vec<u8>; 4] =
        [packed(page.as_bytes(), 0), packed(&vec![0; 100 << 20], 0), packed(page.as_bytes(), 20), {
            let mut broken = packed(page.as_bytes(), 0);
            let at = broken.len() / 2;
            broken[at] ^= 0xff;
            broken
        }];
    let replies = bodies.map(|body| &*body.leak());
    let peer = Peer::start(move |number, _| Reply::Raw(replies[number]));
    let headers = [("Accept-Encoding", "gzip")];
    let mut client = client(peer.url("/metrics"));
    let mut ask = |limit| {
        let mut body = Vec::new();
        let request = Request { headers: &headers, ..Request::get(BodyLimit::Refuse(limit)) };
        client.send(&request, &mut body).map(|answer| (answer, body))
    };
    let (answer, body) = ask(page.len()).unwrap();
    assert!(body == page.as_bytes() && answer.is_whole);
    assert_eq!(answer.headers.get("content-encoding"), None);
    assert_eq!(peer.received()[0].header("accept-encoding"), Some("gzip"));
    // A hundred megabytes of nothing, in a hundred kilobytes.
    let bomb = ask(1 << 20);
    assert!(matches!(&bomb, Err(Error::TooLong(why)) if why.ends_with("more than 1048576 bytes")), "{bomb:?}");
    for _torn in 0..2 {
        assert!(matches!(ask(1 << 20), Err(Error::Failed(_))));
    }
}

#[test]
fn an_answer_that_is_cut_anywhere_is_never_taken_for_a_whole_one() {
    for whole in [
        b"HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 4\r\n\r\nfine".to_vec(),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nfi\r\n2;x=y\r\nne\r\n0\r\n\r\n".to_vec(),
        packed(b"fine", 0),
    ] {
        let whole: &[u8] = whole.leak();
        // Behind the last chunk's zero all that matters is there.
        let needed = whole.strip_suffix(b"\r\n\r\n").unwrap_or(whole).len();
        let peer = Peer::start(move |number, _| Reply::Raw(&whole[..number]));
        for length in 0..=whole.len() {
            let answer = get(&mut client(peer.url("/")), ALL);
            match answer {
                Ok((answer, body)) => {
                    assert!(length >= needed && answer.is_whole && body == b"fine", "{length}: {body:?}")
                }
                Err(error) => assert!(length < whole.len() && matches!(error, Error::Failed(_)), "{length}: {error}"),
            }
        }
    }
}

#[test]
fn a_zone_picks_the_interface_and_is_not_sent() {
    let Ok(listener) = std::net::TcpListener::bind("[::1]:0") else {
        eprintln!("skipped: this machine has no IPv6");
        return;
    };
    let port = listener.local_addr().unwrap().port();
    let peer = Peer::start_on(listener, |_, _| Reply::Answer(200, vec![], ""));
    for zone in ["%25lo", "%lo", "%251"] {
        let url = format!("http://[::1{zone}]:{port}/in");
        assert_eq!(get(&mut client(&*url), ALL).unwrap().0.status, 200, "{url}");
        assert_eq!(peer.received().last().unwrap().header("host"), Some(&*format!("[::1]:{port}")));
    }
    let error = get(&mut client(format!("http://[::1%25nosuch0]:{port}/in")), ALL).unwrap_err().to_string();
    let said = format!(
        "http://[::1%25nosuch0]:{port}/in: this machine has no network interface nosuch0, which the address names"
    );
    assert_eq!(error, said);
}
