//! One lane per destination: plan, encode, queue, send. No lane knows of another.
//!
//! A lane is two threads: a [`Worker`] empties the mailbox, encodes, and queues; a
//! [`Sender`] takes from the queue and talks to the network. So a destination that hangs
//! delays neither collection nor the queueing of what is collected. Stopping follows the
//! data: the mailbox closes, the worker finishes it and closes the queue, the sender
//! finishes that within its grace.

mod backoff;
pub mod encode;
mod queue;
mod sender;
mod settings;
mod transport;
mod url;
mod verdict;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;

use crate::model::{Batch, Labels};
use crate::telemetry::DestinationStatus;

use self::backoff::Backoff;
use self::encode::{Encoder, Split, json, remote_write};
use self::queue::Queue;
use self::transport::Transport;

pub use sender::{GRACE, HOLD, Sender};
pub use settings::{
    Compression, DEFAULT_QUEUE_MAX_BYTES, DEFAULT_TIMEOUT, HttpSettings, Kind, RetrySettings, Settings,
};
pub use url::{Url, redacted_url};
pub use worker::Worker;

/// The two loops of one destination, each to be run on a thread of its own.
pub struct Lane {
    /// Encodes.
    pub worker: Worker,
    /// Sends.
    pub sender: Sender,
}

impl Lane {
    /// A lane that takes batches from `mailbox`. `hold` is the pause before a destination
    /// that refuses us is asked again: [`HOLD`], or less in a test.
    pub fn new(
        settings: &Settings,
        mailbox: Receiver<Arc<Batch>>,
        status: Arc<DestinationStatus>,
        hold: Duration,
    ) -> Lane {
        let queue = Arc::new(Queue::new(settings.queue_max_bytes, Arc::clone(&status)));
        let (encoder, transport, split) = parts(settings);
        let worker = Worker {
            name: settings.name.clone(),
            mailbox,
            encoder,
            queue: Arc::clone(&queue),
            status: Arc::clone(&status),
        };
        let sender = Sender {
            name: settings.name.clone(),
            queue,
            transport,
            split,
            status,
            backoff: Backoff::new(settings.retry.clone()),
            hold,
            throttle: Sender::log_throttle(),
        };
        Lane { worker, sender }
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
