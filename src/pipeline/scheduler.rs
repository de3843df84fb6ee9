//! What keeping the beat takes: a round at each tick of the grid, and between two of them what a reload brings.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, TryRecvError, select};

use super::clock::{Clock, Event, Reading, Ruling, Stamp};
use super::done::{Done, Others, SlowRound};
use super::fanout::Fanout;
use super::own::Own;
use super::schedule::Grid;
use super::slots::{Back, Call, Collectors, Fresh};
use crate::collectors::Tick;
use crate::host::monotonic;
use crate::model::{Batch, Frame, Resource, Roster, stands_for};
use crate::telemetry::{StepDirection, Telemetry, panic_message, rfc3339, rough_duration};

/// How long before the first round the first reading is taken, for values that are
/// differences of two: fifteen of the kernel's clock ticks, and ready 0.2 s after the start.
const PRIME: Duration = Duration::from_millis(150);

/// What changes with a reload.
pub struct Update {
    /// Time between two rounds.
    pub interval: Duration,
    /// What is collected belongs to this from now on.
    pub resource: Arc<Resource>,
    /// The names of all collectors from now on, in the order in which they run.
    pub order: Vec<&'static str>,
    /// Those of them that are new, or whose settings are. The others go on as they are.
    pub fresh: Fresh,
    /// What else gives frames from now on, each with the time between two of them.
    pub others: Others,
    /// Those of them that are asked at each tick.
    pub asked: Vec<Arc<dyn AtTick>>,
}

/// A source that is no collector and gives its numbers at each tick: what has come to it since the last one.
pub trait AtTick: Send + Sync {
    /// What there is at `time_ms` of the wall clock. Waits for nothing but memory.
    fn frame(&self, time_ms: i64) -> Frame;
}

/// What the loop has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// A round has ended.
    Round,
    /// What was collected since the last round is published, and no slow collector's round
    /// is under way.
    Complete,
    /// It sleeps, or goes from one collector to the next, and nothing hangs.
    Alive,
}

/// Tells a supervisor that the beat is kept.
pub struct Pulse {
    /// The longest silence while nothing hangs; none: any.
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

/// All that keeping the beat takes. [`Beat::keep`](super::Beat::keep) runs it.
pub struct Scheduler {
    /// What is collected.
    pub collectors: Collectors,
    /// What else gives frames.
    pub others: Others,
    /// Those of them that are asked at each tick.
    pub asked: Vec<Arc<dyn AtTick>>,
    /// Where it goes.
    pub fanout: Arc<Fanout>,
    /// What is known of it.
    pub telemetry: Arc<Telemetry>,
    /// What it belongs to.
    pub resource: Arc<Resource>,
    /// Time between two rounds.
    pub interval: Duration,
    /// Brings what a reload changes; closes when it is time to stop.
    pub updates: Receiver<Update>,
    /// Which stamps ticks get.
    pub clock: Clock,
    /// Reads the clocks.
    pub read: Box<dyn FnMut() -> Reading + Send>,
    /// Who is told that the loop goes round.
    pub pulse: Pulse,
    /// How far it has come; at first nowhere.
    pub progress: Progress,
}

/// How far the beat has come.
#[derive(Default)]
pub struct Progress {
    /// The grid, and the moment of the last round; none before the first one.
    grid: Option<(Grid, Duration)>,
    /// When the next round is due; none before the collectors are primed.
    next: Option<Duration>,
    /// Ticks that were missed before that.
    missed: u64,
    round: Option<Round>,
    /// The tick of the priming that is under way.
    priming: Option<Tick>,
    /// Sources that a reload has taken away, and whose end is still to be sent.
    ended: Vec<&'static str>,
    /// Which sources there are; none until somebody is to be told.
    roster: Option<Arc<Roster>>,
    /// metricsd's own metrics, for the lanes that want them.
    own: Own,
    /// What sources have given that are no collectors, until it goes out.
    gathered: Gathered,
    /// When the lanes are to be told that a while has passed since the last batch.
    nudge_at: Option<Duration>,
    /// When the supervisor was last told anything.
    told: Duration,
}

/// A round that is under way.
struct Round {
    tick: Tick,
    stamp: Option<Stamp>,
    /// The slot of the next collector.
    at: usize,
    frames: Vec<Frame>,
}

/// Frames that go out together: a thousand targets are not a thousand requests.
#[derive(Default)]
struct Gathered {
    frames: Vec<Frame>,
    samples: usize,
    /// When they go out at the latest, CLOCK_MONOTONIC.
    until: Option<Duration>,
}

/// How long a frame waits for others, and how many samples make a batch.
const GATHER: Duration = Duration::from_secs(1);
const GATHER_SAMPLES: usize = 10_000;

/// The while: a little over the second after which a lane wants what is still under way on
/// its disk.
const NUDGE: Duration = Duration::from_millis(1100);

/// What ends a sleep.
enum Woken {
    Due,
    Updated(Update),
    /// A collector has come back that was given up, and is to be primed.
    Returned,
    Stopped,
}

/// Asks a source. A bug of its own costs its frame and nothing else.
fn ask(source: &dyn AtTick, time_ms: i64) -> Option<Frame> {
    let asked = catch_unwind(AssertUnwindSafe(|| source.frame(time_ms)));
    asked.inspect_err(|panic| log::error!("a source met a bug: {}", panic_message(&**panic))).ok()
}

impl Scheduler {
    /// The next collector to call, which is to be given [`Scheduler::back`] when that is done.
    /// Until there is one it sleeps, and tells `sleeps` until when. None: it is time to stop.
    pub(super) fn next_call(&mut self, sleeps: impl Fn(Duration)) -> Option<Call> {
        loop {
            if let Some(round) = &mut self.progress.round {
                if let Some(call) = self.collectors.call_to_collect(&mut round.at, &round.tick, self.interval) {
                    return Some(call);
                }
                self.end_round();
            }
            if let Some(call) = self.call_to_prime() {
                return Some(call);
            }
            let next = *self.progress.next.get_or_insert_with(|| monotonic() + PRIME);
            sleeps(next);
            match self.sleep_until(next) {
                Woken::Stopped => return None,
                Woken::Updated(update) => self.take_up(update),
                Woken::Returned => {}
                Woken::Due => {
                    let now = monotonic();
                    let (_, last) = self.progress.grid.get_or_insert_with(|| (Grid::new(now, self.interval), now));
                    *last = now;
                    self.begin_round(0);
                }
            }
        }
    }

