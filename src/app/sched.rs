//! The thread that keeps the beat, looked after by `main`: when a collector hangs, another one goes on.

use std::io;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};

use super::signals::Signal;
use super::threads::{Id, Threads};
use crate::host::monotonic;
use crate::pipeline::{Beat, Look, Scheduler, Watch};

/// Where no thread can be had to go on with, it is tried again after this.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// The thread that keeps the beat now.
pub struct Sched {
    watch: Watch,
    id: Id,
    /// That no thread is to be had was said.
    said: bool,
}

impl Sched {
    /// Starts the thread. A collector hangs when its call takes longer than `limit`.
    pub fn start(threads: &mut Threads, scheduler: Scheduler, limit: Duration) -> io::Result<Sched> {
        let beat = Beat::new(scheduler.collectors.hand_in());
        let (keeper, scheduler) = (beat.clone(), Box::new(scheduler));
        let id = threads.spawn("sched", move || keeper.keep(scheduler))?;
        Ok(Sched { watch: Watch::new(beat, limit), id, said: false })
    }

    /// Looks whether a collector hangs, and if so lets another thread go on. How long to wait
    /// before the next look.
    pub fn look(&mut self, threads: &mut Threads) -> Duration {
        let now = monotonic();
        let hang = match self.watch.look(now) {
            Look::Well(until) => return until.saturating_sub(now),
            Look::Hangs(hang) => hang,
        };
        // First the thread, which may not be had, and then what it is to go on with.
        let (give, given) = bounded(1);
        let beat = self.watch.beat().clone();
        let next = threads.spawn("sched", move || given.iter().take(1).for_each(|scheduler| beat.keep(scheduler)));
        let next = match next {
            Ok(next) => next,
            Err(error) => {
                if !std::mem::replace(&mut self.said, true) {
                    log::error!("a collector hangs, and no thread can be started to go on without it: {error}");
                }
                return TRY_AGAIN;
            }
        };
        self.said = false;
        match self.watch.take_over(hang) {
            Some(scheduler) => {
                // It ends when the call comes back, if ever; nobody waits for that.
                threads.ask(&[self.id]);
                threads.forgo(self.id);
                self.id = next;
                let _ = give.send(scheduler);
            }
            // It has come back at the last moment.
            None => threads.ask(&[next]),
        }
        Duration::ZERO
    }

    /// Something was sent to the scheduler.
    pub fn wakes(&self) {
        self.watch.beat().wakes();
    }

    /// Waits for the thread, which has been asked to end. Whether it has.
    pub fn wait(&self, threads: &mut Threads, patience: Duration, signals: &Receiver<Signal>) -> bool {
        let ended = threads.wait_for(self.id, patience, signals);
        if !ended {
            threads.forgo(self.id);
        }
        ended
    }
}
