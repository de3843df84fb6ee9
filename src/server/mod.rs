//! The HTTP server: /health, /ready, /live, /metrics and a page for people.
//!
//! tiny_http's own listener starts a thread for every connection, without a bound, and
//! panics where it cannot start one; a thousand idle clients would end the agent. So its
//! listener is never started. One thread (`guard`) owns the socket and at most 64 clients,
//! reads their heads without blocking, and closes who idles; `routes` decides what to say;
//! tiny_http writes it as HTTP (`answer`) into memory, from where the guard sends it
//! as fast as the client reads. What a client can cost is bounded by that one loop:
//!
//! ```text
//! client -> guard: accept, read, parse -> routes: Request -> Response -> tiny_http: bytes -> guard: write
//! ```
//!
//! Where pushes are taken, a body comes between head and answer (`body`), and the answer from whoever
//! takes them, when it is known (`push`).
//!
//! The bytes pass through TLS (`stream`) where that is configured, and credentials (`auth`)
//! are asked for before a request is looked at further; both follow their files (`security`).

mod answer;
mod auth;
mod body;
mod connection;
mod fields;
mod guard;
mod head;
mod health;
mod negotiate;
mod overview;
mod page;
mod push;
mod routes;
mod security;
mod settings;
mod site;
mod stream;

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;

use nix::sys::socket::{Backlog, listen};

use crate::files::FileError;
use crate::order;
use crate::telemetry::{Exposition, Telemetry};

use guard::Guard;
use push::Answers;
use site::{Handover, Site};

pub use crate::telemetry::PushKind;
pub use answer::Response;
pub use body::{Bytes, Encoding};
pub use push::{Intake, Push, Pushes, Ticket};

pub use auth::AuthSettings;
pub use fields::{ServerFields, TABLE};
pub use security::Security;
pub use settings::Settings;

/// A page of metrics is built in a few frames, and a handshake needs some 20 KiB; the default
/// of 2 MiB is only address space, but limits on that exist.
const STACK_BYTES: usize = 256 << 10;

/// Why the server could not be started. Most hold the address as it was configured.
#[derive(Debug)]
pub enum StartError {
    /// The host name has no address: a wrong configuration, or no name server yet.
    Resolve(String, io::Error),
    /// The address is not one of this host's: a wrong configuration, or no network yet.
    NotLocal(String, io::Error),
    /// Somebody else listens there.
    Taken(String, io::Error),
    /// A port that takes privileges, or a security policy.
    Permission(String, io::Error),
    /// A certificate, key or secret is of no use: a wrong configuration.
    Files(FileError),
    /// Anything else: out of descriptors, out of threads.
    Other(String, io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Resolve(address, error) => {
                write!(f, "cannot listen on {address}: server.host has no address: {error}")
            }
            StartError::NotLocal(address, error) => {
                write!(f, "cannot listen on {address}: server.host is not an address of this host: {error}")
            }
            StartError::Taken(address, error) => {
                write!(f, "cannot listen on {address}: {error}; stop what uses the port, or set server.port")
            }
            StartError::Permission(address, error) => {
                write!(f, "cannot listen on {address}: {error}; ports below 1024 take privileges, set server.port")
            }
            StartError::Files(error) => write!(f, "server: {error}"),
            StartError::Other(address, error) => write!(f, "cannot listen on {address}: {error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Resolve(_, error)
            | StartError::NotLocal(_, error)
            | StartError::Taken(_, error)
            | StartError::Permission(_, error)
            | StartError::Other(_, error) => Some(error),
            StartError::Files(error) => Some(error),
        }
    }
}

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    local_addr: SocketAddr,
    handed_over: Handover,
    answers: Arc<Answers>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Goes on under other rules, from the next request on. Connections that are open stay
    /// plain or encrypted as they are: none of them lasts for long.
    pub fn secure(&self, security: Security) {
        log::info!("listening on {}://{}", security.scheme(), self.local_addr);
        self.handed_over.lock().unwrap_or_else(PoisonError::into_inner).security = Some(security);
    }

    /// The host has another name, from the next request on.
    pub fn rename(&self, host_name: &str) {
        self.handed_over.lock().unwrap_or_else(PoisonError::into_inner).host = Some(host_name.into());
    }

    /// From the next request on these are who takes pushes; none: nobody does.
    pub fn take_pushes(&self, pushes: Option<Pushes>) {
        self.handed_over.lock().unwrap_or_else(PoisonError::into_inner).pushes = Some(pushes);
    }

    /// Closes the port and all connections, and waits for the thread, which never blocks.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.answers.close();
        if let Some(thread) = self.thread.take() {
            // Its panics are caught and told to the telemetry.
            let _ = thread.join();
        }
    }
}

