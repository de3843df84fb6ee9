//! What becomes of datagrams.

use super::*;
use crate::model::{Scheme, Since};

const SECOND: Duration = Duration::from_secs(1);

fn store(max_series: usize) -> Store {
    Store::new(Settings { max_series, ..Settings::default() }, &ViewSlots::default(), 500)
}

/// Takes lines at a second, which are all fine.
fn take(store: &mut Store, second: u32, text: &str) {
    store.take(text.as_bytes(), SECOND * second, |why, line| panic!("{why:?}: {}", String::from_utf8_lossy(line)));
}

/// Why a line is not taken.
fn refused(store: &mut Store, text: &str) -> Option<StatsdDrop> {
    let mut why = None;
    store.take(text.as_bytes(), SECOND, |reason, _| why = Some(reason));
    why
}

/// The series of a frame at a second, as pages have them, sorted.
fn frame(store: &mut Store, second: u32) -> Vec<String> {
    series(&store.frame(i64::from(second) * 1000, SECOND * second))
}

fn series(frame: &Frame) -> Vec<String> {
    let mut all = Vec::new();
    for (chunk, values) in frame.parts() {
        for ((item, reading), value) in chunk.each().zip(values) {
            let face = reading.face(Scheme::Native).unwrap();
            let labels = face.labels.iter().map(|label| match label {
                Label::Key { name, at, .. } => format!("{name}={}", item.key.value(at)),
                Label::Constant { name, value } => format!("{name}={value}"),
            });
            let labels: Vec<String> = labels.collect();
            all.push(format!("{} {}{{{}}} {value}", face.family.kind.as_str(), face.family.name, labels.join(",")));
        }
    }
    all.sort();
    all
}

#[test]
fn counters_gauges_and_sets_are_what_they_came_to() {
    let mut store = store(100);
    take(&mut store, 1, "hits:1|c\nhits:2|c|@0.5\napi.errors_total:3|c\r\n\ntemp:20.5|g\ntemp:+2|g\ntemp:-4.5|g");
    take(&mut store, 1, "users:ann|s\nusers:bob|s\nusers:ann|s\ndepth:-3|g");
    assert_eq!(
        frame(&mut store, 1),
        [
            "counter api_errors_total{} 3",
            "counter hits_total{} 5",
            "gauge depth{} -3",
            "gauge temp{} 18",
            "gauge users{} 2"
        ]
    );
    take(&mut store, 2, "hits:4|c");
    let next = frame(&mut store, 2);
    // What was counted stays, what was set stays, and of different things there are none since then.
    assert!(next.contains(&"counter hits_total{} 9".to_owned()), "{next:?}");
    assert!(next.contains(&"gauge temp{} 18".to_owned()) && next.contains(&"gauge users{} 0".to_owned()), "{next:?}");
}

