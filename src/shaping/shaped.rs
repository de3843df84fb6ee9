//! What rules have made of a chunk: the names, labels and factors that they have left, what they dropped, and the
//! series that they have yet to meet elsewhere.

use std::collections::{BTreeMap, HashMap};

use super::identity;
use super::label_table::{self, LabelTable, ViewLabels};
use super::series::Series;
use crate::model::Family;

/// What rules have made of a chunk. Series are known by their number among those that are left.
#[derive(Debug)]
pub struct Shaped {
    labels: LabelTable,
    /// For each series the number of its labels.
    sets: Box<[u32]>,
    /// For each series the number of its name among the texts, or [`NONE`]; empty: none was renamed.
    names: Box<[u32]>,
    /// For each series its factor; empty: none was scaled.
    factors: Box<[f64]>,
    /// For each series the last rule that changed its name or a label, or [`UNCHANGED`]; empty:
    /// none was.
    changed_by: Box<[u16]>,
    /// How many series each rule dropped, by its place; those that dropped none are left out.
    dropped: Box<[(u16, u32)]>,
    /// Where series meet rules that depend on other series or on what was before: series by series, and of
    /// each in the rules' order.
    meetings: Box<[Met]>,
}

/// A series that comes to such a rule, as it is there. Name, labels and reading are numbers in what all have
/// in common.
#[derive(Debug)]
struct Met {
    place: u32,
    rule: u16,
    name: u32,
    labels: u32,
    reading: u32,
    factor: f64,
}

/// A series that comes to a rule that depends on other series or on what was before.
#[derive(Clone, Copy, Debug)]
pub struct Meeting<'v> {
    /// Its place in the chunk.
    pub place: u32,
    /// The rule's place among the rules.
    pub rule: usize,
    /// Its name there.
    pub name: &'v str,
    /// Its labels there, sorted by name.
    pub labels: ViewLabels<'v>,
    /// The family that it was of when it was read.
    pub family: Family<'v>,
    /// What its number is multiplied with there.
    pub factor: f64,
}

/// Its family's name is its own.
const NONE: u32 = u32::MAX;

/// No rule changed it. A list of rules is shorter than this.
const UNCHANGED: u16 = u16::MAX;

impl Meeting<'_> {
    /// What tells it from other series: a hash of its name and labels.
    pub fn identity(&self) -> u64 {
        identity::of_series(self.name, self.labels.iter())
    }

    /// What tells its name from others.
    pub fn name_hash(&self) -> u64 {
        identity::of_series(self.name, [].into_iter())
    }
}

/// Takes up what rules do to a chunk's series, one after the other.
pub struct Maker {
    labels: label_table::Maker,
    sets: Vec<u32>,
    names: Vec<u32>,
    factors: Vec<f64>,
    changed_by: Vec<u16>,
    dropped: Vec<u32>,
    meetings: Vec<Met>,
}

impl Maker {
    /// For so many rules.
    pub fn new(rules: usize) -> Maker {
        Maker {
            labels: label_table::Maker::default(),
            sets: Vec::new(),
            names: Vec::new(),
            factors: Vec::new(),
            changed_by: Vec::new(),
            dropped: vec![0; rules],
            meetings: Vec::new(),
        }
    }

    /// The series at `place` of the chunk, of the view's reading of that number, comes to `rule` as `one`, when its
    /// number is multiplied with `factor`.
    pub fn meet(&mut self, place: u32, reading: u32, rule: usize, one: &Series, factor: f64) {
        let (name, labels) = (self.labels.number(one.name()), self.labels.add(one.labels()));
        self.meetings.push(Met { place, rule: rule as u16, name, labels, reading, factor });
    }

    /// `rule` drops a series.
    pub fn drop(&mut self, rule: usize) {
        self.dropped[rule] += 1;
    }

    /// The next one that is left is `one`, which was called `before`.
    pub fn add(&mut self, one: &Series, before: &str, factor: f64, changed_by: Option<usize>) {
        self.sets.push(self.labels.add(one.labels()));
        self.names.push(if one.name() == before { NONE } else { self.labels.number(one.name()) });
        self.factors.push(factor);
        self.changed_by.push(changed_by.map_or(UNCHANGED, |rule| rule as u16));
    }

