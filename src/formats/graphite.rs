//! `graphite`: Graphite's plaintext protocol over TCP, with tags or as dotted paths.
//!
//! <https://graphite.readthedocs.io/en/stable/feeding-carbon.html#the-plaintext-protocol> and
//! <https://graphite.readthedocs.io/en/stable/tags.html>
//!
//! ```text
//! name;label=value;label=value 1.5 1700000000
//! name.label.value.label.value 1.5 1700000000
//! ```
//!
//! There is no way to escape anything. So what would end a name, a label or the line becomes `_`.

use super::body::content;
use super::encoder::Encoder;
use super::format::{Format, Limits, Over, OwnField, Signal, as_given, nothing_said};
use super::lines::{LineEncoder, Lined, Lines, divide, write_whole};
use super::options::{Compression, Options};
use crate::fields::{DefaultValue, Field, Inner, Table, Takes};
use crate::model::Scheme;
use crate::shaping::{Perspective, View, ViewSeries};

/// `graphite`.
pub static FORMAT: Format = Format {
    name: "graphite",
    signals: &[Signal::Metrics],
    // What carbon listens on.
    over: Over::Tcp { port: 2003 },
    path: None,
    reach: as_given,
    naming: Scheme::Native,
    // Less than a megabyte: one write.
    limits: Limits { samples: 10_000, ..Limits::NONE },
    ordered: false,
    has_target_labels: false,
    host_label: Some("host"),
    by_tick: false,
    compressions: &[Compression::None],
    headers: &[],
    fields: &FIELDS,
    encoder: Some(encoder),
    divide: Some(divide::<Tagged>),
    downgrade: None,
    written: nothing_said,
    records: None,
};

static FIELDS: [OwnField; 1] = [OwnField {
    field: Field::new(
        "graphite",
        Takes::Object(&Inner { table: &TABLE, of: |options: &mut Options| options.of::<Settings>() }),
        DefaultValue::EmptyMap,
        "",
    ),
    is_set: |options| options.get::<Settings>() != Settings::default(),
}];

/// `graphite`, as it was written.
#[derive(Clone, Debug, PartialEq)]
struct Settings {
    has_tags: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { has_tags: true }
    }
}

static SETTINGS: [Field<Settings>; 1] = [Field::new(
    "tags",
    Takes::Bool(|s: &mut Settings, tags| s.has_tags = tags),
    DefaultValue::Bool(true),
    "Labels as tags (`name;label=value`); false: in a dotted path (`name.label.value`), for Graphite before 1.1.",
)];

static TABLE: Table<Settings> = Table::new(|| SETTINGS.iter().collect());

/// What a body that waits is told by from those of other types; nobody is sent it.
const CONTENT: (&str, &str) = ("Content-Type", "text/x-graphite");

fn encoder(options: &Options, from: Perspective) -> Box<dyn Encoder> {
    let content = content(&[CONTENT]);
    match options.get::<Settings>().has_tags {
        true => Box::new(LineEncoder::<Tagged>::new(from, content)),
        false => Box::new(LineEncoder::<Path>::new(from, content)),
    }
}

/// Labels as tags.
struct Tagged;

/// Labels as parts of the path.
struct Path;

impl Lined for Tagged {
    fn lines(view: &View) -> Lines {
        lines(view, |series, head| {
            write(series.family().name, |c| c == ';', head);
            let mut names: Vec<String> = Vec::new();
            for (name, value) in series.labels.iter() {
                let mut key = String::new();
                write(name, |c| matches!(c, ';' | '!' | '^' | '='), &mut key);
                // Names that differ in what cannot be written only: the first one stays.
                if names.contains(&key) {
                    continue;
                }
                head.push(';');
                head.push_str(&key);
                head.push('=');
                let begin = head.len();
                write(value, |c| c == ';', head);
                if head[begin..].starts_with('~') {
                    head.replace_range(begin..=begin, "_");
                }
                names.push(key);
            }
        })
    }

    fn write_end(time_ms: i64, out: &mut Vec<u8>) {
        write_end(time_ms, out);
    }

    fn numbers(line: &[u8]) -> u64 {
        numbers(line)
    }
}

impl Lined for Path {
    fn lines(view: &View) -> Lines {
        lines(view, |series, head| {
            // Dots of a name are those of a path.
            let name = series.family().name;
            let parts = name.split('.').filter(|part| !part.is_empty());
            parts.for_each(|part| node(part, head));
            for (name, value) in series.labels.iter() {
                node(name, head);
                node(value, head);
            }
        })
    }

    fn write_end(time_ms: i64, out: &mut Vec<u8>) {
        write_end(time_ms, out);
    }

    fn numbers(line: &[u8]) -> u64 {
        numbers(line)
    }
}

