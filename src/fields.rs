//! What a field of the configuration is: name, type, range, default, sentence and setter, in
//! one place, beside the settings that it sets.
//!
//! A settings type has a [`Table`] of [`Field`]s. `config` lays what was written against it:
//! unknown names, wrong types and values out of range are refused there, with their place, and
//! so is what a setter refuses ([`Fault`]). What concerns several fields is said by the table's
//! `check`, or later ([`Notes`]). The documentation's tables come from the same fields ([`rows`]).
//!
//! ```text
//! static FIELDS: [Field<Settings>; 2] = [
//!     Field::new("port", Takes::Whole(1..=65535, |s, port| s.port = port as u16), DefaultValue::Whole(8080), "Where."),
//!     Field::new("tls", Takes::Object(&Inner { table: &tls::TABLE, of: |s| &mut s.tls }), DefaultValue::EmptyMap, ""),
//! ];
//! pub static TABLE: Table<Settings> = Table::new(|| FIELDS.iter().collect());
//! ```

mod docs;
pub(crate) mod duration;
mod fill;
mod notes;
#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;
use std::time::Duration;

pub use docs::{Row, Variable, rows, variables};
pub use fill::{Fill, Piece, Scalar, duration_of};
pub use notes::{Fault, Note, Notes, Severity, Step, any_of};

/// Shortest wait that can be asked for. A number is nanoseconds, so one below this was
/// almost certainly meant as seconds.
const MIN_WAIT: Duration = Duration::from_millis(1);

/// What a wait (a timeout, a pause) may be.
pub const WAIT: RangeInclusive<Duration> = MIN_WAIT..=Duration::from_secs(24 * 3600);

/// What the age of something that is kept may be: up to ten years.
pub const AGE: RangeInclusive<Duration> = MIN_WAIT..=Duration::from_secs(87_600 * 3600);

/// What a setter that may refuse gives back.
pub type Done = Result<(), Fault>;

/// The fields of an object that fills an `S`.
pub struct Table<S: 'static> {
    fields: fn() -> Vec<&'static Field<S>>,
    check: fn(&S, &mut Notes),
}

impl<S> Table<S> {
    /// A table of these fields, in the order of the documentation. They may come from several lists,
    /// as those of a table of collectors do.
    pub const fn new(fields: fn() -> Vec<&'static Field<S>>) -> Table<S> {
        Table { fields, check: |_, _| {} }
    }

    /// The same, with what is to be said once all fields are set.
    pub const fn checked(fields: fn() -> Vec<&'static Field<S>>, check: fn(&S, &mut Notes)) -> Table<S> {
        Table { fields, check }
    }
}

/// A field of an object that fills an `S`.
pub struct Field<S: 'static> {
    name: &'static str,
    takes: Takes<S>,
    default: DefaultValue,
    doc: &'static str,
    variable: Option<&'static str>,
    is_secret: bool,
    is_credential: bool,
    is_alike: bool,
}

impl<S> Field<S> {
    /// Its name in the object.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// A field. `doc` is one sentence for operators, with code between backticks; an object's
    /// fields speak for it, so it may have none.
    pub const fn new(name: &'static str, takes: Takes<S>, default: DefaultValue, doc: &'static str) -> Field<S> {
        Field { name, takes, default, doc, variable: None, is_secret: false, is_credential: false, is_alike: false }
    }

    /// The fields of another table as if they stood in this one.
    pub const fn all_of(part: &'static dyn Part<S>) -> Field<S> {
        Field::new("", Takes::Flat(part), DefaultValue::EmptyMap, "")
    }

    /// The variable of the environment that is laid over what was written.
    pub const fn variable(mut self, name: &'static str) -> Field<S> {
        self.variable = Some(name);
        self
    }

    /// No message quotes what stands here or below.
    pub const fn secret(mut self) -> Field<S> {
        self.is_secret = true;
        self
    }

    /// An object whose fields the documentation tells of where another one has them.
    pub const fn alike(mut self) -> Field<S> {
        self.is_alike = true;
        self
    }

