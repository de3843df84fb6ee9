//! The pages that a scraper reads: Prometheus text 0.0.4 and OpenMetrics 1.0.
//!
//! Both are lines of samples under a head for each family, and both want a family's lines
//! together, wherever its samples come from. Samples carry no time: the scraper's own is
//! meant, and a page that says otherwise breaks staleness.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/> and
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use crate::model::{Family, Frame, Kind};
use crate::order;
use crate::shaping::{Perspective, View, WrittenLabels, prometheus_labels, prometheus_name};

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

/// Appends a whole page to `out`: every family of `frames` as `from` sees it, in the order in
/// which the names first appear.
///
/// Where frames disagree on what a family is, the first one's head stands.
pub fn render<'a>(frames: impl IntoIterator<Item = &'a Frame>, from: &Perspective, format: Format, out: &mut String) {
    let parts: Vec<(Arc<View>, &[f64])> =
        frames.into_iter().flat_map(Frame::parts).map(|(chunk, values)| (from.view(chunk), values)).collect();
    let page = Page::group(&parts);
    let mut at = 0;
    while let Some(&(family, ..)) = page.samples.get(at) {
        let name = page.head(&page.families[family as usize], format, out);
        for (_, view, series, value) in page.samples[at..].iter().take_while(|(f, ..)| *f == family) {
            let series = view.get(*series as usize);
            match series.family().kind {
                Kind::Histogram | Kind::Summary => out.push_str(&prometheus_name(series.family())),
                _ => out.push_str(name),
            }
            write_labels(&prometheus_labels(series.labels), out);
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
    families: Vec<Head<'a>>,
    index: HashMap<Cow<'a, str>, u32>,
    /// Each with its family, as the series of that number in a view.
    samples: Vec<(u32, &'a View, u32, f64)>,
}

/// A family with the name that it has on the page.
struct Head<'a> {
    name: Cow<'a, str>,
    family: Family<'a>,
}

impl<'a> Page<'a> {
    fn group(parts: &'a [(Arc<View>, &'a [f64])]) -> Page<'a> {
        let mut page = Page { families: Vec::new(), index: HashMap::new(), samples: Vec::new() };
        for (view, values) in parts {
            for (at, series) in view.series().enumerate() {
                let family = page.family(series.family());
                page.samples.push((family, view, at as u32, series.value(values)));
            }
        }
        // Stable: within a family, samples stay in the order in which they were collected.
        order::sort_by_key(&mut page.samples, |(family, ..)| *family);
        page
    }

    /// The number of the family, by name: two frames may hold equal families in two objects.
    fn family(&mut self, family: Family<'a>) -> u32 {
        let name = prometheus_name(Family { name: family.base(), ..family });
        let families = &mut self.families;
        *self.index.entry(name.clone()).or_insert_with(|| {
            families.push(Head { name, family });
            (families.len() - 1) as u32
        })
    }

    /// Writes the family's head and gives the name that its samples carry.
    fn head<'p>(&'p self, head: &'p Head<'a>, format: Format, out: &mut String) -> &'p str {
        let Head { name, family } = head;
        let (shown, kind) = match format {
            Format::Prometheus => (&**name, family.kind.as_str()),
            Format::OpenMetrics => self.open_metrics_family(head),
        };
        if !family.help.is_empty() {
            out.push_str("# HELP ");
            out.push_str(shown);
            out.push(' ');
            escape(family.help, format == Format::OpenMetrics, out);
            out.push('\n');
        }
        out.push_str("# TYPE ");
        out.push_str(shown);
        out.push(' ');
        out.push_str(kind);
        out.push('\n');
        if format == Format::OpenMetrics && has_unit(shown, family.unit) {
            out.push_str("# UNIT ");
            out.push_str(shown);
            out.push(' ');
            out.push_str(family.unit);
            out.push('\n');
        }
        name
    }

    /// In OpenMetrics a counter's family is its name without `_total`. A counter without
    /// that suffix (scraped from an application that doesn't follow the custom), or one
    /// whose bare name another family has, keeps its name and loses its type: a reader
    /// refuses the whole page for a wrong sample name or a family that stands twice.
    fn open_metrics_family<'p>(&self, head: &'p Head<'a>) -> (&'p str, &'static str) {
        match (head.family.kind, head.name.strip_suffix("_total")) {
            (Kind::Counter, Some(family)) if !self.index.contains_key(family) => (family, Kind::Counter.as_str()),
            (Kind::Counter | Kind::Untyped, _) => (&head.name, "unknown"),
            (kind, _) => (&head.name, kind.as_str()),
        }
    }
}

