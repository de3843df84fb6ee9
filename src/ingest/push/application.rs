//! What one application has pushed: its series with their last numbers, as a source that gives a frame
//! with each push.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use super::exponential::Exponential;
use super::given::{Given, GivenItem, GivenPart};
use crate::model::{Exemplar, Family, Frame, Item, Kind, Label, Labels, Learnt, Recorder, ViewSlots};

/// A series' time does not go back by so little; a clock that goes back further is believed.
const STEP_MS: i64 = 60_000;

/// Readings that no series has any more are looked for when there are so many more than series.
const SPARE: usize = 1000;

/// An application.
pub struct Application {
    out: Recorder,
    entries: Vec<Entry>,
    by_key: HashMap<Box<[u8]>, usize>,
    readings: HashMap<Box<str>, Arc<Learnt>>,
    /// A number for each name with each set of names of labels: the beginning of items' keys.
    numbers: HashMap<Box<str>, u32>,
    next_number: u32,
    /// Of the last frame.
    time_ms: i64,
    /// How often it has pushed.
    pushes: u64,
    /// Series of all entries, and what their keys take.
    size: Size,
    room: String,
}

/// What an application has, or a push would add to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Series.
    pub series: usize,
    /// Bytes of labels.
    pub text: usize,
}

/// A metric.
struct Entry {
    key: Box<[u8]>,
    item: Item,
    parts: Vec<(Arc<Learnt>, f64)>,
    exponential: Option<Box<Exponential>>,
    /// What its parts refer to, each by its place, until they have gone into a frame.
    exemplars: Vec<(usize, Arc<Exemplar>)>,
    time_ms: i64,
    /// Since when it counts, as the application says.
    start_ms: Option<i64>,
    /// Since when it counts from 0, as far as that is known, and whether nothing of it was here before.
    since: Option<(i64, bool)>,
    /// When it came last, CLOCK_MONOTONIC, and with which push.
    seen: Duration,
    push: u64,
}

/// Where what is given goes.
pub struct Plan {
    keys: Vec<Box<[u8]>>,
    /// What there will be.
    pub size: Size,
}

impl Application {
    /// One that has pushed nothing yet, as the source `source`.
    pub fn new(source: &str, job: &str, instance: &str, views: &ViewSlots) -> Application {
        let labels = Labels::of(&[("job", job), ("instance", instance)]);
        // How many series there may be is seen to before they come here.
        let out = Recorder::new(source, usize::MAX).with_labels(labels).with_slots(views).of_said_starts();
        Application {
            out,
            entries: Vec::new(),
            by_key: HashMap::new(),
            readings: HashMap::new(),
            numbers: HashMap::new(),
            next_number: 0,
            time_ms: i64::MIN,
            pushes: 0,
            size: Size::default(),
            room: String::new(),
        }
    }

    /// What it has.
    pub fn size(&self) -> Size {
        self.size
    }

    /// How many readings and numbers of names it keeps.
    #[cfg(test)]
    pub fn kept(&self) -> (usize, usize) {
        (self.readings.len(), self.numbers.len())
    }

    /// What would become of `given`, whose exponential histograms take up those that are known. The error: an
    /// item that it has twice.
    pub fn plan(&mut self, given: &mut Given) -> Result<Plan, usize> {
        let mut size = self.size;
        let mut keys: Vec<Box<[u8]>> = Vec::with_capacity(given.items.len());
        let mut seen = HashMap::with_capacity(given.items.len());
        for (at, item) in given.items.iter_mut().enumerate() {
            let key = self.key_of(item);
            if seen.insert(key.clone(), at).is_some() {
                return Err(at);
            }
            match self.by_key.get(&key) {
                Some(at) => {
                    let known = &self.entries[*at];
                    size.series -= known.parts.len();
                    follow(item, known);
                }
                None => size.text += 2 * key.len(),
            }
            size.series += item.parts.len();
            keys.push(key);
        }
        Ok(Plan { keys, size })
    }

