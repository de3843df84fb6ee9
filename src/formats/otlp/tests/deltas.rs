//! What grows, sent as what came since the point before.

use super::scraped::{HISTOGRAM, SUMMARY};
use super::*;

/// A source of a counter, a histogram of two buckets, a gauge, a summary and a part of a whole.
struct Growing {
    out: Recorder,
    time_ms: i64,
}

impl Growing {
    fn new() -> Growing {
        Growing { out: Recorder::new("s", 100), time_ms: TIME_MS }
    }

    /// The next batch, a second later: of a counter of that value, and of a histogram with these counts and sum.
    fn batch(&mut self, total: f64, [low, all, sum]: [f64; 3]) -> Batch {
        static READINGS: std::sync::LazyLock<[Arc<crate::model::Learnt>; 7]> = std::sync::LazyLock::new(|| {
            let of = |family, labels: &[Label<'_>]| Arc::new(crate::model::Learnt::everywhere(family, labels));
            let le = |value| [Label::Constant { name: "le", value }];
            [
                of(TOTAL, &[]),
                of(HISTOGRAM("x_bucket"), &le("1")),
                of(HISTOGRAM("x_bucket"), &le("+Inf")),
                of(HISTOGRAM("x_sum"), &[]),
                of(USAGE, &[]),
                of(SUMMARY("s_count"), &[]),
                of(Family::new(Kind::UpDown, "part", "", ""), &[]),
            ]
        });
        let values = [total, low, all, sum, 12.5, 20.0, 3.0];
        // The histogram's series are an item, all others each its own.
        for (item, range) in [("t", 0..1), ("x", 1..4), ("g", 4..5), ("s", 5..6), ("p", 6..7)] {
            let item = Item::new(&[item]);
            let mut out = self.out.item(&item);
            range.for_each(|at| out.push_learnt(&READINGS[at], values[at]));
        }
        self.time_ms += 1000;
        host(Batch::new(self.time_ms, Arc::default(), vec![self.out.finish(self.time_ms)]))
    }
}

#[test]
fn deltas_cover_time_without_gap_or_overlap_and_never_a_first_value() {
    for encoding in Encoding::ALL {
        let options = options(encoding, Compression::None).with(Temporality::Delta);
        let mut encoder = encoder(&options, testing::from(Labels::EMPTY));
        let mut source = Growing::new();
        let second = |nth: u64| TIME_NS + nth * 1_000_000_000;
        let mut round = |total, histogram| {
            let batch = source.batch(total, histogram);
            let (body, encoded) = testing::encode(&mut *encoder, &batch);
            let request = decode(&encoder.content(), &body);
            let mut words = Vec::new();
            for metric in &request.resource_metrics[0].scope_metrics[0].metrics {
                words.push(match metric.data.as_ref().unwrap() {
                    metric::Data::Sum(sum) => {
                        let point = &sum.data_points[0];
                        assert_eq!(
                            sum.is_monotonic,
                            sum.aggregation_temporality == AggregationTemporality::Delta as i32
                        );
                        (value(point).unwrap(), vec![], point.start_time_unix_nano, point.time_unix_nano)
                    }
                    metric::Data::Histogram(one) => {
                        assert_eq!(one.aggregation_temporality, AggregationTemporality::Delta as i32);
                        let point = &one.data_points[0];
                        let counts = point.bucket_counts.clone();
                        (point.sum.unwrap(), counts, point.start_time_unix_nano, point.time_unix_nano)
                    }
                    metric::Data::Gauge(one) => {
                        (value(&one.data_points[0]).unwrap(), vec![], 0, one.data_points[0].time_unix_nano)
                    }
                    metric::Data::Summary(one) => {
                        (one.data_points[0].count as f64, vec![], 0, one.data_points[0].time_unix_nano)
                    }
                    other => panic!("{other:?}"),
                });
            }
            assert_eq!(encoded.samples, words.len() as u64);
            assert_eq!(encoded.unencodable, 0);
            words.sort_by(|a, b| (a.3, a.0).partial_cmp(&(b.3, b.0)).unwrap());
            words
        };
        // A gauge, a summary and a part that goes up and down are what they were, without a start.
        let others =
            |nth| [(3.0, vec![], 0, second(nth)), (12.5, vec![], 0, second(nth)), (20.0, vec![], 0, second(nth))];
        assert_eq!(round(100.0, [5.0, 9.0, 50.0]), others(1));
        let with = |nth, total: f64, (sum, counts): (f64, [u64; 2])| {
            let mut all = others(nth).to_vec();
            all.push((total, vec![], second(nth - 1), second(nth)));
            all.push((sum, counts.to_vec(), second(nth - 1), second(nth)));
            all.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap());
            all
        };
        assert_eq!(round(107.0, [6.0, 12.0, 75.0]), with(2, 7.0, (25.0, [1, 2])));
        // Both were set back. What has come since is what they hold, though one bucket holds more than before.
        assert_eq!(round(4.0, [8.0, 10.0, 66.0]), with(3, 4.0, (66.0, [8, 2])));
        assert_eq!(round(4.0, [8.0, 10.0, 66.0]), with(4, 0.0, (0.0, [0, 0])));
    }
}

