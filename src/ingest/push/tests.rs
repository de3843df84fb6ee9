//! Pushes one after the other.

use super::*;
use crate::model::{Label, Scheme, Since};

const SECOND: Duration = Duration::from_secs(1);
const START_MS: i64 = 1_700_000_000_000;

fn pushed(max_series: usize) -> Pushed {
    let settings = PushSettings { max_series, expire: SECOND * 60, ..PushSettings::default() };
    Pushed::new(settings, &ViewSlots::default(), &Arc::default(), START_MS)
}

/// A push of text at a second; its frame.
fn push(pushed: &mut Pushed, second: u32, query: &str, page: &str) -> Result<Vec<Frame>, Refused> {
    pushed.text(query, "", page.as_bytes(), SECOND * second, START_MS + i64::from(second) * 1000)
}

/// What is sent of a frame: series with their values.
pub(super) fn sent(frame: &Frame) -> Vec<String> {
    let frame = frame.clone().narrowed();
    let mut all = Vec::new();
    for (chunk, values) in frame.parts() {
        for ((item, reading), value) in chunk.each().zip(values) {
            let face = reading.face(Scheme::Native).unwrap();
            let own = face.labels.iter().map(|label| match label {
                Label::Key { name, at, .. } => format!("{name}={}", item.key.value(at)),
                Label::Constant { name, value } => format!("{name}={value}"),
            });
            let of_source = chunk.labels().iter().map(|(name, value)| format!("{name}={value}"));
            let labels: Vec<String> = own.chain(of_source).collect();
            all.push(format!("{} {}{{{}}} {value}", face.family.kind.as_str(), face.family.name, labels.join(",")));
        }
    }
    all.sort();
    all
}

#[test]
fn each_application_is_a_source_whose_chunks_stay() {
    let mut pushed = pushed(100);
    let page = "# TYPE a counter\na{x=\"1\"} 1\na{x=\"2\"} 2\nb 3\n";
    let first = push(&mut pushed, 1, "job=j&instance=i", page).unwrap();
    assert_eq!(&*first[0].source, "push/j/i");
    assert_eq!(
        sent(&first[0]),
        ["counter a{x=1,instance=i,job=j} 1", "counter a{x=2,instance=i,job=j} 2", "untyped b{instance=i,job=j} 3"]
    );
    let second = push(&mut pushed, 2, "job=j&instance=i", page).unwrap();
    assert!(Arc::ptr_eq(&first[0].chunks, &second[0].chunks) && second[0].fresh.is_none());
    // Another order is the same.
    let third =
        push(&mut pushed, 3, "job=j&instance=i", "b 3\n# TYPE a counter\na{x=\"2\"} 2\na{x=\"1\"} 1\n").unwrap();
    assert!(Arc::ptr_eq(&first[0].chunks, &third[0].chunks));
    let other = push(&mut pushed, 3, "job=j%2Fi", "b 1\n").unwrap();
    assert_eq!((&*other[0].source, &sent(&other[0])[..]), ("push/j%2Fi/", &["untyped b{job=j/i} 1".to_owned()][..]));
    assert_eq!((pushed.counts.series(), pushed.counts.sources(), pushed.counts.samples()), (4, 2, 10));
}

#[test]
fn a_push_ends_nothing_by_what_it_lacks_and_what_does_not_come_ends() {
    let mut pushed = pushed(100);
    push(&mut pushed, 0, "job=j", "a 1\nb 2\n").unwrap();
    let part = push(&mut pushed, 40, "job=j", "b 3\nc 4\n").unwrap();
    assert_eq!(sent(&part[0]), ["untyped b{job=j} 3", "untyped c{job=j} 4"]);
    // Three there are, and pages show all of them.
    assert_eq!((part[0].values.len(), part[0].clone().narrowed().all()[0].len()), (3, 3));
    assert!(pushed.expire(SECOND * 59, START_MS + 59_000).is_empty());
    let ended = pushed.expire(SECOND * 61, START_MS + 61_000);
    assert_eq!((ended.len(), sent(&ended[0]).len(), ended[0].clone().narrowed().all()[0].len()), (1, 0, 2));
    assert_eq!(pushed.counts.series(), 2);
    let ended = pushed.expire(SECOND * 101, START_MS + 101_000);
    assert_eq!((ended.len(), ended[0].chunks.len(), ended[0].all().len()), (1, 0, 0));
    assert_eq!((pushed.counts.series(), pushed.counts.sources(), pushed.next_look()), (0, 0, None));
}

