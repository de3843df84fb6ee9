//! From frames to bytes, one file a format. No I/O, no clocks, no threads.
//!
//! A format is a [`Format`] in a file (or folder) of its own, and a line in [`ALL`]. Whoever
//! ships, and the configuration, ask that one; neither knows any format by name.

mod body;
mod compiled;
pub mod datadog;
pub mod delta;
mod encoder;
mod format;
pub mod graphite;
mod gzip;
mod identities;
pub mod influx;
pub mod json;
mod json_records;
mod key;
mod ledger;
mod lines;
mod loki;
mod number;
mod options;
pub mod otlp;
mod part;
pub mod remote_write;
mod sent;
mod series_list;
mod series_record;
#[cfg(test)]
pub(crate) mod testing;
pub mod text;
mod wire;

use std::sync::LazyLock;

use crate::fields::{DefaultValue, Field, Table, Takes};

pub use body::{Content, Divide, Downgrade, Piece, content};
pub use encoder::{Bodies, Encoded, Encoder, RecordEncoder};
pub use format::{Answered, Carriage, Format, Limits, OfRecords, Over, OwnField, Reach, Shown, Signal, Written};
pub use key::Key;
pub use options::{Compression, Options};
pub use remote_write::Version as RemoteWriteVersion;
pub use sent::Sent;
pub use series_list::Extent;

/// Every format.
pub static ALL: [&Format; 9] = [
    &remote_write::FORMAT,
    &json::HTTP,
    &otlp::FORMAT,
    &influx::FORMAT,
    &datadog::FORMAT,
    &graphite::FORMAT,
    &loki::FORMAT,
    &json::FILE,
    &json::STDOUT,
];

/// Their names.
pub fn names() -> [&'static str; ALL.len()] {
    ALL.map(|format| format.name)
}

/// The format of this name.
pub fn of_name(name: &str) -> Option<&'static Format> {
    ALL.into_iter().find(|format| format.name == name)
}

/// The fields of a destination that speak of its format, whichever that is.
pub static FIELDS: Table<Options> = Table::new(|| {
    let own = ALL.iter().flat_map(|format| format.fields).map(|own| &own.field);
    std::iter::once(&*COMPRESSION).chain(own).collect()
});

static COMPRESSION: LazyLock<Field<Options>> = LazyLock::new(|| {
    let takes =
        Takes::Word(&Compression::WORDS, |options: &mut Options, at| options.compression = Some(Compression::ALL[at]));
    Field::new("compression", takes, DefaultValue::Null, &COMPRESSIONS)
});

static COMPRESSIONS: LazyLock<String> = LazyLock::new(|| {
    let is_chosen = |format: &&&Format| format.compressions != [Compression::None];
    let of = |format: &&Format| {
        let words: Vec<String> = format.compressions.iter().map(|choice| format!("`{}`", choice.word())).collect();
        format!("{} for `{}`", words.join(" or "), format.name)
    };
    let all: Vec<String> = ALL.iter().filter(is_chosen).map(of).collect();
    format!("How a body is compressed: {}; null: the first that its type has.", all.join(", "))
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_one_format_s_and_each_field_too() {
        let own = ALL.iter().flat_map(|format| format.fields).map(|own| own.field.name());
        for mut all in [names().to_vec(), own.chain(["compression"]).collect()] {
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), count, "{all:?}");
        }
        assert_eq!(of_name("http_json"), Some(&json::HTTP));
        assert_eq!(of_name("otlp_grpc"), None);
    }

    #[test]
    fn each_format_compresses_somehow_and_makes_what_its_limits_allow() {
        for format in ALL {
            assert_eq!(format.compression(&Options::default()), format.compressions[0]);
            assert!(format.limits.samples > 0 && format.limits.bytes > 0 && !format.signals.is_empty());
            assert_eq!(format.signals.contains(&Signal::Metrics), format.encoder.is_some(), "{}", format.name);
            assert_eq!(format.signals.contains(&Signal::Records), format.records.is_some(), "{}", format.name);
        }
    }
}
