//! `influxdb`: InfluxDB's line protocol, as its versions 1, 2 and 3 take it, and many others.
//!
//! <https://docs.influxdata.com/influxdb/v1/write_protocols/line_protocol_reference/>
//!
//! ```text
//! measurement,tag=value,tag=value field=1.5,field=2 1700000000123
//! ```
//!
//! Receivers agree about `\,`, `\ ` and `\=`, and about no other use of a backslash; there is no way to write
//! the end of a line. So a backslash that would escape something, or end a name, becomes `_`, and so does
//! each control character.

mod answer;
mod escape;

use std::collections::HashMap;

use self::escape::{Place, RESERVED, escape};
use super::body::content;
use super::encoder::Encoder;
use super::format::{Format, Limits, Over, OwnField, Reach, Shown, Signal};
use super::gzip::GZIP;
use super::key::Key;
use super::lines::{LineEncoder, Lined, Lines, divide, write_whole};
use super::options::{Compression, Options};
use crate::fields::{DefaultValue, Done, Fault, Field, Inner, Notes, Table, Takes};
use crate::model::Scheme;
use crate::shaping::{Perspective, View, ViewSeries};

/// `influxdb`.
pub static FORMAT: Format = Format {
    name: "influxdb",
    signals: &[Signal::Metrics],
    over: Over::Http,
    path: None,
    reach,
    naming: Scheme::Native,
    // What InfluxData advises for a request: https://docs.influxdata.com/influxdb/v2/write-data/best-practices/optimize-writes/
    limits: Limits { samples: 10_000, ..Limits::NONE },
    ordered: false,
    has_target_labels: false,
    // As Telegraf and all dashboards have it.
    host_label: Some("host"),
    by_tick: false,
    compressions: &[Compression::Gzip, Compression::None],
    headers: &[],
    fields: &FIELDS,
    encoder: Some(encoder),
    divide: Some(divide::<Plain>),
    downgrade: None,
    written: answer::written,
    records: None,
};

static FIELDS: [OwnField; 1] = [OwnField {
    field: Field::new(
        OBJECT,
        Takes::Object(&Inner { table: &TABLE, of: |options: &mut Options| options.of::<Settings>() }),
        DefaultValue::EmptyMap,
        "",
    ),
    is_set: |options| options.get::<Settings>() != Settings::default(),
}];

const OBJECT: &str = "influxdb";
const TOKEN: [&str; 2] = ["token", "token_file"];
const LAYOUTS: [&str; 2] = ["metric", "family"];

/// `influxdb`, as it was written.
#[derive(Clone, Debug, Default, PartialEq)]
struct Settings {
    version: Option<Version>,
    database: Option<String>,
    retention_policy: Option<String>,
    org: Option<String>,
    bucket: Option<String>,
    token: Key,
    is_by_family: bool,
}

/// The version of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V1,
    V2,
    V3,
}

impl Version {
    const ALL: [Version; 3] = [Version::V1, Version::V2, Version::V3];

    /// Where it takes lines.
    fn path(self) -> &'static str {
        match self {
            Version::V1 => "/write",
            Version::V2 => "/api/v2/write",
            Version::V3 => "/api/v3/write_lp",
        }
    }

    /// What stands before a token; the version 1 has none.
    fn before_token(self) -> &'static str {
        match self {
            Version::V1 => "",
            Version::V2 => "Token ",
            Version::V3 => "Bearer ",
        }
    }

    /// Whose path an endpoint ends in; none: in nobody's.
    fn of_endpoint(endpoint: &str) -> Option<Version> {
        let path = endpoint.split(['?', '#']).next()?.trim_end_matches('/');
        // The first version's is the end of the second one's.
        Version::ALL.into_iter().rev().find(|version| path.ends_with(version.path()))
    }
}

