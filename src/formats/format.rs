//! What a format says about itself: all that the configuration and a lane have to know of it.

use std::fmt;

use super::body::{Content, Divide, Downgrade};
use super::encoder::{Encoder, RecordEncoder};
use super::key::Key;
use super::options::{Compression, Options};
use crate::fields::{Field, Notes};
pub use crate::model::Signal;
use crate::model::{Labels, Scheme};
use crate::shaping::Perspective;

/// A format of the table in `formats/mod.rs`.
#[derive(Clone, Copy)]
pub struct Format {
    /// The `type` of a destination in the configuration.
    pub name: &'static str,
    /// What it can carry.
    pub signals: &'static [Signal],
    /// How it leaves the host.
    pub over: Over,
    /// The path that its receivers have behind an endpoint, unless that ends so; none: an endpoint is
    /// taken as it is.
    pub path: Option<&'static str>,
    /// What its own settings say of how its receivers are reached, at the endpoint, where one is given; what makes no
    /// sense there is noted. Notes are of the destination's object.
    pub reach: fn(&Options, Option<&str>, &mut Notes) -> Reach,
    /// By which names it is sent where nothing is said.
    pub naming: Scheme,
    /// What one body may hold.
    pub limits: Limits,
    /// Whether its receivers insist on the order in which a series' samples were taken: there is
    /// one request under way at a time then.
    pub ordered: bool,
    /// Whether its receivers expect the labels `job` and `instance`, as those of scraped series.
    pub has_target_labels: bool,
    /// The label by which its receivers tell one host from another; given to all that has none of that name.
    pub host_label: Option<&'static str>,
    /// Whether the host's payload is one: it takes nothing between two ticks, and what came since the
    /// last tick is in the next one's payload.
    pub by_tick: bool,
    /// The compressions to choose from, its own choice first.
    pub compressions: &'static [Compression],
    /// Headers of its content that no other ones may take the place of, in lower case;
    /// `content-type` and `content-encoding` are among them anyway.
    pub headers: &'static [&'static str],
    /// The fields that it alone has, in a destination's object.
    pub fields: &'static [OwnField],
    /// An encoder of metrics with these settings, of what is seen from there; none: it carries none, and what is
    /// about metrics here is not asked for.
    pub encoder: Option<MakeEncoder>,
    /// Divides a body that is too large for its receiver; none: its bodies are never divided.
    pub divide: Option<Divide>,
    /// Turns a body into one of the older format, which a receiver understands that does not know
    /// this one; none: there is no older one.
    pub downgrade: Option<Downgrade>,
    /// What the answer to a request with this content says was written.
    pub written: fn(&Content, &Answered<'_>) -> Written,
    /// How it carries records; none: it carries none. What stands above is about metrics then, where
    /// it could be about either.
    pub records: Option<OfRecords>,
}

/// Makes an encoder of metrics.
pub type MakeEncoder = fn(&Options, Perspective) -> Box<dyn Encoder>;

/// How a format carries records.
#[derive(Clone, Copy)]
pub struct OfRecords {
    /// As [`Format::path`].
    pub path: Option<&'static str>,
    /// What one body may hold.
    pub limits: Limits,
    /// An encoder with these settings, which gives each record these labels besides.
    pub encoder: fn(&Options, &Labels) -> Box<dyn RecordEncoder>,
    /// As [`Format::divide`].
    pub divide: Option<Divide>,
    /// As [`Format::written`].
    pub written: fn(&Content, &Answered<'_>) -> Written,
}

/// What a lane has to know of the bodies of its signal.
#[derive(Clone, Copy)]
pub struct Carriage {
    /// What one body may hold.
    pub limits: Limits,
    /// As [`Format::divide`].
    pub divide: Option<Divide>,
    /// As [`Format::downgrade`].
    pub downgrade: Option<Downgrade>,
    /// As [`Format::written`].
    pub written: fn(&Content, &Answered<'_>) -> Written,
}

impl Format {
    /// Whether what it writes are Prometheus' names, which have no dots.
    pub fn has_no_dots(&self) -> bool {
        self.has_target_labels
    }

