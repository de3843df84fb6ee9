//! Durations as Go writes them: `30s`, `1m30s`, `250ms`, `1.5h`, `100us`.

use std::time::Duration;

/// Nanoseconds in a unit. Both micro signs, as Go takes them.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads `text`; none where it is no duration, is negative, or is beyond Go's 292 years.
/// Parts of a nanosecond are cut off.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let whole = leading_digits(rest);
        rest = &rest[whole.len()..];
        let part = match rest.strip_prefix('.') {
            Some(after) => leading_digits(after),
            None => "",
        };
        if rest.starts_with('.') {
            rest = &rest[1 + part.len()..];
        }
        if whole.is_empty() && part.is_empty() {
            return None;
        }
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let (_, unit) = UNITS.iter().find(|(unit, _)| *unit == name)?;
        rest = after;
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        total = total.checked_add(whole.checked_mul(*unit)?)?.checked_add(fraction(part, *unit))?;
    }
    i64::try_from(total).is_ok().then(|| Duration::from_nanos(total))
}

/// `0.<digits>` of `unit`, in whole numbers so that `0.1s` is exactly that.
fn fraction(digits: &str, unit: u64) -> u64 {
    let mut scale = u128::from(unit);
    let mut nanos: u128 = 0;
    let mut divisor: u128 = 1;
    // Beyond 18 digits nothing of an hour is left.
    for digit in digits.bytes().take(18) {
        divisor *= 10;
        nanos = nanos * 10 + u128::from(digit - b'0');
    }
    scale *= nanos;
    (scale / divisor) as u64
}

fn leading_digits(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_prints_is_read_back() {
        for (text, nanos) in [
            ("30s", 30_000_000_000),
            ("1m30s", 90_000_000_000),
            ("250ms", 250_000_000),
            ("1.5h", 5_400_000_000_000),
            ("100us", 100_000),
            ("100\u{b5}s", 100_000),
            ("100\u{3bc}s", 100_000),
            ("1h2m3.5s", 3_723_500_000_000),
            ("0.1s", 100_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("0", 0),
            ("0s", 0),
            ("+5s", 5_000_000_000),
            ("0.0000000001s", 0),
            ("2540400h", 9_145_440_000_000_000_000),
        ] {
            assert_eq!(parse(text), Some(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "30", "s", "-1s", ".s", "1x", "1s2", "1 s", "1.2.3s", "1d", "9999999h", "9e9s", "é", "1sé"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(&"9".repeat(1000)), None);
        assert_eq!(parse(&format!("0.{}s", "3".repeat(1000))), Some(Duration::from_nanos(333_333_333)));
    }
}
