//! What each destination has been sent, and how that went.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::model::Signal;

/// How a destination is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DestinationState {
    /// The last request was delivered, or it alone was refused for good.
    Ok,
    /// The last request failed, and is tried again; or several in a row were refused for good, and the next one is tried.
    Retrying,
    /// It refuses us (credentials, address): everything is kept until a person mends it.
    Held,
    /// Nothing has been sent yet.
    Waiting,
}

impl DestinationState {
    /// The word in `/health`.
    pub fn as_str(self) -> &'static str {
        match self {
            DestinationState::Ok => "ok",
            DestinationState::Retrying => "retrying",
            DestinationState::Held => "held",
            DestinationState::Waiting => "waiting",
        }
    }
}

/// How a request ended: the `outcome` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 2xx, or written.
    Delivered,
    /// To be tried again: network error, timeout, 408, 429, 5xx.
    Retried,
    /// Kept until a person mends something: 401, 403, 404, 405, 3xx.
    Held,
    /// Refused for good: any other 4xx.
    Rejected,
    /// Too large (413): sent again at once, in parts.
    Divided,
    /// Not in this format (415, or an answer that does not say what was written): sent again at
    /// once, in an older one.
    Downgraded,
}

impl Outcome {
    /// All of them, in the order of the metrics page.
    pub const ALL: [Outcome; 6] =
        [Outcome::Delivered, Outcome::Retried, Outcome::Held, Outcome::Rejected, Outcome::Divided, Outcome::Downgraded];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Delivered => "delivered",
            Outcome::Retried => "retried",
            Outcome::Held => "held",
            Outcome::Rejected => "rejected",
            Outcome::Divided => "divided",
            Outcome::Downgraded => "downgraded",
        }
    }
}

/// Why samples were lost: the `reason` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// The mailbox between collection and encoding was full.
    MailboxFull,
    /// The queue reached its cap; the oldest went.
    QueueFull,
    /// It waited for longer than `spool.max_age`.
    Expired,
    /// It was damaged on disk, or removed from there.
    Damaged,
    /// The destination refused the request for good.
    Rejected,
    /// The destination answered 5xx to this request again and again, and took others.
    Stuck,
    /// The destination took the request but not all that was in it.
    Refused,
    /// The format cannot hold the value (NaN or infinity in JSON).
    Unencodable,
    /// Its source waited to hear of it, and no disk and no destination took it in time.
    Unconfirmed,
    /// metricsd stopped before they could be delivered.
    Shutdown,
}

impl DropReason {
    /// All of them, in the order of the metrics page.
    pub const ALL: [DropReason; 10] = [
        DropReason::MailboxFull,
        DropReason::QueueFull,
        DropReason::Expired,
        DropReason::Damaged,
        DropReason::Rejected,
        DropReason::Stuck,
        DropReason::Refused,
        DropReason::Unencodable,
        DropReason::Unconfirmed,
        DropReason::Shutdown,
    ];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            DropReason::MailboxFull => "mailbox_full",
            DropReason::QueueFull => "queue_full",
            DropReason::Expired => "expired",
            DropReason::Damaged => "damaged",
            DropReason::Rejected => "rejected",
            DropReason::Stuck => "stuck",
            DropReason::Refused => "refused",
            DropReason::Unencodable => "unencodable",
            DropReason::Unconfirmed => "unconfirmed",
            DropReason::Shutdown => "shutdown",
        }
    }
}

/// For so long after a loss it is a reason why metricsd is not well.
const LOSS_IS_NEWS: Duration = Duration::from_secs(300);

/// One line a minute says that samples are lost; one for each reason.
const SAY_LOSS_EVERY: Duration = Duration::from_secs(60);

/// What was lost for one reason. Times are of CLOCK_MONOTONIC.
#[derive(Debug, Default)]
struct Loss {
    last: Option<Duration>,
    /// When it was last said.
    said: Option<Duration>,
    /// Lost since then.
    unsaid: u64,
}

impl Loss {
    /// How many samples a line is to speak of, where one is due.
    fn say(&mut self, now: Duration, is_last: bool) -> Option<u64> {
        let early = !is_last && self.said.is_some_and(|said| now < said + SAY_LOSS_EVERY);
        if self.unsaid == 0 || early {
            return None;
        }
        self.said = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

/// What is wrong with how a destination's data is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// In words.
    pub why: String,
    /// There is no disk for it, which matters once something has to wait.
    pub is_lack: bool,
}

/// Counters and state of one of a destination's lanes.
#[derive(Debug)]
pub struct DestinationStatus {
    name: String,
    lane: String,
    kind: Mutex<&'static str>,
    signal: Signal,
    samples_sent: AtomicU64,
    bytes_sent: AtomicU64,
    requests: [AtomicU64; Outcome::ALL.len()],
    dropped: [AtomicU64; DropReason::ALL.len()],
    losses: Mutex<[Loss; DropReason::ALL.len()]>,
    /// Where each of its rules stands in the configuration, and how many samples it dropped.
    rules: Mutex<Vec<(String, u64)>>,
    queue_frames: AtomicU64,
    queue_bytes: AtomicU64,
    /// Wall-clock milliseconds of the oldest body that waits; `i64::MIN` where none does.
    queue_oldest_ms: AtomicI64,
    /// Wall-clock milliseconds; `i64::MIN` before the first.
    last_success_ms: AtomicI64,
    state: Mutex<(DestinationState, Option<String>)>,
    trouble: Mutex<Option<Trouble>>,
    unverified: AtomicBool,
}

impl DestinationStatus {
    /// Of a destination that has been sent nothing. `kind` is its `type` in the configuration.
    pub fn new(name: impl Into<String>, kind: &'static str) -> DestinationStatus {
        DestinationStatus::of(Signal::Metrics, name, kind)
    }

