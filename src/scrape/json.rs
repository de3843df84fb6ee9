//! From the numbers of an application's JSON object to items and readings.

use std::collections::HashMap;
use std::sync::Arc;

use super::labels::json_labels;
use super::settings::Settings;
use crate::exposition::{self, json};
use crate::model::{Family, Item, Label, Learnt, Recorder};
use crate::shaping::{self, Outcome, Rules};

/// Names that come and go for ever are not kept for ever: none is, where there are so many more than
/// twice the object's numbers.
const SPARE: usize = 1000;

/// The series of a target's object, by name; none: rules drop it.
#[derive(Debug, Default)]
pub struct Json {
    known: HashMap<Box<str>, Option<(Item, Arc<Learnt>)>>,
}

/// What an object held.
pub struct Read {
    /// Numbers in it.
    pub samples: usize,
    /// Those that rules have left.
    pub kept: usize,
    /// Those whose names are new.
    pub fresh: usize,
}

impl Json {
    /// Reads the object in `body` and gives its numbers to `out`, as far as `transforms` leave them; none: there are
    /// no rules at all. What is wrong with it is said in
    /// words for people.
    pub fn read(
        &mut self,
        body: &[u8],
        limits: &exposition::Limits,
        settings: &Settings,
        transforms: Option<&Rules>,
        out: &mut Recorder,
    ) -> Result<Read, String> {
        let known = &mut self.known;
        let (mut kept, mut fresh) = (0, 0);
        let samples = json::read(body, limits, &mut |name, value| {
            if !known.contains_key(name) {
                fresh += 1;
                known.insert(name.into(), series(name, settings, transforms));
            }
            if let Some(Some((item, reading))) = known.get(name) {
                kept += 1;
                out.item(item).push_learnt(reading, value);
            }
        })?;
        if known.len() > 2 * samples + SPARE {
            known.clear();
        }
        Ok(Read { samples, kept, fresh })
    }
}

/// The series of that name; none: rules drop it.
fn series(name: &str, settings: &Settings, transforms: Option<&Rules>) -> Option<(Item, Arc<Learnt>)> {
    let whole = [&*settings.metric_prefix, name].concat();
    let Some(transforms) = transforms else {
        let family = Family::gauge(&whole, "", "");
        return Some((Item::new(&[&whole]), Arc::new(Learnt::everywhere(family, &[]))));
    };
    let mut series = shaping::Series::default();
    series.begin(&whole);
    json_labels(settings).iter().for_each(|(name, value)| series.set(name, value));
    if !matches!(transforms.apply(&mut series), Outcome::Kept { .. }) {
        return None;
    }
    let labels: Vec<Label<'_>> = series.labels().map(|(name, value)| Label::Constant { name, value }).collect();
    let key: Vec<&str> = [series.name()].into_iter().chain(series.labels().flat_map(|(n, v)| [n, v])).collect();
    let reading = Learnt::everywhere(Family::gauge(series.name(), "", ""), &labels).scaled(series.factor());
    Some((Item::new(&key), Arc::new(reading)))
}
