//! Prometheus' `relabel_config`, to the letter.
//!
//! <https://prometheus.io/docs/prometheus/latest/configuration/configuration/#relabel_config>

use serde_json::{Map, Value, json};

use super::md5::md5_tail;
use super::pattern::Pattern;
use super::series::Series;
use super::template::Template;

/// What a rule does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// Sets a label where the expression matches.
    #[default]
    Replace,
    /// Drops series where it does not match.
    Keep,
    /// Drops series where it matches.
    Drop,
    /// Drops series of which the target label is another than the source labels.
    KeepEqual,
    /// Drops series of which they are alike.
    DropEqual,
    /// Sets a label to a hash of the source labels, modulo something.
    HashMod,
    /// Copies labels whose names match.
    LabelMap,
    /// Takes labels away whose names match.
    LabelDrop,
    /// Takes labels away whose names do not match.
    LabelKeep,
    /// Sets a label to the source labels in lower case.
    Lowercase,
    /// The same in upper case.
    Uppercase,
}

impl Action {
    /// All of them.
    pub const ALL: [Action; 11] = [
        Action::Replace,
        Action::Keep,
        Action::Drop,
        Action::KeepEqual,
        Action::DropEqual,
        Action::HashMod,
        Action::LabelMap,
        Action::LabelDrop,
        Action::LabelKeep,
        Action::Lowercase,
        Action::Uppercase,
    ];

    /// Its word in a configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Action::Replace => "replace",
            Action::Keep => "keep",
            Action::Drop => "drop",
            Action::KeepEqual => "keepequal",
            Action::DropEqual => "dropequal",
            Action::HashMod => "hashmod",
            Action::LabelMap => "labelmap",
            Action::LabelDrop => "labeldrop",
            Action::LabelKeep => "labelkeep",
            Action::Lowercase => "lowercase",
            Action::Uppercase => "uppercase",
        }
    }
}

/// The defaults of Prometheus.
pub const DEFAULT_SEPARATOR: &str = ";";
/// The same.
pub const DEFAULT_REGEX: &str = "(.*)";
/// The same.
pub const DEFAULT_REPLACEMENT: &str = "$1";

/// A relabelling rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Relabel {
    /// What it does.
    pub action: Action,
    /// The labels whose values are looked at, with `separator` between them.
    pub source_labels: Vec<String>,
    /// What stands between two of them.
    pub separator: String,
    /// What their values, or names of labels, are compared with.
    pub regex: Pattern,
    /// The label that is set. For `replace` it may have groups in it.
    pub target: Template,
    /// What it is set to, or what a label is copied to.
    pub replacement: Template,
    /// What a hash is divided by; not 0 where there is one.
    pub modulus: u64,
}

impl Relabel {
    /// Whether `series` stays; it may be another one then.
    pub fn apply(&self, series: &mut Series) -> bool {
        match self.action {
            Action::LabelMap => self.map(series),
            Action::LabelDrop => series.retain(|name| !self.regex.is_match(name)),
            Action::LabelKeep => series.retain(|name| self.regex.is_match(name)),
            _ => return self.apply_to_value(series),
        }
        true
    }

    fn apply_to_value(&self, series: &mut Series) -> bool {
        let mut value = String::new();
        for (at, label) in self.source_labels.iter().enumerate() {
            if at > 0 {
                value.push_str(&self.separator);
            }
            value.push_str(series.get(label));
        }
        let target = self.target.text();
        match self.action {
            Action::Keep => return self.regex.is_match(&value),
            Action::Drop => return !self.regex.is_match(&value),
            Action::KeepEqual => return series.get(target) == value,
            Action::DropEqual => return series.get(target) != value,
            Action::HashMod => {
                let number = md5_tail(value.as_bytes()).checked_rem(self.modulus);
                series.set(target, &number.unwrap_or_default().to_string());
            }
            Action::Lowercase => series.set(target, &value.chars().map(lower).collect::<String>()),
            Action::Uppercase => series.set(target, &value.chars().map(upper).collect::<String>()),
            _ => self.replace(&value, series),
        }
        true
    }

    fn replace(&self, value: &str, series: &mut Series) {
        let Some(found) = self.regex.find(value) else { return };
        let mut replacement = String::new();
        self.replacement.expand(&found, &mut replacement);
        if !has_groups(self.target.text()) {
            series.set(self.target.text(), &replacement);
            return;
        }
        let mut target = String::new();
        self.target.expand(&found, &mut target);
        if is_label_name(&target) {
            series.set(&target, &replacement);
        }
    }

