//! A chunk as somebody sees it: which of its series, by which names, with which labels.
//!
//! A view is compiled once for a chunk and a [`Perspective`], and goes with the chunk.

use std::any::Any;
use std::borrow::Cow;
use std::slice;
use std::sync::Arc;

use super::identity;
use super::label_table::ViewLabels;
use super::names::prometheus_name;
use super::recipe::{self, Recipes};
use super::rule::Rule;
use super::rules::{Outcome, Rules, Step};
use super::series::Series;
use super::shaped::{self, Meeting, Shaped, leave_out};
use crate::model::{
    Chunk, Face, FaceLabels, Family, Frame, Items, Key, Label, Labels, ReadingRef, Readings, Scheme, Slot,
};
use crate::order;

/// From where somebody looks.
#[derive(Clone, Debug, PartialEq)]
pub struct Perspective {
    /// By which names.
    pub scheme: Scheme,
    /// Labels that every series gets which has none of that name itself.
    pub labels: Labels,
    /// What is done with each series behind these two.
    rules: Rules,
    /// Whether rules see names and labels as Prometheus' formats write them, which have no dots.
    without_dots: bool,
}

impl Perspective {
    /// By the names of `scheme`, with `labels` added.
    pub fn new(scheme: Scheme, labels: Labels) -> Perspective {
        Perspective { scheme, labels, rules: Rules::NONE, without_dots: false }
    }

    /// The same with `rules` behind them. `without_dots`: what is seen is written by a format of
    /// Prometheus, so that they see names and labels as it writes them.
    pub fn with_rules(self, rules: Rules, without_dots: bool) -> Perspective {
        // Only there names have dots; else views can be shared with other formats.
        let without_dots = without_dots && self.scheme == Scheme::Otel && !rules.is_empty();
        Perspective { rules, without_dots, ..self }
    }

    /// The rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Whether it is a scheme alone, for which every chunk has room.
    pub fn is_plain(&self) -> bool {
        self.labels.is_empty() && self.rules.is_empty()
    }

    /// The view of `chunk` from here. It stays with the chunk, for all that look from here,
    /// where there is room for it: by a scheme alone there always is, with labels or rules there
    /// is where the chunk's recorder was told of it.
    pub fn view(&self, chunk: &Chunk) -> Arc<View> {
        let slots = if self.is_plain() { slice::from_ref(chunk.slot(self.scheme)) } else { chunk.slots() };
        let compile = || Arc::new(View::new(chunk, self));
        for slot in slots {
            let view: &Arc<dyn Any + Send + Sync> = slot.get_or_init(|| compile());
            if view.downcast_ref::<View>().is_some_and(|view| view.from == *self) {
                return Arc::clone(view).downcast().unwrap_or_else(|_| compile());
            }
        }
        compile()
    }

    /// Each series of `chunk` as rules see it first, with its place there and its item, one after
    /// the other.
    pub fn each(&self, chunk: &Chunk, mut with: impl FnMut(&mut Series, Unshaped<'_>)) {
        let mut series = Series::default();
        // Readings of one item mostly have the same labels.
        let mut known: Vec<(FaceLabels<'_>, OwnLabels<'_>)> = Vec::new();
        for (at, item) in chunk.items().iter().enumerate() {
            known.clear();
            for place in item.places {
                let reading = chunk.readings().get(place);
                let Some(face) = reading.face(self.scheme) else { continue };
                let found = known.iter().position(|(of, _)| of.same(face.labels));
                let found = found.unwrap_or_else(|| {
                    known.push((face.labels, labels_of(&face, item.key, chunk.labels(), self.added_to(chunk))));
                    known.len() - 1
                });
                // What a rule has made is as it is seen already.
                let without_dots = self.without_dots && chunk.behind_rules().is_none();
                begin(&mut series, &face, &known[found].1, without_dots);
                let Face { family, factor, .. } = face;
                with(&mut series, Unshaped { family, place: place as u32, item: at as u32, factor });
            }
        }
    }

    /// The labels that the series of `chunk` get here.
    fn added_to(&self, chunk: &Chunk) -> &Labels {
        if chunk.behind_rules().is_some() { &Labels::EMPTY } else { &self.labels }
    }
}

fn begin(series: &mut Series, face: &Face<'_>, labels: &[(&str, Cow<'_, str>)], without_dots: bool) {
    if !without_dots {
        series.begin(face.family.name);
        labels.iter().for_each(|(name, value)| series.set(name, value));
        return;
    }
    series.begin(&prometheus_name(face.family));
    // Those with dots last, since they go over others: as `prometheus_labels` has it.
    let (dotted, others): (Vec<_>, Vec<_>) = labels.iter().partition(|(name, _)| name.contains('.'));
    others.into_iter().for_each(|(name, value)| series.set(name, value));
    dotted.into_iter().for_each(|(name, value)| series.set(&name.replace('.', "_"), value));
}

