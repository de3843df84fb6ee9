//! The words of a page: where a line's name, labels, number and time begin and end.
//!
//! The grammar is that of Prometheus' lexers. In text, blanks (spaces and tabs) stand between any
//! two words, a comma between labels may be left out, and a quoted text may go over several
//! lines; in OpenMetrics a single space stands in front of a number, and nowhere else one.

use std::borrow::Cow;
use std::cell::Cell;
use std::ops::Range;

use super::families::{Meta, Said, Type};
use super::flaw::Fault;
use super::{Format, Limits, number};
use crate::order;

/// The most that is kept of a help text, in bytes: it is for people.
const HELP: usize = 4096;

/// The most characters that an exemplar's labels have together (OpenMetrics 1.0, "Exemplars").
const EXEMPLAR: usize = 128;

/// Name and value of a label, as texts.
pub(super) type Pair<'p> = (Cow<'p, str>, Cow<'p, str>);

/// A place in the page, which has less than 2^32 bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    begin: u32,
    end: u32,
    /// Whether there is a backslash in it.
    escaped: bool,
}

impl Span {
    fn new(range: Range<usize>, escaped: bool) -> Span {
        Span { begin: range.start as u32, end: range.end as u32, escaped }
    }

    fn len(self) -> usize {
        (self.end - self.begin) as usize
    }
}

/// A label: name and value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label {
    name: Span,
    value: Span,
}

/// A line up to its number.
pub(super) struct Head {
    pub name: Span,
    /// Where the number begins.
    pub end: usize,
}

/// What stands behind a series' text.
pub(super) struct Tail {
    pub value: f64,
    pub time_ms: Option<i64>,
    /// The exemplar's number and time; its labels stand in [`Scan::exemplar`].
    pub exemplar: Option<(f64, Option<i64>)>,
    /// Behind the line's end.
    pub end: usize,
}

/// What a line is.
pub(super) enum Begin {
    /// Blank lines and comments, up to there.
    Nothing(usize),
    /// `HELP`, `TYPE` or `UNIT`, which is there.
    Meta(usize, Word),
    /// A sample, whose name or brace is there.
    Sample(usize),
    /// `# EOF`, and its end.
    End(usize),
}

/// What a line of metadata tells of.
#[derive(Clone, Copy)]
pub(super) enum Word {
    Help,
    Type,
    Unit,
}

/// Reads words of a text that ends with a line end.
pub(super) struct Scan<'p> {
    text: &'p [u8],
    /// The same, where it is known to be UTF-8 as a whole.
    utf8: Option<&'p str>,
    is_open: bool,
    limits: Limits,
    /// The last name of a family or a sample: the next one mostly begins with it.
    last_name: Cell<Span>,
    /// Labels of the line at hand.
    pub labels: Vec<Label>,
    /// Labels of its exemplar.
    pub exemplar: Vec<Label>,
}

// What a byte may be.
const NAME: u8 = 1;
const DIGIT: u8 = 2;
const COLON: u8 = 4;
/// Ends a stretch of a quoted text.
const QUOTED: u8 = 8;
/// Ends a number in text; a brace does as well.
const ENDS: u8 = 16;

static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut of = [0; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        of[at] = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => NAME,
            b'0'..=b'9' => DIGIT,
            b':' => COLON,
            b'"' | b'\\' | 0 => QUOTED,
            b'\n' => QUOTED | ENDS,
            b' ' | b'\t' | b'{' => ENDS,
            _ => 0,
        };
        at += 1;
    }
    of
}

/// What a quoted text may hold.
#[derive(Clone, Copy, PartialEq)]
enum Quoted {
    /// Line ends, but no NUL.
    Name,
    /// Line ends and NULs.
    Value,
    /// NULs, but no line ends.
    OneLine,
}

