//! Reading an object field by field: each reader says what it expected and what it got,
//! notes the problem, and lets the reading go on.

use std::cell::RefCell;
use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::fields::Table;
use super::json::{Data, Entry, Origin, Value};
use super::problem::{Path, Problem, Problems, line_and_column, quoted};
use super::{Env, expand};
use crate::fields::duration;
use crate::nearest::did_you_mean;

/// Shortest wait that can be asked for. A number is nanoseconds, so one below this was
/// almost certainly meant as seconds.
const MIN_WAIT: Duration = Duration::from_millis(1);

/// Longest wait that can be asked for.
const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Ten years.
const MAX_AGE: Duration = Duration::from_secs(87_600 * 3600);

/// What all readers share: the text, the environment, and what was noticed so far.
pub(super) struct Context<'a> {
    /// The file as the operator named it.
    pub file: &'a str,
    pub text: &'a str,
    pub env: Env<'a>,
    problems: RefCell<Problems>,
    warnings: RefCell<Problems>,
}

impl<'a> Context<'a> {
    pub fn new(file: &'a str, text: &'a str, env: Env<'a>) -> Context<'a> {
        Context { file, text, env, problems: RefCell::default(), warnings: RefCell::default() }
    }

    /// Notes a problem with what stands at `origin`.
    pub fn problem(&self, origin: Origin, path: &Path, message: impl Into<String>) {
        self.problems.borrow_mut().add(|| self.note(origin, path, message));
    }

    /// Notes something that is accepted, but that the operator should know.
    pub fn warning(&self, origin: Origin, path: &Path, message: impl Into<String>) {
        self.warnings.borrow_mut().add(|| self.note(origin, path, message));
    }

    fn note(&self, origin: Origin, path: &Path, message: impl Into<String>) -> Problem {
        let (source, place) = match origin {
            Origin::File(at) => (self.file.to_owned(), Some(line_and_column(self.text, at))),
            Origin::Variable(name) => (name.to_owned(), None),
        };
        Problem { source, place, path: path.to_string(), message: message.into() }
    }

    /// The warnings, or the problems if there are any.
    pub fn finish(self) -> Result<Vec<String>, Problems> {
        let mut problems = self.problems.into_inner();
        problems.sort();
        let mut warnings = self.warnings.into_inner();
        warnings.sort();
        if problems.is_empty() { Ok(warnings.into_lines()) } else { Err(problems) }
    }
}

/// An object that is being read against its table. One that is not there reads as empty.
pub(super) struct Section<'v> {
    pub cx: &'v Context<'v>,
    table: &'static Table,
    entries: &'v [Entry<'v>],
    pub origin: Origin,
    pub path: Path,
}

impl<'v> Section<'v> {
    /// Opens the object `value`, or an empty one if it is something else. Notes unknown and double fields.
    pub fn open(cx: &'v Context<'v>, value: &'v Value<'v>, path: Path, table: &'static Table) -> Section<'v> {
        let item = Item { cx, value, path };
        let entries = item.entries().unwrap_or_default();
        for entry in entries {
            let key = entry.key.as_ref();
            if table.names().any(|name| name == key) {
                continue;
            }
            let message = if table.later.contains(&key) {
                "not available in this version".to_owned()
            } else {
                format!("unknown field{}", did_you_mean(key, table.names()))
            };
            cx.problem(entry.key_origin, &item.path.key(key), message);
        }
        Section { cx, table, entries, origin: value.origin, path: item.path }
    }

    /// The field `name`, if it is given; `null` counts as not given.
    pub fn get(&self, name: &'static str) -> Option<Item<'v>> {
        debug_assert!(self.table.names().any(|known| known == name), "{name} is in no table");
        let entry = self.entries.iter().find(|entry| entry.key == name)?;
        (!entry.value.is_null()).then(|| Item { cx: self.cx, value: &entry.value, path: self.path.key(name) })
    }

    /// Puts the field `name` in `into`, if it is given and `read` can make something of it.
    pub fn read<T>(&self, name: &'static str, into: &mut T, read: impl FnOnce(&Item<'v>) -> Option<T>) {
        if let Some(value) = self.get(name).and_then(|item| read(&item)) {
            *into = value;
        }
    }

    /// The text in the field `name` if it is given; an empty string is what Go's default looks like, so it
    /// counts as none.
    pub fn given_text(&self, name: &'static str) -> Option<(Item<'v>, String)> {
        let item = self.get(name)?;
        let text = item.text().filter(|text| !text.is_empty())?;
        Some((item, text))
    }

    /// The file that the field `name` names, likewise.
    pub fn file(&self, name: &'static str) -> Option<PathBuf> {
        self.given_text(name).map(|(_, file)| PathBuf::from(file))
    }

    /// The object in the field `name`, empty if it is not given.
    pub fn section(&self, name: &'static str, table: &'static Table) -> Section<'v> {
        match self.get(name) {
            Some(item) => Section::open(self.cx, item.value, item.path, table),
            None => Section { cx: self.cx, table, entries: &[], origin: self.origin, path: self.path.key(name) },
        }
    }

    /// Notes a problem with the object as a whole.
    pub fn problem(&self, message: impl Into<String>) {
        self.cx.problem(self.origin, &self.path, message);
    }
}

/// A value that is there, on its way to a type.
#[derive(Clone)]
pub(super) struct Item<'v> {
    pub cx: &'v Context<'v>,
    pub value: &'v Value<'v>,
    pub path: Path,
}

impl<'v> Item<'v> {
    /// Notes a problem with this value.
    pub fn problem(&self, message: impl Into<String>) {
        self.cx.problem(self.value.origin, &self.path, message);
    }

    /// Notes a warning about this value.
    pub fn warning(&self, message: impl Into<String>) {
        self.cx.warning(self.value.origin, &self.path, message);
    }

