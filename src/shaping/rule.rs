//! What one rule does to a series.

use std::fmt;

use serde_json::{Map, Value, json};

use super::fold::Fold;
use super::matching::Match;
use super::md5::md5_tail;
use super::pattern::Pattern;
use super::relabel::Relabel;
use super::series::{NAME, Series};
use super::template::Template;

/// A rule.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// Drops all others.
    Keep(Match),
    /// Drops these.
    Drop(Match),
    /// Gives those whose name matches another one.
    Rename {
        /// Their name.
        name: Pattern,
        /// The other one.
        to: Template,
    },
    /// Prometheus' relabelling.
    Relabel(Box<Relabel>),
    /// Sets labels; an empty value takes one away.
    AddLabels(Vec<(String, String)>),
    /// Takes labels away whose names match.
    DropLabels(Vec<Pattern>),
    /// Multiplies the numbers of these.
    Scale {
        /// Which.
        of: Match,
        /// With what.
        factor: f64,
    },
    /// Drops all but a share of these.
    Sample {
        /// Which.
        of: Match,
        /// The share that stays, 0 to 1.
        fraction: f64,
    },
    /// Gathers the numbers of series over windows of time.
    Fold(Box<Fold>),
    /// Drops the series that are too many.
    Limit(Limit),
}

/// How many series there may be; none: any number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// In all.
    pub series: Option<u64>,
    /// Of each name.
    pub per_name: Option<u64>,
}

/// What a rule does with a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// It stays; it may be another one now.
    Leaves,
    /// It is gone.
    Drops,
    /// Its numbers are gathered, and it stays.
    Feeds,
    /// Its numbers are gathered, and it is gone.
    Takes,
    /// It stays if there is room for it, which is known of all series together.
    Limits,
}

impl From<bool> for Does {
    fn from(stays: bool) -> Does {
        if stays { Does::Leaves } else { Does::Drops }
    }
}

impl Rule {
    /// What it does with `series`; if that stays it may be another one.
    pub fn apply(&self, series: &mut Series) -> Does {
        match self {
            Rule::Keep(which) => return which.is(series).into(),
            Rule::Drop(which) => return (!which.is(series)).into(),
            Rule::Relabel(relabel) => return relabel.apply(series).into(),
            Rule::Sample { of, fraction } => return (!of.is(series) || share(series) < *fraction).into(),
            // A series without a name is gone in the end.
            Rule::Fold(fold) if !series.name().is_empty() && fold.of.is(series) => {
                return if fold.keep_input { Does::Feeds } else { Does::Takes };
            }
            Rule::Fold(_) => {}
            Rule::Limit(_) => return Does::Limits,
            Rule::Rename { name, to } => {
                let mut renamed = String::new();
                if let Some(found) = name.find(series.name()) {
                    to.expand(&found, &mut renamed);
                }
                if !renamed.is_empty() {
                    series.set(NAME, &renamed);
                }
            }
            Rule::AddLabels(labels) => labels.iter().for_each(|(name, value)| series.set(name, value)),
            Rule::DropLabels(patterns) => {
                series.retain_labels(|name| !patterns.iter().any(|pattern| pattern.is_match(name)));
            }
            Rule::Scale { of, factor } => {
                if of.is(series) {
                    series.scale(*factor);
                }
            }
        }
        Does::Leaves
    }

    /// What it gathers and how, where it does.
    pub fn fold(&self) -> Option<&Fold> {
        match self {
            Rule::Fold(fold) => Some(fold),
            _ => None,
        }
    }

    /// Whether what it does depends on other series, or on what was before: the word for such a rule.
    pub fn stateful(&self) -> Option<&'static str> {
        match self {
            Rule::Fold(fold) => Some(fold.word()),
            Rule::Limit(_) => Some("limit"),
            _ => None,
        }
    }

    /// Whether it can leave two series alike that were not.
    pub fn may_make_alike(&self) -> bool {
        use super::relabel::Action;
        match self {
            Rule::Rename { .. } | Rule::AddLabels(_) | Rule::DropLabels(_) | Rule::Fold(_) => true,
            Rule::Relabel(relabel) => {
                !matches!(relabel.action, Action::Keep | Action::Drop | Action::KeepEqual | Action::DropEqual)
            }
            Rule::Keep(_) | Rule::Drop(_) | Rule::Scale { .. } | Rule::Sample { .. } | Rule::Limit(_) => false,
        }
    }

    fn to_json(&self) -> Value {
        let labels = |labels: &[(String, String)]| -> Value {
            Value::Object(labels.iter().map(|(name, value)| (name.clone(), json!(value))).collect())
        };
        match self {
            Rule::Keep(which) => json!({"keep": which.to_json()}),
            Rule::Drop(which) => json!({"drop": which.to_json()}),
            Rule::Rename { name, to } => json!({"rename": {"name": name.text(), "to": to.text()}}),
            Rule::Relabel(relabel) => json!({"relabel": relabel.to_json()}),
            Rule::AddLabels(own) => json!({"add_labels": labels(own)}),
            Rule::DropLabels(patterns) => {
                json!({"drop_labels": patterns.iter().map(Pattern::text).collect::<Vec<_>>()})
            }
            Rule::Scale { of, factor } => json!({"scale": {"match": of.to_json(), "factor": factor}}),
            Rule::Sample { of, fraction } => json!({"sample": {"match": of.to_json(), "fraction": fraction}}),
            Rule::Fold(fold) => fold.to_json(),
            Rule::Limit(Limit { series, per_name }) => {
                let given = [("series", series), ("per_name", per_name)];
                let given = given.into_iter().filter_map(|(name, most)| Some((name.to_owned(), json!((*most)?))));
                json!({"limit": given.collect::<Map<_, _>>()})
            }
        }
    }
}

