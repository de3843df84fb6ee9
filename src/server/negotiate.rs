//! Which format of `/metrics` a client wants.

use crate::formats::text::Format;

/// OpenMetrics where `accept` names it, in a version that we write, at least as willingly
/// as anything that plain text satisfies; text otherwise, also where neither is accepted:
/// a page in the other format serves a person better than a refusal.
pub(super) fn format(accept: &str) -> Format {
    let mut open_metrics = 0;
    // Quality and how specific the range is; the most specific one counts (RFC 9110, section 12.5.1).
    let mut text = (0, 0);
    for range in accept.split(',') {
        let mut parameters = range.split(';').map(str::trim);
        let media = parameters.next().unwrap_or_default().to_ascii_lowercase();
        let (mut quality, mut version) = (1000, None);
        for (name, value) in parameters.filter_map(|parameter| parameter.split_once('=')) {
            match name.trim().to_ascii_lowercase().as_str() {
                "q" => quality = permille(value.trim()),
                "version" => version = Some(value.trim().trim_matches('"')),
                _ => {}
            }
        }
        let specific = match (&*media, version) {
            ("application/openmetrics-text", None | Some("1.0.0")) => {
                open_metrics = open_metrics.max(quality);
                continue;
            }
            ("text/plain", Some("0.0.4")) => 4,
            ("text/plain", None) => 3,
            ("text/*", _) => 2,
            ("*/*", _) => 1,
            _ => continue,
        };
        if specific > text.0 || (specific == text.0 && quality > text.1) {
            text = (specific, quality);
        }
    }
    if open_metrics > 0 && open_metrics >= text.1 { Format::OpenMetrics } else { Format::Prometheus }
}

/// A quality value (`0`, `0.5`, `1.000`) in thousandths; 0 where it is none.
fn permille(text: &str) -> u32 {
    match text.parse::<f64>() {
        Ok(quality) if (0.0..=1.0).contains(&quality) => (quality * 1000.0).round() as u32,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_has_to_be_asked_for() {
        for (accept, expected) in [
            ("", Format::Prometheus),
            ("*/*", Format::Prometheus),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Format::Prometheus),
            ("text/plain", Format::Prometheus),
            ("application/json", Format::Prometheus),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("Application/OpenMetrics-Text; version=1.0.0; charset=utf-8", Format::OpenMetrics),
            ("application/openmetrics-text; version=\"1.0.0\"", Format::OpenMetrics),
            ("application/openmetrics-text; version=0.0.1", Format::Prometheus),
            ("application/openmetrics-text;q=0", Format::Prometheus),
            ("application/openmetrics-text;q=0.0, */*", Format::Prometheus),
            ("application/openmetrics-text;q=x", Format::Prometheus),
            ("application/openmetrics-text;q=0.3,text/plain;q=0.9", Format::Prometheus),
            ("application/openmetrics-text;q=0.5,*/*;q=0.8", Format::Prometheus),
            ("application/openmetrics-text, */*", Format::OpenMetrics),
            ("application/openmetrics-text;q=0.5,text/plain;q=0.4,*/*", Format::OpenMetrics),
            (
                "application/openmetrics-text; version=1.0.0; q=0.75, text/plain; version=0.0.4; q=0.5, */*; q=0.1",
                Format::OpenMetrics,
            ),
            // As Prometheus 3 sends it.
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                 application/openmetrics-text;version=0.0.1;q=0.5,\
                 text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                Format::OpenMetrics,
            ),
        ] {
            assert_eq!(format(accept), expected, "{accept}");
        }
    }
}
