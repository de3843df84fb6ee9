//! What counters have counted since the last body: for receivers that take increases, not totals.
//!
//! A [`Deltas`] belongs to an encoder, and so to a lane: it knows the last number and time of each
//! counting series that was encoded. A first value gives no increase, since nobody knows what was
//! before it, but where it is known to count from 0 and has begun since the first batch: where metricsd itself counts,
//! or an application says so. Each later one gives what came since the one before, so that the increases cover
//! time without gaps and without overlap. A number that falls was set back to zero in between, and so was one whose
//! source says a newer start than before: it is an increase as it stands. What is observed may be negative, so the sum of a histogram or a summary may fall: it
//! was set back where their count was. A batch that never came to the encoder costs nothing: the next one's
//! increase is the larger for it. What a body held that was refused is lost, and nothing brings it
//! back: it is never in a second body.
//!
//! Series are followed from chunk to chunk by identity, as the destination sees them, and forgotten
//! with the first frame of their source that lacks them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::part::Part;
use crate::model::{AsItIs, Batch, Chunk, Family, Frame, Kind, Since, changes};
use crate::order;
use crate::shaping::{Perspective, View, ViewSeries};

/// What a sample is where increases are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Delta {
    /// Its series does not count: it is sent as it is.
    AsItIs,
    /// Its series counts, and what came is not known: it is the first value, or no number, or of no
    /// later time than the one before.
    Unknown,
    /// So much came.
    Since {
        /// The end of the time before: what came is of the time after this, up to the sample's own.
        start_ms: i64,
        /// Never less than zero, but for the sum of a histogram or a summary.
        increase: f64,
    },
}

/// Whether the numbers of a family only grow, until they are set back. The parts of a histogram and a
/// summary are what they are on a page: counts that grow, and quantiles that do not.
pub fn counts(family: &Family<'_>) -> bool {
    let is_part = || ["_bucket", "_sum", "_count"].iter().any(|suffix| family.name.ends_with(suffix));
    match family.kind {
        Kind::Counter => true,
        Kind::Histogram | Kind::Summary => is_part(),
        Kind::UpDown | Kind::Gauge | Kind::Untyped | Kind::Info | Kind::StateSet => false,
    }
}

/// The last numbers of what counts, of one lane.
#[derive(Debug)]
pub struct Deltas {
    from: Perspective,
    /// The time of the first batch, in wall-clock milliseconds.
    begun_ms: Option<i64>,
    /// The chunks of each source's last frame.
    sources: HashMap<Arc<str>, Arc<[Arc<Chunk>]>>,
    /// What is known of each chunk, by its id.
    known: HashMap<u64, Vec<Counting>, AsItIs>,
    /// Sources whose last frame said nothing of some of their series.
    narrowed: HashSet<Arc<str>>,
    /// Of the part that was asked for last.
    deltas: Vec<Delta>,
    /// Which counts of its histograms and summaries fell.
    fell: Vec<bool>,
}

/// A series that counts.
#[derive(Debug)]
struct Counting {
    /// Its number among those of its view.
    at: u32,
    /// The place, among all that count, of the count of the histogram or summary that it is a part of; or [`ALONE`].
    count: u32,
    last: Option<Last>,
}

/// It is a part of nothing that has a count.
const ALONE: u32 = u32::MAX;

/// A number, and its time in wall-clock milliseconds.
#[derive(Clone, Copy, Debug)]
struct Last {
    value: f64,
    time_ms: i64,
}

/// What is known of series whose chunk has gone, by identity, and since when they counted.
type Left = HashMap<u64, (Last, Since), AsItIs>;

impl Deltas {
    /// Nothing is known of any series, which are seen `from` there.
    pub fn new(from: Perspective) -> Deltas {
        Deltas {
            from,
            begun_ms: None,
            sources: HashMap::new(),
            known: HashMap::default(),
            narrowed: HashSet::new(),
            deltas: Vec::new(),
            fell: Vec::new(),
        }
    }

