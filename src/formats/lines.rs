//! Bodies of lines, each with one number or several: what such formats have in common.
//!
//! Everything but numbers and times is constant from tick to tick, and compiled once a view. A number
//! that is none (NaN, an infinity) is left out and counted.

use std::io::Write;
use std::marker::PhantomData;
use std::sync::Arc;

use super::body::{Content, Piece, cuts};
use super::compiled::Compiled;
use super::encoder::{Bodies, Encoded, Encoder};
use super::gzip::{pack, unpack};
use super::number::write_number;
use super::part::{Part, parts, runs, samples};
use crate::model::Batch;
use crate::shaping::{Perspective, View};

/// A format of such lines.
pub trait Lined: Send + Sync + 'static {
    /// What is constant of a view.
    fn lines(view: &View) -> Lines;

    /// Writes what stands behind a line's last number, its time in milliseconds and its end included.
    fn write_end(time_ms: i64, out: &mut Vec<u8>);

    /// How many numbers a line of this format has; it stands without its end.
    fn numbers(line: &[u8]) -> u64;
}

/// What is constant of a view: of each line what stands in front of its first number, and in front of each
/// further one.
#[derive(Debug, Default)]
pub struct Lines {
    text: Vec<u8>,
    lines: Vec<Line>,
    fields: Vec<Field>,
}

/// Where it ends in the text and among the fields; it begins where the one before ends.
#[derive(Debug)]
struct Line {
    head_end: usize,
    fields_end: usize,
}

/// A number of a line: where what stands in front of it ends, and which series' it is.
#[derive(Debug)]
struct Field {
    end: usize,
    series: u32,
}

impl Lines {
    /// One more line, which begins with `head`.
    pub fn line(&mut self, head: &[u8]) {
        self.text.extend_from_slice(head);
        self.lines.push(Line { head_end: self.text.len(), fields_end: self.fields.len() });
    }

    /// One more number of the last line: that of the view's series of that number, behind `before`.
    pub fn field(&mut self, before: &[u8], series: usize) {
        let Some(line) = self.lines.last_mut() else { return };
        self.text.extend_from_slice(before);
        self.fields.push(Field { end: self.text.len(), series: series as u32 });
        line.fields_end = self.fields.len();
    }

    /// Writes the lines with these numbers, of one time, whose text is `end`. How many numbers were written.
    #[inline]
    fn write(&self, values: &[f64], end: &[u8], out: &mut Vec<u8>) -> u64 {
        let (mut from, mut first, mut written) = (0, 0, 0);
        for line in &self.lines {
            let begin = out.len();
            out.extend_from_slice(&self.text[from..line.head_end]);
            from = line.head_end;
            let before = written;
            for field in &self.fields[first..line.fields_end] {
                let value = values[field.series as usize];
                if value.is_finite() {
                    if written > before {
                        out.push(b',');
                    }
                    out.extend_from_slice(&self.text[from..field.end]);
                    write_number(value, out);
                    written += 1;
                }
                from = field.end;
            }
            first = line.fields_end;
            if written > before { out.extend_from_slice(end) } else { out.truncate(begin) }
        }
        written
    }

    /// The same where numbers have times of their own: a line each, whose end `end` writes for a series.
    fn write_timed(&self, values: &[f64], end: impl Fn(usize, &mut Vec<u8>), out: &mut Vec<u8>) -> u64 {
        let (mut from, mut first, mut written) = (0, 0, 0);
        for line in &self.lines {
            let head = &self.text[from..line.head_end];
            from = line.head_end;
            for field in &self.fields[first..line.fields_end] {
                let value = values[field.series as usize];
                if value.is_finite() {
                    out.extend_from_slice(head);
                    out.extend_from_slice(&self.text[from..field.end]);
                    write_number(value, out);
                    end(field.series as usize, out);
                    written += 1;
                }
                from = field.end;
            }
            first = line.fields_end;
        }
        written
    }
}

/// What is kept of a view, by format.
struct Kept<L>(Lines, PhantomData<L>);

