//! The start of a lane's threads: together or not at all, and behind the lane before it.
//!
//! A lane may come after another one of its name: with another number of senders, or because
//! the destination was taken away and came back while the old lane was ending. Both have one
//! queue. What is collected goes there at once, whatever the old lane waits for; its senders
//! finish what they have under way before the new ones begin, so that order is kept and
//! nothing is sent twice.

use std::sync::{Arc, OnceLock, Weak};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::body_maker::BodyMaker;

/// Lets threads begin that wait for it; without that they end, having done nothing.
pub struct Starter {
    agreed: Arc<OnceLock<Agreed>>,
    /// Dropped to be heard.
    _heard: Sender<()>,
}

/// A thread's side of a [`Starter`].
#[derive(Clone)]
pub struct Start {
    agreed: Arc<OnceLock<Agreed>>,
    heard: Receiver<()>,
    predecessor: Option<Predecessor>,
}

/// What was agreed with the lane before.
#[derive(Clone, Copy, Debug)]
struct Agreed {
    /// It has ended its queue, or is about to.
    queue_ends: bool,
}

/// The threads of a lane, as the one that comes after it sees them: each of these is closed
/// when all of its kind have ended.
#[derive(Clone)]
pub struct Predecessor {
    pub(super) worker: Receiver<()>,
    pub(super) keeper: Receiver<()>,
    pub(super) senders: Receiver<()>,
    /// Knows what the destination has been sent.
    pub(super) maker: Weak<BodyMaker>,
}

/// What a thread that starts does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Encodes: behind the one that did, so that order is kept.
    Worker,
    /// Looks after the disk: behind the one that did.
    Keeper,
    /// Sends: behind all that could still send, or bring something to be sent.
    Sender,
}

/// A starter, and what its threads wait with.
pub fn start(predecessor: Option<Predecessor>) -> (Starter, Start) {
    let (tell, heard) = bounded(0);
    let agreed = Arc::new(OnceLock::new());
    (Starter { agreed: Arc::clone(&agreed), _heard: tell }, Start { agreed, heard, predecessor })
}

impl Starter {
    /// The threads begin. `queue_ends`: the lane before had no chance to leave its queue to them.
    pub fn go(self, queue_ends: bool) {
        let _ = self.agreed.set(Agreed { queue_ends });
    }
}

impl Start {
    /// Waits for the word to begin, and for those before it. False: there is nothing to begin.
    pub fn wait(&self, role: Role) -> bool {
        // Nothing is ever sent: it closes.
        let _ = self.heard.recv();
        let Some(agreed) = self.agreed.get() else { return false };
        if let Some(before) = &self.predecessor {
            let closes = |channel: &Receiver<()>| while channel.recv().is_ok() {};
            closes(if role == Role::Keeper { &before.keeper } else { &before.worker });
            if role == Role::Sender {
                closes(&before.senders);
            }
            if agreed.queue_ends {
                closes(&before.keeper);
            }
        }
        true
    }

    /// What knows what the destination was sent by the lane before.
    pub fn maker_before(&self) -> Option<Arc<BodyMaker>> {
        self.predecessor.as_ref()?.maker.upgrade()
    }
}
