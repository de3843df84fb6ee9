//! A number that a collector knows how to give, and what it is called in each naming scheme.

use std::sync::Arc;

use super::{Family, Kind, Scheme};

/// One number that a collector knows how to give: a family in each scheme that has it. What is
/// one metric in a scheme and several in another is several readings.
///
/// There are many of these, so they are dense: families that are alike are one object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// In metricsd's own names.
    pub native: Option<Named>,
    /// In node_exporter's.
    pub node: Option<Named>,
    /// In OpenTelemetry's.
    pub otel: Option<Named>,
}

/// What a built-in reading is called in one scheme.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Named {
    family: &'static Family<'static>,
    factor: f64,
    labels: &'static [Label<'static>],
}

/// A reading that was learnt at run time: a key that a newer kernel has, what an application exposes.
#[derive(Clone, Debug, PartialEq)]
pub struct Learnt {
    /// None: all of them.
    scheme: Option<Scheme>,
    name: Box<str>,
    help: Box<str>,
    unit: Box<str>,
    kind: Kind,
    is_part: bool,
    factor: f64,
    labels: Box<[LearntLabel]>,
}

/// A label of which nobody knew the name.
#[derive(Clone, Debug, PartialEq)]
struct LearntLabel {
    name: Box<str>,
    value: LearntValue,
}

#[derive(Clone, Debug, PartialEq)]
enum LearntValue {
    Key { at: usize, prefix: Box<str> },
    Constant(Box<str>),
}

/// A reading as one scheme has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Face<'a> {
    /// The family that it is a series of.
    pub family: Family<'a>,
    /// What its number is multiplied with.
    pub factor: f64,
    /// Its labels.
    pub labels: FaceLabels<'a>,
}

/// The labels of a reading in one scheme.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaceLabels<'a>(LabelsOf<'a>);

#[derive(Clone, Copy, Debug, PartialEq)]
enum LabelsOf<'a> {
    BuiltIn(&'static [Label<'static>]),
    Learnt(&'a [LearntLabel]),
}

impl<'a> FaceLabels<'a> {
    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Label<'a>> {
        let (built_in, learnt): (&[Label<'static>], &[LearntLabel]) = match self.0 {
            LabelsOf::BuiltIn(labels) => (labels, &[]),
            LabelsOf::Learnt(labels) => (&[], labels),
        };
        built_in.iter().copied().chain(learnt.iter().map(LearntLabel::get))
    }

    /// Whether both are one object, and so alike. No labels are always that.
    pub fn same(self, other: FaceLabels<'_>) -> bool {
        match (self.0, other.0) {
            (LabelsOf::BuiltIn(a), LabelsOf::BuiltIn(b)) => std::ptr::eq(a, b),
            (LabelsOf::Learnt(a), LabelsOf::Learnt(b)) => std::ptr::eq(a, b),
            _ => false,
        }
    }
}

impl LearntLabel {
    fn of(label: &Label<'_>) -> LearntLabel {
        let value = match *label {
            Label::Key { at, prefix, .. } => LearntValue::Key { at, prefix: prefix.into() },
            Label::Constant { value, .. } => LearntValue::Constant(value.into()),
        };
        LearntLabel { name: label.name().into(), value }
    }

    fn get(&self) -> Label<'_> {
        let name = &*self.name;
        match &self.value {
            LearntValue::Key { at, prefix } => Label::Key { name, at: *at, prefix },
            LearntValue::Constant(value) => Label::Constant { name, value },
        }
    }
}

impl Reading {
    /// What it is called in `scheme`; none: that scheme does not have it.
    #[inline]
    pub fn face(&self, scheme: Scheme) -> Option<Face<'static>> {
        let named = match scheme {
            Scheme::Native => &self.native,
            Scheme::NodeExporter => &self.node,
            Scheme::Otel => &self.otel,
        };
        named.map(|Named { family, factor, labels }| Face {
            family: *family,
            factor,
            labels: FaceLabels(LabelsOf::BuiltIn(labels)),
        })
    }
}