/// A line for each series, whose head `write` writes.
fn lines(view: &View, write: impl Fn(&ViewSeries<'_>, &mut String)) -> Lines {
    let mut lines = Lines::default();
    let mut head = String::new();
    for (at, one) in view.series().enumerate() {
        head.clear();
        write(&one, &mut head);
        if head.is_empty() {
            head.push('_');
        }
        head.push(' ');
        lines.line(head.as_bytes());
        lines.field(b"", at);
    }
    lines
}

/// Writes `text`, with `_` for what no name and no value can hold, and for what `is_bad` here.
fn write(text: &str, is_bad: impl Fn(char) -> bool, out: &mut String) {
    let good = |c: char| if c.is_whitespace() || c.is_control() || is_bad(c) { '_' } else { c };
    out.extend(text.chars().map(good));
    if text.is_empty() {
        out.push('_');
    }
}

/// Writes a part of a path, which holds what carbon's files and queries can: letters, digits, `-` and `_`.
fn node(text: &str, out: &mut String) {
    if !out.is_empty() {
        out.push('.');
    }
    write(text, |c| !(c.is_alphanumeric() || matches!(c, '-' | '_')), out);
}

fn write_end(time_ms: i64, out: &mut Vec<u8>) {
    out.push(b' ');
    write_whole(time_ms.div_euclid(1000), out);
    out.push(b'\n');
}

/// A line that is one has a number.
fn numbers(line: &[u8]) -> u64 {
    u64::from(!line.is_empty())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::formats::testing::{self, COUNT, TOTAL, USAGE};
    use crate::model::{Batch, Family, Item, Label, Labels, Learnt, Recorder, Resource};

    fn encode(has_tags: bool, batch: &Batch) -> String {
        let options = Options::default().with(Settings { has_tags });
        let mut encoder = encoder(&options, testing::from(Labels::of(&[("host", "web.1")])));
        String::from_utf8(testing::encode(&mut *encoder, batch).0).unwrap()
    }

    #[test]
    fn a_series_is_a_line_with_tags_or_a_path() {
        let core = Labels::of(&[("core", "0"), ("mount", "/var/lib x")]);
        let batch = testing::batch(
            1_700_000_000_999,
            &[(&USAGE, &core, 45.25), (&COUNT, &Labels::EMPTY, f64::NAN), (&TOTAL, &Labels::EMPTY, 3e20)],
        );
        assert_eq!(
            encode(true, &batch),
            "test_usage_percent;core=0;host=web.1;mount=/var/lib_x 45.25 1700000000\n\
             test_bytes_total;host=web.1 3e+20 1700000000\n"
        );
        assert_eq!(
            encode(false, &batch),
            "test_usage_percent.core.0.host.web_1.mount._var_lib_x 45.25 1700000000\n\
             test_bytes_total.host.web_1 3e+20 1700000000\n"
        );
    }

    #[test]
    fn dots_of_a_name_are_those_of_a_path() {
        let family = Family::gauge("system.memory..usage", "By", "");
        let batch = testing::batch(-1, &[(&family, &Labels::EMPTY, 1.0)]);
        assert_eq!(encode(false, &batch), "system.memory.usage.host.web_1 1 -1\n");
        assert_eq!(encode(true, &batch), "system.memory..usage;host=web.1 1 -1\n");
    }

    /// Reads a line as carbon does: blanks part it, then semicolons part names and tags, whose rules are
    /// those of its documentation.
    fn read(line: &str) -> (String, BTreeMap<String, String>) {
        let parts: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(line.matches(char::is_whitespace).count(), 2, "{line:?}");
        let [head, value, seconds] = parts[..] else { panic!("{line:?}") };
        assert!(value.parse::<f64>().unwrap().is_finite() && seconds.parse::<i64>().is_ok());
        let mut all = head.split(';');
        let name = all.next().unwrap();
        assert!(!name.is_empty() && !head.contains(char::is_control));
        let mut tags = BTreeMap::new();
        for tag in all {
            let (name, value) = tag.split_once('=').unwrap();
            assert!(!name.is_empty() && !name.contains(['!', '^']), "{line:?}");
            assert!(!value.is_empty() && !value.starts_with('~'), "{line:?}");
            assert_eq!(tags.insert(name.to_owned(), value.to_owned()), None, "{line:?}");
        }
        (name.to_owned(), tags)
    }

    #[test]
    fn whatever_names_and_labels_hold_a_strict_reader_reads_the_lines() {
        const ODD: &[char] = &[
            'a', '_', '.', ',', ' ', '=', '\\', '"', '\n', '\r', '\t', '\0', ';', '!', '^', '~', '/', 'é', '\u{a0}',
            '\u{2028}',
        ];
        let mut random = fastrand::Rng::with_seed(3);
        let odd = |random: &mut fastrand::Rng| -> String {
            (0..random.usize(1..8)).map(|_| ODD[random.usize(..ODD.len())]).collect()
        };
        for _ in 0..300 {
            let mut out = Recorder::new("x", 1000);
            let count = random.usize(1..20);
            for place in 0..count {
                let labels: BTreeMap<String, String> =
                    (0..random.usize(0..5)).map(|_| (odd(&mut random), odd(&mut random))).collect();
                let name = odd(&mut random);
                let labels: Vec<Label<'_>> =
                    labels.iter().map(|(name, value)| Label::Constant { name, value }).collect();
                let reading = Learnt::new(Scheme::Native, Family::gauge(&name, "", ""), &labels);
                out.item(&Item::new(&[&format!("{place}")])).push_learnt(&std::sync::Arc::new(reading), 1.5);
            }
            let batch = Batch::new(7000, std::sync::Arc::new(Resource::default()), vec![out.finish(7000)]);
            let text = encode(true, &batch);
            assert_eq!(text.split_terminator('\n').map(read).count(), count);
            let text = encode(false, &batch);
            for line in text.split_terminator('\n') {
                let (path, tags) = read(line);
                assert!(tags.is_empty() && path.split('.').all(|node| !node.is_empty()), "{line:?}");
                assert!(path.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.')), "{line:?}");
            }
            assert_eq!(text.split_terminator('\n').count(), count);
        }
    }
}
