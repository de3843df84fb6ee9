//! The environment: variables in strings, and those that win over the file.

use std::time::Duration;

use super::*;
use crate::lane::To;
use crate::model::Labels;

#[test]
fn variables_in_strings_are_replaced() {
    let env = [("HOST", "db1"), ("ZONE", "z"), ("EMPTY", "")];
    let text = r#"{"labels": {"zone": "${ZONE}", "lit": "$${ZONE}", "e": "${EMPTY}"},
        "shipper": {"type": "http_json", "endpoint": "http://${HOST}/x"}}"#;
    let config = load_with(text, &env).unwrap();
    assert_eq!(config.labels, Labels::of(&[("zone", "z"), ("lit", "${ZONE}")]));
    let http = config.lanes[0].kind.http().unwrap();
    assert_eq!(http.endpoint.as_str(), "http://db1/x");
    assert_eq!(
        problem(r#"{"server": {"host": "${NOPE}"}}"#),
        "c.json:1:21: server.host: the environment variable NOPE is not set"
    );
    // A number is not made of a string, whatever it holds.
    assert!(problems_with(r#"{"server": {"port": "${PORT}"}}"#, &[("PORT", "80")])[0].contains("got \"${PORT}\""));
}

#[test]
fn the_environment_wins_over_the_file() {
    let text = r#"{"server": {"host": "h", "port": 70000}, "shipper": {"type": "stdout"}}"#;
    let env = [
        ("MC_SERVER_HOST", "127.0.0.1"),
        ("MC_SERVER_PORT", "9100"),
        ("MC_COLLECTOR_INTERVAL", "0.5"),
        ("MC_SHIPPER_TYPE", "http_json"),
        ("MC_SHIPPER_ENDPOINT", "http://h/${X}"),
        ("MC_TLS_ENABLED", "F"),
        ("MC_TLS_CA_FILE", ""),
    ];
    let config = load_with(text, &env).unwrap();
    assert_eq!((config.server.host.as_str(), config.server.port), ("127.0.0.1", 9100));
    assert_eq!(config.interval, Duration::from_millis(500));
    let http = config.lanes[0].kind.http().unwrap();
    // What looks like a reference in a variable's value is none.
    assert_eq!(http.endpoint.as_str(), "http://h/${X}");
}

#[test]
fn variables_make_a_shipper_or_speak_of_the_first_of_several() {
    let env = [("MC_SHIPPER_TYPE", "http_json"), ("MC_SHIPPER_ENDPOINT", "http://h/")];
    for text in ["{}", r#"{"shippers": []}"#, EXAMPLE] {
        assert_eq!(load_with(text, &env).unwrap().lanes.len(), 1);
    }
    let text = r#"{"shippers": [{"type": "http_json", "endpoint": "http://a/"}, {"type": "stdout"}]}"#;
    let config = load_with(text, &env[1..]).unwrap();
    let http = config.lanes[0].kind.http().unwrap();
    assert_eq!(http.endpoint.as_str(), "http://h/");
    assert_eq!(config.lanes[1].kind.to, To::Stdout);
    assert_eq!(
        problems_with("{}", &env[1..]),
        ["MC_SHIPPER_ENDPOINT: shipper.endpoint: no shipper is configured; MC_SHIPPER_TYPE makes one"]
    );
    assert_eq!(
        load_with("{}", &[("MC_TLS_ENABLED", "0")]).unwrap().warnings,
        ["MC_TLS_ENABLED: shipper.tls.enabled: no shipper is configured; this is not used"]
    );
}

#[test]
fn variables_that_nobody_asks_for_are_warned_of_with_the_nearest_one() {
    let names = [
        "PATH",
        "MC_SHIPPER_ENDPOIN",
        "MC_SID",
        "MC_LOG_LEVL",
        "MC_SHIPPER_TYPE",
        "MC_MINE",
        "XMC_A",
        "MC_SHIPPER_TIMEOUT",
        "MC_TLS_CIPHER_SUITES",
        "MC_COLLECTOR_ENABLE_GPU",
    ];
    let asked = |name: &str| name == "MC_SHIPPER_TYPE" || name == "MC_MINE";
    assert_eq!(
        unknown_variables(names.map(str::to_owned), asked),
        [
            "MC_COLLECTOR_ENABLE_GPU: no variable of metricsd's, and without effect; set collector.enable_gpu in the configuration",
            "MC_LOG_LEVL: no variable of metricsd's, and without effect; did you mean \"MC_LOG_LEVEL\"?",
            "MC_SHIPPER_ENDPOIN: no variable of metricsd's, and without effect; did you mean \"MC_SHIPPER_ENDPOINT\"?",
            "MC_SHIPPER_TIMEOUT: no variable of metricsd's, and without effect; set shipper.timeout in the configuration",
            "MC_SID: no variable of metricsd's, and without effect",
            "MC_TLS_CIPHER_SUITES: no variable of metricsd's, and without effect; set shipper.tls.cipher_suites in the configuration",
        ]
    );
}

#[test]
fn labels_of_the_environment_go_over_those_of_the_file() {
    let labels = |text: &str, variable: &str| {
        let labels = loaded_with(text, &[("MC_LABELS", variable)]).labels;
        let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join(" ")
    };
    let file = r#"{"labels": {"zone": "a", "team": "x"}}"#;
    assert_eq!(labels("{}", "zone=b"), "zone=b");
    assert_eq!(labels(file, ""), "team=x zone=a");
    assert_eq!(labels(file, "zone=b, rack = r=1"), "rack=r=1 team=x zone=b");
    // What comes from a variable is no reference to another one.
    assert_eq!(labels("{}", "a=${b}"), "a=${b}");
}

#[test]
fn bad_variables_are_named() {
    for (name, value, said) in [
        ("MC_LABELS", "zone", "MC_LABELS: labels: expected name=value,name=value, got \"zone\""),
        ("MC_LABELS", "zone=a,", "MC_LABELS: labels: expected name=value,name=value, got \"zone=a,\""),
        ("MC_LABELS", "=a", "MC_LABELS: labels[\"\"]: "),
        ("MC_LABELS", "a-b=c", "MC_LABELS: labels.a-b: invalid label name \"a-b\""),
        ("MC_LABELS", "a=1,a=2", "MC_LABELS: labels.a: given twice"),
        ("MC_SERVER_HOST", "a b", "MC_SERVER_HOST: server.host: expected an IP address or a host name"),
        ("MC_SERVER_PORT", "70000", "MC_SERVER_PORT: server.port: expected a whole number from 1 to 65535, got 70000"),
        (
            "MC_SERVER_PORT",
            "http",
            "MC_SERVER_PORT: server.port: expected a whole number from 1 to 65535, got \"http\"",
        ),
        ("MC_SERVER_PORT", " 80", "got \" 80\""),
        ("MC_COLLECTOR_INTERVAL", "30s", "MC_COLLECTOR_INTERVAL: collector.interval_seconds: expected a number"),
        ("MC_COLLECTOR_INTERVAL", "NaN", "expected a number from 0.05 to 86400, got NaN"),
        ("MC_COLLECTOR_INTERVAL", "-inf", "got -inf"),
        ("MC_SHIPPER_TYPE", "stdou", "MC_SHIPPER_TYPE: shipper.type: unknown type \"stdou\""),
        ("MC_SHIPPER_TYPE", "http_json", "MC_SHIPPER_TYPE: shipper.endpoint: required"),
        ("MC_TLS_ENABLED", "yes", "MC_TLS_ENABLED: shipper.tls.enabled: expected \"1\""),
    ] {
        let lines = problems_with("{}", &[(name, value)]);
        assert!(lines.len() == 1 && lines[0].contains(said), "{name}={value}: {lines:?}");
    }
    // Where the file is of the wrong type, that is what is said.
    assert_eq!(
        problems_with(r#"{"server": 1}"#, &[("MC_SERVER_PORT", "80")]),
        ["c.json:1:12: server: expected an object, got 1"]
    );
}
