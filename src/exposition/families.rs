//! What a page has said of its families so far, and which of them a sample is of.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{FamilyText, Role};
use crate::model::Kind;

/// Types of both formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Unknown,
    Gauge,
    Counter,
    Histogram,
    GaugeHistogram,
    Summary,
    Info,
    StateSet,
}

impl Type {
    /// What a sample of such a family is whose name is longer than the family's by `suffix`.
    fn role(self, suffix: &str) -> Option<Role> {
        Some(match (self, suffix) {
            (Type::Info, "" | "_info") => Role::Info,
            (Type::StateSet, "") => Role::State,
            (_, "") | (Type::Counter, "_total") => Role::Value,
            (Type::Histogram | Type::GaugeHistogram, "_bucket") => Role::Bucket,
            (Type::Histogram | Type::Summary, "_sum") | (Type::GaugeHistogram, "_gsum") => Role::Sum,
            (Type::Histogram | Type::Summary, "_count") | (Type::GaugeHistogram, "_gcount") => Role::Count,
            (Type::Counter | Type::Histogram | Type::Summary, "_created") => Role::Created,
            _ => return None,
        })
    }

    fn kind(self) -> Kind {
        match self {
            Type::Unknown => Kind::Untyped,
            Type::Gauge | Type::GaugeHistogram => Kind::Gauge,
            Type::Counter => Kind::Counter,
            Type::Histogram => Kind::Histogram,
            Type::Summary => Kind::Summary,
            Type::Info => Kind::Info,
            Type::StateSet => Kind::StateSet,
        }
    }
}

/// Endings of samples' names behind their families'.
const SUFFIXES: [&str; 8] = ["_total", "_created", "_bucket", "_sum", "_count", "_gsum", "_gcount", "_info"];

/// A line of metadata.
pub(super) struct Meta<'p> {
    /// The family's name.
    pub name: Cow<'p, str>,
    /// What is said of it.
    pub said: Said<'p>,
}

/// What a line of metadata says.
pub(super) enum Said<'p> {
    Help(Cow<'p, str>),
    Type(Type),
    Unit(Cow<'p, str>),
}

/// What was said of a family.
struct Family<'p> {
    name: Cow<'p, str>,
    help: Cow<'p, str>,
    unit: Cow<'p, str>,
    is: Type,
}

/// Families in the order in which a page speaks of them. Lines of metadata of one name, with
/// samples between them or not, are a block; what is said holds for the samples behind it.
#[derive(Default)]
pub(super) struct Families<'p> {
    /// The block in which the page is.
    now: Option<Family<'p>>,
    /// Whether there was one of that name before: then what holds was said in both.
    reopened: bool,
    before: Before<'p>,
}

/// The families in front of the one in which the page is, by name.
enum Before<'p> {
    /// As long as the page has them in the order of their names, as most exporters do, and none twice.
    Sorted(Vec<Family<'p>>),
    Any(HashMap<Cow<'p, str>, Family<'p>>),
}

impl Default for Before<'_> {
    fn default() -> Self {
        Before::Sorted(Vec::new())
    }
}

impl<'p> Before<'p> {
    fn len(&self) -> usize {
        match self {
            Before::Sorted(all) => all.len(),
            Before::Any(all) => all.len(),
        }
    }

    fn get(&self, name: &str) -> Option<&Family<'p>> {
        match self {
            Before::Sorted(all) if all.last().is_none_or(|last| *last.name < *name) => None,
            Before::Sorted(all) => all.binary_search_by(|family| (*family.name).cmp(name)).ok().map(|at| &all[at]),
            Before::Any(all) => all.get(name),
        }
    }

    fn take(&mut self, name: &str) -> Option<Family<'p>> {
        self.get(name)?;
        self.unsorted().remove(name)
    }

    fn put(&mut self, family: Family<'p>) {
        match self {
            Before::Sorted(all) if all.last().is_none_or(|last| last.name < family.name) => all.push(family),
            _ => drop(self.unsorted().insert(family.name.clone(), family)),
        }
    }

    fn unsorted(&mut self) -> &mut HashMap<Cow<'p, str>, Family<'p>> {
        if let Before::Sorted(all) = self {
            let all = std::mem::take(all).into_iter();
            *self = Before::Any(all.map(|family| (family.name.clone(), family)).collect());
        }
        match self {
            Before::Any(all) => all,
            Before::Sorted(_) => unreachable!("it has just been made the other"),
        }
    }
}

/// Where a line of metadata stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the block of the one before it.
    Within,
    /// It begins one.
    Begins,
    /// It begins another one of a family that had one.
    Again,
}

/// A sample's family.
pub(super) struct Of<'a> {
    pub family: FamilyText<'a>,
    pub role: Role,
    /// Whether what holds for it was said in its own block alone.
    pub is_in_block: bool,
}

