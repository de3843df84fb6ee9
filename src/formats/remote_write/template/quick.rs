//! A chunk's template, made quickly: churn makes many of them, and some are used once.
//!
//! Series stand one behind the other and are much alike. So what stands between two values is
//! first compared with what stands between the two before, or as many before as last time, byte by
//! byte at the same distance; where that differs, a small table of such places is asked. It is about a tenth of the work of
//! looking for the longest match everywhere, and takes a few bytes in a hundred more.

use super::{Between, Copied, Elements, MAX_OFFSET, Template, VALUE, assemble};
use crate::formats::remote_write::message::Message;

/// Size of the table of places, as a power of two. A chunk has a few hundred of them.
const HASH_BITS: u32 = 11;

/// Makes templates of messages of 1.0: behind each value there is a byte, and then its time.
pub struct Quick {
    /// Where bytes of that hash were last, plus `base`; what is less is of another message.
    places: Box<[u32]>,
    base: u32,
}

impl Default for Quick {
    fn default() -> Quick {
        Quick { places: Box::default(), base: 1 }
    }
}

impl Quick {
    /// The template of a message that has one time for all of its samples. None where it is of a size
    /// or kind that this is not made for.
    pub fn template(&mut self, message: &Message) -> Option<Template> {
        let holes = message.holes.as_ref()?;
        let bytes = &message.bytes[..];
        let len = u32::try_from(bytes.len()).ok()?;
        let is_behind = |(value, (time, _)): (&usize, &(usize, usize))| *time == value + VALUE + 1;
        if holes.values.len() != holes.times.len() || !holes.values.iter().zip(&holes.times).all(is_behind) {
            return None;
        }
        let time_len = holes.times.first().map(|(at, _)| varint_len(&bytes[*at..]))?;
        if self.places.is_empty() {
            self.places = vec![0; 1 << HASH_BITS].into();
        }
        if self.base.checked_add(len).is_none() {
            self.places.fill(0);
            self.base = 1;
        }
        let mut run =
            Run { bytes, values: &holes.values, places: &mut self.places, base: self.base, time_len, at: 0, period: 1 };
        let template = assemble(bytes.len(), &holes.values, |start, end, out| run.piece(start, end, out));
        self.base += len;
        Some(template)
    }
}

fn varint_len(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| byte & 0x80 == 0).map_or(bytes.len(), |last| last + 1)
}

/// A message that is being compressed.
struct Run<'m> {
    bytes: &'m [u8],
    values: &'m [usize],
    places: &'m mut [u32],
    base: u32,
    time_len: usize,
    /// How many pieces there were so far.
    at: usize,
    /// How many pieces back the longest match of the piece before came from.
    period: usize,
}

/// Where a match comes from, and how long it is.
#[derive(Clone, Copy, Default)]
struct Match {
    source: usize,
    len: usize,
}