/// What a series is before rules, besides its name and labels.
#[derive(Clone, Copy, Debug)]
pub struct Unshaped<'c> {
    /// The family that it belongs to.
    pub family: Family<'c>,
    /// Its place in its chunk.
    pub place: u32,
    /// Which item of the chunk it belongs to.
    pub item: u32,
    /// What its number is multiplied with in this scheme.
    pub factor: f64,
}

/// A chunk's series as they are seen. There may be a hundred thousand series, each in several
/// views: what they have in common stands here once, and the rest is numbers.
#[derive(Debug)]
pub struct View {
    from: Perspective,
    /// What tells each series that is seen from others.
    identities: Box<[u64]>,
    /// For each of them its place in the chunk and its factor; none: all of the chunk's, as they are.
    gather: Option<Box<[(u32, f64)]>>,
    /// What the chunk has.
    items: Arc<Items>,
    readings: Arc<Readings>,
    labels: AllLabels,
    /// What formats have made of it, each in the first place that was free.
    kept: [Slot; KEPT],
}

/// How many formats keep something of a view: remote write 1.0, JSON and OTLP in one of its
/// encodings. Another one would keep its own.
const KEPT: usize = 3;

/// The labels of all series.
#[derive(Debug)]
enum AllLabels {
    /// Where there are no rules: how they are put together, and for each reading its recipe.
    Made(Recipes, Box<[u32]>),
    /// What rules have made of the series.
    Shaped(Box<Shaped>),
}

/// A series as it is seen.
#[derive(Clone, Copy, Debug)]
pub struct ViewSeries<'v> {
    reading: &'v ReadingRef,
    scheme: Scheme,
    /// Where rules have given it another one than its family's.
    name: Option<&'v str>,
    factor: Option<f64>,
    /// Its place in the chunk.
    pub place: u32,
    /// Which item of the chunk it belongs to.
    pub item: u32,
    /// Which of the chunk's readings it is one of.
    pub reading_number: u32,
    /// All its labels, sorted by name.
    pub labels: ViewLabels<'v>,
    /// What tells it from other series: a hash of its name and labels.
    pub identity: u64,
}

/// Labels of a series before its source's and others are added: names and values.
type OwnLabels<'l> = Vec<(&'l str, Cow<'l, str>)>;

impl View {
    fn new(chunk: &Chunk, from: &Perspective) -> View {
        let mut view = if from.rules.is_empty() { View::plain(chunk, from) } else { View::shaped(chunk, from) };
        if from.rules.may_make_alike() {
            view.drop_alike();
        }
        let is_as_it_is =
            |gather: &[(u32, f64)]| gather.len() == chunk.len() && gather.iter().all(|(_, factor)| *factor == 1.0);
        view.gather = view.gather.filter(|gather| !is_as_it_is(gather));
        view
    }

