//! A page, compared with how it looked the last time.
//!
//! A [`Page`] keeps of each line what does not change, and how long it is: of a sample all up to its
//! number, of all other lines all of it. A page on which only numbers changed leaves that alone.
//!
//! ```text
//! page: # TYPE a counter\na{x="1"} 17\na{x="2"} 40\n...
//! kept: # TYPE a counter\na{x="1"} a{x="2"} ...
//! ```
//!
//! Where a line differs, the next lines of the last page are looked at, and the one that comes if as
//! many were replaced as are new; if it is none of these time and again, lines are found by an
//! [`Index`], which is made once. What is new and what is
//! gone are noted as edits of the lines, and made when the whole page was good.

use super::families::{Families, Place};
use super::flaw::{Fault, Flaw};
use super::index::Index;
use super::scan::{Begin, Head, Pair, Scan, Tail, Word};
use super::{Exemplar, Format, Limits, Point, Role, Series, Sink};

/// How many lines of the last page are looked at ahead of a line that differs: what a handful of
/// series that went, or were replaced, may take.
const AHEAD: usize = 32;

/// After so many new samples in a row, and this share of what is left of the last page, lines are
/// found by their text; after a new line of metadata at once, since the samples behind it would be
/// new for its sake. To be able to find them costs a fraction of reading for each line that is left.
const PATIENCE: usize = 2;
const SHARE: usize = 64;

/// The largest page, in bytes: what a [`Line`] can say.
const PAGE: usize = Line::LEN as usize;

/// A line, or several that say nothing: how long it is, without what changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Line(u32);

impl Line {
    const LEN: u32 = (1 << 29) - 1;
    /// A sample, up to its number. What holds for it was said in its own block of metadata.
    const SAMPLE: u32 = 0 << 29;
    /// A sample for which more has to be known.
    const LOOSE: u32 = 1 << 29;
    /// Metadata, in the block of the line before.
    const META: u32 = 2 << 29;
    /// Metadata that begins a block.
    const BEGINS: u32 = 3 << 29;
    /// Comments, blank lines, or the end.
    const NOTHING: u32 = 4 << 29;

    fn new(is: u32, len: usize) -> Line {
        // No page is longer than PAGE.
        Line(is | len as u32)
    }

    fn is(self) -> u32 {
        self.0 & !Line::LEN
    }

    fn len(self) -> usize {
        (self.0 & Line::LEN) as usize
    }

    fn is_sample(self) -> bool {
        self.is() <= Line::LOOSE
    }

    fn is_meta(self) -> bool {
        matches!(self.is(), Line::META | Line::BEGINS)
    }
}

/// What a page looked like the last time, and what was made of it.
#[derive(Debug)]
pub struct Page<K> {
    /// What is kept of the lines, one behind the other.
    text: Vec<u8>,
    format: Format,
    limits: Limits,
    lines: Vec<Line>,
    /// What is kept of each sample.
    known: Vec<K>,
}

/// What was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// Samples, also those that were not wanted.
    pub samples: usize,
    /// Those of them whose text was learnt anew.
    pub fresh: usize,
}

impl<K> Default for Page<K> {
    fn default() -> Page<K> {
        Page::new()
    }
}

impl<K> Page<K> {
    /// A page that was never read.
    pub fn new() -> Page<K> {
        Page { text: Vec::new(), format: Format::Text, limits: Limits::default(), lines: Vec::new(), known: Vec::new() }
    }

    /// Forgets how the page looked: all is learnt anew the next time.
    pub fn clear(&mut self) {
        *self = Page::new();
    }

    /// What is known of each sample, in the page's order.
    pub fn known_mut(&mut self) -> &mut [K] {
        &mut self.known
    }

    /// The bytes that it takes, what the known point at not counted.
    pub fn bytes(&self) -> usize {
        self.text.capacity() + self.lines.capacity() * size_of::<Line>() + self.known.capacity() * size_of::<K>()
    }

