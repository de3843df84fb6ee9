//! One lane per destination: plan, encode, queue, send. No lane knows of another.
//!
//! A lane is three threads. The [`Sender`] talks to the network; while it is idle, which is
//! nearly always, it is handed each batch itself and encodes it. While it is not, the
//! [`Worker`] takes the batches from the mailbox, encodes them, and queues them, on disk;
//! the [`Keeper`] forces what is there to the device, which may take its time. So a
//! destination that hangs delays neither collection nor the queueing of what is collected,
//! and one that is well costs one thread's awakening a tick. Stopping follows the data: the
//! ways in close, the worker finishes the mailbox and closes the queue, the sender finishes
//! that within its grace.

mod backoff;
mod budget;
pub mod encode;
mod losses;
mod mailbox;
mod queue;
mod sender;
mod series_file;
mod settings;
pub mod spool;
mod transport;
mod url;
mod verdict;
mod worker;

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Select, unbounded};

use crate::telemetry::DestinationStatus;

use self::backoff::Backoff;
use self::encode::{Downgrade, Encoder, Split, json, remote_write};
use self::queue::Queue;
use self::series_file::SeriesFile;
use self::transport::{Access, Transport};
use self::worker::BodyMaker;

pub use budget::Budget;
pub use encode::remote_write::Version as RemoteWriteVersion;
pub use losses::lose;
pub use mailbox::Inlet;
pub(crate) use transport::get;

pub use sender::{GRACE, HOLD, Sender};
pub use settings::{
    Authorization, Compression, Credentials, DEFAULT_MEMORY_MAX_BYTES, DEFAULT_TIMEOUT, HttpSettings, Kind,
    OAuth2Settings, RetrySettings, Settings, SigV4Settings, SpoolMode, SpoolSettings,
};
pub use url::{Url, percent_decoded, percent_encoded, redacted_url};
pub use worker::{Keeper, Worker};

/// One line a minute says that a destination is down; one for each cause.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// The loops of one destination, each to be run on a thread of its own.
pub struct Lane {
    /// Encodes.
    pub worker: Worker,
    /// Looks after the disk.
    pub keeper: Keeper,
    /// Send.
    pub senders: Vec<Sender>,
}

impl Lane {
    /// A lane, and where its batches go in. `hold` is the pause before a destination that
    /// refuses us is asked again: [`HOLD`], or less in a test.
    pub fn new(settings: &Settings, status: Arc<DestinationStatus>, hold: Duration) -> (Inlet, Control, Lane) {
        let count = settings.senders();
        let queue = Arc::new(Queue::new(&settings.name, &settings.spool, Arc::clone(&status), count));
        let (inlet, outlets) = mailbox::mailbox(Arc::clone(&queue), Arc::clone(&status));
        let series = SeriesFile::of(&settings.spool, &settings.name);
        let maker = BodyMaker::new(settings.name.clone(), encoder(settings), Arc::clone(&status), series, outlets.poke);
        let maker = Arc::new(maker);
        let worker = Worker {
            mailbox: outlets.mailbox,
            pending: outlets.pending,
            maker: Arc::clone(&maker),
            queue: Arc::clone(&queue),
        };
        let keeper = Keeper { poked: outlets.poked, queue: Arc::clone(&queue), maker: Arc::downgrade(&maker) };
        let access = access(settings);
        let throttle = Sender::log_throttle();
        let (mut senders, mut updates) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let (update, updated) = unbounded();
            updates.push(update);
            senders.push(Sender {
                name: settings.name.clone(),
                straight: outlets.straight.clone(),
                maker: Arc::clone(&maker),
                queue: Arc::clone(&queue),
                route: route(settings, access.as_ref()),
                updated,
                status: Arc::clone(&status),
                hold,
                throttle: Arc::clone(&throttle),
                resumes: None,
                last_chance_taken: false,
            });
        }
        (
            inlet,
            Control { name: settings.name.clone(), queue, maker: Arc::downgrade(&maker), updates },
            Lane { worker, keeper, senders },
        )
    }
}

/// Changes a lane while it runs.
pub struct Control {
    name: String,
    queue: Arc<Queue>,
    /// Weak: a lane ends when its threads do, whoever could still change it.
    maker: Weak<BodyMaker>,
    updates: Vec<crossbeam_channel::Sender<Route>>,
}

