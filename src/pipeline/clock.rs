//! Which stamp a tick gets, or whether it is held: the rules for a wall clock that is wrong.
//!
//! Pure: it is given each tick's readings and answers with a stamp or none, and with what
//! there is to say. Three rules, in this order:
//!
//! 1. A clock that shows a time before this program was built was never set (a board without
//!    a battery boots in 1970). No backend can place such samples, and some are harmed by
//!    them, so ticks are held until it is set, however long that takes: there is nothing to
//!    wait with, since held ticks are not kept.
//! 2. Stamps do not go back. While the clock is behind the newest stamp by up to a minute,
//!    ticks are held until it has caught up.
//! 3. Behind by more than that, the new time is accepted once: an hour without data would be
//!    worse than an hour that is there twice.
//!
//! A step is what moves CLOCK_REALTIME against CLOCK_BOOTTIME. The kernel slews both alike,
//! so slewing is none; both count the time of a suspend, so that is none either, and shows
//! as the difference between CLOCK_BOOTTIME and CLOCK_MONOTONIC.

use std::time::Duration;

use crate::collectors::Tick;
use crate::host::{boottime, monotonic, wall_ms};
use crate::telemetry::{StepDirection, built_ms};

/// Stamps may be behind by so much before the new time is accepted, and for no longer than
/// this are ticks held for it.
pub const HOLD: Duration = Duration::from_secs(60);

/// Smaller differences are no steps: a busy machine may put as much between two readings.
const STEP: Duration = Duration::from_millis(500);

/// A builder's clock may be ahead of the host's by so much; no clock is unset by less.
const BUILDER_AHEAD: Duration = Duration::from_secs(24 * 3600);

/// The clocks at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// CLOCK_MONOTONIC: stands still in a suspend.
    pub monotonic: Duration,
    /// CLOCK_BOOTTIME: counts it.
    pub boottime: Duration,
    /// CLOCK_REALTIME, milliseconds since the UNIX epoch.
    pub wall_ms: i64,
}

impl Reading {
    /// The tick that was read.
    pub(super) fn tick(&self) -> Tick {
        Tick { wall_ms: self.wall_ms, monotonic: self.monotonic }
    }
}

/// The clocks as they are. For the loop; the rules below are given what it says.
pub fn read_clocks() -> Reading {
    Reading { monotonic: monotonic(), boottime: boottime(), wall_ms: wall_ms() }
}

/// What there is to say about the clock at a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The machine slept for so long: a gap, not a fault.
    Slept(Duration),
    /// The wall clock was stepped by so much.
    Stepped(StepDirection, Duration),
    /// It shows a time before this program was built. Said once; ticks are held from here on.
    Unset,
    /// It was unset and is no longer.
    Set,
    /// It is behind the newest stamp by so much; ticks are held from here on.
    Behind(Duration),
    /// It has caught up, after so many ticks were held.
    CaughtUp(u64),
    /// It is behind the newest stamp by too much to wait for: the new time is accepted.
    WentBack(Duration),
}

/// A tick's stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Milliseconds since the UNIX epoch.
    pub wall_ms: i64,
    /// How often stamps went back before it: within an era they only grow.
    pub era: u64,
}

/// What a tick gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruling {
    /// None: the tick is held.
    pub stamp: Option<Stamp>,
    /// In the order in which they are to be said; most often none.
    pub events: Vec<Event>,
}

/// The rules, with what they remember.
#[derive(Debug)]
pub struct Clock {
    /// Times before this one are those of a clock that was never set.
    sane_from_ms: i64,
    last: Option<Reading>,
    newest: Option<Stamp>,
    era: u64,
    held: Held,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    No,
    Unset,
    /// Since when (CLOCK_BOOTTIME), and how many ticks.
    Behind(Duration, u64),
}

impl Clock {
    /// For this program.
    pub fn of_this_build() -> Clock {
        Clock::new(built_ms().unwrap_or(i64::MIN))
    }

