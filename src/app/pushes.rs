//! Pushes on their way from the server to the lanes, and the lanes' receipts on the way back.
//!
//! ```text
//! guard -> Desk (bounded) -> thread "push": unpack, read -> lanes -> receipt -> ticket -> guard
//! ```
//!
//! The thread reads one push at a time and waits for no lane. What has been read takes room until its receipt comes,
//! and where there is none a push has to come again.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::threads::{Id, Threads};
use crate::host::{monotonic, wall_ms};
use crate::ingest::logs::{self, MEMORY_FACTOR, Refused};
use crate::ingest::otlp::Encoding;
use crate::ingest::{Room, Unpack, gunzip};
use crate::model::{Fate, Payload, Receipt, Record, Records, Resource, Signal};
use crate::pipeline::Fanout;
use crate::server::{self, Intake, Push, PushKind, Response};
use crate::telemetry::{PushCounts, PushOutcome, panic_message};

/// Pushes that wait for being read. What their bodies take together the server bounds.
const WAITING: usize = 16;

/// When who found no room, or whose push was lost, is to try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Where pushes are taken, and the thread that reads them.
pub struct Pushes {
    desk: Arc<Desk>,
    max_bytes: usize,
    resource: Arc<Mutex<Arc<Resource>>>,
    thread: Id,
    /// Dropped to end the thread.
    _stop: Sender<()>,
}

struct Desk {
    waiting: Sender<(Push, Ticket)>,
    counts: Arc<PushCounts>,
}

/// A push's ticket, whose answer is counted.
struct Ticket {
    ticket: Option<server::Ticket>,
    kind: PushKind,
    counts: Arc<PushCounts>,
}

impl Ticket {
    fn answer(mut self, response: Response) {
        self.counts.answered(self.kind, PushOutcome::of_status(response.status));
        if let Some(ticket) = self.ticket.take() {
            ticket.answer(response);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // The server's own, which is dropped with it, answers 503.
        if self.ticket.is_some() {
            self.counts.answered(self.kind, PushOutcome::Unavailable);
        }
    }
}

struct Reader {
    waiting: Receiver<(Push, Ticket)>,
    stop: Receiver<()>,
    fanout: Arc<Fanout>,
    resource: Arc<Mutex<Arc<Resource>>>,
    max_bytes: usize,
    room: Room,
}

impl Pushes {
    /// Takes pushes of at most `max_bytes`, packed or not, for the lanes of `fanout`.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn start(
        max_bytes: usize,
        fanout: &Arc<Fanout>,
        resource: Arc<Resource>,
        counts: &Arc<PushCounts>,
        threads: &mut Threads,
    ) -> io::Result<Pushes> {
        let (put, waiting) = bounded(WAITING);
        let (stop, stops) = bounded(0);
        let resource = Arc::new(Mutex::new(resource));
        let reader = Reader {
            waiting,
            stop: stops,
            fanout: Arc::clone(fanout),
            resource: Arc::clone(&resource),
            max_bytes,
            // As much as one may take that is as large as it may be.
            room: Room::new(max_bytes.saturating_mul(MEMORY_FACTOR)),
        };
        let thread = threads.spawn("push", move || reader.run())?;
        let desk = Arc::new(Desk { waiting: put, counts: Arc::clone(counts) });
        Ok(Pushes { desk, max_bytes, resource, thread, _stop: stop })
    }

    /// Whether it takes what may be so large.
    pub fn is_for(&self, max_bytes: usize) -> bool {
        self.max_bytes == max_bytes
    }

    /// What is pushed from now on has come to this host.
    pub fn comes_to(&self, resource: Arc<Resource>) {
        *self.resource.lock().unwrap_or_else(PoisonError::into_inner) = resource;
    }

    /// For the server.
    pub fn intake(&self) -> server::Pushes {
        let intake: Arc<dyn Intake> = Arc::<Desk>::clone(&self.desk);
        server::Pushes { intake, max_bytes: self.max_bytes }
    }

    /// The thread ends with the push that it reads; those that wait are answered that they have to come again.
    pub fn stop(self, threads: &mut Threads) {
        threads.ask(&[self.thread]);
    }
}

