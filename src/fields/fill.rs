//! An object's way into its settings: each value checked against its field, then set.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::notes::{Fault, Notes, any_of};
use super::{Done, Field, Fields, Held, Info, Inner, Part, Range, Shape, Table, Takes, duration};

/// Settings that are being filled from an object, whatever their type.
pub trait Fill {
    /// Sets the field `name`, one of the table's, to what was written, or takes a piece of it.
    fn set(&mut self, name: &str, piece: Piece<'_>) -> Done;
    /// What the object in the field `name` fills; of a list, a new one. None where it takes no object.
    fn open(&mut self, name: &str) -> Option<Box<dyn Fill + '_>>;
    /// Says what concerns several fields.
    fn check(&mut self, notes: &mut Notes);
}

/// What is set at once.
#[derive(Clone, Debug)]
pub enum Piece<'v> {
    /// A value.
    One(Scalar<'v>),
    /// A list begins.
    List,
    /// A list's next item.
    Item(Scalar<'v>),
    /// A member of an object of strings.
    Member(&'v str, Scalar<'v>),
    /// A member whose value a file holds.
    MemberFile(&'v str, String),
}

/// A value that holds no other.
#[derive(Clone, Debug)]
pub enum Scalar<'v> {
    /// `true` or `false`.
    Bool(bool),
    /// A number as it was written.
    Number(&'v str),
    /// A string, its variables replaced.
    Text(String),
    /// Something else.
    Other,
}

impl Info {
    /// Whether `value` is what Go has where nothing was given: an empty string, or a 0. Where the field cannot have it,
    /// it means the default, as it did in the first metricsd.
    pub fn is_nothing(&self, value: &Scalar<'_>) -> bool {
        match (self.shape, value) {
            _ if self.is_credential || self.is_secret => false,
            (Shape::Text, Scalar::Text(text)) => text.is_empty(),
            (Shape::Whole | Shape::Number | Shape::Duration, Scalar::Number(number)) => {
                number.parse::<f64>().is_ok_and(|number| number == 0.0)
            }
            (Shape::Duration, Scalar::Text(text)) => {
                text.is_empty() || duration::parse(text).is_some_and(|wait| wait.is_zero())
            }
            _ => false,
        }
    }
}

impl Info {
    /// What `pattern` was most likely meant to be, where this takes regular expressions and it looks like a glob: a `*`
    /// stands behind what a name is made of.
    pub fn instead_of_glob(&self, pattern: &str) -> Option<String> {
        if !matches!(self.range, Range::Patterns) {
            return None;
        }
        let mut meant = String::with_capacity(pattern.len() + 1);
        let (mut before, mut in_class) = (None, false);
        for c in pattern.chars() {
            // In `[a*]` it is a character, and in `\d*` what is before it is a class.
            let is_glob = c == '*' && !in_class && before.is_some_and(is_of_a_name) && !ends_with_escape(&meant);
            if is_glob {
                meant.push('.');
            }
            in_class = (in_class || c == '[') && c != ']';
            meant.push(c);
            before = Some(c);
        }
        (meant != pattern).then_some(meant)
    }
}

fn is_of_a_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '/' | ':' | '@')
}

/// Whether the last character of `pattern` is escaped.
fn ends_with_escape(pattern: &str) -> bool {
    let Some((at, _)) = pattern.char_indices().next_back() else { return false };
    pattern[..at].bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

impl<S, T> Part<S> for Inner<S, T> {
    fn fields(&self) -> &'static dyn Fields {
        self.table
    }

    fn open<'s>(&self, whole: &'s mut S) -> Box<dyn Fill + 's> {
        Box::new(self.table.fill((self.of)(whole)))
    }

    fn open_field<'s>(&self, whole: &'s mut S, name: &str) -> Option<Box<dyn Fill + 's>> {
        self.table.open(name, (self.of)(whole))
    }
}

impl<S> Table<S> {
    /// To fill `into`.
    pub fn fill<'s>(&'static self, into: &'s mut S) -> impl Fill + 's {
        Filling { table: self, into }
    }

