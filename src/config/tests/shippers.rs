//! Destinations: their types, names, labels, queues and TLS.

use std::time::Duration;

use super::*;
use crate::formats::{Compression, Options, RemoteWriteVersion, json, remote_write};
use crate::http::HttpSettings;
use crate::lane::{Kind, RetrySettings, Settings, To};
use crate::model::Labels;
use crate::model::Scheme;

#[test]
fn durations_are_nanoseconds_or_words() {
    let timeout = |text: &str| match &loaded(&shipper(&format!(r#", "timeout": {text}"#))).lanes[0].kind {
        Kind { to: To::Http(http), .. } => http.timeout,
        other => panic!("{other:?}"),
    };
    assert_eq!(timeout("30000000000"), Duration::from_secs(30));
    assert_eq!(timeout("3e10"), Duration::from_secs(30));
    assert_eq!(timeout("\"1m30s\""), Duration::from_secs(90));
    let refused = |text: &str| problem(&shipper(&format!(r#", "timeout": {text}"#)));
    assert!(refused("30").ends_with("got 30; a number is nanoseconds, for seconds write \"30s\""));
    for bad in ["-1", "\"-1s\"", "\"25h\"", "\"30\"", "\"soon\"", "true", "1e99"] {
        assert!(refused(bad).contains("shipper.timeout: expected a duration"), "{bad}");
    }
    assert!(
        problem(&shipper(r#", "retry": {"min_backoff": "10s"}"#))
            .contains("min_backoff (10s) is longer than max_backoff (5s)")
    );
}

#[test]
fn each_type_becomes_its_kind() {
    let kind = |text: &str| loaded(&format!(r#"{{"shipper": {text}}}"#)).lanes.remove(0).kind;
    let http = HttpSettings::new("http://h:9/x".into());
    let network = |name: &str, more: &str| kind(&format!(r#"{{"type": "{name}", "endpoint": "http://h:9/x"{more}}}"#));
    let remote_write = |more: &str| network("prometheus_remote_write", more);
    let to = |format, options| Kind::to_url(format, options, http.clone());
    let remote_write_of = |version: RemoteWriteVersion| to(&remote_write::FORMAT, Options::default().with(version));
    let (v1, v2) = (RemoteWriteVersion::V1, RemoteWriteVersion::V2);
    assert_eq!(remote_write(""), remote_write_of(v1));
    assert_eq!(remote_write(r#", "compression": "snappy""#), remote_write_of(v1));
    let message = |name: &str| remote_write(&format!(r#", "protobuf_message": "{name}""#));
    assert_eq!(message("prometheus.WriteRequest"), remote_write_of(v1));
    assert_eq!(message("io.prometheus.write.v2.Request"), remote_write_of(v2));
    assert_ne!(remote_write_of(v1), remote_write_of(v2));
    assert_eq!(network("http_json", ""), to(&json::HTTP, Options::default()));
    let gzip = Options::compressed(Compression::Gzip);
    assert_eq!(network("http_json", r#", "compression": "gzip""#), to(&json::HTTP, gzip));
    let here = |format, to| Kind { format, options: Options::default(), to };
    let file = here(&json::FILE, To::File("/var/x".into()));
    assert_eq!(kind(r#"{"type": "file", "endpoint": "file:///var/x"}"#), file);
    assert_eq!(kind(r#"{"type": "stdout"}"#), here(&json::STDOUT, To::Stdout));
}

#[test]
fn bad_shippers_are_refused() {
    for (text, said) in [
        (
            "{}",
            "shipper.type: required: \"prometheus_remote_write\", \"http_json\", \"otlp_http\", \"influxdb\", \"datadog\", \"graphite\", \"loki\", \"file\" or \"stdout\"",
        ),
        (r#"{"type": "http-json"}"#, "did you mean \"http_json\"?"),
        (r#"{"type": 1}"#, "shipper.type: expected a string, got 1"),
        (r#"{"type": "http_json"}"#, "shipper.endpoint: required: a URL"),
        (r#"{"type": "file"}"#, "shipper.endpoint: required: a path"),
        (r#"{"type": "file", "endpoint": "/tmp"}"#, "is a directory"),
        (r#"{"type": "stdout", "compression": "gzip"}"#, "expected \"none\", got \"gzip\""),
        (r#"{"type": "stdout", "protobuf_message": "v2"}"#, "expected \"prometheus.WriteRequest\" or"),
        (r#"{"type": "stdout", "name": "../x"}"#, "shipper.name: expected 1 to 64 letters"),
        (r#"{"type": "stdout", "labels": {"a-b": "x"}}"#, "labels.a-b: invalid label name \"a-b\""),
        (r#"{"type": "stdout", "labels": {"a": 1}}"#, "labels.a: expected a string, got 1"),
        (r#"{"type": "stdout", "labels": {"__name__": "x"}}"#, "names that begin with __ are Prometheus' own"),
        (
            r#"{"type": "stdout", "labels": {"__meta": "x"}}"#,
            "labels.__meta: names that begin with __ are Prometheus' own; choose another one",
        ),
        (r#"{"type": "stdout", "spool": {"max_bytes": 1}}"#, "from 65536 to 1099511627776, got 1"),
        ("7", "shipper: expected an object, got 7"),
    ] {
        let all = problems(&format!("{{\"shipper\": {text}}}"));
        assert!(all[0].contains(said), "{text}: {all:?}");
    }
}

#[test]
fn otlp_has_its_path_its_names_and_no_grpc() {
    let shipper = |more: &str| format!(r#"{{"shipper": {{"type": "otlp_http", {more}}}}}"#);
    let to = |endpoint: &str| {
        let config = loaded(&shipper(&format!(r#""endpoint": "{endpoint}""#)));
        assert_eq!(config.warnings, [""; 0]);
        config.lanes[0].kind.http().unwrap().endpoint.as_str().to_owned()
    };
    for (endpoint, url) in [
        ("http://h:4318", "http://h:4318/v1/metrics"),
        ("https://h/", "https://h/v1/metrics"),
        ("http://h/opentelemetry", "http://h/opentelemetry/v1/metrics"),
        ("http://h/otlp/?tenant=1/v1/metrics", "http://h/otlp/v1/metrics?tenant=1/v1/metrics"),
        ("http://h/v1/metrics", "http://h/v1/metrics"),
        ("http://h/x/v1/metrics?a=b", "http://h/x/v1/metrics?a=b"),
        ("http://h/v1/metrics/", "http://h/v1/metrics/"),
    ] {
        assert_eq!(to(endpoint), url);
    }
    let naming = |more: &str| loaded(&shipper(&format!(r#""endpoint": "http://h"{more}"#))).lanes[0].naming;
    assert_eq!(naming(""), Scheme::Otel);
    assert_eq!(naming(r#", "naming": null"#), Scheme::Otel);
    assert_eq!(naming(r#", "naming": "native""#), Scheme::Native);
    assert_eq!(loaded(r#"{"shipper": {"type": "stdout"}}"#).lanes[0].naming, Scheme::Native);
    // Labels that nobody gave are none of its own.
    assert!(loaded(&shipper(r#""endpoint": "http://h", "temporality": "cumulative""#)).lanes[0].labels.is_empty());
    for (text, said) in [
        (shipper(r#""endpoint": "http://h:4317""#), "shipper.endpoint: \"http://h:4317\" speaks gRPC"),
        (shipper(r#""endpoint": "grpc://h:1""#), "shipper.endpoint: \"grpc://h:1\" speaks gRPC"),
        (
            shipper(r#""endpoint": "http://h/v1/traces""#),
            "takes traces, and there are none here; end it in /v1/metrics",
        ),
        (shipper(r#""endpoint": "http://h", "encoding": "xml""#), "expected \"protobuf\" or \"json\", got \"xml\""),
        (shipper(r#""endpoint": "http://h", "compression": "snappy""#), "expected \"gzip\" or \"none\""),
        (
            shipper(r#""endpoint": "http://h", "temporality": "difference""#),
            "shipper.temporality: expected \"cumulative\" or \"delta\", got \"difference\"",
        ),
        (r#"{"shipper": {"type": "otlp_grpc"}}"#.to_owned(), "there is no gRPC here; use \"otlp_http\", on port 4318"),
        (
            r#"{"shipper": {"type": "http_json", "endpoint": "grpc://h"}}"#.to_owned(),
            "use OTLP over HTTP, on port 4318",
        ),
    ] {
        let all = problems(&text);
        assert!(all[0].contains(said), "{text}: {all:?}");
    }
    // Another type may have that port.
    loaded(r#"{"shipper": {"type": "http_json", "endpoint": "http://h:4317/x"}}"#);
}

#[test]
fn an_endpoint_of_remote_write_without_a_path_is_warned_of() {
    let warnings = |kind: &str, endpoint: &str| {
        loaded(&format!(r#"{{"shipper": {{"type": "{kind}", "endpoint": "{endpoint}"}}}}"#)).warnings
    };
    for endpoint in ["http://h:9090", "http://h:9090/", "https://[::1]"] {
        assert_eq!(
            warnings("prometheus_remote_write", endpoint),
            ["c.json:1:61: shipper.endpoint: has no path; most receivers of this type take it at /api/v1/write"]
        );
        assert_eq!(warnings("http_json", endpoint), [""; 0]);
    }
    for endpoint in ["http://h/api/v1/write", "http://h/x", "http://h/?tenant=1"] {
        assert_eq!(warnings("prometheus_remote_write", endpoint), [""; 0], "{endpoint}");
    }
}

#[test]
fn one_and_several_lead_to_each_other() {
    assert_eq!(
        problem(r#"{"shipper": [{"type": "stdout"}]}"#),
        "c.json:1:13: shipper: expected an object, got a list; shippers takes a list"
    );
    assert_eq!(
        problem(r#"{"shippers": {"type": "stdout"}}"#),
        "c.json:1:14: shippers: expected a list, got an object; shipper takes an object"
    );
}

#[test]
fn every_file_that_is_missing_is_named() {
    let tls = r#", "tls": {"enabled": true, "cert_file": "/no/c", "key_file": "/no/k", "ca_file": "/no/a"}"#;
    let missing = |place: &str, file: &str| format!("{place}: {file}: no such file");
    assert_eq!(
        problems(&shipper(tls).replace("http:", "https:"))
            .iter()
            .map(|line| line.split_once(": ").unwrap().1)
            .collect::<Vec<_>>(),
        [
            missing("shipper.tls.cert_file", "/no/c"),
            missing("shipper.tls.key_file", "/no/k"),
            missing("shipper.tls.ca_file", "/no/a"),
        ]
    );
}

#[test]
fn names_are_unique_and_default_to_the_type() {
    let text =
        r#"{"shippers": [{"type": "stdout"}, {"type": "stdout", "name": "b"}, {"type": "file", "endpoint": "x"}]}"#;
    assert_eq!(loaded(text).lanes.iter().map(|lane| lane.name.as_str()).collect::<Vec<_>>(), ["stdout", "b", "file"]);
    assert_eq!(
        problem(r#"{"shippers": [{"type": "stdout"}, {"type": "stdout"}]}"#),
        "c.json:1:35: shippers[1]: the name \"stdout\" is shippers[0]'s already; give each its own name"
    );
    assert_eq!(
        problem(r#"{"shipper": {"type": "stdout"}, "shippers": [{"type": "stdout", "name": "b"}]}"#),
        "c.json:1:45: shippers: shippers and shipper are given together; move shipper into the list"
    );
    // Of the same name and with more mistakes: still one problem.
    assert_eq!(
        problem(r#"{"shipper": {"type": "stdout"}, "shippers": [{"type": "stdout"}, {"type": "x", "y": 1}]}"#),
        "c.json:1:45: shippers: shippers and shipper are given together; move shipper into the list"
    );
    // What is no object has no fields to be missing, and is not counted out of the list either.
    assert_eq!(
        problems(r#"{"shippers": [null, {"type": "stdout"}, 7, [], {"type": "stdout"}]}"#),
        [
            "c.json:1:15: shippers[0]: expected an object, got null",
            "c.json:1:41: shippers[2]: expected an object, got 7",
            "c.json:1:44: shippers[3]: expected an object, got a list",
            "c.json:1:48: shippers[4]: the name \"stdout\" is shippers[1]'s already; give each its own name",
        ]
    );
    // The example's empty list may stay where someone fills in `shipper`.
    assert_eq!(loaded(r#"{"shipper": {"type": "stdout"}, "shippers": []}"#).lanes.len(), 1);
}

#[test]
fn own_labels_win_over_global_ones_and_an_empty_value_takes_one_away() {
    let text = r#"{"labels": {"zone": "a", "team": "x", "none": ""}, "shippers": [
        {"type": "stdout", "labels": {"zone": "b", "team": ""}},
        {"type": "prometheus_remote_write", "endpoint": "http://h/", "labels": {"job": ""}},
        {"type": "prometheus_remote_write", "name": "two", "endpoint": "http://h/", "labels": {"instance": "i"}}
    ]}"#;
    let config = loaded(text);
    assert_eq!(config.labels, Labels::of(&[("zone", "a"), ("team", "x")]));
    assert_eq!(config.lanes[0].labels, Labels::of(&[("zone", "b")]));
    assert_eq!(config.lanes[1].labels, Labels::of(&[("zone", "a"), ("team", "x"), ("instance", "host1")]));
    assert_eq!(
        config.lanes[2].labels,
        Labels::of(&[("zone", "a"), ("team", "x"), ("job", "metricsd"), ("instance", "i")])
    );
    // Also from the global labels.
    let text = r#"{"labels": {"instance": "", "job": "j"}, "shipper": {"type": "prometheus_remote_write", "endpoint": "http://h/"}}"#;
    assert_eq!(loaded(text).lanes[0].labels, Labels::of(&[("job", "j")]));
}

#[test]
fn a_lane_keeps_what_was_said_of_it() {
    let lane = loaded(&shipper(r#", "retry": {"max_backoff": "1m"}, "spool": {"max_bytes": 65536}, "name": "n""#))
        .lanes
        .remove(0);
    assert_eq!(lane.name, "n");
    assert_eq!((lane.spool.max_bytes, lane.spool.memory_max_bytes), (65536, 65536));
    let retry = RetrySettings {
        min_backoff: Duration::from_millis(500),
        max_backoff: Duration::from_secs(60),
        ..RetrySettings::default()
    };
    assert_eq!(lane.retry, retry);
}

#[test]
fn what_may_wait_in_memory_is_the_operators_to_say() {
    let spools = |common: &str, own: &str| {
        let shipper = format!(r#"{{"type": "http_json", "endpoint": "http://h/", "spool": {{{own}}}}}"#);
        loaded(&format!(r#"{{"spool": {{{common}}}, "shipper": {shipper}}}"#))
    };
    for (common, own, bytes) in [
        ("", "", 4 << 20),
        (r#""memory_max_bytes": 65536"#, "", 65536),
        (r#""memory_max_bytes": 65536"#, r#""memory_max_bytes": 8388608"#, 8 << 20),
        (r#""memory_max_bytes": 65536"#, r#""max_bytes": 1048576"#, 65536),
        (r#""max_bytes": 1048576"#, "", 1 << 20),
        (r#""max_bytes": 1048576"#, r#""max_bytes": 67108864"#, 4 << 20),
    ] {
        let config = spools(common, own);
        assert_eq!(config.lanes[0].spool.memory_max_bytes, bytes, "{common} {own}");
        assert_eq!(config.warnings, [""; 0]);
    }
    let warnings = spools("", r#""max_bytes": 65536, "memory_max_bytes": 65537"#).warnings;
    assert!(
        warnings[0]
            .ends_with("shipper.spool.memory_max_bytes: more than max_bytes, which holds for what waits in memory too"),
        "{warnings:?}"
    );
    assert!(
        problem(r#"{"spool": {"memory_max_bytes": 65535}}"#)
            .contains("spool.memory_max_bytes: expected a whole number from 65536 to 1099511627776, got 65535")
    );
}

#[test]
fn a_drain_rate_that_drains_nothing_is_warned_of() {
    for (interval, rate, warned) in [("1", "1", true), ("1", "1.5", false), ("0.05", "20", true), ("60", "0.1", false)]
    {
        let shipper = r#"{"type": "http_json", "endpoint": "http://h/", "drain_rate": RATE}"#.replace("RATE", rate);
        let text = format!(r#"{{"collector": {{"interval_seconds": {interval}}}, "shipper": {shipper}}}"#);
        let warnings = loaded(&text).warnings;
        assert_eq!(
            warnings.iter().any(|line| line.contains("shipper.drain_rate: no more a second")),
            warned,
            "{warnings:?}"
        );
    }
}

#[test]
fn tls_is_checked_by_the_rules_of_the_field() {
    let with = |tls: &str| shipper(&format!(r#", "tls": {{{tls}}}"#));
    for (tls, said) in [
        (r#""cert_file": "/c""#, "shipper.tls.cert_file: cert_file and key_file go together"),
        (r#""key_file": "/c", "cert_file": """#, "shipper.tls.key_file: cert_file and key_file go together"),
        (r#""min_version": "1.2""#, "expected \"TLS1.0\", \"TLS1.1\", \"TLS1.2\" or \"TLS1.3\", got \"1.2\""),
        (r#""max_version": "TLS1.1""#, "\"TLS1.1\" is not offered any more"),
        (r#""min_version": "TLS1.3", "max_version": "TLS1.2""#, "shipper.tls.max_version: lower than min_version"),
        (r#""cipher_suites": ["TLS_AES_128_GCM_SHA265"]"#, "did you mean \"TLS_AES_128_GCM_SHA256\"?"),
        (r#""cipher_suites": ["TLS_RSA_WITH_AES_128_CBC_SHA"]"#, "none of these suites can be used"),
        (r#""cipher_suites": ["TLS_AES_128_GCM_SHA256"], "max_version": "TLS1.2""#, "none of these suites can be used"),
        (
            r#""cipher_suites": ["ECDHE-RSA-AES128-GCM-SHA256"]"#,
            "that is OpenSSL's name of TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        ),
        (r#""cipher_suites": ["AES128-SHA:!aNULL"]"#, "several are items of the list"),
        (r#""session_tickets": 1"#, "shipper.tls.session_tickets: expected true or false, got 1"),
    ] {
        let text = with(tls).replace("http://", "https://").replace("\"tls\": {", "\"tls\": {\"enabled\": true, ");
        assert!(problem(&text).contains(said), "{tls}: {}", problem(&text));
    }
    // What is switched off stops nobody: older files hold it.
    let off = r#""enabled": false, "cert_file": "/c", "max_version": "TLS1.1", "cipher_suites": ["TLS_RSA_WITH_AES_128_CBC_SHA"]"#;
    assert_eq!(loaded(&with(off)).warnings, ["c.json:1:67: shipper.tls: has no effect while its enabled is false"]);
    for unknown in [r#""cipher_suites": ["x", "TLS_RSA_WITH_AES_128_CBC_SHA"]"#, r#""min_version": "1.2""#] {
        let off = format!(r#""enabled": false, {unknown}"#);
        assert_eq!(
            loaded(&with(&off)).warnings,
            ["c.json:1:67: shipper.tls: has no effect while its enabled is false"]
        );
        let server = format!(r#"{{"server": {{"tls": {{"enabled": false, {unknown}}}}}}}"#);
        assert_eq!(loaded(&server).warnings, [""; 0]);
    }
    let with =
        |tls: &str| with(tls).replace("http://", "https://").replace("\"tls\": {", "\"tls\": {\"enabled\": true, ");
    // All that the first metricsd's library had.
    for old in ["TLS_RSA_WITH_RC4_128_SHA", "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA"] {
        let suites = format!(r#""cipher_suites": ["{old}", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305"]"#);
        let config = loaded(&with(&suites));
        let skipped =
            format!("c.json:1:104: shipper.tls.cipher_suites[0]: \"{old}\" is too weak to be offered and is skipped");
        assert_eq!(config.warnings, [skipped]);
        let To::Http(http) = &config.lanes[0].kind.to else { panic!("no URL") };
        assert_eq!(http.tls.as_ref().unwrap().cipher_suites, ["TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"]);
    }
    let warnings = |tls: &str| loaded(&with(tls)).warnings;
    assert_eq!(
        warnings(
            r#""min_version": "TLS1.0", "cipher_suites": ["TLS_RSA_WITH_AES_128_CBC_SHA", "TLS_AES_128_GCM_SHA256"]"#
        ),
        [
            "c.json:1:101: shipper.tls.min_version: \"TLS1.0\" is not offered any more; TLS1.2 is used",
            "c.json:1:129: shipper.tls.cipher_suites[0]: \"TLS_RSA_WITH_AES_128_CBC_SHA\" is too weak to be offered and is skipped",
        ]
    );
    // An old list beside a version that it does not speak of.
    let old = r#""min_version": "TLS1.3", "cipher_suites": ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_RSA_WITH_AES_128_CBC_SHA256"]"#;
    assert_eq!(
        warnings(old),
        ["c.json:1:128: shipper.tls.cipher_suites: is of TLS 1.2 alone, and has no effect with this min_version"]
    );
}

#[test]
fn a_destination_has_a_lane_for_records_where_something_gives_any() {
    let lanes = |push: bool, shipper: &str| -> (Vec<String>, Vec<String>) {
        let text = format!(r#"{{"listen": {{"push": {{"enabled": {push}}}}}, "shipper": {{"name": "x", {shipper}}}}}"#);
        let config = loaded(&text);
        let place = |lane: &Settings| match &lane.kind.to {
            To::Http(http) => format!("{} {}", lane.lane_name(), http.endpoint.as_str()),
            _ => lane.lane_name(),
        };
        (config.lanes.iter().map(place).collect(), config.warnings)
    };
    let otlp = |endpoint: &str| format!(r#""type": "otlp_http", "endpoint": "{endpoint}""#);
    for (shipper, with, without) in [
        (otlp("http://h/otlp?t=1"), &["x http://h/otlp/v1/metrics?t=1", "x@records http://h/otlp/v1/logs?t=1"][..], 1),
        (otlp("http://h/v1/metrics"), &["x http://h/v1/metrics"], 1),
        (otlp("http://h/a/v1/logs/"), &["x@records http://h/a/v1/logs/"], 0),
        (
            r#""type": "http_json", "endpoint": "http://h/in""#.to_owned(),
            &["x http://h/in", "x@records http://h/in"],
            1,
        ),
        (
            r#""type": "datadog", "endpoint": "http://proxy/dd""#.to_owned(),
            &["x http://proxy/dd/api/v2/series", "x@records http://proxy/dd/api/v2/logs"],
            1,
        ),
        (
            r#""type": "datadog", "datadog": {"api_key": "k", "site": "datadoghq.eu"}"#.to_owned(),
            &[
                "x https://api.datadoghq.eu/api/v2/series",
                "x@records https://http-intake.logs.datadoghq.eu/api/v2/logs",
            ],
            1,
        ),
        (r#""type": "datadog", "endpoint": "http://h/api/v2/series""#.to_owned(), &["x http://h/api/v2/series"], 1),
        (r#""type": "datadog", "endpoint": "http://h/api/v2/logs""#.to_owned(), &["x@records http://h/api/v2/logs"], 0),
        (r#""type": "stdout""#.to_owned(), &["x", "x@records"], 1),
        (r#""type": "loki", "endpoint": "http://h/in""#.to_owned(), &["x@records http://h/in/loki/api/v1/push"], 0),
        (
            r#""type": "prometheus_remote_write", "endpoint": "http://h/api/v1/write""#.to_owned(),
            &["x http://h/api/v1/write"],
            1,
        ),
    ] {
        assert_eq!(lanes(true, &shipper), (with.iter().map(|lane| (*lane).to_owned()).collect(), Vec::new()));
        let (off, warnings) = lanes(false, &shipper);
        assert_eq!(off.len(), without, "{shipper}");
        let says_so = warnings.iter().any(|warning| warning.contains("takes records alone, and nothing gives any"));
        assert_eq!(says_so, without == 0, "{warnings:?}");
    }
}

#[test]
fn what_metrics_alone_have_is_not_the_records() {
    let config = loaded(
        r#"{"listen": {"push": {"enabled": true}}, "transforms": [{"drop_labels": ["a"]}], "labels": {"dc": "eu"},
            "spool": {"dir": "/s"},
            "shippers": [{"name": "x", "type": "otlp_http", "endpoint": "http://h", "own_metrics": true}]}"#,
    );
    let [metrics, records] = &config.lanes[..] else { panic!("{} lanes", config.lanes.len()) };
    assert_eq!((metrics.rule_places.len(), metrics.own_metrics), (1, true));
    assert_eq!((records.rule_places.len(), records.own_metrics, records.rules.len()), (0, false, 0));
    assert_eq!((records.labels.get("dc"), config.destinations), (Some("eu"), 1));
    let homes = [metrics.home(), records.home()];
    assert_eq!(homes, [Some("/s/x".into()), Some("/s/x@records".into())]);
}

#[test]
fn influxdb_has_the_path_and_the_query_of_its_version_and_its_token_in_a_header() {
    use crate::http::Authorization;
    let shipper = |endpoint: &str, own: &str, more: &str| {
        format!(r#"{{"shipper": {{"type": "influxdb", "endpoint": "{endpoint}", "influxdb": {{{own}}}{more}}}}}"#)
    };
    let http = |endpoint: &str, own: &str, more: &str| {
        let config = loaded(&shipper(endpoint, own, more));
        assert_eq!(config.warnings, [""; 0]);
        config.lanes[0].kind.http().unwrap().clone()
    };
    for (endpoint, own, url, query) in [
        ("https://h:8086", r#""database": "a b""#, "https://h:8086/write", "db=a%20b&precision=ms"),
        (
            "https://h/write?x=y",
            r#""version": 1, "database": "d", "retention_policy": "week""#,
            "https://h/write?x=y",
            "db=d&rp=week&precision=ms",
        ),
        (
            "https://h/vm/",
            r#""bucket": "b&c", "org": "o""#,
            "https://h/vm/api/v2/write",
            "org=o&bucket=b%26c&precision=ms",
        ),
        (
            "https://h/api/v3/write_lp",
            r#""version": 3, "database": "d""#,
            "https://h/api/v3/write_lp",
            "db=d&precision=millisecond",
        ),
    ] {
        let http = http(endpoint, own, "");
        assert_eq!((http.endpoint.as_str(), &*http.query), (url, query));
        assert_eq!(http.credentials, Default::default());
    }
    let key = |own: &str| match http("https://h", own, "").credentials.authorization {
        Authorization::Key(own) => (own.header, own.before, own.key),
        other => panic!("{other:?}"),
    };
    let token = secret::Source::Given(Secret::new("s3cr3t"));
    let v2 = r#""bucket": "b", "org": "o", "token": "s3cr3t""#;
    assert_eq!(key(v2), ("authorization", "Token ", token.clone()));
    assert_eq!(key(r#""version": 3, "database": "b", "token": "s3cr3t""#), ("authorization", "Bearer ", token));
    // The host tells itself apart, unless the operator says otherwise.
    let host = |more: &str| {
        let config = loaded(&shipper("https://h", r#""database": "d""#, more));
        config.lanes[0].labels.get("host").map(str::to_owned)
    };
    assert!(host("").is_some_and(|name| !name.is_empty()));
    assert_eq!(host(r#", "labels": {"host": "x"}"#).as_deref(), Some("x"));
    assert_eq!(host(r#", "labels": {"host": ""}"#), None);
    for (own, more, said) in [
        ("", "", "shipper.influxdb.database: required with version 1"),
        (r#""bucket": "b""#, "", "shipper.influxdb.org: required with version 2"),
        (r#""version": 3"#, "", "shipper.influxdb.database: required with version 3"),
        (r#""database": "d", "token": "x""#, "", "shipper.influxdb.token: version 1 has no tokens"),
        (r#""version": 4"#, "", "shipper.influxdb.version: expected a whole number from 1 to 3, got 4"),
        (v2, r#", "bearer_token": "x""#, "influxdb.token and bearer_token are given together"),
        (v2, r#", "headers": {"Authorization": "x"}"#, "headers.Authorization: is what influxdb.token is sent as"),
        (r#""bucket": "b", "org": "o", "token": "a b""#, "", "shipper.influxdb.token: is a token with a space"),
        (r#""bucket": "b", "org": "o", "token": """#, "", "shipper.influxdb.token: is empty"),
        (r#""bucket": "b", "org": "o", "token_file": "/nowhere/s""#, "", "shipper.influxdb.token_file: "),
    ] {
        let all = problems(&shipper("https://h", own, more));
        assert!(all.iter().any(|problem| problem.contains(said)), "{own} {more}: {all:?}");
        assert!(!all.concat().contains("s3cr3t"), "{all:?}");
    }
    let warnings = loaded(&shipper("https://h", r#""database": "d", "org": "o""#, "")).warnings;
    assert!(warnings[0].contains("shipper.influxdb.org: has no effect with version 1"), "{warnings:?}");
    let other = r#"{"shipper": {"type": "stdout", "influxdb": {"database": "d"}}}"#;
    assert!(loaded(other).warnings[0].contains("shipper.influxdb: has no effect with the type \"stdout\""));
}

#[test]
fn a_path_of_influxdb_is_its_own_versions() {
    let said = |endpoint: &str, own: &str| {
        problem(&format!(r#"{{"shipper": {{"type": "influxdb", "endpoint": "{endpoint}"{own}}}}}"#))
    };
    for (endpoint, own, path, theirs, version) in [
        ("http://x/api/v3/write_lp", r#", "influxdb": {"version": 1, "database": "d"}"#, "/api/v3/write_lp", 3, 1),
        ("http://x/write/", r#", "influxdb": {"bucket": "b", "org": "o"}"#, "/write", 1, 2),
        ("http://x/write", r#", "influxdb": {"version": 3, "database": "d"}"#, "/write", 1, 3),
        ("http://x/api/v2/write?bucket=a&org=o", "", "/api/v2/write", 2, 1),
        ("http://x/api/v2/write", r#", "influxdb": {"database": "d"}"#, "/api/v2/write", 2, 1),
    ] {
        let shown = endpoint.replace("bucket=a&org=o", "***");
        let expected = format!(
            "shipper.endpoint: \"{shown}\" ends in {path}, which is version {theirs}'s, and the version here is \
             {version}; set influxdb.version to {theirs}, or end it before {path}"
        );
        let said = said(endpoint, own);
        assert!(said.ends_with(&expected), "{said}\n{expected}");
    }
    // A version that there is none of is all that is said.
    let said = said("http://x", r#", "influxdb": {"version": 4}"#);
    assert!(said.ends_with("shipper.influxdb.version: expected a whole number from 1 to 3, got 4"), "{said}");
}

#[test]
fn graphite_is_a_host_and_a_port_over_tcp_or_tls() {
    let shipper = |more: &str| format!(r#"{{"shipper": {{"type": "graphite", {more}}}}}"#);
    let config = loaded(&shipper(r#""endpoint": "tcp://carbon", "timeout": "3s""#));
    assert_eq!(config.warnings, [""; 0]);
    let kind = &config.lanes[0].kind;
    let To::Tcp(tcp) = &kind.to else { panic!("{kind:?}") };
    assert_eq!((tcp.endpoint.as_str(), tcp.timeout, &tcp.tls), ("http://carbon:2003", Duration::from_secs(3), &None));
    assert_eq!(kind.to_string(), "graphite to tcp://carbon:2003");
    let config = loaded(&shipper(r#""endpoint": "tls://carbon:2004", "tls": {"enabled": true, "server_name": "x"}"#));
    let kind = &config.lanes[0].kind;
    let To::Tcp(tcp) = &kind.to else { panic!("{kind:?}") };
    let name = tcp.tls.as_ref().and_then(|tls| tls.server_name.as_ref()).map(|name| name.to_str().into_owned());
    assert_eq!(name.as_deref(), Some("x"));
    assert_eq!(kind.to_string(), "graphite to tls://carbon:2004");
    for (more, said) in [
        ("\"name\": \"x\"", "shipper.endpoint: required: tcp://host:port or tls://host:port"),
        (
            r#""endpoint": "http://h:2003""#,
            "shipper.endpoint: \"http://h:2003\" has an unknown scheme; use tcp:// or tls://",
        ),
        (r#""endpoint": "tcp://h", "compression": "gzip""#, "shipper.compression: expected \"none\""),
        (r#""endpoint": "tcp://h", "tls": {"enabled": true}"#, "shipper.tls: "),
    ] {
        let all = problems(&shipper(more));
        assert!(all[0].contains(said), "{more}: {all:?}");
    }
    let warnings = loaded(&shipper(r#""endpoint": "tcp://h", "bearer_token": "s3cr3t""#)).warnings;
    assert_eq!(warnings, ["c.json:1:73: shipper.bearer_token: has no effect with the type \"graphite\""]);
}

#[test]
fn datadog_is_reached_at_its_site_with_its_key_in_a_header() {
    use crate::http::{Authorization, KeySettings};
    let shipper = |more: &str| format!(r#"{{"shipper": {{"type": "datadog", {more}}}}}"#);
    for (more, url) in [
        (r#""datadog": {"api_key": "s3cr3t"}"#, "https://api.datadoghq.com/api/v2/series"),
        (
            r#""datadog": {"api_key": "s3cr3t", "site": "us5.datadoghq.com"}"#,
            "https://api.us5.datadoghq.com/api/v2/series",
        ),
        (
            r#""datadog": {"api_key": "s3cr3t", "site": "datadoghq.eu"}, "endpoint": "https://proxy/dd/""#,
            "https://proxy/dd/api/v2/series",
        ),
    ] {
        let config = loaded(&shipper(more));
        assert_eq!(config.warnings, [""; 0]);
        let http = config.lanes[0].kind.http().unwrap();
        assert_eq!(http.endpoint.as_str(), url);
        let Authorization::Key(own) = &http.credentials.authorization else { panic!("no key") };
        let KeySettings { header, before, key, .. } = &**own;
        assert_eq!((*header, *before, key), ("dd-api-key", "", &given("s3cr3t")));
    }
    let own = loaded(&shipper(r#""endpoint": "http://vm:8428/datadog""#));
    assert_eq!(own.lanes[0].kind.http().unwrap().credentials, Default::default());
    for (more, said) in [
        (
            "\"name\": \"x\"",
            "shipper.endpoint: required: a URL such as \"http://host:9090/path\"; or set datadog.api_key",
        ),
        (
            r#""datadog": {"site": "app.datadoghq.com", "api_key": "x"}"#,
            "shipper.datadog.site: expected a site such as",
        ),
        (
            r#""datadog": {"site": "https://datadoghq.eu", "api_key": "x"}"#,
            "shipper.datadog.site: expected a site such as",
        ),
        (r#""datadog": {"api_key": "x y"}"#, "shipper.datadog.api_key: is a token with a space"),
        (r#""datadog": {"api_key": "x", "api_key_file": "/x"}"#, "are given together"),
        (
            r#""datadog": {"api_key": "x"}, "headers": {"DD-API-KEY": "y"}"#,
            "headers.DD-API-KEY: is what datadog.api_key is sent as",
        ),
    ] {
        let all = problems(&shipper(more));
        assert!(all.iter().any(|problem| problem.contains(said)), "{more}: {all:?}");
    }
}

#[test]
fn a_file_is_one_destinations_alone_where_it_is_put_by() {
    let all = |shippers: &str| problems(&format!(r#"{{"shippers": [{shippers}]}}"#));
    let of = |name: &str, more: &str| format!(r#"{{"type": "stdout", "name": "{name}", "tee_file": {{{more}}}}}"#);
    let own = r#"{"type": "file", "endpoint": "/t/x", "tee_file": {"path": "/t/x"}}"#;
    for (shippers, said) in [
        (
            format!("{}, {}", of("a", r#""path": "/t/x""#), of("b", r#""path": "/t/x""#)),
            "c.json:1:131: shippers[1].tee_file.path: is shippers[0].tee_file.path too; give each a file of its own",
        ),
        (
            format!("{}, {}", of("a", r#""path": "/t/x", "keep": 12"#), of("b", r#""path": "/t/x.12""#)),
            "shippers[1].tee_file.path: is a name under which the file of shippers[0].tee_file.path is put by",
        ),
        (
            format!("{}, {}", of("a", r#""path": "/t/x.1""#), of("b", r#""path": "file:///t/x""#)),
            "shippers[1].tee_file.path: would be put by as /t/x.1, which is shippers[0].tee_file.path",
        ),
        (own.to_owned(), "shippers[0].tee_file.path: is shippers[0].endpoint too"),
    ] {
        let all = all(&shippers);
        assert!(all.len() == 1 && all[0].contains(said), "{shippers}: {all:?}");
    }
    // Names that none is put by under, and two that append to one file as they always could.
    let fine = [
        of("a", r#""path": "/t/x", "keep": 1"#),
        of("b", r#""path": "/t/x.2""#),
        of("c", r#""path": "/t/x.01""#),
        of("d", r#""path": "/t/x.b""#),
        r#"{"name": "e", "type": "file", "endpoint": "/t/y"}, {"name": "f", "type": "file", "endpoint": "/t/y"}"#
            .into(),
    ];
    let config = loaded(&format!(r#"{{"shippers": [{}]}}"#, fine.join(", ")));
    assert_eq!((config.warnings, config.destinations), (vec![], 6));
}

#[test]
fn a_file_is_one_however_its_path_is_spelt() {
    let dir = TempDir::new();
    let dir = &dir.0;
    fs::create_dir(dir.join("w")).unwrap();
    std::os::unix::fs::symlink(dir.join("w"), dir.join("link")).unwrap();
    let (dir, here) = (dir.display(), std::env::current_dir().unwrap());
    let (here, up) = (here.display(), "../".repeat(here.components().count()));
    let tee = |name: &str, path: &str| {
        format!(r#"{{"type": "stdout", "name": "{name}", "tee_file": {{"path": "{path}", "keep": 2}}}}"#)
    };
    let said = |one: &str, other: &str| {
        problems(&format!(r#"{{"shippers": [{}, {}]}}"#, tee("a", one), tee("b", other))).concat()
    };
    for (one, other) in [
        (format!("{dir}/w/t"), format!("{dir}/w/../w/t")),
        (format!("{dir}/w/t"), format!("{dir}/link/t")),
        (format!("{dir}/link/./t"), format!("{dir}//w/t")),
        // Of a folder that is not there, too.
        (format!("{dir}/none/t"), format!("{dir}/none/../none/x/../t")),
        (format!("{here}/t"), "t".to_owned()),
        ("./t".to_owned(), "t".to_owned()),
        (format!("{dir}/w/t"), format!("{up}{dir}/w/t")),
    ] {
        for (one, other) in [(&one, &other), (&other, &one)] {
            let said = said(one, other);
            assert!(
                said.contains("shippers[1].tee_file.path: is shippers[0].tee_file.path too"),
                "{one} {other}: {said}"
            );
        }
    }
    let by = said(&format!("{dir}/w/t"), &format!("{dir}/link/t.2"));
    assert!(by.contains("is a name under which the file of shippers[0].tee_file.path is put by"), "{by}");
    let own = format!(r#"{{"shippers": [{}, {{"name": "f", "type": "file", "endpoint": "./t"}}]}}"#, tee("a", "t"));
    let own = problems(&own).concat();
    assert!(own.contains("shippers[1].endpoint: is shippers[0].tee_file.path too"), "{own}");
    for other in [format!("{dir}/t"), format!("{dir}/w/t.3"), format!("{dir}/none/t"), "t".to_owned()] {
        let text = format!(r#"{{"shippers": [{}, {}]}}"#, tee("a", &format!("{dir}/link/t")), tee("b", &other));
        assert_eq!(loaded(&text).destinations, 2, "{other}");
    }
}

#[test]
fn a_tee_without_a_path_is_warned_of_unless_all_of_it_is_written_out() {
    let warnings = |tee: &str| loaded(&format!(r#"{{"shipper": {{"type": "stdout", "tee_file": {tee}}}}}"#)).warnings;
    let said = ["c.json:1:44: shipper.tee_file: has no path, so nothing is written; give it one"];
    for tee in ["{}", r#"{"keep": 3}"#, r#"{"path": null}"#] {
        assert_eq!(warnings(tee), said, "{tee}");
    }
    assert_eq!(warnings(r#"{"path": null, "max_bytes": 16777216, "keep": 1}"#), [""; 0]);
    assert_eq!(warnings(r#"{"path": "/t/x"}"#), [""; 0]);
}

#[test]
fn what_is_about_metrics_has_no_effect_where_records_alone_are_sent() {
    let warnings = |shipper: &str| {
        let on = loaded(&format!(r#"{{"listen": {{"push": {{"enabled": true}}}}, "shipper": {{{shipper}}}}}"#));
        assert_eq!((on.destinations, on.lanes.len()), (1, 1), "{shipper}");
        on.warnings
    };
    let about_metrics = r#""naming": "otel", "own_metrics": true, "transforms": [{"drop_labels": ["a"]}]"#;
    for shipper in
        [r#""type": "loki", "endpoint": "http://h""#, r#""type": "otlp_http", "endpoint": "http://h/v1/logs""#]
    {
        let said = warnings(&format!("{shipper}, {about_metrics}"));
        assert_eq!(said.len(), 3, "{said:?}");
        for (field, said) in ["naming", "own_metrics", "transforms"].iter().zip(&said) {
            assert!(said.contains(&format!("shipper.{field}: has no effect: it is about metrics")), "{said}");
        }
        assert_eq!(warnings(&format!(r#"{shipper}, "naming": null, "own_metrics": false, "transforms": []"#)), [""; 0]);
    }
    // Nothing gives records: it is a destination all the same.
    let off = loaded(r#"{"shipper": {"type": "loki", "endpoint": "http://h"}}"#);
    assert_eq!((off.destinations, off.lanes.len(), off.warnings.len()), (1, 0, 1));
}

#[test]
fn a_parameter_of_influxdb_is_given_once() {
    let shipper = |endpoint: &str| {
        format!(r#"{{"shipper": {{"type": "influxdb", "endpoint": "{endpoint}", "influxdb": {{"database": "d"}}}}}}"#)
    };
    for (endpoint, name) in [
        ("http://h/?db=x", "db"),
        ("http://h/?a=b&db", "db"),
        ("http://h/?precision=ns", "precision"),
        ("http://h/?d%62=x", "db"),
    ] {
        let all = problems(&shipper(endpoint));
        let said = format!(
            "c.json:1:46: shipper.endpoint: has {name}= in its query, which is set in any case; remove it there"
        );
        assert_eq!(all, [said], "{endpoint}");
    }
    let all = problems(&shipper("http://h/?precision=s&db=x")).concat();
    assert!(
        all.ends_with("has db= and precision= in its query, which are set in any case; remove them there"),
        "{all}"
    );
    assert_eq!(loaded(&shipper("http://h/?adb=x&u=db")).warnings, [""; 0]);
}

#[test]
fn what_only_requests_have_is_warned_of_once_where_none_are_made() {
    let warnings = |shipper: &str, more: &str| {
        let config = loaded(&format!(r#"{{"shipper": {{{shipper}, {more}}}}}"#));
        let lane = &config.lanes[0];
        assert!(lane.kind.network().is_none_or(|tcp| tcp.credentials == Default::default() && tcp.proxy.is_none()));
        config.warnings
    };
    for shipper in [r#""type": "graphite", "endpoint": "tcp://192.0.2.1""#, r#""type": "file", "endpoint": "/t/x""#] {
        for (field, value) in [
            ("headers", r#"{"a": "b"}"#),
            ("basic_auth", r#"{"username": "u", "password": "p"}"#),
            ("bearer_token", r#""t""#),
            // It is not looked at.
            ("bearer_token_file", r#""/nowhere/t""#),
            ("proxy_url", r#""http://p:1""#),
            ("user_agent", r#""x""#),
            // Graphite has it.
            ("tls", if shipper.contains("file") { r#"{"enabled": true}"# } else { continue }),
        ] {
            let said = warnings(shipper, &format!("\"{field}\": {value}"));
            let [said] = &said[..] else { panic!("{field}: {said:?}") };
            assert!(said.contains(&format!("shipper.{field}: has no effect with the type ")), "{said}");
        }
    }
}
