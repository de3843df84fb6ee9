//! The loop that keeps the beat, and takes up a new plan between two ticks.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, TryRecvError, select};

use super::clock::{Clock, Event, Reading, Ruling, Stamp};
use super::schedule::Grid;
use super::slow::Finished;
use super::{Collectors, Fanout, Fresh, PRIME};
use crate::host::monotonic;
use crate::model::{Batch, Frame, Resource};
use crate::telemetry::{StepDirection, Telemetry, rfc3339};

/// What changes with a reload.
pub struct Plan {
    /// Time between two rounds.
    pub interval: Duration,
    /// The names of all collectors from now on, in the order in which they run.
    pub order: Vec<&'static str>,
    /// Those of them that are new, or whose settings are. The others go on as they are.
    pub fresh: Fresh,
}

/// What the loop has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// A round has ended.
    Round,
    /// It sleeps, and nothing is overdue.
    Asleep,
}

/// Tells a supervisor that the beat is kept. A collector that hangs silences it.
pub struct Pulse {
    /// The longest silence while the loop sleeps; none: any.
    pub every: Option<Duration>,
    /// Is told; must not block.
    pub beat: Box<dyn FnMut(Sign) + Send>,
}

impl Default for Pulse {
    /// Nobody wants to know.
    fn default() -> Pulse {
        Pulse { every: None, beat: Box::new(|_| {}) }
    }
}

/// The loop that keeps the beat.
pub struct Scheduler {
    /// What is collected.
    pub collectors: Collectors,
    /// Where it goes.
    pub fanout: Arc<Fanout>,
    /// What is known of it.
    pub telemetry: Arc<Telemetry>,
    /// What it belongs to.
    pub resource: Arc<Resource>,
    /// Time between two rounds.
    pub interval: Duration,
    /// Brings new plans; closes when it is time to stop.
    pub plans: Receiver<Plan>,
    /// Which stamps ticks get.
    pub clock: Clock,
    /// Reads the clocks.
    pub read: Box<dyn FnMut() -> Reading + Send>,
    /// Sources that a reload has taken away, and whose end is still to be sent; none at first.
    pub ended: Vec<&'static str>,
    /// When the lanes are to be told that a while has passed since the last batch; none at first.
    pub nudge_at: Option<Duration>,
    /// Who is told that the loop goes round.
    pub pulse: Pulse,
}

/// The while: a little over the second after which a lane wants what is still under way on
/// its disk.
const NUDGE: Duration = Duration::from_millis(1100);

/// What ends a sleep.
enum Woken {
    Due,
    Planned(Plan),
    Stopped,
}

impl Scheduler {
    /// Runs until `plans` closes.
    pub fn run(mut self) {
        let tick = (self.read)().tick();
        self.collectors.prime(&tick);
        let mut next = monotonic() + PRIME;
        let mut missed = 0;
        // With the moment of the last round.
        let mut grid: Option<(Grid, Duration)> = None;
        loop {
            match self.sleep_until(next) {
                Woken::Stopped => return,
                Woken::Planned(plan) => {
                    let interval = self.interval;
                    self.take_up(plan);
                    if let (true, Some((grid, last))) = (interval != self.interval, &mut grid) {
                        // What would have been due since the last round had the interval
                        // been the new one already was not missed.
                        *grid = Grid::new(*last, self.interval);
                        (next, _) = grid.next(monotonic());
                    }
                }
                Woken::Due => {
                    let now = monotonic();
                    let (grid, last) = grid.get_or_insert_with(|| (Grid::new(now, self.interval), now));
                    *last = now;
                    self.round(missed);
                    (self.pulse.beat)(Sign::Round);
                    (next, missed) = grid.next(monotonic());
                    if missed > 0 {
                        log::warn!("a round took too long: {missed} of the grid's ticks are skipped");
                    }
                }
            }
        }
    }

    fn take_up(&mut self, plan: Plan) {
        let tick = (self.read)().tick();
        for gone in self.collectors.change(&plan.order, plan.fresh, &tick) {
            self.telemetry.latest.remove(gone);
            self.ended.push(gone);
        }
        // One that was made anew goes on under its name.
        self.ended.retain(|gone| !plan.order.contains(gone));
        self.interval = plan.interval;
    }

    fn round(&mut self, missed: u64) {
        let reading = (self.read)();
        let ruling = self.clock.tick(reading);
        self.say(&reading, &ruling);
        let tick = reading.tick();
        let latest = &self.telemetry.latest;
        let mut frames = self.collectors.round(&tick, |silent| latest.remove(silent));
        if ruling.stamp.is_some() {
            // A source that a reload has taken away says so once, with a frame of nothing:
            // its series have ended, and are not merely late.
            let gone = self.ended.drain(..).filter(|gone| frames.iter().all(|frame| &*frame.source != *gone));
            let last: Vec<Frame> = gone.map(|source| Frame::ended(source, tick.wall_ms)).collect();
            frames.extend(last);
        }
        self.publish(tick.wall_ms, ruling.stamp, frames);
        for slow in &mut self.collectors.slow {
            slow.tick(&tick, ruling.stamp, self.interval);
        }
        match ruling.stamp {
            Some(_) => self.telemetry.collected(monotonic(), missed),
            None => self.telemetry.held(monotonic(), missed),
        }
    }

