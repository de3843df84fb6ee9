//! Rules that depend on other series or on what was before, through a lane's stage. The numbers were worked out by
//! hand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::model::testing::random;
use crate::model::{Batch, Family, Frame, Item, Kind, Label, Learnt, Recorder, Resource, Roster};
use crate::shaping::Stage;
use crate::shaping::testing::{self, Giver, words};
use crate::shaping::windows::MAX_GROUPS;

/// A whole multiple of a day.
const DAY: i64 = 1_699_920_000_000;

/// What a lane with rules sends of one source, `app`.
struct Lane {
    stage: Stage,
    giver: Giver,
    roster: Arc<Roster>,
}

type Seen = Vec<(String, f64)>;

impl Lane {
    fn new(rules: &str) -> Lane {
        let roster = Arc::new(Roster::new([("app".into(), Duration::from_secs(10))]));
        Lane { stage: Stage::new(testing::from(rules)).unwrap(), giver: Giver::new("app"), roster }
    }

    fn batch(&mut self, second: i64, series: &[(&str, f64)]) -> Batch {
        let frames = vec![self.giver.frame(DAY + second * 1000, series)];
        self.batch_of(second, frames)
    }

    fn batch_of(&self, second: i64, frames: Vec<Frame>) -> Batch {
        let resource = Arc::new(Resource { host: "h".into(), boot_ms: None, ..Resource::default() });
        Batch { roster: Some(Arc::clone(&self.roster)), ..Batch::new(DAY + second * 1000, resource, frames) }
    }

    fn pass(&mut self, batch: &Batch) -> Vec<Frame> {
        self.stage.pass(batch).frames.clone()
    }

    /// What is left of the source at that second, and what rules give: the second, and its series.
    fn at(&mut self, second: i64, series: &[(&str, f64)]) -> (Seen, Vec<(i64, Seen)>) {
        let batch = self.batch(second, series);
        let frames = self.pass(&batch);
        let from = self.stage.from();
        let made = frames[1..].iter().map(|frame| ((frame.time_ms - DAY) / 1000, testing::seen(frame, from)));
        (testing::seen(&frames[0], from), made.collect())
    }

    /// The same, where nothing of the source is left.
    fn made(&mut self, second: i64, series: &[(&str, f64)]) -> Vec<(i64, Seen)> {
        let (left, made) = self.at(second, series);
        assert_eq!(left, []);
        made
    }
}

