//! The fields of `collector.filesystem`.

use super::super::filter::{EXCLUDE, Filter, INCLUDE};
use super::super::settings::{FilesystemSettings, MOUNT_POINTS_LEFT_OUT, Settings, TYPES_LEFT_OUT};
use crate::fields::{DefaultValue, Field, Inner, Table, Takes, WAIT};

/// The fields of `collector` that are this collector's. `enable_disk` switches it too.
pub static FIELDS: [Field<Settings>; 1] = [Field::new(
    "filesystem",
    Takes::Object(&Inner { table: &TABLE, of: |s: &mut Settings| &mut s.filesystem }),
    DefaultValue::EmptyMap,
    "",
)];

static TABLE: Table<FilesystemSettings> = Table::new(|| OWN.iter().collect());

static OWN: [Field<FilesystemSettings>; 3] = [
    Field::all_of(&Inner { table: &MOUNT_POINTS, of: |s: &mut FilesystemSettings| &mut s.mountpoint }),
    Field::all_of(&Inner { table: &TYPES, of: |s: &mut FilesystemSettings| &mut s.fstype }),
    Field::new(
        "timeout",
        Takes::Duration(WAIT, |s, timeout| s.timeout = timeout),
        DefaultValue::Text("5s"),
        "How long a network or FUSE mount may take before it counts as stuck.",
    ),
];

static MOUNT_POINTS: Table<Filter> = Table::new(|| MOUNT_POINT_FIELDS.iter().collect());

static MOUNT_POINT_FIELDS: [Field<Filter>; 2] = [
    Field::new(
        "include_mountpoints",
        INCLUDE,
        DefaultValue::Texts(&[]),
        "Mount points whose space is shown, as regular expressions for the whole path; empty: all.",
    ),
    Field::new(
        "exclude_mountpoints",
        EXCLUDE,
        DefaultValue::Texts(&MOUNT_POINTS_LEFT_OUT),
        "Mount points left out in any case.",
    ),
];

static TYPES: Table<Filter> = Table::new(|| TYPE_FIELDS.iter().collect());

static TYPE_FIELDS: [Field<Filter>; 2] = [
    Field::new(
        "include_types",
        INCLUDE,
        DefaultValue::Texts(&[]),
        "File system types that are shown, as regular expressions; empty: all on block devices, network and FUSE.",
    ),
    Field::new(
        "exclude_types",
        EXCLUDE,
        DefaultValue::Texts(&TYPES_LEFT_OUT),
        "File system types left out in any case.",
    ),
];
