//! Sets of labels of which most texts come again and again: each text stands there once.

use std::collections::HashMap;

use super::recipe::FromRecipe;

/// Sets of labels, by number.
#[derive(Debug)]
pub struct LabelTable {
    /// All texts, one behind the other, and where each ends.
    text: Box<str>,
    ends: Box<[u32]>,
    /// All labels, set by set: the numbers of name and value; and where each set ends.
    pairs: Box<[[u32; 2]]>,
    sets: Box<[u32]>,
}

/// The labels of a series, sorted by name: no name twice, no value empty.
#[derive(Clone, Copy, Debug)]
pub enum ViewLabels<'v> {
    /// As rules have left them.
    Set(Set<'v>),
    /// As they are put together.
    Made(FromRecipe<'v>),
}

/// A set of a table.
#[derive(Clone, Copy, Debug)]
pub struct Set<'v> {
    table: &'v LabelTable,
    pairs: &'v [[u32; 2]],
}

/// A table that is being made.
#[derive(Default)]
pub struct Maker {
    numbers: HashMap<String, u32>,
    text: String,
    ends: Vec<u32>,
    pairs: Vec<[u32; 2]>,
    sets: Vec<u32>,
}

impl Maker {
    /// Adds a set, which is sorted by name, unless it is the last one; gives its number.
    pub fn add<'s>(&mut self, labels: impl IntoIterator<Item = (&'s str, &'s str)>) -> u32 {
        let begin = self.pairs.len();
        for (name, value) in labels {
            let pair = [self.number(name), self.number(value)];
            self.pairs.push(pair);
        }
        // Readings of one item mostly have the same labels.
        if let Some(last) = self.sets.len().checked_sub(1) {
            let before = last.checked_sub(1).map_or(0, |before| self.sets[before] as usize);
            if self.pairs[before..begin] == self.pairs[begin..] {
                self.pairs.truncate(begin);
                return last as u32;
            }
        }
        self.end_set()
    }

    fn end_set(&mut self) -> u32 {
        self.sets.push(self.pairs.len() as u32);
        self.sets.len() as u32 - 1
    }

    /// The number of a text by itself.
    pub fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        self.text.push_str(text);
        self.ends.push(self.text.len() as u32);
        let number = self.ends.len() as u32 - 1;
        self.numbers.insert(text.to_owned(), number);
        number
    }

    /// The table.
    pub fn make(self) -> LabelTable {
        LabelTable { text: self.text.into(), ends: self.ends.into(), pairs: self.pairs.into(), sets: self.sets.into() }
    }
}

impl LabelTable {
    /// The set of that number.
    pub fn set(&self, number: u32) -> Set<'_> {
        let at = number as usize;
        let begin = at.checked_sub(1).map_or(0, |before| self.sets[before] as usize);
        Set { table: self, pairs: &self.pairs[begin..self.sets[at] as usize] }
    }

    /// The text of that number.
    pub fn text(&self, number: u32) -> &str {
        let at = number as usize;
        let begin = at.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        &self.text[begin..self.ends[at] as usize]
    }
}

impl<'v> Set<'v> {
    fn iter(self) -> impl Iterator<Item = (&'v str, &'v str)> + Clone {
        let Set { table, pairs } = self;
        pairs.iter().map(|[name, value]| (table.text(*name), table.text(*value)))
    }
}

impl<'v> ViewLabels<'v> {
    /// The labels, sorted by name.
    pub fn iter(self) -> impl Iterator<Item = (&'v str, &'v str)> + Clone {
        let (set, made) = match self {
            ViewLabels::Set(set) => (Some(set), None),
            ViewLabels::Made(made) => (None, Some(made)),
        };
        set.into_iter().flat_map(Set::iter).chain(made.into_iter().flat_map(FromRecipe::iter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_stands_once_and_each_set_reads_as_it_was_given() {
        let sets = [
            vec![("device", "sda"), ("job", "metricsd")],
            vec![],
            vec![("device", "sdb"), ("job", "metricsd")],
            vec![("job", "sda"), ("mode", "job")],
        ];
        let mut maker = Maker::default();
        for (number, set) in sets.iter().enumerate() {
            assert_eq!(maker.add(set.iter().copied()), number as u32);
        }
        assert_eq!([maker.add(sets[3].clone()), maker.add(sets[2].clone())], [3, 4]);
        assert_eq!(maker.number("sda"), maker.number("sda"));
        let table = maker.make();
        assert_eq!(table.set(4).iter().collect::<Vec<_>>(), sets[2]);
        assert_eq!(&*table.text, "devicesdajobmetricsdsdbmode");
        for (number, set) in sets.iter().enumerate() {
            assert_eq!(table.set(number as u32).iter().collect::<Vec<_>>(), *set);
        }
    }
}
