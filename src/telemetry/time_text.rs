//! Times and numbers as text: RFC 3339 in UTC, durations as Go prints them, and how many wait.

use std::time::{Duration, UNIX_EPOCH};

/// The last second that has four digits for its year.
const LAST_SECOND: u64 = 253_402_300_799;

/// `2025-11-05T12:34:56Z` for milliseconds since the UNIX epoch; the fraction is cut. What is
/// before 1970 or after 9999 is shown as the first or the last second of that time.
pub fn rfc3339(wall_ms: i64) -> String {
    let seconds = u64::try_from(wall_ms.div_euclid(1000)).unwrap_or(0).min(LAST_SECOND);
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
}

/// `1h23m45s`, `2m0s`, `45s`, `0s`: whole seconds, as Go prints a duration.
pub fn go_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// What was measured or drawn, for a person: `37ms`, `4.2s`, from a minute on as [`go_duration`].
/// No finer: `0.0ns` is what a debug format makes of nothing.
pub fn rough_duration(duration: Duration) -> String {
    match duration.as_millis() {
        0 => "less than 1ms".to_owned(),
        ms @ 1..1000 => format!("{ms}ms"),
        1000..60_000 => format!("{:.1}s", duration.as_secs_f64()),
        _ => go_duration(duration),
    }
}

/// `1 request`, `2 requests`.
pub fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        // As `date -u -d @N +%FT%TZ` says.
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (1_762_346_096, "2025-11-05T12:34:56Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
            (253_402_300_800, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(seconds * 1000), text);
        }
        assert_eq!(rfc3339(1_762_346_096_999), "2025-11-05T12:34:56Z");
    }

    #[test]
    fn what_was_measured_is_said_as_a_person_would() {
        for (micros, text) in [
            (0, "less than 1ms"),
            (999, "less than 1ms"),
            (1000, "1ms"),
            (37_800, "37ms"),
            (999_999, "999ms"),
            (1_000_000, "1.0s"),
            (4_249_000, "4.2s"),
            (60_000_000, "1m0s"),
            (3_600_000_000, "1h0m0s"),
        ] {
            assert_eq!(rough_duration(Duration::from_micros(micros)), text);
        }
    }

    #[test]
    fn durations_are_those_of_go() {
        for (ms, text) in [
            (0, "0s"),
            (999, "0s"),
            (45_000, "45s"),
            (120_000, "2m0s"),
            (3_600_000, "1h0m0s"),
            (5_025_900, "1h23m45s"),
            (360_000_000, "100h0m0s"),
        ] {
            assert_eq!(go_duration(Duration::from_millis(ms)), text);
        }
    }
}
