//! The fields of `transforms`, wherever a configuration has them.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::fold::Function;
use super::given::{
    GivenAggregate, GivenDownsample, GivenRelabel, GivenRule, LABEL, METRIC, Rename, Sample, Scale, is_own_label_name,
    is_own_metric_name,
};
use super::matching::Match;
use super::pattern::Pattern;
use super::relabel::{Action, DEFAULT_REGEX, DEFAULT_REPLACEMENT, DEFAULT_SEPARATOR};
use super::rule::Limit;
use super::series::NAME;
use super::template::Template;
use crate::fields::{DefaultValue, Done, Fault, Field, Inner, Part, Table, Takes, any_of};

/// From atoms to light years is less.
const MAX_FACTOR: f64 = 1e18;

/// Below a second a window holds a sample or none; above a day it is no stream's business any more, and a
/// restart would lose too much of it.
const WINDOW: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);

/// More series than this no host gives.
const MAX_LIMIT: u64 = 10_000_000;

fn pattern(text: &str) -> Result<Pattern, Fault> {
    Pattern::new(text).map_err(|error| Fault::quoting("invalid regular expression ").after(format!(": {error}")))
}

static RULE_FIELDS: [Field<GivenRule>; 11] = [
    Field::new(
        "keep",
        Takes::Object(&Inner { table: &MATCH, of: |s: &mut GivenRule| s.keep.get_or_insert_default() }),
        DefaultValue::Null,
        "Drops all series but these.",
    ),
    Field::new(
        "drop",
        Takes::Object(&Inner { table: &MATCH, of: |s: &mut GivenRule| s.drop.get_or_insert_default() }),
        DefaultValue::Null,
        "Drops these series.",
    )
    .alike(),
    Field::new(
        "rename",
        Takes::Object(&Inner { table: &RENAME, of: |s: &mut GivenRule| s.rename.get_or_insert_default() }),
        DefaultValue::Null,
        "Gives series another name.",
    ),
    Field::new(
        "relabel",
        Takes::Object(&Inner { table: &RELABEL, of: |s: &mut GivenRule| s.relabel.get_or_insert_default() }),
        DefaultValue::Null,
        "A rule of Prometheus' `relabel_config`, with its fields and defaults.",
    ),
    Field::new(
        "add_labels",
        Takes::Map(|s: &mut GivenRule, name, value| {
            if !is_own_label_name(name) || name == NAME {
                return Err(format!("invalid label name {name:?}: use letters, digits and _, no digit first").into());
            }
            s.add_labels.get_or_insert_default().push((name.to_owned(), value));
            Ok(())
        }),
        DefaultValue::Null,
        "Labels for every series, over its own; an empty value takes a label away.",
    ),
    Field::new(
        "drop_labels",
        Takes::Patterns(
            |s: &mut GivenRule| s.drop_labels = Some(Vec::new()),
            |s, text| {
                s.drop_labels.get_or_insert_default().push(pattern(&text)?);
                Ok(())
            },
        ),
        DefaultValue::Null,
        "Takes labels away whose names match one of these.",
    ),
    Field::new(
        "scale",
        Takes::Object(&Inner { table: &SCALE, of: |s: &mut GivenRule| s.scale.get_or_insert_default() }),
        DefaultValue::Null,
        "Multiplies the numbers of series.",
    ),
    Field::new(
        "sample",
        Takes::Object(&Inner { table: &SAMPLE, of: |s: &mut GivenRule| s.sample.get_or_insert_default() }),
        DefaultValue::Null,
        "Drops all but a share of series: always the same ones.",
    ),
    Field::new(
        "aggregate",
        Takes::Object(&Inner { table: &AGGREGATE, of: |s: &mut GivenRule| s.aggregate.get_or_insert_default() }),
        DefaultValue::Null,
        "Makes one series of several, with one number for each window of time.",
    ),
    Field::new(
        "downsample",
        Takes::Object(&Inner { table: &DOWNSAMPLE, of: |s: &mut GivenRule| s.downsample.get_or_insert_default() }),
        DefaultValue::Null,
        "Gives one number of each series for each window of time.",
    ),
    Field::new(
        "limit",
        Takes::Object(&Inner { table: &LIMIT, of: |s: &mut GivenRule| s.limit.get_or_insert_default() }),
        DefaultValue::Null,
        "Drops the series that are too many: those that came last.",
    ),
];

