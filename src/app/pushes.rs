//! Pushes on their way from the server to the lanes, and the lanes' receipts on the way back.
//!
//! ```text
//! guard -> Desk (bounded) -> thread "push": unpack, read -> lanes -> receipt -> ticket -> guard
//! ```
//!
//! The thread reads one push at a time and waits for no lane. What has been read takes room until its receipt comes,
//! and where there is none a push has to come again.

use std::borrow::Cow;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, after, bounded, never, select};

use super::threads::{Id, Threads};
use crate::host::{monotonic, wall_ms};
use crate::ingest::logs::{self, MEMORY_FACTOR, Refused};
use crate::ingest::otlp::Encoding;
use crate::ingest::push::otlp::{self, Rejected};
use crate::ingest::push::{self, Pushed};
use crate::ingest::{PushSettings, Room, Unpack, gunzip};
use crate::model::{Batch, Fate, Frame, Payload, Receipt, Record, Records, Resource, Signal, ViewSlots};
use crate::pipeline::{Fanout, Others};
use crate::server::{self, Intake, Push, PushKind, Response};
use crate::telemetry::{PushCounts, PushOutcome, Telemetry, panic_message};

/// What the pusher of increases is told then.
const SUMMED_UP: &str = "a destination has lost it; what was counted comes with the next push";

/// Pushes that wait for being read. What their bodies take together the server bounds.
const WAITING: usize = 16;

/// When who found no room, or whose push was lost, is to try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What a pusher is told whose push a lane has lost.
const LOST: &str = "a destination had no room for it, or did not take it in time; try again";

/// Where pushes are taken, and the thread that reads them.
pub struct Pushes {
    desk: Arc<Desk>,
    shared: Arc<Mutex<Shared>>,
    thread: Id,
    /// Dropped to end the thread.
    _stop: Sender<()>,
}

/// What a reload changes.
#[derive(Clone)]
struct Shared {
    settings: PushSettings,
    /// What is pushed has come to this host.
    resource: Arc<Resource>,
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

impl Ticket {
    /// Answers that it is not taken, and takes note of why.
    fn refuse(self, status: u16, why: &str, response: Response) {
        self.note(&format!("was answered {status}: {why}"));
        self.answer(response);
    }

    /// Takes note of what is wrong with it.
    fn note(&self, what: &str) {
        self.counts.trouble.note(format!("{} {what}", self.kind.as_str()), monotonic());
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
    telemetry: Arc<Telemetry>,
    shared: Arc<Mutex<Shared>>,
    /// As the last look at it was.
    now: Shared,
    room: Room,
    pushed: Pushed,
}

impl Pushes {
    /// Takes pushes for the lanes of `fanout`.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn start(
        settings: &PushSettings,
        fanout: &Arc<Fanout>,
        telemetry: &Arc<Telemetry>,
        views: &ViewSlots,
        resource: Arc<Resource>,
        counts: &Arc<PushCounts>,
        threads: &mut Threads,
    ) -> io::Result<Pushes> {
        let (put, waiting) = bounded(WAITING);
        let (stop, stops) = bounded(0);
        let now = Shared { settings: settings.clone(), resource };
        let shared = Arc::new(Mutex::new(now.clone()));
        let reader = Reader {
            waiting,
            stop: stops,
            fanout: Arc::clone(fanout),
            telemetry: Arc::clone(telemetry),
            shared: Arc::clone(&shared),
            now,
            room: room(settings),
            pushed: Pushed::new(settings.clone(), views, counts, wall_ms()),
        };
        let thread = threads.spawn("push", move || reader.run())?;
        let desk = Arc::new(Desk { waiting: put, counts: Arc::clone(counts) });
        Ok(Pushes { desk, shared, thread, _stop: stop })
    }