    /// Takes note of which series `batch` has, before its parts are asked for.
    pub fn begin(&mut self, batch: &Batch) {
        self.begun_ms.get_or_insert(batch.time_ms);
        if let Some(roster) = &batch.roster {
            let Deltas { sources, known, .. } = self;
            sources.retain(|name, chunks| {
                let stays = roster.interval_of(name).is_some();
                if !stays {
                    chunks.iter().for_each(|chunk| _ = known.remove(&chunk.id()));
                }
                stays
            });
            self.narrowed.retain(|name| self.sources.contains_key(name));
        }
        for frame in &batch.frames {
            if frame.all.is_some() || self.narrowed.contains(&frame.source) {
                self.begin_narrowed(frame);
                continue;
            }
            match self.sources.get_mut(&frame.source) {
                Some(chunks) if Arc::ptr_eq(chunks, &frame.chunks) => {}
                Some(chunks) => {
                    let before = std::mem::replace(chunks, Arc::clone(&frame.chunks));
                    self.follow(&before, &frame.chunks);
                }
                None => {
                    self.sources.insert(Arc::clone(&frame.source), Arc::clone(&frame.chunks));
                    self.follow(&[], &frame.chunks);
                }
            }
        }
    }

    /// The same of a frame that says nothing of some of its source's series, or that comes behind such a one:
    /// a series may be in two chunks then, in one of all and in one of what was said, of which the newest
    /// number counts.
    fn begin_narrowed(&mut self, frame: &Frame) {
        let said = frame.chunks.iter().filter(|chunk| frame.all().iter().all(|one| !Arc::ptr_eq(one, chunk)));
        let after: Arc<[Arc<Chunk>]> = said.chain(frame.all().iter()).cloned().collect();
        let before = self.sources.insert(Arc::clone(&frame.source), Arc::clone(&after));
        let mut left = Left::default();
        for chunk in before.iter().flat_map(|chunks| chunks.iter()) {
            let Some(known) = self.known.remove(&chunk.id()) else { continue };
            let view = self.from.view(chunk);
            for (identity, last, since) in of_chunk(&known, &view, chunk) {
                let known = left.entry(identity).or_insert((last, since));
                if known.0.time_ms < last.time_ms {
                    *known = (last, since);
                }
            }
        }
        for chunk in after.iter() {
            self.learn(chunk, &left);
        }
        if after.len() > frame.all().len() {
            self.narrowed.insert(Arc::clone(&frame.source));
        } else {
            self.narrowed.remove(&frame.source);
        }
    }

    /// What is known of a source's series goes with them into other chunks.
    fn follow(&mut self, before: &[Arc<Chunk>], after: &[Arc<Chunk>]) {
        let [gone, come] = changes(before, after);
        let mut left = Left::default();
        for chunk in gone {
            let Some(known) = self.known.remove(&chunk.id()) else { continue };
            let view = self.from.view(chunk);
            left.extend(of_chunk(&known, &view, chunk).map(|(identity, last, since)| (identity, (last, since))));
        }
        for chunk in come {
            self.learn(chunk, &left);
        }
    }

    /// What is known of the series of a chunk that has come is what is `left` of them by identity. Those that count
    /// from 0 since later than they did were set back to that.
    fn learn(&mut self, chunk: &Chunk, left: &Left) {
        let view = self.from.view(chunk);
        let counting = counting(&view, |at, identity| {
            let item = view.get(at).item;
            match (left.get(&identity), chunk.items().get(item as usize).since) {
                (Some((last, Since::Ms(before))), Since::Ms(since)) if chunk.counts_from_zero() && since > *before => {
                    Some(Last { value: 0.0, ..*last })
                }
                (Some((last, _)), _) => Some(*last),
                (None, _) => self.zero(chunk, item),
            }
        });
        self.known.insert(chunk.id(), counting);
    }

    /// Where the item at `item` of `chunk` counts from 0, was not here before, and has begun since the first batch:
    /// that 0.
    fn zero(&self, chunk: &Chunk, item: u32) -> Option<Last> {
        let item = chunk.items().get(item as usize);
        match item.since {
            Since::Ms(ms)
                if chunk.counts_from_zero() && item.is_new && self.begun_ms.is_some_and(|begun| ms.get() >= begun) =>
            {
                Some(Last { value: 0.0, time_ms: ms.get() })
            }
            _ => None,
        }
    }

