//! What the collector says about itself, and its settings.

use std::sync::Arc;

use super::super::definition::{Definition, Made};
use super::super::filter::{EXCLUDE, Filter, INCLUDE};
use super::super::settings::{COMMON, DEFAULT_TIMEOUT, Given, Preset, TIMEOUT};
use super::collect::Hwmon;
use super::names::COLLECTOR;
use super::readings::{READINGS, known_keys};
use crate::fields::{DefaultValue, Field, Inner, Table};

/// What it says about itself.
pub static DEFINITION: Definition = Definition {
    name: COLLECTOR,
    switch: "enable_hwmon",
    about: "Hardware sensors: temperatures, fans, voltages, currents, powers, and their alarms.",
    note: "on a thread of its own; a sensor that gives an error spoils itself alone",
    preset: Some(Preset::Full),
    reads: &["/sys/class/hwmon"],
    readings: READINGS,
    keys: known_keys,
    section: &SECTION,
    build: |parts| {
        let chips: Chips = parts.settings.own(COLLECTOR);
        let timeout = parts.settings.timeout(COLLECTOR, DEFAULT_TIMEOUT);
        Made::Slow(Box::new(Hwmon::new(&chips.0, parts.host)), Arc::new(|| true), timeout)
    },
    ..Definition::PLAIN
};

static SECTION: Table<Given> = Table::new(|| COMMON.iter().chain([&TIMEOUT, &OWN]).collect());
static OWN: Field<Given> = Field::all_of(&Inner { table: &FILTER, of: |s: &mut Given| &mut s.own::<Chips>().0 });

/// Which chips are read; by rule all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chips(pub Filter);

static FILTER_FIELDS: [Field<Filter>; 2] = [
    Field::new(
        "include",
        INCLUDE,
        DefaultValue::Texts(&[]),
        "Chips that are read, as regular expressions for the whole label `chip`; empty: all.",
    ),
    Field::new("exclude", EXCLUDE, DefaultValue::Texts(&[]), "Chips that are not read in any case."),
];

static FILTER: Table<Filter> = Table::new(|| FILTER_FIELDS.iter().collect());
