//! A sorted, unique set of labels that is validated once and cheap to clone.

use crate::order;
use std::fmt;
use std::sync::Arc;

/// Labels of one series: sorted by name, no name twice, no empty value.
///
/// A label with an empty value is the same as no label in the Prometheus data model, so
/// it is dropped here, once, and no encoder has to think of it again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Labels(Option<Arc<[Pair]>>);

/// A name and its value.
type Pair = (Box<str>, Box<str>);

/// Why a set of labels was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelsError {
    /// The name is not `[a-zA-Z_][a-zA-Z0-9_]*`, or is the reserved `__name__`.
    InvalidName(String),
    /// The name stands twice.
    Duplicate(String),
}

impl fmt::Display for LabelsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LabelsError::InvalidName(name) => {
                write!(f, "invalid label name {name:?}: use letters, digits and _, no digit first, not __name__")
            }
            LabelsError::Duplicate(name) => write!(f, "label {name:?} is given twice"),
        }
    }
}

impl std::error::Error for LabelsError {}

impl Labels {
    /// No labels at all; allocates nothing.
    pub const EMPTY: Labels = Labels(None);

    /// Sorts and checks `pairs`. Pairs with an empty value are left out.
    pub fn new<N, V>(pairs: impl IntoIterator<Item = (N, V)>) -> Result<Labels, LabelsError>
    where
        N: Into<Box<str>>,
        V: Into<Box<str>>,
    {
        let mut all: Vec<Pair> = pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        if let Some((name, _)) = all.iter().find(|(name, _)| !valid_name(name)) {
            return Err(LabelsError::InvalidName(name.to_string()));
        }
        order::sort_by(&mut all, |a, b| a.0.cmp(&b.0));
        if let Some(pair) = all.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(LabelsError::Duplicate(pair[0].0.to_string()));
        }
        all.retain(|(_, value)| !value.is_empty());
        Ok(if all.is_empty() { Labels::EMPTY } else { Labels(Some(all.into())) })
    }

    /// Labels whose names are literals of ours.
    ///
    /// # Panics
    /// If a name is invalid or stands twice, which is a bug of the caller's, not of its input.
    pub fn of(pairs: &[(&'static str, &str)]) -> Labels {
        Labels::new(pairs.iter().copied()).expect("literal label names are valid and unique")
    }

    /// The pairs, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> + Clone {
        self.pairs().iter().map(|(name, value)| (&**name, &**value))
    }

    /// The value of the label `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.pairs().binary_search_by(|(n, _)| (**n).cmp(name)).ok()?;
        Some(&self.pairs()[at].1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether both are the very same object, or both empty. Never says yes to two that differ.
    pub fn same(&self, other: &Labels) -> bool {
        match (&self.0, &other.0) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        }
    }

    fn pairs(&self) -> &[Pair] {
        self.0.as_deref().unwrap_or_default()
    }
}

/// Prometheus' rule for a label's name; `__name__` holds the metric's name and is not ours to give.
fn valid_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    name != "__name__"
        && bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_sorted_and_empty_values_vanish() {
        let labels = Labels::new([("zone", "b"), ("empty", ""), ("app", "x")]).unwrap();
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("app", "x"), ("zone", "b")]);
        assert_eq!(labels.get("zone"), Some("b"));
        assert_eq!(labels.get("empty"), None);
    }

    #[test]
    fn bad_and_double_names_are_refused() {
        assert_eq!(Labels::new([("a-b", "x")]), Err(LabelsError::InvalidName("a-b".into())));
        assert_eq!(Labels::new([("1a", "x")]), Err(LabelsError::InvalidName("1a".into())));
        assert_eq!(Labels::new([("", "x")]), Err(LabelsError::InvalidName("".into())));
        assert_eq!(Labels::new([("__name__", "x")]), Err(LabelsError::InvalidName("__name__".into())));
        assert_eq!(Labels::new([("a", "x"), ("a", "y")]), Err(LabelsError::Duplicate("a".into())));
        assert_eq!(Labels::new([("a", ""), ("a", "y")]), Err(LabelsError::Duplicate("a".into())));
    }

    #[test]
    fn sameness_is_of_address() {
        let a = Labels::of(&[("cpu", "0")]);
        assert!(a.same(&a.clone()));
        assert!(!a.same(&Labels::of(&[("cpu", "0")])));
        assert!(Labels::EMPTY.same(&Labels::new([("x", "")]).unwrap()));
        assert!(!a.same(&Labels::EMPTY));
    }
}
