//! How labels are put together where no rule has touched them: for each reading once, whatever items
//! it is of. The items have the values, so that a series takes no bytes for its labels.

use std::ops::Range;
use std::sync::Arc;

use super::identity;
use crate::model::{Face, FaceLabels, Items, Key, Label, Labels};
use crate::order;

/// The recipes of a chunk's readings.
#[derive(Debug)]
pub struct Recipes {
    items: Arc<Items>,
    /// Names and constant values, one behind the other.
    text: Box<str>,
    /// All parts, recipe by recipe, and where each ends.
    parts: Box<[Part]>,
    ends: Box<[u32]>,
    /// Values with something in front of them: one for each item, and so many for each such label.
    made: Box<[Box<str>]>,
}

/// A label: where its name stands in the text, and its value.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    name: Span,
    value: Value,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    begin: u32,
    end: u32,
}

#[derive(Clone, Copy, Debug)]
enum Value {
    Constant(Span),
    /// That of the item's key at this place.
    Key(u32),
    /// Of those that are made, the item's from here on.
    Made(u32),
}

/// A series' labels: a recipe and an item.
#[derive(Clone, Copy, Debug)]
pub struct FromRecipe<'v> {
    recipes: &'v Recipes,
    parts: &'v [Part],
    item: u32,
}

/// Recipes that are being made.
pub struct Maker<'c> {
    items: &'c Arc<Items>,
    /// Labels that all series get which have none of that name.
    more: Vec<(&'c str, Span, Span)>,
    text: String,
    parts: Vec<Part>,
    /// What each recipe is for.
    recipes: Vec<Made<'c>>,
    made: Vec<Box<str>>,
}

/// A recipe, and what of its labels' hash is the same for all items.
#[derive(Clone)]
struct Made<'c> {
    of: FaceLabels<'c>,
    parts: Range<usize>,
    constant: u64,
    /// The hashes of the names of the other labels, in their order.
    names: Vec<u64>,
}

/// A recipe is looked for among so many of the last ones: readings that are built in share theirs.
const NEAR: usize = 16;

