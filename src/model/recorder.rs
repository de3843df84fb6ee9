//! What a collector writes to.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Frame, Labels, Metric, MetricRef, Schema, Series};

/// Takes a collector's samples of one round and makes a [`Frame`] of them.
///
/// It expects the same series in the same order as in the last round and compares by
/// address; while that holds, a push stores a number and nothing else. Where it breaks, a
/// new schema is made: the collector neither knows nor cares.
#[derive(Debug)]
pub struct Recorder {
    source: Arc<str>,
    max_series: usize,
    schema: Arc<Schema>,
    values: Vec<f64>,
    /// The series so far, from the moment this round departed from `schema`.
    changed: Option<Vec<Series>>,
    refused: Refused,
}

/// Samples that a [`Recorder`] did not take, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// Over the cap of series.
    pub max_series: u64,
    /// The same series a second time in one round.
    pub duplicate: u64,
}

impl Recorder {
    /// A recorder for the source `source` that takes at most `max_series` series a round.
    pub fn new(source: impl Into<Arc<str>>, max_series: usize) -> Recorder {
        Recorder {
            source: source.into(),
            max_series,
            schema: Arc::new(Schema::new([])),
            values: Vec::new(),
            changed: None,
            refused: Refused::default(),
        }
    }

    /// Adds one sample of a built-in metric. `labels` should be the object of the last round.
    ///
    /// Over the cap the sample is refused and counted, so that a host with 100,000
    /// interfaces can't take the agent down with it.
    #[inline]
    pub fn push(&mut self, metric: &'static Metric, labels: &Labels, value: f64) {
        self.push_ref(&MetricRef::Static(metric), labels, value);
    }

    /// [`Recorder::push`] for a metric learnt at run time.
    pub fn push_ref(&mut self, metric: &MetricRef, labels: &Labels, value: f64) {
        let at = self.values.len();
        if at >= self.max_series {
            self.refused.max_series += 1;
            return;
        }
        match &mut self.changed {
            None => {
                let expected = self.schema.series().get(at);
                if !expected.is_some_and(|s| s.metric.same(metric) && s.labels.same(labels)) {
                    let mut series = self.schema.series()[..at].to_vec();
                    series.push(Series { metric: metric.clone(), labels: labels.clone() });
                    self.changed = Some(series);
                }
            }
            Some(series) => series.push(Series { metric: metric.clone(), labels: labels.clone() }),
        }
        self.values.push(value);
    }

    /// Ends the round with the time at which it was read, in wall-clock milliseconds.
    pub fn finish(&mut self, time_ms: i64) -> Frame {
        if self.changed.is_none() && self.values.len() < self.schema.series().len() {
            self.changed = Some(self.schema.series()[..self.values.len()].to_vec());
        }
        if let Some(series) = self.changed.take() {
            self.adopt(series);
        }
        let values = Arc::from(&self.values[..]);
        self.values.clear();
        Frame { source: Arc::clone(&self.source), schema: Arc::clone(&self.schema), time_ms, values }
    }

    /// Forgets the round: its collector failed half-way, and half a truth is not sent.
    pub fn discard(&mut self) {
        self.values.clear();
        self.changed = None;
    }

    /// How many samples were refused since this was last asked.
    pub fn take_refused(&mut self) -> Refused {
        std::mem::take(&mut self.refused)
    }

    /// Takes `series` as the new schema, with the values already pushed. A series that a
    /// collector pushed twice would make every destination refuse the whole request, so
    /// only the first one is kept.
    fn adopt(&mut self, series: Vec<Series>) {
        let mut seen = HashSet::with_capacity(series.len());
        let mut keep: Vec<bool> = Vec::with_capacity(series.len());
        for s in &series {
            keep.push(seen.insert((&*s.metric.name, &s.labels)));
        }
        if keep.iter().all(|k| *k) {
            self.schema = Arc::new(Schema::new(series));
            return;
        }
        drop(seen);
        self.refused.duplicate += keep.iter().filter(|k| !**k).count() as u64;
        let mut kept = keep.iter();
        self.values.retain(|_| *kept.next().unwrap_or(&false));
        let mut kept = keep.iter();
        let mut series = series;
        series.retain(|_| *kept.next().unwrap_or(&false));
        self.schema = Arc::new(Schema::new(series));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static A: Metric = Metric::gauge("a", "", "a");
    static B: Metric = Metric::gauge("b", "", "b");

    fn names(frame: &Frame) -> Vec<(String, f64)> {
        frame.samples().map(|(s, v)| (s.metric.name.to_string(), v)).collect()
    }

    #[test]
    fn the_same_sequence_keeps_the_schema() {
        let mut out = Recorder::new("test", 10);
        let labels = Labels::of(&[("cpu", "0")]);
        out.push(&A, &labels, 1.0);
        out.push(&B, &Labels::EMPTY, 2.0);
        let first = out.finish(1);
        out.push(&A, &labels, 3.0);
        out.push(&B, &Labels::EMPTY, 4.0);
        let second = out.finish(2);
        assert!(Arc::ptr_eq(&first.schema, &second.schema));
        assert_eq!(names(&second), [("a".into(), 3.0), ("b".into(), 4.0)]);
    }

    #[test]
    fn a_series_that_comes_or_goes_makes_a_new_schema() {
        let mut out = Recorder::new("test", 10);
        out.push(&A, &Labels::EMPTY, 1.0);
        let one = out.finish(1);
        out.push(&A, &Labels::EMPTY, 1.0);
        out.push(&B, &Labels::EMPTY, 2.0);
        let two = out.finish(2);
        assert_ne!(one.schema.id(), two.schema.id());
        assert_eq!(names(&two), [("a".into(), 1.0), ("b".into(), 2.0)]);
        out.push(&A, &Labels::EMPTY, 5.0);
        let three = out.finish(3);
        assert_eq!(names(&three), [("a".into(), 5.0)]);
        let none = out.finish(4);
        assert!(none.values.is_empty() && none.schema.series().is_empty());
    }

    #[test]
    fn a_discarded_round_leaves_nothing_behind() {
        let mut out = Recorder::new("test", 10);
        out.push(&A, &Labels::EMPTY, 1.0);
        let one = out.finish(1);
        out.push(&B, &Labels::EMPTY, 2.0);
        out.discard();
        out.push(&A, &Labels::EMPTY, 3.0);
        let two = out.finish(2);
        assert!(Arc::ptr_eq(&one.schema, &two.schema));
        assert_eq!(names(&two), [("a".into(), 3.0)]);
    }

    #[test]
    fn over_the_cap_samples_are_refused_and_counted() {
        let mut out = Recorder::new("test", 1);
        out.push(&A, &Labels::EMPTY, 1.0);
        out.push(&B, &Labels::EMPTY, 2.0);
        assert_eq!(out.finish(1).values.len(), 1);
        assert_eq!(out.take_refused(), Refused { max_series: 1, duplicate: 0 });
        assert_eq!(out.take_refused(), Refused::default());
    }

    #[test]
    fn a_series_pushed_twice_is_kept_once() {
        let mut out = Recorder::new("test", 10);
        out.push(&A, &Labels::of(&[("x", "1")]), 1.0);
        out.push(&A, &Labels::of(&[("x", "1")]), 2.0);
        out.push(&B, &Labels::EMPTY, 3.0);
        let frame = out.finish(1);
        assert_eq!(names(&frame), [("a".into(), 1.0), ("b".into(), 3.0)]);
        assert_eq!(out.take_refused(), Refused { max_series: 0, duplicate: 1 });
    }
}