    /// What must always hold: the lines are the text, and each sample has what is known of it.
    #[cfg(test)]
    pub(super) fn check(&self) {
        let samples = self.lines.iter().filter(|line| line.is_sample()).count();
        assert_eq!(self.known.len(), samples);
        assert_eq!(self.lines.iter().map(|line| line.len()).sum::<usize>(), self.text.len());
    }

    /// Reads `text`, to which a line end may be added.
    ///
    /// # Errors
    /// Where the page breaks its format or is over a limit. What the sink was given does not
    /// count then, and the page stays as it was the last time.
    pub fn read<S: Sink<Known = K>>(
        &mut self,
        text: &mut Vec<u8>,
        format: Format,
        limits: &Limits,
        sink: &mut S,
    ) -> Result<Read, Flaw> {
        if text.len() >= PAGE {
            return Err(Fault::limit(0, "page size", PAGE).within(&[]));
        }
        if text.last().is_some_and(|last| *last != b'\n') {
            text.push(b'\n');
        }
        if (self.format, self.limits) != (format, *limits) {
            self.text.clear();
            self.lines.clear();
            self.known.clear();
            (self.format, self.limits) = (format, *limits);
        }
        let mut reading = Reading::new(self, text, sink);
        reading.all().map_err(|fault| fault.within(text))?;
        let Reading { read, edits, .. } = reading;
        self.edit(edits);
        Ok(read)
    }

    /// Puts what is new in the place of what is gone.
    fn edit(&mut self, edits: Edits<K>) {
        let lines = self.lines.len();
        match edits.all.as_slice() {
            [] => return,
            [edit] if edit.old_lines == (0..lines) => {
                (self.text, self.lines, self.known) = (edits.text, edits.lines, edits.known);
                self.text.shrink_to_fit();
                self.lines.shrink_to_fit();
                self.known.shrink_to_fit();
                return;
            }
            _ => {}
        }
        let gone = |of: fn(&Edit) -> usize| edits.all.iter().map(of).sum::<usize>();
        let text = self.text.len() - gone(|edit| edit.old_text.len()) + edits.text.len();
        let lines = self.lines.len() - gone(|edit| edit.old_lines.len()) + edits.lines.len();
        let known = self.known.len() - gone(|edit| edit.old_known.len()) + edits.known.len();
        let old_text = std::mem::replace(&mut self.text, Vec::with_capacity(text));
        let old_lines = std::mem::replace(&mut self.lines, Vec::with_capacity(lines));
        let old_known = std::mem::replace(&mut self.known, Vec::with_capacity(known));
        let (mut old_lines, mut old_known) = (old_lines.into_iter(), old_known.into_iter());
        let (mut new_lines, mut new_known) = (edits.lines.into_iter(), edits.known.into_iter());
        let (mut line, mut sample, mut at, mut new_at) = (0, 0, 0, 0);
        for edit in edits.all {
            self.text.extend_from_slice(&old_text[at..edit.old_text.start]);
            self.text.extend_from_slice(&edits.text[new_at..new_at + edit.new_text]);
            (at, new_at) = (edit.old_text.end, new_at + edit.new_text);
            self.lines.extend(old_lines.by_ref().take(edit.old_lines.start - line));
            self.known.extend(old_known.by_ref().take(edit.old_known.start - sample));
            old_lines.by_ref().take(edit.old_lines.len()).for_each(drop);
            old_known.by_ref().take(edit.old_known.len()).for_each(drop);
            self.lines.extend(new_lines.by_ref().take(edit.new_lines));
            self.known.extend(new_known.by_ref().take(edit.new_known));
            (line, sample) = (edit.old_lines.end, edit.old_known.end);
        }
        self.text.extend_from_slice(&old_text[at..]);
        self.lines.extend(old_lines);
        self.known.extend(old_known);
    }
}

/// Lines of the last page that are gone, and how many new ones stand there.
struct Edit {
    old_text: std::ops::Range<usize>,
    old_lines: std::ops::Range<usize>,
    old_known: std::ops::Range<usize>,
    new_text: usize,
    new_lines: usize,
    new_known: usize,
}

/// What has changed of a page's lines, in their order.
struct Edits<K> {
    all: Vec<Edit>,
    text: Vec<u8>,
    lines: Vec<Line>,
    known: Vec<K>,
}

