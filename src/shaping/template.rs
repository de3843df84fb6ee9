//! What a match becomes: a text with the groups of an expression in it, as Go expands it.
//!
//! `$name` and `${name}`, the former as long as letters, digits and `_` go on; a number is a
//! group's, `$$` is a `$`; what has no such group is empty. <https://pkg.go.dev/regexp#Regexp.Expand>

use super::pattern::Found;

/// A text with groups in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Number(usize),
    Name(String),
}

/// A number beyond this is none of a group's, in Go.
const MAX_NUMBER: usize = 100_000_000;

impl Template {
    /// What `text` means. Every text means something.
    pub fn new(text: &str) -> Template {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            plain.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            if let Some(behind) = after.strip_prefix('$') {
                plain.push('$');
                rest = behind;
            } else if let Some((name, behind)) = name(after) {
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                }
                parts.push(number(name).map_or_else(|| Part::Name(name.to_owned()), Part::Number));
                rest = behind;
            } else {
                // It is no group, and so itself.
                plain.push('$');
                rest = after;
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Template { text: text.to_owned(), parts }
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Appends what `found` makes of it to `out`.
    pub fn expand(&self, found: &Found<'_>, out: &mut String) {
        for part in &self.parts {
            out.push_str(match part {
                Part::Text(text) => text,
                Part::Number(number) => found.number(*number),
                Part::Name(name) => found.name(name),
            });
        }
    }
}

impl<'t> Found<'t> {
    fn number(&self, number: usize) -> &'t str {
        match self {
            Found::Whole(text, groups) => {
                if number <= *groups {
                    text
                } else {
                    ""
                }
            }
            Found::Groups(groups) => groups.get(number).map_or("", |group| group.as_str()),
        }
    }

    fn name(&self, name: &str) -> &'t str {
        match self {
            Found::Whole(..) => "",
            Found::Groups(groups) => groups.name(name).map_or("", |group| group.as_str()),
        }
    }
}

/// The name that `text`, which stands behind a `$`, begins with, and what is behind it.
fn name(text: &str) -> Option<(&str, &str)> {
    let is_of_a_name = |c: char| c.is_alphanumeric() || c == '_';
    let end = |text: &str| text.find(|c| !is_of_a_name(c)).unwrap_or(text.len());
    let (name, behind) = match text.strip_prefix('{') {
        Some(text) => {
            let (name, behind) = text.split_at(end(text));
            (name, behind.strip_prefix('}')?)
        }
        None => text.split_at(end(text)),
    };
    (!name.is_empty()).then_some((name, behind))
}

fn number(name: &str) -> Option<usize> {
    let is_number = name.bytes().all(|b| b.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    name.parse().ok().filter(|number| is_number && *number < MAX_NUMBER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shaping::pattern::Pattern;

    #[test]
    fn groups_are_put_in_as_go_does() {
        let pattern = Pattern::new(r"(?P<first>[a-z]+)-([0-9]+)(-(x))?").unwrap();
        let found = pattern.find("eth-42").unwrap();
        for (template, expected) in [
            ("$1", "eth"),
            ("${1}$2", "eth42"),
            ("$0", "eth-42"),
            ("$1x", ""),
            ("${1}x", "ethx"),
            ("$1-x", "eth-x"),
            ("$first.$2", "eth.42"),
            ("${first}", "eth"),
            ("$nobody", ""),
            ("$$1", "$1"),
            ("$$$1", "$eth"),
            ("$", "$"),
            ("a$", "a$"),
            ("$-", "$-"),
            ("${", "${"),
            ("${1", "${1"),
            ("${}", "${}"),
            ("${a b}", "${a b}"),
            ("$9", ""),
            ("$01", ""),
            ("$4", ""),
            ("$1é", ""),
            ("plain", "plain"),
            ("", ""),
        ] {
            let mut out = String::new();
            Template::new(template).expand(&found, &mut out);
            assert_eq!(out, expected, "{template}");
        }
        let mut out = String::new();
        Template::new("$0:$1:$2").expand(&Pattern::new("(.*)").unwrap().find("a").unwrap(), &mut out);
        assert_eq!(out, "a:a:");
    }
}
