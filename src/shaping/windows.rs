//! What one rule that gathers numbers (`aggregate`, `downsample`) knows: its series, their groups, and the
//! window that is open.
//!
//! Windows begin at whole multiples of their length since the UNIX epoch. A number counts in the window in which
//! its batch is; a window closes with the first batch at or after its end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::fold::{Fold, Function};
use super::label_table::ViewLabels;
use super::series::Series;
use super::shaped::Meeting;

use crate::model::{Family, Frame, Item, Label, Learnt, Recorder, ViewSlots};
use crate::order;

/// One rule knows at most so many series, which take some 100 bytes each: as many as an endpoint's page may have.
const MAX_SERIES: usize = 500_000;

/// It gives at most so many series, which take some 500 bytes each.
pub const MAX_GROUPS: usize = 100_000;

/// A series that is not given any more is known for two windows, or for so long where that is more: one whose target
/// was down for some scrapes goes on growing where it was.
const KEPT: Duration = Duration::from_secs(300);

/// A batch that is so much earlier than the window that is open belongs to it: for no longer than this are stamps
/// behind before the pipeline takes a clock that was put back for right.
const BEHIND_MS: i64 = 60_000;

/// A rule's series and groups. The rule's place is that in the list that its lane has now.
#[derive(Debug)]
pub struct Windows {
    fold: Fold,
    /// The name of the source that it is.
    source: Arc<str>,
    recorder: Recorder,
    window_ms: i64,
    /// The number of the window that is open; none before the first batch.
    open: Option<i64>,
    /// By identity, their places in `series`.
    known: HashMap<u64, u32>,
    series: Vec<Tracked>,
    free_series: Vec<u32>,
    /// By identity, their places in `groups`.
    known_groups: HashMap<u64, u32>,
    groups: Vec<Group>,
    free_groups: Vec<u32>,
    /// Whether the last frame had anything in it.
    has_given: bool,
}

/// A series that is gathered.
#[derive(Debug)]
struct Tracked {
    identity: u64,
    group: u32,
    /// The chunk that gives it, and its place there; none: nobody does now.
    giver: Option<(u64, u32)>,
    /// When that ended.
    gone_ms: i64,
    /// Its last number, and the window that this was in; none: it has had none.
    last: Option<(f64, i64)>,
}

/// What series are gathered into.
#[derive(Debug)]
struct Group {
    identity: u64,
    item: Item,
    reading: Arc<Learnt>,
    /// How many series are gathered into it. 0: its place is free.
    members: u32,
    /// The window that the rest is of.
    window: i64,
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    last: f64,
    /// How much its series grew; none where none had a number before.
    growth: Option<f64>,
}

/// Why a series is not gathered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untaken {
    /// Another one that is alike there is.
    Alike,
    /// There are too many.
    TooMany,
}

impl Windows {
    /// Those of `fold`, behind which a series has `rules` rules behind it; `source` is their name.
    pub fn new(fold: &Fold, source: Arc<str>, rules: u16) -> Windows {
        Windows {
            recorder: recorder(&source, rules),
            source,
            window_ms: i64::try_from(fold.window.as_millis()).unwrap_or(i64::MAX).max(1),
            fold: fold.clone(),
            open: None,
            known: HashMap::new(),
            series: Vec::new(),
            free_series: Vec::new(),
            known_groups: HashMap::new(),
            groups: Vec::new(),
            free_groups: Vec::new(),
            has_given: false,
        }
    }

    /// The name of the source that it is.
    pub fn source(&self) -> &Arc<str> {
        &self.source
    }

    /// How often it gives a frame.
    pub fn interval(&self) -> Duration {
        self.fold.window
    }

    /// Whether the series that come to it end here.
    pub fn takes(&self) -> bool {
        !self.fold.keep_input
    }

    /// The same, which knows what another one of the same rule knew, that stood elsewhere. Who gives the series has
    /// to say so anew.
    pub fn succeed(self, before: Windows, now_ms: i64) -> Windows {
        let mut all = Windows { recorder: self.recorder, source: self.source, ..before };
        for series in &mut all.series {
            if series.giver.take().is_some() {
                series.gone_ms = now_ms;
            }
        }
        all
    }