/// Binds the address and starts to answer for `host_name` from `telemetry`.
///
/// Everything that can fail has been tried when this returns. Should the thread ever end
/// by itself, the telemetry is told of a lost thread.
pub fn start(settings: &Settings, telemetry: Arc<Telemetry>, host_name: &str) -> Result<Server, StartError> {
    Bound::new(settings)?.serve(telemetry, host_name)
}

/// A port that is ours, before anything is answered on it.
#[derive(Debug)]
pub struct Bound {
    address: String,
    listener: TcpListener,
    security: Security,
}

impl Bound {
    /// Reads the files and binds the address. To find it a name server may have to be asked,
    /// so this may take a while.
    pub fn new(settings: &Settings) -> Result<Bound, StartError> {
        let security = Security::new(settings).map_err(StartError::Files)?;
        let address = display_address(settings);
        let listener = bind(settings, &address)?;
        Ok(Bound { address, listener, security })
    }

    /// Starts to answer.
    pub fn serve(self, telemetry: Arc<Telemetry>, host_name: &str) -> Result<Server, StartError> {
        let Bound { address, listener, security } = self;
        let other = |error| StartError::Other(address.clone(), error);
        let local_addr = listener.local_addr().map_err(other)?;
        let (ours, guards) = UnixStream::pair().map_err(other)?;
        let answers = ours.set_nonblocking(true).and_then(|()| guards.set_nonblocking(true));
        let answers = answers.map(|()| Arc::new(Answers::new(ours))).map_err(other)?;
        let exposition = Exposition::new(&telemetry);
        telemetry.latest.follow(overview::RATES);
        let handed_over = Handover::default();
        let scheme = security.scheme();
        let site = Site {
            telemetry: Arc::clone(&telemetry),
            host: host_name.into(),
            exposition,
            security,
            handed_over: Arc::clone(&handed_over),
            desk: None,
            answers: Arc::clone(&answers),
        };
        let guard = Guard::new(listener, guards, site);
        let thread = std::thread::Builder::new()
            .name("http".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                if catch_unwind(AssertUnwindSafe(|| guard.run())).is_err() {
                    log::error!("the HTTP server's thread panicked; nothing is served any more");
                    telemetry.thread_lost();
                }
            })
            .map_err(other)?;
        log::info!("listening on {scheme}://{local_addr}");
        Ok(Server { local_addr, handed_over, answers, thread: Some(thread) })
    }
}

fn display_address(settings: &Settings) -> String {
    let host = bare_host(settings);
    if host.contains(':') { format!("[{host}]:{}", settings.port) } else { format!("{host}:{}", settings.port) }
}

/// `[::1]`, as one writes it in a URL, is meant as `::1`.
fn bare_host(settings: &Settings) -> &str {
    let host = settings.host.as_str();
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn bind(settings: &Settings, address: &str) -> Result<TcpListener, StartError> {
    let mut addresses: Vec<SocketAddr> = (bare_host(settings), settings.port)
        .to_socket_addrs()
        .map_err(|error| StartError::Resolve(address.to_owned(), error))?
        .collect();
    // `localhost` has both kinds of address, and most who ask for it mean 127.0.0.1.
    order::sort_by_key(&mut addresses, SocketAddr::is_ipv6);
    let listener = TcpListener::bind(&addresses[..]).map_err(|error| {
        let address = address.to_owned();
        match error.kind() {
            io::ErrorKind::AddrInUse => StartError::Taken(address, error),
            io::ErrorKind::PermissionDenied => StartError::Permission(address, error),
            io::ErrorKind::AddrNotAvailable => StartError::NotLocal(address, error),
            _ => StartError::Other(address, error),
        }
    })?;
    let other = |error| StartError::Other(address.to_owned(), error);
    listener.set_nonblocking(true).map_err(other)?;
    // As many as `net.core.somaxconn` lets wait in the kernel. The standard library's 128
    // overflow in a burst of connections, and who is turned away then, a health probe say,
    // comes back a second later at the earliest.
    listen(&listener, Backlog::MAXALLOWABLE).map_err(|errno| other(errno.into()))?;
    Ok(listener)
}