#[test]
fn timers_are_summaries_in_seconds_scaled_by_their_rate() {
    let mut store = store(100);
    take(&mut store, 1, "took:100|ms\ntook:100|ms\ntook:100:4000|ms|@0.5\nsize:-7|h|#x:y\nsize:7|d|#x:y");
    let got = frame(&mut store, 1);
    let value = |name: &str| -> f64 {
        let line = got.iter().find(|line| line.starts_with(&format!("summary {name} "))).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert_eq!(got.len(), 10, "{got:?}");
    assert_eq!((value("took_count{}"), value("size_count{x=y}"), value("size_sum{x=y}")), (6.0, 2.0, 0.0));
    assert!((value("took_sum{}") - 8.4).abs() < 1e-9, "{got:?}");
    let near = |name: &str, exact: f64| assert!((value(name) / exact - 1.0).abs() < 0.0101, "{got:?}");
    near("took{quantile=0.5}", 0.1);
    near("took{quantile=0.9}", 4.0);
    near("size{x=y,quantile=0.5}", -7.0);
    near("size{x=y,quantile=0.99}", 7.0);
    // Of a time when nothing came there are no quantiles.
    let got = frame(&mut store, 2);
    assert_eq!(got.iter().filter(|line| line.contains("quantile")).count(), 0, "{got:?}");
    assert_eq!(got.len(), 4);
}

#[test]
fn tags_are_labels_in_any_order_and_what_a_name_cannot_hold_is_replaced() {
    let mut store = store(100);
    take(&mut store, 1, "a-b.c:1|c|#zone:x,env:prod,on\na.b.c:1|c|#on,env:prod,zone:x,zone:second,empty:");
    take(&mut store, 1, "größe:1|g|#1st:a:b,__name__:evil\nt:1|ms|#quantile:mine");
    let got = frame(&mut store, 1);
    assert_eq!(got[0], "counter a_b_c_total{env=prod,on=true,zone=x} 2");
    assert_eq!(got[1], "gauge gr__e{_1st=a:b,_name__=evil} 1");
    assert!(got.contains(&"summary t_count{exported_quantile=mine} 1".to_owned()), "{got:?}");
}

#[test]
fn what_is_not_a_metric_begins_no_series() {
    let mut store = store(100);
    for text in ["\u{0}\u{1}", "x:y|c", "x:1:y|g", "x:-1|c", "x:nan|g", "x:1e999|ms", "x:1|c|@2"] {
        assert_eq!(refused(&mut store, text), Some(StatsdDrop::Malformed), "{text:?}");
    }
    assert_eq!(refused(&mut store, "_e{1,1}:a|b"), Some(StatsdDrop::Unsupported));
    for name in ["up", "system_load_1m", "system.load.1m", "node_load1", "metricsd_up", "process.cpu", "scrape-x"] {
        assert_eq!(refused(&mut store, &format!("{name}:1|g")), Some(StatsdDrop::Reserved), "{name}");
    }
    let many: Vec<String> = (0..=MAX_LABELS).map(|at| format!("t{at}:x")).collect();
    assert_eq!(refused(&mut store, &format!("x:1|c|#{}", many.join(","))), Some(StatsdDrop::Malformed));
    assert_eq!((store.count(), frame(&mut store, 1)), (0, Vec::new()));
    // Of one that is there, what is no value changes nothing.
    take(&mut store, 1, "x:1|c");
    assert_eq!(refused(&mut store, "x:-1|c"), Some(StatsdDrop::Malformed));
    assert_eq!(frame(&mut store, 1), ["counter x_total{} 1"]);
}

#[test]
fn a_name_is_of_one_type_until_it_is_gone() {
    let mut store = store(100);
    take(&mut store, 1, "x:1|g\ny:1|ms");
    for text in ["x:1|s", "x:1|ms", "x:1|g|#a:b\nx:1|h|#a:b", "y:1|h", "y_count:1|g", "y_sum:1|s"] {
        assert_eq!(refused(&mut store, text), Some(StatsdDrop::Conflict), "{text}");
    }
    take(&mut store, 1, "x:1|c");
    assert_eq!(frame(&mut store, 1000), [""; 0]);
    take(&mut store, 1000, "x:1|s\ny_count:1|g");
    assert_eq!(frame(&mut store, 1000).len(), 2);
}

#[test]
fn series_are_bounded_and_gone_after_a_while() {
    let mut store = store(7);
    // Five of them are a timer's.
    take(&mut store, 1, "t:1|ms\na:1|c\nb:1|c");
    assert_eq!(refused(&mut store, "c:1|c"), Some(StatsdDrop::MaxSeries));
    assert_eq!(frame(&mut store, 1).len(), 7);
    take(&mut store, 200, "a:1|c");
    assert_eq!(refused(&mut store, "c:1|c"), Some(StatsdDrop::MaxSeries));
    // Five minutes behind what came at 1 s.
    assert_eq!(frame(&mut store, 300).len(), 4, "but for quantiles");
    assert_eq!(frame(&mut store, 301), ["counter a_total{} 2"]);
    take(&mut store, 302, "c:1|c\nb:5|c");
    let all = store.frame(302_000, SECOND * 302);
    assert_eq!(series(&all), ["counter a_total{} 2", "counter b_total{} 5", "counter c_total{} 1"]);
    // What is new since the last frame counts since then, what was there since the start.
    let since: Vec<Since> = all.chunks.iter().flat_map(|chunk| chunk.items().iter().map(|item| item.since)).collect();
    assert_eq!(since.iter().filter(|since| **since == Since::ms(301_000)).count(), 2, "{since:?}");
    assert_eq!(since.iter().filter(|since| **since == Since::ms(500)).count(), 1, "{since:?}");
}

#[test]
fn ten_thousand_new_names_a_second_take_no_more_memory() {
    let mut store = store(1000);
    let mut over = 0;
    for at in 0..100_000 {
        store.take(format!("name.{at}:1|c|#id:{at}").as_bytes(), SECOND, |why, _| {
            assert_eq!(why, StatsdDrop::MaxSeries);
            over += 1;
        });
    }
    assert_eq!((over, store.series.len(), store.known.len()), (99_000, 1000, 1000));
    // The same series in ever new words.
    let mut store = self::store(1000);
    for at in 0..200_000 {
        take(&mut store, 1, &format!("x:1|c|#a:b,:{at:0200}"));
    }
    assert_eq!(store.series.len(), 1);
    assert!(store.known_bytes <= MAX_KNOWN && store.known.len() < 50_000);
    assert_eq!(frame(&mut store, 1), ["counter x_total{a=b} 200000"]);
}
