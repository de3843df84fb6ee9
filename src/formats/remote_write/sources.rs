//! Which series each source gives, and which of them have ended.
//!
//! A series ends when two frames of its source in a row lack it: one alone may be an
//! accident. A source that gives no frame ends nothing, since it may only have failed; one
//! that gives an empty frame ends all that it had. Series are told apart by name and
//! labels, not by address, since a source may build its labels anew at any time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::formats::sent::{Sent, SentSeries, named};
use crate::model::{Batch, Frame, Kind, Labels, MetricRef, Schema, Series};

/// A source that sent something before a restart or a reload has so long, and so many
/// batches, to give its first frame; then what it sent has ended. A slow source needs a few
/// seconds for its first frame. Later than five minutes nobody asks any more: a receiver's
/// own patience is over.
const FIRST_FRAME_WITHIN_MS: i64 = 10_000;
const FIRST_FRAME_BATCHES: u32 = 3;

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
}

/// The sources of one destination's batches.
#[derive(Debug)]
pub struct Sources {
    labels: Labels,
    all: Vec<Source>,
    ended: Vec<Ended>,
    revision: u64,
    /// Batches since something was inherited, and the time of the first of them.
    since: Option<(u32, i64)>,
}

#[derive(Debug)]
struct Source {
    name: Arc<str>,
    /// Of its last frame; none before the first.
    schema: Option<Arc<Schema>>,
    time_ms: i64,
    /// Another number each time that the schema, or what is known of it, changes.
    epoch: u64,
    /// When each of the schema's series began to count, in milliseconds; 0 where that is unknown.
    starts: Box<[i64]>,
    /// What its last frame lacked, and the one before had.
    missing: Vec<(Series, i64)>,
    /// What was sent before this encoder was there, and not seen since.
    inherited: Vec<SentSeries>,
}

impl Sources {
    /// `labels` are those that the encoder adds to every series.
    pub fn new(labels: Labels) -> Sources {
        Sources { labels, all: Vec::new(), ended: Vec::new(), revision: 0, since: None }
    }

    /// Takes note of a batch. Allocates nothing while the schemas are those of the last time.
    pub fn update(&mut self, batch: &Batch) {
        self.ended.clear();
        for (at, frame) in batch.frames.iter().enumerate() {
            let at = self.place(at, frame);
            let source = &mut self.all[at];
            let same = source.schema.as_ref().is_some_and(|schema| Arc::ptr_eq(schema, &frame.schema));
            if same && source.missing.is_empty() && source.inherited.is_empty() {
                source.time_ms = frame.time_ms;
                continue;
            }
            let known = self.ended.len();
            let changed = source.update(frame, batch.resource.boot_ms, &self.labels, &mut self.ended);
            if changed || self.ended.len() > known {
                self.revision += 1;
                source.epoch = self.revision;
            }
        }
        if self.since.is_some() {
            self.give_up_on_inherited(batch.time_ms);
        }
        if !self.ended.is_empty() {
            self.keep_ended_that_nobody_gives();
        }
    }

    /// The series that ended with the last batch.
    #[cfg(test)]
    pub fn ended(&self) -> &[Ended] {
        &self.ended
    }

    /// The series that ended with the last batch, taken out; to be put back, since their room is used again.
    pub fn take_ended(&mut self) -> Vec<Ended> {
        std::mem::take(&mut self.ended)
    }

    /// Puts back what [`Sources::take_ended`] gave.
    pub fn put_back(&mut self, ended: Vec<Ended>) {
        self.ended = ended;
    }

    /// When each of the frame's series began to count; to be asked after [`Sources::update`].
    pub fn starts(&self, at: usize, frame: &Frame) -> &[i64] {
        match self.find(at, frame) {
            Some(at) => &self.all[at].starts,
            None => &[],
        }
    }

    /// A number that the source of this frame has for as long as all that is constant in its
    /// frames stays the same, and no source has again; to be asked after [`Sources::update`].
    pub fn epoch(&self, at: usize, frame: &Frame) -> u64 {
        self.find(at, frame).map_or(0, |at| self.all[at].epoch)
    }

    /// Whether some source has this epoch now.
    pub fn is_current(&self, epoch: u64) -> bool {
        self.all.iter().any(|source| source.epoch == epoch)
    }

    /// Changes when [`Sources::sent`] does.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Everything that was sent and has not ended.
    pub fn sent(&self) -> Sent {
        let of = |source: &Source| {
            let now = source.schema.iter().flat_map(|schema| schema.series());
            let live = now.chain(source.missing.iter().map(|(series, _)| series));
            let live = live.map(|series| SentSeries::of(series, &self.labels));
            (Arc::clone(&source.name), live.chain(source.inherited.iter().cloned()).collect())
        };
        Sent(self.all.iter().map(of).collect())
    }

