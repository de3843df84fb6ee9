//! The log, the server, and what else is said of the program itself.

use std::time::Duration;

use log::LevelFilter;

use super::*;

#[test]
fn log_levels_are_words() {
    let level = |text: &str| loaded(&format!(r#"{{"log_level": {text}}}"#)).log_level;
    assert_eq!(level("\"debug\""), Some(LevelFilter::Debug));
    assert_eq!(level("\"error\""), Some(LevelFilter::Error));
    assert_eq!(level("null"), None);
    assert_eq!(
        problem(r#"{"log_level": "warning"}"#),
        "c.json:1:15: log_level: expected \"debug\", \"info\", \"warn\" or \"error\", got \"warning\""
    );
}

#[test]
fn log_lines_are_words_or_objects() {
    let format = |text: &str| loaded(&format!(r#"{{"log_format": {text}}}"#)).log_format;
    assert_eq!(
        [format("null"), format("\"text\""), format("\"json\"")].map(|f| f == LogFormat::Json),
        [false, false, true]
    );
    assert_eq!(
        problem(r#"{"log_format": "jsn"}"#),
        "c.json:1:16: log_format: expected \"text\" or \"json\", got \"jsn\"; did you mean \"json\"?"
    );
}

#[test]
fn ports_and_intervals_have_their_ranges() {
    for port in ["65536", "70000", "-1", "80.5", "1e99", "\"80\"", "[80]", "{}", "true"] {
        let line = problem(&format!(r#"{{"server": {{"port": {port}}}}}"#));
        assert!(line.starts_with("c.json:1:21: server.port: expected a whole number from 1 to 65535, got "), "{line}");
    }
    assert_eq!(loaded(r#"{"server": {"port": 65535}}"#).server.port, 65535);
    for interval in ["-1", "0.049", "86401", "1e999", "\"60\"", "true"] {
        assert!(
            problem(&format!(r#"{{"collector": {{"interval_seconds": {interval}}}}}"#))
                .contains("expected a number from 0.05 to 86400, got ")
        );
    }
    let interval = |text| loaded(&format!(r#"{{"collector": {{"interval_seconds": {text}}}}}"#)).interval;
    assert_eq!(interval("0.05"), Duration::from_millis(50));
    assert_eq!(interval("2.5"), Duration::from_millis(2500));
    assert_eq!(interval("86400"), Duration::from_secs(86400));
}

#[test]
fn the_server_binds_addresses_and_names() {
    let host = |host: &str| load_with(&format!(r#"{{"server": {{"host": "{host}"}}}}"#), &[]).map(|c| c.server.host);
    for good in ["127.0.0.1", "::", "fe80::1%eth0", "localhost", "a-b.example"] {
        assert_eq!(host(good).as_deref(), Ok(good));
    }
    assert_eq!(host("[::1]").as_deref(), Ok("::1"));
    for bad in ["999.1.1.1", "127.0.0", "80", "http://h", "h:80", "a b", "a/b"] {
        assert!(host(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_host_without_a_name_of_its_own_is_warned_of_where_series_are_told_apart_by_it() {
    let warnings = |text: &str, host_name: &str| {
        load(Source::Text("c.json".into(), text.as_bytes().to_vec()), &|_| None, host_name).unwrap().warnings
    };
    let remote_write =
        |more: &str| format!(r#"{{"shipper": {{"type": "prometheus_remote_write", "endpoint": "http://h/x"{more}}}}}"#);
    for name in ["localhost", "localhost.localdomain"] {
        let warnings = warnings(&remote_write(""), name);
        let said = format!("shipper.labels.instance: is {name:?}: every host that has not been given a name");
        assert!(warnings.len() == 1 && warnings[0].contains(&said), "{warnings:?}");
    }
    assert_eq!(warnings(&remote_write(""), "web1"), [""; 0]);
    assert_eq!(warnings(&remote_write(r#", "labels": {"instance": "web1"}"#), "localhost"), [""; 0]);
    // It was taken away.
    assert_eq!(warnings(&remote_write(r#", "labels": {"instance": ""}"#), "localhost"), [""; 0]);
    assert_eq!(warnings(&shipper(""), "localhost"), [""; 0]);
}

#[test]
fn an_empty_credential_of_the_server_is_refused_and_not_passed_over() {
    let with = |server: &str| problems_with(&format!(r#"{{"server": {{{server}}}}}"#), &[("EMPTY", "")]);
    for (server, said) in [
        (r#""bearer_token": """#, "server.bearer_token: is empty"),
        (r#""bearer_token": "${EMPTY}""#, "server.bearer_token: is empty"),
        (r#""bearer_token_file": "${EMPTY}""#, "server.bearer_token_file: expected the path of a file"),
        (r#""basic_auth": {"username": "", "password": ""}"#, "server.basic_auth.username: is empty"),
        (r#""basic_auth": {"username": "u", "password": "${EMPTY}"}"#, "server.basic_auth.password: is empty"),
        (
            r#""basic_auth": {"username": "u", "password_file": ""}"#,
            "server.basic_auth.password_file: expected the path",
        ),
        (
            r#""tls": {"enabled": true, "cert_file": "/c", "key_file": "/k", "client_ca_file": "${EMPTY}"}"#,
            "server.tls.client_ca_file: is empty",
        ),
    ] {
        let problems = with(server);
        assert!(problems.iter().any(|line| line.contains(said)), "{server}: {problems:?}");
    }
}
