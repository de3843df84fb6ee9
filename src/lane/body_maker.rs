//! Payloads in, bodies out: a lane's encoder, for whichever of its threads has a batch.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::body::Body;
use super::learned::Learned;
use super::losses::{LOG_EVERY, lose};
use super::queue::Queue;
use super::route::Making;
use super::tee::Tee;
use crate::formats::{Bodies, Content, Piece, Sent};
use crate::host::monotonic;
use crate::model::{Batch, Payload};
use crate::telemetry::{DestinationStatus, DropReason, Throttle};

/// Encodes a lane's payloads, on whichever of its threads has one.
pub struct BodyMaker {
    name: String,
    status: Arc<DestinationStatus>,
    learned: Arc<Learned>,
    inner: Mutex<Inner>,
    queue: Arc<Queue>,
}

struct Inner {
    making: Making,
    /// What writes down what is sent; none: nobody wants to see it.
    tee: Option<Tee>,
    throttle: Throttle,
    bodies: Bodies,
    /// The series that the keeper was last told of.
    revision: u64,
    /// Whether it has taken up what an earlier life had sent.
    has_inherited: bool,
}

impl BodyMaker {
    /// A maker with an encoder of its own. `has_past`: what an earlier life has sent comes with
    /// [`BodyMaker::inherit`].
    pub fn new(
        name: String,
        making: Making,
        status: Arc<DestinationStatus>,
        learned: Arc<Learned>,
        queue: Arc<Queue>,
        has_past: bool,
    ) -> BodyMaker {
        let throttle = Throttle::new(LOG_EVERY);
        let inner =
            Inner { making, tee: None, throttle, bodies: Bodies::default(), revision: 0, has_inherited: !has_past };
        BodyMaker { name, status, learned, inner: Mutex::new(inner), queue }
    }

    /// Whether what an earlier life has sent is still to come.
    pub fn is_without_past(&self) -> bool {
        !self.lock().has_inherited
    }

    /// Takes up what an earlier life has sent, before or after the first bodies are made; none:
    /// that is not known.
    pub fn inherit(&self, sent: Option<Sent>) {
        let mut inner = self.lock();
        inner.has_inherited = true;
        if let (Some(sent), Making::Metrics(encoder, _)) = (sent, &mut inner.making) {
            encoder.inherit(sent);
        }
    }

    /// Takes up what the lane before has sent, unless that one does not know it itself, and what its
    /// rules know. That lane makes no bodies any more.
    pub fn inherit_from(&self, before: &BodyMaker) {
        let mut before = before.lock();
        let has_inherited = before.has_inherited;
        let Making::Metrics(encoder, stage) = &mut before.making else { return };
        let (sent, counts, stage) = (encoder.sent(), encoder.take_counts(), stage.take());
        drop(before);
        if let (Making::Metrics(encoder, _), Some(counts)) = (&mut self.lock().making, counts) {
            encoder.inherit_counts(counts);
        }
        if let (Making::Metrics(_, Some(stage)), Some(before)) = (&mut self.lock().making, stage) {
            stage.take_over(*before);
        }
        if has_inherited {
            self.inherit(Some(sent));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // An encoder that panicked starts each body anew, so what it left does not matter.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which series the destination has, with the revision of that, where it `is_due`: as it is
    /// now, and to be written down without the encoder. None as
    /// long as nothing was sent, or what was sent earlier is not known: what is written down of
    /// that still holds.
    pub fn sent_where(&self, is_due: impl FnOnce(u64) -> bool) -> Option<(u64, Sent)> {
        let inner = self.lock();
        let Making::Metrics(encoder, _) = &inner.making else { return None };
        let revision = encoder.revision();
        let due = inner.has_inherited && revision != 0 && is_due(revision);
        due.then(|| (revision, encoder.sent()))
    }

    /// The payload as bodies, in order, as the destination takes them by what is known of it:
    /// nearly always one; none where nothing of it can be sent.
    pub fn make(&self, payload: &Payload) -> Vec<Body> {
        let most = self.learned.most(monotonic());
        let mut inner = self.lock();
        let Inner { making, tee, bodies, .. } = &mut *inner;
        let (content, time_ms) = match (payload, making) {
            (Payload::Metrics(batch), Making::Metrics(..)) => (self.encode(batch, most, &mut inner), batch.time_ms),
            (Payload::Records(records), Making::Records(encoder)) => {
                if let Some(tee) = tee {
                    tee.take_records(records);
                }
                encoder.encode(records, most, bodies);
                (encoder.content(), records.time_ms)
            }
            // Nobody hands a lane what it is not for.
            _ => return Vec::new(),
        };
        let body = |Piece { bytes, samples }| Body { bytes, samples, time_ms, content: Arc::clone(&content) };
        inner.bodies.drain().map(body).collect()
    }

    fn encode(&self, batch: &Batch, most: u64, inner: &mut Inner) -> Content {
        let Inner { making: Making::Metrics(encoder, stage), tee, bodies, .. } = inner else {
            return Content::default();
        };
        let older = self.learned.takes_older();
        encoder.set_older(older);
        let batch = match stage {
            Some(stage) => {
                let passed = stage.pass(batch);
                self.status.rules_dropped(stage.dropped());
                if let Some(rule) = stage.take_overfull() {
                    self.say_overfull(rule);
                }
                passed
            }
            None => Cow::Borrowed(batch),
        };
        let batch = match batch.frames.iter().any(|frame| frame.fresh.is_some()) {
            true => Cow::Owned(batch.into_owned().narrowed()),
            false => batch,
        };
        if let Some(tee) = tee {
            tee.take(&batch);
        }
        let encoded = encoder.encode(&batch, most, bodies);
        if encoded.unencodable > 0 {
            lose(&self.status, DropReason::Unencodable, encoded.unencodable);
            if inner.throttle.pass(monotonic()).is_some() {
                log::warn!(
                    "destination {}: its format cannot hold {} samples of this tick (NaN, infinite, or a histogram that is none); they are left out",
                    self.name,
                    encoded.unencodable
                );
            }
        }
        let (revision, content) = (encoder.revision(), encoder.content());
        if std::mem::replace(&mut inner.revision, revision) != revision {
            self.queue.series_changed();
        }
        content
    }

    fn say_overfull(&self, rule: usize) {
        let mut place = String::new();
        let mut at = 0;
        self.status.each_rule(|one, _| {
            if at == rule {
                one.clone_into(&mut place);
            }
            at += 1;
        });
        log::warn!(
            "destination {}: {place} gathers as many series as it can; the others are left out, and counted in \
             metricsd_transform_dropped_total",
            self.name
        );
    }

    /// What is sent is written down there from now on, or nowhere.
    pub fn set_tee(&self, tee: Option<Tee>) {
        let before = std::mem::replace(&mut self.lock().tee, tee);
        // Its end may take a moment.
        drop(before);
    }

    /// Makes bodies so from now on. It ends what the one before it has sent and
    /// it does not send any more, such as series under labels that have changed. What rules know
    /// stays, where these are the same; `rule_places` is where each stands now.
    pub fn replace(&self, mut making: Making, rule_places: &[String]) {
        let mut inner = self.lock();
        if let (Making::Metrics(encoder, stage), Making::Metrics(old, before)) = (&mut making, &mut inner.making) {
            encoder.inherit(old.sent());
            if let Some(counts) = old.take_counts() {
                encoder.inherit_counts(counts);
            }
            if let (Some(stage), Some(before)) = (stage, before.take()) {
                stage.take_over(*before);
            }
        }
        inner.making = making;
        self.status.has_rules(rule_places);
    }
}
