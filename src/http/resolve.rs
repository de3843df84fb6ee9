//! Name resolution for connections that live a few minutes.
//!
//! ureq resolves before it asks for a connection, and starts a thread for each resolution that
//! has a deadline. Once a tick that is dear and pointless, so this resolver asks once and keeps
//! the answer until it is told to forget it: with the connection, after a failure and every few
//! minutes. A lookup that hangs is not started twice.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use nix::net::if_::if_nametoindex;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::error::other;
use super::url::Url;

/// What ureq's fixed-size list of addresses holds.
const MAX_ADDRESSES: usize = 16;

type Lookup = Receiver<io::Result<Vec<SocketAddr>>>;

/// Resolves one host: the server's, or that of the proxy on the way to it. Clones share
/// what they know.
#[derive(Clone)]
pub struct OnceResolver(Arc<Host>);

#[derive(Default)]
struct Host {
    lookups: Mutex<Lookups>,
    /// `host:port` of the proxy. The server's name is for the proxy to resolve.
    proxy: Option<Box<str>>,
    /// The zone of the address of the one or the other, an IPv6 one.
    zone: Option<Box<str>>,
    /// A socket of this machine has no address.
    is_local: bool,
}

/// The addresses of one name, and the look-up that is under way.
#[derive(Default)]
pub(super) struct Lookups {
    known: Option<Vec<SocketAddr>>,
    under_way: Option<Lookup>,
}

impl OnceResolver {
    /// For `url`. Resolves the host of `proxy` whatever it is asked for, if there is one.
    pub fn new(url: &Url, proxy: Option<&Url>) -> OnceResolver {
        // An IPv6 address needs its brackets again.
        let address = |url: &Url| match url.host() {
            host if host.contains(':') => format!("[{host}]:{}", url.port()),
            host => format!("{host}:{}", url.port()),
        };
        let zone = proxy.unwrap_or(url).zone().map(Box::from);
        let host = Host { proxy: proxy.map(|url| address(url).into()), zone, ..Host::default() };
        OnceResolver(Arc::new(host))
    }

    /// For a socket of this machine: resolves nothing.
    pub fn local() -> OnceResolver {
        OnceResolver(Arc::new(Host { is_local: true, ..Host::default() }))
    }

    /// Forgets the answer, but not a lookup under way: a hung one must not be joined by others.
    pub fn forget(&self) {
        self.0.lookups.lock().unwrap_or_else(PoisonError::into_inner).known = None;
    }
}

impl std::fmt::Debug for OnceResolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OnceResolver")
    }
}

impl Resolver for OnceResolver {
    fn resolve(&self, uri: &Uri, _: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let Host { lookups, proxy, zone, is_local } = &*self.0;
        if *is_local {
            return Ok(self.empty());
        }
        let mut lookups = lookups.lock().unwrap_or_else(PoisonError::into_inner);
        if lookups.known.is_none() {
            let host_and_port = match proxy {
                Some(proxy) => proxy.to_string(),
                None => host_and_port(uri)?,
            };
            let mut found = lookups.look_up(host_and_port, *timeout.after)?;
            if let Some(zone) = zone {
                let scope = scope_of(zone)?;
                found.iter_mut().for_each(|address| set_scope(address, scope));
            }
            lookups.known = Some(found);
        }
        let mut found = self.empty();
        for address in lookups.known.iter().flatten().take(MAX_ADDRESSES) {
            found.push(*address);
        }
        Ok(found)
    }
}

impl Lookups {
    /// The addresses of `host:port`, asked for anew or by one who has not come back yet.
    pub(super) fn look_up(&mut self, host_and_port: String, within: Duration) -> Result<Vec<SocketAddr>, ureq::Error> {
        let lookup = match self.under_way.take() {
            Some(lookup) => lookup,
            None => start(host_and_port)?,
        };
        match lookup.recv_timeout(within) {
            Ok(Ok(addresses)) if addresses.is_empty() => Err(ureq::Error::HostNotFound),
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err(error)) => Err(ureq::Error::Io(error)),
            Err(_) => {
                self.under_way = Some(lookup);
                Err(ureq::Error::Timeout(ureq::Timeout::Resolve))
            }
        }
    }
}

/// The number of an interface, which its name or the number itself stands for.
pub(super) fn scope_of(zone: &str) -> Result<u32, ureq::Error> {
    zone.parse()
        .or_else(|_| if_nametoindex(zone))
        .map_err(|_| other(format!("this machine has no network interface {zone}, which the address names")))
}

pub(super) fn set_scope(address: &mut SocketAddr, scope: u32) {
    if let SocketAddr::V6(address) = address {
        address.set_scope_id(scope);
    }
}

fn host_and_port(uri: &Uri) -> Result<String, ureq::Error> {
    let missing = || ureq::Error::BadUri("no host".to_owned());
    let (scheme, authority) = (uri.scheme().ok_or_else(missing)?, uri.authority().ok_or_else(missing)?);
    DefaultResolver::host_and_port(scheme, authority).ok_or_else(missing)
}

/// Resolves a host: an address at once, a name on a thread of its own, since
/// `getaddrinfo` has no deadline.
fn start(host_and_port: String) -> Result<Lookup, ureq::Error> {
    let (done, lookup) = bounded(1);
    if let Ok(address) = host_and_port.parse() {
        let _ = done.send(Ok(vec![address]));
        return Ok(lookup);
    }
    std::thread::Builder::new()
        .name("resolve".to_owned())
        .spawn(move || {
            // The receiver is gone when the agent was given up in the meantime.
            let _ = done.send(host_and_port.to_socket_addrs().map(Iterator::collect));
        })
        .map_err(ureq::Error::Io)?;
    Ok(lookup)
}
