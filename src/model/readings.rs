//! What a chunk's series are readings of: each reading once, and for each series its number.

use super::ReadingRef;

/// The readings of a chunk's series.
#[derive(Debug)]
pub struct Readings {
    /// Those that there are, each once where they are not very many.
    all: Box<[ReadingRef]>,
    /// For each series its reading's number.
    numbers: Numbers,
}

#[derive(Debug)]
enum Numbers {
    Bytes(Box<[u8]>),
    Words(Box<[u32]>),
}

/// A reading is looked for among the last so many. Where there are more, an item is so large
/// that it is a chunk by itself, and none of its readings comes again.
const NEAR: usize = 256;

impl Readings {
    /// How many series there are.
    pub fn len(&self) -> usize {
        match &self.numbers {
            Numbers::Bytes(numbers) => numbers.len(),
            Numbers::Words(numbers) => numbers.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the series at `place` is a reading of.
    ///
    /// # Panics
    /// If there are fewer.
    #[inline]
    pub fn get(&self, place: usize) -> &ReadingRef {
        &self.all[self.number(place)]
    }

    /// The number of that reading.
    #[inline]
    pub fn number(&self, place: usize) -> usize {
        match &self.numbers {
            Numbers::Bytes(numbers) => numbers[place].into(),
            Numbers::Words(numbers) => numbers[place] as usize,
        }
    }

    /// The readings that there are, by their numbers.
    pub fn all(&self) -> &[ReadingRef] {
        &self.all
    }

    /// What each series is a reading of.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &ReadingRef> {
        (0..self.len()).map(|place| self.get(place))
    }
}

impl FromIterator<ReadingRef> for Readings {
    fn from_iter<I: IntoIterator<Item = ReadingRef>>(series: I) -> Readings {
        let series = series.into_iter();
        let mut all: Vec<ReadingRef> = Vec::new();
        let mut numbers: Vec<u32> = Vec::with_capacity(series.size_hint().0);
        let mut last = 0;
        for reading in series {
            // Items are of one shape mostly: the same reading again, or the one behind it.
            let near = [last, last + 1].into_iter().find(|at| all.get(*at).is_some_and(|one| one.same(&reading)));
            last = near.unwrap_or_else(|| {
                let first = all.len().saturating_sub(NEAR);
                let found = all[first..].iter().position(|one| one.same(&reading)).map(|at| first + at);
                found.unwrap_or_else(|| {
                    all.push(reading);
                    all.len() - 1
                })
            });
            numbers.push(last as u32);
        }
        let is_narrow = all.len() <= usize::from(u8::MAX) + 1;
        let numbers = if is_narrow {
            Numbers::Bytes(numbers.iter().map(|number| *number as u8).collect())
        } else {
            Numbers::Words(numbers.into())
        };
        Readings { all: all.into(), numbers }
    }
}