impl<'p> Scan<'p> {
    /// A reader of `text`, which is empty or ends with a line end. Where much of it `is_new`, it is looked
    /// through for UTF-8 once, and not piece by piece.
    pub(super) fn new(text: &'p [u8], format: Format, limits: Limits, is_new: bool) -> Scan<'p> {
        let is_open = format == Format::OpenMetrics;
        let utf8 = if is_new { std::str::from_utf8(text).ok() } else { None };
        Scan { text, utf8, is_open, limits, last_name: Cell::default(), labels: Vec::new(), exemplar: Vec::new() }
    }

    /// The byte there; at the end a line end.
    #[inline]
    fn byte(&self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(b'\n')
    }

    /// Whether a number can begin there.
    pub(super) fn is_word(&self, at: usize) -> bool {
        CLASS[usize::from(self.byte(at))] & ENDS == 0
    }

    #[inline]
    fn blanks(&self, mut at: usize) -> usize {
        if !self.is_open {
            while matches!(self.byte(at), b' ' | b'\t') {
                at += 1;
            }
        }
        at
    }

    /// Behind the line's end.
    pub(super) fn line_end(&self, at: usize) -> usize {
        let rest = self.text.get(at..).unwrap_or_default();
        line_len(rest).map_or(self.text.len(), |len| at + len + 1)
    }

    /// The end of the name that begins there; there where none does.
    fn name(&self, at: usize, letters: u8) -> usize {
        if CLASS[usize::from(self.byte(at))] & letters & !DIGIT == 0 {
            return at;
        }
        let rest = self.text.get(at..).unwrap_or_default();
        at + rest.iter().position(|byte| CLASS[usize::from(*byte)] & letters == 0).unwrap_or(rest.len())
    }

    /// The same of a family's or a sample's name.
    fn long_name(&self, at: usize) -> usize {
        let last = self.last_name.get();
        let known = &self.text[last.begin as usize..last.end as usize];
        let begins_so = last.end > last.begin && self.text.get(at..).is_some_and(|rest| rest.starts_with(known));
        let from = if begins_so { at + known.len() } else { at };
        let letters = NAME | DIGIT | COLON;
        if begins_so && CLASS[usize::from(self.byte(from))] & letters == 0 {
            return from;
        }
        let end = self.name(at, letters);
        if end > at {
            self.last_name.set(Span::new(at..end, false));
        }
        end
    }

    /// The quoted text whose first quote is there.
    fn quoted(&self, at: usize, may: Quoted) -> Result<Span, Fault> {
        let begin = at + 1;
        let mut end = begin;
        let mut escaped = false;
        loop {
            let rest = self.text.get(end..).unwrap_or_default();
            let Some(len) = rest.iter().position(|byte| CLASS[usize::from(*byte)] & QUOTED != 0) else { break };
            end += len;
            match rest[len] {
                b'"' => return Ok(Span::new(begin..end, escaped)),
                b'\\' => {
                    escaped = true;
                    end += 1;
                    if self.byte(end) == b'\n' || (self.byte(end) == 0 && may == Quoted::Name) {
                        break;
                    }
                }
                b'\n' if may == Quoted::OneLine => break,
                0 if may == Quoted::Name => return Err(Fault::form(end, "a name with a NUL in it")),
                _ => {}
            }
            end += 1;
        }
        Err(Fault::form(at, "a quoted text without an end"))
    }

    /// What begins there, at the beginning of a line.
    pub(super) fn begin(&self, at: usize) -> Result<Begin, Fault> {
        if self.is_open {
            return self.begin_open(at);
        }
        let mut nothing = at;
        loop {
            let word = self.blanks(nothing);
            let end = match self.byte(word) {
                b'\n' => word + 1,
                b'#' => {
                    let said = self.blanks(word + 1);
                    let keyword = match self.text.get(said..said + 4) {
                        _ if said == word + 1 => None,
                        Some(b"HELP") => Some(Word::Help),
                        Some(b"TYPE") => Some(Word::Type),
                        _ => None,
                    };
                    let name = self.blanks(said + 4);
                    match keyword {
                        Some(_) if nothing > at && name > said + 4 => return Ok(Begin::Nothing(nothing)),
                        Some(keyword) if name > said + 4 => return Ok(Begin::Meta(name, keyword)),
                        _ => self.line_end(word),
                    }
                }
                _ if nothing > at => return Ok(Begin::Nothing(nothing)),
                _ => return Ok(Begin::Sample(word)),
            };
            nothing = end.min(self.text.len());
            if nothing == self.text.len() {
                return Ok(Begin::Nothing(nothing));
            }
        }
    }

    fn begin_open(&self, at: usize) -> Result<Begin, Fault> {
        let rest = self.text.get(at..).unwrap_or_default();
        if rest.first() != Some(&b'#') {
            return Ok(Begin::Sample(at));
        }
        match rest.get(..7) {
            Some(b"# HELP ") => Ok(Begin::Meta(at + 7, Word::Help)),
            Some(b"# TYPE ") => Ok(Begin::Meta(at + 7, Word::Type)),
            Some(b"# UNIT ") => Ok(Begin::Meta(at + 7, Word::Unit)),
            _ if rest == b"# EOF\n" => Ok(Begin::End(self.text.len())),
            _ if rest.starts_with(b"# EOF") => Err(Fault::form(at + 5, "something behind # EOF")),
            _ => Err(Fault::form(at, "expected HELP, TYPE, UNIT or EOF behind #, and single spaces")),
        }
    }

    /// The line of metadata whose family's name begins there, and its end.
    pub(super) fn meta(&self, at: usize, word: Word) -> Result<(Meta<'p>, usize), Fault> {
        let (name, behind) = if self.byte(at) == b'"' {
            let name = self.quoted(at, Quoted::Name)?;
            (name, name.end as usize + 1)
        } else {
            let end = self.long_name(at);
            if end == at {
                return Err(Fault::form(at, "expected a name behind HELP, TYPE or UNIT"));
            }
            (Span::new(at..end, false), end)
        };
        let end = self.line_end(behind);
        let line = &self.text[behind..end - 1];
        if self.is_open && line.first() != Some(&b' ') {
            return Err(Fault::form(behind, "expected a space and a text behind the name"));
        }
        // Prometheus looks at no byte between name and text, and in text takes mere blanks for none.
        let is_blank = !self.is_open && line.iter().all(|byte| matches!(byte, b' ' | b'\t'));
        let begin = if is_blank { end - 1 } else { behind + 1 };
        let text = Span::new(begin..end - 1, self.text[begin..end - 1].contains(&b'\\'));
        let family = self.text(name)?;
        self.check_name(name)?;
        if family.is_empty() {
            return Err(Fault::form(at, "an empty name"));
        }
        let said = match word {
            Word::Help => {
                let help = self.slice(text)?;
                Said::Help(cut(if text.escaped { unescaped(help, self.is_open) } else { help.into() }))
            }
            Word::Type => Said::Type(self.type_of(begin, &self.text[begin..end - 1])?),
            Word::Unit => {
                let unit = self.slice(text)?;
                // As it is written, with escapes, as Prometheus does it.
                let written = self.slice(name)?;
                let is_suffix = written.strip_suffix(unit).is_some_and(|stem| stem.ends_with('_'));
                if !unit.is_empty() && !is_suffix {
                    return Err(Fault::form(begin, "the unit is not the end of the family's name"));
                }
                Said::Unit(unit.into())
            }
        };
        Ok((Meta { name: family, said }, end))
    }

    fn type_of(&self, at: usize, word: &[u8]) -> Result<Type, Fault> {
        Ok(match (self.is_open, word) {
            (_, b"counter") => Type::Counter,
            (_, b"gauge") => Type::Gauge,
            (_, b"histogram") => Type::Histogram,
            (_, b"summary") => Type::Summary,
            (false, b"untyped") | (true, b"unknown") => Type::Unknown,
            (true, b"gaugehistogram") => Type::GaugeHistogram,
            (true, b"info") => Type::Info,
            (true, b"stateset") => Type::StateSet,
            _ => return Err(Fault::form(at, "a type that the format does not have")),
        })
    }

    /// A sample up to its number: `at` is its name or its brace. Its labels are in `labels`.
    pub(super) fn head(&mut self, at: usize) -> Result<Head, Fault> {
        let mut labels = std::mem::take(&mut self.labels);
        labels.clear();
        let head = self.head_into(at, &mut labels);
        self.labels = labels;
        head
    }

    fn head_into(&self, at: usize, labels: &mut Vec<Label>) -> Result<Head, Fault> {
        let end = self.long_name(at);
        let mut name = (end > at).then(|| Span::new(at..end, false));
        let mut behind = self.blanks(end);
        if self.byte(behind) == b'{' {
            behind = self.labels_into(behind + 1, Some(&mut name), labels)?;
            end_of_braces(self.byte(behind), self.is_open).map_err(|what| Fault::form(behind, what))?;
        } else if name.is_none() {
            return Err(Fault::form(at, "expected a name, a brace or a comment"));
        } else if !matches!(self.byte(end), b' ' | b'\t') {
            return Err(Fault::form(end, "expected a blank behind the name"));
        }
        let Some(name) = name else { return Err(Fault::form(at, "a sample without a name")) };
        self.check_name(name)?;
        if name.len() == 0 {
            return Err(Fault::form(at, "an empty name"));
        }
        let number = if !self.is_open {
            self.blanks(behind)
        } else if self.byte(behind) == b' ' {
            behind + 1
        } else {
            return Err(Fault::form(behind, "expected a space in front of the number"));
        };
        Ok(Head { name, end: number })
    }

    /// The labels whose brace is open, up to behind the one that closes it. A quoted text alone
    /// is the sample's name, where there may be one.
    fn labels_into(
        &self,
        at: usize,
        mut name: Option<&mut Option<Span>>,
        labels: &mut Vec<Label>,
    ) -> Result<usize, Fault> {
        let is_exemplar = name.is_none();
        let mut at = self.blanks(at);
        loop {
            let begin = at;
            let label = match self.byte(at) {
                b'}' => return Ok(at + 1),
                b'"' => {
                    let may = if is_exemplar { Quoted::OneLine } else { Quoted::Name };
                    let label = self.quoted(at, may)?;
                    at = self.blanks(label.end as usize + 1);
                    if let (b',' | b'}', Some(name)) = (self.byte(at), &mut name) {
                        if name.replace(label).is_some() {
                            return Err(Fault::form(begin, "a second name"));
                        }
                        at = self.blanks(at + usize::from(self.byte(at) == b','));
                        continue;
                    }
                    label
                }
                _ => {
                    let end = self.name(at, NAME | DIGIT);
                    if end == at {
                        return Err(Fault::form(at, "expected a label's name"));
                    }
                    at = self.blanks(end);
                    Span::new(begin..end, false)
                }
            };
            if self.byte(at) != b'=' {
                return Err(Fault::form(at, "expected = behind the label's name"));
            }
            at = self.blanks(at + 1);
            if self.byte(at) != b'"' {
                return Err(Fault::form(at, "expected a label's value in quotes"));
            }
            let value = self.quoted(at, if self.is_open { Quoted::OneLine } else { Quoted::Value })?;
            self.take(Label { name: label, value }, is_exemplar, labels)?;
            at = self.blanks(value.end as usize + 1);
            match self.byte(at) {
                b',' => at = self.blanks(at + 1),
                b'}' => {}
                // Text may do without.
                _ if !self.is_open => {}
                _ => return Err(Fault::form(at, "expected a comma or a closing brace")),
            }
        }
    }

    fn take(&self, label: Label, is_exemplar: bool, labels: &mut Vec<Label>) -> Result<(), Fault> {
        let (at, limits) = (label.name.begin as usize, &self.limits);
        if is_exemplar {
            // One more than there may be is enough to know.
            if labels.len() <= EXEMPLAR {
                labels.push(label);
            }
        } else if labels.len() == limits.labels {
            return Err(Fault::limit(at, "labels", limits.labels));
        } else if label.name.len() > limits.label_name_bytes {
            return Err(Fault::limit(at, "label_name_bytes", limits.label_name_bytes));
        } else if label.value.len() > limits.label_value_bytes {
            return Err(Fault::limit(at, "label_value_bytes", limits.label_value_bytes));
        } else {
            labels.push(label);
        }
        Ok(())
    }

    /// A series' name is the value of its label `__name__`.
    fn check_name(&self, name: Span) -> Result<(), Fault> {
        let most = self.limits.label_value_bytes;
        if name.len() > most { Err(Fault::limit(name.begin as usize, "label_value_bytes", most)) } else { Ok(()) }
    }

    /// The number that begins there, with what stands behind it.
    pub(super) fn tail(&mut self, at: usize) -> Result<Tail, Fault> {
        if let Some((value, len)) = number::short(self.text.get(at..).unwrap_or_default()) {
            if self.byte(at + len) == b'\n' {
                return Ok(Tail { value, time_ms: None, exemplar: None, end: at + len + 1 });
            }
        }
        if self.is_open { self.tail_open(at) } else { self.tail_text(at) }
    }

    /// The end of a word that only `ends` end.
    fn word(&self, at: usize, is_end: impl Fn(u8) -> bool) -> usize {
        let rest = self.text.get(at..).unwrap_or_default();
        rest.iter().position(|byte| is_end(*byte)).map_or(self.text.len(), |len| at + len)
    }

    fn number(&self, at: usize, end: usize) -> Result<f64, Fault> {
        let word = self.text.get(at..end).unwrap_or_default();
        number::whole(word).ok_or(Fault::form(at, "expected a number"))
    }

    fn tail_text(&self, at: usize) -> Result<Tail, Fault> {
        let end = self.word(at, |byte| CLASS[usize::from(byte)] & ENDS != 0);
        let value = self.number(at, end)?;
        let begin = self.blanks(end);
        let mut behind = begin;
        let mut time_ms = None;
        if self.byte(begin).is_ascii_digit() {
            behind = self.word(begin, |byte| !byte.is_ascii_digit());
            let digits = std::str::from_utf8(&self.text[begin..behind]).unwrap_or_default();
            let time = digits.parse().map_err(|_| Fault::form(begin, "a time beyond 64 bits"))?;
            (time_ms, behind) = (Some(time), self.blanks(behind));
        }
        if self.byte(behind) != b'\n' {
            return Err(Fault::form(behind, "expected a time in milliseconds or the line's end"));
        }
        Ok(Tail { value, time_ms, exemplar: None, end: behind + 1 })
    }

    fn tail_open(&mut self, at: usize) -> Result<Tail, Fault> {
        let is_end = |byte| matches!(byte, b' ' | b'\n');
        let mut end = self.word(at, is_end);
        let value = self.number(at, end)?;
        let is_exemplar = |scan: &Scan<'_>, at: usize| scan.text.get(at..at + 4) == Some(b" # {");
        let time_ms = if self.byte(end) == b' ' && !is_exemplar(self, end) {
            let begin = end + 1;
            end = self.word(begin, is_end);
            Some(self.time(begin, end)?)
        } else {
            None
        };
        let mut exemplar = None;
        if is_exemplar(self, end) {
            let mut labels = std::mem::take(&mut self.exemplar);
            labels.clear();
            let behind = self.labels_into(end + 4, None, &mut labels);
            self.exemplar = labels;
            let behind = behind?;
            if self.byte(behind) != b' ' {
                return Err(Fault::form(behind, "expected a space and a number behind the exemplar's labels"));
            }
            end = self.word(behind + 1, is_end);
            let number = self.number(behind + 1, end)?;
            let mut time = None;
            if self.byte(end) == b' ' {
                let begin = end + 1;
                end = self.word(begin, is_end);
                time = Some(self.time(begin, end)?);
            }
            exemplar = Some((number, time));
        }
        if self.byte(end) != b'\n' {
            return Err(Fault::form(end, "expected the line's end"));
        }
        Ok(Tail { value, time_ms, exemplar, end: end + 1 })
    }

    /// A time in seconds, as milliseconds; digits behind these are cut off.
    fn time(&self, at: usize, end: usize) -> Result<i64, Fault> {
        let seconds = self.number(at, end)?;
        if !seconds.is_finite() {
            return Err(Fault::form(at, "a time that is no number"));
        }
        Ok((seconds * 1000.0) as i64)
    }

    /// The text of a span, as it is written.
    #[inline]
    fn slice(&self, span: Span) -> Result<&'p str, Fault> {
        // None where an end is within a character.
        if let Some(text) = self.utf8.and_then(|text| text.get(span.begin as usize..span.end as usize)) {
            return Ok(text);
        }
        let bytes = &self.text[span.begin as usize..span.end as usize];
        std::str::from_utf8(bytes).map_err(|error| Fault::form(span.begin as usize + error.valid_up_to(), "not UTF-8"))
    }

