//! The way to one server: name, proxy, TCP, TLS, each with its deadline.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use ureq::unversioned::transport::Connector;
use ureq::{Agent, Timeout};

use super::proxy::{Proxy, ProxyConnector};
use super::resolve::OnceResolver;
use super::tcp::TcpConnector;
use super::tls::{TlsConnector, tls_error};
use crate::http::Url;
use crate::tls::{self, Client, ClientSettings};

/// What an answer's body may take: its status has said what matters, and one whose end never
/// comes must not cost each request the whole timeout.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// Connections live no longer than this: names move to other addresses, and a balancer's
/// new backends get their share.
pub const MAX_CONNECTION_AGE: Duration = Duration::from_secs(300);

/// How one server is reached.
pub struct Wire {
    url: Url,
    tls: Option<Arc<Client>>,
    proxy: Option<Arc<Proxy>>,
    timeout: Duration,
}

impl Wire {
    /// The way to `url` for the destination `name`, by `proxy` if there is one. `what` it is, for the
    /// log: empty for the destination itself.
    pub fn new(
        name: &str,
        what: &str,
        url: &Url,
        tls: Option<&ClientSettings>,
        proxy: Option<&Url>,
        timeout: Duration,
    ) -> Wire {
        let client = |tls: &ClientSettings| Arc::new(Client::new(format!("destination {name}{what}"), tls.clone()));
        Wire {
            url: url.clone(),
            tls: tls.map(client),
            proxy: proxy.map(|url| Arc::new(Proxy::new(name, url, tls))),
            timeout,
        }
    }

    /// Looks at the files. Whether connections are to be made anew.
    pub fn refresh(&self) -> bool {
        let tls = self.tls.as_ref().is_some_and(|tls| tls.refresh());
        self.proxy.as_ref().is_some_and(|proxy| proxy.refresh()) || tls
    }

    /// Of the first host on the way.
    pub fn resolver(&self) -> OnceResolver {
        OnceResolver::new(self.proxy.as_ref().map(|proxy| proxy.url()))
    }

    /// A client with one connection, not made yet.
    pub fn agent(&self, resolver: &OnceResolver) -> Agent {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(self.timeout))
            .timeout_recv_body(Some(ANSWER_WITHIN.min(self.timeout)))
            .max_idle_connections(1)
            .max_idle_connections_per_host(1)
            .max_idle_age(MAX_CONNECTION_AGE)
            // Ours stands on the way that is made below; ureq would ask the environment.
            .proxy(None)
            .user_agent(concat!("metricsd/", env!("CARGO_PKG_VERSION")))
            .build();
        let tcp = TcpConnector { is_plain: self.proxy.is_none() && !self.url.is_https() };
        let connector = ().chain(tcp).chain(ProxyConnector(self.proxy.clone())).chain(TlsConnector(self.tls.clone()));
        Agent::with_parts(config, connector, resolver.clone())
    }

    /// Which way it is, for people.
    pub fn name(&self) -> String {
        match &self.proxy {
            Some(proxy) => format!("{} through the proxy {}", self.url, proxy.url()),
            None => self.url.to_string(),
        }
    }

    /// Which way failed, and how.
    pub fn failure(&self, error: &ureq::Error) -> String {
        format!("{}: {}", self.name(), in_words(error, self.timeout))
    }
}

/// What went wrong, for people: how far it had come, and which setting ended the wait.
fn in_words(error: &ureq::Error, timeout: Duration) -> String {
    let within = |what: &str| format!("{what} within {timeout:?} (shipper.timeout)");
    match error {
        ureq::Error::Timeout(Timeout::Resolve) => within("the name server did not answer"),
        ureq::Error::Timeout(Timeout::Connect) => within("no connection came about"),
        ureq::Error::Timeout(Timeout::SendRequest | Timeout::SendBody) => within("the request was not taken"),
        ureq::Error::Timeout(_) => within("no complete answer"),
        ureq::Error::Io(error) => match (tls_error(error), from_below(error)) {
            (Some(error), _) => tls::in_words(error),
            (None, Some(error)) => in_words(error, timeout),
            // ureq's own end of file, where the kernel's errors have a number.
            (None, None) if error.kind() == ErrorKind::UnexpectedEof && error.raw_os_error().is_none() => {
                "the connection was closed before an answer came".to_owned()
            }
            (None, None) => error.to_string(),
        },
        ureq::Error::Protocol(error) => format!("what came back is no HTTP answer: {error}"),
        ureq::Error::Other(error) => error.to_string(),
        other => other.to_string(),
    }
}

/// What the connection under TLS said.
fn from_below(error: &std::io::Error) -> Option<&ureq::Error> {
    error.get_ref()?.downcast_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_said_for_people() {
        let within = Duration::from_secs(30);
        let said = |part| in_words(&ureq::Error::Timeout(part), within);
        assert_eq!(said(Timeout::Resolve), "the name server did not answer within 30s (shipper.timeout)");
        assert_eq!(said(Timeout::Connect), "no connection came about within 30s (shipper.timeout)");
        assert_eq!(said(Timeout::SendBody), "the request was not taken within 30s (shipper.timeout)");
        let refused = std::io::Error::from_raw_os_error(nix::errno::Errno::ECONNREFUSED as i32);
        assert_eq!(in_words(&ureq::Error::Io(refused), within), "Connection refused (os error 111)");
    }
}
