//! A point: the numbers of a stream of one moment, whatever the encoding.

/// What a metric's points are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Data {
    /// Values by themselves.
    Gauge,
    /// Totals since a start.
    Sum {
        /// Whether they only grow.
        is_monotonic: bool,
        /// Whether the start is that of the point before.
        is_delta: bool,
    },
    /// Observations by bucket since a start.
    Histogram {
        /// Whether the start is that of the point before.
        is_delta: bool,
    },
    /// Quantiles of observations.
    Summary,
}

impl Data {
    /// OTLP's `AggregationTemporality`, where it has one.
    pub fn temporality(self) -> Option<u64> {
        match self {
            Data::Sum { is_delta, .. } | Data::Histogram { is_delta } => {
                Some(if is_delta { DELTA } else { CUMULATIVE })
            }
            Data::Gauge | Data::Summary => None,
        }
    }

    /// Whether its points count since the point before.
    pub fn is_delta(self) -> bool {
        self.temporality() == Some(DELTA)
    }

    /// Whether its points count since a start.
    pub fn has_start(self) -> bool {
        self != Data::Gauge
    }
}

/// OTLP's `AGGREGATION_TEMPORALITY_DELTA`.
pub const DELTA: u64 = 1;

/// OTLP's `AGGREGATION_TEMPORALITY_CUMULATIVE`.
pub const CUMULATIVE: u64 = 2;

/// OTLP's `DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK`.
pub const NO_RECORDED_VALUE: u64 = 1;

/// A stream's numbers of one moment.
pub struct Point<'p> {
    /// As the encoding wrote them.
    pub attributes: &'p [u8],
    /// Since when it counts, in nanoseconds since the UNIX epoch; none: not known.
    pub start_ns: Option<u64>,
    /// Nanoseconds since the UNIX epoch.
    pub time_ns: u64,
    /// The numbers.
    pub value: Value<'p>,
    /// What it refers to, as the encoding wrote it.
    pub exemplars: &'p [u8],
}

/// An observation that a point counts.
pub struct Exemplar<'e> {
    /// What it belongs to, besides the next two; sorted by name.
    pub labels: &'e [(&'e str, &'e str)],
    /// The trace, where it has one.
    pub trace_id: Option<[u8; 16]>,
    /// The span, likewise.
    pub span_id: Option<[u8; 8]>,
    /// What was observed.
    pub value: f64,
    /// Nanoseconds since the UNIX epoch.
    pub time_ns: u64,
}

/// A point's numbers.
#[derive(Clone, Copy)]
pub enum Value<'p> {
    /// Of a gauge or a sum.
    Number(f64),
    /// Of a histogram.
    Histogram {
        /// How many observations there were.
        count: u64,
        /// Their sum, where it is known.
        sum: Option<f64>,
        /// How many there were in each bucket: one more than there are bounds.
        counts: &'p [u64],
        /// The upper bounds of all buckets but the last.
        bounds: &'p [f64],
    },
    /// Of a summary.
    Summary {
        /// How many observations there were.
        count: u64,
        /// Their sum.
        sum: f64,
        /// Each quantile with its value.
        quantiles: &'p [(f64, f64)],
    },
    /// None: the stream has ended.
    Ended(Data),
}

/// Milliseconds as the nanoseconds that OTLP has; what it cannot hold becomes what is next to it.
pub fn nanos(ms: i64) -> u64 {
    u64::try_from(ms).unwrap_or(0).saturating_mul(1_000_000)
}