    /// Without rules.
    fn plain(chunk: &Chunk, from: &Perspective) -> View {
        let readings = chunk.readings();
        let mut labels = recipe::Maker::new(chunk.items(), chunk.labels(), from.added_to(chunk));
        // Of each reading that is seen the recipe, the hash of its name and its factor.
        let made = readings.all().iter().map(|reading| {
            let face = reading.face(from.scheme)?;
            Some((labels.of(&face), identity::text(face.family.name.as_bytes()), face.factor))
        });
        let made: Vec<Option<(u32, u64, f64)>> = made.collect();
        let mut identities = Vec::with_capacity(chunk.len());
        let mut gather = Vec::with_capacity(chunk.len());
        for (at, item) in chunk.items().iter().enumerate() {
            for place in item.places {
                let Some((recipe, name, factor)) = made[readings.number(place)] else { continue };
                identities.push(labels.identity(name, recipe, at as u32));
                gather.push((place as u32, factor));
            }
        }
        let by_reading = made.iter().map(|made| made.map_or(0, |(recipe, ..)| recipe)).collect();
        View {
            from: from.clone(),
            identities: identities.into(),
            gather: Some(gather.into()),
            items: Arc::clone(chunk.items()),
            readings: Arc::clone(readings),
            labels: AllLabels::Made(labels.finish(), by_reading),
            kept: Default::default(),
        }
    }

    /// With rules.
    fn shaped(chunk: &Chunk, from: &Perspective) -> View {
        let (mut identities, mut gather, mut factors) = (Vec::new(), Vec::new(), Vec::new());
        let mut shaped = shaped::Maker::new(from.rules.len());
        let first = chunk.behind_rules().unwrap_or_default();
        // What a rule has made it has changed.
        let made_by = first.checked_sub(1);
        from.each(chunk, |one, Unshaped { family, place, factor, .. }| {
            let outcome = from.rules.apply_each(first, one, |rule, _, step, one| {
                if matches!(step, Step::Fed | Step::Taken | Step::Limited) {
                    let reading = chunk.readings().number(place as usize) as u32;
                    shaped.meet(place, reading, rule, one, factor * one.factor());
                }
            });
            let changed_by = match outcome {
                Outcome::Dropped(rule) => return shaped.drop(rule),
                Outcome::Taken(_) => return,
                Outcome::Kept { changed_by } => changed_by.or(made_by),
            };
            shaped.add(one, family.name, factor * one.factor(), changed_by);
            identities.push(one.identity());
            gather.push((place, factor * one.factor()));
            factors.push(factor);
        });
        let shaped = shaped.make(factors.into_iter());
        View {
            from: from.clone(),
            identities: identities.into(),
            gather: Some(gather.into()),
            items: Arc::clone(chunk.items()),
            readings: Arc::clone(chunk.readings()),
            labels: AllLabels::Shaped(Box::new(shaped)),
            kept: Default::default(),
        }
    }

    /// Of series that rules have left alike the first one stays; the others count as dropped by
    /// the rule that made them so.
    fn drop_alike(&mut self) {
        let AllLabels::Shaped(shaped) = &mut self.labels else { return };
        let Some(gather) = &mut self.gather else { return };
        let series: Vec<(u64, u32)> =
            self.identities.iter().zip(gather.iter()).map(|(identity, (place, _))| (*identity, *place)).collect();
        let limits: Vec<bool> = self.from.rules.iter().map(|rule| matches!(rule, Rule::Limit(_))).collect();
        if let Some(gone) = shaped.drop_alike(&series, |rule| limits[rule]) {
            leave_out(&mut self.identities, &gone);
            leave_out(gather, &gone);
        }
    }

    /// How many of the chunk's series each rule has dropped, by its place among the rules.
    pub fn dropped(&self) -> impl Iterator<Item = (usize, u64)> {
        self.rules_made().into_iter().flat_map(Shaped::dropped)
    }

