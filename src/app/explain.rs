//! `-explain`: what the rules of its endpoint and of each destination do to one series, and what leaves.

use std::fmt::Write as _;

use crate::config::Config;
use crate::lane::Settings;
use crate::model::{Labels, Signal};
use crate::scrape;
use crate::shaping::{Outcome, Rules, Series, Step};

/// In words, for each destination. `series` is what it would be sent without rules, but for the
/// labels of the configuration, by its own naming. Where its labels are those of an endpoint, that
/// one's rules come first, and each series that comes of them is followed.
pub fn explain(config: &Config, series: &Series) -> String {
    let mut text = String::new();
    let of = config.endpoints.iter().position(|one| !one.transforms.is_empty() && gives(one, series));
    let given = match of.and_then(|at| Some((at, config.endpoints.get(at)?))) {
        Some((at, endpoint)) => explain_endpoint(at, endpoint, series, &mut text),
        None => vec![series.clone()],
    };
    if given.is_empty() {
        return text;
    }
    if config.lanes.is_empty() {
        text.push_str("there are no destinations, and so no rules\n");
    }
    for one in &given {
        let of_metrics = config.lanes.iter().filter(|lane| lane.signal == Signal::Metrics);
        of_metrics.for_each(|lane| explain_lane(lane, one, given.len() > 1, &mut text));
    }
    text
}

/// Whether `series` has the labels that `endpoint` gives to its page's series: those of text, or of a
/// JSON object.
fn gives(endpoint: &scrape::Settings, series: &Series) -> bool {
    let is_own = scrape::is_of_scrape(series.name());
    let is_text = series.get("job") == &*endpoint.job && series.get("instance") == &*endpoint.instance;
    !is_own && (is_text || series.get("endpoint") == &*endpoint.name)
}

/// What the rules of the endpoint at the place `at` do, and what comes of them.
fn explain_endpoint(at: usize, endpoint: &scrape::Settings, series: &Series, text: &mut String) -> Vec<Series> {
    // Writing to a String does not fail.
    let _ = writeln!(text, "endpoint {}", endpoint.name);
    let place = |rule: usize| format!("endpoints[{at}].transforms[{rule}]");
    let is_json = series.get("job") != &*endpoint.job || series.get("instance") != &*endpoint.instance;
    let of_gathered = scrape::distinct_labels(endpoint, is_json);
    let rules = List { rules: &endpoint.transforms, place: &place, gives: "gives", of_gathered };
    let mut given = Vec::new();
    rules.explain(0, series.clone(), "  ", text, &mut given);
    given
}

fn explain_lane(lane: &Settings, given: &Series, is_of_several: bool, text: &mut String) {
    // Writing to a String does not fail.
    let naming = lane.naming.as_str();
    let of = if is_of_several { format!(", {given}") } else { String::new() };
    let _ = writeln!(text, "destination {} ({}, naming {naming}){of}", lane.name, lane.kind.as_str());
    let mut series = given.clone();
    for (label, value) in lane.labels.iter().filter(|(label, _)| given.get(label).is_empty()) {
        series.set(label, value);
    }
    let _ = writeln!(text, "  with its labels: {series}");
    let place = |rule: usize| lane.rule_places[rule].clone();
    let rules = List { rules: &lane.rules, place: &place, gives: "leaves", of_gathered: Labels::EMPTY };
    rules.explain(0, series, "  ", text, &mut Vec::new());
}

/// Rules, where each stands in the configuration, and the word for what comes of them.
struct List<'l> {
    rules: &'l Rules,
    place: &'l dyn Fn(usize) -> String,
    gives: &'static str,
    /// What is gathered gets these labels in the end, where it has none of these names.
    of_gathered: Labels,
}

impl List<'_> {
    /// What the rules from `first` on do, and what comes of them; then the same for the series that it is gathered
    /// into. What there is in the end is added to `given`.
    fn explain(&self, first: usize, mut series: Series, indent: &str, text: &mut String, given: &mut Vec<Series>) {
        let (place, gives) = (self.place, self.gives);
        let mut gathered = Vec::new();
        let outcome = self.rules.apply_each(first, &mut series, |at, rule, step, series| {
            let what = match (step, rule.fold()) {
                (Step::Fed | Step::Taken, Some(fold)) => {
                    let group = fold.group_of(series);
                    let what = format!("feeds {} {} as {group}", fold.word(), fold.function.as_str());
                    gathered.push((at + 1, group));
                    if step == Step::Fed { format!("{what}, and lets it pass") } else { what }
                }
                (Step::Dropped, _) => "drops it".to_owned(),
                (Step::Changed, _) => format!("makes it {}", in_words(series)),
                (Step::Limited, _) => "lets it pass if there is room".to_owned(),
                _ => "does nothing".to_owned(),
            };
            // Writing to a String does not fail.
            let _ = writeln!(text, "{indent}{} {rule}: {what}", place(at));
        });
        if first > 0 {
            let missing = self.of_gathered.iter().filter(|(name, _)| series.get(name).is_empty());
            missing.collect::<Vec<_>>().into_iter().for_each(|(name, value)| series.set(name, value));
        }
        let _ = match outcome {
            Outcome::Kept { .. } => writeln!(text, "{indent}{gives}: {}", in_words(&series)),
            Outcome::Dropped(at) if series.name().is_empty() => {
                writeln!(text, "{indent}{gives}: nothing, since {} took its name", place(at))
            }
            Outcome::Dropped(_) => writeln!(text, "{indent}{gives}: nothing"),
            Outcome::Taken(_) => writeln!(text, "{indent}{gives}: nothing of itself"),
        };
        if matches!(outcome, Outcome::Kept { .. }) {
            given.push(series);
        }
        for (behind, group) in gathered {
            let _ = writeln!(text, "{indent}{group}:");
            self.explain(behind, group, &format!("{indent}  "), text, given);
        }
    }
}

