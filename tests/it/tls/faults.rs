//! What servers get wrong: one line with the cause and the remedy, and no other destination
//! notices.

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, date_time_ymd};
use rustls::version::{TLS12, TLS13};

use super::World;
use crate::support::pki::{Authority, Issued, new_key};
use crate::support::program::Daemon;
use crate::support::tls_peer::{Setup, TlsPeer, Wrong, wrong_port};
use crate::support::wait_for;

/// A destination, and what its one line has to say.
struct Fault {
    name: &'static str,
    port: u16,
    tls: String,
    /// The cause, in openssl's words where it has some, and the remedy.
    said: [&'static str; 2],
    /// Lives as long as the test.
    _peer: Option<Box<dyn std::any::Any>>,
}

impl Fault {
    fn shipper(&self, ca: &str) -> String {
        let Fault { name, port, tls, .. } = self;
        let silent = if self.said[0].contains("in time") { r#""timeout": "1s", "# } else { "" };
        format!(
            r#"{{"name": "{name}", "type": "http_json", "endpoint": "https://localhost:{port}/in", {silent}
                "spool": {{"mode": "memory"}}, "tls": {{"enabled": true, "ca_file": "{ca}"{tls}}}}}"#
        )
    }
}

#[test]
fn each_fault_has_its_line_and_harms_nobody_else() {
    let world = World::new();
    let dir = world.dir.path();
    let issue = |change: fn(&mut CertificateParams)| world.authority.issue_as(&["localhost"], new_key(), change);
    let mut faults: Vec<Fault> = Vec::new();
    let mut server = |name, setup: Setup, tls: &str, said| {
        let peer = TlsPeer::start(&setup);
        faults.push(Fault { name, port: peer.address.port(), tls: tls.to_owned(), said, _peer: Some(Box::new(peer)) });
    };

    let expired = issue(|params| params.not_after = date_time_ymd(2020, 1, 1));
    server("expired", Setup::new(&expired), "", ["certificate has expired", "renew the server's certificate"]);
    let early = issue(|params| params.not_before = date_time_ymd(2090, 1, 1));
    server("early", Setup::new(&early), "", ["certificate is not yet valid", "look at this machine's clock"]);
    let own = Issued::self_signed(&["localhost"], |_| {});
    server("self-signed", Setup::new(&own), "", ["self-signed certificate: ", "as tls.ca_file"]);
    let own_ca = Issued::self_signed(&["localhost"], |params| {
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    });
    server("self-signed-ca", Setup::new(&own_ca), "", ["self-signed certificate: ", "as tls.ca_file"]);
    let elsewhere = world.authority.issue(&["a.example", "b.example", "192.0.2.1"]);
    server(
        "wrong-name",
        Setup::new(&elsewhere),
        "",
        [
            "hostname mismatch: the certificate is for a.example, b.example, 192.0.2.1, not for localhost",
            "set tls.server_name to a name of the certificate",
        ],
    );
    let nameless = world.authority.issue(&[]);
    server("nameless", Setup::new(&nameless), "", ["no subjectAltName", "localhost was expected"]);
    let stranger = Authority::new("stranger");
    let strange = stranger.issue(&["localhost"]);
    server("wrong-ca", Setup::new(&strange), "", ["unable to get local issuer certificate", "authority in ca_file"]);
    let mut with_root = strange.clone();
    with_root.chain.push(stranger.certificate().clone());
    let words = ["self-signed certificate in certificate chain", "give its certificate as tls.ca_file"];
    server("wrong-root", Setup::new(&with_root), "", words);
    let mut torn = world.authority.intermediate("between").issue(&["localhost"]);
    torn.chain.truncate(1);
    let words = ["unable to get local issuer certificate", "does not send its intermediate certificate"];
    server("no-intermediate", Setup::new(&torn), "", words);
    let client_only = issue(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    server("not-for-servers", Setup::new(&client_only), "", ["unsuitable certificate purpose", "not one for servers"]);

    let asking = || Setup::with_clients_of(&world.server, &world.authority);
    let words = ["alert certificate required", "set tls.cert_file and tls.key_file"];
    server("no-client-cert-13", Setup { versions: vec![&TLS13], ..asking() }, "", words);
    server("no-client-cert-12", Setup { versions: vec![&TLS12], ..asking() }, "", words);
    let showing = |name: &str, identity: &Issued| {
        let (certificate, key) = identity.write(dir, name);
        format!(r#", "cert_file": "{}", "key_file": "{}""#, certificate.display(), key.display())
    };
    let words = ["alert unknown ca", "does not trust the authority of tls.cert_file"];
    server("strange-client", asking(), &showing("strange", &strange), words);
    let words = ["alert certificate expired", "renew tls.cert_file"];
    server("old-client", asking(), &showing("old", &expired), words);
    let words = ["alert protocol version", "from tls.min_version to max_version"];
    server("too-new", Setup { versions: vec![&TLS12], ..world.setup() }, r#", "min_version": "TLS1.3""#, words);

    let mut raw = |name, port, said| faults.push(Fault { name, port, tls: String::new(), said, _peer: None });
    let wrong = |what| wrong_port(what).port();
    raw("tls11-alert", wrong(Wrong::Alert(70)), words);
    raw("tls11", wrong(Wrong::OldVersion), ["unsupported protocol", "none of our versions or cipher suites"]);
    raw("no-suite", wrong(Wrong::Alert(40)), ["alert handshake failure", "or the server wants a client certificate"]);
    raw("reset", wrong(Wrong::Reset), ["connection reset by peer in the TLS handshake", "speak TLS?"]);
    raw("close", wrong(Wrong::Close), ["unexpected eof while reading", "in the TLS handshake"]);
    raw("silent", wrong(Wrong::Silent), ["no answer in the TLS handshake in time", "speak TLS?"]);
    let trickle = Wrong::Trickle(std::time::Duration::from_millis(100));
    raw("trickle", wrong(trickle), ["no answer in the TLS handshake in time", "speak TLS?"]);
    let words = ["wrong version number: what answers does not speak TLS", "is it an http:// port?"];
    raw("plain", wrong(Wrong::Http), words);

    let good = TlsPeer::start(&world.setup());
    let ca = world.client().ca_file.unwrap().display().to_string();
    let all: Vec<String> = faults.iter().map(|fault| fault.shipper(&ca)).collect();
    let config = format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{"interval_seconds": 0.2}}, "shippers": [{},
            {{"name": "good", "type": "http_json", "endpoint": "{}", "tls": {{"enabled": true, "ca_file": "{ca}"}}}}]}}"#,
        all.join(",\n"),
        good.url()
    );
    let documented = include_str!("../../../docs/tls.md");
    let daemon = Daemon::start(dir, &config);
    for fault in &faults {
        let cause = fault.said[0].split(": ").next().unwrap();
        assert!(documented.contains(cause), "docs/tls.md does not know {cause:?}");
        let start = format!("destination {}: failed: https://localhost:{}/in: ", fault.name, fault.port);
        let line = wait_for(&start, || daemon.log().lines().find(|line| line.contains(&start)).map(str::to_owned));
        for said in fault.said {
            assert!(line.contains(said), "{}: {line}", fault.name);
        }
        assert!(line.contains("; what waits is kept ("), "{}: {line}", fault.name);
    }
    // Nothing of it was taken for an answer, and the one that is well has had its share meanwhile.
    let health: serde_json::Value = serde_json::from_str(&daemon.get("/health").unwrap().1).unwrap();
    for fault in &faults {
        let state = &health["destinations"][fault.name];
        assert_eq!((state["state"].as_str(), state["dropped_samples"].as_u64()), (Some("retrying"), Some(0)));
        assert!(state["last_error"].as_str().unwrap().contains(fault.said[0]), "{state}");
    }
    assert_eq!(health["destinations"]["good"]["last_error"], serde_json::Value::Null);
    let so_far = good.received().len();
    wait_for("more deliveries", || (good.received().len() >= so_far + 5).then_some(()));
}
