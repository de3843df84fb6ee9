//! A request compressed once, into which each tick only its numbers are put.
//!
//! From tick to tick a request is the same but for the values and the time. Snappy's block
//! format (<https://github.com/google/snappy/blob/main/format_description.txt>) is a list of
//! elements, each either a literal (its bytes follow) or a copy of what was unpacked before
//! (an offset back, a length). So the constant bytes are compressed once, with matches that
//! neither read nor write a value, and the elements between two values are kept as a piece.
//! A tick's body is those pieces with a value after each of them. The time is one literal of
//! the pieces, patched each tick; where it comes again it is a copy.
//!
//! Beside a value there is nearly always a copy of what stood beside an earlier value. Where
//! the two values have bytes in common at that side, as neighbours have (zeros at the low
//! end, the exponent at the high one), the copy just gets longer by these, and the literal
//! for the rest shorter.

use prost::encoding::{encode_varint, encoded_len_varint};

use super::remote_write::Message;
use crate::model::{Batch, Frame};

/// How far back an element can copy from with two bytes of offset.
const MAX_OFFSET: usize = 65_535;

/// A copy's length has six bits.
const MAX_COPY: usize = 64;

/// A literal of up to so many bytes has its length in the tag.
const MAX_SHORT_LITERAL: usize = 60;

/// A copy beside a value may grow by the value's eight bytes.
const VALUE: usize = 8;

/// How many earlier places are tried for the longest match. More cost time when a schema is
/// compiled, and win little.
const TRIES: usize = 24;

/// Size of the table of places, as a power of two.
const HASH_BITS: u32 = 15;

/// A piece that is not longer than this is copied with one move of this size.
const MOVE: usize = 32;

/// A place in the template of which the time of a frame is one byte.
#[derive(Debug)]
struct TimeByte {
    at: u32,
    /// Which of the batch's distinct times, and which byte of it.
    class: u16,
    byte: u8,
}

/// No earlier value is beside the copy.
const NONE: u32 = u32::MAX;

/// What there is between two values.
#[derive(Debug)]
struct Piece {
    /// Where its elements end in the template; they start where the piece before ends.
    end: u32,
    /// The value before the bytes that the first element copies, where that is a copy from
    /// right behind a value: it can take over the high bytes that the piece's preceding
    /// value has in common with that one.
    after: u32,
    /// The same for the last element and the low bytes of the value that follows.
    before: u32,
    /// How far before the piece's end the tag of its last element is.
    last_tag: u8,
}

/// A compressed request without its numbers.
#[derive(Debug)]
pub struct Template {
    /// The unpacked length, as snappy wants it in front.
    preamble: Vec<u8>,
    elements: Vec<u8>,
    /// One before each value, and one after the last.
    pieces: Vec<Piece>,
    times: Vec<TimeByte>,
    /// This tick's values, as bits.
    bits: Vec<u64>,
}

/// What a byte of the message is to the compressor: itself; a value's, which is like no
/// other; or a time's, which is like the same byte of the same time.
type Cell = u16;
const VALUE_CELL: Cell = 256;
const FIRST_TIME_CELL: Cell = 512;
const TIME_CELLS: usize = 10;

impl Template {
    /// Compresses the constant part of `message`. `class` says for each frame which of the
    /// batch's distinct times is its own: that of which frame. None where the message is of a size or kind that
    /// templates are not made for.
    pub fn new(message: &Message, class: impl Fn(usize) -> usize) -> Option<Template> {
        let holes = message.holes.as_ref()?;
        let mut cells: Vec<Cell> = message.bytes.iter().map(|byte| Cell::from(*byte)).collect();
        u32::try_from(cells.len()).ok()?;
        for at in &holes.values {
            cells.get_mut(*at..*at + VALUE)?.fill(VALUE_CELL);
        }
        for (at, frame) in &holes.times {
            let first = FIRST_TIME_CELL as usize + class(*frame) * TIME_CELLS;
            let len = message.bytes[*at..].iter().position(|byte| byte & 0x80 == 0)? + 1;
            for byte in 0..len {
                *cells.get_mut(at + byte)? = Cell::try_from(first + byte).ok()?;
            }
        }
        let mut preamble = Vec::new();
        encode_varint(cells.len() as u64, &mut preamble);
        Some(Compressor::new(&cells, &holes.values).run(preamble))
    }