    /// The text of a span, without escapes.
    #[inline]
    pub(super) fn text(&self, span: Span) -> Result<Cow<'p, str>, Fault> {
        let text = self.slice(span)?;
        Ok(if span.escaped { unescaped(text, true) } else { Cow::Borrowed(text) })
    }

    /// The labels of the sample at hand. Those that are empty are left out.
    pub(super) fn labels_of(&self, out: &mut Vec<Pair<'p>>) -> Result<(), Fault> {
        out.clear();
        let mut are_empty = false;
        for label in &self.labels {
            let (name, value) = (self.text(label.name)?, self.text(label.value)?);
            let at = label.name.begin as usize;
            if name.is_empty() {
                return Err(Fault::form(at, "an empty label name"));
            }
            if name == "__name__" {
                return Err(Fault::form(at, "a second name, as a label"));
            }
            are_empty |= value.is_empty();
            out.push((name, value));
        }
        if let Some(twice) = repeated(out) {
            return Err(Fault::form(self.labels[twice].name.begin as usize, "a label that was there before"));
        }
        if are_empty {
            out.retain(|(_, value)| !value.is_empty());
        }
        Ok(())
    }

    /// The labels of its exemplar, and whether they keep to OpenMetrics' bound.
    pub(super) fn exemplar_of(&self, out: &mut Vec<Pair<'p>>) -> Result<bool, Fault> {
        out.clear();
        let mut characters = 0;
        for label in &self.exemplar {
            if characters > EXEMPLAR {
                return Ok(false);
            }
            let (name, value) = (self.text(label.name)?, self.text(label.value)?);
            characters += name.chars().count() + value.chars().count();
            out.push((name, value));
        }
        Ok(characters <= EXEMPLAR && repeated(out).is_none())
    }
}

