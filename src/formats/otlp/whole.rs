//! Histograms and summaries, put together again from their series.
//!
//! A page has them as series, `x_bucket`, `x_sum`, `x_count` and `x_created`, and so have items and what a
//! destination was sent. What is looked at are names and labels as the destination sees them: where rules
//! took a part away without which there is no histogram, what is left are series of their own.

use std::collections::HashMap;

use crate::model::Kind;
use crate::order;

/// A series that may be a part of a whole.
pub struct Part<'l> {
    /// Its number among those that are looked at.
    pub at: u32,
    /// How its family behaves.
    pub kind: Kind,
    /// Its name.
    pub name: &'l str,
    /// Its labels, sorted by name.
    pub labels: Vec<(&'l str, &'l str)>,
    /// Whether a rule multiplies its numbers, so that they are no counts.
    pub is_scaled: bool,
}

/// What is one stream for OTLP.
#[derive(Debug, PartialEq)]
pub struct Whole<'l> {
    /// Its name.
    pub name: &'l str,
    /// Its labels, without those that tell its parts apart.
    pub labels: Vec<(&'l str, &'l str)>,
    /// The series that it is known by: its own, or the first of its parts.
    pub at: u32,
    /// What its numbers are.
    pub form: Form,
    /// Which series says since when it counts.
    pub created: Option<u32>,
}

/// Of which series a stream's numbers come.
#[derive(Debug, PartialEq)]
pub enum Form {
    /// Of this one.
    Number(u32),
    /// Of these.
    Histogram(Box<Histogram>),
    /// Of these.
    Summary(Box<Summary>),
}

/// The series of a histogram.
#[derive(Debug, Default, PartialEq)]
pub struct Histogram {
    /// The upper bounds of all buckets but the last, ascending and finite.
    pub bounds: Box<[f64]>,
    /// The buckets of these bounds; each holds what those in front of it do.
    pub buckets: Box<[u32]>,
    /// How many observations there were: the bucket without a bound, or the count where there is none.
    pub count: u32,
    /// Their sum.
    pub sum: Option<u32>,
}

/// The series of a summary.
#[derive(Debug, Default, PartialEq)]
pub struct Summary {
    /// Each with its series, ascending.
    pub quantiles: Box<[(f64, u32)]>,
    /// How many observations there were.
    pub count: u32,
    /// Their sum.
    pub sum: Option<u32>,
}

/// What a series is of its family.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Role {
    Bucket(f64),
    Quantile(f64),
    Sum,
    Count,
    Created,
}

/// What is known of a whole before all of its parts have come.
#[derive(Default)]
struct Group {
    buckets: Vec<(f64, u32)>,
    quantiles: Vec<(f64, u32)>,
    sum: Option<u32>,
    count: Option<u32>,
    created: Option<u32>,
    first: u32,
    /// A part that comes twice, or is none.
    is_broken: bool,
}

/// Name and labels without those that tell parts apart.
type Key<'l> = (&'l str, Vec<(&'l str, &'l str)>);

/// Whether a series by itself is all that has to be looked at.
pub fn is_part(kind: Kind, name: &str) -> bool {
    matches!(kind, Kind::Histogram | Kind::Summary) || name.ends_with(CREATED)
}

const CREATED: &str = "_created";

