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
mod transport;
mod verdict;
mod worker;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Select, bounded, unbounded};

use crate::telemetry::DestinationStatus;

use self::learned::Learned;
use self::queue::{Bell, Queue};
use self::route::{Route, access, encoder, route};
use self::series_file::SeriesFile;
use self::start::Before;
use self::transport::Transport;
use self::worker::BodyMaker;

pub use budget::Budget;
pub use control::Control;
pub use fields::{GivenLabels, LANE_TABLE, LaneFields, SPOOL_TABLE, SpoolFields, add_label};
pub use file_path::file_path;
pub use keeper::Keeper;
pub use losses::lose;
pub use mailbox::Inlet;

pub use sender::{GRACE, HOLD, Sender};
pub use settings::{DEFAULT_MEMORY_MAX_BYTES, Kind, RetrySettings, Settings, SpoolMode, SpoolSettings, To};
pub use worker::Worker;

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
    /// A lane, and where its batches go in: its threads begin with [`Control::begin`]. It goes
    /// on with the queue and the counts of the lane `before`, if there is one. `hold` is the
    /// pause before a destination that refuses us is asked again: [`HOLD`], or less in a test.
    pub fn new(settings: &Settings, hold: Duration, before: Option<&Control>) -> (Inlet, Control, Lane) {
        let count = settings.senders();
        let name = settings.name.clone();
        let (status, queue, learned, bell) = match before {
            Some(before) => {
                before.learned.is_about(&settings.kind);
                let Control { status, queue, learned, .. } = before;
                (Arc::clone(status), Arc::clone(queue), Arc::clone(learned), Arc::new(Bell::new(count)))
            }
            None => {
                let status = Arc::new(DestinationStatus::new(&*name, settings.kind.as_str()));
                let queue = Arc::new(Queue::new(&name, &settings.spool, Arc::clone(&status), count));
                let bell = queue.bell();
                (status, queue, Arc::new(Learned::new(&settings.kind)), bell)
            }
        };
        let (inlet, outlets) = mailbox::mailbox(Arc::clone(&queue), Arc::clone(&status));
        let series = SeriesFile::of(&settings.spool, &name);
        let maker = BodyMaker::new(
            name.clone(),
            encoder(settings),
            Arc::clone(&status),
            Arc::clone(&learned),
            series,
            outlets.poke,
        );
        let maker = Arc::new(maker);
        let (starter, start) = start::start(before.map(|before| before.threads.clone()));
        let [(worker_alive, worker_ended), (keeper_alive, keeper_ended), (sender_alive, senders_ended)] =
            [(); 3].map(|()| bounded(0));
        let worker = Worker {
            mailbox: outlets.mailbox,
            pending: outlets.pending,
            maker: Arc::clone(&maker),
            queue: Arc::clone(&queue),
            bell: Arc::clone(&bell),
            start: start.clone(),
            _alive: worker_alive,
        };
        let (moves, moved) = unbounded();
        let keeper = Keeper {
            name: name.clone(),
            poked: outlets.poked,
            queue: Arc::clone(&queue),
            maker: Arc::downgrade(&maker),
            moved,
            start: start.clone(),
            _alive: keeper_alive,
        };
        let access = access(settings);
        let throttle = Sender::log_throttle();
        let (mut senders, mut updates) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let (update, updated) = unbounded();
            updates.push(update);
            senders.push(Sender {
                name: name.clone(),
                straight: outlets.straight.clone(),
                maker: Arc::clone(&maker),
                queue: Arc::clone(&queue),
                learned: Arc::clone(&learned),
                bell: Arc::clone(&bell),
                start: start.clone(),
                _alive: sender_alive.clone(),
                route: route(settings, access.as_ref()),
                updated,
                status: Arc::clone(&status),
                hold,
                throttle: Arc::clone(&throttle),
                resumes: None,
                last_chance_taken: false,
            });
        }
        let threads = Before {
            worker: worker_ended,
            keeper: keeper_ended,
            senders: senders_ended,
            maker: Arc::downgrade(&maker),
        };
        let bell_before = before.map(|before| Arc::clone(&before.bell));
        let pending = Some((starter, bell_before));
        let control = Control { name, status, queue, learned, bell, updates, moves, threads, pending };
        (inlet, control, Lane { worker, keeper, senders })
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
fn rest(bell: &Bell, updated: &Receiver<Route>, transport: &mut dyn Transport, until: Instant) -> Rest {
    let over = |closed: bool| if closed { Rest::Stopping } else { Rest::Over };
    let mut news = Select::new();
    news.recv(bell.heard());
    let settings = news.recv(updated);
    match news.ready_deadline(until) {
        Err(_) => over(bell.is_closed()),
        Ok(at) if at != settings => {
            if bell.is_closed() {
                return Rest::Stopping;
            }
            // Pushed, so a tick has passed: often enough for a look at the files. What comes
            // out of a pause looks into the queue anyway.
            let _ = bell.heard().try_recv();
            if transport.has_new_credentials() { Rest::Over } else { Rest::Pushed }
        }
        // Nobody is left who could bring settings: the lane is about to be stopped.
        Ok(_) if updated.is_empty() => over(bell.closed_within(until.saturating_duration_since(Instant::now()))),
        Ok(_) => over(bell.is_closed()),
    }
}