impl Control {
    /// Whether a lane with the settings `old` can take up `new` while it runs: where its
    /// data is kept and how many senders it has stays until it is started anew.
    pub fn can_apply(old: &Settings, new: &Settings) -> bool {
        let same_type = old.kind.as_str() == new.kind.as_str();
        old.name == new.name && same_type && old.spool == new.spool && old.senders() == new.senders()
    }

    /// The lane ends, and none comes after it that could send what it leaves on disk.
    pub fn abandon(&self) {
        self.queue.abandon();
    }

    /// The program ends: what the lane has not delivered by now is put by, or lost and said
    /// to be, also where a sender hangs and so can't see to that itself.
    pub fn finish(&self) {
        sender::end(&self.queue, &self.name);
    }

    /// Takes up new settings: what waits stays, what is sent or encoded from now on follows
    /// them. A pause before the next attempt ends.
    pub fn apply(&self, settings: &Settings) {
        if let Some(maker) = self.maker.upgrade() {
            maker.replace(encoder(settings));
        }
        let access = access(settings);
        for update in &self.updates {
            // A sender is gone only when the lane is being stopped.
            let _ = update.send(route(settings, access.as_ref()));
        }
    }
}

/// How a pause ended, or was interrupted.
enum Rest {
    /// Its time is up, or there are new settings or credentials.
    Over,
    /// The queue is closed.
    Stopping,
    /// Not at all: something was pushed.
    Pushed,
}

/// Waits `until` then, or until something happens that matters to whoever waits.
fn rest(queue: &Queue, updated: &Receiver<Route>, transport: &mut dyn Transport, until: Instant) -> Rest {
    let over = |closed: bool| if closed { Rest::Stopping } else { Rest::Over };
    let mut news = Select::new();
    news.recv(queue.bell().heard());
    let settings = news.recv(updated);
    match news.ready_deadline(until) {
        Err(_) => over(queue.bell().is_closed()),
        Ok(at) if at != settings => {
            if queue.bell().is_closed() {
                return Rest::Stopping;
            }
            // Pushed, so a tick has passed: often enough for a look at the files. What comes
            // out of a pause looks into the queue anyway.
            let _ = queue.bell().heard().try_recv();
            if transport.has_new_credentials() { Rest::Over } else { Rest::Pushed }
        }
        // Nobody is left who could bring settings: the lane is about to be stopped.
        Ok(_) if updated.is_empty() => {
            over(queue.bell().closed_within(until.saturating_duration_since(Instant::now())))
        }
        Ok(_) => over(queue.bell().is_closed()),
    }
}

/// How a lane's bodies leave.
pub(crate) struct Route {
    transport: Box<dyn Transport>,
    split: Option<Split>,
    downgrade: Option<Downgrade>,
    backoff: Backoff,
    drain_rate: Option<f64>,
}

fn encoder(settings: &Settings) -> Box<dyn Encoder> {
    let labels = settings.labels.clone();
    match &settings.kind {
        Kind::RemoteWrite(_, version) => Box::new(remote_write::RemoteWrite::new(*version, labels)),
        Kind::HttpJson(_, compression) => Box::new(json::Json::new(labels, *compression)),
        Kind::File(_) | Kind::Stdout => Box::new(json::Json::new(labels, Compression::None)),
    }
}

/// What the senders of a lane share, where it goes over the network.
fn access(settings: &Settings) -> Option<Arc<Access>> {
    let http = settings.kind.http()?;
    Some(Arc::new(Access::new(&settings.name, http.clone())))
}

fn route(settings: &Settings, access: Option<&Arc<Access>>) -> Route {
    let transport: Box<dyn Transport> = match (&settings.kind, access) {
        (Kind::File(path), _) => Box::new(transport::File::new(path.clone())),
        (_, Some(access)) => Box::new(transport::Http::new(Arc::clone(access))),
        (_, None) => Box::new(transport::Stdout),
    };
    let split: Option<Split> = match &settings.kind {
        Kind::RemoteWrite(..) => Some(remote_write::split),
        Kind::HttpJson(..) => Some(json::split),
        Kind::File(_) | Kind::Stdout => None,
    };
    let backoff = Backoff::new(settings.retry.clone());
    // Also where a lane is of 1.0: what waits may be from before it became one.
    let downgrade: Option<Downgrade> = match &settings.kind {
        Kind::RemoteWrite(..) => Some(remote_write::downgrade),
        _ => None,
    };
    Route { transport, split, downgrade, backoff, drain_rate: settings.drain_rate }
}
