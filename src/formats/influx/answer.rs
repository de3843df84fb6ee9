//! What an answer says of the lines that were not written.
//!
//! ```text
//! 1, 2  400, 422  {"error": "partial write: points beyond retention policy dropped=2"}
//!                 {"error": "partial write: unable to parse 'x': missing fields dropped=0"}
//! 3     400       {"error": "partial write of line protocol occurred",
//!                  "data": [{"original_line": "x", "line_number": 2, "error_message": "..."}]}
//! ```

use std::collections::BTreeSet;

use serde_json::Value;

use super::Plain;
use crate::formats::body::Content;
use crate::formats::format::{Answered, Written};
use crate::formats::gzip::unpack;
use crate::formats::lines::numbers;

/// What the version 3 says of each line that it has not written.
const LINE_NUMBER: &str = "\"line_number\":";

/// What the others say of each line that they could not read. Such a line is not among those that they have
/// counted.
const NOT_READ: &str = "unable to parse ";

/// What an answer says was written. One that speaks of no part speaks of all.
pub fn written(content: &Content, answer: &Answered<'_>) -> Written {
    let text = String::from_utf8_lossy(answer.body);
    if !matches!(answer.status, 400 | 422) || !text.contains("partial write") {
        return Written::Unsaid;
    }
    let Some(sent) = unpack(content, answer.sent) else { return Written::Unsaid };
    let lines: Vec<u64> = numbers::<Plain>(&sent).collect();
    let samples: u64 = lines.iter().sum();
    let named = lines_named(&text);
    let lost = if named.is_empty() {
        // Which lines is not said: they have as many numbers as the others, on average.
        let lost = dropped(&text).min(lines.len() as u64);
        (lost * samples).div_ceil((lines.len() as u64).max(1))
    } else {
        named.iter().filter_map(|line| lines.get(line.checked_sub(1)?)).sum()
    };
    if lost >= samples { Written::Unsaid } else { Written::InPart(lost, why(&text)) }
}

/// The numbers of the lines that the version 3 names. The answer may be cut: what is in front counts.
fn lines_named(text: &str) -> BTreeSet<usize> {
    let numbers = text.match_indices(LINE_NUMBER).map(|(at, found)| text[at + found.len()..].trim_start());
    numbers.filter_map(|rest| leading_number(rest)?.try_into().ok()).collect()
}

fn dropped(text: &str) -> u64 {
    let counted = text.rfind("dropped=").and_then(|at| leading_number(&text[at + "dropped=".len()..]));
    counted.unwrap_or(0).saturating_add(text.matches(NOT_READ).count() as u64)
}

fn leading_number(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

/// What it says, in words.
fn why(text: &str) -> String {
    let Ok(whole) = serde_json::from_str::<Value>(text) else { return text.to_owned() };
    let word = |of: &Value, name: &str| of.get(name)?.as_str().map(str::to_owned);
    let what = word(&whole, "error").or_else(|| word(&whole, "message"));
    let first = whole.get("data").and_then(|all| word(all.get(0)?, "error_message"));
    match (what, first) {
        (Some(what), Some(first)) => format!("{what}: {first}"),
        (Some(what), None) => what,
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::body::content;
    use crate::formats::gzip::{GZIP, gzip};

    const SENT: &[u8] = b"a value=1 7\nb,x=y\\ z value=2 7\nc_d e=1,f=2 7\nc_d g=1,h=2,i=3 7\n";

    fn of(status: u16, body: &str) -> Written {
        let header = |_: &str| None;
        written(&content(&[]), &Answered { status, header: &header, body: body.as_bytes(), sent: SENT })
    }

    #[test]
    fn a_part_that_was_dropped_is_counted_by_each_version() {
        let in_part = |lost, why: &str| Written::InPart(lost, why.to_owned());
        let v1 = "partial write: points beyond retention policy dropped=1";
        assert_eq!(of(400, &format!(r#"{{"error":"{v1}"}}"#)), in_part(2, v1), "seven numbers in four lines");
        let v2 = "failure writing points to database: partial write: field type conflict: x dropped=2";
        assert_eq!(of(422, &format!(r#"{{"code":"unprocessable entity","message":"{v2}"}}"#)), in_part(4, v2));
        let unread = "partial write: unable to parse 'x': missing fields\\nunable to parse 'y': bad number dropped=1";
        assert!(matches!(of(400, &format!(r#"{{"error":"{unread}"}}"#)), Written::InPart(6, _)));
        let v3 = r#"{"error":"partial write of line protocol occurred","data":[
            {"original_line":"c_d","line_number":4,"error_message":"too bad"},
            {"original_line":"c_d","line_number":4,"error_message":"once more"},
            {"original_line":"x","line_number":1,"error_message":"no"}, {"line_number":99}]}"#;
        assert_eq!(of(400, v3), in_part(4, "partial write of line protocol occurred: too bad"));
    }

    #[test]
    fn an_answer_that_speaks_of_no_part_speaks_of_all() {
        for (status, body) in [
            (204, ""),
            (400, ""),
            (400, "{"),
            (400, "<html>partial</html>"),
            (400, r#"{"error":"unable to parse 'x': missing fields"}"#),
            (400, r#"{"error":"partial write: all of it dropped=4"}"#),
            (400, r#"{"error":"partial write: more than there is dropped=99999999999999999999"#),
            (404, r#"{"error":"database not found: partial write dropped=1"}"#),
            (500, r#"{"error":"partial write dropped=1"}"#),
        ] {
            let expected = if body.contains("9999") { Written::InPart(0, body.to_owned()) } else { Written::Unsaid };
            assert_eq!(of(status, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn an_answer_that_is_cut_anywhere_is_survived_and_a_body_that_is_packed_is_counted() {
        let v3 = r#"{"error":"partial write of line protocol occurred","data":[{"line_number":1,"error_message":"é"},{"line_number":3}]}"#;
        (0..v3.len()).for_each(|end| _ = of(400, &String::from_utf8_lossy(&v3.as_bytes()[..end])));
        let cut = &v3[..v3.len() - 3];
        assert_eq!(of(400, cut), Written::InPart(3, cut.to_owned()));
        let mut sent = Vec::new();
        gzip(SENT, &mut sent);
        let header = |_: &str| None;
        let answer = Answered { status: 400, header: &header, body: v3.as_bytes(), sent: &sent };
        assert!(matches!(written(&content(&[GZIP]), &answer), Written::InPart(3, _)));
        let damaged = Answered { sent: b"x", ..answer };
        assert_eq!(written(&content(&[GZIP]), &damaged), Written::Unsaid);
    }
}
