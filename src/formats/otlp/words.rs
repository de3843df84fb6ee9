//! OpenTelemetry's words for what Prometheus has words of its own for.

use std::borrow::Cow;

use crate::model::Kind;

/// What a metric was on its page, where its points do not show it
/// (<https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/#metric-metadata>).
pub fn metadata_of(kind: Kind) -> Option<(&'static str, &'static str)> {
    let word = match kind {
        Kind::Untyped => "unknown",
        Kind::Info => "info",
        Kind::StateSet => "stateset",
        _ => return None,
    };
    Some(("prometheus.type", word))
}

/// OpenTelemetry's word for a unit (UCUM), where it is one of Prometheus' words
/// (<https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/#metric-metadata>).
pub fn unit_of(unit: &str) -> Cow<'_, str> {
    let word = |word: &str| {
        Some(match word {
            "seconds" => "s",
            "milliseconds" => "ms",
            "microseconds" => "us",
            "nanoseconds" => "ns",
            "minutes" => "min",
            "hours" => "h",
            "days" => "d",
            "bytes" => "By",
            "kibibytes" => "KiBy",
            "mebibytes" => "MiBy",
            "gibibytes" => "GiBy",
            "kilobytes" => "kBy",
            "megabytes" => "MBy",
            "gigabytes" => "GBy",
            "bits" => "bit",
            "meters" => "m",
            "grams" => "g",
            "joules" => "J",
            "watts" => "W",
            "milliwatts" => "mW",
            "volts" => "V",
            "amperes" => "A",
            "celsius" => "Cel",
            "hertz" => "Hz",
            "megahertz" | "mhz" => "MHz",
            "percent" => "%",
            "ratio" => "1",
            _ => return None,
        })
    };
    let per = |part: &str| {
        ["second", "minute", "hour", "day"].iter().zip(["s", "min", "h", "d"]).find(|(of, _)| **of == part)
    };
    match unit.split_once("_per_") {
        Some((of, time)) => match per(time) {
            Some((_, time)) => format!("{}/{time}", word(of).unwrap_or(of)).into(),
            None => unit.into(),
        },
        None => word(unit).unwrap_or(unit).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_opentelemetry_s() {
        for (unit, expected) in [
            ("seconds", "s"),
            ("bytes", "By"),
            ("ratio", "1"),
            ("bytes_per_second", "By/s"),
            ("requests_per_minute", "requests/min"),
            ("furlongs", "furlongs"),
            ("meters_per_fortnight", "meters_per_fortnight"),
            ("By", "By"),
            ("", ""),
        ] {
            assert_eq!(unit_of(unit), expected);
        }
    }
}
