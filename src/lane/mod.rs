//! One lane per destination: plan, encode, queue, send. No lane knows of another.
//!
//! A lane is two threads. The [`Sender`] talks to the network; while it is idle, which is
//! nearly always, it is handed each batch itself and encodes it. While it is not, the
//! [`Worker`] takes the batches from the mailbox, encodes them, and queues them. So a
//! destination that hangs delays neither collection nor the queueing of what is collected,
//! and one that is well costs one thread's awakening a tick. Stopping follows the data: the
//! ways in close, the worker finishes the mailbox and closes the queue, the sender finishes
//! that within its grace.

mod backoff;
pub mod encode;
mod mailbox;
mod queue;
mod sender;
mod settings;
pub mod spool;
mod transport;
mod url;
mod verdict;
mod worker;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Select, unbounded};

use crate::telemetry::DestinationStatus;

use self::backoff::Backoff;
use self::encode::{Downgrade, Encoder, Split, json, remote_write};
use self::queue::Queue;
use self::transport::Transport;
use self::worker::BodyMaker;

pub use mailbox::Inlet;
pub use sender::{GRACE, HOLD, Sender};
pub use settings::{
    Compression, DEFAULT_QUEUE_MAX_BYTES, DEFAULT_TIMEOUT, HttpSettings, Kind, RetrySettings, Settings,
};
pub use url::{Url, redacted_url};
pub use worker::Worker;

/// One line a minute says that a destination is down.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// The two loops of one destination, each to be run on a thread of its own.
pub struct Lane {
    /// Encodes.
    pub worker: Worker,
    /// Sends.
    pub sender: Sender,
}

impl Lane {
    /// A lane, and where its batches go in. `hold` is the pause before a destination that
    /// refuses us is asked again: [`HOLD`], or less in a test.
    pub fn new(settings: &Settings, status: Arc<DestinationStatus>, hold: Duration) -> (Inlet, Control, Lane) {
        let (inlet, outlets) = mailbox::mailbox(Arc::clone(&status));
        let queue = Arc::new(Queue::new(settings.queue_max_bytes, Arc::clone(&status), outlets.backlog.clone()));
        let (encoder, route) = parts(settings);
        let (updates, updated) = unbounded();
        let maker = Arc::new(BodyMaker::new(settings.name.clone(), encoder, Arc::clone(&status)));
        let worker = Worker {
            mailbox: outlets.mailbox,
            backlog: outlets.backlog.clone(),
            maker: Arc::clone(&maker),
            queue: Arc::clone(&queue),
        };
        let sender = Sender {
            name: settings.name.clone(),
            straight: outlets.straight,
            backlog: outlets.backlog,
            maker,
            queue,
            route,
            updated,
            status,
            hold,
            throttle: Sender::log_throttle(),
        };
        (inlet, Control { maker: Arc::clone(&sender.maker), updates }, Lane { worker, sender })
    }
}

/// Changes a lane while it runs.
pub struct Control {
    maker: Arc<BodyMaker>,
    updates: crossbeam_channel::Sender<Route>,
}

impl Control {
    /// Whether a lane with the settings `old` can take up `new` while it runs.
    pub fn can_apply(old: &Settings, new: &Settings) -> bool {
        let same_type = old.kind.as_str() == new.kind.as_str();
        old.name == new.name && same_type && old.queue_max_bytes == new.queue_max_bytes
    }

    /// Takes up new settings of the same name and type: what waits stays, what is sent or
    /// encoded from now on follows them. A pause before the next attempt ends.
    pub fn apply(&self, settings: &Settings) {
        let (encoder, route) = parts(settings);
        self.maker.replace(encoder);
        // The sender is gone only when the lane is being stopped.
        let _ = self.updates.send(route);
    }
}

/// Waits for `pause`, or until there are new settings, or the queue is closed; says whether
/// that is so.
fn rest(queue: &Queue, updated: &Receiver<Route>, pause: Duration) -> bool {
    let until = Instant::now() + pause;
    loop {
        let mut news = Select::new();
        news.recv(queue.changed());
        let settings = news.recv(updated);
        match news.ready_deadline(until) {
            Err(_) => return queue.is_closed(),
            Ok(at) if at != settings => {
                if queue.is_closed() {
                    return true;
                }
                // Pushed: what comes out of a pause looks into the queue anyway.
                let _ = queue.changed().try_recv();
            }
            // Nobody is left who could bring settings: the lane is about to be stopped.
            Ok(_) if updated.is_empty() => {
                return queue.closed_within(until.saturating_duration_since(Instant::now()));
            }
            Ok(_) => return queue.is_closed(),
        }
    }
}

/// How a lane's bodies leave.
pub(crate) struct Route {
    transport: Box<dyn Transport>,
    split: Option<Split>,
    downgrade: Option<Downgrade>,
    backoff: Backoff,
}

/// What a destination's settings amount to.
fn parts(settings: &Settings) -> (Box<dyn Encoder>, Route) {
    let labels = settings.labels.clone();
    let backoff = Backoff::new(settings.retry.clone());
    let local = |transport| Route { transport, split: None, downgrade: None, backoff: backoff.clone() };
    let plain_json = |labels| Box::new(json::Json::new(labels, Compression::None));
    match &settings.kind {
        Kind::RemoteWrite(http) => {
            let transport = Box::new(transport::Http::new(http.clone()));
            let split: Split = remote_write::split;
            let route = Route { transport, split: Some(split), downgrade: None, backoff };
            (Box::new(remote_write::RemoteWrite::new(labels)), route)
        }
        Kind::HttpJson(http, compression) => {
            let transport = Box::new(transport::Http::new(http.clone()));
            let split: Split = json::split;
            let route = Route { transport, split: Some(split), downgrade: None, backoff };
            (Box::new(json::Json::new(labels, *compression)), route)
        }
        Kind::File(path) => (plain_json(labels), local(Box::new(transport::File::new(path.clone())))),
        Kind::Stdout => (plain_json(labels), local(Box::new(transport::Stdout))),
    }
}
