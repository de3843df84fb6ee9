//! Which devices, interfaces and mounts are shown: include and exclude patterns.

use std::fmt;

use regex_lite::Regex;

use crate::fields::{Done, Fault, Takes};

/// A regular expression that has to match the whole of a name, as in Prometheus' relabelling.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

impl Pattern {
    /// Compiles `text`; the error says what is wrong with it.
    pub fn new(text: &str) -> Result<Pattern, String> {
        let regex = Regex::new(&format!("^(?:{text})$")).map_err(|error| error.to_string())?;
        Ok(Pattern { text: text.to_owned(), regex })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn matches(&self, name: &str) -> bool {
        self.regex.is_match(name)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.text == other.text
    }
}

/// An include and an exclude list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Empty: what the collector shows by its own rule. Otherwise exactly what one of these matches.
    pub include: Vec<Pattern>,
    /// What one of these matches is left out in either case.
    pub exclude: Vec<Pattern>,
}

impl Filter {
    /// A filter of literals of ours.
    ///
    /// # Panics
    /// If a pattern does not compile, which is a bug of the caller's.
    pub fn excluding(patterns: &[&str]) -> Filter {
        let exclude = patterns.iter().map(|p| Pattern::new(p).expect("literal patterns compile")).collect();
        Filter { include: Vec::new(), exclude }
    }

    /// Whether `name` is shown, given what the collector's own rule says of it.
    pub fn shows(&self, name: &str, by_rule: bool) -> bool {
        let included = if self.include.is_empty() { by_rule } else { self.include.iter().any(|p| p.matches(name)) };
        included && !self.exclude.iter().any(|p| p.matches(name))
    }
}

/// A field `include`.
pub const INCLUDE: Takes<Filter> = Takes::Patterns(|f| f.include.clear(), |f, text| f.include(text));

/// A field `exclude`.
pub const EXCLUDE: Takes<Filter> = Takes::Patterns(|f| f.exclude.clear(), |f, text| f.exclude(text));

impl Filter {
    fn include(&mut self, pattern: String) -> Done {
        self.include.push(written(pattern)?);
        Ok(())
    }

    fn exclude(&mut self, pattern: String) -> Done {
        self.exclude.push(written(pattern)?);
        Ok(())
    }
}

/// The pattern that an operator wrote.
fn written(text: String) -> Result<Pattern, Fault> {
    if text.is_empty() {
        return Err(Fault::expected("a regular expression; an empty one matches nothing that has a name"));
    }
    Pattern::new(&text).map_err(|error| Fault::quoting("").after(format!(" is no regular expression: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exclude_takes_from_what_include_or_the_rule_gives() {
        let filter = Filter::excluding(&["veth.*", "br-[0-9a-f]{12}"]);
        assert!(filter.shows("eth0", true));
        assert!(!filter.shows("eth0", false));
        assert!(!filter.shows("veth1a2b", true));
        assert!(!filter.shows("br-0123456789ab", true));
        assert!(filter.shows("br-lan", true));
        let only = Filter { include: vec![Pattern::new("sd[a-z]+1").unwrap()], ..Filter::default() };
        assert!(only.shows("sda1", false));
        assert!(!only.shows("sda", true));
        assert!(!only.shows("xsda1x", true));
    }

    #[test]
    fn alternatives_are_anchored_as_a_whole() {
        let pattern = Pattern::new("a|b").unwrap();
        assert!(pattern.matches("a") && pattern.matches("b"));
        assert!(!pattern.matches("ax") && !pattern.matches("xb"));
        assert!(Pattern::new("(").is_err());
    }
}
