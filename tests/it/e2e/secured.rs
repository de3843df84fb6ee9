//! A real Prometheus scrapes a page that takes a client certificate and credentials.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::kernel;
use crate::support::pki::Authority;
use crate::support::program::{Daemon, TempDir, free_port};
use crate::support::prometheus::Prometheus;
use crate::support::wait_for;

#[test]
#[ignore = "needs prometheus: make e2e"]
fn prometheus_scrapes_over_tls_with_a_certificate_and_a_password() {
    let (dir, ca) = (TempDir::new(), Authority::new("ca"));
    let ca_file = dir.write("ca.pem", &ca.pem);
    let (server_cert, server_key) = ca.issue(&["localhost"]).write(dir.path(), "server");
    let (cert_file, key_file) = ca.issue(&["prometheus"]).write(dir.path(), "client");
    let password = dir.write("password", "correct horse\n");
    let daemon = Daemon::start(dir.path(), r#"{"server": {"host": "127.0.0.1", "port": PORT}}"#);
    let config = json!({
        "server": {
            "host": "127.0.0.1", "port": daemon.port,
            "tls": {"enabled": true, "cert_file": server_cert, "key_file": server_key, "client_ca_file": ca_file},
            "basic_auth": {"username": "scraper", "password_file": password},
            "bearer_token": "a-token",
        },
        "collector": {"interval_seconds": 0.25},
    });
    fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
    daemon.signal(Signal::SIGHUP);
    wait_for("the reload", || daemon.log().contains("reloaded in").then_some(()));

    let job = |name: &str, more: serde_json::Value| {
        let mut job = json!({
            "job_name": name, "scheme": "https", "scrape_interval": "1s",
            "static_configs": [{"targets": [format!("localhost:{}", daemon.port)]}],
            "tls_config": {"ca_file": ca_file, "cert_file": cert_file, "key_file": key_file},
        });
        job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        job
    };
    let basic = json!({"username": "scraper", "password_file": password});
    let jobs = json!([
        job("basic", json!({"basic_auth": basic})),
        job("bearer", json!({"authorization": {"credentials": "a-token"}})),
        job(
            "tls 1.2",
            json!({"basic_auth": basic, "tls_config": {
            "ca_file": ca_file, "cert_file": cert_file, "key_file": key_file, "max_version": "TLS12"}})
        ),
        job("no credentials", json!({})),
        job("no certificate", json!({"basic_auth": basic, "tls_config": {"ca_file": ca_file}})),
    ]);
    let prometheus = Prometheus::start(dir.path(), free_port(), &jobs.to_string());
    let total = kernel::figures(&[])["system_memory_total_bytes"];
    for name in ["basic", "bearer", "tls 1.2"] {
        wait_for("a scrape", || prometheus.value(&format!(r#"up{{job="{name}"}}"#)).filter(|up| *up == 1.0));
        let seen = prometheus.value(&format!(r#"system_memory_total_bytes{{job="{name}"}}"#));
        assert_eq!(seen, Some(total), "{name}");
    }
    for (name, why) in [("no credentials", "401 Unauthorized"), ("no certificate", "certificate required")] {
        let error = wait_for("a scrape that fails", || {
            let targets = prometheus.api("targets", &[]);
            let target = targets["activeTargets"].as_array()?.iter().find(|t| t["labels"]["job"] == name)?.clone();
            target["lastError"].as_str().filter(|error| !error.is_empty()).map(str::to_owned)
        });
        assert!(error.contains(why), "{name}: {error}");
    }
}
