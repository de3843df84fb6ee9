//! Which series a destination was sent, by source, and which of them have ended.
//!
//! A series ends with the first good frame of its source that lacks it. A source that gives no
//! frame ends nothing, since it may only have failed; one that gives an empty frame ends all
//! that it had. What is compared is what the destination sees: views, by identity, over the
//! whole source, so that chunks that are cut anew end nothing. What costs something are the
//! chunks that have changed, and little of these what was in the chunks before them.
//!
//! A source that is not in a batch's roster ends all that it had, at once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::identities::Identities;
use super::sent::{Names, One, Past, Sent, SentSeries, SentSource};
use crate::model::{AsItIs, Batch, Chunk, Frame, Roster, changes};
use crate::shaping::{Perspective, View, ViewSeries};

/// A source that sent something before a restart or a reload has so long to give its first frame,
/// or two of its intervals where these are longer; then what it sent has ended. A slow source
/// needs a few seconds for its first frame, and one round may fail.
const FIRST_FRAME_WITHIN: Duration = Duration::from_secs(10);

/// A source that was not heard of for so long is forgotten, once there are many.
const FORGET_AFTER_MS: i64 = 3_600_000;
const MANY_SOURCES: usize = 1000;

/// A series that has ended, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Of the frame that told it: wall-clock milliseconds.
    pub time_ms: i64,
    /// As the receiver knows it.
    pub series: SentSeries,
    /// What tells it from others while it is seen; none where it was not seen from here.
    identity: Option<u64>,
}

/// What one destination was sent.
#[derive(Debug)]
pub struct Ledger {
    from: Arc<Perspective>,
    names: Names,
    sources: Vec<Source>,
    ended: Vec<Ended>,
    revision: u64,
    /// All that is given; none as long as nobody has asked, and only one source gives anything.
    identities: Option<Identities>,
    /// What the last batch said; none as long as none has said anything.
    roster: Option<Arc<Roster>>,
    /// The time of the first batch since something was inherited, while sources are waited for;
    /// `i64::MAX` before that one.
    waits_since: Option<i64>,
}

#[derive(Debug)]
struct Source {
    name: Arc<str>,
    /// Of its last frame; none before the first.
    chunks: Option<Arc<[Arc<Chunk>]>>,
    time_ms: i64,
    /// What was sent before this ledger was there, and not seen since.
    inherited: Vec<Past>,
}

impl Ledger {
    /// A ledger of nothing, of what is seen `from` there and written with such `names`.
    pub fn new(from: Perspective, names: Names) -> Ledger {
        Ledger {
            from: Arc::new(from),
            names,
            sources: Vec::new(),
            ended: Vec::new(),
            revision: 0,
            identities: None,
            roster: None,
            waits_since: None,
        }
    }

    /// Takes note of a batch. Allocates nothing while the series are those of the last time.
    pub fn update(&mut self, batch: &Batch) {
        self.ended.clear();
        for (at, frame) in batch.frames.iter().enumerate() {
            let at = self.place(at, frame);
            let source = &mut self.sources[at];
            source.time_ms = frame.time_ms;
            let is_same = source.chunks.as_ref().is_some_and(|chunks| Arc::ptr_eq(chunks, frame.all()));
            if !is_same || !source.inherited.is_empty() {
                source.update(frame, (&self.from, self.names), self.identities.as_mut(), &mut self.ended);
                self.revision += 1;
            }
        }
        let is_told = match (&self.roster, &batch.roster) {
            (Some(old), Some(new)) => !Arc::ptr_eq(old, new),
            (old, new) => old.is_none() && new.is_some(),
        };
        if is_told {
            self.roster.clone_from(&batch.roster);
        }
        let may_end = is_told || self.waits_since.is_some();
        if may_end {
            self.end_sources(batch.time_ms);
        }
        if !self.ended.is_empty() {
            self.keep_ended_that_nobody_gives();
        }
        if may_end {
            self.sources.retain(|source| source.chunks.is_some() || !source.inherited.is_empty());
        }
    }

