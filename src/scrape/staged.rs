//! The rules of an endpoint from the first one on that depends on other series or on what was before: what of its
//! page they leave, and what they make of it.
//!
//! What the rules in front of them leave is recorded by itself, and passes a stage as a batch does in a lane. What
//! comes out of it is looked at as its last rule left it, and recorded as if the page had said so: whoever comes
//! behind sees no trace of rules. What a rule gathers is a source of its own, which gives a frame for each window.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::labels::{attributes, distinct_labels};
use super::settings::Settings;
use crate::model::{
    Attributes, Batch, Chunk, Frame, Item, Label, Labels, Learnt, ReadingRef, Recorder, Resource, Scheme, ViewSlots,
};
use crate::shaping::{self, MAX_GROUPS, Perspective, Stage, ViewSeries};

/// The sources that an endpoint is: itself, and what its rules gather; each with the time between two frames.
pub fn sources_of(settings: &Settings) -> Vec<(Arc<str>, Duration)> {
    let own = settings.source();
    let made = shaping::sources(&own, &settings.transforms);
    // A window closes with a scrape.
    let made = made.into_iter().map(|(source, window)| (source, window.max(settings.interval)));
    [(Arc::clone(&own), settings.interval)].into_iter().chain(made).collect()
}

/// These rules of a target, with what they know.
pub struct Staged {
    /// What the rules in front of them leave of a page.
    pub before: Recorder,
    stage: Stage,
    own: Carrier,
    /// What carries what they make, by its source.
    made: Vec<(Arc<str>, Recorder, Carrier)>,
    views: ViewSlots,
    attributes: Attributes,
    /// What is gathered has these labels, where it has none of these names.
    distinct: Labels,
    /// How many rules stand in front of them.
    first: usize,
}

/// What is left of a page.
#[derive(Debug, Default)]
pub struct Passed {
    /// How many samples.
    pub samples: usize,
    /// What rules have gathered, in windows that have ended.
    pub gathered: Vec<Frame>,
}

impl Staged {
    /// Those of this target; none where it has none.
    pub fn new(settings: &Settings, views: &ViewSlots) -> Option<Staged> {
        let (front, rest) = settings.transforms.split_at_state();
        let owner = settings.source();
        let from = Perspective::new(SCHEME, Labels::EMPTY).with_rules(rest, false);
        // None where there are no rules.
        let stage = Stage::of_source(&owner, from)?;
        // Nobody but the stage looks at it, from one place.
        let slots = ViewSlots::default();
        slots.change(1);
        let most = settings.limits.page.samples;
        let before = Recorder::new(owner, most).of_unknown_start().with_slots(&slots);
        let (own, made, views) = (Carrier::default(), Vec::new(), views.clone());
        let (attributes, distinct) = (attributes(settings), distinct_labels(settings, false));
        Some(Staged { before, stage, own, made, views, attributes, distinct, first: front.len() })
    }

    /// The page is JSON, or text.
    pub fn expect(&mut self, settings: &Settings, is_json: bool) {
        self.distinct = distinct_labels(settings, is_json);
        self.before.know_by_number(!is_json);
        self.made.iter_mut().for_each(|(.., carrier)| carrier.known.clear());
    }

    /// Goes on with what the same rules of the same endpoint knew before a reload.
    pub fn take_over(&mut self, before: Staged) {
        self.stage.take_over(before.stage);
    }

    /// The page of `time_ms` has been recorded, or it failed and nothing is. What is left of it goes to `out`.
    pub fn pass(&mut self, time_ms: i64, out: &mut Recorder) -> Passed {
        let batch = Batch::new(time_ms, Arc::new(Resource::default()), vec![self.before.finish(time_ms)]);
        let passed = self.stage.pass(&batch);
        let from = self.stage.from();
        let Some((own, made)) = passed.frames.split_first() else { return Passed::default() };
        let samples = self.own.carry(own, from, &Labels::EMPTY, out);
        let made = made.iter().map(|frame| {
            let at = self.made.iter().position(|(source, ..)| *source == frame.source).unwrap_or_else(|| {
                let out = Recorder::new(Arc::clone(&frame.source), MAX_GROUPS);
                let out = out.with_attributes(self.attributes.clone()).of_unknown_start().with_slots(&self.views);
                self.made.push((Arc::clone(&frame.source), out, Carrier::default()));
                self.made.len() - 1
            });
            let (_, out, carrier) = &mut self.made[at];
            carrier.carry(frame, from, &self.distinct, out);
            out.finish(frame.time_ms)
        });
        Passed { samples, gathered: made.collect() }
    }

