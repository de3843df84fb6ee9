//! A chunk as somebody sees it: which of its series, by which names, with which labels.
//!
//! A view is compiled once for a chunk and a [`Perspective`], and goes with the chunk.

use std::any::Any;
use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::slice;
use std::sync::Arc;

use super::label_table::{self, LabelTable, ViewLabels};
use crate::model::{Chunk, Face, FaceLabels, Family, Frame, Item, Label, Labels, ReadingRef, Scheme, Slot};

/// From where somebody looks.
#[derive(Clone, Debug, PartialEq)]
pub struct Perspective {
    /// By which names.
    pub scheme: Scheme,
    /// Labels that every series gets which has none of that name itself.
    pub labels: Labels,
}

impl Perspective {
    /// By the names of `scheme`, with `labels` added.
    pub fn new(scheme: Scheme, labels: Labels) -> Perspective {
        Perspective { scheme, labels }
    }

    /// The view of `chunk` from here. It stays with the chunk, for all that look from here,
    /// where there is room for it: by a scheme alone there always is, with labels there is where
    /// the chunk's recorder was told of it.
    pub fn view(&self, chunk: &Chunk) -> Arc<View> {
        let slots = if self.labels.is_empty() { slice::from_ref(chunk.slot(self.scheme)) } else { chunk.slots() };
        let compile = || Arc::new(View::new(chunk, self));
        for slot in slots {
            let view: &Arc<dyn Any + Send + Sync> = slot.get_or_init(|| compile());
            if view.downcast_ref::<View>().is_some_and(|view| view.from == *self) {
                return Arc::clone(view).downcast().unwrap_or_else(|_| compile());
            }
        }
        compile()
    }
}

/// A chunk's series as they are seen. There may be a hundred thousand series, each in several
/// views: what they have in common stands here once, and the rest is numbers.
#[derive(Debug)]
pub struct View {
    from: Perspective,
    series: Box<[Own]>,
    /// What they are readings of, each once.
    readings: Box<[ReadingRef]>,
    labels: LabelTable,
    /// For each series its place in the chunk and its factor; none: all of the chunk's, as they are.
    gather: Option<Box<[(u32, f64)]>>,
    /// What formats have made of it, each in the first place that was free.
    kept: [Slot; KEPT],
}

/// How many formats keep something of a view: remote write 1.0 and JSON. Another one would keep
/// its own.
const KEPT: usize = 2;

/// What a series has of its own; the first two are numbers in what they have in common.
#[derive(Debug)]
struct Own {
    reading: u32,
    labels: u32,
    place: u32,
    item: u32,
    identity: u64,
}

/// A series as it is seen.
#[derive(Clone, Copy, Debug)]
pub struct ViewSeries<'v> {
    reading: &'v ReadingRef,
    scheme: Scheme,
    /// Its place in the chunk.
    pub place: u32,
    /// Which item of the chunk it belongs to.
    pub item: u32,
    /// All its labels, sorted by name.
    pub labels: ViewLabels<'v>,
    /// What tells it from other series: a hash of its name and labels.
    pub identity: u64,
}

/// A reading is looked for among the first so many. Where there are more, an item is so large
/// that it is a chunk by itself, and none of its readings comes again.
const MOST_READINGS: usize = 4 * Chunk::SIZE;

impl View {
    fn new(chunk: &Chunk, from: &Perspective) -> View {
        let mut series = Vec::with_capacity(chunk.len());
        let mut readings: Vec<ReadingRef> = Vec::new();
        let mut labels = label_table::Maker::default();
        // Readings of one item mostly have the same labels.
        let mut known: Vec<(FaceLabels<'_>, u32)> = Vec::new();
        for (at, item) in chunk.items().iter().enumerate() {
            known.clear();
            let mut expected = 0;
            for place in chunk.places(at) {
                let reading = &chunk.series()[place];
                let Some(face) = reading.face(from.scheme) else { continue };
                let of = number(&mut readings, expected, reading);
                expected = of + 1;
                let set = known.iter().find(|(of, _)| of.same(face.labels)).map(|(_, set)| *set);
                let set = set.unwrap_or_else(|| {
                    let set = labels.add(labels_of(&face, &item.item, chunk.labels(), &from.labels));
                    known.push((face.labels, set));
                    set
                });
                let (reading, place, item) = (of as u32, place as u32, at as u32);
                series.push(Own { reading, labels: set, place, item, identity: 0 });
            }
        }
        let (readings, labels) = (readings.into(), labels.make());
        let mut view = View {
            from: from.clone(),
            series: series.into(),
            readings,
            labels,
            gather: None,
            kept: Default::default(),
        };
        for at in 0..view.series.len() {
            let one = view.one(&view.series[at]);
            let mut hasher = DefaultHasher::new();
            one.family().name.hash(&mut hasher);
            one.labels.iter().for_each(|label| label.hash(&mut hasher));
            view.series[at].identity = hasher.finish();
        }
        if view.len() < chunk.len() || view.series().any(|one| one.factor() != 1.0) {
            view.gather = Some(view.series().map(|one| (one.place, one.factor())).collect());
        }
        view
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

    fn one<'v>(&'v self, own: &Own) -> ViewSeries<'v> {
        ViewSeries {
            reading: &self.readings[own.reading as usize],
            scheme: self.from.scheme,
            place: own.place,
            item: own.item,
            labels: self.labels.set(own.labels),
            identity: own.identity,
        }
    }

    /// The series that are seen, in the chunk's order.
    pub fn series(&self) -> impl ExactSizeIterator<Item = ViewSeries<'_>> + Clone {
        self.series.iter().map(|own| self.one(own))
    }

    /// The series of that number among them.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn get(&self, at: usize) -> ViewSeries<'_> {
        self.one(&self.series[at])
    }

    /// How many series are seen.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether nothing is seen.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
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
    /// The family that it belongs to.
    pub fn family(&self) -> Family<'v> {
        self.face().family
    }

    /// Its number, where `values` are those of its chunk.
    #[inline]
    pub fn value(&self, values: &[f64]) -> f64 {
        values[self.place as usize] * self.face().factor
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
        self.face().factor
    }

    fn face(&self) -> Face<'v> {
        // A view has no series without one.
        self.reading.face(self.scheme).expect("a series that is seen has a face in its scheme")
    }
}

/// The number of `reading`, which is `expected`, as items are mostly alike.
fn number(readings: &mut Vec<ReadingRef>, expected: usize, reading: &ReadingRef) -> usize {
    if readings.get(expected).is_some_and(|other| other.same(reading)) {
        return expected;
    }
    let known = readings.iter().take(MOST_READINGS).position(|other| other.same(reading));
    known.unwrap_or_else(|| {
        readings.push(reading.clone());
        readings.len() - 1
    })
}

/// The labels of a series, sorted by name: its own, then those of its source, then `extra`, each
/// where it has none of that name yet. A label of an empty value is none.
fn labels_of<'t>(
    face: &Face<'t>,
    item: &'t Item,
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
    labels.sort_by_key(|(name, _)| *name);
    labels.dedup_by(|(name, _), (before, _)| name == before);
    labels.retain(|(_, value): &(_, Cow<'_, str>)| !value.is_empty());
    labels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Frame, Reading, Recorder, ViewSlots, face};

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
}
