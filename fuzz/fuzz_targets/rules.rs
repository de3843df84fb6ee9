//! Rules and a series that they are applied to. The first line is the series, each other one a
//! rule: as JSON where it begins with a brace, else the fields of a `relabel`, with tabs between.

#![no_main]

use libfuzzer_sys::fuzz_target;
use metricsd::config::{self, Source};
use metricsd::shaping::{Outcome, Rules, Series, Step};
use serde_json::{Map, Value, json};

/// The order of a relabelling's fields on a line; one that is empty is not given.
const FIELDS: [&str; 7] = ["action", "source_labels", "separator", "regex", "target_label", "replacement", "modulus"];

/// More of them find nothing that these don't.
const MAX_RULES: usize = 8;

fn rule(line: &str) -> String {
    if line.starts_with('{') {
        return line.to_owned();
    }
    let mut fields = Map::new();
    for (name, text) in FIELDS.iter().zip(line.split('\t')).filter(|(_, text)| !text.is_empty()) {
        let value = match *name {
            "source_labels" => text.split(',').collect(),
            "modulus" => text.parse().map_or(Value::Null, |modulus: u64| json!(modulus)),
            _ => json!(text),
        };
        fields.insert((*name).to_owned(), value);
    }
    json!({"relabel": fields}).to_string()
}

/// The rules that a configuration has which says these.
fn rules(list: &str) -> Option<Rules> {
    let text = format!(r#"{{"shippers": [{{"type": "file", "endpoint": "/f", "transforms": [{list}]}}]}}"#);
    match config::load(Source::Text("fuzz.json".to_owned(), text.into_bytes()), &|_| None, "host") {
        Ok(config) => Some(config.lanes[0].rules.clone()),
        Err(problems) => {
            assert!(!problems.to_string().is_empty());
            None
        }
    }
}

fn assert_whole(series: &Series) {
    let labels: Vec<_> = series.labels().collect();
    assert!(labels.is_sorted_by(|(a, _), (b, _)| a < b), "{labels:?}");
    assert!(labels.iter().all(|(name, value)| !name.is_empty() && !value.is_empty() && *name != "__name__"));
    assert!(labels.iter().all(|(name, value)| series.get(name) == *value));
}

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut lines = text.lines();
    let Ok(given) = Series::parse(lines.next().unwrap_or_default()) else { return };
    assert_whole(&given);
    assert_eq!(Series::parse(&given.to_string()).unwrap().to_string(), given.to_string());
    let list: Vec<String> = lines.take(MAX_RULES).map(rule).collect();
    let Some(rules) = rules(&list.join(",")) else { return };
    let mut series = given.clone();
    let mut steps = 0;
    let outcome = rules.apply_each(0, &mut series, |at, _, step, now| {
        assert_eq!(at, steps);
        assert!(step == Step::Dropped || !now.factor().is_nan());
        assert_whole(now);
        steps += 1;
    });
    match outcome {
        Outcome::Kept { changed_by } => {
            assert_eq!(steps, rules.len());
            assert!(!series.name().is_empty() && changed_by.is_none_or(|by| by < steps));
            assert!(changed_by.is_some() || series.to_string() == given.to_string());
        }
        Outcome::Dropped(by) | Outcome::Taken(by) => assert!(by < steps),
    }
    // As they are said they mean the same; but for `${`, which in a configuration is its own affair.
    let said: Vec<String> = rules.iter().map(ToString::to_string).collect();
    if said.iter().any(|rule| rule.contains("${")) {
        return;
    }
    let again = self::rules(&said.join(",")).expect("what is said of rules is rules");
    assert_eq!(again.iter().map(ToString::to_string).collect::<Vec<_>>(), said);
    let mut once_more = given.clone();
    assert_eq!(again.apply(&mut once_more), outcome);
    assert_eq!(once_more.to_string(), series.to_string());
});