#[test]
fn a_name_may_be_of_two_types_in_two_applications_and_changes_its_type_in_one() {
    let mut pushed = pushed(100);
    let push = |pushed: &mut Pushed, second, job: &str, page: &str| {
        sent(&push(pushed, second, &format!("job={job}"), page).unwrap()[0])
    };
    let counter = "# TYPE x counter\nx{a=\"1\"} 5\n";
    assert_eq!(push(&mut pushed, 0, "one", counter), ["counter x{a=1,job=one} 5"]);
    assert_eq!(push(&mut pushed, 0, "other", "# TYPE x gauge\nx{a=\"1\"} 7\n"), ["gauge x{a=1,job=other} 7"]);
    assert_eq!(push(&mut pushed, 1, "one", counter), ["counter x{a=1,job=one} 5"]);
    assert_eq!(pushed.counts.series(), 2);
    // It was written anew: what it was is not there beside what it is.
    assert_eq!(push(&mut pushed, 2, "one", "# TYPE x gauge\nx{a=\"1\"} 6\n"), ["gauge x{a=1,job=one} 6"]);
    assert_eq!(pushed.counts.series(), 2);
    let histogram = "# TYPE x histogram\nx_bucket{a=\"1\",le=\"+Inf\"} 1\nx_sum{a=\"1\"} 2\nx_count{a=\"1\"} 1\n";
    assert_eq!(push(&mut pushed, 3, "one", histogram).len(), 3);
    assert_eq!((pushed.counts.series(), push(&mut pushed, 4, "one", counter).len()), (4, 1));
    assert_eq!(pushed.counts.series(), 2);
}

#[test]
fn it_is_taken_whole_or_not_at_all() {
    let mut pushed = pushed(3);
    push(&mut pushed, 0, "job=j", "a 1\nb 2\n").unwrap();
    let refused = push(&mut pushed, 1, "job=j", "a 7\nc 1\nd 1\n").unwrap_err();
    assert!(matches!(&refused, Refused::NoRoom(why) if why.contains("4 series")), "{refused:?}");
    let refused = push(&mut pushed, 1, "job=other", "a 7\nc 1\n").unwrap_err();
    assert!(matches!(refused, Refused::NoRoom(_)));
    assert!(push(&mut pushed, 1, "job=j", "a 7\nb\n").is_err());
    assert_eq!((pushed.size.series, pushed.applications.len()), (2, 1));
    // What is there can be pushed on, and there is room for one more.
    let frame = push(&mut pushed, 2, "job=j", "a 3\nc 1\n").unwrap();
    assert_eq!(sent(&frame[0]), ["untyped a{job=j} 3", "untyped c{job=j} 1"]);
    assert_eq!(push(&mut pushed, 3, "job=j", "").unwrap().len(), 0);
}

#[test]
fn a_histogram_is_one_item_and_times_do_not_go_back() {
    let mut pushed = pushed(100);
    let page = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n";
    let first = push(&mut pushed, 5, "job=j", page).unwrap();
    assert_eq!(first[0].chunks[0].items().len(), 1);
    assert_eq!(
        sent(&first[0]),
        [
            "histogram h_bucket{le=+Inf,job=j} 2",
            "histogram h_bucket{le=1,job=j} 1",
            "histogram h_count{job=j} 2",
            "histogram h_sum{job=j} 3"
        ]
    );
    let second = push(&mut pushed, 4, "job=j", page).unwrap();
    assert_eq!(second[0].time_ms, first[0].time_ms + 1);
    let timed = push(&mut pushed, 6, "job=j", "t 1 1700000001000\n").unwrap();
    assert_eq!(timed[0].clone().narrowed().times.as_deref(), Some(&[1_700_000_001_000][..]));
}

