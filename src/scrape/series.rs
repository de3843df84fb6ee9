//! From a page's series to items and readings.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::reading_table::ReadingTable;
use crate::exposition::{self, Point, Role, Series, Sink};
use crate::model::{Exemplar, Family, Frame, Item, Kind, Label, Labels, Learnt, Recorder, RoundEnd, Took};
use crate::order;
use crate::shaping::{self, Outcome};

/// What is kept for a series' text as long as it stays the same: which series of the last page's it is, as the recorder
/// counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known(u32);

impl Known {
    /// Rules drop it.
    const DROPPED: Known = Known(u32::MAX);

    /// It has no number: it was refused, or is not numbered yet. Its text is looked at each time.
    const UNNUMBERED: Known = Known(u32::MAX - 1);
}

/// Which item a series is of, and what it is a reading of.
#[derive(Clone, Debug)]
struct Place {
    item: Item,
    reading: Arc<Learnt>,
}

/// What is the same for all series of a target.
#[derive(Debug)]
pub struct Manner {
    /// The labels that the target gives to all of them: its recorder adds them, or, where there are
    /// rules, which may take them away, they are the series' own.
    pub labels: Labels,
    /// What becomes of them: the rules that need to know nothing else. None: there are no rules at all.
    pub transforms: Option<shaping::Rules>,
    /// See [`super::Settings::honor_labels`].
    pub honor_labels: bool,
    /// See [`super::Settings::metric_prefix`].
    pub prefix: String,
    /// See [`super::Settings::honor_timestamps`].
    pub honor_timestamps: bool,
}

/// A sample that says to be older is not taken, nor one that says to be of a later time than this:
/// receivers refuse them, and a whole request with them.
const MAX_AGE_MS: i64 = 3_600_000;
const MAX_AHEAD_MS: i64 = 600_000;

/// What of a page was not taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Series that came twice in one item.
    pub twice: u64,
    /// Samples whose own times are too far from the scrape's.
    pub untimely: u64,
}

/// What the series of a target have in common, each once.
#[derive(Debug)]
pub struct Shapes {
    readings: Arc<ReadingTable>,
    /// A number for each name with each set of names of labels: the beginning of items' keys.
    numbers: HashMap<Box<str>, u32>,
    next: u32,
}

/// All numbers are forgotten when there are so many more than samples.
const SPARE: usize = 1000;

impl Shapes {
    /// Nothing yet, but `readings`, which all targets have in common.
    pub fn new(readings: Arc<ReadingTable>) -> Shapes {
        Shapes { readings, numbers: HashMap::new(), next: 0 }
    }

    /// Forgets the numbers, where there are many more than a page's `samples`. Whether it did: then all series are to be
    /// learnt anew, since one that comes twice would have two keys.
    pub fn tidy(&mut self, samples: usize) -> bool {
        let is_much = self.numbers.len() > 2 * samples + SPARE;
        if is_much {
            self.numbers.clear();
        }
        is_much
    }

    fn number(&mut self, key: &str) -> u32 {
        if let Some(number) = self.numbers.get(key) {
            return *number;
        }
        let number = self.next;
        // Far more than any program lives to see.
        self.next = self.next.wrapping_add(1);
        self.numbers.insert(key.into(), number);
        number
    }
}

/// Takes a page's series and gives them to a recorder.
pub struct Taker<'t> {
    out: &'t mut Recorder,
    manner: &'t Manner,
    shapes: &'t mut Shapes,
    /// The place of the series that was learnt last, whose number comes next.
    learnt: Option<Place>,
    /// Some text is new.
    is_fresh: bool,
    /// Which of the samples that were given were not taken, in the page's order.
    refused: Vec<u32>,
    key: String,
    time_ms: i64,
    left: Left,
    /// Samples that rules have left.
    given: u32,
    shaped: shaping::Series,
}