    /// Takes what was planned, at `now` (CLOCK_MONOTONIC); its frame, at about `time_ms` of the wall clock. What began
    /// before `new_since_ms` may have been here before.
    pub fn take(&mut self, given: Given, plan: Plan, now: Duration, time_ms: i64, new_since_ms: i64) -> Frame {
        self.pushes += 1;
        let last_ms = self.time_ms;
        for (item, key) in given.items.into_iter().zip(plan.keys) {
            let parts: Vec<(Arc<Learnt>, f64)> =
                item.parts.iter().map(|part| (self.reading(&item, part), part.value)).collect();
            let since = since(&item, last_ms, time_ms, new_since_ms);
            let at = *self.by_key.entry(key).or_insert_with_key(|key| {
                let (parts, key, start_ms) = (Vec::new(), key.clone(), item.start_ms);
                let item = item_of(number_of(&key), &item);
                self.entries.push(Entry {
                    key,
                    item,
                    parts,
                    exponential: None,
                    exemplars: Vec::new(),
                    time_ms: 0,
                    start_ms,
                    since,
                    seen: now,
                    push: 0,
                });
                self.entries.len() - 1
            });
            let entry = &mut self.entries[at];
            entry.exemplars = item.referring();
            let is_known_now = entry.since.is_none() && since.is_some();
            if counts(&item) && (entry.start_ms != item.start_ms || is_known_now) {
                // It has begun anew, or at its own first point, and is another one to whoever asks since when it counts.
                entry.item = item_of(self.next_number, &item);
                self.next_number = self.next_number.wrapping_add(1);
                (entry.start_ms, entry.since) = (item.start_ms, since);
            }
            let before = std::mem::replace(&mut entry.parts, parts);
            let known = std::mem::replace(&mut entry.exponential, item.exponential);
            // What an exponential histogram adds is in its parts already. Where a histogram is of the other kind
            // than it was, it begins anew.
            if item.is_delta && known.is_none() && entry.exponential.is_none() {
                for (reading, value) in &mut entry.parts {
                    let known = before.iter().find(|(known, _)| Arc::ptr_eq(known, reading));
                    *value += known.map_or(0.0, |(_, value)| *value);
                }
            }
            entry.time_ms = item.time_ms.unwrap_or(Frame::NO_TIME);
            (entry.seen, entry.push) = (now, self.pushes);
        }
        self.size = plan.size;
        if self.readings.len() > 2 * self.size.series + SPARE {
            self.forget_readings();
        }
        self.frame(time_ms)
    }

    /// Forgets what was made for a push that is not taken, or for what has ended.
    pub fn forget_unused(&mut self) {
        self.forget_readings();
        let used: HashSet<u32> = self.entries.iter().map(|entry| number_of(&entry.key)).collect();
        // The next ones are other numbers, so that no two items have one key.
        self.numbers.retain(|_, number| used.contains(number));
    }

    fn forget_readings(&mut self) {
        self.readings.retain(|_, reading| Arc::strong_count(reading) > 1);
    }

    /// Ends what has not come for so long; the frame that says so, where anything has ended.
    pub fn expire(&mut self, expire: Duration, now: Duration, time_ms: i64) -> Option<Frame> {
        let (before, size) = (self.entries.len(), &mut self.size);
        self.entries.retain(|entry| {
            let stays = now.saturating_sub(entry.seen) < expire;
            if !stays {
                size.series -= entry.parts.len();
                size.text -= 2 * entry.key.len();
            }
            stays
        });
        if self.entries.len() == before {
            return None;
        }
        self.by_key = self.entries.iter().enumerate().map(|(at, entry)| (entry.key.clone(), at)).collect();
        self.forget_unused();
        // None of what is left came with this.
        self.pushes += 1;
        Some(self.frame(time_ms))
    }

    fn frame(&mut self, time_ms: i64) -> Frame {
        let is_behind = time_ms <= self.time_ms && self.time_ms.saturating_sub(time_ms) < STEP_MS;
        self.time_ms = if is_behind { self.time_ms + 1 } else { time_ms };
        let mut fresh = Vec::new();
        let mut is_whole = true;
        for entry in &mut self.entries {
            let mut exemplars = std::mem::take(&mut entry.exemplars).into_iter().peekable();
            let mut item = self.out.item(&entry.item);
            entry.since.into_iter().for_each(|(since_ms, is_new)| item.since(since_ms, is_new));
            let is_fresh = entry.push == self.pushes;
            is_whole &= is_fresh;
            for (at, (reading, value)) in entry.parts.iter().enumerate() {
                item.push_learnt_at(reading, *value, entry.time_ms);
                if let Some((_, exemplar)) = exemplars.next_if(|(place, _)| *place == at) {
                    item.exemplar(&exemplar);
                }
                fresh.push(is_fresh);
            }
        }
        let frame = self.out.finish(self.time_ms);
        Frame { fresh: (!is_whole).then(|| fresh.into()), ..frame }
    }

