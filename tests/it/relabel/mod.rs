//! Prometheus' relabelling, rule by rule, by the table that `make e2e` asks Prometheus for.

pub mod table;

use std::collections::BTreeSet;

use metricsd::config::{self, Config, Problems, Source};
use metricsd::shaping::{Outcome, Series};

use self::table::{BEFORE_3, REFUSED, Row, SINCE_3, TABLE};

fn rows() -> impl Iterator<Item = &'static Row> {
    TABLE.iter().chain(BEFORE_3).chain(SINCE_3)
}

fn load(rule: &str) -> Result<Config, Problems> {
    let endpoint = format!(r#"{{"name": "a", "url": "http://h/", "transforms": [{{"relabel": {rule}}}]}}"#);
    let text = format!(r#"{{"endpoints": [{endpoint}]}}"#);
    config::load(Source::Text("c.json".to_owned(), text.into_bytes()), &|_| None, "host1")
}

/// What ours leaves of a series.
fn left(rule: &str, given: &str) -> Option<String> {
    let config = load(rule).unwrap_or_else(|problems| panic!("{rule}\n{problems}"));
    let mut series = Series::parse(given).unwrap_or_else(|why| panic!("{given}: {why}"));
    let outcome = config.endpoints[0].transforms.apply(&mut series);
    matches!(outcome, Outcome::Kept { .. }).then(|| series.to_string())
}

#[test]
fn each_rule_leaves_what_prometheus_leaves() {
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for (rule, given, expected) in rows() {
        let left = left(rule, given);
        if left.as_deref() != *expected {
            wrong.push(format!("{rule}\n  of {given}\n  leaves {left:?}\n  and not {expected:?}"));
        }
        assert!(expected.is_none_or(|expected| seen.insert(expected)), "two rows leave {expected:?}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(rows().count() >= 100);
}

#[test]
fn what_prometheus_refuses_is_refused() {
    for rule in REFUSED {
        assert!(load(rule).is_err(), "{rule}");
    }
}