    /// `chunk` gives the series of `meeting` from now on. Its place here, where nobody else gives it.
    pub fn claim(&mut self, meeting: &Meeting<'_>, chunk: u64) -> Result<u32, Untaken> {
        let identity = meeting.identity();
        let giver = Some((chunk, meeting.place));
        if let Some(at) = self.known.get(&identity) {
            let series = &mut self.series[*at as usize];
            if series.giver.is_some() && series.giver != giver {
                return Err(Untaken::Alike);
            }
            series.giver = giver;
            return Ok(*at);
        }
        if self.known.len() >= MAX_SERIES {
            return Err(Untaken::TooMany);
        }
        let group = self.group(meeting).ok_or(Untaken::TooMany)?;
        self.groups[group as usize].members += 1;
        let series = Tracked { identity, group, giver, gone_ms: 0, last: None };
        let at = put(&mut self.series, &mut self.free_series, series);
        self.known.insert(identity, at);
        Ok(at)
    }

    /// Nobody gives the series at that place any more.
    pub fn release(&mut self, at: u32, now_ms: i64) {
        let series = &mut self.series[at as usize];
        series.giver = None;
        series.gone_ms = now_ms;
    }

    /// The group that `meeting` is gathered into; none where there are too many.
    fn group(&mut self, meeting: &Meeting<'_>) -> Option<u32> {
        let group = self.fold.group_of(&series_of(meeting.name, meeting.labels));
        let identity = group.identity();
        if let Some(at) = self.known_groups.get(&identity) {
            return Some(*at);
        }
        if self.known_groups.len() >= MAX_GROUPS {
            return None;
        }
        let labels: Vec<Label<'_>> = group.labels().map(|(name, value)| Label::Constant { name, value }).collect();
        let mut key = vec![group.name()];
        group.labels().for_each(|(name, value)| key.extend([name, value]));
        let unit = if self.fold.function == Function::Count { "" } else { meeting.family.unit };
        let kind = self.fold.kind_of(meeting.family.kind);
        let family = Family { name: group.name(), help: meeting.family.help, unit, kind };
        let made = Group {
            identity,
            item: Item::new(&key),
            reading: Arc::new(Learnt::everywhere(family, &labels)),
            members: 0,
            window: i64::MIN,
            count: 0,
            sum: 0.0,
            min: 0.0,
            max: 0.0,
            last: 0.0,
            growth: None,
        };
        let at = put(&mut self.groups, &mut self.free_groups, made);
        self.known_groups.insert(identity, at);
        Some(at)
    }

    /// The series at the place `at` has a number in the window that is open. One that is none (NaN) does not count.
    pub fn add(&mut self, at: u32, value: f64) {
        let Some(window) = self.open.filter(|_| !value.is_nan()) else { return };
        let series = &mut self.series[at as usize];
        let before = series.last.replace((value, window));
        let group = &mut self.groups[series.group as usize];
        if group.window != window {
            *group = Group {
                window,
                count: 0,
                sum: 0.0,
                min: f64::INFINITY,
                max: f64::NEG_INFINITY,
                growth: None,
                item: group.item.clone(),
                reading: Arc::clone(&group.reading),
                ..*group
            };
        }
        group.count += 1;
        group.sum += value;
        group.min = group.min.min(value);
        group.max = group.max.max(value);
        group.last = value;
        if let Some((before, _)) = before {
            let grown = if value < before { value } else { value - before };
            *group.growth.get_or_insert_default() += grown;
        }
    }

    /// A batch of `now_ms` comes: the window that was open closes if it has ended. What it gives; none where there
    /// is nothing to be said.
    pub fn close(&mut self, now_ms: i64) -> Option<Frame> {
        let now = now_ms.div_euclid(self.window_ms);
        let open = *self.open.get_or_insert(now);
        if now <= open {
            // A clock that was put back has its new time, and what is open goes on in that.
            if now_ms < open.saturating_mul(self.window_ms).saturating_sub(BEHIND_MS) {
                self.move_open(open, now);
            }
            return None;
        }
        self.open = Some(now);
        let end_ms = open.saturating_add(1).saturating_mul(self.window_ms);
        let given = self.give(open);
        let is_waited_for = self.series.iter().any(|series| series.giver.is_some());
        self.forget(now_ms);
        // One whose sources gave nothing may only have failed.
        if given == 0 && (is_waited_for || !self.has_given) {
            self.recorder.discard();
            return None;
        }
        self.has_given = given > 0;
        Some(self.recorder.finish(end_ms))
    }

