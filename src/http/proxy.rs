//! The way through an HTTP proxy: CONNECT, for `http://` servers too.
//!
//! The resolver of a connection that goes through a proxy gives the proxy's addresses
//! (`resolve`), so what comes in here is a connection to the proxy; what goes out is one to
//! the server, whose name only the proxy has to know.

use std::fmt;
use std::io::{Read, Write};
use std::sync::Arc;

use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, NextTimeout, Transport, TransportAdapter,
};

use super::basic::{basic, user_and_password};
use super::deadline::left_for_connecting;
use super::error::other;
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
            401 | 407 if self.authorization.is_some() => "it refuses the user or the password in proxy_url".to_owned(),
            401 | 407 => "it wants credentials: write http://user:password@host:port as proxy_url".to_owned(),
            403 => format!("it does not allow CONNECT to {target}; ask whoever runs it"),
            400 | 404 | 405 | 501 => "it does not know CONNECT; is it an HTTP proxy?".to_owned(),
            502..=504 => format!("it cannot reach {target}"),
            _ => format!("CONNECT to {target} failed"),
        };
        Err(other(format!("the proxy answered {status}: {why}")))
    }
}

/// Makes connections to a proxy ones to the server; leaves others as they are.
pub struct ProxyConnector(pub Option<Arc<Proxy>>);

impl<In: Transport> Connector<In> for ProxyConnector {
    type Out = Either<In, Tunnel>;

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
        let port = details.uri.port_u16().unwrap_or(if details.needs_tls() { 443 } else { 80 });
        let target = format!("{}:{port}", details.uri.host().unwrap_or_default());
        let mut way = TransportAdapter::new(connection, Arc::clone(&details.current_time));
        way.set_timeout(left_for_connecting(details));
        proxy.ask(&target, &mut way)?;
        Ok(Some(Either::B(Tunnel(way.into_inner()))))
    }
}

impl fmt::Debug for ProxyConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProxyConnector")
    }
}

/// A connection through a proxy. Whether that itself is spoken to over TLS is no matter to
/// the server's own.
#[derive(Debug)]
pub struct Tunnel(Box<dyn Transport>);

impl Transport for Tunnel {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.0.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.0.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }
}
