//! The pages that a scraper reads: Prometheus text 0.0.4 and OpenMetrics 1.0.
//!
//! Both are lines of samples under a head for each family, and both want a family's lines
//! together, wherever its samples come from. Samples carry no time: the scraper's own is
//! meant, and a page that says otherwise breaks staleness.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/> and
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>.

use std::collections::HashMap;
use std::fmt::Write as _;

use crate::model::{Frame, Kind, Labels, Metric, Series};

/// Which of the two formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Prometheus,
    /// OpenMetrics text 1.0.
    OpenMetrics,
}

impl Format {
    /// The `Content-Type` of a page in this format.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Appends a whole page to `out`: every family of `frames`, in the order in which the names
/// first appear. `labels` go to every series that has no label of that name itself.
///
/// Where frames disagree on what a family is, the first one's head stands.
pub fn render<'a>(frames: impl IntoIterator<Item = &'a Frame>, labels: &Labels, format: Format, out: &mut String) {
    let page = Page::group(frames);
    let mut at = 0;
    while let Some(&(family, ..)) = page.samples.get(at) {
        let metric = page.families[family as usize];
        let name = page.head(metric, format, out);
        for (_, series, value) in page.samples[at..].iter().take_while(|(f, ..)| *f == family) {
            out.push_str(name);
            write_labels(&series.labels, labels, out);
            out.push(' ');
            write_number(*value, out);
            out.push('\n');
            at += 1;
        }
    }
    if format == Format::OpenMetrics {
        out.push_str("# EOF\n");
    }
}

/// The samples of a page, those of a family side by side.
struct Page<'a> {
    families: Vec<&'a Metric>,
    index: HashMap<&'a str, u32>,
    samples: Vec<(u32, &'a Series, f64)>,
}