    /// Writes the body of a batch of the template's shape.
    pub fn write(&mut self, batch: &Batch, out: &mut Vec<u8>) {
        for time in &self.times {
            // A byte of a varint: seven bits, and whether more follow.
            let time_ms = batch.frames[usize::from(time.class)].time_ms as u64;
            let rest = time_ms >> (7 * u32::from(time.byte));
            self.elements[time.at as usize] = rest as u8 & 0x7f | u8::from(rest > 0x7f) << 7;
        }
        self.bits.clear();
        for frame in &batch.frames {
            self.bits.extend(frame.values.iter().map(|value| value.to_bits()));
        }
        debug_assert_eq!(self.bits.len() + 1, self.pieces.len());

        let start = out.len();
        let longest = self.preamble.len() + self.elements.len() + self.bits.len() * (1 + VALUE);
        out.resize(start + longest + MOVE, 0);
        let buffer = &mut out[start..];
        buffer[..self.preamble.len()].copy_from_slice(&self.preamble);
        let mut to = self.preamble.len();
        let mut from = 0;
        // By how much the copy behind the last value is longer.
        let mut common_high = 0;
        for (at, piece) in self.pieces.iter().enumerate() {
            let end = piece.end as usize;
            let len = end - from;
            match (self.elements.get(from..from + MOVE), buffer.get_mut(to..to + MOVE)) {
                (Some(elements), Some(buffer)) if len <= MOVE => buffer.copy_from_slice(elements),
                _ => buffer[to..to + len].copy_from_slice(&self.elements[from..end]),
            }
            // Both tags hold their length, less one, in their upper six bits.
            buffer[to] = buffer[to].wrapping_add((common_high as u8) << 2);
            to += len;
            from = end;
            let Some(bits) = self.bits.get(at) else { break };
            let common_low = match self.bits.get(piece.before as usize) {
                Some(earlier) => (bits ^ earlier).trailing_zeros() as usize / 8,
                None => 0,
            };
            let next = self.pieces.get(at + 1).map_or(NONE, |next| next.after);
            common_high = match self.bits.get(next as usize) {
                Some(earlier) => ((bits ^ earlier).leading_zeros() as usize / 8).min(VALUE - common_low),
                None => 0,
            };
            let tag = to - usize::from(piece.last_tag);
            buffer[tag] = buffer[tag].wrapping_add((common_low as u8) << 2);
            let own = VALUE - common_low - common_high;
            if own > 0 {
                buffer[to] = ((own - 1) as u8) << 2;
                let low = (common_low as u32 * 8).min(63);
                buffer[to + 1..to + 1 + VALUE].copy_from_slice(&(bits >> low).to_le_bytes());
                to += 1 + own;
            }
        }
        out.truncate(start + to);
    }

    /// What it takes in memory, about.
    fn bytes(&self) -> usize {
        self.elements.len() + self.pieces.len() * (size_of::<Piece>() + size_of::<u64>())
    }
}

/// The templates of the batches that come again and again.
#[derive(Debug, Default)]
pub struct Templates(Vec<(Shape, Known)>);

/// What became of a shape.
#[derive(Debug)]
enum Known {
    /// It came once.
    Seen,
    /// It has a template.
    Made(Box<Template>),
    /// It cannot have one.
    Hopeless,
}

/// What two batches have in common that differ in nothing but numbers: for each frame the
/// epoch of its source, the first frame of the same time, and that time's encoded length.
type Shape = Vec<(u64, usize, usize)>;

/// Shapes that are remembered. A batch is a tick's frames or a slow source's one, so there
/// are about as many as there are slow sources; the rest is failures.
const MAX_SHAPES: usize = 4096;

/// Templates beyond this are forgotten, and made again if they are still needed.
const MAX_BYTES: usize = 16 << 20;

impl Templates {
    /// The batch's template, where there is one.
    pub fn find(&mut self, batch: &Batch, epoch: impl Fn(usize, &Frame) -> u64) -> Option<&mut Template> {
        match &mut self.0.iter_mut().find(|(shape, _)| fits(shape, batch, &epoch))?.1 {
            Known::Made(template) => Some(template),
            Known::Seen | Known::Hopeless => None,
        }
    }

    /// Whether a template is to be made for the batch: it is the second of its shape.
    pub fn is_wanted(&mut self, batch: &Batch, epoch: impl Fn(usize, &Frame) -> u64) -> bool {
        match self.0.iter().find(|(shape, _)| fits(shape, batch, &epoch)) {
            Some((_, known)) => matches!(known, Known::Seen),
            None => {
                self.0.push((shape(batch, epoch), Known::Seen));
                false
            }
        }
    }

