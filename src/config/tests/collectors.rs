//! Collectors: switches, presets, patterns.

use std::time::Duration;

use super::*;
use crate::collectors;
use crate::collectors::filesystem::FilesystemSettings;
use crate::collectors::network::Interfaces;
use crate::model::Labels;

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
