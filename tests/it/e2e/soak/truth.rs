//! What Prometheus has after a soak, held against what it was to have.

use std::collections::{BTreeMap, BTreeSet};

use super::host::{Source, State};
use crate::e2e::own_name;
use crate::support::prometheus::Prometheus;

/// While a collector was off, or may have been. Milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Off {
    pub source: Source,
    /// When it was asked to go, and when it certainly had gone.
    pub asked_ms: i64,
    pub gone_ms: i64,
    /// The same of its coming back; none where it did not.
    pub back: Option<(i64, i64)>,
}

impl Off {
    fn is_certain(&self, at_ms: i64) -> bool {
        at_ms > self.gone_ms && self.back.is_none_or(|(asked_ms, _)| at_ms < asked_ms)
    }

    fn is_possible(&self, at_ms: i64) -> bool {
        at_ms >= self.asked_ms && self.back.is_none_or(|(_, there_ms)| at_ms <= there_ms)
    }
}

/// The values of a source at a tick.
type Values = BTreeMap<String, f64>;

/// All that was stored.
pub struct Stored(BTreeMap<i64, BTreeMap<Source, Values>>);

/// As much is asked for at once.
const WINDOW_MS: i64 = 30_000;

impl Stored {
    /// Everything between two times.
    pub fn read(server: &Prometheus, from_ms: i64, to_ms: i64) -> Stored {
        let mut stored: BTreeMap<i64, BTreeMap<Source, Values>> = BTreeMap::new();
        let mut end_ms = from_ms;
        while end_ms < to_ms {
            end_ms += WINDOW_MS;
            // Windows touch each other: what lies on the edge is in both.
            for series in server.samples_at(&format!(r#"{{job="node"}}[{WINDOW_MS}ms]"#), end_ms) {
                let name = own_name(&series);
                let source = Source::of(series.name());
                for (time_ms, value) in series.samples {
                    let of_source = stored.entry(time_ms).or_default().entry(source).or_default();
                    of_source.insert(name.clone(), value);
                }
            }
        }
        Stored(stored)
    }

    pub fn times(&self) -> Vec<i64> {
        self.0.keys().copied().collect()
    }

    /// How many samples there are.
    pub fn count(&self) -> usize {
        self.0.values().flat_map(BTreeMap::values).map(BTreeMap::len).sum()
    }

    /// That at each tick each source has given just what the host had then.
    pub fn compare(&self, states: &[State], off: &[Off]) -> Seen {
        let mut seen = Seen::default();
        for (time_ms, sources) in &self.0 {
            let load = sources.get(&Source::Load).unwrap_or_else(|| panic!("at {time_ms} there is nothing of load"));
            let state_at = load["node_load1"] as usize;
            // A round that was under way when the files changed has some of each state.
            let around = &states[state_at.saturating_sub(1)..(state_at + 2).min(states.len())];
            for source in Source::ALL {
                let given = sources.get(&source);
                let is_off = |certain: bool| {
                    let of_it = off.iter().filter(|off| off.source == source);
                    let mut of_it =
                        of_it.map(|off| if certain { off.is_certain(*time_ms) } else { off.is_possible(*time_ms) });
                    of_it.any(|is| is)
                };
                let Some(given) = given else {
                    let may_be_empty = around.iter().any(|state| state.gives(source).is_empty());
                    assert!(may_be_empty || is_off(false), "{source:?} is missing at {time_ms}, state {state_at}");
                    seen.torn += usize::from(!is_off(false) && around.iter().any(|state| state.is_torn(source)));
                    continue;
                };
                assert!(!is_off(true), "{source:?} is off, and has numbers at {time_ms}");
                let of_mark = |state: &&State| {
                    source.mark().is_none_or(|mark| given.get(&mark) == Some(&source.mark_of(state.number())))
                };
                let differ = |state: &State| difference(&state.gives(source), given);
                let likely: Vec<&State> = around.iter().filter(of_mark).collect();
                let is_one = likely.iter().any(|state| differ(state).is_none());
                assert!(
                    is_one,
                    "{source:?} at {time_ms}, state {state_at}: {:?}",
                    likely.iter().map(|state| differ(state)).collect::<Vec<_>>()
                );
            }
        }
        seen
    }

    /// That at each tick just those series are live that were given then or, where their source
    /// gave nothing, at last; a source that is off ends all of them at once. Gives how many have
    /// ended. `full`: every so many ticks they are compared one by one, else counted.
    pub fn compare_live(&self, server: &Prometheus, off: &[Off], full: usize) -> usize {
        let mut live: BTreeMap<Source, BTreeSet<String>> = BTreeMap::new();
        let mut ended = 0;
        for (at, (time_ms, sources)) in self.0.iter().enumerate() {
            for source in Source::ALL {
                if let Some(given) = sources.get(&source) {
                    let now: BTreeSet<String> = given.keys().cloned().collect();
                    let before = live.insert(source, now.clone()).unwrap_or_default();
                    ended += before.difference(&now).count();
                }
            }
            // Of sources that give nothing any more: whether they have ended by now.
            let counted = |source: Source| {
                let area = match source {
                    Source::Cpu => "node_(cpu|context|intr|forks|procs)_.*",
                    Source::Memory => "node_memory_.*",
                    Source::Disk => "node_disk_.*",
                    Source::Network => "node_network_.*",
                    Source::Filesystem => "node_filesystem_.*",
                    Source::Load => "node_load.*",
                };
                let query = format!(r#"count({{job="node",__name__=~"{area}"}})"#);
                server.value_at(&query, *time_ms).unwrap_or_default() as usize
            };
            for source in Source::ALL {
                let is_given = sources.contains_key(&source);
                let found = counted(source);
                let may_end = |off: &&Off| off.source == source && *time_ms >= off.asked_ms;
                let is_off = off.iter().rev().find(may_end).filter(|off| off.is_possible(*time_ms));
                // With the last file system the round is empty, and a good one.
                let is_empty = source == Source::Filesystem && is_off.is_none();
                if !is_given && (is_empty || is_off.is_some() && found == 0) {
                    ended += live.remove(&source).map_or(0, |series| series.len());
                }
                let expected = live.get(&source).map_or(0, BTreeSet::len);
                assert_eq!(found, expected, "live series of {source:?} at {time_ms}, given: {is_given}");
                if let Some(off) = is_off.filter(|_| !is_given && expected > 0) {
                    assert!(*time_ms < off.gone_ms, "{source:?} is off since {off:?}, and live");
                }
            }
            if at % full == 0 {
                let found = server.vector_at(r#"{job="node"}"#, *time_ms);
                let found: BTreeSet<String> = found.iter().map(own_name).collect();
                let expected: BTreeSet<String> = live.values().flatten().cloned().collect();
                let different: Vec<_> = found.symmetric_difference(&expected).collect();
                assert!(different.is_empty(), "at {time_ms} these are live or should be, not both: {different:?}");
            }
        }
        ended
    }
}

/// What was met on the way.
#[derive(Debug, Default)]
pub struct Seen {
    /// Rounds of which nothing was given, since a file was torn.
    pub torn: usize,
}

/// The first thing in which they differ.
fn difference(expected: &BTreeMap<String, Option<f64>>, given: &Values) -> Option<String> {
    let missing = expected.keys().find(|name| !given.contains_key(*name));
    if let Some(name) = missing {
        return Some(format!("{name} is missing"));
    }
    for (name, value) in given {
        match expected.get(name) {
            None => return Some(format!("{name} is too many")),
            Some(Some(number)) if (number - value).abs() > number.abs() * 1e-12 => {
                return Some(format!("{name} is {value}, not {number}"));
            }
            Some(_) => {}
        }
    }
    None
}