    /// How many samples of the last page each of these rules dropped, those among them that the last page's windows
    /// gave.
    pub fn dropped(&self) -> &[u64] {
        self.stage.dropped()
    }

    /// Where these rules stand among those of the endpoint.
    pub fn places(&self) -> impl Iterator<Item = String> {
        (self.first..self.first + self.stage.dropped().len()).map(|at| format!("transforms[{at}]"))
    }

    /// A rule for which there are more series than it can gather, once: its place among the endpoint's rules.
    pub fn take_overfull(&mut self) -> Option<usize> {
        Some(self.first + self.stage.take_overfull()?)
    }
}

/// By whichever of them: what is learnt has one name in all.
const SCHEME: Scheme = Scheme::Native;

/// Brings the samples of frames to a recorder, by the names and labels that rules have left them.
#[derive(Debug, Default)]
struct Carrier {
    /// The series that are left of each chunk, by its id.
    known: HashMap<u64, Box<[Left]>>,
}

/// A series as rules have left it.
#[derive(Debug)]
struct Left {
    /// Its place in the chunk.
    place: u32,
    item: Item,
    reading: Arc<Learnt>,
}

impl Carrier {
    /// How many samples it brought. What is gathered gets the labels `more`.
    fn carry(&mut self, frame: &Frame, from: &Perspective, more: &Labels, out: &mut Recorder) -> usize {
        let (mut begin, mut carried) = (0, 0);
        for (chunk, values, times) in frame.timed_parts() {
            let exemplars = frame.exemplars(begin..begin + chunk.len());
            let left = self.known.entry(chunk.id()).or_insert_with(|| left_of(chunk, from, more));
            carried += left.len();
            for series in left.chunk_by(|one, next| one.item.same(&next.item)) {
                // No piece is empty.
                let mut writer = out.item(&series[0].item);
                for Left { place, reading, .. } in series {
                    let at = *place as usize;
                    writer.push_learnt_at(reading, values[at], times.map_or(Frame::NO_TIME, |times| times[at]));
                    let exemplar = exemplars.binary_search_by_key(&(begin + at), |(place, _)| *place as usize);
                    exemplar.iter().for_each(|at| writer.exemplar(&exemplars[*at].1));
                }
            }
            begin += chunk.len();
        }
        if self.known.len() > frame.chunks.len() {
            let there: HashSet<u64> = frame.chunks.iter().map(|chunk| chunk.id()).collect();
            self.known.retain(|id, _| there.contains(id));
        }
        carried
    }
}

fn left_of(chunk: &Chunk, from: &Perspective, more: &Labels) -> Box<[Left]> {
    let view = from.view(chunk);
    let mut last: Option<(u32, Item)> = None;
    let left = view.series().enumerate().filter_map(|(at, one)| {
        // A target's series are all learnt.
        let ReadingRef::Shared(read) = chunk.readings().get(one.place as usize) else { return None };
        let factor = read.face(SCHEME)?.factor;
        let is_as_read = chunk.behind_rules().is_none() && view.changed_by(at).is_none() && one.factor() == factor;
        let reading = if is_as_read { Arc::clone(read) } else { Arc::new(learnt(&one, read, more)) };
        // The series of an item have it in common.
        let (_, item) = match last.take().filter(|(at, _)| *at == one.item) {
            Some(same) => last.insert(same),
            None => last.insert((one.item, chunk.items().item(one.item as usize))),
        };
        Some(Left { place: one.place, item: item.clone(), reading })
    });
    left.collect()
}

