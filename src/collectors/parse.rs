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
pub fn lines(text: &[u8]) -> Lines<'_> {
    Lines { rest: text, line: 0 }
}

/// See [`lines`].
#[derive(Clone, Debug)]
pub struct Lines<'t> {
    rest: &'t [u8],
    line: usize,
}

impl<'t> Iterator for Lines<'t> {
    type Item = (usize, &'t [u8]);

    fn next(&mut self) -> Option<(usize, &'t [u8])> {
        if self.rest.is_empty() {
            return None;
        }
        let end = find(self.rest, b'\n').unwrap_or(self.rest.len());
        let content = &self.rest[..end];
        self.rest = self.rest.get(end + 1..).unwrap_or_default();
        self.line += 1;
        Some((self.line, content))
    }
}

/// Where `byte` stands first. Eight bytes are looked at in one step: kernel files are searched for
/// their line ends in each tick.
pub fn find(text: &[u8], byte: u8) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let wanted = ONES * u64::from(byte);
    let mut at = 0;
    for eight in text.chunks_exact(8) {
        let other = eight.try_into().map_or(0, u64::from_le_bytes) ^ wanted;
        // The lowest byte that is zero has its high bit here, and none below it has.
        let zeros = other.wrapping_sub(ONES) & !other & HIGH;
        if zeros != 0 {
            return Some(at + zeros.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    text[at..].iter().position(|b| *b == byte).map(|behind| at + behind)
}

/// The fields of a line, between blanks and tabs.
pub fn fields(line: &[u8]) -> Fields<'_> {
    Fields { rest: line }
}

/// See [`fields`].
#[derive(Clone, Debug)]
pub struct Fields<'t> {
    rest: &'t [u8],
}

impl<'t> Fields<'t> {
    /// The next field, if it is an unsigned decimal number; the field itself, if it is none.
    pub fn number(&mut self) -> Option<Result<u64, &'t [u8]>> {
        self.skip();
        let (number, len) = digits(self.rest);
        let behind = self.rest.get(len..).unwrap_or_default();
        if (1..SURE_DIGITS).contains(&len) && behind.first().is_none_or(is_blank) {
            self.rest = behind;
            return Some(Ok(number));
        }
        self.next().map(|field| u64(field).ok_or(field))
    }

    fn skip(&mut self) {
        while let [b' ' | b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }
}

impl<'t> Iterator for Fields<'t> {
    type Item = &'t [u8];

    fn next(&mut self) -> Option<&'t [u8]> {
        self.skip();
        let mut len = 0;
        while self.rest.get(len).is_some_and(|b| !is_blank(b)) {
            len += 1;
        }
        let (field, rest) = self.rest.split_at(len);
        self.rest = rest;
        (len > 0).then_some(field)
    }
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// As many digits as are below 2^64, whatever they are, and one more.
const SURE_DIGITS: usize = 20;

/// The digits at the beginning of `text`: their number, wrong where there are [`SURE_DIGITS`] and
/// more, and how many they are.
pub fn digits(text: &[u8]) -> (u64, usize) {
    let (mut number, mut len) = (0_u64, 0);
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
        len += 1;
    }
    (number, len)
}

/// An unsigned decimal number, all of `field`.
pub fn u64(field: &[u8]) -> Option<u64> {
    let (number, len) = digits(field);
    if len != field.len() || len == 0 {
        return None;
    }
    if len < SURE_DIGITS {
        return Some(number);
    }
    // Only digits: UTF-8.
    std::str::from_utf8(field).ok()?.parse().ok()
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
        assert_eq!(["18446744073709551616", "99999999999999999999999"].map(|text| u64(text.as_bytes())), [None; 2]);
        assert_eq!(["07", "000000000000000000000007"].map(|text| u64(text.as_bytes())), [Some(7); 2]);
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

    #[test]
    fn a_field_is_a_number_or_is_shown() {
        let mut columns = fields(b"  12\t18446744073709551615 x 1x -1 18446744073709551616");
        let expected: [Option<Result<u64, &[u8]>>; 7] = [
            Some(Ok(12)),
            Some(Ok(u64::MAX)),
            Some(Err(b"x")),
            Some(Err(b"1x")),
            Some(Err(b"-1")),
            Some(Err(b"18446744073709551616")),
            None,
        ];
        assert_eq!([(); 7].map(|()| columns.number()), expected);
    }

    #[test]
    fn a_byte_is_found_wherever_it_stands_among_all_others() {
        for len in 0..40 {
            for byte in [0, b'\n', b'\n' + 1, 0x7f, 0x80, 0xff] {
                let others: Vec<u8> = (0..=255).filter(|b| *b != byte).cycle().skip(len * 7).take(len).collect();
                assert_eq!(find(&others, byte), None, "{len}");
                for at in 0..len {
                    let mut text = others.clone();
                    text[at] = byte;
                    text[len - 1] = byte;
                    assert_eq!(find(&text, byte), Some(at), "{len}");
                }
            }
        }
    }
}
