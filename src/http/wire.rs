//! The way to one server: name, proxy, socket, TLS, each with its deadline.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use ureq::config::{AutoHeaderValue, Config};
use ureq::http::uri::{InvalidUri, PathAndQuery, Uri};
use ureq::http::{HeaderMap, Request, StatusCode};
use ureq::unversioned::transport::Connector;
use ureq::{Agent, AsSendBody};

use super::error::Error;
use super::limits::{MAX_CONNECTION_AGE, MAX_IDLE_BY_PROXY, TimeLimits};
use super::proxy::{Proxy, ProxyConnector};
use super::resolve::OnceResolver;
use super::session::Session;
use super::socket::SocketConnector;
use super::tls::{Secure, TlsConnector};
use super::url::Url;
use super::watch::{Slot, WatchConnector};
use crate::tls::{Client, ClientSettings};

/// An answer's head, in bytes: more than any server sends that means well.
const MAX_HEAD: usize = 32 << 10;

/// Where what is asked of a socket is: no other place has a host without a name.
const LOCAL: &str = "http://localhost";

/// What we call ourselves where nobody says otherwise, in the one place that all servers share.
static USER_AGENT: LazyLock<Arc<String>> =
    LazyLock::new(|| Arc::new(concat!("metricsd/", env!("CARGO_PKG_VERSION")).to_owned()));

/// What all requests have in common. ureq reads the environment for each that it makes.
static CONFIG: LazyLock<Config> = LazyLock::new(|| {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_response_header_size(MAX_HEAD)
        // What it would keep goes to the slot.
        .max_idle_connections(0)
        // Ours stands on the way that a wire makes; ureq would ask the environment.
        .proxy(None)
        .allow_non_standard_methods(true)
        // Who wants answers packed says so with the request.
        .accept_encoding("")
        .build()
});

/// How one server is reached.
pub struct Wire {
    url: Url,
    /// What requests are addressed to.
    uri: Result<Uri, String>,
    tls: Option<Arc<Secure>>,
    proxy: Option<Arc<Proxy>>,
    /// For the whole of a request.
    timeout: Duration,
    limits: TimeLimits,
    user_agent: Arc<String>,
}

impl Wire {
    /// The way to `url`, without user info, by `proxy` if there is one. Log lines call the
    /// server `label`.
    pub fn new(
        label: &str,
        url: Url,
        tls: Option<&ClientSettings>,
        proxy: Option<&Url>,
        timeout: Duration,
        limits: &TimeLimits,
    ) -> Wire {
        let uri = match url.split_socket() {
            Some((_, path)) => Uri::try_from(format!("{LOCAL}{path}")),
            None => Uri::try_from(&*url.without_zone()),
        };
        Wire {
            url,
            uri: uri.map_err(|error: InvalidUri| error.to_string()),
            tls: tls.map(|tls| {
                let client = Client::new(label.to_owned(), tls.clone());
                Arc::new(Secure { client, session: Session::new(label) })
            }),
            proxy: proxy.map(|url| Arc::new(Proxy::new(label, url, tls))),
            timeout,
            limits: limits.clone(),
            user_agent: Arc::clone(&USER_AGENT),
        }
    }

    /// The same, where we call ourselves `user_agent`, if that is given.
    pub fn by(self, user_agent: Option<&str>) -> Wire {
        Wire { user_agent: user_agent.map_or(self.user_agent, |given| Arc::new(given.to_owned())), ..self }
    }

    /// Looks at the files. Whether connections are to be made anew.
    pub fn refresh(&self) -> bool {
        let tls = self.tls.as_ref().is_some_and(|tls| tls.client.refresh());
        self.proxy.as_ref().is_some_and(|proxy| proxy.refresh()) || tls
    }

    /// Of the first host on the way.
    pub fn resolver(&self) -> OnceResolver {
        match self.url.split_socket() {
            Some(_) => OnceResolver::local(),
            None => OnceResolver::new(&self.url, self.proxy.as_ref().map(|proxy| proxy.url())),
        }
    }

    /// What sends one request, on the connection in `slot` or on a new one, which is there afterwards.
    pub fn agent(&self, resolver: &OnceResolver, slot: &Slot) -> Agent {
        let connector = WatchConnector { make: self.connector(), slot: slot.clone(), max_idle: self.max_idle() };
        Agent::with_parts(CONFIG.clone(), connector, resolver.clone())
    }

