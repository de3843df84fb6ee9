//! Names as the formats of Prometheus write them, which hold no dots.
//!
//! <https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/#otlp-metric-points-to-prometheus>

use std::borrow::Cow;

use super::label_table::ViewLabels;
use crate::model::{Family, Kind};
use crate::order;

/// The name of `family`: its own where it has no dots, else with `_` for these, with its unit
/// in words, and `_total` where it is a counter. What else a name cannot hold becomes `_`, too.
pub fn prometheus_name(family: Family<'_>) -> Cow<'_, str> {
    if !family.name.contains('.') {
        return clean(family.name, true);
    }
    // What tells the parts of a histogram apart stands behind the unit.
    let base = family.base();
    let part = &family.name[base.len()..];
    let mut name = clean(base, true).into_owned();
    let unit = unit_in_words(family.unit);
    let bare = name.strip_suffix("_total").unwrap_or(&name);
    if !unit.is_empty() && bare != unit && !bare.ends_with(&format!("_{unit}")) {
        name = format!("{bare}_{unit}");
    }
    // A ratio says so, unless it is counted.
    if family.unit == "1" && matches!(family.kind, Kind::Gauge) && !name.ends_with("_ratio") {
        name.push_str("_ratio");
    }
    if family.kind == Kind::Counter && !name.ends_with("_total") {
        name.push_str("_total");
    }
    name.push_str(part);
    Cow::Owned(name)
}

/// `text` as a name that every receiver takes: letters, digits and `_`, no digit first; `:` in names of
/// metrics alone. An application may give others (in quotes), and so may a rule.
fn clean(text: &str, is_metric: bool) -> Cow<'_, str> {
    let holds = |c: char| c.is_ascii_alphanumeric() || c == '_' || (is_metric && c == ':');
    let begins_well = !text.starts_with(|c: char| c.is_ascii_digit());
    if begins_well && text.chars().all(holds) {
        return Cow::Borrowed(text);
    }
    let first = if begins_well { "" } else { "_" };
    Cow::Owned(first.chars().chain(text.chars().map(|c| if holds(c) { c } else { '_' })).collect())
}

/// Labels as the formats of Prometheus write them.
pub struct WrittenLabels<'l> {
    /// Where no name has a dot, which is nearly always so.
    as_they_are: Option<ViewLabels<'l>>,
    without_dots: Vec<(Cow<'l, str>, &'l str)>,
}

/// `labels` with `_` for the dots of their names, and for what else a name cannot hold, sorted anew. A label of the configuration that
/// has that very name yields, as it would to one without dots.
pub fn prometheus_labels(labels: ViewLabels<'_>) -> WrittenLabels<'_> {
    let has_dots = |(name, _): &(&str, &str)| matches!(clean(name, false), Cow::Owned(_));
    if !labels.iter().any(|label| has_dots(&label)) {
        return WrittenLabels { as_they_are: Some(labels), without_dots: Vec::new() };
    }
    let with = labels.iter().filter(has_dots).map(|(name, value)| (clean(name, false), value));
    let without = labels.iter().filter(|label| !has_dots(label)).map(|(name, value)| (Cow::Borrowed(name), value));
    let mut all: Vec<_> = with.chain(without).collect();
    // Stable: of two that are alike the one that had dots stands in front.
    order::sort_by(&mut all, |(a, _), (b, _)| a.cmp(b));
    all.dedup_by(|(name, _), (before, _)| name == before);
    WrittenLabels { as_they_are: None, without_dots: all }
}

/// `labels` as they are, dots and all.
pub fn own_labels(labels: ViewLabels<'_>) -> WrittenLabels<'_> {
    WrittenLabels { as_they_are: Some(labels), without_dots: Vec::new() }
}

impl WrittenLabels<'_> {
    /// The labels, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        let as_they_are = self.as_they_are.iter().flat_map(|labels| labels.iter());
        as_they_are.chain(self.without_dots.iter().map(|(name, value)| (&**name, *value)))
    }
}

/// UCUM's units in Prometheus' words; nothing for what is counted (`{threads}`) and for units
/// that say nothing.
fn unit_in_words(unit: &str) -> Cow<'_, str> {
    let unit = match unit.find('{') {
        Some(at) => &unit[..at],
        None => unit,
    };
    Cow::Borrowed(match unit {
        "1" | "" => "",
        "d" => "days",
        "h" => "hours",
        "min" => "minutes",
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "By" => "bytes",
        "bit" => "bits",
        "KiBy" => "kibibytes",
        "MiBy" => "mebibytes",
        "GiBy" => "gibibytes",
        "m" => "meters",
        "V" => "volts",
        "A" => "amperes",
        "J" => "joules",
        "W" => "watts",
        "g" => "grams",
        "Cel" => "celsius",
        "Hz" => "hertz",
        "%" => "percent",
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_name_cannot_hold_becomes_a_line() {
        for (name, written) in
            [("a b", "a_b"), ("größe", "gr__e"), ("a:b", "a:b"), ("9x", "_9x"), ("my.utf8 name", "my_utf8_name")]
        {
            assert_eq!(prometheus_name(Family::untyped(name, "", "")), written);
        }
        assert_eq!(clean("a:b", false), "a_b");
        assert!(matches!(clean("fine_1", false), Cow::Borrowed("fine_1")));
    }

    #[test]
    fn names_with_dots_get_their_unit_and_their_kind() {
        for (kind, name, unit, expected) in [
            (Kind::Counter, "system.cpu.time", "s", "system_cpu_time_seconds_total"),
            (Kind::UpDown, "system.memory.usage", "By", "system_memory_usage_bytes"),
            (Kind::Counter, "system.disk.operations", "{operations}", "system_disk_operations_total"),
            (Kind::Gauge, "system.cpu.load_average.1m", "{thread}", "system_cpu_load_average_1m"),
            (Kind::Gauge, "system.memory.utilization", "1", "system_memory_utilization_ratio"),
            (Kind::UpDown, "system.network.connections", "{connections}", "system_network_connections"),
            (Kind::Counter, "system_disk_read_bytes_total", "bytes", "system_disk_read_bytes_total"),
            (Kind::Counter, "requests", "", "requests"),
            (Kind::Histogram, "http.server.duration_bucket", "s", "http_server_duration_seconds_bucket"),
            (Kind::Histogram, "http.server.duration_sum", "s", "http_server_duration_seconds_sum"),
            (Kind::Summary, "rpc.duration", "ms", "rpc_duration_milliseconds"),
            (Kind::Summary, "rpc.duration_count", "ms", "rpc_duration_milliseconds_count"),
        ] {
            assert_eq!(prometheus_name(Family::new(kind, name, unit, "")), expected);
        }
    }
}
