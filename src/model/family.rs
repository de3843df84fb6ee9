//! What a metric family is: its name, help, unit and kind, in one naming scheme.

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family<'a> {
    /// Its name in its scheme. It may hold dots; a format that cannot hold these says how it
    /// writes them.
    pub name: &'a str,
    /// One sentence for people, without a line break.
    pub help: &'a str,
    /// Base unit, or empty: OpenMetrics' words (`bytes`, `seconds`, `percent`), in the scheme
    /// of OpenTelemetry those of UCUM (`By`, `s`).
    pub unit: &'a str,
    /// How its values behave.
    pub kind: Kind,
}

impl<'a> Family<'a> {
    /// A family.
    pub const fn new(kind: Kind, name: &'a str, unit: &'a str, help: &'a str) -> Family<'a> {
        Family { name, help, unit, kind }
    }

    /// The name that Prometheus' formats give to the whole of it: the series of a histogram or a summary
    /// carry a suffix of their own.
    pub fn base(&self) -> &'a str {
        let suffixes: &[&str] = match self.kind {
            Kind::Histogram => &["_bucket", "_sum", "_count"],
            Kind::Summary => &["_sum", "_count"],
            _ => &[],
        };
        suffixes.iter().find_map(|suffix| self.name.strip_suffix(suffix)).unwrap_or(self.name)
    }

    /// A gauge.
    pub const fn gauge(name: &'a str, unit: &'a str, help: &'a str) -> Family<'a> {
        Family::new(Kind::Gauge, name, unit, help)
    }

    /// A counter; in the schemes of Prometheus its name ends in `_total`.
    pub const fn counter(name: &'a str, unit: &'a str, help: &'a str) -> Family<'a> {
        Family::new(Kind::Counter, name, unit, help)
    }

    /// A number of which nobody says how it behaves.
    pub const fn untyped(name: &'a str, unit: &'a str, help: &'a str) -> Family<'a> {
        Family::new(Kind::Untyped, name, unit, help)
    }
}
