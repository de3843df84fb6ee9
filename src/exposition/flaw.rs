//! What is wrong with a page, and where.

use std::fmt;

/// The most that is quoted of a line, in bytes: in front of the place, and behind it.
const QUOTE: (usize, usize) = (60, 20);

/// Why a page was refused. Nothing of it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The line, from 1 on.
    pub line: usize,
    /// What is wrong there.
    pub wrong: Wrong,
    /// A piece of that line, around the place.
    pub quote: String,
}

/// What is wrong with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// There is more of something than the named limit allows.
    Limit {
        /// The field of `limits`.
        name: &'static str,
        /// What it says.
        most: usize,
    },
    /// It breaks its format.
    Form(&'static str),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wrong::Limit { name, most } => write!(f, "over the limit {name} ({most})"),
            Wrong::Form(what) => f.write_str(what),
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}: {:?}", self.line, self.wrong, self.quote)
    }
}

impl std::error::Error for Flaw {}

/// What is wrong, and at which byte.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub at: usize,
    pub wrong: Wrong,
}

impl Fault {
    pub(super) fn form(at: usize, what: &'static str) -> Fault {
        Fault { at, wrong: Wrong::Form(what) }
    }

    pub(super) fn limit(at: usize, name: &'static str, most: usize) -> Fault {
        Fault { at, wrong: Wrong::Limit { name, most } }
    }

    /// The same with its line, and a piece of that.
    pub(super) fn within(self, text: &[u8]) -> Flaw {
        let at = self.at.min(text.len());
        // At the end of the text it is the last line that lacks something.
        let before = &text[..if at == text.len() { at.saturating_sub(1) } else { at }];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let begin = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let end = text[begin..].iter().position(|byte| *byte == b'\n').map_or(text.len(), |len| begin + len);
        let from = begin.max(at.saturating_sub(QUOTE.0)).min(end);
        let quote = &text[from..end.min(at + QUOTE.1)];
        Flaw { line, wrong: self.wrong, quote: String::from_utf8_lossy(quote).into_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_shown_with_its_line_and_a_piece_of_it() {
        let flaw = Fault::form(8, "bad").within(b"one\ntwo three\nfour");
        assert_eq!(flaw.to_string(), r#"line 2: bad: "two three""#);
        assert_eq!(Fault::form(18, "bad").within(b"one\ntwo three\nfour").line, 3);
        assert_eq!(Fault::form(4, "bad").within(b"one\n").quote, "one");
        assert_eq!(Fault::form(9, "bad").within(b"").line, 1);
        let long = [b'x'; 500];
        assert_eq!(Fault::limit(200, "labels", 3).within(&long).quote.len(), 80);
        assert_eq!(Fault::limit(200, "labels", 3).wrong.to_string(), "over the limit labels (3)");
    }
}
