//! A TLS server that does as it is told and says what it saw; and ports that get TLS wrong.

use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{Acceptor, WebPkiClientVerifier};
use rustls::{
    DigitallySignedStruct, DistinguishedName, HandshakeKind, RootCertStore, ServerConfig, ServerConnection,
    SignatureScheme, StreamOwned, SupportedProtocolVersion, version,
};

use super::peer::{Received, read_request, reset};
use super::pki::{Authority, Issued};

/// What a server was told by one who connected, and what both agreed on.
#[derive(Clone, Debug)]
pub struct Greeting {
    /// SNI.
    pub server_name: Option<String>,
    /// The suites of the hello in their order, by their IANA names.
    pub offered: Vec<String>,
    pub version: String,
    pub suite: String,
    pub resumed: bool,
    /// The client's own certificate.
    pub client: Option<CertificateDer<'static>>,
}

/// How a server is set up.
pub struct Setup {
    pub identity: Issued,
    pub versions: Vec<&'static SupportedProtocolVersion>,
    /// IANA names; none: all.
    pub suites: Vec<&'static str>,
    /// Whose clients are let in; none: no certificate is asked for.
    pub clients_of: Option<CertificateDer<'static>>,
    /// Whether one who has no certificate is let in all the same.
    pub clients_optional: bool,
    /// Whether any certificate of a client will do, as servers have it that look elsewhere at who it is.
    pub any_client: bool,
    /// Each connection is said goodbye to after one answer that did not announce it; TCP
    /// stays open until the client has left.
    pub close_each: bool,
    /// Each connection gets one answer, and an end without a word when its next request is there.
    pub one_answer: bool,
    /// What each answer holds.
    pub body: &'static str,
}

impl Setup {
    /// Everything that rustls has, and nobody is asked for a certificate.
    pub fn new(identity: &Issued) -> Setup {
        Setup {
            identity: identity.clone(),
            versions: vec![&version::TLS13, &version::TLS12],
            suites: Vec::new(),
            clients_of: None,
            clients_optional: false,
            any_client: false,
            close_each: false,
            one_answer: false,
            body: "",
        }
    }

    /// Wants clients of `authority`.
    pub fn with_clients_of(identity: &Issued, authority: &Authority) -> Setup {
        Setup { clients_of: Some(authority.certificate().clone()), ..Setup::new(identity) }
    }

    pub fn config(&self) -> Arc<ServerConfig> {
        let mut provider = ring::default_provider();
        if !self.suites.is_empty() {
            provider.cipher_suites.retain(|suite| self.suites.contains(&&*iana(suite.suite())));
        }
        let provider = Arc::new(provider);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_protocol_versions(&self.versions).unwrap();
        let builder = match &self.clients_of {
            None if self.any_client => builder.with_client_cert_verifier(Arc::new(AnyClient)),
            None => builder.with_no_client_auth(),
            Some(root) => {
                let mut roots = RootCertStore::empty();
                roots.add(root.clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = if self.clients_optional { verifier.allow_unauthenticated() } else { verifier };
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        Arc::new(builder.with_single_cert(self.identity.chain.clone(), self.identity.key()).unwrap())
    }
}

/// Takes any certificate of a client, of any version of X.509.
#[derive(Debug)]
struct AnyClient;

impl ClientCertVerifier for AnyClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// A server on a port of this machine that answers each request with 200. Dropping it ends its threads.
pub struct TlsPeer {
    pub address: SocketAddr,
    state: Arc<State>,
}

struct State {
    config: Mutex<(Arc<ServerConfig>, bool)>,
    body: &'static str,
    one_answer: bool,
    greetings: Mutex<Vec<Greeting>>,
    received: Mutex<Vec<Received>>,
    failures: Mutex<Vec<String>>,
    over: AtomicBool,
}

impl TlsPeer {
    pub fn start(setup: &Setup) -> TlsPeer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            config: Mutex::new((setup.config(), setup.close_each)),
            body: setup.body,
            one_answer: setup.one_answer,
            greetings: Mutex::default(),
            received: Mutex::default(),
            failures: Mutex::default(),
            over: AtomicBool::new(false),
        });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.over.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || {
                    if let Err(error) = serve(&shared, stream.unwrap()) {
                        shared.failures.lock().unwrap().push(error.to_string());
                    }
                });
            }
        });
        TlsPeer { address, state }
    }

    /// Connections from now on are served as `setup` says.
    pub fn change_to(&self, setup: &Setup) {
        *self.state.config.lock().unwrap() = (setup.config(), setup.close_each);
    }

    /// The URL under the name `localhost`.
    pub fn url(&self) -> String {
        format!("https://localhost:{}/in", self.address.port())
    }

    /// One for each connection whose handshake was finished.
    pub fn greetings(&self) -> Vec<Greeting> {
        self.state.greetings.lock().unwrap().clone()
    }

    pub fn received(&self) -> Vec<Received> {
        self.state.received.lock().unwrap().clone()
    }

    /// Why connections came to a bad end.
    pub fn failures(&self) -> Vec<String> {
        self.state.failures.lock().unwrap().clone()
    }
}