    /// Takes note of what was sent before this was made: it ends where it does not come again.
    pub fn inherit(&mut self, sent: Sent) {
        for (name, series) in sent.0 {
            if series.is_empty() {
                continue;
            }
            match self.all.iter_mut().find(|source| source.name == name) {
                Some(source) => source.inherited.extend(series),
                None => self.all.push(Source { inherited: series, ..Source::new(name) }),
            }
            self.since = Some((0, 0));
        }
        self.revision += 1;
    }

    fn find(&self, at: usize, frame: &Frame) -> Option<usize> {
        let is_it = |source: &Source| Arc::ptr_eq(&source.name, &frame.source) || source.name == frame.source;
        match self.all.get(at) {
            Some(source) if is_it(source) => Some(at),
            _ => self.all.iter().position(is_it),
        }
    }

    fn place(&mut self, at: usize, frame: &Frame) -> usize {
        if let Some(at) = self.find(at, frame) {
            return at;
        }
        if self.all.len() >= MANY_SOURCES {
            let oldest = frame.time_ms.saturating_sub(FORGET_AFTER_MS);
            self.all.retain(|source| source.time_ms >= oldest || !source.inherited.is_empty());
        }
        let at = at.min(self.all.len());
        self.all.insert(at, Source::new(Arc::clone(&frame.source)));
        at
    }

    /// Ends what was inherited from sources that do not come any more.
    fn give_up_on_inherited(&mut self, time_ms: i64) {
        let Some((batches, first_ms)) = &mut self.since else { return };
        if *batches == 0 {
            *first_ms = time_ms;
        }
        *batches += 1;
        if *batches <= FIRST_FRAME_BATCHES || time_ms.saturating_sub(*first_ms) < FIRST_FRAME_WITHIN_MS {
            return;
        }
        self.since = None;
        for source in self.all.iter_mut().filter(|source| source.schema.is_none()) {
            let inherited = source.inherited.drain(..);
            self.ended.extend(inherited.map(|series| Ended { time_ms, series }));
        }
        self.all.retain(|source| source.schema.is_some());
        self.revision += 1;
    }

    /// A series that moved from one source to another has not ended: a marker beside its
    /// sample would be two values for one moment.
    fn keep_ended_that_nobody_gives(&mut self) {
        let schemas = self.all.iter().filter_map(|source| source.schema.as_ref());
        let all = schemas.flat_map(|schema| schema.series());
        let given: HashSet<_> = all.map(|series| named(series, &self.labels)).collect();
        let mut told = HashSet::new();
        self.ended
            .retain(|ended| !given.contains(&ended.series.identity()) && told.insert(ended.series.labels.clone()));
    }
}

impl Source {
    fn new(name: Arc<str>) -> Source {
        Source {
            name,
            schema: None,
            time_ms: i64::MIN,
            epoch: 0,
            starts: Box::default(),
            missing: Vec::new(),
            inherited: Vec::new(),
        }
    }

    /// Compares with the frame before; says whether the set of series has changed.
    fn update(&mut self, frame: &Frame, boot_ms: Option<i64>, extra: &Labels, ended: &mut Vec<Ended>) -> bool {
        let time_ms = frame.time_ms;
        let is_over = frame.schema.series().is_empty();
        let first = self.schema.is_none();
        if !self.inherited.is_empty() {
            let given: HashSet<_> = frame.schema.series().iter().map(|series| named(series, extra)).collect();
            self.inherited.retain(|series| !given.contains(&series.identity()));
            if is_over || !first {
                ended.extend(self.inherited.drain(..).map(|series| Ended { time_ms, series }));
            }
        }
        let given: HashSet<_> = frame.schema.series().iter().map(identity).collect();
        let (back, gone): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.missing).into_iter().partition(|(series, _)| given.contains(&identity(series)));
        let mut end = |series: &Series| ended.push(Ended { time_ms, series: SentSeries::of(series, extra) });
        gone.iter().for_each(|(series, _)| end(series));

        let before = self.schema.replace(Arc::clone(&frame.schema));
        let changed = !before.as_ref().is_some_and(|before| Arc::ptr_eq(before, &frame.schema));
        if changed {
            let old = before.iter().flat_map(|schema| schema.series()).zip(self.starts.iter().copied());
            let mut starts: HashMap<_, i64> = back.iter().map(|(series, start)| (identity(series), *start)).collect();
            for (series, start) in old {
                starts.insert(identity(series), start);
                if !given.contains(&identity(series)) {
                    match is_over {
                        true => end(series),
                        false => self.missing.push((series.clone(), start)),
                    }
                }
            }
            let begun = |series: &Series| match starts.get(&identity(series)) {
                Some(start) => *start,
                None if series.metric.kind != Kind::Counter => 0,
                None if !first => self.time_ms,
                None => match series.metric {
                    // The kernel counts from its own start on; whoever else counts, we don't know.
                    MetricRef::Static(_) => boot_ms.filter(|boot| (1..=time_ms).contains(boot)).unwrap_or(0),
                    MetricRef::Shared(_) => 0,
                },
            };
            self.starts = frame.schema.series().iter().map(begun).collect();
        }
        self.time_ms = time_ms;
        changed
    }
}

