//! What a lane with rules does to a batch in front of its encoder: it takes series away that rules
//! have left alike, across chunks and sources, or that are too many, and counts what each rule dropped;
//! and it brings the numbers of series to the rules that gather them, whose own series join the batch
//! when a window has ended.
//!
//! A view is a chunk's alone, and shared; what one destination lacks because another chunk has it
//! is a mask of its lane. So a chunk with a mask is exchanged for a part of it, which stays as long
//! as the mask does: whoever comes behind sees chunks as always. What costs something are chunks
//! that have changed, values of frames with masks, which are copied, and numbers that are gathered.
//!
//! A rule that gathers is a source of this lane's own, whose chunks have the rules up to it behind
//! them: they go through those behind it as any other source's do.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::admitted::Admitted;
use super::flows::{Flows, Meetings};
use super::view::{Perspective, ViewSeries};
use crate::model::{Batch, Chunk, Exemplars, Frame, Roster, changes};

/// One lane's, or that of one source with rules of its own. Batches come in the order of their times.
#[derive(Debug)]
pub struct Stage {
    from: Perspective,
    sources: Vec<Source>,
    ledgers: Ledgers,
    /// What the last batch said, and the same with what rules give; none as long as none has said anything.
    roster: Option<(Arc<Roster>, Arc<Roster>)>,
    /// How many series of the last batch each rule dropped.
    dropped: Vec<u64>,
    /// Room for a frame's values.
    values: Vec<f64>,
}

/// What is known of the series of all sources together.
#[derive(Debug)]
struct Ledgers {
    /// None where no rule can make a series another one's like.
    admitted: Option<Admitted>,
    /// None where no rule needs it.
    flows: Option<Flows>,
    /// The time of the batch.
    now_ms: i64,
}

impl Ledgers {
    /// Lets `one` through, or gives the rule by which it is like another one.
    fn admit(&mut self, one: &ViewSeries<'_>, changed_by: Option<usize>) -> Result<(), usize> {
        self.admitted.as_mut().map_or(Ok(()), |admitted| admitted.claim(one, changed_by))
    }

    fn is_any(&self) -> bool {
        self.admitted.is_some() || self.flows.is_some()
    }
}

#[derive(Debug)]
struct Source {
    name: Arc<str>,
    /// Of its last frame.
    chunks: Arc<[Arc<Chunk>]>,
    /// How many of their series each rule drops, by its place; those that drop none are left out.
    dropped: BTreeMap<usize, u64>,
    /// By the id of the chunk that they are of.
    masks: HashMap<u64, Mask>,
    /// By the id of the chunk that they are of; none where it has no such series.
    meetings: HashMap<u64, Meetings>,
    /// The chunks without what is masked; none where nothing is, or before it is asked for.
    cut: Option<Arc<[Arc<Chunk>]>>,
}

/// What is taken away of a chunk.
#[derive(Debug)]
struct Mask {
    masked: Vec<Masked>,
    /// The places in the chunk of those that are left.
    places: Box<[u32]>,
    /// These as a chunk of their own; none where nothing is left.
    part: Option<Arc<Chunk>>,
}

/// A series that is taken away.
#[derive(Clone, Copy, Debug)]
struct Masked {
    /// Its number in the chunk's view.
    at: usize,
    why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// The rule at that place has made it like another one.
    Alike(usize),
    /// A limit had no room for it.
    NoRoom,
}

impl Stage {
    /// For a lane that looks from there; none where there are no rules, and so nothing to do.
    pub fn new(from: Perspective) -> Option<Stage> {
        Stage::of(None, from)
    }

    /// For what the source `owner` gives, whose own rules these are; see [`super::sources`].
    pub fn of_source(owner: &str, from: Perspective) -> Option<Stage> {
        Stage::of(Some(owner), from)
    }

    fn of(owner: Option<&str>, from: Perspective) -> Option<Stage> {
        if from.rules().is_empty() {
            return None;
        }
        let admitted = from.rules().may_make_alike().then(Admitted::default);
        let flows = Flows::new(from.rules(), owner);
        let ledgers = Ledgers { admitted, flows, now_ms: i64::MIN };
        let dropped = vec![0; from.rules().len()];
        Some(Stage { from, sources: Vec::new(), ledgers, roster: None, dropped, values: Vec::new() })
    }

    /// From where it looks.
    pub fn from(&self) -> &Perspective {
        &self.from
    }

