//! `config.example.json`: every field at its default, and a destination that counts once it is edited.

use metricsd::config;
use metricsd::fields::{DefaultValue, Fields, Shape};

/// What is no longer than this stands in one line.
const WIDTH: usize = 60;
/// A list may be longer: what stands in it is read one after the other.
const LIST_WIDTH: usize = 100;

/// No destination is the default, so one stands there as a comment: that changes nothing before the `_`
/// is taken away.
const DESTINATION: &str = r#""//": "To send metrics, take the _ from _shipper, and set the endpoint. Keys that begin with _ are comments.",
  "_shipper": {
    "type": "prometheus_remote_write",
    "endpoint": "http://localhost:9090/api/v1/write"
  }"#;

pub fn example() -> String {
    format!("{}\n", object(config::fields(), 0))
}

fn object(fields: &dyn Fields, depth: usize) -> String {
    let member = |info: metricsd::fields::Info| {
        if depth == 0 && info.name == "shipper" {
            return DESTINATION.to_owned();
        }
        let value = match info.inner {
            Some(inner) if info.shape == Shape::Object && info.default != DefaultValue::Null => {
                object(inner, depth + 1)
            }
            _ => list(&info.default.json().expect("what has to be given has no place in the example"), depth + 1),
        };
        format!("\"{}\": {value}", info.name)
    };
    let members: Vec<String> = fields.infos().into_iter().map(member).collect();
    let line = format!("{{{}}}", members.join(", "));
    if depth > 0 && line.len() <= WIDTH && !line.contains('\n') { line } else { lines('{', &members, '}', depth) }
}

/// A list, in several lines where it is long; anything else as it is.
fn list(json: &str, depth: usize) -> String {
    let Ok(texts) = serde_json::from_str::<Vec<String>>(json) else { return json.to_owned() };
    let texts: Vec<String> = texts.iter().map(|text| serde_json::to_string(text).unwrap()).collect();
    let line = format!("[{}]", texts.join(", "));
    if line.len() <= LIST_WIDTH { line } else { lines('[', &texts, ']', depth) }
}

fn lines(open: char, members: &[String], close: char, depth: usize) -> String {
    let (outer, inner) = ("  ".repeat(depth), "  ".repeat(depth + 1));
    let members: Vec<String> = members.iter().map(|member| format!("{inner}{member}")).collect();
    format!("{open}\n{}\n{outer}{close}", members.join(",\n"))
}
