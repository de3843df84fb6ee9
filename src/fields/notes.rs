//! What is said of a value: that it is refused, or that it does not do what it seems to.

use std::fmt::Write as _;

/// Why a value is refused, or what is worth knowing of it. Where it was written, and how, is
/// added by who read it, so that what a variable held is not shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    before: String,
    /// Whether the value as it was written stands between the two.
    quotes: bool,
    after: String,
    near: Option<(String, Vec<&'static str>)>,
}

impl Fault {
    /// `message`, without the value.
    pub fn new(message: impl Into<String>) -> Fault {
        Fault { before: message.into(), quotes: false, after: String::new(), near: None }
    }

    /// `expected what, got 7`.
    pub fn expected(what: impl AsRef<str>) -> Fault {
        Fault::quoting(format!("expected {}, got ", what.as_ref()))
    }

    /// What stands before the value; see [`Fault::after`].
    pub fn quoting(before: impl Into<String>) -> Fault {
        Fault { before: before.into(), quotes: true, after: String::new(), near: None }
    }

    /// What stands behind it.
    pub fn after(mut self, after: impl Into<String>) -> Fault {
        self.after = after.into();
        self
    }

    /// Ends with the one of `known` that `text` was meant to be, if one is near.
    pub fn near(mut self, text: impl Into<String>, known: impl IntoIterator<Item = &'static str>) -> Fault {
        self.near = Some((text.into(), known.into_iter().collect()));
        self
    }

    /// The whole message, the value being `written`. `hint` finds the word that was meant.
    pub fn message(&self, written: &str, hint: impl FnOnce(&str, &[&'static str]) -> String) -> String {
        let mut message = self.before.clone();
        if self.quotes {
            message.push_str(written);
        }
        message.push_str(&self.after);
        if let Some((text, known)) = &self.near {
            message.push_str(&hint(text, known));
        }
        message
    }
}

impl From<String> for Fault {
    fn from(message: String) -> Fault {
        Fault::new(message)
    }
}

impl From<&str> for Fault {
    fn from(message: &str) -> Fault {
        Fault::new(message)
    }
}

/// A step on the way to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Into an object.
    Key(String),
    /// Into a list.
    Index(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Step {
        Step::Key(key.to_owned())
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Step {
        Step::Index(index)
    }
}

/// Whether something may stay as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The configuration is refused.
    Problem,
    /// The same for want of something in the object of so many steps; not said where something in that object was
    /// refused already, since what was refused may be just what is missing.
    Lack(usize),
    /// It is accepted, and the operator told.
    Warning,
}

/// Something that was said of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Where it stands, from the object on where the notes began. What is not there is complained of where it would be.
    pub path: Vec<Step>,
    /// The variable of the environment that is meant, where it is none of the fields' own.
    pub variable: Option<&'static str>,
    /// How bad it is.
    pub severity: Severity,
    /// What there is to say.
    pub fault: Fault,
}

/// What is said once several fields are known.
#[derive(Debug, Default)]
pub struct Notes {
    at: Vec<Step>,
    notes: Vec<Note>,
}

impl Notes {
    /// What `look` says of the object or list in the field `step`, or of an item of a list.
    pub fn within<R>(&mut self, step: impl Into<Step>, look: impl FnOnce(&mut Notes) -> R) -> R {
        self.at.push(step.into());
        let said = look(self);
        self.at.pop();
        said
    }

    /// The field `step` is refused.
    pub fn problem(&mut self, step: impl Into<Step>, fault: impl Into<Fault>) {
        self.within(step, |notes| notes.refuse(fault));
    }

    /// What is at `path` is refused.
    pub fn problem_at(&mut self, path: &[Step], fault: impl Into<Fault>) {
        let (steps, length) = (path.iter().cloned(), self.at.len());
        self.at.extend(steps);
        self.refuse(fault);
        self.at.truncate(length);
    }

    /// The object as a whole is refused.
    pub fn refuse(&mut self, fault: impl Into<Fault>) {
        self.note(Severity::Problem, None, fault.into());
    }

    /// The field `step` is refused for want of another one beside it. See [`Severity::Lack`].
    pub fn lack_beside(&mut self, step: impl Into<Step>, fault: impl Into<Fault>) {
        let severity = Severity::Lack(self.at.len());
        self.within(step, |notes| notes.note(severity, None, fault.into()));
    }

    /// The object as a whole lacks something. See [`Severity::Lack`].
    pub fn lack(&mut self, fault: impl Into<Fault>) {
        self.note(Severity::Lack(self.at.len()), None, fault.into());
    }

    /// The field `step` is accepted, but the operator should know.
    pub fn warning(&mut self, step: impl Into<Step>, fault: impl Into<Fault>) {
        self.within(step, |notes| notes.warn(fault));
    }

    /// The object as a whole is accepted, but the operator should know.
    pub fn warn(&mut self, fault: impl Into<Fault>) {
        self.note(Severity::Warning, None, fault.into());
    }

    /// What a variable of the environment holds in place of the field `step` is refused.
    pub fn problem_of_variable(&mut self, step: impl Into<Step>, variable: &'static str, fault: impl Into<Fault>) {
        self.within(step, |notes| notes.note(Severity::Problem, Some(variable), fault.into()));
    }

    /// All that was said.
    pub fn into_list(self) -> Vec<Note> {
        self.notes
    }

    fn note(&mut self, severity: Severity, variable: Option<&'static str>, fault: Fault) {
        self.notes.push(Note { path: self.at.clone(), variable, severity, fault });
    }
}

/// `"a", "b" or "c"`.
pub fn any_of(words: &[&str]) -> String {
    let mut text = String::new();
    for (i, word) in words.iter().enumerate() {
        let between = match i {
            0 => "",
            i if i + 1 == words.len() => " or ",
            _ => ", ",
        };
        // Writing to a String does not fail.
        let _ = write!(text, "{between}{word:?}");
    }
    text
}