    /// What each sample of `part` is, which is the next one of the batch of [`Deltas::begin`]: in the
    /// order of its view. Each part is asked for once; what it gives is taken to be sent.
    pub fn next(&mut self, part: &Part<'_>) -> &[Delta] {
        let known = self.known.entry(part.chunk.id()).or_insert_with(|| counting(&part.view, |_, _| None));
        self.deltas.clear();
        self.deltas.resize(part.view.len(), Delta::AsItIs);
        self.fell.clear();
        for one in known {
            let series = part.view.get(one.at as usize);
            let now = Last { value: series.value(part.values), time_ms: series.time_ms(part.time_ms, part.times) };
            let mut is_reset = one.last.is_some_and(|last| now.value < last.value);
            let mut is_sum = false;
            match one.count {
                ALONE => {}
                // They stand in front of what they are the counts of.
                count if count as usize == self.fell.len() => self.fell.push(is_reset),
                count => {
                    is_sum = series.family().name.ends_with(SUM);
                    is_reset = self.fell[count as usize] || is_reset && !is_sum;
                }
            }
            self.deltas[one.at as usize] = step(&mut one.last, now, is_reset, is_sum);
        }
        &self.deltas
    }

    /// Goes on where `before` was: with what it knows of each series that is seen from here, too, and with the same
    /// factor.
    pub fn take_over(&mut self, before: Deltas) {
        if before.from == self.from {
            *self = before;
            return;
        }
        for chunk in before.sources.values().flat_map(|chunks| chunks.iter()) {
            let Some(known) = before.known.get(&chunk.id()) else { continue };
            let (old, new) = (before.from.view(chunk), self.from.view(chunk));
            let mut places: HashMap<u32, Last> = HashMap::new();
            for one in known {
                let series = old.get(one.at as usize);
                let is_same = |at: usize| new.get(at).factor() == series.factor();
                if let Some(last) = one.last.filter(|_| new.at_place(series.place as usize).is_some_and(is_same)) {
                    places.insert(series.place, last);
                }
            }
            let mut counting = counting(&new, |_, _| None);
            counting.iter_mut().for_each(|one| one.last = places.get(&new.get(one.at as usize).place).copied());
            self.known.insert(chunk.id(), counting);
        }
        self.sources = before.sources;
        self.begun_ms = before.begun_ms;
    }

    /// How many chunks something is known of.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.known.len()
    }
}

/// What is `known` of a chunk's series, by identity, and since when they count.
fn of_chunk(known: &[Counting], view: &View, chunk: &Chunk) -> impl Iterator<Item = (u64, Last, Since)> {
    known.iter().filter_map(|one| {
        let series = view.get(one.at as usize);
        Some((series.identity, one.last?, chunk.items().get(series.item as usize).since))
    })
}

/// The series of `view` that count, with what is known of each by its number there and its identity. Counts of
/// histograms and summaries are first.
fn counting(view: &View, mut last: impl FnMut(usize, u64) -> Option<Last>) -> Vec<Counting> {
    let mut given = HashSet::new();
    let mut all = Vec::new();
    let mut wholes: Vec<Option<Whole<'_>>> = Vec::new();
    // The first is that of all counts, the second of the buckets that stand for one where there is none.
    let mut counts_of: [HashMap<Whole<'_>, usize>; 2] = Default::default();
    for (at, one) in view.series().enumerate().filter(|(_, one)| counts(&one.family())) {
        // Two that are alike are not to give the same increase twice.
        let last = given.insert(one.identity).then(|| last(at, one.identity)).flatten();
        let whole = whole_of(&one);
        if let Some((whole, nth)) = whole.as_ref().and_then(|whole| Some((whole, counts_whole(&one)?))) {
            counts_of[nth].entry(whole.clone()).or_insert(all.len());
        }
        wholes.push(whole);
        all.push(Counting { at: at as u32, count: ALONE, last });
    }
    let [mut counts_of, buckets] = counts_of;
    if counts_of.is_empty() && buckets.is_empty() {
        return all;
    }
    buckets.into_iter().for_each(|(whole, at)| _ = counts_of.entry(whole).or_insert(at));
    let mut first: Vec<usize> = counts_of.values().copied().collect();
    order::sort(&mut first);
    let place = |at: usize| first.binary_search(&at).ok();
    for (one, whole) in all.iter_mut().zip(&wholes) {
        let count = whole.as_ref().and_then(|whole| place(*counts_of.get(whole)?));
        one.count = count.map_or(ALONE, |place| place as u32);
    }
    let mut all: Vec<(bool, Counting)> =
        all.into_iter().enumerate().map(|(at, one)| (place(at).is_none(), one)).collect();
    order::sort_by_key(&mut all, |(is_behind, _)| *is_behind);
    all.into_iter().map(|(_, one)| one).collect()
}

const SUM: &str = "_sum";

/// What tells a histogram or a summary from others of its view: its item, its kind, its name and its labels.
type Whole<'v> = (u32, Kind, &'v str, Vec<(&'v str, &'v str)>);

