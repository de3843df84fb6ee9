//! What a metric family is: its name, help, unit and kind, in one naming scheme.

use std::borrow::Cow;

/// How a family's values behave over time, and what its series are together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only grows, until its source restarts.
    Counter,
    /// A sum of parts that goes up and down: OTLP's non-monotonic sum, a gauge elsewhere.
    UpDown,
    /// Nobody says.
    Untyped,
    /// Buckets (`le`), a sum and a count.
    Histogram,
    /// Quantiles (`quantile`), a sum and a count.
    Summary,
    /// Always 1; what it says is in its labels.
    Info,
    /// One series a state, 1 for the one that holds.
    StateSet,
}

impl Kind {
    /// The word that Prometheus text and the JSON payload use.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Gauge | Kind::UpDown | Kind::Info | Kind::StateSet => "gauge",
            Kind::Counter => "counter",
            Kind::Untyped => "untyped",
            Kind::Histogram => "histogram",
            Kind::Summary => "summary",
        }
    }
}

/// A metric family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// Its name in its scheme. It may hold dots; a format that cannot hold these says how it
    /// writes them.
    pub name: Cow<'static, str>,
    /// One sentence for people, without a line break.
    pub help: Cow<'static, str>,
    /// Base unit, or empty: OpenMetrics' words (`bytes`, `seconds`, `percent`), in the scheme
    /// of OpenTelemetry those of UCUM (`By`, `s`).
    pub unit: Cow<'static, str>,
    /// How its values behave.
    pub kind: Kind,
}

impl Family {
    /// A built-in family.
    pub const fn new(kind: Kind, name: &'static str, unit: &'static str, help: &'static str) -> Family {
        Family { name: Cow::Borrowed(name), help: Cow::Borrowed(help), unit: Cow::Borrowed(unit), kind }
    }

    /// A built-in gauge.
    pub const fn gauge(name: &'static str, unit: &'static str, help: &'static str) -> Family {
        Family::new(Kind::Gauge, name, unit, help)
    }

    /// A built-in counter; in the schemes of Prometheus its name ends in `_total`.
    pub const fn counter(name: &'static str, unit: &'static str, help: &'static str) -> Family {
        Family::new(Kind::Counter, name, unit, help)
    }
}
