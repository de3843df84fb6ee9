//! From frames to bytes, one file a format. No I/O, no clocks, no threads.
//!
//! A format is a [`Format`] in a file (or folder) of its own, and a line in [`ALL`]. Whoever
//! ships, and the configuration, ask that one; neither knows any format by name.

mod body;
mod compiled;
mod encoder;
mod format;
pub mod json;
mod options;
pub mod remote_write;
mod sent;
mod span;
#[cfg(test)]
pub(crate) mod testing;
pub mod text;

use crate::fields::{DefaultValue, Field, Table, Takes};

pub use body::{Content, Divide, Downgrade, Piece, content};
pub use encoder::{Bodies, Encoded, Encoder};
pub use format::{Answered, Format, Limits, Over, Signal, Written};
pub use options::{Compression, Options};
pub use remote_write::Version as RemoteWriteVersion;
pub use sent::{Sent, SentSeries};

/// Every format.
pub static ALL: [&Format; 4] = [&remote_write::FORMAT, &json::HTTP, &json::FILE, &json::STDOUT];

/// The format of this name.
pub fn named(name: &str) -> Option<&'static Format> {
    ALL.into_iter().find(|format| format.name == name)
}

static COMPRESSION: Field<Options> = Field::new(
    "compression",
    Takes::Word(&Compression::WORDS, |options, at| options.compression = Some(Compression::ALL[at])),
    DefaultValue::Null,
    "`none` or `gzip` for `http_json`, `snappy` for remote write; null: `none`, or `snappy` for remote write.",
);

/// The fields of a destination that speak of its format, whichever that is.
pub static FIELDS: Table<Options> =
    Table::new(|| std::iter::once(&COMPRESSION).chain(ALL.iter().flat_map(|format| (format.fields)())).collect());