    /// From the next push on these are the settings, and what is pushed has come to this host.
    pub fn change_to(&self, settings: &PushSettings, resource: Arc<Resource>) {
        *self.shared() = Shared { settings: settings.clone(), resource };
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sources of what is pushed, with the time after which two frames of theirs are missing.
    pub fn sources(&self) -> Others {
        vec![(push::SOURCES.into(), self.shared().settings.expire / 2)]
    }

    /// For the server.
    pub fn intake(&self) -> server::Pushes {
        let intake: Arc<dyn Intake> = Arc::<Desk>::clone(&self.desk);
        server::Pushes { intake, max_bytes: self.shared().settings.max_bytes }
    }

    /// The thread ends with the push that it reads; those that wait are answered that they have to come again.
    pub fn stop(self, threads: &mut Threads) {
        threads.ask(&[self.thread]);
    }
}

impl Intake for Desk {
    fn takes(&self, _: PushKind) -> bool {
        true
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
    fn run(mut self) {
        loop {
            let next = self.pushed.next_look().map_or_else(never, |at| after(at.saturating_sub(monotonic())));
            select! {
                recv(self.stop) -> _ => return,
                recv(self.waiting) -> push => {
                    let Ok((push, ticket)) = push else { return };
                    self.look();
                    let read = catch_unwind(AssertUnwindSafe(|| self.read(push, ticket)));
                    if let Err(panic) = read {
                        log::error!("reading a push panicked ({}); it is answered 503", panic_message(&*panic));
                    }
                }
                recv(next) -> _ => self.look(),
            }
        }
    }

    /// Takes up what a reload has changed, and ends what has not come for too long.
    fn look(&mut self) {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if shared.settings != self.now.settings {
            self.room = room(&shared.settings);
            self.pushed.change_to(shared.settings.clone());
        }
        self.now = shared;
        let ended = self.pushed.expire(monotonic(), wall_ms());
        if !ended.is_empty() {
            self.hand(ended, Receipt::new(|_| ()));
        }
    }

    fn read(&mut self, push: Push, ticket: Ticket) {
        match push.kind {
            PushKind::Text => self.text(push, ticket),
            PushKind::OtlpMetrics => self.metrics(push, ticket),
            PushKind::OtlpLogs => self.logs(push, ticket),
        }
    }

    /// A page of Prometheus text.
    fn text(&mut self, push: Push, ticket: Ticket) {
        if let Some(why) = self.telemetry.why_held() {
            return ticket.refuse(503, &why, Response::unavailable(&why));
        }
        let frames = self.plain(&push).and_then(|page| {
            let read = self.pushed.text(&push.query, &push.content_type, &page, monotonic(), wall_ms());
            read.map_err(in_words)
        });
        let frames = match frames {
            Ok(frames) => frames,
            Err((status, why)) => return ticket.refuse(status, &why, Response::text(status, &why)),
        };
        self.hand(
            frames,
            Receipt::new(move |fate| {
                drop(push);
                match fate {
                    Fate::Taken => ticket.answer(Response::page(204, "text/plain; charset=utf-8", "")),
                    Fate::Lost => ticket.refuse(503, LOST, Response::unavailable(LOST)),
                }
            }),
        );
    }

    /// OTLP metrics.
    fn metrics(&mut self, push: Push, ticket: Ticket) {
        let Some(encoding) = Encoding::of(&push.content_type) else {
            let why = "OTLP is application/x-protobuf or application/json";
            return ticket.refuse(415, why, Response::text(415, why));
        };
        let refuse = move |ticket: Ticket, status, why: &str| {
            ticket.refuse(status, why, answer(encoding, status, encoding.refused(why)));
        };
        if let Some(why) = self.telemetry.why_held() {
            return refuse(ticket, 503, &why);
        }
        let read = self
            .plain(&push)
            .and_then(|body| self.pushed.otlp(encoding, &body, monotonic(), wall_ms()).map_err(in_words));
        let (frames, rejected, has_deltas) = match read {
            Ok(read) => read,
            Err((status, why)) => return refuse(ticket, status, &why),
        };
        if let Some(why) = &rejected.why {
            ticket.note(&format!("{} points were not taken: {why}", rejected.points));
        }
        self.hand(
            frames,
            Receipt::new(move |fate| {
                drop(push);
                match fate {
                    Fate::Taken => ticket.answer(answer(encoding, 200, otlp::partial(encoding, &rejected))),
                    // What came since the last push is summed up already, and goes out with the next one: sent
                    // again it would count twice.
                    Fate::Lost if has_deltas => {
                        ticket.note(LOST);
                        let rejected = Rejected { why: Some(SUMMED_UP.to_owned()), ..rejected };
                        ticket.answer(answer(encoding, 200, otlp::partial(encoding, &rejected)));
                    }
                    Fate::Lost => refuse(ticket, 503, LOST),
                }
            }),
        );
    }

    /// Hands frames to pages and lanes.
    fn hand(&self, frames: Vec<Frame>, receipt: Receipt) {
        for frame in &frames {
            if frame.values.is_empty() {
                self.telemetry.latest.remove(&frame.source);
            } else {
                self.telemetry.latest.put(frame, monotonic());
            }
        }
        let Some(time_ms) = frames.iter().map(|frame| frame.time_ms).max() else { return receipt.taken() };
        let batch = Batch::new(time_ms, Arc::clone(&self.now.resource), frames);
        self.fanout.hand(&Payload::Metrics(Arc::new(batch)), receipt);
    }

    fn logs(&self, push: Push, ticket: Ticket) {
        let Some(encoding) = Encoding::of(&push.content_type) else {
            let why = "OTLP is application/x-protobuf or application/json";
            return ticket.refuse(415, why, Response::text(415, why));
        };
        let records = match self.records(&push, encoding) {
            Ok(records) => records,
            Err((status, why)) => return ticket.refuse(status, &why, answer(encoding, status, encoding.refused(&why))),
        };
        let count = records.len();
        log::debug!("a push of {count} records in {} bytes", push.body.len());
        if !self.fanout.takes(Signal::Records) {
            let why = "no destination takes logs";
            return ticket.refuse(503, why, answer(encoding, 503, encoding.refused(why)));
        }
        let weight = records.iter().map(Record::weight).sum();
        let Some(room) = self.room.take(weight) else {
            let why = "too much is under way; try again";
            return ticket.refuse(503, why, answer(encoding, 503, encoding.refused(why)));
        };
        // Its body, too, counts as under way until the receipt comes.
        let receipt = Receipt::new(move |fate| {
            drop((room, push));
            match fate {
                Fate::Taken => ticket.answer(answer(encoding, 200, encoding.taken())),
                Fate::Lost => ticket.refuse(503, LOST, answer(encoding, 503, encoding.refused(LOST))),
            }
        });
        let resource = Arc::clone(&self.now.resource);
        let records = Records { time_ms: wall_ms(), resource, records };
        self.fanout.hand(&Payload::Records(Arc::new(records)), receipt);
    }

    /// What a push holds, unpacked, or status and words for why it is not taken.
    fn plain<'p>(&self, push: &'p Push) -> Result<Cow<'p, [u8]>, (u16, String)> {
        let max_bytes = self.now.settings.max_bytes;
        match push.encoding {
            server::Encoding::Identity => Ok(Cow::Borrowed(&push.body)),
            server::Encoding::Gzip => gunzip(&push.body, max_bytes).map(Cow::Owned).map_err(|error| match error {
                Unpack::TooLarge => {
                    (413, format!("a push may be {max_bytes} bytes, unpacked too (listen.push.max_bytes)"))
                }
                Unpack::Damaged => (400, "its gzip is damaged".to_owned()),
            }),
        }
    }