impl<'t> Taker<'t> {
    /// Of the series of a page of `time_ms`, as `manner` has them, for `out`.
    pub fn new(out: &'t mut Recorder, manner: &'t Manner, shapes: &'t mut Shapes, time_ms: i64) -> Taker<'t> {
        out.make_room_for_round();
        Taker {
            out,
            manner,
            shapes,
            learnt: None,
            is_fresh: false,
            refused: Vec::new(),
            key: String::new(),
            time_ms,
            left: Left::default(),
            given: 0,
            shaped: shaping::Series::default(),
        }
    }

    /// The page has ended: what came of it.
    pub fn finish(self) -> Taken {
        let Taker { given, left, refused, is_fresh, .. } = self;
        Taken { given, left, refused, is_fresh }
    }

    fn took(&mut self, took: Took, exemplar: Option<Arc<Exemplar>>) {
        match took {
            Took::Taken => exemplar.iter().for_each(|exemplar| self.out.exemplar(exemplar)),
            Took::Refused => self.refused.push(self.given - 1),
            Took::Twice => {
                self.refused.push(self.given - 1);
                self.left.twice += 1;
            }
        }
    }
}

/// What came of a page.
#[derive(Debug, Default)]
pub struct Taken {
    /// How many samples rules have left.
    pub given: u32,
    /// What of them was not taken.
    pub left: Left,
    refused: Vec<u32>,
    is_fresh: bool,
}

impl Taken {
    /// Numbers the series of the page, of which `all` are known, as the recorder does whose round had that `end`.
    /// Whether they could be numbered.
    pub fn number(&self, all: &mut [Known], end: &RoundEnd) -> bool {
        if end.was_cut {
            return false;
        }
        if !end.has_changed && !self.is_fresh && self.refused.is_empty() {
            return true;
        }
        let mut refused = self.refused.iter().copied().peekable();
        let mut left_out = end.left_out.iter().peekable();
        let (mut taken, mut number) = (0, 0);
        let given = all.iter_mut().filter(|known| **known != Known::DROPPED);
        for (at, known) in (0..).zip(given) {
            let mut is_left = refused.next_if_eq(&at).is_none();
            if is_left {
                while left_out.next_if(|range| range.end <= taken).is_some() {}
                is_left = left_out.peek().is_none_or(|range| !range.contains(&taken));
                taken += 1;
            }
            *known = if is_left { Known(number) } else { Known::UNNUMBERED };
            number += u32::from(is_left);
        }
        true
    }
}

impl Sink for Taker<'_> {
    type Known = Known;