    /// The series that ended with the last batch, once.
    pub fn take_ended(&mut self) -> Vec<Ended> {
        std::mem::take(&mut self.ended)
    }

    /// Changes when [`Ledger::sent`] does.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Everything that was sent and has not ended.
    pub fn sent(&self) -> Sent {
        let of = |source: &Source| {
            let seen = source.chunks.iter().filter(|chunks| !chunks.is_empty());
            let seen = seen.map(|chunks| Past::Seen(Arc::clone(&self.from), self.names, Arc::clone(chunks)));
            SentSource { name: Arc::clone(&source.name), past: source.inherited.iter().cloned().chain(seen).collect() }
        };
        Sent { sources: self.sources.iter().map(of).filter(|source| !source.past.is_empty()).collect() }
    }

    /// Takes note of what was sent before this was made: it ends where it does not come again.
    /// What is seen from here as it was is as if it had been sent by this one.
    pub fn inherit(&mut self, sent: Sent) {
        for SentSource { name, past } in sent.sources {
            let at = self.sources.iter().position(|source| source.name == name).unwrap_or_else(|| {
                self.sources.push(Source::new(name));
                self.sources.len() - 1
            });
            let source = &mut self.sources[at];
            for past in past {
                match past {
                    Past::Seen(from, names, chunks)
                        if source.chunks.is_none() && *from == *self.from && names == self.names =>
                    {
                        source.chunks = Some(chunks);
                    }
                    other => {
                        source.inherited.push(other);
                        self.waits_since = Some(i64::MAX);
                    }
                }
            }
        }
        self.identities = None;
        self.revision += 1;
    }

    fn place(&mut self, at: usize, frame: &Frame) -> usize {
        let is_it = |source: &Source| Arc::ptr_eq(&source.name, &frame.source) || source.name == frame.source;
        let found = match self.sources.get(at) {
            Some(source) if is_it(source) => Some(at),
            _ => self.sources.iter().position(is_it),
        };
        if let Some(at) = found {
            return at;
        }
        if self.sources.len() >= MANY_SOURCES {
            let oldest = frame.time_ms.saturating_sub(FORGET_AFTER_MS);
            self.sources.retain(|source| source.time_ms >= oldest || !source.inherited.is_empty());
            self.identities = None;
        }
        let at = at.min(self.sources.len());
        self.sources.insert(at, Source::new(Arc::clone(&frame.source)));
        at
    }

    /// Ends all of the sources that are not there any more, and what was inherited from those
    /// that do not come.
    fn end_sources(&mut self, time_ms: i64) {
        // A clock that went back has everybody wait anew.
        let since_ms = self.waits_since.map_or(time_ms, |since_ms| since_ms.min(time_ms));
        let waited = Duration::from_millis(u64::try_from(time_ms.saturating_sub(since_ms)).unwrap_or_default());
        let (mut waits, before) = (false, self.ended.len());
        for source in &mut self.sources {
            let interval = self.roster.as_ref().map(|roster| roster.interval_of(&source.name));
            match interval {
                Some(None) => source.end(time_ms, (&self.from, self.names), self.identities.as_mut(), &mut self.ended),
                _ if source.inherited.is_empty() => continue,
                Some(Some(interval)) if waited < FIRST_FRAME_WITHIN.max(interval.saturating_mul(2)) => waits = true,
                None if waited < FIRST_FRAME_WITHIN => waits = true,
                _ => source.end_inherited(time_ms, &mut self.ended, |_| true),
            }
        }
        self.waits_since = waits.then_some(since_ms);
        if self.ended.len() > before {
            self.revision += 1;
        }
    }

