//! The configuration as a whole: text in, settings or problems out.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use log::LevelFilter;

use super::root::ROOT;
use super::*;
use crate::collectors;
use crate::collectors::filesystem::FilesystemSettings;
use crate::collectors::network::Interfaces;
use crate::fields::{DefaultValue, Fields, Shape};
use crate::formats::{Compression, Options, RemoteWriteVersion, json, remote_write};
use crate::http::{Authorization, HttpSettings, OAuth2Settings, SigV4Settings};
use crate::lane::{Kind, LANE_TABLE, RetrySettings, To};
use crate::model::Labels;
use crate::secret::{self, Secret};

const EXAMPLE: &str = include_str!("../../config.example.json");
const EXAMPLE_SHIPPER: &str = include_str!("../../docs/examples/shipper.json");

fn load_with(text: &str, env: &[(&str, &str)]) -> Result<Config, Problems> {
    let env: BTreeMap<&str, &str> = env.iter().copied().collect();
    let look = |name: &str| env.get(name).map(|value| (*value).to_owned());
    load(Source::Text("c.json".into(), text.as_bytes().to_vec()), &look, "host1")
}

fn loaded(text: &str) -> Config {
    load_with(text, &[]).unwrap_or_else(|problems| panic!("{text}\n{problems}"))
}

/// The problems of `text`, a line each.
fn problems(text: &str) -> Vec<String> {
    problems_with(text, &[])
}

fn problems_with(text: &str, env: &[(&str, &str)]) -> Vec<String> {
    let problems = load_with(text, env).expect_err(text);
    assert!(!problems.is_empty());
    problems.iter().map(ToString::to_string).collect()
}

/// The one problem of `text`.
fn problem(text: &str) -> String {
    let all = problems(text);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.into_iter().next().unwrap()
}

