//! Regular expressions for the whole of a text, as Prometheus' relabelling has them (RE2).
//!
//! The engine is `regex-lite`, without tables of Unicode: what it lacks of RE2 (`\pL`, `(?i)`
//! beyond ASCII) is refused or said in `docs/shaping.md`. What the two write otherwise is
//! translated here.

use std::fmt;

use regex_lite::{Captures, Regex, RegexBuilder};

/// What a compiled expression may take, in bytes: a rule's is a few hundred.
const MAX_COMPILED: usize = 1 << 20;

/// An expression for the whole of a text.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    form: Form,
}

/// Most expressions are of a form that needs no engine.
#[derive(Clone)]
enum Form {
    /// `.*`, and `(.*)`.
    Any { groups: usize },
    /// `.+`, and `(.+)`.
    NotEmpty { groups: usize },
    /// `a`, `a|b`.
    OneOf(Vec<String>),
    /// `a.*`.
    Prefix(String),
    /// Any other one.
    Regex(Regex),
}

/// Where an expression matched.
pub enum Found<'t> {
    /// As a whole; group 1 is the whole, where there is one.
    Whole(&'t str, usize),
    /// With groups.
    Groups(Captures<'t>),
}

impl Pattern {
    /// Compiles `text`; the error says what is wrong with it.
    pub fn new(text: &str) -> Result<Pattern, String> {
        Ok(Pattern { text: text.to_owned(), form: Form::of(text)? })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The words that match, where these are all.
    pub fn words(&self) -> Option<&[String]> {
        match &self.form {
            Form::OneOf(words) => Some(words),
            _ => None,
        }
    }

    /// Whether every text matches, but perhaps the empty one.
    pub fn is_any(&self) -> bool {
        matches!(self.form, Form::Any { .. } | Form::NotEmpty { .. })
    }

    /// Whether every text matches, the empty one too.
    pub fn is_any_or_none(&self) -> bool {
        matches!(self.form, Form::Any { .. })
    }

    /// Whether all of `text` matches.
    pub fn is_match(&self, text: &str) -> bool {
        match &self.form {
            Form::Any { .. } => true,
            Form::NotEmpty { .. } => !text.is_empty(),
            Form::OneOf(words) => words.iter().any(|word| word == text),
            Form::Prefix(prefix) => text.starts_with(&**prefix),
            Form::Regex(regex) => regex.is_match(text),
        }
    }

    /// Where it matches all of `text`.
    pub fn find<'t>(&self, text: &'t str) -> Option<Found<'t>> {
        match &self.form {
            Form::Any { groups } | Form::NotEmpty { groups } if self.is_match(text) => {
                Some(Found::Whole(text, *groups))
            }
            Form::Regex(regex) => regex.captures(text).map(Found::Groups),
            _ => self.is_match(text).then_some(Found::Whole(text, 0)),
        }
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.text)
    }
}

/// By what was written.
impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.text == other.text
    }
}

impl Form {
    fn of(text: &str) -> Result<Form, String> {
        let is_plain =
            |text: &str| !text.contains(['\\', '.', '+', '*', '?', '(', ')', '|', '[', ']', '{', '}', '^', '$']);
        Ok(match text {
            ".*" => Form::Any { groups: 0 },
            "(.*)" => Form::Any { groups: 1 },
            ".+" => Form::NotEmpty { groups: 0 },
            "(.+)" => Form::NotEmpty { groups: 1 },
            _ if text.split('|').all(is_plain) => Form::OneOf(text.split('|').map(str::to_owned).collect()),
            _ => match text.strip_suffix(".*").filter(|prefix| is_plain(prefix)) {
                Some(prefix) => Form::Prefix(prefix.to_owned()),
                None => Form::Regex(compile(text)?),
            },
        })
    }
}

fn compile(text: &str) -> Result<Regex, String> {
    // By itself first: `a)(b` would else be made whole by what is put around it.
    let translated = translated(text);
    let build =
        |text: &str| RegexBuilder::new(text).size_limit(MAX_COMPILED).build().map_err(|error| error.to_string());
    build(&translated)?;
    build(&format!("^(?s:{translated})$"))
}

