//! One lane for each destination and signal: encode, queue, send. No lane knows of another.
//!
//! A lane is three threads, or more where it has several senders. A [`Sender`] talks to the
//! network; while it is idle, which is nearly always, it is handed each batch itself and
//! encodes it. While none is, the [`Worker`] takes the batches from the mailbox, encodes
//! them, and queues them. The [`Keeper`] has the disk: it alone opens, writes, reads and
//! syncs there. So a destination that hangs delays neither collection nor the queueing of
//! what is collected, a disk that hangs delays no destination, and one that is well costs
//! one thread's awakening a tick. Stopping follows the data: the ways in close, the worker
//! finishes the mailbox and closes the queue, the senders finish that within their grace,
//! and the keeper puts by what is left.
//!
//! # Locks, and who may wait for whom
//!
//! Locks are taken in this order, and none of them is held while anything is sent, written
//! to a disk, read from it or forced to it:
//!
//! 1. the encoder's (`body_maker`): while a batch is encoded;
//! 2. the queue's (`queue`): for some lines of code; it is let go of while one waits;
//! 3. those of what was learned of a destination (`learned`), of its status, of what all
//!    spools may take together, and of what the log has been told: for a number or a line.
//!
//! The scheduler takes the queue's lock for a moment, never the encoder's, and waits for
//! nobody. The worker waits for the sender that encodes what went straight, so that it does
//! not overtake it, and for the keeper while more is in memory than may be: as long as the
//! disk answers. Senders wait for the keeper where what is on disk is older than what is in
//! memory, and in the mode `always` for the write: as long as the disk answers. The keeper
//! waits for the disk and for nothing else. The threads of a lane that comes after another
//! one wait for that one's, each for its own kind (`start`).

mod backoff;
mod body;
mod body_maker;
mod budget;
mod control;
mod fields;
mod file_path;
mod keeper;
mod learned;
mod losses;
mod mailbox;
mod parts;
mod queue;
mod route;
mod sender;
mod series_file;
mod settings;
mod start;
mod tee;
#[cfg(test)]
mod tests;
mod transport;
mod verdict;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{bounded, unbounded};

use crate::telemetry::{DestinationStatus, Throttle};

use self::body_maker::BodyMaker;
use self::learned::Learned;
use self::losses::LOG_EVERY;
use self::queue::{Queue, SenderId};
use self::route::{access, making, route, tee};
use self::series_file::SeriesFile;
use self::start::Predecessor;

pub use budget::Budget;
pub use control::Control;
pub use fields::{GivenLabels, LANE_TABLE, LaneFields, SPOOL_TABLE, SpoolFields, add_label};
pub use file_path::file_path;
pub use keeper::Keeper;
pub use losses::lose;
pub use mailbox::Inlet;
pub use queue::{GRACE, Unsaved};
pub use sender::{REFUSED_PAUSE, Sender};
pub use settings::{DEFAULT_MEMORY_MAX_BYTES, Kind, RetrySettings, Settings, SpoolMode, SpoolSettings, To};
pub use tee::TeeSettings;
pub use worker::Worker;

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
    /// A lane, and where its batches go in: its threads begin with [`Control::begin`]. It goes
    /// on with the queue and the counts of the lane `before`, if there is one. `refused_pause`
    /// is the pause before a destination that refuses us is asked again: [`REFUSED_PAUSE`], or
    /// less in a test.
    pub fn new(settings: &Settings, refused_pause: Duration, before: Option<&Control>) -> (Inlet, Control, Lane) {
        let count = settings.senders();
        let name = settings.lane_name();
        let (status, queue, learned) = match before {
            Some(before) => {
                before.learned.is_about(&settings.kind);
                let Control { status, queue, learned, .. } = before;
                (Arc::clone(status), Arc::clone(queue), Arc::clone(learned))
            }
            None => {
                let status = Arc::new(DestinationStatus::of(settings.signal, &*settings.name, settings.kind.as_str()));
                let queue = Queue::new(&name, &settings.spool, Arc::clone(&status), count);
                (status, Arc::new(queue), Arc::new(Learned::new(&settings.kind, settings.signal)))
            }
        };
        status.has_rules(&settings.rule_places);
        let generation = queue.new_generation();
        let (inlet, mailbox) = mailbox::mailbox(Arc::clone(&queue), generation, Arc::clone(&status));
        let series = SeriesFile::of(settings.signal, &settings.spool, &name);
        let maker = Arc::new(BodyMaker::new(
            name.clone(),
            making(settings),
            Arc::clone(&status),
            Arc::clone(&learned),
            Arc::clone(&queue),
            series.is_some(),
        ));
        maker.set_tee(tee(settings));
        let (starter, start) = start::start(before.map(|before| before.threads.clone()));
        let [(worker_alive, worker_ended), (keeper_alive, keeper_ended), (sender_alive, senders_ended)] =
            [(); 3].map(|()| bounded(0));
        let worker = Worker {
            generation,
            mailbox,
            maker: Arc::clone(&maker),
            queue: Arc::clone(&queue),
            start: start.clone(),
            _alive: worker_alive,
        };
        let keeper = Keeper {
            name: name.clone(),
            generation,
            queue: Arc::clone(&queue),
            maker: Arc::clone(&maker),
            status: Arc::clone(&status),
            spool: None,
            share: settings.spool.budget.share(),
            series,
            is_said: false,
            unreadable: Throttle::new(LOG_EVERY),
            too_large: Throttle::new(LOG_EVERY),
            start: start.clone(),
            _alive: keeper_alive,
            disk_errors: 0,
            #[cfg(test)]
            faults: Default::default(),
        };
        let access = access(settings);
        let said = Sender::nothing_said();
        let (mut senders, mut updates) = (Vec::new(), Vec::new());
        for number in 0..count {
            let (update, updated) = unbounded();
            updates.push(update);
            senders.push(Sender {
                id: SenderId { generation, is_first: number == 0 },
                name: name.clone(),
                maker: Arc::clone(&maker),
                queue: Arc::clone(&queue),
                learned: Arc::clone(&learned),
                start: start.clone(),
                _alive: sender_alive.clone(),
                route: route(settings, access.as_ref()),
                updated,
                status: Arc::clone(&status),
                refused_pause,
                said: Arc::clone(&said),
            });
        }
        let threads = Predecessor {
            worker: worker_ended,
            keeper: keeper_ended,
            senders: senders_ended,
            maker: Arc::downgrade(&maker),
        };
        let settings = settings.clone();
        let control =
            Control { settings, status, queue, learned, generation, updates, threads, starter: Some(starter) };
        (inlet, control, Lane { worker, keeper, senders })
    }
}
