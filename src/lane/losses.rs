//! What is lost on its way to a destination: counted at once, said in the log each minute.

use std::time::Duration;

use crate::host::monotonic;
use crate::telemetry::{DestinationStatus, DropReason, counted};

/// What goes on being wrong is said each minute; each cause by itself.
pub const LOG_EVERY: Duration = Duration::from_secs(60);

/// What nobody else has a line about, and what it has.
const SAID: [(DropReason, &str); 5] = [
    (
        DropReason::MailboxFull,
        "this machine is too busy to encode all that it collects, or its spool's disk too slow to take it",
    ),
    (
        DropReason::QueueFull,
        "as much waits as may (spool.max_bytes, spool.total_max_bytes; in memory spool.memory_max_bytes); the oldest goes first",
    ),
    (DropReason::Expired, "it waited for longer than spool.max_age"),
    (
        DropReason::Unconfirmed,
        "it was in memory for 30 s, with no disk to take it; its source was told, and may send it again",
    ),
    (DropReason::Damaged, "its files in the spool were damaged or taken away"),
];

/// `samples` are lost.
pub fn lose(status: &DestinationStatus, reason: DropReason, samples: u64) {
    if samples > 0 {
        status.dropped(reason, samples, monotonic());
        say(status);
    }
}

/// Says what was lost since it was last said, a minute ago or longer. To be called now and
/// then, so that the last losses are said as well.
pub fn say(status: &DestinationStatus) {
    say_due(status, false);
}

/// Says what has not been said: there will be no other occasion.
pub fn say_all(status: &DestinationStatus) {
    say_due(status, true);
}

fn say_due(status: &DestinationStatus, is_last: bool) {
    for (reason, why) in SAID {
        if let Some(samples) = status.loss_to_say(reason, monotonic(), is_last) {
            log::warn!("destination {}: lost {}: {why}", status.lane(), counted(samples, status.signal().thing()));
        }
    }
}