    /// Keeps the template of a batch for which one was wanted; `is_current` says which
    /// epochs have not passed.
    pub fn keep(
        &mut self,
        batch: &Batch,
        epoch: impl Fn(usize, &Frame) -> u64,
        is_current: impl Fn(u64) -> bool,
        message: &Message,
    ) {
        self.0.retain(|(shape, _)| shape.iter().all(|(epoch, ..)| is_current(*epoch)));
        let bytes_of = |known: &Known| if let Known::Made(template) = known { template.bytes() } else { 0 };
        let bytes: usize = self.0.iter().map(|(_, known)| bytes_of(known)).sum();
        if self.0.len() >= MAX_SHAPES || bytes > MAX_BYTES {
            self.0.clear();
        }
        let shape = shape(batch, epoch);
        let template = Template::new(message, |frame| shape[frame].1);
        self.0.retain(|(known, _)| *known != shape);
        self.0.push((shape, template.map_or(Known::Hopeless, |template| Known::Made(Box::new(template)))));
    }
}

fn shape(batch: &Batch, epoch: impl Fn(usize, &Frame) -> u64) -> Shape {
    let of = |(at, frame): (usize, &Frame)| {
        let same = batch.frames.iter().position(|other| other.time_ms == frame.time_ms);
        (epoch(at, frame), same.unwrap_or(at), encoded_len_varint(frame.time_ms as u64))
    };
    batch.frames.iter().enumerate().map(of).collect()
}

fn fits(shape: &Shape, batch: &Batch, epoch: impl Fn(usize, &Frame) -> u64) -> bool {
    shape.len() == batch.frames.len()
        && shape.iter().zip(batch.frames.iter().enumerate()).all(|((of, same, len), (at, frame))| {
            *of == epoch(at, frame)
                && batch.frames[*same].time_ms == frame.time_ms
                && *len == encoded_len_varint(frame.time_ms as u64)
        })
}

/// Makes a template.
struct Compressor<'c> {
    cells: &'c [Cell],
    values: &'c [usize],
    /// The last place of each hash of four cells, and for each place the one before it.
    last: Vec<u32>,
    before: Vec<u32>,
    elements: Vec<u8>,
    times: Vec<TimeByte>,
}

/// The last element that was written: where its tag is, and what it copies from if it does.
#[derive(Clone, Copy)]
struct Element {
    tag: usize,
    copies: Option<usize>,
}