    /// It is a part of credentials, as each secret is. An empty one is refused, and not taken for one that is not given:
    /// that would leave open what somebody meant to close.
    pub const fn credential(mut self) -> Field<S> {
        self.is_credential = true;
        self
    }
}

/// What a field's value may be, and where it goes. `null` counts as not given, so no setter sees it.
/// In strings, `${NAME}` is replaced already.
pub enum Takes<S: 'static> {
    /// `true` or `false`.
    Bool(fn(&mut S, bool)),
    /// A whole number of this range.
    Whole(RangeInclusive<u64>, fn(&mut S, u64)),
    /// A number of this range, fractions included.
    Number(RangeInclusive<f64>, fn(&mut S, f64)),
    /// A duration of this range ([`WAIT`], [`AGE`]): a string as Go writes them, or a number of nanoseconds.
    Duration(RangeInclusive<Duration>, fn(&mut S, Duration)),
    /// One of these words; the setter gets its place among them.
    Word(&'static [&'static str], fn(&mut S, usize)),
    /// A string.
    Text(fn(&mut S, String) -> Done),
    /// A list of strings: what is to be done first (a list that is given takes the place of the default one),
    /// and with each of them.
    Texts(fn(&mut S), fn(&mut S, String) -> Done),
    /// A list of numbers of this range: what is to be done first, and with each of them.
    Numbers(RangeInclusive<f64>, fn(&mut S), fn(&mut S, f64) -> Done),
    /// A list of regular expressions, each for the whole of a name.
    Patterns(fn(&mut S), fn(&mut S, String) -> Done),
    /// An object of strings whose names are the operator's own.
    Map(fn(&mut S, &str, String) -> Done),
    /// The same; the value may also be `{"file": "/path"}`, and stand in that file.
    Secrets(fn(&mut S, &str, Held) -> Done),
    /// An object with fields of its own.
    Object(&'static dyn Part<S>),
    /// A list of such objects.
    Objects(&'static dyn Part<S>),
    /// The fields of a table as if they stood here; see [`Field::all_of`].
    Flat(&'static dyn Part<S>),
}

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// In the configuration.
    Here(String),
    /// In the file of this path.
    InFile(String),
}

/// What stands for a field that is not given; the documentation prints it as JSON.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DefaultValue {
    /// It has to be given.
    Required,
    /// `null`; the sentence says what it means.
    Null,
    /// An object without members.
    EmptyMap,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Whole(u64),
    /// A number.
    Number(f64),
    /// A string.
    Text(&'static str),
    /// A list of strings. An empty one stands for an empty list of anything.
    Texts(&'static [&'static str]),
    /// A list of numbers.
    Numbers(&'static [f64]),
}

/// A part of an `S` that an object fills, whatever its own type.
pub trait Part<S>: Sync {
    /// Its fields.
    fn fields(&self) -> &'static dyn Fields;
    /// The part of `whole` to be filled. Where it is one of a list, a new one.
    fn open<'s>(&self, whole: &'s mut S) -> Box<dyn Fill + 's>;
    /// What the object in its field `name` fills; none where that takes no object.
    fn open_field<'s>(&self, whole: &'s mut S, name: &str) -> Option<Box<dyn Fill + 's>>;
}

/// The part of an `S` that fills a `T`.
pub struct Inner<S: 'static, T: 'static> {
    /// Its fields.
    pub table: &'static Table<T>,
    /// Where it is. For a list: pushes a new one.
    pub of: fn(&mut S) -> &mut T,
}

/// The fields of a table, whatever they set.
pub trait Fields: Sync {
    /// What there is to know about each, in the order of the documentation.
    fn infos(&self) -> Vec<Info>;
}