/// Encodes for one destination.
pub struct LineEncoder<L> {
    from: Perspective,
    content: Content,
    views: Compiled<Arc<View>>,
    text: Vec<u8>,
    values: Vec<f64>,
    end: Vec<u8>,
    format: PhantomData<L>,
}

impl<L: Lined> LineEncoder<L> {
    /// What is seen `from` there; compressed where `content` says so.
    pub fn new(from: Perspective, content: Content) -> LineEncoder<L> {
        LineEncoder {
            from,
            content,
            views: Compiled::default(),
            text: Vec::new(),
            values: Vec::new(),
            end: Vec::new(),
            format: PhantomData,
        }
    }

    /// Writes the lines of a part behind `text`. How many numbers were written.
    fn write(&mut self, part: &Part<'_>) -> u64 {
        let kept = part.view.kept(|| Kept::<L>(L::lines(&part.view), PhantomData));
        let values = part.view.values(part.values, &mut self.values);
        match part.times {
            None => {
                self.end.clear();
                L::write_end(part.time_ms, &mut self.end);
                kept.0.write(values, &self.end, &mut self.text)
            }
            Some(times) => {
                let time = |at: usize| part.view.get(at).time_ms(part.time_ms, Some(times));
                kept.0.write_timed(values, |at, out| L::write_end(time(at), out), &mut self.text)
            }
        }
    }
}

impl<L: Lined> Encoder for LineEncoder<L> {
    fn encode(&mut self, batch: &Batch, most: u64, out: &mut Bodies) -> Encoded {
        let parts = parts(batch, &self.from, &mut self.views);
        let mut encoded = Encoded::default();
        for run in runs(&parts, usize::try_from(most).unwrap_or(usize::MAX).max(1)) {
            self.text.clear();
            let written: u64 = run.iter().map(|part| self.write(part)).sum();
            encoded.samples += written;
            encoded.unencodable += samples(run) - written;
            // A chunk alone was too large.
            match (written > most).then(|| divided::<L>(&self.text, most)).flatten() {
                Some(pieces) => pieces.into_iter().for_each(|(text, samples)| {
                    let mut body = out.room();
                    pack(&self.content, text, &mut body);
                    out.push(body, samples);
                }),
                None if written > 0 => {
                    let mut body = out.room();
                    pack(&self.content, &self.text, &mut body);
                    out.push(body, written);
                }
                None => {}
            }
        }
        encoded
    }

    fn content(&self) -> Content {
        Arc::clone(&self.content)
    }
}

/// Divides a body between lines.
pub fn divide<L: Lined>(content: &Content, body: &[u8], most: u64) -> Option<Vec<Piece>> {
    let text = unpack(content, body)?;
    let pieces = divided::<L>(&text, most)?;
    let piece = |(text, samples): (&[u8], u64)| {
        let mut bytes = Vec::new();
        pack(content, text, &mut bytes);
        Piece { bytes, samples }
    };
    Some(pieces.into_iter().map(piece).collect())
}

/// How many numbers each line of `text` has.
pub fn numbers<'t, L: Lined>(text: &'t [u8]) -> impl Iterator<Item = u64> + 't {
    text.split_inclusive(|byte| *byte == b'\n').map(|line| L::numbers(line.strip_suffix(b"\n").unwrap_or(line)))
}

/// The text in pieces of whole lines, of `most` numbers at most, as far as a line has no more; none where it is
/// one line.
fn divided<L: Lined>(text: &[u8], most: u64) -> Option<Vec<(&[u8], u64)>> {
    let total = usize::try_from(numbers::<L>(text).sum::<u64>()).ok()?;
    let mut ends = cuts(total, most)?;
    let mut all = Vec::new();
    let (mut begin, mut end, mut held, mut passed) = (0, 0, 0, 0);
    let mut until = ends.next()? as u64;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let count = L::numbers(line.strip_suffix(b"\n").unwrap_or(line));
        if held > 0 && (passed + count > until || held + count > most) {
            all.push((&text[begin..end], held));
            (begin, held) = (end, 0);
        }
        while passed + count > until {
            until = ends.next().map_or(u64::MAX, |end| end as u64);
        }
        end += line.len();
        held += count;
        passed += count;
    }
    if end > begin {
        all.push((&text[begin..end], held));
    }
    (all.len() > 1).then_some(all)
}