    /// The series that come to rules that depend on others or on what was before: series by series,
    /// and of each in the rules' order.
    pub fn meetings(&self) -> impl Iterator<Item = Meeting<'_>> {
        let family = |reading: u32| face(&self.readings.all()[reading as usize], self.from.scheme).family;
        self.rules_made().into_iter().flat_map(move |shaped| shaped.meetings(family))
    }

    /// The last rule that changed the series of that number; none: it is as it was.
    pub fn changed_by(&self, at: usize) -> Option<usize> {
        self.rules_made()?.changed_by(at)
    }

    fn rules_made(&self) -> Option<&Shaped> {
        match &self.labels {
            AllLabels::Made(..) => None,
            AllLabels::Shaped(shaped) => Some(shaped),
        }
    }

    /// What is made of it by `make`, once for all who keep the same of it.
    pub fn kept<T: Send + Sync + 'static>(&self, mut make: impl FnMut() -> T) -> Arc<T> {
        for slot in &self.kept {
            let kept: &Arc<dyn Any + Send + Sync> = slot.get_or_init(|| Arc::new(make()));
            if let Ok(kept) = Arc::clone(kept).downcast() {
                return kept;
            }
        }
        Arc::new(make())
    }

    /// The series that are seen, in the chunk's order.
    pub fn series(&self) -> impl ExactSizeIterator<Item = ViewSeries<'_>> + Clone {
        (0..self.len()).map(|at| self.get(at))
    }

    /// The series of that number among them.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn get(&self, at: usize) -> ViewSeries<'_> {
        let identity = self.identities[at];
        let place = self.gather.as_ref().map_or(at, |gather| gather[at].0 as usize);
        let (item, reading) = (self.items.of_place(place), self.readings.number(place));
        let (mut name, mut factor) = (None, None);
        let labels = match &self.labels {
            AllLabels::Made(recipes, by_reading) => ViewLabels::Made(recipes.labels(by_reading[reading], item as u32)),
            AllLabels::Shaped(shaped) => {
                (name, factor) = (shaped.name(at), shaped.factor(at));
                shaped.labels(at)
            }
        };
        ViewSeries {
            reading: &self.readings.all()[reading],
            scheme: self.from.scheme,
            name,
            factor,
            place: place as u32,
            item: item as u32,
            labels,
            reading_number: reading as u32,
            identity,
        }
    }

    /// The number among them of the series at `place` of the chunk; none: it is not seen.
    pub fn at_place(&self, place: usize) -> Option<usize> {
        match &self.gather {
            None => (place < self.len()).then_some(place),
            Some(gather) => gather.binary_search_by_key(&place, |(own, _)| *own as usize).ok(),
        }
    }

    /// How many series are seen.
    pub fn len(&self) -> usize {
        self.identities.len()
    }

    /// Whether nothing is seen.
    pub fn is_empty(&self) -> bool {
        self.identities.is_empty()
    }

    /// The numbers of the series that are seen, of the chunk's `values`. `room` is for those
    /// that are not all of them.
    pub fn values<'v>(&self, values: &'v [f64], room: &'v mut Vec<f64>) -> &'v [f64] {
        match &self.gather {
            None => values,
            Some(gather) => {
                room.clear();
                room.extend(gather.iter().map(|(place, factor)| values[*place as usize] * factor));
                room
            }
        }
    }
}

impl<'v> ViewSeries<'v> {
    /// The family that it belongs to, by the name that it has here.
    pub fn family(&self) -> Family<'v> {
        let family = self.face().family;
        Family { name: self.name.unwrap_or(family.name), ..family }
    }

    /// Its number, where `values` are those of its chunk.
    #[inline]
    pub fn value(&self, values: &[f64]) -> f64 {
        values[self.place as usize] * self.factor()
    }

    /// The time of its sample, where that of the frame is `time_ms`, and `times` those that samples of
    /// the chunk have of their own.
    pub fn time_ms(&self, time_ms: i64, times: Option<&[i64]>) -> i64 {
        let own = times.map(|times| times[self.place as usize]);
        own.filter(|own| *own != Frame::NO_TIME).unwrap_or(time_ms)
    }

    /// Whether what it is a reading of is built in, or was learnt at run time.
    pub fn is_built_in(&self) -> bool {
        matches!(self.reading, ReadingRef::Static(_))
    }

    /// What its number is multiplied with.
    pub fn factor(&self) -> f64 {
        self.factor.unwrap_or_else(|| self.face().factor)
    }

    fn face(&self) -> Face<'v> {
        face(self.reading, self.scheme)
    }
}

/// That of a series that is seen.
fn face(reading: &ReadingRef, scheme: Scheme) -> Face<'_> {
    // A view has no series without one.
    reading.face(scheme).expect("a series that is seen has a face in its scheme")
}