    /// A series that moved from one source to another has not ended: a marker beside its
    /// sample would be two values for one moment.
    fn keep_ended_that_nobody_gives(&mut self) {
        let Ledger { from, names, sources, ended, identities, .. } = self;
        let names = *names;
        // What a source has ended it does not give, and nobody else is there who could.
        if sources.len() > 1 && ended.iter().any(|one| one.identity.is_some()) {
            let identities = identities.get_or_insert_with(|| {
                let mut all = Identities::default();
                sources.iter().for_each(|source| source.each(from, |one| all.add(one.identity)));
                all
            });
            // Of two that gave it both may have ended it.
            let mut told: HashSet<u64, AsItIs> = HashSet::default();
            let mut is_over = |identity| !identities.has(identity) && told.insert(identity);
            ended.retain(|one| one.identity.is_none_or(&mut is_over));
        }
        // Rare, and what is inherited has no such index: what is given is looked through.
        let inherited = ended.iter().filter(|one| one.identity.is_none());
        let mut inherited: HashSet<u64> = inherited.map(|one| one.series.known_as()).collect();
        if !inherited.is_empty() {
            for source in sources.iter() {
                source.each(from, |one| _ = inherited.remove(&One::Seen(one, names).known_as()));
            }
            let seen = ended.iter().filter(|one| one.identity.is_some());
            seen.for_each(|one| _ = inherited.remove(&one.series.known_as()));
            // Of those that are left each is told once, whoever had it.
            ended.retain(|one| one.identity.is_some() || inherited.remove(&one.series.known_as()));
        }
    }
}

impl Source {
    fn new(name: Arc<str>) -> Source {
        Source { name, chunks: None, time_ms: i64::MIN, inherited: Vec::new() }
    }

    /// Ends what it was sent before and has not given since, as far as it `is_over`, by what it
    /// is known as.
    fn end_inherited(&mut self, time_ms: i64, ended: &mut Vec<Ended>, is_over: impl Fn(u64) -> bool) {
        for past in self.inherited.drain(..) {
            past.each(|one| {
                if is_over(one.known_as()) {
                    ended.push(Ended { time_ms, series: one.to_series(), identity: None });
                }
            });
        }
    }

    /// Ends all that it has.
    fn end(
        &mut self,
        time_ms: i64,
        (from, names): (&Perspective, Names),
        mut identities: Option<&mut Identities>,
        ended: &mut Vec<Ended>,
    ) {
        self.end_inherited(time_ms, ended, |_| true);
        // Its last frame may be younger than the batch that tells of its end; a marker of no later time
        // than the last sample would have a whole request refused.
        let time_ms = time_ms.max(self.time_ms.saturating_add(1));
        self.each(from, |one| {
            if let Some(identities) = &mut identities {
                identities.remove(one.identity);
            }
            ended.push(Ended { time_ms, series: SentSeries::of(one, names), identity: Some(one.identity) });
        });
        self.chunks = None;
    }

    /// Calls `with` for each series that its last frame gave, as it is seen `from` there.
    fn each(&self, from: &Perspective, mut with: impl FnMut(ViewSeries<'_>)) {
        for chunk in self.chunks.iter().flat_map(|chunks| chunks.iter()) {
            from.view(chunk).series().for_each(&mut with);
        }
    }

    /// Compares with the frame before.
    fn update(
        &mut self,
        frame: &Frame,
        (from, names): (&Perspective, Names),
        mut identities: Option<&mut Identities>,
        ended: &mut Vec<Ended>,
    ) {
        let time_ms = frame.time_ms;
        let before = self.chunks.replace(Arc::clone(frame.all()));
        if !self.inherited.is_empty() {
            let mut given = HashSet::new();
            self.each(from, |one| _ = given.insert(One::Seen(one, names).known_as()));
            self.end_inherited(time_ms, ended, |known_as| !given.contains(&known_as));
        }
        let [gone, come] = changes(before.as_deref().unwrap_or_default(), frame.all());
        let places: HashMap<u64, usize, AsItIs> = gone.iter().enumerate().map(|(at, one)| (one.id(), at)).collect();
        let mut gone: Vec<Gone> = gone.into_iter().map(|chunk| Gone::new(from.view(chunk))).collect();
        // What was not there before, or else where.
        let mut given: HashSet<u64, AsItIs> = HashSet::default();
        for chunk in come {
            let before = chunk.before();
            let gone_of: Vec<Option<usize>> = before.chunks.iter().map(|id| places.get(id).copied()).collect();
            for one in from.view(chunk).series() {
                let was = before.of(one.place as usize).and_then(|(of, place)| Some((gone_of[of]?, place)));
                if was.is_some_and(|(at, place)| gone[at].stays(place, one.identity)) {
                    continue;
                }
                given.insert(one.identity);
                if let Some(identities) = &mut identities {
                    identities.add(one.identity);
                }
            }
        }
        for Gone { view, stays } in gone {
            for (one, _) in view.series().zip(stays).filter(|(_, stays)| !stays) {
                if let Some(identities) = &mut identities {
                    identities.remove(one.identity);
                }
                if !given.contains(&one.identity) {
                    ended.push(Ended { time_ms, series: SentSeries::of(one, names), identity: Some(one.identity) });
                }
            }
        }
    }
}

/// A chunk that is not given any more.
struct Gone {
    view: Arc<View>,
    /// Which of its series are in a chunk that has come.
    stays: Vec<bool>,
}

impl Gone {
    fn new(view: Arc<View>) -> Gone {
        Gone { stays: vec![false; view.len()], view }
    }