impl Run<'_> {
    /// The elements for the bytes from `start` to `end`, a value before and behind.
    fn piece(&mut self, start: usize, end: usize, out: &mut Elements) -> Between {
        let text = self.text(self.at).min(end);
        let (mut opens, mut closes): (Option<Copied>, Option<Copied>) = (None, None);
        let mut at = start;
        // How far back the same bytes are likely to be.
        let mut distance = 0;
        if self.at == 1 {
            // Nothing before it has a time to copy.
            self.literal(start, text, text, out);
            (at, distance) = (text, text);
        } else if self.at > 1 {
            // Series of an item stand one behind the other: what is alike may be in the item before.
            let back = |pieces: usize| text - self.text(self.at - pieces.clamp(1, self.at - 1));
            let [near, far] = [back(1), back(self.period)];
            let is_far = near != far && self.along(at, far, end, text).len > self.along(at, near, end, text).len;
            distance = if is_far { far } else { near };
        }
        let mut longest = Match::default();
        let mut literal = at;
        while at < end {
            let along = self.along(at, distance, end, text);
            let found = if along.len < 16 && at >= text { self.known(at, end, text) } else { Match::default() };
            let found = if found.len > along.len { found } else { along };
            let Match { source, len } = found;
            // Copies of some length beside a value on both sides are worth a byte more.
            let least = if at - source < 2048 && len <= 11 { 4 } else { 5 };
            self.learn(at, text, end);
            if len < least {
                at += 1;
                continue;
            }
            if literal < at {
                self.literal(literal, at, text, out);
            }
            distance = at - source;
            if len > longest.len {
                longest = found;
            }
            let (is_first, is_last) = (at == start, at + len == end);
            let (head, tail) = out.copy(distance, len, is_first, is_last);
            opens = opens.or(Some(Copied { len: head, beside: source }).filter(|_| is_first));
            closes = Some(Copied { len: tail, beside: source + len }).filter(|_| is_last);
            at += len;
            literal = at;
        }
        if literal < end {
            self.literal(literal, end, text, out);
        }
        let of = self.values.partition_point(|value| *value < longest.source);
        self.period = if longest.len > 0 { self.at - of } else { 1 };
        self.at += 1;
        Between::new(self.values, opens, closes)
    }

    /// Where the text of a piece begins, behind the time; the first one has none.
    fn text(&self, piece: usize) -> usize {
        piece.checked_sub(1).map_or(0, |value| self.values[value] + VALUE + 1 + self.time_len)
    }

    /// What is alike `distance` in front of `at`.
    fn along(&self, at: usize, distance: usize, end: usize, text: usize) -> Match {
        if distance == 0 || distance > at || distance > MAX_OFFSET {
            return Match::default();
        }
        let source = at - distance;
        Match { source, len: self.alike(source, at, end, text) }
    }

    /// What is alike at the place that the table knows.
    fn known(&self, at: usize, end: usize, text: usize) -> Match {
        let Some(key) = self.key(at, end) else { return Match::default() };
        match self.places[key].checked_sub(self.base) {
            Some(source) if at - source as usize <= MAX_OFFSET => {
                let source = source as usize;
                Match { source, len: self.alike(source, at, end, text) }
            }
            _ => Match::default(),
        }
    }

    /// How many bytes are alike from `source` and from `at` on, up to `end` and to the value behind
    /// `source`. Values are like nothing, and times like times alone: of the piece that is being
    /// written they end at `text`.
    fn alike(&self, source: usize, at: usize, end: usize, text: usize) -> usize {
        let next = self.values.partition_point(|value| *value < source);
        let time = if at < text { 0 } else { 1 + self.time_len };
        if next.checked_sub(1).is_some_and(|before| source < self.values[before] + VALUE + time) {
            return 0;
        }
        let bound = self.values.get(next).copied().unwrap_or(self.bytes.len());
        let len = (bound - source).min(end - at);
        let (mut a, mut b) = (&self.bytes[source..source + len], &self.bytes[at..at + len]);
        // Eight at a time: there are many, and a series is more than a hundred.
        while let (Some((one, rest_a)), Some((other, rest_b))) = (a.split_first_chunk(), b.split_first_chunk()) {
            let differ = u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other);
            if differ != 0 {
                return len - a.len() + differ.trailing_zeros() as usize / 8;
            }
            (a, b) = (rest_a, rest_b);
        }
        while let (Some((one, rest_a)), Some((other, rest_b))) = (a.split_first(), b.split_first()) {
            if one != other {
                break;
            }
            (a, b) = (rest_a, rest_b);
        }
        len - a.len()
    }

    /// Makes the bytes at `at` known, unless they are those of a time.
    fn learn(&mut self, at: usize, text: usize, end: usize) {
        if at >= text {
            if let Some(key) = self.key(at, end) {
                self.places[key] = self.base + at as u32;
            }
        }
    }

    fn key(&self, at: usize, end: usize) -> Option<usize> {
        let four = self.bytes.get(at..end)?.first_chunk::<4>()?;
        Some((u32::from_le_bytes(*four).wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS)) as usize)
    }

    /// Writes bytes as a literal. The time ends where the `text` begins.
    fn literal(&self, start: usize, end: usize, text: usize, out: &mut Elements) {
        out.literal(&self.bytes[start..end]);
        let time = text - self.time_len.min(text);
        if text > 0 && start < text {
            let own = (time..text).filter(|at| (start..end).contains(at));
            let begin = out.bytes.len() - (end - start);
            own.for_each(|at| out.time(begin + at - start, 0, (at - time) as u8));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::remote_write::message::Holes;
    use crate::formats::remote_write::template::MARGIN;
    use prost::encoding::{decode_varint, encode_varint};

    /// Series of these texts, at that time, as a message of 1.0 has them: what matters is where the
    /// numbers are.
    fn message(texts: &[String], values: &[f64], time_ms: i64) -> Message {
        let mut message = Message { bytes: Vec::new(), holes: Some(Holes::default()) };
        for (text, value) in texts.iter().zip(values) {
            message.bytes.extend_from_slice(text.as_bytes());
            message.value(*value);
            message.bytes.push(0x10);
            message.time(time_ms, 0);
        }
        message
    }

    #[test]
    fn what_is_filled_in_later_is_the_message_of_then() {
        // A time whose bytes are a text as well, so that they stand elsewhere too.
        let bytes = [0xe8, 0x9f, 0x85, 0xc2, 0x9a, 0x31];
        let as_text = std::str::from_utf8(&bytes).unwrap();
        let time_ms = decode_varint(&mut &bytes[..]).unwrap() as i64;
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let mut quick = Quick::default();
        for _ in 0..400 {
            let series = 1 + random(40) as usize;
            let mut text = || {
                let number = random(30);
                let one = |which| match which {
                    0 => format!("\u{10}{as_text}"),
                    1 => as_text.to_owned(),
                    2 => format!("path{number}"),
                    3 => "a label that many series have in common".repeat(1 + number as usize % 3),
                    4 => "\u{10}".to_owned(),
                    _ => String::new(),
                };
                [random(6), random(6), 3, random(6), random(6)].map(one).concat()
            };
            let texts: Vec<String> = (0..series).map(|_| text()).collect();
            let mut numbers = || (0..series).map(|_| random(5) as f64 * 1.1).collect::<Vec<f64>>();
            let (first, later) = (numbers(), numbers());
            let template = quick.template(&message(&texts, &first, time_ms)).unwrap();
            for (values, time_ms) in [(&first, time_ms), (&later, time_ms + 12_345), (&first, time_ms - 7_777_777)] {
                let mut body = vec![0; template.longest() + 2 * MARGIN];
                let end = template.fill(values, |_| time_ms, &mut body, MARGIN);
                let mut packed = Vec::new();
                encode_varint(template.unpacked() as u64, &mut packed);
                packed.extend_from_slice(&body[MARGIN..end]);
                let unpacked = snap::raw::Decoder::new().decompress_vec(&packed).unwrap();
                assert!(unpacked == message(&texts, values, time_ms).bytes);
            }
        }
    }

    #[test]
    fn what_is_no_such_message_has_no_template() {
        let mut quick = Quick::default();
        assert!(quick.template(&Message::default()).is_none());
        let mut other = Message { bytes: Vec::new(), holes: Some(Holes::default()) };
        other.value(1.0);
        other.time(1, 0);
        assert!(quick.template(&other).is_none());
    }
}