    /// Takes up what `before` knows, which no batch comes to any more: all of it where it looked from the same
    /// place, else what those of its rules know that this one has, too.
    pub fn take_over(&mut self, before: Stage) {
        if self.from == before.from {
            *self = before;
        } else if let (Some(flows), Some(known)) = (&mut self.ledgers.flows, before.ledgers.flows) {
            flows.take_over(known, before.ledgers.now_ms);
        }
    }

    /// `batch` as its encoder is to have it. Where nothing is masked and nothing gathered it is the same.
    pub fn pass<'b>(&mut self, batch: &'b Batch) -> Cow<'b, Batch> {
        self.dropped.fill(0);
        self.ledgers.now_ms = batch.time_ms;
        let mut is_freed = self.forget(batch);
        let made = self.close(&mut is_freed);
        for (at, frame) in batch.frames.iter().enumerate() {
            let at = self.place(at, frame);
            let source = &mut self.sources[at];
            if !Arc::ptr_eq(&source.chunks, &frame.chunks) {
                is_freed |= source.update(&frame.chunks, &self.from, &mut self.ledgers);
            }
        }
        if let Some(flows) = &mut self.ledgers.flows {
            is_freed |= flows.let_go(batch.time_ms);
        }
        if is_freed && self.ledgers.is_any() {
            self.sources.iter_mut().for_each(|source| source.unmask(&self.from, &mut self.ledgers));
        }
        let mut has_masks = false;
        for (at, frame) in batch.frames.iter().chain(&made).enumerate() {
            let at = self.place(at, frame);
            let source = &self.sources[at];
            has_masks |= !source.masks.is_empty();
            source.dropped.iter().for_each(|(rule, count)| self.dropped[*rule] += count);
        }
        for (at, frame) in batch.frames.iter().enumerate() {
            let at = self.place(at, frame);
            self.sources[at].feed(frame, &mut self.ledgers);
        }
        let has_windows = self.ledgers.flows.as_ref().is_some_and(Flows::has_windows);
        if !has_masks && !has_windows {
            return Cow::Borrowed(batch);
        }
        let frames = batch.frames.iter().chain(&made).enumerate().map(|(at, frame)| {
            let at = self.place(at, frame);
            self.sources[at].cut(frame, &mut self.values)
        });
        let frames = frames.collect();
        let roster = batch.roster.as_ref().and(self.roster.as_ref()).map(|(_, all)| Arc::clone(all));
        Cow::Owned(Batch { frames, roster, time_ms: batch.time_ms, resource: Arc::clone(&batch.resource) })
    }

    /// What the rules give for the windows that have ended by now, which is brought to those behind them.
    fn close(&mut self, is_freed: &mut bool) -> Vec<Frame> {
        let mut made = Vec::new();
        let rules = self.ledgers.flows.as_ref().map_or(0, Flows::rules);
        for rule in 0..rules {
            let now_ms = self.ledgers.now_ms;
            let closed = self.ledgers.flows.as_mut().and_then(|flows| flows.close(rule, now_ms));
            let Some(frame) = closed else { continue };
            let at = self.place(usize::MAX, &frame);
            let source = &mut self.sources[at];
            *is_freed |= source.update(&frame.chunks, &self.from, &mut self.ledgers);
            source.feed(&frame, &mut self.ledgers);
            made.push(frame);
        }
        made
    }

    /// A rule for which there are more series than it can gather, once: its place.
    pub fn take_overfull(&mut self) -> Option<usize> {
        self.ledgers.flows.as_mut()?.take_overfull()
    }

    /// How many series of the last batch each rule dropped, in the rules' order.
    pub fn dropped(&self) -> &[u64] {
        &self.dropped
    }

    /// The place of a frame's source, which is most likely the frame's own.
    fn place(&mut self, at: usize, frame: &Frame) -> usize {
        let is_it = |source: &Source| Arc::ptr_eq(&source.name, &frame.source) || source.name == frame.source;
        let found = match self.sources.get(at) {
            Some(source) if is_it(source) => Some(at),
            _ => self.sources.iter().position(is_it),
        };
        found.unwrap_or_else(|| {
            let at = at.min(self.sources.len());
            self.sources.insert(at, Source::new(Arc::clone(&frame.source)));
            at
        })
    }

    /// Forgets the sources that are not there any more. Whether others may have their series now.
    fn forget(&mut self, batch: &Batch) -> bool {
        let Some(given) = &batch.roster else { return false };
        if self.roster.as_ref().is_some_and(|(known, _)| Arc::ptr_eq(known, given)) {
            return false;
        }
        let flows = self.ledgers.flows.as_ref().filter(|flows| flows.has_windows());
        let roster = flows.map_or_else(|| Arc::clone(given), |flows| Arc::new(flows.roster(given)));
        self.roster = Some((Arc::clone(given), Arc::clone(&roster)));
        let mut is_freed = false;
        for source in self.sources.iter_mut().filter(|source| roster.interval_of(&source.name).is_none()) {
            is_freed |= source.update(&Arc::from([]), &self.from, &mut self.ledgers);
        }
        // Also those whose last frame was empty: a push may have a name of its own each time.
        self.sources.retain(|source| !source.chunks.is_empty());
        is_freed
    }
}

