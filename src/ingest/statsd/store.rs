//! What StatsD's metrics have come to: series, each with what was counted, set or measured.
//!
//! Counters count from when they are first seen; gauges stay as they were set; sets and quantiles are of
//! what came since the last frame. All of it has a bound: series, their text, and what each of them keeps.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use super::parse::{Flaw, Line, Type, number};
use super::settings::Settings;
use super::sketch::Sketch;
use super::uniques::Uniques;
use crate::ingest::names::{is_reserved, label_name, metric_name};
use crate::model::{Family, Frame, Item, Kind, Label, Learnt, Recorder, ViewSlots};
use crate::order;
use crate::telemetry::StatsdDrop;

/// The source's name.
pub const SOURCE: &str = "statsd";

/// What the names of metricsd's own process begin with. Every program may have these: what tells whose they are is a
/// label, which StatsD's have not.
const OWN_PROCESS: &str = "process_";

/// What all series' names and labels may take together.
const MAX_TEXT: usize = 32 << 20;

/// Labels of a series. What has more of them is none that a receiver takes.
const MAX_LABELS: usize = 64;

/// Lines as they were sent are known by their series, so that they are put into labels once. These are
/// forgotten when they take more than this.
const MAX_KNOWN: usize = 8 << 20;

/// All series.
pub struct Store {
    settings: Settings,
    out: Recorder,
    series: Vec<Option<Series>>,
    free: Vec<usize>,
    /// How many series a frame may have, and how many those that are there make at most.
    count: usize,
    /// By name and labels.
    by_identity: HashMap<Box<str>, usize>,
    /// By what was sent: name, type and tags.
    known: HashMap<Box<[u8]>, usize>,
    known_bytes: usize,
    text_bytes: usize,
    /// What is called so, and by how many series.
    names: HashMap<Box<str>, (Type, usize)>,
    shapes: HashMap<Box<str>, Shape>,
    next_shape: u64,
    room: Room,
}

/// Kept for its memory.
#[derive(Default)]
struct Room {
    key: Vec<u8>,
    name: String,
    label: String,
    identity: String,
}

/// What series of one name, with the same names of labels, have in common.
#[derive(Clone)]
struct Shape {
    number: u64,
    /// One, or those of a summary: quantiles, sum and count.
    readings: Arc<[Arc<Learnt>]>,
}

struct Series {
    identity: Box<str>,
    /// As it is called.
    name: Box<str>,
    is: Type,
    item: Item,
    readings: Arc<[Arc<Learnt>]>,
    state: State,
    /// When something last came for it, CLOCK_MONOTONIC.
    seen: Duration,
}

enum State {
    Counter(f64),
    Gauge(f64),
    Set(Box<Uniques>),
    Summary(Box<Summary>),
}

#[derive(Default)]
struct Summary {
    sketch: Sketch,
    sum: f64,
    count: f64,
}

impl State {
    fn new(is: Type) -> State {
        match is {
            Type::Counter => State::Counter(0.0),
            Type::Gauge => State::Gauge(0.0),
            Type::Set => State::Set(Box::default()),
            Type::Timer | Type::Histogram => State::Summary(Box::default()),
        }
    }

    /// Takes a value; whether it was one.
    fn take(&mut self, value: &[u8], rate: f64, is: Type) -> bool {
        let State::Set(uniques) = self else {
            let Some(value) = number_of(value, is) else { return false };
            return match self {
                State::Counter(sum) => add(sum, value.number / rate),
                State::Gauge(now) if value.is_signed => add(now, value.number),
                State::Gauge(now) => {
                    *now = value.number;
                    true
                }
                State::Summary(summary) => {
                    let is_fine = add(&mut summary.sum, value.number / rate) && add(&mut summary.count, 1.0 / rate);
                    if is_fine {
                        summary.sketch.add(value.number, 1.0 / rate);
                    }
                    is_fine
                }
                State::Set(_) => true,
            };
        };
        uniques.add(value);
        true
    }
}