    /// A call has come back.
    pub(super) fn back(&mut self, call: Call) {
        match self.collectors.back(call) {
            Back::Gave(frame) => {
                if let Some(round) = &mut self.progress.round {
                    round.frames.push(frame);
                }
            }
            Back::Silent(name) => self.telemetry.latest.remove(name),
            Back::Primed => {}
        }
        // Many that are slow, one after the other, are no silence either.
        if let Some(every) = self.pulse.every {
            let now = monotonic();
            if now.saturating_sub(self.progress.told) >= every {
                self.tell(Sign::Alive, now);
            }
        }
    }

    /// Another thread than before goes on from here. Where that one hangs in a collector's
    /// call, the collector is left behind with it: what the round has given so far is
    /// published with its time, and the collectors that did not have their turn have it now,
    /// with the time of now.
    pub(super) fn go_on(&mut self) {
        let now = monotonic();
        let Some((name, since)) = self.collectors.leave_behind(now) else { return };
        self.tell(Sign::Alive, now);
        log::error!(
            "collector {name} hangs: its call has not come back for {:.1} s; another thread goes on without it, and it \
             is asked again when it has come back",
            now.saturating_sub(since).as_secs_f64()
        );
        self.telemetry.latest.remove(name);
        if let Some(Round { tick, stamp, at, frames }) = self.progress.round.take() {
            self.publish(tick.wall_ms, stamp, frames, false);
            self.begin_round(at);
        }
    }

    fn call_to_prime(&mut self) -> Option<Call> {
        if !self.collectors.any_unprimed() {
            return None;
        }
        let (priming, read) = (&mut self.progress.priming, &mut self.read);
        let call = self.collectors.call_to_prime(monotonic(), || *priming.get_or_insert_with(|| read().tick()));
        if call.is_none() {
            self.progress.priming = None;
        }
        call
    }

    fn take_up(&mut self, update: Update) {
        let Update { interval, resource, order, fresh, others, asked } = update;
        self.change_others(others);
        self.asked = asked;
        for gone in self.collectors.change(&order, fresh) {
            self.telemetry.latest.remove(gone);
            self.progress.ended.push(gone);
        }
        // One that was made anew goes on under its name.
        self.progress.ended.retain(|gone| !order.contains(gone));
        self.progress.priming = None;
        self.resource = resource;
        self.progress.roster = None;
        if interval != std::mem::replace(&mut self.interval, interval) {
            if let Some((grid, last)) = &mut self.progress.grid {
                // What would have been due since the last round had the interval been the new
                // one already was not missed.
                *grid = Grid::new(*last, interval);
                self.progress.next = Some(grid.next(monotonic()).0);
            }
        }
    }

