//! Numbers as Prometheus reads them: Go's `ParseFloat` without hexadecimal forms and underscores.

/// Powers of ten that a double holds exactly.
const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// Digits that fit a `u64`, whatever they are.
const DIGITS: usize = 19;

/// The largest whole number up to which a double holds all of them.
const WHOLE: u64 = 1 << 53;

/// The number that all of `token` is.
pub(super) fn whole(token: &[u8]) -> Option<f64> {
    match short(token) {
        Some((value, len)) if len == token.len() => Some(value),
        _ => long(token),
    }
}

/// The number at the beginning of `text`, and its length; only where a product or quotient of two
/// exact doubles is it, so that it is rounded once, as it should be (Clinger's fast path).
pub(super) fn short(text: &[u8]) -> Option<(f64, usize)> {
    let negative = text.first() == Some(&b'-');
    let mut at = usize::from(negative);
    let begin = at;
    let mut mantissa = 0_u64;
    at += digits(text, at, &mut mantissa);
    let mut count = at - begin;
    let mut behind = 0;
    if text.get(at) == Some(&b'.') {
        at += 1;
        behind = digits(text, at, &mut mantissa);
        at += behind;
        count += behind;
    }
    if count == 0 || count > DIGITS || mantissa > WHOLE {
        return None;
    }
    let mut exponent = 0_i32;
    if matches!(text.get(at), Some(b'e' | b'E')) {
        at += 1;
        let down = text.get(at) == Some(&b'-');
        at += usize::from(matches!(text.get(at), Some(b'-' | b'+')));
        let begin = at;
        while let Some(digit) = text.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
            exponent = exponent.saturating_mul(10).saturating_add(i32::from(digit));
            at += 1;
        }
        if at == begin {
            return None;
        }
        exponent = if down { -exponent } else { exponent };
    }
    exponent = exponent.saturating_sub(behind as i32);
    let power = *TENS.get(exponent.unsigned_abs() as usize)?;
    let value = if exponent < 0 { mantissa as f64 / power } else { mantissa as f64 * power };
    Some((if negative { -value } else { value }, at))
}

/// Appends the digits that begin there to `number`; how many they are. What does not fit is wrong.
#[inline(always)]
fn digits(text: &[u8], at: usize, number: &mut u64) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    for (count, byte) in rest.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return count;
        }
        *number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
    }
    rest.len()
}

/// The same for whatever a number may look like.
fn long(token: &[u8]) -> Option<f64> {
    let value: f64 = std::str::from_utf8(token).ok()?.parse().ok()?;
    if token.iter().any(u8::is_ascii_digit) {
        // Go calls what is too large an error, and what is too small a zero.
        return value.is_finite().then_some(value);
    }
    let signed = matches!(token.first(), Some(b'+' | b'-'));
    if value.is_nan() { (!signed).then_some(f64::NAN) } else { Some(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_forms_are_those_of_go() {
        for (text, value) in [
            ("0", 0.0),
            ("-0", -0.0),
            ("1.", 1.0),
            (".5", 0.5),
            ("+3", 3.0),
            ("-12.5", -12.5),
            ("1e3", 1000.0),
            ("1E+3", 1000.0),
            ("4.9351e-05", 4.9351e-05),
            ("7.424100000000001e-05", 7.424100000000001e-05),
            ("1.7592186044416e+13", 17_592_186_044_416.0),
            ("9007199254740993", 9_007_199_254_740_992.0),
            ("0.1", 0.1),
            ("123456789012345678901234567890", 1.2345678901234568e29),
            ("1e-400", 0.0),
            ("0e999999999999", 0.0),
            ("1e22", 1e22),
            ("1e23", 1e23),
            ("1.7976931348623157e308", f64::MAX),
            ("5e-324", 5e-324),
            ("inf", f64::INFINITY),
            ("Inf", f64::INFINITY),
            ("+Inf", f64::INFINITY),
            ("-INFINITY", f64::NEG_INFINITY),
        ] {
            assert_eq!(whole(text.as_bytes()).map(f64::to_bits), Some(value.to_bits()), "{text}");
        }
        for text in ["nan", "NaN", "NAN"] {
            assert_eq!(whole(text.as_bytes()).map(f64::to_bits), Some(f64::NAN.to_bits()), "{text}");
        }
        for text in [
            "", "-", ".", "e5", "1e", "1e+", "1_000", "0x1p-3", "0x10", "1e400", "-1e400", "+nan", "-nan", "in",
            "infin", "1 ", "1\t", "--1", "1,5", "1f", "true", "\u{663}", "\u{ff11}",
        ] {
            assert_eq!(whole(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(whole(b"\xff"), None);
    }

    /// Forms that exporters print, and random ones around the bounds of the fast path.
    #[test]
    fn the_short_way_gives_what_std_gives() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut texts: Vec<String> = Vec::new();
        for _ in 0..200_000 {
            let bits = f64::from_bits(random.u64(..));
            let whole = random.u64(..) >> random.u32(0..64);
            let value =
                [bits, whole as f64, whole as f64 / 1000.0, random.f64(), random.f64() * 1e6][random.usize(0..5)];
            if !value.is_finite() {
                continue;
            }
            texts.push(match random.u8(0..6) {
                0 => format!("{value}"),
                1 => format!("{value:e}"),
                2 => format!("{value:.3}"),
                3 => format!("{whole}"),
                4 => format!("-{whole}.{:02}", random.u8(0..100)),
                _ => format!("{}.{}E{}", random.u32(..), random.u32(..), random.i32(-30..30)),
            });
        }
        let mut short_ones = 0;
        for text in &texts {
            let expected: f64 = text.parse().unwrap();
            if let Some((value, len)) = short(text.as_bytes()) {
                assert_eq!((value.to_bits(), len), (expected.to_bits(), text.len()), "{text}");
                short_ones += 1;
            }
            if expected.is_finite() {
                assert_eq!(whole(text.as_bytes()).map(f64::to_bits), Some(expected.to_bits()), "{text}");
            }
        }
        assert!(short_ones > 20_000, "{short_ones} of {}", texts.len());
    }
}