#[test]
fn applications_are_bounded() {
    let mut pushed = pushed(10_000);
    for at in 0..MAX_APPLICATIONS {
        push(&mut pushed, 0, &format!("job=j{at}"), "a 1\n").unwrap();
    }
    assert!(matches!(push(&mut pushed, 0, "job=more", "a 1\n"), Err(Refused::NoRoom(_))));
    push(&mut pushed, 0, "job=j0", "a 1\n").unwrap();
    assert_eq!(pushed.applications.len(), MAX_APPLICATIONS);
}

#[test]
fn what_is_refused_or_gone_leaves_nothing_behind() {
    let mut pushed = pushed(10);
    push(&mut pushed, 0, "job=j", "a{x=\"1\"} 1\n").unwrap();
    let kept = |pushed: &Pushed| pushed.applications.values().next().unwrap().kept();
    assert_eq!(kept(&pushed), (1, 1));
    for round in 0..3 {
        let many: String = (0..20).map(|at| format!("n{round}_{at} 1\n")).collect();
        assert!(push(&mut pushed, 1, "job=j", &many).is_err());
    }
    assert_eq!(kept(&pushed), (1, 1));
    // A histogram whose bounds are others each time.
    for round in 0..SPARE_ROUNDS {
        let buckets: String = (0..6).map(|at| format!("h_bucket{{le=\"{round}.{at}\"}} 1\n")).collect();
        push(&mut pushed, 2, "job=j", &format!("# TYPE h histogram\n{buckets}h_bucket{{le=\"+Inf\"}} 1\n")).unwrap();
    }
    let (readings, numbers) = kept(&pushed);
    assert!(readings < 1100 && numbers == 2, "{readings} readings, {numbers} numbers");
    // The series that was there all the time is the one that it was.
    let again = push(&mut pushed, 3, "job=j", "a{x=\"1\"} 2\n").unwrap();
    assert_eq!(sent(&again[0]), ["untyped a{x=1,job=j} 2"]);
    assert_eq!(pushed.size.series, 8);
}

/// Of six new bounds each: twice what is kept at most.
const SPARE_ROUNDS: u32 = 350;

#[test]
fn increases_are_summed_up_from_push_to_push() {
    let mut pushed = pushed(100);
    let body = |value: u64| {
        format!(
            r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"j"}}}}]}},
                "scopeMetrics":[{{"metrics":[
                    {{"name":"d","sum":{{"aggregationTemporality":1,"isMonotonic":true,"dataPoints":[{{"asInt":"{value}"}}]}}}},
                    {{"name":"h","histogram":{{"aggregationTemporality":1,"dataPoints":[
                        {{"count":"{value}","sum":1.5,"bucketCounts":["{value}","0"],"explicitBounds":[2]}}]}}}}]}}]}}]}}"#
        )
    };
    let mut push = |second: u32, value: u64| {
        let (body, now_ms) = (body(value), START_MS + i64::from(second) * 1000);
        pushed.otlp(Encoding::Json, body.as_bytes(), SECOND * second, now_ms).unwrap()
    };
    push(1, 5);
    let (frames, rejected, has_deltas) = push(2, 3);
    assert!(rejected.why.is_none() && has_deltas);
    assert_eq!(
        sent(&frames[0]),
        [
            "counter d{job=j} 8",
            "histogram h_bucket{le=+Inf,job=j} 8",
            "histogram h_bucket{le=2,job=j} 8",
            "histogram h_count{job=j} 8",
            "histogram h_sum{job=j} 3"
        ]
    );
}

