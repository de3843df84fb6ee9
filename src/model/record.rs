//! Records: log lines and events, and what an application says beside.

use std::sync::Arc;

use super::{Labels, Resource};

/// A log line, or an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// When it happened, in nanoseconds since the UNIX epoch; none where nobody says.
    pub time_ns: Option<u64>,
    /// When it was seen first, in nanoseconds since the UNIX epoch.
    pub observed_ns: u64,
    /// How grave it is, in its source's word; empty where nobody says.
    pub severity: Box<str>,
    /// The same as OTLP's number, 1 (trace) to 24 (fatal); 0 where nobody says.
    pub severity_number: u8,
    /// What it says: a text nearly always.
    pub message: Value,
    /// Who gave it.
    pub source: Arc<str>,
    /// What is known of it besides.
    pub attributes: Vec<Attribute>,
    /// What it is found by.
    pub labels: Labels,
    /// The message was longer than it may be, and is cut.
    pub truncated: bool,
    /// The application that sent it; none: it is of the host.
    pub origin: Option<Arc<Origin>>,
    /// The trace that it belongs to.
    pub trace_id: Option<[u8; 16]>,
    /// The span of that trace.
    pub span_id: Option<[u8; 8]>,
    /// OTLP's flags: those of the trace, in the lowest byte.
    pub flags: u32,
    /// Of an event: which one. Empty: it is none.
    pub event: Box<str>,
    /// Attributes that its application has left out.
    pub dropped_attributes: u32,
}

/// A key and its value.
pub type Attribute = (Box<str>, Value);

/// A value, as OTLP has them.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// None.
    #[default]
    Empty,
    /// Text.
    Text(Box<str>),
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Double(f64),
    /// Bytes that are no text.
    Bytes(Box<[u8]>),
    /// Values in order.
    List(Vec<Value>),
    /// Values by key.
    Map(Vec<Attribute>),
}

/// An application that sends records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Application {
    /// What it says of itself.
    pub attributes: Vec<Attribute>,
    /// By which version of the conventions these are named; empty where it does not say.
    pub schema: Box<str>,
}

/// The part of an application that wrote records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Origin {
    /// The application.
    pub application: Arc<Application>,
    /// What the part is called: a library, a logger; empty where it does not say.
    pub scope: Box<str>,
    /// Its version.
    pub version: Box<str>,
    /// What it says of itself.
    pub attributes: Vec<Attribute>,
    /// By which version of the conventions it names what it says; empty where it does not say.
    pub schema: Box<str>,
}

/// Records that came together. Shared by all destinations, changed by none.
#[derive(Clone, Debug)]
pub struct Records {
    /// When they came: milliseconds since the UNIX epoch, wall clock.
    pub time_ms: i64,
    /// The host that they came to.
    pub resource: Arc<Resource>,
    /// The records, in the order in which they came.
    pub records: Vec<Record>,
}

impl Value {
    /// A text.
    pub fn text(text: impl Into<Box<str>>) -> Value {
        Value::Text(text.into())
    }

    /// The text, where it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// About what it takes in memory beside itself, in bytes.
    fn weight(&self) -> usize {
        match self {
            Value::Empty | Value::Bool(_) | Value::Int(_) | Value::Double(_) => 0,
            Value::Text(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            Value::List(all) => all.iter().map(|one| size_of::<Value>() + one.weight()).sum(),
            Value::Map(all) => weight(all),
        }
    }
}

/// About what these take in memory, in bytes.
fn weight(attributes: &[Attribute]) -> usize {
    attributes.iter().map(|(key, value)| size_of::<Attribute>() + key.len() + value.weight()).sum()
}

impl Record {
    /// About what it takes in memory, in bytes; also about what it takes in a request.
    pub fn weight(&self) -> usize {
        let texts = self.severity.len() + self.event.len();
        size_of::<Record>() + texts + self.message.weight() + weight(&self.attributes)
    }
}