/// A place in the last page.
#[derive(Clone, Copy)]
struct Old {
    /// The line.
    line: usize,
    /// Where it begins.
    at: usize,
    /// The samples in front of it.
    known: usize,
}

/// A page that is being read.
struct Reading<'r, 'p, S: Sink> {
    page: &'r Page<S::Known>,
    sink: &'r mut S,
    text: &'p [u8],
    scan: Scan<'p>,
    /// Where the next line begins, here and in the last page.
    at: usize,
    old: Old,
    /// Whether the last thing that was done to the lines was an edit, which goes on.
    is_edit: bool,
    edits: Edits<S::Known>,
    read: Read,
    /// Lines since one was as before.
    in_a_row: usize,
    /// As many lines further in the last page: where it goes on if these took the place of as many.
    guess: Old,
    index: Option<Index>,
    /// An old line that was looked for, and where it comes in this page.
    coming: Option<(usize, usize)>,
    /// How many bytes were looked through for such lines.
    looked: usize,
    families: Families<'p>,
    /// Lines of metadata that are as before, and that `families` has not been told yet.
    unsaid: Vec<u32>,
    /// The sample here is one of the last page, which its sink asks for.
    is_seen: bool,
    /// Whether any metadata has changed so far.
    has_new_meta: bool,
    /// Whether the block of metadata here is the one that was here the last time.
    is_same_block: bool,
    has_end: bool,
    labels: Vec<Pair<'p>>,
    exemplar: Vec<Pair<'p>>,
}

impl<'r, 'p, S: Sink> Reading<'r, 'p, S> {
    fn new(page: &'r Page<S::Known>, text: &'p [u8], sink: &'r mut S) -> Reading<'r, 'p, S> {
        // Most of a new page is kept.
        let new_text = Vec::with_capacity(if page.lines.is_empty() { text.len() } else { 0 });
        Reading {
            page,
            sink,
            text,
            scan: Scan::new(text, page.format, page.limits, page.lines.is_empty()),
            at: 0,
            old: Old { line: 0, at: 0, known: 0 },
            is_edit: false,
            edits: Edits { all: Vec::new(), text: new_text, lines: Vec::new(), known: Vec::new() },
            read: Read::default(),
            in_a_row: 0,
            guess: Old { line: 0, at: 0, known: 0 },
            index: None,
            coming: None,
            looked: 0,
            families: Families::default(),
            unsaid: Vec::new(),
            is_seen: false,
            has_new_meta: false,
            is_same_block: true,
            has_end: false,
            labels: Vec::new(),
            exemplar: Vec::new(),
        }
    }

    fn all(&mut self) -> Result<(), Fault> {
        while self.at < self.text.len() {
            match self.page.lines.get(self.old.line) {
                Some(line) if self.is_as(*line, self.old.at, self.at) => self.same(*line)?,
                Some(_) if self.is_at_guess() || (self.index.is_none() && self.look_ahead()) => {}
                _ => self.other()?,
            }
        }
        if self.page.format == Format::OpenMetrics && !self.has_end {
            return Err(Fault::form(self.text.len(), "the page does not end with # EOF"));
        }
        self.skip_to(self.page.lines.len());
        Ok(())
    }

    /// Whether the text here is that of the old line there.
    fn is_as(&self, line: Line, old: usize, at: usize) -> bool {
        match (self.text.get(at..at + line.len()), self.page.text.get(old..old + line.len())) {
            (Some(new), Some(old)) => alike(new, old),
            _ => false,
        }
    }

    /// Takes a line whose text is as before.
    fn same(&mut self, line: Line) -> Result<(), Fault> {
        self.in_a_row = 0;
        if line.is_sample() {
            return self.same_sample(line);
        }
        if line.is_meta() && self.has_new_meta {
            return self.same_meta(line);
        }
        let end = self.at + line.len();
        if line.is_meta() {
            self.unsaid.push(self.at as u32);
        } else if self.page.format == Format::OpenMetrics {
            // Nothing else is neither a sample nor metadata.
            self.has_end = end == self.text.len();
            if !self.has_end {
                return self.other();
            }
        }
        self.at = end;
        self.keep();
        Ok(())
    }