impl Source {
    fn new(name: Arc<str>) -> Source {
        Source {
            name,
            chunks: Arc::from([]),
            dropped: BTreeMap::new(),
            masks: HashMap::new(),
            meetings: HashMap::new(),
            cut: None,
        }
    }

    /// Takes up the chunks of a frame. Whether others may have a series now that this one had.
    fn update(&mut self, chunks: &Arc<[Arc<Chunk>]>, from: &Perspective, ledgers: &mut Ledgers) -> bool {
        let before = std::mem::replace(&mut self.chunks, Arc::clone(chunks));
        let [gone, come] = changes(&before, chunks);
        let mut is_freed = false;
        for chunk in gone {
            let view = from.view(chunk);
            view.dropped().for_each(|(rule, count)| self.uncount(rule, count));
            if let (Some(flows), Some(meetings)) = (&mut ledgers.flows, self.meetings.remove(&chunk.id())) {
                is_freed |= flows.release(&view, &meetings, ledgers.now_ms);
                flows.dropped(&meetings).for_each(|rule| self.uncount(rule, 1));
            }
            let masked = self.masks.remove(&chunk.id()).map_or_else(Vec::new, |mask| mask.masked);
            let Some(admitted) = &mut ledgers.admitted else { continue };
            let mut rest = &masked[..];
            for (at, one) in view.series().enumerate() {
                match rest.split_first() {
                    Some((masked, behind)) if masked.at == at => {
                        rest = behind;
                        if let Why::Alike(rule) = masked.why {
                            self.uncount(rule, 1);
                        }
                    }
                    _ => is_freed |= admitted.release(&one),
                }
            }
        }
        for chunk in come {
            let view = from.view(chunk);
            view.dropped().for_each(|(rule, count)| self.count(rule, count));
            if !ledgers.is_any() {
                continue;
            }
            let mut no_room = Vec::new();
            if let Some(flows) = &mut ledgers.flows {
                let mut meetings = Meetings::default();
                flows.claim(&view, chunk.id(), &mut meetings);
                flows.dropped(&meetings).for_each(|rule| self.count(rule, 1));
                no_room.extend(flows.without_room(&meetings));
                if !meetings.is_empty() {
                    self.meetings.insert(chunk.id(), meetings);
                }
            }
            let mut masked = Vec::new();
            for (at, one) in view.series().enumerate() {
                if no_room.binary_search(&one.place).is_ok() {
                    masked.push(Masked { at, why: Why::NoRoom });
                } else if let Err(rule) = ledgers.admit(&one, view.changed_by(at)) {
                    masked.push(Masked { at, why: Why::Alike(rule) });
                    self.count(rule, 1);
                }
            }
            self.mask(chunk, from, masked);
        }
        self.cut = None;
        is_freed
    }

