//! What a destination has been sent and what has not ended there, for whoever comes next: the
//! encoder after a reload, or the one after the next start.
//!
//! A receiver goes on showing a series' last value for minutes unless it is told that the
//! series has ended. So a lane keeps the list of what it sent beside its spool (its form there
//! is `series_list`), writes it when the set of series has changed (not each tick), and gives it
//! to its encoder at the next start, which then ends what does not come any more.
//!
//! There may be a hundred thousand of them. So they stay what they are: chunks that are shared
//! with everybody who has them, or the packed blocks of the file. One series after the other is
//! made of these when somebody wants to see it.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::series_record::{self, Record, write_series};
use crate::model::Chunk;
use crate::shaping::{Perspective, ViewSeries, WrittenLabels, own_labels, prometheus_labels, prometheus_name};

/// The label that holds the metric's name.
pub const NAME: &str = "__name__";

/// How a format writes names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// As Prometheus' formats do, without dots.
    Prometheus,
    /// As they are.
    Own,
}

impl Names {
    /// The name and the labels of `series`, as they are written.
    fn of<'v>(self, series: &ViewSeries<'v>) -> (Cow<'v, str>, WrittenLabels<'v>) {
        match self {
            Names::Prometheus => (prometheus_name(series.family()), prometheus_labels(series.labels)),
            Names::Own => (series.family().name.into(), own_labels(series.labels)),
        }
    }
}

/// A series as its receiver knows it, by itself. As bytes, since very many may end at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentSeries(Box<[u8]>);

impl SentSeries {
    /// `series` as it is sent.
    pub fn of(series: ViewSeries<'_>, names: Names) -> SentSeries {
        One::Seen(series, names).to_series()
    }

    /// What it is, and its labels, `__name__` and those of the configuration among them.
    pub fn record(&self) -> Record<'_> {
        // It was written by `One::write`.
        series_record::read_series(&mut &*self.0).expect("a series that was written as one")
    }

    /// What tells it from every other one.
    pub fn known_as(&self) -> u64 {
        known_as(self.record().labels.into_iter())
    }
}

/// All labels of a series of that name as it is sent: its own and its name, sorted by name.
pub fn named<'l>(name: &'l str, labels: &'l WrittenLabels<'_>) -> impl Iterator<Item = (&'l str, &'l str)> {
    let before = labels.iter().take_while(|(name, _)| *name < NAME);
    let behind = labels.iter().skip_while(|(name, _)| *name < NAME);
    before.chain([(NAME, name)]).chain(behind)
}

/// What tells a series with these labels, sorted by name, from every other one: their hash.
fn known_as<'l>(labels: impl Iterator<Item = (&'l str, &'l str)>) -> u64 {
    let mut hasher = DefaultHasher::new();
    labels.for_each(|label| label.hash(&mut hasher));
    hasher.finish()
}

/// What an encoder has sent and not ended, by source. It is small, and a clone costs little:
/// what it speaks of is shared.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    pub(super) sources: Vec<SentSource>,
}

/// What one source has given.
#[derive(Clone, Debug)]
pub(super) struct SentSource {
    pub(super) name: Arc<str>,
    pub(super) past: Vec<Past>,
}

/// Series that were sent.
#[derive(Clone, Debug)]
pub(super) enum Past {
    /// Those of these chunks, as they are seen from there.
    Seen(Arc<Perspective>, Names, Arc<[Arc<Chunk>]>),
    /// Those of a file, in one of its blocks.
    Read(Arc<[u8]>),
}

/// One of them.
pub(super) enum One<'a> {
    /// Of a chunk.
    Seen(ViewSeries<'a>, Names),
    /// Of a file.
    Read(Record<'a>),
}

impl Sent {
    /// How many series there are.
    pub fn len(&self) -> usize {
        let mut count = 0;
        self.past().for_each(|past| past.each(|_| count += 1));
        count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn past(&self) -> impl Iterator<Item = &Past> {
        self.sources.iter().flat_map(|source| &source.past)
    }
}

impl Past {
    /// Calls `with` for each series, one after the other.
    pub(super) fn each(&self, mut with: impl FnMut(One<'_>)) {
        match self {
            Past::Seen(from, names, chunks) => {
                for chunk in chunks.iter() {
                    from.view(chunk).series().for_each(|one| with(One::Seen(one, *names)));
                }
            }
            Past::Read(block) => series_record::each(block, |record| with(One::Read(record))),
        }
    }
}

impl One<'_> {
    /// What tells it from every other one.
    pub(super) fn known_as(&self) -> u64 {
        match self {
            One::Seen(one, names) => {
                let (name, labels) = names.of(one);
                known_as(named(&name, &labels))
            }
            One::Read(record) => known_as(record.labels.iter().copied()),
        }
    }

    /// By itself.
    pub(super) fn to_series(&self) -> SentSeries {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        SentSeries(bytes.into())
    }

    /// Writes it as a record.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            One::Seen(one, names) => {
                let family = one.family();
                let (name, labels) = names.of(one);
                let count = labels.iter().count() + 1;
                write_series(family.kind, [family.help, family.unit], count, named(&name, &labels), out);
            }
            One::Read(Record { kind, help, unit, labels }) => {
                write_series(*kind, [help, unit], labels.len(), labels.iter().copied(), out);
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::formats::testing::{self, TOTAL, USAGE};
    use crate::model::Kind;
    use crate::model::Labels;

    /// By source, each series in words, in their order.
    pub fn listed(sent: &Sent) -> Vec<(String, Vec<SentSeries>)> {
        let of = |source: &SentSource| {
            let mut all = Vec::new();
            source.past.iter().for_each(|past| past.each(|one| all.push(one.to_series())));
            (source.name.to_string(), all)
        };
        sent.sources.iter().map(of).collect()
    }

    /// Two series of a source, and one of another.
    pub fn two_sources() -> Sent {
        let from = Arc::new(testing::from(Labels::of(&[("job", "metricsd")])));
        let (sda, other) = (Labels::of(&[("device", "sda")]), Labels::of(&[("A", "é")]));
        let of = |name: &str, samples: &[_]| {
            let frame = testing::frame(name, 1, samples);
            SentSource { name: name.into(), past: vec![Past::Seen(Arc::clone(&from), Names::Prometheus, frame.chunks)] }
        };
        Sent {
            sources: vec![
                of("disk", &[(&TOTAL, &sda, 1.0), (&TOTAL, &Labels::EMPTY, 1.0)]),
                of("cpu", &[(&USAGE, &other, 1.0)]),
            ],
        }
    }

    #[test]
    fn a_series_is_known_by_what_its_receiver_was_sent() {
        let sent = two_sources();
        assert_eq!(sent.len(), 3);
        let mut all = Vec::new();
        sent.past().for_each(|past| past.each(|one| all.push((one.known_as(), one.to_series()))));
        let (known, first) = &all[0];
        let labels = [("__name__", "test_bytes_total"), ("device", "sda"), ("job", "metricsd")];
        assert_eq!((*known, first.known_as()), (known_as(labels.into_iter()), *known));
        let Record { kind, help, unit, labels: own } = first.record();
        assert_eq!((kind, help, unit, &own[..]), (Kind::Counter, "Bytes.", "bytes", &labels[..]));
        assert!(all[1..].iter().all(|(other, _)| other != known));
    }
}
