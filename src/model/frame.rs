//! The numbers of one tick.

use std::ops::Range;
use std::sync::Arc;

use super::{Attributes, Chunk, Exemplar, Exemplars, Roster};

/// One source's numbers of one moment: as many values as its chunks have series.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Collector, target or container that the numbers come from.
    pub source: Arc<str>,
    /// Which series the values belong to.
    pub chunks: Arc<[Arc<Chunk>]>,
    /// When it was read: milliseconds since the UNIX epoch, wall clock.
    pub time_ms: i64,
    /// One value a series, in the order of the chunks and of the series in each.
    pub values: Arc<[f64]>,
    /// As many times, where any sample has one of its own: milliseconds since the UNIX epoch, and
    /// [`Frame::NO_TIME`] for those that have the frame's.
    pub times: Option<Arc<[i64]>>,
    /// What samples refer to, where any does.
    pub exemplars: Option<Exemplars>,
    /// For as many values whether they are of this moment, where the source has said nothing of some of
    /// its series, which have not ended; none: all of them are.
    pub fresh: Option<Arc<[bool]>>,
    /// The chunks of all that the source has, where this frame was [narrowed](Frame::narrowed).
    pub all: Option<Arc<[Arc<Chunk>]>>,
}

impl Frame {
    /// In the place of a time: the sample has none of its own.
    pub const NO_TIME: i64 = i64::MIN;

    /// The last frame of a source that gives nothing any more: all its series have ended.
    pub fn ended(source: &str, time_ms: i64) -> Frame {
        let (chunks, values) = (Arc::from([]), Arc::from([]));
        Frame { source: source.into(), chunks, time_ms, values, times: None, exemplars: None, fresh: None, all: None }
    }

    /// The exemplars of the values in that range, each with the place of its value in the frame.
    pub fn exemplars(&self, range: Range<usize>) -> &[(u32, Arc<Exemplar>)] {
        let Some(all) = &self.exemplars else { return &[] };
        let at = |place: usize| all.partition_point(|(own, _)| (*own as usize) < place);
        &all[at(range.start)..at(range.end)]
    }

    /// The chunks of all that the source has, of this moment or not.
    pub fn all(&self) -> &Arc<[Arc<Chunk>]> {
        self.all.as_ref().unwrap_or(&self.chunks)
    }

    /// The same without what is not of this moment. Chunks of which a part is left are others than before.
    pub fn narrowed(self) -> Frame {
        let Some(fresh) = &self.fresh else { return self };
        let (mut chunks, mut begin) = (Vec::new(), 0);
        for chunk in self.chunks.iter() {
            let fresh = &fresh[begin..begin + chunk.len()];
            begin += chunk.len();
            let places: Vec<u32> = (0_u32..).zip(fresh).filter(|(_, fresh)| **fresh).map(|(at, _)| at).collect();
            match places.len() {
                0 => {}
                count if count == chunk.len() => chunks.push(Arc::clone(chunk)),
                _ => chunks.push(Arc::new(chunk.part(&places))),
            }
        }
        fn left<T: Copy>(of: &[T], fresh: &[bool]) -> Arc<[T]> {
            of.iter().zip(fresh).filter(|(_, fresh)| **fresh).map(|(one, _)| *one).collect()
        }
        Frame {
            chunks: chunks.into(),
            values: left(&self.values, fresh),
            times: self.times.as_ref().map(|times| left(times, fresh)),
            exemplars: self.exemplars.as_ref().map(|all| {
                // How many are left in front of each place.
                let (mut passed, mut before) = (0, 0);
                let left = all.iter().filter(|(at, _)| fresh[*at as usize]).map(|(at, exemplar)| {
                    let at = *at as usize;
                    before += fresh[passed..at].iter().filter(|fresh| **fresh).count() as u32;
                    passed = at;
                    (before, Arc::clone(exemplar))
                });
                left.collect()
            }),
            fresh: None,
            all: Some(self.chunks),
            ..self
        }
    }

    /// Each chunk with its values.
    pub fn parts(&self) -> impl Iterator<Item = (&Arc<Chunk>, &[f64])> {
        self.timed_parts().map(|(chunk, values, _)| (chunk, values))
    }

