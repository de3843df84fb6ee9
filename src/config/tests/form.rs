//! The form of a configuration: comments, keys, empty values, and text that is none.

use super::*;
use crate::model::Labels;

#[test]
fn comments_are_keys_that_begin_as_no_field_does() {
    let text = r#"{
        "$schema": "https://schema.example/x.json",
        "//": "told", "//": "in two lines", "// and": ["a list", {"of": "what"}],
        "_server": {"port": "no number, ${NOT_SET}", "prot": 1},
        "server": {"_": null, "port": 9000, "_port": 1, "tls": {"//enabled": true}},
        "shippers": [{"_name": 7, "type": "stdout"}],
        "labels": {"//": "which rack", "_zone": "a"}
    }"#;
    let config = loaded(text);
    assert_eq!((config.server.port, config.lanes.len()), (9000, 1));
    // A label is a name of the operator's own, and may begin so.
    assert_eq!(config.labels, Labels::of(&[("_zone", "a")]));
    assert_eq!(config.warnings, [""; 0]);
    let headers = r#", "headers": {"//": "whose", "_X": "1", "$Y": "2"}"#;
    assert_eq!(loaded(&shipper(headers)).lanes.len(), 1);
}

#[test]
fn a_comment_of_an_object_is_none_in_a_map() {
    assert_eq!(
        problem(r#"{"labels": {"$schema": "x"}}"#),
        "c.json:1:24: labels[\"$schema\"]: invalid label name \"$schema\": use letters, digits and _, no digit first, not __name__"
    );
    assert_eq!(
        problem(r#"{"labels": {"_a": "x", "_a": "y"}}"#),
        "c.json:1:24: labels._a: given twice in the same object"
    );
}

#[test]
fn null_counts_as_not_given() {
    assert_eq!(loaded(r#"{"server": {"host": null, "port": null}, "collector": null, "labels": null}"#), loaded("{}"));
    assert_eq!(loaded(r#"{"shipper": null, "shippers": null, "endpoints": null}"#), loaded("{}"));
    // Members of maps, too.
    let labels = r#"{"a": null, "b": "c"}"#;
    let config = loaded(&format!(r#"{{"labels": {labels}, "collector": {{"disk": {{"labels": {labels}}}}}}}"#));
    let other = labels.replace(r#""a": null, "#, "");
    assert_eq!(config, loaded(&format!(r#"{{"labels": {other}, "collector": {{"disk": {{"labels": {other}}}}}}}"#)));
}

#[test]
fn every_cut_of_the_examples_is_loaded_or_refused_without_a_panic() {
    for text in [EXAMPLE, EXAMPLE_SHIPPER] {
        for end in 0..text.trim_end().len() {
            let cut = Source::Text("c.json".into(), text.as_bytes()[..end].to_vec());
            let problems = load(cut, &|_| None, "h").unwrap_err();
            let problem = problems.iter().next().unwrap();
            assert!(problem.place.is_some() && problems.iter().len() == 1, "{problems}");
        }
    }
}

#[test]
fn no_single_wrong_byte_makes_the_reader_panic() {
    for text in [EXAMPLE, EXAMPLE_SHIPPER] {
        // A load compiles the default patterns, so each place gets one kind of damage only.
        for (at, byte) in (0..text.len()).zip([b'"', b'{', b'9', b'\\', 0xff].into_iter().cycle()) {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = byte;
            let _ = load(Source::Text("c.json".into(), bytes), &|_| Some("x".into()), "h");
        }
    }
}

#[test]
fn text_that_is_no_configuration_is_refused_with_its_place() {
    assert_eq!(problem(""), "c.json:1:1: the file is empty; {} stands for all defaults");
    assert_eq!(problem("{\n \"server\": {\n"), "c.json:2:13: the text ends within an object; is the file complete?");
    assert_eq!(problem("[]"), "c.json:1:1: expected an object, got a list");
    assert_eq!(problem("{\n \"labels\" 1}"), "c.json:2:11: not valid JSON: expected `:`");
    let load_bytes = |bytes: &[u8]| load(Source::Text("c.json".into(), bytes.to_vec()), &|_| None, "h");
    let error = load_bytes(b"{\n \"\xff\": 1}").unwrap_err().to_string();
    assert_eq!(error, "c.json:2:3: not UTF-8 text; save the file as UTF-8");
    assert!(load_bytes(b"\xef\xbb\xbf{}").is_ok());
}

#[test]
fn several_problems_are_reported_together_in_the_order_of_the_file() {
    let text = r#"{
  "server": {
    "port": 70000,
    "hst": "x"
  },
  "collector": {"interval_seconds": -1, "enable_cpu": "yes"},
  "shippers": [
    {"type": "stdout"},
    {
      "type": "http_json", "endpoint": "localhost:9000",
      "tls": {"ca_fil": "/x"}
    }
  ]
}"#;
    assert_eq!(
        problems_with(text, &[("MC_TLS_ENABLED", "maybe")]),
        [
            "c.json:3:13: server.port: expected a whole number from 1 to 65535, got 70000",
            "c.json:4:5: server.hst: unknown field; did you mean \"host\"?",
            "c.json:6:37: collector.interval_seconds: expected a number from 0.05 to 86400, got -1",
            "c.json:6:55: collector.enable_cpu: expected true or false, got \"yes\"",
            "c.json:10:40: shippers[1].endpoint: \"localhost:9000\" has no scheme; a URL begins with http:// or \
             https://",
            "c.json:11:15: shippers[1].tls.ca_fil: unknown field; did you mean \"ca_file\"?",
            "MC_TLS_ENABLED: shipper.tls.enabled: expected \"1\", \"t\", \"T\", \"true\", \"TRUE\", \"True\", \"0\", \"f\", \
             \"F\", \"false\", \"FALSE\" or \"False\", got \"maybe\"",
        ]
    );
}

#[test]
fn double_keys_are_refused() {
    assert_eq!(
        problem(r#"{"server": {"port": 1, "port": 2}}"#),
        "c.json:1:24: server.port: given twice in the same object"
    );
    assert_eq!(problem(r#"{"labels": {"a": "x", "a": "y"}}"#), "c.json:1:23: labels.a: given twice in the same object");
}

#[test]
fn what_this_version_does_not_have_is_refused_as_such() {
    assert_eq!(problem(r#"{"logs": {}}"#), "c.json:1:2: logs: this version has no logs yet; remove it");
    for (text, said) in [
        (
            r#"{"collector": {"gpu": {"per_process": true}}}"#,
            "collector.gpu.per_process: this version has no per_process yet; leave it at false",
        ),
        (
            r#"{"collector": {"enable_conntrack": true}}"#,
            "collector.enable_conntrack: this version has no enable_conntrack yet; remove it",
        ),
        (r#"{"collector": {"textfile": {}}}"#, "collector.textfile: this version has no textfile yet"),
        (
            r#"{"shipper": {"type": "prometheus_remote_write", "endpoint": "http://h", "compression": "zstd"}}"#,
            "shipper.compression: there is no zstd here",
        ),
        (
            r#"{"shippers": [{"type": "stdout", "send": ["metrics"]}]}"#,
            "shippers[0].send: this version has no send yet; remove it",
        ),
        (r#"{"history": null}"#, "history: this version has no history yet; remove it"),
    ] {
        assert!(problem(text).contains(said), "{}", problem(text));
    }
    // What asks for nothing stands in files as they are.
    let off = r#"{"endpoints": [], "collector": {"gpu": {"per_process": false}},
        "shipper": {"type": "stdout"}}"#;
    assert_eq!(loaded(off).warnings, [""; 0]);
    assert_eq!(loaded(r#"{"endpoints": null, "collector": {"gpu": {"per_process": null}}}"#), loaded("{}"));
}

#[test]
fn empty_strings_and_zeros_mean_the_default_where_a_field_cannot_have_them() {
    // Go's zero values, as files of the first metricsd hold them.
    let text = r#"{
"log_level": "",
"server": {"host": "", "port": 0},
"collector": {"interval_seconds": 0, "cpu": {"interval": 0}, "max_series": 0.0},
"spool": {"dir": "", "sync": "", "max_age": "0s", "max_bytes": 0},
"shipper": {"type": "http_json", "endpoint": "http://h/", "name": "", "timeout": 0, "drain_rate": 0, "workers": 0,
"compression": "", "retry": {"min_backoff": "${EMPTY}"},
"tls": {"cert_file": "", "key_file": "", "ca_file": "", "server_name": "", "min_version": "", "cipher_suites": []}}}"#;
    let config = loaded_with(text, &[("EMPTY", "")]);
    let same = r#"{"shipper": {"type": "http_json", "endpoint": "http://h/"}}"#;
    assert_eq!(Config { warnings: Vec::new(), ..config.clone() }, loaded(same));
    let warnings: Vec<&str> = config.warnings.iter().filter_map(|line| line.split_once(": ").map(|at| at.1)).collect();
    assert_eq!(
        warnings,
        [
            "log_level: \"\" counts as not given",
            "server.host: \"\" counts as not given, which means \"0.0.0.0\"",
            "server.port: 0 counts as not given, which means 8080",
            "collector.interval_seconds: 0 counts as not given, which means 60",
            "collector.cpu.interval: 0 counts as not given",
            "collector.max_series: 0.0 counts as not given, which means 20000",
            "spool.dir: \"\" counts as not given",
            "spool.sync: \"\" counts as not given, which means \"1s\"",
            "spool.max_age: \"0s\" counts as not given",
            "spool.max_bytes: 0 counts as not given, which means 67108864",
            "shipper.name: \"\" counts as not given",
            "shipper.timeout: 0 counts as not given, which means 30000000000",
            "shipper.drain_rate: 0 counts as not given",
            "shipper.workers: 0 counts as not given, which means 1",
            "shipper.compression: \"\" counts as not given",
            "shipper.retry.min_backoff: \"${EMPTY}\" counts as not given, which means \"500ms\"",
            "shipper.tls.cert_file: \"\" counts as not given",
            "shipper.tls.key_file: \"\" counts as not given",
            "shipper.tls.ca_file: \"\" counts as not given",
            "shipper.tls.server_name: \"\" counts as not given",
            "shipper.tls.min_version: \"\" counts as not given, which means \"TLS1.2\"",
        ]
    );
    // What has to be given is missing.
    for (field, said) in [
        (r#""type": "", "endpoint": "http://h/""#, "shipper.type: required"),
        (r#""type": "http_json", "endpoint": """#, "shipper.endpoint: required"),
    ] {
        let problem = problem(&format!(r#"{{"shipper": {{{field}}}}}"#));
        assert!(problem.contains(said), "{problem}");
    }
    // A variable speaks as the file does.
    let warnings = loaded_with("{}", &[("MC_SERVER_PORT", "0")]).warnings;
    assert_eq!(warnings, ["MC_SERVER_PORT: server.port: 0 counts as not given, which means 8080"]);
}

#[test]
fn every_field_that_takes_a_word_or_a_number_takes_an_empty_one() {
    // Credentials are refused where they are empty, and some fields have no use for one of these two alone.
    let refused = ["_file", ".bearer_token", ".token", ".api_key", ".username", ".client_ca_file"];
    for row in rows().into_iter().filter(|row| !refused.iter().any(|end| row.path.ends_with(end))) {
        let value = match row.takes.as_str() {
            "boolean" | "object" | "list of objects" | "list of strings" | "map of strings" => continue,
            takes if takes.starts_with("list of numbers") => continue,
            takes if takes.contains("number") || takes.starts_with("duration") => "0",
            _ => "\"\"",
        };
        let text = row.path.rsplit('.').fold(value.to_owned(), |text, key| format!("{{\"{key}\": {text}}}"));
        let expected = format!(": {}: expected ", row.path);
        let problems = load_with(&text, &[]).err().map(|problems| problems.to_string()).unwrap_or_default();
        assert!(!problems.contains(&expected), "{}: {problems}", row.path);
    }
}

#[test]
fn what_has_no_effect_is_warned_of() {
    let warnings = loaded(r#"{"shipper": {"type": "stdout", "endpoint": "http://h/", "timeout": "5s"}}"#).warnings;
    assert_eq!(
        warnings,
        [
            "c.json:1:44: shipper.endpoint: has no effect with the type \"stdout\"",
            "c.json:1:68: shipper.timeout: has no effect with the type \"stdout\"",
        ]
    );
}
