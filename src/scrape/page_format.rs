//! How a page is read: by what its endpoint says, what the page says it is, and what it looks like.

use super::settings::PageFormat;
use crate::exposition::Format;

/// How a page is read: as text of this format, or as JSON (none).
pub fn format_of(asked: PageFormat, content_type: &str, body: &[u8]) -> Result<Option<Format>, String> {
    let media = content_type.split(';').next().unwrap_or_default().trim();
    Ok(match asked {
        PageFormat::Json => None,
        PageFormat::Prometheus => Some(Format::Text),
        PageFormat::OpenMetrics => Some(Format::OpenMetrics),
        PageFormat::Auto => match media {
            "application/openmetrics-text" => Some(Format::OpenMetrics),
            "text/plain" if content_type.contains("version=0.0.4") => Some(Format::Text),
            // Servers label JSON as they like.
            _ => match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
                Some(b'{') if !looks_like_a_quoted_series(body) => None,
                Some(b'<') => {
                    return Err(format!("is no page of metrics: it is HTML or XML ({media})"));
                }
                _ => Some(Format::Text),
            },
        },
    })
}

/// A line of Prometheus text may begin with a brace (`{"a.b"} 1`); a JSON object has a colon or its
/// end behind its first string.
fn looks_like_a_quoted_series(body: &[u8]) -> bool {
    let mut rest = body.iter().copied().skip_while(|byte| *byte != b'{').skip(1).skip_while(u8::is_ascii_whitespace);
    if rest.next() != Some(b'"') {
        return false;
    }
    let mut escaped = false;
    for byte in rest.by_ref() {
        match byte {
            b'"' if !escaped => break,
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    matches!(rest.find(|byte| !byte.is_ascii_whitespace()), Some(b'}' | b','))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_what_it_says_or_what_it_looks_like() {
        const TEXT: Result<Option<Format>, ()> = Ok(Some(Format::Text));
        const OPEN: Result<Option<Format>, ()> = Ok(Some(Format::OpenMetrics));
        const JSON: Result<Option<Format>, ()> = Ok(None);
        for (content_type, body, expected) in [
            ("application/openmetrics-text; version=1.0.0", "{\"a\": 1}", OPEN),
            ("text/plain; version=0.0.4; charset=utf-8", "{\"a\": 1}", TEXT),
            ("text/plain", " {\"a\": 1}", JSON),
            ("text/html", "{}", JSON),
            ("", "{\"a\" : 1}", JSON),
            ("application/json", "a 1\n", TEXT),
            ("", "{\"a.b\"} 1\n", TEXT),
            ("", "{\"a\\\"b\", c=\"d\"} 1\n", TEXT),
            ("", "", TEXT),
            ("text/plain", "<html>", Err(())),
        ] {
            let found = format_of(PageFormat::Auto, content_type, body.as_bytes()).map_err(drop);
            assert_eq!(found, expected, "{content_type} {body}");
        }
        assert_eq!(format_of(PageFormat::Json, "text/plain; version=0.0.4", b"a 1"), Ok(None));
    }
}
