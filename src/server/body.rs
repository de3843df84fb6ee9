//! A request's body as it comes in: framed by its length or by chunks, and bounded, alone and
//! together with all others. Pure.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::answer::Response;

/// All bodies that are under way, or handed over and not done with, take at most so many times
/// what one may: memory does not grow with the clients.
pub const BODIES: usize = 2;

/// A body's memory grows by at least so much at a time.
const FIRST: usize = 16 << 10;

/// A chunk's first line, its extensions included, and each line behind the last chunk.
const MAX_LINE: usize = 1024;

/// What all lines behind the last chunk take.
const MAX_TRAILERS: usize = 8 << 10;

/// How a body is packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    #[default]
    Identity,
    /// By gzip.
    Gzip,
}

/// What a head says of the body behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Announced {
    pub(super) framing: Framing,
    /// The `Content-Type` field.
    pub(super) content_type: String,
    /// All `Content-Encoding` fields, joined with commas.
    pub(super) encoding: String,
    /// The client waits for a word before it sends the body.
    pub(super) expects_continue: bool,
    /// It comes from a page in a browser (`Origin`).
    pub(super) is_of_a_page: bool,
}

/// Where a body ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none.
    #[default]
    None,
    /// After so many bytes.
    Length(u64),
    /// With its last chunk.
    Chunked,
    /// Nobody can say: what the head says contradicts itself, or is not known here.
    Unclear(&'static str),
}

impl Framing {
    /// Another `Content-Length` field.
    pub(super) fn length(self, value: &[u8]) -> Framing {
        let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let length = std::str::from_utf8(value).ok().filter(|_| digits).and_then(|text| text.parse().ok());
        match (self, length) {
            (Framing::Unclear(_), _) => self,
            (_, None) => Framing::Unclear("Content-Length is not a number"),
            (Framing::None, Some(length)) => Framing::Length(length),
            _ => Framing::Unclear("a request has one length: one Content-Length, or Transfer-Encoding"),
        }
    }

    /// Another `Transfer-Encoding` field.
    pub(super) fn transfer_encoding(self, value: &[u8]) -> Framing {
        match self {
            Framing::Unclear(_) => self,
            Framing::None if value.eq_ignore_ascii_case(b"chunked") => Framing::Chunked,
            Framing::None => Framing::Unclear("the only Transfer-Encoding that is known here is chunked"),
            _ => Framing::Unclear("a request has one length: one Content-Length, or Transfer-Encoding"),
        }
    }
}

impl Announced {
    /// How the body is packed.
    fn packed(&self) -> Result<Encoding, Response> {
        match self.encoding.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Encoding::Identity),
            "gzip" | "x-gzip" => Ok(Encoding::Gzip),
            _ => Err(Response::text(415, "the Content-Encodings that are known here are gzip and identity")),
        }
    }

    /// What the body will be, of at most `max` bytes, or why it is not waited for.
    pub(super) fn open(&self, max: usize, budget: &Arc<Budget>) -> Result<(Body, Encoding), Response> {
        if self.is_of_a_page {
            return Err(Response::text(403, "pages in a browser do not push here (the request has an Origin header)"));
        }
        let encoding = self.packed()?;
        let next = match self.framing {
            Framing::None => Next::Done,
            Framing::Length(length) if length > max as u64 => return Err(too_large(max)),
            Framing::Length(length) => Next::of_rest(length as usize),
            Framing::Chunked => Next::Size { line: Vec::new(), is_first: true },
            Framing::Unclear(why) => return Err(Response::text(400, why)),
        };
        let expected = if let Framing::Length(length) = self.framing { length as usize } else { max };
        Ok((Body { bytes: Bytes::new(budget), next, max, expected, trailers: 0 }, encoding))
    }
}

fn too_large(max: usize) -> Response {
    Response::text(413, &format!("the body is larger than listen.push.max_bytes ({max}); send it in pieces"))
}

