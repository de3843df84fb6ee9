//! Rules that no series comes to, or that none can match, as far as their list alone tells.
//!
//! Applications choose their names, so a name that no series has today cannot be told from a mistake. What can be told
//! is what a list says of itself: which names rules in front leave, where these are a few words, and which they drop.

use super::matching::Match;
use super::pattern::Pattern;
use super::relabel::{Action, Relabel, has_groups};
use super::rule::Rule;
use super::series::NAME;

/// So many names are looked at for a rule, for each pattern that drops some: a list written by hand has fewer, and no
/// start should wait for the others.
const MAX_LOOKED: usize = 10_000;

/// What is known of the names that come to a rule.
#[derive(Default)]
struct Reach<'r> {
    /// None but these; none: any.
    names: Option<Vec<&'r str>>,
    /// None of these.
    dropped: Vec<&'r Pattern>,
    /// The rule that leaves nothing.
    nothing_behind: Option<usize>,
}

/// What is wrong with a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// No series comes to it, since the rule at that place drops all.
    Behind(usize),
    /// None of those that come to it has such a name.
    NoSuchName,
    /// It keeps those of a name that none of those that come to it has: it drops all.
    KeepsNone,
}

/// The rules of a list that do nothing, or keep nothing, by their places; of those behind a rule that drops all the
/// first one alone.
pub fn idle<'r>(rules: impl IntoIterator<Item = (usize, &'r Rule)>) -> Vec<(usize, Idle)> {
    let mut reach = Reach::default();
    let mut found = Vec::new();
    for (at, rule) in rules {
        if let Some(nothing_behind) = reach.nothing_behind {
            found.push((at, Idle::Behind(nothing_behind)));
            break;
        }
        found.extend(reach.pass(at, rule).map(|idle| (at, idle)));
    }
    found
}

impl<'r> Reach<'r> {
    /// Goes on behind `rule`. What is wrong with it.
    fn pass(&mut self, at: usize, rule: &'r Rule) -> Option<Idle> {
        let unless = |can: bool| (!can).then_some(Idle::NoSuchName);
        match rule {
            Rule::Keep(of) => self.keep(at, of.name.as_ref()),
            Rule::Drop(of) => self.drop(at, of),
            Rule::Sample { of, fraction } if *fraction == 0.0 => self.drop(at, of),
            Rule::Sample { of, .. } | Rule::Scale { of, .. } => unless(self.can_be(of.name.as_ref())),
            Rule::Rename { name, .. } => {
                let can = self.can_be(Some(name));
                if can {
                    self.any();
                }
                unless(can)
            }
            Rule::Fold(fold) => {
                let can = self.can_be(fold.of.name.as_ref());
                // Its name may come from a label.
                self.any();
                unless(can)
            }
            Rule::Relabel(relabel) => self.relabel(at, relabel),
            Rule::AddLabels(_) | Rule::DropLabels(_) | Rule::Limit(_) => None,
        }
    }

    fn relabel(&mut self, at: usize, relabel: &'r Relabel) -> Option<Idle> {
        let is_of_name = relabel.source_labels.iter().map(String::as_str).eq([NAME]);
        match relabel.action {
            Action::Keep if is_of_name => return self.keep(at, Some(&relabel.regex)),
            Action::Drop if is_of_name => return self.drop_name(at, &relabel.regex),
            Action::Drop if relabel.regex.is_any_or_none() => self.nothing_behind = Some(at),
            Action::Keep | Action::Drop | Action::KeepEqual | Action::DropEqual => {}
            // Without a name a series is gone.
            Action::LabelDrop | Action::LabelKeep => {}
            Action::LabelMap => self.any(),
            Action::Replace | Action::HashMod | Action::Lowercase | Action::Uppercase => {
                let target = relabel.target.text();
                if target == NAME || has_groups(target) {
                    self.any();
                }
            }
        }
        None
    }

    fn keep(&mut self, at: usize, name: Option<&'r Pattern>) -> Option<Idle> {
        if !self.can_be(name) {
            self.nothing_behind = Some(at);
            return Some(Idle::KeepsNone);
        }
        self.names = self.candidates(name);
        None
    }

    fn drop(&mut self, at: usize, of: &'r Match) -> Option<Idle> {
        if !self.can_be(of.name.as_ref()) {
            return Some(Idle::NoSuchName);
        }
        if of.labels.iter().all(|(_, value)| value.is_any_or_none()) {
            match &of.name {
                Some(name) => return self.drop_name(at, name),
                None => self.nothing_behind = Some(at),
            }
        }
        None
    }

    fn drop_name(&mut self, at: usize, name: &'r Pattern) -> Option<Idle> {
        if !self.can_be(Some(name)) {
            return Some(Idle::NoSuchName);
        }
        self.dropped.push(name);
        if name.is_any() || !self.can_be(None) {
            self.nothing_behind = Some(at);
        }
        None
    }

