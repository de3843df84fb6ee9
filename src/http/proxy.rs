//! The way through an HTTP proxy: CONNECT to `https://` servers; requests for `http://` ones are
//! passed on by it (`forward`).
//!
//! The resolver of a connection that goes through a proxy gives the proxy's addresses
//! (`resolve`), so what comes in here is a connection to the proxy; what goes out is one to
//! the server, whose name only the proxy has to know.

use std::fmt;
use std::io::{Read, Write};
use std::sync::Arc;

use ureq::http::{HeaderMap, StatusCode};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, NextTimeout, Transport, TransportAdapter,
};

use super::basic::{basic, user_and_password};
use super::deadline::left_for_connecting;
use super::error::other;
use super::forward::{Forward, is_of_the_proxy};
use super::tls::shake_hands;
use super::url::Url;
use crate::tls;

/// The head of a proxy's answer. Real ones have a few hundred bytes.
const MAX_HEAD: usize = 8 << 10;

/// Lines in it.
const MAX_HEADERS: usize = 64;

/// A proxy, with what it takes to be let through.
pub struct Proxy {
    url: Url,
    /// For a proxy that is `https://` itself.
    tls: Option<tls::Client>,
    authorization: Option<String>,
}

impl Proxy {
    /// The proxy at `url`, whose user info is for itself, on the way to what log lines call
    /// `label`. `tls` is how that is spoken to: the proxy has to be trusted by the same roots,
    /// but has a name of its own and is not shown our certificate.
    pub fn new(label: &str, url: &Url, tls: Option<&tls::ClientSettings>) -> Proxy {
        let (url, user_info) = url.split_user_info();
        let authorization = user_info.map(|info| {
            let (user, password) = user_and_password(info);
            basic(&user, &password)
        });
        let tls = url.is_https().then(|| {
            let settings = tls::ClientSettings {
                identity: None,
                server_name: None,
                insecure_skip_verify: false,
                ..tls.cloned().unwrap_or_default()
            };
            tls::Client::new(format!("{label}: its proxy"), settings)
        });
        Proxy { url, tls, authorization }
    }

    /// Where it is, without credentials.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Looks at the files; whether connections are to be made anew.
    pub fn refresh(&self) -> bool {
        self.tls.as_ref().is_some_and(tls::Client::refresh)
    }

    /// Asks for a way to `target`, `host:port`, and reads the answer as far as its head goes.
    fn ask(&self, target: &str, way: &mut (impl Read + Write)) -> Result<(), ureq::Error> {
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        request.push_str(concat!("User-Agent: metricsd/", env!("CARGO_PKG_VERSION"), "\r\n"));
        if let Some(authorization) = &self.authorization {
            request.push_str(&format!("Proxy-Authorization: {authorization}\r\n"));
        }
        request.push_str("\r\n");
        way.write_all(request.as_bytes())?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if way.read(&mut byte)? == 0 {
                return Err(other("it closed the connection instead of answering CONNECT"));
            }
            head.push(byte[0]);
            if head.len() > MAX_HEAD {
                return Err(other(format!("its answer to CONNECT has more than {MAX_HEAD} bytes of headers")));
            }
        }
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut answer = httparse::Response::new(&mut headers);
        match answer.parse(&head) {
            Ok(_) => self.judge(target, answer.code.unwrap_or_default()),
            Err(_) => Err(other("it does not answer CONNECT in HTTP; is it an HTTP proxy?")),
        }
    }

    fn judge(&self, target: &str, status: u16) -> Result<(), ureq::Error> {
        let why = match status {
            200..=299 => return Ok(()),
            401 | 407 => self.unknown_user().to_owned(),
            403 => format!("it does not allow CONNECT to {target}; ask whoever runs it"),
            400 | 404 | 405 | 501 => "it does not know CONNECT; is it an HTTP proxy?".to_owned(),
            502..=504 => format!("it cannot reach {target}"),
            _ => format!("CONNECT to {target} failed"),
        };
        Err(other(format!("the proxy answered {status}: {why}")))
    }

    /// Why a request that the proxy was to pass on has come to nothing there; none where the
    /// answer is the server's.
    pub fn refusal(&self, status: StatusCode, headers: &HeaderMap) -> Option<String> {
        let why = match status.as_u16() {
            _ if !is_of_the_proxy(status, headers) => return None,
            401 | 407 => self.unknown_user(),
            403 => "it does not allow requests to this server; ask whoever runs it",
            502..=504 => "it cannot reach the server",
            _ => "it does not pass the request on; ask whoever runs it",
        };
        Some(format!("the proxy answered {}: {why}", status.as_u16()))
    }

    fn unknown_user(&self) -> &'static str {
        match self.authorization {
            Some(_) => "it refuses the user or the password in proxy_url",
            None => "it wants credentials: write http://user:password@host:port as proxy_url",
        }
    }
}

/// Makes connections to a proxy ones to the server; leaves others as they are.
pub struct ProxyConnector(pub Option<Arc<Proxy>>);

impl<In: Transport> Connector<In> for ProxyConnector {
    type Out = Either<In, Way>;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(connection) = chained else { return Ok(None) };
        let Some(proxy) = &self.0 else { return Ok(Some(Either::A(connection))) };
        let connection = match &proxy.tls {
            Some(client) => {
                let name = client.server_name(proxy.url.host()).map_err(other)?;
                shake_hands(client, name, proxy.url.port(), connection.boxed(), details, true)?.boxed()
            }
            None => connection.boxed(),
        };
        if !details.needs_tls() {
            let authority = details.uri.authority().map_or("", |authority| authority.as_str());
            let forward = Some(Forward::new(authority, proxy.authorization.clone()));
            return Ok(Some(Either::B(Way { connection, forward })));
        }
        let target = format!("{}:{}", details.uri.host().unwrap_or_default(), details.uri.port_u16().unwrap_or(443));
        let mut way = TransportAdapter::new(connection, Arc::clone(&details.current_time));
        way.set_timeout(left_for_connecting(details));
        proxy.ask(&target, &mut way)?;
        Ok(Some(Either::B(Way { connection: way.into_inner(), forward: None })))
    }
}

impl fmt::Debug for ProxyConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProxyConnector")
    }
}

/// A connection by way of a proxy. Whether that itself is spoken to over TLS is no matter to
/// the server's own.
pub struct Way {
    connection: Box<dyn Transport>,
    /// None where it is a tunnel to the server.
    forward: Option<Forward>,
}

impl Transport for Way {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.connection.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        match &mut self.forward {
            Some(forward) => forward.transmit(&mut *self.connection, amount, timeout),
            None => self.connection.transmit_output(amount, timeout),
        }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.forward.iter_mut().for_each(Forward::awaits);
        self.connection.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.connection.is_open()
    }
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Way({:?})", self.connection)
    }
}