/// OpenMetrics: a family that states its unit has a name that ends in it.
fn has_unit(family: &str, unit: &str) -> bool {
    !unit.is_empty() && family.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_'))
}

/// `{name="value",...}`, sorted by name; nothing where there are none.
fn write_labels(labels: &WrittenLabels<'_>, out: &mut String) {
    let mut separator = '{';
    for (name, value) in labels.iter() {
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

    use super::*;
    use crate::formats::testing;
    use crate::model::{Labels, Scheme};

    static TEMPERATURE: Family = Family::gauge("room_temperature_celsius", "celsius", "How \"warm\" it is.\\nice\nday");
    static READ: Family = Family::counter("disk_read_bytes_total", "bytes", "Bytes read.");
    static SENT: Family = Family::counter("network_bytes_sent_total", "bytes", "Bytes sent.");
    static ODD: Family = Family::counter("requests", "", "");

    fn page(frames: &[Frame], labels: &Labels, format: Format) -> String {
        let mut out = String::new();
        render(frames, &Perspective::new(Scheme::Native, labels.clone()), format, &mut out);
        out
    }

    fn frame(source: &str, samples: &[(&Family, Labels, f64)]) -> Frame {
        let samples: Vec<_> = samples.iter().map(|(family, labels, value)| (*family, labels, *value)).collect();
        testing::frame(source, 1, &samples)
    }

    fn frames() -> Vec<Frame> {
        let mut disk: Vec<(&Family, Labels, f64)> = Vec::new();
        let sda = Labels::of(&[("device", "sda")]);
        let odd = Labels::of(&[("device", "a\"b\\c\nd"), ("zone", "x")]);
        disk.push((&READ, sda.clone(), 1234567890123.0));
        disk.push((&TEMPERATURE, sda.clone(), 21.5));
        disk.push((&READ, odd.clone(), 0.0));
        let other =
            vec![(&SENT, Labels::EMPTY, 7.0), (&TEMPERATURE, Labels::EMPTY, f64::NAN), (&ODD, Labels::EMPTY, 3.0)];
        vec![frame("disk", &disk), frame("other", &other)]
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
        static QUEUE: Family = Family::gauge("queue", "", "");
        static QUEUE_TOTAL: Family = Family::counter("queue_total", "", "");
        let out = vec![(&QUEUE_TOTAL, Labels::EMPTY, 1.0), (&QUEUE, Labels::EMPTY, 2.0)];
        assert_eq!(
            page(&[frame("out", &out)], &Labels::EMPTY, Format::OpenMetrics),
            "# TYPE queue_total unknown\nqueue_total 1\n# TYPE queue gauge\nqueue 2\n# EOF\n"
        );
    }

    #[test]
    fn families_are_told_apart_by_name_not_by_address() {
        let first = Family::gauge("app_load", "", "First.");
        let second = Family::gauge("app_load", "", "Second.");
        let a = vec![(&first, Labels::of(&[("endpoint", "a")]), 1.0)];
        let b = vec![(&second, Labels::of(&[("endpoint", "b")]), 2.0)];
        assert_eq!(
            page(&[frame("a", &a), frame("b", &b)], &Labels::EMPTY, Format::Prometheus),
            "# HELP app_load First.\n# TYPE app_load gauge\napp_load{endpoint=\"a\"} 1\napp_load{endpoint=\"b\"} 2\n"
        );
    }

    #[test]
    fn extra_labels_yield_to_the_series_own() {
        static UP: Family = Family::gauge("up", "", "");
        let extra = Labels::of(&[("a", "1"), ("host", "h"), ("z", "9")]);
        let out = vec![(&UP, Labels::of(&[("b", "2"), ("host", "own")]), 1.0), (&UP, Labels::EMPTY, 1.0)];
        assert_eq!(
            page(&[frame("out", &out)], &extra, Format::Prometheus),
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