    /// What the object in the field `name` of `whole` fills.
    fn open<'s>(&self, name: &str, whole: &'s mut S) -> Option<Box<dyn Fill + 's>> {
        match self.field(name)?.takes {
            Takes::Object(part) | Takes::Objects(part) => Some(part.open(whole)),
            Takes::Flat(part) => part.open_field(whole, name),
            _ => None,
        }
    }

    /// The field that `name` is, or among whose fields it is.
    fn field(&self, name: &str) -> Option<&'static Field<S>> {
        let is_it = |field: &&'static Field<S>| match field.takes {
            Takes::Flat(part) => part.fields().infos().iter().any(|info| info.name == name),
            _ => field.name == name,
        };
        (self.fields)().into_iter().find(is_it)
    }
}

/// An `S` with its fields.
struct Filling<'s, S: 'static> {
    table: &'static Table<S>,
    into: &'s mut S,
}

impl<S> Fill for Filling<'_, S> {
    fn set(&mut self, name: &str, piece: Piece<'_>) -> Done {
        match self.table.field(name) {
            Some(Field { takes: Takes::Flat(part), .. }) => part.open(self.into).set(name, piece),
            Some(field) => field.takes.set(self.into, piece),
            None => Err(Fault::new("unknown field")),
        }
    }

    fn open(&mut self, name: &str) -> Option<Box<dyn Fill + '_>> {
        self.table.open(name, self.into)
    }

    fn check(&mut self, notes: &mut Notes) {
        for field in (self.table.fields)() {
            if let Takes::Flat(part) = field.takes {
                part.open(self.into).check(notes);
            }
        }
        (self.table.check)(self.into, notes);
    }
}

impl<S> Takes<S> {
    /// Checks `piece` and sets it.
    fn set(&self, into: &mut S, piece: Piece<'_>) -> Done {
        let (shape, range) = self.kind();
        match (self, checked(shape, range, piece)?) {
            (Takes::Bool(set), Checked::Bool(value)) => set(into, value),
            (Takes::Whole(_, set), Checked::Whole(number)) => set(into, number),
            (Takes::Number(_, set), Checked::Number(number)) => set(into, number),
            (Takes::Duration(_, set), Checked::Duration(wait)) => set(into, wait),
            (Takes::Word(_, set), Checked::Word(at)) => set(into, at),
            (Takes::Text(set), Checked::Text(text)) => return set(into, text),
            (Takes::Texts(begin, _) | Takes::Patterns(begin, _), Checked::List) => begin(into),
            (Takes::Texts(_, push) | Takes::Patterns(_, push), Checked::Text(text)) => return push(into, text),
            (Takes::Numbers(_, begin, _), Checked::List) => begin(into),
            (Takes::Numbers(_, _, push), Checked::Number(number)) => return push(into, number),
            (Takes::Map(put), Checked::Member(name, Held::Here(text))) => return put(into, name, text),
            (Takes::Secrets(put), Checked::Member(name, value)) => return put(into, name, value),
            _ => return Err(no_such_piece()),
        }
        Ok(())
    }
}

/// What was written, as its field takes it.
enum Checked<'v> {
    Bool(bool),
    Whole(u64),
    Number(f64),
    Duration(Duration),
    Word(usize),
    Text(String),
    List,
    Member(&'v str, Held),
}

/// `piece` as a field of this shape and range takes it. It knows no settings' type, so that there is one of it.
fn checked<'v>(shape: Shape, range: Range, piece: Piece<'v>) -> Result<Checked<'v>, Fault> {
    let value = match (shape, piece) {
        (_, Piece::One(value)) => value,
        (Shape::Texts | Shape::Numbers, Piece::List) => return Ok(Checked::List),
        (Shape::Texts, Piece::Item(item)) => return text(item).map(Checked::Text),
        (Shape::Numbers, Piece::Item(item)) => return of_list(range, &item).map(Checked::Number),
        (Shape::Map | Shape::Secrets, Piece::Member(name, value)) => {
            return Ok(Checked::Member(name, Held::Here(text(value)?)));
        }
        (Shape::Secrets, Piece::MemberFile(name, path)) => return Ok(Checked::Member(name, Held::InFile(path))),
        _ => return Err(no_such_piece()),
    };
    Ok(match (shape, range) {
        (Shape::Bool, _) => match value {
            Scalar::Bool(value) => Checked::Bool(value),
            _ => return Err(Fault::expected("true or false")),
        },
        (Shape::Whole, Range::Whole(from, to)) => Checked::Whole(whole(&(from..=to), &value)?),
        (Shape::Number, Range::Number(from, to)) => Checked::Number(number(&(from..=to), &value)?),
        (Shape::Duration, Range::Duration(from, to)) => Checked::Duration(wait(&(from..=to), &value)?),
        (Shape::Text, Range::Words(words)) => Checked::Word(word(words, &text(value)?)?),
        (Shape::Text, _) => Checked::Text(text(value)?),
        (Shape::Texts | Shape::Numbers | Shape::Objects, _) => return Err(Fault::expected("a list")),
        _ => return Err(Fault::expected("an object")),
    })
}