/// As JSON, what is at its default left out.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_json().fmt(f)
    }
}

/// A number from 0 to 1 that is a series' own, whatever the others are, and the same after a
/// restart, on every host and in every version.
fn share(series: &Series) -> f64 {
    let mut text = series.name().to_owned();
    for (name, value) in series.labels() {
        // No text holds this byte's character by accident of two others.
        text.extend(["\0", name, "\0", value]);
    }
    // As many bits as a fraction of a double has.
    (md5_tail(text.as_bytes()) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str, labels: &[(&str, &str)]) -> Series {
        let mut series = Series::default();
        series.begin(name);
        labels.iter().for_each(|(name, value)| series.set(name, value));
        series
    }

    fn matching(name: Option<&str>, labels: &[(&str, &str)]) -> Match {
        let pattern = |text: &str| Pattern::new(text).unwrap();
        Match {
            name: name.map(pattern),
            labels: labels.iter().map(|(name, text)| ((*name).to_owned(), pattern(text))).collect(),
        }
    }

    #[test]
    fn a_match_is_for_name_and_all_labels_and_a_label_that_is_missing_is_empty() {
        let up = series("up", &[("job", "web"), ("zone", "b")]);
        for (name, labels, is) in [
            (None, &[][..], true),
            (Some("up"), &[], true),
            (Some("u"), &[], false),
            (None, &[("job", "web|db")], true),
            (None, &[("job", "we")], false),
            (Some("up"), &[("job", "web"), ("zone", "a")], false),
            (None, &[("env", "")], true),
            (None, &[("env", ".+")], false),
            (None, &[("__name__", "up")], true),
        ] {
            assert_eq!(matching(name, labels).is(&up), is, "{name:?} {labels:?}");
        }
    }

    #[test]
    fn each_rule_of_ours_does_what_it_says() {
        let pattern = |text: &str| Pattern::new(text).unwrap();
        let rename = |name, to| Rule::Rename { name: pattern(name), to: Template::new(to) };
        let text = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let scale = |name, factor| Rule::Scale { of: matching(Some(name), &[]), factor };
        for (rule, expected) in [
            (Rule::Keep(matching(Some("a_.*"), &[])), Some("a_total{job=web,zone=b} x1")),
            (Rule::Keep(matching(Some("b"), &[])), None),
            (Rule::Drop(matching(None, &[("zone", "b")])), None),
            (Rule::Drop(matching(None, &[("zone", "c")])), Some("a_total{job=web,zone=b} x1")),
            (rename("(.*)_total", "${1}_count"), Some("a_count{job=web,zone=b} x1")),
            (rename("x", "y"), Some("a_total{job=web,zone=b} x1")),
            (rename("(.*)", "$2"), Some("a_total{job=web,zone=b} x1")),
            (Rule::AddLabels(text(&[("job", "db"), ("new", "1"), ("zone", "")])), Some("a_total{job=db,new=1} x1")),
            (Rule::DropLabels(vec![pattern("x"), pattern("zo.*")]), Some("a_total{job=web} x1")),
            (Rule::DropLabels(vec![pattern(".*")]), Some("a_total{} x1")),
            (scale("a_total", 0.001), Some("a_total{job=web,zone=b} x0.001")),
            (scale("a", 0.001), Some("a_total{job=web,zone=b} x1")),
            (Rule::Sample { of: matching(None, &[]), fraction: 0.0 }, None),
            (Rule::Sample { of: matching(None, &[]), fraction: 1.0 }, Some("a_total{job=web,zone=b} x1")),
            (Rule::Sample { of: matching(Some("b"), &[]), fraction: 0.0 }, Some("a_total{job=web,zone=b} x1")),
        ] {
            let mut one = series("a_total", &[("job", "web"), ("zone", "b")]);
            let stays = rule.apply(&mut one) == Does::Leaves;
            let labels: Vec<String> = one.labels().map(|(name, value)| format!("{name}={value}")).collect();
            let left = stays.then(|| format!("{}{{{}}} x{}", one.name(), labels.join(","), one.factor()));
            assert_eq!(left.as_deref(), expected, "{rule}");
        }
    }

    #[test]
    fn a_sample_is_a_share_of_series_and_always_the_same_one() {
        let sample = |fraction| Rule::Sample { of: Match::default(), fraction };
        let kept = |fraction| -> Vec<usize> {
            let is_kept =
                |at: &usize| sample(fraction).apply(&mut series("up", &[("at", &at.to_string())])) == Does::Leaves;
            (0..10_000).filter(|at| is_kept(at)).collect()
        };
        let (few, more) = (kept(0.1), kept(0.2));
        // Four standard deviations of so many draws.
        assert!((880..=1120).contains(&few.len()), "{}", few.len());
        assert!((1840..=2160).contains(&more.len()), "{}", more.len());
        assert!(few.iter().all(|at| more.contains(at)), "a larger share holds the smaller one");
        // md5("up\0job\0web") ends in 2b01230bdff647fb; of these 64 bits the upper 53 are a fraction.
        assert_eq!(share(&series("up", &[("job", "web")])), 0.1679860977164589);
    }

    #[test]
    fn a_rule_is_said_as_it_would_be_written() {
        let name = Pattern::new("a|b").unwrap();
        let rule = Rule::Scale { of: matching(Some("a|b"), &[("zone", "c")]), factor: 0.5 };
        assert_eq!(rule.to_string(), r#"{"scale":{"factor":0.5,"match":{"labels":{"zone":"c"},"name":"a|b"}}}"#);
        let rule = Rule::Rename { name, to: Template::new("$1") };
        assert_eq!(rule.to_string(), r#"{"rename":{"name":"a|b","to":"$1"}}"#);
    }
}
