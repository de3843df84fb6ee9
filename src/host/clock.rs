//! The three clocks, asked by loops only; what loops call takes the time as an argument.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

/// Time since some fixed moment, never stepped (CLOCK_MONOTONIC).
pub fn monotonic() -> Duration {
    // The call fails for an unknown clock only, and every Linux has this one.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default()
}

/// Time since the machine booted, suspends included, never stepped (CLOCK_BOOTTIME).
pub fn boottime() -> Duration {
    // Linux has it since 2.6.39.
    clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_else(|_| monotonic())
}

/// Milliseconds since the UNIX epoch (CLOCK_REALTIME); negative before 1970.
pub fn wall_ms() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
    }
}
