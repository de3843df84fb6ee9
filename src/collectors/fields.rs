//! The fields of `collector` that come from the collectors' definitions: a switch and an object each.

use super::definition::Definition;
use super::settings::{Given, Preset, Settings};
use super::{TABLE, settings};
use crate::fields::{DefaultValue, Done, Fault, Field, Fields, Fill, Info, Notes, Part, Piece, Table, Takes};

/// What all collectors are told, and each.
pub static FIELDS: Table<Settings> = Table::new(|| OF_ALL.iter().collect());

static OF_ALL: [Field<Settings>; 3] = [
    Field::new(
        "preset",
        Takes::Word(&Preset::WORDS, |s: &mut Settings, at| s.preset = Preset::ALL[at]),
        DefaultValue::Text("basic"),
        "Which collectors are on whose switch says nothing: the table of collectors has the preset of each, and `full` \
         has those of `basic` too.",
    )
    .variable("MC_COLLECTOR_PRESET"),
    Field::all_of(&Each),
    Field::new(
        "max_series",
        Takes::Whole(1..=1_000_000, |s, series| s.max_series = series as usize),
        DefaultValue::Whole(settings::MAX_SERIES as u64),
        "Series that one collector may give a round, those of all schemes of names together; more are refused and counted.",
    ),
];

/// The field that stands behind each switch.
static SWITCH: [Field<Given>; 1] =
    [Field::new("enable", Takes::Bool(|s, on| s.on = Some(on)), DefaultValue::Null, "The switch.")];
static SWITCHES: Table<Given> = Table::new(|| SWITCH.iter().collect());

/// Every collector's switch (`enable_cpu`) and object (`cpu`).
struct Each;

/// The definition that the field `name` belongs to, and whether it is its switch.
fn find(name: &str) -> Option<(&'static Definition, bool)> {
    let of = |name: &str| sections().find(|definition| definition.name == name);
    match name.strip_prefix("enable_") {
        Some(name) => of(name).map(|definition| (definition, true)),
        None => of(name).map(|definition| (definition, false)),
    }
}

/// Those that have a section.
fn sections() -> impl Iterator<Item = &'static Definition> {
    TABLE.iter().copied().filter(|definition| definition.part_of.is_none())
}

impl Fields for Each {
    fn infos(&self) -> Vec<Info> {
        let of = |definition: &'static Definition| {
            let switch = SWITCHES.infos().remove(0).called(definition.switch, definition.about);
            [switch, Info::object(definition.name, definition.section)]
        };
        sections().flat_map(of).collect()
    }
}

impl Part<Settings> for Each {
    fn fields(&self) -> &'static dyn Fields {
        &Each
    }

    fn open<'s>(&self, whole: &'s mut Settings) -> Box<dyn Fill + 's> {
        Box::new(Filling(whole))
    }

    fn open_field<'s>(&self, whole: &'s mut Settings, name: &str) -> Option<Box<dyn Fill + 's>> {
        let (definition, is_switch) = find(name)?;
        (!is_switch).then(|| Box::new(definition.section.fill(whole.give(definition.name))) as Box<dyn Fill>)
    }
}

struct Filling<'s>(&'s mut Settings);

impl Fill for Filling<'_> {
    fn set(&mut self, name: &str, piece: Piece<'_>) -> Done {
        match find(name) {
            Some((definition, true)) => SWITCHES.fill(self.0.give(definition.name)).set("enable", piece),
            _ => Err(Fault::expected("an object")),
        }
    }

    fn open(&mut self, name: &str) -> Option<Box<dyn Fill + '_>> {
        Each.open_field(self.0, name)
    }

    fn check(&mut self, _notes: &mut Notes) {}
}