    /// The same of the lane of one signal: what it counts are samples, or records.
    pub fn of(signal: Signal, name: impl Into<String>, kind: &'static str) -> DestinationStatus {
        let name = name.into();
        DestinationStatus {
            lane: format!("{name}{}", signal.suffix()),
            name,
            kind: Mutex::new(kind),
            signal,
            samples_sent: AtomicU64::new(0),
            bytes_sent: AtomicU64::new(0),
            requests: Default::default(),
            dropped: Default::default(),
            losses: Mutex::default(),
            rules: Mutex::default(),
            queue_frames: AtomicU64::new(0),
            queue_bytes: AtomicU64::new(0),
            queue_oldest_ms: AtomicI64::new(i64::MIN),
            last_success_ms: AtomicI64::new(i64::MIN),
            state: Mutex::new((DestinationState::Waiting, None)),
            trouble: Mutex::default(),
            unverified: AtomicBool::new(false),
        }
    }

    /// As in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same, with what tells its lane from the others of this destination.
    pub fn lane(&self) -> &str {
        &self.lane
    }

    /// What its lane carries.
    pub fn signal(&self) -> Signal {
        self.signal
    }

    /// Its `type` in the configuration.
    pub fn kind(&self) -> &'static str {
        *self.kind.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What its `type` is now, and whether it is sent to without knowing who it is
    /// (`insecure_skip_verify`).
    pub fn is_of(&self, kind: &'static str, unverified: bool) {
        *self.kind.lock().unwrap_or_else(PoisonError::into_inner) = kind;
        self.unverified.store(unverified, Ordering::Relaxed);
    }

    /// A request was delivered at `wall_ms`: `bytes` on the wire, holding `samples`.
    pub fn delivered(&self, samples: u64, bytes: u64, wall_ms: i64) {
        self.samples_sent.fetch_add(samples, Ordering::Relaxed);
        self.bytes_sent.fetch_add(bytes, Ordering::Relaxed);
        self.last_success_ms.store(wall_ms, Ordering::Relaxed);
        self.requests[Outcome::Delivered as usize].fetch_add(1, Ordering::Relaxed);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.0 != DestinationState::Ok || state.1.is_some() {
            *state = (DestinationState::Ok, None);
        }
    }