    /// From now on these are the sources that are no collectors.
    fn change_others(&mut self, others: Others) {
        let kept: HashSet<&str> = others.iter().map(|(name, _)| &**name).collect();
        for (gone, _) in self.others.iter().filter(|(name, _)| !kept.contains(&**name)) {
            self.telemetry.latest.remove_all(|source| stands_for(gone, source));
        }
        self.progress.gathered.frames.retain(|frame| kept.contains(&*frame.source));
        self.others = others;
        self.progress.roster = None;
    }

    /// A round from the slot `at` on, with the time of now.
    fn begin_round(&mut self, at: usize) {
        // What was read before it goes out before it.
        self.send_gathered();
        let reading = (self.read)();
        let ruling = self.clock.tick(reading);
        self.say(&reading, &ruling);
        let frames = Vec::with_capacity(self.collectors.len() - at.min(self.collectors.len()));
        self.progress.round = Some(Round { tick: reading.tick(), stamp: ruling.stamp, at, frames });
    }

    fn end_round(&mut self) {
        let Some(Round { tick, stamp, mut frames, .. }) = self.progress.round.take() else { return };
        if stamp.is_some() {
            // A source that a reload has taken away says so once, with a frame of nothing:
            // its series have ended, and are not merely late.
            let ended = self.progress.ended.drain(..);
            let gone = ended.filter(|gone| frames.iter().all(|frame| &*frame.source != *gone));
            let last: Vec<Frame> = gone.map(|source| Frame::ended(source, tick.wall_ms)).collect();
            frames.extend(last);
            frames.extend(self.asked.iter().filter_map(|source| ask(&**source, tick.wall_ms)));
        }
        self.publish(tick.wall_ms, stamp, frames, true);
        for slow in &mut self.collectors.slow {
            if slow.tick(&tick, stamp, self.interval) {
                self.telemetry.latest.remove(slow.name());
            }
        }
        let now = monotonic();
        match stamp {
            Some(_) => self.telemetry.collected(now, self.progress.missed),
            None => self.telemetry.held(now, self.progress.missed),
        }
        self.tell(Sign::Round, now);
        self.tell_complete();
        if let Some((grid, _)) = &mut self.progress.grid {
            let (next, missed) = grid.next(now);
            (self.progress.next, self.progress.missed) = (Some(next), missed);
            if missed > 0 {
                log::warn!("a round took too long: {missed} of the grid's ticks are skipped");
            }
        }
    }

    fn tell(&mut self, sign: Sign, now: Duration) {
        (self.pulse.beat)(sign);
        self.progress.told = now;
    }

    fn tell_complete(&mut self) {
        if self.collectors.is_complete() {
            (self.pulse.beat)(Sign::Complete);
        }
    }

    /// What was read at a tick that was held has no time to be sent with; whoever pulls
    /// brings a time of their own. `is_tick`: metricsd's own metrics go with it, where they are
    /// wanted.
    fn publish(&mut self, time_ms: i64, stamp: Option<Stamp>, frames: Vec<Frame>, is_tick: bool) {
        let now = monotonic();
        for frame in &frames {
            if frame.values.is_empty() {
                self.telemetry.latest.remove(&frame.source);
            } else {
                self.telemetry.latest.put(frame, now);
            }
        }
        if stamp.is_some() {
            self.send(time_ms, frames, is_tick);
        }
    }

    fn send(&mut self, time_ms: i64, frames: Vec<Frame>, is_tick: bool) {
        if self.fanout.is_empty() {
            return;
        }
        let Progress { roster, own, .. } = &mut self.progress;
        let interval = self.interval;
        let roster = roster.get_or_insert_with(|| {
            let sources = self.collectors.sources(interval);
            let sources = sources.map(|(name, interval)| (name.into(), interval));
            Arc::new(Roster::new(sources.chain(self.others.iter().cloned())))
        });
        let batch = Batch { time_ms, resource: Arc::clone(&self.resource), frames, roster: Some(Arc::clone(roster)) };
        let telemetry = &self.telemetry;
        let went = self.fanout.put(batch, is_tick, |batch| own.with(batch, telemetry, interval, is_tick));
        // With a shorter interval the next batch comes before that, and says as much.
        if went {
            self.progress.nudge_at = (interval >= NUDGE).then(|| monotonic() + NUDGE);
        }
    }

    /// A source that is no collector has given a frame.
    fn gather(&mut self, frame: Frame) {
        // One that a reload has taken away may still give something.
        if self.others.iter().all(|(name, _)| *name != frame.source) {
            return;
        }
        self.telemetry.latest.put(&frame, monotonic());
        // A frame of nothing says that all of its source's series have ended.
        if self.telemetry.why_held().is_some() {
            self.telemetry.missed(1);
            return;
        }
        let Gathered { frames, samples, until } = &mut self.progress.gathered;
        *samples += frame.values.len();
        frames.push(frame);
        until.get_or_insert_with(|| monotonic() + GATHER);
        if *samples >= GATHER_SAMPLES {
            self.send_gathered();
        }
    }

