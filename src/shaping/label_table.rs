//! Sets of labels of which most texts come again and again: each text stands there once.

use std::borrow::Cow;
use std::collections::HashMap;

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
pub struct ViewLabels<'v> {
    table: &'v LabelTable,
    pairs: &'v [[u32; 2]],
}

/// A table that is being made of texts that live as long as `'t`.
#[derive(Default)]
pub struct Maker<'t> {
    numbers: HashMap<Cow<'t, str>, u32>,
    text: String,
    ends: Vec<u32>,
    pairs: Vec<[u32; 2]>,
    sets: Vec<u32>,
}

impl<'t> Maker<'t> {
    /// Adds a set, which is sorted by name; gives its number.
    pub fn add(&mut self, labels: impl IntoIterator<Item = (&'t str, Cow<'t, str>)>) -> u32 {
        for (name, value) in labels {
            let pair = [self.number(Cow::Borrowed(name)), self.number(value)];
            self.pairs.push(pair);
        }
        self.end_set()
    }

    /// Adds a set of texts that do not live as long, unless it is the last one; gives its number.
    pub fn add_short<'s>(&mut self, labels: impl IntoIterator<Item = (&'s str, &'s str)>) -> u32 {
        let begin = self.pairs.len();
        for (name, value) in labels {
            let pair = [self.short_number(name), self.short_number(value)];
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

    /// The number of a text by itself.
    pub fn short_number(&mut self, text: &str) -> u32 {
        match self.numbers.get(text) {
            Some(number) => *number,
            None => self.number(Cow::Owned(text.to_owned())),
        }
    }

    fn end_set(&mut self) -> u32 {
        self.sets.push(self.pairs.len() as u32);
        self.sets.len() as u32 - 1
    }

    fn number(&mut self, text: Cow<'t, str>) -> u32 {
        if let Some(number) = self.numbers.get(&text) {
            return *number;
        }
        self.text.push_str(&text);
        self.ends.push(self.text.len() as u32);
        let number = self.ends.len() as u32 - 1;
        self.numbers.insert(text, number);
        number
    }

    /// The table.
    pub fn make(self) -> LabelTable {
        LabelTable { text: self.text.into(), ends: self.ends.into(), pairs: self.pairs.into(), sets: self.sets.into() }
    }
}

impl LabelTable {
    /// The set of that number.
    pub fn set(&self, number: u32) -> ViewLabels<'_> {
        let at = number as usize;
        let begin = at.checked_sub(1).map_or(0, |before| self.sets[before] as usize);
        ViewLabels { table: self, pairs: &self.pairs[begin..self.sets[at] as usize] }
    }

    /// The text of that number.
    pub fn text(&self, number: u32) -> &str {
        let at = number as usize;
        let begin = at.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        &self.text[begin..self.ends[at] as usize]
    }
}

impl<'v> ViewLabels<'v> {
    /// The labels, sorted by name.
    pub fn iter(self) -> impl ExactSizeIterator<Item = (&'v str, &'v str)> + Clone {
        let ViewLabels { table, pairs } = self;
        pairs.iter().map(|[name, value]| (table.text(*name), table.text(*value)))
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
            let labels = set.iter().map(|(name, value)| (*name, Cow::Borrowed(*value)));
            assert_eq!(maker.add(labels), number as u32);
        }
        let short = |set: &[(&'static str, &'static str)]| set.to_vec();
        assert_eq!([maker.add_short(short(&sets[3])), maker.add_short(short(&sets[2]))], [3, 4]);
        assert_eq!(maker.short_number("sda"), maker.short_number("sda"));
        let table = maker.make();
        assert_eq!(table.set(4).iter().collect::<Vec<_>>(), sets[2]);
        assert_eq!(&*table.text, "devicesdajobmetricsdsdbmode");
        for (number, set) in sets.iter().enumerate() {
            assert_eq!(table.set(number as u32).iter().collect::<Vec<_>>(), *set);
        }
    }
}
