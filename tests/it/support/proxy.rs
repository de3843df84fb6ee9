//! A scripted HTTP proxy: lets through, refuses, hangs, floods.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What it does with a CONNECT, or with a request that it is to pass on.
#[derive(Clone, Copy)]
pub enum Conduct {
    /// Leads to this address, whatever it was asked for.
    Through(SocketAddr),
    /// These bytes, then the end.
    Say(&'static str),
    /// No answer.
    Hang,
    /// 200, and so many bytes of headers.
    Flood(usize),
}

/// A proxy on a port of this machine, for as long as the test runs.
pub struct Proxy {
    pub address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    /// Bytes of a flood that the other side took.
    poured: Arc<Mutex<usize>>,
}

impl Proxy {
    pub fn start(conduct: Conduct) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let proxy = Proxy { address, heads: Arc::default(), poured: Arc::default() };
        let (heads, poured) = (Arc::clone(&proxy.heads), Arc::clone(&proxy.poured));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (heads, poured) = (Arc::clone(&heads), Arc::clone(&poured));
                std::thread::spawn(move || serve(stream.unwrap(), conduct, &heads, &poured));
            }
        });
        proxy
    }

    /// The heads of the requests so far.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    pub fn poured(&self) -> usize {
        *self.poured.lock().unwrap()
    }
}

fn serve(mut stream: TcpStream, conduct: Conduct, heads: &Mutex<Vec<String>>, poured: &Mutex<usize>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if !matches!(stream.read(&mut byte), Ok(1)) {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    heads.lock().unwrap().push(head.clone());
    let is_tunnel = head.starts_with("CONNECT ");
    let body = if is_tunnel { Vec::new() } else { read_body(&head, &mut stream) };
    match conduct {
        Conduct::Through(to) if !is_tunnel => {
            // As a connection to the server of its own for each request, which is kept towards the client.
            let (_, path) = head.split_once("://").unwrap();
            let (method, _) = head.split_once(' ').unwrap();
            let path = &path[path.find('/').unwrap()..];
            let mut onward = TcpStream::connect(to).unwrap();
            let lines = path.lines().filter(|line| !line.to_ascii_lowercase().starts_with("proxy-"));
            let head = lines.collect::<Vec<_>>().join("\r\n") + "\r\n";
            onward.write_all(format!("{method} {head}").as_bytes()).unwrap();
            onward.write_all(&body).unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if !matches!(onward.read(&mut byte), Ok(1)) {
                    return;
                }
                answer.push(byte[0]);
            }
            let body = read_body(&String::from_utf8_lossy(&answer), &mut onward);
            if stream.write_all(&[answer, body].concat()).is_ok() {
                serve(stream, conduct, heads, poured);
            }
        }
        Conduct::Through(to) => {
            let onward = TcpStream::connect(to).unwrap();
            let _ = stream.write_all(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n");
            let (mut from, mut into) = (stream.try_clone().unwrap(), onward.try_clone().unwrap());
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut into);
                let _ = into.shutdown(std::net::Shutdown::Write);
            });
            let _ = std::io::copy(&mut &onward, &mut stream);
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
        Conduct::Say(bytes) => {
            let _ = stream.write_all(bytes.as_bytes());
        }
        Conduct::Hang => std::thread::sleep(Duration::from_secs(600)),
        Conduct::Flood(bytes) => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
            let line = format!("X-Flood: {}\r\n", "x".repeat(1000));
            for _ in 0..bytes / line.len() {
                if stream.write_all(line.as_bytes()).is_err() {
                    return;
                }
                *poured.lock().unwrap() += line.len();
            }
        }
    }
}

/// The body that `head` announces.
fn read_body(head: &str, stream: &mut TcpStream) -> Vec<u8> {
    let lower = head.to_ascii_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    let _ = stream.read_exact(&mut body);
    body
}
