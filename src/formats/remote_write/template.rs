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

mod quick;

use prost::encoding::{encode_varint, encoded_len_varint};

pub use self::quick::Quick;
use super::message::Message;
use crate::formats::part::Part;

/// How far back an element can copy from with two bytes of offset.
const MAX_OFFSET: usize = 65_535;

/// A copy's length has six bits.
const MAX_COPY: usize = 64;

/// A literal of up to so many bytes has its length in the tag.
const MAX_SHORT_LITERAL: usize = 60;

/// A value's bytes.
const VALUE: usize = 8;

/// A copy beside a value is left so much room to grow, rather than none, for one more copy.
const GROWTH: usize = 4;

/// How many earlier places are tried for the longest match. More cost time when a chunk is
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
const NONE: u16 = u16::MAX;

/// No earlier place has this hash.
const NOWHERE: u32 = u32::MAX;

/// A value's place, and the elements from there to the next one.
#[derive(Debug)]
struct Slot {
    /// Where the elements behind it end in the template; they start where those of the slot
    /// before end.
    end: u32,
    /// The value before the bytes that the first element behind this one copies, where that
    /// is a copy from right behind a value: the high bytes that both have in common need
    /// not be written, the copy can take them over.
    after: u16,
    /// The same for the last element in front of this value, and the low bytes.
    before: u16,
    /// How far in front the tag of that last element is, where `before` names a value.
    last_tag: u8,
    /// By how much the copy in front and the one behind can grow.
    low_room: u8,
    high_room: u8,
}

/// A copy beside a value has two bytes of offset behind its tag.
const COPY: usize = 3;

/// How many bytes there have to be in front of where a template is written, and behind.
pub const MARGIN: usize = 64;

/// A compressed request without its numbers.
#[derive(Debug)]
pub struct Template {
    /// The unpacked length.
    unpacked: usize,
    /// With some bytes behind them, so that a move of fixed size may read on.
    elements: Vec<u8>,
    /// Where the elements in front of the first value end.
    first_end: usize,
    slots: Vec<Slot>,
    /// In the order of their places.
    times: Vec<TimeByte>,
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
        Some(Compressor::new(&cells, &holes.values).run())
    }

    /// How long what it stands for is before compression.
    pub fn unpacked(&self) -> usize {
        self.unpacked
    }

    /// How long what it writes is at most.
    pub fn longest(&self) -> usize {
        self.elements.len() + self.slots.len() * (1 + VALUE) + MOVE
    }

    /// Writes the elements with these values, and with `time_ms` of each class, to `body` from
    /// `to` on, which is [`MARGIN`] or more; gives where they end. Behind them are bytes of no
    /// meaning.
    pub fn fill(&self, values: &[f64], time_ms: impl Fn(usize) -> i64, body: &mut [u8], mut to: usize) -> usize {
        debug_assert_eq!(values.len(), self.slots.len());
        body[to..to + self.first_end].copy_from_slice(&self.elements[..self.first_end]);
        let mut times = &self.times[..];
        // The bytes of times among the elements up to `end`, those from `from` on being at `to`.
        let mut set_times = |body: &mut [u8], from: usize, end: usize, to: usize| {
            while let Some((time, later)) = times.split_first().filter(|(time, _)| (time.at as usize) < end) {
                // A byte of a varint: seven bits, and whether more follow.
                let rest = time_ms(usize::from(time.class)) as u64 >> (7 * u32::from(time.byte));
                body[to + time.at as usize - from] = rest as u8 & 0x7f | u8::from(rest > 0x7f) << 7;
                times = later;
            }
        };
        set_times(body, 0, self.first_end, to);
        to += self.first_end;
        let mut from = self.first_end;
        let earlier = |at: u16| values.get(usize::from(at)).filter(|_| at != NONE);
        let in_common = |bits: u64, at: u16| earlier(at).map(|earlier| bits ^ earlier.to_bits());
        for (slot, value) in self.slots.iter().zip(values) {
            let bits = value.to_bits();
            let low =
                in_common(bits, slot.before).map_or(0, |differ| differ.trailing_zeros() / 8).min(slot.low_room.into());
            let high = in_common(bits, slot.after).map_or(0, |differ| differ.leading_zeros() / 8);
            let high = high.min(slot.high_room.into()).min(VALUE as u32 - low);
            let own = VALUE - (low + high) as usize;
            let Some(window) = body[to - COPY..].first_chunk_mut::<{ COPY + 1 + VALUE + MOVE }>() else { break };
            // Tags hold their length, less one, in their upper six bits.
            let tag = &mut window[COPY - usize::from(slot.last_tag & 3)];
            *tag = tag.wrapping_add((low as u8) << 2);
            // With no byte of its own the value has no literal: what is written here is overwritten.
            window[COPY] = (own as u8).wrapping_sub(1) << 2;
            let rest = (bits >> (low * 8).min(63)).to_le_bytes();
            window[COPY + 1..COPY + 1 + VALUE].copy_from_slice(&rest);
            let begin = COPY + own + usize::from(own > 0);
            let end = slot.end as usize;
            let len = end - from;
            if len <= MOVE {
                window[begin..begin + MOVE].copy_from_slice(&self.elements[from..from + MOVE]);
                window[begin] = window[begin].wrapping_add((high as u8) << 2);
            } else {
                let begin = to - COPY + begin;
                body[begin..begin + len].copy_from_slice(&self.elements[from..end]);
                body[begin] = body[begin].wrapping_add((high as u8) << 2);
            }
            set_times(body, from, end, to + begin - COPY);
            to += begin - COPY + len;
            from = end;
        }
        to
    }

    /// What it takes in memory, about.
    fn bytes(&self) -> usize {
        self.elements.len() + self.slots.len() * size_of::<Slot>()
    }
}