impl Drop for TlsPeer {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(state: &State, mut tcp: TcpStream) -> io::Result<()> {
    let (config, close_each) = state.config.lock().unwrap().clone();
    let mut acceptor = Acceptor::default();
    let accepted = loop {
        if acceptor.read_tls(&mut tcp)? == 0 {
            return Ok(());
        }
        match acceptor.accept() {
            Ok(Some(accepted)) => break accepted,
            Ok(None) => {}
            Err((error, mut alert)) => {
                alert.write_all(&mut tcp)?;
                return Err(io::Error::other(error));
            }
        }
    };
    let hello = accepted.client_hello();
    let server_name = hello.server_name().map(str::to_owned);
    let offered = hello.cipher_suites().iter().map(|suite| iana(*suite)).filter(|name| !name.contains("SCSV"));
    let offered = offered.collect();
    let mut connection: ServerConnection = match accepted.into_connection(config) {
        Ok(connection) => connection,
        Err((error, mut alert)) => {
            alert.write_all(&mut tcp)?;
            return Err(io::Error::other(error));
        }
    };
    while connection.is_handshaking() {
        connection.complete_io(&mut tcp)?;
    }
    let greeting = Greeting {
        server_name,
        offered,
        version: format!("{:?}", connection.protocol_version().unwrap()),
        suite: iana(connection.negotiated_cipher_suite().unwrap().suite()),
        resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
        client: connection.peer_certificates().and_then(|chain| Some(chain.first()?.clone().into_owned())),
    };
    state.greetings.lock().unwrap().push(greeting);
    let mut reader = BufReader::new(StreamOwned::new(connection, tcp));
    let mut is_over = false;
    while let Some(request) = read_request(&mut reader) {
        let stream = reader.get_mut();
        // Before the answer: who has seen that may look here.
        state.received.lock().unwrap().push(request);
        if std::mem::replace(&mut is_over, state.one_answer) {
            return Ok(());
        }
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", state.body.len(), state.body);
        let answer = answer.as_bytes();
        if close_each {
            // In one piece, so that nobody can send a request in between.
            let mut piece = Vec::new();
            stream.conn.writer().write_all(answer)?;
            stream.conn.send_close_notify();
            while stream.conn.wants_write() {
                stream.conn.write_tls(&mut piece)?;
            }
            stream.sock.write_all(&piece)?;
            // An error where the client leaves without a goodbye.
            return stream.read(&mut [0]).map(drop);
        }
        stream.write_all(answer)?;
    }
    Ok(())
}

/// rustls writes `TLS13_` where the registry has `TLS_`.
fn iana(suite: rustls::CipherSuite) -> String {
    format!("{suite:?}").replacen("TLS13_", "TLS_", 1)
}

/// What is wrong with the TLS of a port.
#[derive(Clone, Copy)]
pub enum Wrong {
    /// Answers the hello with this alert.
    Alert(u8),
    /// Answers the hello in TLS 1.1.
    OldVersion,
    /// Reads the hello, and resets the connection.
    Reset,
    /// Reads the hello, and closes the connection.
    Close,
    /// Answers as HTTP without TLS does.
    Http,
    /// Takes the connection and never says a word.
    Silent,
    /// A record that comes at one byte in this time.
    Trickle(Duration),
}

/// A port on which everybody is treated so, for as long as the test runs.
pub fn wrong_port(wrong: Wrong) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map(Result::unwrap) {
            std::thread::spawn(move || treat(stream, wrong));
        }
    });
    address
}

fn treat(mut stream: TcpStream, wrong: Wrong) {
    // The hello is one record, and shorter than this.
    let mut hello = [0; 4096];
    let _ = stream.read(&mut hello);
    match wrong {
        Wrong::Alert(description) => {
            let _ = stream.write_all(&[21, 3, 1, 0, 2, 2, description]);
            // Not before it was read: a reset would overtake it.
            let _ = stream.read(&mut hello);
        }
        Wrong::OldVersion => {
            // ServerHello of RFC 4346: version, random, no session, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, null.
            let mut message = vec![2, 0, 0, 38, 3, 2];
            message.extend([7; 32]);
            message.extend([0, 0xc0, 0x13, 0]);
            let mut record = vec![22, 3, 2, 0, message.len() as u8];
            record.extend(message);
            let _ = stream.write_all(&record);
            let _ = stream.read(&mut hello);
        }
        Wrong::Http => {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
            let _ = stream.read(&mut hello);
        }
        Wrong::Reset => reset(stream),
        Wrong::Close => {}
        Wrong::Silent => while stream.read(&mut hello).is_ok_and(|n| n > 0) {},
        Wrong::Trickle(pause) => {
            // A record of 16 KiB is announced.
            let _ = stream.write_all(&[22, 3, 3, 0x40, 0]);
            while stream.write_all(&[0]).is_ok() {
                std::thread::sleep(pause);
            }
        }
    }
}
