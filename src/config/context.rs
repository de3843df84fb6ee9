//! What was noticed while the configuration is read, each with its place.

use std::cell::RefCell;

use super::expand;
use super::json::{Data, Origin, Value};
use super::problem::{Path, Problem, Problems, line_and_column, quoted};
use crate::fields::{Fault, Fields, Note, Notes, Severity, Step};
use crate::http::Env;
use crate::nearest::did_you_mean;

/// The text, the environment, and what was noticed so far.
pub(super) struct Context<'a> {
    /// The file as the operator named it.
    file: &'a str,
    text: &'a str,
    pub env: Env<'a>,
    problems: RefCell<Problems>,
    warnings: RefCell<Problems>,
}

/// A value with the way to it.
#[derive(Clone)]
pub(super) struct Item<'v> {
    /// None: it is not there.
    pub value: Option<&'v Value<'v>>,
    /// Its own, or that of what it would be in.
    pub origin: Origin,
    pub path: Path,
    /// Whether it is never quoted.
    pub is_secret: bool,
}

impl<'v> Item<'v> {
    /// What is there.
    pub fn new(value: &'v Value<'v>, path: Path, is_secret: bool) -> Item<'v> {
        Item { value: Some(value), origin: value.origin, path, is_secret }
    }

    /// What is at `steps` from here, the fields of this object being `fields`.
    fn at(&self, steps: &[Step], fields: &dyn Fields) -> Item<'v> {
        let mut item = self.clone();
        let mut infos = Some(fields.infos());
        for step in steps {
            let data = item.value.map(|value| &value.data);
            let (path, value) = match (step, data) {
                (Step::Key(key), Some(Data::Object(entries))) => {
                    let entry = entries.iter().find(|entry| entry.key == *key);
                    (item.path.key(key), entry.map(|entry| &entry.value))
                }
                (Step::Index(at), Some(Data::List(items))) => (item.path.index(*at), items.get(*at)),
                (Step::Key(key), _) => (item.path.key(key), None),
                (Step::Index(at), _) => (item.path.index(*at), None),
            };
            // The members of a map are no fields, and what its field is they are.
            if let (Step::Key(key), Some(known)) = (step, &infos) {
                let info = known.iter().find(|info| info.name == key);
                item.is_secret = info.is_some_and(|info| info.is_secret);
                infos = info.and_then(|info| info.inner).map(|inner| inner.infos());
            }
            item = Item { value, origin: value.map_or(item.origin, |value| value.origin), path, ..item };
        }
        item
    }

    /// Whether the way of `steps` leads into an item of a list that is no object, `null` included.
    fn has_no_object_on(&self, steps: &[Step], fields: &dyn Fields) -> bool {
        let is_item = |length: &usize| matches!(steps[length - 1], Step::Index(_));
        (1..steps.len()).filter(is_item).any(|length| {
            let item = self.at(&steps[..length], fields);
            item.value.is_some_and(|value| !matches!(value.data, Data::Object(_)))
        })
    }

    /// The value as it was written: never with variables replaced, which may be secrets, nor
    /// where a secret stands.
    pub fn described(&self) -> String {
        let Some(value) = self.value else { return "nothing".to_owned() };
        match &value.data {
            Data::Number(_) if self.is_secret => "a number".to_owned(),
            Data::Text(_) if self.is_secret => "a string".to_owned(),
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

impl<'a> Context<'a> {
    pub fn new(file: &'a str, text: &'a str, env: Env<'a>) -> Context<'a> {
        Context { file, text, env, problems: RefCell::default(), warnings: RefCell::default() }
    }

    /// Notes a problem with what stands at `origin`.
    pub fn problem(&self, origin: Origin, path: &Path, message: impl Into<String>) {
        self.problems.borrow_mut().add(|| self.note(origin, path, message.into()));
    }

    /// Notes something that is accepted, but that the operator should know.
    pub fn warning(&self, origin: Origin, path: &Path, message: impl Into<String>) {
        self.warnings.borrow_mut().add(|| self.note(origin, path, message.into()));
    }

    /// Notes that `item` is refused.
    pub fn refuse(&self, item: &Item<'_>, fault: &Fault) {
        self.problem(item.origin, &item.path, in_words(item, fault));
    }

    /// Takes the notes on the object `item`, whose fields are `fields`.
    pub fn take(&self, notes: Notes, item: &Item<'_>, fields: &dyn Fields) {
        for Note { path: steps, variable, severity, fault } in notes.into_list() {
            let mut at = item.at(&steps, fields);
            at.origin = variable.map_or(at.origin, Origin::Variable);
            let path = at.path.to_string();
            let is_refused = |problem: &Problem| problem.path == path && variable.is_none_or(|v| v == problem.source);
            match severity {
                // An item of a list that is no object was refused as a whole.
                _ if item.has_no_object_on(&steps, fields) => {}
                Severity::Warning => self.warning(at.origin, &at.path, in_words(&at, &fault)),
                Severity::Problem if self.problems.borrow().iter().any(is_refused) => {}
                Severity::Lack(length) if self.is_refused_within(&item.at(&steps[..length], fields).path) => {}
                Severity::Problem | Severity::Lack(_) => self.refuse(&at, &fault),
            }
        }
    }

    /// Whether anything in what `path` leads to was refused.
    fn is_refused_within(&self, path: &Path) -> bool {
        let path = path.to_string();
        let is_within = |problem: &Problem| match problem.path.strip_prefix(&path) {
            Some(rest) => path.is_empty() || rest.is_empty() || rest.starts_with(['.', '[']),
            None => false,
        };
        self.problems.borrow().iter().any(is_within)
    }

    /// `text` as it stands at `item`, its variables replaced; none if that was refused.
    pub fn text(&self, item: &Item<'_>, text: &str) -> Option<String> {
        // What comes from a variable is taken as it is: a `${` in it is nobody's reference.
        if matches!(item.origin, Origin::Variable(_)) {
            return Some(text.to_owned());
        }
        expand::expand(text, self.env).map_err(|message| self.refuse(item, &message.into())).ok().map(Into::into)
    }

    fn note(&self, origin: Origin, path: &Path, message: String) -> Problem {
        let (source, place) = match origin {
            Origin::File(at) => (self.file.to_owned(), Some(line_and_column(self.text, at))),
            Origin::Variable(name) => (name.to_owned(), None),
        };
        Problem { source, place, path: path.to_string(), message }
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

fn in_words(item: &Item<'_>, fault: &Fault) -> String {
    fault.message(&item.described(), |text, known| did_you_mean(text, known.iter().copied()))
}

#[cfg(test)]
mod tests {
    use crate::config::{Source, load};

    /// The problems of a destination with `more` in it.
    fn problems(more: &str) -> Vec<String> {
        let text = format!(r#"{{"shipper": {{"type": "http_json", "endpoint": "http://h/", {more}}}}}"#);
        let problems = load(Source::Text("c.json".to_owned(), text.into_bytes()), &|_| None, "h").unwrap_err();
        problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
    }

    #[test]
    fn what_was_refused_is_not_complained_of_a_second_time() {
        for (more, one) in [
            // Neither is missing: they are wrong.
            (
                r#""basic_auth": {"username": "a:b", "password": "p"}"#,
                "shipper.basic_auth.username: expected a user without a colon: what follows one would be the password, got \"a:b\"",
            ),
            (
                r#""basic_auth": {"username": "u", "password": 7}"#,
                "shipper.basic_auth.password: expected a string, got a number",
            ),
            (
                r#""retry": {"min_backoff": "10s", "max_backoff": true}"#,
                "shipper.retry.max_backoff: expected a duration such as \"30s\", \"1m30s\" or \"250ms\", or a number of nanoseconds, got true",
            ),
            (
                r#""headers": {"X-Key": {"fil": "/x"}}"#,
                "shipper.headers.X-Key.fil: unknown field; did you mean \"file\"?",
            ),
        ] {
            assert_eq!(problems(more), [one], "{more}");
        }
        // What is missing besides is said.
        assert_eq!(
            problems(
                r#""sigv4": {"region": "a/b", "access_key_id": "A", "secret_access_key": "k"}, "basic_auth": {"username": "u"}"#
            ),
            [
                "shipper.sigv4: sigv4 and basic_auth are given together; a request has one Authorization, keep one",
                "shipper.sigv4.region: expected letters, digits, - and _, got \"a/b\"",
                "shipper.basic_auth: has no password; give password or password_file (an empty password is \"\")",
            ]
        );
    }
}
