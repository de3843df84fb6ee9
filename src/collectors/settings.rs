//! What the configuration says about the collectors (`collector.*`), and what holds where it says nothing.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use crate::fields::{DefaultValue, Done, Fault, Field, Notes, Table, Takes, WAIT};
use crate::model::Labels;

/// Default of `collector.max_series`: a host with 1,000 disks or 1,024 CPUs, of up to 17 numbers
/// each in all schemes, fits; a runaway does not.
pub const MAX_SERIES: usize = 20_000;

/// Which collectors are on where nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Preset {
    /// No collector.
    None,
    /// What an appliance wants.
    Basic,
    /// What a host has, as far as it costs little.
    Full,
}

impl Preset {
    /// The words of the configuration, in the order of [`Preset::ALL`].
    pub const WORDS: [&'static str; 3] = ["basic", "full", "none"];
    /// All presets.
    pub const ALL: [Preset; 3] = [Preset::Basic, Preset::Full, Preset::None];

    /// Its word in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Preset::Basic => "basic",
            Preset::Full => "full",
            Preset::None => "none",
        }
    }
}

/// What the configuration says about the collectors (`collector.*`).
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which are on where their switches say nothing.
    pub preset: Preset,
    /// Series that one collector may give a round; the rest is refused and counted.
    pub max_series: usize,
    /// What is said of each, by its name; nothing: it is not there.
    pub given: BTreeMap<&'static str, Given>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { preset: Preset::Basic, max_series: MAX_SERIES, given: BTreeMap::new() }
    }
}

/// What is said as it holds anyway is as if it were not said.
impl PartialEq for Settings {
    fn eq(&self, other: &Settings) -> bool {
        let mut names = self.given.keys().chain(other.given.keys());
        (self.preset, self.max_series) == (other.preset, other.max_series)
            && names.all(|name| self.all_of(name) == other.all_of(name))
    }
}

impl Settings {
    /// What is said of the collector `name`, to be filled in.
    pub fn give(&mut self, name: &'static str) -> &mut Given {
        self.given.entry(name).or_default()
    }

    /// What is said of the collector `name`.
    pub fn given(&self, name: &str) -> Option<&Given> {
        self.given.get(name)
    }

    /// Whether the collector `name` has settings that it alone has, and that are not the default ones.
    pub fn has_own(&self, name: &str) -> bool {
        self.given(name).and_then(|given| given.own.as_ref()).is_some_and(|own| !own.is_default())
    }

    /// The settings that the collector `name` alone has, as they are said or by default.
    pub fn own<T: Own + Clone + Default>(&self, name: &str) -> T {
        let own = self.given(name).and_then(|given| given.own.as_ref()?.as_any().downcast_ref());
        own.cloned().unwrap_or_default()
    }

    /// How long a round of the collector `name` may take, where it may hang.
    pub fn timeout(&self, name: &str, default: Duration) -> Duration {
        self.given(name).and_then(|given| given.timeout).unwrap_or(default)
    }

    /// Switches the collector `name` on or off.
    pub fn switch(&mut self, name: &'static str, on: bool) {
        self.give(name).on = Some(on);
    }

    /// What is said of the collector `name`, or holds where nothing is.
    pub fn all_of(&self, name: &str) -> Given {
        self.given(name).cloned().unwrap_or_default()
    }

    /// Says what is wrong with them where collections are `interval` apart.
    pub fn check(&self, interval: Duration, notes: &mut Notes) {
        for (name, given) in &self.given {
            let Some(own) = given.interval else { continue };
            if own < interval || own.as_nanos() % interval.as_nanos() != 0 {
                let expected = format!("expected a multiple of the time between collections ({interval:?}), got ");
                notes.within(*name, |notes| notes.problem("interval", Fault::quoting(expected)));
            }
        }
    }
}

/// What is said of one collector.
#[derive(Debug, Default)]
pub struct Given {
    /// Whether it is on; nothing: as the preset has it.
    pub on: Option<bool>,
    /// Time between two of its rounds, a multiple of the time between two collections, which it
    /// is by default.
    pub interval: Option<Duration>,
    /// How long a round may take, of one that may hang.
    pub timeout: Option<Duration>,
    labels: BTreeMap<String, String>,
    own: Option<Box<dyn Own>>,
}

