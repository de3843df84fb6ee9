//! What there was to deliver, written down by a destination of type `file`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{COMMON, own_name};
use crate::support::kernel;
use crate::support::prometheus::Prometheus;

#[derive(serde::Deserialize)]
struct Payload {
    timestamp_ms: i64,
    metrics: Vec<Sample>,
}

#[derive(serde::Deserialize)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    /// As text: serde_json's own reading of a number may be off in the last bit.
    value: Box<serde_json::value::RawValue>,
}

/// Each value of each tick.
pub struct Book(BTreeMap<(i64, String), f64>);

impl Book {
    pub fn read(path: &Path) -> Book {
        let mut values = BTreeMap::new();
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let payload: Payload = serde_json::from_str(line).unwrap();
            for metric in payload.metrics {
                let labels = metric.labels.iter().filter(|(name, _)| !COMMON.contains(&name.as_str()));
                let key = kernel::series(&metric.name, labels.map(|(name, value)| (name.as_str(), value.as_str())));
                values.insert((payload.timestamp_ms, key), metric.value.get().parse().unwrap());
            }
        }
        Book(values)
    }

    /// The same as a receiver has it whose times are whole seconds.
    pub fn in_seconds(self) -> Book {
        let second = |((time_ms, name), value): ((i64, String), f64)| ((time_ms.div_euclid(1000) * 1000, name), value);
        let count = self.0.len();
        let all: BTreeMap<_, _> = self.0.into_iter().map(second).collect();
        assert_eq!(all.len(), count, "two ticks in one second");
        Book(all)
    }

    pub fn times(&self) -> BTreeSet<i64> {
        self.0.keys().map(|(time_ms, _)| *time_ms).collect()
    }

    /// Each value is where it belongs in `server`, which may be off by the share `error` of
    /// it, and nothing else is.
    pub fn compare(&self, server: &Prometheus, error: f64) {
        let mut stored = BTreeMap::new();
        for series in server.samples(r#"{job="metricsd"}[1h]"#) {
            let name = own_name(&series);
            // VictoriaMetrics shows the mark of a series' end, a NaN, among its values.
            let values = series.samples.iter().filter(|(_, value)| !value.is_nan());
            stored.extend(values.map(|(time_ms, value)| ((*time_ms, name.clone()), *value)));
        }
        let stored = Book(stored);
        assert_eq!(stored.times(), self.times(), "ticks are missing or too many");
        let is_same = |stored: &f64, value: f64| (stored - value).abs() <= error * value.abs();
        let differ = self.0.iter().find(|(key, value)| !stored.0.get(*key).is_some_and(|it| is_same(it, **value)));
        let stored_is = differ.map(|(key, _)| stored.0.get(key));
        assert_eq!(differ, None, "of {} values; it has {stored_is:?}", self.0.len());
        assert_eq!(stored.0.len(), self.0.len());
    }
}