/// A push of OTLP with a sum of so many, at a second of an application's that began to count it at another one.
fn push_sum(pushed: &mut Pushed, second: u32, temporality: u8, value: u64, start: Option<u32>) -> Frame {
    let at_ms = |second: u32| START_MS + i64::from(second) * 1000;
    let start = start.map_or(String::new(), |start| format!(r#""startTimeUnixNano":"{}000000","#, at_ms(start)));
    let body = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"s","sum":{{
            "aggregationTemporality":{temporality},"isMonotonic":true,"dataPoints":[{{{start}"asInt":"{value}"}}]}}}}]}}]}}]}}"#
    );
    pushed.otlp(Encoding::Json, body.as_bytes(), SECOND * second, at_ms(second)).unwrap().0.remove(0)
}

/// Since when the first item of a frame counts from 0, in seconds, none where that is not known, and whether it was not
/// here before.
fn start(frame: &Frame) -> (Option<f64>, bool) {
    let chunk = &frame.chunks[0];
    assert!(chunk.counts_from_zero());
    let item = chunk.items().get(0);
    match item.since {
        Since::Ms(ms) => (Some((ms.get() - START_MS) as f64 / 1000.0), item.is_new),
        Since::Start => (None, false),
    }
}

/// Since when it counts, where it was not here before.
fn from_zero(frame: &Frame) -> Option<f64> {
    let (start, is_new) = start(frame);
    start.filter(|_| is_new)
}

#[test]
fn what_is_summed_up_here_counts_from_0_since_the_first_increase_began() {
    const DELTA: u8 = 1;
    let mut first = pushed(100);
    assert_eq!(from_zero(&push_sum(&mut first, 20, DELTA, 5, Some(10))), Some(10.0));
    let second = push_sum(&mut first, 30, DELTA, 3, Some(20));
    assert_eq!((from_zero(&second), &second.values[..]), (Some(10.0), &[8.0][..]), "that stays");
    // Who does not say when it began: not before what came before it.
    let mut silent = pushed(100);
    assert_eq!(from_zero(&push_sum(&mut silent, 20, DELTA, 5, None)), Some(19.999));
    assert_eq!(from_zero(&push_sum(&mut pushed(100), 20, DELTA, 5, Some(25))), Some(19.999), "times to come");
    // It has ended, and begins anew.
    assert_eq!(first.expire(SECOND * 100, START_MS + 100_000).len(), 1);
    let again = push_sum(&mut first, 110, DELTA, 2, Some(105));
    assert_eq!((from_zero(&again), &again.values[..]), (Some(105.0), &[2.0][..]));
}

#[test]
fn a_sum_counts_from_0_since_it_says_where_it_cannot_have_been_here_before() {
    const CUMULATIVE: u8 = 2;
    let mut one = pushed(100);
    assert_eq!(from_zero(&push_sum(&mut one, 90, CUMULATIVE, 5, Some(70))), Some(70.0));
    // Its application is started again.
    assert_eq!(from_zero(&push_sum(&mut one, 100, CUMULATIVE, 6, Some(70))), Some(70.0));
    assert_eq!(from_zero(&push_sum(&mut one, 110, CUMULATIVE, 1, Some(105))), Some(105.0));
    // What began longer ago than a series stays (a minute) may have come, ended, and come again.
    assert_eq!(start(&push_sum(&mut pushed(100), 90, CUMULATIVE, 5, Some(29))), (Some(29.0), false));
    assert_eq!(from_zero(&push_sum(&mut pushed(100), 90, CUMULATIVE, 5, Some(30))), Some(30.0));
    for said in [None, Some(90), Some(91)] {
        let mut one = pushed(100);
        assert_eq!(start(&push_sum(&mut one, 90, CUMULATIVE, 5, said)), (None, false), "{said:?}");
        // It is known with the next one, which was here before.
        assert_eq!(start(&push_sum(&mut one, 100, CUMULATIVE, 5, said)).0, said.map(f64::from));
    }
    // It may have been taken by one who took pushes before.
    let settings = PushSettings { expire: SECOND * 60, ..PushSettings::default() };
    let mut late = Pushed::new(settings, &ViewSlots::default(), &Arc::default(), START_MS + 80_000);
    assert_eq!(start(&push_sum(&mut late, 90, CUMULATIVE, 5, Some(70))), (Some(70.0), false));
}

