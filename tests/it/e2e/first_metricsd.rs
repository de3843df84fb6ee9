//! Certificates as the manual of the first metricsd had them made, before the servers of its users.

use std::path::Path;
use std::process::Command;

use super::tls::{Server, destination, s_server};
use crate::support::program::{Daemon, TempDir, free_port};
use crate::support::prometheus::Prometheus;
use crate::support::wait_for;

/// Its steps, whose `x509 -req` names no extension: certificates of X.509 version 1, before OpenSSL 3.2. With a
/// server's beside the client's, once in the same way and once with a name that counts.
const STEPS: [&str; 8] = [
    "req -x509 -new -nodes -newkey rsa:2048 -keyout ca.key -sha256 -days 9 -out ca.crt -subj /O=Organization/CN=CA",
    "genrsa -out client.key 2048",
    "req -new -key client.key -out client.csr -subj /O=Organization/CN=metricsd-client",
    "x509 -req -in client.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out client.crt -days 9 -sha256",
    "genrsa -out server.key 2048",
    "req -new -key server.key -out server.csr -subj /CN=localhost",
    "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out old.crt -days 9 -sha256",
    "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days 9 -extfile names.ext",
];

fn openssl(dir: &Path, step: &str) -> String {
    let mut command = Command::new("openssl");
    let ran = command.args(step.split_whitespace()).current_dir(dir).output();
    let ran = ran.expect("cannot start openssl (Debian package: openssl)");
    assert!(ran.status.success(), "openssl {step}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

#[test]
#[ignore = "needs prometheus and openssl: make e2e"]
fn prometheus_and_openssl_let_in_the_certificate_that_its_manual_makes() {
    let dir = TempDir::new();
    dir.write("names.ext", "subjectAltName=DNS:localhost\n");
    for step in STEPS {
        openssl(dir.path(), step);
    }
    let is_version_1 = openssl(dir.path(), "x509 -in old.crt -noout -text").contains("Version: 1 (0x0)");

    // Prometheus behind its own TLS, which is Go's, and wants a certificate of a client.
    let [clear, secured] = [(); 2].map(|()| free_port());
    let web = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  client_ca_file: ca.crt\n  \
               client_auth_type: RequireAndVerifyClientCert\n";
    dir.write("web.yml", web);
    dir.write("secured.yml", "scrape_configs: []\n");
    let mut command = Command::new("prometheus");
    command.current_dir(dir.path()).args(["--config.file=secured.yml", "--web.config.file=web.yml"]);
    command.args(["--storage.tsdb.path=data", "--web.enable-remote-write-receiver"]);
    command.arg(format!("--web.listen-address=127.0.0.1:{secured}"));
    let prometheus = Server::start(&mut command, secured, "prometheus");
    let file = |name: &str| dir.path().join(name);
    let ca = file("ca.crt").display().to_string();
    let asking = ["-CAfile", &ca, "-Verify", "2", "-verify_return_error"];
    let checking = s_server(&file("server.crt"), &file("server.key"), &asking);
    let old = s_server(&file("old.crt"), &file("server.key"), &asking);

    let shipper = |name: &str, kind: &str, port: u16| {
        format!(
            r#"{{"name": "{name}", "type": "{kind}", "endpoint": "https://localhost:{port}/api/v1/write",
                "timeout": 30000000000, "tls": {{"enabled": true, "ca_file": "{ca}", "min_version": "TLS1.2",
                "cert_file": "{dir}/client.crt", "key_file": "{dir}/client.key", "server_name": "localhost"}}}}"#,
            dir = dir.path().display()
        )
    };
    let shippers = [
        shipper("prometheus", "prometheus_remote_write", secured),
        shipper("openssl", "http_json", checking.port),
        shipper("old", "http_json", old.port),
    ];
    let daemon: Daemon = super::daemon(&dir, 0.25, &shippers.join(","));
    wait_for("Prometheus to take it", || destination(&daemon, "prometheus")["last_success"].as_str().map(drop));
    let said = wait_for("a request", || Some(checking.output.text()).filter(|text| text.contains("\"metrics\":")));
    assert!(said.contains("CN = metricsd-client") || said.contains("CN=metricsd-client"), "{said}");
    // For a server such a certificate is of no use, and the line says how to make another one.
    let error = wait_for("a refusal", || destination(&daemon, "old")["last_error"].as_str().map(str::to_owned));
    let expected = if is_version_1 {
        "the server's certificate is of X.509 version 1, where version 3 is wanted; have it issued with extensions \
         (openssl x509 -req -extfile FILE)"
    } else {
        "hostname mismatch: the certificate has no subjectAltName"
    };
    assert!(error.contains(expected), "{error}");

    // It is in the database, which one without TLS shows.
    drop((daemon, prometheus));
    let prometheus = Prometheus::start(dir.path(), clear, "[]");
    let query = format!(r#"last_over_time(system_memory_total_bytes{{instance="{}"}}[5m])"#, super::host_name());
    wait_for("the samples", || prometheus.value(&query));
}