    /// All of it. `factors` are what the series' own readings have.
    pub fn make(self, factors: impl Iterator<Item = f64>) -> Shaped {
        let has_factors = self.factors.iter().zip(factors).any(|(one, other)| one.to_bits() != other.to_bits());
        let is_named = self.names.iter().any(|name| *name != NONE);
        let is_changed = self.changed_by.iter().any(|rule| *rule != UNCHANGED);
        let dropped = self.dropped.iter().zip(0..).filter(|(count, _)| **count > 0);
        Shaped {
            labels: self.labels.make(),
            sets: self.sets.into(),
            names: if is_named { self.names.into() } else { Box::default() },
            factors: if has_factors { self.factors.into() } else { Box::default() },
            changed_by: if is_changed { self.changed_by.into() } else { Box::default() },
            dropped: dropped.map(|(count, rule)| (rule, *count)).collect(),
            meetings: self.meetings.into(),
        }
    }
}

impl Shaped {
    /// The name that rules gave to that series; none: its family's.
    pub fn name(&self, at: usize) -> Option<&str> {
        let number = self.names.get(at).filter(|number| **number != NONE);
        number.map(|number| self.labels.text(*number))
    }

    /// What its number is multiplied with; none: as its reading says.
    pub fn factor(&self, at: usize) -> Option<f64> {
        self.factors.get(at).copied()
    }

    /// The labels of that series.
    pub fn labels(&self, at: usize) -> ViewLabels<'_> {
        ViewLabels::Set(self.labels.set(self.sets[at]))
    }

    /// The last rule that changed that series; none: it is as it was.
    pub fn changed_by(&self, at: usize) -> Option<usize> {
        let rule = *self.changed_by.get(at)?;
        (rule != UNCHANGED).then_some(rule.into())
    }

    /// How many series each rule has dropped, by its place.
    pub fn dropped(&self) -> impl Iterator<Item = (usize, u64)> {
        self.dropped.iter().map(|(rule, count)| (usize::from(*rule), u64::from(*count)))
    }

    /// The series that come to rules elsewhere; `family` is that of the view's reading of a number.
    pub fn meetings<'v>(&'v self, family: impl Fn(u32) -> Family<'v>) -> impl Iterator<Item = Meeting<'v>> {
        self.meetings.iter().map(move |met| Meeting {
            place: met.place,
            rule: met.rule.into(),
            name: self.labels.text(met.name),
            labels: ViewLabels::Set(self.labels.set(met.labels)),
            family: family(met.reading),
            factor: met.factor,
        })
    }

    /// Of series that rules have left alike the first one stays; the others count as dropped by
    /// the rule that made them so. `series` are the identities and the places of all; `is_limit` says of a rule that
    /// it gives room. Which of them are gone; none: none is.
    pub fn drop_alike(&mut self, series: &[(u64, u32)], is_limit: impl Fn(usize) -> bool) -> Option<Vec<bool>> {
        if self.changed_by.is_empty() {
            return None;
        }
        let mut first: HashMap<u64, usize> = HashMap::with_capacity(series.len());
        let mut dropped: BTreeMap<u16, u32> = self.dropped.iter().copied().collect();
        let mut gone = vec![false; series.len()];
        for (at, (identity, _)) in series.iter().enumerate() {
            let before = *first.entry(*identity).or_insert(at);
            // Two that no rule has touched are their source's own matter.
            let by = [at, before].map(|at| self.changed_by[at]).into_iter().find(|rule| *rule != UNCHANGED);
            if let Some(rule) = by.filter(|_| before != at) {
                gone[at] = true;
                *dropped.entry(rule).or_default() += 1;
            }
        }
        if !gone.contains(&true) {
            return None;
        }
        // They are dropped already, and need no room.
        let places: Vec<u32> =
            series.iter().zip(&gone).filter(|(_, gone)| **gone).map(|((_, place), _)| *place).collect();
        let is_gone = |met: &Met| is_limit(met.rule.into()) && places.binary_search(&met.place).is_ok();
        let meetings = std::mem::take(&mut self.meetings).into_vec();
        self.meetings = meetings.into_iter().filter(|met| !is_gone(met)).collect();
        leave_out(&mut self.sets, &gone);
        leave_out(&mut self.names, &gone);
        leave_out(&mut self.factors, &gone);
        leave_out(&mut self.changed_by, &gone);
        self.dropped = dropped.into_iter().collect();
        Some(gone)
    }
}

/// Takes those out of `all` that have `gone`. There may be none of `all`, whatever has gone.
pub fn leave_out<T>(all: &mut Box<[T]>, gone: &[bool]) {
    let left = std::mem::take(all).into_vec().into_iter().zip(gone).filter(|(_, gone)| !**gone);
    *all = left.map(|(one, _)| one).collect();
}
