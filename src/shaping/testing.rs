//! Rules and frames for the tests of this room.

use std::sync::Arc;

use super::{GivenRules, Perspective, RULE_TABLE, Rules, Series};
use crate::fields::{Fill, Notes, Piece, Scalar, Severity};
use crate::model::{Family, Frame, Item, Kind, Label, Labels, Learnt, Recorder, Scheme};

/// The rules of a list in JSON.
pub fn rules(json: &str) -> Rules {
    let list: serde_json::Value = serde_json::from_str(json).unwrap();
    let mut given = GivenRules::default();
    for rule in list.as_array().unwrap() {
        fill(&mut RULE_TABLE.fill(given.one_more()), rule);
    }
    let mut notes = Notes::default();
    let rules = given.settle(&mut notes);
    assert!(notes.into_list().iter().all(|note| note.severity == Severity::Warning), "{json}");
    rules
}

/// As `config` does it, where nothing is wrong.
fn fill(to: &mut dyn Fill, object: &serde_json::Value) {
    use serde_json::Value;
    let scalar = |value: &Value| match value {
        Value::String(text) => Scalar::Text(text.clone()),
        Value::Bool(value) => Scalar::Bool(*value),
        number => Scalar::Number(Box::leak(number.to_string().into_boxed_str())),
    };
    for (name, value) in object.as_object().unwrap() {
        match value {
            Value::Object(members) if to.open(name).is_none() => {
                for (member, value) in members {
                    to.set(name, Piece::Member(member, scalar(value))).unwrap();
                }
            }
            Value::Object(_) => fill(&mut *to.open(name).unwrap(), value),
            Value::Array(items) => {
                to.set(name, Piece::List).unwrap();
                items.iter().for_each(|item| to.set(name, Piece::Item(scalar(item))).unwrap());
            }
            value => to.set(name, Piece::One(scalar(value))).unwrap(),
        }
    }
    let mut notes = Notes::default();
    to.check(&mut notes);
    assert_eq!(notes.into_list(), [], "{object}");
}

/// What is seen by native names, with the label `job` and these rules.
pub fn from(json: &str) -> Perspective {
    Perspective::new(Scheme::Native, Labels::of(&[("job", "j")])).with_rules(rules(json), false)
}

/// Gives a source's frames of series that are given in words, each an item of its own, the same
/// objects each time.
pub struct Giver {
    recorder: Recorder,
    known: Vec<(String, Item, Arc<Learnt>)>,
}

impl Giver {
    pub fn new(source: &str) -> Giver {
        Giver { recorder: Recorder::new(source, 100_000), known: Vec::new() }
    }

    /// A frame of these series: counters where their name says so.
    pub fn frame(&mut self, time_ms: i64, series: &[(&str, f64)]) -> Frame {
        for (text, value) in series {
            let at = self.known.iter().position(|(known, ..)| known == text).unwrap_or_else(|| {
                let series = Series::parse(text).unwrap();
                let labels: Vec<Label<'_>> =
                    series.labels().map(|(name, value)| Label::Constant { name, value }).collect();
                let kind = if series.name().ends_with("_total") { Kind::Counter } else { Kind::Gauge };
                let reading = Learnt::everywhere(Family::new(kind, series.name(), "", ""), &labels);
                self.known.push(((*text).to_owned(), Item::new(&[text]), Arc::new(reading)));
                self.known.len() - 1
            });
            let (_, item, reading) = &self.known[at];
            self.recorder.item(item).push_learnt(reading, *value);
        }
        self.recorder.finish(time_ms)
    }
}

/// What is seen of a frame, in words, with its numbers.
pub fn seen(frame: &Frame, from: &Perspective) -> Vec<(String, f64)> {
    let mut all = Vec::new();
    for (chunk, values) in frame.parts() {
        let view = from.view(chunk);
        let mut room = Vec::new();
        let gathered = view.values(values, &mut room).to_vec();
        for (at, one) in view.series().enumerate() {
            assert_eq!(one.value(values), gathered[at]);
            let mut series = Series::default();
            series.begin(one.family().name);
            one.labels.iter().for_each(|(name, value)| series.set(name, value));
            all.push((series.to_string(), gathered[at]));
        }
    }
    all
}

/// The same as literals.
pub fn words(all: &[(&str, f64)]) -> Vec<(String, f64)> {
    all.iter().map(|(text, value)| ((*text).to_owned(), *value)).collect()
}
