//! Times as text: RFC 3339 in UTC, and durations as Go prints them.

use std::time::Duration;

/// `2025-11-05T12:34:56Z` for milliseconds since the UNIX epoch; the fraction is cut.
pub fn rfc3339(wall_ms: i64) -> String {
    const SECONDS_A_DAY: i64 = 86_400;
    let seconds = wall_ms.div_euclid(1000);
    let (year, month, day) = date(seconds.div_euclid(SECONDS_A_DAY));
    let second = seconds.rem_euclid(SECONDS_A_DAY);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
fn date(day: i64) -> (i64, u32, u32) {
    const DAYS_IN_400_YEARS: i64 = 146_097;
    // From 1970-01-01 back to 2000-01-01's cycle: the one that begins in 1600.
    const FROM_1600: i64 = 135_140;
    let cycle = (day + FROM_1600).div_euclid(DAYS_IN_400_YEARS);
    let mut rest = (day + FROM_1600).rem_euclid(DAYS_IN_400_YEARS);
    let mut year = 1600 + 400 * cycle;
    // At most 400 years and 12 months to walk: no arithmetic that needs a proof.
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if rest < length {
            break;
        }
        rest -= length;
        year += 1;
    }
    let mut month = 1;
    for length in [31, if is_leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if rest < length {
            break;
        }
        rest -= length;
        month += 1;
    }
    (year, month, rest as u32 + 1)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        // As `date -u -d @N +%FT%TZ` says.
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (1_762_346_096, "2025-11-05T12:34:56Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (-11_676_096_000, "1600-01-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(seconds * 1000), text);
        }
        assert_eq!(rfc3339(1_762_346_096_999), "2025-11-05T12:34:56Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59Z");
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
