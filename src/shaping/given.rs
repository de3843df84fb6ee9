//! Rules as they were written, and what they mean.

use std::time::Duration;

use super::fold::{Fold, Function, Grouping};
use super::matching::Match;
use super::pattern::Pattern;
use super::reach::{self, Idle};
use super::relabel::{
    Action, DEFAULT_REGEX, DEFAULT_REPLACEMENT, DEFAULT_SEPARATOR, Relabel, has_groups, is_label_name,
    is_label_template,
};
use super::rule::{Limit, Rule};
use super::rules::Rules;
use super::template::Template;
use crate::fields::{Fault, Notes};

/// More rules than this in one list are no hand's work; each costs every series that is new.
const MAX_RULES: usize = 1000;

/// What stands for a window that is not given.
const DEFAULT_WINDOW: Duration = Duration::from_secs(60);

/// A list of rules, as it was written. A field for it is
/// `Takes::Objects(&Inner { table: &RULE_TABLE, of: |s| s.transforms.one_more() })`.
#[derive(Default)]
pub struct GivenRules(Vec<GivenRule>);

impl GivenRules {
    /// The next rule, to be filled.
    pub fn one_more(&mut self) -> &mut GivenRule {
        self.0.push(GivenRule::default());
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What they mean. Notes are of the list. Of one that was refused nothing is left.
    pub fn settle(self, notes: &mut Notes) -> Rules {
        if self.0.len() > MAX_RULES {
            notes.refuse(format!("{} rules, at most {MAX_RULES} are possible", self.0.len()));
        }
        let given = self.0.into_iter().take(MAX_RULES).enumerate();
        let rules: Vec<(usize, Rule)> = given.filter_map(|(at, given)| Some((at, given.rule()?))).collect();
        for (at, idle) in reach::idle(rules.iter().map(|(at, rule)| (*at, rule))) {
            let message = match idle {
                Idle::Behind(before) => format!("no series comes so far, since the rule at [{before}] leaves none"),
                Idle::NoSuchName => "no series that comes so far has such a name; it does nothing".to_owned(),
                Idle::KeepsNone => "no series that comes so far has such a name; it drops all".to_owned(),
            };
            notes.within(at, |notes| notes.warn(message));
        }
        Rules::new(rules.into_iter().map(|(_, rule)| rule))
    }
}

/// A rule, as it was written: one of these.
#[derive(Default)]
pub struct GivenRule {
    pub(super) keep: Option<Match>,
    pub(super) drop: Option<Match>,
    pub(super) rename: Option<Rename>,
    pub(super) relabel: Option<GivenRelabel>,
    pub(super) add_labels: Option<Vec<(String, String)>>,
    pub(super) drop_labels: Option<Vec<Pattern>>,
    pub(super) scale: Option<Scale>,
    pub(super) sample: Option<Sample>,
    pub(super) aggregate: Option<GivenAggregate>,
    pub(super) downsample: Option<GivenDownsample>,
    pub(super) limit: Option<Limit>,
}

#[derive(Default)]
pub(super) struct Rename {
    pub(super) name: Option<Pattern>,
    pub(super) to: Option<Template>,
}

#[derive(Default)]
pub(super) struct GivenRelabel {
    pub(super) action: Option<Action>,
    pub(super) source_labels: Option<Vec<String>>,
    pub(super) separator: Option<String>,
    pub(super) regex: Option<Pattern>,
    pub(super) target_label: Option<String>,
    pub(super) replacement: Option<String>,
    pub(super) modulus: Option<u64>,
}

#[derive(Default)]
pub(super) struct Scale {
    pub(super) of: Match,
    pub(super) factor: Option<f64>,
}

#[derive(Default)]
pub(super) struct GivenAggregate {
    pub(super) of: Match,
    pub(super) function: Option<Function>,
    pub(super) by: Option<Vec<String>>,
    pub(super) without: Option<Vec<String>>,
    pub(super) window: Option<Duration>,
    pub(super) name: Option<String>,
    pub(super) keep_input: bool,
}

#[derive(Default)]
pub(super) struct GivenDownsample {
    pub(super) of: Match,
    pub(super) every: Option<Duration>,
    pub(super) function: Option<Function>,
}

#[derive(Default)]
pub(super) struct Sample {
    pub(super) of: Match,
    pub(super) fraction: Option<f64>,
}

impl GivenRule {
    /// None where it was refused.
    fn rule(self) -> Option<Rule> {
        let GivenRule {
            keep,
            drop,
            rename,
            relabel,
            add_labels,
            drop_labels,
            scale,
            sample,
            aggregate,
            downsample,
            limit,
        } = self;
        let keep = keep.map(Rule::Keep);
        let rule = keep.or(drop.map(Rule::Drop));
        let rule = rule.or(rename.and_then(|given| Some(Rule::Rename { name: given.name?, to: given.to? })));
        let rule = rule.or(relabel.and_then(GivenRelabel::rule));
        let rule = rule.or(add_labels.map(Rule::AddLabels)).or(drop_labels.map(Rule::DropLabels));
        let rule = rule.or(scale.and_then(|given| Some(Rule::Scale { of: given.of, factor: given.factor? })));
        let rule = rule.or(sample.and_then(|given| Some(Rule::Sample { of: given.of, fraction: given.fraction? })));
        let rule = rule.or(aggregate.and_then(GivenAggregate::rule)).or(downsample.map(GivenDownsample::rule));
        rule.or(limit.map(Rule::Limit))
    }

