//! A series in words: `name{label="value"}`, as PromQL and the text format write it.

use std::fmt;

use super::series::{NAME, Series};

impl Series {
    /// The series that `text` is; the error says what is wrong with it. Its labels may be in any
    /// order, and its name among them, as `__name__`.
    pub fn parse(text: &str) -> Result<Series, String> {
        let text = text.trim();
        let (name, labels) = text.split_once('{').map_or((text, None), |(name, labels)| (name, Some(labels)));
        let name = name.trim();
        let mut series = Series::default();
        series.begin(name);
        if let Some(labels) = labels {
            parse_labels(labels, &mut series)?;
        }
        let is_one = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.');
        let name = series.name();
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit() || c == '.') || !name.chars().all(is_one) {
            return Err(format!("expected a metric's name, got {name:?}"));
        }
        series.take_changed();
        Ok(series)
    }
}

/// Reads what stands behind the `{`.
fn parse_labels(text: &str, series: &mut Series) -> Result<(), String> {
    let mut rest = text.trim_start();
    loop {
        if let Some(behind) = rest.strip_prefix('}') {
            return if behind.is_empty() { Ok(()) } else { Err(format!("expected an end behind }}, got {behind:?}")) };
        }
        let (label, behind) = rest.split_once('=').ok_or("expected name=\"value\" and a }")?;
        let label = label.trim();
        let is_one = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
        if label.is_empty() || !label.chars().all(is_one) {
            return Err(format!("expected a label's name, got {label:?}"));
        }
        let (value, behind) = quoted(behind.trim_start()).map_err(|why| format!("label {label}: {why}"))?;
        if !series.get(label).is_empty() {
            return Err(format!("the label {label} is given twice"));
        }
        if label == NAME && value.is_empty() {
            return Err("the name is empty".to_owned());
        }
        series.set(label, &value);
        rest = behind.trim_start();
        match rest.strip_prefix(',') {
            Some(behind) => rest = behind.trim_start(),
            None if rest.starts_with('}') => {}
            None => return Err(format!("expected , or }} behind label {label}")),
        }
    }
}

/// A text in quotes, and what is behind it.
fn quoted(text: &str) -> Result<(String, &str), &'static str> {
    let mut chars = text.strip_prefix('"').ok_or("expected a value in double quotes")?.chars();
    let mut value = String::new();
    loop {
        match chars.next().ok_or("its value has no end")? {
            '"' => return Ok((value, chars.as_str())),
            '\\' => value.push(match chars.next() {
                Some('n') => '\n',
                Some(c @ ('\\' | '"')) => c,
                _ => return Err("behind \\ comes \\, \" or n"),
            }),
            c => value.push(c),
        }
    }
}

/// As [`Series::parse`] reads it; without its factor.
impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        for (at, (name, value)) in self.labels().enumerate() {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            write!(f, "{}{name}=\"{value}\"", if at == 0 { '{' } else { ',' })?;
        }
        if self.labels().len() > 0 { f.write_str("}") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_reads_as_it_is_written() {
        for (text, written) in [
            ("up", "up"),
            (" up { } ", "up"),
            (r#"up{b="2",a="1"}"#, r#"up{a="1",b="2"}"#),
            (r#"up { b = "2" , a="1", }"#, r#"up{a="1",b="2"}"#),
            (r#"{__name__="up",a="x\\y\"z\n"}"#, r#"up{a="x\\y\"z\n"}"#),
            (r#"up{a=""}"#, "up"),
            (r#"hw.status{hw.id="},{"}"#, r#"hw.status{hw.id="},{"}"#),
        ] {
            let series = Series::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!(series.to_string(), written);
            assert_eq!(Series::parse(written).unwrap().to_string(), written);
        }
    }

    #[test]
    fn what_is_none_is_refused_in_words() {
        for (text, why) in [
            ("", "expected a metric's name, got \"\""),
            ("1up", "expected a metric's name, got \"1up\""),
            ("up down", "expected a metric's name, got \"up down\""),
            ("up{", "expected name=\"value\" and a }"),
            (r#"up{a="1""#, "expected , or } behind label a"),
            (r#"up{a="1"} 5"#, "expected an end behind }, got \" 5\""),
            ("up{a=1}", "label a: expected a value in double quotes"),
            (r#"up{a="1}"#, "label a: its value has no end"),
            (r#"up{a="\x"}"#, "label a: behind \\ comes \\, \" or n"),
            (r#"up{a-b="1"}"#, "expected a label's name, got \"a-b\""),
            (r#"up{a="1",a="2"}"#, "the label a is given twice"),
            (r#"up{__name__="x"}"#, "the label __name__ is given twice"),
            (r#"{a="1"}"#, "expected a metric's name, got \"\""),
        ] {
            assert_eq!(Series::parse(text).unwrap_err(), why, "{text}");
        }
    }
}