#[test]
fn a_sum_that_falls_or_is_no_number_costs_no_observation() {
    let options = options(Encoding::Protobuf, Compression::None).with(Temporality::Delta);
    let mut encoder = encoder(&options, testing::from(Labels::EMPTY));
    let mut growing = Growing::new();
    let mut round = |numbers| {
        let (body, encoded) = testing::encode(&mut *encoder, &growing.batch(1.0, numbers));
        assert_eq!(encoded.unencodable, 0);
        let request = decode(&encoder.content(), &body);
        let mut metrics = request.resource_metrics[0].scope_metrics[0].metrics.iter();
        metrics.find_map(|metric| match metric.data.as_ref()? {
            metric::Data::Histogram(one) => Some((one.data_points[0].bucket_counts.clone(), one.data_points[0].sum)),
            _ => None,
        })
    };
    assert_eq!(round([0.0, 1.0, 5.0]), None);
    assert_eq!(round([1.0, 2.0, 3.0]), Some((vec![1, 0], Some(-2.0))));
    assert_eq!(round([1.0, 3.0, 4.0]), Some((vec![0, 1], Some(1.0))));
    assert_eq!(round([31.0, 63.0, -496.0]), Some((vec![30, 30], Some(-500.0))));
    assert_eq!(round([31.0, 64.0, f64::NAN]), Some((vec![0, 1], None)));
    assert_eq!(round([31.0, 65.0, -490.0]), Some((vec![0, 1], None)), "its sum came of a longer time");
    assert_eq!(round([31.0, 66.0, -489.0]), Some((vec![0, 1], Some(1.0))));
    assert_eq!(round([1.0, 2.0, 600.0]), Some((vec![1, 1], Some(600.0))), "its count fell");
}

#[test]
fn a_bound_that_is_new_costs_no_observation() {
    new_bounds(Recorder::new("s", 100), None);
    // Where it counts from 0, its first value is what has come since then; a bound that is new is not of that time.
    new_bounds(Recorder::new("s", 100).since(TIME_MS), Some((vec![1.0], vec![2, 3], 20.0)));
}