/// A value that is a number.
struct Value {
    number: f64,
    is_signed: bool,
}

fn number_of(text: &[u8], is: Type) -> Option<Value> {
    let is_signed = matches!(text.first(), Some(b'+' | b'-'));
    let number = number(text)?;
    let number = match is {
        // What only grows does not go back.
        Type::Counter if number < 0.0 => return None,
        Type::Timer => number / 1000.0,
        _ => number,
    };
    Some(Value { number, is_signed })
}

/// Adds, unless the sum were none.
fn add(sum: &mut f64, more: f64) -> bool {
    let new = *sum + more;
    if new.is_finite() {
        *sum = new;
    }
    new.is_finite()
}

impl Store {
    /// Of nothing yet; what is counted counts since `since_ms`, in wall-clock milliseconds.
    pub fn new(settings: Settings, views: &ViewSlots, since_ms: i64) -> Store {
        Store {
            out: Recorder::new(SOURCE, settings.max_series).with_slots(views).since(since_ms),
            settings,
            series: Vec::new(),
            free: Vec::new(),
            count: 0,
            by_identity: HashMap::new(),
            known: HashMap::new(),
            known_bytes: 0,
            text_bytes: 0,
            names: HashMap::new(),
            shapes: HashMap::new(),
            next_shape: 0,
            room: Room::default(),
        }
    }