    /// A request ended so, and what it held is sent again at once: that says nothing of how the
    /// destination is.
    pub fn sent_otherwise(&self, outcome: Outcome) {
        self.requests[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// A request was refused for good, but for `written` of its samples, and for this reason. It may be about that
    /// request alone, as long as others are delivered between such ones.
    pub fn rejected(&self, written: u64, why: String) {
        self.samples_sent.fetch_add(written, Ordering::Relaxed);
        self.requests[Outcome::Rejected as usize].fetch_add(1, Ordering::Relaxed);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let gets_through = written > 0 || *state == (DestinationState::Ok, None);
        *state = (if gets_through { DestinationState::Ok } else { DestinationState::Retrying }, Some(why));
    }

    /// What is wrong with how its data is kept, or nothing.
    pub fn keeps_badly(&self, why: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = why.map(|why| Trouble { why, is_lack: false });
    }

    /// There is no disk for what waits: nothing is wrong as long as nothing does.
    pub fn lacks_disk(&self, why: String) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(Trouble { why, is_lack: true });
    }

    /// What is wrong with how its data is kept.
    pub fn trouble(&self) -> Option<Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether it is sent to without knowing who it is.
    pub fn is_unverified(&self) -> bool {
        self.unverified.load(Ordering::Relaxed)
    }

    /// A request failed: how, what that makes of the destination, and why.
    pub fn failed(&self, outcome: Outcome, state: DestinationState, why: String) {
        self.requests[outcome as usize].fetch_add(1, Ordering::Relaxed);
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = (state, Some(why));
    }

    /// `samples` were lost at `now` (CLOCK_MONOTONIC).
    pub fn dropped(&self, reason: DropReason, samples: u64, now: Duration) {
        if samples == 0 {
            return;
        }
        self.dropped[reason as usize].fetch_add(samples, Ordering::Relaxed);
        let loss = &mut self.losses()[reason as usize];
        loss.last = Some(now);
        loss.unsaid += samples;
    }

    /// How many samples lost for `reason` have not been spoken of, where a line about them is
    /// due: the first ones at once, those that follow each minute. `is_last`: there will be
    /// no other occasion.
    pub fn loss_to_say(&self, reason: DropReason, now: Duration, is_last: bool) -> Option<u64> {
        self.losses()[reason as usize].say(now, is_last)
    }

    /// How long ago samples were last lost for `reason`; none where that is no news any more.
    pub fn recent_loss(&self, reason: DropReason, now: Duration) -> Option<Duration> {
        let ago = now.saturating_sub(self.losses()[reason as usize].last?);
        (ago < LOSS_IS_NEWS).then_some(ago)
    }

    fn losses(&self) -> MutexGuard<'_, [Loss; DropReason::ALL.len()]> {
        self.losses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its rules are those that stand there in the configuration. A place counts on.
    pub fn has_rules(&self, places: &[String]) {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let before = |place: &String| rules.iter().find(|(known, _)| known == place).map_or(0, |(_, count)| *count);
        *rules = places.iter().map(|place| (place.clone(), before(place))).collect();
    }

    /// Each of its rules has dropped so many samples more.
    pub fn rules_dropped(&self, samples: &[u64]) {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        rules.iter_mut().zip(samples).for_each(|((_, count), more)| *count += more);
    }

    /// Calls `with` for each of its rules: where it stands in the configuration, and how many
    /// samples it dropped since the start.
    pub fn each_rule(&self, mut with: impl FnMut(&str, u64)) {
        let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        rules.iter().for_each(|(place, count)| with(place, *count));
    }

    /// What waits now; `oldest_ms` is the wall-clock time of the oldest body.
    pub fn queue(&self, frames: u64, bytes: u64, oldest_ms: Option<i64>) {
        self.queue_frames.store(frames, Ordering::Relaxed);
        self.queue_bytes.store(bytes, Ordering::Relaxed);
        self.queue_oldest_ms.store(oldest_ms.unwrap_or(i64::MIN), Ordering::Relaxed);
    }

    /// State and last error. The error is gone with the next delivery.
    pub fn state(&self) -> (DestinationState, Option<String>) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Samples delivered since the start.
    pub fn samples_sent(&self) -> u64 {
        self.samples_sent.load(Ordering::Relaxed)
    }

    /// Body bytes delivered since the start, as they went over the wire (compressed).
    pub fn bytes_sent(&self) -> u64 {
        self.bytes_sent.load(Ordering::Relaxed)
    }

    /// Requests since the start that ended so.
    pub fn requests(&self, outcome: Outcome) -> u64 {
        self.requests[outcome as usize].load(Ordering::Relaxed)
    }

    /// Samples lost since the start for that reason.
    pub fn samples_dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize].load(Ordering::Relaxed)
    }

    /// Samples lost since the start for any reason.
    pub fn samples_dropped_total(&self) -> u64 {
        self.dropped.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Bodies that wait, the one in flight included.
    pub fn queue_frames(&self) -> u64 {
        self.queue_frames.load(Ordering::Relaxed)
    }

    /// Their bytes.
    pub fn queue_bytes(&self) -> u64 {
        self.queue_bytes.load(Ordering::Relaxed)
    }

    /// Age of the oldest body that waits, in seconds at `wall_ms`; 0 where none does.
    pub fn queue_oldest_seconds(&self, wall_ms: i64) -> f64 {
        match self.queue_oldest_ms.load(Ordering::Relaxed) {
            i64::MIN => 0.0,
            oldest => wall_ms.saturating_sub(oldest).max(0) as f64 / 1000.0,
        }
    }

    /// Wall-clock milliseconds of the last delivery.
    pub fn last_success_ms(&self) -> Option<i64> {
        match self.last_success_ms.load(Ordering::Relaxed) {
            i64::MIN => None,
            at => Some(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_well_as_long_as_something_gets_through_between_what_it_refuses_for_good() {
        let status = DestinationStatus::new("x", "http_json");
        let refuse = |written| {
            status.rejected(written, "413".to_owned());
            assert_eq!(status.state().1.as_deref(), Some("413"));
            status.state().0
        };
        assert_eq!(refuse(0), DestinationState::Retrying, "nothing ever did");
        status.delivered(1, 10, 5_000);
        assert_eq!(status.state(), (DestinationState::Ok, None));
        assert_eq!(
            [refuse(0), refuse(0), refuse(0)],
            [DestinationState::Ok, DestinationState::Retrying, DestinationState::Retrying]
        );
        assert_eq!(refuse(2), DestinationState::Ok, "a part of it did");
        assert_eq!(refuse(0), DestinationState::Retrying);
        assert_eq!((status.requests(Outcome::Rejected), status.samples_sent()), (6, 3));
    }
}