    /// `request` as it is sent to this server, which may take `within` where that is given.
    pub fn bounded<S: AsSendBody>(&self, agent: &Agent, request: Request<S>, within: Option<Duration>) -> Request<S> {
        agent
            .configure_request(request)
            .timeout_global(Some(within.unwrap_or(self.timeout)))
            .timeout_resolve(self.limits.connect)
            .timeout_connect(self.limits.connect)
            .timeout_recv_response(self.limits.head)
            .timeout_recv_body(self.limits.body)
            .user_agent(AutoHeaderValue::Provided(Arc::clone(&self.user_agent)))
            .build()
    }

    /// Makes connections.
    fn connector(&self) -> impl Connector {
        let socket = match self.url.split_socket() {
            Some((path, _)) => SocketConnector::Unix(path.into()),
            None => SocketConnector::Tcp { is_plain: self.proxy.is_none() && !self.url.is_https() },
        };
        let tls = TlsConnector { secure: self.tls.clone(), has_fields: self.limits.has_fields() };
        ().chain(socket).chain(ProxyConnector(self.proxy.clone())).chain(tls)
    }

    /// How long a connection may idle and be used again.
    fn max_idle(&self) -> Duration {
        let usual = if self.proxy.is_some() { MAX_IDLE_BY_PROXY } else { MAX_CONNECTION_AGE };
        self.limits.idle.unwrap_or(usual)
    }

    /// What a request is addressed to: the URL itself, or `path` at its server, which begins
    /// with `/` and may have a query.
    pub fn uri(&self, path: Option<&str>) -> Result<Uri, Error> {
        let bad = |why: String| Error::Failed(format!("is no valid URL: {why}")).on(&self.name());
        let uri = self.uri.clone().map_err(bad)?;
        let Some(path) = path else { return Ok(uri) };
        let mut parts = uri.into_parts();
        parts.path_and_query = Some(PathAndQuery::try_from(path).map_err(|error| bad(error.to_string()))?);
        Uri::from_parts(parts).map_err(|error| bad(error.to_string()))
    }

    /// Which way it is, for people.
    pub fn name(&self) -> String {
        match &self.proxy {
            Some(proxy) => format!("{} through the proxy {}", self.url, proxy.url()),
            None => self.url.to_string(),
        }
    }

    /// Where it leads.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// What the last handshake has agreed on; none where there was none.
    pub fn agreed(&self) -> Option<String> {
        self.tls.as_ref().and_then(|tls| tls.session.agreed())
    }

    /// Whether a proxy reads requests and passes them on, and answers with them.
    pub fn is_passed_on(&self) -> bool {
        self.proxy.is_some() && !self.url.is_https()
    }

    /// Why a request that a proxy was to pass on has come to nothing there; none where the answer
    /// is the server's.
    pub fn refusal(&self, status: StatusCode, headers: &HeaderMap) -> Option<String> {
        let proxy = self.proxy.as_ref().filter(|_| !self.url.is_https())?;
        proxy.refusal(status, headers)
    }

    /// For the whole of a request, and for parts of it.
    pub fn limits(&self) -> (Duration, &TimeLimits) {
        (self.timeout, &self.limits)
    }
}

#[cfg(test)]
mod tests {
    use super::super::access::Access;
    use super::super::client::Client as HttpClient;
    use super::*;

    #[test]
    fn what_is_kept_of_a_plain_server_is_small() {
        fn of_a_connection<C: Connector>(_: &C) -> usize {
            size_of::<C::Out>()
        }
        let wire = Wire::new("test", "http://h/".into(), None, None, Duration::from_secs(30), &TimeLimits::default());
        // There is one of each for each of a thousand targets. What TLS needs is 1.2 KB, and credentials, their files
        // and tokens are a kilobyte: those who have them have them elsewhere.
        let sizes = [of_a_connection(&wire.connector()), size_of::<Access>(), size_of::<HttpClient>()];
        assert!(sizes.iter().zip([160, 288, 128]).all(|(size, most)| *size <= most), "{sizes:?}");
    }

    #[test]
    fn a_connection_idles_for_longer_than_the_usual_interval_but_not_behind_a_proxy() {
        let idles = |proxy: Option<&Url>, limits: &TimeLimits| {
            let wire = Wire::new("test", "http://h/".into(), None, proxy, Duration::from_secs(30), limits);
            wire.max_idle().as_secs()
        };
        let usual = TimeLimits::default();
        // An interval is 60 s where nobody says otherwise.
        assert_eq!(idles(None, &usual), 300);
        assert_eq!(idles(Some(&"http://p:3128".into()), &usual), 30);
        assert_eq!(idles(None, &TimeLimits { idle: Some(Duration::from_secs(7)), ..usual }), 7);
    }
}