/// What a series is a reading of that was one of `read`, with those labels of `more` that it has not.
fn learnt(one: &ViewSeries<'_>, read: &Learnt, more: &Labels) -> Learnt {
    let more = more.iter().filter(|(name, _)| one.labels.iter().all(|(own, _)| own != *name));
    let labels = one.labels.iter().chain(more).map(|(name, value)| Label::Constant { name, value });
    let labels: Vec<Label<'_>> = labels.collect();
    let learnt = Learnt::everywhere(one.family(), &labels).scaled(one.factor());
    if read.is_part() { learnt.part_of_item() } else { learnt }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::testing::random;
    use crate::model::{Family, Kind};
    use crate::scrape::tests::settings;
    use crate::shaping::testing::{rules, seen, words};

    type Seen = Vec<(String, f64)>;

    /// A target's series through its rules.
    struct Endpoint {
        staged: Staged,
        out: Recorder,
        known: HashMap<String, (Item, Arc<Learnt>)>,
    }

    fn staged(list: &str) -> Staged {
        let settings = Settings { transforms: rules(list), ..settings("app", "http://h:1/") };
        Staged::new(&settings, &ViewSlots::default()).unwrap()
    }

    impl Endpoint {
        fn new(list: &str) -> Endpoint {
            let out = Recorder::new("endpoints/app", 1000).of_unknown_start();
            Endpoint { staged: staged(list), out, known: HashMap::new() }
        }

        /// What is left of a page of that second, and what was gathered: the second, and its series.
        fn at(&mut self, second: i64, page: &[(&str, f64)]) -> (Seen, Vec<(i64, Seen)>) {
            for (text, value) in page {
                let (item, reading) = self.known.entry((*text).to_owned()).or_insert_with(|| {
                    let series = shaping::Series::parse(text).unwrap();
                    let labels: Vec<Label<'_>> =
                        series.labels().map(|(name, value)| Label::Constant { name, value }).collect();
                    let family = Family::new(Kind::Counter, series.name(), "", "");
                    (Item::new(&[text]), Arc::new(Learnt::everywhere(family, &labels)))
                });
                self.staged.before.item(item).push_learnt(reading, *value);
            }
            let passed = self.staged.pass(second * 1000, &mut self.out);
            let plain = Perspective::new(Scheme::Otel, Labels::EMPTY);
            let own = seen(&self.out.finish(second * 1000), &plain);
            assert_eq!(passed.samples, own.len());
            (own, passed.gathered.iter().map(|frame| (frame.time_ms / 1000, seen(frame, &plain))).collect())
        }
    }

    #[test]
    fn an_endpoint_is_a_source_and_so_is_each_rule_that_gathers() {
        let list = r#"[{"drop": {"name": "x"}}, {"limit": {"series": 5}}, {"downsample": {"every": "5m"}},
                       {"aggregate": {"function": "sum", "name": "all", "window": "10s"}}]"#;
        let one = Settings { transforms: rules(list), ..settings("app", "http://h:1/") };
        let sources = sources_of(&one);
        // A window of 10 s gives a number with each scrape, which is once a minute.
        let seconds: Vec<u64> = sources.iter().map(|(_, interval)| interval.as_secs()).collect();
        assert_eq!(seconds, [60, 300, 60]);
        assert_eq!(&*sources[0].0, "endpoints/app");
        assert!(sources[1..].iter().all(|(name, _)| name.starts_with("endpoints/app/transforms/")), "{sources:?}");
        let other = Settings { name: "other".into(), source: Settings::source_of("other"), ..one };
        assert!(sources_of(&other)[1..].iter().all(|one| !sources.contains(one)));
        assert_eq!(sources_of(&settings("app", "http://h:1/")).len(), 1);
        assert_eq!(staged(list).places().collect::<Vec<_>>(), ["transforms[1]", "transforms[2]", "transforms[3]"]);
    }

    #[test]
    fn what_rules_leave_is_recorded_as_if_the_page_had_said_so() {
        let mut endpoint = Endpoint::new(
            r#"[{"limit": {"per_name": 2}}, {"rename": {"name": "a", "to": "b"}}, {"drop": {"labels": {"n": "1"}}},
                {"scale": {"match": {"name": "b"}, "factor": 0.5}}, {"drop_labels": ["n"]}]"#,
        );
        let page =
            [(r#"a{n="1"}"#, 1.0), (r#"a{n="2"}"#, 2.0), (r#"a{n="3",z="1"}"#, 3.0), ("c", 4.0), (r#"c{n="4"}"#, 5.0)];
        // The third a has no room, a{n="1"} is dropped, and the second c is like the first one.
        assert_eq!(endpoint.at(10, &page), (words(&[("b", 1.0), ("c", 4.0)]), vec![]));
        assert_eq!(endpoint.staged.dropped(), [1, 0, 1, 0, 1]);
        let chunks = |endpoint: &mut Endpoint| Arc::clone(&endpoint.out.finish(0).chunks);
        // What has not changed stays the same object.
        endpoint.at(20, &page);
        let [one, other] = [(); 2].map(|()| {
            page.iter().for_each(|(text, value)| {
                let (item, reading) = &endpoint.known[*text];
                endpoint.staged.before.item(item).push_learnt(reading, *value);
            });
            endpoint.staged.pass(30_000, &mut endpoint.out);
            chunks(&mut endpoint)
        });
        assert!(Arc::ptr_eq(&one, &other));
        // The one with room has gone.
        let left = words(&[("b", 1.0), (r#"b{z="1"}"#, 1.5), ("c", 4.0)]);
        assert_eq!(endpoint.at(40, &page[1..]), (left, vec![]));
        assert_eq!(endpoint.staged.dropped(), [0, 0, 0, 0, 1]);
    }

    /// What is gathered has the labels by which it is this endpoint's.
    const GROWN: &str = r#"grown{instance="host:80",job="app",new="1",zone="a"}"#;

    #[test]
    fn windows_close_with_a_scrape_and_what_they_give_passes_the_rules_behind() {
        let mut endpoint = Endpoint::new(
            r#"[{"aggregate": {"match": {"name": "hits"}, "function": "increase", "by": ["zone"], "window": "10s", "name": "grown"}},
                {"drop": {"labels": {"zone": "c"}}}, {"add_labels": {"new": "1"}}]"#,
        );
        let page = |now: f64| {
            [
                (r#"hits{n="1",zone="a"}"#, now),
                (r#"hits{n="2",zone="a"}"#, 2.0 * now),
                (r#"hits{zone="c"}"#, now),
                ("temp", 5.0),
            ]
        };
        let temp = words(&[(r#"temp{new="1"}"#, 5.0)]);
        assert_eq!(endpoint.at(1, &page(1.0)), (temp.clone(), vec![]));
        assert_eq!(endpoint.at(6, &page(11.0)), (temp.clone(), vec![]));
        assert_eq!(endpoint.at(12, &page(12.0)), (temp, vec![(10, words(&[(GROWN, 30.0)]))]));
        assert_eq!(endpoint.staged.dropped(), [0, 1, 0]);
        // A scrape that failed: the window closes, and what is gathered nowhere any more ends behind the next one.
        let (left, gathered) = endpoint.at(21, &[]);
        assert_eq!((left, gathered), (vec![], vec![(20, words(&[(GROWN, 3.0)]))]));
        assert_eq!(endpoint.at(32, &[]), (vec![], vec![(30, vec![])]));
        // Back, and it goes on where it was.
        endpoint.at(35, &page(20.0));
        let (_, gathered) = endpoint.at(40, &page(20.0));
        assert_eq!(gathered, [(40, words(&[(GROWN, 24.0)]))]);
    }

    #[test]
    fn a_reload_that_leaves_a_rule_alone_leaves_what_it_knows() {
        let sum = r#"{"aggregate": {"function": "increase", "match": {"name": "a"}, "window": "10s", "name": "sum"}}"#;
        let mut endpoint = Endpoint::new(&format!("[{sum}]"));
        endpoint.at(1, &[("a", 1.0)]);
        for list in
            [format!("[{sum}]"), format!(r#"[{{"drop": {{"name": "b"}}}}, {{"limit": {{"series": 9}}}}, {sum}]"#)]
        {
            let before = std::mem::replace(&mut endpoint.staged, staged(&list));
            endpoint.staged.take_over(before);
            endpoint.known.clear();
            endpoint.at(2, &[("a", 5.0)]);
        }
        endpoint.at(3, &[("a", 6.0)]);
        assert_eq!(endpoint.at(10, &[("a", 6.0)]).1, [(10, words(&[(r#"sum{instance="host:80",job="app"}"#, 5.0)]))]);
    }

    #[test]
    fn whatever_comes_and_goes_what_is_recorded_is_what_the_rules_leave() {
        let mut random = random();
        // A series of the name m7 is scaled, m8 renamed, m9 dropped; there is room for all.
        let mut endpoint = Endpoint::new(
            r#"[{"limit": {"series": 1000}}, {"scale": {"match": {"name": "m7"}, "factor": 2}},
                {"rename": {"name": "m8", "to": "m8_other"}}, {"drop": {"name": "m9"}}]"#,
        );
        for second in 1..200 {
            let mut page: Vec<String> =
                (0..random(300)).map(|_| format!(r#"m{}{{n="{}"}}"#, random(10), random(40))).collect();
            page.sort();
            page.dedup();
            let page: Vec<(&str, f64)> = page.iter().enumerate().map(|(at, text)| (&**text, at as f64)).collect();
            let expected = page.iter().filter_map(|(text, value)| match &text[..2] {
                "m7" => Some(((*text).to_owned(), 2.0 * value)),
                "m8" => Some((text.replace("m8", "m8_other"), *value)),
                "m9" => None,
                _ => Some(((*text).to_owned(), *value)),
            });
            let expected: Seen = expected.collect();
            assert_eq!(endpoint.at(second, &page).0, expected, "at {second}");
        }
    }
}