/// The fields of a rule.
pub static RULE_TABLE: Table<GivenRule> = Table::checked(
    || RULE_FIELDS.iter().collect(),
    |rule, notes| match rule.count() {
        1 => {
            for (name, which) in [("keep", &rule.keep), ("drop", &rule.drop)] {
                if which.as_ref().is_some_and(Match::is_all) {
                    let message = "says neither a name nor labels; {\"name\": \".*\"} is every series";
                    notes.within(name, |notes| notes.lack(message));
                }
            }
        }
        0 => {
            let names: Vec<&str> = RULE_FIELDS.iter().map(Field::name).collect();
            notes.lack(format!("is no rule; expected one of {}", any_of(&names)));
        }
        _ => notes.refuse("has several rules; give each an object of its own, since their order counts"),
    },
);

static MATCH_FIELDS: [Field<Match>; 2] = [
    Field::new(
        "name",
        Takes::Text(|s: &mut Match, text| {
            s.name = Some(pattern(&text)?);
            Ok(())
        }),
        DefaultValue::Null,
        "Regular expression for the whole name; null: any.",
    ),
    Field::new(
        "labels",
        Takes::Map(|s: &mut Match, name, text| {
            s.labels.push((name.to_owned(), pattern(&text)?));
            Ok(())
        }),
        DefaultValue::EmptyMap,
        "By label: a regular expression for the whole value. A label that a series does not have is empty.",
    ),
];

static MATCH: Table<Match> = Table::new(|| MATCH_FIELDS.iter().collect());

static RENAME_FIELDS: [Field<Rename>; 2] = [
    Field::new(
        "name",
        Takes::Text(|s: &mut Rename, text| {
            s.name = Some(pattern(&text)?);
            Ok(())
        }),
        DefaultValue::Required,
        "Regular expression for the whole name.",
    ),
    Field::new(
        "to",
        Takes::Text(|s: &mut Rename, text| {
            if text.is_empty() {
                return Err(Fault::expected("a name, groups of the regular expression in it as $1"));
            }
            s.to = Some(Template::new(&text));
            Ok(())
        }),
        DefaultValue::Required,
        "The new name; `$1` or `${1}` is the first group of `name`.",
    ),
];

static RENAME: Table<Rename> = Table::checked(
    || RENAME_FIELDS.iter().collect(),
    |given, notes| {
        for (field, given) in [("name", given.name.is_some()), ("to", given.to.is_some())] {
            if !given {
                notes.lack_beside(field, "required");
            }
        }
    },
);

