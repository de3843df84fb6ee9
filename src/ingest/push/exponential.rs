//! Exponential histograms as classic ones, with few buckets whose bounds stay. Pure.
//!
//! The bucket `i` of scale `s` holds what is above `base^i` and at most `base^(i+1)`, where `base` is
//! `2^(2^-s)`; what is below zero is in buckets of its absolute value, and what is nearly zero in one of its
//! own. One scale less makes one bucket of two, and keeps every other bound as it is.
//!
//! <https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram>

use crate::order;

/// Buckets are not narrower: of a scale, four to each doubling, 19 % wide. Libraries send up to 2^20 of them.
const MAX_SCALE: i32 = 2;

/// One bucket holds all that a number can be, on this side of 1: there is nothing wider.
const MIN_SCALE: i32 = -11;

/// Buckets on each side of zero: at the finest scale those of a range of one to a million. Each is a series.
const MAX_BUCKETS: usize = 80;

/// `2^(0/4)` to `2^(3/4)`: what is not computed is the same on every machine, and so are labels.
const ROOTS: [f64; 4] = [1.0, 1.189_207_115_002_721, std::f64::consts::SQRT_2, 1.681_792_830_507_429];

/// Numbers are from `2^-1074` up to below `2^1024`.
const MIN_EXPONENT: i64 = -1075;
const MAX_EXPONENT: i64 = 1024;

/// What is not finite, or is below zero, is no width.
const NO_THRESHOLD: &str = "the zero threshold of an exponential histogram is a number from 0 on";
const NO_SCALE: &str = "the scale of an exponential histogram is -11 at least";
const NO_NUMBERS: &str = "buckets of an exponential histogram lie where there are no numbers";

/// A point, as it comes.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// How many observations.
    pub count: u64,
    /// Their sum.
    pub sum: Option<f64>,
    /// How fine the buckets are.
    pub scale: i32,
    /// How many observations were nearly zero.
    pub zero: u64,
    /// What is nearly zero.
    pub zero_threshold: f64,
    /// Those above zero.
    pub positive: SentBuckets,
    /// Those below.
    pub negative: SentBuckets,
}

/// The buckets on one side of zero.
#[derive(Clone, Debug, Default)]
pub struct SentBuckets {
    /// The index of the first one.
    pub offset: i32,
    /// How many observations each has.
    pub counts: Vec<u64>,
}

/// A point whose buckets are few.
#[derive(Clone, Debug, PartialEq)]
pub struct Exponential {
    count: u64,
    sum: Option<f64>,
    scale: i32,
    zero: u64,
    zero_threshold: f64,
    positive: Buckets,
    negative: Buckets,
}

/// The buckets on one side of zero, from one that holds something to another one.
#[derive(Clone, Debug, Default, PartialEq)]
struct Buckets {
    first: i64,
    counts: Vec<u64>,
}