/// What tells a source's series apart.
fn identity(series: &Series) -> (&str, &Labels) {
    (&series.metric.name, &series.labels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::testing::{self, COUNT, TOTAL, USAGE};
    use crate::model::{Metric, Resource};

    /// What ended: name and labels without the configuration's, and when.
    fn told(ended: &[Ended]) -> Vec<(String, i64)> {
        let text = |ended: &Ended| {
            let labels: Vec<String> = ended.series.labels.iter().map(|(_, value)| value.to_string()).collect();
            (labels.join(","), ended.time_ms)
        };
        ended.iter().map(text).collect()
    }

    fn batch(time_ms: i64, frames: Vec<Frame>) -> Batch {
        let resource = Arc::new(Resource { host: "host-1".into(), boot_ms: Some(500) });
        Batch { time_ms, resource, frames }
    }

    /// A frame of `source` with labels built anew, one series for each of `disks`.
    fn disks(source: &str, time_ms: i64, disks: &[&str]) -> Frame {
        let labels: Vec<Labels> = disks.iter().map(|disk| Labels::of(&[("disk", disk)])).collect();
        let samples: Vec<(&'static Metric, &Labels, f64)> = labels.iter().map(|labels| (&TOTAL, labels, 1.0)).collect();
        let mut frame = testing::batch(time_ms, &samples).frames.remove(0);
        frame.source = source.into();
        frame
    }

    fn update(sources: &mut Sources, time_ms: i64, frames: Vec<Frame>) -> Vec<(String, i64)> {
        sources.update(&batch(time_ms, frames));
        told(sources.ended())
    }

    #[test]
    fn a_series_ends_with_the_second_frame_that_lacks_it() {
        let mut sources = Sources::new(Labels::EMPTY);
        assert_eq!(update(&mut sources, 1, vec![disks("d", 1, &["a", "b", "c"])]), []);
        assert_eq!(update(&mut sources, 2, vec![disks("d", 2, &["a", "c"])]), []);
        let revision = sources.revision();
        // The third frame is of the very same schema as the second: not a change, but the second that lacks b.
        let frame = disks("d", 3, &["a"]);
        assert_eq!(update(&mut sources, 3, vec![frame.clone()]), [("test_bytes_total,b".to_owned(), 3)]);
        let again = Frame { time_ms: 4, ..frame };
        assert_eq!(update(&mut sources, 4, vec![again.clone()]), [("test_bytes_total,c".to_owned(), 4)]);
        assert!(sources.revision() > revision);
        let revision = sources.revision();
        assert_eq!(update(&mut sources, 5, vec![Frame { time_ms: 5, ..again }]), []);
        assert_eq!(sources.revision(), revision);
        assert_eq!(sources.sent().len(), 1);
    }

    #[test]
    fn a_series_that_missed_one_frame_has_not_ended() {
        let mut sources = Sources::new(Labels::EMPTY);
        for (time_ms, names) in [(1, &["a", "b"][..]), (2, &["a"]), (3, &["b", "a"]), (4, &["b"]), (5, &["a", "b"])] {
            assert_eq!(update(&mut sources, time_ms, vec![disks("d", time_ms, names)]), [], "{time_ms}");
        }
        // Labels built anew each time are the same labels.
        assert_eq!(sources.sent().len(), 2);
    }

    #[test]
    fn a_source_without_a_frame_ends_nothing_and_an_empty_frame_ends_everything() {
        let mut sources = Sources::new(Labels::EMPTY);
        update(&mut sources, 1, vec![disks("d", 1, &["a", "b"]), disks("e", 1, &["x"])]);
        update(&mut sources, 2, vec![disks("e", 2, &["x"])]);
        assert_eq!(update(&mut sources, 3, vec![disks("e", 3, &["x"])]), []);
        update(&mut sources, 4, vec![disks("d", 4, &["a"]), disks("e", 4, &["x"])]);
        let all = [("test_bytes_total,b".to_owned(), 5), ("test_bytes_total,a".to_owned(), 5)];
        assert_eq!(update(&mut sources, 5, vec![disks("d", 5, &[]), disks("e", 5, &["x"])]), all);
        assert_eq!(update(&mut sources, 6, vec![disks("d", 6, &[])]), []);
        assert_eq!(sources.sent().len(), 1);
    }

    #[test]
    fn a_series_that_another_source_gives_has_not_ended() {
        let mut sources = Sources::new(Labels::EMPTY);
        update(&mut sources, 1, vec![disks("d", 1, &["a", "b"]), disks("e", 1, &["x"])]);
        update(&mut sources, 2, vec![disks("d", 2, &["a"]), disks("e", 2, &["x", "b"])]);
        assert_eq!(update(&mut sources, 3, vec![disks("d", 3, &["a"]), disks("e", 3, &["x", "b"])]), []);
    }

    #[test]
    fn what_was_sent_under_other_labels_ends_after_a_reload() {
        let mut old = Sources::new(Labels::of(&[("zone", "z1")]));
        update(&mut old, 1, vec![disks("d", 1, &["a", "b"]), disks("slow", 1, &["x"])]);
        for (labels, ends) in
            [(Labels::of(&[("zone", "z1")]), &["b"][..]), (Labels::of(&[("zone", "z2")]), &["a", "b"])]
        {
            let mut new = Sources::new(labels);
            new.inherit(old.sent());
            assert_eq!(update(&mut new, 2, vec![disks("d", 2, &["a"])]), []);
            let ended: Vec<_> = ends.iter().map(|name| (format!("test_bytes_total,{name},z1"), 3)).collect();
            assert_eq!(update(&mut new, 3, vec![disks("d", 3, &["a"])]), ended);
            assert_eq!(update(&mut new, 10_001, vec![disks("d", 10_001, &["a"])]), []);
            let slow = [("test_bytes_total,x,z1".to_owned(), 10_002)];
            assert_eq!(update(&mut new, 10_002, vec![disks("d", 10_002, &["a"])]), slow, "a source that is no more");
            assert_eq!(new.sent().len(), 1);
            assert_eq!(update(&mut new, 20_000, vec![disks("d", 20_000, &["a"])]), []);
        }
    }

    #[test]
    fn what_went_while_metricsd_was_down_ends_at_the_start() {
        let mut before = Sources::new(Labels::EMPTY);
        update(&mut before, 1, vec![disks("d", 1, &["a", "b"])]);
        let kept = before.sent().to_bytes();
        let mut after = Sources::new(Labels::EMPTY);
        after.inherit(Sent::from_bytes(&kept).unwrap());
        assert_eq!(after.sent(), before.sent(), "until it is ended it must not be forgotten");
        update(&mut after, 1000, vec![disks("d", 1000, &["b"])]);
        assert_eq!(after.sent().len(), 2);
        assert_eq!(update(&mut after, 2000, vec![disks("d", 2000, &["b"])]), [("test_bytes_total,a".to_owned(), 2000)]);
        assert_eq!(after.sent().len(), 1);
    }

    #[test]
    fn counters_began_with_the_host_or_with_their_source_s_frame_before() {
        let mut sources = Sources::new(Labels::EMPTY);
        let labels = Labels::of(&[("disk", "a")]);
        let shared: MetricRef = (&Arc::new(TOTAL.clone())).into();
        let mut series = vec![
            Series { metric: (&USAGE).into(), labels: labels.clone() },
            Series { metric: (&TOTAL).into(), labels: labels.clone() },
            Series { metric: shared, labels: Labels::EMPTY },
        ];
        let mut starts = |time_ms: i64, series: &[Series]| {
            let schema = Arc::new(Schema::new(series.to_vec()));
            let frame = Frame { source: "d".into(), schema, time_ms, values: vec![0.0; series.len()].into() };
            sources.update(&batch(time_ms, vec![frame.clone()]));
            sources.starts(0, &frame).to_vec()
        };
        assert_eq!(starts(1000, &series), [0, 500, 0], "a gauge, the kernel's counter, somebody's counter");
        series.push(Series { metric: (&TOTAL).into(), labels: Labels::of(&[("disk", "b")]) });
        series.push(Series { metric: (&COUNT).into(), labels: Labels::EMPTY });
        assert_eq!(starts(2000, &series), [0, 500, 0, 1000, 0]);
        let lost = series.remove(3);
        assert_eq!(starts(3000, &series), [0, 500, 0, 0]);
        series.push(lost.clone());
        assert_eq!(starts(4000, &series), [0, 500, 0, 0, 1000], "it missed one frame, but went on counting");
        series.pop();
        starts(5000, &series);
        starts(6000, &series);
        series.push(lost);
        assert_eq!(starts(7000, &series), [0, 500, 0, 0, 6000], "it had ended");
    }
}