/// Puts together what belongs together of `parts`, in the order of the first part of each.
///
/// A histogram needs buckets, and of these `+Inf` or else a count; a summary needs a count. No bound may come
/// twice.
pub fn wholes(parts: Vec<Part<'_>>) -> Vec<Whole<'_>> {
    let mut groups: HashMap<(Kind, Key<'_>), Group> = HashMap::new();
    let mut created: HashMap<Key<'_>, u32> = HashMap::new();
    let mut keys = Vec::with_capacity(parts.len());
    for part in &parts {
        let role = role_of(part);
        let key = role.map(|(role, base)| {
            let own = match role {
                Role::Bucket(_) => "le",
                Role::Quantile(_) => "quantile",
                _ => "",
            };
            let labels: Vec<_> = part.labels.iter().copied().filter(|(name, _)| *name != own).collect();
            (base, labels)
        });
        if let (Some((role, _)), Some(key)) = (role, &key) {
            if role == Role::Created {
                created.entry(key.clone()).or_insert(part.at);
            } else {
                let group = groups
                    .entry((part.kind, key.clone()))
                    .or_insert_with(|| Group { first: part.at, ..Group::default() });
                group.add(role, part);
            }
        }
        keys.push(role.zip(key));
    }
    for ((_, key), group) in &mut groups {
        group.created = created.get(key).copied();
    }
    groups.retain(|(kind, _), group| group.is_whole(*kind));
    let counts_from = |part: &Part<'_>| {
        let base = part.name.strip_suffix("_total").filter(|_| part.kind == Kind::Counter)?;
        created.get(&(base, part.labels.clone())).copied()
    };
    let starts: Vec<Option<u32>> = parts.iter().map(counts_from).collect();
    let used: Vec<u32> =
        groups.values().filter_map(|group| group.created).chain(starts.iter().flatten().copied()).collect();
    let mut all = Vec::new();
    for ((part, key), starts) in parts.into_iter().zip(keys).zip(starts) {
        match key {
            Some(((Role::Created, _), _)) if used.contains(&part.at) => continue,
            Some(((role, _), key)) if role != Role::Created => {
                let (kind, at) = (part.kind, part.at);
                if let Some(group) = groups.get_mut(&(kind, key.clone())) {
                    if group.first == at {
                        let (name, labels) = key;
                        all.push(Whole { name, labels, at, created: group.created, form: group.form(kind) });
                    }
                    continue;
                }
            }
            _ => {}
        }
        let Part { at, name, labels, .. } = part;
        all.push(Whole { name, labels, at, form: Form::Number(at), created: starts });
    }
    all
}

/// What a series is of its family, and that one's name; none: nothing but itself.
fn role_of<'l>(part: &Part<'l>) -> Option<(Role, &'l str)> {
    let label = |wanted: &str| part.labels.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
    let ends = |suffix: &str| part.name.strip_suffix(suffix).filter(|base| !base.is_empty());
    let number = |text: &str| text.parse::<f64>().unwrap_or(f64::NAN);
    match part.kind {
        Kind::Histogram => match label("le") {
            Some(bound) => ends("_bucket").map(|base| (Role::Bucket(number(bound)), base)),
            None => {
                ends("_sum").map(|base| (Role::Sum, base)).or_else(|| ends("_count").map(|base| (Role::Count, base)))
            }
        },
        Kind::Summary => match label("quantile") {
            Some(quantile) => Some((Role::Quantile(number(quantile)), part.name)),
            None => {
                ends("_sum").map(|base| (Role::Sum, base)).or_else(|| ends("_count").map(|base| (Role::Count, base)))
            }
        },
        Kind::Gauge => ends(CREATED).map(|base| (Role::Created, base)),
        _ => None,
    }
}

impl Group {
    fn add(&mut self, role: Role, part: &Part<'_>) {
        let twice = match role {
            Role::Bucket(bound) => {
                self.buckets.push((bound, part.at));
                self.is_broken |= bound.is_nan() || bound == f64::NEG_INFINITY || part.is_scaled;
                return;
            }
            Role::Quantile(quantile) => {
                self.quantiles.push((quantile, part.at));
                self.is_broken |= !(0.0..=1.0).contains(&quantile);
                return;
            }
            Role::Sum => self.sum.replace(part.at),
            Role::Count => {
                self.is_broken |= part.is_scaled;
                self.count.replace(part.at)
            }
            Role::Created => None,
        };
        self.is_broken |= twice.is_some();
    }

    /// Whether it is one, whatever its numbers; its parts are in their order then.
    fn is_whole(&mut self, kind: Kind) -> bool {
        for all in [&mut self.buckets, &mut self.quantiles] {
            order::sort_by(all, |(a, _), (b, _)| a.total_cmp(b));
            self.is_broken |= all.windows(2).any(|pair| pair[0].0 == pair[1].0);
        }
        let is_counted = match kind {
            Kind::Histogram => !self.buckets.is_empty() && (self.count.is_some() || self.last_bucket().is_some()),
            _ => self.count.is_some(),
        };
        is_counted && !self.is_broken
    }