impl Intake for Desk {
    fn takes(&self, kind: PushKind) -> bool {
        kind == PushKind::OtlpLogs
    }

    fn take(&self, push: Push, ticket: server::Ticket) {
        let ticket = Ticket { ticket: Some(ticket), kind: push.kind, counts: Arc::clone(&self.counts) };
        // Where there is no room, and at the end, it comes back and is dropped: that answers 503.
        drop(self.waiting.try_send((push, ticket)));
    }

    fn turned_away(&self, kind: PushKind, status: u16, why: &str) {
        self.counts.answered(kind, PushOutcome::of_status(status));
        self.counts.trouble.note(format!("{} was answered {status}: {why}", kind.as_str()), monotonic());
    }
}

impl Reader {
    fn run(self) {
        loop {
            select! {
                recv(self.stop) -> _ => return,
                recv(self.waiting) -> push => {
                    let Ok((push, ticket)) = push else { return };
                    let read = catch_unwind(AssertUnwindSafe(|| self.read(push, ticket)));
                    if let Err(panic) = read {
                        log::error!("reading a push panicked ({}); it is answered 503", panic_message(&*panic));
                    }
                }
            }
        }
    }

    fn read(&self, push: Push, ticket: Ticket) {
        let Some(encoding) = Encoding::of(&push.content_type) else {
            let why = "OTLP is application/x-protobuf or application/json";
            return ticket.answer(Response::text(415, why));
        };
        let records = match self.records(&push, encoding) {
            Ok(records) => records,
            Err((status, why)) => return ticket.answer(answer(encoding, status, encoding.refused(&why))),
        };
        let count = records.len();
        log::debug!("a push of {count} records in {} bytes", push.body.len());
        if !self.fanout.takes(Signal::Records) {
            let why = "no destination takes logs";
            return ticket.answer(answer(encoding, 503, encoding.refused(why)));
        }
        let weight = records.iter().map(Record::weight).sum();
        let Some(room) = self.room.take(weight) else {
            let why = "too much is under way; try again";
            return ticket.answer(answer(encoding, 503, encoding.refused(why)));
        };
        // Its body, too, counts as under way until the receipt comes.
        let receipt = Receipt::new(move |fate| {
            drop((room, push));
            ticket.answer(match fate {
                Fate::Taken => answer(encoding, 200, encoding.taken()),
                Fate::Lost => {
                    let why = "a destination had no room for it, or did not take it in time; try again";
                    answer(encoding, 503, encoding.refused(why))
                }
            });
        });
        let resource = Arc::clone(&self.resource.lock().unwrap_or_else(PoisonError::into_inner));
        let records = Records { time_ms: wall_ms(), resource, records };
        self.fanout.hand(&Payload::Records(Arc::new(records)), receipt);
    }

    /// What is in a push, or status and words for why it is not taken.
    fn records(&self, push: &Push, encoding: Encoding) -> Result<Vec<Record>, (u16, String)> {
        let too_large =
            || (413, format!("a push may be {} bytes, unpacked too (listen.push.max_bytes)", self.max_bytes));
        let unpacked;
        let body = match push.encoding {
            server::Encoding::Identity => &push.body[..],
            server::Encoding::Gzip => {
                unpacked = gunzip(&push.body, self.max_bytes).map_err(|error| match error {
                    Unpack::TooLarge => too_large(),
                    Unpack::Damaged => (400, "its gzip is damaged".to_owned()),
                })?;
                &unpacked[..]
            }
        };
        let now_ns = u64::try_from(wall_ms()).unwrap_or(0).saturating_mul(1_000_000);
        logs::records(encoding, body, self.max_bytes, now_ns).map_err(|refused| match refused {
            Refused::Malformed(why) => (400, format!("it is not understood: {why}")),
            Refused::TooMuch => (413, "it holds too many parts; send it in smaller ones".to_owned()),
        })
    }
}

fn answer(encoding: Encoding, status: u16, body: Vec<u8>) -> Response {
    let retry_after = (status == 503).then_some(RETRY_AFTER);
    Response { retry_after, ..Response::page(status, encoding.content_type(), body) }
}