    /// How many series there are, at most, in a frame.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Takes the metrics of a datagram that came at `now` (CLOCK_MONOTONIC). How many there were;
    /// `refused` is told why one was not taken.
    pub fn take(&mut self, datagram: &[u8], now: Duration, mut refused: impl FnMut(StatsdDrop, &[u8])) -> u64 {
        let mut taken = 0;
        for line in datagram.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                continue;
            }
            match self.take_line(line, now) {
                Ok(()) => taken += 1,
                Err(why) => refused(why, line),
            }
        }
        taken
    }

    fn take_line(&mut self, text: &[u8], now: Duration) -> Result<(), StatsdDrop> {
        let line = Line::parse(text).map_err(|flaw| match flaw {
            Flaw::Malformed => StatsdDrop::Malformed,
            Flaw::Unsupported => StatsdDrop::Unsupported,
        })?;
        let mut key = std::mem::take(&mut self.room.key);
        key.clear();
        key.extend_from_slice(line.name);
        key.extend_from_slice(&[b'|', line.is as u8, b'|']);
        key.extend_from_slice(line.tags);
        let found = match self.known.get(&key[..]) {
            Some(at) => Ok(*at),
            None => self.find(&line, &key, now),
        };
        self.room.key = key;
        let series = self.series[found?].as_mut().ok_or(StatsdDrop::Malformed)?;
        let mut is_fine = true;
        for value in line.values() {
            is_fine &= series.state.take(value, line.rate, line.is);
        }
        series.seen = now;
        if is_fine { Ok(()) } else { Err(StatsdDrop::Malformed) }
    }

    /// The series of a line that was not seen in this form; a new one, where there is none.
    fn find(&mut self, line: &Line<'_>, key: &[u8], now: Duration) -> Result<usize, StatsdDrop> {
        // A line with a value that is none begins no series.
        if line.is != Type::Set && !line.values().all(|value| number_of(value, line.is).is_some()) {
            return Err(StatsdDrop::Malformed);
        }
        let Room { name, label, identity, .. } = &mut self.room;
        metric_name(line.name, name);
        if line.is == Type::Counter && !name.ends_with("_total") {
            name.push_str("_total");
        }
        if is_reserved(name) || name.starts_with(OWN_PROCESS) {
            return Err(StatsdDrop::Reserved);
        }
        let is_summary = matches!(line.is, Type::Timer | Type::Histogram);
        let labels = labels(line.tags, is_summary, label)?;
        identity.clear();
        // What ends where follows from the lengths, whatever the texts hold.
        let texts = labels.iter().flat_map(|(name, value)| [&**name, &**value]);
        [name.as_str()].into_iter().chain(texts).for_each(|text| _ = write!(identity, "{}:{text}", text.len()));
        let known = self.by_identity.get(identity.as_str()).copied();
        let at = match known {
            Some(at) => {
                let is_it = self.series[at].as_ref().is_some_and(|series| same(series.is, line.is));
                if is_it { at } else { return Err(StatsdDrop::Conflict) }
            }
            None => self.add(line.is, &labels, now)?,
        };
        if self.known_bytes + key.len() > MAX_KNOWN {
            self.forget_lines();
        }
        self.known_bytes += key.len();
        self.known.insert(key.into(), at);
        Ok(at)
    }

    /// A new series, by the name and the identity that are at hand.
    fn add(&mut self, is: Type, labels: &[(String, String)], now: Duration) -> Result<usize, StatsdDrop> {
        let (name, identity) = (&*self.room.name, &*self.room.identity);
        let takes = self.settings.series_of(is);
        let text = 2 * identity.len();
        if self.count + takes > self.settings.max_series || self.text_bytes + text > MAX_TEXT {
            return Err(StatsdDrop::MaxSeries);
        }
        let own = own_names(name, is);
        if own.iter().any(|name| self.names.get(&**name).is_some_and(|(other, _)| !same(*other, is))) {
            return Err(StatsdDrop::Conflict);
        }
        own.into_iter().for_each(|name| self.names.entry(name).or_insert((is, 0)).1 += 1);
        let shape = shape(&mut self.shapes, &mut self.next_shape, &self.settings, name, is, labels);
        let number = shape.number.to_string();
        let values: Vec<&str> = [&*number].into_iter().chain(labels.iter().map(|(_, value)| &**value)).collect();
        let series = Series {
            identity: identity.into(),
            name: name.into(),
            is,
            item: Item::new(&values),
            readings: shape.readings,
            state: State::new(is),
            seen: now,
        };
        let at = self.free.pop().unwrap_or_else(|| {
            self.series.push(None);
            self.series.len() - 1
        });
        self.by_identity.insert(identity.into(), at);
        self.series[at] = Some(series);
        self.count += takes;
        self.text_bytes += text;
        Ok(at)
    }

    fn forget_lines(&mut self) {
        self.known = HashMap::new();
        self.known_bytes = 0;
    }

    /// What there is at `time_ms` of the wall clock, and `now` (CLOCK_MONOTONIC). What is of the time
    /// between two frames begins anew, and what has not come for too long is gone.
    pub fn frame(&mut self, time_ms: i64, now: Duration) -> Frame {
        self.expire(now);
        let Store { out, series, settings, .. } = self;
        for series in series.iter_mut().flatten() {
            let mut item = out.item(&series.item);
            match &mut series.state {
                State::Counter(value) | State::Gauge(value) => item.push_learnt(&series.readings[0], *value),
                State::Set(uniques) => {
                    item.push_learnt(&series.readings[0], uniques.count());
                    uniques.clear();
                }
                State::Summary(summary) => {
                    // Where nothing came there are no quantiles.
                    let shares = settings.percentiles.iter().zip(series.readings.iter());
                    for (share, reading) in shares {
                        if let Some(value) = summary.sketch.quantile(*share) {
                            item.push_learnt(reading, value);
                        }
                    }
                    let rest = series.readings[settings.percentiles.len()..].iter().zip([summary.sum, summary.count]);
                    rest.for_each(|(reading, value)| item.push_learnt(reading, value));
                    summary.sketch.clear();
                }
            }
        }
        out.finish(time_ms)
    }

    fn expire(&mut self, now: Duration) {
        let Store { series, settings, by_identity, names, free, .. } = self;
        let (mut gone, mut text) = (0, 0);
        for (at, place) in series.iter_mut().enumerate() {
            let is_old = |series: &&mut Series| now.saturating_sub(series.seen) >= settings.expire;
            let Some(Series { identity, name, is, .. }) = place.as_mut().filter(is_old) else { continue };
            by_identity.remove(identity);
            for name in own_names(name, *is) {
                if let Some((_, users)) = names.get_mut(&name) {
                    *users -= 1;
                    if *users == 0 {
                        names.remove(&name);
                    }
                }
            }
            gone += settings.series_of(*is);
            text += 2 * identity.len();
            free.push(at);
            *place = None;
        }
        if gone > 0 {
            self.count -= gone;
            self.text_bytes -= text;
            self.forget_lines();
            if self.count == 0 || self.shapes.len() > 2 * self.by_identity.len() + 1000 {
                // Numbers go on, so that no two shapes have one.
                self.shapes.clear();
            }
        }
    }
}

