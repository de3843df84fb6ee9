//! The bytes of a view's points around their numbers.
//!
//! In protobuf all that changes from tick to tick has a fixed width: times, numbers, counts. So the points of
//! each metric are written once; a tick copies them and puts the numbers in. What is not always there, a
//! start for instance, has its points written one by one.
//!
//! ```text
//! point     key length [key start] key TIME key VALUE attributes
//! histogram key length [key start] key TIME key COUNT [key SUM] key length COUNTS... bounds attributes
//! ```

use std::ops::Range;

use super::whole::Form;

/// What is written in capitals above has so many bytes.
const WORD: usize = 8;

/// From one such to the next, where a key of one byte stands between.
const STEP: usize = WORD + 1;

/// A number's time, the key, and its value.
const NUMBER: usize = STEP + WORD;

/// The points of a view.
#[derive(Debug)]
pub struct Template {
    bytes: Box<[u8]>,
    pieces: Box<[Piece]>,
    /// Where a number's point has its time, which has its value behind it, and the number of that value.
    numbers: Box<[(u32, u32)]>,
    /// Where other points have their times.
    times: Box<[u32]>,
    /// Where all else stands that changes.
    words: Box<[u32]>,
    /// The streams that have such, in the order of their words.
    order: Box<[u32]>,
    points: u64,
    /// It holds for times from then on, in nanoseconds since the UNIX epoch.
    since_ns: u64,
}

/// The points of a metric: places are counted from their beginning.
#[derive(Debug)]
struct Piece {
    bytes: Range<u32>,
    numbers: Range<u32>,
    times: Range<u32>,
    words: Range<u32>,
}

/// Makes a template.
pub struct Maker {
    pieces: Vec<Made>,
    since_ns: u64,
    points: u64,
}

/// The points of a metric.
#[derive(Default)]
struct Made {
    bytes: Vec<u8>,
    numbers: Vec<(u32, u32)>,
    times: Vec<u32>,
    words: Vec<u32>,
    order: Vec<u32>,
}

impl Maker {
    /// A template of so many metrics.
    pub fn new(metrics: usize) -> Maker {
        let pieces = (0..metrics).map(|_| Made::default()).collect();
        Maker { pieces, since_ns: 0, points: 0 }
    }

    /// Adds the stream of that number to a metric. `write` writes a point of it, and says where in it its time is.
    /// `start_ns` is the start that is in it for good; where `is_start_said` it is another one each time.
    pub fn add(
        &mut self,
        (metric, stream): (u32, u32),
        form: &Form,
        start_ns: Option<u64>,
        is_start_said: bool,
        write: impl FnOnce(&mut Vec<u8>) -> Option<usize>,
    ) -> Option<()> {
        let made = &mut self.pieces[metric as usize];
        let time = u32::try_from(write(&mut made.bytes)?).ok()?;
        let words = made.words.len();
        if is_start_said {
            made.words.push(time - STEP as u32);
        }
        let mut word = |at: usize| made.words.push(time + at as u32);
        match form {
            Form::Number(at) => made.numbers.push((time, *at)),
            Form::Histogram(one) => {
                made.times.push(time);
                word(STEP);
                let sum = one.sum.map_or(0, |_| STEP);
                if sum > 0 {
                    word(2 * STEP);
                }
                let len = WORD * (one.buckets.len() + 1);
                let first = 2 * STEP + sum + prost::encoding::encoded_len_varint(len as u64);
                (0..=one.buckets.len()).for_each(|at| word(first + WORD * at));
            }
            Form::Summary(one) => {
                made.times.push(time);
                word(STEP);
                word(2 * STEP);
                // Each has a key and a length, then the quantile, then its value.
                let each = 2 + 2 * STEP;
                (0..one.quantiles.len()).for_each(|at| word(3 * STEP - 1 + each * at + 2 + STEP + 1));
            }
        }
        if made.words.len() > words {
            made.order.push(stream);
        }
        self.since_ns = self.since_ns.max(start_ns.unwrap_or_default());
        self.points += 1;
        Some(())
    }

    /// The template.
    pub fn finish(self) -> Option<Template> {
        let (mut bytes, mut numbers, mut times) = (Vec::new(), Vec::new(), Vec::new());
        let (mut words, mut order) = (Vec::new(), Vec::new());
        let mut pieces = Vec::with_capacity(self.pieces.len());
        for made in self.pieces {
            pieces.push(Piece {
                bytes: append(&mut bytes, made.bytes),
                numbers: append(&mut numbers, made.numbers),
                times: append(&mut times, made.times),
                words: append(&mut words, made.words),
            });
            order.extend(made.order);
        }
        u32::try_from(bytes.len()).ok()?;
        Some(Template {
            bytes: bytes.into(),
            pieces: pieces.into(),
            numbers: numbers.into(),
            times: times.into(),
            words: words.into(),
            order: order.into(),
            points: self.points,
            since_ns: self.since_ns,
        })
    }
}

fn append<T>(all: &mut Vec<T>, more: Vec<T>) -> Range<u32> {
    let begin = all.len() as u32;
    all.extend(more);
    begin..all.len() as u32
}

fn range(of: &Range<u32>) -> Range<usize> {
    of.start as usize..of.end as usize
}

impl Template {
    /// Whether it holds for points of that time, in nanoseconds since the UNIX epoch.
    pub fn holds(&self, time_ns: u64) -> bool {
        time_ns >= self.since_ns
    }

    /// How many points it has.
    pub fn points(&self) -> u64 {
        self.points
    }

    /// The bytes that the points of a metric take.
    pub fn len(&self, metric: usize) -> usize {
        self.pieces[metric].bytes.len()
    }

    /// The streams whose words are asked for, in this order: the start that is said, then a histogram's count, sum and
    /// counts, or a summary's count, sum and values.
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    /// Writes the points of a metric. `values` are those of the view's series, `words` those of [`Template::order`].
    pub fn fill(&self, metric: usize, time_ns: u64, values: &[f64], words: &[u64], out: &mut Vec<u8>) {
        let piece = &self.pieces[metric];
        let begin = out.len();
        out.extend_from_slice(&self.bytes[range(&piece.bytes)]);
        let own = &mut out[begin..];
        let time = time_ns.to_le_bytes();
        for (at, value) in &self.numbers[range(&piece.numbers)] {
            let place = own.get_mut(*at as usize..).and_then(|rest| rest.first_chunk_mut::<NUMBER>());
            if let (Some(place), Some(value)) = (place, values.get(*value as usize)) {
                place[..WORD].copy_from_slice(&time);
                place[STEP..].copy_from_slice(&value.to_le_bytes());
            }
        }
        for at in &self.times[range(&piece.times)] {
            put(own, *at, time);
        }
        let words = words.get(range(&piece.words)).unwrap_or_default();
        for (at, word) in self.words[range(&piece.words)].iter().zip(words) {
            put(own, *at, word.to_le_bytes());
        }
    }
}

fn put(own: &mut [u8], at: u32, word: [u8; WORD]) {
    if let Some(place) = own.get_mut(at as usize..).and_then(|rest| rest.first_chunk_mut::<WORD>()) {
        *place = word;
    }
}