fn in_words(series: &Series) -> String {
    match series.factor() {
        1.0 => series.to_string(),
        factor => format!("{series}, its numbers times {factor}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, load};

    #[test]
    fn each_rule_of_each_destination_says_what_it_does() {
        let text = r#"{
            "labels": {"site": "a"},
            "transforms": [{"drop": {"name": "b_.*"}}, {"rename": {"name": "(.*)_ms", "to": "${1}_seconds"}}],
            "shippers": [
                {"name": "one", "type": "http_json", "endpoint": "http://h/",
                 "transforms": [{"scale": {"match": {"name": ".*_seconds"}, "factor": 0.001}}]},
                {"name": "other", "type": "stdout", "labels": {"site": ""},
                 "transforms": [{"relabel": {"action": "labeldrop", "regex": "__name__"}}]}
            ]}"#;
        let config = load(Source::Text("c.json".to_owned(), text.into()), &|_| None, "h").unwrap();
        assert_eq!(
            explain(&config, &Series::parse(r#"wait_ms{site="b"}"#).unwrap()),
            r#"destination one (http_json, naming native)
  with its labels: wait_ms{site="b"}
  transforms[0] {"drop":{"name":"b_.*"}}: does nothing
  transforms[1] {"rename":{"name":"(.*)_ms","to":"${1}_seconds"}}: makes it wait_seconds{site="b"}
  shippers[0].transforms[0] {"scale":{"factor":0.001,"match":{"name":".*_seconds"}}}: makes it wait_seconds{site="b"}, its numbers times 0.001
  leaves: wait_seconds{site="b"}, its numbers times 0.001
destination other (stdout, naming native)
  with its labels: wait_ms{site="b"}
  transforms[0] {"drop":{"name":"b_.*"}}: does nothing
  transforms[1] {"rename":{"name":"(.*)_ms","to":"${1}_seconds"}}: makes it wait_seconds{site="b"}
  shippers[1].transforms[0] {"relabel":{"action":"labeldrop","regex":"__name__"}}: makes it {site="b"}
  leaves: nothing, since shippers[1].transforms[0] took its name
"#
        );
        assert_eq!(
            explain(&config, &Series::parse("b_x").unwrap()).lines().take(4).collect::<Vec<_>>(),
            [
                "destination one (http_json, naming native)",
                "  with its labels: b_x{site=\"a\"}",
                "  transforms[0] {\"drop\":{\"name\":\"b_.*\"}}: drops it",
                "  leaves: nothing",
            ]
        );
    }

    #[test]
    fn the_rules_of_its_endpoint_come_first() {
        let text = r#"{
            "endpoints": [
                {"name": "none", "url": "http://h:1/", "transforms": []},
                {"name": "app", "job": "shop", "url": "http://h:2/", "transforms": [
                    {"drop": {"name": "go_.*"}}, {"drop_labels": ["pod"]}]}],
            "shippers": [{"name": "one", "type": "stdout", "transforms": [{"keep": {"labels": {"pod": ""}}}]}]}"#;
        let config = load(Source::Text("c.json".to_owned(), text.into()), &|_| None, "h").unwrap();
        let lines = |series: &str| -> Vec<String> {
            explain(&config, &Series::parse(series).unwrap()).lines().map(str::to_owned).collect()
        };
        let all = lines(r#"a{job="shop",instance="h:2",pod="x"}"#);
        assert_eq!(all[0], "endpoint app");
        assert_eq!(all[1], r#"  endpoints[1].transforms[0] {"drop":{"name":"go_.*"}}: does nothing"#);
        assert_eq!(
            all[2],
            r#"  endpoints[1].transforms[1] {"drop_labels":["pod"]}: makes it a{instance="h:2",job="shop"}"#
        );
        assert_eq!(all[3], r#"  gives: a{instance="h:2",job="shop"}"#);
        assert_eq!(all.last().unwrap(), r#"  leaves: a{instance="h:2",job="shop"}"#);
        let dropped = lines(r#"go_x{job="shop",instance="h:2"}"#);
        assert_eq!(dropped.last().unwrap(), "  gives: nothing");
        assert_eq!(dropped.len(), 3);
        assert_eq!(lines(r#"app_x{endpoint="app",pod="x"}"#)[0], "endpoint app");
        for other in [r#"a{job="shop",instance="h:1"}"#, r#"up{job="shop",instance="h:2"}"#, "a"] {
            assert_eq!(lines(other)[0], "destination one (stdout, naming native)", "{other}");
        }
    }

    #[test]
    fn what_an_endpoint_gathers_is_followed_to_each_destination() {
        let text = r#"{
            "endpoints": [{"name": "app", "url": "http://h:2/", "transforms": [
                {"aggregate": {"match": {"name": "hits"}, "function": "sum", "by": ["job"], "name": "all", "keep_input": true}},
                {"limit": {"series": 5}}, {"rename": {"name": "all", "to": "all_hits"}}]}],
            "shippers": [{"name": "one", "type": "stdout", "transforms": [{"drop": {"name": "hits"}}]}]}"#;
        let config = load(Source::Text("c.json".to_owned(), text.into()), &|_| None, "h").unwrap();
        assert_eq!(
            explain(&config, &Series::parse(r#"hits{job="app",instance="h:2"}"#).unwrap()),
            r#"endpoint app
  endpoints[0].transforms[0] {"aggregate":{"by":["job"],"function":"sum","keep_input":true,"match":{"name":"hits"},"name":"all","window":"1m"}}: feeds aggregate sum as all{job="app"}, and lets it pass
  endpoints[0].transforms[1] {"limit":{"series":5}}: lets it pass if there is room
  endpoints[0].transforms[2] {"rename":{"name":"all","to":"all_hits"}}: does nothing
  gives: hits{instance="h:2",job="app"}
  all{job="app"}:
    endpoints[0].transforms[1] {"limit":{"series":5}}: lets it pass if there is room
    endpoints[0].transforms[2] {"rename":{"name":"all","to":"all_hits"}}: makes it all_hits{job="app"}
    gives: all_hits{instance="h:2",job="app"}
destination one (stdout, naming native), hits{instance="h:2",job="app"}
  with its labels: hits{instance="h:2",job="app"}
  shippers[0].transforms[0] {"drop":{"name":"hits"}}: drops it
  leaves: nothing
destination one (stdout, naming native), all_hits{instance="h:2",job="app"}
  with its labels: all_hits{instance="h:2",job="app"}
  shippers[0].transforms[0] {"drop":{"name":"hits"}}: does nothing
  leaves: all_hits{instance="h:2",job="app"}
"#
        );
    }

    #[test]
    fn what_is_gathered_is_followed() {
        let text = r#"{
            "shippers": [{"name": "one", "type": "stdout", "labels": {"site": "a"}, "transforms": [
                {"aggregate": {"match": {"name": "hits"}, "function": "sum", "by": ["zone"], "name": "all", "keep_input": true}},
                {"limit": {"series": 5}},
                {"downsample": {"every": "5m"}},
                {"drop": {"name": "hits"}}]}]}"#;
        let config = load(Source::Text("c.json".to_owned(), text.into()), &|_| None, "h").unwrap();
        assert_eq!(
            explain(&config, &Series::parse(r#"hits{zone="b"}"#).unwrap()),
            r#"destination one (stdout, naming native)
  with its labels: hits{site="a",zone="b"}
  shippers[0].transforms[0] {"aggregate":{"by":["zone"],"function":"sum","keep_input":true,"match":{"name":"hits"},"name":"all","window":"1m"}}: feeds aggregate sum as all{zone="b"}, and lets it pass
  shippers[0].transforms[1] {"limit":{"series":5}}: lets it pass if there is room
  shippers[0].transforms[2] {"downsample":{"every":"5m","function":"last"}}: feeds downsample last as hits{site="a",zone="b"}
  leaves: nothing of itself
  all{zone="b"}:
    shippers[0].transforms[1] {"limit":{"series":5}}: lets it pass if there is room
    shippers[0].transforms[2] {"downsample":{"every":"5m","function":"last"}}: feeds downsample last as all{zone="b"}
    leaves: nothing of itself
    all{zone="b"}:
      shippers[0].transforms[3] {"drop":{"name":"hits"}}: does nothing
      leaves: all{zone="b"}
  hits{site="a",zone="b"}:
    shippers[0].transforms[3] {"drop":{"name":"hits"}}: drops it
    leaves: nothing
"#
        );
    }
}
