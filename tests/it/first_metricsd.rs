//! Those who come from the first metricsd: its whole configuration and its environment, as they are.

use std::path::Path;

use rustls::version::{TLS12, TLS13};
use serde_json::{Value, json};

use crate::support::peer::{Peer, Reply};
use crate::support::pki::{Authority, Issued, fixture_key};
use crate::support::program::{Daemon, TempDir, free_port, metricsd, run};
use crate::support::tls_peer::{Setup, TlsPeer};
use crate::support::wait_for;

/// Who the server is; the endpoint has its address alone.
const SERVER: &str = "collector.example";

/// Every field that it had, as somebody would have filled them in.
const WHOLE: &str = r#"{
  "server": {"host": "127.0.0.1", "port": PORT},
  "collector": {
    "interval_seconds": 1,
    "enable_cpu": true,
    "enable_memory": true,
    "enable_disk": true,
    "enable_network": true,
    "enable_gpu": false
  },
  "shipper": {
    "type": "http_json",
    "endpoint": "https://ADDRESS/api/v1/metrics",
    "timeout": 30000000000,
    "tls": {
      "enabled": true,
      "cert_file": "DIR/client.crt",
      "key_file": "DIR/client.key",
      "ca_file": "DIR/ca.crt",
      "insecure_skip_verify": false,
      "server_name": "collector.example",
      "min_version": "TLS1.2",
      "max_version": "TLS1.3",
      "cipher_suites": [
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
      ],
      "session_tickets": true
    }
  },
  "endpoints": [{"name": "app1", "url": "http://APPLICATION/metrics"}]
}"#;

/// The form of its example: Go's empty strings, and everything left to the environment.
const EMPTY: &str = r#"{
  "server": {"host": "0.0.0.0", "port": 8080},
  "collector": {"interval_seconds": 60, "enable_cpu": true, "enable_memory": true, "enable_disk": true,
    "enable_network": true, "enable_gpu": false},
  "shipper": {
    "type": "http_json",
    "endpoint": "http://localhost:9090/api/v1/metrics",
    "timeout": 30000000000,
    "tls": {"enabled": false, "cert_file": "", "key_file": "", "ca_file": "", "insecure_skip_verify": false}
  },
  "endpoints": []
}"#;

/// An authority, whose certificate is `ca.crt`, and the client that it has signed for.
struct World {
    dir: TempDir,
    authority: Authority,
    client: Issued,
}

impl World {
    fn new() -> World {
        let (dir, authority) = (TempDir::new(), Authority::new("CA"));
        dir.write("ca.crt", &authority.pem);
        let client = authority.issue(&["agent.example"]);
        client.write(dir.path(), "client");
        World { dir, authority, client }
    }

    /// A server that lets in nobody but the client.
    fn server(&self, version: &'static rustls::SupportedProtocolVersion) -> TlsPeer {
        let identity = self.authority.issue_as(&[SERVER], fixture_key("rsa.pkcs8.pem"), |_| {});
        TlsPeer::start(&Setup { versions: vec![version], ..Setup::with_clients_of(&identity, &self.authority) })
    }

    fn file(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }
}

fn check(config: &Path) -> (i32, String) {
    let ran = run(metricsd().arg("-check").arg("-config").arg(config));
    (ran.code, ran.stderr)
}

