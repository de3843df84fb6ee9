//! What was scraped arrives as what it was on its page.

use super::*;

/// Family, labels and value of a series.
type Sample<'s> = (Family<'static>, &'s [(&'s str, &'s str)], f64);

/// A frame of what an OpenMetrics page may hold, by native names, in one item each.
fn scraped(items: &[&[Sample<'_>]]) -> Frame {
    let scheme = [("url.scheme".into(), "http".into())].into();
    let mut out = Recorder::new("endpoints/app", 1000).with_attributes(scheme).of_unknown_start();
    for (at, item) in items.iter().enumerate() {
        let key = Item::new(&[&at.to_string()]);
        let mut out = out.item(&key);
        for (family, labels, value) in *item {
            let target = [("instance", "h:1"), ("job", "app")].into_iter();
            let labels: Vec<Label<'_>> =
                labels.iter().copied().chain(target).map(|(name, value)| Label::Constant { name, value }).collect();
            out.push_learnt(&Arc::new(crate::model::Learnt::everywhere(*family, &labels)), *value);
        }
    }
    out.finish(TIME_MS)
}

pub const HISTOGRAM: fn(&'static str) -> Family<'static> =
    |name| Family::new(Kind::Histogram, name, "seconds", "Durations.");
pub const SUMMARY: fn(&'static str) -> Family<'static> = |name| Family::new(Kind::Summary, name, "bytes", "Sizes.");
/// 2023-11-14T22:00:00Z.
const CREATED_S: f64 = 1_699_999_200.25;

/// What [`scraped`] says of its target's resource.
const SCHEME: &str = ",url.scheme=http";

/// All metrics of a request by name, whose resource is the target's.
fn by_name(request: &ExportMetricsServiceRequest, more: &str) -> BTreeMap<String, metric::Data> {
    let [of] = &request.resource_metrics[..] else { panic!("{request:?}") };
    let resource = pairs(&of.resource.as_ref().unwrap().attributes);
    assert_eq!(resource, format!("server.address=h,server.port=1,service.instance.id=h:1,service.name=app{more}"));
    let all = of.scope_metrics[0].metrics.iter();
    all.map(|metric| (format!("{} {}", metric.name, metric.unit), metric.data.clone().unwrap())).collect()
}

#[test]
fn a_scraped_histogram_a_summary_and_a_counter_are_what_they_were() {
    let created = |name| Family::gauge(name, "seconds", "Durations.");
    let histogram: &[Sample<'_>] = &[
        (HISTOGRAM("x_bucket"), &[("le", "0.5"), ("path", "/")], 2.0),
        (HISTOGRAM("x_bucket"), &[("le", "10"), ("path", "/")], 5.0),
        (HISTOGRAM("x_bucket"), &[("le", "+Inf"), ("path", "/")], 6.0),
        (HISTOGRAM("x_count"), &[("path", "/")], 6.0),
        (HISTOGRAM("x_sum"), &[("path", "/")], 40.5),
        (created("x_created"), &[("path", "/")], CREATED_S),
    ];
    let summary: &[Sample<'_>] = &[
        (SUMMARY("s"), &[("quantile", "0.5")], 1.5),
        (SUMMARY("s"), &[("quantile", "0.99")], 9.5),
        (SUMMARY("s_sum"), &[], 100.0),
        (SUMMARY("s_count"), &[], 20.0),
    ];
    let counter: &[Sample<'_>] =
        &[(Family::counter("c_total", "", ""), &[], 3.0), (created("c_created"), &[], CREATED_S)];
    // Of times to come, which is nonsense.
    let later: &[Sample<'_>] = &[(Family::counter("d_total", "", ""), &[], 3.0), (created("d_created"), &[], 2e9)];
    for options in all_options() {
        let mut encoder = encoder(&options, testing::from(Labels::EMPTY));
        let batch = |frame| host(Batch::new(TIME_MS, Arc::default(), vec![frame]));
        let (body, encoded) = testing::encode(&mut *encoder, &batch(scraped(&[histogram, summary, counter, later])));
        assert_eq!(encoded, Encoded { samples: 4, markers: 0, unencodable: 0 });
        let found = by_name(&decode(&encoder.content(), &body), SCHEME);
        assert_eq!(found.keys().collect::<Vec<_>>(), ["c_total ", "d_total ", "s By", "x s"]);
        let start = 1_699_999_200_250_000_000;

        let metric::Data::Histogram(x) = &found["x s"] else { panic!("{found:?}") };
        assert_eq!(x.aggregation_temporality, AggregationTemporality::Cumulative as i32);
        let [x] = &x.data_points[..] else { panic!("{x:?}") };
        assert_eq!((x.start_time_unix_nano, x.time_unix_nano, x.flags), (start, TIME_NS, 0));
        assert_eq!((&x.explicit_bounds[..], &x.bucket_counts[..]), (&[0.5, 10.0][..], &[2, 3, 1][..]));
        assert_eq!((x.count, x.sum, pairs(&x.attributes)), (6, Some(40.5), "path=/".into()));

        let metric::Data::Summary(s) = &found["s By"] else { panic!("{found:?}") };
        let [s] = &s.data_points[..] else { panic!("{s:?}") };
        let quantiles: Vec<_> = s.quantile_values.iter().map(|one| (one.quantile, one.value)).collect();
        assert_eq!((s.count, s.sum, &quantiles[..]), (20, 100.0, &[(0.5, 1.5), (0.99, 9.5)][..]));
        assert_eq!((s.start_time_unix_nano, s.time_unix_nano), (0, TIME_NS));

        for (name, expected) in [("c_total ", start), ("d_total ", 0)] {
            let metric::Data::Sum(sum) = &found[name] else { panic!("{found:?}") };
            let [point] = &sum.data_points[..] else { panic!("{sum:?}") };
            assert_eq!((value(point), point.start_time_unix_nano, sum.is_monotonic), (Some(3.0), expected, true));
        }

        // They end as one stream each, and the times at which they began are none.
        let list = &mut Vec::new();
        encoder.sent().write(list).unwrap();
        let gone = host(Batch::new(TIME_MS + 1, Arc::default(), vec![Frame::ended("endpoints/app", TIME_MS + 1)]));
        let (body, encoded) = testing::encode(&mut *encoder_after(&mut *encoder, &options, &Labels::EMPTY), &gone);
        assert_eq!(encoded, Encoded { samples: 0, markers: 4, unencodable: 0 });
        let ended = by_name(&decode(&encoder.content(), &body), "");
        let metric::Data::Histogram(x) = &ended["x s"] else { panic!("{ended:?}") };
        assert_eq!((x.data_points[0].flags, x.data_points[0].bucket_counts.len()), (1, 0));
        assert_eq!(pairs(&x.data_points[0].attributes), "path=/");
        let metric::Data::Summary(s) = &ended["s By"] else { panic!("{ended:?}") };
        assert_eq!((s.data_points[0].flags, s.data_points[0].time_unix_nano), (1, TIME_NS + 1_000_000));
        // Who has seen the target knows more of it.
        let (body, _) = testing::encode(&mut *encoder, &gone);
        assert_eq!(by_name(&decode(&encoder.content(), &body), SCHEME).len(), 4);
    }
}

#[test]
fn broken_histograms_are_left_out_and_counted_or_stay_series() {
    for options in all_options() {
        let encode = |buckets: &[(&str, f64)]| {
            let mut encoder = encoder(&options, testing::from(Labels::EMPTY));
            let labels: Vec<_> = buckets.iter().map(|(le, _)| [("le", *le)]).collect();
            let each = buckets.iter().zip(&labels);
            let item: Vec<Sample<'_>> = each.map(|((_, value), le)| (HISTOGRAM("x_bucket"), &le[..], *value)).collect();
            let frame = scraped(&[&item]);
            let (body, encoded) =
                testing::encode(&mut *encoder, &host(Batch::new(TIME_MS, Arc::default(), vec![frame])));
            let names = if body.is_empty() {
                Vec::new()
            } else {
                by_name(&decode(&encoder.content(), &body), SCHEME).into_keys().collect()
            };
            (names, encoded.samples, encoded.unencodable)
        };
        // Its numbers are no counts in this round.
        let none = (Vec::<String>::new(), 0, 1);
        assert_eq!(encode(&[("1", 5.0), ("+Inf", 4.0)]), none, "not monotone");
        assert_eq!(encode(&[("1", f64::NAN), ("+Inf", 4.0)]), none);
        assert_eq!(encode(&[("1", -1.0), ("+Inf", 4.0)]), none);
        // It has no count: what there is goes as it is.
        assert_eq!(encode(&[("1", 5.0), ("2", 6.0)]), (vec!["x_bucket s".to_owned()], 2, 0));
        assert_eq!(encode(&[("+Inf", 4.0)]), (vec!["x s".to_owned()], 1, 0));
    }
}

#[test]
fn a_bucket_that_ends_leaves_its_histogram_alive() {
    let bucket = |le: &'static str| (HISTOGRAM("x_bucket"), le, 4.0);
    let frame = |out: &mut Recorder, readings: &[Arc<crate::model::Learnt>], time_ms| {
        let key = Item::new(&["x"]);
        let mut item = out.item(&key);
        readings.iter().for_each(|reading| item.push_learnt(reading, 4.0));
        drop(item);
        host(Batch::new(time_ms, Arc::default(), vec![out.finish(time_ms)]))
    };
    let readings: Vec<_> = ["1", "2", "+Inf"]
        .map(|le| {
            let (family, le, _) = bucket(le);
            let labels =
                [("instance", "h:1"), ("job", "app"), ("le", le)].map(|(name, value)| Label::Constant { name, value });
            Arc::new(crate::model::Learnt::everywhere(family, &labels))
        })
        .into();
    let mut encoder = encoder(&options(Encoding::Protobuf, Compression::None), testing::from(Labels::EMPTY));
    let mut out = Recorder::new("endpoints/app", 1000);
    let (_, encoded) = testing::encode(&mut *encoder, &frame(&mut out, &readings, TIME_MS));
    assert_eq!(encoded, Encoded { samples: 1, markers: 0, unencodable: 0 });
    let (body, encoded) = testing::encode(&mut *encoder, &frame(&mut out, &readings[1..], TIME_MS + 1));
    assert_eq!(encoded, Encoded { samples: 1, markers: 0, unencodable: 0 });
    let found = by_name(&decode(&encoder.content(), &body), "");
    let metric::Data::Histogram(x) = &found["x s"] else { panic!("{found:?}") };
    assert_eq!(x.data_points[0].explicit_bounds, [2.0]);
    // Without its last buckets it is none, and what is left are series.
    let (_, encoded) = testing::encode(&mut *encoder, &frame(&mut out, &readings[1..2], TIME_MS + 2));
    assert_eq!(encoded, Encoded { samples: 1, markers: 1, unencodable: 0 });
}

#[test]
fn info_and_states_are_sums_that_say_what_they_were() {
    let kinds = [(Kind::Info, "info"), (Kind::StateSet, "stateset"), (Kind::Untyped, "unknown")];
    for (kind, word) in kinds {
        let family = Family::new(kind, "x", "", "");
        for options in all_options() {
            let mut encoder = encoder(&options, testing::from(Labels::EMPTY));
            let frame = scraped(&[&[(family, &[("x", "a")], 1.0)]]);
            let (body, _) = testing::encode(&mut *encoder, &host(Batch::new(TIME_MS, Arc::default(), vec![frame])));
            let request = decode(&encoder.content(), &body);
            let metric = &request.resource_metrics[0].scope_metrics[0].metrics[0];
            assert_eq!(pairs(&metric.metadata), format!("prometheus.type={word}"));
            match metric.data.as_ref().unwrap() {
                metric::Data::Sum(sum) => assert!(!sum.is_monotonic && kind != Kind::Untyped),
                metric::Data::Gauge(_) => assert_eq!(kind, Kind::Untyped),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn exemplars_of_counters_and_buckets_are_sent_with_trace_and_span() {
    let exemplar = |labels: &[(&str, &str)], value, time_ms| {
        let labels = labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Arc::new(crate::model::Exemplar { labels, value, time_ms })
    };
    let traced = exemplar(
        &[("a", "1"), ("span_id", "00f067aa0ba902b7"), ("trace_id", "4BF92f3577b34da6a3ce929d0e0e4736")],
        0.25,
        Some(TIME_MS - 7),
    );
    // No ids of OpenTelemetry's, and no time of its own.
    let other = exemplar(&[("span_id", "0000000000000000"), ("trace_id", "KOO5S4vxi0o")], 7.5, None);
    let reading = |family: Family<'static>, labels: &[(&str, &str)]| {
        let labels: Vec<_> = labels.iter().map(|(name, value)| Label::Constant { name, value }).collect();
        Arc::new(crate::model::Learnt::everywhere(family, &labels))
    };
    let [half, most, plain, total] = [
        reading(HISTOGRAM("x_bucket"), &[("le", "0.5")]),
        reading(HISTOGRAM("x_bucket"), &[("le", "+Inf")]),
        reading(USAGE, &[]),
        reading(TOTAL, &[]),
    ];
    let [first, second] = ["a", "b"].map(|key| Item::new(&[key]));
    for options in all_options() {
        let mut encoder = encoder(&options, testing::from(Labels::EMPTY));
        let mut out = Recorder::new("endpoints/app", 1000);
        for round in 0..2 {
            let mut item = out.item(&first);
            item.push_learnt(&plain, 1.0);
            drop(item);
            let mut item = out.item(&second);
            item.push_learnt(&half, 2.0);
            item.exemplar(&traced);
            item.push_learnt(&most, 3.0);
            item.exemplar(&other);
            item.push_learnt(&total, 9.0);
            item.exemplar(&other);
            drop(item);
            let batch = host(Batch::new(TIME_MS, Arc::default(), vec![out.finish(TIME_MS)]));
            let (body, encoded) = testing::encode(&mut *encoder, &batch);
            assert_eq!(encoded, Encoded { samples: 3, markers: 0, unencodable: 0 });
            let request = decode(&encoder.content(), &body);
            let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
            let [usage, x, total] = &metrics[..] else { panic!("{metrics:?}, round {round}") };
            let exemplars = |data: &metric::Data| match data {
                metric::Data::Gauge(one) => one.data_points[0].exemplars.clone(),
                metric::Data::Sum(one) => one.data_points[0].exemplars.clone(),
                metric::Data::Histogram(one) => one.data_points[0].exemplars.clone(),
                other => panic!("{other:?}"),
            };
            let words = |metric: &opentelemetry_proto::tonic::metrics::v1::Metric| {
                let hex = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
                let word = |one: &opentelemetry_proto::tonic::metrics::v1::Exemplar| {
                    let (trace, span) = (hex(&one.trace_id), hex(&one.span_id));
                    format!("{} {:?} {trace} {span} {}", one.time_unix_nano, one.value, pairs(&one.filtered_attributes))
                };
                exemplars(metric.data.as_ref().unwrap()).iter().map(word).collect::<Vec<_>>()
            };
            let traced =
                "1700000000116000000 Some(AsDouble(0.25)) 4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7 a=1";
            let other = "1700000000123000000 Some(AsDouble(7.5))   span_id=0000000000000000,trace_id=KOO5S4vxi0o";
            assert_eq!(
                (words(usage), words(x), words(total)),
                (vec![], vec![traced.into(), other.into()], vec![other.into()])
            );
            // They go with their points where a request is divided.
            let pieces = divide(&encoder.content(), &body, 1).unwrap();
            let x = pieces.iter().find_map(|piece| {
                let request = decode(&encoder.content(), &piece.bytes);
                request.resource_metrics[0].scope_metrics[0].metrics.iter().find(|metric| metric.name == "x").map(words)
            });
            assert_eq!(x.unwrap().len(), 2);
        }
    }
}