    fn move_open(&mut self, from: i64, to: i64) {
        self.open = Some(to);
        for (_, window) in self.series.iter_mut().filter_map(|series| series.last.as_mut()) {
            if *window == from {
                *window = to;
            }
        }
        self.groups.iter_mut().filter(|group| group.window == from).for_each(|group| group.window = to);
    }

    /// Gives each group's number of the window `open` to the recorder. How many there were.
    fn give(&mut self, open: i64) -> usize {
        let last = self.last_by_group(open);
        let mut last = &last[..];
        let mut given = 0;
        for (at, group) in self.groups.iter().enumerate() {
            let own = last.iter().take_while(|(of, _)| *of as usize == at).count();
            let (own, rest) = last.split_at(own);
            last = rest;
            if group.members == 0 || group.window != open {
                continue;
            }
            let value = match self.fold.function {
                Function::Sum => Some(own.iter().map(|(_, value)| value).sum()),
                Function::Count => Some(own.len() as f64),
                Function::Quantile(percent) => quantile(own, f64::from(percent) / 100.0),
                Function::Min => Some(group.min),
                Function::Max => Some(group.max),
                Function::Avg => Some(group.sum / group.count as f64),
                Function::Last => Some(group.last),
                Function::Increase => group.growth,
            };
            if let Some(value) = value {
                self.recorder.item(&group.item).push_learnt(&group.reading, value);
                given += 1;
            }
        }
        given
    }

    /// The last numbers of the series that have one in the window `open`, by group, where the function is of these;
    /// those of a group ascend.
    fn last_by_group(&self, open: i64) -> Vec<(u32, f64)> {
        if !matches!(self.fold.function, Function::Sum | Function::Count | Function::Quantile(_)) {
            return Vec::new();
        }
        let own = self.series.iter().filter_map(|series| match series.last {
            Some((value, window)) if window == open => Some((series.group, value)),
            _ => None,
        });
        let mut last: Vec<(u32, f64)> = own.collect();
        order::sort_by(&mut last, |(of, a), (other, b)| of.cmp(other).then(a.total_cmp(b)));
        last
    }

    /// Forgets the series that have been gone for too long, and the groups that have none.
    fn forget(&mut self, now_ms: i64) {
        let kept_ms = self.window_ms.saturating_mul(2).max(KEPT.as_millis() as i64);
        for (at, series) in self.series.iter_mut().enumerate() {
            let is_over = series.giver.is_none() && now_ms.saturating_sub(series.gone_ms) >= kept_ms;
            if !is_over || self.known.get(&series.identity) != Some(&(at as u32)) {
                continue;
            }
            self.known.remove(&series.identity);
            series.last = None;
            self.free_series.push(at as u32);
            let group = &mut self.groups[series.group as usize];
            group.members -= 1;
            if group.members == 0 {
                self.known_groups.remove(&group.identity);
                self.free_groups.push(series.group);
            }
        }
    }
}

fn recorder(source: &Arc<str>, rules: u16) -> Recorder {
    // Its lane alone looks at it, from one place.
    let slots = ViewSlots::default();
    slots.change(1);
    Recorder::new(Arc::clone(source), MAX_GROUPS).of_unknown_start().behind_rules(rules).with_slots(&slots)
}

/// Puts `one` where there is room.
fn put<T>(all: &mut Vec<T>, free: &mut Vec<u32>, one: T) -> u32 {
    match free.pop() {
        Some(at) => {
            all[at as usize] = one;
            at
        }
        None => {
            all.push(one);
            all.len() as u32 - 1
        }
    }
}

fn series_of(name: &str, labels: ViewLabels<'_>) -> Series {
    let mut series = Series::default();
    series.begin(name);
    labels.iter().for_each(|(name, value)| series.set(name, value));
    series
}

/// That of numbers that ascend, between two of them in proportion, as PromQL has it.
fn quantile(of: &[(u32, f64)], quantile: f64) -> Option<f64> {
    let rank = quantile * (of.len().checked_sub(1)? as f64);
    let (below, above) = (of[rank.floor() as usize].1, of[rank.ceil() as usize].1);
    let weight = rank - rank.floor();
    Some(below * (1.0 - weight) + above * weight)
}
