//! The last points of streams that have ended.
//!
//! What ends are series. Where those that ended with each other make up a histogram or a summary, that is
//! the stream that has ended. A bucket alone that ends leaves its histogram one bucket less, which goes on.

use std::collections::HashMap;
use std::sync::Arc;

use super::compiled::{Compiled, Target, data_of, head_of, resource_of};
use super::point::Data;
use super::request::Wire;
use super::whole::{Form, Part, is_part, wholes};
use crate::formats::ledger::Ended;
use crate::formats::series_record::Record;
use crate::model::{Family, Kind, Labels};

/// A stream that has ended.
pub struct Ending {
    /// As [`Wire::resource`] wrote it.
    pub resource: Arc<[u8]>,
    /// As [`Wire::head`] wrote it.
    pub head: Arc<[u8]>,
    /// What its points were.
    pub data: Data,
    /// As [`Wire::attributes`] wrote them.
    pub attributes: Vec<u8>,
    /// When it ended, in milliseconds since the UNIX epoch.
    pub time_ms: i64,
}

/// Streams that have ended, as far as nothing else is found.
pub struct Endings {
    all: Vec<Option<Ending>>,
    /// Parts that make up no whole, by what they may be parts of: where that goes on, nothing ends. Nearly
    /// always there are none.
    parts: HashMap<Key, Vec<usize>>,
    host: Arc<[u8]>,
}

/// The resources of targets, as they were written last, by job and instance: what ended has labels alone.
#[derive(Default)]
pub struct Targets(HashMap<(String, String), Arc<[u8]>>);

/// Beyond so many they are forgotten: what ends then has no `url.scheme`.
const MAX_TARGETS: usize = 10_000;

impl Targets {
    /// Takes note of those of what is `compiled`.
    pub fn note<W>(&mut self, compiled: &Compiled<W>) {
        for (job, instance, resource) in &compiled.targets {
            if self.0.len() >= MAX_TARGETS {
                self.0.clear();
            }
            self.0.insert((job.clone(), instance.clone()), Arc::clone(resource));
        }
    }

    fn written<W: Wire>(&self, target: Target<'_>) -> Arc<[u8]> {
        let known = self.0.get(&(target.job.to_owned(), target.instance.to_owned()));
        known.map_or_else(|| target.written::<W>(&[]), Arc::clone)
    }
}

/// What tells a stream from others: its resource, its head, and its attributes.
type Key = (Arc<[u8]>, Arc<[u8]>, Vec<u8>);

impl Endings {
    /// Of these series, for a destination that gives `own` labels to all series, on the resource `host` or one
    /// of `targets`. `is_delta`: they were sent so.
    pub fn new<W: Wire>(ended: &[Ended], own: &Labels, host: &Arc<[u8]>, targets: &Targets, is_delta: bool) -> Endings {
        let mut made = Endings { all: Vec::new(), parts: HashMap::new(), host: Arc::clone(host) };
        let keys = Keys { own, host, targets, is_delta };
        if ended.is_empty() {
            return made;
        }
        let records: Vec<Record<'_>> = ended.iter().map(|one| one.series.record()).collect();
        let parts: Vec<Part<'_>> = records.iter().zip(0..).map(|(record, at)| part_of(record, at)).collect();
        if !parts.iter().any(|part| is_part(part.kind, part.name)) {
            for part in parts {
                made.add::<W>(
                    &records[part.at as usize],
                    ended,
                    (part.name, &part.labels, part.at),
                    &Form::Number(0),
                    &keys,
                );
            }
            return made;
        }
        for one in wholes(parts) {
            let record = &records[one.at as usize];
            made.add::<W>(record, ended, (one.name, &one.labels, one.at), &one.form, &keys);
            if matches!(one.form, Form::Number(_)) && matches!(record.kind, Kind::Histogram | Kind::Summary) {
                made.note_part::<W>(record, one.name, &one.labels, &keys);
            }
        }
        made
    }

    fn add<W: Wire>(
        &mut self,
        record: &Record<'_>,
        ended: &[Ended],
        (name, labels, at): (&str, &[(&str, &str)], u32),
        form: &Form,
        keys: &Keys<'_>,
    ) {
        let family = Family::new(record.kind, name, record.unit, record.help);
        let data = data_of(&family, form, keys.is_delta);
        let (resource, head, attributes) = keys.of::<W>(&family, data, labels);
        let time_ms = ended[at as usize].time_ms;
        self.all.push(Some(Ending { resource, head, data, attributes, time_ms }));
    }

    /// Takes note of what the last one may be a part of.
    fn note_part<W: Wire>(&mut self, record: &Record<'_>, name: &str, labels: &[(&str, &str)], keys: &Keys<'_>) {
        let (own_label, data) = match record.kind {
            Kind::Histogram => ("le", Data::Histogram { is_delta: keys.is_delta }),
            _ => ("quantile", Data::Summary),
        };
        let family = Family::new(record.kind, name, record.unit, record.help);
        let is_quantile = record.kind == Kind::Summary && labels.iter().any(|(name, _)| *name == own_label);
        let family = if is_quantile { family } else { Family { name: family.base(), ..family } };
        let labels: Vec<_> = labels.iter().copied().filter(|(name, _)| *name != own_label).collect();
        let key = keys.of::<W>(&family, data, &labels);
        self.parts.entry(key).or_default().push(self.all.len() - 1);
    }

    /// What is `compiled` is given still.
    pub fn go_on<W: Wire>(&mut self, compiled: &Compiled<W>) {
        if self.parts.is_empty() {
            return;
        }
        for stream in compiled.streams.iter().filter(|stream| !matches!(stream.form, Form::Number(_))) {
            let metric = &compiled.metrics[stream.metric as usize];
            let resource = metric.resource.as_ref().unwrap_or(&self.host);
            let attributes = compiled.attributes(&stream.attributes).to_vec();
            let key = (Arc::clone(resource), Arc::clone(&metric.head), attributes);
            for at in self.parts.remove(&key).into_iter().flatten() {
                self.all[at] = None;
            }
        }
    }

    /// Those that have ended.
    pub fn finish(self) -> impl Iterator<Item = Ending> {
        self.all.into_iter().flatten()
    }
}

/// What keys of streams depend on besides these.
struct Keys<'k> {
    own: &'k Labels,
    host: &'k Arc<[u8]>,
    targets: &'k Targets,
    is_delta: bool,
}

impl Keys<'_> {
    fn of<W: Wire>(&self, family: &Family<'_>, data: Data, labels: &[(&str, &str)]) -> Key {
        let (target, labels) = resource_of(labels.iter().copied(), self.own);
        let resource = target.map_or_else(|| Arc::clone(self.host), |target| self.targets.written::<W>(target));
        let mut attributes = Vec::new();
        W::attributes(data, labels, &mut attributes);
        (resource, head_of::<W>(family), attributes)
    }
}

fn part_of<'r>(record: &'r Record<'_>, at: u32) -> Part<'r> {
    let name = record.labels.iter().find(|(name, _)| *name == "__name__").map_or("", |(_, value)| value);
    let labels = record.labels.iter().copied().filter(|(name, _)| *name != "__name__").collect();
    Part { at, kind: record.kind, name, labels, is_scaled: false }
}