    pub(super) fn count(&self) -> usize {
        let GivenRule {
            keep,
            drop,
            rename,
            relabel,
            add_labels,
            drop_labels,
            scale,
            sample,
            aggregate,
            downsample,
            limit,
        } = self;
        let given = [
            keep.is_some(),
            drop.is_some(),
            rename.is_some(),
            relabel.is_some(),
            add_labels.is_some(),
            drop_labels.is_some(),
            scale.is_some(),
            sample.is_some(),
            aggregate.is_some(),
            downsample.is_some(),
            limit.is_some(),
        ];
        given.into_iter().filter(|given| *given).count()
    }
}

impl GivenAggregate {
    fn rule(self) -> Option<Rule> {
        let name = self.name?;
        let grouping = match self.without {
            Some(labels) => Grouping::Without(name, labels),
            None => Grouping::By(name, self.by.unwrap_or_default()),
        };
        Some(Rule::Fold(Box::new(Fold {
            of: self.of,
            function: self.function?,
            grouping,
            window: self.window.unwrap_or(DEFAULT_WINDOW),
            keep_input: self.keep_input,
        })))
    }
}

impl GivenDownsample {
    fn rule(self) -> Rule {
        Rule::Fold(Box::new(Fold {
            of: self.of,
            function: self.function.unwrap_or(Function::Last),
            grouping: Grouping::Each,
            window: self.every.unwrap_or(DEFAULT_WINDOW),
            keep_input: false,
        }))
    }
}

impl GivenRelabel {
    fn rule(self) -> Option<Rule> {
        let regex = match self.regex {
            Some(regex) => regex,
            None => Pattern::new(DEFAULT_REGEX).ok()?,
        };
        let or = |given: Option<String>, default: &str| given.unwrap_or_else(|| default.to_owned());
        Some(Rule::Relabel(Box::new(Relabel {
            action: self.action.unwrap_or_default(),
            source_labels: self.source_labels.unwrap_or_default(),
            separator: or(self.separator, DEFAULT_SEPARATOR),
            regex,
            target: Template::new(&self.target_label.unwrap_or_default()),
            replacement: Template::new(&or(self.replacement, DEFAULT_REPLACEMENT)),
            modulus: self.modulus.unwrap_or_default(),
        })))
    }

    /// What Prometheus refuses, too.
    pub(super) fn check(&self, notes: &mut Notes) {
        let action = self.action.unwrap_or_default();
        let word = action.as_str();
        let target = self.target_label.as_deref().unwrap_or_default();
        let replacement = self.replacement.as_deref().unwrap_or(DEFAULT_REPLACEMENT);
        let has_target = matches!(
            action,
            Action::Replace
                | Action::HashMod
                | Action::Lowercase
                | Action::Uppercase
                | Action::KeepEqual
                | Action::DropEqual
        );
        if has_target && target.is_empty() {
            notes.lack(format!("the action {word:?} needs a target_label"));
        } else if has_target {
            let is_template = action == Action::Replace && has_groups(target);
            let is_name = if is_template { is_label_template(target) } else { is_own_label_name(target) };
            if !is_name {
                notes.problem("target_label", Fault::expected(LABEL));
            }
        }
        if action == Action::HashMod && self.modulus.is_none() {
            notes.lack("the action \"hashmod\" needs a modulus above 0");
        }
        if matches!(action, Action::Lowercase | Action::Uppercase) && replacement != DEFAULT_REPLACEMENT {
            notes.problem("replacement", format!("the action {word:?} takes none"));
        }
        if action == Action::LabelMap && !is_label_template(replacement) {
            notes.problem("replacement", Fault::expected(format!("{LABEL}, groups of the regex in it")));
        }
        let given = [
            ("source_labels", self.source_labels.is_some()),
            ("separator", self.separator.as_deref().is_some_and(|text| text != DEFAULT_SEPARATOR)),
            ("regex", self.regex.as_ref().is_some_and(|regex| regex.text() != DEFAULT_REGEX)),
            ("target_label", !target.is_empty()),
            ("replacement", replacement != DEFAULT_REPLACEMENT),
            ("modulus", self.modulus.is_some()),
        ];
        let takes: &[&str] = match action {
            Action::KeepEqual | Action::DropEqual => &["source_labels", "target_label"],
            Action::LabelDrop | Action::LabelKeep => &["regex"],
            _ => return,
        };
        for (field, _) in given.iter().filter(|(field, given)| *given && !takes.contains(field)) {
            notes.problem(*field, format!("the action {word:?} takes {} alone", takes.join(" and ")));
        }
    }
}

/// What a metric's name has to be.
pub(super) const METRIC: &str = "a metric's name (letters, digits, _, : and ., no digit or . first)";

/// A metric's name that somebody wrote for one of ours: as Prometheus has them, or with dots, as OpenTelemetry does.
pub(super) fn is_own_metric_name(name: &str) -> bool {
    let is_first = |b: u8| b.is_ascii_alphabetic() || b == b'_' || b == b':';
    name.bytes().next().is_some_and(is_first) && name.bytes().all(|b| is_first(b) || b.is_ascii_digit() || b == b'.')
}

/// What a label's name has to be.
pub(super) const LABEL: &str = "a label's name (letters, digits and _, no digit first)";

/// A label's name that somebody wrote for one of ours: as Prometheus has them, or with dots, as
/// OpenTelemetry does.
pub(super) fn is_own_label_name(name: &str) -> bool {
    name.split('.').enumerate().all(|(at, part)| match at {
        0 => is_label_name(part),
        _ => !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'),
    })
}