/// Whether what is of both types is one metric.
fn same(a: Type, b: Type) -> bool {
    a == b
}

/// The names that a metric takes.
fn own_names(name: &str, is: Type) -> Vec<Box<str>> {
    let suffixes: &[&str] = if matches!(is, Type::Timer | Type::Histogram) { &["", "_sum", "_count"] } else { &[""] };
    suffixes.iter().map(|suffix| format!("{name}{suffix}").into()).collect()
}

/// Tags as labels, sorted by name, no name twice, none empty.
fn labels(tags: &[u8], is_summary: bool, room: &mut String) -> Result<Vec<(String, String)>, StatsdDrop> {
    let mut labels: Vec<(String, String)> = Vec::new();
    for tag in tags.split(|byte| *byte == b',').filter(|tag| !tag.is_empty()) {
        let colon = tag.iter().position(|byte| *byte == b':');
        let (name, value) = match colon {
            Some(at) => (&tag[..at], String::from_utf8_lossy(&tag[at + 1..]).into_owned()),
            // A tag without a value is one that is set.
            None => (tag, "true".to_owned()),
        };
        label_name(name, room);
        if room.is_empty() || value.is_empty() {
            continue;
        }
        let is_own = is_summary && room == "quantile";
        let name = if is_own { format!("exported_{room}") } else { room.clone() };
        if labels.len() >= MAX_LABELS {
            return Err(StatsdDrop::Malformed);
        }
        labels.push((name, value));
    }
    // Of two of one name the first counts; the sort keeps their order.
    order::sort_by(&mut labels, |(a, _), (b, _)| a.cmp(b));
    labels.dedup_by(|(name, _), (before, _)| name == before);
    Ok(labels)
}

fn shape(
    shapes: &mut HashMap<Box<str>, Shape>,
    next: &mut u64,
    settings: &Settings,
    name: &str,
    is: Type,
    labels: &[(String, String)],
) -> Shape {
    let mut key = format!("{}:{}{name}", is as u8, name.len());
    labels.iter().for_each(|(name, _)| _ = write!(key, "{}:{name}", name.len()));
    if let Some(shape) = shapes.get(&*key) {
        return shape.clone();
    }
    let keys: Vec<Label<'_>> = labels.iter().enumerate().map(|(at, (name, _))| Label::key(name, at + 1)).collect();
    let learn = |kind, name: &str, more: Option<Label<'_>>| {
        let family = Family::new(kind, name, "", "Sent by StatsD.");
        let labels: Vec<Label<'_>> = keys.iter().copied().chain(more).collect();
        Arc::new(Learnt::everywhere(family, &labels))
    };
    let readings: Vec<Arc<Learnt>> = match is {
        Type::Counter => vec![learn(Kind::Counter, name, None)],
        Type::Gauge | Type::Set => vec![learn(Kind::Gauge, name, None)],
        Type::Timer | Type::Histogram => {
            let quantiles = settings.percentiles.iter().map(|share| {
                let share = share.to_string();
                learn(Kind::Summary, name, Some(Label::constant("quantile", &share)))
            });
            let rest = ["_sum", "_count"].map(|suffix| learn(Kind::Summary, &format!("{name}{suffix}"), None));
            quantiles.chain(rest).collect()
        }
    };
    *next += 1;
    let shape = Shape { number: *next, readings: readings.into() };
    shapes.insert(key.into(), shape.clone());
    shape
}

#[cfg(test)]
mod tests;