/// `config` gives a field the pieces of its shape.
fn no_such_piece() -> Fault {
    Fault::expected("something else")
}

fn text(value: Scalar<'_>) -> Result<String, Fault> {
    match value {
        Scalar::Text(text) => Ok(text),
        _ => Err(Fault::expected("a string")),
    }
}

fn whole(range: &RangeInclusive<u64>, value: &Scalar<'_>) -> Result<u64, Fault> {
    let number = match value {
        Scalar::Number(number) => whole_number(number).filter(|number| range.contains(number)),
        _ => None,
    };
    number.ok_or_else(|| Fault::expected(format!("a whole number from {} to {}", range.start(), range.end())))
}

fn number(range: &RangeInclusive<f64>, value: &Scalar<'_>) -> Result<f64, Fault> {
    let number = match value {
        Scalar::Number(number) => number.parse().ok().filter(|number| range.contains(number)),
        _ => None,
    };
    number.ok_or_else(|| Fault::expected(format!("a number from {} to {}", range.start(), range.end())))
}

fn of_list(range: Range, value: &Scalar<'_>) -> Result<f64, Fault> {
    match range {
        Range::Number(from, to) => number(&(from..=to), value),
        _ => Err(Fault::expected("a number")),
    }
}

fn word(words: &'static [&'static str], text: &str) -> Result<usize, Fault> {
    let found = words.iter().position(|word| *word == text);
    found.ok_or_else(|| Fault::expected(any_of(words)).near(text, words.iter().copied()))
}

/// A duration of `range` in words, for a setter that takes words of its own besides.
pub fn duration_of(range: &RangeInclusive<Duration>, text: String) -> Result<Duration, Fault> {
    wait(range, &Scalar::Text(text))
}

fn wait(range: &RangeInclusive<Duration>, value: &Scalar<'_>) -> Result<Duration, Fault> {
    let wait = match value {
        Scalar::Number(number) => whole_number(number).map(Duration::from_nanos),
        Scalar::Text(text) => duration::parse(text),
        _ => None,
    };
    let Some(wait) = wait else {
        return Err(Fault::expected("a duration such as \"30s\", \"1m30s\" or \"250ms\", or a number of nanoseconds"));
    };
    if range.contains(&wait) {
        return Ok(wait);
    }
    let fault = Fault::expected(format!("a duration from {} to {}", in_units(*range.start()), in_units(*range.end())));
    Err(match value {
        Scalar::Number(number) if wait < *range.start() => {
            fault.after(format!("; a number is nanoseconds, for seconds write \"{number}s\""))
        }
        _ => fault,
    })
}

/// A bound in its largest unit that needs no fraction.
fn in_units(bound: Duration) -> String {
    let (seconds, nanos) = (bound.as_secs(), bound.subsec_nanos());
    match (seconds, nanos) {
        (0, nanos) => format!("{}ms", nanos / 1_000_000),
        (seconds, _) if seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        (seconds, _) => format!("{seconds}s"),
    }
}

/// A number without a fraction; `8.08e3` is one too, as far as floats are exact.
fn whole_number(number: &str) -> Option<u64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    number.parse().ok().or_else(|| {
        let float: f64 = number.parse().ok()?;
        (float.fract() == 0.0 && (0.0..=EXACT).contains(&float)).then_some(float as u64)
    })
}
