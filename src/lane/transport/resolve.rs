//! Name resolution for a connection pool that lives a few minutes.
//!
//! ureq resolves before it looks for a pooled connection, and starts a thread for each
//! resolution that has a deadline. Once a tick that is dear and pointless, so this
//! resolver asks once and keeps the answer for as long as its agent lives; after a failure
//! and every few minutes the agent is made anew. A lookup that hangs is not started twice.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// What ureq's fixed-size list of addresses holds.
const MAX_ADDRESSES: usize = 16;

type Lookup = Receiver<io::Result<Vec<SocketAddr>>>;

/// Resolves one endpoint's host. Clones share what they know.
#[derive(Clone, Default)]
pub struct OnceResolver(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    known: Option<Vec<SocketAddr>>,
    under_way: Option<Lookup>,
}

impl OnceResolver {
    /// Forgets the answer, but not a lookup under way: a hung one must not be joined by others.
    pub fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).known = None;
    }
}

impl std::fmt::Debug for OnceResolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OnceResolver")
    }
}

impl Resolver for OnceResolver {
    fn resolve(&self, uri: &Uri, _: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.known.is_none() {
            state.known = Some(state.look_up(uri, *timeout.after)?);
        }
        let mut found = self.empty();
        for address in state.known.iter().flatten().take(MAX_ADDRESSES) {
            found.push(*address);
        }
        Ok(found)
    }
}

impl State {
    fn look_up(&mut self, uri: &Uri, within: Duration) -> Result<Vec<SocketAddr>, ureq::Error> {
        let lookup = match self.under_way.take() {
            Some(lookup) => lookup,
            None => start(uri)?,
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

/// Resolves `uri`'s host: an address at once, a name on a thread of its own, since
/// `getaddrinfo` has no deadline.
fn start(uri: &Uri) -> Result<Lookup, ureq::Error> {
    let missing = || ureq::Error::BadUri("no host".to_owned());
    let (scheme, authority) = (uri.scheme().ok_or_else(missing)?, uri.authority().ok_or_else(missing)?);
    let host_and_port = DefaultResolver::host_and_port(scheme, authority).ok_or_else(missing)?;
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
