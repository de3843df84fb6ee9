//! The encoding half of a lane: batches in, bodies out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender};

use super::learned::Learned;
use super::losses::lose;
use super::mailbox::Pending;
use super::queue::{Bell, Body, Queue};
use super::series_file::SeriesFile;
use super::start::{Part, Start};
use crate::formats::{Bodies, Encoder, Piece, Sent};
use crate::host::{monotonic, wall_ms};
use crate::model::Batch;
use crate::telemetry::{DestinationStatus, DropReason, Throttle};

/// Encodes a lane's batches, on whichever of its threads has one.
pub struct BodyMaker {
    name: String,
    status: Arc<DestinationStatus>,
    learned: Arc<Learned>,
    inner: Mutex<Inner>,
    /// What the destination has been sent, on disk; none where nothing of it is kept there.
    series: Mutex<Option<SeriesFile>>,
    /// Wakes the keeper.
    keeper: Sender<()>,
}

struct Inner {
    encoder: Box<dyn Encoder>,
    throttle: Throttle,
    bodies: Bodies,
    /// The series that the keeper was last told of.
    revision: u64,
    /// Whether it has taken up what an earlier life had sent.
    has_inherited: bool,
}

impl BodyMaker {
    /// A maker with an encoder of its own. What an earlier life has sent comes with [`BodyMaker::inherit`].
    pub fn new(
        name: String,
        encoder: Box<dyn Encoder>,
        status: Arc<DestinationStatus>,
        learned: Arc<Learned>,
        series: Option<SeriesFile>,
        keeper: Sender<()>,
    ) -> BodyMaker {
        let throttle = Throttle::new(super::LOG_EVERY);
        let inner =
            Inner { encoder, throttle, bodies: Bodies::default(), revision: 0, has_inherited: series.is_none() };
        BodyMaker { name, status, learned, inner: Mutex::new(inner), series: Mutex::new(series), keeper }
    }

    /// Takes up what an earlier life has sent, before or after the first bodies are made:
    /// reading it takes as long as the disk likes.
    pub fn inherit(&self) {
        if self.lock().has_inherited {
            return;
        }
        let sent = self.series().as_ref().and_then(SeriesFile::load);
        self.inherit_sent(sent);
    }

    /// Takes up what the lane before has sent; false where that one does not know it itself.
    pub fn inherit_from(&self, before: &BodyMaker) -> bool {
        let before = before.lock();
        let (has_inherited, sent) = (before.has_inherited, before.encoder.sent());
        drop(before);
        if has_inherited {
            self.inherit_sent(Some(sent));
        }
        has_inherited
    }

    fn inherit_sent(&self, sent: Option<Sent>) {
        let mut inner = self.lock();
        inner.has_inherited = true;
        if let Some(sent) = sent {
            inner.encoder.inherit(sent);
        }
    }

    /// It is written down elsewhere from now on, or nowhere.
    pub fn move_series(&self, series: Option<SeriesFile>) {
        *self.series() = series;
    }

    /// There is something for the keeper to do.
    pub fn wake_keeper(&self) {
        // A full channel: it has been told already.
        let _ = self.keeper.try_send(());
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // An encoder that panicked starts each body anew, so what it left does not matter.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn series(&self) -> MutexGuard<'_, Option<SeriesFile>> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down which series the destination has, if that has changed. `last`: there will
    /// be no other occasion.
    pub fn save_series(&self, last: bool) {
        let mut file = self.series();
        let Some(file) = &mut *file else { return };
        let inner = self.lock();
        let revision = inner.encoder.revision();
        // Not read, or nothing sent yet: what an earlier life wrote down still holds.
        if !inner.has_inherited || revision == 0 || !file.is_due(revision, last) {
            return;
        }
        let sent = inner.encoder.sent();
        // Encoding goes on while the disk takes its time.
        drop(inner);
        if let Err(error) = file.save(revision, &sent) {
            log::debug!("destination {}: cannot write its list of series: {error}", self.name);
        }
    }

    /// The batch as bodies, in order, as the destination takes them by what is known of it:
    /// nearly always one; none where no sample of it can be sent. Together they are one payload.
    pub fn make(&self, batch: &Batch) -> Vec<Body> {
        let (most, older) = (self.learned.most(monotonic()), self.learned.takes_older());
        let mut inner = self.lock();
        let Inner { encoder, bodies, .. } = &mut *inner;
        encoder.set_older(older);
        let encoded = encoder.encode(batch, most, bodies);
        if encoded.unencodable > 0 {
            lose(&self.status, DropReason::Unencodable, encoded.unencodable);
            if inner.throttle.pass(monotonic()).is_some() {
                log::warn!(
                    "destination {}: its format cannot hold {} samples of this tick (NaN or infinite); they are left out",
                    self.name,
                    encoded.unencodable
                );
            }
        }
        let revision = inner.encoder.revision();
        if std::mem::replace(&mut inner.revision, revision) != revision {
            self.wake_keeper();
        }
        let content = inner.encoder.content();
        let time_ms = batch.time_ms;
        let body = |Piece { bytes, samples }| Body { bytes, samples, time_ms, content: Arc::clone(&content) };
        inner.bodies.drain().map(body).collect()
    }

    /// Makes bodies with `encoder` from now on. It ends what the one before it has sent and
    /// it does not send any more, such as series under labels that have changed.
    pub fn replace(&self, mut encoder: Box<dyn Encoder>) {
        let mut inner = self.lock();
        encoder.inherit(inner.encoder.sent());
        inner.encoder = encoder;
    }
}

/// Encodes for the queue while the sender is busy.
pub struct Worker {
    pub(super) mailbox: Receiver<Arc<Batch>>,
    pub(super) pending: Pending,
    pub(super) maker: Arc<BodyMaker>,
    pub(super) queue: Arc<Queue>,
    pub(super) bell: Arc<Bell>,
    pub(super) start: Start,
    /// Closed when this has ended.
    pub(super) _alive: Sender<()>,
}

impl Worker {
    /// Runs until the mailbox is closed and empty; then closes the bell.
    pub fn run(self) {
        if !self.start.wait(Part::Worker) {
            return;
        }
        // Also when this panics: a sender must not wait for ever for what will not come.
        struct Close(Arc<Bell>);
        impl Drop for Close {
            fn drop(&mut self) {
                self.0.close();
            }
        }
        let _close = Close(Arc::clone(&self.bell));
        if let Some(before) = self.start.maker_before() {
            self.maker.inherit_from(&before);
        }
        while let Ok(batch) = self.mailbox.recv() {
            for mut body in self.maker.make(&batch) {
                // An encoder may need more room than its result does, and bodies can wait for long.
                body.bytes.shrink_to_fit();
                self.queue.push(body);
            }
            self.pending.arrived();
            self.maker.wake_keeper();
        }
        self.queue.park(wall_ms());
        self.maker.save_series(true);
    }
}