impl Given {
    /// The settings that it alone has, to be filled in.
    pub fn own<T: Own + Default>(&mut self) -> &mut T {
        let own = self.own.get_or_insert_with(|| Box::new(T::default()));
        own.as_any_mut().downcast_mut().expect("a collector's own settings have one type")
    }

    /// The labels that its series get.
    pub fn labels(&self) -> Labels {
        // Each was checked when it was given.
        Labels::new(self.labels.iter().map(|(name, value)| (&**name, &**value))).unwrap_or(Labels::EMPTY)
    }

    fn label(&mut self, name: &str, value: String) -> Done {
        if name.starts_with("__") {
            return Err("names that begin with __ are Prometheus' own; choose another one".into());
        }
        Labels::new([(name, &*value)]).map_err(|error| Fault::new(error.to_string()))?;
        self.labels.insert(name.to_owned(), value);
        Ok(())
    }
}

impl Clone for Given {
    fn clone(&self) -> Given {
        let own = self.own.as_ref().map(|own| own.boxed());
        Given { on: self.on, interval: self.interval, timeout: self.timeout, labels: self.labels.clone(), own }
    }
}

impl PartialEq for Given {
    fn eq(&self, other: &Given) -> bool {
        let own = match (&self.own, &other.own) {
            (Some(a), Some(b)) => a.same(&**b),
            (None, None) => true,
            (Some(own), None) | (None, Some(own)) => own.is_default(),
        };
        let timeout = |given: &Given| given.timeout.unwrap_or(DEFAULT_TIMEOUT);
        own && (self.on, self.interval, timeout(self)) == (other.on, other.interval, timeout(other))
            && self.labels == other.labels
    }
}

/// Settings that one collector alone has, whatever their type.
pub trait Own: Any + Debug + Send + Sync {
    /// As what they are.
    fn as_any(&self) -> &dyn Any;
    /// As what they are.
    fn as_any_mut(&mut self) -> &mut dyn Any;
    /// Once more.
    fn boxed(&self) -> Box<dyn Own>;
    /// Whether it is what holds where nothing is said.
    fn is_default(&self) -> bool;
    /// Whether `other` is of the same type and equal.
    fn same(&self, other: &dyn Own) -> bool;
}

impl<T: Any + Clone + Default + PartialEq + Debug + Send + Sync> Own for T {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn boxed(&self) -> Box<dyn Own> {
        Box::new(self.clone())
    }

    fn is_default(&self) -> bool {
        *self == T::default()
    }

    fn same(&self, other: &dyn Own) -> bool {
        other.as_any().downcast_ref::<T>().is_some_and(|other| self == other)
    }
}

const fn interval(doc: &'static str) -> Field<Given> {
    Field::new("interval", Takes::Duration(WAIT, |s, interval| s.interval = Some(interval)), DefaultValue::Null, doc)
}

const fn labels(doc: &'static str) -> Field<Given> {
    Field::new("labels", Takes::Map(|s, name, value| s.label(name, value)), DefaultValue::EmptyMap, doc)
}

static FIELDS: [Field<Given>; 2] = [
    interval(
        "Time between two of its rounds, a multiple of `collector.interval_seconds`; null: that. Every collector's \
         object has this field, and `labels`.",
    ),
    labels("Labels added to its series, unless they have one of that name; they win over those of destinations."),
];

/// The fields that every collector's object has, without a row of their own in the documentation:
/// for those that have others beside them.
pub static COMMON: [Field<Given>; 2] = [interval(""), labels("")];

/// The fields of the object of a collector that has no settings of its own.
pub static SECTION: Table<Given> = Table::new(|| FIELDS.iter().collect());

/// The field that every collector has that may hang.
pub static TIMEOUT: Field<Given> = Field::new(
    "timeout",
    Takes::Duration(WAIT, |s, timeout| s.timeout = Some(timeout)),
    DefaultValue::Text("5s"),
    "How long a round may take before the collector counts as hanging.",
);

/// How long a round may take of a collector that may hang.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