impl<'c> Maker<'c> {
    /// For series of these items, that get the labels of their source and then `extra`, each where they
    /// have none of that name.
    pub fn new(items: &'c Arc<Items>, of_source: &'c Labels, extra: &'c Labels) -> Maker<'c> {
        let mut text = String::new();
        let more = of_source.iter().chain(extra.iter());
        let more = more.map(|(name, value)| (name, add(&mut text, name), add(&mut text, value))).collect();
        Maker { items, more, text, parts: Vec::new(), recipes: Vec::new(), made: Vec::new() }
    }

    /// The number of the recipe for a face.
    pub fn of(&mut self, face: &Face<'c>) -> u32 {
        let near = self.recipes.iter().enumerate().rev().take(NEAR);
        let known = near.into_iter().find(|(_, known)| known.of.same(face.labels)).map(|(at, _)| at);
        known.unwrap_or_else(|| {
            self.make(face);
            self.recipes.len() - 1
        }) as u32
    }

    fn make(&mut self, face: &Face<'c>) {
        let begin = self.parts.len();
        // Where a name is given more than once, what counts stands in front.
        let mut labels: Vec<(&str, Option<Label<'c>>, usize)> =
            face.labels.iter().map(|label| (label.name(), Some(label), 0)).collect();
        labels.extend(self.more.iter().enumerate().map(|(at, (name, ..))| (*name, None, at)));
        order::sort_by_key(&mut labels, |(name, ..)| *name);
        labels.dedup_by_key(|(name, ..)| *name);
        let (mut constant, mut names) = (0_u64, Vec::new());
        for (name, label, at) in labels {
            let (span, value) = match label {
                None => (self.more[at].1, Value::Constant(self.more[at].2)),
                Some(Label::Constant { value: "", .. }) => continue,
                Some(Label::Constant { value, .. }) => {
                    (add(&mut self.text, name), Value::Constant(add(&mut self.text, value)))
                }
                Some(Label::Key { at, prefix: "", .. }) => (add(&mut self.text, name), Value::Key(at as u32)),
                Some(Label::Key { at, prefix, .. }) => {
                    let first = self.made.len() as u32;
                    self.made.extend(self.items.iter().map(|item| [prefix, item.key.value(at)].concat().into()));
                    (add(&mut self.text, name), Value::Made(first))
                }
            };
            let name = identity::text(name.as_bytes());
            match value {
                Value::Constant(value) => {
                    constant = constant.wrapping_add(identity::label(name, value.of(&self.text).as_bytes()));
                }
                _ => names.push(name),
            }
            self.parts.push(Part { name: span, value });
        }
        self.recipes.push(Made { of: face.labels, parts: begin..self.parts.len(), constant, names });
    }

    /// What tells a series from others: that of a name with this hash, by a recipe, of an item.
    pub fn identity(&self, name: u64, recipe: u32, item: u32) -> u64 {
        let Made { parts, constant, names, .. } = &self.recipes[recipe as usize];
        let own = self.parts[parts.clone()].iter().filter(|part| !matches!(part.value, Value::Constant(_)));
        let labels = own.zip(names).map(|(part, name)| {
            let value = match part.value {
                Value::Made(first) => self.made[(first + item) as usize].as_bytes(),
                Value::Key(at) => self.items.key(item as usize).bytes(at as usize),
                Value::Constant(_) => &[],
            };
            if value.is_empty() { 0 } else { identity::label(*name, value) }
        });
        identity::of(name, labels.fold(*constant, u64::wrapping_add))
    }

    /// The recipes.
    pub fn finish(self) -> Recipes {
        Recipes {
            items: Arc::clone(self.items),
            text: self.text.into(),
            parts: self.parts.into(),
            ends: self.recipes.iter().map(|made| made.parts.end as u32).collect(),
            made: self.made.into(),
        }
    }
}

fn add(text: &mut String, more: &str) -> Span {
    let begin = text.len() as u32;
    text.push_str(more);
    Span { begin, end: text.len() as u32 }
}

impl Span {
    fn of(self, text: &str) -> &str {
        &text[self.begin as usize..self.end as usize]
    }
}

impl Recipes {
    /// The labels by that recipe of the chunk's item at `item`.
    pub fn labels(&self, recipe: u32, item: u32) -> FromRecipe<'_> {
        let at = recipe as usize;
        let begin = at.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        FromRecipe { recipes: self, parts: &self.parts[begin..self.ends[at] as usize], item }
    }
}

impl<'v> FromRecipe<'v> {
    /// All labels, sorted by name; those of items that have no value there are left out.
    pub fn iter(self) -> impl Iterator<Item = (&'v str, &'v str)> + Clone {
        let text = &self.recipes.text;
        let all = self.parts.iter().map(move |part| (part.name.of(text), self.value(part)));
        all.filter(|(_, value)| !value.is_empty())
    }

    /// The name of each label, and its value where that is the same for all items.
    pub fn shape(self) -> impl Iterator<Item = (&'v str, Option<&'v str>)> {
        let text = &self.recipes.text;
        self.parts.iter().map(move |part| {
            let constant = match part.value {
                Value::Constant(value) => Some(value.of(text)),
                _ => None,
            };
            (part.name.of(text), constant)
        })
    }

    /// The values of the labels that have none in their [`FromRecipe::shape`], in that order. An empty one
    /// is none.
    pub fn own(self) -> impl Iterator<Item = &'v [u8]> {
        self.parts.iter().filter_map(move |part| match part.value {
            Value::Constant(_) => None,
            Value::Key(at) => Some(self.key().bytes(at as usize)),
            Value::Made(_) => Some(self.value(part).as_bytes()),
        })
    }

    fn key(self) -> Key<'v> {
        self.recipes.items.key(self.item as usize)
    }

    fn value(self, part: &Part) -> &'v str {
        match part.value {
            Value::Constant(value) => value.of(&self.recipes.text),
            Value::Key(at) => self.key().value(at as usize),
            Value::Made(first) => &self.recipes.made[(first + self.item) as usize],
        }
    }
}