impl Exponential {
    /// Of what was sent. The error: what is wrong with it.
    pub fn new(sent: &Sent) -> Result<Exponential, &'static str> {
        let Sent { count, sum, scale, zero, zero_threshold, ref positive, ref negative } = *sent;
        if !zero_threshold.is_finite() || zero_threshold < 0.0 {
            return Err(NO_THRESHOLD);
        }
        if scale < MIN_SCALE {
            return Err(NO_SCALE);
        }
        let (positive, negative) = (Buckets::new(positive, scale)?, Buckets::new(negative, scale)?);
        let scale = scale.min(MAX_SCALE);
        let mut own = Exponential { count, sum, scale, zero, zero_threshold, positive, negative };
        own.fit();
        Ok(own)
    }

    /// Takes up where the series was: buckets that were there stay, and none gets narrower again. What `adds`
    /// came since then.
    pub fn follow(&mut self, known: &Exponential, adds: bool) {
        let mut known = known.clone();
        let scale = self.scale.min(known.scale);
        self.widen(scale);
        known.widen(scale);
        self.positive.cover(&known.positive, adds);
        self.negative.cover(&known.negative, adds);
        self.zero_threshold = self.zero_threshold.max(known.zero_threshold);
        if adds {
            self.count = self.count.saturating_add(known.count);
            self.zero = self.zero.saturating_add(known.zero);
            self.sum = self.sum.map(|sum| sum + known.sum.unwrap_or(0.0));
        }
        self.fit();
    }

    /// How many observations, and their sum.
    pub fn totals(&self) -> (u64, Option<f64>) {
        (self.count, self.sum)
    }

    /// All bounds that are numbers, ascending, each with how many observations are at most so large.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let mut sum_up = 0_u64;
        self.bounds().into_iter().map(move |(bound, count)| {
            sum_up = sum_up.saturating_add(count);
            (bound, sum_up)
        })
    }

    /// These bounds, each with how many observations the bucket below it has. The lowest of each side has none, and says where the next one begins.
    fn bounds(&self) -> Vec<(f64, u64)> {
        let Exponential { scale, zero, zero_threshold, positive, negative, .. } = self;
        let mut bounds: Vec<(f64, u64)> = Vec::with_capacity(positive.counts.len() + negative.counts.len() + 3);
        bounds.push((*zero_threshold, *zero));
        if !positive.counts.is_empty() {
            bounds.push((bound(positive.first, *scale), 0));
            bounds.extend(positive.each().map(|(at, count)| (bound(at + 1, *scale), count)));
        }
        if !negative.counts.is_empty() {
            bounds.push((-bound(negative.end(), *scale), 0));
            // What is below zero, but nearer to it than any number, is at the nearest one.
            let below = |at| -bound(at, *scale).max(f64::from_bits(1));
            bounds.extend(negative.each().map(|(at, count)| (below(at), count)));
        }
        // What is above all bounds is in the last bucket, as all is.
        bounds.retain(|(bound, _)| bound.is_finite());
        order::sort_by(&mut bounds, |(a, _), (b, _)| a.total_cmp(b));
        bounds.dedup_by(|(bound, count), (before, sum)| {
            let is_twice = bound == before;
            if is_twice {
                *sum = sum.saturating_add(*count);
            }
            is_twice
        });
        bounds
    }

    /// Widens buckets until they are few.
    fn fit(&mut self) {
        while self.positive.counts.len().max(self.negative.counts.len()) > MAX_BUCKETS && self.scale > MIN_SCALE {
            self.widen(self.scale - 1);
        }
    }

    /// Makes buckets of a lower scale.
    fn widen(&mut self, scale: i32) {
        let by = self.scale.saturating_sub(scale).max(0).unsigned_abs();
        self.positive.widen(by);
        self.negative.widen(by);
        self.scale = scale;
    }
}

impl Buckets {
    /// Of what was sent in that scale; in [`MAX_SCALE`], where that one is lower.
    fn new(sent: &SentBuckets, scale: i32) -> Result<Buckets, &'static str> {
        let counts = &sent.counts;
        let Some(begin) = counts.iter().position(|count| *count > 0) else { return Ok(Buckets::default()) };
        let end = counts.iter().rposition(|count| *count > 0).map_or(begin, |last| last + 1);
        let first = i64::from(sent.offset) + begin as i64;
        let mut own = Buckets { first, counts: counts[begin..end].to_vec() };
        own.widen(scale.saturating_sub(MAX_SCALE).max(0).unsigned_abs());
        let scale = scale.min(MAX_SCALE);
        let of = |exponent: i64| exponent << scale.max(0);
        let down = scale.min(0).unsigned_abs();
        let (lowest, highest) = (own.first.saturating_add(1) << down, (own.end() - 1) << down);
        if lowest <= of(MIN_EXPONENT) || highest >= of(MAX_EXPONENT) {
            return Err(NO_NUMBERS);
        }
        Ok(own)
    }

    /// The index behind the last one.
    fn end(&self) -> i64 {
        self.first + self.counts.len() as i64
    }

    fn each(&self) -> impl Iterator<Item = (i64, u64)> {
        (self.first..).zip(self.counts.iter().copied())
    }

    /// Makes one bucket of each `2^by`.
    fn widen(&mut self, by: u32) {
        if by == 0 || self.counts.is_empty() {
            return;
        }
        // An index has fewer bits than 63, and is -1 or 0 without all of them.
        let by = by.min(i64::BITS - 1);
        let first = self.first >> by;
        let mut counts = vec![0_u64; (((self.end() - 1) >> by) - first + 1) as usize];
        for (at, count) in self.each() {
            let wide = &mut counts[((at >> by) - first) as usize];
            *wide = wide.saturating_add(count);
        }
        *self = Buckets { first, counts };
    }

    /// Has all buckets that `known` of the same scale has, too; `adds`: with what they hold.
    fn cover(&mut self, known: &Buckets, adds: bool) {
        if known.counts.is_empty() {
            return;
        }
        if self.counts.is_empty() {
            self.first = known.first;
        }
        let first = self.first.min(known.first);
        // All of them lie where there are numbers: some thousand at most.
        let mut counts = vec![0_u64; (self.end().max(known.end()) - first) as usize];
        for (at, count) in self.each().chain(known.each().filter(|_| adds)) {
            let own = &mut counts[(at - first) as usize];
            *own = own.saturating_add(count);
        }
        *self = Buckets { first, counts };
    }
}