    /// Each chunk with its values, and with the times of its own of any of them, where it has some.
    pub fn timed_parts(&self) -> impl Iterator<Item = (&Arc<Chunk>, &[f64], Option<&[i64]>)> {
        let mut end = 0;
        self.chunks.iter().map(move |chunk| {
            let begin = end;
            end += chunk.len();
            let times = self.times.as_ref().map(|times| &times[begin..end]);
            let times = times.filter(|times| times.iter().any(|time| *time != Frame::NO_TIME));
            (chunk, &self.values[begin..end], times)
        })
    }
}

/// What the series of a batch belong to: the host, later also a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resource {
    /// The host's name.
    pub host: Arc<str>,
    /// What it is, by OpenTelemetry's names, which are sorted; its name is among them. Empty where nobody has
    /// looked.
    pub attributes: Attributes,
    /// When the host was started, in milliseconds since the UNIX epoch: since then the
    /// kernel's counters count. None where that is not known.
    pub boot_ms: Option<i64>,
}

impl Resource {
    /// Its attributes by OpenTelemetry's names, sorted; at least its name, where it has one.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        let name = Some(("host.name", &*self.host)).filter(|(_, name)| self.attributes.is_empty() && !name.is_empty());
        name.into_iter().chain(self.attributes.iter().map(|(name, value)| (&**name, &**value)))
    }
}

/// One tick: every frame that it gave. Shared by all destinations, changed by none.
#[derive(Clone, Debug)]
pub struct Batch {
    /// When the tick began: milliseconds since the UNIX epoch, wall clock.
    pub time_ms: i64,
    /// What the frames belong to.
    pub resource: Arc<Resource>,
    /// The frames, in the collectors' order.
    pub frames: Vec<Frame>,
    /// Which sources there are; none: nobody says, so that none has ended by not being there.
    pub roster: Option<Arc<Roster>>,
}

impl Batch {
    /// Frames of sources of which nobody says whether there are others.
    pub fn new(time_ms: i64, resource: Arc<Resource>, frames: Vec<Frame>) -> Batch {
        Batch { time_ms, resource, frames, roster: None }
    }

    /// The same without what its sources have not said at this moment.
    pub fn narrowed(self) -> Batch {
        Batch { frames: self.frames.into_iter().map(Frame::narrowed).collect(), ..self }
    }

    /// How many readings it holds.
    pub fn readings(&self) -> usize {
        self.frames.iter().map(|frame| frame.values.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Family, Item, Reading, Recorder, everywhere};

    static VALUE: Reading = everywhere!(&Family::gauge("test_value", "", "A value."), &[]);

    #[test]
    fn what_is_not_of_this_moment_is_left_out_and_known_all_the_same() {
        let mut out = Recorder::new("push/a", 1000);
        // Two chunks.
        for at in 0..2 * Chunk::SIZE {
            out.item(&Item::new(&[&at.to_string()])).push(&VALUE, at as f64);
        }
        let frame = out.finish(1);
        assert_eq!(frame.chunks.len(), 2);
        assert!(frame.clone().narrowed().all.is_none());
        let fresh: Arc<[bool]> = (0..2 * Chunk::SIZE).map(|at| at == 3 || at >= Chunk::SIZE).collect();
        let exemplar = |value| Arc::new(Exemplar { labels: [].into(), value, time_ms: None });
        let exemplars = [(2, 0.2), (3, 0.3), (64, 0.4), (70, 0.5)].map(|(at, value)| (at, exemplar(value)));
        let narrowed = Frame { fresh: Some(fresh), exemplars: Some(exemplars.into()), ..frame.clone() }.narrowed();
        let left: Vec<(u32, f64)> =
            narrowed.exemplars.as_ref().unwrap().iter().map(|(at, exemplar)| (*at, exemplar.value)).collect();
        assert_eq!(left, [(0, 0.3), (1, 0.4), (7, 0.5)]);
        assert_eq!(narrowed.chunks.iter().map(|chunk| chunk.len()).collect::<Vec<_>>(), [1, Chunk::SIZE]);
        assert_eq!(narrowed.chunks[0].items().key(0).value(0), "3");
        assert!(Arc::ptr_eq(&narrowed.chunks[1], &frame.chunks[1]));
        assert_eq!((narrowed.values.len(), narrowed.values[0], narrowed.values[1]), (1 + Chunk::SIZE, 3.0, 64.0));
        assert!(Arc::ptr_eq(narrowed.all(), &frame.chunks));
        let none = Frame { fresh: Some(vec![false; 2 * Chunk::SIZE].into()), ..frame.clone() }.narrowed();
        assert!(none.chunks.is_empty() && none.values.is_empty() && none.all().len() == 2);
    }
}