/// What a series is a part of.
fn whole_of<'v>(one: &ViewSeries<'v>) -> Option<Whole<'v>> {
    let Family { kind, name, .. } = one.family();
    if !matches!(kind, Kind::Histogram | Kind::Summary) {
        return None;
    }
    let base = ["_bucket", SUM, "_count"].iter().find_map(|suffix| name.strip_suffix(suffix))?;
    Some((one.item, kind, base, one.labels.iter().filter(|(name, _)| *name != "le").collect()))
}

/// Whether a part counts all observations: 0, it is there for that, or 1, it is the bucket of all.
fn counts_whole(one: &ViewSeries<'_>) -> Option<usize> {
    let name = one.family().name;
    let is_all = || one.labels.iter().any(|(name, value)| name == "le" && value == "+Inf");
    if name.ends_with("_count") {
        return Some(0);
    }
    (name.ends_with("_bucket") && is_all()).then_some(1)
}

/// What a number gives, after the `last` one, in whose place it comes, and which was set back to zero in between where it
/// `is_reset`.
fn step(last: &mut Option<Last>, now: Last, is_reset: bool, may_fall: bool) -> Delta {
    let Some(before) = last else {
        *last = Some(now).filter(|now| now.value.is_finite());
        return Delta::Unknown;
    };
    if is_reset {
        before.value = 0.0;
    }
    if !now.value.is_finite() {
        return Delta::Unknown;
    }
    if now.time_ms <= before.time_ms {
        // The clock went back, or nothing new was said: what came meanwhile is in the next one.
        before.time_ms = now.time_ms;
        return Delta::Unknown;
    }
    let increase = now.value - before.value;
    let start_ms = before.time_ms;
    *before = now;
    if increase >= 0.0 || may_fall { Delta::Since { start_ms, increase } } else { Delta::Unknown }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::formats::compiled::Compiled;
    use crate::formats::part::parts;
    use crate::formats::testing::{self, COUNT, TOTAL};
    use crate::model::{Frame, Item, Labels, Learnt, Recorder, Resource, Roster};

    const UNKNOWN: Delta = Delta::Unknown;

    fn since(start_ms: i64, increase: f64) -> Delta {
        Delta::Since { start_ms, increase }
    }

    /// A source of `test_bytes_total` by device, and of a gauge without labels.
    struct Giver(Recorder);

    impl Giver {
        fn new() -> Giver {
            Giver(Recorder::new("disk", 1000))
        }

        fn frame(&mut self, time_ms: i64, totals: &[(&str, f64)]) -> Frame {
            for (device, value) in totals {
                let (item, reading) = testing::series(&TOTAL, &Labels::new([("device", *device)]).unwrap());
                self.0.item(&item).push_learnt(&reading, *value);
            }
            let (item, reading) = testing::series(&COUNT, &Labels::EMPTY);
            self.0.item(&item).push_learnt(&reading, 7.0);
            self.0.finish(time_ms)
        }
    }

    fn batch(frame: Frame) -> Batch {
        Batch::new(frame.time_ms, Arc::new(Resource::default()), vec![frame])
    }

    /// What each total of `batch` is, by device.
    fn totals(deltas: &mut Deltas, batch: &Batch) -> Vec<(String, Delta)> {
        let from = testing::from(Labels::EMPTY);
        let mut all = Vec::new();
        deltas.begin(batch);
        for part in parts(batch, &from, &mut Compiled::default()) {
            let given = deltas.next(&part).to_vec();
            for (one, delta) in part.view.series().zip(given) {
                match one.labels.iter().next() {
                    Some((_, device)) => all.push((device.to_owned(), delta)),
                    None => assert_eq!(delta, Delta::AsItIs, "a gauge does not count"),
                }
            }
        }
        all
    }

    fn deltas() -> Deltas {
        Deltas::new(testing::from(Labels::EMPTY))
    }

    #[test]
    fn a_first_value_gives_nothing_and_each_later_one_what_came_since() {
        let (mut giver, mut deltas) = (Giver::new(), deltas());
        let mut of = |time_ms, value| totals(&mut deltas, &batch(giver.frame(time_ms, &[("sda", value)])))[0].1;
        assert_eq!(of(1000, 50.0), UNKNOWN);
        assert_eq!(of(2000, 53.0), since(1000, 3.0));
        assert_eq!(of(4500, 53.0), since(2000, 0.0));
        assert_eq!(of(5000, 2.0), since(4500, 2.0), "it was set back");
        assert_eq!(of(6000, f64::NAN), UNKNOWN);
        assert_eq!(of(7000, 5.0), since(5000, 3.0), "no time is left out");
        assert_eq!(of(7000, 9.0), UNKNOWN, "no time has passed");
        assert_eq!(of(8000, 10.0), since(7000, 5.0));
        assert_eq!(of(3000, 12.0), UNKNOWN, "the clock went back");
        assert_eq!(of(4000, 13.0), since(3000, 3.0));
        assert_eq!(of(5000, -1.0), UNKNOWN, "no counter");
    }

    #[test]
    fn what_is_counted_here_from_zero_loses_nothing_but_what_was_there_before_the_first_batch() {
        let (mut giver, mut deltas) = (Giver(Recorder::new("statsd", 1000).since(500)), deltas());
        let mut of = |time_ms, totals_of: &[(&str, f64)]| {
            totals(&mut deltas, &batch(giver.frame(time_ms, totals_of))).into_iter().map(|(_, delta)| delta).collect()
        };
        let given: Vec<Delta> = of(1000, &[("a", 4.0)]);
        assert_eq!(given, [UNKNOWN]);
        let given: Vec<Delta> = of(2000, &[("a", 5.0), ("b", 7.0)]);
        assert_eq!(given, [since(1000, 1.0), since(1000, 7.0)]);
        // It has gone, and comes again as another one.
        let given: Vec<Delta> = of(3000, &[("a", 5.0)]);
        assert_eq!(given, [since(2000, 0.0)]);
        let given: Vec<Delta> = of(4000, &[("a", 5.0), ("b", 2.0)]);
        assert_eq!(given, [since(3000, 0.0), since(3000, 2.0)]);
    }

    #[test]
    fn a_newer_start_is_a_reset_also_where_the_number_is_higher() {
        let (mut out, mut deltas) = (Recorder::new("push", 1000).of_said_starts(), deltas());
        let (_, reading) = testing::series(&TOTAL, &Labels::new([("device", "sda")]).unwrap());
        let mut of = |time_ms, run: &str, since_ms: Option<i64>, value| {
            let item = Item::new(&["sda", run]);
            let mut writer = out.item(&item);
            // Whether there was anything of it before is of no weight where that is known.
            since_ms.into_iter().for_each(|ms| writer.since(ms, false));
            writer.push_learnt(&reading, value);
            drop(writer);
            totals(&mut deltas, &batch(out.finish(time_ms)))[0].1
        };
        assert_eq!(of(1000, "1", Some(500), 100.0), UNKNOWN, "it began before the first batch");
        assert_eq!(of(2000, "1", Some(500), 110.0), since(1000, 10.0));
        assert_eq!(of(3000, "2", Some(2500), 150.0), since(2000, 150.0));
        assert_eq!(of(4000, "2", Some(2500), 151.0), since(3000, 1.0));
        assert_eq!(of(5000, "3", Some(2400), 160.0), since(4000, 9.0), "that is no newer one");
        assert_eq!(of(6000, "4", None, 161.0), since(5000, 1.0), "that says none");
        assert_eq!(of(7000, "5", Some(6500), 163.0), since(6000, 2.0), "nobody knows that it is another one");
    }

    #[test]
    fn a_sum_falls_with_what_is_observed_and_is_set_back_with_its_count() {
        let (mut out, mut deltas) = (Recorder::new("s", 1000), deltas());
        let mut time_ms = 0;
        // Twice: the parts of a summary stand in another order.
        let names = [
            (Kind::Histogram, "h_sum"),
            (Kind::Histogram, "h_count"),
            (Kind::Summary, "s_count"),
            (Kind::Summary, "s_sum"),
            (Kind::Histogram, "alone_sum"),
        ];
        let readings = names.map(|(kind, name)| Arc::new(Learnt::everywhere(Family::new(kind, name, "", ""), &[])));
        let mut of = |count, sum| {
            time_ms += 1000;
            let item = Item::new(&["x"]);
            let mut writer = out.item(&item);
            for (reading, value) in readings.iter().zip([sum, count, count, sum, sum]) {
                writer.push_learnt(reading, value);
            }
            drop(writer);
            let batch = batch(out.finish(time_ms));
            deltas.begin(&batch);
            let part = parts(&batch, &testing::from(Labels::EMPTY), &mut Compiled::default()).remove(0);
            let increases = deltas.next(&part).iter().map(|delta| match delta {
                Delta::Since { increase, .. } => Some(*increase),
                Delta::Unknown => None,
                Delta::AsItIs => panic!("all of them count"),
            });
            <[Option<f64>; 5]>::try_from(increases.collect::<Vec<_>>()).unwrap()
        };
        let both = |count, sum, alone: Option<f64>| [Some(sum), Some(count), Some(count), Some(sum), alone];
        assert_eq!(of(1.0, 5.0), [None; 5]);
        assert_eq!(of(2.0, 3.0), both(1.0, -2.0, Some(3.0)), "nothing says that one without a count was not set back");
        assert_eq!(of(3.0, 4.0), both(1.0, 1.0, Some(1.0)));
        assert_eq!(of(90.0, -495.5), both(87.0, -499.5, None), "below zero it is no number that grows");
        assert_eq!(of(2.0, 7.0), both(2.0, 7.0, Some(502.5)), "its count fell");
        assert_eq!(of(1.0, f64::NAN), [None, Some(1.0), Some(1.0), None, None]);
        assert_eq!(of(3.0, 6.0), both(2.0, 6.0, Some(6.0)), "it was set back while it was no number");
    }

    #[test]
    fn a_series_is_followed_through_chunks_that_are_cut_anew_and_forgotten_when_it_is_gone() {
        let (mut giver, mut deltas) = (Giver::new(), deltas());
        let names: Vec<String> = (0..200).map(|at| format!("d{at:03}")).collect();
        let all: Vec<(&str, f64)> = names.iter().map(|name| (name.as_str(), 10.0)).collect();
        assert!(totals(&mut deltas, &batch(giver.frame(1000, &all))).iter().all(|(_, delta)| *delta == UNKNOWN));
        // A device in front of all others, and one that goes.
        let mut more = vec![("a", 1.0)];
        more.extend(names.iter().filter(|name| *name != "d100").map(|name| (name.as_str(), 12.0)));
        let given = totals(&mut deltas, &batch(giver.frame(2000, &more)));
        assert_eq!(given.len(), 200);
        for (device, delta) in given {
            assert_eq!(delta, if device == "a" { UNKNOWN } else { since(1000, 2.0) }, "{device}");
        }
        // The one that was gone begins anew.
        let given = totals(&mut deltas, &batch(giver.frame(3000, &all)));
        for (device, delta) in given {
            let expected = if device == "d100" { UNKNOWN } else { since(2000, 10.0) };
            assert_eq!(delta, expected, "{device}: 12 fell to 10");
        }
        totals(&mut deltas, &batch(giver.frame(4000, &[])));
        assert_eq!(deltas.len(), 1, "the gauge's");
    }

    #[test]
    fn a_batch_that_never_came_costs_nothing_and_a_chunk_that_was_missed_neither() {
        let (mut giver, mut deltas) = (Giver::new(), deltas());
        totals(&mut deltas, &batch(giver.frame(1000, &[("sda", 1.0)])));
        // Its chunk is one that this lane has never seen.
        giver.frame(2000, &[("sda", 3.0), ("sdb", 1.0)]);
        let given = totals(&mut deltas, &batch(giver.frame(3000, &[("sda", 7.0), ("sdb", 2.0), ("sdc", 1.0)])));
        let given: Vec<Delta> = given.into_iter().map(|(_, delta)| delta).collect();
        assert_eq!(given, [since(1000, 6.0), UNKNOWN, UNKNOWN]);
    }

    #[test]
    fn what_a_frame_says_nothing_of_is_followed_all_the_same() {
        let (mut giver, mut deltas) = (Giver::new(), deltas());
        let mut of = |time_ms, all: &[(&str, f64)], fresh: &[bool]| {
            let frame = giver.frame(time_ms, all);
            let fresh = fresh.contains(&false).then(|| fresh.iter().copied().chain([false]).collect());
            let given = totals(&mut deltas, &batch(Frame { fresh, ..frame }.narrowed()));
            given.into_iter().map(|(_, delta)| delta).collect::<Vec<_>>()
        };
        of(1000, &[("a", 1.0), ("b", 10.0)], &[true, true]);
        assert_eq!(of(2000, &[("a", 3.0), ("b", 10.0)], &[true, false]), [since(1000, 2.0)]);
        assert_eq!(of(3000, &[("a", 3.0), ("b", 11.0)], &[false, true]), [since(1000, 1.0)]);
        assert_eq!(of(4000, &[("a", 4.0), ("b", 15.0)], &[true, true]), [since(2000, 1.0), since(3000, 4.0)]);
        assert_eq!(of(5000, &[("a", 5.0), ("b", 15.0)], &[true, true]), [since(4000, 1.0), since(4000, 0.0)]);
        // One that has ended is forgotten.
        assert_eq!(of(6000, &[("b", 15.0)], &[false]), []);
        assert_eq!(of(7000, &[("a", 9.0), ("b", 16.0)], &[true, true]), [UNKNOWN, since(5000, 1.0)]);
    }

    #[test]
    fn a_source_that_is_not_there_any_more_is_forgotten() {
        let (mut giver, mut deltas) = (Giver::new(), deltas());
        totals(&mut deltas, &batch(giver.frame(1000, &[("sda", 1.0)])));
        let others = Roster::new([("cpu".into(), Duration::from_secs(1))]);
        let mut none = Batch::new(2000, Arc::new(Resource::default()), vec![]);
        deltas.begin(&none);
        assert_eq!(deltas.len(), 1, "a round that gave nothing may only have failed");
        none.roster = Some(Arc::new(others));
        deltas.begin(&none);
        assert_eq!(deltas.len(), 0);
        let given = totals(&mut deltas, &batch(giver.frame(3000, &[("sda", 5.0)])));
        assert_eq!(given, [("sda".to_owned(), UNKNOWN)]);
    }

    #[test]
    fn who_looks_from_elsewhere_goes_on_counting() {
        let (mut giver, mut before) = (Giver::new(), deltas());
        totals(&mut before, &batch(giver.frame(1000, &[("sda", 1.0), ("sdb", 2.0)])));
        let from = testing::from(Labels::of(&[("dc", "eu")]));
        let mut after = Deltas::new(from.clone());
        after.take_over(before);
        // Also where the chunks are made anew.
        for (time_ms, names) in [(2000, &["sda", "sdb"][..]), (3000, &["a", "sda", "sdb"])] {
            let totals: Vec<(&str, f64)> = names.iter().map(|name| (*name, time_ms as f64)).collect();
            let batch = batch(giver.frame(time_ms, &totals));
            after.begin(&batch);
            for part in parts(&batch, &from, &mut Compiled::default()) {
                let given = after.next(&part).to_vec();
                for (one, delta) in part.view.series().zip(given) {
                    let device = one.labels.iter().find(|(name, _)| *name == "device").map(|(_, device)| device);
                    let expected = match (device, time_ms) {
                        (None, _) => Delta::AsItIs,
                        (Some("a"), _) => UNKNOWN,
                        (Some("sda"), 2000) => since(1000, 1999.0),
                        (Some(_), 2000) => since(1000, 1998.0),
                        _ => since(2000, 1000.0),
                    };
                    assert_eq!(delta, expected, "{device:?} at {time_ms}");
                }
            }
        }
    }

    #[test]
    fn parts_of_histograms_and_summaries_count_and_quantiles_do_not() {
        let of = |kind, name| counts(&Family::new(kind, name, "", ""));
        for (kind, name, expected) in [
            (Kind::Counter, "a_total", true),
            (Kind::Histogram, "a_bucket", true),
            (Kind::Summary, "a_sum", true),
            (Kind::Summary, "a_count", true),
            (Kind::Summary, "a", false),
            (Kind::Gauge, "a_count", false),
            (Kind::UpDown, "a", false),
            (Kind::Untyped, "a_total", false),
        ] {
            assert_eq!(of(kind, name), expected, "{kind:?} {name}");
        }
    }
}
