//! A chunk as somebody sees it: which of its series, by which names, with which labels.
//!
//! A view is compiled once for a chunk and a [`Perspective`], and goes with the chunk.

use std::hash::{DefaultHasher, Hash, Hasher};
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

    /// The view of `chunk` from here. One without further labels stays with the chunk, for all
    /// the pages that show it; whoever adds labels keeps its own.
    pub fn view(&self, chunk: &Chunk) -> Arc<View> {
        let compile = || Arc::new(View::new(chunk, self.scheme, &self.labels));
        let slot = chunk.slot(self.scheme.index()).filter(|_| self.labels.is_empty());
        let Some(slot) = slot else { return compile() };
        let view = Arc::clone(slot.get_or_init(|| compile()));
        // Nothing else is ever put there.
        view.downcast().unwrap_or_else(|_| compile())
    }
}

/// A chunk's series as they are seen.
#[derive(Debug)]
pub struct View {
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
    fn new(chunk: &Chunk, scheme: Scheme, extra: &Labels) -> View {
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
        View { series: series.into(), gather }
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