    /// What was read at a tick that was held has no time to be sent with; whoever pulls
    /// brings a time of their own.
    fn publish(&mut self, time_ms: i64, stamp: Option<Stamp>, frames: Vec<Frame>) {
        for frame in &frames {
            if frame.values.is_empty() {
                self.telemetry.latest.remove(&frame.source);
            } else {
                self.telemetry.latest.put(frame);
            }
        }
        if stamp.is_none() || self.fanout.is_empty() || frames.is_empty() {
            return;
        }
        self.fanout.put(&Arc::new(Batch { time_ms, resource: Arc::clone(&self.resource), frames }));
        // With a shorter interval the next batch comes before that, and says as much.
        self.nudge_at = (self.interval >= NUDGE).then(|| monotonic() + NUDGE);
    }

    /// Sleeps, publishing what slow collectors finish meanwhile.
    fn sleep_until(&mut self, deadline: Duration) -> Woken {
        let mut beat_at = self.pulse.every.map(|every| monotonic() + every);
        loop {
            let now = monotonic();
            if let (Some(at), Some(every)) = (beat_at, self.pulse.every) {
                if at <= now {
                    (self.pulse.beat)(Sign::Asleep);
                    beat_at = Some(now + every);
                }
            }
            if self.nudge_at.is_some_and(|at| at <= now) {
                self.nudge_at = None;
                self.fanout.nudge();
            }
            let left = deadline.saturating_sub(now);
            if left.is_zero() {
                // Under load this loop may never sleep; it must still hear all that it is told.
                while let Ok(done) = self.collectors.finished.try_recv() {
                    self.finished(done);
                }
                return match self.plans.try_recv() {
                    Ok(plan) => Woken::Planned(plan),
                    Err(TryRecvError::Disconnected) => Woken::Stopped,
                    Err(TryRecvError::Empty) => Woken::Due,
                };
            }
            let next = self.nudge_at.into_iter().chain(beat_at).min();
            select! {
                recv(self.plans) -> plan => return plan.map_or(Woken::Stopped, Woken::Planned),
                recv(self.collectors.finished) -> done => {
                    if let Ok(done) = done {
                        self.finished(done);
                    }
                }
                default(next.map_or(left, |at| left.min(at.saturating_sub(now)))) => {}
            }
        }
    }

    fn finished(&mut self, done: Finished) {
        // One that a reload has taken away may still come back.
        let Some(slow) = self.collectors.slow.iter_mut().find(|slow| slow.gave(&done)) else { return };
        let running = slow.ended();
        let Some(frame) = done.frame else {
            self.telemetry.latest.remove(slow.name());
            return;
        };
        let mut stamp = running.and_then(|running| running.stamp);
        if stamp.is_some_and(|stamp| stamp.era != self.clock.era()) {
            // The clock went back while it was under way: what its lanes got since is older.
            self.telemetry.missed(1);
            stamp = None;
        }
        self.publish(frame.time_ms, stamp, vec![frame]);
    }

    /// Says what happened to the clock.
    fn say(&self, reading: &Reading, ruling: &Ruling) {
        if ruling.events.is_empty() {
            return;
        }
        let now = rfc3339(reading.wall_ms);
        let hold = |why: String| {
            log::warn!("{why}");
            self.telemetry.hold(Some(why));
        };
        for event in &ruling.events {
            match event {
                Event::Slept(time) => log::info!("the machine slept for {time:.1?}; nothing was collected meanwhile"),
                Event::Stepped(direction, by) => {
                    self.telemetry.clock_stepped(*direction);
                    let word = direction.as_str();
                    match direction {
                        StepDirection::Forward => log::info!("the clock was stepped {word} by {by:.1?}, to {now}"),
                        StepDirection::Backward => log::warn!("the clock was stepped {word} by {by:.1?}, to {now}"),
                    }
                }
                Event::Unset => hold(format!(
                    "the clock says {now}, which was before this program was built: it is not set, and nothing is \
                     sent until it is; pages are served as ever"
                )),
                Event::Set => {
                    log::info!("the clock is set: it says {now}; what is collected is sent from here on");
                    self.telemetry.hold(None);
                }
                Event::Behind(by) => {
                    hold(format!("the clock went back behind what was sent, by {by:.1?}; ticks are held until then"));
                }
                Event::CaughtUp(held) => {
                    log::info!("the clock has caught up; {held} ticks were held");
                    self.telemetry.hold(None);
                }
                Event::WentBack(by) => {
                    log::warn!("what is sent from here on is {by:.1?} older than what was: the clock's time is taken");
                    self.telemetry.hold(None);
                }
            }
        }
    }
}