/// A field, but for its setter.
#[derive(Clone, Copy)]
pub struct Info {
    /// Its name in the object.
    pub name: &'static str,
    /// What kind of value it takes.
    pub shape: Shape,
    /// What stands for it where it is not given.
    pub default: DefaultValue,
    /// One sentence for operators.
    pub doc: &'static str,
    /// The variable of the environment that is laid over it.
    pub variable: Option<&'static str>,
    /// Whether it is never quoted.
    pub is_secret: bool,
    /// Whether an empty one is refused in any case; see [`Field::credential`].
    is_credential: bool,
    /// Which values of that kind.
    range: Range,
    /// The fields of an object, or of each in a list of objects.
    pub inner: Option<&'static dyn Fields>,
    /// Whether other objects have the same fields, which the documentation tells of once.
    is_alike: bool,
}

/// A kind of value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `true` or `false`.
    Bool,
    /// A number without a fraction.
    Whole,
    /// Any number.
    Number,
    /// A string or a number of nanoseconds.
    Duration,
    /// A string.
    Text,
    /// A list of strings.
    Texts,
    /// A list of numbers.
    Numbers,
    /// An object of strings.
    Map,
    /// An object of strings, or places of them.
    Secrets,
    /// An object with fields.
    Object,
    /// A list of these.
    Objects,
}

/// Bounds, or a choice.
#[derive(Clone, Copy)]
enum Range {
    None,
    Whole(u64, u64),
    Number(f64, f64),
    Duration(Duration, Duration),
    Words(&'static [&'static str]),
    Patterns,
}

impl Info {
    /// The same field by another name, with another sentence: one of many that are alike.
    pub fn called(self, name: &'static str, doc: &'static str) -> Info {
        Info { name, doc, ..self }
    }

    /// An object with these fields, which speak for it. Others may have the same ones.
    pub fn object(name: &'static str, fields: &'static dyn Fields) -> Info {
        let (default, range) = (DefaultValue::EmptyMap, Range::None);
        let inner = Some(fields);
        Info {
            name,
            shape: Shape::Object,
            default,
            doc: "",
            variable: None,
            is_secret: false,
            is_credential: false,
            range,
            inner,
            is_alike: true,
        }
    }
}

impl<S> Fields for Table<S> {
    fn infos(&self) -> Vec<Info> {
        (self.fields)().into_iter().flat_map(Field::infos).collect()
    }
}

impl<S> Field<S> {
    /// What there is to know about it; of all fields where it stands for several.
    fn infos(&self) -> Vec<Info> {
        let inner = match &self.takes {
            Takes::Flat(part) => return part.fields().infos(),
            Takes::Object(part) | Takes::Objects(part) => Some(part.fields()),
            _ => None,
        };
        let (shape, range) = self.takes.kind();
        let Field { name, default, doc, variable, is_secret, is_credential, is_alike, .. } = *self;
        vec![Info { name, shape, default, doc, variable, is_secret, is_credential, range, inner, is_alike }]
    }
}

impl<S> Takes<S> {
    /// What kind of value, and which of them.
    fn kind(&self) -> (Shape, Range) {
        match self {
            Takes::Bool(_) => (Shape::Bool, Range::None),
            Takes::Whole(range, _) => (Shape::Whole, Range::Whole(*range.start(), *range.end())),
            Takes::Number(range, _) => (Shape::Number, Range::Number(*range.start(), *range.end())),
            Takes::Duration(range, _) => (Shape::Duration, Range::Duration(*range.start(), *range.end())),
            Takes::Word(words, _) => (Shape::Text, Range::Words(words)),
            Takes::Text(_) => (Shape::Text, Range::None),
            Takes::Texts(..) => (Shape::Texts, Range::None),
            Takes::Numbers(range, ..) => (Shape::Numbers, Range::Number(*range.start(), *range.end())),
            Takes::Patterns(..) => (Shape::Texts, Range::Patterns),
            Takes::Map(_) => (Shape::Map, Range::None),
            Takes::Secrets(_) => (Shape::Secrets, Range::None),
            Takes::Object(_) | Takes::Flat(_) => (Shape::Object, Range::None),
            Takes::Objects(_) => (Shape::Objects, Range::None),
        }
    }
}