#[test]
fn its_whole_configuration_is_taken_without_a_word_and_delivers_the_json_of_before() {
    let world = World::new();
    let peer = world.server(&TLS12);
    let application = Peer::start(|_, _| {
        let json = vec![("Content-Type", "application/json".to_owned())];
        Reply::Answer(200, json, r#"{"requests": 7, "name": "shop"}"#)
    });
    let config = WHOLE.replace("DIR", &world.dir.path().display().to_string());
    let config = config.replace("ADDRESS", &peer.address.to_string());
    let config = config.replace("APPLICATION", &application.address.to_string());
    let path = world.dir.write("checked.json", &config.replace("PORT", "8080"));
    assert_eq!(check(&path), (0, String::new()));

    let daemon = Daemon::start(world.dir.path(), &config);
    let request = wait_for("a delivery", || peer.received().into_iter().next());
    let greeting = &peer.greetings()[0];
    assert_eq!(greeting.server_name.as_deref(), Some(SERVER));
    assert_eq!(greeting.client.as_ref(), world.client.chain.first());
    // Its two suites of TLS 1.2, in their order, and those of 1.3, which it could not choose.
    assert_eq!((greeting.version.as_str(), greeting.offered.len()), ("TLSv1_2", 5), "{:?}", greeting.offered);
    let old: Vec<&str> = greeting.offered.iter().map(String::as_str).filter(|name| name.contains("ECDHE")).collect();
    assert_eq!(old, ["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]);

    assert_eq!(request.line, "POST /api/v1/metrics HTTP/1.1");
    assert_eq!(request.header("content-type"), Some("application/json"));
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert!(body["timestamp"].as_i64().is_some_and(|seconds| seconds > 1_700_000_000), "{}", body["timestamp"]);
    let metrics = body["metrics"].as_array().unwrap();
    for metric in metrics {
        assert!(metric["value"].is_number() && metric["labels"].is_object(), "{metric}");
        assert!(matches!(metric["type"].as_str(), Some("gauge" | "counter")), "{metric}");
    }
    let labels = |name: &str| metrics.iter().find(|metric| metric["name"] == name).map(|metric| &metric["labels"]);
    assert_eq!(labels("system_cpu_usage_percent").map(|labels| &labels["core"]), Some(&Value::from("0")));
    assert_eq!(labels("system_memory_total_bytes").map(Value::to_string).as_deref(), Some("{}"));
    assert_eq!(labels("system_network_bytes_sent_total").map(|labels| &labels["interface"]), Some(&Value::from("lo")));

    let answered = wait_for("the application's number", || {
        let bodies = peer.received().into_iter().map(|request| request.body);
        let mut bodies = bodies.map(|body| serde_json::from_slice::<Value>(&body).unwrap());
        let is_of_it = |metric: &&Value| metric["name"].as_str().is_some_and(|name| name.starts_with("app_"));
        bodies.find_map(|body| body["metrics"].as_array().unwrap().iter().find(is_of_it).cloned())
    });
    let expected = json!({"name": "app_requests", "value": 7, "type": "gauge", "labels": {"endpoint": "app1"}});
    assert_eq!(answered, expected);
    assert!(!daemon.log().contains("warn "), "{}", daemon.log());
}

#[test]
fn its_environment_turns_its_example_into_remote_write_over_mutual_tls() {
    let world = World::new();
    let peer = world.server(&TLS13);
    let config = world.dir.write("config.json", EMPTY);
    // The paths of certificates that nobody named count as not given.
    let (code, said) = check(&config);
    assert_eq!((code, said.lines().count()), (0, 3), "{said}");
    for (field, line) in ["cert_file", "key_file", "ca_file"].iter().zip(said.lines()) {
        assert!(line.ends_with(&format!("shipper.tls.{field}: \"\" counts as not given")), "{line}");
    }

    let port = free_port();
    let mut command = metricsd();
    command.args(["-config", &world.file("config.json"), "-log-level", "info"]);
    for (name, value) in [
        ("MC_SERVER_HOST", "127.0.0.1"),
        ("MC_SERVER_PORT", &port.to_string()),
        ("MC_COLLECTOR_INTERVAL", "1"),
        ("MC_SHIPPER_TYPE", "prometheus_remote_write"),
        ("MC_SHIPPER_ENDPOINT", &format!("https://{}/api/v1/write", peer.address)),
        ("MC_TLS_ENABLED", "true"),
        ("MC_TLS_CERT_FILE", &world.file("client.crt")),
        ("MC_TLS_KEY_FILE", &world.file("client.key")),
        ("MC_TLS_CA_FILE", &world.file("ca.crt")),
        ("MC_TLS_SERVER_NAME", SERVER),
        ("MC_TLS_MIN_VERSION", "TLS1.3"),
        ("MC_TLS_INSECURE_SKIP_VERIFY", "false"),
    ] {
        command.env(name, value);
    }
    let daemon = Daemon::spawn(&mut command, port);
    let request = wait_for("a delivery", || peer.received().into_iter().next());
    let greeting = &peer.greetings()[0];
    assert_eq!(greeting.client.as_ref(), world.client.chain.first());
    assert_eq!(greeting.server_name.as_deref(), Some(SERVER));
    // The one version that MC_TLS_MIN_VERSION leaves.
    assert!(greeting.offered.iter().all(|suite| !suite.contains("ECDHE")), "{:?}", greeting.offered);
    assert_eq!(request.line, "POST /api/v1/write HTTP/1.1");
    for (name, value) in [
        ("content-type", "application/x-protobuf"),
        ("content-encoding", "snappy"),
        ("x-prometheus-remote-write-version", "0.1.0"),
    ] {
        assert_eq!(request.header(name), Some(value));
    }
    let health: Value = serde_json::from_str(&daemon.get("/health").unwrap().1).unwrap();
    for field in ["status", "timestamp", "uptime"] {
        assert!(health[field].is_string(), "{health}");
    }
}