/// A shipper in a file of one line; `more` begins with a comma.
fn shipper(more: &str) -> String {
    format!(r#"{{"shipper": {{"type": "http_json", "endpoint": "http://h/"{more}}}}}"#)
}

#[test]
fn nothing_said_means_defaults_and_no_destination() {
    let config = loaded("{}");
    assert_eq!(config.server, crate::server::Settings::default());
    assert_eq!(config.interval, Duration::from_secs(60));
    assert_eq!(config.collectors, collectors::Settings::default());
    assert_eq!(config.lanes, []);
    assert_eq!(config.labels, Labels::EMPTY);
    assert_eq!(config.warnings, [""; 0]);
}

#[test]
fn the_example_holds_every_field_at_its_default() {
    let example: serde_json::Value = serde_json::from_str(EXAMPLE).unwrap();
    same_fields("", &ROOT, &example);
    assert_eq!(loaded(EXAMPLE), loaded("{}"));
}

#[test]
fn the_shipper_example_holds_every_field_at_its_default() {
    let example: serde_json::Value = serde_json::from_str(EXAMPLE_SHIPPER).unwrap();
    same_fields("shippers[0].", &LANE_TABLE, &example["shippers"][0]);
    let short = r#"{"shipper": {"type": "http_json", "endpoint": "http://127.0.0.1:9000/metrics"}}"#;
    assert_eq!(loaded(EXAMPLE_SHIPPER), loaded(short));
}

#[test]
fn the_first_metricsds_file_systems_can_be_restored() {
    let config = loaded(include_str!("../../docs/examples/first-metricsd.json"));
    let filesystem: FilesystemSettings = config.collectors.own("filesystem");
    for (fstype, is_shown) in [
        ("ext4", true),
        ("squashfs", true),
        ("fuseblk", true),
        ("zfs", true),
        ("nfs4", false),
        ("fuse.sshfs", false),
        ("overlay", false),
        ("tmpfs", false),
    ] {
        assert_eq!(filesystem.fstype.shows(fstype, true), is_shown, "{fstype}");
    }
    assert!(filesystem.mountpoint.shows("/var/lib/docker/volumes/x", true));
}

#[test]
fn the_examples_destination_counts_once_its_underscore_is_gone() {
    let edited = EXAMPLE.replace("\"_shipper\"", "\"shipper\"");
    let config = loaded(&edited);
    assert_eq!(config.lanes.len(), 1);
    assert_eq!(config.lanes[0].kind.as_str(), "prometheus_remote_write");
    assert_eq!(config.warnings, [""; 0]);
}

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

/// That `object` holds these fields and no other, each at its default.
fn same_fields(path: &str, fields: &dyn Fields, object: &serde_json::Value) {
    let object = object.as_object().unwrap_or_else(|| panic!("{path} is no object"));
    for info in fields.infos() {
        let path = format!("{path}{}", info.name);
        // A destination that is a comment is none either.
        let comment = object.get(&format!("_{}", info.name)).map(|_| &serde_json::Value::Null);
        let value = object.get(info.name).or(comment).unwrap_or_else(|| panic!("{path} is missing"));
        match (info.shape, info.inner) {
            // No destination is the default, so the short form of one stands there as null.
            (Shape::Object, Some(inner)) if info.default != DefaultValue::Null => {
                same_fields(&format!("{path}."), inner, value);
            }
            _ => match info.default.json() {
                Some(json) => assert_eq!(*value, serde_json::from_str::<serde_json::Value>(&json).unwrap(), "{path}"),
                None => assert!(value.is_string(), "{path}"),
            },
        }
    }
    let others = object.keys().filter(|key| *key != "//");
    assert_eq!(others.count(), fields.infos().len(), "{path} holds a field that no table has");
}

#[test]
fn every_field_is_told_of() {
    for row in rows() {
        assert!(!row.meaning.is_empty() && row.meaning.ends_with('.'), "{}", row.path);
    }
}

#[test]
fn no_field_is_in_the_table_without_being_read() {
    // A list's own row has the path of no object, and `shippers` the fields of `shipper`.
    for row in rows() {
        let wrong = if row.takes == "boolean" { "7" } else { "true" };
        let mut text = wrong.to_owned();
        for key in row.path.rsplit('.') {
            text = format!("{{\"{key}\": {text}}}");
        }
        let expected = format!(": {}: expected ", row.path);
        assert!(problems(&text).iter().any(|line| line.contains(&expected)), "{}: {:?}", row.path, problems(&text));
    }
}

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
fn null_counts_as_not_given() {
    assert_eq!(loaded(r#"{"server": {"host": null, "port": null}, "collector": null, "labels": null}"#), loaded("{}"));
    assert_eq!(loaded(r#"{"shipper": null, "shippers": null, "endpoints": null}"#), loaded("{}"));
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
            r#"{"endpoints": [{"name": "a", "url": "http://h/"}]}"#,
            "c.json:1:2: endpoints: this version has no endpoints yet; leave the list empty",
        ),
        (
            r#"{"shipper": {"type": "loki"}}"#,
            "shipper.type: this version has no \"loki\" yet; use \"prometheus_remote_write\", \"http_json\", \"file\" or \"stdout\"",
        ),
        (
            r#"{"shippers": [{"type": "stdout", "send": ["metrics"]}]}"#,
            "shippers[0].send: this version has no send yet; remove it",
        ),
        (r#"{"listen": null}"#, "listen: this version has no listen yet; remove it"),
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
fn collectors_take_switches_patterns_and_caps() {
    let collectors = loaded(
        r#"{"collector": {
            "enable_disk": false, "max_series": 5,
            "network": {"include": ["eth.*"], "exclude": []},
            "filesystem": {"exclude_types": ["nfs4?"], "include_mountpoints": ["/", "/home"], "timeout": 250000000}
        }}"#,
    )
    .collectors;
    let is_on = |name| collectors::definitions().find(|one| one.name == name).unwrap().is_on(&collectors);
    assert!(!is_on("disk") && !is_on("filesystem") && !is_on("filesystem_remote") && is_on("cpu"));
    let network = collectors.own::<Interfaces>("network").0;
    let filesystem: FilesystemSettings = collectors.own("filesystem");
    assert_eq!(collectors.max_series, 5);
    assert_eq!((network.include[0].text(), network.exclude.len()), ("eth.*", 0));
    assert_eq!(filesystem.fstype.exclude[0].text(), "nfs4?");
    assert_eq!(filesystem.mountpoint.include[1].text(), "/home");
    // Not given, so the default stays.
    assert_eq!(filesystem.mountpoint.exclude.len(), 2);
    assert_eq!(filesystem.timeout, Duration::from_millis(250));

    let line = problem(r#"{"collector": {"disk": {"exclude": ["ok", "(sd"]}}}"#);
    assert!(line.starts_with("c.json:1:43: collector.disk.exclude[1]: \"(sd\" is no regular expression: "), "{line}");
    assert!(problem(r#"{"collector": {"disk": {"include": [""]}}}"#).contains("an empty one"));
    assert!(problem(r#"{"collector": {"disk": {"include": "sda"}}}"#).contains("expected a list, got \"sda\""));
    assert!(problem(r#"{"collector": {"max_series": -1}}"#).contains("from 1 to 1000000, got -1"));
}

#[test]
fn collectors_have_presets_intervals_and_labels() {
    let on = |text: &str, env: &[(&str, &str)]| {
        let settings = load_with(text, env).unwrap_or_else(|problems| panic!("{text}\n{problems}")).collectors;
        collectors::definitions().filter(|one| one.is_on(&settings)).map(|one| one.name).collect::<Vec<_>>()
    };
    let basic = ["cpu", "memory", "load", "uptime", "disk", "filesystem", "filesystem_remote", "network"];
    assert_eq!(on("{}", &[]), basic);
    assert_eq!(on(r#"{"collector": {"preset": "basic"}}"#, &[]), basic);
    assert_eq!(on(r#"{"collector": {"preset": "none", "enable_load": true}}"#, &[]), ["load"]);
    assert_eq!(
        on(r#"{"collector": {"preset": "full", "enable_cpu": null}}"#, &[("MC_COLLECTOR_PRESET", "none")]),
        [""; 0]
    );
    let full = on(r#"{"collector": {"preset": "full", "enable_cpu": false}}"#, &[]);
    assert!(basic[1..].iter().all(|name| full.contains(name)) && !full.contains(&"cpu") && !full.contains(&"gpu"));
    assert!(problem(r#"{"collector": {"preset": "ful"}}"#).ends_with("got \"ful\"; did you mean \"full\"?"));

    let settings = loaded(
        r#"{"collector": {"interval_seconds": 15, "memory": {"interval": "1m", "labels": {"zone": "a", "rack": ""}}}}"#,
    );
    let memory = settings.collectors.given("memory").unwrap();
    assert_eq!(memory.interval, Some(Duration::from_secs(60)));
    assert_eq!(memory.labels(), Labels::of(&[("zone", "a")]));
    let wrong = r#"{"collector": {"interval_seconds": 15, "cpu": {"interval": "20s"}, "load": {"interval": "5s"}}}"#;
    assert_eq!(
        problems(wrong),
        [
            "c.json:1:60: collector.cpu.interval: expected a multiple of the time between collections (15s), got \"20s\"",
            "c.json:1:89: collector.load.interval: expected a multiple of the time between collections (15s), got \"5s\"",
        ]
    );
    let label = problem(r#"{"collector": {"cpu": {"labels": {"a-b": "x"}}}}"#);
    assert!(label.starts_with("c.json:1:42: collector.cpu.labels.a-b: invalid label name"), "{label}");
    assert!(problem(r#"{"collector": {"cpu": {"intervall": "1m"}}}"#).ends_with("did you mean \"interval\"?"));
}

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
        ("{}", "shipper.type: required: \"prometheus_remote_write\", \"http_json\", \"file\" or \"stdout\""),
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
fn patterns_that_look_like_globs_are_warned_of() {
    let warnings = |patterns: &str| {
        let text = format!(r#"{{"collector": {{"network": {{"include": ["eth0"], "exclude": [{patterns}]}}}}}}"#);
        let warnings = loaded(&text).warnings;
        warnings.iter().map(|line| line.split_once(": ").unwrap().1.to_owned()).collect::<Vec<_>>()
    };
    let said = "is a regular expression for the whole name, in which * repeats the character before it; did you mean";
    assert_eq!(
        warnings(r#""eth*", "br-*", "eth.*", "x[a-z*]", "\\d*", "(veth|tap)*""#),
        [
            format!(r#"collector.network.exclude[0]: "eth*" {said} "eth.*"?"#),
            format!(r#"collector.network.exclude[1]: "br-*" {said} "br-.*"?"#),
        ]
    );
    let mounts = r#"{"collector": {"filesystem": {"exclude_mountpoints": ["/mnt/*/x*"]}}}"#;
    assert!(loaded(mounts).warnings[0].ends_with(r#"did you mean "/mnt/.*/x.*"?"#), "{:?}", loaded(mounts).warnings);
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
    let with =
        |tls: &str| with(tls).replace("http://", "https://").replace("\"tls\": {", "\"tls\": {\"enabled\": true, ");
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
    let refused = ["_file", ".bearer_token", ".username", ".client_ca_file"];
    for row in rows().into_iter().filter(|row| !refused.iter().any(|end| row.path.ends_with(end))) {
        let value = match row.takes.as_str() {
            "boolean" | "object" | "list of objects" | "list of strings" | "map of strings" => continue,
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
    let names = ["PATH", "MC_SHIPPER_ENDPOIN", "MC_SID", "MC_LOG_LEVL", "MC_SHIPPER_TYPE", "MC_MINE", "XMC_A"];
    let asked = |name: &str| name == "MC_SHIPPER_TYPE" || name == "MC_MINE";
    assert_eq!(
        unknown_variables(names.map(str::to_owned), asked),
        [
            "MC_LOG_LEVL: no variable of metricsd's, and without effect; did you mean \"MC_LOG_LEVEL\"?",
            "MC_SHIPPER_ENDPOIN: no variable of metricsd's, and without effect; did you mean \"MC_SHIPPER_ENDPOINT\"?",
            "MC_SID: no variable of metricsd's, and without effect",
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

#[test]
fn secrets_are_in_no_message() {
    let env = [("TOKEN", "hunter2"), ("MC_SHIPPER_ENDPOINT", "http://u:hunter2@h:0/?k=hunter2")];
    for text in [
        r#"{"shipper": {"type": "http_json", "endpoint": "ftp://u:hunter2@h/?k=hunter2"}}"#,
        r#"{"shipper": {"type": "http_json", "endpoint": "ftp://u:${TOKEN}@h/"}}"#,
        r#"{"shipper": {"type": "${TOKEN}"}}"#,
        r#"{"shipper": {"type": "stdout", "naming": "${TOKEN}", "name": "/${TOKEN}"}}"#,
        r#"{"shipper": "http://u:hunter2@h/"}"#,
        r#"{"shipper": {"type": "file", "endpoint": "http://u:hunter2@h/"}}"#,
        r#"{"collector": {"disk": {"include": ["(${TOKEN}"]}}}"#,
    ] {
        for env in [&env[..], &env[..1]] {
            for line in problems_with(text, env) {
                assert!(!line.contains("hunter2"), "{line}");
            }
        }
    }
    let config = loaded(r#"{"shipper": {"type": "http_json", "endpoint": "http://u:hunter2@h/?k=hunter2"}}"#);
    assert!(!format!("{config:?}").contains("hunter2"));
}

/// A directory that is gone when the test is.
struct TempDir(PathBuf);

impl TempDir {
    fn new() -> TempDir {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("metricsd-config-{}-{count}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        TempDir(dir)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn files_that_cannot_be_read_say_why() {
    let dir = TempDir::new();
    let refused = |path: &Path| load(Source::File(path.into()), &|_| None, "h").unwrap_err().to_string();
    assert!(refused(&dir.0).ends_with(": is a directory; name the file in it"));
    assert!(refused(&dir.0.join("none.json")).ends_with("none.json: no such file; name another one with -config"));

    let large = dir.0.join("large.json");
    fs::write(&large, vec![b' '; (1 << 20) + 1]).unwrap();
    assert!(refused(&large).contains("larger than 1048576 bytes"));

    let locked = dir.0.join("locked.json");
    fs::write(&locked, "{}").unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    // Root may read everything, so there the mode proves nothing.
    if File::open(&locked).is_err() {
        assert!(refused(&locked).contains("may not be read by this user"));
    }
}

#[test]
fn a_file_is_known_by_the_name_it_was_given() {
    let dir = TempDir::new();
    let path = dir.0.join("a.json");
    fs::write(&path, r#"{"server": {"port": 9}}"#).unwrap();
    let config = load(Source::from(Some(path.clone())), &|_| None, "h").unwrap();
    assert_eq!((config.source, config.server.port), (path.display().to_string(), 9));
    assert_eq!(Source::from(None), Source::Default);
}

#[test]
fn a_link_to_nowhere_is_not_taken_for_an_absent_file() {
    let dir = TempDir::new();
    let link = dir.0.join("config.json");
    assert!(!is_there(&link));
    symlink("/nowhere/at/all", &link).unwrap();
    assert!(is_there(&link));
}

#[test]
fn hostile_files_cost_bounded_work() {
    let many: String = (0..20_000).map(|i| format!("\"k{i}\": 1,")).collect();
    let error = load_with(&format!("{{{many}\"x\": 1}}"), &[]).unwrap_err();
    assert_eq!(error.iter().len(), 100);
    assert!(error.to_string().ends_with("... and 19901 more"));
    let shippers = vec![r#"{"type": "stdout"}"#; 1000].join(",");
    assert!(load_with(&format!(r#"{{"shippers": [{shippers}]}}"#), &[]).is_err());
    assert!(problem(&format!("{}{}", "[".repeat(500_000), "]".repeat(500_000))).contains("nested deeper"));
}

/// How the one destination of `text` is reached.
fn http_of(text: &str, env: &[(&str, &str)]) -> HttpSettings {
    let config = load_with(text, env).unwrap_or_else(|problems| panic!("{text}\n{problems}"));
    config.lanes[0].kind.http().unwrap().clone()
}

fn given(text: &str) -> secret::Source {
    secret::Source::Given(Secret::new(text))
}

#[test]
fn credentials_are_of_one_kind() {
    let authorization = |more: &str| http_of(&shipper(more), &[("T", "tok")]).credentials.authorization;
    assert_eq!(authorization(""), Authorization::None);
    assert_eq!(
        authorization(r#", "basic_auth": {"username": "u", "password": ""}"#),
        Authorization::Basic(Secret::new("u"), given(""))
    );
    assert_eq!(authorization(r#", "bearer_token": "${T}""#), Authorization::Bearer(given("tok")));
    let sigv4 = r#", "sigv4": {"region": "eu-central-1", "access_key_id": "AKID", "secret_access_key": "k"}"#;
    assert!(matches!(authorization(sigv4), Authorization::SigV4(SigV4Settings { service, .. }) if service == "aps"));
    let oauth2 = r#", "oauth2": {"token_url": "https://idp/t", "client_id": "c", "client_secret": "s",
        "scopes": ["a", "b"], "endpoint_params": {"audience": "x"}}"#;
    assert!(matches!(authorization(oauth2), Authorization::OAuth2(OAuth2Settings { scopes, .. }) if scopes.len() == 2));

    let user_info = r#"{"shipper": {"type": "http_json", "endpoint": "http://u%40x:p%3Ass@h:1/x?y"}}"#;
    let http = http_of(user_info, &[]);
    assert_eq!(http.endpoint.as_str(), "http://h:1/x?y");
    assert_eq!(http.credentials.authorization, Authorization::Basic(Secret::new("u@x"), given("p:ss")));

    let bearer = r#", "bearer_token": "x""#;
    for more in [
        r#", "basic_auth": {"username": "u", "password": "p"}"#,
        r#", "headers": {"authorization": "Bearer y"}"#,
        oauth2,
        sigv4,
    ] {
        let error = problem(&shipper(&format!("{bearer}{more}")));
        assert!(error.contains(" given together; a request has one Authorization"), "{error}");
    }
    let error = problem(&user_info.replace(r#"x?y""#, &format!(r#"x?y"{bearer}"#)));
    assert!(error.contains("bearer_token and the user info of endpoint are given together"), "{error}");
}

#[test]
fn credentials_that_cannot_be_sent_are_refused_and_never_quoted() {
    for (more, why) in [
        (r#""basic_auth": {"username": "hunter2:x", "password": "p"}"#, "a user without a colon"),
        (r#""basic_auth": {"username": "u"}"#, "shipper.basic_auth: has no password"),
        (r#""basic_auth": {"password": "hunter2"}"#, "shipper.basic_auth.username: required"),
        (r#""basic_auth": {"username": "u", "password": 12345678}"#, "password: expected a string, got a number"),
        (r#""basic_auth": "u:hunter2""#, "shipper.basic_auth: expected an object, got a string"),
        (r#""basic_auth": {"username": "u", "password": "hunter2", "password_file": "f"}"#, "given together; keep one"),
        (r#""bearer_token": "hunter2\nX-Evil: 1""#, "holds a line break"),
        (r#""bearer_token": """#, "bearer_token: is empty"),
        (r#""bearer_token": "Bearer hunter2""#, "give the token alone"),
        (r#""bearer_token": "hunter2é""#, "not visible ASCII"),
        (r#""bearer_token": ["hunter2"]"#, "expected a string, got a list"),
        (r#""bearer_token_file": "/nothing/here""#, "bearer_token_file: /nothing/here: no such file"),
        (r#""bearer_token_file": "/""#, "is a directory"),
        (r#""headers": {"Host": "hunter2"}"#, "is set by HTTP"),
        (r#""headers": {"content-TYPE": "hunter2"}"#, "is set by HTTP"),
        (r#""headers": {"a b": "hunter2"}"#, "is no header's name"),
        (r#""headers": {"X-A": "hunter2", "x-a": "hunter2"}"#, "is given twice"),
        (r#""headers": {"X-A": "hunter2\u0000"}"#, "control character"),
        (r#""headers": {"X-A": 12345678}"#, "expected a string, got a number"),
        (r#""headers": {"X-A": {"fil": "x"}}"#, "did you mean \"file\"?"),
        (r#""headers": "X-A: hunter2""#, "headers: expected an object, got a string"),
        (r#""oauth2": {"client_id": "c", "client_secret": "hunter2"}"#, "shipper.oauth2.token_url: required"),
        (r#""oauth2": {"token_url": "https://c:hunter2@h/", "client_id": "c", "client_secret": "s"}"#, "user info"),
        (r#""oauth2": {"token_url": "https://h/", "client_id": "c"}"#, "has no client_secret"),
        (
            r#""oauth2": {"token_url": "https://h/", "client_id": "c", "client_secret": "s", "scopes": ["a b"]}"#,
            "one scope",
        ),
        (r#""sigv4": {"region": "r", "secret_access_key": "hunter2"}"#, "shipper.sigv4.access_key_id: required"),
        (r#""sigv4": {"region": "a/b", "access_key_id": "A", "secret_access_key": "hunter2"}"#, "letters, digits"),
        (r#""proxy_url": "http://u:hunter2@p/path""#, "has a path"),
        (r#""proxy_url": "socks5://u:hunter2@p:1""#, "unknown scheme"),
    ] {
        let all = problems(&shipper(&format!(", {more}")));
        assert!(all.iter().any(|line| line.contains(why)), "{more}: {all:#?}");
        let text = all.join("\n");
        assert!(why == "a user without a colon" || !text.contains("hunter2"), "{text}");
        assert!(!text.contains("12345678"), "{text}");
    }
}

#[test]
fn the_way_goes_through_the_proxy_that_was_named_or_that_of_the_environment() {
    let to = |endpoint: &str, more: &str, env: &[(&str, &str)]| {
        let text = format!(r#"{{"shipper": {{"type": "http_json", "endpoint": "{endpoint}"{more}}}}}"#);
        http_of(&text, env).proxy.map(|url| url.as_str().to_owned())
    };
    let env = [("HTTPS_PROXY", "http://s:1"), ("http_proxy", "p:2"), ("NO_PROXY", "internal,10.0.0.0/8")];
    assert_eq!(to("https://h/", "", &env).as_deref(), Some("http://s:1"));
    assert_eq!(to("http://h/", "", &env).as_deref(), Some("http://p:2"));
    assert_eq!(to("http://a.internal/", "", &env), None);
    assert_eq!(to("http://10.9.9.9:80/", "", &env), None);
    assert_eq!(to("http://localhost:9090/", "", &env), None);
    assert_eq!(to("http://h/", r#", "proxy_url": """#, &env), None);
    assert_eq!(to("http://10.9.9.9/", r#", "proxy_url": "http://own:3""#, &env).as_deref(), Some("http://own:3"));
    // Small letters first.
    assert_eq!(
        to("http://h/", "", &[("HTTP_PROXY", "http://a"), ("http_proxy", "http://b")]).as_deref(),
        Some("http://b")
    );
    let bad = problems_with(&shipper(""), &[("HTTP_PROXY", "socks5://u:hunter2@p:1")]);
    assert_eq!(
        bad,
        [
            "HTTP_PROXY: shipper.proxy_url: its value has an unknown scheme; use http:// or https://; proxy_url \"\" goes \
          without a proxy"
        ]
    );
    // Whoever needs no proxy is not bothered by one.
    loaded_with(r#"{"shipper": {"type": "stdout"}}"#, &[("HTTP_PROXY", "socks5://p:1")]);
}

fn loaded_with(text: &str, env: &[(&str, &str)]) -> Config {
    load_with(text, env).unwrap_or_else(|problems| panic!("{text}\n{problems}"))
}

#[test]
fn a_secret_file_that_others_may_read_is_warned_of() {
    let path = std::env::temp_dir().join(format!("metricsd-open-{}", std::process::id()));
    fs::write(&path, "hunter2\n").unwrap();
    let text = shipper(&format!(r#", "headers": {{"X-Key": {{"file": {path:?}}}}}"#));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(loaded(&text).warnings, [""; 0]);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let warnings = loaded(&text).warnings;
    assert!(warnings[0].contains("every user of this machine may read this file; chmod o-r it"), "{warnings:?}");
    fs::write(&path, "").unwrap();
    assert!(problem(&text).ends_with("is empty"), "{}", problem(&text));
    fs::remove_file(&path).unwrap();
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

#[test]
fn credentials_in_the_clear_are_warned_of() {
    let warnings = |endpoint: &str, more: &str| {
        let text = format!(r#"{{"shipper": {{"type": "http_json", "endpoint": "{endpoint}"{more}}}}}"#);
        loaded(&text).warnings
    };
    let said = "credentials pass over the network in the clear; write https://";
    let basic = r#", "basic_auth": {"username": "u", "password": "hunter2"}"#;
    let oauth2 =
        |url: &str| format!(r#", "oauth2": {{"token_url": "{url}", "client_id": "c", "client_secret": "hunter2"}}"#);
    for (endpoint, more, fields) in [
        ("http://h/", "", &[][..]),
        ("http://h/", basic, &["shipper.endpoint"]),
        ("http://u:hunter2@h/", "", &["shipper.endpoint"]),
        ("http://h/", r#", "bearer_token": "hunter2""#, &["shipper.endpoint"]),
        ("http://h/", r#", "headers": {"authorization": "Key hunter2"}"#, &["shipper.endpoint"]),
        ("http://h/", r#", "headers": {"X-Scope-OrgID": "team"}"#, &[]),
        ("https://h/", basic, &[]),
        ("http://127.0.0.1:9090/", basic, &[]),
        ("http://[::1]/", basic, &[]),
        ("http://localhost/", basic, &[]),
        ("https://h/", &oauth2("http://idp/t"), &["shipper.oauth2.token_url"]),
        ("https://h/", &oauth2("https://idp/t"), &[]),
        ("http://h/", &oauth2("http://idp/t"), &["shipper.endpoint", "shipper.oauth2.token_url"]),
        ("http://h/", r#", "sigv4": {"region": "r", "access_key_id": "A", "secret_access_key": "hunter2"}"#, &[]),
    ] {
        let warnings = warnings(endpoint, more);
        assert_eq!(warnings.len(), fields.len(), "{warnings:?}");
        for (warning, field) in warnings.iter().zip(fields) {
            assert!(warning.ends_with(&format!(": {field}: {said}")), "{warning}");
        }
    }
}