impl<'c> Compressor<'c> {
    fn new(cells: &'c [Cell], values: &'c [usize]) -> Compressor<'c> {
        let before = vec![NONE; cells.len()];
        Compressor { cells, values, last: vec![NONE; 1 << HASH_BITS], before, elements: Vec::new(), times: Vec::new() }
    }

    fn run(mut self, preamble: Vec<u8>) -> Template {
        let mut pieces = Vec::with_capacity(self.values.len() + 1);
        let mut start = 0;
        for at in 0..=self.values.len() {
            let end = self.values.get(at).copied().unwrap_or(self.cells.len());
            let piece = self.piece(start, end);
            pieces.push(piece);
            start = end + VALUE;
        }
        self.elements.shrink_to_fit();
        Template { preamble, elements: self.elements, pieces, times: self.times, bits: Vec::new() }
    }

    /// The elements for the constant cells from `start` to `end`, a value before and behind.
    fn piece(&mut self, start: usize, end: usize) -> Piece {
        let (mut first, mut last): (Option<Element>, Option<Element>) = (None, None);
        let mut literal = start;
        let mut at = start;
        while at < end {
            let found = self.longest(at, end);
            // A copy one place on may be so much longer that a literal of one more byte pays.
            let better = |(_, len): (usize, usize)| self.longest(at + 1, end).is_some_and(|(_, next)| next > len + 1);
            match found {
                Some(found) if !better(found) => {
                    let (source, len) = found;
                    if literal < at {
                        last = Some(self.literal(literal, at));
                        first = first.or(last);
                    }
                    let (head, tail) = self.copy(source, at, len, at == start, at + len == end);
                    first = first.or(Some(head));
                    last = Some(tail);
                    (at..at + len).for_each(|at| self.learn(at, end));
                    at += len;
                    literal = at;
                }
                _ => {
                    self.learn(at, end);
                    at += 1;
                }
            }
        }
        if literal < end {
            last = Some(self.literal(literal, end));
            first = first.or(last);
        }
        // The values before and behind which the first and the last element copy.
        let value_at = |place: usize| self.values.binary_search(&place).map_or(NONE, |at| at as u32);
        let after = first.and_then(|first| first.copies?.checked_sub(VALUE)).map_or(NONE, value_at);
        let before = last.and_then(|last| last.copies).map_or(NONE, value_at);
        let last_tag = last.map_or(0, |last| self.elements.len() - last.tag) as u8;
        Piece { end: self.elements.len() as u32, after, before, last_tag }
    }

    /// The longest match for the cells at `at`: where, and how long; none that does not pay.
    fn longest(&self, at: usize, end: usize) -> Option<(usize, usize)> {
        let mut best = None;
        let mut candidate = self.last[hash(self.cells.get(at..end)?)?];
        for _ in 0..TRIES {
            let source = candidate as usize;
            if candidate == NONE || at - source > MAX_OFFSET {
                break;
            }
            let same = self.cells[at..end].iter().zip(&self.cells[source..]);
            let len = same.take_while(|(a, b)| a == b).count();
            // Copies of some length beside a value on both sides are worth a byte more.
            let least = if at - source < 2048 && len <= 11 { 4 } else { 5 };
            if len >= least && best.is_none_or(|(_, longest)| len > longest) {
                best = Some((source, len));
            }
            candidate = self.before[source];
        }
        best
    }

    /// Makes the cells at `at` known to later matches.
    fn learn(&mut self, at: usize, end: usize) {
        if let Some(key) = hash(&self.cells[at..end]) {
            self.before[at] = std::mem::replace(&mut self.last[key], at as u32);
        }
    }

    /// Writes the cells from `start` to `end` as a literal.
    fn literal(&mut self, start: usize, end: usize) -> Element {
        let tag = self.elements.len();
        let less_one = end - start - 1;
        match less_one {
            0..MAX_SHORT_LITERAL => self.elements.push((less_one as u8) << 2),
            _ => {
                // The tag says how many bytes of length follow.
                let bytes = (less_one as u32).to_le_bytes();
                let count = 4 - (less_one as u32).leading_zeros() as usize / 8;
                self.elements.push((59 + count as u8) << 2);
                self.elements.extend_from_slice(&bytes[..count]);
            }
        }
        for cell in &self.cells[start..end] {
            if *cell >= FIRST_TIME_CELL {
                let (class, byte) = time_of(*cell);
                self.times.push(TimeByte { at: self.elements.len() as u32, class, byte });
            }
            self.elements.push(*cell as u8);
        }
        Element { tag, copies: None }
    }

    /// Writes a match as one copy or more; gives the first and the last of them, of which
    /// the last copies up to where its `copies` says. Beside a value they leave room to grow.
    fn copy(&mut self, source: usize, at: usize, len: usize, opens: bool, closes: bool) -> (Element, Element) {
        let offset = at - source;
        let head = Element { tag: self.elements.len(), copies: Some(source).filter(|_| opens) };
        let mut tail = head;
        let mut left = len;
        while left > 0 {
            let is_first = left == len;
            let room = if is_first && opens { MAX_COPY - VALUE } else { MAX_COPY };
            let (mut now, mut can_grow) = (left.min(room), is_first && opens);
            if now == left && closes {
                can_grow = true;
                // What is left for the last one has room on that side, too.
                now = now.min(room - VALUE);
            }
            tail.tag = self.elements.len();
            if (4..12).contains(&now) && offset < 2048 && !can_grow {
                self.elements.push(1 | ((now - 4) as u8) << 2 | ((offset >> 8) as u8) << 5);
                self.elements.push(offset as u8);
            } else {
                self.elements.push(2 | ((now - 1) as u8) << 2);
                self.elements.extend_from_slice(&(offset as u16).to_le_bytes());
            }
            left -= now;
        }
        tail.copies = Some(source + len).filter(|_| closes);
        (head, tail)
    }
}

/// A hash of the first four cells; none where there are fewer.
fn hash(cells: &[Cell]) -> Option<usize> {
    let key = cells.first_chunk::<4>()?.iter().fold(0, |key, cell| key << 16 | u64::from(*cell));
    Some((key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - HASH_BITS)) as usize)
}

/// Which of the batch's times a cell belongs to, and which byte of it that is.
fn time_of(cell: Cell) -> (u16, u8) {
    let at = cell - FIRST_TIME_CELL;
    (at / TIME_CELLS as u16, (at % TIME_CELLS as u16) as u8)
}