fn no_room() -> Response {
    Response::unavailable("too many bodies are under way; try again")
}

/// A body that is coming in.
#[derive(Debug)]
pub(super) struct Body {
    bytes: Bytes,
    next: Next,
    /// How many bytes there may be.
    max: usize,
    /// How many there may be by what the head says.
    expected: usize,
    trailers: usize,
}

/// What comes next.
#[derive(Debug)]
enum Next {
    /// So many bytes, up to the body's end or the chunk's.
    Rest(usize),
    ChunkRest(usize),
    /// A chunk's first line, of which so much has come.
    Size {
        line: Vec<u8>,
        is_first: bool,
    },
    /// A line behind the last chunk.
    Trailer {
        line: Vec<u8>,
    },
    Done,
}

impl Next {
    fn of_rest(length: usize) -> Next {
        if length == 0 { Next::Done } else { Next::Rest(length) }
    }
}

impl Body {
    /// How many bytes have come.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether all of it has come.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.next, Next::Done)
    }

    /// What has come.
    pub(super) fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// Takes what came over the wire. What is behind the body's end is left in `input`.
    pub(super) fn take(&mut self, input: &mut &[u8]) -> Result<(), Response> {
        while !input.is_empty() {
            match &mut self.next {
                Next::Done => return Ok(()),
                Next::Rest(left) | Next::ChunkRest(left) => {
                    let count = input.len().min(*left);
                    let (now, rest) = input.split_at(count);
                    if self.bytes.len() + count > self.max {
                        return Err(too_large(self.max));
                    }
                    if !self.bytes.extend(now, self.expected) {
                        return Err(no_room());
                    }
                    *input = rest;
                    *left -= count;
                    if *left == 0 {
                        let is_chunk = matches!(self.next, Next::ChunkRest(_));
                        self.next =
                            if is_chunk { Next::Size { line: Vec::new(), is_first: false } } else { Next::Done };
                    }
                }
                Next::Size { line, is_first } => {
                    if !take_line(line, input)? {
                        return Ok(());
                    }
                    // Behind a chunk stands a line's end, in front of the next one's first line.
                    let is_end = !*is_first && line.is_empty();
                    if is_end {
                        (*is_first, *line) = (true, Vec::new());
                        continue;
                    }
                    let size = if *is_first { chunk_size(line) } else { None };
                    let Some(size) = size else {
                        return Err(Response::text(400, "the chunks of the body are not well-formed"));
                    };
                    if size > self.max.saturating_sub(self.bytes.len()) {
                        return Err(too_large(self.max));
                    }
                    self.next = if size == 0 { Next::Trailer { line: Vec::new() } } else { Next::ChunkRest(size) };
                }
                Next::Trailer { line } => {
                    if !take_line(line, input)? {
                        return Ok(());
                    }
                    self.trailers += line.len() + 2;
                    if self.trailers > MAX_TRAILERS {
                        return Err(Response::text(400, "there is too much behind the last chunk of the body"));
                    }
                    if line.is_empty() { self.next = Next::Done } else { line.clear() }
                }
            }
        }
        Ok(())
    }
}

/// Takes a line without its end; whether it is whole.
fn take_line(line: &mut Vec<u8>, input: &mut &[u8]) -> Result<bool, Response> {
    let end = input.iter().position(|byte| *byte == b'\n');
    let (part, rest) = input.split_at(end.map_or(input.len(), |end| end + 1));
    if line.len() + part.len() > MAX_LINE {
        return Err(Response::text(400, "the chunks of the body are not well-formed: a line is too long"));
    }
    line.extend_from_slice(part);
    *input = rest;
    if end.is_none() {
        return Ok(false);
    }
    line.pop();
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(true)
}

