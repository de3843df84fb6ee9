//! What a push says, before any of it is taken.

use std::sync::Arc;

use super::exponential::Exponential;
use crate::ingest::budget::{self, Budget};
use crate::model::{Exemplar, Kind};
use crate::order;

/// What one application says of one moment.
#[derive(Debug, Default, PartialEq)]
pub struct Given {
    /// The label `job`.
    pub job: String,
    /// The label `instance`; empty: none.
    pub instance: String,
    /// Its metrics, each once.
    pub items: Vec<GivenItem>,
}

/// One metric: a number, or what makes up a histogram or a summary.
#[derive(Debug, PartialEq)]
pub struct GivenItem {
    /// How it behaves.
    pub kind: Kind,
    /// One sentence, or empty.
    pub help: String,
    /// Its unit, or empty.
    pub unit: String,
    /// Sorted by name, no name twice, no value empty.
    pub labels: Vec<(String, String)>,
    /// Its series, one at least.
    pub parts: Vec<GivenPart>,
    /// When it was so, in milliseconds since the UNIX epoch; none: now.
    pub time_ms: Option<i64>,
    /// Its numbers are what came since the last push.
    pub is_delta: bool,
    /// Since when they count, from 0, in milliseconds since the UNIX epoch; none: it does not say.
    pub start_ms: Option<i64>,
    /// The exponential histogram that its series are made of, where it is one.
    pub exponential: Option<Box<Exponential>>,
    /// What its series refer to, the oldest first.
    pub exemplars: Vec<Arc<Exemplar>>,
}

impl GivenItem {
    /// The parts that refer to something, each with the newest that it refers to; ascending. Of a histogram it is
    /// the bucket that has counted it.
    pub fn referring(&self) -> Vec<(usize, Arc<Exemplar>)> {
        let mut all: Vec<(usize, Arc<Exemplar>)> = Vec::new();
        if self.exemplars.is_empty() {
            return all;
        }
        let bound = |part: &GivenPart| match (self.kind, &part.own) {
            (Kind::Histogram, Some((_, bound))) => bound.parse().ok(),
            (Kind::Histogram, None) | (_, Some(_)) => None,
            // It counts whatever it is.
            (_, None) => Some(f64::INFINITY),
        };
        let mut bounds: Vec<(f64, usize)> =
            self.parts.iter().enumerate().filter_map(|(at, part)| Some((bound(part)?, at))).collect();
        order::sort_by(&mut bounds, |(a, _), (b, _)| a.total_cmp(b));
        for exemplar in &self.exemplars {
            let place = bounds.partition_point(|(bound, _)| *bound < exemplar.value);
            let Some((_, part)) = bounds.get(place) else { continue };
            match all.iter_mut().find(|(at, _)| at == part) {
                Some((_, known)) => *known = Arc::clone(exemplar),
                None => all.push((*part, Arc::clone(exemplar))),
            }
        }
        order::sort_by_key(&mut all, |(at, _)| *at);
        all
    }
}

/// Why a name cannot be taken.
pub const RESERVED: &str = "is a name of the host's, or of metricsd's own";

/// One series.
#[derive(Debug, PartialEq)]
pub struct GivenPart {
    /// Its name: `x_bucket` of a histogram `x`.
    pub name: String,
    /// What tells it from others of its name: `le`, `quantile`.
    pub own: Option<(&'static str, String)>,
    /// Its number.
    pub value: f64,
}

impl GivenPart {
    /// A bucket of a histogram: so many observations are at most `bound`.
    pub fn bucket(name: &str, bound: f64, count: u64) -> GivenPart {
        GivenPart { name: format!("{name}_bucket"), own: Some(("le", bound_text(bound))), value: count as f64 }
    }

    /// The series of an exponential histogram called `name`.
    pub fn of_exponential(name: &str, one: &Exponential) -> Vec<GivenPart> {
        let (count, sum) = one.totals();
        let buckets = one.cumulative().map(|(bound, count)| GivenPart::bucket(name, bound, count));
        buckets.chain(GivenPart::totals(name, count, sum)).collect()
    }

    /// What comes behind a histogram's buckets: that of all observations, their sum, and how many there are.
    pub fn totals(name: &str, count: u64, sum: Option<f64>) -> impl Iterator<Item = GivenPart> {
        let part = |suffix: &str, value| GivenPart { name: format!("{name}{suffix}"), own: None, value };
        let all = GivenPart { own: Some(("le", "+Inf".to_owned())), ..part("_bucket", count as f64) };
        [Some(all), sum.map(|sum| part("_sum", sum)), Some(part("_count", count as f64))].into_iter().flatten()
    }
}

/// A bound as the text of a label: hundreds of digits are none.
fn bound_text(bound: f64) -> String {
    const WITH_DIGITS: std::ops::Range<f64> = 1e-9..1e18;
    if bound == 0.0 || WITH_DIGITS.contains(&bound.abs()) { bound.to_string() } else { format!("{bound:e}") }
}

/// Why a push is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is not understood, or says what cannot be: 400.
    Malformed(String),
    /// It holds more than one push may: 413.
    TooMuch(String),
    /// There is no room beside what others have pushed, which may end: 429.
    NoRoom(String),
}

impl From<budget::Refused> for Refused {
    fn from(refused: budget::Refused) -> Refused {
        match refused {
            budget::Refused::Malformed(why) => Refused::Malformed(format!("it is not understood: {why}")),
            budget::Refused::TooMuch => Refused::TooMuch("it holds too many parts; send it in smaller ones".to_owned()),
        }
    }
}

/// The parts of a push take at most so many times its bytes: those that applications send take some three times as much.
const MEMORY_FACTOR: usize = 6;

/// What a push of at most `max_bytes` may take in memory while it is read.
pub fn budget(max_bytes: usize) -> Budget {
    Budget::new(max_bytes.saturating_mul(MEMORY_FACTOR))
}

/// Labels that are taken by what comes with each push are called `exported_<name>`, as for what is scraped.
/// Sorts them.
pub fn settle_labels(labels: &mut [(String, String)]) {
    for at in 0..labels.len() {
        while matches!(&*labels[at].0, "job" | "instance") || is_twice(labels, at) {
            labels[at].0.insert_str(0, "exported_");
        }
    }
    order::sort(labels);
}

/// Whether the label at `at` was made to be called like another one.
fn is_twice(labels: &[(String, String)], at: usize) -> bool {
    let name = &labels[at].0;
    name.starts_with("exported_") && labels.iter().enumerate().any(|(other, (own, _))| other != at && own == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_short() {
        for (bound, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (-0.25, "-0.25"),
            (1e17, "100000000000000000"),
            (1e300, "1e300"),
            (-5e-324, "-5e-324"),
            (1e-10, "1e-10"),
        ] {
            assert_eq!(bound_text(bound), text);
            assert_eq!(text.parse::<f64>().unwrap(), bound);
        }
    }

    #[test]
    fn labels_that_are_taken_are_exported() {
        let pairs = [("x", "1"), ("job", "mine"), ("exported_job", "before"), ("instance", "i")];
        let mut labels: Vec<(String, String)> = pairs.map(|(name, value)| (name.into(), value.into())).into();
        settle_labels(&mut labels);
        let names: Vec<&str> = labels.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names.len(), 4);
        assert!(names.contains(&"x") && names.contains(&"exported_instance") && !names.contains(&"job"), "{names:?}");
    }
}
