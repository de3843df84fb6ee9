//! Quantiles of very many numbers in little memory.
//!
//! Numbers are counted by their magnitude, in buckets each of which is 2 % wider than the one below
//! (as in DDSketch, <https://arxiv.org/abs/1908.10693>). A quantile is right to 1 % of its value. There
//! are at most [`MOST`] buckets of either sign, which is a factor of 28,000 between the largest number
//! and the smallest that are told apart; what is smaller than that counts as the smallest.

use std::collections::VecDeque;

/// How far a quantile may be off, relative to its value.
const ERROR: f64 = 0.01;

/// The factor between a bucket's bounds.
const GAMMA: f64 = (1.0 + ERROR) / (1.0 - ERROR);

/// Buckets of either sign: 4 KiB.
const MOST: usize = 512;

/// What is nearer to zero than this is zero.
const LEAST: f64 = 1e-300;

/// Counts numbers, each with a weight.
#[derive(Debug, Default)]
pub struct Sketch {
    above: Buckets,
    below: Buckets,
    zero: f64,
}

/// How many numbers there are, by magnitude.
#[derive(Debug, Default)]
struct Buckets {
    /// The place of the first one.
    first: i32,
    counts: VecDeque<f64>,
    all: f64,
}

impl Buckets {
    fn add(&mut self, magnitude: f64, weight: f64) {
        let at = (magnitude.ln() / GAMMA.ln()).ceil() as i32;
        self.all += weight;
        if self.counts.is_empty() {
            self.first = at;
        }
        while at < self.first && self.counts.len() < MOST {
            self.counts.push_front(0.0);
            self.first -= 1;
        }
        let end = self.first + self.counts.len() as i32;
        if at >= end + MOST as i32 {
            // All that there is counts as the smallest.
            self.counts.clear();
            self.counts.push_back(self.all - weight);
            self.first = at - MOST as i32 + 1;
        }
        let last = (at - self.first).max(0) as usize;
        while self.counts.len() <= last {
            self.counts.push_back(0.0);
        }
        self.counts[last] += weight;
        while self.counts.len() > MOST {
            let smallest = self.counts.pop_front().unwrap_or_default();
            self.counts[0] += smallest;
            self.first += 1;
        }
    }

    /// The middle of the bucket at `at`.
    fn value(&self, at: usize) -> f64 {
        let upper = (f64::from(self.first + at as i32) * GAMMA.ln()).exp();
        (upper / (GAMMA + 1.0) * 2.0).min(f64::MAX)
    }

    fn clear(&mut self) {
        self.counts.clear();
        self.all = 0.0;
    }
}

impl Sketch {
    /// Counts `number`, which is finite, so often.
    pub fn add(&mut self, number: f64, weight: f64) {
        match number {
            number if number.abs() < LEAST => self.zero += weight,
            number if number > 0.0 => self.above.add(number, weight),
            number => self.below.add(-number, weight),
        }
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.weight() <= 0.0
    }

    fn weight(&self) -> f64 {
        self.above.all + self.below.all + self.zero
    }

    /// The smallest number that at least that share of all numbers is not above; none where there are none.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        if self.is_empty() {
            return None;
        }
        let mut left = share * self.weight();
        let below = self.below.counts.iter().enumerate().rev().map(|(at, count)| (-self.below.value(at), *count));
        let above = self.above.counts.iter().enumerate().map(|(at, count)| (self.above.value(at), *count));
        let mut last = 0.0;
        for (value, count) in below.chain([(0.0, self.zero)]).chain(above).filter(|(_, count)| *count > 0.0) {
            last = value;
            if left <= count {
                break;
            }
            left -= count;
        }
        Some(last)
    }

    /// Forgets all; the memory of the buckets is kept, since the next numbers are much alike.
    pub fn clear(&mut self) {
        self.above.clear();
        self.below.clear();
        self.zero = 0.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(got: Option<f64>, exact: f64) {
        let got = got.unwrap();
        assert!((got - exact).abs() <= exact.abs() * ERROR * 1.0001, "{got} is not {exact}");
    }

    #[test]
    fn quantiles_are_right_to_a_hundredth() {
        let mut sketch = Sketch::default();
        for number in 1..=10_000 {
            sketch.add(f64::from(number), 1.0);
        }
        for (share, exact) in
            [(0.0, 1.0), (0.5, 5000.0), (0.9, 9000.0), (0.99, 9900.0), (0.999, 9990.0), (1.0, 10_000.0)]
        {
            near(sketch.quantile(share), exact);
        }
    }

    #[test]
    fn weights_count_as_so_many_numbers_and_signs_are_kept() {
        let mut sketch = Sketch::default();
        sketch.add(-100.0, 10.0);
        sketch.add(0.0, 10.0);
        sketch.add(0.25, 10.0);
        sketch.add(7.0, 70.0);
        near(sketch.quantile(0.05), -100.0);
        assert_eq!(sketch.quantile(0.15), Some(0.0));
        near(sketch.quantile(0.25), 0.25);
        near(sketch.quantile(0.5), 7.0);
        sketch.clear();
        assert_eq!((sketch.is_empty(), sketch.quantile(0.5)), (true, None));
        sketch.add(3.0, 0.5);
        near(sketch.quantile(0.99), 3.0);
        // Of few numbers each is one of them, and the highest shares have the largest.
        let mut few = Sketch::default();
        [100.0, 200.0, 300.0, 400.0, 500.0].iter().for_each(|number| few.add(*number, 1.0));
        for (share, exact) in [(0.0, 100.0), (0.5, 300.0), (0.9, 500.0), (0.99, 500.0), (0.2, 100.0), (0.21, 200.0)] {
            near(few.quantile(share), exact);
        }
    }

    #[test]
    fn memory_is_bounded_and_what_is_smallest_is_counted_together() {
        for descending in [false, true] {
            let mut sketch = Sketch::default();
            let mut numbers: Vec<f64> = (-200..=200).map(|power| 10_f64.powi(power)).collect();
            if descending {
                numbers.reverse();
            }
            for number in &numbers {
                sketch.add(*number, 1.0);
                sketch.add(-number, 1.0);
            }
            assert!(sketch.above.counts.len() <= MOST && sketch.below.counts.len() <= MOST);
            assert_eq!(sketch.weight(), 802.0);
            near(sketch.quantile(1.0), 1e200);
            near(sketch.quantile(0.0), -1e200);
            // Four orders of magnitude are told apart.
            near(sketch.quantile(799.0 / 802.0), 1e197);
        }
    }

    #[test]
    fn what_can_be_sent_can_be_counted() {
        let mut sketch = Sketch::default();
        for number in [f64::MAX, f64::MIN, f64::MIN_POSITIVE, -f64::MIN_POSITIVE, 5e-324, 1.0] {
            sketch.add(number, 1.0);
        }
        assert!(sketch.quantile(1.0).unwrap() > 1e308);
    }
}