/// The number in front of a chunk, hexadecimal; what may stand behind it says nothing here.
fn chunk_size(line: &[u8]) -> Option<usize> {
    let number = line.split(|byte| *byte == b';').next()?.trim_ascii();
    let is_hex = (1..=15).contains(&number.len()) && number.iter().all(u8::is_ascii_hexdigit);
    usize::from_str_radix(std::str::from_utf8(number).ok().filter(|_| is_hex)?, 16).ok()
}

/// What all bodies together may take.
#[derive(Debug)]
pub(super) struct Budget {
    max: usize,
    taken: AtomicUsize,
}

impl Budget {
    /// For bodies of at most `max_bytes` each.
    pub(super) fn new(max_bytes: usize) -> Arc<Budget> {
        Arc::new(Budget { max: max_bytes.saturating_mul(BODIES), taken: AtomicUsize::new(0) })
    }

    /// Takes so much more; whether there was room.
    fn take(&self, more: usize) -> bool {
        let take = |taken: usize| taken.checked_add(more).filter(|all| *all <= self.max);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

/// The bytes of a body, which count against what all bodies together may take.
pub struct Bytes {
    bytes: Vec<u8>,
    budget: Arc<Budget>,
}

impl Bytes {
    fn new(budget: &Arc<Budget>) -> Bytes {
        Bytes { bytes: Vec::new(), budget: Arc::clone(budget) }
    }

    /// Adds `more`, of at most `expected` bytes in all. Whether there was room.
    fn extend(&mut self, more: &[u8], expected: usize) -> bool {
        let needed = self.bytes.len() + more.len();
        if needed > self.bytes.capacity() {
            let capacity = (2 * self.bytes.capacity()).max(FIRST).min(expected).max(needed);
            if !self.budget.take(capacity - self.bytes.capacity()) {
                return false;
            }
            self.bytes.reserve_exact(capacity - self.bytes.len());
            // An allocator may give more than it was asked for.
            self.budget.taken.fetch_add(self.bytes.capacity() - capacity, Ordering::Relaxed);
        }
        self.bytes.extend_from_slice(more);
        true
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        self.budget.taken.fetch_sub(self.bytes.capacity(), Ordering::Relaxed);
    }
}

impl fmt::Debug for Bytes {
    /// What is in it is nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunked(max: usize) -> Body {
        let announced = Announced { framing: Framing::Chunked, ..Announced::default() };
        announced.open(max, &Budget::new(max)).unwrap().0
    }

    const CHUNKS: &[u8] = b"5\r\nhello\r\n1;a=\"b\"\r\n \r\nA\r\nbeautiful!\r\n0\r\nTrailer: x\r\n\r\nGET";

    #[test]
    fn chunks_are_put_together_however_they_are_cut() {
        for size in 1..CHUNKS.len() {
            let mut body = chunked(100);
            let mut left = 0;
            for mut part in CHUNKS.chunks(size) {
                body.take(&mut part).unwrap();
                left += part.len();
            }
            assert!(body.is_whole(), "pieces of {size}");
            assert_eq!((&*body.into_bytes(), left), (&b"hello beautiful!"[..], 3), "pieces of {size}");
        }
    }

    #[test]
    fn a_body_that_is_cut_is_not_whole() {
        for end in 0..CHUNKS.len() - 3 {
            let mut body = chunked(100);
            body.take(&mut &CHUNKS[..end]).unwrap();
            assert!(!body.is_whole(), "cut at {end}");
        }
        let announced = Announced { framing: Framing::Length(5), ..Announced::default() };
        let (mut body, _) = announced.open(100, &Budget::new(100)).unwrap();
        body.take(&mut &b"hell"[..]).unwrap();
        assert!(!body.is_whole());
        let mut rest = &b"o, world"[..];
        body.take(&mut rest).unwrap();
        assert!(body.is_whole());
        assert_eq!((&*body.into_bytes(), rest), (&b"hello"[..], &b", world"[..]));
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        let long = format!("1;{}\r\n", "x".repeat(MAX_LINE));
        let trailers = format!("0\r\n{}", "A: b\r\n".repeat(MAX_TRAILERS / 6 + 1));
        for bytes in
            ["x\r\n", "-1\r\n", "+1\r\n", "\r\n", " \r\n", "1\r\nab\r\n", "10000000000000000\r\n", &long, &trailers]
        {
            let refused = chunked(100).take(&mut bytes.as_bytes()).unwrap_err();
            assert_eq!(refused.status, 400, "{bytes:?}");
        }
    }

    #[test]
    fn a_body_over_the_limit_is_refused_before_it_comes() {
        let of = |framing| Announced { framing, ..Announced::default() };
        let budget = Budget::new(100);
        assert_eq!(of(Framing::Length(101)).open(100, &budget).unwrap_err().status, 413);
        assert_eq!(of(Framing::Length(u64::MAX)).open(100, &budget).unwrap_err().status, 413);
        assert!(of(Framing::Length(100)).open(100, &budget).is_ok());
        assert_eq!(chunked(100).take(&mut &b"65\r\n"[..]).unwrap_err().status, 413);
        assert_eq!(chunked(100).take(&mut &b"FFFFFFFFFFFFFFF\r\n"[..]).unwrap_err().status, 413);
        let mut body = chunked(3);
        body.take(&mut &b"2\r\nab\r\n"[..]).unwrap();
        assert_eq!(body.take(&mut &b"2\r\n"[..]).unwrap_err().status, 413);
        assert_eq!(budget.taken.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn all_bodies_together_are_bounded_and_give_back_what_they_took() {
        let budget = Budget::new(100_000);
        let announced = Announced { framing: Framing::Length(100_000), ..Announced::default() };
        let open = || announced.open(100_000, &budget).unwrap().0;
        let all = vec![b'x'; 100_000];
        let mut bodies: Vec<Body> = (0..BODIES).map(|_| open()).collect();
        bodies.iter_mut().for_each(|body| body.take(&mut &all[..]).unwrap());
        let refused = open().take(&mut &b"x"[..]).unwrap_err();
        assert_eq!((refused.status, refused.retry_after.is_some()), (503, true));
        let one = bodies.pop().unwrap().into_bytes();
        assert!(open().take(&mut &b"x"[..]).is_err(), "it is not done with yet");
        drop(one);
        open().take(&mut &b"x"[..]).unwrap();
        drop(bodies);
        assert_eq!(budget.taken.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_length_is_one_number_and_said_once() {
        let of = |lengths: &[&str]| lengths.iter().fold(Framing::None, |all, one| all.length(one.as_bytes()));
        assert_eq!(of(&["17"]), Framing::Length(17));
        for wrong in [&["+1"][..], &[""], &["1 "], &["0x1"], &["18446744073709551616"], &["1", "1"], &["1", "2"]] {
            assert!(matches!(of(wrong), Framing::Unclear(_)), "{wrong:?}");
        }
        assert_eq!(Framing::None.transfer_encoding(b"Chunked"), Framing::Chunked);
        assert!(matches!(Framing::None.transfer_encoding(b"gzip, chunked"), Framing::Unclear(_)));
        assert!(matches!(Framing::Chunked.length(b"1"), Framing::Unclear(_)));
        assert!(matches!(Framing::Length(1).transfer_encoding(b"chunked"), Framing::Unclear(_)));
    }

    #[test]
    fn encodings_that_nobody_can_unpack_are_refused() {
        let of = |encoding: &str| Announced { encoding: encoding.to_owned(), ..Announced::default() }.packed();
        assert_eq!(of(""), Ok(Encoding::Identity));
        assert_eq!(of("GZIP"), Ok(Encoding::Gzip));
        for unknown in ["br", "zstd", "gzip, gzip", "snappy"] {
            assert_eq!(of(unknown).unwrap_err().status, 415, "{unknown}");
        }
    }
}