    /// Gives back what was masked, as far as nobody else has it any more, and there is room.
    fn unmask(&mut self, from: &Perspective, ledgers: &mut Ledgers) {
        let has_untaken = self.meetings.values().any(Meetings::has_untaken);
        if self.masks.is_empty() && !has_untaken {
            return;
        }
        let chunks = Arc::clone(&self.chunks);
        for chunk in chunks.iter() {
            let mut no_room = Vec::new();
            if let (Some(flows), Some(mut meetings)) = (&mut ledgers.flows, self.meetings.remove(&chunk.id())) {
                if meetings.has_untaken() {
                    flows.dropped(&meetings).for_each(|rule| self.uncount(rule, 1));
                    flows.claim(&from.view(chunk), chunk.id(), &mut meetings);
                    flows.dropped(&meetings).for_each(|rule| self.count(rule, 1));
                    no_room.extend(flows.without_room(&meetings));
                }
                self.meetings.insert(chunk.id(), meetings);
            }
            let Some(mask) = self.masks.get(&chunk.id()) else { continue };
            let view = from.view(chunk);
            let (mut left, mut is_other) = (Vec::new(), false);
            let mut counts: Vec<(usize, bool)> = Vec::new();
            for masked in mask.masked.iter().copied() {
                let one = view.get(masked.at);
                let is_without = masked.why == Why::NoRoom && no_room.binary_search(&one.place).is_ok();
                let claimed = if is_without {
                    Err(Why::NoRoom)
                } else {
                    ledgers.admit(&one, view.changed_by(masked.at)).map_err(Why::Alike)
                };
                if claimed == Err(masked.why) {
                    left.push(masked);
                    continue;
                }
                if let Why::Alike(rule) = masked.why {
                    counts.push((rule, false));
                }
                match claimed {
                    Ok(()) => is_other = true,
                    Err(why) => left.push(Masked { why, ..masked }),
                }
                if let Err(Why::Alike(rule)) = claimed {
                    counts.push((rule, true));
                }
            }
            for (rule, is_more) in counts {
                if is_more { self.count(rule, 1) } else { self.uncount(rule, 1) }
            }
            if is_other {
                self.masks.remove(&chunk.id());
                self.mask(chunk, from, left);
                self.cut = None;
            } else if let Some(mask) = self.masks.get_mut(&chunk.id()) {
                mask.masked = left;
            }
        }
    }

    /// Masks these series, which ascend; none: the chunk stays as it is.
    fn mask(&mut self, chunk: &Arc<Chunk>, from: &Perspective, masked: Vec<Masked>) {
        if masked.is_empty() {
            return;
        }
        let mut rest = masked.iter().map(|masked| masked.at).peekable();
        let view = from.view(chunk);
        let left = view.series().enumerate().filter(|(at, _)| rest.next_if_eq(at).is_none());
        let places: Box<[u32]> = left.map(|(_, one)| one.place).collect();
        let part = (!places.is_empty()).then(|| Arc::new(chunk.part(&places)));
        self.masks.insert(chunk.id(), Mask { masked, places, part });
    }

    /// Brings the numbers of a frame to the rules that gather them.
    fn feed(&self, frame: &Frame, ledgers: &mut Ledgers) {
        let Some(flows) = ledgers.flows.as_mut().filter(|_| !self.meetings.is_empty()) else { return };
        let mut end = 0;
        for (chunk, values) in frame.parts() {
            let begin = end;
            end += chunk.len();
            let Some(meetings) = self.meetings.get(&chunk.id()) else { continue };
            match frame.fresh.as_ref().map(|fresh| &fresh[begin..end]) {
                // What is not of this moment is no sample.
                Some(fresh) => {
                    let of = |(value, fresh): (&f64, &bool)| if *fresh { *value } else { f64::NAN };
                    flows.add(meetings, &values.iter().zip(fresh).map(of).collect::<Vec<_>>());
                }
                None => flows.add(meetings, values),
            }
        }
    }

    fn count(&mut self, rule: usize, count: u64) {
        *self.dropped.entry(rule).or_default() += count;
    }

    fn uncount(&mut self, rule: usize, count: u64) {
        if let Some(counted) = self.dropped.get_mut(&rule) {
            *counted = counted.saturating_sub(count);
            if *counted == 0 {
                self.dropped.remove(&rule);
            }
        }
    }

    /// `frame` without what is masked.
    fn cut(&mut self, frame: &Frame, room: &mut Vec<f64>) -> Frame {
        if self.masks.is_empty() {
            return frame.clone();
        }
        let cut = self.cut.get_or_insert_with(|| {
            let left = self.chunks.iter().filter_map(|chunk| match self.masks.get(&chunk.id()) {
                Some(mask) => mask.part.clone(),
                None => Some(Arc::clone(chunk)),
            });
            left.collect()
        });
        let chunks = Arc::clone(cut);
        room.clear();
        for (chunk, values) in frame.parts() {
            match self.masks.get(&chunk.id()) {
                Some(mask) => room.extend(mask.places.iter().map(|place| values[*place as usize])),
                None => room.extend_from_slice(values),
            }
        }
        let fresh = frame.fresh.as_ref().map(|fresh| {
            let (mut kept, mut begin) = (Vec::with_capacity(room.len()), 0);
            for chunk in frame.chunks.iter() {
                let fresh = &fresh[begin..begin + chunk.len()];
                begin += chunk.len();
                match self.masks.get(&chunk.id()) {
                    Some(mask) => kept.extend(mask.places.iter().map(|place| fresh[*place as usize])),
                    None => kept.extend_from_slice(fresh),
                }
            }
            Arc::from(kept)
        });
        let times = frame.times.as_ref().map(|_| {
            let mut kept: Vec<i64> = Vec::with_capacity(room.len());
            for (chunk, _, times) in frame.timed_parts() {
                let time = |place: usize| times.map_or(Frame::NO_TIME, |times| times[place]);
                match self.masks.get(&chunk.id()) {
                    Some(mask) => kept.extend(mask.places.iter().map(|place| time(*place as usize))),
                    None => kept.extend((0..chunk.len()).map(time)),
                }
            }
            Arc::from(kept)
        });
        let exemplars = frame.exemplars.as_ref().map(|_| self.exemplars_left(frame));
        Frame { chunks, values: Arc::from(&room[..]), times, exemplars, fresh, ..frame.clone() }
    }