    /// `true` or `false`.
    pub fn bool(&self) -> Option<bool> {
        match self.value.data {
            Data::Bool(value) => Some(value),
            _ => self.expected("true or false"),
        }
    }

    /// A whole number in `range`.
    pub fn whole(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let number = match &self.value.data {
            Data::Number(number) => whole_number(number).filter(|number| range.contains(number)),
            _ => None,
        };
        number.or_else(|| self.expected(&format!("a whole number from {} to {}", range.start(), range.end())))
    }

    /// A number in `range`, fractions included.
    pub fn number(&self, range: RangeInclusive<f64>) -> Option<f64> {
        let number = match &self.value.data {
            Data::Number(number) => number.parse().ok().filter(|number| range.contains(number)),
            _ => None,
        };
        number.or_else(|| self.expected(&format!("a number from {} to {}", range.start(), range.end())))
    }

    /// A wait: a number of nanoseconds or a string as Go writes durations.
    pub fn duration(&self) -> Option<Duration> {
        self.duration_up_to(MAX_WAIT, "24h")
    }

    /// The same for how old something may become.
    pub fn age(&self) -> Option<Duration> {
        self.duration_up_to(MAX_AGE, "87600h")
    }

    fn duration_up_to(&self, max: Duration, max_text: &str) -> Option<Duration> {
        let wait = match &self.value.data {
            Data::Number(number) => whole_number(number).map(Duration::from_nanos),
            Data::Text(_) => duration::parse(&self.text()?),
            _ => None,
        };
        let Some(wait) = wait else {
            return self.expected("a duration such as \"30s\", \"1m30s\" or \"250ms\", or a number of nanoseconds");
        };
        if wait >= MIN_WAIT && wait <= max {
            return Some(wait);
        }
        let hint = match &self.value.data {
            Data::Number(number) if wait < MIN_WAIT => {
                format!("; a number is nanoseconds, for seconds write \"{number}s\"")
            }
            _ => String::new(),
        };
        self.problem(format!("expected a duration from 1ms to {max_text}, got {}{hint}", self.described()));
        None
    }

    /// A string, its variables replaced.
    pub fn text(&self) -> Option<String> {
        let Data::Text(text) = &self.value.data else { return self.expected("a string") };
        // What comes from a variable is taken as it is: a `${` in it is nobody's reference.
        if matches!(self.value.origin, Origin::Variable(_)) {
            return Some(text.clone().into_owned());
        }
        expand::expand(text, self.cx.env).map_err(|message| self.problem(message)).ok().map(Into::into)
    }

    /// One of the words in `known`, by its place there.
    pub fn word(&self, known: &[&str]) -> Option<usize> {
        let text = self.text()?;
        let found = known.iter().position(|word| *word == text);
        if found.is_none() {
            let nearest = did_you_mean(&text, known.iter().copied());
            self.problem(format!("expected {}, got {}{nearest}", any_of(known), self.described()));
        }
        found
    }

    /// The items of a list.
    pub fn list(&self) -> Option<Vec<Item<'v>>> {
        let Data::List(items) = &self.value.data else { return self.expected("a list") };
        let item = |(i, value)| Item { cx: self.cx, value, path: self.path.index(i) };
        Some(items.iter().enumerate().map(item).collect())
    }

    /// The members of a map of strings, those that can be read.
    pub fn map(&self) -> Vec<(Item<'v>, String, String)> {
        let entries = self.entries().unwrap_or_default();
        let member = |entry: &'v Entry<'v>| {
            let item = Item { cx: self.cx, value: &entry.value, path: self.path.key(&entry.key) };
            let text = item.text()?;
            Some((item, entry.key.to_string(), text))
        };
        entries.iter().filter_map(member).collect()
    }

    /// The members of an object whose keys are the operator's own.
    pub fn members(&self) -> Vec<(String, Item<'v>)> {
        let entries = self.entries().unwrap_or_default();
        let item = |entry: &'v Entry<'v>| Item { cx: self.cx, value: &entry.value, path: self.path.key(&entry.key) };
        entries.iter().map(|entry| (entry.key.to_string(), item(entry))).collect()
    }

    /// Whether it is one.
    pub fn is_object(&self) -> bool {
        matches!(self.value.data, Data::Object(_))
    }

    /// An object's entries; notes double keys.
    fn entries(&self) -> Option<&'v [Entry<'v>]> {
        let Data::Object(entries) = &self.value.data else { return self.expected("an object") };
        let mut seen = HashSet::new();
        for entry in entries.iter().filter(|entry| !seen.insert(entry.key.as_ref())) {
            self.cx.problem(entry.key_origin, &self.path.key(&entry.key), "given twice in the same object");
        }
        Some(entries)
    }

    /// Notes that this is not `what`.
    pub fn expected<T>(&self, what: &str) -> Option<T> {
        self.problem(format!("expected {what}, got {}", self.described()));
        None
    }

    /// The value as it was written: never with variables replaced, which may be secrets, nor
    /// where a secret stands.
    pub fn described(&self) -> String {
        match &self.value.data {
            Data::Number(_) if self.path.is_secret() => "a number".to_owned(),
            Data::Text(_) if self.path.is_secret() => "a string".to_owned(),
            Data::Null => "null".to_owned(),
            Data::Bool(value) => value.to_string(),
            // Digits alone can make a line long, so numbers are cut as well.
            Data::Number(number) => quoted(number).trim_matches('"').to_owned(),
            Data::Text(text) => quoted(text),
            Data::List(_) => "a list".to_owned(),
            Data::Object(_) => "an object".to_owned(),
        }
    }
}

/// `"a", "b" or "c"`.
pub(super) fn any_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
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