/// The templates of the bodies that come again and again.
#[derive(Debug, Default)]
pub struct Templates {
    known: Vec<Known>,
    /// Where the next one is likely to be: a batch's bodies come in the same order each time.
    next: usize,
    /// Grows with each body.
    clock: u64,
    body: Vec<u8>,
    values: Vec<f64>,
    room: Vec<f64>,
}

/// What is known of a shape.
#[derive(Debug)]
struct Known {
    shape: Shape,
    /// None: it came once, or cannot have one.
    template: Option<Box<Template>>,
    /// It came once.
    is_new: bool,
    used: u64,
}

/// What two bodies have in common that differ in nothing but numbers: for each part its chunk,
/// the first part of the same time, and that time's encoded length.
type Shape = Vec<(u64, usize, usize)>;

/// Shapes that are remembered; beyond that the one that was not used for longest is forgotten.
const MAX_SHAPES: usize = 256;

/// Templates beyond this are forgotten likewise.
const MAX_BYTES: usize = 16 << 20;

impl Templates {
    /// Writes the body of these parts from its template; false where there is none.
    pub fn write(&mut self, parts: &[Part<'_>], out: &mut Vec<u8>) -> bool {
        self.clock += 1;
        let Some(at) = self.find(parts) else { return false };
        self.next = at + 1;
        let known = &mut self.known[at];
        known.used = self.clock;
        let Some(template) = &known.template else { return false };
        self.values.clear();
        for part in parts {
            self.values.extend_from_slice(part.view.values(part.values, &mut self.room));
        }
        let needed = MARGIN + template.longest() + MARGIN;
        if self.body.len() < needed {
            self.body.resize(needed, 0);
        }
        let end = template.fill(&self.values, |part| parts[part].time_ms, &mut self.body, MARGIN);
        encode_varint(template.unpacked as u64, out);
        out.extend_from_slice(&self.body[MARGIN..end]);
        true
    }

    fn find(&self, parts: &[Part<'_>]) -> Option<usize> {
        let (before, from) = self.known.split_at(self.next.min(self.known.len()));
        let is_it = |known: &Known| fits(&known.shape, parts);
        from.iter().position(is_it).map(|at| before.len() + at).or_else(|| before.iter().position(is_it))
    }

    /// Whether a template is to be made for these parts: it is the second body of its shape.
    pub fn is_wanted(&mut self, parts: &[Part<'_>]) -> bool {
        match self.find(parts) {
            Some(at) => std::mem::take(&mut self.known[at].is_new),
            None => {
                self.forget();
                let (shape, used) = (shape(parts), self.clock);
                self.known.push(Known { shape, template: None, is_new: true, used });
                false
            }
        }
    }

    /// Keeps the template of a body for which one was wanted.
    pub fn keep(&mut self, parts: &[Part<'_>], message: &Message) {
        if let Some(known) = self.known.iter_mut().find(|known| fits(&known.shape, parts)) {
            known.template = Template::new(message, |part| known.shape[part].1).map(Box::new);
        }
    }

    fn forget(&mut self) {
        let bytes = |known: &Known| known.template.as_ref().map_or(0, |template| template.bytes());
        while self.known.len() >= MAX_SHAPES || self.known.iter().map(bytes).sum::<usize>() > MAX_BYTES {
            let oldest = self.known.iter().enumerate().min_by_key(|(_, known)| known.used).map(|(at, _)| at);
            self.known.swap_remove(oldest.unwrap_or_default());
        }
    }
}

fn shape(parts: &[Part<'_>]) -> Shape {
    let of = |(at, part): (usize, &Part<'_>)| {
        let same = parts.iter().position(|other| other.time_ms == part.time_ms);
        (part.chunk.id(), same.unwrap_or(at), encoded_len_varint(part.time_ms as u64))
    };
    parts.iter().enumerate().map(of).collect()
}

fn fits(shape: &Shape, parts: &[Part<'_>]) -> bool {
    shape.len() == parts.len()
        && shape.iter().zip(parts).all(|((of, same, len), part)| {
            *of == part.chunk.id()
                && parts[*same].time_ms == part.time_ms
                && *len == encoded_len_varint(part.time_ms as u64)
        })
}

/// Makes a template.
struct Compressor<'c> {
    cells: &'c [Cell],
    values: &'c [usize],
    /// The last place of each hash of four cells, and for each place the one before it.
    last: Vec<u32>,
    before: Vec<u32>,
}

/// What is written of a template.
#[derive(Default)]
struct Elements {
    bytes: Vec<u8>,
    times: Vec<TimeByte>,
}

/// What stands between two values: beside which values its outermost copies begin and end,
/// and by how much they can grow.
struct Between {
    after: u16,
    high_room: u8,
    before: u16,
    low_room: u8,
}

/// A copy beside a value.
#[derive(Clone, Copy)]
struct Copied {
    len: usize,
    /// The end of its source that is on the value's side.
    beside: usize,
}

/// A template for `len` bytes with these values, of the elements that `piece` writes for what is between.
fn assemble(len: usize, values: &[usize], mut piece: impl FnMut(usize, usize, &mut Elements) -> Between) -> Template {
    // Mostly it is less, also where nothing is like anything else.
    let mut out = Elements { bytes: Vec::with_capacity(len), times: Vec::new() };
    let mut slots: Vec<Slot> = Vec::with_capacity(values.len());
    let first = piece(0, values.first().copied().unwrap_or(len), &mut out);
    let first_end = out.bytes.len();
    let mut in_front = first;
    for (at, value) in values.iter().enumerate() {
        let end = values.get(at + 1).copied().unwrap_or(len);
        let behind = piece(value + VALUE, end, &mut out);
        slots.push(Slot {
            end: out.bytes.len() as u32,
            after: behind.after,
            before: in_front.before,
            last_tag: if in_front.before == NONE { 0 } else { COPY as u8 },
            low_room: in_front.low_room,
            high_room: behind.high_room,
        });
        in_front = behind;
    }
    out.bytes.extend_from_slice(&[0; MOVE]);
    out.bytes.shrink_to_fit();
    out.times.shrink_to_fit();
    Template { unpacked: len, elements: out.bytes, first_end, slots, times: out.times }
}

impl Between {
    fn new(values: &[usize], opens: Option<Copied>, closes: Option<Copied>) -> Between {
        // Of so many values that the number does not fit the copy stays as it is.
        let value_at =
            |place: usize| values.binary_search(&place).ok().and_then(|at| at.try_into().ok()).unwrap_or(NONE);
        let room = |copy: Option<Copied>| copy.map_or(0, |copy| (MAX_COPY - copy.len).min(VALUE) as u8);
        Between {
            after: opens.and_then(|copy| copy.beside.checked_sub(VALUE)).map_or(NONE, value_at),
            high_room: room(opens),
            before: closes.map_or(NONE, |copy| value_at(copy.beside)),
            low_room: room(closes),
        }
    }
}

impl<'c> Compressor<'c> {
    fn new(cells: &'c [Cell], values: &'c [usize]) -> Compressor<'c> {
        Compressor { cells, values, last: vec![NOWHERE; 1 << HASH_BITS], before: vec![NOWHERE; cells.len()] }
    }

    fn run(mut self) -> Template {
        assemble(self.cells.len(), self.values, |start, end, out| self.piece(start, end, out))
    }

    /// The elements for the constant cells from `start` to `end`, a value before and behind.
    fn piece(&mut self, start: usize, end: usize, out: &mut Elements) -> Between {
        // The copies right behind the value in front and right in front of the one behind.
        let (mut opens, mut closes): (Option<Copied>, Option<Copied>) = (None, None);
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
                        self.literal(literal, at, out);
                    }
                    let (is_first, is_last) = (at == start, at + len == end);
                    let (head, tail) = out.copy(at - source, len, is_first, is_last);
                    opens = opens.or(Some(Copied { len: head, beside: source }).filter(|_| is_first));
                    closes = Some(Copied { len: tail, beside: source + len }).filter(|_| is_last);
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
            self.literal(literal, end, out);
        }
        Between::new(self.values, opens, closes)
    }

    /// The longest match for the cells at `at`: where, and how long; none that does not pay.
    fn longest(&self, at: usize, end: usize) -> Option<(usize, usize)> {
        let mut best = None;
        let mut candidate = self.last[hash(self.cells.get(at..end)?)?];
        for _ in 0..TRIES {
            let source = candidate as usize;
            if candidate == NOWHERE || at - source > MAX_OFFSET {
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
    fn literal(&self, start: usize, end: usize, out: &mut Elements) {
        out.literal_tag(end - start);
        for cell in &self.cells[start..end] {
            if *cell >= FIRST_TIME_CELL {
                let (class, byte) = time_of(*cell);
                out.time(out.bytes.len(), class, byte);
            }
            out.bytes.push(*cell as u8);
        }
    }
}

impl Elements {
    fn literal(&mut self, bytes: &[u8]) {
        self.literal_tag(bytes.len());
        self.bytes.extend_from_slice(bytes);
    }

    /// What stands in front of a literal of `len` bytes, one at least.
    fn literal_tag(&mut self, len: usize) {
        let less_one = len - 1;
        match less_one {
            0..MAX_SHORT_LITERAL => self.bytes.push((less_one as u8) << 2),
            _ => {
                // The tag says how many bytes of length follow.
                let bytes = (less_one as u32).to_le_bytes();
                let count = 4 - (less_one as u32).leading_zeros() as usize / 8;
                self.bytes.push((59 + count as u8) << 2);
                self.bytes.extend_from_slice(&bytes[..count]);
            }
        }
    }

    /// A byte of a time is at this place.
    fn time(&mut self, at: usize, class: u16, byte: u8) {
        self.times.push(TimeByte { at: at as u32, class, byte });
    }

    /// Writes a match as one copy or more, as even as can be; gives the lengths of the first
    /// and the last. Beside a value they have three bytes and mostly some room to grow.
    fn copy(&mut self, offset: usize, len: usize, is_first: bool, is_last: bool) -> (usize, usize) {
        let beside_values = usize::from(is_first) + usize::from(is_last);
        let count = (len + GROWTH * beside_values).div_ceil(MAX_COPY);
        let length = |at: usize| (len * (at + 1)) / count - (len * at) / count;
        for at in 0..count {
            let now = length(at);
            let can_grow = (is_first && at == 0) || (is_last && at + 1 == count);
            if (4..12).contains(&now) && offset < 2048 && !can_grow {
                self.bytes.push(1 | ((now - 4) as u8) << 2 | ((offset >> 8) as u8) << 5);
                self.bytes.push(offset as u8);
            } else {
                self.bytes.push(2 | ((now - 1) as u8) << 2);
                self.bytes.extend_from_slice(&(offset as u16).to_le_bytes());
            }
        }
        (length(0), length(count - 1))
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