    /// All that is known of names is known no more.
    fn any(&mut self) {
        self.names = None;
        self.dropped.clear();
    }

    /// Whether a series that comes may have a name that matches, or any; it always has one.
    fn can_be(&self, name: Option<&'r Pattern>) -> bool {
        let candidates = self.candidates(name);
        candidates.is_none_or(|all| !all.is_empty())
    }

    /// The names that match and may come, where these are a few words.
    fn candidates(&self, name: Option<&'r Pattern>) -> Option<Vec<&'r str>> {
        let words = || Some(name?.words()?.iter().map(String::as_str).collect());
        let mut all: Vec<&str> = self.names.clone().or_else(words)?;
        if all.len() * (self.dropped.len() + 1) > MAX_LOOKED {
            return None;
        }
        all.retain(|word| {
            let is_dropped = self.dropped.iter().any(|pattern| pattern.is_match(word));
            !word.is_empty() && !is_dropped && name.is_none_or(|name| name.is_match(word))
        });
        Some(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shaping::testing;

    #[test]
    fn what_a_list_says_of_itself_is_told_and_nothing_else() {
        use Idle::{Behind, KeepsNone, NoSuchName};
        for (list, expected) in [
            // Any name may come, and labels do not tell.
            (r#"[{"keep": {"name": "node_.*"}}, {"keep": {"name": "metricsd_.*"}}]"#, vec![]),
            (
                r#"[{"drop": {"name": "a", "labels": {"x": "y"}}}, {"scale": {"match": {"name": "a"}, "factor": 2}}]"#,
                vec![],
            ),
            (r#"[{"keep": {"name": "a|b"}}, {"keep": {"name": "b|c"}}, {"drop": {"name": "b.?"}}]"#, vec![]),
            (r#"[{"keep": {"name": ""}}]"#, vec![(0, KeepsNone)]),
            (
                r#"[{"keep": {"name": "a|b"}}, {"keep": {"name": "c.*"}}, {"limit": {"series": 1}}, {"limit": {"series": 2}}]"#,
                vec![(1, KeepsNone), (2, Behind(1))],
            ),
            (r#"[{"keep": {"name": "a|b"}}, {"scale": {"match": {"name": "c"}, "factor": 2}}]"#, vec![(1, NoSuchName)]),
            (
                r#"[{"drop": {"name": "go_.*"}}, {"downsample": {"match": {"name": "go_x|go_y"}}}]"#,
                vec![(1, NoSuchName)],
            ),
            (r#"[{"drop": {"name": "go_.*"}}, {"downsample": {"match": {"name": "go_x|y"}}}]"#, vec![]),
            (
                r#"[{"drop": {"name": "a"}}, {"rename": {"name": "a", "to": "b"}}, {"drop": {"name": "x"}}]"#,
                vec![(1, NoSuchName)],
            ),
            // Another name may come of it.
            (r#"[{"keep": {"name": "a"}}, {"rename": {"name": "a", "to": "b"}}, {"keep": {"name": "b"}}]"#, vec![]),
            (
                r#"[{"keep": {"name": "a"}}, {"aggregate": {"function": "sum", "name": "b"}}, {"keep": {"name": "b"}}]"#,
                vec![],
            ),
            (
                r#"[{"keep": {"name": "a"}}, {"relabel": {"target_label": "__name__", "replacement": "b"}}, {"keep": {"name": "b"}}]"#,
                vec![],
            ),
            (
                r#"[{"keep": {"name": "a"}}, {"relabel": {"target_label": "x", "replacement": "b"}}, {"keep": {"name": "b"}}]"#,
                vec![(2, KeepsNone)],
            ),
            (r#"[{"drop": {"name": ".*"}}, {"add_labels": {"a": "b"}}]"#, vec![(1, Behind(0))]),
            (r#"[{"drop": {"name": ".+", "labels": {"x": ".*"}}}, {"add_labels": {"a": "b"}}]"#, vec![(1, Behind(0))]),
            (r#"[{"drop": {"labels": {"x": ".+"}}}, {"add_labels": {"a": "b"}}]"#, vec![]),
            (
                r#"[{"keep": {"name": "a"}}, {"drop": {"name": "a|b"}}, {"add_labels": {"a": "b"}}]"#,
                vec![(2, Behind(1))],
            ),
            (r#"[{"relabel": {"action": "drop"}}, {"add_labels": {"a": "b"}}]"#, vec![(1, Behind(0))]),
            (
                r#"[{"relabel": {"action": "drop", "source_labels": ["__name__"], "regex": "a"}}, {"keep": {"name": "a"}}]"#,
                vec![(1, KeepsNone)],
            ),
            (r#"[{"sample": {"fraction": 0}}, {"add_labels": {"a": "b"}}]"#, vec![(1, Behind(0))]),
        ] {
            let rules = testing::rules(list);
            assert_eq!(idle(rules.iter().enumerate()), expected, "{list}");
        }
    }
}