    /// Takes note of that a chunk that has come has the series that was at `place`, as which it is
    /// known; false: it was not seen there.
    fn stays(&mut self, place: usize, identity: u64) -> bool {
        let at = self.view.at_place(place).filter(|at| self.view.get(*at).identity == identity);
        at.is_some_and(|at| !std::mem::replace(&mut self.stays[at], true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::testing::{self, TOTAL};
    use crate::model::{Family, Labels, Resource};

    /// What ended: name and labels without the configuration's, and when.
    fn told(ended: &[Ended]) -> Vec<(String, i64)> {
        let text = |ended: &Ended| {
            let labels: Vec<&str> = ended.series.record().labels.into_iter().map(|(_, value)| value).collect();
            (labels.join(","), ended.time_ms)
        };
        ended.iter().map(text).collect()
    }

    fn batch(time_ms: i64, frames: Vec<Frame>) -> Batch {
        let resource = Arc::new(Resource { host: "host-1".into(), boot_ms: Some(500), ..Resource::default() });
        Batch::new(time_ms, resource, frames)
    }

    /// A frame of `source` with labels built anew, one series for each of `disks`.
    fn disks(source: &str, time_ms: i64, disks: &[&str]) -> Frame {
        let labels: Vec<Labels> = disks.iter().map(|disk| Labels::of(&[("disk", disk)])).collect();
        let samples: Vec<(&Family, &Labels, f64)> = labels.iter().map(|labels| (&TOTAL, labels, 1.0)).collect();
        testing::frame(source, time_ms, &samples)
    }

    fn update(sources: &mut Ledger, time_ms: i64, frames: Vec<Frame>) -> Vec<(String, i64)> {
        sources.update(&batch(time_ms, frames));
        told(&sources.take_ended())
    }

    /// As a file's content.
    fn written(ledger: &Ledger) -> Vec<u8> {
        let mut bytes = Vec::new();
        ledger.sent().write(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_series_ends_with_the_first_frame_that_lacks_it() {
        let mut sources = Ledger::new(testing::from(Labels::EMPTY), Names::Prometheus);
        assert_eq!(update(&mut sources, 1, vec![disks("d", 1, &["a", "b", "c"])]), []);
        let revision = sources.revision();
        let frame = disks("d", 2, &["a", "c"]);
        assert_eq!(update(&mut sources, 2, vec![frame.clone()]), [("test_bytes_total,b".to_owned(), 2)]);
        assert!(sources.revision() > revision);
        let revision = sources.revision();
        assert_eq!(update(&mut sources, 3, vec![Frame { time_ms: 3, ..frame }]), []);
        assert_eq!(sources.revision(), revision);
        assert_eq!(sources.sent().len(), 2);
        // The same series in other chunks and in another order have not ended.
        assert_eq!(update(&mut sources, 4, vec![disks("d", 4, &["c", "a"])]), []);
        assert_eq!(sources.sent().len(), 2);
    }

    #[test]
    fn a_source_without_a_frame_ends_nothing_and_an_empty_frame_ends_everything() {
        let mut sources = Ledger::new(testing::from(Labels::EMPTY), Names::Prometheus);
        update(&mut sources, 1, vec![disks("d", 1, &["a", "b"]), disks("e", 1, &["x"])]);
        update(&mut sources, 2, vec![disks("e", 2, &["x"])]);
        assert_eq!(update(&mut sources, 3, vec![disks("e", 3, &["x"])]), []);
        let b = [("test_bytes_total,b".to_owned(), 4)];
        assert_eq!(update(&mut sources, 4, vec![disks("d", 4, &["a"]), disks("e", 4, &["x"])]), b);
        let all = [("test_bytes_total,a".to_owned(), 5)];
        assert_eq!(update(&mut sources, 5, vec![disks("d", 5, &[]), disks("e", 5, &["x"])]), all);
        assert_eq!(update(&mut sources, 6, vec![disks("d", 6, &[])]), []);
        assert_eq!(sources.sent().len(), 1);
    }

    #[test]
    fn a_series_that_another_source_gives_has_not_ended() {
        let mut sources = Ledger::new(testing::from(Labels::EMPTY), Names::Prometheus);
        update(&mut sources, 1, vec![disks("d", 1, &["a", "b"]), disks("e", 1, &["x"])]);
        assert_eq!(update(&mut sources, 2, vec![disks("d", 2, &["a"]), disks("e", 2, &["x", "b"])]), []);
        assert_eq!(update(&mut sources, 3, vec![disks("d", 3, &["a"]), disks("e", 3, &["x", "b"])]), []);
    }

    #[test]
    fn what_was_sent_under_other_labels_ends_after_a_reload() {
        let mut old = Ledger::new(testing::from(Labels::of(&[("zone", "z1")])), Names::Prometheus);
        update(&mut old, 1, vec![disks("d", 1, &["a", "b"]), disks("slow", 1, &["x"])]);
        for (labels, ends) in
            [(Labels::of(&[("zone", "z1")]), &["b"][..]), (Labels::of(&[("zone", "z2")]), &["a", "b"])]
        {
            let mut new = Ledger::new(testing::from(labels), Names::Prometheus);
            new.inherit(old.sent());
            let ended: Vec<_> = ends.iter().map(|name| (format!("test_bytes_total,{name},z1"), 2)).collect();
            assert_eq!(update(&mut new, 2, vec![disks("d", 2, &["a"])]), ended);
            assert_eq!(update(&mut new, 3, vec![disks("d", 3, &["a"])]), []);
            assert_eq!(update(&mut new, 10_001, vec![disks("d", 10_001, &["a"])]), []);
            // Nobody says that there is no such source: under the same labels it goes on as before.
            let slow = [("test_bytes_total,x,z1".to_owned(), 10_002)];
            let slow = if ends.len() == 1 { &slow[..0] } else { &slow };
            assert_eq!(update(&mut new, 10_002, vec![disks("d", 10_002, &["a"])]), slow);
            assert_eq!(new.sent().len(), 2 - slow.len());
            assert_eq!(update(&mut new, 20_000, vec![disks("d", 20_000, &["a"])]), []);
        }
    }

    /// A roster of sources with their intervals in seconds.
    fn roster(sources: &[(&str, u64)]) -> Option<Arc<Roster>> {
        let of = |(name, seconds): &(&str, u64)| ((*name).into(), Duration::from_secs(*seconds));
        Some(Arc::new(Roster::new(sources.iter().map(of))))
    }

    #[test]
    fn what_was_inherited_waits_for_two_intervals_of_its_source_and_for_none_of_one_that_is_gone() {
        let mut before = Ledger::new(testing::from(Labels::EMPTY), Names::Prometheus);
        let all = ["d", "quick", "slow", "gone"].map(|source| disks(source, 1, &[source]));
        update(&mut before, 1, all.into());
        let mut after = Ledger::new(testing::from(Labels::EMPTY), Names::Prometheus);
        after.inherit(Sent::read(&mut &written(&before)[..]).unwrap().0);
        let roster = roster(&[("d", 1), ("quick", 1), ("slow", 60)]);
        let mut update = |seconds: i64| {
            let frames = vec![disks("d", seconds * 1000, &["d"])];
            after.update(&Batch { roster: roster.clone(), ..batch(seconds * 1000, frames) });
            told(&after.take_ended())
        };
        assert_eq!(update(1000), [("test_bytes_total,gone".to_owned(), 1_000_000)]);
        assert_eq!(update(1009), []);
        assert_eq!(update(1010), [("test_bytes_total,quick".to_owned(), 1_010_000)]);
        assert_eq!(update(1119), []);
        assert_eq!(update(1120), [("test_bytes_total,slow".to_owned(), 1_120_000)]);
        assert_eq!(update(1121), []);
        assert_eq!(after.sent().len(), 1);
    }

    #[test]
    fn a_source_that_is_not_configured_any_more_ends_what_it_gave() {
        let mut sources = Ledger::new(testing::from(Labels::EMPTY), Names::Prometheus);
        let (both, one) = (roster(&[("d", 1), ("e", 1)]), roster(&[("d", 1)]));
        let mut update = |time_ms: i64, roster: &Option<Arc<Roster>>, frames: Vec<Frame>| {
            sources.update(&Batch { roster: roster.clone(), ..batch(time_ms, frames) });
            told(&sources.take_ended())
        };
        assert_eq!(update(1, &both, vec![disks("d", 1, &["a"]), disks("e", 1, &["x", "y"])]), []);
        assert_eq!(update(2, &both, vec![disks("d", 2, &["a"])]), [], "it may only have failed");
        let gone = [("test_bytes_total,y".to_owned(), 3)];
        assert_eq!(update(3, &one, vec![disks("d", 3, &["a", "x"])]), gone, "another source gives x");
        assert_eq!(update(4, &one, vec![disks("d", 4, &["a", "x"])]), []);
    }

    #[test]
    fn what_went_while_metricsd_was_down_ends_at_the_start() {
        let mut before = Ledger::new(testing::from(Labels::EMPTY), Names::Prometheus);
        update(&mut before, 1, vec![disks("d", 1, &["a", "b"])]);
        let kept = written(&before);
        let mut after = Ledger::new(testing::from(Labels::EMPTY), Names::Prometheus);
        after.inherit(Sent::read(&mut &kept[..]).unwrap().0);
        assert_eq!(written(&after), kept, "until it is ended it must not be forgotten");
        assert_eq!(update(&mut after, 1000, vec![disks("d", 1000, &["b"])]), [("test_bytes_total,a".to_owned(), 1000)]);
        assert_eq!(update(&mut after, 2000, vec![disks("d", 2000, &["b"])]), []);
        assert_eq!(after.sent().len(), 1);
    }

    #[test]
    fn a_marker_is_younger_than_the_last_sample_whatever_the_batch_says() {
        let mut sources = Ledger::new(testing::from(Labels::EMPTY), Names::Prometheus);
        update(&mut sources, 10_000, vec![disks("a", 9_000, &["sda"]), disks("b", 10_000, &["sdb"])]);
        let roster = Some(Arc::new(Roster::new([("a".into(), Duration::from_secs(1))])));
        // A slow target's frame, read before that of the source that is gone.
        sources.update(&Batch { roster, ..batch(9_500, vec![disks("a", 9_500, &["sda"])]) });
        let ended: Vec<i64> = sources.take_ended().iter().map(|ended| ended.time_ms).collect();
        assert_eq!(ended, [10_001]);
    }
}
