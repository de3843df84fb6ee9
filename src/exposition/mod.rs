//! The readers of what applications expose: Prometheus' text 0.0.4, OpenMetrics 1.0, and JSON
//! objects of numbers. Pure: no I/O, no clocks.
//!
//! A target's page says the same series each time, with other numbers. So a [`Page`] remembers
//! how it looked the last time and compares line by line: while the text up to the value is the
//! same, and so is what `HELP`, `TYPE` and `UNIT` say there, only the number is parsed, and a
//! [`Sink`] is given it with what it made of that text when it was new ([`Sink::Known`]). Any
//! other line is read in full. Both ways give the same series and the same numbers: tests and a
//! fuzz target hold one against the other.
//!
//! What is a page and what is not follows Prometheus' own parser (its `model/textparse`), where
//! that is more lenient than the specifications too, since exporters are tried against nothing
//! else. Differences, all of them on pages that are wrong by either specification:
//!
//! - blanks in front of a sample's name are skipped, as the specification of the text format has
//!   it (Prometheus makes them part of the name);
//! - a NUL where a line of text should begin is an error (Prometheus takes the page up to there,
//!   and nothing of what follows);
//! - between a name and its value stands a blank (Prometheus reads `a+1` as 1 of `a`);
//! - a label that stands twice is an error also where one of the two is empty (Prometheus drops
//!   that one before it looks);
//! - an OpenMetrics page without a byte lacks its `# EOF` too (Prometheus takes it for one of
//!   nothing);
//! - `HELP` of a name that is not UTF-8 is an error;
//! - an exemplar over OpenMetrics' bound of 128 characters, or with a label twice, is left out,
//!   and its sample taken (Prometheus leaves it out later);
//! - where metadata stands apart from its samples, they are found by name, so that a family in two
//!   pieces has one type.
//!
//! The last line of a page of text needs no end, as in Prometheus: such a page cannot be told
//! from one that was cut, and HTTP's own framing has to tell. OpenMetrics has its `# EOF`.

mod families;
mod flaw;
mod index;
pub mod json;
mod number;
mod page;
mod scan;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;

use crate::model::{self, Kind};
use crate::order;

pub use flaw::{Flaw, Wrong};
pub use page::{Page, Read};

/// Which of the two formats a page is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format, version 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

/// What a page may have at most. More of it spoils the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Samples of a page; no more families either.
    pub samples: usize,
    /// Labels of a series, its name not counted.
    pub labels: usize,
    /// Bytes of a label's name.
    pub label_name_bytes: usize,
    /// Bytes of a label's value, and of a series' name. Escapes count as they are written.
    pub label_value_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { samples: 500_000, labels: 64, label_name_bytes: 1024, label_value_bytes: 4096 }
    }
}

/// What is said of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FamilyText<'p> {
    /// Its name as it stands behind `TYPE` or `HELP`: OpenMetrics' counters lack `_total` there.
    /// Where nothing was said, the sample's own.
    pub name: &'p str,
    /// Without escapes, so it may hold line breaks; at most 4 KiB, the rest is cut off. Empty
    /// where nothing was said.
    pub help: &'p str,
    /// OpenMetrics' `UNIT`, or empty.
    pub unit: &'p str,
    /// How its values behave. A gauge histogram is a gauge, with [`Role`]s of a histogram.
    pub kind: Kind,
}

/// What a series is of its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The number itself.
    Value,
    /// A bucket of a histogram: has a label `le`.
    Bucket,
    /// The sum of a histogram or a summary.
    Sum,
    /// The count of a histogram or a summary.
    Count,
    /// A quantile of a summary: has a label `quantile`.
    Quantile,
    /// Since when a counter, a histogram or a summary counts, in seconds since 1970.
    Created,
    /// 1, with what there is to know in the labels.
    Info,
    /// Whether a state holds, which is named by the label that has the family's name.
    State,
}

/// The text of a series, read in full.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Series<'p> {
    /// The name of the sample, never empty: `x_bucket` of the family `x`.
    pub name: &'p str,
    /// The labels in the page's order, without escapes. No name twice, none empty, none is
    /// `__name__`; those with an empty value, which are the same as none, are left out.
    pub labels: &'p [(Cow<'p, str>, Cow<'p, str>)],
    /// What is said of its family.
    pub family: FamilyText<'p>,
    /// What it is of its family.
    pub role: Role,
}

/// What a sample refers to: a trace, mostly. At most 128 characters of names and values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar<'p> {
    /// Its labels in the page's order, without escapes; no name twice.
    pub labels: &'p [(Cow<'p, str>, Cow<'p, str>)],
    /// The number that was seen then.
    pub value: f64,
    /// When, in milliseconds since 1970.
    pub time_ms: Option<i64>,
}

impl Exemplar<'_> {
    /// By itself, without the page.
    pub fn owned(&self) -> Arc<model::Exemplar> {
        let mut labels: Vec<(Box<str>, Box<str>)> =
            self.labels.iter().map(|(name, value)| ((&**name).into(), (&**value).into())).collect();
        order::sort(&mut labels);
        Arc::new(model::Exemplar { labels: labels.into(), value: self.value, time_ms: self.time_ms })
    }
}

/// A sample's number and what stands behind it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point<'p> {
    /// The number; of NaNs there is one only.
    pub value: f64,
    /// The sample's own time, in milliseconds since 1970.
    pub time_ms: Option<i64>,
    /// OpenMetrics alone.
    pub exemplar: Option<Exemplar<'p>>,
}

/// What is made of a page's samples by who reads it. They come in the page's order, and a series
/// that a page has twice comes twice.
pub trait Sink {
    /// What is kept of a series' text as long as that stays the same.
    type Known;

    /// The text of a series that was not there the last time, or of which something else was said.
    fn learn(&mut self, series: &Series<'_>) -> Self::Known;

    /// Whether its number is wanted. One that is not is given to nobody, and not looked at while
    /// the text in front of it stays the same: what stands there may be none.
    fn wants(known: &Self::Known) -> bool;

    /// Whether what is known of a series' text still holds; else it is learnt anew, though it is the same.
    fn holds(&self, _known: &Self::Known) -> bool {
        true
    }

    /// The number of a series, each time.
    fn give(&mut self, known: &Self::Known, point: &Point<'_>);
}