    fn learn(&mut self, series: &Series<'_>) -> Known {
        self.is_fresh = true;
        let Manner { labels: of_target, honor_labels, prefix, transforms, .. } = self.manner;
        let mut labels: Vec<(Cow<'_, str>, &str)> = Vec::with_capacity(series.labels.len());
        for (name, value) in series.labels {
            let mut name = Cow::Borrowed(&**name);
            // As Prometheus does: once more where that name is taken as well.
            while !honor_labels && of_target.get(&name).is_some() {
                name.to_mut().insert_str(0, "exported_");
                while series.labels.iter().any(|(other, _)| *other == name) {
                    name.to_mut().insert_str(0, "exported_");
                }
            }
            labels.push((name, value));
        }
        let mut name = Cow::Borrowed(series.name);
        if !prefix.is_empty() {
            name.to_mut().insert_str(0, prefix);
        }
        let mut factor = 1.0;
        let mut shaped = std::mem::take(&mut self.shaped);
        let mut is_left = true;
        if let Some(transforms) = transforms {
            shaped.begin(&name);
            of_target.iter().for_each(|(name, value)| shaped.set(name, value));
            labels.iter().for_each(|(name, value)| shaped.set(name, value));
            is_left = matches!(transforms.apply(&mut shaped), Outcome::Kept { .. });
            factor = shaped.factor();
        }
        let place = is_left.then(|| {
            if transforms.is_some() {
                name = Cow::Borrowed(shaped.name());
                labels = shaped.labels().map(|(name, value)| (Cow::Borrowed(name), value)).collect();
            }
            self.place(series, &name, labels, factor)
        });
        self.shaped = shaped;
        let Some(place) = place else { return Known::DROPPED };
        self.learnt = Some(place);
        Known::UNNUMBERED
    }

    fn wants(known: &Known) -> bool {
        *known != Known::DROPPED
    }

    fn holds(&self, known: &Known) -> bool {
        *known != Known::UNNUMBERED
    }

    fn give(&mut self, known: &Known, point: &Point<'_>) {
        self.given += 1;
        let place = self.learnt.take();
        let time_ms = point.time_ms.filter(|_| self.manner.honor_timestamps).unwrap_or(Frame::NO_TIME);
        if time_ms != Frame::NO_TIME && !(self.time_ms - MAX_AGE_MS..=self.time_ms + MAX_AHEAD_MS).contains(&time_ms) {
            self.left.untimely += 1;
            self.refused.push(self.given - 1);
            return;
        }
        let exemplar = point.exemplar.as_ref().map(exposition::Exemplar::owned);
        let took = match place {
            Some(Place { item, reading }) => self.out.add(&item, &reading, point.value, time_ms),
            None => self.out.again(known.0, point.value, time_ms),
        };
        self.took(took, exemplar);
    }
}

impl Taker<'_> {
    /// The place of a series of that name with these labels, which was `series` on the page.
    fn place(&mut self, series: &Series<'_>, name: &str, mut labels: Vec<(Cow<'_, str>, &str)>, factor: f64) -> Place {
        order::sort(&mut labels);
        // What tells the series of an item apart is a part of their readings.
        let own = match series.role {
            Role::Bucket => "le",
            Role::Quantile => "quantile",
            _ => "",
        };
        // Since when it counts is a time, whatever it is that counts.
        let kind = if series.role == Role::Created { Kind::Gauge } else { series.family.kind };
        // OpenMetrics' counters, which are not called as their families are, may say since when they count.
        let may_say = series.family.kind == Kind::Counter && series.name.len() > series.family.name.len();
        let is_part = may_say || matches!(series.family.kind, Kind::Histogram | Kind::Summary);
        let (own, shared): (Vec<_>, Vec<_>) = labels.into_iter().partition(|(name, _)| is_part && name == own);

        let scale = if factor == 1.0 { String::new() } else { factor.to_string() };
        self.key.clear();
        let names = shared.iter().map(|(name, _)| &**name);
        let of_own = own.iter().flat_map(|(name, value)| [&**name, value]);
        // Lengths tell where each text ends, whatever is in it.
        for text in [name].into_iter().chain(names).chain(["="]).chain(of_own) {
            let _ = write!(self.key, "{}:{text}", text.len());
        }
        let number = self.shapes.number(&self.key).to_string();
        let part = if is_part { "part" } else { "" };
        for text in [&*scale, series.family.help, series.family.unit, kind.as_str(), part] {
            let _ = write!(self.key, "{}:{text}", text.len());
        }
        let reading = self.shapes.readings.get(&self.key, || {
            let keys = shared.iter().enumerate().map(|(at, (name, _))| Label::Key { name, at: at + 1, prefix: "" });
            let constants = own.iter().map(|(name, value)| Label::Constant { name, value });
            let labels: Vec<Label<'_>> = keys.chain(constants).collect();
            let family = Family::new(kind, name, series.family.unit, series.family.help);
            let reading = Learnt::everywhere(family, &labels).scaled(factor);
            if is_part { reading.part_of_item() } else { reading }
        });
        let shared_values = shared.iter().map(|(_, value)| *value);
        if !is_part {
            let values: Vec<&str> = [&*number].into_iter().chain(shared_values).collect();
            return Place { item: Item::new(&values), reading };
        }
        // A histogram's series are one item, as long as they stand together, and so is a counter with its beginning. It
        // is known by the first of them, so that a second piece of it is another item, and the same piece once more is not.
        self.key.clear();
        for text in [series.family.name, "/"].into_iter().chain(shared.iter().map(|(name, _)| &**name)) {
            let _ = write!(self.key, "{}:{text}", text.len());
        }
        let of = self.shapes.number(&self.key).to_string();
        let values: Vec<&str> = [&*of].into_iter().chain(shared_values).chain([&*number]).collect();
        Place { item: Item::of_kind(Item::PART, &values), reading }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::{self, Format, Limits};
    use crate::model::Scheme;
    use crate::model::testing::random;
    use crate::shaping::Perspective;
    use crate::shaping::testing::seen;

    /// A target's page, read time and again.
    struct Reader {
        page: exposition::Page<Known>,
        manner: Manner,
        shapes: Shapes,
        out: Recorder,
        time_ms: i64,
        last: Option<String>,
        items: usize,
    }

    impl Reader {
        fn new() -> Reader {
            let mut out = Recorder::new("endpoints/app", 10_000).of_unknown_start();
            out.know_by_number(true);
            Reader {
                page: exposition::Page::default(),
                manner: Manner {
                    labels: Labels::EMPTY,
                    transforms: None,
                    honor_labels: false,
                    prefix: String::new(),
                    honor_timestamps: true,
                },
                shapes: Shapes::new(Arc::default()),
                out,
                time_ms: 0,
                last: None,
                items: 0,
            }
        }

        /// The last page once more: a frame of it.
        fn again(&mut self) -> Frame {
            let frame = self.last.clone().unwrap();
            let mut taker = Taker::new(&mut self.out, &self.manner, &mut self.shapes, self.time_ms);
            self.page.read(&mut frame.into_bytes(), Format::Text, &Limits::default(), &mut taker).unwrap();
            let read = taker.finish();
            let frame = self.out.finish(self.time_ms);
            assert!(read.number(self.page.known_mut(), self.out.last_round()));
            frame
        }

        /// How many series of a page are looked at anew.
        fn fresh(&mut self, text: &str) -> usize {
            let mut taker = Taker::new(&mut self.out, &self.manner, &mut self.shapes, self.time_ms);
            let read = self.page.read(&mut text.into(), Format::Text, &Limits::default(), &mut taker).unwrap();
            let taken = taker.finish();
            self.out.finish(self.time_ms);
            assert!(taken.number(self.page.known_mut(), self.out.last_round()));
            read.fresh
        }

        /// The series of a page in its order, and how many of it came before.
        fn read(&mut self, text: &str) -> (Vec<(String, f64)>, u64) {
            self.time_ms += 1000;
            self.last = Some(text.to_owned());
            let mut taker = Taker::new(&mut self.out, &self.manner, &mut self.shapes, self.time_ms);
            let samples =
                self.page.read(&mut text.into(), Format::Text, &Limits::default(), &mut taker).unwrap().samples;
            let read = taker.finish();
            if self.shapes.tidy(samples) {
                self.page.clear();
            }
            let frame = self.out.finish(self.time_ms);
            self.items = frame.chunks.iter().map(|chunk| chunk.items().len()).sum();
            assert!(read.number(self.page.known_mut(), self.out.last_round()));
            let twice = read.left.twice + self.out.take_refused().duplicate;
            (seen(&frame, &Perspective::new(Scheme::Native, Labels::EMPTY)), twice)
        }
    }

    #[test]
    fn of_a_series_that_stands_twice_the_first_is_taken_whichever_was_there_before() {
        let mut reader = Reader::new();
        let one = |text: &str, value: f64| (text.to_owned(), value);
        let (a, b, c) = (|value| one("a", value), |value| one("b", value), |value| one("c", value));
        assert_eq!(reader.read("a 1\nb 2\nc 3\n"), (vec![a(1.0), b(2.0), c(3.0)], 0));
        // c comes to stand in front of the old one, a behind it.
        for _ in 0..3 {
            let expected = (vec![c(9.0), a(1.0), b(2.0)], 2);
            assert_eq!(reader.read("c 9\na 1\nb 2\na 8\nc 3\n"), expected);
        }
        // The first ones go.
        assert_eq!(reader.read("b 2\na 8\nc 3\n"), (vec![b(2.0), a(8.0), c(3.0)], 0));
        assert_eq!(reader.read("a 1\nb 2\na 8\nc 3\n"), (vec![a(1.0), b(2.0), c(3.0)], 1));
        // At once behind the page on which it came.
        assert_eq!(reader.read("b 2\na 8\nc 3\n"), (vec![b(2.0), a(8.0), c(3.0)], 0));
    }

    #[test]
    fn a_series_that_stands_twice_is_found_however_many_names_come_and_go() {
        let mut reader = Reader::new();
        for round in 0..10 {
            let mut page = "a 1\n".to_owned();
            (0..1500).for_each(|at| _ = writeln!(page, "m{round}_{at} 1"));
            page.push_str("a 2\n");
            let (seen, twice) = reader.read(&page);
            assert_eq!((&seen[0], seen.len(), twice), (&("a".to_owned(), 1.0), 1501, 1), "round {round}");
        }
        // It is looked at each time, and is no new one for that.
        let page = "a 1\nb 1\na 2\n";
        (0..2).for_each(|_| _ = reader.read(page));
        assert_eq!(reader.fresh(page), 0);
    }

    #[test]
    fn a_histogram_that_stands_twice_is_the_first() {
        let mut reader = Reader::new();
        let piece = |value: u32| format!("h_bucket{{le=\"+Inf\"}} {value}\nh_sum {value}\nh_count {value}\n");
        let page = |pieces: &[u32]| -> String {
            let pieces: Vec<String> = pieces.iter().map(|value| piece(*value)).collect();
            format!("# TYPE h histogram\n{}", pieces.join("b 2\n"))
        };
        let values =
            |(all, twice): (Vec<(String, f64)>, u64)| (all.iter().map(|(_, value)| *value).collect::<Vec<_>>(), twice);
        assert_eq!(values(reader.read(&page(&[1]))), (vec![1.0; 3], 0));
        for _ in 0..3 {
            assert_eq!(values(reader.read(&page(&[7, 1]))), (vec![7.0, 7.0, 7.0, 2.0], 3));
        }
        assert_eq!(values(reader.read(&page(&[1]))), (vec![1.0; 3], 0));
    }

    #[test]
    fn random_pages_with_series_twice_give_the_first_of_each() {
        let mut random = random();
        let mut reader = Reader::new();
        let mut lines: Vec<String> = (0..150).map(|at| format!("m{{n=\"{at}\"}}")).collect();
        let mut twice_ever = 0;
        for round in 0..600 {
            for _ in 0..[0, 0, 1, 3, 20][random(5)] {
                let at = random(lines.len() + 1);
                match random(4) {
                    0 => lines.insert(at, format!("m{{n=\"{}\"}}", random(200))),
                    1 if at < lines.len() => drop(lines.remove(at)),
                    2 if at < lines.len() => {
                        let line = lines.remove(at);
                        lines.insert(random(lines.len() + 1), line);
                    }
                    // Some that are there once more, and all of them once at a time.
                    3 if lines.len() < 250 => {
                        let line = lines.get(at).cloned();
                        lines.splice(0..0, line);
                    }
                    _ => {}
                }
            }
            if random(60) == 0 {
                let mut there = std::collections::HashSet::new();
                lines.retain(|line| there.insert(line.clone()));
            }
            let mut page = if random(50) == 0 { format!("# TYPE m gauge\n# HELP m {round}\n") } else { String::new() };
            lines.iter().enumerate().for_each(|(at, line)| _ = writeln!(page, "{line} {}", round * 1000 + at));
            let mut there = std::collections::HashSet::new();
            let firsts = lines.iter().enumerate().filter(|(_, line)| there.insert(*line));
            let expected: Vec<(String, f64)> =
                firsts.map(|(at, line)| (line.clone(), (round * 1000 + at) as f64)).collect();
            let twice = (lines.len() - expected.len()) as u64;
            assert_eq!(reader.read(&page), (expected, twice), "round {round}");
            twice_ever += twice;
        }
        assert!(twice_ever > 1000);
    }

    #[test]
    fn a_bucket_that_comes_later_is_there_at_once_and_then_of_its_histogram() {
        let mut reader = Reader::new();
        let page = |buckets: &[&str]| {
            let mut page = "# TYPE a gauge\na 1\n# TYPE h histogram\n".to_owned();
            for of in ["x", "y"] {
                buckets.iter().for_each(|le| _ = writeln!(page, "h_bucket{{of=\"{of}\",le=\"{le}\"}} 1"));
                _ = write!(page, "h_sum{{of=\"{of}\"}} 2\nh_count{{of=\"{of}\"}} 3\n");
            }
            page
        };
        let items = |reader: &mut Reader| {
            let frame = reader.again();
            frame.chunks.iter().map(|chunk| chunk.items().len()).sum::<usize>()
        };
        for buckets in [&["1", "+Inf"][..], &["1", "2", "+Inf"], &["0", "2", "+Inf"], &["2", "+Inf"], &["1", "2"]] {
            let text = page(buckets);
            let (seen, twice) = reader.read(&text);
            assert_eq!((seen.len(), twice), (5 + 2 * buckets.len(), 0), "{buckets:?}");
            assert_eq!(reader.items, 3, "{buckets:?}");
            assert_eq!(items(&mut reader), 3, "{buckets:?}");
            // And so it stays.
            assert_eq!(reader.fresh(&text), 0);
        }
    }

    #[test]
    fn the_series_of_an_item_change_their_order_or_come_twice_in_it() {
        let mut reader = Reader::new();
        let names = |seen: &[(String, f64)]| seen.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        let mut page = |lines: &[&str]| {
            let page: String = lines.iter().zip(1..).map(|(line, value)| format!("{line} {value}\n")).collect();
            let (seen, twice) = reader.read(&format!("# TYPE s summary\n# TYPE a gauge\n{page}"));
            (names(&seen), twice, reader.items)
        };
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        for lines in [["s_sum", "s_count", "a"], ["s_count", "s_sum", "a"], ["s_sum", "s_count", "a"]] {
            assert_eq!(page(&lines), (owned(&lines), 0, 2));
        }
        for _ in 0..4 {
            let expected = (owned(&["s_sum", "s_count", "a"]), 1, 2);
            assert_eq!(page(&["s_sum", "s_sum", "s_count", "a"]), expected);
        }
        for _ in 0..4 {
            let expected = (owned(&["s_sum", "s_count", "a"]), 2, 2);
            assert_eq!(page(&["s_sum", "s_count", "s_count", "s_sum", "a"]), expected);
        }
    }

    #[test]
    fn what_comes_to_stand_within_a_histogram_costs_none_of_its_series() {
        let mut reader = Reader::new();
        let lines: Vec<String> = ["1", "2", "3", "+Inf"].map(|le| format!("h_bucket{{le=\"{le}\"}}")).into();
        for between in [&[][..], &[2], &[2], &[1, 3], &[3], &[]] {
            let mut all = lines.clone();
            between.iter().rev().for_each(|at| all.insert(*at, format!("g{at}")));
            let page: String = all.iter().zip(1..).map(|(line, value)| format!("{line} {value}\n")).collect();
            let values: Vec<f64> = (1..=all.len()).map(|value| value as f64).collect();
            let (seen, twice) = reader.read(&format!("# TYPE h histogram\n{page}"));
            let (names, seen): (Vec<String>, Vec<f64>) = seen.into_iter().unzip();
            assert_eq!((seen, twice), (values, 0), "{between:?}");
            assert_eq!(names, all);
        }
    }

    #[test]
    fn random_pages_of_items_with_several_series_give_what_they_give_who_sees_them_first() {
        let mut random = random();
        let mut reader = Reader::new();
        let rules = shaping::testing::rules(r#"[{"drop": {"labels": {"n": "1[0-9]"}}}]"#);
        reader.manner.transforms = Some(rules);
        let mut items: Vec<(bool, usize, Vec<usize>)> = (0..60).map(|at| (at % 3 == 0, at, vec![1, 5, 9])).collect();
        let mut most_items = 0;
        for round in 0..400 {
            for _ in 0..[0, 0, 1, 4, 30][random(5)] {
                let (at, le) = (random(items.len()), random(20));
                match random(5) {
                    0 => _ = items.remove(at),
                    1 => {
                        let fresh = 100 + round * 50 + le;
                        items.insert(at, (random(2) == 0, fresh, vec![le]));
                    }
                    2 => {
                        let one = items.remove(at);
                        items.insert(random(items.len() + 1), one);
                    }
                    _ => match items[at].2.binary_search(&le) {
                        Ok(place) => _ = items[at].2.remove(place),
                        Err(place) => items[at].2.insert(place, le),
                    },
                }
            }
            items.truncate(120);
            let mut page = "# TYPE h histogram\n# TYPE c counter\n".to_owned();
            for (is_counter, n, buckets) in &items {
                // Some say to be of times to come.
                let time = if random(40) == 0 { " 9000000000000" } else { "" };
                if *is_counter {
                    _ = writeln!(page, "c{{n=\"{n}\"}} {round}{time}");
                    continue;
                }
                buckets.iter().for_each(|le| _ = writeln!(page, "h_bucket{{n=\"{n}\",le=\"{le}\"}} {}", round + le));
                _ = writeln!(page, "h_sum{{n=\"{n}\"}} {round}{time}\nh_count{{n=\"{n}\"}} {}", round + n);
            }
            let mut first = Reader::new();
            first.manner.transforms.clone_from(&reader.manner.transforms);
            first.time_ms = reader.time_ms;
            let expected = first.read(&page);
            let seen = reader.read(&page);
            assert_eq!(seen, expected, "round {round}\n{page}");
            assert_eq!(reader.items, first.items, "round {round}\n{page}");
            most_items = most_items.max(expected.0.len());
            if random(20) == 0 {
                // A scrape fails.
                reader.page.clear();
                reader.out.finish(reader.time_ms);
            }
        }
        assert!(most_items > 100);
    }
}
