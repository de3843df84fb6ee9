//! The start of a lane's threads: together or not at all, and behind the lane before it.
//!
//! A lane may come after another one of its name: with another number of senders, or because
//! the destination was taken away and came back while the old lane was ending. Both have one
//! queue. What is collected goes there at once, whatever the old lane waits for; its senders
//! finish what they have under way before the new ones begin, so that order is kept and
//! nothing is sent twice.

use std::sync::{Arc, OnceLock, Weak};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::worker::BodyMaker;

/// Lets threads begin that wait for it; without that they end, having done nothing.
pub struct Starter {
    agreed: Arc<OnceLock<Go>>,
    /// Dropped to be heard.
    _held: Sender<()>,
}

/// A thread's side of a [`Starter`].
#[derive(Clone)]
pub struct Start {
    agreed: Arc<OnceLock<Go>>,
    held: Receiver<()>,
    before: Option<Before>,
}

/// What was agreed.
#[derive(Clone, Copy, Debug)]
struct Go {
    /// The lane before has ended its queue, or is about to.
    queue_ends: bool,
}

/// The threads of the lane before: each of these is closed when all of its kind have ended.
#[derive(Clone)]
pub struct Before {
    pub(super) worker: Receiver<()>,
    pub(super) keeper: Receiver<()>,
    pub(super) senders: Receiver<()>,
    /// Knows what the destination has been sent.
    pub(super) maker: Weak<BodyMaker>,
}

/// Which kind of thread starts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Encodes: behind the one that did, so that order is kept.
    Worker,
    /// Looks after the disk: behind the one that did.
    Keeper,
    /// Sends: behind all that could still send, or bring something to be sent.
    Sender,
}

/// A starter, and what its threads wait with.
pub fn start(before: Option<Before>) -> (Starter, Start) {
    let (held, hear) = bounded(0);
    let agreed = Arc::new(OnceLock::new());
    (Starter { agreed: Arc::clone(&agreed), _held: held }, Start { agreed, held: hear, before })
}

impl Starter {
    /// The threads begin. `queue_ends`: the lane before had no chance to leave its queue to them.
    pub fn go(self, queue_ends: bool) {
        let _ = self.agreed.set(Go { queue_ends });
    }
}

impl Start {
    /// Waits for the word to begin, and for those before it. False: there is nothing to begin.
    pub fn wait(&self, part: Part) -> bool {
        // Nothing is ever sent: it closes.
        let _ = self.held.recv();
        let Some(go) = self.agreed.get() else { return false };
        if let Some(before) = &self.before {
            let closes = |channel: &Receiver<()>| while channel.recv().is_ok() {};
            closes(if part == Part::Keeper { &before.keeper } else { &before.worker });
            if part == Part::Sender || go.queue_ends {
                closes(&before.senders);
            }
        }
        true
    }

    /// What knows what the destination was sent by the lane before.
    pub fn maker_before(&self) -> Option<Arc<BodyMaker>> {
        self.before.as_ref()?.maker.upgrade()
    }
}