/// The labels of a series, sorted by name: its own, then those of its source, then `extra`, each
/// where it has none of that name yet. A label of an empty value is none.
fn labels_of<'t>(
    face: &Face<'t>,
    item: Key<'t>,
    of_source: &'t Labels,
    extra: &'t Labels,
) -> Vec<(&'t str, Cow<'t, str>)> {
    let own = face.labels.iter().map(|label| match label {
        Label::Key { name, at, prefix: "" } => (name, item.value(at).into()),
        Label::Key { name, at, prefix } => (name, [prefix, item.value(at)].concat().into()),
        Label::Constant { name, value } => (name, value.into()),
    });
    let more = of_source.iter().chain(extra.iter()).map(|(name, value)| (name, value.into()));
    let mut labels: Vec<_> = own.chain(more).collect();
    // Where a name is given more than once, what counts stands in front.
    order::sort_by_key(&mut labels, |(name, _)| *name);
    labels.dedup_by(|(name, _), (before, _)| name == before);
    labels.retain(|(_, value): &(_, Cow<'_, str>)| !value.is_empty());
    labels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Frame, Item, Kind, Reading, Recorder, ViewSlots, face};
    use crate::shaping::testing::{self, Giver};

    static DEVICE: &[Label] = &[Label::key("device", 0)];
    static READ: Reading = Reading {
        native: face(&Family::counter("test_read_bytes_total", "bytes", "Bytes read."), DEVICE),
        node: face(&Family::counter("node_read_bytes_total", "bytes", "Bytes read."), DEVICE),
        otel: None,
    };

    /// A frame in one chunk that has room for so many views.
    fn frame(slots: u32) -> Frame {
        let room = ViewSlots::default();
        room.change(slots);
        let mut out = Recorder::new("disk", 10).with_slots(&room);
        out.item(&Item::new(&["sda"])).push(&READ, 1.0);
        out.finish(1)
    }

    fn from(scheme: Scheme, job: &str) -> Perspective {
        Perspective::new(scheme, Labels::of(&[("job", job)]))
    }

    #[test]
    fn what_formats_keep_of_a_view_is_made_once_for_each_of_them() {
        let view = from(Scheme::Native, "a").view(&frame(1).chunks[0]);
        let (text, number) = (view.kept(|| "text".to_owned()), view.kept(|| 5_u64));
        assert!(Arc::ptr_eq(&text, &view.kept(|| -> String { panic!("it is there") })));
        assert!(Arc::ptr_eq(&number, &view.kept(|| -> u64 { panic!("it is there") })));
        assert_eq!((&**text, *number, *view.kept(|| 'c')), ("text", 5, 'c'));
    }

    #[test]
    fn who_looks_from_the_same_place_shares_a_view() {
        let frame = frame(2);
        let chunk = &frame.chunks[0];
        let [a, b] = ["a", "b"].map(|job| from(Scheme::Native, job).view(chunk));
        assert!(Arc::ptr_eq(&a, &from(Scheme::Native, "a").view(chunk)));
        assert!(Arc::ptr_eq(&b, &from(Scheme::Native, "b").view(chunk)));
        assert!(!Arc::ptr_eq(&a, &b));
        // By a scheme alone there is always room.
        let page = Perspective::new(Scheme::Native, Labels::EMPTY);
        assert!(Arc::ptr_eq(&page.view(chunk), &page.view(chunk)));
        // Beyond what was asked for a view is as good, and the asker's own.
        let more = from(Scheme::NodeExporter, "a");
        assert!(!Arc::ptr_eq(&more.view(chunk), &more.view(chunk)));
        assert_eq!(more.view(chunk).series().next().unwrap().family().name, "node_read_bytes_total");
        assert!(Arc::ptr_eq(&b, &from(Scheme::Native, "b").view(chunk)));
    }

    #[test]
    fn rules_leave_other_names_labels_and_factors_and_count_what_they_drop() {
        let from = testing::from(
            r#"[{"drop": {"name": "b"}}, {"rename": {"name": "c", "to": "renamed"}},
                {"scale": {"match": {"name": "a"}, "factor": 0.5}}, {"add_labels": {"job": "", "x": "y"}},
                {"drop": {"labels": {"n": "2"}}}]"#,
        );
        let mut giver = Giver::new("s");
        let series = [(r#"a{n="1"}"#, 3.0), ("b", 1.0), (r#"c{n="1"}"#, 7.0), (r#"c{n="2"}"#, 8.0), ("b", 2.0)];
        let frame = giver.frame(1, &series[..4]);
        let left = testing::words(&[(r#"a{n="1",x="y"}"#, 1.5), (r#"renamed{n="1",x="y"}"#, 7.0)]);
        assert_eq!(testing::seen(&frame, &from), left);
        let view = from.view(&frame.chunks[0]);
        assert_eq!(view.dropped().collect::<Vec<_>>(), [(0, 1), (4, 1)]);
        assert_eq!((view.changed_by(0), view.changed_by(1)), (Some(3), Some(3)));
        assert_eq!(view.get(1).family(), Family::gauge("renamed", "", ""));
        // Who sees it without rules sees all of it.
        assert_eq!(testing::seen(&frame, &Perspective::new(Scheme::Native, Labels::EMPTY)).len(), 4);
    }

    #[test]
    fn of_series_that_rules_leave_alike_the_first_stays_and_who_did_it_is_counted() {
        let from = testing::from(r#"[{"drop_labels": ["n"]}, {"rename": {"name": "b", "to": "a"}}]"#);
        let mut giver = Giver::new("s");
        let frame = giver.frame(1, &[(r#"a{n="1"}"#, 1.0), (r#"a{n="2"}"#, 2.0), ("b", 3.0), ("c", 4.0)]);
        assert_eq!(testing::seen(&frame, &from), testing::words(&[(r#"a{job="j"}"#, 1.0), (r#"c{job="j"}"#, 4.0)]));
        let view = from.view(&frame.chunks[0]);
        assert_eq!(view.dropped().collect::<Vec<_>>(), [(0, 1), (1, 1)]);
        // Of two of which only the first was changed it was that change.
        let from = testing::from(r#"[{"rename": {"name": "a", "to": "c"}}]"#);
        let frame = giver.frame(2, &[("a", 1.0), ("c", 2.0)]);
        assert_eq!(testing::seen(&frame, &from), testing::words(&[(r#"c{job="j"}"#, 1.0)]));
        assert_eq!(from.view(&frame.chunks[0]).dropped().collect::<Vec<_>>(), [(0, 1)]);
    }

    #[test]
    fn destinations_of_the_same_rules_share_a_view() {
        let frame = frame(2);
        let chunk = &frame.chunks[0];
        let [one, same, other] =
            ["a", "a", "b"].map(|name| testing::from(&format!(r#"[{{"drop": {{"name": "{name}"}}}}]"#)));
        assert!(Arc::ptr_eq(&one.view(chunk), &same.view(chunk)));
        assert!(!Arc::ptr_eq(&one.view(chunk), &other.view(chunk)));
        assert_ne!(one, other);
        // Rules alone need room as labels do.
        let rules = testing::rules(r#"[{"drop": {"name": "a"}}]"#);
        assert!(!Perspective::new(Scheme::Native, Labels::EMPTY).with_rules(rules, false).is_plain());
    }

    #[test]
    fn rules_of_a_format_without_dots_see_names_without_them() {
        static LABELS: &[Label<'static>] = &[Label::key("hw.id", 0)];
        static MEMORY: Reading = Reading {
            native: None,
            node: None,
            otel: face(&Family::new(Kind::UpDown, "system.memory.usage", "By", "Memory."), LABELS),
        };
        let mut out = Recorder::new("memory", 10);
        out.item(&Item::new(&["x"])).push(&MEMORY, 1.0);
        let frame = out.finish(1);
        let rules = testing::rules(
            r#"[{"keep": {"name": "system_memory_usage_bytes"}}, {"relabel": {"source_labels": ["hw_id"], "target_label": "id"}}]"#,
        );
        let from = |without| Perspective::new(Scheme::Otel, Labels::EMPTY).with_rules(rules.clone(), without);
        let left = testing::words(&[(r#"system_memory_usage_bytes{hw_id="x",id="x"}"#, 1.0)]);
        assert_eq!(testing::seen(&frame, &from(true)), left);
        assert_eq!(testing::seen(&frame, &from(false)), []);
    }
}
