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
mod transport;
mod url;
mod verdict;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use crate::model::Labels;
use crate::telemetry::DestinationStatus;

use self::backoff::Backoff;
use self::encode::{Encoder, Split, json, remote_write};
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
    pub fn new(settings: &Settings, status: Arc<DestinationStatus>, hold: Duration) -> (Inlet, Lane) {
        let (inlet, outlets) = mailbox::mailbox(Arc::clone(&status));
        let queue = Arc::new(Queue::new(settings.queue_max_bytes, Arc::clone(&status), outlets.backlog.clone()));
        let (encoder, transport, split) = parts(settings);
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
            transport,
            split,
            status,
            backoff: Backoff::new(settings.retry.clone()),
            hold,
            throttle: Sender::log_throttle(),
        };
        (inlet, Lane { worker, sender })
    }
}

/// What a destination's type consists of.
fn parts(settings: &Settings) -> (Box<dyn Encoder>, Box<dyn Transport>, Option<Split>) {
    let plain_json = |labels: &Labels| Box::new(json::Json::new(labels.clone(), Compression::None));
    match &settings.kind {
        Kind::RemoteWrite(http) => (
            Box::new(remote_write::RemoteWrite::new(settings.labels.clone())),
            Box::new(transport::Http::new(http.clone(), remote_write::HEADERS.to_vec())),
            Some(remote_write::split),
        ),
        Kind::HttpJson(http, compression) => {
            let mut headers = vec![("Content-Type", "application/json")];
            let split: Split = match compression {
                Compression::None => json::split,
                Compression::Gzip => {
                    headers.push(("Content-Encoding", "gzip"));
                    json::split_gzip
                }
            };
            (
                Box::new(json::Json::new(settings.labels.clone(), *compression)),
                Box::new(transport::Http::new(http.clone(), headers)),
                Some(split),
            )
        }
        Kind::File(path) => (plain_json(&settings.labels), Box::new(transport::File::new(path.clone())), None),
        Kind::Stdout => (plain_json(&settings.labels), Box::new(transport::Stdout), None),
    }
}