static RELABEL_FIELDS: [Field<GivenRelabel>; 7] = [
    Field::new(
        "source_labels",
        Takes::Texts(
            |s: &mut GivenRelabel| s.source_labels = Some(Vec::new()),
            |s, label| {
                if label.is_empty() {
                    return Err(Fault::expected("a label's name"));
                }
                s.source_labels.get_or_insert_default().push(label);
                Ok(())
            },
        ),
        DefaultValue::Texts(&[]),
        "Labels whose values are put together; `__name__` is the series' name.",
    ),
    Field::new(
        "separator",
        Takes::Text(|s: &mut GivenRelabel, text| {
            s.separator = Some(text);
            Ok(())
        }),
        DefaultValue::Text(DEFAULT_SEPARATOR),
        "What stands between them.",
    ),
    Field::new(
        "target_label",
        Takes::Text(|s: &mut GivenRelabel, text| {
            s.target_label = Some(text);
            Ok(())
        }),
        DefaultValue::Null,
        "The label that is set, or compared with.",
    ),
    Field::new(
        "regex",
        Takes::Text(|s: &mut GivenRelabel, text| {
            s.regex = Some(pattern(&text)?);
            Ok(())
        }),
        DefaultValue::Text(DEFAULT_REGEX),
        "Regular expression for the whole of what was put together, or of a label's name.",
    ),
    Field::new(
        "modulus",
        Takes::Whole(1..=u64::MAX, |s: &mut GivenRelabel, modulus| s.modulus = Some(modulus)),
        DefaultValue::Null,
        "For `hashmod`.",
    ),
    Field::new(
        "replacement",
        Takes::Text(|s: &mut GivenRelabel, text| {
            s.replacement = Some(text);
            Ok(())
        }),
        DefaultValue::Text(DEFAULT_REPLACEMENT),
        "What the target is set to, groups of the regular expression in it; where that is empty, the label goes.",
    ),
    Field::new(
        "action",
        // As in Prometheus, in any case.
        Takes::Text(set_action),
        DefaultValue::Text(Action::Replace.as_str()),
        "`replace`, `keep`, `drop`, `keepequal`, `dropequal`, `hashmod`, `labelmap`, `labeldrop`, `labelkeep`, `lowercase` or `uppercase`.",
    ),
];

fn set_action(s: &mut GivenRelabel, text: String) -> Done {
    let found = Action::ALL.into_iter().find(|action| text.eq_ignore_ascii_case(action.as_str()));
    s.action = found;
    let words = Action::ALL.map(Action::as_str);
    found.map(drop).ok_or_else(|| Fault::expected(any_of(&words)).near(text, words))
}

static RELABEL: Table<GivenRelabel> = Table::checked(|| RELABEL_FIELDS.iter().collect(), GivenRelabel::check);

/// The field `match`, which several rules have.
const fn which<S>(of: &'static dyn Part<S>) -> Field<S> {
    let doc = "Which series, as for `keep`; `{}`: all.";
    Field::new("match", Takes::Object(of), DefaultValue::EmptyMap, doc).alike()
}

static SCALE_FIELDS: [Field<Scale>; 2] = [
    which(&Inner { table: &MATCH, of: |s: &mut Scale| &mut s.of }),
    Field::new(
        "factor",
        Takes::Number(-MAX_FACTOR..=MAX_FACTOR, |s: &mut Scale, factor| s.factor = Some(factor)),
        DefaultValue::Required,
        "What their numbers are multiplied with.",
    ),
];

static SCALE: Table<Scale> = Table::checked(
    || SCALE_FIELDS.iter().collect(),
    |given, notes| {
        if given.factor.is_none() {
            notes.lack_beside("factor", "required: a number");
        }
    },
);

static SAMPLE_FIELDS: [Field<Sample>; 2] = [
    which(&Inner { table: &MATCH, of: |s: &mut Sample| &mut s.of }),
    Field::new(
        "fraction",
        Takes::Number(0.0..=1.0, |s: &mut Sample, fraction| s.fraction = Some(fraction)),
        DefaultValue::Required,
        "The share that stays.",
    ),
];

static SAMPLE: Table<Sample> = Table::checked(
    || SAMPLE_FIELDS.iter().collect(),
    |given, notes| {
        if given.fraction.is_none() {
            notes.lack_beside("fraction", "required: a number from 0 to 1");
        }
    },
);

