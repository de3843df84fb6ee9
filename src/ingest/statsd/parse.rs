//! One line of StatsD, as its first server has it, with what Datadog's clients add.
//!
//! ```text
//! name:value|type                    c counter, g gauge, s set, ms timer, h histogram, d distribution
//! name:value|type|@0.1               sent for one in ten
//! name:value:value|type|#tag:x,flag  several values, tags
//! name:+4|g   name:-4|g              a gauge goes up and down by that
//! ```
//!
//! <https://github.com/statsd/statsd/blob/master/docs/metric_types.md>,
//! <https://docs.datadoghq.com/developers/dogstatsd/datagram_shell/>

/// A name longer than that is none that a person reads.
const MAX_NAME: usize = 255;

/// What all tags of a line may take: with the number of series it bounds their memory.
const MAX_TAGS: usize = 2048;

/// What a line's type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// `c`.
    Counter,
    /// `g`.
    Gauge,
    /// `s`.
    Set,
    /// `ms`: what comes in milliseconds is kept in seconds.
    Timer,
    /// `h` and `d`.
    Histogram,
}

/// A line that is well-formed, but for its values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line<'l> {
    /// As it was sent.
    pub name: &'l [u8],
    /// What it is.
    pub is: Type,
    /// One or several, with `:` between them, but for a set, whose value may hold that.
    values: &'l [u8],
    /// Of how many one is sent: within (0, 1].
    pub rate: f64,
    /// With `,` between them.
    pub tags: &'l [u8],
}

/// Why a line is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It is no line of StatsD.
    Malformed,
    /// It is one that is not for a series: an event, a service check, an unknown type.
    Unsupported,
}

/// The smallest rate of sampling: one in a million. With a smaller one a single line would count for more than
/// anything that was really counted.
const MIN_RATE: f64 = 1e-6;

impl<'l> Line<'l> {
    /// Reads a line without its end.
    pub fn parse(line: &'l [u8]) -> Result<Line<'l>, Flaw> {
        if line.starts_with(b"_e{") || line.starts_with(b"_sc|") {
            return Err(Flaw::Unsupported);
        }
        let mut parts = line.split(|byte| *byte == b'|');
        let first = parts.next().unwrap_or_default();
        let colon = first.iter().position(|byte| *byte == b':').ok_or(Flaw::Malformed)?;
        let (name, values) = (&first[..colon], &first[colon + 1..]);
        if name.is_empty() || name.len() > MAX_NAME || values.is_empty() {
            return Err(Flaw::Malformed);
        }
        let is = match parts.next().ok_or(Flaw::Malformed)? {
            b"c" => Type::Counter,
            b"g" => Type::Gauge,
            b"s" => Type::Set,
            b"ms" => Type::Timer,
            b"h" | b"d" => Type::Histogram,
            other if !other.is_empty() && other.iter().all(u8::is_ascii_alphabetic) => return Err(Flaw::Unsupported),
            _ => return Err(Flaw::Malformed),
        };
        let (mut rate, mut tags) = (1.0, &[][..]);
        for part in parts {
            match part.split_first() {
                Some((b'@', text)) => {
                    rate = number(text).filter(|rate| (MIN_RATE..=1.0).contains(rate)).ok_or(Flaw::Malformed)?;
                }
                Some((b'#', text)) if text.len() <= MAX_TAGS => tags = text,
                Some((b'#', _)) => return Err(Flaw::Malformed),
                // The container's id, a time, and what newer clients may add.
                _ => {}
            }
        }
        Ok(Line { name, is, values, rate, tags })
    }

    /// Its values, as they were sent.
    pub fn values(&self) -> impl Iterator<Item = &'l [u8]> {
        let is_one = self.is == Type::Set;
        self.values.split(move |byte| !is_one && *byte == b':')
    }
}

/// A number that is one: no NaN, nothing infinite.
pub fn number(text: &[u8]) -> Option<f64> {
    // Nearly all are short and whole.
    if (1..=15).contains(&text.len()) && text.iter().all(u8::is_ascii_digit) {
        return Some(text.iter().fold(0_u64, |all, digit| all * 10 + u64::from(digit - b'0')) as f64);
    }
    std::str::from_utf8(text).ok()?.parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> (&str, Type, Vec<&str>, f64, &str) {
        let line = Line::parse(text.as_bytes()).unwrap();
        let text = |bytes| std::str::from_utf8(bytes).unwrap();
        (text(line.name), line.is, line.values().map(text).collect(), line.rate, text(line.tags))
    }

    #[test]
    fn lines_are_read_as_both_protocols_have_them() {
        assert_eq!(line("gorets:1|c"), ("gorets", Type::Counter, vec!["1"], 1.0, ""));
        assert_eq!(line("glork:320|ms|@0.1"), ("glork", Type::Timer, vec!["320"], 0.1, ""));
        assert_eq!(line("gaugor:-10|g"), ("gaugor", Type::Gauge, vec!["-10"], 1.0, ""));
        assert_eq!(line("uniques:a:b|s"), ("uniques", Type::Set, vec!["a:b"], 1.0, ""));
        assert_eq!(
            line("page.views:1:2.5:3|d|@0.5|#env:prod,flag|c:ci-1234|T1656581400"),
            ("page.views", Type::Histogram, vec!["1", "2.5", "3"], 0.5, "env:prod,flag")
        );
        assert_eq!(line("x:1|h|#a:b|@0.25"), ("x", Type::Histogram, vec!["1"], 0.25, "a:b"));
    }

    #[test]
    fn what_is_no_line_is_told_from_what_is_not_for_a_series() {
        let long = format!("{}:1|c", "x".repeat(MAX_NAME + 1));
        let tags = format!("x:1|c|#{}", "t".repeat(MAX_TAGS + 1));
        for text in [
            "",
            "x",
            "x:1",
            ":1|c",
            "x:|c",
            "x:1|",
            "x:1|c|@",
            "x:1|c|@0",
            "x:1|c|@1.1",
            "x:1|c|@-1",
            "x:1|c|@x",
            "x:1|c|@1e-300",
            "x|1|c",
        ] {
            assert_eq!(Line::parse(text.as_bytes()), Err(Flaw::Malformed), "{text:?}");
        }
        assert_eq!(Line::parse(long.as_bytes()), Err(Flaw::Malformed));
        assert_eq!(Line::parse(tags.as_bytes()), Err(Flaw::Malformed));
        assert_eq!(Line::parse(b"x:1|\xff"), Err(Flaw::Malformed));
        for text in ["_e{5,4}:title|text", "_sc|name|0", "x:1|m", "x:1|kv"] {
            assert_eq!(Line::parse(text.as_bytes()), Err(Flaw::Unsupported), "{text:?}");
        }
    }

    #[test]
    fn numbers_are_finite() {
        for (text, value) in [("0", 0.0), ("12", 12.0), ("-3.5", -3.5), ("+7", 7.0), ("1e3", 1000.0), (".5", 0.5)] {
            assert_eq!(number(text.as_bytes()), Some(value), "{text}");
        }
        assert_eq!(number(b"999999999999999"), Some(999_999_999_999_999.0));
        for text in ["", "x", "nan", "inf", "-infinity", "1e999", "1_0", "0x10", " 1"] {
            assert_eq!(number(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn every_cut_of_a_line_is_read_or_refused() {
        let text = b"page.views:1:2.5|d|@0.5|#env:prod,flag|c:x";
        for end in 0..text.len() {
            let _ = Line::parse(&text[..end]);
        }
    }
}
