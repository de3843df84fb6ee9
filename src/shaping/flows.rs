//! The rules of a lane that depend on other series or on what was before: what each of them knows, and what has
//! become of the series that come to them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::md5::md5_tail;
use super::room::Room;
use super::rule::Rule;
use super::rules::Rules;
use super::view::View;
use super::windows::{Untaken, Windows};
use crate::model::{Frame, Roster};

/// What those rules know, in the order of all rules.
#[derive(Debug)]
pub struct Flows {
    states: Vec<Option<State>>,
    /// A rule that could not gather all series, which nobody has heard of yet.
    over: Option<usize>,
}

#[derive(Debug)]
struct State {
    /// What tells the rule from others, wherever it stands: its text, and the number of those before it that are alike.
    key: String,
    knows: Knows,
    /// Whether there were more series than it can gather.
    is_over: bool,
}

#[derive(Debug)]
enum Knows {
    Windows(Box<Windows>),
    Room(Room),
}

/// What has become of the series of a chunk that come to such rules, in the order of [`View::meetings`].
#[derive(Debug, Default)]
pub struct Meetings(Vec<Met>);

#[derive(Debug)]
struct Met {
    place: u32,
    rule: u16,
    factor: f64,
    became: Became,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Became {
    /// It has the place of that number among those that are gathered.
    Fed(u32),
    /// There was room for it.
    Let,
    /// One that is alike is gathered.
    Alike,
    /// There was no room for it.
    TooMany,
    /// It does not come so far, since there was no room for it at a rule before.
    Behind,
}

/// What tells each of these rules that depends on other series or on what was before from others, wherever it
/// stands; none for any other rule.
fn keys(rules: &Rules) -> impl Iterator<Item = Option<String>> {
    let mut times: HashMap<String, usize> = HashMap::new();
    rules.iter().map(move |rule| {
        rule.stateful()?;
        let text = rule.to_string();
        let before = times.entry(text.clone()).or_default();
        let key = format!("{text}{before}");
        *before += 1;
        Some(key)
    })
}

/// The name of the source that the rule of that key is, where its list belongs to `owner`. Whatever version wrote it
/// down: by this name series are known after a restart.
fn source_of(owner: Option<&str>, key: &str) -> Arc<str> {
    let own = format!("transforms/{:016x}", md5_tail(key.as_bytes()));
    owner.map_or_else(|| own.as_str().into(), |owner| format!("{owner}/{own}").into())
}

/// The sources that `rules` are which belong to the source `owner`, each with the time between two of its frames.
pub fn sources(owner: &str, rules: &Rules) -> Vec<(Arc<str>, Duration)> {
    if rules.first_stateful().is_none() {
        return Vec::new();
    }
    let of = |(rule, key): (&Rule, Option<String>)| Some((source_of(Some(owner), &key?), rule.fold()?.window));
    rules.iter().zip(keys(rules)).filter_map(of).collect()
}

impl Flows {
    /// For these rules, which belong to the source `owner`, or to a lane; none where none of them is such a rule.
    pub fn new(rules: &Rules, owner: Option<&str>) -> Option<Flows> {
        rules.first_stateful()?;
        let state = |(at, (rule, key)): (usize, (&Rule, Option<String>))| {
            let key = key?;
            let knows = match rule {
                Rule::Fold(fold) => Knows::Windows(Box::new(Windows::new(fold, source_of(owner, &key), at as u16 + 1))),
                Rule::Limit(limit) => Knows::Room(Room::new(*limit)),
                _ => return None,
            };
            Some(State { key, knows, is_over: false })
        };
        Some(Flows { states: rules.iter().zip(keys(rules)).enumerate().map(state).collect(), over: None })
    }

    /// What the rules of `before` knew, where these are the same ones, wherever they stand.
    pub fn take_over(&mut self, before: Flows, now_ms: i64) {
        let mut known: HashMap<String, Knows> =
            before.states.into_iter().flatten().map(|state| (state.key, state.knows)).collect();
        for slot in &mut self.states {
            *slot = slot.take().map(|State { key, knows, is_over }| {
                let knows = match (knows, known.remove(&key)) {
                    (Knows::Windows(new), Some(Knows::Windows(old))) => {
                        Knows::Windows(Box::new(new.succeed(*old, now_ms)))
                    }
                    (_, Some(Knows::Room(mut room))) => {
                        room.reserve(now_ms);
                        Knows::Room(room)
                    }
                    (new, _) => new,
                };
                State { key, knows, is_over }
            });
        }
    }

    /// How many rules there are.
    pub fn rules(&self) -> usize {
        self.states.len()
    }

    /// Whether any rule makes series of others.
    pub fn has_windows(&self) -> bool {
        self.windows().next().is_some()
    }

    /// `roster`, and what these rules give among it.
    pub fn roster(&self, roster: &Roster) -> Roster {
        self.windows().fold(roster.clone(), |all, windows| all.with(Arc::clone(windows.source()), windows.interval()))
    }