    /// How it carries a signal.
    pub fn carries(&self, signal: Signal) -> Carriage {
        let metrics =
            Carriage { limits: self.limits, divide: self.divide, downgrade: self.downgrade, written: self.written };
        match (signal, self.records) {
            (Signal::Records, Some(OfRecords { limits, divide, written, .. })) => {
                Carriage { limits, divide, downgrade: None, written }
            }
            _ => metrics,
        }
    }

    /// How a body is compressed with these settings.
    pub fn compression(&self, options: &Options) -> Compression {
        options.compression.unwrap_or(self.compressions[0])
    }
}

/// A field that one format has.
pub struct OwnField {
    /// The field.
    pub field: Field<Options>,
    /// Whether it is set to something else than its default.
    pub is_set: fn(&Options) -> bool,
}

/// By name, which is each one's alone.
impl PartialEq for Format {
    fn eq(&self, other: &Format) -> bool {
        self.name == other.name
    }
}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Over {
    /// Whether they go over the network.
    pub fn is_network(self) -> bool {
        matches!(self, Over::Http | Over::Tcp { .. })
    }
}

/// How bodies leave the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// In requests to a URL.
    Http,
    /// On a connection by themselves; the port where none is said.
    Tcp {
        /// What its receivers listen on.
        port: u16,
    },
    /// As lines of a file.
    File,
    /// As lines of standard output.
    Stdout,
}

/// What a receiver takes in one body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Samples, or records.
    pub samples: u64,
    /// Bytes, as sent.
    pub bytes: usize,
}

impl Limits {
    /// A payload is one body, however large.
    pub const NONE: Limits = Limits { samples: u64::MAX, bytes: usize::MAX };
}

/// How a format's receivers are reached, as far as its own settings say something of that.
#[derive(Debug, Default, PartialEq)]
pub struct Reach {
    /// Where they are, where the destination says nothing else.
    pub endpoint: Option<String>,
    /// Where those of records are then; none: at the same place.
    pub records_endpoint: Option<String>,
    /// The path that they have behind an endpoint, unless that ends so; none: what [`Format::path`] says.
    pub path: Option<&'static str>,
    /// What they are told in the query, behind what the endpoint has there: names, and values as they are.
    pub query: Vec<(&'static str, String)>,
    /// What may be set instead of an endpoint, for one who has done neither; empty: nothing.
    pub or_else: &'static str,
    /// What it takes to be let in.
    pub key: Option<Shown>,
}

/// A secret that goes with each request, and where.
#[derive(Debug, PartialEq)]
pub struct Shown {
    /// The secret, or the file that holds it.
    pub key: Key,
    /// The object of its fields, in the destination's.
    pub object: &'static str,
    /// The field of the secret itself, and that of its file.
    pub fields: [&'static str; 2],
    /// The header's name, in lower case.
    pub header: &'static str,
    /// What stands before it in the header.
    pub before: &'static str,
    /// What an operator is told where it is refused.
    pub remedy: &'static str,
}

/// For formats that have no such settings.
pub fn as_given(_: &Options, _: Option<&str>, _: &mut Notes) -> Reach {
    Reach::default()
}

/// An answer to a request, as far as a format may read it.
pub struct Answered<'a> {
    /// Its status.
    pub status: u16,
    /// The value of a header, by its name in any case.
    pub header: &'a dyn Fn(&str) -> Option<&'a str>,
    /// The first bytes of its body.
    pub body: &'a [u8],
    /// The body of the request.
    pub sent: &'a [u8],
}

/// What an answer says of the samples that its receiver has written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// Nothing, and nothing is to be concluded from that.
    Unsaid,
    /// So many.
    Samples(u64),
    /// All but so many, and what it says of that, which may be no more than a warning.
    AllBut(u64, String),
    /// The same, though the status is that of a refusal: all but so many are there.
    InPart(u64, String),
    /// Nothing, though the request was one whose receivers have to say it: it was taken for
    /// something else. What that shows, for an operator.
    Missing(&'static str),
}

/// For formats whose receivers say nothing but their status.
pub fn nothing_said(_: &Content, _: &Answered<'_>) -> Written {
    Written::Unsaid
}
