//! Lists of rules, in order.

use std::sync::Arc;

use super::rule::{Does, Rule};
use super::series::Series;

/// Rules, in the order in which they are applied. Cheap to clone; alike where the rules are, as
/// they were written.
#[derive(Clone, Debug, Default)]
pub struct Rules(Option<Arc<[Rule]>>);

/// What becomes of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It stays, as it is now.
    Kept {
        /// The last rule that changed its name or a label, by its place in the list.
        changed_by: Option<usize>,
    },
    /// The rule at this place in the list dropped it.
    Dropped(usize),
    /// That rule gathers its numbers, and sends them as another series.
    Taken(usize),
}

/// What one rule did: for who wants to see each step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Unchanged,
    /// The series is another one, or has another factor.
    Changed,
    /// The series is gone.
    Dropped,
    /// Its numbers are gathered, and it goes on.
    Fed,
    /// Its numbers are gathered, and it is gone.
    Taken,
    /// It goes on if there is room for it.
    Limited,
}

impl Rules {
    /// No rules; allocates nothing.
    pub const NONE: Rules = Rules(None);

    /// These.
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Rules {
        let rules: Vec<Rule> = rules.into_iter().collect();
        Rules(if rules.is_empty() { None } else { Some(rules.into()) })
    }

    /// These, and behind them the others.
    pub fn then(&self, others: &Rules) -> Rules {
        match (self.is_empty(), others.is_empty()) {
            (_, true) => self.clone(),
            (true, _) => others.clone(),
            _ => Rules::new(self.iter().chain(others.iter()).cloned()),
        }
    }

    /// Those in front of the first one that depends on other series or on what was before, and the others.
    pub fn split_at_state(&self) -> (Rules, Rules) {
        match self.first_stateful() {
            None => (self.clone(), Rules::NONE),
            Some((0, _)) => (Rules::NONE, self.clone()),
            Some((at, _)) => {
                let (front, rest) = self.iter().as_slice().split_at(at);
                (Rules::new(front.iter().cloned()), Rules::new(rest.iter().cloned()))
            }
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.iter().len()
    }

    /// Each of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Rule> {
        self.0.as_deref().unwrap_or_default().iter()
    }

    /// Applies all of them, one after the other. What is left of a series that was dropped says
    /// nothing. A series that has no name in the end is dropped by the rule that took it.
    pub fn apply(&self, series: &mut Series) -> Outcome {
        self.apply_each(0, series, |_, _, _, _| ())
    }

    /// The same from the rule `first` on, and calls `seen` behind each rule: with its place, itself,
    /// what it did, and what the series is now.
    pub fn apply_each(
        &self,
        first: usize,
        series: &mut Series,
        mut seen: impl FnMut(usize, &Rule, Step, &Series),
    ) -> Outcome {
        series.take_changed();
        let mut changed_by = None;
        for (at, rule) in self.iter().enumerate().skip(first) {
            let factor = series.factor();
            let (step, ends) = match rule.apply(series) {
                Does::Leaves => (Step::Unchanged, None),
                Does::Drops => (Step::Dropped, Some(Outcome::Dropped(at))),
                Does::Takes => (Step::Taken, Some(Outcome::Taken(at))),
                Does::Feeds => (Step::Fed, None),
                Does::Limits => (Step::Limited, None),
            };
            if step != Step::Unchanged {
                seen(at, rule, step, series);
                if let Some(outcome) = ends {
                    return outcome;
                }
                continue;
            }
            let is_other = series.take_changed();
            if is_other {
                changed_by = Some(at);
            }
            let is_same = !is_other && factor.to_bits() == series.factor().to_bits();
            seen(at, rule, if is_same { Step::Unchanged } else { Step::Changed }, series);
        }
        match changed_by {
            Some(at) if series.name().is_empty() => Outcome::Dropped(at),
            changed_by => Outcome::Kept { changed_by },
        }
    }

    /// The first rule that depends on other series or on what was before: its place, and its word.
    pub fn first_stateful(&self) -> Option<(usize, &'static str)> {
        self.iter().enumerate().find_map(|(at, rule)| Some((at, rule.stateful()?)))
    }

    /// Whether they can leave two series alike that were not.
    pub fn may_make_alike(&self) -> bool {
        self.iter().any(Rule::may_make_alike)
    }
}

/// By what was written.
impl PartialEq for Rules {
    fn eq(&self, other: &Rules) -> bool {
        match (&self.0, &other.0) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b) || a == b,
            (None, None) => true,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shaping::matching::Match;
    use crate::shaping::pattern::Pattern;
    use crate::shaping::template::Template;

    fn rename(name: &str, to: &str) -> Rule {
        Rule::Rename { name: Pattern::new(name).unwrap(), to: Template::new(to) }
    }

    fn drop(name: &str) -> Rule {
        Rule::Drop(Match { name: Some(Pattern::new(name).unwrap()), labels: Vec::new() })
    }

    #[test]
    fn rules_follow_each_other_and_the_one_that_drops_or_changed_last_is_named() {
        let rules = Rules::new([rename("a", "b"), drop("b_.*"), rename("b", "c"), drop("x")]);
        let mut series = Series::default();
        for (name, expected, left) in [
            ("a", Outcome::Kept { changed_by: Some(2) }, "c"),
            ("b_1", Outcome::Dropped(1), "b_1"),
            ("x", Outcome::Dropped(3), "x"),
            ("y", Outcome::Kept { changed_by: None }, "y"),
        ] {
            series.begin(name);
            assert_eq!((rules.apply(&mut series), series.name()), (expected, left));
        }
        series.begin("a");
        let mut steps = Vec::new();
        rules.apply_each(0, &mut series, |at, _, step, series| steps.push((at, step, series.name().to_owned())));
        let [changed, same] = [Step::Changed, Step::Unchanged];
        let expected = [(0, changed, "b"), (1, same, "b"), (2, changed, "c"), (3, same, "c")];
        assert_eq!(steps, expected.map(|(at, step, name)| (at, step, name.to_owned())));
    }

    #[test]
    fn lists_are_alike_where_they_were_written_alike() {
        let [one, other] = [(); 2].map(|()| Rules::new([rename("a", "b"), drop("c")]));
        assert_eq!(one, other);
        assert_ne!(one, Rules::new([rename("a", "b")]));
        assert_eq!(Rules::new([rename("a", "b")]).then(&Rules::new([drop("c")])), one);
        assert_eq!(Rules::new([]), Rules::NONE);
        assert_eq!(Rules::NONE.then(&one), one);
    }
}
