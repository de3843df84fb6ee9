//! What a metric family is: its name, help, unit and kind.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;

/// How a family's values behave over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only grows, until its source restarts.
    Counter,
}

impl Kind {
    /// The word that Prometheus text, OpenMetrics and the JSON payload use.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        }
    }
}

/// A metric family. `static` for everything built in, shared for what is learnt at run time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The native name (`system_memory_total_bytes`), valid in the Prometheus data model.
    /// A naming scheme other than the native one gets a field of its own beside this one.
    pub name: Cow<'static, str>,
    /// One sentence for people, without a line break.
    pub help: Cow<'static, str>,
    /// Base unit in OpenMetrics' words (`bytes`, `seconds`, `percent`), or empty.
    pub unit: &'static str,
    /// Counter or gauge.
    pub kind: Kind,
}

impl Metric {
    /// A built-in gauge.
    pub const fn gauge(name: &'static str, unit: &'static str, help: &'static str) -> Metric {
        Metric { name: Cow::Borrowed(name), help: Cow::Borrowed(help), unit, kind: Kind::Gauge }
    }

    /// A built-in counter; its name ends in `_total`.
    pub const fn counter(name: &'static str, unit: &'static str, help: &'static str) -> Metric {
        Metric { name: Cow::Borrowed(name), help: Cow::Borrowed(help), unit, kind: Kind::Counter }
    }
}

/// A cheap handle on a [`Metric`], compared by address in the steady state.
#[derive(Clone, Debug)]
pub enum MetricRef {
    /// Built in.
    Static(&'static Metric),
    /// Learnt at run time.
    Shared(Arc<Metric>),
}

impl MetricRef {
    /// Whether both are the very same family object.
    pub fn same(&self, other: &MetricRef) -> bool {
        std::ptr::eq::<Metric>(&**self, &**other)
    }
}

impl Deref for MetricRef {
    type Target = Metric;

    fn deref(&self) -> &Metric {
        match self {
            MetricRef::Static(metric) => metric,
            MetricRef::Shared(metric) => metric,
        }
    }
}

impl From<&'static Metric> for MetricRef {
    fn from(metric: &'static Metric) -> MetricRef {
        MetricRef::Static(metric)
    }
}

impl From<&Arc<Metric>> for MetricRef {
    fn from(metric: &Arc<Metric>) -> MetricRef {
        MetricRef::Shared(Arc::clone(metric))
    }
}
