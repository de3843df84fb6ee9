//! Against OpenSSL and nginx: TLS by other people's hands.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use metricsd::tls::{SUITES_12, SUITES_13};
use serde_json::Value;

use super::host_name;
use crate::support::pki::{Authority, Issued, fixture_key};
use crate::support::program::{Captured, Daemon, TempDir, free_port};
use crate::support::prometheus::Prometheus;
use crate::support::wait_for;

/// A program that is killed when dropped.
pub(super) struct Server {
    child: Child,
    pub(super) port: u16,
    pub(super) output: Captured,
    stdin: ChildStdin,
}

impl Server {
    pub(super) fn start(command: &mut Command, port: u16, package: &str) -> Server {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            piped.spawn().unwrap_or_else(|error| panic!("{command:?} (Debian package: {package}): {error}"));
        let output = Captured::default();
        output.take(child.stdout.take().unwrap());
        output.take(child.stderr.take().unwrap());
        let stdin = child.stdin.take().unwrap();
        Server { child, port, output, stdin }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("port {} said:\n{}", self.port, self.output.text());
        }
    }
}

/// `openssl s_server`, which prints what it is sent, and sends what it is given to read.
pub(super) fn s_server(certificate: &Path, key: &Path, arguments: &[&str]) -> Server {
    let port = free_port();
    let mut command = Command::new("openssl");
    command.args(["s_server", "-accept", &format!("127.0.0.1:{port}"), "-cert"]).arg(certificate).arg("-key").arg(key);
    let server = Server::start(command.args(arguments), port, "openssl");
    wait_for("openssl to listen", || server.output.text().contains("ACCEPT").then_some(()));
    server
}

/// A daemon with these destinations, by `name`, port and further fields of `tls`.
fn daemon(dir: &TempDir, destinations: &[(String, u16, String)]) -> Daemon {
    let shippers: Vec<String> = destinations
        .iter()
        .map(|(name, port, tls)| {
            format!(
                r#"{{"name": "{name}", "type": "http_json", "endpoint": "https://localhost:{port}/in",
                    "tls": {{"enabled": true, {tls}}}}}"#
            )
        })
        .collect();
    super::daemon(dir, 0.25, &shippers.join(","))
}

pub(super) fn destination(daemon: &Daemon, name: &str) -> Value {
    let health: Value = serde_json::from_str(&daemon.get("/health").unwrap().1).unwrap();
    health["destinations"][name].clone()
}

