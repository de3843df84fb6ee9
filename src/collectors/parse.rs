//! What the parsers of kernel files share: fields, numbers, and errors that quote the line.

use std::fmt;
use std::path::Path;

use super::collector::CollectError;

/// How much of a bad line an error quotes.
const QUOTE_BYTES: usize = 60;

/// Text that is not what the kernel documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Counted from 1.
    pub line: usize,
    /// What was expected, and what was there.
    pub what: String,
}

impl ParseError {
    /// `expected X, got "Y"`, with a long Y cut.
    pub fn expected(line: usize, expected: &str, got: &[u8]) -> ParseError {
        let cut = &got[..got.len().min(QUOTE_BYTES)];
        let more = if got.len() > QUOTE_BYTES { "..." } else { "" };
        ParseError { line, what: format!("expected {expected}, got {:?}{more}", String::from_utf8_lossy(cut)) }
    }

    /// The same with the file that the text came from.
    pub fn of(self, path: &Path) -> CollectError {
        CollectError::Failed(format!("cannot parse {} line {}: {}", path.display(), self.line, self.what))
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for ParseError {}

/// `text`, if it is whole: the kernel ends every line of its files, so a text that does not
/// end so was cut, and its last number may be the beginning of a longer one.
pub fn whole(text: &[u8]) -> Result<&[u8], ParseError> {
    match text.last() {
        Some(b'\n') => Ok(text),
        Some(_) => {
            let (line, last) = lines(text).last().unwrap_or((1, text));
            Err(ParseError::expected(line, "a whole line", last))
        }
        None => Err(ParseError { line: 1, what: "the file is empty".to_owned() }),
    }
}

/// The lines with their numbers, counted from 1, without their line ends.
pub fn lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let text = if text.is_empty() { None } else { Some(text) };
    text.into_iter().flat_map(|t| t.split(|b| *b == b'\n')).enumerate().map(|(at, line)| (at + 1, line))
}

/// The fields of a line, between blanks and tabs.
pub fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|b| *b == b' ' || *b == b'\t').filter(|field| !field.is_empty())
}

/// An unsigned decimal number, all of `field`.
pub fn u64(field: &[u8]) -> Option<u64> {
    if field.is_empty() {
        return None;
    }
    field.iter().try_fold(0u64, |n, b| {
        let digit = b.checked_sub(b'0').filter(|d| *d <= 9)?;
        n.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// A decimal fraction such as `12.34`, all of `field`; never negative, NaN or infinite.
pub fn f64(field: &[u8]) -> Option<f64> {
    if !field.iter().all(|b| b.is_ascii_digit() || *b == b'.') {
        return None;
    }
    std::str::from_utf8(field).ok()?.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A decimal number that may be below zero, all of `field`.
pub fn number(field: &[u8]) -> Option<f64> {
    match field.strip_prefix(b"-") {
        Some(digits) => u64(digits).map(|number| -(number as f64)),
        None => u64(field).map(|number| number as f64),
    }
}

/// The number that is all that stands in a file.
pub fn one_number(text: &[u8]) -> Result<u64, ParseError> {
    let content = whole(text)?.trim_ascii();
    u64(content).ok_or_else(|| ParseError::expected(1, "a number", content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_whole_fields_in_range() {
        assert_eq!(u64(b"0"), Some(0));
        assert_eq!(u64(b"18446744073709551615"), Some(u64::MAX));
        for bad in ["", "-1", "+1", "18446744073709551616", "1x", " 1", "0x10"] {
            assert_eq!(u64(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(["7", "-7", "-0"].map(|text| number(text.as_bytes())), [Some(7.0), Some(-7.0), Some(0.0)]);
        assert_eq!(["", "-", "--1", "- 1", "+1", "1.5"].map(|text| number(text.as_bytes())), [None; 6]);
        assert_eq!(f64(b"0.25"), Some(0.25));
        for bad in ["", "-1.0", "nan", "inf", "1e9", "1.2.3", "."] {
            assert_eq!(f64(bad.as_bytes()), None, "{bad:?}");
        }
        // Beyond what a double can hold.
        assert_eq!(f64(&[b'9'; 309]), None);
    }

    #[test]
    fn an_error_quotes_no_more_than_it_must() {
        let error = ParseError::expected(3, "u64", &[b'x'; 500]);
        assert!(error.to_string().len() < 120, "{error}");
        assert!(error.to_string().starts_with("line 3: expected u64, got \"xxx"));
    }

    #[test]
    fn a_text_without_its_last_line_end_was_cut() {
        assert_eq!(whole(b"a 1\n"), Ok(&b"a 1\n"[..]));
        assert_eq!(whole(b"a 1\nb 1").unwrap_err().to_string(), "line 2: expected a whole line, got \"b 1\"");
        assert_eq!(whole(b"").unwrap_err().to_string(), "line 1: the file is empty");
    }

    #[test]
    fn lines_count_from_one_and_end_where_the_text_does() {
        assert_eq!(lines(b"").count(), 0);
        assert_eq!(lines(b"a\n\nb\n").collect::<Vec<_>>(), [(1, &b"a"[..]), (2, b""), (3, b"b")]);
        assert_eq!(fields(b"  a\tb  c ").collect::<Vec<_>>(), [b"a", b"b", b"c"]);
    }
}