/// What a histogram of `out` gives, whose bounds are others now and then: `first` in the first round that has it.
fn new_bounds(mut out: Recorder, first: Option<(Vec<f64>, Vec<u64>, f64)>) {
    let options = options(Encoding::Protobuf, Compression::None).with(Temporality::Delta);
    let mut encoder = encoder(&options, testing::from(Labels::EMPTY));
    let mut time_ms = TIME_MS;
    let mut round = |series: &[(&'static str, f64)]| {
        let item = Item::new(&["x"]);
        let mut writer = (!series.is_empty()).then(|| out.item(&item));
        for (name, value) in series {
            let (name, labels) = match name.strip_prefix("le=") {
                Some(bound) => ("x_bucket", vec![Label::Constant { name: "le", value: bound }]),
                None => (*name, Vec::new()),
            };
            let reading = Arc::new(crate::model::Learnt::everywhere(HISTOGRAM(name), &labels));
            writer.as_mut().unwrap().push_learnt(&reading, *value);
        }
        drop(writer);
        time_ms += 1000;
        let batch = host(Batch::new(time_ms, Arc::default(), vec![out.finish(time_ms)]));
        let (body, _) = testing::encode(&mut *encoder, &batch);
        let request = decode(&encoder.content(), &body);
        let metric = &request.resource_metrics.first()?.scope_metrics[0].metrics[0];
        let metric::Data::Histogram(one) = metric.data.as_ref()? else { panic!("{metric:?}") };
        let point = &one.data_points[0];
        assert_eq!(point.count, point.bucket_counts.iter().sum::<u64>());
        Some((point.explicit_bounds.clone(), point.bucket_counts.clone(), point.sum?))
    };
    assert_eq!(round(&[]), None);
    assert_eq!(round(&[("le=1", 2.0), ("le=+Inf", 5.0), ("x_sum", 20.0), ("x_count", 5.0)]), first);
    // One came at most 1 large, and three more: of these one is at most 2 large, which nobody can tell yet.
    let wider = [("le=0.5", 1.0), ("le=1", 3.0), ("le=2", 6.0), ("le=+Inf", 9.0), ("x_sum", 30.0), ("x_count", 9.0)];
    assert_eq!(round(&wider), Some((vec![0.5, 1.0, 2.0], vec![0, 1, 0, 3], 10.0)));
    let later = [("le=0.5", 2.0), ("le=1", 4.0), ("le=2", 8.0), ("le=+Inf", 11.0), ("x_sum", 31.0), ("x_count", 11.0)];
    assert_eq!(round(&later), Some((vec![0.5, 1.0, 2.0], vec![1, 0, 1, 0], 1.0)));
    // Fewer bounds, of which each was there.
    let fewer = [("le=1", 5.0), ("le=+Inf", 13.0), ("x_sum", 33.0), ("x_count", 13.0)];
    assert_eq!(round(&fewer), Some((vec![1.0], vec![1, 1], 2.0)));
}

#[test]
fn what_a_body_of_deltas_held_is_in_no_other_one() {
    let options = options(Encoding::Protobuf, Compression::None).with(Temporality::Delta);
    let mut encoder = encoder(&options, testing::from(Labels::EMPTY));
    let mut source = Growing::new();
    let mut total = 0.0;
    let mut sum = 0.0;
    let mut last_end = None;
    for nth in 1..50 {
        let more = f64::from(nth % 7);
        total += more;
        let batch = source.batch(total, [0.0, 0.0, 0.0]);
        // What becomes of the body is not the encoder's to know.
        let (body, _) = testing::encode(&mut *encoder, &batch);
        let of = points_of_sum(&decode(&encoder.content(), &body), "test_bytes_total");
        if let Some((increase, start, end)) = of {
            assert_eq!((increase, last_end.unwrap_or(start)), (more, start));
            sum += increase;
            last_end = Some(end);
        }
    }
    assert_eq!(sum, total - 1.0, "all but the first");
    // It ends as what it was.
    let gone = host(Batch::new(source.time_ms + 1, Arc::default(), vec![Frame::ended("s", source.time_ms + 1)]));
    let (body, encoded) = testing::encode(&mut *encoder, &gone);
    assert_eq!(encoded.markers, 5);
    let request = decode(&encoder.content(), &body);
    let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
    let is_delta = |metric: &opentelemetry_proto::tonic::metrics::v1::Metric| match metric.data.as_ref().unwrap() {
        metric::Data::Sum(one) => one.aggregation_temporality == AggregationTemporality::Delta as i32,
        metric::Data::Histogram(one) => one.aggregation_temporality == AggregationTemporality::Delta as i32,
        _ => false,
    };
    assert_eq!(metrics.iter().filter(|metric| is_delta(metric)).count(), 2);
}

/// Value, start and time of the only point of a sum of that name.
fn points_of_sum(request: &ExportMetricsServiceRequest, name: &str) -> Option<(f64, u64, u64)> {
    let mut metrics = request.resource_metrics[0].scope_metrics[0].metrics.iter();
    let metric::Data::Sum(sum) = metrics.find(|metric| metric.name == name)?.data.as_ref()? else { return None };
    let [point] = &sum.data_points[..] else { panic!("{sum:?}") };
    Some((value(point)?, point.start_time_unix_nano, point.time_unix_nano))
}