/// How many bytes of `text` are in front of its first line end. Eight a step: with the line ends made
/// zero, a byte that borrows is the first of them.
fn line_len(text: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    let mut words = text.chunks_exact(8);
    let mut at = 0;
    for word in &mut words {
        let word = word.try_into().map_or(0, u64::from_le_bytes) ^ u64::from_ne_bytes([b'\n'; 8]);
        let found = word.wrapping_sub(ONES) & !word & HIGH;
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    words.remainder().iter().position(|byte| *byte == b'\n').map(|len| at + len)
}

/// What may stand behind a closing brace.
fn end_of_braces(byte: u8, is_open: bool) -> Result<(), &'static str> {
    match byte {
        b'\n' => Err("expected a number behind the labels"),
        b' ' => Ok(()),
        _ if is_open => Err("expected a space in front of the number"),
        _ => Ok(()),
    }
}

/// The place of a label whose name stands in front of it too.
fn repeated(labels: &[Pair<'_>]) -> Option<usize> {
    /// Up to so many, comparing each with each is faster than sorting.
    const FEW: usize = 16;
    if labels.len() <= FEW {
        return (1..labels.len()).find(|at| labels[..*at].iter().any(|before| before.0 == labels[*at].0));
    }
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order::sort_by(&mut order, |a, b| labels[*a].0.cmp(&labels[*b].0).then(a.cmp(b)));
    order.windows(2).find(|two| labels[two[0]].0 == labels[two[1]].0).map(|two| two[1])
}

/// Without escapes: of backslash, line end and, where `quotes`, the quote. A backslash in front
/// of something else stays, as Prometheus has it.
fn unescaped(text: &str, quotes: bool) -> Cow<'_, str> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('\\') {
        out.push_str(before);
        let (plain, len) = match behind.as_bytes().first() {
            Some(b'\\') => ('\\', 1),
            Some(b'n') => ('\n', 1),
            Some(b'"') if quotes => ('"', 1),
            _ => ('\\', 0),
        };
        out.push(plain);
        rest = &behind[len..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// At most [`HELP`] bytes, whole characters.
fn cut(text: Cow<'_, str>) -> Cow<'_, str> {
    let mut len = text.len().min(HELP);
    while !text.is_char_boundary(len) {
        len -= 1;
    }
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[..len]),
        Cow::Owned(mut text) => {
            text.truncate(len);
            Cow::Owned(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_those_of_prometheus() {
        assert_eq!(unescaped(r#"a\\n\n\"\x\"#, true), "a\\n\n\"\\x\\");
        assert_eq!(unescaped(r#"\"\\\n"#, false), "\\\"\\\n");
    }

    #[test]
    fn a_long_help_text_is_cut_between_characters() {
        let long = format!("{}é", "x".repeat(HELP - 1));
        assert_eq!(cut(long.as_str().into()).len(), HELP - 1);
        assert_eq!(cut(long.into()).len(), HELP - 1);
    }

    #[test]
    fn names_that_come_twice_are_found_among_many() {
        let many = |twice: usize| -> Vec<Pair<'static>> {
            (0..twice).chain([3]).map(|at| (format!("l{at}").into(), "".into())).collect()
        };
        assert_eq!(repeated(&many(10)), Some(10));
        assert_eq!(repeated(&many(100)), Some(100));
        assert_eq!(repeated(&many(100)[..100]), None);
        assert_eq!(repeated(&many(3)), None);
    }

    #[test]
    fn the_first_line_end_is_found_wherever_it_stands() {
        for before in 0..40 {
            // A line end is also told from its neighbours, and from itself with the upper bit.
            let text = ["\u{b}\t\u{8a}\u{10a}".repeat(20).as_bytes()[..before].to_vec(), b"\n\x0b\n".to_vec()].concat();
            assert_eq!(line_len(&text), Some(before));
            assert_eq!(line_len(&text[..before]), None);
        }
    }
}