    /// Metadata as before, behind some that is not.
    fn same_meta(&mut self, line: Line) -> Result<(), Fault> {
        let Begin::Meta(name, word) = self.scan.begin(self.at)? else { return self.other() };
        let (end, place) = self.say(name, word)?;
        self.is_same_block = match place {
            Place::Within => self.is_same_block && line.is() == Line::META,
            Place::Begins => line.is() == Line::BEGINS,
            // What holds depends on more than this block.
            Place::Again => false,
        };
        let now = Line::new(line_of(place), end - self.at);
        if now == line {
            self.keep();
        } else {
            self.skip_to(self.old.line + 1);
            self.put(now);
        }
        self.at = end;
        Ok(())
    }

    fn same_sample(&mut self, line: Line) -> Result<(), Fault> {
        let holds = self.is_same_block && !(line.is() == Line::LOOSE && self.has_new_meta);
        let known = self.page.known.get(self.old.known);
        let is_known = known.is_some_and(|known| self.sink.holds(known));
        let (true, true, Some(known)) = (holds, is_known, known) else {
            // Before it is gone, so that it is replaced and not put in front.
            self.skip_to(self.old.line + 1);
            // Only the sink wants to see it once more.
            self.is_seen = holds;
            let other = self.other();
            self.is_seen = false;
            return other;
        };
        let begin = self.at + line.len();
        if !self.scan.is_word(begin) {
            // In text, more blanks or a brace, so that it is another line. The full reader knows.
            return self.other();
        }
        if S::wants(known) {
            let Ok(tail) = self.scan.tail(begin) else { return self.other() };
            self.check_samples()?;
            self.at = tail.end;
            Reading::give(self.sink, known, &tail, &self.scan, &mut self.exemplar)?;
        } else {
            self.check_samples()?;
            self.at = self.scan.line_end(begin);
        }
        self.read.samples += 1;
        self.keep();
        Ok(())
    }

    fn give(
        sink: &mut S,
        known: &S::Known,
        tail: &Tail,
        scan: &Scan<'p>,
        labels: &mut Vec<Pair<'p>>,
    ) -> Result<(), Fault> {
        let exemplar = match tail.exemplar {
            Some((value, time_ms)) => {
                scan.exemplar_of(labels)?.then_some(Exemplar { labels: labels.as_slice(), value, time_ms })
            }
            None => None,
        };
        sink.give(known, &Point { value: tail.value, time_ms: tail.time_ms, exemplar });
        Ok(())
    }

    fn check_samples(&self) -> Result<(), Fault> {
        let most = self.page.limits.samples;
        if self.read.samples >= most { Err(Fault::limit(self.at, "samples", most)) } else { Ok(()) }
    }

    /// Leaves the old line as it is.
    fn keep(&mut self) {
        self.old = self.behind(self.old);
        self.is_edit = false;
    }

    /// The place behind an old line.
    fn behind(&self, old: Old) -> Old {
        let Some(line) = self.page.lines.get(old.line) else { return old };
        let known = old.known + usize::from(line.is_sample());
        Old { line: old.line + 1, at: old.at + line.len(), known }
    }

    /// The edit here, which goes on if the last thing was one.
    fn edit(&mut self) -> &mut Edit {
        if !self.is_edit || self.edits.all.is_empty() {
            let Old { line, at, known } = self.old;
            let (old_text, old_lines, old_known) = (at..at, line..line, known..known);
            self.edits.all.push(Edit { old_text, old_lines, old_known, new_text: 0, new_lines: 0, new_known: 0 });
            self.is_edit = true;
        }
        let last = self.edits.all.len() - 1;
        &mut self.edits.all[last]
    }

    /// Takes away the old lines up to that one.
    fn skip_to(&mut self, line: usize) {
        while self.old.line < line.min(self.page.lines.len()) {
            if self.page.lines[self.old.line].is_meta() {
                self.has_new_meta = true;
                self.is_same_block = false;
            }
            let behind = self.behind(self.old);
            let edit = self.edit();
            (edit.old_text.end, edit.old_lines.end, edit.old_known.end) = (behind.at, behind.line, behind.known);
            self.old = behind;
        }
    }