/// `text`, which is RE2's, as the engine writes the same.
fn translated(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // Whether it is within `[...]`, and nothing of that has come yet.
    let (mut in_class, mut is_first) = (false, false);
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        let next = after.chars().next();
        let was_first = std::mem::replace(&mut is_first, false);
        match c {
            '\\' if next == Some('Q') && !in_class => {
                let literal = &after[1..];
                let (literal, behind) = literal.split_once("\\E").unwrap_or((literal, ""));
                out.push_str(&regex_lite::escape(literal));
                rest = behind;
                continue;
            }
            // Ends of words there, themselves in RE2.
            '\\' if matches!(next, Some('<' | '>')) => {}
            // A character by its number in hexadecimal: these braces are no text.
            '\\' if after.starts_with("x{") => {
                let end = after.find('}').map_or(after.len(), |at| at + 1);
                out.push(c);
                out.push_str(&after[..end]);
                rest = &after[end..];
                continue;
            }
            // In octal, which the engine does not have. A digit but 0 alone would be a back reference.
            '\\' if octal(after).is_some_and(|digits| digits.starts_with('0') || digits.len() > 1) => {
                let digits = octal(after).unwrap_or_default();
                let number = u32::from_str_radix(digits, 8).unwrap_or_default();
                out.push_str(&format!("\\x{{{number:x}}}"));
                rest = &after[digits.len()..];
                continue;
            }
            '\\' => {
                out.push(c);
                out.extend(next);
                rest = &after[next.map_or(0, char::len_utf8)..];
                continue;
            }
            '[' if !in_class => {
                in_class = true;
                is_first = true;
                out.push(c);
                if let Some(negated) = after.strip_prefix('^') {
                    out.push('^');
                    rest = negated;
                    continue;
                }
            }
            '[' if after.starts_with(':') && after[1..].contains(":]") => {
                let end = after.find(":]").map_or(0, |at| at + 2);
                out.push(c);
                out.push_str(&after[..end]);
                rest = &after[end..];
                continue;
            }
            '[' => out.push_str("\\["),
            ']' if in_class && !was_first => {
                in_class = false;
                out.push(c);
            }
            // Twice they are operators there.
            '&' | '~' if in_class => out.extend(['\\', c]),
            // First it is itself, and twice an operator there; here the second one ends a range.
            '-' if in_class && was_first => out.push_str("\\-"),
            '-' if in_class && next == Some('-') => {
                out.push_str("-\\-");
                rest = &after[1..];
                continue;
            }
            // What is no repetition is a brace.
            '{' if !in_class && !is_repetition(after) => out.push_str("\\{"),
            _ => out.push(c),
        }
        rest = after;
    }
    out
}

/// The octal digits, three at most, with which `text` begins.
fn octal(text: &str) -> Option<&str> {
    let end = text.bytes().take(3).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
    (end > 0).then(|| &text[..end])
}

/// Whether `text` goes on as a repetition's `{` does: `2}`, `2,}`, `2,3}`.
fn is_repetition(text: &str) -> bool {
    let Some((inner, _)) = text.split_once('}') else { return false };
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    match inner.split_once(',') {
        Some((from, to)) => is_number(from) && (to.is_empty() || is_number(to)),
        None => is_number(inner),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_for_the_whole_of_a_text_whatever_its_form() {
        for (pattern, yes, no) in [
            (".*", &["", "a", "a\nb"][..], &[][..]),
            (".+", &["a", "\n"], &[""]),
            ("up", &["up"], &["", "u", "upp", "up\n"]),
            ("", &[""], &["a"]),
            ("a|b", &["a", "b"], &["", "ab", "c"]),
            ("a|", &["a", ""], &["b"]),
            ("go_.*", &["go_", "go_gc"], &["go", "a_go_"]),
            ("a|b.*", &["a", "b", "bc"], &["ab", "ac"]),
            ("go_(gc|mem).*", &["go_gc", "go_mem_x"], &["go_x", "xgo_gc"]),
            ("[0-9]+", &["12"], &["", "1a", "a1"]),
            (".", &["a", "\n", "é"], &["", "ab"]),
            ("(?i)up", &["UP", "up"], &["upp"]),
            ("a$|b", &["a", "b"], &["ab"]),
        ] {
            let compiled = Pattern::new(pattern).unwrap();
            for text in yes {
                assert!(compiled.is_match(text) && compiled.find(text).is_some(), "{pattern} {text:?}");
            }
            for text in no {
                assert!(!compiled.is_match(text) && compiled.find(text).is_none(), "{pattern} {text:?}");
            }
        }
    }

    #[test]
    fn what_re2_writes_otherwise_means_the_same() {
        for (pattern, yes, no) in [
            (r"\Qa.b\E.", "a.bc", "axbc"),
            (r"\Qa.b", "a.b", "axb"),
            (r"\<a\>", "<a>", "a"),
            ("[[]", "[", "]"),
            ("[[a]]", "[]", "a"),
            ("[]a]+", "]a]", "["),
            ("[^]]", "a", "]"),
            ("[[:digit:]_]+", "1_", ":"),
            ("[a&&b]+", "a&b", "c"),
            ("[~~]", "~", "a"),
            ("[+--]+", "+,-", "a"),
            ("[--/]+", "-./", ","),
            ("[a-]+", "a-", "b"),
            ("[-a]+", "a-", "b"),
            (r"[\]\\]+", r"]\", "a"),
            ("a{2}", "aa", "a{2}"),
            ("a{2,}", "aaa", "a"),
            ("a{,2}", "a{,2}", "aa"),
            ("a{b", "a{b", "ab"),
            ("{}", "{}", ""),
            (r"\{a\}", "{a}", "a"),
            (r"\x{e9}\x41{2}", "éAA", "xe9"),
            (r"[\x{e9}-\x{eb}]", "ê", "e"),
            (r"\0\07\1011\12", "\0\x07A1\n", "a"),
            (r"[\60-\62]8", "18", "68"),
        ] {
            let compiled = Pattern::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
            assert!(compiled.is_match(yes), "{pattern} {yes}");
            assert!(!compiled.is_match(no), "{pattern} {no}");
        }
    }

    #[test]
    fn what_is_no_expression_or_beyond_the_engine_is_refused() {
        for pattern in [
            "(",
            "a)(b",
            ")",
            "[a",
            "*",
            "a{2,1}",
            r"\pL",
            r"\1",
            r"\8",
            r"\x{110000}",
            r"\x{e9",
            r"\",
            "(?=a)",
            "(?<a",
            &"(".repeat(500),
            "(a{1000}){1000}",
        ] {
            assert!(Pattern::new(pattern).is_err(), "{pattern}");
        }
    }
}
