//! Which series a rule means.

use serde_json::{Map, Value, json};

use super::pattern::Pattern;
use super::series::Series;

/// Which series are meant: those of which all of these match.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Match {
    /// Their name.
    pub name: Option<Pattern>,
    /// Their labels; one that a series does not have is empty.
    pub labels: Vec<(String, Pattern)>,
}

impl Match {
    /// Whether `series` is one of those.
    pub fn is(&self, series: &Series) -> bool {
        self.name.as_ref().is_none_or(|name| name.is_match(series.name()))
            && self.labels.iter().all(|(label, pattern)| pattern.is_match(series.get(label)))
    }

    /// Whether every series is meant.
    pub fn is_all(&self) -> bool {
        self.name.is_none() && self.labels.is_empty()
    }

    pub(super) fn to_json(&self) -> Value {
        let mut object = Map::new();
        if let Some(name) = &self.name {
            object.insert("name".to_owned(), json!(name.text()));
        }
        if !self.labels.is_empty() {
            let labels = self.labels.iter().map(|(name, pattern)| (name.clone(), json!(pattern.text())));
            object.insert("labels".to_owned(), Value::Object(labels.collect()));
        }
        Value::Object(object)
    }
}