    fn windows(&self) -> impl Iterator<Item = &Windows> {
        self.states.iter().flatten().filter_map(|state| match &state.knows {
            Knows::Windows(windows) => Some(&**windows),
            Knows::Room(_) => None,
        })
    }

    /// A batch of `now_ms` comes: what the rule at that place gives for the window that has ended.
    pub fn close(&mut self, rule: usize, now_ms: i64) -> Option<Frame> {
        match &mut self.states[rule].as_mut()?.knows {
            Knows::Windows(windows) => windows.close(now_ms),
            Knows::Room(_) => None,
        }
    }

    /// Takes up the series of a chunk, as far as they were not taken up before.
    pub fn claim(&mut self, view: &View, chunk: u64, meetings: &mut Meetings) {
        let is_new = meetings.0.is_empty();
        // The place of the last series for which there was no room.
        let mut refused = None;
        for (at, meeting) in view.meetings().enumerate() {
            if is_new {
                let (place, rule, factor) = (meeting.place, meeting.rule as u16, meeting.factor);
                meetings.0.push(Met { place, rule, factor, became: Became::Behind });
            }
            let met = &mut meetings.0[at];
            if refused == Some(met.place) || matches!(met.became, Became::Fed(_) | Became::Let) {
                continue;
            }
            let Some(state) = &mut self.states[meeting.rule] else { continue };
            met.became = match &mut state.knows {
                Knows::Windows(windows) => match windows.claim(&meeting, chunk) {
                    Ok(at) => Became::Fed(at),
                    Err(Untaken::Alike) => Became::Alike,
                    Err(Untaken::TooMany) => {
                        if !std::mem::replace(&mut state.is_over, true) {
                            self.over = Some(meeting.rule);
                        }
                        Became::TooMany
                    }
                },
                Knows::Room(room) => {
                    let is_let = room.claim(&meeting);
                    refused = (!is_let).then_some(met.place);
                    if is_let { Became::Let } else { Became::TooMany }
                }
            };
        }
    }

    /// Nobody gives the series of a chunk any more. Whether another one may be gathered in the place of one of them.
    pub fn release(&mut self, view: &View, meetings: &Meetings, now_ms: i64) -> bool {
        let mut is_freed = false;
        for (meeting, met) in view.meetings().zip(&meetings.0) {
            let Some(state) = &mut self.states[meeting.rule] else { continue };
            match (&mut state.knows, met.became) {
                (Knows::Windows(windows), Became::Fed(at)) => {
                    windows.release(at, now_ms);
                    is_freed = true;
                }
                (Knows::Room(room), Became::Let) => room.release(&meeting),
                _ => {}
            }
        }
        is_freed
    }

    /// Takes the room of the series that are gone. Whether others may have it now.
    pub fn let_go(&mut self, now_ms: i64) -> bool {
        let rooms = self.states.iter_mut().flatten().filter_map(|state| match &mut state.knows {
            Knows::Room(room) => Some(room),
            Knows::Windows(_) => None,
        });
        let mut is_more = false;
        for room in rooms {
            is_more |= room.let_go(now_ms);
        }
        is_more
    }

    /// The series of a chunk have these numbers now.
    pub fn add(&mut self, meetings: &Meetings, values: &[f64]) {
        for met in &meetings.0 {
            let Became::Fed(at) = met.became else { continue };
            if let Some(State { knows: Knows::Windows(windows), .. }) = &mut self.states[usize::from(met.rule)] {
                windows.add(at, values[met.place as usize] * met.factor);
            }
        }
    }

    /// For each series that a rule has dropped, that rule.
    pub fn dropped<'m>(&'m self, meetings: &'m Meetings) -> impl Iterator<Item = usize> + 'm {
        meetings.0.iter().filter_map(|met| {
            let rule = usize::from(met.rule);
            let is_dropped = match (&self.states[rule].as_ref()?.knows, met.became) {
                (_, Became::TooMany) => true,
                // One that goes on is counted where it is alike in the end.
                (Knows::Windows(windows), Became::Alike) => windows.takes(),
                _ => false,
            };
            is_dropped.then_some(rule)
        })
    }

    /// The places of the series that a limit had no room for; they ascend.
    pub fn without_room<'m>(&'m self, meetings: &'m Meetings) -> impl Iterator<Item = u32> + 'm {
        meetings.0.iter().filter_map(|met| {
            let is_room = matches!(self.states[usize::from(met.rule)].as_ref()?.knows, Knows::Room(_));
            (is_room && met.became == Became::TooMany).then_some(met.place)
        })
    }

    /// A rule for which there are more series than it can gather, once.
    pub fn take_overfull(&mut self) -> Option<usize> {
        self.over.take()
    }
}

impl Meetings {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether any series was not taken up, which it may be later.
    pub fn has_untaken(&self) -> bool {
        self.0.iter().any(|met| !matches!(met.became, Became::Fed(_) | Became::Let))
    }
}

#[cfg(test)]
mod tests;