    /// Puts a new line, which begins here.
    fn put(&mut self, line: Line) {
        let edit = self.edit();
        edit.new_lines += 1;
        edit.new_text += line.len();
        self.edits.text.extend_from_slice(&self.text[self.at..self.at + line.len()]);
        self.edits.lines.push(line);
    }

    /// Whether the line here is the one that comes if as many lines are new as are gone; these are
    /// gone then.
    fn is_at_guess(&mut self) -> bool {
        if self.in_a_row == 0 || self.guess.line <= self.old.line {
            return false;
        }
        let is_it = self.page.lines.get(self.guess.line).is_some_and(|line| {
            // Comments and blank lines are too much alike.
            line.is() != Line::NOTHING && self.is_as(*line, self.guess.at, self.at)
        });
        if is_it {
            self.skip_to(self.guess.line);
        }
        is_it
    }

    /// Whether the line here is one of the next of the last page. Those in front of it are gone
    /// then.
    fn look_ahead(&mut self) -> bool {
        let mut old = self.old;
        for _ in 0..AHEAD {
            old = self.behind(old);
            let Some(line) = self.page.lines.get(old.line) else { return false };
            // Comments and blank lines are too much alike.
            if line.is() != Line::NOTHING && self.is_as(*line, old.at, self.at) {
                self.skip_to(old.line);
                return true;
            }
        }
        false
    }

    /// Whether the text from here to `end` is one further ahead in the last page, and the line
    /// behind it is the one that follows there. Those in front of it are gone then.
    fn find(&mut self, end: usize, behind: usize) -> bool {
        let Some(index) = &self.index else { return false };
        let text = &self.text[self.at..end];
        let is_there = |begin: &usize| *begin > self.old.at && self.page.text[*begin..].starts_with(text);
        let Some(begin) = index.find(text).find(is_there) else { return false };
        let mut old = self.old;
        while old.at < begin && old.line < self.page.lines.len() {
            old = self.behind(old);
        }
        let is_it = old.at == begin && self.page.lines.get(old.line).is_some_and(|line| line.len() == text.len());
        let next = self.behind(old);
        let follows = match self.page.lines.get(next.line) {
            Some(line) => behind >= self.text.len() || self.is_as(*line, next.at, behind),
            None => true,
        };
        // One line, or a few, may have been moved; those in front of them would be lost for them.
        let is_near = old.line - self.old.line <= AHEAD;
        let is_good = is_it && (is_near || (follows && !self.still_comes()));
        if is_good {
            self.skip_to(old.line);
        }
        is_good
    }

    /// Whether the old line here comes further ahead in this page. All that is looked through for
    /// such lines is as long as a page at most: after that the answer is no.
    fn still_comes(&mut self) -> bool {
        if let Some((line, at)) = self.coming {
            if line == self.old.line && at >= self.at {
                return true;
            }
        }
        let Some(line) = self.page.lines.get(self.old.line) else { return false };
        let mut at = self.scan.line_end(self.at);
        while at < self.text.len() && self.looked < self.text.len() {
            if self.is_as(*line, self.old.at, at) {
                self.coming = Some((self.old.line, at));
                return true;
            }
            let end = self.scan.line_end(at);
            self.looked += end - at;
            at = end;
        }
        false
    }

    /// Makes the index, if it is time for it. Whether there is one, and something to be found.
    fn has_index(&mut self, patience: usize) -> bool {
        let has_more = self.old.line < self.page.lines.len();
        if self.index.is_none() && has_more && self.in_a_row > patience {
            self.make_index();
        }
        has_more && self.index.is_some()
    }

    fn make_index(&mut self) {
        let lines = &self.page.lines[self.old.line.min(self.page.lines.len())..];
        let mut index = Index::for_lines(lines.len());
        let mut old = self.old;
        for line in lines {
            if line.is() != Line::NOTHING {
                index.add(&self.page.text[old.at..old.at + line.len()], old.at);
            }
            old = self.behind(old);
        }
        self.index = Some(index);
    }