    fn last_bucket(&self) -> Option<u32> {
        self.buckets.last().filter(|(bound, _)| *bound == f64::INFINITY).map(|(_, at)| *at)
    }

    fn form(&self, kind: Kind) -> Form {
        let sum = self.sum;
        if kind == Kind::Summary {
            let count = self.count.unwrap_or_default();
            return Form::Summary(Box::new(Summary { quantiles: self.quantiles[..].into(), count, sum }));
        }
        let finite = self.buckets.iter().filter(|(bound, _)| bound.is_finite());
        let (bounds, buckets): (Vec<f64>, Vec<u32>) = finite.copied().unzip();
        let count = self.last_bucket().or(self.count).unwrap_or_default();
        Form::Histogram(Box::new(Histogram { bounds: bounds.into(), buckets: buckets.into(), count, sum }))
    }
}

impl Histogram {
    /// Appends how many observations each bucket has by itself, of cumulative `values`, and gives how many there
    /// are in all. None, and what is appended is of no use: these are no counts, since one is NaN, negative or less
    /// than the one in front of it.
    pub fn counts(&self, values: &[f64], out: &mut Vec<u64>) -> Option<u64> {
        let mut before = 0;
        for at in &self.buckets {
            before = own_count(before, values[*at as usize], out)?;
        }
        own_count(before, values[self.count as usize], out)
    }
}

fn own_count(before: u64, value: f64, out: &mut Vec<u64>) -> Option<u64> {
    let count = count_of(value)?;
    out.push(count.checked_sub(before)?);
    Some(count)
}