/// Writes a whole number.
pub fn write_whole(number: i64, out: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _ = write!(out, "{number}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::body::content;
    use crate::formats::gzip::{GZIP, gunzip, gzip};

    /// Lines with as many numbers as they have commas, and one.
    struct Commas;

    impl Lined for Commas {
        fn lines(_: &View) -> Lines {
            Lines::default()
        }

        fn write_end(_: i64, _: &mut Vec<u8>) {}

        fn numbers(line: &[u8]) -> u64 {
            1 + line.iter().filter(|byte| **byte == b',').count() as u64
        }
    }

    fn pieces(text: &str, most: u64) -> Option<Vec<(String, u64)>> {
        let all = divide::<Commas>(&content(&[]), text.as_bytes(), most)?;
        Some(all.into_iter().map(|piece| (String::from_utf8(piece.bytes).unwrap(), piece.samples)).collect())
    }

    #[test]
    fn a_body_is_divided_between_lines_until_one_is_left() {
        let of = |all: &[(&str, u64)]| Some(all.iter().map(|(text, n)| ((*text).to_owned(), *n)).collect::<Vec<_>>());
        assert_eq!(pieces("1\n2\n3\n4\n", 2), of(&[("1\n2\n", 2), ("3\n4\n", 2)]));
        assert_eq!(pieces("1\n2\n3\n4\n", 100), of(&[("1\n2\n", 2), ("3\n4\n", 2)]), "two at least");
        assert_eq!(pieces("1\n2\n3\n4\n5\n", 2), of(&[("1\n", 1), ("2\n3\n", 2), ("4\n5\n", 2)]));
        assert_eq!(pieces("1,1\n2,2\n3\n", 2), of(&[("1,1\n", 2), ("2,2\n", 2), ("3\n", 1)]));
        assert_eq!(pieces("1,1,1\n2\n", 1), of(&[("1,1,1\n", 3), ("2\n", 1)]), "a line is not cut");
        assert_eq!(pieces("1,1,1\n", 1), None);
        assert_eq!(pieces("", 1), None);
        let zipped = content(&[GZIP]);
        let mut body = Vec::new();
        gzip(b"1\n2\n", &mut body);
        let halves = divide::<Commas>(&zipped, &body, 1).unwrap();
        assert_eq!(gunzip(&halves[1].bytes).unwrap(), b"2\n");
        assert!(divide::<Commas>(&zipped, b"no gzip", 1).is_none());
    }

    #[test]
    fn what_is_no_number_is_left_out_and_a_line_of_none_too() {
        let mut lines = Lines::default();
        lines.line(b"a ");
        lines.field(b"x=", 0);
        lines.field(b"y=", 2);
        lines.line(b"b ");
        lines.field(b"", 1);
        let write = |values: &[f64]| {
            let mut out = Vec::new();
            let written = lines.write(values, b" 7\n", &mut out);
            (String::from_utf8(out).unwrap(), written)
        };
        assert_eq!(write(&[1.0, 2.5, -3.0]), ("a x=1,y=-3 7\nb 2.5 7\n".to_owned(), 3));
        assert_eq!(write(&[f64::NAN, 2.5, 1e300]), ("a y=1e+300 7\nb 2.5 7\n".to_owned(), 2));
        assert_eq!(write(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]), (String::new(), 0));
        let mut out = Vec::new();
        let end = |series: usize, out: &mut Vec<u8>| write_whole(series as i64, out);
        assert_eq!(lines.write_timed(&[1.0, f64::NAN, 3.0], end, &mut out), 2);
        assert_eq!(String::from_utf8(out).unwrap(), "a x=10a y=32");
    }
}