static SETTINGS: [Field<Settings>; 8] = [
    Field::new(
        "version",
        Takes::Whole(1..=3, |s: &mut Settings, version| {
            s.version = Version::ALL.get(version as usize - 1).copied();
        }),
        DefaultValue::Null,
        "InfluxDB's API: 1 is `/write`, 2 `/api/v2/write`, 3 `/api/v3/write_lp`; null: 2 with a `bucket`, else 1.",
    ),
    Field::new(
        "database",
        Takes::Text(|s, text| name(&mut s.database, text)),
        DefaultValue::Null,
        "Database, of the versions 1 and 3.",
    ),
    Field::new(
        "retention_policy",
        Takes::Text(|s, text| name(&mut s.retention_policy, text)),
        DefaultValue::Null,
        "Retention policy, of the version 1; null: the database's own.",
    ),
    Field::new(
        "org",
        Takes::Text(|s, text| name(&mut s.org, text)),
        DefaultValue::Null,
        "Organization, of the version 2.",
    ),
    Field::new(
        "bucket",
        Takes::Text(|s, text| name(&mut s.bucket, text)),
        DefaultValue::Null,
        "Bucket, of the version 2.",
    ),
    Field::new(
        TOKEN[0],
        Takes::Text(|s: &mut Settings, token| {
            s.token.value = Some(token);
            Ok(())
        }),
        DefaultValue::Null,
        "Token of the versions 2 (sent as `Authorization: Token`) and 3 (`Bearer`). The version 1 has `basic_auth`.",
    )
    .secret(),
    Field::new(
        TOKEN[1],
        Takes::Text(|s: &mut Settings, path| {
            s.token.file = Some(path);
            Ok(())
        }),
        DefaultValue::Null,
        "A file that holds the token, taken up when it changes.",
    )
    .credential(),
    Field::new(
        "layout",
        Takes::Word(&LAYOUTS, |s, at| s.is_by_family = at == 1),
        DefaultValue::Text(LAYOUTS[0]),
        "`metric`: a line each, with the field `value`; `family`: what shares the first two words of its name, and its labels, is one line (`system_memory total=...,used=...`).",
    ),
];

static TABLE: Table<Settings> = Table::new(|| SETTINGS.iter().collect());

/// An empty name is none.
fn name(place: &mut Option<String>, text: String) -> Done {
    *place = Some(text).filter(|text| !text.is_empty());
    Ok(())
}

/// Where each version takes lines, and what it has to be told there.
fn reach(options: &Options, endpoint: Option<&str>, notes: &mut Notes) -> Reach {
    let all = options.get::<Settings>();
    let version = all.version.unwrap_or(if all.bucket.is_some() { Version::V2 } else { Version::V1 });
    let number = version as u8 + 1;
    if let Some(other) = endpoint.and_then(Version::of_endpoint).filter(|other| *other != version) {
        let (path, other) = (other.path(), other as u8 + 1);
        let why = format!(
            " ends in {path}, which is version {other}'s, and the version here is {number}; set influxdb.version to \
             {other}, or end it before {path}"
        );
        // What else is missing is a matter of the version.
        notes.problem("endpoint", Fault::quoting("").after(why));
        return Reach::default();
    }
    let (path, before) = (version.path(), version.before_token());
    // In the query's order, with the versions that take each: none of the others knows it.
    let parameters = [
        ("db", "database", all.database, true, [Version::V1, Version::V3].contains(&version)),
        ("rp", "retention_policy", all.retention_policy, false, version == Version::V1),
        ("org", "org", all.org, true, version == Version::V2),
        ("bucket", "bucket", all.bucket, true, version == Version::V2),
    ];
    let mut query = Vec::new();
    notes.within(OBJECT, |notes| {
        for (parameter, field, value, is_required, is_taken) in parameters {
            match value {
                Some(value) if is_taken => query.push((parameter, value)),
                Some(_) => notes.warning(field, format!("has no effect with version {number}")),
                None if is_taken && is_required => notes.lack_beside(field, format!("required with version {number}")),
                None => {}
            }
        }
        if version == Version::V1 && all.token.is_given() {
            let field = if all.token.value.is_some() { TOKEN[0] } else { TOKEN[1] };
            notes.problem(field, "version 1 has no tokens; remove it, and set basic_auth");
        }
    });
    query.push(("precision", if version == Version::V3 { "millisecond" } else { "ms" }.to_owned()));
    let key = (version != Version::V1 && all.token.is_given()).then_some(Shown {
        key: all.token,
        object: OBJECT,
        fields: TOKEN,
        header: "authorization",
        before,
        remedy: "check influxdb.token or token_file (a changed file is used with the next request)",
    });
    Reach { path: Some(path), query, key, ..Reach::default() }
}

fn encoder(options: &Options, from: Perspective) -> Box<dyn Encoder> {
    let mut headers = vec![("Content-Type", "text/plain; charset=utf-8")];
    if FORMAT.compression(options) == Compression::Gzip {
        headers.push(GZIP);
    }
    let content = content(&headers);
    match options.get::<Settings>().is_by_family {
        false => Box::new(LineEncoder::<Plain>::new(from, content)),
        true => Box::new(LineEncoder::<ByFamily>::new(from, content)),
    }
}

