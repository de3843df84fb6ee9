//! What the documentation says of the fields: a row each.

use std::fmt::Write as _;

use super::{DefaultValue, Fields, Info, Range, Shape};

/// A row of the documentation's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// JSON path: `shipper.tls.ca_file`, `endpoints[].url`.
    pub path: String,
    /// What kind of value it takes, and which of them.
    pub takes: String,
    /// The default as JSON, or `required`.
    pub default: String,
    /// What it means.
    pub meaning: &'static str,
}

/// A variable of the environment and the field that it is laid over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// The way to the field.
    pub path: Vec<&'static str>,
    /// What kind of value the field takes.
    pub shape: Shape,
}

/// All fields below `fields`, in their order. Objects and lists of objects are there through their fields;
/// where they are those of an object before it, as in a list of such, there is its own row alone.
pub fn rows(fields: &dyn Fields) -> Vec<Row> {
    let mut rows = Vec::new();
    add_rows("", fields, &mut Vec::new(), &mut rows);
    rows
}

fn add_rows(prefix: &str, fields: &dyn Fields, seen: &mut Vec<*const ()>, rows: &mut Vec<Row>) {
    for info in fields.infos() {
        let mut path = format!("{prefix}{}", info.name);
        if !info.doc.is_empty() {
            let takes = info.takes();
            rows.push(Row { path: path.clone(), takes, default: info.default.in_docs(), meaning: info.doc });
        }
        let Some(inner) = info.inner else { continue };
        let table = std::ptr::from_ref(inner).cast::<()>();
        if seen.contains(&table) && (info.is_alike || info.shape == Shape::Objects) {
            continue;
        }
        if info.shape == Shape::Objects {
            path.push_str("[]");
        }
        seen.push(table);
        add_rows(&format!("{path}."), inner, seen, rows);
    }
}

/// The variables of the environment that stand for a field below `fields`. Those of objects in lists have none.
pub fn variables(fields: &dyn Fields) -> Vec<Variable> {
    let mut variables = Vec::new();
    add_variables(&mut Vec::new(), fields, &mut variables);
    variables
}

fn add_variables(path: &mut Vec<&'static str>, fields: &dyn Fields, variables: &mut Vec<Variable>) {
    for info in fields.infos() {
        path.push(info.name);
        variables.extend(info.variable.map(|name| Variable { name, path: path.clone(), shape: info.shape }));
        if let Some(inner) = info.inner.filter(|_| info.shape == Shape::Object) {
            add_variables(path, inner, variables);
        }
        path.pop();
    }
}

impl Info {
    /// `whole number, 1 to 65535`.
    fn takes(&self) -> String {
        let kind = match self.shape {
            Shape::Bool => "boolean",
            Shape::Whole => "whole number",
            Shape::Number => "number",
            Shape::Duration => "duration",
            Shape::Text => "string",
            Shape::Texts => "list of strings",
            Shape::Numbers => "list of numbers",
            Shape::Map | Shape::Secrets => "map of strings",
            Shape::Object => "object",
            Shape::Objects => "list of objects",
        };
        match self.range {
            // Every wait has the same bounds.
            Range::None | Range::Duration(..) | Range::Patterns => kind.to_owned(),
            Range::Whole(from, to) => format!("{kind}, {from} to {to}"),
            Range::Number(from, to) => format!("{kind}, {from} to {to}"),
            Range::Words(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
                words.join(", ")
            }
        }
    }
}

impl DefaultValue {
    /// As JSON; none where the field has to be given.
    pub fn json(&self) -> Option<String> {
        Some(match self {
            DefaultValue::Required => return None,
            DefaultValue::Null => "null".to_owned(),
            DefaultValue::EmptyMap => "{}".to_owned(),
            DefaultValue::Bool(value) => value.to_string(),
            DefaultValue::Whole(number) => number.to_string(),
            DefaultValue::Number(number) => number.to_string(),
            DefaultValue::Text(text) => quoted(text),
            DefaultValue::Numbers(numbers) => {
                let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
                format!("[{}]", numbers.join(","))
            }
            DefaultValue::Texts(texts) => {
                let texts: Vec<String> = texts.iter().copied().map(quoted).collect();
                format!("[{}]", texts.join(","))
            }
        })
    }

    fn in_docs(&self) -> String {
        self.json().unwrap_or_else(|| "required".to_owned())
    }
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let mut json = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            c if c.is_control() => _ = write!(json, "\\u{:04x}", c as u32),
            c => json.push(c),
        }
    }
    json.push('"');
    json
}