impl<'p> Families<'p> {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.before.len() + usize::from(self.now.is_some())
    }

    /// Takes what a line says.
    pub(super) fn say(&mut self, meta: Meta<'p>) -> Place {
        let place = self.open(meta.name);
        if let Some(now) = &mut self.now {
            match meta.said {
                Said::Help(help) => now.help = help,
                Said::Type(is) => now.is = is,
                Said::Unit(unit) => now.unit = unit,
            }
        }
        place
    }

    fn open(&mut self, name: Cow<'p, str>) -> Place {
        if let Some(now) = &self.now {
            if now.name == name {
                return Place::Within;
            }
        }
        if let Some(last) = self.now.take() {
            self.before.put(last);
        }
        let again = self.before.take(&name);
        self.reopened = again.is_some();
        let new = || Family { name, help: "".into(), unit: "".into(), is: Type::Unknown };
        self.now = Some(again.unwrap_or_else(new));
        if self.reopened { Place::Again } else { Place::Begins }
    }

    /// The family of the sample `name`; one of its own where nothing was said.
    pub(super) fn of<'a>(&'a self, name: &'a str) -> Of<'a> {
        let found = |family: &'a Family<'p>, role, is_in_block| Of {
            family: FamilyText { name: &family.name, help: &family.help, unit: &family.unit, kind: family.is.kind() },
            role,
            is_in_block,
        };
        if let Some(now) = &self.now {
            if let Some(role) = name.strip_prefix(&*now.name).and_then(|suffix| now.is.role(suffix)) {
                return found(now, role, !self.reopened);
            }
        }
        if self.before.len() > 0 {
            for suffix in std::iter::once("").chain(SUFFIXES) {
                let family = name.strip_suffix(suffix).and_then(|stem| self.before.get(stem));
                if let Some((family, role)) = family.and_then(|family| Some((family, family.is.role(suffix)?))) {
                    return found(family, role, false);
                }
            }
        }
        let family = FamilyText { name, help: "", unit: "", kind: Kind::Untyped };
        Of { family, role: Role::Value, is_in_block: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say<'p>(families: &mut Families<'p>, name: &'p str, said: Said<'p>) -> Place {
        families.say(Meta { name: name.into(), said })
    }

    #[test]
    fn a_sample_is_of_the_block_it_stands_in_or_of_one_before() {
        let mut families = Families::default();
        assert_eq!(families.of("a").family, FamilyText { name: "a", help: "", unit: "", kind: Kind::Untyped });
        assert_eq!(say(&mut families, "a", Said::Type(Type::Histogram)), Place::Begins);
        assert_eq!(say(&mut families, "a", Said::Help("of a".into())), Place::Within);
        let of = families.of("a_bucket");
        assert_eq!((of.family.name, of.family.help, of.role, of.is_in_block), ("a", "of a", Role::Bucket, true));
        assert_eq!(say(&mut families, "b", Said::Type(Type::Counter)), Place::Begins);
        let of = families.of("a_sum");
        assert_eq!((of.family.kind, of.role, of.is_in_block), (Kind::Histogram, Role::Sum, false));
        assert_eq!(families.of("a_total").family.name, "a_total");
        assert_eq!(say(&mut families, "a", Said::Unit("s".into())), Place::Again);
        let of = families.of("a_count");
        assert_eq!((of.family.help, of.family.unit, of.is_in_block), ("of a", "s", false));
        assert_eq!(families.len(), 2);
    }

    #[test]
    fn families_are_found_in_whatever_order_they_come() {
        for order in [["a", "b", "c", "d"], ["d", "a", "c", "b"], ["b", "a", "c", "d"]] {
            let mut families = Families::default();
            for name in order {
                assert_eq!(say(&mut families, name, Said::Type(Type::Counter)), Place::Begins);
            }
            assert_eq!(families.len(), 4);
            for name in ["a_total", "b_total", "c_total", "d_total"] {
                assert_eq!(families.of(name).family.name, &name[..1], "{order:?}");
            }
            assert_eq!(families.of("e_total").family.name, "e_total");
            for name in ["c", "a", "c", "b"] {
                assert_eq!(say(&mut families, name, Said::Help("of it".into())), Place::Again, "{order:?} {name}");
                assert_eq!(families.of(name).family.kind, Kind::Counter);
            }
            assert_eq!(families.len(), 4);
        }
    }

    #[test]
    fn names_of_samples_are_those_of_their_types() {
        for (is, suffix, role) in [
            (Type::Counter, "", Some(Role::Value)),
            (Type::Counter, "_total", Some(Role::Value)),
            (Type::Counter, "_created", Some(Role::Created)),
            (Type::Counter, "_sum", None),
            (Type::Gauge, "_total", None),
            (Type::GaugeHistogram, "_gcount", Some(Role::Count)),
            (Type::GaugeHistogram, "_count", None),
            (Type::Summary, "_bucket", None),
            (Type::Info, "_info", Some(Role::Info)),
            (Type::StateSet, "", Some(Role::State)),
            (Type::Unknown, "_count", None),
        ] {
            assert_eq!(is.role(suffix), role, "{is:?} {suffix}");
        }
    }
}