impl Learnt {
    /// A reading of `scheme` alone, in the unit that it is read in.
    pub fn new(scheme: Scheme, family: Family<'_>, labels: &[Label<'_>]) -> Learnt {
        Learnt { scheme: Some(scheme), ..Learnt::everywhere(family, labels) }
    }

    /// A reading that has this one name in all schemes.
    pub fn everywhere(family: Family<'_>, labels: &[Label<'_>]) -> Learnt {
        let Family { name, help, unit, kind } = family;
        let labels = labels.iter().map(LearntLabel::of).collect();
        let (name, help, unit) = (name.into(), help.into(), unit.into());
        Learnt { scheme: None, name, help, unit, kind, is_part: false, factor: 1.0, labels }
    }

    /// The same, where its numbers are those that are read, times `factor`.
    pub fn scaled(self, factor: f64) -> Learnt {
        Learnt { factor: self.factor * factor, ..self }
    }

    /// The same, where its item has other series beside it: those of a histogram, or since when a counter
    /// counts.
    pub fn part_of_item(self) -> Learnt {
        Learnt { is_part: true, ..self }
    }

    /// Whether its item has other series beside it.
    pub fn is_part(&self) -> bool {
        self.is_part
    }

    /// How its values behave.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What it is called in `scheme`; none: it is a reading of another one.
    pub fn face(&self, scheme: Scheme) -> Option<Face<'_>> {
        let family = Family { name: &self.name, help: &self.help, unit: &self.unit, kind: self.kind };
        let labels = FaceLabels(LabelsOf::Learnt(&self.labels));
        self.scheme.is_none_or(|own| own == scheme).then_some(Face { family, factor: self.factor, labels })
    }
}

/// Where a series' label comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label<'a> {
    /// The value of the item's key at the place `at`.
    Key {
        /// The label's name in this scheme.
        name: &'a str,
        /// Which value of the key.
        at: usize,
        /// What stands in front of it here (`cpu` in `cpu0`).
        prefix: &'a str,
    },
    /// The same for every item (`state="used"`).
    Constant {
        /// The label's name.
        name: &'a str,
        /// Its value.
        value: &'a str,
    },
}

impl<'a> Label<'a> {
    /// Its name.
    pub fn name(&self) -> &'a str {
        match self {
            Label::Key { name, .. } | Label::Constant { name, .. } => name,
        }
    }

    /// The value of the key at `at`, as the label `name`.
    pub const fn key(name: &'a str, at: usize) -> Label<'a> {
        Label::Key { name, at, prefix: "" }
    }

    /// The same with `prefix` in front of the value.
    pub const fn prefixed(name: &'a str, at: usize, prefix: &'a str) -> Label<'a> {
        Label::Key { name, at, prefix }
    }

    /// A label that is the same for every item.
    pub const fn constant(name: &'a str, value: &'a str) -> Label<'a> {
        Label::Constant { name, value }
    }
}

/// What a built-in reading is called, in the unit that it is read in.
pub const fn face(family: &'static Family<'static>, labels: &'static [Label<'static>]) -> Option<Named> {
    scaled(family, labels, 1.0)
}

/// What a built-in reading is called whose numbers are those that are read, times `factor`.
pub const fn scaled(family: &'static Family<'static>, labels: &'static [Label<'static>], factor: f64) -> Option<Named> {
    Some(Named { family, factor, labels })
}

/// A built-in reading that has one name in all schemes.
macro_rules! everywhere {
    ($family:expr, $labels:expr) => {
        $crate::model::Reading {
            native: $crate::model::face($family, $labels),
            node: $crate::model::face($family, $labels),
            otel: $crate::model::face($family, $labels),
        }
    };
}
pub(crate) use everywhere;

/// A cheap handle on a reading, compared by address.
#[derive(Clone, Debug)]
pub enum ReadingRef {
    /// Built in.
    Static(&'static Reading),
    /// Learnt at run time.
    Shared(Arc<Learnt>),
}

impl ReadingRef {
    /// Whether it is the very object `reading`.
    #[inline]
    pub fn is(&self, reading: &'static Reading) -> bool {
        matches!(self, ReadingRef::Static(own) if std::ptr::eq(*own, reading))
    }

    /// Whether it is the very object `learnt`.
    #[inline]
    pub fn is_learnt(&self, learnt: &Arc<Learnt>) -> bool {
        matches!(self, ReadingRef::Shared(own) if Arc::ptr_eq(own, learnt))
    }

    /// Whether both are one object.
    pub fn same(&self, other: &ReadingRef) -> bool {
        match other {
            ReadingRef::Static(reading) => self.is(reading),
            ReadingRef::Shared(learnt) => self.is_learnt(learnt),
        }
    }

    /// What it is called in `scheme`; none: that scheme does not have it.
    #[inline]
    pub fn face(&self, scheme: Scheme) -> Option<Face<'_>> {
        match self {
            ReadingRef::Static(reading) => reading.face(scheme),
            ReadingRef::Shared(learnt) => learnt.face(scheme),
        }
    }
}