    /// The records in a push, or status and words for why it is not taken.
    fn records(&self, push: &Push, encoding: Encoding) -> Result<Vec<Record>, (u16, String)> {
        let body = &*self.plain(push)?;
        let now_ns = u64::try_from(wall_ms()).unwrap_or(0).saturating_mul(1_000_000);
        logs::records(encoding, body, self.now.settings.max_bytes, now_ns).map_err(|refused| match refused {
            Refused::Malformed(why) => (400, format!("it is not understood: {why}")),
            Refused::TooMuch => (413, "it holds too many parts; send it in smaller ones".to_owned()),
        })
    }
}

/// As much as one push may take that is as large as it may be.
fn room(settings: &PushSettings) -> Room {
    Room::new(settings.max_bytes.saturating_mul(MEMORY_FACTOR))
}

/// Status and words for metrics that are not taken.
fn in_words(refused: push::Refused) -> (u16, String) {
    match refused {
        push::Refused::Malformed(why) => (400, why),
        push::Refused::TooMuch(why) => (413, why),
        push::Refused::NoRoom(why) => (429, why),
    }
}

fn answer(encoding: Encoding, status: u16, body: Vec<u8>) -> Response {
    let retry_after = matches!(status, 429 | 503).then_some(RETRY_AFTER);
    Response { retry_after, ..Response::page(status, encoding.content_type(), body) }
}
