//! Rules that depend on other series or on what was before: what is taken and what is refused.

use super::*;

/// What is said of a rule, without the file's name and the place in it.
fn said(rule: &str) -> Vec<String> {
    let all = problems(&format!(r#"{{"transforms": [{rule}]}}"#));
    all.iter().map(|line| line.splitn(4, ':').nth(3).unwrap().trim().to_owned()).collect()
}

#[test]
fn rules_with_state_are_said_as_they_mean() {
    let text = r#"{"shipper": {"type": "stdout", "transforms": [
        {"aggregate": {"match": {"name": "a_.*"}, "function": "p95", "by": ["zone"], "name": "a"}},
        {"aggregate": {"function": "sum", "without": [], "window": "90s", "name": "b", "keep_input": true}},
        {"downsample": {"match": {"labels": {"job": "x"}}}}, {"downsample": {"every": "5m", "function": "avg"}},
        {"limit": {"series": 10}}, {"limit": {"series": 10, "per_name": 5}}]}}"#;
    let rules: Vec<String> = loaded(text).lanes[0].rules.iter().map(ToString::to_string).collect();
    let expected = [
        r#"{"aggregate":{"by":["zone"],"function":"p95","match":{"name":"a_.*"},"name":"a","window":"1m"}}"#,
        r#"{"aggregate":{"function":"sum","keep_input":true,"name":"b","window":"1m30s","without":[]}}"#,
        r#"{"downsample":{"every":"1m","function":"last","match":{"labels":{"job":"x"}}}}"#,
        r#"{"downsample":{"every":"5m","function":"avg"}}"#,
        r#"{"limit":{"series":10}}"#,
        r#"{"limit":{"per_name":5,"series":10}}"#,
    ];
    assert_eq!(rules, expected);
}

#[test]
fn what_is_wrong_with_them_is_said_with_its_place() {
    for (rule, expected) in [
        (r#"{"aggregate": {"function": "sum"}}"#, "transforms[0].aggregate.name: required"),
        (r#"{"aggregate": {"name": "a"}}"#, "transforms[0].aggregate.function: required"),
        (
            r#"{"aggregate": {"name": "a", "function": "sum", "by": ["x"], "without": ["y"]}}"#,
            "transforms[0].aggregate.without: by is given as well; give one of the two",
        ),
        (
            r#"{"aggregate": {"name": "a", "function": "sum", "by": ["x-y"]}}"#,
            "transforms[0].aggregate.by[0]: expected a label's name (letters, digits and _, no digit first), got \"x-y\"",
        ),
        (
            r#"{"aggregate": {"name": "a", "function": "sum", "window": "10ms"}}"#,
            "transforms[0].aggregate.window: expected a duration from 1s to 24h, got \"10ms\"",
        ),
        (r#"{"aggregate": {"name": "a", "function": "mean"}}"#, "transforms[0].aggregate.function: expected"),
        (
            r#"{"aggregate": {"name": "0bad", "function": "sum"}}"#,
            "transforms[0].aggregate.name: expected a metric's name (letters, digits, _, : and ., no digit or . first), got \"0bad\"",
        ),
        (r#"{"aggregate": {"name": "a\nb", "function": "sum"}}"#, "transforms[0].aggregate.name: expected a metric's"),
        (r#"{"downsample": {"function": "sum"}}"#, "transforms[0].downsample.function: expected"),
        (r#"{"limit": {}}"#, "transforms[0].limit: says neither series nor per_name"),
        (r#"{"limit": {"series": 0}}"#, "transforms[0].limit: says neither series nor per_name"),
    ] {
        let all = said(rule);
        assert_eq!(all.len(), 1, "{rule}: {all:?}");
        assert!(all[0].starts_with(expected), "{rule}: {all:?}");
    }
}

#[test]
fn an_endpoint_has_the_same_rules() {
    let more = r#"{"drop": {"name": "x"}}, {"limit": {"series": 1}}, {"downsample": {}},
                  {"aggregate": {"function": "sum", "name": "a"}}"#;
    let text = format!(r#"{{"endpoints": [{{"name": "a", "url": "http://h/", "transforms": [{more}]}}]}}"#);
    let config = loaded(&text);
    assert_eq!(config.endpoints[0].transforms.len(), 4);
    let wrong = text.replace(r#"{"limit": {"series": 1}}"#, r#"{"limit": {}}"#);
    let all = problems(&wrong);
    assert!(all[0].contains("endpoints[0].transforms[1].limit: says neither series nor per_name"), "{all:?}");
    assert_eq!(all.len(), 1, "{all:?}");
    let taken = problems(&text.replace(r#""name": "a"}}"#, r#""name": "up"}}"#));
    assert!(
        taken[0].contains("endpoints[0].transforms[3].aggregate.name: \"up\" is what is said of the scrape"),
        "{taken:?}"
    );
}

#[test]
fn a_name_of_an_aggregate_is_as_the_schemes_have_them() {
    for name in ["a", "_a9", "job:http_requests:sum", "hw.temperature.max"] {
        let text = format!(r#"{{"transforms": [{{"aggregate": {{"name": "{name}", "function": "sum"}}}}]}}"#);
        assert_eq!(loaded(&text).warnings, [""; 0], "{name}");
    }
}

#[test]
fn a_window_that_is_shorter_than_the_endpoints_interval_is_warned_of() {
    let warnings = |interval: &str| {
        let rules = r#"{"drop": {"name": "x"}}, {"aggregate": {"function": "sum", "name": "a", "window": "30s"}},
            {"downsample": {"every": "10s"}}"#;
        let one = format!(r#"{{"name": "a", "url": "http://h/", "interval": "{interval}", "transforms": [{rules}]}}"#);
        loaded(&format!(r#"{{"endpoints": [{one}]}}"#)).warnings
    };
    let said = warnings("1m");
    assert_eq!(said.len(), 2, "{said:?}");
    let why = "is less than the endpoint's interval, 60s: each window has one scrape, or none";
    assert!(said[0].ends_with(&format!("endpoints[0].transforms[1].aggregate.window: 30s {why}")), "{said:?}");
    assert!(said[1].ends_with(&format!("endpoints[0].transforms[2].downsample.every: 10s {why}")), "{said:?}");
    assert_eq!(warnings("30s").len(), 1);
    assert_eq!(warnings("10s"), [""; 0]);
}

#[test]
fn rules_that_no_series_can_come_to_are_said() {
    let text = r#"{"endpoints": [{"name": "a", "url": "http://h/", "transforms": [
            {"keep": {"name": "up|hits"}}, {"scale": {"match": {"name": "hist"}, "factor": 2}}]}],
        "transforms": [{"drop": {"name": "a_.*"}}, {"keep": {"name": "node_.*"}}],
        "shipper": {"type": "stdout", "transforms": [{"drop": {"name": ".*"}}, {"limit": {"series": 1}}]}}"#;
    let warnings = loaded(text).warnings;
    let places = [
        "endpoints[0].transforms[1]: no series that comes so far has such a name; it does nothing",
        "shipper.transforms[1]: no series comes so far, since the rule at [0] leaves none",
    ];
    for place in places {
        assert!(warnings.iter().any(|line| line.contains(place)), "{warnings:?}");
    }
    assert_eq!(warnings.len(), 2, "{warnings:?}");
}
