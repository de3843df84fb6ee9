//! Servers on Unix sockets.

use std::fs;
use std::io::{BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use metricsd::http::{BodyLimit, Client, Error, Method, Request, TimeLimits};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};

use super::{ALL, client, get, limited};
use crate::support::PATIENCE;
use crate::support::peer::{Received, read_request};
use crate::support::program::TempDir;

/// A server that says `answer` to each request; what it has got, one list a connection.
fn serve(path: &Path, answer: &'static [u8]) -> Arc<Mutex<Vec<Vec<Received>>>> {
    let listener = UnixListener::bind(path).unwrap();
    let received = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&received);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map(Result::unwrap) {
            let number = seen.lock().unwrap().len();
            seen.lock().unwrap().push(Vec::new());
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while let Some(request) = read_request(&mut reader) {
                seen.lock().unwrap()[number].push(request);
                if stream.write_all(answer).is_err() {
                    break;
                }
            }
        }
    });
    received
}

fn at(path: &Path) -> Client {
    client(format!("unix://{}:/metrics?x=1", path.display()))
}

fn failure(path: &Path) -> String {
    let error = get(&mut at(path), ALL).unwrap_err();
    let Error::Failed(why) = error else { panic!("{error:?}") };
    why.strip_prefix(&format!("unix://{}:/metrics?***: ", path.display())).unwrap().to_owned()
}

#[test]
fn requests_go_over_a_socket_as_over_tcp_and_keep_it() {
    let dir = TempDir::new();
    let path = dir.path().join("api.sock");
    let received = serve(&path, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
    let mut client = at(&path);
    assert_eq!(get(&mut client, ALL).unwrap().1, b"fine");
    let large = vec![b'x'; 1 << 20];
    let post = Request { method: Method::POST, body: Some(&large), path: Some("/v1.41/exec"), ..Request::get(ALL) };
    let mut body = Vec::new();
    assert_eq!((client.send(&post, &mut body).unwrap().status, &*body), (200, &b"fine"[..]));
    let received = received.lock().unwrap();
    assert_eq!(received.len(), 1, "one connection");
    let [get, post] = &received[0][..] else { panic!("{received:?}") };
    assert_eq!((&*get.line, get.header("host")), ("GET /metrics?x=1 HTTP/1.1", Some("localhost")));
    assert_eq!(post.line, "POST /v1.41/exec HTTP/1.1");
    assert!(post.body == large);
}

#[test]
fn a_socket_that_cannot_be_used_says_why() {
    let dir = TempDir::new();
    let path = dir.path().join("api.sock");
    assert_eq!(failure(&path), "there is no such socket");
    drop(UnixListener::bind(&path).unwrap());
    assert_eq!(failure(&path), "nobody listens on the socket (connection refused)");
    assert_eq!(failure(&dir.write("file", "")), "nobody listens on the socket (connection refused)");
    let long: PathBuf = dir.path().join("x".repeat(120));
    assert_eq!(failure(&long), "the path is longer than one of a socket can be");
    // Root may do everything.
    if !nix::unistd::geteuid().is_root() {
        let closed = dir.path().join("closed.sock");
        let _listener = UnixListener::bind(&closed).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
        assert_eq!(failure(&closed), "this user may not connect to the socket (permission denied)");
    }
    // It is looked for anew each time.
    let mut client = at(&path);
    get(&mut client, ALL).unwrap_err();
    fs::remove_file(&path).unwrap();
    serve(&path, b"HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(get(&mut client, ALL).unwrap().0.status, 204);
}

#[test]
fn a_socket_that_answers_nonsense_or_nothing_says_so() {
    let dir = TempDir::new();
    let path = dir.path().join("odd.sock");
    serve(&path, b"\0\x01 what is this?\r\n\r\n");
    assert!(failure(&path).starts_with("what came back is no HTTP answer: "));
    let path = dir.path().join("deaf.sock");
    serve(&path, b"");
    let limits = TimeLimits { head: Some(Duration::from_millis(200)), ..TimeLimits::default() };
    let url = format!("unix://{}", path.display());
    let error = get(&mut limited(url.as_str(), PATIENCE, &limits), ALL).unwrap_err();
    assert_eq!(error, Error::TimedOut(format!("{url}: no complete answer within 200ms")));
    let path = dir.path().join("endless.sock");
    let endless = format!("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{}", "x".repeat(1 << 20)).leak();
    serve(&path, endless.as_bytes());
    assert!(matches!(get(&mut at(&path), ALL), Err(Error::TooLong(_))));
    assert_eq!(get(&mut at(&path), BodyLimit::Keep(3)).unwrap().1, b"xxx");
}

#[test]
fn a_server_that_takes_nobody_ends_with_the_time_for_connecting() {
    let dir = TempDir::new();
    let path = dir.path().join("full.sock");
    let server = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(server.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
    listen(&server, Backlog::new(0).unwrap()).unwrap();
    let _waiting = UnixStream::connect(&path).unwrap();
    let limits = TimeLimits { connect: Some(Duration::from_millis(300)), ..TimeLimits::default() };
    let url = format!("unix://{}:/", path.display());
    let error = get(&mut limited(url.as_str(), PATIENCE, &limits), ALL).unwrap_err();
    assert_eq!(error, Error::TimedOut(format!("{url}: no connection came about within 300ms")));
}
