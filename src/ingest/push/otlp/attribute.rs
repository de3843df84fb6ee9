//! Attributes as labels: what they may be, and their values as text.

use crate::model::Value;

/// What an attribute's key and its value may be, in bytes, and how many attributes a point may have.
const MAX_KEY: usize = 1024;
const MAX_VALUE: usize = 4096;
const MAX_ATTRIBUTES: usize = 64;

/// Whether an attribute may come behind so many.
pub fn fits(key: &str, value: &str, before: usize) -> bool {
    key.len() <= MAX_KEY && value.len() <= MAX_VALUE && before < MAX_ATTRIBUTES
}

/// A value as the text of a label.
pub fn text_of(value: &Value) -> String {
    match value {
        Value::Text(text) => text.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::Empty => String::new(),
        other => json_of(other).to_string(),
    }
}

/// Lists and maps, which lie in each other no deeper than the readers let them.
fn json_of(value: &Value) -> serde_json::Value {
    match value {
        Value::Empty => serde_json::Value::Null,
        Value::Text(text) => (**text).into(),
        Value::Bool(value) => (*value).into(),
        Value::Int(number) => (*number).into(),
        Value::Double(number) => (*number).into(),
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into(),
        Value::List(all) => all.iter().map(json_of).collect(),
        Value::Map(all) => all.iter().map(|(key, value)| (key.to_string(), json_of(value))).collect(),
    }
}