/// A line for each series, with the field `value`.
struct Plain;

/// A line for the series that share the beginning of their names, and their labels.
struct ByFamily;

impl Lined for Plain {
    fn lines(view: &View) -> Lines {
        let mut lines = Lines::default();
        for (at, one) in view.series().enumerate() {
            let head = head(one.family().name, &one);
            lines.line(&head);
            lines.field(b"value=", at);
        }
        lines
    }

    fn write_end(time_ms: i64, out: &mut Vec<u8>) {
        write_end(time_ms, out);
    }

    fn numbers(line: &[u8]) -> u64 {
        numbers(line)
    }
}

impl Lined for ByFamily {
    fn lines(view: &View) -> Lines {
        // Each head with its series, in the order in which each is met first.
        let mut all: Vec<(Vec<u8>, Vec<usize>)> = Vec::new();
        let mut places = HashMap::new();
        for (at, one) in view.series().enumerate() {
            let head = head(split(&one).0, &one);
            let place = *places.entry(head).or_insert_with_key(|head| {
                all.push((head.clone(), Vec::new()));
                all.len() - 1
            });
            all[place].1.push(at);
        }
        let mut lines = Lines::default();
        for (head, series) in &all {
            lines.line(head);
            for at in series {
                let mut before = Vec::new();
                escape(split(&view.get(*at)).1, Place::Field, &mut before);
                before.push(b'=');
                lines.field(&before, *at);
            }
        }
        lines
    }

    fn write_end(time_ms: i64, out: &mut Vec<u8>) {
        write_end(time_ms, out);
    }

    fn numbers(line: &[u8]) -> u64 {
        numbers(line)
    }
}

/// Measurement and tags, and the blank behind them.
fn head(measurement: &str, series: &ViewSeries<'_>) -> Vec<u8> {
    let mut head = Vec::new();
    escape(measurement, Place::Measurement, &mut head);
    let mut names: Vec<Vec<u8>> = Vec::new();
    for (name, value) in series.labels.iter() {
        let mut key = Vec::new();
        escape(name, Place::Tag, &mut key);
        // Names that differ in what cannot be written only: the first one stays, since a receiver refuses
        // two of a name.
        if names.contains(&key) {
            continue;
        }
        head.push(b',');
        head.extend_from_slice(&key);
        head.push(b'=');
        escape(value, Place::Value, &mut head);
        names.push(key);
    }
    head.push(b' ');
    head
}

/// What a series is called as a field of a measurement: the first two words of its name are the
/// measurement, the others the field, without the unit, which is the same wherever the field comes. A name
/// of two words is a measurement with the field `value`.
fn split<'v>(series: &ViewSeries<'v>) -> (&'v str, &'v str) {
    let family = series.family();
    let name = family.name;
    let word_end = if name.contains('.') { '.' } else { '_' };
    let second = name.match_indices(word_end).map(|(at, _)| at).filter(|at| *at > 0).nth(1);
    let Some((measurement, field)) = second.map(|at| (&name[..at], &name[at + 1..])).filter(|(_, f)| !f.is_empty())
    else {
        return (name, "value");
    };
    // Of what others give, a name without the unit may be another one of theirs.
    let unit = if series.is_built_in() { family.unit } else { "" };
    let bare = field.strip_suffix(unit).and_then(|rest| rest.strip_suffix('_'));
    let is_of_use = |bare: &&str| !unit.is_empty() && !bare.is_empty() && !RESERVED.contains(bare);
    (measurement, bare.filter(is_of_use).unwrap_or(field))
}

fn write_end(time_ms: i64, out: &mut Vec<u8>) {
    out.push(b' ');
    write_whole(time_ms, out);
    out.push(b'\n');
}

/// How many fields a line has.
fn numbers(line: &[u8]) -> u64 {
    let (mut blanks, mut fields, mut is_escaped) = (0, 1, false);
    for byte in line {
        match byte {
            _ if is_escaped => {}
            b' ' => blanks += 1,
            b',' if blanks == 1 => fields += 1,
            _ => {}
        }
        is_escaped = *byte == b'\\' && !is_escaped;
    }
    if blanks == 0 { 0 } else { fields }
}

#[cfg(test)]
mod tests;