impl<'a> Page<'a> {
    fn group(frames: impl IntoIterator<Item = &'a Frame>) -> Page<'a> {
        let mut page = Page { families: Vec::new(), index: HashMap::new(), samples: Vec::new() };
        for frame in frames {
            for (series, value) in frame.samples() {
                let family = page.family(&series.metric);
                page.samples.push((family, series, value));
            }
        }
        // Stable: within a family, samples stay in the order in which they were collected.
        page.samples.sort_by_key(|(family, ..)| *family);
        page
    }

    /// The number of the family, by name: two frames may hold equal families in two objects.
    fn family(&mut self, metric: &'a Metric) -> u32 {
        let families = &mut self.families;
        *self.index.entry(&metric.name).or_insert_with(|| {
            families.push(metric);
            (families.len() - 1) as u32
        })
    }

    /// Writes the family's head and gives the name that its samples carry.
    fn head(&self, metric: &'a Metric, format: Format, out: &mut String) -> &'a str {
        let name: &str = &metric.name;
        let (family, kind) = match format {
            Format::Prometheus => (name, metric.kind.as_str()),
            Format::OpenMetrics => self.open_metrics_family(metric),
        };
        if !metric.help.is_empty() {
            out.push_str("# HELP ");
            out.push_str(family);
            out.push(' ');
            escape(&metric.help, format == Format::OpenMetrics, out);
            out.push('\n');
        }
        out.push_str("# TYPE ");
        out.push_str(family);
        out.push(' ');
        out.push_str(kind);
        out.push('\n');
        if format == Format::OpenMetrics && has_unit(family, metric.unit) {
            out.push_str("# UNIT ");
            out.push_str(family);
            out.push(' ');
            out.push_str(metric.unit);
            out.push('\n');
        }
        name
    }

    /// In OpenMetrics a counter's family is its name without `_total`. A counter without
    /// that suffix (scraped from an application that doesn't follow the custom), or one
    /// whose bare name another family has, keeps its name and loses its type: a reader
    /// refuses the whole page for a wrong sample name or a family that stands twice.
    fn open_metrics_family(&self, metric: &'a Metric) -> (&'a str, &'static str) {
        match (metric.kind, metric.name.strip_suffix("_total")) {
            (Kind::Gauge, _) => (&metric.name, Kind::Gauge.as_str()),
            (Kind::Counter, Some(family)) if !self.index.contains_key(family) => (family, Kind::Counter.as_str()),
            (Kind::Counter, _) => (&metric.name, "unknown"),
        }
    }
}

/// OpenMetrics: a family that states its unit has a name that ends in it.
fn has_unit(family: &str, unit: &str) -> bool {
    !unit.is_empty() && family.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_'))
}

/// `{name="value",...}`, sorted by name; nothing where there are none.
fn write_labels(own: &Labels, extra: &Labels, out: &mut String) {
    let mut own = own.iter().peekable();
    let mut extra = extra.iter().peekable();
    let mut separator = '{';
    loop {
        let (name, value) = match (own.peek(), extra.peek()) {
            (Some(a), Some(b)) if b.0 < a.0 => *b,
            (Some(a), _) => *a,
            (None, Some(b)) => *b,
            (None, None) => break,
        };
        // On equal names the series' own label is written, and both are done with.
        own.next_if(|pair| pair.0 == name);
        extra.next_if(|pair| pair.0 == name);
        out.push(separator);
        separator = ',';
        out.push_str(name);
        out.push_str("=\"");
        escape(value, true, out);
        out.push('"');
    }
    if separator == ',' {
        out.push('}');
    }
}

/// Backslash and line feed are escaped everywhere; the double quote in label values, and
/// in OpenMetrics' help.
fn escape(text: &str, quotes: bool, out: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find(|c| c == '\\' || c == '\n' || (quotes && c == '"')) {
        out.push_str(&rest[..at]);
        out.push_str(match rest.as_bytes()[at] {
            b'\\' => "\\\\",
            b'\n' => "\\n",
            _ => "\\\"",
        });
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}

/// The shortest digits that read back as the same number.
///
/// An exponent comes only where the digits would be mostly zeros: a counter of bytes has
/// to stay readable.
fn write_number(value: f64, out: &mut String) {
    const LONGEST: f64 = 1e21;
    const SMALLEST: f64 = 1e-7;
    let size = value.abs();
    // Writing to a String does not fail.
    let _ = if value.is_nan() {
        out.write_str("NaN")
    } else if value.is_infinite() {
        out.write_str(if value > 0.0 { "+Inf" } else { "-Inf" })
    } else if size == 0.0 || (SMALLEST..LONGEST).contains(&size) {
        write!(out, "{value}")
    } else {
        write!(out, "{value:e}")
    };
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::Recorder;

    static TEMPERATURE: Metric = Metric::gauge("room_temperature_celsius", "celsius", "How \"warm\" it is.\\nice\nday");
    static READ: Metric = Metric::counter("disk_read_bytes_total", "bytes", "Bytes read.");
    static SENT: Metric = Metric::counter("network_bytes_sent_total", "bytes", "Bytes sent.");
    static ODD: Metric = Metric::counter("requests", "", "");

    fn page(frames: &[Frame], labels: &Labels, format: Format) -> String {
        let mut out = String::new();
        render(frames, labels, format, &mut out);
        out
    }

    fn frames() -> Vec<Frame> {
        let mut disk = Recorder::new("disk", 100);
        let sda = Labels::of(&[("device", "sda")]);
        let odd = Labels::of(&[("device", "a\"b\\c\nd"), ("zone", "x")]);
        disk.push(&READ, &sda, 1234567890123.0);
        disk.push(&TEMPERATURE, &sda, 21.5);
        disk.push(&READ, &odd, 0.0);
        let mut other = Recorder::new("other", 100);
        other.push(&SENT, &Labels::EMPTY, 7.0);
        other.push(&TEMPERATURE, &Labels::EMPTY, f64::NAN);
        other.push(&ODD, &Labels::EMPTY, 3.0);
        vec![disk.finish(1), other.finish(1)]
    }

    #[test]
    fn prometheus_text_has_each_family_once() {
        assert_eq!(
            page(&frames(), &Labels::EMPTY, Format::Prometheus),
            r#"# HELP disk_read_bytes_total Bytes read.
# TYPE disk_read_bytes_total counter
disk_read_bytes_total{device="sda"} 1234567890123
disk_read_bytes_total{device="a\"b\\c\nd",zone="x"} 0
# HELP room_temperature_celsius How "warm" it is.\\nice\nday
# TYPE room_temperature_celsius gauge
room_temperature_celsius{device="sda"} 21.5
room_temperature_celsius NaN
# HELP network_bytes_sent_total Bytes sent.
# TYPE network_bytes_sent_total counter
network_bytes_sent_total 7
# TYPE requests counter
requests 3
"#
        );
    }

    #[test]
    fn openmetrics_names_families_without_total_and_ends_with_eof() {
        assert_eq!(
            page(&frames(), &Labels::EMPTY, Format::OpenMetrics),
            r#"# HELP disk_read_bytes Bytes read.
# TYPE disk_read_bytes counter
# UNIT disk_read_bytes bytes
disk_read_bytes_total{device="sda"} 1234567890123
disk_read_bytes_total{device="a\"b\\c\nd",zone="x"} 0
# HELP room_temperature_celsius How \"warm\" it is.\\nice\nday
# TYPE room_temperature_celsius gauge
# UNIT room_temperature_celsius celsius
room_temperature_celsius{device="sda"} 21.5
room_temperature_celsius NaN
# HELP network_bytes_sent Bytes sent.
# TYPE network_bytes_sent counter
network_bytes_sent_total 7
# TYPE requests unknown
requests 3
# EOF
"#
        );
    }

    #[test]
    fn a_counter_whose_bare_name_is_taken_keeps_its_own() {
        static QUEUE: Metric = Metric::gauge("queue", "", "");
        static QUEUE_TOTAL: Metric = Metric::counter("queue_total", "", "");
        let mut out = Recorder::new("x", 10);
        out.push(&QUEUE_TOTAL, &Labels::EMPTY, 1.0);
        out.push(&QUEUE, &Labels::EMPTY, 2.0);
        assert_eq!(
            page(&[out.finish(1)], &Labels::EMPTY, Format::OpenMetrics),
            "# TYPE queue_total unknown\nqueue_total 1\n# TYPE queue gauge\nqueue 2\n# EOF\n"
        );
    }

    #[test]
    fn families_are_told_apart_by_name_not_by_address() {
        let first = Arc::new(Metric::gauge("app_load", "", "First."));
        let second = Arc::new(Metric::gauge("app_load", "", "Second."));
        let mut a = Recorder::new("a", 10);
        a.push_ref(&(&first).into(), &Labels::of(&[("endpoint", "a")]), 1.0);
        let mut b = Recorder::new("b", 10);
        b.push_ref(&(&second).into(), &Labels::of(&[("endpoint", "b")]), 2.0);
        assert_eq!(
            page(&[a.finish(1), b.finish(1)], &Labels::EMPTY, Format::Prometheus),
            "# HELP app_load First.\n# TYPE app_load gauge\napp_load{endpoint=\"a\"} 1\napp_load{endpoint=\"b\"} 2\n"
        );
    }

    #[test]
    fn extra_labels_yield_to_the_series_own() {
        static UP: Metric = Metric::gauge("up", "", "");
        let extra = Labels::of(&[("a", "1"), ("host", "h"), ("z", "9")]);
        let mut out = Recorder::new("x", 10);
        out.push(&UP, &Labels::of(&[("b", "2"), ("host", "own")]), 1.0);
        out.push(&UP, &Labels::EMPTY, 1.0);
        assert_eq!(
            page(&[out.finish(1)], &extra, Format::Prometheus),
            "# TYPE up gauge\nup{a=\"1\",b=\"2\",host=\"own\",z=\"9\"} 1\nup{a=\"1\",host=\"h\",z=\"9\"} 1\n"
        );
    }

    #[test]
    fn nothing_gives_an_empty_page() {
        assert_eq!(page(&[], &Labels::EMPTY, Format::Prometheus), "");
        assert_eq!(page(&[], &Labels::EMPTY, Format::OpenMetrics), "# EOF\n");
    }

    #[test]
    fn numbers_are_short_and_exact() {
        let text = |value: f64| {
            let mut out = String::new();
            write_number(value, &mut out);
            out
        };
        for (value, expected) in [
            (0.0, "0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (0.1, "0.1"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e15, "1000000000000000"),
            (9007199254740993.0, "9007199254740992"),
            (18446744073709551615.0, "18446744073709552000"),
            (1e21, "1e21"),
            (1.5e300, "1.5e300"),
            (0.0000001, "0.0000001"),
            (2.5e-9, "2.5e-9"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(text(value), expected);
        }
        for value in [f64::MAX, f64::MIN_POSITIVE, 5e-324, 123456.789e-12, 1.0 / 3.0] {
            assert_eq!(text(value).parse::<f64>(), Ok(value));
        }
    }
}
