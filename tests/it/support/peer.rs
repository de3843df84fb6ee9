//! A scripted HTTP peer: answers, hangs, resets, lies.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A request as it came in.
#[derive(Clone, Debug)]
pub struct Received {
    /// The request line.
    pub line: String,
    /// Header names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// When it was complete.
    pub at: Instant,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// What the peer does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A complete answer: status, headers, body.
    Answer(u16, Vec<(&'static str, String)>, &'static str),
    /// These bytes, whatever they are; then the connection is closed.
    Raw(&'static [u8]),
    /// 200 with a body without end, until the reader goes away.
    Endless,
    /// The same in chunks, so that nobody can know.
    EndlessChunks,
    /// These bytes, one after the other with this pause in front of each; then nothing more
    /// until the other side leaves.
    Slowly(&'static [u8], Duration),
    /// 200 with a `Content-Length` that is not kept, then a reset.
    ResetInBody,
    /// 200 with a `Content-Length` that is not kept, then nothing, until the peer is dropped.
    StallInBody,
    /// No answer, until the peer is dropped.
    Hang,
    /// The connection is reset at once.
    Reset,
}

impl Reply {
    pub fn status(status: u16) -> Reply {
        Reply::Answer(status, Vec::new(), "")
    }
}

/// A peer on a port of this machine. Dropping it ends its threads.
pub struct Peer {
    pub address: SocketAddr,
    state: Arc<State>,
}

type Script = dyn Fn(usize, &Received) -> Reply + Send + Sync;

struct State {
    received: Mutex<Vec<Received>>,
    /// Bytes of endless answers that the other side took.
    poured: AtomicUsize,
    connections: AtomicUsize,
    over: AtomicBool,
    reply: Box<Script>,
}

impl Peer {
    /// Starts a peer that answers its n-th request (from 0) as `reply` says.
    pub fn start(reply: impl Fn(usize, &Received) -> Reply + Send + Sync + 'static) -> Peer {
        Peer::start_on(TcpListener::bind("127.0.0.1:0").unwrap(), reply)
    }

    pub fn start_on(listener: TcpListener, reply: impl Fn(usize, &Received) -> Reply + Send + Sync + 'static) -> Peer {
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            received: Mutex::default(),
            poured: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            reply: Box::new(reply),
        });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.over.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(&shared, stream.unwrap()));
            }
        });
        Peer { address, state }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn received(&self) -> Vec<Received> {
        self.state.received.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::Relaxed)
    }

    pub fn poured(&self) -> usize {
        self.state.poured.load(Ordering::Relaxed)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Relaxed);
        // Wakes the accept loop, so that the port is free again.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(state: &State, stream: TcpStream) {
    state.connections.fetch_add(1, Ordering::Relaxed);
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    while let Some(request) = read_request(&mut reader) {
        let number = {
            let mut received = state.received.lock().unwrap();
            received.push(request.clone());
            received.len() - 1
        };
        let reply = (state.reply)(number, &request);
        match reply {
            Reply::Answer(status, headers, body) => {
                let mut head = format!("HTTP/1.1 {status} Scripted\r\nContent-Length: {}\r\n", body.len());
                for (name, value) in headers {
                    head.push_str(&format!("{name}: {value}\r\n"));
                }
                if stream.write_all(format!("{head}\r\n{body}").as_bytes()).is_err() {
                    return;
                }
            }
            Reply::Raw(bytes) => {
                let _ = stream.write_all(bytes);
                return;
            }
            Reply::Slowly(bytes, pause) => {
                for byte in bytes {
                    std::thread::sleep(pause);
                    if state.over.load(Ordering::Relaxed) || stream.write_all(&[*byte]).is_err() {
                        return;
                    }
                }
                let _ = reader.read_line(&mut String::new());
                return;
            }
            Reply::Endless | Reply::EndlessChunks => {
                let (head, chunk) = match reply {
                    Reply::Endless => ("Content-Length: 10737418240\r\n\r\n", "x".repeat(16384)),
                    _ => ("Transfer-Encoding: chunked\r\n\r\n", format!("4000\r\n{}\r\n", "x".repeat(16384))),
                };
                let (head, chunk) = (format!("HTTP/1.1 200 OK\r\n{head}"), chunk.into_bytes());
                let _ = stream.write_all(head.as_bytes());
                while !state.over.load(Ordering::Relaxed) && stream.write_all(&chunk).is_ok() {
                    state.poured.fetch_add(chunk.len(), Ordering::Relaxed);
                }
                return;
            }
            Reply::ResetInBody => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\npart");
                reset(stream);
                return;
            }
            Reply::Hang | Reply::StallInBody => {
                if matches!(reply, Reply::StallInBody) {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\npart");
                }
                while !state.over.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(10));
                }
                return;
            }
            Reply::Reset => {
                reset(stream);
                return;
            }
        }
    }
}

/// Closes with a RST: what a crashed peer's kernel sends.
pub fn reset(stream: TcpStream) {
    // Closing a socket with unread data or with a linger time of 0 resets it.
    let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
    nix::sys::socket::setsockopt(&stream, nix::sys::socket::sockopt::Linger, &linger).unwrap();
}

pub fn read_request(reader: &mut impl BufRead) -> Option<Received> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim_end();
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':')?;
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(n, _)| n == "content-length").map_or(0, |(_, v)| v.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Received { line: line.trim_end().to_owned(), headers, body, at: Instant::now() })
}