/// The place of a word among `AGGREGATE`'s functions is that in [`Function::ALL`].
static AGGREGATE_FIELDS: [Field<GivenAggregate>; 7] = [
    which(&Inner { table: &MATCH, of: |s: &mut GivenAggregate| &mut s.of }),
    Field::new(
        "function",
        Takes::Word(&Function::WORDS, |s: &mut GivenAggregate, at| s.function = Some(Function::ALL[at])),
        DefaultValue::Required,
        "What is made of their numbers.",
    ),
    Field::new(
        "by",
        Takes::Texts(|s: &mut GivenAggregate| s.by = Some(Vec::new()), |s, label| push_label(&mut s.by, label)),
        DefaultValue::Texts(&[]),
        "Labels that are left; series that have the same values of these become one.",
    ),
    Field::new(
        "without",
        Takes::Texts(
            |s: &mut GivenAggregate| s.without = Some(Vec::new()),
            |s, label| push_label(&mut s.without, label),
        ),
        DefaultValue::Null,
        "Labels that go, in the place of `by`; all others are left.",
    ),
    Field::new(
        "window",
        Takes::Duration(WINDOW, |s: &mut GivenAggregate, window| s.window = Some(window)),
        DefaultValue::Text("1m"),
        "Over which time.",
    ),
    Field::new(
        "name",
        Takes::Text(|s: &mut GivenAggregate, name| {
            if !is_own_metric_name(&name) {
                return Err(Fault::expected(METRIC));
            }
            s.name = Some(name);
            Ok(())
        }),
        DefaultValue::Required,
        "The name of what comes of it.",
    ),
    Field::new(
        "keep_input",
        Takes::Bool(|s: &mut GivenAggregate, keep| s.keep_input = keep),
        DefaultValue::Bool(false),
        "Whether the series are sent as well.",
    ),
];

fn push_label(labels: &mut Option<Vec<String>>, label: String) -> Done {
    if !is_own_label_name(&label) || label == NAME {
        return Err(Fault::expected(LABEL));
    }
    labels.get_or_insert_default().push(label);
    Ok(())
}

static AGGREGATE: Table<GivenAggregate> = Table::checked(
    || AGGREGATE_FIELDS.iter().collect(),
    |given, notes| {
        for (field, is_given) in [("function", given.function.is_some()), ("name", given.name.is_some())] {
            if !is_given {
                notes.lack_beside(field, "required");
            }
        }
        if given.by.is_some() && given.without.is_some() {
            notes.problem("without", "by is given as well; give one of the two");
        }
    },
);

const DOWNSAMPLE_FUNCTIONS: [Function; 4] = [Function::Last, Function::Avg, Function::Min, Function::Max];

static DOWNSAMPLE_FIELDS: [Field<GivenDownsample>; 3] = [
    which(&Inner { table: &MATCH, of: |s: &mut GivenDownsample| &mut s.of }),
    Field::new(
        "every",
        Takes::Duration(WINDOW, |s: &mut GivenDownsample, every| s.every = Some(every)),
        DefaultValue::Text("1m"),
        "The length of a window.",
    ),
    Field::new(
        "function",
        Takes::Word(&["last", "avg", "min", "max"], |s: &mut GivenDownsample, at| {
            s.function = Some(DOWNSAMPLE_FUNCTIONS[at]);
        }),
        DefaultValue::Text("last"),
        "What is made of the numbers of a window.",
    ),
];

static DOWNSAMPLE: Table<GivenDownsample> = Table::new(|| DOWNSAMPLE_FIELDS.iter().collect());

static LIMIT_FIELDS: [Field<Limit>; 2] = [
    Field::new(
        "series",
        Takes::Whole(1..=MAX_LIMIT, |s: &mut Limit, most| s.series = Some(most)),
        DefaultValue::Null,
        "How many series in all; null: any number.",
    ),
    Field::new(
        "per_name",
        Takes::Whole(1..=MAX_LIMIT, |s: &mut Limit, most| s.per_name = Some(most)),
        DefaultValue::Null,
        "How many of each name; null: any number.",
    ),
];

static LIMIT: Table<Limit> = Table::checked(
    || LIMIT_FIELDS.iter().collect(),
    |given, notes| {
        if *given == Limit::default() {
            notes.lack("says neither series nor per_name");
        }
    },
);