    fn send_gathered(&mut self) {
        let Gathered { frames, .. } = std::mem::take(&mut self.progress.gathered);
        if let Some(time_ms) = frames.iter().map(|frame| frame.time_ms).max() {
            self.send(time_ms, frames, false);
        }
    }

    /// Sleeps, publishing what slow collectors finish meanwhile.
    fn sleep_until(&mut self, deadline: Duration) -> Woken {
        loop {
            let now = monotonic();
            let mut tell_at = self.pulse.every.map(|every| self.progress.told + every);
            if let (Some(at), Some(every)) = (tell_at, self.pulse.every) {
                if at <= now {
                    self.tell(Sign::Alive, now);
                    tell_at = Some(now + every);
                }
            }
            if self.progress.nudge_at.is_some_and(|at| at <= now) {
                self.progress.nudge_at = None;
                self.fanout.nudge();
            }
            if self.progress.gathered.until.is_some_and(|at| at <= now) {
                self.send_gathered();
            }
            let left = deadline.saturating_sub(now);
            if left.is_zero() {
                // Under load this loop may never sleep; it must still hear all that it is told.
                while let Ok(done) = self.collectors.done.try_recv() {
                    self.done(done);
                }
                return match self.updates.try_recv() {
                    Ok(update) => Woken::Updated(update),
                    Err(TryRecvError::Disconnected) => Woken::Stopped,
                    Err(TryRecvError::Empty) => Woken::Due,
                };
            }
            let next = self.progress.nudge_at.into_iter().chain(tell_at).chain(self.progress.gathered.until).min();
            select! {
                recv(self.updates) -> update => return update.map_or(Woken::Stopped, Woken::Updated),
                recv(self.collectors.done) -> done => {
                    if done.is_ok_and(|done| self.done(done)) {
                        return Woken::Returned;
                    }
                }
                default(next.map_or(left, |at| left.min(at.saturating_sub(now)))) => {}
            }
        }
    }

    /// Another thread has something for this one. Whether it is a collector to be primed.
    fn done(&mut self, done: Done) -> bool {
        match done {
            Done::Slow(round) => {
                self.slow_round(round);
                self.tell_complete();
                false
            }
            Done::Gave(frame) => {
                self.gather(frame);
                false
            }
            Done::Sources(others) => {
                self.change_others(others);
                false
            }
            Done::Returned(runner) => {
                let name = runner.name();
                let taken = self.collectors.returned(runner, monotonic());
                if taken {
                    log::info!("collector {name}: its call has come back; it is primed and goes on");
                }
                taken
            }
        }
    }

    fn slow_round(&mut self, round: SlowRound) {
        // One that a reload has taken away may still come back.
        let Some(slow) = self.collectors.slow.iter_mut().find(|slow| slow.gave(&round)) else { return };
        let (Ok(stamp), Some(frame)) = (slow.ended(&round), round.frame) else {
            self.telemetry.latest.remove(slow.name());
            return;
        };
        let mut stamp = stamp;
        if stamp.is_some_and(|stamp| stamp.era != self.clock.era()) {
            // The clock went back while it was under way: what its lanes got since is older.
            self.telemetry.missed(1);
            stamp = None;
        }
        self.publish(frame.time_ms, stamp, vec![frame], false);
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
                Event::Slept(time) => {
                    log::info!("the machine slept for {}; nothing was collected meanwhile", rough_duration(*time))
                }
                Event::Stepped(direction, by) => {
                    let by = rough_duration(*by);
                    self.telemetry.clock_stepped(*direction);
                    let word = direction.as_str();
                    match direction {
                        StepDirection::Forward => log::info!("the clock was stepped {word} by {by}, to {now}"),
                        StepDirection::Backward => log::warn!("the clock was stepped {word} by {by}, to {now}"),
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
                    hold(format!(
                        "the clock went back behind what was sent, by {}; ticks are held until then",
                        rough_duration(*by)
                    ));
                }
                Event::CaughtUp(held) => {
                    log::info!("the clock has caught up; {held} ticks were held");
                    self.telemetry.hold(None);
                }
                Event::WentBack(by) => {
                    log::warn!(
                        "what is sent from here on is {} older than what was: the clock's time is taken",
                        rough_duration(*by)
                    );
                    self.telemetry.hold(None);
                }
            }
        }
    }
}
