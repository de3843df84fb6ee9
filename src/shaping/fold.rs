//! What `aggregate` and `downsample` say: which series are gathered, over which time, into what.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::matching::Match;
use super::series::Series;
use crate::model::Kind;

/// Gathers the numbers of series over windows of time, and gives one number for each window.
#[derive(Clone, Debug, PartialEq)]
pub struct Fold {
    /// Which series.
    pub of: Match,
    /// What is made of their numbers.
    pub function: Function,
    /// Which of them are gathered into one.
    pub grouping: Grouping,
    /// The length of a window.
    pub window: Duration,
    /// Whether the series go on besides.
    pub keep_input: bool,
}

/// What is made of the numbers of a window. `sum`, `count` and the quantiles are of the last number that each
/// series has in it, the others of all numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// The sum.
    Sum,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// The mean.
    Avg,
    /// How many series there are.
    Count,
    /// The one that came last.
    Last,
    /// A quantile, in percent.
    Quantile(u8),
    /// How much the series grew; one that is smaller than before began anew.
    Increase,
}

/// Which series are gathered into one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// Each by itself.
    Each,
    /// Those that have the same values of these labels.
    By(String, Vec<String>),
    /// Those that have the same values of all labels but these.
    Without(String, Vec<String>),
}

impl Grouping {
    /// What comes of it is called so; none: as it was.
    pub fn name(&self) -> Option<&str> {
        match self {
            Grouping::Each => None,
            Grouping::By(name, _) | Grouping::Without(name, _) => Some(name),
        }
    }
}

impl Function {
    /// All of them.
    pub const ALL: [Function; 11] = [
        Function::Sum,
        Function::Min,
        Function::Max,
        Function::Avg,
        Function::Count,
        Function::Last,
        Function::Quantile(50),
        Function::Quantile(90),
        Function::Quantile(95),
        Function::Quantile(99),
        Function::Increase,
    ];

    /// Their words, in the same order.
    pub const WORDS: [&str; 11] = ["sum", "min", "max", "avg", "count", "last", "p50", "p90", "p95", "p99", "increase"];

    /// How a configuration calls it.
    pub fn as_str(self) -> &'static str {
        let at = Function::ALL.iter().position(|one| *one == self);
        at.map_or("", |at| Function::WORDS[at])
    }
}

impl Fold {
    /// How `downsample` and `aggregate` are called where a configuration has them.
    pub fn word(&self) -> &'static str {
        match self.grouping {
            Grouping::Each => "downsample",
            Grouping::By(..) | Grouping::Without(..) => "aggregate",
        }
    }

    /// How the length of its windows is called there.
    pub fn window_field(&self) -> &'static str {
        match self.grouping {
            Grouping::Each => "every",
            Grouping::By(..) | Grouping::Without(..) => "window",
        }
    }

    /// What `series` is gathered into.
    pub fn group_of(&self, series: &Series) -> Series {
        let mut group = Series::default();
        match &self.grouping {
            Grouping::Each => {
                group.begin(series.name());
                series.labels().for_each(|(label, value)| group.set(label, value));
            }
            Grouping::By(name, labels) => {
                group.begin(name);
                labels.iter().for_each(|label| group.set(label, series.get(label)));
            }
            Grouping::Without(name, labels) => {
                group.begin(name);
                let left = series.labels().filter(|(label, _)| labels.iter().all(|other| other != label));
                left.for_each(|(label, value)| group.set(label, value));
            }
        }
        group
    }

    /// How the numbers behave that come of series of that kind.
    pub fn kind_of(&self, kind: Kind) -> Kind {
        use Function::{Avg, Count, Increase, Last, Max, Min, Quantile, Sum};
        match (&self.grouping, self.function) {
            // It is the same series, told less often.
            (Grouping::Each, _) => kind,
            (_, Count | Increase | Min | Max | Avg | Last | Quantile(_)) => Kind::Gauge,
            // It falls when a series ends or begins anew, and jumps when one comes back: neither is an increase.
            (_, Sum) => match kind {
                Kind::Counter | Kind::UpDown | Kind::Histogram => Kind::UpDown,
                Kind::Gauge | Kind::Untyped => kind,
                Kind::Summary => Kind::Untyped,
                Kind::Info | Kind::StateSet => Kind::Gauge,
            },
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let mut object = Map::new();
        if !self.of.is_all() {
            object.insert("match".to_owned(), self.of.to_json());
        }
        object.insert("function".to_owned(), json!(self.function.as_str()));
        match &self.grouping {
            Grouping::Each => {
                object.insert("every".to_owned(), json!(in_words(self.window)));
                return json!({"downsample": object});
            }
            Grouping::By(name, labels) => {
                if !labels.is_empty() {
                    object.insert("by".to_owned(), json!(labels));
                }
                object.insert("name".to_owned(), json!(name));
            }
            Grouping::Without(name, labels) => {
                object.insert("without".to_owned(), json!(labels));
                object.insert("name".to_owned(), json!(name));
            }
        }
        object.insert("window".to_owned(), json!(in_words(self.window)));
        if self.keep_input {
            object.insert("keep_input".to_owned(), json!(true));
        }
        json!({"aggregate": object})
    }
}

/// A duration as a configuration may have it.
fn in_words(window: Duration) -> String {
    let mut left = window.as_millis();
    let mut text = String::new();
    for (unit, size) in [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
        if left >= size {
            // Writing to a String does not fail.
            let _ = write!(text, "{}{unit}", left / size);
            left %= size;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_gathered_by_the_labels_that_are_named_or_by_the_others() {
        let series = Series::parse(r#"hits_total{code="200",job="web",path="/"}"#).unwrap();
        let labels = |labels: &[&str]| labels.iter().map(|label| (*label).to_owned()).collect::<Vec<_>>();
        for (grouping, group) in [
            (Grouping::Each, r#"hits_total{code="200",job="web",path="/"}"#),
            (Grouping::By("hits".into(), Vec::new()), "hits"),
            (Grouping::By("hits".into(), labels(&["job", "zone"])), r#"hits{job="web"}"#),
            (Grouping::By("hits".into(), labels(&["__name__"])), "hits_total"),
            (Grouping::Without("hits".into(), labels(&["path", "zone"])), r#"hits{code="200",job="web"}"#),
            (Grouping::Without("hits".into(), Vec::new()), r#"hits{code="200",job="web",path="/"}"#),
        ] {
            let fold = Fold {
                of: Match::default(),
                function: Function::Sum,
                grouping,
                window: Duration::from_secs(60),
                keep_input: false,
            };
            assert_eq!(fold.group_of(&series).to_string(), group);
        }
    }

    #[test]
    fn a_window_is_said_as_it_would_be_written() {
        for (millis, text) in [(60_000, "1m"), (5_400_000, "1h30m"), (1500, "1s500ms"), (250, "250ms")] {
            assert_eq!(in_words(Duration::from_millis(millis)), text);
        }
    }
}
