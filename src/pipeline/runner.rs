//! One collector's rounds: timed, fenced, and told of.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::collectors::{CollectError, Collector, Tick};
use crate::host::{Scratch, monotonic};
use crate::model::{Frame, Labels, Recorder, ViewSlots};
use crate::telemetry::{CollectorState, CollectorStatus, Round, Throttle, panic_message};

/// A host that has too many series has them each round; said at the first one and each hour.
const CAPPED_EVERY: Duration = Duration::from_secs(3600);

/// A collector with what it writes to and what is known of it.
pub struct Runner {
    collector: Box<dyn Collector>,
    recorder: Recorder,
    status: Arc<CollectorStatus>,
    /// What the log was last told of it, so that it is told once.
    said: Option<String>,
    max_series: usize,
    /// Its last good round had series.
    gives: bool,
    /// For the log line on series over the cap.
    capped: Throttle,
    /// It was said that series came twice: a file that does so does so in each round.
    is_doubled: bool,
}

/// What a collector's call came to, and when (CLOCK_MONOTONIC).
pub struct Collected {
    result: Result<(), CollectError>,
    begun: Duration,
    ended: Duration,
}

impl Collected {
    /// How long the call took.
    pub fn took(&self) -> Duration {
        self.ended.saturating_sub(self.begun)
    }
}

impl Runner {
    /// A runner for `collector`, which may give `max_series` series a round, in chunks with room
    /// for `views`. All of them get `labels`.
    pub fn new(
        collector: Box<dyn Collector>,
        status: Arc<CollectorStatus>,
        max_series: usize,
        labels: Labels,
        views: &ViewSlots,
    ) -> Runner {
        let recorder = Recorder::new(status.name(), max_series).with_labels(labels).with_slots(views);
        let capped = Throttle::new(CAPPED_EVERY);
        Runner { collector, recorder, status, said: None, max_series, gives: false, capped, is_doubled: false }
    }

