//! The examples of the documentation, and the tables of fields behind them.

use std::time::Duration;

use super::super::root::ROOT;
use super::*;
use crate::collectors;
use crate::collectors::filesystem::FilesystemSettings;
use crate::fields::{DefaultValue, Fields, Shape};
use crate::lane::LANE_TABLE;
use crate::model::Labels;

#[test]
fn nothing_said_means_defaults_and_no_destination() {
    let config = loaded("{}");
    assert_eq!(config.server, crate::server::Settings::default());
    assert_eq!(config.interval, Duration::from_secs(60));
    assert_eq!(config.collectors, collectors::Settings::default());
    assert_eq!(config.lanes, []);
    assert_eq!(config.labels, Labels::EMPTY);
    assert_eq!(config.warnings, [""; 0]);
}

#[test]
fn the_example_holds_every_field_at_its_default() {
    let example: serde_json::Value = serde_json::from_str(EXAMPLE).unwrap();
    same_fields("", &ROOT, &example);
    assert_eq!(loaded(EXAMPLE), loaded("{}"));
}

#[test]
fn the_shipper_example_holds_every_field_at_its_default() {
    let example: serde_json::Value = serde_json::from_str(EXAMPLE_SHIPPER).unwrap();
    same_fields("shippers[0].", &LANE_TABLE, &example["shippers"][0]);
    let short = r#"{"shipper": {"type": "http_json", "endpoint": "http://127.0.0.1:9000/metrics"}}"#;
    assert_eq!(loaded(EXAMPLE_SHIPPER), loaded(short));
}

#[test]
fn the_first_metricsds_file_systems_can_be_restored() {
    let config = loaded(include_str!("../../../docs/examples/first-metricsd.json"));
    let filesystem: FilesystemSettings = config.collectors.own("filesystem");
    for (fstype, is_shown) in [
        ("ext4", true),
        ("squashfs", true),
        ("fuseblk", true),
        ("zfs", true),
        ("nfs4", false),
        ("fuse.sshfs", false),
        ("overlay", false),
        ("tmpfs", false),
    ] {
        assert_eq!(filesystem.fstype.shows(fstype, true), is_shown, "{fstype}");
    }
    assert!(filesystem.mountpoint.shows("/var/lib/docker/volumes/x", true));
}

#[test]
fn the_examples_destination_counts_once_its_underscore_is_gone() {
    let edited = EXAMPLE.replace("\"_shipper\"", "\"shipper\"");
    let config = loaded(&edited);
    assert_eq!(config.lanes.len(), 1);
    assert_eq!(config.lanes[0].kind.as_str(), "prometheus_remote_write");
    assert_eq!(config.warnings, [""; 0]);
}

/// That `object` holds these fields and no other, each at its default.
fn same_fields(path: &str, fields: &dyn Fields, object: &serde_json::Value) {
    let object = object.as_object().unwrap_or_else(|| panic!("{path} is no object"));
    for info in fields.infos() {
        let path = format!("{path}{}", info.name);
        // A destination that is a comment is none either.
        let comment = object.get(&format!("_{}", info.name)).map(|_| &serde_json::Value::Null);
        let value = object.get(info.name).or(comment).unwrap_or_else(|| panic!("{path} is missing"));
        match (info.shape, info.inner) {
            // No destination is the default, so the short form of one stands there as null.
            (Shape::Object, Some(inner)) if info.default != DefaultValue::Null => {
                same_fields(&format!("{path}."), inner, value);
            }
            _ => match info.default.json() {
                Some(json) => assert_eq!(*value, serde_json::from_str::<serde_json::Value>(&json).unwrap(), "{path}"),
                None => assert!(value.is_string(), "{path}"),
            },
        }
    }
    let others = object.keys().filter(|key| *key != "//");
    assert_eq!(others.count(), fields.infos().len(), "{path} holds a field that no table has");
}

#[test]
fn every_field_is_told_of() {
    for row in rows() {
        assert!(!row.meaning.is_empty() && row.meaning.ends_with('.'), "{}", row.path);
    }
}

#[test]
fn no_field_is_in_the_table_without_being_read() {
    // A list's own row has the path of no object, and `shippers` the fields of `shipper`.
    for row in rows() {
        let wrong = if row.takes == "boolean" { "7" } else { "true" };
        let mut text = wrong.to_owned();
        for key in row.path.rsplit('.') {
            text = match key.strip_suffix("[]") {
                Some(list) => format!("{{\"{list}\": [{text}]}}"),
                None => format!("{{\"{key}\": {text}}}"),
            };
        }
        let expected = format!(": {}: expected ", row.path.replace("[]", "[0]"));
        assert!(problems(&text).iter().any(|line| line.contains(&expected)), "{}: {:?}", row.path, problems(&text));
    }
}