    /// For a program that was built at `built_ms`, milliseconds since the UNIX epoch.
    pub fn new(built_ms: i64) -> Clock {
        let sane_from_ms = built_ms.saturating_sub(millis(BUILDER_AHEAD));
        Clock { sane_from_ms, last: None, newest: None, era: 0, held: Held::No }
    }

    /// Rules on a tick that was read at `now`.
    pub fn tick(&mut self, now: Reading) -> Ruling {
        let mut ruling = Ruling::default();
        if let Some(last) = self.last.replace(now) {
            compare(&last, &now, &mut ruling.events);
        }
        if self.is_unset(now.wall_ms) {
            if self.held != Held::Unset {
                self.held = Held::Unset;
                ruling.events.push(Event::Unset);
            }
            return ruling;
        }
        if self.held == Held::Unset {
            self.held = Held::No;
            ruling.events.push(Event::Set);
        }
        let behind_ms = self.newest.map_or(-1, |newest| newest.wall_ms.saturating_sub(now.wall_ms));
        if behind_ms >= 0 {
            let behind = Duration::from_millis(behind_ms.unsigned_abs());
            let (since, count) = match self.held {
                Held::Behind(since, count) => (since, count),
                _ => (now.boottime, 0),
            };
            // Who steps the clock back again and again must not hold the ticks for ever.
            let waited_in_vain = now.boottime.saturating_sub(since) > HOLD && behind_ms > 0;
            if behind <= HOLD && !waited_in_vain {
                if count == 0 {
                    ruling.events.push(Event::Behind(behind));
                }
                self.held = Held::Behind(since, count + 1);
                return ruling;
            }
            self.era += 1;
            ruling.events.push(Event::WentBack(behind));
        } else if let Held::Behind(_, count) = self.held {
            ruling.events.push(Event::CaughtUp(count));
        }
        self.held = Held::No;
        self.newest = Some(Stamp { wall_ms: now.wall_ms, era: self.era });
        ruling.stamp = self.newest;
        ruling
    }

    /// Whether a clock that shows `wall_ms` was never set.
    pub fn is_unset(&self, wall_ms: i64) -> bool {
        wall_ms < self.sane_from_ms
    }

    /// The era of the newest stamp.
    pub fn era(&self) -> u64 {
        self.era
    }
}