/// A push of an exponential histogram `x`, whose buckets above zero are these; its frame, as it is sent.
fn exponential(pushed: &mut Pushed, second: u32, temporality: u8, scale: i32, offset: i32, counts: &[u64]) -> Frame {
    let count: u64 = counts.iter().sum();
    let body = serde_json::json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "x",
        "exponentialHistogram": {"aggregationTemporality": temporality, "dataPoints": [{
            "count": count.to_string(), "sum": 1.5, "scale": scale,
            "positive": {"offset": offset, "bucketCounts": counts}}]}}]}]}]});
    let now_ms = START_MS + i64::from(second) * 1000;
    let (frames, rejected, _) =
        pushed.otlp(Encoding::Json, body.to_string().as_bytes(), SECOND * second, now_ms).unwrap();
    assert_eq!(rejected, Rejected::default());
    frames[0].clone()
}

/// Bounds with their counts, sum and count.
fn distribution(frame: &Frame) -> Vec<String> {
    let all = sent(frame).into_iter();
    let mut all: Vec<String> =
        all.map(|one| one.replace("histogram x_", "").replace("bucket{le=", "").replace("job=otlp} ", " ")).collect();
    let bound = |one: &String| one.split(',').next().and_then(|bound| bound.parse::<f64>().ok());
    all.sort_by(|a, b| bound(a).partial_cmp(&bound(b)).unwrap());
    all
}

#[test]
fn an_exponential_histogram_keeps_its_bounds() {
    let mut pushed = pushed(100);
    let first = exponential(&mut pushed, 1, 2, 0, 0, &[1, 2]);
    assert_eq!(distribution(&first), ["count{ 3", "sum{ 1.5", "0, 0", "1, 0", "2, 1", "4, 3", "+Inf, 3"]);
    // It grows: only buckets are added, on both sides.
    let grown = exponential(&mut pushed, 2, 2, 0, -1, &[1, 1, 2, 5]);
    assert_eq!(
        distribution(&grown),
        ["count{ 9", "sum{ 1.5", "0, 0", "0.5, 0", "1, 1", "2, 2", "4, 4", "8, 9", "+Inf, 9"]
    );
    // The application begins anew, finer and with less: bounds are the same, and so are chunks.
    let anew = exponential(&mut pushed, 3, 2, 3, 8, &[4]);
    assert_eq!(
        distribution(&anew),
        ["count{ 4", "sum{ 1.5", "0, 0", "0.5, 0", "1, 0", "2, 0", "4, 4", "8, 4", "+Inf, 4"]
    );
    assert!(Arc::ptr_eq(&grown.chunks[0], &anew.chunks[0]));
    // A scale less has every other bound, and at the ends what its buckets reach to.
    let wider = exponential(&mut pushed, 4, 2, -1, 0, &[6]);
    assert_eq!(distribution(&wider), ["count{ 6", "sum{ 1.5", "0, 0", "0.25, 0", "1, 0", "4, 6", "16, 6", "+Inf, 6"]);
    assert_eq!(pushed.size.series, 8);
}