    /// The collector's name.
    pub fn name(&self) -> &'static str {
        self.status.name()
    }

    /// Lets the collector take its first reading.
    pub fn prime(&mut self, tick: &Tick, scratch: &mut Scratch) {
        let collector = AssertUnwindSafe(&mut self.collector);
        let scratch = AssertUnwindSafe(scratch);
        // What goes wrong here goes wrong again in the first round, and is said there.
        let _ = catch_unwind(move || {
            let (AssertUnwindSafe(collector), AssertUnwindSafe(scratch)) = (collector, scratch);
            collector.prime(tick, scratch);
        });
    }

    /// Lets the collector read. What it gave stays here until [`Runner::conclude`], or until
    /// [`Runner::discard`]: nobody has been told of it.
    pub fn collect(&mut self, tick: &Tick, scratch: &mut Scratch) -> Collected {
        let begun = monotonic();
        let result = catch_unwind(AssertUnwindSafe(|| self.collector.collect(tick, scratch, &mut self.recorder)));
        let result =
            result.unwrap_or_else(|panic| Err(CollectError::Failed(format!("panicked: {}", panic_message(&*panic)))));
        Collected { result, begun, ended: monotonic() }
    }

    /// Ends the round that gave `collected`, and says how it went. None where it failed, or
    /// where this host has no such thing and no number says so; the first time after it had, an
    /// empty frame, which ends its series.
    pub fn conclude(&mut self, tick: &Tick, collected: Collected) -> Option<Frame> {
        let Collected { result, begun, ended } = collected;
        let (frame, state, error) = match result {
            Ok(()) => (Some(self.recorder.finish(tick.wall_ms)), CollectorState::Ok, None),
            Err(CollectError::NoneHere(what)) => {
                (Some(self.recorder.finish(tick.wall_ms)), CollectorState::Absent, Some(what))
            }
            Err(CollectError::Absent(what)) => (None, CollectorState::Absent, Some(what)),
            Err(CollectError::Failed(why)) => (None, CollectorState::Failed, Some(why)),
        };
        if frame.is_none() {
            self.recorder.discard();
        }
        let frame = match state {
            CollectorState::Absent if frame.is_none() && self.gives => Some(self.recorder.finish(tick.wall_ms)),
            _ => frame,
        };
        if let Some(frame) = &frame {
            self.gives = !frame.values.is_empty();
        }
        self.say(state, error.as_deref());
        let series = frame.as_ref().map_or(0, |frame| frame.values.len());
        let round = Round { state, at: ended, duration: ended.saturating_sub(begun), series, error };
        log::debug!("collector {}: {}, {series} series in {:?}", self.name(), round.state.as_str(), round.duration);
        let refused = self.recorder.take_refused();
        self.say_capped(refused.max_series, ended);
        self.say_doubled(refused.duplicate);
        self.status.ended(round, refused);
        frame
    }

    /// Forgets what a round gave that nobody waits for any more.
    pub fn discard(&mut self) {
        self.recorder.discard();
        let _ = self.recorder.take_refused();
    }

    /// What is known of the collector.
    pub fn status(&self) -> &Arc<CollectorStatus> {
        &self.status
    }

    /// Logs that `over` series of a round that ended at `now` were refused, if any were.
    fn say_capped(&mut self, over: u64, now: Duration) {
        if over > 0 && self.capped.pass(now).is_some() {
            log::warn!(
                "collector {}: {over} series are left out: it gives more than collector.max_series ({}); raise that, or \
                 exclude what is not needed",
                self.name(),
                self.max_series
            );
        }
    }

    /// Logs, once, that `twice` series of a round had come before in it.
    fn say_doubled(&mut self, twice: u64) {
        if twice > 0 && !std::mem::replace(&mut self.is_doubled, true) {
            log::warn!(
                "collector {}: {twice} series came twice in a round; the first of each is taken, and this is not said \
                 again (metricsd_series_refused_total counts)",
                self.name()
            );
        }
    }

    /// Logs what has changed since the last round.
    fn say(&mut self, state: CollectorState, error: Option<&str>) {
        if self.said.as_deref() == error {
            return;
        }
        let name = self.name();
        match (state, error) {
            (CollectorState::Absent, Some(what)) => log::info!("collector {name}: nothing to read here: {what}"),
            (_, Some(why)) => log::warn!("collector {name}: {why}; {name} is missing until it works again"),
            (_, None) => log::info!("collector {name}: works again"),
        }
        self.said = error.map(str::to_owned);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Family, Item, Reading, everywhere};

    static VALUE: Reading = everywhere!(&Family::gauge("test_value", "", "A value."), &[]);

    /// Does in each round what the script says.
    struct Scripted(Vec<fn() -> Result<(), CollectError>>);

    impl Collector for Scripted {
        fn collect(&mut self, _: &Tick, _: &mut Scratch, out: &mut Recorder) -> Result<(), CollectError> {
            out.item(&Item::new(&[])).push(&VALUE, 1.0);
            (self.0.remove(0))()
        }
    }

    #[test]
    fn a_round_that_fails_or_panics_gives_nothing_and_the_next_one_works() {
        let script: Vec<fn() -> Result<(), CollectError>> = vec![
            || Ok(()),
            || Err(CollectError::Failed("torn".into())),
            || panic!("a bug"),
            || Err(CollectError::Absent("no such file".into())),
            || Err(CollectError::Failed("torn".into())),
            || Err(CollectError::Absent("no such file".into())),
            || Err(CollectError::NoneHere("there is none".into())),
            || Ok(()),
        ];
        let status = Arc::new(CollectorStatus::new("test"));
        let views = ViewSlots::default();
        let mut runner = Runner::new(Box::new(Scripted(script)), Arc::clone(&status), 10, Labels::EMPTY, &views);
        let tick = Tick { wall_ms: 1, monotonic: Duration::ZERO };
        let mut scratch = Scratch::new();
        let mut seen = Vec::new();
        for _ in 0..8 {
            let collected = runner.collect(&tick, &mut scratch);
            let frame = runner.conclude(&tick, collected);
            let last = status.last(Duration::ZERO).unwrap();
            seen.push((frame.map(|frame| frame.values.len()), last.state, last.error));
        }
        assert_eq!(
            seen,
            [
                (Some(1), CollectorState::Ok, None),
                (None, CollectorState::Failed, Some("torn".into())),
                (None, CollectorState::Failed, Some("panicked: a bug".into())),
                // What it gave before has ended.
                (Some(0), CollectorState::Absent, Some("no such file".into())),
                (None, CollectorState::Failed, Some("torn".into())),
                (None, CollectorState::Absent, Some("no such file".into())),
                (Some(1), CollectorState::Absent, Some("there is none".into())),
                (Some(1), CollectorState::Ok, None),
            ]
        );
    }
}