/// `"cert_file": ..., "key_file": ...` of `identity`, whose files are written into `dir`.
fn showing(dir: &Path, name: &str, identity: &Issued) -> String {
    let (certificate, key) = identity.write(dir, name);
    format!(r#""cert_file": "{}", "key_file": "{}""#, certificate.display(), key.display())
}

/// OpenSSL's name of a suite.
fn openssl_name(suite: &str) -> String {
    if SUITES_13.contains(&suite) {
        return suite.to_owned();
    }
    let name = suite.strip_prefix("TLS_").unwrap().replace("_WITH", "").replace("AES_", "AES");
    name.strip_suffix("POLY1305_SHA256").map(|start| start.to_owned() + "POLY1305").unwrap_or(name).replace('_', "-")
}

#[test]
#[ignore = "needs openssl: make e2e"]
fn openssl_speaks_each_suite_and_sees_our_certificate() {
    let dir = TempDir::new();
    let authority = Authority::new("test root");
    let ca = dir.write("ca.pem", &authority.pem).display().to_string();
    let client = showing(dir.path(), "agent", &authority.issue(&["agent.example"]));
    let ecdsa = authority.issue(&["localhost"]).write(dir.path(), "ecdsa");
    let rsa = authority.issue_as(&["localhost"], fixture_key("rsa.pkcs8.pem"), |_| {}).write(dir.path(), "rsa");
    // The server has one suite, so it is the client's where they agree. The last one has all, and the client one.
    let mut servers: Vec<(String, Server)> = Vec::new();
    let mut destinations: Vec<(String, u16, String)> = Vec::new();
    for suite in SUITES_13.iter().chain(&SUITES_12).copied() {
        let name = openssl_name(suite);
        let (certificate, key) = if suite.contains("_RSA_") { &rsa } else { &ecdsa };
        let is_13 = SUITES_13.contains(&suite);
        let [version, option] = if is_13 { ["-tls1_3", "-ciphersuites"] } else { ["-tls1_2", "-cipher"] };
        let asking = ["-CAfile", &ca, "-Verify", "2", "-verify_return_error"];
        // The suites of TLS 1.3 stay beside one of TLS 1.2.
        let max_version = if is_13 { "TLS1.3" } else { "TLS1.2" };
        for (kind, arguments, suites) in [
            ("server", vec![version, option, &name], String::new()),
            ("client", vec![], format!(r#", "cipher_suites": ["{suite}"], "max_version": "{max_version}""#)),
        ] {
            let server = s_server(certificate, key, &[arguments, asking.to_vec()].concat());
            let id = format!("{kind}-{suite}");
            destinations.push((id.clone(), server.port, format!(r#""ca_file": "{ca}", {client}{suites}"#)));
            servers.push((id, server));
        }
    }
    let daemon = daemon(&dir, &destinations);
    for (id, server) in &mut servers {
        let said = wait_for("a request", || Some(server.output.text()).filter(|text| text.contains("\"metrics\":")));
        let suite = openssl_name(id.split_once('-').unwrap().1);
        assert!(said.contains(&format!("CIPHER is {suite}\n")), "{id}: {said}");
        assert!(
            said.contains("subject=CN = agent.example") || said.contains("subject=CN=agent.example"),
            "{id}: {said}"
        );
        assert!(said.contains("POST /in HTTP/1.1"), "{id}: {said}");
        server.stdin.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        wait_for("the delivery", || destination(&daemon, id)["last_success"].as_str().map(drop));
    }
}

#[test]
#[ignore = "needs openssl: make e2e"]
fn openssl_and_we_disagree_in_openssls_words() {
    let dir = TempDir::new();
    // As the manuals have it: a certificate that is its own authority, and a CA on top of that.
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-keyout", "own.key", "-out", "own.crt"])
        .current_dir(dir.path())
        .output()
        .expect("cannot start openssl (Debian package: openssl)");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let (certificate, key) = (dir.path().join("own.crt"), dir.path().join("own.key"));
    let own = certificate.display().to_string();
    let trusting = format!(r#""ca_file": "{own}""#);
    let start = |arguments: &[&str]| s_server(&certificate, &key, arguments);
    let mut plain = start(&[]);
    let cases = [
        ("asks-13", start(&["-tls1_3", "-CAfile", &own, "-Verify", "2"]), "alert certificate required"),
        ("asks-12", start(&["-tls1_2", "-CAfile", &own, "-Verify", "2"]), "alert handshake failure"),
        ("tls11", start(&["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]), "alert protocol version"),
        ("suites", start(&["-tls1_2", "-cipher", "AES128-SHA256"]), "alert handshake failure"),
    ];
    let mut destinations: Vec<(String, u16, String)> =
        cases.iter().map(|(name, server, _)| (name.to_string(), server.port, trusting.clone())).collect();
    destinations.push(("good".to_owned(), plain.port, trusting));
    let daemon = daemon(&dir, &destinations);
    for (name, _, cause) in &cases {
        let error = wait_for("an error", || destination(&daemon, name)["last_error"].as_str().map(str::to_owned));
        assert!(error.contains(cause), "{name}: {error}");
    }
    wait_for("a request", || plain.output.text().contains("\"metrics\":").then_some(()));
    plain.stdin.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    wait_for("the delivery", || destination(&daemon, "good")["last_success"].as_str().map(drop));
}

/// nginx with a client certificate demanded, in front of `upstream`. `access` is what else
/// it takes to be let in (`auth_basic`).
fn nginx(dir: &Path, identity: &Issued, authority: &Authority, upstream: u16, access: &str) -> Server {
    let port = free_port();
    identity.write(dir, "nginx");
    fs::write(dir.join("clients.pem"), &authority.pem).unwrap();
    // The workers of one who is root may not be let into our directory.
    let user = if nix::unistd::geteuid().is_root() { "user root;" } else { "" };
    let config = format!(
        r#"{user} daemon off; worker_processes 1; pid {dir}/nginx.pid; error_log stderr;
        events {{}}
        http {{
            log_format tls '$ssl_protocol $ssl_session_reused $ssl_client_s_dn $status';
            access_log {dir}/access.log tls;
            client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
            uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
            server {{
                listen 127.0.0.1:{port} ssl;
                ssl_certificate {dir}/nginx.crt; ssl_certificate_key {dir}/nginx.key;
                ssl_client_certificate {dir}/clients.pem; ssl_verify_client on;
                ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:tls:1m;
                keepalive_requests 4;
                location / {{ {access} proxy_pass http://127.0.0.1:{upstream}; }}
            }}
        }}"#,
        dir = dir.display()
    );
    fs::write(dir.join("nginx.conf"), config).unwrap();
    File::create(dir.join("access.log")).unwrap();
    let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("sh");
    command.env("PATH", path).args(["-c", r#"exec nginx -p "$1" -c "$1/nginx.conf" -e stderr"#, "sh"]).arg(dir);
    let server = Server::start(&mut command, port, "nginx");
    wait_for("nginx to listen", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
    server
}

#[test]
#[ignore = "needs prometheus and nginx: make e2e"]
fn nginx_in_front_of_prometheus_lets_in_who_has_a_certificate_and_the_password() {
    let dir = TempDir::new();
    let authority = Authority::new("test root");
    let ca = dir.write("ca.pem", &authority.pem).display().to_string();
    let prometheus = Prometheus::start(dir.path(), free_port(), "[]");
    // nginx reads passwords as they are after this mark; what they are hashed with is its own affair.
    let passwords = dir.write("passwords", "agent:{PLAIN}e2e-s3cr3t\n").display().to_string();
    let access = format!(r#"auth_basic "samples"; auth_basic_user_file {passwords};"#);
    let nginx = nginx(dir.path(), &authority.issue(&["localhost"]), &authority, prometheus.port, &access);
    let password = dir.write("password", "e2e-s3cr3t\n").display().to_string();
    let first = authority.issue(&["first.example"]);
    let client = showing(dir.path(), "agent", &first);
    let stranger = showing(dir.path(), "stranger", &Authority::new("stranger").issue(&["stranger.example"]));
    let shipper = |name: &str, tls: &str, auth: &str| {
        format!(
            r#"{{"name": "{name}", "type": "prometheus_remote_write", "labels": {{"by": "{name}"}}, {auth}
                "endpoint": "https://localhost:{}/api/v1/write",
                "tls": {{"enabled": true, "ca_file": "{ca}"{tls}}}}}"#,
            nginx.port
        )
    };
    let client = format!(", {client}");
    let auth = format!(r#""basic_auth": {{"username": "agent", "password_file": "{password}"}},"#);
    let wrong = r#""basic_auth": {"username": "agent", "password": "e2e-wr0ng-s3cr3t"},"#;
    let shippers = [
        shipper("known", &client, &auth),
        shipper("wrong", &client, wrong),
        shipper("nobody", "", &auth),
        shipper("stranger", &format!(", {stranger}"), &auth),
    ];
    let daemon = super::daemon(&dir, 0.25, &shippers.join(","));
    let query = format!(r#"system_memory_total_bytes{{by="known",instance="{}"}}"#, host_name());
    wait_for("samples in Prometheus", || prometheus.value(&query));

    // nginx says this in HTTP, with a 400 that is not about the data.
    for (name, words) in [
        ("wrong", "answered 401 Unauthorized (its text is not shown: credentials went with the request); check"),
        ("nobody", "credentials went with the request); set tls.cert_file and tls.key_file"),
        ("stranger", "credentials went with the request); it refuses tls.cert_file"),
    ] {
        let state =
            wait_for("a refusal", || Some(destination(&daemon, name)).filter(|state| state["last_error"].is_string()));
        assert_eq!((state["state"].as_str(), state["dropped_samples"].as_u64()), (Some("held"), Some(0)), "{state}");
        assert!(state["last_error"].as_str().unwrap().contains(words), "{state}");
    }

    // After four requests nginx closes; then the session is resumed. A new certificate is used at once.
    let log = || fs::read_to_string(dir.path().join("access.log")).unwrap();
    wait_for("a resumed session", || log().contains("TLSv1.3 r CN=first.example 204").then_some(()));
    authority.issue(&["second.example"]).write(dir.path(), "agent");
    wait_for("the new certificate", || log().contains("TLSv1.3 . CN=second.example 204").then_some(()));
    let state = destination(&daemon, "known");
    assert_eq!((state["state"].as_str(), state["dropped_samples"].as_u64()), (Some("ok"), Some(0)), "{state}");
    assert!(!daemon.log().contains("destination known: failed"), "{}", daemon.log());
}