fn aggregate(function: &str, more: &str) -> String {
    format!(r#"{{"aggregate": {{"function": "{function}", "name": "out", "window": "30s" {more}}}}}"#)
}

#[test]
fn each_function_makes_of_a_window_what_it_says() {
    // a: 1, 4, 2; b: 10, then nothing, 20; c: 5 in the first tick alone.
    let ticks: [&[(&str, f64)]; 3] =
        [&[("a", 1.0), ("b", 10.0), ("c", 5.0)], &[("a", 4.0)], &[("a", 2.0), ("b", 20.0)]];
    for (function, value) in [
        ("sum", 27.0),  // 2 + 20 + 5
        ("count", 3.0), // a, b, c
        ("min", 1.0),   // of 1 10 5 4 2 20
        ("max", 20.0),
        ("avg", 7.0), // 42 / 6
        ("last", 20.0),
        ("p50", 5.0),       // of 2 5 20
        ("p90", 17.0),      // rank 1.8: 5 + 0.8 * 15
        ("p99", 19.7),      // rank 1.98: 5 + 0.98 * 15
        ("increase", 15.0), // a: 3, then back to 2, which counts whole; b: 10
    ] {
        let mut lane = Lane::new(&format!("[{}]", aggregate(function, "")));
        for (tick, series) in ticks.iter().enumerate() {
            assert_eq!(lane.made(tick as i64 * 10, series), []);
        }
        let made = lane.made(30, &[("a", 100.0)]);
        let [(30, seen)] = &made[..] else { panic!("{function}: {made:?}") };
        let [(name, given)] = &seen[..] else { panic!("{function}: {made:?}") };
        assert_eq!(name, "out");
        assert!((given - value).abs() < 1e-9, "{function}: {given}");
    }
}

#[test]
fn series_are_gathered_by_labels_and_what_comes_of_it_goes_through_the_rules_behind() {
    let rules = format!(
        r#"[{}, {{"drop": {{"labels": {{"zone": "c"}}}}}}, {{"add_labels": {{"new": "1"}}}},
            {{"scale": {{"match": {{"name": "out"}}, "factor": 0.5}}}}]"#,
        aggregate("sum", r#", "match": {"name": "hits"}, "by": ["zone", "nothing"]"#)
    );
    let mut lane = Lane::new(&rules);
    let hits = [r#"hits{n="1",zone="a"}"#, r#"hits{n="2",zone="a"}"#, r#"hits{n="1",zone="b"}"#, r#"hits{zone="c"}"#];
    let series = [(hits[0], 1.0), (hits[1], 2.0), (hits[2], 4.0), (hits[3], 8.0), ("other", 16.0)];
    let other = words(&[(r#"other{job="j",new="1"}"#, 16.0)]);
    assert_eq!(lane.at(0, &series), (other.clone(), vec![]));
    assert_eq!(lane.stage.dropped(), [0, 0, 0, 0]);
    let made = words(&[(r#"out{new="1",zone="a"}"#, 1.5), (r#"out{new="1",zone="b"}"#, 2.0)]);
    assert_eq!(lane.at(30, &series), (other, vec![(30, made)]));
    assert_eq!(lane.stage.dropped(), [0, 1, 0, 0]);
}

#[test]
fn without_leaves_the_other_labels_and_the_input_may_go_on() {
    let rules = format!("[{}]", aggregate("max", r#", "without": ["n", "job"], "keep_input": true"#));
    let mut lane = Lane::new(&rules);
    let series = [(r#"hits_total{n="1",zone="a"}"#, 1.0), (r#"hits_total{n="2",zone="a"}"#, 2.0)];
    let left = words(&[(r#"hits_total{job="j",n="1",zone="a"}"#, 1.0), (r#"hits_total{job="j",n="2",zone="a"}"#, 2.0)]);
    assert_eq!(lane.at(0, &series), (left.clone(), vec![]));
    let made = words(&[(r#"out{zone="a"}"#, 2.0)]);
    assert_eq!(lane.at(30, &series), (left, vec![(30, made)]));
}

#[test]
fn nothing_that_is_made_of_counters_is_a_counter() {
    for (function, kind) in
        [("sum", Kind::UpDown), ("last", Kind::Gauge), ("increase", Kind::Gauge), ("max", Kind::Gauge)]
    {
        let mut lane = Lane::new(&format!("[{}]", aggregate(function, "")));
        for second in [0, 10] {
            assert_eq!(lane.made(second, &[("hits_total", 1.0)]), []);
        }
        let batch = lane.batch(30, &[("hits_total", 2.0)]);
        let frames = lane.pass(&batch);
        let view = lane.stage.from().view(&frames[1].chunks[0]);
        assert_eq!(view.get(0).family().kind, kind, "{function}");
    }
}

#[test]
fn growth_goes_on_over_windows_resets_and_gaps_and_a_first_number_is_none() {
    let mut lane = Lane::new(&format!("[{}]", aggregate("increase", r#", "by": ["n"]"#)));
    let [a, b] = [r#"hits{n="a"}"#, r#"hits{n="b"}"#];
    let given = |all: &[(&str, f64)]| words(all);
    assert_eq!(lane.made(0, &[(a, 100.0)]), []);
    assert_eq!(lane.made(20, &[(a, 107.0)]), []);
    // 7 of a; what it grew since belongs to the window in which that is seen.
    assert_eq!(lane.made(30, &[(a, 110.0), (b, 50.0)]), [(30, given(&[(r#"out{n="a"}"#, 7.0)]))]);
    // It began anew, and has grown by 4 since.
    assert_eq!(lane.made(40, &[(a, 4.0), (b, 50.0)]), []);
    // The page lacks a. 3 and 4 of it; b did not grow.
    assert_eq!(lane.made(60, &[(b, 51.0)]), [(60, given(&[(r#"out{n="a"}"#, 7.0), (r#"out{n="b"}"#, 0.0)]))]);
    assert_eq!(lane.made(90, &[(a, 10.0), (b, 51.0)]), [(90, given(&[(r#"out{n="b"}"#, 1.0)]))]);
    // It is back, and goes on where it was.
    assert_eq!(lane.made(120, &[(b, 51.0)]), [(120, given(&[(r#"out{n="a"}"#, 6.0), (r#"out{n="b"}"#, 0.0)]))]);
    for second in (150..=420).step_by(30) {
        assert_eq!(lane.made(second, &[(b, 51.0)]).len(), 1);
    }
    // Five minutes after it went it is forgotten, and its number is a first one.
    lane.made(450, &[(a, 1000.0), (b, 51.0)]);
    assert_eq!(lane.made(480, &[(b, 51.0)]), [(480, given(&[(r#"out{n="b"}"#, 0.0)]))]);
}

#[test]
fn downsampled_series_keep_name_labels_and_kind() {
    for (function, value) in [("last", 3.0), ("avg", 4.0), ("min", 2.0), ("max", 7.0)] {
        let rules = format!(
            r#"[{{"downsample": {{"match": {{"name": "slow_.*"}}, "every": "30s", "function": "{function}"}}}}]"#
        );
        let mut lane = Lane::new(&rules);
        let quick = |value| words(&[(r#"quick{job="j"}"#, value)]);
        assert_eq!(lane.at(0, &[("slow_total", 7.0), ("quick", 1.0)]), (quick(1.0), vec![]));
        assert_eq!(lane.at(10, &[("slow_total", 2.0), ("quick", 2.0)]), (quick(2.0), vec![]));
        assert_eq!(lane.at(20, &[("slow_total", 3.0), ("quick", 3.0)]), (quick(3.0), vec![]));
        let batch = lane.batch(31, &[("slow_total", 9.0), ("quick", 4.0)]);
        let frames = lane.pass(&batch);
        let from = lane.stage.from();
        assert_eq!(testing::seen(&frames[1], from), words(&[(r#"slow_total{job="j"}"#, value)]), "{function}");
        assert_eq!(frames[1].time_ms, DAY + 30_000);
        assert_eq!(from.view(&frames[1].chunks[0]).get(0).family().kind, Kind::Counter);
        // The next window has the same chunk.
        let batch = lane.batch(60, &[("slow_total", 9.0), ("quick", 4.0)]);
        let next = lane.pass(&batch);
        assert!(Arc::ptr_eq(&next[1].chunks, &frames[1].chunks), "{function}");
    }
}

#[test]
fn what_one_rule_gathers_another_one_may_gather_in_longer_windows() {
    let rules = format!(
        r#"[{}, {{"aggregate": {{"match": {{"name": "out"}}, "function": "max", "name": "most", "window": "60s"}}}}]"#,
        aggregate("sum", "")
    );
    let mut lane = Lane::new(&rules);
    assert_eq!(lane.made(0, &[("a", 1.0), ("b", 2.0)]), []);
    assert_eq!(lane.made(30, &[("a", 5.0), ("b", 2.0)]), [(30, vec![])]);
    // The windows up to 30 and 60 gave 3 and 7.
    let most = |value| words(&[("most", value)]);
    assert_eq!(lane.made(60, &[("a", 0.0)]), [(60, vec![]), (60, most(7.0))]);
    assert_eq!(lane.made(90, &[("a", 1.0)]), [(90, vec![])]);
    assert_eq!(lane.made(120, &[("a", 1.0)]), [(120, vec![]), (120, most(1.0))]);
}

#[test]
fn a_source_that_gives_nothing_ends_nothing_and_one_that_is_gone_ends_what_came_of_it() {
    let mut lane = Lane::new(&format!("[{}]", aggregate("sum", "")));
    let out = |value| words(&[("out", value)]);
    assert_eq!(lane.made(0, &[("a", 1.0)]), []);
    assert_eq!(lane.made(30, &[("a", 2.0)]), [(30, out(1.0))]);
    // It has failed for some time, and others give something.
    let without = |lane: &mut Lane, second| {
        let batch = lane.batch_of(second, Vec::new());
        lane.pass(&batch).iter().map(|frame| testing::seen(frame, lane.stage.from())).collect::<Vec<_>>()
    };
    assert_eq!(without(&mut lane, 60), [out(2.0)]);
    assert_eq!(without(&mut lane, 90), Vec::<Seen>::new());
    assert_eq!(lane.made(120, &[("a", 3.0)]), []);
    assert_eq!(lane.made(130, &[]), []);
    assert_eq!(without(&mut lane, 150), [out(3.0)]);
    assert_eq!(without(&mut lane, 180), [vec![]], "an empty frame ends it");
    assert_eq!(without(&mut lane, 210), Vec::<Seen>::new());
}

#[test]
fn what_rules_give_is_a_source_that_the_roster_knows() {
    let mut lane = Lane::new(&format!("[{}]", aggregate("sum", "")));
    let rosters = [0, 10, 30].map(|second| {
        let batch = lane.batch(second, &[("a", 1.0)]);
        let passed = lane.stage.pass(&batch);
        (passed.roster.clone().unwrap(), passed.frames.get(1).map(|frame| Arc::clone(&frame.source)))
    });
    assert!(Arc::ptr_eq(&rosters[0].0, &rosters[2].0), "it is the same as long as nothing changes");
    let source = rosters[2].1.clone().unwrap();
    assert!(source.starts_with("transforms/"), "{source}");
    assert_eq!(rosters[0].0.interval_of(&source), Some(Duration::from_secs(30)));
    assert_eq!(rosters[0].0.interval_of("app"), Some(Duration::from_secs(10)));
}

#[test]
fn of_series_alike_that_are_gathered_the_first_counts_and_the_next_one_when_that_is_gone() {
    let rules = format!(r#"[{{"drop_labels": ["n"]}}, {}]"#, aggregate("sum", ""));
    let mut lane = Lane::new(&rules);
    let [one, two] = [r#"a{n="1"}"#, r#"a{n="2"}"#];
    assert_eq!(lane.made(0, &[(one, 1.0), (two, 2.0)]), []);
    assert_eq!(lane.stage.dropped(), [0, 1]);
    assert_eq!(lane.made(30, &[(two, 4.0)]), [(30, words(&[("out", 1.0)]))]);
    assert_eq!(lane.stage.dropped(), [0, 0]);
    assert_eq!(lane.made(60, &[(two, 4.0)]), [(60, words(&[("out", 4.0)]))]);
}

#[test]
fn what_is_gathered_yields_to_a_series_of_that_name_that_is_there() {
    let rules = format!("[{}]", aggregate("sum", r#", "match": {"name": "a"}, "by": ["job"]"#));
    let mut lane = Lane::new(&rules);
    let out = r#"out{job="j"}"#;
    assert_eq!(lane.at(0, &[("a", 1.0), ("out", 5.0)]), (words(&[(out, 5.0)]), vec![]));
    assert_eq!(lane.at(30, &[("a", 1.0), ("out", 5.0)]), (words(&[(out, 5.0)]), vec![(30, vec![])]));
    assert_eq!(lane.stage.dropped(), [1]);
    // It is gone, and the other one has its place at once.
    assert_eq!(lane.at(60, &[("a", 1.0)]), (vec![], vec![(60, words(&[(out, 1.0)]))]));
    assert_eq!(lane.at(90, &[("a", 1.0)]), (vec![], vec![(90, words(&[(out, 1.0)]))]));
}

#[test]
fn no_number_is_no_sample() {
    let mut lane = Lane::new(&format!("[{}]", aggregate("avg", "")));
    for (second, value) in [(0, 1.0), (10, f64::NAN), (20, 3.0)] {
        assert_eq!(lane.made(second, &[("a", value)]), []);
    }
    assert_eq!(lane.made(30, &[("a", f64::NAN)]), [(30, words(&[("out", 2.0)]))]);
    assert_eq!(lane.made(60, &[("a", 1.0)]), []);
}

#[test]
fn a_clock_that_was_put_back_goes_on_with_the_window_that_is_open() {
    let mut lane = Lane::new(&format!("[{}]", aggregate("sum", "")));
    assert_eq!(lane.made(3600, &[("a", 1.0)]), []);
    assert_eq!(lane.made(10, &[("b", 2.0)]), []);
    assert_eq!(lane.made(30, &[("a", 1.0)]), [(30, words(&[("out", 3.0)]))]);
    // One that is a little late is none.
    assert_eq!(lane.made(29, &[("a", 4.0)]), []);
    assert_eq!(lane.made(60, &[]), [(60, words(&[("out", 4.0)]))]);
}

#[test]
fn rules_that_a_reload_leaves_alone_go_on_wherever_they_stand() {
    let increase = aggregate("increase", r#", "match": {"name": "a"}"#);
    let sum = r#"{"aggregate": {"match": {"name": "b"}, "function": "sum", "name": "sum", "window": "30s"}}"#;
    let mut lane = Lane::new(&format!("[{increase}, {sum}]"));
    assert_eq!(lane.made(0, &[("a", 100.0), ("b", 1.0)]), []);
    assert_eq!(lane.made(10, &[("a", 105.0), ("b", 1.0)]), []);
    // One stands elsewhere, the other one says something else.
    let sum = sum.replace("\"sum\", \"window\"", "\"all\", \"window\"");
    let from = testing::from(&format!(r#"[{{"drop": {{"name": "x"}}}}, {sum}, {increase}]"#));
    let before = std::mem::replace(&mut lane.stage, Stage::new(from).unwrap());
    lane.stage.take_over(before);
    assert_eq!(lane.made(20, &[("a", 107.0), ("b", 2.0)]), []);
    let made = [(30, words(&[("all", 2.0)])), (30, words(&[("out", 7.0)]))];
    assert_eq!(lane.made(30, &[("a", 110.0), ("b", 2.0)]), made);
    let made = [(60, words(&[("all", 2.0)])), (60, words(&[("out", 3.0)]))];
    assert_eq!(lane.made(60, &[("a", 110.0), ("b", 2.0)]), made);
}

#[test]
fn the_series_that_came_first_have_the_room_and_others_get_it_when_they_go() {
    let mut lane = Lane::new(r#"[{"limit": {"series": 3, "per_name": 2}}]"#);
    let names = |series: &[(&str, f64)], lane: &mut Lane, second| {
        let (left, made) = lane.at(second, series);
        assert_eq!(made, []);
        left.into_iter()
            .map(|(name, _)| name.replace(r#"job="j","#, "").replace(r#"{job="j"}"#, ""))
            .collect::<Vec<_>>()
    };
    let a = [r#"a{n="1"}"#, r#"a{n="2"}"#, r#"a{n="3"}"#];
    let all = [(a[0], 1.0), (a[1], 1.0), (a[2], 1.0), ("b", 1.0), ("c", 1.0)];
    assert_eq!(names(&all, &mut lane, 0), [a[0], a[1], "b"]);
    assert_eq!(lane.stage.dropped(), [2]);
    // In another order, and with a new one in front, these still have it.
    let other = [("d", 1.0), ("c", 1.0), (a[2], 1.0), (a[1], 1.0), (a[0], 1.0), ("b", 1.0)];
    assert_eq!(names(&other, &mut lane, 10), [a[1], a[0], "b"]);
    assert_eq!(lane.stage.dropped(), [3]);
    // One of them is gone: there is room for one more, in all and of its name.
    assert_eq!(names(&[(a[0], 1.0), (a[2], 1.0), ("b", 1.0), ("c", 1.0)], &mut lane, 20), [a[0], a[2], "b"]);
    assert_eq!(names(&[("b", 1.0), ("c", 1.0)], &mut lane, 30), ["b", "c"]);
    assert_eq!(lane.stage.dropped(), [0]);
}

#[test]
fn a_limit_is_for_what_comes_to_it_and_rules_behind_it_see_what_it_leaves() {
    let rules = format!(r#"[{{"drop": {{"name": "x"}}}}, {{"limit": {{"series": 2}}}}, {}]"#, aggregate("sum", ""));
    let mut lane = Lane::new(&rules);
    assert_eq!(lane.made(0, &[("x", 1.0), ("a", 1.0), ("b", 2.0), ("c", 4.0)]), []);
    assert_eq!(lane.stage.dropped(), [1, 1, 0]);
    assert_eq!(lane.made(30, &[("b", 2.0), ("c", 4.0)]), [(30, words(&[("out", 3.0)]))]);
    assert_eq!(lane.stage.dropped(), [0, 0, 0]);
    assert_eq!(lane.made(60, &[("b", 2.0), ("c", 4.0)]), [(60, words(&[("out", 6.0)]))]);
}

#[test]
fn a_limit_that_a_reload_leaves_alone_keeps_the_series_that_it_has() {
    let limit = r#"{"limit": {"series": 1}}"#;
    let mut lane = Lane::new(&format!("[{limit}]"));
    assert_eq!(lane.at(0, &[("a", 1.0)]).0, words(&[(r#"a{job="j"}"#, 1.0)]));
    let from = testing::from(&format!(r#"[{{"drop": {{"name": "x"}}}}, {limit}]"#));
    let before = std::mem::replace(&mut lane.stage, Stage::new(from).unwrap());
    lane.stage.take_over(before);
    assert_eq!(lane.at(10, &[("b", 1.0), ("a", 2.0)]).0, words(&[(r#"a{job="j"}"#, 2.0)]));
    assert_eq!(lane.stage.dropped(), [0, 1]);
}

#[test]
fn whatever_comes_and_goes_a_limit_lets_as_many_pass_as_there_may_be() {
    const MOST: usize = 60;
    let mut random = random();
    let rules = format!(r#"[{{"drop_labels": ["n"]}}, {{"limit": {{"series": {MOST}}}}}]"#);
    let mut stage = Stage::new(testing::from(&rules)).unwrap();
    let mut givers = ["a", "b", "c"].map(Giver::new);
    let mut given: [Vec<String>; 3] = Default::default();
    let mut passed_before = BTreeSet::new();
    for time_ms in 1..300 {
        let mut frames = Vec::new();
        for (giver, given) in givers.iter_mut().zip(&mut given) {
            if random(3) == 0 {
                *given = (0..random(50)).map(|_| format!(r#"m{}{{n="{}"}}"#, random(100), random(2))).collect();
                given.sort();
                given.dedup();
            }
            let series: Vec<(&str, f64)> = given.iter().map(|text| (text.as_str(), 1.0)).collect();
            frames.push(giver.frame(time_ms, &series));
        }
        let resource = Arc::new(Resource { host: "h".into(), boot_ms: None, ..Resource::default() });
        let batch = Batch::new(time_ms, resource, frames);
        let passed = stage.pass(&batch).into_owned();
        let seen: Vec<String> = passed
            .frames
            .iter()
            .flat_map(|frame| testing::seen(frame, stage.from()))
            .map(|(name, _)| name.split('{').next().unwrap().to_owned())
            .collect();
        let names: BTreeSet<String> = seen.iter().cloned().collect();
        assert_eq!(names.len(), seen.len(), "at {time_ms}: none twice");
        let all: BTreeSet<String> =
            given.iter().flatten().map(|text| text.split('{').next().unwrap().to_owned()).collect();
        assert_eq!(names.len(), all.len().min(MOST), "at {time_ms}");
        assert!(names.is_subset(&all), "at {time_ms}");
        let dropped = given.iter().map(Vec::len).sum::<usize>() - seen.len();
        assert_eq!(stage.dropped().iter().sum::<u64>() as usize, dropped, "at {time_ms}");
        // Who had room and is still given by the same source has it still.
        let stay: BTreeSet<String> = passed_before.intersection(&all).cloned().collect();
        assert!(stay.is_subset(&names), "at {time_ms}");
        passed_before = names;
    }
}

#[test]
fn whatever_comes_and_goes_a_window_has_the_last_number_of_each_series() {
    let mut random = random();
    let rule = r#"[{"aggregate": {"function": "sum", "by": ["g"], "window": "1s", "name": "out"}}]"#;
    let mut stage = Stage::new(testing::from(rule)).unwrap();
    let mut givers = ["a", "b"].map(Giver::new);
    let mut given: [Vec<String>; 2] = Default::default();
    let mut last: BTreeMap<String, f64> = BTreeMap::new();
    let mut windows = 0;
    for time_ms in (0..100_000).step_by(250) {
        let expected: BTreeMap<String, f64> = last.iter().fold(BTreeMap::new(), |mut all, (series, value)| {
            let group = series.split(['{', ',']).find(|label| label.starts_with("g=")).unwrap();
            *all.entry(format!("out{{{}}}", group.trim_end_matches('}'))).or_default() += value;
            all
        });
        let mut frames = Vec::new();
        for (source, (giver, given)) in givers.iter_mut().zip(&mut given).enumerate() {
            if random(4) == 0 {
                *given =
                    (0..random(40)).map(|_| format!(r#"m{}{{g="{}",s="{source}"}}"#, random(100), random(3))).collect();
                given.sort();
                given.dedup();
            }
            let series: Vec<(&str, f64)> = given.iter().map(|text| (text.as_str(), random(1000) as f64)).collect();
            if time_ms % 1000 == 0 && source == 0 {
                last.clear();
            }
            last.extend(series.iter().map(|(text, value)| ((*text).to_owned(), *value)));
            frames.push(giver.frame(time_ms, &series));
        }
        let resource = Arc::new(Resource { host: "h".into(), boot_ms: None, ..Resource::default() });
        let batch = Batch::new(time_ms, resource, frames);
        let passed = stage.pass(&batch).into_owned();
        assert!(passed.frames[..2].iter().all(|frame| testing::seen(frame, stage.from()).is_empty()));
        if time_ms % 1000 != 0 || time_ms == 0 {
            assert_eq!(passed.frames.len(), 2);
            continue;
        }
        let made: BTreeMap<String, f64> =
            passed.frames[2..].iter().flat_map(|frame| testing::seen(frame, stage.from())).collect();
        assert_eq!(made, expected, "at {time_ms}");
        windows += made.len();
    }
    assert!(windows > 200, "{windows}");
}

#[test]
fn a_rule_makes_so_many_series_and_what_is_over_is_counted_and_said_once() {
    let family = Family::gauge("many", "", "");
    let label = [Label::key("n", 0)];
    let reading = Arc::new(Learnt::everywhere(family, &label));
    let mut recorder = Recorder::new("app", 1_000_000);
    for at in 0..MAX_GROUPS + 5 {
        recorder.item(&Item::new(&[&at.to_string()])).push_learnt(&reading, 1.0);
    }
    let frame = recorder.finish(DAY);
    let mut lane = Lane::new(r#"[{"downsample": {"every": "10s"}}]"#);
    for second in [0, 10] {
        let batch = lane.batch_of(second, vec![frame.clone()]);
        let frames = lane.pass(&batch);
        assert_eq!(lane.stage.dropped(), [5]);
        assert_eq!(lane.stage.take_overfull(), (second == 0).then_some(0));
        assert_eq!(
            frames[1..].iter().map(|frame| frame.values.len()).sum::<usize>(),
            [0, MAX_GROUPS][second as usize / 10]
        );
    }
}
