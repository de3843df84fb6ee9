//! A number that a collector knows how to give, and what it is called in each naming scheme.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;

use super::{Family, Scheme};

/// One number that a collector knows how to give: a family in each scheme that has it. What is
/// one metric in a scheme and several in another is several readings.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// In metricsd's own names.
    pub native: Option<Face>,
    /// In node_exporter's.
    pub node: Option<Face>,
    /// In OpenTelemetry's.
    pub otel: Option<Face>,
}

impl Reading {
    /// What it is called in `scheme`; none: that scheme does not have it.
    pub fn face(&self, scheme: Scheme) -> Option<&Face> {
        match scheme {
            Scheme::Native => self.native.as_ref(),
            Scheme::NodeExporter => self.node.as_ref(),
            Scheme::Otel => self.otel.as_ref(),
        }
    }
}

/// A reading as one scheme has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Face {
    /// The family that it is a series of.
    pub family: Family,
    /// What its number is multiplied with.
    pub factor: f64,
    /// Its labels.
    pub labels: Cow<'static, [Label]>,
}

/// Where a series' label comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// The value of the item's key at the place `at`.
    Key {
        /// The label's name in this scheme.
        name: &'static str,
        /// Which value of the key.
        at: usize,
        /// What stands in front of it here (`cpu` in `cpu0`).
        prefix: &'static str,
    },
    /// The same for every item (`state="used"`).
    Constant {
        /// The label's name.
        name: &'static str,
        /// Its value.
        value: &'static str,
    },
}

impl Label {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Label::Key { name, .. } | Label::Constant { name, .. } => name,
        }
    }

    /// The value of the key at `at`, as the label `name`.
    pub const fn key(name: &'static str, at: usize) -> Label {
        Label::Key { name, at, prefix: "" }
    }

    /// The same with `prefix` in front of the value.
    pub const fn prefixed(name: &'static str, at: usize, prefix: &'static str) -> Label {
        Label::Key { name, at, prefix }
    }

    /// A label that is the same for every item.
    pub const fn constant(name: &'static str, value: &'static str) -> Label {
        Label::Constant { name, value }
    }
}

/// A reading's face of built-in names, in the unit that it is read in.
pub const fn face(family: Family, labels: &'static [Label]) -> Option<Face> {
    scaled(family, labels, 1.0)
}

/// A reading's face of built-in names whose numbers are those that are read, times `factor`.
pub const fn scaled(family: Family, labels: &'static [Label], factor: f64) -> Option<Face> {
    Some(Face { family, factor, labels: Cow::Borrowed(labels) })
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

/// A cheap handle on a [`Reading`], compared by address.
#[derive(Clone, Debug)]
pub enum ReadingRef {
    /// Built in.
    Static(&'static Reading),
    /// Learnt at run time.
    Shared(Arc<Reading>),
}

impl ReadingRef {
    /// Whether it is the very object `reading`.
    #[inline]
    pub fn is(&self, reading: &Reading) -> bool {
        std::ptr::eq::<Reading>(&**self, reading)
    }
}

impl Deref for ReadingRef {
    type Target = Reading;

    #[inline]
    fn deref(&self) -> &Reading {
        match self {
            ReadingRef::Static(reading) => reading,
            ReadingRef::Shared(reading) => reading,
        }
    }
}