/// `base^at` of a scale, rounded to what is a number; infinite or 0 where that is too large or too small for one.
/// The same power has the same number in each scale.
fn bound(at: i64, scale: i32) -> f64 {
    let quarters = at << (MAX_SCALE - scale);
    let (whole, part) = (quarters.div_euclid(4).clamp(-2000, 2000) as i32, quarters.rem_euclid(4) as usize);
    // In halves, since half of a number's smallest power is one, and its inverse, too.
    let half = whole / 2;
    ROOTS[part] * 2.0_f64.powi(half) * 2.0_f64.powi(whole - half)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(offset: i32, counts: &[u64]) -> SentBuckets {
        SentBuckets { offset, counts: counts.into() }
    }

    fn positive(scale: i32, offset: i32, counts: &[u64]) -> Exponential {
        Exponential::new(&Sent {
            count: counts.iter().sum(),
            scale,
            positive: buckets(offset, counts),
            ..Sent::default()
        })
        .unwrap()
    }

    fn cumulative(of: &Exponential) -> Vec<(f64, u64)> {
        of.cumulative().collect()
    }

    #[test]
    fn bounds_are_powers_of_the_scale_s_base() {
        // From the specification's table of scale 3, whose every other bound is one of scale 2.
        for (at, text) in [(0, "1.00000"), (1, "1.18921"), (2, "1.41421"), (3, "1.68179"), (4, "2.00000")] {
            assert_eq!(format!("{:.5}", bound(at, 2)), text);
        }
        assert_eq!((bound(-1, 0), bound(10, 0), bound(1, -3), bound(-1, -3)), (0.5, 1024.0, 256.0, 1.0 / 256.0));
        // The ends of what is a number.
        assert_eq!((bound(1023, 0), bound(1024, 0)), (2.0_f64.powi(1023), f64::INFINITY));
        assert_eq!((bound(-1074, 0), bound(-1076, 0)), (f64::from_bits(1), 0.0));
        assert_eq!((bound(0, -11), bound(1, -11), bound(-1, -11)), (1.0, f64::INFINITY, 0.0));
        // 2^0.5 in two scales.
        assert_eq!(bound(2, 2).to_bits(), bound(1, 1).to_bits());
    }

    #[test]
    fn both_sides_and_zero_are_in_order() {
        // At scale 0: (1, 2] twice, (2, 4] three times; [-8, -4) once, [-4, -2) four times; twice nearly 0.
        let one = Exponential::new(&Sent {
            count: 12,
            sum: Some(-20.0),
            scale: 0,
            zero: 2,
            zero_threshold: 0.001,
            positive: buckets(0, &[2, 3]),
            negative: buckets(1, &[4, 1]),
        })
        .unwrap();
        let expected = [(-8.0, 0), (-4.0, 1), (-2.0, 5), (0.001, 7), (1.0, 7), (2.0, 9), (4.0, 12)];
        assert_eq!((cumulative(&one), one.totals()), (expected.to_vec(), (12, Some(-20.0))));
    }

    #[test]
    fn what_is_finer_than_needed_is_widened() {
        // Scale 3, indices 0 to 7: (1, 2] in eight. Scale 2 has it in four: (1, 1.19] is 0 and 1.
        let fine = positive(3, 0, &[1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!((fine.scale, fine.positive.first, &fine.positive.counts[..]), (2, 0, &[3, 7, 11, 15][..]));
        // Below 1 it goes down, too: -1 and -2 are one, -3 is with -4.
        let low = positive(3, -3, &[1, 2, 4]);
        assert_eq!((low.positive.first, &low.positive.counts[..]), (-2, &[1, 6][..]));
        // 81 quarters of a doubling are 41 halves.
        let wide = positive(2, 0, &[1; 81]);
        assert_eq!((wide.scale, wide.positive.counts.len()), (1, 41));
        assert_eq!(cumulative(&wide).last(), Some(&(bound(41, 1), 81)));
        assert_eq!(positive(2, 0, &[1; 80]).scale, 2);
        // What is empty at the ends is not there.
        let padded = positive(2, -2, &[0, 0, 5, 0, 6, 0, 0]);
        assert_eq!((padded.positive.first, &padded.positive.counts[..]), (0, &[5, 0, 6][..]));
    }

    #[test]
    fn bounds_stay_and_the_coarser_scale_is_kept() {
        let first = positive(2, 0, &[1, 1]);
        // It began anew, with less: the bounds that were there stay.
        let mut second = positive(20, 1 << 20, &[4]);
        assert_eq!(cumulative(&second), [(0.0, 0), (2.0, 0), (bound(5, 2), 4)]);
        second.follow(&first, false);
        let expected = [(0.0, 0), (1.0, 0), (bound(1, 2), 0), (bound(2, 2), 0), (bound(3, 2), 0), (2.0, 0)];
        assert_eq!(cumulative(&second), [&expected[..], &[(bound(5, 2), 4)]].concat());
        // What is coarser stays so: of these bounds every other one is left, with the same text.
        let mut third = positive(1, 0, &[3]);
        third.follow(&second, false);
        assert_eq!(cumulative(&third), [(0.0, 0), (1.0, 0), (bound(2, 2), 3), (2.0, 3), (bound(6, 2), 3)]);
        let mut fourth = positive(2, 0, &[3]);
        fourth.follow(&third, false);
        assert_eq!((fourth.scale, cumulative(&fourth)), (1, cumulative(&third)));
    }

    #[test]
    fn what_came_since_is_added_bucket_by_bucket() {
        let with = |sum, zero, one: Exponential| Exponential { sum, zero, count: one.count + zero, ..one };
        let first = with(Some(10.0), 1, positive(0, 0, &[1, 2]));
        // Scale 1: (4, 5.66] and (5.66, 8].
        let mut second = with(Some(20.0), 2, positive(1, 4, &[3, 4]));
        second.follow(&first, true);
        assert_eq!((second.count, second.sum, second.scale), (3 + 1 + 7 + 2, Some(30.0), 0));
        assert_eq!(cumulative(&second), [(0.0, 3), (1.0, 3), (2.0, 4), (4.0, 6), (8.0, 13)]);
        // Far away: a factor of 2^100.
        let mut third = positive(0, 100, &[1]);
        third.follow(&second, true);
        // 101 buckets are 51 of a scale less.
        assert_eq!((third.scale, third.positive.counts.len(), third.count), (-1, 51, 14));
        assert_eq!(cumulative(&third)[..4], [(0.0, 3), (1.0, 3), (4.0, 6), (16.0, 13)]);
        assert_eq!(cumulative(&third).last(), Some(&(2.0_f64.powi(102), 14)));
    }

    #[test]
    fn what_cannot_be_is_refused_and_what_is_odd_is_bounded() {
        let of = |scale, offset, counts: &[u64]| {
            Exponential::new(&Sent { scale, positive: buckets(offset, counts), ..Sent::default() })
        };
        assert_eq!(of(0, 1024, &[1]).unwrap_err(), NO_NUMBERS);
        assert_eq!(of(0, -1076, &[1]).unwrap_err(), NO_NUMBERS);
        assert_eq!(of(2, i32::MAX, &[1, 1]).unwrap_err(), NO_NUMBERS);
        assert_eq!(of(-11, 1, &[1]).unwrap_err(), NO_NUMBERS);
        assert_eq!(of(-11, i32::MIN, &[1]).unwrap_err(), NO_NUMBERS);
        assert_eq!(of(-12, 0, &[1]).unwrap_err(), NO_SCALE);
        assert_eq!(of(i32::MIN, 0, &[]).unwrap_err(), NO_SCALE);
        for zero_threshold in [-1.0, f64::NAN, f64::INFINITY] {
            let sent = Sent { zero_threshold, ..Sent::default() };
            assert_eq!(Exponential::new(&sent).unwrap_err(), NO_THRESHOLD, "{zero_threshold}");
        }
        // Where nothing is, an index may be anything.
        assert_eq!(cumulative(&of(0, i32::MAX, &[0; 9]).unwrap()), [(0.0, 0)]);
        // All that is a number, in both directions: the widest that there is.
        let all = of(0, -1075, &[1; 1075 + 1024]).unwrap();
        assert_eq!((all.scale, all.positive.counts.len()), (-5, 66));
        // Its lowest bucket begins at 0, and its highest ends nowhere.
        assert_eq!(cumulative(&all)[0], (0.0, 0));
        assert_eq!(cumulative(&all).last().unwrap(), &(2.0_f64.powi(31 * 32), 1075 + 31 * 32));
        let finest = of(i32::MAX, i32::MIN, &[7; 3]).unwrap();
        assert_eq!(cumulative(&finest), [(0.0, 0), (bound(-1, 2), 0), (1.0, 21)]);
        let mut far = of(0, -1000, &[u64::MAX; 2]).unwrap();
        far.follow(&of(0, 1000, &[u64::MAX; 2]).unwrap(), true);
        assert_eq!(far.scale, -5);
        assert_eq!(cumulative(&far).last().unwrap().1, u64::MAX);
        // Below zero, too, where the nearest to it is no number.
        let negative = Sent { scale: -11, negative: buckets(-1, &[2, 3]), ..Sent::default() };
        let below = cumulative(&Exponential::new(&negative).unwrap());
        assert_eq!(below, [(-1.0, 3), (-f64::from_bits(1), 5), (0.0, 5)]);
    }
}
