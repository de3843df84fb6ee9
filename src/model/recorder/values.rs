//! The numbers of a round.

use std::ops::Range;
use std::sync::Arc;

use super::super::{Exemplar, Frame};

/// Numbers, and times of their own where any has one: then there are as many.
#[derive(Debug, Default)]
pub(super) struct Values {
    pub numbers: Vec<f64>,
    pub times: Vec<i64>,
    /// Each with its number's place.
    pub exemplars: Vec<(u32, Arc<Exemplar>)>,
}

/// The values of the last two frames, where they are many. Who had the older one has let it go by
/// now, and its memory is used again: allocators give blocks of that size back to the kernel, and
/// then each page of the next one costs a fault.
#[derive(Debug, Default)]
pub(super) struct Spare {
    last: Option<Arc<[f64]>>,
    older: Option<Arc<[f64]>>,
}

impl Spare {
    /// So many are kept: 128 KiB, from which on allocators ask the kernel.
    pub const MANY: usize = 16 << 10;

    /// `numbers`, to be shared.
    pub fn shared(&mut self, numbers: &[f64]) -> Arc<[f64]> {
        if numbers.len() < Spare::MANY {
            *self = Spare::default();
            return Arc::from(numbers);
        }
        let mut older = self.older.take().filter(|older| older.len() == numbers.len());
        let values = match older.as_mut().and_then(Arc::get_mut) {
            Some(free) => {
                free.copy_from_slice(numbers);
                older
            }
            None => None,
        };
        let values = values.unwrap_or_else(|| Arc::from(numbers));
        self.older = self.last.replace(Arc::clone(&values));
        values
    }
}

impl Values {
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    #[inline]
    pub fn push(&mut self, number: f64, time_ms: i64) {
        if time_ms != Frame::NO_TIME || !self.times.is_empty() {
            self.times.resize(self.numbers.len(), Frame::NO_TIME);
            self.times.push(time_ms);
        }
        self.numbers.push(number);
    }

    pub fn truncate(&mut self, len: usize) {
        self.numbers.truncate(len);
        self.times.truncate(len);
        let left = self.exemplars.partition_point(|(place, _)| (*place as usize) < len);
        self.exemplars.truncate(left);
    }

    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Those that are in none of `ranges`, which are in their order.
    pub fn without(&self, ranges: &[Range<usize>]) -> Values {
        let mut left = Values::default();
        let mut begin = 0;
        for range in ranges {
            left.extend(self, begin..range.start);
            begin = range.end;
        }
        left.extend(self, begin..self.len());
        left
    }

    pub fn extend(&mut self, from: &Values, range: Range<usize>) {
        if !from.times.is_empty() {
            self.times.extend_from_slice(&from.times[range.clone()]);
        }
        let at = |place: usize| from.exemplars.partition_point(|(own, _)| (*own as usize) < place);
        for (place, exemplar) in &from.exemplars[at(range.start)..at(range.end)] {
            let place = self.numbers.len() + *place as usize - range.start;
            self.exemplars.push((place as u32, Arc::clone(exemplar)));
        }
        self.numbers.extend_from_slice(&from.numbers[range]);
    }
}