/// What happened to the clocks between two readings.
fn compare(last: &Reading, now: &Reading, events: &mut Vec<Event>) {
    let passed = now.boottime.saturating_sub(last.boottime);
    let slept = passed.saturating_sub(now.monotonic.saturating_sub(last.monotonic));
    if slept >= STEP {
        events.push(Event::Slept(slept));
    }
    let step = now.wall_ms.saturating_sub(last.wall_ms).saturating_sub(millis(passed));
    if step.unsigned_abs() >= STEP.as_millis() as u64 {
        let direction = if step > 0 { StepDirection::Forward } else { StepDirection::Backward };
        events.push(Event::Stepped(direction, Duration::from_millis(step.unsigned_abs())));
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use StepDirection::{Backward, Forward};

    /// 2025-11-05.
    const BUILT: i64 = 1_762_300_000_000;
    /// Half a year later.
    const NOW: i64 = 1_778_000_000_000;
    const HOUR: i64 = 3_600_000;
    const YEAR: i64 = 365 * 24 * HOUR;

    /// A machine whose clocks a test moves.
    struct Machine {
        clock: Clock,
        at: Reading,
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    impl Machine {
        fn at(wall_ms: i64) -> Machine {
            Machine { clock: Clock::new(BUILT), at: Reading { monotonic: s(50), boottime: s(70), wall_ms } }
        }

        /// `ms` pass on every clock.
        fn pass(&mut self, ms: u64) -> &mut Machine {
            self.at.monotonic += Duration::from_millis(ms);
            self.at.boottime += Duration::from_millis(ms);
            self.at.wall_ms += ms as i64;
            self
        }

        fn step(&mut self, ms: i64) -> &mut Machine {
            self.at.wall_ms += ms;
            self
        }

        fn sleep(&mut self, ms: u64) -> &mut Machine {
            self.at.boottime += Duration::from_millis(ms);
            self.at.wall_ms += ms as i64;
            self
        }

        fn tick(&mut self) -> (Option<i64>, Vec<Event>) {
            let ruling = self.clock.tick(self.at);
            (ruling.stamp.map(|stamp| stamp.wall_ms), ruling.events)
        }
    }

    #[test]
    fn a_steady_clock_is_its_own_stamp_and_nothing_is_said() {
        let mut machine = Machine::at(NOW);
        for tick in 0..100 {
            assert_eq!(machine.tick(), (Some(NOW + tick * 1000), vec![]));
            machine.pass(1000);
        }
    }

    #[test]
    fn steps_forward_of_seconds_hours_and_years_are_accepted_and_said() {
        for step in [2_000, 5 * HOUR, 30 * YEAR] {
            let mut machine = Machine::at(NOW);
            machine.tick();
            let said = vec![Event::Stepped(Forward, Duration::from_millis(step as u64))];
            assert_eq!(machine.pass(1000).step(step).tick(), (Some(NOW + 1000 + step), said));
            assert_eq!(machine.pass(1000).tick(), (Some(NOW + 2000 + step), vec![]));
        }
    }

    #[test]
    fn after_a_step_back_of_seconds_ticks_are_held_until_the_clock_has_caught_up() {
        let mut machine = Machine::at(NOW);
        machine.tick();
        let said = vec![Event::Stepped(Backward, s(3)), Event::Behind(s(2))];
        assert_eq!(machine.pass(1000).step(-3000).tick(), (None, said));
        assert_eq!(machine.pass(1000).tick(), (None, vec![]));
        assert_eq!(machine.pass(1000).tick(), (None, vec![]), "the same stamp twice would be two values at one time");
        assert_eq!(machine.pass(1000).tick(), (Some(NOW + 1000), vec![Event::CaughtUp(3)]));
        assert_eq!(machine.clock.era(), 0);
    }

    #[test]
    fn a_step_back_that_is_shorter_than_the_interval_holds_nothing() {
        let mut machine = Machine::at(NOW);
        machine.tick();
        let said = vec![Event::Stepped(Backward, s(20))];
        assert_eq!(machine.pass(60_000).step(-20_000).tick(), (Some(NOW + 40_000), said));
    }

    #[test]
    fn a_minute_is_held_and_more_is_accepted_once() {
        let mut machine = Machine::at(NOW);
        machine.tick();
        assert_eq!(machine.step(-60_000).tick().0, None);
        let mut machine = Machine::at(NOW);
        machine.tick();
        let said = vec![Event::Stepped(Backward, s(61)), Event::WentBack(s(61))];
        assert_eq!(machine.step(-61_000).tick(), (Some(NOW - 61_000), said));
        assert_eq!(machine.clock.era(), 1);
    }

    #[test]
    fn steps_back_of_hours_and_months_are_accepted_once_and_said() {
        for step in [5 * HOUR, 90 * 24 * HOUR] {
            let mut machine = Machine::at(NOW);
            machine.tick();
            let by = Duration::from_millis(step as u64);
            let said = vec![Event::Stepped(Backward, by), Event::WentBack(by - s(1))];
            assert_eq!(machine.pass(1000).step(-step).tick(), (Some(NOW + 1000 - step), said));
            assert_eq!(machine.pass(1000).tick(), (Some(NOW + 2000 - step), vec![]));
        }
    }

    #[test]
    fn a_year_forward_by_mistake_and_back_again_costs_nothing_but_two_lines() {
        let mut machine = Machine::at(NOW);
        machine.tick();
        machine.pass(1000).step(YEAR).tick();
        assert_eq!(machine.pass(1000).step(-YEAR).tick().0, Some(NOW + 2000));
        assert_eq!(machine.pass(1000).tick(), (Some(NOW + 3000), vec![]));
    }

    #[test]
    fn many_steps_back_hold_no_longer_than_a_minute_and_a_bit() {
        let mut machine = Machine::at(NOW);
        machine.tick();
        // Two programs that fight for the clock: each second it goes back by one.
        let mut held = 0;
        while machine.pass(1000).step(-1001).tick().0.is_none() {
            held += 1;
            assert!(held < 100, "held for ever");
        }
        assert_eq!(held, 61);
    }

    #[test]
    fn a_suspend_is_a_gap_and_no_step() {
        let mut machine = Machine::at(NOW);
        machine.tick();
        let said = vec![Event::Slept(s(8 * 3600))];
        assert_eq!(machine.pass(400).sleep(8 * HOUR as u64).pass(600).tick(), (Some(NOW + 8 * HOUR + 1000), said));
        // A battery clock that runs fast is put right after waking up.
        let said = vec![Event::Slept(s(60)), Event::Stepped(Backward, s(2))];
        assert_eq!(machine.sleep(60_000).step(-2000).tick(), (Some(NOW + 8 * HOUR + 59_000), said));
    }

    #[test]
    fn a_boot_in_1970_is_held_until_the_clock_is_set() {
        let mut machine = Machine::at(12_000);
        assert_eq!(machine.tick(), (None, vec![Event::Unset]));
        for _ in 0..100_000 {
            assert_eq!(machine.pass(1000).tick(), (None, vec![]));
        }
        let step = NOW - machine.at.wall_ms;
        let said = vec![Event::Stepped(Forward, Duration::from_millis(step as u64)), Event::Set];
        assert_eq!(machine.step(step).tick(), (Some(NOW), said));
        // And back again: whoever did that, no such sample goes out.
        let (stamp, events) = machine.pass(1000).step(-NOW).tick();
        assert_eq!((stamp, events.last()), (None, Some(&Event::Unset)));
        assert_eq!(machine.pass(1000).step(NOW).tick().0, Some(NOW + 2000));
    }

    #[test]
    fn a_host_that_is_behind_the_builder_by_hours_is_not_unset() {
        assert_eq!(Machine::at(BUILT - 23 * HOUR).tick().0, Some(BUILT - 23 * HOUR));
        assert_eq!(Machine::at(BUILT - 25 * HOUR).tick().0, None);
        // A build without a date takes every time for sane.
        assert_eq!(Clock::new(i64::MIN).tick(Machine::at(-5).at).stamp.map(|s| s.wall_ms), Some(-5));
    }

    #[test]
    fn clocks_at_their_ends_do_not_overflow() {
        for (from, to) in [(i64::MIN, i64::MAX), (i64::MAX, i64::MIN), (i64::MAX, i64::MAX), (0, i64::MAX)] {
            let mut clock = Clock::new(i64::MIN);
            clock.tick(Reading { monotonic: Duration::MAX, boottime: Duration::ZERO, wall_ms: from });
            clock.tick(Reading { monotonic: Duration::ZERO, boottime: Duration::MAX, wall_ms: to });
        }
    }

    #[test]
    fn whatever_a_clock_does_stamps_grow_within_an_era() {
        // A small generator of its own: the same walks at each run.
        let mut seed = 1u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        let mut machine = Machine::at(NOW);
        let mut newest: Option<Stamp> = None;
        for _ in 0..20_000 {
            machine.pass(random(3000));
            match random(10) {
                0 => _ = machine.step(random(100_000) as i64 - 50_000),
                1 => _ = machine.step(random(10_000_000) as i64 - 5_000_000),
                2 => _ = machine.sleep(random(100_000)),
                _ => {}
            }
            if let Some(stamp) = machine.clock.tick(machine.at).stamp {
                if let Some(newest) = newest {
                    assert!(stamp.era > newest.era || stamp.wall_ms > newest.wall_ms, "{newest:?}, then {stamp:?}");
                }
                assert_eq!(stamp.wall_ms, machine.at.wall_ms);
                newest = Some(stamp);
            }
        }
    }
}