#[test]
fn increases_of_an_exponential_histogram_are_summed_up_whatever_their_buckets() {
    let mut pushed = pushed(100);
    exponential(&mut pushed, 1, 1, 0, 0, &[1, 2]);
    exponential(&mut pushed, 2, 1, 1, 4, &[3, 4]);
    let third = exponential(&mut pushed, 3, 1, 0, 1, &[10]);
    assert_eq!(distribution(&third), ["count{ 20", "sum{ 4.5", "0, 0", "1, 0", "2, 1", "4, 13", "8, 20", "+Inf, 20"]);
    // Refused for want of room it changes nothing.
    pushed.settings.max_series = 8;
    let body = br#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[
        {"name":"x","exponentialHistogram":{"aggregationTemporality":1,"dataPoints":[
            {"count":"9","positive":{"offset":9,"bucketCounts":["9"]}}]}}]}]}]}"#;
    assert!(matches!(pushed.otlp(Encoding::Json, body, SECOND * 4, START_MS + 4000), Err(Refused::NoRoom(_))));
    let fifth = exponential(&mut pushed, 5, 1, 0, 1, &[1]);
    assert_eq!(distribution(&fifth)[5..], ["4, 14", "8, 21", "+Inf, 21"]);
}

#[test]
fn a_histogram_of_the_other_kind_begins_anew() {
    let mut pushed = pushed(100);
    exponential(&mut pushed, 1, 1, 0, 0, &[5]);
    let body = br#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[
        {"name":"x","histogram":{"aggregationTemporality":1,"dataPoints":[
            {"count":"3","sum":1.5,"bucketCounts":["1","2"],"explicitBounds":[2]}]}}]}]}]}"#;
    let (frames, ..) = pushed.otlp(Encoding::Json, body, SECOND * 2, START_MS + 2000).unwrap();
    assert_eq!(distribution(&frames[0]), ["count{ 3", "sum{ 1.5", "2, 1", "+Inf, 3"]);
    let back = exponential(&mut pushed, 3, 1, 0, 0, &[4]);
    assert_eq!(distribution(&back), ["count{ 4", "sum{ 1.5", "0, 0", "1, 0", "2, 4", "+Inf, 4"]);
}

/// The exemplars of a frame as it is sent: values by series.
fn exemplars(frame: &Frame) -> Vec<String> {
    let frame = frame.clone().narrowed();
    let names: Vec<String> = frame
        .parts()
        .flat_map(|(chunk, _)| chunk.each())
        .map(|(_, reading)| {
            let face = reading.face(Scheme::Native).unwrap();
            let own = face.labels.iter().find_map(|label| match label {
                Label::Constant { value, .. } => Some(value),
                Label::Key { .. } => None,
            });
            format!("{} {}", face.family.name, own.unwrap_or_default())
        })
        .collect();
    let all = frame.exemplars.iter().flat_map(|all| all.iter());
    all.map(|(at, exemplar)| format!("{}: {}", names[*at as usize], exemplar.value)).collect()
}

#[test]
fn exemplars_come_with_the_push_that_has_them_and_with_no_other() {
    let mut pushed = pushed(100);
    let push = |pushed: &mut Pushed, second: u32, page: &str| {
        let now_ms = START_MS + i64::from(second) * 1000;
        let text = format!("{page}# EOF\n");
        pushed.text("job=j", "application/openmetrics-text", text.as_bytes(), SECOND * second, now_ms).unwrap()[0]
            .clone()
    };
    let gauge = "# TYPE a gauge\na 1\n";
    push(&mut pushed, 1, gauge);
    let histogram = "# TYPE h histogram\nh_bucket{le=\"1\"} 1 # {trace_id=\"x\"} 0.5\n\
                     h_bucket{le=\"+Inf\"} 3 # {} 7\nh_count 3\nh_sum 9\n";
    let counter = "# TYPE c counter\nc_total 3 # {} 2\n";
    // The gauge, which stands in front of them, is not of this push.
    let frame = push(&mut pushed, 2, &format!("{histogram}{counter}"));
    assert_eq!(exemplars(&frame), ["h_bucket 1: 0.5", "h_bucket +Inf: 7", "c_total : 2"]);
    assert_eq!(exemplars(&push(&mut pushed, 3, gauge)), [""; 0]);
    let all = push(&mut pushed, 4, &format!("{gauge}{counter}{histogram}").replace(" # {} 7", ""));
    assert_eq!(exemplars(&all), ["h_bucket 1: 0.5", "c_total : 2"]);
}