    /// Takes a line that is not the old one here, unless it turns out to be one further ahead.
    fn other(&mut self) -> Result<(), Fault> {
        self.guess = self.behind(if self.in_a_row == 0 { self.old } else { self.guess });
        self.in_a_row += 1;
        match self.scan.begin(self.at)? {
            Begin::Nothing(end) => {
                self.put(Line::new(Line::NOTHING, end - self.at));
                self.at = end;
            }
            Begin::End(end) => {
                self.has_end = true;
                self.put(Line::new(Line::NOTHING, end - self.at));
                self.at = end;
            }
            Begin::Meta(name, word) => {
                if self.has_index(0) {
                    let end = self.scan.meta(name, word)?.1;
                    if self.find(end, end) {
                        return Ok(());
                    }
                }
                let (end, place) = self.say(name, word)?;
                self.has_new_meta = true;
                self.is_same_block = false;
                self.put(Line::new(line_of(place), end - self.at));
                self.at = end;
            }
            Begin::Sample(name) => {
                let head = self.scan.head(name)?;
                if self.has_index(PATIENCE + (self.page.lines.len() - self.old.line) / SHARE)
                    && self.find(head.end, self.scan.line_end(head.end))
                {
                    return Ok(());
                }
                self.sample(&head)?;
            }
        }
        Ok(())
    }

    /// Tells the families what a line says, and what was left out before it. Its end, and where
    /// it stands among them.
    fn say(&mut self, name: usize, word: Word) -> Result<(usize, Place), Fault> {
        self.catch_up()?;
        let (meta, end) = self.scan.meta(name, word)?;
        let place = self.families.say(meta);
        let most = self.page.limits.samples;
        if self.families.len() > most { Err(Fault::limit(name, "samples", most)) } else { Ok((end, place)) }
    }

    fn catch_up(&mut self) -> Result<(), Fault> {
        for at in std::mem::take(&mut self.unsaid) {
            if let Begin::Meta(name, word) = self.scan.begin(at as usize)? {
                self.families.say(self.scan.meta(name, word)?.0);
            }
        }
        Ok(())
    }

    /// Takes a sample that is new.
    fn sample(&mut self, head: &Head) -> Result<(), Fault> {
        self.check_samples()?;
        self.catch_up()?;
        self.scan.labels_of(&mut self.labels)?;
        let name = self.scan.text(head.name)?;
        let tail = self.scan.tail(head.end)?;
        let of = self.families.of(&name);
        let has = |label: &str| self.labels.iter().any(|(name, _)| name == label);
        let role = match of.role {
            Role::Bucket if !has("le") => Role::Value,
            Role::Value if of.family.kind == crate::model::Kind::Summary && has("quantile") => Role::Quantile,
            role => role,
        };
        let series = Series { name: &name, labels: &self.labels, family: of.family, role };
        let known = self.sink.learn(&series);
        if S::wants(&known) {
            Reading::give(self.sink, &known, &tail, &self.scan, &mut self.exemplar)?;
        }
        let is = if of.is_in_block { Line::SAMPLE } else { Line::LOOSE };
        self.put(Line::new(is, head.end - self.at));
        self.edit().new_known += 1;
        self.edits.known.push(known);
        self.at = tail.end;
        self.read.samples += 1;
        self.read.fresh += usize::from(!self.is_seen);
        Ok(())
    }
}

/// Whether both are the same, which are as long, eight bytes at a time: a C library may look at one after the other,
/// and all of a page goes through here.
#[inline]
fn alike(one: &[u8], other: &[u8]) -> bool {
    let (words, others) = (one.chunks_exact(8), other.chunks_exact(8));
    let is_rest_alike = words.remainder().iter().zip(others.remainder()).all(|(one, other)| one == other);
    let word = |bytes: &[u8]| bytes.try_into().map(u64::from_ne_bytes).unwrap_or_default();
    is_rest_alike && words.zip(others).all(|(one, other)| word(one) == word(other))
}

fn line_of(place: Place) -> u32 {
    if place == Place::Within { Line::META } else { Line::BEGINS }
}