    /// What tells an item from the others of the application. Its type does not: what is of another one than before
    /// takes the place of what it was.
    fn key_of(&mut self, item: &GivenItem) -> Box<[u8]> {
        let text = &mut self.room;
        text.clear();
        // Lengths tell where each text ends, whatever is in it.
        let name = base(&item.parts[0].name, item.kind);
        let names = item.labels.iter().map(|(name, _)| &**name);
        [name].into_iter().chain(names).for_each(|name| _ = write!(text, "{}:{name}", name.len()));
        let number = match self.numbers.get(text.as_str()) {
            Some(number) => *number,
            None => {
                let number = self.next_number;
                // Far more than any program lives to see.
                self.next_number = number.wrapping_add(1);
                self.numbers.insert(text.as_str().into(), number);
                number
            }
        };
        let mut key = Vec::with_capacity(4 + item.labels.iter().map(|(_, value)| 4 + value.len()).sum::<usize>());
        key.extend_from_slice(&number.to_le_bytes());
        for (_, value) in &item.labels {
            key.extend_from_slice(&(value.len() as u32).to_le_bytes());
            key.extend_from_slice(value.as_bytes());
        }
        key.into()
    }

    /// What a series is a reading of.
    fn reading(&mut self, item: &GivenItem, part: &GivenPart) -> Arc<Learnt> {
        let text = &mut self.room;
        text.clear();
        let own = part.own.iter().flat_map(|(name, value)| [*name, &**value]);
        let names = item.labels.iter().map(|(name, _)| &**name);
        let head = [&*part.name, item.kind.as_str(), &*item.unit, &*item.help];
        let all = head.into_iter().chain(names).chain(["="]).chain(own);
        all.for_each(|name| _ = write!(text, "{}:{name}", name.len()));
        if let Some(reading) = self.readings.get(text.as_str()) {
            return Arc::clone(reading);
        }
        let keys = item.labels.iter().enumerate().map(|(at, (name, _))| Label::key(name, at + 1));
        let own = part.own.iter().map(|(name, value)| Label::constant(name, value));
        let labels: Vec<Label<'_>> = keys.chain(own).collect();
        let family = Family::new(item.kind, &part.name, &item.unit, &item.help);
        let reading = Arc::new(Learnt::everywhere(family, &labels));
        self.readings.insert(text.as_str().into(), Arc::clone(&reading));
        reading
    }
}

/// The item of what is given, of that number, which stands for names, and is in no label.
fn item_of(number: u32, given: &GivenItem) -> Item {
    let number = number.to_string();
    let values: Vec<&str> = [&*number].into_iter().chain(given.labels.iter().map(|(_, value)| &**value)).collect();
    Item::new(&values)
}

/// Whether the application counts it from a start on that it tells.
fn counts(given: &GivenItem) -> bool {
    !given.is_delta && matches!(given.kind, Kind::Counter | Kind::Histogram | Kind::Summary)
}

/// Since when a series counts from 0 that is new here, and whether it was not here before. Increases are summed up from
/// the first one on, which is of the time since its own start, or else since the application's last push at `last_ms`.
/// What is a sum already began when it says: where that is before `new_since_ms`, a part of it may have been here
/// before. A start that is its own time says that nobody knows.
fn since(given: &GivenItem, last_ms: i64, time_ms: i64, new_since_ms: i64) -> Option<(i64, bool)> {
    let at_ms = given.time_ms.unwrap_or(time_ms).min(time_ms);
    if given.is_delta {
        let start_ms = given.start_ms.or(Some(last_ms).filter(|last_ms| *last_ms > 0));
        return Some((start_ms.map_or(at_ms - 1, |start_ms| start_ms.min(at_ms - 1)), true));
    }
    let start_ms = given.start_ms.filter(|start_ms| counts(given) && *start_ms < at_ms)?;
    Some((start_ms, start_ms >= new_since_ms))
}

/// What an item's key begins with.
fn number_of(key: &[u8]) -> u32 {
    key.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// Has an exponential histogram take up the one that is known of it.
fn follow(item: &mut GivenItem, known: &Entry) {
    let (Some(own), Some(known)) = (&mut item.exponential, &known.exponential) else { return };
    own.follow(known, item.is_delta);
    item.parts = GivenPart::of_exponential(base(&item.parts[0].name, item.kind), own);
}

/// The name of the whole of it.
fn base(name: &str, kind: Kind) -> &str {
    Family::new(kind, name, "", "").base()
}