/// A number of observations; none where it cannot be one.
pub fn count_of(value: f64) -> Option<u64> {
    // 2^64, the first number that is too large.
    const TOO_MANY: f64 = 18_446_744_073_709_551_616.0;
    let whole = value as u64;
    if whole as f64 == value && value < TOO_MANY {
        return Some(whole);
    }
    // Rare, and a call.
    let rounded = value.round();
    (0.0..TOO_MANY).contains(&rounded).then_some(rounded as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part<'l>(at: u32, kind: Kind, name: &'l str, labels: &[(&'l str, &'l str)]) -> Part<'l> {
        Part { at, kind, name, labels: labels.to_vec(), is_scaled: false }
    }

    fn bucket<'l>(at: u32, le: &'l str) -> Part<'l> {
        part(at, Kind::Histogram, "x_bucket", &[("le", le), ("path", "/")])
    }

    fn other<'l>(at: u32, name: &'l str) -> Part<'l> {
        part(at, if name == "x_created" { Kind::Gauge } else { Kind::Histogram }, name, &[("path", "/")])
    }

    fn forms(parts: Vec<Part<'_>>) -> Vec<(String, Form, Option<u32>)> {
        wholes(parts).into_iter().map(|one| (one.name.to_owned(), one.form, one.created)).collect()
    }

    fn histogram(bounds: &[f64], buckets: &[u32], count: u32, sum: Option<u32>) -> Form {
        Form::Histogram(Box::new(Histogram { bounds: bounds.into(), buckets: buckets.into(), count, sum }))
    }

    #[test]
    fn a_histogram_is_put_together_whatever_the_order_of_its_parts() {
        let parts = vec![
            bucket(0, "+Inf"),
            bucket(1, "10"),
            bucket(2, "0.5"),
            other(3, "x_count"),
            other(4, "x_sum"),
            other(5, "x_created"),
        ];
        let all = wholes(parts);
        let [one] = &all[..] else { panic!("{all:?}") };
        assert_eq!((one.name, &one.labels[..], one.at, one.created), ("x", &[("path", "/")][..], 0, Some(5)));
        assert_eq!(one.form, histogram(&[0.5, 10.0], &[2, 1], 0, Some(4)));
        // Without the bucket +Inf the count says the same; a sum need not be.
        assert_eq!(
            forms(vec![bucket(0, "1"), other(1, "x_count")]),
            [("x".into(), histogram(&[1.0], &[0], 1, None), None)]
        );
        assert_eq!(forms(vec![bucket(0, "+Inf")]), [("x".into(), histogram(&[], &[], 0, None), None)]);
    }

    #[test]
    fn what_is_no_histogram_stays_series() {
        let alone = |parts: Vec<Part<'_>>| {
            let all = forms(parts);
            assert!(all.iter().all(|(_, form, _)| matches!(form, Form::Number(_))), "{all:?}");
            all.len()
        };
        assert_eq!(alone(vec![bucket(0, "1"), other(1, "x_sum")]), 2, "nobody says how many");
        assert_eq!(alone(vec![other(0, "x_count"), other(1, "x_sum")]), 2, "no bucket");
        assert_eq!(alone(vec![bucket(0, "1"), bucket(1, "1.0"), other(2, "x_count")]), 3, "one bound twice");
        assert_eq!(alone(vec![bucket(0, "one"), bucket(1, "+Inf")]), 2, "no bound");
        assert_eq!(alone(vec![bucket(0, "-Inf"), bucket(1, "+Inf")]), 2);
        assert_eq!(alone(vec![Part { is_scaled: true, ..bucket(0, "+Inf") }]), 1);
        assert_eq!(alone(vec![other(0, "x_count"), other(1, "x_count")]), 2);
        assert_eq!(alone(vec![part(0, Kind::Summary, "s", &[("quantile", "0.5")])]), 1);
        let odd = vec![part(0, Kind::Summary, "s", &[("quantile", "50")]), part(1, Kind::Summary, "s_count", &[])];
        assert_eq!(alone(odd), 2);
        // Since when nobody counts.
        assert_eq!(alone(vec![other(0, "x_created")]), 1);
    }

    #[test]
    fn a_summary_and_a_counter_are_found_whatever_they_are_called() {
        let s = |at, name, labels: &[(&'static str, &'static str)]| part(at, Kind::Summary, name, labels);
        let parts = vec![
            s(0, "a_sum", &[("quantile", "0.9")]),
            s(1, "a_sum", &[("quantile", "0.5")]),
            s(2, "a_sum_sum", &[]),
            s(3, "a_sum_count", &[]),
        ];
        let quantiles = [(0.5, 1), (0.9, 0)].into();
        let form = Form::Summary(Box::new(Summary { quantiles, count: 3, sum: Some(2) }));
        assert_eq!(forms(parts), [("a_sum".into(), form, None)]);
        let parts = vec![
            part(0, Kind::Counter, "c_total", &[("a", "1")]),
            part(1, Kind::Gauge, "c_created", &[("a", "1")]),
            part(2, Kind::Gauge, "c_created", &[("a", "2")]),
        ];
        assert_eq!(
            forms(parts),
            [("c_total".into(), Form::Number(0), Some(1)), ("c_created".into(), Form::Number(2), None)]
        );
    }

    #[test]
    fn counts_are_those_of_each_bucket_or_none() {
        let one = Histogram { bounds: [1.0, 2.0].into(), buckets: [0, 1].into(), count: 2, sum: None };
        let counts = |values: [f64; 3]| {
            let mut out = Vec::new();
            let count = one.counts(&values, &mut out)?;
            assert_eq!(count, out.iter().sum::<u64>());
            Some(out)
        };
        assert_eq!(counts([1.0, 5.0, 9.0]), Some(vec![1, 4, 4]));
        assert_eq!(counts([0.0, 0.0, 0.0]), Some(vec![0, 0, 0]));
        assert_eq!(counts([0.4, 0.6, 1.0]), Some(vec![0, 1, 0]), "rounded, and still as many in all");
        for broken in
            [[2.0, 1.0, 3.0], [1.0, f64::NAN, 3.0], [-1.0, 0.0, 0.0], [0.0, 1.0, f64::INFINITY], [0.0, 0.0, 1e20]]
        {
            assert_eq!(counts(broken), None, "{broken:?}");
        }
    }
}
