//! How names and values are written where some characters mean something.

/// What a text stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line's measurement.
    Measurement,
    /// A tag's name.
    Tag,
    /// A tag's value.
    Value,
    /// A field's name.
    Field,
}

/// Names that mean something to InfluxDB itself: a point with such a tag or field is refused.
pub const RESERVED: [&str; 3] = ["time", "_measurement", "_field"];

/// Writes `text` as what stands at `place`.
pub fn escape(text: &str, place: Place, out: &mut Vec<u8>) {
    let begin = out.len();
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            // None of them can be written, and lines end at one.
            0..=0x1f | 0x7f => out.push(b'_'),
            // At the end it would escape what stands behind, and else what follows.
            b'\\' if matches!(bytes.peek(), None | Some(b',' | b' ' | b'=' | b'\\' | b'"')) => out.push(b'_'),
            // A line that begins so is a comment.
            b'#' if place == Place::Measurement && out.len() == begin => out.push(b'_'),
            // Some receivers take it for the beginning of a string there.
            b'"' if place == Place::Field => out.push(b'_'),
            b',' | b' ' => out.extend_from_slice(&[b'\\', byte]),
            b'=' if place != Place::Measurement => out.extend_from_slice(b"\\="),
            _ => out.push(byte),
        }
    }
    if text.is_empty() || matches!(place, Place::Tag | Place::Field) && RESERVED.contains(&text) {
        out.push(b'_');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, place: Place) -> String {
        let mut out = Vec::new();
        escape(text, place, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_means_something_is_escaped_and_what_cannot_be_becomes_a_low_line() {
        for (text, measurement, tag, value, field) in [
            ("plain", "plain", "plain", "plain", "plain"),
            ("a,b c=d", r"a\,b\ c=d", r"a\,b\ c\=d", r"a\,b\ c\=d", r"a\,b\ c\=d"),
            ("a\nb\r\t\0\u{7f}", "a_b____", "a_b____", "a_b____", "a_b____"),
            (r"C:\dir", r"C:\dir", r"C:\dir", r"C:\dir", r"C:\dir"),
            (r"end\", "end_", "end_", "end_", "end_"),
            (r"\\", "__", "__", "__", "__"),
            (r"\\x", r"_\x", r"_\x", r"_\x", r"_\x"),
            (r"a\,b", r"a_\,b", r"a_\,b", r"a_\,b", r"a_\,b"),
            ("#a#", "_a#", "#a#", "#a#", "#a#"),
            ("\"q\"", "\"q\"", "\"q\"", "\"q\"", "_q_"),
            ("time", "time", "time_", "time", "time_"),
            ("_field", "_field", "_field_", "_field", "_field_"),
            ("", "_", "_", "_", "_"),
            ("é 世", r"é\ 世", r"é\ 世", r"é\ 世", r"é\ 世"),
        ] {
            let all = [Place::Measurement, Place::Tag, Place::Value, Place::Field].map(|place| of(text, place));
            assert_eq!(all, [measurement, tag, value, field], "{text:?}");
        }
    }
}