    /// Those of what is not masked, each at its new place.
    fn exemplars_left(&self, frame: &Frame) -> Exemplars {
        let (mut left, mut begin, mut end) = (Vec::new(), 0, 0);
        for chunk in frame.chunks.iter() {
            let mask = self.masks.get(&chunk.id());
            for (place, exemplar) in frame.exemplars(begin..begin + chunk.len()) {
                let place = *place - begin as u32;
                let at = mask.map_or(Some(place as usize), |mask| mask.places.binary_search(&place).ok());
                left.extend(at.map(|at| ((end + at) as u32, Arc::clone(exemplar))));
            }
            begin += chunk.len();
            end += mask.map_or(chunk.len(), |mask| mask.places.len());
        }
        left.into()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::Resource;
    use crate::model::testing::random;
    use crate::shaping::testing::{self, Giver};

    fn batch(time_ms: i64, frames: Vec<Frame>) -> Batch {
        Batch::new(time_ms, Arc::new(Resource { host: "h".into(), boot_ms: None, ..Resource::default() }), frames)
    }

    /// What is left of a batch, by source.
    fn left(stage: &mut Stage, batch: &Batch) -> Vec<Vec<(String, f64)>> {
        let from = stage.from().clone();
        let passed = stage.pass(batch);
        passed.frames.iter().map(|frame| testing::seen(frame, &from)).collect()
    }

    #[test]
    fn of_series_alike_in_two_sources_the_first_stays_for_as_long_as_it_is_given() {
        let mut stage = Stage::new(testing::from(r#"[{"drop_labels": ["n"]}]"#)).unwrap();
        let [mut a, mut b] = ["a", "b"].map(Giver::new);
        let [first, second] = [(r#"up{n="1"}"#, 1.0), (r#"up{n="2"}"#, 2.0)];
        let (up, other) = (r#"up{job="j"}"#, r#"other{job="j"}"#);
        let both = batch(1, vec![a.frame(1, &[first]), b.frame(1, &[second, ("other", 3.0)])]);
        let expected = [testing::words(&[(up, 1.0)]), testing::words(&[(other, 3.0)])];
        assert_eq!(left(&mut stage, &both), expected);
        assert_eq!(stage.dropped(), [1]);
        // The chunk without it stays the same object, as a chunk does.
        let cut = |stage: &mut Stage, batch: &Batch| Arc::clone(&stage.pass(batch).frames[1].chunks);
        assert!(Arc::ptr_eq(&cut(&mut stage, &both), &cut(&mut stage, &both)));
        // The first source is silent, which says nothing: it still has it.
        let alone = batch(2, vec![b.frame(2, &[second, ("other", 3.0)])]);
        assert_eq!(left(&mut stage, &alone), [testing::words(&[(other, 3.0)])]);
        assert_eq!(stage.dropped(), [1]);
        // It gives it no more: the other one goes on with it, in the same batch.
        let without = batch(3, vec![a.frame(3, &[("x", 5.0)]), b.frame(3, &[second, ("other", 3.0)])]);
        let expected = [testing::words(&[(r#"x{job="j"}"#, 5.0)]), testing::words(&[(up, 2.0), (other, 3.0)])];
        assert_eq!(left(&mut stage, &without), expected);
        assert_eq!(stage.dropped(), [0]);
        assert!(matches!(stage.pass(&without), Cow::Borrowed(_)));
        // The first one is back, and too late.
        let again = batch(4, vec![a.frame(4, &[first]), b.frame(4, &[second, ("other", 3.0)])]);
        assert_eq!(left(&mut stage, &again), [vec![], testing::words(&[(up, 2.0), (other, 3.0)])]);
    }

    #[test]
    fn what_no_rule_has_touched_is_its_sources_matter_unless_a_rule_makes_another_one_like_it() {
        let mut stage = Stage::new(testing::from(r#"[{"rename": {"name": "b", "to": "a"}}]"#)).unwrap();
        let [mut one, mut two, mut three] = ["1", "2", "3"].map(Giver::new);
        let all =
            batch(1, vec![one.frame(1, &[("a", 1.0)]), two.frame(1, &[("a", 2.0)]), three.frame(1, &[("b", 3.0)])]);
        let a = |value| testing::words(&[(r#"a{job="j"}"#, value)]);
        assert_eq!(left(&mut stage, &all), [a(1.0), a(2.0), vec![]]);
        // One of the two still has it.
        let less = batch(2, vec![one.frame(2, &[]), two.frame(2, &[("a", 2.0)]), three.frame(2, &[("b", 3.0)])]);
        assert_eq!(left(&mut stage, &less), [vec![], a(2.0), vec![]]);
        let none = batch(3, vec![two.frame(3, &[]), three.frame(3, &[("b", 3.0)])]);
        assert_eq!(left(&mut stage, &none), [vec![], a(3.0)]);
    }

    #[test]
    fn a_source_that_is_not_configured_any_more_has_nothing() {
        let mut stage = Stage::new(testing::from(r#"[{"drop_labels": ["n"]}]"#)).unwrap();
        let [mut a, mut b] = ["a", "b"].map(Giver::new);
        let roster = |names: &[&str]| {
            let sources = names.iter().map(|name| (Arc::from(*name), Duration::from_secs(1)));
            Some(Arc::new(Roster::new(sources)))
        };
        let frames = vec![a.frame(1, &[(r#"up{n="1"}"#, 1.0)]), b.frame(1, &[(r#"up{n="2"}"#, 2.0)])];
        let both = Batch { roster: roster(&["a", "b"]), ..batch(1, frames) };
        assert_eq!(left(&mut stage, &both)[1], []);
        let one = Batch { roster: roster(&["b"]), ..batch(2, vec![b.frame(2, &[(r#"up{n="2"}"#, 2.0)])]) };
        assert_eq!(left(&mut stage, &one), [testing::words(&[(r#"up{job="j"}"#, 2.0)])]);
    }

    #[test]
    fn whatever_comes_and_goes_no_series_leaves_twice_and_none_is_withheld_that_nobody_has() {
        let mut random = random();
        let mut stage = Stage::new(testing::from(r#"[{"drop_labels": ["n"]}, {"drop": {"name": "m9"}}]"#)).unwrap();
        let mut givers = ["a", "b", "c"].map(Giver::new);
        let mut last: [Vec<String>; 3] = Default::default();
        for time_ms in 1..300 {
            let mut frames = Vec::new();
            let mut masked = 0;
            for (giver, last) in givers.iter_mut().zip(&mut last) {
                if random(4) == 0 {
                    continue;
                }
                if random(2) == 0 {
                    *last = (0..random(100)).map(|_| format!(r#"m{}{{n="{}"}}"#, random(200), random(2))).collect();
                    last.sort();
                    last.dedup();
                }
                let series: Vec<(&str, f64)> = last.iter().map(|text| (text.as_str(), 1.0)).collect();
                frames.push(giver.frame(time_ms, &series));
                masked += last.len();
            }
            let batch = batch(time_ms, frames);
            let left: Vec<(String, f64)> = left(&mut stage, &batch).into_iter().flatten().collect();
            let mut names: Vec<String> = left.iter().map(|(text, _)| text.clone()).collect();
            names.sort();
            let count = names.len();
            names.dedup();
            assert_eq!(names.len(), count, "at {time_ms}");
            assert_eq!(stage.dropped().iter().sum::<u64>() as usize, masked - count, "at {time_ms}");
            // A batch of all three has all that any of them gives.
            if batch.frames.len() == 3 {
                let given = last.iter().flatten().map(|text| text.split('{').next().unwrap());
                let mut given: Vec<String> =
                    given.filter(|name| *name != "m9").map(|name| format!(r#"{name}{{job="j"}}"#)).collect();
                given.sort();
                given.dedup();
                assert_eq!(names, given, "at {time_ms}");
            }
        }
    }
}