    /// As it would be written, without what is at its default.
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        let mut put = |name: &str, value: Value, is_default: bool| {
            if !is_default {
                object.insert(name.to_owned(), value);
            }
        };
        put("action", json!(self.action.as_str()), self.action == Action::default());
        put("source_labels", json!(self.source_labels), self.source_labels.is_empty());
        put("separator", json!(self.separator), self.separator == DEFAULT_SEPARATOR);
        put("regex", json!(self.regex.text()), self.regex.text() == DEFAULT_REGEX);
        put("target_label", json!(self.target.text()), self.target.text().is_empty());
        put("replacement", json!(self.replacement.text()), self.replacement.text() == DEFAULT_REPLACEMENT);
        put("modulus", json!(self.modulus), self.modulus == 0);
        Value::Object(object)
    }

    /// All names are those from before, whatever a copy is called.
    fn map(&self, series: &mut Series) {
        let mut copies = Vec::new();
        let name = (!series.name().is_empty()).then_some((super::series::NAME, series.name()));
        for (label, value) in series.labels().chain(name) {
            let Some(found) = self.regex.find(label) else { continue };
            let mut copy = String::new();
            self.replacement.expand(&found, &mut copy);
            copies.push((copy, value.to_owned()));
        }
        // Prometheus refuses all that a target gives where a name is none.
        copies.iter().filter(|(copy, _)| is_label_name(copy)).for_each(|(copy, value)| series.set(copy, value));
    }
}

/// Whether `template` speaks of groups, by Prometheus' rule.
pub fn has_groups(template: &str) -> bool {
    template.contains('$')
}

/// Prometheus' rule for a label's name.
pub fn is_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Prometheus' rule for what becomes a label's name once its groups are put in: letters, `_` and
/// groups, digits behind one of these.
pub fn is_label_template(template: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let (mut rest, mut is_first) = (template, true);
    while let Some(c) = rest.chars().next() {
        rest = match rest.strip_prefix('$') {
            Some(after) => {
                let (after, braced) = after.strip_prefix('{').map_or((after, false), |after| (after, true));
                let end = after.find(|c| !is_word(c)).unwrap_or(after.len());
                let behind = &after[end..];
                match braced {
                    _ if end == 0 => return false,
                    false => behind,
                    true => match behind.strip_prefix('}') {
                        Some(behind) => behind,
                        None => return false,
                    },
                }
            }
            None if is_word(c) && !(is_first && c.is_ascii_digit()) => &rest[1..],
            None => return false,
        };
        is_first = false;
    }
    !is_first
}

/// Go's `unicode.ToLower`: one character for one.
fn lower(c: char) -> char {
    match c {
        'İ' => 'i',
        _ => alone(c.to_lowercase()).unwrap_or(c),
    }
}

/// Go's `unicode.ToUpper`.
fn upper(c: char) -> char {
    let shifted = |by: u32| char::from_u32(c as u32 + by).unwrap_or(c);
    match c {
        // Greek with an iota below, which is two characters in full upper case.
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => shifted(8),
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => shifted(9),
        _ => alone(c.to_uppercase()).unwrap_or(c),
    }
}

/// The one character that there is.
fn alone(mut all: impl Iterator<Item = char>) -> Option<char> {
    all.next().filter(|_| all.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_go_s() {
        let of =
            |text: &str| (text.chars().map(lower).collect::<String>(), text.chars().map(upper).collect::<String>());
        for (text, low, high) in [
            ("aB1_é", "ab1_é", "AB1_É"),
            ("straße", "straße", "STRAßE"),
            ("İ", "i", "İ"),
            ("ΑΣ", "ας".replace('ς', "σ").as_str(), "ΑΣ"),
            ("ᾳ", "ᾳ", "ᾼ"),
            ("ŉ", "ŉ", "ŉ"),
        ] {
            assert_eq!(of(text), (low.to_owned(), high.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_label_s_name_and_what_becomes_one_follow_prometheus() {
        for (name, is_name, is_template) in [
            ("a", true, true),
            ("_a1", true, true),
            ("1a", false, false),
            ("", false, false),
            ("a-b", false, false),
            ("a.b", false, false),
            ("$1", false, true),
            ("${1}", false, true),
            ("a_$1", false, true),
            ("a_${1}_b", false, true),
            ("${1", false, false),
            ("${}", false, false),
            ("$", false, false),
            ("a$", false, false),
            ("$1-b", false, false),
            ("é", false, false),
        ] {
            assert_eq!((is_label_name(name), is_label_template(name)), (is_name, is_template), "{name}");
        }
    }
}
