//! A chunk as somebody sees it: which of its series, by which names, with which labels.
//!
//! A view is compiled once for a chunk and a [`Perspective`], and goes with the chunk.

use std::any::Any;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::slice;
use std::sync::Arc;

use crate::model::{Chunk, Face, Family, Item, Label, Labels, ReadingRef, Scheme};

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

/// A chunk's series as they are seen.
#[derive(Debug)]
pub struct View {
    from: Perspective,
    series: Box<[ViewSeries]>,
    /// For each series its place in the chunk and its factor; none: all of the chunk's, as they are.
    gather: Option<Box<[(u32, f64)]>>,
}

/// A series as it is seen.
#[derive(Clone, Debug)]
pub struct ViewSeries {
    reading: ReadingRef,
    scheme: Scheme,
    /// Its place in the chunk.
    pub place: u32,
    /// Which item of the chunk it belongs to.
    pub item: u32,
    /// All its labels, sorted by name.
    pub labels: Labels,
    /// What tells it from other series: a hash of its name and labels.
    pub identity: u64,
}

impl View {
    fn new(chunk: &Chunk, from: &Perspective) -> View {
        let Perspective { scheme, labels: extra } = from;
        let scheme = *scheme;
        let mut series = Vec::new();
        // Readings of one item mostly have the same labels.
        let mut known: Vec<(*const [Label], Labels)> = Vec::new();
        for (at, item) in chunk.items().iter().enumerate() {
            known.clear();
            for place in chunk.places(at) {
                let reading = &chunk.series()[place];
                let Some(face) = reading.face(scheme) else { continue };
                let rules: *const [Label] = face.labels;
                let labels = match known.iter().find(|(of, _)| std::ptr::eq(*of, rules)) {
                    Some((_, labels)) => labels.clone(),
                    None => {
                        let labels = labels(&face, &item.item, chunk.labels(), extra);
                        known.push((rules, labels.clone()));
                        labels
                    }
                };
                let mut hasher = DefaultHasher::new();
                (face.family.name, &labels).hash(&mut hasher);
                series.push(ViewSeries {
                    reading: reading.clone(),
                    scheme,
                    place: place as u32,
                    item: at as u32,
                    labels,
                    identity: hasher.finish(),
                });
            }
        }
        let is_all = series.len() == chunk.len() && series.iter().all(|one: &ViewSeries| one.factor() == 1.0);
        let gather = (!is_all).then(|| series.iter().map(|one| (one.place, one.factor())).collect());
        View { from: from.clone(), series: series.into(), gather }
    }

    /// The series that are seen, in the chunk's order.
    pub fn series(&self) -> &[ViewSeries] {
        &self.series
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

impl ViewSeries {
    /// The family that it belongs to.
    pub fn family(&self) -> Family<'_> {
        self.face().family
    }

    /// Its number, where `values` are those of its chunk.
    #[inline]
    pub fn value(&self, values: &[f64]) -> f64 {
        values[self.place as usize] * self.face().factor
    }

    /// Whether what it is a reading of is built in, or was learnt at run time.
    pub fn is_built_in(&self) -> bool {
        matches!(self.reading, ReadingRef::Static(_))
    }

    /// What its number is multiplied with.
    pub fn factor(&self) -> f64 {
        self.face().factor
    }

    fn face(&self) -> Face<'_> {
        // A view has no series without one.
        self.reading.face(self.scheme).expect("a series that is seen has a face in its scheme")
    }
}

/// The labels of a series: its own, then those of its source, then `extra`, each where it has none
/// of that name yet. A label of an empty value is none.
fn labels(face: &Face<'_>, item: &Item, of_source: &Labels, extra: &Labels) -> Labels {
    let own = face.labels.iter().map(|label| match label {
        Label::Key { name, at, prefix } => (*name, [prefix, item.value(*at)].concat()),
        Label::Constant { name, value } => (*name, (*value).to_owned()),
    });
    let mut all: Vec<(&str, String)> = own.collect();
    for (name, value) in of_source.iter().chain(extra.iter()) {
        if all.iter().all(|(known, _)| *known != name) {
            all.push((name, value.to_owned()));
        }
    }
    // Names of ours are valid, and each stands once.
    Labels::new(all).unwrap_or(Labels::EMPTY)
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
        assert_eq!(more.view(chunk).series()[0].family().name, "node_read_bytes_total");
        assert!(Arc::ptr_eq(&b, &from(Scheme::Native, "b").view(chunk)));
    }
}
